// SPDX-License-Identifier: Apache-2.0
//
// What the hot tier of metrics costs: new series, samples of known series, memory, and batches of
// sorted rows. One thread; CPU seconds of the process.
//
//     hot_bench [series [ticks [labels [samples per request]]]]      (100000 10 7 10000)
//
// Series are those of the load generator: __name__, conn (unique), instance, job, pod, region,
// service, and more labels of few values up to the number asked for. Each tick is a sample of
// every series.
#include "base/mem.h"
#include "base/num.h"
#include "base/rng.h"
#include "codec/varint.h"
#include "os/os.h"
#include "os/thread.h"
#include "store/metrics_hot.h"
#include "store/metrics_run.h"
#include "store/metrics_scan.h"

#include <stdio.h>
#include <string.h>

typedef struct Load {
    uint32_t series_count, ticks, label_count, per_request;
    Buf wire;         // the labels of all series
    uint64_t *starts; // series_count + 1
    uint32_t *order;  // of series in requests
} Load;

static void put_label(Buf *b, const char *name, const char *value)
{
    const size_t name_len = strlen(name);
    const size_t value_len = strlen(value);
    buf_put_u8(b, 0x0A);
    buf_put_u8(b, (uint8_t)(4 + name_len + value_len));
    buf_put_u8(b, 0x0A);
    buf_put_u8(b, (uint8_t)name_len);
    buf_put(b, name, name_len);
    buf_put_u8(b, 0x12);
    buf_put_u8(b, (uint8_t)value_len);
    buf_put(b, value, value_len);
}

static void put_series(Load *load, uint32_t i)
{
    static const char *const more[] = {"shard", "team", "tier", "version", "zone"};
    char text[64];
    const uint32_t pod = i / 100; // 4 names, 25 connections
    (void)snprintf(text, sizeof(text), "http_requests_%u_total", i % 4);
    put_label(&load->wire, "__name__", text);
    (void)snprintf(text, sizeof(text), "c-%08x", i / 4 * 2654435761U);
    put_label(&load->wire, "conn", text);
    (void)snprintf(text, sizeof(text), "10.%u.%u.%u:9090", pod >> 16, (pod >> 8) & 255, pod & 255);
    put_label(&load->wire, "instance", text);
    (void)snprintf(text, sizeof(text), "job-%u", pod % 20);
    put_label(&load->wire, "job", text);
    (void)snprintf(text, sizeof(text), "service-%u-%06x-xk2p9", pod % 100, pod);
    put_label(&load->wire, "pod", text);
    (void)snprintf(text, sizeof(text), "eu-west-%u", pod % 3);
    put_label(&load->wire, "region", text);
    (void)snprintf(text, sizeof(text), "service-%u", pod % 100);
    put_label(&load->wire, "service", text);
    for (uint32_t k = 7; k < load->label_count && k < 7 + ARRAY_LEN(more); k++) {
        (void)snprintf(text, sizeof(text), "value-%u", pod * k % (10 * k));
        put_label(&load->wire, more[k - 7], text);
    }
}

static void load_make(Load *load)
{
    buf_init(&load->wire, 0);
    load->starts = mem_new(uint64_t, load->series_count + 1);
    load->order = mem_new(uint32_t, load->series_count);
    Rng rng = {.state = 7};
    for (uint32_t i = 0; i < load->series_count; i++) {
        load->starts[i] = load->wire.len;
        put_series(load, i);
        load->order[i] = i;
    }
    load->starts[load->series_count] = load->wire.len;
    for (uint32_t pod = load->series_count / 100; pod > 1; pod--) { // pods in random order
        const uint32_t k = (uint32_t)rng_below(&rng, pod);
        for (uint32_t j = 0; j < 100; j++) {
            const uint32_t swap = load->order[(pod - 1) * 100 + j];
            load->order[(pod - 1) * 100 + j] = load->order[k * 100 + j];
            load->order[k * 100 + j] = swap;
        }
    }
}

