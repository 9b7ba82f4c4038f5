// SPDX-License-Identifier: Apache-2.0
//
// The words of the script language: numbers, strings, durations, label sets.
#include "base/num.h"
#include "tests/promql/script_internal.h"

#include <stdlib.h>

Str script_trim(Str s)
{
    while (s.len != 0 && (char_is_blank(s.ptr[0]) || s.ptr[0] == '\r')) {
        s = str_slice(s, 1, s.len);
    }
    while (s.len != 0 && (char_is_blank(s.ptr[s.len - 1]) || s.ptr[s.len - 1] == '\r')) {
        s = str_slice(s, 0, s.len - 1);
    }
    return s;
}

double script_stale(void)
{
    const uint64_t bits = (uint64_t)SCRIPT_STALE_HIGH_BITS << 32 | SCRIPT_STALE_LOW_BITS;
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

bool script_is_stale(double value)
{
    const double stale = script_stale();
    return memcmp(&value, &stale, sizeof(value)) == 0;
}

bool script_duration(Str text, int64_t *out_ms)
{
    if (str_eq(text, STR("0"))) {
        *out_ms = 0;
        return true;
    }
    return num_parse_duration_ms(text, out_ms);
}

// --- numbers -------------------------------------------------------------------------------------

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void skip_digits(Cursor *c)
{
    while (is_digit(cursor_peek(c))) {
        c->pos++;
    }
}

static void skip_exponent(Cursor *c)
{
    Cursor ahead = *c;
    if (!cursor_take(&ahead, 'e') && !cursor_take(&ahead, 'E')) {
        return;
    }
    if (!cursor_take(&ahead, '+')) {
        (void)cursor_take(&ahead, '-');
    }
    if (is_digit(cursor_peek(&ahead))) {
        skip_digits(&ahead);
        *c = ahead;
    }
}

bool cursor_number(Cursor *c, double *out)
{
    const size_t start = c->pos;
    if (is_alpha(cursor_peek(c))) { // Inf, NaN; `x` would be a repetition
        while (is_alpha(cursor_peek(c)) && cursor_peek(c) != 'x') {
            c->pos++;
        }
        return num_parse_f64(str_slice(c->text, start, c->pos), out);
    }
    skip_digits(c);
    if (cursor_take(c, '.')) {
        skip_digits(c);
    }
    skip_exponent(c);
    if (is_alpha(cursor_peek(c)) && cursor_peek(c) != 'x') {
        int64_t ms = 0;
        while ((is_alpha(cursor_peek(c)) && cursor_peek(c) != 'x') || is_digit(cursor_peek(c))) {
            c->pos++;
        }
        if (!num_parse_duration_ms(str_slice(c->text, start, c->pos), &ms)) {
            return false;
        }
        *out = (double)ms / 1000;
        return true;
    }
    return num_parse_f64(str_slice(c->text, start, c->pos), out);
}

bool cursor_signed_number(Cursor *c, double *out)
{
    const bool minus = cursor_take(c, '-');
    if (!minus) {
        (void)cursor_take(c, '+');
    }
    if (!cursor_number(c, out)) {
        return false;
    }
    *out = minus ? -*out : *out;
    return true;
}

bool cursor_count(Cursor *c, uint64_t *out)
{
    const size_t start = c->pos;
    skip_digits(c);
    return num_parse_u64(str_slice(c->text, start, c->pos), out);
}

// --- strings -------------------------------------------------------------------------------------

static void put_rune(Buf *out, uint32_t rune)
{
    if (rune < 0x80) {
        buf_put_u8(out, (uint8_t)rune);
    } else if (rune < 0x800) {
        buf_put_u8(out, (uint8_t)(0xc0 | rune >> 6));
        buf_put_u8(out, (uint8_t)(0x80 | (rune & 0x3f)));
    } else if (rune < 0x10000) {
        buf_put_u8(out, (uint8_t)(0xe0 | rune >> 12));
        buf_put_u8(out, (uint8_t)(0x80 | (rune >> 6 & 0x3f)));
        buf_put_u8(out, (uint8_t)(0x80 | (rune & 0x3f)));
    } else {
        buf_put_u8(out, (uint8_t)(0xf0 | rune >> 18));
        buf_put_u8(out, (uint8_t)(0x80 | (rune >> 12 & 0x3f)));
        buf_put_u8(out, (uint8_t)(0x80 | (rune >> 6 & 0x3f)));
        buf_put_u8(out, (uint8_t)(0x80 | (rune & 0x3f)));
    }
}

static bool take_code(Cursor *c, int base, size_t digits, uint32_t *out)
{
    char text[9] = {0};
    char *end = NULL;
    if (c->text.len - c->pos < digits) {
        return false;
    }
    memcpy(text, c->text.ptr + c->pos, digits);
    *out = (uint32_t)strtoul(text, &end, base);
    c->pos += digits;
    return end == text + digits;
}

// After the backslash.
static bool take_escape(Cursor *c, Buf *out)
{
    static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
    const char escape = cursor_peek(c);
    const char *simple = escape == '\0' ? NULL : strchr(from, escape);
    uint32_t code = 0;
    if (simple != NULL) {
        buf_put_u8(out, (uint8_t)to[simple - from]);
        c->pos++;
        return true;
    }
    if (is_digit(escape)) {
        const bool ok = take_code(c, 8, 3, &code);
        buf_put_u8(out, (uint8_t)code);
        return ok;
    }
    c->pos++;
    if (escape == 'x') {
        const bool ok = take_code(c, 16, 2, &code);
        buf_put_u8(out, (uint8_t)code);
        return ok;
    }
    const size_t digits = escape == 'u' ? 4 : escape == 'U' ? 8 : 0;
    if (digits == 0 || !take_code(c, 16, digits, &code)) {
        return false;
    }
    put_rune(out, code);
    return true;
}

Status cursor_string(Cursor *c, Arena *arena, Str *out, Err *err)
{
    Status st = OK;
    Buf text = {0};
    const char quote = cursor_peek(c);
    const Str all = cursor_rest(c);
    if (quote != '"' && quote != '\'' && quote != '`') {
        return err_set(err, ERR_INVALID, "expected a string at '" STR_FMT "'", STR_ARG(all));
    }
    c->pos++;
    while (!cursor_end(c) && cursor_peek(c) != quote) {
        const char at = cursor_peek(c);
        c->pos++;
        if (at != '\\' || quote == '`') {
            buf_put_u8(&text, (uint8_t)at);
        } else if (!take_escape(c, &text)) {
            TRY_OUT(err_set(err, ERR_INVALID, "bad escape in " STR_FMT, STR_ARG(all)));
        }
    }
    if (!cursor_take(c, quote)) {
        TRY_OUT(err_set(err, ERR_INVALID, "string without end: " STR_FMT, STR_ARG(all)));
    }
    *out = arena_str(arena, buf_str(&text));
out:
    buf_deinit(&text);
    return st;
}

// --- label sets ----------------------------------------------------------------------------------

static Str take_name(Cursor *c)
{
    const size_t start = c->pos;
    for (char at = cursor_peek(c);
         is_alpha(at) || at == '_' || at == ':' || (is_digit(at) && c->pos > start);
         at = cursor_peek(c)) {
        c->pos++;
    }
    return str_slice(c->text, start, c->pos);
}

static int compare_labels(const void *a, const void *b)
{
    const Str x = ((const Label *)a)->name, y = ((const Label *)b)->name;
    const int order = memcmp(x.ptr, y.ptr, x.len < y.len ? x.len : y.len);
    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

// name="value", "name"="value", or the metric's name as a string.
static Status take_label(Cursor *c, Arena *arena, Label *out, Err *err)
{
    const char first = cursor_peek(c);
    const bool quoted = first == '"' || first == '\'' || first == '`';
    if (quoted) {
        TRY(cursor_string(c, arena, &out->name, err));
    } else {
        out->name = take_name(c);
    }
    cursor_skip_blanks(c);
    if (!cursor_take(c, '=')) {
        if (!quoted) {
            return err_set(err, ERR_INVALID, "expected '=' at '" STR_FMT "'",
                           STR_ARG(cursor_rest(c)));
        }
        *out = (Label){STR("__name__"), out->name};
        return OK;
    }
    cursor_skip_blanks(c);
    return cursor_string(c, arena, &out->value, err);
}

Status cursor_labels(Cursor *c, Arena *arena, LabelSet *out, Err *err)
{
    Label *labels = arena_new(arena, Label, LABELS_COUNT_MAX);
    size_t count = 0;
    const Str name = take_name(c);
    if (name.len != 0) {
        labels[count++] = (Label){STR("__name__"), arena_str(arena, name)};
    }
    cursor_skip_blanks(c);
    // What follows the name may be a histogram and not labels.
    const bool braces = cursor_peek(c) == '{' && !str_starts(cursor_rest(c), STR("{{"));
    if (!braces && name.len == 0) {
        return err_set(err, ERR_INVALID, "expected a series at '" STR_FMT "'",
                       STR_ARG(cursor_rest(c)));
    }
    c->pos += braces ? 1 : 0;
    while (braces) {
        cursor_skip_blanks(c);
        if (cursor_take(c, '}')) {
            break;
        }
        if (count == LABELS_COUNT_MAX) {
            return err_set(err, ERR_INVALID, "too many labels");
        }
        TRY(take_label(c, arena, &labels[count], err));
        count += labels[count].value.len != 0 ? 1 : 0;
        cursor_skip_blanks(c);
        if (!cursor_take(c, ',') && cursor_peek(c) != '}') {
            return err_set(err, ERR_INVALID, "expected ',' or '}' at '" STR_FMT "'",
                           STR_ARG(cursor_rest(c)));
        }
    }
    qsort(labels, count, sizeof(*labels), compare_labels);
    *out = (LabelSet){labels, count};
    return OK;
}
