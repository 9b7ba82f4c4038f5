// SPDX-License-Identifier: Apache-2.0
#include "codec/compress.h"

#include "base/mem.h"
#include "base/reader.h"
#include "codec/codec_internal.h"
#include "codec/varint.h"

#include <brotli/decode.h>
#include <lz4.h>
#include <snappy-c.h>
#define ZLIB_CONST // input is const
#include <zlib.h>
#include <zstd.h>

enum {
    GZIP_LEVEL = 6,
    ZSTD_LEVEL = 3,
    WINDOW_BITS = 15,
    GZIP_BITS = 16, // added to the window bits: a gzip header instead of a zlib one
};

struct Compress {
    ZSTD_CCtx *zstd_out; // these four are created when first needed
    ZSTD_DCtx *zstd_in;
    z_stream *deflate;
    z_stream *inflate;
    CompressKind deflate_kind; // what `deflate` is set up for
    int deflate_level;
};

const char *compress_kind_text(CompressKind kind)
{
    switch (kind) {
#define X(name, text)                                                                              \
    case name:                                                                                     \
        return text;
        COMPRESS_KIND_LIST(X)
#undef X
    }
    UNREACHABLE();
}

Compress *compress_new(void)
{
    return mem_new(Compress, 1);
}

static void close_deflate(Compress *c)
{
    if (c->deflate != NULL) {
        (void)deflateEnd(c->deflate); // its complaint about a stream cut short is no news
        mem_free(c->deflate);
        c->deflate = NULL;
    }
}

void compress_free(Compress *c)
{
    if (c == NULL) {
        return;
    }
    ZSTD_freeCCtx(c->zstd_out);
    ZSTD_freeDCtx(c->zstd_in);
    close_deflate(c);
    if (c->inflate != NULL) {
        (void)inflateEnd(c->inflate);
        mem_free(c->inflate);
    }
    mem_free(c);
}

// ---- encoding

static Status encode_zstd(Compress *c, int level, Bytes in, Buf *out, Err *err)
{
    if (c->zstd_out == NULL) {
        c->zstd_out = ZSTD_createCCtx();
        ASSERT(c->zstd_out != NULL);
    }
    const size_t bound = ZSTD_compressBound(in.len);
    uint8_t *p = buf_reserve(out, bound);
    if (p == NULL) {
        return err_set(err, ERR_LIMIT, "no room for %zu compressed bytes", bound);
    }
    const size_t n = ZSTD_compressCCtx(c->zstd_out, p, bound, in.ptr, in.len,
                                       level == COMPRESS_LEVEL_DEFAULT ? ZSTD_LEVEL : level);
    if (ZSTD_isError(n) != 0) {
        return err_set(err, ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(n));
    }
    buf_commit(out, n);
    return OK;
}

static void open_deflate(Compress *c, CompressKind kind, int level)
{
    if (c->deflate != NULL && c->deflate_kind == kind && c->deflate_level == level) {
        ASSERT(deflateReset(c->deflate) == Z_OK);
        return;
    }
    close_deflate(c);
    c->deflate = mem_new(z_stream, 1);
    c->deflate_kind = kind;
    c->deflate_level = level;
    const int bits = WINDOW_BITS + (kind == COMPRESS_GZIP ? GZIP_BITS : 0);
    const int memory_level = 8; // zlib's default
    ASSERT(deflateInit2(c->deflate, level, Z_DEFLATED, bits, memory_level, Z_DEFAULT_STRATEGY) ==
           Z_OK);
}

static Status encode_deflate(Compress *c, CompressKind kind, int level, Bytes in, Buf *out,
                             Err *err)
{
    open_deflate(c, kind, level == COMPRESS_LEVEL_DEFAULT ? GZIP_LEVEL : level);
    z_stream *z = c->deflate;
    const size_t bound = deflateBound(z, in.len);
    uint8_t *p = buf_reserve(out, bound);
    if (p == NULL) {
        return err_set(err, ERR_LIMIT, "no room for %zu compressed bytes", bound);
    }
    z->next_in = in.ptr;
    z->avail_in = (uInt)in.len;
    z->next_out = p;
    z->avail_out = (uInt)bound;
    if (deflate(z, Z_FINISH) != Z_STREAM_END) {
        return err_set(err, ERR_INTERNAL, "deflate did not finish");
    }
    buf_commit(out, z->total_out);
    return OK;
}

static Status encode_snappy(Bytes in, Buf *out, Err *err)
{
    size_t n = snappy_max_compressed_length(in.len);
    uint8_t *p = buf_reserve(out, n);
    if (p == NULL) {
        return err_set(err, ERR_LIMIT, "no room for %zu compressed bytes", n);
    }
    if (snappy_compress((const char *)in.ptr, in.len, (char *)p, &n) != SNAPPY_OK) {
        return err_set(err, ERR_INTERNAL, "snappy failed");
    }
    buf_commit(out, n);
    return OK;
}

