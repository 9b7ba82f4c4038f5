// SPDX-License-Identifier: Apache-2.0
//
// Bitpack: values of `width` bits laid end to end, least significant bit first, as Parquet does
// (Encodings.md, "RLE / bit-packed hybrid" and "Delta encoding"). Pure functions, any thread.
//
// Kernels for AVX2 are chosen once, at the first call; the scalar ones define what is right, and
// CARDINAL_CPU=scalar in the environment selects them.
#pragma once

#include "base/str.h"

enum { BITPACK_U32_WIDTH_MAX = 32, BITPACK_U64_WIDTH_MAX = 64 };

// Bytes that `count` values of `width` bits take, the last byte filled up with zero bits. `count`
// is below 2^58.
static inline size_t bitpack_size_bytes(size_t count, unsigned width)
{
    return (count / 8) * width + ((count % 8) * width + 7) / 8;
}

// Reads exactly bitpack_size_bytes(count, width) bytes at `in` and writes exactly `count` values.
// `count` is any number. Any alignment.
void bitpack_unpack_u32(const uint8_t *in, size_t count, unsigned width, uint32_t *out);
void bitpack_unpack_u64(const uint8_t *in, size_t count, unsigned width, uint64_t *out);

// The same for values at the start of a longer `in`, all of which may be read: short spans in the
// middle of a page need not be decoded with care for what follows them.
void bitpack_unpack_u32_within(Bytes in, size_t count, unsigned width, uint32_t *out);
void bitpack_unpack_u64_within(Bytes in, size_t count, unsigned width, uint64_t *out);

// Writes exactly bitpack_size_bytes(count, width) bytes at `out`. Bits of a value above `width`
// must be zero.
void bitpack_pack_u32(const uint32_t *in, size_t count, unsigned width, uint8_t *out);
void bitpack_pack_u64(const uint64_t *in, size_t count, unsigned width, uint8_t *out);

// Bits that the largest of v[0..n) needs: 0 for no values or only zeroes.
unsigned bitpack_width_u32(const uint32_t *v, size_t n);
unsigned bitpack_width_u64(const uint64_t *v, size_t n);

// Bits needed for one value; for a dictionary of n > 0 entries call it with n - 1.
static inline unsigned bitpack_width_of(uint64_t v)
{
    return v == 0 ? 0 : 64 - (unsigned)__builtin_clzll(v);
}

// One set of kernels. For tests and benches; everybody else calls the functions above.
typedef struct BitpackKernels {
    const char *name; // "scalar", "avx2"
    void (*unpack_u32)(Bytes in, size_t count, unsigned width, uint32_t *out);
    void (*unpack_u64)(Bytes in, size_t count, unsigned width, uint64_t *out);
    void (*pack_u32)(const uint32_t *in, size_t count, unsigned width, uint8_t *out);
    void (*pack_u64)(const uint64_t *in, size_t count, unsigned width, uint8_t *out);
    uint32_t (*or_u32)(const uint32_t *v, size_t n); // all values or-ed together
    uint64_t (*or_u64)(const uint64_t *v, size_t n);
} BitpackKernels;

// Every set this machine can run, scalar first; returns how many.
size_t bitpack_kernels_all(const BitpackKernels *out[static 4]);
