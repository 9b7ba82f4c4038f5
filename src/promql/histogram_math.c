// SPDX-License-Identifier: Apache-2.0
#include "promql/histogram_math.h"

#include "promql/histogram_internal.h"

#include <math.h>

static HistogramSide copy_side(const HistogramSide *side, double **counts, Arena *arena)
{
    HistogramSpan *spans = arena_new(arena, HistogramSpan, side->span_count);
    *counts = arena_new(arena, double, side->bucket_count);
    if (side->span_count != 0) {
        memcpy(spans, side->spans, side->span_count * sizeof(*spans));
    }
    if (side->bucket_count != 0) {
        memcpy(*counts, side->counts, side->bucket_count * sizeof(**counts));
    }
    return (HistogramSide){spans, side->span_count, *counts, side->bucket_count};
}

HistogramCopy histogram_copy(const Histogram *h, Arena *arena)
{
    HistogramCopy copy = {.h = arena_new(arena, Histogram, 1)};
    *copy.h = *h;
    copy.h->is_integer = false;
    copy.h->positive = copy_side(&h->positive, &copy.positive, arena);
    copy.h->negative = copy_side(&h->negative, &copy.negative, arena);
    copy.h->bounds = histogram_copy_doubles(h->bounds, h->bound_count, arena);
    return copy;
}

static bool same_spans(const HistogramSide *a, const HistogramSide *b)
{
    return a->span_count == b->span_count && a->bucket_count == b->bucket_count &&
           (a->span_count == 0 || a->spans == b->spans ||
            memcmp(a->spans, b->spans, a->span_count * sizeof(*a->spans)) == 0);
}

// Whether bucket i of one is bucket i of the other.
static bool same_layout(const Histogram *a, const Histogram *b)
{
    return a->schema == b->schema && a->zero_threshold == b->zero_threshold &&
           same_spans(&a->positive, &b->positive) && same_spans(&a->negative, &b->negative) &&
           histogram_bounds_equal(a, b);
}

// Whether the first bucket lies within the zero bucket, which addition and reset detection leave
// out.
static bool begins_in_zero(const Histogram *h, const HistogramSide *side)
{
    return !histogram_is_custom(h) && side->span_count > 0 && h->zero_threshold > 0 &&
           histogram_exponential_bound(side->spans[0].offset, h->schema) <= h->zero_threshold;
}

static const Histogram *combine(const Histogram *a, const Histogram *b, int sign, Arena *arena,
                                int *problems)
{
    HistogramFlat into = {.arena = arena};
    HistogramFlat other = {.arena = arena};
    if (histogram_is_custom(a) != histogram_is_custom(b)) {
        *problems |= HISTOGRAM_INCOMPATIBLE;
        return NULL;
    }
    histogram_flat_set(&into, a);
    histogram_flat_set(&other, b);
    *problems |= histogram_flat_add(&into, &other, sign, false);
    return histogram_of_flat(&into, arena);
}

const Histogram *histogram_add(const Histogram *a, const Histogram *b, Arena *arena, int *problems)
{
    return combine(a, b, 1, arena, problems);
}

const Histogram *histogram_sub(const Histogram *a, const Histogram *b, Arena *arena, int *problems)
{
    return combine(a, b, -1, arena, problems);
}

static void scale(HistogramCopy *copy, double divisor, double factor)
{
    Histogram *h = copy->h;
    h->zero_count = h->zero_count / divisor * factor;
    h->count = h->count / divisor * factor;
    h->sum = h->sum / divisor * factor;
    for (uint32_t i = 0; i < h->positive.bucket_count; i++) {
        copy->positive[i] = copy->positive[i] / divisor * factor;
    }
    for (uint32_t i = 0; i < h->negative.bucket_count; i++) {
        copy->negative[i] = copy->negative[i] / divisor * factor;
    }
    if (divisor < 0 || factor < 0) {
        h->hint = HISTOGRAM_HINT_GAUGE;
    }
}

const Histogram *histogram_mul(const Histogram *h, double factor, Arena *arena)
{
    HistogramCopy copy = histogram_copy(h, arena);
    scale(&copy, 1, factor);
    return copy.h;
}

const Histogram *histogram_div(const Histogram *h, double divisor, Arena *arena)
{
    HistogramCopy copy = histogram_copy(h, arena);
    scale(&copy, divisor, 1);
    if (divisor == 0) {
        copy.h->positive = (HistogramSide){0};
        copy.h->negative = (HistogramSide){0};
    }
    return copy.h;
}

const Histogram *histogram_with_hint(const Histogram *h, HistogramHint hint, Arena *arena)
{
    if (h->hint == hint) {
        return h;
    }
    Histogram *out = arena_new(arena, Histogram, 1);
    *out = *h;
    out->hint = hint;
    return out;
}

