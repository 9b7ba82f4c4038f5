// SPDX-License-Identifier: Apache-2.0
#include "parquet/metadata.h"
#include "tests/support/test.h"

static void check_bytes(Test *t, const Buf *got, const char *want_hex)
{
    Buf hex = {0};
    for (size_t i = 0; i < got->len; i++) {
        buf_putf(&hex, "%02x", got->ptr[i]);
    }
    CHECK_STR(buf_str(&hex), ((Str){.ptr = want_hex, .len = strlen(want_hex)}));
    buf_deinit(&hex);
}

// Worked out by hand from the compact protocol: field header (delta << 4 | type), zigzag varints.
TEST(metadata_encode, page_headers)
{
    Buf out = {0};
    const ParquetPageHeader data = {.type = PARQUET_DATA_PAGE,
                                    .uncompressed_bytes = 100,
                                    .compressed_bytes = 50,
                                    .has_crc = true,
                                    .crc = 0xffffffff,
                                    .value_count = 16384,
                                    .encoding = PARQUET_RLE_DICTIONARY,
                                    .def_encoding = PARQUET_RLE,
                                    .rep_encoding = PARQUET_RLE};
    parquet_encode_page_header(&data, &out);
    check_bytes(t, &out,
                "1500"     // 1: type DATA_PAGE
                "15c801"   // 2: 100
                "1564"     // 3: 50
                "1501"     // 4: crc -1
                "1c"       // 5: data_page_header
                "15808002" //   1: 16384
                "1510"     //   2: RLE_DICTIONARY
                "1506"     //   3: RLE
                "1506"     //   4: RLE
                "00"       //
                "00");
    buf_clear(&out);
    const ParquetPageHeader dictionary = {.type = PARQUET_DICTIONARY_PAGE,
                                          .uncompressed_bytes = 1,
                                          .compressed_bytes = 1,
                                          .value_count = 3,
                                          .encoding = PARQUET_PLAIN};
    parquet_encode_page_header(&dictionary, &out);
    check_bytes(t, &out,
                "1504150215024c1506150000"
                "00");
    buf_deinit(&out);
}

TEST(metadata_encode, indexes_and_bloom_header)
{
    Buf out = {0};
    const ParquetPageLocation pages[] = {{4, 10, 0}, {14, 12, 16384}};
    parquet_encode_offset_index(&(ParquetOffsetIndex){.pages = pages, .page_count = 2}, &out);
    check_bytes(t, &out,
                "192c" // 1: list of 2 structs
                "1608151416000016"
                "1c1518168080020000");
    buf_clear(&out);
    const bool null_pages[] = {false, true};
    const Bytes min[] = {{(const uint8_t *)"a", 1}, {0}};
    const Bytes max[] = {{(const uint8_t *)"bc", 2}, {0}};
    const int64_t null_counts[] = {0, 5};
    const ParquetColumnIndex index = {.page_count = 2,
                                      .null_pages = null_pages,
                                      .min = min,
                                      .max = max,
                                      .order = PARQUET_ASCENDING,
                                      .null_counts = null_counts};
    parquet_encode_column_index(&index, &out);
    check_bytes(t, &out,
                "19210201"   // 1: list of 2 bools
                "1928016100" // 2: list of 2 binaries
                "192802626300"
                "1502"
                "1926000a"
                "00");
    buf_clear(&out);
    parquet_encode_bloom_header(&(ParquetBloomHeader){.byte_count = 64, .supported = true}, &out);
    check_bytes(t, &out,
                "158001"
                "1c1c0000"
                "1c1c0000"
                "1c1c0000"
                "00");
    buf_deinit(&out);
}

// Lists of more than 14 elements and ids far apart take the long forms.
TEST(metadata_encode, long_lists)
{
    enum { PAGES = 300 };
    Err err = {0};
    Buf out = {0};
    ParquetPageLocation *pages = arena_new(&t->arena, ParquetPageLocation, PAGES);
    for (int i = 0; i < PAGES; i++) {
        pages[i] = (ParquetPageLocation){.offset = (int64_t)(test_random(t) >> 2),
                                         .compressed_bytes = (int32_t)(test_random(t) >> 34),
                                         .first_row = (int64_t)i * 16384};
    }
    parquet_encode_offset_index(&(ParquetOffsetIndex){.pages = pages, .page_count = PAGES}, &out);
    Bytes in = buf_bytes(&out);
    ParquetOffsetIndex got;
    CHECK_OK(parquet_decode_offset_index(&in, &t->arena, &got, &err));
    CHECK_EQ(got.page_count, PAGES);
    for (int i = 0; i < PAGES; i++) {
        CHECK_EQ(got.pages[i].offset, pages[i].offset);
        CHECK_EQ(got.pages[i].compressed_bytes, pages[i].compressed_bytes);
        CHECK_EQ(got.pages[i].first_row, pages[i].first_row);
    }
    buf_deinit(&out);
}

