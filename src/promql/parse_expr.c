// SPDX-License-Identifier: Apache-2.0
#include "promql/parse_internal.h"

#include "base/utf8.h"
#include "promql/quote.h"

int parse_precedence(PromqlOp op)
{
    switch (op) {
    case PROMQL_OR:
        return PARSE_OR;
    case PROMQL_AND:
    case PROMQL_UNLESS:
        return PARSE_AND;
    case PROMQL_EQ:
    case PROMQL_NE:
    case PROMQL_LT:
    case PROMQL_LE:
    case PROMQL_GT:
    case PROMQL_GE:
    case PROMQL_TRIM_UPPER:
    case PROMQL_TRIM_LOWER:
        return PARSE_COMPARE;
    case PROMQL_ADD:
    case PROMQL_SUB:
        return PARSE_ADD;
    case PROMQL_MUL:
    case PROMQL_DIV:
    case PROMQL_MOD:
    case PROMQL_ATAN2:
        return PARSE_MUL;
    case PROMQL_POW:
        return PARSE_POW;
    case PROMQL_STEP:
    case PROMQL_RANGE_LENGTH:
    case PROMQL_MIN_OF:
    case PROMQL_MAX_OF:
        break;
    }
    UNREACHABLE();
}

static bool is_set_word(const LexToken *token)
{
    return token->kind == LEX_OPERATOR &&
           (token->op == PROMQL_AND || token->op == PROMQL_OR || token->op == PROMQL_UNLESS);
}

// tidy: allow function-length: one case per token
static bool is_metric_kind(LexKind kind)
{
    switch (kind) {
    case LEX_IDENTIFIER:
    case LEX_METRIC_IDENTIFIER:
    case LEX_AGGREGATE:
    case LEX_BY:
    case LEX_WITHOUT:
    case LEX_FILL:
    case LEX_FILL_LEFT:
    case LEX_FILL_RIGHT:
    case LEX_OFFSET:
    case LEX_ANCHORED:
    case LEX_SMOOTHED:
    case LEX_START:
    case LEX_STOP:
    case LEX_STEP:
    case LEX_RANGE:
    case LEX_MAX_OF:
    case LEX_MIN_OF:
        return true;
    case LEX_END:
    case LEX_STRING:
    case LEX_NUMBER:
    case LEX_DURATION:
    case LEX_LEFT_PAREN:
    case LEX_RIGHT_PAREN:
    case LEX_LEFT_BRACE:
    case LEX_RIGHT_BRACE:
    case LEX_LEFT_BRACKET:
    case LEX_RIGHT_BRACKET:
    case LEX_COMMA:
    case LEX_COLON:
    case LEX_ASSIGN:
    case LEX_REGEX:
    case LEX_NOT_REGEX:
    case LEX_AT:
    case LEX_OPERATOR:
    case LEX_BOOL:
    case LEX_ON:
    case LEX_IGNORING:
    case LEX_GROUP_LEFT:
    case LEX_GROUP_RIGHT:
        return false;
    }
    UNREACHABLE();
}

bool parse_is_metric(const LexToken *token)
{
    return is_metric_kind(token->kind) || is_set_word(token);
}

// May it be a label between the parentheses of by, on, ...? Words are, but not all.
static bool is_grouping_label(const LexToken *token)
{
    return token->kind != LEX_WITHOUT &&
           (is_metric_kind(token->kind) || token->kind == LEX_BOOL || token->kind == LEX_ON ||
            token->kind == LEX_IGNORING || token->kind == LEX_GROUP_LEFT ||
            token->kind == LEX_GROUP_RIGHT || is_set_word(token) ||
            (token->kind == LEX_OPERATOR && token->op == PROMQL_ATAN2));
}

