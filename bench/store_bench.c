// SPDX-License-Identifier: Apache-2.0
//
// What the store costs from end to end on real files: writing samples durably, flushing them,
// recovering, and scanning them hot and cold. CPU seconds of the process and wall time.
//
//     store_bench [series [samples per series [flush every n samples [folder]]]]
//                 (100000 20 0 <new folder under /tmp>)
//
// With flushes in between there are many files, as after hours without compaction.
#include "base/mem.h"
#include "base/num.h"
#include "base/rng.h"
#include "os/os.h"
#include "os/thread.h"
#include "store/scan.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUEST_SAMPLES = 10000 };

#define START_MS (INT64_C(20000) * 86400000)

typedef struct Load {
    uint32_t series_count, tick_count, flush_ticks;
    Buf wire; // labels of all series
    uint64_t *starts;
} Load;

static void put_label(Buf *b, const char *name, const char *value)
{
    const Label label = {{name, strlen(name)}, {value, strlen(value)}};
    labels_encode(&(LabelSet){.labels = &label, .count = 1}, b);
}

static void load_make(Load *load)
{
    buf_init(&load->wire, 0);
    load->starts = mem_new(uint64_t, (size_t)load->series_count + 1);
    for (uint32_t i = 0; i < load->series_count; i++) {
        char text[64];
        const uint32_t pod = i / 100;
        (void)snprintf(text, sizeof(text), "http_requests_%u_total", i % 4);
        put_label(&load->wire, "__name__", text);
        (void)snprintf(text, sizeof(text), "c-%08x", i / 4 * 2654435761U);
        put_label(&load->wire, "conn", text);
        (void)snprintf(text, sizeof(text), "10.%u.%u.%u:9090", pod >> 16, (pod >> 8) & 255,
                       pod & 255);
        put_label(&load->wire, "instance", text);
        (void)snprintf(text, sizeof(text), "job-%u", pod % 20);
        put_label(&load->wire, "job", text);
        (void)snprintf(text, sizeof(text), "service-%u-%06x-xk2p9", pod % 100, pod);
        put_label(&load->wire, "pod", text);
        (void)snprintf(text, sizeof(text), "eu-west-%u", pod % 3);
        put_label(&load->wire, "region", text);
        (void)snprintf(text, sizeof(text), "service-%u", pod % 100);
        put_label(&load->wire, "service", text);
        load->starts[i + 1] = load->wire.len;
    }
}

// --- measuring -----------------------------------------------------------------------------------

typedef struct Clock {
    double cpu;
    int64_t wall_ns;
} Clock;

static Clock clock_now(void)
{
    return (Clock){.cpu = os_process_cpu_seconds(), .wall_ns = os_mono_ns(os_posix())};
}

static void report(const char *what, Clock since, uint64_t units, const char *unit)
{
    const Clock now = clock_now();
    const double cpu = now.cpu - since.cpu;
    const double wall = (double)(now.wall_ns - since.wall_ns) / 1e9;
    (void)printf("%-34s %8.3f s wall %8.3f s cpu %8.3f cpu-s per 1 M %s (%.0f MB resident)\n", what,
                 wall, cpu, units == 0 ? 0 : cpu / (double)units * 1e6, unit,
                 (double)os_memory_resident_bytes() / 1e6);
}

static void check(Status st, const Err *err)
{
    if (st != OK) {
        (void)fprintf(stderr, "store_bench: %s\n", err->msg);
        exit(1);
    }
}

// --- parts ---------------------------------------------------------------------------------------

// Writes ticks [first, load->tick_count) of all series.
static void write_ticks(const Load *load, Store *store, uint32_t first_tick)
{
    Err err;
    MetricsSeries *series = mem_new(MetricsSeries, REQUEST_SAMPLES);
    int64_t *timestamps = mem_new(int64_t, REQUEST_SAMPLES);
    double *values = mem_new(double, REQUEST_SAMPLES);
    double *counters = mem_new(double, load->series_count);
    Rng rng = {.state = 1};
    for (uint32_t tick = first_tick; tick < load->tick_count; tick++) {
        for (uint32_t first = 0; first < load->series_count; first += REQUEST_SAMPLES) {
            uint32_t n = load->series_count - first;
            n = n < REQUEST_SAMPLES ? n : REQUEST_SAMPLES;
            for (uint32_t i = 0; i < n; i++) {
                const uint64_t from = load->starts[first + i];
                series[i] = (MetricsSeries){
                    .labels = {load->wire.ptr + from, load->starts[first + i + 1] - from},
                    .sample_first = i,
                    .sample_count = 1};
                timestamps[i] = START_MS + (int64_t)tick * 15000;
                counters[first + i] += (double)rng_below(&rng, 100);
                values[i] = counters[first + i];
            }
            const MetricsBatch batch = {
                .series = series, .series_count = n, .timestamps_ms = timestamps, .values = values};
            MetricsResult result;
            check(store_write_metrics(store, &batch, &result, &err), &err);
        }
        if (load->flush_ticks != 0 && tick % load->flush_ticks == load->flush_ticks - 1) {
            check(store_flush(store, (Str){0}, &err), &err);
        }
    }
    mem_free(series);
    mem_free(timestamps);
    mem_free(values);
    mem_free(counters);
}

