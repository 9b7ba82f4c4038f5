// SPDX-License-Identifier: Apache-2.0
//
// What is in committed files is known from the Delta logs: each says, by a txn action per shard, up
// to which frame of the write-ahead log it holds everything. Recovery opens the tables, then
// replays the frames behind that. Nothing else is kept about the state of the store, so nothing
// else can be wrong.
#include "base/log.h"
#include "base/mem.h"
#include "store/replay.h"
#include "store/store_internal.h"

typedef struct TableCover {
    int64_t versions[WAL_SHARDS]; // frames up to here are in files; -1: none
} TableCover;

typedef struct Recovery {
    Store *store;
    Replay *replay;
    TableCover *covers; // by slot of the table
    StoreRecovery report;
    size_t last_slot; // of the table of the frame before
} Recovery;

static Status open_table(Store *store, Str name, bool *found, Err *err)
{
    Arena scratch;
    DeltaLog *delta = NULL;
    Table *table = NULL;
    arena_init(&scratch, 0);
    const Str dir = store_path(&scratch, store->tenant_dir, name);
    Status st = delta_open(store->os, dir, &delta, err);
    *found = st == OK;
    if (st == ERR_NOT_FOUND) { // a folder without a log: a crash came before the table existed
        st = OK;
    } else if (st == OK) {
        st = table_new(store, name, delta, &table, err);
    } else {
        st = err_prefix(err, "table '" STR_FMT "': ", STR_ARG(name));
    }
    if (table != NULL) {
        mutex_lock(&store->tables_mu);
        store_publish_table(store, table);
        mutex_unlock(&store->tables_mu);
    }
    arena_deinit(&scratch);
    return st;
}

static Status open_metrics_table(Store *store, Err *err)
{
    bool found = false;
    Table *table;
    const TableDef def = {.name = STR(TABLE_METRICS)};
    TRY(open_table(store, def.name, &found, err));
    if (found) {
        return OK;
    }
    mutex_lock(&store->tables_mu);
    const Status st = store_add_table_locked(store, &def, &table, err);
    mutex_unlock(&store->tables_mu);
    return st;
}

static Status open_tables(Store *store, Err *err)
{
    Status st = OK;
    Arena scratch;
    OsDirEntry *entries = NULL;
    size_t count = 0;
    arena_init(&scratch, 0);
    TRY_OUT(os_mkdir_all(store->os, store->tenant_dir, err));
    TRY_OUT(open_metrics_table(store, err));
    TRY_OUT(os_dir_list(store->os, store->tenant_dir, &scratch, &entries, &count, err));
    for (size_t i = 0; i < count; i++) {
        bool found;
        if (!entries[i].is_dir || !table_name_is_valid(entries[i].name) ||
            str_eq(entries[i].name, STR(TABLE_METRICS))) {
            continue;
        }
        if (store_table_count(store) == STORE_TABLES_MAX) {
            st = err_set(err, ERR_LIMIT, "there are more than %d tables", STORE_TABLES_MAX);
            goto out;
        }
        TRY_OUT(open_table(store, entries[i].name, &found, err));
    }
    for (size_t i = 0; i < store_table_count(store); i++) {
        for (size_t j = 0; j < i; j++) {
            if (store->tables[i]->number == store->tables[j]->number) {
                st = err_set(err, ERR_CORRUPT,
                             "tables '" STR_FMT "' and '" STR_FMT "' have the same number",
                             STR_ARG(store->tables[j]->name), STR_ARG(store->tables[i]->name));
                goto out;
            }
        }
    }
out:
    arena_deinit(&scratch);
    return st;
}

// Fills r->covers and returns the greatest sequence that any table has seen.
static uint64_t read_covers(Recovery *r)
{
    Store *store = r->store;
    uint64_t floor = 0;
    Arena scratch;
    arena_init(&scratch, 0);
    for (uint32_t shard = 0; shard < WAL_SHARDS; shard++) {
        const Str app_id = table_app_id(store, shard, &scratch);
        for (size_t i = 0; i < store_table_count(store); i++) {
            const int64_t version = delta_state_txn(store->tables[i]->version->state, app_id);
            r->covers[i].versions[shard] = version;
            floor = version > 0 && (uint64_t)version > floor ? (uint64_t)version : floor;
        }
    }
    arena_deinit(&scratch);
    return floor;
}

