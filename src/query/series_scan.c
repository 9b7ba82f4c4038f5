// SPDX-License-Identifier: Apache-2.0
#include "query/series_scan.h"

#include "base/mem.h"
#include "query/series_internal.h"

#include <stdatomic.h>

struct SeriesScan {
    Arena arena;
    SeriesPlan plan;
    Scan *scan;
    SeriesGather *gather;
    Mutex mu;
    Cond changed;
    uint32_t filling;      // mu: workers that fill their sinks
    bool failed;           // mu: one of them could not
    Err failure;           // mu
    SeriesWorker *workers; // mu: all, closed ones too: they own text
    // Set by series_scan_cancel(); relaxed, as nothing else hangs on it.
    atomic_bool cancelled;
};

typedef enum WorkerPhase { WORKER_FILLS, WORKER_MERGES, WORKER_DONE } WorkerPhase;

struct SeriesWorker {
    SeriesScan *scan;
    SeriesWorker *next; // of all
    Arena texts;
    WorkerPhase phase;
    ScanWorker *scan_worker;
    SeriesRows *rows;
    SeriesMerge *merge;
    Status failed;
    Err failure;
};

// --- scan ----------------------------------------------------------------------------------------

Status series_scan_open(Snapshot *snapshot, const SeriesSelect *select, SeriesScan **out, Err *err)
{
    Status st = OK;
    SeriesScan *scan = mem_new(SeriesScan, 1);
    *out = NULL;
    arena_init(&scan->arena, 0);
    mutex_init(&scan->mu);
    cond_init(&scan->changed);
    series_plan_make(snapshot, select, &scan->arena, &scan->plan);
    scan->gather = series_gather_new(&scan->plan, select->samples_max);
    const bool plain = select->no_pruning;
    const ScanOptions options = {.columns = scan->plan.columns,
                                 .column_count = scan->plan.column_count,
                                 .tests = scan->plan.tests,
                                 .test_count = scan->plan.test_count,
                                 .labels_anywhere = true,
                                 .no_file_pruning = plain,
                                 .no_row_group_pruning = plain,
                                 .no_page_pruning = plain,
                                 .no_bloom = plain,
                                 .no_row_filter = plain,
                                 .no_hot = select->no_hot,
                                 .no_cold = select->no_cold};
    TRY_OUT(scan_open(snapshot, &options, &scan->scan, err));
    *out = scan;
    scan = NULL;
out:
    series_scan_close(scan);
    return st;
}

void series_scan_close(SeriesScan *scan)
{
    if (scan == NULL) {
        return;
    }
    while (scan->workers != NULL) {
        SeriesWorker *w = scan->workers;
        scan->workers = w->next;
        arena_deinit(&w->texts);
        mem_free(w);
    }
    series_gather_free(scan->gather);
    scan_close(scan->scan);
    cond_deinit(&scan->changed);
    mutex_deinit(&scan->mu);
    arena_deinit(&scan->arena);
    mem_free(scan);
}

uint32_t series_scan_parallelism(const SeriesScan *scan)
{
    return scan_parallelism(scan->scan);
}

void series_scan_stats(const SeriesScan *scan, ScanStats *out)
{
    scan_stats(scan->scan, out);
}

void series_scan_cancel(SeriesScan *scan)
{
    atomic_store_explicit(&scan->cancelled, true, memory_order_relaxed);
    scan_cancel(scan->scan);
}

// --- workers -------------------------------------------------------------------------------------

Status series_worker_open(SeriesScan *scan, SeriesWorker **out, Err *err)
{
    SeriesWorker *w = mem_new(SeriesWorker, 1);
    *out = NULL;
    w->scan = scan;
    arena_init(&w->texts, 0);
    mutex_lock(&scan->mu);
    w->next = scan->workers;
    scan->workers = w;
    mutex_unlock(&scan->mu);
    TRY(scan_worker_open(scan->scan, &w->scan_worker, err));
    w->rows = series_rows_new(&scan->plan, &w->texts);
    *out = w;
    return OK;
}

void series_worker_close(SeriesWorker *w)
{
    if (w == NULL) {
        return;
    }
    scan_worker_close(w->scan_worker);
    series_rows_free(w->rows);
    series_merge_free(w->merge);
    w->scan_worker = NULL;
    w->rows = NULL;
    w->merge = NULL; // text may still be in use: the rest goes with the scan
}

static Status fill_sink(SeriesWorker *w, Err *err)
{
    SeriesSink *sink = series_gather_sink(w->scan->gather);
    for (;;) {
        Batch batch;
        SeriesBlock block;
        TRY(scan_worker_next(w->scan_worker, &batch, err));
        if (batch.row_count == 0) {
            return OK;
        }
        series_rows_cut(w->rows, &batch, &block);
        TRY(series_sink_add(w->scan->gather, sink, &block, 0, err));
    }
}

// Reads what is to be gathered, then waits until the others have, too. Whoever is counted is
// inside this function in a thread of its own, so nobody waits for a worker that is not running.
static Status fill(SeriesWorker *w, Err *err)
{
    SeriesScan *scan = w->scan;
    mutex_lock(&scan->mu);
    scan->filling++;
    mutex_unlock(&scan->mu);
    Status st = fill_sink(w, err);
    mutex_lock(&scan->mu);
    scan->filling--;
    if (st != OK && !scan->failed) {
        scan->failed = true;
        scan->failure = *err;
    }
    cond_broadcast(&scan->changed);
    while (scan->filling > 0) {
        cond_wait(&scan->changed, &scan->mu);
    }
    if (scan->failed) {
        *err = scan->failure;
        st = scan->failure.status;
    }
    mutex_unlock(&scan->mu);
    return st;
}

static Status next_series(SeriesWorker *w, SeriesSamples *out, bool *found, Err *err)
{
    if (w->phase == WORKER_FILLS) {
        TRY(fill(w, err));
        w->merge = series_merge_new(w->scan->gather);
        w->phase = WORKER_MERGES;
    }
    if (atomic_load_explicit(&w->scan->cancelled, memory_order_relaxed)) {
        return err_set(err, ERR_CANCELLED, "the scan was cancelled");
    }
    if (w->phase == WORKER_MERGES) {
        *found = series_merge_next(w->merge, out);
        if (!*found) {
            w->phase = WORKER_DONE;
        }
    }
    return OK;
}

Status series_worker_next(SeriesWorker *w, SeriesSamples *out, bool *found, Err *err)
{
    *out = (SeriesSamples){0};
    *found = false;
    if (w->failed != OK) { // every call after a failure gives the same one
        *err = w->failure;
        return w->failed;
    }
    const Status st = next_series(w, out, found, err);
    if (st != OK) {
        w->failed = st;
        w->failure = *err;
    }
    return st;
}
