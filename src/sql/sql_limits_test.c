// SPDX-License-Identifier: Apache-2.0
//
// Limits at the limit and one past it, time, memory, cancellation, many statements at once.
#include "base/mem.h"
#include "os/thread.h"
#include "sql/engine_internal.h"
#include "sql/sql_test_support.h"

#include <stdatomic.h>

static const char heavy[] = "SELECT count(*) FROM range(100000000000) a(x) WHERE sin(x) > 2";

static bool starts_with(Str s, const char *prefix)
{
    return str_eq(str_slice(s, 0, strlen(prefix)), (Str){prefix, strlen(prefix)});
}

TEST(sql_limits, length_of_a_statement)
{
    Fixture *f = fixture_new(t);
    Buf text = {0};
    buf_init(&text, 2 * SQL_TEXT_MAX_BYTES);
    buf_put_str(&text, STR("SELECT 1 AS one"));
    while (text.len < SQL_TEXT_MAX_BYTES) {
        buf_put_u8(&text, ' ');
    }
    CHECK_STR(ask(t, f->engine, buf_str(&text)), STR("1"));
    buf_put_u8(&text, ' ');
    CHECK(starts_with(ask(t, f->engine, buf_str(&text)), "error: too large"));
    buf_deinit(&text);
    fixture_free(f);
}

// "SELECT <item>, <item>, ... <tail>"
static Str select_many(Test *t, SqlEngine *engine, const char *item, size_t count, const char *tail)
{
    Buf text = {0};
    buf_init(&text, SQL_TEXT_MAX_BYTES);
    for (size_t i = 0; i < count; i++) {
        buf_putf(&text, "%s%s", i == 0 ? "SELECT " : ", ", item);
    }
    buf_putf(&text, " %s", tail);
    const Str answer = ask(t, engine, buf_str(&text));
    buf_deinit(&text);
    return answer;
}

TEST(sql_limits, columns_of_a_result)
{
    Fixture *f = fixture_new(t);
    CHECK_EQ(select_many(t, f->engine, "1", 4096, "").len, 2 * 4096 - 1);
    CHECK(starts_with(select_many(t, f->engine, "1", 4097, ""), "error: too large: the result"));
    fixture_free(f);
}

// More conditions, constants, names and levels than are looked at: the answer stays the same.
TEST(sql_limits, what_is_looked_at)
{
    Fixture *f = fixture_new(t);
    for (size_t count = 200; count <= 1600; count *= 2) {
        Buf list = {0};
        Buf and = {0};
        Buf deep = {0};
        buf_init(&list, SQL_TEXT_MAX_BYTES);
        buf_init(&and, SQL_TEXT_MAX_BYTES);
        buf_init(&deep, SQL_TEXT_MAX_BYTES);
        buf_put_str(&list, STR("SELECT count(*) FROM things WHERE n IN (0"));
        buf_put_str(&and, STR("SELECT count(*) FROM things WHERE n < 5"));
        buf_put_str(&deep, STR("SELECT count(*) FROM things WHERE n < 1"));
        for (size_t i = 1; i < count; i++) {
            buf_putf(&list, ", %zu", i);
            buf_putf(&and, " AND n <> %zu", i + 100);
            buf_putf(&deep, i % 100 == 0 ? " + (1" : " + 1");
        }
        for (size_t i = 100; i < count; i += 100) {
            buf_put_u8(&deep, ')');
        }
        buf_put_u8(&list, ')');
        CHECK_STR(ask(t, f->engine, buf_str(&list)), ask(t, f->naive, buf_str(&list)));
        CHECK_STR(ask(t, f->engine, buf_str(&and)), STR("5"));
        CHECK_STR(ask(t, f->engine, buf_str(&deep)), ask(t, f->naive, buf_str(&deep)));
        buf_deinit(&list);
        buf_deinit(&and);
        buf_deinit(&deep);
    }
    CHECK(!starts_with(select_many(t, f->engine, "max(n) + sum(u8) + min(i8)", 2000, "FROM things"),
                       "error"));
    fixture_free(f);
}

// One table in 300 places: more than are looked at.
TEST(sql_limits, places_of_a_table)
{
    Fixture *f = fixture_new(t);
    for (size_t places = 255; places <= 300; places += 45) {
        Buf text = {0};
        buf_init(&text, SQL_TEXT_MAX_BYTES);
        buf_put_str(&text, STR("SELECT count(*) FROM ("));
        for (size_t i = 0; i < places; i++) {
            buf_put_str(&text, i == 0 ? STR("") : STR(" UNION ALL "));
            buf_putf(&text, "SELECT n FROM metrics, range(1) r(n) WHERE value = %zu", i % 10);
        }
        buf_put_u8(&text, ')');
        CHECK_STR(ask(t, f->engine, buf_str(&text)), ask(t, f->naive, buf_str(&text)));
        buf_deinit(&text);
    }
    fixture_free(f);
}

