// SPDX-License-Identifier: Apache-2.0
//
// DuckDB's result chunks as Batches. Fixed-size values are borrowed from the chunk where the
// layouts agree, text is gathered into one run of bytes, and types that are not ours arrive as
// exact text or as DOUBLE.
#include "base/num.h"
#include "base/strmap.h"
#include "sql/engine_internal.h"

#include <stdio.h>

enum { RESULT_COLUMNS_MAX = 4096 };

bool sql_type_needs_text(duckdb_logical_type type)
{
    const duckdb_type id = duckdb_get_type_id(type);
    if (id == DUCKDB_TYPE_MAP) {
        duckdb_logical_type key = duckdb_map_type_key_type(type);
        duckdb_logical_type value = duckdb_map_type_value_type(type);
        const bool text = duckdb_get_type_id(key) == DUCKDB_TYPE_VARCHAR &&
                          duckdb_get_type_id(value) == DUCKDB_TYPE_VARCHAR;
        duckdb_destroy_logical_type(&key);
        duckdb_destroy_logical_type(&value);
        return !text;
    }
    static const duckdb_type ours[] = {
        DUCKDB_TYPE_BOOLEAN,     DUCKDB_TYPE_TINYINT,      DUCKDB_TYPE_SMALLINT,
        DUCKDB_TYPE_INTEGER,     DUCKDB_TYPE_BIGINT,       DUCKDB_TYPE_UTINYINT,
        DUCKDB_TYPE_USMALLINT,   DUCKDB_TYPE_UINTEGER,     DUCKDB_TYPE_UBIGINT,
        DUCKDB_TYPE_FLOAT,       DUCKDB_TYPE_DOUBLE,       DUCKDB_TYPE_VARCHAR,
        DUCKDB_TYPE_BLOB,        DUCKDB_TYPE_TIMESTAMP_TZ, DUCKDB_TYPE_TIMESTAMP,
        DUCKDB_TYPE_TIMESTAMP_S, DUCKDB_TYPE_TIMESTAMP_MS, DUCKDB_TYPE_TIMESTAMP_NS,
        DUCKDB_TYPE_DATE,        DUCKDB_TYPE_UUID,         DUCKDB_TYPE_HUGEINT,
        DUCKDB_TYPE_UHUGEINT,    DUCKDB_TYPE_DECIMAL};
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        if (id == ours[i]) {
            return false;
        }
    }
    return true;
}

bool sql_result_needs_text(duckdb_prepared_statement statement)
{
    bool needs = false;
    const idx_t count = duckdb_prepared_statement_column_count(statement);
    for (idx_t i = 0; i < count && !needs; i++) {
        duckdb_logical_type type = duckdb_prepared_statement_column_logical_type(statement, i);
        needs = sql_type_needs_text(type);
        duckdb_destroy_logical_type(&type);
    }
    return needs;
}

static bool is_wide_number(duckdb_type id)
{
    return id == DUCKDB_TYPE_HUGEINT || id == DUCKDB_TYPE_UHUGEINT || id == DUCKDB_TYPE_DECIMAL;
}

