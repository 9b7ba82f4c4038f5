// SPDX-License-Identifier: Apache-2.0
//
// The dictionary of a column chunk. Our Vectors hold no value twice in a dictionary, but Parquet
// allows it, so codes of a repeated value are mapped to its first place.
#include "base/mem.h"
#include "base/utf8.h"
#include "codec/hash.h"
#include "parquet/reader_internal.h"

#include <stdlib.h>

void parquet_dictionary_deinit(ParquetDictionary *d)
{
    parquet_scratch_deinit(&d->data);
    parquet_scratch_deinit(&d->offsets);
    parquet_scratch_deinit(&d->text.bytes);
    parquet_scratch_deinit(&d->remap_data);
    parquet_scratch_deinit(&d->rank_data);
    parquet_scratch_deinit(&d->table);
    *d = (ParquetDictionary){0};
}

static bool is_ascii(const uint8_t *p, size_t n)
{
    uint64_t all = 0, word = 0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&word, p + i, sizeof(word));
        all |= word;
    }
    for (; i < n; i++) {
        all |= (uint64_t)p[i] << 56;
    }
    return (all & UINT64_C(0x8080808080808080)) == 0;
}

// Each value is UTF-8 when all of them together are, and none begins inside a character.
Status parquet_text_check(const ParquetLeaf *leaf, const uint32_t *offsets, const uint8_t *bytes,
                          size_t count, Err *err)
{
    if (leaf->type != COLUMN_STRING || offsets[count] == offsets[0]) {
        return OK;
    }
    const uint8_t *from = bytes + offsets[0];
    const size_t size = offsets[count] - offsets[0];
    if (is_ascii(from, size)) {
        return OK;
    }
    bool valid = utf8_is_valid((Str){.ptr = (const char *)from, .len = size});
    for (size_t i = 0; i < count && valid; i++) {
        valid = offsets[i] == offsets[count] || (bytes[offsets[i]] & 0xc0) != 0x80;
    }
    return valid ? OK : err_set(err, ERR_CORRUPT, "text that is not UTF-8");
}

// ---- loading

static Status load_fixed(ParquetDictionary *d, const ParquetLeaf *leaf, Bytes in, Err *err)
{
    const size_t count = d->code_count;
    void *data = parquet_scratch_need(&d->data, count * column_type_size(leaf->type));
    TRY(parquet_convert(leaf, in.ptr, count, data, err));
    d->vector.data = data;
    return OK;
}

static Status load_text(ParquetDictionary *d, const ParquetLeaf *leaf,
                        const ParquetPageHeader *header, Bytes in, Err *err)
{
    const size_t count = d->code_count;
    ParquetPageHeader plain = *header;
    ParquetValues values = {0};
    uint32_t *offsets = parquet_scratch_need(&d->offsets, (count + 1) * sizeof(*offsets));
    plain.encoding = PARQUET_PLAIN;
    TRY(parquet_values_begin(&values, leaf, NULL, &plain, in, err));
    d->text.used = 0;
    TRY(parquet_values_text(&values, offsets, &d->text, count, err));
    d->vector.offsets = offsets;
    d->vector.bytes = d->text.bytes.ptr;
    return OK;
}

// ---- repeated values

static Bytes value_bytes(const Vector *v, size_t width, size_t i)
{
    if (width == 0) {
        const Str s = vector_flat_str(v, i);
        return (Bytes){.ptr = (const uint8_t *)s.ptr, .len = s.len};
    }
    return (Bytes){.ptr = (const uint8_t *)v->data + i * width, .len = width};
}

static bool bytes_eq(Bytes a, Bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

// Moves row `from` to row `to` <= from; of text only the offsets, as bytes stay where they are.
static void move_value(ParquetDictionary *d, size_t width, size_t to, size_t from)
{
    uint8_t *data = d->data.ptr;
    memmove(data + to * width, data + from * width, width);
}

// Text needs offsets without gaps: the repeated values are squeezed out of the bytes.
static void squeeze_text(ParquetDictionary *d, size_t count)
{
    uint32_t *offsets = (uint32_t *)(void *)d->offsets.ptr;
    uint8_t *bytes = d->text.bytes.ptr;
    const uint32_t *remap = d->remap;
    uint32_t kept = 0, used = 0, from = 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t to = offsets[i + 1], len = to - from;
        if (remap[i] == kept) {
            memmove(bytes + used, bytes + from, len);
            offsets[kept++] = used;
            used += len;
        }
        from = to;
    }
    offsets[kept] = used;
}

// True when every value is greater than the one before, which is how most writers leave them, and
// which tells without a table that none is there twice. Values that have no order are not.
#define IS_ASCENDING(T)                                                                            \
    do {                                                                                           \
        const T *in = v->data;                                                                     \
        for (size_t i = 1; i < count; i++) {                                                       \
            ordered += in[i - 1] < in[i];                                                          \
        }                                                                                          \
    } while (0)

static bool text_is_ascending(const Vector *v, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const Str a = vector_flat_str(v, i - 1);
        const Str b = vector_flat_str(v, i);
        const size_t n = a.len < b.len ? a.len : b.len;
        const int order = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
        if (order > 0 || (order == 0 && a.len >= b.len)) {
            return false;
        }
    }
    return true;
}

