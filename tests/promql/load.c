// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "tests/promql/world.h"

#include <math.h>
#include <stdlib.h>

// --- samples -------------------------------------------------------------------------------------

static LoadSeries expand_series(const ScriptSeries *series, int64_t step_ms, Arena *arena)
{
    LoadSeries out = {.labels = series->labels,
                      .samples = arena_new(arena, LoadSample, series->count)};
    for (size_t i = 0; i < series->count; i++) {
        const ScriptValue *value = &series->values[i];
        const int64_t time_ms = (int64_t)i * step_ms;
        const bool has_start = series->has_start != NULL && series->has_start[i];
        if (!value->is_omitted) {
            out.samples[out.count++] = (LoadSample){
                .time_ms = time_ms,
                .start_ms = has_start ? time_ms + series->start_offsets_ms[i] : SCRIPT_NO_START,
                .value = value->value,
                .histogram = value->histogram};
        }
    }
    return out;
}

Status load_expand(const ScriptLoad *load, Arena *arena, LoadSeries **out, size_t *count, Err *err)
{
    *out = arena_new(arena, LoadSeries, load->count);
    *count = load->count;
    for (size_t i = 0; i < load->count; i++) {
        if ((int64_t)load->series[i].count > INT64_MAX / (load->step_ms + 1)) {
            return err_set(err, ERR_INVALID, "times out of range");
        }
        (*out)[i] = expand_series(&load->series[i], load->step_ms, arena);
    }
    return OK;
}

// --- classic histograms --------------------------------------------------------------------------

typedef enum ClassicPart { PART_NONE, PART_BUCKET, PART_SUM, PART_COUNT } ClassicPart;

typedef struct Classic { // one series of a classic histogram
    ClassicPart part;
    double bound;
    const ScriptSeries *series;
    LabelSet labels; // of the histogram
} Classic;

static bool cut_suffix(Str *name, Str suffix)
{
    if (name->len < suffix.len ||
        !str_eq(str_slice(*name, name->len - suffix.len, name->len), suffix)) {
        return false;
    }
    *name = str_slice(*name, 0, name->len - suffix.len);
    return true;
}

static Classic classify(const ScriptSeries *series, Arena *arena)
{
    Classic out = {.series = series};
    Label *labels = arena_new(arena, Label, series->labels.count);
    Str name = labels_get(&series->labels, STR("__name__"));
    out.part = cut_suffix(&name, STR("_bucket"))  ? PART_BUCKET
               : cut_suffix(&name, STR("_sum"))   ? PART_SUM
               : cut_suffix(&name, STR("_count")) ? PART_COUNT
                                                  : PART_NONE;
    out.labels.labels = labels;
    for (size_t i = 0; i < series->labels.count; i++) {
        const Label *label = &series->labels.labels[i];
        if (str_eq(label->name, STR("__name__"))) {
            labels[out.labels.count++] = (Label){label->name, name};
        } else if (!str_eq(label->name, STR("le"))) {
            labels[out.labels.count++] = *label;
        }
    }
    if (out.part == PART_BUCKET &&
        (!num_parse_f64(labels_get(&series->labels, STR("le")), &out.bound) || isnan(out.bound))) {
        out.part = PART_NONE;
    }
    return out;
}

static int compare_text(Str a, Str b)
{
    const int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_sets(const LabelSet *a, const LabelSet *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        int order = compare_text(a->labels[i].name, b->labels[i].name);
        order = order != 0 ? order : compare_text(a->labels[i].value, b->labels[i].value);
        if (order != 0) {
            return order;
        }
    }
    return (a->count > b->count) - (a->count < b->count);
}

static int compare_classics(const void *a, const void *b)
{
    const Classic *x = a, *y = b;
    const int order = compare_sets(&x->labels, &y->labels);
    if (order != 0) {
        return order;
    }
    return x->part != y->part ? (int)x->part - (int)y->part
                              : (x->bound > y->bound) - (x->bound < y->bound);
}

static const ScriptValue *classic_value(const Classic *classic, size_t step)
{
    const ScriptValue *value =
        step < classic->series->count ? &classic->series->values[step] : NULL;
    return value == NULL || value->is_omitted || value->histogram != NULL ? NULL : value;
}

