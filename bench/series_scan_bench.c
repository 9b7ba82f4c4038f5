// SPDX-License-Identifier: Apache-2.0
//
// What it costs to read `metrics` as series, without any query engine on top: wall time and CPU per
// series, with one and two threads; the best of several passes. Hot, then from files, then both.
//
//     series_scan_bench [series [samples per series [passes [folder [only]]]]]
//                       (100000 20 5 <new folder under /tmp> <all>)
//
// A folder that was filled by an earlier run is measured as it is. With `only`, what has this text in its name is measured, e.g. "files one series".
//
// All series have one name, and seven labels of which `conn` is unique; a sample every 15 s.
#include "base/mem.h"
#include "base/num.h"
#include "base/rng.h"
#include "os/os.h"
#include "os/thread.h"
#include "query/series_scan.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

enum { REQUEST_SAMPLES = 10000, THREADS_MAX = 2 };

#define START_MS (INT64_C(20000) * 86400000)
#define STEP_MS 15000

typedef struct Load {
    uint32_t series_count, tick_count, passes;
    const char *only; // NULL: all
    Buf wire;         // labels of all series
    uint64_t *starts;
} Load;

static void check(Status st, const Err *err)
{
    if (st != OK) {
        (void)fprintf(stderr, "series_scan_bench: %s\n", err->msg);
        exit(1);
    }
}

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
        put_label(&load->wire, "__name__", "http_requests_total");
        (void)snprintf(text, sizeof(text), "c-%08x", i * 2654435761U);
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

static void write_ticks(const Load *load, Store *store, uint32_t first_tick, uint32_t end_tick)
{
    Err err;
    MetricsSeries *series = mem_new(MetricsSeries, REQUEST_SAMPLES);
    int64_t *timestamps = mem_new(int64_t, REQUEST_SAMPLES);
    double *values = mem_new(double, REQUEST_SAMPLES);
    Rng rng = {.state = 1};
    for (uint32_t tick = first_tick; tick < end_tick; tick++) {
        for (uint32_t first = 0; first < load->series_count; first += REQUEST_SAMPLES) {
            uint32_t n = load->series_count - first;
            n = n < REQUEST_SAMPLES ? n : REQUEST_SAMPLES;
            for (uint32_t i = 0; i < n; i++) {
                const uint64_t from = load->starts[first + i];
                series[i] = (MetricsSeries){
                    .labels = {load->wire.ptr + from, load->starts[first + i + 1] - from},
                    .sample_first = i,
                    .sample_count = 1};
                timestamps[i] = START_MS + (int64_t)tick * STEP_MS;
                values[i] = (double)tick * 50 + (double)rng_below(&rng, 50);
            }
            const MetricsBatch batch = {
                .series = series, .series_count = n, .timestamps_ms = timestamps, .values = values};
            MetricsResult result;
            check(store_write_metrics(store, &batch, &result, &err), &err);
        }
    }
    mem_free(series);
    mem_free(timestamps);
    mem_free(values);
}

// --- scanning ------------------------------------------------------------------------------------

typedef struct Taker {
    SeriesScan *scan;
    Thread thread;
    uint64_t series, samples, label_bytes;
    double sum;
} Taker;

static void take(void *arg)
{
    Err err;
    Taker *taker = arg;
    SeriesWorker *w;
    check(series_worker_open(taker->scan, &w, &err), &err);
    for (;;) {
        SeriesSamples s;
        bool found;
        check(series_worker_next(w, &s, &found, &err), &err);
        if (!found) {
            break;
        }
        taker->series++;
        taker->samples += s.count;
        for (uint32_t i = 0; i < s.count; i++) {
            taker->sum += s.values[i] + (double)(s.timestamps_ms[i] & 1);
        }
        for (size_t i = 0; i < s.labels.count; i++) {
            taker->label_bytes += s.labels.labels[i].value.len;
        }
    }
    series_worker_close(w);
}

typedef struct Cost {
    double wall_ms, cpu_ms;
    uint64_t series, samples;
} Cost;

