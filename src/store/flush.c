// SPDX-License-Identifier: Apache-2.0
//
// A flush: seal, write files, commit, publish. Between the seal and the publication the windows are
// both in memory and (in the end) in files; the version and the windows that it covers change in
// one critical section of Table.mu, so a snapshot sees each row once.
//
// When a commit fails it may have happened all the same (the machine can fail after the name was
// linked). So its files stay on disk, and the next flush first reads the log again: windows that
// its txn actions cover are dropped, not written a second time.
#include "base/log.h"
#include "base/mem.h"
#include "parquet/writer.h"
#include "store/flush_internal.h"
#include "store/metrics_run.h"

enum { COMMIT_ATTEMPTS_MAX = 5 };

// --- what is needed of the log -------------------------------------------------------------------

static uint64_t lower_first(uint64_t first, uint64_t sequence)
{
    return sequence != 0 && sequence < first ? sequence : first;
}

static uint64_t metrics_window_first(const MetricsWindow *window)
{
    MetricsWindowInfo info;
    metrics_window_info(window, &info);
    return info.first_sequence;
}

static uint64_t rows_window_first(const RowsWindow *window)
{
    RowsWindowInfo info;
    rows_window_info(window, &info);
    return info.first_sequence;
}

static uint64_t table_first_needed(Table *table, uint64_t first)
{
    mutex_lock(&table->mu);
    for (size_t i = 0; i < table->sealed.metrics_count; i++) {
        first = lower_first(first, metrics_window_first(table->sealed.metrics[i]));
    }
    for (size_t i = 0; i < table->sealed.rows_count; i++) {
        first = lower_first(first, rows_window_first(table->sealed.rows[i]));
    }
    for (uint32_t shard = 0; table->metrics != NULL && shard < METRICS_SHARDS; shard++) {
        MetricsWindow *active = metrics_hot_active(table->metrics, shard);
        first = lower_first(first, metrics_window_first(active));
        metrics_window_unref(active);
    }
    if (table->rows != NULL) {
        RowsWindow *active = rows_hot_active(table->rows);
        first = lower_first(first, rows_window_first(active));
        rows_window_unref(active);
    }
    mutex_unlock(&table->mu);
    return first;
}

uint64_t store_first_needed(Store *store)
{
    // A frame is appended with its shard's lock held until its rows are in the window, and looking
    // at a window takes that lock. So frames up to here are either seen below or covered.
    uint64_t first = wal_last_sequence(store->wal) + 1;
    for (size_t i = 0; i < store_table_count(store); i++) {
        first = table_first_needed(store->tables[i], first);
    }
    return first;
}

uint64_t table_hot_bytes(const Table *table)
{
    return table->metrics != NULL ? metrics_hot_bytes(table->metrics) : rows_hot_bytes(table->rows);
}

uint64_t store_memory_bytes(Store *store)
{
    uint64_t bytes = budget_used(&store->budget);
    for (size_t i = 0; i < store_table_count(store); i++) {
        bytes += table_hot_bytes(store->tables[i]);
    }
    return bytes;
}

// --- publishing ----------------------------------------------------------------------------------

// Splits table->sealed into what `covered` (a txn version per shard) covers and what stays.
static void take_covered_locked(Table *table, const int64_t covered[WAL_SHARDS], HotWindows *gone)
    REQUIRES(table->mu)
{
    HotWindows kept = {0};
    for (size_t i = 0; i < table->sealed.metrics_count; i++) {
        MetricsWindow *window = table->sealed.metrics[i];
        MetricsWindowInfo info;
        metrics_window_info(window, &info);
        const bool is_gone = (int64_t)info.last_sequence <= covered[info.shard];
        hot_windows_push_metrics(is_gone ? gone : &kept, window);
    }
    for (size_t i = 0; i < table->sealed.rows_count; i++) {
        RowsWindow *window = table->sealed.rows[i];
        RowsWindowInfo info;
        rows_window_info(window, &info);
        hot_windows_push_rows((int64_t)info.last_sequence <= covered[0] ? gone : &kept, window);
    }
    mem_free(table->sealed.metrics); // the references have moved
    mem_free(table->sealed.rows);
    table->sealed = kept;
}

