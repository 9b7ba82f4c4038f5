// SPDX-License-Identifier: Apache-2.0
//
// Files are read back with this module's reader; other readers get the files of parquet_gen.
#include "codec/crc.h"
#include "codec/hash.h"
#include "os/fault.h"
#include "os/sim.h"
#include "parquet/bloom.h"
#include "parquet/writer_test_internal.h"

#include <math.h>

static const ParquetWriterOptions defaults = {.created_by = {.ptr = "test", .len = 4}};

// ---- what goes in comes out

static void check_all_types(Test *t, VectorForm form, VectorShape shape, uint32_t null_one_in)
{
    static const uint32_t row_counts[] = {1, 20011};
    Batch batches[ARRAY_LEN(row_counts)];
    Field *fields = arena_new(&t->arena, Field, COLUMN_MAP + 1);
    const Schema schema = {.fields = fields, .count = COLUMN_MAP + 1};
    for (size_t b = 0; b < ARRAY_LEN(row_counts); b++) {
        Vector *columns = arena_new(&t->arena, Vector, schema.count);
        for (size_t i = 0; i < schema.count; i++) {
            const VectorGen gen = {.type = (ColumnType)i,
                                   .form = form,
                                   .shape = shape,
                                   .row_count = row_counts[b],
                                   .null_one_in = null_one_in};
            columns[i] = vector_gen(&t->rng, &gen, &t->arena);
            fields[i] = (Field){.name = vector_gen_name(&gen, &t->arena),
                                .type = (ColumnType)i,
                                .nullable = null_one_in != 0};
        }
        batches[b] = (Batch){.schema = &schema, .columns = columns, .row_count = row_counts[b]};
    }
    Written w;
    written_open(t, batches, ARRAY_LEN(batches), &defaults, &w);
    written_check_rows(t, &w, batches, ARRAY_LEN(batches));
    CHECK_EQ(w.summary.size_bytes, w.bytes.len);
    CHECK_EQ(w.summary.row_count, row_counts[0] + row_counts[1]);
    CHECK(w.summary.hash == hash_xxh3_64(w.bytes, 0));
    for (size_t i = 0; i < schema.count; i++) {
        int64_t null_count = 0;
        for (size_t b = 0; b < ARRAY_LEN(batches); b++) {
            for (uint32_t row = 0; row < row_counts[b]; row++) {
                const Vector *flat = NULL;
                uint32_t index = 0;
                null_count += !vector_locate(&batches[b].columns[i], row, &flat, &index);
            }
        }
        CHECK_EQ(w.summary.columns[i].null_count, null_count);
    }
    written_close(&w);
}

TEST(writer, flat_columns_of_all_types_come_back)
{
    for (VectorShape shape = SHAPE_CONSTANT; shape < SHAPE_COUNT; shape++) {
        check_all_types(t, VECTOR_FLAT, shape, 0);
        check_all_types(t, VECTOR_FLAT, shape, 5);
    }
}

TEST(writer, dictionaries_of_all_types_come_back)
{
    for (VectorShape shape = SHAPE_CONSTANT; shape < SHAPE_COUNT; shape++) {
        check_all_types(t, VECTOR_DICT, shape, 0);
        check_all_types(t, VECTOR_DICT, shape, 3);
    }
}

TEST(writer, runs_of_all_types_come_back)
{
    for (VectorShape shape = SHAPE_CONSTANT; shape < SHAPE_COUNT; shape++) {
        check_all_types(t, VECTOR_RUNS, shape, 0);
        check_all_types(t, VECTOR_RUNS, shape, 2);
    }
}

TEST(writer, columns_of_nulls_come_back)
{
    check_all_types(t, VECTOR_FLAT, SHAPE_RANDOM, 1);
    check_all_types(t, VECTOR_DICT, SHAPE_RANDOM, 1);
    check_all_types(t, VECTOR_RUNS, SHAPE_RANDOM, 1);
}

TEST(writer, every_dictionary_option_comes_back)
{
    static const ParquetDictionaryUse uses[] = {PARQUET_DICTIONARY_AUTO, PARQUET_DICTIONARY_NEVER,
                                                PARQUET_DICTIONARY_ALWAYS};
    for (size_t i = 0; i < ARRAY_LEN(uses) * (COLUMN_MAP + 1) * 3; i++) {
        const ColumnType type = (ColumnType)(i / 9);
        const ParquetColumnOptions column = {.dictionary = uses[i % 3], .bloom = true};
        ParquetWriterOptions options = defaults;
        options.columns = &column;
        const VectorGen gen = {.type = type,
                               .form = (VectorForm)(i / 3 % 3),
                               .shape = SHAPE_WALK,
                               .row_count = 2 * PARQUET_PAGE_ROWS + 77,
                               .null_one_in = 9};
        const Batch batch = written_batch(t, &gen);
        Written w;
        written_open(t, &batch, 1, &options, &w);
        written_check_rows(t, &w, &batch, 1);
        const uint32_t encodings = written_chunk(&w, 0, 0)->encodings;
        const bool is_dict = (encodings & 1u << PARQUET_RLE_DICTIONARY) != 0;
        if (column.dictionary != PARQUET_DICTIONARY_AUTO) {
            CHECK_EQ(is_dict,
                     column.dictionary == PARQUET_DICTIONARY_ALWAYS && type != COLUMN_BOOL);
        }
        written_close(&w);
    }
}

TEST(writer, file_without_rows)
{
    Err err = {0};
    const Batch batch = written_batch(t, &(VectorGen){.type = COLUMN_INT64, .row_count = 1});
    Written w;
    written_open(t, &batch, 0, &defaults, &w);
    CHECK_EQ(parquet_reader_meta(w.reader)->row_count, 0);
    CHECK_EQ(w.summary.column_count, 1);
    CHECK(!w.summary.columns[0].has_minmax);
    CHECK_EQ(err.status, OK);
    written_close(&w);
}

// ---- layout

