// SPDX-License-Identifier: Apache-2.0
#include "wire/prom_chunk.h"

#include "base/mem.h"
#include "codec/varint.h"

#include <math.h>

// --- bits --------------------------------------------------------------------------------------

// Bits, most significant first.
typedef struct BitWriter {
    Buf *out;
    uint32_t used; // bits of `last` that are taken
    uint8_t last;
} BitWriter;

static void put_bits(BitWriter *w, uint64_t bits, uint32_t count)
{
    while (count > 0) {
        const uint32_t room = 8 - w->used;
        const uint32_t n = count < room ? count : room;
        const uint64_t part = bits >> (count - n) & ((1U << n) - 1);
        w->last = (uint8_t)(w->last | part << (room - n));
        w->used += n;
        count -= n;
        if (w->used == 8) {
            buf_put_u8(w->out, w->last);
            w->last = 0;
            w->used = 0;
        }
    }
}

static void finish_bits(BitWriter *w)
{
    if (w->used > 0) {
        buf_put_u8(w->out, w->last);
    }
}

static uint64_t bits_of(double v)
{
    uint64_t bits = 0;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

// Whether `v` is one of the 2^bits values around zero of which one more is positive than negative.
static bool in_range(int64_t v, uint32_t bits)
{
    return v >= -((INT64_C(1) << (bits - 1)) - 1) && v <= INT64_C(1) << (bits - 1);
}

// A double as what differs from the one before.
typedef struct XorState {
    double value;
    bool has_window;
    uint32_t leading, trailing;
} XorState;

static void put_xor(BitWriter *w, XorState *s, double v)
{
    const uint64_t delta = bits_of(v) ^ bits_of(s->value);
    s->value = v;
    if (delta == 0) {
        put_bits(w, 0, 1);
        return;
    }
    const uint32_t zeros = (uint32_t)__builtin_clzll(delta);
    const uint32_t leading = zeros < 31 ? zeros : 31; // five bits
    const uint32_t trailing = (uint32_t)__builtin_ctzll(delta);
    if (s->has_window && leading >= s->leading && trailing >= s->trailing) {
        put_bits(w, 2, 2);
        put_bits(w, delta >> s->trailing, 64 - s->leading - s->trailing);
        return;
    }
    *s = (XorState){.value = v, .has_window = true, .leading = leading, .trailing = trailing};
    const uint32_t significant = 64 - leading - trailing;
    put_bits(w, 3, 2);
    put_bits(w, leading, 5);
    put_bits(w, significant & 63, 6); // 64 is written as 0
    put_bits(w, delta >> trailing, significant);
}

static void put_count(Buf *out, size_t at, size_t count)
{
    out->ptr[at] = (uint8_t)(count >> 8);
    out->ptr[at + 1] = (uint8_t)count;
}

// --- floats ------------------------------------------------------------------------------------

static void put_delta_of_delta(BitWriter *w, int64_t dod)
{
    static const struct {
        uint32_t bits, prefix, prefix_bits;
    } sizes[] = {{14, 2, 2}, {17, 6, 3}, {20, 14, 4}};
    if (dod == 0) {
        put_bits(w, 0, 1);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        if (in_range(dod, sizes[i].bits)) {
            put_bits(w, sizes[i].prefix, sizes[i].prefix_bits);
            put_bits(w, (uint64_t)dod, sizes[i].bits);
            return;
        }
    }
    put_bits(w, 15, 4);
    put_bits(w, (uint64_t)dod, 64);
}

size_t prom_chunk_floats(const int64_t *timestamps_ms, const double *values, size_t count, Buf *out)
{
    const size_t n = count < PROM_CHUNK_SAMPLES_MAX ? count : PROM_CHUNK_SAMPLES_MAX;
    const size_t start = out->len;
    BitWriter w = {.out = out};
    XorState state = {.value = values[0]};
    int64_t last_delta = 0;
    buf_put_u16le(out, 0); // the count, below
    varint_put_i64(out, timestamps_ms[0]);
    put_bits(&w, bits_of(values[0]), 64);
    for (size_t i = 1; i < n; i++) {
        const int64_t delta = timestamps_ms[i] - timestamps_ms[i - 1];
        if (i == 1) {
            uint8_t bytes[10];
            const size_t len = (size_t)(varint_write_u64(bytes, (uint64_t)delta) - bytes);
            for (size_t k = 0; k < len; k++) {
                put_bits(&w, bytes[k], 8);
            }
        } else {
            put_delta_of_delta(&w, delta - last_delta);
        }
        put_xor(&w, &state, values[i]);
        last_delta = delta;
    }
    finish_bits(&w);
    put_count(out, start, n);
    return n;
}

// --- histograms --------------------------------------------------------------------------------

static void put_varbit_int(BitWriter *w, int64_t v)
{
    static const uint32_t sizes[] = {3, 6, 9, 12, 18, 25, 56};
    if (v == 0) {
        put_bits(w, 0, 1);
        return;
    }
    for (uint32_t i = 0; i < ARRAY_LEN(sizes); i++) {
        if (in_range(v, sizes[i])) {
            put_bits(w, (UINT64_C(1) << (i + 2)) - 2, i + 2); // 10, 110, 1110, ...
            put_bits(w, (uint64_t)v, sizes[i]);
            return;
        }
    }
    put_bits(w, 0xff, 8);
    put_bits(w, (uint64_t)v, 64);
}

static void put_varbit_uint(BitWriter *w, uint64_t v)
{
    static const uint32_t sizes[] = {3, 6, 9, 12, 18, 25, 56};
    if (v == 0) {
        put_bits(w, 0, 1);
        return;
    }
    for (uint32_t i = 0; i < ARRAY_LEN(sizes); i++) {
        if (v < UINT64_C(1) << sizes[i]) {
            put_bits(w, (UINT64_C(1) << (i + 2)) - 2, i + 2);
            put_bits(w, v, sizes[i]);
            return;
        }
    }
    put_bits(w, 0xff, 8);
    put_bits(w, v, 64);
}

// Zero, or a power of two, in a byte; anything else in nine.
static void put_zero_threshold(BitWriter *w, double threshold)
{
    int exponent = 0;
    if (threshold == 0) {
        put_bits(w, 0, 8);
        return;
    }
    const double fraction = frexp(threshold, &exponent);
    if (fraction != 0.5 || exponent < -242 || exponent > 11) {
        put_bits(w, 255, 8);
        put_bits(w, bits_of(threshold), 64);
        return;
    }
    put_bits(w, (uint64_t)(exponent + 243), 8);
}

static void put_spans(BitWriter *w, const HistogramSide *side)
{
    put_varbit_uint(w, side->span_count);
    for (uint32_t i = 0; i < side->span_count; i++) {
        put_varbit_uint(w, side->spans[i].length);
        put_varbit_int(w, side->spans[i].offset);
    }
}

// Bounds in thousandths when they are such, below 33554.431.
static void put_bound(BitWriter *w, double bound)
{
    const double thousandths = round(bound * 1000);
    if (!(bound * 1000 >= 0 && bound * 1000 <= 33554430 && thousandths / 1000 == bound)) {
        put_bits(w, 0, 1);
        put_bits(w, bits_of(bound), 64);
        return;
    }
    put_varbit_uint(w, (uint64_t)thousandths + 1);
}

static void put_layout(BitWriter *w, const Histogram *h)
{
    put_zero_threshold(w, h->zero_threshold);
    put_varbit_int(w, h->schema);
    put_spans(w, &h->positive);
    put_spans(w, &h->negative);
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM) {
        put_varbit_uint(w, h->bound_count);
        for (uint32_t i = 0; i < h->bound_count; i++) {
            put_bound(w, h->bounds[i]);
        }
    }
}

