// SPDX-License-Identifier: Apache-2.0
//
// From schema elements to columns: LogicalTypes.md of apache/parquet-format. What has both a
// logical and a converted type follows the logical one.
#include "base/utf8.h"
#include "parquet/reader_internal.h"

#include <stdio.h>

enum { INT96_BYTES = 12, UUID_BYTES = 16, FLOAT16_BYTES = 2 };

typedef struct Walk {
    ParquetReader *r;
    const ParquetSchemaElement *schema;
    uint32_t count, next; // elements; the next one
} Walk;

// How a leaf maps to a column type; `why` is not empty when it does not.
typedef struct Mapping {
    ColumnType type;
    ParquetConvert convert;
    bool unordered;
    Str why;
} Mapping;

static Mapping mapped(ColumnType type, ParquetConvert convert)
{
    return (Mapping){.type = type, .convert = convert};
}

static Mapping refused(Str why)
{
    return (Mapping){.why = why};
}

static Mapping map_integer(const ParquetSchemaElement *e, int bits, bool is_signed)
{
    static const ColumnType types[2][4] = {
        {COLUMN_UINT8, COLUMN_UINT16, COLUMN_UINT32, COLUMN_UINT64},
        {COLUMN_INT8, COLUMN_INT16, COLUMN_INT32, COLUMN_INT64}};
    static const ParquetConvert converts[2][4] = {
        {PARQUET_CONVERT_UINT8, PARQUET_CONVERT_UINT16, PARQUET_CONVERT_COPY, PARQUET_CONVERT_COPY},
        {PARQUET_CONVERT_INT8, PARQUET_CONVERT_INT16, PARQUET_CONVERT_COPY, PARQUET_CONVERT_COPY}};
    const int log = bits == 8 ? 0 : bits == 16 ? 1 : bits == 32 ? 2 : 3;
    if (e->type != (bits == 64 ? PARQUET_INT64 : PARQUET_INT32)) {
        return refused(STR("INTEGER of a width that its physical type does not have"));
    }
    return mapped(types[is_signed][log], converts[is_signed][log]);
}

static Mapping map_timestamp(const ParquetSchemaElement *e, ParquetTimeUnit unit)
{
    if (e->type != PARQUET_INT64) {
        return refused(STR("TIMESTAMP on another type than INT64"));
    }
    switch (unit) {
    case PARQUET_MILLIS:
        return mapped(COLUMN_TIMESTAMP, PARQUET_CONVERT_MILLIS);
    case PARQUET_MICROS:
        return mapped(COLUMN_TIMESTAMP, PARQUET_CONVERT_COPY);
    case PARQUET_NANOS:
        return mapped(COLUMN_TIMESTAMP, PARQUET_CONVERT_NANOS);
    }
    UNREACHABLE();
}

static Mapping map_text(const ParquetSchemaElement *e)
{
    if (e->type != PARQUET_BYTE_ARRAY && e->type != PARQUET_FIXED_LEN_BYTE_ARRAY) {
        return refused(STR("text on a type that has no bytes"));
    }
    return mapped(COLUMN_STRING, PARQUET_CONVERT_BYTES);
}

static Mapping map_physical(const ParquetSchemaElement *e)
{
    switch (e->type) {
    case PARQUET_BOOLEAN:
        return mapped(COLUMN_BOOL, PARQUET_CONVERT_BOOL);
    case PARQUET_INT32:
        return mapped(COLUMN_INT32, PARQUET_CONVERT_COPY);
    case PARQUET_INT64:
        return mapped(COLUMN_INT64, PARQUET_CONVERT_COPY);
    case PARQUET_INT96:
        return (Mapping){
            .type = COLUMN_TIMESTAMP, .convert = PARQUET_CONVERT_INT96, .unordered = true};
    case PARQUET_FLOAT:
        return mapped(COLUMN_FLOAT, PARQUET_CONVERT_COPY);
    case PARQUET_DOUBLE:
        return mapped(COLUMN_DOUBLE, PARQUET_CONVERT_COPY);
    case PARQUET_BYTE_ARRAY:
    case PARQUET_FIXED_LEN_BYTE_ARRAY:
        return mapped(COLUMN_BINARY, PARQUET_CONVERT_BYTES);
    }
    UNREACHABLE();
}

