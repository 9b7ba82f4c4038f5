// SPDX-License-Identifier: Apache-2.0
//
// The parts of a scan:
//
//   snapshot.c    one version of a table and the hot windows it does not cover
//   scan.c        Scan: what to read, handed out in morsels; ScanWorker: one thread's part
//   scan_file.c   rows of one row group of a data file
//   scan_hot.c    rows of hot windows
//   scan_last.c   last write wins: which parts hold newer copies of whose rows
//
// A morsel is one row group of a file, or a place at one source of hot rows. Workers take them one
// after another under Scan.mu, which is a leaf: no I/O and no other lock under it.
#pragma once

#include "os/thread.h"
#include "store/metrics_run.h"
#include "store/metrics_scan.h"
#include "store/rows_scan.h"
#include "store/scan_dedup.h"
#include "store/scan_filter.h"
#include "store/store_internal.h"

enum {
    SCAN_BATCH_ROWS = 16384, // of files: one page of every column
    SCAN_HOT_BATCH_ROWS = 65536,
    SCAN_RUN_SLICE_SERIES = 8192,           // of a MetricsRun, per morsel
    SCAN_DICTIONARY_VALUES_MAX = 65536,     // larger ones are handed out as plain values
    SCAN_DICTIONARIES_BYTES_MAX = 64 << 20, // kept until scan_close(); past it as well
};

struct Snapshot {
    Store *store;
    Table *table;
    TableVersion *version;
    HotWindows hot; // sealed and active, oldest first for each shard
    Arena arena;
    Schema schema; // of the version, then label columns that only hot rows have
};

// --- scan ----------------------------------------------------------------------------------------

// A file that could not be left out.
typedef struct ScanFile {
    DataFile *file; // the snapshot's
    uint32_t rank;  // of its flush among all: a greater one is newer
    bool dedup;     // rows may have newer copies elsewhere

    // Below: Scan.mu.
    CachedReader *reader; // while it is open
    uint32_t group_count, next_group;
    uint32_t users; // workers that open it or read a group of it
    bool opened;
    bool done; // all groups were taken and read
} ScanFile;

typedef struct ScanLast ScanLast; // scan_last.c

typedef enum ScanHotKind { SCAN_HOT_WINDOW, SCAN_HOT_RUN, SCAN_HOT_ROWS } ScanHotKind;

// A source of hot rows; workers come by one after another until it has no more.
typedef struct ScanHot {
    ScanHotKind kind;
    Mutex mu;                  // held while it is being opened
    bool opened;               // mu
    MetricsWindow *window;     // SCAN_HOT_WINDOW
    MetricsScan *metrics_scan; // SCAN_HOT_WINDOW
    RowsWindow *rows;          // SCAN_HOT_ROWS
    RowsScan *rows_scan;       // SCAN_HOT_ROWS
    atomic_uint_fast64_t next; // SCAN_HOT_RUN: series handed out so far; relaxed, only a counter
} ScanHot;

struct Scan {
    Snapshot *snapshot;
    ScanOptions options; // copied, but for what `filter` holds
    Arena arena;
    ScanFilter filter;
    // Columns that have to be read: those asked for, then those of tests, then (with `last`) those
    // that a series is known by. Indexes in the snapshot's schema.
    size_t *needed;
    size_t needed_count;   // for the answer and its tests
    size_t identity_count; // all, the identity included
    // Set by scan_cancel(), seen between batches; relaxed, as nothing else hangs on it.
    atomic_bool cancelled;

    Mutex mu;
    ScanFile *files;
    size_t file_count;
    size_t next_file;      // mu: not yet opened by anyone
    size_t first_file;     // mu: those before are done
    size_t workers_opened; // mu
    Arena dictionaries;    // mu: copies for vectors handed out
    ScanStats stats;       // mu

    ScanHot *hot;
    size_t hot_count;
    ScanFilter hot_filter; // the tests that a MetricsScan does not answer for each row

    // Only when samples were written twice somewhere in the range; see scan_last.c.
    Dedup *last;
    ScanLast *last_plan;
    ScanFilter last_filter; // the tests on what a series is known by, and on the time
    uint32_t hot_rank;      // greater than that of any file
    size_t time_at;         // place of the timestamp in `needed`
    MetricsRun *run;        // all hot windows as one, without duplicates
};

