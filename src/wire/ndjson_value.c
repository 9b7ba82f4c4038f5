// SPDX-License-Identifier: Apache-2.0
#include "base/civil.h"
#include "wire/ndjson_internal.h"

#include <math.h>
#include <stdlib.h>

// Beyond this, not every integer is a double.
static const int64_t exact_double_max = INT64_C(1) << 53;

static Status mismatch(const NdjsonColumn *column, const JsonToken *token, const char *expected,
                       Err *err)
{
    return err_set(err, ERR_INVALID, "byte %zu: field '" STR_FMT "': expected %s (%s), found %s",
                   token->offset + 1, STR_ARG(column->name), expected,
                   column_type_sql(column->type), json_kind_text(token->kind));
}

static Status out_of_range(const NdjsonColumn *column, const JsonToken *token, Err *err)
{
    return err_set(err, ERR_INVALID, "byte %zu: field '" STR_FMT "': " STR_FMT " does not fit %s",
                   token->offset + 1, STR_ARG(column->name), STR_ARG(str_slice(token->str, 0, 48)),
                   column_type_sql(column->type));
}

// ---- Types that are found out

static ColumnType inferred_type(const JsonToken *token)
{
    switch (token->kind) {
    case JSON_BOOL:
        return COLUMN_BOOL;
    case JSON_INT:
        return COLUMN_INT64;
    case JSON_UINT:
        return COLUMN_UINT64;
    case JSON_DOUBLE:
        return COLUMN_DOUBLE;
    case JSON_STRING:
        return COLUMN_STRING;
    case JSON_OBJECT_BEGIN:
        return COLUMN_MAP;
    case JSON_END:
    case JSON_NULL:
    case JSON_KEY:
    case JSON_OBJECT_END:
    case JSON_ARRAY_BEGIN:
    case JSON_ARRAY_END:
        break;
    }
    UNREACHABLE();
}

// Copies the values so far into a column of the wider type; the caller knows that they all fit.
static void widen(Ndjson *n, NdjsonColumn *column, ColumnType type)
{
    Builder *wide = ndjson_builder_take(n, type);
    const Vector old = builder_vector(column->builder);
    const int64_t *values = old.data; // UBIGINT: the same bits
    for (uint32_t i = 0; i < old.row_count; i++) {
        if (!validity_get(old.validity, i)) {
            builder_null(wide);
        } else if (type == COLUMN_UINT64) {
            builder_u64(wide, (uint64_t)values[i]);
        } else if (column->type == COLUMN_UINT64) {
            builder_f64(wide, (double)(uint64_t)values[i]);
        } else {
            builder_f64(wide, (double)values[i]);
        }
    }
    ndjson_builder_give(n, column->type, column->builder);
    column->builder = wide;
    column->type = type;
}

// Makes an inferred integer column fit for `token`, where that loses nothing.
static Status widen_for(Ndjson *n, NdjsonColumn *column, const JsonToken *token, Err *err)
{
    const bool to_double = token->kind == JSON_DOUBLE;
    const bool to_unsigned = token->kind == JSON_UINT && column->type == COLUMN_INT64;
    if (column->known || (column->type != COLUMN_INT64 && column->type != COLUMN_UINT64)) {
        return OK;
    }
    if (to_double) {
        if (column->beyond_2_53) {
            return err_set(err, ERR_INVALID,
                           "byte %zu: field '" STR_FMT
                           "': found a fractional number, but earlier rows hold integers (%s) that "
                           "DOUBLE cannot hold exactly",
                           token->offset + 1, STR_ARG(column->name), column_type_sql(column->type));
        }
        widen(n, column, COLUMN_DOUBLE);
    }
    if (to_unsigned) {
        if (column->negative) {
            return out_of_range(column, token, err);
        }
        widen(n, column, COLUMN_UINT64);
    }
    return OK;
}

