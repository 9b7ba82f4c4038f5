// SPDX-License-Identifier: Apache-2.0
//
// The WAL payload of typed rows, docs/formats/wal_rows.md. Vectors keep their form: a column that
// came as runs or over a dictionary is logged that way. Maps are BINARY here, see rows_map.c.
#include "codec/varint.h"
#include "store/rows_internal.h"

enum {
    FRAME_VERSION = 1,
    FORM_MASK = 3, // VECTOR_FLAT, VECTOR_DICT, VECTOR_RUNS
    HAS_NULLS = 4,
};

static_assert(VECTOR_FLAT == 0 && VECTOR_DICT == 1 && VECTOR_RUNS == 2, "they stand in frames");

// What stands in frames for the types; never change a number.
static const uint8_t type_numbers[] = {
    [COLUMN_BOOL] = 1,    [COLUMN_INT8] = 2,       [COLUMN_INT16] = 3,   [COLUMN_INT32] = 4,
    [COLUMN_INT64] = 5,   [COLUMN_UINT8] = 6,      [COLUMN_UINT16] = 7,  [COLUMN_UINT32] = 8,
    [COLUMN_UINT64] = 9,  [COLUMN_FLOAT] = 10,     [COLUMN_DOUBLE] = 11, [COLUMN_STRING] = 12,
    [COLUMN_BINARY] = 13, [COLUMN_TIMESTAMP] = 14, [COLUMN_DATE] = 15,   [COLUMN_UUID] = 16,
    [COLUMN_MAP] = 17,
};

// --- encoding ------------------------------------------------------------------------------------

static void put_vector(const Vector *v, Buf *out);

static void put_validity(const uint64_t *validity, uint32_t count, Buf *out)
{
    if (validity == NULL) {
        return;
    }
    const size_t bytes = ((size_t)count + 7) / 8;
    buf_put(out, validity, bytes); // little-endian, like every machine we run on
    if (count % 8 != 0) {          // what is behind the last row may hold anything
        out->ptr[out->len - 1] &= (uint8_t)((1U << count % 8) - 1);
    }
}

static void put_flat(const Vector *v, Buf *out)
{
    const size_t size = column_type_size(v->type);
    if (size != 0) {
        buf_put(out, v->data, size * v->row_count);
        return;
    }
    for (uint32_t i = 0; i < v->row_count; i++) {
        const bool valid = validity_get(v->validity, i);
        varint_put_u64(out, valid ? v->offsets[i + 1] - v->offsets[i] : 0);
    }
    for (uint32_t i = 0; i < v->row_count; i++) {
        if (validity_get(v->validity, i)) {
            buf_put_str(out, vector_flat_str(v, i));
        }
    }
}

static uint8_t code_width(uint32_t count)
{
    return count <= 1U << 8 ? 1 : count <= 1U << 16 ? 2 : 4;
}

static void put_dict(const Vector *v, Buf *out)
{
    const uint8_t width = code_width(v->dict->row_count);
    varint_put_u64(out, v->dict->row_count);
    put_vector(v->dict, out);
    uint8_t *p = buf_reserve(out, (size_t)v->row_count * width);
    for (uint32_t i = 0; i < v->row_count; i++) {
        memcpy(p + (size_t)i * width, &v->codes[i], width);
    }
    buf_commit(out, (size_t)v->row_count * width);
}

static void put_runs(const Vector *v, Buf *out)
{
    uint32_t before = 0;
    varint_put_u64(out, v->run_count);
    for (uint32_t i = 0; i < v->run_count; i++) {
        varint_put_u64(out, v->run_ends[i] - before);
        before = v->run_ends[i];
    }
    put_vector(v->runs, out);
}

static void put_vector(const Vector *v, Buf *out)
{
    const bool has_nulls = v->form != VECTOR_RUNS && v->validity != NULL;
    buf_put_u8(out, (uint8_t)(v->form | (has_nulls ? HAS_NULLS : 0)));
    if (has_nulls) {
        put_validity(v->validity, v->row_count, out);
    }
    switch (v->form) {
    case VECTOR_FLAT:
        put_flat(v, out);
        return;
    case VECTOR_DICT:
        put_dict(v, out);
        return;
    case VECTOR_RUNS:
        put_runs(v, out);
        return;
    }
    UNREACHABLE();
}

void rows_frame_encode(const Batch *batch, uint32_t from, uint32_t count, Arena *scratch, Buf *out)
{
    buf_clear(out);
    buf_put_u8(out, FRAME_VERSION);
    varint_put_u64(out, count);
    varint_put_u64(out, batch->schema->count);
    for (size_t i = 0; i < batch->schema->count; i++) {
        const Field *field = &batch->schema->fields[i];
        const Vector rows = vector_slice(&batch->columns[i], from, count, scratch);
        varint_put_u64(out, field->name.len);
        buf_put_str(out, field->name);
        buf_put_u8(out, type_numbers[field->type]);
        put_vector(&rows, out);
    }
}

