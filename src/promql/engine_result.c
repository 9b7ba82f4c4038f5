// SPDX-License-Identifier: Apache-2.0
#include "promql/engine_internal.h"

#include <stdlib.h>

enum { NOTES_SHOWN = 10 };

PromqlResult *engine_result_new(void)
{
    PromqlResult *result = mem_new(PromqlResult, 1);
    result->arena = mem_new(Arena, 1);
    arena_init(result->arena, 0);
    return result;
}

void promql_result_free(PromqlResult *result)
{
    if (result != NULL) {
        arena_deinit(result->arena);
        mem_free(result->arena);
        mem_free(result);
    }
}

void engine_clean_names(Eval *eval, PromqlMatrix *matrix)
{
    for (size_t i = 0; i < matrix->count; i++) {
        PromqlSeries *series = &matrix->series[i];
        if (series->drop_name && eval_labels_has_metadata(&series->labels)) {
            Label *into = arena_new(&eval->arena, Label, series->labels.count);
            series->labels = eval_labels_drop_metadata(&series->labels, into);
        }
    }
}

// --- copying -------------------------------------------------------------------------------------

// Names come from few places: text that was just copied from there is not copied again.
typedef struct Copier {
    Arena *arena;
    Str from[LABELS_COUNT_MAX], to[LABELS_COUNT_MAX];
} Copier;

static Str copy_name(Copier *c, size_t i, Str name)
{
    const size_t slot = i < LABELS_COUNT_MAX ? i : LABELS_COUNT_MAX - 1;
    if (c->from[slot].ptr != name.ptr || c->from[slot].len != name.len) {
        c->from[slot] = name;
        c->to[slot] = arena_str(c->arena, name);
    }
    return c->to[slot];
}

static LabelSet copy_labels(Copier *c, const LabelSet *set)
{
    Label *labels = arena_new(c->arena, Label, set->count);
    for (size_t i = 0; i < set->count; i++) {
        labels[i].name = copy_name(c, i, set->labels[i].name);
        labels[i].value = arena_str(c->arena, set->labels[i].value);
    }
    return (LabelSet){.labels = labels, .count = set->count};
}

static void copy_points(Arena *arena, const PromqlSeries *series, const PromqlGrid *grid,
                        PromqlResultSeries *out)
{
    size_t count = 0;
    for (size_t i = 0; i < eval_words(grid->steps); i++) {
        count += (size_t)__builtin_popcountll(series->present[i]);
    }
    PromqlPoint *points = arena_new(arena, PromqlPoint, count);
    const Histogram *last = NULL;
    const Histogram *copy = NULL;
    size_t n = 0;
    for (uint32_t i = 0; i < grid->steps; i++) {
        if (!eval_has(series->present, i)) {
            continue;
        }
        const Histogram *h = eval_histogram(series, i);
        if (h != NULL && h != last) {
            last = h;
            copy = eval_histogram_copy(h, arena);
        }
        points[n++] = (PromqlPoint){.time_ms = eval_step_ms(grid, i),
                                    .value = h == NULL ? series->values[i] : 0,
                                    .histogram = h == NULL ? NULL : copy};
    }
    out->points = points;
    out->count = n;
}

static Status check_room(const Eval *eval, const Arena *arena, Err *err)
{
    const uint64_t max = eval->options->memory_max_bytes;
    const uint64_t other = atomic_load_explicit(&eval->memory_bytes, memory_order_relaxed);
    if (max != 0 && other + arena->used_bytes > max) {
        return err_set(err, ERR_LIMIT, "query needs more than %" PRIu64 " bytes of memory", max);
    }
    return OK;
}

