// SPDX-License-Identifier: Apache-2.0
//
// ParquetWriter: writes one Parquet file, a row group at a time, from Batches whose vectors keep
// runs and dictionaries. A label that is constant over a run costs one step, whatever the number of
// rows.
//
// What it promises every reader (docs/formats/parquet.md): data pages of all columns break at the
// same rows (PARQUET_PAGE_ROWS), page index (ColumnIndex, OffsetIndex), page CRCs, exact
// min/max/null statistics (none for a floating column that holds NaN), sorting_columns, split-block
// bloom filters. One owner, one thread. The file is complete, and synced, when
// parquet_writer_finish() returned OK; before that it is not a Parquet file, and
// parquet_writer_free() leaves removing it to the caller.
#pragma once

#include "column/vector.h"
#include "os/os.h"
#include "parquet/metadata.h"

enum {
    PARQUET_PAGE_ROWS = 16384,
    PARQUET_ROW_GROUP_ROWS_MAX = 1 << 20,
};

typedef enum ParquetDictionaryUse {
    PARQUET_DICTIONARY_AUTO, // when it makes the chunk smaller, judged from a sample
    PARQUET_DICTIONARY_NEVER,
    PARQUET_DICTIONARY_ALWAYS, // unless it passes the page limit
} ParquetDictionaryUse;

typedef struct ParquetColumnOptions {
    ParquetDictionaryUse dictionary;
    bool bloom;     // one filter per row group
    bool no_minmax; // leave min/max out (statistics and column index)
} ParquetColumnOptions;

typedef struct ParquetWriterOptions {
    // 0: 3. From 4 on, size also goes before speed of reading (docs/formats/parquet.md).
    int zstd_level;
    const ParquetColumnOptions *columns; // one per field, or NULL for the defaults
    const ParquetSortingColumn *sorting; // here of fields; the file names leaves
    uint32_t sorting_count;
    double bloom_fpp; // 0: 0.01
    Str created_by;   // "cardinal version 0.1.0"
} ParquetWriterOptions;

// What the log needs to know of a finished file: exact, per top-level column.
typedef struct ParquetColumnSummary {
    int64_t null_count;
    bool has_minmax; // false: no values, NaN or infinity among them (JSON cannot hold them), MAP,
                     // or not asked
    Bytes min, max;  // plain-encoded as in statistics; whole values, never truncated
    int64_t compressed_bytes;
} ParquetColumnSummary;

typedef struct ParquetFileSummary {
    uint64_t size_bytes;
    int64_t row_count;
    uint64_t hash; // XXH3-64 of the whole file
    const ParquetColumnSummary *columns;
    size_t column_count;
} ParquetFileSummary;

typedef struct ParquetWriter ParquetWriter;

// `file` is empty and borrowed; `schema` and `options` are copied. Types map to:
//   BOOL BOOLEAN; INT8..INT64, UINT8..UINT64 INTEGER(bits, sign) on INT32/INT64; FLOAT, DOUBLE;
//   STRING BYTE_ARRAY STRING; BINARY BYTE_ARRAY; TIMESTAMP INT64 TIMESTAMP(MICROS, UTC); DATE INT32
//   DATE; UUID FIXED_LEN_BYTE_ARRAY(16) UUID; MAP the three-level MAP of optional text values.
Status parquet_writer_new(OsFile *file, const Schema *schema, const ParquetWriterOptions *options,
                          ParquetWriter **out, Err *err);
void parquet_writer_free(ParquetWriter *w); // accepts NULL

// One row group: batch->row_count in 1..PARQUET_ROW_GROUP_ROWS_MAX. Vectors may be in any form.
Status parquet_writer_row_group(ParquetWriter *w, const Batch *batch, Err *err);

void parquet_writer_key_value(ParquetWriter *w, Str key, Str value); // footer metadata, copied

// Writes indexes and footer, and syncs the file. *summary lives in `arena`.
Status parquet_writer_finish(ParquetWriter *w, Arena *arena, ParquetFileSummary *summary, Err *err);
