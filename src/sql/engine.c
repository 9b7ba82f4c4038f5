// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "base/utf8.h"
#include "sql/engine_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    DEFAULT_MEMORY_BYTES = 1 << 30,
    IDLE_SLEEP_NS = 100000, // between two looks for work
};
static const uint64_t DEFAULT_TEMP_BYTES = UINT64_C(10) << 30;

const char *sql_library_version(void)
{
    return duckdb_library_version();
}

static Str cstr(const char *s)
{
    return s == NULL ? STR("") : (Str){.ptr = s, .len = strlen(s)};
}

static Status run_setup(duckdb_connection connection, const char *text, Err *err)
{
    duckdb_result result;
    Status st = OK;
    if (duckdb_query(connection, text, &result) != DuckDBSuccess) {
        st = err_set(err, ERR_INTERNAL, "DuckDB: %s: %s", text, duckdb_result_error(&result));
    }
    duckdb_destroy_result(&result);
    return st;
}

static Status configure(const SqlOptions *options, duckdb_config config, Err *err)
{
    char text[64];
    const uint64_t memory =
        options->memory_limit_bytes != 0 ? options->memory_limit_bytes : DEFAULT_MEMORY_BYTES;
    const uint64_t temp =
        options->temp_limit_bytes != 0 ? options->temp_limit_bytes : DEFAULT_TEMP_BYTES;
    const uint32_t threads = options->threads != 0 ? options->threads : os_cpu_count();
    bool ok = duckdb_set_config(config, "autoinstall_known_extensions", "false") == DuckDBSuccess &&
              duckdb_set_config(config, "autoload_known_extensions", "false") == DuckDBSuccess;

    (void)snprintf(text, sizeof(text), "%" PRIu64 "KB", memory / 1000);
    ok = ok && duckdb_set_config(config, "memory_limit", text) == DuckDBSuccess;
    (void)snprintf(text, sizeof(text), "%" PRIu32, threads);
    ok = ok && duckdb_set_config(config, "threads", text) == DuckDBSuccess;
    // A folder of its own: DuckDB lets statements read what is in it. Without one it would spill
    // into the working directory.
    char dir[OS_PATH_MAX + 16] = "";
    if (options->temp_dir.len != 0) {
        (void)snprintf(dir, sizeof(dir), STR_FMT "/duckdb", STR_ARG(options->temp_dir));
    }
    ok = ok && duckdb_set_config(config, "temp_directory", dir) == DuckDBSuccess;
    (void)snprintf(text, sizeof(text), "%" PRIu64 "KB", temp / 1000);
    ok = ok && duckdb_set_config(config, "max_temp_directory_size", text) == DuckDBSuccess;
    return ok ? OK : err_set(err, ERR_INTERNAL, "DuckDB refused its configuration");
}

static Status open_database(SqlInstance *instance, const SqlOptions *options, Err *err)
{
    Status st = OK;
    duckdb_config config = NULL;
    char *why = NULL;
    if (duckdb_create_config(&config) != DuckDBSuccess) {
        return err_set(err, ERR_INTERNAL, "DuckDB: no configuration");
    }
    TRY_OUT(configure(options, config, err));
    if (duckdb_open_ext(NULL, &instance->database, config, &why) != DuckDBSuccess) {
        TRY_OUT(err_set(err, ERR_UNAVAILABLE, "DuckDB: %s", why != NULL ? why : "cannot open"));
    }
out:
    duckdb_free(why);
    duckdb_destroy_config(&config);
    return st;
}

static Status set_up(SqlInstance *instance, Err *err)
{
    Status st = OK;
    duckdb_connection connection = NULL;
    if (duckdb_connect(instance->database, &connection) != DuckDBSuccess) {
        return err_set(err, ERR_UNAVAILABLE, "DuckDB: cannot connect");
    }
    TRY_OUT(sql_register_scan(instance, connection, err));
    TRY_OUT(sql_register_functions(connection, err));
    TRY_OUT(run_setup(connection, "SET GLOBAL TimeZone = 'UTC'", err));
    // In this order: the second forbids any further setting.
    TRY_OUT(run_setup(connection, "SET enable_external_access = false", err));
    TRY_OUT(run_setup(connection, "SET lock_configuration = true", err));
out:
    duckdb_disconnect(&connection);
    return st;
}

static void instance_free(SqlInstance *instance)
{
    if (instance != NULL) {
        duckdb_close(&instance->database);
        mem_free(instance);
    }
}

