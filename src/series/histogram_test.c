// SPDX-License-Identifier: Apache-2.0
#include "series/histogram.h"

#include "codec/varint.h"
#include "tests/support/test.h"

#include <math.h>

// Messages are written by hand here, in any order and form the wire allows.
static void put_uint(Buf *b, uint32_t field, uint64_t v)
{
    varint_put_u64(b, (uint64_t)field << 3);
    varint_put_u64(b, v);
}

static void put_sint(Buf *b, uint32_t field, int64_t v)
{
    put_uint(b, field, zigzag_from_i64(v));
}

static void put_double(Buf *b, uint32_t field, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    varint_put_u64(b, (uint64_t)field << 3 | 1);
    buf_put_u64le(b, bits);
}

static void put_span(Buf *b, uint32_t field, int32_t offset, uint32_t length)
{
    Buf span = {0};
    put_sint(&span, 1, offset);
    put_uint(&span, 2, length);
    varint_put_u64(b, (uint64_t)field << 3 | 2);
    varint_put_u64(b, span.len);
    buf_put(b, span.ptr, span.len);
    buf_deinit(&span);
}

static const Histogram *decode(Test *t, const Buf *blob)
{
    Err err;
    const Histogram *h;
    CHECK_OK(histogram_decode(buf_bytes(blob), &t->arena, &h, &err));
    return h;
}

static void put_typical(Buf *m) // -2: 1, 0: 2, [1,2]: 3, [2,4]: 1, [8,16]: 4
{
    put_uint(m, 15, 1234567);
    put_uint(m, 17, 1000);
    put_sint(m, 12, 3);
    put_sint(m, 12, -2);
    put_sint(m, 12, 3);
    put_span(m, 11, 1, 2);
    put_span(m, 11, 1, 1);
    put_span(m, 8, 2, 1);
    put_sint(m, 9, 1);
    put_uint(m, 6, 2);
    put_double(m, 5, 0.001);
    put_double(m, 3, 18.4);
    put_uint(m, 1, 11);
    put_uint(m, 14, 2);
    put_double(m, 99, 1); // unknown
}

TEST(histogram, integer_form_is_decoded_to_absolute_counts)
{
    Err err;
    Buf m = {0};
    Buf blob = {0};
    Buf again = {0};
    HistogramTimes times;
    put_typical(&m);
    CHECK_OK(histogram_check(buf_bytes(&m), &blob, &times, &err));
    CHECK_EQ(times.timestamp_ms, 1234567);
    CHECK_EQ(times.start_ms, 1000);
    const Histogram *h = decode(t, &blob);
    CHECK(h->is_integer && h->schema == 0 && h->hint == HISTOGRAM_HINT_NOT_RESET);
    CHECK(h->count == 11 && h->sum == 18.4 && h->zero_count == 2 && h->zero_threshold == 0.001);
    CHECK_EQ(h->positive.span_count, 2);
    CHECK_EQ(h->positive.spans[1].offset, 1);
    CHECK_EQ(h->positive.bucket_count, 3);
    CHECK(h->positive.counts[0] == 3 && h->positive.counts[1] == 1 && h->positive.counts[2] == 4);
    CHECK(h->negative.bucket_count == 1 && h->negative.counts[0] == 1);
    CHECK(!histogram_is_stale(h));
    histogram_encode(h, &again);
    CHECK_STR(buf_str(&again), buf_str(&blob));
    buf_clear(&again);
    CHECK_OK(histogram_check(buf_bytes(&blob), &again, &times, &err));
    CHECK_STR(buf_str(&again), buf_str(&blob));
    CHECK_EQ(times.timestamp_ms, 0);
    buf_deinit(&m);
    buf_deinit(&blob);
    buf_deinit(&again);
}

TEST(histogram, float_form_and_custom_bounds)
{
    Err err;
    Buf m = {0};
    Buf blob = {0};
    Buf again = {0};
    put_sint(&m, 4, -53);
    put_double(&m, 16, 0.5);
    put_double(&m, 16, 1);
    put_span(&m, 11, 0, 3);
    put_double(&m, 13, 1.5);
    put_double(&m, 13, 0);
    put_double(&m, 13, 2.25);
    put_double(&m, 2, 3.75);
    CHECK_OK(histogram_check(buf_bytes(&m), &blob, NULL, &err));
    const Histogram *h = decode(t, &blob);
    CHECK(!h->is_integer && h->schema == HISTOGRAM_SCHEMA_CUSTOM && h->count == 3.75);
    CHECK(h->bound_count == 2 && h->bounds[0] == 0.5 && h->bounds[1] == 1);
    CHECK(h->positive.counts[0] == 1.5 && h->positive.counts[2] == 2.25);
    histogram_encode(h, &again);
    CHECK_STR(buf_str(&again), buf_str(&blob));
    buf_deinit(&m);
    buf_deinit(&blob);
    buf_deinit(&again);
}

