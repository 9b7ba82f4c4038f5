// SPDX-License-Identifier: Apache-2.0
//
// Addition of histograms. Both are brought to one schema and one zero bucket (or, with custom
// buckets, to the bounds they have in common); then it is a merge of two ascending lists.
#include "promql/histogram_internal.h"
#include "promql/kahan.h"

#include <math.h>

static void side_reserve(HistogramFlatSide *side, uint32_t need, Arena *arena)
{
    if (need > side->cap) {
        const uint32_t cap = need + need / 4 + 8;
        HistogramFlatSide grown = {
            .index = arena_new(arena, int32_t, cap),
            .count = arena_new(arena, double, cap),
            .rest = arena_new(arena, double, cap),
            .len = side->len,
            .cap = cap,
        };
        if (side->len != 0) {
            memcpy(grown.index, side->index, side->len * sizeof(*grown.index));
            memcpy(grown.count, side->count, side->len * sizeof(*grown.count));
            memcpy(grown.rest, side->rest, side->len * sizeof(*grown.rest));
        }
        *side = grown;
    }
}

static void side_put(HistogramFlatSide *side, int32_t index, double count, double rest)
{
    side->index[side->len] = index;
    side->count[side->len] = count;
    side->rest[side->len++] = rest;
}

static void side_set(HistogramFlatSide *flat, const HistogramSide *side, Arena *arena)
{
    flat->len = 0;
    side_reserve(flat, side->bucket_count, arena);
    HistogramCursor c = histogram_cursor(side, true);
    while (histogram_cursor_next(&c)) {
        side_put(flat, c.index, c.count, 0);
    }
}

const double *histogram_copy_doubles(const double *values, uint32_t count, Arena *arena)
{
    double *copy = arena_new(arena, double, count);
    if (count != 0) {
        memcpy(copy, values, count * sizeof(*copy));
    }
    return copy;
}

void histogram_flat_set(HistogramFlat *flat, const Histogram *h)
{
    flat->schema = h->schema;
    flat->hint = h->hint;
    flat->zero_threshold = h->zero_threshold;
    flat->zero_count = h->zero_count;
    flat->count = h->count;
    flat->sum = h->sum;
    flat->zero_rest = 0;
    flat->count_rest = 0;
    flat->sum_rest = 0;
    flat->bounds = histogram_copy_doubles(h->bounds, h->bound_count, flat->arena);
    flat->bound_count = h->bound_count;
    side_set(&flat->positive, &h->positive, flat->arena);
    side_set(&flat->negative, &h->negative, flat->arena);
}

static void side_assign(HistogramFlatSide *to, const HistogramFlatSide *from, Arena *arena)
{
    to->len = 0;
    side_reserve(to, from->len, arena);
    if (from->len != 0) {
        memcpy(to->index, from->index, from->len * sizeof(*to->index));
        memcpy(to->count, from->count, from->len * sizeof(*to->count));
        memcpy(to->rest, from->rest, from->len * sizeof(*to->rest));
    }
    to->len = from->len;
}

void histogram_flat_assign(HistogramFlat *flat, const HistogramFlat *from)
{
    const HistogramFlat before = *flat;
    *flat = *from; // the numbers; memory stays apart
    flat->arena = before.arena;
    flat->positive = before.positive;
    flat->negative = before.negative;
    flat->spare = before.spare;
    side_assign(&flat->positive, &from->positive, flat->arena);
    side_assign(&flat->negative, &from->negative, flat->arena);
}

static void side_reduce(HistogramFlatSide *side, int32_t from, int32_t schema, bool compensated)
{
    uint32_t out = 0;
    for (uint32_t i = 0; i < side->len; i++) {
        const int32_t index = histogram_target_index(side->index[i], from, schema);
        if (out == 0 || side->index[out - 1] != index) {
            side->index[out] = index;
            side->count[out] = side->count[i];
            side->rest[out++] = side->rest[i];
        } else if (compensated) {
            kahan_add(side->count[i], &side->count[out - 1], &side->rest[out - 1]);
            kahan_add(side->rest[i], &side->count[out - 1], &side->rest[out - 1]);
        } else {
            side->count[out - 1] += side->count[i];
        }
    }
    side->len = out;
}

