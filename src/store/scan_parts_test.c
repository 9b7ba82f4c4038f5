// SPDX-License-Identifier: Apache-2.0
//
// Row filter, gather and deduplication against naive versions, on random vectors of every form.
#include "column/builder.h"
#include "store/scan_dedup.h"
#include "store/scan_filter.h"
#include "store/scan_gather.h"

#include "tests/support/test.h"

#include <math.h>

enum { ROWS_MAX = 3000, DISTINCT_MAX = 12 };

// --- random vectors ------------------------------------------------------------------------------

// One of a few values of any type; FLAT and without nulls.
static Vector distinct_values(Test *t, ColumnType type, uint32_t count)
{
    Vector v = {.type = type, .form = VECTOR_FLAT, .row_count = count};
    const size_t size = column_type_size(type);
    if (size != 0) {
        uint8_t *data = arena_alloc(&t->arena, count + 1, size, 16);
        for (uint32_t i = 0; i < count; i++) {
            if (type == COLUMN_DOUBLE) {
                ((double *)(void *)data)[i] = i == 0 ? (double)NAN : (double)i - 4.5;
            } else if (type == COLUMN_FLOAT) {
                ((float *)(void *)data)[i] = i == 0 ? NAN : (float)i - 4.5F;
            } else {
                memset(data + i * size, type == COLUMN_BOOL ? (int)(i & 1) : (int)(i * 21), size);
            }
        }
        v.data = data;
        return v;
    }
    uint32_t *offsets = arena_new(&t->arena, uint32_t, count + 1);
    uint8_t *bytes = arena_new(&t->arena, uint8_t, (size_t)count * 4 + 1);
    for (uint32_t i = 0; i < count; i++) {
        offsets[i + 1] = offsets[i] + i % 4;
        memset(bytes + offsets[i], 'a' + (int)i, i % 4);
    }
    v.offsets = offsets;
    v.bytes = bytes;
    return v;
}

static const uint64_t *random_validity(Test *t, uint32_t count)
{
    uint64_t *validity = arena_new(&t->arena, uint64_t, selection_words(count) + 1);
    for (uint32_t i = 0; i < count; i++) {
        validity_set(validity, i, test_random(t) % 4 != 0);
    }
    return test_random(t) % 3 == 0 ? NULL : validity;
}

static Vector random_dict(Test *t, ColumnType type, uint32_t count)
{
    // A dictionary holds no value twice: BOOL has two values, and text repeats the empty one.
    const uint32_t most = type == COLUMN_BOOL ? 2 : column_type_size(type) == 0 ? 4 : DISTINCT_MAX;
    Vector *dict = arena_new(&t->arena, Vector, 1);
    *dict = distinct_values(t, type, 1 + (uint32_t)(test_random(t) % most));
    uint32_t *codes = arena_new(&t->arena, uint32_t, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        codes[i] = (uint32_t)(test_random(t) % dict->row_count);
    }
    return (Vector){.type = type,
                    .form = VECTOR_DICT,
                    .row_count = count,
                    .codes = codes,
                    .dict = dict,
                    .validity = random_validity(t, count)};
}

static Vector random_vector(Test *t, ColumnType type, uint32_t count)
{
    if (test_random(t) % 3 == 0) {
        return random_dict(t, type, count);
    }
    if (test_random(t) % 2 == 0) {
        const Vector dict = random_dict(t, type, count);
        return vector_flatten(&dict, &t->arena);
    }
    const uint32_t most = 1 + count / 3;
    uint32_t *ends = arena_new(&t->arena, uint32_t, most + 1);
    uint32_t run_count = 0;
    for (uint32_t at = 0; at < count;) {
        at += 1 + (uint32_t)(test_random(t) % (run_count + 1 == most ? UINT32_MAX : 200));
        at = at > count || run_count + 1 == most ? count : at;
        ends[run_count++] = at;
    }
    Vector *runs = arena_new(&t->arena, Vector, 1);
    *runs = random_dict(t, type, run_count);
    if (test_random(t) % 2 == 0) {
        *runs = vector_flatten(runs, &t->arena);
    }
    return (Vector){.type = type,
                    .form = VECTOR_RUNS,
                    .row_count = count,
                    .run_count = run_count,
                    .run_ends = ends,
                    .runs = runs};
}

// --- filter --------------------------------------------------------------------------------------

