// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "base/utf8.h"
#include "column/arrow_internal.h"

typedef struct Dictionary {
    int64_t id;
    const ArrowColumn *column; // the first that uses it: says how its values are laid out
    bool present;
    bool strict; // no nulls, no value twice: may become the dictionary of a DICT vector
    Arena arena; // the values; freed when they are replaced
    Vector values;
} Dictionary;

struct ArrowReader {
    Arena arena; // schema and columns
    bool has_schema;
    Schema schema;
    ArrowColumn *columns;
    Dictionary *dictionaries;
    size_t dictionary_count;
};

ArrowReader *arrow_reader_new(void)
{
    ArrowReader *r = mem_new(ArrowReader, 1);
    arena_init(&r->arena, 0);
    return r;
}

void arrow_reader_free(ArrowReader *r)
{
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i < r->dictionary_count; i++) {
        arena_deinit(&r->dictionaries[i].arena);
    }
    arena_deinit(&r->arena);
    mem_free(r);
}

const Schema *arrow_reader_schema(const ArrowReader *r)
{
    return r->has_schema ? &r->schema : NULL;
}

static Status invalid(Err *err, const char *what)
{
    return err_set(err, ERR_INVALID, "Arrow: %s", what);
}

// ---- framing

Status arrow_message_next(Reader *stream, ArrowMessage *message, bool *end, Err *err)
{
    *message = (ArrowMessage){0};
    *end = reader_left(stream) == 0 && reader_ok(stream);
    if (*end) {
        return OK; // streams may end without saying so
    }
    uint32_t size = reader_u32le(stream);
    if (size == (uint32_t)ARROW_CONTINUATION) { // absent before version 0.15
        size = reader_u32le(stream);
    }
    if (reader_ok(stream) && size == 0) {
        *end = true;
        return OK;
    }
    if (size > ARROW_HEADER_BYTES_MAX) {
        return invalid(err, "message header too large");
    }
    const Bytes header = reader_bytes(stream, size);
    if (!reader_ok(stream)) {
        return invalid(err, "stream ends inside a message");
    }
    ArrowView view = {.b = header};
    const ArrowTable root = arrow_view_root(&view);
    const int64_t body = arrow_view_int(&view, &root, MESSAGE_BODY_LENGTH, 8, 0);
    if (view.failed || body < 0) {
        return invalid(err, "malformed message header");
    }
    message->body = reader_bytes(stream, (uint64_t)body);
    message->header = header;
    return reader_ok(stream) ? OK : invalid(err, "stream ends inside a message");
}

// ---- schema

static Status unsupported(Str name, const char *what, Err *err)
{
    return err_set(err, ERR_UNSUPPORTED, "Arrow: column '" STR_FMT "': %s", STR_ARG(name), what);
}

static Status int_type(ArrowView *v, const ArrowTable *type, Str name, ArrowColumn *out, Err *err)
{
    static const ColumnType types[2][4] = {
        {COLUMN_UINT8, COLUMN_UINT16, COLUMN_UINT32, COLUMN_UINT64},
        {COLUMN_INT8, COLUMN_INT16, COLUMN_INT32, COLUMN_INT64}};
    const int64_t bits = arrow_view_int(v, type, INT_BITS, 4, 0);
    const bool is_signed = arrow_view_int(v, type, INT_SIGNED, 1, 0) != 0;
    if (bits != 8 && bits != 16 && bits != 32 && bits != 64) {
        return unsupported(name, "integer width", err);
    }
    out->type = types[is_signed][__builtin_ctzll((uint64_t)bits) - 3];
    out->layout = ARROW_FIXED;
    out->width = (uint32_t)bits / 8;
    return OK;
}