static bool is_ascending(const Vector *v, size_t count)
{
    size_t ordered = 1;
    switch (v->type) {
    case COLUMN_INT32:
    case COLUMN_DATE:
        IS_ASCENDING(int32_t);
        break;
    case COLUMN_UINT32:
        IS_ASCENDING(uint32_t);
        break;
    case COLUMN_INT64:
    case COLUMN_TIMESTAMP:
        IS_ASCENDING(int64_t);
        break;
    case COLUMN_UINT64:
        IS_ASCENDING(uint64_t);
        break;
    case COLUMN_FLOAT:
        IS_ASCENDING(float);
        break;
    case COLUMN_DOUBLE:
        IS_ASCENDING(double);
        break;
    case COLUMN_STRING:
    case COLUMN_BINARY:
        return text_is_ascending(v, count);
    case COLUMN_BOOL:
    case COLUMN_INT8:
    case COLUMN_INT16:
    case COLUMN_UINT8:
    case COLUMN_UINT16:
    case COLUMN_UUID:
    case COLUMN_MAP:
        return false; // dictionaries of these are small, or rare
    }
    return ordered == count;
}

// Finds values that are there twice with a table of at least twice as many slots; does nothing more
// when there are none.
static void find_repeated(ParquetDictionary *d, const ParquetLeaf *leaf)
{
    const uint32_t count = d->code_count;
    const size_t width = column_type_size(leaf->type);
    size_t slots = 16;
    while (slots < (size_t)count * 2) {
        slots *= 2;
    }
    uint32_t *table = parquet_scratch_need(&d->table, slots * sizeof(*table));
    uint32_t *remap = parquet_scratch_need(&d->remap_data, count * sizeof(*remap));
    uint32_t distinct = 0;
    memset(table, 0, slots * sizeof(*table));
    for (uint32_t i = 0; i < count; i++) {
        const Bytes value = value_bytes(&d->vector, width, i);
        size_t slot = (size_t)hash_xxh3_64(value, 0) & (slots - 1);
        while (table[slot] != 0 &&
               !bytes_eq(value_bytes(&d->vector, width, table[slot] - 1), value)) {
            slot = (slot + 1) & (slots - 1);
        }
        if (table[slot] == 0) {
            table[slot] = i + 1;
            remap[i] = distinct++;
        } else {
            remap[i] = remap[table[slot] - 1];
        }
    }
    if (distinct == count) {
        return;
    }
    d->remap = remap;
    d->vector.row_count = distinct;
    if (width == 0) {
        squeeze_text(d, count);
        return;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (remap[i] == kept) {
            move_value(d, width, kept++, i);
        }
    }
}

Status parquet_dictionary_load(ParquetDictionary *d, const ParquetLeaf *leaf,
                               const ParquetPageHeader *header, Bytes values, Err *err)
{
    const uint32_t count = (uint32_t)header->value_count;
    const ParquetPhysical type = leaf->element->type;
    if (d->present) {
        return err_set(err, ERR_CORRUPT, "a second dictionary");
    }
    if (type == PARQUET_BOOLEAN) {
        return err_set(err, ERR_CORRUPT, "a dictionary of BOOLEAN");
    }
    if (header->encoding != PARQUET_PLAIN && header->encoding != PARQUET_PLAIN_DICTIONARY) {
        return err_set(err, ERR_UNSUPPORTED, "a dictionary in encoding %d", (int)header->encoding);
    }
    const size_t value_bytes_min = type == PARQUET_BYTE_ARRAY ? 4 : leaf->width;
    if (count > values.len / value_bytes_min) {
        return err_set(err, ERR_CORRUPT, "a dictionary of %u values in %zu bytes", count,
                       values.len);
    }
    d->code_count = count;
    d->remap = NULL;
    d->ranks = NULL;
    d->vector = (Vector){.type = leaf->type, .form = VECTOR_FLAT, .row_count = count};
    if (leaf->convert == PARQUET_CONVERT_BYTES) {
        TRY(load_text(d, leaf, header, values, err));
    } else {
        TRY(load_fixed(d, leaf, values, err));
    }
    if (!is_ascending(&d->vector, count)) {
        find_repeated(d, leaf);
    }
    d->present = true;
    return OK;
}

// ---- order

typedef struct Ranked {
    Str value;
    uint32_t row;
} Ranked;

static int compare_ranked(const void *a, const void *b)
{
    const Ranked *x = a, *y = b;
    const size_t len = x->value.len < y->value.len ? x->value.len : y->value.len;
    const int order = len == 0 ? 0 : memcmp(x->value.ptr, y->value.ptr, len);
    if (order != 0) {
        return order;
    }
    return x->value.len < y->value.len ? -1 : x->value.len > y->value.len;
}

void parquet_dictionary_rank(ParquetDictionary *d)
{
    if (d->ranks != NULL) {
        return;
    }
    const uint32_t count = d->vector.row_count;
    uint32_t *ranks = parquet_scratch_need(&d->rank_data, count * sizeof(*ranks));
    Ranked *order = mem_new(Ranked, count);
    for (uint32_t i = 0; i < count; i++) {
        order[i] = (Ranked){.value = vector_flat_str(&d->vector, i), .row = i};
    }
    qsort(order, count, sizeof(*order), compare_ranked);
    for (uint32_t i = 0; i < count; i++) {
        ranks[order[i].row] = i;
    }
    mem_free(order);
    d->ranks = ranks;
}