TEST(histogram, large_integers_stay_what_they_are_in_the_blob)
{
    Err err;
    Buf m = {0};
    Buf blob = {0};
    put_uint(&m, 1, (UINT64_C(1) << 60) + 1);
    put_span(&m, 11, 0, 1);
    put_sint(&m, 12, (INT64_C(1) << 60) + 1);
    CHECK_OK(histogram_check(buf_bytes(&m), &blob, NULL, &err));
    Reader r = reader_of(buf_bytes(&blob));
    CHECK_EQ(varint_get_u64(&r), 8);
    CHECK_EQ(varint_get_u64(&r), (INT64_C(1) << 60) + 1);
    CHECK(decode(t, &blob)->count == 0x1p60);
    buf_deinit(&m);
    buf_deinit(&blob);
}

TEST(histogram, stale_marker)
{
    Err err;
    Buf m = {0};
    Buf blob = {0};
    const uint64_t bits = UINT64_C(0x7ff0000000000002);
    double stale;
    memcpy(&stale, &bits, sizeof(stale));
    put_double(&m, 3, stale);
    CHECK_OK(histogram_check(buf_bytes(&m), &blob, NULL, &err));
    CHECK(histogram_is_stale(decode(t, &blob)));
    buf_clear(&m);
    buf_clear(&blob);
    put_double(&m, 3, (double)NAN);
    CHECK_OK(histogram_check(buf_bytes(&m), &blob, NULL, &err));
    CHECK(!histogram_is_stale(decode(t, &blob)));
    buf_deinit(&m);
    buf_deinit(&blob);
}

// A histogram as a list of steps: 'u' uint, 's' sint, 'd' double, 'p' span.
typedef struct Step {
    char kind;
    uint32_t field;
    double a, b;
} Step;

static void build(Buf *m, const Step *steps)
{
    buf_clear(m);
    for (const Step *s = steps; s->kind != 0; s++) {
        if (s->kind == 'u') {
            put_uint(m, s->field, (uint64_t)s->a);
        } else if (s->kind == 's') {
            put_sint(m, s->field, (int64_t)s->a);
        } else if (s->kind == 'd') {
            put_double(m, s->field, s->a);
        } else {
            put_span(m, s->field, (int32_t)s->a, (uint32_t)s->b);
        }
    }
}

