// SPDX-License-Identifier: Apache-2.0
//
// Eval: one query while it runs. A node of the plan is evaluated over a grid of steps and gives a
// matrix: series with a value and a presence bit per step. Work on one series at a time (windows,
// functions of a sample, arithmetic with scalars) is a Pipe: a leaf, stages, and a sink that
// collects series or adds them to groups. A pipe over a selector runs in several threads, each with
// an EvalWorker; all else is done by the thread that called.
//
// Matrices that nodes hand to each other live until the query ends: in its arena, or in those of
// its workers; text of labels stays where the scan has it, which is open until then. Whoever takes
// a matrix may change it.
#pragma once

#include "base/mem.h"
#include "os/thread.h"
#include "promql/engine.h"
#include "promql/plan_internal.h"

#include <stdatomic.h>

enum {
    EVAL_THREADS_MAX = 64,
    EVAL_STAGES_MAX = PROMQL_DEPTH_MAX + 1, // of a pipe
};

typedef struct EvalWorker EvalWorker;

typedef struct EvalState { // what stays open until the query ends
    void (*close)(void *state);
    void *state;
    struct EvalState *next;
} EvalState;

typedef struct EvalScan {
    SeriesScan *scan;
    PromqlPos pos; // of its selector
    int64_t min_ms, max_ms;
} EvalScan;

typedef struct Eval {
    const PromqlOptions *options;
    const PromqlQuery *ask;
    int64_t lookback_ms;
    Snapshot *snapshot;
    bool has_histograms; // the table has any, of whatever series
    PromqlNotes *notes;
    Arena arena; // of the thread that called
    uint64_t arena_charged_bytes;
    QueryGuard guard;
    EvalWorker *workers[EVAL_THREADS_MAX]; // made when first needed
    uint32_t worker_count;

    Mutex mu;        // level 63: scans, against stop() of the guard
    EvalScan *scans; // mu; open until the end
    size_t scan_count, scans_cap;

    // Counters of all workers; relaxed, they order nothing.
    _Atomic(uint64_t) samples_now, samples_peak, samples_total, memory_bytes, series_count;
    uint64_t *step_samples; // of the query's own grid, when asked for; else NULL
    uint32_t step_count;
    bool mute_steps; // samples read are of all steps of the query's grid
    bool mute;       // samples read are counted by who uses what is made of them

    EvalState *states;
} Eval;

struct EvalWorker {
    Eval *eval;
    uint32_t index;
    Arena arena;   // what is kept
    Arena scratch; // histograms and labels of one series
    uint64_t arena_charged_bytes;
    uint64_t *step_samples; // as those of the query; NULL

    // One series; room for `steps_cap` steps and `samples_cap` samples.
    double *values;
    uint64_t *present;
    const Histogram **histograms;
    size_t steps_cap;
    int64_t *times, *histogram_times, *start_times, *histogram_start_times;
    double *floats;
    const Histogram **points;
    size_t samples_cap;
    Label labels[LABELS_COUNT_MAX + 8];
    Str noted; // the metric a note on counters was last given for, and where
    PromqlPos noted_at;
    bool metadata_seen;
    uint64_t samples; // that the running pipe has added
};

static inline size_t eval_words(uint32_t steps)
{
    return ((size_t)steps + 63) / 64;
}

static inline bool eval_has(const uint64_t *present, size_t step)
{
    return (present[step / 64] >> (step % 64) & 1) != 0;
}

static inline void eval_set(uint64_t *present, size_t step)
{
    present[step / 64] |= UINT64_C(1) << (step % 64);
}

static inline void eval_unset(uint64_t *present, size_t step)
{
    present[step / 64] &= ~(UINT64_C(1) << (step % 64));
}

static inline const Histogram *eval_histogram(const PromqlSeries *series, size_t step)
{
    return series->histograms == NULL ? NULL : series->histograms[step];
}

static inline int64_t eval_step_ms(const PromqlGrid *grid, size_t step)
{
    return grid->start_ms + (int64_t)step * grid->step_ms;
}

// --- nodes (eval.c) ------------------------------------------------------------------------------