// Samples up to the newest one of other writers' files may be rewrites of theirs.
static void note_foreign_files(Table *table, const TableVersion *next)
{
    int64_t newest_us = INT64_MIN;
    for (size_t i = 0; table->metrics != NULL && i < next->file_count; i++) {
        int64_t min_us;
        int64_t max_us;
        catalog_file_times(next->files[i], METRICS_TIMESTAMP, &min_us, &max_us);
        newest_us = !next->files[i]->tags.present && max_us > newest_us ? max_us : newest_us;
    }
    if (newest_us != INT64_MIN) {
        metrics_hot_raise_floor(table->metrics, newest_us / 1000);
    }
}

void table_publish(Table *table, DeltaState *state)
{
    Arena scratch;
    HotWindows gone = {0};
    int64_t covered[WAL_SHARDS];
    arena_init(&scratch, 0);
    for (uint32_t shard = 0; shard < WAL_SHARDS; shard++) {
        covered[shard] = delta_state_txn(state, table_app_id(table->store, shard, &scratch));
    }
    arena_deinit(&scratch);
    TableVersion *next = table_version_new(table->dir, state, table->version);
    note_foreign_files(table, next);
    mutex_lock(&table->mu);
    TableVersion *old = table->version;
    table->version = next;
    take_covered_locked(table, covered, &gone);
    mutex_unlock(&table->mu);
    for (size_t i = 0; i < gone.metrics_count; i++) {
        metrics_window_flushed(gone.metrics[i]);
    }
    hot_windows_deinit(&gone);
    table_version_unref(old);
}

// --- one flush -----------------------------------------------------------------------------------

static void seal_active(Table *table)
{
    mutex_lock(&table->mu);
    // Before the windows are taken: see Table.oldest_ns.
    atomic_store_explicit(&table->oldest_ns, 0, memory_order_relaxed);
    for (uint32_t shard = 0; table->metrics != NULL && shard < METRICS_SHARDS; shard++) {
        MetricsWindow *window = metrics_hot_seal(table->metrics, shard);
        if (window != NULL) {
            hot_windows_push_metrics(&table->sealed, window);
        }
    }
    if (table->rows != NULL) {
        RowsWindow *window = rows_hot_seal(table->rows);
        if (window != NULL) {
            hot_windows_push_rows(&table->sealed, window);
        }
    }
    mutex_unlock(&table->mu);
}

typedef struct ShardCover {
    uint64_t first, last;
} ShardCover;

static void cover(ShardCover *shard, uint64_t first, uint64_t last)
{
    shard->first = lower_first(shard->first == 0 ? UINT64_MAX : shard->first, first);
    shard->last = last > shard->last ? last : shard->last;
}

// What the job's windows hold of each shard's frames.
static void set_cover(FlushJob *job)
{
    ShardCover shards[WAL_SHARDS] = {0};
    for (size_t i = 0; i < job->windows.metrics_count; i++) {
        MetricsWindowInfo info;
        metrics_window_info(job->windows.metrics[i], &info);
        cover(&shards[info.shard], info.first_sequence, info.last_sequence);
    }
    for (size_t i = 0; i < job->windows.rows_count; i++) {
        RowsWindowInfo info;
        rows_window_info(job->windows.rows[i], &info);
        cover(&shards[0], info.first_sequence, info.last_sequence);
    }
    for (uint32_t shard = 0; shard < WAL_SHARDS; shard++) {
        if (shards[shard].last == 0) {
            continue;
        }
        job->txns[job->txn_count++] =
            (DeltaTxn){.app_id = table_app_id(job->table->store, shard, &job->arena),
                       .version = (int64_t)shards[shard].last};
        job->wal_first =
            lower_first(job->wal_first == 0 ? UINT64_MAX : job->wal_first, shards[shard].first);
        job->wal_last = shards[shard].last > job->wal_last ? shards[shard].last : job->wal_last;
    }
}

