// SPDX-License-Identifier: Apache-2.0
#include "base/json_put.h"
#include "base/mem.h"
#include "base/num.h"
#include "server/server_internal.h"
#include "wire/prom_text.h"

#include <stdio.h>

static Status put_text(HttpResponse *response, int status, const char *content_type, Str text)
{
    response->status = status;
    response->content_type = content_type;
    buf_put_str(&response->body, text);
    return OK;
}

static Status handle_healthy(void *ctx, const HttpRequest *request, HttpResponse *response,
                             Err *err)
{
    (void)ctx, (void)request, (void)err;
    return put_text(response, 200, "text/plain; charset=utf-8", STR("cardinal is healthy.\n"));
}

static Status handle_ready(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    Server *server = ctx;
    (void)request;
    if (!atomic_load_explicit(&server->ready, memory_order_acquire) ||
        atomic_load_explicit(&server->stopping, memory_order_acquire)) {
        return err_set(err, ERR_UNAVAILABLE, "cardinal is not ready: starting or stopping");
    }
    return put_text(response, 200, "text/plain; charset=utf-8", STR("cardinal is ready.\n"));
}

static Status handle_metrics(void *ctx, const HttpRequest *request, HttpResponse *response,
                             Err *err)
{
    (void)request, (void)err;
    response->content_type = PROM_TEXT_CONTENT_TYPE;
    server_put_metrics(ctx, &response->body);
    return OK;
}

static Status handle_flush(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    Server *server = ctx;
    Str table = {0};
    (void)http_request_arg(request, STR("table"), &table);
    TRY(store_flush(server->store, table, err));
    response->status = 204;
    return OK;
}

static Status handle_root(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    (void)ctx, (void)request, (void)err;
    return put_text(response, 200, "text/plain; charset=utf-8",
                    STR("cardinal " CARDINAL_VERSION ", a database for telemetry\n\n"
                        "POST /api/v1/write           Prometheus remote write 1.0\n"
                        "POST /api/v1/ingest/TABLE    newline-delimited JSON rows\n"
                        "GET|POST /api/v1/query       PromQL: query=..., time=...\n"
                        "GET|POST /api/v1/query_range PromQL: query=..., start=..., end=..., "
                        "step=...\n"
                        "GET|POST /api/v1/series, labels, GET /api/v1/label/NAME/values\n"
                        "GET|POST /api/v1/sql         query=..., "
                        "format=json|json_columns|ndjson|csv|table|arrow|parquet\n"
                        "GET /api/v1/tables           tables and their columns\n"
                        "POST /api/v1/flush           write rows in memory to Parquet now\n"
                        "GET /metrics                 own metrics\n"
                        "GET /-/healthy, /-/ready     health\n"));
}

// Prometheus' error types, which its clients know.
static const char *error_type(int status)
{
    switch (status) {
    case 404:
        return "not_found";
    case 422:
        return "execution";
    case 499:
        return "canceled";
    case 501:
        return "not_implemented";
    case 503:
        return "unavailable";
    default:
        return status >= 500 ? "internal" : "bad_data";
    }
}

static void shape_error(void *ctx, const HttpRequest *request, int status, Str message,
                        HttpResponse *response)
{
    (void)ctx;
    // Without a path: the head was refused before it was read.
    const bool plain =
        str_eq(request->path, STR("/api/v1/write")) || str_eq(request->path, STR("/api/v1/read")) ||
        (request->path.len != 0 && !str_eq(str_slice(request->path, 0, 5), STR("/api/")));
    if (plain) {
        response->content_type = "text/plain; charset=utf-8";
        buf_put_str(&response->body, message);
        buf_put_u8(&response->body, '\n');
        return;
    }
    response->content_type = "application/json";
    buf_putf(&response->body,
             "{\"status\":\"error\",\"errorType\":\"%s\",\"error\":", error_type(status));
    json_put_string(&response->body, message);
    buf_put_str(&response->body, STR("}\n"));
}

// --- start -------------------------------------------------------------------------------------

static Status parse_listen(Str listen, Str *address, uint16_t *port, Err *err)
{
    uint64_t number = 0;
    size_t colon = listen.len;
    while (colon > 0 && listen.ptr[colon - 1] != ':') {
        colon--;
    }
    if (colon == 0 || !num_parse_u64(str_slice(listen, colon, listen.len), &number) ||
        number > 65535) {
        return err_set(err, ERR_INVALID, "listen: expected address:port, found '" STR_FMT "'",
                       STR_ARG(listen));
    }
    *address = str_slice(listen, 0, colon - 1);
    if (address->len >= 2 && address->ptr[0] == '[' && address->ptr[address->len - 1] == ']') {
        *address = str_slice(*address, 1, address->len - 1);
    }
    if (str_eq(*address, STR("localhost"))) {
        *address = STR("127.0.0.1");
    } else if (address->len == 0) {
        *address = STR("::"); // ":8080": everywhere, as the user asked
    }
    *port = (uint16_t)number;
    return OK;
}

