// SPDX-License-Identifier: Apache-2.0
#include "codec/inflate.h"

#include "base/mem.h"
#include "codec/codec_internal.h"

#define ZLIB_CONST // input is const
#include <zlib.h>
#include <zstd.h>

enum {
    CHUNK_BYTES = 64 << 10, // output space offered at a time
    WINDOW_LOG_MAX = 23,    // zstd, 8 MiB
    PROBE_BYTES_MAX = 4,
    ZLIB_PROBE_BYTES = 2, // a header, to tell it from a bare stream
    ZSTD_PROBE_BYTES = 4, // of each frame: formats from before RFC 8878 are refused
};

struct Inflate {
    InflateKind kind;
    bool started; // some input was seen
    bool between; // at the end of a member or frame
    z_stream zlib;
    ZSTD_DCtx *zstd;
    uint8_t probe[PROBE_BYTES_MAX]; // first bytes of a zlib stream or a zstd frame
    size_t probe_len;
};

Inflate *inflate_new(InflateKind kind)
{
    Inflate *z = mem_new(Inflate, 1);
    z->kind = kind;
    switch (kind) {
    case INFLATE_GZIP:
        ASSERT(inflateInit2(&z->zlib, 15 + 16) == Z_OK);
        break;
    case INFLATE_ZLIB:
        ASSERT(inflateInit2(&z->zlib, 15) == Z_OK);
        break;
    case INFLATE_ZSTD:
        z->zstd = ZSTD_createDCtx();
        ASSERT(z->zstd != NULL);
        ASSERT(ZSTD_isError(ZSTD_DCtx_setParameter(z->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)) ==
               0);
        break;
    }
    return z;
}

void inflate_free(Inflate *z)
{
    if (z == NULL) {
        return;
    }
    if (z->zstd != NULL) {
        ZSTD_freeDCtx(z->zstd);
    } else {
        (void)inflateEnd(&z->zlib);
    }
    mem_free(z);
}

// Space for output. When `out` is full it is one byte elsewhere: the stream may still end without
// asking for it.
typedef struct Space {
    uint8_t *ptr;
    size_t len;
    bool spill;
    uint8_t byte;
} Space;

static void space_open(Space *s, Buf *out)
{
    const size_t room = out->max_bytes == 0 ? SIZE_MAX : out->max_bytes - out->len;
    s->len = room < CHUNK_BYTES ? room : CHUNK_BYTES;
    s->spill = s->len == 0;
    if (s->spill) {
        s->ptr = &s->byte;
        s->len = 1;
    } else {
        s->ptr = buf_reserve(out, s->len);
        ASSERT(s->ptr != NULL);
    }
}

static Status space_close(Space *s, Buf *out, size_t used, Err *err)
{
    if (!s->spill) {
        buf_commit(out, used);
    } else if (used > 0) {
        return err_set(err, ERR_TOO_LARGE, "body is larger than %zu bytes when decompressed",
                       out->max_bytes);
    }
    return OK;
}

// Takes bytes from the front of *in up to the end of the frame.
static Status feed_zstd(Inflate *z, Bytes *in, Buf *out, Err *err)
{
    ZSTD_inBuffer from = {.src = in->ptr, .size = in->len};
    bool full = false; // the output was used up, so there may be more without further input
    while ((from.pos < from.size || full) && !z->between) {
        Space space;
        space_open(&space, out);
        ZSTD_outBuffer to = {.dst = space.ptr, .size = space.len};
        const size_t code = ZSTD_decompressStream(z->zstd, &to, &from);
        if (ZSTD_isError(code) != 0) {
            return err_set(err, ERR_INVALID, "zstd: %s", ZSTD_getErrorName(code));
        }
        TRY(space_close(&space, out, to.pos, err));
        full = to.pos == to.size;
        z->between = code == 0;
    }
    in->ptr += from.pos;
    in->len -= from.pos;
    return OK;
}

