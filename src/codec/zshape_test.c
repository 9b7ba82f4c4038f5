// SPDX-License-Identifier: Apache-2.0
#include "codec/compress.h"
#include "codec/hash.h"
#include "codec/hash_stream.h"
#include "codec/zshape.h"
#include "tests/support/test.h"

// What was compressed comes back through the ordinary decoder.
static void check_round_trip(Test *t, Compress *c, const Buf *packed, Bytes want)
{
    Err err = {0};
    uint8_t *got = arena_new(&t->arena, uint8_t, want.len + 1);
    CHECK_OK(compress_decode(c, COMPRESS_ZSTD, buf_bytes(packed), got, want.len, &err));
    CHECK(want.len == 0 || memcmp(got, want.ptr, want.len) == 0);
}

static uint8_t *random_bytes(Test *t, size_t n, uint64_t kinds)
{
    uint8_t *p = arena_new(&t->arena, uint8_t, n + 1);
    for (size_t i = 0; i < n; i++) {
        p[i] = (uint8_t)(test_random(t) % kinds);
    }
    return p;
}

TEST(zshape, planes_round_trip_at_every_size_and_level)
{
    static const size_t prefixes[] = {0, 1, 37};
    static const size_t planes[] = {1, 7, 1000, 16384, 200000};
    static const int levels[] = {-1, 0, 1, 3, 9, 13, 19};
    Err err = {0};
    Compress *c = compress_new();
    Zshape *z = zshape_new();
    Buf out = {0};
    for (size_t i = 0; i < ARRAY_LEN(prefixes) * ARRAY_LEN(planes) * ARRAY_LEN(levels); i++) {
        const size_t prefix = prefixes[i % 3];
        const size_t plane = planes[i / 3 % 5];
        const int level = levels[i / 15];
        const Bytes in = {.ptr = random_bytes(t, prefix + 8 * plane, 3),
                          .len = prefix + (level > 9 && plane > 16384 ? 1 : 8) * plane};
        buf_clear(&out);
        CHECK_OK(zshape_planes(z, level, in, prefix, plane, &out, &err));
        check_round_trip(t, c, &out, in);
    }
    // No planes at all.
    buf_clear(&out);
    const Bytes prefix_only = {.ptr = (const uint8_t *)"abc", .len = 3};
    CHECK_OK(zshape_planes(z, 3, prefix_only, 3, 8, &out, &err));
    check_round_trip(t, c, &out, prefix_only);
    buf_clear(&out);
    CHECK_OK(zshape_planes(z, 3, (Bytes){0}, 0, 8, &out, &err));
    check_round_trip(t, c, &out, (Bytes){0});
    buf_deinit(&out);
    zshape_free(z);
    compress_free(c);
}

TEST(zshape, planes_of_different_nature_are_smaller_apart)
{
    enum { PLANE = 16384 };
    Err err = {0};
    Compress *c = compress_new();
    Zshape *z = zshape_new();
    Buf together = {0};
    Buf apart = {0};
    uint8_t *p = random_bytes(t, 4 * PLANE, 256);
    for (int i = 0; i < PLANE; i++) { // one plane of noise, one of nibbles, two of nothing
        p[PLANE + i] &= 0xf0;
        p[2 * PLANE + i] = p[3 * PLANE + i] = 0;
    }
    const Bytes in = {.ptr = p, .len = (size_t)4 * PLANE};
    CHECK_OK(compress_encode(c, COMPRESS_ZSTD, 3, in, &together, &err));
    CHECK_OK(zshape_planes(z, 3, in, 0, PLANE, &apart, &err));
    CHECK(apart.len < PLANE + PLANE / 2 + 500);
    CHECK(apart.len < together.len - 500);
    buf_deinit(&together);
    buf_deinit(&apart);
    zshape_free(z);
    compress_free(c);
}