// A file of everything that is ever written.
static const Str path[] = {{"m", 1}, {"key_value", 9}, {"key", 3}};
static const ParquetSchemaElement schema[] = {
    {.name = {"schema", 6}, .child_count = 2, .converted = PARQUET_CONVERTED_NONE},
    {.name = {"ts", 2},
     .has_type = true,
     .type = PARQUET_INT64,
     .converted = PARQUET_TIMESTAMP_MICROS,
     .logical = PARQUET_LOGICAL_TIMESTAMP,
     .time_unit = PARQUET_MICROS,
     .is_utc = true},
    {.name = {"u", 1},
     .has_type = true,
     .type = PARQUET_INT32,
     .repetition = PARQUET_OPTIONAL,
     .converted = PARQUET_UINT_8,
     .logical = PARQUET_LOGICAL_INTEGER,
     .int_bits = 8},
};
static const ParquetColumnChunk columns[] = {
    {.type = PARQUET_INT64,
     .path = path,
     .path_count = 3,
     .encodings = 1u << PARQUET_PLAIN | 1u << PARQUET_RLE_DICTIONARY,
     .codec = PARQUET_ZSTD,
     .value_count = 1000,
     .uncompressed_bytes = 8000,
     .compressed_bytes = 500,
     .data_page_offset = 1234567890123,
     .dictionary_page_offset = 1234567890000,
     .statistics = {.has_null_count = true,
                    .null_count = 3,
                    .has_distinct_count = true,
                    .distinct_count = 9,
                    .has_min = true,
                    .min = {(const uint8_t *)"aaaaaaaa", 8},
                    .min_exact = true,
                    .has_max = true,
                    .max = {(const uint8_t *)"zzzzzzzz", 8},
                    .max_exact = false},
     .bloom_offset = 777,
     .bloom_bytes = 88,
     .offset_index_offset = 1,
     .offset_index_bytes = 2,
     .column_index_offset = 3,
     .column_index_bytes = 4},
    {.type = PARQUET_INT32, .path = path, .path_count = 1, .data_page_offset = 4}};
static const ParquetSortingColumn sorting[] = {{.column = 1, .nulls_first = true}};
static const ParquetRowGroup groups[] = {{.columns = columns,
                                          .column_count = 2,
                                          .total_bytes = 9000,
                                          .total_compressed_bytes = 600,
                                          .row_count = 1000,
                                          .file_offset = 4,
                                          .sorting = sorting,
                                          .sorting_count = 1,
                                          .ordinal = 0}};
static const ParquetKeyValue kv[] = {{{"k", 1}, {"v", 1}}};
static const ParquetFileMeta meta = {.version = 2,
                                     .schema = schema,
                                     .schema_count = 3,
                                     .row_count = 1000,
                                     .row_groups = groups,
                                     .row_group_count = 1,
                                     .key_values = kv,
                                     .key_value_count = 1,
                                     .created_by = {"me", 2},
                                     .has_column_orders = true};

TEST(metadata_encode, file_meta_comes_back)
{
    Err err = {0};
    Buf out = {0};
    parquet_encode_file_meta(&meta, &out);
    Bytes in = buf_bytes(&out);
    ParquetFileMeta got;
    CHECK_OK(parquet_decode_file_meta(&in, &t->arena, &got, &err));
    CHECK_EQ(in.len, 0);
    CHECK_EQ(got.row_count, 1000);
    CHECK_EQ(got.schema[1].logical, PARQUET_LOGICAL_TIMESTAMP);
    CHECK(got.schema[1].is_utc && got.schema[1].time_unit == PARQUET_MICROS);
    CHECK_EQ(got.schema[2].int_bits, 8);
    CHECK(!got.schema[2].int_signed);
    CHECK_EQ(got.schema[2].repetition, PARQUET_OPTIONAL);
    const ParquetColumnChunk *c = &got.row_groups[0].columns[0];
    CHECK_EQ(c->path_count, 3);
    CHECK_STR(c->path[1], STR("key_value"));
    CHECK_EQ(c->encodings, columns[0].encodings);
    CHECK_EQ(c->data_page_offset, columns[0].data_page_offset);
    CHECK_EQ(c->dictionary_page_offset, columns[0].dictionary_page_offset);
    CHECK_EQ(c->statistics.distinct_count, 9);
    CHECK(c->statistics.min_exact && !c->statistics.max_exact);
    CHECK_EQ(c->bloom_offset, 777);
    CHECK_EQ(c->bloom_bytes, 88);
    CHECK_EQ(c->column_index_bytes, 4);
    CHECK_EQ(got.row_groups[0].columns[1].dictionary_page_offset, 0);
    CHECK_EQ(got.row_groups[0].sorting[0].column, 1);
    CHECK(got.row_groups[0].sorting[0].nulls_first);
    CHECK_STR(got.key_values[0].value, STR("v"));
    CHECK(got.has_column_orders);
    buf_deinit(&out);
}