// The value of a node of type SCALAR, VECTOR or STRING on the grid; of a scalar one series without
// labels that is present everywhere.
Status eval_node(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                 Err *err);
// The values of a scalar node, one per step.
Status eval_scalar(Eval *eval, const PlanNode *node, const PromqlGrid *grid, const double **out,
                   Err *err);
// A subquery's inside on its own grid, which is that of the windows of `grid`; no steps: none.
Status eval_subquery(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlGrid *sub_grid,
                     PromqlMatrix *out, Err *err);

// The same for a subquery that is the whole query: its samples are the query's.
Status eval_subquery_counted(Eval *eval, const PlanNode *node, const PromqlGrid *grid,
                             PromqlGrid *sub_grid, PromqlMatrix *out, Err *err);

// Keeps something until the query ends.
void eval_keep(Eval *eval, void (*close)(void *state), void *state);

// Over time, abandoned, or over a limit.
Status eval_check(Eval *eval, Err *err);
Status eval_stopped(Status stopped, Err *err); // the error for it
// Counts what arena takes from the query's memory budget.
Status eval_charge(Eval *eval, const Arena *arena, uint64_t *charged_bytes, Err *err);
// Samples in memory, as Prometheus counts them.
Status eval_samples_add(Eval *eval, uint64_t count, Err *err);
void eval_samples_drop(Eval *eval, uint64_t count);
// Whether there would be room for so many more; they count for the peak.
Status eval_samples_try(Eval *eval, uint64_t count, Err *err);
uint64_t eval_samples_in(const PromqlSeries *series, uint32_t steps);
uint64_t eval_samples_of(const PromqlMatrix *matrix, uint32_t steps);

// --- matrices (eval_matrix.c) --------------------------------------------------------------------

// A series with room for the steps, nothing present.
PromqlSeries eval_series_new(Arena *arena, uint32_t steps, bool with_histograms);
// Gives a series that has none room for histograms.
void eval_series_widen(Arena *arena, PromqlSeries *series, uint32_t steps);
bool eval_series_empty(const PromqlSeries *series, uint32_t steps);
const Histogram *eval_histogram_copy(const Histogram *histogram, Arena *arena);
uint64_t eval_histogram_samples(const Histogram *histogram); // as how many samples it counts

void eval_matrix_sort(PromqlMatrix *matrix);                    // by labels
void eval_matrix_compact(PromqlMatrix *matrix, uint32_t steps); // leaves out empty series

typedef enum EvalMerge {
    EVAL_MERGE,  // series with the same labels become one, unless both have a value at a step
    EVAL_STRICT, // no two have the same labels
} EvalMerge;
// ERR_INVALID "vector cannot contain metrics with the same labelset"
Status eval_matrix_merge(Eval *eval, PromqlMatrix *matrix, uint32_t steps, EvalMerge how, Err *err);
// Takes the name off where drop_name is set, but for delayed name removal.
void eval_matrix_drop_names(Eval *eval, PromqlMatrix *matrix);

// --- labels (eval_labels.c) ----------------------------------------------------------------------

int eval_labels_compare(const LabelSet *a, const LabelSet *b);
bool eval_labels_equal(const LabelSet *a, const LabelSet *b);
uint64_t eval_labels_hash(const LabelSet *set);      // for tables
uint64_t eval_labels_prom_hash(const LabelSet *set); // Prometheus' labels.Hash
// Only those of `names` (sorted), or all but those.
uint64_t eval_labels_hash_of(const LabelSet *set, const Str *names, size_t count, bool without);
bool eval_labels_equal_of(const LabelSet *a, const LabelSet *b, const Str *names, size_t count,
                          bool without);
// Room for set->count labels at `into`.
LabelSet eval_labels_pick(const LabelSet *set, const Str *names, size_t count, bool without,
                          Label *into);
bool eval_labels_is_metadata(Str name); // __name__, __type__, __unit__
bool eval_labels_has_metadata(const LabelSet *set);
LabelSet eval_labels_drop_metadata(const LabelSet *set, Label *into);
// With `name` set to `value`, or without it when the value is empty; a new set in `arena`.
LabelSet eval_labels_with(const LabelSet *set, Str name, Str value, Arena *arena);
LabelSet eval_labels_copy(const LabelSet *set, Arena *arena);   // the array, not the text
void eval_labels_print(const LabelSet *set, Buf *out);          // {a="b", c="d"}
bool eval_names_have(const Str *names, size_t count, Str name); // sorted