typedef struct Conversion { // of one step
    double *bounds, *cumulative;
    size_t buckets;
    double count, sum;
    bool has_count, has_any;
} Conversion;

static Status collect(const Classic *parts, size_t count, size_t step, Conversion *c, Err *err)
{
    for (size_t i = 0; i < count; i++) {
        const ScriptValue *value = classic_value(&parts[i], step);
        if (value == NULL) {
            continue;
        }
        c->has_any = true;
        if (parts[i].part == PART_SUM) {
            c->sum = value->value;
        } else if (parts[i].part == PART_COUNT) {
            c->count = value->value;
            c->has_count = true;
        } else if (c->buckets == 0 || c->bounds[c->buckets - 1] < parts[i].bound) {
            if (c->buckets != 0 && value->value < c->cumulative[c->buckets - 1]) {
                return err_set(err, ERR_INVALID, "count is not cumulative");
            }
            c->bounds[c->buckets] = parts[i].bound;
            c->cumulative[c->buckets++] = value->value;
        }
    }
    if (!c->has_count && c->buckets != 0) {
        c->count = c->cumulative[c->buckets - 1];
    }
    if (c->buckets == 0 || c->bounds[c->buckets - 1] < (double)INFINITY) {
        c->bounds[c->buckets] = (double)INFINITY;
        c->cumulative[c->buckets++] = c->count;
    }
    return c->count == c->cumulative[c->buckets - 1] ? OK
                                                     : err_set(err, ERR_INVALID, "count mismatch");
}

static const Histogram *conversion_histogram(const Conversion *c, Arena *arena)
{
    Histogram *h = arena_new(arena, Histogram, 1);
    HistogramSpan *span = arena_new(arena, HistogramSpan, 1);
    double *counts = arena_new(arena, double, c->buckets);
    for (size_t i = 0; i < c->buckets; i++) {
        counts[i] = c->cumulative[i] - (i == 0 ? 0 : c->cumulative[i - 1]);
    }
    span->length = (uint32_t)c->buckets;
    *h = (Histogram){.schema = HISTOGRAM_SCHEMA_CUSTOM,
                     .count = c->count,
                     .sum = c->sum,
                     .positive = {.spans = span,
                                  .span_count = 1,
                                  .counts = counts,
                                  .bucket_count = (uint32_t)c->buckets},
                     .bounds = c->bounds, // without the infinite one, which is the last
                     .bound_count = (uint32_t)c->buckets - 1};
    return h;
}

// The series of one histogram.
static Status convert(const Classic *parts, size_t count, int64_t step_ms, Arena *arena,
                      LoadSeries *out, Err *err)
{
    size_t steps = 0;
    for (size_t i = 0; i < count; i++) {
        steps = parts[i].series->count > steps ? parts[i].series->count : steps;
    }
    *out = (LoadSeries){.labels = parts[0].labels, .samples = arena_new(arena, LoadSample, steps)};
    for (size_t step = 0; step < steps; step++) {
        Conversion c = {.bounds = arena_new(arena, double, count + 1),
                        .cumulative = arena_new(arena, double, count + 1)};
        TRY(collect(parts, count, step, &c, err));
        if (c.has_any) {
            out->samples[out->count++] = (LoadSample){.time_ms = (int64_t)step * step_ms,
                                                      .start_ms = SCRIPT_NO_START,
                                                      .histogram = conversion_histogram(&c, arena)};
        }
    }
    return OK;
}

Status load_convert_classic(const ScriptLoad *load, Arena *arena, LoadSeries **out, size_t *count,
                            Err *err)
{
    Classic *parts = arena_new(arena, Classic, load->count);
    size_t part_count = 0;
    for (size_t i = 0; i < load->count; i++) {
        parts[part_count] = classify(&load->series[i], arena);
        part_count += parts[part_count].part != PART_NONE ? 1 : 0;
    }
    qsort(parts, part_count, sizeof(*parts), compare_classics);
    *out = arena_new(arena, LoadSeries, part_count);
    *count = 0;
    for (size_t first = 0, end; first < part_count; first = end) {
        for (end = first + 1;
             end < part_count && compare_sets(&parts[first].labels, &parts[end].labels) == 0;
             end++) {
        }
        TRY(convert(&parts[first], end - first, load->step_ms, arena, &(*out)[*count], err));
        ++*count;
    }
    return OK;
}
