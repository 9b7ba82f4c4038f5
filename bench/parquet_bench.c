// SPDX-License-Identifier: Apache-2.0
//
// parquet_bench DIR [WORKLOAD...]: writes Parquet files into DIR from seeded data, and prints one
// JSON line per workload: bytes per row in all and per column, rows per second of CPU time.
//
//   counter gauge decimal float noise   500 series, 24 h at 15 s: regular data of one kind of
//                                       value;
//                                 float has 262,141 distinct values, noise 2^52
//   jitter                        the same counters, each sample up to 40 ms late
//   mix20 mix4                    many series of four metrics, 20 and 4 samples each
//   labels                        the label columns alone
//   flow flow-src                 network flow rows by time, and by (src_ip, time)
//
// BENCH_ROWS=n sets the number of rows, BENCH_LEVEL=n the zstd level, BENCH_KEEP=1 keeps the files.
#include "base/mem.h"
#include "base/rng.h"
#include "os/os.h"
#include "os/thread.h"
#include "parquet/writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROW_GROUP_ROWS = 1 << 20,
    LABEL_COUNT = 6,
    CONNS_PER_POD = 25,
    SERVICES = 100,
    INTERVAL_US = 15 * 1000 * 1000,
};
static const int64_t start_us = INT64_C(1700000000000000);

static uint64_t mix64(uint64_t x)
{
    Rng rng = {x};
    return rng_next(&rng);
}

static double unit(uint64_t h)
{
    return (double)(h >> 11) * 0x1p-53;
}

static double gauss(uint64_t h)
{
    const double s = (double)(h & 0xffff) + (double)((h >> 16) & 0xffff) +
                     (double)((h >> 32) & 0xffff) + (double)(h >> 48);
    return (s / 65536.0 - 2.0) * 1.7320508;
}

// ---- texts with codes

typedef struct Texts {
    uint32_t *offsets;
    uint8_t *bytes;
    uint32_t count;
    Buf text;
    uint32_t *ends;
    size_t cap;
    Vector dict;
} Texts;

static uint32_t texts_add(Texts *t, const char *s)
{
    buf_put(&t->text, s, strlen(s));
    t->ends = mem_grow(t->ends, &t->cap, t->count + 2, sizeof(*t->ends));
    t->ends[0] = 0;
    t->ends[++t->count] = (uint32_t)t->text.len;
    return t->count - 1;
}

static const Vector *texts_dict(Texts *t)
{
    t->dict = (Vector){.type = COLUMN_STRING,
                       .form = VECTOR_FLAT,
                       .row_count = t->count,
                       .offsets = t->ends,
                       .bytes = t->text.ptr};
    return &t->dict;
}

static void texts_free(Texts *t)
{
    mem_free(t->ends);
    buf_deinit(&t->text);
}

// ---- metrics

static const char *const label_names[LABEL_COUNT] = {"region",   "job", "service",
                                                     "instance", "pod", "conn"};
typedef enum Kind { COUNTER, GAUGE, DECIMAL, FLOAT, MIX, NOISE } Kind;

typedef struct Series {
    uint32_t codes[LABEL_COUNT];
    uint32_t name;
    uint64_t number;
} Series;

typedef struct Metrics {
    Texts labels[LABEL_COUNT];
    Texts names;
    Series *series;
    size_t count;
    uint32_t name_count;
    Kind kind;
    uint32_t ticks;
    bool jitter;
} Metrics;

// The code of a text that is made from a number: each number gets one entry, the first time.
static uint32_t numbered(Texts *t, uint32_t *code_plus_one, const char *text)
{
    if (*code_plus_one == 0) {
        *code_plus_one = texts_add(t, text) + 1;
    }
    return *code_plus_one - 1;
}

static int compare_series(const void *a, const void *b)
{
    const Series *x = a;
    const Series *y = b;
    if (x->name != y->name) {
        return x->name < y->name ? -1 : 1;
    }
    for (int i = 0; i < LABEL_COUNT; i++) {
        if (x->codes[i] != y->codes[i]) {
            return x->codes[i] < y->codes[i] ? -1 : 1;
        }
    }
    return 0;
}

