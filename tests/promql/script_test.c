// SPDX-License-Identifier: Apache-2.0
#include "os/os.h"
#include "tests/promql/script.h"
#include "tests/support/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static ScriptSeries series_of(Test *t, Str line)
{
    Err err;
    ScriptSeries series = {0};
    CHECK_OK(script_series(line, &t->arena, &series, &err));
    return series;
}

TEST(script, values_and_their_repetitions)
{
    const ScriptSeries series =
        series_of(t, STR("up{b=\"2\", a='1'} 5 2+3x2 1-1x1 _ _x2 stale -1.5e1 7x1 Inf NaN"));
    const double want[] = {5, 2, 5, 8, 1, 0, 0, 0, 0, 0, -15, 7, 7, HUGE_VAL};
    CHECK_EQ(series.labels.count, 3);
    CHECK_STR(series.labels.labels[0].name, STR("__name__"));
    CHECK_STR(series.labels.labels[1].value, STR("1"));
    CHECK_STR(series.labels.labels[2].value, STR("2"));
    CHECK_EQ(series.count, ARRAY_LEN(want) + 1);
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        CHECK_EQ(series.values[i].is_omitted, i >= 6 && i <= 8);
        if (i == 9) {
            CHECK(script_is_stale(series.values[i].value));
        } else {
            CHECK(series.values[i].value == want[i]);
        }
    }
    CHECK(isnan(series.values[14].value) && !script_is_stale(series.values[14].value));
}

TEST(script, labels)
{
    const ScriptSeries quoted =
        series_of(t, STR("{\"a b\", \"c d\"=\"\\u00e9\\n\\x41\", e=\"\"} 1"));
    CHECK_EQ(quoted.labels.count, 2);
    CHECK_STR(quoted.labels.labels[0].value, STR("a b"));
    CHECK_STR(quoted.labels.labels[1].value, STR("\xc3\xa9\nA"));
    CHECK_EQ(series_of(t, STR("{} 1")).labels.count, 0);
    CHECK_EQ(series_of(t, STR("a{{sum:1}}")).count, 1);
}

TEST(script, histograms)
{
    const ScriptSeries series = series_of(
        t, STR("h {{schema:1 sum:-3 count:22 z_bucket:2 z_bucket_w:0.5 offset:-2 buckets:[5 10 7] "
               "n_buckets:[1] n_offset:3 counter_reset_hint:gauge}} {{}}x1 "
               "{{count:1 buckets:[1]}}+{{count:2 offset:1 buckets:[2]}}x2 "
               "{{schema:-53 custom_values:[1 2.5] buckets:[1 0 3] count:4}}"));
    CHECK_EQ(series.count, 7);
    const Histogram *h = series.values[0].histogram;
    CHECK_EQ(h->schema, 1);
    CHECK_EQ(h->hint, HISTOGRAM_HINT_GAUGE);
    CHECK(series.values[0].has_hint && !series.values[1].has_hint);
    CHECK(h->sum == -3 && h->count == 22 && h->zero_count == 2 && h->zero_threshold == 0.5);
    CHECK_EQ(h->positive.spans[0].offset, -2);
    CHECK_EQ(h->positive.bucket_count, 3);
    CHECK(h->positive.counts[1] == 10);
    CHECK_EQ(h->negative.spans[0].offset, 3);
    h = series.values[5].histogram;
    CHECK(h->count == 5 && h->positive.counts[0] == 1 && h->positive.counts[1] == 4);
    h = series.values[6].histogram;
    CHECK_EQ(h->bound_count, 2);
    CHECK(h->bounds[1] == 2.5 && h->positive.counts[2] == 3);
}

TEST(script, start_timestamps)
{
    Err err;
    ScriptSeries series = series_of(t, STR("a 1 2 3 4 5 6"));
    CHECK_OK(script_starts(STR("_ -30s-1mx2 0 1ms"), &t->arena, &series, &err));
    const int64_t want[] = {0, -30000, -90000, -150000, 0, 1};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        CHECK_EQ(series.has_start[i], i != 0);
        CHECK_EQ(series.start_offsets_ms[i], want[i]);
    }
    CHECK_EQ(script_starts(STR("_ _"), &t->arena, &series, &err), ERR_INVALID);
    CHECK_EQ(script_starts(STR("_x7"), &t->arena, &series, &err), ERR_INVALID);
}

