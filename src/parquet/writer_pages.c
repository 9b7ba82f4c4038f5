// SPDX-License-Identifier: Apache-2.0
//
// Data pages are V1 (docs/formats/parquet.md says why): repetition levels, definition levels,
// values, compressed as one. Levels are hybrid runs behind a length of four bytes.
#include "codec/bitpack.h"
#include "codec/bss.h"
#include "codec/crc.h"
#include "codec/delta.h"
#include "codec/rle.h"
#include "codec/varint.h"
#include "parquet/writer_internal.h"

ParquetEncoding writer_coding_encoding(WriterCoding coding)
{
    switch (coding) {
    case WRITER_PLAIN:
        return PARQUET_PLAIN;
    case WRITER_RLE:
        return PARQUET_RLE;
    case WRITER_DELTA:
        return PARQUET_DELTA_BINARY_PACKED;
    case WRITER_DELTA_LENGTH:
        return PARQUET_DELTA_LENGTH_BYTE_ARRAY;
    case WRITER_DELTA_TEXT:
        return PARQUET_DELTA_BYTE_ARRAY;
    case WRITER_SPLIT:
        return PARQUET_BYTE_STREAM_SPLIT;
    case WRITER_DICT:
    case WRITER_DICT_ALIGNED:
    case WRITER_DICT_SINGLES:
        return PARQUET_RLE_DICTIONARY;
    }
    UNREACHABLE();
}

// Puts a length of four bytes in front of what `out` gets until length_end().
static size_t length_begin(Buf *out)
{
    buf_put_u32le(out, 0);
    return out->len;
}

static void length_end(Buf *out, size_t start)
{
    if (!buf_ok(out)) {
        return; // the caller finds out
    }
    const uint32_t n = (uint32_t)(out->len - start);
    for (size_t i = 0; i < 4; i++) {
        out->ptr[start - 4 + i] = (uint8_t)(n >> (8 * i));
    }
}

static void put_levels(const WriterLeaf *leaf, const WriterSlots *s, Buf *out)
{
    RleEncoder rle;
    if (leaf->max_rep != 0) {
        const size_t start = length_begin(out);
        rle_encoder_init(&rle, out, bitpack_width_of(leaf->max_rep));
        rle_put_values(&rle, s->rep, s->slot_count);
        rle_encoder_finish(&rle);
        length_end(out, start);
    }
    if (leaf->max_def == 0) {
        return;
    }
    const size_t start = length_begin(out);
    rle_encoder_init(&rle, out, bitpack_width_of(leaf->max_def));
    switch (s->levels) {
    case WRITER_LEVELS_RUNS:
        for (size_t i = 0; i < s->def_runs->values.len; i++) {
            rle_put_run(&rle, s->def_runs->values.ptr[i], s->def_runs->counts.ptr[i]);
        }
        break;
    case WRITER_LEVELS_BITS:
        rle_put_bits(&rle, s->def_bits, s->def_bits_from, s->slot_count);
        break;
    case WRITER_LEVELS_ARRAY:
        rle_put_values(&rle, s->def, s->slot_count);
        break;
    }
    rle_encoder_finish(&rle);
    length_end(out, start);
}

// ---- values

static void put_bools(const uint8_t *v, uint32_t count, Buf *out)
{
    const size_t size = ((size_t)count + 7) / 8;
    uint8_t *p = buf_reserve(out, size);
    if (p == NULL) {
        return;
    }
    memset(p, 0, size);
    for (uint32_t i = 0; i < count; i++) {
        p[i / 8] = (uint8_t)(p[i / 8] | (unsigned)v[i] << (i % 8));
    }
    buf_commit(out, size);
}

static void put_bool_runs(const WriterView *view, const WriterSlots *s, Buf *out)
{
    RleEncoder rle;
    const uint8_t *pool = view->fixed;
    const uint32_t n = s->form == WRITER_RANGE ? s->value_count : s->ref_count;
    const size_t start = length_begin(out);
    rle_encoder_init(&rle, out, 1);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t ref = s->form == WRITER_RANGE ? s->first + i : s->refs[i];
        rle_put_run(&rle, pool[ref], s->form == WRITER_RUNS ? s->counts[i] : 1);
    }
    rle_encoder_finish(&rle);
    length_end(out, start);
}

static void put_split(const WriterValues *values, uint32_t width, Buf *out)
{
    const size_t size = (size_t)values->count * width;
    uint8_t *p = buf_reserve(out, size);
    if (p != NULL && size != 0) {
        bss_encode(values->fixed, values->count, width, p);
        buf_commit(out, size);
    }
}

