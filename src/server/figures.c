// SPDX-License-Identifier: Apache-2.0
//
// The server's own metrics: one list of figures, shown at /metrics and written into `metrics`.
#include "base/mem.h"
#include "server/server_internal.h"
#include "wire/prom_text.h"

enum { FIGURES_MAX = 128 };

typedef struct Figure {
    const char *name;
    const char *help;
    PromTextType type;
    const char *label; // NULL: none
    Str label_value;
    bool is_whole;
    uint64_t whole; // when is_whole: printed digit by digit
    double value;   // else
} Figure;

typedef struct FigureList {
    Figure figures[FIGURES_MAX];
    size_t count;
} FigureList;

static void add(FigureList *list, Figure figure)
{
    ASSERT(list->count < FIGURES_MAX);
    list->figures[list->count++] = figure;
}

static void counter(FigureList *list, const char *name, const char *help, uint64_t value)
{
    add(list, (Figure){.name = name,
                       .help = help,
                       .type = PROM_TEXT_COUNTER,
                       .is_whole = true,
                       .whole = value});
}

// One of several counters of a name; `like` has the name, the help and the label.
static void counter_of(FigureList *list, const Figure *like, Str label_value, uint64_t value)
{
    Figure figure = *like;
    figure.type = PROM_TEXT_COUNTER;
    figure.label_value = label_value;
    figure.is_whole = true;
    figure.whole = value;
    add(list, figure);
}

static void gauge(FigureList *list, const char *name, const char *help, uint64_t value)
{
    add(list,
        (Figure){
            .name = name, .help = help, .type = PROM_TEXT_GAUGE, .is_whole = true, .whole = value});
}

static void seconds(FigureList *list, PromTextType type, const char *name, const char *help,
                    double value)
{
    add(list, (Figure){.name = name, .help = help, .type = type, .value = value});
}

static void add_store(Server *server, FigureList *list)
{
    StoreFigures f;
    store_figures(server->store, &f);
    counter(list, "cardinal_samples_written_total", "Samples of metrics written and acknowledged.",
            f.samples_written);
    counter(list, "cardinal_rows_written_total", "Rows of typed tables written and acknowledged.",
            f.rows_written);
    counter(list, "cardinal_samples_rejected_total", "Samples of series whose labels break a rule.",
            f.samples_rejected);
    counter(list, "cardinal_writes_refused_total", "Writes refused for lack of memory.",
            f.writes_refused);
    gauge(list, "cardinal_hot_series", "Series with samples in memory.", f.hot_series);
    gauge(list, "cardinal_hot_rows", "Rows in memory, not yet in committed files.", f.hot_rows);
    gauge(list, "cardinal_hot_bytes", "Memory of those rows and what is known of their series.",
          f.hot_bytes);
    gauge(list, "cardinal_memory_bytes", "Memory charged to the store's budget.", f.memory_bytes);
    gauge(list, "cardinal_memory_limit_bytes", "The store's budget.", f.memory_limit_bytes);
    counter(list, "cardinal_flushes_total", "Flushes to Parquet that were committed.", f.flushes);
    counter(list, "cardinal_flush_failures_total", "Flushes that failed and will be tried again.",
            f.flush_failures);
    counter(list, "cardinal_flushed_rows_total", "Rows written to Parquet.", f.flushed_rows);
    counter(list, "cardinal_flushed_bytes_total", "Bytes of Parquet written.", f.flushed_bytes);
    seconds(list, PROM_TEXT_GAUGE, "cardinal_last_flush_timestamp_seconds",
            "When the last flush was committed; 0: never.", (double)f.last_flush_us / 1e6);
    gauge(list, "cardinal_wal_segments", "Segments of the write-ahead log.", f.wal_segments);
    gauge(list, "cardinal_wal_bytes", "Bytes of those segments in use.", f.wal_bytes);
    counter(list, "cardinal_wal_syncs_total", "Calls of fdatasync for the write-ahead log.",
            f.wal_syncs);
    gauge(list, "cardinal_files", "Live Parquet files.", f.files);
    gauge(list, "cardinal_file_bytes", "Bytes of live Parquet files.", f.file_bytes);
}

static void add_http(Server *server, FigureList *list)
{
    static const Str classes[] = {STR("none"), STR("1xx"), STR("2xx"),
                                  STR("3xx"),  STR("4xx"), STR("5xx")};
    HttpStats s;
    http_server_stats(server->http, &s);
    static const Figure requests = {.name = "cardinal_http_requests_total",
                                    .help = "HTTP requests answered, by status.",
                                    .label = "code"};
    static const Figure rejected = {
        .name = "cardinal_http_rejected_total",
        .help = "HTTP requests refused before a handler saw them, by reason.",
        .label = "reason"};
    for (size_t i = 1; i < ARRAY_LEN(s.requests); i++) {
        counter_of(list, &requests, classes[i], s.requests[i]);
    }
    for (size_t i = 0; i < HTTP_REJECT_COUNT; i++) {
        const char *why = http_reject_text((HttpReject)i);
        counter_of(list, &rejected, (Str){why, strlen(why)}, s.rejected[i]);
    }
    counter(list, "cardinal_http_received_bytes_total", "Bytes of requests.", s.in_bytes);
    counter(list, "cardinal_http_sent_bytes_total", "Bytes of response bodies.", s.out_bytes);
    gauge(list, "cardinal_http_connections", "Open HTTP connections.", s.connections);
    gauge(list, "cardinal_http_requests_in_flight",
          "HTTP requests being received, handled or answered.", s.in_flight);
}

