// SPDX-License-Identifier: Apache-2.0
#include "promql/fn_test_support.h"

#include <math.h>

TEST(fn_rate, floats_extrapolate_to_the_ends_of_the_window)
{
    static const struct {
        const char *function, *samples, *want;
    } cases[] = {
        {"rate", "10 20 30 40 50 60", "1"}, // 50 over 50 s, the whole window is covered
        {"increase", "10 20 30 40 50 60", "60"},
        {"delta", "60 50 40 30 20 10", "-60"},
        {"increase", "1 2 3 4 5 6", "6"},       // zero point 10 s before the first sample
        {"increase", "0 10 20 30 40 50", "50"}, // cannot have been below zero
        {"delta", "0 10 20 30 40 50", "60"},
        {"increase", "10 20 5 15", "37.5"},  // reset: 20 + 15 - 10; half a gap at the end
        {"increase", "_ _ 10 20 _ _", "20"}, // half a gap at both ends
        {"increase", "10", "none"},
        {"increase", "", "none"},
        {"increase", "5 5 5 5 5 5", "0"},
        {"rate", "NaN 1 2 3", "NaN"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        FnTest f;
        fn_test_begin(&f, t, cases[i].function);
        CHECK_RANGE(&f, cases[i].samples, cases[i].want);
        fn_test_end(&f);
    }
}

// extrapolatedRate as Prometheus' source has it, for floats without start timestamps.
static double naive_rate(const PromqlWindow *w, bool is_counter, bool is_rate)
{
    double result = w->values[w->count - 1] - w->values[0];
    for (uint32_t i = 1; i < w->count && is_counter; i++) {
        if (w->values[i] < w->values[i - 1]) {
            result += w->values[i - 1];
        }
    }
    double to_start = (double)(w->times[0] - w->start_ms) / 1000;
    double to_end = (double)(w->end_ms - w->times[w->count - 1]) / 1000;
    const double sampled = (double)(w->times[w->count - 1] - w->times[0]) / 1000;
    const double average = sampled / (double)(w->count - 1);
    const double threshold = average * 1.1;
    if (to_start >= threshold) {
        to_start = average / 2;
    }
    if (is_counter) {
        double to_zero = to_start;
        if (result > 0 && w->values[0] >= 0) {
            to_zero = sampled * (w->values[0] / result);
        }
        if (to_zero < to_start) {
            to_start = to_zero;
        }
    }
    if (to_end >= threshold) {
        to_end = average / 2;
    }
    double factor = (sampled + to_start + to_end) / sampled;
    if (is_rate) {
        factor /= (double)(w->end_ms - w->start_ms) / 1000;
    }
    return result * factor;
}

TEST(fn_rate, floats_are_what_the_naive_way_gives_to_the_bit)
{
    FnTest rate;
    FnTest delta;
    fn_test_begin(&rate, t, "rate");
    fn_test_begin(&delta, t, "delta");
    for (int round = 0; round < 5000; round++) {
        int64_t times[40];
        double values[40];
        const uint32_t count = 2 + (uint32_t)(test_random(t) % 38);
        int64_t at = (int64_t)(test_random(t) % 20000);
        for (uint32_t i = 0; i < count; i++) {
            at += 1 + (int64_t)(test_random(t) % 20000);
            times[i] = at;
            values[i] = (double)(test_random(t) % 1000) / 7 + i * 20;
        }
        const PromqlWindow w = {
            .times = times,
            .values = values,
            .count = count,
            .end_ms = at / 1000 * 1000 + 1000 + (int64_t)(test_random(t) % 40) * 1000,
        };
        PromqlSample got;
        CHECK(fn_rate(&rate.call, &w, &got));
        CHECK(got.value == naive_rate(&w, true, true));
        CHECK(fn_increase(&rate.call, &w, &got));
        CHECK(got.value == naive_rate(&w, true, false));
        CHECK(fn_delta(&delta.call, &w, &got));
        CHECK(got.value == naive_rate(&w, false, false));
    }
    fn_test_end(&rate);
    fn_test_end(&delta);
}

TEST(fn_rate, start_timestamps_tell_of_resets_and_of_the_first_increase)
{
    FnTest f;
    fn_test_begin(&f, t, "increase");
    PromqlWindow w = fn_test_window(t, "5");
    int64_t one[] = {4000};
    w.start_times = one;
    CHECK_TEXT(fn_test_range(&f, &w), "5"); // from nothing at 4 s; nothing to extrapolate with
    one[0] = 0;
    CHECK_TEXT(fn_test_range(&f, &w), "none");
    one[0] = 10000; // unknown: starts when it is measured
    CHECK_TEXT(fn_test_range(&f, &w), "none");
    w = fn_test_window(t, "10 20 30 40 50 60");
    int64_t starts[] = {5000, 5000, 25000, 25000, 25000, 25000};
    w.start_times = starts;
    // 50 and the first 10, and 20 before the start at 25 s.
    CHECK_TEXT(fn_test_range(&f, &w), "80");
    int64_t deltas[] = {9000, 10000, 20000, 30000, 40000, 50000};
    w.start_times = deltas; // each counts from the one before
    CHECK_TEXT(fn_test_range(&f, &w), "210");
    int64_t overlap[] = {0, 5000, 6000, 6000, 6000, 6000};
    w.start_times = overlap;
    CHECK_TEXT(fn_test_range(&f, &w), "60");
    CHECK_TEXT(fn_test_note(&f),
               "PromQL warning: sample has start time that overlaps with previous sample "
               "timestamp for metric \"m\" (1:1)");
    fn_test_end(&f);
    fn_test_begin(&f, t, "irate");
    w = fn_test_window(t, "10 20 30");
    int64_t recent[] = {1, 1, 25000};
    w.start_times = recent;
    CHECK_TEXT(fn_test_range(&f, &w), "3");
    w.start_times = NULL;
    CHECK_TEXT(fn_test_range(&f, &w), "1");
    fn_test_end(&f);
    fn_test_begin(&f, t, "resets");
    w.start_times = recent;
    CHECK_TEXT(fn_test_range(&f, &w), "1");
    fn_test_end(&f);
}

TEST(fn_rate, anchored_and_smoothed_look_beyond_the_window)
{
    static const struct {
        const char *function, *samples;
        int64_t from_ms, to_ms;
        bool smoothed;
        const char *want;
    } cases[] = {
        {"increase", "10 20 30 40 50 60", 20000, 50000, false, "40"},
        {"increase", "10 20 30 40 50", 25000, 50000, false, "30"},
        {"increase", "10 20 5 15 25", 20000, 50000, false, "25"},
        {"rate", "10 20 30 40 50", 20000, 50000, false, "1"},
        {"delta", "10 20 30 40 10", 20000, 50000, false, "-10"},
        {"increase", "10 20 30 40 50 60", 15000, 45000, true, "30"},
        {"increase", "10 20 0 10 20", 25000, 45000, true, "15"},
        {"delta", "10 20 0 10 20", 25000, 45000, true, "5"},
        {"increase", "10 20 30 8 18 28", 15000, 45000, true, "28"},
        {"increase", "10 20", 25000, 50000, false, "none"},
        {"increase", "_ _ _ _ 10 20", 10000, 40000, true, "none"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        FnTest f;
        fn_test_begin(&f, t, cases[i].function);
        PromqlWindow w = fn_test_window(t, cases[i].samples);
        w.start_ms = cases[i].from_ms;
        w.end_ms = cases[i].to_ms;
        w.anchored = !cases[i].smoothed;
        w.smoothed = cases[i].smoothed;
        const char *got = fn_test_range(&f, &w);
        if (strcmp(got, cases[i].want) != 0) {
            test_fail(t, __FILE__, __LINE__, "case %zu: %s, want %s", i, got, cases[i].want);
        }
        fn_test_end(&f);
    }
}

TEST(fn_rate, last_two_samples)
{
    FnTest f;
    fn_test_begin(&f, t, "irate");
    CHECK_RANGE(&f, "1 2 5 _ 25", "1");
    CHECK_RANGE(&f, "1 50 5", "0.5"); // reset: from zero
    CHECK_RANGE(&f, "5", "none");
    fn_test_end(&f);
    fn_test_begin(&f, t, "idelta");
    CHECK_RANGE(&f, "1 50 5", "-45");
    CHECK_RANGE(&f, "{{count:1}} 5 7", "2");
    CHECK_RANGE(&f, "5 {{count:1}}", "none");
    CHECK_TEXT(fn_test_note(&f), "PromQL warning: encountered a mix of histograms and floats for "
                                 "metric name \"m\" (1:1)");
    CHECK_RANGE(&f,
                "{{count:1 counter_reset_hint:gauge buckets:[1]}} "
                "{{count:3 counter_reset_hint:gauge buckets:[1 2]}}",
                "{{count:2 counter_reset_hint:gauge offset:1 buckets:[2]}}");
    CHECK_RANGE(&f, "{{count:1 buckets:[1]}} {{count:3 buckets:[1 2]}}",
                "{{count:2 counter_reset_hint:gauge offset:1 buckets:[2]}}");
    CHECK_TEXT(fn_test_note(&f),
               "PromQL warning: this native histogram metric is not a gauge: \"m\" (1:1)");
    fn_test_end(&f);
    fn_test_begin(&f, t, "irate");
    CHECK_RANGE(&f, "{{count:20 buckets:[20]}} {{count:10 buckets:[10]}}",
                "{{count:1 counter_reset_hint:gauge buckets:[1]}}");
    CHECK_RANGE(&f, "{{schema:-53 custom_values:[1]}} {{count:10 buckets:[10]}}",
                "{{count:1 counter_reset_hint:gauge buckets:[1]}}"); // looks like a reset
    CHECK_RANGE(&f,
                "{{schema:-53 count:1 custom_values:[1 2] buckets:[1]}} "
                "{{schema:-53 count:21 custom_values:[1 3] buckets:[21]}}",
                "{{schema:-53 count:2 custom_values:[1] counter_reset_hint:gauge buckets:[2]}}");
    CHECK_TEXT(fn_test_note(&f), "PromQL info: mismatched custom buckets were reconciled during "
                                 "subtraction (1:1)");
    fn_test_end(&f);
}

TEST(fn_rate, histograms)
{
    FnTest f;
    fn_test_begin(&f, t, "increase");
    CHECK_RANGE(&f,
                "{{count:10 sum:10 buckets:[5 5]}} {{count:20 sum:20 buckets:[10 10]}} "
                "{{count:30 sum:30 buckets:[15 15]}} {{count:40 sum:40 buckets:[20 20]}} "
                "{{count:50 sum:50 buckets:[25 25]}} {{count:60 sum:60 buckets:[30 30]}}",
                "{{count:60 sum:60 counter_reset_hint:gauge buckets:[30 30]}}");
    // A reset in the middle: 1 - 2 and the 4 before it, over 35 s of 20 s.
    CHECK_RANGE(&f, "_ _ {{count:2 buckets:[2]}} {{count:4 buckets:[4]}} {{count:1 buckets:[1]}}",
                "{{count:5.25 counter_reset_hint:gauge buckets:[5.25]}}");
    // The first sample does not matter when the second one is a reset.
    CHECK_RANGE(&f,
                "_ _ {{schema:-53 count:9 custom_values:[1] buckets:[9]}} {{count:4 buckets:[4]}}",
                "{{count:8 counter_reset_hint:gauge buckets:[8]}}");
    CHECK_RANGE(&f, "{{count:1}}", "none");
    CHECK_RANGE(&f, "{{count:1}} 5", "none");
    CHECK_TEXT(fn_test_note(&f), "PromQL warning: encountered a mix of histograms and floats for "
                                 "metric name \"m\" (1:1)");
    CHECK_RANGE(&f,
                "{{count:1 buckets:[1]}} {{schema:-53 count:5 custom_values:[1] buckets:[5]}} "
                "{{count:9 buckets:[9]}}",
                "none");
    CHECK_TEXT(fn_test_note(&f),
               "PromQL warning: vector contains a mix of histograms with exponential and custom "
               "buckets schemas for metric name \"m\" (1:1)");
    CHECK_RANGE(&f,
                "_ _ {{count:1 counter_reset_hint:gauge buckets:[1]}} "
                "{{count:2 counter_reset_hint:gauge buckets:[2]}}",
                "{{count:2 counter_reset_hint:gauge buckets:[2]}}");
    CHECK_TEXT(fn_test_note(&f),
               "PromQL warning: this native histogram metric is not a counter: \"m\" (1:1)");
    fn_test_end(&f);
    fn_test_begin(&f, t, "delta");
    CHECK_RANGE(&f,
                "_ _ {{count:4 counter_reset_hint:gauge buckets:[4]}} "
                "{{count:2 counter_reset_hint:gauge buckets:[2]}}",
                "{{count:-4 counter_reset_hint:gauge buckets:[-4]}}");
    CHECK_RANGE(&f, "_ _ {{count:4 buckets:[4]}} {{count:2 buckets:[2]}}",
                "{{count:-4 counter_reset_hint:gauge buckets:[-4]}}");
    CHECK_TEXT(fn_test_note(&f),
               "PromQL warning: this native histogram metric is not a gauge: \"m\" (1:1)");
    fn_test_end(&f);
    fn_test_begin(&f, t, "rate");
    PromqlWindow w = fn_test_window(t, "{{count:5 buckets:[5]}}");
    int64_t starts[] = {4000};
    w.histogram_start_times = starts;
    w.end_ms = 10000;
    CHECK_TEXT(fn_test_range(&f, &w), "{{count:0.5 buckets:[0.5]}}");
    fn_test_end(&f);
}

TEST(fn_rate, histograms_beyond_the_window)
{
    FnTest f;
    fn_test_begin(&f, t, "increase");
    PromqlWindow w = fn_test_window(
        t, "{{count:10 buckets:[10]}} {{count:20 buckets:[20]}} {{count:5 buckets:[5]}} "
           "{{count:15 buckets:[15]}} {{count:25 buckets:[25]}}");
    w.start_ms = 10000;
    w.end_ms = 40000;
    w.anchored = true;
    // In an anchored window the last sample is the last one there is.
    CHECK_TEXT(fn_test_range(&f, &w), "{{count:35 counter_reset_hint:gauge buckets:[35]}}");
    w.anchored = false;
    w.smoothed = true;
    CHECK_TEXT(fn_test_range(&f, &w), "{{count:25 counter_reset_hint:gauge buckets:[25]}}");
    w.start_ms = 15000;
    w.end_ms = 45000; // 15 at 15 s, reset after 20, 20 at 45 s
    CHECK_TEXT(fn_test_range(&f, &w), "{{count:25 counter_reset_hint:gauge buckets:[25]}}");
    w.start_ms = 25000; // inside the reset: 2.5 there
    CHECK_TEXT(fn_test_range(&f, &w), "{{count:17.5 counter_reset_hint:gauge buckets:[17.5]}}");
    w.start_ms = 55000;
    w.end_ms = 60000;
    CHECK_TEXT(fn_test_range(&f, &w), "none");
    fn_test_end(&f);
    fn_test_begin(&f, t, "delta");
    w.start_ms = 15000;
    w.end_ms = 45000;
    CHECK_TEXT(fn_test_range(&f, &w), "{{count:5 counter_reset_hint:gauge buckets:[5]}}");
    CHECK_TEXT(fn_test_note(&f),
               "PromQL warning: this native histogram metric is not a gauge: \"m\" (1:1)");
    fn_test_end(&f);
}
