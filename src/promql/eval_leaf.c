// SPDX-License-Identifier: Apache-2.0
//
// From the samples of a series to its values on a grid: the newest sample that a step sees, or a
// function of the samples in the window of each step. Windows slide: two indices go through the
// samples once, whatever the number of steps.
#include "promql/eval_internal.h"
#include "promql/quote.h"

#include <math.h>

static const uint64_t STALE_BITS = UINT64_C(0x7ff0000000000002);

static bool is_stale(double v)
{
    uint64_t bits = 0;
    memcpy(&bits, &v, sizeof(bits));
    return bits == STALE_BITS;
}

static size_t count_stale(const double *values, size_t count)
{
    size_t stale = 0;
    for (size_t i = 0; i < count; i++) {
        stale += is_stale(values[i]);
    }
    return stale;
}

static PromqlSeries room(EvalWorker *w, uint32_t steps)
{
    memset(w->present, 0, eval_words(steps) * sizeof(*w->present));
    return (PromqlSeries){.values = w->values, .present = w->present};
}

static void give(EvalWorker *w, PromqlSeries *series, uint32_t step, PromqlSample sample,
                 uint32_t steps)
{
    if (sample.histogram != NULL && series->histograms == NULL) {
        memset(w->histograms, 0, steps * sizeof(*w->histograms));
        series->histograms = w->histograms;
    }
    if (series->histograms != NULL) {
        series->histograms[step] = sample.histogram;
    }
    series->values[step] = sample.value;
    eval_set(series->present, step);
}

static void count_read(EvalWorker *w, uint32_t step, uint64_t samples, uint64_t *total)
{
    if (w->step_samples != NULL && !w->eval->mute && !w->eval->mute_steps) {
        w->step_samples[step] += samples;
    }
    *total += samples;
}

static void add_read(const EvalWorker *w, uint64_t total)
{
    if (!w->eval->mute) {
        atomic_fetch_add_explicit(&w->eval->samples_total, total, memory_order_relaxed);
    }
}

// --- decoding ------------------------------------------------------------------------------------

static void grow_samples(EvalWorker *w, size_t count)
{
    if (count > w->samples_cap) {
        const size_t cap = count + count / 2;
        w->times = mem_realloc(w->times, cap, sizeof(int64_t));
        w->histogram_times = mem_realloc(w->histogram_times, cap, sizeof(int64_t));
        w->start_times = mem_realloc(w->start_times, cap, sizeof(int64_t));
        w->histogram_start_times = mem_realloc(w->histogram_start_times, cap, sizeof(int64_t));
        w->floats = mem_realloc(w->floats, cap, sizeof(double));
        w->points = mem_realloc(w->points, cap, sizeof(Histogram *));
        w->samples_cap = cap;
    }
}

static bool same_layout(const Histogram *a, const Histogram *b)
{
    return a->schema == b->schema && a->zero_threshold == b->zero_threshold &&
           a->bound_count == b->bound_count &&
           (a->bound_count == 0 ||
            memcmp(a->bounds, b->bounds, a->bound_count * sizeof(*a->bounds)) == 0);
}

// Prometheus knows of a histogram that its counter was not reset when it shares a chunk with the
// one before, and they do as long as the layout stays and no count falls. That it was reset it
// tells only where it reads counts without buckets.
static const Histogram *with_hint(EvalWorker *w, const Histogram *before, const Histogram *now,
                                  bool tell_resets)
{
    if (now->hint != HISTOGRAM_HINT_UNKNOWN || before == NULL) {
        return now;
    }
    const bool reset = histogram_detect_reset(now, before);
    if (tell_resets) {
        return histogram_with_hint(now, reset ? HISTOGRAM_HINT_RESET : HISTOGRAM_HINT_NOT_RESET,
                                   &w->scratch);
    }
    return reset || before->hint == HISTOGRAM_HINT_GAUGE || !same_layout(before, now)
               ? now
               : histogram_with_hint(now, HISTOGRAM_HINT_NOT_RESET, &w->scratch);
}

// As functions want it: 0 where it is not known.
static int64_t start_of(const SeriesSamples *in, uint32_t i)
{
    return in->start_ms == NULL || in->start_ms[i] == INT64_MIN ? 0 : in->start_ms[i];
}