TEST(writer, pages_of_all_columns_break_at_the_same_rows)
{
    enum { ROWS = 3 * PARQUET_PAGE_ROWS + 5 };
    static const VectorGen gens[] = {
        {COLUMN_DOUBLE, VECTOR_FLAT, SHAPE_RANDOM, ROWS, 0, false},
        {COLUMN_STRING, VECTOR_RUNS, SHAPE_FEW, ROWS, 4, false},
        {COLUMN_STRING, VECTOR_DICT, SHAPE_RANDOM, ROWS, 0, false},
        {COLUMN_BOOL, VECTOR_FLAT, SHAPE_FEW, ROWS, 0, false},
        {COLUMN_MAP, VECTOR_RUNS, SHAPE_FEW, ROWS, 0, false},
    };
    Field fields[ARRAY_LEN(gens)];
    Vector columns[ARRAY_LEN(gens)];
    for (size_t i = 0; i < ARRAY_LEN(gens); i++) {
        columns[i] = vector_gen(&t->rng, &gens[i], &t->arena);
        fields[i] = (Field){.name = vector_gen_name(&gens[i], &t->arena),
                            .type = gens[i].type,
                            .nullable = gens[i].null_one_in != 0};
    }
    const Schema schema = {.fields = fields, .count = ARRAY_LEN(fields)};
    const Batch batch = {.schema = &schema, .columns = columns, .row_count = ROWS};
    Written w;
    written_open(t, &batch, 1, &defaults, &w);
    const ParquetRowGroup *group = &parquet_reader_meta(w.reader)->row_groups[0];
    CHECK_EQ(group->column_count, ARRAY_LEN(gens) + 1);
    int64_t end = 4; // chunks follow each other without gaps
    for (uint32_t leaf = 0; leaf < group->column_count; leaf++) {
        const ParquetColumnChunk *chunk = &group->columns[leaf];
        ParquetOffsetIndex index;
        written_offset_index(t, &w, chunk, &index);
        CHECK_EQ(index.page_count, 4);
        const bool has_dict = chunk->dictionary_page_offset != 0;
        CHECK_EQ(has_dict ? chunk->dictionary_page_offset : chunk->data_page_offset, end);
        CHECK_EQ(index.pages[0].offset, chunk->data_page_offset);
        for (uint32_t page = 0; page < index.page_count; page++) {
            CHECK_EQ(index.pages[page].first_row, page * PARQUET_PAGE_ROWS);
            CHECK(page == 0 ||
                  index.pages[page].offset ==
                      index.pages[page - 1].offset + index.pages[page - 1].compressed_bytes);
        }
        end += chunk->compressed_bytes;
        CHECK_EQ(index.pages[3].offset + index.pages[3].compressed_bytes, end);
    }
    CHECK_EQ(group->row_count, ROWS);
    written_close(&w);
}

// Walks the pages of a chunk by their headers.
TEST(writer, every_page_has_its_checksum_and_sizes_add_up)
{
    static const VectorForm forms[] = {VECTOR_FLAT, VECTOR_DICT, VECTOR_RUNS};
    for (size_t i = 0; i < ARRAY_LEN(forms) * SHAPE_COUNT; i++) {
        const VectorGen gen = {.type = COLUMN_STRING,
                               .form = forms[i % ARRAY_LEN(forms)],
                               .shape = (VectorShape)(i / ARRAY_LEN(forms)),
                               .row_count = PARQUET_PAGE_ROWS + 1};
        const Batch batch = written_batch(t, &gen);
        Err err = {0};
        Written w;
        written_open(t, &batch, 1, &defaults, &w);
        const ParquetColumnChunk *chunk = written_chunk(&w, 0, 0);
        const bool has_dict = chunk->dictionary_page_offset != 0;
        Bytes in = {.ptr = w.bytes.ptr +
                           (has_dict ? chunk->dictionary_page_offset : chunk->data_page_offset),
                    .len = (size_t)chunk->compressed_bytes};
        int64_t value_count = 0;
        int64_t plain_bytes = 0;
        bool first = true;
        while (in.len != 0) {
            ParquetPageHeader header = {0};
            const size_t before = in.len;
            CHECK_OK(parquet_decode_page_header(&in, &header, &err));
            plain_bytes += (int64_t)(before - in.len) + header.uncompressed_bytes;
            CHECK((size_t)header.compressed_bytes <= in.len);
            const Bytes stored = {.ptr = in.ptr, .len = (size_t)header.compressed_bytes};
            CHECK(header.has_crc && header.crc == crc_ieee(0, stored));
            CHECK_EQ(header.type, first && has_dict ? PARQUET_DICTIONARY_PAGE : PARQUET_DATA_PAGE);
            value_count += header.type == PARQUET_DATA_PAGE ? header.value_count : 0;
            in.ptr += stored.len;
            in.len -= stored.len;
            first = false;
        }
        CHECK_EQ(value_count, chunk->value_count);
        CHECK_EQ(plain_bytes, chunk->uncompressed_bytes);
        written_close(&w);
    }
}

TEST(writer, dictionary_holds_only_what_is_used)
{
    static const uint32_t offsets[] = {0, 1, 2, 3, 4, 5};
    const Vector dict = {.type = COLUMN_STRING,
                         .row_count = 5,
                         .offsets = offsets,
                         .bytes = (const uint8_t *)"edcba"};
    static const uint32_t codes[] = {3, 1, 3};
    static const uint32_t ends[] = {10, 20, 30};
    const Vector items = {
        .type = COLUMN_STRING, .form = VECTOR_DICT, .row_count = 3, .codes = codes, .dict = &dict};
    const Vector runs = {.type = COLUMN_STRING,
                         .form = VECTOR_RUNS,
                         .row_count = 30,
                         .run_count = 3,
                         .run_ends = ends,
                         .runs = &items};
    const ParquetColumnOptions column = {.dictionary = PARQUET_DICTIONARY_ALWAYS};
    ParquetWriterOptions options = defaults;
    options.columns = &column;
    const Batch batch = written_batch_of(t, runs, false);
    Err err = {0};
    Written w;
    written_open(t, &batch, 1, &options, &w);
    const ParquetColumnChunk *chunk = written_chunk(&w, 0, 0);
    CHECK(chunk->dictionary_page_offset != 0);
    CHECK_EQ(chunk->statistics.distinct_count, 2);
    Bytes in = {.ptr = w.bytes.ptr + chunk->dictionary_page_offset, .len = 200};
    ParquetPageHeader header = {0};
    CHECK_OK(parquet_decode_page_header(&in, &header, &err));
    CHECK_EQ(header.value_count, 2);
    written_check_rows(t, &w, &batch, 1);
    written_close(&w);
}

