// SPDX-License-Identifier: Apache-2.0
#include "promql/histogram_bounds_internal.h"
#include "promql/histogram_internal.h"
#include "promql/logs.h"

#include <float.h>
#include <math.h>

// The highest bucket of ordinary numbers ends at DBL_MAX and not at infinity, which has a bucket of
// its own.
double histogram_exponential_bound(int32_t index, int32_t schema)
{
    if (schema < 0) {
        const int64_t exponent = (int64_t)index * (1 << -schema);
        if (exponent == 1024) {
            return DBL_MAX;
        }
        return exponent > 1024 ? HUGE_VAL : exponent < -1080 ? 0 : ldexp(1, (int)exponent);
    }
    const uint32_t part = (uint32_t)index & ((1U << schema) - 1);
    const int32_t exponent = (index >> schema) + 1;
    if (part == 0 && exponent == 1025) {
        return DBL_MAX;
    }
    return ldexp(exponential_bounds[part << (8 - schema)], exponent);
}

double histogram_custom_bound(int32_t index, const double *bounds, uint32_t bound_count)
{
    if (index < 0) {
        return -HUGE_VAL;
    }
    return (uint32_t)index < bound_count ? bounds[index] : HUGE_VAL;
}

int32_t histogram_target_index(int32_t index, int32_t from, int32_t schema)
{
    return ((index - 1) >> (from - schema)) + 1;
}

bool histogram_bounds_equal(const Histogram *a, const Histogram *b)
{
    if (a->bound_count != b->bound_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->bound_count; i++) {
        if (a->bounds[i] != b->bounds[i]) {
            return false;
        }
    }
    return true;
}

HistogramCursor histogram_cursor(const HistogramSide *side, bool outwards)
{
    HistogramCursor c = {.side = side, .outwards = outwards};
    if (outwards) {
        c.next_index = side->span_count == 0 ? 0 : side->spans[0].offset;
        return c;
    }
    for (uint32_t i = 0; i < side->span_count; i++) {
        c.next_index += side->spans[i].offset + (int32_t)side->spans[i].length;
    }
    c.span = (int64_t)side->span_count - 1;
    c.in_span = side->span_count == 0 ? 0 : side->spans[c.span].length;
    c.bucket = side->bucket_count;
    return c;
}

static bool next_outwards(HistogramCursor *c)
{
    const HistogramSide *side = c->side;
    while (c->span < side->span_count && c->in_span >= side->spans[c->span].length) {
        c->in_span = 0;
        c->span++;
        if (c->span < side->span_count) {
            c->next_index += side->spans[c->span].offset;
        }
    }
    if (c->span >= side->span_count) {
        return false;
    }
    c->index = c->next_index++;
    c->in_span++;
    c->count = side->counts[c->bucket++];
    return true;
}

static bool next_inwards(HistogramCursor *c)
{
    const HistogramSide *side = c->side;
    while (c->span >= 0 && c->in_span == 0) {
        c->next_index -= side->spans[c->span].offset;
        c->span--;
        if (c->span >= 0) {
            c->in_span = side->spans[c->span].length;
        }
    }
    if (c->span < 0) {
        return false;
    }
    c->index = --c->next_index;
    c->in_span--;
    c->count = side->counts[--c->bucket];
    return true;
}

bool histogram_cursor_next(HistogramCursor *c)
{
    return c->outwards ? next_outwards(c) : next_inwards(c);
}

HistogramBucket histogram_bucket_at(const HistogramCursor *c, const Histogram *h, bool positive)
{
    HistogramBucket b = {.count = c->count};
    if (histogram_is_custom(h)) {
        b.lower = histogram_custom_bound(c->index - 1, h->bounds, h->bound_count);
        b.upper = histogram_custom_bound(c->index, h->bounds, h->bound_count);
        b.lower_inclusive = c->index == 0;
        b.upper_inclusive = true;
        return b;
    }
    const double inner = histogram_exponential_bound(c->index - 1, h->schema);
    const double outer = histogram_exponential_bound(c->index, h->schema);
    b.lower = positive ? inner : -outer;
    b.upper = positive ? outer : -inner;
    b.lower_inclusive = b.lower < 0;
    b.upper_inclusive = b.upper > 0;
    return b;
}

HistogramWalk histogram_walk(const Histogram *h, bool ascending)
{
    return (HistogramWalk){
        .histogram = h,
        .ascending = ascending,
        .cursor = histogram_cursor(ascending ? &h->negative : &h->positive, false),
    };
}

static void cut_at_zero_bucket(HistogramBucket *b, double threshold)
{
    if (b->lower > 0 && b->lower < threshold) {
        b->lower = threshold;
    } else if (b->upper < 0 && b->upper > -threshold) {
        b->upper = -threshold;
    }
}

bool histogram_walk_next(HistogramWalk *walk, HistogramBucket *out)
{
    const Histogram *h = walk->histogram;
    if (walk->stage == 1) {
        walk->stage = 2;
        walk->cursor = histogram_cursor(walk->ascending ? &h->positive : &h->negative, true);
        if (h->zero_count > 0) {
            *out =
                (HistogramBucket){-h->zero_threshold, h->zero_threshold, h->zero_count, true, true};
            return true;
        }
    }
    if (walk->stage < 3 && histogram_cursor_next(&walk->cursor)) {
        *out = histogram_bucket_at(&walk->cursor, h, walk->ascending == (walk->stage == 2));
        cut_at_zero_bucket(out, h->zero_threshold);
        return true;
    }
    walk->stage++;
    return walk->stage == 1 && histogram_walk_next(walk, out);
}

size_t histogram_buckets(const Histogram *h, Arena *arena, const HistogramBucket **out)
{
    const size_t max = (size_t)h->positive.bucket_count + h->negative.bucket_count + 1;
    HistogramBucket *list = arena_new(arena, HistogramBucket, max);
    HistogramWalk walk = histogram_walk(h, true);
    size_t count = 0;
    while (histogram_walk_next(&walk, &list[count])) {
        count++;
    }
    *out = list;
    return count;
}

double histogram_fraction_below(const HistogramBucket *bucket, double v, bool linear)
{
    if (linear) {
        return (v - bucket->lower) / (bucket->upper - bucket->lower);
    }
    const double lower = logs_log2(fabs(bucket->lower));
    const double upper = logs_log2(fabs(bucket->upper));
    const double at = logs_log2(fabs(v));
    return v > 0 ? (at - lower) / (upper - lower) : 1 - (at - upper) / (lower - upper);
}
