// SPDX-License-Identifier: Apache-2.0
//
// Pipes: what is done to one series after the other, see eval_internal.h.
#include "promql/eval_internal.h"

bool eval_pipe_can(const PlanNode *node)
{
    switch (node->kind) {
    case PLAN_SELECT:
    case PLAN_NEGATE:
        return node->type == PROMQL_VECTOR;
    case PLAN_CALL:
        switch (node->u.call.function->kind) {
        case PROMQL_FN_RANGE:
            return true;
        case PROMQL_FN_LABELS:
            return true;
        case PROMQL_FN_SAMPLE: // hour() and its like may have no vector
            return node->u.call.arg_count != 0 && node->type == PROMQL_VECTOR;
        case PROMQL_FN_ENGINE:
            return (plan_is_function(node, "timestamp") ||
                    plan_is_function(node, "start_timestamp")) &&
                   node->u.call.args[0]->kind == PLAN_SELECT;
        case PROMQL_FN_MATRIX:
            return false;
        }
        UNREACHABLE();
    case PLAN_BINARY:
        return node->type == PROMQL_VECTOR && (node->u.binary.left->type == PROMQL_SCALAR ||
                                               node->u.binary.right->type == PROMQL_SCALAR);
    case PLAN_NUMBER:
    case PLAN_TEXT:
    case PLAN_SUBQUERY:
    case PLAN_AGGREGATE:
    case PLAN_INVARIANT:
        return false;
    }
    UNREACHABLE();
}

// --- opening -------------------------------------------------------------------------------------

static Status open_node(EvalPipe *pipe, const PlanNode *node, Err *err);

// Scalar arguments of a call, args of them for each step; those that are no scalars stay 0.
static Status scalars_of(Eval *eval, const PlanNode *node, const PromqlGrid *grid,
                         const double **out, Err *err)
{
    const size_t count = node->u.call.arg_count;
    double *all = arena_new(&eval->arena, double, count * grid->steps);
    for (size_t i = 0; i < count; i++) {
        const double *values = NULL;
        if (node->u.call.args[i]->type != PROMQL_SCALAR) {
            continue;
        }
        TRY(eval_scalar(eval, node->u.call.args[i], grid, &values, err));
        for (size_t step = 0; step < grid->steps; step++) {
            all[step * count + i] = values[step];
        }
    }
    *out = all;
    return OK;
}

static const PlanNode *series_argument(const PlanNode *call)
{
    for (size_t i = 0; i < call->u.call.arg_count; i++) {
        const PlanNode *arg = call->u.call.args[i];
        if (arg->type == PROMQL_VECTOR || arg->type == PROMQL_MATRIX) {
            return arg;
        }
    }
    UNREACHABLE(); // the parser has checked the arguments
}

static Status check_extended(const PlanNode *call, const PlanSelect *select, Err *err)
{
    const uint32_t flags = call->u.call.function->flags;
    if (select->anchored && (flags & PROMQL_FN_ANCHORED) == 0) {
        return err_set(err, ERR_INVALID,
                       "anchored modifier can only be used with: changes, delta, increase, rate, "
                       "resets - not with %s",
                       call->u.call.function->name);
    }
    if (select->smoothed && (flags & PROMQL_FN_SMOOTHED) == 0) {
        return err_set(err, ERR_INVALID,
                       "smoothed modifier can only be used with: delta, increase, rate - not with "
                       "%s",
                       call->u.call.function->name);
    }
    return OK;
}

static void leaf_select(EvalPipe *pipe, const PlanNode *select, EvalPick pick)
{
    pipe->leaf.kind = EVAL_LEAF_SELECT;
    pipe->leaf.select = select->u.select;
    pipe->leaf.pos = select->pos;
    pipe->leaf.time = select->u.select.time;
    pipe->leaf.range_ms = select->u.select.range_ms;
    pipe->leaf.pick = pick;
}

static bool has_names(const PromqlMatrix *matrix)
{
    for (size_t i = 0; i < matrix->count; i++) {
        if (eval_labels_has_metadata(&matrix->series[i].labels)) {
            return true;
        }
    }
    return false;
}

