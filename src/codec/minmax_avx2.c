// SPDX-License-Identifier: Apache-2.0
#include "codec/minmax_internal.h"

#if CODEC_X86

#include <immintrin.h>
#include <math.h>

#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

// Vectors of N elements give N candidates for the minimum and N for the maximum; the scalar kernel
// finds the results among them and the elements that did not fill a vector. Integers only: there
// all candidates are elements.
#define FINISH(T, N, kernel, lo_vec, hi_vec)                                                       \
    do {                                                                                           \
        T rest[3 * (N)];                                                                           \
        _mm256_storeu_si256((__m256i *)(void *)rest, (lo_vec));                                    \
        _mm256_storeu_si256((__m256i *)(void *)(rest + (N)), (hi_vec));                            \
        memcpy(rest + 2 * (N), v + i, (count - i) * sizeof(T));                                    \
        minmax_kernels_scalar.kernel(rest, 2 * (N) + (count - i), min, max);                       \
    } while (0)

#define KERNEL_32(name, T, kernel, min_op, max_op)                                                 \
    AVX2 static void name(const T *v, size_t count, T *min, T *max)                                \
    {                                                                                              \
        if (count < 8) {                                                                           \
            minmax_kernels_scalar.kernel(v, count, min, max);                                      \
            return;                                                                                \
        }                                                                                          \
        __m256i lo = load(v);                                                                      \
        __m256i hi = lo;                                                                           \
        size_t i = 8;                                                                              \
        for (; i + 8 <= count; i += 8) {                                                           \
            const __m256i x = load(v + i);                                                         \
            lo = min_op(lo, x);                                                                    \
            hi = max_op(hi, x);                                                                    \
        }                                                                                          \
        FINISH(T, 8, kernel, lo, hi);                                                              \
    }

KERNEL_32(avx2_i32, int32_t, i32, _mm256_min_epi32, _mm256_max_epi32)
KERNEL_32(avx2_u32, uint32_t, u32, _mm256_min_epu32, _mm256_max_epu32)

// AVX2 compares 64-bit integers as signed only: `bias` turns unsigned order into signed order.
#define KERNEL_64(name, T, kernel, bias)                                                           \
    AVX2 static void name(const T *v, size_t count, T *min, T *max)                                \
    {                                                                                              \
        if (count < 4) {                                                                           \
            minmax_kernels_scalar.kernel(v, count, min, max);                                      \
            return;                                                                                \
        }                                                                                          \
        const __m256i flip = _mm256_set1_epi64x(bias);                                             \
        __m256i lo = _mm256_xor_si256(load(v), flip);                                              \
        __m256i hi = lo;                                                                           \
        __m256i lo2 = lo;                                                                          \
        __m256i hi2 = lo;                                                                          \
        size_t i = 4;                                                                              \
        for (; i + 8 <= count;                                                                     \
             i += 8) { /* two at a time, as each step waits for the one before */                  \
            const __m256i x = _mm256_xor_si256(load(v + i), flip);                                 \
            const __m256i y = _mm256_xor_si256(load(v + i + 4), flip);                             \
            lo = _mm256_blendv_epi8(lo, x, _mm256_cmpgt_epi64(lo, x));                             \
            hi = _mm256_blendv_epi8(hi, x, _mm256_cmpgt_epi64(x, hi));                             \
            lo2 = _mm256_blendv_epi8(lo2, y, _mm256_cmpgt_epi64(lo2, y));                          \
            hi2 = _mm256_blendv_epi8(hi2, y, _mm256_cmpgt_epi64(y, hi2));                          \
        }                                                                                          \
        lo = _mm256_blendv_epi8(lo, lo2, _mm256_cmpgt_epi64(lo, lo2));                             \
        hi = _mm256_blendv_epi8(hi, hi2, _mm256_cmpgt_epi64(hi2, hi));                             \
        for (; i + 4 <= count; i += 4) {                                                           \
            const __m256i x = _mm256_xor_si256(load(v + i), flip);                                 \
            lo = _mm256_blendv_epi8(lo, x, _mm256_cmpgt_epi64(lo, x));                             \
            hi = _mm256_blendv_epi8(hi, x, _mm256_cmpgt_epi64(x, hi));                             \
        }                                                                                          \
        lo = _mm256_xor_si256(lo, flip);                                                           \
        hi = _mm256_xor_si256(hi, flip);                                                           \
        FINISH(T, 4, kernel, lo, hi);                                                              \
    }

KERNEL_64(avx2_i64, int64_t, i64, 0)
KERNEL_64(avx2_u64, uint64_t, u64, INT64_MIN)

