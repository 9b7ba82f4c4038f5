// SPDX-License-Identifier: Apache-2.0
#include "codec/bitpack.h"
#include "codec/codec_internal.h"
#include "codec/rle.h"
#include "codec/varint.h"
#include "tests/support/test.h"

// A decoder that does one value at a time, straight from the specification.
static size_t naive_decode(Bytes in, unsigned width, uint32_t *out, size_t max)
{
    Reader r = reader_of(in);
    size_t n = 0;
    while (n < max && reader_left(&r) > 0) {
        const uint32_t header = varint_get_u32(&r);
        if ((header & 1) == 0) {
            uint32_t value = 0;
            Bytes b = reader_bytes(&r, (width + 7) / 8);
            for (size_t i = 0; i < b.len; i++) {
                value |= (uint32_t)b.ptr[i] << (8 * i);
            }
            for (uint32_t i = 0; i < header >> 1 && n < max; i++) {
                out[n++] = value;
            }
            continue;
        }
        Bytes b = reader_bytes(&r, (uint64_t)(header >> 1) * width);
        for (size_t i = 0; i < (size_t)(header >> 1) * 8 && n < max; i++) {
            uint64_t value = 0;
            for (size_t bit = 0; bit < width; bit++) {
                const size_t at = i * width + bit;
                value |= (uint64_t)(b.ptr[at / 8] >> (at % 8) & 1) << bit;
            }
            out[n++] = (uint32_t)value;
        }
    }
    return reader_ok(&r) ? n : 0;
}

// Runs and single values mixed, so that groups begin anywhere.
static size_t random_values(Test *t, unsigned width, uint32_t *v, size_t max)
{
    const uint64_t run_max = 1 + test_random(t) % 40;
    const uint64_t singles = test_random(t) % 4; // of 4
    const uint64_t kinds = test_random(t) % 2 == 0 ? 3 : UINT64_MAX;
    const size_t count = test_random(t) % (max + 1);
    size_t n = 0;
    while (n < count) {
        const uint32_t value = (uint32_t)(test_random(t) % kinds & codec_mask(width));
        uint64_t run = test_random(t) % 4 < singles ? 1 : 1 + test_random(t) % run_max;
        for (; run > 0 && n < count; run--) {
            v[n++] = value;
        }
    }
    return n;
}

static void put_in_pieces(Test *t, RleEncoder *e, const uint32_t *v, size_t n)
{
    size_t i = 0;
    while (i < n) {
        size_t end = i + 1 + test_random(t) % (n - i);
        if (test_random(t) % 2 == 0) {
            rle_put_values(e, v + i, end - i);
        } else {
            for (; i < end; i++) {
                rle_put_run(e, v[i], 1);
            }
        }
        i = end;
    }
}

TEST(rle, round_trip_every_width)
{
    enum { MAX = 3000 };
    Err err;
    uint32_t *v = arena_new(&t->arena, uint32_t, MAX);
    uint32_t *back = arena_new(&t->arena, uint32_t, MAX);
    for (int round = 0; round < 33 * 12; round++) {
        const unsigned width = (unsigned)round % 33;
        const size_t n = random_values(t, width, v, MAX);
        Buf b;
        buf_init(&b, 0);
        RleEncoder e;
        rle_encoder_init(&e, &b, width);
        if (round % 2 == 0) {
            rle_put_values(&e, v, n);
        } else {
            put_in_pieces(t, &e, v, n);
        }
        rle_encoder_finish(&e);
        // A copy of the exact size, so that ASan sees reads past its end.
        uint8_t *exact = arena_new(&t->arena, uint8_t, b.len + 1);
        exact += 1;
        if (b.len > 0) {
            memcpy(exact, b.ptr, b.len);
        }
        const Bytes in = {.ptr = exact, .len = b.len};
        buf_deinit(&b);
        CHECK_EQ(naive_decode(in, width, back, n), n);
        CHECK(memcmp(v, back, n * 4) == 0);
        RleDecoder d;
        CHECK_OK(rle_decoder_init(&d, in, width, UINT32_MAX, &err));
        memset(back, 0xff, n * 4);
        size_t done = 0;
        while (done < n) {
            const size_t piece = 1 + test_random(t) % (n - done);
            if (test_random(t) % 3 == 0) {
                CHECK_OK(rle_skip(&d, piece, &err));
                memcpy(back + done, v + done, piece * 4);
            } else {
                CHECK_OK(rle_decode(&d, back + done, piece, &err));
            }
            done += piece;
        }
        CHECK(memcmp(v, back, n * 4) == 0);
        const size_t worst = bitpack_size_bytes((n + 7) / 8 * 8, width) + n / 200 + 5;
        if (in.len > worst && width > 0) {
            test_fail(t, __FILE__, __LINE__, "width %u: %zu bytes for %zu values, bit-packed %zu",
                      width, in.len, n, worst);
        }
    }
}

