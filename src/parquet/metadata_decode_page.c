// SPDX-License-Identifier: Apache-2.0
//
// Page headers, page index and bloom filter headers: structs of parquet.thrift
// (apache/parquet-format 2.11).
#include "codec/varint.h"
#include "parquet/metadata.h"
#include "parquet/metadata_internal.h"

// The least bytes of an element: offset, compressed_page_size, first_row_index.
enum { PAGE_LOCATION_BYTES_MIN = 7 };

// ---- page headers

static void read_data_page_header(Thrift *t, ParquetPageHeader *out)
{
    ThriftField f = thrift_struct_begin(t, "DataPageHeader");
    while (thrift_struct_next(t, &f)) {
        switch (f.id) {
        case 1:
            out->value_count = thrift_i32_in(t, &f, INT32_MAX, "num_values");
            break;
        case 2:
            out->encoding = (ParquetEncoding)thrift_i32_in(t, &f, INT32_MAX, "encoding");
            break;
        case 3:
            out->def_encoding =
                (ParquetEncoding)thrift_i32_in(t, &f, INT32_MAX, "definition_level_encoding");
            break;
        case 4:
            out->rep_encoding =
                (ParquetEncoding)thrift_i32_in(t, &f, INT32_MAX, "repetition_level_encoding");
            break;
        case 5:
            if (thrift_has_type(t, &f, THRIFT_STRUCT)) {
                parquet_read_statistics(t, &out->statistics);
            }
            break;
        default:
            thrift_skip_field(t, &f);
        }
    }
    thrift_struct_end(t, &f, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4);
}

static void read_data_page_header_v2(Thrift *t, ParquetPageHeader *out)
{
    ThriftField f = thrift_struct_begin(t, "DataPageHeaderV2");
    out->is_compressed = true;
    while (thrift_struct_next(t, &f)) {
        switch (f.id) {
        case 1:
            out->value_count = thrift_i32_in(t, &f, INT32_MAX, "num_values");
            break;
        case 2:
            out->null_count = thrift_i32_in(t, &f, INT32_MAX, "num_nulls");
            break;
        case 3:
            out->row_count = thrift_i32_in(t, &f, INT32_MAX, "num_rows");
            break;
        case 4:
            out->encoding = (ParquetEncoding)thrift_i32_in(t, &f, INT32_MAX, "encoding");
            break;
        case 5:
            out->def_bytes = thrift_i32_in(t, &f, INT32_MAX, "definition_levels_byte_length");
            break;
        case 6:
            out->rep_bytes = thrift_i32_in(t, &f, INT32_MAX, "repetition_levels_byte_length");
            break;
        case 7:
            out->is_compressed = thrift_bool(t, &f);
            break;
        case 8:
            if (thrift_has_type(t, &f, THRIFT_STRUCT)) {
                parquet_read_statistics(t, &out->statistics);
            }
            break;
        default:
            thrift_skip_field(t, &f);
        }
    }
    thrift_struct_end(t, &f, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6);
}

static void read_dictionary_page_header(Thrift *t, ParquetPageHeader *out)
{
    ThriftField f = thrift_struct_begin(t, "DictionaryPageHeader");
    while (thrift_struct_next(t, &f)) {
        switch (f.id) {
        case 1:
            out->value_count = thrift_i32_in(t, &f, INT32_MAX, "num_values");
            break;
        case 2:
            out->encoding = (ParquetEncoding)thrift_i32_in(t, &f, INT32_MAX, "encoding");
            break;
        default:
            thrift_skip_field(t, &f);
        }
    }
    thrift_struct_end(t, &f, 1 << 1 | 1 << 2);
}

// The header that belongs to the type of the page has to be there; others are ignored.
static bool page_has_header(ParquetPageType type, uint32_t seen)
{
    switch (type) {
    case PARQUET_DATA_PAGE:
        return (seen & 1 << 5) != 0;
    case PARQUET_DICTIONARY_PAGE:
        return (seen & 1 << 7) != 0;
    case PARQUET_DATA_PAGE_V2:
        return (seen & 1 << 8) != 0;
    case PARQUET_INDEX_PAGE:
        break;
    }
    return true; // pages of other types are passed over by their size
}

