// SPDX-License-Identifier: Apache-2.0
#include "wire/ndjson.h"

#include "base/buf.h"
#include "base/civil.h"
#include "base/mem.h"
#include "tests/support/test.h"

#include <stdio.h>

static const int64_t now_us = INT64_C(1795255200000000); // 2026-11-21T10:00:00Z

static const Field known_fields[] = {
    {STR("timestamp"), COLUMN_TIMESTAMP, false},
    {STR("i8"), COLUMN_INT8, true},
    {STR("i16"), COLUMN_INT16, true},
    {STR("i32"), COLUMN_INT32, true},
    {STR("i64"), COLUMN_INT64, true},
    {STR("u8"), COLUMN_UINT8, true},
    {STR("u16"), COLUMN_UINT16, true},
    {STR("u32"), COLUMN_UINT32, true},
    {STR("u64"), COLUMN_UINT64, true},
    {STR("f32"), COLUMN_FLOAT, true},
    {STR("f64"), COLUMN_DOUBLE, true},
    {STR("s"), COLUMN_STRING, true},
    {STR("bin"), COLUMN_BINARY, true},
    {STR("at"), COLUMN_TIMESTAMP, true},
    {STR("day"), COLUMN_DATE, true},
    {STR("id"), COLUMN_UUID, true},
    {STR("b"), COLUMN_BOOL, true},
    {STR("m"), COLUMN_MAP, true},
};
static const Schema known = {known_fields, ARRAY_LEN(known_fields)};

static Bytes bytes_of(Str s)
{
    return (Bytes){.ptr = (const uint8_t *)s.ptr, .len = s.len};
}

static void put_value(Buf *out, const Vector *column, uint32_t row)
{
    const Vector *flat = NULL;
    uint32_t i = 0;
    if (!vector_locate(column, row, &flat, &i)) {
        buf_put_str(out, STR("null"));
        return;
    }
    switch (column->type) {
    case COLUMN_BOOL:
        buf_put_str(out, ((const uint8_t *)flat->data)[i] != 0 ? STR("true") : STR("false"));
        break;
    case COLUMN_INT8:
        buf_putf(out, "%d", ((const int8_t *)flat->data)[i]);
        break;
    case COLUMN_INT16:
        buf_putf(out, "%d", ((const int16_t *)flat->data)[i]);
        break;
    case COLUMN_INT32:
    case COLUMN_DATE:
        buf_putf(out, "%d", ((const int32_t *)flat->data)[i]);
        break;
    case COLUMN_INT64:
    case COLUMN_TIMESTAMP:
        buf_putf(out, "%" PRId64, ((const int64_t *)flat->data)[i]);
        break;
    case COLUMN_UINT8:
        buf_putf(out, "%u", ((const uint8_t *)flat->data)[i]);
        break;
    case COLUMN_UINT16:
        buf_putf(out, "%u", ((const uint16_t *)flat->data)[i]);
        break;
    case COLUMN_UINT32:
        buf_putf(out, "%u", ((const uint32_t *)flat->data)[i]);
        break;
    case COLUMN_UINT64:
        buf_putf(out, "%" PRIu64, ((const uint64_t *)flat->data)[i]);
        break;
    case COLUMN_FLOAT:
        buf_putf(out, "%.9g", (double)((const float *)flat->data)[i]);
        break;
    case COLUMN_DOUBLE:
        buf_putf(out, "%.17g", ((const double *)flat->data)[i]);
        break;
    case COLUMN_STRING:
    case COLUMN_BINARY:
        buf_putf(out, "'" STR_FMT "'", STR_ARG(vector_flat_str(flat, i)));
        break;
    case COLUMN_UUID:
        for (size_t k = 0; k < 16; k++) {
            buf_putf(out, "%02x", ((const uint8_t *)flat->data)[(size_t)16 * i + k]);
        }
        break;
    case COLUMN_MAP:
        buf_put_str(out, STR("{"));
        for (uint32_t k = flat->offsets[i]; k < flat->offsets[i + 1]; k++) {
            put_value(out, flat->keys, k);
            put_value(out, flat->values, k);
        }
        buf_put_str(out, STR("}"));
        break;
    }
}