// --- pipes (eval_pipe.c, eval_leaf.c, eval_stage.c) ----------------------------------------------

typedef enum EvalPick { // what a selector gives of a sample
    EVAL_PICK_VALUE,
    EVAL_PICK_TIME,  // its timestamp in seconds
    EVAL_PICK_START, // its start timestamp in seconds
    EVAL_PICK_MS,    // its timestamp in milliseconds; histograms are an error
} EvalPick;

typedef enum EvalLeafKind { EVAL_LEAF_SELECT, EVAL_LEAF_SUBQUERY, EVAL_LEAF_MATRIX } EvalLeafKind;

typedef struct EvalLeaf {
    EvalLeafKind kind;
    PlanSelect select;     // SELECT
    PromqlPos pos;         // of the selector, for annotations
    EvalPick pick;         // SELECT, instant
    const PlanNode *call;  // a function of windows; NULL: an instant vector, or a matrix
    const double *scalars; // its scalar arguments, step by step
    PromqlMatrix matrix;   // SUBQUERY, MATRIX
    PromqlGrid sub_grid;   // SUBQUERY
    PlanTime time;         // SELECT, SUBQUERY
    int64_t range_ms;      // likewise
} EvalLeaf;

typedef enum EvalStageKind {
    EVAL_STAGE_NEGATE,
    EVAL_STAGE_SAMPLE,
    EVAL_STAGE_SCALAR,
    EVAL_STAGE_LABELS
} EvalStageKind;

typedef struct EvalStage {
    EvalStageKind kind;
    const PlanNode *plan;
    const double *scalars; // SAMPLE: arguments, step by step; SCALAR: one per step
    bool swap;             // SCALAR: the scalar is on the left
    void *labels_state;    // LABELS
    bool drops_name;
} EvalStage;

typedef struct EvalSink EvalSink;
struct EvalSink {
    // Takes a series that has a value; it is the worker's until the next one.
    Status (*take)(EvalSink *sink, EvalWorker *worker, PromqlSeries *series, Err *err);
};

typedef struct EvalPipe {
    Eval *eval;
    PromqlGrid grid;
    EvalLeaf leaf;
    EvalStage stages[EVAL_STAGES_MAX];
    size_t stage_count;
    EvalSink *sink;
    uint64_t samples; // that a run has added to those in memory
} EvalPipe;

// The pipe from a node down to the first that is more than work on one series, which is evaluated.
Status eval_pipe_open(Eval *eval, const PlanNode *node, const PromqlGrid *grid, EvalPipe **out,
                      Err *err);
Status eval_pipe_run(EvalPipe *pipe, EvalSink *sink, Err *err);
// A pipe over a selector alone.
EvalPipe *eval_pipe_select(Eval *eval, const PlanSelect *select, EvalPick pick,
                           const PromqlGrid *grid);
// Runs it and collects all series: sorted by labels when they come from a scan, else in order.
Status eval_pipe_collect(EvalPipe *pipe, PromqlMatrix *out, Err *err);
bool eval_pipe_can(const PlanNode *node); // whether it is work on one series

// Workers, with room for a series of so many steps.
Status eval_workers(Eval *eval, uint32_t count, uint32_t steps, Err *err);
void eval_workers_free(Eval *eval);

// Opens a scan that stays open until the query ends. Where there may be histograms it begins
// earlier by the lookback: the one before the first tells whether that was reset.
Status eval_scan_open(Eval *eval, const PlanSelect *select, int64_t min_ms, int64_t max_ms,
                      SeriesScan **out, Err *err);
// One thread for each worker that can be kept busy: each() is called for every series of the scan.
typedef struct EvalScanJob EvalScanJob;
struct EvalScanJob {
    Eval *eval;
    uint32_t steps;
    Status (*each)(EvalScanJob *job, EvalWorker *worker, const SeriesSamples *in, Err *err);
};
Status eval_scan_run(EvalScanJob *job, SeriesScan *scan, Err *err);

