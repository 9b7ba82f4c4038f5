// SPDX-License-Identifier: Apache-2.0
//
// Opening a file: the footer, checked as far as it can be without reading data.
//
//   offset      size  field
//   0           4     "PAR1"
//   size-8-n    n     FileMetaData, thrift compact
//   size-8      4     n, little-endian
//   size-4      4     "PAR1", or "PARE" when the footer is encrypted
#include "base/mem.h"
#include "parquet/reader_internal.h"

enum {
    MAGIC_BYTES = 4,
    TRAILER_BYTES = 8,
    FILE_PIECE_BYTES = 512 << 10,
    TAIL_READ_BYTES = 64 << 10, // read at once from the end: the footer of most files is within
};

// ---- sources

static Status read_file_at(void *ctx, uint64_t offset, void *into, size_t n, Err *err)
{
    size_t got = 0;
    TRY(os_file_read_at(ctx, offset, into, n, &got, err));
    if (got != n) {
        return err_set(err, ERR_CORRUPT,
                       "file ends at %" PRIu64 ", inside a read of %zu bytes at %" PRIu64,
                       offset + got, n, offset);
    }
    return OK;
}

Status parquet_source_file(OsFile *file, ParquetSource *out, Err *err)
{
    *out = (ParquetSource){0};
    uint64_t size_bytes = 0;
    TRY(os_file_size(file, &size_bytes, err));
    *out = (ParquetSource){.read_at = read_file_at,
                           .ctx = file,
                           .size_bytes = size_bytes,
                           .piece_bytes = FILE_PIECE_BYTES};
    return OK;
}

// ---- opening

// Where the footer is, by the last bytes of the file.
static Status place_footer(ParquetReader *r, Bytes trailer, uint32_t *footer_bytes, Err *err)
{
    const uint64_t size = r->source.size_bytes;
    Reader end = reader_of(trailer);
    *footer_bytes = reader_u32le(&end);
    const Bytes magic = reader_bytes(&end, MAGIC_BYTES);
    if (memcmp(magic.ptr, "PARE", MAGIC_BYTES) == 0) {
        return err_set(err, ERR_UNSUPPORTED, "Parquet file with an encrypted footer");
    }
    if (memcmp(magic.ptr, "PAR1", MAGIC_BYTES) != 0) {
        return err_set(err, ERR_CORRUPT, "not a Parquet file: no PAR1 at the end");
    }
    if (*footer_bytes > size - MAGIC_BYTES - TRAILER_BYTES) {
        return err_set(err, ERR_CORRUPT, "parquet footer of %u bytes in a file of %" PRIu64,
                       *footer_bytes, size);
    }
    if (*footer_bytes > PARQUET_FOOTER_MAX_BYTES) {
        return err_set(err, ERR_TOO_LARGE, "parquet footer of %u bytes", *footer_bytes);
    }
    r->data_end = size - TRAILER_BYTES - *footer_bytes;
    return OK;
}

// Reads the tail of the file and, when that does not hold it, the footer.
static Status read_footer(ParquetReader *r, Bytes *footer, Err *err)
{
    Status st = OK;
    uint8_t *tail = NULL;
    uint32_t footer_bytes = 0;
    const uint64_t size = r->source.size_bytes;
    if (size < MAGIC_BYTES + TRAILER_BYTES) {
        return err_set(err, ERR_CORRUPT, "not a Parquet file: %" PRIu64 " bytes", size);
    }
    const size_t tail_bytes = (size_t)(size < TAIL_READ_BYTES ? size : TAIL_READ_BYTES);
    tail = mem_alloc_raw(tail_bytes);
    TRY_OUT(r->source.read_at(r->source.ctx, size - tail_bytes, tail, tail_bytes, err));
    uint8_t *trailer = tail + tail_bytes - TRAILER_BYTES;
    TRY_OUT(place_footer(r, (Bytes){.ptr = trailer, .len = TRAILER_BYTES}, &footer_bytes, err));

    uint8_t *all = arena_alloc(&r->arena, footer_bytes, 1, 1);
    *footer = (Bytes){.ptr = all, .len = footer_bytes};
    if (footer_bytes <= tail_bytes - TRAILER_BYTES) {
        memcpy(all, trailer - footer_bytes, footer_bytes);
    } else {
        TRY_OUT(r->source.read_at(r->source.ctx, r->data_end, all, footer_bytes, err));
    }
out:
    mem_free(tail);
    return st;
}