static Status instance_open(SqlEngine *engine, SqlInstance **out, Err *err)
{
    Status st = OK;
    SqlInstance *instance = mem_new(SqlInstance, 1);
    *out = NULL;
    instance->engine = engine;
    instance->refs = 1; // it becomes the current one
    TRY_OUT(open_database(instance, &engine->options, err));
    TRY_OUT(set_up(instance, err));
    *out = instance;
    instance = NULL;
out:
    instance_free(instance);
    return st;
}

Status sql_engine_new(const SqlOptions *options, SqlEngine **out, Err *err)
{
    SqlEngine *engine = mem_new(SqlEngine, 1);
    *out = NULL;
    arena_init(&engine->arena, 0);
    engine->options = *options;
    engine->options.temp_dir = arena_str(&engine->arena, options->temp_dir);
    mutex_init_level(&engine->mu, 61);
    const Status st = query_watch_new(options->os, &engine->watch, err);
    if (st != OK) {
        sql_engine_free(engine);
        return st;
    }
    *out = engine;
    return OK;
}

void sql_engine_free(SqlEngine *engine)
{
    if (engine == NULL) {
        return;
    }
    ASSERT(engine->current == NULL || engine->current->refs == 1);
    query_watch_free(engine->watch);
    instance_free(engine->current);
    mutex_deinit(&engine->mu);
    arena_deinit(&engine->arena);
    mem_free(engine);
}

SqlRun *sql_instance_run(SqlInstance *instance, uint64_t connection_id)
{
    mutex_lock(&instance->engine->mu);
    SqlRun *run = instance->runs;
    while (run != NULL && run->connection_id != connection_id) {
        run = run->next;
    }
    mutex_unlock(&instance->engine->mu);
    return run;
}

Status sql_run_table(SqlRun *run, Str name, SqlTable **out, Err *err)
{
    *out = NULL;
    for (size_t i = 0; i < run->table_count; i++) {
        if (str_eq(run->tables[i].name, name)) {
            *out = &run->tables[i];
            return OK;
        }
    }
    if (run->table_count == SQL_TABLES_PER_RUN_MAX) {
        return err_set(err, ERR_INVALID, "more than %d tables in one statement",
                       SQL_TABLES_PER_RUN_MAX);
    }
    SqlTable *table = &run->tables[run->table_count];
    *table = (SqlTable){.name = arena_str(&run->arena, name)};
    TRY(snapshot_open(run->engine->options.store, table->name, &table->snapshot, err));
    run->table_count++;
    *out = table;
    return OK;
}

void sql_run_fail(SqlRun *run, const Err *err)
{
    mutex_lock(&run->mu);
    if (run->failed == OK) {
        run->failed = err->status;
        run->failure = *err;
    }
    mutex_unlock(&run->mu);
}

// --- one statement -----------------------------------------------------------------------------

static void stop_run(void *ctx)
{
    SqlRun *run = ctx;
    duckdb_interrupt(run->connection);
}

// A database that had such an error refuses every further statement.
static void give_up_instance(SqlRun *run)
{
    SqlEngine *engine = run->engine;
    mutex_lock(&engine->mu);
    if (engine->current == run->instance) {
        engine->current = NULL;
        run->instance->refs--; // this run holds another one
    }
    mutex_unlock(&engine->mu);
}

// DuckDB's messages begin with the kind of error; prepared statements tell it in no other way.
static Status code_of_message(SqlRun *run, Str text)
{
    static const struct {
        Str prefix;
        Status code;
    } kinds[] = {{STR("Out of Memory Error"), ERR_LIMIT},
                 {STR("FATAL Error"), ERR_INTERNAL},
                 {STR("INTERNAL Error"), ERR_INTERNAL},
                 {STR("IO Error"), ERR_IO},
                 {STR("INTERRUPT Error"), ERR_CANCELLED}};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (str_eq(str_slice(text, 0, kinds[i].prefix.len), kinds[i].prefix)) {
            if (kinds[i].code == ERR_INTERNAL) {
                give_up_instance(run);
            }
            return kinds[i].code;
        }
    }
    return ERR_INVALID;
}

