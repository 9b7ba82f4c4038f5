// SPDX-License-Identifier: Apache-2.0
//
// From the bytes of a column chunk to pages: headers, checksums, decompression, and the parts a
// data page is made of (apache/parquet-format README.md, "Data Pages"; parquet.thrift, PageHeader).
#include "codec/crc.h"
#include "parquet/reader_internal.h"

enum {
    HEADER_GUESS_BYTES = 64 << 10,
    // Writers before parquet-mr 1.2.9 left the header of the dictionary page out of the size of the
    // chunk (PARQUET-816). What is read past the end of a chunk is still inside the file.
    CHUNK_SLACK_BYTES = 100,
};

void parquet_pages_clear(ParquetPages *p)
{
    if (p->holds_range) {
        parquet_fetch_release(&p->ctx->fetch, p->held_range);
    }
    *p = (ParquetPages){.window = p->window, .plain = p->plain};
}

void parquet_pages_deinit(ParquetPages *p)
{
    parquet_scratch_deinit(&p->window);
    parquet_scratch_deinit(&p->plain);
    *p = (ParquetPages){0};
}

Status parquet_chunk_extent(const ParquetReader *r, const ParquetColumnChunk *chunk,
                            uint64_t *offset, uint64_t *size, Err *err)
{
    const uint64_t data = (uint64_t)chunk->data_page_offset;
    const uint64_t dictionary = (uint64_t)chunk->dictionary_page_offset;
    // A dictionary that is said to follow the data is not where it is said to be; pages are then
    // taken as they come.
    const uint64_t start = dictionary > 0 && dictionary < data ? dictionary : data;
    const uint64_t bytes = (uint64_t)chunk->compressed_bytes;
    *offset = 0;
    *size = 0;
    if (start > r->data_end || bytes > r->data_end - start) {
        return err_set(err, ERR_CORRUPT,
                       "chunk of %" PRIu64 " bytes at %" PRIu64
                       " reaches past the data at %" PRIu64,
                       bytes, start, r->data_end);
    }
    const uint64_t slack = r->data_end - start - bytes;
    *offset = start;
    *size = bytes + (slack < CHUNK_SLACK_BYTES ? slack : CHUNK_SLACK_BYTES);
    return OK;
}

// At least `want` bytes of the file at `offset`, which with them is inside the chunk; *out may hold
// more. Valid until the next call.
static Status window_bytes(ParquetPages *p, uint64_t offset, uint64_t want, Bytes *out, Err *err)
{
    ASSERT(offset <= p->end && want <= p->end - offset);
    uint64_t have = 0;
    if (offset >= p->window_offset && offset <= p->window_offset + p->window_size) {
        have = p->window_offset + p->window_size - offset;
    }
    if (have < want) {
        const uint64_t left = p->end - offset;
        uint64_t size = left < p->piece_bytes ? left : p->piece_bytes;
        size = size < want ? want : size;
        const uint64_t from = offset - p->window_offset;
        if (have > 0 && from > 0) {
            memmove(p->window.ptr, p->window.ptr + from, (size_t)have);
        }
        (void)parquet_scratch_grow(&p->window, (size_t)have, (size_t)size);
        p->window_offset = offset;
        p->window_size = have;
        TRY(parquet_fetch_read(&p->ctx->fetch, offset + have, p->window.ptr + have,
                               (size_t)(size - have), err));
        p->window_size = size;
        have = size;
    }
    *out = (Bytes){.ptr = p->window.ptr + (offset - p->window_offset), .len = (size_t)have};
    return OK;
}

// The same, wherever the bytes come from.
static Status chunk_bytes(ParquetPages *p, uint64_t offset, uint64_t want, Bytes *out, Err *err)
{
    Bytes whole = {0};
    if (!p->has_range) {
        return window_bytes(p, offset, want, out, err);
    }
    TRY(parquet_fetch_get(&p->ctx->fetch, p->range, &whole, err));
    const uint64_t start = p->end - whole.len;
    *out = (Bytes){.ptr = whole.ptr + (offset - start), .len = (size_t)(p->end - offset)};
    return OK;
}

