// SPDX-License-Identifier: Apache-2.0
//
// What the files of histogram arithmetic share: bounds, walking over buckets in order, and the flat
// form in which histograms are added up.
#pragma once

#include "promql/histogram_math.h"

static inline bool histogram_is_custom(const Histogram *h)
{
    return h->schema == HISTOGRAM_SCHEMA_CUSTOM;
}

// Upper bound of bucket `index`, its absolute value on the negative side.
double histogram_exponential_bound(int32_t index, int32_t schema);
double histogram_custom_bound(int32_t index, const double *bounds, uint32_t bound_count);
// The bucket of `schema` that bucket `index` of the finer schema `from` is part of.
int32_t histogram_target_index(int32_t index, int32_t from, int32_t schema);
bool histogram_bounds_equal(const Histogram *a, const Histogram *b); // custom bounds

// The buckets of one side, from zero outwards or the other way round.
typedef struct HistogramCursor {
    const HistogramSide *side;
    bool outwards;
    int64_t span;
    uint32_t in_span, bucket;
    int32_t next_index;

    int32_t index; // of the current one
    double count;
} HistogramCursor;

HistogramCursor histogram_cursor(const HistogramSide *side, bool outwards);
bool histogram_cursor_next(HistogramCursor *c);
// The bucket at the cursor, with its bounds.
HistogramBucket histogram_bucket_at(const HistogramCursor *c, const Histogram *h, bool positive);

// All buckets, ascending or descending, the zero bucket (when it has any) in the middle; buckets
// that overlap it are cut there.
typedef struct HistogramWalk {
    const Histogram *histogram;
    bool ascending;
    int stage; // 0: first side, 1: zero bucket, 2: second side, 3: over
    HistogramCursor cursor;
} HistogramWalk;

HistogramWalk histogram_walk(const Histogram *h, bool ascending);
bool histogram_walk_next(HistogramWalk *walk, HistogramBucket *out);

// What the zero bucket would hold if it reached to *threshold, which is at least its end. When
// that is inside a populated bucket, *threshold becomes the end of it.
double histogram_zero_count(const Histogram *h, double *threshold);

// How much of the bucket's width lies below `v`, which is inside its finite bounds: linear, or on a
// logarithmic scale.
double histogram_fraction_below(const HistogramBucket *bucket, double v, bool linear);

// Flat form: per side an ascending list of buckets, each with a compensation term. It is owned by
// one caller and changes; memory comes from its arena.
typedef struct HistogramFlatSide {
    int32_t *index;
    double *count, *rest;
    uint32_t len, cap;
} HistogramFlatSide;

typedef struct HistogramFlat {
    Arena *arena;
    int32_t schema;
    HistogramHint hint;
    double zero_threshold, zero_count, count, sum;
    double zero_rest, count_rest, sum_rest;
    HistogramFlatSide positive, negative;
    HistogramFlatSide spare; // memory that merging swaps with a side
    const double *bounds;
    uint32_t bound_count;
} HistogramFlat;

// Fills `flat`, whose memory (if it has any) is used again.
void histogram_flat_set(HistogramFlat *flat, const Histogram *h);
void histogram_flat_assign(HistogramFlat *flat, const HistogramFlat *from); // bounds are shared
// Adds or (sign -1) subtracts, with compensation or without. `other` may be changed. Returns
// HistogramProblem bits; after HISTOGRAM_INCOMPATIBLE nothing has happened.
int histogram_flat_add(HistogramFlat *flat, HistogramFlat *other, int sign, bool compensated);
void histogram_flat_settle(HistogramFlat *flat); // adds the compensation to what it belongs to
void histogram_flat_scale(HistogramFlat *flat, double divisor,
                          double factor); // x / d * f
void histogram_flat_reduce(HistogramFlat *flat, int32_t schema, bool compensated);
bool histogram_flat_is_infinite(const HistogramFlat *flat);
const Histogram *histogram_of_flat(const HistogramFlat *flat, Arena *arena);

const double *histogram_copy_doubles(const double *values, uint32_t count, Arena *arena);
// A deep copy that may be changed.
typedef struct HistogramCopy {
    Histogram *h;
    double *positive, *negative;
} HistogramCopy;
HistogramCopy histogram_copy(const Histogram *h, Arena *arena);