static Status decode_mixed(EvalWorker *w, const SeriesSamples *in, bool tell_resets,
                           PromqlWindow *out, Err *err)
{
    const Histogram *before = NULL;
    for (uint32_t i = 0; i < in->count; i++) {
        if (in->histograms == NULL || in->histograms[i].len == 0) {
            if (!is_stale(in->values[i])) {
                w->times[out->count] = in->timestamps_ms[i];
                w->start_times[out->count] = start_of(in, i);
                w->floats[out->count++] = in->values[i];
            }
            continue;
        }
        const Histogram *h = NULL;
        TRY(histogram_decode(in->histograms[i], &w->scratch, &h, err));
        if (histogram_is_stale(h)) {
            before = NULL;
            continue;
        }
        h = with_hint(w, before, h, tell_resets);
        before = h;
        w->histogram_times[out->histogram_count] = in->timestamps_ms[i];
        w->histogram_start_times[out->histogram_count] = start_of(in, i);
        w->points[out->histogram_count++] = h;
    }
    out->times = w->times;
    out->values = w->floats;
    out->histogram_times = w->histogram_times;
    out->histograms = w->points;
    return OK;
}

Status eval_leaf_decode(EvalWorker *worker, const SeriesSamples *in, EvalDecode how,
                        PromqlWindow *out, Err *err)
{
    const bool starts = how.start_times && in->start_ms != NULL;
    *out = (PromqlWindow){0};
    if (in->histograms == NULL && !starts && count_stale(in->values, in->count) == 0) {
        out->times = in->timestamps_ms;
        out->values = in->values;
        out->count = in->count;
        return OK;
    }
    grow_samples(worker, in->count);
    TRY(decode_mixed(worker, in, how.tell_resets, out, err));
    if (starts) {
        out->start_times = worker->start_times;
        out->histogram_start_times = worker->histogram_start_times;
    }
    return OK;
}

// What a subquery has evaluated, as samples.
static void decode_series(EvalWorker *w, const PromqlSeries *in, const PromqlGrid *grid,
                          PromqlWindow *out)
{
    const Histogram *last = NULL;
    const Histogram *kept = NULL;
    *out = (PromqlWindow){0};
    grow_samples(w, grid->steps);
    for (uint32_t i = 0; i < grid->steps; i++) {
        const Histogram *h = eval_histogram(in, i);
        if (!eval_has(in->present, i)) {
            continue;
        }
        if (h == NULL) {
            w->times[out->count] = eval_step_ms(grid, i);
            w->floats[out->count++] = in->values[i];
            continue;
        }
        if (h != last) { // hints speak of samples that are not all here, or here twice
            last = h;
            kept = h->hint == HISTOGRAM_HINT_GAUGE || h->hint == HISTOGRAM_HINT_UNKNOWN
                       ? h
                       : histogram_with_hint(h, HISTOGRAM_HINT_UNKNOWN, &w->scratch);
        }
        w->histogram_times[out->histogram_count] = eval_step_ms(grid, i);
        w->points[out->histogram_count++] = kept;
    }
    out->times = w->times;
    out->values = w->floats;
    out->histogram_times = w->histogram_times;
    out->histograms = w->points;
}

// --- the newest sample ---------------------------------------------------------------------------

static double picked(EvalPick pick, const SeriesSamples *in, uint32_t i)
{
    switch (pick) {
    case EVAL_PICK_VALUE:
        return in->values[i];
    case EVAL_PICK_TIME:
        return (double)in->timestamps_ms[i] / 1000;
    case EVAL_PICK_START:
        return (double)start_of(in, i) / 1000;
    case EVAL_PICK_MS:
        return (double)in->timestamps_ms[i];
    }
    UNREACHABLE();
}

static bool is_histogram(const SeriesSamples *in, uint32_t i)
{
    return in->histograms != NULL && in->histograms[i].len != 0;
}

typedef struct Newest { // the decoded histogram of sample `index`
    uint32_t index;
    const Histogram *histogram;
    bool valid, tell_resets;
} Newest;

