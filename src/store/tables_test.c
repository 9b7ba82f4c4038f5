// SPDX-License-Identifier: Apache-2.0
//
// Definitions of typed tables, and what is said of rows that do not fit them.
#include "os/sim.h"
#include "store/scan.h"
#include "store/store.h"
#include "store/table_def.h"

#include "tests/support/test.h"

#define FIELD(n, t)                                                                                \
    {                                                                                              \
        .name = {n, sizeof(n) - 1}, .type = t                                                      \
    }
#define START_US (INT64_C(20000) * 86400000000)

static Store *open_store(Test *t, OsSim *sim)
{
    Err err;
    Store *store;
    const StoreOptions options = {.os = os_sim_os(sim), .dir = STR("data"), .manual = true};
    CHECK_OK(store_open(&options, &store, NULL, &err));
    return store;
}

static Str message(const Err *err)
{
    return (Str){err->msg, strlen(err->msg)};
}

TEST(table_def, names)
{
    static const struct {
        Str name;
        bool ok;
    } cases[] = {
        {STR("a"), true},     {STR("_x9"), true}, {STR("flows_2"), true}, {STR(""), false},
        {STR("9a"), false},   {STR("A"), false},  {STR("a-b"), false},    {STR("a.b"), false},
        {STR("a\0b"), false}, {STR("é"), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_EQ(table_name_is_valid(cases[i].name), cases[i].ok);
    }
    char text[STORE_TABLE_NAME_MAX + 1];
    memset(text, 'x', sizeof(text));
    CHECK(table_name_is_valid((Str){text, STORE_TABLE_NAME_MAX}));
    CHECK(!table_name_is_valid((Str){text, STORE_TABLE_NAME_MAX + 1}));
}

TEST(table_def, what_is_refused)
{
    static const Field good[] = {FIELD("timestamp", COLUMN_TIMESTAMP), FIELD("a", COLUMN_INT64),
                                 FIELD("m", COLUMN_MAP)};
    static const Field no_time[] = {FIELD("a", COLUMN_INT64)};
    static const Field wrong_time[] = {FIELD("timestamp", COLUMN_INT64)};
    static const Field date[] = {FIELD("timestamp", COLUMN_TIMESTAMP), FIELD("Date", COLUMN_DATE)};
    static const Field same[] = {FIELD("timestamp", COLUMN_TIMESTAMP), FIELD("host", COLUMN_STRING),
                                 FIELD("Host", COLUMN_STRING)};
    static const Field blank[] = {FIELD("timestamp", COLUMN_TIMESTAMP), FIELD("a b", COLUMN_INT64)};
    static const Field empty[] = {FIELD("", COLUMN_INT64)};
    static const Field not_text[] = {FIELD("\xFF", COLUMN_INT64)};
    static const Str key_a[] = {{"a", 1}};
    static const Str key_b[] = {{"b", 1}};
    static const Str key_m[] = {{"m", 1}};
    static const Str key_aa[] = {{"a", 1}, {"a", 1}};
#define SCHEMA(f)                                                                                  \
    {                                                                                              \
        .fields = f, .count = ARRAY_LEN(f)                                                         \
    }
    static const struct {
        TableDef def;
        const char *message; // NULL: it is accepted
    } cases[] = {
        {{.name = {"t", 1}, .schema = SCHEMA(good), .sort_key = key_a, .sort_key_count = 1}, NULL},
        {{.name = {"T", 1}, .schema = SCHEMA(good)},
         "table name 'T' is not [a-z_][a-z0-9_]* of at most 64 bytes"},
        {{.name = {"t", 1}}, "table 't' has no columns"},
        {{.name = {"t", 1}, .schema = SCHEMA(no_time)}, "table 't' has no time column 'timestamp'"},
        {{.name = {"t", 1}, .schema = SCHEMA(wrong_time)},
         "table 't': time column 'timestamp' is BIGINT, not TIMESTAMP WITH TIME ZONE"},
        {{.name = {"t", 1}, .schema = SCHEMA(good), .time_column = {"at", 2}},
         "table 't' has no time column 'at'"},
        {{.name = {"t", 1}, .schema = SCHEMA(date)},
         "table 't': column 'Date' is reserved for the partition"},
        {{.name = {"t", 1}, .schema = SCHEMA(same)},
         "table 't': columns 'host' and 'Host' have the same name but for case"},
        {{.name = {"t", 1}, .schema = SCHEMA(blank)},
         "table 't': column 'a b': a name may hold no blank, control character or ,;{}()="},
        {{.name = {"t", 1}, .schema = SCHEMA(empty)}, "table 't': a column without a name"},
        {{.name = {"t", 1}, .schema = SCHEMA(not_text)}, "table 't': a column name is not UTF-8"},
        {{.name = {"t", 1}, .schema = SCHEMA(good), .sort_key = key_b, .sort_key_count = 1},
         "table 't': sort key column 'b' does not exist"},
        {{.name = {"t", 1}, .schema = SCHEMA(good), .sort_key = key_m, .sort_key_count = 1},
         "table 't': sort key column 'm' is a MAP"},
        {{.name = {"t", 1},
          .schema = SCHEMA(good),
          .bloom_columns = key_aa,
          .bloom_column_count = 2},
         "table 't': bloom column 'a' is given twice"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err;
        const Status st = table_def_check(&cases[i].def, &err);
        if (cases[i].message == NULL) {
            CHECK_EQ(st, OK);
        } else {
            CHECK_EQ(st, ERR_INVALID);
            CHECK_STR(message(&err), ((Str){cases[i].message, strlen(cases[i].message)}));
        }
    }
}

TEST(table_def, ready_definitions_are_right)
{
    static const Str names[] = {{"flows", 5}, {"ior_events", 10}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        Err err;
        const TableDef *def = table_def_known(names[i]);
        CHECK(def != NULL);
        CHECK_OK(table_def_check(def, &err));
    }
    CHECK(table_def_known(STR("metrics")) == NULL);
}

TEST(tables, definition_survives)
{
    Err err;
    OsSim *sim = os_sim_new(1);
    Store *store = open_store(t, sim);
    static const Field fields[] = {FIELD("at", COLUMN_TIMESTAMP), FIELD("host", COLUMN_STRING),
                                   FIELD("n", COLUMN_UINT32), FIELD("id", COLUMN_UUID)};
    static const Str key[] = {{"host", 4}};
    static const Str bloom[] = {{"host", 4}, {"id", 2}};
    const TableDef def = {.name = STR("events"),
                          .schema = SCHEMA(fields),
                          .time_column = STR("at"),
                          .sort_key = key,
                          .sort_key_count = 1,
                          .bloom_columns = bloom,
                          .bloom_column_count = 2};
    CHECK_OK(store_create_table(store, &def, &err));
    CHECK_EQ(store_create_table(store, &def, &err), ERR_EXISTS);
    CHECK_STR(message(&err), STR("table 'events' exists already"));
    const TableDef metrics = {
        .name = STR("metrics"), .schema = SCHEMA(fields), .time_column = STR("at")};
    CHECK_EQ(store_create_table(store, &metrics, &err), ERR_EXISTS);
    for (int round = 0; round < 2; round++) {
        TableDef got;
        Str *names;
        size_t count;
        CHECK_OK(store_table(store, STR("events"), &t->arena, &got, &err));
        CHECK_STR(got.time_column, STR("at"));
        CHECK_EQ(got.schema.count, 4);
        CHECK_EQ(got.schema.fields[2].type, COLUMN_UINT32);
        CHECK_EQ(got.schema.fields[3].type, COLUMN_UUID);
        CHECK(!got.schema.fields[0].nullable && got.schema.fields[1].nullable);
        CHECK_EQ(got.sort_key_count, 2); // the time is always its end
        CHECK_STR(got.sort_key[1], STR("at"));
        CHECK_EQ(got.bloom_column_count, 2);
        CHECK_STR(got.bloom_columns[1], STR("id"));
        store_tables(store, &t->arena, &names, &count);
        CHECK_EQ(count, 2);
        CHECK_STR(names[0], STR("events"));
        CHECK_STR(names[1], STR("metrics"));
        CHECK_OK(store_close(store, false, &err));
        store = open_store(t, sim);
    }
    TableDef got;
    CHECK_EQ(store_table(store, STR("nope"), &t->arena, &got, &err), ERR_NOT_FOUND);
    CHECK_OK(store_table(store, STR("metrics"), &t->arena, &got, &err));
    CHECK_STR(got.time_column, STR("timestamp"));
    CHECK_OK(store_close(store, true, &err));
    os_sim_free(sim);
}

// --- rows ----------------------------------------------------------------------------------------

static int64_t count_rows(Test *t, Store *store, Str table)
{
    Err err;
    Snapshot *snapshot;
    Scan *scan;
    ScanWorker *worker;
    Batch batch;
    int64_t rows = 0;
    if (snapshot_open(store, table, &snapshot, &err) != OK) {
        return -1;
    }
    CHECK_OK(scan_open(snapshot, &(ScanOptions){0}, &scan, &err));
    CHECK_OK(scan_worker_open(scan, &worker, &err));
    do {
        CHECK_OK(scan_worker_next(worker, &batch, &err));
        rows += batch.row_count;
    } while (batch.row_count > 0);
    scan_worker_close(worker);
    scan_close(scan);
    snapshot_close(snapshot);
    return rows;
}

static Status write_two(Store *store, Str table, const Field *fields, const Vector *columns,
                        size_t count, Err *err)
{
    const Schema schema = {.fields = fields, .count = count};
    const Batch batch = {.schema = &schema, .columns = columns, .row_count = 2};
    return store_write_rows(store, table, &batch, err);
}

TEST(tables, rows_that_do_not_fit) // tidy: allow function-length: one refusal after another
{
    Err err;
    OsSim *sim = os_sim_new(1);
    Store *store = open_store(t, sim);
    static const int64_t times[] = {START_US, START_US + 1};
    static const int64_t far[] = {START_US, INT64_C(253402300800000000)};
    static const int64_t big[] = {1, INT64_C(3000000000)};
    static const double reals[] = {1, 2};
    static const uint32_t offsets[] = {0, 1, 2};
    static const uint64_t half = 1;
    const Vector time = {.type = COLUMN_TIMESTAMP, .row_count = 2, .data = times};
    const Vector far_time = {.type = COLUMN_TIMESTAMP, .row_count = 2, .data = far};
    const Vector null_time = {
        .type = COLUMN_TIMESTAMP, .row_count = 2, .data = times, .validity = &half};
    const Vector ints = {.type = COLUMN_INT64, .row_count = 2, .data = big};
    const Vector doubles = {.type = COLUMN_DOUBLE, .row_count = 2, .data = reals};
    const Vector text = {
        .type = COLUMN_STRING, .row_count = 2, .offsets = offsets, .bytes = (const uint8_t *)"ab"};
    const Vector bad_text = {.type = COLUMN_STRING,
                             .row_count = 2,
                             .offsets = offsets,
                             .bytes = (const uint8_t *)"a\xFF"};
    static const Field time_field = FIELD("timestamp", COLUMN_TIMESTAMP);
    struct {
        const char *table;
        Field second;
        Vector columns[2];
        const char *message; // NULL: accepted
    } cases[] = {
        {"flows",
         FIELD("src_port", COLUMN_INT64),
         {time, ints},
         "table 'flows', column 'src_port': 3000000000 does not fit INTEGER"},
        {"flows", FIELD("bytes_sent", COLUMN_INT64), {time, ints}, NULL},
        {"flows",
         FIELD("bytes_sent", COLUMN_DOUBLE),
         {time, doubles},
         "table 'flows', column 'bytes_sent': DOUBLE where BIGINT is wanted"},
        {"flows",
         FIELD("src_ip", COLUMN_STRING),
         {time, bad_text},
         "table 'flows', column 'src_ip': a value is not UTF-8"},
        {"events",
         FIELD("x y", COLUMN_INT64),
         {time, ints},
         "table 'events': column 'x y': a name may hold no blank, control character or ,;{}()="},
        {"events", FIELD("x", COLUMN_DOUBLE), {time, doubles}, NULL},
        {"events", FIELD("x", COLUMN_INT64), {time, ints}, NULL}, // converted
        {"events",
         FIELD("x", COLUMN_STRING),
         {time, text},
         "table 'events', column 'x': VARCHAR where DOUBLE is wanted"},
        {"events",
         FIELD("date", COLUMN_INT64),
         {time, ints},
         "table 'events': column 'date' is reserved for the partition"},
        {"events", FIELD("y", COLUMN_STRING), {time, text}, NULL}, // a new column
        {"metrics",
         FIELD("value", COLUMN_DOUBLE),
         {time, doubles},
         "'metrics' takes samples, not rows"},
        {"Events",
         FIELD("y", COLUMN_STRING),
         {time, text},
         "table name 'Events' is not [a-z_][a-z0-9_]* of at most 64 bytes"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const Str table = {cases[i].table, strlen(cases[i].table)};
        const Field fields[] = {time_field, cases[i].second};
        const int64_t before = count_rows(t, store, table);
        const Status st = write_two(store, table, fields, cases[i].columns, 2, &err);
        if (cases[i].message != NULL) {
            CHECK_EQ(st, ERR_INVALID);
            CHECK_STR(message(&err), ((Str){cases[i].message, strlen(cases[i].message)}));
            CHECK(count_rows(t, store, table) <= (before < 0 ? 0 : before));
        } else {
            CHECK_OK(st);
            CHECK_EQ(count_rows(t, store, table), (before < 0 ? 0 : before) + 2);
        }
    }
    // What the time may be is said by the hot tier; all or nothing holds for it as well.
    const int64_t before = count_rows(t, store, STR("events"));
    CHECK_EQ(write_two(store, STR("events"), &time_field, &far_time, 1, &err), ERR_INVALID);
    CHECK_EQ(write_two(store, STR("events"), &time_field, &null_time, 1, &err), ERR_INVALID);
    CHECK_EQ(write_two(store, STR("events"), &cases[5].second, &doubles, 1, &err), ERR_INVALID);
    CHECK_EQ(count_rows(t, store, STR("events")), before);
    StoreFigures figures;
    store_figures(store, &figures);
    CHECK_EQ(figures.rows_written, 8);
    CHECK_EQ(figures.hot_rows, 8);
    CHECK_OK(store_flush(store, STR("flows"), &err));
    store_figures(store, &figures);
    CHECK_EQ(figures.hot_rows, 6);
    CHECK_OK(store_close(store, true, &err));
    os_sim_free(sim);
}

// A folder of a table that someone removed: its frames are counted, the rest is read.
TEST(tables, removed_folder)
{
    Err err;
    OsSim *sim = os_sim_new(1);
    Store *store = open_store(t, sim);
    static const int64_t times[] = {START_US, START_US + 1};
    static const Field time_field = FIELD("timestamp", COLUMN_TIMESTAMP);
    const Vector time = {.type = COLUMN_TIMESTAMP, .row_count = 2, .data = times};
    StoreRecovery recovery;
    const StoreOptions options = {.os = os_sim_os(sim), .dir = STR("data"), .manual = true};
    CHECK_OK(write_two(store, STR("gone"), &time_field, &time, 1, &err));
    CHECK_OK(write_two(store, STR("kept"), &time_field, &time, 1, &err));
    CHECK_OK(store_close(store, false, &err));
    CHECK_OK(os_rename(os_sim_os(sim), STR("data/default/gone"), STR("data/elsewhere"), &err));
    CHECK_OK(store_open(&options, &store, &recovery, &err));
    CHECK_EQ(recovery.frames_without_table, 1);
    CHECK_EQ(recovery.rows_replayed, 2);
    // Its number is not used again, so its frames never land in another table.
    CHECK_OK(write_two(store, STR("fresh"), &time_field, &time, 1, &err));
    CHECK_OK(store_close(store, false, &err));
    CHECK_OK(store_open(&options, &store, &recovery, &err));
    CHECK_EQ(count_rows(t, store, STR("fresh")), 2);
    CHECK_EQ(count_rows(t, store, STR("kept")), 2);
    CHECK_OK(store_close(store, true, &err));
    os_sim_free(sim);
}
