// SPDX-License-Identifier: Apache-2.0
#include "codec/dtoa.h"
#include "tests/support/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool reads_back(double v, DtoaDecimal d, bool narrow)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%llue%d", (unsigned long long)d.digits, d.exponent);
    return narrow ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v;
}

// The oracle: the C library rounds `v` to 1, 2, 3, ... digits correctly; the first that reads back
// is the answer. Just below a power of two the interval is lopsided, and a neighbour may read back
// where the closest does not.
static DtoaDecimal shortest(double v, bool narrow)
{
    for (int digits = 1; digits <= 17; digits++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "%.*e", digits - 1, v);
        DtoaDecimal d = {0};
        char *p = text;
        for (; *p != 'e'; p++) {
            d.digits = *p == '.' ? d.digits : d.digits * 10 + (uint64_t)(*p - '0');
        }
        d.exponent = (int32_t)strtol(p + 1, NULL, 10) - (digits - 1);
        const DtoaDecimal up = {d.digits + 1, d.exponent};
        const DtoaDecimal down = {d.digits - 1, d.exponent};
        if (reads_back(v, d, narrow)) {
            return d;
        }
        if (reads_back(v, up, narrow)) {
            return up;
        }
        if (down.digits != 0 && reads_back(v, down, narrow)) {
            return down;
        }
    }
    return (DtoaDecimal){0};
}

static DtoaDecimal trim(DtoaDecimal d)
{
    while (d.digits != 0 && d.digits % 10 == 0) {
        d.digits /= 10;
        d.exponent++;
    }
    return d;
}

static void check_f64(Test *t, double v)
{
    const DtoaDecimal want = trim(shortest(v, false));
    const DtoaDecimal got = dtoa_shortest_f64(v);
    if (got.digits != want.digits || got.exponent != want.exponent) {
        test_fail(t, __FILE__, __LINE__, "%a: %" PRIu64 "e%d, want %" PRIu64 "e%d", v, got.digits,
                  got.exponent, want.digits, want.exponent);
    }
}

static void check_f32(Test *t, float v)
{
    const DtoaDecimal want = trim(shortest((double)v, true));
    const DtoaDecimal got = dtoa_shortest_f32(v);
    if (got.digits != want.digits || got.exponent != want.exponent) {
        test_fail(t, __FILE__, __LINE__, "%a: %" PRIu64 "e%d, want %" PRIu64 "e%d", (double)v,
                  got.digits, got.exponent, want.digits, want.exponent);
    }
}