// tidy: allow function-length: one text per label
static void make_series(Metrics *m)
{
    static const char *const regions[] = {"us-east-1", "us-west-2", "eu-west-1", "eu-central-1",
                                          "ap-south-1"};
    static const char *const names[] = {"http_requests_total", "memory_working_set_bytes",
                                        "cpu_usage_percent", "request_latency_seconds"};
    const uint64_t per_pod = (uint64_t)m->name_count * CONNS_PER_POD;
    const uint64_t pods = (m->count + per_pod - 1) / per_pod;
    uint32_t *known[LABEL_COUNT];
    const size_t known_count[LABEL_COUNT] = {
        5, 10, SERVICES, pods / 10 + 1, pods, m->count / m->name_count + 1};
    for (int i = 0; i < LABEL_COUNT; i++) {
        known[i] = mem_new(uint32_t, known_count[i]);
    }
    for (uint32_t i = 0; i < m->name_count; i++) {
        (void)texts_add(&m->names, names[i]);
    }
    m->series = mem_new(Series, m->count);
    for (uint64_t i = 0; i < m->count; i++) {
        char text[6][64];
        const uint64_t pod = i / per_pod;
        const uint64_t slot = i / m->name_count;
        const unsigned service = (unsigned)(pod % SERVICES);
        const unsigned region = (unsigned)(pod / SERVICES % 5);
        const unsigned node = (unsigned)(pod / 10);
        const uint64_t pod_hash = mix64(~(pod * 65536));
        (void)snprintf(text[0], 64, "%s", regions[region]);
        (void)snprintf(text[1], 64, "kubernetes-job-%02u", service % 10);
        (void)snprintf(text[2], 64, "svc-%03u", service);
        (void)snprintf(text[3], 64, "10.%u.%u.%u:9100", 16 + (node >> 16), (node >> 8) & 255,
                       node & 255);
        (void)snprintf(text[4], 64, "svc-%03u-%09" PRIx64 "-%05" PRIx64, service,
                       pod_hash >> 20 & 0xfffffffff, pod_hash & 0xfffff);
        (void)snprintf(text[5], 64, "c-%012" PRIx64, mix64(slot * 65536) & 0xffffffffffff);
        const size_t which[LABEL_COUNT] = {region, service % 10, service, node, pod, slot};
        Series *s = &m->series[i];
        s->name = (uint32_t)(i % m->name_count);
        s->number = i;
        for (int k = 0; k < LABEL_COUNT; k++) {
            s->codes[k] = numbered(&m->labels[k], &known[k][which[k]], text[k]);
        }
    }
    for (int i = 0; i < LABEL_COUNT; i++) {
        mem_free(known[i]);
    }
    // Codes are not in the order of texts, and need not be: equal values are together.
    qsort(m->series, m->count, sizeof(*m->series), compare_series);
}

static double next_value(Kind kind, double *state, uint64_t r)
{
    switch (kind) {
    case COUNTER:
        return *state += (double)(r % 11);
    case GAUGE:
        return *state += (double)((int)(r % 21) - 10);
    case DECIMAL:
        *state += (double)((int)(r % 201) - 100);
        return *state / 100.0;
    case NOISE:
        return unit(r) + 0.001;
    case FLOAT:
    case MIX:
        return exp(gauss(r) * 0.7 - 3.0);
    }
    UNREACHABLE();
}

static void fill_series(const Metrics *m, const Series *s, int64_t *ts, double *values)
{
    const Kind kind = m->kind == MIX ? (Kind)(s->name % 4) : m->kind;
    const uint64_t node = s->number / ((uint64_t)m->name_count * CONNS_PER_POD) / 10;
    const int64_t offset_ms = (int64_t)(mix64(node) % 15000);
    double state = (double)(mix64(s->number) % 100000);
    for (uint32_t t = 0; t < m->ticks; t++) {
        const uint64_t r =
            mix64(s->number * UINT64_C(0x100000001b3) + t * UINT64_C(0xc2b2ae3d27d4eb4f));
        values[t] = next_value(kind, &state, r);
        ts[t] = start_us + (int64_t)t * INTERVAL_US +
                (offset_ms + (m->jitter ? (int64_t)((r >> 32) % 40) : 0)) * 1000;
    }
}

// ---- writing

