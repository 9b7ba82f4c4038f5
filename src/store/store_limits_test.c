// SPDX-License-Identifier: Apache-2.0
//
// Which times of samples and rows are let in: limits of age, and of days before a flush.
#include "os/sim.h"
#include "store/store.h"

#include "tests/model/store_model.h"

#include <stdio.h>

#define DAY_MS INT64_C(86400000)
#define NOW_MS (20000 * DAY_MS + 1000)

static StoreOptions sim_options(OsSim *sim)
{
    return (StoreOptions){.os = os_sim_os(sim), .dir = STR("data"), .manual = true};
}

static Status write_at(Store *store, const char *pod, int64_t ms, MetricsResult *result, Err *err)
{
    SampleBatch *batch = sample_batch_new();
    const Label labels[] = {{STR("__name__"), STR("up")}, {STR("pod"), {pod, strlen(pod)}}};
    sample_batch_add(batch, labels, ARRAY_LEN(labels), ms, 1);
    const Status st = sample_batch_write(batch, store, result, err);
    sample_batch_free(batch);
    return st;
}

// The samples of `count` days from `first` on, each of one of seven series.
static void write_days(Test *t, Store *store, int64_t first, int count, Model *model)
{
    Err err;
    MetricsResult result;
    SampleBatch *batch = sample_batch_new();
    for (int i = 0; i < count; i++) {
        const char pod[2] = {(char)('a' + i % 7), 0};
        const Label labels[] = {{STR("__name__"), STR("up")}, {STR("pod"), {pod, 1}}};
        sample_batch_add(batch, labels, 2, (first + i) * DAY_MS + i, 1);
    }
    CHECK_OK(sample_batch_write(batch, store, &result, &err));
    CHECK_EQ(result.samples_rejected, 0);
    sample_batch_apply(batch, model);
    sample_batch_free(batch);
}

static void check_refused(Test *t, Store *store, int64_t ms, const char *why)
{
    Err err;
    MetricsResult result;
    CHECK_OK(write_at(store, "new", ms, &result, &err));
    CHECK_EQ(result.samples_rejected, why != NULL);
    CHECK_EQ(result.samples_written, why == NULL);
    if (why != NULL) {
        CHECK_STR(((Str){result.first_rejection.msg, strlen(result.first_rejection.msg)}),
                  ((Str){why, strlen(why)}));
    }
}

TEST(store_limits, samples_too_far_from_the_clock_are_refused)
{
    Err err;
    Store *store;
    OsSim *sim = os_sim_new(1);
    StoreOptions options = sim_options(sim);
    options.max_age_ms = 3600000;
    options.max_future_ms = 600000;
    os_sim_set_wall_us(sim, NOW_MS * 1000);
    CHECK_OK(store_open(&options, &store, NULL, &err));
    check_refused(t, store, NOW_MS, NULL);
    check_refused(t, store, NOW_MS + 600000, NULL);
    check_refused(t, store, NOW_MS - 3600000, NULL);
    check_refused(t, store, NOW_MS + 600001,
                  "series 0 of the request, up{pod=\"new\"}: timestamp 1728000601001 ms is out of "
                  "bounds: more than 600000 ms (storage.max-future) after the server's time "
                  "1728000001000 ms");
    check_refused(t, store, NOW_MS - 3600001,
                  "series 0 of the request, up{pod=\"new\"}: timestamp 1727996400999 ms is too "
                  "old: more than 3600000 ms (storage.max-age) before the server's time "
                  "1728000001000 ms");
    // What was let in stays, however old it becomes.
    os_sim_set_wall_us(sim, (NOW_MS + 10 * DAY_MS) * 1000);
    CHECK_OK(store_close(store, false, &err));
    StoreRecovery recovery;
    CHECK_OK(store_open(&options, &store, &recovery, &err));
    CHECK_EQ(recovery.rows_replayed, 3);
    CHECK_OK(store_close(store, true, &err));
    os_sim_free(sim);
}

