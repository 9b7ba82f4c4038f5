// SPDX-License-Identifier: Apache-2.0
//
// schemaString (delta-io PROTOCOL.md, "Schema Serialization Format") and our types. Delta has no
// unsigned integers and no UUID; those become the next type that holds them, and the field's
// metadata keeps our name under "cardinal.type".
#include "store/delta_internal.h"

#include "base/utf8.h"

#define TYPE_KEY "cardinal.type"

typedef struct TypeName {
    const char *delta;
    ColumnType type;
    bool is_exact; // this is what the Delta type is read as
} TypeName;

static const TypeName type_names[] = {
    {"boolean", COLUMN_BOOL, true},
    {"byte", COLUMN_INT8, true},
    {"short", COLUMN_INT16, true},
    {"integer", COLUMN_INT32, true},
    {"long", COLUMN_INT64, true},
    {"short", COLUMN_UINT8, false},
    {"integer", COLUMN_UINT16, false},
    {"long", COLUMN_UINT32, false},
    {"decimal(20,0)", COLUMN_UINT64, false},
    {"float", COLUMN_FLOAT, true},
    {"double", COLUMN_DOUBLE, true},
    {"string", COLUMN_STRING, true},
    {"binary", COLUMN_BINARY, true},
    {"timestamp", COLUMN_TIMESTAMP, true},
    {"date", COLUMN_DATE, true},
    {"binary", COLUMN_UUID, false},
};

static const TypeName *type_name(ColumnType type)
{
    for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
        if (type_names[i].type == type) {
            return &type_names[i];
        }
    }
    return NULL; // COLUMN_MAP
}

void delta_put_json_string(Str s, Buf *out)
{
    size_t plain = 0; // start of what needs no escape
    buf_put_u8(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        const uint8_t c = (uint8_t)s.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        buf_put(out, s.ptr + plain, i - plain);
        plain = i + 1;
        if (c == '"' || c == '\\') {
            buf_put_u8(out, '\\');
            buf_put_u8(out, c);
        } else {
            buf_putf(out, "\\u%04x", c);
        }
    }
    if (plain < s.len) {
        buf_put(out, s.ptr + plain, s.len - plain);
    }
    buf_put_u8(out, '"');
}

static void put_field(const Field *field, Buf *out)
{
    const TypeName *name = type_name(field->type);
    buf_put_str(out, STR("{\"name\":"));
    delta_put_json_string(field->name, out);
    if (name == NULL) {
        buf_put_str(out, STR(",\"type\":{\"type\":\"map\",\"keyType\":\"string\",\"valueType\":"
                             "\"string\",\"valueContainsNull\":true}"));
    } else {
        buf_putf(out, ",\"type\":\"%s\"", name->delta);
    }
    buf_putf(out, ",\"nullable\":%s,\"metadata\":{", field->nullable ? "true" : "false");
    if (name != NULL && !name->is_exact) {
        buf_putf(out, "\"" TYPE_KEY "\":\"%s\"", column_type_sql(field->type));
    }
    buf_put_str(out, STR("}}"));
}

void delta_put_schema_json(const Schema *schema, Buf *out)
{
    buf_put_str(out, STR("{\"type\":\"struct\",\"fields\":["));
    for (size_t i = 0; i < schema->count; i++) {
        if (i > 0) {
            buf_put_u8(out, ',');
        }
        put_field(&schema->fields[i], out);
    }
    buf_put_str(out, STR("]}"));
}

static Str json_str(const json_t *value)
{
    return (Str){.ptr = json_string_value(value), .len = json_string_length(value)};
}

// The type of a field whose type is a name.
static Status parse_primitive(Str delta, const json_t *metadata, ColumnType *out, Err *err)
{
    const json_t *ours = json_object_get(metadata, TYPE_KEY);
    if (json_is_string(ours)) {
        ColumnType type = COLUMN_BOOL;
        const TypeName *name = NULL;
        if (column_type_from_sql(json_str(ours), &type)) {
            name = type_name(type);
        }
        if (name == NULL || !str_eq(delta, (Str){.ptr = name->delta, .len = strlen(name->delta)})) {
            return err_set(err, ERR_UNSUPPORTED, "type '" STR_FMT "' as '" STR_FMT "'",
                           STR_ARG(delta), STR_ARG(json_str(ours)));
        }
        *out = type;
        return OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
        const TypeName *name = &type_names[i];
        if (name->is_exact &&
            str_eq(delta, (Str){.ptr = name->delta, .len = strlen(name->delta)})) {
            *out = name->type;
            return OK;
        }
    }
    return err_set(err, ERR_UNSUPPORTED, "type '" STR_FMT "'", STR_ARG(delta));
}

