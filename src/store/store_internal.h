// SPDX-License-Identifier: Apache-2.0
//
// What the files of the store share: Store, Table, and how a flush and a snapshot see the hot tier.
//
//   store.c      open, close, figures          store_meta.c   store.json
//   tables.c     finding and creating tables   store_write.c  both write paths
//   recover.c    opening tables, WAL replay    background.c   when to flush
//   flush.c      seal, commit, publish, trim   flush_file.c, flush_metrics.c, flush_rows.c
//   snapshot.c, scan*.c                        reading
//
// Locks and their levels: docs/LOCKS.md.
#pragma once

#include "os/thread.h"
#include "store/budget.h"
#include "store/catalog.h"
#include "store/metrics_hot.h"
#include "store/reader_cache.h"
#include "store/rows_hot.h"
#include "store/store.h"
#include "store/table_def.h"

enum {
    STORE_FORMAT_VERSION = 1,
    STORE_ID_BYTES = 32, // hexadecimal digits
    STORE_TENANT_MAX = 64,
    STORE_READERS_MAX = 512,            // open data files beyond those in use
    STORE_READER_BYTES_MAX = 256 << 20, // their footers
    STORE_FLUSH_INTERVAL_MS = 300000,
    STORE_FLUSH_ROWS = 2000000,    // per shard
    STORE_FLUSH_BYTES = 100000000, // per shard
    STORE_POLL_MS = 250,           // how often the background thread looks
    STORE_BACKOFF_MS = 1000,       // after the first failure of a flush; doubles
    STORE_BACKOFF_MS_MAX = 60000,
};

typedef enum StoreFrameKind { // WalFrame.kind; stored, so numbers never change
    STORE_FRAME_METRICS = 1,  // docs/formats/wal_metrics.md
    STORE_FRAME_ROWS = 2,     // docs/formats/wal_rows.md
} StoreFrameKind;

// Windows of one table, oldest first for each shard. Owns a reference to each.
typedef struct HotWindows {
    MetricsWindow **metrics; // of `metrics`
    size_t metrics_count, metrics_cap;
    RowsWindow **rows; // of typed tables
    size_t rows_count, rows_cap;
} HotWindows;

void hot_windows_push_metrics(HotWindows *w, MetricsWindow *window); // takes the reference
void hot_windows_push_rows(HotWindows *w, RowsWindow *window);       // takes the reference
void hot_windows_copy(HotWindows *to, const HotWindows *from);       // appends, with new references
void hot_windows_deinit(HotWindows *w);                              // accepts a zeroed one

typedef struct Table {
    Store *store;
    uint32_t number; // of WAL frames
    Str name, dir;   // in `arena`, like all that never changes
    Arena arena;
    size_t time_column; // in the log's schema
    TableDef def;       // of a typed table; columns that came later are in rows_hot_schema()

    MetricsHot *metrics; // of `metrics`, else NULL
    RowsHot *rows;       // of typed tables, else NULL

    Mutex flush_mu;
    DeltaLog *delta;   // flush_mu
    bool commit_doubt; // flush_mu: a commit failed and may have happened all the same
    uint32_t failures; // flush_mu: flushes that failed since the last that did not
    // Monotonic time before which the background thread leaves the table alone. Written with
    // flush_mu held, read without: a stale value only costs a poll.
    atomic_int_fast64_t retry_at_ns;

    Mutex mu;
    TableVersion *version; // mu
    HotWindows sealed;     // mu: not yet in `version`

    // Monotonic time of the first write to the active windows, 0 when there was none. Writers set
    // it after they appended, a seal clears it before it takes the windows, so a row in an active
    // window always ends up with a time; relaxed, because the shard's mutex orders the two.
    atomic_int_fast64_t oldest_ns;
} Table;

// Counters for figures; relaxed, nothing else depends on them.
typedef struct StoreCounters {
    atomic_uint_fast64_t samples_written, rows_written, samples_rejected, writes_refused;
    atomic_uint_fast64_t flushes, flush_failures, flushed_rows, flushed_bytes;
    atomic_int_fast64_t last_flush_us;
} StoreCounters;

typedef struct StoreMeta { // store.json
    char id[STORE_ID_BYTES + 1];
    LabelsKey labels_key;
} StoreMeta;

struct Store {
    StoreOptions options; // defaults filled in; text in `arena`
    Os *os;
    Arena arena;
    Str tenant_dir;
    StoreMeta meta;
    OsFile *lock;
    Wal *wal;
    Budget budget;
    ReaderCache *readers;
    StoreCounters counters;

    Mutex tables_mu;
    // Slots [0, table_count) never change once published: the count is stored with release after
    // the slot is set, and loaded with acquire, so readers need no lock. Slot 0 is `metrics`.
    Table *tables[STORE_TABLES_MAX];
    atomic_size_t table_count;
    uint32_t table_number_max; // tables_mu: the greatest number that any table or frame ever had

    Mutex work_mu;
    Cond work;
    bool work_wanted; // work_mu: look at the tables now
    bool stopping;    // work_mu
    Thread thread;
};

static inline size_t store_table_count(const Store *store)
{
    return atomic_load_explicit(&store->table_count, memory_order_acquire);
}

// --- store_meta.c --------------------------------------------------------------------------------

// Reads store.json, or makes it: put-if-absent and synced.
Status store_meta_load(Os *os, Str dir, StoreMeta *out, Err *err);

// --- tables.c ------------------------------------------------------------------------------------

Str store_path(Arena *arena, Str dir, Str name); // dir/name
Table *store_find_table(Store *store, Str name); // NULL when there is none
// A table around an open log, not yet published. Takes `delta`, also when it fails.
Status table_new(Store *store, Str name, DeltaLog *delta, Table **out, Err *err);
void table_free(Table *table); // accepts NULL
void store_publish_table(Store *store, Table *table) REQUIRES(store->tables_mu);
// Creates the Delta table of `def` with the next number and publishes it. ERR_EXISTS.
Status store_add_table_locked(Store *store, const TableDef *def, Table **out, Err *err)
    REQUIRES(store->tables_mu);
// The name of a shard in `txn` actions.
Str table_app_id(const Store *store, uint32_t shard, Arena *arena);

// --- recover.c -----------------------------------------------------------------------------------

// Opens all tables of the tenant (creating `metrics`), then the WAL, and replays it.
Status store_recover(Store *store, StoreRecovery *recovery, Err *err);

// --- flush.c -------------------------------------------------------------------------------------

// Seals the active windows and commits everything that is not in files yet.
Status table_flush(Table *table, Err *err);
// The first sequence that no committed file covers, over all tables.
uint64_t store_first_needed(Store *store);
// Replaces the published version; takes `state`. Windows with frames up to what its txns cover are
// dropped in the same step.
void table_publish(Table *table, DeltaState *state);
uint64_t table_hot_bytes(const Table *table);
// Bytes of all that is charged: the hot tiers and the budget.
uint64_t store_memory_bytes(Store *store);

// --- background.c --------------------------------------------------------------------------------

Status background_start(Store *store, Err *err);
void background_stop(Store *store);
void background_wake(Store *store);
bool store_under_pressure(Store *store);
