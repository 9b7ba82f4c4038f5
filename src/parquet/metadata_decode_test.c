// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "parquet/metadata.h"
#include "tests/support/test.h"

static const Str leaf_path[] = {{"c", 1}};

// One of everything the structs hold.
static ParquetFileMeta sample_meta(Test *t)
{
    ParquetSchemaElement *schema = arena_new(&t->arena, ParquetSchemaElement, 3);
    ParquetColumnChunk *chunks = arena_new(&t->arena, ParquetColumnChunk, 2);
    ParquetRowGroup *group = arena_new(&t->arena, ParquetRowGroup, 1);
    static const ParquetSortingColumn sorting[] = {{.column = 1, .descending = true}};
    static const ParquetKeyValue pairs[] = {{{"key", 3}, {"value", 5}}, {{"empty", 5}, {"", 0}}};
    schema[0] = (ParquetSchemaElement){
        .name = STR("schema"), .child_count = 2, .converted = PARQUET_CONVERTED_NONE};
    schema[1] = (ParquetSchemaElement){.name = STR("c"),
                                       .has_type = true,
                                       .type = PARQUET_INT64,
                                       .repetition = PARQUET_OPTIONAL,
                                       .converted = PARQUET_TIMESTAMP_MICROS,
                                       .logical = PARQUET_LOGICAL_TIMESTAMP,
                                       .time_unit = PARQUET_MICROS,
                                       .is_utc = true};
    schema[2] = (ParquetSchemaElement){.name = STR("d"),
                                       .has_type = true,
                                       .type = PARQUET_INT32,
                                       .converted = PARQUET_UINT_8,
                                       .logical = PARQUET_LOGICAL_INTEGER,
                                       .time_unit = PARQUET_MICROS,
                                       .int_bits = 8};
    for (size_t i = 0; i < 2; i++) {
        chunks[i] =
            (ParquetColumnChunk){.type = schema[i + 1].type,
                                 .path = leaf_path,
                                 .path_count = 1,
                                 .encodings = 1 << PARQUET_PLAIN | 1 << PARQUET_RLE_DICTIONARY,
                                 .codec = PARQUET_ZSTD,
                                 .value_count = 1000,
                                 .uncompressed_bytes = 4000,
                                 .compressed_bytes = 300,
                                 .data_page_offset = 204,
                                 .dictionary_page_offset = 4,
                                 .statistics = {.has_null_count = true,
                                                .has_min = true,
                                                .has_max = true,
                                                .null_count = 3,
                                                .min = {(const uint8_t *)"12345678", 8},
                                                .max = {(const uint8_t *)"87654321", 8},
                                                .max_exact = true},
                                 .bloom_offset = 900,
                                 .bloom_bytes = 47,
                                 .offset_index_offset = 1000,
                                 .offset_index_bytes = 20,
                                 .column_index_offset = 1100,
                                 .column_index_bytes = 30};
    }
    *group = (ParquetRowGroup){.columns = chunks,
                               .column_count = 2,
                               .total_bytes = 8000,
                               .total_compressed_bytes = 600,
                               .row_count = 1000,
                               .file_offset = 4,
                               .sorting = sorting,
                               .sorting_count = 1,
                               .ordinal = 7};
    return (ParquetFileMeta){.version = 2,
                             .schema = schema,
                             .schema_count = 3,
                             .row_count = 1000,
                             .row_groups = group,
                             .row_group_count = 1,
                             .key_values = pairs,
                             .key_value_count = 2,
                             .created_by = STR("cardinal version 0.1.0"),
                             .has_column_orders = true};
}

static Bytes encode(Test *t, const ParquetFileMeta *meta)
{
    Buf out;
    buf_init(&out, 0);
    parquet_encode_file_meta(meta, &out);
    const Str copy = arena_str(&t->arena, buf_str(&out));
    buf_deinit(&out);
    return (Bytes){.ptr = (const uint8_t *)copy.ptr, .len = copy.len};
}