#define BOTH (HTTP_GET | HTTP_POST)

static Status start_http(Server *server, Err *err)
{
    const size_t request_max = server->config->request_bytes_max;
    Str address = {0};
    uint16_t port = 0;
    const HttpRoute table[] = {
        {HTTP_GET, "/", HTTP_CLASS_INLINE, 0, handle_root, server},
        {HTTP_GET, "/-/healthy", HTTP_CLASS_INLINE, 0, handle_healthy, server},
        {HTTP_GET, "/-/ready", HTTP_CLASS_INLINE, 0, handle_ready, server},
        {HTTP_GET, "/metrics", HTTP_CLASS_READ, 0, handle_metrics, server},
        {HTTP_POST, "/api/v1/write", HTTP_CLASS_WRITE, request_max, server_handle_remote_write,
         server},
        {HTTP_POST, "/api/v1/ingest/:table", HTTP_CLASS_WRITE, request_max, server_handle_ingest,
         server},
        {HTTP_POST, "/api/v1/read", HTTP_CLASS_READ, 0, server_handle_remote_read, server},
        {BOTH, "/api/v1/query", HTTP_CLASS_READ, 0, server_handle_query, server},
        {BOTH, "/api/v1/query_range", HTTP_CLASS_READ, 0, server_handle_query_range, server},
        {BOTH, "/api/v1/query_exemplars", HTTP_CLASS_READ, 0, server_handle_query_exemplars,
         server},
        {HTTP_GET, "/api/v1/metadata", HTTP_CLASS_READ, 0, server_handle_metadata, server},
        {BOTH, "/api/v1/format_query", HTTP_CLASS_READ, 0, server_handle_format_query, server},
        {BOTH, "/api/v1/parse_query", HTTP_CLASS_READ, 0, server_handle_parse_query, server},
        {BOTH, "/api/v1/explain_query", HTTP_CLASS_READ, 0, server_handle_explain_query, server},
        {BOTH, "/api/v1/series", HTTP_CLASS_READ, 0, server_handle_series, server},
        {BOTH, "/api/v1/labels", HTTP_CLASS_READ, 0, server_handle_labels, server},
        {HTTP_GET, "/api/v1/label/:name/values", HTTP_CLASS_READ, 0, server_handle_label_values,
         server},
        {HTTP_GET, "/api/v1/status/*", HTTP_CLASS_READ, 0, server_handle_status, server},
        {HTTP_GET, "/api/v1/targets", HTTP_CLASS_READ, 0, server_handle_status, server},
        {HTTP_GET, "/api/v1/rules", HTTP_CLASS_READ, 0, server_handle_status, server},
        {HTTP_GET, "/api/v1/alerts", HTTP_CLASS_READ, 0, server_handle_status, server},
        {HTTP_GET, "/api/v1/alertmanagers", HTTP_CLASS_READ, 0, server_handle_status, server},
        {BOTH, "/api/v1/sql", HTTP_CLASS_READ, 4 * SQL_TEXT_MAX_BYTES, server_handle_sql, server},
        {HTTP_GET, "/api/v1/tables", HTTP_CLASS_READ, 0, server_handle_tables, server},
        {HTTP_POST, "/api/v1/flush", HTTP_CLASS_WRITE, 1024, handle_flush, server},
    };
    HttpRoute *routes = arena_new(&server->arena, HttpRoute, ARRAY_LEN(table));
    memcpy(routes, table, sizeof(table));

    TRY(parse_listen(server->config->listen, &address, &port, err));
    const HttpServerOptions options = {
        .address = address,
        .port = port,
        .routes = routes,
        .route_count = ARRAY_LEN(table),
        .write_threads = (unsigned)server->config->write_threads,
        .read_threads = (unsigned)server->config->read_threads,
        .body_bytes_max = request_max,
        .bodies_bytes_max = server->config->requests_bytes_max,
        .error = shape_error,
        .error_ctx = server,
    };
    TRY(http_server_start(&options, &server->http, err));
    (void)snprintf(server->address, sizeof(server->address),
                   memchr(address.ptr, ':', address.len) != NULL ? "[" STR_FMT "]:%u"
                                                                 : STR_FMT ":%u",
                   STR_ARG(address), http_server_port(server->http));
    return OK;
}

