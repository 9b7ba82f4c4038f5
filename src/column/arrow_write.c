// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "codec/hash.h"
#include "column/arrow_internal.h"

typedef struct ColumnState {
    bool coded;     // decided by the first batch
    bool sent;      // a dictionary was sent, ...
    Hash128 digest; // ... this one
} ColumnState;

struct ArrowWriter {
    const Schema *schema; // borrowed
    ColumnState *columns;
    bool started; // the schema is written
    ArrowFb fb;
    Buf body;      // of the message being built
    Buf nodes;     // ArrowPair each
    Buf buffers;   // ArrowPair each
    Arena scratch; // of the batch being written
};

ArrowWriter *arrow_writer_new(const Schema *schema)
{
    ArrowWriter *w = mem_new(ArrowWriter, 1);
    w->schema = schema;
    w->columns = mem_new(ColumnState, schema->count);
    buf_init(&w->body, 0);
    buf_init(&w->nodes, 0);
    buf_init(&w->buffers, 0);
    arena_init(&w->scratch, 0);
    return w;
}

void arrow_writer_free(ArrowWriter *w)
{
    if (w == NULL) {
        return;
    }
    mem_free(w->columns);
    arrow_fb_deinit(&w->fb);
    buf_deinit(&w->body);
    buf_deinit(&w->nodes);
    buf_deinit(&w->buffers);
    arena_deinit(&w->scratch);
    mem_free(w);
}

// ---- schema

typedef struct TypeRef {
    int64_t kind; // of the union
    uint32_t ref;
} TypeRef;

static uint32_t put_int_type(ArrowFb *fb, size_t size, bool is_signed)
{
    arrow_fb_table_begin(fb);
    arrow_fb_put_int(fb, INT_BITS, (int64_t)size * 8, 4);
    arrow_fb_put_int(fb, INT_SIGNED, is_signed, 1);
    return arrow_fb_table_end(fb);
}

// A table with one member of `size` bytes; none when size is 0.
static uint32_t put_simple_type(ArrowFb *fb, int64_t value, size_t size)
{
    arrow_fb_table_begin(fb);
    if (size != 0) {
        arrow_fb_put_int(fb, TYPE_FIRST_MEMBER, value, size);
    }
    return arrow_fb_table_end(fb);
}

static uint32_t put_timestamp_type(ArrowFb *fb)
{
    const uint32_t zone = arrow_fb_str(fb, STR("UTC"));
    arrow_fb_table_begin(fb);
    arrow_fb_put_ref(fb, TIMESTAMP_ZONE, zone);
    arrow_fb_put_int(fb, TIMESTAMP_UNIT, TIME_UNIT_US, 2);
    return arrow_fb_table_end(fb);
}

static TypeRef put_type(ArrowFb *fb, ColumnType type)
{
    const size_t size = column_type_size(type);
    switch (type) {
    case COLUMN_BOOL:
        return (TypeRef){TYPE_BOOL, put_simple_type(fb, 0, 0)};
    case COLUMN_INT8:
    case COLUMN_INT16:
    case COLUMN_INT32:
    case COLUMN_INT64:
        return (TypeRef){TYPE_INT, put_int_type(fb, size, true)};
    case COLUMN_UINT8:
    case COLUMN_UINT16:
    case COLUMN_UINT32:
    case COLUMN_UINT64:
        return (TypeRef){TYPE_INT, put_int_type(fb, size, false)};
    case COLUMN_FLOAT:
        return (TypeRef){TYPE_FLOAT, put_simple_type(fb, PRECISION_SINGLE, 2)};
    case COLUMN_DOUBLE:
        return (TypeRef){TYPE_FLOAT, put_simple_type(fb, PRECISION_DOUBLE, 2)};
    case COLUMN_STRING:
        return (TypeRef){TYPE_UTF8, put_simple_type(fb, 0, 0)};
    case COLUMN_BINARY:
        return (TypeRef){TYPE_BINARY, put_simple_type(fb, 0, 0)};
    case COLUMN_TIMESTAMP:
        return (TypeRef){TYPE_TIMESTAMP, put_timestamp_type(fb)};
    case COLUMN_DATE:
        return (TypeRef){TYPE_DATE, put_simple_type(fb, DATE_UNIT_DAY, 2)};
    case COLUMN_UUID:
        return (TypeRef){TYPE_FIXED_BINARY, put_simple_type(fb, (int64_t)size, 4)};
    case COLUMN_MAP:
        return (TypeRef){TYPE_MAP, put_simple_type(fb, 0, 1)};
    }
    UNREACHABLE();
}

