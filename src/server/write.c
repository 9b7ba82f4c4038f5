// SPDX-License-Identifier: Apache-2.0
//
// Writes over HTTP: Prometheus remote write, and rows as newline-delimited JSON.
#include "base/mem.h"
#include "server/server_internal.h"

#include <stdio.h>

// What a client should wait before it tries again after 429 and 503.
static const Str RETRY_AFTER_SECONDS = STR("1");

static WriteScratch *take_scratch(Server *server)
{
    mutex_lock(&server->mu);
    WriteScratch *scratch = server->scratch;
    if (scratch != NULL) {
        server->scratch = scratch->next;
    }
    mutex_unlock(&server->mu);
    if (scratch == NULL) {
        scratch = mem_new(WriteScratch, 1);
        buf_init(&scratch->blobs, 0);
        buf_init(&scratch->refusal, 0);
    }
    return scratch;
}

static void give_scratch(Server *server, WriteScratch *scratch)
{
    mutex_lock(&server->mu);
    scratch->next = server->scratch;
    server->scratch = scratch;
    mutex_unlock(&server->mu);
}

void server_free_scratch(Server *server)
{
    while (server->scratch != NULL) {
        WriteScratch *scratch = server->scratch;
        server->scratch = scratch->next;
        remote_write_scratch_free(scratch->remote_write);
        ndjson_free(scratch->ndjson);
        mem_free(scratch->series);
        server_free_histograms(scratch);
        buf_deinit(&scratch->refusal);
        mem_free(scratch);
    }
}

static Status retry_later(Status st, HttpResponse *response)
{
    if (st == ERR_LIMIT || st == ERR_UNAVAILABLE) {
        http_response_header(response, STR("Retry-After"), RETRY_AFTER_SECONDS);
    }
    return st;
}

// Remote write 1.0 is application/x-protobuf in a snappy block. Content-Type and Content-Encoding
// may be missing, as with Prometheus' own receiver; what says to be something else is refused.
static Status check_remote_write_head(const HttpRequest *request, HttpResponse *response, Err *err)
{
    char media[HTTP_MEDIA_TYPE_MAX];
    Str value = {0};
    const Str type = http_request_media_type(request, media);

    if (type.len != 0 && !str_eq(type, STR("application/x-protobuf"))) {
        response->status = 415;
        return err_set(err, ERR_UNSUPPORTED,
                       "Content-Type: expected application/x-protobuf, found '" STR_FMT "'",
                       STR_ARG(type));
    }
    if (http_request_header(request, STR("Content-Type"), &value)) {
        static const char v2[] = "io.prometheus.write.v2.Request";
        for (size_t i = 0; i + sizeof(v2) - 1 <= value.len; i++) {
            if (memcmp(value.ptr + i, v2, sizeof(v2) - 1) == 0) {
                response->status = 415;
                return err_set(err, ERR_UNSUPPORTED,
                               "remote write 2.0 is not supported, send prometheus.WriteRequest");
            }
        }
    }
    if (http_request_header(request, STR("Content-Encoding"), &value) &&
        !str_eq(value, STR("snappy"))) {
        response->status = 415;
        return err_set(err, ERR_UNSUPPORTED,
                       "Content-Encoding: expected snappy, found '" STR_FMT "'",
                       STR_ARG(str_slice(value, 0, 40)));
    }
    return OK;
}

static void put_count(HttpResponse *response, Str name, uint64_t count)
{
    char text[24];
    const int len = snprintf(text, sizeof(text), "%" PRIu64, count);
    http_response_header(response, name, (Str){text, (size_t)len});
}

// Rejected series and histograms are told with 400, which Prometheus does not send again; the
// others are stored.
static void answer_remote_write(Server *server, const RemoteWriteRequest *in,
                                const WriteScratch *scratch, const MetricsResult *result,
                                HttpResponse *response)
{
    const uint64_t exemplars = server_take_exemplars(server, in);
    server_take_metadata(server, in);
    put_count(response, STR("X-Prometheus-Remote-Write-Samples-Written"),
              result->samples_written - result->histograms_written);
    put_count(response, STR("X-Prometheus-Remote-Write-Histograms-Written"),
              result->histograms_written);
    put_count(response, STR("X-Prometheus-Remote-Write-Exemplars-Written"), exemplars);
    counter_add(&server->counters.write_rejected_series, result->series_rejected);
    counter_add(&server->counters.dropped_histograms,
                in->histogram_count - result->histograms_written);
    counter_add(&server->counters.dropped_exemplars, in->exemplar_count - exemplars);
    if (result->series_rejected != 0 || result->samples_rejected != 0) {
        // Not as an Err, whose text is short: this one names a series and quotes Prometheus.
        const char *why = result->first_rejection.msg;
        const Str text = scratch->refusal.len != 0 ? buf_str(&scratch->refusal)
                                                   : (Str){.ptr = why, .len = strlen(why)};
        response->status = 400;
        buf_putf(&response->body,
                 STR_FMT " (%" PRIu64 " series and %" PRIu64 " samples rejected, %" PRIu64
                         " samples written)\n",
                 STR_ARG(text), result->series_rejected, result->samples_rejected,
                 result->samples_written);
        return;
    }
    response->status = 204;
}

