// SPDX-License-Identifier: Apache-2.0
#include "codec/varint.h"
#include "tests/support/test.h"

TEST(varint, round_trip)
{
    for (int round = 0; round < 20000; round++) {
        const uint64_t v = test_random(t) >> (test_random(t) % 64);
        uint8_t bytes[VARINT_U64_BYTES_MAX];
        const size_t len = (size_t)(varint_write_u64(bytes, v) - bytes);
        CHECK_EQ(len, varint_size_bytes(v));
        Reader r = reader_of((Bytes){bytes, len});
        CHECK(varint_get_u64(&r) == v && reader_ok(&r) && reader_left(&r) == 0);
        r = reader_of((Bytes){bytes, len});
        const uint32_t low = varint_get_u32(&r);
        CHECK(v <= UINT32_MAX ? low == v && reader_ok(&r) : !reader_ok(&r));
        r = reader_of((Bytes){bytes, len - 1});
        CHECK(varint_get_u64(&r) == 0 && !reader_ok(&r));
        CHECK(zigzag_to_i64(zigzag_from_i64((int64_t)v)) == (int64_t)v);
        CHECK(zigzag_to_i32(zigzag_from_i32((int32_t)v)) == (int32_t)v);
    }
}

TEST(varint, table)
{
    static const struct {
        const char *why;
        Str in;
        bool ok64, ok32;
        uint64_t value;
    } cases[] = {
        {"zero", STR("\x00"), true, true, 0},
        {"300", STR("\xac\x02"), true, true, 300},
        {"padded zero", STR("\x80\x80\x00"), true, true, 0},
        {"largest 32", STR("\xff\xff\xff\xff\x0f"), true, true, UINT32_MAX},
        {"33 bits", STR("\xff\xff\xff\xff\x1f"), true, false, UINT64_C(0x1ffffffff)},
        {"six bytes of zero", STR("\x80\x80\x80\x80\x80\x00"), true, false, 0},
        {"largest 64", STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), true, false, UINT64_MAX},
        {"65 bits", STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), false, false, 0},
        {"eleven bytes", STR("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), false, false, 0},
        {"nothing", {"", 0}, false, false, 0},
        {"cut", STR("\x80"), false, false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const Bytes in = {(const uint8_t *)cases[i].in.ptr, cases[i].in.len};
        Reader r = reader_of(in);
        const uint64_t v = varint_get_u64(&r);
        Reader r32 = reader_of(in);
        const uint64_t v32 = varint_get_u32(&r32);
        if (reader_ok(&r) != cases[i].ok64 || v != cases[i].value ||
            reader_ok(&r32) != cases[i].ok32 || (cases[i].ok32 && v32 != cases[i].value)) {
            test_fail(t, __FILE__, __LINE__, "%s", cases[i].why);
        }
    }
}

TEST(varint, zigzag)
{
    CHECK_EQ(zigzag_from_i64(0), 0);
    CHECK_EQ(zigzag_from_i64(-1), 1);
    CHECK_EQ(zigzag_from_i64(1), 2);
    CHECK(zigzag_from_i64(INT64_MIN) == UINT64_MAX);
    CHECK(zigzag_from_i32(INT32_MIN) == UINT32_MAX);
    Buf b;
    buf_init(&b, 0);
    varint_put_i64(&b, -150);
    varint_put_u64(&b, 5);
    Reader r = reader_of(buf_bytes(&b));
    CHECK_EQ(varint_get_i64(&r), -150);
    CHECK_EQ(varint_get_i32(&r), -3);
    CHECK(reader_ok(&r));
    buf_deinit(&b);
}
