// SPDX-License-Identifier: Apache-2.0
#include "column/builder.h"

#include "base/mem.h"
#include "codec/hash.h"

// Strings: while `coded`, row i is value codes[i] of the dictionary, whose values are `offsets` and
// `bytes`; after that, row i is string i of `offsets` and `bytes`.
struct Builder {
    ColumnType type;
    size_t size; // column_type_size(type)
    uint32_t row_count;
    uint64_t *validity; // NULL until the first null
    size_t validity_cap;
    uint8_t *data; // fixed size
    size_t data_cap;
    bool coded;
    uint32_t *codes;
    size_t codes_cap;
    uint32_t *offsets; // strings and maps; offsets[0] = 0
    size_t offsets_cap;
    uint8_t *bytes;
    size_t bytes_cap;
    uint32_t dict_count; // coded: values in the dictionary
    uint64_t *hashes;    // of the values
    size_t hashes_cap;
    uint32_t *slots; // code + 1, 0 is empty; slot_count is a power of two
    size_t slot_count;
    Builder *keys; // COLUMN_MAP
    Builder *values;
    Vector dict_view; // what builder_vector() points to
    Vector keys_view;
    Vector values_view;
};

static bool is_text(const Builder *b)
{
    return b->type == COLUMN_STRING || b->type == COLUMN_BINARY;
}

Builder *builder_new(ColumnType type)
{
    Builder *b = mem_new(Builder, 1);
    b->type = type;
    b->size = column_type_size(type);
    if (b->size == 0) {
        b->offsets = mem_grow(b->offsets, &b->offsets_cap, 1, sizeof(*b->offsets));
    }
    if (type == COLUMN_MAP) {
        b->keys = builder_new(COLUMN_STRING);
        b->values = builder_new(COLUMN_STRING);
    }
    builder_clear(b);
    return b;
}

void builder_free(Builder *b)
{
    if (b == NULL) {
        return;
    }
    builder_free(b->keys);
    builder_free(b->values);
    mem_free(b->validity);
    mem_free(b->data);
    mem_free(b->codes);
    mem_free(b->offsets);
    mem_free(b->bytes);
    mem_free(b->hashes);
    mem_free(b->slots);
    mem_free(b);
}

void builder_clear(Builder *b)
{
    b->row_count = 0;
    b->dict_count = 0;
    b->coded = is_text(b);
    mem_free(b->validity);
    b->validity = NULL;
    b->validity_cap = 0;
    if (b->offsets != NULL) {
        b->offsets[0] = 0;
    }
    if (b->slots != NULL) {
        memset(b->slots, 0, b->slot_count * sizeof(*b->slots));
    }
    if (b->type == COLUMN_MAP) {
        builder_clear(b->keys);
        builder_clear(b->values);
    }
}

uint32_t builder_row_count(const Builder *b)
{
    return b->row_count;
}

uint64_t builder_memory_bytes(const Builder *b)
{
    uint64_t total = sizeof(*b) + b->validity_cap * sizeof(*b->validity) + b->data_cap +
                     b->codes_cap * sizeof(*b->codes) + b->offsets_cap * sizeof(*b->offsets) +
                     b->bytes_cap + b->hashes_cap * sizeof(*b->hashes) +
                     b->slot_count * sizeof(*b->slots);
    if (b->type == COLUMN_MAP) {
        total += builder_memory_bytes(b->keys) + builder_memory_bytes(b->values);
    }
    return total;
}

// ---- rows

static void set_valid(uint64_t *validity, uint32_t from, uint32_t count)
{
    for (uint32_t i = from; i < from + count; i++) {
        validity_set(validity, i, true);
    }
}

// Counts `count` more rows, whose values are there already.
static void add_rows(Builder *b, uint32_t count, bool valid)
{
    ASSERT(count <= UINT32_MAX - b->row_count);
    const uint32_t end = b->row_count + count;
    if (b->validity == NULL && valid) {
        b->row_count = end;
        return;
    }
    const bool first_null = b->validity == NULL;
    b->validity =
        mem_grow(b->validity, &b->validity_cap, ((size_t)end + 63) / 64, sizeof(*b->validity));
    if (first_null) {
        set_valid(b->validity, 0, b->row_count);
    }
    for (uint32_t i = b->row_count; i < end; i++) {
        validity_set(b->validity, i, valid);
    }
    b->row_count = end;
}