static bool same_spans(const HistogramSide *a, const HistogramSide *b)
{
    return a->span_count == b->span_count && a->bucket_count == b->bucket_count &&
           (a->span_count == 0 ||
            memcmp(a->spans, b->spans, a->span_count * sizeof(*a->spans)) == 0);
}

static bool went_back(const HistogramSide *now, const HistogramSide *before)
{
    for (uint32_t i = 0; i < now->bucket_count; i++) {
        if (now->counts[i] < before->counts[i]) {
            return true;
        }
    }
    return false;
}

// Whether `now` can follow `before` in its chunk: readers take what follows for no reset.
static bool can_follow(const Histogram *now, const Histogram *before)
{
    const bool gauge = now->hint == HISTOGRAM_HINT_GAUGE;
    if (histogram_is_stale(now) || histogram_is_stale(before) || now->schema != before->schema ||
        now->zero_threshold != before->zero_threshold ||
        gauge != (before->hint == HISTOGRAM_HINT_GAUGE) ||
        !same_spans(&now->positive, &before->positive) ||
        !same_spans(&now->negative, &before->negative) || now->bound_count != before->bound_count ||
        (now->bound_count > 0 &&
         memcmp(now->bounds, before->bounds, now->bound_count * sizeof(double)) != 0)) {
        return false;
    }
    return gauge || (now->hint != HISTOGRAM_HINT_RESET && now->count >= before->count &&
                     now->zero_count >= before->zero_count &&
                     !went_back(&now->positive, &before->positive) &&
                     !went_back(&now->negative, &before->negative));
}

