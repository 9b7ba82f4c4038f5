// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "base/strmap.h"
#include "query/series_internal.h"

#include <stdlib.h>

static int compare_strs(const void *a, const void *b)
{
    const Str x = *(const Str *)a;
    const Str y = *(const Str *)b;
    const size_t len = x.len < y.len ? x.len : y.len;
    const int order = len == 0 ? 0 : memcmp(x.ptr, y.ptr, len);
    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

// Sorted, in `arena`, at most `limit`.
static void list_keys(const StrMap *set, size_t limit, Arena *arena, StrList *out)
{
    Str *all = mem_new(Str, set->count);
    for (size_t i = 0; i < set->count; i++) {
        all[i] = set->entries[i].key;
    }
    qsort(all, set->count, sizeof(*all), compare_strs);
    const size_t count = limit != 0 && limit < set->count ? limit : set->count;
    Str *items = arena_new(arena, Str, count);
    for (size_t i = 0; i < count; i++) {
        items[i] = arena_str(arena, all[i]);
    }
    mem_free(all);
    *out = (StrList){.items = items, .count = count, .truncated = count < set->count};
}

// Adds the names, or the values of `label`, of all series of the scan.
static Status collect(SeriesScan *scan, const Str *label, StrMap *set, Err *err)
{
    Status st = OK;
    SeriesWorker *w = NULL;
    TRY(series_worker_open(scan, &w, err));
    for (;;) {
        SeriesSamples series;
        bool found;
        TRY_OUT(series_worker_next(w, &series, &found, err));
        if (!found) {
            break;
        }
        for (size_t i = 0; i < series.labels.count; i++) {
            const Label *l = &series.labels.labels[i];
            (void)strmap_put(set, label == NULL ? l->name : l->value, 0, NULL);
        }
    }
out:
    series_worker_close(w);
    return st;
}

static Status list(Snapshot *snapshot, const SeriesSelect *select, const Str *label, StrMap *set,
                   Err *err)
{
    SeriesScan *scan;
    SeriesSelect narrow = *select;
    narrow.no_samples = true;
    narrow.all_labels = label == NULL;
    narrow.labels = label;
    narrow.label_count = label == NULL ? 0 : 1;
    TRY(series_scan_open(snapshot, &narrow, &scan, err));
    const Status st = collect(scan, label, set, err);
    series_scan_close(scan);
    return st;
}

Status series_label_names(Snapshot *snapshot, const SeriesSelect *select, size_t limit,
                          Arena *arena, StrList *out, Err *err)
{
    StrMap set;
    *out = (StrList){0};
    strmap_init(&set);
    const Status st = list(snapshot, select, NULL, &set, err);
    if (st == OK) {
        list_keys(&set, limit, arena, out);
    }
    strmap_deinit(&set);
    return st;
}

Status series_label_values(Snapshot *snapshot, Str label, const SeriesSelect *select, size_t limit,
                           Arena *arena, StrList *out, Err *err)
{
    StrMap set;
    *out = (StrList){0};
    strmap_init(&set);
    const Status st = list(snapshot, select, &label, &set, err);
    if (st == OK) {
        list_keys(&set, limit, arena, out);
    }
    strmap_deinit(&set);
    return st;
}
