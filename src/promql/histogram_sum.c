// SPDX-License-Identifier: Apache-2.0
#include "promql/histogram_internal.h"

struct HistogramSum {
    HistogramFlat sum; // or the mean, once that is incremental
    HistogramFlat other;
    HistogramFlat backup; // of `sum`, while a mean is not incremental
    double count;
    bool is_mean, is_incremental, is_incompatible;
    bool seen_reset, seen_not_reset;
};

HistogramSum *histogram_sum_new(bool mean, Arena *arena)
{
    HistogramSum *sum = arena_new(arena, HistogramSum, 1);
    sum->is_mean = mean;
    sum->sum.arena = arena;
    sum->other.arena = arena;
    sum->backup.arena = arena;
    return sum;
}

// A mean is a sum that is divided at the end, as long as the sum is finite: that is more exact than
// an incremental mean. The addition that overflows is undone.
static int add_to_mean(HistogramSum *s, const Histogram *h)
{
    int problems = 0;
    if (!s->is_incremental) {
        histogram_flat_assign(&s->backup, &s->sum);
        histogram_flat_set(&s->other, h);
        problems = histogram_flat_add(&s->sum, &s->other, 1, true);
        if ((problems & HISTOGRAM_INCOMPATIBLE) != 0 || !histogram_flat_is_infinite(&s->sum)) {
            return problems;
        }
        s->is_incremental = true;
        histogram_flat_assign(&s->sum, &s->backup);
        histogram_flat_scale(&s->sum, s->count - 1, 1);
    }
    histogram_flat_scale(&s->sum, 1, (s->count - 1) / s->count);
    histogram_flat_set(&s->other, h);
    histogram_flat_scale(&s->other, s->count, 1);
    return problems | histogram_flat_add(&s->sum, &s->other, 1, true);
}

void histogram_sum_add(HistogramSum *sum, const Histogram *h, int *problems)
{
    int found = 0;
    if (sum->is_incompatible) {
        return;
    }
    sum->seen_reset |= h->hint == HISTOGRAM_HINT_RESET;
    sum->seen_not_reset |= h->hint == HISTOGRAM_HINT_NOT_RESET;
    sum->count++;
    if (sum->count == 1) {
        histogram_flat_set(&sum->sum, h);
    } else if (sum->is_mean) {
        found = add_to_mean(sum, h);
    } else {
        histogram_flat_set(&sum->other, h);
        found = histogram_flat_add(&sum->sum, &sum->other, 1, true);
    }
    sum->is_incompatible = (found & HISTOGRAM_INCOMPATIBLE) != 0;
    *problems |= found & ~HISTOGRAM_HINT_COLLISION;
    if (sum->seen_reset && sum->seen_not_reset) {
        *problems |= HISTOGRAM_HINT_COLLISION;
    }
}

const Histogram *histogram_sum_result(const HistogramSum *sum, Arena *arena)
{
    HistogramFlat result = {.arena = arena};
    if (sum->count == 0 || sum->is_incompatible) {
        return NULL;
    }
    histogram_flat_assign(&result, &sum->sum);
    if (sum->is_mean && !sum->is_incremental) {
        histogram_flat_scale(&result, sum->count, 1);
    }
    histogram_flat_settle(&result);
    return histogram_of_flat(&result, arena);
}
