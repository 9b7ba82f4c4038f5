// SPDX-License-Identifier: Apache-2.0
#include "codec/minmax_internal.h"
#include "tests/support/test.h"

#include <math.h>

#define CHECK_KERNEL(T, kernel)                                                                    \
    do {                                                                                           \
        T want[2], got[2];                                                                         \
        all[0]->kernel((const T *)values + offset, n, &want[0], &want[1]);                         \
        all[k]->kernel((const T *)values + offset, n, &got[0], &got[1]);                           \
        if (memcmp(want, got, sizeof(want)) != 0) {                                                \
            test_fail(t, __FILE__, __LINE__, "%s: " #kernel " n=%zu", all[k]->name, n);            \
        }                                                                                          \
    } while (0)

#define F64_NAN ((double)NAN)
#define F64_INF ((double)INFINITY)

TEST(minmax, integer_kernels_agree)
{
    const MinmaxKernels *all[4];
    const size_t kernels = minmax_kernels_all(all);
    uint64_t values[80];
    for (int round = 0; round < 500; round++) {
        for (size_t i = 0; i < ARRAY_LEN(values); i++) {
            values[i] = test_random(t) >> (test_random(t) % 64);
            values[i] = test_random(t) % 2 == 0 ? values[i] : 0 - values[i];
        }
        const size_t n = 1 + test_random(t) % 70;
        const size_t offset = test_random(t) % 8;
        for (size_t k = 1; k < kernels; k++) {
            CHECK_KERNEL(int32_t, i32);
            CHECK_KERNEL(uint32_t, u32);
            CHECK_KERNEL(int64_t, i64);
            CHECK_KERNEL(uint64_t, u64);
        }
    }
}

TEST(minmax, float_kernels_agree)
{
    static const double hostile[] = {0.0, -0.0, 1e308,   -1e308,  5e-324,
                                     1.0, -1.0, F64_NAN, F64_INF, -F64_INF};
    const MinmaxKernels *all[4];
    const size_t kernels = minmax_kernels_all(all);
    double values[80];
    float floats[80];
    for (int round = 0; round < 500; round++) {
        const size_t kinds = 1 + test_random(t) % ARRAY_LEN(hostile);
        for (size_t i = 0; i < ARRAY_LEN(values); i++) {
            values[i] = hostile[test_random(t) % kinds];
            floats[i] = (float)values[i];
        }
        const size_t n = 1 + test_random(t) % 70;
        const size_t offset = test_random(t) % 8;
        for (size_t k = 1; k < kernels; k++) {
            double want[2], got[2];
            CHECK_EQ(all[k]->f64(values + offset, n, &got[0], &got[1]),
                     all[0]->f64(values + offset, n, &want[0], &want[1]));
            CHECK(memcmp((const void *)want, (const void *)got, sizeof(want)) == 0);
            float want32[2], got32[2];
            CHECK_EQ(all[k]->f32(floats + offset, n, &got32[0], &got32[1]),
                     all[0]->f32(floats + offset, n, &want32[0], &want32[1]));
            CHECK(memcmp((const void *)want32, (const void *)got32, sizeof(want32)) == 0);
        }
    }
}

TEST(minmax, table)
{
    const int64_t v[] = {3, INT64_MIN, 7, INT64_MAX, 0};
    int64_t min = 0;
    int64_t max = 0;
    minmax_i64(v, 5, &min, &max);
    CHECK(min == INT64_MIN && max == INT64_MAX);
    const uint64_t u[] = {3, UINT64_MAX, 7, 1, 9, 12};
    uint64_t umin = 0;
    uint64_t umax = 0;
    minmax_u64(u, 6, &umin, &umax);
    CHECK(umin == 1 && umax == UINT64_MAX);
}

TEST(minmax, nan_and_zero)
{
    const double nans[] = {F64_NAN, F64_NAN, F64_NAN, F64_NAN, F64_NAN};
    double min = 0;
    double max = 0;
    CHECK_EQ(minmax_f64(nans, 5, &min, &max), 5);
    CHECK(isinf(min) && min > 0 && isinf(max) && max < 0);
    const double mixed[] = {F64_NAN, 0.0, F64_NAN};
    CHECK_EQ(minmax_f64(mixed, 3, &min, &max), 2);
    CHECK(min == 0 && signbit(min) != 0 && max == 0 && signbit(max) == 0);
}