static bool is_string_type(const json_t *type)
{
    return json_is_string(type) && str_eq(json_str(type), STR("string"));
}

static Status parse_type(const json_t *type, const json_t *metadata, ColumnType *out, Err *err)
{
    if (json_is_string(type)) {
        return parse_primitive(json_str(type), metadata, out, err);
    }
    const json_t *kind = json_object_get(type, "type");
    if (!json_is_string(kind)) {
        return err_set(err, ERR_CORRUPT, "no type");
    }
    if (!str_eq(json_str(kind), STR("map")) || !is_string_type(json_object_get(type, "keyType")) ||
        !is_string_type(json_object_get(type, "valueType"))) {
        return err_set(err, ERR_UNSUPPORTED, "nested type '" STR_FMT "'", STR_ARG(json_str(kind)));
    }
    *out = COLUMN_MAP;
    return OK;
}

static Status parse_field(const json_t *json, Arena *arena, Field *out, bool *has_invariants,
                          Err *err)
{
    const json_t *name = json_object_get(json, "name");
    const json_t *nullable = json_object_get(json, "nullable");
    const json_t *metadata = json_object_get(json, "metadata");
    if (!json_is_string(name) || json_string_length(name) == 0 ||
        json_string_length(name) > COLUMN_NAME_MAX) {
        return err_set(err, ERR_CORRUPT, "field without a usable name");
    }
    out->name = arena_str(arena, json_str(name));
    out->nullable = !json_is_false(nullable);
    *has_invariants |= json_object_get(metadata, "delta.invariants") != NULL;
    if (parse_type(json_object_get(json, "type"), metadata, &out->type, err) != OK) {
        return err_prefix(err, "column '" STR_FMT "': ", STR_ARG(out->name));
    }
    return OK;
}

static json_t *load_object(Str text)
{
    json_error_t error;
    json_t *root = json_loadb(text.ptr != NULL ? text.ptr : "", text.len, 0, &error);
    if (root != NULL && !json_is_object(root)) {
        json_decref(root);
        root = NULL;
    }
    return root;
}

Status delta_parse_schema(Str json, Arena *arena, Schema *out, bool *has_invariants, Err *err)
{
    Status st = OK;
    json_t *root = load_object(json);
    const json_t *list = json_object_get(root, "fields");
    const size_t count = json_array_size(list);
    Field *fields = NULL;

    *out = (Schema){0};
    *has_invariants = false;
    if (!json_is_array(list)) {
        st = err_set(err, ERR_CORRUPT, "schemaString is not a struct in JSON");
        goto out;
    }
    if (count > SCHEMA_COLUMNS_MAX) {
        st = err_set(err, ERR_TOO_LARGE, "%zu columns, at most %d are supported", count,
                     SCHEMA_COLUMNS_MAX);
        goto out;
    }
    fields = arena_new(arena, Field, count);
    for (size_t i = 0; i < count; i++) {
        TRY_OUT(parse_field(json_array_get(list, i), arena, &fields[i], has_invariants, err));
        const Schema before = {.fields = fields, .count = i};
        if (schema_find_nocase(&before, fields[i].name) != SIZE_MAX) {
            st = err_set(err, ERR_CORRUPT, "two columns are called '" STR_FMT "', but for case",
                         STR_ARG(fields[i].name));
            goto out;
        }
    }
    *out = (Schema){.fields = fields, .count = count};
out:
    json_decref(root);
    return st;
}

static int put_piece(const char *piece, size_t size, void *ctx)
{
    buf_put((Buf *)ctx, piece, size);
    return 0;
}

Status delta_extend_schema(Str json, const Schema *schema, size_t from, Buf *out, Err *err)
{
    Status st = OK;
    Buf text;
    json_t *root = load_object(json);
    json_t *list = json_object_get(root, "fields");

    buf_init(&text, 0);
    if (!json_is_array(list)) {
        st = err_set(err, ERR_INTERNAL, "the schemaString changed");
        goto out;
    }
    for (size_t i = 0; i < from; i++) {
        json_t *field = json_array_get(list, i);
        if (schema->fields[i].nullable && json_is_false(json_object_get(field, "nullable"))) {
            ASSERT(json_object_set_new(field, "nullable", json_true()) == 0);
        }
    }
    for (size_t i = from; i < schema->count; i++) {
        buf_clear(&text);
        put_field(&schema->fields[i], &text);
        ASSERT(json_array_append_new(list, load_object(buf_str(&text))) == 0);
    }
    ASSERT(json_dump_callback(root, put_piece, out, JSON_COMPACT) == 0);
out:
    json_decref(root);
    buf_deinit(&text);
    return st;
}
