// SPDX-License-Identifier: Apache-2.0
//
// Thrift's compact protocol (apache/thrift doc/specs/thrift-compact-protocol.md), encoding side,
// for the structs of parquet.thrift. Field ids ascend within every struct, so the short form of a
// field header, which holds the difference to the id before, is nearly always possible.
#include "parquet/metadata.h"

#include "codec/varint.h"

// Type nibbles of the compact protocol.
typedef enum ThriftType {
    THRIFT_TRUE = 1,
    THRIFT_FALSE = 2,
    THRIFT_BYTE = 3,
    THRIFT_I16 = 4,
    THRIFT_I32 = 5,
    THRIFT_I64 = 6,
    THRIFT_BINARY = 8,
    THRIFT_LIST = 9,
    THRIFT_STRUCT = 12,
} ThriftType;

enum { LIST_SHORT_MAX = 14 }; // elements whose count fits the header byte

// One struct being written: the id of its last field.
typedef struct Fields {
    Buf *out;
    int16_t last;
} Fields;

static void put_field(Fields *f, int16_t id, ThriftType type)
{
    const int16_t delta = (int16_t)(id - f->last);
    if (delta > 0 && delta <= 15) {
        buf_put_u8(f->out, (uint8_t)(delta << 4 | (int)type));
    } else {
        buf_put_u8(f->out, (uint8_t)type);
        varint_put_i64(f->out, id);
    }
    f->last = id;
}

static void put_stop(Fields *f)
{
    buf_put_u8(f->out, 0);
}

static void put_bool(Fields *f, int16_t id, bool v)
{
    put_field(f, id, v ? THRIFT_TRUE : THRIFT_FALSE);
}

static void put_i8(Fields *f, int16_t id, int8_t v)
{
    put_field(f, id, THRIFT_BYTE);
    buf_put_u8(f->out, (uint8_t)v);
}

static void put_i16(Fields *f, int16_t id, int16_t v)
{
    put_field(f, id, THRIFT_I16);
    varint_put_i64(f->out, v);
}

static void put_i32(Fields *f, int16_t id, int32_t v)
{
    put_field(f, id, THRIFT_I32);
    varint_put_i64(f->out, v);
}

static void put_i64(Fields *f, int16_t id, int64_t v)
{
    put_field(f, id, THRIFT_I64);
    varint_put_i64(f->out, v);
}

static void put_bytes(Buf *out, Bytes v)
{
    varint_put_u64(out, v.len);
    buf_put(out, v.ptr, v.len);
}

static void put_binary(Fields *f, int16_t id, Bytes v)
{
    put_field(f, id, THRIFT_BINARY);
    put_bytes(f->out, v);
}

static void put_string(Fields *f, int16_t id, Str v)
{
    put_binary(f, id, (Bytes){.ptr = (const uint8_t *)v.ptr, .len = v.len});
}

static void put_list(Fields *f, int16_t id, ThriftType element, size_t count)
{
    put_field(f, id, THRIFT_LIST);
    if (count <= LIST_SHORT_MAX) {
        buf_put_u8(f->out, (uint8_t)(count << 4 | (size_t)element));
    } else {
        buf_put_u8(f->out, (uint8_t)(0xf0 | (int)element));
        varint_put_u64(f->out, count);
    }
}

// Opens a nested struct; the caller ends it with put_stop() on the result.
static Fields put_struct(Fields *f, int16_t id)
{
    put_field(f, id, THRIFT_STRUCT);
    return (Fields){.out = f->out};
}

static Fields element_struct(Fields *f)
{
    return (Fields){.out = f->out};
}

// A union whose chosen member is a struct without fields.
static void put_empty_union(Fields *f, int16_t id, int16_t member)
{
    Fields choice = put_struct(f, id);
    Fields empty = put_struct(&choice, member);
    put_stop(&empty);
    put_stop(&choice);
}

static void put_statistics(Fields *parent, int16_t id, const ParquetStatistics *s)
{
    Fields f = put_struct(parent, id);
    if (s->has_null_count) {
        put_i64(&f, 3, s->null_count);
    }
    if (s->has_distinct_count) {
        put_i64(&f, 4, s->distinct_count);
    }
    if (s->has_max) {
        put_binary(&f, 5, s->max);
    }
    if (s->has_min) {
        put_binary(&f, 6, s->min);
    }
    if (s->has_max) {
        put_bool(&f, 7, s->max_exact);
    }
    if (s->has_min) {
        put_bool(&f, 8, s->min_exact);
    }
    put_stop(&f);
}

