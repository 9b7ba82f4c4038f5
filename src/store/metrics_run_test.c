// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "store/metrics_model_internal.h"
#include "store/metrics_sort_internal.h"
#include "store/metrics_vectors_internal.h"

#include <stdio.h>
#include <stdlib.h>

static const int64_t start_ms = 1763683200000 - 60000; // a minute before midnight
static const int64_t day_us = INT64_C(86400000000);

// --- sorting -------------------------------------------------------------------------------------

static const MetricsSortItem *items_of_test;

static int item_compare(const void *a, const void *b)
{
    const MetricsSortItem *x = a;
    const MetricsSortItem *y = b;
    return x->key != y->key ? (x->key > y->key) - (x->key < y->key)
                            : (x->id > y->id) - (x->id < y->id);
}

TEST(metrics_sort, items_are_sorted_and_keep_their_order)
{
    for (int round = 0; round < 200; round++) {
        MetricsSortItem items[1000];
        MetricsSortItem spare[1000];
        MetricsSortItem want[1000];
        const size_t count = test_random(t) % 1000;
        const unsigned bits = 1 + (unsigned)(test_random(t) % 64);
        const unsigned shift = (unsigned)(test_random(t) % 64);
        for (size_t i = 0; i < count; i++) {
            items[i].key = test_random(t) >> (64 - bits) << shift;
            items[i].id = (uint32_t)i;
            items[i].mark = (uint32_t)i * 3;
        }
        memcpy(want, items, sizeof(items));
        qsort(want, count, sizeof(*want), item_compare);
        metrics_sort_items(items, spare, count);
        CHECK(memcmp(items, want, count * sizeof(*items)) == 0);
    }
}

static Str text_of(const void *ctx, uint32_t id)
{
    return ((const Str *)ctx)[id];
}

static int text_compare(const void *a, const void *b)
{
    const Str *texts = (const Str *)(const void *)items_of_test;
    const uint32_t x = ((const MetricsSortItem *)a)->id;
    const uint32_t y = ((const MetricsSortItem *)b)->id;
    const int order = metrics_str_compare(texts[x], texts[y]);
    return order != 0 ? order : (x > y) - (x < y);
}

// Few different bytes, zero among them, and prefixes in common: the hard cases of a radix sort.
static Str random_text(Test *t, Arena *arena)
{
    const size_t prefix = test_random(t) % 3 * 11;
    const size_t len = prefix + test_random(t) % 20;
    char *text = arena_new(arena, char, len + 1);
    for (size_t i = prefix; i < len; i++) {
        text[i] = (char)(test_random(t) % 3);
    }
    return (Str){text, len};
}

TEST(metrics_sort, texts_are_sorted_and_keep_their_order)
{
    for (int round = 0; round < 200; round++) {
        Arena arena = {0};
        MetricsSortItem items[600];
        MetricsSortItem spare[600];
        MetricsSortItem want[600];
        Str texts[600];
        const size_t count = test_random(t) % 600;
        for (size_t i = 0; i < count; i++) {
            texts[i] = random_text(t, &arena);
            items[i] = (MetricsSortItem){.id = (uint32_t)i};
        }
        memcpy(want, items, sizeof(items));
        items_of_test = (const MetricsSortItem *)(const void *)texts;
        qsort(want, count, sizeof(*want), text_compare);
        metrics_sort_texts(items, spare, count, &(MetricsSortTexts){.text = text_of, .ctx = texts});
        for (size_t i = 0; i < count; i++) {
            CHECK_EQ(items[i].id, want[i].id);
        }
        arena_deinit(&arena);
    }
}

// --- a tier of one kind of series ----------------------------------------------------------------

static void put_label(Buf *b, const char *name, const char *value)
{
    const size_t name_len = strlen(name);
    const size_t value_len = strlen(value);
    const uint8_t head[] = {0x0A, (uint8_t)(4 + name_len + value_len), 0x0A, (uint8_t)name_len};
    const uint8_t middle[] = {0x12, (uint8_t)value_len};
    buf_put(b, head, sizeof(head));
    buf_put(b, name, name_len);
    buf_put(b, middle, sizeof(middle));
    buf_put(b, value, value_len);
}

