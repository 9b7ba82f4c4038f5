// SPDX-License-Identifier: Apache-2.0
//
// Writers, readers and a flusher at the same time. Run under ThreadSanitizer this finds missing
// locks; run without it, lost or doubled rows.
#include "base/mem.h"
#include "os/thread.h"
#include "store/metrics_model_internal.h"

#include <stdatomic.h>
#include <stdio.h>

enum { WRITERS = 2, SCANNERS = 2, SERIES = 3000, TICKS = 40, PER_REQUEST = 500 };

typedef struct World {
    MetricsHot *hot;
    _Atomic bool done;
    _Atomic uint64_t written, flushed; // rows
} World;

typedef struct Writer {
    World *world;
    uint32_t number;
} Writer;

static void put_label(Buf *b, const char *name, const char *value)
{
    const size_t name_len = strlen(name);
    const size_t value_len = strlen(value);
    const uint8_t head[] = {0x0A, (uint8_t)(4 + name_len + value_len), 0x0A, (uint8_t)name_len};
    const uint8_t middle[] = {0x12, (uint8_t)value_len};
    buf_put(b, head, sizeof(head));
    buf_put(b, name, name_len);
    buf_put(b, middle, sizeof(middle));
    buf_put(b, value, value_len);
}

// Each writer has series of its own, so no row is written twice.
static void write_rows(void *arg)
{
    const Writer *writer = arg;
    Buf wire;
    buf_init(&wire, 0);
    for (uint32_t tick = 0; tick < TICKS; tick++) {
        for (uint32_t from = 0; from < SERIES; from += PER_REQUEST) {
            MetricsSeries series[PER_REQUEST];
            size_t starts[PER_REQUEST + 1];
            int64_t ms[PER_REQUEST];
            double values[PER_REQUEST];
            MetricsExtra extras[PER_REQUEST];
            buf_clear(&wire);
            for (uint32_t i = 0; i < PER_REQUEST; i++) {
                char text[32];
                starts[i] = wire.len;
                put_label(&wire, "__name__", "up");
                // New series come up all the time, with new label names among them.
                (void)snprintf(text, sizeof(text), "%u-%u", from + i, tick / 8);
                put_label(&wire, "id", text);
                (void)snprintf(text, sizeof(text), "l%u", (from + i + tick) % 50);
                put_label(&wire, text, "x");
                (void)snprintf(text, sizeof(text), "%u", writer->number);
                put_label(&wire, "writer", text);
                ms[i] = 1763683200000 + tick * 1000;
                values[i] = tick;
                extras[i] = (MetricsExtra){.start_ms = i % 3 == 0 ? ms[i] - 1000 : INT64_MIN};
                if (i % 4 == 0) {
                    extras[i].histogram = (Bytes){(const uint8_t *)"a histogram", i % 12};
                }
            }
            starts[PER_REQUEST] = wire.len;
            for (uint32_t i = 0; i < PER_REQUEST; i++) {
                series[i] =
                    (MetricsSeries){{wire.ptr + starts[i], starts[i + 1] - starts[i]}, i, 1};
            }
            MetricsResult result;
            uint64_t sequence = 0;
            Err err;
            const bool extended = writer->number % 2 == 0;
            const MetricsBatch batch = {series, PER_REQUEST, ms, values, extended ? extras : NULL};
            ASSERT(metrics_hot_append(writer->world->hot, &batch, &result, &sequence, &err) == OK);
            ASSERT(result.samples_written == PER_REQUEST);
            atomic_fetch_add(&writer->world->written, PER_REQUEST);
        }
    }
    buf_deinit(&wire);
}

static uint64_t run_rows(MetricsHot *hot, MetricsWindow *const *windows, size_t count)
{
    Arena arena = {0};
    Schema schema;
    size_t label_count = 0;
    MetricsRun *run = NULL;
    Batch batch;
    Err err;
    uint64_t rows = 0;
    metrics_hot_schema(hot, &arena, &schema, &label_count);
    ASSERT(metrics_run_open(
               &(MetricsRunOptions){.windows = windows, .window_count = count, .schema = &schema},
               &run, &err) == OK);
    MetricsCursor *cursor = metrics_cursor_new(run, &(MetricsCursorOptions){.rows_max = 10000});
    do {
        ASSERT(metrics_cursor_next(cursor, &batch, &err) == OK);
        for (size_t i = 0; i < schema.count && batch.row_count != 0; i++) {
            ASSERT(vector_validate(&batch.columns[i], &err) == OK);
        }
        rows += batch.row_count;
    } while (batch.row_count != 0);
    metrics_cursor_free(cursor);
    metrics_run_close(run);
    arena_deinit(&arena);
    return rows;
}

