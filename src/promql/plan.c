// SPDX-License-Identifier: Apache-2.0
#include "promql/plan_internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct Planner {
    const PlanRequest *request;
    Arena *arena;
} Planner;

int64_t plan_time_add(int64_t a_ms, int64_t b_ms)
{
    int64_t sum = 0;
    if (__builtin_add_overflow(a_ms, b_ms, &sum)) {
        return b_ms > 0 ? INT64_MAX / 2 : INT64_MIN / 2;
    }
    return sum > INT64_MAX / 2 ? INT64_MAX / 2 : sum < INT64_MIN / 2 ? INT64_MIN / 2 : sum;
}

int64_t plan_time_of(const PlanTime *time, int64_t t_ms)
{
    return plan_time_add(time->has_at ? time->at_ms : t_ms, -time->offset_ms);
}

const PlanNode *plan_inner(const PlanNode *node)
{
    while (node->kind == PLAN_INVARIANT) {
        node = node->u.child;
    }
    return node;
}

bool plan_is_function(const PlanNode *node, const char *name)
{
    return node->kind == PLAN_CALL && strcmp(node->u.call.function->name, name) == 0;
}

// --- durations -----------------------------------------------------------------------------------

static Status duration_error(const PromqlNode *node, const char *what, Err *err)
{
    return err_set(err, ERR_INVALID, "%" PRIu32 ":%" PRIu32 ": %s", node->pos.start, node->pos.end,
                   what);
}

static Status duration_value(const Planner *p, const PromqlNode *node, double *out, Err *err)
{
    if (node->kind == PROMQL_PAREN) {
        return duration_value(p, node->u.paren, out, err);
    }
    if (node->kind == PROMQL_NUMBER) {
        *out = node->u.number.value;
        return OK;
    }
    if (node->kind != PROMQL_DURATION_EXPR) {
        return duration_error(node, "unexpected duration expression type", err);
    }
    const PlanRequest *r = p->request;
    double left = 0;
    double right = 0;
    if (node->u.duration.left != NULL) {
        TRY(duration_value(p, node->u.duration.left, &left, err));
    }
    if (node->u.duration.right != NULL) {
        TRY(duration_value(p, node->u.duration.right, &right, err));
    }
    const bool sign = node->u.duration.right == NULL || node->u.duration.left == NULL;
    const double only = node->u.duration.left != NULL ? left : right;
    switch (node->u.duration.op) {
    case PROMQL_STEP:
        *out = (double)r->step_ms / 1000;
        return OK;
    case PROMQL_RANGE_LENGTH:
        *out = (double)(r->end_ms - r->start_ms) / 1000;
        return OK;
    case PROMQL_MIN_OF:
        *out = fmin(left, right);
        return OK;
    case PROMQL_MAX_OF:
        *out = fmax(left, right);
        return OK;
    case PROMQL_ADD:
        *out = sign ? only : left + right;
        return OK;
    case PROMQL_SUB:
        *out = sign ? -only : left - right;
        return OK;
    case PROMQL_MUL:
        *out = left * right;
        return OK;
    case PROMQL_DIV:
        *out = left / right;
        return right == 0 ? duration_error(node, "division by zero", err) : OK;
    case PROMQL_MOD:
        *out = fmod(left, right);
        return right == 0 ? duration_error(node, "modulo by zero", err) : OK;
    case PROMQL_POW:
        *out = pow(left, right);
        return OK;
    case PROMQL_ATAN2:
    case PROMQL_EQ:
    case PROMQL_NE:
    case PROMQL_LT:
    case PROMQL_LE:
    case PROMQL_GT:
    case PROMQL_GE:
    case PROMQL_AND:
    case PROMQL_OR:
    case PROMQL_UNLESS:
    case PROMQL_TRIM_UPPER:
    case PROMQL_TRIM_LOWER:
        break;
    }
    return duration_error(node, "unexpected duration expression operator", err);
}