TEST(metadata_decode, reads_what_was_encoded)
{
    Err err;
    ParquetFileMeta got;
    const ParquetFileMeta want = sample_meta(t);
    Bytes in = encode(t, &want);
    CHECK_OK(parquet_decode_file_meta(&in, &t->arena, &got, &err));
    CHECK_EQ(in.len, 0);
    CHECK_EQ(got.version, 2);
    CHECK_EQ(got.row_count, 1000);
    CHECK_EQ(got.schema_count, 3);
    CHECK_EQ(got.has_column_orders, true);
    CHECK_STR(got.created_by, want.created_by);
    CHECK_STR(got.key_values[0].value, STR("value"));
    CHECK_EQ(got.schema[0].has_type, false);
    CHECK_EQ(got.schema[1].logical, PARQUET_LOGICAL_TIMESTAMP);
    CHECK_EQ(got.schema[1].time_unit, PARQUET_MICROS);
    CHECK_EQ(got.schema[1].is_utc, true);
    CHECK_EQ(got.schema[2].int_bits, 8);
    CHECK_EQ(got.schema[2].int_signed, false);
    const ParquetRowGroup *g = &got.row_groups[0];
    CHECK_EQ(g->ordinal, 7);
    CHECK_EQ(g->sorting[0].column, 1);
    CHECK_EQ(g->sorting[0].descending, true);
    const ParquetColumnChunk *c = &g->columns[1];
    CHECK_EQ(c->type, PARQUET_INT32);
    CHECK_STR(c->path[0], STR("c"));
    CHECK_EQ(c->encodings, 1 << PARQUET_PLAIN | 1 << PARQUET_RLE_DICTIONARY);
    CHECK_EQ(c->codec, PARQUET_ZSTD);
    CHECK_EQ(c->dictionary_page_offset, 4);
    CHECK_EQ(c->bloom_bytes, 47);
    CHECK_EQ(c->column_index_bytes, 30);
    CHECK_EQ(c->statistics.null_count, 3);
    CHECK_EQ(c->statistics.has_distinct_count, false);
    CHECK_EQ(c->statistics.max_exact, true);
    CHECK_EQ(c->statistics.min_exact, false);
    CHECK_EQ(c->statistics.max.len, 8);
}

TEST(metadata_decode, every_cut_is_an_error)
{
    const ParquetFileMeta want = sample_meta(t);
    const Bytes whole = encode(t, &want);
    for (size_t len = 0; len < whole.len; len++) {
        // A copy of exactly that size, so that a sanitizer sees a read past it.
        Err err = {0};
        ParquetFileMeta got;
        uint8_t *copy = mem_alloc_raw(len);
        memcpy(copy, whole.ptr, len);
        Bytes in = {.ptr = copy, .len = len};
        const Status st = parquet_decode_file_meta(&in, &t->arena, &got, &err);
        mem_free(copy);
        CHECK_EQ(st, ERR_CORRUPT);
        CHECK(strstr(err.msg, "parquet metadata: ") == err.msg);
    }
}

TEST(metadata_decode, any_changed_byte_is_survived)
{
    const ParquetFileMeta want = sample_meta(t);
    const Bytes whole = encode(t, &want);
    for (size_t round = 0; round < 20000; round++) {
        Err err;
        Arena arena = {0};
        ParquetFileMeta got;
        uint8_t copy[1024];
        CHECK(whole.len <= sizeof(copy));
        memcpy(copy, whole.ptr, whole.len);
        for (size_t i = 0; i < 1 + round % 3; i++) {
            copy[rng_below(&t->rng, whole.len)] = (uint8_t)test_random(t);
        }
        Bytes in = {.ptr = copy, .len = whole.len};
        (void)parquet_decode_file_meta(&in, &arena, &got, &err);
        CHECK(arena.used_bytes < 1 << 20);
        arena_deinit(&arena);
    }
}

