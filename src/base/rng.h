// SPDX-License-Identifier: Apache-2.0
//
// Rng: a small seeded generator (splitmix64, Steele et al. 2014) for tests, jitter and sampling.
// Not for secrets: those come from os_random().
#pragma once

#include "base/base.h"

typedef struct Rng {
    uint64_t state;
} Rng;

static inline uint64_t rng_next(Rng *rng)
{
    uint64_t z = (rng->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

// Uniform in [0, n); 0 when n is 0. The bias for n < 2^32 is below 2^-32.
static inline uint64_t rng_below(Rng *rng, uint64_t n)
{
    return n == 0 ? 0 : rng_next(rng) % n;
}
