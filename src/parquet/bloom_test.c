// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "parquet/bloom.h"
#include "tests/support/test.h"

TEST(bloom, size_is_a_power_of_two_that_meets_the_rate)
{
    static const struct {
        uint64_t distinct;
        double fpp;
        uint32_t bytes;
    } cases[] = {
        {0, 0.01, 32},
        {1, 0.01, 32},
        {20, 0.01, 32},
        {27, 0.01, 64},      // 9.68 bits a value
        {1000, 0.01, 2048},  // 1,210 bytes
        {1000, 0.001, 2048}, // 1,832 bytes
        {1000000, 0.01, 1 << 21},
        {UINT64_MAX, 0.01, PARQUET_BLOOM_MAX_BYTES},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_EQ(parquet_bloom_size(cases[i].distinct, cases[i].fpp), cases[i].bytes);
    }
}

// apache/parquet-format, BloomFilter.md: XXH64 of the plain bytes with seed 0.
TEST(bloom, hash_is_xxh64_of_the_plain_value)
{
    CHECK(parquet_bloom_hash((Bytes){0}) == UINT64_C(0xef46db3751d8e999));
    CHECK(parquet_bloom_hash((Bytes){.ptr = (const uint8_t *)"abc", .len = 3}) ==
          UINT64_C(0x44bc2cf5ad770999));
}

// One bit in each of the eight words of one block, where the salts say.
TEST(bloom, a_value_sets_eight_bits_of_one_block)
{
    for (int i = 0; i < 200; i++) {
        uint8_t filter[256] = {0};
        const uint64_t hash = test_random(t);
        parquet_bloom_insert(filter, sizeof(filter), hash);
        const size_t block = (size_t)(((hash >> 32) * 8) >> 32);
        for (size_t word = 0; word < sizeof(filter) / 4; word++) {
            uint32_t bits = 0;
            memcpy(&bits, filter + word * 4, 4);
            CHECK_EQ(__builtin_popcount(bits), word / 8 == block ? 1 : 0);
        }
        CHECK(parquet_bloom_may_contain((Bytes){.ptr = filter, .len = sizeof(filter)}, hash));
    }
    uint8_t filter[32] = {0};
    parquet_bloom_insert(filter, sizeof(filter), 1); // the salts themselves: x * 1 >> 27
    static const uint8_t bits[] = {0x47 >> 3, 0x44 >> 3, 0x88 >> 3, 0xa2 >> 3,
                                   0x70 >> 3, 0x2d >> 3, 0x9e >> 3, 0x5c >> 3};
    for (size_t word = 0; word < 8; word++) {
        CHECK((filter[word * 4 + bits[word] / 8] & 1 << bits[word] % 8) != 0);
    }
}

TEST(bloom, finds_all_and_little_else)
{
    enum { VALUES = 20000 };
    const uint32_t size = parquet_bloom_size(VALUES, 0.01);
    uint8_t *filter = arena_new(&t->arena, uint8_t, size);
    uint64_t *hashes = arena_new(&t->arena, uint64_t, VALUES);
    const Bytes view = {.ptr = filter, .len = size};
    for (int i = 0; i < VALUES; i++) {
        hashes[i] = test_random(t);
        parquet_bloom_insert(filter, size, hashes[i]);
    }
    int wrong = 0;
    for (int i = 0; i < VALUES; i++) {
        CHECK(parquet_bloom_may_contain(view, hashes[i]));
        wrong += parquet_bloom_may_contain(view, test_random(t));
    }
    CHECK(wrong < VALUES / 50);
}

TEST(bloom, no_filter_excludes_nothing)
{
    CHECK(parquet_bloom_may_contain((Bytes){0}, 1));
}
