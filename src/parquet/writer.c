// SPDX-License-Identifier: Apache-2.0
#include "parquet/writer.h"

#include "base/mem.h"
#include "codec/hash_stream.h"
#include "parquet/writer_internal.h"

enum { ROW_GROUPS_MAX = INT16_MAX }; // RowGroup.ordinal is an i16

static const Str magic = {.ptr = "PAR1", .len = 4};

// The indexes of one column chunk, kept until the end of the file.
typedef struct ChunkIndex {
    ParquetOffsetIndex offset;
    ParquetColumnIndex column;
} ChunkIndex;

typedef struct RowGroup {
    ParquetColumnChunk *columns; // schema.leaf_count
    ChunkIndex *indexes;
    int64_t row_count;
    int64_t file_offset;
} RowGroup;

// What is known of a field over all row groups so far.
typedef struct FieldSummary {
    WriterRange range;
    int64_t null_count;
    int64_t compressed_bytes;
} FieldSummary;

struct ParquetWriter {
    OsFile *file;
    Arena arena; // lives as long as the writer
    Schema fields;
    WriterSchema schema;
    WriterTools tools;
    FieldSummary *summaries;
    ParquetSortingColumn *sorting; // leaves
    uint32_t sorting_count;
    Str created_by;
    RowGroup *row_groups;
    size_t row_group_count, row_groups_cap;
    ParquetKeyValue *key_values;
    size_t key_value_count, key_values_cap;
    Buf buffer; // the end of the file, not written yet
    HashStream *hash;
    uint64_t written_bytes;
    bool broken; // a call failed; nothing more can be written
};

// ---- the file

static uint64_t position(const ParquetWriter *w)
{
    return w->written_bytes + w->buffer.len;
}

static Status write_through(ParquetWriter *w, Bytes bytes, Err *err)
{
    if (bytes.len == 0) {
        return OK;
    }
    TRY(os_file_write_at(w->file, w->written_bytes, bytes, err));
    hash_stream_update(w->hash, bytes);
    w->written_bytes += bytes.len;
    return OK;
}

static Status flush_buffer(ParquetWriter *w, Err *err)
{
    TRY(write_through(w, buf_bytes(&w->buffer), err));
    buf_clear(&w->buffer);
    return OK;
}

static Status put(ParquetWriter *w, Bytes bytes, Err *err)
{
    if (bytes.len >= WRITER_BUFFER_BYTES) {
        TRY(flush_buffer(w, err));
        return write_through(w, bytes, err);
    }
    buf_put(&w->buffer, bytes.ptr, bytes.len);
    return w->buffer.len < WRITER_BUFFER_BYTES ? OK : flush_buffer(w, err);
}

// ---- life

static Status copy_sorting(ParquetWriter *w, const ParquetWriterOptions *options, Err *err)
{
    w->sorting = arena_new(&w->arena, ParquetSortingColumn, options->sorting_count);
    w->sorting_count = options->sorting_count;
    for (uint32_t i = 0; i < options->sorting_count; i++) {
        const int32_t field = options->sorting[i].column;
        if (field < 0 || (size_t)field >= w->fields.count ||
            w->fields.fields[field].type == COLUMN_MAP) {
            return err_set(err, ERR_INVALID, "cannot be sorted by field %" PRId32, field);
        }
        w->sorting[i] = options->sorting[i];
        w->sorting[i].column = (int32_t)w->schema.first_leaf[field];
    }
    return OK;
}

static Status copy_schema(ParquetWriter *w, const Schema *schema, Err *err)
{
    if (schema->count == 0 || schema->count > SCHEMA_COLUMNS_MAX) {
        return err_set(err, ERR_INVALID, "schema of %zu columns", schema->count);
    }
    Field *fields = arena_new(&w->arena, Field, schema->count);
    for (size_t i = 0; i < schema->count; i++) {
        fields[i] = schema->fields[i];
        fields[i].name = arena_str(&w->arena, schema->fields[i].name);
    }
    w->fields = (Schema){.fields = fields, .count = schema->count};
    return OK;
}

Status parquet_writer_new(OsFile *file, const Schema *schema, const ParquetWriterOptions *options,
                          ParquetWriter **out, Err *err)
{
    Status st = OK;
    *out = NULL;
    ParquetWriter *w = mem_new(ParquetWriter, 1);
    w->file = file;
    arena_init(&w->arena, 0);
    w->hash = hash_stream_new();
    w->tools.compress = compress_new();
    w->tools.zshape = zshape_new();
    w->tools.level = options->zstd_level == 0 ? 3 : options->zstd_level;
    w->tools.bloom_fpp = options->bloom_fpp > 0 ? options->bloom_fpp : 0.01;
    // A page may be too large in one coding and fit in another: its Buf fails instead of growing.
    buf_init(&w->tools.values.bytes, PARQUET_PAGE_MAX_BYTES);
    w->created_by = arena_str(&w->arena, options->created_by);
    TRY_OUT(copy_schema(w, schema, err));
    writer_schema_build(&w->fields, options->columns, &w->arena, &w->schema);
    TRY_OUT(copy_sorting(w, options, err));
    w->summaries = arena_new(&w->arena, FieldSummary, schema->count);
    buf_put_str(&w->buffer, magic);
    *out = w;
    w = NULL;
out:
    parquet_writer_free(w);
    return st;
}

