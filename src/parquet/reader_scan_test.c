// SPDX-License-Identifier: Apache-2.0
//
// Scans of files that our writer made. Oracle: the vectors they were made from, and for pruning the
// same tests row by row.
#include "os/thread.h"
#include "parquet/writer_test_internal.h"
#include "tests/support/parquet_text.h"

#include <stdio.h>

enum { COLUMNS = 7, GROUPS = 2, GROUP_ROWS = 40000 };

static Batch random_batch(Test *t, const Schema *schema, uint32_t rows)
{
    Vector *columns = arena_new(&t->arena, Vector, schema->count);
    for (size_t i = 0; i < schema->count; i++) {
        const VectorGen gen = {
            .type = schema->fields[i].type,
            .form = (VectorForm)rng_below(&t->rng, 3),
            .shape = (VectorShape)rng_below(&t->rng, SHAPE_LONG),
            .row_count = rows,
            .null_one_in = schema->fields[i].nullable ? (uint32_t)rng_below(&t->rng, 5) : 0};
        columns[i] = vector_gen(&t->rng, &gen, &t->arena);
    }
    return (Batch){.schema = schema, .columns = columns, .row_count = rows};
}

static Schema random_schema(Test *t)
{
    static const ColumnType types[] = {COLUMN_BOOL,   COLUMN_INT16,     COLUMN_INT64, COLUMN_DOUBLE,
                                       COLUMN_STRING, COLUMN_TIMESTAMP, COLUMN_UUID,  COLUMN_MAP};
    Field *fields = arena_new(&t->arena, Field, COLUMNS);
    for (size_t i = 0; i < COLUMNS; i++) {
        char *name = arena_new(&t->arena, char, 2);
        name[0] = (char)('a' + i);
        fields[i] = (Field){.name = {name, 1},
                            .type = types[rng_below(&t->rng, ARRAY_LEN(types))],
                            .nullable = rng_below(&t->rng, 2) == 0};
    }
    return (Schema){.fields = fields, .count = COLUMNS};
}

// The rows of a batch are where the file has them.
static void check_batch(Test *t, const Batch *batches, const Batch *got, const size_t *fields,
                        uint64_t first)
{
    Err err = {0};
    Arena arena = {0};
    const size_t group = (size_t)(first / GROUP_ROWS);
    const uint32_t from = (uint32_t)(first % GROUP_ROWS);
    CHECK(from + got->row_count <= GROUP_ROWS);
    for (size_t i = 0; i < got->schema->count; i++) {
        const Vector want =
            vector_slice(&batches[group].columns[fields[i]], from, got->row_count, &arena);
        CHECK_OK(vector_validate(&got->columns[i], &err));
        CHECK(vector_equal(&want, &got->columns[i]));
    }
    arena_deinit(&arena);
}

static size_t random_ranges(Test *t, ParquetRowRange *ranges, size_t max)
{
    uint64_t at = 0;
    size_t count = 0;
    const uint64_t stretch = rng_below(&t->rng, 2) == 0 ? 300 : 30000;
    while (count < max && at < GROUPS * GROUP_ROWS) {
        at += rng_below(&t->rng, stretch);
        ranges[count] = (ParquetRowRange){.first = at, .count = rng_below(&t->rng, stretch)};
        at += ranges[count++].count;
    }
    return count;
}