static Status newest_histogram(EvalWorker *w, const SeriesSamples *in, uint32_t i, Newest *newest,
                               Err *err)
{
    if (newest->valid && newest->index == i) {
        return OK;
    }
    const Histogram *before = NULL;
    if (i > 0 && is_histogram(in, i - 1)) {
        TRY(histogram_decode(in->histograms[i - 1], &w->scratch, &before, err));
        before = histogram_is_stale(before) ? NULL : before;
    }
    TRY(histogram_decode(in->histograms[i], &w->scratch, &newest->histogram, err));
    if (!histogram_is_stale(newest->histogram)) {
        newest->histogram = with_hint(w, before, newest->histogram, newest->tell_resets);
    }
    newest->index = i;
    newest->valid = true;
    return OK;
}

static Status info_error(const SeriesSamples *in, Err *err)
{
    Buf text;
    buf_init(&text, 0);
    eval_labels_print(&in->labels, &text);
    const Status st =
        err_set(err, ERR_INVALID, "this should be an info metric, with float samples: " STR_FMT,
                STR_ARG(buf_str(&text)));
    buf_deinit(&text);
    return st;
}

static Status pick_newest(const EvalPipe *pipe, EvalWorker *w, const SeriesSamples *in,
                          PromqlSeries *out, Err *err)
{
    const PromqlGrid *grid = &pipe->grid;
    const EvalPick pick = pipe->leaf.pick;
    const int64_t lookback = pipe->eval->lookback_ms;
    Newest newest = {.tell_resets = pipe->leaf.select.only_counts};
    uint32_t next = 0;
    uint64_t total = 0;
    for (uint32_t step = 0; step < grid->steps; step++) {
        const int64_t at = plan_time_of(&pipe->leaf.time, eval_step_ms(grid, step));
        while (next < in->count && in->timestamps_ms[next] <= at) {
            next++;
        }
        if (next == 0 || in->timestamps_ms[next - 1] <= at - lookback) {
            continue;
        }
        const uint32_t i = next - 1;
        PromqlSample sample = {.value = picked(pick, in, i)};
        uint64_t samples = 1;
        if (!is_histogram(in, i)) {
            if (is_stale(in->values[i])) {
                continue;
            }
        } else {
            TRY(newest_histogram(w, in, i, &newest, err));
            if (histogram_is_stale(newest.histogram)) {
                continue;
            }
            if (pick == EVAL_PICK_MS) {
                return info_error(in, err);
            }
            if (pick == EVAL_PICK_VALUE) {
                sample = (PromqlSample){.histogram = newest.histogram};
                samples = eval_histogram_samples(newest.histogram);
            }
        }
        give(w, out, step, sample, grid->steps);
        count_read(w, step, samples, &total);
    }
    add_read(w, total);
    return OK;
}

// --- smoothed instant vectors --------------------------------------------------------------------

static uint32_t first_at(const int64_t *times, uint32_t count, int64_t at)
{
    uint32_t low = 0;
    while (low < count) {
        const uint32_t middle = low + (count - low) / 2;
        if (times[middle] < at) {
            low = middle + 1;
        } else {
            count = middle;
        }
    }
    return low;
}

static bool smooth_float(const PromqlWindow *all, uint32_t low, uint32_t high, int64_t at,
                         double *out)
{
    const uint32_t i = low + first_at(all->times + low, high - low, at);
    if (i < high && all->times[i] == at) {
        *out = all->values[i];
        return true;
    }
    if (i == low) {
        return false; // nothing before it
    }
    *out = all->values[i - 1];
    if (i < high) {
        const double span = (double)(all->times[i] - all->times[i - 1]);
        *out += (all->values[i] - *out) * (double)(at - all->times[i - 1]) / span;
    }
    return true;
}

typedef struct Between {
    const Histogram *before, *after;
    int64_t before_ms, after_ms;
} Between;

static void note_mixed_buckets(const EvalPipe *pipe, Str metric)
{
    promql_note_metric(pipe->eval->notes, PROMQL_WARNING, pipe->leaf.pos,
                       "vector contains a mix of histograms with exponential and custom buckets "
                       "schemas for metric name",
                       metric);
}

