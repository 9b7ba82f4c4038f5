// SPDX-License-Identifier: Apache-2.0
//
// The footer: structs of parquet.thrift (apache/parquet-format 2.11).
#include "codec/varint.h"
#include "parquet/metadata.h"
#include "parquet/metadata_internal.h"

// The least bytes that elements of these lists take, by their required fields.
enum {
    SCHEMA_ELEMENT_BYTES_MIN = 3, // name
    ROW_GROUP_BYTES_MIN = 7,      // columns, total_byte_size, num_rows
    COLUMN_CHUNK_BYTES_MIN = 5,   // file_offset, meta_data or crypto_metadata
    KEY_VALUE_BYTES_MIN = 3,      // key
    SORTING_BYTES_MIN = 5,        // column_idx, descending, nulls_first
};

// ---- schema

static ParquetTimeUnit read_time_unit(Thrift *t)
{
    ThriftField f = thrift_struct_begin(t, "TimeUnit");
    ParquetTimeUnit unit = PARQUET_MICROS;
    bool known = false;
    while (thrift_struct_next(t, &f)) {
        if (f.id >= PARQUET_MILLIS && f.id <= PARQUET_NANOS) {
            unit = (ParquetTimeUnit)f.id;
            known = true;
        }
        thrift_skip_field(t, &f);
    }
    if (!known) {
        thrift_fail(t, ERR_CORRUPT, "*", "names no known unit");
    }
    thrift_struct_end(t, &f, 0);
    return unit;
}

static void read_time_type(Thrift *t, ParquetSchemaElement *out)
{
    ThriftField f = thrift_struct_begin(t, "TimeType");
    while (thrift_struct_next(t, &f)) {
        switch (f.id) {
        case 1:
            out->is_utc = thrift_bool(t, &f);
            break;
        case 2:
            if (thrift_has_type(t, &f, THRIFT_STRUCT)) {
                out->time_unit = read_time_unit(t);
            }
            break;
        default:
            thrift_skip_field(t, &f);
        }
    }
    thrift_struct_end(t, &f, 1 << 1 | 1 << 2);
}

static void read_decimal_type(Thrift *t, ParquetSchemaElement *out)
{
    ThriftField f = thrift_struct_begin(t, "DecimalType");
    while (thrift_struct_next(t, &f)) {
        switch (f.id) {
        case 1:
            out->scale = thrift_i32(t, &f, "scale");
            break;
        case 2:
            out->precision = thrift_i32(t, &f, "precision");
            break;
        default:
            thrift_skip_field(t, &f);
        }
    }
    thrift_struct_end(t, &f, 1 << 1 | 1 << 2);
}

static void read_int_type(Thrift *t, ParquetSchemaElement *out)
{
    ThriftField f = thrift_struct_begin(t, "IntType");
    while (thrift_struct_next(t, &f)) {
        switch (f.id) {
        case 1:
            if (thrift_has_type(t, &f, THRIFT_I8)) {
                out->int_bits = (int8_t)thrift_u8(t);
            }
            break;
        case 2:
            out->int_signed = thrift_bool(t, &f);
            break;
        default:
            thrift_skip_field(t, &f);
        }
    }
    const int8_t bits = out->int_bits;
    if (!t->failed && bits != 8 && bits != 16 && bits != 32 && bits != 64) {
        thrift_fail(t, ERR_CORRUPT, "bitWidth", "is not 8, 16, 32 or 64");
    }
    thrift_struct_end(t, &f, 1 << 1 | 1 << 2);
}

