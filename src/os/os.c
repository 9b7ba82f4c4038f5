// SPDX-License-Identifier: Apache-2.0
#include "os/os.h"

#include "base/buf.h"
#include "os/os_internal.h"

#include <errno.h>

Status os_errno_status(int os_errno)
{
    switch (os_errno) {
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
    case ENOTEMPTY:
        return ERR_EXISTS;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
        return ERR_UNAVAILABLE;
    default: // an open set: everything else is an I/O error
        return ERR_IO;
    }
}

// Every path goes through here, so that backends see none that a system call could not take.
static Status check_path(Str path, Err *err)
{
    if (path.len == 0) {
        return err_set(err, ERR_INVALID, "the path is empty");
    }
    if (path.len > OS_PATH_MAX) {
        return err_set(err, ERR_INVALID, "the path has %zu bytes, at most %d are possible",
                       path.len, OS_PATH_MAX);
    }
    if (memchr(path.ptr, '\0', path.len) != NULL) {
        return err_set(err, ERR_INVALID, "the path '" STR_FMT "' has a NUL in it", PATH_ARG(path));
    }
    return OK;
}

static Status check_range(uint64_t offset, uint64_t n, Err *err)
{
    if (offset > INT64_MAX || n > INT64_MAX - offset) {
        return err_set(err, ERR_INVALID,
                       "%" PRIu64 " bytes at %" PRIu64 " are past what a file has", n, offset);
    }
    return OK;
}

Status os_file_open(Os *os, Str path, OsOpen how, OsFile **out, Err *err)
{
    *out = NULL;
    TRY(check_path(path, err));
    return os->ops->file_open(os, path, how, out, err);
}

void os_file_close(OsFile *file)
{
    if (file != NULL) {
        file->os->ops->file_close(file);
    }
}

Status os_file_size(OsFile *file, uint64_t *size_bytes, Err *err)
{
    *size_bytes = 0;
    return file->os->ops->file_size(file, size_bytes, err);
}

Status os_file_read_at(OsFile *file, uint64_t offset, void *into, size_t n, size_t *got, Err *err)
{
    *got = 0;
    TRY(check_range(offset, n, err));
    return file->os->ops->file_read_at(file, offset, into, n, got, err);
}

Status os_file_write_at(OsFile *file, uint64_t offset, Bytes bytes, Err *err)
{
    TRY(check_range(offset, bytes.len, err));
    return file->os->ops->file_write_at(file, offset, bytes, err);
}

Status os_file_sync(OsFile *file, Err *err)
{
    return file->os->ops->file_sync(file, err);
}

Status os_file_truncate(OsFile *file, uint64_t size_bytes, Err *err)
{
    TRY(check_range(0, size_bytes, err));
    return file->os->ops->file_truncate(file, size_bytes, err);
}

Status os_file_allocate(OsFile *file, uint64_t size_bytes, Err *err)
{
    TRY(check_range(0, size_bytes, err));
    return file->os->ops->file_allocate(file, size_bytes, err);
}

static Status too_large(Str path, uint64_t limit_bytes, Err *err)
{
    return err_set(err, ERR_TOO_LARGE, "'" STR_FMT "' is larger than %" PRIu64 " bytes",
                   PATH_ARG(path), limit_bytes);
}

// Appends what the file has past rest->len, until `rest` is full or the file ends.
static Status read_rest(OsFile *file, Buf *rest, Err *err)
{
    enum { CHUNK_BYTES = 64 * 1024 };
    size_t got = 0;
    do {
        const size_t room = rest->max_bytes - rest->len;
        const size_t n = room < CHUNK_BYTES ? room : CHUNK_BYTES;
        uint8_t *into = buf_reserve(rest, n);
        TRY(os_file_read_at(file, rest->len, into, n, &got, err));
        buf_commit(rest, got);
    } while (got != 0);
    return OK;
}

Status os_read_file(Os *os, Str path, uint64_t limit_bytes, Arena *arena, Bytes *out, Err *err)
{
    Status st = OK;
    OsFile *file = NULL;
    Buf rest = {0};
    uint64_t size_bytes = 0;
    size_t got = 0;

    *out = (Bytes){0};
    limit_bytes = limit_bytes < SIZE_MAX / 4 ? limit_bytes : SIZE_MAX / 4;
    TRY_OUT(os_file_open(os, path, OS_OPEN_READ, &file, err));
    TRY_OUT(os_file_size(file, &size_bytes, err));
    if (size_bytes > limit_bytes) {
        st = too_large(path, limit_bytes, err);
        goto out;
    }
    // One byte more than the file said tells whether that was true: files of /proc say 0.
    const size_t expected = (size_t)size_bytes;
    uint8_t *bytes = arena_new(arena, uint8_t, expected + 1);
    TRY_OUT(os_file_read_at(file, 0, bytes, expected + 1, &got, err));
    if (got > expected) {
        buf_init(&rest, (size_t)limit_bytes + 1);
        buf_put(&rest, bytes, got);
        TRY_OUT(read_rest(file, &rest, err));
        if (rest.len > limit_bytes) {
            st = too_large(path, limit_bytes, err);
            goto out;
        }
        const Str copy = arena_str(arena, buf_str(&rest));
        *out = (Bytes){(const uint8_t *)copy.ptr, copy.len};
    } else {
        *out = (Bytes){bytes, got};
    }
out:
    buf_deinit(&rest);
    os_file_close(file);
    return st;
}