// Sets header and body from `in`, which begins with the page; *size is what the page takes.
static Status split_page(ParquetPages *p, Bytes in, uint64_t *size, Err *err)
{
    Bytes rest = in;
    TRY(parquet_decode_page_header(&rest, &p->header, err));
    const uint32_t body = (uint32_t)p->header.compressed_bytes;
    *size = in.len - rest.len + (uint64_t)body;
    p->body = (Bytes){.ptr = rest.ptr, .len = body <= rest.len ? body : 0};
    return OK;
}

// The next page of all. Its header is nearly always within HEADER_GUESS_BYTES; one with huge
// statistics is tried again with more.
static Status next_in_order(ParquetPages *p, Err *err)
{
    const uint64_t left = p->end - p->pos;
    uint64_t guess = HEADER_GUESS_BYTES;
    uint64_t size = 0;
    Bytes in = {0};
    p->page_offset = p->pos;
    for (;;) {
        guess = guess < left ? guess : left;
        TRY(chunk_bytes(p, p->pos, guess, &in, err));
        const Status st = split_page(p, in, &size, err);
        if (st == OK) {
            break;
        }
        if (in.len >= left || guess >= PARQUET_PAGE_HEADER_MAX_BYTES) {
            return err_prefix(err, "page at %" PRIu64 ": ", p->page_offset);
        }
        guess *= 4;
    }
    if (size > left) {
        return err_set(err, ERR_CORRUPT,
                       "page at %" PRIu64 ": %" PRIu64 " bytes, the chunk has %" PRIu64 " left",
                       p->page_offset, size, left);
    }
    if (size > in.len) {
        if (p->header.compressed_bytes > PARQUET_PAGE_MAX_BYTES) {
            return err_set(err, ERR_TOO_LARGE, "page at %" PRIu64 ": %d bytes", p->page_offset,
                           p->header.compressed_bytes);
        }
        TRY(chunk_bytes(p, p->pos, size, &in, err));
        TRY(split_page(p, in, &size, err));
    }
    p->pos += size;
    return OK;
}

static Status open_range(ParquetPages *p, size_t range, uint64_t offset, Err *err)
{
    Bytes in = {0};
    uint64_t size = 0;
    p->holds_range = true;
    p->held_range = range;
    p->page_offset = offset;
    TRY(parquet_fetch_get(&p->ctx->fetch, range, &in, err));
    if (split_page(p, in, &size, err) != OK) {
        return err_prefix(err, "page at %" PRIu64 ": ", offset);
    }
    if (size > in.len) {
        return err_set(err, ERR_CORRUPT,
                       "page at %" PRIu64 ": %" PRIu64 " bytes, the index says %zu", offset, size,
                       in.len);
    }
    return OK;
}

// The next of the chosen pages.
static Status next_chosen(ParquetPages *p, ParquetPageKind *kind, Err *err)
{
    if (p->has_dictionary_range) {
        p->has_dictionary_range = false;
        TRY(open_range(p, p->dictionary_range, p->pos, err));
        if (p->header.type == PARQUET_DICTIONARY_PAGE) {
            *kind = PARQUET_PAGES_DICTIONARY;
            return OK;
        }
        parquet_fetch_release(&p->ctx->fetch, p->held_range);
        p->holds_range = false;
    }
    if (p->chosen_next == p->chosen_count) {
        return OK;
    }
    const uint32_t i = p->chosen_next++;
    const ParquetPageLocation *location = &p->locations[p->chosen[i]];
    TRY(open_range(p, p->chosen_ranges[i], (uint64_t)location->offset, err));
    if (p->header.type != PARQUET_DATA_PAGE && p->header.type != PARQUET_DATA_PAGE_V2) {
        return err_set(err, ERR_CORRUPT, "page at %" PRIu64 ": not a data page, the index says so",
                       p->page_offset);
    }
    *kind = PARQUET_PAGES_DATA;
    return OK;
}