void flush_widen_schema(FlushJob *job, const Schema *hot)
{
    const Schema *old = &job->table->version->schema; // flush_mu is held: nobody else publishes
    Field *fields = arena_new(&job->arena, Field, old->count + hot->count);
    memcpy(fields, old->fields, old->count * sizeof(*fields));
    size_t count = old->count;
    bool relaxed = false;
    for (size_t i = 0; i < hot->count; i++) {
        const size_t at = schema_find(old, hot->fields[i].name);
        if (at == SIZE_MAX) {
            fields[count++] = hot->fields[i];
        } else if (hot->fields[i].nullable && !fields[at].nullable) {
            fields[at].nullable = true; // `value`, with the first histogram
            relaxed = true;
        }
    }
    if (count > old->count || relaxed) {
        job->schema = (Schema){.fields = fields, .count = count};
    }
}

// Others may have widened the table since the job's schema was made: their columns come first.
static void rebase_schema(FlushJob *job, const DeltaState *state)
{
    if (job->schema.count == 0) {
        return;
    }
    const Schema *now = delta_state_schema(state);
    Field *fields = arena_new(&job->arena, Field, now->count + job->schema.count);
    size_t count = now->count;
    bool relaxed = false;
    for (size_t i = 0; i < now->count; i++) {
        fields[i] = now->fields[i];
        fields[i].name = arena_str(&job->arena, now->fields[i].name);
    }
    for (size_t i = 0; i < job->schema.count; i++) {
        const Field *field = &job->schema.fields[i];
        const size_t at = schema_find_nocase(now, field->name);
        if (at == SIZE_MAX) {
            fields[count++] = *field;
        } else if (field->nullable && !fields[at].nullable) {
            fields[at].nullable = true;
            relaxed = true;
        }
    }
    job->schema = (Schema){.fields = fields, .count = count > now->count || relaxed ? count : 0};
}

static Status commit(FlushJob *job, Err *err)
{
    Table *table = job->table;
    Status st = OK;
    for (int attempt = 1;; attempt++) {
        const DeltaCommit commit = {.operation = "WRITE",
                                    .data_change = true,
                                    .adds = job->files,
                                    .add_count = job->file_count,
                                    .txns = job->txns,
                                    .txn_count = job->txn_count,
                                    .schema = job->schema.count != 0 ? &job->schema : NULL};
        DeltaState *state = NULL;
        st = delta_commit(table->delta, &commit, &state, err);
        if (st == OK) {
            table_publish(table, state);
            return OK;
        }
        if (st != ERR_EXISTS || attempt == COMMIT_ATTEMPTS_MAX) {
            break;
        }
        // Another writer changed the schema, and nothing of ours was written.
        TRY(delta_refresh(table->delta, err));
        state = delta_current(table->delta);
        rebase_schema(job, state);
        delta_state_unref(state);
    }
    if (st == ERR_EXISTS) {
        flush_files_remove(job);
    } else {
        table->commit_doubt = true;
    }
    return st;
}

// Reads what others committed, and settles whether an earlier commit of ours happened.
static Status refresh(Table *table, Err *err)
{
    TRY(delta_refresh(table->delta, err));
    DeltaState *state = delta_current(table->delta);
    if (delta_state_version(state) != delta_state_version(table->version->state)) {
        table_publish(table, state);
    } else {
        delta_state_unref(state);
    }
    table->commit_doubt = false;
    return OK;
}

static void count_success(FlushJob *job)
{
    StoreCounters *c = &job->table->store->counters;
    atomic_fetch_add_explicit(&c->flushes, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->flushed_rows, job->row_count, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->flushed_bytes, job->size_bytes, memory_order_relaxed);
    atomic_store_explicit(&c->last_flush_us, os_wall_us(job->table->store->os),
                          memory_order_relaxed);
}

// Roughly what sorting the series and encoding one row group take.
static uint64_t working_bytes(const FlushJob *job)
{
    uint64_t series = 0;
    uint64_t rows = 0;
    uint64_t record_bytes = 0;
    for (size_t i = 0; i < job->windows.metrics_count; i++) {
        MetricsWindowInfo info;
        metrics_window_info(job->windows.metrics[i], &info);
        series += info.series_count;
        rows += info.row_count;
        record_bytes += info.record_bytes;
    }
    for (size_t i = 0; i < job->windows.rows_count; i++) {
        RowsWindowInfo info;
        rows_window_info(job->windows.rows[i], &info);
        series += info.row_count; // rows are sorted one by one
        rows += info.row_count;
    }
    const uint64_t group = rows < PARQUET_ROW_GROUP_ROWS_MAX ? rows : PARQUET_ROW_GROUP_ROWS_MAX;
    record_bytes = record_bytes < METRICS_RUN_BLOB_BYTES ? record_bytes : METRICS_RUN_BLOB_BYTES;
    return series * 64 + group * 32 + record_bytes * 2;
}

