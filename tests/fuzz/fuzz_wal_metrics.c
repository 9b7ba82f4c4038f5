// SPDX-License-Identifier: Apache-2.0
//
// The input is two WAL frames of metrics: a length byte, the first, then the second. Both go to
// every shard, which takes only its own series. Oracles: what was applied can be read as a sorted
// run and as scans, whose vectors keep their promises and which agree about the number of series;
// replaying the same frames gives the same figures.
#include "store/metrics_run.h"
#include "store/metrics_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static MetricsHot *hot_new(void)
{
    return metrics_hot_new(
        &(MetricsHotOptions){.key = {7}, .label_columns_max = 3, .floor_ms = 1000, .nonce = 1});
}

static MetricsReplay replay(MetricsHot *hot, const uint8_t *data, size_t size)
{
    MetricsReplay figures = {0};
    const size_t first = size == 0 ? 0 : data[0] < size ? data[0] : size - 1;
    for (uint32_t shard = 0; shard < METRICS_SHARDS && size != 0; shard++) {
        Err err;
        (void)metrics_hot_replay(hot, shard, 1, (Bytes){data + 1, first}, &figures, &err);
        (void)metrics_hot_replay(hot, shard, 2, (Bytes){data + 1 + first, size - 1 - first},
                                 &figures, &err);
    }
    return figures;
}

static void check_batch(const Batch *batch)
{
    Err err;
    for (size_t i = 0; i < batch->schema->count && batch->row_count != 0; i++) {
        ASSERT(vector_validate(&batch->columns[i], &err) == OK);
    }
}

static uint64_t run_rows(MetricsWindow *const *windows, const Schema *schema)
{
    MetricsRun *run = NULL;
    Batch batch;
    Err err;
    uint64_t rows = 0;
    ASSERT(metrics_run_open(&(MetricsRunOptions){.windows = windows,
                                                 .window_count = METRICS_SHARDS,
                                                 .schema = schema},
                            &run, &err) == OK);
    MetricsCursor *cursor = metrics_cursor_new(run, &(MetricsCursorOptions){.rows_max = 7});
    do {
        ASSERT(metrics_cursor_next(cursor, &batch, &err) == OK);
        check_batch(&batch);
        rows += batch.row_count;
    } while (batch.row_count != 0);
    metrics_cursor_free(cursor);
    metrics_run_close(run);
    return rows;
}

static uint64_t scan_rows(MetricsWindow *window, const Schema *schema)
{
    // Time, name and value; labels, and what comes behind them once there are extended samples.
    const size_t columns[] = {0, 1, 2, schema->count - 3, schema->count - 2, schema->count - 1};
    MetricsScan *scan = NULL;
    Batch batch;
    Err err;
    uint64_t rows = 0;
    ASSERT(metrics_scan_open(&(MetricsScanOptions){.window = window,
                                                   .schema = schema,
                                                   .columns = columns,
                                                   .column_count = ARRAY_LEN(columns)},
                             &scan, &err) == OK);
    MetricsScanWorker *worker = metrics_scan_worker_new(scan);
    do {
        ASSERT(metrics_scan_next(worker, &batch, &err) == OK);
        check_batch(&batch);
        rows += batch.row_count;
    } while (batch.row_count != 0);
    metrics_scan_worker_free(worker);
    metrics_scan_close(scan);
    return rows;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    MetricsHot *hot = hot_new();
    MetricsHot *again = hot_new();
    MetricsWindow *windows[METRICS_SHARDS];
    Arena arena = {0};
    Schema schema;
    size_t label_count = 0;
    uint64_t rows = 0;
    const MetricsReplay figures = replay(hot, data, size);
    const MetricsReplay figures_again = replay(again, data, size);
    ASSERT(figures.samples == figures_again.samples);
    ASSERT(figures.samples_unknown == figures_again.samples_unknown);
    metrics_hot_schema(hot, &arena, &schema, &label_count);
    for (uint32_t i = 0; i < METRICS_SHARDS; i++) {
        windows[i] = metrics_hot_active(hot, i);
        rows += scan_rows(windows[i], &schema);
    }
    ASSERT(rows <= figures.samples);
    ASSERT(run_rows(windows, &schema) == rows);
    for (uint32_t i = 0; i < METRICS_SHARDS; i++) {
        metrics_window_unref(windows[i]);
    }
    metrics_hot_free(hot);
    metrics_hot_free(again);
    arena_deinit(&arena);
    return 0;
}