Status parquet_pages_next(ParquetPages *p, ParquetPageKind *kind, Err *err)
{
    *kind = PARQUET_PAGES_END;
    if (p->holds_range) {
        parquet_fetch_release(&p->ctx->fetch, p->held_range);
        p->holds_range = false;
    }
    if (p->locations != NULL) {
        return next_chosen(p, kind, err);
    }
    // The chunk says how many values it has; what follows them, within the slack, is not ours.
    while (p->pos < p->end && p->values_seen < p->chunk->value_count) {
        TRY(next_in_order(p, err));
        switch (p->header.type) {
        case PARQUET_DICTIONARY_PAGE:
            *kind = PARQUET_PAGES_DICTIONARY;
            return OK;
        case PARQUET_DATA_PAGE:
        case PARQUET_DATA_PAGE_V2:
            p->values_seen += p->header.value_count;
            *kind = PARQUET_PAGES_DATA;
            return OK;
        case PARQUET_INDEX_PAGE:
            break;
        }
    }
    return OK;
}

// ---- bodies

// The most bytes that one compressed byte can become, 0: no bound. Keeps a page of a few bytes from
// reserving memory for a claim it cannot meet.
static uint64_t expansion_max(ParquetCodec codec)
{
    switch (codec) {
    case PARQUET_UNCOMPRESSED:
        return 1;
    case PARQUET_SNAPPY: // at most 64 bytes by 3
        return 22;
    case PARQUET_GZIP: // deflate: at most 258 bytes by 2 bits
        return 1032;
    case PARQUET_LZ4:
    case PARQUET_LZ4_RAW:
        return 256;
    case PARQUET_BROTLI:
    case PARQUET_ZSTD:
    case PARQUET_LZO:
        break;
    }
    return 0;
}

static Status codec_kind(ParquetCodec codec, CompressKind *kind, Err *err)
{
    switch (codec) {
    case PARQUET_UNCOMPRESSED:
        *kind = COMPRESS_NONE;
        return OK;
    case PARQUET_SNAPPY:
        *kind = COMPRESS_SNAPPY;
        return OK;
    case PARQUET_GZIP:
        *kind = COMPRESS_GZIP;
        return OK;
    case PARQUET_BROTLI:
        *kind = COMPRESS_BROTLI;
        return OK;
    case PARQUET_LZ4:
        *kind = COMPRESS_LZ4_HADOOP;
        return OK;
    case PARQUET_ZSTD:
        *kind = COMPRESS_ZSTD;
        return OK;
    case PARQUET_LZ4_RAW:
        *kind = COMPRESS_LZ4_RAW;
        return OK;
    case PARQUET_LZO:
        return err_set(err, ERR_UNSUPPORTED, "LZO compression is not supported");
    }
    return err_set(err, ERR_UNSUPPORTED, "unknown compression %d", (int)codec);
}

static Status decompress(ParquetPages *p, Bytes in, size_t size, Bytes *out, Err *err)
{
    const ParquetCodec codec = p->chunk->codec;
    CompressKind kind = COMPRESS_NONE;
    *out = (Bytes){0};
    TRY(codec_kind(codec, &kind, err));
    if (size > PARQUET_PAGE_MAX_BYTES) {
        return err_set(err, ERR_TOO_LARGE, "%zu bytes when decompressed", size);
    }
    if (kind == COMPRESS_NONE) {
        if (in.len != size) {
            return err_set(err, ERR_CORRUPT, "%zu bytes, uncompressed, should be %zu", in.len,
                           size);
        }
        *out = in;
        return OK;
    }
    if (size == 0) {
        return OK; // whatever an empty block looks like
    }
    const uint64_t most = expansion_max(codec);
    if (most != 0 && size / most > in.len + (size_t)64) {
        return err_set(err, ERR_CORRUPT, "%zu bytes cannot become %zu", in.len, size);
    }
    TRY(parquet_scratch_claim(p->ctx, &p->plain, size, err));
    TRY(compress_decode(p->ctx->compress, kind, in, p->plain.ptr, size, err));
    *out = (Bytes){.ptr = p->plain.ptr, .len = size};
    return OK;
}