static void put_text(WriterCoding coding, const WriterValues *values, Buf *out)
{
    const uint32_t *offsets = values->offsets.ptr;
    const uint8_t *bytes = values->bytes.ptr;
    if (coding == WRITER_DELTA_LENGTH) {
        delta_put_strings(out, offsets, bytes, values->count);
        return;
    }
    if (coding == WRITER_DELTA_TEXT) {
        delta_put_prefixed(out, offsets, bytes, values->count);
        return;
    }
    for (uint32_t i = 0; i < values->count; i++) {
        buf_put_u32le(out, offsets[i + 1] - offsets[i]);
        buf_put(out, bytes + offsets[i], offsets[i + 1] - offsets[i]);
    }
}

// The code of each value, one by one.
static const uint32_t *page_codes(WriterTools *tools, const WriterDict *dict, const WriterSlots *s)
{
    if (s->form == WRITER_RANGE) {
        return dict->code_of + s->first;
    }
    tools->codes.len = 0;
    uint32_t *out = writer_u32s_room(&tools->codes, s->value_count);
    for (uint32_t i = 0; i < s->ref_count; i++) {
        const uint32_t code = dict->code_of[s->refs[i]];
        for (uint32_t left = s->form == WRITER_RUNS ? s->counts[i] : 1; left != 0; left--) {
            *out++ = code;
        }
    }
    return tools->codes.ptr;
}

// A dictionary of one entry needs no bits, but some readers never saw that.
static unsigned code_width(const WriterDict *dict)
{
    return dict->count < 2 ? 1 : bitpack_width_of(dict->count - 1);
}

static void put_code_runs(WriterTools *tools, const WriterDict *dict, const WriterSlots *s,
                          Buf *out)
{
    RleEncoder rle;
    const unsigned width = code_width(dict);
    buf_put_u8(out, (uint8_t)width);
    rle_encoder_init(&rle, out, width);
    if (s->form == WRITER_RUNS) {
        for (uint32_t i = 0; i < s->ref_count; i++) {
            rle_put_run(&rle, dict->code_of[s->refs[i]], s->counts[i]);
        }
    } else if (s->value_count != 0) {
        rle_put_values(&rle, page_codes(tools, dict, s), s->value_count);
    }
    rle_encoder_finish(&rle);
}

// All codes as one bit-packed span: nothing but a short header interrupts the rhythm of their
// bytes.
static void put_code_span(WriterTools *tools, const WriterDict *dict, const WriterSlots *s,
                          unsigned width, Buf *out)
{
    static const uint32_t padding[8] = {0};
    buf_put_u8(out, (uint8_t)width);
    if (s->value_count == 0) {
        return;
    }
    const uint32_t whole = s->value_count & ~7u;
    const uint32_t rest = s->value_count & 7u;
    const uint32_t *codes = page_codes(tools, dict, s);
    varint_put_u64(out, (uint64_t)((whole + (rest != 0 ? 8 : 0)) / 8) << 1 | 1);
    uint8_t *p = buf_reserve(out, bitpack_size_bytes((size_t)whole + 8, width));
    if (p == NULL) {
        return;
    }
    bitpack_pack_u32(codes, whole, width, p);
    buf_commit(out, bitpack_size_bytes(whole, width));
    if (rest != 0) {
        uint32_t last[8];
        memcpy(last, padding, sizeof(last));
        memcpy(last, codes + whole, rest * sizeof(*last));
        bitpack_pack_u32(last, 8, width, out->ptr + out->len);
        buf_commit(out, width);
    }
}

// Each code as a run of one: a header of one byte and the code in three. That is a rhythm of four
// bytes, of which three seldom change, and which a match of zstd can therefore cover; codes of 24
// bits without the headers leave it no match that is long enough. (Codes of 32 bits would do as
// well, but hyparquet 1.31 takes them for zeroes.)
static void put_code_singles(WriterTools *tools, const WriterDict *dict, const WriterSlots *s,
                             Buf *out)
{
    enum { HEADER = 1 << 1 }; // a run of one
    const unsigned width = code_width(dict) > 17 ? code_width(dict) : 17;
    ASSERT(width <= 24); // see WRITER_DICTIONARY_MAX_BYTES
    buf_put_u8(out, (uint8_t)width);
    const uint32_t *codes = page_codes(tools, dict, s);
    uint8_t *p = buf_reserve(out, (size_t)s->value_count * 4 + 1);
    if (p == NULL) {
        return;
    }
    for (uint32_t i = 0; i < s->value_count; i++) {
        const uint32_t word = codes[i] << 8 | HEADER;
        memcpy(p + (size_t)i * 4, &word, sizeof(word)); // little-endian hosts only, as everywhere
    }
    buf_commit(out, (size_t)s->value_count * 4);
}