void histogram_flat_reduce(HistogramFlat *flat, int32_t schema, bool compensated)
{
    if (schema < flat->schema) {
        side_reduce(&flat->positive, flat->schema, schema, compensated);
        side_reduce(&flat->negative, flat->schema, schema, compensated);
        flat->schema = schema;
    }
}

static void side_drop_empty(HistogramFlatSide *side)
{
    uint32_t out = 0;
    for (uint32_t i = 0; i < side->len; i++) {
        if (side->count[i] != 0 || side->rest[i] != 0) {
            side->index[out] = side->index[i];
            side->count[out] = side->count[i];
            side->rest[out++] = side->rest[i];
        }
    }
    side->len = out;
}

// The state while buckets are counted into a zero bucket that grows.
typedef struct ZeroFold {
    double threshold, count, rest;
    bool compensated;
} ZeroFold;

// Counts the buckets of a side that begin below the threshold. One that reaches beyond it and is
// not empty raises the threshold to its end; true then.
static bool fold_side(ZeroFold *fold, const HistogramFlatSide *side, int32_t schema)
{
    for (uint32_t i = 0; i < side->len; i++) {
        if (histogram_exponential_bound(side->index[i] - 1, schema) >= fold->threshold) {
            return false;
        }
        kahan_add(side->count[i], &fold->count, &fold->rest);
        if (fold->compensated) {
            kahan_add(side->rest[i], &fold->count, &fold->rest);
        }
        const double end = histogram_exponential_bound(side->index[i], schema);
        if (end > fold->threshold) {
            if (side->count[i] != 0) {
                fold->threshold = end;
                return true;
            }
            return false;
        }
    }
    return false;
}

// The same for one that is not flat.
static bool fold_cursor(ZeroFold *fold, HistogramCursor c, int32_t schema)
{
    HistogramFlatSide one = {
        .index = &c.index, .count = &c.count, .rest = NULL, .len = 1, .cap = 1};
    while (histogram_cursor_next(&c)) {
        const double before = fold->threshold;
        if (fold_side(fold, &one, schema)) {
            return true;
        }
        if (histogram_exponential_bound(c.index, schema) >= before) {
            return false;
        }
    }
    return false;
}

// What the zero bucket would hold with a larger threshold. When the negative side raises it, the
// positive one is counted anew; the compensation is not, as in Prometheus.
static void fold_into_zero(const HistogramFlat *flat, ZeroFold *fold)
{
    bool again = true;
    fold->rest = fold->compensated ? flat->zero_rest : 0;
    while (again) {
        fold->count = flat->zero_count;
        if (fold->threshold == flat->zero_threshold) {
            return;
        }
        (void)fold_side(fold, &flat->positive, flat->schema); // goes on either way
        again = fold_side(fold, &flat->negative, flat->schema);
    }
}

double histogram_zero_count(const Histogram *h, double *threshold)
{
    ZeroFold fold = {.threshold = *threshold};
    bool again = *threshold > h->zero_threshold;
    fold.count = h->zero_count;
    while (again) {
        fold.count = h->zero_count;
        (void)fold_cursor(&fold, histogram_cursor(&h->positive, true), h->schema);
        again = fold_cursor(&fold, histogram_cursor(&h->negative, true), h->schema);
    }
    *threshold = fold.threshold;
    return fold.count;
}

static void side_clear_below(HistogramFlatSide *side, double threshold, int32_t schema)
{
    for (uint32_t i = 0; i < side->len; i++) {
        if (histogram_exponential_bound(side->index[i] - 1, schema) >= threshold) {
            break;
        }
        side->count[i] = 0;
        side->rest[i] = 0;
    }
    side_drop_empty(side);
}

