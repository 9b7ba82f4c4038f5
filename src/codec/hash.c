// SPDX-License-Identifier: Apache-2.0
#include "codec/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_xxh64(Bytes b)
{
    return XXH64(b.ptr, b.len, 0);
}

uint64_t hash_xxh3_64(Bytes b, uint64_t seed)
{
    return XXH3_64bits_withSeed(b.ptr, b.len, seed);
}

Hash128 hash_xxh3_128(Bytes b, uint64_t seed)
{
    const XXH128_hash_t h = XXH3_128bits_withSeed(b.ptr, b.len, seed);
    return (Hash128){.lo = h.low64, .hi = h.high64};
}

void hash_xxh64_fixed(const void *values, size_t width, size_t count, uint64_t *out)
{
    const uint8_t *p = values;
    switch (width) { // constant sizes fold the hash into a few instructions
    case 4:
        for (size_t i = 0; i < count; i++) {
            out[i] = XXH64(p + i * 4, 4, 0);
        }
        return;
    case 8:
        for (size_t i = 0; i < count; i++) {
            out[i] = XXH64(p + i * 8, 8, 0);
        }
        return;
    default:
        for (size_t i = 0; i < count; i++) {
            out[i] = XXH64(p + i * width, width, 0);
        }
    }
}

void hash_xxh64_strings(const uint32_t *offsets, const uint8_t *bytes, size_t count, uint64_t *out)
{
    for (size_t i = 0; i < count; i++) {
        const size_t len = offsets[i + 1] - offsets[i];
        out[i] = XXH64(len == 0 ? NULL : bytes + offsets[i], len, 0);
    }
}

uint64_t hash_u64(uint64_t v)
{
    return XXH3_64bits(&v, sizeof(v));
}