TEST(sql_limits, tables_of_a_statement)
{
    Err err;
    Store *store = NULL;
    SqlEngine *engine = NULL;
    Buf text = {0};
    const Field field = {.name = STR("timestamp"), .type = COLUMN_TIMESTAMP};
    const StoreOptions options = {.os = os_posix(), .dir = test_dir(t), .manual = true};
    CHECK_OK(store_open(&options, &store, NULL, &err));
    const SqlOptions sql = {.os = os_posix(), .store = store};
    CHECK_OK(sql_engine_new(&sql, &engine, &err));
    buf_init(&text, SQL_TEXT_MAX_BYTES);
    buf_put_str(&text, STR("SELECT count(*) FROM metrics"));
    for (int i = 0; i < SQL_TABLES_PER_RUN_MAX; i++) {
        Buf name = {0};
        buf_init(&name, 64);
        buf_putf(&name, "t%d", i);
        const TableDef def = {.name = buf_str(&name), .schema = {.fields = &field, .count = 1}};
        CHECK_OK(store_create_table(store, &def, &err));
        if (i == SQL_TABLES_PER_RUN_MAX - 1) {
            CHECK_STR(ask(t, engine, buf_str(&text)), STR("0"));
        }
        buf_putf(&text, " UNION ALL SELECT count(*) FROM t%d WHERE false HAVING false", i);
        buf_deinit(&name);
    }
    CHECK(starts_with(ask(t, engine, buf_str(&text)), "error: invalid argument"));
    buf_deinit(&text);
    sql_engine_free(engine);
    CHECK_OK(store_close(store, false, &err));
}

TEST(sql_limits, time)
{
    static const char *const statements[] = {
        heavy, "SELECT count(*) FROM things a, things b, things c WHERE a.d + b.d + c.d > 1e301",
        "SELECT a.many FROM things a, things b, things c WHERE a.d + b.d + c.d > 1e301",
        "SELECT [a.many] FROM things a, things b, range(100000) c"};
    static const int64_t timeouts_ms[] = {1, 5, 60};
    Fixture *f = fixture_new(t);
    CHECK_STR(ASK(f->engine, "SELECT 1"), STR("1")); // opens DuckDB, which takes its time
    for (size_t i = 0; i < ARRAY_LEN(statements) * ARRAY_LEN(timeouts_ms); i++) {
        Err err;
        SqlRun *run = NULL;
        Batch batch = {.row_count = 1};
        const char *statement = statements[i / ARRAY_LEN(timeouts_ms)];
        const SqlQueryOptions options = {.timeout_ms = timeouts_ms[i % ARRAY_LEN(timeouts_ms)]};
        const int64_t start_ns = os_mono_ns(os_posix());
        Status st = sql_query(f->engine, (Str){statement, strlen(statement)}, &options, &run, &err);
        while (st == OK && batch.row_count > 0) {
            st = sql_run_next(run, &batch, &err);
        }
        CHECK_EQ(st, ERR_TIMEOUT);
        CHECK(os_mono_ns(os_posix()) - start_ns < INT64_C(20) * 1000000000);
        if (run != NULL) { // what has ended stays so
            CHECK_OK(sql_run_next(run, &batch, &err));
            CHECK_EQ(batch.row_count, 0);
        }
        sql_run_close(run);
    }
    CHECK_STR(ASK(f->engine, "SELECT count(*) FROM things"), STR("40000"));
    fixture_free(f);
}

static bool is_set(void *ctx)
{
    return atomic_load_explicit((atomic_bool *)ctx, memory_order_relaxed); // only a flag
}

TEST(sql_limits, a_client_that_left)
{
    Err err;
    SqlRun *run = NULL;
    atomic_bool gone = true;
    Fixture *f = fixture_new(t);
    const SqlQueryOptions options = {.is_abandoned = is_set, .abandoned_ctx = &gone};
    Batch batch = {.row_count = 1};
    Status st = sql_query(f->engine, (Str){heavy, strlen(heavy)}, &options, &run, &err);
    while (st == OK && batch.row_count > 0) {
        st = sql_run_next(run, &batch, &err);
    }
    CHECK_EQ(st, ERR_CANCELLED);
    sql_run_close(run);
    fixture_free(f);
}