static Status float_type(ArrowView *v, const ArrowTable *type, Str name, ArrowColumn *out, Err *err)
{
    const int64_t precision = arrow_view_int(v, type, TYPE_FIRST_MEMBER, 2, 0);
    if (precision != PRECISION_SINGLE && precision != PRECISION_DOUBLE) {
        return unsupported(name, "half-precision floats", err);
    }
    out->type = precision == PRECISION_SINGLE ? COLUMN_FLOAT : COLUMN_DOUBLE;
    out->layout = ARROW_FIXED;
    out->width = precision == PRECISION_SINGLE ? 4 : 8;
    return OK;
}

static Status date_type(ArrowView *v, const ArrowTable *type, ArrowColumn *out)
{
    const int64_t unit = arrow_view_int(v, type, TYPE_FIRST_MEMBER, 2, DATE_UNIT_MS);
    const int64_t day_ms = 86400000;
    *out = unit == DATE_UNIT_DAY
               ? (ArrowColumn){.type = COLUMN_DATE, .layout = ARROW_FIXED, .width = 4}
               : (ArrowColumn){
                     .type = COLUMN_DATE, .layout = ARROW_SCALED, .multiply = 1, .divide = day_ms};
    return OK;
}

static Status timestamp_type(ArrowView *v, const ArrowTable *type, Str name, ArrowColumn *out,
                             Err *err)
{
    static const struct {
        int64_t multiply, divide;
    } to_us[] = {[TIME_UNIT_S] = {1000000, 1},
                 [TIME_UNIT_MS] = {1000, 1},
                 [TIME_UNIT_US] = {1, 1},
                 [TIME_UNIT_NS] = {1, 1000}};
    const int64_t unit = arrow_view_int(v, type, TIMESTAMP_UNIT, 2, TIME_UNIT_S);
    if (unit < TIME_UNIT_S || unit > TIME_UNIT_NS) {
        return unsupported(name, "time unit", err);
    }
    *out = (ArrowColumn){.type = COLUMN_TIMESTAMP,
                         .layout = unit == TIME_UNIT_US ? ARROW_FIXED : ARROW_SCALED,
                         .width = 8,
                         .multiply = to_us[unit].multiply,
                         .divide = to_us[unit].divide};
    return OK;
}

static Status fixed_binary_type(ArrowView *v, const ArrowTable *type, Str name, ArrowColumn *out,
                                Err *err)
{
    const int64_t width = arrow_view_int(v, type, TYPE_FIRST_MEMBER, 4, 0);
    if (width <= 0) {
        return unsupported(name, "binary of no width", err);
    }
    out->type = width == 16 ? COLUMN_UUID : COLUMN_BINARY;
    out->layout = width == 16 ? ARROW_FIXED : ARROW_FIXED_TEXT;
    out->width = (uint32_t)width;
    return OK;
}

// The layout of a key or a value.
static Status entry_layout(ArrowView *v, const ArrowTable *field, Str name, ArrowLayout *out,
                           Err *err)
{
    const int64_t kind = arrow_view_int(v, field, FIELD_TYPE_TYPE, 1, 0);
    if ((kind != TYPE_UTF8 && kind != TYPE_LARGE_UTF8) ||
        arrow_view_has(v, field, FIELD_DICTIONARY)) {
        return unsupported(name, "a map of anything but text to text", err);
    }
    *out = kind == TYPE_UTF8 ? ARROW_STRINGS : ARROW_LARGE;
    return OK;
}

static Status map_type(ArrowView *v, const ArrowTable *field, Str name, ArrowColumn *out, Err *err)
{
    const ArrowVec children = arrow_view_vec(v, field, FIELD_CHILDREN, 4);
    const ArrowTable entries =
        children.count == 1 ? arrow_view_vec_table(v, children, 0) : (ArrowTable){0};
    const ArrowVec pair = arrow_view_vec(v, &entries, FIELD_CHILDREN, 4);
    if (v->failed || pair.count != 2 ||
        arrow_view_int(v, &entries, FIELD_TYPE_TYPE, 1, 0) != TYPE_STRUCT) {
        return invalid(err, "map without keys and values");
    }
    const ArrowTable key = arrow_view_vec_table(v, pair, 0);
    const ArrowTable value = arrow_view_vec_table(v, pair, 1);
    TRY(entry_layout(v, &key, name, &out->key_layout, err));
    TRY(entry_layout(v, &value, name, &out->value_layout, err));
    out->type = COLUMN_MAP;
    out->layout = ARROW_MAP;
    return OK;
}

