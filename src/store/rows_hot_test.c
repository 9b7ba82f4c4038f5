// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "column/builder.h"
#include "store/metrics_dict_internal.h"
#include "store/rows_hot.h"
#include "store/rows_run.h"
#include "store/rows_scan.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>

enum { COLUMNS_MAX = 24, FRAMES_MAX = 4000 };

// --- a model: every value of every row -----------------------------------------------------------

typedef struct Cell {
    bool valid;
    Str bytes; // of the value: little-endian, text, or "key=value," of a map
} Cell;

typedef struct Row {
    Cell cells[COLUMNS_MAX]; // by column of the table
    size_t index;            // in the order of writing
} Row;

typedef struct Model {
    Row *rows;
    size_t count, cap;
    Arena arena;
} Model;

static const Schema *schema_of_test; // for comparisons
static const size_t *key_of_test;
static size_t key_count_of_test;

static Str map_text(Arena *arena, const Vector *map, uint32_t row)
{
    Buf text;
    buf_init(&text, 0);
    for (uint32_t i = map->offsets[row]; i < map->offsets[row + 1]; i++) {
        const Vector *flat = NULL;
        uint32_t at = 0;
        (void)vector_locate(map->keys, i, &flat, &at);
        buf_putf(&text, STR_FMT "=", STR_ARG(vector_flat_str(flat, at)));
        if (vector_locate(map->values, i, &flat, &at)) {
            buf_putf(&text, "'" STR_FMT "'", STR_ARG(vector_flat_str(flat, at)));
        }
        buf_put_str(&text, STR(","));
    }
    const Str copy = arena_str(arena, buf_str(&text));
    buf_deinit(&text);
    return copy;
}

static Cell cell_of(Arena *arena, const Vector *v, uint32_t row)
{
    const Vector *flat = NULL;
    uint32_t at = 0;
    if (!vector_locate(v, row, &flat, &at)) {
        return (Cell){0};
    }
    const size_t size = column_type_size(v->type);
    if (v->type == COLUMN_MAP) {
        return (Cell){true, map_text(arena, flat, at)};
    }
    const Str s =
        size == 0 ? vector_flat_str(flat, at) : (Str){(const char *)flat->data + at * size, size};
    return (Cell){true, arena_str(arena, s)};
}

// The rows of a batch behind those there are; its columns are found by name in `schema`.
static void model_add(Model *m, const Schema *schema, const Batch *batch)
{
    for (uint32_t row = 0; row < batch->row_count; row++) {
        m->rows = mem_grow(m->rows, &m->cap, m->count + 1, sizeof(*m->rows));
        Row *r = &m->rows[m->count];
        *r = (Row){.index = m->count};
        m->count++;
        for (size_t i = 0; i < batch->schema->count; i++) {
            const size_t column = schema_find(schema, batch->schema->fields[i].name);
            ASSERT(column < COLUMNS_MAX);
            r->cells[column] = cell_of(&m->arena, &batch->columns[i], row);
        }
    }
}

static void model_deinit(Model *m)
{
    mem_free(m->rows);
    arena_deinit(&m->arena);
}

#define COMPARE_AS(T)                                                                              \
    {                                                                                              \
        T x;                                                                                       \
        T y;                                                                                       \
        memcpy(&x, a.bytes.ptr, sizeof(x));                                                        \
        memcpy(&y, b.bytes.ptr, sizeof(y));                                                        \
        return (x > y) - (x < y);                                                                  \
    }

