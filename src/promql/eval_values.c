// SPDX-License-Identifier: Apache-2.0
//
// quantile, stddev, stdvar: aggregations that look at all values of a group in a fixed order; and
// count_values.
#include "base/utf8.h"
#include "codec/dtoa.h"
#include "promql/eval_internal.h"
#include "promql/quote.h"

#include <math.h>
#include <stdlib.h>

static int compare_floats(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    if (isnan(x) || isnan(y)) {
        return isnan(y) - isnan(x); // first, as vectorByValueHeap has them
    }
    return (x > y) - (x < y);
}

static double quantile(double q, double *values, size_t count)
{
    if (count == 0 || isnan(q)) {
        return (double)NAN;
    }
    if (q < 0 || q > 1) {
        return q < 0 ? -(double)INFINITY : (double)INFINITY;
    }
    qsort(values, count, sizeof(*values), compare_floats);
    const double n = (double)count;
    const double rank = q * (n - 1);
    const double lower = fmax(0, floor(rank));
    const double upper = fmin(n - 1, lower + 1);
    const double weight = rank - floor(rank);
    return values[(size_t)lower] * (1 - weight) + values[(size_t)upper] * weight;
}

// Welford's.
static double variance(const double *values, size_t count)
{
    double mean = 0;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0) {
            mean = values[0];
            sum = isfinite(values[0]) ? 0 : (double)NAN;
            continue;
        }
        const double delta = values[i] - mean;
        mean += delta / (double)(i + 1);
        sum += delta * (values[i] - mean);
    }
    return sum / (double)count;
}

static const char *op_text(PromqlAggregate op)
{
    return op == PROMQL_STDVAR ? "stdvar" : op == PROMQL_STDDEV ? "stddev" : "quantile";
}

typedef struct Values {
    Eval *eval;
    const PlanNode *node;
    const PromqlGrid *grid;
    PromqlMatrix in;
    const double *params; // quantile: one per step
    EvalGroups groups;
    uint32_t *group_of; // by series
    uint32_t *members;  // series, group after group
    size_t *starts;     // by group: its first member; one more at the end
    double *room;       // for the values of a group
} Values;

static void find_members(Values *v)
{
    Arena *arena = &v->eval->arena;
    const EvalGrouping by = eval_grouping(v->node);
    eval_groups_init(&v->groups, &by, arena);
    v->group_of = arena_new(arena, uint32_t, v->in.count);
    v->members = arena_new(arena, uint32_t, v->in.count);
    v->starts = arena_new(arena, size_t, v->in.count + 2);
    v->room = arena_new(arena, double, v->in.count);
    for (size_t i = 0; i < v->in.count; i++) {
        v->group_of[i] = (uint32_t)eval_groups_find(&v->groups, &v->in.series[i].labels, arena);
        v->starts[v->group_of[i] + 2]++;
    }
    for (size_t i = 2; i < v->groups.count + 2; i++) {
        v->starts[i] += v->starts[i - 1];
    }
    for (size_t i = 0; i < v->in.count; i++) {
        v->members[v->starts[v->group_of[i] + 1]++] = (uint32_t)i;
    }
}

// The floats of a group at a step.
static size_t gather(Values *v, size_t group, uint32_t step)
{
    size_t count = 0;
    for (size_t i = v->starts[group]; i < v->starts[group + 1]; i++) {
        const PromqlSeries *s = &v->in.series[v->members[i]];
        if (!eval_has(s->present, step)) {
            continue;
        }
        if (eval_histogram(s, step) != NULL) {
            promql_note(v->eval->notes, PROMQL_INFO, v->node->u.aggregate.expr->pos,
                        "ignored histogram in %s aggregation", op_text(v->node->u.aggregate.op));
            continue;
        }
        v->room[count++] = s->values[step];
    }
    return count;
}

static PromqlSeries group_series(Values *v, size_t group)
{
    const PromqlAggregate op = v->node->u.aggregate.op;
    PromqlSeries series = eval_series_new(&v->eval->arena, v->grid->steps, false);
    series.labels = v->groups.labels[group];
    for (size_t i = v->starts[group]; i < v->starts[group + 1]; i++) {
        series.drop_name |= v->in.series[v->members[i]].drop_name;
    }
    for (uint32_t step = 0; step < v->grid->steps; step++) {
        const size_t count = gather(v, group, step);
        if (count == 0) {
            continue;
        }
        const double value = op == PROMQL_QUANTILE ? quantile(v->params[step], v->room, count)
                                                   : variance(v->room, count);
        series.values[step] = op == PROMQL_STDDEV ? sqrt(value) : value;
        eval_set(series.present, step);
    }
    return series;
}

static void note_quantile(const Values *v)
{
    double min = (double)INFINITY;
    double max = -(double)INFINITY;
    bool has_nan = false;
    const PromqlPos pos = v->node->u.aggregate.param->pos;
    const char *text = "quantile value should be between 0 and 1";
    for (uint32_t i = 0; i < v->grid->steps; i++) {
        has_nan |= isnan(v->params[i]);
        min = fmin(min, v->params[i]);
        max = fmax(max, v->params[i]);
    }
    if (has_nan) {
        promql_note_got(v->eval->notes, PROMQL_WARNING, pos, text, (double)NAN);
        return;
    }
    if (max > 1) {
        promql_note_got(v->eval->notes, PROMQL_WARNING, pos, text, max);
    }
    if (min < 0) {
        promql_note_got(v->eval->notes, PROMQL_WARNING, pos, text, min);
    }
}