static Status ensure_type(Ndjson *n, NdjsonColumn *column, const JsonToken *token, Err *err)
{
    if (token->kind == JSON_ARRAY_BEGIN) {
        return err_set(err, ERR_INVALID,
                       "byte %zu: field '" STR_FMT "': found an array; no column type holds arrays",
                       token->offset + 1, STR_ARG(column->name));
    }
    if (column->typed) {
        return widen_for(n, column, token, err);
    }
    column->typed = true;
    column->type = inferred_type(token);
    column->builder = ndjson_builder_take(n, column->type);
    return OK;
}

// ---- Numbers

static Status put_integer(NdjsonColumn *column, const JsonToken *token, Err *err)
{
    static const struct {
        int64_t min;
        uint64_t max;
    } ranges[] = {
        [COLUMN_INT8] = {INT8_MIN, INT8_MAX},    [COLUMN_INT16] = {INT16_MIN, INT16_MAX},
        [COLUMN_INT32] = {INT32_MIN, INT32_MAX}, [COLUMN_INT64] = {INT64_MIN, INT64_MAX},
        [COLUMN_UINT8] = {0, UINT8_MAX},         [COLUMN_UINT16] = {0, UINT16_MAX},
        [COLUMN_UINT32] = {0, UINT32_MAX},       [COLUMN_UINT64] = {0, UINT64_MAX},
    };
    if (token->kind != JSON_INT && token->kind != JSON_UINT) {
        return mismatch(column, token, "an integer", err);
    }
    const bool negative = token->kind == JSON_INT && token->i64 < 0;
    const uint64_t magnitude = token->kind == JSON_INT ? (uint64_t)token->i64 : token->u64;
    if (negative ? token->i64 < ranges[column->type].min : magnitude > ranges[column->type].max) {
        return out_of_range(column, token, err);
    }
    column->negative = column->negative || negative;
    column->beyond_2_53 = column->beyond_2_53 || token->kind == JSON_UINT ||
                          token->i64 > exact_double_max || token->i64 < -exact_double_max;
    if (token->kind == JSON_UINT) {
        builder_u64(column->builder, token->u64);
    } else {
        builder_i64(column->builder, token->i64);
    }
    return OK;
}

static Status put_double(NdjsonColumn *column, const JsonToken *token, Err *err)
{
    double v = 0;
    if (token->kind == JSON_INT) {
        v = token->i64 == 0 && token->str.ptr[0] == '-' ? -0.0 : (double)token->i64;
    } else if (token->kind == JSON_UINT) {
        v = (double)token->u64;
    } else if (token->kind == JSON_DOUBLE) {
        v = token->f64;
    } else {
        return mismatch(column, token, "a number", err);
    }
    if (column->type == COLUMN_FLOAT && !isfinite((float)v)) {
        return out_of_range(column, token, err);
    }
    builder_f64(column->builder, v);
    return OK;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

// Seconds are not offered: any 32-bit number would be a plausible time.
static int64_t epoch_to_us(int64_t v)
{
    static const int64_t ms_max = INT64_C(100000000000000);    // year 5138
    static const int64_t us_max = INT64_C(100000000000000000); // year 5138
    if (v > -ms_max && v < ms_max) {
        return v * 1000;
    }
    return v > -us_max && v < us_max ? v : floor_div(v, 1000);
}

static Status put_time(NdjsonColumn *column, const JsonToken *token, Err *err)
{
    int64_t us = 0;
    if (token->kind == JSON_INT) {
        us = epoch_to_us(token->i64);
    } else if (token->kind == JSON_UINT) {
        us = (int64_t)(token->u64 / 1000);
    } else if (token->kind != JSON_STRING) {
        return mismatch(column, token, "an RFC 3339 string or an integer since 1970", err);
    } else if (!civil_parse_us(token->str, &us)) {
        return err_set(
            err, ERR_INVALID,
            "byte %zu: field '" STR_FMT "': expected a time such as 2026-11-21T10:00:00Z, "
            "found \"" STR_FMT "\"",
            token->offset + 1, STR_ARG(column->name), STR_ARG(str_slice(token->str, 0, 48)));
    }
    builder_i64(column->builder, us);
    return OK;
}

// ---- Text of a certain form

static Status bad_text(const NdjsonColumn *column, const JsonToken *token, const char *expected,
                       Err *err)
{
    return err_set(err, ERR_INVALID,
                   "byte %zu: field '" STR_FMT "': expected %s (%s), found \"" STR_FMT "\"",
                   token->offset + 1, STR_ARG(column->name), expected,
                   column_type_sql(column->type), STR_ARG(str_slice(token->str, 0, 48)));
}

static Status put_date(NdjsonColumn *column, const JsonToken *token, Err *err)
{
    static const int64_t day_us = INT64_C(86400000000);
    enum { DATE_LEN = 10 };
    int64_t us = 0;
    if (token->kind != JSON_STRING) {
        return mismatch(column, token, "a string", err);
    }
    if (token->str.len != DATE_LEN || !civil_parse_us(token->str, &us)) {
        return bad_text(column, token, "a date such as 2026-11-21", err);
    }
    builder_i64(column->builder, floor_div(us, day_us));
    return OK;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char l = (char)(c | 0x20);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

static bool parse_uuid(Str s, uint8_t out[16])
{
    enum { UUID_LEN = 36 };
    size_t n = 0;
    if (s.len != UUID_LEN) {
        return false;
    }
    for (size_t i = 0; i < UUID_LEN;) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (s.ptr[i] != '-') {
                return false;
            }
            i++;
            continue;
        }
        const int hi = hex_digit(s.ptr[i]);
        const int lo = hex_digit(s.ptr[i + 1]);
        if (hi < 0 || lo < 0) {
            return false;
        }
        out[n++] = (uint8_t)(hi << 4 | lo);
        i += 2;
    }
    return true;
}