TEST(scan, any_columns_in_any_batches_of_any_rows)
{
    for (size_t round = 0; round < 6; round++) {
        Written w;
        const Schema schema = random_schema(t);
        Batch batches[GROUPS];
        for (size_t i = 0; i < GROUPS; i++) {
            batches[i] = random_batch(t, &schema, GROUP_ROWS);
        }
        written_open(t, batches, GROUPS, &(ParquetWriterOptions){0}, &w);
        for (size_t pass = 0; pass < 8; pass++) {
            Err err = {0};
            ParquetScan *scan = NULL;
            ParquetRowRange ranges[50];
            size_t fields[COLUMNS];
            uint64_t wanted = 0, next = 0, rows = 0;
            ParquetScanOptions options = {
                .fields = fields,
                .field_count = 1 + rng_below(&t->rng, COLUMNS),
                .batch_rows = (uint32_t)(pass == 0 ? 0 : 1 + rng_below(&t->rng, 30000))};
            for (size_t i = 0; i < options.field_count; i++) {
                fields[i] = rng_below(&t->rng, COLUMNS);
            }
            if (pass % 2 == 1) {
                options.row_ranges = ranges;
                options.row_range_count = random_ranges(t, ranges, ARRAY_LEN(ranges));
            }
            CHECK_OK(parquet_scan_new(w.reader, &options, &scan, &err));
            for (;;) {
                Batch got;
                uint64_t first = 0;
                CHECK_OK(parquet_scan_next(scan, &got, &first, &err));
                if (got.row_count == 0) {
                    break;
                }
                CHECK(first >= next);
                next = first + got.row_count;
                rows += got.row_count;
                check_batch(t, batches, &got, fields, first);
            }
            for (size_t i = 0; i < options.row_range_count; i++) {
                const uint64_t end = ranges[i].first + ranges[i].count;
                const uint64_t last = GROUPS * GROUP_ROWS;
                const uint64_t from = ranges[i].first < last ? ranges[i].first : last;
                wanted += (end < last ? end : last) - from;
            }
            CHECK_EQ(rows, options.row_ranges == NULL ? GROUPS * GROUP_ROWS : wanted);
            parquet_scan_free(scan);
        }
        written_close(&w);
    }
}

// ---- pruning

static bool value_at(const Vector *v, uint32_t row, ParquetValue *out)
{
    const Vector *flat = NULL;
    uint32_t i = 0;
    *out = (ParquetValue){0};
    if (!vector_locate(v, row, &flat, &i)) {
        return false;
    }
    switch (v->type) {
    case COLUMN_BOOL:
    case COLUMN_UINT8:
        out->i64 = ((const uint8_t *)flat->data)[i];
        break;
    case COLUMN_INT8:
        out->i64 = ((const int8_t *)flat->data)[i];
        break;
    case COLUMN_INT16:
        out->i64 = ((const int16_t *)flat->data)[i];
        break;
    case COLUMN_UINT16:
        out->i64 = ((const uint16_t *)flat->data)[i];
        break;
    case COLUMN_INT32:
    case COLUMN_DATE:
        out->i64 = ((const int32_t *)flat->data)[i];
        break;
    case COLUMN_UINT32:
        out->i64 = ((const uint32_t *)flat->data)[i];
        break;
    case COLUMN_INT64:
    case COLUMN_UINT64:
    case COLUMN_TIMESTAMP:
        out->i64 = ((const int64_t *)flat->data)[i];
        break;
    case COLUMN_FLOAT:
        out->f64 = (double)((const float *)flat->data)[i];
        break;
    case COLUMN_DOUBLE:
        out->f64 = ((const double *)flat->data)[i];
        break;
    case COLUMN_STRING:
    case COLUMN_BINARY: {
        const Str s = vector_flat_str(flat, i);
        out->bytes = (Bytes){(const uint8_t *)s.ptr, s.len};
        break;
    }
    case COLUMN_UUID:
        out->bytes = (Bytes){(const uint8_t *)flat->data + i * (size_t)16, 16};
        break;
    case COLUMN_MAP:
        break;
    }
    return true;
}

// -1, 0, 1, or 2 when a NaN has no order.
static int compare(ColumnType type, const ParquetValue *a, const ParquetValue *b)
{
    if (type == COLUMN_FLOAT || type == COLUMN_DOUBLE) {
        return a->f64 < b->f64 ? -1 : a->f64 > b->f64 ? 1 : a->f64 == b->f64 ? 0 : 2;
    }
    if (type == COLUMN_STRING || type == COLUMN_BINARY || type == COLUMN_UUID) {
        for (size_t i = 0; i < a->bytes.len && i < b->bytes.len; i++) {
            if (a->bytes.ptr[i] != b->bytes.ptr[i]) {
                return a->bytes.ptr[i] < b->bytes.ptr[i] ? -1 : 1;
            }
        }
        return a->bytes.len < b->bytes.len ? -1 : a->bytes.len > b->bytes.len;
    }
    if (type == COLUMN_UINT64) {
        const uint64_t x = (uint64_t)a->i64, y = (uint64_t)b->i64;
        return x < y ? -1 : x > y;
    }
    return a->i64 < b->i64 ? -1 : a->i64 > b->i64;
}

