// SPDX-License-Identifier: Apache-2.0
//
// Chunks of samples as Prometheus keeps and streams them: XOR chunks of floats (after Pelkonen et
// al., "Gorilla", VLDB 2015, with milliseconds) and float histogram chunks. Written only: remote
// read sends them. Formats: tsdb/docs/format/chunks.md of Prometheus. Pure functions, any thread.
#pragma once

#include "base/buf.h"
#include "series/histogram.h"

enum { PROM_CHUNK_SAMPLES_MAX = 120 };

typedef enum PromChunkEncoding { // as in prompb's Chunk.Encoding
    PROM_CHUNK_XOR = 1,
    PROM_CHUNK_FLOAT_HISTOGRAM = 3,
} PromChunkEncoding;

// Append one chunk of the first samples, and return how many it took (at least 1). Timestamps
// ascend. A histogram chunk ends where the buckets change, or a counter goes back.
size_t prom_chunk_floats(const int64_t *timestamps_ms, const double *values, size_t count,
                         Buf *out);
size_t prom_chunk_histograms(const int64_t *timestamps_ms, const Histogram *const *histograms,
                             size_t count, Buf *out);
