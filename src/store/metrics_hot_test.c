// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "store/metrics_model_internal.h"

static const WorkloadOptions plain = {
    .series_kinds = 400, .batch_series_max = 60, .samples_max = 3};
static const WorkloadOptions wild = {.series_kinds = 300,
                                     .batch_series_max = 80,
                                     .samples_max = 6,
                                     .odd_names = true,
                                     .invalid = true,
                                     .disorder = true,
                                     .outliers = true};

static const WorkloadOptions all_kinds = {.series_kinds = 300,
                                          .batch_series_max = 80,
                                          .samples_max = 6,
                                          .odd_names = true,
                                          .invalid = true,
                                          .disorder = true,
                                          .outliers = true,
                                          .extended = true};

enum { NOW_MS_STEP = 10000, GENERATIONS = 3, WINDOWS_MAX = METRICS_SHARDS * (GENERATIONS + 1) };
static const int64_t start_ms = 1763683200000 - 60000; // a minute before midnight

// --- a log in memory -----------------------------------------------------------------------------

typedef struct Frame {
    uint32_t shard;
    Buf payload;
} Frame;

typedef struct Log {
    Frame *frames;
    size_t count, cap;
    size_t fail_after; // frames; SIZE_MAX: never
} Log;

static Status log_append(void *ctx, uint32_t shard, Bytes payload, uint64_t *sequence, Err *err)
{
    Log *log = ctx;
    if (log->count >= log->fail_after) {
        return err_set(err, ERR_UNAVAILABLE, "no log");
    }
    log->frames = mem_grow(log->frames, &log->cap, log->count + 1, sizeof(*log->frames));
    Frame *frame = &log->frames[log->count++];
    frame->shard = shard;
    buf_init(&frame->payload, 0);
    buf_put(&frame->payload, payload.ptr, payload.len);
    *sequence = log->count;
    return OK;
}

static void log_deinit(Log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        buf_deinit(&log->frames[i].payload);
    }
    mem_free(log->frames);
}

static MetricsHot *hot_new(Log *log, uint64_t nonce)
{
    MetricsHotOptions options = {
        .key = {99}, .label_columns_max = 8, .floor_ms = INT64_MIN, .nonce = nonce};
    if (log != NULL) {
        log->fail_after = SIZE_MAX;
        options.log = (MetricsLog){log_append, log};
    }
    return metrics_hot_new(&options);
}

// --- windows -------------------------------------------------------------------------------------

typedef struct Windows {
    MetricsWindow *windows[WINDOWS_MAX]; // oldest first for each shard
    size_t count;
} Windows;

static void windows_seal(MetricsHot *hot, Windows *w)
{
    for (uint32_t i = 0; i < METRICS_SHARDS; i++) {
        MetricsWindow *sealed = metrics_hot_seal(hot, i);
        if (sealed != NULL) {
            w->windows[w->count++] = sealed;
        }
    }
}

static void windows_active(MetricsHot *hot, Windows *w)
{
    for (uint32_t i = 0; i < METRICS_SHARDS; i++) {
        w->windows[w->count++] = metrics_hot_active(hot, i);
    }
}

static void windows_release(Windows *w)
{
    for (size_t i = 0; i < w->count; i++) {
        metrics_window_unref(w->windows[i]);
    }
    w->count = 0;
}

static MetricsRun *run_open(Test *t, const Windows *w, const Schema *schema)
{
    MetricsRun *run = NULL;
    Err err;
    CHECK_OK(metrics_run_open(
        &(MetricsRunOptions){.windows = w->windows, .window_count = w->count, .schema = schema},
        &run, &err));
    return run;
}

static void run_collect(Test *t, MetricsRun *run, const MetricsCursorOptions *options, Model *out)
{
    Batch batch;
    Err err;
    MetricsCursor *cursor = metrics_cursor_new(run, options);
    do {
        CHECK_OK(metrics_cursor_next(cursor, &batch, &err));
        workload_collect(t, &batch, out);
    } while (batch.row_count != 0);
    metrics_cursor_free(cursor);
}

// Everything the hot tier holds, by a sorted run.
static void hot_collect(Test *t, MetricsHot *hot, Model *out)
{
    Windows w = {0};
    Arena arena = {0};
    Schema schema;
    size_t label_count = 0;
    windows_active(hot, &w);
    metrics_hot_schema(hot, &arena, &schema, &label_count);
    MetricsRun *run = run_open(t, &w, &schema);
    run_collect(t, run, &(MetricsCursorOptions){.rows_max = 500}, out);
    metrics_run_close(run);
    windows_release(&w);
    arena_deinit(&arena);
}