TEST(zshape, strides_round_trip_whatever_the_data)
{
    static const size_t sizes[] = {0, 1, 3, 4, 5, 100, 65536, 131071, 131072, 131073, 500000};
    static const size_t strides[] = {1, 2, 4, 8, 24};
    Err err = {0};
    Compress *c = compress_new();
    Zshape *z = zshape_new();
    Buf out = {0};
    for (size_t i = 0; i < ARRAY_LEN(sizes) * ARRAY_LEN(strides) * 3; i++) {
        static const uint64_t kinds[] = {1, 2, 256};
        const Bytes in = {.ptr = random_bytes(t, sizes[i % 11], kinds[i / 55]),
                          .len = sizes[i % 11]};
        buf_clear(&out);
        CHECK_OK(zshape_stride(z, in, strides[i / 11 % 5], &out, &err));
        check_round_trip(t, c, &out, in);
    }
    buf_deinit(&out);
    zshape_free(z);
    compress_free(c);
}

TEST(zshape, stride_suits_the_codes_of_a_walk)
{
    enum { COUNT = 16384 };
    Err err = {0};
    Compress *c = compress_new();
    Zshape *z = zshape_new();
    Buf plain = {0};
    Buf shaped = {0};
    uint32_t *codes = arena_new(&t->arena, uint32_t, COUNT);
    uint32_t code = 50000;
    for (int i = 0; i < COUNT; i++) {
        code += (uint32_t)(test_random(t) % 201) - 100;
        codes[i] = code;
    }
    const Bytes in = {.ptr = (const uint8_t *)codes, .len = COUNT * sizeof(*codes)};
    CHECK_OK(compress_encode(c, COMPRESS_ZSTD, 3, in, &plain, &err));
    CHECK_OK(zshape_stride(z, in, 4, &shaped, &err));
    check_round_trip(t, c, &shaped, in);
    CHECK(shaped.len < plain.len - plain.len / 6);
    buf_deinit(&plain);
    buf_deinit(&shaped);
    zshape_free(z);
    compress_free(c);
}

TEST(zshape, stored_bytes_come_back_at_every_size)
{
    static const size_t sizes[] = {0, 1, 255, 256, 65536, 131071, 131072, 131073, 262144, 1000001};
    Compress *c = compress_new();
    Buf out = {0};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        const Bytes in = {.ptr = random_bytes(t, sizes[i], 256), .len = sizes[i]};
        buf_clear(&out);
        zshape_stored(in, &out);
        check_round_trip(t, c, &out, in);
        CHECK(out.len <= in.len + 13 + 3 * (in.len / 131072 + 1));
    }
    buf_deinit(&out);
    compress_free(c);
}

TEST(zshape, full_output_is_an_error)
{
    Err err = {0};
    Zshape *z = zshape_new();
    Buf out;
    buf_init(&out, 10);
    const Bytes in = {.ptr = random_bytes(t, 1000, 256), .len = 1000};
    CHECK_EQ(zshape_planes(z, 3, in, 0, 100, &out, &err), ERR_LIMIT);
    buf_clear(&out);
    CHECK_EQ(zshape_stride(z, in, 4, &out, &err), ERR_LIMIT);
    buf_deinit(&out);
    zshape_free(z);
}

TEST(hash_stream, pieces_give_the_hash_of_the_whole)
{
    const Bytes whole = {.ptr = random_bytes(t, 100000, 256), .len = 100000};
    for (int round = 0; round < 20; round++) {
        HashStream *h = hash_stream_new();
        size_t at = 0;
        while (at < whole.len) {
            const size_t most = round == 0 ? whole.len : (size_t)1 << (round % 17);
            const size_t n = (size_t)(test_random(t) % (most + 1));
            const size_t piece = n < whole.len - at ? n : whole.len - at;
            hash_stream_update(h, (Bytes){.ptr = whole.ptr + at, .len = piece});
            at += piece;
        }
        CHECK(hash_stream_digest(h) == hash_xxh3_64(whole, 0));
        hash_stream_free(h);
    }
    HashStream *empty = hash_stream_new();
    CHECK(hash_stream_digest(empty) == hash_xxh3_64((Bytes){0}, 0));
    hash_stream_free(empty);
}
