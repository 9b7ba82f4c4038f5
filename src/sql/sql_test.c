// SPDX-License-Identifier: Apache-2.0
//
// Statements and their answers; what is refused; limits; what happens when things go wrong.
#include "base/mem.h"
#include "os/thread.h"
#include "sql/sql_test_support.h"

#include <stdatomic.h>
#include <stdio.h>

typedef struct Case {
    const char *statement, *answer;
} Case;

static void check_cases(Test *t, SqlEngine *engine, const Case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const Str got = ask(t, engine, (Str){cases[i].statement, strlen(cases[i].statement)});
        const Str want = {cases[i].answer, strlen(cases[i].answer)};
        if (!str_eq(got, want)) {
            test_fail(t, __FILE__, __LINE__, "%s\n--- got ---\n%.3000s\n--- want ---\n%s",
                      cases[i].statement, got.ptr, cases[i].answer);
        }
    }
}

TEST(sql, answers)
{
    static const Case cases[] = {
        {"SELECT 42", "42"},
        {"  ;; SELECT 42 ; -- done\n;", "42"},
        {"VALUES (1, 'a'), (2, NULL)", "1|a\n2|NULL"},
        {"SELECT count(*) FROM things", "40000"},
        {"SELECT count(*) FROM THINGS", "40000"},
        {"SELECT count(*) FROM \"Things\" AS \"X\" WHERE \"x\".N < 10", "10"},
        {"FROM things SELECT min(n), max(n)", "0|39999"},
        {"SELECT count(*), 1 FROM things WHERE false", "0|1"},
        {"SELECT max(n) FROM things HAVING false", ""},
        {"SELECT n FROM things ORDER BY n LIMIT 3", "0\n1\n2"},
        {"WITH things AS (SELECT 1 AS n) SELECT count(*) FROM things WHERE n = 1", "1"},
        {"WITH x AS (WITH things AS (SELECT 7 AS n) FROM things WHERE n = 7) SELECT * FROM x", "7"},
        {"SELECT n + 1 AS u8 FROM things WHERE n = 4 AND u8 IS NOT DISTINCT FROM u8", "5"},
        {"SHOW TABLES", "metrics\nthings"},
        {"show /* all */ tables;", "metrics\nthings"},
        {"SELECT column_name FROM (DESCRIBE metrics) LIMIT 5",
         "timestamp\nmetric_name\nvalue\nlabels\ndate"},
        {"SELECT column_name, count FROM (SUMMARIZE metrics) WHERE column_name = 'pod'", "pod|50"},
        {"SELECT DISTINCT typeof(timestamp), typeof(tags), typeof(u64), typeof(id) FROM things",
         "TIMESTAMP WITH TIME ZONE|MAP(VARCHAR, VARCHAR)|UBIGINT|UUID"},
        {"SELECT count(*) FROM things WHERE date = timestamp::DATE", "40000"},
    };
    Fixture *f = fixture_new(t);
    check_cases(t, f->engine, cases, ARRAY_LEN(cases));
    fixture_free(f);
}