TEST(sql_limits, memory)
{
    static const Str greedy =
        STR("SELECT x, count(*) FROM (SELECT md5(i::VARCHAR) AS x FROM range(3000000) t(i)) GROUP "
            "BY 1 ORDER BY 2, 1 LIMIT 1");
    Err err;
    SqlEngine *small = NULL;
    Fixture *f = fixture_new(t);
    SqlOptions options = {.os = os_posix(),
                          .store = f->store,
                          .threads = 1,
                          .memory_limit_bytes = 64 << 20,
                          .temp_limit_bytes = 1 << 20};
    CHECK_OK(sql_engine_new(&options, &small, &err));
    CHECK(starts_with(ask(t, small, greedy), "error: limit exceeded"));
    CHECK_STR(ASK(small, "SELECT count(DISTINCT many) > 0 FROM things"), STR("true"));
    sql_engine_free(small);

    options.temp_dir = f->dir;
    options.temp_limit_bytes = 1 << 30;
    CHECK_OK(sql_engine_new(&options, &small, &err));
    CHECK(!starts_with(ask(t, small, greedy), "error"));
    sql_engine_free(small);
    fixture_free(f);
}

// DuckDB may read its own folder for spilling, and nothing beside it.
TEST(sql_limits, folder_for_spilling)
{
    Err err;
    SqlEngine *engine = NULL;
    OsFile *file = NULL;
    Buf path = {0};
    Buf text = {0};
    Fixture *f = fixture_new(t);
    const Str dir = f->dir;
    const SqlOptions options = {.os = os_posix(), .store = f->store, .temp_dir = dir};
    buf_init(&path, OS_PATH_MAX);
    buf_init(&text, OS_PATH_MAX);
    buf_put_str(&path, dir);
    buf_put_str(&path, STR("/secret.txt"));
    CHECK_OK(os_file_open(os_posix(), buf_str(&path), OS_OPEN_CREATE_NEW, &file, &err));
    os_file_close(file);
    CHECK_OK(sql_engine_new(&options, &engine, &err));
    buf_putf(&text, "SELECT * FROM read_text('" STR_FMT "')", STR_ARG(buf_str(&path)));
    CHECK(starts_with(ask(t, engine, buf_str(&text)), "error: invalid argument: Permission"));
    buf_clear(&text);
    buf_putf(&text, "SELECT * FROM glob('" STR_FMT "/*')", STR_ARG(dir));
    CHECK(starts_with(ask(t, engine, buf_str(&text)), "error: invalid argument: Permission"));
    buf_deinit(&path);
    buf_deinit(&text);
    sql_engine_free(engine);
    fixture_free(f);
}

// --- closing -----------------------------------------------------------------------------------

TEST(sql_limits, results_may_be_closed_at_any_time)
{
    static const char *const statements[] = {
        "SELECT many, Host FROM things",
        "SELECT a.many, b.many FROM things a, things b",
        "SELECT few, count(*) FROM things GROUP BY 1",
        "SELECT many FROM things ORDER BY many",
        "SELECT [many], tags FROM things",
        "SELECT many FROM things LIMIT 3",
        "SELECT labels, value FROM metrics",
        "SELECT 'x'::INTEGER",
    };
    Fixture *f = fixture_new(t);
    for (size_t i = 0; i < 200; i++) {
        Err err;
        SqlRun *run = NULL;
        Batch batch;
        const char *statement = statements[test_random(t) % ARRAY_LEN(statements)];
        const SqlQueryOptions options = {
            .timeout_ms = test_random(t) % 3 == 0 ? 1 + (int64_t)(test_random(t) % 20) : 0};
        Status st = sql_query(f->engine, (Str){statement, strlen(statement)}, &options, &run, &err);
        for (uint64_t k = test_random(t) % 30; st == OK && k > 0; k--) {
            st = sql_run_next(run, &batch, &err);
        }
        sql_run_close(run);
    }
    CHECK_STR(ASK(f->engine, "SELECT count(*) FROM things"), STR("40000"));
    fixture_free(f);
}

// --- a broken database -------------------------------------------------------------------------

