// SPDX-License-Identifier: Apache-2.0
//
// What the handlers of Prometheus' HTTP API share: arguments from URL and form together, times,
// durations and limits as Prometheus reads them, and its answers {"status":...}.
#pragma once

#include "promql/engine.h"
#include "promql/result_json.h"
#include "server/server_internal.h"

// Arguments of one request; a form's come before the URL's, as Go's Request.Form has them.
typedef struct PromArgs {
    HttpPair *items;
    size_t count;
    Buf plain, text; // what items point into
    Arena arena;
} PromArgs;

Status prom_args_take(const HttpRequest *request, PromArgs *out, Err *err);
void prom_args_deinit(PromArgs *args);        // accepts a zeroed one
Str prom_arg(const PromArgs *args, Str name); // the first; empty when absent
// The next one called `name` from *at on; start with 0.
bool prom_arg_next(const PromArgs *args, Str name, size_t *at, Str *value);

// ERR_INVALID: invalid parameter "start": cannot parse "x" to a valid timestamp
Status prom_arg_time(const PromArgs *args, Str name, int64_t fallback_ms, int64_t *out_ms,
                     Err *err);
Status prom_arg_duration(const PromArgs *args, Str name, int64_t fallback_ms, int64_t *out_ms,
                         Err *err);
Status prom_arg_limit(const PromArgs *args, size_t *out, Err *err); // limit=; 0: none

// What an absent start or end stands for: everything that may be stored.
#define PROM_TIME_MIN_MS INT64_C(-62135596800000)
#define PROM_TIME_MAX_MS INT64_C(253402300799999)

// {"status":"success","data":
void prom_begin(HttpResponse *response);
// ,"warnings":[...],"infos":[...]} and the end of the line
typedef struct PromNotes {
    const Str *warnings, *infos;
    size_t warning_count, info_count;
    bool truncated; // a warning more: results truncated due to limit
} PromNotes;
void prom_end(Buf *out, const PromNotes *notes);

// An error of that type, as the whole answer.
Status prom_fail(HttpResponse *response, int status, const char *type, Str message);
// The same for the failure of an expression.
Status prom_fail_query(HttpResponse *response, PromqlFailure failure, const Err *err);