// All columns of a window, by a scan.
static void scan_collect(Test *t, MetricsWindow *window, const Schema *schema,
                         const ScanTest *tests, size_t test_count, Model *out)
{
    size_t columns[64];
    for (size_t i = 0; i < schema->count; i++) {
        columns[i] = i;
    }
    MetricsScan *scan = NULL;
    Batch batch;
    Err err;
    CHECK_OK(metrics_scan_open(&(MetricsScanOptions){.window = window,
                                                     .schema = schema,
                                                     .columns = columns,
                                                     .column_count = schema->count,
                                                     .tests = tests,
                                                     .test_count = test_count},
                               &scan, &err));
    MetricsScanWorker *worker = metrics_scan_worker_new(scan);
    do {
        CHECK_OK(metrics_scan_next(worker, &batch, &err));
        workload_collect(t, &batch, out);
    } while (batch.row_count != 0);
    metrics_scan_worker_free(worker);
    metrics_scan_close(scan);
}

// --- what comes back -----------------------------------------------------------------------------

static void check_generations(Test *t, const WorkloadOptions *options)
{
    MetricsHot *hot = hot_new(NULL, 1);
    Model generations[GENERATIONS];
    Model all;
    Model got;
    Windows windows = {0};
    Arena arena = {0};
    int64_t now_ms = start_ms;
    model_init(&all);
    for (size_t g = 0; g < GENERATIONS; g++) {
        Windows here = {0};
        Schema schema;
        size_t label_count = 0;
        model_init(&generations[g]);
        for (int i = 0; i < 20; i++, now_ms += NOW_MS_STEP) {
            workload_append(t, hot, options, now_ms, &generations[g]);
        }
        model_add(&all, &generations[g]);
        metrics_hot_schema(hot, &arena, &schema, &label_count);
        CHECK(label_count <= 8);
        if (g + 1 < GENERATIONS) {
            windows_seal(hot, &here);
        } else {
            windows_active(hot, &here);
        }
        model_init(&got);
        for (size_t i = 0; i < here.count; i++) {
            windows.windows[windows.count++] = here.windows[i];
            scan_collect(t, here.windows[i], &schema, NULL, 0, &got);
        }
        model_check_equal(t, "scan", &got, &generations[g]);
        model_deinit(&got);
        MetricsRun *run = run_open(t, &windows, &schema);
        model_init(&got);
        run_collect(t, run, &(MetricsCursorOptions){.rows_max = 97}, &got);
        model_check_equal(t, "run", &got, &all);
        model_deinit(&got);
        metrics_run_close(run);
    }
    for (size_t g = 0; g < GENERATIONS; g++) {
        model_deinit(&generations[g]);
    }
    model_deinit(&all);
    windows_release(&windows);
    metrics_hot_free(hot);
    arena_deinit(&arena);
}

TEST(metrics_hot, plain_rows_come_back_from_scans_and_runs)
{
    check_generations(t, &plain);
}

TEST(metrics_hot, wild_rows_come_back_from_scans_and_runs)
{
    for (int round = 0; round < 5; round++) {
        check_generations(t, &wild);
    }
}

TEST(metrics_hot, rows_of_all_kinds_come_back_from_scans_and_runs)
{
    for (int round = 0; round < 5; round++) {
        check_generations(t, &all_kinds);
    }
}

TEST(metrics_hot, an_empty_tier_reads_as_nothing)
{
    MetricsHot *hot = hot_new(NULL, 1);
    Model none;
    model_init(&none);
    for (uint32_t i = 0; i < METRICS_SHARDS; i++) {
        CHECK(metrics_hot_seal(hot, i) == NULL);
    }
    hot_collect(t, hot, &none);
    CHECK_EQ(none.rows.count, 0);
    Arena arena = {0};
    Schema schema;
    size_t label_count = 0;
    metrics_hot_schema(hot, &arena, &schema, &label_count);
    MetricsRun *run = run_open(t, &(Windows){0}, &schema);
    run_collect(t, run, &(MetricsCursorOptions){0}, &none);
    CHECK_EQ(none.rows.count, 0);
    metrics_run_close(run);
    arena_deinit(&arena);
    model_deinit(&none);
    metrics_hot_free(hot);
}

// --- replay --------------------------------------------------------------------------------------

