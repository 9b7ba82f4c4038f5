// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "query/series_internal.h"
#include "store/table_def.h"

#include <stdlib.h>

static int compare_labels(const void *a, const void *b)
{
    return str_compare(((const PlanLabel *)a)->name, ((const PlanLabel *)b)->name);
}

bool series_plan_asks(const SeriesPlan *plan, Str label)
{
    size_t low = 0;
    size_t high = plan->asked_count;
    while (low < high && !plan->all_labels) {
        const size_t mid = (low + high) / 2;
        const int order = str_compare(plan->asked[mid], label);
        if (order == 0) {
            return true;
        }
        low = order < 0 ? mid + 1 : low;
        high = order < 0 ? high : mid;
    }
    return plan->all_labels;
}

size_t series_plan_find(const SeriesPlan *plan, Str label)
{
    size_t low = 0;
    size_t high = plan->label_count;
    while (low < high) {
        const size_t mid = (low + high) / 2;
        const int order = str_compare(plan->labels[mid].name, label);
        if (order == 0) {
            return mid;
        }
        low = order < 0 ? mid + 1 : low;
        high = order < 0 ? high : mid;
    }
    return SIZE_MAX;
}

// --- labels and matchers -------------------------------------------------------------------------

static void find_labels(const Schema *schema, Arena *arena, SeriesPlan *plan)
{
    plan->labels = arena_new(arena, PlanLabel, schema->count);
    for (size_t i = 0; i < schema->count; i++) {
        const bool is_name = i == METRICS_NAME;
        if (is_name || (i >= METRICS_LABELS_FIRST && schema->fields[i].type == COLUMN_STRING)) {
            plan->labels[plan->label_count++] =
                (PlanLabel){.name = is_name ? STR("__name__") : schema->fields[i].name,
                            .column = i,
                            .matches_absent = true};
        }
    }
    qsort(plan->labels, plan->label_count, sizeof(*plan->labels), compare_labels);
    for (size_t i = 0; i < plan->label_count; i++) {
        plan->labels[i].is_asked = series_plan_asks(plan, plan->labels[i].name);
        plan->labels[i].seed = identity_seed(plan->key, plan->labels[i].name);
    }
}

static void assign_matchers(const SeriesSelect *select, Arena *arena, SeriesPlan *plan)
{
    for (size_t i = 0; i < plan->label_count; i++) {
        PlanLabel *label = &plan->labels[i];
        const Matcher **own = arena_new(arena, const Matcher *, select->matcher_count);
        for (size_t k = 0; k < select->matcher_count; k++) {
            if (str_eq(matcher_name(select->matchers[k]), label->name)) {
                own[label->matcher_count++] = select->matchers[k];
                label->matches_absent =
                    label->matches_absent && matcher_matches(select->matchers[k], STR(""));
            }
        }
        label->matchers = own;
    }
    plan->rest = arena_new(arena, const Matcher *, select->matcher_count);
    for (size_t k = 0; k < select->matcher_count; k++) {
        if (series_plan_find(plan, matcher_name(select->matchers[k])) == SIZE_MAX) {
            plan->rest[plan->rest_count++] = select->matchers[k];
        }
    }
}

// Without identity only labels that are asked for or tested are looked at.
static void drop_labels(SeriesPlan *plan)
{
    size_t kept = 0;
    for (size_t i = 0; i < plan->label_count; i++) {
        if (plan->labels[i].is_asked || plan->labels[i].matcher_count != 0) {
            plan->labels[kept++] = plan->labels[i];
        }
    }
    plan->label_count = kept;
}

// --- columns and tests ---------------------------------------------------------------------------

static size_t add_column(SeriesPlan *plan, size_t column)
{
    plan->columns[plan->column_count] = column;
    return plan->column_count++;
}

static size_t add_if_there(SeriesPlan *plan, const Schema *schema, Str name, ColumnType type)
{
    const size_t column = schema_find(schema, name);
    return column != SIZE_MAX && schema->fields[column].type == type ? add_column(plan, column)
                                                                     : SIZE_MAX;
}

static void choose_columns(const Schema *schema, Arena *arena, SeriesPlan *plan)
{
    plan->columns = arena_new(arena, size_t, schema->count + 1);
    for (size_t i = 0; i < plan->label_count; i++) {
        (void)add_column(plan, plan->labels[i].column);
    }
    plan->map_at = add_column(plan, METRICS_LABELS);
    plan->time_at = plan->no_times ? SIZE_MAX : add_column(plan, METRICS_TIMESTAMP);
    plan->value_at = SIZE_MAX;
    plan->histogram_at = SIZE_MAX;
    plan->start_at = SIZE_MAX;
    if (!plan->no_samples) {
        plan->value_at = add_column(plan, METRICS_VALUE);
        plan->histogram_at = add_if_there(plan, schema, STR("histogram"), COLUMN_BINARY);
        plan->start_at = add_if_there(plan, schema, STR("start_timestamp"), COLUMN_TIMESTAMP);
    }
}

int64_t series_clamp_us(int64_t ms, int64_t more_us)
{
    const int64_t limit = INT64_MAX / 1000 - 1;
    if (ms <= -limit) {
        return INT64_MIN;
    }
    return ms >= limit ? INT64_MAX : ms * 1000 + more_us;
}

static ScanValue text_value(Str s)
{
    return (ScanValue){.bytes = {(const uint8_t *)s.ptr, s.len}};
}

