// SPDX-License-Identifier: Apache-2.0
//
// The parser's own: one struct for the run of a parser, and what its files share.
//
//   parse.c           entry points, tokens, errors, nodes, literals
//   parse_expr.c      operators, calls, aggregations
//   parse_selector.c  {...}, [...], offset, @, anchored, smoothed
//   parse_duration.c  durations and their arithmetic
//   parse_check.c     types and what else is known only of a whole tree
//
// It is a parser by recursive descent. Prometheus' is made by yacc, and which error a wrong
// expression gets follows from when that parser looks at the next token and what it then has on its
// stack. Two things bring about the same here: a token is read only when somebody asks for it
// (errors of the lexer come then, and not earlier), and `context` is what the innermost
// construct that recovers from errors says of an unexpected token.
//
// The first error ends the parse, since Prometheus shows only the first.
#pragma once

#include "promql/functions.h"
#include "promql/lex_internal.h"
#include "promql/parse.h"

struct PromqlExpr {
    Arena arena;
    Str text;
    const PromqlNode *root;
    Matcher **matchers; // all of the tree
    size_t matcher_count, matcher_cap;
};

// A node with what only the parser needs to know of it.
typedef struct ParseNode ParseNode;
struct ParseNode {
    PromqlNode node;
    uint32_t height;
    bool has_offset;     // also when it is less than a millisecond
    ParseNode *selector; // of PROMQL_RANGE
};

typedef struct ParseContext { // "unexpected x in WHERE, expected EXPECTED"
    const char *where, *expected;
} ParseContext;

typedef struct Parser {
    Lexer lexer;
    LexToken token; // the next one, when `peeked`
    bool peeked;
    uint32_t closed; // end of the last number or right parenthesis, brace or bracket that was read
    PromqlFeatures features;
    PromqlExpr *expr;
    Err *err;
    ParseContext context;
    uint32_t nesting, node_count;
} Parser;

typedef struct ParseLabels { // in the arena
    Str *items;
    size_t count, cap;
} ParseLabels;

// Precedences, lowest first. A sign binds as PARSE_MUL.
enum { PARSE_OR = 1, PARSE_AND, PARSE_COMPARE, PARSE_ADD, PARSE_MUL, PARSE_POW };

// parse.c
Status parse_peek(Parser *parser, LexToken *out);
Status parse_take(Parser *parser, LexToken *out);
// The next token is `kind`, and is taken; else the error of the context.
Status parse_expect(Parser *parser, LexKind kind, LexToken *out);
// Is the next token `kind`? Then it is taken.
Status parse_accept(Parser *parser, LexKind kind, bool *accepted);
Status parse_fail(Parser *parser, uint32_t at, const char *format, ...) PRINTF_LIKE(3, 4);
// The token that was peeked cannot stand here.
Status parse_unexpected(Parser *parser, ParseContext context);
Status parse_enter(Parser *parser, uint32_t at); // one level of nesting; then parse_leave()
void parse_leave(Parser *parser);
// `height` is that of the highest child, 0 for a leaf.
Status parse_node(Parser *parser, PromqlNode node, uint32_t height, ParseNode **out);
Status parse_number(Parser *parser, ParseNode **out); // takes a number or a duration
Status parse_string(Parser *parser, const LexToken *token, Str *out);
bool parse_is_sign(const LexToken *token);
// Room for one more in a list that lives in the arena; all but the array is the caller's.
void *parse_grow(Parser *parser, const void *items, size_t count, size_t *cap, size_t size);
uint32_t parse_height(const PromqlNode *node);

// parse_number.c
// Go's strconv.ParseInt(text, 0, 64), else ParseFloat. False: `*why` is Go's word for it.
bool parse_number_text(Str text, double *out, const char **why);
// Prometheus' model.ParseDuration. ERR_INVALID with its text.
Status parse_duration_text(Str text, int64_t *out_ms, Err *err);

// parse_expr.c
Status parse_expr(Parser *parser, int precedence, ParseNode **out);
Status parse_grouping(Parser *parser, ParseLabels *labels);
int parse_precedence(PromqlOp op);           // of a binary operator
bool parse_is_metric(const LexToken *token); // may it be the name of a metric?

// parse_selector.c
Status parse_selector(Parser *parser, const LexToken *name, ParseNode **out); // name may be NULL
// Everything that may follow an operand: [5m], offset 5m, @ 10, ...
Status parse_suffixes(Parser *parser, ParseNode **operand);

// parse_duration.c
Status parse_duration(Parser *parser, int precedence, ParseNode **out);
Status parse_offset_duration(Parser *parser, ParseNode **out);
int64_t parse_seconds_ms(double seconds); // rounded to nanoseconds, then cut

// parse_check.c
Status parse_check(Parser *parser, const PromqlNode *node);