typedef struct Sink {
    Buf buf;
    uint64_t bytes, sequence;
} Sink;

// What the WAL does with a frame, without the disk.
static Status sink_append(void *ctx, uint32_t shard, Bytes payload, uint64_t *sequence, Err *err)
{
    Sink *sink = ctx;
    (void)shard, (void)err;
    if (sink->buf.len > 32 << 20) {
        buf_clear(&sink->buf);
    }
    buf_put(&sink->buf, payload.ptr, payload.len);
    sink->bytes += payload.len;
    *sequence = ++sink->sequence;
    return OK;
}

// One sample of every series: with `extra`, each has that too.
static void send_tick(MetricsHot *hot, const Load *load, uint32_t tick, const MetricsExtra *extra,
                      Arena *arena)
{
    MetricsSeries *series = arena_new(arena, MetricsSeries, load->per_request);
    int64_t *ms = arena_new(arena, int64_t, load->per_request);
    double *values = arena_new(arena, double, load->per_request);
    MetricsExtra *extras = arena_new(arena, MetricsExtra, load->per_request);
    for (uint32_t from = 0; from < load->series_count; from += load->per_request) {
        const uint32_t left = load->series_count - from;
        const uint32_t count = left < load->per_request ? left : load->per_request;
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t s = load->order[from + i];
            series[i] = (MetricsSeries){
                {load->wire.ptr + load->starts[s], load->starts[s + 1] - load->starts[s]}, i, 1};
            ms[i] = 1700000000000 + (int64_t)tick * 15000;
            values[i] = (double)(tick * 10 + s);
            extras[i] = extra != NULL ? *extra : (MetricsExtra){0};
        }
        MetricsResult result;
        uint64_t sequence = 0;
        Err err;
        const MetricsBatch batch = {series, count, ms, values, extra != NULL ? extras : NULL};
        if (metrics_hot_append(hot, &batch, &result, &sequence, &err) != OK ||
            result.samples_written != count) {
            base_panic(__FILE__, __LINE__, err.msg);
        }
    }
    arena_reset(arena);
}

static uint32_t arg(int argc, char **argv, int i, uint32_t if_absent)
{
    uint64_t v = if_absent;
    if (i < argc && (!num_parse_u64((Str){argv[i], strlen(argv[i])}, &v) || v > UINT32_MAX)) {
        base_panic(__FILE__, __LINE__, "usage: hot_bench [series [ticks [labels [per request]]]]");
    }
    return (uint32_t)v;
}

static void bench_ingest(const Load *load, MetricsHot *hot, Sink *sink)
{
    Arena arena = {0};
    const double n = load->series_count;
    const double rss_before = (double)os_memory_resident_bytes();
    double cpu = os_process_cpu_seconds();
    send_tick(hot, load, 0, NULL, &arena);
    const double cpu_new = os_process_cpu_seconds() - cpu;
    const double rss = (double)os_memory_resident_bytes() - rss_before - (double)sink->buf.cap;
    printf("new series      %8.0f ns each, with labels into the WAL %.0f B each\n",
           cpu_new * 1e9 / n, (double)sink->bytes / n);
    printf("memory          %8.0f B RSS per series with 1 sample; accounted %.0f B\n", rss / n,
           (double)metrics_hot_bytes(hot) / n);
    const uint64_t wal = sink->bytes;
    cpu = os_process_cpu_seconds();
    for (uint32_t tick = 1; tick < load->ticks; tick++) {
        send_tick(hot, load, tick, NULL, &arena);
    }
    const double samples = n * (load->ticks - 1);
    printf("known series    %8.1f ns per sample, %.1f B of WAL\n",
           (os_process_cpu_seconds() - cpu) * 1e9 / samples, (double)(sink->bytes - wal) / samples);
    const double rss_all = (double)os_memory_resident_bytes() - rss_before - (double)sink->buf.cap;
    printf("memory          %8.1f B RSS per further sample; %.0f B per series with %u samples\n",
           (rss_all - rss) / samples, rss_all / n, load->ticks);
}