// Appends samples of series m{id="<prefix><i>"}, from <= i < to, each at the times given.
static void append(Test *t, MetricsHot *hot, uint32_t from, uint32_t to, const int64_t *ms,
                   uint32_t ms_count)
{
    Arena arena = {0};
    const uint32_t count = to - from;
    MetricsSeries *series = arena_new(&arena, MetricsSeries, count);
    double *values = arena_new(&arena, double, ms_count);
    for (uint32_t i = 0; i < count; i++) {
        Buf wire;
        char id[32];
        buf_init(&wire, 0);
        (void)snprintf(id, sizeof(id), "connection-%u", from + i);
        put_label(&wire, "__name__", "m");
        if ((from + i) % 10 != 9) {
            put_label(&wire, "id", id);
        } else {
            put_label(&wire, "zone", id);
        }
        const Str copy = arena_str(&arena, buf_str(&wire));
        series[i] = (MetricsSeries){{(const uint8_t *)copy.ptr, copy.len}, 0, ms_count};
        buf_deinit(&wire);
    }
    for (uint32_t i = 0; i < ms_count; i++) {
        values[i] = i;
    }
    MetricsResult result;
    uint64_t sequence = 0;
    Err err;
    CHECK_OK(metrics_hot_append(hot, &(MetricsBatch){series, count, ms, values, NULL}, &result,
                                &sequence, &err));
    CHECK_EQ(result.samples_written, (uint64_t)count * ms_count);
    arena_deinit(&arena);
}

static MetricsHot *hot_new(int64_t floor_ms)
{
    return metrics_hot_new(&(MetricsHotOptions){.key = {5}, .floor_ms = floor_ms, .nonce = 1});
}

static size_t seal_all(MetricsHot *hot, MetricsWindow **windows)
{
    size_t count = 0;
    for (uint32_t i = 0; i < METRICS_SHARDS; i++) {
        windows[count] = metrics_hot_seal(hot, i);
        count += windows[count] != NULL;
    }
    return count;
}

static void release(MetricsWindow **windows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        metrics_window_flushed(windows[i]);
        metrics_window_unref(windows[i]);
    }
}

static uint64_t overlaps(MetricsWindow *const *windows, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        MetricsWindowInfo info;
        metrics_window_info(windows[i], &info);
        sum += info.overlap_series;
    }
    return sum;
}

static MetricsRun *run_open(Test *t, MetricsWindow *const *windows, size_t count,
                            const Schema *schema, const ScanTest *tests, size_t test_count)
{
    MetricsRun *run = NULL;
    Err err;
    CHECK_OK(metrics_run_open(&(MetricsRunOptions){.windows = windows,
                                                   .window_count = count,
                                                   .schema = schema,
                                                   .tests = tests,
                                                   .test_count = test_count},
                              &run, &err));
    return run;
}

static uint64_t collect(Test *t, MetricsRun *run, const MetricsCursorOptions *options, Model *out)
{
    Batch batch;
    Err err;
    uint64_t rows = 0;
    MetricsCursor *cursor = metrics_cursor_new(run, options);
    do {
        CHECK_OK(metrics_cursor_next(cursor, &batch, &err));
        if (out != NULL) {
            workload_collect(t, &batch, out);
        }
        rows += batch.row_count;
    } while (batch.row_count != 0);
    metrics_cursor_free(cursor);
    return rows;
}

// --- order ---------------------------------------------------------------------------------------

static int row_compare(const Batch *a, uint32_t row_a, const Batch *b, uint32_t row_b,
                       size_t column)
{
    const Vector *x = &a->columns[column];
    const Vector *y = &b->columns[column];
    const bool valid_x = validity_get(x->validity, row_a);
    const bool valid_y = validity_get(y->validity, row_b);
    if (!valid_x || !valid_y) {
        return valid_x - valid_y;
    }
    return metrics_str_compare(vector_flat_str(x, row_a), vector_flat_str(y, row_b));
}

// All rows in one batch: each is after the one before by the columns of the order, then by time
// unless labels without a column come in between.
static void check_order(Test *t, MetricsRun *run, const Schema *schema)
{
    Arena arena = {0};
    Batch batch;
    Err err;
    size_t order_count = 0;
    const size_t *order = metrics_run_order(run, &order_count);
    MetricsCursor *cursor = metrics_cursor_new(run, &(MetricsCursorOptions){0});
    CHECK_OK(metrics_cursor_next(cursor, &batch, &err));
    const Batch flat = workload_flatten(t, &batch, &arena);
    const int64_t *us = flat.columns[schema_find(schema, STR("timestamp"))].data;
    uint32_t series_count = 0;
    const uint32_t *ends = metrics_cursor_series_ends(cursor, &series_count);
    uint32_t series = 0;
    CHECK_EQ(ends[series_count - 1], flat.row_count);
    CHECK(str_eq(schema->fields[order[0]].name, STR("metric_name")));
    for (uint32_t row = 1; row < flat.row_count; row++) {
        int compared = 0;
        for (size_t i = 0; i < order_count && compared == 0; i++) {
            compared = row_compare(&flat, row - 1, &flat, row, order[i]);
        }
        CHECK(compared <= 0);
        if (row == ends[series]) {
            series++;
        } else {
            CHECK_EQ(compared, 0);
            CHECK(us[row - 1] < us[row]);
        }
    }
    CHECK_OK(metrics_cursor_next(cursor, &batch, &err));
    CHECK_EQ(batch.row_count, 0);
    metrics_cursor_free(cursor);
    arena_deinit(&arena);
}

