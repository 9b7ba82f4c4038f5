// SPDX-License-Identifier: Apache-2.0
#include "store/metrics_hot_internal.h"

#include "base/log.h"
#include "base/rng.h"
#include "store/table_def.h"

enum { REGISTRY_KEEP_SERIES = 4096 }; // a registry of so few is never replaced

// --- life ----------------------------------------------------------------------------------------

static MetricsRegistry *registry_new(MetricsHot *hot)
{
    return metrics_registry_new(&hot->directory, &hot->memory, hot->key.v);
}

static uint64_t window_id_next(MetricsShard *shard)
{
    Rng rng = {.state = shard->id_state};
    const uint64_t id = rng_next(&rng);
    shard->id_state = rng.state;
    return id;
}

MetricsHot *metrics_hot_new(const MetricsHotOptions *options)
{
    MetricsHot *hot = mem_new(MetricsHot, 1);
    atomic_init(&hot->memory.bytes, sizeof(*hot));
    atomic_init(&hot->turn, 0);
    hot->key = options->key;
    hot->limits = options->limits;
    hot->log = options->log;
    hot->os = options->os;
    hot->max_age_ms = options->max_age_ms;
    hot->max_future_ms = options->max_future_ms;
    mutex_init(&hot->days_mu);
    metrics_directory_init(&hot->directory, options->label_columns_max, options->schema);
    if (hot->directory.no_starts) {
        log_warn("start timestamps are not kept: the table has another column of that name",
                 LOG_STR("column", STR(METRICS_START)));
    }
    mutex_init(&hot->scratch_mu);
    Rng rng = {.state = options->nonce};
    for (uint32_t i = 0; i < METRICS_SHARDS; i++) {
        MetricsShard *shard = &hot->shards[i];
        mutex_init(&shard->mu);
        shard->hot = hot;
        shard->index = i;
        shard->floor_ms = options->floor_ms;
        shard->external_floor_ms = INT64_MIN;
        shard->id_state = rng_next(&rng);
        shard->registry = registry_new(hot);
        shard->window = metrics_window_new(shard, shard->registry, window_id_next(shard));
    }
    return hot;
}

void metrics_scratch_free(MetricsScratch *s)
{
    mem_free(s->items);
    mem_free(s->grouped);
    mem_free(s->labelled);
    mem_free(s->deferred);
    mem_free(s->firsts);
    mem_free(s->timestamps);
    mem_free(s->values);
    mem_free(s->extras);
    buf_deinit(&s->frame);
    buf_deinit(&s->canonical);
    arena_deinit(&s->labels);
    mem_free(s);
}

void metrics_hot_free(MetricsHot *hot)
{
    if (hot == NULL) {
        return;
    }
    for (uint32_t i = 0; i < METRICS_SHARDS; i++) {
        MetricsShard *shard = &hot->shards[i];
        metrics_window_unref(shard->window);
        metrics_registry_unref(shard->registry);
        metrics_registry_unref(shard->previous);
        metrics_replay_clear(&shard->replay);
        mutex_deinit(&shard->mu);
    }
    for (MetricsScratch *s = hot->scratch, *next = NULL; s != NULL; s = next) {
        next = s->next;
        metrics_scratch_free(s);
    }
    mutex_deinit(&hot->scratch_mu);
    mutex_deinit(&hot->days_mu);
    day_list_deinit(&hot->days);
    metrics_directory_deinit(&hot->directory);
    mem_free(hot);
}

// --- days ---------------------------------------------------------------------------------------

bool metrics_shard_day_locked(MetricsShard *shard, int64_t ms, size_t max)
{
    MetricsWindow *w = shard->window;
    const int32_t day = day_list_day_of_ms(ms);
    if (!day_list_has(&w->days, day)) {
        mutex_lock(&shard->hot->days_mu);
        const bool taken = day_list_add(&shard->hot->days, day, max);
        mutex_unlock(&shard->hot->days_mu);
        if (!taken) {
            return false;
        }
        (void)day_list_add(&w->days, day, SIZE_MAX);
    }
    int32_t first;
    int32_t last;
    day_list_run(&w->days, day, &first, &last);
    w->days_min_ms = first * DAY_LIST_DAY_MS;
    w->days_max_ms = last * DAY_LIST_DAY_MS + DAY_LIST_DAY_MS - 1;
    return true;
}

