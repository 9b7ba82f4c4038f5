// SPDX-License-Identifier: Apache-2.0
#include "promql/fn_test_support.h"

#include <math.h>

static bool is_same(double a, double b)
{
    return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b));
}

typedef struct FloatCase {
    const char *function;
    double in, want;
} FloatCase;

static void check_floats(Test *t, const FloatCase *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        FnTest f;
        fn_test_begin(&f, t, cases[i].function);
        const PromqlFunction *function = f.node.u.call.function;
        PromqlSample out = {0};
        CHECK(function->over_sample(&f.call, (PromqlSample){.value = cases[i].in}, &out));
        if (!is_same(out.value, cases[i].want)) {
            test_fail(t, __FILE__, __LINE__, "%s(%g) is %.17g, want %.17g", cases[i].function,
                      cases[i].in, out.value, cases[i].want);
        }
        if (function->over_floats != NULL) {
            double v = cases[i].in;
            function->over_floats(&v, 1, &v);
            CHECK(is_same(v, cases[i].want));
        }
        const Histogram *h = test_histogram(t, "{{count:1}}");
        CHECK(!function->over_sample(&f.call, (PromqlSample){.histogram = h}, &out));
        fn_test_end(&f);
    }
}

TEST(fn_sample, mathematics)
{
    static const FloatCase cases[] = {
        {"abs", -2, 2},
        {"ceil", 1.2, 2},
        {"floor", -1.2, -2},
        {"sgn", -7, -1},
        {"sgn", -0.0, -0.0},
        {"sgn", (double)NAN, (double)NAN},
        {"sqrt", 9, 3},
        {"sqrt", -1, (double)NAN},
        {"exp", 0, 1},
        {"ln", 1, 0},
        {"ln", 0, -HUGE_VAL},
        {"log2", 8, 3},
        {"log2", 0x1p-1074, -1074},
        {"log2", HUGE_VAL, HUGE_VAL},
        {"log2", -1, (double)NAN},
        {"log2", 0, -HUGE_VAL},
        {"log10", 100, 2},
        {"log10", 1000, 3},
        {"deg", 3.14159265358979323846, 180},
        {"rad", 180, 3.14159265358979323846},
        {"sin", 0, 0},
        {"cos", 0, 1},
        {"tan", 0, 0},
        {"asin", 2, (double)NAN},
        {"acos", 1, 0},
        {"atan", 0, 0},
        {"sinh", 0, 0},
        {"cosh", 0, 1},
        {"tanh", HUGE_VAL, 1},
        {"asinh", 0, 0},
        {"acosh", 1, 0},
        {"atanh", 1, HUGE_VAL},
        {"round", 2.5, 3},
        {"round", -2.5, -2},
    };
    check_floats(t, cases, ARRAY_LEN(cases));
}

TEST(fn_sample, parts_of_dates)
{
    static const FloatCase cases[] = {
        {"hour", 3661, 1},
        {"minute", 3661, 1},
        {"year", 0, 1970},
        {"month", 951782400, 2}, // 2000-02-29
        {"day_of_month", 951782400, 29},
        {"days_in_month", 951782400, 29},
        {"days_in_month", -2203891201, 28}, // the last second of February 1900
        {"day_of_week", 951782400, 2},
        {"day_of_year", 951782400, 60},
        {"day_of_year", 978220800, 366}, // 2000-12-31
        {"hour", -1, 23},
        {"year", -1, 1969},
        {"day_of_week", -1, 3},
        {"minute", 59.9, 0},
        {"year", (double)NAN, 292277026596},
        {"month", (double)NAN, 12},
        {"day_of_month", 1e300, 4},
        {"hour", HUGE_VAL, 15},
        {"year", -9223372036854775808.0, 292277026596},
        {"year", 9223372036854774784.0, 292277026596},
    };
    check_floats(t, cases, ARRAY_LEN(cases));
}

TEST(fn_sample, clamps_and_rounding_take_scalars)
{
    static const struct {
        const char *function;
        double in, a, b;
        bool some;
        double want;
    } cases[] = {
        {"clamp", 5, 1, 3, true, 3},
        {"clamp", 0, 1, 3, true, 1},
        {"clamp", (double)NAN, 1, 3, true, (double)NAN},
        {"clamp", 2, 3, 1, false, 0},
        {"clamp", 2, (double)NAN, 3, true, (double)NAN},
        {"clamp_min", -5, 0, 0, true, 0},
        {"clamp_min", (double)NAN, 0, 0, true, (double)NAN},
        {"clamp_max", 5, 0, 0, true, 0},
        {"clamp_max", 5, -HUGE_VAL, 0, true, -HUGE_VAL},
        {"round", 0.26, 0.1, 0, true, 0.3},
        {"round", 7, 5, 0, true, 5},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        FnTest f;
        PromqlSample out = {0};
        fn_test_begin(&f, t, cases[i].function);
        f.node.u.call.arg_count = f.node.u.call.function->arg_count;
        f.scalars[1] = cases[i].a;
        f.scalars[2] = cases[i].b;
        const bool some = f.node.u.call.function->over_sample(
            &f.call, (PromqlSample){.value = cases[i].in}, &out);
        CHECK_EQ(some, cases[i].some);
        CHECK(!some || is_same(out.value, cases[i].want));
        fn_test_end(&f);
    }
    CHECK(is_same(fn_max(0, -0.0), 0) && is_same(fn_max(-0.0, 0), 0));
    CHECK(is_same(fn_min(0, -0.0), -0.0) && is_same(fn_min(-0.0, 0), -0.0));
    CHECK(is_same(fn_max((double)NAN, HUGE_VAL), HUGE_VAL));
    CHECK(is_same(fn_min((double)NAN, HUGE_VAL), (double)NAN));
}

TEST(fn_sample, functions_of_a_histogram)
{
    static const struct {
        const char *function, *in;
        double want;
    } cases[] = {
        {"histogram_count", "{{count:4 sum:10}}", 4},
        {"histogram_sum", "{{count:4 sum:10}}", 10},
        {"histogram_avg", "{{count:4 sum:10}}", 2.5},
        {"histogram_avg", "{{}}", (double)NAN},
        // Observations are taken to be at 1 (zero bucket: 0), sqrt(2).
        {"histogram_stdvar", "{{schema:-53 count:4 sum:8 custom_values:[1 3] buckets:[0 4]}}", 0},
        {"histogram_stdvar", "{{count:2 sum:2 z_bucket:2 z_bucket_w:0.1}}", 1},
        {"histogram_stddev", "{{count:2 sum:4 z_bucket:2 z_bucket_w:0.1}}", 2},
        {"histogram_stdvar", "{{count:2 sum:-4 offset:3 n_offset:2 n_buckets:[2]}}",
         0.68629150101523951},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        FnTest f;
        PromqlSample out = {0};
        fn_test_begin(&f, t, cases[i].function);
        const PromqlFunction *function = f.node.u.call.function;
        const Histogram *h = test_histogram(t, cases[i].in);
        CHECK(function->over_sample(&f.call, (PromqlSample){.histogram = h}, &out));
        CHECK(out.histogram == NULL);
        if (!is_same(out.value, cases[i].want) && fabs(out.value - cases[i].want) > 1e-12) {
            test_fail(t, __FILE__, __LINE__, "%s(%s) is %.17g", cases[i].function, cases[i].in,
                      out.value);
        }
        CHECK(!function->over_sample(&f.call, (PromqlSample){.value = 1}, &out));
        fn_test_end(&f);
    }
}
