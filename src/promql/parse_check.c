// SPDX-License-Identifier: Apache-2.0
//
// What can be wrong with a tree that the grammar allows: types, numbers of arguments, matching.
// Operands are checked before what they stand in, from left to right, so that the first error is
// that of Prometheus. Recursion ends at PROMQL_DEPTH_MAX.
#include "promql/parse_internal.h"

#include "promql/quote.h"

static Status expect_type(Parser *parser, const PromqlNode *node, PromqlType want,
                          const char *where)
{
    TRY(parse_check(parser, node));
    if (node->type != want) {
        return parse_fail(parser, node->pos.start, "expected type %s in %s, got %s",
                          promql_type_name(want), where, promql_type_name(node->type));
    }
    return OK;
}

static Status check_aggregate(Parser *parser, const PromqlNode *node)
{
    TRY(expect_type(parser, node->u.aggregate.expr, PROMQL_VECTOR, "aggregation expression"));
    if (node->u.aggregate.param == NULL) {
        return OK;
    }
    const PromqlType want =
        node->u.aggregate.op == PROMQL_COUNT_VALUES ? PROMQL_STRING : PROMQL_SCALAR;
    return expect_type(parser, node->u.aggregate.param, want, "aggregation parameter");
}

static bool is_comparison(PromqlOp op)
{
    return parse_precedence(op) == PARSE_COMPARE && op != PROMQL_TRIM_UPPER &&
           op != PROMQL_TRIM_LOWER;
}

static bool is_set(PromqlOp op)
{
    return parse_precedence(op) <= PARSE_AND;
}

// Where the operator is: what follows the left operand, but for blanks.
static uint32_t operator_at(const Parser *parser, const PromqlNode *node)
{
    const Str text = parser->expr->text;
    uint32_t at = node->u.binary.left->pos.end;
    while (at < text.len && memchr(" \t\r\n", text.ptr[at], 4) != NULL) {
        at++;
    }
    return at;
}

static Status check_operator(Parser *parser, const PromqlNode *node)
{
    const PromqlOp op = node->u.binary.op;
    const bool scalars = node->type == PROMQL_SCALAR;
    if (node->u.binary.is_bool && !is_comparison(op)) {
        return parse_fail(parser, operator_at(parser, node),
                          "bool modifier can only be used on comparison operators");
    }
    if (is_comparison(op) && !node->u.binary.is_bool && scalars) {
        return parse_fail(parser, operator_at(parser, node),
                          "comparisons between scalars must use BOOL modifier");
    }
    for (size_t i = 0; node->u.binary.on && i < node->u.binary.label_count; i++) {
        for (size_t k = 0; k < node->u.binary.include_count; k++) {
            if (str_eq(node->u.binary.labels[i], node->u.binary.include[k])) {
                const Str label = quote_in(&parser->expr->arena, node->u.binary.labels[i]);
                return parse_fail(parser, operator_at(parser, node),
                                  "label " STR_FMT " must not occur in ON and GROUP clause at once",
                                  STR_ARG(label));
            }
        }
    }
    return OK;
}

static Status check_matching(Parser *parser, const PromqlNode *node)
{
    const PromqlOp op = node->u.binary.op;
    const bool fills = node->u.binary.has_fill_left || node->u.binary.has_fill_right;
    const uint32_t at = node->pos.start;
    if (!node->u.binary.has_matching) {
        if (node->u.binary.label_count > 0) {
            return parse_fail(parser, at, "vector matching only allowed between instant vectors");
        }
        if (fills) {
            return parse_fail(parser, at,
                              "filling in missing series only allowed between instant vectors");
        }
    } else if (is_set(op)) {
        if (node->u.binary.matching != PROMQL_MANY_TO_MANY) {
            return parse_fail(parser, at, "no grouping allowed for \"%s\" operation",
                              promql_op_text(op));
        }
        if (fills) {
            return parse_fail(parser, at,
                              "filling in missing series not allowed for set operators");
        }
    }
    if (is_set(op) && (node->u.binary.left->type == PROMQL_SCALAR ||
                       node->u.binary.right->type == PROMQL_SCALAR)) {
        return parse_fail(parser, at, "set operator \"%s\" not allowed in binary scalar expression",
                          promql_op_text(op));
    }
    return OK;
}

static bool is_number_or_vector(const PromqlNode *node)
{
    return node->type == PROMQL_SCALAR || node->type == PROMQL_VECTOR;
}

static Status check_binary(Parser *parser, const PromqlNode *node)
{
    const PromqlNode *const sides[] = {node->u.binary.left, node->u.binary.right};
    TRY(parse_check(parser, sides[0]));
    TRY(parse_check(parser, sides[1]));
    TRY(check_operator(parser, node));
    for (size_t i = 0; i < 2; i++) {
        if (!is_number_or_vector(sides[i])) {
            return parse_fail(
                parser, sides[i]->pos.start,
                "binary expression must contain only scalar and instant vector types");
        }
    }
    return check_matching(parser, node);
}