static bool statistics_empty(const ParquetStatistics *s)
{
    return !s->has_null_count && !s->has_distinct_count && !s->has_min && !s->has_max;
}

// tidy: allow function-length: one case per logical type
static void put_logical(Fields *parent, int16_t id, const ParquetSchemaElement *e)
{
    Fields choice = put_struct(parent, id);
    Fields f = put_struct(&choice, (int16_t)e->logical);
    switch (e->logical) {
    case PARQUET_LOGICAL_DECIMAL:
        put_i32(&f, 1, e->scale);
        put_i32(&f, 2, e->precision);
        break;
    case PARQUET_LOGICAL_TIME:
    case PARQUET_LOGICAL_TIMESTAMP:
        put_bool(&f, 1, e->is_utc);
        put_empty_union(&f, 2, (int16_t)e->time_unit);
        break;
    case PARQUET_LOGICAL_INTEGER:
        put_i8(&f, 1, e->int_bits);
        put_bool(&f, 2, e->int_signed);
        break;
    case PARQUET_LOGICAL_NONE:
    case PARQUET_LOGICAL_STRING:
    case PARQUET_LOGICAL_MAP:
    case PARQUET_LOGICAL_LIST:
    case PARQUET_LOGICAL_ENUM:
    case PARQUET_LOGICAL_DATE:
    case PARQUET_LOGICAL_UNKNOWN:
    case PARQUET_LOGICAL_JSON:
    case PARQUET_LOGICAL_BSON:
    case PARQUET_LOGICAL_UUID:
    case PARQUET_LOGICAL_FLOAT16:
    case PARQUET_LOGICAL_OTHER:
        break;
    }
    put_stop(&f);
    put_stop(&choice);
}

static void put_schema_element(Fields *parent, const ParquetSchemaElement *e, bool is_root)
{
    Fields f = element_struct(parent);
    if (e->has_type) {
        put_i32(&f, 1, (int32_t)e->type);
        if (e->type == PARQUET_FIXED_LEN_BYTE_ARRAY) {
            put_i32(&f, 2, e->type_length);
        }
    }
    if (!is_root) { // the root has no repetition
        put_i32(&f, 3, (int32_t)e->repetition);
    }
    put_string(&f, 4, e->name);
    if (!e->has_type) {
        put_i32(&f, 5, e->child_count);
    }
    if (e->converted != PARQUET_CONVERTED_NONE) {
        put_i32(&f, 6, (int32_t)e->converted);
    }
    if (e->converted == PARQUET_DECIMAL) {
        put_i32(&f, 7, e->scale);
        put_i32(&f, 8, e->precision);
    }
    if (e->logical != PARQUET_LOGICAL_NONE && e->logical != PARQUET_LOGICAL_OTHER) {
        put_logical(&f, 10, e);
    }
    put_stop(&f);
}

static void put_encodings(Fields *f, int16_t id, uint32_t encodings)
{
    put_list(f, id, THRIFT_I32, (size_t)__builtin_popcount(encodings));
    for (uint32_t left = encodings; left != 0; left &= left - 1) {
        varint_put_i64(f->out, __builtin_ctz(left));
    }
}

static void put_column_meta(Fields *parent, int16_t id, const ParquetColumnChunk *c)
{
    Fields f = put_struct(parent, id);
    put_i32(&f, 1, (int32_t)c->type);
    put_encodings(&f, 2, c->encodings);
    put_list(&f, 3, THRIFT_BINARY, c->path_count);
    for (uint32_t i = 0; i < c->path_count; i++) {
        put_bytes(f.out, (Bytes){.ptr = (const uint8_t *)c->path[i].ptr, .len = c->path[i].len});
    }
    put_i32(&f, 4, (int32_t)c->codec);
    put_i64(&f, 5, c->value_count);
    put_i64(&f, 6, c->uncompressed_bytes);
    put_i64(&f, 7, c->compressed_bytes);
    put_i64(&f, 9, c->data_page_offset);
    if (c->dictionary_page_offset != 0) {
        put_i64(&f, 11, c->dictionary_page_offset);
    }
    if (!statistics_empty(&c->statistics)) {
        put_statistics(&f, 12, &c->statistics);
    }
    if (c->bloom_offset != 0) {
        put_i64(&f, 14, c->bloom_offset);
        if (c->bloom_bytes != 0) {
            put_i32(&f, 15, c->bloom_bytes);
        }
    }
    put_stop(&f);
}

