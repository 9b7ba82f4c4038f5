// SPDX-License-Identifier: Apache-2.0
#include "column/vector.h"

#include "column/vector_internal.h"

// ---- single rows

// The run that holds `row`.
static uint32_t run_of(const Vector *v, uint32_t row)
{
    uint32_t lo = 0;
    uint32_t hi = v->run_count;
    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;
        if (v->run_ends[mid] <= row) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

bool vector_locate(const Vector *v, uint32_t row, const Vector **flat, uint32_t *index)
{
    if (v->form == VECTOR_RUNS) {
        row = run_of(v, row);
        v = v->runs;
    }
    if (!validity_get(v->validity, row)) {
        return false;
    }
    *flat = v->form == VECTOR_DICT ? v->dict : v;
    *index = v->form == VECTOR_DICT ? v->codes[row] : row;
    return true;
}

bool vector_value_equal(const Vector *a, uint32_t i, const Vector *b, uint32_t k)
{
    const size_t size = column_type_size(a->type);
    if (size != 0) {
        return memcmp((const uint8_t *)a->data + i * size, (const uint8_t *)b->data + k * size,
                      size) == 0;
    }
    if (a->type != COLUMN_MAP) {
        return str_eq(vector_flat_str(a, i), vector_flat_str(b, k));
    }
    const uint32_t count = a->offsets[i + 1] - a->offsets[i];
    if (count != b->offsets[k + 1] - b->offsets[k]) {
        return false;
    }
    for (uint32_t e = 0; e < count; e++) {
        if (!vector_row_equal(a->keys, a->offsets[i] + e, b->keys, b->offsets[k] + e) ||
            !vector_row_equal(a->values, a->offsets[i] + e, b->values, b->offsets[k] + e)) {
            return false;
        }
    }
    return true;
}

bool vector_row_equal(const Vector *a, uint32_t i, const Vector *b, uint32_t k)
{
    const Vector *flat_a = NULL;
    const Vector *flat_b = NULL;
    uint32_t at_a = 0;
    uint32_t at_b = 0;
    const bool valid = vector_locate(a, i, &flat_a, &at_a);
    if (valid != vector_locate(b, k, &flat_b, &at_b)) {
        return false;
    }
    return !valid || vector_value_equal(flat_a, at_a, flat_b, at_b);
}

bool vector_equal(const Vector *a, const Vector *b)
{
    if (a->type != b->type || a->row_count != b->row_count) {
        return false;
    }
    for (uint32_t row = 0; row < a->row_count; row++) {
        if (!vector_row_equal(a, row, b, row)) {
            return false;
        }
    }
    return true;
}

// ---- many rows

static uint64_t *new_validity(uint32_t count, Arena *arena)
{
    return arena_new(arena, uint64_t, ((size_t)count + 63) / 64);
}

// Bits [from, from + count) of `validity`, from bit 0 on; NULL stays NULL.
static const uint64_t *slice_validity(const uint64_t *validity, uint32_t from, uint32_t count,
                                      Arena *arena)
{
    if (validity == NULL || count == 0) {
        return NULL;
    }
    const uint32_t shift = from % 64;
    const uint64_t *words = validity + from / 64;
    if (shift == 0) {
        return words;
    }
    uint64_t *out = new_validity(count, arena);
    const uint32_t last = (uint32_t)(((uint64_t)shift + count - 1) / 64); // of the source
    for (uint32_t i = 0; i < (count + 63) / 64; i++) {
        const uint64_t high = i < last ? words[i + 1] << (64 - shift) : 0;
        out[i] = words[i] >> shift | high;
    }
    return out;
}

static void copy_fixed(const Vector *flat, const uint32_t *index, uint32_t count, void *out)
{
    const uint8_t *from = flat->data;
    uint8_t *to = out;
    switch (column_type_size(flat->type)) { // constant sizes become single moves
    case 1:
        for (uint32_t i = 0; i < count; i++) {
            to[i] = from[index[i]];
        }
        return;
    case 4:
        for (uint32_t i = 0; i < count; i++) {
            memcpy(to + (size_t)i * 4, from + (size_t)index[i] * 4, 4);
        }
        return;
    case 8:
        for (uint32_t i = 0; i < count; i++) {
            memcpy(to + (size_t)i * 8, from + (size_t)index[i] * 8, 8);
        }
        return;
    default: {
        const size_t size = column_type_size(flat->type);
        for (uint32_t i = 0; i < count; i++) {
            memcpy(to + i * size, from + index[i] * size, size);
        }
    }
    }
}

static Vector take_map(const Vector *flat, const uint32_t *index, const uint64_t *validity,
                       uint32_t count, Arena *arena);

// Values index[0..count) of `flat`, where `validity` says so; FLAT. Indexes of null rows are not
// looked at.
static Vector take_flat(const Vector *flat, const uint32_t *index, const uint64_t *validity,
                        uint32_t count, Arena *arena)
{
    Vector out = {.type = flat->type, .row_count = count, .validity = validity};
    const size_t size = column_type_size(flat->type);
    if (size != 0) {
        uint8_t *data = arena_alloc(arena, count, size, 16);
        if (validity == NULL) {
            copy_fixed(flat, index, count, data);
        } else {
            for (uint32_t i = 0; i < count; i++) {
                if (validity_get(validity, i)) {
                    memcpy(data + i * size, (const uint8_t *)flat->data + index[i] * size, size);
                }
            }
        }
        out.data = data;
        return out;
    }
    if (flat->type == COLUMN_MAP) {
        return take_map(flat, index, validity, count, arena);
    }
    uint32_t *offsets = arena_new(arena, uint32_t, (size_t)count + 1);
    uint64_t end = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (validity_get(validity, i)) {
            end += flat->offsets[index[i] + 1] - flat->offsets[index[i]];
        }
        ASSERT(end <= UINT32_MAX); // vector_flat_bytes() of the caller
        offsets[i + 1] = (uint32_t)end;
    }
    uint8_t *bytes = arena_new(arena, uint8_t, end);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t len = offsets[i + 1] - offsets[i];
        if (len > 0) {
            memcpy(bytes + offsets[i], flat->bytes + flat->offsets[index[i]], len);
        }
    }
    out.offsets = offsets;
    out.bytes = bytes;
    return out;
}

