// SPDX-License-Identifier: Apache-2.0
//
// MetricsRun: the series of a set of hot windows in sorted order, and their rows as batches whose
// label columns are runs. This is what a flush writes and what PromQL reads. For `store` only.
//
// Order: metric_name, then the label columns (those asked for, or the ones with fewest values
// first), then the labels without a column, then timestamp; an absent label sorts first, text by
// bytes. The samples of one series from several windows are merged; of equal timestamps the last
// write is kept.
//
// Opening a run takes the time of a radix sort (packed dictionary ranks), not of comparing
// strings. Columns of few values have one merged sorted dictionary for all shards (DICT); those
// where most series have a value of their own are FLAT. An open run is immutable: any number of
// cursors may read it, each with one thread.
#pragma once

#include "store/metrics_hot.h"
#include "store/scan.h"

enum {
    METRICS_RUN_ROWS_MAX = 1 << 20, // of one batch: a Parquet row group
    // Bytes of histograms after which a batch ends: who writes it out holds a copy of them, and a
    // page of a file has to hold those of its rows.
    METRICS_RUN_BLOB_BYTES = 64 << 20,
};

typedef struct MetricsRun MetricsRun;
typedef struct MetricsCursor MetricsCursor;

typedef struct MetricsRunOptions {
    // Oldest first for each shard; the run takes references of its own. Windows that are not
    // sealed are read slice by slice under their shard's lock, and show what they held when the
    // run was opened, or more.
    MetricsWindow *const *windows;
    size_t window_count;
    // What batches look like: `timestamp`, `metric_name`, `value`, `labels`, `date`, `histogram`,
    // `start_timestamp` and label columns (STRING), any of them, in any order. Labels that have no
    // column here are in `labels`. Borrowed until metrics_run_close().
    const Schema *schema;
    // Label columns (indexes in the schema) in sort order; the others follow, fewest values first.
    const size_t *sort_columns;
    size_t sort_column_count;
    // Series that do not meet these are left out (tests on metric_name and label columns; others
    // are ignored: the time range belongs to the cursor). Copied.
    const ScanTest *tests;
    size_t test_count;
} MetricsRunOptions;

// ERR_INVALID  the schema has a column of the wrong type
// ERR_LIMIT    2^31 series or more
Status metrics_run_open(const MetricsRunOptions *options, MetricsRun **out, Err *err);
void metrics_run_close(MetricsRun *run); // after its cursors; accepts NULL

uint64_t metrics_run_series_count(const MetricsRun *run);
uint64_t metrics_run_row_estimate(const MetricsRun *run); // upper bound

// Whether some sample may have a histogram (then some have no value), or a start timestamp.
bool metrics_run_has_histograms(const MetricsRun *run);
bool metrics_run_has_starts(const MetricsRun *run);

// The sort order of the batches: indexes of schema columns, metric_name first, timestamp not
// included.
const size_t *metrics_run_order(const MetricsRun *run, size_t *count);
// Distinct values of a label column (or metric_name) over all series of the run; an estimate for
// FLAT columns.
uint64_t metrics_run_cardinality(const MetricsRun *run, size_t column);

typedef struct MetricsRunDay {
    int32_t day; // since 1970-01-01, UTC
    // Upper bounds: of series without and with the overlap mark.
    uint64_t row_count, overlap_row_count;
} MetricsRunDay;

// The days that have samples, ascending; one pass over all samples, lives in `arena`.
void metrics_run_days(MetricsRun *run, Arena *arena, MetricsRunDay **out, size_t *count);

typedef enum MetricsOverlap {
    METRICS_ALL_SERIES,
    // Series none of whose samples can rewrite one in an older window or file.
    METRICS_WITHOUT_OVERLAP,
    METRICS_ONLY_OVERLAP, // the others
} MetricsOverlap;

typedef struct MetricsCursorOptions {
    int64_t min_ms, max_ms; // both inclusive; (0, 0) means all
    MetricsOverlap overlap;
    uint32_t rows_max; // of a batch; 0: METRICS_RUN_ROWS_MAX
    // Part of the run, in its order; series_count 0: to the end.
    uint64_t series_first, series_count;
} MetricsCursorOptions;

MetricsCursor *metrics_cursor_new(MetricsRun *run, const MetricsCursorOptions *options);
void metrics_cursor_free(MetricsCursor *cursor); // accepts NULL
// The next batch: out->columns[i] is schema field i; row_count 0 at the end. Valid until the next
// call with this cursor; merged dictionaries until metrics_run_close().
Status metrics_cursor_next(MetricsCursor *cursor, Batch *out, Err *err);
// Series of the last batch: series k has rows [ends[k-1], ends[k]). A series that does not fit
// goes on in the next batch.
const uint32_t *metrics_cursor_series_ends(const MetricsCursor *cursor, uint32_t *series_count);
