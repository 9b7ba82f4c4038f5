// SPDX-License-Identifier: Apache-2.0
//
// Random series, written in any order, rewritten, flushed, the store opened again with other
// limits; random questions; the answer is compared with that of a list of samples.
#include "query/series_scan.h"

#include "base/mem.h"
#include "base/strmap.h"
#include "os/fault.h"
#include "os/sim.h"
#include "os/thread.h"
#include "tests/model/store_model.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { SERIES = 80, LABELS_MAX = 8, WORKERS_MAX = 4 };

#define START_MS (20000 * INT64_C(86400000) + 3600000)

typedef struct World {
    Test *t;
    OsSim *sim;
    OsFault *fault;
    Store *store;
    bool extended; // some samples are histograms
    Model *model;
    SampleBatch *batch;
    Label labels[SERIES][LABELS_MAX];
    size_t label_counts[SERIES];
    Str texts[SERIES];
    StrMap by_text;         // -> series
    LabelsHash ids[SERIES]; // zero: not seen yet
    int64_t now_ms;
} World;

static Str pick(Test *t, const char *const *from, size_t count)
{
    const char *s = from[test_random(t) % count];
    return (Str){s, strlen(s)};
}

static Str numbered(Test *t, const char *prefix, uint64_t n)
{
    char text[32];
    const int len = snprintf(text, sizeof(text), "%s%u", prefix, (uint32_t)n);
    return arena_str(&t->arena, (Str){text, (size_t)len});
}

