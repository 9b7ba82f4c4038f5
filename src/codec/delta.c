// SPDX-License-Identifier: Apache-2.0
#include "codec/delta.h"

#include "base/mem.h"
#include "codec/bitpack.h"
#include "codec/codec_internal.h"
#include "codec/minmax.h"
#include "codec/varint.h"

//   header    = varint block values, varint miniblocks per block, varint count, zigzag first value
//   block     = zigzag least delta, one byte of width per miniblock, miniblocks
//   miniblock = delta - least delta, bit-packed
//
// The last miniblock that holds a value is whole, filled up with zeroes; those after it are absent,
// though their widths are present.

enum { BLOCK = 128, MINIBLOCKS = 4, MINIBLOCK = BLOCK / MINIBLOCKS };

// ---- encoding

typedef struct Encoder {
    Buf *out;
    bool started;
    bool narrow; // 32-bit arithmetic
    int64_t prev;
    size_t len;
    int64_t deltas[BLOCK];
} Encoder;

static void encoder_begin(Encoder *e, Buf *out, size_t count, bool narrow)
{
    e->out = out;
    e->started = false;
    e->narrow = narrow;
    e->len = 0;
    memset(e->deltas, 0, sizeof(e->deltas)); // all are read, whatever `len` is
    varint_put_u64(out, BLOCK);
    varint_put_u64(out, MINIBLOCKS);
    varint_put_u64(out, count);
    if (count == 0) {
        varint_put_i64(out, 0);
    }
}

static void write_block(Encoder *e)
{
    if (e->len == 0) {
        return;
    }
    int64_t min = 0;
    int64_t max = 0;
    minmax_i64(e->deltas, e->len, &min, &max);
    uint64_t above[BLOCK];
    for (size_t i = 0; i < BLOCK; i++) { // a constant number of times: it becomes vector code
        above[i] = (uint64_t)e->deltas[i] - (uint64_t)min;
    }
    if (e->len < BLOCK) {
        memset(above + e->len, 0, (BLOCK - e->len) * sizeof(*above));
    }
    varint_put_i64(e->out, min);
    uint8_t widths[MINIBLOCKS] = {0};
    const size_t used = (e->len + MINIBLOCK - 1) / MINIBLOCK;
    for (size_t m = 0; m < used; m++) {
        widths[m] = (uint8_t)bitpack_width_u64(above + m * MINIBLOCK, MINIBLOCK);
    }
    buf_put(e->out, widths, sizeof(widths));
    for (size_t m = 0; m < used; m++) {
        const size_t size = bitpack_size_bytes(MINIBLOCK, widths[m]);
        uint8_t *p = buf_reserve(e->out, size);
        if (p != NULL) {
            bitpack_pack_u64(above + m * MINIBLOCK, MINIBLOCK, widths[m], p);
            buf_commit(e->out, size);
        }
    }
    e->len = 0;
}

static inline void encoder_put(Encoder *e, int64_t v)
{
    if (!e->started) {
        e->started = true;
        e->prev = v;
        varint_put_i64(e->out, v);
        return;
    }
    // Wraps around, in the width of the type: the decoder's sum wraps back.
    const uint64_t delta = (uint64_t)v - (uint64_t)e->prev;
    e->deltas[e->len++] = e->narrow ? (int32_t)(uint32_t)delta : (int64_t)delta;
    e->prev = v;
    if (e->len == BLOCK) {
        write_block(e);
    }
}

void delta_put_i32(Buf *out, const int32_t *values, size_t count)
{
    Encoder e;
    encoder_begin(&e, out, count, true);
    for (size_t i = 0; i < count; i++) {
        encoder_put(&e, values[i]);
    }
    write_block(&e);
}

void delta_put_i64(Buf *out, const int64_t *values, size_t count)
{
    Encoder e;
    encoder_begin(&e, out, count, false);
    size_t i = 0;
    if (count > 0) {
        encoder_put(&e, values[i++]);
    }
    for (; i + BLOCK <= count; i += BLOCK) {
        for (size_t k = 0; k < BLOCK; k++) {
            e.deltas[k] = (int64_t)((uint64_t)values[i + k] - (uint64_t)values[i + k - 1]);
        }
        e.len = BLOCK;
        e.prev = values[i + BLOCK - 1];
        write_block(&e);
    }
    for (; i < count; i++) {
        encoder_put(&e, values[i]);
    }
    write_block(&e);
}

static inline uint32_t length_at(const uint32_t *offsets, size_t i)
{
    return offsets[i + 1] - offsets[i];
}

void delta_put_strings(Buf *out, const uint32_t *offsets, const uint8_t *bytes, size_t count)
{
    Encoder e;
    encoder_begin(&e, out, count, true);
    for (size_t i = 0; i < count; i++) {
        encoder_put(&e, (int32_t)length_at(offsets, i));
    }
    write_block(&e);
    if (count > 0) {
        buf_put(out, bytes + offsets[0], offsets[count] - offsets[0]);
    }
}

