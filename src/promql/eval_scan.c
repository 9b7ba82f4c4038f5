// SPDX-License-Identifier: Apache-2.0
//
// Series of a store, read by several threads.
#include "promql/eval_internal.h"

// --- workers -------------------------------------------------------------------------------------

static void grow_steps(EvalWorker *w, uint32_t steps)
{
    if (w->steps_cap < steps) {
        w->values = mem_realloc(w->values, steps, sizeof(*w->values));
        w->present = mem_realloc(w->present, eval_words(steps), sizeof(*w->present));
        w->histograms = mem_realloc(w->histograms, steps, sizeof(*w->histograms));
        w->steps_cap = steps;
    }
}

Status eval_workers(Eval *eval, uint32_t count, uint32_t steps, Err *err)
{
    ASSERT(count <= EVAL_THREADS_MAX);
    // The three arrays of each worker: what outside numbers decide is asked for first.
    const uint64_t bytes = (uint64_t)count * steps * (sizeof(double) + sizeof(Histogram *) + 1);
    if (eval->options->memory_max_bytes != 0 && bytes > eval->options->memory_max_bytes) {
        return err_set(err, ERR_LIMIT, "query needs more than %" PRIu64 " bytes of memory",
                       eval->options->memory_max_bytes);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (i == eval->worker_count) {
            EvalWorker *w = mem_new(EvalWorker, 1);
            w->eval = eval;
            w->index = i;
            if (eval->step_samples != NULL) {
                w->step_samples = mem_new(uint64_t, eval->step_count);
            }
            eval->workers[i] = w;
            eval->worker_count++;
        }
        grow_steps(eval->workers[i], steps);
    }
    return OK;
}

void eval_workers_free(Eval *eval)
{
    for (uint32_t i = 0; i < eval->worker_count; i++) {
        EvalWorker *w = eval->workers[i];
        arena_deinit(&w->arena);
        arena_deinit(&w->scratch);
        mem_free(w->step_samples);
        mem_free(w->values);
        mem_free(w->present);
        mem_free(w->histograms);
        mem_free(w->times);
        mem_free(w->histogram_times);
        mem_free(w->start_times);
        mem_free(w->histogram_start_times);
        mem_free(w->floats);
        mem_free(w->points);
        mem_free(w);
    }
    eval->worker_count = 0;
}

// --- scans ---------------------------------------------------------------------------------------

Status eval_scan_open(Eval *eval, const PlanSelect *select, int64_t min_ms, int64_t max_ms,
                      SeriesScan **out, Err *err)
{
    if (eval->has_histograms) {
        min_ms = plan_time_add(min_ms, -eval->lookback_ms);
    }
    const SeriesSelect want = {
        .matchers = select->matchers,
        .matcher_count = select->matcher_count,
        .min_ms = min_ms,
        .max_ms = max_ms,
        .all_labels = select->all_labels,
        .labels = select->labels,
        .label_count = select->label_count,
        .samples_max = eval->options->samples_max,
        .no_pruning = eval->ask->no_pruning,
        .no_hot = eval->ask->no_hot,
        .no_cold = eval->ask->no_cold,
    };
    SeriesScan *scan = NULL;
    *out = NULL;
    TRY(eval_check(eval, err));
    TRY(series_scan_open(eval->snapshot, &want, &scan, err));
    mutex_lock(&eval->mu);
    eval->scans = mem_grow(eval->scans, &eval->scans_cap, eval->scan_count + 1, sizeof(EvalScan));
    eval->scans[eval->scan_count++] =
        (EvalScan){.scan = scan, .pos = select->pos, .min_ms = min_ms, .max_ms = max_ms};
    mutex_unlock(&eval->mu);
    *out = scan;
    return OK;
}

typedef struct ScanTask { // one thread's part of a scan
    EvalScanJob *job;
    SeriesScan *scan;
    EvalWorker *worker;
    _Atomic(bool) *failed; // relaxed: the others only stop earlier
    Thread thread;
    Status status;
    Err err;
} ScanTask;

static Status task_series(ScanTask *task, SeriesWorker *reader)
{
    Eval *eval = task->job->eval;
    EvalWorker *w = task->worker;
    Err *err = &task->err;
    for (bool found = true; !atomic_load_explicit(task->failed, memory_order_relaxed);) {
        SeriesSamples in;
        TRY(series_worker_next(reader, &in, &found, err));
        if (!found) {
            break;
        }
        TRY(eval_check(eval, err));
        TRY(task->job->each(task->job, w, &in, err));
        TRY(eval_charge(eval, &w->arena, &w->arena_charged_bytes, err));
        if (w->scratch.blocks != NULL) {
            arena_reset(&w->scratch);
        }
    }
    return OK;
}

static void task_run(void *arg)
{
    ScanTask *task = arg;
    SeriesWorker *reader = NULL;
    task->status = series_worker_open(task->scan, &reader, &task->err);
    if (task->status == OK) {
        task->status = task_series(task, reader);
    }
    if (task->status != OK) {
        atomic_store_explicit(task->failed, true, memory_order_relaxed);
        series_scan_cancel(task->scan);
    }
    series_worker_close(reader);
}

// The error that a scan was cancelled is a consequence of another.
static Status first_failure(Eval *eval, const ScanTask *tasks, uint32_t count, Err *err)
{
    const Status stopped = query_stopped(&eval->guard);
    if (stopped != OK) {
        return eval_stopped(stopped, err);
    }
    const ScanTask *worst = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (tasks[i].status != OK && (worst == NULL || worst->status == ERR_CANCELLED)) {
            worst = &tasks[i];
        }
    }
    if (worst == NULL) {
        return OK;
    }
    *err = worst->err;
    return worst->status;
}

Status eval_scan_run(EvalScanJob *job, SeriesScan *scan, Err *err)
{
    Eval *eval = job->eval;
    uint32_t count = eval->options->threads;
    const uint32_t useful = series_scan_parallelism(scan);
    count = useful < count ? useful : count;
    count = count == 0 ? 1 : count;
    TRY(eval_workers(eval, count, job->steps, err));
    _Atomic(bool) failed = false;
    ScanTask tasks[EVAL_THREADS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        tasks[i] =
            (ScanTask){.job = job, .scan = scan, .worker = eval->workers[i], .failed = &failed};
    }
    for (uint32_t i = 1; i < count; i++) {
        Err none;
        // Without a thread the others do its part.
        if (thread_start(&tasks[i].thread, "promql", task_run, &tasks[i], &none) != OK) {
            break;
        }
    }
    task_run(&tasks[0]);
    for (uint32_t i = 1; i < count; i++) {
        thread_join(&tasks[i].thread);
    }
    return first_failure(eval, tasks, count, err);
}
