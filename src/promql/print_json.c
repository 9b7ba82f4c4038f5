// SPDX-License-Identifier: Apache-2.0
//
// A tree as JSON, in the form that Prometheus' /api/v1/parse_query gives to the tree view of its
// user interface: keys in alphabetical order.
#include "promql/functions.h"
#include "promql/parse.h"
#include "promql/print_internal.h"

#include "base/json_put.h"
#include "codec/dtoa.h"

#include <math.h>

static void put_bool(const char *key, bool value, Buf *out)
{
    buf_putf(out, "\"%s\":%s", key, value ? "true" : "false");
}

static void put_labels(const char *key, const Str *labels, size_t count, Buf *out)
{
    buf_putf(out, "\"%s\":[", key);
    for (size_t i = 0; i < count; i++) {
        buf_put_str(out, i == 0 ? STR("") : STR(","));
        json_put_string(out, labels[i]);
    }
    buf_put_u8(out, ']');
}

static void put_child(const char *key, const PromqlNode *node, Buf *out)
{
    buf_putf(out, "\"%s\":", key);
    if (node == NULL) {
        buf_put_str(out, STR("null"));
    } else {
        promql_print_json(node, out);
    }
}

static void put_number(const PromqlNode *node, Buf *out)
{
    buf_put_str(out, STR("\"type\":\"numberLiteral\",\"val\":\""));
    dtoa_put_f64(out, node->u.number.value, DTOA_GO_F);
    buf_put_u8(out, '"');
}

static void put_duration(const char *key, const PromqlNode *node, Buf *out)
{
    buf_putf(out, "\"%s\":", key);
    if (node == NULL) {
        buf_put_str(out, STR("null"));
        return;
    }
    if (node->kind == PROMQL_DURATION_EXPR && print_is_plus(node)) {
        node = node->u.duration.left;
    }
    buf_put_u8(out, '{');
    if (node->kind == PROMQL_NUMBER) {
        put_bool("duration", node->u.number.is_duration, out);
        buf_put_u8(out, ',');
        put_number(node, out);
    } else {
        const bool sign = node->u.duration.left != NULL && node->u.duration.right == NULL;
        put_duration("lhs", sign ? NULL : node->u.duration.left, out);
        buf_putf(out, ",\"op\":\"%s\",", promql_op_text(node->u.duration.op));
        put_duration("rhs", sign ? node->u.duration.left : node->u.duration.right, out);
        buf_put_str(out, STR(",\"type\":\"durationExpr\","));
        put_bool("wrapped", node->u.duration.wrapped, out);
    }
    buf_put_u8(out, '}');
}

static void put_matchers(const PromqlNode *selector, Buf *out)
{
    buf_put_str(out, STR("\"matchers\":["));
    for (size_t i = 0; i < selector->u.selector.matcher_count; i++) {
        const Matcher *matcher = selector->u.selector.matchers[i];
        buf_put_str(out, i == 0 ? STR("{\"name\":") : STR(",{\"name\":"));
        json_put_string(out, matcher_name(matcher));
        buf_putf(out, ",\"type\":\"%s\",\"value\":", matcher_op_text(matcher_op(matcher)));
        json_put_string(out, matcher_value(matcher));
        buf_put_u8(out, '}');
    }
    buf_put_str(out, STR("],\"name\":"));
    json_put_string(out, selector->u.selector.name);
}

static void put_offset(const PromqlTime *time, Buf *out)
{
    buf_putf(out, "\"offset\":%" PRId64 ",", time->offset_expr == NULL ? time->offset_ms : 0);
    put_duration("offsetExpr", time->offset_expr, out);
}

static void put_start_or_end(const PromqlTime *time, Buf *out)
{
    buf_putf(out, "\"startOrEnd\":%s",
             time->at == PROMQL_AT_START ? "\"start\""
             : time->at == PROMQL_AT_END ? "\"end\""
                                         : "null");
}

static void put_timestamp(const PromqlTime *time, Buf *out)
{
    buf_put_str(out, STR("\"timestamp\":"));
    if (time->at == PROMQL_AT_TIME) {
        buf_putf(out, "%" PRId64, time->at_ms);
    } else {
        buf_put_str(out, STR("null"));
    }
}

// A vector or, when `range` is not NULL, a matrix selector.
static void put_selector(const PromqlNode *node, const PromqlNode *range, Buf *out)
{
    const PromqlTime *time = &node->u.selector.time;
    put_bool("anchored", node->u.selector.anchored, out);
    buf_put_u8(out, ',');
    put_matchers(node, out);
    buf_put_u8(out, ',');
    put_offset(time, out);
    if (range != NULL) {
        buf_putf(out, ",\"range\":%" PRId64 ",", range->u.range.range_ms);
        put_duration("rangeExpr", range->u.range.range_expr, out);
    }
    buf_put_u8(out, ',');
    put_bool("smoothed", node->u.selector.smoothed, out);
    buf_put_u8(out, ',');
    put_start_or_end(time, out);
    buf_put_u8(out, ',');
    put_timestamp(time, out);
    buf_putf(out, ",\"type\":\"%s\"", range != NULL ? "matrixSelector" : "vectorSelector");
}

