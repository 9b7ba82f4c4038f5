// SPDX-License-Identifier: Apache-2.0
//
// A column chunk: choose the codings, encode all pages, compress them, and sum up.
#include "base/mem.h"
#include "codec/hash.h"
#include "parquet/bloom.h"
#include "parquet/writer_internal.h"

enum { RAW_KEEP_MAX_BYTES = 1 << 20 };

uint32_t writer_encoder_rows(const WriterEncoder *e, uint32_t page)
{
    const uint32_t left = e->view.row_count - page * PARQUET_PAGE_ROWS;
    return left < PARQUET_PAGE_ROWS ? left : PARQUET_PAGE_ROWS;
}

Status writer_encoder_slots(WriterEncoder *e, uint32_t page, WriterSlots *out, Err *err)
{
    return writer_view_slots(&e->view, page * PARQUET_PAGE_ROWS, writer_encoder_rows(e, page), out,
                             err);
}

Status writer_encoder_dictionary(WriterEncoder *e, Err *err)
{
    Buf *plain = &e->tools->sample;
    Buf *out = &e->tools->dictionary;
    if (e->dictionary.len != 0) {
        return OK;
    }
    buf_clear(plain);
    buf_clear(out);
    writer_put_plain(&e->view, e->dict.entries, e->dict.count, plain);
    TRY(compress_encode(e->tools->compress, COMPRESS_ZSTD, e->tools->level, buf_bytes(plain), out,
                        err));
    e->dictionary = buf_bytes(out);
    return OK;
}

// ---- pages

static uint32_t dict_page_count(const WriterEncoder *e)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < e->page_count; i++) {
        count += writer_coding_is_dict(e->pages[i].coding);
    }
    return count;
}

// Appends the body of a page to tools->raw.
static Status encode_body(WriterEncoder *e, uint32_t page, Err *err)
{
    WriterPageInfo *p = &e->pages[page];
    WriterSlots slots = {0};
    TRY(writer_encoder_slots(e, page, &slots, err));
    if (!e->view.leaf->options.no_minmax) {
        writer_page_range(&e->view, &e->dict, &slots, &e->tools->values, &p->range);
    }
    p->null_count = (int64_t)slots.slot_count - slots.value_count;
    p->null_rows = slots.null_rows;
    return writer_page_body(e->tools, &e->view, &e->dict, &slots, p->coding, &e->tools->raw,
                            &p->body, err);
}

static ParquetPageHeader data_header(const WriterPageInfo *p)
{
    return (ParquetPageHeader){
        .type = PARQUET_DATA_PAGE,
        .uncompressed_bytes = (int32_t)p->body.len,
        .value_count = (int32_t)p->body.slot_count,
        .encoding = writer_coding_encoding(p->coding),
        .def_encoding = PARQUET_RLE,
        .rep_encoding = PARQUET_RLE,
    };
}

static Status put_dictionary_page(WriterEncoder *e, ParquetCodec codec, ParquetColumnChunk *meta,
                                  Buf *out, Err *err)
{
    if (dict_page_count(e) == 0) {
        return OK;
    }
    Bytes stored = {0};
    if (codec == PARQUET_ZSTD) {
        TRY(writer_encoder_dictionary(e, err));
        stored = e->dictionary;
    } else {
        buf_clear(&e->tools->sample);
        writer_put_plain(&e->view, e->dict.entries, e->dict.count, &e->tools->sample);
        stored = buf_bytes(&e->tools->sample);
    }
    const ParquetPageHeader header = {
        .type = PARQUET_DICTIONARY_PAGE,
        .uncompressed_bytes = (int32_t)e->dict.plain_bytes,
        .value_count = (int32_t)e->dict.count,
        .encoding = PARQUET_PLAIN,
    };
    TRY(writer_page_put(&header, stored, out, err));
    meta->uncompressed_bytes += (int64_t)(out->len - stored.len + e->dict.plain_bytes);
    return OK;
}

