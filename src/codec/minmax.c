// SPDX-License-Identifier: Apache-2.0
#include "codec/minmax.h"

#include "codec/minmax_internal.h"

#include <math.h>
#include <stdatomic.h>

// The scalar kernels define the result.

#define INTEGER_KERNEL(name, T)                                                                    \
    static void name(const T *v, size_t count, T *min, T *max)                                     \
    {                                                                                              \
        T lo = v[0];                                                                               \
        T hi = v[0];                                                                               \
        for (size_t i = 1; i < count; i++) {                                                       \
            lo = v[i] < lo ? v[i] : lo;                                                            \
            hi = v[i] > hi ? v[i] : hi;                                                            \
        }                                                                                          \
        *min = lo;                                                                                 \
        *max = hi;                                                                                 \
    }

// A comparison with NaN is false, so NaNs fall out by themselves.
#define FLOAT_KERNEL(name, T)                                                                      \
    static size_t name(const T *v, size_t count, T *min, T *max)                                   \
    {                                                                                              \
        T lo = (T)INFINITY;                                                                        \
        T hi = -(T)INFINITY;                                                                       \
        size_t nans = 0;                                                                           \
        for (size_t i = 0; i < count; i++) {                                                       \
            lo = v[i] < lo ? v[i] : lo;                                                            \
            hi = v[i] > hi ? v[i] : hi;                                                            \
            nans += v[i] != v[i];                                                                  \
        }                                                                                          \
        *min = lo == 0 ? -(T)0 : lo;                                                               \
        *max = hi == 0 ? (T)0 : hi;                                                                \
        return nans;                                                                               \
    }

INTEGER_KERNEL(scalar_i32, int32_t)
INTEGER_KERNEL(scalar_i64, int64_t)
INTEGER_KERNEL(scalar_u32, uint32_t)
INTEGER_KERNEL(scalar_u64, uint64_t)
FLOAT_KERNEL(scalar_f32, float)
FLOAT_KERNEL(scalar_f64, double)

const MinmaxKernels minmax_kernels_scalar = {
    .name = "scalar",
    .i32 = scalar_i32,
    .i64 = scalar_i64,
    .u32 = scalar_u32,
    .u64 = scalar_u64,
    .f32 = scalar_f32,
    .f64 = scalar_f64,
};

size_t minmax_kernels_all(const MinmaxKernels *out[static 4])
{
    size_t n = 0;
    out[n++] = &minmax_kernels_scalar;
#if CODEC_X86
    if (codec_cpu_has_avx2()) {
        out[n++] = &minmax_kernels_avx2;
    }
#endif
    return n;
}

static const MinmaxKernels *kernels(void)
{
    // Relaxed is enough: every thread computes the same pointer, to constant data.
    static _Atomic(const MinmaxKernels *) chosen;

    const MinmaxKernels *k = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (k == NULL) {
        const MinmaxKernels *all[4];
        k = all[minmax_kernels_all(all) - 1];
        atomic_store_explicit(&chosen, k, memory_order_relaxed);
    }
    return k;
}

void minmax_i32(const int32_t *v, size_t count, int32_t *min, int32_t *max)
{
    kernels()->i32(v, count, min, max);
}

void minmax_i64(const int64_t *v, size_t count, int64_t *min, int64_t *max)
{
    kernels()->i64(v, count, min, max);
}

void minmax_u32(const uint32_t *v, size_t count, uint32_t *min, uint32_t *max)
{
    kernels()->u32(v, count, min, max);
}

void minmax_u64(const uint64_t *v, size_t count, uint64_t *min, uint64_t *max)
{
    kernels()->u64(v, count, min, max);
}

size_t minmax_f32(const float *v, size_t count, float *min, float *max)
{
    return kernels()->f32(v, count, min, max);
}

size_t minmax_f64(const double *v, size_t count, double *min, double *max)
{
    return kernels()->f64(v, count, min, max);
}