void parquet_writer_free(ParquetWriter *w)
{
    if (w == NULL) {
        return;
    }
    hash_stream_free(w->hash);
    compress_free(w->tools.compress);
    zshape_free(w->tools.zshape);
    writer_values_deinit(&w->tools.values);
    writer_u32s_free(&w->tools.codes);
    writer_u32s_free(&w->tools.code_of);
    writer_u32s_free(&w->tools.entries);
    buf_deinit(&w->tools.raw);
    buf_deinit(&w->tools.packed);
    buf_deinit(&w->tools.dictionary);
    buf_deinit(&w->tools.sample);
    buf_deinit(&w->buffer);
    mem_free(w->row_groups);
    mem_free(w->key_values);
    arena_deinit(&w->arena);
    mem_free(w);
}

void parquet_writer_key_value(ParquetWriter *w, Str key, Str value)
{
    w->key_values =
        mem_grow(w->key_values, &w->key_values_cap, w->key_value_count + 1, sizeof(*w->key_values));
    w->key_values[w->key_value_count++] =
        (ParquetKeyValue){.key = arena_str(&w->arena, key), .value = arena_str(&w->arena, value)};
}

// ---- row groups

static Bytes keep_bytes(ParquetWriter *w, Bytes b)
{
    const Str copy = arena_str(&w->arena, (Str){.ptr = (const char *)b.ptr, .len = b.len});
    return (Bytes){.ptr = (const uint8_t *)copy.ptr, .len = copy.len};
}

static void summarize(ParquetWriter *w, const WriterLeaf *leaf, const WriterChunk *chunk)
{
    FieldSummary *s = &w->summaries[leaf->field_index];
    const Bytes min = s->range.min.bytes;
    const Bytes max = s->range.max.bytes;
    s->compressed_bytes += (int64_t)chunk->pages.len;
    s->null_count += leaf->part != WRITER_MAP_VALUE ? chunk->null_rows : 0;
    if (leaf->part != WRITER_WHOLE) {
        return;
    }
    writer_range_add(leaf, &s->range, &chunk->range);
    if (leaf->order == WRITER_BYTES && s->range.has) {
        // The batch goes away, and its texts with it.
        if (s->range.min.bytes.ptr != min.ptr) {
            s->range.min.bytes = keep_bytes(w, s->range.min.bytes);
        }
        if (s->range.max.bytes.ptr != max.ptr) {
            s->range.max.bytes = keep_bytes(w, s->range.max.bytes);
        }
    }
}

static Status put_bloom(ParquetWriter *w, Bytes filter, ParquetColumnChunk *meta, Err *err)
{
    const ParquetBloomHeader header = {.byte_count = (int32_t)filter.len, .supported = true};
    Buf encoded = {0};
    meta->bloom_offset = (int64_t)position(w);
    parquet_encode_bloom_header(&header, &encoded);
    meta->bloom_bytes = (int32_t)(encoded.len + filter.len);
    const Status st = put(w, buf_bytes(&encoded), err);
    buf_deinit(&encoded);
    TRY(st);
    return put(w, filter, err);
}

// Turns offsets within the chunk into offsets within the file.
static void place_chunk(WriterChunk *chunk, int64_t base)
{
    ParquetColumnChunk *m = &chunk->meta;
    m->dictionary_page_offset = m->data_page_offset != 0 ? base : 0;
    m->data_page_offset += base;
    // The locations are in the writer's arena and nobody else's yet.
    ParquetPageLocation *pages = (ParquetPageLocation *)(uintptr_t)chunk->offset_index.pages;
    for (uint32_t i = 0; i < chunk->offset_index.page_count; i++) {
        pages[i].offset += base;
    }
}

