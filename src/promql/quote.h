// SPDX-License-Identifier: Apache-2.0
//
// Text as Go writes and reads it: quoted strings, runes, durations. PromQL's errors, printers and
// literals show them. Pure functions, any thread.
#pragma once

#include "base/arena.h"
#include "base/buf.h"

enum { QUOTE_RUNE_ERROR = 0xFFFD }; // what bytes that are not UTF-8 decode to, one byte each

// The rune at s[at], at < s.len; *width is its number of bytes.
uint32_t quote_rune_at(Str s, size_t at, size_t *width);
void quote_put_utf8(Buf *out, uint32_t rune);

// strconv.Quote: "in double quotes", what is not printable escaped.
void quote_put(Buf *out, Str text);
Str quote_in(Arena *arena, Str text);
// The same of the first `runes` runes: %.10q.
Str quote_cut_in(Arena *arena, Str text, size_t runes);
void quote_put_rune(Buf *out, uint32_t rune);         // 'x'
void quote_put_rune_unicode(Buf *out, uint32_t rune); // U+0078 'x'

// Appends what a literal of PromQL in "", '' or `` stands for; false when it is none.
bool quote_unquote(Str literal, Buf *out);

// Prometheus' model.Duration: 1h30m, 90d, 0s. Years and weeks only when nothing is left over.
void quote_put_duration(Buf *out, int64_t ms);

// [a-zA-Z_][a-zA-Z0-9_]*: a label name that needs no quotes.
bool quote_is_plain_label(Str name);
