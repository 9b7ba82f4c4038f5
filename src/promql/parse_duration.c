// SPDX-License-Identifier: Apache-2.0
//
// Durations: numbers, and when the feature is on also arithmetic with them, step(), range(),
// min_of() and max_of(). In brackets a duration is any such expression; after `offset` a bare
// number or call ends it, so that `x offset 5m + 1` is a sum.
#include "promql/parse_internal.h"

#include <math.h>

int64_t parse_seconds_ms(double seconds)
{
    const double ns = round(seconds * 1e9);
    if (ns >= 9223372036854775808.0) {
        return INT64_MAX / 1000000;
    }
    // NaN is the least one, as Go's conversion has it on x86-64.
    return ns > -9223372036854775808.0 ? (int64_t)ns / 1000000 : INT64_MIN / 1000000;
}

static bool out_of_range(double seconds)
{
    return seconds > 9223372036.854775808 || seconds < -9223372036.854775808;
}

static Status check_enabled(Parser *parser, const ParseNode *node)
{
    if (!parser->features.duration_expressions) {
        return parse_fail(parser, node->node.pos.start,
                          "experimental duration expression is not enabled");
    }
    return OK;
}

typedef struct DurationParts {
    PromqlOp op;
    const ParseNode *left, *right;
    PromqlPos pos;
    bool wrapped;
} DurationParts;

static Status make(Parser *parser, DurationParts parts, ParseNode **out)
{
    PromqlNode node = {.kind = PROMQL_DURATION_EXPR, .type = PROMQL_SCALAR, .pos = parts.pos};
    uint32_t height = 0;
    node.u.duration.op = parts.op;
    node.u.duration.wrapped = parts.wrapped;
    if (parts.left != NULL) {
        node.u.duration.left = &parts.left->node;
        height = parts.left->height;
    }
    if (parts.right != NULL) {
        node.u.duration.right = &parts.right->node;
        height = parts.right->height > height ? parts.right->height : height;
    }
    return parse_node(parser, node, height, out);
}

// A number becomes a sign without effect, so that something can be in parentheses.
static Status wrap(Parser *parser, uint32_t start, ParseNode **node)
{
    if ((*node)->node.kind == PROMQL_DURATION_EXPR) {
        (*node)->node.u.duration.wrapped = true;
        return OK;
    }
    return make(parser,
                (DurationParts){.op = PROMQL_ADD,
                                .left = *node,
                                .pos = {start, (*node)->node.pos.end},
                                .wrapped = true},
                node);
}

static Status apply_sign(Parser *parser, const LexToken *sign, ParseNode **node)
{
    if ((*node)->node.kind == PROMQL_DURATION_EXPR) {
        return sign->op == PROMQL_ADD
                   ? OK
                   : make(parser,
                          (DurationParts){.op = PROMQL_SUB,
                                          .left = *node,
                                          .pos = {sign->pos.start, (*node)->node.pos.end}},
                          node);
    }
    if (sign->op == PROMQL_SUB) {
        (*node)->node.u.number.value *= -1;
    }
    if (out_of_range((*node)->node.u.number.value)) {
        return parse_fail(parser, sign->pos.start, "duration out of range");
    }
    (*node)->node.pos.start = sign->pos.start;
    return OK;
}

static Status number(Parser *parser, ParseNode **out)
{
    TRY(parse_number(parser, out));
    if (out_of_range((*out)->node.u.number.value)) {
        return parse_fail(parser, (*out)->node.pos.start, "duration out of range");
    }
    return OK;
}

static bool is_number(const LexToken *token)
{
    return token->kind == LEX_NUMBER || token->kind == LEX_DURATION;
}

static bool is_call(const LexToken *token)
{
    return token->kind == LEX_STEP || token->kind == LEX_RANGE || token->kind == LEX_MAX_OF ||
           token->kind == LEX_MIN_OF;
}

// step(), range(), max_of(a, b) or min_of(a, b), without the check of the feature.
static Status call(Parser *parser, ParseNode **out)
{
    LexToken name, token;
    DurationParts parts = {0};
    ParseNode *left = NULL, *right = NULL;
    TRY(parse_take(parser, &name));
    TRY(parse_expect(parser, LEX_LEFT_PAREN, &token));
    if (name.kind == LEX_MAX_OF || name.kind == LEX_MIN_OF) {
        TRY(parse_duration(parser, PARSE_ADD, &left));
        TRY(parse_expect(parser, LEX_COMMA, &token));
        TRY(parse_duration(parser, PARSE_ADD, &right));
        parts.op = name.kind == LEX_MAX_OF ? PROMQL_MAX_OF : PROMQL_MIN_OF;
        parts.left = left;
        parts.right = right;
        TRY(parse_expect(parser, LEX_RIGHT_PAREN, &token));
        // What it is made of says where it is.
        parts.pos = (PromqlPos){left->node.pos.start, right->node.pos.end};
    } else {
        parts.op = name.kind == LEX_STEP ? PROMQL_STEP : PROMQL_RANGE_LENGTH;
        TRY(parse_expect(parser, LEX_RIGHT_PAREN, &token));
        parts.pos = (PromqlPos){name.pos.start, token.pos.end};
    }
    return make(parser, parts, out);
}

