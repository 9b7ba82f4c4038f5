// SPDX-License-Identifier: Apache-2.0
//
// Writers, readers and a flusher of one typed table at the same time; see metrics_threads_test.c.
#include "base/mem.h"
#include "os/thread.h"
#include "store/rows_hot.h"
#include "store/rows_run.h"
#include "store/rows_scan.h"
#include "tests/support/test.h"

#include <stdatomic.h>
#include <stdio.h>

enum { WRITERS = 2, SCANNERS = 2, BATCHES = 150, BATCH_ROWS = 300, COLUMNS = 3 };

typedef struct World {
    RowsHot *hot;
    _Atomic bool done;
    _Atomic uint64_t flushed; // rows
    _Atomic uint64_t sum;     // of their values
} World;

static const Field fields[COLUMNS] = {{{"timestamp", 9}, COLUMN_TIMESTAMP, false},
                                      {{"host", 4}, COLUMN_STRING, true},
                                      {{"value", 5}, COLUMN_INT64, true}};

static void write_rows(void *arg)
{
    World *world = arg;
    for (uint32_t i = 0; i < BATCHES; i++) {
        Arena arena = {0};
        int64_t *us = arena_new(&arena, int64_t, BATCH_ROWS);
        int64_t *values = arena_new(&arena, int64_t, BATCH_ROWS);
        uint64_t *validity = arena_new(&arena, uint64_t, BATCH_ROWS / 64 + 1);
        char text[32];
        char name[32];
        for (uint32_t row = 0; row < BATCH_ROWS; row++) {
            us[row] = INT64_C(1763683200000000) + i * BATCH_ROWS + row;
            values[row] = row;
            validity_set(validity, row, true);
        }
        (void)snprintf(text, sizeof(text), "host-%u", i);
        (void)snprintf(name, sizeof(name), "extra%u", i / 10); // new columns now and then
        const Field given[] = {
            fields[0], fields[1], fields[2], {{name, strlen(name)}, COLUMN_STRING, true}};
        const Str host = {text, strlen(text)};
        const Vector vectors[] = {
            {.type = COLUMN_TIMESTAMP, .row_count = BATCH_ROWS, .data = us},
            vector_constant_str(COLUMN_STRING, host, BATCH_ROWS, &arena),
            {.type = COLUMN_INT64, .row_count = BATCH_ROWS, .data = values, .validity = validity},
            i % 2 == 0 ? vector_nulls(COLUMN_STRING, BATCH_ROWS, &arena)
                       : vector_constant_str(COLUMN_STRING, host, BATCH_ROWS, &arena)};
        const Schema schema = {given, 4};
        const Batch batch = {&schema, vectors, BATCH_ROWS};
        uint64_t sequence = 0;
        Err err;
        ASSERT(rows_hot_append(world->hot, &batch, &sequence, &err) == OK);
        arena_deinit(&arena);
    }
}

static void check_batch(const Batch *batch)
{
    Err err;
    for (size_t i = 0; i < batch->schema->count && batch->row_count != 0; i++) {
        ASSERT(vector_validate(&batch->columns[i], &err) == OK);
    }
}

static void flush_window(World *world, RowsWindow *window)
{
    Arena arena = {0};
    Schema schema;
    RowsRun *run = NULL;
    Batch batch;
    Err err;
    rows_hot_schema(world->hot, &arena, &schema);
    ASSERT(
        rows_run_open(&(RowsRunOptions){.windows = &window, .window_count = 1, .schema = &schema},
                      &run, &err) == OK);
    RowsCursor *cursor = rows_cursor_new(run, &(RowsCursorOptions){0});
    do {
        ASSERT(rows_cursor_next(cursor, &batch, &err) == OK);
        check_batch(&batch);
        atomic_fetch_add(&world->flushed, batch.row_count);
        for (uint32_t row = 0; row < batch.row_count; row++) {
            atomic_fetch_add(&world->sum, (uint64_t)((const int64_t *)batch.columns[2].data)[row]);
        }
    } while (batch.row_count != 0);
    rows_cursor_free(cursor);
    rows_run_close(run);
    arena_deinit(&arena);
}

static void flush_rows(void *arg)
{
    World *world = arg;
    for (bool last = false; !last;) {
        last = atomic_load(&world->done);
        RowsWindow *window = rows_hot_seal(world->hot);
        if (window != NULL) {
            flush_window(world, window);
            rows_window_unref(window);
        }
    }
}

static void read_rows(void *arg)
{
    World *world = arg;
    while (!atomic_load(&world->done)) {
        Arena arena = {0};
        Schema schema;
        RowsScan *scan = NULL;
        Batch batch;
        Err err;
        size_t columns[64];
        RowsWindow *window = rows_hot_active(world->hot);
        rows_hot_schema(world->hot, &arena, &schema);
        for (size_t i = 0; i < schema.count; i++) {
            columns[i] = i;
        }
        ASSERT(rows_scan_open(&(RowsScanOptions){.window = window,
                                                 .schema = &schema,
                                                 .columns = columns,
                                                 .column_count = schema.count},
                              &scan, &err) == OK);
        RowsScanWorker *worker = rows_scan_worker_new(scan);
        do {
            ASSERT(rows_scan_next(worker, &batch, &err) == OK);
            check_batch(&batch);
        } while (batch.row_count != 0);
        rows_scan_worker_free(worker);
        rows_scan_close(scan);
        rows_window_unref(window);
        arena_deinit(&arena);
    }
}

TEST(rows_threads, nothing_is_lost_or_doubled)
{
    static World world;
    Thread writers[WRITERS] = {{0}};
    Thread scanners[SCANNERS] = {{0}};
    Thread flusher = {0};
    Err err;
    const Str key = STR("host");
    const TableDef def = {
        .name = STR("t"), .schema = {fields, COLUMNS}, .sort_key = &key, .sort_key_count = 1};
    world = (World){0};
    CHECK_OK(rows_hot_new(&(RowsHotOptions){.def = &def, .nonce = 1}, &world.hot, &err));
    for (uint32_t i = 0; i < WRITERS; i++) {
        CHECK_OK(thread_start(&writers[i], "writer", write_rows, &world, &err));
    }
    for (uint32_t i = 0; i < SCANNERS; i++) {
        CHECK_OK(thread_start(&scanners[i], "scanner", read_rows, &world, &err));
    }
    CHECK_OK(thread_start(&flusher, "flusher", flush_rows, &world, &err));
    for (uint32_t i = 0; i < WRITERS; i++) {
        thread_join(&writers[i]);
    }
    atomic_store(&world.done, true);
    thread_join(&flusher);
    for (uint32_t i = 0; i < SCANNERS; i++) {
        thread_join(&scanners[i]);
    }
    CHECK_EQ(atomic_load(&world.flushed), WRITERS * BATCHES * BATCH_ROWS);
    CHECK_EQ(atomic_load(&world.sum),
             (uint64_t)WRITERS * BATCHES * (BATCH_ROWS * (BATCH_ROWS - 1) / 2));
    rows_hot_free(world.hot);
}