static uint32_t common_prefix(const uint8_t *a, const uint8_t *b, uint32_t max)
{
    uint32_t i = 0;
    while (i + 8 <= max) {
        const uint64_t differ = codec_load_u64(a + i) ^ codec_load_u64(b + i);
        if (differ != 0) {
            return i + (uint32_t)__builtin_ctzll(differ) / 8;
        }
        i += 8;
    }
    while (i < max && a[i] == b[i]) {
        i++;
    }
    return i;
}

void delta_put_prefixed(Buf *out, const uint32_t *offsets, const uint8_t *bytes, size_t count)
{
    uint32_t *prefix = mem_new(uint32_t, count);
    Encoder e;
    encoder_begin(&e, out, count, true);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            const uint32_t before = length_at(offsets, i - 1);
            const uint32_t len = length_at(offsets, i);
            const uint32_t max = before < len ? before : len;
            prefix[i] =
                max == 0 ? 0 : common_prefix(bytes + offsets[i - 1], bytes + offsets[i], max);
        }
        encoder_put(&e, (int32_t)prefix[i]);
    }
    write_block(&e);
    encoder_begin(&e, out, count, true);
    for (size_t i = 0; i < count; i++) {
        encoder_put(&e, (int32_t)(length_at(offsets, i) - prefix[i]));
    }
    write_block(&e);
    for (size_t i = 0; i < count; i++) {
        buf_put(out, bytes + offsets[i] + prefix[i], length_at(offsets, i) - prefix[i]);
    }
    mem_free(prefix);
}

// ---- decoding

typedef struct Header {
    uint32_t miniblocks;       // per block
    uint32_t miniblock_values; // a multiple of 8
    int64_t first;
} Header;

static Status cut_short(Err *err)
{
    return err_set(err, ERR_CORRUPT, "delta data ends early");
}

static Status read_header(Reader *r, size_t count, Header *h, Err *err)
{
    const uint32_t block = varint_get_u32(r);
    h->miniblocks = varint_get_u32(r);
    const uint64_t total = varint_get_u64(r);
    h->first = varint_get_i64(r);
    if (!reader_ok(r)) {
        return cut_short(err);
    }
    if (block == 0 || block > DELTA_BLOCK_VALUES_MAX || h->miniblocks == 0 ||
        h->miniblocks > DELTA_MINIBLOCKS_MAX || block % h->miniblocks != 0 ||
        block / h->miniblocks % 8 != 0) {
        return err_set(err, ERR_CORRUPT,
                       "delta blocks of %" PRIu32 " values in %" PRIu32 " miniblocks", block,
                       h->miniblocks);
    }
    h->miniblock_values = block / h->miniblocks;
    if (total != count) {
        return err_set(err, ERR_CORRUPT, "delta data of %" PRIu64 " values, expected %zu", total,
                       count);
    }
    return OK;
}

enum { CHUNK = 256 }; // values unpacked at a time; a multiple of 8

// out[i] = sum of the deltas up to i, from prev on.
static uint64_t sum_i64(Bytes packed, unsigned width, uint64_t min, uint64_t prev,
                        int64_t *restrict out, size_t n)
{
    uint64_t above[CHUNK];
    for (size_t from = 0; from < n; from += CHUNK) {
        const size_t len = n - from < CHUNK ? n - from : CHUNK;
        const size_t at = from / 8 * width;
        bitpack_unpack_u64_within((Bytes){packed.ptr + at, packed.len - at}, len, width, above);
        for (size_t i = 0; i < len; i++) {
            prev += min + above[i];
            out[from + i] = (int64_t)prev;
        }
    }
    return prev;
}

static uint32_t sum_i32(Bytes packed, unsigned width, uint32_t min, uint32_t prev,
                        int32_t *restrict out, size_t n)
{
    uint32_t above[CHUNK];
    for (size_t from = 0; from < n; from += CHUNK) {
        const size_t len = n - from < CHUNK ? n - from : CHUNK;
        const size_t at = from / 8 * width;
        bitpack_unpack_u32_within((Bytes){packed.ptr + at, packed.len - at}, len, width, above);
        for (size_t i = 0; i < len; i++) {
            prev += min + above[i];
            out[from + i] = (int32_t)prev;
        }
    }
    return prev;
}

// The packed bytes of a miniblock, and all that follow it.
static Status read_miniblock(Reader *r, const Header *h, unsigned width, unsigned width_max,
                             Bytes *out, Err *err)
{
    if (width > width_max) {
        return err_set(err, ERR_CORRUPT, "delta width of %u bits", width);
    }
    const uint8_t *start = r->pos;
    (void)reader_bytes(r, (uint64_t)h->miniblock_values / 8 * width);
    if (!reader_ok(r)) {
        return cut_short(err);
    }
    *out = (Bytes){start, (size_t)(r->end - start)};
    return OK;
}