// Seals shard after shard and counts what was in the windows.
static void flush_rows(void *arg)
{
    World *world = arg;
    for (uint32_t i = 0;; i++) {
        const bool last = atomic_load(&world->done);
        const uint32_t count = last ? METRICS_SHARDS : 1;
        for (uint32_t k = 0; k < count; k++) {
            MetricsWindow *window = metrics_hot_seal(world->hot, (i + k) % METRICS_SHARDS);
            if (window != NULL) {
                atomic_fetch_add(&world->flushed, run_rows(world->hot, &window, 1));
                metrics_window_flushed(window);
                metrics_window_unref(window);
            }
        }
        if (last) {
            return;
        }
    }
}

static void scan_window(World *world, MetricsWindow *window, uint32_t full)
{
    Arena arena = {0};
    Schema schema;
    size_t label_count = 0;
    MetricsScan *scan = NULL;
    Batch batch;
    Err err;
    size_t columns[64];
    metrics_hot_schema(world->hot, &arena, &schema, &label_count);
    for (size_t i = 0; i < schema.count; i++) {
        columns[i] = i;
    }
    const ScanValue value = {.bytes = {(const uint8_t *)"7-1", 3}};
    const ScanTest test = {.column = schema_find(&schema, STR("id")),
                           .kind = SCAN_TEST_IN,
                           .values = &value,
                           .value_count = 1};
    const bool tested = test.column != SIZE_MAX && full % 2 == 0;
    ASSERT(metrics_scan_open(&(MetricsScanOptions){.window = window,
                                                   .schema = &schema,
                                                   .columns = columns,
                                                   .column_count = schema.count,
                                                   .tests = &test,
                                                   .test_count = tested},
                             &scan, &err) == OK);
    MetricsScanWorker *worker = metrics_scan_worker_new(scan);
    do {
        ASSERT(metrics_scan_next(worker, &batch, &err) == OK);
        for (size_t i = 0; i < schema.count && batch.row_count != 0; i++) {
            ASSERT(vector_validate(&batch.columns[i], &err) == OK);
        }
    } while (batch.row_count != 0);
    metrics_scan_worker_free(worker);
    metrics_scan_close(scan);
    arena_deinit(&arena);
}

static void read_rows(void *arg)
{
    World *world = arg;
    for (uint32_t i = 0; !atomic_load(&world->done); i++) {
        MetricsWindow *windows[METRICS_SHARDS];
        for (uint32_t k = 0; k < METRICS_SHARDS; k++) {
            windows[k] = metrics_hot_active(world->hot, k);
        }
        if (i % 4 == 0) {
            (void)run_rows(world->hot, windows, METRICS_SHARDS);
        }
        MetricsHotFigures figures;
        metrics_hot_figures(world->hot, &figures);
        for (uint32_t k = 0; k < METRICS_SHARDS; k++) {
            scan_window(world, windows[k], i + k);
            metrics_window_unref(windows[k]);
        }
    }
}

TEST(metrics_threads, nothing_is_lost_or_doubled)
{
    static World world;
    Thread writers[WRITERS] = {{0}};
    Thread scanners[SCANNERS] = {{0}};
    Thread flusher = {0};
    Writer writer_args[WRITERS];
    Err err;
    world = (World){.hot = metrics_hot_new(
                        &(MetricsHotOptions){.key = {1}, .floor_ms = INT64_MIN, .nonce = 1})};
    for (uint32_t i = 0; i < WRITERS; i++) {
        writer_args[i] = (Writer){&world, i};
        CHECK_OK(thread_start(&writers[i], "writer", write_rows, &writer_args[i], &err));
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
    CHECK_EQ(atomic_load(&world.written), WRITERS * SERIES * TICKS);
    CHECK_EQ(atomic_load(&world.flushed), WRITERS * SERIES * TICKS);
    metrics_hot_free(world.hot);
}