static double f64_of_bits(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static float f32_of_bits(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

TEST(dtoa, shortest_f64_random_bits)
{
    for (int round = 0; round < 20000; round++) {
        const double v = f64_of_bits(test_random(t) >> 1);
        if (isfinite(v) && v != 0) {
            check_f64(t, v);
        }
    }
}

TEST(dtoa, shortest_f64_where_it_is_hard)
{
    for (uint64_t e = 0; e < 2047; e++) { // powers of two and their neighbours
        const uint64_t bits = e << 52;
        for (uint64_t k = bits == 0 ? 1 : 0; k < 3; k++) {
            check_f64(t, f64_of_bits(bits + k));
        }
        check_f64(t, f64_of_bits(bits + (UINT64_C(1) << 52) - 1));
    }
    for (int e = -323; e <= 308; e++) { // powers of ten and their neighbours
        char text[16];
        (void)snprintf(text, sizeof(text), "1e%d", e);
        const double v = strtod(text, NULL);
        check_f64(t, v);
        check_f64(t, nextafter(v, (double)INFINITY));
        check_f64(t, v == f64_of_bits(1) ? v : nextafter(v, 0));
    }
    for (int round = 0; round < 20000; round++) { // few digits, as people write them
        char text[40];
        (void)snprintf(text, sizeof(text), "%llue%d",
                       (unsigned long long)(1 + test_random(t) % 100000000),
                       (int)(test_random(t) % 40) - 20);
        check_f64(t, strtod(text, NULL));
        check_f64(t, (double)(test_random(t) >> (test_random(t) % 63)) + 1); // integers
    }
}

TEST(dtoa, shortest_f32)
{
    for (int round = 0; round < 20000; round++) {
        const float v = f32_of_bits((uint32_t)(test_random(t) >> 33));
        if (isfinite(v) && v != 0) {
            check_f32(t, v);
        }
    }
    for (uint32_t e = 0; e < 255; e++) {
        for (uint32_t k = e == 0 ? 1 : 0; k < 3; k++) {
            check_f32(t, f32_of_bits((e << 23) + k));
        }
        check_f32(t, f32_of_bits((e << 23) + (1U << 23) - 1));
    }
}

TEST(dtoa, styles)
{
    static const struct {
        double v;
        const char *json, *sql, *f, *e, *go_g, *prom;
    } cases[] = {
        {0, "0", "0.0", "0", "0e+00", "0", "0"},
        {-0.0, "-0", "-0.0", "-0", "-0e+00", "-0", "-0"},
        {1, "1", "1.0", "1", "1e+00", "1", "1"},
        {-12.5, "-12.5", "-12.5", "-12.5", "-1.25e+01", "-12.5", "-12.5"},
        {100, "100", "100.0", "100", "1e+02", "100", "100"},
        {123456, "123456", "123456.0", "123456", "1.23456e+05", "123456", "123456"},
        {1e6, "1000000", "1000000.0", "1000000", "1e+06", "1e+06", "1000000"},
        {1234567.25, "1234567.25", "1234567.25", "1234567.25", "1.23456725e+06", "1.23456725e+06",
         "1234567.25"},
        {1e15, "1000000000000000", "1000000000000000.0", "1000000000000000", "1e+15", "1e+15",
         "1000000000000000"},
        {1e16, "10000000000000000", "1e+16", "10000000000000000", "1e+16", "1e+16",
         "10000000000000000"},
        {1e20, "100000000000000000000", "1e+20", "100000000000000000000", "1e+20", "1e+20",
         "100000000000000000000"},
        {1e21, "1e+21", "1e+21", "1000000000000000000000", "1e+21", "1e+21", "1e+21"},
        {0.0001, "0.0001", "0.0001", "0.0001", "1e-04", "0.0001", "0.0001"},
        {0.00001, "0.00001", "1e-05", "0.00001", "1e-05", "1e-05", "0.00001"},
        {1.5e-6, "0.0000015", "1.5e-06", "0.0000015", "1.5e-06", "1.5e-06", "0.0000015"},
        {1.5e-7, "1.5e-7", "1.5e-07", "0.00000015", "1.5e-07", "1.5e-07", "1.5e-07"},
        {-2e-100, "-2e-100", "-2e-100", NULL, "-2e-100", "-2e-100", "-2e-100"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *want[] = {cases[i].json, cases[i].sql,  cases[i].f,
                              cases[i].e,    cases[i].go_g, cases[i].prom};
        for (size_t style = 0; style < ARRAY_LEN(want); style++) {
            char text[DTOA_BYTES_MAX];
            const Str got = {text, dtoa_f64(cases[i].v, (DtoaStyle)style, text)};
            if (want[style] != NULL && !str_eq(got, (Str){want[style], strlen(want[style])})) {
                test_fail(t, __FILE__, __LINE__, "style %zu: " STR_FMT ", want %s", style,
                          STR_ARG(got), want[style]);
            }
        }
    }
}

TEST(dtoa, not_finite)
{
    static const struct {
        DtoaStyle style;
        Str nan, positive, negative;
    } cases[] = {
        {DTOA_JSON, STR("null"), STR("null"), STR("null")},
        {DTOA_SQL, STR("nan"), STR("inf"), STR("-inf")},
        {DTOA_GO_F, STR("NaN"), STR("+Inf"), STR("-Inf")},
        {DTOA_PROM, STR("NaN"), STR("+Inf"), STR("-Inf")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const double values[] = {(double)NAN, (double)INFINITY, -(double)INFINITY};
        const Str want[] = {cases[i].nan, cases[i].positive, cases[i].negative};
        for (size_t k = 0; k < ARRAY_LEN(values); k++) {
            Buf b;
            buf_init(&b, 0);
            dtoa_put_f64(&b, values[k], cases[i].style);
            CHECK_STR(buf_str(&b), want[k]);
            buf_clear(&b);
            dtoa_put_f32(&b, (float)values[k], cases[i].style);
            CHECK_STR(buf_str(&b), want[k]);
            buf_deinit(&b);
        }
    }
}

// The longest results, and every style reads back.
TEST(dtoa, reads_back_in_every_style)
{
    size_t longest = 0;
    for (int round = 0; round < 30000; round++) {
        const uint64_t bits = round % 2 == 0 ? test_random(t) // half of them tiny
                                             : test_random(t) & UINT64_C(0x801fffffffffffff);
        const double v = f64_of_bits(bits);
        for (int style = DTOA_JSON; style <= DTOA_PROM && isfinite(v); style++) {
            char text[DTOA_BYTES_MAX + 1];
            const size_t len = dtoa_f64(v, (DtoaStyle)style, text);
            longest = len > longest ? len : longest;
            text[len] = '\0';
            const double back = strtod(text, NULL);
            CHECK(memcmp(&back, &v, sizeof(v)) == 0);
        }
        const float f = f32_of_bits((uint32_t)bits);
        char text[DTOA_BYTES_MAX + 1];
        text[dtoa_f32(f, DTOA_GO_G, text)] = '\0';
        CHECK(!isfinite(f) || strtof(text, NULL) == f);
    }
    CHECK(longest > 320 && longest <= DTOA_BYTES_MAX);
}
