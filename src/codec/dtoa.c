// SPDX-License-Identifier: Apache-2.0
#include "codec/dtoa.h"

#include "codec/codec_internal.h"
#include "codec/dtoa_tables_internal.h"

__extension__ typedef unsigned __int128 U128;

// ---- digits
//
// A float c * 2^q stands for all numbers of an interval around it. Schubfach scales the interval by
// a power of ten 10^-k chosen so that it holds at least one integer, and at most one multiple of
// ten: that multiple is the answer, else the integer closest to the float. Four times each bound is
// kept as an integer whose last bit says that there is a fraction ("round to odd"), so that all
// comparisons are exact.

static inline int32_t floor_log2_pow10(int32_t e)
{
    return (e * 1741647) >> 19; // -1233 <= e <= 1233
}

static inline int32_t floor_log10_pow2(int32_t e, bool three_quarters)
{
    return (e * 1262611 - (three_quarters ? 524031 : 0)) >> 22; // -1500 <= e <= 1500
}

static inline uint64_t round_to_odd64(const uint64_t g[2], uint64_t c)
{
    const U128 high = (U128)g[0] * c;
    const U128 sum = high + (uint64_t)((U128)g[1] * c >> 64);
    return (uint64_t)(sum >> 64) | ((uint64_t)sum > 1);
}

static inline uint64_t round_to_odd32(uint64_t g, uint64_t c)
{
    const U128 product = (U128)g * c;
    return (uint32_t)(product >> 64) | ((uint32_t)(product >> 32) > 1);
}

typedef struct Interval {
    uint64_t lower; // four times the scaled bounds; these are themselves inside
    uint64_t value; // four times the scaled float
    uint64_t upper;
    int32_t k;
} Interval;

static DtoaDecimal closest(Interval v)
{
    const uint64_t s = v.value / 4;
    if (s >= 10) {
        const uint64_t tens = s / 10;
        const bool below = v.lower <= 40 * tens;
        const bool above = 40 * tens + 40 <= v.upper;
        if (below != above) {
            return (DtoaDecimal){.digits = tens + above, .exponent = v.k + 1};
        }
    }
    const bool below = v.lower <= 4 * s;
    const bool above = 4 * s + 4 <= v.upper;
    if (below != above) {
        return (DtoaDecimal){.digits = s + above, .exponent = v.k};
    }
    const uint64_t middle = 4 * s + 2;
    const bool up = v.value > middle || (v.value == middle && (s & 1) != 0);
    return (DtoaDecimal){.digits = s + up, .exponent = v.k};
}

static DtoaDecimal without_zeroes(DtoaDecimal d)
{
    while (d.digits >= 100000000 && d.digits % 100000000 == 0) {
        d.digits /= 100000000;
        d.exponent += 8;
    }
    while (d.digits % 10 == 0) {
        d.digits /= 10;
        d.exponent++;
    }
    return d;
}

DtoaDecimal dtoa_shortest_f64(double v)
{
    enum { FRACTION_BITS = 52, BIAS = 1075, EXPONENT_MAX = 2047 };
    uint64_t bits = 0;
    memcpy(&bits, &v, sizeof(bits));
    const uint64_t fraction = bits & codec_mask(FRACTION_BITS);
    const int32_t exponent = (int32_t)(bits >> FRACTION_BITS);
    ASSERT(bits != 0 && exponent < EXPONENT_MAX); // positive and finite
    uint64_t c = fraction;
    int32_t q = 1 - BIAS;
    if (exponent != 0) {
        c |= UINT64_C(1) << FRACTION_BITS;
        q = exponent - BIAS;
        if (q <= 0 && q > -FRACTION_BITS - 1 && (c & codec_mask((unsigned)-q)) == 0) {
            return without_zeroes((DtoaDecimal){.digits = c >> -q}); // an integer
        }
    }
    const bool even = (c & 1) == 0; // the ends of the interval belong to it
    const bool closer_below = fraction == 0 && exponent > 1;
    const int32_t k = floor_log10_pow2(q, closer_below);
    const int32_t h = q + floor_log2_pow10(-k) + 1;
    const uint64_t *g = dtoa_powers[-k - DTOA_POWER_MIN];
    return without_zeroes(closest((Interval){
        .lower = round_to_odd64(g, (4 * c - 2 + closer_below) << h) + !even,
        .value = round_to_odd64(g, 4 * c << h),
        .upper = round_to_odd64(g, (4 * c + 2) << h) - !even,
        .k = k,
    }));
}

