// SPDX-License-Identifier: Apache-2.0
#include "tests/promql/world.h"

#include "base/mem.h"
#include "os/sim.h"

struct World {
    WorldPlace place;
    OsSim *sim;
    Store *store;
    bool is_dirty; // there are samples that a flush would move
};

Status world_open(WorldPlace place, World **out, Err *err)
{
    World *world = mem_new(World, 1);
    world->place = place;
    world->sim = os_sim_new(1);
    const StoreOptions options = {.os = os_sim_os(world->sim), .dir = STR("data"), .manual = true};
    const Status st = store_open(&options, &world->store, NULL, err);
    if (st != OK) {
        world_close(world);
        return st;
    }
    *out = world;
    return OK;
}

void world_close(World *world)
{
    Err err;
    if (world == NULL) {
        return;
    }
    if (world->store != NULL && store_close(world->store, false, &err) != OK) {
        world->store = NULL;
    }
    os_sim_free(world->sim);
    mem_free(world);
}

Store *world_store(World *world)
{
    return world->store;
}

// --- writing -------------------------------------------------------------------------------------

typedef enum Half { HALF_EVEN, HALF_ODD, HALF_BOTH } Half;

typedef struct Writer {
    Arena *arena;
    Buf wire;
    MetricsSeries *series;
    int64_t *times;
    double *values;
    MetricsExtra *extras;
    size_t series_count, count;
    bool as_integers; // histograms with whole counts
} Writer;

static bool is_whole(double count)
{
    return count >= 0 && count < 0x1p53 && count == (double)(uint64_t)count;
}

static bool counts_are_whole(const Histogram *h)
{
    double sum = h->zero_count;
    bool whole = is_whole(h->count) && is_whole(h->zero_count);
    const HistogramSide *sides[] = {&h->positive, &h->negative};
    for (size_t s = 0; s < ARRAY_LEN(sides); s++) {
        for (uint32_t i = 0; i < sides[s]->bucket_count; i++) {
            whole = whole && is_whole(sides[s]->counts[i]);
            sum += sides[s]->counts[i];
        }
    }
    // Of integers Prometheus demands that the counts agree with their sum.
    return whole && sum == h->count;
}

static Bytes encode_histogram(Writer *w, const Histogram *h)
{
    Buf blob = {0};
    Histogram copy = *h;
    copy.is_integer = w->as_integers && counts_are_whole(h);
    histogram_encode(&copy, &blob);
    const Str kept = arena_str(w->arena, buf_str(&blob));
    buf_deinit(&blob);
    return (Bytes){(const uint8_t *)kept.ptr, kept.len};
}

static void writer_add(Writer *w, const LoadSeries *series, Half half)
{
    MetricsSeries *out = &w->series[w->series_count];
    Buf wire = {0};
    labels_encode(&series->labels, &wire);
    const Str kept = arena_str(w->arena, buf_str(&wire));
    buf_deinit(&wire);
    *out = (MetricsSeries){.labels = {(const uint8_t *)kept.ptr, kept.len},
                           .sample_first = (uint32_t)w->count};
    for (size_t i = 0; i < series->count; i++) {
        const LoadSample *sample = &series->samples[i];
        if (half != HALF_BOTH && (i % 2 == 0) != (half == HALF_EVEN)) {
            continue;
        }
        w->times[w->count] = sample->time_ms;
        w->values[w->count] = sample->value;
        w->extras[w->count] = (MetricsExtra){
            .histogram =
                sample->histogram != NULL ? encode_histogram(w, sample->histogram) : (Bytes){0},
            .start_ms = sample->start_ms == SCRIPT_NO_START ? INT64_MIN : sample->start_ms};
        w->count++;
    }
    out->sample_count = (uint32_t)(w->count - out->sample_first);
    w->series_count += out->sample_count != 0 ? 1 : 0;
}

static Status write_half(World *world, const LoadSeries *series, size_t count, Half half, Err *err)
{
    Arena arena = {0};
    size_t samples = 0;
    for (size_t i = 0; i < count; i++) {
        samples += series[i].count;
    }
    Writer w = {.arena = &arena,
                .series = arena_new(&arena, MetricsSeries, count),
                .times = arena_new(&arena, int64_t, samples),
                .values = arena_new(&arena, double, samples),
                .extras = arena_new(&arena, MetricsExtra, samples),
                .as_integers = half != HALF_BOTH};
    for (size_t i = 0; i < count; i++) {
        writer_add(&w, &series[i], half);
    }
    const MetricsBatch batch = {.series = w.series,
                                .series_count = w.series_count,
                                .timestamps_ms = w.times,
                                .values = w.values,
                                .extras = w.extras};
    MetricsResult result = {0};
    Status st = store_write_metrics(world->store, &batch, &result, err);
    if (st == OK && (result.samples_rejected != 0 || result.series_rejected != 0)) {
        *err = result.first_rejection;
        st = err_prefix(err, "rejected: ");
    }
    arena_deinit(&arena);
    return st;
}

static Status write_series(World *world, const LoadSeries *series, size_t count, Err *err)
{
    if (count == 0) {
        return OK;
    }
    world->is_dirty = true;
    if (world->place != WORLD_MIXED) {
        return write_half(world, series, count, HALF_BOTH, err);
    }
    TRY(write_half(world, series, count, HALF_EVEN, err));
    TRY(store_flush(world->store, STR(""), err));
    return write_half(world, series, count, HALF_ODD, err);
}

Status world_load(World *world, const ScriptLoad *load, Err *err)
{
    Status st = OK;
    Arena arena = {0};
    LoadSeries *series = NULL;
    size_t count = 0;
    TRY_OUT(load_expand(load, &arena, &series, &count, err));
    TRY_OUT(write_series(world, series, count, err));
    if (load->with_nhcb) {
        TRY_OUT(load_convert_classic(load, &arena, &series, &count, err));
        TRY_OUT(write_series(world, series, count, err));
    }
out:
    arena_deinit(&arena);
    return st;
}

Status world_settle(World *world, Err *err)
{
    if (world->is_dirty && world->place == WORLD_PARQUET) {
        TRY(store_flush(world->store, STR(""), err));
    }
    world->is_dirty = false;
    return OK;
}
