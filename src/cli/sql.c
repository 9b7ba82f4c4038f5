// SPDX-License-Identifier: Apache-2.0
//
// cardinal sql: asks a server over HTTP, or opens a data folder itself.
#include "base/num.h"
#include "cli/cli_internal.h"
#include "net/http_client.h"
#include "os/process.h"
#include "os/thread.h"
#include "server/config.h"
#include "sql/format.h"
#include "store/store.h"

#include <stdatomic.h>
#include <stdio.h>

enum {
    PIECE_BYTES = 1 << 20,
    TABLE_ROWS_MAX = 10000, // of a table on a screen
    PROGRESS_AFTER_MS = 500,
    PROGRESS_EVERY_MS = 200,
    STDIN_MAX_BYTES = SQL_TEXT_MAX_BYTES,
};

static const char usage[] =
    "usage: cardinal sql [FLAGS] QUERY\n"
    "\n"
    "Prints the answer to QUERY (\"-\": read it from standard input).\n"
    "\n"
    "  --url URL        of a server [http://127.0.0.1:8080]\n"
    "  --data FOLDER    open a data folder instead; no server may be running on it\n"
    "  --format F       table, csv, json, json_columns, ndjson; with --url also arrow, parquet\n"
    "                   [table on a terminal, csv elsewhere]\n"
    "  --output FILE    write there instead of to standard output\n"
    "  --timeout D      give up after D, such as 30s [60s]\n"
    "  --rows N         rows of a table that are shown [10000]\n";

typedef struct SqlCommand {
    Str url, data, format, output, timeout, query;
    uint64_t rows_max;
    FILE *out;
} SqlCommand;

// --- progress ----------------------------------------------------------------------------------

// A line on the terminal while a query takes its time.
typedef struct Progress {
    Thread thread;
    Mutex mu;
    Cond wake;
    bool done;   // mu
    SqlRun *run; // mu: NULL when not known
} Progress;

static void progress_run(void *arg)
{
    Progress *p = arg;
    const int64_t start = os_mono_ns(os_posix());
    bool shown = false;
    mutex_lock(&p->mu);
    (void)cond_wait_ms(&p->wake, &p->mu, PROGRESS_AFTER_MS);
    while (!p->done) {
        char line[96];
        const double seconds = (double)(os_mono_ns(os_posix()) - start) / 1e9;
        const double part = p->run != NULL ? sql_run_progress(p->run) : -1;
        int len = part > 0 ? snprintf(line, sizeof(line), "\rrunning for %.1f s, %.0f %%  ",
                                      seconds, part * 100)
                           : snprintf(line, sizeof(line), "\rrunning for %.1f s  ", seconds);
        (void)os_print_error((Str){line, (size_t)len});
        shown = true;
        (void)cond_wait_ms(&p->wake, &p->mu, PROGRESS_EVERY_MS);
    }
    mutex_unlock(&p->mu);
    if (shown) {
        (void)os_print_error(STR("\r                                        \r"));
    }
}

static void progress_start(Progress *p)
{
    Err err;
    *p = (Progress){0};
    mutex_init(&p->mu);
    cond_init(&p->wake);
    if (os_stream_is_terminal(OS_STDERR)) {
        (void)thread_start(&p->thread, "progress", progress_run, p,
                           &err); // without it there is no line, no more
    }
}

static void progress_stop(Progress *p)
{
    mutex_lock(&p->mu);
    p->done = true;
    p->run = NULL;
    mutex_unlock(&p->mu);
    cond_broadcast(&p->wake);
    thread_join(&p->thread);
    cond_deinit(&p->wake);
    mutex_deinit(&p->mu);
}

// --- output ------------------------------------------------------------------------------------

static Status write_out(void *ctx, Bytes piece, Err *err)
{
    const SqlCommand *c = ctx;
    if (piece.len != 0 && fwrite(piece.ptr, 1, piece.len, c->out) != piece.len) {
        return err_set(err, ERR_IO, "cannot write the result");
    }
    return OK;
}

// --- a server ----------------------------------------------------------------------------------