static bool read_typed_header(Thrift *t, ThriftField *f, ParquetPageHeader *out)
{
    switch (f->id) {
    case 5:
        if (thrift_has_type(t, f, THRIFT_STRUCT)) {
            read_data_page_header(t, out);
        }
        return true;
    case 7:
        if (thrift_has_type(t, f, THRIFT_STRUCT)) {
            read_dictionary_page_header(t, out);
        }
        return true;
    case 8:
        if (thrift_has_type(t, f, THRIFT_STRUCT)) {
            read_data_page_header_v2(t, out);
        }
        return true;
    default:
        return false;
    }
}

static void read_page_header(Thrift *t, ParquetPageHeader *out)
{
    ThriftField f = thrift_struct_begin(t, "PageHeader");
    while (thrift_struct_next(t, &f)) {
        switch (f.id) {
        case 1:
            out->type = (ParquetPageType)thrift_i32_in(t, &f, INT32_MAX, "type");
            break;
        case 2:
            out->uncompressed_bytes = thrift_i32_in(t, &f, INT32_MAX, "uncompressed_page_size");
            break;
        case 3:
            out->compressed_bytes = thrift_i32_in(t, &f, INT32_MAX, "compressed_page_size");
            break;
        case 4:
            out->crc = (uint32_t)thrift_i32(t, &f, "crc");
            break;
        default:
            if (!read_typed_header(t, &f, out)) {
                thrift_skip_field(t, &f);
            }
        }
    }
    out->has_crc = (f.seen & 1 << 4) != 0;
    if (!t->failed && !page_has_header(out->type, f.seen)) {
        thrift_fail(t, ERR_CORRUPT, "*", "lacks the header of its type");
    }
    thrift_struct_end(t, &f, 1 << 1 | 1 << 2 | 1 << 3);
}

// ---- page index and bloom filter

static void read_page_location(Thrift *t, ParquetPageLocation *out)
{
    ThriftField f = thrift_struct_begin(t, "PageLocation");
    while (thrift_struct_next(t, &f)) {
        switch (f.id) {
        case 1:
            out->offset = thrift_count(t, &f, "offset");
            break;
        case 2:
            out->compressed_bytes = thrift_i32_in(t, &f, INT32_MAX, "compressed_page_size");
            break;
        case 3:
            out->first_row = thrift_count(t, &f, "first_row_index");
            break;
        default:
            thrift_skip_field(t, &f);
        }
    }
    thrift_struct_end(t, &f, 1 << 1 | 1 << 2 | 1 << 3);
}

static bool page_count_ok(Thrift *t, uint32_t count, const char *field)
{
    if (count > PARQUET_PAGES_MAX) {
        thrift_fail(t, ERR_TOO_LARGE, field, "has too many elements");
    }
    return !t->failed;
}

static void read_offset_index(Thrift *t, ParquetOffsetIndex *out)
{
    ThriftField f = thrift_struct_begin(t, "OffsetIndex");
    while (thrift_struct_next(t, &f)) {
        if (f.id != 1) {
            thrift_skip_field(t, &f);
            continue;
        }
        const uint32_t count =
            thrift_list(t, &f, THRIFT_STRUCT, PAGE_LOCATION_BYTES_MIN, "page_locations");
        if (!page_count_ok(t, count, "page_locations")) {
            break;
        }
        ParquetPageLocation *pages = arena_new(t->arena, ParquetPageLocation, count);
        for (uint32_t i = 0; i < count && !t->failed; i++) {
            read_page_location(t, &pages[i]);
        }
        out->pages = pages;
        out->page_count = count;
    }
    thrift_struct_end(t, &f, 1 << 1);
}

static const bool *read_bools(Thrift *t, ThriftField *f, uint32_t *count, const char *field)
{
    *count = thrift_list(t, f, THRIFT_TRUE, 1, field);
    if (!page_count_ok(t, *count, field)) {
        return NULL;
    }
    bool *out = arena_new(t->arena, bool, *count);
    for (uint32_t i = 0; i < *count; i++) {
        out[i] = thrift_u8(t) == THRIFT_TRUE;
    }
    return thrift_ok(t, field) ? out : NULL;
}

