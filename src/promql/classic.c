// SPDX-License-Identifier: Apache-2.0
//
// Classic histograms: cumulative counts under upper bounds.
#include "promql/histogram_math.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

// Differences below this part of the counts come from adding floats in another order, and are
// taken for none.
static const double TOLERANCE = 1e-12;

static int compare_bucket(const void *a, const void *b)
{
    const double x = ((const ClassicBucket *)a)->upper;
    const double y = ((const ClassicBucket *)b)->upper;
    return (x > y) - (x < y);
}

static bool is_sorted(const ClassicBucket *buckets, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (!(buckets[i - 1].upper <= buckets[i].upper)) {
            return false;
        }
    }
    return true;
}

static void sort(ClassicBucket *buckets, size_t count)
{
    if (!is_sorted(buckets, count)) {
        qsort(buckets, count, sizeof(*buckets), compare_bucket);
    }
}

// Adds up buckets with the same bound; how many are left.
static size_t coalesce(ClassicBucket *buckets, size_t count)
{
    size_t last = 0;
    for (size_t i = 1; i < count; i++) {
        if (buckets[i].upper == buckets[last].upper) {
            buckets[last].count += buckets[i].count;
        } else {
            buckets[++last] = buckets[i];
        }
    }
    return last + 1;
}

// util/almost of Prometheus: equal, or differing by less than the tolerance of their sum.
static bool is_almost(double a, double b)
{
    if (a == b || (isnan(a) && isnan(b))) {
        return true;
    }
    const double sum = fabs(a) + fabs(b);
    const double difference = fabs(a - b);
    if (a == 0 || b == 0 || sum < DBL_MIN) {
        return difference < TOLERANCE * DBL_MIN;
    }
    return difference / (sum < DBL_MAX ? sum : DBL_MAX) < TOLERANCE;
}

static void make_monotonic(ClassicBucket *buckets, size_t count, ClassicRepair *repair)
{
    double before = buckets[0].count;
    for (size_t i = 1; i < count; i++) {
        const double now = buckets[i].count;
        if (is_almost(before, now)) {
            buckets[i].count = before;
        } else if (now < before) {
            const double upper = buckets[i].upper;
            buckets[i].count = before;
            repair->forced = true;
            repair->min_bucket = upper < repair->min_bucket ? upper : repair->min_bucket;
            repair->max_bucket = upper > repair->max_bucket ? upper : repair->max_bucket;
            repair->max_diff = before - now > repair->max_diff ? before - now : repair->max_diff;
        } else {
            before = now;
        }
    }
}

// The first bucket but the last that holds `rank` observations, else the last.
static size_t find_rank(const ClassicBucket *buckets, size_t count, double rank)
{
    size_t low = 0;
    size_t high = count - 1;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (buckets[middle].count >= rank) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

double classic_quantile(double q, ClassicBucket *buckets, size_t count, ClassicRepair *repair)
{
    *repair = (ClassicRepair){.min_bucket = HUGE_VAL, .max_bucket = -HUGE_VAL};
    if (isnan(q)) {
        return q;
    }
    if (q < 0 || q > 1) {
        return q < 0 ? -HUGE_VAL : HUGE_VAL;
    }
    sort(buckets, count);
    if (buckets[count - 1].upper != HUGE_VAL) {
        return (double)NAN;
    }
    count = coalesce(buckets, count);
    make_monotonic(buckets, count, repair);
    if (count < 2 || buckets[count - 1].count == 0) {
        return (double)NAN;
    }
    double rank = q * buckets[count - 1].count;
    const size_t b = find_rank(buckets, count, rank);
    if (b == count - 1) {
        return buckets[count - 2].upper;
    }
    if (b == 0 && buckets[0].upper <= 0) {
        return buckets[0].upper;
    }
    double start = 0;
    double in_bucket = buckets[b].count;
    if (b > 0) {
        start = buckets[b - 1].upper;
        in_bucket -= buckets[b - 1].count;
        rank -= buckets[b - 1].count;
    }
    return start + (buckets[b].upper - start) * (rank / in_bucket);
}

// Where `v` ranks among the observations, while the buckets go by.
typedef struct RankOf {
    double v, rank;
    bool is_set;
} RankOf;

static void look_for(RankOf *r, double lower, const ClassicBucket *b, double before)
{
    if (r->is_set) {
        return;
    }
    if (lower >= r->v) {
        r->rank = before;
        r->is_set = true;
    } else if (b->upper > r->v) {
        r->rank = lower == -HUGE_VAL
                      ? b->count
                      : before + (b->count - before) * (r->v - lower) / (b->upper - lower);
        r->is_set = true;
    }
}

double classic_fraction(double lower, double upper, ClassicBucket *buckets, size_t count)
{
    sort(buckets, count);
    if (buckets[count - 1].upper != HUGE_VAL) {
        return (double)NAN;
    }
    count = coalesce(buckets, count);
    const double total = buckets[count - 1].count;
    if (total == 0 || isnan(lower) || isnan(upper)) {
        return (double)NAN;
    }
    if (lower >= upper) {
        return 0;
    }
    RankOf from = {.v = lower};
    RankOf to = {.v = upper};
    double before = 0;
    double begin = buckets[0].upper <= 0 ? -HUGE_VAL : 0;
    for (size_t i = 0; i < count; i++) {
        look_for(&from, begin, &buckets[i], before);
        look_for(&to, begin, &buckets[i], before);
        before = buckets[i].count;
        begin = buckets[i].upper;
    }
    const double first = !from.is_set || from.rank > total ? total : from.rank;
    const double last = !to.is_set || to.rank > total ? total : to.rank;
    return (last - first) / total;
}
