// SPDX-License-Identifier: Apache-2.0
#include "promql/eval_internal.h"

// --- limits --------------------------------------------------------------------------------------

Status eval_stopped(Status stopped, Err *err)
{
    if (stopped == ERR_TIMEOUT) {
        return err_set(err, ERR_TIMEOUT, "query timed out in expression evaluation");
    }
    return err_set(err, ERR_CANCELLED, "query was canceled in expression evaluation");
}

Status eval_check(Eval *eval, Err *err)
{
    const Status stopped = query_stopped(&eval->guard);
    return stopped == OK ? OK : eval_stopped(stopped, err);
}

Status eval_charge(Eval *eval, const Arena *arena, uint64_t *charged_bytes, Err *err)
{
    const uint64_t max = eval->options->memory_max_bytes;
    const uint64_t more = arena->used_bytes - *charged_bytes;
    if (more == 0) {
        return OK;
    }
    *charged_bytes = arena->used_bytes;
    const uint64_t before =
        atomic_fetch_add_explicit(&eval->memory_bytes, more, memory_order_relaxed);
    if (max != 0 && before + more > max) {
        return err_set(err, ERR_LIMIT, "query needs more than %" PRIu64 " bytes of memory", max);
    }
    return OK;
}

static Status too_many_samples(Err *err)
{
    return err_set(err, ERR_LIMIT,
                   "query processing would load too many samples into memory in query execution");
}