// before + (after - before) * part of the way; a counter that was reset in between began at 0.
static const Histogram *between(const Between *b, int64_t at, const EvalPipe *pipe, EvalWorker *w,
                                Str metric)
{
    PromqlNotes *notes = pipe->eval->notes;
    const double part = (double)(at - b->before_ms) / (double)(b->after_ms - b->before_ms);
    const bool custom_before = b->before->schema == HISTOGRAM_SCHEMA_CUSTOM;
    const bool custom_after = b->after->schema == HISTOGRAM_SCHEMA_CUSTOM;
    if (custom_before != custom_after) {
        note_mixed_buckets(pipe, metric);
        return NULL;
    }
    const bool counter =
        b->before->hint != HISTOGRAM_HINT_GAUGE || b->after->hint != HISTOGRAM_HINT_GAUGE;
    if (counter && histogram_detect_reset(b->after, b->before)) {
        return histogram_mul(b->after, part, &w->scratch);
    }
    int problems = HISTOGRAM_FINE;
    const Histogram *h = histogram_sub(b->after, b->before, &w->scratch, &problems);
    if ((problems & HISTOGRAM_BOUNDS_RECONCILED) != 0) {
        promql_note(notes, PROMQL_INFO, pipe->leaf.pos,
                    "mismatched custom buckets were reconciled during subtraction");
    }
    problems = HISTOGRAM_FINE;
    h = h == NULL
            ? NULL
            : histogram_add(histogram_mul(h, part, &w->scratch), b->before, &w->scratch, &problems);
    if ((problems & HISTOGRAM_BOUNDS_RECONCILED) != 0) {
        promql_note(notes, PROMQL_INFO, pipe->leaf.pos,
                    "mismatched custom buckets were reconciled during addition");
    }
    return h;
}

static const Histogram *smooth_histogram(const EvalPipe *pipe, EvalWorker *w,
                                         const PromqlWindow *all, int64_t at, Str metric)
{
    const int64_t lookback = pipe->eval->lookback_ms;
    const uint32_t count = all->histogram_count;
    const uint32_t i = first_at(all->histogram_times, count, at);
    if (i < count && all->histogram_times[i] == at) {
        return all->histograms[i];
    }
    if (i == 0 || all->histogram_times[i - 1] <= at - lookback) {
        return NULL;
    }
    const Histogram *prev = all->histograms[i - 1];
    if (i == count || all->histogram_times[i] > at + lookback) {
        return histogram_with_hint(prev, HISTOGRAM_HINT_UNKNOWN, &w->scratch);
    }
    return between(
        &(Between){prev, all->histograms[i], all->histogram_times[i - 1], all->histogram_times[i]},
        at, pipe, w, metric);
}

static Status smooth(const EvalPipe *pipe, EvalWorker *w, const SeriesSamples *in,
                     PromqlSeries *out, Err *err)
{
    const int64_t lookback = pipe->eval->lookback_ms;
    const Str metric = labels_get(&in->labels, STR("__name__"));
    PromqlWindow all;
    TRY(eval_leaf_decode(w, in, (EvalDecode){0}, &all, err));
    for (uint32_t step = 0; step < pipe->grid.steps; step++) {
        const int64_t at = plan_time_of(&pipe->leaf.time, eval_step_ms(&pipe->grid, step));
        const uint32_t low = first_at(all.times, all.count, at - lookback + 1);
        const uint32_t high = first_at(all.times, all.count, at + lookback + 1);
        const bool floats = low < high;
        const bool histograms =
            first_at(all.histogram_times, all.histogram_count, at - lookback + 1) <
            first_at(all.histogram_times, all.histogram_count, at + lookback + 1);
        PromqlSample sample = {0};
        if (floats && histograms) {
            promql_note_metric(pipe->eval->notes, PROMQL_WARNING, pipe->leaf.pos,
                               "encountered a mix of histograms and floats for metric name",
                               metric);
        } else if (floats && smooth_float(&all, low, high, at, &sample.value)) {
            give(w, out, step, sample, pipe->grid.steps);
        } else if (histograms) {
            sample.histogram = smooth_histogram(pipe, w, &all, at, metric);
            if (sample.histogram != NULL) {
                give(w, out, step, sample, pipe->grid.steps);
            }
        }
    }
    return OK;
}

// --- windows -------------------------------------------------------------------------------------

typedef struct Slide { // [first, last) of one kind of sample
    uint32_t first, last;
} Slide;

static void slide(Slide *s, const int64_t *times, uint32_t count, int64_t low, int64_t high)
{
    while (s->last < count && times[s->last] <= high) {
        s->last++;
    }
    while (s->first < s->last && times[s->first] <= low) {
        s->first++;
    }
}

