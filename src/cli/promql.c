// SPDX-License-Identifier: Apache-2.0
//
// cardinal promql: asks a server over HTTP, or opens a data folder itself; either way the answer is
// the HTTP API's JSON, which is then shown.
#include "base/civil.h"
#include "base/num.h"
#include "cli/cli_internal.h"
#include "cli/promql_internal.h"
#include "os/process.h"
#include "promql/result_json.h"

#include <math.h>
#include <stdio.h>

enum {
    POINTS_DEFAULT = 100, // of a range without --step
    PLOT_COLUMNS = 100,   // unless COLUMNS says more
    PLOT_ROWS = 20,
    ANSWER_BYTES_MAX = 1 << 30,
};

static const char usage[] =
    "usage: cardinal promql [FLAGS] EXPR\n"
    "\n"
    "Prints the value of a PromQL expression: now, at --time, or over a range.\n"
    "\n"
    "  --url URL        of a server [http://127.0.0.1:8080]\n"
    "  --data FOLDER    open a data folder instead; no server may be running on it\n"
    "  --time T         evaluate at T [now]\n"
    "  --start T, --end T, --step D\n"
    "                   evaluate over a range [end: now; start: an hour before; step: a "
    "hundredth]\n"
    "  --plot           draw the range\n"
    "  --format F       table, csv, json [table]\n"
    "  --rows N         rows of a table that are shown [10000]\n"
    "  --explain        what would be read for it: files, row groups, pages, columns, rows\n"
    "  --enable-feature NAMES\n"
    "                   with --data: experimental parts, as cardinal serve has them\n"
    "\n"
    "T is a time such as 2026-11-21T10:00:00Z, seconds since 1970, now, or -30m (before now);\n"
    "D a duration such as 15s.\n";

typedef struct PromqlCommand {
    Str url, data, format, features, expr;
    Str time, start, end, step;
    uint64_t rows_max;
    bool plot, explain;
    PromqlQuery query;
} PromqlCommand;

// --- times -------------------------------------------------------------------------------------

static bool parse_time(Str text, int64_t now_ms, int64_t *out_ms)
{
    double seconds = 0;
    int64_t us = 0, back_ms = 0;
    Err ignored;
    if (str_eq(text, STR("now"))) {
        *out_ms = now_ms;
        return true;
    }
    if (text.len > 1 && text.ptr[0] == '-' &&
        promql_parse_duration(str_slice(text, 1, text.len), &back_ms, &ignored) == OK) {
        *out_ms = now_ms - back_ms;
        return true;
    }
    if (num_parse_f64(text, &seconds) && fabs(seconds) < 9e12) {
        *out_ms = (int64_t)llround(seconds * 1000);
        return true;
    }
    const bool parsed = civil_parse_us(text, &us);
    *out_ms = us / 1000;
    return parsed;
}

static int take_time(Str text, const char *flag, int64_t now_ms, int64_t *out_ms)
{
    if (text.len != 0 && !parse_time(text, now_ms, out_ms)) {
        return cli_usage_error("promql",
                               "%s: expected a time such as 2026-11-21T10:00:00Z, now or "
                               "-30m, found '" STR_FMT "'",
                               flag, STR_ARG(text));
    }
    return EXIT_OK;
}

static int take_times(PromqlCommand *c)
{
    Err err;
    PromqlQuery *q = &c->query;
    const int64_t now_ms = os_wall_us(os_posix()) / 1000;
    q->text = c->expr;
    q->is_range = c->plot || c->start.len > 0 || c->end.len > 0 || c->step.len > 0;
    q->start_ms = q->end_ms = now_ms;
    if (!q->is_range) {
        const int code = take_time(c->time, "--time", now_ms, &q->start_ms);
        q->end_ms = q->start_ms;
        return code;
    }
    if (c->time.len > 0) {
        return cli_usage_error("promql", "--time is of an instant, --start, --end and --step of a "
                                         "range");
    }
    if (take_time(c->end, "--end", now_ms, &q->end_ms) != EXIT_OK) {
        return EXIT_USAGE;
    }
    q->start_ms = q->end_ms - 3600000;
    if (take_time(c->start, "--start", now_ms, &q->start_ms) != EXIT_OK) {
        return EXIT_USAGE;
    }
    if (q->end_ms < q->start_ms) {
        return cli_usage_error("promql", "--end is before --start");
    }
    const int64_t seconds = (q->end_ms - q->start_ms) / 1000 / POINTS_DEFAULT;
    q->step_ms = (seconds > 0 ? seconds : 1) * 1000;
    if (c->step.len > 0 &&
        (promql_parse_duration(c->step, &q->step_ms, &err) != OK || q->step_ms <= 0)) {
        return cli_usage_error("promql",
                               "--step: expected a duration such as 15s, found '" STR_FMT "'",
                               STR_ARG(c->step));
    }
    return EXIT_OK;
}