static Status write_remote(Server *server, WriteScratch *scratch, const HttpRequest *request,
                           HttpResponse *response, Err *err)
{
    RemoteWriteRequest in;
    MetricsResult result = {0};

    TRY(check_remote_write_head(request, response, err));
    if (scratch->remote_write == NULL) {
        scratch->remote_write = remote_write_scratch_new();
    }
    const Status decoded = remote_write_decode(request->body, scratch->remote_write, &in, err);
    if (decoded == ERR_LIMIT) {
        response->status = 400; // too much for one request: to be changed, not to be repeated
    }
    TRY(decoded);
    scratch->series = mem_grow(scratch->series, &scratch->series_cap, (size_t)in.series_count + 1,
                               sizeof(*scratch->series));
    for (uint32_t i = 0; i < in.series_count; i++) {
        scratch->series[i] = (MetricsSeries){.labels = in.series[i].labels,
                                             .sample_first = in.series[i].sample_first,
                                             .sample_count = in.series[i].sample_count};
    }
    MetricsBatch batch = {.series = scratch->series,
                          .series_count = in.series_count,
                          .timestamps_ms = in.timestamps_ms,
                          .values = in.values};
    uint64_t refused = 0;
    buf_clear(&scratch->refusal);
    if (in.histogram_count != 0) {
        refused = server_take_histograms(scratch, &in, &batch);
    }
    const Status written = store_write_metrics(server->store, &batch, &result, err);
    server_shrink_histograms(scratch);
    TRY(written);
    result.samples_rejected += refused;
    answer_remote_write(server, &in, scratch, &result, response);
    return OK;
}

Status server_handle_remote_write(void *ctx, const HttpRequest *request, HttpResponse *response,
                                  Err *err)
{
    Server *server = ctx;
    WriteScratch *scratch = take_scratch(server);
    counter_add(&server->counters.write_requests, 1);
    const Status st = write_remote(server, scratch, request, response, err);
    give_scratch(server, scratch);
    return response->status == 0 ? retry_later(st, response) : st;
}

static Status write_rows(Server *server, WriteScratch *scratch, const HttpRequest *request,
                         HttpResponse *response, Err *err)
{
    Status st = OK;
    Arena arena = {0};
    Buf plain = {0};
    Bytes body = {0};
    TableDef def = {0};
    Batch batch = {0};
    Err no_table;

    buf_init(&plain, server->config->request_bytes_max * 4);
    if (str_eq(request->param, STR("metrics"))) {
        TRY_OUT(err_set(err, ERR_INVALID,
                        "metrics takes Prometheus remote write at /api/v1/write; "
                        "name another table for rows"));
    }
    TRY_OUT(http_request_body_plain(request, &plain, &body, err));
    const bool exists = store_table(server->store, request->param, &arena, &def, &no_table) == OK;
    const NdjsonOptions options = {.known = exists ? &def.schema : NULL,
                                   .time_column = exists ? def.time_column : STR("timestamp"),
                                   .now_us = os_wall_us(server->os)};
    if (scratch->ndjson == NULL) {
        scratch->ndjson = ndjson_new();
    }
    st = ndjson_parse(scratch->ndjson, body, &options, &batch, err);
    if (st == ERR_LIMIT) {
        response->status = 400;
    }
    TRY_OUT(st);
    if (batch.row_count > 0) {
        TRY_OUT(store_write_rows(server->store, request->param, &batch, err));
    }
    counter_add(&server->counters.ingest_rows, batch.row_count);
    response->content_type = "application/json";
    buf_putf(&response->body, "{\"status\":\"success\",\"rows\":%" PRIu32 "}\n", batch.row_count);
out:
    buf_deinit(&plain);
    arena_deinit(&arena);
    return st;
}

Status server_handle_ingest(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    Server *server = ctx;
    WriteScratch *scratch = take_scratch(server);
    counter_add(&server->counters.ingest_requests, 1);
    const Status st = write_rows(server, scratch, request, response, err);
    give_scratch(server, scratch);
    return response->status == 0 ? retry_later(st, response) : st;
}