// The slot of the table with this number, or SIZE_MAX.
static size_t find_slot(Recovery *r, uint32_t number)
{
    const size_t count = store_table_count(r->store);
    for (size_t i = 0; i < count; i++) {
        const size_t at = (r->last_slot + i) % count; // frames of a table come in groups
        if (r->store->tables[at]->number == number) {
            r->last_slot = at;
            return at;
        }
    }
    return SIZE_MAX;
}

static Status apply_frame(void *ctx, const WalFrame *frame, Err *err)
{
    Recovery *r = ctx;
    Store *store = r->store;
    if (frame->table > store->table_number_max) {
        store->table_number_max = frame->table; // a number is not used again, whatever became of it
    }
    if (frame->shard >= WAL_SHARDS) {
        return err_set(err, ERR_CORRUPT, "frame %" PRIu64 " is of shard %u", frame->sequence,
                       (unsigned)frame->shard);
    }
    const size_t slot = find_slot(r, frame->table);
    if (slot == SIZE_MAX) {
        r->report.frames_without_table++;
        return OK;
    }
    if ((int64_t)frame->sequence <= r->covers[slot].versions[frame->shard]) {
        return OK;
    }
    Table *table = store->tables[slot];
    atomic_store_explicit(&table->oldest_ns, os_mono_ns(store->os), memory_order_relaxed);
    return replay_frame(r->replay, table, frame, err);
}

// Damage is not silent: what was lost is counted, and the operator reads about it.
static void log_report(const StoreRecovery *report)
{
    const WalReport *wal = &report->wal;
    if (wal->damaged_frames + wal->missing_segments + wal->ignored_segments + report->rows_lost +
            report->frames_without_table >
        0) {
        log_error("the write-ahead log is damaged, acknowledged rows may be lost",
                  LOG_U64("damaged_frames", wal->damaged_frames),
                  LOG_U64("missing_segments", wal->missing_segments),
                  LOG_U64("ignored_segments", wal->ignored_segments),
                  LOG_U64("rows_lost", report->rows_lost),
                  LOG_U64("frames_without_table", report->frames_without_table));
    }
    log_info("store recovered", LOG_U64("frames", wal->frames),
             LOG_U64("rows_replayed", report->rows_replayed),
             LOG_I64("duration_ms", report->duration_ms));
}

Status store_recover(Store *store, StoreRecovery *recovery, Err *err)
{
    Status st = OK;
    Recovery r = {.store = store};
    ReplayCounts counts;
    Arena scratch;
    arena_init(&scratch, 0);
    const int64_t start_ns = os_mono_ns(store->os);
    TRY_OUT(open_tables(store, err));
    r.covers = arena_new(&scratch, TableCover, store_table_count(store));
    const WalOptions options = {.os = store->os,
                                .dir = store_path(&scratch, store->options.dir, STR("wal")),
                                .durability = store->options.durability,
                                .interval_ms = store->options.sync_interval_ms,
                                .segment_bytes = store->options.wal_segment_bytes,
                                .sequence_floor = read_covers(&r),
                                .manual = store->options.manual};
    TRY_OUT(replay_new(store->options.manual ? 0 : os_cpu_count(), &r.replay, err));
    TRY_OUT(wal_open(&options, apply_frame, &r, &store->wal, &r.report.wal, err));
    TRY_OUT(replay_finish(r.replay, &counts, err));
    r.report.rows_replayed = counts.rows;
    r.report.rows_lost = counts.lost;
    r.report.duration_ms = (os_mono_ns(store->os) - start_ns) / 1000000;
    log_report(&r.report);
    if (recovery != NULL) {
        *recovery = r.report;
    }
out:
    replay_free(r.replay);
    arena_deinit(&scratch);
    return st;
}
