// SPDX-License-Identifier: Apache-2.0
//
// One page's values to arrays (apache/parquet-format Encodings.md). The delta encodings are decoded
// as a whole when the page begins; all others as rows are asked for, so that what is passed over
// costs little.
#include "base/mem.h"
#include "codec/bss.h"
#include "codec/delta.h"
#include "codec/varint.h"
#include "parquet/reader_internal.h"

void parquet_values_deinit(ParquetValues *v)
{
    parquet_scratch_deinit(&v->decoded);
    parquet_scratch_deinit(&v->decoded_offsets);
    parquet_scratch_deinit(&v->temp);
    buf_deinit(&v->decoded_bytes);
    *v = (ParquetValues){0};
}

static Status cut_short(Err *err)
{
    return err_set(err, ERR_CORRUPT, "fewer values than rows");
}

static Status wrong_encoding(const ParquetLeaf *leaf, ParquetEncoding encoding, Err *err)
{
    return err_set(err, ERR_UNSUPPORTED, "encoding %d of physical type %d", (int)encoding,
                   (int)leaf->element->type);
}

// ---- beginning a page

static Status begin_codes(ParquetValues *v, Bytes in, Err *err)
{
    v->kind = PARQUET_VALUES_CODES;
    // Width, then runs. A page of nulls may have nothing at all, not even a dictionary.
    if (in.len == 0 || v->dictionary->code_count == 0) {
        return rle_decoder_init(&v->rle, (Bytes){0}, 0, 0, err);
    }
    return rle_decoder_init(&v->rle, (Bytes){.ptr = in.ptr + 1, .len = in.len - 1}, in.ptr[0],
                            v->dictionary->code_count - 1, err);
}

static Status begin_plain(ParquetValues *v, Bytes in)
{
    v->in = in;
    switch (v->leaf->element->type) {
    case PARQUET_BOOLEAN:
        v->kind = PARQUET_VALUES_BITS;
        v->count = (uint64_t)in.len * 8;
        break;
    case PARQUET_BYTE_ARRAY:
        v->kind = PARQUET_VALUES_TEXT;
        break;
    case PARQUET_INT32:
    case PARQUET_INT64:
    case PARQUET_INT96:
    case PARQUET_FLOAT:
    case PARQUET_DOUBLE:
    case PARQUET_FIXED_LEN_BYTE_ARRAY:
        v->kind = PARQUET_VALUES_PLAIN;
        v->count = in.len / v->leaf->width;
        break;
    }
    return OK;
}

static Status begin_rle(ParquetValues *v, const ParquetPageHeader *header, Bytes in, Err *err)
{
    if (v->leaf->element->type != PARQUET_BOOLEAN) {
        return wrong_encoding(v->leaf, header->encoding, err);
    }
    v->kind = PARQUET_VALUES_RLE;
    Reader r = reader_of(in);
    const uint32_t size = reader_u32le(&r);
    const Bytes runs = reader_bytes(&r, size);
    if (!reader_ok(&r) && in.len > 0) { // a page of nulls may be empty
        return err_set(err, ERR_CORRUPT, "RLE booleans are cut short");
    }
    return rle_decoder_init(&v->rle, runs, 1, 1, err);
}

static Status begin_split(ParquetValues *v, const ParquetPageHeader *header, Bytes in, Err *err)
{
    if (v->leaf->width == 0 || v->leaf->width > BSS_WIDTH_MAX) {
        return wrong_encoding(v->leaf, header->encoding, err);
    }
    v->kind = PARQUET_VALUES_SPLIT;
    v->in = in;
    v->count = in.len / v->leaf->width;
    if (in.len % v->leaf->width != 0) {
        return err_set(err, ERR_CORRUPT, "BYTE_STREAM_SPLIT of %zu bytes for values of %u", in.len,
                       v->leaf->width);
    }
    return OK;
}

