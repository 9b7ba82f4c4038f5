// SPDX-License-Identifier: Apache-2.0
//
// How a Schema becomes the schema of a Parquet file (LogicalTypes.md): both the logical type and
// the older converted type are written, so that readers of any age agree. Signed integers of 32 and
// 64 bits need neither.
#include "parquet/writer_internal.h"

static WriterOrder type_order(ColumnType type)
{
    switch (type) {
    case COLUMN_BOOL:
        return WRITER_BOOL;
    case COLUMN_INT8:
    case COLUMN_INT16:
    case COLUMN_INT32:
    case COLUMN_DATE:
        return WRITER_I32;
    case COLUMN_UINT8:
    case COLUMN_UINT16:
    case COLUMN_UINT32:
        return WRITER_U32;
    case COLUMN_INT64:
    case COLUMN_TIMESTAMP:
        return WRITER_I64;
    case COLUMN_UINT64:
        return WRITER_U64;
    case COLUMN_FLOAT:
        return WRITER_F32;
    case COLUMN_DOUBLE:
        return WRITER_F64;
    case COLUMN_STRING:
    case COLUMN_BINARY:
    case COLUMN_UUID:
    case COLUMN_MAP:
        return WRITER_BYTES;
    }
    UNREACHABLE();
}

static ParquetPhysical type_physical(ColumnType type)
{
    switch (type_order(type)) {
    case WRITER_BOOL:
        return PARQUET_BOOLEAN;
    case WRITER_I32:
    case WRITER_U32:
        return PARQUET_INT32;
    case WRITER_I64:
    case WRITER_U64:
        return PARQUET_INT64;
    case WRITER_F32:
        return PARQUET_FLOAT;
    case WRITER_F64:
        return PARQUET_DOUBLE;
    case WRITER_BYTES:
        return type == COLUMN_UUID ? PARQUET_FIXED_LEN_BYTE_ARRAY : PARQUET_BYTE_ARRAY;
    }
    UNREACHABLE();
}

static uint32_t physical_width(ParquetPhysical physical)
{
    switch (physical) {
    case PARQUET_BOOLEAN:
        return 1;
    case PARQUET_INT32:
    case PARQUET_FLOAT:
        return 4;
    case PARQUET_INT64:
    case PARQUET_DOUBLE:
        return 8;
    case PARQUET_FIXED_LEN_BYTE_ARRAY:
        return 16;
    case PARQUET_INT96:
    case PARQUET_BYTE_ARRAY:
        return 0;
    }
    UNREACHABLE();
}

static void set_integer(ParquetSchemaElement *e, ParquetConverted converted, int8_t bits,
                        bool is_signed)
{
    e->converted = converted;
    e->logical = PARQUET_LOGICAL_INTEGER;
    e->int_bits = bits;
    e->int_signed = is_signed;
}

static void set_logical(ParquetSchemaElement *e, ColumnType type)
{
    switch (type) {
    case COLUMN_INT8:
        set_integer(e, PARQUET_INT_8, 8, true);
        break;
    case COLUMN_INT16:
        set_integer(e, PARQUET_INT_16, 16, true);
        break;
    case COLUMN_UINT8:
        set_integer(e, PARQUET_UINT_8, 8, false);
        break;
    case COLUMN_UINT16:
        set_integer(e, PARQUET_UINT_16, 16, false);
        break;
    case COLUMN_UINT32:
        set_integer(e, PARQUET_UINT_32, 32, false);
        break;
    case COLUMN_UINT64:
        set_integer(e, PARQUET_UINT_64, 64, false);
        break;
    case COLUMN_STRING:
        e->converted = PARQUET_UTF8;
        e->logical = PARQUET_LOGICAL_STRING;
        break;
    case COLUMN_TIMESTAMP:
        e->converted = PARQUET_TIMESTAMP_MICROS;
        e->logical = PARQUET_LOGICAL_TIMESTAMP;
        e->time_unit = PARQUET_MICROS;
        e->is_utc = true;
        break;
    case COLUMN_DATE:
        e->converted = PARQUET_DATE;
        e->logical = PARQUET_LOGICAL_DATE;
        break;
    case COLUMN_UUID:
        e->logical = PARQUET_LOGICAL_UUID;
        break;
    case COLUMN_MAP:
        e->converted = PARQUET_MAP;
        e->logical = PARQUET_LOGICAL_MAP;
        break;
    case COLUMN_BOOL:
    case COLUMN_INT32:
    case COLUMN_INT64:
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
    case COLUMN_BINARY:
        break;
    }
}

