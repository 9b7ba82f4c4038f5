// SPDX-License-Identifier: Apache-2.0
//
// What is done to one series between the leaf of a pipe and its sink.
#include "promql/eval_internal.h"

// Label sets are made in the worker's arena: series that are kept point to their text.
static void drop_name(const EvalPipe *pipe, EvalWorker *w, PromqlSeries *series)
{
    if (pipe->eval->options->features.delayed_name_removal) {
        series->drop_name = true;
    } else if (eval_labels_has_metadata(&series->labels)) {
        series->labels = eval_labels_drop_metadata(&series->labels, w->labels);
    }
}

// Only __name__ goes; the end of the query takes the rest.
static void drop_only_name(const EvalPipe *pipe, EvalWorker *w, PromqlSeries *series)
{
    static const Str name = {"__name__", 8};
    if (pipe->eval->options->features.delayed_name_removal) {
        series->drop_name = true;
    } else {
        series->labels = eval_labels_pick(&series->labels, &name, 1, true, w->labels);
    }
}

static void negate(EvalWorker *w, PromqlSeries *series, uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++) {
        series->values[i] = -series->values[i];
    }
    for (uint32_t i = 0; series->histograms != NULL && i < steps; i++) {
        if (eval_has(series->present, i) && series->histograms[i] != NULL) {
            series->histograms[i] = histogram_mul(series->histograms[i], -1, &w->scratch);
        }
    }
}

// Steps with a histogram are taken out.
static void keep_floats(PromqlSeries *series, uint32_t steps)
{
    for (uint32_t i = 0; series->histograms != NULL && i < steps; i++) {
        if (series->histograms[i] != NULL) {
            eval_unset(series->present, i);
        }
    }
    series->histograms = NULL;
}

static void put(EvalWorker *w, PromqlSeries *series, uint32_t step, PromqlSample sample,
                uint32_t steps)
{
    if (sample.histogram != NULL && series->histograms == NULL) {
        series->histograms = arena_new(&w->scratch, const Histogram *, steps);
    }
    if (series->histograms != NULL) {
        series->histograms[step] = sample.histogram;
    }
    series->values[step] = sample.value;
}

static void apply_function(const EvalPipe *pipe, const EvalStage *stage, EvalWorker *w,
                           PromqlSeries *series)
{
    const PlanNode *plan = stage->plan;
    const PromqlFunction *function = plan->u.call.function;
    const uint32_t steps = pipe->grid.steps;
    if (function->over_floats != NULL) {
        keep_floats(series, steps);
        function->over_floats(series->values, steps, series->values);
        return;
    }
    PromqlCall call = {.node = plan->node,
                       .notes = pipe->eval->notes,
                       .arena = &w->scratch,
                       .metric = labels_get(&series->labels, STR("__name__")),
                       .delayed_names = pipe->eval->options->features.delayed_name_removal};
    for (uint32_t i = 0; i < steps; i++) {
        if (!eval_has(series->present, i)) {
            continue;
        }
        PromqlSample out = {0};
        const PromqlSample in = {series->values[i], eval_histogram(series, i)};
        call.time_ms = eval_step_ms(&pipe->grid, i);
        call.scalars = stage->scalars + i * plan->u.call.arg_count;
        if (function->over_sample(&call, in, &out)) {
            put(w, series, i, out, steps);
        } else {
            eval_unset(series->present, i);
        }
    }
}

// All floats, without `bool`: what makes queries fast.
static void scalar_floats(const EvalStage *stage, PromqlSeries *series, uint32_t steps)
{
    const PromqlOp op = stage->plan->u.binary.op;
    const bool compare = eval_operator_is_comparison(op);
    for (uint32_t i = 0; i < steps; i++) {
        const double left = stage->swap ? stage->scalars[i] : series->values[i];
        const double right = stage->swap ? series->values[i] : stage->scalars[i];
        if (!compare) {
            series->values[i] = eval_operator_floats(op, left, right);
        } else if (!eval_operator_compare(op, left, right)) {
            eval_unset(series->present, i);
        }
    }
}

// A comparison keeps the vector's sample, on whichever side it stands.
static void scalar_sample(const EvalStage *stage, const EvalOperator *o, EvalWorker *w,
                          PromqlSeries *series, uint32_t step)
{
    const bool is_bool = stage->plan->node->u.binary.is_bool;
    const PromqlSample vector = {series->values[step], eval_histogram(series, step)};
    const PromqlSample scalar = {.value = stage->scalars[step]};
    const PromqlSample left = stage->swap ? scalar : vector;
    const PromqlSample right = stage->swap ? vector : scalar;
    PromqlSample out = {0};
    const EvalOutcome outcome = eval_operator_apply(o, left, right, &out);
    if (outcome == EVAL_NOTHING || (outcome == EVAL_FILTERED && !is_bool)) {
        eval_unset(series->present, step);
        return;
    }
    if (eval_operator_is_comparison(o->op)) {
        out = vector;
    }
    if (is_bool) {
        out = (PromqlSample){.value = outcome == EVAL_FILTERED ? 0 : 1};
    }
    const uint32_t steps = (uint32_t)w->steps_cap;
    put(w, series, step, out, steps);
}

static void apply_scalar(const EvalPipe *pipe, const EvalStage *stage, EvalWorker *w,
                         PromqlSeries *series)
{
    const PlanNode *plan = stage->plan;
    const uint32_t steps = pipe->grid.steps;
    const bool plain = eval_operator_is_arithmetic(plan->u.binary.op) ||
                       eval_operator_is_comparison(plan->u.binary.op);
    if (series->histograms == NULL && plain && !plan->node->u.binary.is_bool) {
        scalar_floats(stage, series, steps);
        return;
    }
    const EvalOperator o = {plan->u.binary.op, plan->pos, pipe->eval->notes, &w->scratch};
    for (uint32_t i = 0; i < steps; i++) {
        if (eval_has(series->present, i)) {
            scalar_sample(stage, &o, w, series, i);
        }
    }
}

static void apply_labels(const EvalPipe *pipe, const EvalStage *stage, EvalWorker *w,
                         PromqlSeries *series)
{
    const PromqlCall call = {.node = stage->plan->node,
                             .notes = pipe->eval->notes,
                             .arena = &w->arena,
                             .delayed_names = pipe->eval->options->features.delayed_name_removal};
    LabelSet out = {0};
    stage->plan->u.call.function->over_labels(&call, stage->labels_state, series->labels,
                                              &series->drop_name, &out);
    series->labels = out;
}

void eval_stage_apply(const EvalPipe *pipe, const EvalStage *stage, EvalWorker *worker,
                      PromqlSeries *series)
{
    switch (stage->kind) {
    case EVAL_STAGE_NEGATE:
        negate(worker, series, pipe->grid.steps);
        break;
    case EVAL_STAGE_SAMPLE:
        apply_function(pipe, stage, worker, series);
        break;
    case EVAL_STAGE_SCALAR:
        apply_scalar(pipe, stage, worker, series);
        break;
    case EVAL_STAGE_LABELS:
        apply_labels(pipe, stage, worker, series);
        break;
    }
    if (stage->drops_name) {
        const bool keeps_type = stage->kind == EVAL_STAGE_SAMPLE &&
                                (stage->plan->u.call.function->flags & PROMQL_FN_KEEPS_TYPE) != 0;
        if (keeps_type) {
            drop_only_name(pipe, worker, series);
        } else {
            drop_name(pipe, worker, series);
        }
    }
}