// The series a leaf gives for the samples of one, in the worker's room.
Status eval_leaf_series(const EvalPipe *pipe, EvalWorker *worker, const SeriesSamples *in,
                        PromqlSeries *out, Err *err);
Status eval_leaf_subquery(const EvalPipe *pipe, EvalWorker *worker, const PromqlSeries *in,
                          PromqlSeries *out, Err *err);
// Decodes the samples of one series, without stale markers, into the worker's room (or leaves them
// where they are); start_ms and end_ms stay unset.
typedef struct EvalDecode {
    bool start_times; // wanted
    bool tell_resets; // histograms say so when their counter was reset
} EvalDecode;
Status eval_leaf_decode(EvalWorker *worker, const SeriesSamples *in, EvalDecode how,
                        PromqlWindow *out, Err *err);
// All samples of a range vector selector or a subquery that is the whole query.
Status eval_range_result(Eval *eval, const PlanNode *node, const PromqlGrid *grid,
                         PromqlResult *result, Err *err);

void eval_stage_apply(const EvalPipe *pipe, const EvalStage *stage, EvalWorker *worker,
                      PromqlSeries *series);

// --- operators (eval_operator.c, ...) ------------------------------------------------------------

typedef struct EvalOperator {
    PromqlOp op;
    PromqlPos pos;
    PromqlNotes *notes;
    Arena *arena; // for histograms
} EvalOperator;
double eval_operator_floats(PromqlOp op, double left, double right);
bool eval_operator_compare(PromqlOp op, double left, double right);
bool eval_operator_is_arithmetic(PromqlOp op);
bool eval_operator_is_comparison(PromqlOp op);

typedef enum EvalOutcome {
    EVAL_NOTHING, // the types do not go together; a note says so
    EVAL_WARNED,  // a result that only an operation with a scalar keeps
    EVAL_KEPT,
    EVAL_FILTERED, // a comparison that is false
} EvalOutcome;
EvalOutcome eval_operator_apply(const EvalOperator *o, PromqlSample left, PromqlSample right,
                                PromqlSample *out);

// Groups of an aggregation, found by the labels that are grouped by.
typedef struct EvalGroups {
    const Str *names; // sorted
    size_t name_count;
    bool without;
    LabelSet *labels; // of each group
    uint64_t *hashes;
    size_t count, labels_cap, hashes_cap;
    uint32_t *slots; // index + 1
    size_t slot_count;
} EvalGroups;
typedef struct EvalGrouping { // by or without; the latter is also without the name
    const Str *names;         // sorted, unique
    size_t count;
    bool without;
} EvalGrouping;
EvalGrouping eval_grouping(const PlanNode *aggregate);
void eval_groups_init(EvalGroups *groups, const EvalGrouping *by, Arena *arena);
void eval_groups_deinit(EvalGroups *groups);
// The index of a set's group; a new one is the last.
size_t eval_groups_find(EvalGroups *groups, const LabelSet *set, Arena *arena);
bool eval_groups_get(const EvalGroups *groups, const LabelSet *set, size_t *out);

// Sums as Prometheus has them: Kahan's, improved by Neumaier (util/kahansum).
static inline void eval_kahan_add(double value, double *sum, double *compensation)
{
    const double total = *sum + value;
    if (__builtin_isinf(total)) {
        *compensation = 0;
    } else if (__builtin_fabs(*sum) >= __builtin_fabs(value)) {
        *compensation += (*sum - total) + value;
    } else {
        *compensation += (value - total) + *sum;
    }
    *sum = total;
}

Status eval_aggregate(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                      Err *err);
// Those that choose among the series of a group, and those that look at all of its values at once.
Status eval_choose(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                   Err *err);
Status eval_values(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                   Err *err);
Status eval_count_values(Eval *eval, const PlanNode *node, const PromqlGrid *grid,
                         PromqlMatrix *out, Err *err);
Status eval_binary(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                   Err *err);
Status eval_match(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                  Err *err); // arithmetic and comparison of two vectors
Status eval_call(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                 Err *err);
Status eval_info(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                 Err *err);
