// SPDX-License-Identifier: Apache-2.0
//
// JSON lines. The first byte says whether the table has columns already, and where to split; the
// rest is the body. Oracles: vectors are valid; what was parsed, written again and parsed once more
// is the same; with the types now known, the rows before and after any line break are the same
// rows.
#include "base/civil.h"
#include "base/json_put.h"
#include "base/mem.h"
#include "codec/dtoa.h"
#include "wire/json.h"
#include "wire/ndjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const size_t INPUT_BYTES_MAX = 1 << 18;
static const int64_t now_us = INT64_C(1795255200000000);

static const Field fields[] = {
    {STR("i8"), COLUMN_INT8, true},      {STR("u16"), COLUMN_UINT16, true},
    {STR("i64"), COLUMN_INT64, true},    {STR("u64"), COLUMN_UINT64, true},
    {STR("f32"), COLUMN_FLOAT, true},    {STR("f64"), COLUMN_DOUBLE, true},
    {STR("s"), COLUMN_STRING, true},     {STR("bin"), COLUMN_BINARY, true},
    {STR("at"), COLUMN_TIMESTAMP, true}, {STR("day"), COLUMN_DATE, true},
    {STR("id"), COLUMN_UUID, true},      {STR("b"), COLUMN_BOOL, true},
    {STR("m"), COLUMN_MAP, true},
};
static const Schema table = {fields, ARRAY_LEN(fields)};

// ---- A batch as JSON lines again

static void put_time(Buf *out, int64_t us)
{
    static const int64_t us_min = INT64_C(100000000000000);
    static const int64_t us_max = INT64_C(100000000000000000);
    const int64_t magnitude = us < 0 ? -us : us;
    if (magnitude >= us_min && magnitude < us_max) {
        buf_putf(out, "%" PRId64, us); // read as microseconds
        return;
    }
    buf_put_u8(out, '"');
    civil_put_rfc3339(out, us);
    buf_put_u8(out, '"');
}

static void put_base64(Buf *out, Str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    buf_put_u8(out, '"');
    for (size_t i = 0; i < s.len; i += 3) {
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++) {
            bits = bits << 8 | (i + k < s.len ? (uint8_t)s.ptr[i + k] : 0);
        }
        for (size_t k = 0; k < 4; k++) {
            const bool pad = i + k > s.len;
            buf_put_u8(out, pad ? '=' : (uint8_t)digits[bits >> (18 - 6 * k) & 63]);
        }
    }
    buf_put_u8(out, '"');
}

static void put_map(Buf *out, const Vector *v, uint32_t i)
{
    buf_put_u8(out, '{');
    for (uint32_t k = v->offsets[i]; k < v->offsets[i + 1]; k++) {
        const Vector *flat = NULL;
        uint32_t at = 0;
        buf_put_str(out, k == v->offsets[i] ? STR("") : STR(","));
        ASSERT(vector_locate(v->keys, k, &flat, &at));
        json_put_string(out, vector_flat_str(flat, at));
        buf_put_u8(out, ':');
        ASSERT(vector_locate(v->values, k, &flat, &at));
        json_put_string(out, vector_flat_str(flat, at));
    }
    buf_put_u8(out, '}');
}

static void put_uuid(Buf *out, const uint8_t *p)
{
    buf_put_u8(out, '"');
    for (size_t i = 0; i < 16; i++) {
        buf_putf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", p[i]);
    }
    buf_put_u8(out, '"');
}

static void put_value(Buf *out, const Vector *v, uint32_t i)
{
    const size_t bytes = column_type_size(v->type);
    const uint8_t *p = bytes == 0 ? NULL : (const uint8_t *)v->data + i * bytes;
    int64_t i64 = 0;
    double f64 = 0;
    float f32 = 0;
    switch (v->type) {
    case COLUMN_BOOL:
        buf_put_str(out, *p != 0 ? STR("true") : STR("false"));
        return;
    case COLUMN_INT8:
        buf_putf(out, "%d", (int8_t)*p);
        return;
    case COLUMN_UINT16:
        buf_putf(out, "%u", ((const uint16_t *)v->data)[i]);
        return;
    case COLUMN_INT64:
        buf_putf(out, "%" PRId64, ((const int64_t *)v->data)[i]);
        return;
    case COLUMN_UINT64:
        buf_putf(out, "%" PRIu64, ((const uint64_t *)v->data)[i]);
        return;
    case COLUMN_FLOAT:
        memcpy(&f32, p, sizeof(f32));
        dtoa_put_f64(out, (double)f32, DTOA_JSON);
        return;
    case COLUMN_DOUBLE:
        memcpy(&f64, p, sizeof(f64));
        dtoa_put_f64(out, f64, DTOA_JSON);
        return;
    case COLUMN_STRING:
        json_put_string(out, vector_flat_str(v, i));
        return;
    case COLUMN_BINARY:
        put_base64(out, vector_flat_str(v, i));
        return;
    case COLUMN_TIMESTAMP:
        memcpy(&i64, p, sizeof(i64));
        put_time(out, i64);
        return;
    case COLUMN_DATE:
        buf_put_u8(out, '"');
        civil_put_date(out, ((const int32_t *)v->data)[i]);
        buf_put_u8(out, '"');
        return;
    case COLUMN_UUID:
        put_uuid(out, p);
        return;
    case COLUMN_MAP:
        put_map(out, v, i);
        return;
    case COLUMN_INT16:
    case COLUMN_INT32:
    case COLUMN_UINT8:
    case COLUMN_UINT32:
        break; // neither known nor inferred here
    }
    UNREACHABLE();
}