TEST(metrics_run, rows_are_in_the_order_that_is_told)
{
    static const WorkloadOptions wild = {.series_kinds = 300,
                                         .batch_series_max = 80,
                                         .samples_max = 6,
                                         .odd_names = true,
                                         .disorder = true,
                                         .outliers = true};
    Arena arena = {0};
    Schema schema;
    size_t label_count = 0;
    Model model;
    MetricsWindow *windows[2 * METRICS_SHARDS];
    model_init(&model);
    MetricsHot *hot = hot_new(INT64_MIN);
    for (int i = 0; i < 40; i++) {
        workload_append(t, hot, &wild, start_ms + i * 10000, &model);
    }
    size_t count = seal_all(hot, windows);
    for (int i = 40; i < 60; i++) {
        workload_append(t, hot, &wild, start_ms + i * 10000, &model);
    }
    count += seal_all(hot, windows + count);
    metrics_hot_schema(hot, &arena, &schema, &label_count);
    MetricsRun *run = run_open(t, windows, count, &schema, NULL, 0);
    check_order(t, run, &schema);
    metrics_run_close(run);
    release(windows, count);
    metrics_hot_free(hot);
    model_deinit(&model);
    arena_deinit(&arena);
}

// So many values that the column has texts instead of a dictionary, some of them absent.
TEST(metrics_run, columns_of_many_values_are_sorted_too)
{
    Arena arena = {0};
    Schema schema;
    size_t label_count = 0;
    MetricsWindow *windows[2 * METRICS_SHARDS];
    Model model;
    model_init(&model);
    MetricsHot *hot = hot_new(INT64_MIN);
    append(t, hot, 0, 15000, (const int64_t[]){start_ms, start_ms + 1}, 2);
    size_t count = seal_all(hot, windows);
    append(t, hot, 5000, 20000, (const int64_t[]){start_ms + 1, start_ms + 2}, 2);
    count += seal_all(hot, windows + count);
    metrics_hot_schema(hot, &arena, &schema, &label_count);
    MetricsRun *run = run_open(t, windows, count, &schema, NULL, 0);
    CHECK(metrics_run_cardinality(run, schema_find(&schema, STR("id"))) > 4096);
    check_order(t, run, &schema);
    CHECK_EQ(collect(t, run, &(MetricsCursorOptions){.rows_max = 1000}, &model),
             5000 * 2 + 10000 * 3 + 5000 * 2);
    // Parts of the run together are the whole.
    uint64_t rows = 0;
    for (uint64_t first = 0; first < metrics_run_series_count(run); first += 777) {
        rows += collect(t, run, &(MetricsCursorOptions){.series_first = first, .series_count = 777},
                        NULL);
    }
    CHECK_EQ(rows, model.rows.count);
    metrics_run_close(run);
    release(windows, count);
    metrics_hot_free(hot);
    model_deinit(&model);
    arena_deinit(&arena);
}

TEST(metrics_run, a_series_larger_than_a_batch_is_split)
{
    enum { SAMPLES = 70001 };
    Arena arena = {0};
    Schema schema;
    size_t label_count = 0;
    MetricsWindow *windows[METRICS_SHARDS];
    int64_t *ms = arena_new(&arena, int64_t, SAMPLES);
    for (int i = 0; i < SAMPLES; i++) {
        ms[i] = start_ms + i * 10;
    }
    MetricsHot *hot = hot_new(INT64_MIN);
    append(t, hot, 0, 3, ms, SAMPLES);
    const size_t count = seal_all(hot, windows);
    metrics_hot_schema(hot, &arena, &schema, &label_count);
    MetricsRun *run = run_open(t, windows, count, &schema, NULL, 0);
    const uint32_t rows_max[] = {97, 65536, 100000, 0};
    for (size_t i = 0; i < ARRAY_LEN(rows_max); i++) {
        Model model;
        model_init(&model);
        CHECK_EQ(collect(t, run, &(MetricsCursorOptions){.rows_max = rows_max[i]},
                         i == 0 ? NULL : &model),
                 3 * SAMPLES);
        model_deinit(&model);
    }
    metrics_run_close(run);
    const size_t columns[] = {0, 1, 2};
    MetricsScan *scan = NULL;
    Err err;
    CHECK_OK(metrics_scan_open(
        &(MetricsScanOptions){
            .window = windows[0], .schema = &schema, .columns = columns, .column_count = 3},
        &scan, &err));
    MetricsScanWorker *worker = metrics_scan_worker_new(scan);
    Batch batch;
    CHECK_OK(metrics_scan_next(worker, &batch, &err));
    CHECK_EQ(batch.row_count, METRICS_SCAN_ROWS_MAX);
    CHECK_OK(metrics_scan_next(worker, &batch, &err));
    CHECK(batch.row_count % SAMPLES == SAMPLES - METRICS_SCAN_ROWS_MAX);
    metrics_scan_worker_free(worker);
    metrics_scan_close(scan);
    release(windows, count);
    metrics_hot_free(hot);
    arena_deinit(&arena);
}

