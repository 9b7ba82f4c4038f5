// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "os/sim.h"
#include "parquet/leaf.h"
#include "tests/support/test.h"

#define NAME(s)                                                                                    \
    {                                                                                              \
        .ptr = "" s, .len = sizeof(s) - 1                                                          \
    }

enum { LEAVES = 5, TEXT_MAX = 40 };

// a: optional group { flag: required boolean, tags: optional map }, n: required int64, list:
// repeated
static const ParquetSchemaElement schema[] = {
    {.name = NAME("root"), .child_count = 3, .converted = PARQUET_CONVERTED_NONE},
    {.name = NAME("a"),
     .child_count = 2,
     .repetition = PARQUET_OPTIONAL,
     .converted = PARQUET_CONVERTED_NONE},
    {.name = NAME("flag"),
     .has_type = true,
     .type = PARQUET_BOOLEAN,
     .converted = PARQUET_CONVERTED_NONE},
    {.name = NAME("tags"),
     .child_count = 1,
     .repetition = PARQUET_OPTIONAL,
     .converted = PARQUET_MAP,
     .logical = PARQUET_LOGICAL_MAP},
    {.name = NAME("key_value"),
     .child_count = 2,
     .repetition = PARQUET_REPEATED,
     .converted = PARQUET_CONVERTED_NONE},
    {.name = NAME("key"),
     .has_type = true,
     .type = PARQUET_BYTE_ARRAY,
     .converted = PARQUET_UTF8,
     .logical = PARQUET_LOGICAL_STRING},
    {.name = NAME("value"),
     .has_type = true,
     .type = PARQUET_BYTE_ARRAY,
     .repetition = PARQUET_OPTIONAL,
     .converted = PARQUET_UTF8,
     .logical = PARQUET_LOGICAL_STRING},
    {.name = NAME("n"),
     .has_type = true,
     .type = PARQUET_INT64,
     .converted = PARQUET_CONVERTED_NONE},
    {.name = NAME("list"),
     .has_type = true,
     .type = PARQUET_INT32,
     .repetition = PARQUET_REPEATED,
     .converted = PARQUET_CONVERTED_NONE},
};

static const struct {
    Str path[2];
    size_t path_count;
    uint32_t nth, max_def, max_rep, def;
} places[LEAVES] = {
    {{NAME("a"), NAME("flag")}, 2, 0, 1, 0, 1},
    {{NAME("a"), NAME("tags")}, 2, 0, 3, 1, 2},
    {{NAME("a"), NAME("tags")}, 2, 1, 4, 1, 2},
    {{NAME("n")}, 1, 0, 0, 0, 0},
    {{NAME("list")}, 1, 0, 1, 1, 1},
};

// Slot number `i` of row `row` of a leaf; the same for writing and for checking. False past the
// last.
static bool make_slot(uint64_t row, uint32_t leaf, uint32_t i, char text[TEXT_MAX],
                      ParquetSlot *out)
{
    Rng rng = {.state = row};
    const bool has_a = rng_below(&rng, 4) != 0;
    const bool has_tags = rng_below(&rng, 4) != 0;
    const uint64_t entries = rng_below(&rng, 5);
    const uint64_t list = rng_below(&rng, 5);
    rng.state += leaf * UINT64_C(1000) + i;
    const uint64_t value = rng_next(&rng);
    *out = (ParquetSlot){.rep = i > 0 ? 1 : 0};
    switch (leaf) {
    case 0:
        out->def = has_a ? 1 : 0;
        out->i64 = has_a ? (int64_t)(value & 1) : 0;
        break;
    case 1:
    case 2:
        out->def = !has_a                   ? 0
                   : !has_tags              ? 1
                   : entries == 0           ? 2
                   : leaf == 1 || value % 3 ? leaf + 2
                                            : 3;
        if (out->def == leaf + 2) {
            out->text = (Str){.ptr = text, .len = value % TEXT_MAX};
            memset(text, 'a' + (int)(value % 20), TEXT_MAX);
        }
        return i < (has_a && has_tags && entries > 1 ? entries : 1);
    case 3:
        out->i64 = (int64_t)value;
        break;
    default:
        out->def = list > 0 ? 1 : 0;
        out->i64 = list > 0 ? (int32_t)value : 0;
        return i < (list > 1 ? list : 1);
    }
    return i == 0;
}

