// SPDX-License-Identifier: Apache-2.0
//
// Quantiles, fractions and the like of native histograms: linear interpolation in custom buckets
// and in the zero bucket, on a logarithmic scale elsewhere (promql/quantile.go of Prometheus).
#include "promql/histogram_internal.h"
#include "promql/kahan.h"
#include "promql/logs.h"

#include <math.h>

// The zero bucket ends at zero where the histogram has nothing on that side.
static void narrow_zero_bucket(HistogramBucket *b, const Histogram *h)
{
    const bool positive = h->positive.bucket_count > 0;
    const bool negative = h->negative.bucket_count > 0;
    if (positive && !negative) {
        b->lower = 0;
    } else if (negative && !positive) {
        b->upper = 0;
    }
}

static double interpolate(const HistogramBucket *b, double fraction, bool linear)
{
    if (linear || (b->lower <= 0 && b->upper >= 0)) {
        return b->lower + (b->upper - b->lower) * fraction;
    }
    const double lower = logs_log2(fabs(b->lower));
    const double upper = logs_log2(fabs(b->upper));
    if (b->lower > 0) {
        return logs_exp2(lower + (upper - lower) * fraction);
    }
    return -logs_exp2(upper + (lower - upper) * (1 - fraction));
}

// The first populated bucket at which `rank` observations are reached; *count is how many there
// are up to its end.
static HistogramBucket find_rank(HistogramWalk *walk, double rank, double *count)
{
    HistogramBucket bucket = {0};
    HistogramBucket next;
    *count = 0;
    while (histogram_walk_next(walk, &next)) {
        bucket = next;
        if (bucket.count != 0) {
            *count += bucket.count;
            if (*count >= rank) {
                break;
            }
        }
    }
    return bucket;
}

// Observations of NaN are in no bucket: they make the rank of all others too high. Returns the last
// bucket of the walk, on which Prometheus then goes on.
static HistogramBucket look_for_skew(HistogramWalk *walk, HistogramBucket bucket, double count,
                                     bool *skewed)
{
    HistogramBucket next;
    while (histogram_walk_next(walk, &next)) {
        bucket = next;
        count += bucket.count;
    }
    *skewed = count < walk->histogram->count;
    return bucket;
}

double histogram_quantile_of(double q, const Histogram *h, PromqlNotes *notes, Str metric,
                             PromqlPos pos)
{
    const bool is_custom = histogram_is_custom(h);
    const bool has_nan = isnan(h->sum);
    if (q < 0 || q > 1) {
        return q < 0 ? -HUGE_VAL : HUGE_VAL;
    }
    if (h->count == 0 || isnan(q)) {
        return (double)NAN;
    }
    const bool ascending = has_nan || q < 0.5;
    double rank = (ascending ? q : 1 - q) * h->count;
    double count;
    HistogramWalk walk = histogram_walk(h, ascending);
    HistogramBucket bucket = find_rank(&walk, rank, &count);
    if (!is_custom && bucket.lower < 0 && bucket.upper > 0) {
        narrow_zero_bucket(&bucket, h);
    } else if (is_custom && bucket.lower == -HUGE_VAL) {
        if (bucket.upper <= 0) {
            return bucket.upper;
        }
        bucket.lower = 0;
    } else if (is_custom && bucket.upper == HUGE_VAL) {
        return bucket.lower;
    }
    count = count > h->count ? h->count : count; // sums of floats are not exact
    if (count < rank) {
        if (!has_nan) {
            return bucket.upper;
        }
        promql_note_for_metric(notes, PROMQL_INFO, pos,
                               "input to histogram_quantile has NaN observations, result is NaN",
                               metric);
        return (double)NAN;
    }
    rank = ascending ? rank - (count - bucket.count) : count - rank;
    bool skewed = false;
    if (has_nan) {
        bucket = look_for_skew(&walk, bucket, count, &skewed);
    }
    if (skewed) {
        promql_note_for_metric(
            notes, PROMQL_INFO, pos,
            "input to histogram_quantile has NaN observations, result is skewed higher", metric);
    }
    return interpolate(&bucket, rank / bucket.count, is_custom);
}

