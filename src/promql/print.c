// SPDX-License-Identifier: Apache-2.0
//
// A tree on one line. The same text as Prometheus' String() but where that could not be read back
// as the same: labels of by and on that are keywords are quoted, a selector of nothing is {},
// arithmetic after `offset` is put in parentheses when it would end early, and +(5m) keeps its sign
// there. Printing stops when the buffer is full.
#include "promql/functions.h"
#include "promql/lex_internal.h"
#include "promql/parse.h"
#include "promql/print_internal.h"

#include "base/mem.h"
#include "codec/dtoa.h"
#include "promql/quote.h"

#include <math.h>
#include <stdlib.h>

const char *promql_type_name(PromqlType type)
{
    switch (type) {
    case PROMQL_SCALAR:
        return "scalar";
    case PROMQL_VECTOR:
        return "instant vector";
    case PROMQL_MATRIX:
        return "range vector";
    case PROMQL_STRING:
        return "string";
    case PROMQL_NONE:
        return "none";
    }
    UNREACHABLE();
}

const char *promql_op_text(PromqlOp op)
{
    static const char *const texts[] = {
        [PROMQL_ADD] = "+",         [PROMQL_SUB] = "-",
        [PROMQL_MUL] = "*",         [PROMQL_DIV] = "/",
        [PROMQL_MOD] = "%",         [PROMQL_POW] = "^",
        [PROMQL_ATAN2] = "atan2",   [PROMQL_EQ] = "==",
        [PROMQL_NE] = "!=",         [PROMQL_LT] = "<",
        [PROMQL_LE] = "<=",         [PROMQL_GT] = ">",
        [PROMQL_GE] = ">=",         [PROMQL_AND] = "and",
        [PROMQL_OR] = "or",         [PROMQL_UNLESS] = "unless",
        [PROMQL_TRIM_UPPER] = "</", [PROMQL_TRIM_LOWER] = ">/",
        [PROMQL_STEP] = "step",     [PROMQL_RANGE_LENGTH] = "range",
        [PROMQL_MIN_OF] = "min_of", [PROMQL_MAX_OF] = "max_of",
    };
    return texts[op];
}

const char *promql_aggregate_text(PromqlAggregate op)
{
    static const char *const texts[] = {
        [PROMQL_SUM] = "sum",           [PROMQL_AVG] = "avg",
        [PROMQL_COUNT] = "count",       [PROMQL_MIN] = "min",
        [PROMQL_MAX] = "max",           [PROMQL_GROUP] = "group",
        [PROMQL_STDDEV] = "stddev",     [PROMQL_STDVAR] = "stdvar",
        [PROMQL_TOPK] = "topk",         [PROMQL_BOTTOMK] = "bottomk",
        [PROMQL_QUANTILE] = "quantile", [PROMQL_COUNT_VALUES] = "count_values",
        [PROMQL_LIMITK] = "limitk",     [PROMQL_LIMIT_RATIO] = "limit_ratio",
    };
    return texts[op];
}

void promql_print_duration(int64_t ms, Buf *out)
{
    if (ms < 0) {
        buf_put_u8(out, '-');
    }
    quote_put_duration(out, ms == INT64_MIN ? INT64_MAX : ms < 0 ? -ms : ms);
}

bool print_has_param(const PromqlNode *aggregate)
{
    return aggregate->u.aggregate.param != NULL;
}

const char *print_sign(bool minus)
{
    return minus ? "-" : "+";
}

// `without` and the words for numbers are no labels when they are not quoted.
static bool is_plain_grouping(Str label)
{
    Lexer lexer;
    LexToken token;
    lex_init(&lexer, label);
    const bool ok = quote_is_plain_label(label) && lex_next(&lexer, &token) &&
                    token.kind != LEX_WITHOUT && token.kind != LEX_NUMBER;
    lex_deinit(&lexer);
    return ok;
}

static void put_labels(const Str *labels, size_t count, Buf *out)
{
    buf_put_u8(out, '(');
    for (size_t i = 0; i < count; i++) {
        buf_put_str(out, i == 0 ? STR("") : STR(", "));
        if (is_plain_grouping(labels[i])) {
            buf_put_str(out, labels[i]);
        } else {
            quote_put(out, labels[i]);
        }
    }
    buf_put_u8(out, ')');
}