static Status column_type(ArrowView *v, const ArrowTable *field, Str name, ArrowColumn *out,
                          Err *err)
{
    const int64_t kind = arrow_view_int(v, field, FIELD_TYPE_TYPE, 1, 0);
    const ArrowTable type = arrow_view_table(v, field, FIELD_TYPE);
    *out = (ArrowColumn){0};
    switch (kind) {
    case TYPE_INT:
        return int_type(v, &type, name, out, err);
    case TYPE_FLOAT:
        return float_type(v, &type, name, out, err);
    case TYPE_BINARY:
    case TYPE_LARGE_BINARY:
        out->type = COLUMN_BINARY;
        out->layout = kind == TYPE_BINARY ? ARROW_STRINGS : ARROW_LARGE;
        return OK;
    case TYPE_UTF8:
    case TYPE_LARGE_UTF8:
        out->type = COLUMN_STRING;
        out->layout = kind == TYPE_UTF8 ? ARROW_STRINGS : ARROW_LARGE;
        return OK;
    case TYPE_BOOL:
        out->type = COLUMN_BOOL;
        out->layout = ARROW_BITS;
        return OK;
    case TYPE_DATE:
        return date_type(v, &type, out);
    case TYPE_TIMESTAMP:
        return timestamp_type(v, &type, name, out, err);
    case TYPE_FIXED_BINARY:
        return fixed_binary_type(v, &type, name, out, err);
    case TYPE_MAP:
        return map_type(v, field, name, out, err);
    default: // what others may send is open-ended
        return unsupported(name, "type", err);
    }
}

static Dictionary *find_dictionary(const ArrowReader *r, int64_t id)
{
    for (size_t i = 0; i < r->dictionary_count; i++) {
        if (r->dictionaries[i].id == id) {
            return &r->dictionaries[i];
        }
    }
    return NULL;
}

static Status coded_column(ArrowReader *r, ArrowView *v, const ArrowTable *encoding, Str name,
                           ArrowColumn *column, Err *err)
{
    const ArrowTable index = arrow_view_table(v, encoding, ENCODING_INDEX_TYPE);
    const int64_t bits = arrow_view_int(v, &index, INT_BITS, 4, 32); // absent: int32
    if (bits != 8 && bits != 16 && bits != 32 && bits != 64) {
        return unsupported(name, "dictionary code width", err);
    }
    if (column->layout == ARROW_MAP) {
        return unsupported(name, "a dictionary of maps", err);
    }
    column->coded = true;
    column->code_bytes = (uint8_t)(bits / 8);
    column->code_signed = index.pos == 0 || arrow_view_int(v, &index, INT_SIGNED, 1, 0) != 0;
    column->dictionary_id = arrow_view_int(v, encoding, ENCODING_ID, 8, 0);
    const Dictionary *known = find_dictionary(r, column->dictionary_id);
    if (known == NULL) {
        Dictionary *d = &r->dictionaries[r->dictionary_count++]; // at most one per column
        *d = (Dictionary){.id = column->dictionary_id, .column = column};
        arena_init(&d->arena, 0);
    } else if (known->column->type != column->type || known->column->layout != column->layout ||
               known->column->width != column->width) {
        return invalid(err, "columns of different types share a dictionary");
    }
    return OK;
}