Status sql_run_error(SqlRun *run, const char *message, Err *err)
{
    const Status stopped = query_stopped(&run->guard);
    const Str text = cstr(message);

    run->at_end = true;
    if (stopped == ERR_TIMEOUT) {
        return err_set(err, ERR_TIMEOUT, "the query ran past its time limit");
    }
    if (stopped != OK) {
        return err_set(err, stopped, "the query was cancelled");
    }
    mutex_lock(&run->mu);
    const Status failed = run->failed;
    if (failed != OK) {
        *err = run->failure;
    }
    mutex_unlock(&run->mu);
    if (failed != OK) {
        return failed;
    }
    const Status code = code_of_message(run, text);
    if (run->message != NULL) {
        buf_clear(run->message);
        buf_put_str(run->message, text);
    }
    return err_set(err, code, STR_FMT, STR_ARG(text));
}

// One statement that reads, prepared. Any other kind is refused before it runs; what an EXPLAIN
// explains (and, with ANALYZE, runs) is the caller's to check.
static Status prepare(SqlRun *run, const char *text, duckdb_prepared_statement *out, Err *err)
{
    Status st = OK;
    duckdb_extracted_statements statements = NULL;
    const idx_t count = duckdb_extract_statements(run->connection, text, &statements);

    if (count == 0) {
        const char *why = duckdb_extract_statements_error(statements);
        st = why != NULL ? sql_run_error(run, why, err)
                         : err_set(err, ERR_INVALID, "the statement is empty");
    } else if (count > 1) {
        st = err_set(err, ERR_INVALID, "one statement at a time: found %" PRIu64, (uint64_t)count);
    } else if (duckdb_prepare_extracted_statement(run->connection, statements, 0, out) !=
               DuckDBSuccess) {
        st = sql_run_error(run, duckdb_prepare_error(*out), err);
    } else {
        const duckdb_statement_type type = duckdb_prepared_statement_type(*out);
        if (type != DUCKDB_STATEMENT_TYPE_SELECT && type != DUCKDB_STATEMENT_TYPE_EXPLAIN) {
            st = err_set(err, ERR_INVALID,
                         "only statements that read are allowed: SELECT, WITH, EXPLAIN, DESCRIBE, "
                         "SHOW TABLES");
        } else if (duckdb_nparams(*out) != 0) {
            st =
                err_set(err, ERR_INVALID, "the statement has parameters, which get no values here");
        }
    }
    duckdb_destroy_extracted(&statements);
    return st;
}

// Works on the statement until rows flow; false when it failed: duckdb_pending_error() says why.
// DuckDB's own loop turns at full speed while its other threads have all the work there is; this
// one sleeps.
static bool wait_for_rows(SqlRun *run, duckdb_pending_result pending)
{
    duckdb_pending_state state = DUCKDB_PENDING_RESULT_NOT_READY;
    while (state == DUCKDB_PENDING_RESULT_NOT_READY || state == DUCKDB_PENDING_NO_TASKS_AVAILABLE) {
        state = duckdb_pending_execute_task(pending);
        if (state == DUCKDB_PENDING_NO_TASKS_AVAILABLE) {
            os_sleep_ns(run->engine->options.os, IDLE_SLEEP_NS);
        }
    }
    return state != DUCKDB_PENDING_ERROR;
}

static Status execute(SqlRun *run, duckdb_prepared_statement statement, Err *err)
{
    Status st = OK;
    duckdb_pending_result pending = NULL;
    if (duckdb_pending_prepared_streaming(statement, &pending) != DuckDBSuccess ||
        !wait_for_rows(run, pending)) {
        st = sql_run_error(run, duckdb_pending_error(pending), err);
    } else {
        run->has_result = true;
        if (duckdb_execute_pending(pending, &run->result) != DuckDBSuccess) {
            st = sql_run_error(run, duckdb_result_error(&run->result), err);
        }
    }
    duckdb_destroy_pending(&pending);
    return st;
}

// One transaction for all that is asked on behalf of the statement: now() is one instant.
static Status begin(SqlRun *run, Err *err)
{
    duckdb_result result;
    Status st = OK;
    if (duckdb_query(run->connection, "BEGIN TRANSACTION READ ONLY", &result) != DuckDBSuccess) {
        st = sql_run_error(run, duckdb_result_error(&result), err);
    }
    duckdb_destroy_result(&result);
    return st;
}

