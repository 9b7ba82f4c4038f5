// SPDX-License-Identifier: Apache-2.0
//
// The functions that aggregate a window: *_over_time().
#include "base/mem.h"
#include "promql/fn_internal.h"
#include "promql/kahan.h"

#include <math.h>

void fn_note_ignored(const PromqlCall *call, const PromqlWindow *w)
{
    if (w->histogram_count > 0) {
        promql_note_metric(
            call->notes, PROMQL_INFO, fn_arg_pos(call, 0),
            "ignored histograms in a range containing both floats and histograms for metric name",
            call->metric);
    }
}

static bool is_empty(const PromqlWindow *w)
{
    return w->count == 0 && w->histogram_count == 0;
}

static bool put(PromqlSample *out, double value)
{
    *out = (PromqlSample){.value = value};
    return true;
}

// sum or mean of a window of histograms.
static bool sum_histograms(const PromqlCall *call, const PromqlWindow *w, bool mean,
                           PromqlSample *out)
{
    HistogramSum *sum = histogram_sum_new(mean, call->arena);
    int problems = 0;
    for (uint32_t i = 0; i < w->histogram_count; i++) {
        histogram_sum_add(sum, w->histograms[i], &problems);
    }
    if ((problems & HISTOGRAM_INCOMPATIBLE) == 0 && (problems & HISTOGRAM_HINT_COLLISION) != 0) {
        promql_note(call->notes, PROMQL_WARNING, fn_arg_pos(call, 0),
                    "conflicting counter resets during histogram aggregation");
    }
    if (!fn_note_problems(call, problems, "aggregation")) {
        return false;
    }
    *out = (PromqlSample){.histogram = histogram_sum_result(sum, call->arena)};
    return true;
}

// A mean is a sum that is divided at the end, as long as the sum is finite: that is more exact than
// an incremental mean.
double promql_mean(const double *v, size_t count)
{
    double sum = v[0];
    double rest = 0;
    size_t i = 1;
    for (; i < count; i++) {
        double next = sum;
        double next_rest = rest;
        kahan_add(v[i], &next, &next_rest);
        if (isinf(next)) {
            break;
        }
        sum = next;
        rest = next_rest;
    }
    if (i == count) {
        return sum / (double)count + rest / (double)count;
    }
    double mean = sum / (double)i;
    rest /= (double)i;
    for (; i < count; i++) {
        const double n = (double)(i + 1);
        const double q = (n - 1) / n;
        mean *= q;
        rest *= q;
        kahan_add(v[i] / n, &mean, &rest);
    }
    return mean + rest;
}

FN_RANGE(avg_over_time)
{
    if (fn_note_mixed(call, window) || is_empty(window)) {
        return false;
    }
    if (window->count == 0) {
        return sum_histograms(call, window, true, out);
    }
    return put(out, promql_mean(window->values, window->count));
}

FN_RANGE(sum_over_time)
{
    double sum = 0;
    double rest = 0;
    if (fn_note_mixed(call, window) || is_empty(window)) {
        return false;
    }
    if (window->count == 0) {
        return sum_histograms(call, window, false, out);
    }
    for (uint32_t i = 0; i < window->count; i++) {
        kahan_add(window->values[i], &sum, &rest);
    }
    return put(out, isinf(sum) ? sum : sum + rest);
}

FN_RANGE(count_over_time)
{
    (void)call;
    return !is_empty(window) && put(out, (double)window->count + (double)window->histogram_count);
}

FN_RANGE(present_over_time)
{
    (void)call;
    return !is_empty(window) && put(out, 1);
}

FN_RANGE(first_over_time)
{
    const PromqlWindow *w = window;
    (void)call;
    if (is_empty(w)) {
        return false;
    }
    if (w->histogram_count == 0 || (w->count > 0 && w->times[0] < w->histogram_times[0])) {
        return put(out, w->values[0]);
    }
    *out = (PromqlSample){.histogram = w->histograms[0]};
    return true;
}

FN_RANGE(last_over_time)
{
    const PromqlWindow *w = window;
    (void)call;
    if (is_empty(w)) {
        return false;
    }
    if (w->histogram_count == 0 ||
        (w->count > 0 && w->histogram_times[w->histogram_count - 1] < w->times[w->count - 1])) {
        return put(out, w->values[w->count - 1]);
    }
    *out = (PromqlSample){.histogram = w->histograms[w->histogram_count - 1]};
    return true;
}

FN_RANGE(ts_of_first_over_time)
{
    const int64_t a = window->count > 0 ? window->times[0] : INT64_MAX;
    const int64_t b = window->histogram_count > 0 ? window->histogram_times[0] : INT64_MAX;
    (void)call;
    return !is_empty(window) && put(out, (double)(a < b ? a : b) / 1000);
}

FN_RANGE(ts_of_last_over_time)
{
    // As in Prometheus, what is not there is at 0.
    const int64_t a = window->count > 0 ? window->times[window->count - 1] : 0;
    const int64_t b =
        window->histogram_count > 0 ? window->histogram_times[window->histogram_count - 1] : 0;
    (void)call;
    return !is_empty(window) && put(out, (double)(a > b ? a : b) / 1000);
}

FN_RANGE(max_over_time)
{
    if (window->count == 0) {
        return false;
    }
    fn_note_ignored(call, window);
    double max = window->values[0];
    for (uint32_t i = 1; i < window->count; i++) {
        const double v = window->values[i];
        max = v > max || isnan(max) ? v : max;
    }
    return put(out, max);
}

