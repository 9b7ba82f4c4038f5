// SPDX-License-Identifier: Apache-2.0
#include "promql/lex_internal.h"

#include "promql/quote.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    Str word;
    LexKind kind;
    int value; // of the operator or the aggregation
} keywords[] = {
    {STR("and"), LEX_OPERATOR, PROMQL_AND},
    {STR("or"), LEX_OPERATOR, PROMQL_OR},
    {STR("unless"), LEX_OPERATOR, PROMQL_UNLESS},
    {STR("atan2"), LEX_OPERATOR, PROMQL_ATAN2},
    {STR("sum"), LEX_AGGREGATE, PROMQL_SUM},
    {STR("avg"), LEX_AGGREGATE, PROMQL_AVG},
    {STR("count"), LEX_AGGREGATE, PROMQL_COUNT},
    {STR("min"), LEX_AGGREGATE, PROMQL_MIN},
    {STR("max"), LEX_AGGREGATE, PROMQL_MAX},
    {STR("group"), LEX_AGGREGATE, PROMQL_GROUP},
    {STR("stddev"), LEX_AGGREGATE, PROMQL_STDDEV},
    {STR("stdvar"), LEX_AGGREGATE, PROMQL_STDVAR},
    {STR("topk"), LEX_AGGREGATE, PROMQL_TOPK},
    {STR("bottomk"), LEX_AGGREGATE, PROMQL_BOTTOMK},
    {STR("count_values"), LEX_AGGREGATE, PROMQL_COUNT_VALUES},
    {STR("quantile"), LEX_AGGREGATE, PROMQL_QUANTILE},
    {STR("limitk"), LEX_AGGREGATE, PROMQL_LIMITK},
    {STR("limit_ratio"), LEX_AGGREGATE, PROMQL_LIMIT_RATIO},
    {STR("offset"), LEX_OFFSET, 0},
    {STR("smoothed"), LEX_SMOOTHED, 0},
    {STR("anchored"), LEX_ANCHORED, 0},
    {STR("by"), LEX_BY, 0},
    {STR("without"), LEX_WITHOUT, 0},
    {STR("on"), LEX_ON, 0},
    {STR("ignoring"), LEX_IGNORING, 0},
    {STR("group_left"), LEX_GROUP_LEFT, 0},
    {STR("group_right"), LEX_GROUP_RIGHT, 0},
    {STR("fill"), LEX_FILL, 0},
    {STR("fill_left"), LEX_FILL_LEFT, 0},
    {STR("fill_right"), LEX_FILL_RIGHT, 0},
    {STR("bool"), LEX_BOOL, 0},
    {STR("start"), LEX_START, 0},
    {STR("end"), LEX_STOP, 0},
    {STR("step"), LEX_STEP, 0},
    {STR("range"), LEX_RANGE, 0},
    {STR("max_of"), LEX_MAX_OF, 0},
    {STR("min_of"), LEX_MIN_OF, 0},
    {STR("inf"), LEX_NUMBER, 0},
    {STR("nan"), LEX_NUMBER, 0},
};

void lex_init(Lexer *lexer, Str input)
{
    *lexer = (Lexer){.input = input};
    buf_init(&lexer->error, 0);
}

void lex_deinit(Lexer *lexer)
{
    buf_deinit(&lexer->error);
}

static bool is_space(int32_t rune)
{
    return rune == ' ' || rune == '\t' || rune == '\n' || rune == '\r';
}

static bool is_alpha(int32_t rune)
{
    return lex_is_word(rune) && !lex_is_digit(rune);
}

static Str taken(const Lexer *lexer)
{
    return str_slice(lexer->input, lexer->start, lexer->pos);
}

static bool emit(Lexer *lexer, LexToken *out, LexKind kind)
{
    *out = (LexToken){
        .kind = kind, .pos = {(uint32_t)lexer->start, (uint32_t)lexer->pos}, .text = taken(lexer)};
    lexer->start = lexer->pos;
    return true;
}

static bool emit_op(Lexer *lexer, LexToken *out, PromqlOp op)
{
    (void)emit(lexer, out, LEX_OPERATOR);
    out->op = op;
    return true;
}

PRINTF_LIKE(2, 3) static bool fail(Lexer *lexer, const char *format, ...)
{
    char text[128];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    lexer->error_pos = lexer->start;
    buf_put(&lexer->error, text, strlen(text));
    return false;
}

// "text: 'x'": the rune that should not be there.
static bool fail_rune(Lexer *lexer, const char *text, int32_t rune)
{
    (void)fail(lexer, "%s", text);
    quote_put_rune(&lexer->error, rune == LEX_EOF ? QUOTE_RUNE_ERROR : (uint32_t)rune);
    return false;
}

