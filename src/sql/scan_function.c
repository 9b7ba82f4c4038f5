// SPDX-License-Identifier: Apache-2.0
//
// cardinal_scan(table): our scan as a DuckDB table function. A table name in a statement that
// DuckDB does not know is replaced by a call of it. Batches of the scan are cut into DuckDB's
// chunks; see emit.h.
#include "base/mem.h"
#include "sql/emit.h"
#include "sql/engine_internal.h"
#include "store/store.h"
#include "store/table_def.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct ScanBind {
    SqlRun *run;
    SqlTable *table;
} ScanBind;

typedef struct ScanInit {
    atomic_uint refs; // DuckDB, and each ScanLocal with a worker
    SqlRun *run;      // a reference
    Scan *scan;
    Arena arena;
    EmitOptions emit;
    bool only_counts; // the one column asked for is never looked at
} ScanInit;

typedef struct ScanLocal {
    ScanInit *init;     // a reference; NULL before the first row
    ScanWorker *worker; // NULL before the first row
    Emitter *emitter;
    Batch batch;
    uint32_t counted; // rows of `batch` that were handed out, where they are only counted
} ScanLocal;

// --- bind --------------------------------------------------------------------------------------

static SqlRun *run_of(SqlInstance *instance, duckdb_client_context context)
{
    const uint64_t id = duckdb_client_context_get_connection_id(context);
    duckdb_destroy_client_context(&context);
    return sql_instance_run(instance, id);
}

static void bind_columns(duckdb_bind_info info, SqlRun *run, const SqlTable *table)
{
    const Schema *schema = snapshot_schema(table->snapshot);
    for (size_t i = 0; i < schema->count; i++) {
        duckdb_logical_type type = emit_type(schema->fields[i].type);
        const Str name = arena_str(&run->arena, schema->fields[i].name); // arena memory is zeroed
        duckdb_bind_add_result_column(info, name.ptr, type);
        duckdb_destroy_logical_type(&type);
    }
    duckdb_bind_set_cardinality(info, snapshot_row_estimate(table->snapshot), false);
}

static void scan_bind(duckdb_bind_info info)
{
    Err err;
    duckdb_client_context context = NULL;
    SqlTable *table = NULL;

    duckdb_table_function_get_client_context(info, &context);
    SqlRun *run = run_of(duckdb_bind_get_extra_info(info), context);
    duckdb_value value = duckdb_bind_get_parameter(info, 0);
    char *name = duckdb_get_varchar(value);
    duckdb_destroy_value(&value);
    if (run == NULL || name == NULL) {
        duckdb_bind_set_error(info, "cardinal_scan: no table");
    } else if (sql_run_table(run, (Str){name, strlen(name)}, &table, &err) != OK) {
        if (err.status != ERR_NOT_FOUND && err.status != ERR_INVALID) {
            sql_run_fail(run, &err);
        }
        duckdb_bind_set_error(info, err.msg);
    } else {
        bind_columns(info, run, table);
        ScanBind *bind = mem_new(ScanBind, 1);
        *bind = (ScanBind){.run = run, .table = table};
        duckdb_bind_set_bind_data(info, bind, mem_free);
    }
    duckdb_free(name);
}

// --- init --------------------------------------------------------------------------------------

static void init_unref(void *p)
{
    ScanInit *init = p;
    ScanStats stats = {0};
    if (atomic_fetch_sub_explicit(&init->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (init->scan != NULL) {
        scan_stats(init->scan, &stats);
        scan_close(init->scan);
        mutex_lock(&init->run->mu);
        ScanStats *sum = &init->run->scanned;
        sum->files_total += stats.files_total;
        sum->files_pruned += stats.files_pruned;
        sum->row_groups_total += stats.row_groups_total;
        sum->row_groups_pruned += stats.row_groups_pruned;
        sum->pages_total += stats.pages_total;
        sum->pages_pruned += stats.pages_pruned;
        sum->rows_read += stats.rows_read;
        sum->rows_returned += stats.rows_returned;
        sum->bytes_read += stats.bytes_read;
        sum->hot_rows += stats.hot_rows;
        mutex_unlock(&init->run->mu);
    }
    arena_deinit(&init->arena);
    sql_run_unref(init->run);
    mem_free(init);
}

// Columns of the scan: those DuckDB asks for, then those that only `labels` needs.
typedef struct ScanColumns {
    size_t *columns;
    size_t count;
} ScanColumns;

static size_t place_of(ScanColumns *c, size_t column)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->columns[i] == column) {
            return i;
        }
    }
    c->columns[c->count] = column;
    return c->count++;
}

static bool key_is_wanted(const SqlTable *table, Str name)
{
    bool wanted = table->label_keys == NULL;
    for (size_t i = 0; i < table->label_key_count && !wanted; i++) {
        wanted = str_eq(table->label_keys[i], name);
    }
    return wanted;
}

