// SPDX-License-Identifier: Apache-2.0
#include "sql/emit.h"

#include "base/mem.h"
#include "sql/emit_internal.h"
#include "sql/engine_internal.h"

enum {
    DICTIONARY_ENTRIES_MAX = 65536, // of a dictionary that becomes a vector
    // A dictionary with more entries than this times the rows of the batch is not worth a vector:
    // few rows were wanted.
    DICTIONARY_ENTRIES_PER_ROW = 8,
};

duckdb_logical_type emit_type(ColumnType type)
{
    static const duckdb_type types[] = {
        [COLUMN_BOOL] = DUCKDB_TYPE_BOOLEAN,     [COLUMN_INT8] = DUCKDB_TYPE_TINYINT,
        [COLUMN_INT16] = DUCKDB_TYPE_SMALLINT,   [COLUMN_INT32] = DUCKDB_TYPE_INTEGER,
        [COLUMN_INT64] = DUCKDB_TYPE_BIGINT,     [COLUMN_UINT8] = DUCKDB_TYPE_UTINYINT,
        [COLUMN_UINT16] = DUCKDB_TYPE_USMALLINT, [COLUMN_UINT32] = DUCKDB_TYPE_UINTEGER,
        [COLUMN_UINT64] = DUCKDB_TYPE_UBIGINT,   [COLUMN_FLOAT] = DUCKDB_TYPE_FLOAT,
        [COLUMN_DOUBLE] = DUCKDB_TYPE_DOUBLE,    [COLUMN_STRING] = DUCKDB_TYPE_VARCHAR,
        [COLUMN_BINARY] = DUCKDB_TYPE_BLOB,      [COLUMN_TIMESTAMP] = DUCKDB_TYPE_TIMESTAMP_TZ,
        [COLUMN_DATE] = DUCKDB_TYPE_DATE,        [COLUMN_UUID] = DUCKDB_TYPE_UUID,
        [COLUMN_MAP] = DUCKDB_TYPE_MAP};
    if (type != COLUMN_MAP) {
        return duckdb_create_logical_type(types[type]);
    }
    duckdb_logical_type text = duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
    duckdb_logical_type map = duckdb_create_map_type(text, text);
    duckdb_destroy_logical_type(&text);
    return map;
}

// --- values ------------------------------------------------------------------------------------

duckdb_string_t emit_string(Str s)
{
    duckdb_string_t out = {0};
    if (s.len <= sizeof(out.value.inlined.inlined)) {
        out.value.inlined.length = (uint32_t)s.len;
        if (s.len != 0) {
            memcpy(out.value.inlined.inlined, s.ptr, s.len);
        }
    } else {
        out.value.pointer.length = (uint32_t)s.len;
        memcpy(out.value.pointer.prefix, s.ptr, sizeof(out.value.pointer.prefix));
        out.value.pointer.ptr = (char *)(uintptr_t)s.ptr;
    }
    return out;
}

// DuckDB keeps a UUID as a signed number whose order is that of the text.
static duckdb_hugeint duck_uuid(const uint8_t *uuid)
{
    uint64_t half[2] = {0};
    for (size_t i = 0; i < 16; i++) {
        half[i / 8] = half[i / 8] << 8 | uuid[i];
    }
    return (duckdb_hugeint){.lower = half[1], .upper = (int64_t)(half[0] ^ UINT64_C(1) << 63)};
}

// Values [from, from + count) of the FLAT vector `v` as DuckDB keeps them; of nulls, any bytes.
static void put_values(const Vector *v, uint32_t from, uint32_t count, void *out)
{
    const size_t size = column_type_size(v->type);
    if (size == 0) {
        duckdb_string_t *strings = out;
        for (uint32_t i = 0; i < count; i++) {
            strings[i] = emit_string(vector_flat_str(v, (size_t)from + i));
        }
    } else if (v->type == COLUMN_UUID) {
        duckdb_hugeint *uuids = out;
        for (uint32_t i = 0; i < count; i++) {
            uuids[i] = duck_uuid((const uint8_t *)v->data + ((size_t)from + i) * size);
        }
    } else if (count != 0) {
        memcpy(out, (const uint8_t *)v->data + from * size, count * size);
    }
}

#define TAKE(T)                                                                                    \
    do {                                                                                           \
        const T *in = v->data;                                                                     \
        T *to = out;                                                                               \
        for (uint32_t i = 0; i < count; i++) {                                                     \
            to[i] = in[rows[i]];                                                                   \
        }                                                                                          \
    } while (0)

// Values rows[0..count) of the FLAT vector `v`.
static void take_values(const Vector *v, const uint32_t *rows, uint32_t count, void *out)
{
    switch (column_type_size(v->type)) {
    case 0:
        for (uint32_t i = 0; i < count; i++) {
            ((duckdb_string_t *)out)[i] = emit_string(vector_flat_str(v, rows[i]));
        }
        return;
    case 1:
        TAKE(uint8_t);
        return;
    case 2:
        TAKE(uint16_t);
        return;
    case 4:
        TAKE(uint32_t);
        return;
    case 8:
        TAKE(uint64_t);
        return;
    default:
        for (uint32_t i = 0; i < count; i++) {
            ((duckdb_hugeint *)out)[i] = duck_uuid((const uint8_t *)v->data + (size_t)rows[i] * 16);
        }
        return;
    }
}

