// SPDX-License-Identifier: Apache-2.0
//
// Phases of a worker: fill its sink from the parts that share series, and wait until all have;
// put partitions together; then hand on hot windows and a file that share no series with others;
// whoever ends last takes the tail of the file. What shares series: windows of the same shard, and
// everything when there are files and anything else, or several files: a file has series of all
// shards.
#include "query/series_scan.h"

#include "base/mem.h"
#include "query/series_internal.h"
#include "store/hot_series.h"

#include <stdatomic.h>

// Series up to this are not worth a second thread.
enum { SERIES_OF_ONE_THREAD = 2048 };

struct SeriesScan {
    Arena arena;
    SeriesPlan plan;
    HotSeries *hot; // NULL: not asked for
    Scan *files;
    bool gather_alone, gather_shared, gather_files; // what is gathered; the rest streams
    SeriesGather *gather;
    SeriesGather *tail; // of a file that streams
    Mutex mu;
    Cond changed;
    uint32_t filling;      // mu: workers that fill their sinks
    bool failed;           // mu: one of them could not
    Err failure;           // mu
    uint32_t streaming;    // mu: workers that take from the file
    bool tail_taken;       // mu
    SeriesWorker *workers; // mu: all, closed ones too: they own text
    // Set by series_scan_cancel(); relaxed, as nothing else hangs on it.
    atomic_bool cancelled;
};

typedef enum WorkerPhase {
    WORKER_FILLS,
    WORKER_MERGES,
    WORKER_HOT,
    WORKER_FILE,
    WORKER_TAIL,
    WORKER_DONE,
} WorkerPhase;

struct SeriesWorker {
    SeriesScan *scan;
    SeriesWorker *next; // of all
    Arena texts;
    WorkerPhase phase;
    HotSeriesWorker *hot;
    ScanWorker *files;
    SeriesRows *rows;
    SeriesMerge *merge;
    SeriesStream *stream;
    bool streaming;    // counted in scan->streaming
    SeriesBlock block; // WORKER_HOT
    uint32_t block_pos;
    Label *labels;
    size_t labels_cap;
    Status failed;
    Err failure;
};

// --- scan ----------------------------------------------------------------------------------------

static void choose_gathered(SeriesScan *scan)
{
    const ScanFiles files = scan_files(scan->files);
    const size_t alone = scan->hot == NULL ? 0 : hot_series_windows(scan->hot, HOT_SERIES_ALONE);
    const size_t shared = scan->hot == NULL ? 0 : hot_series_windows(scan->hot, HOT_SERIES_SHARED);
    scan->gather_shared = shared != 0;
    scan->gather_alone = alone != 0 && files.count != 0;
    scan->gather_files =
        files.count > 1 || (files.count == 1 && (!files.are_sorted || alone + shared != 0));
}

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
    scan->tail = series_gather_new(&scan->plan, select->samples_max);
    if (!select->no_hot) {
        scan->hot = series_plan_open_hot(&scan->plan, snapshot, select);
    }
    TRY_OUT(series_plan_open_files(&scan->plan, snapshot, select, &scan->files, err));
    choose_gathered(scan);
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
    series_gather_free(scan->tail);
    hot_series_close(scan->hot);
    scan_close(scan->files);
    cond_deinit(&scan->changed);
    mutex_deinit(&scan->mu);
    arena_deinit(&scan->arena);
    mem_free(scan);
}

uint32_t series_scan_parallelism(const SeriesScan *scan)
{
    const uint32_t of_files = scan_parallelism(scan->files);
    const uint64_t hot = scan->hot == NULL ? 0 : hot_series_estimate(scan->hot);
    return hot <= SERIES_OF_ONE_THREAD ? of_files : os_cpu_count();
}

void series_scan_stats(const SeriesScan *scan, ScanStats *out)
{
    scan_stats(scan->files, out);
    const uint64_t rows = scan->hot == NULL ? 0 : hot_series_rows(scan->hot);
    out->hot_rows += rows;
    out->rows_returned += rows;
}

void series_scan_cancel(SeriesScan *scan)
{
    atomic_store_explicit(&scan->cancelled, true, memory_order_relaxed);
    scan_cancel(scan->files);
}

static Status check_cancelled(const SeriesScan *scan, Err *err)
{
    return atomic_load_explicit(&scan->cancelled, memory_order_relaxed)
               ? err_set(err, ERR_CANCELLED, "the scan was cancelled")
               : OK;
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
    TRY(scan_worker_open(scan->files, &w->files, err));
    w->hot = scan->hot == NULL ? NULL : hot_series_worker_new(scan->hot);
    w->rows = series_rows_new(&scan->plan, &w->texts);
    *out = w;
    return OK;
}

static void stop_streaming(SeriesWorker *w)
{
    mutex_lock(&w->scan->mu);
    w->scan->streaming -= w->streaming ? 1 : 0;
    mutex_unlock(&w->scan->mu);
    w->streaming = false;
}

void series_worker_close(SeriesWorker *w)
{
    if (w == NULL) {
        return;
    }
    stop_streaming(w);
    series_stream_free(w->stream);
    series_merge_free(w->merge);
    series_rows_free(w->rows);
    scan_worker_close(w->files);
    hot_series_worker_free(w->hot);
    mem_free(w->labels);
    w->stream = NULL;
    w->merge = NULL;
    w->rows = NULL;
    w->files = NULL;
    w->hot = NULL;
    w->labels = NULL; // text may still be in use: the rest goes with the scan
}