// Begins the chunk anew in tools->packed.
static Status begin_chunk(WriterEncoder *e, ParquetCodec codec, WriterChunk *out, Err *err)
{
    Buf *packed = &e->tools->packed;
    buf_clear(packed);
    out->meta.codec = codec;
    out->meta.uncompressed_bytes = 0;
    TRY(put_dictionary_page(e, codec, &out->meta, packed, err));
    out->meta.data_page_offset = (int64_t)packed->len; // 0 says that there is no dictionary
    return OK;
}

static Status put_data_page(WriterEncoder *e, uint32_t page, Bytes stored, WriterChunk *out,
                            ParquetPageLocation *location, Err *err)
{
    Buf *packed = &e->tools->packed;
    const WriterPageInfo *p = &e->pages[page];
    const ParquetPageHeader header = data_header(p);
    const size_t start = packed->len;
    TRY(writer_page_put(&header, stored, packed, err));
    *location = (ParquetPageLocation){.offset = (int64_t)start,
                                      .compressed_bytes = (int32_t)(packed->len - start),
                                      .first_row = (int64_t)page * PARQUET_PAGE_ROWS};
    out->meta.uncompressed_bytes +=
        (int64_t)(packed->len - start - stored.len) + (int64_t)p->body.len;
    return OK;
}

// Compression that saves less than this part of a chunk is not worth the time to undo it.
static bool compression_pays(const WriterChunk *out, const Buf *packed)
{
    return (int64_t)packed->len * 33 <= out->meta.uncompressed_bytes * 32;
}

// Encodes, compresses and appends page by page. The bodies of a small chunk are kept, and when
// compression does not pay (a few runs), are what is stored; in a large one zstd has blocks of its
// own for what it cannot make smaller, and they cost next to nothing to read.
static Status put_pages(WriterEncoder *e, WriterChunk *out, Err *err)
{
    WriterTools *tools = e->tools;
    ParquetPageLocation *locations = arena_new(e->arena, ParquetPageLocation, e->page_count);
    bool keep = true;
    TRY(begin_chunk(e, PARQUET_ZSTD, out, err));
    buf_clear(&tools->raw);
    for (uint32_t i = 0; i < e->page_count; i++) {
        TRY(encode_body(e, i, err));
        buf_clear(&tools->sample);
        TRY(writer_body_compress(tools, &tools->raw, &e->pages[i].body, &tools->sample, err));
        TRY(put_data_page(e, i, buf_bytes(&tools->sample), out, &locations[i], err));
        keep = keep && tools->raw.len <= RAW_KEEP_MAX_BYTES;
        if (!keep) {
            buf_clear(&tools->raw);
        }
    }
    if (keep && !compression_pays(out, &tools->packed)) {
        TRY(begin_chunk(e, PARQUET_UNCOMPRESSED, out, err));
        for (uint32_t i = 0; i < e->page_count; i++) {
            const WriterBody *body = &e->pages[i].body;
            const Bytes stored = {.ptr = tools->raw.ptr + body->from, .len = body->len};
            TRY(put_data_page(e, i, stored, out, &locations[i], err));
        }
    }
    out->meta.compressed_bytes = (int64_t)tools->packed.len;
    out->offset_index = (ParquetOffsetIndex){.pages = locations, .page_count = e->page_count};
    out->pages = buf_bytes(&tools->packed);
    return OK;
}

// ---- statistics and indexes

static Bytes stored_bound(const WriterEncoder *e, const WriterValue *v, bool upper, size_t max_len,
                          bool *exact)
{
    const WriterLeaf *leaf = e->view.leaf;
    uint8_t fixed[8];
    Bytes out = {0};
    const Bytes plain = writer_value_plain(leaf, v, fixed);
    *exact = leaf->width != 0 ||
             !writer_bound_cut(plain, leaf->type == COLUMN_STRING, upper, max_len, e->arena, &out);
    if (*exact) {
        const Str copy =
            arena_str(e->arena, (Str){.ptr = (const char *)plain.ptr, .len = plain.len});
        out = (Bytes){.ptr = (const uint8_t *)copy.ptr, .len = copy.len};
    }
    return out;
}

