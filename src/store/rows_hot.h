// SPDX-License-Identifier: Apache-2.0
//
// The hot tier of a typed table: its newest rows, in memory, in columns. For `store` only; see
// rows_scan.h and rows_run.h for reading.
//
// A window holds the rows since the last seal in blocks of up to ROWS_BLOCK_ROWS rows. Memory of a
// block never moves, so a reader takes the lock only to see how far it is filled. Strings (and
// maps) are codes into a dictionary per column and window. New columns may appear in any batch;
// rows before them are NULL there.
//
// Threads: everything may be called from any thread, but for rows_hot_new() and rows_hot_free().
// Windows are reference-counted; they must all be released before rows_hot_free(). One mutex per
// table; no other calls out than RowsLog.append.
#pragma once

#include "store/store.h"

enum {
    ROWS_BLOCK_ROWS = 65536,
    ROWS_VALUE_BYTES_MAX = 1 << 20,   // of one string, binary value or map
    ROWS_BATCH_ROWS_MAX = 1 << 20,    // of one append
    ROWS_WINDOW_ROWS_MAX = INT32_MAX, // past it appends are refused until the window is sealed
};

typedef struct RowsHot RowsHot;
typedef struct RowsWindow RowsWindow;

// Where frames go: called with the table's lock held, in the order of the rows. Sets *sequence
// (ascending, never 0). `payload` is borrowed, at most WAL_FRAME_BYTES_MAX bytes, in the format of
// docs/formats/wal_rows.md.
typedef struct RowsLog {
    Status (*append)(void *ctx, Bytes payload, uint64_t *sequence, Err *err);
    void *ctx;
} RowsLog;

typedef struct RowsHotOptions {
    const TableDef *def; // copied
    uint64_t nonce;      // random: keys the dictionaries' hashes
    RowsLog log;         // append may be NULL: nothing is logged
} RowsHotOptions;

// ERR_INVALID  the definition has no time column of type TIMESTAMP, a column twice (ignoring
//              case), a reserved name (`date`) or one that Delta readers refuse, or a sort key
//              that is not there
Status rows_hot_new(const RowsHotOptions *options, RowsHot **out, Err *err);
void rows_hot_free(RowsHot *hot); // accepts NULL

// Appends all rows of the batch or none, and logs them; *sequence is the greatest sequence it got
// (0: nothing was logged, also because there are no rows). Columns are matched by name; missing
// ones are NULL, new ones widen the table. A failure of the log is returned; some rows may have
// been applied and logged by then.
// ERR_INVALID    a column's type differs (INT64 into DOUBLE is converted), a bad or ambiguous
//                name, a time that is missing, NULL or not in the years 0001 to 9999
// ERR_TOO_LARGE  a value above ROWS_VALUE_BYTES_MAX, or more than ROWS_BATCH_ROWS_MAX rows
// ERR_LIMIT      more than SCHEMA_COLUMNS_MAX columns; the window is full
Status rows_hot_append(RowsHot *hot, const Batch *batch, uint64_t *sequence, Err *err);

// Applies a frame of the WAL to the active window; adds its rows to *rows.
// ERR_CORRUPT  the payload is not a rows frame; nothing was applied
Status rows_hot_replay(RowsHot *hot, uint64_t sequence, Bytes payload, uint64_t *rows, Err *err);

// --- windows -------------------------------------------------------------------------------------

// Takes the active window and puts an empty one in its place. NULL when it holds nothing.
RowsWindow *rows_hot_seal(RowsHot *hot);
// The active window, as a new reference; it goes on growing until it is sealed.
RowsWindow *rows_hot_active(RowsHot *hot);

RowsWindow *rows_window_ref(RowsWindow *window);
void rows_window_unref(RowsWindow *window); // accepts NULL; the last one frees the rows

typedef struct RowsWindowInfo {
    bool sealed;
    uint64_t first_sequence, last_sequence; // of its frames; 0: none was logged
    uint64_t row_count;
    int64_t min_us, max_us; // of the time column; min > max when it is empty
    uint64_t size_bytes;
} RowsWindowInfo;

void rows_window_info(const RowsWindow *window, RowsWindowInfo *out);

// --- figures -------------------------------------------------------------------------------------

uint64_t rows_hot_bytes(const RowsHot *hot); // sealed windows included

// The schema as it stands: that of the definition, then the columns that came up later, all of
// these nullable. Lives in `arena`. Every column of a row appended before the call is in it.
void rows_hot_schema(RowsHot *hot, Arena *arena, Schema *out);
