// SPDX-License-Identifier: Apache-2.0
#include "cli/cli_internal.h"
#include "os/process.h"
#include "server/server.h"
#include "sql/sql.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

static const char usage[] =
    "cardinal, a database for telemetry with unlimited cardinality\n"
    "\n"
    "usage: cardinal COMMAND [FLAGS]\n"
    "\n"
    "  serve         run the server: remote write, JSON rows, PromQL and SQL over HTTP\n"
    "  sql QUERY     ask a server, or a data folder, and print the answer\n"
    "  promql EXPR   the same in PromQL; --plot draws it\n"
    "  collect tcp   send this machine's TCP connections to a server, as rows of flows\n"
    "  flush         have a server write its rows in memory to Parquet now\n"
    "  config        print an example configuration file with all settings\n"
    "  version       print versions\n"
    "  help          print this\n"
    "\n"
    "Each command explains itself: cardinal serve --help\n";

void cli_print(Str text)
{
    (void)os_print(text); // nobody to tell when the reader has gone
}

void cli_complain(const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    (void)os_print_error(STR("cardinal: "));
    (void)os_print_error((Str){text, strlen(text)});
    (void)os_print_error(STR("\n"));
}

void cli_complain_about(const char *command, const HttpClientResponse *response)
{
    json_error_t why;
    const Bytes body = buf_bytes(&response->body);
    json_t *answer = json_loadb((const char *)body.ptr, body.len, 0, &why);
    const char *error = json_string_value(json_object_get(answer, "error"));
    const Str text = error != NULL ? (Str){error, strlen(error)} : buf_str(&response->body);
    cli_complain("%s: " STR_FMT, command, STR_ARG(text));
    json_decref(answer);
}

int cli_usage_error(const char *command, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    cli_complain("%s: %s (see cardinal %s --help)", command, text, command);
    return EXIT_USAGE;
}

bool args_take_value(Args *args, const char *name, Str *value, bool *missing)
{
    if (args->at == args->count) {
        return false;
    }
    const char *arg = args->argv[args->at];
    const size_t len = strlen(name);
    if (strncmp(arg, name, len) != 0 || (arg[len] != '\0' && arg[len] != '=')) {
        return false;
    }
    args->at++;
    if (arg[len] == '=') {
        *value = (Str){arg + len + 1, strlen(arg + len + 1)};
    } else if (args->at < args->count) {
        *value = (Str){args->argv[args->at], strlen(args->argv[args->at])};
        args->at++;
    } else {
        *missing = true;
    }
    return true;
}

bool args_take_switch(Args *args, const char *name)
{
    if (args->at == args->count || strcmp(args->argv[args->at], name) != 0) {
        return false;
    }
    args->at++;
    return true;
}

static int print_version(void)
{
    Buf text = {0};
    buf_init(&text, 1024);
    buf_putf(&text, "cardinal %s (DuckDB %s)\n", CARDINAL_VERSION, sql_library_version());
    cli_print(buf_str(&text));
    buf_deinit(&text);
    return EXIT_OK;
}

static int print_config(void)
{
    Buf text = {0};
    buf_init(&text, CONFIG_FILE_MAX_BYTES);
    config_put_example(&text);
    cli_print(buf_str(&text));
    buf_deinit(&text);
    return EXIT_OK;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "help";
    Args args = {.argv = argv + 2, .count = argc > 2 ? argc - 2 : 0};

    if (strcmp(command, "serve") == 0) {
        return cmd_serve(&args);
    }
    if (strcmp(command, "sql") == 0) {
        return cmd_sql(&args);
    }
    if (strcmp(command, "promql") == 0) {
        return cmd_promql(&args);
    }
    if (strcmp(command, "collect") == 0) {
        return cmd_collect(&args);
    }
    if (strcmp(command, "flush") == 0) {
        return cmd_flush(&args);
    }
    if (strcmp(command, "config") == 0) {
        return print_config();
    }
    if (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0) {
        return print_version();
    }
    if (strcmp(command, "help") == 0 || strcmp(command, "--help") == 0 ||
        strcmp(command, "-h") == 0) {
        cli_print((Str){usage, strlen(usage)});
        return EXIT_OK;
    }
    cli_complain("there is no command '%s' (see cardinal help)", command);
    return EXIT_USAGE;
}
