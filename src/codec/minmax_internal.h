// SPDX-License-Identifier: Apache-2.0
//
// Shared by the minmax*.c files and their tests only.
#pragma once

#include "codec/codec_internal.h"
#include "codec/minmax.h"

extern const MinmaxKernels minmax_kernels_scalar;
#if CODEC_X86
extern const MinmaxKernels minmax_kernels_avx2;
#endif