Status os_stat(Os *os, Str path, OsStat *out, Err *err)
{
    *out = (OsStat){0};
    TRY(check_path(path, err));
    return os->ops->stat(os, path, out, err);
}

// The folder that holds `path`: "/a" -> "/", "a" -> "."; the path has no slash at its end.
static Str parent_of(Str path)
{
    size_t n = path.len;
    while (n > 0 && path.ptr[n - 1] != '/') {
        n--;
    }
    if (n == 0) {
        return STR(".");
    }
    while (n > 1 && path.ptr[n - 1] == '/') {
        n--;
    }
    return str_slice(path, 0, n);
}

static bool has_parent(Str path)
{
    return !str_eq(path, STR("/")) && !str_eq(path, STR("."));
}

// The longest folder on the way to `path` that exists.
static Status deepest_existing(Os *os, Str path, Str *out, Err *err)
{
    OsStat info = {0};
    Err ignored = {0};
    while (has_parent(path) && os->ops->stat(os, path, &info, &ignored) != OK) {
        if (ignored.status != ERR_NOT_FOUND) {
            *err = ignored;
            return ignored.status;
        }
        path = parent_of(path);
    }
    if (has_parent(path) && !info.is_dir) {
        return os_fail(err, ENOTDIR, "make folder '" STR_FMT "'", PATH_ARG(path));
    }
    *out = path;
    return OK;
}

// Each folder is made durable before the next is made in it. So, whoever died in the middle of
// this, only the deepest folder that exists may lack its sync: it is done again here.
Status os_mkdir_all(Os *os, Str path, Err *err)
{
    Str done = {0};
    TRY(check_path(path, err));
    while (path.len > 1 && path.ptr[path.len - 1] == '/') {
        path = str_slice(path, 0, path.len - 1);
    }
    TRY(deepest_existing(os, path, &done, err));
    if (has_parent(done)) {
        // A parent we may not read is not one we made the folder in.
        Err sync_err = {0};
        if (os->ops->dir_sync(os, parent_of(done), &sync_err) != OK &&
            sync_err.os_errno != EACCES) {
            *err = sync_err;
            return err->status;
        }
    }
    size_t end = str_eq(done, STR(".")) ? 0 : done.len;
    while (end < path.len) {
        while (end < path.len && path.ptr[end] == '/') {
            end++;
        }
        while (end < path.len && path.ptr[end] != '/') {
            end++;
        }
        const Str next = str_slice(path, 0, end);
        Err mkdir_err = {0};
        if (os->ops->mkdir(os, next, &mkdir_err) != OK && mkdir_err.status != ERR_EXISTS) {
            *err = mkdir_err;
            return err->status;
        }
        TRY(os->ops->dir_sync(os, parent_of(next), err));
    }
    return OK;
}

Status os_dir_list(Os *os, Str path, Arena *arena, OsDirEntry **out, size_t *count, Err *err)
{
    *out = NULL;
    *count = 0;
    TRY(check_path(path, err));
    return os->ops->dir_list(os, path, arena, out, count, err);
}

Status os_dir_sync(Os *os, Str path, Err *err)
{
    TRY(check_path(path, err));
    return os->ops->dir_sync(os, path, err);
}

Status os_rename(Os *os, Str from, Str to, Err *err)
{
    TRY(check_path(from, err));
    TRY(check_path(to, err));
    return os->ops->rename(os, from, to, err);
}

Status os_link(Os *os, Str from, Str to, Err *err)
{
    TRY(check_path(from, err));
    TRY(check_path(to, err));
    return os->ops->link(os, from, to, err);
}

Status os_unlink(Os *os, Str path, Err *err)
{
    TRY(check_path(path, err));
    return os->ops->unlink(os, path, err);
}

Status os_remove_dir(Os *os, Str path, Err *err)
{
    TRY(check_path(path, err));
    return os->ops->remove_dir(os, path, err);
}

Status os_lock_file(Os *os, Str path, OsFile **out, Err *err)
{
    *out = NULL;
    TRY(check_path(path, err));
    return os->ops->lock_file(os, path, out, err);
}

Status os_disk_free(Os *os, Str path, uint64_t *free_bytes, Err *err)
{
    *free_bytes = 0;
    TRY(check_path(path, err));
    return os->ops->disk_free(os, path, free_bytes, err);
}

int64_t os_wall_us(Os *os)
{
    return os->ops->wall_us(os);
}

int64_t os_mono_ns(Os *os)
{
    return os->ops->mono_ns(os);
}

void os_sleep_ns(Os *os, int64_t ns)
{
    os->ops->sleep_ns(os, ns);
}

void os_random(Os *os, void *into, size_t n)
{
    os->ops->random(os, into, n);
}
