// SPDX-License-Identifier: Apache-2.0
//
// Asking bloom filters (BloomFilter.md). A value is hashed as the file stores it, so a test on a
// converted column is turned back first; a value that no stored one converts to is not there at
// all. Only the header and, per value, one block of 32 bytes are read.
#include "parquet/bloom.h"
#include "parquet/reader_internal.h"

enum {
    HEADER_READ_BYTES = 64, // a header takes some 15
    STORED_FORMS_MAX = 2,   // of one value: +0.0 and -0.0
};

// The plain-encoded values that would be read as `value`.
typedef struct Stored {
    uint32_t count;
    uint8_t raw[STORED_FORMS_MAX][8];
    Bytes bytes[STORED_FORMS_MAX];
} Stored;

static void stored_add(Stored *s, const void *p, size_t size)
{
    memcpy(s->raw[s->count], p, size);
    s->bytes[s->count] = (Bytes){.ptr = s->raw[s->count], .len = size};
    s->count++;
}

static void stored_add_floating(Stored *s, ColumnType type, double v)
{
    const double zero[2] = {0.0, -0.0};
    for (size_t i = 0; i < (v == 0.0 ? (size_t)2 : 1); i++) {
        const double d = v == 0.0 ? zero[i] : v;
        const float f = (float)d;
        if (type == COLUMN_DOUBLE) {
            stored_add(s, &d, sizeof(d));
        } else if ((double)f == d) {
            stored_add(s, &f, sizeof(f));
        }
    }
}

// False when filters cannot help with this column or value.
static bool stored_of(const ParquetLeaf *leaf, const ParquetValue *value, Stored *out)
{
    const int32_t i32 = (int32_t)value->i64;
    *out = (Stored){0};
    switch (leaf->convert) {
    case PARQUET_CONVERT_BYTES:
        out->bytes[out->count++] = value->bytes;
        return true;
    case PARQUET_CONVERT_MILLIS:
        if (value->i64 % 1000 == 0) {
            const int64_t millis = value->i64 / 1000;
            stored_add(out, &millis, sizeof(millis));
        }
        return true;
    case PARQUET_CONVERT_INT8:
    case PARQUET_CONVERT_INT16:
    case PARQUET_CONVERT_UINT8:
    case PARQUET_CONVERT_UINT16:
        if (i32 == value->i64) {
            stored_add(out, &i32, sizeof(i32));
        }
        return true;
    case PARQUET_CONVERT_BOOL:
    case PARQUET_CONVERT_NANOS:
    case PARQUET_CONVERT_INT96:
    case PARQUET_CONVERT_FLOAT16:
        return false;
    case PARQUET_CONVERT_COPY:
        break;
    }
    if (leaf->type == COLUMN_UUID) {
        out->bytes[out->count++] = value->bytes;
        return true;
    }
    if (leaf->type == COLUMN_FLOAT || leaf->type == COLUMN_DOUBLE) {
        stored_add_floating(out, leaf->type, value->f64);
        return value->f64 == value->f64;
    }
    if (leaf->width == 8) {
        stored_add(out, &value->i64, sizeof(value->i64));
    } else if (i32 == value->i64 || (leaf->type == COLUMN_UINT32 && (uint32_t)i32 == value->i64)) {
        stored_add(out, &i32, sizeof(i32));
    }
    return true;
}

// Where the blocks of a chunk's filter are.
typedef struct Filter {
    uint64_t blocks_offset;
    uint32_t block_count; // 0: no usable filter
} Filter;

