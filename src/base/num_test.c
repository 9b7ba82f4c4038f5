// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "tests/support/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static Str text_of(const char *s)
{
    return (Str){s, strlen(s)};
}

TEST(num, u64_and_i64)
{
    static const struct {
        Str in;
        bool u_ok, i_ok;
        uint64_t u;
        int64_t i;
    } cases[] = {
        {STR("0"), true, true, 0, 0},
        {STR("007"), true, true, 7, 7},
        {STR("9223372036854775807"), true, true, INT64_MAX, INT64_MAX},
        {STR("9223372036854775808"), true, false, UINT64_C(9223372036854775808), 0},
        {STR("18446744073709551615"), true, false, UINT64_MAX, 0},
        {STR("18446744073709551616"), false, false, 0, 0},
        {STR("99999999999999999999"), false, false, 0, 0},
        {STR("-1"), false, true, 0, -1},
        {STR("-0"), false, true, 0, 0},
        {STR("-9223372036854775808"), false, true, 0, INT64_MIN},
        {STR("-9223372036854775809"), false, false, 0, 0},
        {STR(""), false, false, 0, 0},
        {STR("-"), false, false, 0, 0},
        {STR("--1"), false, false, 0, 0},
        {STR("+1"), false, false, 0, 0},
        {STR(" 1"), false, false, 0, 0},
        {STR("1 "), false, false, 0, 0},
        {STR("1\0"), false, false, 0, 0},
        {STR("0x10"), false, false, 0, 0},
        {STR("1e3"), false, false, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t u = 42;
        int64_t v = 42;
        CHECK_EQ(num_parse_u64(cases[i].in, &u), cases[i].u_ok);
        CHECK_EQ(u, cases[i].u_ok ? cases[i].u : 42);
        CHECK_EQ(num_parse_i64(cases[i].in, &v), cases[i].i_ok);
        CHECK_EQ(v, cases[i].i_ok ? cases[i].i : 42);
    }
}

TEST(num, put_and_parse_agree)
{
    Buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < 10000; i++) {
        const uint64_t v = i == 0 ? 0 : i == 1 ? UINT64_MAX : test_random(t) >> (i % 64);
        const int64_t w = i == 2 ? INT64_MIN : i == 3 ? INT64_MAX : (int64_t)v;
        uint64_t u = 0;
        int64_t s = 0;
        buf_clear(&b);
        num_put_u64(&b, v);
        CHECK(num_parse_u64(buf_str(&b), &u) && u == v);
        buf_clear(&b);
        num_put_i64(&b, w);
        CHECK(num_parse_i64(buf_str(&b), &s) && s == w);
    }
    buf_deinit(&b);
}

TEST(num, f64_table)
{
    static const struct {
        Str in;
        double want;
    } cases[] = {
        {STR("0"), 0.0},
        {STR("-0"), -0.0},
        {STR("1"), 1.0},
        {STR("+1"), 1.0},
        {STR("1."), 1.0},
        {STR(".5"), 0.5},
        {STR("-1.5e3"), -1500.0},
        {STR("1E-2"), 0.01},
        {STR("1e+2"), 100.0},
        {STR("0.1"), 0.1},
        {STR("123456789012345678"), 123456789012345678.0},
        {STR("9007199254740993"), 9007199254740992.0},
        {STR("9007199254740993.0000000000000000000000000000000001"), 9007199254740994.0},
        {STR("1.7976931348623157e308"), 1.7976931348623157e308},
        {STR("1.7976931348623158e308"), 1.7976931348623157e308},
        {STR("4.9406564584124654e-324"), 4.9406564584124654e-324},
        {STR("2.4703282292062328e-324"), 4.9406564584124654e-324},
        {STR("2.4703282292062327e-324"), 0.0},
        {STR("1e-999"), 0.0},
        {STR("-1e-99999999999999999999999"), -0.0},
        {STR("0e99999999999999999999999"), 0.0},
        {STR("0x10"), 16.0},
        {STR("0X1.8p3"), 12.0},
        {STR("-0x.8p-1"), -0.25},
        {STR("0x1p-1074"), 4.9406564584124654e-324},
        {STR("0x1.00000000000008p0"), 1.0},
        {STR("0x1.00000000000008000000000000000000000000001p0"), 1.0000000000000002},
        {STR("inf"), (double)INFINITY},
        {STR("+Inf"), (double)INFINITY},
        {STR("-INF"), -(double)INFINITY},
        {STR("infinity"), (double)INFINITY},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        double got = 42;
        if (!num_parse_f64(cases[i].in, &got) || memcmp(&got, &cases[i].want, sizeof(got)) != 0) {
            test_fail(t, __FILE__, __LINE__, STR_FMT " is %a, want %a", STR_ARG(cases[i].in), got,
                      cases[i].want);
        }
    }
    double nan = 0;
    CHECK(num_parse_f64(STR("NaN"), &nan) && isnan(nan));
    CHECK(num_parse_f64(STR("nan"), &nan) && isnan(nan));
}