typedef struct FieldSpec {
    Str name;
    TypeRef type;
    bool nullable;
    const uint32_t *children;
    size_t child_count;
    uint32_t dictionary; // 0: none
} FieldSpec;

static uint32_t put_field(ArrowFb *fb, const FieldSpec *f)
{
    const uint32_t children = arrow_fb_refs(fb, f->children, f->child_count);
    const uint32_t name = arrow_fb_str(fb, f->name);
    arrow_fb_table_begin(fb);
    arrow_fb_put_ref(fb, FIELD_CHILDREN, children);
    if (f->dictionary != 0) {
        arrow_fb_put_ref(fb, FIELD_DICTIONARY, f->dictionary);
    }
    arrow_fb_put_ref(fb, FIELD_TYPE, f->type.ref);
    arrow_fb_put_int(fb, FIELD_TYPE_TYPE, f->type.kind, 1);
    arrow_fb_put_int(fb, FIELD_NULLABLE, f->nullable, 1);
    arrow_fb_put_ref(fb, FIELD_NAME, name);
    return arrow_fb_table_end(fb);
}

static uint32_t put_map_entries(ArrowFb *fb)
{
    FieldSpec key = {.name = STR("key"), .type = put_type(fb, COLUMN_STRING)};
    uint32_t children[2];
    children[0] = put_field(fb, &key);
    FieldSpec value = {.name = STR("value"), .type = put_type(fb, COLUMN_STRING), .nullable = true};
    children[1] = put_field(fb, &value);
    const FieldSpec entries = {.name = STR("entries"),
                               .type = {TYPE_STRUCT, put_simple_type(fb, 0, 0)},
                               .children = children,
                               .child_count = 2};
    return put_field(fb, &entries);
}

static uint32_t put_column(ArrowFb *fb, const Field *field, bool coded, size_t id)
{
    FieldSpec spec = {.name = field->name, .nullable = field->nullable};
    uint32_t entries = 0;
    if (field->type == COLUMN_MAP) {
        entries = put_map_entries(fb);
        spec.children = &entries;
        spec.child_count = 1;
    }
    if (coded) {
        const uint32_t index = put_int_type(fb, sizeof(int32_t), true);
        arrow_fb_table_begin(fb);
        arrow_fb_put_int(fb, ENCODING_ID, (int64_t)id, 8);
        arrow_fb_put_ref(fb, ENCODING_INDEX_TYPE, index);
        spec.dictionary = arrow_fb_table_end(fb);
    }
    spec.type = put_type(fb, field->type);
    return put_field(fb, &spec);
}

// ---- messages

static void put_i32(Buf *out, int32_t v)
{
    buf_put_u32le(out, (uint32_t)v);
}

static void put_zeroes(Buf *out, size_t count)
{
    static const uint8_t zeroes[ARROW_ALIGN] = {0};
    buf_put(out, zeroes, count);
}

// Wraps the header that was built into a message, and writes it with the body.
static Status write_message(ArrowWriter *w, int64_t kind, uint32_t header, Buf *out, Err *err)
{
    ArrowFb *fb = &w->fb;
    arrow_fb_table_begin(fb);
    arrow_fb_put_int(fb, MESSAGE_BODY_LENGTH, (int64_t)w->body.len, 8);
    arrow_fb_put_ref(fb, MESSAGE_HEADER, header);
    arrow_fb_put_int(fb, MESSAGE_VERSION, ARROW_VERSION_V5, 2);
    arrow_fb_put_int(fb, MESSAGE_HEADER_TYPE, kind, 1);
    const Bytes meta = arrow_fb_finish(fb, arrow_fb_table_end(fb));
    const size_t padding = -meta.len & (ARROW_ALIGN - 1);
    put_i32(out, ARROW_CONTINUATION);
    put_i32(out, (int32_t)(meta.len + padding));
    buf_put(out, meta.ptr, meta.len);
    put_zeroes(out, padding);
    buf_put(out, w->body.ptr, w->body.len);
    return buf_ok(out) ? OK : err_set(err, ERR_LIMIT, "no room for an Arrow message");
}