// *ms stays as it is when there is no expression.
static Status duration_ms(const Planner *p, const PromqlNode *expr, bool negative, int64_t *ms,
                          Err *err)
{
    double seconds = 0;
    if (expr == NULL) {
        return OK;
    }
    TRY(duration_value(p, expr, &seconds, err));
    if (!isfinite(seconds)) {
        return duration_error(expr, "duration is NaN or infinite", err);
    }
    if (seconds <= 0 && !negative) {
        return duration_error(expr, "duration must be greater than 0", err);
    }
    // What Go's time.Duration can hold: 64 bits of nanoseconds.
    if (seconds > 9223372036.854775807 || seconds < -9223372036.854775808) {
        return duration_error(expr, "duration is out of range", err);
    }
    *ms = (int64_t)(seconds * 1000);
    return OK;
}

static Status make_time(const Planner *p, const PromqlTime *time, PlanTime *out, Err *err)
{
    out->offset_ms = time->offset_ms;
    TRY(duration_ms(p, time->offset_expr, true, &out->offset_ms, err));
    out->has_at = time->at != PROMQL_AT_NONE;
    switch (time->at) {
    case PROMQL_AT_NONE:
        break;
    case PROMQL_AT_TIME:
        out->at_ms = time->at_ms;
        break;
    case PROMQL_AT_START:
        out->at_ms = p->request->start_ms;
        break;
    case PROMQL_AT_END:
        out->at_ms = p->request->end_ms;
        break;
    }
    return OK;
}

// --- nodes ---------------------------------------------------------------------------------------

static Status make(const Planner *p, const PromqlNode *node, PlanNode **out, Err *err);

static PlanNode *new_node(const Planner *p, PlanKind kind, const PromqlNode *node)
{
    PlanNode *plan = arena_new(p->arena, PlanNode, 1);
    plan->kind = kind;
    plan->type = node->type;
    plan->node = node;
    plan->pos = node->pos;
    return plan;
}

static Status make_select(const Planner *p, const PromqlNode *node, PlanNode *plan, Err *err)
{
    PlanSelect *select = &plan->u.select;
    select->matchers = node->u.selector.matchers;
    select->matcher_count = node->u.selector.matcher_count;
    select->anchored = node->u.selector.anchored;
    select->smoothed = node->u.selector.smoothed;
    select->all_labels = true;
    select->pos = plan->pos;
    for (size_t i = 0; i < select->matcher_count; i++) {
        const Matcher *m = select->matchers[i];
        if (matcher_op(m) == MATCH_EQ && matcher_value(m).len != 0 &&
            str_eq(matcher_name(m), STR("__name__"))) {
            select->one_name = true;
        }
    }
    return make_time(p, &node->u.selector.time, &select->time, err);
}

static Status make_subquery(const Planner *p, const PromqlNode *node, PlanNode *plan, Err *err)
{
    plan->u.subquery.range_ms = node->u.subquery.range_ms;
    plan->u.subquery.step_ms = node->u.subquery.step_ms;
    TRY(make_time(p, &node->u.subquery.time, &plan->u.subquery.time, err));
    TRY(duration_ms(p, node->u.subquery.step_expr, false, &plan->u.subquery.step_ms, err));
    TRY(duration_ms(p, node->u.subquery.range_expr, false, &plan->u.subquery.range_ms, err));
    if (plan->u.subquery.step_ms == 0) {
        plan->u.subquery.step_ms = p->request->default_step_ms;
    }
    return make(p, node->u.subquery.expr, &plan->u.subquery.expr, err);
}

// start(), end(), range() and step() are numbers of the query.
static bool fold(const Planner *p, PlanNode *plan)
{
    const PlanRequest *r = p->request;
    double value = 0;
    if (plan_is_function(plan, "start")) {
        value = (double)r->start_ms / 1000;
    } else if (plan_is_function(plan, "end")) {
        value = (double)r->end_ms / 1000;
    } else if (plan_is_function(plan, "range")) {
        value = (double)(r->end_ms - r->start_ms) / 1000;
    } else if (plan_is_function(plan, "step")) {
        value = r->start_ms == r->end_ms ? 0 : (double)r->step_ms / 1000;
    } else {
        return false;
    }
    plan->kind = PLAN_NUMBER;
    plan->u.number = value;
    return true;
}