// A label that is the same all over a row group costs a few dozen bytes per page, not more.
TEST(writer, constant_label_costs_next_to_nothing)
{
    const Vector v = vector_constant_str(COLUMN_STRING, STR("http_requests_total"),
                                         PARQUET_ROW_GROUP_ROWS_MAX, &t->arena);
    const Batch batch = written_batch_of(t, v, true);
    Written w;
    written_open(t, &batch, 1, &defaults, &w);
    CHECK(written_chunk(&w, 0, 0)->compressed_bytes < 64 * 64);
    written_check_rows(t, &w, &batch, 1);
    written_close(&w);
}

// ---- choice of encoding

static Vector doubles(Test *t, const double *v, uint32_t count)
{
    double *data = arena_new(&t->arena, double, count);
    memcpy(data, v, count * sizeof(*v));
    return (Vector){.type = COLUMN_DOUBLE, .row_count = count, .data = data};
}

typedef enum Series { STEPS, CENTS, NOISE, CONSTANT_SERIES } Series;

static Vector series(Test *t, Series kind, uint32_t count)
{
    double *data = arena_new(&t->arena, double, count);
    double state = 70000;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t r = test_random(t);
        switch (kind) {
        case STEPS:
            state += (double)(r % 11);
            data[i] = state;
            break;
        case CENTS:
            state += (double)(r % 201) - 100;
            data[i] = state / 100;
            break;
        case NOISE:
            data[i] = sqrt((double)(r >> 11));
            break;
        case CONSTANT_SERIES:
            data[i] = 4096.5;
            break;
        }
    }
    return (Vector){.type = COLUMN_DOUBLE, .row_count = count, .data = data};
}

// Bytes per row are those of docs/formats/parquet.md, with a little room.
TEST(writer, doubles_take_the_encoding_that_suits_them)
{
    static const struct {
        const char *why;
        Series kind;
        ParquetEncoding encoding;
        double bytes_per_row_max;
    } cases[] = {
        {"counter", STEPS, PARQUET_BYTE_STREAM_SPLIT, 1.2},
        {"two decimals", CENTS, PARQUET_RLE_DICTIONARY, 2.3},
        {"full mantissa", NOISE, PARQUET_BYTE_STREAM_SPLIT, 7.2},
        {"constant", CONSTANT_SERIES, PARQUET_RLE_DICTIONARY, 0.01},
    };
    enum { ROWS = 12 * PARQUET_PAGE_ROWS };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const Batch batch = written_batch_of(t, series(t, cases[i].kind, ROWS), false);
        Written w;
        written_open(t, &batch, 1, &defaults, &w);
        const ParquetColumnChunk *chunk = written_chunk(&w, 0, 0);
        if ((chunk->encodings & 1u << cases[i].encoding) == 0 ||
            (double)chunk->compressed_bytes > cases[i].bytes_per_row_max * ROWS) {
            test_fail(t, __FILE__, __LINE__, "%s: encodings %x, %.3f bytes a row", cases[i].why,
                      chunk->encodings, (double)chunk->compressed_bytes / ROWS);
        }
        written_check_rows(t, &w, &batch, 1);
        written_close(&w);
    }
}

// Metrics of every kind follow each other in one chunk: each page gets what suits it.
TEST(writer, pages_of_one_chunk_may_differ_in_encoding)
{
    enum { PAGES_EACH = 4, ROWS_EACH = PAGES_EACH * PARQUET_PAGE_ROWS };
    static const Series kinds[] = {STEPS, CENTS, NOISE, CENTS, CONSTANT_SERIES};
    static const ParquetEncoding encodings[] = {PARQUET_BYTE_STREAM_SPLIT, PARQUET_RLE_DICTIONARY,
                                                PARQUET_BYTE_STREAM_SPLIT, PARQUET_RLE_DICTIONARY,
                                                PARQUET_RLE_DICTIONARY};
    double *data = arena_new(&t->arena, double, ARRAY_LEN(kinds) * ROWS_EACH);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const Vector part = series(t, kinds[i], ROWS_EACH);
        memcpy(data + i * ROWS_EACH, part.data, ROWS_EACH * sizeof(*data));
    }
    const Batch batch = written_batch_of(
        t, (Vector){.type = COLUMN_DOUBLE, .row_count = ARRAY_LEN(kinds) * ROWS_EACH, .data = data},
        false);
    const ParquetColumnOptions column = {.bloom = true};
    ParquetWriterOptions options = defaults;
    options.columns = &column;
    Err err = {0};
    Written w;
    ParquetOffsetIndex index;
    written_open(t, &batch, 1, &options, &w);
    written_offset_index(t, &w, written_chunk(&w, 0, 0), &index);
    CHECK_EQ(index.page_count, ARRAY_LEN(kinds) * PAGES_EACH);
    for (uint32_t page = 0; page < index.page_count; page++) {
        Bytes in = {.ptr = w.bytes.ptr + index.pages[page].offset,
                    .len = (size_t)index.pages[page].compressed_bytes};
        ParquetPageHeader header = {0};
        CHECK_OK(parquet_decode_page_header(&in, &header, &err));
        CHECK_EQ(header.encoding, encodings[page / PAGES_EACH]);
    }
    CHECK(!written_chunk(&w, 0, 0)->statistics.has_distinct_count);
    CHECK_EQ(written_chunk(&w, 0, 0)->encodings, 1u << PARQUET_PLAIN | // of the dictionary
                                                     1u << PARQUET_BYTE_STREAM_SPLIT |
                                                     1u << PARQUET_RLE_DICTIONARY);
    // The filter has the values of all pages, not only of those with a dictionary.
    for (uint32_t row = 0; row < batch.row_count; row += 1009) {
        const ParquetValue value = {.f64 = data[row]};
        bool may = false;
        CHECK_OK(parquet_reader_may_contain(w.reader, 0, 0, &value, &may, &err));
        CHECK(may);
    }
    written_check_rows(t, &w, &batch, 1);
    written_close(&w);
}

