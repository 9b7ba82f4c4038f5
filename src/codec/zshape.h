// SPDX-License-Identifier: Apache-2.0
//
// Zshape: zstd frames of data whose shape is known. What comes out is an ordinary zstd frame that
// any decoder reads (RFC 8878); only the way there differs from compress_encode(), which looks at
// bytes without knowing what they are. Figures in docs/formats/parquet.md.
//
// A Zshape keeps a context; it belongs to one thread.
#pragma once

#include "base/buf.h"
#include "base/err.h"

typedef struct Zshape Zshape;
Zshape *zshape_new(void);
void zshape_free(Zshape *z); // accepts NULL

// Parts of different nature in a row: in[0..prefix) and then planes of `plane_bytes` (> 0) each,
// such as the byte streams of BYTE_STREAM_SPLIT. Each gets a block, and with it entropy tables, of
// its own. level: as in compress_encode(). Appends to `out`. ERR_LIMIT when `out` is full.
Status zshape_planes(Zshape *z, int level, Bytes in, size_t prefix, size_t plane_bytes, Buf *out,
                     Err *err);

// Numbers of `stride` (> 0) bytes each, little-endian, whose high bytes seldom change from one to
// the next: the only matches are with the bytes `stride` before, down to three bytes in length,
// which zstd's own search does not look for at a useful speed. Twice as fast as level 3, and
// smaller by a quarter on the dictionary codes of a random walk; useless on anything else, so
// compare. Appends to `out`. ERR_LIMIT when `out` is full.
Status zshape_stride(Zshape *z, Bytes in, size_t stride, Buf *out, Err *err);

// The bytes as they are, which every decoder only has to copy. Appends to `out`, which may fill up:
// ask buf_ok().
void zshape_stored(Bytes in, Buf *out);
