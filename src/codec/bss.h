// SPDX-License-Identifier: Apache-2.0
//
// Bss: Parquet's BYTE_STREAM_SPLIT (Encodings.md): byte k of every value goes to stream k, and the
// streams follow each other. It makes floats compress better, and has no size of its own: out and
// in are both count * width bytes, and may not overlap. Pure functions, any thread.
#pragma once

#include "base/base.h"

enum { BSS_WIDTH_MAX = 1 << 16 }; // FIXED_LEN_BYTE_ARRAY; callers refuse larger ones

// `values` are `count` values of `width` bytes (> 0).
void bss_encode(const void *values, size_t count, size_t width, uint8_t *out);
void bss_decode(const uint8_t *in, size_t count, size_t width, void *values);

// Values [from, from + count) of the `total` that `in` holds.
void bss_decode_range(const uint8_t *in, size_t total, size_t from, size_t count, size_t width,
                      void *values);
