// SPDX-License-Identifier: Apache-2.0
//
// What the files of `server` share.
#pragma once

#include "net/http_server.h"
#include "os/thread.h"
#include "promql/engine.h"
#include "query/exemplars.h"
#include "query/metadata.h"
#include "server/server.h"
#include "sql/sql.h"
#include "store/store.h"
#include "wire/ndjson.h"
#include "wire/remote_write.h"

#include <stdatomic.h>

// Buffers of one write request, reused by the next one on whatever thread.
typedef struct WriteScratch WriteScratch;
struct WriteScratch {
    WriteScratch *next;
    RemoteWriteScratch *remote_write;
    Ndjson *ndjson;
    MetricsSeries *series;
    size_t series_cap;
    // Of a request with histograms:
    int64_t *timestamps;
    double *values;
    MetricsExtra *extras;
    size_t timestamps_cap, values_cap, extras_cap;
    Buf blobs;
    Buf refusal; // why the first histogram that is not written was refused; empty: none was
};

// Counted by handlers; relaxed: they are read only to be shown.
typedef struct ServerCounters {
    _Atomic(uint64_t) write_requests, write_rejected_series, dropped_histograms, dropped_exemplars;
    _Atomic(uint64_t) ingest_requests, ingest_rows;
    _Atomic(uint64_t) sql_queries, sql_errors, sql_us, sql_rows;
    _Atomic(uint64_t) promql_queries, promql_errors, promql_us, promql_samples;
    _Atomic(uint64_t) collected_rows, collect_errors;
} ServerCounters;

static inline void counter_add(_Atomic(uint64_t) *counter, uint64_t n)
{
    (void)atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline uint64_t counter_get(const _Atomic(uint64_t) *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

struct Server {
    Os *os;
    const ServerConfig *config;
    Store *store;
    SqlEngine *sql;
    QueryWatch *watch; // of PromQL
    PromqlEngine *promql;
    Exemplars *exemplars;
    Metadata *metadata;
    HttpServer *http;
    char address[128];
    Str temp_dir;
    Arena arena;
    int64_t started_us;
    atomic_bool ready;    // release when open, acquire by /-/ready
    atomic_bool stopping; // release by server_stop(), acquire by loops
    ServerCounters counters;

    Thread self_thread, collect_thread;
    Mutex mu;              // level 70
    Cond wake;             // stopping
    WriteScratch *scratch; // mu: free ones
};

// write.c
Status server_handle_remote_write(void *ctx, const HttpRequest *request, HttpResponse *response,
                                  Err *err);
Status server_handle_ingest(void *ctx, const HttpRequest *request, HttpResponse *response,
                            Err *err);
void server_free_scratch(Server *server);

// write_histograms.c
// The samples of a request with histograms that can be written, for the series in scratch->series,
// whose samples become those that are left. Returns how many were refused; scratch->refusal is
// about the first.
uint64_t server_take_histograms(WriteScratch *scratch, const RemoteWriteRequest *in,
                                MetricsBatch *batch);
void server_free_histograms(WriteScratch *scratch);
void server_shrink_histograms(WriteScratch *scratch); // lets go what is large

// prom_notes.c: what comes with samples: exemplars, metadata. Returns how many exemplars were kept.
uint64_t server_take_exemplars(Server *server, const RemoteWriteRequest *in);
void server_take_metadata(Server *server, const RemoteWriteRequest *in);

// query.c
Status server_handle_sql(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err);
Status server_handle_tables(void *ctx, const HttpRequest *request, HttpResponse *response,
                            Err *err);

// prom_query.c: expressions. prom_series.c: labels without values. prom_status.c: the server
// itself.
HttpHandlerFunction server_handle_query, server_handle_query_range, server_handle_query_exemplars;
HttpHandlerFunction server_handle_format_query, server_handle_parse_query;
HttpHandlerFunction server_handle_explain_query;
HttpHandlerFunction server_handle_series, server_handle_labels, server_handle_label_values;
HttpHandlerFunction server_handle_status, server_handle_metadata;
HttpHandlerFunction server_handle_remote_read; // prom_read.c

// figures.c
void server_put_metrics(Server *server, Buf *out);  // text exposition
Status server_write_self(Server *server, Err *err); // the same into `metrics`

// loops.c: the threads that write the server's own metrics and the collector's rows.
Status server_start_loops(Server *server, Err *err);
void server_stop_loops(Server *server);