// Gives `flat` a zero bucket that covers those of both and cuts no populated bucket of either.
// Returns what that of `other` would hold.
static ZeroFold reconcile_zero(HistogramFlat *flat, const HistogramFlat *other, bool compensated)
{
    ZeroFold theirs = {.threshold = other->zero_threshold, .count = other->zero_count};
    // Not "!=": thresholds that are no numbers must not keep us here.
    while (theirs.threshold < flat->zero_threshold || theirs.threshold > flat->zero_threshold) {
        if (flat->zero_threshold > theirs.threshold) {
            theirs.threshold = flat->zero_threshold;
            fold_into_zero(other, &theirs);
        }
        if (theirs.threshold > flat->zero_threshold) {
            ZeroFold ours = {.threshold = theirs.threshold, .compensated = compensated};
            fold_into_zero(flat, &ours);
            flat->zero_count = ours.count;
            flat->zero_threshold = ours.threshold;
            flat->zero_rest = compensated ? ours.rest : 0;
            side_clear_below(&flat->positive, ours.threshold, flat->schema);
            side_clear_below(&flat->negative, ours.threshold, flat->schema);
        }
    }
    return theirs;
}

typedef struct Merge {
    Arena *arena;
    HistogramFlatSide *spare;
    int sign;
    bool compensated;
} Merge;

static void merge_bucket(const Merge *m, HistogramFlatSide *into, double count, double rest)
{
    double *sum = &into->count[into->len - 1];
    double *sum_rest = &into->rest[into->len - 1];
    if (!m->compensated) {
        *sum += count;
        return;
    }
    kahan_add(count, sum, sum_rest);
    if (rest != 0) {
        kahan_add(rest, sum, sum_rest);
    }
}

// into += sign * from, where the first `skip` buckets of `from` are left out.
static void merge_side(const Merge *m, HistogramFlatSide *into, const HistogramFlatSide *from,
                       uint32_t skip)
{
    HistogramFlatSide *out = m->spare;
    out->len = 0;
    side_reserve(out, into->len + from->len, m->arena);
    uint32_t i = 0;
    uint32_t j = skip;
    while (i < into->len || j < from->len) {
        if (j == from->len || (i < into->len && into->index[i] <= from->index[j])) {
            side_put(out, into->index[i], into->count[i], into->rest[i]);
            if (j < from->len && into->index[i] == from->index[j]) {
                merge_bucket(m, out, m->sign * from->count[j], m->sign * from->rest[j]);
                j++;
            }
            i++;
        } else {
            side_put(out, from->index[j], m->sign * from->count[j],
                     m->compensated ? m->sign * from->rest[j] : 0);
            j++;
        }
    }
    const HistogramFlatSide before = *into;
    *into = *out;
    *m->spare = before;
}

// Buckets at the beginning that lie within the zero bucket.
static uint32_t count_below(const HistogramFlatSide *side, double threshold, int32_t schema)
{
    uint32_t n = 0;
    while (n < side->len && histogram_exponential_bound(side->index[n], schema) <= threshold) {
        n++;
    }
    return n;
}

static void merge_exponential(HistogramFlat *flat, HistogramFlat *other, const Merge *m)
{
    if (other->schema < flat->schema) {
        histogram_flat_reduce(flat, other->schema, m->compensated);
    } else {
        histogram_flat_reduce(other, flat->schema, m->compensated);
    }
    const double threshold = flat->zero_threshold;
    merge_side(m, &flat->positive, &other->positive,
               count_below(&other->positive, threshold, flat->schema));
    merge_side(m, &flat->negative, &other->negative,
               count_below(&other->negative, threshold, flat->schema));
}

static uint32_t intersect(const HistogramFlat *a, const HistogramFlat *b, double *out)
{
    uint32_t count = 0;
    uint32_t i = 0;
    uint32_t j = 0;
    while (i < a->bound_count && j < b->bound_count) {
        if (a->bounds[i] == b->bounds[j]) {
            out[count++] = a->bounds[i];
            i++;
            j++;
        } else if (a->bounds[i] < b->bounds[j]) {
            i++;
        } else {
            j++;
        }
    }
    return count;
}

