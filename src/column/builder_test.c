// SPDX-License-Identifier: Apache-2.0
#include "column/builder.h"
#include "column/vectors_internal.h"

#include <stdio.h>

static const ColumnType types[] = {
#define X(name, sql, size) name,
    COLUMN_TYPE_LIST(X)
#undef X
};

// Row `row` of `v` is the string `want`.
static bool is_str(const Vector *v, uint32_t row, Str want)
{
    const Vector *flat = NULL;
    uint32_t index = 0;
    return vector_locate(v, row, &flat, &index) && str_eq(vector_flat_str(flat, index), want);
}

TEST(builder, fixed_types)
{
    Err err;
    Builder *b = builder_new(COLUMN_INT16);
    builder_i64(b, INT16_MIN);
    builder_u64(b, 7);
    builder_nulls(b, 70);
    builder_i64(b, INT16_MAX);
    Vector v = builder_vector(b);
    CHECK_OK(vector_validate(&v, &err));
    CHECK_EQ(v.row_count, 73);
    const int16_t *data = v.data;
    CHECK(data[0] == INT16_MIN && data[1] == 7 && data[72] == INT16_MAX);
    for (uint32_t i = 0; i < 73; i++) {
        CHECK_EQ(validity_get(v.validity, i), i < 2 || i == 72);
    }
    builder_clear(b);
    CHECK_EQ(builder_row_count(b), 0);
    builder_i64(b, 1);
    v = builder_vector(b);
    CHECK(v.validity == NULL && v.row_count == 1);
    builder_free(b);

    b = builder_new(COLUMN_FLOAT);
    builder_f64(b, 1.5);
    v = builder_vector(b);
    CHECK(((const float *)v.data)[0] == 1.5F);
    builder_free(b);
    builder_free(NULL);
}

TEST(builder, strings_become_flat_when_there_are_too_many)
{
    static const struct {
        uint32_t rows, values;
        VectorForm form;
    } cases[] = {
        {0, 1, VECTOR_DICT},
        {500, 500, VECTOR_DICT}, // too few rows to tell
        {1025, 1025, VECTOR_FLAT},
        {4000, 512, VECTOR_DICT},
        {200000, BUILDER_DICT_VALUES_MAX, VECTOR_DICT},
        {200000, BUILDER_DICT_VALUES_MAX + 1, VECTOR_FLAT},
    };
    for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
        Err err;
        Builder *b = builder_new(COLUMN_STRING);
        // Rows of the common values come first, so that the dictionary is worth having.
        for (uint32_t i = 0; i < cases[c].rows; i++) {
            char text[16];
            const uint32_t late = cases[c].rows - i;
            const uint32_t value = late <= cases[c].values ? late - 1 : 0;
            const int len = snprintf(text, sizeof(text), "v%u", value);
            if (i % 100 == 7) {
                builder_null(b);
            }
            builder_str(b, (Str){text, (size_t)len});
        }
        const Vector v = builder_vector(b);
        CHECK_OK(vector_validate(&v, &err));
        CHECK_EQ(v.form, cases[c].form);
        CHECK_EQ(v.row_count, cases[c].rows + (cases[c].rows + 92) / 100);
        CHECK(cases[c].rows == 0 || is_str(&v, v.row_count - 1, STR("v0")));
        CHECK(builder_memory_bytes(b) > v.row_count);
        builder_clear(b); // the dictionary is back
        builder_str(b, STR(""));
        builder_str(b, STR("x"));
        builder_str(b, STR(""));
        const Vector again = builder_vector(b);
        CHECK_OK(vector_validate(&again, &err));
        CHECK(again.form == VECTOR_DICT && again.dict->row_count == 2);
        CHECK(is_str(&again, 2, STR("")) && is_str(&again, 1, STR("x")));
        builder_free(b);
    }
}

TEST(builder, maps)
{
    Err err;
    Builder *b = builder_new(COLUMN_MAP);
    const Str keys[] = {STR("a"), STR("b")};
    const Str values[] = {STR("1"), STR("2")};
    builder_map(b, keys, values, 2);
    builder_null(b);
    builder_map(b, keys, values, 0);
    builder_map(b, keys + 1, values, 1);
    const Vector v = builder_vector(b);
    CHECK_OK(vector_validate(&v, &err));
    CHECK_EQ(v.offsets[4], 3);
    CHECK(!validity_get(v.validity, 1) && validity_get(v.validity, 2));
    CHECK(is_str(v.keys, 2, STR("b")) && is_str(v.values, 2, STR("1")));
    builder_free(b);
}

TEST(builder, append_any_form)
{
    Err err;
    for (size_t ty = 0; ty < ARRAY_LEN(types); ty++) {
        for (int round = 0; round < 30; round++) {
            Builder *b = builder_new(types[ty]);
            Vector parts[4];
            for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
                const VectorForm form = (VectorForm)(test_random(t) % 3);
                const uint32_t n = (uint32_t)(test_random(t) % (round == 0 ? 3000 : 200));
                parts[i] = vectors_random(t, types[ty], form, n);
                builder_append(b, &parts[i]);
            }
            const Vector v = builder_vector(b);
            CHECK_OK(vector_validate(&v, &err));
            uint32_t from = 0;
            for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
                const Vector part = vector_slice(&v, from, parts[i].row_count, &t->arena);
                CHECK(vector_equal(&part, &parts[i]));
                from += parts[i].row_count;
            }
            CHECK_EQ(from, v.row_count);
            builder_free(b);
            arena_reset(&t->arena);
        }
    }
}
