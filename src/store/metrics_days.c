// SPDX-License-Identifier: Apache-2.0
#include "store/metrics_run_internal.h"
#include "store/metrics_vectors_internal.h"

static int32_t day_of_ms(int64_t ms)
{
    return metrics_day_of_us(ms * 1000);
}

// Samples outside of the range came to an active window just now.
static void add_series(MetricsDayCounts *d, const MetricsWindow *w, const MetricsEntry *e)
{
    const uint32_t kind = (e->flags & METRICS_ENTRY_OVERLAP) != 0;
    uint32_t end = metrics_window_samples(w, e);
    for (uint32_t chunk = e->tail; chunk != 0;) {
        const MetricsChunk c = metrics_window_chunk(w, chunk);
        const uint32_t count = end - c.before;
        const int32_t first = day_of_ms(c.base + c.dt[0]);
        const int32_t last = day_of_ms(c.base + c.dt[count - 1]);
        if (first == last && (e->flags & METRICS_ENTRY_LATE) == 0) {
            metrics_day_counts_add(d, first, kind, count);
        } else {
            for (uint32_t i = 0; i < count; i++) {
                metrics_day_counts_add(d, day_of_ms(c.base + c.dt[i]), kind, 1);
            }
        }
        end = c.before;
        chunk = c.prev;
    }
}

// Looks at each window as a whole: the range of days, and (the usual flush) whether all of its rows
// are of one day without overlaps: whole[i] is that day's row count then, else 0.
static void whole_windows(const MetricsRun *run, MetricsWindowInfo *infos, uint64_t *whole,
                          MetricsDayCounts *d)
{
    int32_t min = INT32_MAX;
    int32_t max = INT32_MIN;
    for (size_t i = 0; i < run->window_count; i++) {
        metrics_window_info(run->windows[i].window, &infos[i]);
        if (infos[i].series_count == 0) {
            continue;
        }
        const int32_t first = day_of_ms(infos[i].min_ms);
        const int32_t last = day_of_ms(infos[i].max_ms);
        whole[i] = first == last && infos[i].overlap_series == 0 ? infos[i].row_count : 0;
        min = first < min ? first : min;
        max = last > max ? last : max;
    }
    metrics_day_counts_init(d, min, max);
    for (size_t i = 0; i < run->window_count; i++) {
        if (whole[i] != 0) {
            metrics_day_counts_add(d, day_of_ms(infos[i].min_ms), 0, whole[i]);
        }
    }
}

// The days with rows, or their number when `out` is NULL.
static size_t list_days(const MetricsDayCounts *d, MetricsRunDay *out)
{
    size_t count = 0;
    for (int32_t day = d->first; day <= d->last; day++) {
        const MetricsRunDay one = {.day = day,
                                   .row_count = metrics_day_counts_get(d, day, 0),
                                   .overlap_row_count = metrics_day_counts_get(d, day, 1)};
        if (one.row_count + one.overlap_row_count == 0) {
            continue;
        }
        if (out != NULL) {
            out[count] = one;
        }
        count++;
    }
    return count;
}

void metrics_run_days(MetricsRun *run, Arena *arena, MetricsRunDay **out, size_t *count)
{
    MetricsDayCounts d;
    MetricsWindowInfo *infos = mem_new(MetricsWindowInfo, run->window_count);
    uint64_t *whole = mem_new(uint64_t, run->window_count);
    whole_windows(run, infos, whole, &d);
    for (size_t id = 0; id < run->count; id++) {
        const MetricsWindow *w = run->windows[run->refs[id] >> 32].window;
        if (whole[run->refs[id] >> 32] == 0) {
            const bool locked = metrics_window_lock(w);
            add_series(&d, w, metrics_window_entry(w, (uint32_t)run->refs[id]));
            metrics_window_unlock(w, locked);
        }
    }
    *count = list_days(&d, NULL);
    *out = arena_new(arena, MetricsRunDay, *count);
    (void)list_days(&d, *out);
    metrics_day_counts_deinit(&d);
    mem_free(whole);
    mem_free(infos);
}
