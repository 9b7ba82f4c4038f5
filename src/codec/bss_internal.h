// SPDX-License-Identifier: Apache-2.0
//
// Shared by bss.c, its test and its bench only.
#pragma once

#include "base/base.h"

typedef struct BssKernels {
    const char *name; // "scalar", "sse2"
    void (*encode)(const uint8_t *values, size_t count, size_t width, uint8_t *out);
    // Stream k of the input begins at in + k * stride.
    void (*decode)(const uint8_t *in, size_t stride, size_t count, size_t width, uint8_t *values);
} BssKernels;

size_t bss_kernels_all(const BssKernels *out[static 4]); // scalar first; returns how many
