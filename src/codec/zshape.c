// SPDX-License-Identifier: Apache-2.0
// ZSTD_compressSequences() is not in zstd's stable part; the shared library has had it since 1.5.0.
#define ZSTD_STATIC_LINKING_ONLY
#include "codec/zshape.h"

#include "base/mem.h"

#include <zstd.h>

enum {
    BLOCK_BYTES_MAX = 128 * 1024, // RFC 8878 3.1.1.2.4
    MATCH_BYTES_MIN = 3,          // RFC 8878 3.1.1.3.2.1.1
    LEVEL_DEFAULT = 3,
    // Streams of bytes have short matches. Levels below this one look for five bytes and more, and
    // do better with four, at the same speed.
    LEVEL_SHORT_MATCHES = 13,
};

struct Zshape {
    ZSTD_CCtx *context;
    ZSTD_Sequence *sequences;
    size_t sequences_cap;
};

Zshape *zshape_new(void)
{
    Zshape *z = mem_new(Zshape, 1);
    z->context = ZSTD_createCCtx();
    ASSERT(z->context != NULL);
    return z;
}

void zshape_free(Zshape *z)
{
    if (z != NULL) {
        (void)ZSTD_freeCCtx(z->context);
        mem_free(z->sequences);
        mem_free(z);
    }
}

static Status failed(size_t code, Err *err)
{
    return err_set(err, ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(code));
}

Status zshape_planes(Zshape *z, int level, Bytes in, size_t prefix, size_t plane_bytes, Buf *out,
                     Err *err)
{
    ASSERT(plane_bytes != 0 && prefix <= in.len);
    const size_t part_count = in.len / plane_bytes + 3;
    // Each end of a block may leave a header of three bytes behind.
    const size_t bound = ZSTD_compressBound(in.len) + part_count * 8;
    uint8_t *into = buf_reserve(out, bound);
    if (into == NULL) {
        return err_set(err, ERR_LIMIT, "no room for %zu compressed bytes", bound);
    }
    (void)ZSTD_CCtx_reset(z->context, ZSTD_reset_session_and_parameters);
    (void)ZSTD_CCtx_setParameter(z->context, ZSTD_c_compressionLevel,
                                 level == 0 ? LEVEL_DEFAULT : level);
    if (level < LEVEL_SHORT_MATCHES) {
        (void)ZSTD_CCtx_setParameter(z->context, ZSTD_c_minMatch, 4);
    }
    (void)ZSTD_CCtx_setPledgedSrcSize(z->context, in.len);
    ZSTD_outBuffer to = {.dst = into, .size = bound};
    size_t end = prefix != 0 || in.len < plane_bytes ? prefix : plane_bytes;
    for (size_t begin = 0;;) {
        const bool is_last = end >= in.len;
        // Nothing at all may come without an address.
        ZSTD_inBuffer from = {.src = in.len == 0 ? (const uint8_t *)"" : in.ptr + begin,
                              .size = (is_last ? in.len : end) - begin};
        const size_t left =
            ZSTD_compressStream2(z->context, &to, &from, is_last ? ZSTD_e_end : ZSTD_e_flush);
        if (ZSTD_isError(left) || left != 0) {
            return ZSTD_isError(left) ? failed(left, err)
                                      : err_set(err, ERR_INTERNAL, "zstd: output past its bound");
        }
        if (is_last) {
            break;
        }
        begin = end;
        end += plane_bytes;
    }
    buf_commit(out, to.pos);
    return OK;
}

// Finds the matches of one block. `repeats` counts how often the distance is used.
static size_t find_sequences(const uint8_t *p, size_t begin, size_t end, size_t stride,
                             ZSTD_Sequence *out)
{
    size_t count = 0;
    size_t literals = begin;
    size_t i = begin < stride ? stride : begin;
    while (i < end) {
        if (p[i] != p[i - stride]) {
            i++;
            continue;
        }
        size_t match_end = i + 1;
        while (match_end < end && p[match_end] == p[match_end - stride]) {
            match_end++;
        }
        if (match_end - i >= MATCH_BYTES_MIN) {
            out[count++] = (ZSTD_Sequence){.offset = (unsigned)stride,
                                           .litLength = (unsigned)(i - literals),
                                           .matchLength = (unsigned)(match_end - i)};
            literals = match_end;
        }
        i = match_end;
    }
    out[count++] = (ZSTD_Sequence){.litLength = (unsigned)(end - literals)}; // ends the block
    return count;
}

Status zshape_stride(Zshape *z, Bytes in, size_t stride, Buf *out, Err *err)
{
    ASSERT(stride != 0 && stride <= BLOCK_BYTES_MAX);
    const size_t bound = ZSTD_compressBound(in.len) + in.len / 16 + 64;
    uint8_t *into = buf_reserve(out, bound);
    if (into == NULL) {
        return err_set(err, ERR_LIMIT, "no room for %zu compressed bytes", bound);
    }
    z->sequences =
        mem_grow(z->sequences, &z->sequences_cap,
                 in.len / MATCH_BYTES_MIN + in.len / BLOCK_BYTES_MAX + 2, sizeof(*z->sequences));
    size_t count = 0;
    size_t begin = 0;
    do {
        const size_t end = in.len - begin < BLOCK_BYTES_MAX ? in.len : begin + BLOCK_BYTES_MAX;
        count += find_sequences(in.ptr, begin, end, stride, z->sequences + count);
        begin = end;
    } while (begin < in.len);
    (void)ZSTD_CCtx_reset(z->context, ZSTD_reset_session_and_parameters);
    (void)ZSTD_CCtx_setParameter(z->context, ZSTD_c_compressionLevel, LEVEL_DEFAULT);
    (void)ZSTD_CCtx_setParameter(z->context, ZSTD_c_blockDelimiters,
                                 ZSTD_sf_explicitBlockDelimiters);
    const size_t size =
        ZSTD_compressSequences(z->context, into, bound, z->sequences, count, in.ptr, in.len);
    if (ZSTD_isError(size)) {
        return failed(size, err);
    }
    buf_commit(out, size);
    return OK;
}

// RFC 8878 3.1.1: magic number, descriptor, size of the contents, then blocks of type Raw_Block,
// each behind three bytes: bit 0 is set in the last one, bits 1 and 2 are the type, the rest is the
// size.
void zshape_stored(Bytes in, Buf *out)
{
    enum {
        MAGIC = (int)0xFD2FB528,
        SIZE_OF_8_BYTES = 0xE0, // Frame_Content_Size_flag 3, Single_Segment_flag
        HEADER_BITS = 3,
    };
    size_t done = 0;
    buf_put_u32le(out, (uint32_t)MAGIC);
    buf_put_u8(out, SIZE_OF_8_BYTES);
    buf_put_u64le(out, in.len);
    do {
        const size_t left = in.len - done;
        const size_t n = left < BLOCK_BYTES_MAX ? left : BLOCK_BYTES_MAX;
        const uint32_t header = (uint32_t)n << HEADER_BITS | (n == left);
        buf_put_u8(out, (uint8_t)header);
        buf_put_u16le(out, (uint16_t)(header >> 8));
        buf_put(out, in.ptr + done, n);
        done += n;
    } while (done < in.len);
}
