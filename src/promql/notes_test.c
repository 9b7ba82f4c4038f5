// SPDX-License-Identifier: Apache-2.0
#include "promql/notes.h"
#include "tests/support/test.h"

#include <math.h>

static Str only(Test *t, PromqlNotes *notes, PromqlNoteKind kind, Str expression)
{
    const Str *list;
    CHECK_EQ(promql_notes_list(notes, kind, expression, 10, &t->arena, &list), 1);
    return list[0];
}

TEST(notes, texts_carry_prefix_and_place)
{
    PromqlNotes *notes = promql_notes_new();
    const Str expression = STR("a +\n  rate(b[1m])");
    promql_note(notes, PROMQL_WARNING, (PromqlPos){6, 17}, "ignored %s in", "histogram");
    CHECK_STR(only(t, notes, PROMQL_WARNING, expression),
              STR("PromQL warning: ignored histogram in (2:3)"));
    promql_note_metric(notes, PROMQL_INFO, (PromqlPos){0, 1}, "not a counter:", STR("a\"\n\x01"));
    CHECK_STR(only(t, notes, PROMQL_INFO, expression),
              STR("PromQL info: not a counter: \"a\\\"\\n\\x01\" (1:1)"));
    CHECK_STR(only(t, notes, PROMQL_INFO, STR("")),
              STR("PromQL info: not a counter: \"a\\\"\\n\\x01\" (unknown position)"));
    promql_notes_free(notes);
}

TEST(notes, the_same_text_is_there_once_at_its_last_place)
{
    PromqlNotes *notes = promql_notes_new();
    const Str *list;
    promql_note_got(notes, PROMQL_WARNING, (PromqlPos){9, 12}, "bad", 1e6);
    promql_note_got(notes, PROMQL_WARNING, (PromqlPos){3, 5}, "bad", 1e6);
    promql_note_got(notes, PROMQL_WARNING, (PromqlPos){3, 5}, "bad", -HUGE_VAL);
    promql_note_for_metric(notes, PROMQL_WARNING, (PromqlPos){1, 2}, "mixed", STR(""));
    promql_note_for_metric(notes, PROMQL_WARNING, (PromqlPos){1, 2}, "mixed", STR("up"));
    CHECK_EQ(promql_notes_list(notes, PROMQL_WARNING, STR("0123456789abc"), 0, &t->arena, &list),
             4);
    CHECK_STR(list[0], STR("PromQL warning: bad, got -Inf (1:4)"));
    CHECK_STR(list[1], STR("PromQL warning: bad, got 1e+06 (1:10)"));
    CHECK_STR(list[2], STR("PromQL warning: mixed (1:2)"));
    CHECK_STR(list[3], STR("PromQL warning: mixed for metric name \"up\" (1:2)"));
    CHECK_EQ(promql_notes_list(notes, PROMQL_WARNING, STR("0123456789abc"), 2, &t->arena, &list),
             3);
    CHECK_STR(list[2], STR("2 more warning annotations omitted"));
    CHECK_EQ(promql_notes_list(notes, PROMQL_INFO, STR("x"), 2, &t->arena, &list), 0);
    promql_notes_free(notes);
}

TEST(notes, counted_ones_are_merged)
{
    PromqlNotes *notes = promql_notes_new();
    promql_note_forced(notes, (PromqlPos){0, 3}, STR(""), &(PromqlForced){60000, 0.5, 2, 0.123});
    promql_note_forced(notes, (PromqlPos){0, 3}, STR(""), &(PromqlForced){1999, 1, 1e6, 0.05});
    CHECK_STR(
        only(t, notes, PROMQL_INFO, STR("abc")),
        STR("PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see "
            "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile), "
            "from buckets 0.5 to 1e+06, with a max diff of 0.12, over 2 samples from "
            "1970-01-01T00:00:01Z to 1970-01-01T00:01:00Z (1:1)"));
    promql_note_start_overlap(notes, (PromqlPos){5, 9}, STR("m"));
    CHECK_STR(only(t, notes, PROMQL_WARNING, STR("abcdefghi")),
              STR("PromQL warning: sample has start time that overlaps with previous sample "
                  "timestamp for metric \"m\" (1:6)"));
    promql_note_start_overlap(notes, (PromqlPos){1, 3}, STR("m"));
    CHECK_STR(only(t, notes, PROMQL_WARNING, STR("abcdefghi")),
              STR("PromQL warning: sample has start time that overlaps with previous sample "
                  "timestamp for metric \"m\" (2 occurrences) (1:2)"));
    promql_notes_free(notes);
}

TEST(notes, past_the_limit_they_are_only_counted)
{
    PromqlNotes *notes = promql_notes_new();
    const Str *list;
    for (int i = 0; i <= PROMQL_NOTES_MAX; i++) {
        promql_note(notes, PROMQL_INFO, (PromqlPos){0, 1}, "note %05d", i);
    }
    CHECK_EQ(promql_notes_list(notes, PROMQL_INFO, STR("x"), 0, &t->arena, &list),
             PROMQL_NOTES_MAX + 1);
    CHECK_STR(list[PROMQL_NOTES_MAX], STR("1 more info annotations omitted"));
    promql_notes_free(notes);
}