// Room for `count` more values of fixed size.
static uint8_t *reserve_fixed(Builder *b, uint32_t count)
{
    const size_t len = (size_t)b->row_count * b->size;
    b->data = mem_grow(b->data, &b->data_cap, len + (size_t)count * b->size + 1, 1);
    return b->data + len;
}

static void put_fixed(Builder *b, const void *value)
{
    memcpy(reserve_fixed(b, 1), value, b->size);
    add_rows(b, 1, true);
}

static void put_code(Builder *b, uint32_t code, uint32_t count)
{
    b->codes =
        mem_grow(b->codes, &b->codes_cap, (size_t)b->row_count + count + 1, sizeof(*b->codes));
    for (uint32_t i = 0; i < count; i++) {
        b->codes[b->row_count + i] = code;
    }
}

// Appends `v` as string number `index`.
static void put_bytes(Builder *b, uint32_t index, Str v)
{
    const uint32_t len = b->offsets[index];
    ASSERT(v.len <= UINT32_MAX - len);
    b->offsets = mem_grow(b->offsets, &b->offsets_cap, (size_t)index + 2, sizeof(*b->offsets));
    b->bytes = mem_grow(b->bytes, &b->bytes_cap, len + v.len + 1, 1);
    if (v.len > 0) {
        memcpy(b->bytes + len, v.ptr, v.len);
    }
    b->offsets[index + 1] = len + (uint32_t)v.len;
}

static Str value_of(const Builder *b, uint32_t index)
{
    return (Str){.ptr = (const char *)b->bytes + b->offsets[index],
                 .len = b->offsets[index + 1] - b->offsets[index]};
}

// ---- the dictionary

static void grow_slots(Builder *b)
{
    if ((size_t)b->dict_count * 2 < b->slot_count) {
        return;
    }
    mem_free(b->slots);
    b->slot_count = b->slot_count == 0 ? 64 : b->slot_count * 2;
    b->slots = mem_new(uint32_t, b->slot_count);
    for (uint32_t code = 0; code < b->dict_count; code++) {
        size_t at = b->hashes[code] & (b->slot_count - 1);
        while (b->slots[at] != 0) {
            at = (at + 1) & (b->slot_count - 1);
        }
        b->slots[at] = code + 1;
    }
}

// The slot of `v`, or the empty one where it belongs.
static uint32_t *find_slot(const Builder *b, Str v, uint64_t hash)
{
    size_t at = hash & (b->slot_count - 1);
    while (b->slots[at] != 0) {
        const uint32_t code = b->slots[at] - 1;
        if (b->hashes[code] == hash && str_eq(value_of(b, code), v)) {
            break;
        }
        at = (at + 1) & (b->slot_count - 1);
    }
    return &b->slots[at];
}

// One more value would make the dictionary larger than it is worth.
static bool dict_is_full(const Builder *b)
{
    return b->dict_count >= BUILDER_DICT_VALUES_MAX ||
           (b->row_count >= BUILDER_DICT_ROWS_MIN && b->dict_count >= b->row_count / 2);
}

static void drop_dictionary(Builder *b)
{
    uint32_t *offsets = b->offsets;
    uint8_t *bytes = b->bytes;
    uint64_t end = 0;
    for (uint32_t i = 0; i < b->row_count; i++) {
        if (validity_get(b->validity, i)) {
            end += offsets[b->codes[i] + 1] - offsets[b->codes[i]];
        }
    }
    ASSERT(end <= UINT32_MAX);
    b->offsets_cap = (size_t)b->row_count + 1;
    b->offsets = mem_new(uint32_t, b->offsets_cap);
    b->bytes_cap = end + 1;
    b->bytes = mem_alloc_raw(b->bytes_cap);
    for (uint32_t i = 0; i < b->row_count; i++) {
        uint32_t len = 0;
        if (validity_get(b->validity, i)) {
            const uint32_t from = offsets[b->codes[i]];
            len = offsets[b->codes[i] + 1] - from;
            memcpy(b->bytes + b->offsets[i], bytes + from, len);
        }
        b->offsets[i + 1] = b->offsets[i] + len;
    }
    mem_free(offsets);
    mem_free(bytes);
    mem_free(b->slots);
    mem_free(b->codes);
    mem_free(b->hashes);
    b->slots = NULL;
    b->codes = NULL;
    b->hashes = NULL;
    b->slot_count = 0;
    b->codes_cap = 0;
    b->hashes_cap = 0;
    b->coded = false;
}

