// SPDX-License-Identifier: Apache-2.0
//
// Power cuts at random points of the store's life: writing, flushing, recovering. After each,
// nothing that was acknowledged is lost, nothing is there twice, and nothing that was gone comes
// back. A write that failed may have happened or not; the first reading after the cut settles it,
// and from then on it stays.
//
// CRASH_CUTS=n runs n cuts instead of the default; TEST_SEED repeats a run.
#include "os/sim.h"

#include "tests/crash/crash_rows.h"
#include "tests/model/store_model.h"

#include <stdio.h>
#include <stdlib.h>

enum { CUTS_DEFAULT = 2000, CUTS_PER_MACHINE = 12 };

#define DAY_MS INT64_C(86400000)
#define START_MS (20000 * DAY_MS + 86000000)

typedef struct Machine {
    Test *t;
    OsSim *sim;
    Store *store; // NULL while it is down
    Model *model; // what is acknowledged
    Model *doubt; // samples of writes that failed since the last reading
    SampleBatch *batch;
    CrashRows rows;
    int64_t now_ms;
    uint64_t cuts;
    StoreOptions options;
} Machine;

static uint64_t below(Machine *m, uint64_t n)
{
    return test_random(m->t) % n;
}

static size_t cuts_wanted(void)
{
    const char *text = getenv("CRASH_CUTS");
    const long n = text == NULL ? 0 : strtol(text, NULL, 10);
    return n > 0 ? (size_t)n : CUTS_DEFAULT;
}

static void machine_start(Machine *m, Test *t)
{
    *m = (Machine){.t = t, .now_ms = START_MS};
    m->sim = os_sim_new(test_random(t));
    m->model = model_new();
    m->doubt = model_new();
    m->batch = sample_batch_new();
    if (below(m, 2) == 0) { // some machines only ever see floats
        sample_batch_extend(m->batch);
    }
    m->options = (StoreOptions){.os = os_sim_os(m->sim),
                                .dir = STR("data"),
                                .manual = true,
                                .wal_segment_bytes = (uint64_t)WAL_SEGMENT_BYTES_MIN << below(m, 5),
                                .label_columns_max = 3};
}

// --- what is right after a cut -------------------------------------------------------------------

// Reads everything, checks it, and takes it for the truth.
static void settle(Machine *m)
{
    Test *t = m->t;
    Err err;
    ModelSample *got;
    size_t count;
    Model *now = model_new();
    CHECK_OK(read_samples(m->store, NULL, &t->arena, &got, &count, &err));
    for (size_t i = 0; i < count; i++) {
        const ModelSample *s = &got[i];
        const uint64_t *acked = model_get(m->model, s->series, s->timestamp_ms);
        const bool is_acked = acked != NULL && *acked == s->value;
        const uint64_t *doubted = model_get(m->doubt, s->series, s->timestamp_ms);
        if (!is_acked && (doubted == NULL || *doubted != s->value)) {
            test_fail(t, __FILE__, __LINE__,
                      "after %" PRIu64 " cuts: " STR_FMT " @%" PRId64 " has a value "
                      "that it never had, or lost",
                      m->cuts, STR_ARG(s->series), s->timestamp_ms);
        }
        if (model_get(now, s->series, s->timestamp_ms) != NULL) {
            test_fail(t, __FILE__, __LINE__,
                      "after %" PRIu64 " cuts: " STR_FMT " @%" PRId64 " is there twice", m->cuts,
                      STR_ARG(s->series), s->timestamp_ms);
        }
        model_put(now, s->series, s->timestamp_ms, s->value);
    }
    const ModelSample *acked = model_samples(m->model);
    for (size_t i = 0; i < model_count(m->model); i++) {
        if (model_get(now, acked[i].series, acked[i].timestamp_ms) == NULL) {
            test_fail(t, __FILE__, __LINE__,
                      "after %" PRIu64 " cuts: " STR_FMT " @%" PRId64 " is lost", m->cuts,
                      STR_ARG(acked[i].series), acked[i].timestamp_ms);
        }
    }
    model_free(m->model);
    model_free(m->doubt);
    m->model = now;
    m->doubt = model_new();
}

// --- operations ----------------------------------------------------------------------------------