static uint64_t scan_all(Store *store, const char *column, const char *value, const char *read)
{
    Err err;
    Snapshot *snapshot;
    Scan *scan;
    ScanWorker *worker;
    ScanStats stats;
    check(snapshot_open(store, STR("metrics"), &snapshot, &err), &err);
    const Schema *schema = snapshot_schema(snapshot);
    size_t columns[2] = {schema_find(schema, STR("value"))};
    size_t column_count = 1;
    if (read != NULL) {
        columns[column_count++] = schema_find(schema, (Str){read, strlen(read)});
    }
    const ScanValue wanted = {.bytes = {(const uint8_t *)value, value == NULL ? 0 : strlen(value)}};
    const ScanTest test = {
        .column = column == NULL ? 0 : schema_find(schema, (Str){column, strlen(column)}),
        .kind = SCAN_TEST_IN,
        .values = &wanted,
        .value_count = 1};
    const ScanOptions options = {.columns = columns,
                                 .column_count = column_count,
                                 .tests = &test,
                                 .test_count = column != NULL};
    check(scan_open(snapshot, &options, &scan, &err), &err);
    check(scan_worker_open(scan, &worker, &err), &err);
    double sum = 0;
    uint64_t rows = 0;
    for (;;) {
        Batch batch;
        Arena arena;
        arena_init(&arena, 0);
        check(scan_worker_next(worker, &batch, &err), &err);
        if (batch.row_count == 0) {
            break;
        }
        const Vector flat = vector_flatten(&batch.columns[0], &arena);
        for (uint32_t i = 0; i < flat.row_count; i++) {
            sum += ((const double *)flat.data)[i];
        }
        rows += batch.row_count;
        arena_deinit(&arena);
    }
    scan_stats(scan, &stats);
    (void)printf("    %" PRIu64 " rows, sum %.0f; files %" PRIu64 " of %" PRIu64 ", pages %" PRIu64
                 " of %" PRIu64 " pruned, %.1f MB read\n",
                 rows, sum, stats.files_pruned, stats.files_total, stats.pages_pruned,
                 stats.pages_total, (double)stats.bytes_read / 1e6);
    scan_worker_close(worker);
    scan_close(scan);
    snapshot_close(snapshot);
    return rows;
}

static void scans(Store *store, const char *where)
{
    static const struct {
        const char *what, *column, *value, *read;
    } all[] = {{"sum(value)", NULL, NULL, NULL},
               {"value and service", NULL, NULL, "service"},
               {"value, one metric", "metric_name", "http_requests_1_total", NULL},
               {"value and pod, one service", "service", "service-42", "pod"},
               {"value, one conn", "conn", "c-cdab8924", "pod"}};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        char text[64];
        const Clock since = clock_now();
        const uint64_t rows = scan_all(store, all[i].column, all[i].value, all[i].read);
        (void)snprintf(text, sizeof(text), "%s: %s", where, all[i].what);
        report(text, since, rows, "rows");
    }
}

static uint32_t argument(int argc, char **argv, int i, uint32_t otherwise)
{
    uint64_t n = otherwise;
    if (argc > i && !num_parse_u64((Str){argv[i], strlen(argv[i])}, &n)) {
        (void)fprintf(
            stderr, "store_bench [series [samples per series [flush every n samples [folder]]]]\n");
        exit(2);
    }
    return (uint32_t)n;
}

int main(int argc, char **argv)
{
    Err err;
    Store *store;
    StoreRecovery recovery;
    StoreFigures figures;
    char dir[64] = "/tmp/store_bench.XXXXXX";
    Load load = {.series_count = argument(argc, argv, 1, 100000),
                 .tick_count = argument(argc, argv, 2, 20),
                 .flush_ticks = argument(argc, argv, 3, 0)};
    const char *folder = argc > 4 ? argv[4] : mkdtemp(dir);
    const uint64_t samples = (uint64_t)load.series_count * load.tick_count;
    load_make(&load);
    const StoreOptions options = {
        .os = os_posix(), .dir = {folder, strlen(folder)}, .manual = true};
    check(store_open(&options, &store, &recovery, &err), &err);

    Clock since = clock_now();
    write_ticks(&load, store, 0);
    report("write", since, samples, "samples");
    store_figures(store, &figures);
    (void)printf("    hot %.0f MB, %.1f bytes per sample; log %.1f MB\n",
                 (double)figures.hot_bytes / 1e6, (double)figures.hot_bytes / (double)samples,
                 (double)figures.wal_bytes / 1e6);
    scans(store, "hot");

    check(store_close(store, false, &err), &err);
    since = clock_now();
    check(store_open(&options, &store, &recovery, &err), &err);
    report("recover", since, recovery.rows_replayed, "samples");

    since = clock_now();
    check(store_flush(store, (Str){0}, &err), &err);
    report("flush", since, samples, "samples");
    store_figures(store, &figures);
    (void)printf("    files %.1f MB, %.2f bytes per sample\n", (double)figures.file_bytes / 1e6,
                 (double)figures.file_bytes / (double)samples);
    scans(store, "cold");
    scans(store, "again");

    // The last quarter of all samples once more: readers have to find the newest of each.
    since = clock_now();
    write_ticks(&load, store, load.tick_count - load.tick_count / 4);
    report("write a quarter again", since, samples / 4, "samples");
    scans(store, "rewritten, hot");
    check(store_flush(store, (Str){0}, &err), &err);
    scans(store, "rewritten, cold");
    check(store_close(store, true, &err), &err);
    (void)printf("folder %s\n", folder);
    return 0;
}
