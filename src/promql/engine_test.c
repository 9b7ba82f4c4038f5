// SPDX-License-Identifier: Apache-2.0
//
// The engine beside what test scripts ask: limits, cancelling, threads, figures.
#include "promql/engine.h"

#include "base/mem.h"
#include "os/sim.h"
#include "os/thread.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>

enum { SERIES = 500, SAMPLES = 20 };

#define START_MS (20000 * INT64_C(86400000))
#define END_MS (START_MS + (SAMPLES - 1) * INT64_C(15000))

typedef struct World {
    Test *t;
    OsSim *sim;
    Store *store;
    QueryWatch *watch;
} World;

static void put_label(Buf *b, Str name, Str value)
{
    const Label label = {name, value};
    labels_encode(&(LabelSet){.labels = &label, .count = 1}, b);
}

// m_total{job="job-<i % 7>", pod="pod-<i>"}: values that no two orders of adding sum up alike.
static void write_series(World *w)
{
    Test *t = w->t;
    Err err;
    Buf wire;
    buf_init(&wire, 0);
    int64_t times[SAMPLES];
    double values[SAMPLES];
    for (uint32_t i = 0; i < SERIES; i++) {
        char text[32];
        buf_clear(&wire);
        put_label(&wire, STR("__name__"), STR("m_total"));
        int len = snprintf(text, sizeof(text), "job-%u", i % 7);
        put_label(&wire, STR("job"), (Str){text, (size_t)len});
        len = snprintf(text, sizeof(text), "pod-%03u", i);
        put_label(&wire, STR("pod"), (Str){text, (size_t)len});
        for (uint32_t j = 0; j < SAMPLES; j++) {
            times[j] = START_MS + j * INT64_C(15000);
            values[j] = (double)test_random(t) / 3e9 + (i % 3 == 0 ? 1e12 : -1e3);
        }
        const MetricsSeries series = {.labels = buf_bytes(&wire), .sample_count = SAMPLES};
        const MetricsBatch batch = {
            .series = &series, .series_count = 1, .timestamps_ms = times, .values = values};
        MetricsResult result;
        CHECK_OK(store_write_metrics(w->store, &batch, &result, &err));
        CHECK_EQ(result.samples_written, SAMPLES);
    }
    buf_deinit(&wire);
}

static World *world_new(Test *t)
{
    Err err;
    World *w = arena_new(&t->arena, World, 1);
    w->t = t;
    w->sim = os_sim_new(t->seed);
    const StoreOptions options = {.os = os_sim_os(w->sim), .dir = STR("data"), .manual = true};
    CHECK_OK(store_open(&options, &w->store, NULL, &err));
    CHECK_OK(query_watch_new(os_posix(), &w->watch, &err));
    write_series(w);
    return w;
}

static void world_free(World *w)
{
    Test *t = w->t;
    Err err;
    query_watch_free(w->watch);
    CHECK_OK(store_close(w->store, false, &err));
    os_sim_free(w->sim);
}

static PromqlEngine *engine_of(const World *w, PromqlOptions options)
{
    options.store = w->store;
    options.watch = w->watch;
    options.os = os_posix();
    options.features.experimental_functions = true;
    return promql_engine_new(&options);
}

static PromqlQuery instant(Str text)
{
    return (PromqlQuery){.text = text, .start_ms = END_MS};
}

static PromqlQuery range(Str text)
{
    return (PromqlQuery){.text = text,
                         .is_range = true,
                         .start_ms = START_MS,
                         .end_ms = END_MS,
                         .step_ms = 15000,
                         .stats = true};
}

typedef struct Outcome {
    Status status;
    PromqlFailure failure;
    Err err;
    uint64_t series, samples, peak;
} Outcome;

static Outcome run(PromqlEngine *engine, const PromqlQuery *query)
{
    Outcome o = {0};
    PromqlResult *result = NULL;
    o.status = promql_run(engine, query, &result, &o.failure, &o.err);
    if (o.status == OK) {
        o.series = result->count;
        o.samples = result->stats.total_samples;
        o.peak = result->stats.peak_samples;
    }
    promql_result_free(result);
    return o;
}

