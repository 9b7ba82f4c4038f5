// SPDX-License-Identifier: Apache-2.0
//
// duckdb_peer [THREADS]: DuckDB by itself, to be compared with. Reads lines `label|statement`, runs
// each, and answers with one JSON line: label, wall time, CPU time, rows, and the first row as
// text. The first line it prints names its version. bench/run asks it and cardinal in turns.
#include "base/buf.h"
#include "os/os.h"
#include "os/thread.h"

#include <duckdb.h>
#include <stdio.h>

enum { LINE_BYTES_MAX = 4 << 20, TEXT_MAX = 200 };

static void put_json_text(Buf *out, const char *text)
{
    const size_t len = text == NULL ? 0 : strlen(text);
    buf_put_u8(out, '"');
    for (size_t i = 0; i < len && i < TEXT_MAX; i++) {
        const char c = text[i];
        buf_put_u8(out, (uint8_t)(c < ' ' || c == '"' || c == '\\' || c == 0x7f ? ' ' : c));
    }
    buf_put_u8(out, '"');
}

static void put_first_row(Buf *out, duckdb_result *result)
{
    buf_put_str(out, STR(",\"row\":["));
    for (idx_t i = 0; i < duckdb_column_count(result) && duckdb_row_count(result) > 0; i++) {
        char *text = duckdb_value_varchar(result, i, 0);
        if (i > 0) {
            buf_put_u8(out, ',');
        }
        put_json_text(out, text);
        duckdb_free(text);
    }
    buf_put_u8(out, ']');
}

static void answer(duckdb_connection connection, const char *label, const char *statement, Buf *out)
{
    duckdb_result result;
    Os *os = os_posix();
    const double cpu = os_process_cpu_seconds();
    const int64_t begin_ns = os_mono_ns(os);
    const duckdb_state state = duckdb_query(connection, statement, &result);
    const double ms = (double)(os_mono_ns(os) - begin_ns) / 1e6;

    buf_clear(out);
    buf_put_str(out, STR("{\"label\":"));
    put_json_text(out, label);
    if (state == DuckDBError) {
        buf_put_str(out, STR(",\"error\":"));
        put_json_text(out, duckdb_result_error(&result));
    } else {
        buf_putf(out, ",\"ms\":%.3f,\"cpu_ms\":%.0f,\"rows\":%" PRIu64, ms,
                 (os_process_cpu_seconds() - cpu) * 1e3, (uint64_t)duckdb_row_count(&result));
        put_first_row(out, &result);
    }
    buf_put_str(out, STR("}\n"));
    duckdb_destroy_result(&result);
    (void)fwrite(out->ptr, 1, out->len, stdout);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    static char line[LINE_BYTES_MAX];
    duckdb_database database = NULL;
    duckdb_connection connection = NULL;
    duckdb_config config = NULL;
    Buf out;

    if (duckdb_create_config(&config) == DuckDBError ||
        duckdb_set_config(config, "threads", argc > 1 ? argv[1] : "2") == DuckDBError ||
        duckdb_open_ext(NULL, &database, config, NULL) == DuckDBError ||
        duckdb_connect(database, &connection) == DuckDBError) {
        (void)fputs("duckdb_peer: DuckDB does not open\n", stderr);
        return 1;
    }
    printf("{\"version\":\"DuckDB %s\"}\n", duckdb_library_version());
    (void)fflush(stdout);
    buf_init(&out, 0);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        char *bar = strchr(line, '|');
        if (bar == NULL) {
            (void)fputs("duckdb_peer: expected label|statement\n", stderr);
            return 2;
        }
        *bar = '\0';
        answer(connection, line, bar + 1, &out);
    }
    buf_deinit(&out);
    duckdb_destroy_config(&config);
    duckdb_disconnect(&connection);
    duckdb_close(&database);
    return 0;
}