// "name TYPE: value value ...;" for each column.
static void describe(const Batch *batch, Buf *out)
{
    buf_clear(out);
    for (size_t c = 0; c < batch->schema->count; c++) {
        const Field *field = &batch->schema->fields[c];
        buf_putf(out, STR_FMT " %s:", STR_ARG(field->name), column_type_sql(field->type));
        for (uint32_t row = 0; row < batch->row_count; row++) {
            buf_put_u8(out, ' ');
            put_value(out, &batch->columns[c], row);
        }
        buf_put_u8(out, ';');
    }
}

static void check_columns(Test *t, const Batch *batch)
{
    Err err;
    for (size_t c = 0; c < batch->schema->count; c++) {
        CHECK_EQ(batch->columns[c].row_count, batch->row_count);
        CHECK_EQ(batch->columns[c].type, batch->schema->fields[c].type);
        CHECK_OK(vector_validate(&batch->columns[c], &err));
    }
}

TEST(ndjson, inferred_columns)
{
    static const struct {
        const char *why;
        Str body, want; // without the time column
    } cases[] = {
        {"no rows", STR(""), STR("")},
        {"blank lines, CR LF, no last LF", STR("\r\n{\"a\":1}\r\n \n\n{\"a\":2}"),
         STR("a BIGINT: 1 2;")},
        {"an empty row", STR("{}\n{\"a\":1}\n{}\n"), STR("a BIGINT: null 1 null;")},
        {"every type",
         STR("{\"b\":true,\"i\":-5,\"d\":1.0,\"e\":1e3,\"s\":\"x\\ty\",\"m\":{\"k2\":\"b\",\"k1\":"
             "\"\"}}"),
         STR("b BOOLEAN: true;i BIGINT: -5;d DOUBLE: 1;e DOUBLE: 1000;s VARCHAR: 'x\ty';"
             "m MAP(VARCHAR, VARCHAR): {'k1''''k2''b'};")},
        {"null first, type later", STR("{\"a\":null}\n{}\n{\"a\":\"x\"}\n"),
         STR("a VARCHAR: null null 'x';")},
        {"null only: left out", STR("{\"a\":null,\"b\":1}\n"), STR("b BIGINT: 1;")},
        {"another order, and a new field", STR("{\"a\":1,\"b\":2}\n{\"b\":3,\"c\":4,\"a\":5}\n"),
         STR("a BIGINT: 1 5;b BIGINT: 2 3;c BIGINT: null 4;")},
        {"integer then fraction",
         STR("{\"a\":1}\n{}\n{\"a\":9007199254740992}\n{\"a\":0.5}\n{\"a\":2}\n"),
         STR("a DOUBLE: 1 null 9007199254740992 0.5 2;")},
        {"integer then large integer",
         STR("{\"a\":0}\n{\"a\":null}\n{\"a\":18446744073709551615}\n{\"a\":7}\n"),
         STR("a UBIGINT: 0 null 18446744073709551615 7;")},
        {"an integer of more than 64 bits", STR("{\"a\":1}\n{\"a\":18446744073709551616}\n"),
         STR("a DOUBLE: 1 1.8446744073709552e+19;")},
        {"a fraction, then minus zero", STR("{\"a\":0.5}\n{\"a\":-0}\n"), STR("a DOUBLE: 0.5 -0;")},
        {"an empty map", STR("{\"m\":{}}"), STR("m MAP(VARCHAR, VARCHAR): {};")},
        {"escaped keys", STR("{\"\\u0061\":1}\n{\"a\":2}\n"), STR("a BIGINT: 1 2;")},
    };
    Ndjson *n = ndjson_new();
    Buf got, want;
    buf_init(&got, 0);
    buf_init(&want, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Batch batch;
        Err err;
        const NdjsonOptions options = {.now_us = now_us};
        if (ndjson_parse(n, bytes_of(cases[i].body), &options, &batch, &err) != OK) {
            test_fail(t, __FILE__, __LINE__, "%s: %s", cases[i].why, err.msg);
        }
        check_columns(t, &batch);
        buf_clear(&want);
        buf_put_str(&want, STR("timestamp TIMESTAMP WITH TIME ZONE:"));
        for (uint32_t row = 0; row < batch.row_count; row++) {
            buf_putf(&want, " %" PRId64, now_us);
        }
        buf_put_str(&want, STR(";"));
        buf_put_str(&want, cases[i].want);
        describe(&batch, &got);
        CHECK_STR(buf_str(&got), buf_str(&want));
    }
    buf_deinit(&got);
    buf_deinit(&want);
    ndjson_free(n);
}

