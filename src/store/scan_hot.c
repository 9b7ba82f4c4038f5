// SPDX-License-Identifier: Apache-2.0
//
// Rows of hot windows. Each window of `metrics` is a source that any number of workers take batches
// from. When samples were written twice, all windows together are one source instead, a run without
// duplicates.
#include "base/mem.h"
#include "store/scan_gather.h"
#include "store/scan_internal.h"

static ScanHot *add_source(Scan *scan, ScanHotKind kind)
{
    ScanHot *hot = &scan->hot[scan->hot_count++];
    hot->kind = kind;
    mutex_init(&hot->mu);
    return hot;
}

// Labels of metrics and what they are tested for are dealt with per series; the rest is looked at
// row by row.
static void choose_row_tests(Scan *scan)
{
    const bool has_series = scan->snapshot->table->metrics != NULL;
    FilterTest *tests = arena_new(&scan->arena, FilterTest, scan->filter.count);
    size_t n = 0;
    for (size_t i = 0; i < scan->filter.count; i++) {
        if (!has_series || scan->filter.tests[i].type != COLUMN_STRING) {
            tests[n++] = scan->filter.tests[i];
        }
    }
    scan->hot_filter = (ScanFilter){.tests = tests, .count = n};
}

Status scan_hot_open(Scan *scan, Err *err)
{
    (void)err;
    choose_row_tests(scan);
    const HotWindows *hot = &scan->snapshot->hot;
    scan->hot = arena_new(&scan->arena, ScanHot, hot->metrics_count + hot->rows_count + 2);
    if (scan->options.no_hot) {
        return OK;
    }
    if (scan->run != NULL) {
        // One source per part, so that several workers find work; they share the run.
        (void)add_source(scan, SCAN_HOT_RUN);
        return OK;
    }
    for (size_t i = 0; i < hot->metrics_count; i++) {
        MetricsWindowInfo info;
        metrics_window_info(hot->metrics[i], &info);
        if (info.row_count > 0) {
            add_source(scan, SCAN_HOT_WINDOW)->window = hot->metrics[i];
        }
    }
    for (size_t i = 0; i < hot->rows_count; i++) {
        add_source(scan, SCAN_HOT_ROWS)->rows = hot->rows[i];
    }
    return OK;
}

void scan_hot_close(Scan *scan)
{
    for (size_t i = 0; i < scan->hot_count; i++) {
        metrics_scan_close(scan->hot[i].metrics_scan);
        rows_scan_close(scan->hot[i].rows_scan);
        mutex_deinit(&scan->hot[i].mu);
    }
}

// --- one window ----------------------------------------------------------------------------------

static Status open_locked(Scan *scan, ScanHot *hot, const ScanTest *tests, size_t test_count,
                          Err *err) REQUIRES(hot->mu)
{
    if (hot->kind == SCAN_HOT_ROWS) {
        const RowsScanOptions options = {.window = hot->rows,
                                         .schema = &scan->snapshot->schema,
                                         .columns = scan->needed,
                                         .column_count = scan->needed_count,
                                         .tests = tests,
                                         .test_count = test_count};
        return rows_scan_open(&options, &hot->rows_scan, err);
    }
    const MetricsScanOptions options = {.window = hot->window,
                                        .schema = &scan->snapshot->schema,
                                        .columns = scan->needed,
                                        .column_count = scan->needed_count,
                                        .tests = tests,
                                        .test_count = test_count};
    return metrics_scan_open(&options, &hot->metrics_scan, err);
}

static Status open_source(Scan *scan, ScanHot *hot, Err *err)
{
    Status st = OK;
    mutex_lock(&hot->mu);
    if (!hot->opened) {
        const size_t test_count = scan->options.no_row_filter ? 0 : scan->filter.count;
        ScanTest *tests = mem_new(ScanTest, test_count);
        for (size_t i = 0; i < test_count; i++) {
            tests[i] = scan->filter.tests[i].test;
        }
        st = open_locked(scan, hot, tests, test_count, err);
        hot->opened = st == OK;
        mem_free(tests);
    }
    mutex_unlock(&hot->mu);
    return st;
}

// Rows that a window's scan gave: applies the tests that it left open.
static void emit_window(ScanWorker *w, const Batch *batch, Batch *out)
{
    const Scan *scan = w->scan;
    Vector *columns = arena_new(&w->arena, Vector, batch->schema->count);
    memcpy(columns, batch->columns, batch->schema->count * sizeof(*columns));
    const ScanRows rows = {.columns = columns, .row_count = batch->row_count};
    uint64_t *selection = arena_new(&w->arena, uint64_t, selection_words(batch->row_count));
    gather_selection_fill(selection, batch->row_count);
    if (!scan->options.no_row_filter) {
        scan_test_rows(scan, &scan->hot_filter, w->caches, &rows, &w->arena, selection);
    }
    scan_worker_emit(w, &rows, selection, true, out);
}

