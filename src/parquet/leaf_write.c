// SPDX-License-Identifier: Apache-2.0
#include "parquet/leaf.h"

#include "base/mem.h"
#include "codec/bitpack.h"
#include "codec/compress.h"
#include "codec/rle.h"
#include "parquet/writer_internal.h"

enum {
    LEAF_PAGE_BYTES = 1 << 20, // of values; a page ends with the row that passes it
    LEAF_PAGE_SLOTS = 1 << 16,
    LEAF_GROUP_ROWS = 1 << 17,
    LEAF_GROUP_BYTES = 64 << 20, // compressed
};

typedef struct Leaf {
    const ParquetSchemaElement *element;
    const Str *path;
    uint32_t path_count;
    uint32_t max_def, max_rep;
    // The page that is being filled.
    Buf rep, def; // one byte per slot
    Buf values;   // PLAIN; BOOLEAN one byte each
    // Finished pages of the row group.
    Buf pages;
    int64_t value_count;
    int64_t uncompressed_bytes;
} Leaf;

struct ParquetLeafWriter {
    OsFile *file;
    uint64_t position;
    const ParquetSchemaElement *schema;
    uint32_t schema_count;
    Leaf *leaves;
    uint32_t leaf_count;
    Compress *compress;
    Buf body, packed;
    uint64_t group_rows, row_count;
    ParquetRowGroup *groups;
    size_t group_count, group_cap;
    ParquetKeyValue *key_values;
    size_t key_value_count, key_value_cap;
    Arena arena;
};

// ---- schema

typedef struct Build {
    ParquetLeafWriter *w;
    uint32_t next;
    Str path[PARQUET_SCHEMA_DEPTH_MAX];
} Build;

// The schema is ours, so is its depth.
static void add_leaves(Build *b, uint32_t depth, uint32_t def, uint32_t rep)
{
    ParquetLeafWriter *w = b->w;
    const ParquetSchemaElement *e = &w->schema[b->next++];
    ASSERT(depth < PARQUET_SCHEMA_DEPTH_MAX);
    b->path[depth] = e->name;
    def += e->repetition != PARQUET_REQUIRED ? 1 : 0;
    rep += e->repetition == PARQUET_REPEATED ? 1 : 0;
    for (int32_t i = 0; i < e->child_count; i++) {
        add_leaves(b, depth + 1, def, rep);
    }
    if (!e->has_type) {
        return;
    }
    Str *path = arena_new(&w->arena, Str, depth + (size_t)1);
    memcpy(path, b->path, (depth + (size_t)1) * sizeof(*path));
    w->leaves[w->leaf_count++] =
        (Leaf){.element = e, .path = path, .path_count = depth + 1, .max_def = def, .max_rep = rep};
}

ParquetLeafWriter *parquet_leaf_writer_new(OsFile *file, const ParquetSchemaElement *schema,
                                           uint32_t schema_count)
{
    ParquetLeafWriter *w = mem_new(ParquetLeafWriter, 1);
    w->file = file;
    w->schema = schema;
    w->schema_count = schema_count;
    w->compress = compress_new();
    arena_init(&w->arena, 0);
    w->leaves = arena_new(&w->arena, Leaf, schema_count);
    Build b = {.w = w, .next = 1};
    while (b.next < schema_count) {
        add_leaves(&b, 0, 0, 0);
    }
    return w;
}

void parquet_leaf_writer_free(ParquetLeafWriter *w)
{
    if (w == NULL) {
        return;
    }
    for (uint32_t i = 0; i < w->leaf_count; i++) {
        Leaf *leaf = &w->leaves[i];
        buf_deinit(&leaf->rep);
        buf_deinit(&leaf->def);
        buf_deinit(&leaf->values);
        buf_deinit(&leaf->pages);
    }
    buf_deinit(&w->body);
    buf_deinit(&w->packed);
    compress_free(w->compress);
    mem_free(w->groups);
    mem_free(w->key_values);
    arena_deinit(&w->arena);
    mem_free(w);
}

// ---- slots