static bool fail_unicode(Lexer *lexer, const char *before, int32_t rune, const char *after)
{
    (void)fail(lexer, "%s", before);
    quote_put_rune_unicode(&lexer->error, (uint32_t)rune);
    buf_put(&lexer->error, after, strlen(after));
    return false;
}

static bool is_word(Str text, Str keyword)
{
    if (text.len != keyword.len) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.ptr[i];
        if ((c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c) != keyword.ptr[i]) {
            return false;
        }
    }
    return true;
}

// fill, fill_left and fill_right are keywords only before a parenthesis, so that metrics of these
// names stay what they are.
static bool paren_follows(const Lexer *lexer)
{
    size_t i = lexer->pos;
    while (i < lexer->input.len && is_space(lexer->input.ptr[i])) {
        i++;
    }
    return i < lexer->input.len && lexer->input.ptr[i] == '(';
}

static bool next_word(Lexer *lexer, LexToken *out)
{
    while (lex_is_word(lex_peek(lexer)) || lex_peek(lexer) == ':') {
        (void)lex_rune(lexer);
    }
    const Str word = taken(lexer);
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
        if (is_word(word, keywords[i].word)) {
            const LexKind kind = keywords[i].kind;
            const bool fill = kind == LEX_FILL || kind == LEX_FILL_LEFT || kind == LEX_FILL_RIGHT;
            (void)emit(lexer, out, fill && !paren_follows(lexer) ? LEX_IDENTIFIER : kind);
            out->op = kind == LEX_OPERATOR ? (PromqlOp)keywords[i].value : PROMQL_ADD;
            out->aggregate =
                kind == LEX_AGGREGATE ? (PromqlAggregate)keywords[i].value : PROMQL_SUM;
            return true;
        }
    }
    return emit(lexer, out,
                memchr(word.ptr, ':', word.len) == NULL ? LEX_IDENTIFIER : LEX_METRIC_IDENTIFIER);
}

static bool next_number(Lexer *lexer, LexToken *out)
{
    lexer->in_duration = false;
    if (lex_scan_number(lexer)) {
        return emit(lexer, out, LEX_NUMBER);
    }
    if (lex_scan_duration(lexer)) {
        return emit(lexer, out, LEX_DURATION);
    }
    (void)fail(lexer, "bad number or duration syntax: ");
    quote_put(&lexer->error, taken(lexer));
    return false;
}

// The digits of an escape sequence: `count` of them in `base`, the first is `rune`.
static bool escape_digits(Lexer *lexer, int32_t rune, int count, uint32_t base)
{
    const uint32_t max = base == 8 || count == 2 ? 0xFF : 0x10FFFF;
    uint32_t value = 0;
    for (; count > 0; count--) {
        const uint32_t digit = rune >= '0' && rune <= '9'   ? (uint32_t)(rune - '0')
                               : rune >= 'a' && rune <= 'f' ? (uint32_t)(rune - 'a' + 10)
                               : rune >= 'A' && rune <= 'F' ? (uint32_t)(rune - 'A' + 10)
                                                            : 16;
        if (digit >= base) {
            return rune == LEX_EOF
                       ? fail(lexer, "escape sequence not terminated")
                       : fail_unicode(lexer, "illegal character ", rune, " in escape sequence");
        }
        value = value * base + digit; // at most 8 hexadecimal digits
        rune = count > 1 ? lex_rune(lexer) : rune;
    }
    if (value > max || (value >= 0xD800 && value < 0xE000)) {
        return fail(lexer, "escape sequence is an invalid Unicode code point");
    }
    return true;
}

static bool next_escape(Lexer *lexer, int32_t quote)
{
    const int32_t rune = lex_rune(lexer);
    if (rune == LEX_EOF) {
        return fail(lexer, "escape sequence not terminated");
    }
    if (rune == quote || (rune > 0 && rune < 0x80 && strchr("abfnrtv\\", rune) != NULL)) {
        return true;
    }
    if (rune >= '0' && rune <= '7') {
        return escape_digits(lexer, rune, 3, 8);
    }
    switch (rune) {
    case 'x':
        return escape_digits(lexer, lex_rune(lexer), 2, 16);
    case 'u':
        return escape_digits(lexer, lex_rune(lexer), 4, 16);
    case 'U':
        return escape_digits(lexer, lex_rune(lexer), 8, 16);
    default:
        return fail_unicode(lexer, "unknown escape sequence ", rune, "");
    }
}