static Status put_columns(ParquetWriter *w, const Batch *batch, RowGroup *group, Arena *scratch,
                          Bytes *blooms, Err *err)
{
    for (uint32_t i = 0; i < w->schema.leaf_count; i++) {
        const WriterLeaf *leaf = &w->schema.leaves[i];
        WriterChunk chunk = {0};
        Arena of_chunk = {0};
        Status st = writer_chunk_encode(&w->tools, leaf, &batch->columns[leaf->field_index],
                                        &w->arena, &of_chunk, &chunk, err);
        if (st == OK) {
            place_chunk(&chunk, (int64_t)position(w));
            summarize(w, leaf, &chunk);
            group->columns[i] = chunk.meta;
            group->indexes[i] =
                (ChunkIndex){.offset = chunk.offset_index, .column = chunk.column_index};
            uint8_t *filter = arena_new(scratch, uint8_t, chunk.bloom.len);
            if (chunk.bloom.len != 0) {
                memcpy(filter, chunk.bloom.ptr, chunk.bloom.len);
            }
            blooms[i] = (Bytes){.ptr = filter, .len = chunk.bloom.len};
            st = put(w, chunk.pages, err);
        }
        arena_deinit(&of_chunk);
        if (st != OK) {
            return err_prefix(err, "column '" STR_FMT "': ", STR_ARG(leaf->field->name));
        }
    }
    return OK;
}

static Status check_batch(const ParquetWriter *w, const Batch *batch, Err *err)
{
    if (w->broken) {
        return err_set(err, ERR_INVALID, "writing this file has failed before");
    }
    if (batch->row_count == 0 || batch->row_count > PARQUET_ROW_GROUP_ROWS_MAX) {
        return err_set(err, ERR_INVALID, "row group of %" PRIu32 " rows, 1 to %d are possible",
                       batch->row_count, PARQUET_ROW_GROUP_ROWS_MAX);
    }
    if (w->row_group_count == ROW_GROUPS_MAX) {
        return err_set(err, ERR_LIMIT, "more than %d row groups", ROW_GROUPS_MAX);
    }
    for (size_t i = 0; i < w->fields.count; i++) {
        ASSERT(batch->columns[i].row_count == batch->row_count);
        ASSERT(batch->columns[i].type == w->fields.fields[i].type);
    }
    return OK;
}

Status parquet_writer_row_group(ParquetWriter *w, const Batch *batch, Err *err)
{
    Status st = OK;
    Arena scratch = {0};
    TRY(check_batch(w, batch, err));
    const uint32_t leaf_count = w->schema.leaf_count;
    RowGroup group = {.columns = arena_new(&w->arena, ParquetColumnChunk, leaf_count),
                      .indexes = arena_new(&w->arena, ChunkIndex, leaf_count),
                      .row_count = batch->row_count,
                      .file_offset = (int64_t)position(w)};
    Bytes *blooms = arena_new(&scratch, Bytes, leaf_count);
    TRY_OUT(put_columns(w, batch, &group, &scratch, blooms, err));
    // Filters follow the row group they are for, so that only one row group's are in memory.
    for (uint32_t i = 0; i < leaf_count; i++) {
        if (blooms[i].len != 0) {
            TRY_OUT(put_bloom(w, blooms[i], &group.columns[i], err));
        }
    }
    w->row_groups =
        mem_grow(w->row_groups, &w->row_groups_cap, w->row_group_count + 1, sizeof(*w->row_groups));
    w->row_groups[w->row_group_count++] = group;
out:
    w->broken = st != OK;
    arena_deinit(&scratch);
    return st;
}

// ---- the end

static Status put_indexes(ParquetWriter *w, Err *err)
{
    Status st = OK;
    Buf encoded = {0};
    // All column indexes, then all offset indexes: readers fetch them together (PageIndex.md).
    for (size_t g = 0; g < w->row_group_count; g++) {
        for (uint32_t i = 0; i < w->schema.leaf_count; i++) {
            ParquetColumnChunk *meta = &w->row_groups[g].columns[i];
            if (w->row_groups[g].indexes[i].column.page_count == 0) {
                continue;
            }
            buf_clear(&encoded);
            parquet_encode_column_index(&w->row_groups[g].indexes[i].column, &encoded);
            meta->column_index_offset = (int64_t)position(w);
            meta->column_index_bytes = (int32_t)encoded.len;
            TRY_OUT(put(w, buf_bytes(&encoded), err));
        }
    }
    for (size_t g = 0; g < w->row_group_count; g++) {
        for (uint32_t i = 0; i < w->schema.leaf_count; i++) {
            ParquetColumnChunk *meta = &w->row_groups[g].columns[i];
            buf_clear(&encoded);
            parquet_encode_offset_index(&w->row_groups[g].indexes[i].offset, &encoded);
            meta->offset_index_offset = (int64_t)position(w);
            meta->offset_index_bytes = (int32_t)encoded.len;
            TRY_OUT(put(w, buf_bytes(&encoded), err));
        }
    }
out:
    buf_deinit(&encoded);
    return st;
}