// --- gathering -----------------------------------------------------------------------------------

static Status fill_from_hot(SeriesWorker *w, HotSeriesSet set, SeriesSink *sink, Err *err)
{
    for (;;) {
        SeriesBlock block;
        uint32_t age = 0;
        TRY(check_cancelled(w->scan, err));
        hot_series_next(w->hot, set, &block, &age);
        if (block.count == 0) {
            return OK;
        }
        // Newer than any file.
        const uint64_t rank = (UINT64_C(1) << 63) + age;
        TRY(series_sink_add(w->scan->gather, sink, &block, rank, err));
    }
}

static Status fill_from_files(SeriesWorker *w, SeriesSink *sink, Err *err)
{
    ScanPart last = {0};
    for (;;) {
        Batch batch;
        SeriesBlock block;
        TRY(scan_worker_next(w->files, &batch, err));
        if (batch.row_count == 0) {
            return OK;
        }
        const ScanPart part = scan_worker_part(w->files);
        if (part.file != last.file || part.group != last.group) {
            series_rows_forget(w->rows);
            last = part;
        }
        series_rows_cut(w->rows, &batch, &block);
        TRY(series_sink_add(w->scan->gather, sink, &block, part.order, err));
    }
}

static Status fill_sink(SeriesWorker *w, Err *err)
{
    const SeriesScan *scan = w->scan;
    SeriesSink *sink = series_gather_sink(scan->gather);
    if (scan->gather_shared) {
        TRY(fill_from_hot(w, HOT_SERIES_SHARED, sink, err));
    }
    if (scan->gather_alone) {
        TRY(fill_from_hot(w, HOT_SERIES_ALONE, sink, err));
    }
    return scan->gather_files ? fill_from_files(w, sink, err) : OK;
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

// --- streaming -----------------------------------------------------------------------------------

static bool next_hot(SeriesWorker *w, SeriesSamples *out)
{
    if (w->hot == NULL || w->scan->gather_alone) {
        return false;
    }
    if (w->block_pos == w->block.count) {
        uint32_t age;
        hot_series_next(w->hot, HOT_SERIES_ALONE, &w->block, &age);
        w->block_pos = 0;
        if (w->block.count == 0) {
            return false;
        }
    }
    const size_t labels_max = series_block_labels_max(&w->block, w->block_pos);
    w->labels = mem_grow(w->labels, &w->labels_cap, labels_max + 1, sizeof(*w->labels));
    series_block_samples(&w->block, w->block_pos++, w->labels, out);
    return true;
}

static Status next_in_file(SeriesWorker *w, SeriesSamples *out, bool *found, Err *err)
{
    SeriesScan *scan = w->scan;
    if (scan->gather_files) {
        return OK;
    }
    if (w->stream == NULL) {
        w->stream = series_stream_new(w->rows, w->files, scan->tail);
        w->streaming = true;
        mutex_lock(&scan->mu);
        scan->streaming++;
        mutex_unlock(&scan->mu);
    }
    return series_stream_next(w->stream, out, found, err);
}

// Row groups that nobody takes from any more were all read to their end, so the last worker to end
// finds the tail complete.
static bool take_tail(SeriesWorker *w)
{
    SeriesScan *scan = w->scan;
    stop_streaming(w);
    mutex_lock(&scan->mu);
    const bool mine = scan->streaming == 0 && !scan->tail_taken;
    scan->tail_taken = scan->tail_taken || mine;
    mutex_unlock(&scan->mu);
    return mine;
}

static bool gathers(const SeriesScan *scan)
{
    return scan->gather_shared || scan->gather_alone || scan->gather_files;
}

static Status next_series(SeriesWorker *w, SeriesSamples *out, bool *found, Err *err)
{
    TRY(check_cancelled(w->scan, err));
    switch (w->phase) {
    case WORKER_FILLS:
        w->phase = WORKER_HOT;
        if (!gathers(w->scan)) {
            return OK;
        }
        TRY(fill(w, err));
        w->merge = series_merge_new(w->scan->gather);
        w->phase = WORKER_MERGES;
        return OK;
    case WORKER_MERGES:
        *found = series_merge_next(w->merge, out);
        w->phase = *found ? w->phase : WORKER_HOT;
        return OK;
    case WORKER_HOT:
        *found = next_hot(w, out);
        w->phase = *found ? w->phase : WORKER_FILE;
        return OK;
    case WORKER_FILE:
        TRY(next_in_file(w, out, found, err));
        if (!*found) {
            w->phase = WORKER_DONE;
            if (take_tail(w)) {
                series_merge_free(w->merge);
                w->merge = series_merge_new(w->scan->tail);
                w->phase = WORKER_TAIL;
            }
        }
        return OK;
    case WORKER_TAIL:
        *found = series_merge_next(w->merge, out);
        w->phase = *found ? w->phase : WORKER_DONE;
        return OK;
    case WORKER_DONE:
        return OK;
    }
    UNREACHABLE();
}

Status series_worker_next(SeriesWorker *w, SeriesSamples *out, bool *found, Err *err)
{
    *out = (SeriesSamples){0};
    *found = false;
    if (w->failed != OK) { // every call after a failure gives the same one
        *err = w->failure;
        return w->failed;
    }
    Status st = OK;
    do {
        st = next_series(w, out, found, err);
    } while (st == OK && !*found && w->phase != WORKER_DONE);
    if (st != OK) {
        w->failed = st;
        w->failure = *err;
    }
    return st;
}