static int by_name(const void *a, const void *b)
{
    const Str x = ((const Label *)a)->name;
    const Str y = ((const Label *)b)->name;
    const size_t len = x.len < y.len ? x.len : y.len;
    const int order = memcmp(x.ptr, y.ptr, len);
    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

static bool make_labels(World *w, size_t i)
{
    static const char *const names[] = {"up", "http_requests_total", "disk_free"};
    static const char *const jobs[] = {"api", "web", "db"};
    static const char *const zones[] = {"a", "b", "c", "d"};
    Test *t = w->t;
    Label *l = w->labels[i];
    size_t n = 0;
    l[n++] = (Label){STR("__name__"), pick(t, names, ARRAY_LEN(names))};
    if (test_random(t) % 8 != 0) {
        l[n++] = (Label){STR("job"), pick(t, jobs, ARRAY_LEN(jobs))};
    }
    if (test_random(t) % 4 != 0) {
        l[n++] = (Label){STR("pod"), numbered(t, "pod-", test_random(t) % 60)};
    }
    if (test_random(t) % 3 == 0) {
        l[n++] = (Label){STR("zone"), pick(t, zones, ARRAY_LEN(zones))};
    }
    if (test_random(t) % 4 == 0) { // no name of a column
        l[n++] = (Label){STR("k8s.node"), pick(t, zones, ARRAY_LEN(zones))};
    }
    if (test_random(t) % 4 == 0) { // past the limit of columns at first
        l[n++] = (Label){STR("late"), pick(t, jobs, ARRAY_LEN(jobs))};
    }
    if (test_random(t) % 6 == 0) {
        l[n++] = (Label){STR("Zone"), pick(t, zones, ARRAY_LEN(zones))};
    }
    qsort(l, n, sizeof(*l), by_name);
    w->label_counts[i] = n;
    w->texts[i] = series_text(l, n, &t->arena);
    bool created;
    (void)strmap_put(&w->by_text, w->texts[i], i, &created);
    return created;
}

static void world_open(World *w, uint32_t label_columns_max)
{
    Test *t = w->t;
    Err err;
    const StoreOptions options = {.os = os_fault_os(w->fault),
                                  .dir = STR("data"),
                                  .manual = true,
                                  .label_columns_max = label_columns_max};
    CHECK_OK(store_open(&options, &w->store, NULL, &err));
}

static World *world_new(Test *t)
{
    World *w = arena_new(&t->arena, World, 1);
    w->t = t;
    w->sim = os_sim_new(t->seed);
    w->fault = os_fault_new(os_sim_os(w->sim));
    w->model = model_new();
    w->batch = sample_batch_new();
    w->extended = test_random(t) % 2 == 0;
    if (w->extended) {
        sample_batch_extend(w->batch);
    }
    w->now_ms = START_MS;
    strmap_init(&w->by_text);
    for (size_t i = 0; i < SERIES; i++) {
        while (!make_labels(w, i)) {
        }
    }
    world_open(w, 3);
    return w;
}

static void world_free(World *w)
{
    Test *t = w->t;
    Err err;
    CHECK_OK(store_close(w->store, false, &err));
    sample_batch_free(w->batch);
    model_free(w->model);
    strmap_deinit(&w->by_text);
    os_fault_free(w->fault);
    os_sim_free(w->sim);
}

static void world_reopen(World *w, uint32_t label_columns_max)
{
    Test *t = w->t;
    Err err;
    CHECK_OK(store_close(w->store, false, &err));
    world_open(w, label_columns_max);
}

static void world_flush(World *w)
{
    Test *t = w->t;
    Err err;
    CHECK_OK(store_flush(w->store, STR("metrics"), &err));
}

// A flush that fails leaves windows behind that are sealed.
static void world_seal(World *w)
{
    Err err;
    const OsFaultPlan plan = {
        .fail_at = 1 + test_random(w->t) % 3, .persistent = true, .os_errno = ENOSPC};
    os_fault_arm(w->fault, plan);
    (void)store_flush(w->store, STR("metrics"), &err); // it may also have nothing to do
    os_fault_arm(w->fault, (OsFaultPlan){0});
}

static void world_write(World *w, size_t count, bool late)
{
    Test *t = w->t;
    Err err;
    MetricsResult result;
    sample_batch_clear(w->batch);
    for (size_t i = 0; i < count; i++) {
        const size_t s = test_random(t) % SERIES;
        int64_t ms = w->now_ms;
        w->now_ms += (int64_t)(test_random(t) % 300);
        if (late && test_random(t) % 4 == 0) { // also times that are there already
            ms = START_MS + (int64_t)(test_random(t) % 200) * 100;
        }
        sample_batch_add(w->batch, w->labels[s], w->label_counts[s], ms, test_random(t) >> 12);
    }
    CHECK_OK(sample_batch_write(w->batch, w->store, &result, &err));
    CHECK_EQ(result.samples_rejected, 0);
    sample_batch_apply(w->batch, w->model);
}

// --- questions -----------------------------------------------------------------------------------

typedef struct Question {
    SeriesSelect select;
    Matcher *matchers[3];
    Str labels[3];
    uint32_t workers;
} Question;

static Matcher *random_matcher(Test *t)
{
    static const char *const names[] = {"__name__", "job",  "pod",  "zone",
                                        "k8s.node", "late", "Zone", "nobody"};
    static const char *const values[] = {"up", "api", "db", "pod-7", "pod-11", "a", "c", "", "x"};
    static const char *const regexes[] = {"up|disk_free", "api|web", "pod-1.*", ".*",     ".+", "",
                                          "pod-(3|5)",    "a|b|",    "[b-d]",   "http_.*"};
    Err err;
    Matcher *m;
    const MatchOp op = (MatchOp)(test_random(t) % 4);
    const bool plain = op == MATCH_EQ || op == MATCH_NE;
    const Str value =
        plain ? pick(t, values, ARRAY_LEN(values)) : pick(t, regexes, ARRAY_LEN(regexes));
    CHECK_OK(matcher_new(op, pick(t, names, ARRAY_LEN(names)), value, &m, &err));
    return m;
}

static Question random_question(World *w)
{
    static const char *const asked[] = {"Zone", "__name__", "job", "k8s.node", "late", "pod"};
    Test *t = w->t;
    Question q = {.workers = 1 + (uint32_t)(test_random(t) % WORKERS_MAX)};
    q.select.matcher_count = test_random(t) % 4;
    for (size_t i = 0; i < q.select.matcher_count; i++) {
        q.matchers[i] = random_matcher(t);
    }
    const int64_t span = w->now_ms - START_MS + 1000;
    q.select.min_ms = START_MS + (int64_t)(test_random(t) % (uint64_t)span) - 500;
    q.select.max_ms = q.select.min_ms + (int64_t)(test_random(t) % (uint64_t)span);
    if (test_random(t) % 4 == 0) {
        q.select.min_ms = INT64_MIN;
        q.select.max_ms = INT64_MAX;
    }
    q.select.all_labels = test_random(t) % 2 == 0;
    for (size_t i = 0; i < ARRAY_LEN(asked) && q.select.label_count < 3; i++) {
        if (test_random(t) % 3 == 0) {
            q.labels[q.select.label_count++] = (Str){asked[i], strlen(asked[i])};
        }
    }
    q.select.no_samples = test_random(t) % 4 == 0;
    q.select.last_only = test_random(t) % 4 == 0;
    q.select.no_pruning = test_random(t) % 4 == 0;
    return q;
}

static void question_fix(Question *q) // pointers into itself
{
    q->select.matchers = (const Matcher *const *)q->matchers;
    q->select.labels = q->labels;
}

static void question_free(Question *q)
{
    for (size_t i = 0; i < q->select.matcher_count; i++) {
        matcher_free(q->matchers[i]);
    }
}

// --- answers -------------------------------------------------------------------------------------

static Str label_of(const World *w, size_t series, Str name)
{
    return labels_get(&(LabelSet){w->labels[series], w->label_counts[series]}, name);
}

static bool is_wanted(const World *w, const SeriesSelect *select, size_t series)
{
    for (size_t i = 0; i < select->matcher_count; i++) {
        const Matcher *m = select->matchers[i];
        if (!matcher_matches(m, label_of(w, series, matcher_name(m)))) {
            return false;
        }
    }
    return true;
}

static bool is_asked(const SeriesSelect *select, Str name)
{
    for (size_t i = 0; i < select->label_count; i++) {
        if (str_eq(select->labels[i], name)) {
            return true;
        }
    }
    return select->all_labels;
}

// Which series of the world the answer is about.
static size_t identify(World *w, const SeriesSelect *select, const SeriesSamples *got)
{
    Test *t = w->t;
    for (size_t i = 0; i < SERIES; i++) {
        if (w->ids[i].lo == got->id.lo && w->ids[i].hi == got->id.hi) {
            return i;
        }
    }
    CHECK(select->all_labels); // the first question of a round asks for all
    const Str text = series_text(got->labels.labels, got->labels.count, &t->arena);
    const uint64_t *at = strmap_get(&w->by_text, text);
    if (at == NULL) {
        test_fail(t, __FILE__, __LINE__, "no such series: " STR_FMT, STR_ARG(text));
    }
    w->ids[*at] = got->id;
    return *at;
}

static void check_labels(World *w, const SeriesSelect *select, size_t series, const LabelSet *got)
{
    Test *t = w->t;
    size_t n = 0;
    for (size_t i = 0; i < w->label_counts[series]; i++) {
        const Label *want = &w->labels[series][i];
        if (is_asked(select, want->name)) {
            CHECK(n < got->count);
            CHECK_STR(got->labels[n].name, want->name);
            CHECK_STR(got->labels[n].value, want->value);
            n++;
        }
    }
    CHECK_EQ(got->count, n);
}

static void check_sample(World *w, const SeriesSamples *got, size_t i, const ModelSample *want)
{
    Test *t = w->t;
    const SampleKind kind = w->extended ? sample_kind(want->value) : SAMPLE_FLOAT;
    CHECK(i < got->count);
    CHECK_EQ(got->timestamps_ms[i], want->timestamp_ms);
    const Bytes blob = got->histograms == NULL ? (Bytes){0} : got->histograms[i];
    if (kind == SAMPLE_HISTOGRAM || kind == SAMPLE_HISTOGRAM_START) {
        CHECK(blob.len >= 8 && memcmp(blob.ptr, &want->value, 8) == 0);
    } else {
        CHECK_EQ(blob.len, 0);
        CHECK(memcmp(&got->values[i], &want->value, 8) == 0);
    }
    const bool starts = kind == SAMPLE_FLOAT_START || kind == SAMPLE_HISTOGRAM_START;
    const int64_t start_ms = want->timestamp_ms - (int64_t)(want->value % 100000) * 997;
    CHECK_EQ(got->start_ms == NULL ? INT64_MIN : got->start_ms[i], starts ? start_ms : INT64_MIN);
}

// The samples the series has in the range, compared when `got` is given; returns how many.
static size_t check_samples(World *w, const SeriesSelect *select, size_t series,
                            const SeriesSamples *got)
{
    Test *t = w->t;
    const ModelSample *all = model_samples(w->model);
    const ModelSample *last = NULL;
    size_t n = 0;
    for (size_t i = 0; i < model_count(w->model); i++) {
        const ModelSample *s = &all[i];
        if (!str_eq(s->series, w->texts[series]) || s->timestamp_ms < select->min_ms ||
            s->timestamp_ms > select->max_ms) {
            continue;
        }
        if (got != NULL && !select->no_samples && !select->last_only) {
            check_sample(w, got, n, s);
        }
        last = s;
        n++;
    }
    if (got != NULL && select->last_only && !select->no_samples) {
        CHECK(last != NULL && got->count > 0);
        check_sample(w, got, got->count - 1, last);
    } else if (got != NULL && !select->no_samples) {
        CHECK_EQ(got->count, n);
    }
    return n;
}

static void check_answer(World *w, const Question *q)
{
    Test *t = w->t;
    Err err;
    Snapshot *snapshot;
    SeriesScan *scan;
    SeriesWorker *workers[WORKERS_MAX];
    bool seen[SERIES] = {false};
    bool done[WORKERS_MAX] = {false};
    uint32_t left = q->workers;
    CHECK_OK(snapshot_open(w->store, STR("metrics"), &snapshot, &err));
    CHECK_OK(series_scan_open(snapshot, &q->select, &scan, &err));
    for (uint32_t i = 0; i < q->workers; i++) {
        CHECK_OK(series_worker_open(scan, &workers[i], &err));
    }
    while (left > 0) {
        const uint32_t i = (uint32_t)(test_random(t) % q->workers);
        SeriesSamples got;
        bool found;
        CHECK_OK(series_worker_next(workers[i], &got, &found, &err));
        if (!found) {
            left -= done[i] ? 0 : 1;
            done[i] = true;
            continue;
        }
        const size_t series = identify(w, &q->select, &got);
        CHECK(!seen[series]);
        seen[series] = true;
        CHECK(is_wanted(w, &q->select, series));
        check_labels(w, &q->select, series, &got.labels);
        CHECK(check_samples(w, &q->select, series, &got) > 0);
    }
    for (size_t i = 0; i < SERIES; i++) {
        if (!seen[i] && is_wanted(w, &q->select, i)) {
            CHECK_EQ(check_samples(w, &q->select, i, NULL), 0);
        }
    }
    for (uint32_t i = 0; i < q->workers; i++) {
        series_worker_close(workers[i]);
    }
    series_scan_close(scan);
    snapshot_close(snapshot);
}

static void check_everything(World *w)
{
    Question q = {.select = {.min_ms = INT64_MIN, .max_ms = INT64_MAX, .all_labels = true},
                  .workers = 2};
    question_fix(&q);
    check_answer(w, &q);
}

static void check_questions(World *w, size_t count)
{
    check_everything(w);
    for (size_t i = 0; i < count; i++) {
        Question q = random_question(w);
        question_fix(&q);
        check_answer(w, &q);
        question_free(&q);
    }
}

TEST(series_scan, hot)
{
    World *w = world_new(t);
    check_everything(w);
    world_write(w, 600, true);
    check_questions(w, 60);
    world_free(w);
}

TEST(series_scan, one_file)
{
    World *w = world_new(t);
    world_write(w, 600, true);
    world_flush(w);
    check_questions(w, 60);
    world_free(w);
}

TEST(series_scan, without_late_samples)
{
    World *w = world_new(t);
    for (size_t i = 0; i < 3; i++) {
        world_write(w, 300, false);
        check_questions(w, 20);
        world_flush(w);
        check_questions(w, 20);
    }
    world_free(w);
}

TEST(series_scan, sealed_windows)
{
    World *w = world_new(t);
    for (size_t i = 0; i < 4; i++) {
        world_write(w, 200, i > 1);
        check_questions(w, 10);
        world_seal(w);
        check_questions(w, 10);
    }
    world_free(w);
}

TEST(series_scan, random)
{
    World *w = world_new(t);
    for (size_t i = 0; i < 12; i++) {
        world_write(w, 20 + test_random(t) % 200, test_random(t) % 2 == 0);
        if (test_random(t) % 2 == 0) {
            world_flush(w);
        } else if (test_random(t) % 2 == 0) {
            world_seal(w);
        }
        if (test_random(t) % 4 == 0) { // more labels get columns, or no new ones do
            world_reopen(w, 3 + (uint32_t)(test_random(t) % 3));
        }
        check_questions(w, 15);
    }
    world_free(w);
}

// --- many rows -----------------------------------------------------------------------------------

enum { LONG_SERIES = 9, LONG_SAMPLES = 140000, LONG_WRITE = 20000 };

static void write_long(World *w, uint32_t first)
{
    Test *t = w->t;
    Err err;
    MetricsResult result;
    Buf wire;
    MetricsSeries series[LONG_SERIES];
    size_t starts[LONG_SERIES + 1] = {0};
    int64_t *timestamps = mem_new(int64_t, LONG_SERIES * LONG_WRITE);
    double *values = mem_new(double, LONG_SERIES *LONG_WRITE);
    buf_init(&wire, 0);
    for (uint32_t i = 0; i < LONG_SERIES; i++) {
        labels_encode(&(LabelSet){w->labels[i], w->label_counts[i]}, &wire);
        starts[i + 1] = wire.len;
        for (uint32_t k = 0; k < LONG_WRITE; k++) {
            timestamps[i * LONG_WRITE + k] = START_MS + (first + k) * 10;
            values[i * LONG_WRITE + k] = (double)(i * 1000000 + first + k);
        }
    }
    for (uint32_t i = 0; i < LONG_SERIES; i++) {
        series[i] = (MetricsSeries){.labels = {wire.ptr + starts[i], starts[i + 1] - starts[i]},
                                    .sample_first = i * LONG_WRITE,
                                    .sample_count = LONG_WRITE};
    }
    const MetricsBatch batch = {.series = series,
                                .series_count = LONG_SERIES,
                                .timestamps_ms = timestamps,
                                .values = values};
    CHECK_OK(store_write_metrics(w->store, &batch, &result, &err));
    buf_deinit(&wire);
    mem_free(timestamps);
    mem_free(values);
}

static void check_long(World *w, uint32_t from, uint32_t end, uint32_t workers)
{
    Test *t = w->t;
    Err err;
    Snapshot *snapshot;
    SeriesScan *scan;
    SeriesWorker *worker[WORKERS_MAX];
    const SeriesSelect select = {.min_ms = START_MS + (int64_t)from * 10,
                                 .max_ms = START_MS + (int64_t)end * 10 - 1,
                                 .all_labels = true};
    bool seen[LONG_SERIES] = {false};
    size_t count = 0;
    CHECK_OK(snapshot_open(w->store, STR("metrics"), &snapshot, &err));
    CHECK_OK(series_scan_open(snapshot, &select, &scan, &err));
    for (uint32_t i = 0; i < workers; i++) {
        CHECK_OK(series_worker_open(scan, &worker[i], &err));
    }
    for (uint32_t done = 0, i = 0; done < workers; i = (i + 1) % workers) {
        SeriesSamples got;
        bool found;
        CHECK_OK(series_worker_next(worker[i], &got, &found, &err));
        if (!found) {
            done = i == done ? done + 1 : done; // the first one is asked until it has no more
            continue;
        }
        const Str text = series_text(got.labels.labels, got.labels.count, &t->arena);
        const uint64_t series = *strmap_get(&w->by_text, text);
        CHECK(series < LONG_SERIES && !seen[series]);
        seen[series] = true;
        count++;
        CHECK_EQ(got.count, end - from);
        for (uint32_t k = 0; k < got.count; k++) {
            CHECK_EQ(got.timestamps_ms[k], START_MS + (int64_t)(from + k) * 10);
            CHECK_EQ(got.values[k], series * 1000000 + from + k);
        }
    }
    CHECK_EQ(count, LONG_SERIES);
    for (uint32_t i = 0; i < workers; i++) {
        series_worker_close(worker[i]);
    }
    series_scan_close(scan);
    snapshot_close(snapshot);
}

// Series that go on over batches and row groups of a file that is read by several workers.
TEST(series_scan, long_series)
{
    World *w = world_new(t);
    for (uint32_t first = 0; first < LONG_SAMPLES; first += LONG_WRITE) {
        write_long(w, first);
    }
    check_long(w, 0, LONG_SAMPLES, 2);
    world_flush(w);
    check_long(w, 0, LONG_SAMPLES, 1);
    check_long(w, 0, LONG_SAMPLES, 3);
    check_long(w, 50000, 110000, 2);
    check_long(w, 77777, 77778, 2);
    write_long(w, LONG_SAMPLES - LONG_WRITE);
    check_long(w, 1000, LONG_SAMPLES, 2);
    world_free(w);
}

// --- labels --------------------------------------------------------------------------------------

static void check_list(World *w, const StrList *got, const StrMap *want)
{
    Test *t = w->t;
    CHECK_EQ(got->count, want->count);
    for (size_t i = 0; i < got->count; i++) {
        CHECK(strmap_get(want, got->items[i]) != NULL);
        if (i > 0) {
            const Label a = {.name = got->items[i - 1]};
            const Label b = {.name = got->items[i]};
            CHECK(by_name(&a, &b) < 0);
        }
    }
}

static void check_lists(World *w, const SeriesSelect *select, Str label)
{
    Test *t = w->t;
    Err err;
    Snapshot *snapshot;
    StrList got;
    StrMap names;
    StrMap values;
    strmap_init(&names);
    strmap_init(&values);
    for (size_t i = 0; i < SERIES; i++) {
        if (!is_wanted(w, select, i) || check_samples(w, select, i, NULL) == 0) {
            continue;
        }
        for (size_t k = 0; k < w->label_counts[i]; k++) {
            (void)strmap_put(&names, w->labels[i][k].name, 0, NULL);
        }
        const Str value = label_of(w, i, label);
        if (value.len != 0) {
            (void)strmap_put(&values, value, 0, NULL);
        }
    }
    CHECK_OK(snapshot_open(w->store, STR("metrics"), &snapshot, &err));
    CHECK_OK(series_label_names(snapshot, select, 0, &t->arena, &got, &err));
    CHECK(!got.truncated);
    check_list(w, &got, &names);
    CHECK_OK(series_label_values(snapshot, label, select, 0, &t->arena, &got, &err));
    CHECK(!got.truncated);
    check_list(w, &got, &values);
    CHECK_OK(series_label_values(snapshot, label, select, 1, &t->arena, &got, &err));
    CHECK_EQ(got.truncated, values.count > 1);
    CHECK_EQ(got.count, values.count > 1 ? 1 : values.count);
    snapshot_close(snapshot);
    strmap_deinit(&names);
    strmap_deinit(&values);
}

TEST(series_scan, names_and_values)
{
    static const char *const asked[] = {"__name__", "job", "k8s.node", "late", "pod", "nobody"};
    World *w = world_new(t);
    for (size_t i = 0; i < 6; i++) {
        world_write(w, 100, true);
        if (test_random(t) % 2 == 0) {
            world_flush(w);
        }
        if (i == 3) {
            world_reopen(w, 6);
        }
        for (size_t k = 0; k < 15; k++) {
            Question q = random_question(w);
            question_fix(&q);
            check_lists(w, &q.select, pick(t, asked, ARRAY_LEN(asked)));
            question_free(&q);
        }
    }
    world_free(w);
}

// --- limits and threads --------------------------------------------------------------------------

TEST(series_scan, refuses_too_many_samples)
{
    World *w = world_new(t);
    Err err;
    Snapshot *snapshot;
    SeriesScan *scan;
    SeriesWorker *worker;
    SeriesSamples got;
    bool found;
    world_write(w, 300, false);
    world_flush(w);
    world_write(w, 300, false);
    CHECK_OK(snapshot_open(w->store, STR("metrics"), &snapshot, &err));
    for (uint64_t max = 599; max <= 600; max++) {
        const SeriesSelect select = {.min_ms = INT64_MIN, .max_ms = INT64_MAX, .samples_max = max};
        CHECK_OK(series_scan_open(snapshot, &select, &scan, &err));
        CHECK_OK(series_worker_open(scan, &worker, &err));
        const Status st = series_worker_next(worker, &got, &found, &err);
        CHECK_EQ(st, max == 600 ? OK : ERR_LIMIT);
        CHECK_EQ(series_worker_next(worker, &got, &found, &err), st);
        series_worker_close(worker);
        series_scan_close(scan);
    }
    snapshot_close(snapshot);
    world_free(w);
}

TEST(series_scan, is_cancelled)
{
    World *w = world_new(t);
    Err err;
    Snapshot *snapshot;
    SeriesScan *scan;
    SeriesWorker *worker;
    SeriesSamples got;
    bool found;
    world_write(w, 300, false);
    CHECK_OK(snapshot_open(w->store, STR("metrics"), &snapshot, &err));
    const SeriesSelect select = {.min_ms = INT64_MIN, .max_ms = INT64_MAX};
    CHECK_OK(series_scan_open(snapshot, &select, &scan, &err));
    CHECK_OK(series_worker_open(scan, &worker, &err));
    CHECK_OK(series_worker_next(worker, &got, &found, &err));
    CHECK(found);
    series_scan_cancel(scan);
    CHECK_EQ(series_worker_next(worker, &got, &found, &err), ERR_CANCELLED);
    series_worker_close(worker);
    series_scan_close(scan);
    snapshot_close(snapshot);
    world_free(w);
}

typedef struct Taker {
    SeriesScan *scan;
    Thread thread;
    LabelsHash *ids;
    size_t count, cap;
    uint64_t samples;
    Status st;
    Err err;
} Taker;

static void take(void *arg)
{
    Taker *taker = arg;
    SeriesWorker *w = NULL;
    bool found = true;
    taker->st = series_worker_open(taker->scan, &w, &taker->err);
    while (taker->st == OK) {
        SeriesSamples got;
        taker->st = series_worker_next(w, &got, &found, &taker->err);
        if (taker->st != OK || !found) {
            break;
        }
        taker->ids = mem_grow(taker->ids, &taker->cap, taker->count + 1, sizeof(*taker->ids));
        taker->ids[taker->count++] = got.id;
        taker->samples += got.count;
    }
    series_worker_close(w);
}

static int by_hash(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(LabelsHash));
}

