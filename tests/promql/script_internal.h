// SPDX-License-Identifier: Apache-2.0
//
// Between the files of the script parser.
#pragma once

#include "tests/promql/script.h"

typedef struct Cursor { // over one line
    Str text;
    size_t pos;
} Cursor;

static inline char cursor_peek(const Cursor *c)
{
    return c->pos < c->text.len ? c->text.ptr[c->pos] : '\0';
}

static inline bool cursor_end(const Cursor *c)
{
    return c->pos >= c->text.len;
}

static inline Str cursor_rest(const Cursor *c)
{
    return str_slice(c->text, c->pos, c->text.len);
}

static inline bool cursor_take(Cursor *c, char wanted)
{
    if (cursor_end(c) || c->text.ptr[c->pos] != wanted) {
        return false;
    }
    c->pos++;
    return true;
}

static inline bool char_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static inline void cursor_skip_blanks(Cursor *c)
{
    while (char_is_blank(cursor_peek(c))) {
        c->pos++;
    }
}

static inline bool str_starts(Str s, Str prefix)
{
    return s.len >= prefix.len && str_eq(str_slice(s, 0, prefix.len), prefix);
}

Str script_trim(Str s);
// An unsigned number (1, 1.5e3, Inf, NaN) or a duration (5m, as seconds).
bool cursor_number(Cursor *c, double *out);
bool cursor_signed_number(Cursor *c, double *out); // with or without a sign
bool cursor_count(Cursor *c, uint64_t *out);       // decimal digits
// A Go string literal, "..", '..' or `..`; the text in `arena`.
Status cursor_string(Cursor *c, Arena *arena, Str *out, Err *err);
Status cursor_labels(Cursor *c, Arena *arena, LabelSet *out, Err *err);

// `{{...}}`
Status cursor_histogram(Cursor *c, Arena *arena, ScriptValue *out, Err *err);
// base + sign * increment. Both have one span per side; the increment may have the higher
// resolution.
Status script_histogram_step(const Histogram *base, const Histogram *increment, double sign,
                             Arena *arena, const Histogram **out, Err *err);