// --- days ----------------------------------------------------------------------------------------

TEST(metrics_run, days_split_the_rows)
{
    static const WorkloadOptions options = {.series_kinds = 100,
                                            .batch_series_max = 80,
                                            .samples_max = 6,
                                            .disorder = true,
                                            .outliers = true};
    Arena arena = {0};
    Schema schema;
    size_t label_count = 0;
    MetricsWindow *windows[METRICS_SHARDS];
    Model model;
    Model got;
    model_init(&model);
    model_init(&got);
    MetricsHot *hot = hot_new(start_ms);
    for (int i = 0; i < 20; i++) {
        workload_append(t, hot, &options, start_ms + i * 10000, &model);
    }
    const size_t count = seal_all(hot, windows);
    metrics_hot_schema(hot, &arena, &schema, &label_count);
    MetricsRun *run = run_open(t, windows, count, &schema, NULL, 0);
    MetricsRunDay *days = NULL;
    size_t day_count = 0;
    metrics_run_days(run, &arena, &days, &day_count);
    CHECK(day_count > 2);
    for (size_t i = 0; i < day_count; i++) {
        static const MetricsOverlap parts[] = {METRICS_WITHOUT_OVERLAP, METRICS_ONLY_OVERLAP};
        const uint64_t most[] = {days[i].row_count, days[i].overlap_row_count};
        CHECK(i == 0 || days[i].day > days[i - 1].day);
        for (size_t k = 0; k < 2; k++) {
            const uint64_t rows =
                collect(t, run,
                        &(MetricsCursorOptions){.min_ms = days[i].day * day_us / 1000,
                                                .max_ms = (days[i].day + 1) * day_us / 1000 - 1,
                                                .overlap = parts[k]},
                        &got);
            CHECK(rows <= most[k] && (rows != 0) == (most[k] != 0));
        }
    }
    model_check_equal(t, "days", &got, &model);
    metrics_run_close(run);
    release(windows, count);
    metrics_hot_free(hot);
    model_deinit(&model);
    model_deinit(&got);
    arena_deinit(&arena);
}

TEST(metrics_run, days_round_down)
{
    static const struct {
        int64_t us;
        int32_t day;
    } cases[] = {{0, 0},   {86399999999, 0},   {86400000000, 1},
                 {-1, -1}, {-86400000000, -1}, {-86400000001, -2}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_EQ(metrics_day_of_us(cases[i].us), cases[i].day);
    }
}

// --- overlap -------------------------------------------------------------------------------------

TEST(metrics_hot, series_that_may_rewrite_older_rows_are_marked)
{
    static const struct {
        const char *why;
        uint32_t from, to;
        int64_t ms[2];
        uint64_t overlaps;
    } steps[] = {
        {"later than the files", 0, 10, {1001, 1002}, 0},
        {"not later than the files", 10, 15, {1000, 1001}, 5},
        {"late, but not later than the files", 15, 18, {1005, 999}, 3},
    };
    MetricsHot *hot = hot_new(1000);
    MetricsWindow *windows[METRICS_SHARDS];
    uint64_t expected = 0;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        append(t, hot, steps[i].from, steps[i].to, steps[i].ms, 2);
        expected += steps[i].overlaps;
    }
    size_t count = seal_all(hot, windows);
    CHECK_EQ(overlaps(windows, count), expected);
    release(windows, count);
    // Known series have floors of their own, whatever others have.
    append(t, hot, 0, 10, (const int64_t[]){1003, 1004}, 2);
    append(t, hot, 10, 15, (const int64_t[]){1003, 1002}, 2); // late, but after their last one
    count = seal_all(hot, windows);
    CHECK_EQ(overlaps(windows, count), 0);
    release(windows, count);
    append(t, hot, 0, 3, (const int64_t[]){1004, 1005}, 2);   // rewrites one
    append(t, hot, 10, 13, (const int64_t[]){1004, 1003}, 2); // a late one rewrites one
    append(t, hot, 20, 40, (const int64_t[]){999, 1000}, 2);  // new ones, as old as the files
    append(t, hot, 50, 60, (const int64_t[]){2001, 2002}, 2); // new ones, newer than all
    count = seal_all(hot, windows);
    CHECK_EQ(overlaps(windows, count), 3 + 3 + 20);
    release(windows, count);
    metrics_hot_raise_floor(hot, 3000);
    append(t, hot, 50, 55, (const int64_t[]){2999, 3001}, 2);
    append(t, hot, 55, 60, (const int64_t[]){3001, 3002}, 2);
    count = seal_all(hot, windows);
    CHECK_EQ(overlaps(windows, count), 5);
    release(windows, count);
    metrics_hot_free(hot);
}