static void read_logical_type(Thrift *t, ParquetSchemaElement *out)
{
    ThriftField f = thrift_struct_begin(t, "LogicalType");
    while (thrift_struct_next(t, &f)) {
        if (!thrift_has_type(t, &f, THRIFT_STRUCT)) {
            continue;
        }
        switch (f.id) {
        case PARQUET_LOGICAL_DECIMAL:
            read_decimal_type(t, out);
            break;
        case PARQUET_LOGICAL_TIME:
        case PARQUET_LOGICAL_TIMESTAMP:
            read_time_type(t, out);
            break;
        case PARQUET_LOGICAL_INTEGER:
            read_int_type(t, out);
            break;
        default:
            thrift_skip_struct(t);
        }
        const bool known = f.id >= PARQUET_LOGICAL_STRING && f.id <= PARQUET_LOGICAL_FLOAT16 &&
                           f.id != 9; // 9 is reserved for INTERVAL
        out->logical = known ? (ParquetLogical)f.id : PARQUET_LOGICAL_OTHER;
    }
    thrift_struct_end(t, &f, 0);
}

static void read_schema_element(Thrift *t, ParquetSchemaElement *out)
{
    ThriftField f = thrift_struct_begin(t, "SchemaElement");
    *out = (ParquetSchemaElement){.converted = PARQUET_CONVERTED_NONE, .time_unit = PARQUET_MICROS};
    while (thrift_struct_next(t, &f)) {
        switch (f.id) {
        case 1:
            out->type = (ParquetPhysical)thrift_i32_in(t, &f, PARQUET_FIXED_LEN_BYTE_ARRAY, "type");
            break;
        case 2:
            out->type_length = thrift_i32_in(t, &f, INT32_MAX, "type_length");
            break;
        case 3:
            out->repetition =
                (ParquetRepetition)thrift_i32_in(t, &f, PARQUET_REPEATED, "repetition_type");
            break;
        case 4:
            out->name = thrift_str(t, &f, "name");
            break;
        case 5:
            out->child_count = thrift_i32_in(t, &f, INT32_MAX, "num_children");
            break;
        case 6:
            out->converted =
                (ParquetConverted)thrift_i32_in(t, &f, PARQUET_INTERVAL, "converted_type");
            break;
        case 7:
            out->scale = thrift_i32(t, &f, "scale");
            break;
        case 8:
            out->precision = thrift_i32(t, &f, "precision");
            break;
        case 10:
            if (thrift_has_type(t, &f, THRIFT_STRUCT)) {
                read_logical_type(t, out);
            }
            break;
        default:
            thrift_skip_field(t, &f);
        }
    }
    out->has_type = (f.seen & 1 << 1) != 0;
    thrift_struct_end(t, &f, 1 << 4);
}

// ---- statistics and column chunks

void parquet_read_statistics(Thrift *t, ParquetStatistics *out)
{
    ThriftField f = thrift_struct_begin(t, "Statistics");
    *out = (ParquetStatistics){0};
    while (thrift_struct_next(t, &f)) {
        switch (f.id) {
        case 3:
            out->null_count = thrift_count(t, &f, "null_count");
            break;
        case 4:
            out->distinct_count = thrift_count(t, &f, "distinct_count");
            break;
        case 5:
            out->max = thrift_bytes(t, &f, "max_value");
            break;
        case 6:
            out->min = thrift_bytes(t, &f, "min_value");
            break;
        case 7:
            out->max_exact = thrift_bool(t, &f);
            break;
        case 8:
            out->min_exact = thrift_bool(t, &f);
            break;
        default: // 1 and 2, max and min, are deprecated: their order is not defined
            thrift_skip_field(t, &f);
        }
    }
    out->has_null_count = (f.seen & 1 << 3) != 0;
    out->has_distinct_count = (f.seen & 1 << 4) != 0;
    out->has_max = (f.seen & 1 << 5) != 0;
    out->has_min = (f.seen & 1 << 6) != 0;
    thrift_struct_end(t, &f, 0);
}

static void read_encodings(Thrift *t, ThriftField *f, ParquetColumnChunk *out)
{
    const uint32_t count = thrift_list(t, f, THRIFT_I32, 1, "encodings");
    for (uint32_t i = 0; i < count && !t->failed; i++) {
        const int64_t encoding = varint_get_i64(&t->r);
        if (thrift_ok(t, "encodings") && encoding >= 0 && encoding < 32) {
            out->encodings |= UINT32_C(1) << encoding;
        }
    }
}

