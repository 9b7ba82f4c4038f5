// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "store/scan_internal.h"

// Adds the columns that only hot rows have. Asked for after the windows were taken, so that it
// knows every column of a row that is in them by now.
static void add_hot_columns(Snapshot *s)
{
    Schema hot;
    size_t label_count;
    if (s->table->metrics != NULL) {
        metrics_hot_schema(s->table->metrics, &s->arena, &hot, &label_count);
    } else {
        rows_hot_schema(s->table->rows, &s->arena, &hot);
    }
    const Schema *logged = &s->version->schema;
    Field *fields = arena_new(&s->arena, Field, logged->count + hot.count);
    memcpy(fields, logged->fields, logged->count * sizeof(*fields));
    size_t count = logged->count;
    for (size_t i = 0; i < hot.count; i++) {
        const size_t at = schema_find(logged, hot.fields[i].name);
        if (at == SIZE_MAX) {
            fields[count++] = hot.fields[i];
        } else {
            fields[at].nullable = fields[at].nullable || hot.fields[i].nullable;
        }
    }
    s->schema = (Schema){.fields = fields, .count = count};
}

Status snapshot_open(Store *store, Str name, Snapshot **out, Err *err)
{
    *out = NULL;
    Table *table = store_find_table(store, name);
    if (table == NULL) {
        return err_set(err, ERR_NOT_FOUND, "there is no table '" STR_FMT "'", STR_ARG(name));
    }
    Snapshot *s = mem_new(Snapshot, 1);
    s->store = store;
    s->table = table;
    arena_init(&s->arena, 0);
    mutex_lock(&table->mu);
    s->version = table_version_ref(table->version);
    hot_windows_copy(&s->hot, &table->sealed);
    for (uint32_t shard = 0; table->metrics != NULL && shard < METRICS_SHARDS; shard++) {
        hot_windows_push_metrics(&s->hot, metrics_hot_active(table->metrics, shard));
    }
    if (table->rows != NULL) {
        hot_windows_push_rows(&s->hot, rows_hot_active(table->rows));
    }
    mutex_unlock(&table->mu);
    add_hot_columns(s);
    *out = s;
    return OK;
}

void snapshot_close(Snapshot *s)
{
    if (s == NULL) {
        return;
    }
    hot_windows_deinit(&s->hot);
    table_version_unref(s->version);
    arena_deinit(&s->arena);
    mem_free(s);
}

const Schema *snapshot_schema(const Snapshot *s)
{
    return &s->schema;
}

LabelsKey snapshot_labels_key(const Snapshot *s)
{
    return s->store->meta.labels_key;
}

uint64_t snapshot_row_estimate(const Snapshot *s)
{
    uint64_t rows = s->version->row_count;
    for (size_t i = 0; i < s->hot.metrics_count; i++) {
        MetricsWindowInfo info;
        metrics_window_info(s->hot.metrics[i], &info);
        rows += info.row_count;
    }
    for (size_t i = 0; i < s->hot.rows_count; i++) {
        RowsWindowInfo info;
        rows_window_info(s->hot.rows[i], &info);
        rows += info.row_count;
    }
    return rows;
}
