// SPDX-License-Identifier: Apache-2.0
//
// The samples of one shard between two seals, and the shard itself. For the hot tier's own files.
//
// A window has an entry of 16 bytes for each series of its registry and, for those with samples, a
// chain of chunks from the newest to the oldest. Chunks come from slabs that the window owns, so
// dropping a window is a few frees. A chunk keeps timestamps as 32-bit distances from its first,
// so a sample costs 12 bytes; one that is further away starts a chunk of its own. What stands for
// the value of a sample that is more than a float: metrics_extra_internal.h.
//
//   chunk, `cap` samples, 16-byte aligned (a chunk of 4 is one cache line)
//     0   uint32_t prev      the chunk before, 0: none
//     4   uint32_t before    samples in the chunks before
//     8   int64_t  base      timestamp of the first sample, times 256, plus log2 of cap
//     16  int32_t  dt[cap]   timestamps minus base
//         double   value[cap]
//
// An active window is guarded by its shard's mutex. A sealed one never changes: its readers need no
// lock.
#pragma once

#include "store/day_list.h"
#include "store/metrics_registry_internal.h"

enum {
    METRICS_SLAB_LOG = 18,
    METRICS_SLAB_BYTES = 1 << METRICS_SLAB_LOG,
    METRICS_CHUNK_HEADER_BYTES = 16,
    METRICS_CHUNK_SAMPLES_MIN = 4,
    METRICS_CHUNK_SAMPLES_MAX = 128,
    // Flags of an entry.
    METRICS_ENTRY_LOGGED = 1,   // the WAL frames of this window have the series' labels
    METRICS_ENTRY_LATE = 2,     // samples are not in order, or not unique
    METRICS_ENTRY_OVERLAP = 4,  // a sample may rewrite one of an older window or file
    METRICS_ENTRY_EXTENDED = 8, // some values are addresses of records
};

typedef struct MetricsEntry {
    int64_t last_ms; // the greatest timestamp
    uint32_t tail;   // newest chunk; 0: the series has no samples in this window
    uint8_t used;    // samples in the tail
    uint8_t room;    // and how many more fit
    uint16_t flags;
} MetricsEntry;

typedef struct MetricsShard MetricsShard;

struct MetricsWindow {
    _Atomic uint32_t refs;
    _Atomic bool sealed; // set under the lock; release, so that who sees it may read without
    MetricsShard *shard;
    MetricsRegistry *registry; // a reference
    uint64_t id;               // stands in WAL frames
    // mu of the shard until sealed:
    MetricsArray entries; // MetricsEntry by series of the registry
    uint8_t **slabs;
    size_t slab_count, slab_cap;
    uint32_t slab_used;    // bytes of the newest slab
    uint32_t series_limit; // series of the registry when the window was sealed
    uint64_t series_count, row_count, late_series, overlap_series, overwritten_count;
    int64_t min_ms, max_ms;
    DayList days; // of its samples
    // Days that follow each other, all of them in `days`; min > max: none.
    int64_t days_min_ms, days_max_ms;
    uint64_t first_sequence, last_sequence;
    uint64_t size_bytes;
    Arena records;                         // of extended samples
    uint64_t histogram_count, start_count; // records made with a histogram, with a start
};

typedef struct MetricsReplayMap { // series by the numbers that the frames of one old window use
    uint64_t window_id;
    uint32_t **pages; // series + 1 by number, 0: none; NULL: the map is not in use
} MetricsReplayMap;

struct MetricsShard {
    Mutex mu;
    MetricsHot *hot;
    uint32_t index;
    // mu:
    MetricsRegistry *registry; // of the active window
    MetricsRegistry *previous; // the one before, until its last window is flushed: its floors count
    MetricsWindow *window;
    int64_t floor_ms;                       // for series that are in neither
    int64_t external_floor_ms;              // for all series
    uint64_t id_state;                      // of window ids
    uint64_t late_count, overwritten_count; // of sealed windows
    MetricsReplayMap replay;
};

// An empty window over `registry`, of which it takes a reference.
MetricsWindow *metrics_window_new(MetricsShard *shard, MetricsRegistry *registry, uint64_t id);

static inline const MetricsEntry *metrics_window_entry(const MetricsWindow *w, uint32_t series)
{
    static const MetricsEntry none = {0};
    const MetricsArrayPlace p = metrics_array_place(series, METRICS_ARRAY_FIRST_LOG);
    const MetricsEntry *entries = w->entries.chunks[p.chunk];
    return entries == NULL ? &none : &entries[p.offset];
}