static int cell_compare(ColumnType type, Cell a, Cell b)
{
    if (!a.valid || !b.valid) {
        return a.valid - b.valid;
    }
    switch (type) {
    case COLUMN_BOOL:
    case COLUMN_UINT8:
        COMPARE_AS(uint8_t)
    case COLUMN_INT8:
        COMPARE_AS(int8_t)
    case COLUMN_INT16:
        COMPARE_AS(int16_t)
    case COLUMN_UINT16:
        COMPARE_AS(uint16_t)
    case COLUMN_INT32:
    case COLUMN_DATE:
        COMPARE_AS(int32_t)
    case COLUMN_UINT32:
        COMPARE_AS(uint32_t)
    case COLUMN_INT64:
    case COLUMN_TIMESTAMP:
        COMPARE_AS(int64_t)
    case COLUMN_UINT64:
        COMPARE_AS(uint64_t)
    case COLUMN_FLOAT:
        COMPARE_AS(float)
    case COLUMN_DOUBLE:
        COMPARE_AS(double)
    case COLUMN_STRING:
    case COLUMN_BINARY:
    case COLUMN_UUID:
    case COLUMN_MAP:
        break;
    }
    return metrics_str_compare(a.bytes, b.bytes);
}

static int row_compare(const void *a, const void *b)
{
    const Row *x = a;
    const Row *y = b;
    for (size_t i = 0; i < key_count_of_test; i++) {
        const size_t column = key_of_test[i];
        const int order =
            cell_compare(schema_of_test->fields[column].type, x->cells[column], y->cells[column]);
        if (order != 0) {
            return order;
        }
    }
    return (x->index > y->index) - (x->index < y->index);
}

static void model_sort(Model *m, const Schema *schema, const size_t *key, size_t key_count)
{
    schema_of_test = schema;
    key_of_test = key;
    key_count_of_test = key_count;
    qsort(m->rows, m->count, sizeof(*m->rows), row_compare);
}

static void check_equal(Test *t, const char *what, const Schema *schema, const Model *got,
                        const Model *want)
{
    CHECK_EQ(got->count, want->count);
    for (size_t i = 0; i < got->count; i++) {
        for (size_t k = 0; k < schema->count; k++) {
            const Cell x = got->rows[i].cells[k];
            const Cell y = want->rows[i].cells[k];
            if (x.valid != y.valid || (x.valid && !str_eq(x.bytes, y.bytes))) {
                test_fail(t, __FILE__, __LINE__, "%s: row %zu, column '" STR_FMT "'", what, i,
                          STR_ARG(schema->fields[k].name));
            }
        }
    }
}

// --- random batches ------------------------------------------------------------------------------

static const Field all_fields[] = {
    {{"timestamp", 9}, COLUMN_TIMESTAMP, false},
    {{"host", 4}, COLUMN_STRING, true},
    {{"ok", 2}, COLUMN_BOOL, true},
    {{"i8", 2}, COLUMN_INT8, true},
    {{"i16", 3}, COLUMN_INT16, true},
    {{"i32", 3}, COLUMN_INT32, true},
    {{"i64", 3}, COLUMN_INT64, true},
    {{"u8", 2}, COLUMN_UINT8, true},
    {{"u16", 3}, COLUMN_UINT16, true},
    {{"u32", 3}, COLUMN_UINT32, true},
    {{"u64", 3}, COLUMN_UINT64, true},
    {{"f32", 3}, COLUMN_FLOAT, true},
    {{"f64", 3}, COLUMN_DOUBLE, true},
    {{"blob", 4}, COLUMN_BINARY, true},
    {{"day", 3}, COLUMN_DATE, true},
    {{"id", 2}, COLUMN_UUID, true},
    {{"tags", 4}, COLUMN_MAP, true},
};
static const Schema all_columns = {all_fields, ARRAY_LEN(all_fields)};
static const int64_t start_us = INT64_C(1763683200000000) - 60000000; // a minute before midnight

