// SPDX-License-Identifier: Apache-2.0
//
// Reading: a Snapshot is one version of one table, hot and cold as one; a Scan is one pass over it,
// taken by any number of threads, each with a ScanWorker of its own. Every query goes through here.
//
// A snapshot holds the committed files and the hot windows that these do not cover: no row is
// missing or there twice, whatever is flushed meanwhile. Of the window that is still being written
// it shows at least every row acknowledged before it was taken. Rows of `metrics` with the same
// series and timestamp: only the last write is shown.
//
// Tests narrow the scan: rows that do not meet all of them may be left out, and are whenever that
// is cheap (files by the log's statistics, row groups, pages, bloom filters, dictionary codes,
// values). The caller checks again. Every pruning step can be switched off and the answer stays the
// same.
#pragma once

#include "column/vector.h"
#include "series/labels.h"

typedef struct Store Store;
typedef struct Snapshot Snapshot;
typedef struct Scan Scan;
typedef struct ScanWorker ScanWorker;

// ERR_NOT_FOUND when there is no such table.
Status snapshot_open(Store *store, Str table, Snapshot **out, Err *err);
void snapshot_close(Snapshot *snapshot); // accepts NULL; any thread
const Schema *snapshot_schema(const Snapshot *snapshot);
// An upper bound of the rows, for planners.
uint64_t snapshot_row_estimate(const Snapshot *snapshot);
LabelsKey snapshot_labels_key(const Snapshot *snapshot); // of the data folder

typedef enum ScanTestKind {
    SCAN_TEST_IN,
    SCAN_TEST_RANGE,
    SCAN_TEST_IS_NULL,
    SCAN_TEST_NOT_NULL
} ScanTestKind;

typedef struct ScanValue { // of the column's type
    int64_t i64;           // BOOL, integers (UINT64 as its bits), TIMESTAMP (µs), DATE
    double f64;
    Bytes bytes; // STRING, BINARY, UUID
} ScanValue;

typedef struct ScanTest {
    size_t column; // index in the snapshot's schema
    ScanTestKind kind;
    const ScanValue *values; // SCAN_TEST_IN: equal to one of them
    size_t value_count;
    bool has_min, has_max; // SCAN_TEST_RANGE: inclusive bounds, either may be absent
    ScanValue min, max;
    bool parts_only; // leaves out files, row groups and pages; rows of files are not looked at
    // IN and RANGE: rows whose column is null are wanted as well. What decides about them is
    // elsewhere: of a label that has a column, older files may hold values in `labels`.
    bool or_null;
} ScanTest;

typedef struct ScanOptions {
    const size_t *columns; // to read, in this order; may be none (row counts only)
    size_t column_count;
    const ScanTest *tests;
    size_t test_count;
    // Switches, for tests and EXPLAIN; all off by default.
    bool no_file_pruning, no_row_group_pruning, no_page_pruning, no_bloom, no_row_filter;
    bool no_hot, no_cold;
    // Of `metrics`: where files have no column for a label, it may be in `labels` (it got its
    // column later). Tests on label columns leave out no row of such files, unless the map is
    // empty.
    bool labels_anywhere;
    // Of `metrics`: all copies of rewritten samples are shown; scan_worker_part() tells which are
    // newer.
    bool all_versions;
    bool short_dictionaries; // they stay valid only while batches come from the same row group
} ScanOptions;

typedef struct ScanStats {
    uint64_t files_total, files_pruned;
    uint64_t row_groups_total, row_groups_pruned, pages_total, pages_pruned;
    uint64_t rows_read, rows_returned, bytes_read, hot_rows;
} ScanStats;

// Borrows the snapshot; copies the options.
Status scan_open(Snapshot *snapshot, const ScanOptions *options, Scan **out, Err *err);
void scan_close(Scan *scan);                       // after its workers; accepts NULL
uint32_t scan_parallelism(const Scan *scan);       // no more workers than this can be kept busy
void scan_stats(const Scan *scan, ScanStats *out); // any time, any thread
void scan_cancel(Scan *scan);                      // any thread: workers return ERR_CANCELLED soon

Status scan_worker_open(Scan *scan, ScanWorker **out, Err *err);
void scan_worker_close(ScanWorker *worker); // accepts NULL
// The next batch, at most 65,536 rows; row_count 0 at the end. out->columns[i] is
// options.columns[i]. Valid until the next call with this worker; *dictionary* vectors
// (Vector.dict) stay valid until scan_close().
Status scan_worker_next(ScanWorker *worker, Batch *out, Err *err);

// Where the batch handed out last came from, when that was a file.
typedef struct ScanPart {
    const void *file; // stands for it; NULL: not from a file
    uint32_t group;   // row group
    uint64_t order;   // of its flush: a greater one is newer; 0: not known
    bool is_sorted;   // by series and time: we wrote it
} ScanPart;

ScanPart scan_worker_part(const ScanWorker *worker);
typedef struct ScanFiles { // those that were not left out
    size_t count;
    bool are_sorted;        // all of them
    int64_t min_us, max_us; // their rows are not outside; known bounds only
} ScanFiles;

ScanFiles scan_files(const Scan *scan);