typedef struct Common { // buckets between common bounds
    const double *bounds;
    uint32_t bound_count;
    double *count, *rest; // bound_count + 1
} Common;

static void map_to_common(const HistogramFlat *flat, const Common *common, int sign, bool with_rest)
{
    const HistogramFlatSide *side = &flat->positive;
    uint32_t to = 0;
    for (uint32_t i = 0; i < side->len; i++) {
        uint32_t at = common->bound_count; // up to infinity
        if ((uint32_t)side->index[i] < flat->bound_count) {
            const double bound = flat->bounds[side->index[i]];
            while (to < common->bound_count && common->bounds[to] < bound) {
                to++;
            }
            at = to;
        }
        kahan_add(sign * side->count[i], &common->count[at], &common->rest[at]);
        if (with_rest) {
            kahan_add(side->rest[i], &common->count[at], &common->rest[at]);
        }
    }
}

// The compensation is always kept here, and dropped by those who do not want it.
static void merge_mismatched(HistogramFlat *flat, const HistogramFlat *other, const Merge *m)
{
    double *bounds = arena_new(m->arena, double, flat->bound_count);
    const uint32_t count = intersect(flat, other, bounds);
    const Common common = {
        .bounds = bounds,
        .bound_count = count,
        .count = arena_new(m->arena, double, count + 1),
        .rest = arena_new(m->arena, double, count + 1),
    };
    map_to_common(flat, &common, 1, m->compensated);
    map_to_common(other, &common, m->sign, false);
    flat->bounds = bounds;
    flat->bound_count = count;
    flat->positive.len = 0;
    side_reserve(&flat->positive, count + 1, m->arena);
    for (uint32_t i = 0; i <= count; i++) {
        if (common.count[i] != 0 || common.rest[i] != 0) {
            side_put(&flat->positive, (int32_t)i, common.count[i],
                     m->compensated ? common.rest[i] : 0);
        }
    }
}

static bool same_bounds(const HistogramFlat *a, const HistogramFlat *b)
{
    const Histogram x = {.bounds = a->bounds, .bound_count = a->bound_count};
    const Histogram y = {.bounds = b->bounds, .bound_count = b->bound_count};
    return histogram_bounds_equal(&x, &y);
}

// Contradicting hints leave nothing known; a gauge makes everything a gauge.
static bool merge_hints(HistogramHint *hint, HistogramHint other)
{
    if (other == *hint || *hint == HISTOGRAM_HINT_GAUGE || *hint == HISTOGRAM_HINT_UNKNOWN) {
        if (other == HISTOGRAM_HINT_GAUGE) {
            *hint = HISTOGRAM_HINT_GAUGE;
        }
        return false;
    }
    *hint = other == HISTOGRAM_HINT_GAUGE ? HISTOGRAM_HINT_GAUGE : HISTOGRAM_HINT_UNKNOWN;
    return other != HISTOGRAM_HINT_GAUGE && other != HISTOGRAM_HINT_UNKNOWN;
}

int histogram_flat_add(HistogramFlat *flat, HistogramFlat *other, int sign, bool compensated)
{
    const Merge m = {flat->arena, &flat->spare, sign, compensated};
    const bool is_custom = flat->schema == HISTOGRAM_SCHEMA_CUSTOM;
    if (is_custom != (other->schema == HISTOGRAM_SCHEMA_CUSTOM)) {
        return HISTOGRAM_INCOMPATIBLE;
    }
    int problems = merge_hints(&flat->hint, other->hint) ? HISTOGRAM_HINT_COLLISION : 0;
    if (!is_custom) {
        const ZeroFold theirs = reconcile_zero(flat, other, compensated);
        if (compensated) {
            kahan_add(sign * theirs.count, &flat->zero_count, &flat->zero_rest);
            kahan_add(sign * theirs.rest, &flat->zero_count, &flat->zero_rest);
        } else {
            flat->zero_count += sign * theirs.count;
        }
    }
    if (compensated) {
        kahan_add(sign * other->count, &flat->count, &flat->count_rest);
        kahan_add(sign * other->sum, &flat->sum, &flat->sum_rest);
    } else {
        flat->count += sign * other->count;
        flat->sum += sign * other->sum;
    }
    if (!is_custom) {
        merge_exponential(flat, other, &m);
    } else if (same_bounds(flat, other)) {
        merge_side(&m, &flat->positive, &other->positive, 0);
    } else {
        merge_mismatched(flat, other, &m);
        problems |= HISTOGRAM_BOUNDS_RECONCILED;
    }
    return problems;
}