// --- nulls -------------------------------------------------------------------------------------

// Bits [from, from + count) of `validity`, at bit 0. False when all are set, and `out` may be
// forgotten.
static bool cut_validity(const uint64_t *validity, uint32_t from, uint32_t count, uint64_t *out)
{
    const uint32_t words = (count + 63) / 64;
    const uint32_t shift = from % 64;
    const uint64_t *in = validity + from / 64;
    const uint64_t last_mask = count % 64 == 0 ? UINT64_MAX : (UINT64_C(1) << count % 64) - 1;
    bool has_null = false;
    for (uint32_t i = 0; i < words; i++) {
        // The word behind the last one is only read when it holds bits that are wanted.
        const bool more = shift != 0 && (i + 1) * 64 - shift < count;
        out[i] = in[i] >> shift | (more ? in[i + 1] << (64 - shift) : 0);
        const uint64_t mask = i + 1 == words ? last_mask : UINT64_MAX;
        has_null = has_null || (out[i] & mask) != mask;
    }
    return has_null;
}

void emit_validity(const uint64_t *validity, uint32_t from, uint32_t count, duckdb_vector out)
{
    uint64_t cut[EMIT_ROWS_MAX / 64];
    if (validity != NULL && cut_validity(validity, from, count, cut)) {
        duckdb_vector_ensure_validity_writable(out);
        memcpy(duckdb_vector_get_validity(out), cut, (count + 63) / 64 * sizeof(*cut));
    }
}

// --- codes -------------------------------------------------------------------------------------

// The vector of all values of `dict`, with a NULL behind them.
static duckdb_vector dictionary_entries(EmitColumn *column, const Vector *dict)
{
    if (column->dict == dict) {
        return column->entries;
    }
    duckdb_destroy_vector(&column->entries);
    duckdb_logical_type type = emit_type(dict->type);
    column->entries = sql_dictionary_new(type, dict->row_count);
    duckdb_destroy_logical_type(&type);
    uint8_t *values = duckdb_vector_get_data(column->entries);
    const size_t size = column_type_size(dict->type);
    const size_t width = size == 0 ? sizeof(duckdb_string_t) : size;
    put_values(dict, 0, dict->row_count, values);
    memset(values + dict->row_count * width, 0, width);
    column->dict = dict;
    return column->entries;
}

static bool is_worth_a_vector(const Emitter *e, const EmitColumn *column, const Vector *dict)
{
    return dict->row_count <= DICTIONARY_ENTRIES_MAX &&
           (column->dict == dict ||
            dict->row_count / DICTIONARY_ENTRIES_PER_ROW <= e->batch->row_count);
}

// Codes in `rows` of the next chunk; dict->row_count marks nulls.
static void emit_codes(Emitter *e, EmitColumn *column, const Vector *dict, uint32_t count,
                       duckdb_vector out)
{
    uint32_t *rows = e->rows;
    if (is_worth_a_vector(e, column, dict)) {
        duckdb_vector_reference_vector(out, dictionary_entries(column, dict));
        // Slicing a shared dictionary copies the rows, slicing a plain vector keeps them.
        if (sql_dictionary_is_shared()) {
            duckdb_slice_vector(out, e->selection, count);
        } else {
            duckdb_selection_vector own = duckdb_create_selection_vector(count);
            memcpy(duckdb_selection_vector_get_data_ptr(own), rows, count * sizeof(*rows));
            duckdb_slice_vector(out, own, count);
            duckdb_destroy_selection_vector(own);
        }
        return;
    }
    uint64_t valid[EMIT_ROWS_MAX / 64] = {0};
    for (uint32_t i = 0; i < count; i++) {
        const bool is_valid = rows[i] != dict->row_count;
        valid[i / 64] |= (uint64_t)is_valid << i % 64;
        rows[i] = is_valid ? rows[i] : 0;
    }
    if (dict->row_count != 0) {
        take_values(dict, rows, count, duckdb_vector_get_data(out));
    }
    emit_validity(valid, 0, count, out);
}

static void emit_dict(Emitter *e, EmitColumn *column, const Vector *v, uint32_t count,
                      duckdb_vector out)
{
    memcpy(e->rows, v->codes + e->at, count * sizeof(*e->rows));
    for (uint32_t i = 0; v->validity != NULL && i < count; i++) {
        e->rows[i] = validity_get(v->validity, e->at + i) ? e->rows[i] : v->dict->row_count;
    }
    emit_codes(e, column, v->dict, count, out);
}

// --- runs --------------------------------------------------------------------------------------