static void raise_peak(Eval *eval, uint64_t now)
{
    uint64_t peak = atomic_load_explicit(&eval->samples_peak, memory_order_relaxed);
    while (now > peak &&
           !atomic_compare_exchange_weak_explicit(&eval->samples_peak, &peak, now,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

Status eval_samples_add(Eval *eval, uint64_t count, Err *err)
{
    const uint64_t now =
        atomic_fetch_add_explicit(&eval->samples_now, count, memory_order_relaxed) + count;
    raise_peak(eval, now);
    return now > eval->options->samples_max ? too_many_samples(err) : OK;
}

void eval_samples_drop(Eval *eval, uint64_t count)
{
    atomic_fetch_sub_explicit(&eval->samples_now, count, memory_order_relaxed);
}

Status eval_samples_try(Eval *eval, uint64_t count, Err *err)
{
    const uint64_t now = atomic_load_explicit(&eval->samples_now, memory_order_relaxed) + count;
    raise_peak(eval, now);
    return now > eval->options->samples_max ? too_many_samples(err) : OK;
}

uint64_t eval_samples_in(const PromqlSeries *series, uint32_t steps)
{
    uint64_t count = 0;
    for (size_t i = 0; i < eval_words(steps); i++) {
        count += (uint64_t)__builtin_popcountll(series->present[i]);
    }
    for (uint32_t i = 0; series->histograms != NULL && i < steps; i++) {
        if (eval_has(series->present, i) && series->histograms[i] != NULL) {
            count += eval_histogram_samples(series->histograms[i]) - 1;
        }
    }
    return count;
}

uint64_t eval_samples_of(const PromqlMatrix *matrix, uint32_t steps)
{
    uint64_t count = 0;
    for (size_t i = 0; i < matrix->count; i++) {
        count += eval_samples_in(&matrix->series[i], steps);
    }
    return count;
}

void eval_keep(Eval *eval, void (*close)(void *state), void *state)
{
    EvalState *kept = arena_new(&eval->arena, EvalState, 1);
    *kept = (EvalState){.close = close, .state = state, .next = eval->states};
    eval->states = kept;
}

// --- nodes ---------------------------------------------------------------------------------------

static void constant(Eval *eval, double value, const PromqlGrid *grid, PromqlMatrix *out)
{
    PromqlSeries *series = arena_new(&eval->arena, PromqlSeries, 1);
    *series = eval_series_new(&eval->arena, grid->steps, false);
    for (uint32_t i = 0; i < grid->steps; i++) {
        series->values[i] = value;
        eval_set(series->present, i);
    }
    *out = (PromqlMatrix){.type = PROMQL_SCALAR, .series = series, .count = 1};
}

Status eval_scalar(Eval *eval, const PlanNode *node, const PromqlGrid *grid, const double **out,
                   Err *err)
{
    PromqlMatrix matrix = {0};
    TRY(eval_node(eval, node, grid, &matrix, err));
    ASSERT(grid->steps == 0 || matrix.count == 1);
    *out = grid->steps == 0 ? NULL : matrix.series[0].values;
    return OK;
}

static Status piped(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                    Err *err)
{
    EvalPipe *pipe = NULL;
    TRY(eval_pipe_open(eval, node, grid, &pipe, err));
    return eval_pipe_collect(pipe, out, err);
}

static Status negate(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                     Err *err)
{
    if (node->type == PROMQL_VECTOR) {
        return piped(eval, node, grid, out, err);
    }
    TRY(eval_node(eval, node->u.child, grid, out, err));
    for (uint32_t i = 0; i < grid->steps; i++) {
        out->series[0].values[i] = -out->series[0].values[i];
    }
    return OK;
}

// --- what is the same at every step --------------------------------------------------------------

static void repeat(Eval *eval, PromqlSeries *series, uint32_t steps)
{
    const double value = series->values[0];
    const Histogram *h = eval_histogram(series, 0);
    const bool present = eval_has(series->present, 0);
    PromqlSeries all = eval_series_new(&eval->arena, steps, h != NULL);
    all.labels = series->labels;
    all.drop_name = series->drop_name;
    for (uint32_t i = 0; present && i < steps; i++) {
        all.values[i] = value;
        eval_set(all.present, i);
        if (h != NULL) {
            all.histograms[i] = h;
        }
    }
    *series = all;
}

// Samples are read once, but are samples of every step.
static void count_invariant(Eval *eval, uint64_t read, uint32_t steps)
{
    if (eval->mute) {
        return;
    }
    atomic_fetch_add_explicit(&eval->samples_total, read * (steps - 1), memory_order_relaxed);
    for (uint32_t i = 0; eval->step_samples != NULL && !eval->mute_steps && i < steps; i++) {
        eval->step_samples[i] += read;
    }
}

static Status invariant(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                        Err *err)
{
    PromqlGrid once = *grid;
    once.end_ms = once.start_ms;
    once.steps = 1;
    const bool mute_steps = eval->mute_steps;
    const uint64_t before = atomic_load_explicit(&eval->samples_total, memory_order_relaxed);
    eval->mute_steps = true;
    const Status st = eval_node(eval, node->u.child, &once, out, err);
    eval->mute_steps = mute_steps;
    if (st != OK || out->type == PROMQL_STRING) {
        return st;
    }
    const uint64_t read = atomic_load_explicit(&eval->samples_total, memory_order_relaxed) - before;
    count_invariant(eval, read, grid->steps);
    if (grid->steps == 1) {
        return OK;
    }
    const bool counts = out->type == PROMQL_VECTOR;
    eval_samples_drop(eval, counts ? eval_samples_of(out, 1) : 0);
    for (size_t i = 0; i < out->count; i++) {
        repeat(eval, &out->series[i], grid->steps);
        const uint64_t samples = eval_samples_in(&out->series[i], grid->steps);
        TRY(eval_samples_add(eval, counts ? samples : 0, err));
        TRY(eval_charge(eval, &eval->arena, &eval->arena_charged_bytes, err));
    }
    return OK;
}

// --- subqueries ----------------------------------------------------------------------------------

// Steps of a subquery are multiples of its step, after the beginning of the first window.
static Status sub_grid_of(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlGrid *out,
                          Err *err)
{
    const int64_t step = node->u.subquery.step_ms;
    const PlanTime *time = &node->u.subquery.time;
    const int64_t first = plan_time_of(time, grid->start_ms);
    const int64_t begin = plan_time_add(first, -node->u.subquery.range_ms);
    const int64_t end = plan_time_of(time, eval_step_ms(grid, grid->steps - 1));
    int64_t start = step * (begin / step);
    if (start <= begin) {
        start += step;
    }
    *out = (PromqlGrid){.start_ms = start, .end_ms = end, .step_ms = step};
    if (end < start) {
        return OK;
    }
    const uint64_t steps = (uint64_t)(end - start) / (uint64_t)step + 1;
    if (steps > eval->options->samples_max || steps > INT32_MAX) {
        return too_many_samples(err);
    }
    out->steps = (uint32_t)steps;
    return OK;
}

Status eval_subquery(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlGrid *sub_grid,
                     PromqlMatrix *out, Err *err)
{
    *out = (PromqlMatrix){.type = PROMQL_VECTOR};
    TRY(sub_grid_of(eval, node, grid, sub_grid, err));
    const bool mute = eval->mute;
    eval->mute = true; // the windows that are made of it count
    const Status st = eval_node(eval, node->u.subquery.expr, sub_grid, out, err);
    eval->mute = mute;
    return st;
}

Status eval_subquery_counted(Eval *eval, const PlanNode *node, const PromqlGrid *grid,
                             PromqlGrid *sub_grid, PromqlMatrix *out, Err *err)
{
    *out = (PromqlMatrix){.type = PROMQL_VECTOR};
    TRY(sub_grid_of(eval, node, grid, sub_grid, err));
    eval->mute_steps = true;
    const Status st = eval_node(eval, node->u.subquery.expr, sub_grid, out, err);
    eval->mute_steps = false;
    if (eval->step_samples != NULL) { // all at the end
        eval->step_samples[eval->step_count - 1] +=
            atomic_load_explicit(&eval->samples_total, memory_order_relaxed);
    }
    return st;
}

static Status inner(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                    Err *err)
{
    switch (node->kind) {
    case PLAN_NUMBER:
        constant(eval, node->u.number, grid, out);
        return OK;
    case PLAN_TEXT:
        *out = (PromqlMatrix){.type = PROMQL_STRING, .text = node->u.text};
        return OK;
    case PLAN_SELECT:
        return piped(eval, node, grid, out, err);
    case PLAN_CALL:
        return eval_pipe_can(node) ? piped(eval, node, grid, out, err)
                                   : eval_call(eval, node, grid, out, err);
    case PLAN_AGGREGATE:
        return eval_aggregate(eval, node, grid, out, err);
    case PLAN_BINARY:
        return eval_pipe_can(node) ? piped(eval, node, grid, out, err)
                                   : eval_binary(eval, node, grid, out, err);
    case PLAN_NEGATE:
        return negate(eval, node, grid, out, err);
    case PLAN_INVARIANT:
        return invariant(eval, node, grid, out, err);
    case PLAN_SUBQUERY:
        break; // only windows and results are made of it
    }
    UNREACHABLE();
}

Status eval_node(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                 Err *err)
{
    *out = (PromqlMatrix){.type = node->type};
    TRY(eval_check(eval, err));
    if (grid->steps == 0 && node->type == PROMQL_VECTOR) {
        return OK;
    }
    TRY(inner(eval, node, grid, out, err));
    return eval_charge(eval, &eval->arena, &eval->arena_charged_bytes, err);
}