// A string whose quote was taken.
static bool next_string(Lexer *lexer, LexToken *out, int32_t quote)
{
    for (;;) {
        const int32_t rune = lex_rune(lexer);
        if (rune == quote) {
            return emit(lexer, out, LEX_STRING);
        }
        if (rune == QUOTE_RUNE_ERROR) {
            return fail(lexer, "invalid UTF-8 rune");
        }
        if (quote == '`') {
            if (rune == LEX_EOF) {
                return fail(lexer, "unterminated raw string");
            }
        } else if (rune == LEX_EOF || rune == '\n') {
            return fail(lexer, "unterminated quoted string");
        } else if (rune == '\\' && !next_escape(lexer, quote)) {
            return false;
        }
    }
}

static bool next_in_braces(Lexer *lexer, LexToken *out)
{
    const int32_t rune = lex_rune(lexer);
    if (is_alpha(rune)) {
        while (lex_is_word(lex_peek(lexer))) {
            (void)lex_rune(lexer);
        }
        return emit(lexer, out, LEX_IDENTIFIER);
    }
    switch (rune) {
    case LEX_EOF:
        return fail(lexer, "unexpected end of input inside braces");
    case ',':
        return emit(lexer, out, LEX_COMMA);
    case '"':
    case '\'':
    case '`':
        return next_string(lexer, out, rune);
    case '=':
        if (lex_rune(lexer) == '~') {
            return emit(lexer, out, LEX_REGEX);
        }
        lex_backup(lexer);
        return emit(lexer, out, LEX_ASSIGN);
    case '!': {
        const int32_t second = lex_rune(lexer);
        if (second != '~' && second != '=') {
            return fail_rune(lexer, "unexpected character after '!' inside braces: ", second);
        }
        return second == '~' ? emit(lexer, out, LEX_NOT_REGEX) : emit_op(lexer, out, PROMQL_NE);
    }
    case '{':
        return fail_rune(lexer, "unexpected left brace ", rune);
    case '}':
        lexer->brace_open = false;
        return emit(lexer, out, LEX_RIGHT_BRACE);
    default:
        return fail_rune(lexer, "unexpected character inside braces: ", rune);
    }
}

// step, range, max_of and min_of are the only words in brackets. False: it is another.
static bool next_duration_word(Lexer *lexer, LexToken *out)
{
    while (is_alpha(lex_peek(lexer))) {
        (void)lex_rune(lexer);
    }
    const Str word = taken(lexer);
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
        const LexKind kind = keywords[i].kind;
        if ((kind == LEX_STEP || kind == LEX_RANGE || kind == LEX_MAX_OF || kind == LEX_MIN_OF) &&
            is_word(word, keywords[i].word)) {
            return emit(lexer, out, kind);
        }
    }
    return false;
}

static bool is_duration_word_start(int32_t rune)
{
    return rune > 0 && rune < 0x80 && strchr("srmSRM", rune) != NULL;
}

static bool right_paren(Lexer *lexer, LexToken *out)
{
    (void)emit(lexer, out, LEX_RIGHT_PAREN);
    lexer->paren_depth--;
    return lexer->paren_depth >= 0 || fail_rune(lexer, "unexpected right parenthesis ", ')');
}

static bool left_paren(Lexer *lexer, LexToken *out)
{
    lexer->paren_depth++;
    return emit(lexer, out, LEX_LEFT_PAREN);
}

static bool duration_colon(Lexer *lexer, LexToken *out)
{
    (void)emit(lexer, out, LEX_COLON);
    if (!lexer->got_duration) {
        return fail(lexer, "unexpected colon before duration in duration expression");
    }
    if (lexer->got_colon) {
        return fail(lexer, "unexpected repeated colon in duration expression");
    }
    lexer->got_colon = true;
    return true;
}

// +, -, *, /, % and ^.
static bool arithmetic(int32_t rune, PromqlOp *op)
{
    static const char runes[] = "+-*/%^";
    static const PromqlOp ops[] = {PROMQL_ADD, PROMQL_SUB, PROMQL_MUL,
                                   PROMQL_DIV, PROMQL_MOD, PROMQL_POW};
    const char *at = rune > 0 && rune < 0x80 ? strchr(runes, rune) : NULL;
    if (at == NULL) {
        return false;
    }
    *op = ops[at - runes];
    return true;
}