static void leaf_matrix(EvalPipe *pipe, const PromqlMatrix *matrix)
{
    pipe->leaf = (EvalLeaf){.kind = EVAL_LEAF_MATRIX, .matrix = *matrix};
}

// What a pipe has done so far becomes a matrix, in which series with the same labels are seen.
static Status settle(EvalPipe *pipe, EvalMerge how, Err *err)
{
    PromqlMatrix matrix = {0};
    TRY(eval_pipe_collect(pipe, &matrix, err));
    pipe->stage_count = 0;
    TRY(eval_matrix_merge(pipe->eval, &matrix, pipe->grid.steps, how, err));
    leaf_matrix(pipe, &matrix);
    return OK;
}

// Whether taking names off may give two series the same labels.
static bool may_collide(const EvalPipe *pipe)
{
    switch (pipe->leaf.kind) {
    case EVAL_LEAF_SELECT:
        return !pipe->leaf.select.one_name;
    case EVAL_LEAF_SUBQUERY:
    case EVAL_LEAF_MATRIX:
        return has_names(&pipe->leaf.matrix);
    }
    UNREACHABLE();
}

static Status open_windows(EvalPipe *pipe, const PlanNode *node, Err *err)
{
    Eval *eval = pipe->eval;
    const PlanNode *arg = series_argument(node);
    if (arg->kind == PLAN_SUBQUERY) {
        TRY(eval_subquery(eval, arg, &pipe->grid, &pipe->leaf.sub_grid, &pipe->leaf.matrix, err));
        pipe->leaf.kind = EVAL_LEAF_SUBQUERY;
        pipe->leaf.time = arg->u.subquery.time;
        pipe->leaf.range_ms = arg->u.subquery.range_ms;
        pipe->leaf.pos = promql_node_note_pos(arg->node);
    } else {
        leaf_select(pipe, arg, EVAL_PICK_VALUE);
        TRY(check_extended(node, &arg->u.select, err));
    }
    pipe->leaf.call = node;
    TRY(scalars_of(eval, node, &pipe->grid, &pipe->leaf.scalars, err));
    if ((node->u.call.function->flags & PROMQL_FN_KEEPS_NAME) == 0 &&
        !eval->options->features.delayed_name_removal && may_collide(pipe)) {
        return settle(pipe, EVAL_STRICT, err);
    }
    return OK;
}

static Status push(EvalPipe *pipe, EvalStage stage, Err *err)
{
    const bool collides =
        stage.kind == EVAL_STAGE_LABELS ||
        (stage.drops_name && !pipe->eval->options->features.delayed_name_removal &&
         may_collide(pipe));
    ASSERT(pipe->stage_count < EVAL_STAGES_MAX);
    pipe->stages[pipe->stage_count++] = stage;
    return collides ? settle(pipe, EVAL_MERGE, err) : OK;
}

static Status open_labels(EvalPipe *pipe, const PlanNode *node, Err *err)
{
    const PromqlFunction *function = node->u.call.function;
    PromqlMatrix texts[PROMQL_ARGS_MAX] = {0};
    EvalStage stage = {.kind = EVAL_STAGE_LABELS, .plan = node};
    for (size_t i = 0; i < node->u.call.arg_count; i++) {
        if (node->u.call.args[i]->kind == PLAN_TEXT) {
            texts[i] = (PromqlMatrix){.type = PROMQL_STRING, .text = node->u.call.args[i]->u.text};
        }
    }
    TRY(function->labels_open(texts, node->u.call.arg_count, &stage.labels_state, err));
    eval_keep(pipe->eval, function->labels_close, stage.labels_state);
    TRY(open_node(pipe, series_argument(node), err));
    return push(pipe, stage, err);
}