// Samples of known series that are histograms of `HISTOGRAM` bytes, then floats with a start.
static void bench_extended(const Load *load, Sink *sink)
{
    enum { HISTOGRAM = 200 };
    static const uint8_t blob[HISTOGRAM] = {0};
    static const struct {
        const char *what;
        MetricsExtra extra;
    } kinds[] = {{"histograms", {.histogram = {blob, HISTOGRAM}, .start_ms = INT64_MIN}},
                 {"with a start", {.start_ms = 1699999999000}}};
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        Arena arena = {0};
        MetricsHot *hot = metrics_hot_new(&(MetricsHotOptions){
            .key = {42}, .floor_ms = INT64_MIN, .nonce = 1, .log = {sink_append, sink}});
        send_tick(hot, load, 0, NULL, &arena);
        const double n = (double)load->series_count * (load->ticks - 1);
        const double bytes = (double)metrics_hot_bytes(hot);
        const uint64_t wal = sink->bytes;
        const double cpu = os_process_cpu_seconds();
        for (uint32_t tick = 1; tick < load->ticks; tick++) {
            send_tick(hot, load, tick, &kinds[k].extra, &arena);
        }
        printf("%-13s   %8.1f ns per sample, %.1f B of memory, %.1f B of WAL\n", kinds[k].what,
               (os_process_cpu_seconds() - cpu) * 1e9 / n,
               ((double)metrics_hot_bytes(hot) - bytes) / n, (double)(sink->bytes - wal) / n);
        metrics_hot_free(hot);
    }
}

// Seals everything, sorts it, and makes the batches that a flush writes.
static void bench_run(const Load *load, MetricsHot *hot)
{
    MetricsWindow *windows[METRICS_SHARDS];
    Arena arena = {0};
    Schema schema;
    size_t label_count = 0;
    Err err;
    double cpu = os_process_cpu_seconds();
    for (uint32_t i = 0; i < METRICS_SHARDS; i++) {
        windows[i] = metrics_hot_seal(hot, i);
    }
    const double n = load->series_count;
    printf("seal            %8.2f ms in all\n", (os_process_cpu_seconds() - cpu) * 1e3);
    metrics_hot_schema(hot, &arena, &schema, &label_count);
    const double rss = (double)os_memory_resident_bytes();
    cpu = os_process_cpu_seconds();
    MetricsRun *run = NULL;
    if (metrics_run_open(&(MetricsRunOptions){.windows = windows,
                                              .window_count = METRICS_SHARDS,
                                              .schema = &schema},
                         &run, &err) != OK) {
        base_panic(__FILE__, __LINE__, err.msg);
    }
    printf("sort            %8.1f ns per series, %.0f B of memory per series\n",
           (os_process_cpu_seconds() - cpu) * 1e9 / n,
           ((double)os_memory_resident_bytes() - rss) / n);
    for (int round = 0; round < 2; round++) {
        MetricsCursor *cursor = metrics_cursor_new(run, &(MetricsCursorOptions){0});
        Batch batch;
        uint64_t rows = 0;
        uint64_t runs = 0;
        cpu = os_process_cpu_seconds();
        do {
            if (metrics_cursor_next(cursor, &batch, &err) != OK) {
                base_panic(__FILE__, __LINE__, err.msg);
            }
            rows += batch.row_count;
            for (size_t i = 0; i < schema.count && batch.row_count != 0; i++) {
                runs += batch.columns[i].run_count;
            }
        } while (batch.row_count != 0);
        printf("sorted batches  %8.1f ns per row: %.1f M rows/s, %.1f runs per series\n",
               (os_process_cpu_seconds() - cpu) * 1e9 / (double)rows,
               (double)rows / (os_process_cpu_seconds() - cpu) / 1e6, (double)runs / n);
        metrics_cursor_free(cursor);
    }
    metrics_run_close(run);
    for (uint32_t i = 0; i < METRICS_SHARDS; i++) {
        metrics_window_unref(windows[i]);
    }
    arena_deinit(&arena);
}

