// SPDX-License-Identifier: Apache-2.0
//
// ParquetReader: one Parquet file, opened once, immutable, shared by any number of threads.
// ParquetScan: one pass over some of its rows and columns, owned by one thread.
//
//   open   footer, decoded and checked
//   prune  row groups by statistics and bloom filters, pages by the page index; never wrong, only
//          less sharp when something is missing. Every step can be switched off (tests do).
//   scan   batches of up to `batch_rows` rows whose vectors keep runs and dictionaries
//
// Everything in the file is outside data: any bytes give a right answer or an exact error
// (ERR_CORRUPT what and where, ERR_UNSUPPORTED by name: encrypted, LZO, INT96 is read as TIMESTAMP,
// ...). Columns: every top-level field that maps to a ColumnType is offered as one column; the
// others (nested but for MAP of text, DECIMAL, INTERVAL, ...) are listed with the reason they
// cannot be read.
#pragma once

#include "column/vector.h"
#include "os/os.h"
#include "parquet/metadata.h"

// Where bytes come from: a local file now, a cached range of an object later. Any thread.
typedef struct ParquetSource {
    // Reads exactly n bytes at `offset`, or fails.
    Status (*read_at)(void *ctx, uint64_t offset, void *into, size_t n, Err *err);
    void *ctx;
    uint64_t size_bytes;
    // How much is best read at once: large where each read is a request, small where it is a copy
    // that should stay in the CPU's caches. 0: 8 MiB. One page is always read at once.
    uint64_t piece_bytes;
} ParquetSource;

// A source over an open file; `file` is borrowed.
Status parquet_source_file(OsFile *file, ParquetSource *out, Err *err);

typedef struct ParquetReader ParquetReader;

typedef struct ParquetField {
    Field field;
    bool readable;
    Str why_not; // when not readable: "DECIMAL is not supported"
    uint32_t first_leaf, leaf_count;
} ParquetField;

Status parquet_reader_open(ParquetSource source, ParquetReader **out, Err *err);
void parquet_reader_free(ParquetReader *r); // accepts NULL

const ParquetFileMeta *parquet_reader_meta(const ParquetReader *r);
const ParquetField *parquet_reader_fields(const ParquetReader *r, size_t *count);
uint64_t parquet_reader_memory_bytes(const ParquetReader *r);
Str parquet_reader_key_value(const ParquetReader *r, Str key); // empty when absent

// A condition that every wanted row meets, by which groups and pages are skipped; rows that do not
// meet it may still come. `field` indexes parquet_reader_fields(). Comparisons with NULL are false.
typedef enum ParquetTestKind {
    PARQUET_TEST_EQ,    // value == one of values[0..value_count)
    PARQUET_TEST_RANGE, // min <= value <= max; either may be absent (empty with has_* false)
    PARQUET_TEST_NULL,  // value IS NULL
    PARQUET_TEST_NOT_NULL,
} ParquetTestKind;

typedef struct ParquetValue { // of the field's ColumnType
    int64_t i64;              // BOOL, integers, TIMESTAMP, DATE (UINT64 as its bits)
    double f64;               // FLOAT, DOUBLE
    Bytes bytes;              // STRING, BINARY, UUID
} ParquetValue;

typedef struct ParquetTest {
    size_t field;
    ParquetTestKind kind;
    const ParquetValue *values;
    size_t value_count;
    bool has_min, has_max;
    ParquetValue min, max;
    bool or_null; // EQ, RANGE: rows that are null are wanted as well
} ParquetTest;

// Rows [first, first + count) of the file.
typedef struct ParquetRowRange {
    uint64_t first, count;
} ParquetRowRange;

typedef struct ParquetScanOptions {
    const size_t *fields; // to read, in this order; none at all: batches that only count rows
    size_t field_count;
    const ParquetTest *tests; // all must hold
    size_t test_count;
    uint32_t batch_rows;                       // 0: PARQUET_PAGE_ROWS (16384); at most 1 << 20
    uint32_t row_group_first, row_group_count; // count 0: all from first on
    // Only these rows: ascending, not overlapping. NULL: all. To fetch more columns for the rows
    // that an earlier scan of the filter's columns has chosen: pages without such rows are not
    // read.
    const ParquetRowRange *row_ranges;
    size_t row_range_count;
    bool no_row_group_pruning, no_page_pruning, no_bloom;
    bool no_checksums; // page CRCs are verified unless set
} ParquetScanOptions;

typedef struct ParquetScanStats {
    uint64_t row_groups_total, row_groups_pruned, row_groups_bloom_pruned;
    uint64_t pages_total, pages_pruned; // of the columns read
    uint64_t rows_total, rows_read;
    uint64_t bytes_read;
} ParquetScanStats;

typedef struct ParquetScan ParquetScan;

// Rows come in file order. `options` and what it points to are borrowed until the scan is freed.
Status parquet_scan_new(const ParquetReader *r, const ParquetScanOptions *options,
                        ParquetScan **out, Err *err);
void parquet_scan_free(ParquetScan *s); // accepts NULL

// The next batch. out->columns[i] is options->fields[i]; its vectors are valid until the next call.
// out->row_count is 0 at the end. *first_row is the row number in the file of the batch's first
// row: the rows of a batch are consecutive, so that columns can be fetched later for chosen rows
// only.
Status parquet_scan_next(ParquetScan *s, Batch *out, uint64_t *first_row, Err *err);

void parquet_scan_stats(const ParquetScan *s, ParquetScanStats *out);

// Bloom filter of one row group and field. *out is false only when it is certain that no row has
// `value`; true when there is no filter.
Status parquet_reader_may_contain(const ParquetReader *r, uint32_t row_group, size_t field,
                                  const ParquetValue *value, bool *out, Err *err);
