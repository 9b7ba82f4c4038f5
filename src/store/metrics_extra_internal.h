// SPDX-License-Identifier: Apache-2.0
//
// Extended samples: those with more than a timestamp and a value, which are native histograms and
// samples with a start timestamp. For the hot tier's own files.
//
// An extended sample is a *record* in the arena of its window. It has its place in the chunks like
// any other sample; the 8 bytes that hold the value of a float hold the record's address there,
// under 16 bits that no other value has. A float whose own bits begin like that becomes a record
// too, so every value comes back bit for bit. So order, late samples, rewrites and windows are
// dealt with once for all kinds of samples, the last write wins between them as well, and series
// without extended samples pay nothing. (Addresses of user space have at most 47 bits on x86-64 and
// 48 on arm64, unless a process asks for more.)
//
// A record never moves nor changes, and lives as long as its window: what a reader copied out of
// chunks under the lock it may follow without.
#pragma once

#include "column/vector.h"
#include "series/histogram.h"
#include "store/metrics_window_internal.h"

#define METRICS_RECORD_MARK UINT64_C(0xFFFC000000000000)

typedef struct MetricsRecord {
    int64_t start_ms; // INT64_MIN: none
    double value;     // of a float
    uint32_t blob_len;
    uint8_t blob[]; // blob_len bytes; none: a float
} MetricsRecord;

static inline uint64_t metrics_slot_bits(double slot)
{
    uint64_t bits;
    memcpy(&bits, &slot, sizeof(bits));
    return bits;
}

static inline bool metrics_slot_is_record(double slot)
{
    return metrics_slot_bits(slot) >> 48 == METRICS_RECORD_MARK >> 48;
}

static inline const MetricsRecord *metrics_slot_record(double slot)
{
    return (const MetricsRecord *)(uintptr_t)(metrics_slot_bits(slot) & ~METRICS_RECORD_MARK);
}

static inline bool metrics_extra_is_plain(const MetricsExtra *extra)
{
    return extra->histogram.len == 0 && extra->start_ms == INT64_MIN;
}

// What goes into a chunk for a sample of the series of `e`: the value itself when that can be, else
// the address of a record made for it. `extra` may be NULL. With the shard's lock held.
double metrics_window_slot(MetricsWindow *w, MetricsEntry *e, double value,
                           const MetricsExtra *extra);

// How many of slots[0..count) to take so that their histograms have no more than `bytes_max` bytes
// together, but for the first: at least one is taken. Adds their bytes to *bytes.
uint32_t metrics_slots_fit(const double *slots, uint32_t count, uint64_t bytes_max,
                           uint64_t *bytes);

// --- vectors -------------------------------------------------------------------------------------

// The columns of a batch that extended samples have. Keeps its memory from batch to batch; the
// vectors borrow from it and from `values` until the next resolve.
typedef struct MetricsExtras {
    double *values; // of the caller
    uint32_t row_count;
    bool has_histograms, has_starts;               // in this batch
    uint64_t *is_float, *is_histogram, *has_start; // by row
    uint32_t *offsets;
    int64_t *starts_us;
    size_t words_cap, offsets_cap, starts_cap;
    Buf blobs;
} MetricsExtras;

void metrics_extras_deinit(MetricsExtras *x); // accepts a zeroed one
// Looks at the rows of a batch: values[0..row_count) are slots, and become values in place (NaN
// where there is a histogram). `extended`: there may be records among them. The histograms' bytes
// fit one vector, see metrics_slots_fit().
void metrics_extras_resolve(MetricsExtras *x, double *values, uint32_t row_count, bool extended);
Vector metrics_extras_values(const MetricsExtras *x);
Vector metrics_extras_histograms(const MetricsExtras *x);
Vector metrics_extras_starts(const MetricsExtras *x);