// Where `v` ranks among the observations, while the buckets go by.
typedef struct RankOf {
    double v, rank;
    bool is_set;
} RankOf;

static void look_for(RankOf *r, const HistogramBucket *b, double before, bool linear)
{
    if (r->is_set) {
        return;
    }
    if (b->lower >= r->v) {
        r->rank = before;
        r->is_set = true;
    } else if (b->upper > r->v) {
        // In the bucket that begins at -Inf there is nothing to interpolate.
        r->rank = linear && b->lower == -HUGE_VAL
                      ? b->count
                      : before + b->count * histogram_fraction_below(b, r->v, linear);
        r->is_set = true;
    }
}

double histogram_fraction_of(double lower, double upper, const Histogram *h, PromqlNotes *notes,
                             Str metric, PromqlPos pos)
{
    RankOf from = {.v = lower};
    RankOf to = {.v = upper};
    double count = 0;
    double rank = 0;
    HistogramBucket b;
    if (h->count == 0 || isnan(lower) || isnan(upper)) {
        return (double)NAN;
    }
    if (lower >= upper) {
        return 0;
    }
    HistogramWalk walk = histogram_walk(h, true);
    while (!(from.is_set && to.is_set) && histogram_walk_next(&walk, &b)) {
        const bool is_zero = b.lower <= 0 && b.upper >= 0;
        count += b.count;
        if (is_zero) {
            narrow_zero_bucket(&b, h);
        }
        look_for(&from, &b, rank, histogram_is_custom(h) || is_zero);
        look_for(&to, &b, rank, histogram_is_custom(h) || is_zero);
        rank += b.count;
    }
    if (isnan(h->sum)) {
        while (histogram_walk_next(&walk, &b)) {
            count += b.count;
        }
        if (count < h->count) {
            promql_note_for_metric(notes, PROMQL_INFO, pos,
                                   "input to histogram_fraction has NaN observations, which are "
                                   "excluded from all fractions",
                                   metric);
        }
    } else {
        count = h->count;
    }
    const double begin = !from.is_set || from.rank > count ? count : from.rank;
    const double end = !to.is_set || to.rank > count ? count : to.rank;
    return (end - begin) / h->count;
}

double histogram_variance(const Histogram *h)
{
    const double mean = h->sum / h->count;
    double variance = 0;
    double rest = 0;
    HistogramBucket b;
    HistogramWalk walk = histogram_walk(h, true);
    while (histogram_walk_next(&walk, &b)) {
        double value;
        if (b.count == 0) {
            continue;
        }
        if (histogram_is_custom(h)) {
            value = (b.upper + b.lower) / 2.0;
        } else if (b.lower <= 0 && b.upper >= 0) {
            value = 0;
        } else {
            value = sqrt(b.upper * b.lower);
            value = b.upper < 0 ? -value : value;
        }
        const double delta = value - mean;
        kahan_add(b.count * delta * delta, &variance, &rest);
    }
    return (variance + rest) / h->count;
}

static double finite_or_zero(double v)
{
    return isinf(v) ? 0 : v;
}

// What a trimmed histogram keeps of a bucket, and where these observations are taken to be.
typedef struct Kept {
    double count, at;
} Kept;

static double middle(double lower, double upper, bool positive, bool linear)
{
    if (isinf(lower)) {
        return isinf(upper) ? 0 : upper > 0 ? upper / 2 : upper;
    }
    if (isinf(upper)) {
        return lower;
    }
    if (linear) {
        return (lower + upper) / 2;
    }
    const double mean = sqrt(fabs(lower * upper));
    return positive ? mean : -mean;
}

// From -Inf to b->upper. Where the end is positive, the bucket is taken to begin at 0 (custom
// buckets: linear); else nothing is known of where its observations are.
static Kept trim_below_all(const HistogramBucket *b, double bound, bool keep_upper)
{
    const bool is_finite = !isinf(b->upper);
    if (!keep_upper) {
        if (bound >= b->upper) {
            return (Kept){b->count, 0};
        }
        if (bound > 0 && b->upper > 0 && is_finite) {
            return (Kept){b->count * bound / b->upper, bound / 2};
        }
        if (b->upper <= 0) {
            return (Kept){b->count, bound};
        }
        return (Kept){0, finite_or_zero(b->upper)};
    }
    if (bound <= b->lower) {
        return (Kept){b->count, 0};
    }
    if (bound >= 0 && b->upper > bound && is_finite) {
        return (Kept){b->count * (1 - bound / b->upper), (bound + b->upper) / 2};
    }
    return (Kept){0, finite_or_zero(b->upper)};
}