TEST(sql, types_of_results)
{
    static const Case cases[] = {
        {"SELECT 170141183460469231731687303715884105727::HUGEINT, "
         "'-170141183460469231731687303715884105728'::HUGEINT",
         "170141183460469231731687303715884105727|-170141183460469231731687303715884105728"},
        {"SELECT 340282366920938463463374607431768211455::UHUGEINT, 0::HUGEINT",
         "340282366920938463463374607431768211455|0"},
        {"SELECT 1.50::DECIMAL(4,2), -0.07::DECIMAL(9,2), 12345.678::DECIMAL(18,3), "
         "99999999999999999999999999999999999.999::DECIMAL(38,3), 0::DECIMAL(5,5)",
         "1.50|-0.07|12345.678|99999999999999999999999999999999999.999|0.00000"},
        {"SELECT sum(u64) IS NOT NULL, typeof(sum(u64)) FROM things", "true|HUGEINT"},
        {"SELECT [1, 2], {'a': 1, 'b': 'x'}, MAP {'k': 1}, INTERVAL 90 MINUTE, TIME '12:00:00'",
         "[1, 2]|{'a': 1, 'b': x}|{k=1}|01:30:00|12:00:00"},
        {"SELECT MAP {'b': 'y', 'a': NULL}, NULL, '1010'::BIT, 'x'::ENUM('x', 'y')",
         "{\"b\":\"y\",\"a\":null}|NULL|1010|x"},
        {"SELECT m FROM (VALUES (1, MAP {'a': 'x'}), (2, NULL), (3, MAP {}), (4, MAP {'b': 'y', "
         "'c': 'a value longer than twelve bytes'})) v(i, m) ORDER BY i DESC",
         "{\"b\":\"y\",\"c\":\"a value longer than twelve bytes\"}\n{}\nNULL\n{\"a\":\"x\"}"},
        {"SELECT [1] -- a comment;", "[1]"},
        {"SELECT i, [i] FROM range(5000) r(i) ORDER BY i DESC LIMIT 2", "4999|[4999]\n4998|[4998]"},
        {"SELECT TIMESTAMP '2026-01-02 03:04:05.678901', DATE '2026-01-02', "
         "TIMESTAMPTZ '2026-01-02 03:04:05+02'",
         "2026-01-02T03:04:05.678901Z|2026-01-02|2026-01-02T01:04:05Z"},
        {"SELECT '2026-01-02 03:04:05'::TIMESTAMP_S, '2026-01-02 03:04:05.678'::TIMESTAMP_MS, "
         "'2026-01-02 03:04:05.678901234'::TIMESTAMP_NS, '1969-12-31 "
         "23:59:59.999999999'::TIMESTAMP_NS",
         "2026-01-02T03:04:05Z|2026-01-02T03:04:05.678Z|2026-01-02T03:04:05.678901Z|1969-12-31T23:"
         "59:59.999999Z"},
        {"SELECT 'infinity'::TIMESTAMP, '-infinity'::TIMESTAMPTZ, 'infinity'::DATE, "
         "'-infinity'::DATE, 'infinity'::TIMESTAMP_NS, '-infinity'::TIMESTAMP_S",
         "infinity|-infinity|infinity|-infinity|infinity|-infinity"},
        {"SELECT 'nan'::DOUBLE, 'inf'::DOUBLE, '-inf'::FLOAT, -0.0::DOUBLE, 0.1::FLOAT",
         "nan|inf|-inf|-0.0|0.1"},
        {"SELECT '\\xAA\\x00b'::BLOB, '00000000-0000-0000-0000-00000000000f'::UUID, true",
         "aa0062|00000000-0000-0000-0000-00000000000f|true"},
        {"SELECT NULL::MAP(VARCHAR, VARCHAR), NULL::UUID, NULL::DECIMAL(9,2), NULL::TIMESTAMP_S",
         "NULL|NULL|NULL|NULL"},
    };
    Fixture *f = fixture_new(t);
    check_cases(t, f->engine, cases, ARRAY_LEN(cases));
    fixture_free(f);
}

