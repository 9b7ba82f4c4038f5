// SPDX-License-Identifier: Apache-2.0
//
// topk, bottomk, limitk, limit_ratio: some of the series of each group, step by step.
#include "codec/dtoa.h"
#include "promql/eval_internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

typedef struct Item {
    double value;
    uint32_t series;
} Item;

typedef struct Heap { // the worst of the best at the top, as container/heap of Go keeps it
    Item *items;
    size_t count;
    bool bottom; // of bottomk
    bool seen;   // a sample, also one that was left out
} Heap;

typedef struct Choice {
    Eval *eval;
    const PlanNode *node;
    const PromqlGrid *grid;
    PromqlMatrix in;
    uint32_t *group_of; // by series
    size_t group_count;
    Heap *heaps; // by group
    const double *params;
    double *offsets;   // limit_ratio: by series, in [0, 1)
    uint64_t **chosen; // by series: presence bits; NULL: never chosen yet
} Choice;

// --- the heap ------------------------------------------------------------------------------------

static bool is_less(const Heap *h, Item a, Item b)
{
    return isnan(a.value) || (h->bottom ? a.value > b.value : a.value < b.value);
}

static void swap(Heap *h, size_t i, size_t j)
{
    const Item item = h->items[i];
    h->items[i] = h->items[j];
    h->items[j] = item;
}

