// SPDX-License-Identifier: Apache-2.0
#include "cli/cli_internal.h"
#include "os/os.h"

static bool has_store(Str data, Err *err)
{
    OsStat stat;
    Buf meta = {0};
    buf_init(&meta, OS_PATH_MAX);
    buf_put_str(&meta, data);
    buf_put_str(&meta, STR("/store.json"));
    const Status found = os_stat(os_posix(), buf_str(&meta), &stat, err);
    buf_deinit(&meta);
    return found == OK;
}

Status cli_open_folder(const char *command, Str data, Store **out, Err *err)
{
    if (!has_store(data, err)) {
        cli_complain("%s: there is no cardinal data in '" STR_FMT "'", command, STR_ARG(data));
        return err->status;
    }
    // No threads, no flush: the folder is only read. The log stays as it is.
    const StoreOptions options = {.os = os_posix(), .dir = data, .manual = true};
    const Status st = store_open(&options, out, NULL, err);
    if (st == ERR_EXISTS) {
        cli_complain("%s: '" STR_FMT "' is in use: ask its server with --url", command,
                     STR_ARG(data));
    } else if (st != OK) {
        cli_complain("%s: %s", command, err->msg);
    }
    return st;
}