static void put_value(Test *t, Builder *b, ColumnType type, int64_t us)
{
    char text[40];
    const uint64_t r = test_random(t);
    (void)snprintf(text, sizeof(text), "value %u", (unsigned)(r % 30));
    const Str s = {text, r % 31 == 0 ? 0 : strlen(text)};
    switch (type) {
    case COLUMN_BOOL:
        builder_bool(b, r % 2 == 0);
        return;
    case COLUMN_INT8:
        builder_i64(b, (int64_t)(r % 256) - 128);
        return;
    case COLUMN_INT16:
    case COLUMN_INT32:
    case COLUMN_DATE:
        builder_i64(b, (int64_t)(r % 60000) - 30000);
        return;
    case COLUMN_INT64:
        builder_i64(b, (int64_t)(r >> (test_random(t) % 64)) - 5);
        return;
    case COLUMN_UINT8:
        builder_u64(b, r % 256);
        return;
    case COLUMN_UINT16:
    case COLUMN_UINT32:
        builder_u64(b, r % 65536);
        return;
    case COLUMN_UINT64:
        builder_u64(b, r >> (test_random(t) % 64));
        return;
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
        builder_f64(b, (double)(int64_t)(r % 2001) - 1000.5);
        return;
    case COLUMN_STRING:
    case COLUMN_BINARY:
        builder_str(b, s);
        return;
    case COLUMN_TIMESTAMP:
        builder_i64(b, us);
        return;
    case COLUMN_UUID: {
        uint8_t uuid[16] = {(uint8_t)r, 0, 0, 0, 0, 0, 0, 0, 0, (uint8_t)(r >> 8)};
        builder_uuid(b, uuid);
        return;
    }
    case COLUMN_MAP: {
        const Str keys[] = {STR("a"), STR("b")};
        const Str values[] = {s, STR("w")};
        builder_map(b, keys, values, r % 3);
        return;
    }
    }
}

// Each row `times` times, as runs.
static Vector repeat(Arena *arena, Vector v, uint32_t times)
{
    Vector *runs = arena_new(arena, Vector, 1);
    uint32_t *ends = arena_new(arena, uint32_t, v.row_count);
    *runs = v;
    for (uint32_t i = 0; i < v.row_count; i++) {
        ends[i] = (i + 1) * times;
    }
    return (Vector){.type = v.type,
                    .form = VECTOR_RUNS,
                    .row_count = v.row_count * times,
                    .run_count = v.row_count,
                    .run_ends = ends,
                    .runs = runs};
}

typedef struct Made { // a batch and what it borrows from
    Batch batch;
    Schema schema;
    Builder *builders[COLUMNS_MAX];
    Arena arena;
} Made;

// Some of the first `columns` columns, in any order, in any form.
static void batch_make(Test *t, Made *made, size_t columns, uint32_t rows_max, int64_t now_us)
{
    *made = (Made){.schema = {0}};
    const uint32_t rows = 1 + (uint32_t)(test_random(t) % rows_max);
    const uint32_t times = test_random(t) % 2 == 0 ? 1 : 2 + (uint32_t)(test_random(t) % 4);
    Field *fields = arena_new(&made->arena, Field, columns);
    Vector *vectors = arena_new(&made->arena, Vector, columns);
    const size_t first = test_random(t) % columns;
    size_t count = 0;
    for (size_t k = 0; k < columns; k++) {
        const size_t i = (first + k) % columns;
        if (i != 0 && test_random(t) % 5 == 0) {
            continue;
        }
        const bool nulls = i != 0 && test_random(t) % 2 == 0;
        const uint32_t n = i == 0 || times == 1 || k % 2 == 0 ? rows * times : rows;
        Builder *b = made->builders[count] = builder_new(all_fields[i].type);
        for (uint32_t row = 0; row < n; row++) {
            if (nulls && test_random(t) % 3 == 0) {
                builder_null(b);
            } else {
                put_value(t, b, all_fields[i].type, now_us + (int64_t)(test_random(t) % 50) * 1000);
            }
        }
        fields[count] = all_fields[i];
        vectors[count] = builder_vector(b);
        if (n != rows * times) {
            vectors[count] = repeat(&made->arena, vectors[count], times);
        }
        count++;
    }
    made->schema = (Schema){fields, count};
    made->batch = (Batch){&made->schema, vectors, rows * times};
}

static void made_deinit(Made *made)
{
    for (size_t i = 0; i < COLUMNS_MAX; i++) {
        builder_free(made->builders[i]);
    }
    arena_deinit(&made->arena);
}

// --- a log in memory -----------------------------------------------------------------------------

typedef struct Log {
    Buf frames[FRAMES_MAX];
    size_t count;
    bool fails;
} Log;