const Histogram *histogram_reduce(const Histogram *h, int32_t schema, Arena *arena)
{
    HistogramFlat flat = {.arena = arena};
    if (histogram_is_custom(h) || schema >= h->schema) {
        return h;
    }
    histogram_flat_set(&flat, h);
    histogram_flat_reduce(&flat, schema, false);
    flat.hint = HISTOGRAM_HINT_UNKNOWN;
    return histogram_of_flat(&flat, arena);
}

// How a side looks when it is compacted.
typedef struct Compact {
    uint32_t spans;
    uint64_t buckets;
} Compact;

static Compact measure_compact(const HistogramSide *side, uint32_t max_empty)
{
    Compact size = {0};
    int64_t next = INT64_MIN;
    HistogramCursor c = histogram_cursor(side, true);
    while (histogram_cursor_next(&c)) {
        if (c.count == 0) {
            continue;
        }
        if (next == INT64_MIN || c.index - next > max_empty) {
            size.spans++;
        } else {
            size.buckets += (uint64_t)(c.index - next);
        }
        size.buckets++;
        next = (int64_t)c.index + 1;
    }
    return size;
}

static HistogramSide compact_side(const HistogramSide *side, uint32_t max_empty, Arena *arena)
{
    Compact size = measure_compact(side, max_empty);
    if (size.buckets > HISTOGRAM_BUCKETS_MAX && max_empty > 0) {
        max_empty = 0;
        size = measure_compact(side, max_empty);
    }
    HistogramSpan *spans = arena_new(arena, HistogramSpan, size.spans);
    double *counts = arena_new(arena, double, size.buckets);
    HistogramSide out = {.spans = spans, .counts = counts};
    int32_t next = 0;
    HistogramCursor c = histogram_cursor(side, true);
    while (histogram_cursor_next(&c)) {
        if (c.count == 0) {
            continue;
        }
        if (out.span_count == 0 || (int64_t)c.index - next > max_empty) {
            spans[out.span_count++].offset = c.index - next;
        } else { // the arena zeroes what is between
            spans[out.span_count - 1].length += (uint32_t)(c.index - next);
            out.bucket_count += (uint32_t)(c.index - next);
        }
        spans[out.span_count - 1].length++;
        counts[out.bucket_count++] = c.count;
        next = c.index + 1;
    }
    return out;
}

