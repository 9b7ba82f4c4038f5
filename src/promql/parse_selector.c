// SPDX-License-Identifier: Apache-2.0
#include "promql/parse_internal.h"

#include "base/mem.h"
#include "promql/quote.h"

#include <math.h>

static bool match_op(const LexToken *token, MatchOp *op)
{
    switch ((int)token->kind) {
    case LEX_ASSIGN:
        *op = MATCH_EQ;
        return true;
    case LEX_REGEX:
        *op = MATCH_RE;
        return true;
    case LEX_NOT_REGEX:
        *op = MATCH_NRE;
        return true;
    case LEX_OPERATOR: // in braces there is only one: !=
        *op = MATCH_NE;
        return true;
    default:
        return false;
    }
}

typedef struct MatcherList {
    const Matcher **items;
    size_t count, cap;
} MatcherList;

typedef struct MatcherParts {
    MatchOp op;
    Str name, value;
    uint32_t at; // for errors
} MatcherParts;

static Status add_matcher(Parser *parser, MatcherParts parts, MatcherList *list)
{
    PromqlExpr *expr = parser->expr;
    Matcher *matcher = NULL;
    Err err = {0};
    if (matcher_new(parts.op, parts.name, parts.value, &matcher, &err) != OK) {
        return parse_fail(parser, parts.at, "%s", err.msg);
    }
    expr->matchers = mem_grow(expr->matchers, &expr->matcher_cap, expr->matcher_count + 1,
                              sizeof(*expr->matchers));
    expr->matchers[expr->matcher_count++] = matcher;
    list->items = parse_grow(parser, list->items, list->count, &list->cap, sizeof(*list->items));
    list->items[list->count++] = matcher;
    return OK;
}

// name="value", "name"="value" or "metric name".
static Status label_matcher(Parser *parser, MatcherList *list)
{
    LexToken token, name, value;
    MatcherParts parts = {.op = MATCH_EQ};
    TRY(parse_peek(parser, &name));
    if (name.kind != LEX_IDENTIFIER && name.kind != LEX_STRING) {
        return parse_unexpected(parser, (ParseContext){"label matching", "identifier or \"}\""});
    }
    TRY(parse_take(parser, &name));
    parts.at = name.pos.start;
    parts.name = name.text;
    if (name.kind == LEX_STRING) {
        TRY(parse_string(parser, &name, &parts.name));
    }
    TRY(parse_peek(parser, &token));
    if (!match_op(&token, &parts.op)) {
        if (name.kind == LEX_IDENTIFIER) {
            return parse_unexpected(parser,
                                    (ParseContext){"label matching", "label matching operator"});
        }
        parts.value = parts.name;
        parts.name = STR("__name__");
        return add_matcher(parser, parts, list);
    }
    TRY(parse_take(parser, &token));
    TRY(parse_peek(parser, &value));
    if (value.kind != LEX_STRING) {
        return parse_unexpected(parser, (ParseContext){"label matching", "string"});
    }
    TRY(parse_take(parser, &value));
    TRY(parse_string(parser, &value, &parts.value));
    return add_matcher(parser, parts, list);
}

// What is in braces, the left one taken. *end is set to where the right one ends.
static Status label_matchers(Parser *parser, MatcherList *list, uint32_t *end)
{
    LexToken token;
    TRY(parse_peek(parser, &token));
    while (token.kind != LEX_RIGHT_BRACE) {
        TRY(label_matcher(parser, list));
        TRY(parse_peek(parser, &token));
        if (token.kind == LEX_COMMA) {
            TRY(parse_take(parser, &token));
            TRY(parse_peek(parser, &token));
        } else if (token.kind != LEX_RIGHT_BRACE) {
            return parse_unexpected(parser, (ParseContext){"label matching", "\",\" or \"}\""});
        }
    }
    *end = token.pos.end;
    return parse_take(parser, &token);
}

Status parse_selector(Parser *parser, const LexToken *name, ParseNode **out)
{
    LexToken token;
    MatcherList list = {0};
    PromqlNode node = {.kind = PROMQL_SELECTOR, .type = PROMQL_VECTOR};
    TRY(parse_peek(parser, &token));
    node.pos = name == NULL ? token.pos : name->pos;
    if (token.kind == LEX_LEFT_BRACE) {
        TRY(parse_take(parser, &token));
        TRY(label_matchers(parser, &list, &node.pos.end));
    }
    if (name != NULL) {
        node.u.selector.name = name->text;
        TRY(add_matcher(
            parser, (MatcherParts){MATCH_EQ, STR("__name__"), name->text, name->pos.start}, &list));
    }
    node.u.selector.matchers = list.items;
    node.u.selector.matcher_count = list.count;
    return parse_node(parser, node, 0, out);
}

static Status check_positive(Parser *parser, const ParseNode *duration)
{
    if (duration->node.kind == PROMQL_NUMBER && duration->node.u.number.value <= 0) {
        return parse_fail(parser, duration->node.pos.start, "duration must be greater than 0");
    }
    return OK;
}

