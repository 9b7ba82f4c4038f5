// SPDX-License-Identifier: Apache-2.0
#include "codec/hash.h"
#include "promql/eval_internal.h"

#include <stdlib.h>

PromqlSeries eval_series_new(Arena *arena, uint32_t steps, bool with_histograms)
{
    PromqlSeries series = {
        .values = arena_new(arena, double, steps),
        .present = arena_new(arena, uint64_t, eval_words(steps)),
    };
    if (with_histograms) {
        eval_series_widen(arena, &series, steps);
    }
    return series;
}

void eval_series_widen(Arena *arena, PromqlSeries *series, uint32_t steps)
{
    if (series->histograms == NULL) {
        series->histograms = arena_new(arena, const Histogram *, steps);
    }
}

bool eval_series_empty(const PromqlSeries *series, uint32_t steps)
{
    for (size_t i = 0; i < eval_words(steps); i++) {
        if (series->present[i] != 0) {
            return false;
        }
    }
    return true;
}

static HistogramSide copy_side(const HistogramSide *side, Arena *arena)
{
    HistogramSpan *spans = arena_new(arena, HistogramSpan, side->span_count);
    double *counts = arena_new(arena, double, side->bucket_count);
    if (side->span_count != 0) {
        memcpy(spans, side->spans, side->span_count * sizeof(*spans));
    }
    if (side->bucket_count != 0) {
        memcpy(counts, side->counts, side->bucket_count * sizeof(*counts));
    }
    HistogramSide copy = *side;
    copy.spans = spans;
    copy.counts = counts;
    return copy;
}

const Histogram *eval_histogram_copy(const Histogram *histogram, Arena *arena)
{
    Histogram *copy = arena_new(arena, Histogram, 1);
    *copy = *histogram;
    copy->positive = copy_side(&histogram->positive, arena);
    copy->negative = copy_side(&histogram->negative, arena);
    if (histogram->bound_count != 0) {
        double *bounds = arena_new(arena, double, histogram->bound_count);
        memcpy(bounds, histogram->bounds, histogram->bound_count * sizeof(*bounds));
        copy->bounds = bounds;
    }
    return copy;
}

// A sample of Prometheus is 16 bytes; HPoint.size() in promql/value.go.
uint64_t eval_histogram_samples(const Histogram *histogram)
{
    const uint64_t bytes =
        168 + 8 * ((uint64_t)histogram->positive.span_count + histogram->negative.span_count +
                   histogram->positive.bucket_count + histogram->negative.bucket_count +
                   histogram->bound_count);
    return (bytes + 8) / 16;
}

static int compare_series(const void *a, const void *b)
{
    const PromqlSeries *x = a;
    const PromqlSeries *y = b;
    return eval_labels_compare(&x->labels, &y->labels);
}

void eval_matrix_sort(PromqlMatrix *matrix)
{
    bool sorted = true;
    for (size_t i = 1; sorted && i < matrix->count; i++) {
        sorted = compare_series(&matrix->series[i - 1], &matrix->series[i]) <= 0;
    }
    if (!sorted) {
        qsort(matrix->series, matrix->count, sizeof(*matrix->series), compare_series);
    }
}

void eval_matrix_compact(PromqlMatrix *matrix, uint32_t steps)
{
    size_t kept = 0;
    for (size_t i = 0; i < matrix->count; i++) {
        if (!eval_series_empty(&matrix->series[i], steps)) {
            matrix->series[kept++] = matrix->series[i];
        }
    }
    matrix->count = kept;
}

// Moves the values of `from` into `into`; false when both have one at a step.
static bool merge_series(Eval *eval, PromqlSeries *into, const PromqlSeries *from, uint32_t steps)
{
    for (size_t i = 0; i < eval_words(steps); i++) {
        if ((into->present[i] & from->present[i]) != 0) {
            return false;
        }
    }
    if (from->histograms != NULL) {
        eval_series_widen(&eval->arena, into, steps);
    }
    for (uint32_t i = 0; i < steps; i++) {
        if (eval_has(from->present, i)) {
            eval_set(into->present, i);
            into->values[i] = from->values[i];
            if (into->histograms != NULL) {
                into->histograms[i] = eval_histogram(from, i);
            }
        }
    }
    return true;
}

Status eval_matrix_merge(Eval *eval, PromqlMatrix *matrix, uint32_t steps, EvalMerge how, Err *err)
{
    size_t slot_count = 16;
    size_t kept = 0;
    Status st = OK;
    if (matrix->count <= 1) {
        return OK;
    }
    while (slot_count < 2 * matrix->count) {
        slot_count *= 2;
    }
    uint32_t *slots = mem_new(uint32_t, slot_count); // index + 1
    for (size_t i = 0; i < matrix->count; i++) {
        PromqlSeries *series = &matrix->series[i];
        size_t slot = eval_labels_hash(&series->labels) & (slot_count - 1);
        while (slots[slot] != 0 &&
               !eval_labels_equal(&matrix->series[slots[slot] - 1].labels, &series->labels)) {
            slot = (slot + 1) & (slot_count - 1);
        }
        if (slots[slot] == 0) {
            matrix->series[kept] = *series;
            slots[slot] = (uint32_t)++kept;
        } else if (how == EVAL_STRICT ||
                   !merge_series(eval, &matrix->series[slots[slot] - 1], series, steps)) {
            st = err_set(err, ERR_INVALID, "vector cannot contain metrics with the same labelset");
            break;
        }
    }
    mem_free(slots);
    matrix->count = kept;
    return st;
}

void eval_matrix_drop_names(Eval *eval, PromqlMatrix *matrix)
{
    if (eval->options->features.delayed_name_removal) {
        return;
    }
    for (size_t i = 0; i < matrix->count; i++) {
        PromqlSeries *series = &matrix->series[i];
        if (series->drop_name && eval_labels_has_metadata(&series->labels)) {
            Label *labels = arena_new(&eval->arena, Label, series->labels.count);
            series->labels = eval_labels_drop_metadata(&series->labels, labels);
        }
        series->drop_name = false;
    }
}