static Status check_arg_count(Parser *parser, const PromqlNode *node)
{
    const PromqlFunction *function = node->u.call.function;
    const int got = (int)node->u.call.arg_count; // at most PROMQL_ARGS_MAX
    const int least = function->variadic == 0 ? function->arg_count : function->arg_count - 1;
    const int most = least + function->variadic;
    if (function->variadic == 0 && got != least) {
        return parse_fail(parser, node->pos.start,
                          "expected %d argument(s) in call to \"%s\", got %d", least,
                          function->name, got);
    }
    if (got < least) {
        return parse_fail(parser, node->pos.start,
                          "expected at least %d argument(s) in call to \"%s\", got %d", least,
                          function->name, got);
    }
    if (function->variadic > 0 && got > most) {
        return parse_fail(parser, node->pos.start,
                          "expected at most %d argument(s) in call to \"%s\", got %d", most,
                          function->name, got);
    }
    return OK;
}

// The second argument of info() is not a selector of series but of labels.
static Status check_info(Parser *parser, const PromqlNode *node)
{
    const PromqlNode *labels = node->u.call.args[1];
    if (labels->type != PROMQL_VECTOR) {
        return parse_fail(parser, node->pos.start,
                          "expected type instant vector in call to function \"info\", got %s",
                          promql_type_name(labels->type));
    }
    if (labels->kind != PROMQL_SELECTOR) {
        return parse_fail(parser, labels->pos.start, "expected label selectors only");
    }
    if (labels->u.selector.name.len > 0) {
        return parse_fail(parser, labels->pos.start,
                          "expected label selectors only, got vector selector instead");
    }
    return OK;
}

static Status check_call(Parser *parser, const PromqlNode *node)
{
    const PromqlFunction *function = node->u.call.function;
    const bool info = strcmp(function->name, "info") == 0;
    TRY(check_arg_count(parser, node));
    if (info && node->u.call.arg_count > 1) {
        TRY(check_info(parser, node));
    }
    for (size_t i = 0; i < node->u.call.arg_count; i++) {
        const PromqlNode *arg = node->u.call.args[i];
        const size_t last = (size_t)function->arg_count - 1;
        const PromqlType want = function->args[i < last ? i : last];
        if (!info || i != 1) { // labels that all may be empty are right there
            TRY(parse_check(parser, arg));
        }
        if (arg->type != want) {
            return parse_fail(parser, arg->pos.start,
                              "expected type %s in call to function \"%s\", got %s",
                              promql_type_name(want), function->name, promql_type_name(arg->type));
        }
    }
    return OK;
}

static Status check_selector(Parser *parser, const PromqlNode *node)
{
    const Str name = node->u.selector.name;
    const size_t count = node->u.selector.matcher_count;
    if (name.len > 0) { // its matcher is the last
        for (size_t i = 0; i + 1 < count; i++) {
            const Matcher *matcher = node->u.selector.matchers[i];
            if (str_eq(matcher_name(matcher), STR("__name__"))) {
                const Str first = quote_in(&parser->expr->arena, name);
                const Str second = quote_in(&parser->expr->arena, matcher_value(matcher));
                return parse_fail(parser, node->pos.start,
                                  "metric name must not be set twice: " STR_FMT " or " STR_FMT,
                                  STR_ARG(first), STR_ARG(second));
            }
        }
        return OK;
    }
    for (size_t i = 0; i < count; i++) {
        if (!matcher_matches(node->u.selector.matchers[i], STR(""))) {
            return OK;
        }
    }
    return parse_fail(parser, node->pos.start,
                      "vector selector must contain at least one non-empty matcher");
}

Status parse_check(Parser *parser, const PromqlNode *node)
{
    switch (node->kind) {
    case PROMQL_NUMBER:
    case PROMQL_TEXT:
    case PROMQL_DURATION_EXPR:
        return OK;
    case PROMQL_SELECTOR:
        return check_selector(parser, node);
    case PROMQL_RANGE:
        return check_selector(parser, node->u.range.selector);
    case PROMQL_SUBQUERY:
        TRY(parse_check(parser, node->u.subquery.expr));
        if (node->u.subquery.expr->type != PROMQL_VECTOR) {
            static const char *const names[] = {"scalar", "vector", "matrix", "string", "none"};
            return parse_fail(parser, node->pos.start,
                              "subquery is only allowed on instant vector, got %s instead",
                              names[node->u.subquery.expr->type]);
        }
        return OK;
    case PROMQL_CALL:
        return check_call(parser, node);
    case PROMQL_AGGREGATE:
        return check_aggregate(parser, node);
    case PROMQL_BINARY:
        return check_binary(parser, node);
    case PROMQL_UNARY:
        TRY(parse_check(parser, node->u.unary.expr));
        if (!is_number_or_vector(node->u.unary.expr)) {
            return parse_fail(parser, node->pos.start,
                              "unary expression only allowed on expressions of type scalar or "
                              "instant vector, got \"%s\"",
                              promql_type_name(node->u.unary.expr->type));
        }
        return OK;
    case PROMQL_PAREN:
        return parse_check(parser, node->u.paren);
    }
    UNREACHABLE();
}