static void write_rows(Test *t, OsFile *file, uint64_t rows)
{
    Err err;
    uint64_t size_bytes = 0;
    ParquetLeafWriter *w = parquet_leaf_writer_new(file, schema, ARRAY_LEN(schema));
    for (uint64_t row = 0; row < rows; row++) {
        for (uint32_t leaf = 0; leaf < LEAVES; leaf++) {
            char text[TEXT_MAX];
            ParquetSlot slot;
            for (uint32_t i = 0; make_slot(row, leaf, i, text, &slot); i++) {
                parquet_leaf_writer_put(w, leaf, slot);
            }
        }
        CHECK_OK(parquet_leaf_writer_end_row(w, &err));
    }
    parquet_leaf_writer_key_value(w, STR("k"), STR("v"));
    CHECK_OK(parquet_leaf_writer_finish(w, &size_bytes, &err));
    parquet_leaf_writer_free(w);
    uint64_t on_disk = 0;
    CHECK_OK(os_file_size(file, &on_disk, &err));
    CHECK_EQ(on_disk, size_bytes);
}

static void check_leaf(Test *t, const ParquetReader *r, uint32_t leaf, uint64_t rows)
{
    Err err;
    ParquetLeafPlace place;
    ParquetLeafCursor *c = NULL;
    const ParquetSlot *slots = NULL;
    size_t count = 0;
    CHECK(
        parquet_leaf_find(r, places[leaf].path, places[leaf].path_count, places[leaf].nth, &place));
    CHECK_EQ(place.leaf, leaf);
    CHECK_EQ(place.max_def, places[leaf].max_def);
    CHECK_EQ(place.max_rep, places[leaf].max_rep);
    CHECK_EQ(place.def, places[leaf].def);
    CHECK_OK(parquet_leaf_cursor_open(r, &place, &c, &err));
    for (uint64_t row = 0; row < rows; row++) {
        char text[TEXT_MAX];
        ParquetSlot want;
        uint32_t n = 0;
        CHECK_OK(parquet_leaf_cursor_row(c, &slots, &count, &err));
        for (; make_slot(row, leaf, n, text, &want); n++) {
            CHECK(n < count);
            CHECK_EQ(slots[n].rep, want.rep);
            CHECK_EQ(slots[n].def, want.def);
            CHECK_EQ(slots[n].has_value, want.def == place.max_def);
            CHECK_EQ(slots[n].i64, want.i64);
            CHECK_STR(slots[n].text, want.text);
        }
        CHECK_EQ(count, n);
    }
    CHECK_OK(parquet_leaf_cursor_row(c, &slots, &count, &err));
    CHECK_EQ(count, 0);
    parquet_leaf_cursor_close(c);
}

static void round_trip(Test *t, uint64_t rows)
{
    Err err;
    OsSim *sim = os_sim_new(t->seed);
    OsFile *file = NULL;
    ParquetSource source;
    ParquetReader *r = NULL;
    CHECK_OK(os_file_open(os_sim_os(sim), STR("f"), OS_OPEN_CREATE_NEW, &file, &err));
    write_rows(t, file, rows);
    CHECK_OK(parquet_source_file(file, &source, &err));
    CHECK_OK(parquet_reader_open(source, &r, &err));
    CHECK_EQ(parquet_reader_meta(r)->row_count, rows);
    CHECK_STR(parquet_reader_key_value(r, STR("k")), STR("v"));
    for (uint32_t leaf = 0; leaf < LEAVES; leaf++) {
        check_leaf(t, r, leaf, rows);
    }
    ParquetLeafPlace place;
    CHECK(!parquet_leaf_find(r, (const Str[]){STR("flag")}, 1, 0, &place));
    CHECK(!parquet_leaf_find(r, places[1].path, 2, 2, &place));
    parquet_reader_free(r);
    os_file_close(file);
    os_sim_free(sim);
}

TEST(parquet_leaf, slots_survive)
{
    static const uint64_t counts[] = {0, 1, 2, 255, 256, 257, 5000};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        round_trip(t, counts[i]);
    }
}

TEST(parquet_leaf, slots_survive_pages_and_row_groups)
{
    round_trip(t, 150000);
}