static void put_value(Leaf *leaf, const ParquetSlot *slot)
{
    switch (leaf->element->type) {
    case PARQUET_BOOLEAN:
        buf_put_u8(&leaf->values, slot->i64 != 0);
        return;
    case PARQUET_INT32:
        buf_put_u32le(&leaf->values, (uint32_t)slot->i64);
        return;
    case PARQUET_INT64:
        buf_put_u64le(&leaf->values, (uint64_t)slot->i64);
        return;
    case PARQUET_BYTE_ARRAY:
        buf_put_u32le(&leaf->values, (uint32_t)slot->text.len);
        buf_put_str(&leaf->values, slot->text);
        return;
    case PARQUET_INT96:
    case PARQUET_FLOAT:
    case PARQUET_DOUBLE:
    case PARQUET_FIXED_LEN_BYTE_ARRAY:
        break;
    }
    UNREACHABLE();
}

void parquet_leaf_writer_put(ParquetLeafWriter *w, uint32_t leaf_index, ParquetSlot slot)
{
    ASSERT(leaf_index < w->leaf_count);
    Leaf *leaf = &w->leaves[leaf_index];
    ASSERT(slot.rep <= leaf->max_rep && slot.def <= leaf->max_def);
    buf_put_u8(&leaf->rep, (uint8_t)slot.rep);
    buf_put_u8(&leaf->def, (uint8_t)slot.def);
    if (slot.def == leaf->max_def) {
        put_value(leaf, &slot);
    }
}

// ---- pages

// Levels of a page of version 1: their length in four bytes, then runs.
static void put_levels(const Buf *levels, uint32_t max_level, Buf *out)
{
    RleEncoder encoder;
    if (max_level == 0) {
        return;
    }
    const size_t at = out->len;
    buf_put_u32le(out, 0);
    rle_encoder_init(&encoder, out, bitpack_width_of(max_level));
    for (size_t i = 0; i < levels->len; i++) {
        rle_put_run(&encoder, levels->ptr[i], 1);
    }
    rle_encoder_finish(&encoder);
    const size_t len = out->len - at - 4;
    for (size_t i = 0; i < 4; i++) {
        out->ptr[at + i] = (uint8_t)(len >> (8 * i));
    }
}

static void put_bits(const Buf *bytes, Buf *out)
{
    for (size_t i = 0; i < bytes->len; i += 8) {
        uint8_t bits = 0;
        for (size_t k = 0; k < 8 && i + k < bytes->len; k++) {
            bits |= (uint8_t)(bytes->ptr[i + k] << k);
        }
        buf_put_u8(out, bits);
    }
}

static Status end_page(ParquetLeafWriter *w, Leaf *leaf, Err *err)
{
    if (leaf->def.len == 0) {
        return OK;
    }
    buf_clear(&w->body);
    buf_clear(&w->packed);
    put_levels(&leaf->rep, leaf->max_rep, &w->body);
    put_levels(&leaf->def, leaf->max_def, &w->body);
    if (leaf->element->type == PARQUET_BOOLEAN) {
        put_bits(&leaf->values, &w->body);
    } else {
        buf_put(&w->body, leaf->values.ptr, leaf->values.len);
    }
    if (w->body.len > PARQUET_PAGE_MAX_BYTES) {
        return err_set(err, ERR_TOO_LARGE, "page of %zu bytes", w->body.len);
    }
    TRY(compress_encode(w->compress, COMPRESS_ZSTD, COMPRESS_LEVEL_DEFAULT, buf_bytes(&w->body),
                        &w->packed, err));
    const ParquetPageHeader header = {.type = PARQUET_DATA_PAGE,
                                      .uncompressed_bytes = (int32_t)w->body.len,
                                      .value_count = (int32_t)leaf->def.len,
                                      .encoding = PARQUET_PLAIN,
                                      .def_encoding = PARQUET_RLE,
                                      .rep_encoding = PARQUET_RLE};
    const size_t before = leaf->pages.len;
    TRY(writer_page_put(&header, buf_bytes(&w->packed), &leaf->pages, err));
    const size_t header_bytes = leaf->pages.len - before - w->packed.len;
    leaf->uncompressed_bytes += (int64_t)(header_bytes + w->body.len);
    leaf->value_count += (int64_t)leaf->def.len;
    buf_clear(&leaf->rep);
    buf_clear(&leaf->def);
    buf_clear(&leaf->values);
    return OK;
}

static Status put(ParquetLeafWriter *w, Bytes bytes, Err *err)
{
    TRY(os_file_write_at(w->file, w->position, bytes, err));
    w->position += bytes.len;
    return OK;
}