void print_aggregate_head(const PromqlNode *node, Buf *out)
{
    buf_putf(out, "%s", promql_aggregate_text(node->u.aggregate.op));
    if (node->u.aggregate.without || node->u.aggregate.grouping_count > 0) {
        buf_put_str(out, node->u.aggregate.without ? STR(" without ") : STR(" by "));
        put_labels(node->u.aggregate.grouping, node->u.aggregate.grouping_count, out);
        buf_put_u8(out, ' ');
    }
}

static void put_fill(const char *word, double value, Buf *out)
{
    // Go's %v: an exponent below 1e-4 and from 1e21 on.
    const double size = fabs(value);
    const bool plain = size == 0 || (size >= 1e-4 && size < 1e21) || !isfinite(value);
    buf_putf(out, " %s (", word);
    dtoa_put_f64(out, value, plain ? DTOA_GO_F : DTOA_GO_E);
    buf_put_u8(out, ')');
}

void print_binary_operator(const PromqlNode *node, Buf *out)
{
    const bool left = node->u.binary.has_fill_left, right = node->u.binary.has_fill_right;
    const bool group = node->u.binary.matching == PROMQL_MANY_TO_ONE ||
                       node->u.binary.matching == PROMQL_ONE_TO_MANY;
    buf_putf(out, "%s%s", promql_op_text(node->u.binary.op), node->u.binary.is_bool ? " bool" : "");
    if (!node->u.binary.has_matching) {
        return;
    }
    if (node->u.binary.label_count > 0 || node->u.binary.on || group) {
        buf_put_str(out, node->u.binary.on ? STR(" on ") : STR(" ignoring "));
        put_labels(node->u.binary.labels, node->u.binary.label_count, out);
    }
    if (group) {
        buf_put_str(out, node->u.binary.matching == PROMQL_MANY_TO_ONE ? STR(" group_left ")
                                                                       : STR(" group_right "));
        put_labels(node->u.binary.include, node->u.binary.include_count, out);
    }
    if (left && right && node->u.binary.fill_left == node->u.binary.fill_right) {
        put_fill("fill", node->u.binary.fill_left, out);
        return;
    }
    if (left) {
        put_fill("fill_left", node->u.binary.fill_left, out);
    }
    if (right) {
        put_fill("fill_right", node->u.binary.fill_right, out);
    }
}

static void put_number(const PromqlNode *node, Buf *out)
{
    const double value = node->u.number.value;
    if (node->u.number.is_duration) {
        promql_print_duration((int64_t)round(value * 1000), out); // it was read from milliseconds
    } else {
        dtoa_put_f64(out, value, DTOA_GO_F);
    }
}

bool print_is_plus(const PromqlNode *duration)
{
    const PromqlNode *operand = duration->u.duration.left;
    return duration->u.duration.op == PROMQL_ADD && !duration->u.duration.wrapped &&
           duration->u.duration.right == NULL && operand->kind == PROMQL_DURATION_EXPR &&
           operand->u.duration.wrapped;
}

static void put_duration_expr(const PromqlNode *node, Buf *out)
{
    if (node->kind == PROMQL_NUMBER) {
        put_number(node, out);
        return;
    }
    const PromqlNode *left = node->u.duration.left, *right = node->u.duration.right;
    const PromqlOp op = node->u.duration.op;
    buf_put_str(out, node->u.duration.wrapped ? STR("(") : STR(""));
    if (left == NULL) {
        buf_putf(out, "%s()", promql_op_text(op));
    } else if (right == NULL) {
        buf_put_str(out, op == PROMQL_SUB ? STR("-") : print_is_plus(node) ? STR("+") : STR(""));
        put_duration_expr(left, out);
    } else if (op == PROMQL_MIN_OF || op == PROMQL_MAX_OF) {
        buf_putf(out, "%s(", promql_op_text(op));
        put_duration_expr(left, out);
        buf_put_str(out, STR(", "));
        put_duration_expr(right, out);
        buf_put_u8(out, ')');
    } else {
        put_duration_expr(left, out);
        buf_putf(out, " %s ", promql_op_text(op));
        put_duration_expr(right, out);
    }
    buf_put_str(out, node->u.duration.wrapped ? STR(")") : STR(""));
}

