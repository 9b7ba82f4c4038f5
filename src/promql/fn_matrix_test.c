// SPDX-License-Identifier: Apache-2.0
#include "promql/fn_test_support.h"

#include <stdio.h>

static PromqlMatrix vector(PromqlSeries *series, size_t count)
{
    return (PromqlMatrix){.type = PROMQL_VECTOR, .series = series, .count = count};
}

static PromqlMatrix scalar(Test *t, const char *values)
{
    PromqlSeries *s = arena_new(&t->arena, PromqlSeries, 1);
    *s = fn_test_series(t, "", values);
    return (PromqlMatrix){.type = PROMQL_SCALAR, .series = s, .count = 1};
}

TEST(fn_matrix, histogram_quantile_of_classic_and_native)
{
    FnTest f;
    PromqlSeries series[] = {
        fn_test_series(t, "__name__=\"m\",a=\"1\",le=\"1\"", "5 5 _"),
        fn_test_series(t, "__name__=\"m\",a=\"1\",le=\"2\"", "10 10 _"),
        fn_test_series(t, "__name__=\"m\",a=\"1\",le=\"+Inf\"", "10 9 _"),
        fn_test_series(t, "__name__=\"m\",a=\"1\"", "_ _ {{count:4 sum:1 offset:1 buckets:[4]}}"),
        fn_test_series(t, "__name__=\"m\",a=\"2\"", "{{count:4 sum:1 offset:1 buckets:[4]}} _ _"),
    };
    fn_test_begin(&f, t, "histogram_quantile");
    const PromqlMatrix args[] = {scalar(t, "0.5 0.5 1"), vector(series, ARRAY_LEN(series))};
    CHECK_TEXT(fn_test_matrix(&f, args, 3), "m{a=\"1\"} 1 1 2\n"
                                            "m{a=\"2\"} 1.414213562373095 _ _");
    CHECK_TEXT(fn_test_note(&f),
               "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see "
               "https://prometheus.io/docs/prometheus/latest/querying/functions/"
               "#histogram_quantile), from buckets +Inf to +Inf, with a max diff of 1, over 1 "
               "samples from 1970-01-01T00:01:00Z to 1970-01-01T00:01:00Z (1:2)");
    fn_test_end(&f);
}

TEST(fn_matrix, histogram_quantile_notes_what_it_cannot_take)
{
    FnTest f;
    PromqlSeries series[] = {
        fn_test_series(t, "__name__=\"m\",a=\"1\",le=\"+Inf\"", "5"),
        fn_test_series(t, "__name__=\"m\",a=\"1\"", "{{count:1 buckets:[1]}}"),
        fn_test_series(t, "__name__=\"m\",a=\"2\"", "7"),
        fn_test_series(t, "__name__=\"m\",a=\"3\",le=\"x\"", "7"),
    };
    fn_test_begin(&f, t, "histogram_quantile");
    const PromqlMatrix args[] = {scalar(t, "7"), vector(series, ARRAY_LEN(series))};
    CHECK_TEXT(fn_test_matrix(&f, args, 1), "m{a=\"1\"} _");
    CHECK_TEXT(fn_test_note(&f),
               "PromQL warning: bucket label \"le\" is missing or has a malformed value of \"\" "
               "(1:2); "
               "PromQL warning: bucket label \"le\" is missing or has a malformed value of \"x\" "
               "(1:2); "
               "PromQL warning: quantile value should be between 0 and 1, got 7 (1:1); "
               "PromQL warning: vector contains a mix of classic and native histograms (1:2)");
    f.call.delayed_names = true;
    (void)fn_test_matrix(&f, args, 1);
    CHECK(strstr(fn_test_note(&f), "of \"x\" for metric name \"m\" (1:2)") != NULL);
    fn_test_end(&f);
}

TEST(fn_matrix, histogram_fraction_and_quantiles)
{
    FnTest f;
    PromqlSeries series[] = {
        fn_test_series(t, "a=\"1\",le=\"1\"", "5 5"),
        fn_test_series(t, "a=\"1\",le=\"+Inf\"", "10 10"),
        fn_test_series(t, "b=\"1\"", "{{count:4 sum:1 offset:1 buckets:[4]}} _"),
    };
    fn_test_begin(&f, t, "histogram_fraction");
    const PromqlMatrix args[] = {scalar(t, "0 0"), scalar(t, "1 0.5"), vector(series, 3)};
    CHECK_TEXT(fn_test_matrix(&f, args, 2), "{a=\"1\"} 0.5 0.25\n{b=\"1\"} 0 _");
    fn_test_end(&f);
    fn_test_begin(&f, t, "histogram_quantiles");
    f.node.u.call.arg_count = 4;
    const PromqlMatrix many[] = {
        vector(series, 3),
        {.type = PROMQL_STRING, .text = STR("q")},
        scalar(t, "0.5 0.1"),
        scalar(t, "1 1"),
    };
    CHECK_TEXT(fn_test_matrix(&f, many, 2), "{a=\"1\", q=\"0.5\"} 1 _\n"
                                            "{b=\"1\", q=\"0.5\"} 1.414213562373095 _\n"
                                            "{a=\"1\", q=\"0.1\"} _ 0.2\n"
                                            "{b=\"1\", q=\"0.1\"} _ _\n"
                                            "{a=\"1\", q=\"1.0\"} 1 1\n"
                                            "{b=\"1\", q=\"1.0\"} 2 _");
    fn_test_end(&f);
}

