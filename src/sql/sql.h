// SPDX-License-Identifier: Apache-2.0
//
// SqlEngine: DuckDB as the SQL brain over our own scan. DuckDB keeps no data: tables named in a
// statement become scans of a store snapshot (one per table and statement), projections and simple
// conditions are handed to the scan, and DuckDB checks conditions again. The instance is opened by
// the first statement, and again after a fatal error; the server never depends on it being alive.
//
// Sandbox: no files, no network, no settings, one statement that only reads (SELECT, WITH, EXPLAIN,
// DESCRIBE, SHOW TABLES). Memory limit, spill limit, time limit, all named in SqlOptions.
//
// Extra functions: ip_prefix(ip, bits) -> 'network/bits', ip_in(ip, 'network/bits') -> BOOLEAN; see
// functions.c.
//
// Engine: any thread. SqlRun: one thread at a time.
#pragma once

#include "base/buf.h"
#include "column/vector.h"
#include "os/os.h"
#include "store/scan.h"

enum { SQL_TEXT_MAX_BYTES = 1 << 20 };

typedef struct SqlEngine SqlEngine;
typedef struct SqlRun SqlRun;

typedef struct SqlOptions {
    Os *os;
    Store *store;                // borrowed
    uint64_t memory_limit_bytes; // of DuckDB; 0: 1 GiB
    uint32_t threads;            // 0: one per CPU
    Str temp_dir;                // for spilling; empty: none
    uint64_t temp_limit_bytes;   // 0: 10 GiB
    bool no_pushdown;            // hand no conditions to the scan (tests)
} SqlOptions;

Status sql_engine_new(const SqlOptions *options, SqlEngine **out, Err *err);
void sql_engine_free(SqlEngine *engine); // every run is closed; accepts NULL

typedef struct SqlQueryOptions {
    int64_t timeout_ms; // 0: none
    // True: HUGEINT and DECIMAL arrive as exact text (for JSON, CSV, tables); false: as DOUBLE (for
    // Arrow and Parquet), as DuckDB itself writes them to Parquet.
    bool exact_text;
    bool (*is_abandoned)(void *ctx); // the client is gone; any thread; may be NULL
    void *abandoned_ctx;
    Buf *message; // on failure: the whole message, of which Err holds the beginning; may be NULL
} SqlQueryOptions;

typedef struct SqlColumn {
    Str name;          // as the statement gives it; that of the schema's field is unique
    Str type;          // DuckDB's name of it: HUGEINT, DECIMAL(18,3), ...
    bool numeric_text; // a number that arrives as text
} SqlColumn;

typedef struct SqlStats {
    int64_t elapsed_us;
    uint64_t rows_returned;
    ScanStats scan; // of all tables read
} SqlStats;

// Starts a statement. ERR_INVALID carries DuckDB's message with line and position; ERR_TIMEOUT,
// ERR_CANCELLED, ERR_LIMIT (memory) as they come up, here or in sql_run_next().
Status sql_query(SqlEngine *engine, Str text, const SqlQueryOptions *options, SqlRun **out,
                 Err *err);
void sql_run_close(SqlRun *run); // accepts NULL

// No two fields have the same name in any case: the second `a` is `a_2`.
const Schema *sql_run_schema(const SqlRun *run);
const SqlColumn *sql_run_columns(const SqlRun *run); // schema->count of them
// The next rows; out->row_count is 0 at the end. Valid until the next call.
Status sql_run_next(SqlRun *run, Batch *out, Err *err);
void sql_run_stats(SqlRun *run, SqlStats *out);
double sql_run_progress(SqlRun *run); // 0..1, negative when unknown; any thread

const char *sql_library_version(void); // "v1.5.6"
