// SPDX-License-Identifier: Apache-2.0
#include "codec/bitpack_internal.h"

#if CODEC_X86

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,bmi2")))

// Unpacking takes eight values, that is `width` bytes, at a time. Half of them are loaded into each
// 128-bit lane, a byte shuffle brings the bytes of each value into its place, and a shift by 0..7
// bits and a mask finish it. What the shuffle needs is the same for every group.

AVX2 static inline __m256i load_lanes(const uint8_t *low, const uint8_t *high)
{
    const __m128i a = _mm_loadu_si128((const __m128i *)(const void *)low);
    const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)high);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
}

// Bytes bit / 8 .. bit / 8 + 7 for each of four 64-bit places.
AVX2 static inline __m256i shuffle_of_bits64(__m256i bits)
{
    const __m256i ramp = _mm256_set1_epi64x(0x0706050403020100);
    const __m256i spread = _mm256_set_epi64x(0x0808080808080808, 0, 0x0808080808080808, 0);
    const __m256i bytes =
        _mm256_shuffle_epi8(_mm256_srli_epi64(bits, 3), spread); // the low byte, eight times
    return _mm256_add_epi8(bytes, ramp);
}

// How many groups of eight can be unpacked when the last load of a group ends `reach` bytes after
// its start.
static size_t groups_within(size_t size, unsigned width, size_t reach)
{
    return size < reach ? 0 : (size - reach) / width + 1;
}

// Widths where every value, shifted by up to 7 bits, lies within four bytes.
AVX2 static size_t unpack_u32_narrow(const uint8_t *in, size_t groups, unsigned width,
                                     uint32_t *out)
{
    const int w = (int)width;
    const int half = 4 * (w & 1); // the upper four values begin in the middle of a byte
    const __m256i bits =
        _mm256_setr_epi32(0, w, 2 * w, 3 * w, half, half + w, half + 2 * w, half + 3 * w);
    const __m256i shift = _mm256_and_si256(bits, _mm256_set1_epi32(7));
    const __m256i first =
        _mm256_mullo_epi32(_mm256_srli_epi32(bits, 3), _mm256_set1_epi32(0x01010101));
    const __m256i shuffle = _mm256_add_epi8(first, _mm256_set1_epi32(0x03020100));
    const __m256i mask = _mm256_set1_epi32((int)(uint32_t)codec_mask(width));
    for (size_t g = 0; g < groups; g++) {
        __m256i v = load_lanes(in, in + width / 2);
        v = _mm256_srlv_epi32(_mm256_shuffle_epi8(v, shuffle), shift);
        _mm256_storeu_si256((__m256i *)(void *)(out + g * 8), _mm256_and_si256(v, mask));
        in += width;
    }
    return groups * 8;
}

// The others: even and odd values apart, in 64-bit places.
AVX2 static size_t unpack_u32_wide(const uint8_t *in, size_t groups, unsigned width, uint32_t *out)
{
    const int64_t w = width;
    const int64_t half = 4 * (w & 1);
    const __m256i even = _mm256_setr_epi64x(0, 2 * w, half, half + 2 * w);
    const __m256i odd = _mm256_add_epi64(even, _mm256_set1_epi64x(w));
    const __m256i even_shuffle = shuffle_of_bits64(even);
    const __m256i odd_shuffle = shuffle_of_bits64(odd);
    const __m256i even_shift = _mm256_and_si256(even, _mm256_set1_epi64x(7));
    const __m256i odd_shift = _mm256_and_si256(odd, _mm256_set1_epi64x(7));
    const __m256i mask = _mm256_set1_epi64x((int64_t)codec_mask(width));
    for (size_t g = 0; g < groups; g++) {
        const __m256i v = load_lanes(in, in + width / 2);
        __m256i a = _mm256_srlv_epi64(_mm256_shuffle_epi8(v, even_shuffle), even_shift);
        __m256i b = _mm256_srlv_epi64(_mm256_shuffle_epi8(v, odd_shuffle), odd_shift);
        a = _mm256_and_si256(a, mask);
        b = _mm256_slli_epi64(_mm256_and_si256(b, mask), 32);
        _mm256_storeu_si256((__m256i *)(void *)(out + g * 8), _mm256_or_si256(a, b));
        in += width;
    }
    return groups * 8;
}

AVX2 static void unpack_u32(Bytes in, size_t count, unsigned width, uint32_t *out)
{
    size_t groups = groups_within(in.len, width, width / 2 + 16);
    groups = groups < count / 8 ? groups : count / 8;
    size_t done = 0;
    if (width <= 26 || width == 28 || width == 32) {
        done = unpack_u32_narrow(in.ptr, groups, width, out);
    } else {
        done = unpack_u32_wide(in.ptr, groups, width, out);
    }
    if (done < count) {
        const size_t from = done / 8 * width;
        const Bytes rest = {in.ptr + from, in.len - from};
        bitpack_kernels_scalar.unpack_u32(rest, count - done, width, out + done);
    }
}

