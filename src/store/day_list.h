// SPDX-License-Identifier: Apache-2.0
//
// DayList: the days (UTC, counted from 1970) of which a window, or the windows of a table, hold
// rows. Each makes a file in the next flush, so their number is limited (STORE_DAYS_MAX) where rows
// come from outside. For the hot tiers' own files; guarded by whatever guards its owner.
#pragma once

#include "store/metrics_hot.h"

#define DAY_LIST_DAY_MS INT64_C(86400000)

typedef struct DayList { // zeroed: empty
    int32_t *days;       // ascending
    uint32_t *uses;      // how often each was added
    size_t count, days_cap, uses_cap;
} DayList;

static inline int32_t day_list_day_of_ms(int64_t ms)
{
    return (int32_t)(ms / DAY_LIST_DAY_MS - (ms % DAY_LIST_DAY_MS < 0));
}

void day_list_deinit(DayList *list);
bool day_list_has(const DayList *list, int32_t day);
// Adds a day, or another use of it. False, and nothing changes, when it would be one day more than
// `max`.
bool day_list_add(DayList *list, int32_t day, size_t max);
void day_list_remove(DayList *list, int32_t day); // one use of a day that is there
// The first and the last day of those around `day`, which is there, that follow each other.
void day_list_run(const DayList *list, int32_t day, int32_t *first, int32_t *last);
