// SPDX-License-Identifier: Apache-2.0
//
// Queries from their text to their result: parsing, waiting for a turn, evaluation, clearing up.
// What a result looks like is in engine_result.c.
#include "promql/engine_internal.h"

struct PromqlEngine {
    PromqlOptions options; // with the defaults filled in
    Mutex mu;              // level 61
    Cond turn;             // a query has ended
    uint32_t running;      // mu
    uint32_t waiting;      // mu
};

PromqlEngine *promql_engine_new(const PromqlOptions *options)
{
    PromqlEngine *engine = mem_new(PromqlEngine, 1);
    PromqlOptions *o = &engine->options;
    *o = *options;
    o->samples_max = o->samples_max != 0 ? o->samples_max : PROMQL_MAX_SAMPLES;
    o->concurrency_max = o->concurrency_max != 0 ? o->concurrency_max : PROMQL_MAX_CONCURRENCY;
    o->threads = o->threads != 0 ? o->threads : os_cpu_count();
    o->threads = o->threads < EVAL_THREADS_MAX ? o->threads : EVAL_THREADS_MAX;
    o->timeout_ms = o->timeout_ms != 0 ? o->timeout_ms : PROMQL_TIMEOUT_MS;
    o->lookback_ms = o->lookback_ms != 0 ? o->lookback_ms : PROMQL_LOOKBACK_MS;
    o->default_step_ms = o->default_step_ms != 0 ? o->default_step_ms : PROMQL_DEFAULT_STEP_MS;
    mutex_init_level(&engine->mu, 61);
    cond_init(&engine->turn);
    return engine;
}

PromqlFeatures promql_engine_features(const PromqlEngine *engine)
{
    return engine->options.features;
}

void promql_engine_free(PromqlEngine *engine)
{
    if (engine != NULL) {
        ASSERT(engine->running == 0 && engine->waiting == 0);
        cond_deinit(&engine->turn);
        mutex_deinit(&engine->mu);
        mem_free(engine);
    }
}

// --- waiting for a turn --------------------------------------------------------------------------

static Status wait_stopped(const PromqlEngine *engine, const Eval *eval, Err *err)
{
    const QueryGuard *guard = &eval->guard;
    if (guard->deadline_ns != 0 && os_mono_ns(engine->options.os) >= guard->deadline_ns) {
        return err_set(err, ERR_TIMEOUT, "query timed out in query queue");
    }
    if (guard->is_abandoned != NULL && guard->is_abandoned(guard->abandoned_ctx)) {
        return err_set(err, ERR_CANCELLED, "query was canceled in query queue");
    }
    return OK;
}

static Status turn_begin(PromqlEngine *engine, const Eval *eval, Err *err)
{
    Status st = OK;
    mutex_lock(&engine->mu);
    if (engine->waiting >= PROMQL_MAX_WAITING) {
        mutex_unlock(&engine->mu);
        return err_set(err, ERR_UNAVAILABLE, "%d queries are waiting already", PROMQL_MAX_WAITING);
    }
    engine->waiting++;
    while (st == OK && engine->running >= engine->options.concurrency_max) {
        (void)cond_wait_ms(&engine->turn, &engine->mu, QUERY_WATCH_PERIOD_MS); // early is fine
        st = wait_stopped(engine, eval, err);
    }
    engine->waiting--;
    engine->running += st == OK;
    mutex_unlock(&engine->mu);
    return st;
}

static void turn_end(PromqlEngine *engine)
{
    mutex_lock(&engine->mu);
    engine->running--;
    cond_signal(&engine->turn);
    mutex_unlock(&engine->mu);
}

// --- one query -----------------------------------------------------------------------------------

static void stop_scans(void *ctx)
{
    Eval *eval = ctx;
    mutex_lock(&eval->mu);
    for (size_t i = 0; i < eval->scan_count; i++) {
        series_scan_cancel(eval->scans[i].scan);
    }
    mutex_unlock(&eval->mu);
}