TEST(ndjson, known_columns)
{
    static const struct {
        Str body, want; // of the second column
    } cases[] = {
        {STR("{\"i8\":-128}\n{\"i8\":127}"), STR("i8 TINYINT: -128 127;")},
        {STR("{\"i16\":-32768}\n{\"i16\":32767}"), STR("i16 SMALLINT: -32768 32767;")},
        {STR("{\"i32\":-2147483648}\n{\"i32\":2147483647}"),
         STR("i32 INTEGER: -2147483648 2147483647;")},
        {STR("{\"i64\":-9223372036854775808}"), STR("i64 BIGINT: -9223372036854775808;")},
        {STR("{\"u8\":255}"), STR("u8 UTINYINT: 255;")},
        {STR("{\"u16\":65535}"), STR("u16 USMALLINT: 65535;")},
        {STR("{\"u32\":4294967295}"), STR("u32 UINTEGER: 4294967295;")},
        {STR("{\"u64\":18446744073709551615}"), STR("u64 UBIGINT: 18446744073709551615;")},
        {STR("{\"f32\":1.5}\n{\"f32\":16777217}"), STR("f32 FLOAT: 1.5 16777216;")},
        {STR("{\"f64\":1}\n{\"f64\":9007199254740993}\n{\"f64\":-0}"),
         STR("f64 DOUBLE: 1 9007199254740992 -0;")},
        {STR("{\"s\":\"\"}\n{\"s\":null}\n{\"s\":\"x\"}"), STR("s VARCHAR: '' null 'x';")},
        {STR("{\"s\":null}"), STR("s VARCHAR: null;")},
        {STR("{\"bin\":\"aGVsbG8=\"}\n{\"bin\":\"\"}\n{\"bin\":\"aGVsbA==\"}\n{\"bin\":\"aGVs\"}"),
         STR("bin BLOB: 'hello' '' 'hell' 'hel';")},
        {STR("{\"at\":\"1970-01-01T00:00:01.5Z\"}\n{\"at\":-1}\n{\"at\":99999999999999}\n"
             "{\"at\":100000000000000}\n{\"at\":99999999999999999}\n{\"at\":100000000000000000}\n"
             "{\"at\":-100000000000000001}\n{\"at\":18446744073709551615}"),
         STR("at TIMESTAMP WITH TIME ZONE: 1500000 -1000 99999999999999000 100000000000000 "
             "99999999999999999 100000000000000 -100000000000001 18446744073709551;")},
        {STR("{\"day\":\"1969-12-31\"}\n{\"day\":\"2026-11-21\"}"), STR("day DATE: -1 20778;")},
        {STR("{\"id\":\"00112233-4455-6677-8899-aAbBcCdDeEfF\"}"),
         STR("id UUID: 00112233445566778899aabbccddeeff;")},
        {STR("{\"b\":false}\n{\"b\":true}"), STR("b BOOLEAN: false true;")},
        {STR("{\"m\":{\"b\":\"2\",\"a\":\"1\"}}\n{}"),
         STR("m MAP(VARCHAR, VARCHAR): {'a''1''b''2'} null;")},
    };
    Ndjson *n = ndjson_new();
    Buf got;
    buf_init(&got, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Batch batch;
        Err err;
        const NdjsonOptions options = {.known = &known, .now_us = now_us};
        CHECK_OK(ndjson_parse(n, bytes_of(cases[i].body), &options, &batch, &err));
        check_columns(t, &batch);
        CHECK_EQ(batch.schema->count, 2);
        describe(&batch, &got);
        const Str text = buf_str(&got);
        const char *second = memchr(text.ptr, ';', text.len);
        CHECK_STR(str_slice(text, (size_t)(second - text.ptr) + 1, text.len), cases[i].want);
    }
    buf_deinit(&got);
    ndjson_free(n);
}

TEST(ndjson, time_column)
{
    Ndjson *n = ndjson_new();
    Batch batch;
    Buf got;
    Err err;
    buf_init(&got, 0);
    CHECK_OK(ndjson_parse(
        n,
        bytes_of(STR("{\"v\":1,\"when\":\"2026-11-21T12:00:00.25+02:00\"}\n"
                     "{\"v\":2}\n{\"when\":null,\"v\":3}\n{\"when\":1795255200000}\n")),
        &(NdjsonOptions){.time_column = STR("when"), .now_us = 42}, &batch, &err));
    describe(&batch, &got);
    CHECK_STR(buf_str(&got), STR("when TIMESTAMP WITH TIME ZONE: 1795255200250000 42 42 "
                                 "1795255200000000;v BIGINT: 1 2 3 null;"));
    CHECK(!batch.schema->fields[0].nullable);
    CHECK(batch.schema->fields[1].nullable);
    buf_deinit(&got);
    ndjson_free(n);
}

