// SPDX-License-Identifier: Apache-2.0
//
// Calls that are more than work on one series, but for info() (eval_info.c).
#include "promql/eval_internal.h"

static PromqlSeries *one_series(Eval *eval, const PromqlGrid *grid, PromqlMatrix *out)
{
    PromqlSeries *series = arena_new(&eval->arena, PromqlSeries, 1);
    *series = eval_series_new(&eval->arena, grid->steps, false);
    out->series = series;
    out->count = 1;
    return series;
}

static void call_time(Eval *eval, const PromqlGrid *grid, PromqlMatrix *out)
{
    PromqlSeries *series = one_series(eval, grid, out);
    for (uint32_t i = 0; i < grid->steps; i++) {
        series->values[i] = (double)eval_step_ms(grid, i) / 1000;
        eval_set(series->present, i);
    }
}

// Of what is no selector: the time of the step, wherever there is a sample.
static Status call_timestamp(Eval *eval, const PlanNode *node, const PromqlGrid *grid,
                             PromqlMatrix *out, Err *err)
{
    TRY(eval_node(eval, node->u.call.args[0], grid, out, err));
    for (size_t i = 0; i < out->count; i++) {
        PromqlSeries *series = &out->series[i];
        series->histograms = NULL;
        series->drop_name = true;
        for (uint32_t step = 0; step < grid->steps; step++) {
            series->values[step] = (double)eval_step_ms(grid, step) / 1000;
        }
    }
    eval_matrix_drop_names(eval, out);
    return eval_matrix_merge(eval, out, grid->steps, EVAL_MERGE, err);
}

// --- absent() ------------------------------------------------------------------------------------

typedef struct Presence {
    EvalSink sink;
    uint32_t steps;
    Mutex mu;       // level 62
    uint64_t *bits; // mu
} Presence;

static Status note_presence(EvalSink *sink, EvalWorker *worker, PromqlSeries *series, Err *err)
{
    Presence *p = (Presence *)sink;
    (void)worker;
    (void)err;
    mutex_lock(&p->mu);
    for (size_t i = 0; i < eval_words(p->steps); i++) {
        p->bits[i] |= series->present[i];
    }
    mutex_unlock(&p->mu);
    return OK;
}

// The labels that a selector fixes: those with one = matcher and no other.
static LabelSet fixed_labels(Eval *eval, const PlanNode *arg)
{
    LabelSet set = {0};
    const PlanNode *select = plan_inner(arg);
    if (select->kind != PLAN_SELECT) {
        return set;
    }
    const size_t count = select->u.select.matcher_count;
    for (size_t i = 0; i < count; i++) {
        const Matcher *m = select->u.select.matchers[i];
        const Str name = matcher_name(m);
        bool seen = false;
        for (size_t j = 0; j < i; j++) {
            const Matcher *before = select->u.select.matchers[j];
            seen |= matcher_op(before) == MATCH_EQ && str_eq(matcher_name(before), name);
        }
        if (str_eq(name, STR("__name__"))) {
            continue;
        }
        const bool fixes = matcher_op(m) == MATCH_EQ && !seen;
        set = eval_labels_with(&set, name, fixes ? matcher_value(m) : STR(""), &eval->arena);
    }
    return set;
}

// absent_over_time(x) asks where last_over_time(x) is.
static PlanNode *windows_of(Eval *eval, const PlanNode *node)
{
    PromqlFunction *function = arena_new(&eval->arena, PromqlFunction, 1);
    PlanNode *last = arena_new(&eval->arena, PlanNode, 1);
    *function = *node->u.call.function;
    function->kind = PROMQL_FN_RANGE;
    function->flags |= PROMQL_FN_KEEPS_NAME;
    function->over_range = promql_function(STR("last_over_time"))->over_range;
    *last = *node;
    last->u.call.function = function;
    return last;
}