static Status make_call(const Planner *p, const PromqlNode *node, PlanNode *plan, Err *err)
{
    const size_t count = node->u.call.arg_count;
    plan->u.call.function = node->u.call.function;
    plan->u.call.arg_count = count;
    if (fold(p, plan)) {
        return OK;
    }
    plan->u.call.args = arena_new(p->arena, PlanNode *, count);
    for (size_t i = 0; i < count; i++) {
        TRY(make(p, node->u.call.args[i], &plan->u.call.args[i], err));
    }
    return OK;
}

static int compare_str(const void *a, const void *b)
{
    const Str *x = a;
    const Str *y = b;
    const size_t n = x->len < y->len ? x->len : y->len;
    const int order = n == 0 ? 0 : memcmp(x->ptr, y->ptr, n);
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static size_t sort_unique(Str *names, size_t count)
{
    size_t kept = 0;
    if (count != 0) {
        qsort(names, count, sizeof(*names), compare_str);
    }
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || !str_eq(names[kept - 1], names[i])) {
            names[kept++] = names[i];
        }
    }
    return kept;
}

static Status make_aggregate(const Planner *p, const PromqlNode *node, PlanNode *plan, Err *err)
{
    const size_t count = node->u.aggregate.grouping_count;
    Str *names = arena_new(p->arena, Str, count + 1);
    plan->u.aggregate.op = node->u.aggregate.op;
    plan->u.aggregate.without = node->u.aggregate.without;
    for (size_t i = 0; i < count; i++) {
        names[i] = node->u.aggregate.grouping[i];
    }
    plan->u.aggregate.grouping_count = sort_unique(names, count);
    plan->u.aggregate.grouping = names;
    if (node->u.aggregate.param != NULL) {
        TRY(make(p, node->u.aggregate.param, &plan->u.aggregate.param, err));
    }
    return make(p, node->u.aggregate.expr, &plan->u.aggregate.expr, err);
}

static Status make_binary(const Planner *p, const PromqlNode *node, PlanNode *plan, Err *err)
{
    const size_t count = node->u.binary.label_count;
    Str *names = arena_new(p->arena, Str, count);
    for (size_t i = 0; i < count; i++) {
        names[i] = node->u.binary.labels[i];
    }
    plan->u.binary.op = node->u.binary.op;
    plan->u.binary.label_count = sort_unique(names, count);
    plan->u.binary.labels = names;
    TRY(make(p, node->u.binary.left, &plan->u.binary.left, err));
    return make(p, node->u.binary.right, &plan->u.binary.right, err);
}

static Status make_range(const Planner *p, const PromqlNode *node, PlanNode **out, Err *err)
{
    PlanNode *plan = new_node(p, PLAN_SELECT, node);
    TRY(make_select(p, node->u.range.selector, plan, err));
    plan->u.select.range_ms = node->u.range.range_ms;
    TRY(duration_ms(p, node->u.range.range_expr, false, &plan->u.select.range_ms, err));
    *out = plan;
    return OK;
}

static Status make_inner(const Planner *p, const PromqlNode *node, PlanNode *plan, Err *err)
{
    switch (plan->kind) {
    case PLAN_NUMBER:
        plan->u.number = node->u.number.value;
        return OK;
    case PLAN_TEXT:
        plan->u.text = node->u.text;
        return OK;
    case PLAN_SELECT:
        return make_select(p, node, plan, err);
    case PLAN_SUBQUERY:
        return make_subquery(p, node, plan, err);
    case PLAN_CALL:
        return make_call(p, node, plan, err);
    case PLAN_AGGREGATE:
        return make_aggregate(p, node, plan, err);
    case PLAN_BINARY:
        return make_binary(p, node, plan, err);
    case PLAN_NEGATE:
        return make(p, node->u.unary.expr, &plan->u.child, err);
    case PLAN_INVARIANT:
        break;
    }
    UNREACHABLE();
}