// A duration in brackets, which is positive as far as it is known, and the token after it.
static Status bracket_duration(Parser *parser, ParseContext context, ParseNode **out,
                               LexToken *after)
{
    const ParseContext outer = parser->context;
    parser->context = context;
    TRY(parse_duration(parser, PARSE_ADD, out));
    parser->context = outer;
    TRY(parse_peek(parser, after));
    return check_positive(parser, *out);
}

static void set_duration(const ParseNode *duration, int64_t *ms, const PromqlNode **expr)
{
    if (duration->node.kind == PROMQL_NUMBER) {
        *ms = parse_seconds_ms(duration->node.u.number.value);
    } else {
        *expr = &duration->node;
    }
}

static Status make_range(Parser *parser, ParseNode *operand, const ParseNode *duration,
                         PromqlPos brackets, ParseNode **out)
{
    const char *why = NULL;
    if (operand->node.kind != PROMQL_SELECTOR) {
        why = "ranges only allowed for vector selectors";
    } else if (operand->has_offset) {
        why = "no offset modifiers allowed before range";
    } else if (operand->node.u.selector.time.at != PROMQL_AT_NONE) {
        why = "no @ modifiers allowed before range";
    }
    if (why != NULL) {
        return parse_fail(parser, brackets.start, "%s", why);
    }
    PromqlNode node = {.kind = PROMQL_RANGE,
                       .type = PROMQL_MATRIX,
                       .pos = {operand->node.pos.start, brackets.end}};
    node.u.range.selector = &operand->node;
    set_duration(duration, &node.u.range.range_ms, &node.u.range.range_expr);
    TRY(parse_node(parser, node, operand->height, out));
    (*out)->selector = operand;
    return OK;
}

// [range] or [range:step], the bracket is next.
static Status brackets(Parser *parser, ParseNode **operand)
{
    static const ParseContext in_range = {"subquery or range selector",
                                          "number, duration, step(), or range()"};
    static const ParseContext in_step = {"subquery selector",
                                         "number, duration, step(), range(), or \"]\""};
    LexToken open, token;
    ParseNode *range = NULL, *step = NULL;
    TRY(parse_take(parser, &open));
    TRY(bracket_duration(parser, in_range, &range, &token));
    if (token.kind == LEX_RIGHT_BRACKET) {
        TRY(parse_take(parser, &token));
        return make_range(parser, *operand, range, (PromqlPos){open.pos.start, token.pos.end},
                          operand);
    }
    if (token.kind != LEX_COLON) {
        return parse_unexpected(parser, (ParseContext){"subquery or range", "\":\" or \"]\""});
    }
    TRY(parse_take(parser, &token));
    TRY(parse_peek(parser, &token));
    if (token.kind != LEX_RIGHT_BRACKET) {
        TRY(bracket_duration(parser, in_step, &step, &token));
        if (token.kind != LEX_RIGHT_BRACKET) {
            return parse_unexpected(parser, (ParseContext){"subquery selector", "\"]\""});
        }
    }
    TRY(parse_take(parser, &token));
    PromqlNode node = {.kind = PROMQL_SUBQUERY,
                       .type = PROMQL_MATRIX,
                       .pos = {(*operand)->node.pos.start, token.pos.end}};
    node.u.subquery.expr = &(*operand)->node;
    set_duration(range, &node.u.subquery.range_ms, &node.u.subquery.range_expr);
    if (step != NULL) {
        set_duration(step, &node.u.subquery.step_ms, &node.u.subquery.step_expr);
    }
    return parse_node(parser, node, (*operand)->height, operand);
}

// Where offset and @ of an operand are kept, and whose they are; NULL when it can have none.
static PromqlTime *time_of(ParseNode *operand, ParseNode **holder)
{
    *holder = operand->node.kind == PROMQL_RANGE ? operand->selector : operand;
    if ((*holder)->node.kind == PROMQL_SELECTOR) {
        return &(*holder)->node.u.selector.time;
    }
    return operand->node.kind == PROMQL_SUBQUERY ? &operand->node.u.subquery.time : NULL;
}

static Status offset(Parser *parser, ParseNode *operand)
{
    static const ParseContext context = {"offset", "number, duration, step(), or range()"};
    const ParseContext outer = parser->context;
    const uint32_t at = operand->node.pos.start;
    ParseNode *duration = NULL, *holder = NULL;
    LexToken token;
    TRY(parse_take(parser, &token));
    parser->context = context;
    TRY(parse_offset_duration(parser, &duration));
    parser->context = outer;
    PromqlTime *time = time_of(operand, &holder);
    if (time == NULL) {
        return parse_fail(parser, at,
                          "offset modifier must be preceded by an instant vector selector or range "
                          "vector selector or a subquery");
    }
    if (holder->has_offset) {
        return parse_fail(parser, at, "offset may not be set multiple times");
    }
    set_duration(duration, &time->offset_ms, &time->offset_expr);
    holder->has_offset =
        duration->node.kind != PROMQL_NUMBER || round(duration->node.u.number.value * 1e9) != 0;
    operand->node.pos.end = parser->closed;
    return OK;
}

