// SPDX-License-Identifier: Apache-2.0
#include "sql/sql_test_support.h"

#include "base/mem.h"
#include "series/labels.h"
#include "sql/format.h"

#include <math.h>
#include <stdio.h>

#define DAY_US (INT64_C(86400) * 1000000)
enum { FIXTURE_SOMETIMES_FROM = 15000 };

#define START_US (20454 * DAY_US) // 2026-01-01

static const Field fields[FIXTURE_COLUMNS] = {
    {STR("timestamp"), COLUMN_TIMESTAMP, false},
    {STR("n"), COLUMN_INT64, true},
    {STR("flag"), COLUMN_BOOL, true},
    {STR("i8"), COLUMN_INT8, true},
    {STR("i16"), COLUMN_INT16, true},
    {STR("i32"), COLUMN_INT32, true},
    {STR("i64"), COLUMN_INT64, true},
    {STR("u8"), COLUMN_UINT8, true},
    {STR("u16"), COLUMN_UINT16, true},
    {STR("u32"), COLUMN_UINT32, true},
    {STR("u64"), COLUMN_UINT64, true},
    {STR("f"), COLUMN_FLOAT, true},
    {STR("d"), COLUMN_DOUBLE, true},
    {STR("few"), COLUMN_STRING, true},
    {STR("many"), COLUMN_STRING, true},
    {STR("Host"), COLUMN_STRING, true},
    {STR("bin"), COLUMN_BINARY, true},
    {STR("day"), COLUMN_DATE, true},
    {STR("id"), COLUMN_UUID, true},
    {STR("tags"), COLUMN_MAP, true},
    {STR("sometimes"), COLUMN_STRING, true},
};

// --- rows --------------------------------------------------------------------------------------

static const double doubles[] = {
    0, -0.0, 1, -1, 0.5, 80, 80.5, 1e300, -1e300, (double)INFINITY, -(double)INFINITY, (double)NAN};

static void put_integer(Builder *b, ColumnType type, Rng *rng)
{
    static const int64_t values[] = {0,     1,         -1,        7,          80,        100,
                                     127,   -128,      255,       32767,      -32768,    65535,
                                     70000, INT32_MAX, INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN};
    const int64_t v = values[rng_below(rng, ARRAY_LEN(values))];
    switch (type) {
    case COLUMN_INT8:
        builder_i64(b, (int8_t)v);
        return;
    case COLUMN_INT16:
        builder_i64(b, (int16_t)v);
        return;
    case COLUMN_INT32:
        builder_i64(b, (int32_t)v);
        return;
    case COLUMN_UINT8:
        builder_u64(b, (uint8_t)v);
        return;
    case COLUMN_UINT16:
        builder_u64(b, (uint16_t)v);
        return;
    case COLUMN_UINT32:
        builder_u64(b, (uint32_t)v);
        return;
    case COLUMN_UINT64:
        builder_u64(b, (uint64_t)v);
        return;
    case COLUMN_INT64:
    case COLUMN_BOOL:
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
    case COLUMN_STRING:
    case COLUMN_BINARY:
    case COLUMN_TIMESTAMP:
    case COLUMN_DATE:
    case COLUMN_UUID:
    case COLUMN_MAP:
        builder_i64(b, v);
        return;
    }
    UNREACHABLE();
}

// `v` between two texts.
static Str text(Arena *arena, const char *head, uint64_t v, const char *tail)
{
    char buf[64];
    const int len = snprintf(buf, sizeof(buf), "%s%06" PRIu64 "%s", head, v, tail);
    return arena_str(arena, (Str){buf, (size_t)len});
}

static void put_tags(Builder *b, Rng *rng, Arena *arena)
{
    Str keys[3];
    Str values[3];
    size_t count = 0;
    for (uint64_t k = 0; k < 3; k++) {
        if (rng_below(rng, 2) == 0) {
            keys[count] = text(arena, "key-number-", k, "");
            values[count++] = text(arena, "the value with number ", rng_below(rng, 4), "");
        }
    }
    builder_map(b, keys, values, count);
}

