// SPDX-License-Identifier: Apache-2.0
//
// Metrics as a cluster has them: pods of services in regions; each pod has connections, and each
// connection one series per metric. The labels of a series are functions of its number, so millions
// of series need no memory but that of their last value. Labels, in the order of their names as
// senders put them:
//   __name__ conn instance job pod region service
#include "base/mem.h"
#include "bench/load.h"
#include "wire/remote_write.h"

#include <math.h>
#include <stdio.h>

enum { LABEL_TEXT_BYTES = 64, NAMES_KNOWN = 8, PODS_PER_NODE = 10, GENERATIONS_MAX = 1 << 16 };

static const char *const metric_names[NAMES_KNOWN] = {
    "http_requests_total",         "memory_working_set_bytes", "cpu_usage_percent",
    "request_latency_seconds",     "open_connections",         "disk_usage_percent",
    "network_receive_bytes_total", "queue_wait_seconds",
};
static const char *const regions[] = {"us-east-1", "us-west-2", "eu-west-1", "eu-central-1",
                                      "ap-south-1"};

typedef struct MetricsLoad {
    const LoadOptions *o;
    CorpusWriter *writer;
    uint64_t pods, series_per_pod;
    double *values;        // [series]; hundredths when LOAD_GAUGE2
    uint16_t *generations; // [pods]: how often a pod was replaced
    uint64_t series_seen;
    Buf name_labels; // one label field per metric, of name_ends
    size_t *name_ends;
    Buf pod_labels; // the labels after `conn`
    Buf labels;
} MetricsLoad;

static void put_label(Buf *labels, Str name, const char *value)
{
    remote_write_put_label(labels, name, (Str){.ptr = value, .len = strlen(value)});
}

static void make_names(MetricsLoad *l)
{
    for (uint64_t i = 0; i < l->o->metrics; i++) {
        char text[LABEL_TEXT_BYTES];
        if (i < NAMES_KNOWN) {
            (void)snprintf(text, sizeof(text), "%s", metric_names[i]);
        } else {
            (void)snprintf(text, sizeof(text), "%s_%" PRIu64, metric_names[i % NAMES_KNOWN],
                           i / NAMES_KNOWN);
        }
        put_label(&l->name_labels, STR("__name__"), text);
        l->name_ends[i] = l->name_labels.len;
    }
}

static void make_pod_labels(MetricsLoad *l, uint64_t pod)
{
    const unsigned service = (unsigned)(pod % l->o->services);
    const unsigned region = (unsigned)(pod / l->o->services % ARRAY_LEN(regions));
    const unsigned node = (unsigned)(pod / PODS_PER_NODE);
    const uint64_t id = load_mix(~(pod * GENERATIONS_MAX + l->generations[pod]) ^ l->o->seed);
    char text[LABEL_TEXT_BYTES];

    buf_clear(&l->pod_labels);
    (void)snprintf(text, sizeof(text), "10.%u.%u.%u:9100", 16 + (node >> 16), (node >> 8) & 255,
                   node & 255);
    put_label(&l->pod_labels, STR("instance"), text);
    (void)snprintf(text, sizeof(text), "kubernetes-job-%02u", service % 10);
    put_label(&l->pod_labels, STR("job"), text);
    (void)snprintf(text, sizeof(text), "svc-%03u-%09" PRIx64 "-%05" PRIx64, service,
                   id >> 20 & 0xfffffffff, id & 0xfffff);
    put_label(&l->pod_labels, STR("pod"), text);
    put_label(&l->pod_labels, STR("region"), regions[region]);
    (void)snprintf(text, sizeof(text), "svc-%03u", service);
    put_label(&l->pod_labels, STR("service"), text);
}

static void put_conn(MetricsLoad *l, uint64_t pod, uint64_t conn)
{
    static const char digits[] = "0123456789abcdef";
    enum { HEX = 12 };
    char text[2 + HEX] = {'c', '-'};
    const uint64_t id =
        load_mix(((pod * l->o->conns + conn) * GENERATIONS_MAX + l->generations[pod]) ^ l->o->seed);
    for (int i = 0; i < HEX; i++) {
        text[2 + i] = digits[id >> (4 * (HEX - 1 - i)) & 15];
    }
    remote_write_put_label(&l->labels, STR("conn"), (Str){.ptr = text, .len = sizeof(text)});
}