typedef struct Output {
    const char *workload;
    Str path;
    OsFile *file;
    ParquetWriter *writer;
    Schema schema;
    double cpu_s;
    uint64_t rows;
} Output;

static void must(Status st, const Err *err)
{
    if (st != OK) {
        (void)fprintf(stderr, "parquet_bench: %s\n", err->msg);
        exit(1);
    }
}

static int env_int(const char *name, int otherwise)
{
    const char *text = getenv(name); // NOLINT(concurrency-mt-unsafe)
    return text == NULL ? otherwise : (int)strtol(text, NULL, 10);
}

static void output_open(Output *o, Str dir, const char *workload, Schema schema, Arena *arena)
{
    Err err = {0};
    Buf path = {0};
    buf_putf(&path, STR_FMT "/%s.parquet", STR_ARG(dir), workload);
    *o = (Output){.workload = workload, .path = arena_str(arena, buf_str(&path)), .schema = schema};
    buf_deinit(&path);
    (void)os_unlink(os_posix(), o->path, &err);
    must(os_file_open(os_posix(), o->path, OS_OPEN_CREATE, &o->file, &err), &err);
    const ParquetWriterOptions options = {.created_by = STR("cardinal version 0.1.0"),
                                          .zstd_level = env_int("BENCH_LEVEL", 0)};
    must(parquet_writer_new(o->file, &o->schema, &options, &o->writer, &err), &err);
}

static void output_rows(Output *o, const Vector *columns, uint32_t row_count)
{
    Err err = {0};
    const Batch batch = {.schema = &o->schema, .columns = columns, .row_count = row_count};
    const double start = os_process_cpu_seconds();
    must(parquet_writer_row_group(o->writer, &batch, &err), &err);
    o->cpu_s += os_process_cpu_seconds() - start;
    o->rows += row_count;
}

static void output_close(Output *o, Arena *arena)
{
    Err err = {0};
    ParquetFileSummary summary = {0};
    const double start = os_process_cpu_seconds();
    must(parquet_writer_finish(o->writer, arena, &summary, &err), &err);
    o->cpu_s += os_process_cpu_seconds() - start;
    const double rows = (double)o->rows;
    (void)printf("{\"bench\":\"parquet_write\",\"workload\":\"%s\",\"rows\":%" PRIu64
                 ",\"bytes\":%" PRIu64 ",\"bytes_per_row\":%.3f,\"cpu_s\":%.3f,"
                 "\"mrows_per_cpu_s\":%.2f,\"columns\":{",
                 o->workload, o->rows, summary.size_bytes, (double)summary.size_bytes / rows,
                 o->cpu_s, rows / 1e6 / o->cpu_s);
    for (size_t i = 0; i < summary.column_count; i++) {
        (void)printf("%s\"" STR_FMT "\":%.3f", i == 0 ? "" : ",", STR_ARG(o->schema.fields[i].name),
                     (double)summary.columns[i].compressed_bytes / rows);
    }
    (void)printf("}}\n");
    parquet_writer_free(o->writer);
    os_file_close(o->file);
    if (env_int("BENCH_KEEP", 0) == 0) {
        must(os_unlink(os_posix(), o->path, &err), &err);
    }
}

// ---- workloads

typedef struct RunColumn {
    Vector vector, items;
    uint32_t *ends, *codes;
} RunColumn;

static void run_column_add(RunColumn *c, uint32_t code, uint32_t count)
{
    const uint32_t n = c->vector.run_count;
    if (n != 0 && c->codes[n - 1] == code) {
        c->ends[n - 1] += count;
    } else {
        c->codes[n] = code;
        c->ends[n] = c->vector.row_count + count;
        c->vector.run_count++;
    }
    c->vector.row_count += count;
}

static void run_column_finish(RunColumn *c, const Vector *dict)
{
    c->items = (Vector){.type = COLUMN_STRING,
                        .form = VECTOR_DICT,
                        .row_count = c->vector.run_count,
                        .codes = c->codes,
                        .dict = dict};
    c->vector.type = COLUMN_STRING;
    c->vector.form = VECTOR_RUNS;
    c->vector.run_ends = c->ends;
    c->vector.runs = &c->items;
}