static void read_path(Thrift *t, ThriftField *f, ParquetColumnChunk *out)
{
    const uint32_t count = thrift_list(t, f, THRIFT_BINARY, 1, "path_in_schema");
    if (count > PARQUET_SCHEMA_DEPTH_MAX) {
        thrift_fail(t, ERR_TOO_LARGE, "path_in_schema", "is too long");
        return;
    }
    Str *path = arena_new(t->arena, Str, count);
    for (uint32_t i = 0; i < count && !t->failed; i++) {
        const Bytes b = thrift_list_bytes(t, "path_in_schema");
        path[i] = (Str){.ptr = (const char *)b.ptr, .len = b.len};
    }
    out->path = path;
    out->path_count = count;
}

static bool read_column_meta_place(Thrift *t, ThriftField *f, ParquetColumnChunk *out)
{
    switch (f->id) {
    case 9:
        out->data_page_offset = thrift_count(t, f, "data_page_offset");
        return true;
    case 11:
        // Some writers say "none" with a negative offset.
        out->dictionary_page_offset = thrift_i64(t, f, "dictionary_page_offset");
        out->dictionary_page_offset =
            out->dictionary_page_offset < 0 ? 0 : out->dictionary_page_offset;
        return true;
    case 14:
        out->bloom_offset = thrift_count(t, f, "bloom_filter_offset");
        return true;
    case 15:
        out->bloom_bytes = thrift_i32_in(t, f, INT32_MAX, "bloom_filter_length");
        return true;
    default:
        return false;
    }
}

static void read_column_meta(Thrift *t, ParquetColumnChunk *out)
{
    ThriftField f = thrift_struct_begin(t, "ColumnMetaData");
    while (thrift_struct_next(t, &f)) {
        switch (f.id) {
        case 1:
            out->type = (ParquetPhysical)thrift_i32_in(t, &f, PARQUET_FIXED_LEN_BYTE_ARRAY, "type");
            break;
        case 2:
            read_encodings(t, &f, out);
            break;
        case 3:
            read_path(t, &f, out);
            break;
        case 4: // an unknown codec makes this column unreadable, not the file
            out->codec = (ParquetCodec)thrift_i32_in(t, &f, INT32_MAX, "codec");
            break;
        case 5:
            out->value_count = thrift_count(t, &f, "num_values");
            break;
        case 6:
            out->uncompressed_bytes = thrift_count(t, &f, "total_uncompressed_size");
            break;
        case 7:
            out->compressed_bytes = thrift_count(t, &f, "total_compressed_size");
            break;
        case 12:
            if (thrift_has_type(t, &f, THRIFT_STRUCT)) {
                parquet_read_statistics(t, &out->statistics);
            }
            break;
        default:
            if (!read_column_meta_place(t, &f, out)) {
                thrift_skip_field(t, &f);
            }
        }
    }
    thrift_struct_end(t, &f, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 9);
}

static void read_column_chunk(Thrift *t, ParquetColumnChunk *out)
{
    ThriftField f = thrift_struct_begin(t, "ColumnChunk");
    bool has_meta = false;
    *out = (ParquetColumnChunk){0};
    while (thrift_struct_next(t, &f)) {
        switch (f.id) {
        case 1:
            out->external_file = thrift_str(t, &f, "file_path").len > 0;
            break;
        case 3:
            if (thrift_has_type(t, &f, THRIFT_STRUCT)) {
                read_column_meta(t, out);
                has_meta = true;
            }
            break;
        case 4:
            out->offset_index_offset = thrift_count(t, &f, "offset_index_offset");
            break;
        case 5:
            out->offset_index_bytes = thrift_i32_in(t, &f, INT32_MAX, "offset_index_length");
            break;
        case 6:
            out->column_index_offset = thrift_count(t, &f, "column_index_offset");
            break;
        case 7:
            out->column_index_bytes = thrift_i32_in(t, &f, INT32_MAX, "column_index_length");
            break;
        case 8:
        case 9: // crypto_metadata, encrypted_column_metadata
            out->encrypted = true;
            thrift_skip_field(t, &f);
            break;
        default:
            thrift_skip_field(t, &f);
        }
    }
    if (!has_meta && !out->encrypted) {
        thrift_fail(t, ERR_CORRUPT, "meta_data", "is missing");
    }
    thrift_struct_end(t, &f, 0);
}