static Status log_append(void *ctx, Bytes payload, uint64_t *sequence, Err *err)
{
    Log *log = ctx;
    if (log->fails) {
        return err_set(err, ERR_UNAVAILABLE, "no log");
    }
    ASSERT(log->count < FRAMES_MAX);
    buf_init(&log->frames[log->count], 0);
    buf_put(&log->frames[log->count++], payload.ptr, payload.len);
    *sequence = log->count;
    return OK;
}

static void log_deinit(Log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        buf_deinit(&log->frames[i]);
    }
    mem_free(log);
}

static RowsHot *hot_new(Test *t, Log *log, size_t columns, const Str *key, size_t key_count)
{
    const TableDef def = {.name = STR("t"),
                          .schema = {all_fields, columns},
                          .sort_key = key,
                          .sort_key_count = key_count};
    RowsHotOptions options = {.def = &def, .nonce = 3};
    RowsHot *hot = NULL;
    Err err;
    if (log != NULL) {
        options.log = (RowsLog){log_append, log};
    }
    CHECK_OK(rows_hot_new(&options, &hot, &err));
    return hot;
}

static void append(Test *t, RowsHot *hot, const Batch *batch)
{
    uint64_t sequence = 0;
    Err err;
    CHECK_OK(rows_hot_append(hot, batch, &sequence, &err));
}

static void scan_collect(Test *t, RowsWindow *window, const Schema *schema, const ScanTest *tests,
                         size_t test_count, Model *out)
{
    size_t columns[COLUMNS_MAX];
    RowsScan *scan = NULL;
    Batch batch;
    Err err;
    uint64_t rows = 0;
    for (size_t i = 0; i < schema->count; i++) {
        columns[i] = i;
    }
    CHECK_OK(rows_scan_open(&(RowsScanOptions){.window = window,
                                               .schema = schema,
                                               .columns = columns,
                                               .column_count = schema->count,
                                               .tests = tests,
                                               .test_count = test_count},
                            &scan, &err));
    RowsScanWorker *worker = rows_scan_worker_new(scan);
    do {
        CHECK_OK(rows_scan_next(worker, &batch, &err));
        for (size_t i = 0; i < schema->count && batch.row_count != 0; i++) {
            CHECK_EQ(batch.columns[i].row_count, batch.row_count);
            CHECK_OK(vector_validate(&batch.columns[i], &err));
        }
        model_add(out, schema, &batch);
        rows += batch.row_count;
    } while (batch.row_count != 0);
    CHECK_EQ(rows, rows_scan_row_count(scan));
    rows_scan_worker_free(worker);
    rows_scan_close(scan);
}

static void run_collect(Test *t, RowsRun *run, const Schema *schema,
                        const RowsCursorOptions *options, Model *out)
{
    Batch batch;
    Err err;
    RowsCursor *cursor = rows_cursor_new(run, options);
    do {
        CHECK_OK(rows_cursor_next(cursor, &batch, &err));
        for (size_t i = 0; i < schema->count && batch.row_count != 0; i++) {
            CHECK_EQ(batch.columns[i].row_count, batch.row_count);
            CHECK_EQ(batch.columns[i].type, schema->fields[i].type);
            CHECK_OK(vector_validate(&batch.columns[i], &err));
        }
        model_add(out, schema, &batch);
    } while (batch.row_count != 0);
    rows_cursor_free(cursor);
}

static RowsRun *run_open(Test *t, RowsWindow *const *windows, size_t count, const Schema *schema)
{
    RowsRun *run = NULL;
    Err err;
    CHECK_OK(rows_run_open(
        &(RowsRunOptions){.windows = windows, .window_count = count, .schema = schema}, &run,
        &err));
    return run;
}

// --- what comes back -----------------------------------------------------------------------------