static Status open_call(EvalPipe *pipe, const PlanNode *node, Err *err)
{
    const PromqlFunction *function = node->u.call.function;
    EvalStage stage = {.kind = EVAL_STAGE_SAMPLE, .plan = node};
    switch (function->kind) {
    case PROMQL_FN_RANGE:
        return open_windows(pipe, node, err);
    case PROMQL_FN_LABELS:
        return open_labels(pipe, node, err);
    case PROMQL_FN_ENGINE:
        leaf_select(pipe, node->u.call.args[0],
                    plan_is_function(node, "timestamp") ? EVAL_PICK_TIME : EVAL_PICK_START);
        return may_collide(pipe) && !pipe->eval->options->features.delayed_name_removal
                   ? settle(pipe, EVAL_MERGE, err)
                   : OK;
    case PROMQL_FN_SAMPLE:
        TRY(open_node(pipe, series_argument(node), err));
        TRY(scalars_of(pipe->eval, node, &pipe->grid, &stage.scalars, err));
        stage.drops_name = (function->flags & PROMQL_FN_KEEPS_NAME) == 0;
        return push(pipe, stage, err);
    case PROMQL_FN_MATRIX:
        break;
    }
    UNREACHABLE();
}

static bool changes_meaning(PromqlOp op)
{
    return op <= PROMQL_ATAN2; // arithmetic comes first
}

static Status open_scalar(EvalPipe *pipe, const PlanNode *node, Err *err)
{
    EvalStage stage = {.kind = EVAL_STAGE_SCALAR, .plan = node};
    stage.swap = node->u.binary.left->type == PROMQL_SCALAR;
    stage.drops_name = changes_meaning(node->u.binary.op) || node->node->u.binary.is_bool;
    const PlanNode *vector = stage.swap ? node->u.binary.right : node->u.binary.left;
    const PlanNode *scalar = stage.swap ? node->u.binary.left : node->u.binary.right;
    TRY(open_node(pipe, vector, err));
    TRY(eval_scalar(pipe->eval, scalar, &pipe->grid, &stage.scalars, err));
    return push(pipe, stage, err);
}

static Status open_node(EvalPipe *pipe, const PlanNode *node, Err *err)
{
    PromqlMatrix matrix = {0};
    if (eval_pipe_can(node)) {
        switch (node->kind) {
        case PLAN_SELECT:
            leaf_select(pipe, node, EVAL_PICK_VALUE);
            return OK;
        case PLAN_NEGATE:
            TRY(open_node(pipe, node->u.child, err));
            return push(pipe, (EvalStage){.kind = EVAL_STAGE_NEGATE, .drops_name = true}, err);
        case PLAN_CALL:
            return open_call(pipe, node, err);
        case PLAN_BINARY:
            return open_scalar(pipe, node, err);
        case PLAN_NUMBER:
        case PLAN_TEXT:
        case PLAN_SUBQUERY:
        case PLAN_AGGREGATE:
        case PLAN_INVARIANT:
            break;
        }
        UNREACHABLE();
    }
    TRY(eval_node(pipe->eval, node, &pipe->grid, &matrix, err));
    leaf_matrix(pipe, &matrix);
    return OK;
}

Status eval_pipe_open(Eval *eval, const PlanNode *node, const PromqlGrid *grid, EvalPipe **out,
                      Err *err)
{
    *out = arena_new(&eval->arena, EvalPipe, 1);
    (*out)->eval = eval;
    (*out)->grid = *grid;
    return open_node(*out, node, err);
}

EvalPipe *eval_pipe_select(Eval *eval, const PlanSelect *select, EvalPick pick,
                           const PromqlGrid *grid)
{
    EvalPipe *pipe = arena_new(&eval->arena, EvalPipe, 1);
    const PlanNode node = {.kind = PLAN_SELECT, .type = PROMQL_VECTOR, .u.select = *select};
    pipe->eval = eval;
    pipe->grid = *grid;
    leaf_select(pipe, &node, pick);
    return pipe;
}

// --- running -------------------------------------------------------------------------------------

// Samples in memory are those of the leaf, as Prometheus counts them.
static Status count_samples(const EvalPipe *pipe, EvalWorker *worker, const PromqlSeries *series,
                            Err *err)
{
    const uint64_t samples = eval_samples_in(series, pipe->grid.steps);
    worker->samples += samples;
    return eval_samples_add(pipe->eval, samples, err);
}

static Status pass(const EvalPipe *pipe, EvalWorker *worker, PromqlSeries *series, Err *err)
{
    TRY(count_samples(pipe, worker, series, err));
    for (size_t i = 0; i < pipe->stage_count; i++) {
        eval_stage_apply(pipe, &pipe->stages[i], worker, series);
    }
    if (eval_series_empty(series, pipe->grid.steps)) {
        return OK;
    }
    return pipe->sink->take(pipe->sink, worker, series, err);
}

