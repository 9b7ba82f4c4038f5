// SPDX-License-Identifier: Apache-2.0
//
// sql_bench FOLDER [ROWS [RUNS [NAME]]]: statements over flow rows in Parquet, by our engine and by
// DuckDB's own read_parquet on the very same files, in turns and in one process, two threads each.
// FOLDER is filled when it holds no rows. Every line: statement, median wall and CPU milliseconds
// of both sides, and ours / DuckDB's. NAME chooses the statements whose name contains it; with
// "ours:" or "peer:" before it only that side runs (for profilers).
#include "base/mem.h"
#include "base/rng.h"
#include "column/builder.h"
#include "os/thread.h"
#include "sql/sql.h"
#include "store/store.h"

#include <duckdb.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 2, BATCH_ROWS = 65536, RUNS_MAX = 101, POOL = 20000, SOURCES = 5000 };

static void die(const char *message)
{
    (void)fprintf(stderr, "sql_bench: %s\n", message);
    exit(1); // NOLINT(concurrency-mt-unsafe)
}

// --- rows --------------------------------------------------------------------------------------

static const Field fields[] = {
    {STR("timestamp"), COLUMN_TIMESTAMP, false}, {STR("src_ip"), COLUMN_STRING, true},
    {STR("dst_ip"), COLUMN_STRING, true},        {STR("src_port"), COLUMN_INT64, true},
    {STR("dst_port"), COLUMN_INT64, true},       {STR("protocol"), COLUMN_STRING, true},
    {STR("bytes"), COLUMN_INT64, true},          {STR("latency"), COLUMN_DOUBLE, true},
    {STR("retransmits"), COLUMN_INT64, true}};
enum { COLUMNS = ARRAY_LEN(fields) };

typedef struct Flow {
    uint32_t source, destination;
    int64_t source_port, destination_port;
    Str protocol;
} Flow;

static double unit(Rng *rng)
{
    return (double)(rng_next(rng) >> 11) * 0x1p-53;
}

static double gauss(Rng *rng)
{
    return sqrt(-2 * log(1 - unit(rng))) * cos(6.283185307179586 * unit(rng));
}

// The i-th of n is drawn about as often as 1 / i.
static uint32_t popular(Rng *rng, double n)
{
    return (uint32_t)(pow(n + 1, unit(rng)) - 1);
}

static Flow new_flow(Rng *rng)
{
    static const int64_t ports[] = {443,  443,  443,  443,  80, 80,   53,   53,
                                    8080, 5432, 6379, 9092, 22, 3306, 8443, 9090};
    const int64_t port = ports[rng_next(rng) % ARRAY_LEN(ports)];
    return (Flow){.source = (UINT32_C(10) << 24) + 1 + popular(rng, SOURCES),
                  .destination = UINT32_C(0xAC100001) + popular(rng, 2000),
                  .source_port = 32768 + (int64_t)(rng_next(rng) % 28232),
                  .destination_port = port,
                  .protocol = port == 53                 ? STR("UDP")
                              : rng_next(rng) % 200 == 0 ? STR("ICMP")
                                                         : STR("TCP")};
}

static void put_ip(Builder *b, uint32_t ip)
{
    char text[16];
    const int len = snprintf(text, sizeof(text), "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255,
                             ip >> 8 & 255, ip & 255);
    builder_str(b, (Str){text, (size_t)len});
}

static void put_row(Builder **b, const Flow *flow, int64_t time_us, Rng *rng)
{
    builder_i64(b[0], time_us);
    put_ip(b[1], flow->source);
    put_ip(b[2], flow->destination);
    builder_i64(b[3], flow->source_port);
    builder_i64(b[4], flow->destination_port);
    builder_str(b[5], flow->protocol);
    builder_i64(b[6], 40 + (int64_t)exp(6.5 + 1.8 * gauss(rng)));
    builder_f64(b[7], floor(exp(0.8 + 0.9 * gauss(rng)) * 1000 + 0.5) / 1000);
    builder_i64(b[8], rng_next(rng) % 100 < 95 ? 0 : (int64_t)(rng_next(rng) % 5 + 1));
}