static int by_name(const void *a, const void *b)
{
    const Str x = ((const EmitLabel *)a)->name;
    const Str y = ((const EmitLabel *)b)->name;
    const size_t n = x.len < y.len ? x.len : y.len;
    const int order = n == 0 ? 0 : memcmp(x.ptr, y.ptr, n);
    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

// `labels` of metrics shows the labels that have columns of their own as well.
static void add_labels(ScanInit *init, const SqlTable *table, ScanColumns *c)
{
    const Schema *schema = snapshot_schema(table->snapshot);
    EmitLabel *labels = arena_new(&init->arena, EmitLabel, schema->count);
    init->emit.labels_column = SIZE_MAX;
    for (size_t i = 0; i < c->count && str_eq(table->name, STR(TABLE_METRICS)); i++) {
        if (c->columns[i] == METRICS_LABELS) {
            init->emit.labels_column = i;
        }
    }
    for (size_t i = METRICS_LABELS_FIRST; init->emit.labels_column != SIZE_MAX && i < schema->count;
         i++) {
        if (key_is_wanted(table, schema->fields[i].name)) {
            labels[init->emit.label_count++] =
                (EmitLabel){.name = schema->fields[i].name, .column = place_of(c, i)};
        }
    }
    qsort(labels, init->emit.label_count, sizeof(*labels), by_name);
    init->emit.labels = labels;
}

static void scan_init(duckdb_init_info info)
{
    Err err;
    const ScanBind *bind = duckdb_init_get_bind_data(info);
    const SqlTable *table = bind->table;
    const idx_t count = duckdb_init_get_column_count(info);
    ScanInit *init = mem_new(ScanInit, 1);
    ScanColumns c = {.columns = arena_new(&init->arena, size_t,
                                          count + snapshot_schema(table->snapshot)->count)};

    atomic_init(&init->refs, 1);
    init->run = bind->run;
    sql_run_ref(init->run);
    for (; c.count < count; c.count++) {
        c.columns[c.count] = duckdb_init_get_column_index(info, c.count);
    }
    init->emit.column_count = count;
    init->only_counts = count == 1 && c.columns[0] == 0 && table->first_column_unused;
    add_labels(init, table, &c);
    const ScanOptions options = {.columns = c.columns,
                                 .column_count = init->only_counts ? 0 : c.count,
                                 .tests = table->tests,
                                 .test_count = table->test_count};
    if (scan_open(table->snapshot, &options, &init->scan, &err) != OK) {
        sql_run_fail(init->run, &err);
        duckdb_init_set_error(info, err.msg);
    } else {
        duckdb_init_set_max_threads(info, scan_parallelism(init->scan));
    }
    duckdb_init_set_init_data(info, init, init_unref);
}

static void local_free(void *p)
{
    ScanLocal *local = p;
    emitter_free(local->emitter);
    scan_worker_close(local->worker);
    if (local->init != NULL) {
        init_unref(local->init);
    }
    mem_free(local);
}

static void scan_local_init(duckdb_init_info info)
{
    // The worker is opened by the first call of the function: here there is no way to its scan.
    duckdb_init_set_init_data(info, mem_new(ScanLocal, 1), local_free);
}

// --- rows --------------------------------------------------------------------------------------

static Status next_batch(ScanInit *init, ScanLocal *local, Err *err)
{
    const Status stopped = query_stopped(&init->run->guard);
    if (stopped != OK) {
        return err_set(err, stopped, "the query was stopped");
    }
    if (local->worker == NULL) {
        TRY(scan_worker_open(init->scan, &local->worker, err));
        (void)atomic_fetch_add_explicit(&init->refs, 1, memory_order_relaxed);
        local->init = init;
        local->emitter = emitter_new(&init->emit);
    }
    local->counted = 0;
    TRY(scan_worker_next(local->worker, &local->batch, err));
    emitter_batch(local->emitter, &local->batch);
    return OK;
}

// Rows of which nothing but their number matters.
static void count_rows(ScanLocal *local, uint32_t count, duckdb_data_chunk output)
{
    // The column has some fixed size; its values are never looked at.
    memset(duckdb_vector_get_data(duckdb_data_chunk_get_vector(output, 0)), 0, count);
    local->counted += count;
}

static void scan_function(duckdb_function_info info, duckdb_data_chunk output)
{
    Err err;
    ScanInit *init = duckdb_function_get_init_data(info);
    ScanLocal *local = duckdb_function_get_local_init_data(info);
    uint32_t left = init->only_counts ? local->batch.row_count - local->counted
                                      : emitter_rows_left(local->emitter);

    if (left == 0) {
        if (next_batch(init, local, &err) != OK) {
            sql_run_fail(init->run, &err);
            duckdb_function_set_error(info, err.msg);
            return;
        }
        left = local->batch.row_count;
    }
    const uint32_t count = left < EMIT_ROWS_MAX ? left : EMIT_ROWS_MAX;
    if (count > 0 && init->only_counts) {
        count_rows(local, count, output);
    } else if (count > 0) {
        emitter_chunk(local->emitter, count, output);
    }
    duckdb_data_chunk_set_size(output, count);
}

// --- cardinal_tables() -------------------------------------------------------------------------

typedef struct TableNames {
    Arena arena;
    Str *names;
    size_t count, at;
} TableNames;

static void names_free(void *p)
{
    TableNames *names = p;
    arena_deinit(&names->arena);
    mem_free(names);
}

static void names_bind(duckdb_bind_info info)
{
    duckdb_logical_type type = duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
    duckdb_bind_add_result_column(info, "name", type);
    duckdb_destroy_logical_type(&type);
    duckdb_bind_set_bind_data(info, duckdb_bind_get_extra_info(info), NULL);
}

static void names_init(duckdb_init_info info)
{
    const SqlEngine *engine = duckdb_init_get_bind_data(info);
    TableNames *names = mem_new(TableNames, 1);
    store_tables(engine->options.store, &names->arena, &names->names, &names->count);
    duckdb_init_set_init_data(info, names, names_free);
}

static void names_function(duckdb_function_info info, duckdb_data_chunk output)
{
    TableNames *names = duckdb_function_get_init_data(info);
    duckdb_vector out = duckdb_data_chunk_get_vector(output, 0);
    idx_t count = 0;
    for (; names->at < names->count && count < EMIT_ROWS_MAX; names->at++, count++) {
        const Str name = names->names[names->at];
        duckdb_vector_assign_string_element_len(out, count, name.ptr, name.len);
    }
    duckdb_data_chunk_set_size(output, count);
}

// --- registration ------------------------------------------------------------------------------

static bool table_exists(SqlEngine *engine, const char *name)
{
    Arena arena = {0};
    Str *names = NULL;
    size_t count = 0;
    bool found = false;
    store_tables(engine->options.store, &arena, &names, &count);
    for (size_t i = 0; i < count && !found; i++) {
        found = str_eq(names[i], (Str){name, strlen(name)});
    }
    arena_deinit(&arena);
    return found;
}

// Names are matched as DuckDB matches its own: in any case. Ours are lower case.
static void replace_table(duckdb_replacement_scan_info info, const char *name, void *engine)
{
    char lower[STORE_TABLE_NAME_MAX + 1];
    const size_t len = strlen(name);
    if (len > STORE_TABLE_NAME_MAX) {
        return;
    }
    for (size_t i = 0; i <= len; i++) {
        lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + 32) : name[i];
    }
    if (!table_exists(engine, lower)) {
        return;
    }
    duckdb_value value = duckdb_create_varchar(lower);
    duckdb_replacement_scan_set_function_name(info, "cardinal_scan");
    duckdb_replacement_scan_add_parameter(info, value);
    duckdb_destroy_value(&value);
}

