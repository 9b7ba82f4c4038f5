// SPDX-License-Identifier: Apache-2.0
#include "store/day_list.h"

#include "tests/support/test.h"

TEST(day_list, days_of_timestamps)
{
    static const struct {
        int64_t ms;
        int32_t day;
    } cases[] = {{0, 0},
                 {DAY_LIST_DAY_MS - 1, 0},
                 {DAY_LIST_DAY_MS, 1},
                 {-1, -1},
                 {-DAY_LIST_DAY_MS, -1},
                 {-DAY_LIST_DAY_MS - 1, -2},
                 {METRICS_TIMESTAMP_MIN_MS, -719162},
                 {METRICS_TIMESTAMP_MAX_MS, 2932896}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_EQ(day_list_day_of_ms(cases[i].ms), cases[i].day);
    }
}

TEST(day_list, does_what_counting_does)
{
    enum { DAYS = 40, MAX = 25 };
    uint32_t uses[DAYS] = {0};
    size_t count = 0;
    DayList list = {0};
    for (int i = 0; i < 20000; i++) {
        const int32_t day = (int32_t)(test_random(t) % DAYS);
        if (test_random(t) % 2 == 0) {
            const bool fits = uses[day] != 0 || count < MAX;
            CHECK_EQ(day_list_add(&list, day - DAYS / 2, MAX), fits);
            count += fits && uses[day] == 0;
            uses[day] += fits;
        } else if (uses[day] != 0) {
            day_list_remove(&list, day - DAYS / 2);
            count -= --uses[day] == 0;
        }
        CHECK_EQ(list.count, count);
        CHECK_EQ(day_list_has(&list, day - DAYS / 2), uses[day] != 0);
        if (uses[day] != 0) {
            int32_t first = 0;
            int32_t last = 0;
            day_list_run(&list, day - DAYS / 2, &first, &last);
            CHECK(first <= day - DAYS / 2 && last >= day - DAYS / 2);
            for (int32_t k = first; k <= last; k++) {
                CHECK(uses[k + DAYS / 2] != 0);
            }
            CHECK(first == -DAYS / 2 || uses[first + DAYS / 2 - 1] == 0);
            CHECK(last == DAYS / 2 - 1 || uses[last + DAYS / 2 + 1] == 0);
        }
    }
    day_list_deinit(&list);
}
