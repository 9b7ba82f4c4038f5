// SPDX-License-Identifier: Apache-2.0
//
// SeriesScan: `metrics` as series. Over a snapshot, hot and cold as one: each series that meets all
// matchers comes once, whole, with its samples of a time range in order, each timestamp once (the
// last write wins). Taken by any number of threads, each with a worker of its own; series come in
// no particular order.
//
// Metric name and matchers are pruned before any value is read; a matcher looks at each distinct
// dictionary value once; of the labels only those that are asked for are materialised (identity is
// hashed from dictionary codes). A series that lies in one part (one hot window, one file) streams;
// series that lie in several are gathered first.
#pragma once

#include "series/labels.h"
#include "series/matcher.h"
#include "store/scan.h"

typedef struct SeriesScan SeriesScan;
typedef struct SeriesWorker SeriesWorker;

typedef struct SeriesSelect {
    const Matcher *const *matchers; // all must match; none: every series
    size_t matcher_count;
    int64_t min_ms, max_ms; // inclusive
    bool all_labels;        // else only those of `labels`
    const Str *labels;      // sorted
    size_t label_count;
    bool no_samples; // labels only, of the series that have a sample in the range
    bool last_only;  // only the last sample of the range is wanted; others may come as well
    // Samples that may be held in memory for gathering; ERR_LIMIT past it; 0: no limit.
    uint64_t samples_max;
    bool no_pruning; // every index and pruning step off: same series, more work
    bool no_hot, no_cold;
} SeriesSelect;

typedef struct SeriesSamples {
    LabelsHash id; // of the whole label set; the same for the same series in any scan of the store
    LabelSet
        labels; // what was asked for, sorted; the array until the next call, the text until close
    uint32_t count;
    const int64_t *timestamps_ms; // ascending strictly; all arrays until the next call
    const double *values;         // bits as written; unspecified where there is a histogram
    const Bytes *histograms;      // blobs (series/histogram.h), empty for floats; NULL: all floats
    const int64_t *start_ms;      // start timestamps, INT64_MIN where none; NULL: none at all
} SeriesSamples;

// Borrows the snapshot (of table `metrics`); copies the rest, but for the matchers.
Status series_scan_open(Snapshot *snapshot, const SeriesSelect *select, SeriesScan **out, Err *err);
void series_scan_close(SeriesScan *scan); // after its workers; accepts NULL
uint32_t series_scan_parallelism(const SeriesScan *scan);
void series_scan_stats(const SeriesScan *scan, ScanStats *out);
void series_scan_cancel(SeriesScan *scan); // any thread

Status series_worker_open(SeriesScan *scan, SeriesWorker **out, Err *err);
void series_worker_close(SeriesWorker *worker); // accepts NULL
// The next series, or *found = false at the end.
Status series_worker_next(SeriesWorker *worker, SeriesSamples *out, bool *found, Err *err);

// --- labels --------------------------------------------------------------------------------------

// Names of the labels (sorted) that series in the range which meet the matchers have; distinct
// values of one label, sorted. Without matchers they come from dictionaries alone where rows
// of a dictionary cannot be outside the range. At most `limit` (0: all); *truncated says
// that there were more. In `arena`.
typedef struct StrList {
    const Str *items;
    size_t count;
    bool truncated;
} StrList;

Status series_label_names(Snapshot *snapshot, const SeriesSelect *select, size_t limit,
                          Arena *arena, StrList *out, Err *err);
Status series_label_values(Snapshot *snapshot, Str label, const SeriesSelect *select, size_t limit,
                           Arena *arena, StrList *out, Err *err);