TEST(rle, runs_stay_runs)
{
    Err err;
    Buf b;
    buf_init(&b, 0);
    RleEncoder e;
    rle_encoder_init(&e, &b, 17);
    rle_put_run(&e, 70000, 500000);
    rle_put_run(&e, 70000, 500000); // merges
    rle_put_run(&e, 5, 3);          // 2 + 3 bytes are less than 3 * 17 bits
    rle_put_run(&e, 6, UINT64_C(5000000000));
    rle_put_run(&e, 7, 0);
    rle_encoder_finish(&e);
    CHECK_EQ(b.len, (3 + 3) + (1 + 3) + 3 * (5 + 3));
    RleDecoder d;
    RleRun run;
    CHECK_OK(rle_decoder_init(&d, buf_bytes(&b), 17, 70000, &err));
    CHECK_OK(rle_next(&d, 400000, &run, &err));
    CHECK(!run.packed && run.value == 70000 && run.count == 400000);
    CHECK_OK(rle_next(&d, UINT32_MAX, &run, &err));
    CHECK(!run.packed && run.value == 70000 && run.count == 600000);
    CHECK_OK(rle_next(&d, UINT32_MAX, &run, &err));
    CHECK(!run.packed && run.value == 5 && run.count == 3);
    CHECK_OK(rle_skip(&d, UINT64_C(4999999999), &err));
    CHECK_OK(rle_next(&d, UINT32_MAX, &run, &err));
    CHECK(run.value == 6 && run.count == 1);
    CHECK_EQ(rle_next(&d, 1, &run, &err), ERR_CORRUPT);
    buf_deinit(&b);
}