// --- series --------------------------------------------------------------------------------------

Status metrics_shard_add_locked(MetricsShard *shard, LabelsHash hash, const LabelSet *labels,
                                uint32_t *series, Err *err)
{
    int64_t floor_ms = shard->floor_ms;
    if (shard->previous != NULL) {
        const uint32_t before = metrics_registry_find(shard->previous, hash);
        if (before < METRICS_SERIES_ALIAS) {
            floor_ms =
                METRICS_AT(const MetricsSeriesEntry, &shard->previous->series, before)->floor_ms;
        }
    }
    return metrics_registry_add(shard->registry, hash, labels, floor_ms, series, err);
}

void metrics_hot_raise_floor(MetricsHot *hot, int64_t floor_ms)
{
    for (uint32_t i = 0; i < METRICS_SHARDS; i++) {
        MetricsShard *shard = &hot->shards[i];
        mutex_lock(&shard->mu);
        if (floor_ms > shard->external_floor_ms) {
            shard->external_floor_ms = floor_ms;
        }
        mutex_unlock(&shard->mu);
    }
}

// --- windows -------------------------------------------------------------------------------------

// What the window holds counts as older from now on.
static void raise_floors_locked(MetricsShard *shard) REQUIRES(shard->mu)
{
    const MetricsWindow *w = shard->window;
    const MetricsRegistry *r = shard->registry;
    for (uint32_t i = 0; i < r->series_count;) {
        const MetricsArrayPlace p = metrics_array_place(i, METRICS_ARRAY_FIRST_LOG);
        const uint32_t left = p.chunk_len - p.offset;
        const uint32_t count = left < r->series_count - i ? left : r->series_count - i;
        const MetricsEntry *entries = w->entries.chunks[p.chunk];
        MetricsSeriesEntry *series = r->series.chunks[p.chunk];
        for (uint32_t k = 0; entries != NULL && k < count; k++) {
            if (entries[k].tail != 0 && entries[k].last_ms > series[k].floor_ms) {
                series[k].floor_ms = entries[k].last_ms;
            }
        }
        i += count;
    }
    if (w->max_ms > shard->floor_ms) {
        shard->floor_ms = w->max_ms;
    }
}

MetricsWindow *metrics_hot_seal(MetricsHot *hot, uint32_t shard_index)
{
    MetricsShard *shard = &hot->shards[shard_index];
    MetricsRegistry *dropped = NULL;
    mutex_lock(&shard->mu);
    MetricsWindow *w = shard->window;
    if (w->series_count == 0) {
        mutex_unlock(&shard->mu);
        return NULL;
    }
    raise_floors_locked(shard);
    mutex_lock(&hot->days_mu);
    for (size_t i = 0; i < w->days.count; i++) {
        day_list_remove(&hot->days, w->days.days[i]);
    }
    mutex_unlock(&hot->days_mu);
    w->series_limit = shard->registry->series_count;
    shard->late_count += w->late_series;
    shard->overwritten_count += w->overwritten_count;
    // While frames are replayed, their series numbers lead to series of this registry.
    if (w->series_limit > REGISTRY_KEEP_SERIES && w->series_count < w->series_limit / 2 &&
        shard->replay.pages == NULL) {
        dropped = shard->previous;
        shard->previous = shard->registry;
        shard->registry = registry_new(hot);
    }
    shard->window = metrics_window_new(shard, shard->registry, window_id_next(shard));
    // Release: pairs with metrics_window_lock().
    atomic_store_explicit(&w->sealed, true, memory_order_release);
    mutex_unlock(&shard->mu);
    metrics_registry_unref(dropped);
    return w;
}