// start() or end().
static Status at_word(Parser *parser, const LexToken *word, ParseNode *operand)
{
    LexToken token;
    ParseNode *holder = NULL;
    TRY(parse_expect(parser, LEX_LEFT_PAREN, &token));
    TRY(parse_expect(parser, LEX_RIGHT_PAREN, &token));
    PromqlTime *time = time_of(operand, &holder);
    if (time == NULL) {
        return parse_fail(parser, operand->node.pos.start,
                          "@ modifier must be preceded by an instant vector selector or range "
                          "vector selector or a subquery");
    }
    if (time->at != PROMQL_AT_NONE) {
        return parse_fail(parser, operand->node.pos.start,
                          "@ <timestamp> may not be set multiple times");
    }
    time->at = word->kind == LEX_START ? PROMQL_AT_START : PROMQL_AT_END;
    operand->node.pos.end = token.pos.end;
    return OK;
}

static Status at_number(Parser *parser, ParseNode *operand)
{
    LexToken token;
    ParseNode *number = NULL, *holder = NULL;
    bool minus = false;
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
    const double seconds = minus ? -number->node.u.number.value : number->node.u.number.value;
    if (!(fabs(seconds) < 9223372036854775808.0)) {
        if (isfinite(seconds)) {
            return parse_fail(parser, operand->node.pos.start,
                              "timestamp out of bounds for @ modifier: %f", seconds);
        }
        return parse_fail(parser, operand->node.pos.start,
                          "timestamp out of bounds for @ modifier: %s",
                          isnan(seconds) ? "NaN"
                          : seconds > 0  ? "+Inf"
                                         : "-Inf");
    }
    PromqlTime *time = time_of(operand, &holder);
    if (time == NULL) {
        return parse_fail(parser, operand->node.pos.start,
                          "@ modifier must be preceded by an instant vector selector or range "
                          "vector selector or a subquery");
    }
    if (time->at != PROMQL_AT_NONE) {
        return parse_fail(parser, operand->node.pos.start,
                          "@ <timestamp> may not be set multiple times");
    }
    const double ms = round(seconds * 1000);
    time->at = PROMQL_AT_TIME;
    time->at_ms = ms >= 9223372036854775808.0    ? INT64_MAX
                  : ms <= -9223372036854775808.0 ? INT64_MIN
                                                 : (int64_t)ms;
    operand->node.pos.end = token.pos.end;
    return OK;
}

static Status at(Parser *parser, ParseNode *operand)
{
    const ParseContext outer = parser->context;
    LexToken token;
    TRY(parse_take(parser, &token));
    parser->context = (ParseContext){"@", "timestamp"};
    TRY(parse_peek(parser, &token));
    if (token.kind == LEX_START || token.kind == LEX_STOP) {
        TRY(parse_take(parser, &token));
        TRY(at_word(parser, &token, operand));
    } else {
        TRY(at_number(parser, operand));
    }
    parser->context = outer;
    return OK;
}

// anchored or smoothed, which is next.
static Status extend(Parser *parser, ParseNode *operand)
{
    LexToken token;
    ParseNode *holder = NULL;
    TRY(parse_take(parser, &token));
    const bool anchored = token.kind == LEX_ANCHORED;
    const char *word = anchored ? "anchored" : "smoothed";
    const uint32_t at = operand->node.pos.start;
    if (!parser->features.extended_range_selectors) {
        return parse_fail(parser, at, "%s modifier is experimental and not enabled", word);
    }
    if (operand->node.kind == PROMQL_SUBQUERY) {
        return parse_fail(parser, at, "%s modifier is not supported for subqueries", word);
    }
    if (time_of(operand, &holder) == NULL) {
        return parse_fail(parser, at, "%s modifier not implemented", word);
    }
    if (anchored ? holder->node.u.selector.smoothed : holder->node.u.selector.anchored) {
        return parse_fail(parser, at, "anchored and smoothed modifiers cannot be used together");
    }
    holder->node.u.selector.anchored |= anchored;
    holder->node.u.selector.smoothed |= !anchored;
    return OK;
}

Status parse_suffixes(Parser *parser, ParseNode **operand)
{
    for (;;) {
        LexToken token;
        TRY(parse_peek(parser, &token));
        switch ((int)token.kind) {
        case LEX_LEFT_BRACKET:
            TRY(brackets(parser, operand));
            break;
        case LEX_OFFSET:
            TRY(offset(parser, *operand));
            break;
        case LEX_AT:
            TRY(at(parser, *operand));
            break;
        case LEX_ANCHORED:
        case LEX_SMOOTHED:
            TRY(extend(parser, *operand));
            break;
        default:
            return OK;
        }
    }
}
