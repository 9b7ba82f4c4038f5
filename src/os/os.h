// SPDX-License-Identifier: Apache-2.0
//
// Os: the seam between cardinal and the machine. Every file operation, every clock and every random
// byte goes through an `Os *`, so that a test can cut the power (os/sim.h), fail the n-th call
// (os/fault.h) and move the clock. os_posix() is the real one.
//
// An Os may be used from any thread. An OsFile may be read from any threads at once; writes to one
// file are the caller's to serialise. Paths are UTF-8, absolute or relative to the process' folder,
// at most OS_PATH_MAX bytes, without NUL.
//
// What is durable, as on ext4 and XFS after a power cut (see docs/formats/wal.md):
//   file contents   after os_file_sync() returned OK
//   a name          after os_dir_sync() of its folder returned OK (create, link, rename, unlink)
// After os_file_sync() failed the file is poisoned: what it holds past the last good sync is
// unknown, and syncing again proves nothing (Linux marks failed pages clean). Write elsewhere
// instead.
#pragma once

#include "base/arena.h"
#include "base/err.h"

enum { OS_PATH_MAX = 4095 };

typedef struct Os Os;
typedef struct OsFile OsFile;

typedef enum OsOpen {
    OS_OPEN_READ,       // must exist
    OS_OPEN_WRITE,      // must exist; read and write
    OS_OPEN_CREATE,     // created when absent; read and write
    OS_OPEN_CREATE_NEW, // ERR_EXISTS when it exists; read and write
} OsOpen;

typedef struct OsStat {
    uint64_t size_bytes;
    int64_t modified_us; // wall clock
    bool is_dir;
} OsStat;

typedef struct OsDirEntry {
    Str name; // not "." or ".."
    bool is_dir;
} OsDirEntry;

Os *os_posix(void); // shared, never freed

// Errors: ERR_NOT_FOUND, ERR_EXISTS, ERR_UNAVAILABLE (no space, quota, too many files: may pass),
// ERR_IO (the rest), always with the path and the errno text; ERR_INVALID for a path that cannot be
// one, or an offset past what a file can have.
Status os_file_open(Os *os, Str path, OsOpen how, OsFile **out, Err *err);
void os_file_close(OsFile *file); // accepts NULL; says nothing about durability
Status os_file_size(OsFile *file, uint64_t *size_bytes, Err *err);
// Reads into `into` until n bytes or the end of the file; *got < n only at the end.
Status os_file_read_at(OsFile *file, uint64_t offset, void *into, size_t n, size_t *got, Err *err);
// Writes all of `bytes` (extends the file; a hole reads as zeros) or fails.
Status os_file_write_at(OsFile *file, uint64_t offset, Bytes bytes, Err *err);
Status os_file_sync(OsFile *file, Err *err); // fdatasync
Status os_file_truncate(OsFile *file, uint64_t size_bytes, Err *err);
// Makes [0, size_bytes) allocated and zero-filled where it was not written, so that later writes
// there neither fail for lack of space nor change metadata.
Status os_file_allocate(OsFile *file, uint64_t size_bytes, Err *err);

// The whole file in `arena`; ERR_TOO_LARGE when it is larger than limit_bytes.
Status os_read_file(Os *os, Str path, uint64_t limit_bytes, Arena *arena, Bytes *out, Err *err);

Status os_stat(Os *os, Str path, OsStat *out, Err *err);
Status os_mkdir_all(Os *os, Str path, Err *err); // existing folders are fine; syncs each parent
Status os_dir_list(Os *os, Str path, Arena *arena, OsDirEntry **out, size_t *count,
                   Err *err); // by name
Status os_dir_sync(Os *os, Str path, Err *err);
Status os_rename(Os *os, Str from, Str to, Err *err);
Status os_link(Os *os, Str from, Str to, Err *err); // ERR_EXISTS when `to` exists: put-if-absent
Status os_unlink(Os *os, Str path, Err *err);
Status os_remove_dir(Os *os, Str path, Err *err); // ERR_EXISTS when it is not empty

// Takes the lock file at `path` for this process: ERR_EXISTS when another one holds it. Released by
// os_file_close() and by the end of the process.
Status os_lock_file(Os *os, Str path, OsFile **out, Err *err);

Status os_disk_free(Os *os, Str path, uint64_t *free_bytes, Err *err);

int64_t os_wall_us(Os *os); // µs since 1970-01-01 UTC; may jump
int64_t os_mono_ns(Os *os); // never goes back
void os_sleep_ns(Os *os, int64_t ns);
void os_random(Os *os, void *into, size_t n); // for ids and secrets; panics when there is none