// From level 4 on, codes of a walk are written as runs of one, which zstd can make smaller.
TEST(writer, high_levels_write_codes_as_runs_of_one)
{
    enum { ROWS = 12 * PARQUET_PAGE_ROWS };
    const Batch batch = written_batch_of(t, series(t, CENTS, ROWS), false);
    int64_t bytes[2] = {0};
    for (int i = 0; i < 2; i++) {
        ParquetWriterOptions options = defaults;
        options.zstd_level = 3 + i;
        Err err = {0};
        Written w;
        ParquetOffsetIndex index;
        ParquetPageHeader header = {0};
        written_open(t, &batch, 1, &options, &w);
        written_check_rows(t, &w, &batch, 1);
        bytes[i] = written_chunk(&w, 0, 0)->compressed_bytes;
        written_offset_index(t, &w, written_chunk(&w, 0, 0), &index);
        Bytes in = {.ptr = w.bytes.ptr + index.pages[0].offset,
                    .len = (size_t)index.pages[0].compressed_bytes};
        CHECK_OK(parquet_decode_page_header(&in, &header, &err));
        CHECK_EQ(header.encoding, PARQUET_RLE_DICTIONARY);
        // The width, and four bytes for each run.
        CHECK_EQ(header.uncompressed_bytes == 1 + 4 * PARQUET_PAGE_ROWS, i == 1);
        written_close(&w);
    }
    CHECK(bytes[1] < bytes[0] - bytes[0] / 25); // the dictionary included
}

// Ports: packed codes, of which zstd would save little. Files that are not cold keep them as they
// are, behind the header of a zstd frame; cold ones take whatever is smaller.
TEST(writer, whole_numbers_are_not_compressed_for_little)
{
    enum { ROWS = 12 * PARQUET_PAGE_ROWS, PORTS = 3000, FRAME_BYTES_MAX = 64 };
    int64_t *data = arena_new(&t->arena, int64_t, ROWS);
    for (int i = 0; i < ROWS; i++) {
        const uint64_t a = test_random(t) % PORTS; // small ones more often: zstd saves some bits
        const uint64_t b = test_random(t) % PORTS;
        data[i] = 32768 + (int64_t)(a * b / PORTS);
    }
    const Batch batch =
        written_batch_of(t, (Vector){.type = COLUMN_INT64, .row_count = ROWS, .data = data}, false);
    for (int level = 1; level <= 4; level += 3) {
        ParquetWriterOptions options = defaults;
        options.zstd_level = level;
        Err err = {0};
        Written w;
        ParquetOffsetIndex index;
        ParquetPageHeader header = {0};
        written_open(t, &batch, 1, &options, &w);
        const ParquetColumnChunk *chunk = written_chunk(&w, 0, 0);
        written_offset_index(t, &w, chunk, &index);
        Bytes in = {.ptr = w.bytes.ptr + index.pages[1].offset,
                    .len = (size_t)index.pages[1].compressed_bytes};
        CHECK_OK(parquet_decode_page_header(&in, &header, &err));
        const int32_t saved = header.uncompressed_bytes - header.compressed_bytes;
        CHECK_EQ(saved > 0, level == 4);
        CHECK(saved > -FRAME_BYTES_MAX);
        CHECK((chunk->encodings & 1u << PARQUET_RLE_DICTIONARY) != 0 || level == 4);
        written_check_rows(t, &w, &batch, 1);
        written_close(&w);
    }
}

TEST(writer, regular_timestamps_are_deltas_and_nearly_free)
{
    enum { ROWS = 5 * PARQUET_PAGE_ROWS };
    int64_t *data = arena_new(&t->arena, int64_t, ROWS);
    for (int i = 0; i < ROWS; i++) {
        data[i] = INT64_C(1700000000000000) + (int64_t)(i % 5760) * 15000000;
    }
    const Batch batch = written_batch_of(
        t, (Vector){.type = COLUMN_TIMESTAMP, .row_count = ROWS, .data = data}, false);
    Written w;
    written_open(t, &batch, 1, &defaults, &w);
    CHECK((written_chunk(&w, 0, 0)->encodings & 1u << PARQUET_DELTA_BINARY_PACKED) != 0);
    CHECK(written_chunk(&w, 0, 0)->compressed_bytes < ROWS / 20);
    written_close(&w);
}

// Values that all fall on one slot of a hash table must not make a file take hours.
TEST(writer, values_chosen_to_collide_do_no_harm)
{
    enum { ROWS = 4 * PARQUET_PAGE_ROWS };
    // (key ^ key >> 32) * C has its low 42 bits zero: undo the product, then the shift.
    uint64_t inverse = 1; // of C modulo 2^64, by Newton's iteration
    for (int i = 0; i < 6; i++) {
        inverse *= 2 - UINT64_C(0x9e3779b97f4a7c15) * inverse;
    }
    uint64_t *data = arena_new(&t->arena, uint64_t, ROWS);
    for (uint64_t i = 0; i < ROWS; i++) {
        const uint64_t y = (i / 2 << 42) * inverse;
        data[i] = y ^ y >> 32;
    }
    const ParquetColumnOptions column = {.dictionary = PARQUET_DICTIONARY_ALWAYS};
    ParquetWriterOptions options = defaults;
    options.columns = &column;
    const Batch batch = written_batch_of(
        t, (Vector){.type = COLUMN_UINT64, .row_count = ROWS, .data = data}, false);
    Written w;
    written_open(t, &batch, 1, &options, &w);
    CHECK((written_chunk(&w, 0, 0)->encodings & 1u << PARQUET_RLE_DICTIONARY) == 0);
    written_check_rows(t, &w, &batch, 1);
    written_close(&w);
}