static Mapping map_converted(const ParquetSchemaElement *e)
{
    switch (e->converted) {
    case PARQUET_CONVERTED_NONE:
        return map_physical(e);
    case PARQUET_UTF8:
    case PARQUET_ENUM:
    case PARQUET_JSON:
        return map_text(e);
    case PARQUET_BSON:
        return map_physical(e);
    case PARQUET_DATE:
        return e->type == PARQUET_INT32 ? mapped(COLUMN_DATE, PARQUET_CONVERT_COPY)
                                        : refused(STR("DATE on another type than INT32"));
    case PARQUET_TIMESTAMP_MILLIS:
        return map_timestamp(e, PARQUET_MILLIS);
    case PARQUET_TIMESTAMP_MICROS:
        return map_timestamp(e, PARQUET_MICROS);
    case PARQUET_UINT_8:
        return map_integer(e, 8, false);
    case PARQUET_UINT_16:
        return map_integer(e, 16, false);
    case PARQUET_UINT_32:
        return map_integer(e, 32, false);
    case PARQUET_UINT_64:
        return map_integer(e, 64, false);
    case PARQUET_INT_8:
        return map_integer(e, 8, true);
    case PARQUET_INT_16:
        return map_integer(e, 16, true);
    case PARQUET_INT_32:
        return map_integer(e, 32, true);
    case PARQUET_INT_64:
        return map_integer(e, 64, true);
    case PARQUET_TIME_MILLIS:
    case PARQUET_TIME_MICROS:
        return refused(STR("TIME is not supported"));
    case PARQUET_DECIMAL:
        return refused(STR("DECIMAL is not supported"));
    case PARQUET_INTERVAL:
        return refused(STR("INTERVAL is not supported"));
    case PARQUET_MAP:
    case PARQUET_MAP_KEY_VALUE:
    case PARQUET_LIST:
        return refused(STR("MAP or LIST on a single value"));
    }
    UNREACHABLE();
}

static Mapping map_leaf(const ParquetSchemaElement *e)
{
    Mapping m;
    switch (e->logical) {
    case PARQUET_LOGICAL_NONE:
        return map_converted(e);
    case PARQUET_LOGICAL_STRING:
    case PARQUET_LOGICAL_ENUM:
    case PARQUET_LOGICAL_JSON:
        return map_text(e);
    case PARQUET_LOGICAL_BSON:
        return map_physical(e);
    case PARQUET_LOGICAL_UNKNOWN: // a column of nulls
    case PARQUET_LOGICAL_OTHER:   // an annotation we do not know changes nothing but the order
        m = map_physical(e);
        m.unordered = true;
        return m;
    case PARQUET_LOGICAL_DATE:
        return e->type == PARQUET_INT32 ? mapped(COLUMN_DATE, PARQUET_CONVERT_COPY)
                                        : refused(STR("DATE on another type than INT32"));
    case PARQUET_LOGICAL_TIMESTAMP:
        return map_timestamp(e, e->time_unit);
    case PARQUET_LOGICAL_INTEGER:
        return map_integer(e, e->int_bits, e->int_signed);
    case PARQUET_LOGICAL_UUID:
        return e->type == PARQUET_FIXED_LEN_BYTE_ARRAY && e->type_length == UUID_BYTES
                   ? mapped(COLUMN_UUID, PARQUET_CONVERT_COPY)
                   : refused(STR("UUID that is not of 16 bytes"));
    case PARQUET_LOGICAL_FLOAT16:
        return e->type == PARQUET_FIXED_LEN_BYTE_ARRAY && e->type_length == FLOAT16_BYTES
                   ? mapped(COLUMN_FLOAT, PARQUET_CONVERT_FLOAT16)
                   : refused(STR("FLOAT16 that is not of 2 bytes"));
    case PARQUET_LOGICAL_TIME:
        return refused(STR("TIME is not supported"));
    case PARQUET_LOGICAL_DECIMAL:
        return refused(STR("DECIMAL is not supported"));
    case PARQUET_LOGICAL_MAP:
    case PARQUET_LOGICAL_LIST:
        return refused(STR("MAP or LIST on a single value"));
    }
    UNREACHABLE();
}