// As some databases have it, NaN is equal to itself and above everything.
static bool passes(ColumnType type, const ParquetTest *test, bool valid, const ParquetValue *v)
{
    switch (test->kind) {
    case PARQUET_TEST_NULL:
        return !valid;
    case PARQUET_TEST_NOT_NULL:
        return valid;
    case PARQUET_TEST_EQ:
        for (size_t i = 0; valid && i < test->value_count; i++) {
            const int c = compare(type, v, &test->values[i]);
            if (c == 0 ||
                (c == 2 && v->f64 != v->f64 && test->values[i].f64 != test->values[i].f64)) {
                return true;
            }
        }
        return false;
    case PARQUET_TEST_RANGE: {
        const bool nan = (type == COLUMN_FLOAT || type == COLUMN_DOUBLE) && v->f64 != v->f64;
        if (!valid || (test->has_max && nan && test->max.f64 == test->max.f64)) {
            return false;
        }
        return (!test->has_min || nan || compare(type, v, &test->min) != -1) &&
               (!test->has_max || nan || compare(type, v, &test->max) != 1);
    }
    }
    UNREACHABLE();
}

static void random_test(Test *t, const Vector *v, ParquetTest *test, ParquetValue values[3])
{
    for (size_t i = 0; i < 3; i++) {
        (void)value_at(v, (uint32_t)rng_below(&t->rng, v->row_count), &values[i]);
        if (rng_below(&t->rng, 3) == 0) { // next to a value that is there
            values[i].i64 += v->type == COLUMN_BOOL ? 0 : 1;
            values[i].f64 *= 1.001;
            values[i].bytes.len -= v->type != COLUMN_UUID && values[i].bytes.len > 0;
        }
    }
    *test = (ParquetTest){.kind = (ParquetTestKind)rng_below(&t->rng, 4),
                          .values = values,
                          .value_count = 1 + rng_below(&t->rng, 3),
                          .has_min = rng_below(&t->rng, 3) != 0,
                          .has_max = rng_below(&t->rng, 3) != 0,
                          .min = values[0],
                          .max = values[1]};
}

// No row that passes the tests is missing, and rows that come are right.
static void check_pruned(Test *t, const Written *w, const Vector *v,
                         const ParquetScanOptions *options)
{
    Err err = {0};
    ParquetScan *scan = NULL;
    uint32_t row = 0;
    CHECK_OK(parquet_scan_new(w->reader, options, &scan, &err));
    for (;;) {
        Batch got;
        uint64_t first = 0;
        CHECK_OK(parquet_scan_next(scan, &got, &first, &err));
        const uint32_t until = got.row_count == 0 ? v->row_count : (uint32_t)first;
        for (; row < until; row++) {
            ParquetValue value;
            const bool valid = value_at(v, row, &value);
            bool all = true;
            for (size_t i = 0; i < options->test_count; i++) {
                all = all && passes(v->type, &options->tests[i], valid, &value);
            }
            if (all) {
                test_fail(t, __FILE__, __LINE__, "row %u of %s is missing", row,
                          column_type_sql(v->type));
            }
        }
        if (got.row_count == 0) {
            break;
        }
        Arena arena = {0};
        const Vector want = vector_slice(v, row, got.row_count, &arena);
        CHECK(vector_equal(&want, &got.columns[0]));
        arena_deinit(&arena);
        row += got.row_count;
    }
    parquet_scan_free(scan);
}