// One value for the whole chunk. False for types that have no such value.
static bool emit_constant(const Vector *flat, uint32_t i, duckdb_vector out)
{
    duckdb_value value = NULL;
    if (flat->type == COLUMN_STRING || flat->type == COLUMN_BINARY) {
        const Str text = vector_flat_str(flat, i);
        value = flat->type == COLUMN_STRING
                    ? duckdb_create_varchar_length(text.ptr, text.len)
                    : duckdb_create_blob((const uint8_t *)text.ptr, text.len);
    } else if (flat->type == COLUMN_DATE) {
        value = duckdb_create_date((duckdb_date){.days = ((const int32_t *)flat->data)[i]});
    } else if (flat->type == COLUMN_TIMESTAMP) {
        value = duckdb_create_timestamp_tz(
            (duckdb_timestamp){.micros = ((const int64_t *)flat->data)[i]});
    }
    if (value == NULL) {
        return false;
    }
    duckdb_vector_reference_value(out, value);
    duckdb_destroy_value(&value);
    return true;
}

static void emit_runs(Emitter *e, EmitColumn *column, const Vector *v, uint32_t count,
                      duckdb_vector out)
{
    const Vector *runs = v->runs;
    const bool coded = runs->form == VECTOR_DICT;
    const Vector *flat = coded ? runs->dict : runs;
    const uint32_t to = e->at + count;

    while (v->run_ends[column->run] <= e->at) {
        column->run++;
    }
    uint32_t run = column->run;
    if (v->run_ends[run] >= to && validity_get(runs->validity, run) &&
        emit_constant(flat, coded ? runs->codes[run] : run, out)) {
        return;
    }
    for (uint32_t row = e->at; row < to; run++) {
        const uint32_t end = v->run_ends[run] < to ? v->run_ends[run] : to;
        const uint32_t code = !validity_get(runs->validity, run) ? flat->row_count
                              : coded                            ? runs->codes[run]
                                                                 : run;
        for (; row < end; row++) {
            e->rows[row - e->at] = code;
        }
    }
    if (coded) {
        emit_codes(e, column, flat, count, out);
        return;
    }
    // The values go with the batch: no vector is made of them.
    uint64_t valid[EMIT_ROWS_MAX / 64] = {0};
    for (uint32_t i = 0; i < count; i++) {
        const bool is_valid = e->rows[i] != flat->row_count;
        valid[i / 64] |= (uint64_t)is_valid << i % 64;
        e->rows[i] = is_valid ? e->rows[i] : 0;
    }
    take_values(flat, e->rows, count, duckdb_vector_get_data(out));
    emit_validity(valid, 0, count, out);
}

// --- chunks ------------------------------------------------------------------------------------

Emitter *emitter_new(const EmitOptions *options)
{
    Emitter *e = mem_new(Emitter, 1);
    e->options = *options;
    e->columns = mem_new(EmitColumn, options->column_count);
    e->label_runs = mem_new(uint32_t, options->label_count + 1);
    e->selection = duckdb_create_selection_vector(EMIT_ROWS_MAX);
    e->rows = duckdb_selection_vector_get_data_ptr(e->selection);
    return e;
}

void emitter_free(Emitter *e)
{
    if (e == NULL) {
        return;
    }
    for (size_t i = 0; i < e->options.column_count; i++) {
        duckdb_destroy_vector(&e->columns[i].entries);
    }
    duckdb_destroy_selection_vector(e->selection);
    mem_free(e->columns);
    mem_free(e->label_runs);
    mem_free(e);
}

void emitter_batch(Emitter *e, const Batch *batch)
{
    e->batch = batch;
    e->at = 0;
    for (size_t i = 0; i < e->options.column_count; i++) {
        e->columns[i].run = 0;
    }
    memset(e->label_runs, 0, (e->options.label_count + 1) * sizeof(*e->label_runs));
}

uint32_t emitter_rows_left(const Emitter *e)
{
    return e == NULL || e->batch == NULL ? 0 : e->batch->row_count - e->at;
}

static void emit_column(Emitter *e, size_t i, uint32_t count, duckdb_vector out)
{
    const Vector *v = &e->batch->columns[i];
    if (v->type == COLUMN_MAP) {
        emit_map(e, i, count, out);
        return;
    }
    switch (v->form) {
    case VECTOR_FLAT:
        put_values(v, e->at, count, duckdb_vector_get_data(out));
        emit_validity(v->validity, e->at, count, out);
        return;
    case VECTOR_DICT:
        emit_dict(e, &e->columns[i], v, count, out);
        return;
    case VECTOR_RUNS:
        emit_runs(e, &e->columns[i], v, count, out);
        return;
    }
    UNREACHABLE();
}

void emitter_chunk(Emitter *e, uint32_t count, duckdb_data_chunk out)
{
    for (size_t i = 0; i < e->options.column_count; i++) {
        emit_column(e, i, count, duckdb_data_chunk_get_vector(out, i));
    }
    e->at += count;
}
