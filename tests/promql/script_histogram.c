// SPDX-License-Identifier: Apache-2.0
//
// Histograms of the script language: {{schema:0 sum:5 count:4 buckets:[1 2 1]}}.
#include "tests/promql/script_internal.h"

#include <math.h>

enum { HISTOGRAM_TEXT_BUCKETS_MAX = 4096 };

typedef struct Numbers {
    double *items;
    size_t count;
} Numbers;

typedef struct Description {
    double schema, sum, count, zero_count, zero_threshold, offset, negative_offset;
    Numbers bounds, buckets, negative_buckets;
    HistogramHint hint;
    bool has_hint;
} Description;

static Status take_numbers(Cursor *c, Arena *arena, Numbers *out, Err *err)
{
    if (!cursor_take(c, '[')) {
        return err_set(err, ERR_INVALID, "expected '[' at '" STR_FMT "'", STR_ARG(cursor_rest(c)));
    }
    *out = (Numbers){arena_new(arena, double, HISTOGRAM_TEXT_BUCKETS_MAX), 0};
    for (;;) {
        cursor_skip_blanks(c);
        if (cursor_take(c, ']')) {
            return OK;
        }
        if (out->count == HISTOGRAM_TEXT_BUCKETS_MAX ||
            !cursor_signed_number(c, &out->items[out->count])) {
            return err_set(err, ERR_INVALID, "expected a number at '" STR_FMT "'",
                           STR_ARG(cursor_rest(c)));
        }
        out->count++;
    }
}

static Status take_hint(Cursor *c, Description *d, Err *err)
{
    static const struct {
        Str name;
        HistogramHint hint;
    } hints[] = {{STR("unknown"), HISTOGRAM_HINT_UNKNOWN},
                 {STR("reset"), HISTOGRAM_HINT_RESET},
                 {STR("not_reset"), HISTOGRAM_HINT_NOT_RESET},
                 {STR("gauge"), HISTOGRAM_HINT_GAUGE}};
    for (size_t i = 0; i < ARRAY_LEN(hints); i++) {
        if (str_starts(cursor_rest(c), hints[i].name)) {
            c->pos += hints[i].name.len;
            d->hint = hints[i].hint;
            d->has_hint = true;
            return OK;
        }
    }
    return err_set(err, ERR_INVALID, "unknown counter_reset_hint '" STR_FMT "'",
                   STR_ARG(cursor_rest(c)));
}

static Status take_field(Cursor *c, Arena *arena, Description *d, Err *err)
{
    const struct {
        Str key;
        double *number;
        Numbers *numbers;
    } fields[] = {{STR("schema:"), &d->schema, NULL},
                  {STR("sum:"), &d->sum, NULL},
                  {STR("count:"), &d->count, NULL},
                  {STR("z_bucket:"), &d->zero_count, NULL},
                  {STR("z_bucket_w:"), &d->zero_threshold, NULL},
                  {STR("custom_values:"), NULL, &d->bounds},
                  {STR("buckets:"), NULL, &d->buckets},
                  {STR("n_buckets:"), NULL, &d->negative_buckets},
                  {STR("offset:"), &d->offset, NULL},
                  {STR("n_offset:"), &d->negative_offset, NULL}};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (!str_starts(cursor_rest(c), fields[i].key)) {
            continue;
        }
        c->pos += fields[i].key.len;
        if (fields[i].numbers != NULL) {
            return take_numbers(c, arena, fields[i].numbers, err);
        }
        return cursor_signed_number(c, fields[i].number)
                   ? OK
                   : err_set(err, ERR_INVALID, "expected a number at '" STR_FMT "'",
                             STR_ARG(cursor_rest(c)));
    }
    if (str_starts(cursor_rest(c), STR("counter_reset_hint:"))) {
        c->pos += STR("counter_reset_hint:").len;
        return take_hint(c, d, err);
    }
    return err_set(err, ERR_INVALID, "no histogram key: '" STR_FMT "'", STR_ARG(cursor_rest(c)));
}

static HistogramSide side_of(Numbers counts, int32_t offset, Arena *arena)
{
    if (counts.count == 0) {
        return (HistogramSide){0};
    }
    HistogramSpan *span = arena_new(arena, HistogramSpan, 1);
    *span = (HistogramSpan){offset, (uint32_t)counts.count};
    return (HistogramSide){
        .spans = span,
        .span_count = 1,
        .counts = counts.items,
        .bucket_count = (uint32_t)counts.count,
    };
}