static Outcome run_with(const World *w, PromqlOptions options, PromqlQuery query)
{
    PromqlEngine *engine = engine_of(w, options);
    const Outcome o = run(engine, &query);
    promql_engine_free(engine);
    return o;
}

// --- results -------------------------------------------------------------------------------------

TEST(engine, results_have_their_type)
{
    World *w = world_new(t);
    PromqlEngine *engine = engine_of(w, (PromqlOptions){.threads = 2});
    const struct {
        Str text;
        bool is_range;
        PromqlType type;
        uint64_t count;
    } cases[] = {
        {STR("1 + 2"), false, PROMQL_SCALAR, 0},
        {STR("\"x\""), false, PROMQL_STRING, 0},
        {STR("m_total"), false, PROMQL_VECTOR, SERIES},
        {STR("m_total[1m]"), false, PROMQL_MATRIX, SERIES},
        {STR("sum by(job)(m_total)[1m:15s]"), false, PROMQL_MATRIX, 7},
        {STR("nothing"), false, PROMQL_VECTOR, 0},
        {STR("1 + 2"), true, PROMQL_MATRIX, 1},
        {STR("count by(job)(m_total)"), true, PROMQL_MATRIX, 7},
        {STR("topk(2, m_total)"), false, PROMQL_VECTOR, 2},
        {STR("m_total{pod=\"pod-003\"} / on(pod) group_left m_total"), false, PROMQL_VECTOR, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err;
        PromqlFailure failure;
        PromqlResult *result = NULL;
        const PromqlQuery query = cases[i].is_range ? range(cases[i].text) : instant(cases[i].text);
        CHECK_OK(promql_run(engine, &query, &result, &failure, &err));
        CHECK_EQ(result->type, cases[i].type);
        CHECK_EQ(result->count, cases[i].count);
        for (size_t j = 0; j < result->count; j++) {
            CHECK(result->series[j].count != 0);
        }
        promql_result_free(result);
    }
    promql_engine_free(engine);
    world_free(w);
}

TEST(engine, bad_questions_are_told)
{
    World *w = world_new(t);
    PromqlQuery too_long = range(STR("m_total"));
    too_long.step_ms = 1;
    too_long.end_ms = too_long.start_ms + PROMQL_MAX_STEPS;
    CHECK_EQ(run_with(w, (PromqlOptions){0}, too_long).status, OK);
    too_long.end_ms++;
    PromqlQuery backwards = range(STR("m_total"));
    backwards.end_ms = backwards.start_ms - 1;
    const PromqlQuery bad[] = {instant(STR("sum(")), range(STR("m_total[5m]")),
                               range(STR("\"text\"")), too_long, backwards};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const Outcome o = run_with(w, (PromqlOptions){0}, bad[i]);
        CHECK_EQ(o.status, ERR_INVALID);
        CHECK_EQ(o.failure, PROMQL_BAD_DATA);
    }
    const Outcome o = run_with(w, (PromqlOptions){0}, instant(STR("m_total * on(job) m_total")));
    CHECK_EQ(o.failure, PROMQL_EXECUTION);
    CHECK(strstr(o.err.msg, "found duplicate series for the match group {job=\"job-") != NULL);
    world_free(w);
}

// --- limits --------------------------------------------------------------------------------------

TEST(engine, samples_are_limited)
{
    World *w = world_new(t);
    const PromqlQuery query = range(STR("sum(m_total)"));
    Outcome o = run_with(w, (PromqlOptions){.samples_max = SERIES * SAMPLES + SAMPLES}, query);
    CHECK_EQ(o.status, OK);
    CHECK_EQ(o.samples, SERIES * SAMPLES);
    CHECK_EQ(o.peak, SERIES * SAMPLES);
    o = run_with(w, (PromqlOptions){.samples_max = SERIES * SAMPLES - 1}, query);
    CHECK_EQ(o.status, ERR_LIMIT);
    CHECK_EQ(o.failure, PROMQL_EXECUTION);
    const Str msg = {o.err.msg, strlen(o.err.msg)};
    CHECK_STR(msg, STR("query processing would load too many samples into memory in query "
                       "execution"));
    o = run_with(w, (PromqlOptions){0}, instant(STR("vector(1)[200w:1ms]")));
    CHECK_EQ(o.status, ERR_LIMIT);
    world_free(w);
}