static Kept trim_bucket(const HistogramBucket *b, double bound, bool keep_upper, bool positive,
                        bool linear)
{
    if (b->lower == -HUGE_VAL) {
        return trim_below_all(b, bound, keep_upper);
    }
    if (b->upper == HUGE_VAL) {
        if (keep_upper && bound >= b->lower) {
            return (Kept){b->count, bound};
        }
        return (Kept){0, finite_or_zero(b->lower)};
    }
    double below = b->count;
    if (bound <= b->lower) {
        below = 0;
    } else if (bound < b->upper) {
        below = b->count * histogram_fraction_below(b, bound, linear);
    }
    return keep_upper ? (Kept){b->count - below, middle(bound, b->upper, positive, linear)}
                      : (Kept){below, middle(b->lower, bound, positive, linear)};
}

typedef struct Trim {
    double bound;
    bool keep_upper, linear;
    double count, sum; // of what is kept
    bool changed;
} Trim;

// Trims counts[0..), the buckets of one side; whether any was populated.
static bool trim_side(Trim *trim, const Histogram *h, bool positive, double *counts)
{
    bool populated = false;
    HistogramCursor c = histogram_cursor(positive ? &h->positive : &h->negative, true);
    for (uint32_t i = 0; histogram_cursor_next(&c); i++) {
        if (c.count == 0) {
            continue;
        }
        populated = true;
        const HistogramBucket b = histogram_bucket_at(&c, h, positive);
        const bool all = trim->keep_upper ? b.lower >= trim->bound : b.upper <= trim->bound;
        const bool some = trim->keep_upper ? b.upper > trim->bound : b.lower < trim->bound;
        Kept kept = {0};
        if (all) {
            kept = (Kept){b.count, middle(b.lower, b.upper, positive, trim->linear)};
        } else if (some) {
            kept = trim_bucket(&b, trim->bound, trim->keep_upper, positive, trim->linear);
        }
        if (all || some) {
            trim->count += kept.count;
            trim->sum += kept.at * kept.count;
        }
        trim->changed |= !all && (!some || counts[i] != kept.count);
        counts[i] = kept.count;
    }
    return populated;
}

static Kept trim_zero(const Histogram *h, const Trim *trim, bool positive, bool negative)
{
    const double lower = positive && !negative ? 0 : -h->zero_threshold;
    const double upper = negative && !positive ? 0 : h->zero_threshold;
    const double bound = trim->bound;
    const Kept all = {h->zero_count, (lower + upper) / 2};
    if (bound <= lower) {
        return trim->keep_upper ? all : (Kept){0, 0};
    }
    if (bound >= upper) {
        return trim->keep_upper ? (Kept){0, 0} : all;
    }
    if (trim->keep_upper) {
        return (Kept){h->zero_count * ((upper - bound) / (upper - lower)), (bound + upper) / 2};
    }
    return (Kept){h->zero_count * ((bound - lower) / (upper - lower)), (lower + bound) / 2};
}

const Histogram *histogram_trim(const Histogram *h, double bound, bool keep_upper, Arena *arena)
{
    Trim trim = {.bound = bound, .keep_upper = keep_upper, .linear = histogram_is_custom(h)};
    HistogramCopy copy = histogram_copy(h, arena);
    const bool positive = trim_side(&trim, h, true, copy.positive);
    const bool negative = trim_side(&trim, h, false, copy.negative);
    if (h->zero_count > 0) {
        const Kept kept = trim_zero(h, &trim, positive, negative);
        trim.changed |= kept.count != h->zero_count;
        copy.h->zero_count = kept.count;
        trim.count += kept.count;
        trim.sum += kept.at * kept.count;
    }
    if (!trim.changed) {
        return copy.h;
    }
    copy.h->count = trim.count;
    copy.h->sum = trim.sum;
    return histogram_compact(copy.h, 0, arena);
}