static void put_u32be(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

// Hadoop's framing: size of the data, size of the block, both big-endian, then the block.
enum { HADOOP_HEADER_BYTES = 8 };

static Status encode_lz4(bool hadoop, Bytes in, Buf *out, Err *err)
{
    const size_t header = hadoop ? HADOOP_HEADER_BYTES : 0;
    const int bound = LZ4_compressBound((int)in.len);
    uint8_t *p = buf_reserve(out, header + (size_t)bound);
    if (p == NULL) {
        return err_set(err, ERR_LIMIT, "no room for %d compressed bytes", bound);
    }
    const int n =
        LZ4_compress_default((const char *)in.ptr, (char *)p + header, (int)in.len, bound);
    if (n <= 0) {
        return err_set(err, ERR_INTERNAL, "lz4 failed");
    }
    if (hadoop) {
        put_u32be(p, (uint32_t)in.len);
        put_u32be(p + 4, (uint32_t)n);
    }
    buf_commit(out, header + (size_t)n);
    return OK;
}

Status compress_encode(Compress *c, CompressKind kind, int level, Bytes in, Buf *out, Err *err)
{
    if (in.len > COMPRESS_BYTES_MAX) {
        return err_set(err, ERR_LIMIT, "block of %zu bytes is too large to compress", in.len);
    }
    if (in.ptr == NULL) {
        in.ptr = (const uint8_t *)""; // the libraries want a pointer even to nothing
    }
    switch (kind) {
    case COMPRESS_NONE:
        buf_put(out, in.ptr, in.len);
        return buf_ok(out) ? OK : err_set(err, ERR_LIMIT, "no room for %zu bytes", in.len);
    case COMPRESS_SNAPPY:
        return encode_snappy(in, out, err);
    case COMPRESS_GZIP:
    case COMPRESS_ZLIB:
        return encode_deflate(c, kind, level, in, out, err);
    case COMPRESS_ZSTD:
        return encode_zstd(c, level, in, out, err);
    case COMPRESS_LZ4_RAW:
        return encode_lz4(false, in, out, err);
    case COMPRESS_LZ4_HADOOP:
        return encode_lz4(true, in, out, err);
    case COMPRESS_BROTLI:
        return err_set(err, ERR_UNSUPPORTED, "brotli is only read");
    }
    UNREACHABLE();
}

// ---- decoding

static Status wrong_size(CompressKind kind, size_t got, size_t want, Err *err)
{
    return err_set(err, ERR_CORRUPT, "%s block holds %zu bytes, expected %zu",
                   compress_kind_text(kind), got, want);
}

static Status malformed(CompressKind kind, Err *err)
{
    return err_set(err, ERR_CORRUPT, "malformed %s block", compress_kind_text(kind));
}

// Only frames of RFC 8878: the library may have been built to read formats from before version 0.8,
// too, whose decoders nobody looks after.
static bool zstd_frames_are_current(Bytes in)
{
    Reader r = reader_of(in);
    while (reader_left(&r) > 0) {
        const size_t size = ZSTD_findFrameCompressedSize(r.pos, reader_left(&r));
        if (reader_left(&r) < 4 || !codec_zstd_magic(r.pos) || ZSTD_isError(size) != 0) {
            return false;
        }
        (void)reader_bytes(&r, size);
    }
    return true;
}

static Status decode_zstd(Compress *c, Bytes in, uint8_t *out, size_t out_size, Err *err)
{
    if (!zstd_frames_are_current(in)) {
        return malformed(COMPRESS_ZSTD, err);
    }
    if (c->zstd_in == NULL) {
        c->zstd_in = ZSTD_createDCtx();
        ASSERT(c->zstd_in != NULL);
    }
    const size_t n = ZSTD_decompressDCtx(c->zstd_in, out, out_size, in.ptr, in.len);
    if (ZSTD_isError(n) != 0) {
        return err_set(err, ERR_CORRUPT, "zstd: %s", ZSTD_getErrorName(n));
    }
    return n == out_size ? OK : wrong_size(COMPRESS_ZSTD, n, out_size, err);
}

static Status decode_deflate(Compress *c, CompressKind kind, Bytes in, uint8_t *out,
                             size_t out_size, Err *err)
{
    const int bits = WINDOW_BITS + (kind == COMPRESS_GZIP ? GZIP_BITS : 0);
    if (c->inflate == NULL) {
        c->inflate = mem_new(z_stream, 1);
        ASSERT(inflateInit2(c->inflate, bits) == Z_OK);
    }
    z_stream *z = c->inflate;
    z->next_in = in.ptr;
    z->avail_in = (uInt)in.len;
    z->next_out = out;
    z->avail_out = (uInt)out_size;
    do { // one round per member
        ASSERT(inflateReset2(z, bits) == Z_OK);
        const int code = inflate(z, Z_FINISH);
        if (code == Z_BUF_ERROR && z->avail_out == 0 && z->avail_in > 0) {
            return err_set(err, ERR_CORRUPT, "%s block holds more than %zu bytes",
                           compress_kind_text(kind), out_size);
        }
        if (code != Z_STREAM_END) {
            return malformed(kind, err);
        }
    } while (z->avail_in > 0 && kind == COMPRESS_GZIP);
    if (z->avail_in > 0) {
        return malformed(kind, err);
    }
    return z->avail_out == 0 ? OK : wrong_size(kind, out_size - z->avail_out, out_size, err);
}

static Status decode_snappy(Bytes in, uint8_t *out, size_t out_size, Err *err)
{
    size_t n = 0;
    if (snappy_uncompressed_length((const char *)in.ptr, in.len, &n) != SNAPPY_OK) {
        return malformed(COMPRESS_SNAPPY, err);
    }
    if (n != out_size) {
        return wrong_size(COMPRESS_SNAPPY, n, out_size, err);
    }
    if (snappy_uncompress((const char *)in.ptr, in.len, (char *)out, &n) != SNAPPY_OK) {
        return malformed(COMPRESS_SNAPPY, err);
    }
    return OK;
}

static bool lz4_block(Bytes in, uint8_t *out, size_t out_size)
{
    return LZ4_decompress_safe((const char *)in.ptr, (char *)out, (int)in.len, (int)out_size) ==
           (int)out_size;
}

static uint32_t get_u32be(Reader *r)
{
    return __builtin_bswap32(reader_u32le(r));
}

// False when `in` is not framed so, or not of out_size bytes.
static bool lz4_hadoop(Bytes in, uint8_t *out, size_t out_size)
{
    Reader r = reader_of(in);
    size_t done = 0;
    while (reader_left(&r) > 0) {
        const uint32_t size = get_u32be(&r);
        const Bytes block = reader_bytes(&r, get_u32be(&r));
        if (!reader_ok(&r) || size > out_size - done || !lz4_block(block, out + done, size)) {
            return false;
        }
        done += size;
    }
    return done == out_size;
}

static Status decode_lz4(CompressKind kind, Bytes in, uint8_t *out, size_t out_size, Err *err)
{
    // Files are known that name the framed codec and hold a bare block: parquet-cpp wrote them.
    if ((kind == COMPRESS_LZ4_HADOOP && lz4_hadoop(in, out, out_size)) ||
        lz4_block(in, out, out_size)) {
        return OK;
    }
    return malformed(kind, err);
}

static Status decode_brotli(Bytes in, uint8_t *out, size_t out_size, Err *err)
{
    size_t n = out_size;
    if (BrotliDecoderDecompress(in.len, in.ptr, &n, out) != BROTLI_DECODER_RESULT_SUCCESS) {
        return malformed(COMPRESS_BROTLI, err);
    }
    return n == out_size ? OK : wrong_size(COMPRESS_BROTLI, n, out_size, err);
}

Status compress_decode(Compress *c, CompressKind kind, Bytes in, uint8_t *out, size_t out_size,
                       Err *err)
{
    uint8_t nothing = 0;
    if (in.len > COMPRESS_BYTES_MAX || out_size > COMPRESS_BYTES_MAX) {
        return err_set(err, ERR_LIMIT, "block of %zu bytes, %zu of them compressed, is too large",
                       out_size, in.len);
    }
    out = out_size == 0 ? &nothing : out;
    in.ptr = in.len == 0 ? &nothing : in.ptr;
    switch (kind) {
    case COMPRESS_NONE:
        if (in.len != out_size) {
            return wrong_size(kind, in.len, out_size, err);
        }
        memcpy(out, in.ptr, in.len);
        return OK;
    case COMPRESS_SNAPPY:
        return decode_snappy(in, out, out_size, err);
    case COMPRESS_GZIP:
    case COMPRESS_ZLIB:
        return decode_deflate(c, kind, in, out, out_size, err);
    case COMPRESS_ZSTD:
        return decode_zstd(c, in, out, out_size, err);
    case COMPRESS_LZ4_RAW:
    case COMPRESS_LZ4_HADOOP:
        return decode_lz4(kind, in, out, out_size, err);
    case COMPRESS_BROTLI:
        return decode_brotli(in, out, out_size, err);
    }
    UNREACHABLE();
}

Status compress_snappy_size(Bytes in, size_t max_bytes, size_t *size, Err *err)
{
    *size = 0;
    Reader r = reader_of(in);
    const uint32_t claim = varint_get_u32(&r); // format_description.txt, section 1
    if (!reader_ok(&r)) {
        return malformed(COMPRESS_SNAPPY, err);
    }
    if (claim > max_bytes) {
        return err_set(err, ERR_TOO_LARGE, "snappy block of %" PRIu32 " bytes, at most %zu", claim,
                       max_bytes);
    }
    // The densest element is a copy of 64 bytes in three; a literal byte takes one.
    if (claim > (uint64_t)reader_left(&r) * 64) {
        return err_set(err, ERR_CORRUPT, "%zu bytes cannot hold a snappy block of %" PRIu32, in.len,
                       claim);
    }
    *size = claim;
    return OK;
}