static Status feed_zlib(Inflate *z, Bytes in, Buf *out, Err *err)
{
    z_stream *s = &z->zlib;
    bool full = false;
    s->next_in = in.ptr;
    s->avail_in = (uInt)in.len;
    while (s->avail_in > 0 || full) {
        if (z->between) {
            if (s->avail_in == 0) {
                break;
            }
            if (z->kind != INFLATE_GZIP) {
                return err_set(err, ERR_INVALID, "bytes after the end of the compressed body");
            }
            ASSERT(inflateReset(s) == Z_OK);
            z->between = false;
        }
        Space space;
        space_open(&space, out);
        s->next_out = space.ptr;
        s->avail_out = (uInt)space.len;
        const int code = inflate(s, Z_NO_FLUSH);
        if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
            return err_set(err, ERR_INVALID, "malformed %s body: %s",
                           z->kind == INFLATE_GZIP ? "gzip" : "deflate",
                           s->msg != NULL ? s->msg : "unexpected data");
        }
        TRY(space_close(&space, out, space.len - s->avail_out, err));
        full = s->avail_out == 0;
        z->between = code == Z_STREAM_END;
    }
    return OK;
}

// RFC 9110 8.4.1.2: "deflate" is the zlib format, but some clients send a bare stream.
static bool is_zlib_header(const uint8_t *p)
{
    return (p[0] & 0x0f) == Z_DEFLATED && (p[0] << 8 | p[1]) % 31 == 0;
}

// Moves bytes from *in to the probe until it has `want`. False when there are not enough yet.
static bool fill_probe(Inflate *z, size_t want, Bytes *in)
{
    while (z->probe_len < want && in->len > 0) {
        z->probe[z->probe_len++] = *in->ptr++;
        in->len--;
    }
    return z->probe_len == want;
}

// Takes bytes from the front of *in, all of them unless a frame ends.
static Status feed_zstd_frame(Inflate *z, Bytes *in, Buf *out, Err *err)
{
    if (z->between) {
        z->between = false;
        z->probe_len = 0;
    }
    if (z->probe_len < ZSTD_PROBE_BYTES) {
        if (!fill_probe(z, ZSTD_PROBE_BYTES, in)) {
            return OK;
        }
        if (!codec_zstd_magic(z->probe)) {
            return err_set(err, ERR_INVALID, "not a zstd frame");
        }
        Bytes magic = {z->probe, ZSTD_PROBE_BYTES};
        TRY(feed_zstd(z, &magic, out, err));
    }
    return feed_zstd(z, in, out, err);
}

Status inflate_feed(Inflate *z, Bytes in, Buf *out, Err *err)
{
    enum { PIECE_BYTES = 1 << 30 }; // zlib counts in unsigned ints
    z->started = z->started || in.len > 0;
    if (z->kind == INFLATE_ZLIB && z->probe_len < ZLIB_PROBE_BYTES) {
        if (!fill_probe(z, ZLIB_PROBE_BYTES, &in)) {
            return OK;
        }
        if (!is_zlib_header(z->probe)) {
            ASSERT(inflateReset2(&z->zlib, -15) == Z_OK);
        }
        TRY(feed_zlib(z, (Bytes){z->probe, ZLIB_PROBE_BYTES}, out, err));
    }
    while (in.len > 0) {
        if (z->kind == INFLATE_ZSTD) {
            TRY(feed_zstd_frame(z, &in, out, err));
            continue;
        }
        const Bytes piece = {in.ptr, in.len < PIECE_BYTES ? in.len : PIECE_BYTES};
        TRY(feed_zlib(z, piece, out, err));
        in.ptr += piece.len;
        in.len -= piece.len;
    }
    return OK;
}

Status inflate_finish(Inflate *z, Err *err)
{
    if (z->started && !z->between) {
        return err_set(err, ERR_INVALID, "compressed body ends early");
    }
    return OK;
}