static Status make(const Planner *p, const PromqlNode *node, PlanNode **out, Err *err)
{
    static const PlanKind kinds[] = {
        [PROMQL_NUMBER] = PLAN_NUMBER,
        [PROMQL_TEXT] = PLAN_TEXT,
        [PROMQL_SELECTOR] = PLAN_SELECT,
        [PROMQL_SUBQUERY] = PLAN_SUBQUERY,
        [PROMQL_CALL] = PLAN_CALL,
        [PROMQL_AGGREGATE] = PLAN_AGGREGATE,
        [PROMQL_BINARY] = PLAN_BINARY,
        [PROMQL_UNARY] = PLAN_NEGATE,
        [PROMQL_PAREN] = PLAN_INVARIANT,
        [PROMQL_RANGE] = PLAN_INVARIANT,
        [PROMQL_DURATION_EXPR] = PLAN_INVARIANT,
    };
    if (node->kind == PROMQL_PAREN) {
        return make(p, node->u.paren, out, err);
    }
    if (node->kind == PROMQL_UNARY && !node->u.unary.minus) {
        return make(p, node->u.unary.expr, out, err);
    }
    if (node->kind == PROMQL_RANGE) {
        return make_range(p, node, out, err);
    }
    if (node->kind == PROMQL_DURATION_EXPR) {
        return err_set(err, ERR_INTERNAL, "a duration expression is no expression");
    }
    *out = new_node(p, kinds[node->kind], node);
    return make_inner(p, node, *out, err);
}

// --- what does not depend on the step ------------------------------------------------------------

typedef struct Invariance {
    bool invariant; // the value is the same at every step
    bool wrap;      // and it pays to mark the node
} Invariance;

static Invariance find_invariant(const Planner *p, PlanNode *plan);

static void wrap(const Planner *p, PlanNode **at)
{
    PlanNode *mark = arena_new(p->arena, PlanNode, 1);
    *mark = (PlanNode){
        .kind = PLAN_INVARIANT, .type = (*at)->type, .node = (*at)->node, .pos = (*at)->pos};
    mark->u.child = *at;
    *at = mark;
}

// timestamp(m @ t) is invariant, timestamp(abs(m @ t)) is the time of the step.
static bool is_plain_timestamp(const PlanNode *plan)
{
    const PlanNode *arg = plan->u.call.arg_count == 1 ? plan->u.call.args[0] : NULL;
    return plan_is_function(plan, "timestamp") && arg->kind == PLAN_SELECT &&
           arg->u.select.time.has_at;
}

static Invariance find_in_call(const Planner *p, PlanNode *plan)
{
    bool wraps[PROMQL_ARGS_MAX] = {false};
    bool invariant = (plan->u.call.function->flags & PROMQL_FN_AT_UNSAFE) == 0;
    const size_t count = plan->u.call.arg_count;
    ASSERT(count <= PROMQL_ARGS_MAX);
    for (size_t i = 0; i < count; i++) {
        const Invariance arg = find_invariant(p, plan->u.call.args[i]);
        invariant = invariant && arg.invariant;
        wraps[i] = arg.wrap;
    }
    if (invariant || is_plain_timestamp(plan)) {
        return (Invariance){true, true};
    }
    for (size_t i = 0; i < count; i++) {
        if (wraps[i]) {
            wrap(p, &plan->u.call.args[i]);
        }
    }
    return (Invariance){false, false};
}

static Invariance find_in_binary(const Planner *p, PlanNode *plan)
{
    const Invariance left = find_invariant(p, plan->u.binary.left);
    const Invariance right = find_invariant(p, plan->u.binary.right);
    if (left.invariant && right.invariant) {
        return (Invariance){true, true};
    }
    if (left.wrap) {
        wrap(p, &plan->u.binary.left);
    }
    if (right.wrap) {
        wrap(p, &plan->u.binary.right);
    }
    return (Invariance){false, false};
}