static void metrics_schema(Field fields[static LABEL_COUNT + 3])
{
    fields[0] = (Field){.name = STR("timestamp"), .type = COLUMN_TIMESTAMP};
    fields[1] = (Field){.name = STR("metric_name"), .type = COLUMN_STRING};
    fields[2] = (Field){.name = STR("value"), .type = COLUMN_DOUBLE};
    for (int i = 0; i < LABEL_COUNT; i++) {
        fields[3 + i] = (Field){.name = {.ptr = label_names[i], .len = strlen(label_names[i])},
                                .type = COLUMN_STRING,
                                .nullable = true};
    }
}

static void bench_metrics(Str dir, const char *workload, Metrics *m, bool labels_only)
{
    Arena arena = {0};
    Field fields[LABEL_COUNT + 3];
    Output out;
    make_series(m);
    metrics_schema(fields);
    const size_t skip = labels_only ? 3 : 0;
    const Schema schema = {.fields = fields + skip, .count = LABEL_COUNT + 3 - skip};
    output_open(&out, dir, workload, schema, &arena);
    int64_t *ts = mem_new(int64_t, ROW_GROUP_ROWS + (size_t)m->ticks);
    double *values = mem_new(double, ROW_GROUP_ROWS + (size_t)m->ticks);
    RunColumn runs[LABEL_COUNT + 1] = {0};
    for (int i = 0; i <= LABEL_COUNT; i++) {
        runs[i].ends = mem_new(uint32_t, ROW_GROUP_ROWS);
        runs[i].codes = mem_new(uint32_t, ROW_GROUP_ROWS);
    }
    uint32_t rows = 0;
    for (size_t s = 0; s < m->count; s++) {
        fill_series(m, &m->series[s], ts + rows, values + rows);
        for (int i = 0; i < LABEL_COUNT; i++) {
            run_column_add(&runs[i], m->series[s].codes[i], m->ticks);
        }
        run_column_add(&runs[LABEL_COUNT], m->series[s].name, m->ticks);
        rows += m->ticks;
        if (rows + m->ticks > ROW_GROUP_ROWS || s + 1 == m->count) {
            Vector columns[LABEL_COUNT + 3];
            columns[0] = (Vector){.type = COLUMN_TIMESTAMP, .row_count = rows, .data = ts};
            columns[2] = (Vector){.type = COLUMN_DOUBLE, .row_count = rows, .data = values};
            for (int i = 0; i < LABEL_COUNT; i++) {
                run_column_finish(&runs[i], texts_dict(&m->labels[i]));
                columns[3 + i] = runs[i].vector;
            }
            run_column_finish(&runs[LABEL_COUNT], texts_dict(&m->names));
            columns[1] = runs[LABEL_COUNT].vector;
            output_rows(&out, columns + skip, rows);
            rows = 0;
            for (int i = 0; i <= LABEL_COUNT; i++) {
                runs[i].vector = (Vector){0};
            }
        }
    }
    output_close(&out, &arena);
    for (int i = 0; i <= LABEL_COUNT; i++) {
        mem_free(runs[i].ends);
        mem_free(runs[i].codes);
    }
    for (int i = 0; i < LABEL_COUNT; i++) {
        texts_free(&m->labels[i]);
    }
    texts_free(&m->names);
    mem_free(ts);
    mem_free(values);
    mem_free(m->series);
    arena_deinit(&arena);
}

// ---- flows

typedef struct Flow {
    uint32_t src, dst;
    uint16_t src_port, dst_port;
    uint32_t protocol;
} Flow;

typedef struct FlowRow {
    int64_t ts;
    uint64_t bytes;
    double latency;
    uint32_t retransmits;
    Flow flow;
} FlowRow;

static Flow new_flow(uint64_t serial)
{
    static const uint16_t ports[] = {443,  443,  443,  443,  80, 80,   53,   53,
                                     8080, 5432, 6379, 9092, 22, 3306, 8443, 9090};
    const uint64_t a = mix64(serial * 3 + 1);
    const uint64_t b = mix64(serial * 3 + 2);
    const uint64_t c = mix64(serial * 3 + 3);
    Flow f = {.src = (uint32_t)(pow(20001, unit(a)) - 1),
              .dst = (uint32_t)(pow(5001, unit(b)) - 1),
              .src_port = (uint16_t)(32768 + c % 28232),
              .dst_port = ports[(c >> 20) % 16]};
    f.protocol = f.dst_port == 53 ? 1 : (c >> 40) % 200 == 0 ? 2 : 0;
    return f;
}