TEST(scan, pruning_loses_no_row)
{
    for (int type = 0; type < COLUMN_MAP; type++) {
        for (int shape = 0; shape < SHAPE_COUNT; shape++) {
            const VectorGen gen = {.type = (ColumnType)type,
                                   .form = VECTOR_FLAT,
                                   .shape = (VectorShape)shape,
                                   .row_count = 60000,
                                   .null_one_in = (uint32_t)rng_below(&t->rng, 4)};
            Written w;
            const Batch batch = written_batch(t, &gen);
            const ParquetColumnOptions column = {.bloom = true};
            const ParquetWriterOptions writer = {
                .columns = &column,
                .created_by = shape % 2 == 0 ? STR("cardinal version 1") : STR("other")};
            written_open(t, &batch, 1, &writer, &w);
            for (size_t round = 0; round < 20; round++) {
                const size_t field = 0;
                ParquetTest tests[2];
                ParquetValue values[2][3];
                random_test(t, &batch.columns[0], &tests[0], values[0]);
                random_test(t, &batch.columns[0], &tests[1], values[1]);
                const ParquetScanOptions options = {.fields = &field,
                                                    .field_count = 1,
                                                    .tests = tests,
                                                    .test_count = 1 + rng_below(&t->rng, 2),
                                                    .no_row_group_pruning =
                                                        rng_below(&t->rng, 3) == 0,
                                                    .no_page_pruning = rng_below(&t->rng, 3) == 0,
                                                    .no_bloom = rng_below(&t->rng, 3) == 0};
                check_pruned(t, &w, &batch.columns[0], &options);
            }
            written_close(&w);
        }
        arena_reset(&t->arena);
    }
}

static ParquetScanStats scan_all(Test *t, const ParquetReader *r, const ParquetScanOptions *options)
{
    Err err = {0};
    ParquetScan *scan = NULL;
    ParquetScanStats stats;
    Batch got;
    CHECK_OK(parquet_scan_new(r, options, &scan, &err));
    do {
        uint64_t first = 0;
        CHECK_OK(parquet_scan_next(scan, &got, &first, &err));
    } while (got.row_count > 0);
    parquet_scan_stats(scan, &stats);
    parquet_scan_free(scan);
    return stats;
}

// 100,000 ascending numbers of 64 bits in one column, and random ones in another.
static void open_numbers(Test *t, Str created_by, Written *w)
{
    enum { ROWS = 100000 };
    static const Field fields[] = {{{"up", 2}, COLUMN_INT64, false},
                                   {{"any", 3}, COLUMN_INT64, false}};
    static const Schema schema = {.fields = fields, .count = 2};
    int64_t *up = arena_new(&t->arena, int64_t, ROWS), *any = arena_new(&t->arena, int64_t, ROWS);
    for (int64_t i = 0; i < ROWS; i++) {
        up[i] = i * 1000;
        any[i] = (int64_t)(test_random(t) >> 1);
    }
    const Vector columns[] = {
        {.type = COLUMN_INT64, .form = VECTOR_FLAT, .row_count = ROWS, .data = up},
        {.type = COLUMN_INT64, .form = VECTOR_FLAT, .row_count = ROWS, .data = any}};
    const Batch batch = {.schema = &schema, .columns = columns, .row_count = ROWS};
    const ParquetColumnOptions options[] = {{.bloom = true}, {.bloom = true}};
    written_open(t, &batch, 1,
                 &(ParquetWriterOptions){.columns = options, .created_by = created_by}, w);
}

TEST(scan, each_step_of_pruning_works_and_can_be_switched_off)
{
    Written w;
    const size_t fields[] = {0, 1};
    const ParquetValue value = {.i64 = 50000 * 1000}, absent = {.i64 = 50000 * 1000 + 1},
                       beyond = {.i64 = INT64_MAX};
    ParquetTest test = {.field = 0, .kind = PARQUET_TEST_EQ, .value_count = 1};
    ParquetScanOptions options = {
        .fields = fields, .field_count = 2, .tests = &test, .test_count = 1};
    open_numbers(t, STR("cardinal version 1"), &w);

    test.values = &value; // one page of each column
    ParquetScanStats stats = scan_all(t, w.reader, &options);
    CHECK_EQ(stats.rows_total, 100000);
    CHECK_EQ(stats.rows_read, 16384);
    CHECK_EQ(stats.pages_total, 14);
    CHECK_EQ(stats.pages_pruned, 12);
    const uint64_t pruned_bytes = stats.bytes_read;
    options.no_page_pruning = true;
    stats = scan_all(t, w.reader, &options);
    CHECK_EQ(stats.rows_read, 100000);
    CHECK_EQ(stats.pages_pruned, 0);
    CHECK(pruned_bytes < stats.bytes_read / 4);

    test.values = &absent;
    stats = scan_all(t, w.reader, &options);
    CHECK_EQ(stats.row_groups_bloom_pruned, 1);
    CHECK_EQ(stats.rows_read, 0);
    options.no_bloom = true;
    stats = scan_all(t, w.reader, &options);
    CHECK_EQ(stats.row_groups_bloom_pruned, 0);
    CHECK_EQ(stats.rows_read, 100000);

    test.values = &beyond;
    stats = scan_all(t, w.reader, &options);
    CHECK_EQ(stats.row_groups_pruned, 1);
    CHECK_EQ(stats.rows_read, 0);
    options.no_row_group_pruning = true;
    stats = scan_all(t, w.reader, &options);
    CHECK_EQ(stats.row_groups_pruned, 0);
    CHECK_EQ(stats.rows_read, 100000);
    written_close(&w);
}

