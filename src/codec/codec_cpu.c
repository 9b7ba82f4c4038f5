// SPDX-License-Identifier: Apache-2.0
#include "codec/codec_internal.h"

#include <stdlib.h>

bool codec_cpu_scalar_forced(void)
{
    // Read once per table of kernels, before threads that could change the environment exist.
    const char *cpu = getenv("CARDINAL_CPU"); // NOLINT(concurrency-mt-unsafe)
    return cpu != NULL && strcmp(cpu, "scalar") == 0;
}

bool codec_cpu_has_avx2(void)
{
#if CODEC_X86
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
           !codec_cpu_scalar_forced();
#else
    return false;
#endif
}

bool codec_cpu_has_pclmul(void)
{
#if CODEC_X86
    return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.2") &&
           !codec_cpu_scalar_forced();
#else
    return false;
#endif
}
