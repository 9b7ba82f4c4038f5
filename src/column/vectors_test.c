// SPDX-License-Identifier: Apache-2.0
#include "column/vectors_internal.h"

// One in `n` rows is null; 0: none.
static const uint64_t *random_validity(Test *t, uint32_t count)
{
    const uint64_t n = test_random(t) % 4;
    if (n == 0) {
        return NULL;
    }
    uint64_t *validity = arena_new(&t->arena, uint64_t, count / 64 + 1);
    for (uint32_t i = 0; i < count; i++) {
        validity_set(validity, i, test_random(t) % n != 0);
    }
    return validity;
}

// Distinct strings when `distinct`: the number is part of them.
static Vector flat_strings(Test *t, ColumnType type, uint32_t count, bool distinct)
{
    uint32_t *offsets = arena_new(&t->arena, uint32_t, (size_t)count + 1);
    uint8_t *bytes = arena_new(&t->arena, uint8_t, (size_t)count * 24 + 8);
    uint32_t end = (uint32_t)(test_random(t) % 8); // the first need not begin at 0
    for (uint32_t i = 0; i < count; i++) {
        offsets[i] = end;
        if (distinct) {
            for (uint32_t n = i; n != 0; n /= 10) {
                bytes[end++] = (uint8_t)('0' + n % 10);
            }
        }
        for (uint64_t n = test_random(t) % 12; n > 0; n--) {
            bytes[end++] = (uint8_t)('a' + test_random(t) % 26);
        }
    }
    offsets[count] = end;
    return (Vector){.type = type, .row_count = count, .offsets = offsets, .bytes = bytes};
}

static Vector *new_vector(Test *t, Vector v)
{
    Vector *p = arena_new(&t->arena, Vector, 1);
    *p = v;
    return p;
}

static Vector flat_map(Test *t, uint32_t count)
{
    uint32_t *offsets = arena_new(&t->arena, uint32_t, (size_t)count + 1);
    for (uint32_t i = 0; i < count; i++) {
        offsets[i + 1] = offsets[i] + (uint32_t)(test_random(t) % 4);
    }
    // Keys of a row ascend: entry e of it is "k<e>".
    const uint32_t entries = offsets[count];
    uint32_t *codes = arena_new(&t->arena, uint32_t, (size_t)entries + 1);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t e = offsets[i]; e < offsets[i + 1]; e++) {
            codes[e] = e - offsets[i];
        }
    }
    static const uint32_t key_offsets[] = {0, 2, 4, 6};
    static const Vector dict = {.type = COLUMN_STRING,
                                .row_count = 3,
                                .offsets = key_offsets,
                                .bytes = (const uint8_t *)"k0k1k2"};
    const Vector keys = {.type = COLUMN_STRING,
                         .form = VECTOR_DICT,
                         .row_count = entries,
                         .codes = codes,
                         .dict = &dict};
    Vector values = flat_strings(t, COLUMN_STRING, entries, false);
    values.validity = random_validity(t, entries);
    return (Vector){.type = COLUMN_MAP,
                    .row_count = count,
                    .offsets = offsets,
                    .keys = new_vector(t, keys),
                    .values = new_vector(t, values)};
}

static Vector flat(Test *t, ColumnType type, uint32_t count, bool distinct)
{
    const size_t size = column_type_size(type);
    if (type == COLUMN_MAP) {
        return flat_map(t, count);
    }
    if (size == 0) {
        return flat_strings(t, type, count, distinct);
    }
    uint8_t *data = arena_alloc(&t->arena, (size_t)count + 1, size, 16);
    for (size_t i = 0; i < count * size; i++) {
        data[i] = (uint8_t)test_random(t);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (distinct) {
            memcpy(data + i * size, &i, size < 4 ? size : 4);
        }
        if (type == COLUMN_BOOL) {
            data[i] &= 1;
        }
    }
    return (Vector){.type = type, .row_count = count, .data = data};
}

// How many different values a dictionary of the type can have, here.
static uint32_t dict_size(Test *t, ColumnType type)
{
    if (type == COLUMN_MAP) { // random maps may repeat
        return 1;
    }
    return (uint32_t)(1 + test_random(t) % (type == COLUMN_BOOL ? 2 : 100));
}

Vector vectors_random(Test *t, ColumnType type, VectorForm form, uint32_t row_count)
{
    if (form == VECTOR_FLAT) {
        Vector v = flat(t, type, row_count, false);
        v.validity = random_validity(t, row_count);
        return v;
    }
    if (form == VECTOR_DICT) {
        const uint32_t values = dict_size(t, type);
        uint32_t *codes = arena_new(&t->arena, uint32_t, (size_t)row_count + 1);
        for (uint32_t i = 0; i < row_count; i++) {
            codes[i] = (uint32_t)(test_random(t) % values);
        }
        return (Vector){.type = type,
                        .form = VECTOR_DICT,
                        .row_count = row_count,
                        .validity = random_validity(t, row_count),
                        .codes = codes,
                        .dict = new_vector(t, flat(t, type, values, true))};
    }
    uint32_t *ends = arena_new(&t->arena, uint32_t, (size_t)row_count + 1);
    uint32_t runs = 0;
    for (uint32_t end = 0; end < row_count; runs++) {
        end += (uint32_t)(1 + test_random(t) % 20);
        end = end < row_count ? end : row_count;
        ends[runs] = end;
    }
    const VectorForm inner = test_random(t) % 2 == 0 ? VECTOR_FLAT : VECTOR_DICT;
    return (Vector){.type = type,
                    .form = VECTOR_RUNS,
                    .row_count = row_count,
                    .run_count = runs,
                    .run_ends = ends,
                    .runs = new_vector(t, vectors_random(t, type, inner, runs))};
}