TEST(engine, series_are_limited)
{
    World *w = world_new(t);
    const PromqlQuery query = instant(STR("m_total"));
    CHECK_EQ(run_with(w, (PromqlOptions){.series_max = SERIES}, query).status, OK);
    const Outcome o = run_with(w, (PromqlOptions){.series_max = SERIES - 1}, query);
    CHECK_EQ(o.status, ERR_LIMIT);
    world_free(w);
}

TEST(engine, memory_is_limited)
{
    World *w = world_new(t);
    const PromqlQuery query = range(STR("m_total * on(pod) m_total"));
    const Outcome o = run_with(w, (PromqlOptions){.memory_max_bytes = 200000}, query);
    CHECK_EQ(o.status, ERR_LIMIT);
    CHECK_EQ(o.failure, PROMQL_EXECUTION);
    CHECK_EQ(run_with(w, (PromqlOptions){.memory_max_bytes = 100 << 20}, query).status, OK);
    world_free(w);
}

static bool is_gone(void *ctx)
{
    (void)ctx;
    return true;
}

// Long enough for the watch to look at it a few times.
static PromqlQuery long_query(void)
{
    PromqlQuery query = range(STR("m_total * on(pod) m_total ^ on(pod) m_total % on(pod) m_total"));
    query.step_ms = 1;
    query.end_ms = query.start_ms + PROMQL_MAX_STEPS - 1;
    return query;
}

TEST(engine, stops_when_the_client_is_gone)
{
    World *w = world_new(t);
    PromqlQuery query = long_query();
    query.is_abandoned = is_gone;
    const Outcome o = run_with(w, (PromqlOptions){0}, query);
    CHECK_EQ(o.status, ERR_CANCELLED);
    CHECK_EQ(o.failure, PROMQL_CANCELED);
    CHECK(strstr(o.err.msg, "query was canceled in expression evaluation") != NULL);
    world_free(w);
}

TEST(engine, stops_when_time_is_over)
{
    World *w = world_new(t);
    PromqlQuery query = long_query();
    query.timeout_ms = 1;
    const Outcome o = run_with(w, (PromqlOptions){0}, query);
    CHECK_EQ(o.status, ERR_TIMEOUT);
    CHECK_EQ(o.failure, PROMQL_TIMED_OUT);
    CHECK(strstr(o.err.msg, "query timed out in expression evaluation") != NULL);
    world_free(w);
}

// --- threads -------------------------------------------------------------------------------------

static void show(Test *t, PromqlEngine *engine, const PromqlQuery *query, Buf *out)
{
    Err err;
    PromqlFailure failure;
    PromqlResult *result = NULL;
    CHECK_OK(promql_run(engine, query, &result, &failure, &err));
    for (size_t i = 0; i < result->count; i++) {
        labels_format(&result->series[i].labels, 1000, out);
        for (size_t j = 0; j < result->series[i].count; j++) {
            buf_putf(out, " %a@%" PRId64, result->series[i].points[j].value,
                     result->series[i].points[j].time_ms);
        }
        buf_put_u8(out, '\n');
    }
    promql_result_free(result);
}