TEST(script, commands)
{
    static const char text[] = "# comment\n"
                               "load 5m\n"
                               "  a@st _ -1m\n"
                               "  a 1 2\n"
                               "  # a comment ends a command\n"
                               "\n"
                               "eval instant at 10m sum(a)\n"
                               "  expect ordered\n"
                               "  expect warn msg: PromQL warning: x (1:1)\n"
                               "  {x=\"1\"} 3\n"
                               "\n"
                               "eval range from 0 to 1h step 5m a\n"
                               "  a 1 2 _ 3\n"
                               "\n"
                               "eval_fail instant at 1m a\n"
                               "  expected_fail_regexp b.*c\n"
                               "eval instant at 1m 1\n"
                               "  -11\n"
                               "clear\n";
    Err err;
    Script script;
    CHECK_OK(script_parse((Str){text, strlen(text)}, &t->arena, &script, &err));
    CHECK_EQ(script.count, 6);
    CHECK_EQ(script.commands[0].kind, SCRIPT_LOAD);
    CHECK_EQ(script.commands[0].load.series[0].start_offsets_ms[1], -60000);
    const ScriptEval *eval = &script.commands[1].eval;
    CHECK_STR(eval->expr, STR("sum(a)"));
    CHECK_EQ(script.commands[1].line, 7);
    CHECK_EQ(eval->end_ms, 600000);
    CHECK_EQ(eval->expect_count, 2);
    CHECK_STR(eval->expects[1].text, STR("PromQL warning: x (1:1)"));
    CHECK_EQ(script.commands[2].eval.step_ms, 300000);
    CHECK(script.commands[3].eval.expects[0].is_regex);
    CHECK(script.commands[4].eval.has_scalar && script.commands[4].eval.scalar == -11);
    CHECK_EQ(script.commands[5].kind, SCRIPT_CLEAR);
}

TEST(script, refuses_with_the_line)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"lead 5m\n", "line 1: no command 'lead'"},
        {"\nload 5\n", "line 2: '5' is not a duration"},
        {"load 5m\n a 1 b\n", "line 2: expected a value"},
        {"load 5m\n a{b} 1\n", "line 2: expected '='"},
        {"load 5m\n a {{sum}}\n", "line 2: no histogram key"},
        {"load 5m\n a@st 1\n b 1\n", "line 3: the @st line before is of another series"},
        {"load 5m\n a@st 1s\n", "line 2: @st line without samples"},
        {"eval instant a\n", "line 1: expected 'at', not 'a'"},
        {"eval range from 2m to 1m step 1m a\n", "line 1: the end is before the start"},
        {"eval instant at 1m a\n expect luck\n", "line 2: cannot expect 'luck'"},
        {"eval instant at 1m a\n a 1 2\n", "line 2: one value per series"},
        {"eval instant at 1m a\n expect string x\n", "line 2: expected a string"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err;
        Script script;
        const Str text = {cases[i].text, strlen(cases[i].text)};
        CHECK_EQ(script_parse(text, &t->arena, &script, &err), ERR_INVALID);
        CHECK_STR(str_slice((Str){err.msg, strlen(err.msg)}, 0, strlen(cases[i].why)),
                  ((Str){cases[i].why, strlen(cases[i].why)}));
    }
}

// What is there of the collection of other people's scripts is understood, every line.
TEST(script, reads_the_conformance_scripts)
{
    const char *shared = getenv("CARDINAL_SHARED"); // NOLINT(concurrency-mt-unsafe)
    char folder[512], path[1024];
    OsDirEntry *entries = NULL;
    size_t count = 0, scripts = 0;
    Err err;
    (void)snprintf(folder, sizeof(folder), "%s/conformance/promql",
                   shared != NULL ? shared : "../shared");
    if (os_dir_list(os_posix(), (Str){folder, strlen(folder)}, &t->arena, &entries, &count, &err) !=
        OK) {
        return; // the suite of scripts says that it skips them
    }
    for (size_t i = 0; i < count; i++) {
        Bytes text;
        Script script;
        (void)snprintf(path, sizeof(path), "%s/" STR_FMT, folder, STR_ARG(entries[i].name));
        CHECK_OK(os_read_file(os_posix(), (Str){path, strlen(path)}, SCRIPT_BYTES_MAX, &t->arena,
                              &text, &err));
        if (script_parse((Str){(const char *)text.ptr, text.len}, &t->arena, &script, &err) != OK) {
            test_fail(t, __FILE__, __LINE__, "%s: %s", path, err.msg);
        }
        scripts += script.count != 0 ? 1 : 0;
    }
    CHECK_EQ(scripts, count);
}
