// SPDX-License-Identifier: Apache-2.0
//
// Hash: xxHash behind our own names; nobody else includes xxhash.h. Not for untrusted keys of
// unbounded chains unless seeded. The results are stable across versions and machines, so they may
// be stored. Pure functions, any thread.
#pragma once

#include "base/str.h"

typedef struct Hash128 {
    uint64_t lo, hi;
} Hash128;

uint64_t hash_xxh64(Bytes b); // XXH64, seed 0: what Parquet's bloom filters use
uint64_t hash_xxh3_64(Bytes b, uint64_t seed);
Hash128 hash_xxh3_128(Bytes b, uint64_t seed);

// XXH64, seed 0, of many values at once: `count` values of `width` bytes each, or strings.
void hash_xxh64_fixed(const void *values, size_t width, size_t count, uint64_t *out);
void hash_xxh64_strings(const uint32_t *offsets, const uint8_t *bytes, size_t count, uint64_t *out);

// hash_xxh3_64() of the eight bytes of `v`, seed 0: for hash tables.
uint64_t hash_u64(uint64_t v);