static void eval_begin(Eval *eval, const PromqlEngine *engine, const PromqlQuery *query)
{
    const PromqlOptions *o = &engine->options;
    const int64_t timeout_ms = query->timeout_ms != 0 && query->timeout_ms < o->timeout_ms
                                   ? query->timeout_ms
                                   : o->timeout_ms;
    eval->options = o;
    eval->ask = query;
    eval->lookback_ms = query->lookback_ms != 0 ? query->lookback_ms : o->lookback_ms;
    eval->notes = promql_notes_new();
    mutex_init_level(&eval->mu, 63);
    eval->guard.deadline_ns = os_mono_ns(o->os) + timeout_ms * 1000000;
    eval->guard.is_abandoned = query->is_abandoned;
    eval->guard.abandoned_ctx = query->abandoned_ctx;
    eval->guard.stop = stop_scans;
    eval->guard.stop_ctx = eval;
}

static void eval_end(Eval *eval)
{
    for (size_t i = 0; i < eval->scan_count; i++) {
        series_scan_close(eval->scans[i].scan);
    }
    for (const EvalState *s = eval->states; s != NULL; s = s->next) {
        s->close(s->state);
    }
    mem_free(eval->scans);
    eval_workers_free(eval);
    snapshot_close(eval->snapshot);
    promql_notes_free(eval->notes);
    mem_free(eval->step_samples);
    arena_deinit(&eval->arena);
    mutex_deinit(&eval->mu);
}

static Status check_times(const PromqlQuery *query, const PromqlNode *root, PromqlGrid *grid,
                          Err *err)
{
    *grid = (PromqlGrid){
        .start_ms = query->start_ms, .end_ms = query->start_ms, .step_ms = 1, .steps = 1};
    if (!query->is_range) {
        return OK;
    }
    if (root->type != PROMQL_VECTOR && root->type != PROMQL_SCALAR) {
        return err_set(err, ERR_INVALID,
                       "invalid expression type \"%s\" for range query, must be Scalar or instant "
                       "Vector",
                       promql_type_name(root->type));
    }
    if (query->end_ms < query->start_ms) {
        return err_set(err, ERR_INVALID, "end timestamp must not be before start time");
    }
    if (query->step_ms <= 0) {
        return err_set(err, ERR_INVALID,
                       "zero or negative query resolution step widths are not accepted. Try a "
                       "positive integer");
    }
    const uint64_t span = (uint64_t)query->end_ms - (uint64_t)query->start_ms;
    if (span / (uint64_t)query->step_ms > PROMQL_MAX_STEPS) {
        return err_set(err, ERR_INVALID,
                       "exceeded maximum resolution of 11,000 points per timeseries. Try "
                       "decreasing the query resolution (?step=XX)");
    }
    grid->end_ms = query->end_ms;
    grid->step_ms = query->step_ms;
    grid->steps = (uint32_t)(span / (uint64_t)query->step_ms) + 1;
    return OK;
}

static Status plan_query(Eval *eval, const PromqlQuery *query, const PromqlNode *root,
                         PlanNode **plan, Err *err)
{
    const PlanRequest request = {
        .start_ms = query->start_ms,
        .end_ms = query->is_range ? query->end_ms : query->start_ms,
        .step_ms = query->is_range ? query->step_ms : 0,
        .default_step_ms = eval->options->default_step_ms,
        .metadata_labels = eval->options->features.type_and_unit_labels,
        .arena = &eval->arena,
    };
    return plan_make(root, &request, plan, err);
}

static Status evaluate(Eval *eval, const PlanNode *plan, const PromqlGrid *grid,
                       PromqlResult *result, Err *err)
{
    PromqlMatrix matrix = {0};
    if (eval->ask->stats) {
        eval->step_samples = mem_new(uint64_t, grid->steps);
        eval->step_count = grid->steps;
    }
    if (plan->type == PROMQL_MATRIX) {
        return eval_range_result(eval, plan, grid, result, err);
    }
    TRY(eval_node(eval, plan, grid, &matrix, err));
    if (eval->options->features.delayed_name_removal && matrix.type == PROMQL_VECTOR) {
        engine_clean_names(eval, &matrix);
        TRY(eval_matrix_merge(eval, &matrix, grid->steps, EVAL_MERGE, err));
    }
    return engine_result_fill(eval, &matrix, grid, result, err);
}