TEST(fn_matrix, scalars_and_vectors)
{
    static const struct {
        const char *function, *a, *b, *want;
    } cases[] = {
        {"pi", "", "", "{} 3.141592653589793 3.141592653589793"},
        {"vector", "1 NaN", "", "{} 1 NaN"},
        {"max_of", "1 NaN", "2 +Inf", "{} 2 +Inf"},
        {"min_of", "1 NaN", "2 +Inf", "{} 1 NaN"},
    };
    FnTest f;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fn_test_begin(&f, t, cases[i].function);
        const PromqlMatrix args[] = {scalar(t, cases[i].a), scalar(t, cases[i].b)};
        CHECK_TEXT(fn_test_matrix(&f, args, 2), cases[i].want);
        fn_test_end(&f);
    }
    PromqlSeries series[] = {
        fn_test_series(t, "a=\"1\"", "5 _ {{}}"),
        fn_test_series(t, "a=\"2\"", "_ _ 7"),
        fn_test_series(t, "a=\"3\"", "1 _ _"),
    };
    fn_test_begin(&f, t, "scalar");
    const PromqlMatrix args[] = {vector(series, 3)};
    CHECK_TEXT(fn_test_matrix(&f, args, 3), "{} NaN NaN 7");
    fn_test_end(&f);
}

TEST(fn_matrix, sorting)
{
    FnTest f;
    PromqlSeries series[] = {
        fn_test_series(t, "a=\"x10\"", "5"),  fn_test_series(t, "a=\"x9\",b=\"1\"", "NaN"),
        fn_test_series(t, "a=\"y\"", "{{}}"), fn_test_series(t, "a=\"x9\"", "-1"),
        fn_test_series(t, "a=\"x1\"", "7"),
    };
    const PromqlMatrix args[] = {
        vector(series, 5),
        {.type = PROMQL_STRING, .text = STR("a")},
    };
    fn_test_begin(&f, t, "sort");
    CHECK_TEXT(fn_test_matrix(&f, args, 1), "{a=\"x9\"} -1\n{a=\"x10\"} 5\n{a=\"x1\"} 7\n"
                                            "{a=\"x9\", b=\"1\"} NaN");
    fn_test_end(&f);
    fn_test_begin(&f, t, "sort_desc");
    CHECK_TEXT(fn_test_matrix(&f, args, 1), "{a=\"x1\"} 7\n{a=\"x10\"} 5\n{a=\"x9\"} -1\n"
                                            "{a=\"x9\", b=\"1\"} NaN");
    fn_test_end(&f);
    fn_test_begin(&f, t, "sort_by_label");
    f.node.u.call.arg_count = 2;
    CHECK_TEXT(fn_test_matrix(&f, args, 1),
               "{a=\"x1\"} 7\n{a=\"x9\"} -1\n{a=\"x9\", b=\"1\"} NaN\n{a=\"x10\"} 5\n"
               "{a=\"y\"} {{}}");
    fn_test_end(&f);
    fn_test_begin(&f, t, "sort_by_label_desc");
    f.node.u.call.arg_count = 2;
    CHECK_TEXT(fn_test_matrix(&f, args, 1),
               "{a=\"y\"} {{}}\n{a=\"x10\"} 5\n{a=\"x9\", b=\"1\"} NaN\n{a=\"x9\"} -1\n"
               "{a=\"x1\"} 7");
    fn_test_end(&f);
}

TEST(fn_matrix, long_lists_are_sorted_stably)
{
    FnTest f;
    enum { COUNT = 200 };
    PromqlSeries *series = arena_new(&t->arena, PromqlSeries, COUNT);
    for (int i = 0; i < COUNT; i++) {
        char labels[20];
        char value[20];
        (void)snprintf(labels, sizeof(labels), "n=\"%d\"", i);
        (void)snprintf(value, sizeof(value), "%d", (int)(test_random(t) % 20));
        series[i] = fn_test_series(t, labels, value);
        series[i].labels.labels =
            memcpy(arena_new(&t->arena, Label, 1), series[i].labels.labels, sizeof(Label));
        ((Label *)(uintptr_t)series[i].labels.labels)->value =
            arena_str(&t->arena, series[i].labels.labels[0].value);
    }
    fn_test_begin(&f, t, "sort");
    const PromqlGrid grid = {.steps = 1};
    const PromqlMatrix args[] = {vector(series, COUNT)};
    PromqlMatrix out;
    Err err;
    CHECK_OK(fn_sort(&f.call, &grid, args, &out, &err));
    CHECK_EQ(out.count, COUNT);
    for (size_t i = 1; i < COUNT; i++) {
        const PromqlSeries *a = &out.series[i - 1];
        const PromqlSeries *b = &out.series[i];
        CHECK(a->values[0] < b->values[0] ||
              (a->values[0] == b->values[0] &&
               fn_sort_natural_less(a->labels.labels[0].value, b->labels.labels[0].value)));
    }
    fn_test_end(&f);
}

