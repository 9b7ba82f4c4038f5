// SPDX-License-Identifier: Apache-2.0
#include "query/exemplars.h"

#include "query/metadata.h"
#include "tests/support/test.h"

static Exemplar exemplar_of(const Label *series, size_t count, const Label *label, double value,
                            int64_t ms)
{
    return (Exemplar){
        .series = {series, count}, .labels = {label, 1}, .value = value, .timestamp_ms = ms};
}

TEST(exemplars, newest_are_kept_and_selected)
{
    Err err;
    Arena arena = {0};
    Exemplars *all = exemplars_new(4);
    const Label up[] = {{STR("__name__"), STR("up")}, {STR("job"), STR("a")}};
    const Label down[] = {{STR("__name__"), STR("down")}};
    const Label trace = {STR("trace_id"), STR("x")};
    for (int64_t i = 0; i < 6; i++) {
        const Exemplar x = i % 2 == 0 ? exemplar_of(up, 2, &trace, (double)i, 100 - i)
                                      : exemplar_of(down, 1, &trace, (double)i, i);
        CHECK_OK(exemplars_add(all, &x, &err));
    }
    Matcher *name = NULL;
    CHECK_OK(matcher_new(MATCH_EQ, STR("__name__"), STR("up"), &name, &err));
    const Matcher *const matchers[] = {name};
    const ExemplarSelector selectors[] = {{matchers, 1}, {matchers, 1}};
    const Exemplar *found = NULL;
    CHECK_EQ(exemplars_select(all, selectors, 2, 0, 1000, &arena, &found), 2);
    CHECK_EQ(found[0].timestamp_ms, 96); // 100 and 98 are the oldest two with down's first
    CHECK_EQ(found[1].timestamp_ms, 98);
    CHECK(found[0].value == 4);
    CHECK_STR(found[0].series.labels[1].value, STR("a"));
    CHECK_STR(found[0].labels.labels[0].value, STR("x"));
    CHECK_EQ(exemplars_select(all, selectors, 2, 97, 97, &arena, &found), 0);
    const ExemplarSelector any = {NULL, 0};
    CHECK_EQ(exemplars_select(all, &any, 1, 0, 1000, &arena, &found), 4);
    const Exemplar again = exemplar_of(up, 2, &trace, 4, 96);
    CHECK_OK(exemplars_add(all, &again, &err)); // in place of the oldest, and the same as one
    CHECK_EQ(exemplars_select(all, &any, 1, 0, 1000, &arena, &found), 3);
    matcher_free(name);
    exemplars_free(all);
    arena_deinit(&arena);
}

TEST(exemplars, long_labels_are_refused)
{
    Err err;
    char text[200];
    memset(text, 'x', sizeof(text));
    Exemplars *all = exemplars_new(4);
    const Label series = {STR("__name__"), STR("up")};
    const Label fits = {STR("a"), {text, EXEMPLAR_LABEL_CHARS_MAX - 1}};
    const Label large = {STR("a"), {text, EXEMPLAR_LABEL_CHARS_MAX}};
    const Label broken = {STR("a"), STR("\xff")};
    Exemplar x = exemplar_of(&series, 1, &fits, 1, 1);
    CHECK_OK(exemplars_add(all, &x, &err));
    x.labels.labels = &large;
    CHECK_EQ(exemplars_add(all, &x, &err), ERR_INVALID);
    x.labels.labels = &broken;
    CHECK_EQ(exemplars_add(all, &x, &err), ERR_INVALID);
    exemplars_free(all);
    Exemplars *none = exemplars_new(0);
    x.labels.labels = &fits;
    CHECK_OK(exemplars_add(none, &x, &err));
    exemplars_free(none);
}

TEST(metadata, newest_per_family)
{
    Arena arena = {0};
    const MetadataFamily *found = NULL;
    Metadata *m = metadata_new();
    CHECK(metadata_put(m, STR("up"), (MetadataEntry){STR("gauge"), STR("Is it up?"), STR("")}));
    CHECK(metadata_put(m, STR("up"), (MetadataEntry){STR("gauge"), STR("Is it up?"), STR("")}));
    CHECK(metadata_put(m, STR("a_total"), (MetadataEntry){STR("counter"), STR("A."), STR("s")}));
    CHECK_EQ(metadata_list(m, STR(""), &arena, &found), 2);
    CHECK_STR(found[0].name, STR("a_total"));
    CHECK_STR(found[0].entries[0].unit, STR("s"));
    CHECK_EQ(found[1].count, 1);
    for (int i = 0; i < 2 * METADATA_PER_FAMILY_MAX; i++) {
        const char digit[1] = {(char)('a' + i)};
        CHECK(metadata_put(m, STR("up"), (MetadataEntry){STR("gauge"), {digit, 1}, STR("")}));
    }
    CHECK_EQ(metadata_list(m, STR("up"), &arena, &found), 1);
    CHECK_EQ(found[0].count, METADATA_PER_FAMILY_MAX);
    CHECK_STR(found[0].entries[METADATA_PER_FAMILY_MAX - 1].help, STR("p"));
    CHECK_EQ(metadata_list(m, STR("nothing"), &arena, &found), 0);
    metadata_free(m);
    arena_deinit(&arena);
}
