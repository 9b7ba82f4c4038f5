// SPDX-License-Identifier: Apache-2.0
#include "wire/remote_read.h"

#include "base/mem.h"
#include "codec/compress.h"
#include "codec/crc.h"
#include "tests/support/test.h"
#include "wire/prom_chunk.h"

#include <math.h>

// --- requests ----------------------------------------------------------------------------------

static Status decode(Str message, RemoteReadRequest *out, Err *err)
{
    Buf body = {0};
    Compress *compress = compress_new();
    buf_init(&body, 0);
    Status st = compress_encode(compress, COMPRESS_SNAPPY, 0,
                                (Bytes){(const uint8_t *)message.ptr, message.len}, &body, err);
    ASSERT(st == OK);
    st = remote_read_decode(buf_bytes(&body), out, err);
    compress_free(compress);
    buf_deinit(&body);
    return st;
}

TEST(remote_read, requests)
{
    static const char message[] = "\x0a\x16\x08\xe8\x07\x10\xd0\x0f\x1a\x0e"
                                  "\x08\x02\x12\x03job\x1a\x05"
                                  "a|b.+"
                                  "\x12\x02\x01\x00";
    RemoteReadRequest request;
    Err err;
    CHECK_OK(decode((Str){message, sizeof(message) - 1}, &request, &err));
    CHECK_EQ(request.query_count, 1);
    CHECK(request.chunks);
    CHECK_EQ(request.queries[0].min_ms, 1000);
    CHECK_EQ(request.queries[0].max_ms, 2000);
    CHECK_EQ(request.queries[0].matcher_count, 1);
    CHECK_EQ(matcher_op(request.queries[0].matchers[0]), MATCH_RE);
    CHECK(matcher_matches(request.queries[0].matchers[0], STR("bcd")));
    CHECK(!matcher_matches(request.queries[0].matchers[0], STR("b")));
    remote_read_request_deinit(&request);
}

