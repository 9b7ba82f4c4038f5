// SPDX-License-Identifier: Apache-2.0
//
// The functions of PromQL: one table, used by the parser for names and types and by the engine for
// work. What a function does is one of these, each a pure function of its arguments, called from
// any thread:
//
//   over_range   the samples of a window -> one sample          rate, avg_over_time, ...
//   over_sample  one sample -> one sample                       abs, clamp, hour, histogram_count
//   labels       a label set -> a label set                     label_replace, label_join
//   over_matrix  whole arguments -> whole result                histogram_quantile, sort, scalar
//   engine       needs more than its arguments; in the engine   time, absent, info, timestamp, ...
#pragma once

#include "base/err.h"
#include "promql/histogram_math.h"
#include "promql/notes.h"
#include "promql/parse.h"
#include "series/labels.h"

enum { PROMQL_ARGS_MAX = 64 };

typedef struct PromqlSample {
    double value;
    const Histogram *histogram; // NULL: a float
} PromqlSample;

// The samples of one series in (start_ms, end_ms], without stale markers: floats and histograms
// apart, each ascending. When a selector is `anchored` or `smoothed` the engine hands over the
// samples such a selector has.
typedef struct PromqlWindow {
    const int64_t *times;
    const double *values;
    uint32_t count;
    const int64_t *histogram_times;
    const Histogram *const *histograms;
    uint32_t histogram_count;
    const int64_t *start_times;           // of the floats, 0 where not known; NULL: none, not used
    const int64_t *histogram_start_times; // of the histograms; NULL likewise
    int64_t start_ms, end_ms;             // of the range; offset and @ are in it already
    bool anchored, smoothed;
} PromqlWindow;

typedef struct PromqlCall { // one evaluation of a call
    const PromqlNode *node; // PROMQL_CALL
    PromqlNotes *notes;
    Arena *arena;          // for results; emptied by the engine after the series
    int64_t time_ms;       // of the step
    const double *scalars; // scalar arguments at this step, by argument number
    Str metric;            // name of the series, for annotations; may be empty
    bool delayed_names;    // PromqlFeatures.delayed_name_removal
    // Set when the query must fail: over_range returns false then (bad factors of
    // double_exponential_smoothing). Whoever calls begins with status OK and looks at it.
    Err *err;
} PromqlCall;

// A whole value: series × steps.
typedef struct PromqlSeries {
    LabelSet labels;
    bool drop_name;               // delayed name removal: __name__ goes at the end
    double *values;               // one per step
    uint64_t *present;            // a bit per step; bit i of word i / 64
    const Histogram **histograms; // one per step, NULL for floats; NULL: all floats
} PromqlSeries;

typedef struct PromqlMatrix {
    PromqlType type; // SCALAR: one series without labels; VECTOR
    PromqlSeries *series;
    size_t count;
    Str text; // STRING
} PromqlMatrix;

typedef struct PromqlGrid { // the steps that are evaluated
    int64_t start_ms, end_ms, step_ms;
    uint32_t steps; // at least 1
} PromqlGrid;

typedef enum PromqlFunctionKind {
    PROMQL_FN_ENGINE,
    PROMQL_FN_RANGE,
    PROMQL_FN_SAMPLE,
    PROMQL_FN_LABELS,
    PROMQL_FN_MATRIX,
} PromqlFunctionKind;

typedef enum PromqlFunctionFlag {
    PROMQL_FN_EXPERIMENTAL = 1,
    PROMQL_FN_KEEPS_NAME = 2,   // last_over_time, ...; else __name__, __type__ and __unit__ go
    PROMQL_FN_KEEPS_TYPE = 4,   // histogram_count, ...: only __name__ goes
    PROMQL_FN_AT_UNSAFE = 8,    // depends on the step even when its arguments do not
    PROMQL_FN_ANCHORED = 16,    // takes an anchored selector
    PROMQL_FN_SMOOTHED = 32,    // takes a smoothed selector
    PROMQL_FN_START_TIMES = 64, // looks at start timestamps when the feature is on
    PROMQL_FN_COUNTER = 128,    // rate, increase: "metric might not be a counter" is due
    PROMQL_FN_SORTS = 256,      // its order is that of an instant query's result
} PromqlFunctionFlag;

typedef struct PromqlFunction {
    const char *name;
    PromqlType args[6];
    uint8_t arg_count;
    // 0: exactly arg_count; n > 0: the last comes at most n times, also not at all; -1: the last
    // any number of times, also not at all.
    int8_t variadic;
    PromqlType result;
    PromqlFunctionKind kind;
    uint32_t flags; // PromqlFunctionFlag

    // RANGE. False: no sample. Results that are histograms live in call->arena, or are one of the
    // window's.
    bool (*over_range)(const PromqlCall *call, const PromqlWindow *window, PromqlSample *out);

    // SAMPLE. False: no sample. hour() and its like without their vector are given the time of the
    // step in whole seconds.
    bool (*over_sample)(const PromqlCall *call, PromqlSample in, PromqlSample *out);
    // Many floats at once, where that is faster; absent ones are computed as well. Such a function
    // has no scalar arguments and ignores histograms. `in` may be `out`. NULL: none.
    void (*over_floats)(const double *in, uint32_t count, double *out);

    // LABELS. labels_open() checks the text arguments (args[i].text); its failure is that of the
    // query, also when there are no series. The state is immutable, any thread may use it.
    // over_labels() makes the new set in call->arena (text may point to what `in` points to);
    // *drop_name is that of the series, cleared when the function sets the name.
    Status (*labels_open)(const PromqlMatrix *args, size_t arg_count, void **state, Err *err);
    void (*over_labels)(const PromqlCall *call, const void *state, LabelSet in, bool *drop_name,
                        LabelSet *out);
    void (*labels_close)(void *state); // accepts NULL

    // MATRIX. Series of the result whose __name__ goes have drop_name set and the name still among
    // their labels; the engine takes it off and refuses sets that are the same then. call->scalars
    // and time_ms are not used. Results live in call->arena or are the arguments'.
    Status (*over_matrix)(const PromqlCall *call, const PromqlGrid *grid, const PromqlMatrix *args,
                          PromqlMatrix *out, Err *err);
} PromqlFunction;

// What aggregations share with functions. The quantile of values[0..count), which it reorders, as
// of quantile() and quantile_over_time(); and the compensated mean of at least one value.
double promql_quantile(double q, double *values, size_t count);
double promql_mean(const double *values, size_t count);

// NULL when there is none of that name.
const PromqlFunction *promql_function(Str name);
const PromqlFunction *promql_function_at(size_t i); // by name; NULL at the end: for docs and tests