// As Prometheus' preprocessExprHelper: an aggregation follows its expression alone, whatever its
// parameter is.
static Invariance find_invariant(const Planner *p, PlanNode *plan)
{
    switch (plan->kind) {
    case PLAN_NUMBER:
    case PLAN_TEXT:
        return (Invariance){true, false};
    case PLAN_SELECT:
        return (Invariance){plan->u.select.time.has_at,
                            plan->u.select.time.has_at && plan->type == PROMQL_VECTOR};
    case PLAN_SUBQUERY:
        if (find_invariant(p, plan->u.subquery.expr).invariant) {
            wrap(p, &plan->u.subquery.expr);
        }
        return (Invariance){plan->u.subquery.time.has_at, false};
    case PLAN_CALL:
        return find_in_call(p, plan);
    case PLAN_AGGREGATE:
        return find_invariant(p, plan->u.aggregate.expr);
    case PLAN_BINARY:
        return find_in_binary(p, plan);
    case PLAN_NEGATE:
    case PLAN_INVARIANT:
        return find_invariant(p, plan->u.child);
    }
    UNREACHABLE();
}

// --- which labels are needed ---------------------------------------------------------------------

typedef struct Need {
    bool all;
    const Str *names; // sorted
    size_t count;
} Need;

static const Need need_all = {.all = true};

static void find_need(const Planner *p, PlanNode *plan, Need need);

// A selection of which only some labels are wanted must not need the others to tell series apart:
// taking the name off must keep them different, which it does when all have the same name.
static bool is_chain(const PlanNode *plan)
{
    switch (plan->kind) {
    case PLAN_SELECT:
        return plan->u.select.one_name;
    case PLAN_SUBQUERY:
        return is_chain(plan->u.subquery.expr);
    case PLAN_NEGATE:
    case PLAN_INVARIANT:
        return is_chain(plan->u.child);
    case PLAN_CALL:
        if (plan->u.call.function->kind != PROMQL_FN_RANGE &&
            plan->u.call.function->kind != PROMQL_FN_SAMPLE) {
            return false;
        }
        for (size_t i = 0; i < plan->u.call.arg_count; i++) {
            const PlanNode *arg = plan->u.call.args[i];
            if (arg->type == PROMQL_VECTOR || arg->type == PROMQL_MATRIX) {
                return is_chain(arg);
            }
        }
        return false;
    case PLAN_BINARY:
        if (plan->u.binary.left->type == PROMQL_VECTOR) {
            return plan->u.binary.right->type == PROMQL_SCALAR && is_chain(plan->u.binary.left);
        }
        return plan->u.binary.right->type == PROMQL_VECTOR && is_chain(plan->u.binary.right);
    case PLAN_NUMBER:
    case PLAN_TEXT:
    case PLAN_AGGREGATE:
        return false;
    }
    UNREACHABLE();
}

// Labels that names of annotations are taken from are always there.
static Need need_of_grouping(const Planner *p, const PlanNode *plan)
{
    const size_t count = plan->u.aggregate.grouping_count;
    Str *names = arena_new(p->arena, Str, count + 3);
    size_t n = 0;
    names[n++] = STR("__name__");
    if (p->request->metadata_labels) {
        names[n++] = STR("__type__");
        names[n++] = STR("__unit__");
    }
    for (size_t i = 0; i < count; i++) {
        names[n++] = plan->u.aggregate.grouping[i];
    }
    return (Need){.names = names, .count = sort_unique(names, n)};
}

