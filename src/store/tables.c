// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "store/store_internal.h"

#include <stdio.h>
#include <stdlib.h>

Str store_path(Arena *arena, Str dir, Str name)
{
    char *path = arena_new(arena, char, dir.len + 1 + name.len);
    memcpy(path, dir.ptr, dir.len);
    path[dir.len] = '/';
    memcpy(path + dir.len + 1, name.ptr, name.len);
    return (Str){.ptr = path, .len = dir.len + 1 + name.len};
}

Str table_app_id(const Store *store, uint32_t shard, Arena *arena)
{
    char text[STORE_ID_BYTES + 32];
    const int n = snprintf(text, sizeof(text), "cardinal/%s/%" PRIu32, store->meta.id, shard);
    return arena_str(arena, (Str){.ptr = text, .len = (size_t)n});
}

Table *store_find_table(Store *store, Str name)
{
    const size_t count = store_table_count(store);
    for (size_t i = 0; i < count; i++) {
        if (str_eq(store->tables[i]->name, name)) {
            return store->tables[i];
        }
    }
    return NULL;
}

// --- windows -------------------------------------------------------------------------------------

void hot_windows_push_metrics(HotWindows *w, MetricsWindow *window)
{
    w->metrics = mem_grow(w->metrics, &w->metrics_cap, w->metrics_count + 1, sizeof(*w->metrics));
    w->metrics[w->metrics_count++] = window;
}

void hot_windows_push_rows(HotWindows *w, RowsWindow *window)
{
    w->rows = mem_grow(w->rows, &w->rows_cap, w->rows_count + 1, sizeof(*w->rows));
    w->rows[w->rows_count++] = window;
}

void hot_windows_copy(HotWindows *to, const HotWindows *from)
{
    for (size_t i = 0; i < from->metrics_count; i++) {
        hot_windows_push_metrics(to, metrics_window_ref(from->metrics[i]));
    }
    for (size_t i = 0; i < from->rows_count; i++) {
        hot_windows_push_rows(to, rows_window_ref(from->rows[i]));
    }
}

void hot_windows_deinit(HotWindows *w)
{
    for (size_t i = 0; i < w->metrics_count; i++) {
        metrics_window_unref(w->metrics[i]);
    }
    for (size_t i = 0; i < w->rows_count; i++) {
        rows_window_unref(w->rows[i]);
    }
    mem_free(w->metrics);
    mem_free(w->rows);
    *w = (HotWindows){0};
}

// --- tables --------------------------------------------------------------------------------------

static Status log_metrics(void *ctx, uint32_t shard, Bytes payload, uint64_t *sequence, Err *err)
{
    Table *table = ctx;
    const WalFrame frame = {.table = table->number,
                            .shard = (uint16_t)shard,
                            .kind = STORE_FRAME_METRICS,
                            .payload = payload};
    return wal_append(table->store->wal, &frame, sequence, err);
}

static Status log_rows(void *ctx, Bytes payload, uint64_t *sequence, Err *err)
{
    Table *table = ctx;
    const WalFrame frame = {.table = table->number, .kind = STORE_FRAME_ROWS, .payload = payload};
    return wal_append(table->store->wal, &frame, sequence, err);
}

// The greatest timestamp that files of `metrics` hold, in ms; INT64_MIN when there are none.
static int64_t newest_in_files(const TableVersion *version)
{
    int64_t newest_ms = INT64_MIN;
    for (size_t i = 0; i < version->file_count; i++) {
        int64_t min_us;
        int64_t max_us;
        catalog_file_times(version->files[i], METRICS_TIMESTAMP, &min_us, &max_us);
        const int64_t max_ms = max_us / 1000 + (max_us % 1000 > 0);
        newest_ms = max_ms > newest_ms ? max_ms : newest_ms;
    }
    return newest_ms;
}