// Hand-made bytes: <field delta << 4 | type> ..., as the compact protocol has them.
TEST(metadata_decode, malformed_bytes)
{
    static const struct {
        const char *why;
        const char *bytes;
        size_t len;
        Status status;
        const char *message;
    } cases[] = {
        {"nothing", "", 0, ERR_CORRUPT, "cut short"},
        {"no fields", "\x00", 1, ERR_CORRUPT, "lacks a required field"},
        {"more elements than bytes", "\x15\x02\x19\xfc\xff\xff\xff\xff\x0f", 9, ERR_CORRUPT,
         "FileMetaData.schema has more elements than bytes"},
        {"list of i32 where structs are", "\x15\x02\x19\x15\x00\x00\x00", 7, ERR_CORRUPT,
         "FileMetaData.schema is a list of the wrong type"},
        {"varint of 11 bytes", "\x15\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, ERR_CORRUPT,
         "FileMetaData.version"},
        {"version past 32 bits", "\x15\x80\x80\x80\x80\x80\x01", 7, ERR_CORRUPT,
         "FileMetaData.version is out of range"},
        {"negative row count", "\x15\x02\x26\x01", 4, ERR_CORRUPT,
         "FileMetaData.num_rows is negative"},
        {"field of type 14", "\x1e", 1, ERR_CORRUPT, "malformed field header"},
        {"endless map of a type without bytes", "\x0b\x40\xff\xff\xff\xff\x0f\xef", 8, ERR_CORRUPT,
         "map of an unknown type"},
        {"unknown field that is cut", "\x0c\x40\x18\x7f", 4, ERR_CORRUPT, "cut short"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err = {0};
        ParquetFileMeta got;
        Bytes in = {.ptr = (const uint8_t *)cases[i].bytes, .len = cases[i].len};
        const Status st = parquet_decode_file_meta(&in, &t->arena, &got, &err);
        if (st != cases[i].status || strstr(err.msg, cases[i].message) == NULL) {
            test_fail(t, __FILE__, __LINE__, "%s: %s", cases[i].why, err.msg);
        }
    }
}

TEST(metadata_decode, nesting_is_limited)
{
    // Structs within structs, in a field that nobody knows.
    for (size_t depth = 1; depth <= 64; depth++) {
        Err err = {0};
        ParquetPageHeader got;
        uint8_t bytes[256] = {0};
        size_t len = 0;
        const uint8_t head[] = {0x15, 0x04, 0x15, 0x00, 0x15, 0x00, 0x6c};
        memcpy(bytes, head, sizeof(head)); // type, sizes, then field 9: a struct
        len = sizeof(head);
        for (size_t i = 1; i < depth; i++) {
            bytes[len++] = 0x1c;
        }
        len += depth;
        bytes[len++] = 0x00;
        Bytes in = {.ptr = bytes, .len = len};
        const Status st = parquet_decode_page_header(&in, &got, &err);
        // The dictionary header is missing, which is found after the nesting.
        if (depth < PARQUET_THRIFT_DEPTH_MAX) {
            CHECK_EQ(st, ERR_CORRUPT);
            CHECK(strstr(err.msg, "header of its type") != NULL);
        } else {
            CHECK_EQ(st, ERR_TOO_LARGE);
        }
    }
}

TEST(metadata_decode, a_field_of_another_type_is_passed_over)
{
    // KeyValue-like statistics in a page header: null_count as i32 instead of i64, then a min.
    static const uint8_t bytes[] = {
        0x15, 0x00, 0x15, 0x20, 0x15, 0x20,                   // type 0, both sizes 16
        0x2c, 0x15, 0x0a, 0x15, 0x00, 0x15, 0x06, 0x15, 0x06, // data_page_header, 5 values
        0x1c, 0x35, 0x08, 0x38, 0x01, 'a',  0x00, 0x00, 0x00};
    Err err = {0};
    ParquetPageHeader got;
    Bytes in = {.ptr = bytes, .len = sizeof(bytes)};
    CHECK_OK(parquet_decode_page_header(&in, &got, &err));
    CHECK_EQ(in.len, 0);
    CHECK_EQ(got.value_count, 5);
    CHECK_EQ(got.statistics.has_null_count, false);
    CHECK_EQ(got.statistics.has_min, true);
    CHECK_EQ(got.statistics.min.len, 1);
}

TEST(metadata_decode, page_headers_come_back)
{
    const ParquetPageHeader headers[] = {
        {.type = PARQUET_DATA_PAGE,
         .uncompressed_bytes = 100,
         .compressed_bytes = 50,
         .has_crc = true,
         .crc = 0xfedcba98,
         .value_count = 10,
         .encoding = PARQUET_RLE_DICTIONARY,
         .def_encoding = PARQUET_RLE,
         .rep_encoding = PARQUET_BIT_PACKED},
        {.type = PARQUET_DICTIONARY_PAGE, .value_count = 3, .encoding = PARQUET_PLAIN},
        {.type = PARQUET_DATA_PAGE_V2,
         .value_count = 10,
         .null_count = 2,
         .row_count = 9,
         .def_bytes = 4,
         .rep_bytes = 5,
         .encoding = PARQUET_DELTA_BYTE_ARRAY,
         .is_compressed = false},
        {.type = PARQUET_INDEX_PAGE, .compressed_bytes = 5},
    };
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        Err err = {0};
        Buf out;
        ParquetPageHeader got;
        const ParquetPageHeader *want = &headers[i];
        buf_init(&out, 0);
        parquet_encode_page_header(want, &out);
        Bytes in = buf_bytes(&out);
        CHECK_OK(parquet_decode_page_header(&in, &got, &err));
        CHECK_EQ(in.len, 0);
        buf_deinit(&out);
        CHECK_EQ(got.type, want->type);
        CHECK_EQ(got.crc, want->crc);
        CHECK_EQ(got.has_crc, want->has_crc);
        CHECK_EQ(got.compressed_bytes, want->compressed_bytes);
        CHECK_EQ(got.value_count, want->value_count);
        CHECK_EQ(got.encoding, want->encoding);
        CHECK_EQ(got.def_encoding, want->def_encoding);
        CHECK_EQ(got.rep_encoding, want->rep_encoding);
        CHECK_EQ(got.null_count, want->null_count);
        CHECK_EQ(got.row_count, want->row_count);
        CHECK_EQ(got.def_bytes, want->def_bytes);
        CHECK_EQ(got.is_compressed, want->is_compressed);
    }
}