static void write_some(Machine *m)
{
    Err err;
    MetricsResult result;
    static const Str names[] = {{"up", 2}, {"x", 1}};
    static const Str pods[] = {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}, {"e", 1}};
    sample_batch_clear(m->batch);
    for (uint64_t n = 1 + below(m, 20); n > 0; n--) {
        char zone[2] = {(char)('a' + below(m, 3)), 0};
        const Label labels[] = {{STR("__name__"), names[below(m, ARRAY_LEN(names))]},
                                {STR("pod"), pods[below(m, ARRAY_LEN(pods))]},
                                {{zone, 1}, STR("1")}};
        int64_t at_ms = m->now_ms += 1 + (int64_t)below(m, 60000);
        if (below(m, 4) == 0) { // on a grid of the past, so that samples are written again
            at_ms = at_ms / 600000 * 600000 - 600000 * (int64_t)below(m, 6);
        }
        sample_batch_add(m->batch, labels, 2 + below(m, 2), at_ms, test_random(m->t) >> 12);
    }
    if (sample_batch_write(m->batch, m->store, &result, &err) == OK) {
        sample_batch_apply(m->batch, m->model);
        // What is acknowledged settles earlier doubts about the same samples.
        return;
    }
    sample_batch_apply(m->batch, m->doubt);
}

static void run_until_cut(Machine *m)
{
    Err err; // after the cut everything fails, and that is fine
    for (int step = 0; !os_sim_is_down(m->sim) && step < 400; step++) {
        switch (below(m, 10)) {
        case 0:
            (void)store_flush(m->store,
                              below(m, 2) == 0   ? STR("")
                              : below(m, 2) == 0 ? STR("metrics")
                                                 : STR("events"),
                              &err);
            break;
        case 1:
            if (below(m, 4) == 0) {
                (void)store_close(m->store, below(m, 2) == 0, &err);
                m->store = NULL;
                if (store_open(&m->options, &m->store, NULL, &err) != OK) {
                    return;
                }
            }
            break;
        case 2:
        case 3:
        case 4:
            crash_rows_write(&m->rows, m->store, m->t, &m->now_ms);
            break;
        default:
            write_some(m);
            break;
        }
    }
}

static void reopen(Machine *m)
{
    Test *t = m->t;
    Err err;
    // Recovery is cut short as well, now and then.
    for (int again = 0; below(m, 4) == 0 && again < 3; again++) {
        os_sim_cut_at(m->sim, 1 + below(m, 30));
        if (store_open(&m->options, &m->store, NULL, &err) == OK) {
            (void)store_close(m->store, below(m, 2) == 0, &err);
            m->store = NULL;
        }
        os_sim_power_cut(m->sim);
        m->cuts++;
    }
    os_sim_cut_at(m->sim, 0);
    CHECK_OK(store_open(&m->options, &m->store, NULL, &err));
}

static uint64_t machine_run(Machine *m)
{
    Test *t = m->t;
    Err err;
    CHECK_OK(store_open(&m->options, &m->store, NULL, &err));
    for (int round = 0; round < CUTS_PER_MACHINE; round++) {
        os_sim_cut_at(m->sim, 1 + below(m, below(m, 3) == 0 ? 400 : 60));
        run_until_cut(m);
        if (m->store != NULL) {
            (void)store_close(m->store, false, &err);
            m->store = NULL;
        }
        os_sim_power_cut(m->sim);
        m->cuts++;
        reopen(m);
        settle(m);
        crash_rows_settle(&m->rows, m->store, t, m->cuts);
        arena_reset(&t->arena);
    }
    CHECK_OK(store_close(m->store, true, &err));
    sample_batch_free(m->batch);
    model_free(m->model);
    model_free(m->doubt);
    crash_rows_deinit(&m->rows);
    os_sim_free(m->sim);
    return m->cuts;
}

TEST(crash_sim, acknowledged_samples_survive_power_cuts)
{
    const size_t wanted = cuts_wanted();
    uint64_t cuts = 0;
    while (cuts < wanted) {
        Machine m;
        machine_start(&m, t);
        cuts += machine_run(&m);
    }
    (void)printf("# %" PRIu64 " power cuts, seed %" PRIu64 "\n", cuts, t->seed);
}