static Status call_absent(Eval *eval, const PlanNode *node, const PromqlGrid *grid,
                          PromqlMatrix *out, Err *err)
{
    const bool over_time = plan_is_function(node, "absent_over_time");
    const PlanNode *arg = node->u.call.args[0];
    EvalPipe *pipe = NULL;
    TRY(eval_pipe_open(eval, over_time ? windows_of(eval, node) : arg, grid, &pipe, err));
    Presence presence = {.sink.take = note_presence, .steps = grid->steps};
    presence.bits = arena_new(&eval->arena, uint64_t, eval_words(grid->steps));
    mutex_init_level(&presence.mu, 62);
    const Status st = eval_pipe_run(pipe, &presence.sink, err);
    mutex_deinit(&presence.mu);
    TRY(st);
    eval_samples_drop(eval, pipe->samples);
    PromqlSeries *series = one_series(eval, grid, out);
    series->labels = fixed_labels(eval, arg);
    for (uint32_t i = 0; i < grid->steps; i++) {
        series->values[i] = 1;
        if (!eval_has(presence.bits, i)) {
            eval_set(series->present, i);
        }
    }
    eval_matrix_compact(out, grid->steps);
    return eval_samples_add(eval, eval_samples_of(out, grid->steps), err);
}

// --- the rest ------------------------------------------------------------------------------------

// hour() and its like without a vector: of the time of each step.
static Status call_of_time(Eval *eval, const PlanNode *node, const PromqlGrid *grid,
                           PromqlMatrix *out, Err *err)
{
    const PromqlFunction *function = node->u.call.function;
    PromqlSeries *series = one_series(eval, grid, out);
    PromqlCall call = {.node = node->node, .notes = eval->notes, .arena = &eval->arena};
    for (uint32_t i = 0; i < grid->steps; i++) {
        PromqlSample sample = {0};
        call.time_ms = eval_step_ms(grid, i);
        const PromqlSample in = {.value = (double)(call.time_ms / 1000)};
        if (function->over_sample(&call, in, &sample)) {
            series->values[i] = sample.value;
            eval_set(series->present, i);
        }
    }
    return eval_samples_add(eval, eval_samples_of(out, grid->steps), err);
}

static Status call_matrix(Eval *eval, const PlanNode *node, const PromqlGrid *grid,
                          PromqlMatrix *out, Err *err)
{
    const PromqlFunction *function = node->u.call.function;
    const size_t count = node->u.call.arg_count;
    PromqlMatrix *args = arena_new(&eval->arena, PromqlMatrix, count);
    uint64_t before = 0;
    if ((function->flags & PROMQL_FN_SORTS) != 0 && grid->steps != 1) {
        promql_note(eval->notes, PROMQL_WARNING, node->pos,
                    "sort is ineffective for range queries since results are always ordered by "
                    "labels");
    }
    for (size_t i = 0; i < count; i++) {
        TRY(eval_node(eval, node->u.call.args[i], grid, &args[i], err));
        before += args[i].type == PROMQL_VECTOR ? eval_samples_of(&args[i], grid->steps) : 0;
    }
    const PromqlCall call = {.node = node->node,
                             .notes = eval->notes,
                             .arena = &eval->arena,
                             .delayed_names = eval->options->features.delayed_name_removal};
    TRY(function->over_matrix(&call, grid, args, out, err));
    out->type = node->type;
    eval_samples_drop(eval, before);
    if (node->type != PROMQL_VECTOR) {
        return OK;
    }
    eval_matrix_compact(out, grid->steps);
    if ((function->flags & PROMQL_FN_KEEPS_NAME) == 0) {
        eval_matrix_drop_names(eval, out);
        TRY(eval_matrix_merge(eval, out, grid->steps, EVAL_MERGE, err));
    }
    return eval_samples_add(eval, eval_samples_of(out, grid->steps), err);
}

static Status call_engine(Eval *eval, const PlanNode *node, const PromqlGrid *grid,
                          PromqlMatrix *out, Err *err)
{
    if (plan_is_function(node, "time")) {
        call_time(eval, grid, out);
        return OK;
    }
    if (plan_is_function(node, "timestamp")) {
        return call_timestamp(eval, node, grid, out, err);
    }
    if (plan_is_function(node, "start_timestamp")) {
        return OK; // only samples of a selector have one
    }
    if (plan_is_function(node, "info")) {
        return eval_info(eval, node, grid, out, err);
    }
    return call_absent(eval, node, grid, out, err);
}

Status eval_call(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                 Err *err)
{
    *out = (PromqlMatrix){.type = node->type};
    switch (node->u.call.function->kind) {
    case PROMQL_FN_ENGINE:
        return call_engine(eval, node, grid, out, err);
    case PROMQL_FN_MATRIX:
        return call_matrix(eval, node, grid, out, err);
    case PROMQL_FN_SAMPLE:
        return call_of_time(eval, node, grid, out, err);
    case PROMQL_FN_RANGE:
    case PROMQL_FN_LABELS:
        break; // pipes
    }
    UNREACHABLE();
}