static void put_value(Builder *b, size_t column, int64_t n, Rng *rng, Arena *arena)
{
    const ColumnType type = fields[column].type;
    const Str name = fields[column].name;
    uint8_t uuid[16] = {0};
    if (type == COLUMN_TIMESTAMP) { // five days, not quite in order
        builder_i64(b,
                    START_US + n * (5 * DAY_US / FIXTURE_ROWS) - (int64_t)rng_below(rng, 60000000));
    } else if (str_eq(name, STR("n"))) {
        builder_i64(b, n);
    } else if (rng_below(rng, 5) == 0) {
        builder_null(b);
    } else if (type == COLUMN_BOOL) {
        builder_bool(b, rng_below(rng, 2) == 0);
    } else if (type == COLUMN_FLOAT || type == COLUMN_DOUBLE) {
        builder_f64(b, doubles[rng_below(rng, ARRAY_LEN(doubles) - (n % 3 == 0))]);
    } else if (str_eq(name, STR("few")) || str_eq(name, STR("sometimes"))) {
        builder_str(b, text(arena, "value ", rng_below(rng, 12), ""));
    } else if (str_eq(name, STR("Host"))) { // long runs, longer than what DuckDB keeps in place
        builder_str(b, text(arena, "host-", (uint64_t)n / 5000, ".example.net"));
    } else if (type == COLUMN_STRING || type == COLUMN_BINARY) {
        builder_str(b, text(arena, "a text of its own ", rng_below(rng, 1 << 20), ""));
    } else if (type == COLUMN_DATE) {
        builder_i64(b, (int64_t)rng_below(rng, 400) - 200);
    } else if (type == COLUMN_UUID) {
        uuid[0] = (uint8_t)rng_below(rng, 256);
        uuid[15] = (uint8_t)rng_below(rng, 4);
        builder_uuid(b, uuid);
    } else if (type == COLUMN_MAP) {
        put_tags(b, rng, arena);
    } else {
        put_integer(b, type, rng);
    }
}

static void make_rows(Fixture *f, Rng *rng)
{
    f->schema = (Schema){.fields = fields, .count = FIXTURE_COLUMNS};
    for (size_t i = 0; i < FIXTURE_COLUMNS; i++) {
        f->builders[i] = builder_new(fields[i].type);
        for (int64_t n = 0; n < FIXTURE_ROWS; n++) {
            if (str_eq(fields[i].name, STR("sometimes")) && n < FIXTURE_SOMETIMES_FROM) {
                builder_null(f->builders[i]);
            } else {
                put_value(f->builders[i], i, n, rng, &f->arena);
            }
        }
        f->columns[i] = builder_vector(f->builders[i]);
    }
}

static Status write_rows(const Fixture *f, uint32_t from, uint32_t count, Err *err)
{
    Arena arena = {0};
    Vector columns[FIXTURE_COLUMNS];
    const size_t column_count =
        from < FIXTURE_SOMETIMES_FROM ? FIXTURE_COLUMNS - 1 : FIXTURE_COLUMNS;
    const Schema schema = {.fields = fields, .count = column_count};
    for (size_t i = 0; i < column_count; i++) {
        columns[i] = vector_slice(&f->columns[i], from, count, &arena);
    }
    const Batch batch = {.schema = &schema, .columns = columns, .row_count = count};
    const Status st = store_write_rows(f->store, STR("things"), &batch, err);
    arena_deinit(&arena);
    return st;
}

static Status fill_things(Fixture *f, Err *err)
{
    static const Str sort_key[] = {STR("Host"), STR("few")};
    static const Str bloom[] = {STR("many"), STR("id"), STR("i32"), STR("d")};
    static const uint32_t parts[] = {0, FIXTURE_SOMETIMES_FROM, 30000, 36000, FIXTURE_ROWS};
    const TableDef def = {.name = STR("things"),
                          .schema = {.fields = fields, .count = FIXTURE_COLUMNS - 1},
                          .sort_key = sort_key,
                          .sort_key_count = ARRAY_LEN(sort_key),
                          .bloom_columns = bloom,
                          .bloom_column_count = ARRAY_LEN(bloom)};
    TRY(store_create_table(f->store, &def, err));
    for (size_t i = 0; i + 1 < ARRAY_LEN(parts); i++) {
        TRY(write_rows(f, parts[i], parts[i + 1] - parts[i], err));
        if (i + 2 < ARRAY_LEN(parts)) {
            TRY(store_flush(f->store, STR("things"), err));
        }
    }
    return OK;
}

// --- metrics -----------------------------------------------------------------------------------

Status fixture_write_sample(Store *store, const Label *labels, size_t count, int64_t second,
                            double value, Err *err)
{
    MetricsResult result;
    Buf wire = {0};
    const LabelSet set = {.labels = labels, .count = count};
    const int64_t timestamp_ms = START_US / 1000 + second * 1000;
    buf_init(&wire, 0);
    labels_encode(&set, &wire);
    const MetricsSeries series = {.labels = buf_bytes(&wire), .sample_count = 1};
    const MetricsBatch batch = {
        .series = &series, .series_count = 1, .timestamps_ms = &timestamp_ms, .values = &value};
    const Status st = store_write_metrics(store, &batch, &result, err);
    buf_deinit(&wire);
    ASSERT(st != OK || result.samples_written == 1);
    return st;
}

