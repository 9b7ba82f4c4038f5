// SPDX-License-Identifier: Apache-2.0
//
// Crc: the two 32-bit checksums in use. Both take the checksum so far (0 at the start) and return
// the one that includes `b`, so that crc(crc(0, a), b) is the checksum of a followed by b. Pure
// functions, any thread; CARDINAL_CPU=scalar selects the table versions.
#pragma once

#include "base/str.h"

// CRC-32C (Castagnoli, polynomial 0x1EDC6F41): our own files, and what RFC 3720 B.4 gives vectors
// for.
uint32_t crc_castagnoli(uint32_t crc, Bytes b);

// CRC-32 (IEEE 802.3, polynomial 0x04C11DB7), as in zlib: Parquet pages, gzip.
uint32_t crc_ieee(uint32_t crc, Bytes b);

// For tests and benches.
typedef struct CrcKernels {
    const char *name; // "scalar", "pclmul"
    uint32_t (*castagnoli)(uint32_t crc, const uint8_t *p, size_t n);
    uint32_t (*ieee)(uint32_t crc, const uint8_t *p, size_t n);
} CrcKernels;
size_t crc_kernels_all(const CrcKernels *out[static 4]); // scalar first; returns how many
