// SPDX-License-Identifier: Apache-2.0
//
// Shared by the bitpack*.c files and their tests only.
#pragma once

#include "codec/bitpack.h"
#include "codec/codec_internal.h"

extern const BitpackKernels bitpack_kernels_scalar;
#if CODEC_X86
extern const BitpackKernels bitpack_kernels_avx2;
#endif

// Collects bits from the low end and writes them eight bytes at a time.
typedef struct BitpackSink {
    uint8_t *out;
    uint64_t acc;
    unsigned fill; // bits in `acc`, below 64
} BitpackSink;

// Adds the low `width` bits of `v` (0..64); its other bits are zero.
static inline void bitpack_sink_put(BitpackSink *s, uint64_t v, unsigned width)
{
    s->acc |= v << s->fill;
    const unsigned fill = s->fill + width;
    if (fill >= 64) {
        codec_store_u64(s->out, s->acc);
        s->out += 8;
        // The bits of `v` that did not fit; none when it just did.
        s->acc = fill == 64 ? 0 : v >> (64 - s->fill);
    }
    s->fill = fill & 63;
}

static inline void bitpack_sink_finish(BitpackSink *s)
{
    memcpy(s->out, &s->acc, (s->fill + 7) / 8);
    *s = (BitpackSink){0};
}