// Makes `test` as narrow as the matcher allows, when that is narrower than it is. Lists of values
// are narrower than ranges.
static void narrow_test(const Matcher *matcher, Arena *arena, ScanTest *test)
{
    const Str *values;
    size_t count;
    Str prefix;
    if (matcher_values(matcher, &values, &count)) {
        if (test->kind == SCAN_TEST_IN && test->value_count <= count) {
            return;
        }
        ScanValue *in = arena_new(arena, ScanValue, count);
        for (size_t i = 0; i < count; i++) {
            in[i] = text_value(values[i]);
        }
        test->kind = SCAN_TEST_IN;
        test->values = in;
        test->value_count = count;
    } else if (test->kind == SCAN_TEST_NOT_NULL && matcher_prefix(matcher, &prefix)) {
        test->kind = SCAN_TEST_RANGE;
        test->has_min = true;
        test->min = text_value(prefix);
        // The first text after all that begin with the prefix: its last byte raised by one, which
        // UTF-8 leaves room for.
        char *after = arena_new(arena, char, prefix.len);
        memcpy(after, prefix.ptr, prefix.len);
        after[prefix.len - 1] = (char)((uint8_t)after[prefix.len - 1] + 1);
        test->has_max = (uint8_t)prefix.ptr[prefix.len - 1] != UINT8_MAX;
        test->max = text_value((Str){after, prefix.len});
    }
}

// The time, and what is known of labels of all series that match.
static void choose_tests(Arena *arena, SeriesPlan *plan)
{
    plan->tests = arena_new(arena, ScanTest, plan->label_count + 1);
    plan->tests[plan->test_count++] = plan->range;
    for (size_t i = 0; i < plan->label_count; i++) {
        const PlanLabel *label = &plan->labels[i];
        if (label->matches_absent) {
            continue;
        }
        plan->tests[plan->test_count++] =
            (ScanTest){.column = label->column, .kind = SCAN_TEST_NOT_NULL};
        for (size_t k = 0; k < label->matcher_count; k++) {
            narrow_test(label->matchers[k], arena, &plan->tests[plan->test_count - 1]);
        }
    }
}

HotSeries *series_plan_open_hot(const SeriesPlan *plan, Snapshot *snapshot,
                                const SeriesSelect *select)
{
    const HotSeriesOptions options = {.matchers = plan->matchers,
                                      .matcher_count = plan->matcher_count,
                                      .min_ms = plan->min_ms,
                                      .max_ms = plan->max_ms,
                                      .all_labels = plan->all_labels,
                                      .labels = plan->asked,
                                      .label_count = plan->asked_count,
                                      .no_samples = plan->no_samples,
                                      .no_ids = plan->no_ids,
                                      .last_only = select->last_only,
                                      .no_pruning = select->no_pruning};
    return hot_series_open(snapshot, &options);
}

Status series_plan_open_files(const SeriesPlan *plan, Snapshot *snapshot,
                              const SeriesSelect *select, Scan **out, Err *err)
{
    const bool plain = select->no_pruning;
    const ScanOptions options = {.columns = plan->columns,
                                 .column_count = plan->column_count,
                                 .tests = plan->tests,
                                 .test_count = plan->test_count,
                                 .labels_anywhere = true,
                                 .all_versions = true,
                                 .short_dictionaries = true,
                                 .no_file_pruning = plain,
                                 .no_row_group_pruning = plain,
                                 .no_page_pruning = plain,
                                 .no_bloom = plain,
                                 .no_row_filter = plain,
                                 .no_hot = true,
                                 .no_cold = select->no_cold};
    return scan_open(snapshot, &options, out, err);
}

static void make(Snapshot *snapshot, const SeriesSelect *select, Arena *arena, SeriesPlan *out)
{
    const Schema *schema = snapshot_schema(snapshot);
    *out = (SeriesPlan){.no_ids = out->no_ids,
                        .no_times = out->no_times,
                        .key = snapshot_labels_key(snapshot),
                        .all_labels = select->all_labels,
                        .no_samples = select->no_samples,
                        .min_ms = select->min_ms,
                        .max_ms = select->max_ms};
    Str *asked = arena_new(arena, Str, select->label_count);
    for (size_t i = 0; i < select->label_count && !select->all_labels; i++) {
        asked[out->asked_count++] = arena_str(arena, select->labels[i]);
    }
    out->asked = asked;
    out->matchers = arena_new(arena, const Matcher *, select->matcher_count);
    for (size_t i = 0; i < select->matcher_count; i++) {
        out->matchers[out->matcher_count++] = select->matchers[i];
    }
    find_labels(schema, arena, out);
    assign_matchers(select, arena, out);
    if (out->no_ids) {
        drop_labels(out);
    }
    choose_columns(schema, arena, out);
    out->range = (ScanTest){.column = METRICS_TIMESTAMP,
                            .kind = SCAN_TEST_RANGE,
                            .has_min = true,
                            .has_max = true,
                            .parts_only = true,
                            .min.i64 = series_clamp_us(select->min_ms, 0),
                            .max.i64 = series_clamp_us(select->max_ms, 999)};
    if (!select->no_pruning) {
        choose_tests(arena, out);
    }
}

void series_plan_make(Snapshot *snapshot, const SeriesSelect *select, Arena *arena, SeriesPlan *out)
{
    *out = (SeriesPlan){0};
    make(snapshot, select, arena, out);
}

void series_plan_list(Snapshot *snapshot, const SeriesSelect *select, bool no_times, Arena *arena,
                      SeriesPlan *out)
{
    *out = (SeriesPlan){.no_ids = true, .no_times = no_times};
    make(snapshot, select, arena, out);
}
