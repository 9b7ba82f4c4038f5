// SPDX-License-Identifier: Apache-2.0
#include "codec/delta.h"
#include "codec/varint.h"
#include "tests/support/test.h"

enum { MAX = 1000 };

static void random_i64(Test *t, int64_t *v, size_t n, bool narrow)
{
    const uint64_t kind = test_random(t) % 4;
    const unsigned shift = (unsigned)(test_random(t) % 64);
    uint64_t prev = test_random(t);
    for (size_t i = 0; i < n; i++) {
        switch (kind) {
        case 0: // anything, so that differences wrap around
            prev = test_random(t);
            break;
        case 1: // a clock
            prev += 15000;
            break;
        case 2: // a clock that jitters, with a jump now and then
            prev += 15000 + test_random(t) % 64 + (test_random(t) % 100 == 0 ? 1 << 30 : 0);
            break;
        default:
            prev += (test_random(t) >> shift) - (test_random(t) >> shift);
            break;
        }
        v[i] = narrow ? (int32_t)(uint32_t)prev : (int64_t)prev;
    }
}

static size_t random_count(Test *t, int round)
{
    static const size_t edges[] = {0, 1, 2, 32, 33, 128, 129, 130, 257};
    return round < (int)ARRAY_LEN(edges) ? edges[round] : test_random(t) % MAX;
}

// The input of a decoder, of the exact size, so that ASan sees reads past its end.
static Reader exact_reader(Test *t, const Buf *b)
{
    uint8_t *p = arena_new(&t->arena, uint8_t, b->len + 1) + 1;
    if (b->len > 0) {
        memcpy(p, b->ptr, b->len);
    }
    return reader_of((Bytes){p, b->len});
}

TEST(delta, integers_round_trip)
{
    Err err;
    int64_t v[MAX], back[MAX];
    int32_t v32[MAX], back32[MAX];
    for (int round = 0; round < 300; round++) {
        const size_t n = random_count(t, round);
        Buf b;
        buf_init(&b, 0);
        random_i64(t, v, n, false);
        delta_put_i64(&b, v, n);
        buf_put_u8(&b, 0x55);
        Reader r = exact_reader(t, &b);
        CHECK_OK(delta_get_i64(&r, n, back, &err));
        CHECK(memcmp(v, back, n * 8) == 0);
        CHECK_EQ(reader_left(&r), 1);
        buf_clear(&b);
        random_i64(t, v, n, true);
        for (size_t i = 0; i < n; i++) {
            v32[i] = (int32_t)v[i];
        }
        delta_put_i32(&b, v32, n);
        r = exact_reader(t, &b);
        CHECK_OK(delta_get_i32(&r, n, back32, &err));
        CHECK(memcmp(v32, back32, n * 4) == 0);
        CHECK_EQ(reader_left(&r), 0);
        buf_deinit(&b);
    }
}