static uint64_t histogram_samples(const PromqlWindow *all, const Slide *s)
{
    uint64_t samples = 0;
    for (uint32_t i = s->first; i < s->last; i++) {
        samples += eval_histogram_samples(all->histograms[i]);
    }
    return samples;
}

static void cut(const PromqlWindow *all, const Slide *floats, const Slide *points,
                PromqlWindow *window)
{
    window->times = all->times + floats->first;
    window->values = all->values + floats->first;
    window->count = floats->last - floats->first;
    if (all->histogram_count != 0) {
        window->histogram_times = all->histogram_times + points->first;
        window->histograms = all->histograms + points->first;
        window->histogram_count = points->last - points->first;
    }
    if (all->start_times != NULL) {
        window->start_times = all->start_times + floats->first;
    }
    if (all->histogram_start_times != NULL) {
        window->histogram_start_times = all->histogram_start_times + points->first;
    }
}

static Status windows(const EvalPipe *pipe, EvalWorker *w, const PromqlWindow *all,
                      PromqlSeries *out, Err *err)
{
    const EvalLeaf *leaf = &pipe->leaf;
    const PromqlFunction *function = leaf->call->u.call.function;
    const bool select = leaf->kind == EVAL_LEAF_SELECT;
    const bool anchored = select && leaf->select.anchored;
    const bool smoothed = select && leaf->select.smoothed;
    const int64_t before = anchored || smoothed ? pipe->eval->lookback_ms : 0;
    const int64_t after = smoothed ? pipe->eval->lookback_ms : 0;
    const size_t arg_count = leaf->call->u.call.arg_count;
    PromqlWindow window = {.anchored = anchored, .smoothed = smoothed};
    PromqlCall call = {.node = leaf->call->node,
                       .notes = pipe->eval->notes,
                       .arena = &w->scratch,
                       .metric = labels_get(&out->labels, STR("__name__")),
                       .delayed_names = pipe->eval->options->features.delayed_name_removal,
                       .err = err};
    Slide floats = {0};
    Slide points = {0};
    uint64_t total = 0;
    uint64_t largest = 0;
    err->status = OK; // a function that must fail the query says so here
    for (uint32_t step = 0; step < pipe->grid.steps; step++) {
        PromqlSample sample = {0};
        call.time_ms = eval_step_ms(&pipe->grid, step);
        call.scalars = leaf->scalars + step * arg_count;
        window.end_ms = plan_time_of(&leaf->time, call.time_ms);
        window.start_ms = window.end_ms - leaf->range_ms;
        slide(&floats, all->times, all->count, window.start_ms - before, window.end_ms + after);
        slide(&points, all->histogram_times, all->histogram_count, window.start_ms - before,
              window.end_ms + after);
        if (floats.first == floats.last && points.first == points.last) {
            continue;
        }
        cut(all, &floats, &points, &window);
        const uint64_t samples = window.count + histogram_samples(all, &points);
        largest = samples > largest ? samples : largest;
        count_read(w, step, samples, &total);
        if (function->over_range(&call, &window, &sample)) {
            give(w, out, step, sample, pipe->grid.steps);
        } else if (err->status != OK) {
            return err->status;
        }
    }
    add_read(w, total);
    return eval_samples_try(pipe->eval, largest, err);
}

// --- names ---------------------------------------------------------------------------------------

static bool ends_with(Str s, Str end)
{
    return s.len >= end.len && memcmp(s.ptr + s.len - end.len, end.ptr, end.len) == 0;
}

static bool looks_like_counter(Str metric)
{
    return ends_with(metric, STR("_total")) || ends_with(metric, STR("_sum")) ||
           ends_with(metric, STR("_count")) || ends_with(metric, STR("_bucket"));
}

static bool has_float(const PromqlSeries *series, uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++) {
        if (eval_has(series->present, i) && eval_histogram(series, i) == NULL) {
            return true;
        }
    }
    return false;
}

