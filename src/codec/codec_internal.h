// SPDX-License-Identifier: Apache-2.0
//
// Shared by the files of this module only: which CPU we may use, and little-endian access to bytes.
#pragma once

#include "base/base.h"

#include <string.h>

#if defined(__x86_64__)
#define CODEC_X86 1
#else
#define CODEC_X86 0
#endif

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "values are copied to and from little-endian formats as they are");

// CARDINAL_CPU=scalar in the environment: only the kernels every CPU has.
bool codec_cpu_scalar_forced(void);
bool codec_cpu_has_avx2(void);   // AVX2 and BMI1/2, and not forced scalar
bool codec_cpu_has_pclmul(void); // PCLMULQDQ, SSE4.2, and not forced scalar

static inline uint64_t codec_load_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t codec_load_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline void codec_store_u64(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, sizeof(v));
}

// The four bytes at `p` begin a zstd frame or a skippable one (RFC 8878, 3.1.1 and 3.1.2).
static inline bool codec_zstd_magic(const uint8_t *p)
{
    const uint32_t magic = codec_load_u32(p);
    return magic == UINT32_C(0xfd2fb528) || (magic & UINT32_C(0xfffffff0)) == UINT32_C(0x184d2a50);
}

// The low `width` bits, 0..64.
static inline uint64_t codec_mask(unsigned width)
{
    return width == 0 ? 0 : UINT64_MAX >> (64 - width);
}