TEST(fn_matrix, natural_order)
{
    static const struct {
        Str a, b;
        bool less;
    } cases[] = {
        {STR("a2"), STR("a10"), true},
        {STR("a10"), STR("a2"), false},
        {STR("a"), STR("b"), true},
        {STR("a"), STR("a1"), true},
        {STR("a1"), STR("a"), false},
        {STR("a01"), STR("a1"), true}, // equal either way
        {STR("a1"), STR("a01"), true},
        {STR("1.9"), STR("1.10"), true},
        {STR(""), STR("a"), false},
        {STR("a"), STR(""), false},
        {STR("99999999999999999999"), STR("1"), false}, // too large: as text
        {STR("10"), STR("99999999999999999999"), true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_EQ(fn_sort_natural_less(cases[i].a, cases[i].b), cases[i].less);
    }
}

static const char *relabel(FnTest *f, const PromqlMatrix *args, size_t count, const char *labels,
                           bool *drop_name)
{
    Test *t = f->t;
    Err err;
    void *state;
    Buf text = {0};
    LabelSet out;
    const PromqlFunction *function = f->node.u.call.function;
    const PromqlSeries in = fn_test_series(t, labels, "");
    CHECK_OK(function->labels_open(args, count, &state, &err));
    function->over_labels(&f->call, state, in.labels, drop_name, &out);
    function->labels_close(state);
    labels_format(&out, 1000, &text);
    buf_put_u8(&text, 0);
    const char *copy = arena_str(&t->arena, buf_str(&text)).ptr;
    buf_deinit(&text);
    return copy;
}

TEST(fn_labels, replace)
{
    FnTest f;
    bool drop = true;
    Err err;
    void *state;
    PromqlMatrix args[] = {{0},
                           {.text = STR("dst")},
                           {.text = STR("$2-${1}x")},
                           {.text = STR("src")},
                           {.text = STR("(.*)-(.*)")}};
    fn_test_begin(&f, t, "label_replace");
    CHECK_TEXT(relabel(&f, args, 5, "__name__=\"m\",src=\"a-b\"", &drop),
               "m{dst=\"b-ax\", src=\"a-b\"}");
    CHECK(drop);
    CHECK_TEXT(relabel(&f, args, 5, "src=\"ab\"", &drop), "{src=\"ab\"}");
    args[2].text = STR("");
    CHECK_TEXT(relabel(&f, args, 5, "dst=\"1\",src=\"a-b\"", &drop), "{src=\"a-b\"}");
    args[1].text = STR("__name__");
    args[2].text = STR("$1");
    CHECK_TEXT(relabel(&f, args, 5, "src=\"a-b\",z=\"1\"", &drop), "a{src=\"a-b\", z=\"1\"}");
    CHECK(!drop);
    args[4].text = STR("(");
    CHECK_EQ(fn_label_replace_open(args, 5, &state, &err), ERR_INVALID);
    CHECK_TEXT(err.msg, "invalid regular expression in label_replace(): (");
    args[4].text = STR("x");
    args[1].text = STR("\xff");
    CHECK_EQ(fn_label_replace_open(args, 5, &state, &err), ERR_INVALID);
    CHECK_TEXT(err.msg, "invalid destination label name in label_replace(): \xff");
    fn_test_end(&f);
}

TEST(fn_labels, join)
{
    FnTest f;
    bool drop = true;
    Err err;
    void *state;
    PromqlMatrix args[] = {
        {0}, {.text = STR("dst")}, {.text = STR("-")}, {.text = STR("a")}, {.text = STR("b")}};
    fn_test_begin(&f, t, "label_join");
    CHECK_TEXT(relabel(&f, args, 5, "a=\"1\",b=\"2\"", &drop), "{a=\"1\", b=\"2\", dst=\"1-2\"}");
    CHECK_TEXT(relabel(&f, args, 5, "b=\"2\",dst=\"old\"", &drop), "{b=\"2\", dst=\"-2\"}");
    CHECK_TEXT(relabel(&f, args, 3, "dst=\"old\",e=\"1\"", &drop), "{e=\"1\"}");
    args[4].text = STR("");
    CHECK_EQ(fn_label_join_open(args, 5, &state, &err), ERR_INVALID);
    CHECK_TEXT(err.msg, "invalid source label name in label_join(): ");
    args[1].text = STR("");
    CHECK_EQ(fn_label_join_open(args, 4, &state, &err), ERR_INVALID);
    CHECK_TEXT(err.msg, "invalid destination label name in label_join(): ");
    fn_labels_close(NULL);
    fn_test_end(&f);
}