static ColumnType our_type(duckdb_type id, bool exact_text)
{
    static const struct {
        duckdb_type duck;
        ColumnType type;
    } map[] = {{DUCKDB_TYPE_BOOLEAN, COLUMN_BOOL},
               {DUCKDB_TYPE_TINYINT, COLUMN_INT8},
               {DUCKDB_TYPE_SMALLINT, COLUMN_INT16},
               {DUCKDB_TYPE_INTEGER, COLUMN_INT32},
               {DUCKDB_TYPE_BIGINT, COLUMN_INT64},
               {DUCKDB_TYPE_UTINYINT, COLUMN_UINT8},
               {DUCKDB_TYPE_USMALLINT, COLUMN_UINT16},
               {DUCKDB_TYPE_UINTEGER, COLUMN_UINT32},
               {DUCKDB_TYPE_UBIGINT, COLUMN_UINT64},
               {DUCKDB_TYPE_FLOAT, COLUMN_FLOAT},
               {DUCKDB_TYPE_DOUBLE, COLUMN_DOUBLE},
               {DUCKDB_TYPE_VARCHAR, COLUMN_STRING},
               {DUCKDB_TYPE_BLOB, COLUMN_BINARY},
               {DUCKDB_TYPE_TIMESTAMP_TZ, COLUMN_TIMESTAMP},
               {DUCKDB_TYPE_TIMESTAMP, COLUMN_TIMESTAMP},
               {DUCKDB_TYPE_TIMESTAMP_S, COLUMN_TIMESTAMP},
               {DUCKDB_TYPE_TIMESTAMP_MS, COLUMN_TIMESTAMP},
               {DUCKDB_TYPE_TIMESTAMP_NS, COLUMN_TIMESTAMP},
               {DUCKDB_TYPE_DATE, COLUMN_DATE},
               {DUCKDB_TYPE_UUID, COLUMN_UUID},
               {DUCKDB_TYPE_MAP, COLUMN_MAP}};
    for (size_t i = 0; i < ARRAY_LEN(map); i++) {
        if (map[i].duck == id) {
            return map[i].type;
        }
    }
    return is_wide_number(id) && !exact_text ? COLUMN_DOUBLE : COLUMN_STRING;
}

static Str lower(Arena *arena, Str s)
{
    char *p = arena_new(arena, char, s.len + 1);
    for (size_t i = 0; i < s.len; i++) {
        p[i] = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] + 32) : s.ptr[i];
    }
    return (Str){.ptr = p, .len = s.len};
}

static Str type_name(SqlRun *run, duckdb_logical_type type)
{
    const duckdb_type id = duckdb_get_type_id(type);
    char text[64];
    if (id == DUCKDB_TYPE_HUGEINT || id == DUCKDB_TYPE_UHUGEINT) {
        return id == DUCKDB_TYPE_HUGEINT ? STR("HUGEINT") : STR("UHUGEINT");
    }
    if (id == DUCKDB_TYPE_TIMESTAMP) {
        return STR("TIMESTAMP");
    }
    if (id == DUCKDB_TYPE_DECIMAL) {
        (void)snprintf(text, sizeof(text), "DECIMAL(%d,%d)", duckdb_decimal_width(type),
                       duckdb_decimal_scale(type));
        return arena_str(&run->arena, (Str){text, strlen(text)});
    }
    const char *name = column_type_sql(our_type(id, true));
    return (Str){.ptr = name, .len = strlen(name)};
}

// A name that no other column has, in any case: Parquet and Arrow readers, and objects in JSON,
// need one. The first of several columns keeps theirs.
static Str unique_name(SqlRun *run, Str name, StrMap *seen, const StrMap *all)
{
    Buf text = {0};
    Str unique = name;
    bool created = false;
    buf_init(&text, 0);
    for (uint64_t k = 2;; k++) {
        const Str key = lower(&run->arena, unique);
        const bool taken = unique.ptr != name.ptr && strmap_get(all, key) != NULL;
        if (!taken) {
            (void)strmap_put(seen, key, 0, &created);
        }
        if (created) {
            break;
        }
        buf_clear(&text);
        buf_put_str(&text, name);
        buf_putf(&text, "_%" PRIu64, k);
        unique = arena_str(&run->arena, buf_str(&text));
    }
    buf_deinit(&text);
    return unique;
}

