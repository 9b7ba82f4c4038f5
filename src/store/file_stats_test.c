// SPDX-License-Identifier: Apache-2.0
#include "store/file_stats.h"
#include "store/json.h"

#include "tests/support/test.h"

#include <math.h>

TEST(json, table)
{
    static const struct {
        const char *why;
        Str in;
        bool ok;
        Str text; // of member "a"
    } cases[] = {
        {"a string", STR("{\"a\":\"x\"}"), true, STR("x")},
        {"escapes", STR("{\"a\":\"\\u00e9\\n\\\"\\uD83D\\uDE00\"}"), true,
         STR("\xC3\xA9\n\"\xF0\x9F\x98\x80")},
        {"a number keeps its digits", STR(" { \"a\" : -12.50e+3 } "), true, STR("-12.50e+3")},
        {"others are read over", STR("{\"b\":[1,{\"a\":\"]}\"}],\"a\":\"y\",\"c\":null}"), true,
         STR("y")},
        {"no comma", STR("{\"b\":1 \"a\":2}"), false, STR("")},
        {"lone surrogate", STR("{\"a\":\"\\uD83D\"}"), false, STR("")},
        {"raw control character", STR("{\"a\":\"\n\"}"), false, STR("")},
        {"leading zero", STR("{\"a\":01}"), false, STR("0")},
        {"cut in an escape", STR("{\"a\":\"\\"), false, STR("")},
        {"cut in a number", STR("{\"a\":-"), false, STR("")},
        {"text behind", STR("{\"a\":1}x"), false, STR("1")},
        {"not an object", STR("[]"), false, STR("")},
        {"empty", STR(""), false, STR("")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Json json = json_of(cases[i].in);
        Str key;
        Str text = {0};
        json_object_begin(&json);
        while (json_object_next(&json, &t->arena, &key)) {
            const JsonValue v = json_value(&json, &t->arena);
            if (str_eq(key, STR("a"))) {
                text = v.text;
            }
        }
        if (json_end(&json) != cases[i].ok) {
            test_fail(t, __FILE__, __LINE__, "%s", cases[i].why);
        }
        CHECK_STR(text, cases[i].text);
    }
}

TEST(json, nesting_is_bounded)
{
    Buf text;
    buf_init(&text, 0);
    for (int i = 0; i <= JSON_DEPTH_MAX; i++) {
        buf_put_u8(&text, '[');
    }
    Json json = json_of(buf_str(&text));
    CHECK_EQ(json_value(&json, &t->arena).kind, JSON_NONE);
    CHECK(!json_end(&json));
    buf_deinit(&text);
}

// --- statistics ----------------------------------------------------------------------------------

enum { COLUMN_COUNT = 6 };

static const Field fields[COLUMN_COUNT] = {
    {.name = {"ts", 2}, .type = COLUMN_TIMESTAMP}, {.name = {"s", 1}, .type = COLUMN_STRING},
    {.name = {"d", 1}, .type = COLUMN_DOUBLE},     {.name = {"i", 1}, .type = COLUMN_INT32},
    {.name = {"m", 1}, .type = COLUMN_MAP},        {.name = {"day", 3}, .type = COLUMN_DATE},
};
static const Schema schema = {.fields = fields, .count = COLUMN_COUNT};

typedef struct Bounds {
    int64_t ts[2];
    Str s[2];
    double d[2];
    int32_t i[2];
    int32_t day[2];
} Bounds;

static Bytes bytes_of(const void *p, size_t n)
{
    return (Bytes){.ptr = p, .len = n};
}

static ParquetFileSummary summary_of(const Bounds *b, ParquetColumnSummary *c)
{
    c[0] = (ParquetColumnSummary){
        .has_minmax = true, .min = bytes_of(&b->ts[0], 8), .max = bytes_of(&b->ts[1], 8)};
    c[1] = (ParquetColumnSummary){.has_minmax = true, .null_count = 3};
    c[1].min = bytes_of(b->s[0].ptr, b->s[0].len);
    c[1].max = bytes_of(b->s[1].ptr, b->s[1].len);
    c[2] = (ParquetColumnSummary){
        .has_minmax = !isnan(b->d[0]), .min = bytes_of(&b->d[0], 8), .max = bytes_of(&b->d[1], 8)};
    c[3] = (ParquetColumnSummary){
        .has_minmax = true, .min = bytes_of(&b->i[0], 4), .max = bytes_of(&b->i[1], 4)};
    c[4] = (ParquetColumnSummary){.null_count = 10};
    c[5] = (ParquetColumnSummary){
        .has_minmax = true, .min = bytes_of(&b->day[0], 4), .max = bytes_of(&b->day[1], 4)};
    return (ParquetFileSummary){.row_count = 10, .columns = c, .column_count = COLUMN_COUNT};
}

static Str written(Test *t, const Bounds *b)
{
    ParquetColumnSummary columns[COLUMN_COUNT];
    const ParquetFileSummary summary = summary_of(b, columns);
    Buf out;
    buf_init(&out, 0);
    file_stats_write(&schema, &summary, &out);
    const Str text = arena_str(&t->arena, buf_str(&out));
    buf_deinit(&out);
    return text;
}

TEST(file_stats, json_as_delta_wants_it)
{
    const Bounds b = {.ts = {-1, 1763704800123456},
                      .s = {STR("a\"b"), STR("z")},
                      .d = {-0.0, 1.5},
                      .i = {-7, 9},
                      .day = {-1, 20000}};
    CHECK_STR(written(t, &b), STR("{\"numRecords\":10,\"minValues\":{\"ts\":\"1969-12-31T23:59:59."
                                  "999Z\",\"s\":\"a\\\"b\",\"d\":-0,"
                                  "\"i\":-7,\"day\":\"1969-12-31\"},\"maxValues\":{\"ts\":\"2025-"
                                  "11-21T06:00:00.123Z\",\"s\":\"z\","
                                  "\"d\":1.5,\"i\":9,\"day\":\"2024-10-04\"},\"nullCount\":{\"ts\":"
                                  "0,\"s\":3,\"d\":0,\"i\":0,\"day\":0}}"));
}

static bool contains(Str text, Str part)
{
    for (size_t i = 0; i + part.len <= text.len; i++) {
        if (memcmp(text.ptr + i, part.ptr, part.len) == 0) {
            return true;
        }
    }
    return false;
}

TEST(file_stats, nan_has_no_bounds)
{
    const Bounds b = {.d = {(double)NAN, (double)NAN}, .s = {STR(""), STR("")}};
    const Str text = written(t, &b);
    CHECK(contains(text, STR("\"d\":0")) && !contains(text, STR("nan")));
    const FileStats stats = file_stats_read(text, &schema, &t->arena);
    CHECK(!file_stats_column(&stats, 2)->max.known);
    CHECK_EQ(file_stats_column(&stats, 2)->null_count, 0);
}

TEST(file_stats, malformed_means_nothing_known)
{
    static const Str cases[] = {STR(""),
                                STR("{"),
                                STR("{\"numRecords\":3"),
                                STR("{\"numRecords\":3}}"),
                                STR("{\"minValues\":3}"),
                                STR("[]")};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const FileStats stats = file_stats_read(cases[i], &schema, &t->arena);
        CHECK_EQ(stats.row_count, -1);
        CHECK_EQ(stats.column_count, 0);
    }
    const FileStats odd = file_stats_read(STR("{\"numRecords\":4,\"minValues\":{\"i\":\"x\",\"ts\":"
                                              "7,\"gone\":{\"a\":1}},\"tightBounds\":true}"),
                                          &schema, &t->arena);
    CHECK_EQ(odd.row_count, 4);
    CHECK(!file_stats_column(&odd, 3)->min.known && !file_stats_column(&odd, 0)->min.known);
}

