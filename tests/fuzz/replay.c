// SPDX-License-Identifier: Apache-2.0
//
// Stands in for libFuzzer: runs a target over all files of the folders (or files) named on the
// command line. With it every corpus file, and every input that ever crashed, is part of the
// ordinary tests on any compiler.
#include "os/os.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint64_t INPUT_BYTES_MAX = 16 << 20;

static Status replay_file(Str path, Err *err)
{
    Arena arena = {0};
    Bytes data = {0};
    const Status st = os_read_file(os_posix(), path, INPUT_BYTES_MAX, &arena, &data, err);
    if (st == OK) {
        (void)LLVMFuzzerTestOneInput(data.ptr, data.len);
    }
    arena_deinit(&arena);
    return st;
}

static Status replay_folder(Str path, size_t *count, Err *err)
{
    Status st = OK;
    Arena arena = {0};
    OsDirEntry *entries = NULL;
    size_t entry_count = 0;
    TRY_OUT(os_dir_list(os_posix(), path, &arena, &entries, &entry_count, err));
    for (size_t i = 0; i < entry_count; i++) {
        char name[OS_PATH_MAX + 1];
        const int n = snprintf(name, sizeof(name), STR_FMT "/" STR_FMT, STR_ARG(path),
                               STR_ARG(entries[i].name));
        if (entries[i].is_dir) {
            continue;
        }
        TRY_OUT(replay_file((Str){.ptr = name, .len = (size_t)n}, err));
        ++*count;
    }
out:
    arena_deinit(&arena);
    return st;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        Err err;
        OsStat stat;
        const Str path = {.ptr = argv[i], .len = strlen(argv[i])};
        Status st = os_stat(os_posix(), path, &stat, &err);
        if (st == OK && stat.is_dir) {
            st = replay_folder(path, &count, &err);
        } else if (st == OK) {
            st = replay_file(path, &err);
            count++;
        }
        if (st != OK) {
            (void)fprintf(stderr, "%s: %s\n", argv[i], err.msg);
            return 1;
        }
    }
    (void)printf("%zu inputs ok\n", count);
    return count > 0 ? 0 : 1;
}