// --- decoding ------------------------------------------------------------------------------------

typedef struct Decoder {
    Reader in;
    Arena *arena;
} Decoder;

static Status get_vector(Decoder *d, ColumnType type, uint32_t rows, bool nested, Vector *out,
                         Err *err);

static Status cut_short(Err *err)
{
    return err_set(err, ERR_CORRUPT, "a column is cut short");
}

static Status get_validity(Decoder *d, uint32_t rows, const uint64_t **out, Err *err)
{
    const Bytes bits = reader_bytes(&d->in, ((uint64_t)rows + 7) / 8);
    if (!reader_ok(&d->in)) {
        return cut_short(err);
    }
    uint64_t *validity = arena_new(d->arena, uint64_t, (size_t)rows / 64 + 1);
    if (bits.len != 0) {
        memcpy(validity, bits.ptr, bits.len);
    }
    *out = validity;
    return OK;
}

static Status get_flat(Decoder *d, Vector *v, Err *err)
{
    const size_t size = column_type_size(v->type);
    if (size != 0) {
        const Bytes data = reader_bytes(&d->in, (uint64_t)v->row_count * size);
        if (!reader_ok(&d->in)) {
            return cut_short(err);
        }
        uint8_t *copy = arena_alloc(d->arena, data.len, 1, 16); // aligned, unlike the payload
        if (data.len != 0) {
            memcpy(copy, data.ptr, data.len);
        }
        for (size_t i = 0; i < data.len && v->type == COLUMN_BOOL; i++) {
            copy[i] = copy[i] != 0;
        }
        v->data = copy;
        return OK;
    }
    if (v->row_count > reader_left(&d->in)) {
        return cut_short(err);
    }
    uint32_t *offsets = arena_new(d->arena, uint32_t, (size_t)v->row_count + 1);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < v->row_count; i++) {
        const uint64_t len = varint_get_u64(&d->in);
        sum += len < WAL_FRAME_BYTES_MAX ? len : WAL_FRAME_BYTES_MAX; // too much either way
        offsets[i + 1] = (uint32_t)sum;
        if (sum > WAL_FRAME_BYTES_MAX) {
            return cut_short(err);
        }
    }
    v->bytes = reader_bytes(&d->in, sum).ptr;
    v->offsets = offsets;
    return reader_ok(&d->in) ? OK : cut_short(err);
}

static Status get_dict(Decoder *d, Vector *v, Err *err)
{
    const uint64_t count = varint_get_u64(&d->in);
    if (!reader_ok(&d->in) || count > ROWS_BATCH_ROWS_MAX) {
        return err_set(err, ERR_CORRUPT, "dictionary of %" PRIu64 " values", count);
    }
    Vector *dict = arena_new(d->arena, Vector, 1);
    TRY(get_vector(d, v->type, (uint32_t)count, true, dict, err));
    if (dict->form != VECTOR_FLAT || dict->validity != NULL) {
        return err_set(err, ERR_CORRUPT, "dictionary with nulls or codes");
    }
    const uint8_t width = code_width((uint32_t)count);
    const Bytes bytes = reader_bytes(&d->in, (uint64_t)v->row_count * width);
    if (!reader_ok(&d->in)) {
        return cut_short(err);
    }
    uint32_t *codes = arena_new(d->arena, uint32_t, v->row_count);
    for (uint32_t i = 0; i < v->row_count; i++) {
        memcpy(&codes[i], bytes.ptr + (size_t)i * width, width); // little-endian
        if (codes[i] >= count && (codes[i] != 0 || validity_get(v->validity, i))) {
            return err_set(err, ERR_CORRUPT, "code %" PRIu32 " of %" PRIu64, codes[i], count);
        }
    }
    v->dict = dict;
    v->codes = codes;
    return OK;
}