// --- registries ----------------------------------------------------------------------------------

TEST(metrics_hot, memory_goes_with_the_series_that_are_dead)
{
    enum { SERIES = 100000, ALIVE = 1000 };
    MetricsHot *hot = hot_new(INT64_MIN);
    MetricsWindow *windows[METRICS_SHARDS];
    MetricsHotFigures figures;
    append(t, hot, 0, SERIES, (const int64_t[]){start_ms}, 1);
    size_t count = seal_all(hot, windows);
    metrics_hot_figures(hot, &figures);
    CHECK_EQ(figures.registered_series, SERIES); // they were alive until now
    const uint64_t full = metrics_hot_bytes(hot);
    append(t, hot, 0, ALIVE, (const int64_t[]){start_ms + 10}, 1);
    release(windows, count);
    count = seal_all(hot, windows);
    metrics_hot_figures(hot, &figures);
    CHECK_EQ(figures.registered_series, 0);
    // The registry before still knows when the series were last seen: nothing overlaps by mistake.
    append(t, hot, 0, ALIVE / 2, (const int64_t[]){start_ms + 11}, 1);
    append(t, hot, ALIVE, SERIES, (const int64_t[]){start_ms + 5}, 1);
    append(t, hot, ALIVE / 2, ALIVE, (const int64_t[]){start_ms + 10}, 1); // rewrites
    release(windows, count);
    count = seal_all(hot, windows);
    CHECK_EQ(overlaps(windows, count), ALIVE / 2);
    release(windows, count);
    for (int i = 0; i < 2; i++) { // first nobody is alive, then there is nobody
        append(t, hot, 0, 1, (const int64_t[]){start_ms + 20 + i}, 1);
        count = seal_all(hot, windows);
        release(windows, count);
    }
    for (uint32_t i = 0; i < METRICS_SHARDS; i++) {
        CHECK(metrics_hot_seal(hot, i) == NULL);
    }
    CHECK(full > SERIES * 100);
    metrics_hot_free(hot);
}

typedef struct Frames {
    struct {
        uint32_t shard;
        Buf payload;
    } frames[200];
    size_t count;
} Frames;

static Status frames_append(void *ctx, uint32_t shard, Bytes payload, uint64_t *sequence, Err *err)
{
    Frames *f = ctx;
    (void)err;
    ASSERT(f->count < ARRAY_LEN(f->frames));
    f->frames[f->count].shard = shard;
    buf_init(&f->frames[f->count].payload, 0);
    buf_put(&f->frames[f->count].payload, payload.ptr, payload.len);
    *sequence = ++f->count;
    return OK;
}

