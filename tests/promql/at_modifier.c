// SPDX-License-Identifier: Apache-2.0
#include "tests/promql/at_modifier.h"

#include "promql/functions.h"

// Functions whose result depends on when they are evaluated, whatever their arguments do.
static bool is_unsafe(const PromqlFunction *function)
{
    static const char *const names[] = {
        "days_in_month", "day_of_month", "day_of_week", "day_of_year", "end",
        "hour",          "minute",       "month",       "year",        "predict_linear",
        "range",         "start",        "step",        "time",        "timestamp"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i], function->name) == 0) {
            return true;
        }
    }
    return false;
}

static void set_time(const PromqlTime *time, int64_t time_ms)
{
    // The tree is this file's own, and nobody else looks at it.
    PromqlTime *own = (PromqlTime *)(uintptr_t)time;
    if (own->at != PROMQL_AT_TIME) { // start() and end() are the time, too
        own->at = PROMQL_AT_TIME;
        own->at_ms = time_ms;
    }
}

// False: there is a function that forbids it.
static bool pin(const PromqlNode *node, int64_t time_ms)
{
    bool ok = true;
    if (node == NULL) {
        return true;
    }
    switch (node->kind) {
    case PROMQL_NUMBER:
    case PROMQL_TEXT:
    case PROMQL_DURATION_EXPR:
        return true;
    case PROMQL_SELECTOR:
        set_time(&node->u.selector.time, time_ms);
        return true;
    case PROMQL_RANGE:
        return pin(node->u.range.selector, time_ms);
    case PROMQL_SUBQUERY: // what is inside runs at times of its own
        set_time(&node->u.subquery.time, time_ms);
        return true;
    case PROMQL_CALL:
        ok = !is_unsafe(node->u.call.function);
        for (size_t i = 0; i < node->u.call.arg_count; i++) {
            ok = pin(node->u.call.args[i], time_ms) && ok;
        }
        return ok;
    case PROMQL_AGGREGATE:
        ok = pin(node->u.aggregate.param, time_ms);
        return pin(node->u.aggregate.expr, time_ms) && ok;
    case PROMQL_BINARY:
        ok = pin(node->u.binary.left, time_ms);
        return pin(node->u.binary.right, time_ms) && ok;
    case PROMQL_UNARY:
        return pin(node->u.unary.expr, time_ms);
    case PROMQL_PAREN:
        return pin(node->u.paren, time_ms);
    }
    return false;
}

bool at_modifier_print(Str expr, const PromqlFeatures *features, int64_t time_ms, Buf *out)
{
    PromqlExpr *tree = NULL;
    Err err;
    if (promql_parse(expr, features, &tree, &err) != OK) {
        return false;
    }
    const bool ok = pin(promql_expr_root(tree), time_ms);
    if (ok) {
        promql_print(promql_expr_root(tree), out);
    }
    promql_expr_free(tree);
    return ok;
}