static void begin_message(ArrowWriter *w)
{
    arrow_fb_clear(&w->fb);
    buf_clear(&w->body);
    buf_clear(&w->nodes);
    buf_clear(&w->buffers);
}

static Status write_schema(ArrowWriter *w, Buf *out, Err *err)
{
    begin_message(w);
    uint32_t *fields = arena_new(&w->scratch, uint32_t, w->schema->count);
    for (size_t i = 0; i < w->schema->count; i++) {
        fields[i] = put_column(&w->fb, &w->schema->fields[i], w->columns[i].coded, i);
    }
    const uint32_t vec = arrow_fb_refs(&w->fb, fields, w->schema->count);
    arrow_fb_table_begin(&w->fb);
    arrow_fb_put_ref(&w->fb, SCHEMA_FIELDS, vec);
    arrow_fb_put_int(&w->fb, SCHEMA_ENDIANNESS, 0, 2);
    w->started = true;
    return write_message(w, HEADER_SCHEMA, arrow_fb_table_end(&w->fb), out, err);
}

// ---- bodies

static void put_node(ArrowWriter *w, uint32_t length, uint32_t null_count)
{
    const ArrowPair node = {length, null_count};
    buf_put(&w->nodes, &node, sizeof(node));
}

static void begin_buffer(ArrowWriter *w)
{
    const ArrowPair buffer = {.first = (int64_t)w->body.len};
    buf_put(&w->buffers, &buffer, sizeof(buffer));
}

static void end_buffer(ArrowWriter *w)
{
    ArrowPair buffer;
    uint8_t *at = w->buffers.ptr + w->buffers.len - sizeof(buffer);
    memcpy(&buffer, at, sizeof(buffer));
    buffer.second = (int64_t)w->body.len - buffer.first;
    memcpy(at, &buffer, sizeof(buffer));
    put_zeroes(&w->body, -w->body.len & (ARROW_ALIGN - 1));
}

static void put_buffer(ArrowWriter *w, const void *bytes, size_t len)
{
    begin_buffer(w);
    buf_put(&w->body, bytes, len);
    end_buffer(w);
}

// Eight rows to a byte, the unused bits zero.
static void put_bits(ArrowWriter *w, const uint8_t *bools, uint32_t count)
{
    begin_buffer(w);
    for (uint32_t i = 0; i < count; i += 8) {
        uint32_t byte = 0;
        for (uint32_t k = 0; k < 8 && i + k < count; k++) {
            byte |= (uint32_t)(bools[i + k] & 1) << k;
        }
        buf_put_u8(&w->body, (uint8_t)byte);
    }
    end_buffer(w);
}

// Node and validity of `count` rows.
static void put_validity(ArrowWriter *w, const uint64_t *validity, uint32_t count)
{
    uint32_t ones = count;
    if (validity != NULL) {
        ones = 0;
        for (uint32_t i = 0; i < count; i += 64) {
            const uint32_t left = count - i;
            const uint64_t mask = left < 64 ? (UINT64_C(1) << left) - 1 : UINT64_MAX;
            ones += (uint32_t)__builtin_popcountll(validity[i / 64] & mask);
        }
    }
    put_node(w, count, count - ones);
    begin_buffer(w);
    if (ones != count) {
        buf_put(&w->body, validity, ((size_t)count + 7) / 8);
        if (count % 8 != 0) {
            w->body.ptr[w->body.len - 1] &= (uint8_t)((1U << count % 8) - 1);
        }
    }
    end_buffer(w);
}

static void put_offsets(ArrowWriter *w, const uint32_t *offsets, uint32_t count)
{
    if (offsets[0] == 0) {
        put_buffer(w, offsets, ((size_t)count + 1) * sizeof(*offsets));
        return;
    }
    begin_buffer(w);
    for (uint32_t i = 0; i <= count; i++) {
        buf_put_u32le(&w->body, offsets[i] - offsets[0]);
    }
    end_buffer(w);
}