static void put_subquery(const PromqlNode *node, Buf *out)
{
    const PromqlTime *time = &node->u.subquery.time;
    put_child("expr", node->u.subquery.expr, out);
    buf_put_u8(out, ',');
    put_offset(time, out);
    buf_putf(out, ",\"range\":%" PRId64 ",", node->u.subquery.range_ms);
    put_duration("rangeExpr", node->u.subquery.range_expr, out);
    buf_put_u8(out, ',');
    put_start_or_end(time, out);
    buf_putf(out, ",\"step\":%" PRId64 ",", node->u.subquery.step_ms);
    put_duration("stepExpr", node->u.subquery.step_expr, out);
    buf_put_u8(out, ',');
    put_timestamp(time, out);
    buf_put_str(out, STR(",\"type\":\"subquery\""));
}

static const char *type_text(PromqlType type)
{
    static const char *const texts[] = {"scalar", "vector", "matrix", "string", "none"};
    return texts[type];
}

static void put_call(const PromqlNode *node, Buf *out)
{
    const PromqlFunction *function = node->u.call.function;
    buf_put_str(out, STR("\"args\":["));
    for (size_t i = 0; i < node->u.call.arg_count; i++) {
        buf_put_str(out, i == 0 ? STR("") : STR(","));
        promql_print_json(node->u.call.args[i], out);
    }
    buf_put_str(out, STR("],\"func\":{\"argTypes\":["));
    for (size_t i = 0; i < function->arg_count; i++) {
        buf_putf(out, "%s\"%s\"", i == 0 ? "" : ",", type_text(function->args[i]));
    }
    buf_putf(out, "],\"name\":\"%s\",\"returnType\":\"%s\",\"variadic\":%d},\"type\":\"call\"",
             function->name, type_text(function->result), function->variadic);
}

static void put_fill(const char *key, bool has, double value, Buf *out)
{
    buf_putf(out, "\"%s\":", key);
    if (has && isfinite(value)) {
        dtoa_put_f64(out, value, DTOA_JSON);
    } else {
        buf_put_str(out, STR("null"));
    }
}

static void put_matching(const PromqlNode *node, Buf *out)
{
    static const char *const cards[] = {"one-to-one", "many-to-one", "one-to-many", "many-to-many"};
    if (!node->u.binary.has_matching) {
        buf_put_str(out, STR("\"matching\":null"));
        return;
    }
    buf_putf(out, "\"matching\":{\"card\":\"%s\",\"fillValues\":{", cards[node->u.binary.matching]);
    put_fill("lhs", node->u.binary.has_fill_left, node->u.binary.fill_left, out);
    buf_put_u8(out, ',');
    put_fill("rhs", node->u.binary.has_fill_right, node->u.binary.fill_right, out);
    buf_put_str(out, STR("},"));
    put_labels("include", node->u.binary.include, node->u.binary.include_count, out);
    buf_put_u8(out, ',');
    put_labels("labels", node->u.binary.labels, node->u.binary.label_count, out);
    buf_put_u8(out, ',');
    put_bool("on", node->u.binary.on, out);
    buf_put_u8(out, '}');
}

static void put_binary(const PromqlNode *node, Buf *out)
{
    put_bool("bool", node->u.binary.is_bool, out);
    buf_put_u8(out, ',');
    put_child("lhs", node->u.binary.left, out);
    buf_put_u8(out, ',');
    put_matching(node, out);
    buf_putf(out, ",\"op\":\"%s\",", promql_op_text(node->u.binary.op));
    put_child("rhs", node->u.binary.right, out);
    buf_put_str(out, STR(",\"type\":\"binaryExpr\""));
}

static void put_aggregate(const PromqlNode *node, Buf *out)
{
    put_child("expr", node->u.aggregate.expr, out);
    buf_put_u8(out, ',');
    put_labels("grouping", node->u.aggregate.grouping, node->u.aggregate.grouping_count, out);
    buf_putf(out, ",\"op\":\"%s\",", promql_aggregate_text(node->u.aggregate.op));
    put_child("param", node->u.aggregate.param, out);
    buf_put_str(out, STR(",\"type\":\"aggregation\","));
    put_bool("without", node->u.aggregate.without, out);
}

static void put_node(const PromqlNode *node, Buf *out)
{
    switch (node->kind) {
    case PROMQL_NUMBER:
        put_number(node, out);
        return;
    case PROMQL_TEXT:
        buf_put_str(out, STR("\"type\":\"stringLiteral\",\"val\":"));
        json_put_string(out, node->u.text);
        return;
    case PROMQL_SELECTOR:
        put_selector(node, NULL, out);
        return;
    case PROMQL_RANGE:
        put_selector(node->u.range.selector, node, out);
        return;
    case PROMQL_SUBQUERY:
        put_subquery(node, out);
        return;
    case PROMQL_CALL:
        put_call(node, out);
        return;
    case PROMQL_AGGREGATE:
        put_aggregate(node, out);
        return;
    case PROMQL_BINARY:
        put_binary(node, out);
        return;
    case PROMQL_UNARY:
        put_child("expr", node->u.unary.expr, out);
        buf_putf(out, ",\"op\":\"%s\",\"type\":\"unaryExpr\"", print_sign(node->u.unary.minus));
        return;
    case PROMQL_PAREN:
        put_child("expr", node->u.paren, out);
        buf_put_str(out, STR(",\"type\":\"parenExpr\""));
        return;
    case PROMQL_DURATION_EXPR: // stands only where put_duration() prints it
        break;
    }
    UNREACHABLE();
}

void promql_print_json(const PromqlNode *node, Buf *out)
{
    buf_put_u8(out, '{');
    put_node(node, out);
    buf_put_u8(out, '}');
}
