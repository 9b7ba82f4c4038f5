// SPDX-License-Identifier: Apache-2.0
//
// HotSeries: the hot windows of a snapshot of `metrics`, series by series and unsorted: what PromQL
// reads. Matchers are answered once per dictionary value, series are chosen and their identity
// added up from dense columns of codes, samples copied chunk by chunk. Any number of workers take
// slices of windows, one thread each. Of an active window it shows at least what was acknowledged
// before the snapshot was taken.
#pragma once

#include "series/matcher.h"
#include "store/scan.h"
#include "store/series_block.h"

typedef struct HotSeries HotSeries;
typedef struct HotSeriesWorker HotSeriesWorker;

typedef struct HotSeriesOptions {
    const Matcher *const *matchers; // all must match; borrowed until close
    size_t matcher_count;
    int64_t min_ms, max_ms; // inclusive
    bool all_labels;        // else those of `labels`, which are borrowed until close
    const Str *labels;
    size_t label_count;
    bool no_samples; // only which series have a sample in the range
    bool no_ids;     // series are not told apart: SeriesBlock.ids is NULL
    bool last_only;  // only the last sample of the range is wanted; others may come as well
    bool no_pruning; // ask every series itself
} HotSeriesOptions;

// Borrows the snapshot, which is one of `metrics`. Opening drops windows that certainly hold
// nothing.
HotSeries *hot_series_open(Snapshot *snapshot, const HotSeriesOptions *options);
void hot_series_close(HotSeries *hot); // after its workers; accepts NULL

// The windows of a shard follow each other and may hold samples of the same series; windows of
// different shards never do.
typedef enum HotSeriesSet {
    HOT_SERIES_ALONE,  // the only window of its shard
    HOT_SERIES_SHARED, // there are others
} HotSeriesSet;

size_t hot_series_windows(const HotSeries *hot, HotSeriesSet set);
uint64_t hot_series_estimate(const HotSeries *hot); // an upper bound of the series
uint64_t hot_series_rows(const HotSeries *hot);     // samples handed out so far; any thread

HotSeriesWorker *hot_series_worker_new(HotSeries *hot);
void hot_series_worker_free(HotSeriesWorker *worker); // accepts NULL
// The next block of a window of the set; count 0 when there is none left. Valid until the next
// call; text and histograms until the snapshot is closed. *age: greater for newer windows of the
// same shard.
void hot_series_next(HotSeriesWorker *worker, HotSeriesSet set, SeriesBlock *out, uint32_t *age);