DtoaDecimal dtoa_shortest_f32(float v)
{
    enum { FRACTION_BITS = 23, BIAS = 150, EXPONENT_MAX = 255 };
    uint32_t bits = 0;
    memcpy(&bits, &v, sizeof(bits));
    const uint32_t fraction = bits & (uint32_t)codec_mask(FRACTION_BITS);
    const int32_t exponent = (int32_t)(bits >> FRACTION_BITS);
    ASSERT(bits != 0 && exponent < EXPONENT_MAX);
    uint32_t c = fraction;
    int32_t q = 1 - BIAS;
    if (exponent != 0) {
        c |= UINT32_C(1) << FRACTION_BITS;
        q = exponent - BIAS;
        if (q <= 0 && q > -FRACTION_BITS - 1 && (c & codec_mask((unsigned)-q)) == 0) {
            return without_zeroes((DtoaDecimal){.digits = c >> -q});
        }
    }
    const bool even = (c & 1) == 0;
    const bool closer_below = fraction == 0 && exponent > 1;
    const int32_t k = floor_log10_pow2(q, closer_below);
    const int32_t h = q + floor_log2_pow10(-k) + 1;
    const uint64_t *p = dtoa_powers[-k - DTOA_POWER_MIN];
    const uint64_t g = p[0] + (p[1] != 0); // rounded up to 64 bits
    return without_zeroes(closest((Interval){
        .lower = round_to_odd32(g, (uint64_t)(4 * c - 2 + closer_below) << h) + !even,
        .value = round_to_odd32(g, (uint64_t)(4 * c) << h),
        .upper = round_to_odd32(g, (uint64_t)(4 * c + 2) << h) - !even,
        .k = k,
    }));
}

// ---- notation

typedef struct Notation {
    int32_t fixed_min; // without exponent when fixed_min <= x10 < fixed_end
    int32_t fixed_end;
    bool two_exponent_digits;
    bool point_always; // "1.0"
    const char *nan, *positive, *negative;
} Notation;

static const Notation notations[] = {
    [DTOA_JSON] = {-6, 21, false, false, "null", "null", "null"},
    [DTOA_SQL] = {-4, 16, true, true, "nan", "inf", "-inf"},
    [DTOA_GO_F] = {INT32_MIN, INT32_MAX, true, false, "NaN", "+Inf", "-Inf"},
    [DTOA_GO_E] = {0, 0, true, false, "NaN", "+Inf", "-Inf"},
    [DTOA_GO_G] = {-4, 6, true, false, "NaN", "+Inf", "-Inf"},
    [DTOA_PROM] = {-6, 21, true, false, "NaN", "+Inf", "-Inf"},
};

enum { DIGITS_MAX = 20 };

static char *put_text(char *p, const char *text)
{
    const size_t len = strlen(text);
    memcpy(p, text, len);
    return p + len;
}

static char *put_zeroes(char *p, int32_t count)
{
    if (count > 0) {
        memset(p, '0', (size_t)count);
        p += count;
    }
    return p;
}

static char *put_digits(char *p, const char *digits, int32_t count)
{
    memcpy(p, digits, (size_t)count);
    return p + count;
}