Status cursor_histogram(Cursor *c, Arena *arena, ScriptValue *out, Err *err)
{
    Description d = {0};
    c->pos += 2; // the caller has seen {{
    for (;;) {
        cursor_skip_blanks(c);
        if (str_starts(cursor_rest(c), STR("}}"))) {
            c->pos += 2;
            break;
        }
        TRY(take_field(c, arena, &d, err));
    }
    Histogram *h = arena_new(arena, Histogram, 1);
    *h = (Histogram){
        .schema = (int32_t)d.schema,
        .hint = d.hint,
        .zero_threshold = d.zero_threshold,
        .zero_count = d.zero_count,
        .count = d.count,
        .sum = d.sum,
        .positive = side_of(d.buckets, (int32_t)d.offset, arena),
        .negative = side_of(d.negative_buckets, (int32_t)d.negative_offset, arena),
        .bounds = d.bounds.items,
        .bound_count = (uint32_t)d.bounds.count,
    };
    *out = (ScriptValue){.histogram = h, .has_hint = d.has_hint};
    return OK;
}

// --- repetition ----------------------------------------------------------------------------------

static int64_t side_first(const HistogramSide *side)
{
    return side->span_count == 0 ? INT64_MAX : side->spans[0].offset;
}

static int64_t side_last(const HistogramSide *side)
{
    return side->span_count == 0 ? INT64_MIN
                                 : (int64_t)side->spans[0].offset + side->bucket_count - 1;
}

static double side_count(const HistogramSide *side, int64_t bucket)
{
    return bucket < side_first(side) || bucket > side_last(side)
               ? 0
               : side->counts[bucket - side_first(side)];
}

// The side at a resolution that is `steps` halvings lower.
static HistogramSide reduce_side(const HistogramSide *side, int32_t steps, Arena *arena)
{
    if (side->span_count == 0 || steps == 0) {
        return *side;
    }
    // Bucket i ends at base^i, so that it is part of the bucket that ends at the next even power.
    const int64_t first = ((side_first(side) - 1) >> steps) + 1;
    const int64_t last = ((side_last(side) - 1) >> steps) + 1;
    Numbers counts = {0};
    counts.count = (size_t)(last - first + 1);
    counts.items = arena_new(arena, double, counts.count);
    for (int64_t i = side_first(side); i <= side_last(side); i++) {
        counts.items[((i - 1) >> steps) + 1 - first] += side_count(side, i);
    }
    return side_of(counts, (int32_t)first, arena);
}

static Status add_sides(const HistogramSide *a, const HistogramSide *b, double sign, Arena *arena,
                        HistogramSide *out, Err *err)
{
    const int64_t first = side_first(a) < side_first(b) ? side_first(a) : side_first(b);
    const int64_t last = side_last(a) > side_last(b) ? side_last(a) : side_last(b);
    Numbers counts = {0};
    *out = (HistogramSide){0};
    if (first == INT64_MAX) {
        return OK;
    }
    if (last - first >= HISTOGRAM_TEXT_BUCKETS_MAX) {
        return err_set(err, ERR_INVALID, "too many buckets");
    }
    counts.count = (size_t)(last - first + 1);
    counts.items = arena_new(arena, double, counts.count);
    for (size_t i = 0; i < counts.count; i++) {
        counts.items[i] =
            side_count(a, first + (int64_t)i) + sign * side_count(b, first + (int64_t)i);
    }
    *out = side_of(counts, (int32_t)first, arena);
    return OK;
}

static HistogramHint add_hints(HistogramHint a, HistogramHint b)
{
    if (a == b) {
        return a;
    }
    return a == HISTOGRAM_HINT_GAUGE || b == HISTOGRAM_HINT_GAUGE ? HISTOGRAM_HINT_GAUGE
                                                                  : HISTOGRAM_HINT_UNKNOWN;
}

Status script_histogram_step(const Histogram *base, const Histogram *increment, double sign,
                             Arena *arena, const Histogram **out, Err *err)
{
    Histogram *h = arena_new(arena, Histogram, 1);
    if (base->schema > increment->schema || base->bound_count != increment->bound_count ||
        increment->schema - base->schema > HISTOGRAM_SCHEMA_MAX - HISTOGRAM_SCHEMA_MIN) {
        return err_set(err, ERR_INVALID, "repetition of histograms with different buckets");
    }
    const int32_t steps = increment->schema - base->schema;
    const HistogramSide positive = reduce_side(&increment->positive, steps, arena);
    const HistogramSide negative = reduce_side(&increment->negative, steps, arena);
    *h = *base;
    // A histogram that says nothing of its zero bucket has an empty one of no width.
    h->zero_threshold = fmax(base->zero_threshold, increment->zero_threshold);
    h->hint = add_hints(base->hint, increment->hint);
    h->zero_count += sign * increment->zero_count;
    h->count += sign * increment->count;
    h->sum += sign * increment->sum;
    TRY(add_sides(&base->positive, &positive, sign, arena, &h->positive, err));
    TRY(add_sides(&base->negative, &negative, sign, arena, &h->negative, err));
    *out = h;
    return OK;
}
