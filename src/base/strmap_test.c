// SPDX-License-Identifier: Apache-2.0
#include "base/strmap.h"
#include "tests/support/test.h"

#include <stdio.h>

TEST(strmap, put_and_get)
{
    StrMap m;
    bool created = false;
    strmap_init(&m);
    CHECK(strmap_get(&m, STR("a")) == NULL);
    CHECK_EQ(*strmap_put(&m, STR("a"), 1, &created), 1);
    CHECK(created);
    CHECK_EQ(*strmap_put(&m, STR("a"), 2, &created), 1);
    CHECK(!created);
    *strmap_put(&m, STR("a"), 0, NULL) = 7;
    CHECK_EQ(*strmap_get(&m, STR("a")), 7);
    CHECK(strmap_get(&m, STR("")) == NULL);
    CHECK_EQ(*strmap_put(&m, (Str){0}, 9, NULL), 9);
    CHECK_EQ(*strmap_get(&m, STR("")), 9);
    CHECK(strmap_get(&m, STR("a\0")) == NULL);
    CHECK_EQ(m.count, 2);
    strmap_deinit(&m);
    StrMap zeroed = {0};
    strmap_deinit(&zeroed);
}

TEST(strmap, keys_are_copied)
{
    StrMap m;
    char key[] = "before";
    strmap_init(&m);
    (void)strmap_put(&m, (Str){key, 6}, 1, NULL);
    memcpy(key, "after!", 6);
    CHECK(strmap_get(&m, STR("before")) != NULL);
    CHECK(strmap_get(&m, STR("after!")) == NULL);
    strmap_deinit(&m);
}

TEST(strmap, many_keys_stay_in_order)
{
    enum { COUNT = 20000 };
    StrMap m;
    char key[16];
    strmap_init(&m);
    for (size_t i = 0; i < COUNT; i++) {
        const int n = snprintf(key, sizeof(key), "key-%zu", i * 7);
        (void)strmap_put(&m, (Str){key, (size_t)n}, i, NULL);
    }
    CHECK_EQ(m.count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        const int n = snprintf(key, sizeof(key), "key-%zu", i * 7);
        CHECK_STR(m.entries[i].key, ((Str){key, (size_t)n}));
        CHECK_EQ(*strmap_get(&m, (Str){key, (size_t)n}), i);
    }
    CHECK(strmap_get(&m, STR("key-1")) == NULL);
    strmap_deinit(&m);
}
