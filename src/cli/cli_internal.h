// SPDX-License-Identifier: Apache-2.0
//
// What the subcommands share: their entry points, and reading of arguments.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "net/http_client.h"
#include "store/store.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

typedef struct Args {
    char **argv; // behind the subcommand
    int count;
    int at;
} Args;

// Takes `--name VALUE` or `--name=VALUE` off the front. False when the next argument is something
// else. *missing is set when the value is missing.
bool args_take_value(Args *args, const char *name, Str *value, bool *missing);
bool args_take_switch(Args *args, const char *name); // `--name`

// Each returns an exit code and has printed what there is to say.
int cmd_serve(Args *args);
int cmd_sql(Args *args);
int cmd_promql(Args *args);
int cmd_collect(Args *args);
int cmd_flush(Args *args);

// Opens a data folder to read it, or says why not.
Status cli_open_folder(const char *command, Str data, Store **out, Err *err);

void cli_print(Str text);                                  // to standard output
void cli_complain(const char *fmt, ...) PRINTF_LIKE(1, 2); // "cardinal: ...\n" to standard error
// What a server said that did not answer 2xx.
void cli_complain_about(const char *command, const HttpClientResponse *response);
int cli_usage_error(const char *command, const char *fmt, ...) PRINTF_LIKE(2, 3); // EXIT_USAGE