static void read_sorting_column(Thrift *t, ParquetSortingColumn *out)
{
    ThriftField f = thrift_struct_begin(t, "SortingColumn");
    while (thrift_struct_next(t, &f)) {
        switch (f.id) {
        case 1:
            out->column = thrift_i32(t, &f, "column_idx");
            break;
        case 2:
            out->descending = thrift_bool(t, &f);
            break;
        case 3:
            out->nulls_first = thrift_bool(t, &f);
            break;
        default:
            thrift_skip_field(t, &f);
        }
    }
    thrift_struct_end(t, &f, 1 << 1 | 1 << 2 | 1 << 3);
}

static void read_chunks(Thrift *t, ThriftField *f, ParquetRowGroup *out)
{
    const uint32_t count = thrift_list(t, f, THRIFT_STRUCT, COLUMN_CHUNK_BYTES_MIN, "columns");
    if (count > PARQUET_COLUMNS_MAX) {
        thrift_fail(t, ERR_TOO_LARGE, "columns", "has too many elements");
        return;
    }
    ParquetColumnChunk *chunks = arena_new(t->arena, ParquetColumnChunk, count);
    for (uint32_t i = 0; i < count && !t->failed; i++) {
        read_column_chunk(t, &chunks[i]);
    }
    out->columns = chunks;
    out->column_count = count;
}

static void read_sorting(Thrift *t, ThriftField *f, ParquetRowGroup *out)
{
    const uint32_t count = thrift_list(t, f, THRIFT_STRUCT, SORTING_BYTES_MIN, "sorting_columns");
    ParquetSortingColumn *sorting = arena_new(t->arena, ParquetSortingColumn, count);
    for (uint32_t i = 0; i < count && !t->failed; i++) {
        read_sorting_column(t, &sorting[i]);
    }
    out->sorting = sorting;
    out->sorting_count = count;
}

static void read_row_group(Thrift *t, ParquetRowGroup *out)
{
    ThriftField f = thrift_struct_begin(t, "RowGroup");
    *out = (ParquetRowGroup){0};
    while (thrift_struct_next(t, &f)) {
        switch (f.id) {
        case 1:
            read_chunks(t, &f, out);
            break;
        case 2:
            out->total_bytes = thrift_i64(t, &f, "total_byte_size");
            break;
        case 3:
            out->row_count = thrift_count(t, &f, "num_rows");
            break;
        case 4:
            read_sorting(t, &f, out);
            break;
        case 5:
            out->file_offset = thrift_i64(t, &f, "file_offset");
            break;
        case 6:
            out->total_compressed_bytes = thrift_i64(t, &f, "total_compressed_size");
            break;
        case 7:
            if (thrift_has_type(t, &f, THRIFT_I16)) {
                out->ordinal = (int16_t)varint_get_i64(&t->r);
            }
            break;
        default:
            thrift_skip_field(t, &f);
        }
    }
    thrift_struct_end(t, &f, 1 << 1 | 1 << 2 | 1 << 3);
}

// ---- file

static void read_key_value(Thrift *t, ParquetKeyValue *out)
{
    ThriftField f = thrift_struct_begin(t, "KeyValue");
    while (thrift_struct_next(t, &f)) {
        switch (f.id) {
        case 1:
            out->key = thrift_str(t, &f, "key");
            break;
        case 2:
            out->value = thrift_str(t, &f, "value");
            break;
        default:
            thrift_skip_field(t, &f);
        }
    }
    thrift_struct_end(t, &f, 1 << 1);
}

