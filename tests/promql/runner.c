// SPDX-License-Identifier: Apache-2.0
#include "tests/promql/runner.h"

#include "tests/promql/at_modifier.h"
#include "tests/promql/compare.h"

enum { AT_TIMES_MAX = 5, MINUTE_MS = 60000 };

// As Prometheus' own runs of these scripts have it.
static const PromqlFeatures FEATURES = {.experimental_functions = true,
                                        .duration_expressions = true,
                                        .extended_range_selectors = true,
                                        .binop_fill_modifiers = true,
                                        .delayed_name_removal = true,
                                        .use_start_timestamps = true};
enum { SAMPLES_MAX = 10000 };

typedef struct Run {
    const RunOptions *options;
    World *world;
    PromqlEngine *engine;
    const ScriptEval *eval;
    Buf *why;
} Run;

static Status reopen(Run *run, Err *err)
{
    promql_engine_free(run->engine);
    world_close(run->world);
    run->engine = NULL;
    run->world = NULL;
    TRY(world_open(run->options->mode.place, &run->world, err));
    run->engine = promql_engine_new(&(PromqlOptions){.store = world_store(run->world),
                                                     .os = os_posix(),
                                                     .features = FEATURES,
                                                     .samples_max = SAMPLES_MAX,
                                                     .default_step_ms = MINUTE_MS});
    return OK;
}

static PromqlQuery query_of(const Run *run, Str expr)
{
    const RunMode *mode = &run->options->mode;
    return (PromqlQuery){.text = expr,
                         .no_pruning = mode->no_pruning,
                         .no_hot = mode->place == WORLD_PARQUET,
                         .no_cold = mode->place == WORLD_HOT};
}

// Runs a query that may fail, or must. *result is NULL when it failed as it should.
static bool ask(Run *run, const PromqlQuery *query, PromqlResult **result)
{
    PromqlFailure failure = PROMQL_INTERNAL;
    Err err;
    const bool must_fail = script_expects(run->eval, SCRIPT_FAIL);
    *result = NULL;
    if (promql_run(run->engine, query, result, &failure, &err) != OK) {
        const Str message = {err.msg, strlen(err.msg)};
        if (must_fail) {
            return compare_failure(run->eval, message, run->why);
        }
        buf_putf(run->why, "failed: " STR_FMT, STR_ARG(message));
        return false;
    }
    if (must_fail) {
        buf_put_str(run->why, STR("was expected to fail"));
        promql_result_free(*result);
        *result = NULL;
        return false;
    }
    return true;
}

static bool run_range(Run *run)
{
    PromqlQuery query = query_of(run, run->eval->expr);
    PromqlResult *result = NULL;
    query.is_range = true;
    query.start_ms = run->eval->start_ms;
    query.end_ms = run->eval->end_ms;
    query.step_ms = run->eval->step_ms;
    bool ok = ask(run, &query, &result);
    if (result != NULL) {
        ok = compare_notes(run->eval, result, run->why) &&
             compare_result(run->eval, result, run->why);
    }
    promql_result_free(result);
    return ok;
}

static bool str_has(Str text, const char *part)
{
    const size_t len = strlen(part);
    for (size_t i = 0; i + len <= text.len; i++) {
        if (memcmp(text.ptr + i, part, len) == 0) {
            return true;
        }
    }
    return false;
}

// Functions of the query and not of its time mean something else in a range query.
static bool depends_on_query(Str expr)
{
    return str_has(expr, "start()") || str_has(expr, "end()") || str_has(expr, "range()") ||
           str_has(expr, "step()");
}

