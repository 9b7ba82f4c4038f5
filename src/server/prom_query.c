// SPDX-License-Identifier: Apache-2.0
//
// Expressions over HTTP: query, query_range, query_exemplars, format_query, parse_query.
#include "base/json_put.h"
#include "base/mem.h"

#include "server/prom_internal.h"

enum {
    BODY_BYTES_MAX = 16 << 20, // of an answer that is sent whole, and compressed
    PIECE_BYTES = 64 << 10,    // of a larger one, which is streamed
};

// A result on its way to the client.
typedef struct Answer {
    PromqlResult *result;
    PromqlJson *json;
    bool truncated;
    Buf first; // the first piece, made by the handler
} Answer;

static void answer_close(void *ctx)
{
    Answer *a = ctx;
    promql_json_free(a->json);
    promql_result_free(a->result);
    buf_deinit(&a->first);
    mem_free(a);
}

// Appends the next piece; true with the last one.
static bool answer_next(Answer *a, size_t bytes, Buf *out)
{
    if (!promql_json_next(a->json, bytes, out)) {
        return false;
    }
    const PromNotes notes = {.warnings = a->result->warnings,
                             .warning_count = a->result->warning_count,
                             .infos = a->result->infos,
                             .info_count = a->result->info_count,
                             .truncated = a->truncated};
    prom_end(out, &notes);
    return true;
}

static Status answer_pull(void *ctx, const HttpRequest *request, Buf *piece, bool *done, Err *err)
{
    Answer *a = ctx;
    (void)request, (void)err;
    if (a->first.len > 0) {
        buf_put(piece, a->first.ptr, a->first.len);
        buf_deinit(&a->first);
        a->first = (Buf){0};
        return OK;
    }
    *done = answer_next(a, PIECE_BYTES, piece);
    return OK;
}

static bool is_abandoned(void *ctx)
{
    return http_request_is_cancelled(ctx);
}

static PromqlStatsWanted stats_wanted(const PromArgs *args)
{
    const Str stats = prom_arg(args, STR("stats"));
    return stats.len == 0              ? PROMQL_STATS_NONE
           : str_eq(stats, STR("all")) ? PROMQL_STATS_ALL
                                       : PROMQL_STATS_SUMS;
}

static Status run(Server *server, const PromArgs *args, PromqlQuery *query,
                  const HttpRequest *request, HttpResponse *response, Err *err)
{
    PromqlFailure failure = PROMQL_INTERNAL;
    PromqlResult *result = NULL;
    size_t limit = 0;
    const PromqlStatsWanted stats = stats_wanted(args);
    TRY(prom_arg_limit(args, &limit, err));
    TRY(prom_arg_duration(args, STR("timeout"), 0, &query->timeout_ms, err));
    TRY(prom_arg_duration(args, STR("lookback_delta"), 0, &query->lookback_ms, err));
    query->text = prom_arg(args, STR("query"));
    query->stats = stats == PROMQL_STATS_ALL;
    query->is_abandoned = is_abandoned;
    query->abandoned_ctx = (void *)(uintptr_t)request;
    counter_add(&server->counters.promql_queries, 1);
    if (promql_run(server->promql, query, &result, &failure, err) != OK) {
        counter_add(&server->counters.promql_errors, 1);
        if (failure == PROMQL_BAD_DATA) {
            (void)err_prefix(err, "invalid parameter \"query\": ");
        }
        return prom_fail_query(response, failure, err);
    }
    counter_add(&server->counters.promql_us, (uint64_t)result->stats.total_ns / 1000);
    counter_add(&server->counters.promql_samples, result->stats.total_samples);
    Answer *a = mem_new(Answer, 1);
    a->result = result;
    a->json = promql_json_new(result, limit, stats);
    a->truncated = limit != 0 && result->count > limit;
    buf_init(&a->first, 0);
    prom_begin(response);
    if (answer_next(a, BODY_BYTES_MAX, &response->body)) {
        answer_close(a);
        return OK;
    }
    a->first = response->body;
    response->body = (Buf){0};
    buf_init(&response->body, 0);
    response->stream = (HttpStream){.pull = answer_pull, .close = answer_close, .ctx = a};
    return OK;
}

Status server_handle_query(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    Status st = OK;
    Server *server = ctx;
    PromArgs args;
    PromqlQuery query = {0};
    TRY_OUT(prom_args_take(request, &args, err));
    TRY_OUT(prom_arg_time(&args, STR("time"), os_wall_us(server->os) / 1000, &query.start_ms, err));
    query.end_ms = query.start_ms;
    st = run(server, &args, &query, request, response, err);
out:
    prom_args_deinit(&args);
    return st;
}