static bool bounds_known(const WriterRange *range)
{
    return range->has && !range->nan;
}

static void put_statistics(const WriterEncoder *e, WriterChunk *out)
{
    ParquetStatistics *s = &out->meta.statistics;
    const WriterRange *range = &out->range;
    s->has_null_count = true;
    if (dict_page_count(e) == e->page_count) {
        s->has_distinct_count = true;
        s->distinct_count = e->dict.count;
    }
    if (bounds_known(range)) {
        s->has_min = s->has_max = true;
        s->min = stored_bound(e, &range->min, false, WRITER_STATISTICS_VALUE_MAX, &s->min_exact);
        s->max = stored_bound(e, &range->max, true, WRITER_STATISTICS_VALUE_MAX, &s->max_exact);
    }
}

static int compare_stored(const WriterEncoder *e, Bytes a, Bytes b)
{
    const WriterLeaf *leaf = e->view.leaf;
    WriterValue x = {.bytes = a};
    WriterValue y = {.bytes = b};
    if (leaf->order != WRITER_BYTES) {
        memcpy(&x.bits, a.ptr, a.len);
        memcpy(&y.bits, b.ptr, b.len);
    }
    return writer_value_compare(leaf->order, &x, &y);
}

static ParquetBoundaryOrder boundary_order(const WriterEncoder *e, const ParquetColumnIndex *index)
{
    bool ascending = true;
    bool descending = true;
    const Bytes *min = NULL;
    const Bytes *max = NULL;
    for (uint32_t i = 0; i < index->page_count; i++) {
        if (index->null_pages[i]) {
            continue;
        }
        if (min != NULL) {
            const int by_min = compare_stored(e, index->min[i], *min);
            const int by_max = compare_stored(e, index->max[i], *max);
            ascending = ascending && by_min >= 0 && by_max >= 0;
            descending = descending && by_min <= 0 && by_max <= 0;
        }
        min = &index->min[i];
        max = &index->max[i];
    }
    return ascending ? PARQUET_ASCENDING : descending ? PARQUET_DESCENDING : PARQUET_UNORDERED;
}

// Without a smallest and largest value for every page that has values there can be no column index.
static void put_column_index(const WriterEncoder *e, WriterChunk *out)
{
    if (e->view.leaf->options.no_minmax || out->range.nan) {
        return;
    }
    bool *null_pages = arena_new(e->arena, bool, e->page_count);
    Bytes *min = arena_new(e->arena, Bytes, e->page_count);
    Bytes *max = arena_new(e->arena, Bytes, e->page_count);
    int64_t *null_counts = arena_new(e->arena, int64_t, e->page_count);
    for (uint32_t i = 0; i < e->page_count; i++) {
        const WriterPageInfo *p = &e->pages[i];
        bool exact = false;
        null_counts[i] = p->null_count;
        null_pages[i] = !p->range.has;
        if (p->range.has) {
            min[i] = stored_bound(e, &p->range.min, false, WRITER_INDEX_VALUE_MAX, &exact);
            max[i] = stored_bound(e, &p->range.max, true, WRITER_INDEX_VALUE_MAX, &exact);
        }
    }
    out->column_index = (ParquetColumnIndex){.page_count = e->page_count,
                                             .null_pages = null_pages,
                                             .min = min,
                                             .max = max,
                                             .null_counts = null_counts};
    out->column_index.order = boundary_order(e, &out->column_index);
}

// ---- bloom filter

static uint64_t ref_hash(const WriterView *view, uint32_t ref)
{
    return parquet_bloom_hash(writer_view_bytes(view, ref));
}