static Status open_store(Server *server, Err *err)
{
    const ServerConfig *c = server->config;
    const StoreOptions options = {
        .os = server->os,
        .dir = c->data,
        .tenant = c->tenant,
        .durability = c->durability,
        .sync_interval_ms = c->sync_interval_ms,
        .flush_interval_ms = c->flush_interval_ms,
        .flush_rows = c->flush_rows,
        .flush_bytes = c->flush_bytes,
        .memory_limit_bytes = c->memory_limit,
        .max_age_ms = c->storage_max_age_ms,
        .max_future_ms = c->storage_max_future_ms,
        .label_columns_max = (uint32_t)c->label_columns_max,
        .label_limits = {.count_max = (uint32_t)c->labels_max,
                         .name_bytes_max = (uint32_t)c->label_name_bytes_max,
                         .value_bytes_max = (uint32_t)c->label_value_bytes_max},
    };
    return store_open(&options, &server->store, NULL, err);
}

static PromqlFeatures features_of(Str names)
{
    PromqlFeatures features = {0};
    Str name = {0};
    for (Str rest = names; rest.len > 0;) {
        if (!str_cut(rest, ',', &name, &rest)) {
            name = rest;
            rest.len = 0;
        }
        (void)promql_feature_enable(name, &features); // the configuration knows the same names
    }
    return features;
}

static Status open_promql(Server *server, Err *err)
{
    const ServerConfig *c = server->config;
    server->exemplars = exemplars_new((size_t)c->exemplars_max);
    server->metadata = metadata_new();
    TRY(query_watch_new(server->os, &server->watch, err));
    const PromqlOptions options = {
        .store = server->store,
        .watch = server->watch,
        .os = server->os,
        .features = features_of(c->features),
        .samples_max = c->query_samples_max,
        .memory_max_bytes =
            c->query_memory_limit != 0 ? c->query_memory_limit : os_memory_total_bytes() / 8,
        .concurrency_max = (uint32_t)c->query_concurrency,
        .threads = (uint32_t)c->query_threads,
        .timeout_ms = c->query_timeout_ms,
        .lookback_ms = c->query_lookback_ms,
    };
    server->promql = promql_engine_new(&options);
    return OK;
}

static Status open_sql(Server *server, Err *err)
{
    const ServerConfig *c = server->config;
    Buf dir = {0};
    buf_init(&dir, OS_PATH_MAX);
    if (c->sql_temp_dir.len != 0) {
        buf_put_str(&dir, c->sql_temp_dir);
    } else {
        buf_put_str(&dir, c->data);
        buf_put_str(&dir, STR("/tmp"));
    }
    server->temp_dir = arena_str(&server->arena, buf_str(&dir));
    buf_deinit(&dir);
    TRY(os_mkdir_all(server->os, server->temp_dir, err));
    const SqlOptions options = {
        .os = server->os,
        .store = server->store,
        .memory_limit_bytes =
            c->sql_memory_limit != 0 ? c->sql_memory_limit : os_memory_total_bytes() / 4,
        .threads = (uint32_t)c->sql_threads,
        .temp_dir = server->temp_dir,
        .temp_limit_bytes = c->sql_temp_limit,
    };
    return sql_engine_new(&options, &server->sql, err);
}

Status server_start(Os *os, const ServerConfig *config, Server **out, Err *err)
{
    Status st = OK;
    Err ignored;
    Server *server = mem_new(Server, 1);

    *out = NULL;
    server->os = os;
    server->config = config;
    server->started_us = os_wall_us(os);
    mutex_init(&server->mu);
    cond_init(&server->wake);
    TRY_OUT(open_store(server, err));
    TRY_OUT(open_sql(server, err));
    TRY_OUT(open_promql(server, err));
    TRY_OUT(start_http(server, err));
    TRY_OUT(server_start_loops(server, err));
    atomic_store_explicit(&server->ready, true, memory_order_release);
    *out = server;
    server = NULL;
out:
    if (server != NULL) {
        (void)server_stop(server, &ignored); // the first error is the one to tell
    }
    return st;
}

Str server_address(const Server *server)
{
    return (Str){server->address, strlen(server->address)};
}

Status server_stop(Server *server, Err *err)
{
    Status st = OK;

    atomic_store_explicit(&server->stopping, true, memory_order_release);
    if (server->http != NULL) {
        const size_t cut = http_server_stop(server->http, server->config->shutdown_timeout_ms);
        if (cut > 0) {
            log_warn("requests cut at shutdown", LOG_U64("count", cut),
                     LOG_I64("timeout_ms", server->config->shutdown_timeout_ms));
        }
        http_server_free(server->http);
    }
    server_stop_loops(server);
    sql_engine_free(server->sql);
    promql_engine_free(server->promql);
    query_watch_free(server->watch);
    exemplars_free(server->exemplars);
    metadata_free(server->metadata);
    if (server->store != NULL) {
        st = store_close(server->store, true, err);
    }
    server_free_scratch(server);
    cond_deinit(&server->wake);
    mutex_deinit(&server->mu);
    arena_deinit(&server->arena);
    mem_free(server);
    return st;
}
