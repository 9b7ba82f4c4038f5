// SPDX-License-Identifier: Apache-2.0
//
// What the functions of PromQL do: fn_<name> for each, as functions.h describes the kinds. Only the
// table in functions.c and tests use them.
#pragma once

#include "promql/functions.h"

#define FN_RANGE(name)                                                                             \
    bool fn_##name(const PromqlCall *call, const PromqlWindow *window, PromqlSample *out)
#define FN_SAMPLE(name) bool fn_##name(const PromqlCall *call, PromqlSample in, PromqlSample *out)
#define FN_MATRIX(name)                                                                            \
    Status fn_##name(const PromqlCall *call, const PromqlGrid *grid, const PromqlMatrix *args,     \
                     PromqlMatrix *out, Err *err)

// fn_math.c: each also as fn_<name>_floats.
#define FN_MATH_LIST(X)                                                                            \
    X(abs)                                                                                         \
    X(acos)                                                                                        \
    X(acosh)                                                                                       \
    X(asin)                                                                                        \
    X(asinh)                                                                                       \
    X(atan)                                                                                        \
    X(atanh)                                                                                       \
    X(ceil)                                                                                        \
    X(cos)                                                                                         \
    X(cosh)                                                                                        \
    X(deg)                                                                                         \
    X(exp)                                                                                         \
    X(floor)                                                                                       \
    X(ln)                                                                                          \
    X(log10)                                                                                       \
    X(log2)                                                                                        \
    X(rad)                                                                                         \
    X(sgn)                                                                                         \
    X(sin)                                                                                         \
    X(sinh)                                                                                        \
    X(sqrt)                                                                                        \
    X(tan)                                                                                         \
    X(tanh)

#define FN_MATH_DECLARE(name)                                                                      \
    FN_SAMPLE(name);                                                                               \
    void fn_##name##_floats(const double *in, uint32_t count, double *out);
FN_MATH_LIST(FN_MATH_DECLARE)
#undef FN_MATH_DECLARE
FN_SAMPLE(clamp);
FN_SAMPLE(clamp_max);
FN_SAMPLE(clamp_min);
FN_SAMPLE(round);

// fn_time.c
FN_SAMPLE(day_of_month);
FN_SAMPLE(day_of_week);
FN_SAMPLE(day_of_year);
FN_SAMPLE(days_in_month);
FN_SAMPLE(hour);
FN_SAMPLE(minute);
FN_SAMPLE(month);
FN_SAMPLE(year);

// fn_rate.c
FN_RANGE(delta);
FN_RANGE(idelta);
FN_RANGE(increase);
FN_RANGE(irate);
FN_RANGE(rate);

// What rate(), increase() and delta() have in common.
typedef struct FnRate {
    bool is_counter; // resets count, and the value does not go below zero
    bool is_rate;    // per second
} FnRate;
// rate() and its like of a window that has only histograms: fn_rate_histogram.c.
bool fn_rate_of_histograms(const PromqlCall *call, const PromqlWindow *w, FnRate rate,
                           PromqlSample *out);
bool fn_rate_of_histograms_extended(const PromqlCall *call, const PromqlWindow *w, FnRate rate,
                                    PromqlSample *out);
// What rate() and its like multiply an increase by so that it covers the window: fn_rate.c.
typedef struct FnSampled {
    int64_t first_ms, last_ms;
    uint32_t count;
    int64_t first_start_ms; // start timestamp of the first sample; 0: not known
    double first, increase; // of the value, for histograms of the count
    bool from_start;        // out: the first sample counts from its start timestamp
} FnSampled;
bool fn_rate_begins_inside(const PromqlWindow *w, FnRate rate, const FnSampled *s);
double fn_rate_factor(const PromqlWindow *w, FnRate rate, const FnSampled *s);
double fn_range_seconds(const PromqlWindow *w);
// The samples first..last that an anchored or smoothed selector looks at; false when there is
// nothing to measure. `count` is at least 1.
bool fn_find_extent(const int64_t *times, uint32_t count, const PromqlWindow *w, uint32_t *first,
                    uint32_t *last);
bool fn_is_start_reset(const int64_t *starts, const int64_t *times, uint32_t now);
// Whether sample `now` begins before the one before it, and is no later value of the same counter.
bool fn_is_start_overlap(const int64_t *starts, const int64_t *times, uint32_t now);