static const Bytes *read_bounds(Thrift *t, ThriftField *f, uint32_t *count, const char *field)
{
    *count = thrift_list(t, f, THRIFT_BINARY, 1, field);
    if (!page_count_ok(t, *count, field)) {
        return NULL;
    }
    Bytes *out = arena_new(t->arena, Bytes, *count);
    for (uint32_t i = 0; i < *count && !t->failed; i++) {
        out[i] = thrift_list_bytes(t, field);
    }
    return out;
}

static const int64_t *read_counts(Thrift *t, ThriftField *f, uint32_t *count, const char *field)
{
    *count = thrift_list(t, f, THRIFT_I64, 1, field);
    if (!page_count_ok(t, *count, field)) {
        return NULL;
    }
    int64_t *out = arena_new(t->arena, int64_t, *count);
    for (uint32_t i = 0; i < *count; i++) {
        out[i] = varint_get_i64(&t->r);
    }
    return thrift_ok(t, field) ? out : NULL;
}

static void read_column_index(Thrift *t, ParquetColumnIndex *out)
{
    ThriftField f = thrift_struct_begin(t, "ColumnIndex");
    uint32_t min_count = 0, max_count = 0, null_count = 0;
    while (thrift_struct_next(t, &f)) {
        switch (f.id) {
        case 1:
            out->null_pages = read_bools(t, &f, &out->page_count, "null_pages");
            break;
        case 2:
            out->min = read_bounds(t, &f, &min_count, "min_values");
            break;
        case 3:
            out->max = read_bounds(t, &f, &max_count, "max_values");
            break;
        case 4:
            out->order =
                (ParquetBoundaryOrder)thrift_i32_in(t, &f, PARQUET_DESCENDING, "boundary_order");
            break;
        case 5:
            out->null_counts = read_counts(t, &f, &null_count, "null_counts");
            break;
        default:
            thrift_skip_field(t, &f);
        }
    }
    if (min_count != out->page_count || max_count != out->page_count ||
        (out->null_counts != NULL && null_count != out->page_count)) {
        thrift_fail(t, ERR_CORRUPT, "*", "has lists of different lengths");
    }
    thrift_struct_end(t, &f, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4);
}

// True when the union that follows has the member with field id 1 and no other.
static bool read_union_is_first(Thrift *t, ThriftField *f)
{
    bool first = false;
    if (!thrift_has_type(t, f, THRIFT_STRUCT)) {
        return false;
    }
    ThriftField member = thrift_struct_begin(t, t->owner);
    while (thrift_struct_next(t, &member)) {
        first = member.id == 1;
        thrift_skip_field(t, &member);
    }
    thrift_struct_end(t, &member, 0);
    return first;
}

static void read_bloom_header(Thrift *t, ParquetBloomHeader *out)
{
    ThriftField f = thrift_struct_begin(t, "BloomFilterHeader");
    out->supported = true;
    while (thrift_struct_next(t, &f)) {
        switch (f.id) {
        case 1:
            out->byte_count = thrift_i32_in(t, &f, INT32_MAX, "numBytes");
            break;
        case 2: // algorithm
        case 3: // hash
        case 4: // compression
            out->supported &= read_union_is_first(t, &f);
            break;
        default:
            thrift_skip_field(t, &f);
        }
    }
    thrift_struct_end(t, &f, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4);
}

Status parquet_decode_page_header(Bytes *in, ParquetPageHeader *out, Err *err)
{
    Thrift t = thrift_of(*in, NULL, err);
    *out = (ParquetPageHeader){0};
    read_page_header(&t, out);
    return thrift_finish(&t, in);
}

Status parquet_decode_offset_index(Bytes *in, Arena *arena, ParquetOffsetIndex *out, Err *err)
{
    Thrift t = thrift_of(*in, arena, err);
    *out = (ParquetOffsetIndex){0};
    read_offset_index(&t, out);
    return thrift_finish(&t, in);
}

Status parquet_decode_column_index(Bytes *in, Arena *arena, ParquetColumnIndex *out, Err *err)
{
    Thrift t = thrift_of(*in, arena, err);
    *out = (ParquetColumnIndex){0};
    read_column_index(&t, out);
    return thrift_finish(&t, in);
}

Status parquet_decode_bloom_header(Bytes *in, ParquetBloomHeader *out, Err *err)
{
    Thrift t = thrift_of(*in, NULL, err);
    *out = (ParquetBloomHeader){0};
    read_bloom_header(&t, out);
    return thrift_finish(&t, in);
}