// The middle step of a range query around the time gives what the instant query gave.
static bool run_around(Run *run, Str expr, int64_t time_ms, const PromqlResult *instant)
{
    PromqlQuery query = query_of(run, expr);
    PromqlResult *result = NULL;
    PromqlFailure failure = PROMQL_INTERNAL;
    Err err;
    query.is_range = true;
    query.start_ms = time_ms - MINUTE_MS;
    query.end_ms = time_ms + MINUTE_MS;
    query.step_ms = MINUTE_MS;
    if (promql_run(run->engine, &query, &result, &failure, &err) != OK) {
        buf_putf(run->why, "failed as range query: %s", err.msg);
        return false;
    }
    const bool ok = script_expects(run->eval, SCRIPT_ORDERED) ||
                    compare_middle(run->eval, instant, result, time_ms, run->why);
    promql_result_free(result);
    if (!ok) {
        buf_put_str(run->why, STR(" (as range query)"));
    }
    return ok;
}

static bool run_instant_at(Run *run, Str expr, int64_t time_ms)
{
    PromqlQuery query = query_of(run, expr);
    PromqlResult *result = NULL;
    query.start_ms = time_ms;
    query.end_ms = time_ms;
    bool ok = ask(run, &query, &result);
    if (result != NULL) {
        ok = compare_notes(run->eval, result, run->why) &&
             compare_result(run->eval, result, run->why);
        if (ok && !run->eval->has_range_vector && !run->eval->has_string &&
            !depends_on_query(expr)) {
            ok = run_around(run, expr, time_ms, result);
        }
    }
    promql_result_free(result);
    return ok;
}

static bool run_instant(Run *run)
{
    const int64_t time_ms = run->eval->end_ms;
    const int64_t times[AT_TIMES_MAX] = {-10 * time_ms, 0, time_ms / 5, time_ms, 10 * time_ms};
    const int64_t times_of_zero[] = {-1000, 0, 1000};
    const int64_t *at = time_ms == 0 ? times_of_zero : times;
    const size_t count = time_ms == 0 ? ARRAY_LEN(times_of_zero) : ARRAY_LEN(times);
    Buf expr = {0};
    bool ok = run_instant_at(run, run->eval->expr, time_ms);
    if (ok && at_modifier_print(run->eval->expr, &FEATURES, time_ms, &expr)) {
        for (size_t i = 0; i < count && ok; i++) {
            ok = run_instant_at(run, buf_str(&expr), at[i]);
            if (!ok) {
                buf_putf(run->why, "\n  as " STR_FMT " at %" PRId64 " ms", STR_ARG(buf_str(&expr)),
                         at[i]);
            }
        }
    }
    buf_deinit(&expr);
    return ok;
}

static Status run_eval(Run *run, const ScriptCommand *command, RunCounts *counts, Err *err)
{
    Buf why = {0};
    run->eval = &command->eval;
    run->why = &why;
    TRY(world_settle(run->world, err));
    const bool ok = command->eval.is_range ? run_range(run) : run_instant(run);
    counts->passed += ok ? 1 : 0;
    counts->failed += ok ? 0 : 1;
    run->options->report(run->options->ctx, command, ok, buf_str(&why));
    buf_deinit(&why);
    return OK;
}

Status run_script(const Script *script, const RunOptions *options, RunCounts *counts, Err *err)
{
    Status st = OK;
    Run run = {.options = options};
    *counts = (RunCounts){0};
    TRY_OUT(reopen(&run, err));
    for (size_t i = 0; i < script->count; i++) {
        const ScriptCommand *command = &script->commands[i];
        st = OK;
        switch (command->kind) {
        case SCRIPT_CLEAR:
            st = reopen(&run, err);
            break;
        case SCRIPT_LOAD:
            st = world_load(run.world, &command->load, err);
            break;
        case SCRIPT_EVAL:
            if (options->line == 0 || options->line == command->line) {
                st = run_eval(&run, command, counts, err);
            }
            break;
        }
        if (st != OK) {
            TRY_OUT(err_prefix(err, "line %" PRIu32 ": ", command->line));
        }
    }
out:
    promql_engine_free(run.engine);
    world_close(run.world);
    return st;
}
