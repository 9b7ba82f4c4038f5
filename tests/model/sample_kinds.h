// SPDX-License-Identifier: Apache-2.0
//
// For tests of `metrics` against naive versions, which keep a value per sample and nothing else:
// whether a sample is a histogram or has a start timestamp, and what is in these, follows from its
// value. So whatever is read can be checked, and led back to the value.
#pragma once

#include "base/arena.h"
#include "base/rng.h"
#include "store/store.h"

typedef enum SampleKind {
    SAMPLE_FLOAT,
    SAMPLE_FLOAT_START,
    SAMPLE_HISTOGRAM,
    SAMPLE_HISTOGRAM_START,
} SampleKind;

// Half of all values are plain floats.
static inline SampleKind sample_kind(uint64_t value)
{
    Rng rng = {.state = value};
    const uint64_t kind = rng_next(&rng) % 6;
    return kind < 3 ? SAMPLE_FLOAT : (SampleKind)(kind - 2);
}

static inline bool sample_has_start(uint64_t value)
{
    const SampleKind kind = sample_kind(value);
    return kind == SAMPLE_FLOAT_START || kind == SAMPLE_HISTOGRAM_START;
}

static inline bool sample_is_histogram(uint64_t value)
{
    const SampleKind kind = sample_kind(value);
    return kind == SAMPLE_HISTOGRAM || kind == SAMPLE_HISTOGRAM_START;
}

static inline int64_t sample_start_ms(int64_t timestamp_ms, uint64_t value)
{
    return timestamp_ms - (int64_t)(value % 100000) * 997;
}

// Bytes that stand for a histogram: the value, then more that follow from it.
static inline Bytes sample_blob(uint64_t value, Arena *arena)
{
    Rng rng = {.state = ~value};
    const size_t len = 8 + rng_next(&rng) % 100 * (rng_next(&rng) % 8 == 0 ? 20 : 1);
    uint8_t *blob = arena_new(arena, uint8_t, len);
    for (size_t i = 0; i < len; i++) {
        blob[i] = (uint8_t)rng_next(&rng);
    }
    memcpy(blob, &value, sizeof(value));
    return (Bytes){blob, len};
}

// What to write for the value.
static inline MetricsExtra sample_extra(int64_t timestamp_ms, uint64_t value, Arena *arena)
{
    return (MetricsExtra){
        .histogram = sample_is_histogram(value) ? sample_blob(value, arena) : (Bytes){0},
        .start_ms = sample_has_start(value) ? sample_start_ms(timestamp_ms, value) : INT64_MIN};
}

// What was read of one sample.
typedef struct SampleRow {
    int64_t timestamp_ms;
    bool has_value, has_start;
    uint64_t value; // bits
    int64_t start_ms;
    Bytes histogram; // empty: null
} SampleRow;

// What all rows of a reading have in common: floats only, or all kinds as their values say.
typedef struct SampleKinds {
    bool any_extended; // some row is more than a float
    bool any_reduced;  // some row is less than its value says
} SampleKinds;

// The value the row was written for; panics when it has not what belongs to it.
static inline uint64_t sample_of_row(const SampleRow *row, SampleKinds *kinds, Arena *scratch)
{
    uint64_t value = row->value;
    ASSERT(row->has_value == (row->histogram.len == 0));
    if (row->histogram.len != 0) {
        ASSERT(row->histogram.len >= sizeof(value));
        memcpy(&value, row->histogram.ptr, sizeof(value));
        const Bytes want = sample_blob(value, scratch);
        ASSERT(want.len == row->histogram.len &&
               memcmp(want.ptr, row->histogram.ptr, want.len) == 0);
    }
    ASSERT(!row->has_start || row->start_ms == sample_start_ms(row->timestamp_ms, value));
    kinds->any_extended = kinds->any_extended || row->has_start || row->histogram.len != 0;
    kinds->any_reduced = kinds->any_reduced || row->has_start != sample_has_start(value) ||
                         (row->histogram.len != 0) != sample_is_histogram(value);
    ASSERT(!kinds->any_extended || !kinds->any_reduced);
    return value;
}
