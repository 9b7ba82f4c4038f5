// SPDX-License-Identifier: Apache-2.0
#include "codec/compress.h"
#include "tests/support/test.h"

#include "base/mem.h"

static const CompressKind encoders[] = {COMPRESS_NONE,      COMPRESS_SNAPPY, COMPRESS_GZIP,
                                        COMPRESS_ZLIB,      COMPRESS_ZSTD,   COMPRESS_LZ4_RAW,
                                        COMPRESS_LZ4_HADOOP};

static Bytes random_text(Test *t, size_t max)
{
    const size_t len = test_random(t) % (max + 1);
    uint8_t *p = arena_new(&t->arena, uint8_t, len + 1);
    for (size_t i = 0; i < len; i++) {
        p[i] = test_random(t) % 4 == 0 || i < 50 ? (uint8_t)test_random(t) : p[i - 50];
    }
    return (Bytes){p, len};
}

// Decodes into memory of the exact size, so that ASan sees a byte too many.
static Status decode_exact(Compress *c, CompressKind kind, Bytes in, size_t size, Bytes want)
{
    Err err;
    uint8_t *out = mem_alloc_raw(size);
    Status st = compress_decode(c, kind, in, out, size, &err);
    if (st == OK && (size != want.len || (size > 0 && memcmp(out, want.ptr, size) != 0))) {
        st = ERR_INTERNAL;
    }
    mem_free(out);
    return st;
}

TEST(compress, round_trip)
{
    Err err;
    Compress *c = compress_new();
    for (int round = 0; round < 60; round++) {
        const Bytes text = random_text(t, round < 3 ? 0 : 3000);
        for (size_t k = 0; k < ARRAY_LEN(encoders); k++) {
            const CompressKind kind = encoders[k];
            const int level = round % 3 == 0 ? COMPRESS_LEVEL_DEFAULT : 1 + round % 9;
            Buf b;
            buf_init(&b, 0);
            buf_put_u8(&b, 0x77);
            CHECK_OK(compress_encode(c, kind, level, text, &b, &err));
            CHECK_EQ(b.ptr[0], 0x77);
            const Bytes in = {b.ptr + 1, b.len - 1};
            CHECK_EQ(decode_exact(c, kind, in, text.len, text), OK);
            CHECK_EQ(decode_exact(c, kind, in, text.len + 1, text), ERR_CORRUPT);
            if (text.len > 0) {
                CHECK_EQ(decode_exact(c, kind, in, text.len - 1, text), ERR_CORRUPT);
            }
            for (size_t cut = 0; cut < in.len; cut += 1 + in.len / 50) {
                const Status st = decode_exact(c, kind, (Bytes){in.ptr, cut}, text.len, text);
                if (st == OK && text.len > 0) {
                    test_fail(t, __FILE__, __LINE__, "%s cut at %zu of %zu is taken",
                              compress_kind_text(kind), cut, in.len);
                }
            }
            buf_deinit(&b);
        }
    }
    compress_free(c);
    compress_free(NULL);
}

TEST(compress, members_and_frames_follow_each_other)
{
    static const CompressKind kinds[] = {COMPRESS_GZIP, COMPRESS_ZSTD, COMPRESS_LZ4_HADOOP};
    Err err;
    Compress *c = compress_new();
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        Buf b;
        buf_init(&b, 0);
        CHECK_OK(compress_encode(c, kinds[k], 0, (Bytes){(const uint8_t *)"one ", 4}, &b, &err));
        CHECK_OK(compress_encode(c, kinds[k], 0, (Bytes){(const uint8_t *)"two", 3}, &b, &err));
        const Bytes want = {(const uint8_t *)"one two", 7};
        CHECK_EQ(decode_exact(c, kinds[k], buf_bytes(&b), 7, want), OK);
        CHECK_EQ(decode_exact(c, kinds[k], buf_bytes(&b), 6, want), ERR_CORRUPT);
        buf_put_u8(&b, 0);
        CHECK_EQ(decode_exact(c, kinds[k], buf_bytes(&b), 7, want), ERR_CORRUPT);
        buf_deinit(&b);
    }
    compress_free(c);
}