TEST(sql, labels_have_all_labels)
{
    static const Case cases[] = {
        {"SELECT DISTINCT pod, labels['pod'], labels FROM metrics WHERE metric_name = 'up' ORDER "
         "BY 1",
         "a|a|{\"pod\":\"a\"}\n"
         "b|b|{\"job\":\"a job with a long name\",\"pod\":\"b\"}\n"
         "c|c|{\"Pod\":\"differs in case\",\"a.dotted\":\"name\",\"pod\":\"c\",\"zone-id\":\"z\"}"},
        {"SELECT labels, count(*), sum(value) FROM metrics GROUP BY 1 ORDER BY 3",
         "{}|10|5.625\n{\"pod\":\"a\"}|20|56.25\n{\"job\":\"a job with a long "
         "name\",\"pod\":\"b\"}|10|145.0\n{\"Pod\":\"differs in "
         "case\",\"a.dotted\":\"name\",\"pod\":\"c\",\"zone-id\":\"z\"}|10|245.0"},
        {"SELECT labels['job'], labels['zone-id'], labels['nothing'], count(*) FROM metrics GROUP "
         "BY ALL ORDER BY ALL",
         "a job with a long name|NULL|NULL|10\nNULL|z|NULL|10\nNULL|NULL|NULL|30"},
        {"SELECT count(*) FROM metrics WHERE labels['pod'] = 'a'", "20"},
        {"SELECT count(*) FROM metrics m WHERE m.labels['Pod'] = 'differs in case'", "10"},
        {"SELECT count(*) FROM metrics WHERE labels IS NULL", "0"},
        {"SELECT count(*) FROM metrics WHERE labels IS NOT NULL", "50"},
        {"SELECT DISTINCT cardinality(labels) FROM metrics ORDER BY 1", "0\n1\n2\n4"},
        {"SELECT a.labels['pod'], count(*) FROM metrics a JOIN metrics b ON a.timestamp = "
         "b.timestamp AND a.labels['pod'] = b.labels['pod'] WHERE a.metric_name = 'up' AND "
         "b.metric_name = 'cpu' GROUP BY 1",
         "a|10"},
        {"SELECT count(*) FROM (SELECT labels AS l FROM metrics) WHERE l['job'] IS NOT NULL", "10"},
        {"SELECT max(metrics)['labels']['zone-id'] FROM metrics WHERE pod = 'c'", "z"},
        {"SELECT map_keys(labels), count(*) FROM metrics GROUP BY 1 ORDER BY 2, 1",
         "[]|10\n[Pod, a.dotted, pod, zone-id]|10\n[job, pod]|10\n[pod]|20"},
    };
    Err err;
    Fixture *f = fixture_new(t);
    check_cases(t, f->engine, cases, ARRAY_LEN(cases));
    CHECK_OK(store_flush(f->store, STR("metrics"), &err));
    check_cases(t, f->engine, cases, ARRAY_LEN(cases));
    fixture_free(f);
}

// Conditions on labels of `metrics`: rows that the scan gave, of 50. Pod is 'a' in 20 of them and
// null in 10, which may have the label in the MAP.
TEST(sql, labels_conditions_reach_the_scan)
{
    static const struct {
        const char *condition;
        uint64_t rows;
        const char *answer;
    } cases[] = {
        {"labels['pod'] = 'a'", 30, "20"},
        {"'a' = labels['pod']", 30, "20"},
        {"m.labels['pod'] IN ('a', 'c')", 40, "30"},
        {"labels['pod'] BETWEEN 'b' AND 'c'", 30, "20"},
        {"labels['pod'] > 'b'", 30, "10"}, // bounds are inclusive
        {"labels['pod'] = 'a' AND pod > 'a'", 20, "0"},
        {"pod = 'a' AND labels['pod'] >= 'b'", 0, "0"},
        {"labels['pod'] IS NULL", 50, "10"},
        {"labels['pod'] IS NOT NULL", 50, "40"},
        {"labels['zone-id'] = 'z'", 50, "10"},
        {"labels['Pod'] = 'a'", 50, "0"},
        {"labels['date'] = '2026-01-01'", 50, "0"},
        {"labels['metric_name'] = 'up'", 50, "0"},
        {"labels['pod'] = metric_name", 50, "0"},
        {"labels['pod'] = 'a' OR pod = 'b'", 50, "30"},
    };
    Fixture *f = fixture_new(t);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err;
        SqlRun *run = NULL;
        SqlStats stats;
        Batch batch = {.row_count = 1};
        Buf text = {0};
        const SqlQueryOptions options = {0};
        buf_init(&text, 0);
        buf_putf(&text, "SELECT count(*) FROM metrics m WHERE %s", cases[i].condition);
        CHECK_OK(sql_query(f->engine, buf_str(&text), &options, &run, &err));
        while (batch.row_count > 0) {
            CHECK_OK(sql_run_next(run, &batch, &err));
        }
        sql_run_stats(run, &stats);
        sql_run_close(run);
        const Str answer = ask(t, f->engine, buf_str(&text));
        if (stats.scan.rows_returned != cases[i].rows ||
            !str_eq(answer, (Str){cases[i].answer, strlen(cases[i].answer)})) {
            test_fail(t, __FILE__, __LINE__, "%s: " STR_FMT " of %" PRIu64 " rows",
                      cases[i].condition, STR_ARG(answer), stats.scan.rows_returned);
        }
        buf_deinit(&text);
    }
    fixture_free(f);
}