static void open_metrics(Table *table)
{
    uint64_t nonce;
    os_random(table->store->os, &nonce, sizeof(nonce));
    const StoreOptions *options = &table->store->options;
    const MetricsHotOptions hot = {.key = table->store->meta.labels_key,
                                   .limits = options->label_limits,
                                   .label_columns_max = options->label_columns_max,
                                   .schema = &table->version->schema,
                                   .floor_ms = newest_in_files(table->version),
                                   .os = table->store->os,
                                   .max_age_ms = options->max_age_ms,
                                   .max_future_ms = options->max_future_ms,
                                   .nonce = nonce,
                                   .log = {.append = log_metrics, .ctx = table}};
    table->metrics = metrics_hot_new(&hot);
}

// The first columns of `metrics` are known by their place.
static Status check_metrics_schema(const Schema *schema, Err *err)
{
    const Schema *want = table_metrics_schema();
    for (size_t i = 0; i < want->count; i++) {
        if (i >= schema->count || !str_eq(schema->fields[i].name, want->fields[i].name) ||
            schema->fields[i].type != want->fields[i].type) {
            return err_set(err, ERR_CORRUPT, "column %zu of `metrics` is not '" STR_FMT "' of %s",
                           i, STR_ARG(want->fields[i].name), column_type_sql(want->fields[i].type));
        }
    }
    return OK;
}

static Status open_rows(Table *table, Err *err)
{
    uint64_t nonce;
    os_random(table->store->os, &nonce, sizeof(nonce));
    const RowsHotOptions hot = {
        .def = &table->def, .nonce = nonce, .log = {.append = log_rows, .ctx = table}};
    return rows_hot_new(&hot, &table->rows, err);
}

static Status table_open_hot(Table *table, Err *err)
{
    TableDef def;
    TRY(table_def_read(table->name, table->version->state, &table->arena, &def, &table->number,
                       err));
    if (table->number == TABLE_NUMBER_METRICS) {
        TRY(check_metrics_schema(&table->version->schema, err));
        table->time_column = METRICS_TIMESTAMP;
        open_metrics(table);
        return OK;
    }
    table->time_column = schema_find(&table->version->schema, def.time_column);
    table_def_complete(&def, &table->arena, &table->def);
    return open_rows(table, err);
}

Status table_new(Store *store, Str name, DeltaLog *delta, Table **out, Err *err)
{
    *out = NULL;
    Table *table = mem_new(Table, 1);
    table->store = store;
    table->delta = delta;
    arena_init(&table->arena, 0);
    mutex_init(&table->flush_mu);
    mutex_init(&table->mu);
    table->name = arena_str(&table->arena, name);
    table->dir = store_path(&table->arena, store->tenant_dir, name);
    table->version = table_version_new(table->dir, delta_current(delta), NULL);
    const Status st = table_open_hot(table, err);
    if (st != OK) {
        table_free(table);
        return err_prefix(err, "table '" STR_FMT "': ", STR_ARG(name));
    }
    *out = table;
    return OK;
}

void table_free(Table *table)
{
    if (table == NULL) {
        return;
    }
    hot_windows_deinit(&table->sealed);
    metrics_hot_free(table->metrics);
    rows_hot_free(table->rows);
    table_version_unref(table->version);
    delta_close(table->delta);
    mutex_deinit(&table->mu);
    mutex_deinit(&table->flush_mu);
    arena_deinit(&table->arena);
    mem_free(table);
}

void store_publish_table(Store *store, Table *table)
{
    const size_t count = store_table_count(store);
    ASSERT(count < STORE_TABLES_MAX);
    store->tables[count] = table;
    if (table->number > store->table_number_max) {
        store->table_number_max = table->number;
    }
    atomic_store_explicit(&store->table_count, count + 1, memory_order_release);
}