// Streams that other programs wrote.
TEST(compress, foreign_streams)
{
    static const struct {
        CompressKind kind;
        Str in, want;
    } cases[] = {
        {COMPRESS_BROTLI,
         STR("\x1b\x3c\x00\xf8\x8d\x94\xaa\xdb\xa3\xa4\x33\x03\x69\x16\xb4\x37\x3c\x39\xc8\x24\xf6"
             "\x24\x09\xdb\x74\x14\x17\x48\xd7\xe2\x26\x00"),
         STR("the quick brown fox, the quick brown fox, the quick brown fox")},
        {COMPRESS_LZ4_HADOOP, STR("\x30hey"), STR("hey")}, // a bare block
        {COMPRESS_SNAPPY,
         STR("\x09\x08"
             "abc\x09\x03"),
         STR("abcabcabc")}, // a copy
        {COMPRESS_GZIP,
         STR("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xad\x04\x00\xed\x79\xac\xc2\x03\0\0"
             "\0"),
         {NULL, 0}}, // wrong checksum
    };
    Compress *c = compress_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const Bytes in = {(const uint8_t *)cases[i].in.ptr, cases[i].in.len};
        const Bytes want = {(const uint8_t *)cases[i].want.ptr, cases[i].want.len};
        const Status st = decode_exact(c, cases[i].kind, in, want.len == 0 ? 3 : want.len, want);
        CHECK_EQ(st, want.len == 0 ? ERR_CORRUPT : OK);
    }
    compress_free(c);
}

TEST(compress, limits)
{
    Err err;
    Compress *c = compress_new();
    Buf b;
    buf_init(&b, 16);
    const uint8_t byte = 1;
    const Bytes huge = {&byte, (size_t)COMPRESS_BYTES_MAX + 1};
    const Bytes text = random_text(t, 0);
    CHECK_EQ(compress_encode(c, COMPRESS_BROTLI, 0, text, &b, &err), ERR_UNSUPPORTED);
    for (size_t k = 0; k < ARRAY_LEN(encoders); k++) {
        uint8_t out[1];
        CHECK_EQ(compress_encode(c, encoders[k], 0, huge, &b, &err), ERR_LIMIT);
        CHECK_EQ(compress_decode(c, encoders[k], huge, out, 1, &err), ERR_LIMIT);
        CHECK_EQ(compress_decode(c, encoders[k], text, out, huge.len, &err), ERR_LIMIT);
        buf_clear(&b);
        const Bytes large = {(const uint8_t *)encoders, sizeof(encoders)};
        CHECK_EQ(compress_encode(c, encoders[k], 0, large, &b, &err), ERR_LIMIT);
    }
    buf_deinit(&b);
    compress_free(c);
}

TEST(compress, snappy_size)
{
    static const struct {
        const char *why;
        Str in;
        size_t max;
        Status want;
        size_t size;
    } cases[] = {
        {"empty block", STR("\x00"), 0, OK, 0},
        {"at the limit",
         STR("\x03\x08"
             "abc"),
         3, OK, 3},
        {"above the limit",
         STR("\x03\x08"
             "abc"),
         2, ERR_TOO_LARGE, 0},
        {"nothing", {"", 0}, 9, ERR_CORRUPT, 0},
        {"header cut", STR("\x80"), 9, ERR_CORRUPT, 0},
        {"33 bits", STR("\xff\xff\xff\xff\x7f"), SIZE_MAX, ERR_CORRUPT, 0},
        {"a claim nothing backs",
         STR("\xff\xff\xff\xff\x0f"
             "abc"),
         SIZE_MAX, ERR_CORRUPT, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err;
        size_t size = 7;
        const Bytes in = {(const uint8_t *)cases[i].in.ptr, cases[i].in.len};
        if (compress_snappy_size(in, cases[i].max, &size, &err) != cases[i].want ||
            size != cases[i].size) {
            test_fail(t, __FILE__, __LINE__, "%s", cases[i].why);
        }
    }
}

TEST(compress, random_bytes)
{
    Compress *c = compress_new();
    for (int round = 0; round < 3000; round++) {
        Err err;
        Buf b;
        buf_init(&b, 0);
        const CompressKind kind = encoders[test_random(t) % ARRAY_LEN(encoders)];
        CHECK_OK(compress_encode(c, kind, 0, random_text(t, 300), &b, &err));
        for (int k = 0; k < 3 && b.len > 0; k++) {
            b.ptr[test_random(t) % b.len] ^= (uint8_t)(1 << test_random(t) % 8);
        }
        (void)decode_exact(c, kind, buf_bytes(&b), test_random(t) % 400, (Bytes){0});
        (void)decode_exact(c, COMPRESS_BROTLI, buf_bytes(&b), test_random(t) % 400, (Bytes){0});
        buf_deinit(&b);
        arena_reset(&t->arena);
    }
    compress_free(c);
}