static void make_names_unique(SqlRun *run, Field *fields, size_t count)
{
    StrMap seen;
    StrMap all;
    strmap_init(&seen);
    strmap_init(&all);
    for (size_t i = 0; i < count; i++) {
        (void)strmap_put(&all, lower(&run->arena, fields[i].name), 0, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        fields[i].name = unique_name(run, fields[i].name, &seen, &all);
    }
    strmap_deinit(&seen);
    strmap_deinit(&all);
}

Status sql_describe_result(SqlRun *run, Err *err)
{
    const idx_t count = duckdb_column_count(&run->result);
    if (count > RESULT_COLUMNS_MAX) {
        return err_set(err, ERR_TOO_LARGE,
                       "the result has %" PRIu64 " columns, at most %d are allowed",
                       (uint64_t)count, RESULT_COLUMNS_MAX);
    }
    Field *fields = arena_new(&run->arena, Field, count);
    run->columns = arena_new(&run->arena, SqlColumn, count);
    run->vectors = arena_new(&run->arena, Vector, count);
    for (idx_t i = 0; i < count; i++) {
        duckdb_logical_type type = duckdb_column_logical_type(&run->result, i);
        const duckdb_type id = duckdb_get_type_id(type);
        const char *name = duckdb_column_name(&run->result, i);
        const Str copy = arena_str(&run->arena, (Str){name, strlen(name)});
        fields[i] = (Field){.name = copy, .type = our_type(id, run->exact_text), .nullable = true};
        run->columns[i] = (SqlColumn){.name = copy,
                                      .type = type_name(run, type),
                                      .numeric_text = is_wide_number(id) && run->exact_text};
        duckdb_destroy_logical_type(&type);
    }
    make_names_unique(run, fields, count);
    run->schema = (Schema){.fields = fields, .count = count};
    return OK;
}

// --- values ------------------------------------------------------------------------------------

typedef struct Wide { // sign and magnitude of a 128-bit number
    bool negative;
    __extension__ unsigned __int128 magnitude;
} Wide;

static Wide wide_of(uint64_t lower, uint64_t upper, bool is_signed)
{
    __extension__ unsigned __int128 v = (unsigned __int128)upper << 64 | lower;
    const bool negative = is_signed && upper >> 63 != 0;
    return (Wide){.negative = negative, .magnitude = negative ? -v : v};
}

static Wide wide_at(duckdb_logical_type type, const void *data, idx_t row)
{
    duckdb_type id = duckdb_get_type_id(type);
    if (id == DUCKDB_TYPE_DECIMAL) {
        id = duckdb_decimal_internal_type(type);
    }
    if (id == DUCKDB_TYPE_SMALLINT || id == DUCKDB_TYPE_INTEGER || id == DUCKDB_TYPE_BIGINT) {
        const int64_t v = id == DUCKDB_TYPE_SMALLINT  ? ((const int16_t *)data)[row]
                          : id == DUCKDB_TYPE_INTEGER ? ((const int32_t *)data)[row]
                                                      : ((const int64_t *)data)[row];
        return wide_of((uint64_t)v, v < 0 ? UINT64_MAX : 0, true);
    }
    const duckdb_hugeint *v = (const duckdb_hugeint *)data + row;
    return wide_of(v->lower, (uint64_t)v->upper, id == DUCKDB_TYPE_HUGEINT);
}

// Decimal digits with the point `scale` places from the right.
static void put_wide(Wide v, unsigned scale, Buf *out)
{
    char digits[64];
    size_t at = sizeof(digits);
    unsigned count = 0;
    while (v.magnitude != 0 || count <= scale) {
        if (count == scale && scale != 0) {
            digits[--at] = '.';
        }
        digits[--at] = (char)('0' + (int)(v.magnitude % 10));
        v.magnitude /= 10;
        count++;
    }
    if (v.negative) {
        digits[--at] = '-';
    }
    buf_put(out, digits + at, sizeof(digits) - at);
}

// Rounded once. Powers of ten up to 10^22 are exact, and so is a magnitude below 2^53; beyond, the
// decimal text is read.
static double wide_double(Wide v, unsigned scale)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (scale == 0 || (scale < ARRAY_LEN(powers) && v.magnitude >> 53 == 0)) {
        const double d = scale == 0 ? (double)v.magnitude : (double)v.magnitude / powers[scale];
        return v.negative ? -d : d;
    }
    double d = 0;
    Buf text;
    buf_init(&text, 0);
    put_wide(v, scale, &text);
    (void)num_parse_f64(buf_str(&text), &d); // digits and a point are a number
    buf_deinit(&text);
    return d;
}

static const uint64_t *copy_validity(SqlRun *run, duckdb_vector from, idx_t count)
{
    const uint64_t *validity = duckdb_vector_get_validity(from);
    if (validity == NULL) {
        return NULL;
    }
    uint64_t *copy = arena_new(&run->rows, uint64_t, (count + 63) / 64);
    memcpy(copy, validity, (count + 63) / 64 * sizeof(*copy));
    return copy;
}

