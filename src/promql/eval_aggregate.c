// SPDX-License-Identifier: Apache-2.0
//
// Aggregations that take one series after the other: sum, avg, count, min, max, group. Each worker
// has groups of its own, merged at the end; sums are compensated, so that it does not show who
// added what. Histograms are added by one thread at a time: there are few of them, and each is
// many numbers.
#include "promql/eval_internal.h"

#include <math.h>

enum {
    CELL_SEEN = 1,
    CELL_FLOAT = 2,
    CELL_HISTOGRAM = 4,
    CELL_MEAN = 8,
    CELL_BAD = 16,
    CELL_RESET = 32,
    CELL_NOT_RESET = 64
};

typedef struct Cell { // a group at a step
    double value, compensation, count;
    HistogramSum *sum;
    uint32_t flags;
} Cell;

typedef struct Part { // of one worker
    EvalGroups groups;
    Cell **cells; // by group, one per step
    bool *drop_names;
    size_t cells_cap, drop_names_cap;
} Part;

typedef struct Grouper {
    EvalSink sink;
    Eval *eval;
    const PlanNode *node;
    const EvalPipe *pipe;
    uint32_t steps;
    Mutex mu;                     // level 62: histograms, and the query's arena
    Part parts[EVAL_THREADS_MAX]; // by worker
    Part histograms;              // mu
} Grouper;

static Cell *cells_of(Grouper *g, Part *part, const PromqlSeries *series, Arena *arena)
{
    EvalGroups *groups = &part->groups;
    if (groups->names == NULL) {
        const EvalGrouping by = eval_grouping(g->node);
        eval_groups_init(groups, &by, arena);
    }
    const size_t before = groups->count;
    const size_t i = eval_groups_find(groups, &series->labels, arena);
    if (i == before) {
        part->cells = mem_grow(part->cells, &part->cells_cap, i + 1, sizeof(*part->cells));
        part->drop_names =
            mem_grow(part->drop_names, &part->drop_names_cap, i + 1, sizeof(*part->drop_names));
        part->cells[i] = arena_new(arena, Cell, g->steps);
        part->drop_names[i] = false;
    }
    part->drop_names[i] |= series->drop_name;
    return part->cells[i];
}

// --- one sample ----------------------------------------------------------------------------------

static void to_mean(Cell *c)
{
    if ((c->flags & CELL_MEAN) == 0) {
        c->value /= c->count;
        c->compensation /= c->count;
        c->flags |= CELL_MEAN;
    }
}

// The mean of the sum, as long as that does not overflow; then the mean of the means.
static void add_avg(Cell *c, double v)
{
    if ((c->flags & CELL_MEAN) == 0) {
        double sum = c->value;
        double compensation = c->compensation;
        eval_kahan_add(v, &sum, &compensation);
        if (!isinf(sum)) {
            c->value = sum;
            c->compensation = compensation;
            c->count++;
            return;
        }
        to_mean(c);
    }
    const double old = c->count / (c->count + 1);
    c->count++;
    c->value *= old;
    c->compensation *= old;
    eval_kahan_add(v / c->count, &c->value, &c->compensation);
}

static void add_float(Cell *c, PromqlAggregate op, double v)
{
    if ((c->flags & CELL_SEEN) == 0) {
        c->flags = CELL_SEEN | CELL_FLOAT;
        c->value = v;
        c->count = 1;
        return;
    }
    c->flags |= CELL_FLOAT;
    if (op == PROMQL_SUM) {
        eval_kahan_add(v, &c->value, &c->compensation);
    } else if (op == PROMQL_COUNT) {
        c->count++;
    } else if (op == PROMQL_AVG) {
        add_avg(c, v);
    } else if (op == PROMQL_MAX) {
        c->value = c->value < v || isnan(c->value) ? v : c->value;
    } else if (op == PROMQL_MIN) {
        c->value = c->value > v || isnan(c->value) ? v : c->value;
    }
}

static void note_problems(const Grouper *g, Cell *c, int problems, const PromqlSeries *series)
{
    PromqlNotes *notes = g->eval->notes;
    const PromqlPos pos = g->node->u.aggregate.expr->pos;
    if ((problems & HISTOGRAM_INCOMPATIBLE) != 0) {
        promql_note_metric(notes, PROMQL_WARNING, pos,
                           "vector contains a mix of histograms with exponential and custom "
                           "buckets schemas for metric name",
                           labels_get(&series->labels, STR("__name__")));
        c->flags |= CELL_BAD;
    }
    if ((problems & HISTOGRAM_BOUNDS_RECONCILED) != 0) {
        promql_note(notes, PROMQL_INFO, pos,
                    "mismatched custom buckets were reconciled during aggregation");
    }
}

