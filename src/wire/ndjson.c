// SPDX-License-Identifier: Apache-2.0
#include "wire/ndjson.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "wire/ndjson_internal.h"

static const Str time_column_default = {.ptr = "timestamp", .len = 9};

bool ndjson_name_is_valid(Str name)
{
    if (name.len == 0 || name.len > NDJSON_NAME_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.ptr[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return true;
}

// ---- Life

Ndjson *ndjson_new(void)
{
    Ndjson *n = mem_new(Ndjson, 1);
    strmap_init(&n->by_name);
    strmap_init(&n->by_lower);
    arena_init(&n->arena, 0);
    buf_init(&n->scratch, 0);
    return n;
}

Builder *ndjson_builder_take(Ndjson *n, ColumnType type)
{
    return n->free_count[type] > 0 ? n->free_builders[type][--n->free_count[type]]
                                   : builder_new(type);
}

void ndjson_builder_give(Ndjson *n, ColumnType type, Builder *builder)
{
    const size_t count = n->free_count[type];
    builder_clear(builder);
    n->free_builders[type] = mem_grow(n->free_builders[type], &n->free_cap[type], count + 1,
                                      sizeof(Builder *)); // NOLINT(bugprone-sizeof-expression)
    n->free_builders[type][count] = builder;
    n->free_count[type] = count + 1;
}

static void reset(Ndjson *n)
{
    for (size_t i = 0; i < n->column_count; i++) {
        if (n->columns[i].builder != NULL) {
            ndjson_builder_give(n, n->columns[i].type, n->columns[i].builder);
        }
    }
    n->column_count = 0;
    n->row = 0;
    strmap_deinit(&n->by_name);
    strmap_deinit(&n->by_lower);
    strmap_init(&n->by_name);
    strmap_init(&n->by_lower);
    arena_reset(&n->arena);
}

void ndjson_free(Ndjson *n)
{
    if (n == NULL) {
        return;
    }
    reset(n);
    for (size_t type = 0; type < NDJSON_TYPE_COUNT; type++) {
        for (size_t i = 0; i < n->free_count[type]; i++) {
            builder_free(n->free_builders[type][i]);
        }
        mem_free(n->free_builders[type]);
    }
    strmap_deinit(&n->by_name);
    strmap_deinit(&n->by_lower);
    arena_deinit(&n->arena);
    buf_deinit(&n->scratch);
    mem_free(n->columns);
    mem_free(n);
}

// ---- Columns

static Str lower_case(Arena *arena, Str s)
{
    char *p = arena_new(arena, char, s.len + 1);
    for (size_t i = 0; i < s.len; i++) {
        p[i] = s.ptr[i];
        if (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z') {
            p[i] = (char)(s.ptr[i] | 0x20);
        }
    }
    return (Str){.ptr = p, .len = s.len};
}

static Status case_clash(Str name, Str other, Err *err)
{
    return err_set(err, ERR_INVALID,
                   "column '" STR_FMT "' differs only in case from column '" STR_FMT "'",
                   STR_ARG(name), STR_ARG(other));
}

static Status add_column(Ndjson *n, Str name, NdjsonColumn **out, Err *err)
{
    const Schema *known = n->options->known;
    bool created = false;

    if (!ndjson_name_is_valid(name)) {
        return err_set(err, ERR_INVALID,
                       "'" STR_FMT
                       "' is no column name: want [A-Za-z_][A-Za-z0-9_]*, at most %d bytes",
                       STR_ARG(str_slice(name, 0, 64)), NDJSON_NAME_BYTES_MAX);
    }
    if (n->column_count == NDJSON_COLUMNS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "more than %d columns", NDJSON_COLUMNS_MAX);
    }
    const uint64_t *clash =
        strmap_put(&n->by_lower, lower_case(&n->arena, name), n->column_count, &created);
    if (!created) {
        return case_clash(name, n->columns[*clash].name, err);
    }
    (void)strmap_put(&n->by_name, name, n->column_count, NULL);
    n->columns = mem_grow(n->columns, &n->column_cap, n->column_count + 1, sizeof(*n->columns));
    NdjsonColumn *column = &n->columns[n->column_count++];
    *column = (NdjsonColumn){.name = arena_str(&n->arena, name)};
    if (known != NULL) {
        const size_t at = schema_find(known, name);
        const size_t like = schema_find_nocase(known, name);
        if (at == SIZE_MAX && like != SIZE_MAX) {
            return case_clash(name, known->fields[like].name, err);
        }
        if (at != SIZE_MAX) {
            column->known = true;
            column->typed = true;
            column->type = known->fields[at].type;
            column->builder = ndjson_builder_take(n, column->type);
        }
    }
    *out = column;
    return OK;
}

static Status add_time_column(Ndjson *n, Err *err)
{
    NdjsonColumn *column = NULL;
    const Str name = n->options->time_column;
    TRY(add_column(n, name.len > 0 ? name : time_column_default, &column, err));
    if (column->builder != NULL) {
        ndjson_builder_give(n, column->type, column->builder);
    }
    column->known = true;
    column->typed = true;
    column->type = COLUMN_TIMESTAMP;
    column->builder = ndjson_builder_take(n, COLUMN_TIMESTAMP);
    return OK;
}

// Rows mostly have the same keys in the same order: *next is the column to try first.
static Status find_column(Ndjson *n, Str name, size_t *next, NdjsonColumn **out, Err *err)
{
    if (*next < n->column_count && str_eq(n->columns[*next].name, name)) {
        *out = &n->columns[(*next)++];
        return OK;
    }
    const uint64_t *at = strmap_get(&n->by_name, name);
    if (at != NULL) {
        *out = &n->columns[*at];
        *next = (size_t)*at + 1;
        return OK;
    }
    TRY(add_column(n, name, out, err));
    *next = n->column_count;
    return OK;
}

// ---- Rows

static Status parse_field(Ndjson *n, JsonReader *r, const JsonToken *key, size_t *next, Err *err)
{
    NdjsonColumn *column = NULL;
    JsonToken value;
    if (find_column(n, key->str, next, &column, err) != OK) {
        return err_prefix(err, "byte %zu: ", key->offset + 1);
    }
    if (column->rows > n->row) {
        return err_set(err, ERR_INVALID, "byte %zu: field '" STR_FMT "' twice in one row",
                       key->offset + 1, STR_ARG(column->name));
    }
    column->rows = n->row + 1;
    TRY(json_next(r, &value, err));
    if (value.kind == JSON_NULL) {
        return OK; // filled in when the next value comes
    }
    return ndjson_put(n, column, r, value, err);
}

static Status parse_row(Ndjson *n, JsonReader *r, Err *err)
{
    JsonToken token;
    size_t next = 0;
    TRY(json_next(r, &token, err));
    if (token.kind != JSON_OBJECT_BEGIN) {
        return err_set(err, ERR_INVALID, "byte %zu: expected an object, found %s", token.offset + 1,
                       json_kind_text(token.kind));
    }
    for (;;) {
        TRY(json_next(r, &token, err));
        if (token.kind == JSON_OBJECT_END) {
            break;
        }
        TRY(parse_field(n, r, &token, &next, err));
    }
    TRY(json_next(r, &token, err)); // the end, or an error
    if (builder_row_count(n->columns[0].builder) == n->row) {
        builder_i64(n->columns[0].builder, n->options->now_us);
    }
    n->row++;
    return OK;
}

static bool is_blank(Str line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (line.ptr[i] != ' ' && line.ptr[i] != '\t' && line.ptr[i] != '\r') {
            return false;
        }
    }
    return true;
}