static void find_need_of_aggregate(const Planner *p, PlanNode *plan)
{
    Need need = need_all;
    switch (plan->u.aggregate.op) {
    case PROMQL_SUM:
    case PROMQL_AVG:
    case PROMQL_COUNT:
    case PROMQL_MIN:
    case PROMQL_MAX:
    case PROMQL_GROUP:
        if (!plan->u.aggregate.without && is_chain(plan->u.aggregate.expr)) {
            need = need_of_grouping(p, plan);
        }
        break;
    case PROMQL_STDDEV:
    case PROMQL_STDVAR:
    case PROMQL_TOPK:
    case PROMQL_BOTTOMK:
    case PROMQL_COUNT_VALUES:
    case PROMQL_QUANTILE:
    case PROMQL_LIMITK:
    case PROMQL_LIMIT_RATIO:
        break; // their series are put in order, by their labels
    }
    find_need(p, plan->u.aggregate.expr, need);
    if (plan->u.aggregate.param != NULL) {
        find_need(p, plan->u.aggregate.param, need_all);
    }
}

static void find_need(const Planner *p, PlanNode *plan, Need need)
{
    switch (plan->kind) {
    case PLAN_NUMBER:
    case PLAN_TEXT:
        break;
    case PLAN_SELECT:
        plan->u.select.all_labels = need.all;
        plan->u.select.labels = need.names;
        plan->u.select.label_count = need.count;
        break;
    case PLAN_SUBQUERY:
        find_need(p, plan->u.subquery.expr, need);
        break;
    case PLAN_CALL:
        for (size_t i = 0; i < plan->u.call.arg_count; i++) {
            find_need(p, plan->u.call.args[i], is_chain(plan) ? need : need_all);
        }
        break;
    case PLAN_AGGREGATE:
        find_need_of_aggregate(p, plan);
        break;
    case PLAN_BINARY:
        need = is_chain(plan) ? need : need_all;
        find_need(p, plan->u.binary.left, need);
        find_need(p, plan->u.binary.right, need);
        break;
    case PLAN_NEGATE:
    case PLAN_INVARIANT:
        find_need(p, plan->u.child, need);
        break;
    }
}

// --- which histograms are only counted -----------------------------------------------------------

static bool needs_buckets(const PlanNode *plan)
{
    if (plan->kind == PLAN_BINARY) {
        return plan->u.binary.op == PROMQL_TRIM_UPPER || plan->u.binary.op == PROMQL_TRIM_LOWER;
    }
    return plan->kind == PLAN_SUBQUERY || plan_is_function(plan, "histogram_quantile") ||
           plan_is_function(plan, "histogram_quantiles") ||
           plan_is_function(plan, "histogram_fraction");
}

// As detectHistogramStatsDecoding in promql/engine.go.
static void find_counts(PlanNode *plan, bool counts)
{
    if (needs_buckets(plan)) {
        return;
    }
    switch (plan->kind) {
    case PLAN_NUMBER:
    case PLAN_TEXT:
    case PLAN_SUBQUERY:
        break;
    case PLAN_SELECT:
        plan->u.select.only_counts = counts;
        break;
    case PLAN_CALL:
        counts = counts || plan_is_function(plan, "histogram_count") ||
                 plan_is_function(plan, "histogram_sum") || plan_is_function(plan, "histogram_avg");
        for (size_t i = 0; i < plan->u.call.arg_count; i++) {
            find_counts(plan->u.call.args[i], counts);
        }
        break;
    case PLAN_AGGREGATE:
        find_counts(plan->u.aggregate.expr, counts);
        break;
    case PLAN_BINARY:
        find_counts(plan->u.binary.left, counts);
        find_counts(plan->u.binary.right, counts);
        break;
    case PLAN_NEGATE:
    case PLAN_INVARIANT:
        find_counts(plan->u.child, counts);
        break;
    }
}

Status plan_make(const PromqlNode *root, const PlanRequest *request, PlanNode **out, Err *err)
{
    const Planner p = {.request = request, .arena = request->arena};
    *out = NULL;
    PlanNode *plan = NULL;
    TRY(make(&p, root, &plan, err));
    if (find_invariant(&p, plan).wrap) {
        wrap(&p, &plan);
    }
    find_need(&p, plan, need_all);
    find_counts(plan, false);
    *out = plan;
    return OK;
}
