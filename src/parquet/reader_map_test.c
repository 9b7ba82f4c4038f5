// SPDX-License-Identifier: Apache-2.0
//
// Maps made by hand: rows cut between pages, keys in any order, levels that do not fit.
#include "parquet/reader_test_internal.h"

static const Bytes nothing = {0};

// Rows as text, "k=v," per entry and ";" per row, become the pages of two leaves. A value "N" is
// null, a row "N" a null map. `cut` entries are in the first page; 0: all in one.
typedef struct MapPage {
    Buf rep, def, values;
    int32_t count;
} MapPage;

static void map_level(MapPage *p, bool is_first, uint8_t def)
{
    // Each level is a run of one, which any number may follow.
    buf_put_u8(&p->rep, 2);
    buf_put_u8(&p->rep, is_first ? 0 : 1);
    buf_put_u8(&p->def, 2);
    buf_put_u8(&p->def, def);
    p->count++;
}

static void map_page(Made *m, uint32_t leaf, MapPage *p)
{
    Buf body;
    buf_init(&body, 0);
    buf_put_u32le(&body, (uint32_t)p->rep.len);
    buf_put(&body, p->rep.ptr, p->rep.len);
    buf_put_u32le(&body, (uint32_t)p->def.len);
    buf_put(&body, p->def.ptr, p->def.len);
    buf_put(&body, p->values.ptr, p->values.len);
    made_page(m, leaf,
              (ParquetPageHeader){.type = PARQUET_DATA_PAGE,
                                  .value_count = p->count,
                                  .def_encoding = PARQUET_RLE,
                                  .rep_encoding = PARQUET_RLE},
              buf_bytes(&body));
    buf_deinit(&body);
    buf_deinit(&p->rep);
    buf_deinit(&p->def);
    buf_deinit(&p->values);
    *p = (MapPage){0};
}

static void map_leaf(Made *m, uint32_t leaf, Str rows, size_t cut)
{
    MapPage p = {0};
    Str row, entry, key, value;
    size_t entries = 0;
    while (str_cut(rows, ';', &row, &rows)) {
        bool is_first = true;
        if (row.len == 0 || str_eq(row, STR("N"))) {
            map_level(&p, true, row.len == 0 ? 1 : 0);
            continue;
        }
        while (str_cut(row, ',', &entry, &row)) {
            ASSERT(str_cut(entry, '=', &key, &value));
            const Str text = leaf == 0 ? key : value;
            const bool is_null = str_eq(text, STR("N"));
            map_level(&p, is_first, (uint8_t)(is_null ? 2 : leaf + 2));
            if (!is_null) {
                buf_put_u32le(&p.values, (uint32_t)text.len);
                buf_put_str(&p.values, text);
            }
            is_first = false;
            if (++entries == cut) {
                map_page(m, leaf, &p);
            }
        }
    }
    map_page(m, leaf, &p);
}

static void map_file(Test *t, Made *m, int64_t row_count, const Str rows[2], const size_t cuts[2])
{
    made_begin(t, m, row_count);
    made_element(m, &(ParquetSchemaElement){.name = STR("m"),
                                            .child_count = 1,
                                            .repetition = PARQUET_OPTIONAL,
                                            .converted = PARQUET_MAP});
    made_element(m, &(ParquetSchemaElement){.name = STR("whatever"),
                                            .child_count = 2,
                                            .repetition = PARQUET_REPEATED,
                                            .converted = PARQUET_CONVERTED_NONE});
    for (uint32_t leaf = 0; leaf < 2; leaf++) {
        made_element(m, &(ParquetSchemaElement){.name = leaf == 0 ? STR("k") : STR("v"),
                                                .has_type = true,
                                                .type = PARQUET_BYTE_ARRAY,
                                                .repetition =
                                                    leaf == 0 ? PARQUET_REQUIRED : PARQUET_OPTIONAL,
                                                .converted = PARQUET_UTF8});
    }
    for (uint32_t leaf = 0; leaf < 2; leaf++) {
        map_leaf(m, leaf, rows[leaf], cuts[leaf]);
    }
    made_finish(m);
}

TEST(reader_map, maps_are_sorted_and_the_last_of_a_key_counts)
{
    const Str rows = STR("b=1,a=2,;;N;a=1,a=2,;c=N,b=x,c=3,;d=N,;");
    const Str want = STR("{61:32,62:31},{},N,{61:32},{62:78,63:33},{64:N}");
    // Rows may be cut between pages anywhere, and differently for keys and values.
    for (size_t keys = 0; keys < 9; keys++) {
        for (size_t values = 0; values < 9; values++) {
            Made m;
            map_file(t, &m, 6, (const Str[]){rows, rows}, (const size_t[]){keys, values});
            CHECK_STR(made_read(&m, 0, 0, NULL), want);
            CHECK_STR(made_read(&m, 0, 1, NULL), want);
            CHECK_STR(made_read(&m, 0, 4, NULL), want);
            CHECK_STR(made_read_rows(&m, 0, (ParquetRowRange){.first = 2, .count = 3}),
                      STR("N,{61:32},{62:78,63:33}"));
        }
    }
}