AVX2 static void unpack_u64(Bytes in, size_t count, unsigned width, uint64_t *out)
{
    enum { WIDTH_MAX = 57 }; // with a shift of up to 7 it still fits 64 bits
    const int64_t w = width;
    size_t groups = width > WIDTH_MAX ? 0 : groups_within(in.len, width, 6 * width / 8 + 16);
    groups = groups < count / 8 ? groups : count / 8;
    // Pairs of values begin at bits 0, 2w, 4w and 6w of a group.
    const int64_t pair[4] = {0, 2 * w, 4 * w, 6 * w};
    const __m256i low = _mm256_setr_epi64x(0, w, pair[1] & 7, (pair[1] & 7) + w);
    const __m256i high =
        _mm256_setr_epi64x(pair[2] & 7, (pair[2] & 7) + w, pair[3] & 7, (pair[3] & 7) + w);
    const __m256i low_shuffle = shuffle_of_bits64(low);
    const __m256i high_shuffle = shuffle_of_bits64(high);
    const __m256i low_shift = _mm256_and_si256(low, _mm256_set1_epi64x(7));
    const __m256i high_shift = _mm256_and_si256(high, _mm256_set1_epi64x(7));
    const __m256i mask = _mm256_set1_epi64x((int64_t)codec_mask(width));
    const uint8_t *p = in.ptr;
    for (size_t g = 0; g < groups; g++) {
        __m256i a = load_lanes(p, p + (pair[1] >> 3));
        __m256i b = load_lanes(p + (pair[2] >> 3), p + (pair[3] >> 3));
        a = _mm256_srlv_epi64(_mm256_shuffle_epi8(a, low_shuffle), low_shift);
        b = _mm256_srlv_epi64(_mm256_shuffle_epi8(b, high_shuffle), high_shift);
        _mm256_storeu_si256((__m256i *)(void *)(out + g * 8), _mm256_and_si256(a, mask));
        _mm256_storeu_si256((__m256i *)(void *)(out + g * 8 + 4), _mm256_and_si256(b, mask));
        p += width;
    }
    const size_t done = groups * 8;
    if (done < count) {
        const Bytes rest = {p, in.len - groups * width};
        bitpack_kernels_scalar.unpack_u64(rest, count - done, width, out + done);
    }
}

// Packing joins neighbours: eight values become four pieces of 2w bits and, when they fit, two of
// 4w; what is left is appending two or four pieces instead of eight.

AVX2 static void pack_u32(const uint32_t *in, size_t count, unsigned width, uint8_t *out)
{
    BitpackSink s = {.out = out};
    const __m128i w = _mm_cvtsi32_si128((int)width);
    const __m128i w2 = _mm_cvtsi32_si128((int)(2 * width));
    const __m256i low = _mm256_set1_epi64x(UINT32_MAX);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(in + i));
        const __m256i odd = _mm256_sll_epi64(_mm256_srli_epi64(v, 32), w);
        __m256i two = _mm256_or_si256(_mm256_and_si256(v, low), odd);
        uint64_t piece[4];
        if (width <= 16) {
            const __m256i next = _mm256_sll_epi64(_mm256_unpackhi_epi64(two, two), w2);
            two = _mm256_or_si256(two, next);
            _mm256_storeu_si256((__m256i *)(void *)piece, two);
            bitpack_sink_put(&s, piece[0], 4 * width);
            bitpack_sink_put(&s, piece[2], 4 * width);
            continue;
        }
        _mm256_storeu_si256((__m256i *)(void *)piece, two);
        for (int k = 0; k < 4; k++) {
            bitpack_sink_put(&s, piece[k], 2 * width);
        }
    }
    for (; i < count; i++) {
        bitpack_sink_put(&s, in[i], width);
    }
    bitpack_sink_finish(&s);
}

AVX2 static void pack_u64(const uint64_t *in, size_t count, unsigned width, uint8_t *out)
{
    BitpackSink s = {.out = out};
    const __m128i w = _mm_cvtsi32_si128((int)width);
    size_t i = 0;
    for (; width <= 32 && i + 8 <= count; i += 8) {
        const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(in + i));
        const __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(in + i + 4));
        // Pairs (0, 1) (4, 5) (2, 3) (6, 7).
        const __m256i even = _mm256_unpacklo_epi64(a, b);
        const __m256i odd = _mm256_sll_epi64(_mm256_unpackhi_epi64(a, b), w);
        uint64_t piece[4];
        _mm256_storeu_si256((__m256i *)(void *)piece, _mm256_or_si256(even, odd));
        if (width <= 16) {
            bitpack_sink_put(&s, piece[0] | piece[2] << (2 * width), 4 * width);
            bitpack_sink_put(&s, piece[1] | piece[3] << (2 * width), 4 * width);
            continue;
        }
        bitpack_sink_put(&s, piece[0], 2 * width);
        bitpack_sink_put(&s, piece[2], 2 * width);
        bitpack_sink_put(&s, piece[1], 2 * width);
        bitpack_sink_put(&s, piece[3], 2 * width);
    }
    for (; i < count; i++) {
        bitpack_sink_put(&s, in[i], width);
    }
    bitpack_sink_finish(&s);
}

AVX2 static uint64_t or_lanes(__m256i all)
{
    uint64_t lane[4];
    _mm256_storeu_si256((__m256i *)(void *)lane, all);
    return lane[0] | lane[1] | lane[2] | lane[3];
}

AVX2 static uint32_t or_u32(const uint32_t *v, size_t n)
{
    __m256i all = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        all = _mm256_or_si256(all, _mm256_loadu_si256((const __m256i *)(const void *)(v + i)));
    }
    const uint64_t lanes = or_lanes(all);
    uint32_t result = (uint32_t)(lanes | lanes >> 32);
    for (; i < n; i++) {
        result |= v[i];
    }
    return result;
}

AVX2 static uint64_t or_u64(const uint64_t *v, size_t n)
{
    __m256i all = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        all = _mm256_or_si256(all, _mm256_loadu_si256((const __m256i *)(const void *)(v + i)));
    }
    uint64_t result = or_lanes(all);
    for (; i < n; i++) {
        result |= v[i];
    }
    return result;
}

const BitpackKernels bitpack_kernels_avx2 = {
    .name = "avx2",
    .unpack_u32 = unpack_u32,
    .unpack_u64 = unpack_u64,
    .pack_u32 = pack_u32,
    .pack_u64 = pack_u64,
    .or_u32 = or_u32,
    .or_u64 = or_u64,
};

#endif
