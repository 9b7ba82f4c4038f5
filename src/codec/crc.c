// SPDX-License-Identifier: Apache-2.0
#include "codec/crc.h"

#include "codec/codec_internal.h"
#include "codec/crc_tables_internal.h"

#include <stdatomic.h>

// Everything below works on the raw state, which is the checksum with all bits inverted.

typedef uint32_t Table[8][256];

static uint32_t by_table(const Table *table, uint32_t state, const uint8_t *p, size_t n)
{
    const uint32_t(*t)[256] = *table;
    for (; n >= 8; n -= 8, p += 8) {
        const uint32_t lo = codec_load_u32(p) ^ state;
        const uint32_t hi = codec_load_u32(p + 4);
        state = t[7][lo & 0xff] ^ t[6][lo >> 8 & 0xff] ^ t[5][lo >> 16 & 0xff] ^ t[4][lo >> 24] ^
                t[3][hi & 0xff] ^ t[2][hi >> 8 & 0xff] ^ t[1][hi >> 16 & 0xff] ^ t[0][hi >> 24];
    }
    for (; n > 0; n--, p++) {
        state = state >> 8 ^ t[0][(state ^ *p) & 0xff];
    }
    return state;
}

static uint32_t castagnoli_scalar(uint32_t crc, const uint8_t *p, size_t n)
{
    return ~by_table(&crc_table_castagnoli, ~crc, p, n);
}

static uint32_t ieee_scalar(uint32_t crc, const uint8_t *p, size_t n)
{
    return ~by_table(&crc_table_ieee, ~crc, p, n);
}

static const CrcKernels scalar = {
    .name = "scalar", .castagnoli = castagnoli_scalar, .ieee = ieee_scalar};

#if CODEC_X86

#include <immintrin.h>

#define PCLMUL __attribute__((target("pclmul,sse4.2")))

PCLMUL static inline __m128i load128(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

PCLMUL static inline __m128i fold(__m128i x, __m128i k, __m128i next)
{
    const __m128i lo = _mm_clmulepi64_si128(x, k, 0x00);
    const __m128i hi = _mm_clmulepi64_si128(x, k, 0x11);
    return _mm_xor_si128(_mm_xor_si128(lo, hi), next);
}

// Folds p[0..n), n >= 64 and a multiple of 16, into sixteen bytes that have the same checksum when
// the state before them is zero.
PCLMUL static void fold_blocks(const int64_t far[2], const int64_t near[2], uint32_t state,
                               Bytes in, uint8_t out[16])
{
    const __m128i k_far = _mm_set_epi64x(far[1], far[0]);
    const __m128i k_near = _mm_set_epi64x(near[1], near[0]);
    const uint8_t *p = in.ptr;
    size_t n = in.len;
    __m128i a = _mm_xor_si128(load128(p), _mm_cvtsi32_si128((int)state));
    __m128i b = load128(p + 16);
    __m128i c = load128(p + 32);
    __m128i d = load128(p + 48);
    for (n -= 64, p += 64; n >= 64; n -= 64, p += 64) {
        a = fold(a, k_far, load128(p));
        b = fold(b, k_far, load128(p + 16));
        c = fold(c, k_far, load128(p + 32));
        d = fold(d, k_far, load128(p + 48));
    }
    a = fold(a, k_near, b);
    a = fold(a, k_near, c);
    a = fold(a, k_near, d);
    for (; n > 0; n -= 16, p += 16) {
        a = fold(a, k_near, load128(p));
    }
    _mm_storeu_si128((__m128i *)(void *)out, a);
}

PCLMUL static uint32_t castagnoli_by_instruction(uint32_t state, const uint8_t *p, size_t n)
{
    uint64_t s = state;
    for (; n >= 8; n -= 8, p += 8) {
        s = _mm_crc32_u64(s, codec_load_u64(p));
    }
    for (; n > 0; n--, p++) {
        s = _mm_crc32_u8((uint32_t)s, *p);
    }
    return (uint32_t)s;
}

PCLMUL static uint32_t castagnoli_pclmul(uint32_t crc, const uint8_t *p, size_t n)
{
    uint32_t state = ~crc;
    if (n >= 128) { // below that the instruction alone is as fast
        uint8_t rest[16];
        const size_t blocks = n & ~(size_t)15;
        fold_blocks(crc_fold_far_castagnoli, crc_fold_near_castagnoli, state, (Bytes){p, blocks},
                    rest);
        state = castagnoli_by_instruction(0, rest, sizeof(rest));
        p += blocks;
        n -= blocks;
    }
    return ~castagnoli_by_instruction(state, p, n);
}

PCLMUL static uint32_t ieee_pclmul(uint32_t crc, const uint8_t *p, size_t n)
{
    uint32_t state = ~crc;
    if (n >= 64) {
        uint8_t rest[16];
        const size_t blocks = n & ~(size_t)15;
        fold_blocks(crc_fold_far_ieee, crc_fold_near_ieee, state, (Bytes){p, blocks}, rest);
        state = by_table(&crc_table_ieee, 0, rest, sizeof(rest));
        p += blocks;
        n -= blocks;
    }
    return ~by_table(&crc_table_ieee, state, p, n);
}

static const CrcKernels pclmul = {
    .name = "pclmul", .castagnoli = castagnoli_pclmul, .ieee = ieee_pclmul};

#endif

size_t crc_kernels_all(const CrcKernels *out[static 4])
{
    size_t n = 0;
    out[n++] = &scalar;
#if CODEC_X86
    if (codec_cpu_has_pclmul()) {
        out[n++] = &pclmul;
    }
#endif
    return n;
}

static const CrcKernels *kernels(void)
{
    // Relaxed is enough: every thread computes the same pointer, to constant data.
    static _Atomic(const CrcKernels *) chosen;

    const CrcKernels *k = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (k == NULL) {
        const CrcKernels *all[4];
        k = all[crc_kernels_all(all) - 1];
        atomic_store_explicit(&chosen, k, memory_order_relaxed);
    }
    return k;
}

uint32_t crc_castagnoli(uint32_t crc, Bytes b)
{
    return b.len == 0 ? crc : kernels()->castagnoli(crc, b.ptr, b.len);
}

uint32_t crc_ieee(uint32_t crc, Bytes b)
{
    return b.len == 0 ? crc : kernels()->ieee(crc, b.ptr, b.len);
}
