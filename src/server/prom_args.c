// SPDX-License-Identifier: Apache-2.0
#include "base/civil.h"
#include "base/json_put.h"
#include "base/num.h"
#include "server/prom_internal.h"

#include <math.h>

enum { PROM_FORM_BYTES_MAX = 4 << 20 };

// --- arguments ---------------------------------------------------------------------------------

Status prom_args_take(const HttpRequest *request, PromArgs *out, Err *err)
{
    char media[HTTP_MEDIA_TYPE_MAX];
    Bytes body = {0};
    *out = (PromArgs){0};
    buf_init(&out->plain, PROM_FORM_BYTES_MAX);
    buf_init(&out->text, PROM_FORM_BYTES_MAX);
    out->items = arena_new(&out->arena, HttpPair, 2 * HTTP_ARGS_MAX);
    if (request->method == HTTP_POST && request->body.len > 0 &&
        str_eq(http_request_media_type(request, media), STR("application/x-www-form-urlencoded"))) {
        TRY(http_request_body_plain(request, &out->plain, &body, err));
        TRY(http_args_parse((Str){(const char *)body.ptr, body.len}, &out->text, out->items,
                            &out->count, err));
    }
    for (size_t i = 0; i < request->arg_count; i++) {
        out->items[out->count++] = request->args[i];
    }
    return OK;
}

void prom_args_deinit(PromArgs *args)
{
    buf_deinit(&args->plain);
    buf_deinit(&args->text);
    arena_deinit(&args->arena);
}

bool prom_arg_next(const PromArgs *args, Str name, size_t *at, Str *value)
{
    while (*at < args->count) {
        const HttpPair *pair = &args->items[(*at)++];
        if (str_eq(pair->name, name)) {
            *value = pair->value;
            return true;
        }
    }
    return false;
}

Str prom_arg(const PromArgs *args, Str name)
{
    Str value = {0};
    size_t at = 0;
    (void)prom_arg_next(args, name, &at, &value);
    return value;
}

// --- values ------------------------------------------------------------------------------------

static Status wrong(Str name, Str value, const char *what, Err *err)
{
    return err_set(err, ERR_INVALID,
                   "invalid parameter \"" STR_FMT "\": cannot parse \"" STR_FMT "\" to a valid %s",
                   STR_ARG(name), STR_ARG(str_slice(value, 0, 60)), what);
}

// Seconds with a fraction, rounded to milliseconds as Prometheus does it.
static bool parse_seconds(Str text, int64_t *out_ms)
{
    double seconds = 0;
    if (!num_parse_f64(text, &seconds) || !(fabs(seconds) <= 9e12)) {
        return false;
    }
    double whole = 0;
    const double rest = modf(seconds, &whole);
    *out_ms = (int64_t)whole * 1000 + (int64_t)round(rest * 1000);
    return true;
}

static bool is_least_or_greatest(Str text, int64_t *out_ms)
{
    // How Go prints the ends of its time; clients send them for "everything".
    const bool least = str_eq(text, STR("-292273086-05-16T16:47:06Z"));
    const bool greatest = str_eq(text, STR("292277025-08-18T07:12:54.999999999Z"));
    *out_ms = least ? PROM_TIME_MIN_MS : PROM_TIME_MAX_MS;
    return least || greatest;
}

Status prom_arg_time(const PromArgs *args, Str name, int64_t fallback_ms, int64_t *out_ms, Err *err)
{
    int64_t us = 0;
    const Str text = prom_arg(args, name);
    *out_ms = fallback_ms;
    if (text.len == 0 || parse_seconds(text, out_ms) || is_least_or_greatest(text, out_ms)) {
        return OK;
    }
    if (memchr(text.ptr, 'T', text.len) == NULL || !civil_parse_us(text, &us)) {
        return wrong(name, text, "timestamp", err);
    }
    *out_ms = us >= 0 ? us / 1000 : -((999 - us) / 1000);
    return OK;
}

Status prom_arg_duration(const PromArgs *args, Str name, int64_t fallback_ms, int64_t *out_ms,
                         Err *err)
{
    double seconds = 0;
    Err why;
    const Str text = prom_arg(args, name);
    *out_ms = fallback_ms;
    if (text.len == 0) {
        return OK;
    }
    if (num_parse_f64(text, &seconds)) {
        if (!(fabs(seconds) < 9.2e9)) {
            return wrong(name, text, "duration. It overflows int64", err);
        }
        *out_ms = (int64_t)(seconds * 1000);
        return OK;
    }
    return promql_parse_duration(text, out_ms, &why) == OK ? OK
                                                           : wrong(name, text, "duration", err);
}

Status prom_arg_limit(const PromArgs *args, size_t *out, Err *err)
{
    int64_t limit = 0;
    const Str text = prom_arg(args, STR("limit"));
    *out = 0;
    if (text.len == 0) {
        return OK;
    }
    if (!num_parse_i64(text, &limit)) {
        return wrong(STR("limit"), text, "number", err);
    }
    if (limit < 0) {
        return err_set(err, ERR_INVALID, "invalid parameter \"limit\": limit must be non-negative");
    }
    *out = (size_t)limit;
    return OK;
}

// --- answers -----------------------------------------------------------------------------------

void prom_begin(HttpResponse *response)
{
    response->content_type = "application/json";
    buf_put_str(&response->body, STR("{\"status\":\"success\",\"data\":"));
}

void prom_end(Buf *out, const PromNotes *notes)
{
    const PromNotes none = {0};
    const PromNotes *n = notes != NULL ? notes : &none;
    if (n->warning_count > 0 || n->truncated) {
        buf_put_str(out, STR(",\"warnings\":["));
        for (size_t i = 0; i < n->warning_count; i++) {
            buf_put_str(out, i > 0 ? STR(",") : STR(""));
            json_put_string(out, n->warnings[i]);
        }
        if (n->truncated) {
            buf_put_str(out, n->warning_count > 0 ? STR(",") : STR(""));
            json_put_string(out, STR("results truncated due to limit"));
        }
        buf_put_u8(out, ']');
    }
    if (n->info_count > 0) {
        buf_put_str(out, STR(",\"infos\":"));
        promql_json_strings(n->infos, n->info_count, out);
    }
    buf_put_str(out, STR("}\n"));
}

Status prom_fail(HttpResponse *response, int status, const char *type, Str message)
{
    response->status = status;
    response->content_type = "application/json";
    buf_clear(&response->body);
    buf_putf(&response->body, "{\"status\":\"error\",\"errorType\":\"%s\",\"error\":", type);
    json_put_string(&response->body, message);
    buf_put_str(&response->body, STR("}\n"));
    return OK;
}

Status prom_fail_query(HttpResponse *response, PromqlFailure failure, const Err *err)
{
    static const struct {
        int status;
        const char *type;
    } kinds[] = {
        [PROMQL_BAD_DATA] = {400, "bad_data"}, [PROMQL_EXECUTION] = {422, "execution"},
        [PROMQL_CANCELED] = {499, "canceled"}, [PROMQL_TIMED_OUT] = {503, "timeout"},
        [PROMQL_INTERNAL] = {500, "internal"}, [PROMQL_BUSY] = {503, "unavailable"},
    };
    return prom_fail(response, kinds[failure].status, kinds[failure].type,
                     (Str){err->msg, strlen(err->msg)});
}
