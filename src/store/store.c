// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include "base/mem.h"
#include "store/store_internal.h"

// --- options -------------------------------------------------------------------------------------

static bool tenant_is_valid(Str tenant)
{
    for (size_t i = 0; i < tenant.len; i++) {
        const char c = tenant.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-')) {
            return false;
        }
    }
    // These names are taken in the folder of the store.
    return tenant.len > 0 && tenant.len <= STORE_TENANT_MAX && !str_eq(tenant, STR("wal")) &&
           !str_eq(tenant, STR("lock"));
}

static Status check_limit(const char *what, uint32_t value, uint32_t max, Err *err)
{
    if (value > max) {
        return err_set(err, ERR_INVALID, "%s is %" PRIu32 ", more than %" PRIu32, what, value, max);
    }
    return OK;
}

static uint64_t or_default(uint64_t value, uint64_t if_zero)
{
    return value != 0 ? value : if_zero;
}

static Status set_options(Store *store, const StoreOptions *options, Err *err)
{
    StoreOptions *o = &store->options;
    *o = *options;
    o->dir = arena_str(&store->arena, options->dir);
    o->tenant =
        arena_str(&store->arena, options->tenant.len != 0 ? options->tenant : STR("default"));
    if (o->dir.len == 0) {
        return err_set(err, ERR_INVALID, "no folder is given");
    }
    if (!tenant_is_valid(o->tenant)) {
        return err_set(err, ERR_INVALID,
                       "tenant '" STR_FMT "' is not [A-Za-z0-9_-]{1,%d}, or a reserved name",
                       STR_ARG(o->tenant), STORE_TENANT_MAX);
    }
    TRY(check_limit("label_columns_max", o->label_columns_max, METRICS_LABEL_COLUMNS_MAX, err));
    TRY(check_limit("labels per series", o->label_limits.count_max, LABELS_COUNT_MAX, err));
    TRY(check_limit("bytes of a label name", o->label_limits.name_bytes_max, LABELS_NAME_BYTES_MAX,
                    err));
    TRY(check_limit("bytes of a label value", o->label_limits.value_bytes_max,
                    LABELS_VALUE_BYTES_MAX, err));
    if (o->sync_interval_ms < 0 || o->flush_interval_ms < 0 || o->max_age_ms < 0 ||
        o->max_future_ms < 0) {
        return err_set(err, ERR_INVALID, "an interval is negative");
    }
    o->flush_interval_ms =
        o->flush_interval_ms != 0 ? o->flush_interval_ms : STORE_FLUSH_INTERVAL_MS;
    o->flush_rows = or_default(o->flush_rows, STORE_FLUSH_ROWS);
    o->flush_bytes = or_default(o->flush_bytes, STORE_FLUSH_BYTES);
    o->memory_limit_bytes = or_default(o->memory_limit_bytes, os_memory_total_bytes() / 2);
    o->label_columns_max = (uint32_t)or_default(o->label_columns_max, STORE_LABEL_COLUMNS_DEFAULT);
    store->budget.limit_bytes = o->memory_limit_bytes;
    store->tenant_dir = store_path(&store->arena, o->dir, o->tenant);
    return OK;
}

// --- open and close ------------------------------------------------------------------------------

static Store *store_new(Os *os)
{
    Store *store = mem_new(Store, 1);
    store->os = os;
    arena_init(&store->arena, 0);
    mutex_init(&store->tables_mu);
    mutex_init(&store->work_mu);
    cond_init(&store->work);
    return store;
}

static void store_free(Store *store)
{
    if (store == NULL) {
        return;
    }
    for (size_t i = 0; i < store_table_count(store); i++) {
        table_free(store->tables[i]);
    }
    wal_close(store->wal);
    reader_cache_free(store->readers);
    os_file_close(store->lock); // last: from here on the folder may be another's
    cond_deinit(&store->work);
    mutex_deinit(&store->work_mu);
    mutex_deinit(&store->tables_mu);
    arena_deinit(&store->arena);
    mem_free(store);
}