static Cost scan_once(Store *store, const SeriesSelect *select, uint32_t threads)
{
    Err err;
    Snapshot *snapshot;
    SeriesScan *scan;
    Taker takers[THREADS_MAX] = {0};
    const double cpu = os_process_cpu_seconds();
    const int64_t since = os_mono_ns(os_posix());
    Cost cost = {0};
    check(snapshot_open(store, STR("metrics"), &snapshot, &err), &err);
    check(series_scan_open(snapshot, select, &scan, &err), &err);
    const uint32_t useful = series_scan_parallelism(scan);
    threads = threads < useful ? threads : useful;
    for (uint32_t i = 0; i < threads; i++) {
        takers[i].scan = scan;
        if (i > 0) {
            check(thread_start(&takers[i].thread, "taker", take, &takers[i], &err), &err);
        }
    }
    take(&takers[0]);
    for (uint32_t i = 0; i < threads; i++) {
        thread_join(&takers[i].thread);
        cost.series += takers[i].series;
        cost.samples += takers[i].samples;
    }
    series_scan_close(scan);
    snapshot_close(snapshot);
    cost.wall_ms = (double)(os_mono_ns(os_posix()) - since) / 1e6;
    cost.cpu_ms = (os_process_cpu_seconds() - cpu) * 1e3;
    return cost;
}

static void report(const char *where, const char *what, const char *threads, const Cost *best)
{
    const double series = best->series == 0 ? 1 : (double)best->series;
    (void)printf("%-6s %-28s %-9s %9.2f ms wall %9.2f ms cpu %8.3f us/series cpu  (%" PRIu64
                 " series, %" PRIu64 " samples)\n",
                 where, what, threads, best->wall_ms, best->cpu_ms, best->cpu_ms * 1e3 / series,
                 best->series, best->samples);
}

static bool is_wanted(const Load *load, const char *where, const char *what)
{
    char name[128];
    (void)snprintf(name, sizeof(name), "%s %s", where, what);
    return load->only == NULL || strstr(name, load->only) != NULL;
}

static void measure(const Load *load, Store *store, const char *where, const char *what,
                    const SeriesSelect *select)
{
    static const char *const names[] = {"1 thread", "2 threads"};
    for (uint32_t threads = 1; threads <= THREADS_MAX && is_wanted(load, where, what); threads++) {
        Cost best = {.wall_ms = 1e18, .cpu_ms = 1e18};
        for (uint32_t i = 0; i < load->passes; i++) {
            const Cost cost = scan_once(store, select, threads);
            best.wall_ms = cost.wall_ms < best.wall_ms ? cost.wall_ms : best.wall_ms;
            best.cpu_ms = cost.cpu_ms < best.cpu_ms ? cost.cpu_ms : best.cpu_ms;
            best.series = cost.series;
            best.samples = cost.samples;
        }
        report(where, what, names[threads - 1], &best);
    }
}

static void values(const Load *load, Store *store, const char *where, const char *what,
                   const SeriesSelect *select)
{
    Err err;
    Cost best = {.wall_ms = 1e18, .cpu_ms = 1e18};
    if (!is_wanted(load, where, what)) {
        return;
    }
    for (uint32_t i = 0; i < load->passes; i++) {
        Snapshot *snapshot;
        StrList list;
        Arena arena;
        arena_init(&arena, 0);
        const double cpu = os_process_cpu_seconds();
        const int64_t since = os_mono_ns(os_posix());
        check(snapshot_open(store, STR("metrics"), &snapshot, &err), &err);
        check(series_label_values(snapshot, STR("conn"), select, 0, &arena, &list, &err), &err);
        snapshot_close(snapshot);
        const double wall_ms = (double)(os_mono_ns(os_posix()) - since) / 1e6;
        const double cpu_ms = (os_process_cpu_seconds() - cpu) * 1e3;
        best.wall_ms = wall_ms < best.wall_ms ? wall_ms : best.wall_ms;
        best.cpu_ms = cpu_ms < best.cpu_ms ? cpu_ms : best.cpu_ms;
        best.series = list.count;
        arena_deinit(&arena);
    }
    report(where, what, "", &best);
}