static Status parse_lines(Ndjson *n, Str body, Err *err)
{
    for (uint64_t number = 1; body.len > 0; number++) {
        Str line = body;
        JsonReader r;
        if (!str_cut(body, '\n', &line, &body)) {
            body = (Str){0};
        }
        if (is_blank(line)) {
            continue;
        }
        if (n->row == NDJSON_ROWS_MAX) {
            return err_set(err, ERR_TOO_LARGE, "line %" PRIu64 ": more than %d rows in one body",
                           number, NDJSON_ROWS_MAX);
        }
        json_init(&r, (Bytes){(const uint8_t *)line.ptr, line.len}, true, &n->arena);
        if (parse_row(n, &r, err) != OK) {
            return err_prefix(err, "line %" PRIu64 ", ", number);
        }
    }
    return OK;
}

static Status check_utf8(Str body, Err *err)
{
    const size_t valid = utf8_valid_len(body);
    uint64_t line = 1;
    size_t start = 0;
    if (valid == body.len) {
        return OK;
    }
    for (size_t i = 0; i < valid; i++) {
        if (body.ptr[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    return err_set(err, ERR_INVALID, "line %" PRIu64 ", byte %zu: not UTF-8", line,
                   valid - start + 1);
}

static void finish(Ndjson *n, Batch *out)
{
    Field *fields = arena_new(&n->arena, Field, n->column_count);
    Vector *vectors = arena_new(&n->arena, Vector, n->column_count);
    Schema *schema = arena_new(&n->arena, Schema, 1);
    size_t count = 0;
    for (size_t i = 0; i < n->column_count; i++) {
        NdjsonColumn *column = &n->columns[i];
        if (!column->typed) {
            continue; // never anything but null
        }
        builder_nulls(column->builder, n->row - builder_row_count(column->builder));
        fields[count] = (Field){.name = column->name, .type = column->type, .nullable = i != 0};
        vectors[count] = builder_vector(column->builder);
        count++;
    }
    *schema = (Schema){.fields = fields, .count = count};
    *out = (Batch){.schema = schema, .columns = vectors, .row_count = n->row};
}

Status ndjson_parse(Ndjson *n, Bytes body, const NdjsonOptions *options, Batch *out, Err *err)
{
    const Str text = {.ptr = (const char *)body.ptr, .len = body.len};
    *out = (Batch){0};
    reset(n);
    n->options = options;
    if (body.len > NDJSON_BODY_BYTES_MAX) {
        return err_set(err, ERR_TOO_LARGE, "body of %zu bytes; the limit is %d", body.len,
                       NDJSON_BODY_BYTES_MAX);
    }
    TRY(add_time_column(n, err));
    TRY(check_utf8(text, err));
    TRY(parse_lines(n, text, err));
    finish(n, out);
    return OK;
}