static PromqlFailure failure_of(Status st)
{
    if (st == ERR_TIMEOUT) {
        return PROMQL_TIMED_OUT;
    }
    if (st == ERR_CANCELLED) {
        return PROMQL_CANCELED;
    }
    if (st == ERR_UNAVAILABLE) {
        return PROMQL_BUSY;
    }
    return st == ERR_INVALID || st == ERR_LIMIT || st == ERR_TOO_LARGE ? PROMQL_EXECUTION
                                                                       : PROMQL_INTERNAL;
}

typedef struct Run { // what one call of promql_run() holds
    PromqlEngine *engine;
    const PromqlQuery *query;
    PromqlExpr *expr;
    PlanNode *plan; // in the eval's arena
    Eval *eval;
    PromqlResult *result;
    int64_t mark_ns; // when the last thing that is timed ended
} Run;

static int64_t lap(Run *run)
{
    const int64_t now = os_mono_ns(run->engine->options.os);
    const int64_t took = now - run->mark_ns;
    run->mark_ns = now;
    return took;
}

static Status run_watched(Run *run, const PromqlGrid *grid, Err *err)
{
    QueryWatch *watch = run->engine->options.watch;
    Eval *eval = run->eval;
    PromqlStats *stats = &run->result->stats;
    TRY(snapshot_open(run->engine->options.store, STR("metrics"), &eval->snapshot, err));
    const Schema *schema = snapshot_schema(eval->snapshot);
    eval->has_histograms = schema_find(schema, STR("histogram")) != SIZE_MAX;
    stats->prepare_ns = lap(run);
    if (watch != NULL) {
        query_watch_add(watch, &eval->guard);
    }
    const Status st = evaluate(eval, run->plan, grid, run->result, err);
    if (watch != NULL) {
        query_watch_remove(watch, &eval->guard);
    }
    stats->eval_ns = lap(run);
    return st;
}

// *failure is set for what fails before evaluation; after it, the status says.
static Status run_query(Run *run, PromqlFailure *failure, Err *err)
{
    PromqlStats *stats = &run->result->stats;
    const int64_t begin = run->mark_ns;
    PromqlGrid grid;
    *failure = PROMQL_BAD_DATA;
    TRY(promql_parse(run->query->text, &run->engine->options.features, &run->expr, err));
    const PromqlNode *root = promql_expr_root(run->expr);
    TRY(check_times(run->query, root, &grid, err));
    TRY(plan_query(run->eval, run->query, root, &run->plan, err));
    stats->parse_ns = lap(run);
    Status st = turn_begin(run->engine, run->eval, err);
    stats->queue_ns = lap(run);
    if (st == OK) {
        st = run_watched(run, &grid, err);
        turn_end(run->engine);
    }
    *failure = failure_of(st);
    engine_result_stats(run->eval, promql_expr_text(run->expr), run->result);
    stats->total_ns = run->mark_ns - begin;
    return st;
}

Status promql_run(PromqlEngine *engine, const PromqlQuery *query, PromqlResult **out,
                  PromqlFailure *failure, Err *err)
{
    Run run = {.engine = engine, .query = query, .mark_ns = os_mono_ns(engine->options.os)};
    *out = NULL;
    run.eval = mem_new(Eval, 1);
    run.result = engine_result_new();
    eval_begin(run.eval, engine, query);
    const Status st = run_query(&run, failure, err);
    eval_end(run.eval);
    mem_free(run.eval);
    promql_expr_free(run.expr);
    if (st != OK) {
        promql_result_free(run.result);
        return st;
    }
    *out = run.result;
    return OK;
}

Status promql_explain(PromqlEngine *engine, const PromqlQuery *query, Buf *out, Err *err)
{
    Run run = {.engine = engine, .query = query, .mark_ns = os_mono_ns(engine->options.os)};
    PromqlFailure failure = PROMQL_INTERNAL;
    run.eval = mem_new(Eval, 1);
    run.result = engine_result_new();
    eval_begin(run.eval, engine, query);
    const Status st = run_query(&run, &failure, err);
    if (st == OK) {
        engine_explain(run.eval, run.plan, run.result, out);
    }
    promql_result_free(run.result);
    eval_end(run.eval);
    mem_free(run.eval);
    promql_expr_free(run.expr);
    return st;
}