static void put_values(WriterTools *tools, const WriterView *view, const WriterDict *dict,
                       const WriterSlots *s, WriterBody *body, Buf *out)
{
    const WriterLeaf *leaf = view->leaf;
    WriterValues *values = &tools->values;
    switch (body->coding) {
    case WRITER_DICT:
        put_code_runs(tools, dict, s, out);
        return;
    case WRITER_DICT_ALIGNED:
        put_code_span(tools, dict, s, (code_width(dict) + 7) & ~7u, out);
        return;
    case WRITER_DICT_SINGLES:
        put_code_singles(tools, dict, s, out);
        return;
    case WRITER_RLE:
        put_bool_runs(view, s, out);
        return;
    case WRITER_DELTA:
        writer_values_gather(values, view, s);
        if (leaf->width == 4) {
            delta_put_i32(out, values->fixed, values->count);
        } else {
            delta_put_i64(out, values->fixed, values->count);
        }
        return;
    case WRITER_SPLIT:
        writer_values_gather(values, view, s);
        put_split(values, leaf->width, out);
        body->plane_bytes = values->count;
        return;
    case WRITER_PLAIN:
        if (leaf->width != 0) {
            writer_values_gather(values, view, s);
            if (leaf->order == WRITER_BOOL) {
                put_bools(values->fixed, values->count, out);
            } else {
                buf_put(out, values->fixed, (size_t)values->count * leaf->width);
            }
            return;
        }
        writer_values_gather_text(values, view, s);
        put_text(body->coding, values, out);
        return;
    case WRITER_DELTA_LENGTH:
    case WRITER_DELTA_TEXT:
        writer_values_gather_text(values, view, s);
        put_text(body->coding, values, out);
        return;
    }
}

// Whole numbers, but for times, in files that are not cold: what rows are searched by and summed.
static bool reads_count(const WriterTools *tools, const WriterLeaf *leaf)
{
    const WriterOrder order = leaf->order;
    const bool whole =
        order == WRITER_I32 || order == WRITER_I64 || order == WRITER_U32 || order == WRITER_U64;
    return whole && leaf->type != COLUMN_TIMESTAMP && tools->level < WRITER_COLD_LEVEL_MIN;
}

Status writer_page_body(WriterTools *tools, WriterView *view, const WriterDict *dict,
                        const WriterSlots *slots, WriterCoding coding, Buf *out, WriterBody *body,
                        Err *err)
{
    *body = (WriterBody){.from = out->len,
                         .coding = coding,
                         .slot_count = slots->slot_count,
                         .reads_count = reads_count(tools, view->leaf)};
    put_levels(view->leaf, slots, out);
    body->prefix = out->len - body->from;
    put_values(tools, view, dict, slots, body, out);
    body->len = out->len - body->from;
    if (!buf_ok(out) || !buf_ok(&tools->values.bytes) || body->len > PARQUET_PAGE_MAX_BYTES) {
        return err_set(err, ERR_TOO_LARGE, "page of more than %d bytes", PARQUET_PAGE_MAX_BYTES);
    }
    return OK;
}

// Measured: 1.2 ns for a stored byte, whose bits have to be looked up, and 0.3 ns for one that
// comes out, which is less when bytes come out in long matches.
size_t writer_undo_bytes(const WriterBody *body, size_t stored_bytes)
{
    if (!body->reads_count || stored_bytes >= body->len) {
        return 0;
    }
    const size_t in = stored_bytes / 4;
    const size_t out = body->len / 16;
    return in + (out < in ? out : in);
}

static Status compress_body(WriterTools *tools, Bytes in, const WriterBody *body, Buf *out,
                            Err *err)
{
    if (body->coding == WRITER_SPLIT && body->plane_bytes != 0) {
        return zshape_planes(tools->zshape, tools->level, in, body->prefix, body->plane_bytes, out,
                             err);
    }
    if (body->coding == WRITER_DICT_SINGLES) {
        return zshape_stride(tools->zshape, in, 4, out, err);
    }
    return compress_encode(tools->compress, COMPRESS_ZSTD, tools->level, in, out, err);
}

Status writer_body_compress(WriterTools *tools, const Buf *bodies, const WriterBody *body, Buf *out,
                            Err *err)
{
    const Bytes in = {.ptr = bodies->ptr + body->from, .len = body->len};
    const size_t start = out->len;
    TRY(compress_body(tools, in, body, out, err));
    const size_t stored_bytes = out->len - start;
    if (stored_bytes < in.len && stored_bytes + writer_undo_bytes(body, stored_bytes) >= in.len) {
        out->len = start;
        zshape_stored(in, out);
    }
    return OK;
}

Status writer_page_put(const ParquetPageHeader *header, Bytes stored, Buf *out, Err *err)
{
    ParquetPageHeader h = *header;
    if (stored.len > PARQUET_PAGE_MAX_BYTES) {
        return err_set(err, ERR_TOO_LARGE, "page of more than %d bytes", PARQUET_PAGE_MAX_BYTES);
    }
    h.compressed_bytes = (int32_t)stored.len;
    h.has_crc = true;
    h.crc = crc_ieee(0, stored);
    parquet_encode_page_header(&h, out);
    buf_put(out, stored.ptr, stored.len);
    return OK;
}