static Vector *new_vector(Vector v, Arena *arena)
{
    Vector *p = arena_new(arena, Vector, 1);
    *p = v;
    return p;
}

static Vector take_map(const Vector *flat, const uint32_t *index, const uint64_t *validity,
                       uint32_t count, Arena *arena)
{
    uint32_t *offsets = arena_new(arena, uint32_t, (size_t)count + 1);
    uint64_t end = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (validity_get(validity, i)) {
            end += flat->offsets[index[i] + 1] - flat->offsets[index[i]];
        }
        ASSERT(end <= UINT32_MAX);
        offsets[i + 1] = (uint32_t)end;
    }
    uint32_t *entries = arena_new(arena, uint32_t, end);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t e = offsets[i]; e < offsets[i + 1]; e++) {
            entries[e] = flat->offsets[index[i]] + (e - offsets[i]);
        }
    }
    return (Vector){
        .type = COLUMN_MAP,
        .row_count = count,
        .validity = validity,
        .offsets = offsets,
        .keys = new_vector(vector_take(flat->keys, entries, (uint32_t)end, arena), arena),
        .values = new_vector(vector_take(flat->values, entries, (uint32_t)end, arena), arena),
    };
}

// Validity of rows index[0..count) of `v`, FLAT or DICT; NULL when `v` has no nulls.
static const uint64_t *take_validity(const Vector *v, const uint32_t *index, uint32_t count,
                                     Arena *arena)
{
    if (v->validity == NULL || count == 0) {
        return NULL;
    }
    uint64_t *out = new_validity(count, arena);
    for (uint32_t i = 0; i < count; i++) {
        out[i / 64] |= (uint64_t)validity_get(v->validity, index[i]) << (i % 64);
    }
    return out;
}

// Rows index[0..count) of `v`, which is FLAT or DICT, in the same form.
static Vector take_same_form(const Vector *v, const uint32_t *index, uint32_t count, Arena *arena)
{
    const uint64_t *validity = take_validity(v, index, count, arena);
    if (v->form == VECTOR_FLAT) {
        return take_flat(v, index, validity, count, arena);
    }
    uint32_t *codes = arena_new(arena, uint32_t, count);
    for (uint32_t i = 0; i < count; i++) {
        codes[i] = v->codes[index[i]];
    }
    return (Vector){.type = v->type,
                    .form = VECTOR_DICT,
                    .row_count = count,
                    .validity = validity,
                    .codes = codes,
                    .dict = v->dict};
}

Vector vector_take(const Vector *v, const uint32_t *rows, uint32_t count, Arena *arena)
{
    if (v->form != VECTOR_RUNS) {
        return take_same_form(v, rows, count, arena);
    }
    uint32_t *runs = arena_new(arena, uint32_t, count);
    uint32_t run = 0;
    for (uint32_t i = 0; i < count; i++) {
        // Rows often come in order: then the run is the same as before.
        const uint32_t start = run == 0 ? 0 : v->run_ends[run - 1];
        if (rows[i] < start || rows[i] >= v->run_ends[run]) {
            run = run_of(v, rows[i]);
        }
        runs[i] = run;
    }
    return take_same_form(v->runs, runs, count, arena);
}