// The table begins with five columns; the others come up later. Two windows, one sealed.
static void check_rows(Test *t, const Str *key, size_t key_count, const size_t *key_columns,
                       size_t key_columns_count)
{
    Log *log = mem_new(Log, 1);
    RowsWindow *windows[2];
    Model all = {0};
    Model scanned = {0};
    Model sorted = {0};
    Model pieces = {0};
    RowsHot *hot = hot_new(t, log, 5, key, key_count);
    for (int i = 0; i < 30; i++) {
        Made made;
        batch_make(t, &made, i < 10 ? 5 : ARRAY_LEN(all_fields), 150, start_us + i * 5000000);
        append(t, hot, &made.batch);
        model_add(&all, &all_columns, &made.batch);
        made_deinit(&made);
        if (i == 14) {
            windows[0] = rows_hot_seal(hot);
        }
    }
    windows[1] = rows_hot_active(hot);
    for (size_t i = 0; i < 2; i++) {
        scan_collect(t, windows[i], &all_columns, NULL, 0, &scanned);
    }
    check_equal(t, "scan", &all_columns, &scanned, &all);
    RowsRun *run = run_open(t, windows, 2, &all_columns);
    run_collect(t, run, &all_columns, &(RowsCursorOptions){.rows_max = 1000}, &sorted);
    run_collect(t, run, &all_columns, &(RowsCursorOptions){.rows_max = 500, .text_bytes_max = 300},
                &pieces);
    RowsHot *again = hot_new(t, NULL, 5, key, key_count);
    uint64_t rows = 0;
    for (size_t i = 0; i < log->count; i++) {
        Err err;
        CHECK_OK(rows_hot_replay(again, i + 1, buf_bytes(&log->frames[i]), &rows, &err));
    }
    CHECK_EQ(rows, all.count);
    Model replayed = {0};
    RowsWindow *window = rows_hot_active(again);
    scan_collect(t, window, &all_columns, NULL, 0, &replayed);
    check_equal(t, "replay", &all_columns, &replayed, &all);
    model_sort(&all, &all_columns, key_columns, key_columns_count);
    check_equal(t, "run", &all_columns, &sorted, &all);
    check_equal(t, "run in pieces", &all_columns, &pieces, &all);
    rows_run_close(run);
    rows_window_unref(window);
    rows_window_unref(windows[0]);
    rows_window_unref(windows[1]);
    rows_hot_free(hot);
    rows_hot_free(again);
    model_deinit(&all);
    model_deinit(&scanned);
    model_deinit(&sorted);
    model_deinit(&pieces);
    model_deinit(&replayed);
    log_deinit(log);
}

TEST(rows_hot, rows_come_back_from_scans_runs_and_replay)
{
    const Str keys[] = {STR("host"), STR("i8"), STR("i16"), STR("ok")};
    const size_t columns[] = {1, 3, 4, 2, 0};
    check_rows(t, NULL, 0, columns + 4, 1);
    check_rows(t, keys, 1, (const size_t[]){1, 0}, 2);
    check_rows(t, keys, 4, columns, 5);
    check_rows(t, keys + 2, 1, (const size_t[]){4, 0}, 2);
}

// Every type as a sort key; here the table has all columns from the start.
TEST(rows_run, every_type_sorts)
{
    for (size_t column = 1; column < ARRAY_LEN(all_fields); column++) {
        if (all_fields[column].type == COLUMN_MAP) {
            continue;
        }
        Model all = {0};
        Model sorted = {0};
        RowsHot *hot = hot_new(t, NULL, ARRAY_LEN(all_fields), &all_fields[column].name, 1);
        for (int i = 0; i < 5; i++) {
            Made made;
            batch_make(t, &made, ARRAY_LEN(all_fields), 200, start_us);
            append(t, hot, &made.batch);
            model_add(&all, &all_columns, &made.batch);
            made_deinit(&made);
        }
        RowsWindow *window = rows_hot_seal(hot);
        RowsRun *run = run_open(t, &window, 1, &all_columns);
        run_collect(t, run, &all_columns, &(RowsCursorOptions){0}, &sorted);
        model_sort(&all, &all_columns, (const size_t[]){column, 0}, 2);
        check_equal(t, "run", &all_columns, &sorted, &all);
        rows_run_close(run);
        rows_window_unref(window);
        rows_hot_free(hot);
        model_deinit(&all);
        model_deinit(&sorted);
    }
}