static double next_value(const MetricsLoad *l, uint64_t series, uint64_t metric, uint64_t random)
{
    static const LoadValues mixed[] = {LOAD_COUNTER, LOAD_INTGAUGE, LOAD_GAUGE2, LOAD_FLOAT};
    const LoadValues kind =
        l->o->values == LOAD_MIX ? mixed[metric % ARRAY_LEN(mixed)] : l->o->values;
    double *v = &l->values[series];
    switch (kind) {
    case LOAD_COUNTER:
        return *v += (double)(random % 11);
    case LOAD_INTGAUGE:
        return *v += (double)(random % 21) - 10;
    case LOAD_GAUGE2:
        *v += (double)(random % 201) - 100;
        return *v / 100.0;
    case LOAD_FLOAT:
    case LOAD_MIX:
        break;
    }
    // load_gauss() alone has few values, which a dictionary would hold: real latencies differ in
    // their last bits, too.
    return exp(load_gauss(random) * 0.7 - 3.0) * (1 + load_unit(load_mix(random)) * 0x1p-16);
}

static Status put_pod(MetricsLoad *l, uint64_t tick, uint64_t pod, Err *err)
{
    const LoadOptions *o = l->o;
    const uint32_t shard = (uint32_t)(pod * o->shards / l->pods);
    const bool wanted = tick >= o->first_tick;
    // Each node is scraped at an instant of its own within the interval.
    const int64_t ts = o->start_ms + (int64_t)tick * o->interval_ms +
                       (int64_t)(load_mix(pod / PODS_PER_NODE) % (uint64_t)o->interval_ms);
    if (wanted) {
        make_pod_labels(l, pod);
    }
    for (uint64_t k = 0; k < l->series_per_pod; k++) {
        const uint64_t series = pod * l->series_per_pod + k;
        const uint64_t metric = k % o->metrics;
        if (series >= o->series) {
            break;
        }
        const double value =
            next_value(l, series, metric,
                       load_mix((series * 0x100000001b3 + tick * 0xc2b2ae3d27d4eb4f) ^ o->seed));
        if (!wanted) {
            continue;
        }
        const size_t name_begin = metric == 0 ? 0 : l->name_ends[metric - 1];
        buf_clear(&l->labels);
        buf_put(&l->labels, l->name_labels.ptr + name_begin, l->name_ends[metric] - name_begin);
        put_conn(l, pod, k / o->metrics);
        buf_put(&l->labels, l->pod_labels.ptr, l->pod_labels.len);
        remote_write_put_series(corpus_writer_body(l->writer, shard), buf_bytes(&l->labels), &ts,
                                &value, 1);
        TRY(corpus_writer_count(l->writer, shard, err));
    }
    return OK;
}

// A rolling window of the pods ends, and others take their places.
static void replace_pods(MetricsLoad *l, uint64_t tick)
{
    const double per_tick = l->o->churn * (double)l->pods;
    const uint64_t from = (uint64_t)((double)tick * per_tick);
    const uint64_t to = (uint64_t)((double)(tick + 1) * per_tick);
    for (uint64_t i = from; i < to && tick > 0; i++) {
        const uint64_t pod = i % l->pods;
        l->generations[pod]++;
        for (uint64_t k = 0; k < l->series_per_pod; k++) {
            if (pod * l->series_per_pod + k < l->o->series) {
                l->values[pod * l->series_per_pod + k] = 0;
                l->series_seen++;
            }
        }
    }
}

Status load_metrics(const LoadOptions *options, Err *err)
{
    Status st = OK;
    const uint64_t series_per_pod = options->metrics * options->conns;
    const uint64_t pods = (options->series + series_per_pod - 1) / series_per_pod;
    const uint64_t ticks = (options->samples + options->series - 1) / options->series;
    CorpusHeader header = {0};
    MetricsLoad l = {.o = options,
                     .pods = pods,
                     .series_per_pod = series_per_pod,
                     .values = mem_new(double, options->series),
                     .generations = mem_new(uint16_t, pods),
                     .name_ends = mem_new(size_t, options->metrics),
                     .series_seen = options->series};

    buf_init(&l.name_labels, 0);
    buf_init(&l.pod_labels, 0);
    buf_init(&l.labels, 0);
    make_names(&l);
    for (uint64_t i = 0; i < options->series; i++) {
        l.values[i] = (double)(load_mix(i ^ options->seed) % 100000);
    }
    TRY_OUT(corpus_writer_open(options, &l.writer, err));
    for (uint64_t tick = 0; tick < options->first_tick + ticks; tick++) {
        replace_pods(&l, tick);
        for (uint64_t pod = 0; pod < pods; pod++) {
            TRY_OUT(put_pod(&l, tick, pod, err));
        }
    }
    header.series = l.series_seen;
    header.first_ms = options->start_ms + (int64_t)options->first_tick * options->interval_ms;
    header.last_ms = header.first_ms + (int64_t)ticks * options->interval_ms;
    TRY_OUT(corpus_writer_finish(l.writer, &header, err));
out:
    corpus_writer_free(l.writer);
    mem_free(l.values);
    mem_free(l.generations);
    mem_free(l.name_ends);
    buf_deinit(&l.name_labels);
    buf_deinit(&l.pod_labels);
    buf_deinit(&l.labels);
    return st;
}
