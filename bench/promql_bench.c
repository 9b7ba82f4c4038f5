// SPDX-License-Identifier: Apache-2.0
//
// What PromQL queries cost, from text to result, without HTTP: the median, the best, and the worst
// of several runs with two threads, hot and from files.
//
//     promql_bench [series [samples per series [passes [folder [only]]]]]
//                  (100000 240 5 <new folder under /tmp> <all>)
//
// A folder that was filled by an earlier run is measured as it is. With `only`, what has this text
// in its name is measured. Series have seven labels of which `conn` is unique; a sample every 15 s.
// The first 1,000 are of metric small_total, the others of http_requests_total.
#include "base/mem.h"
#include "base/num.h"
#include "base/rng.h"
#include "os/os.h"
#include "os/thread.h"
#include "promql/engine.h"
#include "promql/result_json.h"

#include <stdio.h>
#include <stdlib.h>

enum { REQUEST_SAMPLES = 10000, SMALL_SERIES = 1000, PASSES_MAX = 100 };

#define START_MS (INT64_C(20000) * 86400000)
#define STEP_MS INT64_C(15000)

typedef struct Load {
    uint32_t series_count, tick_count, passes;
    const char *only; // NULL: all
    Buf wire;         // labels of all series
    uint64_t *starts;
} Load;

static void check(Status st, const Err *err)
{
    if (st != OK) {
        (void)fprintf(stderr, "promql_bench: %s\n", err->msg);
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
        put_label(&load->wire, "__name__",
                  i < SMALL_SERIES ? "small_total" : "http_requests_total");
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

static void write_ticks(const Load *load, Store *store)
{
    Err err;
    MetricsSeries *series = mem_new(MetricsSeries, REQUEST_SAMPLES);
    int64_t *timestamps = mem_new(int64_t, REQUEST_SAMPLES);
    double *values = mem_new(double, REQUEST_SAMPLES);
    Rng rng = {.state = 1};
    for (uint32_t tick = 0; tick < load->tick_count; tick++) {
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

// --- queries -------------------------------------------------------------------------------------

typedef struct Case {
    Str text;
    int64_t step_ms; // 0: instant, at the end; else over all samples
    bool json;
} Case;

static int compare_floats(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

// In pieces of 64 KB, as the server sends them.
static uint64_t write_json(const PromqlResult *result)
{
    Buf text;
    uint64_t bytes = 0;
    buf_init(&text, 0);
    PromqlJson *json = promql_json_new(result, 0, PROMQL_STATS_NONE);
    for (bool last = false; !last;) {
        buf_clear(&text);
        last = promql_json_next(json, 64 << 10, &text);
        bytes += text.len;
    }
    promql_json_free(json);
    buf_deinit(&text);
    return bytes;
}

static void measure(const Load *load, Store *store, const char *where, const Case *c)
{
    Err err;
    double ms[PASSES_MAX];
    uint64_t series = 0;
    uint64_t bytes = 0;
    const int64_t end_ms = START_MS + (int64_t)(load->tick_count - 1) * STEP_MS;
    PromqlEngine *engine = promql_engine_new(
        &(PromqlOptions){.store = store, .os = os_posix(), .threads = 2, .samples_max = 1 << 30});
    const PromqlQuery query = {.text = c->text,
                               .is_range = c->step_ms != 0,
                               .start_ms = c->step_ms != 0 ? START_MS : end_ms,
                               .end_ms = end_ms,
                               .step_ms = c->step_ms};
    const double cpu = os_process_cpu_seconds();
    for (uint32_t i = 0; i < load->passes; i++) {
        PromqlResult *result = NULL;
        PromqlFailure failure;
        const int64_t since = os_mono_ns(os_posix());
        check(promql_run(engine, &query, &result, &failure, &err), &err);
        if (c->json) {
            bytes = write_json(result);
        }
        ms[i] = (double)(os_mono_ns(os_posix()) - since) / 1e6;
        series = result->count;
        promql_result_free(result);
    }
    const double cpu_ms = (os_process_cpu_seconds() - cpu) * 1000 / load->passes;
    qsort(ms, load->passes, sizeof(ms[0]), compare_floats);
    (void)printf("%-6s %-44.*s %6" PRId64 " %8.2f ms (%.2f to %.2f), cpu %.2f ms, %" PRIu64
                 " series%s",
                 where, (int)c->text.len, c->text.ptr, c->step_ms / 1000, ms[load->passes / 2],
                 ms[0], ms[load->passes - 1], cpu_ms, series, c->json ? "" : "\n");
    if (c->json) {
        (void)printf(", %.1f MB of JSON\n", (double)bytes / 1e6);
    }
    promql_engine_free(engine);
}

static void measure_all(const Load *load, Store *store, const char *where)
{
    static const Case cases[] = {
        {{"sum by(service)(rate(http_requests_total[5m]))", 46}, 0, false},
        {{"count by(pod)(http_requests_total)", 34}, 0, false},
        {{"sum(rate(http_requests_total[5m]))", 34}, 60000, false},
        {{"sum by(pod)(rate(small_total[5m]))", 34}, 15000, false},
        {{"rate(small_total[1m])", 21}, 15000, true},
        {{"http_requests_total{conn=\"c-5f6baba9\"}", 38}, 0, false},
        {{"topk(5, http_requests_total)", 28}, 0, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char name[256];
        (void)snprintf(name, sizeof(name), "%s %.*s", where, (int)cases[i].text.len,
                       cases[i].text.ptr);
        if (load->only == NULL || strstr(name, load->only) != NULL) {
            measure(load, store, where, &cases[i]);
        }
    }
}

static uint32_t number(int argc, char **argv, int i, uint32_t otherwise)
{
    uint64_t v = otherwise;
    if (argc > i &&
        (!num_parse_u64((Str){argv[i], strlen(argv[i])}, &v) || v == 0 || v > 1 << 30)) {
        (void)fprintf(stderr, "promql_bench: argument %d is no number\n", i);
        exit(1);
    }
    return (uint32_t)v;
}

int main(int argc, char **argv)
{
    Err err;
    char folder[64];
    Load load = {.series_count = number(argc, argv, 1, 100000),
                 .tick_count = number(argc, argv, 2, 240),
                 .passes = number(argc, argv, 3, 5),
                 .only = argc > 5 ? argv[5] : NULL};
    load.passes = load.passes < PASSES_MAX ? load.passes : PASSES_MAX;
    (void)snprintf(folder, sizeof(folder), "/tmp/promql_bench-%" PRId64, os_wall_us(os_posix()));
    const char *path = argc > 4 ? argv[4] : folder;
    OsStat stat;
    const bool filled = os_stat(os_posix(), (Str){path, strlen(path)}, &stat, &err) == OK;
    check(os_mkdir_all(os_posix(), (Str){path, strlen(path)}, &err), &err);
    Store *store;
    const StoreOptions options = {.os = os_posix(),
                                  .dir = {path, strlen(path)},
                                  .durability = WAL_INTERVAL,
                                  .manual = true,
                                  .memory_limit_bytes = UINT64_C(16) << 30};
    check(store_open(&options, &store, NULL, &err), &err);
    if (!filled) {
        load_make(&load);
        write_ticks(&load, store);
        buf_deinit(&load.wire);
        mem_free(load.starts);
    }
    measure_all(&load, store, "hot");
    if (load.only == NULL || strstr(load.only, "files") != NULL) {
        check(store_flush(store, (Str){0}, &err), &err);
        measure_all(&load, store, "files");
    }
    check(store_close(store, false, &err), &err);
    return 0;
}
