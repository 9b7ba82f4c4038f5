// SPDX-License-Identifier: Apache-2.0
//
// RowsScan: the rows of one hot window of a typed table as they lie: what SQL reads. Numbers and
// codes of strings are not copied; blocks whose times are outside of the tests' range, and windows
// that do not have a value asked for, are left out. For `store` only.
//
// Several workers may take batches of one scan, each with its own RowsScanWorker. Dictionaries are
// copied once per scan and column, and stay valid until the scan is closed.
#pragma once

#include "store/rows_hot.h"
#include "store/scan.h"

typedef struct RowsScan RowsScan;
typedef struct RowsScanWorker RowsScanWorker;

typedef struct RowsScanOptions {
    RowsWindow *window;    // the scan takes a reference of its own
    const Schema *schema;  // of the table as the query sees it; may have a `date` (DATE); borrowed
    const size_t *columns; // to read, in this order; copied
    size_t column_count;
    const ScanTest *tests; // on any column of the schema; looked at when the scan is opened
    size_t test_count;
} RowsScanOptions;

// Columns that the window does not have are NULL in all rows.
// ERR_INVALID  a column of another type than the table's
Status rows_scan_open(const RowsScanOptions *options, RowsScan **out, Err *err);
void rows_scan_close(RowsScan *scan);               // after its workers; accepts NULL
uint64_t rows_scan_row_count(const RowsScan *scan); // what the batches will hold together

RowsScanWorker *rows_scan_worker_new(RowsScan *scan);
void rows_scan_worker_free(RowsScanWorker *worker); // accepts NULL
// The next batch, at most ROWS_BLOCK_ROWS rows; row_count 0 at the end. Valid until the next call
// with this worker.
Status rows_scan_next(RowsScanWorker *worker, Batch *out, Err *err);