FN_RANGE(min_over_time)
{
    if (window->count == 0) {
        return false;
    }
    fn_note_ignored(call, window);
    double min = window->values[0];
    for (uint32_t i = 1; i < window->count; i++) {
        const double v = window->values[i];
        min = v < min || isnan(min) ? v : min;
    }
    return put(out, min);
}

FN_RANGE(ts_of_max_over_time)
{
    uint32_t at = 0;
    if (window->count == 0) {
        return false;
    }
    fn_note_ignored(call, window);
    for (uint32_t i = 1; i < window->count; i++) {
        at = window->values[i] >= window->values[at] || isnan(window->values[at]) ? i : at;
    }
    return put(out, (double)window->times[at] / 1000);
}

FN_RANGE(ts_of_min_over_time)
{
    uint32_t at = 0;
    if (window->count == 0) {
        return false;
    }
    fn_note_ignored(call, window);
    for (uint32_t i = 1; i < window->count; i++) {
        at = window->values[i] <= window->values[at] || isnan(window->values[at]) ? i : at;
    }
    return put(out, (double)window->times[at] / 1000);
}

// Welford's algorithm, compensated.
static double variance_of(const double *v, uint32_t count)
{
    double mean = 0;
    double mean_rest = 0;
    double sum = 0;
    double sum_rest = 0;
    for (uint32_t i = 0; i < count; i++) {
        const double delta = v[i] - (mean + mean_rest);
        kahan_add(delta / (double)(i + 1), &mean, &mean_rest);
        kahan_add(delta * (v[i] - (mean + mean_rest)), &sum, &sum_rest);
    }
    return (sum + sum_rest) / (double)count;
}

FN_RANGE(stddev_over_time)
{
    if (window->count == 0) {
        return false;
    }
    fn_note_ignored(call, window);
    return put(out, sqrt(variance_of(window->values, window->count)));
}

FN_RANGE(stdvar_over_time)
{
    if (window->count == 0) {
        return false;
    }
    fn_note_ignored(call, window);
    return put(out, variance_of(window->values, window->count));
}

static void swap(double *a, double *b)
{
    const double v = *a;
    *a = *b;
    *b = v;
}

// Hoare's selection: afterwards v[k] is what it would be if v were sorted, nothing before it is
// larger and nothing after it is smaller. No NaN.
static void select_rank(double *v, size_t count, size_t k)
{
    size_t low = 0;
    size_t high = count - 1;
    while (low < high) {
        const double pivot = v[low + (high - low) / 2];
        size_t i = low;
        size_t j = high;
        while (true) {
            while (v[i] < pivot) {
                i++;
            }
            while (v[j] > pivot) {
                j--;
            }
            if (i >= j) {
                break;
            }
            swap(&v[i++], &v[j--]);
        }
        // v[low..j] <= pivot <= v[j+1..high], and neither part is empty.
        if (k <= j) {
            high = j;
        } else {
            low = j + 1;
        }
    }
}

static double smallest(const double *v, size_t count)
{
    double min = v[0];
    for (size_t i = 1; i < count; i++) {
        min = v[i] < min ? v[i] : min;
    }
    return min;
}

// Moves NaNs, which are less than everything, to the front; how many there are.
static size_t nans_first(double *v, size_t count)
{
    size_t nans = 0;
    for (size_t i = 0; i < count; i++) {
        if (isnan(v[i])) {
            swap(&v[i], &v[nans++]);
        }
    }
    return nans;
}

double promql_quantile(double q, double *values, size_t count)
{
    if (count == 0 || isnan(q)) {
        return (double)NAN;
    }
    if (q < 0 || q > 1) {
        return q < 0 ? -HUGE_VAL : HUGE_VAL;
    }
    const size_t nans = nans_first(values, count);
    const double rank = q * ((double)count - 1);
    const double weight = rank - floor(rank);
    const size_t lower = (size_t)floor(rank);
    const size_t upper = lower + 1 < count ? lower + 1 : count - 1;
    if (lower >= nans) {
        select_rank(values + nans, count - nans, lower - nans);
    }
    double above = values[upper];
    if (upper > lower && upper >= nans) {
        above = smallest(values + upper, count - upper);
    }
    return values[lower] * (1 - weight) + above * weight;
}

enum { QUANTILE_STACK = 256 };

// The quantile of v[0..count), which stays as it is; `mad`: that of the distances from it.
static double quantile_of(double q, const double *v, uint32_t count, bool mad)
{
    double few[QUANTILE_STACK];
    double *copy = count <= QUANTILE_STACK ? few : mem_alloc_raw(count * sizeof(*copy));
    memcpy(copy, v, count * sizeof(*copy));
    double result = promql_quantile(q, copy, count);
    if (mad) {
        for (uint32_t i = 0; i < count; i++) {
            copy[i] = fabs(copy[i] - result);
        }
        result = promql_quantile(q, copy, count);
    }
    if (copy != few) {
        mem_free(copy);
    }
    return result;
}

FN_RANGE(quantile_over_time)
{
    const double q = call->scalars[0];
    if (window->count == 0) {
        return false;
    }
    if (isnan(q) || q < 0 || q > 1) {
        promql_note_got(call->notes, PROMQL_WARNING, fn_arg_pos(call, 0),
                        "quantile value should be between 0 and 1", q);
    }
    fn_note_ignored(call, window);
    return put(out, quantile_of(q, window->values, window->count, false));
}

// The median absolute deviation; a NaN makes it undefined.
FN_RANGE(mad_over_time)
{
    if (window->count == 0) {
        return false;
    }
    fn_note_ignored(call, window);
    for (uint32_t i = 0; i < window->count; i++) {
        if (isnan(window->values[i])) {
            return put(out, (double)NAN);
        }
    }
    return put(out, quantile_of(0.5, window->values, window->count, true));
}