Status sql_register_scan(SqlInstance *instance, duckdb_connection connection, Err *err)
{
    SqlEngine *engine = instance->engine;
    duckdb_logical_type text = duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
    duckdb_table_function scan = duckdb_create_table_function();
    duckdb_table_function names = duckdb_create_table_function();

    duckdb_table_function_set_name(scan, "cardinal_scan");
    duckdb_table_function_add_parameter(scan, text);
    duckdb_table_function_set_extra_info(scan, instance, NULL);
    duckdb_table_function_set_bind(scan, scan_bind);
    duckdb_table_function_set_init(scan, scan_init);
    duckdb_table_function_set_local_init(scan, scan_local_init);
    duckdb_table_function_set_function(scan, scan_function);
    duckdb_table_function_supports_projection_pushdown(scan, true);

    duckdb_table_function_set_name(names, "cardinal_tables");
    duckdb_table_function_set_extra_info(names, engine, NULL);
    duckdb_table_function_set_bind(names, names_bind);
    duckdb_table_function_set_init(names, names_init);
    duckdb_table_function_set_function(names, names_function);

    const bool ok = duckdb_register_table_function(connection, scan) == DuckDBSuccess &&
                    duckdb_register_table_function(connection, names) == DuckDBSuccess;
    duckdb_destroy_table_function(&scan);
    duckdb_destroy_table_function(&names);
    duckdb_destroy_logical_type(&text);
    duckdb_add_replacement_scan(instance->database, replace_table, engine, NULL);
    return ok ? OK : err_set(err, ERR_INTERNAL, "DuckDB: cannot register cardinal_scan");
}