static Status take_lock(Store *store, Err *err)
{
    const Str path = store_path(&store->arena, store->options.dir, STR("lock"));
    const Status st = os_lock_file(store->os, path, &store->lock, err);
    if (st == ERR_EXISTS) {
        return err_set(err, ERR_EXISTS, "another process has the store '" STR_FMT "' open",
                       STR_ARG(store->options.dir));
    }
    return st;
}

Status store_open(const StoreOptions *options, Store **out, StoreRecovery *recovery, Err *err)
{
    Status st = OK;
    *out = NULL;
    if (recovery != NULL) {
        *recovery = (StoreRecovery){0};
    }
    Store *store = store_new(options->os);
    TRY_OUT(set_options(store, options, err));
    TRY_OUT(os_mkdir_all(store->os, store->options.dir, err));
    TRY_OUT(take_lock(store, err));
    TRY_OUT(store_meta_load(store->os, store->options.dir, &store->meta, err));
    const ReaderCacheOptions readers = {.os = store->os,
                                        .budget = &store->budget,
                                        .files_max = STORE_READERS_MAX,
                                        .bytes_max = STORE_READER_BYTES_MAX};
    store->readers = reader_cache_new(&readers);
    TRY_OUT(store_recover(store, recovery, err));
    if (!store->options.manual) {
        TRY_OUT(background_start(store, err));
    }
    *out = store;
    store = NULL;
out:
    store_free(store);
    return st == OK ? OK : err_prefix(err, "store '" STR_FMT "': ", STR_ARG(options->dir));
}

Status store_close(Store *store, bool flush, Err *err)
{
    Status st = OK;
    if (store == NULL) {
        return OK;
    }
    background_stop(store);
    if (flush) {
        st = store_flush(store, (Str){0}, err);
    } else {
        st = wal_sync(store->wal, err);
    }
    store_free(store);
    return st;
}

// --- figures -------------------------------------------------------------------------------------

static uint64_t load(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_table(Table *table, StoreFigures *out)
{
    mutex_lock(&table->mu);
    TableVersion *version = table_version_ref(table->version);
    mutex_unlock(&table->mu);
    out->files += version->file_count;
    out->file_bytes += version->size_bytes;
    table_version_unref(version);
    out->hot_bytes += table_hot_bytes(table);
    if (table->metrics != NULL) {
        MetricsHotFigures figures;
        metrics_hot_figures(table->metrics, &figures);
        out->hot_series += figures.series;
        out->hot_rows += figures.rows;
    } else {
        RowsWindowInfo info;
        RowsWindow *window = rows_hot_active(table->rows);
        rows_window_info(window, &info);
        rows_window_unref(window);
        out->hot_rows += info.row_count;
    }
}

void store_figures(Store *store, StoreFigures *out)
{
    const StoreCounters *c = &store->counters;
    WalUsage wal;
    wal_usage(store->wal, &wal);
    *out = (StoreFigures){
        .samples_written = load(&c->samples_written),
        .rows_written = load(&c->rows_written),
        .samples_rejected = load(&c->samples_rejected),
        .writes_refused = load(&c->writes_refused),
        .flushes = load(&c->flushes),
        .flush_failures = load(&c->flush_failures),
        .flushed_rows = load(&c->flushed_rows),
        .flushed_bytes = load(&c->flushed_bytes),
        .last_flush_us = atomic_load_explicit(&c->last_flush_us, memory_order_relaxed),
        .wal_segments = wal.segments,
        .wal_bytes = wal.bytes,
        .wal_syncs = wal.syncs,
        .memory_bytes = store_memory_bytes(store) + wal.buffered_bytes,
        .memory_limit_bytes = store->budget.limit_bytes,
    };
    for (size_t i = 0; i < store_table_count(store); i++) {
        add_table(store->tables[i], out);
    }
}