static uint8_t reset_header(HistogramHint hint)
{
    switch (hint) {
    case HISTOGRAM_HINT_RESET:
        return 0x80;
    case HISTOGRAM_HINT_NOT_RESET:
        return 0x40;
    case HISTOGRAM_HINT_GAUGE:
        return 0xc0;
    case HISTOGRAM_HINT_UNKNOWN:
        return 0;
    }
    UNREACHABLE();
}

static void put_side_xor(BitWriter *w, XorState *states, const HistogramSide *side, bool first)
{
    for (uint32_t i = 0; i < side->bucket_count; i++) {
        if (first) {
            states[i] = (XorState){.value = side->counts[i]};
            put_bits(w, bits_of(side->counts[i]), 64);
        } else {
            put_xor(w, &states[i], side->counts[i]);
        }
    }
}

size_t prom_chunk_histograms(const int64_t *timestamps_ms, const Histogram *const *histograms,
                             size_t count, Buf *out)
{
    const size_t start = out->len;
    const Histogram stale = {.sum = histograms[0]->sum};
    // A stale marker stands alone, without buckets.
    const Histogram *first = histogram_is_stale(histograms[0]) ? &stale : histograms[0];
    const uint32_t buckets = first->positive.bucket_count + first->negative.bucket_count;
    XorState *states = mem_new(XorState, (size_t)buckets + 3);
    BitWriter w = {.out = out};
    int64_t last_delta = 0;
    size_t n = 0;
    buf_put_u16le(out, 0); // the count, below
    buf_put_u8(out, reset_header(first->hint));
    put_layout(&w, first);
    for (const Histogram *h = first; n < PROM_CHUNK_SAMPLES_MAX; h = histograms[n]) {
        const double fields[3] = {h->count, h->zero_count, h->sum};
        const int64_t delta = n > 0 ? timestamps_ms[n] - timestamps_ms[n - 1] : 0;
        put_varbit_int(&w, n > 0 ? delta - last_delta : timestamps_ms[0]);
        const HistogramSide all = {.counts = fields, .bucket_count = 3};
        put_side_xor(&w, states, &all, n == 0);
        put_side_xor(&w, states + 3, &h->positive, n == 0);
        put_side_xor(&w, states + 3 + h->positive.bucket_count, &h->negative, n == 0);
        last_delta = delta;
        n++;
        if (n == count || !can_follow(histograms[n], h)) {
            break;
        }
    }
    finish_bits(&w);
    put_count(out, start, n);
    mem_free(states);
    return n;
}