static Status fill_metrics(Fixture *f, Err *err)
{
    // Labels are sorted by name.
    static const Label up_a[] = {{STR("__name__"), STR("up")}, {STR("pod"), STR("a")}};
    static const Label up_b[] = {{STR("__name__"), STR("up")},
                                 {STR("job"), STR("a job with a long name")},
                                 {STR("pod"), STR("b")}};
    static const Label up_c[] = {{STR("Pod"), STR("differs in case")},
                                 {STR("__name__"), STR("up")},
                                 {STR("a.dotted"), STR("name")},
                                 {STR("pod"), STR("c")},
                                 {STR("zone-id"), STR("z")}};
    static const Label cpu_a[] = {{STR("__name__"), STR("cpu")}, {STR("pod"), STR("a")}};
    static const Label cpu_none[] = {{STR("__name__"), STR("cpu")}};
    for (int64_t second = 0; second < 10; second++) {
        const double v = (double)second;
        if (second == 9) {
            TRY(store_flush(f->store, STR("metrics"), err));
        }
        TRY(fixture_write_sample(f->store, up_a, ARRAY_LEN(up_a), second, v, err));
        TRY(fixture_write_sample(f->store, up_b, ARRAY_LEN(up_b), second, v + 10, err));
        TRY(fixture_write_sample(f->store, up_c, ARRAY_LEN(up_c), second, v + 20, err));
        TRY(fixture_write_sample(f->store, cpu_a, ARRAY_LEN(cpu_a), second, v / 4, err));
        TRY(fixture_write_sample(f->store, cpu_none, ARRAY_LEN(cpu_none), second, v / 8, err));
    }
    return OK;
}

// --- the fixture -------------------------------------------------------------------------------

Fixture *fixture_new(Test *t)
{
    Err err;
    Fixture *f = mem_new(Fixture, 1);
    Rng rng = {t->seed};
    f->dir = arena_str(&f->arena, test_dir(t));
    const StoreOptions store = {.os = os_posix(), .dir = f->dir, .manual = true};
    CHECK_OK(store_open(&store, &f->store, NULL, &err));
    const SqlOptions sql = {.os = os_posix(), .store = f->store, .threads = 2};
    CHECK_OK(sql_engine_new(&sql, &f->engine, &err));
    SqlOptions naive = sql;
    naive.no_pushdown = true;
    CHECK_OK(sql_engine_new(&naive, &f->naive, &err));
    make_rows(f, &rng);
    CHECK_OK(fill_things(f, &err));
    CHECK_OK(fill_metrics(f, &err));
    return f;
}

void fixture_free(Fixture *f)
{
    Err err;
    sql_engine_free(f->engine);
    sql_engine_free(f->naive);
    ASSERT(store_close(f->store, false, &err) == OK);
    for (size_t i = 0; i < FIXTURE_COLUMNS; i++) {
        builder_free(f->builders[i]);
    }
    arena_deinit(&f->arena);
    mem_free(f);
}

// --- asking ------------------------------------------------------------------------------------

static void put_rows(const Batch *batch, Buf *out)
{
    for (uint32_t row = 0; row < batch->row_count; row++) {
        for (size_t i = 0; i < batch->schema->count; i++) {
            const Vector *flat = NULL;
            uint32_t at = 0;
            buf_put_str(out, i == 0 ? (out->len == 0 ? STR("") : STR("\n")) : STR("|"));
            if (vector_locate(&batch->columns[i], row, &flat, &at)) {
                sql_format_value(&batch->columns[i], row, out);
            } else {
                buf_put_str(out, STR("NULL"));
            }
        }
    }
}

Str ask(Test *t, SqlEngine *engine, Str statement)
{
    Err err;
    SqlRun *run = NULL;
    Batch batch = {.row_count = 1};
    Buf out = {0};
    const SqlQueryOptions options = {.exact_text = true};
    buf_init(&out, 0);
    Status st = sql_query(engine, statement, &options, &run, &err);
    while (st == OK && batch.row_count > 0) {
        st = sql_run_next(run, &batch, &err);
        if (st == OK) {
            put_rows(&batch, &out);
        }
    }
    sql_run_close(run);
    if (st != OK) {
        buf_clear(&out);
        buf_putf(&out, "error: %s: %s", err_status_text(st), err.msg);
    }
    const Str text = arena_str(&t->arena, buf_str(&out));
    buf_deinit(&out);
    return text;
}
