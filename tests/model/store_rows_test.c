// SPDX-License-Identifier: Apache-2.0
//
// Random writes, widenings, flushes, reopenings and scans of typed tables against a list of rows.
#include "base/mem.h"
#include "column/builder.h"
#include "os/sim.h"
#include "store/scan.h"
#include "store/store.h"

#include "tests/support/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DAY_US INT64_C(86400000000)
#define START_US (20000 * DAY_US + 80000000000)

static const Field pool[] = {
    // the first is always there
    {.name = {"timestamp", 9}, .type = COLUMN_TIMESTAMP},
    {.name = {"id", 2}, .type = COLUMN_INT64},
    {.name = {"s", 1}, .type = COLUMN_STRING},
    {.name = {"d", 1}, .type = COLUMN_DOUBLE},
    {.name = {"b", 1}, .type = COLUMN_BOOL},
    {.name = {"u", 1}, .type = COLUMN_UINT32},
    {.name = {"f", 1}, .type = COLUMN_FLOAT},
    {.name = {"i8", 2}, .type = COLUMN_INT8},
    {.name = {"day", 3}, .type = COLUMN_DATE},
    {.name = {"uu", 2}, .type = COLUMN_UUID},
    {.name = {"bin", 3}, .type = COLUMN_BINARY},
    {.name = {"u64", 3}, .type = COLUMN_UINT64},
    {.name = {"m", 1}, .type = COLUMN_MAP},
    {.name = {"S2", 2}, .type = COLUMN_STRING},
};
enum { POOL = ARRAY_LEN(pool), BATCH_ROWS_MAX = 50 };

typedef struct Rows { // as text, one per row
    Str *texts;
    size_t count, cap;
    Arena arena;
} Rows;

static void rows_push(Rows *rows, Str text)
{
    rows->texts = mem_grow(rows->texts, &rows->cap, rows->count + 1, sizeof(*rows->texts));
    rows->texts[rows->count++] = arena_str(&rows->arena, text);
}

static void rows_deinit(Rows *rows)
{
    arena_deinit(&rows->arena);
    mem_free(rows->texts);
}

