// SPDX-License-Identifier: Apache-2.0
//
// cardinal collect tcp: this machine's connections to a server somewhere. cardinal flush: a
// request, no more.
#include "base/mem.h"
#include "base/num.h"
#include "cli/cli_internal.h"
#include "collect/tcp.h"
#include "os/process.h"
#include "os/signals.h"
#include "sql/format.h"

#include <stdio.h>

static const char collect_usage[] =
    "usage: cardinal collect tcp [FLAGS]\n"
    "\n"
    "Sends a row per TCP connection of this machine and interval to the table flows of a server: "
    "addresses, ports,\n"
    "state, bytes, round trip time, retransmits, delivery rate, and the process where permitted. "
    "Runs until stopped.\n"
    "\n"
    "  --to URL         of a server [http://127.0.0.1:8080]\n"
    "  --interval D     between two rounds [1s]\n"
    "  --count N        rounds, then end; 0: no end [0]\n"
    "  --print          print the rows as JSON lines instead of sending them\n";

static const char flush_usage[] =
    "usage: cardinal flush [--url URL] [TABLE]\n"
    "\n"
    "Has the server write its rows in memory (of TABLE, or all) to Parquet now.\n"
    "\n"
    "  --url URL        of the server [http://127.0.0.1:8080]\n";

typedef struct CollectCommand {
    Str to;
    int64_t interval_ms;
    uint64_t count;
    bool print;
} CollectCommand;

static bool wants_help(const Args *args)
{
    for (int i = 0; i < args->count; i++) {
        if (strcmp(args->argv[i], "--help") == 0 || strcmp(args->argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

static void put_rows(const Batch *batch, Buf *out)
{
    SqlColumn *columns = mem_new(SqlColumn, batch->schema->count);
    for (size_t i = 0; i < batch->schema->count; i++) {
        columns[i].name = batch->schema->fields[i].name;
    }
    SqlWriter *writer = sql_writer_new(SQL_FORMAT_NDJSON, batch->schema, columns);
    sql_writer_rows(writer, batch, out);
    sql_writer_free(writer);
    mem_free(columns);
}

static Status post(HttpClient *client, const char *command, Str url, Bytes body, Err *err)
{
    HttpClientResponse response = {0};
    const HttpPair type = {STR("Content-Type"), STR("application/x-ndjson")};
    const HttpClientRequest request = {
        .method = HTTP_POST, .url = url, .headers = &type, .header_count = 1, .body = body};
    Status st = http_client_do(client, &request, &response, err);
    if (st == OK && response.status >= 300) {
        cli_complain_about(command, &response);
        st = err_set(err, ERR_UNAVAILABLE, "the server answered %d", response.status);
    } else if (st != OK) {
        cli_complain("%s: %s", command, err->msg);
    }
    http_client_response_deinit(&response);
    return st;
}

static Status round_once(const CollectCommand *c, TcpCollector *collector, HttpClient *client,
                         Str url, Err *err)
{
    Batch batch;
    Buf rows = {0};
    Status st = tcp_collector_round(collector, &batch, err);
    if (st != OK) {
        cli_complain("collect: %s", err->msg);
        return st;
    }
    buf_init(&rows, 0);
    put_rows(&batch, &rows);
    if (c->print) {
        cli_print(buf_str(&rows));
    } else if (rows.len > 0) {
        st = post(client, "collect", url, buf_bytes(&rows), err);
    }
    buf_deinit(&rows);
    return st;
}

static int collect(const CollectCommand *c)
{
    TcpCollector *collector = tcp_collector_new(os_posix());
    HttpClient *client = http_client_new();
    Buf url = {0};
    Err err;
    Status st = OK;

    buf_init(&url, HTTP_CLIENT_URL_MAX);
    buf_put_str(&url, c->to);
    buf_put_str(&url, STR("/api/v1/ingest/flows"));
    os_signals_block();
    for (uint64_t i = 0; c->count == 0 || i < c->count; i++) {
        if (i > 0 && os_signal_wait(c->interval_ms) == OS_SIGNAL_STOP) {
            break;
        }
        st = round_once(c, collector, client, buf_str(&url),
                        &err); // a failed round is told; the next may pass
    }
    buf_deinit(&url);
    http_client_free(client);
    tcp_collector_free(collector);
    return st == OK ? EXIT_OK : EXIT_FAILED;
}

int cmd_collect(Args *args)
{
    CollectCommand c = {.to = STR("http://127.0.0.1:8080"), .interval_ms = 1000};

    if (wants_help(args)) {
        cli_print((Str){collect_usage, strlen(collect_usage)});
        return EXIT_OK;
    }
    if (!args_take_switch(args, "tcp")) {
        return cli_usage_error("collect", "what to collect? (tcp)");
    }
    while (args->at < args->count) {
        Str interval = {0};
        Str count = {0};
        bool missing = false;
        const char *arg = args->argv[args->at];
        if (args_take_switch(args, "--print")) {
            c.print = true;
        } else if (args_take_value(args, "--to", &c.to, &missing) ||
                   args_take_value(args, "--interval", &interval, &missing) ||
                   args_take_value(args, "--count", &count, &missing)) {
            if (missing ||
                (interval.len != 0 &&
                 (!num_parse_duration_ms(interval, &c.interval_ms) || c.interval_ms < 1)) ||
                (count.len != 0 && !num_parse_u64(count, &c.count))) {
                return cli_usage_error("collect", "%s needs a %s", arg,
                                       interval.len != 0 ? "duration such as 1s" : "value");
            }
        } else {
            return cli_usage_error("collect", "there is no flag '%s'", arg);
        }
    }
    return collect(&c);
}

int cmd_flush(Args *args)
{
    Str to = STR("http://127.0.0.1:8080");
    Str table = {0};
    Buf url = {0};
    Err err;

    if (wants_help(args)) {
        cli_print((Str){flush_usage, strlen(flush_usage)});
        return EXIT_OK;
    }
    while (args->at < args->count) {
        bool missing = false;
        const char *arg = args->argv[args->at];
        if (args_take_value(args, "--url", &to, &missing)) {
            if (missing) {
                return cli_usage_error("flush", "--url needs a value");
            }
        } else if (arg[0] == '-' || table.len != 0) {
            return cli_usage_error("flush", "'%s' is too much", arg);
        } else {
            table = (Str){arg, strlen(arg)};
            args->at++;
        }
    }
    buf_init(&url, HTTP_CLIENT_URL_MAX);
    buf_put_str(&url, to);
    buf_put_str(&url, STR("/api/v1/flush"));
    if (table.len != 0) {
        buf_put_str(&url, STR("?table="));
        http_client_put_escaped(&url, table);
    }
    HttpClient *client = http_client_new();
    const Status st = post(client, "flush", buf_str(&url), (Bytes){0}, &err);
    http_client_free(client);
    buf_deinit(&url);
    return st == OK ? EXIT_OK : EXIT_FAILED;
}