static Status put_uuid(NdjsonColumn *column, const JsonToken *token, Err *err)
{
    uint8_t bytes[16];
    if (token->kind != JSON_STRING) {
        return mismatch(column, token, "a string", err);
    }
    if (!parse_uuid(token->str, bytes)) {
        return bad_text(column, token, "a UUID of 8-4-4-4-12 hex digits", err);
    }
    builder_uuid(column->builder, bytes);
    return OK;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// RFC 4648, section 4: padded, and what is left of the last digit is zero.
static bool decode_base64(Str s, Buf *out)
{
    buf_clear(out);
    if (s.len % 4 != 0) {
        return false;
    }
    for (size_t i = 0; i < s.len; i += 4) {
        const bool last = i + 4 == s.len;
        const size_t pad = !last ? 0 : s.ptr[i + 3] != '=' ? 0 : s.ptr[i + 2] != '=' ? 1 : 2;
        uint32_t bits = 0;
        for (size_t k = 0; k < 4; k++) {
            const int digit = k >= 4 - pad ? 0 : base64_digit(s.ptr[i + k]);
            if (digit < 0) {
                return false;
            }
            bits = bits << 6 | (uint32_t)digit;
        }
        if ((pad == 1 && (bits & 0xff) != 0) || (pad == 2 && (bits & 0xffff) != 0)) {
            return false;
        }
        const uint8_t bytes[3] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
        buf_put(out, bytes, 3 - pad);
    }
    return true;
}

static Status put_text(Ndjson *n, NdjsonColumn *column, const JsonToken *token, Err *err)
{
    if (token->kind != JSON_STRING) {
        return mismatch(column, token, "a string", err);
    }
    if (token->str.len > NDJSON_STRING_BYTES_MAX) {
        return err_set(err, ERR_TOO_LARGE,
                       "byte %zu: field '" STR_FMT "': string of %zu bytes; the limit is %d",
                       token->offset + 1, STR_ARG(column->name), token->str.len,
                       NDJSON_STRING_BYTES_MAX);
    }
    if (column->type == COLUMN_STRING) {
        builder_str(column->builder, token->str);
        return OK;
    }
    if (!decode_base64(token->str, &n->scratch)) {
        return bad_text(column, token, "base64", err);
    }
    builder_str(column->builder, buf_str(&n->scratch));
    return OK;
}

// ---- Maps

static int compare_entries(const void *a, const void *b)
{
    const Str x = ((const struct NdjsonEntry *)a)->key;
    const Str y = ((const struct NdjsonEntry *)b)->key;
    const size_t len = x.len < y.len ? x.len : y.len;
    const int order = len == 0 ? 0 : memcmp(x.ptr, y.ptr, len);
    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

static Status read_entries(Ndjson *n, const NdjsonColumn *column, JsonReader *r, size_t *count,
                           Err *err)
{
    JsonToken key;
    JsonToken value;
    size_t bytes = 0;
    for (*count = 0;; (*count)++) {
        TRY(json_next(r, &key, err));
        if (key.kind == JSON_OBJECT_END) {
            return OK;
        }
        TRY(json_next(r, &value, err));
        if (value.kind != JSON_STRING) {
            return err_set(err, ERR_INVALID,
                           "byte %zu: field '" STR_FMT "', key '" STR_FMT
                           "': expected a string (%s), found %s",
                           value.offset + 1, STR_ARG(column->name),
                           STR_ARG(str_slice(key.str, 0, 48)), column_type_sql(COLUMN_MAP),
                           json_kind_text(value.kind));
        }
        bytes += key.str.len + value.str.len;
        if (*count == NDJSON_MAP_ENTRIES_MAX || bytes > NDJSON_STRING_BYTES_MAX) {
            return err_set(err, ERR_TOO_LARGE,
                           "byte %zu: field '" STR_FMT "': more than %d entries or %d bytes",
                           key.offset + 1, STR_ARG(column->name), NDJSON_MAP_ENTRIES_MAX,
                           NDJSON_STRING_BYTES_MAX);
        }
        n->entries[*count] = (struct NdjsonEntry){.key = key.str, .value = value.str};
    }
}

static Status put_map(Ndjson *n, NdjsonColumn *column, JsonReader *r, const JsonToken *token,
                      Err *err)
{
    size_t count = 0;
    if (token->kind != JSON_OBJECT_BEGIN) {
        return mismatch(column, token, "an object of strings", err);
    }
    TRY(read_entries(n, column, r, &count, err));
    qsort(n->entries, count, sizeof(n->entries[0]), compare_entries);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && str_eq(n->entries[i - 1].key, n->entries[i].key)) {
            return err_set(err, ERR_INVALID,
                           "byte %zu: field '" STR_FMT "': key '" STR_FMT "' twice",
                           token->offset + 1, STR_ARG(column->name),
                           STR_ARG(str_slice(n->entries[i].key, 0, 48)));
        }
        n->map_keys[i] = n->entries[i].key;
        n->map_values[i] = n->entries[i].value;
    }
    builder_map(column->builder, n->map_keys, n->map_values, count);
    return OK;
}