// Just after a '[', until a number was read.
static bool next_in_duration(Lexer *lexer, LexToken *out)
{
    while (is_space(lex_peek(lexer))) {
        (void)lex_rune(lexer);
    }
    lexer->start = lexer->pos;
    const int32_t rune = lex_rune(lexer);
    PromqlOp op = PROMQL_ADD;
    if (arithmetic(rune, &op)) {
        return emit_op(lexer, out, op);
    }
    if (is_duration_word_start(rune)) {
        return next_duration_word(lexer, out) ||
               fail_rune(lexer, "unexpected character in duration expression: ", rune);
    }
    if (lex_is_digit(rune) || (rune == '.' && lex_is_digit(lex_peek(lexer)))) {
        lexer->pos = lexer->start;
        lexer->got_duration = true;
        return next_number(lexer, out);
    }
    switch (rune) {
    case LEX_EOF:
        return fail(lexer, "unexpected end of input in duration expression");
    case ']':
        lexer->bracket_open = false;
        lexer->got_colon = false;
        lexer->in_duration = false;
        return emit(lexer, out, LEX_RIGHT_BRACKET);
    case ':':
        return duration_colon(lexer, out);
    case '(':
        return left_paren(lexer, out);
    case ')':
        return right_paren(lexer, out);
    case ',':
        return emit(lexer, out, LEX_COMMA);
    default:
        return fail_rune(lexer, "unexpected character in duration expression: ", rune);
    }
}

// A letter or a colon outside braces, taken.
static bool next_letter(Lexer *lexer, LexToken *out, int32_t rune)
{
    if (!lexer->bracket_open) {
        return next_word(lexer, out);
    }
    if (rune == ':') {
        if (lexer->got_colon) {
            return fail_rune(lexer, "unexpected colon ", rune);
        }
        lexer->got_colon = true;
        return emit(lexer, out, LEX_COLON);
    }
    if (is_duration_word_start(rune) && next_duration_word(lexer, out)) {
        return true;
    }
    (void)fail_rune(lexer, "unexpected character: ", rune);
    buf_put_str(&lexer->error, STR(", expected ':'"));
    return false;
}

// =, !, < or >, taken, with what belongs to it.
static bool next_comparison(Lexer *lexer, LexToken *out, int32_t rune)
{
    const int32_t second = lex_peek(lexer);
    if (rune == '=' && second == '~') {
        return fail_rune(lexer, "unexpected character after '=': ", second);
    }
    if (rune == '!' && second != '=') {
        return fail_rune(lexer, "unexpected character after '!': ", second);
    }
    const bool trim = second == '/' && (rune == '<' || rune == '>');
    if (second == '=' || trim) {
        (void)lex_rune(lexer);
    }
    switch (rune) {
    case '=':
        return second == '=' ? emit_op(lexer, out, PROMQL_EQ) : emit(lexer, out, LEX_ASSIGN);
    case '!':
        return emit_op(lexer, out, PROMQL_NE);
    case '<':
        return emit_op(lexer, out,
                       second == '=' ? PROMQL_LE
                       : trim        ? PROMQL_TRIM_UPPER
                                     : PROMQL_LT);
    default:
        return emit_op(lexer, out,
                       second == '=' ? PROMQL_GE
                       : trim        ? PROMQL_TRIM_LOWER
                                     : PROMQL_GT);
    }
}

static bool left_bracket(Lexer *lexer, LexToken *out)
{
    if (lexer->bracket_open) {
        return fail_rune(lexer, "unexpected left bracket ", '[');
    }
    lexer->got_colon = false;
    lexer->bracket_open = true;
    lexer->in_duration = true;
    return emit(lexer, out, LEX_LEFT_BRACKET);
}

static bool right_bracket(Lexer *lexer, LexToken *out)
{
    if (!lexer->bracket_open) {
        return fail_rune(lexer, "unexpected right bracket ", ']');
    }
    lexer->bracket_open = false;
    return emit(lexer, out, LEX_RIGHT_BRACKET);
}

static bool end_of_input(Lexer *lexer, LexToken *out)
{
    if (lexer->paren_depth != 0) {
        return fail(lexer, "unclosed left parenthesis");
    }
    if (lexer->bracket_open) {
        return fail(lexer, "unclosed left bracket");
    }
    return emit(lexer, out, LEX_END);
}