TEST(histogram, refusals_are_in_the_words_of_prometheus)
{
    static const struct {
        Step steps[8];
        const char *want;
    } cases[] = {
        {{{'s', 4, 9, 0}},
         "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, "
         "or -53 for custom buckets, got schema 9"},
        {{{'p', 11, 0, 1}, {'p', 11, -1, 1}},
         "positive side: span number 2 with offset -1: histogram has a span whose offset is "
         "negative"},
        {{{'p', 8, -3, 2}, {'s', 9, 1, 0}},
         "negative side: spans need 2 buckets, have 1 buckets: histogram spans specify different "
         "number of buckets than provided"},
        {{{'p', 11, 0, 2}, {'s', 12, 1, 0}, {'s', 12, -2, 0}},
         "positive side: bucket number 2 has observation count of -1: histogram has a bucket whose "
         "observation count is negative"},
        {{{'d', 2, 1, 0}, {'p', 8, 0, 1}, {'d', 10, -0.5, 0}},
         "negative side: bucket number 1 has observation count of -0.5: histogram has a bucket "
         "whose observation count is negative"},
        {{{'d', 2, 1, 0}, {'d', 7, -1, 0}},
         "zero bucket has observation count of -1: histogram has a bucket whose observation count "
         "is negative"},
        {{{'d', 2, -1.5, 0}},
         "observation count is  -1.5: histogram's observation count is negative"},
        {{{'u', 1, 3, 0}, {'u', 6, 2, 0}},
         "2 observations found in buckets, but the Count field is 3: histogram's observation count "
         "should equal the number of observations found in the buckets (in absence of NaN)"},
        {{{'u', 1, 1, 0}, {'u', 6, 2, 0}, {'d', 3, (double)NAN, 0}},
         "2 observations found in buckets, but the Count field is 1: histogram's observation count "
         "should be at least the number of observations found in the buckets"},
        {{{'d', 16, 1, 0}}, "histogram with exponential schema must not have custom bounds"},
        {{{'s', 4, -53, 0}, {'d', 16, 1, 0}, {'d', 16, 1, 0}},
         "custom buckets: previous bound is 1.000000 and current is 1.000000: histogram custom "
         "bounds must be in strictly increasing order"},
        {{{'s', 4, -53, 0}, {'d', 16, (double)NAN, 0}},
         "custom buckets: histogram custom bounds must not be NaN"},
        {{{'s', 4, -53, 0}, {'d', 16, HUGE_VAL, 0}},
         "custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds "
         "must be finite"},
        {{{'s', 4, -53, 0}, {'d', 16, 1, 0}, {'p', 11, 1, 2}, {'s', 12, 0, 0}, {'s', 12, 0, 0}},
         "custom buckets: only 1 custom bounds defined which is insufficient to cover total span "
         "length of 3: histogram custom bounds are too few"},
        {{{'s', 4, -53, 0}, {'p', 11, -1, 0}},
         "custom buckets: span number 1 with offset -1: histogram has a span whose offset is "
         "negative"},
        {{{'s', 4, -53, 0}, {'u', 6, 1, 0}}, "custom buckets: must have zero count of 0"},
        {{{'s', 4, -53, 0}, {'d', 5, 1, 0}}, "custom buckets: must have zero threshold of 0"},
        {{{'s', 4, -53, 0}, {'p', 8, 0, 0}}, "custom buckets: must not have negative spans"},
        {{{'s', 4, -53, 0}, {'s', 9, 0, 0}}, "custom buckets: must not have negative buckets"},
        {{{'p', 11, 1 << 30, 1}, {'s', 12, 0, 0}},
         "positive side: span number 1: bucket index out of range"},
        {{{'u', 3, 1, 0}}, "histogram is not a well-formed message"},
        {{{'u', 11, 1, 0}}, "histogram is not a well-formed message"},
        {{{'d', 12, 1, 0}}, "histogram is not a well-formed message"},
        {{{'u', 13, 1, 0}}, "histogram is not a well-formed message"},
        {{{'u', 0, 1, 0}}, "histogram is not a well-formed message"},
    };
    Buf m = {0};
    Buf blob = {0};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err;
        build(&m, cases[i].steps);
        CHECK_EQ(histogram_check(buf_bytes(&m), &blob, NULL, &err), ERR_INVALID);
        CHECK_STR(((Str){err.msg, strlen(err.msg)}), ((Str){cases[i].want, strlen(cases[i].want)}));
        CHECK_EQ(blob.len, 0);
    }
    buf_deinit(&m);
    buf_deinit(&blob);
}

TEST(histogram, limits)
{
    Err err;
    Buf m = {0};
    Buf blob = {0};
    const Histogram *h;
    for (int over = 0; over <= 1; over++) {
        buf_clear(&m);
        for (int i = 0; i < HISTOGRAM_SPANS_MAX + over; i++) {
            put_span(&m, 11, 0, 0);
        }
        CHECK_EQ(histogram_check(buf_bytes(&m), &blob, NULL, &err), over ? ERR_INVALID : OK);
        buf_clear(&m);
        put_span(&m, 11, 0, (uint32_t)(HISTOGRAM_BUCKETS_MAX + over));
        for (int i = 0; i < HISTOGRAM_BUCKETS_MAX + over; i++) {
            put_sint(&m, 12, 0);
        }
        CHECK_EQ(histogram_check(buf_bytes(&m), &blob, NULL, &err), over ? ERR_INVALID : OK);
        buf_clear(&m);
        varint_put_u64(&m, 100 << 3 | 2);
        varint_put_u64(&m, HISTOGRAM_BLOB_BYTES_MAX - 5 + over);
        while (m.len < (size_t)HISTOGRAM_BLOB_BYTES_MAX + (size_t)over) {
            buf_put_u8(&m, 0);
        }
        CHECK_EQ(histogram_check(buf_bytes(&m), &blob, NULL, &err), over ? ERR_INVALID : OK);
    }
    buf_clear(&m);
    put_sint(&m, 4, 100);
    CHECK_EQ(histogram_decode(buf_bytes(&m), &t->arena, &h, &err), ERR_CORRUPT);
    CHECK(h == NULL);
    buf_deinit(&m);
    buf_deinit(&blob);
}

TEST(histogram, cut_anywhere_is_refused_or_smaller)
{
    Err err;
    Buf m = {0};
    Buf blob = {0};
    put_typical(&m);
    for (size_t len = 0; len < m.len; len++) {
        const Histogram *h;
        buf_clear(&blob);
        if (histogram_check((Bytes){m.ptr, len}, &blob, NULL, &err) == OK) {
            CHECK_OK(histogram_decode(buf_bytes(&blob), &t->arena, &h, &err));
        } else {
            CHECK_EQ(err.status, ERR_INVALID);
        }
    }
    buf_deinit(&m);
    buf_deinit(&blob);
}