typedef struct PipeJob {
    EvalScanJob job;
    const EvalPipe *pipe;
} PipeJob;

static Status each_scanned(EvalScanJob *job, EvalWorker *worker, const SeriesSamples *in, Err *err)
{
    const EvalPipe *pipe = ((PipeJob *)job)->pipe;
    PromqlSeries series;
    TRY(eval_leaf_series(pipe, worker, in, &series, err));
    if (eval_series_empty(&series, pipe->grid.steps)) {
        return OK;
    }
    return pass(pipe, worker, &series, err);
}

// The samples that a leaf over a grid looks at: both ends inclusive.
static void scan_range(const EvalPipe *pipe, int64_t *min_ms, int64_t *max_ms)
{
    const EvalLeaf *leaf = &pipe->leaf;
    const int64_t lookback = pipe->eval->lookback_ms;
    const PlanSelect *select = &leaf->select;
    const bool instant = leaf->range_ms == 0;
    const int64_t first = plan_time_of(&leaf->time, pipe->grid.start_ms);
    *max_ms = plan_time_of(&leaf->time, eval_step_ms(&pipe->grid, pipe->grid.steps - 1));
    *min_ms = plan_time_add(first, 1 - (instant ? lookback : leaf->range_ms));
    if (!instant && (select->anchored || select->smoothed)) {
        *min_ms = plan_time_add(*min_ms, -lookback);
    }
    if (select->smoothed) {
        *max_ms = plan_time_add(*max_ms, lookback);
    }
}

static Status run_scan(EvalPipe *pipe, Err *err)
{
    SeriesScan *scan = NULL;
    int64_t min_ms = 0;
    int64_t max_ms = 0;
    scan_range(pipe, &min_ms, &max_ms);
    TRY(eval_scan_open(pipe->eval, &pipe->leaf.select, min_ms, max_ms, &scan, err));
    PipeJob job = {.job = {.eval = pipe->eval, .steps = pipe->grid.steps, .each = each_scanned},
                   .pipe = pipe};
    return eval_scan_run(&job.job, scan, err);
}

static Status run_matrix(EvalPipe *pipe, Err *err)
{
    Eval *eval = pipe->eval;
    TRY(eval_workers(eval, 1, pipe->grid.steps, err));
    EvalWorker *worker = eval->workers[0];
    for (size_t i = 0; i < pipe->leaf.matrix.count; i++) {
        PromqlSeries series = pipe->leaf.matrix.series[i];
        TRY(eval_check(eval, err));
        if (pipe->leaf.kind == EVAL_LEAF_SUBQUERY) {
            const PromqlSeries in = series;
            TRY(eval_leaf_subquery(pipe, worker, &in, &series, err));
        }
        TRY(pass(pipe, worker, &series, err));
        TRY(eval_charge(eval, &worker->arena, &worker->arena_charged_bytes, err));
        if (worker->scratch.blocks != NULL) {
            arena_reset(&worker->scratch);
        }
    }
    return OK;
}

Status eval_pipe_run(EvalPipe *pipe, EvalSink *sink, Err *err)
{
    Eval *eval = pipe->eval;
    pipe->sink = sink;
    if (pipe->grid.steps == 0) {
        return OK;
    }
    for (uint32_t i = 0; i < eval->worker_count; i++) {
        eval->workers[i]->samples = 0;
    }
    const bool select = pipe->leaf.kind == EVAL_LEAF_SELECT;
    const uint32_t steps =
        pipe->leaf.kind == EVAL_LEAF_MATRIX ? pipe->grid.steps : pipe->leaf.sub_grid.steps;
    const uint64_t before = select ? 0 : eval_samples_of(&pipe->leaf.matrix, steps);
    TRY(select ? run_scan(pipe, err) : run_matrix(pipe, err));
    pipe->samples = 0;
    for (uint32_t i = 0; i < eval->worker_count; i++) {
        pipe->samples += eval->workers[i]->samples;
    }
    eval_samples_drop(eval, before);
    return OK;
}

// --- collecting ----------------------------------------------------------------------------------

typedef struct Collected { // by one worker
    PromqlSeries *series;
    size_t count, cap;
} Collected;