// Levels of a V1 page: BIT_PACKED without, RLE with a length in front.
static Status take_levels(Reader *r, ParquetEncoding encoding, uint32_t max_level, int32_t count,
                          Bytes *out, bool *msb, Err *err)
{
    if (max_level == 0) {
        return OK;
    }
    if (encoding == PARQUET_RLE) {
        const uint32_t size = reader_u32le(r);
        *out = reader_bytes(r, size);
    } else if (encoding == PARQUET_BIT_PACKED) {
        const uint64_t width = 32 - (uint64_t)__builtin_clz(max_level);
        *out = reader_bytes(r, ((uint64_t)count * width + 7) / 8);
        *msb = true;
    } else {
        return err_set(err, ERR_UNSUPPORTED, "levels in encoding %d", (int)encoding);
    }
    return reader_ok(r) ? OK : err_set(err, ERR_CORRUPT, "levels are cut short");
}

static Status split_v1(ParquetPages *p, ParquetPageBody *out, Err *err)
{
    const ParquetPageHeader *h = &p->header;
    Bytes plain = {0};
    TRY(decompress(p, p->body, (size_t)h->uncompressed_bytes, &plain, err));
    Reader r = reader_of(plain);
    TRY(take_levels(&r, h->rep_encoding, p->leaf->max_rep, h->value_count, &out->rep, &out->rep_msb,
                    err));
    TRY(take_levels(&r, h->def_encoding, p->leaf->max_def, h->value_count, &out->def, &out->def_msb,
                    err));
    out->values = reader_bytes(&r, reader_left(&r));
    return OK;
}

static Status split_v2(ParquetPages *p, ParquetPageBody *out, Err *err)
{
    const ParquetPageHeader *h = &p->header;
    Reader r = reader_of(p->body);
    out->rep = reader_bytes(&r, (uint32_t)h->rep_bytes);
    out->def = reader_bytes(&r, (uint32_t)h->def_bytes);
    const int64_t size = (int64_t)h->uncompressed_bytes - h->rep_bytes - h->def_bytes;
    if (!reader_ok(&r) || size < 0) {
        return err_set(err, ERR_CORRUPT, "levels are longer than the page");
    }
    if (h->null_count > h->value_count || h->row_count > h->value_count) {
        return err_set(err, ERR_CORRUPT, "%d values with %d nulls in %d rows", h->value_count,
                       h->null_count, h->row_count);
    }
    const Bytes rest = reader_bytes(&r, reader_left(&r));
    if (!h->is_compressed && !p->ctx->v2_always_compressed) {
        out->values = rest;
        return OK;
    }
    return decompress(p, rest, (size_t)size, &out->values, err);
}

static Status body_of(ParquetPages *p, ParquetPageBody *out, Err *err)
{
    const ParquetPageHeader *h = &p->header;
    if (h->has_crc && !p->ctx->no_checksums) {
        const uint32_t crc = crc_ieee(0, p->body);
        if (crc != h->crc) {
            return err_set(err, ERR_CORRUPT, "checksum is %08x, should be %08x", crc, h->crc);
        }
    }
    if (h->type == PARQUET_DATA_PAGE_V2) {
        return split_v2(p, out, err);
    }
    if (h->type == PARQUET_DATA_PAGE) {
        return split_v1(p, out, err);
    }
    return decompress(p, p->body, (size_t)h->uncompressed_bytes, &out->values, err);
}

Status parquet_pages_body(ParquetPages *p, ParquetPageBody *out, Err *err)
{
    *out = (ParquetPageBody){0};
    return body_of(p, out, err);
}