static Status ask_server(const SqlCommand *c, Err *err)
{
    Status st = OK;
    HttpClient *client = http_client_new();
    HttpClientResponse response = {0};
    Buf url = {0};
    Progress progress;

    buf_init(&url, HTTP_CLIENT_URL_MAX);
    buf_put_str(&url, c->url);
    buf_put_str(&url, STR("/api/v1/sql?format="));
    http_client_put_escaped(&url, c->format);
    if (c->timeout.len != 0) {
        buf_put_str(&url, STR("&timeout="));
        http_client_put_escaped(&url, c->timeout);
    }
    if (c->rows_max != TABLE_ROWS_MAX) {
        buf_putf(&url, "&rows=%" PRIu64, c->rows_max);
    }
    const HttpPair type = {STR("Content-Type"), STR("application/sql")};
    const HttpClientRequest request = {.method = HTTP_POST,
                                       .url = buf_str(&url),
                                       .headers = &type,
                                       .header_count = 1,
                                       .body = {(const uint8_t *)c->query.ptr, c->query.len},
                                       .timeout_ms = -1,
                                       .sink = write_out,
                                       .sink_ctx = (void *)(uintptr_t)c};
    progress_start(&progress);
    st = http_client_do(client, &request, &response, err);
    progress_stop(&progress);
    if (st == OK && response.status >= 300) {
        cli_complain_about("sql", &response);
        st = err_set(err, ERR_INVALID, "the server answered %d", response.status);
    } else if (st != OK) {
        cli_complain("sql: %s", err->msg);
    }
    http_client_response_deinit(&response);
    http_client_free(client);
    buf_deinit(&url);
    return st;
}

// --- a folder ----------------------------------------------------------------------------------

static Status print_run(const SqlCommand *c, SqlRun *run, SqlFormat format, Err *err)
{
    Status st = OK;
    Buf piece = {0};
    SqlStats stats;
    Batch batch = {0};
    SqlWriter *writer = sql_writer_new(format, sql_run_schema(run), sql_run_columns(run));

    buf_init(&piece, 0);
    sql_writer_rows_max(writer, c->rows_max);
    sql_writer_begin(writer, &piece);
    do {
        TRY_OUT(sql_run_next(run, &batch, err));
        sql_writer_rows(writer, &batch, &piece);
        if (batch.row_count == 0) {
            sql_run_stats(run, &stats);
            sql_writer_end(writer, &stats, &piece);
        }
        if (batch.row_count == 0 || piece.len > PIECE_BYTES) {
            TRY_OUT(write_out((void *)(uintptr_t)c, buf_bytes(&piece), err));
            buf_clear(&piece);
        }
    } while (batch.row_count > 0);
out:
    sql_writer_free(writer);
    buf_deinit(&piece);
    return st;
}

static Status query_store(const SqlCommand *c, Store *store, SqlFormat format, Err *err)
{
    Status st = OK;
    SqlEngine *engine = NULL;
    SqlRun *run = NULL;
    Buf message = {0};
    Progress progress;
    int64_t timeout_ms = 60000;
    const SqlOptions options = {.os = os_posix(), .store = store};

    buf_init(&message, 8192);
    if (c->timeout.len != 0 && !num_parse_duration_ms(c->timeout, &timeout_ms)) {
        return err_set(err, ERR_INVALID, "--timeout: expected a duration such as 30s");
    }
    const SqlQueryOptions query = {
        .timeout_ms = timeout_ms, .exact_text = true, .message = &message};
    progress_start(&progress);
    TRY_OUT(sql_engine_new(&options, &engine, err));
    TRY_OUT(sql_query(engine, c->query, &query, &run, err));
    mutex_lock(&progress.mu);
    progress.run = run;
    mutex_unlock(&progress.mu);
    TRY_OUT(print_run(c, run, format, err));
out:
    progress_stop(&progress);
    if (st != OK && message.len > 0) {
        cli_complain("sql: " STR_FMT, STR_ARG(buf_str(&message)));
    } else if (st != OK) {
        cli_complain("sql: %s", err->msg);
    }
    sql_run_close(run);
    sql_engine_free(engine);
    buf_deinit(&message);
    return st;
}