// More values than a merged dictionary may have: the strings come flat, as key and otherwise.
TEST(rows_run, columns_of_many_values_are_flat)
{
    enum { ROWS = 100000 };
    static const Field fields[] = {{{"timestamp", 9}, COLUMN_TIMESTAMP, false},
                                   {{"k", 1}, COLUMN_STRING, true},
                                   {{"v", 1}, COLUMN_STRING, true}};
    const Schema schema = {fields, 3};
    const TableDef def = {
        .name = STR("t"), .schema = schema, .sort_key = &fields[1].name, .sort_key_count = 1};
    RowsHot *hot = NULL;
    Err err;
    Model all = {0};
    Model sorted = {0};
    Model scanned = {0};
    Builder *builders[3];
    Vector vectors[3];
    for (size_t i = 0; i < 3; i++) {
        builders[i] = builder_new(fields[i].type);
    }
    for (uint32_t i = 0; i < ROWS; i++) {
        char text[40];
        (void)snprintf(text, sizeof(text), "a common beginning %u", i * 2654435761U);
        builder_i64(builders[0], start_us + i);
        if (i % 100 == 7) {
            builder_null(builders[1]);
        } else {
            builder_str(builders[1], (Str){text, strlen(text)});
        }
        builder_str(builders[2], (Str){text + 9, strlen(text) - 9});
    }
    for (size_t i = 0; i < 3; i++) {
        vectors[i] = builder_vector(builders[i]);
    }
    CHECK_OK(rows_hot_new(&(RowsHotOptions){.def = &def, .nonce = 1}, &hot, &err));
    const Batch batch = {&schema, vectors, ROWS};
    append(t, hot, &batch);
    model_add(&all, &schema, &batch);
    RowsWindow *window = rows_hot_seal(hot);
    scan_collect(t, window, &schema, NULL, 0, &scanned);
    check_equal(t, "scan", &schema, &scanned, &all);
    RowsRun *run = run_open(t, &window, 1, &schema);
    run_collect(t, run, &schema, &(RowsCursorOptions){.text_bytes_max = 100000}, &sorted);
    model_sort(&all, &schema, (const size_t[]){1, 0}, 2);
    check_equal(t, "run", &schema, &sorted, &all);
    rows_run_close(run);
    rows_window_unref(window);
    rows_hot_free(hot);
    for (size_t i = 0; i < 3; i++) {
        builder_free(builders[i]);
    }
    model_deinit(&all);
    model_deinit(&sorted);
    model_deinit(&scanned);
}

TEST(rows_run, days_split_the_rows)
{
    Arena arena = {0};
    Model all = {0};
    Model split = {0};
    RowsHot *hot = hot_new(t, NULL, 5, NULL, 0);
    for (int i = 0; i < 10; i++) {
        Made made;
        batch_make(t, &made, 5, 50, start_us + i * INT64_C(50000000000));
        append(t, hot, &made.batch);
        model_add(&all, &all_columns, &made.batch);
        made_deinit(&made);
    }
    RowsWindow *window = rows_hot_seal(hot);
    RowsRun *run = run_open(t, &window, 1, &all_columns);
    RowsRunDay *days = NULL;
    size_t count = 0;
    rows_run_days(run, &arena, &days, &count);
    CHECK_EQ(count, 7);
    for (size_t i = 0; i < count; i++) {
        const int64_t from = days[i].day * INT64_C(86400000000);
        const size_t before = split.count;
        run_collect(t, run, &all_columns,
                    &(RowsCursorOptions){.min_us = from, .max_us = from + 86399999999}, &split);
        CHECK_EQ(split.count - before, days[i].row_count);
    }
    model_sort(&all, &all_columns, (const size_t[]){0}, 1);
    check_equal(t, "days", &all_columns, &split, &all);
    rows_run_close(run);
    rows_window_unref(window);
    rows_hot_free(hot);
    model_deinit(&all);
    model_deinit(&split);
    arena_deinit(&arena);
}