// A chunk that cannot be read makes its column unreadable, not the file.
static Str why_chunk_not(const ParquetColumnChunk *chunk)
{
    if (chunk->encrypted) {
        return STR("encrypted columns are not supported");
    }
    if (chunk->external_file) {
        return STR("data in another file is not supported");
    }
    switch (chunk->codec) {
    case PARQUET_UNCOMPRESSED:
    case PARQUET_SNAPPY:
    case PARQUET_GZIP:
    case PARQUET_BROTLI:
    case PARQUET_LZ4:
    case PARQUET_ZSTD:
    case PARQUET_LZ4_RAW:
        return (Str){0};
    case PARQUET_LZO:
        return STR("LZO compression is not supported");
    }
    return STR("its compression is not known");
}

static Status check_chunks(ParquetReader *r, uint32_t group, ParquetField *field, Err *err)
{
    for (uint32_t i = 0; i < field->leaf_count; i++) {
        const uint32_t leaf = field->first_leaf + i;
        const ParquetColumnChunk *chunk = &r->meta.row_groups[group].columns[leaf];
        const Str why_not = why_chunk_not(chunk);
        if (field->readable && why_not.len != 0) {
            field->readable = false;
            field->why_not = why_not;
        }
        if (!chunk->encrypted && chunk->type != r->leaves[leaf].element->type) {
            return err_set(err, ERR_CORRUPT,
                           "parquet row group %u: column %u is not of the type the schema says",
                           group, leaf);
        }
    }
    return OK;
}

static Status check_row_groups(ParquetReader *r, Err *err)
{
    ParquetFileMeta *meta = &r->meta;
    uint64_t *first_row = arena_new(&r->arena, uint64_t, meta->row_group_count + (size_t)1);
    for (uint32_t i = 0; i < meta->row_group_count; i++) {
        const ParquetRowGroup *group = &meta->row_groups[i];
        if (group->column_count != r->leaf_count) {
            return err_set(err, ERR_CORRUPT, "parquet row group %u: %u columns, the schema has %u",
                           i, group->column_count, r->leaf_count);
        }
        first_row[i + 1] = first_row[i] + (uint64_t)group->row_count;
        if (first_row[i + 1] > INT64_MAX) {
            return err_set(err, ERR_CORRUPT, "parquet row group %u: too many rows", i);
        }
        for (size_t k = 0; k < r->field_count; k++) {
            TRY(check_chunks(r, i, &r->fields[k], err));
        }
    }
    // Some writers get the sum wrong; the row groups are what is there.
    meta->row_count = (int64_t)first_row[meta->row_group_count];
    r->group_first_row = first_row;
    return OK;
}

static bool created_by(const ParquetReader *r, Str prefix)
{
    return str_eq(str_slice(r->meta.created_by, 0, prefix.len), prefix);
}

Status parquet_reader_open(ParquetSource source, ParquetReader **out, Err *err)
{
    Status st = OK;
    Bytes footer = {0};
    ParquetReader *r = mem_new(ParquetReader, 1);

    *out = NULL;
    r->source = source;
    arena_init(&r->arena, 0);
    TRY_OUT(read_footer(r, &footer, err));
    TRY_OUT(parquet_decode_file_meta(&footer, &r->arena, &r->meta, err));
    TRY_OUT(parquet_schema_map(r, err));
    TRY_OUT(check_row_groups(r, err));
    r->own = created_by(r, STR("cardinal "));
    r->v2_always_compressed = created_by(r, STR("parquet-cpp version 1."));

    *out = r;
    r = NULL;
out:
    parquet_reader_free(r);
    return st;
}

void parquet_reader_free(ParquetReader *r)
{
    if (r != NULL) {
        arena_deinit(&r->arena);
        mem_free(r);
    }
}

// ---- asking

const ParquetFileMeta *parquet_reader_meta(const ParquetReader *r)
{
    return &r->meta;
}

const ParquetField *parquet_reader_fields(const ParquetReader *r, size_t *count)
{
    *count = r->field_count;
    return r->fields;
}

uint64_t parquet_reader_memory_bytes(const ParquetReader *r)
{
    return sizeof(*r) + r->arena.used_bytes;
}

Str parquet_reader_key_value(const ParquetReader *r, Str key)
{
    for (uint32_t i = 0; i < r->meta.key_value_count; i++) {
        if (str_eq(r->meta.key_values[i].key, key)) {
            return r->meta.key_values[i].value;
        }
    }
    return (Str){0};
}