MetricsWindow *metrics_hot_active(MetricsHot *hot, uint32_t shard_index)
{
    MetricsShard *shard = &hot->shards[shard_index];
    mutex_lock(&shard->mu);
    MetricsWindow *w = metrics_window_ref(shard->window);
    mutex_unlock(&shard->mu);
    return w;
}

void metrics_window_flushed(MetricsWindow *w)
{
    MetricsShard *shard = w->shard;
    MetricsRegistry *dropped = NULL;
    mutex_lock(&shard->mu);
    if (shard->previous == w->registry) {
        dropped = shard->previous;
        shard->previous = NULL;
    }
    mutex_unlock(&shard->mu);
    metrics_registry_unref(dropped);
}

void metrics_window_info(const MetricsWindow *w, MetricsWindowInfo *out)
{
    const bool locked = metrics_window_lock(w);
    *out = (MetricsWindowInfo){
        .shard = w->shard->index,
        .sealed = !locked,
        .first_sequence = w->first_sequence,
        .last_sequence = w->last_sequence,
        .row_count = w->row_count,
        .series_count = w->series_count,
        .overlap_series = w->overlap_series,
        .late_series = w->late_series,
        .min_ms = w->min_ms,
        .max_ms = w->max_ms,
        .size_bytes = w->size_bytes,
        .histogram_count = w->histogram_count,
        .start_count = w->start_count,
        .record_bytes = w->records.used_bytes,
    };
    metrics_window_unlock(w, locked);
}

// --- figures -------------------------------------------------------------------------------------

uint64_t metrics_hot_bytes(const MetricsHot *hot)
{
    // Relaxed: a figure.
    return atomic_load_explicit(&hot->memory.bytes, memory_order_relaxed);
}

void metrics_hot_figures(MetricsHot *hot, MetricsHotFigures *out)
{
    *out = (MetricsHotFigures){.size_bytes = metrics_hot_bytes(hot)};
    for (uint32_t i = 0; i < METRICS_SHARDS; i++) {
        MetricsShard *shard = &hot->shards[i];
        mutex_lock(&shard->mu);
        out->series += shard->window->series_count;
        out->rows += shard->window->row_count;
        out->registered_series += shard->registry->series_count;
        out->late_series += shard->late_count + shard->window->late_series;
        out->samples_overwritten += shard->overwritten_count + shard->window->overwritten_count;
        mutex_unlock(&shard->mu);
    }
}

void metrics_hot_schema(MetricsHot *hot, Arena *arena, Schema *out, size_t *label_count)
{
    // Relaxed: who asks took the windows before, and with them the lock under which the rows came.
    const MetricsDirectory *d = &hot->directory;
    const bool has_histograms = atomic_load_explicit(&d->has_histograms, memory_order_relaxed);
    const bool has_starts = atomic_load_explicit(&d->has_starts, memory_order_relaxed);
    const uint32_t count = metrics_directory_count(&hot->directory);
    Field *fields = arena_new(arena, Field, count + 5);
    size_t n = 0;
    fields[n++] = (Field){STR("timestamp"), COLUMN_TIMESTAMP, false};
    fields[n++] = (Field){STR("metric_name"), COLUMN_STRING, false};
    fields[n++] = (Field){STR("value"), COLUMN_DOUBLE, has_histograms};
    for (uint32_t i = METRICS_COLUMN_NAME + 1; i < count; i++) {
        fields[n++] = (Field){arena_str(arena, hot->directory.names[i]), COLUMN_STRING, true};
    }
    fields[n++] = (Field){STR("labels"), COLUMN_MAP, true};
    if (has_histograms) {
        fields[n++] = (Field){STR(METRICS_HISTOGRAM), COLUMN_BINARY, true};
    }
    if (has_starts) {
        fields[n++] = (Field){STR(METRICS_START), COLUMN_TIMESTAMP, true};
    }
    *out = (Schema){.fields = fields, .count = n};
    *label_count = count - 1;
}