static Status window_batch(ScanWorker *w, ScanHot *hot, Batch *out, Err *err)
{
    if (w->metrics_worker == NULL) {
        TRY(open_source(w->scan, hot, err));
        w->metrics_worker = metrics_scan_worker_new(hot->metrics_scan);
    }
    do {
        Batch batch;
        arena_reset(&w->arena);
        TRY(metrics_scan_next(w->metrics_worker, &batch, err));
        if (batch.row_count == 0) {
            return OK;
        }
        emit_window(w, &batch, out);
    } while (out->row_count == 0);
    return OK;
}

static Status rows_batch(ScanWorker *w, ScanHot *hot, Batch *out, Err *err)
{
    if (w->rows_worker == NULL) {
        TRY(open_source(w->scan, hot, err));
        w->rows_worker = rows_scan_worker_new(hot->rows_scan);
    }
    do {
        Batch batch;
        arena_reset(&w->arena);
        TRY(rows_scan_next(w->rows_worker, &batch, err));
        if (batch.row_count == 0) {
            return OK;
        }
        emit_window(w, &batch, out);
    } while (out->row_count == 0);
    return OK;
}

// --- all windows of metrics as one run -----------------------------------------------------------

static Status rows_of_run(ScanWorker *w, const Batch *batch, Batch *out)
{
    const Scan *scan = w->scan;
    Vector *columns = arena_new(&w->arena, Vector, scan->identity_count);
    for (size_t i = 0; i < scan->identity_count; i++) {
        columns[i] = batch->columns[scan->needed[i]];
    }
    const ScanRows rows = {.columns = columns, .row_count = batch->row_count};
    uint64_t *selection = arena_new(&w->arena, uint64_t, selection_words(batch->row_count));
    gather_selection_fill(selection, batch->row_count);
    if (!scan->options.no_row_filter) {
        scan_test_rows(scan, &scan->filter, w->caches, &rows, &w->arena, selection);
    }
    scan_worker_emit(w, &rows, selection, true, out);
    return OK;
}

// The cursor over the next slice of series; NULL when all are handed out.
static MetricsCursor *next_slice(ScanHot *hot, MetricsRun *run)
{
    const uint64_t all = metrics_run_series_count(run);
    const uint64_t first =
        atomic_fetch_add_explicit(&hot->next, SCAN_RUN_SLICE_SERIES, memory_order_relaxed);
    if (first >= all) {
        return NULL;
    }
    const uint64_t left = all - first;
    const MetricsCursorOptions options = {
        .rows_max = SCAN_HOT_BATCH_ROWS,
        .series_first = first,
        .series_count = left < SCAN_RUN_SLICE_SERIES ? left : SCAN_RUN_SLICE_SERIES};
    return metrics_cursor_new(run, &options);
}

static Status run_batch(ScanWorker *w, ScanHot *hot, Batch *out, Err *err)
{
    for (;;) {
        if (w->cursor == NULL) {
            w->cursor = next_slice(hot, w->scan->run);
            if (w->cursor == NULL) {
                return OK;
            }
        }
        Batch batch;
        arena_reset(&w->arena);
        TRY(metrics_cursor_next(w->cursor, &batch, err));
        if (batch.row_count == 0) {
            metrics_cursor_free(w->cursor);
            w->cursor = NULL;
            continue;
        }
        TRY(rows_of_run(w, &batch, out));
        if (out->row_count > 0) {
            return OK;
        }
    }
}

// --- sources -------------------------------------------------------------------------------------

static Status source_batch(ScanWorker *w, ScanHot *hot, Batch *out, Err *err)
{
    switch (hot->kind) {
    case SCAN_HOT_WINDOW:
        return window_batch(w, hot, out, err);
    case SCAN_HOT_RUN:
        return run_batch(w, hot, out, err);
    case SCAN_HOT_ROWS:
        return rows_batch(w, hot, out, err);
    }
    UNREACHABLE();
}

void scan_hot_worker_close(ScanWorker *w)
{
    metrics_scan_worker_free(w->metrics_worker);
    rows_scan_worker_free(w->rows_worker);
    metrics_cursor_free(w->cursor);
    w->metrics_worker = NULL;
    w->rows_worker = NULL;
    w->cursor = NULL;
}

Status scan_hot_batch(ScanWorker *w, Batch *out, Err *err)
{
    Scan *scan = w->scan;
    while (w->hot_seen < scan->hot_count) {
        ScanHot *hot = &scan->hot[(w->hot_first + w->hot_seen) % scan->hot_count];
        TRY(source_batch(w, hot, out, err));
        if (out->row_count > 0) {
            return OK;
        }
        scan_hot_worker_close(w);
        scan_worker_forget(w);
        w->hot_seen++;
    }
    return OK;
}