static void make_flows(FlowRow *rows, size_t count)
{
    enum { POOL = 200000 };
    uint64_t serial = 0;
    Flow *pool = mem_new(Flow, POOL);
    for (size_t i = 0; i < POOL; i++) {
        pool[i] = new_flow(serial++);
    }
    for (size_t n = 0; n < count; n++) {
        const uint64_t r = mix64(n * 2);
        const uint64_t q = mix64(n * 2 + 1);
        const size_t k = (r >> 8) % POOL;
        rows[n] = (FlowRow){.ts = start_us + (int64_t)(3600e3 * (double)n / (double)count) * 1000,
                            .bytes = 40 + (uint64_t)exp(6.5 + 1.8 * gauss(q)),
                            .latency = nearbyint(exp(0.8 + 0.9 * gauss(r)) * 1000.0) / 1000.0,
                            .retransmits = q % 100 < 95 ? 0 : (uint32_t)(q >> 32) % 5 + 1,
                            .flow = pool[k]};
        if (mix64(q) < UINT64_MAX / 5) {
            pool[k] = new_flow(serial++);
        }
    }
    mem_free(pool);
}

static int compare_flows(const void *a, const void *b)
{
    const FlowRow *x = a;
    const FlowRow *y = b;
    if (x->flow.src != y->flow.src) {
        return x->flow.src < y->flow.src ? -1 : 1;
    }
    return x->ts < y->ts ? -1 : x->ts > y->ts;
}

static void add_addresses(Texts *t, uint32_t base, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char text[32];
        const uint32_t ip = base + 1 + i;
        (void)snprintf(text, sizeof(text), "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255,
                       ip & 255);
        (void)texts_add(t, text);
    }
}

static const Field flow_fields[] = {
    {{"timestamp", 9}, COLUMN_TIMESTAMP, false}, {{"src_ip", 6}, COLUMN_STRING, false},
    {{"dst_ip", 6}, COLUMN_STRING, false},       {{"src_port", 8}, COLUMN_UINT16, false},
    {{"dst_port", 8}, COLUMN_UINT16, false},     {{"protocol", 8}, COLUMN_STRING, false},
    {{"bytes", 5}, COLUMN_UINT64, false},        {{"latency", 7}, COLUMN_DOUBLE, false},
    {{"retransmits", 11}, COLUMN_UINT32, false},
};

typedef struct FlowColumns {
    int64_t ts[ROW_GROUP_ROWS];
    uint32_t src[ROW_GROUP_ROWS], dst[ROW_GROUP_ROWS], protocol[ROW_GROUP_ROWS];
    uint16_t src_port[ROW_GROUP_ROWS], dst_port[ROW_GROUP_ROWS];
    uint64_t bytes[ROW_GROUP_ROWS];
    double latency[ROW_GROUP_ROWS];
    uint32_t retransmits[ROW_GROUP_ROWS];
} FlowColumns;

static void split_flows(const FlowRow *rows, uint32_t n, FlowColumns *c)
{
    for (uint32_t i = 0; i < n; i++) {
        c->ts[i] = rows[i].ts;
        c->src[i] = rows[i].flow.src;
        c->dst[i] = rows[i].flow.dst;
        c->protocol[i] = rows[i].flow.protocol;
        c->src_port[i] = rows[i].flow.src_port;
        c->dst_port[i] = rows[i].flow.dst_port;
        c->bytes[i] = rows[i].bytes;
        c->latency[i] = rows[i].latency;
        c->retransmits[i] = rows[i].retransmits;
    }
}