static Status read_schema(ArrowReader *r, ArrowView *v, const ArrowTable *table, Err *err)
{
    if (r->columns != NULL) { // also after one that was refused
        return invalid(err, "second schema");
    }
    if (arrow_view_int(v, table, SCHEMA_ENDIANNESS, 2, 0) != 0) {
        return err_set(err, ERR_UNSUPPORTED, "Arrow: big-endian data is not read");
    }
    const ArrowVec vec = arrow_view_vec(v, table, SCHEMA_FIELDS, 4);
    if (vec.count > SCHEMA_COLUMNS_MAX) {
        return err_set(err, ERR_LIMIT, "Arrow: %" PRIu32 " columns, at most %d", vec.count,
                       SCHEMA_COLUMNS_MAX);
    }
    Field *fields = arena_new(&r->arena, Field, vec.count);
    r->columns = arena_new(&r->arena, ArrowColumn, vec.count);
    r->dictionaries = arena_new(&r->arena, Dictionary, vec.count);
    for (uint32_t i = 0; i < vec.count; i++) {
        const ArrowTable field = arrow_view_vec_table(v, vec, i);
        const Str name = arrow_view_str(v, &field, FIELD_NAME);
        if (v->failed) {
            return invalid(err, "malformed schema");
        }
        if (name.len > COLUMN_NAME_MAX) {
            return err_set(err, ERR_LIMIT, "Arrow: column name of %zu bytes", name.len);
        }
        if (!utf8_is_valid(name)) {
            return invalid(err, "column name is not UTF-8");
        }
        TRY(column_type(v, &field, name, &r->columns[i], err));
        const ArrowTable encoding = arrow_view_table(v, &field, FIELD_DICTIONARY);
        if (encoding.pos != 0) {
            TRY(coded_column(r, v, &encoding, name, &r->columns[i], err));
        }
        fields[i] = (Field){.name = arena_str(&r->arena, name),
                            .type = r->columns[i].type,
                            .nullable = arrow_view_int(v, &field, FIELD_NULLABLE, 1, 0) != 0};
    }
    if (v->failed) {
        return invalid(err, "malformed schema");
    }
    r->schema = (Schema){fields, vec.count};
    r->has_schema = true;
    return OK;
}

// ---- rows

static Status row_count_of(ArrowView *v, const ArrowTable *records, uint32_t *out, Err *err)
{
    const int64_t rows = arrow_view_int(v, records, RECORDS_LENGTH, 8, 0);
    if (records->pos == 0 || rows < 0 || rows >= UINT32_MAX) {
        return invalid(err, "record batch without a sensible length");
    }
    *out = (uint32_t)rows;
    return OK;
}

// The body may be gone before the dictionary is used.
static Bytes keep(Arena *arena, Bytes b)
{
    uint8_t *copy = arena_alloc(arena, b.len + 1, 1, 16);
    if (b.len > 0) {
        memcpy(copy, b.ptr, b.len);
    }
    return (Bytes){copy, b.len};
}

static Status read_dictionary(ArrowReader *r, ArrowView *v, const ArrowTable *table, Bytes body,
                              Err *err)
{
    Dictionary *d = find_dictionary(r, arrow_view_int(v, table, DICTIONARY_ID, 8, 0));
    const ArrowTable data = arrow_view_table(v, table, DICTIONARY_DATA);
    ArrowRecords records = {0};
    uint32_t rows = 0;
    if (d == NULL) {
        return invalid(err, "dictionary of no column");
    }
    if (arrow_view_int(v, table, DICTIONARY_IS_DELTA, 1, 0) != 0) {
        return err_set(err, ERR_UNSUPPORTED, "Arrow: delta dictionaries are not read");
    }
    arena_reset(&d->arena);
    d->present = false;
    TRY(row_count_of(v, &data, &rows, err));
    TRY(arrow_records_open(v, &data, keep(&d->arena, body), &d->arena, &records, err));
    TRY(arrow_records_values(&records, d->column, rows, &d->values, err));
    const Vector check = {.type = d->values.type, .form = VECTOR_DICT, .dict = &d->values};
    Err ignored = {0};
    d->strict = vector_validate(&check, &ignored) == OK;
    d->present = true;
    return OK;
}

