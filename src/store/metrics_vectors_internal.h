// SPDX-License-Identifier: Apache-2.0
//
// Building the vectors of a batch: columns whose value changes from series to series become runs.
// For the hot tier's own files. Each builder keeps its memory from batch to batch; the vectors it
// gives out borrow from it until it is cleared.
#pragma once

#include "base/buf.h"
#include "column/vector.h"
#include "store/metrics_dict_internal.h"
#include "store/metrics_hot.h"

enum { METRICS_TEXT_BYTES_MAX = 0x7fffffff }; // of one vector

// Runs of codes, or of nulls, over a dictionary.
typedef struct MetricsRuns {
    uint32_t *ends;
    uint32_t *codes; // of runs that are not null
    uint64_t *validity;
    size_t cap, count;
    bool has_null;
    Vector inner; // what the vector's `runs` points at
} MetricsRuns;

void metrics_runs_deinit(MetricsRuns *r);

static inline void metrics_runs_clear(MetricsRuns *r)
{
    r->count = 0;
    r->has_null = false;
}

void metrics_runs_grow(MetricsRuns *r);

// The rows up to `end` have this code (METRICS_CODE_NONE: null). A run like the last one extends
// it.
static inline void metrics_runs_add(MetricsRuns *r, uint32_t code, uint32_t end)
{
    if (r->count != 0 && r->codes[r->count - 1] == code) {
        r->ends[r->count - 1] = end;
        return;
    }
    if (r->count == r->cap) {
        metrics_runs_grow(r);
    }
    r->ends[r->count] = end;
    r->codes[r->count] = code;
    r->has_null = r->has_null || code == METRICS_CODE_NONE;
    r->count++;
}

// The rows as a vector over `dict`. No more runs can be added before the next clear.
Vector metrics_runs_vector(MetricsRuns *r, const Vector *dict);

// Runs of strings of their own, or of nulls.
typedef struct MetricsTexts {
    MetricsRuns runs;  // codes: 0 for a string
    uint32_t *offsets; // of runs, count + 1
    size_t offsets_cap;
    Buf bytes;
    Str last; // the newest string, where it was taken from
    Vector inner;
} MetricsTexts;

void metrics_texts_deinit(MetricsTexts *x);
void metrics_texts_clear(MetricsTexts *x);
// The rows up to `end` have this string, or null when `s.ptr` is NULL; `s` stays where it is until
// the next call. False when the batch holds all the bytes that a vector can: then nothing was
// added.
bool metrics_texts_add(MetricsTexts *x, Str s, uint32_t end);
Vector metrics_texts_vector(MetricsTexts *x);

// Runs of maps, or of nulls.
typedef struct MetricsMaps {
    MetricsRuns runs;
    uint32_t *offsets;
    size_t offsets_cap;
    MetricsTexts keys, values; // one "row" per pair
    uint32_t pair_count;
    Vector inner, key_vector, value_vector;
} MetricsMaps;

void metrics_maps_deinit(MetricsMaps *m);
void metrics_maps_clear(MetricsMaps *m);
// The rows up to `end` have this map, keys sorted; null when `count` is 0. False as above.
bool metrics_maps_add(MetricsMaps *m, const Str *keys, const Str *values, size_t count,
                      uint32_t end);
Vector metrics_maps_vector(MetricsMaps *m);

// Runs of days of timestamps in µs.
typedef struct MetricsDays {
    MetricsRuns runs;
    int32_t *days;
    size_t days_cap;
    Vector inner;
} MetricsDays;

void metrics_days_deinit(MetricsDays *d);
Vector metrics_days_vector(MetricsDays *d, const int64_t *us, uint32_t row_count);

#define METRICS_DAY_US INT64_C(86400000000)

// A range of days, both ends inclusive, as a range of timestamps; INT64_MIN and MAX stay what they
// are.
void metrics_day_range_us(int64_t *low, int64_t *high);

// The day of a timestamp, rounded down.
static inline int32_t metrics_day_of_us(int64_t us)
{
    return (int32_t)(us >= 0 ? us / METRICS_DAY_US
                             : -((-us + METRICS_DAY_US - 1) / METRICS_DAY_US));
}

// Rows per day of a range of days, in two kinds: at most 3.7 million pairs for the years 1 to
// 9999, of which only pages with days in them take memory.
typedef struct MetricsDayCounts {
    int32_t first, last;
    uint64_t *rows; // 2 * (day - first) + kind
} MetricsDayCounts;

// None: first > last.
void metrics_day_counts_init(MetricsDayCounts *d, int32_t first, int32_t last);
void metrics_day_counts_deinit(MetricsDayCounts *d);

// Days outside of the range are ignored.
static inline void metrics_day_counts_add(MetricsDayCounts *d, int32_t day, uint32_t kind,
                                          uint64_t rows)
{
    if (day >= d->first && day <= d->last) {
        d->rows[2 * (size_t)(day - d->first) + kind] += rows;
    }
}

static inline uint64_t metrics_day_counts_get(const MetricsDayCounts *d, int32_t day, uint32_t kind)
{
    return d->rows[2 * (size_t)(day - d->first) + kind];
}