// The code of `v`, which becomes a new value of the dictionary when needed. False when there is no
// dictionary (any more).
static bool code_of(Builder *b, Str v, uint32_t *code)
{
    if (!b->coded) {
        return false;
    }
    grow_slots(b);
    const uint64_t hash = hash_xxh3_64((Bytes){(const uint8_t *)v.ptr, v.len}, 0);
    uint32_t *slot = find_slot(b, v, hash);
    if (*slot == 0) {
        if (dict_is_full(b)) {
            drop_dictionary(b);
            return false;
        }
        b->hashes =
            mem_grow(b->hashes, &b->hashes_cap, (size_t)b->dict_count + 1, sizeof(*b->hashes));
        b->hashes[b->dict_count] = hash;
        put_bytes(b, b->dict_count, v);
        b->dict_count++;
        *slot = b->dict_count;
    }
    *code = *slot - 1;
    return true;
}

// ---- values

void builder_nulls(Builder *b, uint32_t count)
{
    if (count == 0) {
        return;
    }
    if (b->size != 0) {
        memset(reserve_fixed(b, count), 0, (size_t)count * b->size);
    } else if (b->coded) {
        put_code(b, 0, count);
    } else {
        b->offsets = mem_grow(b->offsets, &b->offsets_cap, (size_t)b->row_count + count + 1,
                              sizeof(*b->offsets));
        for (uint32_t i = 0; i < count; i++) {
            b->offsets[b->row_count + i + 1] = b->offsets[b->row_count];
        }
    }
    add_rows(b, count, false);
}

void builder_null(Builder *b)
{
    builder_nulls(b, 1);
}

void builder_bool(Builder *b, bool v)
{
    ASSERT(b->type == COLUMN_BOOL);
    const uint8_t byte = v;
    put_fixed(b, &byte);
}

// The least value of an integer type; 0 for unsigned ones.
static int64_t integer_min(ColumnType type)
{
    switch (type) {
    case COLUMN_INT8:
        return INT8_MIN;
    case COLUMN_INT16:
        return INT16_MIN;
    case COLUMN_INT32:
    case COLUMN_DATE:
        return INT32_MIN;
    case COLUMN_INT64:
    case COLUMN_TIMESTAMP:
        return INT64_MIN;
    case COLUMN_UINT8:
    case COLUMN_UINT16:
    case COLUMN_UINT32:
    case COLUMN_UINT64:
        return 0;
    case COLUMN_BOOL:
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
    case COLUMN_STRING:
    case COLUMN_BINARY:
    case COLUMN_UUID:
    case COLUMN_MAP:
        break;
    }
    UNREACHABLE(); // not an integer type: the caller's bug
}

static uint64_t integer_max(const Builder *b)
{
    const uint64_t all = UINT64_MAX >> (64 - 8 * b->size);
    return integer_min(b->type) < 0 ? all >> 1 : all;
}

// The low bytes of an integer are its value in any width, as the machine is little-endian.
void builder_i64(Builder *b, int64_t v)
{
    ASSERT(v >= integer_min(b->type) && (v < 0 || (uint64_t)v <= integer_max(b)));
    put_fixed(b, &v);
}

void builder_u64(Builder *b, uint64_t v)
{
    ASSERT(v <= integer_max(b));
    put_fixed(b, &v);
}

void builder_f64(Builder *b, double v)
{
    if (b->type == COLUMN_FLOAT) {
        const float narrow = (float)v;
        put_fixed(b, &narrow);
        return;
    }
    ASSERT(b->type == COLUMN_DOUBLE);
    put_fixed(b, &v);
}

static void put_str(Builder *b, Str v, uint32_t count)
{
    uint32_t code = 0;
    if (code_of(b, v, &code)) {
        put_code(b, code, count);
    } else {
        for (uint32_t i = 0; i < count; i++) {
            put_bytes(b, b->row_count + i, v);
        }
    }
    add_rows(b, count, true);
}

void builder_str(Builder *b, Str v)
{
    ASSERT(is_text(b));
    put_str(b, v, 1);
}

void builder_uuid(Builder *b, const uint8_t v[16])
{
    ASSERT(b->type == COLUMN_UUID);
    put_fixed(b, v);
}

// The entries of a map are there: its row ends where they do.
static void close_map(Builder *b)
{
    b->offsets =
        mem_grow(b->offsets, &b->offsets_cap, (size_t)b->row_count + 2, sizeof(*b->offsets));
    b->offsets[b->row_count + 1] = b->keys->row_count;
    add_rows(b, 1, true);
}