// False when it is certain that no row of the file meets the test.
bool scan_file_may_match(const Scan *scan, const DataFile *file, const FilterTest *test);
Status scan_check_cancelled(const Scan *scan, Err *err); // ERR_CANCELLED
void scan_need(Scan *scan, size_t column); // adds it to scan->needed when it is not there

// The index in scan->needed of a column of the schema; SIZE_MAX when it is not read.
size_t scan_needed_at(const Scan *scan, size_t column);

// --- one thread's part ---------------------------------------------------------------------------

// Where a column of the snapshot is found in a file.
typedef struct FileColumnSource {
    size_t field; // SIZE_MAX: the file does not have it
    ColumnType type;
} FileColumnSource;

typedef struct FileReading FileReading; // one row group being read; scan_file.c

// A dictionary of the morsel and its copy that lives as long as the scan; `copy` is NULL when it is
// handed out as plain values.
typedef struct DictionaryCopy {
    const Vector *from;
    const Vector *copy;
} DictionaryCopy;

struct ScanWorker {
    Scan *scan;
    Arena arena;                  // of the batch handed out last
    FilterCache *caches;          // one per test
    DictionaryCopy *dictionaries; // one per column of the answer
    Vector *columns;              // of the batch handed out
    Field *fields;                // of its schema
    Schema schema;
    FileReading *reading; // a row group of a file, or NULL
    size_t hot_seen;      // hot sources that this worker has exhausted
    size_t hot_first;     // where it begins, so that workers spread
    MetricsScanWorker *metrics_worker;
    RowsScanWorker *rows_worker;
    MetricsCursor *cursor;
    size_t late_rows_percent; // how many rows of the last row group met the tests
    Status failed;
    Err failure;
};

// Columns of scan->needed for one batch, before tests.
typedef struct ScanRows {
    Vector *columns; // one per needed column; identity columns only when they were asked for
    uint32_t row_count;
} ScanRows;

// Hands out the chosen rows as the worker's batch, in the order of the options. Dictionaries are
// copied unless they stay valid until scan_close() anyway.
void scan_worker_emit(ScanWorker *worker, const ScanRows *rows, const uint64_t *selection,
                      bool dictionaries_last, Batch *out);
// Clears the bits of rows that do not meet the tests. `caches` has one per test.
void scan_test_rows(const Scan *scan, const ScanFilter *filter, FilterCache *caches,
                    const ScanRows *rows, Arena *scratch, uint64_t *selection);
// Forgets what was known of dictionaries: the next morsel begins.
void scan_worker_forget(ScanWorker *worker);
void scan_add_stats(Scan *scan, const ScanStats *more);

// --- scan_file.c

// Takes the next row group of any file; *out is NULL when there are none left.
Status file_reading_next(ScanWorker *worker, FileReading **out, Err *err);
// The next rows that may be wanted; row_count 0 at the end of the row group. out->row_count rows
// are handed out.
Status file_reading_batch(ScanWorker *worker, FileReading *reading, Batch *out, Err *err);
void file_reading_free(ScanWorker *worker, FileReading *reading); // accepts NULL
// Reads all rows of `file` that meet scan->last_filter and adds their keys to scan->last.
Status file_reading_keys(Scan *scan, ScanFile *file, Err *err);

// --- scan_hot.c

Status scan_hot_open(Scan *scan, Err *err); // lists the sources
void scan_hot_close(Scan *scan);
// The next hot rows; row_count 0 when none are left.
Status scan_hot_batch(ScanWorker *worker, Batch *out, Err *err);
void scan_hot_worker_close(ScanWorker *worker);

// --- scan_last.c

// Decides whether the scan has to look for newer copies.
Status scan_last_open(Scan *scan, Err *err);
void scan_last_close(Scan *scan);
// Collects their keys, once for all workers, before any of them reads. May take long.
Status scan_last_collect(Scan *scan, Err *err);
// Adds the keys of the chosen rows; `columns` as below.
Status scan_last_add(Scan *scan, const Vector *columns, uint32_t row_count, uint32_t rank,
                     const uint64_t *selection, Arena *scratch, Err *err);
// Drops rows of which a newer copy is known. `columns` are all needed columns, identity included.
void scan_last_filter(const Scan *scan, const Vector *columns, uint32_t row_count, uint32_t rank,
                      bool must_know, Arena *scratch, uint64_t *selection);