static void measure_all(const Load *load, Store *store, const char *where)
{
    Err err;
    Matcher *name;
    Matcher *conn;
    Matcher *service;
    char text[32];
    (void)snprintf(text, sizeof(text), "c-%08x", load->series_count / 3 * 2654435761U);
    check(matcher_new(MATCH_EQ, STR("__name__"), STR("http_requests_total"), &name, &err), &err);
    check(matcher_new(MATCH_EQ, STR("conn"), (Str){text, strlen(text)}, &conn, &err), &err);
    check(matcher_new(MATCH_RE, STR("service"), STR("service-1.*"), &service, &err), &err);
    const Matcher *by_name[] = {name};
    const Matcher *by_conn[] = {name, conn};
    const Matcher *by_service[] = {name, service};
    const Str pod[] = {STR("pod")};
    const Str service_label[] = {STR("service")};
    const int64_t end_ms = START_MS + (int64_t)load->tick_count * STEP_MS;
    SeriesSelect select = {.matchers = by_name,
                           .matcher_count = 1,
                           .min_ms = end_ms - 300000,
                           .max_ms = end_ms,
                           .labels = pod,
                           .label_count = 1};
    measure(load, store, where, "count by(pod)(m)", &select);
    select.labels = service_label;
    measure(load, store, where, "sum by(service)(rate(m[5m]))", &select);
    select.min_ms = START_MS;
    measure(load, store, where, "all of it, service", &select);
    select.matchers = by_service;
    select.matcher_count = 2;
    measure(load, store, where, "all, service=~\"service-1.*\"", &select);
    select.all_labels = true;
    select.matchers = by_conn;
    measure(load, store, where, "one series", &select);
    values(load, store, where, "label values, one", &select);
    select.matchers = by_name;
    select.matcher_count = 1;
    values(load, store, where, "label values, of a metric", &select);
    select.matcher_count = 0;
    values(load, store, where, "label values", &select);
    matcher_free(name);
    matcher_free(conn);
    matcher_free(service);
}

static uint32_t argument(int argc, char **argv, int i, uint32_t otherwise)
{
    uint64_t n = otherwise;
    if (argc > i && !num_parse_u64((Str){argv[i], strlen(argv[i])}, &n)) {
        (void)fprintf(stderr, "series_scan_bench [series [samples [passes [folder [only]]]]]\n");
        exit(2);
    }
    return (uint32_t)n;
}

int main(int argc, char **argv)
{
    Err err;
    Store *store;
    char dir[64] = "/tmp/series_scan_bench.XXXXXX";
    Load load = {.series_count = argument(argc, argv, 1, 100000),
                 .tick_count = argument(argc, argv, 2, 20),
                 .passes = argument(argc, argv, 3, 5),
                 .only = argc > 5 ? argv[5] : NULL};
    const char *folder = argc > 4 ? argv[4] : mkdtemp(dir);
    load_make(&load);
    const StoreOptions options = {
        .os = os_posix(), .dir = {folder, strlen(folder)}, .manual = true};
    check(store_open(&options, &store, NULL, &err), &err);
    StoreFigures figures;
    store_figures(store, &figures);
    if (figures.files == 0) {
        write_ticks(&load, store, 0, load.tick_count);
        measure_all(&load, store, "hot");
        check(store_flush(store, (Str){0}, &err), &err);
    }
    measure_all(&load, store, "files");
    if (load.only != NULL && strncmp(load.only, "files", 5) == 0) {
        check(store_close(store, false, &err), &err);
        return 0;
    }
    write_ticks(&load, store, load.tick_count, load.tick_count + 2);
    load.tick_count += 2;
    measure_all(&load, store, "both");
    check(store_close(store, false, &err), &err);
    (void)printf("folder %s\n", folder);
    return 0;
}
