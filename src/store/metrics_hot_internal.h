// SPDX-License-Identifier: Apache-2.0
//
// The hot tier's inside: what append (metrics_append.c), replay (metrics_replay.c) and the windows'
// life (metrics_hot.c) share.
#pragma once

#include "base/buf.h"
#include "store/metrics_window_internal.h"

enum { METRICS_FRAME_EXTENDED = 0x80 }; // bit of a frame's first byte: it has extended samples
#define METRICS_FRAME_START (UINT64_C(1) << 32) // in what stands for a value: a start follows

// A series of a batch on its way to a shard.
typedef struct MetricsItem {
    LabelsHash hash;
    uint32_t series; // of the batch
    bool again;      // it was applied already, and is only to come after another one
} MetricsItem;

// A canonical hash, and the first series of the batch that came in another form.
typedef struct MetricsFirst {
    LabelsHash hash;
    uint32_t series_plus_1; // 0: an empty slot
} MetricsFirst;

// Memory of one append call, kept for the next one.
typedef struct MetricsScratch MetricsScratch;
struct MetricsScratch {
    MetricsScratch *next;
    MetricsItem *items; // in the order of the batch, then of shards
    MetricsItem *grouped;
    size_t items_cap, grouped_cap;
    MetricsItem *deferred; // of another shard than their bytes' hash says, see metrics_append.c
    size_t deferred_count, deferred_cap;
    MetricsFirst *firsts; // hash table of `deferred`
    size_t first_count;   // slots, a power of two
    int64_t *timestamps;  // of a series whose samples are not all plain or were not all kept
    double *values;
    MetricsExtra *extras;
    size_t timestamps_cap, values_cap, extras_cap;
    Buf frame;
    uint32_t *labelled; // series whose labels `frame` has
    size_t labelled_count, labelled_cap;
    Buf canonical;
    Arena labels;
};

struct MetricsHot {
    MetricsMemory memory;
    LabelsKey key;
    LabelLimits limits;
    MetricsLog log;
    MetricsDirectory directory;
    Os *os; // for the limits of age; 0: none
    int64_t max_age_ms, max_future_ms;
    Mutex days_mu;
    DayList days;          // days_mu: of the active windows of all shards
    _Atomic uint32_t turn; // of which shard an append starts with
    Mutex scratch_mu;
    MetricsScratch *scratch; // scratch_mu: free ones
    MetricsShard shards[METRICS_SHARDS];
};

static inline uint32_t metrics_hash_shard(LabelsHash hash)
{
    static_assert(METRICS_SHARDS == 16, "the top four bits");
    return (uint32_t)(hash.hi >> 60);
}

// A series that the registry does not know yet: its floor comes from the registry before, if that
// one knows it.
Status metrics_shard_add_locked(MetricsShard *shard, LabelsHash hash, const LabelSet *labels,
                                uint32_t *series, Err *err) REQUIRES(shard->mu);

// Takes in the day of a sample that comes to the active window. False when it would be one more
// than `max` in the active windows of all shards.
bool metrics_shard_day_locked(MetricsShard *shard, int64_t ms, size_t max) REQUIRES(shard->mu);

void metrics_scratch_free(MetricsScratch *scratch);

void metrics_replay_clear(MetricsReplayMap *map);