static Status too_large(uint64_t bytes, Err *err)
{
    return err_set(err, ERR_LIMIT, "%" PRIu64 " bytes of strings in one column of an Arrow batch",
                   bytes);
}

// Rows [0, count) of a FLAT vector of strings.
static Status put_strings(ArrowWriter *w, const Vector *v, uint32_t count, Err *err)
{
    put_validity(w, v->validity, count);
    const uint32_t bytes = v->offsets[count] - v->offsets[0];
    if (bytes > INT32_MAX) {
        return too_large(bytes, err);
    }
    put_offsets(w, v->offsets, count);
    put_buffer(w, bytes == 0 ? NULL : v->bytes + v->offsets[0], bytes);
    return OK;
}

static Status flatten(ArrowWriter *w, const Vector *v, Vector *out, Err *err)
{
    const uint64_t bytes = vector_flat_bytes(v);
    if (bytes > INT32_MAX) {
        return too_large(bytes, err);
    }
    *out = vector_flatten(v, &w->scratch);
    return OK;
}

static Status put_map(ArrowWriter *w, const Vector *v, Err *err)
{
    const uint32_t first = v->offsets[0];
    const uint32_t count = v->offsets[v->row_count] - first;
    Vector keys = vector_slice(v->keys, first, count, &w->scratch);
    Vector values = vector_slice(v->values, first, count, &w->scratch);
    put_validity(w, v->validity, v->row_count);
    put_offsets(w, v->offsets, v->row_count);
    put_validity(w, NULL, count); // the struct of key and value
    TRY(flatten(w, &keys, &keys, err));
    TRY(put_strings(w, &keys, count, err));
    TRY(flatten(w, &values, &values, err));
    return put_strings(w, &values, count, err);
}

static Status put_flat(ArrowWriter *w, const Vector *v, Err *err)
{
    const size_t size = column_type_size(v->type);
    if (v->type == COLUMN_MAP) {
        return put_map(w, v, err);
    }
    if (size == 0) {
        return put_strings(w, v, v->row_count, err);
    }
    put_validity(w, v->validity, v->row_count);
    if (v->type == COLUMN_BOOL) {
        put_bits(w, v->data, v->row_count);
    } else {
        put_buffer(w, v->data, v->row_count * size);
    }
    return OK;
}

static uint32_t end_records(ArrowWriter *w, uint32_t length)
{
    ArrowFb *fb = &w->fb;
    const uint32_t buffers = arrow_fb_pairs(fb, (const ArrowPair *)(const void *)w->buffers.ptr,
                                            w->buffers.len / sizeof(ArrowPair));
    const uint32_t nodes = arrow_fb_pairs(fb, (const ArrowPair *)(const void *)w->nodes.ptr,
                                          w->nodes.len / sizeof(ArrowPair));
    arrow_fb_table_begin(fb);
    arrow_fb_put_int(fb, RECORDS_LENGTH, length, 8);
    arrow_fb_put_ref(fb, RECORDS_BUFFERS, buffers);
    arrow_fb_put_ref(fb, RECORDS_NODES, nodes);
    return arrow_fb_table_end(fb);
}

// ---- dictionaries

// Any vector of strings as codes into a FLAT vector, which here may hold nulls and repetitions:
// Arrow allows both, and no row refers to a null.
static Vector coded_form(const Vector *v, Arena *scratch)
{
    if (v->form == VECTOR_DICT) {
        return *v;
    }
    Vector out = {.type = v->type, .form = VECTOR_DICT, .row_count = v->row_count};
    uint32_t *codes = arena_new(scratch, uint32_t, v->row_count);
    out.codes = codes;
    if (v->form == VECTOR_FLAT) {
        for (uint32_t i = 0; i < v->row_count; i++) {
            codes[i] = i;
        }
        out.validity = v->validity;
        out.dict = v;
        return out;
    }
    const Vector *runs = v->runs;
    out.dict = runs->form == VECTOR_DICT ? runs->dict : runs;
    uint64_t *validity = NULL;
    if (runs->validity != NULL) {
        validity = arena_new(scratch, uint64_t, ((size_t)v->row_count + 63) / 64);
        out.validity = validity;
    }
    uint32_t row = 0;
    for (uint32_t k = 0; k < v->run_count; k++) {
        const uint32_t code = runs->form == VECTOR_DICT ? runs->codes[k] : k;
        const bool valid = validity_get(runs->validity, k);
        for (; row < v->run_ends[k]; row++) {
            codes[row] = code;
            if (validity != NULL) {
                validity_set(validity, row, valid);
            }
        }
    }
    return out;
}