TEST(scan, chosen_rows_read_only_their_pages)
{
    Written w;
    const size_t fields[] = {1, 0};
    const ParquetRowRange rows[] = {{20000, 10}, {90000, 1}};
    ParquetScanOptions options = {.fields = fields, .field_count = 2};
    open_numbers(t, STR("cardinal version 1"), &w);
    const ParquetScanStats all = scan_all(t, w.reader, &options);
    options.row_ranges = rows;
    options.row_range_count = 2;
    const ParquetScanStats few = scan_all(t, w.reader, &options);
    CHECK_EQ(few.rows_read, 11);
    CHECK_EQ(few.pages_pruned, 10);
    CHECK(few.bytes_read < all.bytes_read / 2);
    // No rows at all read nothing.
    options.row_range_count = 0;
    CHECK_EQ(scan_all(t, w.reader, &options).bytes_read, 0);
    written_close(&w);
}

TEST(scan, local_files_are_read_in_pieces)
{
    Err err = {0};
    Written w;
    OsFile *file = NULL;
    ParquetReader *r = NULL;
    ParquetSource source;
    const size_t fields[] = {1, 0};
    const ParquetScanOptions options = {.fields = fields, .field_count = 2};
    char path[512];
    const Str dir = test_dir(t);
    const int n = snprintf(path, sizeof(path), STR_FMT "/f.parquet", STR_ARG(dir));
    const Str name = {.ptr = path, .len = (size_t)n};
    open_numbers(t, STR("cardinal version 1"), &w);
    CHECK_OK(os_file_open(os_posix(), name, OS_OPEN_CREATE_NEW, &file, &err));
    CHECK_OK(os_file_write_at(file, 0, w.bytes, &err));
    CHECK_OK(parquet_source_file(file, &source, &err));
    CHECK_EQ(source.size_bytes, w.bytes.len);
    CHECK(source.piece_bytes < w.bytes.len);
    CHECK_OK(parquet_reader_open(source, &r, &err));
    CHECK_EQ(scan_all(t, r, &options).rows_read, 100000);

    // The file is shorter than it was: an error, not zeros.
    ParquetScan *scan = NULL;
    Batch got = {.row_count = 1};
    Status st = OK;
    CHECK_OK(os_file_truncate(file, w.bytes.len / 2, &err));
    CHECK_OK(parquet_scan_new(r, &options, &scan, &err));
    while (st == OK && got.row_count > 0) {
        uint64_t first = 0;
        st = parquet_scan_next(scan, &got, &first, &err);
    }
    CHECK_EQ(st, ERR_CORRUPT);
    CHECK(strstr(err.msg, "file ends at") != NULL);
    parquet_scan_free(scan);
    parquet_reader_free(r);
    os_file_close(file);
    written_close(&w);
}

TEST(scan, bloom_filter_of_one_value)
{
    Err err = {0};
    Written w;
    open_numbers(t, STR("cardinal version 1"), &w);
    uint32_t found = 0;
    for (int64_t i = 0; i < 1000; i++) {
        bool may = false;
        CHECK_OK(parquet_reader_may_contain(w.reader, 0, 0, &(ParquetValue){.i64 = i * 1000}, &may,
                                            &err));
        CHECK(may);
        CHECK_OK(parquet_reader_may_contain(w.reader, 0, 0, &(ParquetValue){.i64 = i * 1000 + 1},
                                            &may, &err));
        found += may;
    }
    CHECK(found < 50);
    bool may = false;
    CHECK_EQ(parquet_reader_may_contain(w.reader, 1, 0, &(ParquetValue){.i64 = 1}, &may, &err),
             ERR_INVALID);
    written_close(&w);
}

