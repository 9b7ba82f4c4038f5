// SPDX-License-Identifier: Apache-2.0
//
// The parts of a series scan:
//
//   series_scan.c    SeriesScan and SeriesWorker: phases, and who takes what
//   series_plan.c    which label is where, which matcher looks at it, what can be pruned with
//   series_rows.c    rows of the store's scan -> blocks of series
//   series_gather.c  series that may lie in several parts, put together
//   series_labels.c  names and values of labels
//
// A block is a handful of series as one part has them. Blocks of a part that shares no series with
// another are handed on as they are; the others go to a sink of the worker, cut into partitions by
// identity. When all of these parts are read, workers take partitions and put each series together.
//
// Identity is the sum of a keyed XXH3-128 of each label, so it does not depend on where a part
// keeps a label nor in which order, and costs an addition per label: the hash of a label is
// computed once per dictionary entry. 128 bits of a keyed hash are trusted as the hot tier does
// (decision 0003): labels are not compared.
#pragma once

#include "base/buf.h"
#include "os/thread.h"
#include "query/series_scan.h"

enum {
    SERIES_PARTITIONS = 64, // of what is gathered
};

// --- plan ----------------------------------------------------------------------------------------

// A label that has a column of its own in the snapshot.
typedef struct PlanLabel {
    Str name;      // "__name__" for metric_name
    size_t column; // in the snapshot's schema
    const Matcher *const *matchers;
    size_t matcher_count;
    bool matches_absent; // all of the matchers
    bool is_asked;
} PlanLabel;

typedef struct SeriesPlan {
    LabelsKey key;
    PlanLabel *labels; // sorted by name
    size_t label_count;
    // Matchers on labels that have no column: they can only be in the map.
    const Matcher **rest;
    size_t rest_count;
    const Str *asked; // sorted; not looked at with all_labels
    size_t asked_count;
    bool all_labels, no_samples;
    int64_t min_ms, max_ms;
    // The columns that are read, and where some of them are in a batch; SIZE_MAX: there is none.
    // Label k is at place k.
    size_t *columns;
    size_t column_count;
    size_t time_at, value_at, map_at, histogram_at, start_at;
    ScanTest *tests;
    size_t test_count;
} SeriesPlan;

// Everything lives in `arena`, but for the matchers, which are borrowed.
void series_plan_make(Snapshot *snapshot, const SeriesSelect *select, Arena *arena,
                      SeriesPlan *out);
bool series_plan_asks(const SeriesPlan *plan, Str label);
// The label's place in plan->labels; SIZE_MAX when it has no column.
size_t series_plan_find(const SeriesPlan *plan, Str label);

// --- identity ------------------------------------------------------------------------------------

LabelsHash series_label_hash(LabelsKey key, Str name, Str value, Buf *scratch);

static inline void series_hash_add(LabelsHash *to, LabelsHash h)
{
    to->lo += h.lo;
    to->hi += h.hi;
}

// --- blocks --------------------------------------------------------------------------------------

typedef struct SeriesBlock {
    uint32_t count; // series
    const LabelsHash *ids;
    // What was asked for, of those labels that have a column: value of plan label j of series k is
    // values[j][k], empty when absent; values[j] is NULL when j was not asked for.
    Str *const *values;
    // And of those in the map: series k has [map_ends[k-1], map_ends[k]), sorted by name. NULL when
    // no series has any.
    const Label *map_labels;
    const uint32_t *map_ends;
    // Samples of series k: [firsts[k], ends[k]), with times in the range, ascending strictly (the
    // same series may come again in the block).
    const uint32_t *firsts, *ends;
    const int64_t *timestamps_ms;
    const double *samples;
    const Bytes *histograms; // NULL: none
    const int64_t *start_ms; // NULL: none
} SeriesBlock;

// The labels of series k of the block that were asked for; `out` has room for
// series_block_labels_max().
size_t series_block_labels(const SeriesPlan *plan, const SeriesBlock *block, uint32_t k,
                           Label *out);
size_t series_block_labels_max(const SeriesPlan *plan, const SeriesBlock *block, uint32_t k);

// Cuts batches of the store's scan into series. One thread.
typedef struct SeriesRows SeriesRows;

// Text of labels goes to `texts`, where it stays.
SeriesRows *series_rows_new(const SeriesPlan *plan, Arena *texts);
void series_rows_free(SeriesRows *rows); // accepts NULL
// *out is valid until the next call.
void series_rows_cut(SeriesRows *rows, const Batch *batch, SeriesBlock *out);
void series_rows_forget(SeriesRows *rows); // dictionaries seen so far are gone

// --- gathering -----------------------------------------------------------------------------------

typedef struct SeriesSink SeriesSink;     // one worker's
typedef struct SeriesGather SeriesGather; // all of them

SeriesGather *series_gather_new(const SeriesPlan *plan, uint64_t samples_max);
void series_gather_free(SeriesGather *gather);        // accepts NULL
SeriesSink *series_gather_sink(SeriesGather *gather); // a new one, owned by `gather`; any thread
// Keeps a copy of the block; text is borrowed. Of two samples of one series with the same time that
// of the greater rank is kept, of the same rank that which came later.
// ERR_LIMIT  more samples than samples_max
Status series_sink_add(SeriesGather *gather, SeriesSink *sink, const SeriesBlock *block,
                       uint32_t rank, Err *err);

// A worker's place in the partitions. Only after all sinks are filled.
typedef struct SeriesMerge SeriesMerge;

SeriesMerge *series_merge_new(SeriesGather *gather);
void series_merge_free(SeriesMerge *merge); // accepts NULL
bool series_merge_next(SeriesMerge *merge, SeriesSamples *out);