// Hashes of the values of all pages, without repetitions in a row.
static Status collect_hashes(WriterEncoder *e, uint64_t **hashes, size_t *count, Err *err)
{
    size_t cap = 0;
    for (uint32_t page = 0; page < e->page_count; page++) {
        WriterSlots s = {0};
        TRY(writer_encoder_slots(e, page, &s, err));
        const uint32_t n = s.form == WRITER_RANGE ? s.value_count : s.ref_count;
        *hashes = mem_grow(*hashes, &cap, *count + n + 1, sizeof(**hashes));
        for (uint32_t i = 0; i < n; i++) {
            const uint64_t hash =
                ref_hash(&e->view, s.form == WRITER_RANGE ? s.first + i : s.refs[i]);
            if (*count == 0 || (*hashes)[*count - 1] != hash) {
                (*hashes)[(*count)++] = hash;
            }
        }
    }
    return OK;
}

static Status build_bloom(WriterEncoder *e, Bytes *out, Err *err)
{
    Status st = OK;
    uint64_t *hashes = NULL;
    size_t count = 0;
    if (e->dict.built && e->dict_covers_all) {
        count = e->dict.count;
        hashes = mem_new(uint64_t, count);
        for (size_t i = 0; i < count; i++) {
            hashes[i] = ref_hash(&e->view, e->dict.entries[i]);
        }
    } else {
        TRY_OUT(collect_hashes(e, &hashes, &count, err));
    }
    if (count != 0) {
        const uint32_t size = parquet_bloom_size(count, e->tools->bloom_fpp);
        uint8_t *filter = arena_new(e->scratch, uint8_t, size);
        for (size_t i = 0; i < count; i++) {
            parquet_bloom_insert(filter, size, hashes[i]);
        }
        *out = (Bytes){.ptr = filter, .len = size};
    }
out:
    mem_free(hashes);
    return st;
}

// ----

static Status encode(WriterEncoder *e, WriterChunk *out, Err *err)
{
    const WriterLeaf *leaf = e->view.leaf;
    TRY(writer_encoder_choose(e, err));
    TRY(put_pages(e, out, err));
    out->meta.type = leaf->physical;
    out->meta.path = leaf->path;
    out->meta.path_count = leaf->path_count;
    for (uint32_t i = 0; i < e->page_count; i++) {
        out->meta.encodings |= 1u << writer_coding_encoding(e->pages[i].coding);
    }
    if (leaf->max_def != 0) {
        out->meta.encodings |= 1u << PARQUET_RLE;
    }
    if (dict_page_count(e) != 0) {
        out->meta.encodings |= 1u << PARQUET_PLAIN;
    }
    for (uint32_t i = 0; i < e->page_count; i++) {
        out->meta.value_count += e->pages[i].body.slot_count;
        out->meta.statistics.null_count += e->pages[i].null_count;
        out->null_rows += e->pages[i].null_rows;
        writer_range_add(leaf, &out->range, &e->pages[i].range);
    }
    put_statistics(e, out);
    put_column_index(e, out);
    if (leaf->options.bloom && leaf->order != WRITER_BOOL) {
        TRY(build_bloom(e, &out->bloom, err));
    }
    return OK;
}

Status writer_chunk_encode(WriterTools *tools, const WriterLeaf *leaf, const Vector *v,
                           Arena *arena, Arena *scratch, WriterChunk *out, Err *err)
{
    WriterEncoder e = {.tools = tools, .arena = arena, .scratch = scratch};
    *out = (WriterChunk){0};
    e.page_count = (v->row_count + PARQUET_PAGE_ROWS - 1) / PARQUET_PAGE_ROWS;
    e.pages = arena_new(scratch, WriterPageInfo, e.page_count);
    writer_view_init(&e.view, leaf, v, scratch);
    const Status st = encode(&e, out, err);
    writer_view_deinit(&e.view);
    return st;
}
