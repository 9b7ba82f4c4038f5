// SPDX-License-Identifier: Apache-2.0
//
// Numbers and durations as Go and Prometheus read them.
#include "promql/parse_internal.h"

#include "base/num.h"
#include "promql/quote.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int digit_value(char c)
{
    return is_digit(c)            ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : 99;
}

static bool has_prefix(Str text)
{
    return text.len >= 2 && text.ptr[0] == '0' && (text.ptr[1] == 'x' || text.ptr[1] == 'X');
}

// An underscore stands between digits or just after 0x (Go's underscoreOK); other marks may follow
// digits.
static bool underscores_ok(Str text)
{
    const bool hex = has_prefix(text);
    bool digit = hex, underscore = false;
    for (size_t i = hex ? 2 : 0; i < text.len; i++) {
        const char c = text.ptr[i];
        const bool is_number = is_digit(c) || (hex && digit_value(c) < 16);
        if ((c == '_' && !digit) || (underscore && !is_number)) {
            return false;
        }
        digit = is_number;
        underscore = c == '_';
    }
    return !underscore;
}

// `text` has no underscores. False: not an integer, or one that does not fit.
static bool parse_integer(Str text, double *out)
{
    const bool hex = has_prefix(text), octal = !hex && text.len > 1 && text.ptr[0] == '0';
    const int base = hex ? 16 : octal ? 8 : 10;
    const Str digits = str_slice(text, hex ? 2 : 0, text.len);
    int64_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        const int digit = digit_value(digits.ptr[i]);
        if (digit >= base || __builtin_mul_overflow(value, (int64_t)base, &value) ||
            __builtin_add_overflow(value, (int64_t)digit, &value)) {
            return false;
        }
    }
    *out = (double)value;
    return digits.len > 0;
}

// digits[.digits][e[+-]digits], or a word.
static bool is_float(Str text)
{
    size_t i = 0, digits = 0;
    for (; i < text.len && is_digit(text.ptr[i]); i++, digits++) {
    }
    if (i < text.len && text.ptr[i] == '.') {
        for (i++; i < text.len && is_digit(text.ptr[i]); i++, digits++) {
        }
    }
    if (digits == 0) { // inf or nan in any case: the lexer lets no other word through
        return text.len == 3 && digit_value(text.ptr[0]) == 99 && text.ptr[0] != '.';
    }
    if (i < text.len && (text.ptr[i] == 'e' || text.ptr[i] == 'E')) {
        i++;
        i += i < text.len && (text.ptr[i] == '+' || text.ptr[i] == '-') ? 1 : 0;
        const size_t first = i;
        for (; i < text.len && is_digit(text.ptr[i]); i++) {
        }
        return i > first && i == text.len;
    }
    return i == text.len;
}

bool parse_number_text(Str text, double *out, const char **why)
{
    Buf plain;
    buf_init(&plain, 0);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '_') {
            buf_put_u8(&plain, (uint8_t)text.ptr[i]);
        }
    }
    *why = NULL;
    if (!underscores_ok(text)) {
        *why = "invalid syntax";
    } else if (!parse_integer(buf_str(&plain), out)) {
        if (!is_float(buf_str(&plain))) {
            *why = "invalid syntax";
        } else if (!num_parse_f64(buf_str(&plain), out)) {
            *why = "value out of range";
        }
    }
    buf_deinit(&plain);
    return *why == NULL;
}

typedef struct DurationUnit {
    Str name;
    int64_t ms;
} DurationUnit;

static const DurationUnit units[] = {
    // largest first
    {STR("y"), INT64_C(365) * 24 * 3600 * 1000},
    {STR("w"), INT64_C(7) * 24 * 3600 * 1000},
    {STR("d"), INT64_C(24) * 3600 * 1000},
    {STR("h"), INT64_C(3600) * 1000},
    {STR("m"), INT64_C(60) * 1000},
    {STR("s"), INT64_C(1000)},
    {STR("ms"), 1},
};

static Status duration_fail(Str text, Str unit, Err *err)
{
    Arena arena;
    Status st;
    arena_init(&arena, 0);
    const Str quoted = quote_in(&arena, text);
    if (unit.len == 0) {
        st = err_set(err, ERR_INVALID, "not a valid duration string: " STR_FMT, STR_ARG(quoted));
    } else {
        const Str name = quote_in(&arena, unit);
        st = err_set(err, ERR_INVALID, "unknown unit " STR_FMT " in duration " STR_FMT,
                     STR_ARG(name), STR_ARG(quoted));
    }
    arena_deinit(&arena);
    return st;
}

// Takes digits and the unit after them. False: one of the two is missing or the number too long.
static bool next_part(Str *rest, uint64_t *number, Str *unit)
{
    size_t digits = 0;
    while (digits < rest->len && is_digit(rest->ptr[digits])) {
        digits++;
    }
    size_t end = digits;
    while (end < rest->len && !is_digit(rest->ptr[end])) {
        end++;
    }
    *unit = str_slice(*rest, digits, end);
    const bool ok = unit->len > 0 && num_parse_u64(str_slice(*rest, 0, digits), number);
    *rest = str_slice(*rest, end, rest->len);
    return ok;
}

Status parse_duration_text(Str text, int64_t *out_ms, Err *err)
{
    // A duration has to fit 63 bits of nanoseconds, some 292 years.
    const uint64_t max_ms = (UINT64_C(1) << 63) / 1000000;
    Str rest = text;
    size_t next_unit = 0;
    uint64_t total = 0;

    *out_ms = 0;
    if (text.len == 0) {
        return err_set(err, ERR_INVALID, "empty duration string");
    }
    if (str_eq(text, STR("0"))) {
        return OK;
    }
    while (rest.len > 0) {
        uint64_t number = 0;
        Str name = {0};
        size_t unit = 0;
        if (!next_part(&rest, &number, &name)) {
            return duration_fail(text, (Str){0}, err);
        }
        while (unit < ARRAY_LEN(units) && !str_eq(units[unit].name, name)) {
            unit++;
        }
        if (unit == ARRAY_LEN(units)) {
            return duration_fail(text, name, err);
        }
        if (unit < next_unit) {
            return duration_fail(text, (Str){0}, err);
        }
        next_unit = unit + 1;
        const uint64_t unit_ms = (uint64_t)units[unit].ms;
        if (number > max_ms / unit_ms || total + number * unit_ms > max_ms) {
            return err_set(err, ERR_INVALID, "duration out of range");
        }
        total += number * unit_ms;
    }
    *out_ms = (int64_t)total;
    return OK;
}
