// SPDX-License-Identifier: Apache-2.0
//
// What an Os is made of: one table of functions and the backend's own state behind it. Only
// backends (posix.c, sim.c, fault.c) and os.c include this. Contracts are those of os.h.
#pragma once

#include "os/os.h"

typedef struct OsOps {
    Status (*file_open)(Os *os, Str path, OsOpen how, OsFile **out, Err *err);
    void (*file_close)(OsFile *file);
    Status (*file_size)(OsFile *file, uint64_t *size_bytes, Err *err);
    Status (*file_read_at)(OsFile *file, uint64_t offset, void *into, size_t n, size_t *got,
                           Err *err);
    Status (*file_write_at)(OsFile *file, uint64_t offset, Bytes bytes, Err *err);
    Status (*file_sync)(OsFile *file, Err *err);
    Status (*file_truncate)(OsFile *file, uint64_t size_bytes, Err *err);
    Status (*file_allocate)(OsFile *file, uint64_t size_bytes, Err *err);
    Status (*stat)(Os *os, Str path, OsStat *out, Err *err);
    Status (*mkdir)(Os *os, Str path, Err *err); // one level; ERR_EXISTS
    Status (*dir_list)(Os *os, Str path, Arena *arena, OsDirEntry **out, size_t *count, Err *err);
    Status (*dir_sync)(Os *os, Str path, Err *err);
    Status (*rename)(Os *os, Str from, Str to, Err *err);
    Status (*link)(Os *os, Str from, Str to, Err *err);
    Status (*unlink)(Os *os, Str path, Err *err);
    Status (*remove_dir)(Os *os, Str path, Err *err);
    Status (*lock_file)(Os *os, Str path, OsFile **out, Err *err);
    Status (*disk_free)(Os *os, Str path, uint64_t *free_bytes, Err *err);
    int64_t (*wall_us)(Os *os);
    int64_t (*mono_ns)(Os *os);
    void (*sleep_ns)(Os *os, int64_t ns);
    void (*random)(Os *os, void *into, size_t n);
} OsOps;

// The first member of every backend's own struct.
struct Os {
    const OsOps *ops;
};

struct OsFile {
    Os *os;
};