static void fill(Store *store, uint64_t rows)
{
    Err err;
    Rng rng = {.state = 42};
    Flow *pool = mem_new(Flow, POOL);
    Builder *builders[COLUMNS];
    Vector columns[COLUMNS];
    const Schema schema = {fields, COLUMNS};
    const int64_t start_us = INT64_C(1767225600) * 1000000;

    for (size_t i = 0; i < POOL; i++) {
        pool[i] = new_flow(&rng);
    }
    for (size_t i = 0; i < COLUMNS; i++) {
        builders[i] = builder_new(fields[i].type);
    }
    for (uint64_t row = 0; row < rows;) {
        uint32_t count = 0;
        for (; row < rows && count < BATCH_ROWS; row++, count++) {
            Flow *flow = &pool[rng_next(&rng) % POOL];
            put_row(builders, flow, start_us + (int64_t)(row * UINT64_C(3600000) / rows) * 1000,
                    &rng);
            if (rng_next(&rng) % 20 == 0) {
                *flow = new_flow(&rng);
            }
        }
        for (size_t i = 0; i < COLUMNS; i++) {
            columns[i] = builder_vector(builders[i]);
        }
        const Batch batch = {.schema = &schema, .columns = columns, .row_count = count};
        if (store_write_rows(store, STR("flows_bench"), &batch, &err) != OK) {
            die(err.msg);
        }
        for (size_t i = 0; i < COLUMNS; i++) {
            builder_clear(builders[i]);
        }
    }
    for (size_t i = 0; i < COLUMNS; i++) {
        builder_free(builders[i]);
    }
    mem_free(pool);
    if (store_flush(store, STR(""), &err) != OK) {
        die(err.msg);
    }
}

// --- the two sides -----------------------------------------------------------------------------

typedef struct Sample {
    double wall_ms, cpu_ms;
    uint64_t rows;
} Sample;

static Sample since(int64_t start_ns, double cpu, uint64_t rows)
{
    return (Sample){.wall_ms = (double)(os_mono_ns(os_posix()) - start_ns) / 1e6,
                    .cpu_ms = (os_process_cpu_seconds() - cpu) * 1e3,
                    .rows = rows};
}

static Sample ask_ours(SqlEngine *engine, const char *text)
{
    Err err;
    SqlRun *run = NULL;
    Batch batch = {.row_count = 1};
    uint64_t rows = 0;
    const SqlQueryOptions options = {0};
    const double cpu = os_process_cpu_seconds();
    const int64_t start_ns = os_mono_ns(os_posix());
    if (sql_query(engine, (Str){text, strlen(text)}, &options, &run, &err) != OK) {
        die(err.msg);
    }
    while (batch.row_count > 0) {
        if (sql_run_next(run, &batch, &err) != OK) {
            die(err.msg);
        }
        rows += batch.row_count;
    }
    sql_run_close(run);
    return since(start_ns, cpu, rows);
}

static Sample ask_peer(duckdb_connection connection, const char *text)
{
    duckdb_result result;
    const double cpu = os_process_cpu_seconds();
    const int64_t start_ns = os_mono_ns(os_posix());
    if (duckdb_query(connection, text, &result) != DuckDBSuccess) {
        die(duckdb_result_error(&result));
    }
    const uint64_t rows = duckdb_row_count(&result);
    duckdb_destroy_result(&result);
    return since(start_ns, cpu, rows);
}

static int by_wall(const void *a, const void *b)
{
    const double x = ((const Sample *)a)->wall_ms;
    const double y = ((const Sample *)b)->wall_ms;
    return (x > y) - (x < y);
}

static int by_cpu(const void *a, const void *b)
{
    const double x = ((const Sample *)a)->cpu_ms;
    const double y = ((const Sample *)b)->cpu_ms;
    return (x > y) - (x < y);
}

static Sample median(Sample *samples, size_t count)
{
    if (count == 0) {
        return (Sample){0};
    }
    Sample m = samples[0];
    qsort(samples, count, sizeof(*samples), by_cpu);
    m.cpu_ms = samples[count / 2].cpu_ms;
    qsort(samples, count, sizeof(*samples), by_wall);
    m.wall_ms = samples[count / 2].wall_ms;
    return m;
}

// --- statements --------------------------------------------------------------------------------

// The table goes between `head` and `tail`.
static const struct {
    const char *name, *head, *tail;
} statements[] = {
    {"count", "SELECT count(*)", ""},
    {"sum", "SELECT sum(bytes)", ""},
    {"sum where src_ip", "SELECT sum(bytes)", "WHERE src_ip = '10.0.0.1'"},
    {"sum where rare src_ip", "SELECT sum(bytes)", "WHERE src_ip = '10.0.7.187'"},
    {"sum where dst_port", "SELECT sum(bytes)", "WHERE dst_port = 443"},
    {"group by src_ip", "SELECT src_ip, sum(bytes), avg(latency), max(latency)", "GROUP BY src_ip"},
    {"group by protocol", "SELECT protocol, count(*), sum(bytes)", "GROUP BY 1"},
    {"p99 by minute",
     "SELECT date_trunc('minute', timestamp) AS minute, quantile_cont(latency, 0.99)",
     "GROUP BY 1 ORDER BY 1"},
    {"point on src_port", "SELECT count(*), sum(bytes)", "WHERE src_port = 54649"},
    {"last minute", "SELECT count(*), sum(bytes)", "WHERE timestamp >= '2026-01-01 00:59:00'"},
    {"group by dst_port, protocol", "SELECT dst_port, protocol, count(*), sum(bytes)",
     "GROUP BY 1, 2"},
    {"distinct src_port", "SELECT count(DISTINCT src_port)", ""},
    {"top destinations", "SELECT dst_ip, sum(bytes) AS b", "GROUP BY 1 ORDER BY b DESC LIMIT 10"},
    {"all rows of a host", "SELECT *", "WHERE src_ip = '10.0.0.5'"},
};

