// SPDX-License-Identifier: Apache-2.0
#include "codec/hash.h"
#include "tests/support/test.h"

static Bytes bytes_of(Str s)
{
    return (Bytes){(const uint8_t *)s.ptr, s.len};
}

// The results go into files, so they may never change. Values of the xxhsum program.
TEST(hash, known_values)
{
    CHECK(hash_xxh64((Bytes){0}) == UINT64_C(0xef46db3751d8e999));
    CHECK(hash_xxh64(bytes_of(STR("abc"))) == UINT64_C(0x44bc2cf5ad770999));
    CHECK(hash_xxh3_64((Bytes){0}, 0) == UINT64_C(0x2d06800538d394c2));
    CHECK(hash_xxh3_64(bytes_of(STR("abc")), 0) == UINT64_C(0x78af5f94892f3950));
    const Hash128 h = hash_xxh3_128(bytes_of(STR("abc")), 0);
    CHECK(h.hi == UINT64_C(0x06b05ab6733a6185) && h.lo == UINT64_C(0x78af5f94892f3950));
    CHECK(hash_xxh3_64(bytes_of(STR("abc")), 1) != hash_xxh3_64(bytes_of(STR("abc")), 0));
}

TEST(hash, many_at_once)
{
    uint64_t values[64];
    uint64_t out[64];
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        values[i] = test_random(t);
    }
    const uint8_t *p = (const uint8_t *)values;
    static const size_t widths[] = {1, 4, 8, 16};
    for (size_t w = 0; w < ARRAY_LEN(widths); w++) {
        hash_xxh64_fixed(values, widths[w], 32, out);
        for (size_t i = 0; i < 32; i++) {
            CHECK(out[i] == hash_xxh64((Bytes){p + i * widths[w], widths[w]}));
        }
    }
    const uint32_t offsets[] = {0, 3, 3, 100, 500};
    hash_xxh64_strings(offsets, p, 4, out);
    for (size_t i = 0; i < 4; i++) {
        CHECK(out[i] == hash_xxh64((Bytes){p + offsets[i], offsets[i + 1] - offsets[i]}));
    }
    CHECK(hash_u64(values[0]) == hash_xxh3_64((Bytes){p, 8}, 0));
}