static const Str magic = {.ptr = "PAR1", .len = 4};

static Status begin_file(ParquetLeafWriter *w, Err *err)
{
    return w->position > 0
               ? OK
               : put(w, (Bytes){.ptr = (const uint8_t *)magic.ptr, .len = magic.len}, err);
}

static Status end_group(ParquetLeafWriter *w, Err *err)
{
    if (w->group_rows == 0) {
        return OK;
    }
    TRY(begin_file(w, err));
    ParquetColumnChunk *columns = arena_new(&w->arena, ParquetColumnChunk, w->leaf_count);
    ParquetRowGroup group = {.columns = columns,
                             .column_count = w->leaf_count,
                             .row_count = (int64_t)w->group_rows,
                             .file_offset = (int64_t)w->position,
                             .ordinal = (int16_t)w->group_count};
    for (uint32_t i = 0; i < w->leaf_count; i++) {
        Leaf *leaf = &w->leaves[i];
        TRY(end_page(w, leaf, err));
        columns[i] = (ParquetColumnChunk){.type = leaf->element->type,
                                          .path = leaf->path,
                                          .path_count = leaf->path_count,
                                          .encodings = 1u << PARQUET_PLAIN | 1u << PARQUET_RLE,
                                          .codec = PARQUET_ZSTD,
                                          .value_count = leaf->value_count,
                                          .uncompressed_bytes = leaf->uncompressed_bytes,
                                          .compressed_bytes = (int64_t)leaf->pages.len,
                                          .data_page_offset = (int64_t)w->position};
        group.total_bytes += leaf->uncompressed_bytes;
        group.total_compressed_bytes += (int64_t)leaf->pages.len;
        TRY(put(w, buf_bytes(&leaf->pages), err));
        buf_clear(&leaf->pages);
        leaf->value_count = 0;
        leaf->uncompressed_bytes = 0;
    }
    w->groups = mem_grow(w->groups, &w->group_cap, w->group_count + 1, sizeof(*w->groups));
    w->groups[w->group_count++] = group;
    w->group_rows = 0;
    return OK;
}

Status parquet_leaf_writer_end_row(ParquetLeafWriter *w, Err *err)
{
    size_t bytes = 0;
    w->group_rows++;
    w->row_count++;
    for (uint32_t i = 0; i < w->leaf_count; i++) {
        Leaf *leaf = &w->leaves[i];
        if (leaf->values.len >= LEAF_PAGE_BYTES || leaf->def.len >= LEAF_PAGE_SLOTS) {
            TRY(end_page(w, leaf, err));
        }
        bytes += leaf->pages.len;
    }
    return w->group_rows >= LEAF_GROUP_ROWS || bytes >= LEAF_GROUP_BYTES ? end_group(w, err) : OK;
}

void parquet_leaf_writer_key_value(ParquetLeafWriter *w, Str key, Str value)
{
    w->key_values =
        mem_grow(w->key_values, &w->key_value_cap, w->key_value_count + 1, sizeof(*w->key_values));
    w->key_values[w->key_value_count++] =
        (ParquetKeyValue){.key = arena_str(&w->arena, key), .value = arena_str(&w->arena, value)};
}

Status parquet_leaf_writer_finish(ParquetLeafWriter *w, uint64_t *size_bytes, Err *err)
{
    Buf footer = {0};
    *size_bytes = 0;
    TRY(end_group(w, err));
    TRY(begin_file(w, err));
    const ParquetFileMeta meta = {.version = 1,
                                  .schema = w->schema,
                                  .schema_count = w->schema_count,
                                  .row_count = (int64_t)w->row_count,
                                  .row_groups = w->groups,
                                  .row_group_count = (uint32_t)w->group_count,
                                  .key_values = w->key_values,
                                  .key_value_count = (uint32_t)w->key_value_count,
                                  .created_by = STR("cardinal"),
                                  .has_column_orders = true};
    parquet_encode_file_meta(&meta, &footer);
    buf_put_u32le(&footer, (uint32_t)footer.len);
    buf_put_str(&footer, magic);
    Status st = put(w, buf_bytes(&footer), err);
    buf_deinit(&footer);
    if (st == OK) {
        st = os_file_sync(w->file, err);
    }
    *size_bytes = st == OK ? w->position : 0;
    return st;
}
