// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic of native histograms, as model/histogram/float_histogram.go and promql/quantile.go of
// Prometheus define it. Results are new, in `arena`, and point nowhere else; inputs stay as they
// are. Only histogram_compact(), _with_hint() and _reduce() may give what they were given, or
// something that shares its memory. Pure, any thread.
#pragma once

#include "promql/notes.h"
#include "series/histogram.h"

typedef enum HistogramProblem { // what arithmetic may find; bits
    HISTOGRAM_FINE = 0,
    HISTOGRAM_INCOMPATIBLE = 1,      // exponential with custom buckets: no result
    HISTOGRAM_HINT_COLLISION = 2,    // counter reset hints contradict each other
    HISTOGRAM_BOUNDS_RECONCILED = 4, // custom bounds differ: reduced to the common ones
} HistogramProblem;

// NULL when incompatible. Bits are added to *problems. The counts are not compensated (that is the
// business of HistogramSum), and empty buckets stay: see histogram_compact().
const Histogram *histogram_add(const Histogram *a, const Histogram *b, Arena *arena, int *problems);
const Histogram *histogram_sub(const Histogram *a, const Histogram *b, Arena *arena, int *problems);
// A negative factor or divisor makes a gauge; division by zero leaves no buckets.
const Histogram *histogram_mul(const Histogram *h, double factor, Arena *arena);
const Histogram *histogram_div(const Histogram *h, double divisor, Arena *arena);
// Without empty buckets, but for runs of at most `max_empty` between populated ones (as long as
// there are at most HISTOGRAM_BUCKETS_MAX buckets then).
const Histogram *histogram_compact(const Histogram *h, uint32_t max_empty, Arena *arena);
const Histogram *histogram_with_hint(const Histogram *h, HistogramHint hint, Arena *arena);
// A coarser schema; the same when that is not one. A coarser one knows nothing of resets.
const Histogram *histogram_reduce(const Histogram *h, int32_t schema, Arena *arena);
bool histogram_equal(const Histogram *a, const Histogram *b); // as == of PromQL
// Whether a counter was reset between the two. A hint decides; else any count that went down.
bool histogram_detect_reset(const Histogram *now, const Histogram *before);

// A running sum or mean for sum(), avg(), sum_over_time(), avg_over_time(): compensated; a mean
// that would overflow goes on as an incremental one.
typedef struct HistogramSum HistogramSum;
HistogramSum *histogram_sum_new(bool mean, Arena *arena);
// Copies what it needs of `h`. Bits are added to *problems; HISTOGRAM_HINT_COLLISION as soon as
// both "reset" and "not reset" were among the hints. Nothing is added after
// HISTOGRAM_INCOMPATIBLE.
void histogram_sum_add(HistogramSum *sum, const Histogram *h, int *problems);
// NULL when nothing was added, and after HISTOGRAM_INCOMPATIBLE.
const Histogram *histogram_sum_result(const HistogramSum *sum, Arena *arena);

// Buckets in order of their bounds, negative ones first, zero bucket between when it has any.
typedef struct HistogramBucket {
    double lower, upper, count;
    bool lower_inclusive, upper_inclusive;
} HistogramBucket;
size_t histogram_buckets(const Histogram *h, Arena *arena, const HistogramBucket **out);

double histogram_quantile_of(double q, const Histogram *h, PromqlNotes *notes, Str metric,
                             PromqlPos pos);
double histogram_fraction_of(double lower, double upper, const Histogram *h, PromqlNotes *notes,
                             Str metric, PromqlPos pos);
double histogram_variance(const Histogram *h); // of the population
// </ (keeps what is below `bound`) and >/ (keep_upper: what is above it).
const Histogram *histogram_trim(const Histogram *h, double bound, bool keep_upper, Arena *arena);

// Classic histograms: `le` buckets of one group at one time, at least one, in any order; they are
// sorted and changed.
typedef struct ClassicBucket {
    double upper, count;
} ClassicBucket;
typedef struct ClassicRepair { // what was done to counts that were not monotonic
    bool forced;
    double min_bucket, max_bucket, max_diff;
} ClassicRepair;
double classic_quantile(double q, ClassicBucket *buckets, size_t count, ClassicRepair *repair);
double classic_fraction(double lower, double upper, ClassicBucket *buckets, size_t count);

// {count:3, sum:5, [-0.5,0):1, ...}: FloatHistogram.String(). And the JSON of the HTTP API.
void histogram_format(const Histogram *h, Buf *out);
void histogram_format_json(const Histogram *h, Buf *out);
// The text form of test scripts: {{schema:0 sum:5 count:4 buckets:[1 2 1]}}; TestExpression().
void histogram_format_test(const Histogram *h, Buf *out);