static bool next_outside(Lexer *lexer, LexToken *out)
{
    const int32_t rune = lex_rune(lexer);
    PromqlOp op = PROMQL_ADD;
    if (arithmetic(rune, &op)) {
        return emit_op(lexer, out, op);
    }
    if (lex_is_digit(rune) || (rune == '.' && lex_is_digit(lex_peek(lexer)))) {
        lexer->pos = lexer->start;
        return next_number(lexer, out);
    }
    if (is_alpha(rune) || rune == ':') {
        return next_letter(lexer, out, rune);
    }
    switch (rune) {
    case LEX_EOF:
        return end_of_input(lexer, out);
    case ',':
        return emit(lexer, out, LEX_COMMA);
    case '=':
    case '!':
    case '<':
    case '>':
        return next_comparison(lexer, out, rune);
    case '"':
    case '\'':
    case '`':
        return next_string(lexer, out, rune);
    case '(':
        return left_paren(lexer, out);
    case ')':
        return right_paren(lexer, out);
    case '{':
        lexer->brace_open = true;
        return emit(lexer, out, LEX_LEFT_BRACE);
    case '[':
        return left_bracket(lexer, out);
    case ']':
        return right_bracket(lexer, out);
    case '@':
        return emit(lexer, out, LEX_AT);
    default:
        return fail_rune(lexer, "unexpected character: ", rune);
    }
}

static void skip_blanks(Lexer *lexer)
{
    for (;;) {
        const int32_t rune = lex_peek(lexer);
        if (is_space(rune)) {
            (void)lex_rune(lexer);
        } else if (rune == '#') {
            while (lex_peek(lexer) != LEX_EOF && lex_peek(lexer) != '\n' &&
                   lex_peek(lexer) != '\r') {
                (void)lex_rune(lexer);
            }
        } else {
            break;
        }
    }
    lexer->start = lexer->pos;
}

bool lex_next(Lexer *lexer, LexToken *out)
{
    *out = (LexToken){.kind = LEX_END};
    if (lexer->in_duration) {
        return next_in_duration(lexer, out);
    }
    skip_blanks(lexer);
    return lexer->brace_open ? next_in_braces(lexer, out) : next_outside(lexer, out);
}

typedef struct Description { // before and after the text; quoted: in quotes, when it is long cut
    const char *before, *after;
    bool quoted;
} Description;

static Description describe(LexKind kind)
{
    switch (kind) {
    case LEX_END:
        return (Description){"end of input", "", false}; // it has no text
    case LEX_IDENTIFIER:
        return (Description){"identifier ", "", true};
    case LEX_METRIC_IDENTIFIER:
        return (Description){"metric identifier ", "", true};
    case LEX_STRING:
        return (Description){"string ", "", true};
    case LEX_NUMBER:
        return (Description){"number ", "", true};
    case LEX_DURATION:
        return (Description){"duration ", "", true};
    case LEX_OPERATOR:
    case LEX_REGEX:
    case LEX_NOT_REGEX:
    case LEX_AT:
        return (Description){"<op:", ">", false};
    case LEX_AGGREGATE:
        return (Description){"<aggr:", ">", false};
    case LEX_BOOL:
    case LEX_BY:
    case LEX_WITHOUT:
    case LEX_ON:
    case LEX_IGNORING:
    case LEX_GROUP_LEFT:
    case LEX_GROUP_RIGHT:
    case LEX_FILL:
    case LEX_FILL_LEFT:
    case LEX_FILL_RIGHT:
    case LEX_OFFSET:
    case LEX_ANCHORED:
    case LEX_SMOOTHED:
        return (Description){"<", ">", false};
    case LEX_LEFT_PAREN:
    case LEX_RIGHT_PAREN:
    case LEX_LEFT_BRACE:
    case LEX_RIGHT_BRACE:
    case LEX_LEFT_BRACKET:
    case LEX_RIGHT_BRACKET:
    case LEX_COMMA:
    case LEX_COLON:
    case LEX_ASSIGN:
    case LEX_START:
    case LEX_STOP:
    case LEX_STEP:
    case LEX_RANGE:
    case LEX_MAX_OF:
    case LEX_MIN_OF:
        return (Description){"", "", true};
    }
    UNREACHABLE();
}

Str lex_describe(const LexToken *token, Arena *arena)
{
    const bool word = token->kind == LEX_IDENTIFIER || token->kind == LEX_METRIC_IDENTIFIER;
    const bool whole = word || token->text.len <= 10;
    const Description form = describe(token->kind);
    Buf out;
    buf_init(&out, 0);
    buf_putf(&out, "%s", form.before);
    if (!form.quoted) {
        buf_put_str(&out, token->text);
    } else if (whole) {
        quote_put(&out, token->text);
    } else {
        buf_put_str(&out, quote_cut_in(arena, token->text, 10));
        buf_put_str(&out, STR("..."));
    }
    buf_putf(&out, "%s", form.after);
    const Str described = arena_str(arena, buf_str(&out));
    buf_deinit(&out);
    return described;
}
