// SPDX-License-Identifier: Apache-2.0
#include "codec/bitpack_internal.h"

// A value begins at any bit of a byte, so the nine bytes from there on hold all of it. Near the end
// of the input fewer than that are left: the last ones are decoded from a copy with zeroes behind
// it.
enum { TAIL_BYTES = 24 };

// The value of `width` > 0 bits at `bit` of `p`; reads nine bytes.
static inline uint64_t value_at(const uint8_t *p, size_t bit, unsigned width)
{
    const uint8_t *at = p + (bit >> 3);
    const unsigned shift = bit & 7;
    const uint64_t low = codec_load_u64(at) >> shift;
    const uint64_t high = (uint64_t)at[8] << 1 << (63 - shift);
    return (low | high) & codec_mask(width);
}

// How many of `count` values in `size` bytes can be read with loads of `load` bytes.
static size_t count_before_tail(size_t size, size_t count, unsigned width, size_t load)
{
    if (size < load) {
        return 0;
    }
    // Value i may be read when i * width / 8 + load <= size.
    const size_t fit = ((size - load) * 8 + 7) / width + 1;
    return fit < count ? fit : count;
}

static void unpack_u32(Bytes in, size_t count, unsigned width, uint32_t *out)
{
    const uint32_t mask = (uint32_t)codec_mask(width);
    const size_t n = count_before_tail(in.len, count, width, 8);
    size_t bit = 0;
    size_t i = 0;
    for (; i < n; i++, bit += width) { // 32 bits and a shift of at most 7 fit in one load
        out[i] = (uint32_t)(codec_load_u64(in.ptr + (bit >> 3)) >> (bit & 7)) & mask;
    }
    if (i < count) {
        uint8_t tail[TAIL_BYTES] = {0};
        const size_t from = bit >> 3;
        memcpy(tail, in.ptr + from, bitpack_size_bytes(count, width) - from);
        for (; i < count; i++, bit += width) {
            out[i] = (uint32_t)value_at(tail, bit - from * 8, width);
        }
    }
}

static void unpack_u64(Bytes in, size_t count, unsigned width, uint64_t *out)
{
    const size_t n = count_before_tail(in.len, count, width, 9);
    size_t bit = 0;
    size_t i = 0;
    for (; i < n; i++, bit += width) {
        out[i] = value_at(in.ptr, bit, width);
    }
    if (i < count) {
        uint8_t tail[TAIL_BYTES] = {0};
        const size_t from = bit >> 3;
        memcpy(tail, in.ptr + from, bitpack_size_bytes(count, width) - from);
        for (; i < count; i++, bit += width) {
            out[i] = value_at(tail, bit - from * 8, width);
        }
    }
}

static void pack_u32(const uint32_t *in, size_t count, unsigned width, uint8_t *out)
{
    BitpackSink s = {.out = out};
    for (size_t i = 0; i < count; i++) {
        bitpack_sink_put(&s, in[i], width);
    }
    bitpack_sink_finish(&s);
}

static void pack_u64(const uint64_t *in, size_t count, unsigned width, uint8_t *out)
{
    BitpackSink s = {.out = out};
    for (size_t i = 0; i < count; i++) {
        bitpack_sink_put(&s, in[i], width);
    }
    bitpack_sink_finish(&s);
}

static uint32_t or_u32(const uint32_t *v, size_t n)
{
    uint32_t all = 0;
    for (size_t i = 0; i < n; i++) {
        all |= v[i];
    }
    return all;
}

static uint64_t or_u64(const uint64_t *v, size_t n)
{
    uint64_t all = 0;
    for (size_t i = 0; i < n; i++) {
        all |= v[i];
    }
    return all;
}

const BitpackKernels bitpack_kernels_scalar = {
    .name = "scalar",
    .unpack_u32 = unpack_u32,
    .unpack_u64 = unpack_u64,
    .pack_u32 = pack_u32,
    .pack_u64 = pack_u64,
    .or_u32 = or_u32,
    .or_u64 = or_u64,
};