static void push(Heap *h, Item item)
{
    size_t at = h->count++;
    h->items[at] = item;
    while (at != 0 && is_less(h, h->items[at], h->items[(at - 1) / 2])) {
        swap(h, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void replace_top(Heap *h, Item item)
{
    size_t at = 0;
    h->items[0] = item;
    for (size_t child = 1; child < h->count; child = 2 * at + 1) {
        if (child + 1 < h->count && is_less(h, h->items[child + 1], h->items[child])) {
            child++;
        }
        if (!is_less(h, h->items[child], h->items[at])) {
            break;
        }
        swap(h, at, child);
        at = child;
    }
}

static bool beats_top(const Heap *h, double value)
{
    const double top = h->items[0].value;
    return (h->bottom ? top > value : top < value) || (isnan(top) && !isnan(value));
}

// --- one step ------------------------------------------------------------------------------------

static void take_best(Heap *h, Item item, size_t k)
{
    if (h->count < k) {
        push(h, item);
    } else if (beats_top(h, item.value)) {
        replace_top(h, item);
    }
}

static bool ratio_takes(double ratio, double offset)
{
    return (ratio >= 0 && offset < ratio) || (ratio < 0 && offset >= 1 + ratio);
}

static void look(Choice *c, uint32_t series, uint32_t step, size_t k)
{
    const PromqlAggregate op = c->node->u.aggregate.op;
    const PromqlSeries *s = &c->in.series[series];
    Heap *h = &c->heaps[c->group_of[series]];
    const Item item = {s->values[step], series};
    const bool best = op == PROMQL_TOPK || op == PROMQL_BOTTOMK;
    if (best && eval_histogram(s, step) != NULL) {
        promql_note(c->eval->notes, PROMQL_INFO, c->node->pos,
                    "ignored histogram in %s aggregation", promql_aggregate_text(op));
        return;
    }
    if (best) {
        take_best(h, item, k);
        return;
    }
    const double ratio = fmin(fmax(c->params[step], -1), 1);
    const bool taken = op == PROMQL_LIMITK ? h->count < k : ratio_takes(ratio, c->offsets[series]);
    if (taken) {
        h->items[h->count++] = item;
    }
}

static void mark(Choice *c, const Heap *h, uint32_t step)
{
    for (size_t i = 0; i < h->count; i++) {
        uint64_t **bits = &c->chosen[h->items[i].series];
        if (*bits == NULL) {
            *bits = arena_new(&c->eval->arena, uint64_t, eval_words(c->grid->steps));
        }
        eval_set(*bits, step);
    }
}

// How many of each group at a step; 0: none.
static size_t k_at(const Choice *c, uint32_t step)
{
    const double k = c->params[step];
    if (c->node->u.aggregate.op == PROMQL_LIMIT_RATIO) {
        return k == 0 ? 0 : c->in.count;
    }
    return k < 1 ? 0 : k >= (double)c->in.count ? c->in.count : (size_t)k;
}

static void choose_step(Choice *c, uint32_t step)
{
    const size_t k = k_at(c, step);
    for (size_t i = 0; i < c->group_count; i++) {
        c->heaps[i].count = 0;
    }
    if (k == 0) {
        return;
    }
    for (uint32_t i = 0; i < c->in.count; i++) {
        if (eval_has(c->in.series[i].present, step)) {
            look(c, i, step, k);
        }
    }
    for (size_t i = 0; i < c->group_count; i++) {
        mark(c, &c->heaps[i], step);
    }
}

// --- parameters ----------------------------------------------------------------------------------

typedef struct Extent {
    double min, max;
    bool has_nan;
} Extent;

static Extent extent_of(const double *values, uint32_t count)
{
    Extent e = {.min = DBL_MAX, .max = -DBL_MAX};
    for (uint32_t i = 0; i < count; i++) {
        e.has_nan |= isnan(values[i]);
        e.min = isnan(values[i]) || values[i] < e.min ? values[i] : e.min;
        e.max = isnan(values[i]) || values[i] > e.max ? values[i] : e.max;
    }
    if (e.has_nan) {
        e.min = (double)NAN;
        e.max = (double)NAN;
    }
    return e;
}

static Status check_k(Extent e, Err *err)
{
    char text[DTOA_BYTES_MAX];
    const double limit = 9223372036854775808.0; // 2^63
    if (e.has_nan) {
        return err_set(err, ERR_INVALID, "Parameter value is NaN");
    }
    if (e.min <= -limit) {
        const size_t n = dtoa_f64(e.min, DTOA_GO_G, text);
        return err_set(err, ERR_INVALID, "Scalar value %.*s underflows int64", (int)n, text);
    }
    if (e.max >= limit) {
        const size_t n = dtoa_f64(e.max, DTOA_GO_G, text);
        return err_set(err, ERR_INVALID, "Scalar value %.*s overflows int64", (int)n, text);
    }
    return OK;
}

static void note_ratio(const Choice *c, double got, const char *to)
{
    char text[DTOA_BYTES_MAX];
    const size_t n = dtoa_f64(got, DTOA_GO_G, text);
    promql_note(c->eval->notes, PROMQL_WARNING, c->node->u.aggregate.param->pos,
                "ratio value should be between -1 and 1, got %.*s, capping to %s", (int)n, text,
                to);
}

// *none: nothing is chosen at any step.
static Status check_params(Choice *c, bool *none, Err *err)
{
    const Extent e = extent_of(c->params, c->grid->steps);
    if (c->node->u.aggregate.op != PROMQL_LIMIT_RATIO) {
        *none = e.max < 1;
        return *none ? OK : check_k(e, err);
    }
    *none = e.max == 0 && e.min == 0;
    if (e.has_nan) {
        return err_set(err, ERR_INVALID, "Ratio value is NaN");
    }
    if (e.max > 1) {
        note_ratio(c, e.max, "1");
    }
    if (e.min < -1) {
        note_ratio(c, e.min, "-1");
    }
    return OK;
}

// --- groups and the result -----------------------------------------------------------------------

static void find_groups(Choice *c)
{
    Arena *arena = &c->eval->arena;
    EvalGroups groups;
    const EvalGrouping by = eval_grouping(c->node);
    eval_groups_init(&groups, &by, arena);
    c->group_of = arena_new(arena, uint32_t, c->in.count);
    size_t *sizes = arena_new(arena, size_t, c->in.count + 1);
    for (size_t i = 0; i < c->in.count; i++) {
        c->group_of[i] = (uint32_t)eval_groups_find(&groups, &c->in.series[i].labels, arena);
        sizes[c->group_of[i]]++;
    }
    c->group_count = groups.count;
    c->heaps = arena_new(arena, Heap, groups.count);
    for (size_t i = 0; i < groups.count; i++) {
        c->heaps[i].items = arena_new(arena, Item, sizes[i]);
        c->heaps[i].bottom = c->node->u.aggregate.op == PROMQL_BOTTOMK;
    }
    eval_groups_deinit(&groups);
}

// Prometheus samples by the hash of the labels, as a part of 2^64.
static void find_offsets(Choice *c)
{
    c->offsets = arena_new(&c->eval->arena, double, c->in.count);
    for (size_t i = 0; i < c->in.count; i++) {
        c->offsets[i] = (double)eval_labels_prom_hash(&c->in.series[i].labels) / 0x1p64;
    }
}

static int compare_down(const void *a, const void *b)
{
    const Item *x = a;
    const Item *y = b;
    if (isnan(x->value) || isnan(y->value)) {
        return isnan(x->value) != isnan(y->value)
                   ? (isnan(x->value) ? 1 : -1)
                   : (x->series > y->series) - (x->series < y->series);
    }
    return x->value != y->value ? (x->value < y->value ? 1 : -1)
                                : (x->series > y->series) - (x->series < y->series);
}

static int compare_up(const void *a, const void *b)
{
    const Item *x = a;
    const Item *y = b;
    return isnan(x->value) || isnan(y->value) || x->value == y->value ? compare_down(a, b)
           : x->value < y->value                                      ? -1
                                                                      : 1;
}

// One step: group after group, the best first.
static void in_order(Choice *c, PromqlMatrix *out)
{
    const PromqlAggregate op = c->node->u.aggregate.op;
    for (size_t i = 0; i < c->group_count; i++) {
        Heap *h = &c->heaps[i];
        if (op == PROMQL_TOPK || op == PROMQL_BOTTOMK) {
            qsort(h->items, h->count, sizeof(Item), h->bottom ? compare_up : compare_down);
        }
        for (size_t j = 0; j < h->count; j++) {
            out->series[out->count++] = c->in.series[h->items[j].series];
        }
    }
}

static void result(Choice *c, PromqlMatrix *out)
{
    out->series = arena_new(&c->eval->arena, PromqlSeries, c->in.count);
    if (c->grid->steps == 1) {
        in_order(c, out);
        return;
    }
    for (size_t i = 0; i < c->in.count; i++) {
        if (c->chosen[i] != NULL) {
            out->series[out->count] = c->in.series[i];
            out->series[out->count++].present = c->chosen[i];
        }
    }
}

Status eval_choose(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                   Err *err)
{
    Choice c = {.eval = eval, .node = node, .grid = grid};
    bool none = false;
    *out = (PromqlMatrix){.type = PROMQL_VECTOR};
    TRY(eval_scalar(eval, node->u.aggregate.param, grid, &c.params, err));
    TRY(eval_node(eval, node->u.aggregate.expr, grid, &c.in, err));
    TRY(check_params(&c, &none, err));
    const uint64_t before = eval_samples_of(&c.in, grid->steps);
    if (!none) {
        find_groups(&c);
        if (node->u.aggregate.op == PROMQL_LIMIT_RATIO) {
            find_offsets(&c);
        }
        c.chosen = arena_new(&eval->arena, uint64_t *, c.in.count);
        for (uint32_t step = 0; step < grid->steps; step++) {
            TRY(eval_check(eval, err));
            choose_step(&c, step);
        }
        result(&c, out);
    }
    eval_samples_drop(eval, before);
    return eval_samples_add(eval, eval_samples_of(out, grid->steps), err);
}
