// SPDX-License-Identifier: Apache-2.0
//
// Split-block bloom filters (apache/parquet-format BloomFilter.md): XXH64 of the plain-encoded
// value (strings without length), blocks of 256 bits. Pure functions, any thread.
#pragma once

#include "base/str.h"

enum { PARQUET_BLOOM_BLOCK_BYTES = 32, PARQUET_BLOOM_MAX_BYTES = 128 << 20 };

// Bytes of a filter for `distinct` values at `fpp` false positives (0.01), a power of two >= 32.
uint32_t parquet_bloom_size(uint64_t distinct, double fpp);
uint64_t parquet_bloom_hash(Bytes plain_value);
void parquet_bloom_insert(uint8_t *filter, uint32_t size_bytes, uint64_t hash);
bool parquet_bloom_may_contain(Bytes filter, uint64_t hash); // filter.len: a multiple of 32
