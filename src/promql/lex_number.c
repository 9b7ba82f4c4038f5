// SPDX-License-Identifier: Apache-2.0
//
// Runes, and numbers and durations made of them. What is taken here need not be a valid number: the
// parser finds that out, and says it with the text that was taken.
#include "promql/lex_internal.h"
#include "promql/quote.h"

int32_t lex_rune(Lexer *lexer)
{
    if (lexer->pos >= lexer->input.len) {
        lexer->width = 0;
        return LEX_EOF;
    }
    const int32_t rune = (int32_t)quote_rune_at(lexer->input, lexer->pos, &lexer->width);
    lexer->pos += lexer->width;
    return rune;
}

void lex_backup(Lexer *lexer)
{
    lexer->pos -= lexer->width;
}

int32_t lex_peek(Lexer *lexer)
{
    const int32_t rune = lex_rune(lexer);
    lex_backup(lexer);
    return rune;
}

bool lex_is_digit(int32_t rune)
{
    return rune >= '0' && rune <= '9';
}

bool lex_is_word(int32_t rune)
{
    return rune == '_' || (rune >= 'a' && rune <= 'z') || (rune >= 'A' && rune <= 'Z') ||
           lex_is_digit(rune);
}

static bool is_one_of(int32_t rune, const char *set)
{
    return rune > 0 && rune < 0x80 && strchr(set, rune) != NULL;
}

static bool accept(Lexer *lexer, const char *set)
{
    if (is_one_of(lex_rune(lexer), set)) {
        return true;
    }
    lex_backup(lexer);
    return false;
}

static bool is_next(Lexer *lexer, const char *set)
{
    return is_one_of(lex_peek(lexer), set);
}

typedef struct NumberScan {
    const char *digits;
    bool hex, dot, exponent; // seen
} NumberScan;

// One dot, exponent, underscore or run of digits. False: it cannot stand here.
static bool scan_part(Lexer *lexer, NumberScan *scan)
{
    if (is_next(lexer, ".") && scan->dot) {
        (void)accept(lexer, ".");
        return false;
    }
    if (is_next(lexer, "eE") && scan->exponent) {
        (void)accept(lexer, "eE");
        return false;
    }
    if (accept(lexer, ".")) {
        scan->dot = true;
        return !accept(lexer, "_.") && !scan->hex;
    }
    if (accept(lexer, "eE")) {
        scan->exponent = true;
        (void)accept(lexer, "+-");
        return !accept(lexer, "._eE") && lex_peek(lexer) != LEX_EOF;
    }
    if (accept(lexer, "_")) {
        return !accept(lexer, "._eE") && lex_peek(lexer) != LEX_EOF;
    }
    while (accept(lexer, scan->digits)) {
    }
    return true;
}

bool lex_scan_number(Lexer *lexer)
{
    const size_t start = lexer->pos;
    NumberScan scan = {.digits = "0123456789"};
    if (accept(lexer, "0") && accept(lexer, "xX")) {
        (void)accept(lexer, "_");
        scan.hex = true;
        scan.digits = "0123456789abcdefABCDEF";
    }
    (void)accept(lexer, ".");
    (void)accept(lexer, scan.digits);
    while (is_next(lexer, scan.digits) || is_next(lexer, "._eE")) {
        if (!scan_part(lexer, &scan)) {
            return false;
        }
    }
    return lexer->pos != start && !lex_is_word(lex_peek(lexer));
}

bool lex_scan_duration(Lexer *lexer)
{
    if (!accept(lexer, "smhdwy")) {
        return false;
    }
    // The second letter of ms. Units that are none (hs) are found when the duration is read.
    (void)accept(lexer, "s");
    while (accept(lexer, "0123456789")) {
        while (accept(lexer, "0123456789")) {
        }
        if (!accept(lexer, "smhdw")) { // years come first
            return false;
        }
        (void)accept(lexer, "s");
    }
    if (lex_is_word(lex_rune(lexer))) {
        return false;
    }
    lex_backup(lexer);
    return true;
}