static void add_histogram(Grouper *g, Cell *c, const Histogram *h, const PromqlSeries *series)
{
    const PromqlAggregate op = g->node->u.aggregate.op;
    int problems = HISTOGRAM_FINE;
    if (op == PROMQL_MIN || op == PROMQL_MAX) {
        promql_note(g->eval->notes, PROMQL_INFO, g->node->u.aggregate.expr->pos,
                    "ignored histogram in %s aggregation", op == PROMQL_MIN ? "min" : "max");
        return;
    }
    const bool first = (c->flags & CELL_SEEN) == 0;
    c->flags |= CELL_SEEN;
    if (op == PROMQL_COUNT || op == PROMQL_GROUP) {
        c->count++;
        return;
    }
    c->flags |= CELL_HISTOGRAM;
    if ((c->flags & CELL_BAD) != 0 || (!first && c->sum == NULL)) {
        return; // there were floats before: no result, whatever comes
    }
    c->flags |= h->hint == HISTOGRAM_HINT_RESET       ? (uint32_t)CELL_RESET
                : h->hint == HISTOGRAM_HINT_NOT_RESET ? (uint32_t)CELL_NOT_RESET
                                                      : 0;
    if (c->sum == NULL) {
        c->sum = histogram_sum_new(op == PROMQL_AVG, &g->eval->arena);
    }
    histogram_sum_add(c->sum, h, &problems);
    note_problems(g, c, problems, series);
}

static Status take(EvalSink *sink, EvalWorker *w, PromqlSeries *series, Err *err)
{
    Grouper *g = (Grouper *)sink;
    const PromqlAggregate op = g->node->u.aggregate.op;
    (void)err;
    if (series->histograms == NULL) {
        Cell *cells = cells_of(g, &g->parts[w->index], series, &w->arena);
        for (uint32_t i = 0; i < g->steps; i++) {
            if (eval_has(series->present, i)) {
                add_float(&cells[i], op, series->values[i]);
            }
        }
        return OK;
    }
    mutex_lock(&g->mu);
    Cell *cells = cells_of(g, &g->histograms, series, &g->eval->arena);
    for (uint32_t i = 0; i < g->steps; i++) {
        if (eval_has(series->present, i)) {
            if (series->histograms[i] == NULL) {
                add_float(&cells[i], op, series->values[i]);
            } else {
                add_histogram(g, &cells[i], series->histograms[i], series);
            }
        }
    }
    mutex_unlock(&g->mu);
    return OK;
}

// --- merging -------------------------------------------------------------------------------------

static void merge_avg(Cell *a, const Cell *b)
{
    Cell other = *b;
    if (((a->flags | b->flags) & CELL_MEAN) == 0) {
        double sum = a->value;
        double compensation = a->compensation;
        eval_kahan_add(b->value, &sum, &compensation);
        if (!isinf(sum)) {
            a->value = sum;
            a->compensation = compensation + b->compensation;
            a->count += b->count;
            return;
        }
    }
    to_mean(a);
    to_mean(&other);
    const double count = a->count + other.count;
    a->value *= a->count / count;
    a->compensation *= a->count / count;
    eval_kahan_add(other.value * (other.count / count), &a->value, &a->compensation);
    a->compensation += other.compensation * (other.count / count);
    a->count = count;
}

static void merge_floats(Cell *a, const Cell *b, PromqlAggregate op)
{
    if ((a->flags & CELL_FLOAT) == 0) {
        a->value = b->value;
        a->compensation = b->compensation;
        a->count += b->count;
        a->flags |= b->flags;
    } else if (op == PROMQL_SUM) {
        eval_kahan_add(b->value, &a->value, &a->compensation);
        a->compensation += isinf(a->value) ? 0 : b->compensation;
    } else if (op == PROMQL_AVG) {
        merge_avg(a, b);
    } else if (op == PROMQL_COUNT) {
        a->count += b->count;
    } else {
        add_float(a, op, b->value);
    }
}

static void merge_cell(Cell *a, const Cell *b, PromqlAggregate op)
{
    if ((b->flags & CELL_SEEN) == 0) {
        return;
    }
    if ((b->flags & CELL_FLOAT) != 0) {
        merge_floats(a, b, op);
    } else {
        a->count += b->count; // of histograms alone
    }
    a->flags |= b->flags;
    a->sum = b->sum != NULL ? b->sum : a->sum; // only one part has any
}

static void merge_part(Grouper *g, Part *into, const Part *from)
{
    const PromqlAggregate op = g->node->u.aggregate.op;
    for (size_t i = 0; i < from->groups.count; i++) {
        const PromqlSeries key = {.labels = from->groups.labels[i],
                                  .drop_name = from->drop_names[i]};
        Cell *cells = cells_of(g, into, &key, &g->eval->arena);
        for (uint32_t step = 0; step < g->steps; step++) {
            merge_cell(&cells[step], &from->cells[i][step], op);
        }
    }
}

// --- the result ----------------------------------------------------------------------------------

static const Histogram *result_histogram(const Grouper *g, const Cell *c)
{
    Arena *arena = &g->eval->arena;
    const Histogram *h = histogram_sum_result(c->sum, arena);
    return h == NULL ? NULL : histogram_compact(h, 0, arena);
}