Vector vector_flatten(const Vector *v, Arena *arena)
{
    if (v->form == VECTOR_FLAT) {
        return *v;
    }
    if (v->form == VECTOR_DICT) {
        return take_flat(v->dict, v->codes, v->validity, v->row_count, arena);
    }
    uint32_t *index = arena_new(arena, uint32_t, v->row_count);
    uint32_t row = 0;
    for (uint32_t k = 0; k < v->run_count; k++) {
        for (; row < v->run_ends[k]; row++) {
            index[row] = k;
        }
    }
    const Vector rows = take_same_form(v->runs, index, v->row_count, arena);
    return vector_flatten(&rows, arena); // one step deep: `rows` is FLAT or DICT
}

static uint64_t entry_size(const Vector *flat, uint32_t i)
{
    return flat->offsets[i + 1] - flat->offsets[i];
}

uint64_t vector_flat_bytes(const Vector *v)
{
    if (column_type_size(v->type) != 0) {
        return 0;
    }
    const Vector *rows = v->form == VECTOR_RUNS ? v->runs : v;
    const uint32_t count = v->form == VECTOR_RUNS ? v->run_count : v->row_count;
    uint64_t total = 0;
    uint32_t before = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t end = v->form == VECTOR_RUNS ? v->run_ends[i] : i + 1;
        if (validity_get(rows->validity, i)) {
            const uint64_t size = rows->form == VECTOR_DICT ? entry_size(rows->dict, rows->codes[i])
                                                            : entry_size(rows, i);
            total += size * (end - before);
        }
        before = end;
    }
    return total;
}

// ---- slices

static Vector slice_rows(const Vector *v, uint32_t from, uint32_t count, Arena *arena)
{
    Vector out = *v;
    out.row_count = count;
    out.validity = slice_validity(v->validity, from, count, arena);
    if (v->form == VECTOR_DICT) {
        out.codes = count == 0 ? v->codes : v->codes + from;
        return out;
    }
    const size_t size = column_type_size(v->type);
    if (size == 0) {
        out.offsets = v->offsets + from;
    } else if (count > 0) {
        out.data = (const uint8_t *)v->data + from * size;
    }
    return out;
}

Vector vector_slice(const Vector *v, uint32_t from, uint32_t count, Arena *arena)
{
    ASSERT(from <= v->row_count && count <= v->row_count - from);
    if (v->form != VECTOR_RUNS) {
        return slice_rows(v, from, count, arena);
    }
    Vector out = *v;
    out.row_count = count;
    out.run_count = 0;
    uint32_t first = 0;
    if (count > 0) {
        first = run_of(v, from);
        out.run_count = run_of(v, from + count - 1) - first + 1;
        uint32_t *ends = arena_new(arena, uint32_t, out.run_count);
        for (uint32_t k = 0; k < out.run_count; k++) {
            ends[k] = v->run_ends[first + k] - from;
        }
        ends[out.run_count - 1] = count;
        out.run_ends = ends;
    }
    out.runs = new_vector(slice_rows(v->runs, first, out.run_count, arena), arena);
    return out;
}

// ---- constants

static Vector one_run(Vector value, uint32_t row_count, Arena *arena)
{
    Vector out = {.type = value.type, .form = VECTOR_RUNS, .row_count = row_count};
    uint32_t *end = arena_new(arena, uint32_t, 1);
    *end = row_count;
    out.run_ends = end;
    out.run_count = row_count > 0;
    value.row_count = out.run_count;
    out.runs = new_vector(value, arena);
    return out;
}

Vector vector_constant_str(ColumnType type, Str value, uint32_t row_count, Arena *arena)
{
    ASSERT(type == COLUMN_STRING || type == COLUMN_BINARY);
    ASSERT(value.len <= UINT32_MAX);
    uint32_t *offsets = arena_new(arena, uint32_t, 2);
    offsets[1] = (uint32_t)value.len;
    const Vector flat = {
        .type = type, .offsets = offsets, .bytes = (const uint8_t *)arena_str(arena, value).ptr};
    return one_run(flat, row_count, arena);
}

Vector vector_constant_fixed(ColumnType type, const void *value, uint32_t row_count, Arena *arena)
{
    const size_t size = column_type_size(type);
    ASSERT(size != 0);
    void *data = arena_alloc(arena, 1, size, 16);
    memcpy(data, value, size);
    return one_run((Vector){.type = type, .data = data}, row_count, arena);
}

Vector vector_nulls(ColumnType type, uint32_t row_count, Arena *arena)
{
    Vector flat = {.type = type};
    flat.validity = new_validity(1, arena); // zero: null
    if (column_type_size(type) != 0) {
        flat.data = arena_alloc(arena, 1, column_type_size(type), 16);
    } else {
        flat.offsets = arena_new(arena, uint32_t, 2);
        flat.bytes = arena_new(arena, uint8_t, 1);
    }
    if (type == COLUMN_MAP) {
        const Vector empty = {
            .type = COLUMN_STRING, .offsets = arena_new(arena, uint32_t, 1), .bytes = flat.bytes};
        flat.keys = new_vector(empty, arena);
        flat.values = flat.keys;
    }
    return one_run(flat, row_count, arena);
}