// --- a server ----------------------------------------------------------------------------------

static void put_form(const PromqlCommand *c, Buf *form)
{
    buf_put_str(form, STR("query="));
    http_client_put_escaped(form, c->expr);
    const struct {
        const char *name;
        int64_t ms;
        bool wanted;
    } times[] = {{"time", c->query.start_ms, !c->query.is_range},
                 {"start", c->query.start_ms, c->query.is_range},
                 {"end", c->query.end_ms, c->query.is_range},
                 {"step", c->query.step_ms, c->query.is_range}};
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        if (times[i].wanted) {
            buf_putf(form, "&%s=", times[i].name);
            promql_json_time(times[i].ms, form);
        }
    }
}

static Status ask_server(const PromqlCommand *c, Buf *answer, Err *err)
{
    HttpClient *client = http_client_new();
    HttpClientResponse response = {0};
    Buf url = {0};
    Buf form = {0};
    buf_init(&url, HTTP_CLIENT_URL_MAX);
    buf_init(&form, 4 * PROMQL_EXPR_BYTES_MAX);
    buf_put_str(&url, c->url);
    buf_put_str(&url, c->explain          ? STR("/api/v1/explain_query")
                      : c->query.is_range ? STR("/api/v1/query_range")
                                          : STR("/api/v1/query"));
    put_form(c, &form);
    const HttpPair type = {STR("Content-Type"), STR("application/x-www-form-urlencoded")};
    const HttpClientRequest request = {.method = HTTP_POST,
                                       .url = buf_str(&url),
                                       .headers = &type,
                                       .header_count = 1,
                                       .body = buf_bytes(&form),
                                       .timeout_ms = -1,
                                       .body_bytes_max = ANSWER_BYTES_MAX};
    Status st = http_client_do(client, &request, &response, err);
    if (st != OK) {
        cli_complain("promql: %s", err->msg);
    } else if (response.status >= 300) {
        cli_complain_about("promql", &response);
        st = err_set(err, ERR_INVALID, "the server answered %d", response.status);
    } else {
        buf_put(answer, response.body.ptr, response.body.len);
    }
    http_client_response_deinit(&response);
    http_client_free(client);
    buf_deinit(&url);
    buf_deinit(&form);
    return st;
}

// --- a folder ----------------------------------------------------------------------------------

static Status take_features(Str names, PromqlFeatures *out, Err *err)
{
    Str name = {0};
    for (Str rest = names; rest.len > 0;) {
        if (!str_cut(rest, ',', &name, &rest)) {
            name = rest;
            rest.len = 0;
        }
        if (!promql_feature_enable(name, out)) {
            cli_complain("promql: --enable-feature: there is no feature '" STR_FMT "'",
                         STR_ARG(name));
            return err_set(err, ERR_INVALID, "feature");
        }
    }
    return OK;
}

static void put_notes(const Str *notes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cli_complain("promql: " STR_FMT, STR_ARG(notes[i]));
    }
}

static Status ask_engine(const PromqlCommand *c, PromqlEngine *engine, Buf *answer, Err *err)
{
    PromqlResult *result = NULL;
    PromqlFailure failure = PROMQL_INTERNAL;
    if (c->explain) {
        return promql_explain(engine, &c->query, answer, err);
    }
    TRY(promql_run(engine, &c->query, &result, &failure, err));
    PromqlJson *json = promql_json_new(result, 0, PROMQL_STATS_NONE);
    buf_put_str(answer, STR("{\"data\":"));
    (void)promql_json_next(json, SIZE_MAX, answer);
    buf_put_u8(answer, '}');
    put_notes(result->warnings, result->warning_count);
    put_notes(result->infos, result->info_count);
    promql_json_free(json);
    promql_result_free(result);
    return OK;
}

static Status ask_folder(const PromqlCommand *c, Buf *answer, Err *err)
{
    Store *store = NULL;
    Err ignored;
    PromqlOptions options = {.os = os_posix()};
    TRY(take_features(c->features, &options.features, err));
    TRY(cli_open_folder("promql", c->data, &store, err));
    options.store = store;
    PromqlEngine *engine = promql_engine_new(&options);
    const Status st = ask_engine(c, engine, answer, err);
    if (st != OK) {
        cli_complain("promql: %s", err->msg);
    }
    promql_engine_free(engine);
    (void)store_close(store, false, &ignored); // nothing was written
    return st;
}

// --- showing -----------------------------------------------------------------------------------

static PromqlPlot plot_size(void)
{
    Str columns = {0};
    uint64_t number = 0;
    Str ignored = {0};
    const bool known = os_env("COLUMNS", &columns) && num_parse_u64(columns, &number);
    return (PromqlPlot){.columns = known && number < 1000 ? (int)number : PLOT_COLUMNS,
                        .rows = PLOT_ROWS,
                        .colors =
                            os_stream_is_terminal(OS_STDOUT) && !os_env("NO_COLOR", &ignored)};
}