static Status copy_series(Eval *eval, const PromqlMatrix *matrix, const PromqlGrid *grid,
                          PromqlResult *result, Err *err)
{
    Copier *copier = arena_new(&eval->arena, Copier, 1);
    PromqlResultSeries *series = arena_new(result->arena, PromqlResultSeries, matrix->count);
    const uint64_t max = eval->options->series_max;
    copier->arena = result->arena;
    result->series = series;
    if (max != 0 && matrix->count > max) {
        return err_set(err, ERR_LIMIT, "the result has more than %" PRIu64 " series", max);
    }
    for (size_t i = 0; i < matrix->count; i++) {
        const PromqlSeries *from = &matrix->series[i];
        if (eval_series_empty(from, grid->steps)) {
            continue;
        }
        PromqlResultSeries *to = &series[result->count++];
        to->labels = copy_labels(copier, &from->labels);
        copy_points(result->arena, from, grid, to);
        TRY(eval_check(eval, err));
        TRY(check_room(eval, result->arena, err));
    }
    return OK;
}

Status engine_result_fill(Eval *eval, PromqlMatrix *matrix, const PromqlGrid *grid,
                          PromqlResult *result, Err *err)
{
    const bool range = eval->ask->is_range;
    result->type = range ? PROMQL_MATRIX : matrix->type;
    if (matrix->type == PROMQL_STRING) {
        result->scalar.time_ms = grid->start_ms;
        result->text = arena_str(result->arena, matrix->text);
        return OK;
    }
    if (matrix->type == PROMQL_SCALAR && !range) {
        result->scalar =
            (PromqlPoint){.time_ms = grid->start_ms, .value = matrix->series[0].values[0]};
        return OK;
    }
    if (range) {
        eval_matrix_sort(matrix);
    }
    return copy_series(eval, matrix, grid, result, err);
}

// --- range vectors -------------------------------------------------------------------------------

typedef struct RangeJob {
    EvalScanJob job;
    const PlanNode *node;
    int64_t start_ms, end_ms;   // of the range
    int64_t after_ms;           // samples up to here only tell of those that follow
    Mutex mu;                   // level 62
    Copier *copier;             // mu
    PromqlResultSeries *series; // mu
    size_t count, cap;
} RangeJob;

static double interpolated(const PromqlWindow *w, size_t i, int64_t at)
{
    const double span = (double)(w->times[i + 1] - w->times[i]);
    return w->values[i] + (w->values[i + 1] - w->values[i]) * (double)(at - w->times[i]) / span;
}

// Floats of an anchored or smoothed range: with a sample at both of its ends.
static void put_extended(const RangeJob *job, const PromqlWindow *w, PromqlPoint *points,
                         size_t *count)
{
    const bool smoothed = job->node->u.select.smoothed;
    size_t last = w->count - 1;
    size_t first = 0;
    while (first + 1 < w->count && first < last && w->times[first + 1] <= job->start_ms) {
        first++;
    }
    if (smoothed) {
        size_t at = 0;
        while (at < last && w->times[at] < job->end_ms) {
            at++;
        }
        last = at;
    }
    if (w->times[last] <= job->start_ms) {
        return;
    }
    const double left = smoothed && w->times[first] < job->start_ms
                            ? interpolated(w, first, job->start_ms)
                            : w->values[first];
    const double right = smoothed && last > 0 && w->times[last] > job->end_ms
                             ? interpolated(w, last - 1, job->end_ms)
                             : w->values[last];
    points[(*count)++] = (PromqlPoint){.time_ms = job->start_ms, .value = left};
    for (size_t i = first; i <= last; i++) {
        if (w->times[i] > job->start_ms && w->times[i] < job->end_ms) {
            points[(*count)++] = (PromqlPoint){.time_ms = w->times[i], .value = w->values[i]};
        }
    }
    points[(*count)++] = (PromqlPoint){.time_ms = job->end_ms, .value = right};
}

