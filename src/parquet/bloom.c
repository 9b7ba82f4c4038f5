// SPDX-License-Identifier: Apache-2.0
#include "parquet/bloom.h"

#include "codec/hash.h"

#include <math.h>

enum { BLOCK_WORDS = 8 };

// BloomFilter.md, "The salt": odd constants that pick one bit in each of the eight words.
static const uint32_t salt[BLOCK_WORDS] = {0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d,
                                           0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31};

uint32_t parquet_bloom_size(uint64_t distinct, double fpp)
{
    // BloomFilter.md, "Sizing": a value sets 8 bits, one per word, so that
    // fpp = (1 - e^(-8 n / bits))^8.
    const double bits = -8.0 * (double)distinct / log(1.0 - pow(fpp, 1.0 / 8.0));
    uint32_t size_bytes = PARQUET_BLOOM_BLOCK_BYTES;
    while (size_bytes < PARQUET_BLOOM_MAX_BYTES && (double)size_bytes * 8.0 < bits) {
        size_bytes *= 2;
    }
    return size_bytes;
}

uint64_t parquet_bloom_hash(Bytes plain_value)
{
    return hash_xxh64(plain_value);
}

// The upper half of the hash picks the block, without a division.
static size_t block_offset(uint64_t hash, uint64_t size_bytes)
{
    const uint64_t block_count = size_bytes / PARQUET_BLOOM_BLOCK_BYTES;
    return (size_t)(((hash >> 32) * block_count) >> 32) * PARQUET_BLOOM_BLOCK_BYTES;
}

static uint32_t word_mask(uint64_t hash, unsigned word)
{
    return UINT32_C(1) << (((uint32_t)hash * salt[word]) >> 27);
}

static uint32_t load_word(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void parquet_bloom_insert(uint8_t *filter, uint32_t size_bytes, uint64_t hash)
{
    uint8_t *block = filter + block_offset(hash, size_bytes);
    for (unsigned i = 0; i < BLOCK_WORDS; i++) {
        uint8_t *p = block + (size_t)i * 4;
        const uint32_t word = load_word(p) | word_mask(hash, i);
        p[0] = (uint8_t)word;
        p[1] = (uint8_t)(word >> 8);
        p[2] = (uint8_t)(word >> 16);
        p[3] = (uint8_t)(word >> 24);
    }
}

bool parquet_bloom_may_contain(Bytes filter, uint64_t hash)
{
    if (filter.len < PARQUET_BLOOM_BLOCK_BYTES) {
        return true; // not a filter: it can exclude nothing
    }
    const uint8_t *block = filter.ptr + block_offset(hash, filter.len);
    for (unsigned i = 0; i < BLOCK_WORDS; i++) {
        const uint32_t mask = word_mask(hash, i);
        if ((load_word(block + (size_t)i * 4) & mask) == 0) {
            return false;
        }
    }
    return true;
}