static Status grouping_label(Parser *parser, ParseLabels *labels)
{
    LexToken token;
    TRY(parse_peek(parser, &token));
    if (token.kind != LEX_STRING && !is_grouping_label(&token)) {
        return parse_unexpected(parser, (ParseContext){"grouping opts", "label"});
    }
    TRY(parse_take(parser, &token));
    Str name = token.text;
    if (token.kind == LEX_STRING) {
        TRY(parse_string(parser, &token, &name));
        if (name.len == 0 || !utf8_is_valid(name)) {
            const Str quoted = quote_in(&parser->expr->arena, name);
            return parse_fail(parser, token.pos.start, "invalid label name for grouping: " STR_FMT,
                              STR_ARG(quoted));
        }
    }
    labels->items =
        parse_grow(parser, labels->items, labels->count, &labels->cap, sizeof(*labels->items));
    labels->items[labels->count++] = name;
    return OK;
}

Status parse_grouping(Parser *parser, ParseLabels *labels)
{
    LexToken token;
    TRY(parse_peek(parser, &token));
    if (token.kind != LEX_LEFT_PAREN) {
        return parse_unexpected(parser, (ParseContext){"grouping opts", "\"(\""});
    }
    TRY(parse_take(parser, &token));
    TRY(parse_peek(parser, &token));
    while (token.kind != LEX_RIGHT_PAREN) {
        TRY(grouping_label(parser, labels));
        TRY(parse_peek(parser, &token));
        if (token.kind == LEX_COMMA) {
            TRY(parse_take(parser, &token));
            TRY(parse_peek(parser, &token));
        } else if (token.kind != LEX_RIGHT_PAREN) {
            return parse_unexpected(parser, (ParseContext){"grouping opts", "\",\" or \")\""});
        }
    }
    return parse_take(parser, &token);
}

typedef struct ArgList {
    const PromqlNode **items;
    size_t count, cap;
    uint32_t height;  // of the highest
    PromqlPos closed; // where the right parenthesis is
} ArgList;

static bool starts_expr(const LexToken *token)
{
    return parse_is_metric(token) || parse_is_sign(token) || token->kind == LEX_NUMBER ||
           token->kind == LEX_DURATION || token->kind == LEX_STRING ||
           token->kind == LEX_LEFT_PAREN || token->kind == LEX_LEFT_BRACE;
}

static Status argument(Parser *parser, ArgList *args)
{
    ParseNode *arg = NULL;
    TRY(parse_expr(parser, PARSE_OR, &arg));
    args->items = parse_grow(parser, args->items, args->count, &args->cap, sizeof(*args->items));
    args->items[args->count++] = &arg->node;
    args->height = arg->height > args->height ? arg->height : args->height;
    return OK;
}

// ( expression, ... ), of a call or an aggregation.
static Status arguments(Parser *parser, ArgList *args)
{
    LexToken token, comma;
    TRY(parse_expect(parser, LEX_LEFT_PAREN, &token));
    TRY(parse_peek(parser, &token));
    while (token.kind != LEX_RIGHT_PAREN) {
        TRY(argument(parser, args));
        TRY(parse_peek(parser, &token));
        if (token.kind == LEX_COMMA) {
            TRY(parse_take(parser, &comma));
            TRY(parse_peek(parser, &token));
            if (!starts_expr(&token)) {
                return parse_fail(parser, comma.pos.start,
                                  "trailing commas not allowed in function call args");
            }
        } else if (token.kind != LEX_RIGHT_PAREN) {
            return parse_unexpected(parser, parser->context);
        }
    }
    args->closed = token.pos;
    return parse_take(parser, &token);
}

static Status call(Parser *parser, const LexToken *name, ParseNode **out)
{
    ArgList args = {0};
    TRY(arguments(parser, &args));
    const PromqlFunction *function = promql_function(name->text);
    if (function == NULL || ((function->flags & PROMQL_FN_EXPERIMENTAL) != 0 &&
                             !parser->features.experimental_functions)) {
        const Str quoted = quote_in(&parser->expr->arena, name->text);
        return function == NULL
                   ? parse_fail(parser, name->pos.start, "unknown function with name " STR_FMT,
                                STR_ARG(quoted))
                   : parse_fail(parser, name->pos.start, "function " STR_FMT " is not enabled",
                                STR_ARG(quoted));
    }
    if (args.count > PROMQL_ARGS_MAX) {
        return parse_fail(parser, name->pos.start,
                          "too many arguments in call to \"%s\", at most %d", function->name,
                          PROMQL_ARGS_MAX);
    }
    PromqlNode node = {
        .kind = PROMQL_CALL, .type = function->result, .pos = {name->pos.start, args.closed.end}};
    node.u.call.function = function;
    node.u.call.args = args.items;
    node.u.call.arg_count = args.count;
    return parse_node(parser, node, args.height, out);
}

