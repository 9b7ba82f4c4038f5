// SPDX-License-Identifier: Apache-2.0
//
// Store: the storage engine. Tables of rows that are durable when a write returns, visible at once,
// and flushed in the background to Parquet files under a Delta log. `metrics` is built in; typed
// tables are made by store_create_table() or by their first row.
//
//   <dir>/store.json               id, format version, key of the label hash
//   <dir>/lock                     held while open
//   <dir>/wal/*.wal                write-ahead log of all tables
//   <dir>/<tenant>/<table>/        a Delta table: _delta_log/, date=<day>/part-0-<uuid>.parquet
//
// Life of a write: check -> per shard { hot tier append, WAL frame } -> group commit -> answer.
// Life of a flush: seal the hot windows -> sort -> Parquet -> one Delta commit with a txn per shard
// -> windows dropped, WAL trimmed. A crash anywhere leaves the log before or after the commit, and
// the txn versions say from which frame on to replay: exactly once.
//
// Any thread, but for open and close.
#pragma once

#include "column/vector.h"
#include "os/os.h"
#include "series/labels.h"
#include "store/wal.h"

enum {
    STORE_TABLE_NAME_MAX = 64, // [a-z_][a-z0-9_]*
    STORE_TABLES_MAX = 1024,
    STORE_LABEL_COLUMNS_DEFAULT = 200,
    // Days (UTC) of one table whose rows wait for a flush: each becomes a file. What would be of
    // one more is refused until they are in files; what was acknowledged is never lost by it.
    STORE_DAYS_MAX = 1000,
};

typedef struct Store Store;

typedef struct StoreOptions {
    Os *os;
    Str dir;
    Str tenant; // empty: "default"
    WalDurability durability;
    int64_t sync_interval_ms;    // WAL_INTERVAL; 0: 100
    int64_t flush_interval_ms;   // 0: 300,000
    uint64_t flush_rows;         // per shard; 0: 2,000,000
    uint64_t flush_bytes;        // hot memory per shard; 0: 100 MB
    uint64_t memory_limit_bytes; // of hot tier, WAL buffers and flushes; 0: half of the machine's
    uint32_t label_columns_max;  // 0: 200
    LabelLimits label_limits;
    // Samples of `metrics` that are further than this behind or before the clock are refused; 0: no
    // limit. What is in the log already is replayed whatever its age.
    int64_t max_age_ms, max_future_ms;
    uint64_t wal_segment_bytes; // 0: WAL_SEGMENT_BYTES
    // No threads: flushes happen only in store_flush(). For tests under the simulated Os.
    bool manual;
} StoreOptions;

typedef struct StoreRecovery {
    WalReport wal;
    uint64_t rows_replayed;
    uint64_t rows_lost; // they need a frame that is damaged or gone; 0 unless wal reports damage
    uint64_t frames_without_table; // of tables whose folder was removed
    int64_t duration_ms;
} StoreRecovery;

// Opens or creates; recovers from the WAL. ERR_EXISTS: another process has it open. *recovery may
// be NULL.
Status store_open(const StoreOptions *options, Store **out, StoreRecovery *recovery, Err *err);
// Flushes (unless told not to) and closes. Whatever it returns, *store is gone.
Status store_close(Store *store, bool flush, Err *err);

// --- metrics -------------------------------------------------------------------------------------

typedef struct MetricsSeries {
    Bytes labels; // label wire form, see series/labels.h
    uint32_t sample_first, sample_count;
} MetricsSeries;

typedef struct MetricsExtra { // what few samples have beside a value
    Bytes histogram;          // blob (series/histogram.h), already checked; empty: a float sample
    int64_t start_ms;         // start timestamp of a counter; INT64_MIN: none
} MetricsExtra;

typedef struct MetricsBatch {
    const MetricsSeries *series;
    size_t series_count;
    const int64_t *timestamps_ms;
    const double *values;       // stored bit for bit; not looked at where there is a histogram
    const MetricsExtra *extras; // one per sample; NULL: none has any
} MetricsBatch;

typedef struct MetricsResult {
    uint64_t samples_written, samples_rejected, series_rejected;
    uint64_t histograms_written; // of samples_written
    Err first_rejection; // ERR_INVALID, and which series; status OK when nothing was rejected
} MetricsResult;

// Writes what is valid and says what is not: series whose labels break a rule are left out with all
// their samples, the others are written. Returns when durable. ERR_LIMIT: over the memory limit,
// nothing was written, try again later. ERR_UNAVAILABLE: the log cannot be written; what was
// written is unknown.
Status store_write_metrics(Store *store, const MetricsBatch *batch, MetricsResult *result,
                           Err *err);

// --- typed tables --------------------------------------------------------------------------------

typedef struct TableDef {
    Str name;
    Schema schema;       // one column is the time column
    Str time_column;     // TIMESTAMP; "timestamp" when empty
    const Str *sort_key; // columns; the time column when none
    size_t sort_key_count;
    const Str *bloom_columns;
    size_t bloom_column_count;
} TableDef;

// ERR_EXISTS, ERR_INVALID (bad name, reserved column, no time column, two columns that differ only
// in case).
Status store_create_table(Store *store, const TableDef *def, Err *err);
// Appends rows; all or nothing. Columns are matched by name; missing ones are NULL, new ones widen
// the table. ERR_INVALID when a column's type differs (INT64 into DOUBLE is converted), or the time
// is NULL.
Status store_write_rows(Store *store, Str table, const Batch *batch, Err *err);
// The table's definition, in `arena`. ERR_NOT_FOUND.
Status store_table(Store *store, Str table, Arena *arena, TableDef *out, Err *err);
void store_tables(Store *store, Arena *arena, Str **names, size_t *count); // sorted

// --- background work and figures -----------------------------------------------------------------

// Flushes every table (or one) and returns when its files are committed.
Status store_flush(Store *store, Str table_or_empty, Err *err);

typedef struct StoreFigures {
    uint64_t hot_series, hot_rows, hot_bytes;
    uint64_t samples_written, rows_written, samples_rejected, writes_refused;
    uint64_t flushes, flush_failures, flushed_rows, flushed_bytes;
    int64_t last_flush_us; // wall clock of the last success; 0: none
    uint64_t wal_segments, wal_bytes, wal_syncs;
    uint64_t files, file_bytes;
    uint64_t memory_bytes, memory_limit_bytes;
} StoreFigures;

void store_figures(Store *store, StoreFigures *out);
