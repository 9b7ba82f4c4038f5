// SPDX-License-Identifier: Apache-2.0
#include "promql/histogram_internal.h"
#include "promql/histogram_test_support.h"
#include "promql/logs.h"

#include <math.h>

static bool is_close(double a, double b)
{
    return (isnan(a) && isnan(b)) || a == b || fabs(a - b) <= 1e-12 * fabs(b);
}

static const char *only_note(Test *t, PromqlNotes *notes)
{
    const Str *list;
    const size_t count = promql_notes_list(notes, PROMQL_INFO, STR("x"), 0, &t->arena, &list);
    if (count == 0) {
        return "";
    }
    char *text = arena_new(&t->arena, char, list[0].len + 1);
    memcpy(text, list[0].ptr, list[0].len);
    return text;
}

TEST(histogram_quantile, interpolates_by_the_kind_of_bucket)
{
    static const struct {
        double q;
        const char *histogram;
        double want;
    } cases[] = {
        {-0.1, "{{count:1 buckets:[1]}}", -HUGE_VAL},
        {1.1, "{{count:1 buckets:[1]}}", HUGE_VAL},
        {(double)NAN, "{{count:1 buckets:[1]}}", (double)NAN},
        {0.5, "{{}}", (double)NAN},
        {1, "{{count:4 sum:1 offset:1 buckets:[4]}}", 2},
        {0, "{{count:4 sum:1 offset:1 buckets:[4]}}", 1},
        {0.5, "{{count:4 sum:1 offset:1 buckets:[4]}}", 1.4142135623730951},
        {0.5, "{{count:4 sum:1 n_offset:1 n_buckets:[4]}}", -1.4142135623730951},
        {0.25, "{{count:4 sum:1 n_offset:1 n_buckets:[4]}}", -1.6817928305074292},
        {0.5, "{{count:4 sum:1 z_bucket:4 z_bucket_w:1}}", 0},
        {0.75, "{{count:4 sum:1 z_bucket:4 z_bucket_w:1}}", 0.5},
        {0.25, "{{count:8 sum:1 z_bucket:4 z_bucket_w:1 offset:1 buckets:[4]}}", 0.5},
        {0.75, "{{count:8 sum:1 z_bucket:4 z_bucket_w:1 n_offset:1 n_buckets:[4]}}", -0.5},
        {0.5, "{{schema:-53 count:4 sum:1 custom_values:[10 20] buckets:[0 4]}}", 15},
        {0.5, "{{schema:-53 count:4 sum:1 custom_values:[10 20] buckets:[4]}}", 5},
        {0.5, "{{schema:-53 count:4 sum:1 custom_values:[-10 20] buckets:[4]}}", -10},
        {0.9, "{{schema:-53 count:4 sum:1 custom_values:[10 20] buckets:[1 1 2]}}", 20},
        {0.9, "{{count:10 sum:1 offset:1 buckets:[4 0 4 2]}}", 11.313708498984761},
    };
    PromqlNotes *notes = promql_notes_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const Histogram *h = test_histogram(t, cases[i].histogram);
        const double got = histogram_quantile_of(cases[i].q, h, notes, STR("m"), (PromqlPos){0, 1});
        if (!is_close(got, cases[i].want)) {
            test_fail(t, __FILE__, __LINE__, "%g of %s is %.17g", cases[i].q, cases[i].histogram,
                      got);
        }
    }
    CHECK_TEXT(only_note(t, notes), "");
    promql_notes_free(notes);
}

TEST(histogram_quantile, observations_that_are_no_numbers_are_noted)
{
    PromqlNotes *notes = promql_notes_new();
    const Histogram *h = test_histogram(t, "{{count:4 sum:NaN offset:1 buckets:[2 1]}}");
    CHECK(isnan(histogram_quantile_of(0.9, h, notes, STR("m"), (PromqlPos){0, 1})));
    CHECK_TEXT(only_note(t, notes), "PromQL info: input to histogram_quantile has NaN "
                                    "observations, result is NaN for metric name \"m\" (1:1)");
    promql_notes_free(notes);
    notes = promql_notes_new();
    // Half of the 2 in (1, 2], yet Prometheus goes on with the last bucket, (2, 4].
    CHECK(is_close(histogram_quantile_of(0.25, h, notes, STR(""), (PromqlPos){0, 1}), 4));
    CHECK_TEXT(only_note(t, notes), "PromQL info: input to histogram_quantile has NaN "
                                    "observations, result is skewed higher (1:1)");
    promql_notes_free(notes);
    notes = promql_notes_new();
    CHECK(is_close(histogram_fraction_of(0, 4, h, notes, STR(""), (PromqlPos){0, 1}), 0.75));
    CHECK_TEXT(only_note(t, notes), "PromQL info: input to histogram_fraction has NaN "
                                    "observations, which are excluded from all fractions (1:1)");
    promql_notes_free(notes);
}