static bool has_param(PromqlAggregate op)
{
    return op == PROMQL_TOPK || op == PROMQL_BOTTOMK || op == PROMQL_COUNT_VALUES ||
           op == PROMQL_QUANTILE || op == PROMQL_LIMITK || op == PROMQL_LIMIT_RATIO;
}

static Status make_aggregate(Parser *parser, PromqlNode node, const ArgList *args, ParseNode **out)
{
    const PromqlAggregate op = node.u.aggregate.op;
    const size_t want = has_param(op) ? 2 : 1;
    const uint32_t at = node.pos.start;
    if (args->count == 0) {
        return parse_fail(parser, at, "no arguments for aggregate expression provided");
    }
    if ((op == PROMQL_LIMITK || op == PROMQL_LIMIT_RATIO) &&
        !parser->features.experimental_functions) {
        return parse_fail(parser, at,
                          "%s() is experimental and must be enabled with "
                          "--enable-feature=promql-experimental-functions",
                          promql_aggregate_text(op));
    }
    if (args->count != want) {
        return parse_fail(parser, at,
                          "wrong number of arguments for aggregate expression provided, expected "
                          "%zu, got %zu",
                          want, args->count);
    }
    node.u.aggregate.param = want == 2 ? args->items[0] : NULL;
    node.u.aggregate.expr = args->items[want - 1];
    return parse_node(parser, node, args->height, out);
}

// by (...) or without (...), which is next.
static Status aggregate_labels(Parser *parser, PromqlNode *node)
{
    LexToken token;
    ParseLabels labels = {0};
    TRY(parse_take(parser, &token));
    node->u.aggregate.without = token.kind == LEX_WITHOUT;
    TRY(parse_grouping(parser, &labels));
    node->u.aggregate.grouping = labels.items;
    node->u.aggregate.grouping_count = labels.count;
    return OK;
}

static bool is_by(const LexToken *token)
{
    return token->kind == LEX_BY || token->kind == LEX_WITHOUT;
}

// sum by (x) (...) or sum(...) by (x), the name taken.
static Status aggregate(Parser *parser, const LexToken *name, ParseNode **out)
{
    const ParseContext outer = parser->context;
    PromqlNode node = {.kind = PROMQL_AGGREGATE, .type = PROMQL_VECTOR, .pos = name->pos};
    ArgList args = {0};
    LexToken token;
    parser->context = (ParseContext){"aggregation", NULL};
    node.u.aggregate.op = name->aggregate;
    TRY(parse_peek(parser, &token));
    const bool before = is_by(&token);
    if (before) {
        TRY(aggregate_labels(parser, &node));
    }
    TRY(arguments(parser, &args));
    node.pos.end = args.closed.end;
    if (!before) {
        TRY(parse_peek(parser, &token));
        if (is_by(&token)) {
            TRY(aggregate_labels(parser, &node));
            node.pos.end = parser->closed;
        }
    }
    parser->context = outer;
    return make_aggregate(parser, node, &args, out);
}

static Status string_literal(Parser *parser, ParseNode **out)
{
    LexToken token;
    TRY(parse_take(parser, &token));
    PromqlNode node = {.kind = PROMQL_TEXT, .type = PROMQL_STRING, .pos = token.pos};
    TRY(parse_string(parser, &token, &node.u.text));
    return parse_node(parser, node, 0, out);
}

static Status paren(Parser *parser, ParseNode **out)
{
    LexToken open, close;
    ParseNode *inner = NULL;
    TRY(parse_take(parser, &open));
    TRY(parse_expr(parser, PARSE_OR, &inner));
    TRY(parse_expect(parser, LEX_RIGHT_PAREN, &close));
    PromqlNode node = {
        .kind = PROMQL_PAREN, .type = inner->node.type, .pos = {open.pos.start, close.pos.end}};
    node.u.paren = &inner->node;
    return parse_node(parser, node, inner->height, out);
}

