// SPDX-License-Identifier: Apache-2.0
//
// Snappy blocks. The input is a block, and also plain bytes. Oracles: a decoder of a few lines,
// written from the format's description (google/snappy, format_description.txt), agrees on every
// block; plain bytes survive the round trip.
#include "base/mem.h"
#include "codec/compress.h"
#include "codec/varint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const size_t OUTPUT_BYTES_MAX = 1 << 20;

// The length of a literal, whose tag is at p[0]; *bytes is how long tag and length are.
static bool literal_len(const uint8_t *p, size_t left, size_t *bytes, size_t *len)
{
    const size_t code = p[0] >> 2;
    const size_t extra = code < 60 ? 0 : code - 59;
    if (left < 1 + extra) {
        return false;
    }
    *len = code;
    if (extra > 0) {
        *len = 0;
        for (size_t i = 0; i < extra; i++) {
            *len |= (size_t)p[1 + i] << (8 * i);
        }
    }
    // libsnappy adds in 32 bits: a literal that claims 4 GiB is an empty one, which does no harm.
    *len = (uint32_t)(*len + 1);
    *bytes = 1 + extra;
    return true;
}

// A copy, whose tag is at p[0].
static bool copy_of(const uint8_t *p, size_t left, size_t *bytes, size_t *len, size_t *offset)
{
    *bytes = (p[0] & 3) == 1 ? 2 : (p[0] & 3) == 2 ? 3 : 5;
    if (left < *bytes) {
        return false;
    }
    if ((p[0] & 3) == 1) {
        *len = 4 + (p[0] >> 2 & 7);
        *offset = (size_t)(p[0] >> 5) << 8 | p[1];
        return true;
    }
    *len = 1 + (p[0] >> 2);
    *offset = 0;
    for (size_t i = 1; i < *bytes; i++) {
        *offset |= (size_t)p[i] << (8 * (i - 1));
    }
    return true;
}

static bool naive_decode(Bytes in, uint8_t *out, size_t size)
{
    uint32_t claimed = 0;
    const uint8_t *end = in.ptr + in.len;
    const uint8_t *p = varint_read_u32(in.ptr, end, &claimed);
    size_t at = 0;
    if (p == NULL || claimed != size) {
        return false;
    }
    while (p < end) {
        size_t bytes = 0;
        size_t len = 0;
        size_t offset = 0;
        if ((*p & 3) == 0) {
            if (!literal_len(p, (size_t)(end - p), &bytes, &len) ||
                len > (size_t)(end - p) - bytes || len > size - at) {
                return false;
            }
            memcpy(out + at, p + bytes, len);
            at += len;
            p += bytes + len;
            continue;
        }
        if (!copy_of(p, (size_t)(end - p), &bytes, &len, &offset) || offset == 0 || offset > at ||
            len > size - at) {
            return false;
        }
        for (size_t i = 0; i < len; i++, at++) {
            out[at] = out[at - offset];
        }
        p += bytes;
    }
    return at == size;
}

static void check_block(Compress *compress, Bytes in)
{
    size_t size = 0;
    Err err;
    if (compress_snappy_size(in, OUTPUT_BYTES_MAX, &size, &err) != OK) {
        return;
    }
    uint8_t *got = mem_alloc_raw(size);
    uint8_t *want = mem_alloc_raw(size);
    const bool ok = compress_decode(compress, COMPRESS_SNAPPY, in, got, size, &err) == OK;
    ASSERT(ok == naive_decode(in, want, size));
    ASSERT(!ok || size == 0 || memcmp(got, want, size) == 0);
    mem_free(got);
    mem_free(want);
}

static void check_round_trip(Compress *compress, Bytes plain)
{
    Buf block;
    size_t size = 0;
    Err err;
    buf_init(&block, 0);
    ASSERT(compress_encode(compress, COMPRESS_SNAPPY, 0, plain, &block, &err) == OK);
    ASSERT(compress_snappy_size(buf_bytes(&block), plain.len, &size, &err) == OK);
    ASSERT(size == plain.len);
    uint8_t *got = mem_alloc_raw(size);
    ASSERT(naive_decode(buf_bytes(&block), got, size));
    ASSERT(size == 0 || memcmp(got, plain.ptr, size) == 0);
    ASSERT(compress_decode(compress, COMPRESS_SNAPPY, buf_bytes(&block), got, size, &err) == OK);
    ASSERT(size == 0 || memcmp(got, plain.ptr, size) == 0);
    mem_free(got);
    buf_deinit(&block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Compress *compress = compress_new();
    if (size <= OUTPUT_BYTES_MAX) {
        check_block(compress, (Bytes){data, size});
        check_round_trip(compress, (Bytes){data, size});
    }
    compress_free(compress);
    return 0;
}
