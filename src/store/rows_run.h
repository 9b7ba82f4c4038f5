// SPDX-License-Identifier: Apache-2.0
//
// RowsRun: the rows of a set of hot windows of a typed table, sorted by the table's key: what a
// flush writes. Rows with equal keys keep the order in which they were written. For `store` only.
//
// Keys are packed into words (ranks of strings, distances from the smallest number) and sorted by
// radix; then each column is gathered. Strings come as DICT over one merged sorted dictionary, as
// RUNS of it where neighbours are alike, or FLAT when most rows have a value of their own.
//
// An open run is immutable: any number of cursors may read it, each with one thread.
#pragma once

#include "store/rows_hot.h"

enum { ROWS_RUN_ROWS_MAX = 1 << 20 }; // of one batch: a Parquet row group

typedef struct RowsRun RowsRun;
typedef struct RowsCursor RowsCursor;

typedef struct RowsRunOptions {
    RowsWindow *const *windows; // of one table, oldest first; the run takes references of its own
    size_t window_count;
    const Schema *schema; // of the batches: columns of the table; borrowed until rows_run_close()
} RowsRunOptions;

// ERR_INVALID  a column of the schema is not one of the table, or of another type
// ERR_LIMIT    more than ROWS_WINDOW_ROWS_MAX rows
Status rows_run_open(const RowsRunOptions *options, RowsRun **out, Err *err);
void rows_run_close(RowsRun *run); // after its cursors; accepts NULL
uint64_t rows_run_row_count(const RowsRun *run);

typedef struct RowsRunDay {
    int32_t day; // of the time column, since 1970-01-01, UTC
    uint64_t row_count;
} RowsRunDay;

// The days that have rows, ascending; lives in `arena`.
void rows_run_days(RowsRun *run, Arena *arena, RowsRunDay **out, size_t *count);

typedef struct RowsCursorOptions {
    int64_t min_us, max_us;  // of the time column, both inclusive; (0, 0) means all
    uint32_t rows_max;       // of a batch; 0: ROWS_RUN_ROWS_MAX
    uint32_t text_bytes_max; // of a FLAT string column of a batch of several rows; 0: 1 GiB
} RowsCursorOptions;

RowsCursor *rows_cursor_new(RowsRun *run, const RowsCursorOptions *options);
void rows_cursor_free(RowsCursor *cursor); // accepts NULL
// The next batch: out->columns[i] is schema field i; row_count 0 at the end. Valid until the next
// call with this cursor; merged dictionaries until rows_run_close().
Status rows_cursor_next(RowsCursor *cursor, Batch *out, Err *err);