// The entry of a series, made when the window has none.
MetricsEntry *metrics_window_entry_put(MetricsWindow *w, uint32_t series);

// The same, quick when the entry is there already.
static inline MetricsEntry *metrics_window_entry_at(MetricsWindow *w, uint32_t series)
{
    const MetricsArrayPlace p = metrics_array_place(series, METRICS_ARRAY_FIRST_LOG);
    MetricsEntry *entries = w->entries.chunks[p.chunk];
    return entries != NULL ? &entries[p.offset] : metrics_window_entry_put(w, series);
}

typedef struct MetricsChunk {
    uint32_t prev, before;
    int64_t base; // ms
    uint32_t cap;
    int32_t *dt;
    double *values;
} MetricsChunk;

static inline uint8_t *metrics_window_chunk_bytes(const MetricsWindow *w, uint32_t chunk)
{
    enum { UNITS_LOG = METRICS_SLAB_LOG - 4 };
    return w->slabs[chunk >> UNITS_LOG] + (size_t)(chunk & ((1U << UNITS_LOG) - 1)) * 16;
}

// Fetches the place of the next sample of `series`, whose entry is at hand.
static inline void metrics_window_prefetch_tail(const MetricsWindow *w, uint32_t series)
{
    const MetricsEntry *e = metrics_window_entry(w, series);
    if (e->tail == 0) {
        return;
    }
    // The tail's capacity is `used + room`: no need to wait for its header.
    const uint8_t *p = metrics_window_chunk_bytes(w, e->tail);
    const uint32_t cap = (uint32_t)e->used + e->room;
    __builtin_prefetch(p, 0);
    if (cap > METRICS_CHUNK_SAMPLES_MIN) {
        __builtin_prefetch(p + METRICS_CHUNK_HEADER_BYTES + (size_t)e->used * 4, 1);
        __builtin_prefetch(p + METRICS_CHUNK_HEADER_BYTES + (size_t)cap * 4 + (size_t)e->used * 8,
                           1);
    }
}

static inline MetricsChunk metrics_window_chunk(const MetricsWindow *w, uint32_t chunk)
{
    uint8_t *p = metrics_window_chunk_bytes(w, chunk);
    const int64_t packed = *(int64_t *)(void *)(p + 8);
    const uint32_t cap = UINT32_C(1) << (packed & 0xff);
    return (MetricsChunk){
        .prev = *(uint32_t *)(void *)p,
        .before = *(uint32_t *)(void *)(p + 4),
        .base = packed >> 8,
        .cap = cap,
        .dt = (int32_t *)(void *)(p + METRICS_CHUNK_HEADER_BYTES),
        .values = (double *)(void *)(p + METRICS_CHUNK_HEADER_BYTES + (size_t)cap * 4),
    };
}

static inline uint32_t metrics_window_samples(const MetricsWindow *w, const MetricsEntry *e)
{
    return e->tail == 0 ? 0 : metrics_window_chunk(w, e->tail).before + e->used;
}

// The slow half of metrics_window_append(): first samples, full chunks, late samples, rewrites.
void metrics_window_append_slow(MetricsWindow *w, uint32_t series, MetricsEntry *e, int64_t ms,
                                double value);

// Appends a sample, ms in METRICS_TIMESTAMP_MIN_MS..MAX_MS. Does not keep row_count, min_ms and
// max_ms: the caller adds them up for a batch (rewrites count in overwritten_count).
static inline void metrics_window_append(MetricsWindow *w, uint32_t series, MetricsEntry *e,
                                         int64_t ms, double value)
{
    if (e->room != 0 && ms > e->last_ms) {
        const MetricsChunk c = metrics_window_chunk(w, e->tail);
        const int64_t dt = ms - c.base;
        if (dt == (int32_t)dt) {
            c.dt[e->used] = (int32_t)dt;
            c.values[e->used] = value;
            e->used++;
            e->room--;
            e->last_ms = ms;
            return;
        }
    }
    metrics_window_append_slow(w, series, e, ms, value);
}

// Copies all samples of a series in the order in which they were appended: µs and values, room for
// metrics_window_samples() each.
void metrics_window_read(const MetricsWindow *w, const MetricsEntry *e, int64_t *us,
                         double *values);

// Sorts samples by time, keeping the last of those with equal times; returns how many are left.
size_t metrics_samples_sort(int64_t *us, double *values, size_t count);

// Locks the shard of a window that is not sealed yet; returns whether it did.
bool metrics_window_lock(const MetricsWindow *w) NO_LOCK_CHECKS;
void metrics_window_unlock(const MetricsWindow *w, bool locked) NO_LOCK_CHECKS;