// The statement again, with the columns that have no type of ours cast to text.
static void wrap_as_text(duckdb_prepared_statement statement, Str text, Buf *out)
{
    const idx_t count = duckdb_prepared_statement_column_count(statement);
    buf_put_str(out, STR("SELECT "));
    for (idx_t i = 0; i < count; i++) {
        duckdb_logical_type type = duckdb_prepared_statement_column_logical_type(statement, i);
        const char *name = duckdb_prepared_statement_column_name(statement, i);
        const bool cast = sql_type_needs_text(type);
        buf_putf(out, cast ? "%sCAST(#%" PRIu64 " AS VARCHAR) AS \"" : "%s#%" PRIu64 " AS \"",
                 i == 0 ? "" : ", ", (uint64_t)i + 1);
        for (const char *c = name; c != NULL && *c != '\0'; c++) {
            buf_putf(out, *c == '"' ? "\"\"" : "%c", *c);
        }
        buf_put_str(out, STR("\""));
        duckdb_free((void *)(uintptr_t)name);
        duckdb_destroy_logical_type(&type);
    }
    buf_put_str(out, STR(" FROM (\n"));
    buf_put_str(out, text);
    buf_put_str(out, STR("\n) AS q"));
    buf_put_u8(out, 0);
}

// EXPLAIN ANALYZE runs its statement: only what may run by itself may be explained.
static Status check_explained(SqlRun *run, Str text, Err *err)
{
    duckdb_prepared_statement statement = NULL;
    const Str inner = arena_str(&run->arena, sql_text_explained(text)); // arena memory is zeroed
    Status st = prepare(run, inner.ptr, &statement, err);
    if (st == OK && duckdb_prepared_statement_type(statement) != DUCKDB_STATEMENT_TYPE_SELECT) {
        st = err_set(err, ERR_INVALID, "only statements that read can be explained");
    }
    duckdb_destroy_prepare(&statement);
    return st;
}

static Status start(SqlRun *run, Str text, Err *err)
{
    Status st = OK;
    duckdb_prepared_statement statement = NULL;
    Buf wrapped = {0};
    Str zero_ended = arena_str(&run->arena, text); // arena memory is zeroed

    buf_init(&wrapped, 2 * SQL_TEXT_MAX_BYTES);
    TRY_OUT(begin(run, err));
    if (!run->engine->options.no_pushdown) {
        sql_find_predicates(run, sql_text_explained(text));
    }
    if (query_stopped(&run->guard) != OK) {
        TRY_OUT(sql_run_error(run, NULL, err));
    }
    TRY_OUT(prepare(run, zero_ended.ptr, &statement, err));
    if (duckdb_prepared_statement_type(statement) == DUCKDB_STATEMENT_TYPE_EXPLAIN) {
        TRY_OUT(check_explained(run, text, err));
    } else if (sql_result_needs_text(statement)) {
        wrap_as_text(statement, text, &wrapped);
        duckdb_destroy_prepare(&statement);
        if (!buf_ok(&wrapped)) {
            TRY_OUT(err_set(err, ERR_TOO_LARGE, "the statement is too long"));
        }
        TRY_OUT(prepare(run, (const char *)wrapped.ptr, &statement, err));
    }
    TRY_OUT(execute(run, statement, err));
    TRY_OUT(sql_describe_result(run, err));
out:
    duckdb_destroy_prepare(&statement);
    buf_deinit(&wrapped);
    return st;
}

// Opening takes the time of a few hundred statements, once: who comes meanwhile waits for it.
static Status current_locked(SqlEngine *engine, Err *err) REQUIRES(engine->mu);
static Status current_locked(SqlEngine *engine, Err *err)
{
    return engine->current != NULL ? OK : instance_open(engine, &engine->current, err);
}

static Status connect_run(SqlEngine *engine, SqlRun *run, Err *err)
{
    duckdb_client_context context = NULL;

    mutex_lock(&engine->mu);
    Status st = current_locked(engine, err);
    if (st == OK && duckdb_connect(engine->current->database, &run->connection) != DuckDBSuccess) {
        st = err_set(err, ERR_UNAVAILABLE, "DuckDB: cannot connect");
    }
    if (st == OK) {
        duckdb_connection_get_client_context(run->connection, &context);
        run->connection_id = duckdb_client_context_get_connection_id(context);
        duckdb_destroy_client_context(&context);
        run->instance = engine->current;
        run->instance->refs++;
        run->next = run->instance->runs;
        run->instance->runs = run;
    }
    mutex_unlock(&engine->mu);
    return st;
}

static Status check_text(Str text, Err *err)
{
    if (text.len > SQL_TEXT_MAX_BYTES) {
        return err_set(err, ERR_TOO_LARGE, "the statement has %zu bytes, at most %d are allowed",
                       text.len, SQL_TEXT_MAX_BYTES);
    }
    if (text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL) {
        return err_set(err, ERR_INVALID, "the statement contains a NUL byte");
    }
    if (!utf8_is_valid(text)) {
        return err_set(err, ERR_INVALID, "the statement is not UTF-8: byte %zu",
                       utf8_valid_len(text) + 1);
    }
    return OK;
}

