// SPDX-License-Identifier: Apache-2.0
//
// Fails every call to the machine in turn, until a run passes untouched: once, and from then on.
// Whatever fails, the store answers with an error or goes on; what it acknowledged is there when
// the machine works again.
#include "os/fault.h"
#include "os/sim.h"

#include "tests/crash/crash_rows.h"
#include "tests/model/store_model.h"

#include <errno.h>

#define DAY_MS INT64_C(86400000)
#define START_MS (20000 * DAY_MS + 86390000)

typedef struct Sweep {
    Test *t;
    OsSim *sim;
    OsFault *fault;
    Model *acked;
    // Written without an answer. The value is part of the series' name, so all of them are kept.
    Model *doubt;
    CrashRows rows;
    uint64_t last_value; // values ascend, so the later write of two is known
    StoreOptions options;
    int64_t now_ms;
} Sweep;

static Str doubt_name(Sweep *s, const ModelSample *sample)
{
    Buf text;
    buf_init(&text, 0);
    buf_putf(&text, STR_FMT " = %" PRIu64, STR_ARG(sample->series), sample->value);
    const Str name = arena_str(&s->t->arena, buf_str(&text));
    buf_deinit(&text);
    return name;
}

static Status write_some(Sweep *s, Store *store, int n, Err *err)
{
    SampleBatch *batch = sample_batch_new();
    MetricsResult result;
    sample_batch_extend(batch);
    for (int i = 0; i < n; i++) {
        const char pod[2] = {(char)('a' + i % 5), 0};
        const Label labels[] = {{STR("__name__"), STR("up")}, {STR("pod"), {pod, 1}}};
        s->now_ms += 1000;
        // Every fourth sample was written before.
        const int64_t at_ms = i % 4 == 0 ? START_MS + i : s->now_ms;
        sample_batch_add(batch, labels, 2, at_ms, ++s->last_value);
    }
    const Status st = sample_batch_write(batch, store, &result, err);
    Model *unanswered = model_new();
    sample_batch_apply(batch, st == OK ? s->acked : unanswered);
    const ModelSample *samples = model_samples(unanswered);
    for (size_t i = 0; i < model_count(unanswered); i++) {
        model_put(s->doubt, doubt_name(s, &samples[i]), samples[i].timestamp_ms, samples[i].value);
    }
    model_free(unanswered);
    sample_batch_free(batch);
    return st;
}

// What a store does in its life. Failures are the point, so they do not end it.
static void live(Sweep *s)
{
    Err err;
    Store *store;
    if (store_open(&s->options, &store, NULL, &err) != OK) {
        return;
    }
    for (int i = 0; i < 3; i++) {
        ModelSample *got;
        size_t count;
        (void)write_some(s, store, 10, &err);
        crash_rows_write(&s->rows, store, s->t, &s->now_ms);
        (void)store_flush(store, STR(""), &err);
        (void)write_some(s, store, 5, &err);
        crash_rows_write(&s->rows, store, s->t, &s->now_ms);
        (void)read_samples(store, NULL, &s->t->arena, &got, &count, &err);
    }
    (void)store_close(store, true, &err);
}

static void check(Sweep *s, uint64_t call)
{
    Test *t = s->t;
    Err err;
    Store *store;
    ModelSample *got;
    size_t count;
    CHECK_OK(store_open(&s->options, &store, NULL, &err));
    CHECK_OK(read_samples(store, NULL, &t->arena, &got, &count, &err));
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t *acked = model_get(s->acked, got[i].series, got[i].timestamp_ms);
        const bool doubt =
            model_get(s->doubt, doubt_name(s, &got[i]), got[i].timestamp_ms) != NULL &&
            (acked == NULL || got[i].value > *acked);
        const bool twice = i > 0 && str_eq(got[i].series, got[i - 1].series) &&
                           got[i].timestamp_ms == got[i - 1].timestamp_ms;
        found += acked != NULL;
        if (twice || !((acked != NULL && *acked == got[i].value) || doubt)) {
            test_fail(t, __FILE__, __LINE__,
                      "call %" PRIu64 ": " STR_FMT " @%" PRId64 " is wrong%s", call,
                      STR_ARG(got[i].series), got[i].timestamp_ms, twice ? ": twice" : "");
        }
    }
    if (found != model_count(s->acked)) {
        test_fail(t, __FILE__, __LINE__, "call %" PRIu64 ": %zu of %zu acknowledged samples", call,
                  found, model_count(s->acked));
    }
    crash_rows_settle(&s->rows, store, t, call);
    // And it works again.
    CHECK_OK(write_some(s, store, 5, &err));
    CHECK_OK(store_close(store, true, &err));
}

static bool run_once(Test *t, OsFaultPlan plan)
{
    Sweep s = {.t = t, .now_ms = START_MS, .acked = model_new(), .doubt = model_new()};
    s.sim = os_sim_new(1);
    s.fault = os_fault_new(os_sim_os(s.sim));
    s.options = (StoreOptions){.os = os_fault_os(s.fault),
                               .dir = STR("data"),
                               .manual = true,
                               .wal_segment_bytes = WAL_SEGMENT_BYTES_MIN};
    os_fault_arm(s.fault, plan);
    live(&s);
    const bool hit = os_fault_hit(s.fault);
    os_fault_arm(s.fault, (OsFaultPlan){0});
    check(&s, plan.fail_at);
    os_fault_free(s.fault);
    os_sim_free(s.sim);
    crash_rows_deinit(&s.rows);
    model_free(s.acked);
    model_free(s.doubt);
    arena_reset(&t->arena);
    return hit;
}

TEST(fault_sweep, every_call_fails_once)
{
    static const int errnos[] = {EIO, ENOSPC, EMFILE};
    uint64_t call = 1;
    while (
        run_once(t, (OsFaultPlan){.fail_at = call, .os_errno = errnos[call % ARRAY_LEN(errnos)]})) {
        call++;
    }
    CHECK(call > 100);
}

TEST(fault_sweep, every_call_fails_for_good)
{
    uint64_t call = 1;
    while (run_once(t, (OsFaultPlan){.fail_at = call, .persistent = true, .os_errno = ENOSPC})) {
        call++;
    }
    CHECK(call > 100);
}
