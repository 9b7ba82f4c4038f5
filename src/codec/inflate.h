// SPDX-License-Identifier: Apache-2.0
//
// Inflate: decompression of a stream that arrives in pieces and whose size nobody has promised:
// request bodies. Output goes to a Buf whose maximum is the cap, so a small body cannot become a
// large one. One owner, one thread.
#pragma once

#include "base/buf.h"
#include "base/err.h"

typedef enum InflateKind {
    INFLATE_GZIP, // any number of members
    INFLATE_ZLIB, // what HTTP calls "deflate"; a bare RFC 1951 stream is taken, too
    INFLATE_ZSTD, // any number of frames; windows up to 8 MiB (RFC 8878 3.1.1.1.2)
} InflateKind;

typedef struct Inflate Inflate;
Inflate *inflate_new(InflateKind kind);
void inflate_free(Inflate *z); // accepts NULL

// Takes all of `in` and appends what it yields to `out`.
//
// ERR_INVALID    malformed
// ERR_TOO_LARGE  `out` is full
Status inflate_feed(Inflate *z, Bytes in, Buf *out, Err *err);
// The stream ends here: ERR_INVALID when it is in the middle of something. No input at all is an
// empty stream.
Status inflate_finish(Inflate *z, Err *err);