static const struct {
    Str body;
    const char *message;
} refusals[] = {
    {STR("{\"a\":1}\n{\"a\":\"x\"}\n"),
     "line 2, byte 6: field 'a': expected an integer (BIGINT), found a string"},
    {STR("{\"a\":1}\n\n{\"c\":2,\"a\":true}\n"),
     "line 3, byte 12: field 'a': expected an integer (BIGINT), found a boolean"},
    {STR("{\"a\":\"x\"}\n{\"a\":1}\n"),
     "line 2, byte 6: field 'a': expected a string (VARCHAR), found an integer"},
    {STR("{\"a\":true}\n{\"a\":1}\n"),
     "line 2, byte 6: field 'a': expected true or false (BOOLEAN), found an integer"},
    {STR("{\"a\":1.5}\n{\"a\":\"1\"}\n"),
     "line 2, byte 6: field 'a': expected a number (DOUBLE), found a string"},
    {STR("{\"a\":{}}\n{\"a\":\"1\"}\n"), "line 2, byte 6: field 'a': expected an object of strings "
                                         "(MAP(VARCHAR, VARCHAR)), found a string"},
    {STR("{\"a\":\"x\"}\n{\"a\":{}}\n"),
     "line 2, byte 6: field 'a': expected a string (VARCHAR), found an object"},
    {STR("{\"a\":[1]}\n"),
     "line 1, byte 6: field 'a': found an array; no column type holds arrays"},
    {STR("{\"s\":[]}\n"), "line 1, byte 6: field 's': found an array; no column type holds arrays"},
    {STR("{\"a\":{\"k\":1}}\n"), "line 1, byte 11: field 'a', key 'k': expected a string "
                                 "(MAP(VARCHAR, VARCHAR)), found an integer"},
    {STR("{\"a\":{\"k\":\"1\",\"k\":\"2\"}}\n"), "line 1, byte 6: field 'a': key 'k' twice"},
    {STR("{\"a\":9007199254740993}\n{\"a\":0.5}\n"),
     "line 2, byte 6: field 'a': found a fractional number, but earlier rows hold integers "
     "(BIGINT) that DOUBLE cannot hold exactly"},
    {STR("{\"a\":-1}\n{\"a\":18446744073709551615}\n"),
     "line 2, byte 6: field 'a': 18446744073709551615 does not fit BIGINT"},
    {STR("{\"a\":18446744073709551615}\n{\"a\":-1}\n"),
     "line 2, byte 6: field 'a': -1 does not fit UBIGINT"},
    {STR("{\"i8\":128}"), "line 1, byte 7: field 'i8': 128 does not fit TINYINT"},
    {STR("{\"i8\":-129}"), "line 1, byte 7: field 'i8': -129 does not fit TINYINT"},
    {STR("{\"u8\":-1}"), "line 1, byte 7: field 'u8': -1 does not fit UTINYINT"},
    {STR("{\"u8\":256}"), "line 1, byte 7: field 'u8': 256 does not fit UTINYINT"},
    {STR("{\"i64\":9223372036854775808}"),
     "line 1, byte 8: field 'i64': 9223372036854775808 does not fit BIGINT"},
    {STR("{\"i32\":1.0}"),
     "line 1, byte 8: field 'i32': expected an integer (INTEGER), found a fractional number"},
    {STR("{\"f32\":1e39}"), "line 1, byte 8: field 'f32': 1e39 does not fit FLOAT"},
    {STR("{\"f64\":1e999}"),
     "line 1, byte 8: expected a number within the range of a double, found '1'"},
    {STR("{\"bin\":\"aGVsbG9\"}"),
     "line 1, byte 8: field 'bin': expected base64 (BLOB), found \"aGVsbG9\""},
    {STR("{\"bin\":\"aGVsbG9=\"}"),
     "line 1, byte 8: field 'bin': expected base64 (BLOB), found \"aGVsbG9=\""},
    {STR("{\"day\":\"2026-02-30\"}"), "line 1, byte 8: field 'day': expected a date such as "
                                      "2026-11-21 (DATE), found \"2026-02-30\""},
    {STR("{\"id\":\"0011\"}"), "line 1, byte 7: field 'id': expected a UUID of 8-4-4-4-12 hex "
                               "digits (UUID), found \"0011\""},
    {STR("{\"timestamp\":\"yesterday\"}"),
     "line 1, byte 14: field 'timestamp': expected a time such as 2026-11-21T10:00:00Z, found "
     "\"yesterday\""},
    {STR("{\"timestamp\":1.5}"),
     "line 1, byte 14: field 'timestamp': expected an RFC 3339 string or an integer since 1970 "
     "(TIMESTAMP WITH TIME ZONE), found a fractional number"},
    {STR("{\"a\":1,\"a\":1}"), "line 1, byte 8: field 'a' twice in one row"},
    {STR("{\"a\":null,\"a\":null}"), "line 1, byte 11: field 'a' twice in one row"},
    {STR("{\"timestamp\":1,\"timestamp\":1}"),
     "line 1, byte 16: field 'timestamp' twice in one row"},
    {STR("{\"a\":1}\n{\"A\":1}"),
     "line 2, byte 2: column 'A' differs only in case from column 'a'"},
    {STR("{\"I8\":1}"), "line 1, byte 2: column 'I8' differs only in case from column 'i8'"},
    {STR("{\"Timestamp\":1}"),
     "line 1, byte 2: column 'Timestamp' differs only in case from column 'timestamp'"},
    {STR("{\"a b\":1}"), "line 1, byte 2: 'a b' is no column name: want [A-Za-z_][A-Za-z0-9_]*, "
                         "at most 128 bytes"},
    {STR("{\"\":1}"), "line 1, byte 2: '' is no column name: want [A-Za-z_][A-Za-z0-9_]*, at most "
                      "128 bytes"},
    {STR("{\"1a\":1}"), "line 1, byte 2: '1a' is no column name: want [A-Za-z_][A-Za-z0-9_]*, at "
                        "most 128 bytes"},
    {STR("[1]"), "line 1, byte 1: expected an object, found an array"},
    {STR("1\n"), "line 1, byte 1: expected an object, found an integer"},
    {STR("{} {}"), "line 1, byte 4: expected the end, found '{'"},
    {STR("{\"a\":\n1}"), "line 1, byte 6: expected a value, found the end"},
    {STR("{\"a\":1}\n{\"a\":"), "line 2, byte 6: expected a value, found the end"},
    {STR("{\"a\":1}\n{\"a\":\"\xff\"}"), "line 2, byte 7: not UTF-8"},
};

