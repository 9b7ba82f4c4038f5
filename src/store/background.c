// SPDX-License-Identifier: Apache-2.0
//
// The thread that decides when tables are flushed: when their oldest row has waited long enough,
// when a shard has many rows or bytes, or when memory runs short. It looks a few times per second,
// and at once when a writer sees that memory is half used.
#include "store/store_internal.h"

// Past PRESSURE_PERCENT of the memory limit, tables are flushed whatever their age, but for those
// whose share is too small to help: flushing them over and over would only make small files.
enum { PRESSURE_PERCENT = 50, PRESSURE_SHARE = 32 };

bool store_under_pressure(Store *store)
{
    return store_memory_bytes(store) >= store->budget.limit_bytes / 100 * PRESSURE_PERCENT;
}

static bool is_large(const StoreOptions *options, uint64_t rows, uint64_t bytes)
{
    return rows >= options->flush_rows || bytes >= options->flush_bytes;
}

static bool has_large_window(Table *table)
{
    const StoreOptions *options = &table->store->options;
    if (table->rows != NULL) {
        RowsWindowInfo info;
        RowsWindow *window = rows_hot_active(table->rows);
        rows_window_info(window, &info);
        rows_window_unref(window);
        return is_large(options, info.row_count, info.size_bytes);
    }
    for (uint32_t shard = 0; shard < METRICS_SHARDS; shard++) {
        MetricsWindowInfo info;
        MetricsWindow *window = metrics_hot_active(table->metrics, shard);
        metrics_window_info(window, &info);
        metrics_window_unref(window);
        if (is_large(options, info.row_count, info.size_bytes)) {
            return true;
        }
    }
    return false;
}

static bool has_sealed(Table *table)
{
    mutex_lock(&table->mu);
    const bool any = table->sealed.metrics_count + table->sealed.rows_count > 0;
    mutex_unlock(&table->mu);
    return any;
}

// Sealed windows are there only when a flush failed: they are tried again when their time has come.
static bool is_due(Table *table, bool pressure)
{
    const int64_t now_ns = os_mono_ns(table->store->os);
    const int64_t oldest_ns = atomic_load_explicit(&table->oldest_ns, memory_order_relaxed);
    if (now_ns < atomic_load_explicit(&table->retry_at_ns, memory_order_relaxed)) {
        return false;
    }
    if (has_sealed(table)) {
        return true;
    }
    const int64_t interval_ns = table->store->options.flush_interval_ms * 1000000;
    const bool helps = table_hot_bytes(table) >= table->store->budget.limit_bytes / PRESSURE_SHARE;
    return oldest_ns != 0 &&
           ((pressure && helps) || now_ns - oldest_ns >= interval_ns || has_large_window(table));
}

static void flush_due(Store *store)
{
    for (size_t i = 0; i < store_table_count(store); i++) {
        Err ignored; // table_flush() has counted and logged it
        if (is_due(store->tables[i], store_under_pressure(store))) {
            (void)table_flush(store->tables[i], &ignored);
        }
    }
}

static void run(void *arg)
{
    Store *store = arg;
    mutex_lock(&store->work_mu);
    while (!store->stopping) {
        if (!store->work_wanted) {
            (void)cond_wait_ms(&store->work, &store->work_mu, STORE_POLL_MS);
        }
        store->work_wanted = false;
        if (!store->stopping) {
            mutex_unlock(&store->work_mu);
            flush_due(store);
            mutex_lock(&store->work_mu);
        }
    }
    mutex_unlock(&store->work_mu);
}

Status background_start(Store *store, Err *err)
{
    return thread_start(&store->thread, "store-flush", run, store, err);
}

void background_stop(Store *store)
{
    mutex_lock(&store->work_mu);
    store->stopping = true;
    cond_signal(&store->work);
    mutex_unlock(&store->work_mu);
    thread_join(&store->thread);
}

void background_wake(Store *store)
{
    mutex_lock(&store->work_mu);
    if (!store->work_wanted) {
        store->work_wanted = true;
        cond_signal(&store->work);
    }
    mutex_unlock(&store->work_mu);
}