static void replay(Test *t, MetricsHot *hot, const Log *log, size_t from, uint64_t *unknown)
{
    MetricsReplay figures = {0};
    Err err;
    for (size_t i = from; i < log->count; i++) {
        CHECK_OK(metrics_hot_replay(hot, log->frames[i].shard, i + 1,
                                    buf_bytes(&log->frames[i].payload), &figures, &err));
    }
    if (unknown != NULL) {
        *unknown = figures.samples_unknown;
    } else {
        CHECK_EQ(figures.samples_unknown, 0);
    }
}

static void check_replay(Test *t, const WorkloadOptions *options)
{
    Log log = {0};
    Log log2 = {0};
    Windows sealed = {0};
    Model first;
    Model second;
    Model got;
    int64_t now_ms = start_ms;
    model_init(&first);
    model_init(&second);
    MetricsHot *hot = hot_new(&log, 1);
    for (int i = 0; i < 30; i++, now_ms += NOW_MS_STEP) {
        workload_append(t, hot, options, now_ms, &first);
    }
    windows_seal(hot, &sealed);
    const size_t flushed = log.count;
    for (int i = 0; i < 30; i++, now_ms += NOW_MS_STEP) {
        workload_append(t, hot, options, now_ms, &second);
    }
    // What was flushed is not replayed: the frames after it are complete without it.
    MetricsHot *again = hot_new(&log2, 2);
    replay(t, again, &log, flushed, NULL);
    model_init(&got);
    hot_collect(t, again, &got);
    model_check_equal(t, "after the flush", &got, &second);
    model_deinit(&got);
    // The tier goes on and crashes a second time: its own frames are complete with the old ones.
    for (int i = 0; i < 30; i++, now_ms += NOW_MS_STEP) {
        workload_append(t, again, options, now_ms, &second);
    }
    MetricsHot *third = hot_new(NULL, 3);
    replay(t, third, &log, flushed, NULL);
    replay(t, third, &log2, 0, NULL);
    model_init(&got);
    hot_collect(t, third, &got);
    model_check_equal(t, "after two crashes", &got, &second);
    model_deinit(&got);
    // The new frames alone are complete, too: nothing in them needs the old ones.
    MetricsHot *fourth = hot_new(NULL, 4);
    replay(t, fourth, &log2, 0, NULL);
    windows_release(&sealed);
    metrics_hot_free(hot);
    metrics_hot_free(again);
    metrics_hot_free(third);
    metrics_hot_free(fourth);
    model_deinit(&first);
    model_deinit(&second);
    log_deinit(&log);
    log_deinit(&log2);
}

TEST(metrics_hot, replayed_frames_give_the_same_rows)
{
    check_replay(t, &wild);
    check_replay(t, &all_kinds);
}

TEST(metrics_hot, a_lost_frame_loses_its_series_and_no_other)
{
    Log log = {0};
    Model all;
    Model got;
    model_init(&all);
    model_init(&got);
    MetricsHot *hot = hot_new(&log, 1);
    for (int i = 0; i < 20; i++) {
        workload_append(t, hot, &plain, start_ms + i * NOW_MS_STEP, &all);
    }
    MetricsHot *again = hot_new(NULL, 2);
    uint64_t unknown = 0;
    replay(t, again, &log, 20, &unknown);
    CHECK(unknown != 0);
    hot_collect(t, again, &got);
    CHECK(got.rows.count != 0 && got.rows.count < all.rows.count);
    for (size_t i = 0; i < got.rows.count; i++) {
        const uint64_t *index = strmap_get(&all.rows, got.rows.entries[i].key);
        CHECK(index != NULL && memcmp(&all.values[*index], &got.values[got.rows.entries[i].value],
                                      sizeof(double)) == 0);
    }
    metrics_hot_free(hot);
    metrics_hot_free(again);
    model_deinit(&all);
    model_deinit(&got);
    log_deinit(&log);
}

// Frames as the first version wrote them, with whole labels, are read for ever.
TEST(metrics_hot, frames_of_version_1_are_replayed)
{
    static const char frame[] = "\1window 1" // version, id of the window
                                "\1\x10\x0a\x0e\x0a\x08__name__\x12\x02up" // series 0, labels
                                "\2\0\0\0\0\0\0\xf0\x3f"                   // 1 ms, 1.0
                                "\0\2\0\0\0\0\0\0\0\x40";                  // series 0, 2 ms, 2.0
    MetricsHot *hot = hot_new(NULL, 1);
    MetricsReplay figures = {0};
    Model got;
    uint32_t taken = 0;
    for (uint32_t shard = 0; shard < METRICS_SHARDS; shard++) { // only one is that of the series
        Err err;
        taken +=
            metrics_hot_replay(hot, shard, 1, (Bytes){(const uint8_t *)frame, sizeof(frame) - 1},
                               &figures, &err) == OK;
    }
    CHECK_EQ(taken, 1);
    CHECK_EQ(figures.samples, 2);
    model_init(&got);
    hot_collect(t, hot, &got);
    CHECK_EQ(got.rows.count, 2);
    model_deinit(&got);
    metrics_hot_free(hot);
}

