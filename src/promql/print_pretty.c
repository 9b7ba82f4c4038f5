// SPDX-License-Identifier: Apache-2.0
//
// A tree on several lines, as Prometheus' Prettify() has it: what does not fit a line of 100 bytes
// is split at its outermost node, and the parts are indented by one level.
#include "promql/functions.h"
#include "promql/parse.h"
#include "promql/print_internal.h"

enum { LINE_BYTES_MAX = 100, INDENT = 2 };

static bool needs_split(const PromqlNode *node)
{
    Buf line;
    buf_init(&line, 2 * LINE_BYTES_MAX); // printing stops soon after the line is full
    promql_print(node, &line);
    const bool fits = buf_ok(&line) && line.len <= LINE_BYTES_MAX;
    buf_deinit(&line);
    return !fits;
}

static void indent(uint32_t level, Buf *out)
{
    buf_putf(out, "%*s", (int)level * INDENT, "");
}

static void pretty(const PromqlNode *node, uint32_t level, Buf *out);

static void pretty_aggregate(const PromqlNode *node, uint32_t level, Buf *out)
{
    indent(level, out);
    print_aggregate_head(node, out);
    buf_put_str(out, STR("(\n"));
    if (print_has_param(node)) {
        pretty(node->u.aggregate.param, level + 1, out);
        buf_put_str(out, STR(",\n"));
    }
    pretty(node->u.aggregate.expr, level + 1, out);
    buf_put_u8(out, '\n');
    indent(level, out);
    buf_put_u8(out, ')');
}

static void pretty_binary(const PromqlNode *node, uint32_t level, Buf *out)
{
    pretty(node->u.binary.left, level + 1, out);
    buf_put_u8(out, '\n');
    indent(level, out);
    print_binary_operator(node, out);
    buf_put_u8(out, '\n');
    pretty(node->u.binary.right, level + 1, out);
}

static void pretty_call(const PromqlNode *node, uint32_t level, Buf *out)
{
    indent(level, out);
    buf_putf(out, "%s(\n", node->u.call.function->name);
    for (size_t i = 0; i < node->u.call.arg_count; i++) {
        buf_put_str(out, i == 0 ? STR("") : STR(",\n"));
        pretty(node->u.call.args[i], level + 1, out);
    }
    buf_put_u8(out, '\n');
    indent(level, out);
    buf_put_u8(out, ')');
}

// The sign stands where the operand would begin.
static void pretty_unary(const PromqlNode *node, uint32_t level, Buf *out)
{
    Buf operand;
    buf_init(&operand, 0);
    pretty(node->u.unary.expr, level, &operand);
    const Str text = buf_str(&operand);
    size_t from = 0;
    while (from < text.len && text.ptr[from] == ' ') {
        from++;
    }
    indent(level, out);
    buf_putf(out, "%s", print_sign(node->u.unary.minus));
    buf_put_str(out, str_slice(text, from, text.len));
    buf_deinit(&operand);
}

static void pretty_paren(const PromqlNode *node, uint32_t level, Buf *out)
{
    indent(level, out);
    buf_put_str(out, STR("(\n"));
    pretty(node->u.paren, level + 1, out);
    buf_put_u8(out, '\n');
    indent(level, out);
    buf_put_u8(out, ')');
}

static void pretty(const PromqlNode *node, uint32_t level, Buf *out)
{
    const bool split = needs_split(node);
    switch (node->kind) {
    case PROMQL_AGGREGATE:
        if (split) {
            pretty_aggregate(node, level, out);
            return;
        }
        break;
    case PROMQL_BINARY:
        if (split) {
            pretty_binary(node, level, out);
            return;
        }
        break;
    case PROMQL_CALL:
        if (split) {
            pretty_call(node, level, out);
            return;
        }
        break;
    case PROMQL_PAREN:
        if (split) {
            pretty_paren(node, level, out);
            return;
        }
        break;
    case PROMQL_SUBQUERY:
        if (split) {
            pretty(node->u.subquery.expr, level, out);
            print_subquery_tail(node, out);
        } else {
            promql_print(node, out); // not indented, as in Prometheus
        }
        return;
    case PROMQL_UNARY:
        pretty_unary(node, level, out);
        return;
    case PROMQL_NUMBER:
    case PROMQL_TEXT:
    case PROMQL_SELECTOR:
    case PROMQL_RANGE:
    case PROMQL_DURATION_EXPR:
        break;
    }
    indent(level, out);
    promql_print(node, out);
}

void promql_print_pretty(const PromqlNode *node, Buf *out)
{
    pretty(node, 0, out);
}