static void side_settle(HistogramFlatSide *side)
{
    for (uint32_t i = 0; i < side->len; i++) {
        side->count[i] += side->rest[i];
        side->rest[i] = 0;
    }
}

void histogram_flat_settle(HistogramFlat *flat)
{
    flat->zero_count += flat->zero_rest;
    flat->count += flat->count_rest;
    flat->sum += flat->sum_rest;
    flat->zero_rest = 0;
    flat->count_rest = 0;
    flat->sum_rest = 0;
    side_settle(&flat->positive);
    side_settle(&flat->negative);
}

static void side_scale(HistogramFlatSide *side, double divisor, double factor)
{
    for (uint32_t i = 0; i < side->len; i++) {
        side->count[i] = side->count[i] / divisor * factor;
        side->rest[i] = side->rest[i] / divisor * factor;
    }
}

void histogram_flat_scale(HistogramFlat *flat, double divisor, double factor)
{
    double *const all[] = {&flat->zero_count, &flat->zero_rest, &flat->count,
                           &flat->count_rest, &flat->sum,       &flat->sum_rest};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        *all[i] = *all[i] / divisor * factor;
    }
    side_scale(&flat->positive, divisor, factor);
    side_scale(&flat->negative, divisor, factor);
}

static bool side_is_infinite(const HistogramFlatSide *side)
{
    for (uint32_t i = 0; i < side->len; i++) {
        if (isinf(side->count[i])) {
            return true;
        }
    }
    return false;
}

bool histogram_flat_is_infinite(const HistogramFlat *flat)
{
    // Of custom bounds only the first may be infinite.
    return isinf(flat->zero_count) || isinf(flat->count) || isinf(flat->sum) ||
           (flat->bound_count > 0 && isinf(flat->bounds[0])) || side_is_infinite(&flat->positive) ||
           side_is_infinite(&flat->negative);
}

static HistogramSide side_of_flat(const HistogramFlatSide *flat, Arena *arena)
{
    HistogramSide side = {.bucket_count = flat->len};
    if (flat->len == 0) {
        return side;
    }
    uint32_t spans = 1;
    for (uint32_t i = 1; i < flat->len; i++) {
        spans += flat->index[i] != flat->index[i - 1] + 1;
    }
    HistogramSpan *list = arena_new(arena, HistogramSpan, spans);
    double *counts = arena_new(arena, double, flat->len);
    memcpy(counts, flat->count, flat->len * sizeof(*counts));
    int32_t next = 0;
    for (uint32_t i = 0; i < flat->len; i++) {
        if (i == 0 || flat->index[i] != next) {
            list[side.span_count++].offset = flat->index[i] - next;
        }
        list[side.span_count - 1].length++;
        next = flat->index[i] + 1;
    }
    side.spans = list;
    side.counts = counts;
    return side;
}

const Histogram *histogram_of_flat(const HistogramFlat *flat, Arena *arena)
{
    Histogram *h = arena_new(arena, Histogram, 1);
    *h = (Histogram){
        .schema = flat->schema,
        .hint = flat->hint,
        .zero_threshold = flat->zero_threshold,
        .zero_count = flat->zero_count,
        .count = flat->count,
        .sum = flat->sum,
        .positive = side_of_flat(&flat->positive, arena),
        .negative = side_of_flat(&flat->negative, arena),
        .bounds = histogram_copy_doubles(flat->bounds, flat->bound_count, arena),
        .bound_count = flat->bound_count,
    };
    return h;
}