// Frames number series; the numbers stay good when windows are sealed between frames of one old
// window.
TEST(metrics_hot, windows_may_be_sealed_while_frames_are_replayed)
{
    enum { SERIES = 100000, ALIVE = 1000, STEPS = 3 };
    Frames *f = mem_new(Frames, 1);
    MetricsHot *hot = metrics_hot_new(&(MetricsHotOptions){
        .key = {5}, .floor_ms = INT64_MIN, .nonce = 1, .log = {frames_append, f}});
    MetricsHot *again = hot_new(INT64_MIN);
    MetricsWindow *windows[METRICS_SHARDS];
    size_t ends[STEPS];
    size_t next = 0;
    uint64_t rows = 0;
    for (int i = 0; i < STEPS; i++) {
        append(t, hot, 0, i == 0 ? SERIES : ALIVE, (const int64_t[]){start_ms + i}, 1);
        ends[i] = f->count;
    }
    for (int i = 0; i < STEPS; i++) {
        MetricsReplay figures = {0};
        Err err;
        for (; next < ends[i]; next++) {
            CHECK_OK(metrics_hot_replay(again, f->frames[next].shard, next + 1,
                                        buf_bytes(&f->frames[next].payload), &figures, &err));
        }
        CHECK_EQ(figures.samples, i == 0 ? SERIES : ALIVE);
        CHECK_EQ(figures.samples_unknown, 0);
        const size_t count = seal_all(again, windows);
        if (i + 1 == STEPS) {
            Arena arena = {0};
            Model model;
            Model want;
            Schema schema;
            size_t label_count = 0;
            model_init(&model);
            model_init(&want);
            metrics_hot_schema(again, &arena, &schema, &label_count);
            MetricsRun *run = run_open(t, windows, count, &schema, NULL, 0);
            rows = collect(t, run, &(MetricsCursorOptions){0}, &model);
            for (uint32_t k = 0; k < ALIVE; k++) {
                char text[64];
                const int len = snprintf(text, sizeof(text), "__name__\1m\2%s\1connection-%u\2",
                                         k % 10 != 9 ? "id" : "zone", k);
                model_put(&want, (Str){text, (size_t)len}, (start_ms + i) * 1000, 0);
            }
            model_check_equal(t, "last window", &model, &want);
            metrics_run_close(run);
            model_deinit(&model);
            model_deinit(&want);
            arena_deinit(&arena);
        }
        release(windows, count);
    }
    CHECK_EQ(rows, ALIVE);
    for (size_t i = 0; i < f->count; i++) {
        buf_deinit(&f->frames[i].payload);
    }
    mem_free(f);
    metrics_hot_free(hot);
    metrics_hot_free(again);
}

// Eight labels of which one is unique, one sample: what the design allows, in memory that was
// taken.
TEST(metrics_hot, a_series_costs_at_most_300_bytes)
{
    enum { SERIES = 100000, PER_BATCH = 10000, LABELS = 8 };
    MetricsHot *hot = hot_new(INT64_MIN);
    const uint64_t before = metrics_hot_bytes(hot);
    Buf wire;
    buf_init(&wire, 0);
    for (uint32_t from = 0; from < SERIES; from += PER_BATCH) {
        MetricsSeries *series = arena_new(&t->arena, MetricsSeries, PER_BATCH);
        const int64_t ms = start_ms;
        const double value = 1;
        MetricsResult result;
        uint64_t sequence = 0;
        Err err;
        for (uint32_t i = 0; i < PER_BATCH; i++) {
            char text[32];
            buf_clear(&wire);
            put_label(&wire, "__name__", "http_requests_total");
            (void)snprintf(text, sizeof(text), "connection-%08x", from + i);
            put_label(&wire, "conn", text);
            for (uint32_t k = 2; k < LABELS; k++) {
                char name[] = "label_0";
                name[6] = (char)('0' + k);
                (void)snprintf(text, sizeof(text), "value-%u", (from + i) / k % (100 * k));
                put_label(&wire, name, text);
            }
            const Str copy = arena_str(&t->arena, buf_str(&wire));
            series[i] = (MetricsSeries){{(const uint8_t *)copy.ptr, copy.len}, 0, 1};
        }
        CHECK_OK(metrics_hot_append(hot, &(MetricsBatch){series, PER_BATCH, &ms, &value, NULL},
                                    &result, &sequence, &err));
        CHECK_EQ(result.samples_written, PER_BATCH);
        arena_reset(&t->arena);
    }
    CHECK((metrics_hot_bytes(hot) - before) / SERIES <= 300);
    buf_deinit(&wire);
    metrics_hot_free(hot);
}

// --- tests on columns ----------------------------------------------------------------------------

static bool passes(const ScanTest *test, const Batch *flat, uint32_t row)
{
    const Vector *v = &flat->columns[test->column];
    const bool valid = validity_get(v->validity, row);
    if (test->kind == SCAN_TEST_IS_NULL || test->kind == SCAN_TEST_NOT_NULL || !valid) {
        const bool of_value = test->kind == SCAN_TEST_IN || test->kind == SCAN_TEST_RANGE;
        return of_value ? test->or_null : test->kind == SCAN_TEST_IS_NULL ? !valid : valid;
    }
    const Str s = vector_flat_str(v, row);
    bool pass = test->kind == SCAN_TEST_RANGE;
    for (size_t i = 0; i < test->value_count && test->kind == SCAN_TEST_IN; i++) {
        pass = pass ||
               str_eq(s, (Str){(const char *)test->values[i].bytes.ptr, test->values[i].bytes.len});
    }
    if (test->kind == SCAN_TEST_RANGE) {
        pass =
            metrics_str_compare(s, (Str){(const char *)test->min.bytes.ptr, test->min.bytes.len}) >=
                0 &&
            metrics_str_compare(s, (Str){(const char *)test->max.bytes.ptr, test->max.bytes.len}) <=
                0;
    }
    return pass;
}

