// SPDX-License-Identifier: Apache-2.0
//
// The first byte chooses a decoder, the second is its parameter, the rest is its input. Oracles:
// two ways of decoding agree, and what was decoded survives being encoded and decoded again.
#include "base/mem.h"
#include "codec/compress.h"
#include "codec/delta.h"
#include "codec/inflate.h"
#include "codec/rle.h"
#include "codec/varint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VALUES = 2000, OUT_MAX = 1 << 16 };

static uint32_t a[VALUES], b[VALUES], ends[VALUES];
static int64_t i64[VALUES], i64_again[VALUES];

static void fuzz_rle(Bytes in, uint8_t param)
{
    Err err = {0};
    RleDecoder d;
    const unsigned width = param % 33;
    if (rle_decoder_init(&d, in, width, UINT32_MAX, &err) != OK) {
        return;
    }
    const Status st = rle_decode(&d, a, VALUES, &err);
    RleRuns runs = {.values = b, .run_ends = ends, .cap = VALUES};
    uint32_t decoded = 0;
    ASSERT(rle_decoder_init(&d, in, width, UINT32_MAX, &err) == OK);
    ASSERT(rle_decode_runs(&d, VALUES, &runs, &decoded, &err) == st);
    if (st != OK) {
        return;
    }
    for (uint32_t k = 0, row = 0; k < runs.count; k++) {
        for (; row < ends[k]; row++) {
            ASSERT(a[row] == b[k]);
        }
    }
    for (size_t i = 0; i < VALUES && width < 32; i++) { // a run may hold more bits than it should
        a[i] &= (UINT32_C(1) << width) - 1;
    }
    Buf out;
    RleEncoder e;
    buf_init(&out, 0);
    rle_encoder_init(&e, &out, width);
    rle_put_values(&e, a, VALUES);
    rle_encoder_finish(&e);
    ASSERT(rle_decoder_init(&d, buf_bytes(&out), width, UINT32_MAX, &err) == OK);
    ASSERT(rle_decode(&d, b, VALUES, &err) == OK);
    ASSERT(memcmp(a, b, sizeof(a)) == 0);
    buf_deinit(&out);
}

// The count a stream says it has, so that the decoder goes past its header.
static size_t count_of(Bytes in)
{
    Reader r = reader_of(in);
    (void)varint_get_u64(&r);
    (void)varint_get_u64(&r);
    const uint64_t count = varint_get_u64(&r);
    return count < VALUES ? (size_t)count : 1;
}

static void fuzz_delta(Bytes in)
{
    Err err = {0};
    const size_t count = count_of(in);
    Reader r = reader_of(in);
    if (delta_get_i64(&r, count, i64, &err) == OK) {
        Buf out;
        buf_init(&out, 0);
        delta_put_i64(&out, i64, count);
        Reader again = reader_of(buf_bytes(&out));
        ASSERT(delta_get_i64(&again, count, i64_again, &err) == OK);
        ASSERT(memcmp(i64, i64_again, count * sizeof(*i64)) == 0);
        buf_deinit(&out);
    }
    r = reader_of(in);
    (void)delta_get_i32(&r, count, (int32_t *)a, &err);
}

static void fuzz_strings(Bytes in)
{
    Err err = {0};
    const size_t count = count_of(in);
    Reader r = reader_of(in);
    Buf whole;
    buf_init(&whole, OUT_MAX);
    if (delta_get_prefixed(&r, count, a, &whole, &err) == OK) {
        Buf out;
        Bytes bytes = {0};
        buf_init(&out, 0);
        delta_put_strings(&out, a, whole.ptr, count);
        Reader again = reader_of(buf_bytes(&out));
        ASSERT(delta_get_strings(&again, count, b, &bytes, &err) == OK);
        ASSERT(bytes.len == whole.len && memcmp(a, b, (count + 1) * sizeof(*a)) == 0);
        ASSERT(bytes.len == 0 || memcmp(bytes.ptr, whole.ptr, bytes.len) == 0);
        buf_deinit(&out);
    }
    buf_deinit(&whole);
}

static Status inflate_all(InflateKind kind, Bytes in, size_t piece, Buf *out)
{
    Err err = {0};
    Status st = OK;
    Inflate *z = inflate_new(kind);
    for (size_t i = 0; i < in.len && st == OK; i += piece) {
        const size_t n = in.len - i < piece ? in.len - i : piece;
        st = inflate_feed(z, (Bytes){in.ptr + i, n}, out, &err);
    }
    st = st == OK ? inflate_finish(z, &err) : st;
    inflate_free(z);
    return st;
}

static void fuzz_inflate(Bytes in, uint8_t param)
{
    const InflateKind kind = (InflateKind)(param % 3);
    Buf whole;
    Buf pieces;
    buf_init(&whole, OUT_MAX);
    buf_init(&pieces, OUT_MAX);
    const Status st = inflate_all(kind, in, SIZE_MAX / 2, &whole);
    ASSERT(inflate_all(kind, in, 1 + param / 3 % 7, &pieces) == st);
    ASSERT(st != OK || (whole.len == pieces.len &&
                        (whole.len == 0 || memcmp(whole.ptr, pieces.ptr, whole.len) == 0)));
    buf_deinit(&whole);
    buf_deinit(&pieces);
}

static void fuzz_compress(Bytes in, uint8_t param)
{
    static const size_t sizes[] = {0, 1, 7, 61, 100, 1000, 4096, OUT_MAX};
    Err err = {0};
    const CompressKind kind = (CompressKind)(param % 8);
    size_t size = sizes[param / 8 % ARRAY_LEN(sizes)];
    if (kind == COMPRESS_SNAPPY && compress_snappy_size(in, OUT_MAX, &size, &err) != OK) {
        return;
    }
    Compress *c = compress_new();
    uint8_t *out = mem_alloc_raw(size);
    (void)compress_decode(c, kind, in, out, size, &err);
    mem_free(out);
    compress_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    uint8_t *copy = mem_alloc_raw(size - 2); // so that reads past its end are seen
    memcpy(copy, data + 2, size - 2);
    const Bytes in = {copy, size - 2};
    switch (data[0] % 5) {
    case 0:
        fuzz_rle(in, data[1]);
        break;
    case 1:
        fuzz_delta(in);
        break;
    case 2:
        fuzz_strings(in);
        break;
    case 3:
        fuzz_inflate(in, data[1]);
        break;
    default:
        fuzz_compress(in, data[1]);
        break;
    }
    mem_free(copy);
    return 0;
}
