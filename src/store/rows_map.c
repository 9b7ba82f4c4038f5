// SPDX-License-Identifier: Apache-2.0
//
// Maps as entries of a dictionary: number of pairs, then for each the key's length and bytes, the
// value's length + 1 (0: null) and bytes; numbers are varints. These bytes never leave the process.
#include "codec/varint.h"
#include "store/rows_internal.h"

static Str text_at(const Vector *v, uint32_t row, bool *valid)
{
    const Vector *flat = NULL;
    uint32_t index = 0;
    *valid = vector_locate(v, row, &flat, &index);
    return *valid ? vector_flat_str(flat, index) : (Str){0};
}

static void put_map(const Vector *flat, uint32_t row, Buf *out)
{
    const uint32_t from = flat->offsets[row];
    const uint32_t to = flat->offsets[row + 1];
    varint_put_u64(out, to - from);
    for (uint32_t i = from; i < to; i++) {
        bool valid = false;
        const Str key = text_at(flat->keys, i, &valid);
        varint_put_u64(out, key.len);
        buf_put_str(out, key);
        const Str value = text_at(flat->values, i, &valid);
        varint_put_u64(out, valid ? value.len + 1 : 0);
        buf_put_str(out, value);
    }
}

Status rows_map_encode(const Vector *v, Arena *arena, Vector *out, Err *err)
{
    *out = *v;
    out->type = COLUMN_BINARY;
    const Vector **inner = v->form == VECTOR_DICT ? &out->dict : &out->runs;
    if (v->form != VECTOR_FLAT) { // runs of a dictionary of maps at most
        Vector *encoded = arena_new(arena, Vector, 1);
        const Vector *maps = *inner;
        *inner = encoded;
        return rows_map_encode(maps, arena, encoded, err);
    }
    uint32_t *offsets = arena_new(arena, uint32_t, (size_t)v->row_count + 1);
    Status st = OK;
    Buf bytes;
    buf_init(&bytes, ROWS_BATCH_BYTES_MAX);
    for (uint32_t i = 0; i < v->row_count; i++) {
        if (validity_get(v->validity, i)) {
            put_map(v, i, &bytes);
        }
        offsets[i + 1] = (uint32_t)bytes.len;
    }
    if (!buf_ok(&bytes)) {
        st = err_set(err, ERR_TOO_LARGE, "maps of more than %d bytes together",
                     ROWS_BATCH_BYTES_MAX);
    }
    out->offsets = offsets;
    out->bytes = (const uint8_t *)arena_str(arena, buf_str(&bytes)).ptr;
    out->keys = NULL;
    out->values = NULL;
    buf_deinit(&bytes);
    return st;
}

static bool map_is_valid(Str s)
{
    Reader in = reader_of((Bytes){(const uint8_t *)s.ptr, s.len});
    const uint64_t pairs = varint_get_u64(&in);
    Str last = {0};
    for (uint64_t i = 0; i < pairs && reader_ok(&in); i++) {
        const Bytes key = reader_bytes(&in, varint_get_u64(&in));
        const Str name = {(const char *)key.ptr, key.len};
        const uint64_t len = varint_get_u64(&in);
        (void)reader_bytes(&in, len == 0 ? 0 : len - 1);
        if (!reader_ok(&in) || (i != 0 && metrics_str_compare(last, name) >= 0)) {
            return false;
        }
        last = name;
    }
    return reader_ok(&in) && reader_left(&in) == 0;
}

Status rows_map_check(const Vector *v, Err *err)
{
    const Vector *flat = v;
    while (flat->form != VECTOR_FLAT) {
        flat = flat->form == VECTOR_DICT ? flat->dict : flat->runs;
    }
    for (uint32_t i = 0; i < flat->row_count; i++) {
        if (validity_get(flat->validity, i) && !map_is_valid(vector_flat_str(flat, i))) {
            return err_set(err, ERR_CORRUPT, "map %" PRIu32 " is malformed", i);
        }
    }
    return OK;
}

typedef struct TextWriter {
    uint32_t *offsets;
    uint64_t *validity;
    Buf bytes;
    uint32_t count;
    bool has_null;
} TextWriter;

static void write_text(TextWriter *w, Reader *in, uint64_t len, bool valid)
{
    const Bytes text = reader_bytes(in, valid ? len : 0);
    buf_put(&w->bytes, text.ptr, text.len);
    validity_set(w->validity, w->count, valid);
    w->has_null = w->has_null || !valid;
    w->offsets[++w->count] = (uint32_t)w->bytes.len;
}

static Vector *text_vector(TextWriter *w, Arena *arena)
{
    Vector *v = arena_new(arena, Vector, 1);
    *v = (Vector){
        .type = COLUMN_STRING,
        .form = VECTOR_FLAT,
        .row_count = w->count,
        .validity = w->has_null ? w->validity : NULL,
        .offsets = w->offsets,
        .bytes = (const uint8_t *)arena_str(arena, buf_str(&w->bytes)).ptr,
    };
    buf_deinit(&w->bytes);
    return v;
}

static Vector maps_vector(const Str *entries, uint32_t count, Arena *arena)
{
    uint32_t *offsets = arena_new(arena, uint32_t, (size_t)count + 1);
    uint64_t pairs = 0;
    for (uint32_t i = 0; i < count; i++) {
        Reader in = reader_of((Bytes){(const uint8_t *)entries[i].ptr, entries[i].len});
        pairs += varint_get_u64(&in);
        offsets[i + 1] = (uint32_t)pairs; // fits: each takes two bytes of a dictionary
    }
    TextWriter keys = {.offsets = arena_new(arena, uint32_t, pairs + 1),
                       .validity = arena_new(arena, uint64_t, pairs / 64 + 1)};
    TextWriter values = {.offsets = arena_new(arena, uint32_t, pairs + 1),
                         .validity = arena_new(arena, uint64_t, pairs / 64 + 1)};
    for (uint32_t i = 0; i < count; i++) {
        Reader in = reader_of((Bytes){(const uint8_t *)entries[i].ptr, entries[i].len});
        const uint64_t n = varint_get_u64(&in);
        for (uint64_t k = 0; k < n; k++) {
            write_text(&keys, &in, varint_get_u64(&in), true);
            const uint64_t len = varint_get_u64(&in);
            write_text(&values, &in, len - 1, len != 0);
        }
        DCHECK(reader_ok(&in) && reader_left(&in) == 0);
    }
    const Vector *key_vector = text_vector(&keys, arena);
    const Vector *value_vector = text_vector(&values, arena);
    return (Vector){
        .type = COLUMN_MAP,
        .form = VECTOR_FLAT,
        .row_count = count,
        .offsets = offsets,
        .keys = key_vector,
        .values = value_vector,
    };
}

Vector rows_dict_vector(ColumnType type, const Str *entries, uint32_t count, Arena *arena)
{
    if (type == COLUMN_MAP) {
        return maps_vector(entries, count, arena);
    }
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        size += entries[i].len;
    }
    uint32_t *offsets = arena_new(arena, uint32_t, (size_t)count + 1);
    uint8_t *bytes = arena_new(arena, uint8_t, size);
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i].len != 0) {
            memcpy(bytes + offsets[i], entries[i].ptr, entries[i].len);
        }
        offsets[i + 1] = offsets[i] + (uint32_t)entries[i].len;
    }
    return (Vector){
        .type = type,
        .form = VECTOR_FLAT,
        .row_count = count,
        .offsets = offsets,
        .bytes = bytes,
    };
}