TEST(rle, the_smaller_form_is_chosen)
{
    static const struct {
        unsigned width;
        uint32_t runs[12]; // lengths, of values 0, 1, 0, 1, ...
        size_t bytes;
    } cases[] = {
        {1, {8}, 2},
        {1, {1, 1, 1, 1, 1, 1, 1, 1}, 2},
        {1, {4, 4}, 2},
        {1, {4, 4, 63}, 4}, // a group, a run
        {8, {1, 1, 1, 1, 1, 1, 1, 1}, 9},
        {8, {4, 4}, 4}, // two runs of two bytes
        {8, {1, 7, 1, 1, 1, 1, 1, 1, 1, 1}, 2 + 2 + 9},
        {20, {2, 2, 2, 2}, 16}, // four runs of four bytes
        {20, {1, 1, 1, 1, 1, 1, 1, 1}, 21},
        {0, {9, 9, 9}, 1},
        {3, {3}, 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Buf b;
        buf_init(&b, 0);
        RleEncoder e;
        rle_encoder_init(&e, &b, cases[i].width);
        for (size_t k = 0; k < ARRAY_LEN(cases[i].runs); k++) {
            rle_put_run(&e, cases[i].width == 0 ? 0 : k & 1, cases[i].runs[k]);
        }
        rle_encoder_finish(&e);
        if (b.len != cases[i].bytes) {
            test_fail(t, __FILE__, __LINE__, "case %zu: %zu bytes", i, b.len);
        }
        buf_deinit(&b);
    }
}

TEST(rle, decode_runs)
{
    enum { MAX = 2000 };
    Err err;
    uint32_t *v = arena_new(&t->arena, uint32_t, MAX);
    uint32_t *back = arena_new(&t->arena, uint32_t, MAX);
    RleRuns runs = {.values = arena_new(&t->arena, uint32_t, MAX),
                    .run_ends = arena_new(&t->arena, uint32_t, MAX)};
    for (int round = 0; round < 300; round++) {
        const unsigned width = 1 + (unsigned)(test_random(t) % 32);
        const size_t n = random_values(t, width, v, MAX);
        Buf b;
        buf_init(&b, 0);
        RleEncoder e;
        rle_encoder_init(&e, &b, width);
        rle_put_values(&e, v, n);
        rle_encoder_finish(&e);
        RleDecoder d;
        CHECK_OK(rle_decoder_init(&d, buf_bytes(&b), width, UINT32_MAX, &err));
        runs.count = 0;
        runs.cap = (uint32_t)(test_random(t) % MAX);
        uint32_t decoded = 0;
        uint32_t more = 0;
        const uint32_t first = (uint32_t)(test_random(t) % (n + 1));
        CHECK_OK(rle_decode_runs(&d, first, &runs, &decoded, &err));
        if (decoded == first) {
            CHECK_OK(rle_decode_runs(&d, (uint32_t)n - first, &runs, &more, &err));
        }
        decoded += more;
        size_t row = 0;
        for (uint32_t k = 0; k < runs.count; k++) {
            CHECK(k == 0 || runs.values[k] != runs.values[k - 1]);
            for (; row < runs.run_ends[k]; row++) {
                CHECK_EQ(runs.values[k], v[row]);
            }
        }
        CHECK_EQ(row, decoded);
        CHECK(decoded == n || runs.count == runs.cap);
        CHECK_OK(rle_decode(&d, back, n - decoded, &err));
        CHECK(memcmp(back, v + decoded, (n - decoded) * 4) == 0);
        buf_deinit(&b);
    }
}

TEST(rle, count_runs)
{
    enum { MAX = 2000 };
    Err err;
    uint32_t *v = arena_new(&t->arena, uint32_t, MAX);
    for (int round = 0; round < 300; round++) {
        const unsigned width = 1 + (unsigned)(test_random(t) % 32);
        const size_t n = random_values(t, width, v, MAX);
        Buf b;
        buf_init(&b, 0);
        RleEncoder e;
        rle_encoder_init(&e, &b, width);
        rle_put_values(&e, v, n);
        rle_encoder_finish(&e);
        RleDecoder d;
        CHECK_OK(rle_decoder_init(&d, buf_bytes(&b), width, UINT32_MAX, &err));
        CHECK_OK(rle_skip(&d, test_random(t) % (n + 1), &err));
        RleDecoder copy = d;
        const uint32_t count = (uint32_t)(test_random(t) % (n + 1)) / 2;
        uint32_t left = count;
        uint32_t want = 0;
        uint32_t got = 0;
        const bool enough = rle_count_runs(&d, count, UINT32_MAX, &got, &err) == OK;
        while (enough && left > 0) {
            RleRun run;
            CHECK_OK(rle_next(&copy, left, &run, &err));
            want += run.packed ? run.count : 1;
            left -= run.count;
        }
        CHECK_EQ(got, want);
        if (want > 0) { // stops as soon as it knows
            CHECK_OK(rle_count_runs(&d, count, want / 2, &got, &err));
            CHECK(got > want / 2 && got <= want);
        }
        buf_deinit(&b);
    }
}

TEST(rle, bits)
{
    enum { MAX = 3000 };
    Err err;
    uint64_t bits[MAX / 64 + 2];
    uint64_t back[MAX / 64 + 4];
    uint32_t v[MAX + 128];
    for (int round = 0; round < 300; round++) {
        const size_t n = random_values(t, 1, v, MAX);
        const size_t from = test_random(t) % 70;
        const size_t to = test_random(t) % 70;
        size_t want_ones = 0;
        memset(bits, (int)(test_random(t) & 0xff), sizeof(bits));
        for (size_t i = 0; i < n; i++) {
            const uint64_t bit = UINT64_C(1) << ((from + i) % 64);
            uint64_t *word = &bits[(from + i) / 64];
            *word = v[i] == 1 ? *word | bit : *word & ~bit;
            want_ones += v[i];
        }
        Buf b;
        buf_init(&b, 0);
        RleEncoder e;
        rle_encoder_init(&e, &b, 1);
        rle_put_bits(&e, bits, from, n / 2);
        rle_put_bits(&e, bits, from + n / 2, n - n / 2);
        rle_encoder_finish(&e);
        RleDecoder d;
        CHECK_OK(rle_decoder_init(&d, buf_bytes(&b), 1, 1, &err));
        size_t ones[2] = {0};
        memset(back, 0xa5, sizeof(back));
        CHECK_OK(rle_decode_bits(&d, back, to, n / 3, &ones[0], &err));
        CHECK_OK(rle_decode_bits(&d, back, to + n / 3, n - n / 3, &ones[1], &err));
        CHECK_EQ(ones[0] + ones[1], want_ones);
        for (size_t i = 0; i < ARRAY_LEN(back) * 64; i++) {
            const uint64_t got = back[i / 64] >> (i % 64) & 1;
            const bool inside = i >= to && i < to + n;
            CHECK_EQ(got, inside ? v[i - to] : UINT64_C(0xa5) >> (i % 8) & 1);
        }
        buf_deinit(&b);
    }
}

TEST(rle, hostile_input)
{
    static const struct {
        const char *why;
        Str in;
        unsigned width;
        uint32_t value_max;
        size_t count;
    } cases[] = {
        {"nothing", {NULL, 0}, 3, UINT32_MAX, 1},
        {"header cut", STR("\x80"), 3, UINT32_MAX, 1},
        {"header too long", STR("\xff\xff\xff\xff\x7f\x01"), 3, UINT32_MAX, 1},
        {"value cut", STR("\x04\x01"), 9, UINT32_MAX, 1},
        {"run too short", STR("\x04\x01"), 3, UINT32_MAX, 3},
        {"empty runs only", STR("\x00\x01\x00\x01\x01\x01"), 3, UINT32_MAX, 1},
        {"span without bytes", STR("\x03"), 3, UINT32_MAX, 1},
        {"span cut before the value", STR("\x03\x01"), 3, UINT32_MAX, 3},
        {"run above max", STR("\x04\x06"), 3, 5, 1},
        {"packed above max", STR("\x03\x00\x00\xe0"), 3, 5, 8},
        {"width", STR("\x04\x01"), 33, UINT32_MAX, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err;
        RleDecoder d;
        uint32_t out[16];
        const Bytes in = {.ptr = (const uint8_t *)cases[i].in.ptr, .len = cases[i].in.len};
        Status st = rle_decoder_init(&d, in, cases[i].width, cases[i].value_max, &err);
        if (st == OK) {
            st = rle_decode(&d, out, cases[i].count, &err);
        }
        if (st != ERR_CORRUPT) {
            test_fail(t, __FILE__, __LINE__, "%s: status %d", cases[i].why, (int)st);
        }
    }
    // The last group may be cut where its padding is.
    Err err;
    RleDecoder d;
    uint32_t out[2];
    const uint8_t cut[] = {0x03, 0x0a};
    CHECK_OK(rle_decoder_init(&d, (Bytes){cut, 2}, 3, UINT32_MAX, &err));
    CHECK_OK(rle_decode(&d, out, 2, &err));
    CHECK(out[0] == 2 && out[1] == 1);
}

// Any bytes: no read outside the input, and all decoders agree about values and failure.
TEST(rle, random_bytes)
{
    enum { MAX = 500 };
    uint32_t a[MAX];
    uint32_t values[MAX];
    uint32_t ends[MAX];
    for (int round = 0; round < 20000; round++) {
        Err err;
        uint8_t raw[40];
        const size_t len = test_random(t) % sizeof(raw);
        uint8_t *in = raw + sizeof(raw) - len;
        for (size_t i = 0; i < len; i++) {
            in[i] = (uint8_t)test_random(t);
            in[i] = test_random(t) % 3 == 0 ? in[i] & 0x0f : in[i];
        }
        const unsigned width = (unsigned)(test_random(t) % 33);
        const uint32_t max = test_random(t) % 2 == 0 ? UINT32_MAX : (uint32_t)test_random(t);
        const uint32_t n = (uint32_t)(test_random(t) % MAX);
        RleDecoder d;
        CHECK_OK(rle_decoder_init(&d, (Bytes){in, len}, width, max, &err));
        const Status st = rle_decode(&d, a, n, &err);
        CHECK_OK(rle_decoder_init(&d, (Bytes){in, len}, width, max, &err));
        RleRuns runs = {.values = values, .run_ends = ends, .cap = MAX};
        uint32_t decoded = 0;
        CHECK_EQ(rle_decode_runs(&d, n, &runs, &decoded, &err), st);
        CHECK(st != OK || decoded == n);
        for (uint32_t k = 0, row = 0; st == OK && k < runs.count; k++) {
            for (; row < ends[k]; row++) {
                CHECK_EQ(a[row], values[k]);
            }
        }
    }
}