static int compare_texts(const void *a, const void *b)
{
    const Str x = *(const Str *)a;
    const Str y = *(const Str *)b;
    const size_t n = x.len < y.len ? x.len : y.len;
    const int order = n == 0 ? 0 : memcmp(x.ptr, y.ptr, n);
    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

typedef struct World {
    Test *t;
    OsSim *sim;
    Store *store;
    Rows tables[2]; // what was written to "events" and "flows"
    int64_t now_us;
    StoreOptions options;
} World;

static const Str table_names[] = {{"events", 6}, {"flows", 5}};

static uint64_t below(World *w, uint64_t n)
{
    return test_random(w->t) % n;
}

// --- rows as text --------------------------------------------------------------------------------

static void put_fixed(Buf *out, const Vector *flat, uint32_t at)
{
    const size_t size = column_type_size(flat->type);
    if (flat->type == COLUMN_FLOAT) {
        buf_putf(out, "%.9g", (double)((const float *)flat->data)[at]);
    } else if (flat->type == COLUMN_DOUBLE) {
        buf_putf(out, "%.17g", ((const double *)flat->data)[at]);
    } else {
        for (size_t i = 0; i < size; i++) {
            buf_putf(out, "%02x", ((const uint8_t *)flat->data)[at * size + i]);
        }
    }
}

static void put_value(Buf *out, const Vector *flat, uint32_t at)
{
    if (flat->type == COLUMN_MAP) {
        for (uint32_t e = flat->offsets[at]; e < flat->offsets[at + 1]; e++) {
            const Vector *part;
            uint32_t i;
            ASSERT(vector_locate(flat->keys, e, &part, &i));
            buf_put_str(out, vector_flat_str(part, i));
            buf_put_u8(out, ':');
            ASSERT(vector_locate(flat->values, e, &part, &i));
            buf_put_str(out, vector_flat_str(part, i));
            buf_put_u8(out, ',');
        }
    } else if (column_type_size(flat->type) == 0) {
        buf_put_str(out, vector_flat_str(flat, at));
    } else {
        put_fixed(out, flat, at);
    }
}

// "name=value;" of what is not null, in the order of the names.
static void put_row(Buf *out, const Batch *batch, uint32_t row)
{
    size_t order[POOL + 32];
    size_t n = 0;
    for (size_t i = 0; i < batch->schema->count; i++) {
        size_t at = n++;
        for (; at > 0 && compare_texts(&batch->schema->fields[i].name,
                                       &batch->schema->fields[order[at - 1]].name) < 0;
             at--) {
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
    for (size_t k = 0; k < n; k++) {
        const Vector *flat;
        uint32_t at;
        if (vector_locate(&batch->columns[order[k]], row, &flat, &at)) {
            buf_put_str(out, batch->schema->fields[order[k]].name);
            buf_put_u8(out, '=');
            put_value(out, flat, at);
            buf_put_u8(out, ';');
        }
    }
}

// --- writing -------------------------------------------------------------------------------------

static void build_value(World *w, Builder *b, ColumnType type)
{
    static const Str texts[] = {
        {"", 0}, {"a", 1}, {"bb", 2}, {"\xE2\x82\xAC", 3}, {"long text, but not too long", 27}};
    const int64_t n = (int64_t)below(w, 40) - 10;
    uint8_t uuid[16];
    switch (type) {
    case COLUMN_BOOL:
        builder_bool(b, n > 0);
        return;
    case COLUMN_UINT8:
    case COLUMN_UINT16:
    case COLUMN_UINT32:
    case COLUMN_UINT64:
        builder_u64(b, below(w, 8) == 0 && type == COLUMN_UINT64 ? UINT64_MAX : below(w, 30));
        return;
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
        builder_f64(b, below(w, 10) == 0   ? (double)NAN
                       : below(w, 10) == 0 ? (double)INFINITY
                                           : (double)n / 4);
        return;
    case COLUMN_STRING:
    case COLUMN_BINARY:
        builder_str(b, texts[below(w, ARRAY_LEN(texts))]);
        return;
    case COLUMN_UUID:
        memset(uuid, (int)below(w, 4), sizeof(uuid));
        builder_uuid(b, uuid);
        return;
    case COLUMN_MAP: {
        const Str keys[] = {{"k1", 2}, {"k2", 2}};
        builder_map(b, keys, &texts[1], below(w, 3));
        return;
    }
    case COLUMN_INT8:
    case COLUMN_INT16:
    case COLUMN_INT32:
    case COLUMN_INT64:
    case COLUMN_TIMESTAMP:
    case COLUMN_DATE:
        builder_i64(b, n);
        return;
    }
    UNREACHABLE();
}

static int64_t random_time(World *w)
{
    w->now_us += (int64_t)below(w, 1000000000);
    return below(w, 6) == 0 ? w->now_us - (int64_t)below(w, 3 * (uint64_t)DAY_US) : w->now_us;
}

static void world_write(World *w, size_t table)
{
    Test *t = w->t;
    Err err;
    Field fields[POOL];
    Builder *builders[POOL];
    Vector columns[POOL];
    size_t count = 0;
    const uint32_t rows = 1 + (uint32_t)below(w, BATCH_ROWS_MAX);
    for (size_t i = 0; i < POOL; i++) {
        if (i > 0 && below(w, 3) != 0) {
            continue;
        }
        fields[count] = pool[i];
        fields[count].nullable = true;
        builders[count] = builder_new(pool[i].type);
        for (uint32_t row = 0; row < rows; row++) {
            if (i == 0) {
                builder_i64(builders[count], random_time(w));
            } else if (below(w, 5) == 0) {
                builder_null(builders[count]);
            } else {
                build_value(w, builders[count], pool[i].type);
            }
        }
        columns[count] = builder_vector(builders[count]);
        count++;
    }
    const Schema schema = {.fields = fields, .count = count};
    const Batch batch = {.schema = &schema, .columns = columns, .row_count = rows};
    CHECK_OK(store_write_rows(w->store, table_names[table], &batch, &err));
    for (uint32_t row = 0; row < rows; row++) {
        Buf text;
        buf_init(&text, 0);
        put_row(&text, &batch, row);
        rows_push(&w->tables[table], buf_str(&text));
        buf_deinit(&text);
    }
    for (size_t i = 0; i < count; i++) {
        builder_free(builders[i]);
    }
}

// --- reading -------------------------------------------------------------------------------------

static ScanValue value_at(const Vector *flat, uint32_t at)
{
    ScanValue v = {0};
    const size_t size = column_type_size(flat->type);
    if (flat->type == COLUMN_DOUBLE) {
        v.f64 = ((const double *)flat->data)[at];
    } else if (flat->type == COLUMN_FLOAT) {
        v.f64 = (double)((const float *)flat->data)[at];
    } else if (flat->type == COLUMN_UUID) {
        v.bytes = (Bytes){.ptr = (const uint8_t *)flat->data + (size_t)at * 16, .len = 16};
    } else if (size == 0) {
        const Str s = vector_flat_str(flat, at);
        v.bytes = (Bytes){.ptr = (const uint8_t *)s.ptr, .len = s.len};
    } else {
        uint64_t bits = 0;
        memcpy(&bits, (const uint8_t *)flat->data + at * size, size);
        const unsigned shift = 64 - 8 * (unsigned)size;
        const bool is_signed =
            flat->type != COLUMN_UINT32 && flat->type != COLUMN_UINT64 && flat->type != COLUMN_BOOL;
        v.i64 = is_signed ? (int64_t)(bits << shift) >> shift : (int64_t)bits;
    }
    return v;
}

static int compare_values(ColumnType type, ScanValue a, ScanValue b)
{
    if (type == COLUMN_DOUBLE || type == COLUMN_FLOAT) {
        return (a.f64 > b.f64) - (a.f64 < b.f64); // NaN is alike to everything, and so passes
    }
    if (type == COLUMN_UINT64) {
        return ((uint64_t)a.i64 > (uint64_t)b.i64) - ((uint64_t)a.i64 < (uint64_t)b.i64);
    }
    if (column_type_size(type) == 0 || type == COLUMN_UUID) {
        return compare_texts(&(Str){(const char *)a.bytes.ptr, a.bytes.len},
                             &(Str){(const char *)b.bytes.ptr, b.bytes.len});
    }
    return (a.i64 > b.i64) - (a.i64 < b.i64);
}

static bool row_meets(const ScanTest *test, const Batch *batch, uint32_t row)
{
    const Vector *flat;
    uint32_t at;
    const bool has = vector_locate(&batch->columns[test->column], row, &flat, &at);
    if (test->kind == SCAN_TEST_IS_NULL || test->kind == SCAN_TEST_NOT_NULL || !has) {
        const bool of_value = test->kind == SCAN_TEST_IN || test->kind == SCAN_TEST_RANGE;
        return (!has && of_value && test->or_null) || (has == (test->kind == SCAN_TEST_NOT_NULL) &&
                                                       (has || test->kind == SCAN_TEST_IS_NULL));
    }
    const ScanValue v = value_at(flat, at);
    if (test->kind == SCAN_TEST_RANGE) {
        return !(test->has_min && compare_values(flat->type, v, test->min) < 0) &&
               !(test->has_max && compare_values(flat->type, v, test->max) > 0);
    }
    for (size_t i = 0; i < test->value_count; i++) {
        if (compare_values(flat->type, v, test->values[i]) == 0) {
            return true;
        }
    }
    return false;
}

// Reads all columns; rows that do not meet `filter` (NULL: all do) are left out here.
static void read_rows(World *w, Str table, const ScanOptions *options, const ScanTest *filter,
                      size_t filter_count, bool with_date, Rows *out)
{
    Test *t = w->t;
    Err err;
    Snapshot *snapshot;
    Scan *scan;
    ScanWorker *worker;
    CHECK_OK(snapshot_open(w->store, table, &snapshot, &err));
    ScanOptions all = *options;
    const size_t count = snapshot_schema(snapshot)->count;
    size_t *columns = arena_new(&t->arena, size_t, count);
    for (size_t i = 0; i < count; i++) {
        columns[i] = i;
    }
    all.columns = columns;
    all.column_count = count;
    CHECK_OK(scan_open(snapshot, &all, &scan, &err));
    CHECK_OK(scan_worker_open(scan, &worker, &err));
    for (;;) {
        Batch batch;
        CHECK_OK(scan_worker_next(worker, &batch, &err));
        if (batch.row_count == 0) {
            break;
        }
        Vector *kept = arena_new(&t->arena, Vector, count);
        memcpy(kept, batch.columns, count * sizeof(*kept));
        const size_t date = schema_find(batch.schema, STR("date"));
        if (!with_date) {
            kept[date] = vector_nulls(COLUMN_DATE, batch.row_count, &t->arena);
        }
        const Batch narrow = {
            .schema = batch.schema, .columns = kept, .row_count = batch.row_count};
        for (size_t i = 0; i < count; i++) {
            CHECK_OK(vector_validate(&batch.columns[i], &err));
        }
        for (uint32_t row = 0; row < batch.row_count; row++) {
            bool meets = true;
            for (size_t i = 0; i < filter_count; i++) {
                meets = meets && row_meets(&filter[i], &batch, row);
            }
            if (meets) {
                Buf text;
                buf_init(&text, 0);
                put_row(&text, &narrow, row);
                rows_push(out, buf_str(&text));
                buf_deinit(&text);
            }
        }
    }
    scan_worker_close(worker);
    scan_close(scan);
    snapshot_close(snapshot);
}

static void check_same(World *w, Rows *got, Rows *want)
{
    Test *t = w->t;
    if (got->count > 0) {
        qsort(got->texts, got->count, sizeof(*got->texts), compare_texts);
    }
    if (want->count > 0) {
        qsort(want->texts, want->count, sizeof(*want->texts), compare_texts);
    }
    for (size_t i = 0; i < got->count && i < want->count; i++) {
        CHECK_STR(got->texts[i], want->texts[i]);
    }
    CHECK_EQ(got->count, want->count);
}

static void world_check(World *w, size_t table)
{
    Rows got = {0};
    const ScanOptions none = {0};
    if (w->tables[table].count > 0) {
        read_rows(w, table_names[table], &none, NULL, 0, false, &got);
        check_same(w, &got, &w->tables[table]);
    }
    rows_deinit(&got);
}

// The same scan with and without tests, whatever is switched off.
static void world_scan(World *w, size_t table)
{
    Test *t = w->t;
    Err err;
    Snapshot *snapshot;
    Rows got = {0};
    Rows want = {0};
    ScanTest tests[2];
    ScanValue values[2][3];
    const ScanOptions none = {0};
    if (w->tables[table].count == 0) {
        return;
    }
    CHECK_OK(snapshot_open(w->store, table_names[table], &snapshot, &err));
    const Schema *schema = snapshot_schema(snapshot);
    size_t n = 0;
    for (size_t i = 0; i < 1 + below(w, 2); i++) {
        const size_t column = below(w, schema->count);
        const ColumnType type = schema->fields[column].type;
        tests[n] = (ScanTest){.column = column,
                              .kind = (ScanTestKind)below(w, 4),
                              .has_min = below(w, 2) == 0,
                              .has_max = below(w, 2) == 0,
                              .or_null = below(w, 3) == 0,
                              .values = values[n],
                              .value_count = below(w, 4)};
        if (type == COLUMN_MAP) {
            tests[n].kind = SCAN_TEST_NOT_NULL;
        }
        Builder *b = builder_new(type == COLUMN_MAP ? COLUMN_INT64 : type);
        for (int k = 0; k < 5; k++) {
            if (type == COLUMN_TIMESTAMP) {
                builder_i64(b, w->now_us - (int64_t)below(w, 2 * (uint64_t)DAY_US));
            } else if (str_eq(schema->fields[column].name, STR("date"))) {
                builder_i64(b, w->now_us / DAY_US - (int64_t)below(w, 3));
            } else {
                build_value(w, b, type == COLUMN_MAP ? COLUMN_INT64 : type);
            }
        }
        Vector all = builder_vector(b);
        all = vector_flatten(&all, &t->arena);
        Vector *copy = arena_new(&t->arena, Vector, 1);
        *copy = vector_slice(&all, 0, 5, &t->arena);
        for (uint32_t k = 0; k < 5; k++) {
            ScanValue v = value_at(copy, k);
            v.f64 = isnan(v.f64) ? 1 : v.f64; // what NaN means in a test is not the scan's to say
            if (v.bytes.len > 0) {
                const Str s = arena_str(&t->arena, (Str){(const char *)v.bytes.ptr, v.bytes.len});
                v.bytes.ptr = (const uint8_t *)s.ptr;
            }
            *(k < 3 ? &values[n][k] : k == 3 ? &tests[n].min : &tests[n].max) = v;
        }
        builder_free(b);
        n++;
    }
    snapshot_close(snapshot);
    const uint64_t off = below(w, 16);
    const ScanOptions options = {.tests = tests,
                                 .test_count = n,
                                 .no_file_pruning = (off & 1) != 0,
                                 .no_row_group_pruning = (off & 2) != 0,
                                 .no_page_pruning = (off & 4) != 0,
                                 .no_bloom = (off & 8) != 0};
    read_rows(w, table_names[table], &none, tests, n, true, &want);
    read_rows(w, table_names[table], &options, NULL, 0, true, &got);
    check_same(w, &got, &want);
    rows_deinit(&got);
    rows_deinit(&want);
}

// --- life ----------------------------------------------------------------------------------------

static void world_open(World *w)
{
    Test *t = w->t;
    Err err;
    CHECK_OK(store_open(&w->options, &w->store, NULL, &err));
}

static void world_step(World *w)
{
    Test *t = w->t;
    Err err;
    const size_t table = below(w, 2);
    switch (below(w, 12)) {
    case 0:
        CHECK_OK(store_flush(w->store, below(w, 2) == 0 ? STR("") : STR("metrics"), &err));
        break;
    case 1:
        CHECK_OK(store_close(w->store, below(w, 2) == 0, &err));
        world_open(w);
        break;
    case 2:
        if (w->tables[table].count > 0) {
            CHECK_OK(store_flush(w->store, table_names[table], &err));
        }
        break;
    case 3:
        world_check(w, table);
        break;
    case 4:
    case 5:
    case 6:
        world_scan(w, table);
        break;
    default:
        world_write(w, table);
        break;
    }
    arena_reset(&t->arena);
}

TEST(store_random, rows_against_a_list)
{
    for (int round = 0; round < 30; round++) {
        Err err;
        World w = {.t = t, .now_us = START_US, .sim = os_sim_new(test_random(t))};
        w.options = (StoreOptions){.os = os_sim_os(w.sim), .dir = STR("data"), .manual = true};
        world_open(&w);
        if (below(&w, 2) == 0) {
            const Str key[] = {STR("s"), STR("id")};
            const TableDef def = {.name = table_names[0],
                                  .schema = {.fields = pool, .count = 5},
                                  .sort_key = key,
                                  .sort_key_count = below(&w, 3),
                                  .bloom_columns = key,
                                  .bloom_column_count = 2};
            CHECK_OK(store_create_table(w.store, &def, &err));
        }
        for (int step = 0; step < 60; step++) {
            world_step(&w);
        }
        world_check(&w, 0);
        world_check(&w, 1);
        CHECK_OK(store_close(w.store, true, &err));
        rows_deinit(&w.tables[0]);
        rows_deinit(&w.tables[1]);
        os_sim_free(w.sim);
        arena_reset(&t->arena);
    }
}