static void read_schema(Thrift *t, ThriftField *f, ParquetFileMeta *out)
{
    const uint32_t count = thrift_list(t, f, THRIFT_STRUCT, SCHEMA_ELEMENT_BYTES_MIN, "schema");
    ParquetSchemaElement *schema = arena_new(t->arena, ParquetSchemaElement, count);
    for (uint32_t i = 0; i < count && !t->failed; i++) {
        read_schema_element(t, &schema[i]);
    }
    out->schema = schema;
    out->schema_count = count;
}

static void read_row_groups(Thrift *t, ThriftField *f, ParquetFileMeta *out)
{
    const uint32_t count = thrift_list(t, f, THRIFT_STRUCT, ROW_GROUP_BYTES_MIN, "row_groups");
    if (count > PARQUET_ROW_GROUPS_MAX) {
        thrift_fail(t, ERR_TOO_LARGE, "row_groups", "has too many elements");
        return;
    }
    ParquetRowGroup *groups = arena_new(t->arena, ParquetRowGroup, count);
    for (uint32_t i = 0; i < count && !t->failed; i++) {
        read_row_group(t, &groups[i]);
    }
    out->row_groups = groups;
    out->row_group_count = count;
}

static void read_key_values(Thrift *t, ThriftField *f, ParquetFileMeta *out)
{
    const uint32_t count =
        thrift_list(t, f, THRIFT_STRUCT, KEY_VALUE_BYTES_MIN, "key_value_metadata");
    ParquetKeyValue *pairs = arena_new(t->arena, ParquetKeyValue, count);
    for (uint32_t i = 0; i < count && !t->failed; i++) {
        read_key_value(t, &pairs[i]);
    }
    out->key_values = pairs;
    out->key_value_count = count;
}

// Min and max are only as good as their order. TYPE_ORDER is the one we know; a file that has
// another one for some column is treated as having none.
static void read_column_orders(Thrift *t, ThriftField *f, ParquetFileMeta *out)
{
    const uint32_t count = thrift_list(t, f, THRIFT_STRUCT, 1, "column_orders");
    bool all_known = count > 0;
    for (uint32_t i = 0; i < count && !t->failed; i++) {
        ThriftField order = thrift_struct_begin(t, "ColumnOrder");
        bool known = false;
        while (thrift_struct_next(t, &order)) {
            known = known || order.id == 1;
            thrift_skip_field(t, &order);
        }
        thrift_struct_end(t, &order, 0);
        all_known = all_known && known;
    }
    out->has_column_orders = all_known;
}

static void read_file_meta(Thrift *t, ParquetFileMeta *out)
{
    ThriftField f = thrift_struct_begin(t, "FileMetaData");
    while (thrift_struct_next(t, &f)) {
        switch (f.id) {
        case 1:
            out->version = thrift_i32(t, &f, "version");
            break;
        case 2:
            read_schema(t, &f, out);
            break;
        case 3:
            out->row_count = thrift_count(t, &f, "num_rows");
            break;
        case 4:
            read_row_groups(t, &f, out);
            break;
        case 5:
            read_key_values(t, &f, out);
            break;
        case 6:
            out->created_by = thrift_str(t, &f, "created_by");
            break;
        case 7:
            read_column_orders(t, &f, out);
            break;
        default:
            thrift_skip_field(t, &f);
        }
    }
    thrift_struct_end(t, &f, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4);
}

Status parquet_decode_file_meta(Bytes *in, Arena *arena, ParquetFileMeta *out, Err *err)
{
    Thrift t = thrift_of(*in, arena, err);
    *out = (ParquetFileMeta){0};
    if (in->len > PARQUET_FOOTER_MAX_BYTES) {
        return err_set(err, ERR_TOO_LARGE, "parquet metadata: footer of %zu bytes", in->len);
    }
    read_file_meta(&t, out);
    return thrift_finish(&t, in);
}