TEST(metadata_decode, indexes_come_back_and_their_lengths_are_checked)
{
    Err err = {0};
    static const ParquetPageLocation pages[] = {{4, 100, 0}, {104, 60, 16384}};
    static const bool null_pages[] = {false, true};
    static const Bytes min[] = {{(const uint8_t *)"a", 1}, {NULL, 0}};
    static const Bytes max[] = {{(const uint8_t *)"zz", 2}, {NULL, 0}};
    static const int64_t nulls[] = {3, 100};
    Buf out;
    buf_init(&out, 0);
    parquet_encode_offset_index(&(ParquetOffsetIndex){.pages = pages, .page_count = 2}, &out);
    ParquetOffsetIndex offsets;
    Bytes in = buf_bytes(&out);
    CHECK_OK(parquet_decode_offset_index(&in, &t->arena, &offsets, &err));
    CHECK_EQ(offsets.page_count, 2);
    CHECK_EQ(offsets.pages[1].first_row, 16384);
    CHECK_EQ(offsets.pages[1].compressed_bytes, 60);

    buf_clear(&out);
    parquet_encode_column_index(&(ParquetColumnIndex){.page_count = 2,
                                                      .null_pages = null_pages,
                                                      .min = min,
                                                      .max = max,
                                                      .order = PARQUET_ASCENDING,
                                                      .null_counts = nulls},
                                &out);
    ParquetColumnIndex columns;
    in = buf_bytes(&out);
    CHECK_OK(parquet_decode_column_index(&in, &t->arena, &columns, &err));
    CHECK_EQ(columns.page_count, 2);
    CHECK_EQ(columns.null_pages[0], false);
    CHECK_EQ(columns.null_pages[1], true);
    CHECK_EQ(columns.max[0].len, 2);
    CHECK_EQ(columns.null_counts[1], 100);
    CHECK_EQ(columns.order, PARQUET_ASCENDING);
    buf_deinit(&out);

    // null_pages of two, min_values of one, max_values of two.
    static const uint8_t uneven[] = {0x19, 0x21, 0x02, 0x01, 0x19, 0x18, 0x00,
                                     0x19, 0x28, 0x00, 0x00, 0x15, 0x00, 0x00};
    in = (Bytes){.ptr = uneven, .len = sizeof(uneven)};
    CHECK_EQ(parquet_decode_column_index(&in, &t->arena, &columns, &err), ERR_CORRUPT);
    CHECK(strstr(err.msg, "different lengths") != NULL);
}

TEST(metadata_decode, bloom_headers_other_than_ours_are_not_supported)
{
    Err err = {0};
    Buf out;
    ParquetBloomHeader got;
    buf_init(&out, 0);
    parquet_encode_bloom_header(&(ParquetBloomHeader){.byte_count = 1024, .supported = true}, &out);
    Bytes in = buf_bytes(&out);
    CHECK_OK(parquet_decode_bloom_header(&in, &got, &err));
    CHECK_EQ(got.byte_count, 1024);
    CHECK_EQ(got.supported, true);
    buf_deinit(&out);
    // The same with member 2 as its hash.
    static const uint8_t other[] = {0x15, 0x40, 0x1c, 0x1c, 0x00, 0x00, 0x1c, 0x2c,
                                    0x00, 0x00, 0x1c, 0x1c, 0x00, 0x00, 0x00};
    in = (Bytes){.ptr = other, .len = sizeof(other)};
    CHECK_OK(parquet_decode_bloom_header(&in, &got, &err));
    CHECK_EQ(got.supported, false);
}
