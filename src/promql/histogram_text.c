// SPDX-License-Identifier: Apache-2.0
#include "codec/dtoa.h"
#include "promql/histogram_internal.h"

static void put_number(Buf *out, double v)
{
    dtoa_put_f64(out, v, DTOA_GO_G);
}

static void put_bucket(Buf *out, const HistogramBucket *b)
{
    buf_putf(out, ", %c", b->lower_inclusive ? '[' : '(');
    put_number(out, b->lower);
    buf_put_u8(out, ',');
    put_number(out, b->upper);
    buf_putf(out, "%c:", b->upper_inclusive ? ']' : ')');
    put_number(out, b->count);
}

void histogram_format(const Histogram *h, Buf *out)
{
    HistogramBucket b;
    buf_put_str(out, STR("{count:"));
    put_number(out, h->count);
    buf_put_str(out, STR(", sum:"));
    put_number(out, h->sum);
    // The zero bucket as it is: unlike in a walk, no other one is cut at it.
    for (int stage = 0; stage < 2; stage++) {
        HistogramCursor c = histogram_cursor(stage == 0 ? &h->negative : &h->positive, stage == 1);
        if (stage == 1 && h->zero_count != 0) {
            b = (HistogramBucket){-h->zero_threshold, h->zero_threshold, h->zero_count, true, true};
            put_bucket(out, &b);
        }
        while (histogram_cursor_next(&c)) {
            if (c.count != 0) {
                b = histogram_bucket_at(&c, h, stage == 1);
                put_bucket(out, &b);
            }
        }
    }
    buf_put_u8(out, '}');
}

static void put_string(Buf *out, double v)
{
    buf_put_u8(out, '"');
    dtoa_put_f64(out, v, DTOA_PROM);
    buf_put_u8(out, '"');
}

void histogram_format_json(const Histogram *h, Buf *out)
{
    static const char kinds[2][2] = {{'2', '0'}, {'1', '3'}}; // [lower inclusive][upper inclusive]
    bool any = false;
    HistogramBucket b;
    HistogramWalk walk = histogram_walk(h, true);
    buf_put_str(out, STR("{\"count\":"));
    put_string(out, h->count);
    buf_put_str(out, STR(",\"sum\":"));
    put_string(out, h->sum);
    while (histogram_walk_next(&walk, &b)) {
        if (b.count == 0) {
            continue;
        }
        buf_put_str(out, any ? STR(",[") : STR(",\"buckets\":[["));
        any = true;
        buf_put_u8(out, (uint8_t)kinds[b.lower_inclusive][b.upper_inclusive]);
        const double parts[] = {b.lower, b.upper, b.count};
        for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
            buf_put_u8(out, ',');
            put_string(out, parts[i]);
        }
        buf_put_u8(out, ']');
    }
    buf_put_str(out, any ? STR("]}") : STR("}"));
}

typedef struct TestForm {
    Buf *out;
    const char *separator;
} TestForm;

static void put_field(TestForm *form, const char *name, double v)
{
    if (v != 0) {
        buf_putf(form->out, "%s%s:", form->separator, name);
        put_number(form->out, v);
        form->separator = " ";
    }
}

static void put_list(TestForm *form, const char *name, const double *values, uint32_t count)
{
    buf_putf(form->out, "%s%s:[", form->separator, name);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) {
            buf_put_u8(form->out, ' ');
        }
        put_number(form->out, values[i]);
    }
    buf_put_u8(form->out, ']');
    form->separator = " ";
}

static void put_side(TestForm *form, const HistogramSide *side, const char *buckets,
                     const char *offset)
{
    if (side->bucket_count > 0) {
        if (side->spans[0].offset != 0) {
            buf_putf(form->out, "%s%s:%" PRId32, form->separator, offset, side->spans[0].offset);
            form->separator = " ";
        }
        put_list(form, buckets, side->counts, side->bucket_count);
    }
}

void histogram_format_test(const Histogram *h, Buf *out)
{
    static const char *const hints[] = {
        [HISTOGRAM_HINT_UNKNOWN] = NULL,
        [HISTOGRAM_HINT_RESET] = "counter_reset_hint:reset",
        [HISTOGRAM_HINT_NOT_RESET] = "counter_reset_hint:not_reset",
        [HISTOGRAM_HINT_GAUGE] = "counter_reset_hint:gauge",
    };
    Arena arena;
    TestForm form = {out, ""};
    arena_init(&arena, 0);
    const Histogram *one = histogram_compact(h, UINT32_MAX, &arena);
    if (one->positive.span_count > 1 || one->negative.span_count > 1) {
        histogram_format(h, out); // the test form knows no gaps, and these are too wide to fill
        arena_deinit(&arena);
        return;
    }
    buf_put_str(out, STR("{{"));
    put_field(&form, "schema", h->schema);
    put_field(&form, "count", h->count);
    put_field(&form, "sum", h->sum);
    put_field(&form, "z_bucket", h->zero_count);
    put_field(&form, "z_bucket_w", h->zero_threshold);
    if (histogram_is_custom(h)) {
        put_list(&form, "custom_values", h->bounds, h->bound_count);
    }
    if (hints[h->hint] != NULL) {
        buf_putf(out, "%s%s", form.separator, hints[h->hint]);
        form.separator = " ";
    }
    put_side(&form, &one->positive, "buckets", "offset");
    put_side(&form, &one->negative, "n_buckets", "n_offset");
    buf_put_str(out, STR("}}"));
    arena_deinit(&arena);
}