static uint64_t scan_window(MetricsWindow *window, const Schema *schema, const ScanTest *test)
{
    size_t columns[64];
    size_t count = 0;
    for (size_t i = 0; i < schema->count && count < ARRAY_LEN(columns); i++) {
        columns[count++] = i;
    }
    MetricsScan *scan = NULL;
    Err err;
    Batch batch;
    uint64_t rows = 0;
    if (metrics_scan_open(&(MetricsScanOptions){.window = window,
                                                .schema = schema,
                                                .columns = columns,
                                                .column_count = count,
                                                .tests = test,
                                                .test_count = test != NULL},
                          &scan, &err) != OK) {
        base_panic(__FILE__, __LINE__, err.msg);
    }
    MetricsScanWorker *worker = metrics_scan_worker_new(scan);
    do {
        if (metrics_scan_next(worker, &batch, &err) != OK) {
            base_panic(__FILE__, __LINE__, err.msg);
        }
        rows += batch.row_count;
    } while (batch.row_count != 0);
    metrics_scan_worker_free(worker);
    metrics_scan_close(scan);
    return rows;
}

// Reads the active windows as SQL does: everything, then one unique label.
static void bench_scan(MetricsHot *hot)
{
    Arena arena = {0};
    Schema schema;
    size_t label_count = 0;
    metrics_hot_schema(hot, &arena, &schema, &label_count);
    const ScanValue value = {.bytes = {(const uint8_t *)"c-9e3779b1", 10}}; // of series 4 to 7
    const ScanTest test = {.column = schema_find(&schema, STR("conn")),
                           .kind = SCAN_TEST_IN,
                           .values = &value,
                           .value_count = 1};
    for (int k = 0; k < 2; k++) {
        uint64_t rows = 0;
        const double cpu = os_process_cpu_seconds();
        for (uint32_t i = 0; i < METRICS_SHARDS; i++) {
            MetricsWindow *window = metrics_hot_active(hot, i);
            rows += scan_window(window, &schema, k == 0 ? NULL : &test);
            metrics_window_unref(window);
        }
        const double seconds = os_process_cpu_seconds() - cpu;
        if (k == 0) {
            printf("scan            %8.1f ns per row: %.1f M rows/s\n",
                   seconds * 1e9 / (double)rows, (double)rows / seconds / 1e6);
        } else {
            printf("unique label    %8.0f us, %u rows\n", seconds * 1e6, (unsigned)rows);
        }
    }
    arena_deinit(&arena);
}

int main(int argc, char **argv)
{
    Load load = {.series_count = arg(argc, argv, 1, 100000),
                 .ticks = arg(argc, argv, 2, 10),
                 .label_count = arg(argc, argv, 3, 7),
                 .per_request = arg(argc, argv, 4, 10000)};
    Sink sink = {0};
    buf_init(&sink.buf, 0);
    load_make(&load);
    printf("%u series, %u ticks, %u labels, %.0f B of labels each\n", load.series_count, load.ticks,
           load.label_count, (double)load.wire.len / load.series_count);
    MetricsHot *hot = metrics_hot_new(&(MetricsHotOptions){
        .key = {42}, .floor_ms = INT64_MIN, .nonce = 1, .log = {sink_append, &sink}});
    bench_ingest(&load, hot, &sink);
    bench_scan(hot);
    bench_run(&load, hot);
    metrics_hot_free(hot);
    bench_extended(&load, &sink);
    buf_deinit(&sink.buf);
    buf_deinit(&load.wire);
    mem_free(load.starts);
    mem_free(load.order);
    return 0;
}
