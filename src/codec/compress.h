// SPDX-License-Identifier: Apache-2.0
//
// Compress: general-purpose compression of whole blocks whose size is known. Nobody else includes
// the libraries' headers. Streams of unknown size are in codec/inflate.h.
//
// A Compress keeps the libraries' contexts (zstd's and zlib's cost more to create than a page costs
// to compress); it belongs to one thread, or to one owner who uses it from one thread at a time.
#pragma once

#include "base/buf.h"
#include "base/err.h"

// name, text
#define COMPRESS_KIND_LIST(X)                                                                      \
    X(COMPRESS_NONE, "none")                                                                       \
    X(COMPRESS_SNAPPY, "snappy")   /* raw block, no framing */                                     \
    X(COMPRESS_GZIP, "gzip")       /* RFC 1952, any number of members */                           \
    X(COMPRESS_ZLIB, "zlib")       /* RFC 1950, "deflate" in HTTP */                               \
    X(COMPRESS_ZSTD, "zstd")       /* any number of frames */                                      \
    X(COMPRESS_LZ4_RAW, "lz4_raw") /* one LZ4 block */                                             \
    X(COMPRESS_LZ4_HADOOP,                                                                         \
      "lz4_hadoop")              /* Parquet's old LZ4: Hadoop framing, or one bare block */        \
    X(COMPRESS_BROTLI, "brotli") /* decoding only */

typedef enum CompressKind {
#define X(name, text) name,
    COMPRESS_KIND_LIST(X)
#undef X
} CompressKind;

enum {
    COMPRESS_LEVEL_DEFAULT = 0,   // zstd 3, gzip 6; the others have no levels
    COMPRESS_BYTES_MAX = 1 << 30, // of one block, on either side
};

const char *compress_kind_text(CompressKind kind);

typedef struct Compress Compress;
Compress *compress_new(void);
void compress_free(Compress *c); // accepts NULL

// Appends the compressed form of `in` to `out`. level: zstd -7..19, gzip and zlib 1..9, or
// COMPRESS_LEVEL_DEFAULT.
//
// ERR_LIMIT        `in` is larger than COMPRESS_BYTES_MAX, or `out` is full
// ERR_UNSUPPORTED  brotli
Status compress_encode(Compress *c, CompressKind kind, int level, Bytes in, Buf *out, Err *err);

// Decompresses `in` into out[0..out_size). Never writes past it, whatever `in` says.
//
// ERR_CORRUPT  malformed, or not of exactly out_size bytes
// ERR_LIMIT    `in` or out_size is larger than COMPRESS_BYTES_MAX
Status compress_decode(Compress *c, CompressKind kind, Bytes in, uint8_t *out, size_t out_size,
                       Err *err);

// The size a raw snappy block claims to have when decompressed, for a caller who has no other way
// to know it. ERR_CORRUPT when it has no such header, ERR_TOO_LARGE above max_bytes, ERR_CORRUPT
// when the claim is more than such a block can hold (snappy expands at most 64 bytes to 3).
Status compress_snappy_size(Bytes in, size_t max_bytes, size_t *size, Err *err);