// With a smaller limit a label was in the MAP; its older rows still have it there.
TEST(sql, a_label_that_got_its_column_later)
{
    static const Label labels[] = {
        {STR("__name__"), STR("up")}, {STR("a"), STR("x")}, {STR("b"), STR("y")}};
    static const Case cases[] = {
        {"SELECT count(*) FROM metrics WHERE b = 'y'", "1"},
        {"SELECT count(*) FROM metrics WHERE labels['b'] = 'y'", "2"},
        {"SELECT count(*) FROM metrics WHERE labels['b'] >= 'y' AND labels['a'] = 'x'", "2"},
        {"SELECT count(*) FROM metrics WHERE labels['b'] = 'z'", "0"},
        {"SELECT DISTINCT labels FROM metrics", "{\"a\":\"x\",\"b\":\"y\"}"},
    };
    Err err;
    const Str dir = test_dir(t);
    for (int run = 0; run < 2; run++) {
        Store *store = NULL;
        SqlEngine *engine = NULL;
        const StoreOptions options = {
            .os = os_posix(), .dir = dir, .manual = true, .label_columns_max = run == 0 ? 1 : 0};
        CHECK_OK(store_open(&options, &store, NULL, &err));
        CHECK_OK(fixture_write_sample(store, labels, ARRAY_LEN(labels), run, 1.0, &err));
        const SqlOptions sql = {.os = os_posix(), .store = store};
        CHECK_OK(sql_engine_new(&sql, &engine, &err));
        if (run == 1) {
            check_cases(t, engine, cases, ARRAY_LEN(cases));
        }
        CHECK_OK(store_flush(store, STR("metrics"), &err));
        if (run == 1) {
            check_cases(t, engine, cases, ARRAY_LEN(cases));
        }
        sql_engine_free(engine);
        CHECK_OK(store_close(store, false, &err));
    }
}

TEST(sql, names_of_columns)
{
    Err err;
    SqlRun *run = NULL;
    Fixture *f = fixture_new(t);
    const SqlQueryOptions options = {.exact_text = true};
    CHECK_OK(sql_query(f->engine,
                       STR("SELECT 1 AS a, 2 AS a, 3 AS A, 4 AS a_1, [5] AS \"x\"\"y\", "
                           "HOST FROM things LIMIT 1"),
                       &options, &run, &err));
    static const Str shown[] = {STR("a"), STR("a"), STR("A"), STR("a_1"), STR("x\"y"), STR("Host")};
    static const Str unique[] = {STR("a"),   STR("a_2"),  STR("A_3"),
                                 STR("a_1"), STR("x\"y"), STR("Host")};
    CHECK_EQ(sql_run_schema(run)->count, ARRAY_LEN(shown));
    for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
        CHECK_STR(sql_run_columns(run)[i].name, shown[i]);
        CHECK_STR(sql_run_schema(run)->fields[i].name, unique[i]);
    }
    sql_run_close(run);
    fixture_free(f);
}

// HUGEINT and DECIMAL as numbers, for Arrow and Parquet.
TEST(sql, wide_numbers_as_doubles)
{
    Err err;
    SqlRun *run = NULL;
    Batch batch;
    Fixture *f = fixture_new(t);
    const SqlQueryOptions options = {0};
    CHECK_OK(sql_query(f->engine,
                       STR("SELECT 1.23::DECIMAL(9,2), 0.3::DECIMAL(3,1), -0.000001::DECIMAL(9,6), "
                           "123456789012345678901234567890.12345678::DECIMAL(38,8), "
                           "'-170141183460469231731687303715884105728'::HUGEINT"),
                       &options, &run, &err));
    CHECK_OK(sql_run_next(run, &batch, &err));
    static const double want[] = {1.23, 0.3, -0.000001, 123456789012345678901234567890.12345678,
                                  -170141183460469231731687303715884105728.0};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        CHECK_EQ(batch.columns[i].type, COLUMN_DOUBLE);
        CHECK(((const double *)batch.columns[i].data)[0] == want[i]);
    }
    sql_run_close(run);
    fixture_free(f);
}