typedef struct Collector {
    EvalSink sink;
    const EvalPipe *pipe;
    Collected parts[EVAL_THREADS_MAX];
} Collector;

static void keep_histograms(EvalWorker *w, const PromqlSeries *from, uint32_t steps,
                            PromqlSeries *to)
{
    const Histogram *last = NULL;
    const Histogram *copy = NULL;
    to->histograms = arena_new(&w->arena, const Histogram *, steps);
    for (uint32_t i = 0; i < steps; i++) {
        const Histogram *h = eval_has(from->present, i) ? from->histograms[i] : NULL;
        if (h != NULL && h != last) { // the same one may be there at many steps
            last = h;
            copy = eval_histogram_copy(h, &w->arena);
        }
        to->histograms[i] = h == NULL ? NULL : copy;
    }
}

static Status collect(EvalSink *sink, EvalWorker *w, PromqlSeries *series, Err *err)
{
    Collector *c = (Collector *)sink;
    const uint32_t steps = c->pipe->grid.steps;
    Collected *part = &c->parts[w->index];
    PromqlSeries kept = eval_series_new(&w->arena, steps, false);
    kept.labels = eval_labels_copy(&series->labels, &w->arena);
    kept.drop_name = series->drop_name;
    memcpy(kept.values, series->values, steps * sizeof(double));
    memcpy(kept.present, series->present, eval_words(steps) * sizeof(uint64_t));
    if (series->histograms != NULL) {
        keep_histograms(w, series, steps, &kept);
    }
    part->series = mem_grow(part->series, &part->cap, part->count + 1, sizeof(kept));
    part->series[part->count++] = kept;
    const uint64_t max = w->eval->options->series_max;
    const uint64_t before =
        atomic_fetch_add_explicit(&w->eval->series_count, 1, memory_order_relaxed);
    if (max != 0 && before >= max) {
        return err_set(err, ERR_LIMIT, "query needs more than %" PRIu64 " series", max);
    }
    return OK;
}

// A series in a worker's scratch may lend its labels; collect() has copied the array, and text that
// functions make stays in the worker's arena.
static Status gather(Collector *c, PromqlMatrix *out, Err *err)
{
    Eval *eval = c->pipe->eval;
    size_t count = 0;
    for (uint32_t i = 0; i < EVAL_THREADS_MAX; i++) {
        count += c->parts[i].count;
    }
    out->type = PROMQL_VECTOR;
    out->series = arena_new(&eval->arena, PromqlSeries, count);
    for (uint32_t i = 0; i < EVAL_THREADS_MAX; i++) {
        const Collected *part = &c->parts[i];
        if (part->count != 0) {
            memcpy(out->series + out->count, part->series, part->count * sizeof(*part->series));
            out->count += part->count;
        }
    }
    return eval_charge(eval, &eval->arena, &eval->arena_charged_bytes, err);
}

static bool saw_metadata(const Eval *eval)
{
    for (uint32_t i = 0; i < eval->worker_count; i++) {
        if (eval->workers[i]->metadata_seen) {
            return true;
        }
    }
    return false;
}

Status eval_pipe_collect(EvalPipe *pipe, PromqlMatrix *out, Err *err)
{
    Collector *c = mem_new(Collector, 1);
    c->sink.take = collect;
    c->pipe = pipe;
    *out = (PromqlMatrix){.type = PROMQL_VECTOR};
    Status st = eval_pipe_run(pipe, &c->sink, err);
    if (st == OK) {
        st = gather(c, out, err);
    }
    for (uint32_t i = 0; i < EVAL_THREADS_MAX; i++) {
        mem_free(c->parts[i].series);
    }
    mem_free(c);
    if (st == OK && pipe->leaf.kind == EVAL_LEAF_SELECT) {
        eval_matrix_sort(out); // threads bring them in any order
        // Series of one name that differ in their type or unit may have become the same.
        if (saw_metadata(pipe->eval)) {
            st = eval_matrix_merge(pipe->eval, out, pipe->grid.steps, EVAL_MERGE, err);
        }
    }
    // Stages may have left some out.
    eval_samples_drop(pipe->eval, pipe->samples - eval_samples_of(out, pipe->grid.steps));
    return st;
}
