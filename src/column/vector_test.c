// SPDX-License-Identifier: Apache-2.0
#include "column/vectors_internal.h"

static const ColumnType types[] = {
#define X(name, sql, size) name,
    COLUMN_TYPE_LIST(X)
#undef X
};

static const VectorForm forms[] = {VECTOR_FLAT, VECTOR_DICT, VECTOR_RUNS};

#define FOR_EACH_KIND(round_count)                                                                 \
    for (size_t ty = 0; ty < ARRAY_LEN(types); ty++)                                               \
        for (size_t fo = 0; fo < ARRAY_LEN(forms); fo++)                                           \
            for (int round = 0; round < (round_count); round++)

// Row i of `a` is row k of `b`.
static bool same_row(Test *t, const Vector *a, uint32_t i, const Vector *b, uint32_t k)
{
    const Vector one_a = vector_slice(a, i, 1, &t->arena);
    const Vector one_b = vector_slice(b, k, 1, &t->arena);
    return vector_equal(&one_a, &one_b);
}

TEST(vector, flatten_slice_and_take)
{
    Err err;
    FOR_EACH_KIND(20)
    {
        const uint32_t n = (uint32_t)(test_random(t) % 300);
        const Vector v = vectors_random(t, types[ty], forms[fo], n);
        CHECK_OK(vector_validate(&v, &err));
        CHECK(vector_equal(&v, &v));

        const Vector plain = vector_flatten(&v, &t->arena);
        CHECK_OK(vector_validate(&plain, &err));
        CHECK(plain.form == VECTOR_FLAT && vector_equal(&v, &plain));
        if (column_type_size(v.type) == 0 && v.form != VECTOR_FLAT) {
            CHECK_EQ(vector_flat_bytes(&v), plain.offsets[n]);
        }

        const uint32_t from = (uint32_t)(test_random(t) % (n + 1));
        const uint32_t count = (uint32_t)(test_random(t) % (n - from + 1));
        const Vector part = vector_slice(&v, from, count, &t->arena);
        CHECK_OK(vector_validate(&part, &err));
        CHECK(part.form == v.form && part.row_count == count);
        uint32_t *rows = arena_new(&t->arena, uint32_t, count + 1);
        for (uint32_t i = 0; i < count; i++) {
            rows[i] = from + i;
        }
        Vector taken = vector_take(&v, rows, count, &t->arena);
        CHECK_OK(vector_validate(&taken, &err));
        CHECK(vector_equal(&taken, &part));
        for (uint32_t i = 0; i < count; i++) {
            rows[i] = (uint32_t)(test_random(t) % n);
        }
        taken = vector_take(&v, rows, count, &t->arena);
        CHECK_OK(vector_validate(&taken, &err));
        for (uint32_t i = 0; i < count; i++) {
            CHECK(same_row(t, &taken, i, &v, rows[i]));
        }
        arena_reset(&t->arena);
    }
}

TEST(vector, slices_agree_with_rows)
{
    FOR_EACH_KIND(3)
    {
        const Vector v = vectors_random(t, types[ty], forms[fo], 150);
        const Vector plain = vector_flatten(&v, &t->arena);
        const Vector part = vector_slice(&v, 70, 80, &t->arena);
        for (uint32_t i = 0; i < 80; i++) {
            CHECK(same_row(t, &part, i, &plain, 70 + i));
        }
        arena_reset(&t->arena);
    }
}

TEST(vector, constants)
{
    Err err;
    Arena *a = &t->arena;
    for (uint32_t n = 0; n < 1000000; n = n * 10 + 1) {
        const Vector s = vector_constant_str(COLUMN_STRING, STR("api"), n, a);
        CHECK_OK(vector_validate(&s, &err));
        CHECK(s.row_count == n && s.run_count == (n > 0));
        const int64_t seven = 7;
        const Vector i = vector_constant_fixed(COLUMN_INT64, &seven, n, a);
        CHECK_OK(vector_validate(&i, &err));
        for (size_t ty = 0; ty < ARRAY_LEN(types); ty++) {
            const Vector nulls = vector_nulls(types[ty], n, a);
            CHECK_OK(vector_validate(&nulls, &err));
            const Vector *flat = NULL;
            uint32_t index = 0;
            CHECK(n == 0 || !vector_locate(&nulls, n - 1, &flat, &index));
            const Vector plain = vector_flatten(&nulls, a);
            CHECK_OK(vector_validate(&plain, &err));
            CHECK(n > 1000 || vector_equal(&plain, &nulls));
        }
        if (n > 0) {
            const Vector *flat = NULL;
            uint32_t index = 0;
            CHECK(vector_locate(&s, n - 1, &flat, &index));
            CHECK_STR(vector_flat_str(flat, index), STR("api"));
            CHECK(vector_locate(&i, 0, &flat, &index));
            CHECK_EQ(((const int64_t *)flat->data)[index], 7);
        }
    }
}