TEST(rows_scan, blocks_out_of_range_and_absent_values_are_left_out)
{
    Model none = {0};
    Model some = {0};
    RowsHot *hot = hot_new(t, NULL, 5, NULL, 0);
    for (int i = 0; i < 5; i++) {
        Made made;
        batch_make(t, &made, 5, 50, start_us);
        append(t, hot, &made.batch);
        made_deinit(&made);
    }
    RowsWindow *window = rows_hot_active(hot);
    const ScanValue present = {.bytes = {(const uint8_t *)"value 7", 7}};
    const ScanValue absent = {.bytes = {(const uint8_t *)"value 77", 8}};
    const ScanTest later = {
        .kind = SCAN_TEST_RANGE, .has_min = true, .min = {.i64 = start_us + 60000000}};
    const ScanTest has = {.column = 1, .kind = SCAN_TEST_IN, .values = &present, .value_count = 1};
    const ScanTest lacks = {.column = 1, .kind = SCAN_TEST_IN, .values = &absent, .value_count = 1};
    scan_collect(t, window, &all_columns, &later, 1, &none);
    scan_collect(t, window, &all_columns, &lacks, 1, &none);
    CHECK_EQ(none.count, 0);
    scan_collect(t, window, &all_columns, &has, 1, &some);
    CHECK(some.count != 0);
    rows_window_unref(window);
    rows_hot_free(hot);
    model_deinit(&none);
    model_deinit(&some);
}

// --- what is refused -----------------------------------------------------------------------------

static Batch one_row(Arena *arena, const Field *fields, const Vector *vectors, size_t count)
{
    Schema *schema = arena_new(arena, Schema, 1);
    *schema = (Schema){fields, count};
    return (Batch){schema, vectors, 1};
}

TEST(rows_hot, bad_batches_are_refused_and_change_nothing)
{
    static const int64_t now = 1763683200000000;
    static const int64_t never = INT64_MAX;
    const Vector time = vector_constant_fixed(COLUMN_TIMESTAMP, &now, 1, &t->arena);
    const Vector no_time = vector_nulls(COLUMN_TIMESTAMP, 1, &t->arena);
    const Vector bad_time = vector_constant_fixed(COLUMN_TIMESTAMP, &never, 1, &t->arena);
    const Vector text = vector_constant_str(COLUMN_STRING, STR("x"), 1, &t->arena);
    char *big = arena_new(&t->arena, char, ROWS_VALUE_BYTES_MAX + 1);
    const Vector at_limit =
        vector_constant_str(COLUMN_STRING, (Str){big, ROWS_VALUE_BYTES_MAX}, 1, &t->arena);
    const Vector too_big =
        vector_constant_str(COLUMN_STRING, (Str){big, ROWS_VALUE_BYTES_MAX + 1}, 1, &t->arena);
    const Field timestamp = {STR("timestamp"), COLUMN_TIMESTAMP, false};
    const struct {
        const char *why;
        Field fields[2];
        Vector vectors[2];
        size_t count;
        Status status;
    } cases[] = {
        {"no time column", {{STR("host"), COLUMN_STRING, true}}, {text}, 1, ERR_INVALID},
        {"time is null", {timestamp}, {no_time}, 1, ERR_INVALID},
        {"time out of range", {timestamp}, {bad_time}, 1, ERR_INVALID},
        {"other type", {timestamp, {STR("i8"), COLUMN_STRING, true}}, {time, text}, 2, ERR_INVALID},
        {"twice", {timestamp, timestamp}, {time, time}, 2, ERR_INVALID},
        {"case", {timestamp, {STR("HOST"), COLUMN_STRING, true}}, {time, text}, 2, ERR_INVALID},
        {"reserved", {timestamp, {STR("Date"), COLUMN_STRING, true}}, {time, text}, 2, ERR_INVALID},
        {"bad name", {timestamp, {STR("a b"), COLUMN_STRING, true}}, {time, text}, 2, ERR_INVALID},
        {"too big",
         {timestamp, {STR("host"), COLUMN_STRING, true}},
         {time, too_big},
         2,
         ERR_TOO_LARGE},
        {"at the limit", {timestamp, {STR("host"), COLUMN_STRING, true}}, {time, at_limit}, 2, OK},
    };
    static const Field fields[] = {{{"timestamp", 9}, COLUMN_TIMESTAMP, false},
                                   {{"host", 4}, COLUMN_STRING, true},
                                   {{"i8", 2}, COLUMN_INT8, true}};
    const TableDef def = {.name = STR("t"), .schema = {fields, 3}};
    RowsHot *hot = NULL;
    Err err;
    CHECK_OK(rows_hot_new(&(RowsHotOptions){.def = &def, .nonce = 1}, &hot, &err));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t sequence = 0;
        Schema schema;
        const Batch batch = one_row(&t->arena, cases[i].fields, cases[i].vectors, cases[i].count);
        const Status st = rows_hot_append(hot, &batch, &sequence, &err);
        if (st != cases[i].status) {
            test_fail(t, __FILE__, __LINE__, "%s: %d", cases[i].why, (int)st);
        }
        rows_hot_schema(hot, &t->arena, &schema);
        CHECK_EQ(schema.count, 3);
        RowsWindow *window = rows_hot_active(hot);
        RowsWindowInfo info;
        rows_window_info(window, &info);
        CHECK_EQ(info.row_count, cases[i].status == OK);
        rows_window_unref(window);
    }
    rows_hot_free(hot);
}