static ScanTest random_test(Test *t, const Schema *schema, ScanValue *values)
{
    static const char *const texts[] = {"v0", "v1", "v2", "v3", "v9", "metric_1", "absent"};
    ScanTest test = {.kind = (ScanTestKind)(test_random(t) % 4), .values = values};
    do {
        test.column = test_random(t) % schema->count;
    } while (schema->fields[test.column].type != COLUMN_STRING);
    test.value_count = test_random(t) % 4;
    test.or_null =
        (test.kind == SCAN_TEST_IN || test.kind == SCAN_TEST_RANGE) && test_random(t) % 3 == 0;
    for (size_t i = 0; i < 5; i++) {
        const char *text = texts[test_random(t) % ARRAY_LEN(texts)];
        values[i].bytes = (Bytes){(const uint8_t *)text, strlen(text)};
    }
    test.has_min = test.has_max = true;
    test.min = values[3];
    test.max = values[4];
    return test;
}

// The rows of a batch that pass, to `out`.
static void collect_passing(Test *t, const Batch *batch, const ScanTest *tests, size_t test_count,
                            bool all_must, Model *out)
{
    Arena arena = {0};
    const Batch flat = workload_flatten(t, batch, &arena);
    const size_t time = schema_find(batch->schema, STR("timestamp"));
    for (uint32_t row = 0; row < batch->row_count; row++) {
        bool pass = true;
        for (size_t i = 0; i < test_count; i++) {
            pass = pass && passes(&tests[i], &flat, row);
        }
        CHECK(pass || !all_must);
        if (pass) {
            model_put(out, workload_row_labels(t, &flat, row),
                      ((const int64_t *)flat.columns[time].data)[row], 0);
        }
    }
    arena_deinit(&arena);
    arena_reset(&t->arena);
}

static bool scan_next(Test *t, MetricsScanWorker *worker, Batch *batch)
{
    Err err;
    CHECK_OK(metrics_scan_next(worker, batch, &err));
    return batch->row_count != 0;
}

// The rows that a scan of all windows gives with tests (`filter`), or those of all rows that pass.
static void scan_passing(Test *t, MetricsWindow *const *windows, size_t count, const Schema *schema,
                         const ScanTest *tests, size_t test_count, bool filter, Model *out)
{
    size_t columns[64];
    for (size_t i = 0; i < schema->count; i++) {
        columns[i] = i;
    }
    for (size_t i = 0; i < count; i++) {
        MetricsScan *scan = NULL;
        Batch batch;
        Err err;
        CHECK_OK(metrics_scan_open(&(MetricsScanOptions){.window = windows[i],
                                                         .schema = schema,
                                                         .columns = columns,
                                                         .column_count = schema->count,
                                                         .tests = tests,
                                                         .test_count = filter ? test_count : 0},
                                   &scan, &err));
        MetricsScanWorker *worker = metrics_scan_worker_new(scan);
        while (scan_next(t, worker, &batch)) {
            collect_passing(t, &batch, tests, test_count, filter, out);
        }
        metrics_scan_worker_free(worker);
        metrics_scan_close(scan);
    }
}

TEST(metrics_scan, tests_on_labels_leave_out_exactly_what_does_not_pass)
{
    static const WorkloadOptions options = {
        .series_kinds = 200, .batch_series_max = 150, .samples_max = 2, .odd_names = true};
    Arena arena = {0};
    Schema schema;
    size_t label_count = 0;
    Model model;
    MetricsWindow *windows[METRICS_SHARDS];
    model_init(&model);
    MetricsHot *hot = hot_new(INT64_MIN);
    for (int i = 0; i < 5; i++) {
        workload_append(t, hot, &options, start_ms + i * 10000, &model);
    }
    const size_t count = seal_all(hot, windows);
    metrics_hot_schema(hot, &arena, &schema, &label_count);
    for (int round = 0; round < 60; round++) {
        ScanValue values[2][5];
        ScanTest tests[2] = {random_test(t, &schema, values[0]),
                             random_test(t, &schema, values[1])};
        const size_t test_count = 1 + test_random(t) % 2;
        Model want;
        Model got;
        Model got_run;
        model_init(&want);
        model_init(&got);
        model_init(&got_run);
        scan_passing(t, windows, count, &schema, tests, test_count, false, &want);
        scan_passing(t, windows, count, &schema, tests, test_count, true, &got);
        model_check_equal(t, "scan with tests", &got, &want);
        MetricsRun *run = run_open(t, windows, count, &schema, tests, test_count);
        CHECK_EQ(collect(t, run, &(MetricsCursorOptions){0}, &got_run), want.rows.count);
        metrics_run_close(run);
        model_deinit(&want);
        model_deinit(&got);
        model_deinit(&got_run);
    }
    release(windows, count);
    metrics_hot_free(hot);
    model_deinit(&model);
    arena_deinit(&arena);
}