static Status take_range(const PromArgs *args, PromqlQuery *query, Err *err)
{
    static const Str required[] = {STR("start"), STR("end")};
    for (size_t i = 0; i < ARRAY_LEN(required); i++) {
        if (prom_arg(args, required[i]).len == 0) {
            return err_set(err, ERR_INVALID,
                           "invalid parameter \"" STR_FMT
                           "\": cannot parse \"\" to a valid timestamp",
                           STR_ARG(required[i]));
        }
    }
    TRY(prom_arg_time(args, STR("start"), 0, &query->start_ms, err));
    TRY(prom_arg_time(args, STR("end"), 0, &query->end_ms, err));
    if (query->end_ms < query->start_ms) {
        return err_set(err, ERR_INVALID,
                       "invalid parameter \"end\": end timestamp must not be before start time");
    }
    if (prom_arg(args, STR("step")).len == 0) {
        return err_set(err, ERR_INVALID,
                       "invalid parameter \"step\": cannot parse \"\" to a valid duration");
    }
    TRY(prom_arg_duration(args, STR("step"), 0, &query->step_ms, err));
    if (query->step_ms <= 0) {
        return err_set(err, ERR_INVALID,
                       "invalid parameter \"step\": zero or negative query resolution step widths "
                       "are not accepted. Try a positive integer");
    }
    if ((query->end_ms - query->start_ms) / query->step_ms > PROMQL_MAX_STEPS) {
        return err_set(err, ERR_INVALID,
                       "exceeded maximum resolution of 11,000 points per timeseries. Try "
                       "decreasing the query resolution (?step=XX)");
    }
    return OK;
}

Status server_handle_query_range(void *ctx, const HttpRequest *request, HttpResponse *response,
                                 Err *err)
{
    Status st = OK;
    Server *server = ctx;
    PromArgs args;
    PromqlQuery query = {.is_range = true};
    TRY_OUT(prom_args_take(request, &args, err));
    TRY_OUT(take_range(&args, &query, err));
    st = run(server, &args, &query, request, response, err);
out:
    prom_args_deinit(&args);
    return st;
}

// What would be read, as text: of a range when there is a start, else of an instant.
Status server_handle_explain_query(void *ctx, const HttpRequest *request, HttpResponse *response,
                                   Err *err)
{
    Status st = OK;
    Server *server = ctx;
    PromArgs args;
    PromqlQuery query = {.is_abandoned = is_abandoned, .abandoned_ctx = (void *)(uintptr_t)request};
    TRY_OUT(prom_args_take(request, &args, err));
    query.text = prom_arg(&args, STR("query"));
    query.is_range = prom_arg(&args, STR("start")).len > 0;
    if (query.is_range) {
        TRY_OUT(take_range(&args, &query, err));
    } else {
        TRY_OUT(
            prom_arg_time(&args, STR("time"), os_wall_us(server->os) / 1000, &query.start_ms, err));
        query.end_ms = query.start_ms;
    }
    response->content_type = "text/plain; charset=utf-8";
    TRY_OUT(promql_explain(server->promql, &query, &response->body, err));
out:
    prom_args_deinit(&args);
    return st;
}

// --- the language itself -----------------------------------------------------------------------

static Status take_expr(Server *server, const HttpRequest *request, PromqlExpr **out, Err *err)
{
    Status st = OK;
    PromArgs args;
    const PromqlFeatures features = promql_engine_features(server->promql);
    TRY_OUT(prom_args_take(request, &args, err));
    if (promql_parse(prom_arg(&args, STR("query")), &features, out, err) != OK) {
        st = err_prefix(err, "invalid parameter \"query\": ");
    }
out:
    prom_args_deinit(&args);
    return st;
}

Status server_handle_format_query(void *ctx, const HttpRequest *request, HttpResponse *response,
                                  Err *err)
{
    PromqlExpr *expr = NULL;
    Buf text = {0};
    TRY(take_expr(ctx, request, &expr, err));
    buf_init(&text, 0);
    promql_print_pretty(promql_expr_root(expr), &text);
    prom_begin(response);
    json_put_string(&response->body, buf_str(&text));
    prom_end(&response->body, NULL);
    buf_deinit(&text);
    promql_expr_free(expr);
    return OK;
}

Status server_handle_parse_query(void *ctx, const HttpRequest *request, HttpResponse *response,
                                 Err *err)
{
    PromqlExpr *expr = NULL;
    TRY(take_expr(ctx, request, &expr, err));
    prom_begin(response);
    promql_print_json(promql_expr_root(expr), &response->body);
    prom_end(&response->body, NULL);
    promql_expr_free(expr);
    return OK;
}