TEST(sql, addresses)
{
    static const Case cases[] = {
        {"SELECT ip_prefix('10.1.2.3', 8), ip_prefix('10.1.2.3', 0), ip_prefix('10.1.2.3', 32)",
         "10.0.0.0/8|0.0.0.0/0|10.1.2.3/32"},
        {"SELECT ip_prefix('2001:db8:1::1', 32), ip_prefix('::ffff:1.2.3.4', 128)",
         "2001:db8::/32|::ffff:1.2.3.4/128"},
        {"SELECT ip_prefix('nonsense', 8), ip_prefix(NULL, 8), ip_prefix('10.0.0.1', NULL)",
         "NULL|NULL|NULL"},
        {"SELECT ip_prefix('10.0.0.1', 33), ip_prefix('::1', 33)", "NULL|::/33"},
        {"SELECT ip_in('10.1.2.3', '10.0.0.0/8'), ip_in('11.1.2.3', '10.0.0.0/8'), "
         "ip_in('::1', '10.0.0.0/8'), ip_in('::1', '::/0')",
         "true|false|false|true"},
        {"SELECT ip_in(NULL, '::/0'), ip_in('x', '::/0'), ip_in('::1', NULL)", "NULL|NULL|NULL"},
        {"SELECT ip_prefix(a, b), ip_in(a, c) FROM (VALUES ('10.1.2.3', 16, '10.1.0.0/16'), "
         "('::1', 200, 'x'), ('1.2.3.4', -1, '1.2.3.4/33')) v(a, b, c)",
         "10.1.0.0/16|true\nNULL|NULL\nNULL|NULL"},
    };
    Fixture *f = fixture_new(t);
    check_cases(t, f->engine, cases, ARRAY_LEN(cases));
    // A constant that never makes sense is told, whatever the rows are.
    static const char *const bad[] = {
        "SELECT ip_prefix('10.0.0.1', 129)", "SELECT ip_prefix(Host, -1) FROM things WHERE false",
        "SELECT ip_in('10.0.0.1', '10.0.0.0/99')", "SELECT ip_in(Host, 'x') FROM things"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const Str got = ask(t, f->engine, (Str){bad[i], strlen(bad[i])});
        CHECK_STR(str_slice(got, 0, 26), STR("error: invalid argument: B"));
    }
    fixture_free(f);
}

TEST(sql, errors_say_where)
{
    static const Case cases[] = {
        {"SELECT nope FROM things", "nope"},
        {"SELEC 1", "syntax error"},
        {"SELECT * FROM no_such_table", "no_such_table"},
        {"", "the statement is empty"},
        {" -- nothing\n;", "the statement is empty"},
        {"SELECT 1; SELECT 2", "one statement at a time: found 2"},
        {"SELECT $1", "parameters"},
        {"SELECT ?", "parameters"},
        {"SELECT 'x'::INTEGER", "Could not convert string"},
        {"SELECT n FROM things WHERE u8 = 70000::VARCHAR", "Conversion Error"},
        {"SELECT n FROM things WHERE timestamp > 'yesterday'", "invalid timestamp field format"},
        {"SELECT \xff\xfe", "the statement is not UTF-8: byte 8"},
    };
    Fixture *f = fixture_new(t);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const Str got = ask(t, f->engine, (Str){cases[i].statement, strlen(cases[i].statement)});
        CHECK_STR(str_slice(got, 0, 23), STR("error: invalid argument"));
        if (strstr(got.ptr, cases[i].answer) == NULL) {
            test_fail(t, __FILE__, __LINE__, "%s: %s", cases[i].statement, got.ptr);
        }
    }
    Err err;
    SqlRun *run = NULL;
    Buf message = {0};
    buf_init(&message, 4096);
    const SqlQueryOptions options = {.message = &message};
    CHECK_EQ(
        sql_query(f->engine, STR("SELECT n\nFROM things\nWHERE nope = 1"), &options, &run, &err),
        ERR_INVALID);
    CHECK(run == NULL);
    buf_put_u8(&message, 0);
    CHECK(strstr((const char *)message.ptr, "LINE 3") != NULL);
    buf_deinit(&message);
    CHECK_EQ(sql_query(f->engine, (Str){"SELECT '\0'", 10}, &options, &run, &err), ERR_INVALID);
    fixture_free(f);
}