static void take_with_threads(World *w)
{
    Test *t = w->t;
    Err err;
    Snapshot *snapshot;
    Taker takers[3] = {0};
    LabelsHash ids[SERIES];
    size_t count = 0;
    uint64_t samples = 0;
    const SeriesSelect select = {.min_ms = INT64_MIN, .max_ms = INT64_MAX};
    SeriesScan *scan;
    CHECK_OK(snapshot_open(w->store, STR("metrics"), &snapshot, &err));
    CHECK_OK(series_scan_open(snapshot, &select, &scan, &err));
    for (size_t i = 0; i < ARRAY_LEN(takers); i++) {
        takers[i].scan = scan;
        CHECK_OK(thread_start(&takers[i].thread, "taker", take, &takers[i], &err));
    }
    for (size_t i = 0; i < ARRAY_LEN(takers); i++) {
        thread_join(&takers[i].thread);
        CHECK_EQ(takers[i].st, OK);
        CHECK(count + takers[i].count <= SERIES);
        if (takers[i].count > 0) {
            memcpy(&ids[count], takers[i].ids, takers[i].count * sizeof(*ids));
        }
        count += takers[i].count;
        samples += takers[i].samples;
        mem_free(takers[i].ids);
    }
    qsort(ids, count, sizeof(*ids), by_hash);
    for (size_t i = 1; i < count; i++) {
        CHECK(memcmp(&ids[i - 1], &ids[i], sizeof(*ids)) != 0);
    }
    CHECK_EQ(samples, model_count(w->model));
    series_scan_close(scan);
    snapshot_close(snapshot);
}

