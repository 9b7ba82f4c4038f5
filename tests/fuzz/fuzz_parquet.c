// SPDX-License-Identifier: Apache-2.0
//
// The input is a Parquet file. Oracles: every vector keeps its promises; batches of another size,
// all columns at once, and a scan of some rows only give the same values; and when one of them
// fails, all do. Statistics and indexes can lie in such a file, so pruning is only run, not
// compared.
#include "base/mem.h"
#include "codec/crc.h"
#include "tests/support/parquet_text.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_MAX = 20000, FIELDS_MAX = 6, TEXT_MAX = 1 << 16 };

// What a scan of one column gave: a checksum per row.
typedef struct Seen {
    Status status;
    uint64_t rows;
    uint32_t crc[ROWS_MAX];
} Seen;

static Seen all_rows, again, together;

static uint32_t value_crc(const Vector *v, uint32_t row)
{
    Buf text;
    buf_init(&text, TEXT_MAX);
    parquet_text_value(&text, v, row); // what does not fit is dropped, in every scan alike
    const uint32_t crc = crc_ieee(0, buf_bytes(&text));
    buf_deinit(&text);
    return crc;
}

// Scans and records column `column` of the batches, up to ROWS_MAX rows.
static void scan(const ParquetReader *r, const ParquetScanOptions *options, size_t column,
                 Seen *out)
{
    Err err;
    ParquetScan *s = NULL;
    out->rows = 0;
    out->status = parquet_scan_new(r, options, &s, &err);
    uint64_t next = 0;
    while (out->status == OK && out->rows < ROWS_MAX) {
        Batch batch;
        uint64_t first = 0;
        out->status = parquet_scan_next(s, &batch, &first, &err);
        if (out->status != OK || batch.row_count == 0) {
            break;
        }
        ASSERT(first >= next);
        next = first + batch.row_count;
        ASSERT(next <= (uint64_t)parquet_reader_meta(r)->row_count);
        for (size_t i = 0; i < options->field_count; i++) {
            ASSERT(batch.columns[i].row_count == batch.row_count);
            if (vector_validate(&batch.columns[i], &err) != OK) {
                (void)fprintf(stderr, "column %zu at row %" PRIu64 ": %s\n", i, first, err.msg);
                UNREACHABLE();
            }
        }
        for (uint32_t i = 0; i < batch.row_count && out->rows < ROWS_MAX; i++) {
            out->crc[out->rows++] = value_crc(&batch.columns[column], i);
        }
    }
    parquet_scan_free(s);
}

static void check_same(const Seen *a, const Seen *b)
{
    if (a->status == ERR_TOO_LARGE || b->status == ERR_TOO_LARGE) {
        return; // limits are per batch
    }
    const uint64_t rows = a->rows < b->rows ? a->rows : b->rows;
    ASSERT(memcmp(a->crc, b->crc, rows * sizeof(a->crc[0])) == 0);
    if (a->status == OK && b->status == OK) {
        ASSERT(a->rows == b->rows);
    }
}

// Every third stretch of rows, without an index: they are found by passing over the others.
static void check_some_rows(const ParquetReader *r, const size_t *field)
{
    ParquetRowRange ranges[8];
    const uint64_t total = all_rows.rows, step = total / (ARRAY_LEN(ranges) * 2) + 1;
    size_t count = 0;
    for (uint64_t from = step / 2; from < total && count < ARRAY_LEN(ranges); from += step * 2) {
        const uint64_t left = total - from;
        ranges[count++] = (ParquetRowRange){.first = from, .count = step < left ? step : left};
    }
    const ParquetScanOptions options = {
        .fields = field, .field_count = 1, .row_ranges = ranges, .row_range_count = count};
    scan(r, &options, 0, &again);
    if (all_rows.status != OK || again.status == ERR_TOO_LARGE) {
        return;
    }
    ASSERT(again.status == OK);
    uint64_t at = 0;
    for (size_t i = 0; i < count; i++) {
        ASSERT(memcmp(again.crc + at, all_rows.crc + ranges[i].first,
                      ranges[i].count * sizeof(again.crc[0])) == 0);
        at += ranges[i].count;
    }
    ASSERT(at == again.rows);
}

static bool has_index(const ParquetReader *r, const ParquetField *f)
{
    const ParquetFileMeta *meta = parquet_reader_meta(r);
    for (uint32_t g = 0; g < meta->row_group_count; g++) {
        for (uint32_t i = 0; i < f->leaf_count; i++) {
            if (meta->row_groups[g].columns[f->first_leaf + i].offset_index_offset != 0) {
                return true;
            }
        }
    }
    return false;
}

static void run_pruned(const ParquetReader *r, size_t field)
{
    const ParquetField *f = &parquet_reader_fields(r, &(size_t){0})[field];
    const ParquetValue value = {.i64 = 3, .f64 = 3, .bytes = {(const uint8_t *)"abc", 3}};
    const ParquetTest tests[] = {
        {.field = field, .kind = PARQUET_TEST_NULL},
        {.field = field, .kind = PARQUET_TEST_EQ, .values = &value, .value_count = 1},
        {.field = field, .kind = PARQUET_TEST_RANGE, .has_min = true, .min = value},
    };
    for (size_t i = 0; i < (f->field.type == COLUMN_MAP ? (size_t)1 : 3); i++) {
        const ParquetScanOptions options = {
            .fields = &field, .field_count = 1, .tests = &tests[i], .test_count = 1};
        scan(r, &options, 0, &again);
    }
}

static void check_field(const ParquetReader *r, size_t field, const size_t *fields, size_t count)
{
    const ParquetField *f = &parquet_reader_fields(r, &(size_t){0})[field];
    scan(r, &(ParquetScanOptions){.fields = &field, .field_count = 1}, 0, &all_rows);
    scan(r, &(ParquetScanOptions){.fields = &field, .field_count = 1, .batch_rows = 7}, 0, &again);
    check_same(&all_rows, &again);
    if (all_rows.rows < ROWS_MAX && all_rows.status != ERR_TOO_LARGE) {
        ASSERT((all_rows.status == OK) == (again.status == OK));
    }
    for (size_t i = 0; i < count; i++) {
        if (fields[i] == field) {
            scan(r, &(ParquetScanOptions){.fields = fields, .field_count = count}, i, &together);
            check_same(&all_rows, &together);
        }
    }
    if (!has_index(r, f)) {
        check_some_rows(r, &field);
    }
    run_pruned(r, field);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Err err;
    ParquetReader *r = NULL;
    const Bytes file = {.ptr = data, .len = size};
    size_t all[FIELDS_MAX], all_count = 0, count = 0;
    if (parquet_reader_open(parquet_text_source(&file), &r, &err) != OK) {
        return 0;
    }
    const ParquetField *fields = parquet_reader_fields(r, &count);
    for (size_t i = 0; i < count && all_count < FIELDS_MAX; i++) {
        if (fields[i].readable) {
            all[all_count++] = i;
        }
    }
    for (size_t i = 0; i < all_count; i++) {
        check_field(r, all[i], all, all_count);
    }
    parquet_reader_free(r);
    return 0;
}
