/* SPDX-License-Identifier: Apache-2.0
 *
 * cardinal inside a program: writes a few samples and rows, and asks for them before and after they are in Parquet.
 *
 *   cc embed.c $(pkg-config --cflags --libs cardinal) -o embed && ./embed /tmp/embed-data
 */
#include <cardinal.h>
#include <stdio.h>
#include <stdlib.h>

static void check(cardinal_code code, const cardinal_error *error)
{
    if (code != CARDINAL_OK) {
        fprintf(stderr, "%s\n", error->message);
        exit(EXIT_FAILURE);
    }
}

static void ask(cardinal_db *db, const char *sql)
{
    cardinal_error error;
    cardinal_result *result = NULL;
    bool has_row = false;

    printf("> %s\n", sql);
    check(cardinal_query(db, sql, &result, &error), &error);
    while (cardinal_result_next(result, &has_row, &error) == CARDINAL_OK && has_row) {
        for (size_t i = 0; i < cardinal_result_column_count(result); i++) {
            size_t size = 0;
            printf("%s%s=%s", i == 0 ? "  " : ", ", cardinal_result_column_name(result, i),
                   cardinal_result_text(result, i, &size));
        }
        printf("\n");
    }
    check(error.code, &error);
    cardinal_result_close(result);
}

int main(int argc, char **argv)
{
    static const cardinal_label api[] = {{"__name__", "requests_total"}, {"service", "api"}};
    static const cardinal_label web[] = {{"__name__", "requests_total"}, {"service", "web"}};
    static const cardinal_sample samples[] = {
        {1767225600000, 1}, {1767225615000, 4}, {1767225630000, 9}};
    static const cardinal_series series[] = {{api, 2, samples, 3}, {web, 2, samples, 2}};
    static const char rows[] = "{\"timestamp\":\"2026-01-01T00:00:00Z\",\"src_ip\":\"10.0.0.1\","
                               "\"dst_port\":443,\"bytes_sent\":1200}\n"
                               "{\"timestamp\":\"2026-01-01T00:00:01Z\",\"src_ip\":\"10.9.0.7\","
                               "\"dst_port\":443,\"bytes_sent\":800}\n";
    cardinal_error error;
    cardinal_db *db = NULL;

    if (argc != 2) {
        fprintf(stderr, "usage: embed FOLDER\n");
        return 2;
    }
    check(cardinal_open(argv[1], NULL, &db, &error), &error);
    check(cardinal_write_series(db, series, 2, &error), &error);
    check(cardinal_write_json(db, "flows", rows, sizeof(rows) - 1, &error), &error);
    ask(db, "SELECT service, count(*) AS samples, max(value) AS max FROM metrics GROUP BY 1 ORDER "
            "BY 1");
    check(cardinal_flush(db, NULL, &error), &error);
    ask(db, "SELECT ip_prefix(src_ip, 8) AS network, sum(bytes_sent) AS sent FROM flows GROUP BY 1 "
            "ORDER BY 1");
    ask(db, "SELECT timestamp, value FROM metrics WHERE service = 'api' ORDER BY 1 DESC LIMIT 1");
    check(cardinal_close(db, &error), &error);
    return 0;
}
