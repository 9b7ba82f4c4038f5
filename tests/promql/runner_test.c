// SPDX-License-Identifier: Apache-2.0
//
// A runner that finds nothing wrong is worth nothing: what it must tell apart, and what it must
// not.
#include "tests/promql/compare.h"
#include "tests/promql/world.h"
#include "tests/support/test.h"

#include <math.h>
#include <stdio.h>

TEST(compare, almost_equal)
{
    static const struct {
        double a, b;
        bool equal;
    } cases[] = {
        {1, 1, true},
        {1, 1.000001, true},
        {1, 1.00001, false},
        {0, 1e-300, false},
        {0, -0.0, true},
        {(double)INFINITY, (double)INFINITY, true},
        {(double)INFINITY, -(double)INFINITY, false},
        {(double)INFINITY, 1e308, false},
        {(double)NAN, (double)NAN, true},
        {(double)NAN, 1, false},
        {1e308, 1.0000001e308, true},
        {1e-310, 3e-310, false},
        {4.9e-324, 9.9e-324, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_EQ(compare_almost_equal(cases[i].a, cases[i].b), cases[i].equal);
        CHECK_EQ(compare_almost_equal(cases[i].b, cases[i].a), cases[i].equal);
    }
    CHECK(!compare_almost_equal(script_stale(), (double)NAN));
    CHECK(compare_almost_equal(script_stale(), script_stale()));
}

static ScriptEval eval_of(Test *t, const char *text)
{
    Err err;
    Script script;
    CHECK_OK(script_parse((Str){text, strlen(text)}, &t->arena, &script, &err));
    return script.commands[0].eval;
}

// A result written as lines of a load whose step is `step_ms` from `start_ms` on.
static PromqlResult result_of(Test *t, PromqlType type, int64_t start_ms, int64_t step_ms, Str text)
{
    Err err;
    PromqlResultSeries *series = arena_new(&t->arena, PromqlResultSeries, 8);
    PromqlResult result = {.type = type, .series = series};
    while (text.len != 0) {
        ScriptSeries parsed;
        Str line = text;
        if (!str_cut(text, '\n', &line, &text)) {
            text = (Str){0};
        }
        CHECK_OK(script_series(line, &t->arena, &parsed, &err));
        PromqlPoint *points = arena_new(&t->arena, PromqlPoint, parsed.count);
        PromqlResultSeries *out = &series[result.count++];
        *out = (PromqlResultSeries){.labels = parsed.labels, .points = points};
        for (size_t i = 0; i < parsed.count; i++) {
            if (!parsed.values[i].is_omitted) {
                points[out->count++] = (PromqlPoint){.time_ms = start_ms + (int64_t)i * step_ms,
                                                     .value = parsed.values[i].value,
                                                     .histogram = parsed.values[i].histogram};
            }
        }
    }
    return result;
}

TEST(compare, vectors)
{
    static const struct {
        const char *want;
        Str got;
        bool same;
    } cases[] = {
        {"a 1\nb 2", STR("b 2\na 1"), true},
        {"expect ordered\na 1\nb 2", STR("b 2\na 1"), false},
        {"expect ordered\na 1\nb 2", STR("a 1\nb 2"), true},
        {"a 1\nb 2", STR("a 1"), false},
        {"a 1", STR("a 1\nb 2"), false},
        {"a 1", STR("a 2"), false},
        {"a 1", STR("a{x=\"1\"} 1"), false},
        {"a NaN", STR("a stale"), false},
        {"a 1", STR("a {{count:1}}"), false},
        {"a {{count:1}}", STR("a 1"), false},
        {"a {{count:4 sum:2 buckets:[0 1 2]}}", STR("a {{count:4 sum:2 offset:1 buckets:[1 2 0]}}"),
         true},
        {"a {{count:4 buckets:[1 2]}}", STR("a {{count:4 offset:1 buckets:[1 2]}}"), false},
        {"a {{count:4 buckets:[1 2]}}", STR("a {{count:4 n_buckets:[1 2]}}"), false},
        {"a {{count:4}}", STR("a {{count:4 z_bucket_w:0.1}}"), false},
        {"a {{count:4 schema:1}}", STR("a {{count:4}}"), false},
        {"a {{count:4}}", STR("a {{count:4 counter_reset_hint:gauge}}"), true},
        {"a {{count:4 counter_reset_hint:unknown}}", STR("a {{count:4 counter_reset_hint:gauge}}"),
         false},
        {"a {{schema:-53 custom_values:[1 2]}}", STR("a {{schema:-53 custom_values:[1 3]}}"),
         false},
        {"1", STR("a 1"), false},
        {"", STR(""), true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[256];
        Buf why = {0};
        (void)snprintf(text, sizeof(text), "eval instant at 1m x\n%s\n", cases[i].want);
        const ScriptEval eval = eval_of(t, text);
        const PromqlResult result = result_of(t, PROMQL_VECTOR, 60000, 1, cases[i].got);
        if (compare_result(&eval, &result, &why) != cases[i].same) {
            test_fail(t, __FILE__, __LINE__, "case %zu: " STR_FMT, i, STR_ARG(buf_str(&why)));
        }
        CHECK_EQ(why.len == 0, cases[i].same);
        buf_deinit(&why);
    }
}

TEST(compare, matrices)
{
    static const struct {
        const char *want;
        Str got;
        bool same;
    } cases[] = {
        {"a 1 2 3\nb 1 _ 3", STR("a 1 2 3\nb 1 _ 3"), true},
        {"a 1 2 3\nb 1 _ 3", STR("b 1 _ 3\na 1 2 3"), false}, // not sorted
        {"a 1 _ 3", STR("a 1 2 3"), false},
        {"a 1 2", STR("a 1 2 3"), false},
        {"a 1 2 3", STR("a 1 2"), false},
        {"a 1 2 3 4", STR("a 1 2 3 4"), false}, // a step too many
        {"a 1 {{count:1}}", STR("a 1 {{count:1}}"), true},
        {"a 1 {{count:1}}", STR("a {{count:1}} 1"), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[256];
        Buf why = {0};
        (void)snprintf(text, sizeof(text), "eval range from 1m to 3m step 1m x\n%s\n",
                       cases[i].want);
        const ScriptEval eval = eval_of(t, text);
        const PromqlResult result = result_of(t, PROMQL_MATRIX, 60000, 60000, cases[i].got);
        if (compare_result(&eval, &result, &why) != cases[i].same) {
            test_fail(t, __FILE__, __LINE__, "case %zu: " STR_FMT, i, STR_ARG(buf_str(&why)));
        }
        buf_deinit(&why);
    }
}

TEST(compare, middle_of_a_range)
{
    const ScriptEval eval = eval_of(t, "eval instant at 1m x\na 2\n");
    const PromqlResult instant = result_of(t, PROMQL_VECTOR, 60000, 1, STR("a 2"));
    const PromqlResult right = result_of(t, PROMQL_MATRIX, 0, 60000, STR("a 1 2 3\nb 1 _ 1"));
    const PromqlResult wrong = result_of(t, PROMQL_MATRIX, 0, 60000, STR("a 2 3 4"));
    const PromqlResult missing = result_of(t, PROMQL_MATRIX, 0, 60000, STR("a 2 _ 4"));
    Buf why = {0};
    CHECK(compare_middle(&eval, &instant, &right, 60000, &why));
    CHECK(!compare_middle(&eval, &instant, &wrong, 60000, &why));
    CHECK(!compare_middle(&eval, &instant, &missing, 60000, &why));
    buf_deinit(&why);
}

TEST(compare, annotations_and_failures)
{
    static const Str one[] = {STR("PromQL warning: x (1:1)")};
    static const Str two[] = {STR("PromQL warning: x (1:1)"), STR("PromQL warning: y (1:1)")};
    static const struct {
        const char *want;
        const Str *notes;
        size_t count;
        bool same;
    } cases[] = {
        {"expect warn", one, 1, true},
        {"expect warn", NULL, 0, false},
        {"", two, 2, true},
        {"expect no_warn", NULL, 0, true},
        {"expect no_warn", one, 1, false},
        {"expect no_info", one, 1, true},
        {"expect warn msg: PromQL warning: x (1:1)", one, 1, true},
        {"expect warn msg: PromQL warning: x (1:2)", one, 1, false},
        {"expect warn msg: PromQL warning: x (1:1)", two, 2, false},
        {"expect warn regex: x|y", two, 2, true},
        {"expect warn regex: ^x", one, 1, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[256];
        Buf why = {0};
        (void)snprintf(text, sizeof(text), "eval instant at 1m x\n%s\n", cases[i].want);
        const ScriptEval eval = eval_of(t, text);
        const PromqlResult result = {.warnings = cases[i].notes, .warning_count = cases[i].count};
        if (compare_notes(&eval, &result, &why) != cases[i].same) {
            test_fail(t, __FILE__, __LINE__, "case %zu: " STR_FMT, i, STR_ARG(buf_str(&why)));
        }
        buf_deinit(&why);
    }
    Buf why = {0};
    const ScriptEval any = eval_of(t, "eval instant at 1m x\nexpect fail\n");
    const ScriptEval exact = eval_of(t, "eval instant at 1m x\nexpect fail msg: a b\n");
    CHECK(compare_failure(&any, STR("a b"), &why) && compare_failure(&exact, STR("a b"), &why));
    CHECK(!compare_failure(&exact, STR("a b c"), &why));
    buf_deinit(&why);
}

TEST(load, samples_and_their_starts)
{
    static const char text[] = "load 1m\n"
                               " a@st _ -30s 0 -1m\n"
                               " a 1 2 _ {{count:1 counter_reset_hint:reset}}\n";
    Err err;
    Script script;
    LoadSeries *series;
    size_t count;
    CHECK_OK(script_parse((Str){text, strlen(text)}, &t->arena, &script, &err));
    CHECK_OK(load_expand(&script.commands[0].load, &t->arena, &series, &count, &err));
    CHECK_EQ(count, 1);
    CHECK_EQ(series[0].count, 3);
    const LoadSample *samples = series[0].samples;
    CHECK(samples[0].time_ms == 0 && samples[0].start_ms == SCRIPT_NO_START);
    CHECK(samples[1].time_ms == 60000 && samples[1].start_ms == 30000 && samples[1].value == 2);
    CHECK(samples[2].time_ms == 180000 && samples[2].start_ms == 120000);
    CHECK_EQ(samples[2].histogram->hint, HISTOGRAM_HINT_RESET);
}

TEST(load, classic_histograms_become_native_ones)
{
    static const char text[] = "load_with_nhcb 1m\n"
                               " h_bucket{le=\"1\",x=\"y\"} 2 3\n"
                               " h_bucket{le=\"+Inf\",x=\"y\"} 5 5\n"
                               " h_bucket{le=\"0.5\",x=\"y\"} 1 _\n"
                               " h_count{x=\"y\"} 5 5\n"
                               " h_sum{x=\"y\"} 7 8\n"
                               " g_bucket{le=\"2\"} 3\n"
                               " plain 1\n";
    Err err;
    Script script;
    LoadSeries *series;
    size_t count;
    CHECK_OK(script_parse((Str){text, strlen(text)}, &t->arena, &script, &err));
    CHECK_OK(load_convert_classic(&script.commands[0].load, &t->arena, &series, &count, &err));
    CHECK_EQ(count, 2);
    CHECK_STR(labels_get(&series[0].labels, STR("__name__")), STR("g"));
    const Histogram *h = series[0].samples[0].histogram;
    CHECK(h->count == 3 && h->bound_count == 1 && h->positive.counts[0] == 3);
    CHECK_STR(labels_get(&series[1].labels, STR("le")), STR(""));
    CHECK_EQ(series[1].count, 2);
    h = series[1].samples[0].histogram;
    CHECK(h->count == 5 && h->sum == 7 && h->bound_count == 2 && h->bounds[0] == 0.5);
    CHECK(h->positive.counts[0] == 1 && h->positive.counts[1] == 1 && h->positive.counts[2] == 3);
    CHECK_EQ(series[1].samples[1].histogram->bound_count, 1);
}