TEST(scan, without_columns_rows_are_counted)
{
    Written w;
    open_numbers(t, STR("cardinal version 1"), &w);
    const ParquetScanStats stats = scan_all(t, w.reader, &(ParquetScanOptions){0});
    CHECK_EQ(stats.rows_read, 100000);
    CHECK_EQ(stats.bytes_read, 0);
    written_close(&w);
}

// A foreign file may hold NaN that its statistics leave out, and "x >= 10" may take NaN for true.
TEST(scan, bounds_of_foreign_floats_do_not_exclude_nan)
{
    static const double values[] = {1, 2, 3};
    const Vector v = {.type = COLUMN_DOUBLE, .form = VECTOR_FLAT, .row_count = 3, .data = values};
    const Batch batch = written_batch_of(t, v, false);
    const size_t field = 0;
    for (size_t own = 0; own < 2; own++) {
        Written w;
        ParquetTest test = {.kind = PARQUET_TEST_RANGE, .has_min = true, .min = {.f64 = 10}};
        const ParquetScanOptions options = {
            .fields = &field, .field_count = 1, .tests = &test, .test_count = 1};
        written_open(t, &batch, 1,
                     &(ParquetWriterOptions){.created_by = own != 0 ? STR("cardinal version 1")
                                                                    : STR("other")},
                     &w);
        CHECK_EQ(scan_all(t, w.reader, &options).rows_read, own != 0 ? 0 : 3);
        test.has_max = true;
        test.max = (ParquetValue){.f64 = 20};
        CHECK_EQ(scan_all(t, w.reader, &options).rows_read, 0);
        written_close(&w);
    }
}

TEST(scan, options_that_make_no_sense)
{
    Err err = {0};
    Written w;
    ParquetScan *scan = NULL;
    const size_t missing = 2, field = 0;
    const ParquetTest test = {.field = 7};
    const ParquetRowRange backwards[] = {{10, 5}, {14, 1}}, endless[] = {{1, UINT64_MAX}};
    const ParquetScanOptions cases[] = {
        {.fields = &missing, .field_count = 1},
        {.fields = &field, .field_count = 1, .tests = &test, .test_count = 1},
        {.fields = &field, .field_count = 1, .row_ranges = backwards, .row_range_count = 2},
        {.fields = &field, .field_count = 1, .row_ranges = endless, .row_range_count = 1},
        {.fields = &field, .field_count = 1, .batch_rows = (1 << 20) + 1},
    };
    open_numbers(t, STR("cardinal version 1"), &w);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_EQ(parquet_scan_new(w.reader, &cases[i], &scan, &err), ERR_INVALID);
        CHECK(scan == NULL);
    }
    written_close(&w);
}

typedef struct Worker {
    Thread thread;
    const ParquetReader *reader;
    uint64_t sum;
} Worker;

static void run_worker(void *arg)
{
    Err err;
    Worker *worker = arg;
    ParquetScan *scan = NULL;
    const size_t field = 1;
    const ParquetScanOptions options = {.fields = &field, .field_count = 1};
    Status st = parquet_scan_new(worker->reader, &options, &scan, &err);
    for (bool more = st == OK; more;) {
        Batch got;
        uint64_t first = 0;
        st = parquet_scan_next(scan, &got, &first, &err);
        more = st == OK && got.row_count > 0;
        for (uint32_t i = 0; i < got.row_count; i++) {
            ParquetValue value;
            (void)value_at(&got.columns[0], i, &value);
            worker->sum += (uint64_t)value.i64;
        }
    }
    parquet_scan_free(scan);
}

TEST(scan, a_reader_is_shared_by_threads)
{
    Err err = {0};
    Written w;
    Worker workers[3] = {0};
    open_numbers(t, STR("cardinal version 1"), &w);
    for (size_t i = 0; i < ARRAY_LEN(workers); i++) {
        workers[i].reader = w.reader;
        CHECK_OK(thread_start(&workers[i].thread, "scan", run_worker, &workers[i], &err));
    }
    for (size_t i = 0; i < ARRAY_LEN(workers); i++) {
        thread_join(&workers[i].thread);
        CHECK(workers[i].sum != 0);
        CHECK_EQ(workers[i].sum, workers[0].sum);
    }
    written_close(&w);
}