static ScanValue value_at(const Vector *flat, uint32_t i)
{
    ScanValue v = {0};
    const size_t size = column_type_size(flat->type);
    if (flat->type == COLUMN_DOUBLE) {
        v.f64 = ((const double *)flat->data)[i];
    } else if (flat->type == COLUMN_FLOAT) {
        v.f64 = (double)((const float *)flat->data)[i];
    } else if (flat->type == COLUMN_UUID) {
        v.bytes = (Bytes){.ptr = (const uint8_t *)flat->data + (size_t)i * 16, .len = 16};
    } else if (size == 0) {
        const Str s = vector_flat_str(flat, i);
        v.bytes = (Bytes){.ptr = (const uint8_t *)s.ptr, .len = s.len};
    } else {
        const uint8_t *at = (const uint8_t *)flat->data + (size_t)i * size;
        uint64_t bits = 0;
        memcpy(&bits, at, size);
        const unsigned shift = 64 - 8 * (unsigned)size;
        const bool is_signed = flat->type != COLUMN_UINT8 && flat->type != COLUMN_UINT16 &&
                               flat->type != COLUMN_UINT32 && flat->type != COLUMN_BOOL;
        v.i64 = is_signed ? (int64_t)(bits << shift) >> shift : (int64_t)bits;
    }
    return v;
}

static int naive_compare(ColumnType type, ScanValue a, ScanValue b)
{
    if (type == COLUMN_DOUBLE || type == COLUMN_FLOAT) {
        return (a.f64 > b.f64) - (a.f64 < b.f64);
    }
    if (type == COLUMN_UINT64) {
        return ((uint64_t)a.i64 > (uint64_t)b.i64) - ((uint64_t)a.i64 < (uint64_t)b.i64);
    }
    if (type == COLUMN_STRING || type == COLUMN_BINARY || type == COLUMN_UUID) {
        const size_t n = a.bytes.len < b.bytes.len ? a.bytes.len : b.bytes.len;
        const int order = n == 0 ? 0 : memcmp(a.bytes.ptr, b.bytes.ptr, n);
        return order != 0 ? order : (a.bytes.len > b.bytes.len) - (a.bytes.len < b.bytes.len);
    }
    return (a.i64 > b.i64) - (a.i64 < b.i64);
}

static bool naive_match(const ScanTest *test, ColumnType type, const Vector *v, uint32_t row)
{
    const Vector *flat;
    uint32_t at;
    const bool has = vector_locate(v, row, &flat, &at);
    if (test->kind == SCAN_TEST_IS_NULL || test->kind == SCAN_TEST_NOT_NULL) {
        return has == (test->kind == SCAN_TEST_NOT_NULL);
    }
    if (!has) {
        return test->or_null;
    }
    const ScanValue x = value_at(flat, at);
    if ((type == COLUMN_DOUBLE || type == COLUMN_FLOAT) && isnan(x.f64)) {
        return test->kind == SCAN_TEST_RANGE || test->value_count > 0;
    }
    if (test->kind == SCAN_TEST_RANGE) {
        return !(test->has_min && naive_compare(type, x, test->min) < 0) &&
               !(test->has_max && naive_compare(type, x, test->max) > 0);
    }
    for (size_t i = 0; i < test->value_count; i++) {
        if (naive_compare(type, x, test->values[i]) == 0) {
            return true;
        }
    }
    return false;
}

static ScanTest random_test(Test *t, ColumnType type)
{
    const Vector values = distinct_values(t, type, type == COLUMN_BOOL ? 2 : DISTINCT_MAX);
    ScanTest test = {.kind = (ScanTestKind)(test_random(t) % 4)};
    test.value_count = test_random(t) % 4 == 0 ? 1 : test_random(t) % 5;
    ScanValue *list = arena_new(&t->arena, ScanValue, test.value_count + 1);
    for (size_t i = 0; i < test.value_count; i++) {
        list[i] = value_at(&values, (uint32_t)(test_random(t) % values.row_count));
    }
    test.values = list;
    test.or_null = test_random(t) % 3 == 0;
    test.has_min = test_random(t) % 2 == 0;
    test.has_max = test_random(t) % 2 == 0;
    test.min = value_at(&values, (uint32_t)(test_random(t) % values.row_count));
    test.max = value_at(&values, (uint32_t)(test_random(t) % values.row_count));
    return test;
}