// The two examples of Encodings.md.
TEST(delta, spec_examples)
{
    static const struct {
        int32_t values[8];
        size_t count;
        Str bytes; // after the header of 128, 4
    } cases[] = {
        {{1, 2, 3, 4, 5}, 5, STR("\x05\x02\x02\0\0\0\0")},
        // 7 5 3 1 2 3 4 5: least delta -2, then 0 0 0 3 3 3 3 in two bits.
        {{7, 5, 3, 1, 2, 3, 4, 5}, 8, STR("\x08\x0e\x03\x02\0\0\0\xc0\x3f\0\0\0\0\0\0")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Buf b;
        buf_init(&b, 0);
        delta_put_i32(&b, cases[i].values, cases[i].count);
        CHECK(b.len == 3 + cases[i].bytes.len && memcmp(b.ptr, "\x80\x01\x04", 3) == 0);
        CHECK(memcmp(b.ptr + 3, cases[i].bytes.ptr, cases[i].bytes.len) == 0);
        buf_deinit(&b);
    }
}

// Blocks of other shapes than ours, with widths of absent miniblocks that are not zero.
TEST(delta, other_block_shapes)
{
    static const struct {
        uint32_t block, miniblocks;
    } shapes[] = {{8, 1}, {128, 1}, {256, 8}, {1024, 4}, {65536, 512}};
    for (size_t s = 0; s < ARRAY_LEN(shapes); s++) {
        Err err;
        const uint32_t size = shapes[s].block / shapes[s].miniblocks;
        const size_t n = 1 + size + size / 2; // one and a half miniblocks
        Buf b;
        buf_init(&b, 0);
        varint_put_u64(&b, shapes[s].block);
        varint_put_u64(&b, shapes[s].miniblocks);
        varint_put_u64(&b, n);
        varint_put_i64(&b, 100);
        size_t written = 0;
        while (written < n - 1) {
            varint_put_i64(&b, -1);
            for (uint32_t m = 0; m < shapes[s].miniblocks; m++) {
                buf_put_u8(&b, written + m * size < n - 1 ? 8 : 77);
            }
            for (uint32_t m = 0; m < shapes[s].miniblocks && written < n - 1; m++) {
                for (uint32_t i = 0; i < size; i++) {
                    buf_put_u8(&b, 3);
                }
                written += size;
            }
        }
        int64_t *out = arena_new(&t->arena, int64_t, n);
        int32_t *out32 = arena_new(&t->arena, int32_t, n);
        Reader r = exact_reader(t, &b);
        CHECK_OK(delta_get_i64(&r, n, out, &err));
        CHECK_EQ(reader_left(&r), 0);
        r = exact_reader(t, &b);
        CHECK_OK(delta_get_i32(&r, n, out32, &err));
        for (size_t i = 0; i < n; i++) {
            CHECK_EQ(out[i], 100 + 2 * (int64_t)i);
            CHECK_EQ(out32[i], out[i]);
        }
        buf_deinit(&b);
    }
}

TEST(delta, hostile_integers)
{
    static const struct {
        const char *why;
        Str in;
        size_t count;
    } cases[] = {
        {"nothing", {"", 0}, 1},
        {"no blocks", STR("\x80\x01\x04\x02\x00"), 2},
        {"other count", STR("\x80\x01\x04\x05\x02\x02\0\0\0\0"), 4},
        {"zero block", STR("\x00\x01\x02\x00\x00\x00"), 2},
        {"zero miniblocks", STR("\x80\x01\x00\x02\x00\x00\x00"), 2},
        {"not a divisor", STR("\x80\x01\x03\x02\x00\x00\x00\x00\x00"), 2},
        {"not of bytes", STR("\x80\x01\x20\x02\x00\x00\x00\x00\x00"), 2},
        {"block too large", STR("\x80\x80\x08\x04\x02\x00\x00\x00\x00\x00\x00"), 2},
        {"width", STR("\x80\x01\x04\x02\x00\x00\x41\x00\x00\x00"), 2},
        {"body cut", STR("\x80\x01\x04\x02\x00\x00\x01\x00\x00\x00\x00\x00\x00"), 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err;
        int64_t out[8];
        int32_t out32[8];
        const Bytes in = {(const uint8_t *)cases[i].in.ptr, cases[i].in.len};
        Reader r = reader_of(in);
        Reader r32 = reader_of(in);
        if (delta_get_i64(&r, cases[i].count, out, &err) != ERR_CORRUPT ||
            delta_get_i32(&r32, cases[i].count, out32, &err) != ERR_CORRUPT) {
            test_fail(t, __FILE__, __LINE__, "%s", cases[i].why);
        }
    }
}

// A width the type cannot have, with all the bytes it would need.
TEST(delta, width_above_the_type)
{
    for (unsigned width = 32; width <= 65; width++) {
        Err err;
        Buf b;
        int32_t out32[2];
        int64_t out64[2];
        const uint8_t widths[4] = {(uint8_t)width};
        buf_init(&b, 0);
        buf_put(&b, "\x80\x01\x04\x02\x00\x00", 6);
        buf_put(&b, widths, sizeof(widths));
        for (unsigned i = 0; i < 4 * width; i++) {
            buf_put_u8(&b, 1);
        }
        Reader r = reader_of(buf_bytes(&b));
        CHECK_EQ(delta_get_i32(&r, 2, out32, &err), width <= 32 ? OK : ERR_CORRUPT);
        r = reader_of(buf_bytes(&b));
        CHECK_EQ(delta_get_i64(&r, 2, out64, &err), width <= 64 ? OK : ERR_CORRUPT);
        buf_deinit(&b);
    }
}

static size_t random_strings(Test *t, uint32_t *offsets, uint8_t *bytes, size_t max)
{
    const size_t n = test_random(t) % MAX;
    offsets[0] = (uint32_t)(test_random(t) % 3);
    for (size_t i = 0; i < n; i++) {
        const size_t left = max - offsets[i];
        size_t len = test_random(t) % 30;
        len = len < left ? len : left;
        for (size_t k = 0; k < len; k++) {
            bytes[offsets[i] + k] = (uint8_t)('a' + test_random(t) % 2);
        }
        if (i > 0 && test_random(t) % 2 == 0) { // a prefix of the one before
            const uint32_t before = offsets[i] - offsets[i - 1];
            memcpy(bytes + offsets[i], bytes + offsets[i - 1], before < len ? before : len);
        }
        offsets[i + 1] = offsets[i] + (uint32_t)len;
    }
    return n;
}

TEST(delta, strings_round_trip)
{
    enum { BYTES = 32 * MAX };
    Err err;
    uint32_t offsets[MAX + 1], back[MAX + 1];
    uint8_t *bytes = arena_new(&t->arena, uint8_t, BYTES);
    for (int round = 0; round < 100; round++) {
        const size_t n = random_strings(t, offsets, bytes, BYTES);
        const uint32_t size = offsets[n] - offsets[0];
        Buf b;
        Buf whole;
        Bytes got;
        buf_init(&b, 0);
        buf_init(&whole, BYTES + 1);
        delta_put_strings(&b, offsets, bytes, n);
        Reader r = exact_reader(t, &b);
        CHECK_OK(delta_get_strings(&r, n, back, &got, &err));
        CHECK(reader_left(&r) == 0 && got.len == size && back[0] == 0);
        CHECK(size == 0 || memcmp(got.ptr, bytes + offsets[0], size) == 0);
        for (size_t i = 0; i <= n; i++) {
            CHECK_EQ(back[i], offsets[i] - offsets[0]);
        }
        buf_clear(&b);
        delta_put_prefixed(&b, offsets, bytes, n);
        r = exact_reader(t, &b);
        buf_put_u8(&whole, 7);
        CHECK_OK(delta_get_prefixed(&r, n, back, &whole, &err));
        CHECK(reader_left(&r) == 0 && whole.len == size + 1 && back[0] == 0);
        CHECK(size == 0 || memcmp(whole.ptr + 1, bytes + offsets[0], size) == 0);
        for (size_t i = 0; i <= n; i++) {
            CHECK_EQ(back[i], offsets[i] - offsets[0]);
        }
        buf_deinit(&b);
        buf_deinit(&whole);
    }
}

static void put_i32s(Buf *b, const int32_t *v, size_t n)
{
    delta_put_i32(b, v, n);
}

TEST(delta, hostile_strings)
{
    static const struct {
        const char *why;
        int32_t prefix[2], suffix[2];
        Status want;
    } cases[] = {
        {"fine", {0, 2}, {3, 1}, OK},
        {"negative suffix", {0, 0}, {3, -1}, ERR_CORRUPT},
        {"suffix past the end", {0, 0}, {3, 20}, ERR_CORRUPT},
        {"4 GiB", {0, 0}, {INT32_MAX, INT32_MAX}, ERR_CORRUPT},
        {"prefix of the first", {1, 0}, {3, 1}, ERR_CORRUPT},
        {"prefix too long", {0, 4}, {3, 1}, ERR_CORRUPT},
        {"negative prefix", {0, -1}, {3, 1}, ERR_CORRUPT},
        {"more than the buffer takes", {0, 3}, {3, 5}, ERR_LIMIT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err;
        Buf b;
        Buf whole;
        uint32_t offsets[3];
        buf_init(&b, 0);
        buf_init(&whole, 10);
        put_i32s(&b, cases[i].prefix, 2);
        put_i32s(&b, cases[i].suffix, 2);
        buf_put(&b, "abcdefgh", 8);
        Reader r = exact_reader(t, &b);
        const Status st = delta_get_prefixed(&r, 2, offsets, &whole, &err);
        if (st != cases[i].want || (st != OK && whole.len != 0)) {
            test_fail(t, __FILE__, __LINE__, "%s: status %d", cases[i].why, (int)st);
        }
        buf_deinit(&b);
        buf_deinit(&whole);
    }
}

TEST(delta, random_bytes)
{
    Err err;
    int64_t out[300];
    uint32_t offsets[301];
    for (int round = 0; round < 20000; round++) {
        uint8_t raw[60] = {0x80, 0x01, 0x04};
        const size_t len = 3 + test_random(t) % (sizeof(raw) - 3);
        uint8_t *in = arena_new(&t->arena, uint8_t, len);
        const size_t n = test_random(t) % 127;
        raw[3] = (uint8_t)n;
        for (size_t i = 4; i < len; i++) {
            raw[i] = (uint8_t)(test_random(t) & (test_random(t) % 2 == 0 ? 0x0f : 0xff));
        }
        memcpy(in, raw, len);
        Reader r = reader_of((Bytes){in, len});
        (void)delta_get_i64(&r, n, out, &err);
        Buf whole;
        buf_init(&whole, 1000);
        r = reader_of((Bytes){in, len});
        (void)delta_get_prefixed(&r, n, offsets, &whole, &err);
        buf_deinit(&whole);
        arena_reset(&t->arena);
    }
}