static Status paren(Parser *parser, ParseNode **out, PromqlPos *pos)
{
    LexToken open, close;
    TRY(parse_take(parser, &open));
    TRY(parse_duration(parser, PARSE_ADD, out));
    TRY(parse_expect(parser, LEX_RIGHT_PAREN, &close));
    *pos = (PromqlPos){open.pos.start, close.pos.end};
    return OK;
}

static Status checked_paren(Parser *parser, ParseNode **out)
{
    PromqlPos pos;
    TRY(paren(parser, out, &pos));
    TRY(check_enabled(parser, *out));
    return wrap(parser, pos.start, out);
}

static Status operand(Parser *parser, ParseNode **out)
{
    LexToken token;
    TRY(parse_peek(parser, &token));
    if (is_number(&token)) {
        return number(parser, out);
    }
    if (is_call(&token)) {
        TRY(call(parser, out));
        return check_enabled(parser, *out);
    }
    if (token.kind == LEX_LEFT_PAREN) {
        return checked_paren(parser, out);
    }
    if (!parse_is_sign(&token)) {
        return parse_unexpected(parser, parser->context);
    }
    LexToken next;
    TRY(parse_take(parser, &token));
    TRY(parse_duration(parser, PARSE_POW, out));
    TRY(parse_peek(parser, &next));
    return apply_sign(parser, &token, out);
}

static Status combine(Parser *parser, const LexToken *op, const ParseNode *right, ParseNode **left)
{
    TRY(check_enabled(parser, *left));
    if ((op->op == PROMQL_DIV || op->op == PROMQL_MOD) && right->node.kind == PROMQL_NUMBER &&
        right->node.u.number.value == 0) {
        return parse_fail(parser, op->pos.start,
                          op->op == PROMQL_DIV ? "division by zero" : "modulo by zero");
    }
    return make(parser,
                (DurationParts){.op = op->op,
                                .left = *left,
                                .right = right,
                                .pos = {(*left)->node.pos.start, right->node.pos.end}},
                left);
}

// The operators after a first operand.
static Status operators(Parser *parser, int precedence, ParseNode **left)
{
    for (;;) {
        LexToken op;
        ParseNode *right = NULL;
        TRY(parse_peek(parser, &op));
        const int own =
            op.kind == LEX_OPERATOR && op.op <= PROMQL_POW ? parse_precedence(op.op) : 0;
        if (own < precedence) {
            return OK;
        }
        TRY(parse_take(parser, &op));
        TRY(parse_duration(parser, op.op == PROMQL_POW ? own : own + 1, &right));
        TRY(combine(parser, &op, right, left));
    }
}

Status parse_duration(Parser *parser, int precedence, ParseNode **out)
{
    LexToken token;
    TRY(parse_peek(parser, &token));
    TRY(parse_enter(parser, token.pos.start));
    TRY(operand(parser, out));
    TRY(operators(parser, precedence, out));
    parse_leave(parser);
    return OK;
}

// After `offset` and a sign.
static Status signed_offset(Parser *parser, const LexToken *sign, ParseNode **out)
{
    LexToken token;
    PromqlPos pos;
    TRY(parse_peek(parser, &token));
    if (is_number(&token)) {
        TRY(parse_number(parser, out));
        return apply_sign(parser, sign, out);
    }
    if (is_call(&token)) {
        TRY(call(parser, out));
        TRY(make(parser,
                 (DurationParts){
                     .op = sign->op, .left = *out, .pos = {sign->pos.start, (*out)->node.pos.end}},
                 out));
        return check_enabled(parser, *out);
    }
    if (token.kind == LEX_LEFT_PAREN) {
        TRY(paren(parser, out, &pos));
        TRY(wrap(parser, (*out)->node.pos.start, out));
        if (sign->op == PROMQL_SUB) {
            return apply_sign(parser, sign, out);
        }
        // The sign is kept for the printers: without it what follows would belong to the duration.
        return make(parser,
                    (DurationParts){.op = PROMQL_ADD, .left = *out, .pos = (*out)->node.pos}, out);
    }
    TRY(parse_duration(parser, PARSE_POW, out));
    TRY(apply_sign(parser, sign, out));
    return operators(parser, PARSE_ADD, out);
}

Status parse_offset_duration(Parser *parser, ParseNode **out)
{
    LexToken token;
    TRY(parse_peek(parser, &token));
    if (is_number(&token)) {
        return number(parser, out);
    }
    if (is_call(&token)) {
        TRY(call(parser, out));
        return check_enabled(parser, *out);
    }
    if (parse_is_sign(&token)) {
        TRY(parse_take(parser, &token));
        return signed_offset(parser, &token, out);
    }
    return parse_duration(parser, PARSE_ADD, out);
}