// How many values a delta stream says it has, from its header: <values per block> <miniblocks>
// <values> <first>. Bounded by the page's own count, and so that decoding stays below the limit of
// a page.
static Status delta_count(Bytes in, const ParquetPageHeader *header, size_t width, size_t *count,
                          Err *err)
{
    Reader r = reader_of(in);
    (void)varint_get_u64(&r);
    (void)varint_get_u64(&r);
    const uint64_t n = varint_get_u64(&r);
    *count = 0;
    if (!reader_ok(&r)) {
        return err_set(err, ERR_CORRUPT, "delta header is cut short");
    }
    if (n > (uint64_t)header->value_count) {
        return err_set(err, ERR_CORRUPT, "%" PRIu64 " delta values in a page of %d", n,
                       header->value_count);
    }
    if (n > PARQUET_PAGE_MAX_BYTES / width) {
        return err_set(err, ERR_TOO_LARGE, "%" PRIu64 " delta values in one page", n);
    }
    *count = (size_t)n;
    return OK;
}

static Status begin_delta(ParquetValues *v, const ParquetPageHeader *header, Bytes in, Err *err)
{
    const ParquetPhysical type = v->leaf->element->type;
    size_t count = 0;
    if (type != PARQUET_INT32 && type != PARQUET_INT64) {
        return wrong_encoding(v->leaf, header->encoding, err);
    }
    v->kind = PARQUET_VALUES_PLAIN;
    if (in.len == 0) {
        return OK;
    }
    TRY(delta_count(in, header, v->leaf->width, &count, err));
    Reader r = reader_of(in);
    TRY(parquet_scratch_claim(v->ctx, &v->decoded, count * v->leaf->width, err));
    void *out = v->decoded.ptr;
    if (type == PARQUET_INT32) {
        TRY(delta_get_i32(&r, count, out, err));
    } else {
        TRY(delta_get_i64(&r, count, out, err));
    }
    v->in = (Bytes){.ptr = out, .len = count * v->leaf->width};
    v->count = count;
    return OK;
}

static Status check_widths(const ParquetValues *v, Err *err)
{
    for (uint64_t i = 0; v->leaf->width != 0 && i < v->count; i++) {
        if (v->offsets[i + 1] - v->offsets[i] != v->leaf->width) {
            return err_set(err, ERR_CORRUPT, "value of %u bytes in a column of %u",
                           v->offsets[i + 1] - v->offsets[i], v->leaf->width);
        }
    }
    return OK;
}

// How long the texts become is known only while they are decoded.
static Status decode_prefixed(ParquetValues *v, Reader *r, size_t count, uint32_t *offsets,
                              Err *err)
{
    Buf *bytes = &v->decoded_bytes;
    const size_t before = bytes->cap;
    const uint64_t others = v->ctx->page_bytes - before;
    const uint64_t left = others < PARQUET_SCAN_PAGES_MAX_BYTES
                              ? PARQUET_SCAN_PAGES_MAX_BYTES - others
                              : 1; // 0 would be no maximum
    buf_clear(bytes);
    bytes->max_bytes = left < PARQUET_PAGE_MAX_BYTES ? (size_t)left : PARQUET_PAGE_MAX_BYTES;
    const Status st = delta_get_prefixed(r, count, offsets, bytes, err);
    v->ctx->page_bytes = others + bytes->cap;
    return st;
}

