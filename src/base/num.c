// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"

#include <math.h>
#include <stdlib.h>

enum {
    // A double is decided by at most 767 significant decimal digits (Goldberg; glibc and musl use
    // the same bound). Digits past that only matter as "something follows", which one last 1
    // expresses.
    DIGITS_MAX = 800,
    EXACT_POW10_MAX = 22, // 10^22 is the largest power of ten that is a double
};

// Far past what a double holds, and past what the digits of any text can make up for; keeps the
// sums below free of overflow.
static const int64_t exponent_max = INT64_C(100000000000000000);

bool num_parse_u64(Str s, uint64_t *out)
{
    uint64_t v = 0;
    if (s.len == 0) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        const unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(v, UINT64_C(10), &v) ||
            __builtin_add_overflow(v, (uint64_t)digit, &v)) {
            return false;
        }
    }
    *out = v;
    return true;
}

bool num_parse_i64(Str s, int64_t *out)
{
    const bool negative = s.len != 0 && s.ptr[0] == '-';
    uint64_t magnitude = 0;
    if (!num_parse_u64(str_slice(s, negative ? 1 : 0, s.len), &magnitude) ||
        magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    // Negated as unsigned, where -(2^63) is itself; the conversion back is modular in gcc and
    // clang.
    *out = (int64_t)(negative ? 0 - magnitude : magnitude);
    return true;
}

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

// `word` is in lower case.
static bool equals_any_case(Str s, Str word)
{
    if (s.len != word.len) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (lower(s.ptr[i]) != word.ptr[i]) {
            return false;
        }
    }
    return true;
}

static int digit_value(char c, int base)
{
    int v = 99;
    if (c >= '0' && c <= '9') {
        v = c - '0';
    } else if (lower(c) >= 'a' && lower(c) <= 'f') {
        v = lower(c) - 'a' + 10;
    }
    return v < base ? v : -1;
}

// A float taken apart: the value is the integer written by digits[0..count) in the base times
// 10^exponent, or 2^exponent for hex.
typedef struct FloatText {
    char digits[DIGITS_MAX + 1];
    size_t count; // significant digits: no leading zeros; 0 is the number zero
    int64_t exponent;
    bool any; // there was a digit, be it a zero
} FloatText;

// Adds the digits at the front of `s` and returns how many there were.
static size_t take_digits(FloatText *f, Str s, int base, bool fraction)
{
    const int64_t digit_exponent = base == 16 ? 4 : 1;
    size_t i = 0;
    for (; i < s.len && digit_value(s.ptr[i], base) >= 0; i++) {
        f->any = true;
        if (fraction) {
            f->exponent -= digit_exponent;
        }
        if (f->count == 0 && s.ptr[i] == '0') {
            continue;
        }
        if (f->count < DIGITS_MAX) {
            f->digits[f->count++] = s.ptr[i];
            continue;
        }
        f->exponent += digit_exponent; // dropped, but it still counts as a place
        if (s.ptr[i] != '0') {
            f->digits[DIGITS_MAX - 1] = '1';
        }
    }
    return i;
}

static bool take_exponent(FloatText *f, Str s)
{
    const bool negative = s.len != 0 && s.ptr[0] == '-';
    size_t i = s.len != 0 && (s.ptr[0] == '-' || s.ptr[0] == '+') ? 1 : 0;
    if (i == s.len) {
        return false;
    }
    int64_t exponent = 0;
    for (; i < s.len; i++) {
        const int digit = digit_value(s.ptr[i], 10);
        if (digit < 0) {
            return false;
        }
        exponent = exponent < exponent_max ? exponent * 10 + digit : exponent;
    }
    f->exponent += negative ? -exponent : exponent;
    return true;
}

// Text without sign to parts; false when it is not a number.
static bool float_split(FloatText *f, Str s, int base)
{
    const char mark = base == 16 ? 'p' : 'e';
    s = str_slice(s, take_digits(f, s, base, false), s.len);
    if (s.len != 0 && s.ptr[0] == '.') {
        s = str_slice(s, 1, s.len);
        s = str_slice(s, take_digits(f, s, base, true), s.len);
    }
    if (!f->any) {
        return false;
    }
    if (s.len == 0) {
        return true;
    }
    return lower(s.ptr[0]) == mark && take_exponent(f, str_slice(s, 1, s.len));
}