TEST(metrics_hot, broken_frames_are_refused)
{
    Log log = {0};
    Model all;
    Err err;
    MetricsReplay figures = {0};
    model_init(&all);
    MetricsHot *hot = hot_new(&log, 1);
    workload_append(t, hot, &plain, start_ms, &all);
    const Bytes payload = buf_bytes(&log.frames[0].payload);
    for (size_t len = 0; len < payload.len; len++) { // cut: a prefix is valid only between entries
        (void)metrics_hot_replay(hot, log.frames[0].shard, 1, (Bytes){payload.ptr, len}, &figures,
                                 &err);
    }
    CHECK_EQ(
        metrics_hot_replay(hot, log.frames[0].shard, 1, (Bytes){payload.ptr, 8}, &figures, &err),
        ERR_CORRUPT);
    CHECK_EQ(metrics_hot_replay(hot, log.frames[0].shard, 1, (Bytes){payload.ptr, payload.len - 1},
                                &figures, &err),
             ERR_CORRUPT);
    CHECK_EQ(metrics_hot_replay(hot, log.frames[0].shard ^ 1, 1, payload, &figures, &err),
             ERR_CORRUPT);
    metrics_hot_free(hot);
    model_deinit(&all);
    log_deinit(&log);
}

// A request that the log refuses leaves nothing behind that later frames would rely on: neither for
// plain series nor for those that came in another form, whose hash is an alias by then.
TEST(metrics_hot, frames_after_a_refused_one_have_its_labels)
{
    // Each call starts with another shard, and the first failure ends it.
    enum { FAILURES = METRICS_SHARDS };
    static const char up[] = "\x0a\x0e\x0a\x08__name__\x12\x02up";
    static const char unsorted[] = "\x0a\x06\x0a\x01z\x12\x01"
                                   "1\x0a\x0e\x0a\x08__name__\x12\x02up";
    static const char other[] = "\x0a\x10\x0a\x08__name__\x12\x04"
                                "down";
    const MetricsSeries series[] = {{{(const uint8_t *)up, sizeof(up) - 1}, 0, 1},
                                    {{(const uint8_t *)unsorted, sizeof(unsorted) - 1}, 1, 1},
                                    {{(const uint8_t *)other, sizeof(other) - 1}, 2, 1}};
    const double values[] = {1, 2, 3};
    Log log = {0};
    MetricsHot *hot = hot_new(&log, 1);
    for (int64_t i = 0; i < FAILURES + 4; i++) {
        const int64_t ms[] = {start_ms + i, start_ms + i, start_ms + i};
        MetricsResult result;
        uint64_t sequence = 0;
        Err err;
        // The first series is known to the log before the failures, the others come up in them.
        log.fail_after = i > 0 && i <= FAILURES ? log.count : SIZE_MAX;
        const Status st =
            metrics_hot_append(hot, &(MetricsBatch){series, i == 0 ? 1 : 3, ms, values, NULL},
                               &result, &sequence, &err);
        CHECK_EQ(st, log.fail_after == SIZE_MAX ? OK : ERR_UNAVAILABLE);
    }
    MetricsHot *again = hot_new(NULL, 2);
    Model got;
    model_init(&got);
    replay(t, again, &log, 0, NULL);
    hot_collect(t, again, &got);
    CHECK_EQ(got.rows.count, 1 + 3 * 3);
    model_deinit(&got);
    metrics_hot_free(hot);
    metrics_hot_free(again);
    log_deinit(&log);
}

TEST(metrics_hot, a_failing_log_is_said)
{
    Log log = {0};
    MetricsHot *hot = hot_new(&log, 1);
    log.fail_after = 0;
    const uint8_t wire[] = "\x0a\x0e\x0a\x08__name__\x12\x02up";
    const MetricsSeries series = {{wire, sizeof(wire) - 1}, 0, 1};
    const int64_t ms = 1;
    const double value = 2;
    MetricsResult result;
    uint64_t sequence = 0;
    Err err;
    CHECK_EQ(metrics_hot_append(hot, &(MetricsBatch){&series, 1, &ms, &value, NULL}, &result,
                                &sequence, &err),
             ERR_UNAVAILABLE);
    CHECK_EQ(sequence, 0);
    metrics_hot_free(hot);
    log_deinit(&log);
}