static void complain_notes(const json_t *notes)
{
    size_t i = 0;
    const json_t *note = NULL;
    json_array_foreach(notes, i, note)
    {
        cli_complain("promql: %s", json_string_value(note));
    }
}

static Status show(const PromqlCommand *c, Str answer, Err *err)
{
    Buf text = {0};
    json_error_t why;
    json_t *root = json_loadb(answer.ptr, answer.len, 0, &why);
    const json_t *data = json_object_get(root, "data");
    if (!json_is_string(json_object_get(data, "resultType"))) {
        json_decref(root);
        cli_complain("promql: the answer is not one of Prometheus' HTTP API");
        return err_set(err, ERR_INVALID, "not an answer");
    }
    complain_notes(json_object_get(root, "warnings"));
    complain_notes(json_object_get(root, "infos"));
    buf_init(&text, 0);
    if (c->plot) {
        const PromqlPlot plot = plot_size();
        promql_put_plot(data, &plot, &text);
    } else if (str_eq(c->format, STR("csv"))) {
        promql_put_csv(data, &text);
    } else {
        promql_put_table(data, c->rows_max, &text);
    }
    cli_print(buf_str(&text));
    buf_deinit(&text);
    json_decref(root);
    return OK;
}

// --- the command -------------------------------------------------------------------------------

static int parse_flag(Args *args, PromqlCommand *c)
{
    const struct {
        const char *name;
        Str *value;
    } flags[] = {{"--url", &c->url},       {"--data", &c->data},
                 {"--format", &c->format}, {"--time", &c->time},
                 {"--start", &c->start},   {"--end", &c->end},
                 {"--step", &c->step},     {"--enable-feature", &c->features}};
    const char *arg = args->argv[args->at];
    bool missing = false;
    Str rows = {0};
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (args_take_value(args, flags[i].name, flags[i].value, &missing)) {
            return missing ? cli_usage_error("promql", "%s needs a value", arg) : EXIT_OK;
        }
    }
    if (args_take_value(args, "--rows", &rows, &missing)) {
        return num_parse_u64(rows, &c->rows_max)
                   ? EXIT_OK
                   : cli_usage_error("promql", "--rows: expected a number, found '" STR_FMT "'",
                                     STR_ARG(rows));
    }
    if (args_take_switch(args, "--plot")) {
        c->plot = true;
        return EXIT_OK;
    }
    if (args_take_switch(args, "--explain")) {
        c->explain = true;
        return EXIT_OK;
    }
    return cli_usage_error("promql", "there is no flag '%s'", arg);
}

static int parse_args(Args *args, PromqlCommand *c)
{
    while (args->at < args->count) {
        const char *arg = args->argv[args->at];
        // An expression may begin with a minus: -up, -1.
        if (arg[0] == '-' && arg[1] == '-') {
            const int code = parse_flag(args, c);
            if (code != EXIT_OK) {
                return code;
            }
        } else if (c->expr.len != 0) {
            return cli_usage_error("promql", "one expression at a time: quote it");
        } else {
            c->expr = (Str){arg, strlen(arg)};
            args->at++;
        }
    }
    const bool known = str_eq(c->format, STR("table")) || str_eq(c->format, STR("csv")) ||
                       str_eq(c->format, STR("json"));
    if (!known) {
        return cli_usage_error("promql",
                               "--format: expected table, csv or json, found '" STR_FMT "'",
                               STR_ARG(c->format));
    }
    if (c->expr.len == 0) {
        return cli_usage_error("promql", "there is no expression");
    }
    return take_times(c);
}

int cmd_promql(Args *args)
{
    Err err;
    Buf answer = {0};
    PromqlCommand c = {.url = STR("http://127.0.0.1:8080"),
                       .format = STR("table"),
                       .rows_max = PROMQL_TABLE_ROWS_MAX};
    for (int i = 0; i < args->count; i++) {
        if (strcmp(args->argv[i], "--help") == 0 || strcmp(args->argv[i], "-h") == 0) {
            cli_print((Str){usage, strlen(usage)});
            return EXIT_OK;
        }
    }
    const int code = parse_args(args, &c);
    if (code != EXIT_OK) {
        return code;
    }
    buf_init(&answer, 0);
    Status st = c.data.len > 0 ? ask_folder(&c, &answer, &err) : ask_server(&c, &answer, &err);
    if (st == OK && (c.explain || str_eq(c.format, STR("json")))) {
        cli_print(buf_str(&answer));
    } else if (st == OK) {
        st = show(&c, buf_str(&answer), &err);
    }
    buf_deinit(&answer);
    return st == OK ? EXIT_OK : EXIT_FAILED;
}