// ---- Any value

static Status put_typed(Ndjson *n, NdjsonColumn *column, JsonReader *r, const JsonToken *token,
                        Err *err)
{
    switch (column->type) {
    case COLUMN_BOOL:
        if (token->kind != JSON_BOOL) {
            return mismatch(column, token, "true or false", err);
        }
        builder_bool(column->builder, token->boolean);
        return OK;
    case COLUMN_INT8:
    case COLUMN_INT16:
    case COLUMN_INT32:
    case COLUMN_INT64:
    case COLUMN_UINT8:
    case COLUMN_UINT16:
    case COLUMN_UINT32:
    case COLUMN_UINT64:
        return put_integer(column, token, err);
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
        return put_double(column, token, err);
    case COLUMN_STRING:
    case COLUMN_BINARY:
        return put_text(n, column, token, err);
    case COLUMN_TIMESTAMP:
        return put_time(column, token, err);
    case COLUMN_DATE:
        return put_date(column, token, err);
    case COLUMN_UUID:
        return put_uuid(column, token, err);
    case COLUMN_MAP:
        return put_map(n, column, r, token, err);
    }
    UNREACHABLE();
}

Status ndjson_put(Ndjson *n, NdjsonColumn *column, JsonReader *r, JsonToken token, Err *err)
{
    TRY(ensure_type(n, column, &token, err));
    builder_nulls(column->builder, n->row - builder_row_count(column->builder));
    return put_typed(n, column, r, &token, err);
}
