// SPDX-License-Identifier: Apache-2.0
#include "store/metrics_window_internal.h"

enum { UNIT = 16, UNITS_LOG = METRICS_SLAB_LOG - 4, ENTRY_CHUNK_MIN = 16 };

static_assert(sizeof(MetricsEntry) == 16, "four entries to a cache line");

MetricsWindow *metrics_window_new(MetricsShard *shard, MetricsRegistry *registry, uint64_t id)
{
    MetricsWindow *w = mem_new(MetricsWindow, 1);
    atomic_init(&w->refs, 1);
    atomic_init(&w->sealed, false);
    w->shard = shard;
    w->registry = metrics_registry_ref(registry);
    w->id = id;
    w->min_ms = INT64_MAX;
    w->max_ms = INT64_MIN;
    w->days_min_ms = INT64_MAX;
    w->days_max_ms = INT64_MIN;
    w->size_bytes = sizeof(*w);
    metrics_memory_add(registry->memory, w->size_bytes);
    return w;
}

MetricsWindow *metrics_window_ref(MetricsWindow *w)
{
    // Relaxed: who adds a reference holds one already.
    atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
    return w;
}

void metrics_window_unref(MetricsWindow *w)
{
    // Release: our reads are done. Acquire, for the last one: so are everybody else's.
    if (w == NULL || atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    for (size_t i = 0; i < w->slab_count; i++) {
        mem_free(w->slabs[i]);
    }
    mem_free(w->slabs);
    arena_deinit(&w->records);
    day_list_deinit(&w->days);
    metrics_array_deinit(&w->entries);
    metrics_memory_sub(w->registry->memory, w->size_bytes);
    metrics_registry_unref(w->registry);
    mem_free(w);
}

NO_LOCK_CHECKS bool metrics_window_lock(const MetricsWindow *w)
{
    // Acquire: pairs with the release store of the seal, after which nothing changes.
    if (atomic_load_explicit(&w->sealed, memory_order_acquire)) {
        return false;
    }
    mutex_lock(&w->shard->mu);
    return true;
}

NO_LOCK_CHECKS void metrics_window_unlock(const MetricsWindow *w, bool locked)
{
    if (locked) {
        mutex_unlock(&w->shard->mu);
    }
}

static void charge(MetricsWindow *w, uint64_t bytes)
{
    w->size_bytes += bytes;
    metrics_memory_add(w->registry->memory, bytes);
}

MetricsEntry *metrics_window_entry_put(MetricsWindow *w, uint32_t series)
{
    uint64_t bytes = 0;
    MetricsEntry *e = metrics_array_put(&w->entries, series, sizeof(*e), &bytes);
    if (bytes != 0) {
        charge(w, bytes);
    }
    return e;
}

// --- appending -----------------------------------------------------------------------------------

static uint32_t chunk_size_bytes(uint32_t cap)
{
    return METRICS_CHUNK_HEADER_BYTES + cap * (uint32_t)(sizeof(int32_t) + sizeof(double));
}

static uint32_t log2_floor(uint32_t v)
{
    return 31 - (uint32_t)__builtin_clz(v | 1);
}

// About three quarters of what the series has already: half-empty tails stay small.
static uint32_t chunk_cap_log(uint32_t total)
{
    const uint32_t log = log2_floor(total - total / 4);
    const uint32_t min = log2_floor(METRICS_CHUNK_SAMPLES_MIN);
    const uint32_t max = log2_floor(METRICS_CHUNK_SAMPLES_MAX);
    return log < min ? min : log > max ? max : log;
}

// A number for a new chunk. 0 is never one: the first unit of the first slab stays unused.
static uint32_t chunk_new(MetricsWindow *w, uint32_t cap)
{
    const uint32_t size = chunk_size_bytes(cap);
    uint32_t at = w->slab_used;
    if (cap == METRICS_CHUNK_SAMPLES_MIN) {
        at = (at + 63) & ~63U;
    }
    if (w->slab_count == 0 || at + size > METRICS_SLAB_BYTES) {
        ASSERT(w->slab_count < UINT32_MAX >> UNITS_LOG);
        w->slabs = mem_grow(w->slabs, &w->slab_cap, w->slab_count + 1, sizeof(*w->slabs));
        w->slabs[w->slab_count++] = mem_alloc_aligned(METRICS_SLAB_BYTES);
        charge(w, METRICS_SLAB_BYTES);
        at = w->slab_count == 1 ? 64 : 0;
    }
    w->slab_used = at + size;
    return (uint32_t)((w->slab_count - 1) << UNITS_LOG) + at / UNIT;
}

// Starts a chunk for the sample and makes it the tail.
static void chunk_start(MetricsWindow *w, MetricsEntry *e, uint32_t cap_log, int64_t ms,
                        double value)
{
    const uint32_t before = metrics_window_samples(w, e);
    const uint32_t cap = UINT32_C(1) << cap_log;
    const uint32_t chunk = chunk_new(w, cap);
    uint8_t *p = metrics_window_chunk_bytes(w, chunk);
    *(uint32_t *)(void *)p = e->tail;
    *(uint32_t *)(void *)(p + 4) = before;
    *(int64_t *)(void *)(p + 8) = ms * 256 + (int64_t)cap_log; // 49 bits and 8
    e->tail = chunk;
    const MetricsChunk c = metrics_window_chunk(w, chunk);
    c.dt[0] = 0;
    c.values[0] = value;
    e->used = 1;
    e->room = (uint8_t)(cap - 1);
}

static void mark(MetricsEntry *e, uint16_t flag, uint64_t *count)
{
    if ((e->flags & flag) == 0) {
        e->flags |= flag;
        (*count)++;
    }
}

static void check_floor(MetricsWindow *w, uint32_t series, MetricsEntry *e, int64_t ms)
{
    const int64_t floor_ms =
        METRICS_AT(const MetricsSeriesEntry, &w->registry->series, series)->floor_ms;
    if (ms <= floor_ms || ms <= w->shard->external_floor_ms) {
        mark(e, METRICS_ENTRY_OVERLAP, &w->overlap_series);
    }
}

void metrics_window_append_slow(MetricsWindow *w, uint32_t series, MetricsEntry *e, int64_t ms,
                                double value)
{
    if (e->tail == 0) {
        w->series_count++;
        check_floor(w, series, e, ms);
        chunk_start(w, e, log2_floor(METRICS_CHUNK_SAMPLES_MIN), ms, value);
        e->last_ms = ms;
        return;
    }
    const MetricsChunk c = metrics_window_chunk(w, e->tail);
    if (ms == e->last_ms && (e->flags & METRICS_ENTRY_LATE) == 0) {
        c.values[e->used - 1] = value; // the last write wins
        w->overwritten_count++;
        return;
    }
    if (ms > e->last_ms) {
        e->last_ms = ms;
    } else {
        mark(e, METRICS_ENTRY_LATE, &w->late_series);
        check_floor(w, series, e, ms);
    }
    const int64_t dt = ms - c.base;
    if (dt != (int32_t)dt) { // 24 days away: what is left of the tail stays empty
        chunk_start(w, e, log2_floor(METRICS_CHUNK_SAMPLES_MIN), ms, value);
    } else if (e->room == 0) {
        chunk_start(w, e, chunk_cap_log(c.before + e->used), ms, value);
    } else {
        c.dt[e->used] = (int32_t)dt;
        c.values[e->used] = value;
        e->used++;
        e->room--;
    }
}

// --- reading -------------------------------------------------------------------------------------

void metrics_window_read(const MetricsWindow *w, const MetricsEntry *e, int64_t *us, double *values)
{
    uint32_t chunk = e->tail;
    uint32_t end = metrics_window_samples(w, e);
    while (chunk != 0) {
        const MetricsChunk c = metrics_window_chunk(w, chunk);
        const uint32_t count = end - c.before;
        const int64_t base_us = c.base * 1000;
        for (uint32_t i = 0; i < count; i++) {
            us[c.before + i] = base_us + (int64_t)c.dt[i] * 1000;
        }
        memcpy(values + c.before, c.values, count * sizeof(double));
        end = c.before;
        chunk = c.prev;
    }
}

// Stable bottom-up merge sort; a and b swap roles each round. Late samples are few and mostly in
// order, so runs that are in order already are only copied.
static void merge_round(const int64_t *us, const double *values, int64_t *us_to, double *values_to,
                        size_t count, size_t width)
{
    for (size_t from = 0; from < count; from += 2 * width) {
        size_t a = from;
        const size_t a_end = from + width < count ? from + width : count;
        size_t b = a_end;
        const size_t b_end = from + 2 * width < count ? from + 2 * width : count;
        for (size_t to = from; to < b_end; to++) {
            const size_t take = b == b_end || (a < a_end && us[a] <= us[b]) ? a++ : b++;
            us_to[to] = us[take];
            values_to[to] = values[take];
        }
    }
}

size_t metrics_samples_sort(int64_t *us, double *values, size_t count)
{
    int64_t *us_other = mem_alloc_raw(count * sizeof(*us));
    double *values_other = mem_alloc_raw(count * sizeof(*values));
    int64_t *us_from = us;
    double *values_from = values;
    int64_t *us_to = us_other;
    double *values_to = values_other;
    for (size_t width = 1; width < count; width *= 2) {
        merge_round(us_from, values_from, us_to, values_to, count, width);
        int64_t *us_swap = us_from;
        us_from = us_to;
        us_to = us_swap;
        double *values_swap = values_from;
        values_from = values_to;
        values_to = values_swap;
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (i + 1 == count || us_from[i] != us_from[i + 1]) {
            us[kept] = us_from[i];
            values[kept] = values_from[i];
            kept++;
        }
    }
    mem_free(us_other);
    mem_free(values_other);
    return kept;
}
