// SPDX-License-Identifier: Apache-2.0
#include "codec/bss.h"

#include "codec/bss_internal.h"
#include "codec/codec_internal.h"

#include <stdatomic.h>

static void encode_scalar(const uint8_t *values, size_t count, size_t width, uint8_t *out)
{
    for (size_t k = 0; k < width; k++) {
        for (size_t i = 0; i < count; i++) {
            out[k * count + i] = values[i * width + k];
        }
    }
}

static void decode_scalar(const uint8_t *in, size_t stride, size_t count, size_t width,
                          uint8_t *values)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < width; k++) {
            values[i * width + k] = in[k * stride + i];
        }
    }
}

static const BssKernels scalar = {
    .name = "scalar", .encode = encode_scalar, .decode = decode_scalar};

#if CODEC_X86

#include <emmintrin.h>

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

// Sixteen values of `width` bytes are `width` registers. Byte k of value i is number i * width + k
// of their bytes; in streams it is number k * 16 + i. Interleaving the first half of the registers
// with the second half rotates the bits of that number left by one, so log2(16) = 4 rounds turn
// values into streams, and log2(width) rounds turn streams into values.
static inline __attribute__((always_inline)) void interleave(__m128i *r, int width, int rounds)
{
    __m128i next[16];
    UNROLL for (int round = 0; round < rounds; round++)
    {
        UNROLL for (int j = 0; j < width / 2; j++)
        {
            next[2 * j] = _mm_unpacklo_epi8(r[j], r[j + width / 2]);
            next[2 * j + 1] = _mm_unpackhi_epi8(r[j], r[j + width / 2]);
        }
        UNROLL for (int j = 0; j < width; j++)
        {
            r[j] = next[j];
        }
    }
}

static inline __attribute__((always_inline)) size_t encode_sse2(const uint8_t *values, size_t count,
                                                                int width, uint8_t *out)
{
    const size_t groups = count / 16;
    for (size_t g = 0; g < groups; g++) {
        __m128i r[16];
        const uint8_t *from = values + g * 16 * (size_t)width;
        UNROLL for (int j = 0; j < width; j++)
        {
            r[j] = _mm_loadu_si128((const __m128i *)(const void *)(from + (size_t)j * 16));
        }
        interleave(r, width, 4);
        UNROLL for (int j = 0; j < width; j++)
        {
            _mm_storeu_si128((__m128i *)(void *)(out + (size_t)j * count + g * 16), r[j]);
        }
    }
    return groups * 16;
}

static inline __attribute__((always_inline)) size_t
decode_sse2(const uint8_t *in, size_t stride, size_t count, int width, int rounds, uint8_t *values)
{
    const size_t groups = count / 16;
    for (size_t g = 0; g < groups; g++) {
        __m128i r[16];
        UNROLL for (int j = 0; j < width; j++)
        {
            r[j] =
                _mm_loadu_si128((const __m128i *)(const void *)(in + (size_t)j * stride + g * 16));
        }
        interleave(r, width, rounds);
        uint8_t *to = values + g * 16 * (size_t)width;
        UNROLL for (int j = 0; j < width; j++)
        {
            _mm_storeu_si128((__m128i *)(void *)(to + (size_t)j * 16), r[j]);
        }
    }
    return groups * 16;
}

static void encode_any(const uint8_t *values, size_t count, size_t width, uint8_t *out)
{
    size_t done = 0;
    switch (width) {
    case 2:
        done = encode_sse2(values, count, 2, out);
        break;
    case 4:
        done = encode_sse2(values, count, 4, out);
        break;
    case 8:
        done = encode_sse2(values, count, 8, out);
        break;
    case 16:
        done = encode_sse2(values, count, 16, out);
        break;
    default:
        encode_scalar(values, count, width, out);
        return;
    }
    for (size_t k = 0; k < width; k++) {
        for (size_t i = done; i < count; i++) {
            out[k * count + i] = values[i * width + k];
        }
    }
}

static void decode_any(const uint8_t *in, size_t stride, size_t count, size_t width,
                       uint8_t *values)
{
    size_t done = 0;
    switch (width) {
    case 2:
        done = decode_sse2(in, stride, count, 2, 1, values);
        break;
    case 4:
        done = decode_sse2(in, stride, count, 4, 2, values);
        break;
    case 8:
        done = decode_sse2(in, stride, count, 8, 3, values);
        break;
    case 16:
        done = decode_sse2(in, stride, count, 16, 4, values);
        break;
    default:
        break;
    }
    decode_scalar(in + done, stride, count - done, width, values + done * width);
}

static const BssKernels sse2 = {.name = "sse2", .encode = encode_any, .decode = decode_any};

#endif

size_t bss_kernels_all(const BssKernels *out[static 4])
{
    size_t n = 0;
    out[n++] = &scalar;
#if CODEC_X86
    if (!codec_cpu_scalar_forced()) { // every x86-64 has SSE2
        out[n++] = &sse2;
    }
#endif
    return n;
}

static const BssKernels *kernels(void)
{
    // Relaxed is enough: every thread computes the same pointer, to constant data.
    static _Atomic(const BssKernels *) chosen;

    const BssKernels *k = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (k == NULL) {
        const BssKernels *all[4];
        k = all[bss_kernels_all(all) - 1];
        atomic_store_explicit(&chosen, k, memory_order_relaxed);
    }
    return k;
}

void bss_encode(const void *values, size_t count, size_t width, uint8_t *out)
{
    ASSERT(width > 0);
    if (count > 0) {
        kernels()->encode(values, count, width, out);
    }
}

void bss_decode(const uint8_t *in, size_t count, size_t width, void *values)
{
    bss_decode_range(in, count, 0, count, width, values);
}

void bss_decode_range(const uint8_t *in, size_t total, size_t from, size_t count, size_t width,
                      void *values)
{
    ASSERT(width > 0 && from <= total && count <= total - from);
    if (count > 0) {
        kernels()->decode(in + from, total, count, width, values);
    }
}
