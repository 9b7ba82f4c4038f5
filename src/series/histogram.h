// SPDX-License-Identifier: Apache-2.0
//
// Native histograms: one sample that is a whole distribution. Exponential buckets (schema -4 to 8)
// or custom bounds (schema -53), as in Prometheus. Two forms:
//
//   blob       what is stored and travels: the Histogram message of Prometheus' prompb/types.proto
//              without its timestamp, integer or float as it was sent. Lossless. Hot tier, WAL and
//              Parquet (`histogram` column) hold blobs; histogram_check() is the edge where outside
//              bytes are looked at.
//   Histogram  decoded, for arithmetic: bucket counts absolute, as doubles (Prometheus'
//              FloatHistogram).
//
// A Histogram is immutable once made and lives in an arena with everything it points to. Pure
// functions, any thread.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum {
    HISTOGRAM_SCHEMA_MIN = -4,
    HISTOGRAM_SCHEMA_MAX = 8,
    HISTOGRAM_SCHEMA_CUSTOM = -53,
    HISTOGRAM_SPANS_MAX = 16 << 10,   // of one sign
    HISTOGRAM_BUCKETS_MAX = 64 << 10, // of one sign
    HISTOGRAM_INDEX_MAX = 1 << 30,    // of a bucket, either sign
    HISTOGRAM_BLOB_BYTES_MAX = 1 << 20,
};

typedef enum HistogramHint { // prompb's ResetHint
    HISTOGRAM_HINT_UNKNOWN,
    HISTOGRAM_HINT_RESET,
    HISTOGRAM_HINT_NOT_RESET,
    HISTOGRAM_HINT_GAUGE,
} HistogramHint;

typedef struct HistogramSpan {
    int32_t offset; // buckets left out since the span before (of the first: its index)
    uint32_t length;
} HistogramSpan;

typedef struct HistogramSide { // positive or negative buckets
    const HistogramSpan *spans;
    uint32_t span_count;
    const double *counts; // absolute, one per bucket of the spans
    uint32_t bucket_count;
} HistogramSide;

typedef struct Histogram {
    int32_t schema;
    HistogramHint hint;
    bool is_integer; // as it was sent
    double zero_threshold, zero_count, count, sum;
    HistogramSide positive, negative;
    const double *bounds; // custom upper bounds, ascending; schema -53 only
    uint32_t bound_count;
} Histogram;

typedef struct HistogramTimes { // of the message; 0: not given
    int64_t timestamp_ms;
    int64_t start_ms; // start_timestamp of remote write 2
} HistogramTimes;

// Checks a Histogram message of remote write 1 or 2 (unknown fields allowed) as Prometheus'
// Validate does and appends the blob. *times (may be NULL) gets what the blob does not have. A
// stale marker is a histogram whose sum is the stale NaN.
// ERR_INVALID  says what is wrong, in Prometheus' words where it has some
Status histogram_check(Bytes message, Buf *blob, HistogramTimes *times, Err *err);

// Decodes a blob. ERR_CORRUPT: not a blob.
Status histogram_decode(Bytes blob, Arena *arena, const Histogram **out, Err *err);
// The blob of a histogram; integer form when is_integer and all counts are whole.
void histogram_encode(const Histogram *histogram, Buf *blob);
bool histogram_is_stale(const Histogram *histogram);