TEST(series_scan, threads)
{
    World *w = world_new(t);
    for (size_t i = 0; i < 8; i++) {
        world_write(w, 200, i % 2 == 1);
        take_with_threads(w);
        if (i % 3 == 1) {
            world_flush(w);
            take_with_threads(w);
        }
    }
    world_free(w);
}

typedef struct Writer {
    World *world;
    _Atomic size_t written; // samples that were acknowledged
    atomic_bool done;
} Writer;

static void keep_writing(void *arg)
{
    Writer *writer = arg;
    for (size_t i = 0; i < 40; i++) {
        world_write(writer->world, 100, false);
        atomic_store(&writer->written, model_count(writer->world->model));
        if (i % 16 == 15) {
            world_flush(writer->world);
        }
    }
    atomic_store(&writer->done, true);
}

static uint64_t count_samples(World *w, Test *t)
{
    Err err;
    Snapshot *snapshot;
    Taker taker = {0};
    const SeriesSelect select = {.min_ms = INT64_MIN, .max_ms = INT64_MAX, .all_labels = true};
    CHECK_OK(snapshot_open(w->store, STR("metrics"), &snapshot, &err));
    CHECK_OK(series_scan_open(snapshot, &select, &taker.scan, &err));
    take(&taker);
    CHECK_EQ(taker.st, OK);
    CHECK(taker.count <= SERIES);
    mem_free(taker.ids);
    series_scan_close(taker.scan);
    snapshot_close(snapshot);
    return taker.samples;
}

// A snapshot shows all that was acknowledged before it was taken, while more is written and
// flushed.
TEST(series_scan, while_written)
{
    Err err;
    Thread thread;
    Writer writer = {.world = world_new(t)};
    CHECK_OK(thread_start(&thread, "writer", keep_writing, &writer, &err));
    while (!atomic_load(&writer.done)) {
        const size_t written = atomic_load(&writer.written);
        CHECK(count_samples(writer.world, t) >= written);
    }
    thread_join(&thread);
    CHECK_EQ(count_samples(writer.world, t), model_count(writer.world->model));
    world_free(writer.world);
}