static Status ask_folder(const SqlCommand *c, Err *err)
{
    SqlFormat format = SQL_FORMAT_TABLE;
    Store *store = NULL;
    Err ignored;

    if (!sql_format_parse(c->format, &format)) {
        cli_complain("sql: --format " STR_FMT
                     ": with --data it is table, csv, json, json_columns or ndjson",
                     STR_ARG(c->format));
        return err_set(err, ERR_INVALID, "format");
    }
    TRY(cli_open_folder("sql", c->data, &store, err));
    const Status asked = query_store(c, store, format, err);
    (void)store_close(store, false, &ignored); // nothing was written
    return asked;
}

// --- the command -------------------------------------------------------------------------------

static int parse_args(Args *args, SqlCommand *c)
{
    while (args->at < args->count) {
        Str rows = {0};
        bool missing = false;
        const char *arg = args->argv[args->at];
        if (args_take_value(args, "--url", &c->url, &missing) ||
            args_take_value(args, "--data", &c->data, &missing) ||
            args_take_value(args, "--format", &c->format, &missing) ||
            args_take_value(args, "--output", &c->output, &missing) ||
            args_take_value(args, "--timeout", &c->timeout, &missing) ||
            args_take_value(args, "--rows", &rows, &missing)) {
            if (missing) {
                return cli_usage_error("sql", "%s needs a value", arg);
            }
            if (rows.len != 0 && !num_parse_u64(rows, &c->rows_max)) {
                return cli_usage_error("sql", "--rows: expected a number, found '" STR_FMT "'",
                                       STR_ARG(rows));
            }
        } else if (arg[0] == '-' && arg[1] != '\0') {
            return cli_usage_error("sql", "there is no flag '%s'", arg);
        } else if (c->query.len != 0) {
            return cli_usage_error("sql", "one query at a time: quote it");
        } else {
            c->query = (Str){arg, strlen(arg)};
            args->at++;
        }
    }
    return c->query.len != 0 ? EXIT_OK : cli_usage_error("sql", "there is no query");
}

static int read_stdin(Arena *arena, Str *query)
{
    char *text = arena_new(arena, char, STDIN_MAX_BYTES + 1);
    const size_t len = fread(text, 1, STDIN_MAX_BYTES + 1, stdin);
    if (len > STDIN_MAX_BYTES) {
        cli_complain("sql: the query has more than %d bytes", STDIN_MAX_BYTES);
        return EXIT_FAILED;
    }
    *query = (Str){text, len};
    return EXIT_OK;
}

int cmd_sql(Args *args)
{
    Err err;
    Arena arena = {0};
    SqlCommand c = {.url = STR("http://127.0.0.1:8080"), .rows_max = TABLE_ROWS_MAX, .out = stdout};

    for (int i = 0; i < args->count; i++) {
        if (strcmp(args->argv[i], "--help") == 0 || strcmp(args->argv[i], "-h") == 0) {
            cli_print((Str){usage, strlen(usage)});
            return EXIT_OK;
        }
    }
    int code = parse_args(args, &c);
    if (code == EXIT_OK && str_eq(c.query, STR("-"))) {
        code = read_stdin(&arena, &c.query);
    }
    if (code == EXIT_OK && c.format.len == 0) {
        c.format =
            c.output.len == 0 && os_stream_is_terminal(OS_STDOUT) ? STR("table") : STR("csv");
    }
    if (code == EXIT_OK && c.output.len != 0) {
        c.out = fopen(arena_str(&arena, c.output).ptr, "wb");
        if (c.out == NULL) {
            cli_complain("sql: cannot write '" STR_FMT "'", STR_ARG(c.output));
            code = EXIT_FAILED;
        }
    }
    if (code == EXIT_OK) {
        code = (c.data.len != 0 ? ask_folder(&c, &err) : ask_server(&c, &err)) == OK ? EXIT_OK
                                                                                     : EXIT_FAILED;
    }
    if (c.out != NULL && fflush(c.out) != 0 && code == EXIT_OK) {
        cli_complain("sql: cannot write the result");
        code = EXIT_FAILED;
    }
    if (c.out != NULL && c.out != stdout) {
        (void)fclose(c.out); // flushed above, where a failure is told
    }
    arena_deinit(&arena);
    return code;
}