// Clinger's fast path (1990): both the digits and the power of ten are exact doubles, so the one
// multiplication or division rounds once, and correctly.
static bool float_exact(const FloatText *f, double *out)
{
    static const double pow10[EXACT_POW10_MAX + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (f->count > 15 || f->exponent < -EXACT_POW10_MAX || f->exponent > EXACT_POW10_MAX) {
        return false;
    }
    uint64_t digits = 0;
    for (size_t i = 0; i < f->count; i++) {
        digits = digits * 10 + (uint64_t)(f->digits[i] - '0');
    }
    *out = f->exponent < 0 ? (double)digits / pow10[-f->exponent]
                           : (double)digits * pow10[f->exponent];
    return true;
}

static char *put_digits(char *p, uint64_t v)
{
    char reversed[20];
    size_t n = 0;
    do {
        reversed[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    while (n > 0) {
        *p++ = reversed[--n];
    }
    return p;
}

// The general case is left to strtod, which rounds correctly in glibc and musl. It is given an
// integer and an exponent, never a decimal point, so the locale of the process has no say.
static double float_general(const FloatText *f, int base)
{
    char text[DIGITS_MAX + 32];
    char *p = text;
    if (base == 16) {
        *p++ = '0';
        *p++ = 'x';
    }
    memcpy(p, f->digits, f->count);
    p += f->count;
    *p++ = base == 16 ? 'p' : 'e';
    if (f->exponent < 0) {
        *p++ = '-';
    }
    p = put_digits(p, (uint64_t)(f->exponent < 0 ? -f->exponent : f->exponent));
    *p = '\0';
    return strtod(text, NULL);
}

bool num_parse_f64(Str s, double *out)
{
    const bool negative = s.len != 0 && s.ptr[0] == '-';
    const bool has_sign = negative || (s.len != 0 && s.ptr[0] == '+');
    if (equals_any_case(s, STR("nan"))) {
        *out = (double)NAN;
        return true;
    }
    s = str_slice(s, has_sign ? 1 : 0, s.len);
    if (equals_any_case(s, STR("inf")) || equals_any_case(s, STR("infinity"))) {
        *out = negative ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    const bool hex = s.len > 2 && s.ptr[0] == '0' && lower(s.ptr[1]) == 'x';
    FloatText f; // not zeroed as a whole: the digits are 800 bytes
    f.count = 0;
    f.exponent = 0;
    f.any = false;
    double v = 0;
    if (!float_split(&f, hex ? str_slice(s, 2, s.len) : s, hex ? 16 : 10)) {
        return false;
    }
    if (f.count != 0 && (hex || !float_exact(&f, &v))) {
        v = float_general(&f, hex ? 16 : 10);
    }
    if (isinf(v)) {
        return false;
    }
    *out = negative ? -v : v;
    return true;
}

// Cuts the digits at the front of *s into *number; false when there is none or they do not fit.
static bool cut_number(Str *s, uint64_t *number)
{
    size_t n = 0;
    while (n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9') {
        n++;
    }
    if (!num_parse_u64(str_slice(*s, 0, n), number)) {
        return false;
    }
    *s = str_slice(*s, n, s->len);
    return true;
}

bool num_parse_duration_ms(Str s, int64_t *out)
{
    static const struct {
        Str name;
        uint64_t ms;
    } units[] = {
        {STR("y"), UINT64_C(365) * 86400000},
        {STR("w"), UINT64_C(7) * 86400000},
        {STR("d"), UINT64_C(86400000)},
        {STR("h"), UINT64_C(3600000)},
        {STR("m"), UINT64_C(60000)},
        {STR("s"), UINT64_C(1000)},
        {STR("ms"), UINT64_C(1)},
    };
    uint64_t total_ms = 0;
    size_t next = 0; // the first unit that may still come
    if (s.len == 0) {
        return false;
    }
    while (s.len != 0) {
        uint64_t number = 0;
        if (!cut_number(&s, &number)) {
            return false;
        }
        size_t n = 0;
        while (n < s.len && lower(s.ptr[n]) >= 'a' && lower(s.ptr[n]) <= 'z') {
            n++;
        }
        while (next < ARRAY_LEN(units) && !str_eq(units[next].name, str_slice(s, 0, n))) {
            next++;
        }
        uint64_t ms = 0;
        if (next == ARRAY_LEN(units) || __builtin_mul_overflow(number, units[next].ms, &ms) ||
            __builtin_add_overflow(total_ms, ms, &total_ms) || total_ms > INT64_MAX) {
            return false;
        }
        next++;
        s = str_slice(s, n, s.len);
    }
    *out = (int64_t)total_ms;
    return true;
}

bool num_parse_bytes(Str s, uint64_t *out)
{
    static const char prefixes[] = {'k', 'm', 'g', 't'};
    uint64_t number = 0, factor = 1;
    if (!cut_number(&s, &number)) {
        return false;
    }
    const char *prefix = s.len == 0 ? NULL : memchr(prefixes, lower(s.ptr[0]), sizeof(prefixes));
    if (prefix != NULL) {
        const bool binary = s.len > 1 && lower(s.ptr[1]) == 'i';
        for (ptrdiff_t i = 0; i <= prefix - prefixes; i++) {
            factor *= binary ? 1024 : 1000;
        }
        s = str_slice(s, binary ? 2 : 1, s.len);
    }
    if (!(s.len == 0 || equals_any_case(s, STR("b"))) ||
        __builtin_mul_overflow(number, factor, &number)) {
        return false;
    }
    *out = number;
    return true;
}

void num_put_u64(Buf *b, uint64_t v)
{
    char text[20];
    buf_put(b, text, (size_t)(put_digits(text, v) - text));
}

void num_put_i64(Buf *b, int64_t v)
{
    char text[21];
    char *p = text;
    if (v < 0) {
        *p++ = '-';
    }
    p = put_digits(p, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
    buf_put(b, text, (size_t)(p - text));
}