// There is a log that is not open: its creation failed half-way. Then the table is there after all:
// ERR_EXISTS.
static Status adopt_locked(Store *store, Str name, Str dir, Err *err) REQUIRES(store->tables_mu)
{
    DeltaLog *delta;
    Table *table;
    TRY(delta_open(store->os, dir, &delta, err));
    TRY(table_new(store, name, delta, &table, err));
    for (size_t i = 0; i < store_table_count(store); i++) {
        if (store->tables[i]->number == table->number) {
            table_free(table);
            return err_set(err, ERR_CORRUPT,
                           "tables '" STR_FMT "' and '" STR_FMT "' have the same number",
                           STR_ARG(name), STR_ARG(store->tables[i]->name));
        }
    }
    store_publish_table(store, table);
    return err_set(err, ERR_EXISTS, "table '" STR_FMT "' exists already", STR_ARG(name));
}

Status store_add_table_locked(Store *store, const TableDef *def, Table **out, Err *err)
{
    Status st = OK;
    Arena arena;
    DeltaLog *delta = NULL;
    const Str partition = STR(TABLE_DATE_COLUMN);
    *out = NULL;
    arena_init(&arena, 0);
    const bool is_metrics = str_eq(def->name, STR(TABLE_METRICS));
    if (store_find_table(store, def->name) != NULL) {
        st = err_set(err, ERR_EXISTS, "table '" STR_FMT "' exists already", STR_ARG(def->name));
        goto out;
    }
    if (store_table_count(store) >= STORE_TABLES_MAX) {
        st = err_set(err, ERR_LIMIT, "there are %d tables already", STORE_TABLES_MAX);
        goto out;
    }
    // Used up even when it fails: the log may be there all the same, and its number with it.
    const uint32_t number = is_metrics ? TABLE_NUMBER_METRICS : ++store->table_number_max;
    const Schema schema =
        is_metrics ? *table_metrics_schema() : table_def_delta_schema(def, &arena);
    DeltaCreate create = {.schema = &schema, .partition_columns = &partition, .partition_count = 1};
    create.config = table_def_properties(def, number, &arena, &create.config_count);
    const Str dir = store_path(&arena, store->tenant_dir, def->name);
    TRY_OUT(os_mkdir_all(store->os, dir, err));
    st = delta_create(store->os, dir, &create, &delta, err);
    if (st == ERR_EXISTS) {
        st = adopt_locked(store, def->name, dir, err);
    }
    TRY_OUT(st);
    TRY_OUT(table_new(store, def->name, delta, out, err));
    store_publish_table(store, *out);
out:
    arena_deinit(&arena);
    return st;
}

static int compare_names(const void *a, const void *b)
{
    const Str x = *(const Str *)a;
    const Str y = *(const Str *)b;
    const size_t n = x.len < y.len ? x.len : y.len;
    const int order = memcmp(x.ptr, y.ptr, n);
    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

void store_tables(Store *store, Arena *arena, Str **names, size_t *count)
{
    *count = store_table_count(store);
    *names = arena_new(arena, Str, *count);
    for (size_t i = 0; i < *count; i++) {
        (*names)[i] = arena_str(arena, store->tables[i]->name);
    }
    qsort(*names, *count, sizeof(**names), compare_names);
}

Status store_table(Store *store, Str name, Arena *arena, TableDef *out, Err *err)
{
    *out = (TableDef){0};
    Table *table = store_find_table(store, name);
    if (table == NULL) {
        return err_set(err, ERR_NOT_FOUND, "there is no table '" STR_FMT "'", STR_ARG(name));
    }
    if (table->metrics != NULL) {
        size_t label_count;
        out->name = arena_str(arena, table->name);
        out->time_column = table_metrics_schema()->fields[METRICS_TIMESTAMP].name;
        metrics_hot_schema(table->metrics, arena, &out->schema, &label_count);
        return OK;
    }
    TableDef def = table->def;
    rows_hot_schema(table->rows, arena, &def.schema);
    table_def_complete(&def, arena, out);
    return OK;
}