static Status begin_delta_text(ParquetValues *v, const ParquetPageHeader *header, Bytes in,
                               Err *err)
{
    const ParquetPhysical type = v->leaf->element->type;
    const bool prefixed = header->encoding == PARQUET_DELTA_BYTE_ARRAY;
    size_t count = 0;
    if (type != PARQUET_BYTE_ARRAY && !(prefixed && type == PARQUET_FIXED_LEN_BYTE_ARRAY)) {
        return wrong_encoding(v->leaf, header->encoding, err);
    }
    v->kind = PARQUET_VALUES_STRINGS;
    if (in.len == 0) {
        return OK;
    }
    TRY(delta_count(in, header, sizeof(uint32_t), &count, err));
    Reader r = reader_of(in);
    TRY(parquet_scratch_claim(v->ctx, &v->decoded_offsets, (count + 1) * sizeof(uint32_t), err));
    uint32_t *offsets = (uint32_t *)(void *)v->decoded_offsets.ptr;
    Bytes bytes = {0};
    if (prefixed) {
        TRY(decode_prefixed(v, &r, count, offsets, err));
        bytes = buf_bytes(&v->decoded_bytes);
    } else {
        TRY(delta_get_strings(&r, count, offsets, &bytes, err));
    }
    v->offsets = offsets;
    v->bytes = bytes.ptr;
    v->count = count;
    TRY(check_widths(v, err));
    if (v->leaf->convert !=
        PARQUET_CONVERT_BYTES) { // FIXED_LEN_BYTE_ARRAY that is a UUID or FLOAT16
        v->kind = PARQUET_VALUES_PLAIN;
        v->in = bytes;
        return OK;
    }
    return parquet_text_check(v->leaf, offsets, bytes.ptr, count, err);
}

Status parquet_values_begin(ParquetValues *v, const ParquetLeaf *leaf,
                            const ParquetDictionary *dictionary, const ParquetPageHeader *header,
                            Bytes in, Err *err)
{
    *v = (ParquetValues){.ctx = v->ctx,
                         .leaf = leaf,
                         .dictionary = dictionary,
                         .decoded = v->decoded,
                         .decoded_offsets = v->decoded_offsets,
                         .decoded_bytes = v->decoded_bytes,
                         .temp = v->temp};
    switch (header->encoding) {
    case PARQUET_PLAIN:
        return begin_plain(v, in);
    case PARQUET_PLAIN_DICTIONARY:
    case PARQUET_RLE_DICTIONARY:
        return begin_codes(v, in, err);
    case PARQUET_RLE:
        return begin_rle(v, header, in, err);
    case PARQUET_DELTA_BINARY_PACKED:
        return begin_delta(v, header, in, err);
    case PARQUET_DELTA_LENGTH_BYTE_ARRAY:
    case PARQUET_DELTA_BYTE_ARRAY:
        return begin_delta_text(v, header, in, err);
    case PARQUET_BYTE_STREAM_SPLIT:
        return begin_split(v, header, in, err);
    case PARQUET_BIT_PACKED:
        break;
    }
    return wrong_encoding(leaf, header->encoding, err);
}

// ---- passing over values

static Status skip_text(ParquetValues *v, uint64_t count, Err *err)
{
    for (uint64_t i = 0; i < count; i++) {
        uint32_t len = 0;
        if (v->in.len - v->pos < sizeof(len)) {
            return cut_short(err);
        }
        memcpy(&len, v->in.ptr + v->pos, sizeof(len));
        if (v->in.len - v->pos - sizeof(len) < len) {
            return err_set(err, ERR_CORRUPT, "text of %u bytes reaches past the page", len);
        }
        v->pos += sizeof(len) + len;
    }
    return OK;
}

Status parquet_values_skip(ParquetValues *v, uint64_t count, Err *err)
{
    switch (v->kind) {
    case PARQUET_VALUES_PLAIN:
    case PARQUET_VALUES_STRINGS:
    case PARQUET_VALUES_SPLIT:
    case PARQUET_VALUES_BITS:
        if (count > v->count - v->index) {
            return cut_short(err);
        }
        v->index += count;
        return OK;
    case PARQUET_VALUES_TEXT:
        return skip_text(v, count, err);
    case PARQUET_VALUES_RLE:
    case PARQUET_VALUES_CODES:
        return rle_skip(&v->rle, count, err);
    }
    UNREACHABLE();
}

// ---- codes