// The column of codes as DICT, or as FLAT when its dictionary is not one by our rules.
static Status read_coded(ArrowReader *r, const ArrowColumn *column, ArrowRecords *records,
                         uint32_t rows, Vector *out, Err *err)
{
    const Dictionary *d = find_dictionary(r, column->dictionary_id);
    if (d == NULL || !d->present) {
        return invalid(err, "rows before their dictionary");
    }
    TRY(arrow_records_codes(records, column, rows, d->values.row_count, out, err));
    out->form = VECTOR_DICT;
    out->dict = &d->values;
    if (d->strict) {
        return OK;
    }
    if (vector_flat_bytes(out) > UINT32_MAX) {
        return err_set(err, ERR_LIMIT, "Arrow: column with more than 4 GiB of strings");
    }
    const uint64_t *valid = out->validity;
    *out = vector_take(&d->values, out->codes, rows, records->arena);
    if (valid != NULL) {
        uint64_t *both = arena_new(records->arena, uint64_t, ((size_t)rows + 63) / 64);
        for (uint32_t i = 0; i < rows; i++) {
            validity_set(both, i, validity_get(valid, i) && validity_get(out->validity, i));
        }
        out->validity = both;
    }
    return OK;
}

static Status read_records(ArrowReader *r, ArrowView *v, const ArrowTable *table, Bytes body,
                           Arena *arena, Batch *batch, Err *err)
{
    ArrowRecords records = {0};
    uint32_t rows = 0;
    TRY(row_count_of(v, table, &rows, err));
    TRY(arrow_records_open(v, table, body, arena, &records, err));
    Vector *columns = arena_new(arena, Vector, r->schema.count);
    for (size_t i = 0; i < r->schema.count; i++) {
        const Status st =
            r->columns[i].coded
                ? read_coded(r, &r->columns[i], &records, rows, &columns[i], err)
                : arrow_records_values(&records, &r->columns[i], rows, &columns[i], err);
        if (st != OK) {
            return err_prefix(err, "column '" STR_FMT "': ", STR_ARG(r->schema.fields[i].name));
        }
    }
    *batch = (Batch){.schema = &r->schema, .columns = columns, .row_count = rows};
    return OK;
}

Status arrow_reader_message(ArrowReader *r, ArrowMessage message, Arena *arena, Batch *batch,
                            Err *err)
{
    static const uint8_t nothing = 0;
    *batch = (Batch){0};
    message.body.ptr = message.body.len == 0 ? &nothing : message.body.ptr;
    ArrowView v = {.b = message.header};
    const ArrowTable root = arrow_view_root(&v);
    const int64_t version = arrow_view_int(&v, &root, MESSAGE_VERSION, 2, 0);
    const int64_t kind = arrow_view_int(&v, &root, MESSAGE_HEADER_TYPE, 1, 0);
    const ArrowTable header = arrow_view_table(&v, &root, MESSAGE_HEADER);
    if (v.failed || header.pos == 0) {
        return invalid(err, "malformed message header");
    }
    if (version != ARROW_VERSION_V4 && version != ARROW_VERSION_V5) {
        return err_set(err, ERR_UNSUPPORTED, "Arrow: metadata version %" PRId64, version);
    }
    if (kind == HEADER_SCHEMA) {
        return read_schema(r, &v, &header, err);
    }
    if (!r->has_schema) {
        return invalid(err, "rows before the schema");
    }
    switch (kind) {
    case HEADER_DICTIONARY:
        return read_dictionary(r, &v, &header, message.body, err);
    case HEADER_RECORDS:
        return read_records(r, &v, &header, message.body, arena, batch, err);
    default: // tensors
        return err_set(err, ERR_UNSUPPORTED, "Arrow: message of kind %" PRId64, kind);
    }
}
