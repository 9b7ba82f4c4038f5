// SPDX-License-Identifier: Apache-2.0
//
// PromQL text. The first byte says which features are on; the rest is the expression. Oracles: what
// parses is printed, on one line and on several, as text that parses to the same tree; what a
// selector alone is, is one in an expression, too, unless it selects everything; errors say where.
#include "promql/parse.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_BYTES_MAX = 1 << 12 };

static bool is_exact_time(const PromqlTime *time)
{
    // Printed as a floating-point number of seconds.
    const int64_t exact = INT64_C(1) << 50;
    return time->at != PROMQL_AT_TIME || (time->at_ms < exact && time->at_ms > -exact);
}

// Can what is printed be read again as the same? A range of less than a millisecond cannot.
static bool is_exact(const PromqlNode *node)
{
    switch (node->kind) {
    case PROMQL_NUMBER:
    case PROMQL_TEXT:
    case PROMQL_DURATION_EXPR:
        return true;
    case PROMQL_SELECTOR:
        return is_exact_time(&node->u.selector.time);
    case PROMQL_RANGE:
        return (node->u.range.range_ms > 0 || node->u.range.range_expr != NULL) &&
               is_exact(node->u.range.selector);
    case PROMQL_SUBQUERY:
        return (node->u.subquery.range_ms > 0 || node->u.subquery.range_expr != NULL) &&
               is_exact_time(&node->u.subquery.time) && is_exact(node->u.subquery.expr);
    case PROMQL_CALL:
        for (size_t i = 0; i < node->u.call.arg_count; i++) {
            if (!is_exact(node->u.call.args[i])) {
                return false;
            }
        }
        return true;
    case PROMQL_AGGREGATE:
        return is_exact(node->u.aggregate.expr) &&
               (node->u.aggregate.param == NULL || is_exact(node->u.aggregate.param));
    case PROMQL_BINARY:
        return is_exact(node->u.binary.left) && is_exact(node->u.binary.right);
    case PROMQL_UNARY:
        return is_exact(node->u.unary.expr);
    case PROMQL_PAREN:
        return is_exact(node->u.paren);
    }
    UNREACHABLE();
}

typedef struct Printed { // three forms of one tree
    Buf line, pretty, json;
} Printed;

static void print_all(const PromqlExpr *expr, Printed *out)
{
    buf_init(&out->line, 0);
    buf_init(&out->pretty, 0);
    buf_init(&out->json, 0);
    promql_print(promql_expr_root(expr), &out->line);
    promql_print_pretty(promql_expr_root(expr), &out->pretty);
    promql_print_json(promql_expr_root(expr), &out->json);
}

static void printed_deinit(Printed *printed)
{
    buf_deinit(&printed->line);
    buf_deinit(&printed->pretty);
    buf_deinit(&printed->json);
}

// Parses what was printed and prints it again. False: it has become too deep or too long by what
// printing adds.
static bool again(Str text, const PromqlFeatures *features, Printed *out)
{
    PromqlExpr *expr = NULL;
    Err err = {0};
    if (promql_parse(text, features, &expr, &err) != OK) {
        ASSERT(strstr(err.msg, "too deep") != NULL || strstr(err.msg, "too long") != NULL);
        return false;
    }
    print_all(expr, out);
    promql_expr_free(expr);
    return true;
}

static void check_round_trip(const PromqlExpr *expr, const PromqlFeatures *features)
{
    Printed first, line, pretty;
    print_all(expr, &first);
    if (again(buf_str(&first.line), features, &line)) {
        // Printing adds parentheses around some durations, drops the sign + of others and sorts
        // matchers: trees are compared from here on.
        ASSERT(str_eq(buf_str(&line.line), buf_str(&first.line)));
        ASSERT(str_eq(buf_str(&line.pretty), buf_str(&first.pretty)));
        if (again(buf_str(&first.pretty), features, &pretty)) {
            ASSERT(str_eq(buf_str(&pretty.line), buf_str(&first.line)));
            ASSERT(str_eq(buf_str(&pretty.json), buf_str(&line.json)));
            printed_deinit(&pretty);
        }
        printed_deinit(&line);
    }
    printed_deinit(&first);
}

static void check_error(const Err *err, bool empty)
{
    unsigned line = 0, column = 0;
    ASSERT(err->status == ERR_INVALID);
    if (empty) {
        ASSERT(strncmp(err->msg, "unknown position: parse error: ", 31) == 0);
    } else {
        ASSERT(sscanf(err->msg, "%u:%u: parse error: ", &line, &column) == 2);
        ASSERT(line > 0 && column > 0);
    }
}

static void check_selector(Str text, const PromqlFeatures *features)
{
    PromqlExpr *selector = NULL, *expr = NULL;
    Err err = {0};
    if (promql_parse_selector(text, &selector, &err) != OK) {
        check_error(&err, text.len == 0);
        return;
    }
    ASSERT(promql_expr_root(selector)->kind == PROMQL_SELECTOR);
    if (promql_parse(text, features, &expr, &err) == OK) {
        ASSERT(promql_expr_root(expr)->kind == PROMQL_SELECTOR);
    } else {
        ASSERT(strstr(err.msg, "at least one non-empty matcher") != NULL ||
               strstr(err.msg, "must not be set twice") != NULL);
    }
    promql_expr_free(expr);
    promql_expr_free(selector);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > INPUT_BYTES_MAX) {
        return 0;
    }
    const Str text = {(const char *)data + 1, size - 1};
    const PromqlFeatures features = {
        .experimental_functions = (data[0] & 1) == 0,
        .duration_expressions = (data[0] & 2) == 0,
        .extended_range_selectors = (data[0] & 4) == 0,
        .binop_fill_modifiers = (data[0] & 8) == 0,
    };
    PromqlExpr *expr = NULL;
    Err err = {0};
    int64_t ms = 0;
    if (promql_parse(text, &features, &expr, &err) != OK) {
        check_error(&err, text.len == 0);
    } else if (is_exact(promql_expr_root(expr))) {
        check_round_trip(expr, &features);
    }
    promql_expr_free(expr);
    check_selector(text, &features);
    (void)(promql_parse_duration(text, &ms, &err) == OK);
    return 0;
}