TEST(histogram_quantile, fractions)
{
    static const struct {
        double lower, upper;
        const char *histogram;
        double want;
    } cases[] = {
        {0, 1, "{{}}", (double)NAN},
        {(double)NAN, 1, "{{count:1 buckets:[1]}}", (double)NAN},
        {2, 1, "{{count:1 buckets:[1]}}", 0},
        {-HUGE_VAL, HUGE_VAL, "{{count:4 offset:1 buckets:[1 3]}}", 1},
        {1, 2, "{{count:4 offset:1 buckets:[1 3]}}", 0.25},
        {-HUGE_VAL, 1.4142135623730951, "{{count:4 offset:1 buckets:[4]}}", 0.5},
        {-1.4142135623730951, 0, "{{count:4 n_offset:1 n_buckets:[4]}}", 0.5},
        {-0.5, 0.5, "{{count:4 z_bucket:4 z_bucket_w:1}}", 0.5},
        {0, 0.5, "{{count:8 z_bucket:4 z_bucket_w:1 offset:1 buckets:[4]}}", 0.25},
        {10, 15, "{{schema:-53 count:4 custom_values:[10 20] buckets:[0 4]}}", 0.5},
        {15, HUGE_VAL, "{{schema:-53 count:4 custom_values:[10 20] buckets:[0 2 2]}}", 0.75},
        {-HUGE_VAL, 5, "{{schema:-53 count:4 custom_values:[10 20] buckets:[4]}}", 0.5},
        {-HUGE_VAL, -15, "{{schema:-53 count:4 custom_values:[-10 20] buckets:[4]}}", 1},
    };
    PromqlNotes *notes = promql_notes_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const Histogram *h = test_histogram(t, cases[i].histogram);
        const double got = histogram_fraction_of(cases[i].lower, cases[i].upper, h, notes, STR(""),
                                                 (PromqlPos){0, 1});
        if (!is_close(got, cases[i].want)) {
            test_fail(t, __FILE__, __LINE__, "%g..%g of %s is %.17g", cases[i].lower,
                      cases[i].upper, cases[i].histogram, got);
        }
    }
    promql_notes_free(notes);
}

TEST(histogram_quantile, is_the_inverse_of_fraction)
{
    PromqlNotes *notes = promql_notes_new();
    for (int round = 0; round < 500; round++) {
        double counts[6];
        double total = 0;
        for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
            counts[i] = 1 + (double)(test_random(t) % 9);
            total += counts[i];
        }
        const HistogramSpan span = {(int32_t)(test_random(t) % 9) - 4, 6};
        const Histogram h = {
            .schema = (int32_t)(test_random(t) % 13) - 4,
            .count = total,
            .sum = 1,
            .positive = {&span, 1, counts, 6},
        };
        const double q = (double)(1 + test_random(t) % 999) / 1000;
        const double v = histogram_quantile_of(q, &h, notes, STR(""), (PromqlPos){0, 1});
        const double f = histogram_fraction_of(-HUGE_VAL, v, &h, notes, STR(""), (PromqlPos){0, 1});
        CHECK(fabs(f - q) < 1e-9);
    }
    promql_notes_free(notes);
}

