// SPDX-License-Identifier: Apache-2.0
#include "store/day_list.h"

#include "base/mem.h"

void day_list_deinit(DayList *list)
{
    mem_free(list->days);
    mem_free(list->uses);
    *list = (DayList){0};
}

// The place of the first day that is not before `day`.
static size_t find(const DayList *list, int32_t day)
{
    size_t from = 0;
    size_t to = list->count;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        if (list->days[middle] < day) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

bool day_list_has(const DayList *list, int32_t day)
{
    const size_t at = find(list, day);
    return at < list->count && list->days[at] == day;
}

bool day_list_add(DayList *list, int32_t day, size_t max)
{
    const size_t at = find(list, day);
    if (at < list->count && list->days[at] == day) {
        list->uses[at]++;
        return true;
    }
    if (list->count >= max) {
        return false;
    }
    list->days = mem_grow(list->days, &list->days_cap, list->count + 1, sizeof(*list->days));
    list->uses = mem_grow(list->uses, &list->uses_cap, list->count + 1, sizeof(*list->uses));
    const size_t behind = list->count - at;
    memmove(list->days + at + 1, list->days + at, behind * sizeof(*list->days));
    memmove(list->uses + at + 1, list->uses + at, behind * sizeof(*list->uses));
    list->days[at] = day;
    list->uses[at] = 1;
    list->count++;
    return true;
}

void day_list_remove(DayList *list, int32_t day)
{
    const size_t at = find(list, day);
    ASSERT(at < list->count && list->days[at] == day);
    if (--list->uses[at] == 0) {
        const size_t behind = list->count - at - 1;
        memmove(list->days + at, list->days + at + 1, behind * sizeof(*list->days));
        memmove(list->uses + at, list->uses + at + 1, behind * sizeof(*list->uses));
        list->count--;
    }
}

void day_list_run(const DayList *list, int32_t day, int32_t *first, int32_t *last)
{
    size_t from = find(list, day);
    size_t to = from;
    ASSERT(from < list->count && list->days[from] == day);
    while (from > 0 && list->days[from - 1] == list->days[from] - 1) {
        from--;
    }
    while (to + 1 < list->count && list->days[to + 1] == list->days[to] + 1) {
        to++;
    }
    *first = list->days[from];
    *last = list->days[to];
}