static void add_requests(Server *server, FigureList *list)
{
    static const Figure dropped = {.name = "cardinal_dropped_total",
                                   .help = "What was sent and is not stored, by kind.",
                                   .label = "kind"};
    const ServerCounters *c = &server->counters;
    counter(list, "cardinal_remote_write_requests_total", "Remote write requests.",
            counter_get(&c->write_requests));
    counter(list, "cardinal_remote_write_rejected_series_total",
            "Series rejected in remote write requests.", counter_get(&c->write_rejected_series));
    counter_of(list, &dropped, STR("native_histogram"), counter_get(&c->dropped_histograms));
    counter_of(list, &dropped, STR("exemplar"), counter_get(&c->dropped_exemplars));
    counter(list, "cardinal_ingest_requests_total", "Requests with JSON rows.",
            counter_get(&c->ingest_requests));
    counter(list, "cardinal_ingest_rows_total", "Rows of those.", counter_get(&c->ingest_rows));
    counter(list, "cardinal_sql_queries_total", "SQL statements.", counter_get(&c->sql_queries));
    counter(list, "cardinal_sql_errors_total", "SQL statements that failed.",
            counter_get(&c->sql_errors));
    counter(list, "cardinal_sql_rows_total", "Rows returned by SQL statements.",
            counter_get(&c->sql_rows));
    seconds(list, PROM_TEXT_COUNTER, "cardinal_sql_seconds_total", "Time spent in SQL statements.",
            (double)counter_get(&c->sql_us) / 1e6);
    counter(list, "cardinal_promql_queries_total", "PromQL queries.",
            counter_get(&c->promql_queries));
    counter(list, "cardinal_promql_errors_total", "PromQL queries that failed.",
            counter_get(&c->promql_errors));
    counter(list, "cardinal_promql_samples_total", "Samples that PromQL queries looked at.",
            counter_get(&c->promql_samples));
    seconds(list, PROM_TEXT_COUNTER, "cardinal_promql_seconds_total",
            "Time spent in PromQL queries.", (double)counter_get(&c->promql_us) / 1e6);
    counter(list, "cardinal_collected_rows_total", "Rows of the built-in collector.",
            counter_get(&c->collected_rows));
    counter(list, "cardinal_collect_errors_total", "Rounds of the built-in collector that failed.",
            counter_get(&c->collect_errors));
}

static void list_figures(Server *server, FigureList *list)
{
    add_store(server, list);
    add_http(server, list);
    add_requests(server, list);
    add(list, (Figure){.name = "cardinal_build_info",
                       .help = "1, with the version.",
                       .type = PROM_TEXT_GAUGE,
                       .label = "version",
                       .label_value = STR(CARDINAL_VERSION),
                       .is_whole = true,
                       .whole = 1});
    gauge(list, "process_resident_memory_bytes", "Resident memory.", os_memory_resident_bytes());
    seconds(list, PROM_TEXT_COUNTER, "process_cpu_seconds_total", "User and system CPU time.",
            os_process_cpu_seconds());
    seconds(list, PROM_TEXT_GAUGE, "process_start_time_seconds", "When the server was started.",
            (double)server->started_us / 1e6);
}

void server_put_metrics(Server *server, Buf *out)
{
    FigureList *list = mem_new(FigureList, 1);
    PromText w = prom_text_of(out);
    const char *family = "";

    list_figures(server, list);
    for (size_t i = 0; i < list->count; i++) {
        const Figure *f = &list->figures[i];
        const PromTextLabel label = {.name = f->label, .value = f->label_value};
        if (strcmp(family, f->name) != 0) {
            prom_text_family(&w, f->name, f->type, f->help);
            family = f->name;
        }
        const size_t label_count = f->label != NULL ? 1 : 0;
        if (f->is_whole) {
            prom_text_u64(&w, &label, label_count, f->whole);
        } else {
            prom_text_f64(&w, &label, label_count, f->value);
        }
    }
    mem_free(list);
}

Status server_write_self(Server *server, Err *err)
{
    FigureList *list = mem_new(FigureList, 1);
    Buf labels = {0};
    MetricsSeries series[FIGURES_MAX];
    size_t ends[FIGURES_MAX];
    double values[FIGURES_MAX];
    int64_t timestamps_ms[FIGURES_MAX];
    MetricsResult result = {0};
    const int64_t now_ms = os_wall_us(server->os) / 1000;

    list_figures(server, list);
    buf_init(&labels, 0);
    for (size_t i = 0; i < list->count; i++) {
        const Figure *f = &list->figures[i];
        remote_write_put_label(&labels, STR("__name__"), (Str){f->name, strlen(f->name)});
        if (f->label != NULL) {
            remote_write_put_label(&labels, (Str){f->label, strlen(f->label)}, f->label_value);
        }
        remote_write_put_label(&labels, STR("instance"), server_address(server));
        remote_write_put_label(&labels, STR("job"), STR("cardinal"));
        ends[i] = labels.len;
        values[i] = f->is_whole ? (double)f->whole : f->value;
        timestamps_ms[i] = now_ms;
    }
    for (size_t i = 0; i < list->count; i++) {
        const size_t from = i == 0 ? 0 : ends[i - 1];
        series[i] = (MetricsSeries){.labels = {labels.ptr + from, ends[i] - from},
                                    .sample_first = (uint32_t)i,
                                    .sample_count = 1};
    }
    const MetricsBatch batch = {.series = series,
                                .series_count = list->count,
                                .timestamps_ms = timestamps_ms,
                                .values = values};
    const Status st = store_write_metrics(server->store, &batch, &result, err);
    buf_deinit(&labels);
    mem_free(list);
    return st;
}
