// SPDX-License-Identifier: Apache-2.0
//
// Random writes, flushes, reopenings and scans of `metrics` against the naive model. Small on
// purpose: few series, few columns, few rows, so that every rare case comes up often: labels
// without a column, names that differ in case, samples written again before and after flushes, days
// of late data, NaN, histograms and floats in one series.
#include "os/sim.h"

#include "tests/model/store_model.h"

#define DAY_MS INT64_C(86400000)
#define START_MS (20000 * DAY_MS + 80000000)

typedef struct World {
    Test *t;
    OsSim *sim;
    Store *store;
    Model *model;
    SampleBatch *batch;
    StoreOptions options;
    int64_t now_ms;
    bool extended;
} World;

static uint64_t below(World *w, uint64_t n)
{
    return test_random(w->t) % n;
}

static void world_open(World *w)
{
    Test *t = w->t;
    Err err;
    CHECK_OK(store_open(&w->options, &w->store, NULL, &err));
}

static void world_start(World *w, Test *t)
{
    *w = (World){.t = t, .now_ms = START_MS};
    w->sim = os_sim_new(test_random(t));
    w->model = model_new();
    w->batch = sample_batch_new();
    w->options = (StoreOptions){.os = os_sim_os(w->sim),
                                .dir = STR("data"),
                                .manual = true,
                                .label_columns_max = 1 + (uint32_t)below(w, 6)};
    w->extended = below(w, 3) != 0;
    if (w->extended) {
        sample_batch_extend(w->batch);
    }
    world_open(w);
}

static void world_end(World *w)
{
    Test *t = w->t;
    Err err;
    CHECK_OK(store_close(w->store, below(w, 2) == 0, &err));
    sample_batch_free(w->batch);
    model_free(w->model);
    os_sim_free(w->sim);
}

// --- writing -------------------------------------------------------------------------------------

static Label random_label(World *w)
{
    static const Str names[] = {{"job", 3},    {"Job", 3},          {"JOB", 3},     {"pod", 3},
                                {"zone", 4},   {"date", 4},         {"value", 5},   {"a-b", 3},
                                {"x.y", 3},    {"timestamp", 9},    {"x1", 2},      {"x2", 2},
                                {"labels", 6}, {"metric_name", 11}, {"\xC3\xA9", 2}};
    static const Str values[] = {
        {"api", 3}, {"db", 2}, {"", 0}, {"1", 1}, {"22", 2}, {"\xE2\x82\xAC\"\\", 5}, {"zz", 2}};
    return (Label){names[below(w, ARRAY_LEN(names))], values[below(w, ARRAY_LEN(values))]};
}

// A few of very many series; the same seed gives the same series, so they come again.
static size_t random_series(World *w, Label *labels)
{
    static const Str metrics[] = {{"up", 2}, {"http_requests_total", 19}, {"x", 1}};
    labels[0] = (Label){STR("__name__"), metrics[below(w, ARRAY_LEN(metrics))]};
    size_t n = 1;
    for (uint64_t more = below(w, 4); more > 0; more--) {
        const Label label = random_label(w);
        bool known = false;
        for (size_t i = 0; i < n; i++) {
            known = known || str_eq(labels[i].name, label.name);
        }
        if (!known) {
            labels[n++] = label;
        }
    }
    return n;
}

static uint64_t random_value(World *w)
{
    static const uint64_t odd[] = {UINT64_C(0x7ff0000000000002) /* stale */,
                                   UINT64_C(0x7ff8000000000001),
                                   UINT64_C(0x7ff0000000000000),
                                   UINT64_C(0xfff0000000000000),
                                   UINT64_C(0x8000000000000000),
                                   UINT64_C(0xfffc000000000000), // looks like a record's address
                                   UINT64_C(0xfffcffffffffffff),
                                   1};
    const double plain = (double)(int64_t)below(w, 20) - 5.0;
    uint64_t bits;
    memcpy(&bits, &plain, sizeof(bits));
    return below(w, 12) == 0 ? odd[below(w, ARRAY_LEN(odd))] : bits;
}

static int64_t random_time(World *w)
{
    switch (below(w, 8)) {
    case 0: // late, up to some days
        return w->now_ms - (int64_t)below(w, 3 * (uint64_t)DAY_MS);
    case 1: // on a coarse grid of the past: likely written before
        return w->now_ms / 60000 * 60000 - 60000 * (int64_t)below(w, 10);
    case 2: // ahead of its time
        return w->now_ms + (int64_t)below(w, (uint64_t)DAY_MS);
    default:
        w->now_ms += (int64_t)below(w, 5000);
        return w->now_ms;
    }
}

static void world_write(World *w)
{
    Test *t = w->t;
    Err err;
    MetricsResult result;
    sample_batch_clear(w->batch);
    for (uint64_t n = 1 + below(w, 30); n > 0; n--) {
        Label labels[8];
        const size_t count = random_series(w, labels);
        for (uint64_t samples = 1 + below(w, 4); samples > 0; samples--) {
            sample_batch_add(w->batch, labels, count, random_time(w), random_value(w));
        }
    }
    CHECK_OK(sample_batch_write(w->batch, w->store, &result, &err));
    CHECK_EQ(result.samples_written, sample_batch_count(w->batch));
    CHECK_EQ(result.samples_rejected, 0);
    sample_batch_apply(w->batch, w->model);
}

// --- reading -------------------------------------------------------------------------------------

typedef struct Wanted {
    int64_t min_ms, max_ms; // always a range of times
    Str metric;             // empty: any
    bool has_job;           // the label `job`, when it has a column
    Str job;                // empty: absent
    bool has_value;
    double value_max;
    bool extended; // samples are of all kinds
} Wanted;

