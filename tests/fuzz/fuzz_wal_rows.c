// SPDX-License-Identifier: Apache-2.0
//
// The input is a WAL frame of typed rows. Oracles: a frame is applied as a whole or not at all;
// what was applied can be read by a scan and by a sorted run, whose vectors keep their promises
// and which agree about the number of rows; and the scan's batches, appended to another table, are
// logged as frames that are accepted in turn.
#include "store/rows_run.h"
#include "store/rows_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COLUMNS_MAX = 64 };

static RowsHot *hot_new(RowsLog log)
{
    static const Field fields[] = {{{"timestamp", 9}, COLUMN_TIMESTAMP, false},
                                   {{"s", 1}, COLUMN_STRING, true}};
    const Str key = STR("s");
    const TableDef def = {
        .name = STR("t"), .schema = {fields, 2}, .sort_key = &key, .sort_key_count = 1};
    RowsHot *hot = NULL;
    Err err;
    ASSERT(rows_hot_new(&(RowsHotOptions){.def = &def, .nonce = 1, .log = log}, &hot, &err) == OK);
    return hot;
}

static Status replay_again(void *ctx, Bytes payload, uint64_t *sequence, Err *err)
{
    uint64_t rows = 0;
    *sequence = 1;
    return rows_hot_replay(ctx, 1, payload, &rows, err);
}

static void check_batch(const Batch *batch)
{
    Err err;
    for (size_t i = 0; i < batch->schema->count && batch->row_count != 0; i++) {
        ASSERT(vector_validate(&batch->columns[i], &err) == OK);
    }
}

// Scans the window, and appends what it gives to `copy`.
static uint64_t scan_rows(RowsWindow *window, const Schema *schema, RowsHot *copy)
{
    size_t columns[COLUMNS_MAX];
    RowsScan *scan = NULL;
    Batch batch;
    Err err;
    uint64_t rows = 0;
    for (size_t i = 0; i < schema->count; i++) {
        columns[i] = i;
    }
    ASSERT(rows_scan_open(&(RowsScanOptions){.window = window,
                                             .schema = schema,
                                             .columns = columns,
                                             .column_count = schema->count},
                          &scan, &err) == OK);
    RowsScanWorker *worker = rows_scan_worker_new(scan);
    do {
        uint64_t sequence = 0;
        ASSERT(rows_scan_next(worker, &batch, &err) == OK);
        check_batch(&batch);
        ASSERT(rows_hot_append(copy, &batch, &sequence, &err) == OK);
        rows += batch.row_count;
    } while (batch.row_count != 0);
    rows_scan_worker_free(worker);
    rows_scan_close(scan);
    return rows;
}

static uint64_t run_rows(RowsWindow *window, const Schema *schema)
{
    RowsRun *run = NULL;
    Batch batch;
    Err err;
    uint64_t rows = 0;
    ASSERT(rows_run_open(&(RowsRunOptions){.windows = &window, .window_count = 1, .schema = schema},
                         &run, &err) == OK);
    RowsCursor *cursor = rows_cursor_new(run, &(RowsCursorOptions){.rows_max = 13});
    do {
        ASSERT(rows_cursor_next(cursor, &batch, &err) == OK);
        check_batch(&batch);
        rows += batch.row_count;
    } while (batch.row_count != 0);
    rows_cursor_free(cursor);
    rows_run_close(run);
    return rows;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    RowsHot *hot = hot_new((RowsLog){0});
    RowsHot *third = hot_new((RowsLog){0});
    RowsHot *copy = hot_new((RowsLog){replay_again, third});
    Arena arena = {0};
    Schema schema;
    RowsWindowInfo info;
    Err err;
    uint64_t rows = 0;
    const Status st = rows_hot_replay(hot, 1, (Bytes){data, size}, &rows, &err);
    ASSERT((st == OK) == (rows != 0));
    rows_hot_schema(hot, &arena, &schema);
    RowsWindow *window = rows_hot_active(hot);
    rows_window_info(window, &info);
    ASSERT(info.row_count == rows);
    if (schema.count <= COLUMNS_MAX) {
        ASSERT(scan_rows(window, &schema, copy) == rows);
        ASSERT(run_rows(window, &schema) == rows);
        RowsWindow *last = rows_hot_active(third);
        rows_window_info(last, &info);
        ASSERT(info.row_count == rows);
        rows_window_unref(last);
    }
    rows_window_unref(window);
    rows_hot_free(hot);
    rows_hot_free(copy);
    rows_hot_free(third);
    arena_deinit(&arena);
    return 0;
}