static bool is_arithmetic(const PromqlNode *node)
{
    return node->kind == PROMQL_DURATION_EXPR && !node->u.duration.wrapped &&
           node->u.duration.right != NULL && node->u.duration.op <= PROMQL_POW;
}

static bool is_sign(const PromqlNode *node)
{
    return node->kind == PROMQL_DURATION_EXPR && !node->u.duration.wrapped &&
           node->u.duration.left != NULL && node->u.duration.right == NULL;
}

// Most signs + are not printed.
static const PromqlNode *skip_plus(const PromqlNode *node)
{
    while (is_sign(node) && node->u.duration.op == PROMQL_ADD) {
        node = node->u.duration.left;
    }
    return node;
}

// After `offset` a number, a call, or one of these or parentheses with a sign is the whole
// duration. Does the text of `node` begin with one of them?
static bool begins_with_whole(const PromqlNode *node)
{
    node = skip_plus(node);
    while (is_arithmetic(node)) {
        node = skip_plus(node->u.duration.left);
    }
    if (is_sign(node)) { // two signs are not enough for a whole one
        const PromqlNode *operand = skip_plus(node->u.duration.left);
        return !is_sign(operand) &&
               (operand->kind != PROMQL_NUMBER || !signbit(operand->u.number.value));
    }
    return node->kind == PROMQL_NUMBER || !node->u.duration.wrapped;
}

// Would the duration after `offset` end before the end of the text of `node`?
static bool ends_early(const PromqlNode *node)
{
    node = skip_plus(node);
    const bool more =
        is_arithmetic(node) || (is_sign(node) && is_arithmetic(skip_plus(node->u.duration.left)));
    return more && begins_with_whole(node);
}

static void put_at(const PromqlTime *time, Buf *out)
{
    switch (time->at) {
    case PROMQL_AT_NONE:
        return;
    case PROMQL_AT_TIME:
        buf_putf(out, " @ %.3f", (double)time->at_ms / 1000);
        return;
    case PROMQL_AT_START:
        buf_put_str(out, STR(" @ start()"));
        return;
    case PROMQL_AT_END:
        buf_put_str(out, STR(" @ end()"));
        return;
    }
    UNREACHABLE();
}

static void put_offset(const PromqlTime *time, Buf *out)
{
    if (time->offset_expr != NULL) {
        const bool early = ends_early(time->offset_expr);
        buf_put_str(out, early ? STR(" offset (") : STR(" offset "));
        put_duration_expr(time->offset_expr, out);
        buf_put_str(out, early ? STR(")") : STR(""));
    } else if (time->offset_ms != 0) {
        buf_put_str(out, STR(" offset "));
        promql_print_duration(time->offset_ms, out);
    }
}

static void put_range(int64_t ms, const PromqlNode *expr, Buf *out)
{
    if (expr != NULL) {
        put_duration_expr(expr, out);
    } else {
        promql_print_duration(ms, out);
    }
}

