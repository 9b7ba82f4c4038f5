// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.h"
#include "store/rows_coerce.h"
#include "store/store_internal.h"

// Asked once per batch, before anything is applied. Over the memory limit nothing is taken (it may
// be passed by one batch per writer), nor while the log cannot be written.
static Status check_ready(Store *store, Err *err)
{
    TRY(wal_ready(store->wal, err));
    const uint64_t used = store_memory_bytes(store);
    if (used < store->budget.limit_bytes) {
        return OK;
    }
    atomic_fetch_add_explicit(&store->counters.writes_refused, 1, memory_order_relaxed);
    background_wake(store);
    return err_set(err, ERR_LIMIT,
                   "memory is used up: %" PRIu64 " of %" PRIu64
                   " bytes; try again when rows were flushed",
                   used, store->budget.limit_bytes);
}

// After rows were appended: see Table.oldest_ns.
static void note_rows(Table *table)
{
    Store *store = table->store;
    if (atomic_load_explicit(&table->oldest_ns, memory_order_relaxed) == 0) {
        atomic_store_explicit(&table->oldest_ns, os_mono_ns(store->os), memory_order_relaxed);
    }
    if (store_under_pressure(store)) {
        background_wake(store);
    }
}

Status store_write_metrics(Store *store, const MetricsBatch *batch, MetricsResult *result, Err *err)
{
    Table *table = store->tables[TABLE_NUMBER_METRICS];
    uint64_t sequence = 0;
    *result = (MetricsResult){0};
    TRY(check_ready(store, err));
    const Status applied = metrics_hot_append(table->metrics, batch, result, &sequence, err);
    if (sequence != 0) {
        note_rows(table);
    }
    TRY(applied);
    if (sequence != 0) {
        TRY(wal_commit(store->wal, sequence, err));
    }
    StoreCounters *c = &store->counters;
    atomic_fetch_add_explicit(&c->samples_written, result->samples_written, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->samples_rejected, result->samples_rejected, memory_order_relaxed);
    return OK;
}

// --- typed tables ------------------------------------------------------------------------------

Status store_create_table(Store *store, const TableDef *def, Err *err)
{
    Status st = OK;
    Arena arena;
    TableDef complete;
    Table *table;
    arena_init(&arena, 0);
    TRY_OUT(table_def_check(def, err));
    table_def_complete(def, &arena, &complete);
    mutex_lock(&store->tables_mu);
    st = store_add_table_locked(store, &complete, &table, err);
    mutex_unlock(&store->tables_mu);
out:
    arena_deinit(&arena);
    return st;
}

// The table of the rows; made now when these are its first.
static Status table_of_rows(Store *store, Str name, const Schema *schema, Table **out, Err *err)
{
    *out = store_find_table(store, name);
    if (*out == NULL) {
        const TableDef *known = table_def_known(name);
        const TableDef inferred = table_def_infer(name, schema);
        const Status st = store_create_table(store, known != NULL ? known : &inferred, err);
        if (st != OK && st != ERR_EXISTS) {
            return st;
        }
        *out = store_find_table(store, name);
        ASSERT(*out != NULL);
    }
    if ((*out)->rows == NULL) {
        return err_set(err, ERR_INVALID, "'" STR_FMT "' takes samples, not rows", STR_ARG(name));
    }
    return OK;
}

// Text that is not UTF-8 could be stored, but no reader of the files would take it.
static Status check_text(const Vector *v, Err *err)
{
    const Vector *inner = v->form == VECTOR_RUNS ? v->runs : v;
    inner = inner->form == VECTOR_DICT ? inner->dict : inner;
    if (inner->type == COLUMN_MAP) {
        TRY(check_text(inner->keys, err));
        return check_text(inner->values, err);
    }
    for (uint32_t i = 0; inner->type == COLUMN_STRING && i < inner->row_count; i++) {
        if (validity_get(inner->validity, i) && !utf8_is_valid(vector_flat_str(inner, i))) {
            return err_set(err, ERR_INVALID, "a value is not UTF-8");
        }
    }
    return OK;
}

// The batch with its columns in the types of the table.
static Status fit_columns(Table *table, const Batch *batch, Arena *arena, Batch *out, Err *err)
{
    Schema schema;
    rows_hot_schema(table->rows, arena, &schema);
    Field *fields = arena_new(arena, Field, batch->schema->count);
    Vector *columns = arena_new(arena, Vector, batch->schema->count);
    for (size_t i = 0; i < batch->schema->count; i++) {
        const Field *field = &batch->schema->fields[i];
        const size_t at = schema_find(&schema, field->name);
        const ColumnType type = at == SIZE_MAX ? field->type : schema.fields[at].type;
        Status st = check_text(&batch->columns[i], err);
        st = st == OK ? coerce_vector(&batch->columns[i], type, arena, &columns[i], err) : st;
        if (st != OK) {
            return err_prefix(err,
                              "table '" STR_FMT "', column '" STR_FMT "': ", STR_ARG(table->name),
                              STR_ARG(field->name));
        }
        fields[i] = *field;
        fields[i].type = type;
        if (at == SIZE_MAX) {
            TRY(table_column_check(table->name, field->name, err));
        }
    }
    Schema *fitted = arena_new(arena, Schema, 1);
    *fitted = (Schema){.fields = fields, .count = batch->schema->count};
    *out = (Batch){.schema = fitted, .columns = columns, .row_count = batch->row_count};
    return OK;
}

Status store_write_rows(Store *store, Str name, const Batch *batch, Err *err)
{
    Status st = OK;
    Arena arena;
    Table *table;
    Batch fitted;
    uint64_t sequence = 0;
    arena_init(&arena, 0);
    TRY_OUT(check_ready(store, err));
    TRY_OUT(table_of_rows(store, name, batch->schema, &table, err));
    TRY_OUT(fit_columns(table, batch, &arena, &fitted, err));
    st = rows_hot_append(table->rows, &fitted, &sequence, err);
    if (sequence != 0) {
        note_rows(table);
    }
    TRY_OUT(st);
    if (sequence != 0) {
        TRY_OUT(wal_commit(store->wal, sequence, err));
    }
    atomic_fetch_add_explicit(&store->counters.rows_written, batch->row_count,
                              memory_order_relaxed);
out:
    arena_deinit(&arena);
    return st;
}