static void put_column_chunk(Fields *parent, const ParquetColumnChunk *c)
{
    Fields f = element_struct(parent);
    // Deprecated but required: where the chunk begins, as parquet-java writes it.
    put_i64(&f, 2,
            c->dictionary_page_offset != 0 ? c->dictionary_page_offset : c->data_page_offset);
    put_column_meta(&f, 3, c);
    if (c->offset_index_offset != 0) {
        put_i64(&f, 4, c->offset_index_offset);
        put_i32(&f, 5, c->offset_index_bytes);
    }
    if (c->column_index_offset != 0) {
        put_i64(&f, 6, c->column_index_offset);
        put_i32(&f, 7, c->column_index_bytes);
    }
    put_stop(&f);
}

static void put_row_group(Fields *parent, const ParquetRowGroup *g)
{
    Fields f = element_struct(parent);
    put_list(&f, 1, THRIFT_STRUCT, g->column_count);
    for (uint32_t i = 0; i < g->column_count; i++) {
        put_column_chunk(&f, &g->columns[i]);
    }
    put_i64(&f, 2, g->total_bytes);
    put_i64(&f, 3, g->row_count);
    if (g->sorting_count != 0) {
        put_list(&f, 4, THRIFT_STRUCT, g->sorting_count);
        for (uint32_t i = 0; i < g->sorting_count; i++) {
            Fields s = element_struct(&f);
            put_i32(&s, 1, g->sorting[i].column);
            put_bool(&s, 2, g->sorting[i].descending);
            put_bool(&s, 3, g->sorting[i].nulls_first);
            put_stop(&s);
        }
    }
    put_i64(&f, 5, g->file_offset);
    put_i64(&f, 6, g->total_compressed_bytes);
    put_i16(&f, 7, g->ordinal);
    put_stop(&f);
}

static void put_key_values(Fields *f, int16_t id, const ParquetFileMeta *meta)
{
    put_list(f, id, THRIFT_STRUCT, meta->key_value_count);
    for (uint32_t i = 0; i < meta->key_value_count; i++) {
        Fields kv = element_struct(f);
        put_string(&kv, 1, meta->key_values[i].key);
        put_string(&kv, 2, meta->key_values[i].value);
        put_stop(&kv);
    }
}

// All TYPE_ORDER, one per leaf.
static void put_column_orders(Fields *f, int16_t id, const ParquetFileMeta *meta)
{
    size_t leaf_count = 0;
    for (uint32_t i = 0; i < meta->schema_count; i++) {
        leaf_count += meta->schema[i].has_type;
    }
    put_list(f, id, THRIFT_STRUCT, leaf_count);
    for (size_t i = 0; i < leaf_count; i++) {
        Fields order = element_struct(f);
        Fields empty = put_struct(&order, 1);
        put_stop(&empty);
        put_stop(&order);
    }
}

void parquet_encode_file_meta(const ParquetFileMeta *meta, Buf *out)
{
    Fields f = {.out = out};
    put_i32(&f, 1, meta->version);
    put_list(&f, 2, THRIFT_STRUCT, meta->schema_count);
    for (uint32_t i = 0; i < meta->schema_count; i++) {
        put_schema_element(&f, &meta->schema[i], i == 0);
    }
    put_i64(&f, 3, meta->row_count);
    put_list(&f, 4, THRIFT_STRUCT, meta->row_group_count);
    for (uint32_t i = 0; i < meta->row_group_count; i++) {
        put_row_group(&f, &meta->row_groups[i]);
    }
    if (meta->key_value_count != 0) {
        put_key_values(&f, 5, meta);
    }
    if (meta->created_by.len != 0) {
        put_string(&f, 6, meta->created_by);
    }
    if (meta->has_column_orders) {
        put_column_orders(&f, 7, meta);
    }
    put_stop(&f);
}