// What begins with a word: a call, an aggregation or a selector.
static Status word(Parser *parser, ParseNode **out)
{
    LexToken name, next;
    TRY(parse_take(parser, &name));
    TRY(parse_peek(parser, &next));
    if (name.kind == LEX_AGGREGATE && (next.kind == LEX_LEFT_PAREN || is_by(&next))) {
        return aggregate(parser, &name, out);
    }
    const bool callable = name.kind == LEX_IDENTIFIER || name.kind == LEX_START ||
                          name.kind == LEX_STOP || name.kind == LEX_STEP ||
                          name.kind == LEX_RANGE || name.kind == LEX_MAX_OF ||
                          name.kind == LEX_MIN_OF;
    if (callable && next.kind == LEX_LEFT_PAREN) {
        return call(parser, &name, out);
    }
    return parse_selector(parser, &name, out);
}

static Status primary(Parser *parser, ParseNode **out)
{
    LexToken token;
    TRY(parse_peek(parser, &token));
    if (token.kind == LEX_NUMBER || token.kind == LEX_DURATION) {
        return parse_number(parser, out);
    }
    if (token.kind == LEX_STRING) {
        return string_literal(parser, out);
    }
    if (token.kind == LEX_LEFT_PAREN) {
        return paren(parser, out);
    }
    if (token.kind == LEX_LEFT_BRACE) {
        return parse_selector(parser, NULL, out);
    }
    return parse_is_metric(&token) ? word(parser, out) : parse_unexpected(parser, parser->context);
}

static Status unary(Parser *parser, ParseNode **out)
{
    LexToken token;
    TRY(parse_peek(parser, &token));
    if (!parse_is_sign(&token)) {
        TRY(primary(parser, out));
        return parse_suffixes(parser, out);
    }
    ParseNode *operand = NULL;
    TRY(parse_take(parser, &token));
    TRY(parse_expr(parser, PARSE_POW, &operand));
    if (operand->node.kind == PROMQL_NUMBER) {
        if (token.op == PROMQL_SUB) {
            operand->node.u.number.value *= -1;
        }
        operand->node.pos.start = token.pos.start;
        *out = operand;
        return OK;
    }
    PromqlNode node = {.kind = PROMQL_UNARY,
                       .type = operand->node.type,
                       .pos = {token.pos.start, operand->node.pos.end}};
    node.u.unary.minus = token.op == PROMQL_SUB;
    node.u.unary.expr = &operand->node;
    return parse_node(parser, node, operand->height, out);
}

// ( number ), after fill and its like.
static Status fill_value(Parser *parser, double *out)
{
    LexToken token;
    ParseNode *number = NULL;
    bool minus = false;
    TRY(parse_expect(parser, LEX_LEFT_PAREN, &token));
    TRY(parse_peek(parser, &token));
    if (parse_is_sign(&token)) {
        minus = token.op == PROMQL_SUB;
        TRY(parse_take(parser, &token));
        TRY(parse_peek(parser, &token));
    }
    if (token.kind != LEX_NUMBER && token.kind != LEX_DURATION) {
        return parse_unexpected(parser, parser->context);
    }
    TRY(parse_number(parser, &number));
    *out = minus ? -number->node.u.number.value : number->node.u.number.value;
    return parse_expect(parser, LEX_RIGHT_PAREN, &token);
}

// fill(x), or fill_left(x) and fill_right(y) in any order, each at most once.
static Status fill_modifiers(Parser *parser, PromqlNode *node)
{
    bool found = false;
    double value = 0;
    TRY(parse_accept(parser, LEX_FILL, &found));
    if (found) {
        TRY(fill_value(parser, &value));
        node->u.binary.has_fill_left = node->u.binary.has_fill_right = true;
        node->u.binary.fill_left = node->u.binary.fill_right = value;
        return OK;
    }
    for (int i = 0; i < 2; i++) {
        found = false;
        if (!node->u.binary.has_fill_left) {
            TRY(parse_accept(parser, LEX_FILL_LEFT, &found));
        }
        if (found) {
            TRY(fill_value(parser, &node->u.binary.fill_left));
            node->u.binary.has_fill_left = true;
            continue;
        }
        if (!node->u.binary.has_fill_right) {
            TRY(parse_accept(parser, LEX_FILL_RIGHT, &found));
        }
        if (!found) {
            return OK;
        }
        TRY(fill_value(parser, &node->u.binary.fill_right));
        node->u.binary.has_fill_right = true;
    }
    return OK;
}