TEST(engine, threads_do_not_show_in_results)
{
    static const Str texts[] = {{"sum by(job)(m_total)", 20},    {"avg(m_total)", 12},
                                {"stddev by(job)(m_total)", 23}, {"m_total", 7},
                                {"limitk(3, m_total)", 18},      {"max without(pod)(m_total)", 25},
                                {"topk(3, m_total)", 16},        {"quantile(.3, m_total)", 21}};
    World *w = world_new(t);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        Buf first;
        buf_init(&first, 0);
        for (uint32_t threads = 1; threads <= 4; threads++) {
            Buf now;
            buf_init(&now, 0);
            PromqlEngine *engine = engine_of(w, (PromqlOptions){.threads = threads});
            const PromqlQuery queries[] = {instant(texts[i]), range(texts[i])};
            show(t, engine, &queries[0], &now);
            show(t, engine, &queries[1], &now);
            promql_engine_free(engine);
            if (threads == 1) {
                buf_put_str(&first, buf_str(&now));
            }
            CHECK(str_eq(buf_str(&first), buf_str(&now)));
            buf_deinit(&now);
        }
        buf_deinit(&first);
    }
    world_free(w);
}

typedef struct Client {
    PromqlEngine *engine;
    Outcome outcome;
    Thread thread;
} Client;

static void ask(void *arg)
{
    Client *client = arg;
    const PromqlQuery query = range(STR("sum by(job)(m_total)"));
    client->outcome = run(client->engine, &query);
}

TEST(engine, queries_take_turns)
{
    World *w = world_new(t);
    PromqlEngine *engine = engine_of(w, (PromqlOptions){.concurrency_max = 1, .threads = 2});
    Client clients[6];
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        Err err;
        clients[i] = (Client){.engine = engine};
        CHECK_OK(thread_start(&clients[i].thread, "client", ask, &clients[i], &err));
    }
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        thread_join(&clients[i].thread);
        CHECK_EQ(clients[i].outcome.status, OK);
        CHECK_EQ(clients[i].outcome.series, 7);
    }
    promql_engine_free(engine);
    world_free(w);
}

// --- figures -------------------------------------------------------------------------------------

TEST(engine, counts_samples_by_step)
{
    World *w = world_new(t);
    PromqlEngine *engine = engine_of(w, (PromqlOptions){.threads = 2});
    const struct {
        Str text;
        uint64_t first, last; // samples of these steps
    } cases[] = {{STR("sum(m_total)"), SERIES, SERIES},
                 {STR("sum(m_total @ end())"), SERIES, SERIES},
                 {STR("m_total{pod=\"pod-007\"} + 1"), 1, 1},
                 {STR("1"), 0, 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err;
        PromqlFailure failure;
        PromqlResult *result = NULL;
        const PromqlQuery query = range(cases[i].text);
        CHECK_OK(promql_run(engine, &query, &result, &failure, &err));
        CHECK_EQ(result->stats.steps, SAMPLES);
        CHECK_EQ(result->stats.samples_per_step[0], cases[i].first);
        CHECK_EQ(result->stats.samples_per_step[SAMPLES - 1], cases[i].last);
        uint64_t sum = 0;
        for (uint32_t j = 0; j < SAMPLES; j++) {
            sum += result->stats.samples_per_step[j];
        }
        CHECK_EQ(result->stats.total_samples, sum);
        promql_result_free(result);
    }
    promql_engine_free(engine);
    world_free(w);
}

TEST(engine, explains)
{
    World *w = world_new(t);
    Err err;
    Buf text;
    buf_init(&text, 0);
    PromqlEngine *engine = engine_of(w, (PromqlOptions){0});
    const PromqlQuery query = instant(STR("sum by(job)(-m_total{job=~\"job-[1-3]\"}) > 1"));
    CHECK_OK(promql_explain(engine, &query, &text, &err));
    buf_put_u8(&text, 0);
    const char *got = (const char *)text.ptr;
    CHECK(strstr(got, "sum by job\n") != NULL);
    CHECK(strstr(got, "select m_total{job=~\"job-[1-3]\"}\n") != NULL);
    CHECK(strstr(got, "labels __name__ job\n") != NULL);
    CHECK(strstr(got, "rows read ") != NULL);
    promql_engine_free(engine);
    buf_deinit(&text);
    world_free(w);
}
