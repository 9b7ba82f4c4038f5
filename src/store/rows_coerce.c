// SPDX-License-Identifier: Apache-2.0
#include "store/rows_coerce.h"

typedef struct IntRange {
    bool is_integer;
    int64_t min;
    uint64_t max;
} IntRange;

static IntRange range_of(ColumnType type)
{
    switch (type) {
    case COLUMN_INT8:
        return (IntRange){true, INT8_MIN, INT8_MAX};
    case COLUMN_INT16:
        return (IntRange){true, INT16_MIN, INT16_MAX};
    case COLUMN_INT32:
        return (IntRange){true, INT32_MIN, INT32_MAX};
    case COLUMN_INT64:
        return (IntRange){true, INT64_MIN, INT64_MAX};
    case COLUMN_UINT8:
        return (IntRange){true, 0, UINT8_MAX};
    case COLUMN_UINT16:
        return (IntRange){true, 0, UINT16_MAX};
    case COLUMN_UINT32:
        return (IntRange){true, 0, UINT32_MAX};
    case COLUMN_UINT64:
        return (IntRange){true, 0, UINT64_MAX};
    case COLUMN_BOOL:
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
    case COLUMN_STRING:
    case COLUMN_BINARY:
    case COLUMN_TIMESTAMP:
    case COLUMN_DATE:
    case COLUMN_UUID:
    case COLUMN_MAP:
        return (IntRange){0};
    }
    UNREACHABLE();
}

bool coerce_is_possible(ColumnType from, ColumnType to)
{
    if (from == to) {
        return true;
    }
    const bool integer = range_of(from).is_integer;
    return (integer && range_of(to).is_integer) ||
           (to == COLUMN_DOUBLE && (integer || from == COLUMN_FLOAT));
}

// Element i of a FLAT vector of integers; UINT64 as its bits.
static int64_t load_integer(const Vector *v, size_t i)
{
    switch (column_type_size(v->type)) {
    case 1:
        return v->type == COLUMN_INT8 ? ((const int8_t *)v->data)[i]
                                      : ((const uint8_t *)v->data)[i];
    case 2:
        return v->type == COLUMN_INT16 ? ((const int16_t *)v->data)[i]
                                       : ((const uint16_t *)v->data)[i];
    case 4:
        return v->type == COLUMN_INT32 ? (int64_t)((const int32_t *)v->data)[i]
                                       : (int64_t)((const uint32_t *)v->data)[i];
    default:
        return ((const int64_t *)v->data)[i];
    }
}

static void store_integer(void *data, size_t size, size_t i, int64_t value)
{
    switch (size) {
    case 1:
        ((uint8_t *)data)[i] = (uint8_t)value;
        return;
    case 2:
        ((uint16_t *)data)[i] = (uint16_t)value;
        return;
    case 4:
        ((uint32_t *)data)[i] = (uint32_t)value;
        return;
    default:
        ((int64_t *)data)[i] = value;
        return;
    }
}

static bool fits(int64_t value, bool from_u64, const IntRange *range)
{
    if (from_u64) {
        return (uint64_t)value <= range->max;
    }
    return value >= range->min && (value < 0 || (uint64_t)value <= range->max);
}

static Status flat_to_integer(const Vector *v, ColumnType to, Arena *arena, Vector *out, Err *err)
{
    const IntRange range = range_of(to);
    const size_t size = column_type_size(to);
    const bool from_u64 = v->type == COLUMN_UINT64;
    void *data = arena_alloc(arena, (size_t)v->row_count + 1, size, 16);
    for (size_t i = 0; i < v->row_count; i++) {
        const int64_t value = load_integer(v, i);
        if (!validity_get(v->validity, i)) {
            continue;
        }
        if (!fits(value, from_u64, &range)) {
            return err_set(err, ERR_INVALID, "%" PRId64 " does not fit %s", value,
                           column_type_sql(to));
        }
        store_integer(data, size, i, value);
    }
    out->data = data;
    return OK;
}

static void flat_to_double(const Vector *v, Arena *arena, Vector *out)
{
    double *data = arena_new(arena, double, (size_t)v->row_count + 1);
    for (size_t i = 0; i < v->row_count; i++) {
        if (v->type == COLUMN_FLOAT) {
            data[i] = (double)((const float *)v->data)[i];
        } else if (v->type == COLUMN_UINT64) {
            data[i] = (double)((const uint64_t *)v->data)[i];
        } else {
            data[i] = (double)load_integer(v, i);
        }
    }
    out->data = data;
}

Status coerce_vector(const Vector *v, ColumnType to, Arena *arena, Vector *out, Err *err)
{
    if (v->type == to) {
        *out = *v;
        return OK;
    }
    if (!coerce_is_possible(v->type, to)) {
        return err_set(err, ERR_INVALID, "%s where %s is wanted", column_type_sql(v->type),
                       column_type_sql(to));
    }
    if (v->form != VECTOR_FLAT) {
        // The distinct values or runs are converted, and the form stays. Values that no row uses
        // may be in a dictionary, and must not fail the rows: then each row is looked at.
        Vector *inner = arena_new(arena, Vector, 1);
        const bool runs = v->form == VECTOR_RUNS;
        if (coerce_vector(runs ? v->runs : v->dict, to, arena, inner, err) != OK) {
            const Vector flat = vector_flatten(v, arena);
            return coerce_vector(&flat, to, arena, out, err);
        }
        *out = *v;
        out->type = to;
        *(runs ? &out->runs : &out->dict) = inner;
        return OK;
    }
    Vector flat = {.type = to, .row_count = v->row_count, .validity = v->validity};
    if (to == COLUMN_DOUBLE) {
        flat_to_double(v, arena, &flat);
    } else {
        TRY(flat_to_integer(v, to, arena, &flat, err));
    }
    *out = flat;
    return OK;
}
