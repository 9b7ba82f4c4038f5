// SPDX-License-Identifier: Apache-2.0
//
// The lexer of PromQL: bytes to tokens, one at a time, as Prometheus' lex.go cuts them. What a
// byte means depends on whether it is in braces, in brackets or in neither. One thread.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "promql/ast.h"

typedef enum LexKind {
    LEX_END, // of the input
    LEX_IDENTIFIER,
    LEX_METRIC_IDENTIFIER, // with a colon
    LEX_STRING,
    LEX_NUMBER,
    LEX_DURATION,
    LEX_LEFT_PAREN,
    LEX_RIGHT_PAREN,
    LEX_LEFT_BRACE,
    LEX_RIGHT_BRACE,
    LEX_LEFT_BRACKET,
    LEX_RIGHT_BRACKET,
    LEX_COMMA,
    LEX_COLON,
    LEX_ASSIGN, // =
    LEX_REGEX,  // =~
    LEX_NOT_REGEX,
    LEX_AT,
    LEX_OPERATOR,  // token.op, with and, or, unless, atan2, but not step() and its like
    LEX_AGGREGATE, // token.aggregate
    LEX_BOOL,
    LEX_BY,
    LEX_WITHOUT,
    LEX_ON,
    LEX_IGNORING,
    LEX_GROUP_LEFT,
    LEX_GROUP_RIGHT,
    LEX_FILL,
    LEX_FILL_LEFT,
    LEX_FILL_RIGHT,
    LEX_OFFSET,
    LEX_ANCHORED,
    LEX_SMOOTHED,
    LEX_START,
    LEX_STOP, // "end"
    LEX_STEP,
    LEX_RANGE,
    LEX_MAX_OF,
    LEX_MIN_OF,
} LexKind;

typedef struct LexToken {
    LexKind kind;
    PromqlPos pos;
    Str text; // of the input
    PromqlOp op;
    PromqlAggregate aggregate;
} LexToken;

typedef struct Lexer {
    Str input;
    size_t pos;   // of the next rune
    size_t start; // of the token that is being read
    size_t width; // of the last rune; 0 after the end
    int32_t paren_depth;
    bool brace_open, bracket_open;
    bool got_colon, got_duration; // since the first bracket
    bool in_duration;             // just after '[', until the first number
    // Of the failure.
    size_t error_pos;
    Buf error;
} Lexer;

enum { LEX_EOF = -1 }; // instead of a rune

void lex_init(Lexer *lexer, Str input);
void lex_deinit(Lexer *lexer);
// The next token; comments are skipped. False: lexer->error says why, at error_pos; after that the
// lexer must not be asked again.
bool lex_next(Lexer *lexer, LexToken *out);

// "identifier \"x\"", "<op:+>", "end of input": how errors name a token.
Str lex_describe(const LexToken *token, Arena *arena);

// lex_number.c
int32_t lex_rune(Lexer *lexer);       // takes one, or LEX_EOF
int32_t lex_peek(Lexer *lexer);       // leaves it
void lex_backup(Lexer *lexer);        // puts the last one back, once
bool lex_scan_number(Lexer *lexer);   // false: what was taken is no number
bool lex_scan_duration(Lexer *lexer); // what follows the digits that are no number
bool lex_is_word(int32_t rune);       // [a-zA-Z0-9_]
bool lex_is_digit(int32_t rune);