static bool keep_wanted(const void *ctx, const ModelSample *s)
{
    const Wanted *want = ctx;
    Str metric = s->series;
    Str rest;
    (void)str_cut(metric, '{', &metric, &rest);
    if (s->timestamp_ms < want->min_ms || s->timestamp_ms > want->max_ms ||
        (want->metric.len != 0 && !str_eq(metric, want->metric))) {
        return false;
    }
    if (want->has_value) {
        double v;
        memcpy(&v, &s->value, sizeof(v));
        if (v > want->value_max || (want->extended && sample_is_histogram(s->value))) {
            return false; // NaN stays
        }
    }
    Str job = {0};
    for (size_t i = 0; i + 5 < s->series.len; i++) {
        if ((s->series.ptr[i] == '{' || s->series.ptr[i] == ' ') &&
            memcmp(s->series.ptr + i + 1, "job=\"", 5) == 0) {
            (void)str_cut(str_slice(s->series, i + 6, s->series.len), '"', &job, &rest);
        }
    }
    return !want->has_job || str_eq(job, want->job);
}

static ScanValue text_value(Str s)
{
    return (ScanValue){.bytes = {(const uint8_t *)s.ptr, s.len}};
}

static void world_scan(World *w)
{
    Test *t = w->t;
    Err err;
    Snapshot *snapshot;
    ScanTest tests[5];
    ScanValue values[2];
    size_t n = 0;
    static const Str metrics[] = {{"", 0}, {"up", 2}, {"x", 1}};
    static const Str jobs[] = {{"", 0}, {"api", 3}, {"db", 2}};
    Wanted want = {.extended = w->extended,
                   .metric = metrics[below(w, ARRAY_LEN(metrics))],
                   .job = jobs[below(w, ARRAY_LEN(jobs))]};
    want.min_ms = w->now_ms - (int64_t)below(w, 3 * (uint64_t)DAY_MS);
    want.max_ms = want.min_ms + (int64_t)below(w, 3 * (uint64_t)DAY_MS);
    CHECK_OK(snapshot_open(w->store, STR("metrics"), &snapshot, &err));
    const size_t job = schema_find(snapshot_schema(snapshot), STR("job"));
    snapshot_close(snapshot);
    tests[n++] = (ScanTest){.column = 0,
                            .kind = SCAN_TEST_RANGE,
                            .has_min = true,
                            .has_max = true,
                            .min.i64 = want.min_ms * 1000,
                            .max.i64 = want.max_ms * 1000};
    if (below(w, 2) == 0) { // implied by the range, and prunes partitions
        const int64_t slack = (int64_t)below(w, 2);
        tests[n++] = (ScanTest){.column = 4,
                                .kind = SCAN_TEST_RANGE,
                                .has_min = true,
                                .has_max = true,
                                .min.i64 = want.min_ms / DAY_MS - slack,
                                .max.i64 = want.max_ms / DAY_MS + slack};
    }
    if (want.metric.len != 0) {
        values[0] = text_value(want.metric);
        tests[n++] =
            (ScanTest){.column = 1, .kind = SCAN_TEST_IN, .values = &values[0], .value_count = 1};
    }
    want.has_job = job != SIZE_MAX && below(w, 2) == 0;
    if (want.has_job) {
        values[1] = text_value(want.job);
        tests[n++] =
            want.job.len == 0
                ? (ScanTest){.column = job, .kind = SCAN_TEST_IS_NULL}
                : (ScanTest){
                      .column = job, .kind = SCAN_TEST_IN, .values = &values[1], .value_count = 1};
    }
    want.has_value = below(w, 2) == 0;
    want.value_max = (double)below(w, 10);
    if (want.has_value) {
        tests[n++] = (ScanTest){
            .column = 2, .kind = SCAN_TEST_RANGE, .has_max = true, .max.f64 = want.value_max};
    }
    const uint64_t off = below(w, 64);
    const ScanOptions options = {.tests = tests,
                                 .test_count = n,
                                 .no_file_pruning = (off & 1) != 0,
                                 .no_row_group_pruning = (off & 2) != 0,
                                 .no_page_pruning = (off & 4) != 0,
                                 .no_bloom = (off & 8) != 0,
                                 .no_row_filter = (off & 48) == 48};
    const SampleFilter filter = {
        .keep = keep_wanted, .ctx = &want, .exact = !options.no_row_filter};
    Str why;
    CHECK_OK(compare_filtered(w->store, w->model, &options, &filter, &t->arena, &why, &err));
    CHECK_STR(why, STR(""));
}

static void world_step(World *w)
{
    Test *t = w->t;
    Err err;
    switch (below(w, 12)) {
    case 0:
        CHECK_OK(store_flush(w->store, STR(""), &err));
        break;
    case 1:
        CHECK_OK(store_close(w->store, below(w, 2) == 0, &err));
        world_open(w);
        break;
    case 2:
        CHECK_MODEL(w->store, w->model, NULL);
        break;
    case 3:
    case 4:
    case 5:
        world_scan(w);
        break;
    default:
        world_write(w);
        break;
    }
    arena_reset(&t->arena);
}

TEST(store_random, metrics_against_the_model)
{
    for (int round = 0; round < 40; round++) {
        World w;
        Err err;
        world_start(&w, t);
        for (int step = 0; step < 60; step++) {
            world_step(&w);
        }
        CHECK_MODEL(w.store, w.model, NULL);
        world_end(&w);
        arena_reset(&t->arena);
    }
}