TEST(store_limits, without_limits_every_year_is_let_in)
{
    Err err;
    Store *store;
    OsSim *sim = os_sim_new(1);
    const StoreOptions options = sim_options(sim);
    CHECK_OK(store_open(&options, &store, NULL, &err));
    check_refused(t, store, 0, NULL);
    check_refused(t, store, -1, NULL);
    check_refused(t, store, 1, NULL);
    check_refused(t, store, INT64_C(253402300799999), NULL);
    CHECK_OK(store_close(store, true, &err));
    os_sim_free(sim);
}

TEST(store_limits, days_before_a_flush)
{
    Err err;
    Store *store;
    OsSim *sim = os_sim_new(1);
    Model *model = model_new();
    const StoreOptions options = sim_options(sim);
    static const char refused[] =
        "series 0 of the request, up{pod=\"new\"}: timestamp 0 ms is of one day too many: samples "
        "of 1000 days wait to be written to files";
    static_assert(STORE_DAYS_MAX == 1000, "as the message says");
    CHECK_OK(store_open(&options, &store, NULL, &err));
    write_days(t, store, 5000, STORE_DAYS_MAX, model);
    check_refused(t, store, 0, refused);
    write_days(t, store, 5000, STORE_DAYS_MAX, model); // the same days again
    // The flush fails: what it sealed waits, and other days may come up.
    os_sim_set_capacity(sim, 1);
    CHECK(store_flush(store, STR(""), &err) != OK);
    os_sim_set_capacity(sim, 0);
    write_days(t, store, 7000, STORE_DAYS_MAX, model);
    check_refused(t, store, 0, refused);
    // After a crash all of them are in one window: nothing is lost, nothing is added.
    CHECK_OK(store_close(store, false, &err));
    CHECK_OK(store_open(&options, &store, NULL, &err));
    CHECK_MODEL(store, model, NULL);
    check_refused(t, store, 0, refused);
    write_days(t, store, 7000, 10, model);
    CHECK_OK(store_flush(store, STR(""), &err));
    write_days(t, store, 0, 1, model);
    CHECK_MODEL(store, model, NULL);
    CHECK_OK(store_close(store, true, &err));
    model_free(model);
    os_sim_free(sim);
}

static Status write_rows(Store *store, int64_t first_day, uint32_t count, Err *err)
{
    static const Field fields[] = {{.name = {"timestamp", 9}, .type = COLUMN_TIMESTAMP}};
    int64_t times[STORE_DAYS_MAX + 1];
    const Schema schema = {.fields = fields, .count = 1};
    const Vector column = {.type = COLUMN_TIMESTAMP, .row_count = count, .data = times};
    for (uint32_t i = 0; i < count; i++) {
        times[i] = (first_day + i) * DAY_MS * 1000 - 1;
    }
    return store_write_rows(store, STR("events"),
                            &(Batch){.schema = &schema, .columns = &column, .row_count = count},
                            err);
}

TEST(store_limits, days_of_rows_before_a_flush)
{
    Err err;
    Store *store;
    StoreRecovery recovery;
    OsSim *sim = os_sim_new(1);
    const StoreOptions options = sim_options(sim);
    CHECK_OK(store_open(&options, &store, NULL, &err));
    CHECK_EQ(write_rows(store, 0, STORE_DAYS_MAX + 1, &err), ERR_INVALID);
    CHECK_STR(((Str){err.msg, strlen(err.msg)}),
              STR("'timestamp' in row 1000 is of one day too many: rows of 1000 days wait to be "
                  "written to files"));
    CHECK_OK(write_rows(store, 0, STORE_DAYS_MAX, &err));
    CHECK_OK(write_rows(store, 1, STORE_DAYS_MAX - 1, &err));
    CHECK_EQ(write_rows(store, 1, STORE_DAYS_MAX, &err), ERR_INVALID); // one is new: none is taken
    CHECK_OK(store_close(store, false, &err));
    CHECK_OK(store_open(&options, &store, &recovery, &err));
    CHECK_EQ(recovery.rows_replayed, 2 * STORE_DAYS_MAX - 1);
    CHECK_EQ(write_rows(store, -5, 1, &err), ERR_INVALID);
    CHECK_OK(store_flush(store, STR(""), &err));
    CHECK_OK(write_rows(store, -5, 1, &err));
    CHECK_OK(store_close(store, true, &err));
    os_sim_free(sim);
}
