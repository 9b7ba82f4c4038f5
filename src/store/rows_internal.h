// SPDX-License-Identifier: Apache-2.0
//
// The inside of the hot tier of typed tables: rows_hot.c appends and seals, rows_frame.c is the WAL
// payload, rows_view.c is what scans (rows_scan.c) and sorted runs (rows_run.c, rows_cursor.c)
// share.
//
// A block has room for `cap` rows of the columns that the table had when it was made; its memory
// does not move. What readers see of an active window was captured under the lock: how many rows
// there are, and a copy of the validity words, whose last one may still change.
#pragma once

#include "base/buf.h"
#include "os/thread.h"
#include "store/day_list.h"
#include "store/metrics_dict_internal.h"
#include "store/rows_hot.h"

enum {
    ROWS_BLOCK_ROWS_FIRST = 1024,
    ROWS_FRAME_ROWS_MAX = 65536,
    ROWS_FRAME_BYTES = 16 << 20,      // a frame with more than one row stays below this
    ROWS_ROW_BYTES_MAX = 32 << 20,    // strings of one row together
    ROWS_BATCH_BYTES_MAX = 256 << 20, // strings of one batch together
    ROWS_DICT_BYTES_FULL = 1 << 30,   // of one column and window: then appends are refused
};

typedef struct RowsColumn {
    uint8_t *data;      // fixed size; NULL for strings and maps
    uint32_t *codes;    // strings and maps: into the window's dictionary of the column
    uint64_t *validity; // NULL: no row is null
} RowsColumn;

typedef struct RowsBlock {
    uint32_t cap;
    uint32_t row_count; // mu while the window is active
    uint32_t column_count;
    int64_t min_us, max_us; // mu while the window is active
    RowsColumn columns[];
} RowsBlock;

struct RowsWindow {
    _Atomic uint32_t refs;
    _Atomic bool sealed; // set under the lock; release, so that who sees it may read without
    RowsHot *hot;
    // mu of the table until sealed:
    RowsBlock **blocks;
    size_t block_count, block_cap;
    MetricsDict *dicts[SCHEMA_COLUMNS_MAX]; // by field; NULL: none yet, or not a string
    uint64_t row_count;
    int64_t min_us, max_us;
    DayList days; // of its rows
    uint64_t first_sequence, last_sequence;
    uint64_t size_bytes;
};

struct RowsHot {
    MetricsMemory memory;
    uint64_t key; // of the dictionaries' hashes
    RowsLog log;
    Arena def_arena;
    TableDef def; // complete; its schema is the one of the beginning
    size_t time_field;
    Mutex mu;
    // mu:
    Arena names;   // of columns that came up later
    Field *fields; // room for SCHEMA_COLUMNS_MAX; entries below field_count never change
    size_t field_count;
    RowsWindow *window;
    Buf frame;
};

static inline bool rows_type_has_codes(ColumnType type)
{
    return column_type_size(type) == 0;
}

// Locks the table of a window that is not sealed yet; returns whether it did.
bool rows_window_lock(const RowsWindow *w) NO_LOCK_CHECKS;
void rows_window_unlock(const RowsWindow *w, bool locked) NO_LOCK_CHECKS;

// --- frames (rows_frame.c) -----------------------------------------------------------------------

// Encodes rows [from, from + count) of the batch as a frame, replacing what `out` holds.
void rows_frame_encode(const Batch *batch, uint32_t from, uint32_t count, Arena *scratch, Buf *out);
// The batch of a frame; lives in `arena` and borrows from `payload`. ERR_CORRUPT
Status rows_frame_decode(Bytes payload, Arena *arena, Batch *out, Err *err);

// --- maps (rows_map.c) ---------------------------------------------------------------------------

// Inside, maps are BINARY values; equal maps have equal bytes. `v`, of type MAP and any form, that
// way: of the same form, in `arena`. ERR_TOO_LARGE
Status rows_map_encode(const Vector *v, Arena *arena, Vector *out, Err *err);
Status rows_map_check(const Vector *v, Err *err); // ERR_CORRUPT when a value is not such a map

// Entries of a dictionary (texts, or maps as bytes) as a FLAT vector in `arena`. Together they
// have less than 2^32 bytes.
Vector rows_dict_vector(ColumnType type, const Str *entries, uint32_t count, Arena *arena);

// --- what readers see of a window (rows_view.c) --------------------------------------------------

typedef struct RowsBlockView {
    const RowsBlock *block;
    uint32_t row_count;
    int64_t min_us, max_us;
    const uint64_t **validity; // by column of the block; NULL: no row is null
} RowsBlockView;

typedef struct RowsView {
    RowsWindow *window; // a reference
    RowsBlockView *blocks;
    size_t block_count;
    uint64_t row_count;
    const MetricsDict *dicts[SCHEMA_COLUMNS_MAX]; // by field
    uint32_t dict_counts[SCHEMA_COLUMNS_MAX];
    Arena arena;
} RowsView;

void rows_view_init(RowsView *view, RowsWindow *window);
void rows_view_deinit(RowsView *view); // accepts a zeroed one

// The table's field of each field of `schema`: SIZE_MAX when it has none of that name. `date` of
// type DATE is ROWS_FIELD_DATE.
#define ROWS_FIELD_DATE (SIZE_MAX - 1)
Status rows_view_fields(RowsHot *hot, const Schema *schema, size_t *fields, Err *err);
