// SPDX-License-Identifier: Apache-2.0
//
// What the files of `sql` share: the engine, a running statement, and the tables it reads.
#pragma once

#include "os/thread.h"
#include "query/watch.h"
#include "sql/sql.h"

#include <duckdb.h>

enum { SQL_TABLES_PER_RUN_MAX = 256 };

// A table of a running statement: one snapshot, and what the statement's text says of how it is
// used.
typedef struct SqlTable {
    Str name;
    Snapshot *snapshot;
    const ScanTest *tests; // live in the run's arena
    size_t test_count;
    bool first_column_unused; // DuckDB asks for column 0 where it only counts rows
    // `labels` of metrics: the statement looks at these keys of it only. NULL: it may look at all.
    const Str *label_keys;
    size_t label_key_count;
} SqlTable;

// One DuckDB database. After a fatal error the engine goes on with a new one; the old one is closed
// with its last run.
typedef struct SqlInstance {
    struct SqlEngine *engine;
    duckdb_database database;
    SqlRun *runs; // engine->mu
    size_t refs;  // engine->mu: the runs, and one while it is the engine's current one
} SqlInstance;

// DuckDB's threads may let go of a scan after the connection of its statement has been closed: a
// run lives as long as its owner has it open or a scan of it is there.
struct SqlRun {
    atomic_uint refs;
    SqlEngine *engine;
    SqlInstance *instance; // NULL: not connected
    uint64_t connection_id;
    duckdb_connection connection;
    duckdb_result result;
    bool has_result;
    bool at_end; // the last row was handed out, or an error
    bool exact_text;
    Buf *message; // may be NULL
    QueryGuard guard;
    Arena arena; // columns, tests, names: as long as the run
    Arena rows;  // of the current batch
    Schema schema;
    SqlColumn *columns;
    Vector *vectors; // of the current batch
    duckdb_data_chunk chunk;
    int64_t started_ns;
    uint64_t rows_returned;
    // Of the thread that prepares the statement; only read once rows flow.
    SqlTable tables[SQL_TABLES_PER_RUN_MAX];
    size_t table_count;

    Mutex mu;          // level 62: scans start, fail and end in DuckDB's threads
    ScanStats scanned; // mu: of scans that are over
    Status failed;     // mu: the first failure of a scan, which DuckDB only hands on as text
    Err failure;       // mu
    SqlRun *next;      // engine->mu
};

void sql_run_ref(SqlRun *run);
void sql_run_unref(SqlRun *run); // any thread; the last one frees it

struct SqlEngine {
    SqlOptions options;
    Arena arena;
    QueryWatch *watch;
    Mutex mu;             // level 61
    SqlInstance *current; // mu: NULL before the first statement, and after a fatal error
};

// scan_function.c: cardinal_scan(table), and the replacement of table names by it.
Status sql_register_scan(SqlInstance *instance, duckdb_connection connection, Err *err);

// The run's table called `name`, with its snapshot opened; borrowed from the run.
Status sql_run_table(SqlRun *run, Str name, SqlTable **out, Err *err);
// The run of a connection; NULL when there is none.
SqlRun *sql_instance_run(SqlInstance *instance, uint64_t connection_id);
// Keeps the failure of a scan, whose code would be lost on its way through DuckDB.
void sql_run_fail(SqlRun *run, const Err *err);

// DuckDB's message becomes ours: the code says whose fault it is, the text stays as it is. NULL:
// the run was stopped. After a fatal error statements that follow have another database.
Status sql_run_error(SqlRun *run, const char *message, Err *err);

// functions.c: ip_prefix, ip_in.
Status sql_register_functions(duckdb_connection connection, Err *err);

// predicates.c: finds what `text` says of how its tables are used, and keeps it with them. What it
// does not understand it leaves to DuckDB.
void sql_find_predicates(SqlRun *run, Str text);

// text.c: statements as text.
// Without the blanks, comments and semicolons around it.
Str sql_text_trim(Str text);
// The statement that an EXPLAIN explains; `text` itself when it is none. `text` is trimmed.
Str sql_text_explained(Str text);
bool sql_text_equals(Str text, Str lower); // in any case, with any blanks between words

// dictionary.c: a vector of `count` values, to be filled in, and a NULL behind them.
duckdb_vector sql_dictionary_new(duckdb_logical_type type, uint32_t count);
// Whether such vectors know their size and carry an id: DuckDB works once per entry then.
bool sql_dictionary_is_shared(void);

// convert.c
bool sql_type_needs_text(duckdb_logical_type type);
Status sql_describe_result(SqlRun *run, Err *err); // fills schema and columns from the result
// True when the result has a column of a type that only arrives as text (LIST, STRUCT, INTERVAL,
// ...).
bool sql_result_needs_text(duckdb_prepared_statement statement);
Status sql_convert_chunk(SqlRun *run, Batch *out, Err *err);