Status parquet_values_codes(ParquetValues *v, uint32_t *out, size_t count, Err *err)
{
    if (count > 0 && v->dictionary->code_count == 0) {
        return err_set(err, ERR_CORRUPT, "codes without a dictionary");
    }
    TRY(rle_decode(&v->rle, out, count, err));
    const uint32_t *remap = v->dictionary->remap;
    for (size_t i = 0; remap != NULL && i < count; i++) {
        out[i] = remap[out[i]];
    }
    return OK;
}

// ---- fixed-size types

// Bit i of `bits` -> byte i, 0 or 1.
static void expand_bits(const uint8_t *bits, size_t from, size_t count, uint8_t *out)
{
    size_t i = 0;
    for (; i < count && ((from + i) & 7) != 0; i++) {
        out[i] = bits[(from + i) >> 3] >> ((from + i) & 7) & 1;
    }
    for (; i + 8 <= count; i += 8) {
        // Byte k keeps bit k of the eight; then every byte that is not 0 becomes 1.
        const uint64_t each =
            bits[(from + i) >> 3] * UINT64_C(0x0101010101010101) & UINT64_C(0x8040201008040201);
        const uint64_t ones =
            (each + UINT64_C(0x7f7f7f7f7f7f7f7f)) >> 7 & UINT64_C(0x0101010101010101);
        memcpy(out + i, &ones, sizeof(ones));
    }
    for (; i < count; i++) {
        out[i] = bits[(from + i) >> 3] >> ((from + i) & 7) & 1;
    }
}

static Status read_bools(ParquetValues *v, uint8_t *out, size_t count, Err *err)
{
    if (v->kind == PARQUET_VALUES_BITS) {
        if (count > v->count - v->index) {
            return cut_short(err);
        }
        expand_bits(v->in.ptr, (size_t)v->index, count, out);
        v->index += count;
        return OK;
    }
    size_t ones = 0;
    uint64_t *bits = parquet_scratch_need(&v->temp, (count + 63) / 64 * sizeof(*bits));
    TRY(rle_decode_bits(&v->rle, bits, 0, count, &ones, err));
    expand_bits((const uint8_t *)bits, 0, count, out);
    return OK;
}

Status parquet_values_fixed(ParquetValues *v, void *out, size_t count, Err *err)
{
    const ParquetLeaf *leaf = v->leaf;
    if (leaf->convert == PARQUET_CONVERT_BOOL) {
        return read_bools(v, out, count, err);
    }
    if (count > v->count - v->index) {
        return cut_short(err);
    }
    const size_t index = (size_t)v->index;
    v->index += count;
    if (count == 0) {
        return OK;
    }
    if (v->kind == PARQUET_VALUES_PLAIN) {
        return parquet_convert(leaf, v->in.ptr + index * leaf->width, count, out, err);
    }
    ASSERT(v->kind == PARQUET_VALUES_SPLIT);
    if (leaf->convert == PARQUET_CONVERT_COPY) {
        bss_decode_range(v->in.ptr, (size_t)v->count, index, count, leaf->width, out);
        return OK;
    }
    uint8_t *raw = parquet_scratch_need(&v->temp, count * leaf->width);
    bss_decode_range(v->in.ptr, (size_t)v->count, index, count, leaf->width, raw);
    return parquet_convert(leaf, raw, count, out, err);
}

const void *parquet_values_view(ParquetValues *v, size_t count)
{
    if (v->kind != PARQUET_VALUES_PLAIN || v->leaf->convert != PARQUET_CONVERT_COPY ||
        count > v->count - v->index) {
        return NULL;
    }
    const uint8_t *p = v->in.ptr + v->index * v->leaf->width;
    const size_t align = v->leaf->width < 8 ? v->leaf->width : 8;
    if (((uintptr_t)p & (align - 1)) != 0) {
        return NULL;
    }
    v->index += count;
    return p;
}

// ---- text

// Copies short values 16 bytes at a time, which is one load and one store; both sides have room for
// that all but at the very end of the page.
static void copy_text(uint8_t *to, const uint8_t *from, size_t len, size_t from_left)
{
    if (len <= 16 && from_left >= 16) {
        memcpy(to, from, 16);
    } else if (len > 0) {
        memcpy(to, from, len);
    }
}

