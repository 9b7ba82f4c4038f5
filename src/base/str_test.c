// SPDX-License-Identifier: Apache-2.0
#include "base/reader.h"
#include "tests/support/test.h"

TEST(str, cut)
{
    static const struct {
        Str in;
        bool found;
        Str head, tail;
    } cases[] = {
        {STR("job=api"), true, STR("job"), STR("api")},
        {STR("=api"), true, STR(""), STR("api")},
        {STR("job="), true, STR("job"), STR("")},
        {STR("a=b=c"), true, STR("a"), STR("b=c")},
        {STR("job"), false, STR("unchanged"), STR("unchanged")},
        {STR(""), false, STR("unchanged"), STR("unchanged")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Str head = STR("unchanged"), tail = STR("unchanged");
        CHECK_EQ(str_cut(cases[i].in, '=', &head, &tail), cases[i].found);
        CHECK_STR(head, cases[i].head);
        CHECK_STR(tail, cases[i].tail);
    }
}

TEST(str, slice_is_clamped)
{
    CHECK_STR(str_slice(STR("abc"), 1, 2), STR("b"));
    CHECK_STR(str_slice(STR("abc"), 2, 99), STR("c"));
    CHECK_STR(str_slice(STR("abc"), 9, 1), STR(""));
    CHECK_STR(str_slice((Str){0}, 0, 0), STR(""));
}

TEST(reader, failure_is_sticky)
{
    const uint8_t data[] = {1, 0, 0, 0, 2};
    Reader r = reader_of((Bytes){data, sizeof(data)});
    CHECK_EQ(reader_u32le(&r), 1);
    CHECK(reader_ok(&r));
    CHECK_EQ(reader_u32le(&r), 0);
    CHECK(!reader_ok(&r));
    CHECK_EQ(reader_bytes(&r, 1).len, 0); // one byte is left, but the reader has failed
}

TEST(err, prefix_keeps_the_cause)
{
    Err err;
    CHECK_EQ(err_set(&err, ERR_CORRUPT, "bad magic"), ERR_CORRUPT);
    CHECK_EQ(err_prefix(&err, "segment '%s': ", "7"), ERR_CORRUPT);
    CHECK(strcmp(err.msg, "segment '7': bad magic") == 0);
}

TEST(arena, budget_is_noted_not_enforced)
{
    Arena a;
    arena_init(&a, 1000);
    CHECK(!arena_over_budget(&a));
    uint64_t *p = arena_new(&a, uint64_t, 100000);
    CHECK_EQ(p[99999], 0);
    CHECK(arena_over_budget(&a));
    arena_deinit(&a);
}