// Nothing to do: no empty bucket, and no two spans that could be one.
static bool is_compact(const HistogramSide *side)
{
    for (uint32_t i = 0; i < side->span_count; i++) {
        if (side->spans[i].length == 0 || (i > 0 && side->spans[i].offset == 0)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < side->bucket_count; i++) {
        if (side->counts[i] == 0) {
            return false;
        }
    }
    return true;
}

const Histogram *histogram_compact(const Histogram *h, uint32_t max_empty, Arena *arena)
{
    if (max_empty == 0 && is_compact(&h->positive) && is_compact(&h->negative)) {
        return h;
    }
    Histogram *out = arena_new(arena, Histogram, 1);
    *out = *h;
    out->positive = compact_side(&h->positive, max_empty, arena);
    out->negative = compact_side(&h->negative, max_empty, arena);
    return out;
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}

// The same buckets with the same counts, however spans are cut.
static bool equal_side(const HistogramSide *a, const HistogramSide *b)
{
    HistogramCursor x = histogram_cursor(a, true);
    HistogramCursor y = histogram_cursor(b, true);
    if (a->bucket_count != b->bucket_count) {
        return false;
    }
    while (histogram_cursor_next(&x)) {
        if (!histogram_cursor_next(&y) || x.index != y.index || !same_bits(x.count, y.count)) {
            return false;
        }
    }
    return true;
}

bool histogram_equal(const Histogram *a, const Histogram *b)
{
    return a->schema == b->schema && same_bits(a->count, b->count) && same_bits(a->sum, b->sum) &&
           (!histogram_is_custom(a) || histogram_bounds_equal(a, b)) &&
           a->zero_threshold == b->zero_threshold && same_bits(a->zero_count, b->zero_count) &&
           equal_side(&a->negative, &b->negative) && equal_side(&a->positive, &b->positive);
}

// The buckets of one side at a coarser schema, without those that end within the zero bucket.
typedef struct Merged {
    HistogramCursor cursor;
    bool has_next; // the cursor stands on a bucket that is not yet taken
    int32_t from, schema;
    double threshold;
    bool is_past_threshold;

    int32_t index;
    double count;
} Merged;

static Merged merged_begin(const Histogram *h, bool positive, const Histogram *now)
{
    Merged m = {
        .cursor = histogram_cursor(positive ? &h->positive : &h->negative, true),
        .from = h->schema,
        .schema = now->schema,
        .threshold = now->zero_threshold,
        .is_past_threshold = now->zero_threshold == 0 || histogram_is_custom(now),
    };
    m.has_next = histogram_cursor_next(&m.cursor);
    return m;
}

static int32_t merged_index(const Merged *m)
{
    return m->from == m->schema ? m->cursor.index
                                : histogram_target_index(m->cursor.index, m->from, m->schema);
}

static bool merged_next(Merged *m)
{
    while (m->has_next) {
        m->index = merged_index(m);
        m->count = 0;
        while (m->has_next && merged_index(m) == m->index) {
            m->count += m->cursor.count;
            m->has_next = histogram_cursor_next(&m->cursor);
        }
        if (m->is_past_threshold ||
            histogram_exponential_bound(m->index, m->schema) > m->threshold) {
            m->is_past_threshold = true;
            return true;
        }
    }
    return false;
}

// A populated bucket that is gone, or one that lost something.
static bool side_is_reset(const Histogram *now, const Histogram *before, bool positive)
{
    Merged a = merged_begin(now, positive, now);
    Merged b = merged_begin(before, positive, now);
    bool has_a = merged_next(&a);
    while (merged_next(&b)) {
        while (has_a && a.index < b.index) {
            has_a = merged_next(&a);
        }
        if (has_a && a.index == b.index ? a.count < b.count : b.count != 0) {
            return true;
        }
    }
    return false;
}

static bool counts_went_down(const HistogramSide *now, const HistogramSide *before)
{
    for (uint32_t i = 0; i < now->bucket_count; i++) {
        if (now->counts[i] < before->counts[i]) {
            return true;
        }
    }
    return false;
}

// Sums up the buckets that end at or below `bound`.
static double take_up_to(HistogramCursor *c, bool *has_next, const Histogram *h, double bound)
{
    double sum = 0;
    while (*has_next && histogram_custom_bound(c->index, h->bounds, h->bound_count) <= bound) {
        sum += c->count;
        *has_next = histogram_cursor_next(c);
    }
    return sum;
}

// Compares what lies between bounds that both have; infinity is one.
static bool custom_is_reset(const Histogram *now, const Histogram *before)
{
    HistogramCursor a = histogram_cursor(&now->positive, true);
    HistogramCursor b = histogram_cursor(&before->positive, true);
    bool has_a = histogram_cursor_next(&a);
    bool has_b = histogram_cursor_next(&b);
    uint32_t i = 0;
    uint32_t j = 0;
    while (i <= now->bound_count && j <= before->bound_count) {
        const double x = histogram_custom_bound((int32_t)i, now->bounds, now->bound_count);
        const double y = histogram_custom_bound((int32_t)j, before->bounds, before->bound_count);
        if (x == y) {
            const double sum = take_up_to(&a, &has_a, now, x);
            if (sum < take_up_to(&b, &has_b, before, x)) {
                return true;
            }
        }
        i += x <= y;
        j += y <= x;
    }
    return false;
}

// What the zero bucket of `before` would hold at the threshold of `now`; false when that threshold
// is inside a populated bucket.
static bool zero_count_at(const Histogram *now, const Histogram *before, double *out)
{
    double threshold = now->zero_threshold;
    *out = histogram_zero_count(before, &threshold);
    return threshold == now->zero_threshold;
}

bool histogram_detect_reset(const Histogram *now, const Histogram *before)
{
    if (now->hint == HISTOGRAM_HINT_RESET || now->hint == HISTOGRAM_HINT_NOT_RESET) {
        return now->hint == HISTOGRAM_HINT_RESET;
    }
    if (now->count < before->count) {
        return true;
    }
    if (histogram_is_custom(now)) {
        if (!histogram_is_custom(before)) {
            return true;
        }
        if (!histogram_bounds_equal(now, before)) {
            return custom_is_reset(now, before);
        }
    }
    if (same_layout(now, before) && !begins_in_zero(now, &now->positive) &&
        !begins_in_zero(now, &now->negative)) {
        return now->zero_count < before->zero_count ||
               counts_went_down(&now->positive, &before->positive) ||
               counts_went_down(&now->negative, &before->negative);
    }
    double zero_count;
    if (now->schema > before->schema || now->zero_threshold < before->zero_threshold ||
        !zero_count_at(now, before, &zero_count) || now->zero_count < zero_count) {
        return true;
    }
    return side_is_reset(now, before, true) || side_is_reset(now, before, false);
}