// bool, on(...), ignoring(...), group_left(...), group_right(...).
static Status modifiers(Parser *parser, PromqlNode *node)
{
    LexToken token;
    ParseLabels labels = {0}, include = {0};
    TRY(parse_accept(parser, LEX_BOOL, &node->u.binary.is_bool));
    TRY(parse_peek(parser, &token));
    if (token.kind != LEX_ON && token.kind != LEX_IGNORING) {
        return fill_modifiers(parser, node);
    }
    node->u.binary.on = token.kind == LEX_ON;
    TRY(parse_take(parser, &token));
    TRY(parse_grouping(parser, &labels));
    node->u.binary.labels = labels.items;
    node->u.binary.label_count = labels.count;
    TRY(parse_peek(parser, &token));
    if (token.kind == LEX_GROUP_LEFT || token.kind == LEX_GROUP_RIGHT) {
        node->u.binary.matching =
            token.kind == LEX_GROUP_LEFT ? PROMQL_MANY_TO_ONE : PROMQL_ONE_TO_MANY;
        TRY(parse_take(parser, &token));
        TRY(parse_peek(parser, &token));
        if (token.kind == LEX_LEFT_PAREN || !starts_expr(&token)) {
            TRY(parse_grouping(parser, &include));
        }
        node->u.binary.include = include.items;
        node->u.binary.include_count = include.count;
    }
    return fill_modifiers(parser, node);
}

static Status make_binary(Parser *parser, PromqlNode node, const ParseNode *right, ParseNode **left)
{
    const ParseNode *first = *left;
    if (!parser->features.binop_fill_modifiers &&
        (node.u.binary.has_fill_left || node.u.binary.has_fill_right)) {
        return parse_fail(parser, first->node.pos.start,
                          "binop fill modifiers are experimental and not enabled");
    }
    const bool set = parse_precedence(node.u.binary.op) <= PARSE_AND;
    if (set && node.u.binary.matching == PROMQL_ONE_TO_ONE) {
        node.u.binary.matching = PROMQL_MANY_TO_MANY;
    }
    node.type = first->node.type == PROMQL_SCALAR && right->node.type == PROMQL_SCALAR
                    ? PROMQL_SCALAR
                    : PROMQL_VECTOR;
    node.pos = (PromqlPos){first->node.pos.start, right->node.pos.end};
    node.u.binary.has_matching =
        first->node.type == PROMQL_VECTOR && right->node.type == PROMQL_VECTOR;
    node.u.binary.left = &first->node;
    node.u.binary.right = &right->node;
    return parse_node(parser, node, first->height > right->height ? first->height : right->height,
                      left);
}

// The operators after a first operand that bind at least as tightly as `precedence`.
static Status operators(Parser *parser, int precedence, ParseNode **left)
{
    for (;;) {
        LexToken token;
        ParseNode *right = NULL;
        PromqlNode node = {.kind = PROMQL_BINARY};
        TRY(parse_peek(parser, &token));
        const int own = token.kind == LEX_OPERATOR ? parse_precedence(token.op) : 0;
        if (own < precedence) {
            return OK;
        }
        TRY(parse_take(parser, &token));
        node.u.binary.op = token.op;
        TRY(modifiers(parser, &node));
        TRY(parse_expr(parser, token.op == PROMQL_POW ? own : own + 1, &right));
        TRY(make_binary(parser, node, right, left));
    }
}

Status parse_expr(Parser *parser, int precedence, ParseNode **out)
{
    LexToken token;
    TRY(parse_peek(parser, &token));
    TRY(parse_enter(parser, token.pos.start));
    TRY(unary(parser, out));
    TRY(operators(parser, precedence, out));
    parse_leave(parser);
    return OK;
}