typedef struct Bench {
    SqlEngine *engine;
    duckdb_connection connection;
    char peer_source[OS_PATH_MAX + 128];
    size_t runs;
    bool ours, peer;
} Bench;

static void put_statement(size_t i, const char *table, char *out, size_t size)
{
    (void)snprintf(out, size, "%s FROM %s %s", statements[i].head, table, statements[i].tail);
}

static void run_statement(const Bench *b, size_t i)
{
    static Sample ours[RUNS_MAX];
    static Sample peer[RUNS_MAX];
    char our_text[8192];
    char peer_text[8192];
    put_statement(i, "flows_bench", our_text, sizeof(our_text));
    put_statement(i, b->peer_source, peer_text, sizeof(peer_text));
    for (size_t run = 0; run <= b->runs; run++) { // the first one warms up and is overwritten
        const size_t at = run == 0 ? 0 : run - 1;
        for (int side = 0; side < 2; side++) {
            if ((side == 0) == (run % 2 == 0) && b->ours) {
                ours[at] = ask_ours(b->engine, our_text);
            } else if ((side == 0) != (run % 2 == 0) && b->peer) {
                peer[at] = ask_peer(b->connection, peer_text);
            }
        }
    }
    const Sample o = median(ours, b->ours ? b->runs : 0);
    const Sample p = median(peer, b->peer ? b->runs : 0);
    if (b->ours && b->peer && o.rows != p.rows) {
        die("the two sides differ in the number of rows");
    }
    printf("%-28s ours %8.2f ms cpu %7.0f   peer %8.2f ms cpu %7.0f   wall x%.2f cpu x%.2f\n",
           statements[i].name, o.wall_ms, o.cpu_ms, p.wall_ms, p.cpu_ms, o.wall_ms / p.wall_ms,
           o.cpu_ms / p.cpu_ms);
    (void)fflush(stdout);
}

static duckdb_connection open_peer(duckdb_database *database)
{
    duckdb_connection connection = NULL;
    duckdb_config config = NULL;
    char threads[16];
    (void)snprintf(threads, sizeof(threads), "%d", THREADS);
    if (duckdb_create_config(&config) != DuckDBSuccess ||
        duckdb_set_config(config, "threads", threads) != DuckDBSuccess ||
        duckdb_open_ext(NULL, database, config, NULL) != DuckDBSuccess ||
        duckdb_connect(*database, &connection) != DuckDBSuccess) {
        die("DuckDB does not open");
    }
    duckdb_destroy_config(&config);
    (void)duckdb_query(connection, "SET TimeZone = 'UTC'", NULL);
    return connection;
}

int main(int argc, char **argv)
{
    Err err;
    Store *store = NULL;
    Arena arena = {0};
    TableDef def;
    Bench b = {.runs = 5, .ours = true, .peer = true};
    duckdb_database database = NULL;
    const char *only = argc > 4 ? argv[4] : "";

    if (argc < 2) {
        die("usage: sql_bench FOLDER [ROWS [RUNS [NAME]]]");
    }
    const uint64_t rows = argc > 2 ? strtoull(argv[2], NULL, 10) : 4000000;
    if (argc > 3) {
        b.runs = strtoull(argv[3], NULL, 10);
    }
    if (b.runs < 1 || b.runs > RUNS_MAX) {
        die("1 to 101 runs");
    }
    if (strncmp(only, "ours:", 5) == 0 || strncmp(only, "peer:", 5) == 0) {
        b.ours = only[0] == 'o';
        b.peer = !b.ours;
        only += 5;
    }
    const StoreOptions options = {
        .os = os_posix(), .dir = {argv[1], strlen(argv[1])}, .manual = true};
    if (store_open(&options, &store, NULL, &err) != OK) {
        die(err.msg);
    }
    if (store_table(store, STR("flows_bench"), &arena, &def, &err) != OK) {
        fill(store, rows);
    }
    const SqlOptions sql = {.os = os_posix(), .store = store, .threads = THREADS};
    if (sql_engine_new(&sql, &b.engine, &err) != OK) {
        die(err.msg);
    }
    b.connection = open_peer(&database);
    (void)snprintf(b.peer_source, sizeof(b.peer_source),
                   "read_parquet('%s/default/flows_bench/*/*.parquet', hive_partitioning = true)",
                   argv[1]);
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        if (strstr(statements[i].name, only) != NULL) {
            run_statement(&b, i);
        }
    }
    duckdb_disconnect(&b.connection);
    duckdb_close(&database);
    sql_engine_free(b.engine);
    arena_deinit(&arena);
    return store_close(store, false, &err) == OK ? 0 : 1;
}