// ---- statistics

// The naive way: every row on its own.
typedef struct Bounds {
    bool has, nan;
    int64_t null_count;
    Str min, max;       // texts
    double low, high;   // floating
    int64_t from, upto; // integers; UINT64 as its bits
} Bounds;

static int compare_text(Str a, Str b)
{
    const size_t n = a.len < b.len ? a.len : b.len;
    const int order = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int64_t load_integer(const Vector *flat, uint32_t i)
{
    const void *p = flat->data;
    switch (flat->type) {
    case COLUMN_BOOL:
    case COLUMN_UINT8:
        return ((const uint8_t *)p)[i];
    case COLUMN_INT8:
        return ((const int8_t *)p)[i];
    case COLUMN_INT16:
        return ((const int16_t *)p)[i];
    case COLUMN_UINT16:
        return ((const uint16_t *)p)[i];
    case COLUMN_INT32:
    case COLUMN_DATE:
        return ((const int32_t *)p)[i];
    case COLUMN_UINT32:
        return ((const uint32_t *)p)[i];
    case COLUMN_INT64:
    case COLUMN_UINT64:
    case COLUMN_TIMESTAMP:
        return ((const int64_t *)p)[i];
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
    case COLUMN_STRING:
    case COLUMN_BINARY:
    case COLUMN_UUID:
    case COLUMN_MAP:
        break;
    }
    UNREACHABLE();
}

static bool integer_less(ColumnType type, int64_t a, int64_t b)
{
    return type == COLUMN_UINT64 ? (uint64_t)a < (uint64_t)b : a < b;
}

static void add_row(Bounds *b, const Vector *flat, uint32_t i)
{
    if (flat->type == COLUMN_DOUBLE || flat->type == COLUMN_FLOAT) {
        const double v = flat->type == COLUMN_DOUBLE ? ((const double *)flat->data)[i]
                                                     : (double)((const float *)flat->data)[i];
        if (v != v) {
            b->nan = true;
            return;
        }
        b->low = !b->has || v < b->low ? v : b->low;
        b->high = !b->has || v > b->high ? v : b->high;
    } else if (column_type_size(flat->type) == 0 || flat->type == COLUMN_UUID) {
        const Str s = flat->type == COLUMN_UUID
                          ? (Str){.ptr = (const char *)flat->data + (size_t)i * 16, .len = 16}
                          : vector_flat_str(flat, i);
        b->min = !b->has || compare_text(s, b->min) < 0 ? s : b->min;
        b->max = !b->has || compare_text(s, b->max) > 0 ? s : b->max;
    } else {
        const int64_t v = load_integer(flat, i);
        b->from = !b->has || integer_less(flat->type, v, b->from) ? v : b->from;
        b->upto = !b->has || integer_less(flat->type, b->upto, v) ? v : b->upto;
    }
    b->has = true;
}

static Bounds naive_bounds(const Vector *v, uint32_t from, uint32_t count)
{
    Bounds b = {0};
    for (uint32_t row = from; row < from + count; row++) {
        const Vector *flat = NULL;
        uint32_t index = 0;
        if (vector_locate(v, row, &flat, &index)) {
            add_row(&b, flat, index);
        } else {
            b.null_count++;
        }
    }
    return b;
}

// Stored bounds are the naive ones, bit by bit.
static void check_bounds(Test *t, ColumnType type, const Bounds *want, Bytes min, Bytes max)
{
    if (type == COLUMN_DOUBLE) {
        double got[2];
        CHECK_EQ(min.len, 8);
        memcpy(&got[0], min.ptr, 8);
        memcpy(&got[1], max.ptr, 8);
        CHECK(got[0] == want->low && got[1] == want->high);
        CHECK(want->low != 0 || signbit(got[0]));
        CHECK(want->high != 0 || !signbit(got[1]));
    } else if (type == COLUMN_FLOAT) {
        float got[2];
        CHECK_EQ(min.len, 4);
        memcpy(&got[0], min.ptr, 4);
        memcpy(&got[1], max.ptr, 4);
        CHECK((double)got[0] == want->low && (double)got[1] == want->high);
    } else if (column_type_size(type) == 0 || type == COLUMN_UUID) {
        CHECK(compare_text((Str){.ptr = (const char *)min.ptr, .len = min.len}, want->min) == 0);
        CHECK(compare_text((Str){.ptr = (const char *)max.ptr, .len = max.len}, want->max) == 0);
    } else {
        uint64_t got[2] = {0};
        const size_t size = type == COLUMN_BOOL ? 1 : column_type_size(type) <= 4 ? 4 : 8;
        CHECK_EQ(min.len, size);
        memcpy(&got[0], min.ptr, size);
        memcpy(&got[1], max.ptr, size);
        const uint64_t mask = size == 8 ? UINT64_MAX : (UINT64_C(1) << (8 * size)) - 1;
        CHECK(got[0] == ((uint64_t)want->from & mask) && got[1] == ((uint64_t)want->upto & mask));
    }
}

static void check_page_bounds(Test *t, const Written *w, const Vector *v)
{
    ParquetColumnIndex index;
    written_column_index(t, w, written_chunk(w, 0, 0), &index);
    CHECK_EQ(index.page_count, (v->row_count + PARQUET_PAGE_ROWS - 1) / PARQUET_PAGE_ROWS);
    for (uint32_t page = 0; page < index.page_count; page++) {
        const uint32_t from = page * PARQUET_PAGE_ROWS;
        const uint32_t left = v->row_count - from;
        const Bounds want =
            naive_bounds(v, from, left < PARQUET_PAGE_ROWS ? left : PARQUET_PAGE_ROWS);
        CHECK_EQ(index.null_counts[page], want.null_count);
        CHECK_EQ(index.null_pages[page], !want.has);
        if (want.has) {
            check_bounds(t, v->type, &want, index.min[page], index.max[page]);
        }
    }
}

TEST(writer, statistics_are_exact_for_all_types_and_forms)
{
    for (size_t i = 0; i < COLUMN_MAP * 3 * 5; i++) {
        const VectorGen gen = {.type = (ColumnType)(i / 15),
                               .form = (VectorForm)(i / 5 % 3),
                               .shape = (VectorShape)(i % 5),
                               .row_count = 2 * PARQUET_PAGE_ROWS + 300,
                               .null_one_in = (uint32_t)(test_random(t) % 3),
                               .no_nan = true};
        const Batch batch = written_batch(t, &gen);
        const Bounds want = naive_bounds(batch.columns, 0, batch.row_count);
        Written w;
        written_open(t, &batch, 1, &defaults, &w);
        const ParquetStatistics *s = &written_chunk(&w, 0, 0)->statistics;
        CHECK(s->has_null_count && s->null_count == want.null_count);
        CHECK(s->has_min == want.has && s->has_max == want.has);
        CHECK_EQ(w.summary.columns[0].null_count, want.null_count);
        if (want.has) {
            CHECK(s->min_exact && s->max_exact);
            check_bounds(t, gen.type, &want, s->min, s->max);
            const bool finite = gen.type != COLUMN_DOUBLE && gen.type != COLUMN_FLOAT
                                    ? true
                                    : isfinite(want.low) && isfinite(want.high);
            CHECK_EQ(w.summary.columns[0].has_minmax, finite);
            if (finite) {
                check_bounds(t, gen.type, &want, w.summary.columns[0].min,
                             w.summary.columns[0].max);
            }
        }
        check_page_bounds(t, &w, batch.columns);
        written_close(&w);
    }
}

TEST(writer, a_column_with_nan_has_no_bounds)
{
    static const double v[] = {1, 2, (double)NAN, 3};
    const Batch batch = written_batch_of(t, doubles(t, v, ARRAY_LEN(v)), false);
    Written w;
    written_open(t, &batch, 1, &defaults, &w);
    const ParquetColumnChunk *chunk = written_chunk(&w, 0, 0);
    CHECK(!chunk->statistics.has_min && !chunk->statistics.has_max);
    CHECK_EQ(chunk->column_index_offset, 0);
    CHECK(chunk->offset_index_offset != 0);
    CHECK(!w.summary.columns[0].has_minmax);
    written_close(&w);
}

TEST(writer, a_nan_in_one_row_group_takes_the_bounds_of_the_file)
{
    static const double good[] = {1, 2};
    static const double bad[] = {(double)NAN, 7};
    const Batch batches[] = {written_batch_of(t, doubles(t, good, 2), false),
                             written_batch_of(t, doubles(t, bad, 2), false)};
    Written w;
    written_open(t, batches, 2, &defaults, &w);
    CHECK(written_chunk(&w, 0, 0)->statistics.has_min);
    CHECK(!written_chunk(&w, 1, 0)->statistics.has_min);
    CHECK(!w.summary.columns[0].has_minmax);
    written_close(&w);
}

TEST(writer, infinities_are_bounds_in_the_file_but_not_in_the_summary)
{
    static const double v[] = {1, (double)INFINITY};
    const Batch batch = written_batch_of(t, doubles(t, v, 2), false);
    Written w;
    written_open(t, &batch, 1, &defaults, &w);
    CHECK(written_chunk(&w, 0, 0)->statistics.has_max);
    CHECK(!w.summary.columns[0].has_minmax);
    written_close(&w);
}

TEST(writer, summary_covers_all_row_groups)
{
    static const double a[] = {5, 6};
    static const double b[] = {-3, 1};
    static const double c[] = {2, 90};
    const Batch batches[] = {written_batch_of(t, doubles(t, a, 2), false),
                             written_batch_of(t, doubles(t, b, 2), false),
                             written_batch_of(t, doubles(t, c, 2), false)};
    Written w;
    written_open(t, batches, 3, &defaults, &w);
    double got[2];
    CHECK(w.summary.columns[0].has_minmax);
    memcpy(&got[0], w.summary.columns[0].min.ptr, 8);
    memcpy(&got[1], w.summary.columns[0].max.ptr, 8);
    CHECK(got[0] == -3 && got[1] == 90);
    CHECK_EQ(w.summary.row_count, 6);
    written_close(&w);
}

// The summary owns its bounds: a batch may be gone when the file is finished.
TEST(writer, summary_does_not_point_into_batches)
{
    static const uint32_t offsets[] = {0, 3, 6};
    uint8_t bytes[6];
    const Vector v = {.type = COLUMN_STRING, .row_count = 2, .offsets = offsets, .bytes = bytes};
    const Batch batch = written_batch_of(t, v, false);
    Err err = {0};
    OsSim *sim = os_sim_new(1);
    OsFile *file = NULL;
    ParquetWriter *writer = NULL;
    ParquetFileSummary summary;
    CHECK_OK(os_file_open(os_sim_os(sim), STR("f"), OS_OPEN_CREATE_NEW, &file, &err));
    CHECK_OK(parquet_writer_new(file, batch.schema, &defaults, &writer, &err));
    memcpy(bytes, "abcxyz", sizeof(bytes));
    CHECK_OK(parquet_writer_row_group(writer, &batch, &err));
    memcpy(bytes, "lmnopq", sizeof(bytes));
    CHECK_OK(parquet_writer_row_group(writer, &batch, &err));
    memset(bytes, 0, sizeof(bytes));
    CHECK_OK(parquet_writer_finish(writer, &t->arena, &summary, &err));
    parquet_writer_free(writer);
    os_file_close(file);
    os_sim_free(sim);
    const ParquetColumnSummary *c = &summary.columns[0];
    CHECK_STR(((Str){.ptr = (const char *)c->min.ptr, .len = c->min.len}), STR("abc"));
    CHECK_STR(((Str){.ptr = (const char *)c->max.ptr, .len = c->max.len}), STR("xyz"));
}

TEST(writer, no_minmax_leaves_bounds_out)
{
    const ParquetColumnOptions column = {.no_minmax = true};
    ParquetWriterOptions options = defaults;
    options.columns = &column;
    const Batch batch =
        written_batch(t, &(VectorGen){.type = COLUMN_INT64, .shape = SHAPE_WALK, .row_count = 99});
    Written w;
    written_open(t, &batch, 1, &options, &w);
    CHECK(!written_chunk(&w, 0, 0)->statistics.has_min);
    CHECK(written_chunk(&w, 0, 0)->statistics.has_null_count);
    CHECK_EQ(written_chunk(&w, 0, 0)->column_index_offset, 0);
    written_close(&w);
}

// Long texts are cut in the file; whole in the summary.
TEST(writer, long_texts_are_cut_to_bounds)
{
    for (int is_text = 0; is_text < 2; is_text++) {
        for (int round = 0; round < 20; round++) {
            const VectorGen gen = {.type = is_text ? COLUMN_STRING : COLUMN_BINARY,
                                   .form = (VectorForm)(round % 3),
                                   .shape = SHAPE_LONG,
                                   .row_count = 3000};
            const Batch batch = written_batch(t, &gen);
            const Bounds want = naive_bounds(batch.columns, 0, batch.row_count);
            Written w;
            written_open(t, &batch, 1, &defaults, &w);
            const ParquetStatistics *s = &written_chunk(&w, 0, 0)->statistics;
            const Str min = {.ptr = (const char *)s->min.ptr, .len = s->min.len};
            const Str max = {.ptr = (const char *)s->max.ptr, .len = s->max.len};
            CHECK(compare_text(min, want.min) <= 0 && compare_text(max, want.max) >= 0);
            CHECK_EQ(s->min_exact, compare_text(min, want.min) == 0);
            CHECK_EQ(s->max_exact, compare_text(max, want.max) == 0);
            ParquetColumnIndex index;
            written_column_index(t, &w, written_chunk(&w, 0, 0), &index);
            CHECK(index.min[0].len <= 64 && index.max[0].len <= 64);
            check_bounds(t, gen.type, &want, w.summary.columns[0].min, w.summary.columns[0].max);
            written_close(&w);
        }
    }
}

TEST(writer, boundary_order_says_how_pages_follow)
{
    static const struct {
        const char *why;
        int64_t first[3];
        ParquetBoundaryOrder order;
    } cases[] = {
        {"ascending", {-5, 0, 7}, PARQUET_ASCENDING},
        {"descending", {7, 0, -5}, PARQUET_DESCENDING},
        {"neither", {0, 7, -5}, PARQUET_UNORDERED},
        {"all equal", {7, 7, 7}, PARQUET_ASCENDING},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t *data = arena_new(&t->arena, int64_t, 3 * PARQUET_PAGE_ROWS);
        for (int row = 0; row < 3 * PARQUET_PAGE_ROWS; row++) {
            data[row] = cases[i].first[row / PARQUET_PAGE_ROWS];
        }
        const Vector v = {.type = COLUMN_INT64, .row_count = 3 * PARQUET_PAGE_ROWS, .data = data};
        const Batch batch = written_batch_of(t, v, false);
        Written w;
        ParquetColumnIndex index;
        written_open(t, &batch, 1, &defaults, &w);
        written_column_index(t, &w, written_chunk(&w, 0, 0), &index);
        CHECK_EQ(index.order, cases[i].order);
        written_close(&w);
    }
}

// ---- bloom filters, sorting

TEST(writer, bloom_filters_know_every_value)
{
    const ParquetColumnOptions column = {.bloom = true};
    ParquetWriterOptions options = defaults;
    options.columns = &column;
    for (uint32_t form = VECTOR_FLAT; form <= VECTOR_RUNS; form++) {
        const VectorGen gen = {.type = COLUMN_STRING,
                               .form = (VectorForm)form,
                               .shape = SHAPE_WALK,
                               .row_count = 20000,
                               .null_one_in = 10};
        const Batch batch = written_batch(t, &gen);
        Err err = {0};
        Written w;
        written_open(t, &batch, 1, &options, &w);
        CHECK(written_chunk(&w, 0, 0)->bloom_offset != 0);
        for (uint32_t row = 0; row < batch.row_count; row += 7) {
            const Vector *flat = NULL;
            uint32_t i = 0;
            if (!vector_locate(batch.columns, row, &flat, &i)) {
                continue;
            }
            const Str s = vector_flat_str(flat, i);
            const ParquetValue value = {.bytes = {.ptr = (const uint8_t *)s.ptr, .len = s.len}};
            bool may = false;
            CHECK_OK(parquet_reader_may_contain(w.reader, 0, 0, &value, &may, &err));
            CHECK(may);
        }
        int wrong = 0;
        for (uint32_t i = 0; i < 2000; i++) {
            const ParquetValue value = {.bytes = {.ptr = (const uint8_t *)&i, .len = sizeof(i)}};
            bool may = false;
            CHECK_OK(parquet_reader_may_contain(w.reader, 0, 0, &value, &may, &err));
            wrong += may;
        }
        CHECK(wrong < 60); // 1 % is asked for
        written_close(&w);
    }
}

TEST(writer, sorting_columns_name_leaves)
{
    const Field fields[] = {{STR("m"), COLUMN_MAP, false},
                            {STR("a"), COLUMN_INT32, false},
                            {STR("b"), COLUMN_INT32, false}};
    const Schema schema = {.fields = fields, .count = 3};
    Vector columns[3];
    for (size_t i = 0; i < 3; i++) {
        columns[i] =
            vector_gen(&t->rng, &(VectorGen){.type = fields[i].type, .row_count = 10}, &t->arena);
    }
    const ParquetSortingColumn sorting[] = {{.column = 2}, {.column = 1, .descending = true}};
    ParquetWriterOptions options = defaults;
    options.sorting = sorting;
    options.sorting_count = 2;
    const Batch batch = {.schema = &schema, .columns = columns, .row_count = 10};
    Written w;
    written_open(t, &batch, 1, &options, &w);
    const ParquetRowGroup *group = &parquet_reader_meta(w.reader)->row_groups[0];
    CHECK_EQ(group->sorting_count, 2);
    CHECK_EQ(group->sorting[0].column, 3); // the map is leaves 0 and 1
    CHECK_EQ(group->sorting[1].column, 2);
    CHECK(!group->sorting[0].descending && group->sorting[1].descending);
    CHECK(parquet_reader_meta(w.reader)->has_column_orders);
    written_close(&w);
}

// ---- failures

static Status write_once(Os *os, const Batch *batch, Arena *arena, Err *err)
{
    Status st = OK;
    OsFile *file = NULL;
    ParquetWriter *writer = NULL;
    ParquetFileSummary summary = {0};
    TRY_OUT(os_file_open(os, STR("f"), OS_OPEN_CREATE, &file, err));
    TRY_OUT(parquet_writer_new(file, batch->schema, &defaults, &writer, err));
    TRY_OUT(parquet_writer_row_group(writer, batch, err));
    TRY_OUT(parquet_writer_finish(writer, arena, &summary, err));
out:
    parquet_writer_free(writer);
    os_file_close(file);
    return st;
}

TEST(writer, every_failing_call_is_reported)
{
    const Batch batch = written_batch(
        t, &(VectorGen){.type = COLUMN_DOUBLE, .shape = SHAPE_RANDOM, .row_count = 300000});
    OsSim *sim = os_sim_new(1);
    OsFault *fault = os_fault_new(os_sim_os(sim));
    uint64_t n = 1;
    for (bool passed = false; !passed; n++) {
        Err err = {0};
        os_fault_arm(fault, (OsFaultPlan){.fail_at = n, .os_errno = 5});
        const Status st = write_once(os_fault_os(fault), &batch, &t->arena, &err);
        passed = !os_fault_hit(fault);
        CHECK_EQ(st, passed ? OK : ERR_IO);
    }
    CHECK(n > 4); // open, at least one write in between, the last write, sync
    os_fault_free(fault);
    os_sim_free(sim);
}

TEST(writer, refuses_what_it_cannot_write)
{
    Err err = {0};
    OsSim *sim = os_sim_new(1);
    OsFile *file = NULL;
    ParquetWriter *writer = NULL;
    ParquetFileSummary summary;
    CHECK_OK(os_file_open(os_sim_os(sim), STR("f"), OS_OPEN_CREATE_NEW, &file, &err));
    Batch batch =
        written_batch(t, &(VectorGen){.type = COLUMN_INT64, .row_count = 100, .null_one_in = 3});
    const ParquetSortingColumn sorting = {.column = 1};
    ParquetWriterOptions options = defaults;
    options.sorting = &sorting;
    options.sorting_count = 1;
    CHECK_EQ(parquet_writer_new(file, batch.schema, &options, &writer, &err), ERR_INVALID);
    CHECK(writer == NULL);
    const Schema empty = {0};
    CHECK_EQ(parquet_writer_new(file, &empty, &defaults, &writer, &err), ERR_INVALID);

    const Batch strict = written_batch_of(t, batch.columns[0], false);
    CHECK_OK(parquet_writer_new(file, strict.schema, &defaults, &writer, &err));
    const Batch none = {.schema = strict.schema, .columns = strict.columns, .row_count = 0};
    CHECK_EQ(parquet_writer_row_group(writer, &none, &err), ERR_INVALID);
    const Batch large = {.schema = strict.schema,
                         .columns = strict.columns,
                         .row_count = PARQUET_ROW_GROUP_ROWS_MAX + 1};
    CHECK_EQ(parquet_writer_row_group(writer, &large, &err), ERR_INVALID);
    CHECK_EQ(parquet_writer_row_group(writer, &strict, &err), ERR_INVALID);
    CHECK_STR(((Str){.ptr = err.msg, .len = strlen(err.msg)}),
              STR("column 'c': null in a column that is not nullable"));
    // After a failure the file is lost.
    CHECK_EQ(parquet_writer_finish(writer, &t->arena, &summary, &err), ERR_INVALID);
    parquet_writer_free(writer);
    os_file_close(file);
    os_sim_free(sim);
}

TEST(writer, refuses_a_null_map_or_key_in_a_column_that_is_not_nullable)
{
    static const uint32_t offsets[] = {0, 1, 2};
    static const uint32_t text_offsets[] = {0, 1, 2};
    static const uint64_t second_null[] = {1};
    Vector keys = {.type = COLUMN_STRING,
                   .row_count = 2,
                   .offsets = text_offsets,
                   .bytes = (const uint8_t *)"ab"};
    const Vector values = keys;
    Vector maps = {.type = COLUMN_MAP,
                   .row_count = 2,
                   .offsets = offsets,
                   .keys = &keys,
                   .values = &values,
                   .validity = second_null};
    Err err = {0};
    Batch batch = written_batch_of(t, maps, false);
    OsSim *sim = os_sim_new(1);
    CHECK_EQ(write_once(os_sim_os(sim), &batch, &t->arena, &err), ERR_INVALID);
    maps.validity = NULL;
    keys.validity = second_null;
    batch = written_batch_of(t, maps, false);
    CHECK_EQ(write_once(os_sim_os(sim), &batch, &t->arena, &err), ERR_INVALID);
    os_sim_free(sim);
}