// The same for floats, where a candidate may be the infinity we began with.
#define FINISH_FLOAT(T, N, kernel, lo_vec, hi_vec)                                                 \
    do {                                                                                           \
        T rest[2 * (N)];                                                                           \
        T unused = 0;                                                                              \
        memcpy(rest + (N), v + i, (count - i) * sizeof(T));                                        \
        _mm256_storeu_si256((__m256i *)(void *)rest, (lo_vec));                                    \
        (void)minmax_kernels_scalar.kernel(rest, (N) + (count - i), min, &unused);                 \
        _mm256_storeu_si256((__m256i *)(void *)rest, (hi_vec));                                    \
        (void)minmax_kernels_scalar.kernel(rest, (N) + (count - i), &unused, max);                 \
    } while (0)

// min_pd(x, lo) is `x < lo ? x : lo`: `lo` when x is NaN, as in the scalar kernel.
AVX2 static size_t avx2_f64(const double *v, size_t count, double *min, double *max)
{
    __m256d lo = _mm256_set1_pd((double)INFINITY);
    __m256d hi = _mm256_set1_pd(-(double)INFINITY);
    __m256d lo2 = lo;
    __m256d hi2 = hi;
    __m256i nans = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m256d x = _mm256_loadu_pd(v + i);
        const __m256d y = _mm256_loadu_pd(v + i + 4);
        lo = _mm256_min_pd(x, lo);
        hi = _mm256_max_pd(x, hi);
        lo2 = _mm256_min_pd(y, lo2);
        hi2 = _mm256_max_pd(y, hi2);
        const __m256d nan_x = _mm256_cmp_pd(x, x, _CMP_UNORD_Q); // all ones, that is -1
        const __m256d nan_y = _mm256_cmp_pd(y, y, _CMP_UNORD_Q);
        nans = _mm256_sub_epi64(nans, _mm256_castpd_si256(nan_x));
        nans = _mm256_sub_epi64(nans, _mm256_castpd_si256(nan_y));
    }
    lo = _mm256_min_pd(lo, lo2);
    hi = _mm256_max_pd(hi, hi2);
    for (; i + 4 <= count; i += 4) {
        const __m256d x = _mm256_loadu_pd(v + i);
        lo = _mm256_min_pd(x, lo);
        hi = _mm256_max_pd(x, hi);
        const __m256d nan = _mm256_cmp_pd(x, x, _CMP_UNORD_Q);
        nans = _mm256_sub_epi64(nans, _mm256_castpd_si256(nan));
    }
    FINISH_FLOAT(double, 4, f64, _mm256_castpd_si256(lo), _mm256_castpd_si256(hi));
    uint64_t lane[4];
    _mm256_storeu_si256((__m256i *)(void *)lane, nans);
    size_t nan_count = lane[0] + lane[1] + lane[2] + lane[3];
    for (; i < count; i++) {
        nan_count += v[i] != v[i];
    }
    return nan_count;
}

AVX2 static size_t avx2_f32(const float *v, size_t count, float *min, float *max)
{
    enum { FLUSH = 1 << 30 }; // lanes count to 2^32 at most
    __m256 lo = _mm256_set1_ps(INFINITY);
    __m256 hi = _mm256_set1_ps(-INFINITY);
    size_t nan_count = 0;
    size_t i = 0;
    while (i + 8 <= count) {
        __m256i nans = _mm256_setzero_si256();
        const size_t end = count - i < FLUSH ? count : i + FLUSH;
        for (; i + 8 <= end; i += 8) {
            const __m256 x = _mm256_loadu_ps(v + i);
            lo = _mm256_min_ps(x, lo);
            hi = _mm256_max_ps(x, hi);
            const __m256 nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
            nans = _mm256_sub_epi32(nans, _mm256_castps_si256(nan));
        }
        uint32_t lane[8];
        _mm256_storeu_si256((__m256i *)(void *)lane, nans);
        for (int k = 0; k < 8; k++) {
            nan_count += lane[k];
        }
    }
    FINISH_FLOAT(float, 8, f32, _mm256_castps_si256(lo), _mm256_castps_si256(hi));
    for (; i < count; i++) {
        nan_count += v[i] != v[i];
    }
    return nan_count;
}

const MinmaxKernels minmax_kernels_avx2 = {
    .name = "avx2",
    .i32 = avx2_i32,
    .i64 = avx2_i64,
    .u32 = avx2_u32,
    .u64 = avx2_u64,
    .f32 = avx2_f32,
    .f64 = avx2_f64,
};

#endif
