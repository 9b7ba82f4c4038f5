// SPDX-License-Identifier: Apache-2.0
//
// Minmax: smallest and largest value of an array, for exact statistics. Pure functions, any thread;
// AVX2 where the CPU has it (CARDINAL_CPU=scalar: not). All versions return the same bits.
//
// count > 0.
#pragma once

#include "base/base.h"

void minmax_i32(const int32_t *v, size_t count, int32_t *min, int32_t *max);
void minmax_i64(const int64_t *v, size_t count, int64_t *min, int64_t *max);
void minmax_u32(const uint32_t *v, size_t count, uint32_t *min, uint32_t *max);
void minmax_u64(const uint64_t *v, size_t count, uint64_t *min, uint64_t *max);

// NaNs are left out; returns how many there are. When all are NaN, *min is +Inf and *max is -Inf.
// As Parquet asks (parquet.thrift, ColumnOrder), a zero minimum is given as -0.0 and a zero maximum
// as
// +0.0, whatever the sign of the zeroes.
size_t minmax_f32(const float *v, size_t count, float *min, float *max);
size_t minmax_f64(const double *v, size_t count, double *min, double *max);

// For tests and benches.
typedef struct MinmaxKernels {
    const char *name; // "scalar", "avx2"
    void (*i32)(const int32_t *v, size_t count, int32_t *min, int32_t *max);
    void (*i64)(const int64_t *v, size_t count, int64_t *min, int64_t *max);
    void (*u32)(const uint32_t *v, size_t count, uint32_t *min, uint32_t *max);
    void (*u64)(const uint64_t *v, size_t count, uint64_t *min, uint64_t *max);
    size_t (*f32)(const float *v, size_t count, float *min, float *max);
    size_t (*f64)(const double *v, size_t count, double *min, double *max);
} MinmaxKernels;
size_t minmax_kernels_all(const MinmaxKernels *out[static 4]); // scalar first; returns how many