static ParquetSchemaElement element(Str name, ParquetRepetition repetition)
{
    return (ParquetSchemaElement){
        .name = name, .repetition = repetition, .converted = PARQUET_CONVERTED_NONE};
}

static ParquetSchemaElement leaf_element(Str name, ParquetRepetition repetition, ColumnType type)
{
    ParquetSchemaElement e = element(name, repetition);
    e.has_type = true;
    e.type = type_physical(type);
    e.type_length = type == COLUMN_UUID ? 16 : 0;
    set_logical(&e, type);
    return e;
}

static void init_leaf(WriterLeaf *leaf, const Field *field, WriterPart part, Arena *arena)
{
    static const Str inner[2] = {{.ptr = "key", .len = 3}, {.ptr = "value", .len = 5}};
    const bool is_map = part != WRITER_WHOLE;
    Str *path = arena_new(arena, Str, 3);
    path[0] = field->name;
    path[1] = STR("key_value");
    path[2] = inner[part == WRITER_MAP_VALUE];
    leaf->field = field;
    leaf->part = part;
    leaf->type = is_map ? COLUMN_STRING : field->type;
    leaf->physical = type_physical(leaf->type);
    leaf->order = type_order(leaf->type);
    leaf->width = physical_width(leaf->physical);
    leaf->max_rep = is_map ? 1 : 0;
    leaf->max_def =
        (field->nullable ? 1u : 0u) + (is_map ? 1u : 0u) + (part == WRITER_MAP_VALUE ? 1u : 0u);
    leaf->path = path;
    leaf->path_count = is_map ? 3 : 1;
}

void writer_schema_build(const Schema *schema, const ParquetColumnOptions *options, Arena *arena,
                         WriterSchema *out)
{
    // A map takes four elements and two leaves.
    ParquetSchemaElement *e = arena_new(arena, ParquetSchemaElement, 1 + 4 * schema->count);
    WriterLeaf *leaves = arena_new(arena, WriterLeaf, 2 * schema->count);
    *out = (WriterSchema){.elements = e, .leaves = leaves};
    out->first_leaf = arena_new(arena, uint32_t, schema->count + 1);
    e[out->element_count] = element(STR("schema"), PARQUET_REQUIRED);
    e[out->element_count++].child_count = (int32_t)schema->count;
    for (size_t i = 0; i < schema->count; i++) {
        const Field *f = &schema->fields[i];
        const ParquetRepetition repetition = f->nullable ? PARQUET_OPTIONAL : PARQUET_REQUIRED;
        const uint32_t first = out->leaf_count;
        out->first_leaf[i] = first;
        if (f->type != COLUMN_MAP) {
            e[out->element_count++] = leaf_element(f->name, repetition, f->type);
            init_leaf(&leaves[out->leaf_count++], f, WRITER_WHOLE, arena);
        } else {
            e[out->element_count] = element(f->name, repetition);
            set_logical(&e[out->element_count], COLUMN_MAP);
            e[out->element_count++].child_count = 1;
            e[out->element_count] = element(STR("key_value"), PARQUET_REPEATED);
            e[out->element_count++].child_count = 2;
            e[out->element_count++] = leaf_element(STR("key"), PARQUET_REQUIRED, COLUMN_STRING);
            e[out->element_count++] = leaf_element(STR("value"), PARQUET_OPTIONAL, COLUMN_STRING);
            init_leaf(&leaves[out->leaf_count++], f, WRITER_MAP_KEY, arena);
            init_leaf(&leaves[out->leaf_count++], f, WRITER_MAP_VALUE, arena);
        }
        for (uint32_t leaf = first; leaf < out->leaf_count; leaf++) {
            leaves[leaf].field_index = (uint32_t)i;
            if (options != NULL) {
                leaves[leaf].options = options[i];
            }
        }
    }
    out->first_leaf[schema->count] = out->leaf_count;
}