static void put_rows(Buf *out, const Batch *batch, uint32_t from, uint32_t to)
{
    for (uint32_t row = from; row < to; row++) {
        buf_put_u8(out, '{');
        for (size_t c = 0; c < batch->schema->count; c++) {
            const Vector *flat = NULL;
            uint32_t at = 0;
            buf_put_str(out, c == 0 ? STR("") : STR(","));
            json_put_string(out, batch->schema->fields[c].name);
            buf_put_u8(out, ':');
            if (vector_locate(&batch->columns[c], row, &flat, &at)) {
                put_value(out, flat, at);
            } else {
                buf_put_str(out, STR("null"));
            }
        }
        buf_put_str(out, STR("}\n"));
    }
}

// ---- Checks

// Rows [from, from + part->row_count) of `whole` are those of `part`, which was parsed with the
// types of `whole`.
static void check_rows(const Batch *whole, const Batch *part, uint32_t from)
{
    for (size_t c = 0; c < whole->schema->count; c++) {
        Arena arena = {0};
        const size_t at = schema_find(part->schema, whole->schema->fields[c].name);
        const Vector want = vector_slice(&whole->columns[c], from, part->row_count, &arena);
        const Vector nulls = vector_nulls(whole->schema->fields[c].type, part->row_count, &arena);
        ASSERT(vector_equal(&want, at == SIZE_MAX ? &nulls : &part->columns[at]));
        arena_deinit(&arena);
    }
}

static Batch parse_known(Ndjson *n, Bytes body, const Schema *known)
{
    const NdjsonOptions options = {.known = known, .now_us = now_us};
    Batch batch;
    Err err;
    ASSERT(ndjson_parse(n, body, &options, &batch, &err) == OK);
    return batch;
}

static void check_again(const Batch *whole)
{
    Ndjson *n = ndjson_new();
    Buf out;
    buf_init(&out, 0);
    put_rows(&out, whole, 0, whole->row_count);
    const Batch again = parse_known(n, buf_bytes(&out), whole->schema);
    ASSERT(again.row_count == whole->row_count);
    check_rows(whole, &again, 0);
    buf_deinit(&out);
    ndjson_free(n);
}

static void check_split(const Batch *whole, Bytes body, size_t turn)
{
    Ndjson *n = ndjson_new();
    size_t at = body.len == 0 ? 0 : turn * body.len / 256;
    while (at < body.len && (at == 0 || body.ptr[at - 1] != '\n')) {
        at++;
    }
    const Batch head = parse_known(n, (Bytes){body.ptr, at}, whole->schema);
    const uint32_t head_rows = head.row_count;
    check_rows(whole, &head, 0);
    const Batch tail = parse_known(n, (Bytes){body.ptr + at, body.len - at}, whole->schema);
    ASSERT(head_rows + tail.row_count == whole->row_count);
    check_rows(whole, &tail, head_rows);
    ndjson_free(n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Ndjson *n = ndjson_new();
    Batch batch;
    Err err;
    if (size > 0 && size <= INPUT_BYTES_MAX) {
        const Bytes body = {.ptr = data + 1, .len = size - 1};
        const NdjsonOptions options = {.known = (data[0] & 1) != 0 ? &table : NULL,
                                       .now_us = now_us};
        if (ndjson_parse(n, body, &options, &batch, &err) == OK) {
            for (size_t c = 0; c < batch.schema->count; c++) {
                ASSERT(batch.columns[c].row_count == batch.row_count);
                ASSERT(vector_validate(&batch.columns[c], &err) == OK);
            }
            check_again(&batch);
            check_split(&batch, body, data[0]);
        } else {
            ASSERT(err.status == ERR_INVALID || err.status == ERR_TOO_LARGE);
        }
    }
    ndjson_free(n);
    return 0;
}