Status delta_get_i64(Reader *r, size_t count, int64_t *out, Err *err)
{
    Header h = {0};
    if (count == 0 && reader_left(r) == 0 && reader_ok(r)) {
        return OK; // some writers write nothing when there is nothing
    }
    TRY(read_header(r, count, &h, err));
    if (count == 0) {
        return OK;
    }
    uint64_t prev = (uint64_t)h.first;
    out[0] = h.first;
    size_t done = 1;
    while (done < count) {
        const int64_t min = varint_get_i64(r);
        const Bytes widths = reader_bytes(r, h.miniblocks);
        if (!reader_ok(r)) {
            return cut_short(err);
        }
        for (uint32_t m = 0; m < h.miniblocks && done < count; m++) {
            Bytes packed = {0};
            TRY(read_miniblock(r, &h, widths.ptr[m], 64, &packed, err));
            const size_t left = count - done;
            const size_t n = left < h.miniblock_values ? left : h.miniblock_values;
            prev = sum_i64(packed, widths.ptr[m], (uint64_t)min, prev, out + done, n);
            done += n;
        }
    }
    return OK;
}

Status delta_get_i32(Reader *r, size_t count, int32_t *out, Err *err)
{
    Header h = {0};
    if (count == 0 && reader_left(r) == 0 && reader_ok(r)) {
        return OK;
    }
    TRY(read_header(r, count, &h, err));
    if (count == 0) {
        return OK;
    }
    uint32_t prev = (uint32_t)h.first;
    out[0] = (int32_t)prev;
    size_t done = 1;
    while (done < count) {
        const int64_t min = varint_get_i64(r);
        const Bytes widths = reader_bytes(r, h.miniblocks);
        if (!reader_ok(r)) {
            return cut_short(err);
        }
        for (uint32_t m = 0; m < h.miniblocks && done < count; m++) {
            Bytes packed = {0};
            TRY(read_miniblock(r, &h, widths.ptr[m], 32, &packed, err));
            const size_t left = count - done;
            const size_t n = left < h.miniblock_values ? left : h.miniblock_values;
            prev = sum_i32(packed, widths.ptr[m], (uint32_t)min, prev, out + done, n);
            done += n;
        }
    }
    return OK;
}

Status delta_get_strings(Reader *r, size_t count, uint32_t *offsets, Bytes *bytes, Err *err)
{
    *bytes = (Bytes){0};
    offsets[0] = 0;
    int32_t *lengths = (int32_t *)(offsets + 1);
    TRY(delta_get_i32(r, count, lengths, err));
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++) {
        if (lengths[i] < 0) {
            return err_set(err, ERR_CORRUPT, "string %zu has length %" PRId32, i, lengths[i]);
        }
        end += (uint32_t)lengths[i];
        if (end > UINT32_MAX) {
            return err_set(err, ERR_LIMIT, "strings of more than 4 GiB");
        }
        offsets[i + 1] = (uint32_t)end;
    }
    *bytes = reader_bytes(r, end);
    return reader_ok(r) ? OK : cut_short(err);
}

// The total size of the strings; checks the prefixes on the way. On entry offsets are those of the
// suffixes, on success those of the whole strings.
static Status size_prefixed(const int32_t *prefix, size_t count, uint32_t *offsets, Err *err)
{
    uint64_t end = 0;
    uint32_t before = 0; // length of the previous string
    uint32_t suffix_start = offsets[0];
    for (size_t i = 0; i < count; i++) {
        const uint32_t suffix = offsets[i + 1] - suffix_start;
        suffix_start = offsets[i + 1];
        if (prefix[i] < 0 || (uint32_t)prefix[i] > before) {
            return err_set(err, ERR_CORRUPT, "string %zu has a prefix of %" PRId32 " of %" PRIu32,
                           i, prefix[i], before);
        }
        const uint64_t len = (uint64_t)(uint32_t)prefix[i] + suffix;
        end += len;
        if (end > UINT32_MAX) {
            return err_set(err, ERR_LIMIT, "strings of more than 4 GiB");
        }
        before = (uint32_t)len;
        offsets[i + 1] = (uint32_t)end;
    }
    return OK;
}

Status delta_get_prefixed(Reader *r, size_t count, uint32_t *offsets, Buf *bytes, Err *err)
{
    Status st = OK;
    Bytes suffixes = {0};
    int32_t *prefix = mem_new(int32_t, count);
    uint8_t *out = NULL;
    TRY_OUT(delta_get_i32(r, count, prefix, err));
    TRY_OUT(delta_get_strings(r, count, offsets, &suffixes, err));
    TRY_OUT(size_prefixed(prefix, count, offsets, err));
    if (offsets[count] == 0) {
        goto out;
    }
    out = buf_reserve(bytes, offsets[count]);
    if (out == NULL) {
        TRY_OUT(
            err_set(err, ERR_LIMIT, "%" PRIu32 " bytes of strings are too many", offsets[count]));
    }
    for (size_t i = 0; i < count; i++) {
        const uint32_t shared = (uint32_t)prefix[i];
        const uint32_t rest = offsets[i + 1] - offsets[i] - shared;
        uint8_t *to = out + offsets[i];
        if (shared > 0) {
            memcpy(to, out + offsets[i - 1], shared);
        }
        if (rest > 0) {
            memcpy(to + shared, suffixes.ptr, rest);
            suffixes.ptr += rest;
        }
    }
    buf_commit(bytes, offsets[count]);
out:
    mem_free(prefix);
    return st;
}
