// SPDX-License-Identifier: Apache-2.0
#include "promql/fn_test_support.h"

#include <math.h>
#include <stdlib.h>

TEST(fn_range, functions_of_floats)
{
    static const struct {
        const char *function;
        double scalars[3];
        const char *samples, *want;
    } cases[] = {
        {"sum_over_time", {0}, "1 2 3", "6"},
        {"sum_over_time", {0}, "1 1e100 1 -1e100", "2"},
        {"sum_over_time", {0}, "1e308 1e308 -1e308", "+Inf"},
        {"sum_over_time", {0}, "+Inf 1 -Inf", "NaN"},
        {"avg_over_time", {0}, "1 2 6", "3"},
        {"avg_over_time", {0}, "1e308 1e308 1e308", "1e+308"},
        {"avg_over_time", {0}, "+Inf 1", "+Inf"},
        {"avg_over_time", {0}, "5", "5"},
        {"count_over_time", {0}, "1 NaN 3", "3"},
        {"present_over_time", {0}, "7", "1"},
        {"min_over_time", {0}, "NaN 3 2 NaN 4", "2"},
        {"max_over_time", {0}, "NaN 3 2 NaN 4", "4"},
        {"min_over_time", {0}, "NaN NaN", "NaN"},
        {"ts_of_min_over_time", {0}, "3 2 2 4", "30"},
        {"ts_of_max_over_time", {0}, "NaN 4 4 2", "30"},
        {"ts_of_first_over_time", {0}, "_ 4 4 2", "20"},
        {"ts_of_last_over_time", {0}, "_ 4 4 2 _", "40"},
        {"first_over_time", {0}, "_ 4 5", "4"},
        {"last_over_time", {0}, "_ 4 5", "5"},
        {"stdvar_over_time", {0}, "1 3", "1"},
        {"stddev_over_time", {0}, "2 4 4 4 5 5 7 9", "2"},
        {"stddev_over_time", {0}, "5", "0"},
        {"stdvar_over_time", {0}, "1 NaN", "NaN"},
        {"quantile_over_time", {0.5}, "3 1 2", "2"},
        {"quantile_over_time", {0.25}, "4 1 3 2", "1.75"},
        {"quantile_over_time", {0}, "3 1 2", "1"},
        {"quantile_over_time", {1}, "3 1 2", "3"},
        {"quantile_over_time", {0}, "3 NaN 2", "NaN"},
        {"quantile_over_time", {1}, "3 NaN 2", "3"},
        {"quantile_over_time", {0.5}, "3 NaN 2", "2"},
        {"mad_over_time", {0}, "4 6 2 1 999 1 2", "1"},
        {"mad_over_time", {0}, "4 NaN", "NaN"},
        {"changes", {0}, "1 1 2 NaN NaN 2", "3"},
        {"changes", {0}, "1", "0"},
        {"resets", {0}, "3 2 2 5 1 NaN 0", "2"},
        {"deriv", {0}, "1 3 5 7", "0.2"},
        {"deriv", {0}, "4 4 4", "0"},
        {"deriv", {0}, "+Inf +Inf", "NaN"},
        {"deriv", {0}, "1", "none"},
        {"predict_linear", {0, 10}, "1 2 3 4 5 6", "7"},
        {"predict_linear", {0, 10}, "4 4", "4"},
        {"double_exponential_smoothing", {0, 0.5, 0.5}, "1 2 3 4", "4"},
        {"double_exponential_smoothing", {0, 0.5, 0.5}, "1 2 1", "2"},
        {"double_exponential_smoothing", {0, 0.5, 0.5}, "1", "none"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        FnTest f;
        fn_test_begin(&f, t, cases[i].function);
        memcpy(f.scalars, cases[i].scalars, sizeof(cases[i].scalars));
        const char *got = fn_test_samples(&f, cases[i].samples);
        if (strcmp(got, cases[i].want) != 0) {
            test_fail(t, __FILE__, __LINE__, "%s of %s is %s, want %s", cases[i].function,
                      cases[i].samples, got, cases[i].want);
        }
        CHECK_RANGE(&f, "", "none");
        fn_test_end(&f);
    }
}

TEST(fn_range, histograms_are_added_up_ignored_or_taken_as_they_are)
{
    static const struct {
        const char *function, *samples, *want, *note;
    } cases[] = {
        {"sum_over_time", "{{count:1 sum:1 buckets:[1]}} {{count:2 sum:2 buckets:[0 2]}}",
         "{{count:3 sum:3 buckets:[1 2]}}", ""},
        {"avg_over_time", "{{count:1 sum:1 buckets:[1]}} {{count:3 sum:3 buckets:[1 2]}}",
         "{{count:2 sum:2 buckets:[1 1]}}", ""},
        {"sum_over_time", "{{count:1}} 1", "none",
         "PromQL warning: encountered a mix of histograms and floats for metric name \"m\" (1:1)"},
        {"avg_over_time", "{{count:1}} {{schema:-53 custom_values:[1]}}", "none",
         "PromQL warning: vector contains a mix of histograms with exponential and custom buckets "
         "schemas for metric name \"m\" (1:1)"},
        {"sum_over_time",
         "{{count:1 counter_reset_hint:reset}} {{count:1 counter_reset_hint:not_reset}}",
         "{{count:2}}",
         "PromQL warning: conflicting counter resets during histogram aggregation (1:1)"},
        {"sum_over_time",
         "{{schema:-53 count:1 custom_values:[1 2] buckets:[1]}} "
         "{{schema:-53 count:1 custom_values:[1] buckets:[1]}}",
         "{{schema:-53 count:2 custom_values:[1] buckets:[2]}}",
         "PromQL info: mismatched custom buckets were reconciled during aggregation (1:1)"},
        {"count_over_time", "1 {{}} {{}}", "3", ""},
        {"present_over_time", "{{}}", "1", ""},
        {"last_over_time", "1 {{count:4}}", "{{count:4}}", ""},
        {"last_over_time", "{{count:4}} 1", "1", ""},
        {"first_over_time", "{{count:4}} 1", "{{count:4}}", ""},
        {"first_over_time", "1 {{count:4}}", "1", ""},
        {"ts_of_first_over_time", "{{}} 1", "10", ""},
        {"ts_of_last_over_time", "1 {{}}", "20", ""},
        {"max_over_time", "{{}} 1", "1",
         "PromQL info: ignored histograms in a range containing both floats and histograms for "
         "metric name \"m\" (1:1)"},
        {"stddev_over_time", "{{}}", "none", ""},
        {"deriv", "{{}} 1", "none",
         "PromQL info: ignored histograms in a range containing both floats and histograms for "
         "metric name \"m\" (1:1)"},
        {"changes", "1 {{}} {{}} {{count:1}} 2 2", "3", ""},
        {"resets", "1 {{count:2}} {{count:1}} {{count:1}} 2 1", "4", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        FnTest f;
        fn_test_begin(&f, t, cases[i].function);
        CHECK_TEXT(fn_test_samples(&f, cases[i].samples), cases[i].want);
        CHECK_TEXT(fn_test_note(&f), cases[i].note);
        fn_test_end(&f);
    }
}

TEST(fn_range, anchored_changes_and_resets_begin_before_the_window)
{
    static const struct {
        const char *function, *samples;
        int64_t start_ms;
        const char *want;
    } cases[] = {
        {"changes", "1 2 3 3", 20000, "1"},   {"changes", "1 2 3 3", 25000, "1"},
        {"changes", "1 2 3 3", 5000, "2"},    {"changes", "1 2 3 3", 40000, "none"},
        {"resets", "5 4 3 3", 25000, "1"},    {"resets", "5 {{}} 3 3", 25000, "1"},
        {"resets", "{{}} 5 6 3", 25000, "1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        FnTest f;
        fn_test_begin(&f, t, cases[i].function);
        PromqlWindow w = fn_test_window(t, cases[i].samples);
        w.anchored = true;
        w.start_ms = cases[i].start_ms;
        CHECK_TEXT(fn_test_range(&f, &w), cases[i].want);
        fn_test_end(&f);
    }
}

TEST(fn_range, bad_arguments)
{
    FnTest f;
    fn_test_begin(&f, t, "quantile_over_time");
    f.scalars[0] = 1.5;
    CHECK_RANGE(&f, "1 2", "+Inf");
    CHECK_TEXT(fn_test_note(&f),
               "PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:1)");
    f.scalars[0] = -1;
    CHECK_RANGE(&f, "1 2", "-Inf");
    CHECK_TEXT(fn_test_note(&f),
               "PromQL warning: quantile value should be between 0 and 1, got -1 (1:1)");
    f.scalars[0] = (double)NAN;
    CHECK_RANGE(&f, "1 2", "NaN");
    CHECK_TEXT(fn_test_note(&f),
               "PromQL warning: quantile value should be between 0 and 1, got NaN (1:1)");
    fn_test_end(&f);
    fn_test_begin(&f, t, "double_exponential_smoothing");
    f.scalars[1] = 1;
    f.scalars[2] = 0.5;
    CHECK_RANGE(&f, "1 2", "none");
    CHECK_TEXT(f.err.msg, "invalid smoothing factor. Expected: 0 < sf < 1, got: 1.000000");
    f.scalars[1] = 0.5;
    f.scalars[2] = -0.1;
    CHECK_RANGE(&f, "1 2", "none");
    CHECK_TEXT(f.err.msg, "invalid trend factor. Expected: 0 < tf < 1, got: -0.100000");
    fn_test_end(&f);
}

static int compare_nan_first(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    if (isnan(x) || isnan(y)) {
        return isnan(y) - isnan(x);
    }
    return (x > y) - (x < y);
}

TEST(fn_range, quantiles_are_those_of_a_sorted_list)
{
    for (int round = 0; round < 3000; round++) {
        double values[300];
        double sorted[300];
        const size_t count = 1 + test_random(t) % 300;
        const uint64_t distinct = 1 + test_random(t) % 200;
        for (size_t i = 0; i < count; i++) {
            const uint64_t v = test_random(t) % distinct;
            values[i] = v == 7 ? (double)NAN : (double)v;
            sorted[i] = values[i];
        }
        qsort(sorted, count, sizeof(*sorted), compare_nan_first);
        const double q = (double)(test_random(t) % 1001) / 1000;
        const double rank = q * ((double)count - 1);
        const size_t lower = (size_t)floor(rank);
        const size_t upper = lower + 1 < count ? lower + 1 : count - 1;
        const double weight = rank - floor(rank);
        const double want = sorted[lower] * (1 - weight) + sorted[upper] * weight;
        const double got = promql_quantile(q, values, count);
        CHECK(got == want || (isnan(got) && isnan(want)));
    }
    CHECK(isnan(promql_quantile(0.5, NULL, 0)));
}