static uint32_t physical_width(const ParquetSchemaElement *e)
{
    switch (e->type) {
    case PARQUET_BOOLEAN:
    case PARQUET_BYTE_ARRAY:
        return 0;
    case PARQUET_INT32:
    case PARQUET_FLOAT:
        return 4;
    case PARQUET_INT64:
    case PARQUET_DOUBLE:
        return 8;
    case PARQUET_INT96:
        return INT96_BYTES;
    case PARQUET_FIXED_LEN_BYTE_ARRAY:
        return (uint32_t)e->type_length;
    }
    UNREACHABLE();
}

// Sets up a leaf; returns the reason when it cannot be read.
static Str set_leaf(ParquetLeaf *leaf, const ParquetSchemaElement *e)
{
    Mapping m = map_leaf(e);
    if (m.why.len == 0 && e->type == PARQUET_FIXED_LEN_BYTE_ARRAY &&
        (e->type_length <= 0 || e->type_length > PARQUET_PAGE_MAX_BYTES)) {
        m.why = STR("FIXED_LEN_BYTE_ARRAY without a usable length");
    }
    leaf->type = m.type;
    leaf->convert = m.convert;
    leaf->width = physical_width(e);
    leaf->ordered = !m.unordered;
    return m.why;
}

static bool is_map(const ParquetSchemaElement *e)
{
    return e->logical == PARQUET_LOGICAL_MAP ||
           (e->logical == PARQUET_LOGICAL_NONE &&
            (e->converted == PARQUET_MAP || e->converted == PARQUET_MAP_KEY_VALUE));
}

static bool is_group(const ParquetSchemaElement *e)
{
    return !e->has_type;
}

// A group as MAP of text. Names do not matter, and the annotation may be the old MAP_KEY_VALUE
// (LogicalTypes.md, "Maps" and its backward-compatibility rules). `e` is followed by its children,
// which are known to be there.
static Str map_map(ParquetLeaf *leaves, const ParquetSchemaElement *e)
{
    const ParquetSchemaElement *entry = e + 1, *key = e + 2, *value = e + 3;
    if (e->child_count != 1 || entry->repetition != PARQUET_REPEATED || !is_group(entry)) {
        return STR("MAP without a repeated group of entries");
    }
    if (entry->child_count != 2) {
        return STR("MAP whose entries are not of a key and a value");
    }
    if (is_group(key) || is_group(value) || key->repetition == PARQUET_REPEATED ||
        value->repetition == PARQUET_REPEATED) {
        return STR("MAP of nested values is not supported");
    }
    const Str why_key = set_leaf(&leaves[0], key);
    const Str why_value = set_leaf(&leaves[1], value);
    if (why_key.len != 0 || why_value.len != 0 || leaves[0].type != COLUMN_STRING ||
        leaves[1].type != COLUMN_STRING) {
        return STR("MAP of other types than text to text is not supported");
    }
    leaves[0].max_rep = leaves[1].max_rep = 1;
    leaves[0].from_parent = leaves[1].from_parent = e->repetition == PARQUET_OPTIONAL;
    const uint32_t def = e->repetition == PARQUET_OPTIONAL ? 2 : 1;
    leaves[0].max_def = def + (key->repetition == PARQUET_OPTIONAL);
    leaves[1].max_def = def + (value->repetition == PARQUET_OPTIONAL);
    return (Str){0};
}

static Str why_group_not(const ParquetSchemaElement *e)
{
    if (e->logical == PARQUET_LOGICAL_LIST || e->converted == PARQUET_LIST) {
        return STR("LIST is not supported");
    }
    return e->logical == PARQUET_LOGICAL_OTHER
               ? STR("groups of this logical type are not supported")
               : STR("STRUCT is not supported");
}