TEST(num, f64_refuses)
{
    static const Str cases[] = {
        STR(""),     STR("."),     STR("-"),     STR("+-1"),   STR("e5"),     STR("1e"),
        STR("1e+"),  STR("1e5.0"), STR("1.2.3"), STR(" 1"),    STR("1 "),     STR("1,5"),
        STR("0x"),   STR("0x.p1"), STR("0x1p"),  STR("0x1e+"), STR("1p3"),    STR("1f"),
        STR("infi"), STR("nano"),  STR("-nan"),  STR("1e309"), STR("-1e999"), STR("0x1p1024"),
        STR("1_0"),  STR("1\0"),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        double got = 42;
        if (num_parse_f64(cases[i], &got) || got != 42) {
            test_fail(t, __FILE__, __LINE__, "'" STR_FMT "' is taken for a number: %g",
                      STR_ARG(cases[i]), got);
        }
    }
}

// The tests run in the C locale, where strtod is the oracle for everything we take.
TEST(num, f64_agrees_with_strtod)
{
    char text[64];
    for (size_t i = 0; i < 50000; i++) {
        static const char *const formats[] = {"%.17g", "%.3f", "%.15e", "%a", "%.20g", "%.6g"};
        const uint64_t bits = test_random(t);
        double v = 0;
        memcpy(&v, &bits, sizeof(v));
        if (i % 2 == 0) { // numbers as people write them
            v = (double)(int64_t)(bits >> (20 + bits % 40)) / 1000;
        }
        if (!isfinite(v) || (i % 6 == 1 && fabs(v) > 1e40)) {
            continue;
        }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(text, sizeof(text), formats[i % 6], v);
#pragma GCC diagnostic pop
        const double want = strtod(text, NULL);
        double got = 0;
        if (!num_parse_f64(text_of(text), &got) || memcmp(&got, &want, sizeof(got)) != 0) {
            test_fail(t, __FILE__, __LINE__, "%s is %a, want %a", text, got, want);
        }
    }
}

TEST(num, f64_takes_any_number_of_digits)
{
    // 1 + 2^-53 lies exactly between two doubles; a digit a thousand places later decides.
    static const char half[] = "1.00000000000000011102230246251565404236316680908203125";
    char text[1200];
    const size_t half_len = sizeof(half) - 1;
    memcpy(text, half, half_len);
    memset(text + half_len, '0', sizeof(text) - half_len);
    double got = 0;
    CHECK(num_parse_f64((Str){text, sizeof(text)}, &got) && got == 1.0);
    text[sizeof(text) - 1] = '1';
    CHECK(num_parse_f64((Str){text, sizeof(text)}, &got) && got == 1.0000000000000002);
    memset(text, '0', sizeof(text));
    text[1] = '.';
    memcpy(text + sizeof(text) - 6, "1e1193", 6);
    CHECK(num_parse_f64((Str){text, sizeof(text)}, &got) && got == 1.0);
}

TEST(num, durations)
{
    static const struct {
        Str in;
        bool ok;
        int64_t ms;
    } cases[] = {
        {STR("90s"), true, 90000},
        {STR("5m"), true, 300000},
        {STR("1h30m"), true, 5400000},
        {STR("100ms"), true, 100},
        {STR("0s"), true, 0},
        {STR("2d"), true, 172800000},
        {STR("1w"), true, 604800000},
        {STR("1y"), true, INT64_C(31536000000)},
        {STR("1y2w3d4h5m6s7ms"), true, INT64_C(33019506007)},
        {STR("292277024y"), true, INT64_C(9217248228864000000)},
        {STR("292471209y"), false, 0},
        {STR("9223372036854775807ms"), true, INT64_MAX},
        {STR("9223372036854775808ms"), false, 0},
        {STR("1s9223372036854775807ms"), false, 0},
        {STR("99999999999999999999s"), false, 0},
        {STR(""), false, 0},
        {STR("5"), false, 0},
        {STR("0"), false, 0},
        {STR("m"), false, 0},
        {STR("-5m"), false, 0},
        {STR("1m1h"), false, 0},
        {STR("1m2m"), false, 0},
        {STR("1.5h"), false, 0},
        {STR("1h "), false, 0},
        {STR("1h30"), false, 0},
        {STR("1us"), false, 0},
        {STR("1M"), false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t got = 42;
        CHECK_EQ(num_parse_duration_ms(cases[i].in, &got), cases[i].ok);
        CHECK_EQ(got, cases[i].ok ? cases[i].ms : 42);
    }
}

TEST(num, byte_sizes)
{
    static const struct {
        Str in;
        bool ok;
        uint64_t bytes;
    } cases[] = {
        {STR("1048576"), true, 1048576},
        {STR("1048576B"), true, 1048576},
        {STR("64MB"), true, 64000000},
        {STR("64M"), true, 64000000},
        {STR("1GiB"), true, 1073741824},
        {STR("1gi"), true, 1073741824},
        {STR("512kB"), true, 512000},
        {STR("2TiB"), true, UINT64_C(2199023255552)},
        {STR("3t"), true, UINT64_C(3000000000000)},
        {STR("18446744073709551615"), true, UINT64_MAX},
        {STR("16777216TiB"), false, 0},
        {STR("16777215TiB"), true, UINT64_C(18446742974197923840)},
        {STR("18446744073709551616"), false, 0},
        {STR(""), false, 0},
        {STR("MB"), false, 0},
        {STR("64 MB"), false, 0},
        {STR("64X"), false, 0},
        {STR("64MBB"), false, 0},
        {STR("64Bi"), false, 0},
        {STR("-1"), false, 0},
        {STR("1.5G"), false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t got = 42;
        CHECK_EQ(num_parse_bytes(cases[i].in, &got), cases[i].ok);
        CHECK_EQ(got, cases[i].ok ? cases[i].bytes : 42);
    }
}