static void fill_row_group(const ParquetWriter *w, const RowGroup *group, size_t ordinal,
                           ParquetRowGroup *out)
{
    *out = (ParquetRowGroup){.columns = group->columns,
                             .column_count = w->schema.leaf_count,
                             .row_count = group->row_count,
                             .file_offset = group->file_offset,
                             .sorting = w->sorting,
                             .sorting_count = w->sorting_count,
                             .ordinal = (int16_t)ordinal};
    for (uint32_t i = 0; i < w->schema.leaf_count; i++) {
        out->total_bytes += group->columns[i].uncompressed_bytes;
        out->total_compressed_bytes += group->columns[i].compressed_bytes;
    }
}

static Status put_footer(ParquetWriter *w, int64_t *row_count, Err *err)
{
    Buf encoded = {0};
    ParquetRowGroup *groups = mem_new(ParquetRowGroup, w->row_group_count);
    *row_count = 0;
    for (size_t g = 0; g < w->row_group_count; g++) {
        fill_row_group(w, &w->row_groups[g], g, &groups[g]);
        *row_count += w->row_groups[g].row_count;
    }
    const ParquetFileMeta meta = {
        .version = 2, // DELTA_* and BYTE_STREAM_SPLIT are of format version 2
        .schema = w->schema.elements,
        .schema_count = w->schema.element_count,
        .row_count = *row_count,
        .row_groups = groups,
        .row_group_count = (uint32_t)w->row_group_count,
        .key_values = w->key_values,
        .key_value_count = (uint32_t)w->key_value_count,
        .created_by = w->created_by,
        .has_column_orders = true,
    };
    parquet_encode_file_meta(&meta, &encoded);
    buf_put_u32le(&encoded, (uint32_t)encoded.len);
    buf_put_str(&encoded, magic);
    const Status st = encoded.len <= PARQUET_FOOTER_MAX_BYTES
                          ? put(w, buf_bytes(&encoded), err)
                          : err_set(err, ERR_TOO_LARGE, "footer of %zu bytes", encoded.len);
    buf_deinit(&encoded);
    mem_free(groups);
    return st;
}

// JSON, which the log is written in, has no infinities; if one is there, it is at an end.
static bool is_finite(const WriterLeaf *leaf, const WriterValue *v)
{
    switch (leaf->order) {
    case WRITER_F32:
        return (v->bits & 0x7fffffff) != 0x7f800000;
    case WRITER_F64:
        return (v->bits & ~(UINT64_C(1) << 63)) != UINT64_C(0x7ff0000000000000);
    case WRITER_BOOL:
    case WRITER_I32:
    case WRITER_I64:
    case WRITER_U32:
    case WRITER_U64:
    case WRITER_BYTES:
        return true;
    }
    UNREACHABLE();
}

static Bytes summary_bound(const WriterLeaf *leaf, const WriterValue *v, Arena *arena)
{
    uint8_t fixed[8];
    const Bytes plain = writer_value_plain(leaf, v, fixed);
    const Str copy = arena_str(arena, (Str){.ptr = (const char *)plain.ptr, .len = plain.len});
    return (Bytes){.ptr = (const uint8_t *)copy.ptr, .len = copy.len};
}

static void fill_summary(const ParquetWriter *w, int64_t row_count, Arena *arena,
                         ParquetFileSummary *out)
{
    ParquetColumnSummary *columns = arena_new(arena, ParquetColumnSummary, w->fields.count);
    for (size_t i = 0; i < w->fields.count; i++) {
        const FieldSummary *s = &w->summaries[i];
        const WriterLeaf *leaf = &w->schema.leaves[w->schema.first_leaf[i]];
        columns[i].null_count = s->null_count;
        columns[i].compressed_bytes = s->compressed_bytes;
        columns[i].has_minmax = s->range.has && !s->range.nan && is_finite(leaf, &s->range.min) &&
                                is_finite(leaf, &s->range.max);
        if (columns[i].has_minmax) {
            columns[i].min = summary_bound(leaf, &s->range.min, arena);
            columns[i].max = summary_bound(leaf, &s->range.max, arena);
        }
    }
    *out = (ParquetFileSummary){.size_bytes = w->written_bytes,
                                .row_count = row_count,
                                .hash = hash_stream_digest(w->hash),
                                .columns = columns,
                                .column_count = w->fields.count};
}

Status parquet_writer_finish(ParquetWriter *w, Arena *arena, ParquetFileSummary *summary, Err *err)
{
    Status st = OK;
    int64_t row_count = 0;
    *summary = (ParquetFileSummary){0};
    if (w->broken) {
        return err_set(err, ERR_INVALID, "writing this file has failed before");
    }
    w->broken = true; // finished or failed, nothing may follow
    TRY_OUT(put_indexes(w, err));
    TRY_OUT(put_footer(w, &row_count, err));
    TRY_OUT(flush_buffer(w, err));
    TRY_OUT(os_file_sync(w->file, err));
    fill_summary(w, row_count, arena, summary);
out:
    return st;
}