// Floats and histograms in order of time.
static void put_mixed(const PromqlWindow *w, Arena *arena, PromqlPoint *points, size_t *count)
{
    uint32_t f = 0;
    uint32_t h = 0;
    while (f < w->count || h < w->histogram_count) {
        const bool is_float =
            h == w->histogram_count || (f < w->count && w->times[f] < w->histogram_times[h]);
        if (is_float) {
            points[(*count)++] = (PromqlPoint){.time_ms = w->times[f], .value = w->values[f]};
            f++;
        } else {
            points[(*count)++] =
                (PromqlPoint){.time_ms = w->histogram_times[h],
                              .histogram = eval_histogram_copy(w->histograms[h], arena)};
            h++;
        }
    }
}

static Status range_points(RangeJob *job, const PromqlWindow *w, PromqlResultSeries *out, Err *err)
{
    const bool anchored = job->node->u.select.anchored;
    const bool extended = anchored || job->node->u.select.smoothed;
    Arena *arena = job->copier->arena;
    PromqlPoint *points = arena_new(arena, PromqlPoint, (size_t)w->count + w->histogram_count + 2);
    if (extended && w->histogram_count != 0) {
        return err_set(err, ERR_INVALID, "%s modifier is not supported with histograms",
                       anchored ? "anchored" : "smoothed");
    }
    if (!extended) {
        put_mixed(w, arena, points, &out->count);
    } else if (w->count != 0) {
        put_extended(job, w, points, &out->count);
    }
    out->points = points;
    return OK;
}

static void leave_out_before(const RangeJob *job, PromqlWindow *w)
{
    while (w->count != 0 && w->times[0] <= job->after_ms) {
        w->times++;
        w->values++;
        w->count--;
    }
    while (w->histogram_count != 0 && w->histogram_times[0] <= job->after_ms) {
        w->histogram_times++;
        w->histograms++;
        w->histogram_count--;
    }
}

static Status each_range(EvalScanJob *base, EvalWorker *worker, const SeriesSamples *in, Err *err)
{
    RangeJob *job = (RangeJob *)base;
    Eval *eval = base->eval;
    PromqlWindow window;
    PromqlResultSeries series = {0};
    TRY(eval_leaf_decode(worker, in, (EvalDecode){0}, &window, err));
    leave_out_before(job, &window);
    mutex_lock(&job->mu);
    Status st = range_points(job, &window, &series, err);
    if (st == OK && series.count != 0) {
        series.labels = copy_labels(job->copier, &in->labels);
        job->series = mem_grow(job->series, &job->cap, job->count + 1, sizeof(series));
        job->series[job->count++] = series;
        st = check_room(eval, job->copier->arena, err);
    }
    mutex_unlock(&job->mu);
    TRY(st);
    uint64_t samples = window.count;
    for (uint32_t i = 0; i < window.histogram_count; i++) {
        samples += eval_histogram_samples(window.histograms[i]);
    }
    atomic_fetch_add_explicit(&eval->samples_total, samples, memory_order_relaxed);
    if (worker->step_samples != NULL) {
        worker->step_samples[0] += samples;
    }
    return eval_samples_add(eval, samples, err);
}

static int compare_results(const void *a, const void *b)
{
    const PromqlResultSeries *x = a;
    const PromqlResultSeries *y = b;
    return eval_labels_compare(&x->labels, &y->labels);
}