TEST(remote_read, bad_requests)
{
    static const struct {
        Str message;
        const char *part;
    } cases[] = {
        {STR("\x0a\x05\x08"), "malformed message"},
        {STR("\x0a\x01\x08"), "malformed query"},
        {STR("\x0a\x04\x1a\x02\x08\x04"), "invalid matcher type 4"},
        {STR("\x0a\x05\x1a\x03\x12\x01\xff"), "malformed matcher"},
        {STR("\x0a\x07\x1a\x05\x08\x02\x1a\x01("), "error parsing regexp"},
        {STR("\x0b"), "malformed message"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        RemoteReadRequest request;
        Err err;
        CHECK_EQ(decode(cases[i].message, &request, &err), ERR_INVALID);
        CHECK(strstr(err.msg, cases[i].part) != NULL);
        remote_read_request_deinit(&request);
    }
    RemoteReadRequest request;
    Err err;
    CHECK_EQ(remote_read_decode((Bytes){(const uint8_t *)"\xff\xff\xff", 3}, &request, &err),
             ERR_INVALID);
    remote_read_request_deinit(&request);
}

// --- chunks, read back by a reader of their description ------------------------------------------

typedef struct BitReader {
    Bytes in;
    size_t at;
} BitReader;

static uint64_t get_bits(BitReader *r, uint32_t count)
{
    uint64_t v = 0;
    for (uint32_t i = 0; i < count; i++, r->at++) {
        ASSERT(r->at / 8 < r->in.len);
        v = v << 1 | (r->in.ptr[r->at / 8] >> (7 - r->at % 8) & 1);
    }
    return v;
}

static double get_double(BitReader *r)
{
    const uint64_t bits = get_bits(r, 64);
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static uint64_t get_uvarint(BitReader *r)
{
    uint64_t v = 0;
    for (uint32_t shift = 0;; shift += 7) {
        const uint64_t byte = get_bits(r, 8);
        v |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            return v;
        }
    }
}

// n bits, of which the range has one positive number more than negative ones.
static int64_t get_signed(BitReader *r, uint32_t bits)
{
    const uint64_t v = get_bits(r, bits);
    return bits < 64 && v > UINT64_C(1) << (bits - 1) ? (int64_t)(v - (UINT64_C(1) << bits))
                                                      : (int64_t)v;
}

static int64_t get_prefixed(BitReader *r, const uint32_t *sizes, uint32_t count)
{
    uint32_t ones = 0;
    while (ones < count && get_bits(r, 1) == 1) {
        ones++;
    }
    return ones == 0 ? 0 : get_signed(r, sizes[ones - 1]);
}

typedef struct XorReader {
    double value;
    uint32_t leading, significant;
} XorReader;

static double get_xor(BitReader *r, XorReader *s)
{
    uint64_t bits;
    if (get_bits(r, 1) == 0) {
        return s->value;
    }
    if (get_bits(r, 1) == 1) {
        s->leading = (uint32_t)get_bits(r, 5);
        s->significant = (uint32_t)get_bits(r, 6);
        s->significant = s->significant == 0 ? 64 : s->significant;
    }
    const uint64_t part = get_bits(r, s->significant);
    memcpy(&bits, &s->value, sizeof(bits));
    bits ^= part << (64 - s->leading - s->significant);
    memcpy(&s->value, &bits, sizeof(bits));
    return s->value;
}

TEST(prom_chunk, floats)
{
    static const uint32_t sizes[] = {14, 17, 20, 64};
    for (int round = 0; round < 200; round++) {
        int64_t times[300];
        double values[300];
        const size_t count = 1 + test_random(t) % 300;
        int64_t time = (int64_t)(test_random(t) >> 23) - (INT64_C(1) << 40);
        for (size_t i = 0; i < count; i++) {
            times[i] = time;
            time += 1 + (int64_t)(test_random(t) >> (24 + test_random(t) % 40));
            const uint64_t bits = test_random(t);
            memcpy(&values[i], &bits, sizeof(bits));
            values[i] = round % 3 == 0 ? values[i] : (double)(bits % 100) / (round % 3);
        }
        size_t at = 0;
        while (at < count) {
            Buf out = {0};
            buf_init(&out, 0);
            const size_t n = prom_chunk_floats(times + at, values + at, count - at, &out);
            CHECK(n == PROM_CHUNK_SAMPLES_MAX || at + n == count);
            BitReader r = {buf_bytes(&out), 0};
            CHECK_EQ(get_bits(&r, 16), n);
            const uint64_t zigzag = get_uvarint(&r);
            int64_t got = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
            int64_t delta = 0;
            XorReader x = {.value = get_double(&r)};
            for (size_t i = 0; i < n; i++) {
                if (i > 0) {
                    delta = i == 1 ? (int64_t)get_uvarint(&r)
                                   : delta + get_prefixed(&r, sizes, ARRAY_LEN(sizes));
                    got += delta;
                    (void)get_xor(&r, &x);
                }
                CHECK_EQ(got, times[at + i]);
                CHECK(memcmp(&x.value, &values[at + i], sizeof(double)) == 0);
            }
            CHECK(r.in.len - r.at / 8 <= 1);
            buf_deinit(&out);
            at += n;
        }
    }
}

static Histogram histogram_of(double *counts, double base, HistogramHint hint)
{
    static const HistogramSpan spans[] = {{-2, 2}, {3, 1}};
    for (int i = 0; i < 3; i++) {
        counts[i] = base + i;
    }
    return (Histogram){.schema = 1,
                       .hint = hint,
                       .zero_threshold = 0.001,
                       .zero_count = base,
                       .count = 4 * base + 3,
                       .sum = 7.5 * base,
                       .positive = {spans, 2, counts, 3}};
}

TEST(prom_chunk, histograms)
{
    static const uint32_t sizes[] = {3, 6, 9, 12, 18, 25, 56, 64};
    enum { COUNT = 5 };
    static const int64_t times[COUNT] = {1000, 2000, 3000, 3500, 4000};
    static const double bases[COUNT] = {1, 2, 5, 3, 4}; // goes back at the fourth
    double counts[COUNT][3];
    Histogram histograms[COUNT];
    const Histogram *all[COUNT];
    Buf out = {0};
    for (int i = 0; i < COUNT; i++) {
        histograms[i] = histogram_of(counts[i], bases[i], HISTOGRAM_HINT_UNKNOWN);
        all[i] = &histograms[i];
    }
    buf_init(&out, 0);
    CHECK_EQ(prom_chunk_histograms(times, all, COUNT, &out), 3);
    BitReader r = {buf_bytes(&out), 0};
    CHECK_EQ(get_bits(&r, 16), 3);
    CHECK_EQ(get_bits(&r, 8), 0);
    CHECK_EQ(get_bits(&r, 8), 255); // 0.001 is no power of two
    CHECK(get_double(&r) == 0.001);
    CHECK_EQ(get_prefixed(&r, sizes, 8), 1);
    static const int64_t layout[] = {2, 2, -2, 1, 3, 0}; // positive: 2 spans; negative: none
    for (size_t i = 0; i < ARRAY_LEN(layout); i++) {
        CHECK_EQ(get_prefixed(&r, sizes, 8), layout[i]);
    }
    int64_t time = 0, delta = 0;
    XorReader x[6] = {0};
    for (int i = 0; i < 3; i++) {
        const int64_t v = get_prefixed(&r, sizes, 8);
        delta = i == 0 ? 0 : delta + v;
        time = i == 0 ? v : time + delta;
        CHECK_EQ(time, times[i]);
        const double want[] = {all[i]->count, all[i]->zero_count, all[i]->sum,
                               counts[i][0],  counts[i][1],       counts[i][2]};
        for (int k = 0; k < 6; k++) {
            x[k].value = i == 0 ? get_double(&r) : get_xor(&r, &x[k]);
            CHECK(x[k].value == want[k]);
        }
    }
    buf_clear(&out);
    CHECK_EQ(prom_chunk_histograms(times + 3, all + 3, 2, &out), 2);
    buf_deinit(&out);
}

TEST(remote_read, frames)
{
    Buf message = {0};
    Buf frame = {0};
    Err err;
    static const int64_t times[] = {1000, 2000};
    static const double values[] = {1, 2};
    const Label label = {STR("a"), STR("b")};
    const RemoteReadSeries series = {
        .labels = {&label, 1}, .count = 2, .timestamps_ms = times, .values = values};
    buf_init(&message, 0);
    buf_init(&frame, 0);
    CHECK_OK(remote_read_put_chunks(&series, &message, &err));
    remote_read_put_frame(&message, 3, &frame);
    CHECK_EQ(frame.ptr[0], message.len);
    CHECK_EQ(frame.len, 1 + 4 + message.len);
    const uint32_t crc = crc_castagnoli(0, buf_bytes(&message));
    CHECK_EQ(frame.ptr[1], crc >> 24);
    CHECK_EQ(frame.ptr[4], crc & 0xff);
    CHECK_EQ(frame.ptr[frame.len - 2], 2 << 3);
    CHECK_EQ(frame.ptr[frame.len - 1], 3);
    buf_deinit(&message);
    buf_deinit(&frame);
}