TEST(sql, refuses_what_does_more_than_read) // tidy: allow function-length: one table
{
    static const char *const refused[] = {
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('/etc/*')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('/tmp/*.parquet')",
        "SELECT * FROM parquet_metadata('/tmp/x.parquet')",
        "SELECT * FROM read_json('http://127.0.0.1/x')",
        "SELECT * FROM query('SELECT * FROM read_text(''/etc/passwd'')')",
        "COPY (SELECT 1) TO '/tmp/cardinal-sandbox.csv'",
        "COPY things TO '/tmp/cardinal-sandbox.csv'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/cardinal-sandbox.csv'",
        "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1",
        "EXPLAIN (ANALYZE) CREATE TABLE x AS SELECT 1",
        "EXPLAIN CREATE TABLE x AS SELECT 1",
        "EXPLAIN EXPLAIN SELECT 1",
        "EXPORT DATABASE '/tmp/cardinal-sandbox'",
        "IMPORT DATABASE '/tmp/cardinal-sandbox'",
        "ATTACH '/tmp/cardinal-sandbox.db'",
        "ATTACH ':memory:' AS other",
        "DETACH memory",
        "USE memory",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit='100GB'",
        "SET SESSION threads=64",
        "RESET threads",
        "SET VARIABLE x = 1",
        "PRAGMA threads=4",
        "PRAGMA enable_profiling",
        "PRAGMA database_size; SELECT 1",
        "CREATE TABLE x(a INT)",
        "CREATE TEMP TABLE x AS SELECT 1",
        "CREATE VIEW x AS SELECT 1",
        "CREATE MACRO x(a) AS a",
        "CREATE SECRET s (TYPE S3)",
        "DROP TABLE things",
        "ALTER TABLE things ADD COLUMN x INT",
        "INSERT INTO things SELECT * FROM things",
        "UPDATE things SET n = 1",
        "DELETE FROM things",
        "TRUNCATE things",
        "MERGE INTO things USING metrics ON true WHEN MATCHED THEN DELETE",
        "CALL pragma_version()",
        "CHECKPOINT",
        "VACUUM",
        "ANALYZE",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "DEALLOCATE p",
        "COMMENT ON TABLE things IS 'x'",
        "SELECT getenv('HOME')",
        "SELECT nextval('x')",
        "SELECT * FROM json_execute_serialized_sql('{}')",
    };
    Fixture *f = fixture_new(t);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        const Str got = ask(t, f->engine, (Str){refused[i], strlen(refused[i])});
        if (!str_eq(str_slice(got, 0, 23), STR("error: invalid argument"))) {
            test_fail(t, __FILE__, __LINE__, "%s: %s", refused[i], got.ptr);
        }
    }
    CHECK_STR(ASK(f->engine, "SELECT count(*) FROM things"), STR("40000"));
    CHECK_STR(ASK(f->engine, "SELECT count(*) FROM duckdb_tables()"), STR("0"));
    fixture_free(f);
}

TEST(sql, explains)
{
    static const char *const statements[] = {
        "EXPLAIN SELECT count(*) FROM things WHERE u8 = 7",
        "EXPLAIN ANALYZE SELECT count(*) FROM things WHERE u8 = 7",
        "explain (analyze, format json) select [n] from things where u8 = 7; -- end",
        "EXPLAIN (FORMAT json) SELECT 1",
        "DESCRIBE things",
        "DESCRIBE SELECT [1] AS a",
        "SUMMARIZE metrics",
        "PRAGMA version",
        "SELECT * FROM duckdb_functions() LIMIT 1",
    };
    Fixture *f = fixture_new(t);
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        const Str got = ask(t, f->engine, (Str){statements[i], strlen(statements[i])});
        if (got.len == 0 || str_eq(str_slice(got, 0, 6), STR("error:"))) {
            test_fail(t, __FILE__, __LINE__, "%s: %s", statements[i], got.ptr);
        }
    }
    fixture_free(f);
}