TEST(ndjson, refused)
{
    Ndjson *n = ndjson_new();
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        Batch batch;
        Err err = {0};
        const NdjsonOptions options = {.known = &known, .now_us = now_us};
        const Status st = ndjson_parse(n, bytes_of(refusals[i].body), &options, &batch, &err);
        if (st != ERR_INVALID || strcmp(err.msg, refusals[i].message) != 0) {
            test_fail(t, __FILE__, __LINE__, "'" STR_FMT "': %d\n got '%s'\nwant '%s'",
                      STR_ARG(refusals[i].body), st, err.msg, refusals[i].message);
        }
        CHECK_EQ(batch.row_count, 0);
    }
    ndjson_free(n);
}

TEST(ndjson, limits)
{
    Ndjson *n = ndjson_new();
    const NdjsonOptions options = {.now_us = now_us};
    Batch batch;
    Buf body;
    Err err;
    buf_init(&body, 0);
    for (int extra = 0; extra < 2; extra++) { // columns; one is the time
        buf_clear(&body);
        buf_put_u8(&body, '{');
        for (int i = 0; i < NDJSON_COLUMNS_MAX - 1 + extra; i++) {
            buf_putf(&body, "%s\"c%d\":1", i == 0 ? "" : ",", i);
        }
        buf_put_u8(&body, '}');
        CHECK_EQ(ndjson_parse(n, buf_bytes(&body), &options, &batch, &err),
                 extra == 0 ? OK : ERR_TOO_LARGE);
    }
    for (int extra = 0; extra < 2; extra++) { // the length of a name
        char name[NDJSON_NAME_BYTES_MAX + 1];
        memset(name, 'x', sizeof(name));
        CHECK_EQ(ndjson_name_is_valid((Str){name, (size_t)(NDJSON_NAME_BYTES_MAX + extra)}),
                 extra == 0);
    }
    for (size_t extra = 0; extra < 2; extra++) { // the length of a string
        const size_t len = NDJSON_STRING_BYTES_MAX + extra;
        buf_clear(&body);
        buf_put_str(&body, STR("{\"s\":\""));
        memset(buf_reserve(&body, len), 'x', len);
        buf_commit(&body, len);
        buf_put_str(&body, STR("\"}"));
        CHECK_EQ(ndjson_parse(n, buf_bytes(&body), &options, &batch, &err),
                 extra == 0 ? OK : ERR_TOO_LARGE);
    }
    for (int extra = 0; extra < 2; extra++) { // the entries of a map
        buf_clear(&body);
        buf_put_str(&body, STR("{\"m\":{"));
        for (int i = 0; i < NDJSON_MAP_ENTRIES_MAX + extra; i++) {
            buf_putf(&body, "%s\"k%d\":\"\"", i == 0 ? "" : ",", i);
        }
        buf_put_str(&body, STR("}}"));
        CHECK_EQ(ndjson_parse(n, buf_bytes(&body), &options, &batch, &err),
                 extra == 0 ? OK : ERR_TOO_LARGE);
    }
    buf_deinit(&body);
    ndjson_free(n);
}