static Status read_filter(const ParquetReader *r, const ParquetColumnChunk *chunk,
                          ParquetFetch *fetch, Filter *out, Err *err)
{
    uint8_t head[HEADER_READ_BYTES];
    const uint64_t offset = (uint64_t)chunk->bloom_offset;
    *out = (Filter){0};
    if (chunk->bloom_offset <= 0 || offset >= r->data_end || chunk->encrypted) {
        return OK;
    }
    const uint64_t left = r->data_end - offset;
    const size_t size = left < sizeof(head) ? (size_t)left : sizeof(head);
    TRY(parquet_fetch_read(fetch, offset, head, size, err));

    ParquetBloomHeader header;
    Bytes in = {.ptr = head, .len = size};
    TRY(parquet_decode_bloom_header(&in, &header, err));
    const uint64_t bytes = (uint64_t)header.byte_count;
    const uint64_t head_bytes = size - in.len;
    if (!header.supported || bytes == 0 || bytes % PARQUET_BLOOM_BLOCK_BYTES != 0 ||
        bytes > left - head_bytes || bytes > PARQUET_BLOOM_MAX_BYTES) {
        return OK;
    }
    out->blocks_offset = offset + head_bytes;
    out->block_count = (uint32_t)(bytes / PARQUET_BLOOM_BLOCK_BYTES);
    return OK;
}

// *out stays true when the filter cannot exclude the value.
static Status ask_filter(const Filter *filter, ParquetFetch *fetch, const Stored *stored, bool *out,
                         Err *err)
{
    *out = false;
    for (uint32_t i = 0; i < stored->count && !*out; i++) {
        // The upper half of the hash chooses the block; the filter of that one block then tells.
        uint8_t block[PARQUET_BLOOM_BLOCK_BYTES];
        const uint64_t hash = parquet_bloom_hash(stored->bytes[i]);
        const uint64_t index = (hash >> 32) * filter->block_count >> 32;
        const Status st =
            parquet_fetch_read(fetch, filter->blocks_offset + index * PARQUET_BLOOM_BLOCK_BYTES,
                               block, sizeof(block), err);
        if (st != OK) {
            *out = true;
            return st;
        }
        *out = parquet_bloom_may_contain((Bytes){.ptr = block, .len = sizeof(block)}, hash);
    }
    return OK;
}

static Status may_contain(const ParquetReader *r, uint32_t group, const ParquetTest *test,
                          ParquetFetch *fetch, bool *out, Err *err)
{
    const ParquetField *f = &r->fields[test->field];
    const ParquetLeaf *leaf = &r->leaves[f->first_leaf];
    Filter filter = {0};
    *out = true;
    if (!f->readable || f->field.type == COLUMN_MAP) {
        return OK;
    }
    TRY(read_filter(r, &r->meta.row_groups[group].columns[f->first_leaf], fetch, &filter, err));
    bool any = filter.block_count == 0;
    for (size_t i = 0; i < test->value_count && !any; i++) {
        Stored stored;
        any = true;
        if (stored_of(leaf, &test->values[i], &stored)) {
            TRY(ask_filter(&filter, fetch, &stored, &any, err));
        }
    }
    *out = any;
    return OK;
}

bool parquet_test_bloom(const ParquetReader *r, uint32_t group, const ParquetTest *test,
                        ParquetFetch *fetch)
{
    Err err;
    bool may = true;
    if (test->kind != PARQUET_TEST_EQ || parquet_test_wants_nulls(r, group, test)) {
        return true;
    }
    const Status st = may_contain(r, group, test, fetch, &may, &err);
    return st != OK || may;
}

Status parquet_reader_may_contain(const ParquetReader *r, uint32_t row_group, size_t field,
                                  const ParquetValue *value, bool *out, Err *err)
{
    *out = true;
    if (row_group >= r->meta.row_group_count || field >= r->field_count) {
        return err_set(err, ERR_INVALID, "field %zu of row group %u does not exist", field,
                       row_group);
    }
    ParquetFetch fetch = {.source = &r->source};
    const ParquetTest test = {
        .field = field, .kind = PARQUET_TEST_EQ, .values = value, .value_count = 1};
    const Status st = may_contain(r, row_group, &test, &fetch, out, err);
    parquet_fetch_deinit(&fetch);
    return st;
}