// Text of `count` rows: gathered, since DuckDB keeps each string where it pleases.
static Status put_text(SqlRun *run, const duckdb_string_t *strings, idx_t count, Vector *out,
                       Err *err)
{
    const uint64_t *validity = out->validity;
    uint32_t *offsets = arena_new(&run->rows, uint32_t, count + 1);
    uint64_t total = 0;
    for (idx_t i = 0; i < count; i++) {
        offsets[i] = (uint32_t)total;
        total += validity_get(validity, i) ? duckdb_string_t_length(strings[i]) : 0;
        if (total > UINT32_MAX) {
            return err_set(err, ERR_TOO_LARGE, "more than 4 GiB of text in %" PRIu64 " rows",
                           (uint64_t)count);
        }
    }
    offsets[count] = (uint32_t)total;
    uint8_t *bytes = arena_new(&run->rows, uint8_t, total + 1);
    for (idx_t i = 0; i < count; i++) {
        if (offsets[i + 1] != offsets[i]) {
            duckdb_string_t text = strings[i];
            memcpy(bytes + offsets[i], duckdb_string_t_data(&text), offsets[i + 1] - offsets[i]);
        }
    }
    out->offsets = offsets;
    out->bytes = bytes;
    return OK;
}

static void convert_wide(SqlRun *run, duckdb_logical_type type, duckdb_vector from, idx_t count,
                         Vector *out)
{
    const void *data = duckdb_vector_get_data(from);
    const unsigned scale =
        duckdb_get_type_id(type) == DUCKDB_TYPE_DECIMAL ? duckdb_decimal_scale(type) : 0;
    if (out->type == COLUMN_DOUBLE) {
        double *values = arena_new(&run->rows, double, count);
        for (idx_t i = 0; i < count; i++) {
            values[i] = wide_double(wide_at(type, data, i), scale);
        }
        out->data = values;
        return;
    }
    Buf text = {0};
    uint32_t *offsets = arena_new(&run->rows, uint32_t, count + 1);
    buf_init(&text, 0);
    for (idx_t i = 0; i < count; i++) {
        if (validity_get(out->validity, i)) {
            put_wide(wide_at(type, data, i), scale, &text);
        }
        offsets[i + 1] = (uint32_t)text.len;
    }
    out->offsets = offsets;
    out->bytes = (const uint8_t *)arena_str(&run->rows, buf_str(&text)).ptr;
    buf_deinit(&text);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && a < 0);
}

// Seconds, milliseconds and nanoseconds become microseconds; what is out of range becomes infinite.
static void convert_timestamps(SqlRun *run, duckdb_type id, duckdb_vector from, idx_t count,
                               Vector *out)
{
    const int64_t *in = duckdb_vector_get_data(from);
    const int64_t factor = id == DUCKDB_TYPE_TIMESTAMP_S    ? 1000000
                           : id == DUCKDB_TYPE_TIMESTAMP_MS ? 1000
                                                            : 1;
    int64_t *us = arena_new(&run->rows, int64_t, count);
    for (idx_t i = 0; i < count; i++) {
        const bool infinite = in[i] == INT64_MAX || in[i] == -INT64_MAX;
        if (infinite) {
            us[i] = in[i];
        } else if (id == DUCKDB_TYPE_TIMESTAMP_NS) {
            us[i] = floor_div(in[i], 1000);
        } else if (__builtin_mul_overflow(in[i], factor, &us[i])) {
            us[i] = in[i] < 0 ? -INT64_MAX : INT64_MAX;
        }
    }
    out->data = us;
}

static void convert_uuids(SqlRun *run, duckdb_vector from, idx_t count, Vector *out)
{
    const duckdb_hugeint *in = duckdb_vector_get_data(from);
    uint8_t *uuids = arena_new(&run->rows, uint8_t, count * 16);
    for (idx_t i = 0; i < count; i++) {
        const uint64_t half[2] = {(uint64_t)in[i].upper ^ UINT64_C(1) << 63, in[i].lower};
        for (size_t k = 0; k < 16; k++) {
            uuids[i * 16 + k] = (uint8_t)(half[k / 8] >> (56 - 8 * (k % 8)));
        }
    }
    out->data = uuids;
}

