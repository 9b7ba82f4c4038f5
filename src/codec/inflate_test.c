// SPDX-License-Identifier: Apache-2.0
#include "codec/inflate.h"

#include "codec/compress.h"
#include "tests/support/test.h"

static const struct {
    InflateKind kind;
    CompressKind encoder;
} kinds[] = {
    {INFLATE_GZIP, COMPRESS_GZIP}, {INFLATE_ZLIB, COMPRESS_ZLIB}, {INFLATE_ZSTD, COMPRESS_ZSTD}};

// Feeds `in` in pieces of `piece` bytes.
static Status inflate_in_pieces(InflateKind kind, Bytes in, size_t piece, Buf *out)
{
    Err err;
    Status st = OK;
    Inflate *z = inflate_new(kind);
    for (size_t i = 0; i < in.len && st == OK; i += piece) {
        const size_t n = in.len - i < piece ? in.len - i : piece;
        st = inflate_feed(z, (Bytes){in.ptr + i, n}, out, &err);
    }
    if (st == OK) {
        st = inflate_finish(z, &err);
    }
    inflate_free(z);
    return st;
}

static Bytes text_of(Test *t, size_t len)
{
    uint8_t *p = arena_new(&t->arena, uint8_t, len + 1);
    for (size_t i = 0; i < len; i++) {
        p[i] = i < 500 ? (uint8_t)test_random(t) : p[i - 500];
    }
    return (Bytes){p, len};
}

TEST(inflate, any_pieces_and_the_cap)
{
    static const size_t sizes[] = {0, 1, 1000, 65536, 65537, 300000};
    static const size_t pieces[] = {1, 2, 3, 100, SIZE_MAX / 2};
    Err err;
    Compress *c = compress_new();
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
            const Bytes text = text_of(t, sizes[s]);
            Buf b;
            buf_init(&b, 0);
            CHECK_OK(compress_encode(c, kinds[k].encoder, 0, text, &b, &err));
            for (size_t p = 0; p < ARRAY_LEN(pieces); p++) {
                Buf out;
                buf_init(&out, text.len == 0 ? 1 : text.len); // exactly enough
                CHECK_EQ(inflate_in_pieces(kinds[k].kind, buf_bytes(&b), pieces[p], &out), OK);
                CHECK(out.len == text.len);
                CHECK(text.len == 0 || memcmp(out.ptr, text.ptr, text.len) == 0);
                buf_deinit(&out);
                if (text.len > 1) {
                    buf_init(&out, text.len - 1);
                    CHECK_EQ(inflate_in_pieces(kinds[k].kind, buf_bytes(&b), pieces[p], &out),
                             ERR_TOO_LARGE);
                    buf_deinit(&out);
                }
                buf_init(&out, 0);
                const Bytes cut = {b.ptr, b.len - 1};
                CHECK_EQ(inflate_in_pieces(kinds[k].kind, cut, pieces[p], &out), ERR_INVALID);
                buf_deinit(&out);
            }
            buf_deinit(&b);
        }
    }
    compress_free(c);
}

TEST(inflate, members_frames_and_what_follows)
{
    Err err;
    Compress *c = compress_new();
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        Buf b;
        buf_init(&b, 0);
        CHECK_OK(
            compress_encode(c, kinds[k].encoder, 0, (Bytes){(const uint8_t *)"one ", 4}, &b, &err));
        CHECK_OK(
            compress_encode(c, kinds[k].encoder, 0, (Bytes){(const uint8_t *)"two", 3}, &b, &err));
        for (size_t piece = 1; piece < b.len; piece++) {
            Buf out;
            buf_init(&out, 7);
            const Status st = inflate_in_pieces(kinds[k].kind, buf_bytes(&b), piece, &out);
            if (kinds[k].kind == INFLATE_ZLIB) {
                CHECK_EQ(st, ERR_INVALID); // HTTP's "deflate" is one stream
            } else {
                CHECK_EQ(st, OK);
                CHECK_STR(buf_str(&out), STR("one two"));
            }
            buf_deinit(&out);
        }
        buf_deinit(&b);
    }
    compress_free(c);
}

TEST(inflate, table)
{
    static const struct {
        const char *why;
        InflateKind kind;
        Str in;
        Status want;
        Str out;
    } cases[] = {
        {"no body", INFLATE_GZIP, {"", 0}, OK, {"", 0}},
        {"no body", INFLATE_ZLIB, {"", 0}, OK, {"", 0}},
        {"no body", INFLATE_ZSTD, {"", 0}, OK, {"", 0}},
        {"a bare deflate stream", INFLATE_ZLIB, STR("\xcb\x48\xad\x04\x00"), OK, STR("hey")},
        {"one byte", INFLATE_ZLIB, STR("\x78"), ERR_INVALID, {"", 0}},
        {"not gzip", INFLATE_GZIP, STR("hello, world"), ERR_INVALID, {"", 0}},
        {"not zstd", INFLATE_ZSTD, STR("hello, world"), ERR_INVALID, {"", 0}},
        {"zstd 0.7", INFLATE_ZSTD, STR("\x27\xb5\x2f\xfd\x01\x00"), ERR_INVALID, {"", 0}},
        // A frame that asks for a window of 16 MiB.
        {"window", INFLATE_ZSTD, STR("\x28\xb5\x2f\xfd\x00\x70\x01\x00\x00"), ERR_INVALID, {"", 0}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Buf out;
        buf_init(&out, 100);
        const Bytes in = {(const uint8_t *)cases[i].in.ptr, cases[i].in.len};
        const Status st = inflate_in_pieces(cases[i].kind, in, 1, &out);
        if (st != cases[i].want || !str_eq(buf_str(&out), cases[i].out)) {
            test_fail(t, __FILE__, __LINE__, "%s: status %d", cases[i].why, (int)st);
        }
        buf_deinit(&out);
    }
    inflate_free(NULL);
}