static Hash128 digest_of(const Vector *dict)
{
    const size_t words = dict->validity == NULL ? 0 : ((size_t)dict->row_count + 63) / 64;
    const Bytes validity = {(const uint8_t *)dict->validity, words * sizeof(uint64_t)};
    const Bytes offsets = {(const uint8_t *)dict->offsets,
                           ((size_t)dict->row_count + 1) * sizeof(uint32_t)};
    const uint32_t first = dict->offsets[0];
    const uint32_t size = dict->offsets[dict->row_count] - first;
    const Bytes bytes = {size == 0 ? NULL : dict->bytes + first, size};
    const uint64_t seed = hash_xxh3_64(offsets, hash_xxh3_64(validity, 0));
    return hash_xxh3_128(bytes, seed);
}

static Status write_dictionary(ArrowWriter *w, size_t column, const Vector *dict, Buf *out,
                               Err *err)
{
    ColumnState *state = &w->columns[column];
    const Hash128 digest = digest_of(dict);
    if (state->sent && state->digest.lo == digest.lo && state->digest.hi == digest.hi) {
        return OK;
    }
    begin_message(w);
    TRY(put_strings(w, dict, dict->row_count, err));
    const uint32_t data = end_records(w, dict->row_count);
    arrow_fb_table_begin(&w->fb);
    arrow_fb_put_int(&w->fb, DICTIONARY_ID, (int64_t)column, 8);
    arrow_fb_put_ref(&w->fb, DICTIONARY_DATA, data);
    arrow_fb_put_int(&w->fb, DICTIONARY_IS_DELTA, 0, 1);
    TRY(write_message(w, HEADER_DICTIONARY, arrow_fb_table_end(&w->fb), out, err));
    state->sent = true;
    state->digest = digest;
    return OK;
}

// ---- batches

static Status write_rows(ArrowWriter *w, const Batch *batch, Buf *out, Err *err)
{
    const size_t count = w->schema->count;
    Vector *forms = arena_new(&w->scratch, Vector, count);
    for (size_t i = 0; i < count; i++) {
        const Vector *v = &batch->columns[i];
        ASSERT(v->type == w->schema->fields[i].type && v->row_count == batch->row_count);
        if (w->columns[i].coded) {
            forms[i] = coded_form(v, &w->scratch);
            TRY(write_dictionary(w, i, forms[i].dict, out, err));
        } else {
            TRY(flatten(w, v, &forms[i], err));
        }
    }
    begin_message(w);
    for (size_t i = 0; i < count; i++) {
        if (w->columns[i].coded) {
            put_validity(w, forms[i].validity, batch->row_count);
            put_buffer(w, forms[i].codes, (size_t)batch->row_count * sizeof(uint32_t));
        } else {
            TRY(put_flat(w, &forms[i], err));
        }
    }
    return write_message(w, HEADER_RECORDS, end_records(w, batch->row_count), out, err);
}

Status arrow_writer_batch(ArrowWriter *w, const Batch *batch, Buf *out, Err *err)
{
    arena_reset(&w->scratch);
    if (!w->started) {
        for (size_t i = 0; i < w->schema->count; i++) {
            const Vector *v = &batch->columns[i];
            w->columns[i].coded =
                (v->type == COLUMN_STRING || v->type == COLUMN_BINARY) && v->form != VECTOR_FLAT;
        }
        TRY(write_schema(w, out, err));
    }
    return write_rows(w, batch, out, err);
}

Status arrow_writer_finish(ArrowWriter *w, Buf *out, Err *err)
{
    if (!w->started) {
        TRY(write_schema(w, out, err));
    }
    put_i32(out, ARROW_CONTINUATION);
    put_i32(out, 0);
    return buf_ok(out) ? OK : err_set(err, ERR_LIMIT, "no room for an Arrow message");
}