Status eval_values(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                   Err *err)
{
    Values v = {.eval = eval, .node = node, .grid = grid};
    Status st = OK;
    *out = (PromqlMatrix){.type = PROMQL_VECTOR};
    if (node->u.aggregate.param != NULL) {
        TRY(eval_scalar(eval, node->u.aggregate.param, grid, &v.params, err));
    }
    TRY(eval_node(eval, node->u.aggregate.expr, grid, &v.in, err));
    if (v.params != NULL) {
        note_quantile(&v);
    }
    const uint64_t before = eval_samples_of(&v.in, grid->steps);
    find_members(&v);
    out->series = arena_new(&eval->arena, PromqlSeries, v.groups.count);
    for (size_t i = 0; i < v.groups.count; i++) {
        TRY_OUT(eval_check(eval, err));
        out->series[out->count++] = group_series(&v, i);
    }
    eval_matrix_compact(out, grid->steps);
    eval_samples_drop(eval, before);
    TRY_OUT(eval_samples_add(eval, eval_samples_of(out, grid->steps), err));
out:
    eval_groups_deinit(&v.groups);
    return st;
}

// --- count_values --------------------------------------------------------------------------------

typedef struct Counts {
    Eval *eval;
    uint32_t steps;
    Str label;
    EvalGroups groups; // by the labels of the result
    PromqlSeries *series;
    size_t cap;
} Counts;

// The grouping, with the label that has the value.
static void init_counts(Counts *c, const PlanNode *node)
{
    const bool without = node->u.aggregate.without;
    const size_t count = node->u.aggregate.grouping_count;
    Str *names = arena_new(&c->eval->arena, Str, count + 1);
    size_t n = 0;
    bool in = without;
    for (size_t i = 0; i < count; i++) {
        const Label name = {.name = node->u.aggregate.grouping[i]};
        const Label label = {.name = c->label};
        const LabelSet a = {&name, 1};
        const LabelSet b = {&label, 1};
        const int order = eval_labels_compare(&a, &b);
        if (!in && order >= 0) {
            in = true;
            names[n++] = c->label;
        }
        if (without || order != 0) {
            names[n++] = name.name;
        }
    }
    if (!in) {
        names[n++] = c->label;
    }
    const EvalGrouping by = {.names = names, .count = n, .without = without};
    eval_groups_init(&c->groups, &by, &c->eval->arena);
}

static Str value_text(Counts *c, const PromqlSeries *s, uint32_t step)
{
    Buf text;
    buf_init(&text, 0);
    const Histogram *h = eval_histogram(s, step);
    if (h != NULL) {
        histogram_format(h, &text);
    } else {
        dtoa_put_f64(&text, s->values[step], DTOA_GO_F);
    }
    const Str copy = arena_str(&c->eval->arena, buf_str(&text));
    buf_deinit(&text);
    return copy;
}

static void count_series(Counts *c, const PromqlSeries *s)
{
    size_t at = SIZE_MAX;
    double last = 0;
    for (uint32_t step = 0; step < c->steps; step++) {
        if (!eval_has(s->present, step)) {
            continue;
        }
        const bool same = at != SIZE_MAX && eval_histogram(s, step) == NULL &&
                          memcmp(&last, &s->values[step], sizeof(last)) == 0;
        if (!same) {
            Arena *arena = &c->eval->arena;
            const size_t before = c->groups.count;
            const LabelSet set =
                eval_labels_with(&s->labels, c->label, value_text(c, s, step), arena);
            at = eval_groups_find(&c->groups, &set, arena);
            if (at == before) {
                c->series = mem_grow(c->series, &c->cap, at + 1, sizeof(*c->series));
                c->series[at] = eval_series_new(arena, c->steps, false);
                c->series[at].labels = c->groups.labels[at];
            }
            last = s->values[step];
        }
        eval_set(c->series[at].present, step);
        c->series[at].values[step]++;
        if (eval_histogram(s, step) != NULL) {
            at = SIZE_MAX;
        }
    }
}

Status eval_count_values(Eval *eval, const PlanNode *node, const PromqlGrid *grid,
                         PromqlMatrix *out, Err *err)
{
    Counts c = {.eval = eval, .steps = grid->steps, .label = node->u.aggregate.param->u.text};
    PromqlMatrix in = {0};
    Status st = OK;
    *out = (PromqlMatrix){.type = PROMQL_VECTOR};
    if (c.label.len == 0 || !utf8_is_valid(c.label)) {
        Buf quoted;
        buf_init(&quoted, 0);
        quote_put(&quoted, c.label);
        st = err_set(err, ERR_INVALID, "invalid label name " STR_FMT, STR_ARG(buf_str(&quoted)));
        buf_deinit(&quoted);
        return st;
    }
    TRY(eval_node(eval, node->u.aggregate.expr, grid, &in, err));
    const uint64_t before = eval_samples_of(&in, grid->steps);
    init_counts(&c, node);
    for (size_t i = 0; i < in.count; i++) {
        TRY_OUT(eval_check(eval, err));
        count_series(&c, &in.series[i]);
        TRY_OUT(eval_charge(eval, &eval->arena, &eval->arena_charged_bytes, err));
    }
    out->series = arena_new(&eval->arena, PromqlSeries, c.groups.count);
    out->count = c.groups.count;
    if (out->count != 0) {
        memcpy(out->series, c.series, out->count * sizeof(*out->series));
    }
    eval_samples_drop(eval, before);
    TRY_OUT(eval_samples_add(eval, eval_samples_of(out, grid->steps), err));
out:
    eval_groups_deinit(&c.groups);
    mem_free(c.series);
    return st;
}