TEST(histogram_quantile, trimming)
{
    static const struct {
        const char *histogram;
        double bound;
        bool keep_upper;
        const char *want;
    } cases[] = {
        {"{{count:4 sum:9 offset:1 buckets:[2 2]}}", 4, false,
         "{{count:4 sum:9 offset:1 buckets:[2 2]}}"},
        {"{{count:4 sum:9 offset:2 buckets:[2 2]}}", 4, false,
         "{{count:2 sum:5.656854249492381 offset:2 buckets:[2]}}"},
        {"{{count:4 sum:9 offset:2 buckets:[2 2]}}", 4, true,
         "{{count:2 sum:11.313708498984761 offset:3 buckets:[2]}}"},
        {"{{count:2 sum:9 z_bucket:2 z_bucket_w:1}}", 0, true,
         "{{count:1 sum:0.5 z_bucket:1 z_bucket_w:1}}"},
        {"{{count:4 sum:9 z_bucket:2 z_bucket_w:1 offset:1 buckets:[2]}}", 0.5, false,
         "{{count:1 sum:0.25 z_bucket:1 z_bucket_w:1}}"},
        {"{{schema:-53 count:6 sum:9 custom_values:[10 20] buckets:[2 2 2]}}", 15, false,
         "{{schema:-53 count:3 sum:22.5 custom_values:[10 20] buckets:[2 1]}}"},
        {"{{schema:-53 count:6 sum:9 custom_values:[10 20] buckets:[2 2 2]}}", 15, true,
         "{{schema:-53 count:3 sum:57.5 custom_values:[10 20] offset:1 buckets:[1 2]}}"},
        {"{{schema:-53 count:6 sum:9 custom_values:[10 20] buckets:[2 2 2]}}", 5, true,
         "{{schema:-53 count:5 sum:77.5 custom_values:[10 20] buckets:[1 2 2]}}"},
        {"{{schema:-53 count:6 sum:9 custom_values:[10 20] buckets:[2 2 2]}}", 30, true,
         "{{schema:-53 count:2 sum:60 custom_values:[10 20] offset:2 buckets:[2]}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const Histogram *h = test_histogram(t, cases[i].histogram);
        CHECK_HISTOGRAM(histogram_trim(h, cases[i].bound, cases[i].keep_upper, &t->arena),
                        cases[i].want);
    }
}

TEST(histogram_quantile, texts)
{
    const Histogram *h = test_histogram(
        t, "{{count:9 sum:-1.5 z_bucket:2 z_bucket_w:0.001 buckets:[1 0 2] n_buckets:[1 3]}}");
    const HistogramBucket *buckets;
    Buf text = {0};
    histogram_format(h, &text);
    CHECK_STR(buf_str(&text), STR("{count:9, sum:-1.5, [-2,-1):3, [-1,-0.5):1, [-0.001,0.001]:2, "
                                  "(0.5,1]:1, (2,4]:2}"));
    buf_clear(&text);
    histogram_format_json(h, &text);
    CHECK_STR(buf_str(&text),
              STR("{\"count\":\"9\",\"sum\":\"-1.5\",\"buckets\":[[1,\"-2\",\"-1\",\"3\"],"
                  "[1,\"-1\",\"-0.5\",\"1\"],[3,\"-0.001\",\"0.001\",\"2\"],"
                  "[0,\"0.5\",\"1\",\"1\"],[0,\"2\",\"4\",\"2\"]]}"));
    CHECK_EQ(histogram_buckets(h, &t->arena, &buckets), 6);
    CHECK(buckets[0].lower == -2 && buckets[2].upper == 0.001 && buckets[5].count == 2);
    buf_clear(&text);
    histogram_format_json(test_histogram(t, "{{schema:-53 count:1 custom_values:[5] buckets:[1]}}"),
                          &text);
    CHECK_STR(buf_str(&text), STR("{\"count\":\"1\",\"sum\":\"0\",\"buckets\":[[3,\"-Inf\",\"5\","
                                  "\"1\"]]}"));
    buf_clear(&text);
    histogram_format_json(test_histogram(t, "{{}}"), &text);
    CHECK_STR(buf_str(&text), STR("{\"count\":\"0\",\"sum\":\"0\"}"));
    buf_deinit(&text);
}

TEST(classic, quantiles)
{
    ClassicRepair repair;
    ClassicBucket one[] = {{HUGE_VAL, 10}, {2, 10}, {1, 5}}; // in any order
    CHECK(classic_quantile(0.5, one, 3, &repair) == 1);
    CHECK(classic_quantile(0.75, one, 3, &repair) == 1.5);
    CHECK(classic_quantile(0.25, one, 3, &repair) == 0.5);
    CHECK(!repair.forced);
    CHECK(isnan(classic_quantile((double)NAN, one, 3, &repair)));
    CHECK(classic_quantile(-1, one, 3, &repair) == -HUGE_VAL);
    CHECK(classic_quantile(2, one, 3, &repair) == HUGE_VAL);
    ClassicBucket open[] = {{1, 5}, {2, 10}};
    CHECK(isnan(classic_quantile(0.5, open, 2, &repair)));
    ClassicBucket alone[] = {{HUGE_VAL, 10}};
    CHECK(isnan(classic_quantile(0.5, alone, 1, &repair)));
    ClassicBucket none[] = {{1, 0}, {HUGE_VAL, 0}};
    CHECK(isnan(classic_quantile(0.5, none, 2, &repair)));
    ClassicBucket above[] = {{1, 5}, {HUGE_VAL, 10}};
    CHECK(classic_quantile(0.9, above, 2, &repair) == 1);
    ClassicBucket negative[] = {{-1, 5}, {HUGE_VAL, 10}};
    CHECK(classic_quantile(0.1, negative, 2, &repair) == -1);
    ClassicBucket twice[] = {{1, 2}, {1, 3}, {2, 10}, {HUGE_VAL, 10}};
    CHECK(classic_quantile(0.5, twice, 4, &repair) == 1);
}

TEST(classic, counts_that_fall_are_raised)
{
    ClassicRepair repair;
    ClassicBucket buckets[] = {{1, 5}, {2, 4}, {3, 4.5}, {4, 8}, {HUGE_VAL, 7}};
    CHECK(classic_quantile(0.5, buckets, 5, &repair) == 0.8);
    CHECK(repair.forced && repair.min_bucket == 2 && repair.max_bucket == HUGE_VAL &&
          repair.max_diff == 1);
    ClassicBucket close[] = {{1, 5}, {2, 5 * (1 - 1e-13)}, {HUGE_VAL, 10}};
    (void)classic_quantile(0.5, close, 3, &repair);
    CHECK(!repair.forced && close[1].count == 5);
}

TEST(classic, fractions)
{
    ClassicBucket b[] = {{2, 10}, {1, 5}, {HUGE_VAL, 20}};
    CHECK(classic_fraction(0, 1, b, 3) == 0.25);
    CHECK(classic_fraction(1, 1.5, b, 3) == 0.125);
    CHECK(classic_fraction(-HUGE_VAL, HUGE_VAL, b, 3) == 1);
    CHECK(classic_fraction(5, 7, b, 3) == 0);
    CHECK(classic_fraction(3, 1, b, 3) == 0);
    CHECK(isnan(classic_fraction((double)NAN, 1, b, 3)));
    CHECK(isnan(classic_fraction(0, 1, b, 2)));
    ClassicBucket negative[] = {{-1, 5}, {HUGE_VAL, 10}};
    CHECK(classic_fraction(-HUGE_VAL, -5, negative, 2) == 0.5);
}

TEST(logs, are_exact_where_they_can_be)
{
    for (int i = -1074; i < 1024; i++) {
        CHECK(logs_log2(ldexp(1, i)) == i);
        CHECK(logs_exp2(i) == ldexp(1, i));
    }
    CHECK(logs_ln(1) == 0 && logs_ln(HUGE_VAL) == HUGE_VAL && logs_ln(0) == -HUGE_VAL);
    CHECK(isnan(logs_ln(-1)) && isnan(logs_ln((double)NAN)) && isnan(logs_exp2((double)NAN)));
    CHECK(logs_exp2(2000) == HUGE_VAL && logs_exp2(-2000) == 0);
    for (int i = 0; i < 2000; i++) {
        const double v = ldexp((double)(test_random(t) >> 11), (int)(test_random(t) % 200) - 150);
        CHECK(v == 0 || fabs(logs_ln(v) - log(v)) <= 4e-16 * fabs(log(v)));
        const double p = (double)(test_random(t) % 100000) / 100 - 500;
        CHECK(fabs(logs_exp2(p) - exp2(p)) <= 4e-16 * exp2(p));
    }
}