// A page of a map's leaf whose levels are given: rep and def as runs of the hybrid.
static void map_page_of(Made *m, uint32_t leaf, int32_t count, ParquetEncoding encoding,
                        const Bytes parts[3])
{
    Buf body;
    buf_init(&body, 0);
    for (size_t i = 0; i < 2; i++) {
        buf_put_u32le(&body, (uint32_t)parts[i].len);
        buf_put(&body, parts[i].ptr, parts[i].len);
    }
    buf_put(&body, parts[2].ptr, parts[2].len);
    made_page(m, leaf,
              (ParquetPageHeader){.type = PARQUET_DATA_PAGE,
                                  .value_count = count,
                                  .encoding = encoding,
                                  .def_encoding = PARQUET_RLE,
                                  .rep_encoding = PARQUET_RLE},
              buf_bytes(&body));
    buf_deinit(&body);
}

static void map_schema(Made *m, ParquetRepetition key)
{
    const ParquetRepetition repetitions[2] = {key, PARQUET_REQUIRED};
    made_element(m, &(ParquetSchemaElement){.name = STR("m"),
                                            .child_count = 1,
                                            .converted = PARQUET_CONVERTED_NONE,
                                            .logical = PARQUET_LOGICAL_MAP});
    made_element(m, &(ParquetSchemaElement){.name = STR("key_value"),
                                            .child_count = 2,
                                            .repetition = PARQUET_REPEATED,
                                            .converted = PARQUET_CONVERTED_NONE});
    for (size_t i = 0; i < 2; i++) {
        made_element(m, &(ParquetSchemaElement){.name = STR("x"),
                                                .has_type = true,
                                                .type = PARQUET_BYTE_ARRAY,
                                                .repetition = repetitions[i],
                                                .converted = PARQUET_UTF8});
    }
}

TEST(reader_map, encoding_changes_within_a_map)
{
    // Two rows of two entries, each row a page; keys a, b and c, d, the first or the second coded.
    const Bytes levels[2] = {BYTES("\x03\x02"), BYTES("\x04\x01")}; // 0 1, and twice 1
    const Bytes coded = BYTES("\x01\x03\x02");
    const Bytes plain = BYTES("\x01\0\0\0x\x01\0\0\0y");
    for (size_t first = 0; first < 2; first++) {
        Made m;
        made_begin(t, &m, 2);
        map_schema(&m, PARQUET_REQUIRED);
        made_dictionary(&m, 0, 2, BYTES("\x01\0\0\0a\x01\0\0\0b"));
        for (size_t page = 0; page < 2; page++) {
            const bool is_coded = page == first;
            map_page_of(&m, 0, 2, is_coded ? PARQUET_RLE_DICTIONARY : PARQUET_PLAIN,
                        (const Bytes[]){levels[0], levels[1], is_coded ? coded : plain});
        }
        for (size_t page = 0; page < 2; page++) {
            map_page_of(&m, 1, 2, PARQUET_PLAIN, (const Bytes[]){levels[0], levels[1], plain});
        }
        made_finish(&m);
        const Str want =
            first == 0 ? STR("{61:78,62:79},{78:78,79:79}") : STR("{78:78,79:79},{61:78,62:79}");
        CHECK_STR(made_read(&m, 0, 0, NULL), want);
        CHECK_STR(made_read(&m, 0, 1, NULL), want);
    }
}

TEST(reader_map, a_map_key_that_is_null)
{
    Made m;
    made_begin(t, &m, 1);
    map_schema(&m, PARQUET_OPTIONAL); // a legacy file may say so, but not do so
    map_page_of(&m, 0, 1, PARQUET_PLAIN,
                (const Bytes[]){BYTES("\x02\0"), BYTES("\x02\x01"), nothing});
    map_page_of(&m, 1, 1, PARQUET_PLAIN,
                (const Bytes[]){BYTES("\x02\0"), BYTES("\x02\x01"), BYTES("\x01\0\0\0v")});
    made_finish(&m);
    CHECK(strstr(made_read(&m, 0, 0, NULL).ptr, "a map key is null") != NULL);
}

TEST(reader_map, a_map_that_begins_inside_a_row)
{
    Made m;
    made_begin(t, &m, 1);
    map_schema(&m, PARQUET_REQUIRED);
    for (uint32_t leaf = 0; leaf < 2; leaf++) {
        map_page_of(&m, leaf, 1, PARQUET_PLAIN,
                    (const Bytes[]){BYTES("\x02\x01"), BYTES("\x02\x01"), BYTES("\x01\0\0\0v")});
    }
    made_finish(&m);
    CHECK(strstr(made_read(&m, 0, 0, NULL).ptr, "map levels 1, 1 do not fit") != NULL);
}

TEST(reader_map, maps_that_are_none)
{
    static const struct {
        Str keys, values;
        const char *message;
    } cases[] = {
        {{"a=1,;b=1,;", 10}, {"a=1,b=1,;;", 10}, "keys and values of a map do not belong together"},
        {{"a=1,;b=1,;", 10}, {"a=1,;b=1,c=1,;", 14}, "do not belong together"},
        {{"a=1,;", 5}, {"a=1,;", 5}, "the chunk ends at row 1 of 2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Made m;
        map_file(t, &m, 2, (const Str[]){cases[i].keys, cases[i].values}, (const size_t[]){0, 0});
        const Str got = made_read(&m, 0, 0, NULL);
        if (strstr(got.ptr, cases[i].message) == NULL) {
            test_fail(t, __FILE__, __LINE__, "%s, want %s", got.ptr, cases[i].message);
        }
    }
}
