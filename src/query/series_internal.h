// SPDX-License-Identifier: Apache-2.0
//
// The parts of a series scan:
//
//   series_scan.c    SeriesScan and SeriesWorker: phases, and who takes what
//   series_plan.c    which label is where, which matcher looks at it, what can be pruned with
//   series_rows.c    rows of the store's scan -> blocks of series
//   series_gather.c  series that may lie in several parts, put together
//   series_stream.c  series of one sorted file, handed on as they come
//   series_labels.c  names and values of labels
//
// A block is a handful of series as one part has them. Blocks of a part that shares no series with
// another are handed on as they are; the others go to a sink of the worker, cut into partitions by
// identity. When all of these parts are read, workers take partitions and put each series together.
#pragma once

#include "base/buf.h"
#include "os/thread.h"
#include "query/series_scan.h"
#include "store/hot_series.h"
#include "store/series_block.h"

enum {
    SERIES_PARTITIONS = 64, // of what is gathered
};

// --- plan ----------------------------------------------------------------------------------------

// A label that has a column of its own in the snapshot.
typedef struct PlanLabel {
    Str name;      // "__name__" for metric_name
    uint64_t seed; // of its values' hashes
    size_t column; // in the snapshot's schema
    const Matcher *const *matchers;
    size_t matcher_count;
    bool matches_absent; // all of the matchers
    bool is_asked;
} PlanLabel;

typedef struct SeriesPlan {
    LabelsKey key;
    const Matcher **matchers;
    size_t matcher_count;
    PlanLabel *labels; // sorted by name
    size_t label_count;
    // Matchers on labels that have no column: they can only be in the map.
    const Matcher **rest;
    size_t rest_count;
    const Str *asked; // sorted; not looked at with all_labels
    size_t asked_count;
    bool all_labels, no_samples;
    bool no_ids;   // series need not be told apart
    bool no_times; // all rows of files are in the range
    int64_t min_ms, max_ms;
    // The columns that are read, and where some of them are in a batch; SIZE_MAX: there is none.
    // Label k is at place k.
    size_t *columns;
    size_t column_count;
    size_t time_at, value_at, map_at, histogram_at, start_at;
    ScanTest range; // the times in the range
    ScanTest *tests;
    size_t test_count;
} SeriesPlan;

// Everything lives in `arena`, but for the matchers, which are borrowed.
// `ms` in microseconds and `more_us`, or the least or the greatest number.
int64_t series_clamp_us(int64_t ms, int64_t more_us);
void series_plan_make(Snapshot *snapshot, const SeriesSelect *select, Arena *arena,
                      SeriesPlan *out);
// The same for a list of labels: a series may come several times, without identity or samples.
void series_plan_list(Snapshot *snapshot, const SeriesSelect *select, bool no_times, Arena *arena,
                      SeriesPlan *out);
HotSeries *series_plan_open_hot(const SeriesPlan *plan, Snapshot *snapshot,
                                const SeriesSelect *select);
Status series_plan_open_files(const SeriesPlan *plan, Snapshot *snapshot,
                              const SeriesSelect *select, Scan **out, Err *err);
bool series_plan_asks(const SeriesPlan *plan, Str label);
// The label's place in plan->labels; SIZE_MAX when it has no column.
size_t series_plan_find(const SeriesPlan *plan, Str label);

// --- blocks --------------------------------------------------------------------------------------

// The labels of series k of the block that were asked for; `out` has room for
// series_block_labels_max().
size_t series_block_labels(const SeriesBlock *block, uint32_t k, Label *out);
size_t series_block_labels_max(const SeriesBlock *block, uint32_t k);

// Cuts batches of the store's scan into series. One thread.
typedef struct SeriesRows SeriesRows;

// Text of labels goes to `texts`, where it stays.
SeriesRows *series_rows_new(const SeriesPlan *plan, Arena *texts);
void series_rows_free(SeriesRows *rows); // accepts NULL
// *out is valid until the next call.
void series_rows_cut(SeriesRows *rows, const Batch *batch, SeriesBlock *out);
void series_rows_forget(SeriesRows *rows);              // dictionaries seen so far are gone
size_t series_rows_label_count(const SeriesRows *rows); // SeriesBlock.label_count of all blocks

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
                       uint64_t rank, Err *err);
// The same for series k of the block alone.
Status series_sink_add_one(SeriesGather *gather, SeriesSink *sink, const SeriesBlock *block,
                           uint32_t k, Err *err);

// A worker's place in the partitions. Only after all sinks are filled.
typedef struct SeriesMerge SeriesMerge;

SeriesMerge *series_merge_new(SeriesGather *gather);
void series_merge_free(SeriesMerge *merge); // accepts NULL
bool series_merge_next(SeriesMerge *merge, SeriesSamples *out);

// --- streaming -----------------------------------------------------------------------------------

// The samples of series k of the block, with the labels in `labels`.
void series_block_samples(const SeriesBlock *block, uint32_t k, Label *labels, SeriesSamples *out);

// Series of one sorted file that no other part has. Those that may go on in another row group are
// put into `tail`, to be handed out when all workers are done.
typedef struct SeriesStream SeriesStream;

SeriesStream *series_stream_new(SeriesRows *rows, ScanWorker *from, SeriesGather *tail);
void series_stream_free(SeriesStream *stream); // accepts NULL
// *found is false at the end. *out is valid until the next call.
Status series_stream_next(SeriesStream *stream, SeriesSamples *out, bool *found, Err *err);