Status sql_query(SqlEngine *engine, Str text, const SqlQueryOptions *options, SqlRun **out,
                 Err *err)
{
    Os *os = engine->options.os;

    *out = NULL;
    TRY(check_text(text, err));
    text = sql_text_trim(text);
    if (sql_text_equals(text, STR("show tables"))) {
        text = STR("SELECT name FROM cardinal_tables() ORDER BY name");
    }
    SqlRun *run = mem_new(SqlRun, 1);
    atomic_init(&run->refs, 1);
    run->engine = engine;
    run->exact_text = options->exact_text;
    run->message = options->message;
    run->started_ns = os_mono_ns(os);
    mutex_init_level(&run->mu, 62);
    run->guard = (QueryGuard){.deadline_ns = options->timeout_ms > 0
                                                 ? run->started_ns + options->timeout_ms * 1000000
                                                 : 0,
                              .is_abandoned = options->is_abandoned,
                              .abandoned_ctx = options->abandoned_ctx,
                              .stop = stop_run,
                              .stop_ctx = run};
    Status st = connect_run(engine, run, err);
    if (st == OK) {
        query_watch_add(engine->watch, &run->guard);
        st = start(run, text, err);
    }
    if (st != OK) {
        sql_run_close(run);
        return st;
    }
    *out = run;
    return OK;
}

void sql_run_ref(SqlRun *run)
{
    (void)atomic_fetch_add_explicit(&run->refs, 1, memory_order_relaxed);
}

void sql_run_unref(SqlRun *run)
{
    if (atomic_fetch_sub_explicit(&run->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < run->table_count; i++) {
        snapshot_close(run->tables[i].snapshot);
    }
    mutex_deinit(&run->mu);
    arena_deinit(&run->arena);
    arena_deinit(&run->rows);
    mem_free(run);
}

static void disconnect_run(SqlRun *run)
{
    SqlEngine *engine = run->engine;
    SqlInstance *instance = run->instance;
    query_watch_remove(engine->watch, &run->guard); // nobody interrupts it any more
    duckdb_disconnect(&run->connection); // ends its tasks; a thread may free a scan a little later
    mutex_lock(&engine->mu);
    SqlRun **at = &instance->runs;
    while (*at != run) {
        at = &(*at)->next;
    }
    *at = run->next;
    const bool last = --instance->refs == 0;
    mutex_unlock(&engine->mu);
    if (last) {
        instance_free(instance);
    }
}

void sql_run_close(SqlRun *run)
{
    if (run == NULL) {
        return;
    }
    duckdb_destroy_data_chunk(&run->chunk);
    if (run->has_result) {
        duckdb_destroy_result(&run->result);
    }
    if (run->instance != NULL) {
        disconnect_run(run);
    }
    sql_run_unref(run);
}

const Schema *sql_run_schema(const SqlRun *run)
{
    return &run->schema;
}

const SqlColumn *sql_run_columns(const SqlRun *run)
{
    return run->columns;
}

Status sql_run_next(SqlRun *run, Batch *out, Err *err)
{
    *out = (Batch){.schema = &run->schema};
    arena_reset(&run->rows);
    duckdb_destroy_data_chunk(&run->chunk);
    if (run->at_end) {
        return OK;
    }
    run->chunk = duckdb_fetch_chunk(run->result);
    if (run->chunk == NULL) {
        const char *why = duckdb_result_error(&run->result);
        if (why != NULL || query_stopped(&run->guard) != OK) {
            return sql_run_error(run, why, err);
        }
        run->at_end = true;
        return OK;
    }
    TRY(sql_convert_chunk(run, out, err));
    run->rows_returned += out->row_count;
    return OK;
}

void sql_run_stats(SqlRun *run, SqlStats *out)
{
    mutex_lock(&run->mu);
    *out = (SqlStats){.elapsed_us = (os_mono_ns(run->engine->options.os) - run->started_ns) / 1000,
                      .rows_returned = run->rows_returned,
                      .scan = run->scanned};
    mutex_unlock(&run->mu);
}

double sql_run_progress(SqlRun *run)
{
    const duckdb_query_progress_type progress = duckdb_query_progress(run->connection);
    return progress.percentage < 0 ? -1 : progress.percentage / 100;
}