static Status read_text(ParquetValues *v, uint32_t *offsets, ParquetText *text, size_t count,
                        Err *err)
{
    // The rest of the page is room enough; the scratch adds the bytes a short copy may write past.
    uint8_t *to = parquet_scratch_grow(&text->bytes, text->used, text->used + (v->in.len - v->pos));
    const uint8_t *in = v->in.ptr;
    size_t pos = v->pos, used = text->used;
    const size_t end = v->in.len;
    for (size_t i = 0; i < count; i++) {
        uint32_t len = 0;
        if (end - pos < sizeof(len)) {
            return cut_short(err);
        }
        memcpy(&len, in + pos, sizeof(len));
        pos += sizeof(len);
        if (len > end - pos) {
            return err_set(err, ERR_CORRUPT, "text of %u bytes reaches past the page", len);
        }
        offsets[i] = (uint32_t)used;
        copy_text(to + used, in + pos, len, end - pos);
        pos += len;
        used += len;
    }
    offsets[count] = (uint32_t)used;
    v->pos = pos;
    text->used = used;
    return OK;
}

static void append_strings(ParquetValues *v, uint32_t *offsets, ParquetText *text, size_t count)
{
    const uint32_t *from = v->offsets + v->index;
    const size_t bytes = from[count] - from[0];
    uint8_t *to = parquet_scratch_grow(&text->bytes, text->used, text->used + bytes);
    if (bytes > 0) {
        memcpy(to + text->used, v->bytes + from[0], bytes);
    }
    const uint32_t shift = (uint32_t)text->used - from[0];
    for (size_t i = 0; i <= count; i++) {
        offsets[i] = from[i] + shift;
    }
    text->used += bytes;
    v->index += count;
}

// FIXED_LEN_BYTE_ARRAY, plain or split.
static void append_fixed(ParquetValues *v, uint32_t *offsets, ParquetText *text, size_t count)
{
    const size_t width = v->leaf->width, index = (size_t)v->index;
    uint8_t *to = parquet_scratch_grow(&text->bytes, text->used, text->used + count * width);
    if (v->kind == PARQUET_VALUES_SPLIT) {
        bss_decode_range(v->in.ptr, (size_t)v->count, index, count, width, to + text->used);
    } else if (count > 0) {
        memcpy(to + text->used, v->in.ptr + index * width, count * width);
    }
    for (size_t i = 0; i <= count; i++) {
        offsets[i] = (uint32_t)(text->used + i * width);
    }
    text->used += count * width;
    v->index += count;
}

Status parquet_values_text(ParquetValues *v, uint32_t *offsets, ParquetText *text, size_t count,
                           Err *err)
{
    const size_t before = text->used;
    if (v->kind == PARQUET_VALUES_TEXT) {
        TRY(read_text(v, offsets, text, count, err));
    } else if (count > v->count - v->index) {
        return cut_short(err);
    } else if (v->kind == PARQUET_VALUES_STRINGS) {
        if (v->offsets == NULL) { // an empty page: count is 0
            offsets[0] = (uint32_t)text->used;
            return OK;
        }
        append_strings(v, offsets, text, count); // checked when the page began
        return OK;
    } else {
        append_fixed(v, offsets, text, count);
    }
    ASSERT(text->used >= before);
    return parquet_text_check(v->leaf, offsets, text->bytes.ptr, count, err);
}

bool parquet_values_text_view(ParquetValues *v, size_t count, const uint32_t **offsets,
                              const uint8_t **bytes)
{
    if (v->kind != PARQUET_VALUES_STRINGS || v->offsets == NULL || count > v->count - v->index) {
        return false;
    }
    *offsets = v->offsets + v->index;
    *bytes = v->bytes;
    v->index += count;
    return true;
}