// rate() and increase() of what is no counter, as far as one can tell.
static void note_counter(const EvalPipe *pipe, EvalWorker *w, const PromqlSeries *series)
{
    const Str metric = labels_get(&series->labels, STR("__name__"));
    const bool by_type = pipe->eval->options->features.type_and_unit_labels;
    const Str type = by_type ? labels_get(&series->labels, STR("__type__")) : STR("");
    const bool fine = by_type ? str_eq(type, STR("counter")) || str_eq(type, STR("histogram"))
                              : looks_like_counter(metric);
    const PromqlPos pos = pipe->leaf.pos;
    const bool is_noted =
        w->noted_at.start == pos.start && w->noted_at.end == pos.end && str_eq(w->noted, metric);
    if (metric.len == 0 || fine || (!by_type && is_noted) || !has_float(series, pipe->grid.steps)) {
        return;
    }
    w->noted = metric;
    w->noted_at = pos;
    PromqlNotes *notes = pipe->eval->notes;
    if (!by_type) {
        promql_note_metric(notes, PROMQL_INFO, pipe->leaf.pos,
                           "metric might not be a counter, name does not end in "
                           "_total/_sum/_count/_bucket:",
                           metric);
        return;
    }
    Buf text;
    buf_init(&text, 0);
    buf_put_str(&text, STR("metric might not be a counter, __type__ label is not set to "));
    quote_put(&text, STR("counter"));
    buf_put_str(&text, STR(" or "));
    quote_put(&text, STR("histogram"));
    buf_put_str(&text, STR(", got "));
    quote_put(&text, type);
    buf_put_u8(&text, ':');
    buf_put_u8(&text, 0);
    promql_note_metric(notes, PROMQL_INFO, pipe->leaf.pos, (const char *)text.ptr, metric);
    buf_deinit(&text);
}

// What a function makes of a series has no name any more, at once or at the end.
static void drop_name(const EvalPipe *pipe, EvalWorker *w, PromqlSeries *out)
{
    out->drop_name = true;
    if (!pipe->eval->options->features.delayed_name_removal) {
        for (size_t i = 0; i < out->labels.count; i++) {
            w->metadata_seen |= eval_labels_is_metadata(out->labels.labels[i].name) &&
                                !str_eq(out->labels.labels[i].name, STR("__name__"));
        }
        out->labels = eval_labels_drop_metadata(&out->labels, w->labels);
        out->drop_name = false;
    }
}

static void finish(const EvalPipe *pipe, EvalWorker *w, PromqlSeries *out)
{
    const PlanNode *call = pipe->leaf.call;
    if (call != NULL && (call->u.call.function->flags & PROMQL_FN_COUNTER) != 0) {
        note_counter(pipe, w, out);
    }
    const bool drops =
        call != NULL ? (call->u.call.function->flags & PROMQL_FN_KEEPS_NAME) == 0
                     : pipe->leaf.pick == EVAL_PICK_TIME || pipe->leaf.pick == EVAL_PICK_START;
    if (drops) {
        drop_name(pipe, w, out);
    }
}

Status eval_leaf_series(const EvalPipe *pipe, EvalWorker *worker, const SeriesSamples *in,
                        PromqlSeries *out, Err *err)
{
    const PlanNode *call = pipe->leaf.call;
    const PromqlFeatures *features = &pipe->eval->options->features;
    *out = room(worker, pipe->grid.steps);
    out->labels = in->labels;
    if (call != NULL) {
        PromqlWindow all;
        const bool starts = features->use_start_timestamps &&
                            (call->u.call.function->flags & PROMQL_FN_START_TIMES) != 0;
        const EvalDecode how = {.start_times = starts,
                                .tell_resets = pipe->leaf.select.only_counts};
        TRY(eval_leaf_decode(worker, in, how, &all, err));
        TRY(windows(pipe, worker, &all, out, err));
    } else if (pipe->leaf.select.smoothed) {
        TRY(smooth(pipe, worker, in, out, err));
    } else if (pipe->leaf.pick != EVAL_PICK_START || features->use_start_timestamps) {
        TRY(pick_newest(pipe, worker, in, out, err));
    }
    finish(pipe, worker, out);
    return OK;
}

Status eval_leaf_subquery(const EvalPipe *pipe, EvalWorker *worker, const PromqlSeries *in,
                          PromqlSeries *out, Err *err)
{
    PromqlWindow all;
    *out = room(worker, pipe->grid.steps);
    out->labels = in->labels;
    out->drop_name = in->drop_name;
    decode_series(worker, in, &pipe->leaf.sub_grid, &all);
    TRY(windows(pipe, worker, &all, out, err));
    finish(pipe, worker, out);
    return OK;
}