static char *put_exponent(char *p, int32_t x10, bool two_digits)
{
    *p++ = 'e';
    *p++ = x10 < 0 ? '-' : '+';
    const uint32_t e = (uint32_t)(x10 < 0 ? -x10 : x10);
    if (e >= 100) {
        *p++ = (char)('0' + e / 100);
    }
    if (e >= 10 || two_digits) {
        *p++ = (char)('0' + e / 10 % 10);
    }
    *p++ = (char)('0' + e % 10);
    return p;
}

// `count` digits, the first of which stands for 10^x10.
static char *put_number(char *p, const char *digits, int32_t count, int32_t x10, const Notation *n)
{
    if (x10 < n->fixed_min || x10 >= n->fixed_end) {
        *p++ = digits[0];
        if (count > 1) {
            *p++ = '.';
            p = put_digits(p, digits + 1, count - 1);
        }
        return put_exponent(p, x10, n->two_exponent_digits);
    }
    if (x10 < 0) {
        p = put_text(p, "0.");
        p = put_zeroes(p, -x10 - 1);
        return put_digits(p, digits, count);
    }
    if (count > x10 + 1) {
        p = put_digits(p, digits, x10 + 1);
        *p++ = '.';
        return put_digits(p, digits + x10 + 1, count - x10 - 1);
    }
    p = put_digits(p, digits, count);
    p = put_zeroes(p, x10 + 1 - count);
    return n->point_always ? put_text(p, ".0") : p;
}

static char *put_decimal(char *p, DtoaDecimal d, const Notation *n)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233"
        "34353637383940414243444546474849505152535455565758596061626364656667"
        "68697071727374757677787980818283848586878889909192939495969798"
        "99";
    char text[DIGITS_MAX];
    char *first = text + DIGITS_MAX;
    while (d.digits >= 100) {
        const uint64_t rest = d.digits / 100;
        first -= 2;
        memcpy(first, pairs + 2 * (d.digits - rest * 100), 2);
        d.digits = rest;
    }
    if (d.digits >= 10) {
        first -= 2;
        memcpy(first, pairs + 2 * d.digits, 2);
    } else {
        *--first = (char)('0' + d.digits);
    }
    const int32_t count = (int32_t)(text + DIGITS_MAX - first);
    return put_number(p, first, count, count - 1 + d.exponent, n);
}

size_t dtoa_f64(double v, DtoaStyle style, char out[static DTOA_BYTES_MAX])
{
    const Notation *n = &notations[style];
    char *p = out;
    if (v != v) {
        return (size_t)(put_text(p, n->nan) - out);
    }
    if (v - v != 0) { // an infinity
        return (size_t)(put_text(p, v > 0 ? n->positive : n->negative) - out);
    }
    uint64_t bits = 0;
    memcpy(&bits, &v, sizeof(bits));
    if (bits >> 63 != 0) {
        *p++ = '-';
        v = -v;
    }
    const DtoaDecimal d = v == 0 ? (DtoaDecimal){0} : dtoa_shortest_f64(v);
    return (size_t)(put_decimal(p, d, n) - out);
}

size_t dtoa_f32(float v, DtoaStyle style, char out[static DTOA_BYTES_MAX])
{
    uint32_t bits = 0;
    memcpy(&bits, &v, sizeof(bits));
    if (v == 0 || v - v != 0) { // not a number to find digits for; the same in any width
        return dtoa_f64((double)v, style, out);
    }
    char *p = out;
    if (bits >> 31 != 0) {
        *p++ = '-';
        v = -v;
    }
    return (size_t)(put_decimal(p, dtoa_shortest_f32(v), &notations[style]) - out);
}

void dtoa_put_f64(Buf *b, double v, DtoaStyle style)
{
    char text[DTOA_BYTES_MAX];
    buf_put(b, text, dtoa_f64(v, style, text));
}

void dtoa_put_f32(Buf *b, float v, DtoaStyle style)
{
    char text[DTOA_BYTES_MAX];
    buf_put(b, text, dtoa_f32(v, style, text));
}