static Status select_result(Eval *eval, const PlanNode *node, const PromqlGrid *grid,
                            PromqlResult *result, Err *err)
{
    const PlanSelect *select = &node->u.select;
    const bool extended = select->anchored || select->smoothed;
    SeriesScan *scan = NULL;
    RangeJob job = {.job = {.eval = eval, .steps = 1, .each = each_range}, .node = node};
    job.end_ms = plan_time_of(&select->time, grid->start_ms);
    job.start_ms = plan_time_add(job.end_ms, -select->range_ms);
    job.copier = arena_new(&eval->arena, Copier, 1);
    job.copier->arena = result->arena;
    const int64_t before = extended ? eval->lookback_ms : 0;
    const int64_t after = select->smoothed ? eval->lookback_ms : 0;
    job.after_ms = plan_time_add(job.start_ms, -before);
    TRY(eval_scan_open(eval, select, plan_time_add(job.after_ms, 1),
                       plan_time_add(job.end_ms, after), &scan, err));
    mutex_init_level(&job.mu, 62);
    const Status st = eval_scan_run(&job.job, scan, err);
    mutex_deinit(&job.mu);
    if (st == OK && job.count != 0) {
        qsort(job.series, job.count, sizeof(*job.series), compare_results);
        PromqlResultSeries *all = arena_new(result->arena, PromqlResultSeries, job.count);
        memcpy(all, job.series, job.count * sizeof(*all));
        result->series = all;
        result->count = job.count;
    }
    mem_free(job.series);
    return st;
}

static Status subquery_result(Eval *eval, const PlanNode *node, const PromqlGrid *grid,
                              PromqlResult *result, Err *err)
{
    PromqlGrid sub_grid;
    PromqlMatrix matrix = {0};
    TRY(eval_subquery_counted(eval, node, grid, &sub_grid, &matrix, err));
    if (eval->options->features.delayed_name_removal) {
        engine_clean_names(eval, &matrix);
        TRY(eval_matrix_merge(eval, &matrix, sub_grid.steps, EVAL_MERGE, err));
    }
    eval_matrix_sort(&matrix);
    return copy_series(eval, &matrix, &sub_grid, result, err);
}

Status eval_range_result(Eval *eval, const PlanNode *node, const PromqlGrid *grid,
                         PromqlResult *result, Err *err)
{
    result->type = PROMQL_MATRIX;
    return node->kind == PLAN_SUBQUERY ? subquery_result(eval, node, grid, result, err)
                                       : select_result(eval, node, grid, result, err);
}

// --- figures -------------------------------------------------------------------------------------

static void add_scan(ScanStats *sum, const ScanStats *one)
{
    sum->files_total += one->files_total;
    sum->files_pruned += one->files_pruned;
    sum->row_groups_total += one->row_groups_total;
    sum->row_groups_pruned += one->row_groups_pruned;
    sum->pages_total += one->pages_total;
    sum->pages_pruned += one->pages_pruned;
    sum->rows_read += one->rows_read;
    sum->rows_returned += one->rows_returned;
    sum->bytes_read += one->bytes_read;
    sum->hot_rows += one->hot_rows;
}

void engine_result_stats(Eval *eval, Str text, PromqlResult *result)
{
    PromqlStats *stats = &result->stats;
    stats->total_samples = atomic_load_explicit(&eval->samples_total, memory_order_relaxed);
    stats->peak_samples = atomic_load_explicit(&eval->samples_peak, memory_order_relaxed);
    stats->steps = eval->step_count;
    stats->start_ms = eval->ask->start_ms;
    stats->step_ms = eval->ask->step_ms;
    stats->series = result->count;
    for (size_t i = 0; i < eval->scan_count; i++) {
        ScanStats one = {0};
        series_scan_stats(eval->scans[i].scan, &one);
        add_scan(&stats->scan, &one);
    }
    if (eval->step_samples != NULL) {
        uint64_t *steps = arena_new(result->arena, uint64_t, eval->step_count);
        for (uint32_t i = 0; i < eval->step_count; i++) {
            steps[i] = eval->step_samples[i];
            for (uint32_t w = 0; w < eval->worker_count; w++) {
                steps[i] += eval->workers[w]->step_samples[i];
            }
        }
        stats->samples_per_step = steps;
    }
    result->warning_count = promql_notes_list(eval->notes, PROMQL_WARNING, text, NOTES_SHOWN,
                                              result->arena, &result->warnings);
    result->info_count = promql_notes_list(eval->notes, PROMQL_INFO, text, NOTES_SHOWN,
                                           result->arena, &result->infos);
}
