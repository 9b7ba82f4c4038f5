// SPDX-License-Identifier: Apache-2.0
#include "codec/bitpack_internal.h"

#include <stdatomic.h>

size_t bitpack_kernels_all(const BitpackKernels *out[static 4])
{
    size_t n = 0;
    out[n++] = &bitpack_kernels_scalar;
#if CODEC_X86
    if (codec_cpu_has_avx2()) {
        out[n++] = &bitpack_kernels_avx2;
    }
#endif
    return n;
}

static const BitpackKernels *kernels(void)
{
    // Relaxed is enough: every thread computes the same pointer, to constant data.
    static _Atomic(const BitpackKernels *) chosen;

    const BitpackKernels *k = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (k == NULL) {
        const BitpackKernels *all[4];
        k = all[bitpack_kernels_all(all) - 1];
        atomic_store_explicit(&chosen, k, memory_order_relaxed);
    }
    return k;
}

void bitpack_unpack_u32(const uint8_t *in, size_t count, unsigned width, uint32_t *out)
{
    const Bytes exact = {in, bitpack_size_bytes(count, width)};
    bitpack_unpack_u32_within(exact, count, width, out);
}

void bitpack_unpack_u32_within(Bytes in, size_t count, unsigned width, uint32_t *out)
{
    ASSERT(width <= BITPACK_U32_WIDTH_MAX);
    DCHECK(in.len >= bitpack_size_bytes(count, width));
    if (count == 0) {
        return;
    }
    if (width == 0) {
        memset(out, 0, count * sizeof(*out));
        return;
    }
    kernels()->unpack_u32(in, count, width, out);
}

void bitpack_unpack_u64(const uint8_t *in, size_t count, unsigned width, uint64_t *out)
{
    const Bytes exact = {in, bitpack_size_bytes(count, width)};
    bitpack_unpack_u64_within(exact, count, width, out);
}

void bitpack_unpack_u64_within(Bytes in, size_t count, unsigned width, uint64_t *out)
{
    ASSERT(width <= BITPACK_U64_WIDTH_MAX);
    DCHECK(in.len >= bitpack_size_bytes(count, width));
    if (count == 0) {
        return;
    }
    if (width == 0) {
        memset(out, 0, count * sizeof(*out));
        return;
    }
    kernels()->unpack_u64(in, count, width, out);
}

void bitpack_pack_u32(const uint32_t *in, size_t count, unsigned width, uint8_t *out)
{
    ASSERT(width <= BITPACK_U32_WIDTH_MAX);
    if (count != 0 && width != 0) {
        kernels()->pack_u32(in, count, width, out);
    }
}

void bitpack_pack_u64(const uint64_t *in, size_t count, unsigned width, uint8_t *out)
{
    ASSERT(width <= BITPACK_U64_WIDTH_MAX);
    if (count != 0 && width != 0) {
        kernels()->pack_u64(in, count, width, out);
    }
}

unsigned bitpack_width_u32(const uint32_t *v, size_t n)
{
    return bitpack_width_of(kernels()->or_u32(v, n));
}

unsigned bitpack_width_u64(const uint64_t *v, size_t n)
{
    return bitpack_width_of(kernels()->or_u64(v, n));
}