// fn_range.c
FN_RANGE(avg_over_time);
FN_RANGE(count_over_time);
FN_RANGE(first_over_time);
FN_RANGE(last_over_time);
FN_RANGE(mad_over_time);
FN_RANGE(max_over_time);
FN_RANGE(min_over_time);
FN_RANGE(present_over_time);
FN_RANGE(quantile_over_time);
FN_RANGE(stddev_over_time);
FN_RANGE(stdvar_over_time);
FN_RANGE(sum_over_time);
FN_RANGE(ts_of_first_over_time);
FN_RANGE(ts_of_last_over_time);
FN_RANGE(ts_of_max_over_time);
FN_RANGE(ts_of_min_over_time);

// fn_trend.c
FN_RANGE(changes);
FN_RANGE(deriv);
FN_RANGE(double_exponential_smoothing);
FN_RANGE(predict_linear);
FN_RANGE(resets);

// fn_histogram.c
FN_SAMPLE(histogram_avg);
FN_SAMPLE(histogram_count);
FN_SAMPLE(histogram_stddev);
FN_SAMPLE(histogram_stdvar);
FN_SAMPLE(histogram_sum);
FN_MATRIX(histogram_fraction);
FN_MATRIX(histogram_quantile);
FN_MATRIX(histogram_quantiles);

// fn_labels.c
Status fn_label_join_open(const PromqlMatrix *args, size_t arg_count, void **state, Err *err);
Status fn_label_replace_open(const PromqlMatrix *args, size_t arg_count, void **state, Err *err);
void fn_label_join(const PromqlCall *call, const void *state, LabelSet in, bool *drop_name,
                   LabelSet *out);
void fn_label_replace(const PromqlCall *call, const void *state, LabelSet in, bool *drop_name,
                      LabelSet *out);
void fn_labels_close(void *state);
// A copy of `in` where `name` is `value`, or is gone when that is empty. Text is not copied.
LabelSet fn_labels_with(LabelSet in, Str name, Str value, Arena *arena);

// fn_scalar.c
FN_MATRIX(max_of);
FN_MATRIX(min_of);
FN_MATRIX(pi);
FN_MATRIX(scalar);
FN_MATRIX(vector);

// fn_sort.c
FN_MATRIX(sort);
FN_MATRIX(sort_by_label);
FN_MATRIX(sort_by_label_desc);
FN_MATRIX(sort_desc);
// Natural order as facette/natsort has it: true when `a` comes first. Not a strict order: equal
// texts come first either way, an empty one never does.
bool fn_sort_natural_less(Str a, Str b);

// Shared.
static inline PromqlPos fn_arg_pos(const PromqlCall *call, size_t arg)
{
    return promql_node_note_pos(call->node->u.call.args[arg]);
}

static inline bool fn_is_present(const PromqlSeries *s, uint32_t step)
{
    return (s->present[step / 64] >> (step % 64) & 1) != 0;
}

static inline void fn_set_present(PromqlSeries *s, uint32_t step)
{
    s->present[step / 64] |= UINT64_C(1) << (step % 64);
}

// Whether the series has a float at `step`.
static inline bool fn_has_float(const PromqlSeries *s, uint32_t step)
{
    return fn_is_present(s, step) && (s->histograms == NULL || s->histograms[step] == NULL);
}

// NULL when there is no histogram at `step`.
static inline const Histogram *fn_histogram_at(const PromqlSeries *s, uint32_t step)
{
    return s->histograms != NULL && fn_is_present(s, step) ? s->histograms[step] : NULL;
}

// Go's math.Max and math.Min: an infinity on its side wins over NaN, +0 is more than -0.
double fn_max(double a, double b);
double fn_min(double a, double b);

// "encountered a mix of histograms and floats", when there is one.
bool fn_note_mixed(const PromqlCall *call, const PromqlWindow *w);
// Notes what arithmetic found, HistogramProblem bits, but for colliding hints; `operation` is
// "addition" or the like. False after HISTOGRAM_INCOMPATIBLE: no result.
bool fn_note_problems(const PromqlCall *call, int problems, const char *operation);
// "ignored histograms in a range containing both", when there are any.
void fn_note_ignored(const PromqlCall *call, const PromqlWindow *w);