// Pairs of a row may lie anywhere, and rows may share them: they are put in the order of the rows.
static Status gather_pairs(SqlRun *run, duckdb_vector from, const uint32_t *pairs, uint32_t total,
                           Vector *out, Err *err)
{
    uint64_t *valid = duckdb_vector_get_validity(from);
    const duckdb_string_t *strings = duckdb_vector_get_data(from);
    duckdb_string_t *chosen = arena_new(&run->rows, duckdb_string_t, total);
    uint64_t *validity = arena_new(&run->rows, uint64_t, total / 64 + 1);
    for (uint32_t i = 0; i < total; i++) {
        chosen[i] = strings[pairs[i]];
        validity_set(validity, i, valid == NULL || duckdb_validity_row_is_valid(valid, pairs[i]));
    }
    *out = (Vector){
        .type = COLUMN_STRING, .form = VECTOR_FLAT, .row_count = total, .validity = validity};
    return put_text(run, chosen, total, out, err);
}

static Status convert_map(SqlRun *run, duckdb_vector from, idx_t count, Vector *out, Err *err)
{
    const duckdb_list_entry *entries = duckdb_vector_get_data(from);
    duckdb_vector child = duckdb_list_vector_get_child(from);
    uint32_t *offsets = arena_new(&run->rows, uint32_t, count + 1);
    Vector *children = arena_new(&run->rows, Vector, 2);
    uint64_t total = 0;

    for (idx_t i = 0; i < count; i++) {
        offsets[i] = (uint32_t)total;
        total += validity_get(out->validity, i) ? entries[i].length : 0;
        if (total > UINT32_MAX) {
            return err_set(err, ERR_TOO_LARGE, "more than 2^32 map entries in %" PRIu64 " rows",
                           (uint64_t)count);
        }
    }
    offsets[count] = (uint32_t)total;
    uint32_t *pairs = arena_new(&run->rows, uint32_t, total);
    for (idx_t i = 0; i < count; i++) {
        for (uint32_t k = offsets[i]; k < offsets[i + 1]; k++) {
            pairs[k] = (uint32_t)(entries[i].offset + (k - offsets[i]));
        }
    }
    for (idx_t k = 0; k < 2; k++) {
        TRY(gather_pairs(run, duckdb_struct_vector_get_child(child, k), pairs, (uint32_t)total,
                         &children[k], err));
    }
    out->offsets = offsets;
    out->keys = &children[0];
    out->values = &children[1];
    return OK;
}

static Status convert_column(SqlRun *run, duckdb_vector from, idx_t count, Vector *out, Err *err)
{
    Status st = OK;
    duckdb_logical_type type = duckdb_vector_get_column_type(from);
    const duckdb_type id = duckdb_get_type_id(type);

    out->validity = copy_validity(run, from, count);
    if (is_wide_number(id)) {
        convert_wide(run, type, from, count, out);
    } else if (id == DUCKDB_TYPE_TIMESTAMP_S || id == DUCKDB_TYPE_TIMESTAMP_MS ||
               id == DUCKDB_TYPE_TIMESTAMP_NS) {
        convert_timestamps(run, id, from, count, out);
    } else if (id == DUCKDB_TYPE_UUID) {
        convert_uuids(run, from, count, out);
    } else if (out->type == COLUMN_MAP) {
        st = convert_map(run, from, count, out, err);
    } else if (column_type_size(out->type) == 0) {
        st = put_text(run, duckdb_vector_get_data(from), count, out, err);
    } else {
        out->data = duckdb_vector_get_data(from);
    }
    duckdb_destroy_logical_type(&type);
    return st;
}

Status sql_convert_chunk(SqlRun *run, Batch *out, Err *err)
{
    const idx_t count = duckdb_data_chunk_get_size(run->chunk);
    for (size_t i = 0; i < run->schema.count; i++) {
        run->vectors[i] = (Vector){
            .type = run->schema.fields[i].type, .form = VECTOR_FLAT, .row_count = (uint32_t)count};
        TRY(convert_column(run, duckdb_data_chunk_get_vector(run->chunk, i), count,
                           &run->vectors[i], err));
    }
    *out = (Batch){.schema = &run->schema, .columns = run->vectors, .row_count = (uint32_t)count};
    return OK;
}