TEST(metrics_scan, times_and_dates_are_cut)
{
    Arena arena = {0};
    Schema schema;
    size_t label_count = 0;
    MetricsWindow *windows[METRICS_SHARDS];
    MetricsHot *hot = hot_new(INT64_MIN);
    const int64_t midnight_ms = start_ms + 60000;
    append(t, hot, 0, 100,
           (const int64_t[]){midnight_ms - 2, midnight_ms + 5, midnight_ms - 1, midnight_ms}, 4);
    const size_t count = seal_all(hot, windows);
    metrics_hot_schema(hot, &arena, &schema, &label_count);
    Field *fields = arena_new(&arena, Field, schema.count + 1);
    memcpy(fields, schema.fields, schema.count * sizeof(*fields));
    fields[schema.count] = (Field){STR("date"), COLUMN_DATE, false};
    const Schema dated = {fields, schema.count + 1};
    const int64_t day = midnight_ms * 1000 / day_us;
    const struct {
        ScanTest test;
        uint64_t rows;
    } cases[] = {
        {{.kind = SCAN_TEST_RANGE, .has_min = true, .min = {.i64 = midnight_ms * 1000}}, 200},
        {{.kind = SCAN_TEST_RANGE, .has_max = true, .max = {.i64 = midnight_ms * 1000}}, 300},
        {{.kind = SCAN_TEST_RANGE, .has_min = true, .min = {.i64 = midnight_ms * 1000 + 6000}}, 0},
        {{.kind = SCAN_TEST_IS_NULL}, 0},
        {{.kind = SCAN_TEST_NOT_NULL}, 400},
        {{.column = schema.count,
          .kind = SCAN_TEST_IN,
          .values = &(ScanValue){.i64 = day},
          .value_count = 1},
         200},
        {{.column = schema.count,
          .kind = SCAN_TEST_RANGE,
          .has_max = true,
          .max = {.i64 = day - 1}},
         200},
        {{.column = schema.count, .kind = SCAN_TEST_IN}, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const size_t columns[] = {0, schema.count};
        uint64_t rows = 0;
        for (size_t k = 0; k < count; k++) {
            MetricsScan *scan = NULL;
            Batch batch;
            Err err;
            CHECK_OK(metrics_scan_open(&(MetricsScanOptions){.window = windows[k],
                                                             .schema = &dated,
                                                             .columns = columns,
                                                             .column_count = 2,
                                                             .tests = &cases[i].test,
                                                             .test_count = 1},
                                       &scan, &err));
            MetricsScanWorker *worker = metrics_scan_worker_new(scan);
            while (scan_next(t, worker, &batch)) {
                const Batch flat = workload_flatten(t, &batch, &arena);
                for (uint32_t row = 0; row < flat.row_count; row++) {
                    CHECK_EQ(((const int32_t *)flat.columns[1].data)[row],
                             metrics_day_of_us(((const int64_t *)flat.columns[0].data)[row]));
                }
                rows += batch.row_count;
            }
            metrics_scan_worker_free(worker);
            metrics_scan_close(scan);
        }
        CHECK_EQ(rows, cases[i].rows);
    }
    release(windows, count);
    metrics_hot_free(hot);
    arena_deinit(&arena);
}

TEST(metrics_run, columns_of_the_wrong_type_are_refused)
{
    MetricsHot *hot = hot_new(INT64_MIN);
    MetricsWindow *window = metrics_hot_active(hot, 0);
    const Field fields[] = {{STR("timestamp"), COLUMN_INT64, false}};
    const Schema schema = {fields, 1};
    MetricsRun *run = NULL;
    MetricsScan *scan = NULL;
    Err err;
    CHECK_EQ(metrics_run_open(
                 &(MetricsRunOptions){.windows = &window, .window_count = 1, .schema = &schema},
                 &run, &err),
             ERR_INVALID);
    CHECK(run == NULL);
    CHECK_EQ(
        metrics_scan_open(&(MetricsScanOptions){.window = window, .schema = &schema}, &scan, &err),
        ERR_INVALID);
    CHECK(scan == NULL);
    metrics_window_unref(window);
    metrics_hot_free(hot);
}