// Passes over one element and all below it, counting leaves. Depth is limited, so is recursion.
static Status walk_below(Walk *w, uint32_t depth, Err *err)
{
    if (w->next >= w->count) {
        return err_set(err, ERR_CORRUPT,
                       "parquet schema: groups have more children than there are");
    }
    if (depth > PARQUET_SCHEMA_DEPTH_MAX) {
        return err_set(err, ERR_TOO_LARGE, "parquet schema: nested deeper than %d",
                       PARQUET_SCHEMA_DEPTH_MAX);
    }
    const ParquetSchemaElement *e = &w->schema[w->next++];
    if (!is_group(e)) {
        if (e->child_count != 0) {
            return err_set(err, ERR_CORRUPT, "parquet schema: column '" STR_FMT "' has children",
                           STR_ARG(e->name));
        }
        if (w->r->leaf_count == PARQUET_COLUMNS_MAX) {
            return err_set(err, ERR_TOO_LARGE, "parquet schema: more than %d columns",
                           PARQUET_COLUMNS_MAX);
        }
        w->r->leaves[w->r->leaf_count++] = (ParquetLeaf){.element = e};
        return OK;
    }
    for (int32_t i = 0; i < e->child_count; i++) {
        TRY(walk_below(w, depth + 1, err));
    }
    return OK;
}

static Status map_field(Walk *w, ParquetField *out, Err *err)
{
    ParquetReader *r = w->r;
    const uint32_t first_element = w->next;
    const uint32_t first_leaf = r->leaf_count;
    TRY(walk_below(w, 1, err));

    const ParquetSchemaElement *e = &w->schema[first_element];
    ParquetLeaf *leaves = &r->leaves[first_leaf];
    *out = (ParquetField){.field = {.name = e->name, .nullable = e->repetition != PARQUET_REQUIRED},
                          .first_leaf = first_leaf,
                          .leaf_count = r->leaf_count - first_leaf};
    if (!utf8_is_valid(e->name)) {
        return err_set(err, ERR_CORRUPT, "parquet schema: the name of column %u is not UTF-8",
                       first_leaf);
    }
    if (e->name.len > COLUMN_NAME_MAX) {
        out->why_not = STR("the name is too long");
    } else if (e->repetition == PARQUET_REPEATED) {
        out->why_not = STR("repeated fields are not supported");
    } else if (!is_group(e)) {
        out->why_not = set_leaf(leaves, e);
        out->field.type = leaves->type;
        leaves->max_def = e->repetition == PARQUET_OPTIONAL;
    } else if (is_map(e) && out->leaf_count > 0) {
        out->why_not = map_map(leaves, e);
        out->field.type = COLUMN_MAP;
    } else {
        out->why_not = why_group_not(e);
    }
    out->readable = out->why_not.len == 0;
    return OK;
}

Status parquet_schema_map(ParquetReader *r, Err *err)
{
    const ParquetSchemaElement *schema = r->meta.schema;
    Walk w = {.r = r, .schema = schema, .count = r->meta.schema_count, .next = 1};
    if (w.count == 0 || !is_group(&schema[0])) {
        return err_set(err, ERR_CORRUPT, "parquet schema: no root group");
    }
    if ((uint32_t)schema[0].child_count >= w.count) {
        return err_set(err, ERR_CORRUPT,
                       "parquet schema: groups have more children than there are");
    }
    r->fields = arena_new(&r->arena, ParquetField, (size_t)schema[0].child_count);
    r->leaves = arena_new(&r->arena, ParquetLeaf, w.count);
    for (int32_t i = 0; i < schema[0].child_count; i++) {
        TRY(map_field(&w, &r->fields[r->field_count], err));
        r->field_count++;
    }
    if (w.next != w.count) {
        return err_set(err, ERR_CORRUPT, "parquet schema: %u elements belong to no group",
                       w.count - w.next);
    }
    return OK;
}