static Str random_text(Test *t)
{
    static const Str pieces[] = {STR("a"),        STR("\x7E"),         STR("\x7F"),
                                 STR("\xC3\xA9"), STR("\xE2\x82\xAC"), STR("\xF4\x8F\xBF\xBF")};
    Buf out;
    buf_init(&out, 0);
    // Runs of one piece make prefixes of 32 equal characters likely.
    for (uint64_t run = test_random(t) % 4; run > 0; run--) {
        const Str piece = pieces[test_random(t) % ARRAY_LEN(pieces)];
        for (uint64_t n = test_random(t) % 24; n > 0; n--) {
            buf_put_str(&out, piece);
        }
    }
    const Str text = arena_str(&t->arena, buf_str(&out));
    buf_deinit(&out);
    return text;
}

static int compare(Str a, Str b)
{
    const size_t n = a.len < b.len ? a.len : b.len;
    const int order = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

// Whatever is written, no value of the file is ever pruned away when it is read back.
TEST(file_stats, bounds_hold_after_a_round_trip)
{
    for (int round = 0; round < 2000; round++) {
        Bounds b = {.ts = {(int64_t)(test_random(t) % 4000000000000000) - 1000000000000000, 0}};
        b.ts[1] = b.ts[0] + (int64_t)(test_random(t) % 5000);
        b.s[0] = random_text(t);
        b.s[1] = random_text(t);
        if (compare(b.s[0], b.s[1]) > 0) {
            const Str swap = b.s[0];
            b.s[0] = b.s[1];
            b.s[1] = swap;
        }
        const FileStats stats = file_stats_read(written(t, &b), &schema, &t->arena);
        CHECK_EQ(stats.row_count, 10);
        for (int k = 0; k < 2; k++) {
            const ScanValue ts = {.i64 = b.ts[k]};
            const ScanValue text = {.bytes = bytes_of(b.s[k].ptr, b.s[k].len)};
            const ScanTest tests[] = {
                {.column = 0, .kind = SCAN_TEST_IN, .values = &ts, .value_count = 1},
                {.column = 0, .kind = SCAN_TEST_RANGE, .has_min = true, .min = ts},
                {.column = 0, .kind = SCAN_TEST_RANGE, .has_max = true, .max = ts},
                {.column = 1, .kind = SCAN_TEST_IN, .values = &text, .value_count = 1},
                {.column = 1, .kind = SCAN_TEST_RANGE, .has_min = true, .min = text},
                {.column = 1, .kind = SCAN_TEST_RANGE, .has_max = true, .max = text},
                {.column = 1, .kind = SCAN_TEST_IS_NULL},
                {.column = 4, .kind = SCAN_TEST_NOT_NULL},
            };
            for (size_t i = 0; i < ARRAY_LEN(tests); i++) {
                CHECK(file_stats_may_match(&stats, &tests[i], fields[tests[i].column].type));
            }
        }
        const ScanTest below = {
            .column = 0, .kind = SCAN_TEST_RANGE, .has_max = true, .max.i64 = b.ts[0] - 1000};
        const ScanTest above = {
            .column = 0, .kind = SCAN_TEST_RANGE, .has_min = true, .min.i64 = b.ts[1] + 1000};
        CHECK(!file_stats_may_match(&stats, &below, COLUMN_TIMESTAMP));
        CHECK(!file_stats_may_match(&stats, &above, COLUMN_TIMESTAMP));
        arena_reset(&t->arena);
    }
}

TEST(file_stats, nulls)
{
    const FileStats stats = file_stats_read(
        STR("{\"numRecords\":4,\"nullCount\":{\"s\":4,\"d\":0}}"), &schema, &t->arena);
    const ScanValue any = {.bytes = bytes_of("x", 1)};
    const ScanTest in = {.column = 1, .kind = SCAN_TEST_IN, .values = &any, .value_count = 1};
    const ScanTest not_null = {.column = 1, .kind = SCAN_TEST_NOT_NULL};
    const ScanTest is_null = {.column = 2, .kind = SCAN_TEST_IS_NULL};
    const ScanTest unknown = {.column = 3, .kind = SCAN_TEST_IS_NULL};
    CHECK(!file_stats_may_match(&stats, &in, COLUMN_STRING));
    CHECK(!file_stats_may_match(&stats, &not_null, COLUMN_STRING));
    CHECK(!file_stats_may_match(&stats, &is_null, COLUMN_DOUBLE));
    CHECK(file_stats_may_match(&stats, &unknown, COLUMN_INT32));
}

TEST(file_stats, tags_round_trip)
{
    const FileTags tags = {.present = true,
                           .level = 2,
                           .order = 17,
                           .wal_first = 5,
                           .wal_last = UINT64_MAX,
                           .series_count = 3,
                           .hash = 0xF00DULL,
                           .overlap = true};
    size_t count;
    DeltaKeyValue *written_tags = file_tags_write(&tags, STR("a,b"), &t->arena, &count);
    const FileTags back = file_tags_read(written_tags, count);
    CHECK(back.present && back.overlap);
    CHECK_EQ(back.level, 2);
    CHECK_EQ(back.order, 17);
    CHECK_EQ(back.wal_first, 5);
    CHECK(back.wal_last == UINT64_MAX && back.hash == 0xF00DULL);
    for (size_t i = 0; i < count; i++) { // any tag of ours missing: as if there were none
        if (!str_eq(written_tags[i].key, STR("cardinal.sort"))) {
            const Str key = written_tags[i].key;
            written_tags[i].key = STR("other");
            CHECK(!file_tags_read(written_tags, count).present);
            written_tags[i].key = key;
        }
    }
}