// Random rows of random sparse fields against a table of what was written: even fields hold
// integers, odd ones the same as text.
enum { ROWS_MAX = 300, FIELDS = 7 };
static int64_t ints[ROWS_MAX][FIELDS];
static bool there[ROWS_MAX][FIELDS];

static void put_random_row(Test *t, uint32_t row, Buf *body)
{
    const size_t turn = test_random(t) % FIELDS; // keys in another order each time
    bool first = true;
    buf_put_str(body, STR("{"));
    for (size_t k = 0; k < FIELDS; k++) {
        const size_t f = (k + turn) % FIELDS;
        there[row][f] = test_random(t) % 3 != 0;
        ints[row][f] = (int64_t)test_random(t) >> (test_random(t) % 64);
        if (there[row][f]) {
            buf_putf(body, f % 2 == 0 ? "%s\"f%zu\": %" PRId64 : "%s \"f%zu\" :\"%" PRId64 "\"",
                     first ? "" : ",", f, ints[row][f]);
            first = false;
        }
    }
    buf_put_str(body, test_random(t) % 2 == 0 ? STR("}\n") : STR(" } \r\n"));
}

static void check_random_field(Test *t, const Batch *batch, size_t f)
{
    char name[8];
    char text[24];
    (void)snprintf(name, sizeof(name), "f%zu", f);
    const size_t at = schema_find(batch->schema, (Str){name, strlen(name)});
    for (uint32_t row = 0; row < batch->row_count; row++) {
        const Vector *flat = NULL;
        uint32_t i = 0;
        const bool found = at != SIZE_MAX && vector_locate(&batch->columns[at], row, &flat, &i);
        CHECK_EQ(found, there[row][f]);
        if (found && f % 2 == 0) {
            CHECK_EQ(((const int64_t *)flat->data)[i], ints[row][f]);
        } else if (found) {
            (void)snprintf(text, sizeof(text), "%" PRId64, ints[row][f]);
            CHECK_STR(vector_flat_str(flat, i), ((Str){text, strlen(text)}));
        }
    }
}

TEST(ndjson, random_rows)
{
    Ndjson *n = ndjson_new();
    Buf body;
    buf_init(&body, 0);
    for (int round = 0; round < 30; round++) {
        const uint32_t rows = (uint32_t)(test_random(t) % ROWS_MAX);
        const NdjsonOptions options = {.now_us = now_us};
        Batch batch;
        Err err;
        buf_clear(&body);
        for (uint32_t row = 0; row < rows; row++) {
            put_random_row(t, row, &body);
        }
        CHECK_OK(ndjson_parse(n, buf_bytes(&body), &options, &batch, &err));
        CHECK_EQ(batch.row_count, rows);
        check_columns(t, &batch);
        for (size_t f = 0; f < FIELDS; f++) {
            check_random_field(t, &batch, f);
        }
    }
    buf_deinit(&body);
    ndjson_free(n);
}