TEST(scan_filter, agrees_with_the_naive_version)
{
    Err err;
    for (int round = 0; round < 4000; round++) {
        const ColumnType type = (ColumnType)(test_random(t) % COLUMN_MAP);
        const uint32_t count = 1 + (uint32_t)(test_random(t) % ROWS_MAX);
        const Vector v = random_vector(t, type, count);
        const Field field = {.name = STR("x"), .type = type};
        const Schema schema = {.fields = &field, .count = 1};
        const ScanTest test = random_test(t, type);
        ScanFilter filter;
        FilterCache cache = {0};
        uint64_t *got = arena_new(&t->arena, uint64_t, selection_words(count));
        gather_selection_fill(got, count);
        CHECK_OK(vector_validate(&v, &err));
        CHECK_OK(filter_compile(&schema, &test, 1, &t->arena, &filter, &err));
        if (filter.count == 1) { // else it held NaN and says nothing
            filter_apply(&filter.tests[0], &v, &cache, &t->arena, got);
            filter_apply(&filter.tests[0], &v, &cache, &t->arena, got);
            for (uint32_t i = 0; i < count; i++) {
                CHECK_EQ(validity_get(got, i), naive_match(&test, type, &v, i));
            }
        }
        filter_cache_deinit(&cache);
        arena_reset(&t->arena);
    }
}

TEST(scan_filter, refuses)
{
    Err err;
    ScanFilter filter;
    const Field field = {.name = STR("m"), .type = COLUMN_MAP};
    const Schema schema = {.fields = &field, .count = 1};
    const ScanTest absent = {.column = 1, .kind = SCAN_TEST_IS_NULL};
    const ScanTest range = {.kind = SCAN_TEST_RANGE};
    const ScanTest null = {.kind = SCAN_TEST_IS_NULL};
    CHECK_EQ(filter_compile(&schema, &absent, 1, &t->arena, &filter, &err), ERR_INVALID);
    CHECK_EQ(filter_compile(&schema, &range, 1, &t->arena, &filter, &err), ERR_INVALID);
    CHECK_OK(filter_compile(&schema, &null, 1, &t->arena, &filter, &err));
}

// --- gather --------------------------------------------------------------------------------------

TEST(scan_gather, agrees_with_taking_row_by_row)
{
    Err err;
    for (int round = 0; round < 2000; round++) {
        const ColumnType type = (ColumnType)(test_random(t) % COLUMN_MAP);
        const uint32_t count = 1 + (uint32_t)(test_random(t) % ROWS_MAX);
        const Vector v = random_vector(t, type, count);
        uint64_t *selection = arena_new(&t->arena, uint64_t, selection_words(count));
        uint32_t *rows = arena_new(&t->arena, uint32_t, count);
        uint32_t want = 0;
        const uint64_t odds = 1 + test_random(t) % 20;
        for (uint32_t i = 0; i < count; i++) {
            const bool take = test_random(t) % odds == 0;
            validity_set(selection, i, take);
            want += take;
        }
        CHECK_EQ(gather_selection_count(selection, count), want);
        CHECK_EQ(gather_selection_rows(selection, count, rows), want);
        const Vector got = gather_vector(&v, rows, want, &t->arena);
        const Vector expected = vector_take(&v, rows, want, &t->arena);
        CHECK_OK(vector_validate(&got, &err));
        CHECK(vector_equal(&got, &expected));
        arena_reset(&t->arena);
    }
}

TEST(scan_gather, maps)
{
    Err err;
    Builder *b = builder_new(COLUMN_MAP);
    for (int i = 0; i < 100; i++) {
        const Str keys[] = {STR("a"), STR("b"), STR("c")};
        const Str values[] = {STR("1"), STR("22"), STR("333")};
        if (i % 7 == 0) {
            builder_null(b);
        } else {
            builder_map(b, keys, values, (size_t)(i % 4));
        }
    }
    const Vector v = builder_vector(b);
    const uint32_t rows[] = {0, 1, 7, 10, 11, 50, 99};
    const Vector got = gather_vector(&v, rows, ARRAY_LEN(rows), &t->arena);
    const Vector expected = vector_take(&v, rows, ARRAY_LEN(rows), &t->arena);
    CHECK_OK(vector_validate(&got, &err));
    CHECK(vector_equal(&got, &expected));
    builder_free(b);
}

// --- deduplication -------------------------------------------------------------------------------

