// SPDX-License-Identifier: Apache-2.0
//
// The hot tier of `metrics`: the newest samples, in memory, ready to be asked and to be written
// out in sorted order. 16 shards by label hash; each has a mutex, a *registry* (what is known of
// series) and an active *window* (their samples since the last seal). For `store` only; see
// metrics_scan.h and metrics_run.h for reading.
//
//   append   labels hash -> table slot -> series -> tail chunk; three cache misses, prefetched.
//            Only a label set never seen before is parsed. Frames for the WAL are made under the
//            same lock, so the log of a shard is in the order of its windows.
//   seal     swaps in an empty window; the sealed one is immutable and goes when its last
//            reference does.
//   registry append-only, nothing in it ever moves; it is shared by the windows that follow each
//            other and replaced at a seal after which most of its series are dead, so memory
//            follows the series that are active and never those that ever were.
//
// Threads: everything may be called from any thread, but for metrics_hot_new() and
// metrics_hot_free(). Windows are reference-counted; they must all be released before
// metrics_hot_free(). Locks: one mutex per shard, one for the label directory (taken inside a
// shard's), no other calls out than MetricsLog.append.
#pragma once

#include "store/store.h"

enum {
    METRICS_SHARDS = WAL_SHARDS,
    METRICS_SHARD_SERIES_MAX = 1 << 28, // of one registry; past it new series are refused
    METRICS_FRAME_BYTES = 8 << 20,      // a frame is closed when it passes this
    METRICS_LABEL_COLUMNS_MAX = 900,    // hard limit of label_columns_max
};

// What a timestamp in milliseconds may be: years 0001 to 9999, so that microseconds and dates
// exist.
#define METRICS_TIMESTAMP_MIN_MS INT64_C(-62135596800000)
#define METRICS_TIMESTAMP_MAX_MS INT64_C(253402300799999)

typedef struct MetricsHot MetricsHot;
typedef struct MetricsWindow MetricsWindow;

// Where frames go: called with the lock of `shard` held, in the order of the samples. Sets
// *sequence (ascending per shard, never 0). `payload` is borrowed, at most WAL_FRAME_BYTES_MAX
// bytes, in the format of docs/formats/wal_metrics.md.
typedef struct MetricsLog {
    Status (*append)(void *ctx, uint32_t shard, Bytes payload, uint64_t *sequence, Err *err);
    void *ctx;
} MetricsLog;

typedef struct MetricsHotOptions {
    LabelsKey key;
    LabelLimits limits;
    uint32_t label_columns_max; // 0: 200
    // The table's schema: its STRING columns that are not reserved are the label columns that exist
    // already. Copied; NULL when the table is new.
    const Schema *schema;
    int64_t floor_ms; // the greatest timestamp of the table's files; INT64_MIN when it has none
    // The clock for max_age_ms and max_future_ms; not used when both are 0: no limit.
    Os *os;
    int64_t max_age_ms, max_future_ms;
    // Random; sets apart the windows of this process from those of earlier ones in the WAL.
    uint64_t nonce;
    MetricsLog log; // append may be NULL: nothing is logged
} MetricsHotOptions;

MetricsHot *metrics_hot_new(const MetricsHotOptions *options);
void metrics_hot_free(MetricsHot *hot); // accepts NULL

// --- writing -------------------------------------------------------------------------------------

// Applies what is valid and logs it; *sequence is the greatest sequence it got (0: nothing was
// logged). What is not valid is counted in *result, its first error described. A failure of the
// log is returned at once; some samples may have been applied and logged by then.
// ERR_LIMIT  METRICS_SHARD_SERIES_MAX
Status metrics_hot_append(MetricsHot *hot, const MetricsBatch *batch, MetricsResult *result,
                          uint64_t *sequence, Err *err);

typedef struct MetricsReplay {
    uint64_t samples;
    uint64_t samples_unknown; // of series whose first frame was lost: they could not be kept
} MetricsReplay;

// Applies a frame of the WAL to the active window of `shard`; adds to *replay. Frames of a shard
// come in their order. The window counts as not logged by this process: what is appended later
// logs labels again.
// ERR_CORRUPT  the payload is not a metrics frame; samples before the bad byte were applied
Status metrics_hot_replay(MetricsHot *hot, uint32_t shard, uint64_t sequence, Bytes payload,
                          MetricsReplay *replay, Err *err);

// The greatest timestamp that files hold rose to `floor_ms` other than by flushing windows of this
// hot tier (files of another writer appeared).
void metrics_hot_raise_floor(MetricsHot *hot, int64_t floor_ms);

// --- windows -------------------------------------------------------------------------------------

// Takes the active window of `shard` and puts an empty one in its place. NULL when it holds
// nothing.
MetricsWindow *metrics_hot_seal(MetricsHot *hot, uint32_t shard);
// The active window of `shard`, as a new reference; it goes on growing until it is sealed.
MetricsWindow *metrics_hot_active(MetricsHot *hot, uint32_t shard);

MetricsWindow *metrics_window_ref(MetricsWindow *window);
void metrics_window_unref(MetricsWindow *window); // accepts NULL; the last one frees the samples
// Its rows are in committed files: the hot tier forgets what it kept of it. The reference stays.
void metrics_window_flushed(MetricsWindow *window);

typedef struct MetricsWindowInfo {
    uint32_t shard;
    bool sealed;
    uint64_t first_sequence, last_sequence; // of its frames; 0: none was logged
    uint64_t row_count;                     // upper bound: duplicates among late samples count
    uint64_t series_count;                  // with samples in this window
    uint64_t overlap_series; // with samples that may rewrite some of an older window or file
    uint64_t late_series;    // with samples that came out of order
    int64_t min_ms, max_ms;  // timestamps; min > max when it is empty
    uint64_t size_bytes;     // of its own memory, without the registry
    // Samples that were given a histogram, a start timestamp: upper bounds, and 0 when there are
    // none.
    uint64_t histogram_count, start_count;
    uint64_t record_bytes; // of size_bytes: what such samples have beside time and value
} MetricsWindowInfo;

void metrics_window_info(const MetricsWindow *window, MetricsWindowInfo *out);

// --- figures -------------------------------------------------------------------------------------

typedef struct MetricsHotFigures {
    uint64_t series, rows;        // of the active windows
    uint64_t registered_series;   // of the current registries
    uint64_t size_bytes;          // everything, sealed windows included
    uint64_t late_series;         // windows' series with late samples, since the start
    uint64_t samples_overwritten; // since the start
} MetricsHotFigures;

void metrics_hot_figures(MetricsHot *hot, MetricsHotFigures *out);
uint64_t metrics_hot_bytes(const MetricsHot *hot); // size_bytes alone: a few atomic loads

// The schema of `metrics` as it stands: timestamp, metric_name, value, the label columns in the
// order in which they came up, labels; then histogram and start_timestamp, each once a sample had
// one. `value` is nullable once there is a histogram. Grows at the end of the label columns
// (`label_count` of them); lives in `arena`. Every label of a row appended before the call is in it
// or belongs to `labels`.
void metrics_hot_schema(MetricsHot *hot, Arena *arena, Schema *out, size_t *label_count);