static void bench_flow(Str dir, const char *workload, bool by_source)
{
    const size_t count = (size_t)env_int("BENCH_ROWS", 2 << 20);
    Arena arena = {0};
    Output out;
    Texts texts[3] = {0};
    FlowRow *rows = mem_new(FlowRow, count);
    FlowColumns *c = mem_new(FlowColumns, 1);
    make_flows(rows, count);
    if (by_source) {
        qsort(rows, count, sizeof(*rows), compare_flows);
    }
    add_addresses(&texts[0], 10u << 24, 20001);
    add_addresses(&texts[1], (172u << 24) + (16u << 16), 5001);
    (void)texts_add(&texts[2], "TCP");
    (void)texts_add(&texts[2], "UDP");
    (void)texts_add(&texts[2], "ICMP");
    output_open(&out, dir, workload,
                (Schema){.fields = flow_fields, .count = ARRAY_LEN(flow_fields)}, &arena);
    for (size_t from = 0; from < count; from += ROW_GROUP_ROWS) {
        const uint32_t n =
            count - from < ROW_GROUP_ROWS ? (uint32_t)(count - from) : ROW_GROUP_ROWS;
        split_flows(rows + from, n, c);
        const void *flat[ARRAY_LEN(flow_fields)] = {c->ts,       NULL,        NULL,
                                                    c->src_port, c->dst_port, NULL,
                                                    c->bytes,    c->latency,  c->retransmits};
        const uint32_t *codes[ARRAY_LEN(flow_fields)] = {NULL,        c->src, c->dst, NULL, NULL,
                                                         c->protocol, NULL,   NULL,   NULL};
        const Vector *dicts[ARRAY_LEN(flow_fields)] = {NULL,
                                                       texts_dict(&texts[0]),
                                                       texts_dict(&texts[1]),
                                                       NULL,
                                                       NULL,
                                                       texts_dict(&texts[2]),
                                                       NULL,
                                                       NULL,
                                                       NULL};
        Vector columns[ARRAY_LEN(flow_fields)];
        for (size_t i = 0; i < ARRAY_LEN(flow_fields); i++) {
            columns[i] = (Vector){.type = flow_fields[i].type,
                                  .form = flat[i] != NULL ? VECTOR_FLAT : VECTOR_DICT,
                                  .row_count = n,
                                  .data = flat[i],
                                  .codes = codes[i],
                                  .dict = dicts[i]};
        }
        output_rows(&out, columns, n);
    }
    output_close(&out, &arena);
    for (int i = 0; i < 3; i++) {
        texts_free(&texts[i]);
    }
    mem_free(c);
    mem_free(rows);
    arena_deinit(&arena);
}

// ----

static void run(Str dir, const char *name)
{
    static const struct {
        const char *name;
        Kind kind;
        uint32_t ticks, names;
        bool jitter;
    } metrics[] = {
        {"counter", COUNTER, 5760, 1, false}, {"gauge", GAUGE, 5760, 1, false},
        {"decimal", DECIMAL, 5760, 1, false}, {"float", FLOAT, 5760, 1, false},
        {"noise", NOISE, 5760, 1, false},     {"jitter", COUNTER, 5760, 1, true},
        {"mix20", MIX, 20, 4, false},         {"mix4", MIX, 4, 4, false},
        {"labels", MIX, 20, 4, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
        if (strcmp(name, metrics[i].name) == 0) {
            Metrics m = {.kind = metrics[i].kind,
                         .ticks = metrics[i].ticks,
                         .name_count = metrics[i].names,
                         .jitter = metrics[i].jitter,
                         .count = (size_t)env_int("BENCH_ROWS", 2880000) / metrics[i].ticks};
            bench_metrics(dir, name, &m, strcmp(name, "labels") == 0);
            return;
        }
    }
    if (strcmp(name, "flow") == 0 || strcmp(name, "flow-src") == 0) {
        bench_flow(dir, name, strcmp(name, "flow-src") == 0);
        return;
    }
    (void)fprintf(stderr, "parquet_bench: no workload '%s'\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    static const char *const all[] = {"counter", "gauge", "decimal", "float", "noise",   "jitter",
                                      "mix20",   "mix4",  "labels",  "flow",  "flow-src"};
    if (argc < 2) {
        (void)fprintf(stderr, "usage: parquet_bench DIR [WORKLOAD...]\n");
        return 2;
    }
    const Str dir = {.ptr = argv[1], .len = strlen(argv[1])};
    for (int i = 2; i < argc; i++) {
        run(dir, argv[i]);
    }
    for (size_t i = 0; argc == 2 && i < ARRAY_LEN(all); i++) {
        run(dir, all[i]);
    }
    return 0;
}
