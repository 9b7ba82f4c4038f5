// SPDX-License-Identifier: Apache-2.0
#include "codec/bss.h"
#include "codec/bss_internal.h"
#include "tests/support/test.h"

TEST(bss, every_width_every_kernel)
{
    const BssKernels *all[4];
    const size_t kernels = bss_kernels_all(all);
    for (size_t width = 1; width <= 20; width++) {
        for (size_t count = 0; count < 70; count++) {
            const size_t size = width * count;
            uint8_t *values = arena_new(&t->arena, uint8_t, size + 1);
            for (size_t i = 0; i < size; i++) {
                values[i] = (uint8_t)test_random(t);
            }
            for (size_t k = 0; k < kernels; k++) {
                uint8_t *split = arena_new(&t->arena, uint8_t, size + 1);
                uint8_t *back = arena_new(&t->arena, uint8_t, size + 1);
                all[k]->encode(values, count, width, split);
                for (size_t i = 0; i < size; i++) {
                    CHECK_EQ(split[i % width * count + i / width], values[i]);
                }
                all[k]->decode(split, count, count, width, back);
                CHECK(memcmp(values, back, size) == 0);
                CHECK(split[size] == 0 && back[size] == 0);
            }
        }
        arena_reset(&t->arena);
    }
}

TEST(bss, range)
{
    double values[100];
    uint8_t split[sizeof(values)];
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        values[i] = (double)test_random(t);
    }
    bss_encode(values, 100, sizeof(double), split);
    for (int round = 0; round < 100; round++) {
        double back[100];
        const size_t from = test_random(t) % 101;
        const size_t count = test_random(t) % (101 - from);
        bss_decode_range(split, 100, from, count, sizeof(double), back);
        CHECK(memcmp(back, values + from, count * sizeof(double)) == 0);
    }
}