// The same labels give the same key wherever they are kept and in whatever form.
TEST(scan_dedup, keys_do_not_depend_on_the_layout)
{
    const Str name = STR("up");
    const Str job = STR("api");
    const Str none = STR("");
    Builder *map = builder_new(COLUMN_MAP);
    builder_map(map, &(Str){"job", 3}, &job, 1);
    builder_null(map);
    const int64_t time = 5;
    const Vector times = vector_constant_fixed(COLUMN_TIMESTAMP, &time, 2, &t->arena);
    const Vector names = vector_constant_str(COLUMN_STRING, name, 2, &t->arena);
    const Vector jobs = vector_constant_str(COLUMN_STRING, job, 2, &t->arena);
    const Vector no_jobs = vector_constant_str(COLUMN_STRING, none, 2, &t->arena);
    const Vector flat_jobs = vector_flatten(&jobs, &t->arena);
    const Vector labels = builder_vector(map);
    SampleKey as_column[2];
    SampleKey as_flat[2];
    SampleKey as_map[2];
    const IdentityColumn column[] = {{.label = STR("__name__"), .vector = &names},
                                     {.label = STR("job"), .vector = &jobs}};
    const IdentityColumn flat[] = {{.label = STR("job"), .vector = &flat_jobs},
                                   {.label = STR("__name__"), .vector = &names}};
    const IdentityColumn in_map[] = {{.label = STR("__name__"), .vector = &names},
                                     {.label = STR("job"), .vector = &no_jobs},
                                     {.label = STR("labels"), .vector = &labels}};
    dedup_keys(column, 2, &times, 7, as_column, &t->arena);
    dedup_keys(flat, 2, &times, 7, as_flat, &t->arena);
    dedup_keys(in_map, 3, &times, 7, as_map, &t->arena);
    CHECK(as_column[0].lo == as_flat[0].lo && as_column[0].hi == as_flat[0].hi);
    CHECK(as_column[0].lo == as_map[0].lo && as_column[0].hi == as_map[0].hi);
    CHECK(as_column[1].lo != as_map[1].lo && as_column[1].hi != as_map[1].hi);
    CHECK(as_column[0].lo == as_column[1].lo);
    builder_free(map);
}

TEST(scan_dedup, newest_stays)
{
    Err err;
    Budget budget = {.limit_bytes = UINT64_MAX};
    enum { KEYS = 50000, RANKS = 5 };
    uint32_t *newest = arena_new(&t->arena, uint32_t, KEYS);
    SampleKey *keys = arena_new(&t->arena, SampleKey, KEYS);
    uint64_t *selection = arena_new(&t->arena, uint64_t, selection_words(KEYS));
    Dedup *d = dedup_new(&budget);
    for (uint32_t i = 0; i < KEYS; i++) {
        keys[i] = (SampleKey){.lo = test_random(t) % 97, .hi = i};
        for (int n = 0; n < 2; n++) {
            const uint32_t rank = (uint32_t)(test_random(t) % RANKS);
            if (rank > 0) {
                CHECK_OK(dedup_add(d, &keys[i], 1, rank, &err));
                newest[i] = rank > newest[i] ? rank : newest[i];
            }
        }
    }
    for (uint32_t rank = 1; rank < RANKS; rank++) {
        for (int must_know = 0; must_know < 2; must_know++) {
            gather_selection_fill(selection, KEYS);
            dedup_filter(d, keys, KEYS, rank, must_know != 0, selection);
            for (uint32_t i = 0; i < KEYS; i++) {
                CHECK_EQ(validity_get(selection, i),
                         must_know ? newest[i] == rank : newest[i] <= rank);
            }
        }
    }
    CHECK(budget_used(&budget) > KEYS * 16);
    dedup_free(d);
    CHECK_EQ(budget_used(&budget), 0);
}

TEST(scan_dedup, budget)
{
    Err err;
    Budget budget = {.limit_bytes = 1 << 20};
    Dedup *d = dedup_new(&budget);
    Status st = OK;
    for (uint64_t i = 0; st == OK && i < 1000000; i++) {
        st =
            dedup_add(d, &(SampleKey){.lo = i * UINT64_C(0x9E3779B97F4A7C15), .hi = i}, 1, 1, &err);
    }
    CHECK_EQ(st, ERR_LIMIT);
    CHECK(budget_used(&budget) <= 1 << 20);
    dedup_free(d);
    CHECK_EQ(budget_used(&budget), 0);
}
