// SPDX-License-Identifier: Apache-2.0
//
// Just enough of SQL's lexical rules (those of PostgreSQL, which DuckDB's parser has) to know where
// a statement begins and ends: quotes, dollar quotes, comments.
#include "sql/engine_internal.h"

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (uint8_t)c >= 0x80;
}

static bool starts_with(Str text, size_t at, Str what)
{
    return str_eq(str_slice(text, at, at + what.len), what);
}

// Each of these returns where what begins at `at` ends: at most text.len.

static size_t skip_line_comment(Str text, size_t at)
{
    while (at < text.len && text.ptr[at] != '\n' && text.ptr[at] != '\r') {
        at++;
    }
    return at;
}

static size_t skip_block_comment(Str text, size_t at)
{
    size_t depth = 0;
    do {
        if (starts_with(text, at, STR("/*"))) {
            depth++;
            at += 2;
        } else if (starts_with(text, at, STR("*/"))) {
            depth--;
            at += 2;
        } else {
            at++;
        }
    } while (at < text.len && depth > 0);
    return at;
}

// A quote inside is written twice, or behind a backslash when those mean something.
static size_t skip_quoted(Str text, size_t at, bool backslashes)
{
    const char quote = text.ptr[at++];
    while (at < text.len) {
        if (backslashes && text.ptr[at] == '\\') {
            at += 2;
        } else if (text.ptr[at] != quote) {
            at++;
        } else if (at + 1 < text.len && text.ptr[at + 1] == quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    return text.len;
}

// $$ ... $$ or $tag$ ... $tag$; just the dollar when it is neither.
static size_t skip_dollar(Str text, size_t at)
{
    size_t end = at + 1;
    while (end < text.len && is_word(text.ptr[end])) {
        end++;
    }
    const bool digit = at + 1 < end && text.ptr[at + 1] >= '0' && text.ptr[at + 1] <= '9';
    if (end == text.len || text.ptr[end] != '$' || digit) {
        return at + 1;
    }
    const Str tag = str_slice(text, at, end + 1);
    for (size_t i = end + 1; i < text.len; i++) {
        if (text.ptr[i] == '$' && starts_with(text, i, tag)) {
            return i + tag.len;
        }
    }
    return text.len;
}

static size_t skip_word(Str text, size_t at)
{
    const char c = text.ptr[at];
    if ((c == 'e' || c == 'E') && at + 1 < text.len && text.ptr[at + 1] == '\'') {
        return skip_quoted(text, at + 1, true);
    }
    while (at < text.len && (is_word(text.ptr[at]) || text.ptr[at] == '$')) {
        at++;
    }
    return at;
}

// Where the blanks and comments that begin at `at` end.
static size_t skip_nothing(Str text, size_t at)
{
    for (;;) {
        if (at < text.len && is_blank(text.ptr[at])) {
            at++;
        } else if (starts_with(text, at, STR("--"))) {
            at = skip_line_comment(text, at);
        } else if (starts_with(text, at, STR("/*"))) {
            at = skip_block_comment(text, at);
        } else {
            return at < text.len ? at : text.len;
        }
    }
}

static size_t skip_token(Str text, size_t at)
{
    const char c = text.ptr[at];
    size_t end = at + 1;
    if (c == '\'' || c == '"') {
        end = skip_quoted(text, at, false);
    } else if (c == '$') {
        end = skip_dollar(text, at);
    } else if (is_word(c)) {
        end = skip_word(text, at);
    }
    return end < text.len ? end : text.len;
}

Str sql_text_trim(Str text)
{
    size_t first = text.len;
    size_t end = text.len;
    for (size_t at = skip_nothing(text, 0); at < text.len; at = skip_nothing(text, at)) {
        const bool empty = text.ptr[at] == ';';
        first = !empty && first == text.len ? at : first;
        at = skip_token(text, at);
        end = empty ? end : at;
    }
    return str_slice(text, first, first == text.len ? first : end);
}

static bool word_is(Str text, size_t at, size_t end, Str lower)
{
    bool same = end - at == lower.len;
    for (size_t i = 0; same && i < lower.len; i++) {
        const char c = text.ptr[at + i];
        same = (c >= 'A' && c <= 'Z' ? (char)(c + 32) : c) == lower.ptr[i];
    }
    return same;
}

bool sql_text_equals(Str text, Str lower)
{
    size_t at = skip_nothing(text, 0);
    for (Str rest = lower; rest.len > 0;) {
        Str word = rest;
        Str more = STR("");
        (void)str_cut(rest, ' ', &word, &more); // the last word has no blank behind it
        const size_t end = at < text.len ? skip_token(text, at) : at;
        if (!word_is(text, at, end, word)) {
            return false;
        }
        at = skip_nothing(text, end);
        rest = more;
    }
    return at == text.len;
}

Str sql_text_explained(Str text)
{
    size_t end = text.len > 0 ? skip_token(text, 0) : 0;
    if (!word_is(text, 0, end, STR("explain"))) {
        return text;
    }
    size_t at = skip_nothing(text, end);
    end = at < text.len ? skip_token(text, at) : at;
    if (word_is(text, at, end, STR("analyze")) || word_is(text, at, end, STR("analyse"))) {
        at = skip_nothing(text, end);
    }
    // EXPLAIN (options) statement; but (SELECT ...) is a statement as well.
    const size_t inside =
        at < text.len && text.ptr[at] == '(' ? skip_nothing(text, at + 1) : text.len;
    end = inside < text.len ? skip_token(text, inside) : inside;
    if (word_is(text, inside, end, STR("format")) || word_is(text, inside, end, STR("analyze"))) {
        while (at < text.len && text.ptr[at] != ')') {
            at = skip_nothing(text, skip_token(text, at));
        }
        at = at < text.len ? skip_nothing(text, at + 1) : at;
    }
    return str_slice(text, at, text.len);
}