// False: the group has no value at this step.
static bool result_sample(const Grouper *g, const Cell *c, PromqlSample *out)
{
    const PromqlAggregate op = g->node->u.aggregate.op;
    const PromqlPos pos = g->node->u.aggregate.expr->pos;
    *out = (PromqlSample){.value = c->value};
    if ((c->flags & CELL_SEEN) == 0) {
        return false;
    }
    if (op == PROMQL_COUNT) {
        out->value = c->count;
    } else if (op == PROMQL_GROUP) {
        out->value = 1;
    } else if (op == PROMQL_SUM || op == PROMQL_AVG) {
        if ((c->flags & CELL_FLOAT) != 0 && (c->flags & CELL_HISTOGRAM) != 0) {
            promql_note(g->eval->notes, PROMQL_WARNING, pos,
                        "encountered a mix of histograms and floats for aggregation");
            return false;
        }
        if ((c->flags & CELL_BAD) != 0) {
            return false;
        }
        if ((c->flags & CELL_RESET) != 0 && (c->flags & CELL_NOT_RESET) != 0) {
            promql_note(g->eval->notes, PROMQL_WARNING, pos,
                        "conflicting counter resets during histogram aggregation");
        }
        if ((c->flags & CELL_HISTOGRAM) != 0) {
            out->histogram = result_histogram(g, c);
            return out->histogram != NULL;
        }
        const double n = op == PROMQL_AVG && (c->flags & CELL_MEAN) == 0 ? c->count : 1;
        out->value = n == 1 ? c->value + c->compensation : c->value / n + c->compensation / n;
    }
    return true;
}

static PromqlSeries result_series(const Grouper *g, const Part *part, size_t group)
{
    Arena *arena = &g->eval->arena;
    PromqlSeries series = eval_series_new(arena, g->steps, false);
    series.labels = part->groups.labels[group];
    series.drop_name = part->drop_names[group];
    for (uint32_t i = 0; i < g->steps; i++) {
        PromqlSample sample;
        if (!result_sample(g, &part->cells[group][i], &sample)) {
            continue;
        }
        eval_set(series.present, i);
        series.values[i] = sample.value;
        if (sample.histogram != NULL) {
            eval_series_widen(arena, &series, g->steps);
            series.histograms[i] = sample.histogram;
        }
    }
    return series;
}

static void result(Grouper *g, PromqlMatrix *out)
{
    Part *all = &g->parts[0];
    for (uint32_t i = 1; i < g->eval->worker_count; i++) {
        merge_part(g, all, &g->parts[i]);
    }
    merge_part(g, all, &g->histograms);
    out->type = PROMQL_VECTOR;
    out->series = arena_new(&g->eval->arena, PromqlSeries, all->groups.count);
    for (size_t i = 0; i < all->groups.count; i++) {
        out->series[out->count++] = result_series(g, all, i);
    }
    eval_matrix_compact(out, g->steps);
    eval_matrix_sort(out); // threads find groups in any order
}

static void part_deinit(Part *part)
{
    eval_groups_deinit(&part->groups);
    mem_free(part->cells);
    mem_free(part->drop_names);
}

static Status stream(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                     Err *err)
{
    EvalPipe *pipe = NULL;
    TRY(eval_pipe_open(eval, node->u.aggregate.expr, grid, &pipe, err));
    Grouper *g = mem_new(Grouper, 1);
    g->sink.take = take;
    g->eval = eval;
    g->node = node;
    g->pipe = pipe;
    g->steps = grid->steps;
    mutex_init_level(&g->mu, 62);
    Status st = eval_pipe_run(pipe, &g->sink, err);
    if (st == OK) {
        result(g, out);
        eval_samples_drop(eval, pipe->samples);
        st = eval_samples_add(eval, eval_samples_of(out, grid->steps), err);
    }
    for (uint32_t i = 0; i < EVAL_THREADS_MAX; i++) {
        part_deinit(&g->parts[i]);
    }
    part_deinit(&g->histograms);
    mutex_deinit(&g->mu);
    mem_free(g);
    return st;
}

Status eval_aggregate(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                      Err *err)
{
    *out = (PromqlMatrix){.type = PROMQL_VECTOR};
    switch (node->u.aggregate.op) {
    case PROMQL_SUM:
    case PROMQL_AVG:
    case PROMQL_COUNT:
    case PROMQL_MIN:
    case PROMQL_MAX:
    case PROMQL_GROUP:
        return stream(eval, node, grid, out, err);
    case PROMQL_STDDEV:
    case PROMQL_STDVAR:
    case PROMQL_QUANTILE:
        return eval_values(eval, node, grid, out, err);
    case PROMQL_COUNT_VALUES:
        return eval_count_values(eval, node, grid, out, err);
    case PROMQL_TOPK:
    case PROMQL_BOTTOMK:
    case PROMQL_LIMITK:
    case PROMQL_LIMIT_RATIO:
        return eval_choose(eval, node, grid, out, err);
    }
    UNREACHABLE();
}