TEST(sql_limits, a_broken_database_is_replaced)
{
    Err err;
    SqlRun *old = NULL;
    SqlRun *older = NULL;
    Batch batch;
    Fixture *f = fixture_new(t);
    const SqlQueryOptions options = {0};
    CHECK_OK(sql_query(f->engine, STR("SELECT many FROM things"), &options, &older, &err));
    CHECK_OK(sql_query(f->engine, STR("SELECT many FROM things"), &options, &old, &err));
    const SqlInstance *broken = f->engine->current;
    CHECK_EQ(sql_run_error(old, "FATAL Error: the database has been invalidated", &err),
             ERR_INTERNAL);
    CHECK_STR(ASK(f->engine, "SELECT count(*) FROM things"), STR("40000"));
    CHECK(f->engine->current != broken);
    // Runs of both live on, although their connections may have the same number.
    CHECK_EQ(sql_run_error(older, "INTERNAL Error: once more", &err), ERR_INTERNAL);
    CHECK(f->engine->current != NULL);
    CHECK_STR(ASK(f->engine, "SELECT count(*) FROM metrics"), STR("50"));
    sql_run_close(old);
    CHECK_STR(ASK(f->engine, "SELECT count(*) FROM metrics"), STR("50"));
    CHECK_OK(sql_run_next(older, &batch, &err)); // told its end already
    CHECK_EQ(batch.row_count, 0);
    sql_run_close(older);
    CHECK_STR(ASK(f->engine, "SELECT count(*) FROM metrics"), STR("50"));
    fixture_free(f);
}

TEST(sql_limits, codes_of_errors)
{
    static const struct {
        const char *message;
        Status code;
    } cases[] = {{"Out of Memory Error: failed to pin block", ERR_LIMIT},
                 {"IO Error: No space left on device", ERR_IO},
                 {"INTERRUPT Error: Interrupted!", ERR_CANCELLED},
                 {"Binder Error: FATAL Error", ERR_INVALID},
                 {"", ERR_INVALID}};
    Err err;
    Fixture *f = fixture_new(t);
    const SqlQueryOptions options = {0};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SqlRun *run = NULL;
        CHECK_OK(sql_query(f->engine, STR("SELECT 1"), &options, &run, &err));
        CHECK_EQ(sql_run_error(run, cases[i].message, &err), cases[i].code);
        sql_run_close(run);
    }
    // The first failure of a scan keeps its code.
    SqlRun *run = NULL;
    CHECK_OK(sql_query(f->engine, STR("SELECT 1"), &options, &run, &err));
    CHECK_EQ(err_set(&err, ERR_CORRUPT, "data file 'x': page 3"), ERR_CORRUPT);
    sql_run_fail(run, &err);
    CHECK_EQ(err_set(&err, ERR_CANCELLED, "the scan was cancelled"), ERR_CANCELLED);
    sql_run_fail(run, &err);
    CHECK_EQ(sql_run_error(run, "Invalid Input Error: data file", &err), ERR_CORRUPT);
    CHECK_STR(((Str){err.msg, strlen(err.msg)}), STR("data file 'x': page 3"));
    sql_run_close(run);
    fixture_free(f);
}

// --- many at once ------------------------------------------------------------------------------

typedef struct Client {
    Fixture *f;
    Thread thread;
    uint64_t seed;
    atomic_uint failures;
} Client;

static bool runs(SqlEngine *engine, const char *statement)
{
    Err err;
    SqlRun *run = NULL;
    Batch batch = {.row_count = 1};
    const SqlQueryOptions options = {.timeout_ms = 60000};
    Status st = sql_query(engine, (Str){statement, strlen(statement)}, &options, &run, &err);
    while (st == OK && batch.row_count > 0) {
        st = sql_run_next(run, &batch, &err);
    }
    sql_run_close(run);
    return st == OK;
}

static void client_run(void *arg)
{
    static const char *const statements[] = {
        "SELECT few, count(*), max(many) FROM things WHERE u8 = 7 GROUP BY 1",
        "SELECT count(*) FROM things",
        "SELECT labels, sum(value) FROM metrics GROUP BY 1",
        "SELECT * FROM things WHERE n < 100",
        "SELECT a.n FROM things a JOIN things b ON a.n = b.n WHERE a.u8 = 7",
        "SHOW TABLES"};
    Client *c = arg;
    Rng rng = {c->seed};
    for (int i = 0; i < 40; i++) {
        if (!runs(c->f->engine, statements[rng_below(&rng, ARRAY_LEN(statements))])) {
            atomic_fetch_add_explicit(&c->failures, 1, memory_order_relaxed); // only a count
        }
    }
}

TEST(sql_limits, many_statements_at_once_while_rows_are_flushed)
{
    Err err;
    Client clients[4] = {0};
    Fixture *f = fixture_new(t);
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        clients[i].f = f;
        clients[i].seed = t->seed + i;
        CHECK_OK(thread_start(&clients[i].thread, "sql-client", client_run, &clients[i], &err));
    }
    CHECK_OK(store_flush(f->store, STR(""), &err));
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        thread_join(&clients[i].thread);
        CHECK_EQ(clients[i].failures, 0);
    }
    fixture_free(f);
}