static void put_data_page(Fields *parent, const ParquetPageHeader *h)
{
    Fields f = put_struct(parent, 5);
    put_i32(&f, 1, h->value_count);
    put_i32(&f, 2, (int32_t)h->encoding);
    put_i32(&f, 3, (int32_t)h->def_encoding);
    put_i32(&f, 4, (int32_t)h->rep_encoding);
    if (!statistics_empty(&h->statistics)) {
        put_statistics(&f, 5, &h->statistics);
    }
    put_stop(&f);
}

static void put_data_page_v2(Fields *parent, const ParquetPageHeader *h)
{
    Fields f = put_struct(parent, 8);
    put_i32(&f, 1, h->value_count);
    put_i32(&f, 2, h->null_count);
    put_i32(&f, 3, h->row_count);
    put_i32(&f, 4, (int32_t)h->encoding);
    put_i32(&f, 5, h->def_bytes);
    put_i32(&f, 6, h->rep_bytes);
    put_bool(&f, 7, h->is_compressed);
    if (!statistics_empty(&h->statistics)) {
        put_statistics(&f, 8, &h->statistics);
    }
    put_stop(&f);
}

void parquet_encode_page_header(const ParquetPageHeader *header, Buf *out)
{
    Fields f = {.out = out};
    put_i32(&f, 1, (int32_t)header->type);
    put_i32(&f, 2, header->uncompressed_bytes);
    put_i32(&f, 3, header->compressed_bytes);
    if (header->has_crc) {
        put_i32(&f, 4, (int32_t)header->crc);
    }
    switch (header->type) {
    case PARQUET_DATA_PAGE:
        put_data_page(&f, header);
        break;
    case PARQUET_DATA_PAGE_V2:
        put_data_page_v2(&f, header);
        break;
    case PARQUET_DICTIONARY_PAGE: {
        Fields d = put_struct(&f, 7);
        put_i32(&d, 1, header->value_count);
        put_i32(&d, 2, (int32_t)header->encoding);
        put_stop(&d);
        break;
    }
    case PARQUET_INDEX_PAGE: {
        Fields empty = put_struct(&f, 6);
        put_stop(&empty);
        break;
    }
    }
    put_stop(&f);
}

void parquet_encode_offset_index(const ParquetOffsetIndex *index, Buf *out)
{
    Fields f = {.out = out};
    put_list(&f, 1, THRIFT_STRUCT, index->page_count);
    for (uint32_t i = 0; i < index->page_count; i++) {
        Fields p = element_struct(&f);
        put_i64(&p, 1, index->pages[i].offset);
        put_i32(&p, 2, index->pages[i].compressed_bytes);
        put_i64(&p, 3, index->pages[i].first_row);
        put_stop(&p);
    }
    put_stop(&f);
}

static void put_binaries(Fields *f, int16_t id, const Bytes *values, size_t count)
{
    put_list(f, id, THRIFT_BINARY, count);
    for (size_t i = 0; i < count; i++) {
        put_bytes(f->out, values[i]);
    }
}

void parquet_encode_column_index(const ParquetColumnIndex *index, Buf *out)
{
    Fields f = {.out = out};
    put_list(&f, 1, THRIFT_TRUE, index->page_count);
    for (uint32_t i = 0; i < index->page_count; i++) {
        buf_put_u8(out, index->null_pages[i] ? THRIFT_TRUE : THRIFT_FALSE);
    }
    put_binaries(&f, 2, index->min, index->page_count);
    put_binaries(&f, 3, index->max, index->page_count);
    put_i32(&f, 4, (int32_t)index->order);
    if (index->null_counts != NULL) {
        put_list(&f, 5, THRIFT_I64, index->page_count);
        for (uint32_t i = 0; i < index->page_count; i++) {
            varint_put_i64(out, index->null_counts[i]);
        }
    }
    put_stop(&f);
}

void parquet_encode_bloom_header(const ParquetBloomHeader *header, Buf *out)
{
    Fields f = {.out = out};
    put_i32(&f, 1, header->byte_count);
    put_empty_union(&f, 2, 1); // split block
    put_empty_union(&f, 3, 1); // xxHash
    put_empty_union(&f, 4, 1); // uncompressed
    put_stop(&f);
}