TEST(rows_hot, a_failing_log_applies_nothing)
{
    Log *log = mem_new(Log, 1);
    Made made;
    uint64_t sequence = 0;
    Err err;
    RowsHot *hot = hot_new(t, log, 5, NULL, 0);
    batch_make(t, &made, ARRAY_LEN(all_fields), 10, start_us);
    log->fails = true;
    CHECK_EQ(rows_hot_append(hot, &made.batch, &sequence, &err), ERR_UNAVAILABLE);
    CHECK(rows_hot_seal(hot) == NULL);
    log->fails = false;
    append(t, hot, &made.batch);
    RowsWindow *window = rows_hot_seal(hot);
    CHECK(window != NULL);
    CHECK(rows_hot_seal(hot) == NULL);
    rows_window_unref(window);
    rows_hot_free(hot);
    made_deinit(&made);
    log_deinit(log);
}

TEST(rows_hot, broken_frames_are_refused)
{
    Log *log = mem_new(Log, 1);
    Made made;
    Err err;
    uint64_t rows = 0;
    RowsHot *hot = hot_new(t, log, 5, NULL, 0);
    batch_make(t, &made, ARRAY_LEN(all_fields), 10, start_us);
    append(t, hot, &made.batch);
    RowsHot *again = hot_new(t, NULL, 5, NULL, 0);
    const Bytes frame = buf_bytes(&log->frames[0]);
    for (size_t len = 0; len < frame.len; len++) {
        CHECK_EQ(rows_hot_replay(again, 1, (Bytes){frame.ptr, len}, &rows, &err), ERR_CORRUPT);
    }
    for (int i = 0; i < 3000; i++) { // flipped bits: refused, or other values, but never a crash
        Buf copy;
        buf_init(&copy, 0);
        buf_put(&copy, frame.ptr, frame.len);
        copy.ptr[test_random(t) % frame.len] ^= (uint8_t)(1U << test_random(t) % 8);
        (void)rows_hot_replay(again, 1, buf_bytes(&copy), &rows, &err);
        buf_deinit(&copy);
    }
    Model model = {0};
    Schema schema;
    RowsWindow *window = rows_hot_active(again);
    scan_collect(t, window, &(Schema){all_fields, 5}, NULL, 0, &model);
    rows_hot_schema(again, &t->arena, &schema);
    rows_window_unref(window);
    model_deinit(&model);
    rows_hot_free(hot);
    rows_hot_free(again);
    made_deinit(&made);
    log_deinit(log);
}