static Status write_files(FlushJob *job, Err *err)
{
    Table *table = job->table;
    const uint64_t bytes = working_bytes(job);
    budget_charge(&table->store->budget, bytes); // not asked for: in the end a flush frees memory
    const Status st = table->metrics != NULL ? flush_metrics(job, err) : flush_rows(job, err);
    budget_release(&table->store->budget, bytes);
    return st;
}

static Status write_and_commit(FlushJob *job, Err *err)
{
    Table *table = job->table;
    job->order = table->version->order_max + 1;
    set_cover(job);
    const Status st = write_files(job, err);
    if (st != OK) {
        flush_files_remove(job);
        return st;
    }
    TRY(commit(job, err));
    count_success(job);
    // The log is cut as far as all tables allow. Its failure only leaves old segments for the next
    // time.
    Err ignored;
    (void)wal_trim(table->store->wal, store_first_needed(table->store), &ignored);
    return OK;
}

// With flush_mu held.
static Status flush_sealed(Table *table, Err *err)
{
    if (table->commit_doubt) {
        TRY(refresh(table, err));
    }
    FlushJob job = {.table = table};
    arena_init(&job.arena, 0);
    mutex_lock(&table->mu);
    hot_windows_copy(&job.windows, &table->sealed);
    mutex_unlock(&table->mu);
    Status st = OK;
    if (job.windows.metrics_count + job.windows.rows_count > 0) {
        st = write_and_commit(&job, err);
    }
    hot_windows_deinit(&job.windows);
    mem_free(job.files);
    arena_deinit(&job.arena);
    return st;
}

static void note_failure(Table *table, const Err *err)
{
    Store *store = table->store;
    const uint32_t doublings = table->failures < 16 ? table->failures : 16;
    const int64_t wait_ms = (int64_t)STORE_BACKOFF_MS << doublings;
    const int64_t capped_ms = wait_ms < STORE_BACKOFF_MS_MAX ? wait_ms : STORE_BACKOFF_MS_MAX;
    table->failures++;
    atomic_store_explicit(&table->retry_at_ns, os_mono_ns(store->os) + capped_ms * 1000000,
                          memory_order_relaxed);
    atomic_fetch_add_explicit(&store->counters.flush_failures, 1, memory_order_relaxed);
    log_error("flush failed, its rows stay in memory and in the log", LOG_STR("table", table->name),
              LOG_U64("failures", table->failures), LOG_I64("retry_ms", capped_ms), LOG_ERR(err));
}

Status table_flush(Table *table, Err *err)
{
    mutex_lock(&table->flush_mu);
    seal_active(table);
    const Status st = flush_sealed(table, err);
    if (st == OK) {
        table->failures = 0;
        atomic_store_explicit(&table->retry_at_ns, 0, memory_order_relaxed);
    } else {
        note_failure(table, err);
    }
    mutex_unlock(&table->flush_mu);
    return st == OK ? OK : err_prefix(err, "flush of table '" STR_FMT "': ", STR_ARG(table->name));
}

Status store_flush(Store *store, Str table_or_empty, Err *err)
{
    if (table_or_empty.len != 0) {
        Table *table = store_find_table(store, table_or_empty);
        if (table == NULL) {
            return err_set(err, ERR_NOT_FOUND, "there is no table '" STR_FMT "'",
                           STR_ARG(table_or_empty));
        }
        return table_flush(table, err);
    }
    Status first = OK;
    for (size_t i = 0; i < store_table_count(store); i++) {
        Err other;
        const Status st = table_flush(store->tables[i], first == OK ? err : &other);
        first = first == OK ? st : first;
    }
    return first;
}