void builder_map(Builder *b, const Str *keys, const Str *values, size_t count)
{
    ASSERT(b->type == COLUMN_MAP);
    for (size_t i = 0; i < count; i++) {
        put_str(b->keys, keys[i], 1);
        put_str(b->values, values[i], 1);
    }
    close_map(b);
}

// ---- other vectors

static void append_row(Builder *b, const Vector *v, uint32_t row)
{
    const Vector *flat = NULL;
    uint32_t index = 0;
    if (vector_locate(v, row, &flat, &index)) {
        put_str(b, vector_flat_str(flat, index), 1);
    } else {
        builder_null(b);
    }
}

// `count` times value `index` of `flat`.
static void append_value(Builder *b, const Vector *flat, uint32_t index, uint32_t count)
{
    if (is_text(b)) {
        put_str(b, vector_flat_str(flat, index), count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (b->size != 0) {
            put_fixed(b, (const uint8_t *)flat->data + index * b->size);
            continue;
        }
        for (uint32_t e = flat->offsets[index]; e < flat->offsets[index + 1]; e++) {
            append_row(b->keys, flat->keys, e);
            append_row(b->values, flat->values, e);
        }
        close_map(b);
    }
}

// Rows of a DICT vector of strings: each value is looked up once. Returns how many rows were taken
// before the dictionary was given up.
static uint32_t append_codes(Builder *b, const Vector *v)
{
    enum { UNKNOWN = UINT32_MAX };
    uint32_t *code_here = mem_alloc_raw((size_t)v->dict->row_count * sizeof(*code_here));
    memset(code_here, 0xff, (size_t)v->dict->row_count * sizeof(*code_here));
    uint32_t row = 0;
    for (; row < v->row_count; row++) {
        if (!validity_get(v->validity, row)) {
            builder_null(b);
            continue;
        }
        const uint32_t code = v->codes[row];
        if (code_here[code] == UNKNOWN &&
            !code_of(b, vector_flat_str(v->dict, code), &code_here[code])) {
            break;
        }
        put_code(b, code_here[code], 1);
        add_rows(b, 1, true);
    }
    mem_free(code_here);
    return row;
}

static void append_flat_fixed(Builder *b, const Vector *v)
{
    if (v->row_count == 0) {
        return;
    }
    memcpy(reserve_fixed(b, v->row_count), v->data, (size_t)v->row_count * b->size);
    if (v->validity == NULL) {
        add_rows(b, v->row_count, true);
        return;
    }
    for (uint32_t row = 0; row < v->row_count; row++) {
        add_rows(b, 1, validity_get(v->validity, row));
    }
}

void builder_append(Builder *b, const Vector *v)
{
    ASSERT(v->type == b->type);
    if (v->form == VECTOR_FLAT && b->size != 0) {
        append_flat_fixed(b, v);
        return;
    }
    const bool runs = v->form == VECTOR_RUNS;
    const Vector *rows = runs ? v->runs : v;
    uint32_t first = 0;
    if (v->form == VECTOR_DICT && b->coded) {
        first = append_codes(b, v);
    }
    for (uint32_t i = first; i < rows->row_count; i++) {
        const uint32_t before = runs && i > 0 ? v->run_ends[i - 1] : 0;
        const uint32_t count = runs ? v->run_ends[i] - before : 1;
        const Vector *flat = NULL;
        uint32_t index = 0;
        if (vector_locate(rows, i, &flat, &index)) {
            append_value(b, flat, index, count);
        } else {
            builder_nulls(b, count);
        }
    }
}

Vector builder_vector(Builder *b)
{
    Vector v = {.type = b->type, .row_count = b->row_count, .validity = b->validity};
    if (b->coded) {
        b->dict_view = (Vector){
            .type = b->type, .row_count = b->dict_count, .offsets = b->offsets, .bytes = b->bytes};
        v.form = VECTOR_DICT;
        v.codes = b->codes;
        v.dict = &b->dict_view;
        return v;
    }
    v.data = b->data;
    v.offsets = b->offsets;
    v.bytes = b->bytes;
    if (b->type == COLUMN_MAP) {
        b->keys_view = builder_vector(b->keys);
        b->values_view = builder_vector(b->values);
        v.keys = &b->keys_view;
        v.values = &b->values_view;
    }
    return v;
}