static int text_order(const void *a, const void *b)
{
    const Str *x = a, *y = b;
    const size_t len = x->len < y->len ? x->len : y->len;
    const int order = len == 0 ? 0 : memcmp(x->ptr, y->ptr, len);
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static Str matcher_text(const Matcher *matcher, Arena *arena)
{
    Buf out;
    buf_init(&out, 0);
    if (quote_is_plain_label(matcher_name(matcher))) {
        buf_put_str(&out, matcher_name(matcher));
    } else {
        quote_put(&out, matcher_name(matcher));
    }
    buf_putf(&out, "%s", matcher_op_text(matcher_op(matcher)));
    quote_put(&out, matcher_value(matcher));
    const Str text = arena_str(arena, buf_str(&out));
    buf_deinit(&out);
    return text;
}

// The name and the matchers, those sorted by their text.
static void put_series(const PromqlNode *node, Buf *out)
{
    const Str name = node->u.selector.name;
    Arena arena;
    arena_init(&arena, 0);
    Str *texts = arena_new(&arena, Str, node->u.selector.matcher_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < node->u.selector.matcher_count; i++) {
        const Matcher *matcher = node->u.selector.matchers[i];
        const bool is_name = name.len > 0 && matcher_op(matcher) == MATCH_EQ &&
                             str_eq(matcher_name(matcher), STR("__name__")) &&
                             str_eq(matcher_value(matcher), name);
        if (!is_name) {
            texts[count++] = matcher_text(matcher, &arena);
        }
    }
    qsort(texts, count, sizeof(*texts), text_order);
    buf_put_str(out, name);
    for (size_t i = 0; i < count; i++) {
        buf_put_u8(out, i == 0 ? '{' : ',');
        buf_put_str(out, texts[i]);
    }
    buf_put_str(out, count > 0 ? STR("}") : name.len == 0 ? STR("{}") : STR(""));
    arena_deinit(&arena);
}

static void put_extension(const PromqlNode *selector, Buf *out)
{
    buf_put_str(out, selector->u.selector.anchored   ? STR(" anchored")
                     : selector->u.selector.smoothed ? STR(" smoothed")
                                                     : STR(""));
}

static void put_selector(const PromqlNode *node, Buf *out)
{
    put_series(node, out);
    put_at(&node->u.selector.time, out);
    put_extension(node, out);
    put_offset(&node->u.selector.time, out);
}

static void put_range_selector(const PromqlNode *node, Buf *out)
{
    const PromqlNode *selector = node->u.range.selector;
    put_series(selector, out);
    buf_put_u8(out, '[');
    put_range(node->u.range.range_ms, node->u.range.range_expr, out);
    buf_put_u8(out, ']');
    put_extension(selector, out);
    put_at(&selector->u.selector.time, out);
    put_offset(&selector->u.selector.time, out);
}

void print_subquery_tail(const PromqlNode *node, Buf *out)
{
    buf_put_u8(out, '[');
    put_range(node->u.subquery.range_ms, node->u.subquery.range_expr, out);
    buf_put_u8(out, ':');
    if (node->u.subquery.step_ms != 0 || node->u.subquery.step_expr != NULL) {
        put_range(node->u.subquery.step_ms, node->u.subquery.step_expr, out);
    }
    buf_put_u8(out, ']');
    put_at(&node->u.subquery.time, out);
    put_offset(&node->u.subquery.time, out);
}

static void put_call(const PromqlNode *node, Buf *out)
{
    buf_putf(out, "%s(", node->u.call.function->name);
    for (size_t i = 0; i < node->u.call.arg_count; i++) {
        buf_put_str(out, i == 0 ? STR("") : STR(", "));
        promql_print(node->u.call.args[i], out);
    }
    buf_put_u8(out, ')');
}

static void put_aggregate(const PromqlNode *node, Buf *out)
{
    print_aggregate_head(node, out);
    buf_put_u8(out, '(');
    if (print_has_param(node)) {
        promql_print(node->u.aggregate.param, out);
        buf_put_str(out, STR(", "));
    }
    promql_print(node->u.aggregate.expr, out);
    buf_put_u8(out, ')');
}

void promql_print(const PromqlNode *node, Buf *out)
{
    if (!buf_ok(out)) {
        return;
    }
    switch (node->kind) {
    case PROMQL_NUMBER:
        put_number(node, out);
        return;
    case PROMQL_TEXT:
        quote_put(out, node->u.text);
        return;
    case PROMQL_SELECTOR:
        put_selector(node, out);
        return;
    case PROMQL_RANGE:
        put_range_selector(node, out);
        return;
    case PROMQL_SUBQUERY:
        promql_print(node->u.subquery.expr, out);
        print_subquery_tail(node, out);
        return;
    case PROMQL_CALL:
        put_call(node, out);
        return;
    case PROMQL_AGGREGATE:
        put_aggregate(node, out);
        return;
    case PROMQL_BINARY:
        promql_print(node->u.binary.left, out);
        buf_put_u8(out, ' ');
        print_binary_operator(node, out);
        buf_put_u8(out, ' ');
        promql_print(node->u.binary.right, out);
        return;
    case PROMQL_UNARY:
        buf_putf(out, "%s", print_sign(node->u.unary.minus));
        promql_print(node->u.unary.expr, out);
        return;
    case PROMQL_PAREN:
        buf_put_u8(out, '(');
        promql_print(node->u.paren, out);
        buf_put_u8(out, ')');
        return;
    case PROMQL_DURATION_EXPR:
        put_duration_expr(node, out);
        return;
    }
    UNREACHABLE();
}
