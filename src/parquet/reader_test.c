// SPDX-License-Identifier: Apache-2.0
//
// Pages made by hand: what foreign writers may write, and what nobody should.
#include "codec/delta.h"
#include "parquet/reader_internal.h"
#include "parquet/reader_test_internal.h"
#include "tests/support/parquet_text.h"

#include <stdio.h>

static const Bytes nothing = {0};

// ---- encodings

static const struct {
    ParquetPhysical type;
    int32_t length;
    ParquetConverted converted;
    ParquetLogical logical;
    ParquetTimeUnit unit;
    Bytes values; // two of them
    Str text;
} plain_cases[] = {
    {PARQUET_BOOLEAN,
     0,
     PARQUET_CONVERTED_NONE,
     0,
     0,
     {(const uint8_t *)"\x02", 1},
     {"false,true", 10}},
    {PARQUET_INT32,
     0,
     PARQUET_INT_8,
     0,
     0,
     {(const uint8_t *)"\x80\xff\xff\xff\x7f\0\0\0", 8},
     {"-128,127", 8}},
    {PARQUET_INT32,
     0,
     PARQUET_UINT_16,
     0,
     0,
     {(const uint8_t *)"\xff\xff\0\0\0\0\0\0", 8},
     {"65535,0", 7}},
    {PARQUET_INT32,
     0,
     PARQUET_UINT_32,
     0,
     0,
     {(const uint8_t *)"\xff\xff\xff\xff\x01\0\0\0", 8},
     {"4294967295,1", 12}},
    {PARQUET_INT32,
     0,
     PARQUET_DATE,
     0,
     0,
     {(const uint8_t *)"\xff\xff\xff\xff\x01\0\0\0", 8},
     {"-1,1", 4}},
    {PARQUET_INT64,
     0,
     PARQUET_UINT_64,
     0,
     0,
     {(const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\x01\0\0\0\0\0\0\0", 16},
     {"18446744073709551615,1", 22}},
    {PARQUET_INT64,
     0,
     PARQUET_TIMESTAMP_MILLIS,
     0,
     0,
     {(const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\x01\0\0\0\0\0\0\0", 16},
     {"-1000,1000", 10}},
    {PARQUET_INT64,
     0,
     PARQUET_CONVERTED_NONE,
     PARQUET_LOGICAL_TIMESTAMP,
     PARQUET_NANOS,
     {(const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xe7\x03\0\0\0\0\0\0", 16},
     {"-1,0", 4}},
    {PARQUET_INT96,
     0,
     PARQUET_CONVERTED_NONE,
     0,
     0, // midnight of the Julian day of 1970
     {(const uint8_t *)"\0\0\0\0\0\0\0\0\x8c\x3d\x25\0\xe8\x03\0\0\0\0\0\0\x8d\x3d\x25\0", 24},
     {"0,86400000001", 13}},
    {PARQUET_FLOAT,
     0,
     PARQUET_CONVERTED_NONE,
     0,
     0,
     {(const uint8_t *)"\0\0\x80\x3f\0\0\0\x80", 8},
     {"3f800000,80000000", 17}},
    {PARQUET_FIXED_LEN_BYTE_ARRAY,
     2,
     PARQUET_CONVERTED_NONE,
     PARQUET_LOGICAL_FLOAT16,
     0,
     {(const uint8_t *)"\x01\x00\x00\xbc", 4},
     {"33800000,bf800000", 17}},
    {PARQUET_FIXED_LEN_BYTE_ARRAY,
     3,
     PARQUET_CONVERTED_NONE,
     0,
     0,
     {(const uint8_t *)"abcdef", 6},
     {"616263,646566", 13}},
    {PARQUET_BYTE_ARRAY,
     0,
     PARQUET_UTF8,
     0,
     0,
     {(const uint8_t *)"\x02\0\0\0\xc3\xbc\0\0\0\0", 10},
     {"c3bc,", 5}},
};

TEST(reader, plain_values_of_every_physical_type)
{
    for (size_t i = 0; i < ARRAY_LEN(plain_cases); i++) {
        Made m;
        made_begin(t, &m, 2);
        made_element(&m, &(ParquetSchemaElement){.name = STR("c"),
                                                 .has_type = true,
                                                 .type = plain_cases[i].type,
                                                 .type_length = plain_cases[i].length,
                                                 .converted = plain_cases[i].converted,
                                                 .logical = plain_cases[i].logical,
                                                 .time_unit = plain_cases[i].unit});
        made_v1(&m, 0, 2, PARQUET_PLAIN, nothing, plain_cases[i].values);
        made_finish(&m);
        CHECK_STR(made_read(&m, 0, 0, NULL), plain_cases[i].text);
        CHECK_STR(made_read(&m, 0, 1, NULL), plain_cases[i].text);
    }
}

TEST(reader, float16_is_what_its_bits_say)
{
    // Oracle: sign, exponent and fraction by the definition of binary16, in double arithmetic.
    Made m;
    Buf values;
    buf_init(&values, 0);
    for (uint32_t h = 0; h < 65536; h++) {
        buf_put_u16le(&values, (uint16_t)h);
    }
    made_begin(t, &m, 65536);
    made_element(&m, &(ParquetSchemaElement){.name = STR("c"),
                                             .has_type = true,
                                             .type = PARQUET_FIXED_LEN_BYTE_ARRAY,
                                             .type_length = 2,
                                             .converted = PARQUET_CONVERTED_NONE,
                                             .logical = PARQUET_LOGICAL_FLOAT16});
    made_v1(&m, 0, 65536, PARQUET_PLAIN, nothing, buf_bytes(&values));
    buf_deinit(&values);
    made_finish(&m);
    Str rest = made_read(&m, 0, 0, NULL);
    for (uint32_t h = 0; h < 65536; h++) {
        Str got = rest;
        char want[16] = "nan";
        const uint32_t exponent = h >> 10 & 31, fraction = h & 1023;
        double v = exponent == 0 ? fraction * 0x1p-24 : (1024 + fraction) * 0x1p-25;
        for (uint32_t e = 1; e <= exponent; e++) {
            v *= 2;
        }
        if (exponent == 31 && fraction == 0) {
            v = __builtin_inf();
        }
        const float f = (float)(h >> 15 != 0 ? -v : v);
        uint32_t bits;
        memcpy(&bits, &f, sizeof(bits));
        if (exponent != 31 || fraction == 0) {
            (void)snprintf(want, sizeof(want), "%08x", bits);
        }
        (void)str_cut(rest, ',', &got, &rest);
        CHECK_STR(got, ((Str){.ptr = want, .len = strlen(want)}));
    }
}

TEST(reader, values_that_do_not_fit_are_refused)
{
    static const struct {
        ParquetPhysical type;
        ParquetConverted converted;
        Bytes value;
        const char *message;
    } cases[] = {
        {PARQUET_INT32,
         PARQUET_INT_8,
         {(const uint8_t *)"\x80\0\0\0", 4},
         "value 128 does not fit TINYINT"},
        {PARQUET_INT32,
         PARQUET_UINT_8,
         {(const uint8_t *)"\xff\xff\xff\xff", 4},
         "value -1 does not fit UTINYINT"},
        {PARQUET_INT64,
         PARQUET_TIMESTAMP_MILLIS,
         {(const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\x7f", 8},
         "does not fit TIMESTAMP"},
        {PARQUET_BYTE_ARRAY,
         PARQUET_UTF8,
         {(const uint8_t *)"\x01\0\0\0\xff", 5},
         "text that is not UTF-8"},
        {PARQUET_BYTE_ARRAY,
         PARQUET_UTF8,
         {(const uint8_t *)"\x02\0\0\0\x61", 5},
         "text of 2 bytes reaches past the page"},
        {PARQUET_INT64,
         PARQUET_CONVERTED_NONE,
         {(const uint8_t *)"\0\0\0\0", 4},
         "fewer values than rows"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Made m;
        made_begin(t, &m, 1);
        made_element(&m, &(ParquetSchemaElement){.name = STR("c"),
                                                 .has_type = true,
                                                 .type = cases[i].type,
                                                 .converted = cases[i].converted});
        made_v1(&m, 0, 1, PARQUET_PLAIN, nothing, cases[i].value);
        made_finish(&m);
        const Str got = made_read(&m, 0, 0, NULL);
        if (strstr(got.ptr, cases[i].message) == NULL) {
            test_fail(t, __FILE__, __LINE__, "%s, want %s", got.ptr, cases[i].message);
        }
    }
}

TEST(reader, characters_may_not_be_cut_between_values)
{
    // Together valid UTF-8, each alone not.
    Made m;
    made_begin(t, &m, 2);
    made_element(&m, &(ParquetSchemaElement){.name = STR("c"),
                                             .has_type = true,
                                             .type = PARQUET_BYTE_ARRAY,
                                             .converted = PARQUET_UTF8});
    made_v1(&m, 0, 2, PARQUET_PLAIN, nothing, BYTES("\x01\0\0\0\xc3\x01\0\0\0\xbc"));
    made_finish(&m);
    CHECK(strstr(made_read(&m, 0, 0, NULL).ptr, "not UTF-8") != NULL);
}

TEST(reader, deprecated_bit_packed_levels)
{
    // Most significant bit first: 1 0 1 1  0 0 0 1  1 -> 0xb1 0x80; no length in front.
    Made m;
    made_begin(t, &m, 9);
    made_column(&m, PARQUET_INT32, PARQUET_OPTIONAL);
    made_page(&m, 0,
              (ParquetPageHeader){.type = PARQUET_DATA_PAGE,
                                  .value_count = 9,
                                  .encoding = PARQUET_PLAIN,
                                  .def_encoding = PARQUET_BIT_PACKED,
                                  .rep_encoding = PARQUET_BIT_PACKED},
              BYTES("\xb1\x80\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05\0\0\0"));
    made_finish(&m);
    CHECK_STR(made_read(&m, 0, 0, NULL), STR("1,N,2,3,N,N,N,4,5"));
    CHECK_STR(made_read(&m, 0, 2, NULL), STR("1,N,2,3,N,N,N,4,5"));
    CHECK_STR(made_read_rows(&m, 0, (ParquetRowRange){.first = 3, .count = 5}), STR("3,N,N,N,4"));
}

TEST(reader, a_dictionary_may_hold_a_value_twice)
{
    // a b a c b; codes 0..4 packed in 3 bits: 0 1 2 3 4 2 0 4.
    static const uint8_t codes[] = {3, 3, 0x88, 0x46, 0x81}; // width, 1 group
    Made m;
    made_begin(t, &m, 8);
    made_column(&m, PARQUET_BYTE_ARRAY, PARQUET_REQUIRED);
    made_dictionary(&m, 0, 5, BYTES("\x01\0\0\0a\x01\0\0\0b\x01\0\0\0a\x01\0\0\0c\x01\0\0\0b"));
    made_v1(&m, 0, 8, PARQUET_RLE_DICTIONARY, nothing, (Bytes){codes, sizeof(codes)});
    made_finish(&m);
    VectorForm form = VECTOR_FLAT;
    CHECK_STR(made_read(&m, 0, 0, &form), STR("61,62,61,63,62,61,61,62"));
    CHECK_EQ(form, VECTOR_DICT);

    // Numbers, in runs: 7 9 7; ten times each code.
    static const uint8_t runs[] = {2, 20, 0, 20, 1, 20, 2};
    made_begin(t, &m, 30);
    made_column(&m, PARQUET_INT32, PARQUET_REQUIRED);
    made_dictionary(&m, 0, 3, BYTES("\x07\0\0\0\x09\0\0\0\x07\0\0\0"));
    made_v1(&m, 0, 30, PARQUET_PLAIN_DICTIONARY, nothing, (Bytes){runs, sizeof(runs)});
    made_finish(&m);
    CHECK_STR(made_read(&m, 0, 0, &form),
              STR("7,7,7,7,7,7,7,7,7,7,9,9,9,9,9,9,9,9,9,9,7,7,7,7,7,7,7,7,7,7"));
    CHECK_EQ(form, VECTOR_RUNS);
}

TEST(reader, runs_of_codes_and_runs_of_nulls_meet)
{
    // Rows: 8 valid, 8 null, 8 valid, 8 null; codes: 5 times 0, 11 times 1.
    static const uint8_t def[] = {16, 1, 16, 0, 16, 1, 16, 0};
    static const uint8_t codes[] = {1, 10, 0, 22, 1};
    Made m;
    VectorForm form = VECTOR_FLAT;
    made_begin(t, &m, 32);
    made_column(&m, PARQUET_INT32, PARQUET_OPTIONAL);
    made_dictionary(&m, 0, 2, BYTES("\x07\0\0\0\x09\0\0\0"));
    made_v1(&m, 0, 32, PARQUET_RLE_DICTIONARY, (Bytes){def, sizeof(def)},
            (Bytes){codes, sizeof(codes)});
    made_finish(&m);
    const Str want = STR("7,7,7,7,7,9,9,9,N,N,N,N,N,N,N,N,9,9,9,9,9,9,9,9,N,N,N,N,N,N,N,N");
    CHECK_STR(made_read(&m, 0, 0, &form), want);
    CHECK_EQ(form, VECTOR_RUNS);
    CHECK_STR(made_read(&m, 0, 3, &form), want);
    CHECK_EQ(form, VECTOR_DICT);
    CHECK_STR(made_read_rows(&m, 0, (ParquetRowRange){.first = 4, .count = 14}),
              STR("7,9,9,9,N,N,N,N,N,N,N,N,9,9"));
}

TEST(reader, encoding_changes_within_a_chunk)
{
    // Codes, codes, then plain: the dictionary had become too large.
    static const uint8_t codes[] = {1, 3, 0x02}; // 0 1
    Made m;
    made_begin(t, &m, 6);
    made_column(&m, PARQUET_INT32, PARQUET_REQUIRED);
    made_dictionary(&m, 0, 2, BYTES("\x07\0\0\0\x09\0\0\0"));
    made_v1(&m, 0, 2, PARQUET_RLE_DICTIONARY, nothing, (Bytes){codes, sizeof(codes)});
    made_v1(&m, 0, 2, PARQUET_RLE_DICTIONARY, nothing, (Bytes){codes, sizeof(codes)});
    made_v1(&m, 0, 0, PARQUET_PLAIN, nothing, nothing);
    made_page(&m, 0, (ParquetPageHeader){.type = PARQUET_INDEX_PAGE}, BYTES("ignored"));
    made_v1(&m, 0, 2, PARQUET_PLAIN, nothing, BYTES("\x05\0\0\0\x06\0\0\0"));
    made_finish(&m);
    for (uint32_t batch = 0; batch < 7; batch++) {
        CHECK_STR(made_read(&m, 0, batch, NULL), STR("7,9,7,9,5,6"));
    }
    CHECK_STR(made_read_rows(&m, 0, (ParquetRowRange){.first = 3, .count = 2}), STR("9,5"));
}

TEST(reader, v2_pages_keep_levels_apart)
{
    static const uint8_t body[] = {6, 1, 2, 0, 0x0b, 'x', 'y'}; // 3 valid, 1 null; booleans; rest
    Made m;
    made_begin(t, &m, 4);
    made_column(&m, PARQUET_BOOLEAN, PARQUET_OPTIONAL);
    made_page(&m, 0,
              (ParquetPageHeader){.type = PARQUET_DATA_PAGE_V2,
                                  .value_count = 4,
                                  .row_count = 4,
                                  .null_count = 1,
                                  .def_bytes = 4,
                                  .encoding = PARQUET_PLAIN,
                                  .is_compressed = true},
              (Bytes){body, sizeof(body)});
    made_finish(&m);
    CHECK_STR(made_read(&m, 0, 0, NULL), STR("true,true,false,N"));
}

TEST(reader, fixed_values_in_delta_encoding)
{
    Made m;
    Buf values;
    static const uint8_t uuids[] = "0123456789abcdef0123456789ABCDEF";
    static const uint32_t offsets[] = {0, 16, 32}, uneven[] = {0, 15, 32};
    for (size_t i = 0; i < 2; i++) {
        buf_init(&values, 0);
        delta_put_prefixed(&values, i == 0 ? offsets : uneven, uuids, 2);
        made_begin(t, &m, 2);
        made_element(&m, &(ParquetSchemaElement){.name = STR("c"),
                                                 .has_type = true,
                                                 .type = PARQUET_FIXED_LEN_BYTE_ARRAY,
                                                 .type_length = 16,
                                                 .converted = PARQUET_CONVERTED_NONE,
                                                 .logical = PARQUET_LOGICAL_UUID});
        made_v1(&m, 0, 2, PARQUET_DELTA_BYTE_ARRAY, nothing, buf_bytes(&values));
        buf_deinit(&values);
        made_finish(&m);
        const Str got = made_read(&m, 0, 0, NULL);
        if (i == 0) {
            CHECK_STR(got,
                      STR("30313233343536373839616263646566,30313233343536373839414243444546"));
        } else {
            CHECK(strstr(got.ptr, "value of 15 bytes in a column of 16") != NULL);
        }
    }
}

TEST(reader, headers_and_footers_may_be_long)
{
    // Longer than what is read at first: 64 KiB.
    enum { LONG = 300000 };
    Made m;
    char *text = arena_new(&t->arena, char, LONG);
    memset(text, 'x', LONG);
    made_begin(t, &m, 2);
    m.created_by = (Str){.ptr = text, .len = LONG};
    made_column(&m, PARQUET_INT32, PARQUET_REQUIRED);
    made_page(
        &m, 0,
        (ParquetPageHeader){.type = PARQUET_DATA_PAGE,
                            .value_count = 2,
                            .statistics = {.has_min = true, .min = {(const uint8_t *)text, LONG}}},
        BYTES("\1\0\0\0\2\0\0\0"));
    made_finish(&m);
    CHECK_STR(made_read(&m, 0, 0, NULL), STR("1,2"));
}

TEST(reader, old_arrow_compressed_what_it_said_it_did_not)
{
    // ARROW-10353; a snappy block of one literal.
    for (size_t i = 0; i < 2; i++) {
        Made m;
        made_begin(t, &m, 2);
        m.codec = PARQUET_SNAPPY;
        m.created_by = i == 0 ? STR("parquet-cpp version 1.5.1-SNAPSHOT") : STR("other");
        made_column(&m, PARQUET_INT32, PARQUET_REQUIRED);
        made_page(&m, 0,
                  (ParquetPageHeader){.type = PARQUET_DATA_PAGE_V2,
                                      .value_count = 2,
                                      .row_count = 2,
                                      .uncompressed_bytes = 8},
                  i == 0 ? BYTES("\x08\x1c\1\0\0\0\2\0\0\0") : BYTES("\1\0\0\0\2\0\0\0"));
        made_finish(&m);
        CHECK_STR(made_read(&m, 0, 0, NULL), STR("1,2"));
    }
}

TEST(reader, rle_booleans)
{
    static const uint8_t v1[] = {4, 0, 0, 0, 8, 1, 6, 0}; // 4 true, 3 false
    Made m;
    made_begin(t, &m, 7);
    made_column(&m, PARQUET_BOOLEAN, PARQUET_REQUIRED);
    made_v1(&m, 0, 7, PARQUET_RLE, nothing, (Bytes){v1, sizeof(v1)});
    made_finish(&m);
    CHECK_STR(made_read(&m, 0, 0, NULL), STR("true,true,true,true,false,false,false"));
    CHECK_STR(made_read_rows(&m, 0, (ParquetRowRange){.first = 3, .count = 2}), STR("true,false"));
}

TEST(reader, nulls_without_values_need_no_dictionary)
{
    static const uint8_t def[] = {20, 0};
    Made m;
    made_begin(t, &m, 10);
    made_column(&m, PARQUET_BYTE_ARRAY, PARQUET_OPTIONAL);
    made_v1(&m, 0, 10, PARQUET_RLE_DICTIONARY, (Bytes){def, sizeof(def)}, nothing);
    made_finish(&m);
    CHECK_STR(made_read(&m, 0, 0, NULL), STR("N,N,N,N,N,N,N,N,N,N"));
    CHECK_STR(made_read(&m, 0, 1, NULL), STR("N,N,N,N,N,N,N,N,N,N"));
}

TEST(reader, large_chunks_are_read_through_a_window)
{
    // Five pages of 4 MiB: more than is read as one range. Rows are numbered.
    enum { PAGES = 5, PAGE_ROWS = 1 << 19 };
    Made m;
    Err err = {0};
    ParquetReader *r = NULL;
    Buf values;
    const size_t field = 0;
    buf_init(&values, 0);
    made_begin(t, &m, PAGES * PAGE_ROWS);
    made_column(&m, PARQUET_INT64, PARQUET_REQUIRED);
    for (uint64_t page = 0; page < PAGES; page++) {
        buf_clear(&values);
        for (uint64_t i = 0; i < PAGE_ROWS; i++) {
            buf_put_u64le(&values, page * PAGE_ROWS + i);
        }
        made_v1(&m, 0, PAGE_ROWS, PARQUET_PLAIN, nothing, buf_bytes(&values));
    }
    buf_deinit(&values);
    made_finish(&m);
    CHECK_OK(parquet_reader_open(parquet_text_source(&m.bytes), &r, &err));
    const ParquetRowRange some[] = {{1, 5}, {PAGE_ROWS * 2 + 7, PAGE_ROWS + 100}};
    for (size_t pass = 0; pass < 3; pass++) {
        ParquetScan *scan = NULL;
        uint64_t rows = 0;
        const ParquetScanOptions options = {.fields = &field,
                                            .field_count = 1,
                                            .batch_rows = pass == 0 ? 0 : 100000,
                                            .row_ranges = pass == 2 ? some : NULL,
                                            .row_range_count = pass == 2 ? 2 : 0};
        CHECK_OK(parquet_scan_new(r, &options, &scan, &err));
        for (;;) {
            Batch batch;
            uint64_t first = 0;
            CHECK_OK(parquet_scan_next(scan, &batch, &first, &err));
            if (batch.row_count == 0) {
                break;
            }
            for (uint32_t i = 0; i < batch.row_count; i++) {
                if (((const uint64_t *)batch.columns[0].data)[i] != first + i) {
                    test_fail(t, __FILE__, __LINE__, "row %" PRIu64, first + i);
                }
            }
            rows += batch.row_count;
        }
        CHECK_EQ(rows, pass == 2 ? PAGE_ROWS + 105 : PAGES * PAGE_ROWS);
        parquet_scan_free(scan);
    }
    parquet_reader_free(r);
}

// ---- faults

TEST(reader, faulty_pages_are_named)
{
    static const uint8_t codes[] = {1, 3, 0x02};
    static const struct {
        const char *why;
        ParquetPageHeader header;
        Bytes body;
        const char *message;
    } cases[] = {
        {"checksum",
         {.type = PARQUET_DATA_PAGE, .value_count = 2, .has_crc = true, .crc = 1},
         {(const uint8_t *)"\1\0\0\0\2\0\0\0", 8},
         "page at 4: checksum is"},
        {"more rows than the row group has",
         {.type = PARQUET_DATA_PAGE, .value_count = 3},
         {(const uint8_t *)"\1\0\0\0\2\0\0\0\2\0\0\0", 12},
         "3 rows where 2 are left"},
        {"fewer rows",
         {.type = PARQUET_DATA_PAGE, .value_count = 1},
         {(const uint8_t *)"\1\0\0\0", 4},
         "the chunk ends at row 1 of 2"},
        {"encoding that is not one",
         {.type = PARQUET_DATA_PAGE, .value_count = 2, .encoding = (ParquetEncoding)77},
         {(const uint8_t *)"\1\0\0\0\2\0\0\0", 8},
         "encoding 77 of physical type 1"},
        {"text encoding of numbers",
         {.type = PARQUET_DATA_PAGE, .value_count = 2, .encoding = PARQUET_DELTA_BYTE_ARRAY},
         {(const uint8_t *)"\1\0\0\0\2\0\0\0", 8},
         "encoding 7 of physical type 1"},
        {"codes without dictionary",
         {.type = PARQUET_DATA_PAGE, .value_count = 2, .encoding = PARQUET_RLE_DICTIONARY},
         {codes, sizeof(codes)},
         "codes without a dictionary"},
        {"uncompressed of another size",
         {.type = PARQUET_DATA_PAGE, .value_count = 2, .uncompressed_bytes = 9},
         {(const uint8_t *)"\1\0\0\0\2\0\0\0", 8},
         "8 bytes, uncompressed, should be 9"},
        {"more levels than page",
         {.type = PARQUET_DATA_PAGE_V2, .value_count = 2, .row_count = 2, .def_bytes = 9},
         {(const uint8_t *)"\1\0\0\0\2\0\0\0", 8},
         "levels are longer than the page"},
        {"too many delta values",
         {.type = PARQUET_DATA_PAGE, .value_count = 2, .encoding = PARQUET_DELTA_BINARY_PACKED},
         {(const uint8_t *)"\x80\x01\x04\x03\x02", 5},
         "3 delta values in a page of 2"},
        {"split that is not even",
         {.type = PARQUET_DATA_PAGE, .value_count = 2, .encoding = PARQUET_BYTE_STREAM_SPLIT},
         {(const uint8_t *)"\1\0\0\0\2\0\0", 7},
         "BYTE_STREAM_SPLIT of 7 bytes for values of 4"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Made m;
        made_begin(t, &m, 2);
        made_column(&m, PARQUET_INT32, PARQUET_REQUIRED);
        made_page(&m, 0, cases[i].header, cases[i].body);
        made_finish(&m);
        const Str got = made_read(&m, 0, 0, NULL);
        if (strstr(got.ptr, cases[i].message) == NULL ||
            strstr(got.ptr, "parquet column 'c', row group 0: ") == NULL) {
            test_fail(t, __FILE__, __LINE__, "%s: %s", cases[i].why, got.ptr);
        }
    }
}

TEST(reader, faulty_dictionaries_are_named)
{
    static const uint8_t codes[] = {1, 3, 0x02};
    static const uint8_t high[] = {2, 4, 3};
    static const struct {
        int32_t count;
        Bytes values;
        Bytes codes;
        bool twice;
        const char *message;
    } cases[] = {
        {3,
         {(const uint8_t *)"\1\0\0\0\2\0\0\0", 8},
         {codes, sizeof(codes)},
         false,
         "a dictionary of 3 values in 8 bytes"},
        {2,
         {(const uint8_t *)"\1\0\0\0\2\0\0\0", 8},
         {codes, sizeof(codes)},
         true,
         "a second dictionary"},
        {2, {(const uint8_t *)"\1\0\0\0\2\0\0\0", 8}, {high, sizeof(high)}, false, "RLE"},
        {INT32_MAX,
         {(const uint8_t *)"\1\0\0\0\2\0\0\0", 8},
         {codes, sizeof(codes)},
         false,
         "a dictionary of 2147483647 values in 8 bytes"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Made m;
        made_begin(t, &m, 2);
        made_column(&m, PARQUET_INT32, PARQUET_REQUIRED);
        made_dictionary(&m, 0, cases[i].count, cases[i].values);
        if (cases[i].twice) {
            made_dictionary(&m, 0, cases[i].count, cases[i].values);
            m.chunks[0].dictionary_page_offset = 4;
        }
        made_v1(&m, 0, 2, PARQUET_RLE_DICTIONARY, nothing, cases[i].codes);
        made_finish(&m);
        const Str got = made_read(&m, 0, 0, NULL);
        if (strstr(got.ptr, cases[i].message) == NULL) {
            test_fail(t, __FILE__, __LINE__, "%s, want %s", got.ptr, cases[i].message);
        }
    }
}

TEST(reader, a_small_page_cannot_claim_a_large_one)
{
    // Snappy makes at most 64 bytes of 3; nothing of that size is even allocated.
    Made m;
    made_begin(t, &m, 2);
    m.codec = PARQUET_SNAPPY;
    made_column(&m, PARQUET_INT32, PARQUET_REQUIRED);
    made_page(&m, 0,
              (ParquetPageHeader){
                  .type = PARQUET_DATA_PAGE, .value_count = 2, .uncompressed_bytes = 200 << 20},
              BYTES("\x08\x1c\1\0\0\0\2\0\0\0"));
    made_finish(&m);
    CHECK(strstr(made_read(&m, 0, 0, NULL).ptr, "10 bytes cannot become 209715200") != NULL);

    made_begin(t, &m, 2);
    m.codec = PARQUET_ZSTD; // which knows no such bound
    made_column(&m, PARQUET_INT32, PARQUET_REQUIRED);
    made_page(&m, 0,
              (ParquetPageHeader){
                  .type = PARQUET_DATA_PAGE, .value_count = 2, .uncompressed_bytes = INT32_MAX},
              BYTES("\x08\x1c\1\0\0\0\2\0\0\0"));
    made_finish(&m);
    CHECK(strstr(made_read(&m, 0, 0, NULL).ptr, "2147483647 bytes when decompressed") != NULL);
}

TEST(reader, chunks_that_lie_about_their_place)
{
    static const struct {
        int64_t data, dictionary, bytes;
        const char *message;
    } cases[] = {
        {1 << 20, 0, 10, "reaches past the data"},
        {4, 0, 1 << 20, "reaches past the data"},
        {INT64_MAX, 0, INT64_MAX, "reaches past the data"},
        {4, 1 << 20, 0, "1,2"}, // a dictionary after the data is no dictionary
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Made m;
        made_begin(t, &m, 2);
        made_column(&m, PARQUET_INT32, PARQUET_REQUIRED);
        made_v1(&m, 0, 2, PARQUET_PLAIN, nothing, BYTES("\1\0\0\0\2\0\0\0"));
        m.chunks[0].data_page_offset = cases[i].data;
        m.chunks[0].dictionary_page_offset = cases[i].dictionary;
        m.chunks[0].compressed_bytes =
            cases[i].bytes != 0 ? cases[i].bytes : m.chunks[0].compressed_bytes;
        made_finish(&m);
        const Str got = made_read(&m, 0, 0, NULL);
        if (strstr(got.ptr, cases[i].message) == NULL) {
            test_fail(t, __FILE__, __LINE__, "%s, want %s", got.ptr, cases[i].message);
        }
    }
}

TEST(reader, chunks_may_not_overlap)
{
    // Two columns of the same bytes: memory would no longer be bounded by the size of the file.
    Made m;
    made_begin(t, &m, 2);
    made_column(&m, PARQUET_INT32, PARQUET_REQUIRED);
    made_column(&m, PARQUET_INT32, PARQUET_REQUIRED);
    made_v1(&m, 0, 2, PARQUET_PLAIN, nothing, BYTES("\1\0\0\0\2\0\0\0"));
    m.chunks[1] = m.chunks[0];
    made_finish(&m);
    CHECK_STR(made_read(&m, 0, 0, NULL), STR("1,2"));
    CHECK_STR(made_read(&m, 1, 0, NULL), STR("1,2"));

    Err err = {0};
    ParquetReader *r = NULL;
    ParquetScan *scan = NULL;
    Batch batch;
    uint64_t first = 0;
    CHECK_OK(parquet_reader_open(parquet_text_source(&m.bytes), &r, &err));
    const size_t both[] = {0, 1}, twice[] = {0, 0};
    CHECK_OK(
        parquet_scan_new(r, &(ParquetScanOptions){.fields = both, .field_count = 2}, &scan, &err));
    CHECK_EQ(parquet_scan_next(scan, &batch, &first, &err), ERR_CORRUPT);
    CHECK(strstr(err.msg, "column chunks overlap") != NULL);
    parquet_scan_free(scan);
    // The same column twice is another matter.
    CHECK_OK(
        parquet_scan_new(r, &(ParquetScanOptions){.fields = twice, .field_count = 2}, &scan, &err));
    CHECK_OK(parquet_scan_next(scan, &batch, &first, &err));
    CHECK_EQ(batch.row_count, 2);
    parquet_scan_free(scan);
    parquet_reader_free(r);
}

TEST(reader, decompressed_pages_of_a_scan_are_bounded)
{
    Err err = {0};
    ParquetChunkContext ctx = {.page_bytes = PARQUET_SCAN_PAGES_MAX_BYTES - 1000};
    ParquetScratch a = {0}, b = {0};
    CHECK_OK(parquet_scratch_claim(&ctx, &a, 600, &err));
    CHECK_EQ(parquet_scratch_claim(&ctx, &b, 401, &err), ERR_TOO_LARGE);
    CHECK_OK(parquet_scratch_claim(&ctx, &b, 400, &err));
    CHECK_OK(parquet_scratch_claim(&ctx, &a, 600, &err)); // what is there is not claimed again
    parquet_scratch_deinit(&a);
    parquet_scratch_deinit(&b);
}

typedef struct Failing {
    Bytes file;
    uint32_t left; // reads before the first that fails
} Failing;

static Status failing_read(void *ctx, uint64_t offset, void *into, size_t n, Err *err)
{
    Failing *f = ctx;
    if (f->left == 0) {
        return err_set(err, ERR_IO, "out of order");
    }
    f->left--;
    memcpy(into, f->file.ptr + offset, n);
    return OK;
}

TEST(reader, every_failing_read_is_reported)
{
    Made m;
    made_begin(t, &m, 2);
    made_column(&m, PARQUET_INT32, PARQUET_REQUIRED);
    made_v1(&m, 0, 2, PARQUET_PLAIN, nothing, BYTES("\1\0\0\0\2\0\0\0"));
    made_finish(&m);
    for (uint32_t reads = 0; reads < 2; reads++) {
        Err err = {0};
        ParquetReader *r = NULL;
        ParquetScan *scan = NULL;
        Batch batch;
        uint64_t first = 0;
        const size_t field = 0;
        Failing f = {.file = m.bytes, .left = reads};
        const ParquetSource source = {
            .read_at = failing_read, .ctx = &f, .size_bytes = m.bytes.len};
        Status st = parquet_reader_open(source, &r, &err);
        if (reads == 0) {
            CHECK_EQ(st, ERR_IO);
            CHECK(r == NULL);
            continue;
        }
        CHECK_OK(st);
        const ParquetScanOptions options = {.fields = &field, .field_count = 1};
        CHECK_OK(parquet_scan_new(r, &options, &scan, &err));
        CHECK_EQ(parquet_scan_next(scan, &batch, &first, &err), ERR_IO);
        CHECK_EQ(batch.row_count, 0);
        f.left = 100; // a scan that failed does not go on
        CHECK_EQ(parquet_scan_next(scan, &batch, &first, &err), ERR_IO);
        parquet_scan_free(scan);
        parquet_reader_free(r);
    }
}

TEST(reader, files_that_are_none)
{
    static const struct {
        Bytes file;
        Status status;
        const char *message;
    } cases[] = {
        {{NULL, 0}, ERR_CORRUPT, "not a Parquet file: 0 bytes"},
        {{(const uint8_t *)"PAR1\0\0\0\0PARX", 12}, ERR_CORRUPT, "no PAR1 at the end"},
        {{(const uint8_t *)"PARE\0\0\0\0PARE", 12}, ERR_UNSUPPORTED, "encrypted"},
        {{(const uint8_t *)"PAR1\xff\0\0\0PAR1", 12}, ERR_CORRUPT, "footer of 255 bytes"},
        {{(const uint8_t *)"PAR1\0\0\0\0PAR1", 12}, ERR_CORRUPT, "parquet metadata"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err = {0};
        ParquetReader *r = NULL;
        CHECK_EQ(parquet_reader_open(parquet_text_source(&cases[i].file), &r, &err),
                 cases[i].status);
        CHECK(r == NULL);
        if (strstr(err.msg, cases[i].message) == NULL) {
            test_fail(t, __FILE__, __LINE__, "%s, want %s", err.msg, cases[i].message);
        }
    }
}

// ---- schemas

typedef struct SchemaCase {
    const char *why;
    ParquetSchemaElement elements[6]; // below the root, up to the first without a name
    const char *field;                // "TYPE" or why not
} SchemaCase;

// UTF8, which is 0, stands for no converted type here.
#define LEAF(...)                                                                                  \
    {                                                                                              \
        .has_type = true, .name = {"x", 1}, __VA_ARGS__                                            \
    }
#define GROUP(children, ...)                                                                       \
    {                                                                                              \
        .child_count = (children), .name = {"g", 1}, __VA_ARGS__                                   \
    }
#define TEXT LEAF(.type = PARQUET_BYTE_ARRAY, .logical = PARQUET_LOGICAL_STRING)

static const SchemaCase schema_cases[] = {
    {"integer of 8 bits", {LEAF(.type = PARQUET_INT32, .converted = PARQUET_INT_8)}, "TINYINT"},
    {"logical type wins",
     {LEAF(.type = PARQUET_INT32, .converted = PARQUET_INT_8, .logical = PARQUET_LOGICAL_INTEGER,
           .int_bits = 16)},
     "USMALLINT"},
    {"64 bits on INT32",
     {LEAF(.type = PARQUET_INT32, .converted = PARQUET_INT_64)},
     "INTEGER of a width"},
    {"JSON", {LEAF(.type = PARQUET_BYTE_ARRAY, .converted = PARQUET_JSON)}, "VARCHAR"},
    {"BSON", {LEAF(.type = PARQUET_BYTE_ARRAY, .converted = PARQUET_BSON)}, "BLOB"},
    {"date on INT64", {LEAF(.type = PARQUET_INT64, .converted = PARQUET_DATE)}, "DATE on"},
    {"time", {LEAF(.type = PARQUET_INT32, .converted = PARQUET_TIME_MILLIS)}, "TIME is not"},
    {"decimal", {LEAF(.type = PARQUET_INT32, .converted = PARQUET_DECIMAL)}, "DECIMAL is not"},
    {"UUID",
     {LEAF(.type = PARQUET_FIXED_LEN_BYTE_ARRAY, .type_length = 16,
           .logical = PARQUET_LOGICAL_UUID)},
     "UUID"},
    {"short UUID",
     {LEAF(.type = PARQUET_FIXED_LEN_BYTE_ARRAY, .type_length = 15,
           .logical = PARQUET_LOGICAL_UUID)},
     "UUID that is not"},
    {"interval",
     {LEAF(.type = PARQUET_FIXED_LEN_BYTE_ARRAY, .type_length = 12, .converted = PARQUET_INTERVAL)},
     "INTERVAL is not"},
    {"fixed without length",
     {LEAF(.type = PARQUET_FIXED_LEN_BYTE_ARRAY)},
     "FIXED_LEN_BYTE_ARRAY without a usable"},
    {"repeated", {LEAF(.type = PARQUET_INT32, .repetition = PARQUET_REPEATED)}, "repeated"},
    {"group", {GROUP(1), LEAF(.type = PARQUET_INT32)}, "STRUCT is not"},
    {"list",
     {GROUP(1, .logical = PARQUET_LOGICAL_LIST), GROUP(1, .repetition = PARQUET_REPEATED),
      LEAF(.type = PARQUET_INT32)},
     "LIST is not"},
    {"map",
     {GROUP(1, .logical = PARQUET_LOGICAL_MAP), GROUP(2, .repetition = PARQUET_REPEATED), TEXT,
      TEXT},
     "MAP(VARCHAR, VARCHAR)"},
    {"old map",
     {GROUP(1, .converted = PARQUET_MAP_KEY_VALUE), GROUP(2, .repetition = PARQUET_REPEATED), TEXT,
      TEXT},
     "MAP(VARCHAR, VARCHAR)"},
    {"map to numbers",
     {GROUP(1, .logical = PARQUET_LOGICAL_MAP), GROUP(2, .repetition = PARQUET_REPEATED), TEXT,
      LEAF(.type = PARQUET_INT32)},
     "MAP of other types"},
    {"map to groups",
     {GROUP(1, .logical = PARQUET_LOGICAL_MAP), GROUP(2, .repetition = PARQUET_REPEATED), TEXT,
      GROUP(1), TEXT},
     "MAP of nested values"},
    {"map without values",
     {GROUP(1, .logical = PARQUET_LOGICAL_MAP), GROUP(1, .repetition = PARQUET_REPEATED), TEXT},
     "MAP whose entries are not"},
    {"map without repetition",
     {GROUP(1, .logical = PARQUET_LOGICAL_MAP), GROUP(2), TEXT, TEXT},
     "MAP without a repeated group"},
    {"map on a value", {LEAF(.type = PARQUET_INT32, .converted = PARQUET_MAP)}, "MAP or LIST"},
};

TEST(reader, schema_says_what_can_be_read)
{
    for (size_t i = 0; i < ARRAY_LEN(schema_cases); i++) {
        Err err = {0};
        Made m;
        ParquetReader *r = NULL;
        size_t count = 0;
        made_begin(t, &m, 0);
        for (size_t k = 0; k < 6 && schema_cases[i].elements[k].name.len != 0; k++) {
            ParquetSchemaElement e = schema_cases[i].elements[k];
            e.converted = e.converted == PARQUET_UTF8 ? PARQUET_CONVERTED_NONE : e.converted;
            made_element(&m, &e);
        }
        made_finish(&m);
        CHECK_OK(parquet_reader_open(parquet_text_source(&m.bytes), &r, &err));
        const ParquetField *f = parquet_reader_fields(r, &count);
        CHECK_EQ(count, 1);
        const char *got = f->readable ? column_type_sql(f->field.type) : f->why_not.ptr;
        if (strstr(got, schema_cases[i].field) != got) {
            test_fail(t, __FILE__, __LINE__, "%s: %s", schema_cases[i].why, got);
        }
        parquet_reader_free(r);
    }
}

TEST(reader, schemas_that_are_no_trees)
{
    static const struct {
        const char *why;
        ParquetSchemaElement elements[4];
        int32_t root_children;
    } cases[] = {
        {"root wants more", {LEAF(.type = PARQUET_INT32)}, 2},
        {"root wants less", {LEAF(.type = PARQUET_INT32), LEAF(.type = PARQUET_INT32)}, 1},
        {"group wants more", {GROUP(INT32_MAX), LEAF(.type = PARQUET_INT32)}, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err = {0};
        ParquetReader *r = NULL;
        Buf file;
        ParquetSchemaElement schema[5] = {
            {.name = STR("root"), .child_count = cases[i].root_children}};
        uint32_t count = 1;
        for (size_t k = 0; k < 4 && cases[i].elements[k].name.len != 0; k++) {
            schema[count++] = cases[i].elements[k];
        }
        const ParquetFileMeta meta = {.version = 1, .schema = schema, .schema_count = count};
        buf_init(&file, 0);
        buf_put_str(&file, STR("PAR1"));
        parquet_encode_file_meta(&meta, &file);
        buf_put_u32le(&file, (uint32_t)file.len - 4);
        buf_put_str(&file, STR("PAR1"));
        const Bytes bytes = buf_bytes(&file);
        const Status st = parquet_reader_open(parquet_text_source(&bytes), &r, &err);
        CHECK_EQ(st, ERR_CORRUPT);
        parquet_reader_free(r);
        buf_deinit(&file);
    }
}