TEST(vector, equal_sees_differences)
{
    FOR_EACH_KIND(5)
    {
        const Vector v = vectors_random(t, types[ty], VECTOR_FLAT, 100);
        const Vector w = vectors_random(t, types[ty], forms[fo], 100);
        bool rows_equal = true;
        for (uint32_t i = 0; i < 100; i++) {
            rows_equal = rows_equal && same_row(t, &v, i, &w, i);
        }
        CHECK_EQ(vector_equal(&v, &w), rows_equal);
        const Vector shorter = vector_slice(&v, 0, 99, &t->arena);
        CHECK(!vector_equal(&v, &shorter));
        arena_reset(&t->arena);
    }
}

TEST(vector, validate_refuses)
{
    Err err;
    static const uint32_t offsets[] = {0, 1, 2};
    static const uint32_t descending[] = {0, 2, 1};
    static const uint32_t codes[] = {0, 2};
    static const uint32_t zeroes[] = {0, 0};
    static const uint32_t ends[] = {1, 1};
    static const uint32_t ends_short[] = {1, 2};
    static const uint8_t bools[] = {1, 2};
    static const uint64_t none = 0;
    static const Vector ab = {COLUMN_STRING, .row_count = 2, .offsets = offsets,
                              .bytes = (const uint8_t *)"ab"};
    static const Vector aa = {COLUMN_STRING, .row_count = 2, .offsets = offsets,
                              .bytes = (const uint8_t *)"aa"};
    static const Vector null_ab = {COLUMN_STRING, .row_count = 2, .offsets = offsets,
                                   .validity = &none, .bytes = (const uint8_t *)"ab"};
    static const Vector empty = {COLUMN_STRING, .offsets = zeroes, .bytes = bools};
    static const uint32_t both[] = {0, 2, 2};
    const struct {
        const char *why;
        Vector v;
        Status want;
    } cases[] = {
        {"fine", {COLUMN_STRING, VECTOR_DICT, 2, .codes = zeroes, .dict = &ab}, OK},
        {"no offsets", {COLUMN_STRING, .row_count = 1, .bytes = bools}, ERR_CORRUPT},
        {"offsets", {COLUMN_STRING, .row_count = 2, .offsets = descending}, ERR_CORRUPT},
        {"no bytes", {COLUMN_STRING, .row_count = 2, .offsets = offsets}, ERR_CORRUPT},
        {"no data", {COLUMN_INT8, .row_count = 2}, ERR_CORRUPT},
        {"bool", {COLUMN_BOOL, .row_count = 2, .data = bools}, ERR_CORRUPT},
        {"null bool", {COLUMN_BOOL, .row_count = 2, .data = bools, .validity = &none}, OK},
        {"no dictionary", {COLUMN_STRING, VECTOR_DICT, 2, .codes = codes}, ERR_CORRUPT},
        {"code", {COLUMN_STRING, VECTOR_DICT, 2, .codes = codes, .dict = &ab}, ERR_CORRUPT},
        {"type", {COLUMN_BINARY, VECTOR_DICT, 2, .codes = zeroes, .dict = &ab}, ERR_CORRUPT},
        {"twice", {COLUMN_STRING, VECTOR_DICT, 2, .codes = zeroes, .dict = &aa}, ERR_CORRUPT},
        {"null in it",
         {COLUMN_STRING, VECTOR_DICT, 2, .codes = zeroes, .dict = &null_ab},
         ERR_CORRUPT},
        {"empty, nulls",
         {COLUMN_STRING, VECTOR_DICT, 2, .codes = zeroes, .dict = &empty, .validity = &none},
         OK},
        {"empty", {COLUMN_STRING, VECTOR_DICT, 2, .codes = zeroes, .dict = &empty}, ERR_CORRUPT},
        {"no runs", {COLUMN_STRING, VECTOR_RUNS, 2, 2, .run_ends = ends}, ERR_CORRUPT},
        {"empty run",
         {COLUMN_STRING, VECTOR_RUNS, 2, 2, .run_ends = ends, .runs = &ab},
         ERR_CORRUPT},
        {"runs end",
         {COLUMN_STRING, VECTOR_RUNS, 3, 2, .run_ends = ends_short, .runs = &ab},
         ERR_CORRUPT},
        {"runs", {COLUMN_STRING, VECTOR_RUNS, 2, 2, .run_ends = ends_short, .runs = &ab}, OK},
        {"map", {COLUMN_MAP, .row_count = 2, .offsets = both, .keys = &ab, .values = &null_ab}, OK},
        {"equal keys",
         {COLUMN_MAP, .row_count = 2, .offsets = both, .keys = &aa, .values = &ab},
         ERR_CORRUPT},
        {"null key",
         {COLUMN_MAP, .row_count = 2, .offsets = both, .keys = &null_ab, .values = &ab},
         ERR_CORRUPT},
        {"too few",
         {COLUMN_MAP, .row_count = 2, .offsets = both, .keys = &empty, .values = &empty},
         ERR_CORRUPT},
        {"no keys", {COLUMN_MAP, .row_count = 2, .offsets = both, .values = &ab}, ERR_CORRUPT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (vector_validate(&cases[i].v, &err) != cases[i].want) {
            test_fail(t, __FILE__, __LINE__, "%s: %s", cases[i].why,
                      cases[i].want == OK ? err.msg : "is taken");
        }
    }
}
