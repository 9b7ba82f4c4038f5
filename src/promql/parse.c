// SPDX-License-Identifier: Apache-2.0
#include "promql/parse.h"

#include "base/mem.h"
#include "base/num.h"
#include "promql/parse_internal.h"
#include "promql/quote.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

Status parse_fail(Parser *parser, uint32_t at, const char *format, ...)
{
    const Str text = parser->expr->text;
    char message[sizeof(parser->err->msg)];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    if (text.len == 0) {
        return err_set(parser->err, ERR_INVALID, "unknown position: parse error: %s", message);
    }
    size_t line = 1, line_start = 0;
    for (size_t i = 0; i < at && i < text.len; i++) {
        if (text.ptr[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    }
    return err_set(parser->err, ERR_INVALID, "%zu:%zu: parse error: %s", line, at - line_start + 1,
                   message);
}

Status parse_unexpected(Parser *parser, ParseContext context)
{
    const Str what = lex_describe(&parser->token, &parser->expr->arena);
    const char *in = context.where == NULL ? "" : " in ";
    const char *where = context.where == NULL ? "" : context.where;
    const char *comma = context.expected == NULL ? "" : ", expected ";
    const char *expected = context.expected == NULL ? "" : context.expected;
    return parse_fail(parser, parser->token.pos.start, "unexpected " STR_FMT "%s%s%s%s",
                      STR_ARG(what), in, where, comma, expected);
}

static bool ends_operand(LexKind kind)
{
    return kind == LEX_NUMBER || kind == LEX_DURATION || kind == LEX_RIGHT_PAREN ||
           kind == LEX_RIGHT_BRACE || kind == LEX_RIGHT_BRACKET;
}

Status parse_peek(Parser *parser, LexToken *out)
{
    *out = parser->token; // also when there is an error: compilers cannot see that nobody reads it
    if (!parser->peeked) {
        if (!lex_next(&parser->lexer, &parser->token)) {
            const Str error = buf_str(&parser->lexer.error);
            return parse_fail(parser, (uint32_t)parser->lexer.error_pos, STR_FMT, STR_ARG(error));
        }
        parser->peeked = true;
        if (ends_operand(parser->token.kind)) {
            parser->closed = parser->token.pos.end;
        }
    }
    *out = parser->token;
    return OK;
}

Status parse_take(Parser *parser, LexToken *out)
{
    TRY(parse_peek(parser, out));
    parser->peeked = false;
    return OK;
}

Status parse_accept(Parser *parser, LexKind kind, bool *accepted)
{
    LexToken token;
    TRY(parse_peek(parser, &token));
    *accepted = token.kind == kind;
    parser->peeked = !*accepted;
    return OK;
}

Status parse_expect(Parser *parser, LexKind kind, LexToken *out)
{
    TRY(parse_peek(parser, out));
    if (out->kind != kind) {
        return parse_unexpected(parser, parser->context);
    }
    parser->peeked = false;
    return OK;
}

Status parse_enter(Parser *parser, uint32_t at)
{
    if (parser->nesting == PROMQL_NESTING_MAX) {
        return parse_fail(parser, at, "expression is nested too deeply, at most %d levels",
                          PROMQL_NESTING_MAX);
    }
    parser->nesting++;
    return OK;
}

void parse_leave(Parser *parser)
{
    parser->nesting--;
}

Status parse_node(Parser *parser, PromqlNode node, uint32_t height, ParseNode **out)
{
    *out = NULL;
    if (height + 1 > PROMQL_DEPTH_MAX) {
        return parse_fail(parser, node.pos.start, "expression is too deep, at most %d levels",
                          PROMQL_DEPTH_MAX);
    }
    if (parser->node_count == PROMQL_NODES_MAX) {
        return parse_fail(parser, node.pos.start, "expression has too many parts, at most %d",
                          PROMQL_NODES_MAX);
    }
    parser->node_count++;
    ParseNode *made = arena_new(&parser->expr->arena, ParseNode, 1);
    made->node = node;
    made->height = height + 1;
    *out = made;
    return OK;
}

uint32_t parse_height(const PromqlNode *node)
{
    // Every node of the tree is the first member of a ParseNode.
    return ((const ParseNode *)(const void *)node)->height;
}

void *parse_grow(Parser *parser, const void *items, size_t count, size_t *cap, size_t size)
{
    if (count < *cap) {
        return (void *)(uintptr_t)items;
    }
    *cap = *cap == 0 ? 4 : *cap * 2;
    void *grown = arena_alloc(&parser->expr->arena, *cap, size, _Alignof(max_align_t));
    if (count > 0) {
        memcpy(grown, items, count * size);
    }
    return grown;
}

bool parse_is_sign(const LexToken *token)
{
    return token->kind == LEX_OPERATOR && (token->op == PROMQL_ADD || token->op == PROMQL_SUB);
}

Status parse_number(Parser *parser, ParseNode **out)
{
    LexToken token;
    TRY(parse_take(parser, &token));
    PromqlNode node = {.kind = PROMQL_NUMBER, .type = PROMQL_SCALAR, .pos = token.pos};
    if (token.kind == LEX_DURATION) {
        int64_t ms = 0;
        Err err = {0};
        if (parse_duration_text(token.text, &ms, &err) != OK) {
            return parse_fail(parser, token.pos.start, "%s", err.msg);
        }
        // Whole seconds and the rest apart, as Go's Duration.Seconds() does it.
        node.u.number.value = (double)(ms / 1000) + (double)(ms % 1000 * 1000000) / 1e9;
        node.u.number.is_duration = true;
    } else {
        const char *why = NULL;
        if (!parse_number_text(token.text, &node.u.number.value, &why)) {
            const Str quoted = quote_in(&parser->expr->arena, token.text);
            return parse_fail(parser, token.pos.start,
                              "error parsing number: strconv.ParseFloat: parsing " STR_FMT ": %s",
                              STR_ARG(quoted), why);
        }
    }
    return parse_node(parser, node, 0, out);
}

Status parse_string(Parser *parser, const LexToken *token, Str *out)
{
    Buf text;
    buf_init(&text, 0);
    const bool ok = quote_unquote(token->text, &text);
    *out = arena_str(&parser->expr->arena, buf_str(&text));
    buf_deinit(&text);
    if (!ok) { // the lexer refuses these before
        const Str quoted = quote_in(&parser->expr->arena, token->text);
        return parse_fail(parser, token->pos.start,
                          "error unquoting string " STR_FMT ": invalid syntax", STR_ARG(quoted));
    }
    return OK;
}

// The whole text is an expression.
static Status whole_expr(Parser *parser)
{
    LexToken token;
    ParseNode *root = NULL;
    TRY(parse_peek(parser, &token));
    if (token.kind == LEX_END) {
        return parse_fail(parser, 0, "no expression found in input");
    }
    TRY(parse_expr(parser, PARSE_OR, &root));
    TRY(parse_expect(parser, LEX_END, &token));
    parser->expr->root = &root->node;
    return parse_check(parser, &root->node);
}

static Status whole_selector(Parser *parser)
{
    LexToken token;
    ParseNode *root = NULL;
    TRY(parse_peek(parser, &token));
    if (token.kind == LEX_LEFT_BRACE) {
        TRY(parse_selector(parser, NULL, &root));
    } else if (parse_is_metric(&token)) {
        TRY(parse_take(parser, &token));
        TRY(parse_selector(parser, &token, &root));
    } else {
        return parse_unexpected(parser, parser->context);
    }
    parser->expr->root = &root->node;
    return parse_expect(parser, LEX_END, &token);
}

static Status parse_whole(Str text, const PromqlFeatures *features, Status (*whole)(Parser *),
                          PromqlExpr **out, Err *err)
{
    *out = NULL;
    if (text.len > PROMQL_EXPR_BYTES_MAX) {
        return err_set(err, ERR_INVALID, "expression of %zu bytes is too long, at most %d",
                       text.len, PROMQL_EXPR_BYTES_MAX);
    }
    PromqlExpr *expr = mem_new(PromqlExpr, 1);
    arena_init(&expr->arena, 0);
    expr->text = arena_str(&expr->arena, text);
    Parser parser = {.expr = expr, .err = err};
    if (features != NULL) {
        parser.features = *features;
    }
    lex_init(&parser.lexer, expr->text);
    const Status st = whole(&parser);
    lex_deinit(&parser.lexer);
    if (st != OK) {
        promql_expr_free(expr);
        return st;
    }
    *out = expr;
    return OK;
}

Status promql_parse(Str text, const PromqlFeatures *features, PromqlExpr **out, Err *err)
{
    return parse_whole(text, features, whole_expr, out, err);
}

Status promql_parse_selector(Str text, PromqlExpr **out, Err *err)
{
    return parse_whole(text, NULL, whole_selector, out, err);
}

void promql_expr_free(PromqlExpr *expr)
{
    if (expr == NULL) {
        return;
    }
    for (size_t i = 0; i < expr->matcher_count; i++) {
        matcher_free(expr->matchers[i]);
    }
    mem_free(expr->matchers);
    arena_deinit(&expr->arena);
    mem_free(expr);
}

const PromqlNode *promql_expr_root(const PromqlExpr *expr)
{
    return expr->root;
}

Str promql_expr_text(const PromqlExpr *expr)
{
    return expr->text;
}

Status promql_parse_duration(Str text, int64_t *out_ms, Err *err)
{
    double seconds = 0;
    *out_ms = 0;
    if (num_parse_f64(text, &seconds)) {
        const double ms = seconds * 1000;
        if (!(fabs(ms) < 9223372036854.0)) {
            return err_set(err, ERR_INVALID,
                           "cannot parse \"" STR_FMT "\" to a valid duration. It overflows int64",
                           STR_ARG(text));
        }
        *out_ms = (int64_t)ms;
        return OK;
    }
    Err duration_err = {0};
    if (parse_duration_text(text, out_ms, &duration_err) != OK) {
        return err_set(err, ERR_INVALID, "cannot parse \"" STR_FMT "\" to a valid duration",
                       STR_ARG(text));
    }
    return OK;
}