static Status get_runs(Decoder *d, Vector *v, Err *err)
{
    const uint64_t count = varint_get_u64(&d->in);
    if (!reader_ok(&d->in) || count > v->row_count) {
        return err_set(err, ERR_CORRUPT, "%" PRIu64 " runs", count);
    }
    uint32_t *ends = arena_new(d->arena, uint32_t, count);
    uint64_t end = 0;
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t len = varint_get_u64(&d->in);
        if (len == 0 || len > v->row_count - end) {
            return err_set(err, ERR_CORRUPT, "run of %" PRIu64 " rows", len);
        }
        end += len;
        ends[i] = (uint32_t)end;
    }
    if (end != v->row_count) {
        return err_set(err, ERR_CORRUPT, "runs of %" PRIu64 " rows together", end);
    }
    Vector *runs = arena_new(d->arena, Vector, 1);
    TRY(get_vector(d, v->type, (uint32_t)count, false, runs, err));
    if (runs->form == VECTOR_RUNS) {
        return err_set(err, ERR_CORRUPT, "runs of runs");
    }
    v->run_count = (uint32_t)count;
    v->run_ends = ends;
    v->runs = runs;
    return OK;
}

// Recursion ends: what `nested` is FLAT, and runs in runs are refused before they are read further.
static Status get_vector(Decoder *d, ColumnType type, uint32_t rows, bool nested, Vector *out,
                         Err *err)
{
    const Bytes head = reader_bytes(&d->in, 1);
    if (!reader_ok(&d->in) || (head.ptr[0] & ~(FORM_MASK | HAS_NULLS)) != 0) {
        return err_set(err, ERR_CORRUPT, "bad form of a column");
    }
    const bool has_nulls = (head.ptr[0] & HAS_NULLS) != 0;
    *out = (Vector){.type = type, .row_count = rows};
    switch (head.ptr[0] & FORM_MASK) {
    case VECTOR_FLAT:
        out->form = VECTOR_FLAT;
        TRY(has_nulls ? get_validity(d, rows, &out->validity, err) : OK);
        return get_flat(d, out, err);
    case VECTOR_DICT:
        out->form = VECTOR_DICT;
        TRY(has_nulls ? get_validity(d, rows, &out->validity, err) : OK);
        return nested ? err_set(err, ERR_CORRUPT, "a dictionary in a dictionary")
                      : get_dict(d, out, err);
    case VECTOR_RUNS:
        out->form = VECTOR_RUNS;
        return nested || has_nulls ? err_set(err, ERR_CORRUPT, "runs where none can be")
                                   : get_runs(d, out, err);
    default:
        return err_set(err, ERR_CORRUPT, "bad form of a column");
    }
}

static Status get_field(Decoder *d, Field *out, Err *err)
{
    const Bytes name = reader_bytes(&d->in, varint_get_u64(&d->in));
    const Bytes number = reader_bytes(&d->in, 1);
    if (!reader_ok(&d->in)) {
        return cut_short(err);
    }
    out->name = (Str){(const char *)name.ptr, name.len};
    out->nullable = true;
    for (size_t type = 0; type < ARRAY_LEN(type_numbers); type++) {
        if (type_numbers[type] == number.ptr[0]) {
            out->type = (ColumnType)type;
            return OK;
        }
    }
    return err_set(err, ERR_CORRUPT, "column type %d", number.ptr[0]);
}

Status rows_frame_decode(Bytes payload, Arena *arena, Batch *out, Err *err)
{
    Decoder d = {.in = reader_of(payload), .arena = arena};
    const Bytes version = reader_bytes(&d.in, 1);
    const uint64_t rows = varint_get_u64(&d.in);
    const uint64_t columns = varint_get_u64(&d.in);
    if (!reader_ok(&d.in) || version.ptr[0] != FRAME_VERSION) {
        return err_set(err, ERR_CORRUPT, "not a rows frame of version %d", FRAME_VERSION);
    }
    if (rows == 0 || rows > ROWS_FRAME_ROWS_MAX || columns > SCHEMA_COLUMNS_MAX) {
        return err_set(err, ERR_CORRUPT, "%" PRIu64 " rows of %" PRIu64 " columns", rows, columns);
    }
    Field *fields = arena_new(arena, Field, columns);
    Vector *vectors = arena_new(arena, Vector, columns);
    Schema *schema = arena_new(arena, Schema, 1);
    *schema = (Schema){.fields = fields, .count = columns};
    for (uint64_t i = 0; i < columns; i++) {
        TRY(get_field(&d, &fields[i], err));
        const ColumnType type = fields[i].type == COLUMN_MAP ? COLUMN_BINARY : fields[i].type;
        if (get_vector(&d, type, (uint32_t)rows, false, &vectors[i], err) != OK) {
            return err_prefix(err, "column %" PRIu64 ": ", i);
        }
        TRY(fields[i].type == COLUMN_MAP ? rows_map_check(&vectors[i], err) : OK);
    }
    if (reader_left(&d.in) != 0) {
        return err_set(err, ERR_CORRUPT, "%zu bytes behind the last column", reader_left(&d.in));
    }
    *out = (Batch){.schema = schema, .columns = vectors, .row_count = (uint32_t)rows};
    return OK;
}
