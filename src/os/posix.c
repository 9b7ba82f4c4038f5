// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // fallocate, SEEK_HOLE, open file description locks
#include "os/os.h"

#include "base/mem.h"
#include "os/os_internal.h"
#include "os/posix_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum {
    NS_PER_SECOND = 1000000000,
    DIR_ENTRIES_MAX = 16 * 1024 * 1024, // a folder with more is a mistake, not data
};

typedef struct PosixFile {
    OsFile base;
    int fd;
    atomic_bool poisoned; // a sync has failed
    char path[];          // its end, for messages
} PosixFile;

// A path as system calls want it.
typedef struct PathZ {
    char text[OS_PATH_MAX + 1];
} PathZ;

static const char *path_z(PathZ *z, Str path)
{
    ASSERT(path.len <= OS_PATH_MAX); // os.c has checked it
    memcpy(z->text, path.ptr, path.len);
    z->text[path.len] = '\0';
    return z->text;
}

// openat(2) again while it is interrupted.
static int open_z(const char *path, int flags)
{
    int fd = -1;
    do {
        fd = open(path, flags | O_CLOEXEC, 0666); // what is readable to whom is the umask's to say
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static PosixFile *file_new(Os *os, Str path, int fd)
{
    path = os_path_tail(path, OS_PATH_SHOWN_MAX);
    PosixFile *file = mem_alloc(1, sizeof(PosixFile) + path.len + 1);
    file->base.os = os;
    file->fd = fd;
    memcpy(file->path, path.ptr, path.len);
    return file;
}

static Status file_open(Os *os, Str path, OsOpen how, OsFile **out, Err *err)
{
    static const int flags[] = {
        [OS_OPEN_READ] = O_RDONLY,
        [OS_OPEN_WRITE] = O_RDWR,
        [OS_OPEN_CREATE] = O_RDWR | O_CREAT,
        [OS_OPEN_CREATE_NEW] = O_RDWR | O_CREAT | O_EXCL,
    };
    PathZ z;
    const int fd = open_z(path_z(&z, path), flags[how]);
    if (fd < 0) {
        return os_fail(err, errno, "open '" STR_FMT "'", PATH_ARG(path));
    }
    struct stat info;
    const int stat_errno = fstat(fd, &info) != 0 ? errno : S_ISDIR(info.st_mode) ? EISDIR : 0;
    if (stat_errno != 0) {
        (void)close(fd);
        return os_fail(err, stat_errno, "open '" STR_FMT "'", PATH_ARG(path));
    }
    *out = &file_new(os, path, fd)->base;
    return OK;
}

static void file_close(OsFile *file)
{
    PosixFile *f = (PosixFile *)file;
    // Not repeated after EINTR: on Linux the descriptor is gone by then. Its errors say nothing
    // that a sync has not said.
    (void)close(f->fd);
    mem_free(f);
}

static Status file_size(OsFile *file, uint64_t *size_bytes, Err *err)
{
    const PosixFile *f = (const PosixFile *)file;
    struct stat info;
    if (fstat(f->fd, &info) != 0) {
        return os_fail(err, errno, "size of '%s'", f->path);
    }
    *size_bytes = (uint64_t)info.st_size;
    return OK;
}

static Status file_read_at(OsFile *file, uint64_t offset, void *into, size_t n, size_t *got,
                           Err *err)
{
    const PosixFile *f = (const PosixFile *)file;
    size_t done = 0;
    while (done < n) {
        const ssize_t r = pread(f->fd, (char *)into + done, n - done, (off_t)(offset + done));
        if (r == 0) {
            break;
        }
        if (r < 0 && errno != EINTR) {
            return os_fail(err, errno, "read %zu bytes at %" PRIu64 " of '%s'", n, offset, f->path);
        }
        done += r > 0 ? (size_t)r : 0;
    }
    *got = done;
    return OK;
}

// 0, or the errno.
static int write_all(int fd, uint64_t offset, const void *bytes, size_t n)
{
    size_t done = 0;
    while (done < n) {
        const ssize_t r = pwrite(fd, (const char *)bytes + done, n - done, (off_t)(offset + done));
        if (r == 0) {
            return EIO; // POSIX allows it for no reason; going on would never end
        }
        if (r < 0 && errno != EINTR) {
            return errno;
        }
        done += r > 0 ? (size_t)r : 0;
    }
    return 0;
}

static Status file_write_at(OsFile *file, uint64_t offset, Bytes bytes, Err *err)
{
    const PosixFile *f = (const PosixFile *)file;
    const int write_errno = write_all(f->fd, offset, bytes.ptr, bytes.len);
    if (write_errno != 0) {
        return os_fail(err, write_errno, "write %zu bytes at %" PRIu64 " of '%s'", bytes.len,
                       offset, f->path);
    }
    return OK;
}

static Status file_sync(OsFile *file, Err *err)
{
    PosixFile *f = (PosixFile *)file;
    int r = 0;
    // Relaxed: it only keeps a caller from believing a second sync; nothing is published by it.
    if (atomic_load_explicit(&f->poisoned, memory_order_relaxed)) {
        return os_fail(err, EIO, "sync '%s', which failed to sync before", f->path);
    }
    do {
        r = fdatasync(f->fd);
    } while (r != 0 && errno == EINTR);
    if (r != 0) {
        atomic_store_explicit(&f->poisoned, true, memory_order_relaxed); // as above
        return os_fail(err, errno, "sync '%s'", f->path);
    }
    return OK;
}

static Status file_truncate(OsFile *file, uint64_t size_bytes, Err *err)
{
    const PosixFile *f = (const PosixFile *)file;
    int r = 0;
    do {
        r = ftruncate(f->fd, (off_t)size_bytes);
    } while (r != 0 && errno == EINTR);
    if (r != 0) {
        return os_fail(err, errno, "truncate '%s' to %" PRIu64 " bytes", f->path, size_bytes);
    }
    return OK;
}

// Zeros over [from, to); 0, or the errno.
static int write_zeros(int fd, uint64_t from, uint64_t to)
{
    static const char zeros[256 * 1024];
    while (from < to) {
        const size_t n = to - from < sizeof(zeros) ? (size_t)(to - from) : sizeof(zeros);
        const int write_errno = write_all(fd, from, zeros, n);
        if (write_errno != 0) {
            return write_errno;
        }
        from += n;
    }
    return 0;
}

Status posix_fill_holes(int fd, uint64_t size_bytes, Err *err)
{
    uint64_t at = 0;
    while (at < size_bytes) {
        // The file has a virtual hole at its end, so only ENXIO (`at` is past the end) can be.
        off_t hole = lseek(fd, (off_t)at, SEEK_HOLE);
        if (hole < 0 && errno != ENXIO) {
            return os_fail(err, errno, "find a hole");
        }
        const uint64_t from = hole < 0 ? at : (uint64_t)hole;
        if (from >= size_bytes) {
            return OK;
        }
        const off_t data = lseek(fd, (off_t)from, SEEK_DATA);
        if (data < 0 && errno != ENXIO) {
            return os_fail(err, errno, "find the end of a hole");
        }
        const uint64_t to = data < 0 || (uint64_t)data > size_bytes ? size_bytes : (uint64_t)data;
        const int write_errno = write_zeros(fd, from, to);
        if (write_errno != 0) {
            return os_fail(err, write_errno, "write zeros");
        }
        at = to;
    }
    return OK;
}

static Status file_allocate(OsFile *file, uint64_t size_bytes, Err *err)
{
    const PosixFile *f = (const PosixFile *)file;
    int r = 0;
    if (size_bytes == 0) {
        return OK;
    }
    do {
        r = fallocate(f->fd, 0, 0, (off_t)size_bytes);
    } while (r != 0 && errno == EINTR);
    if (r != 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) {
        if (posix_fill_holes(f->fd, size_bytes, err) != OK) {
            return err_prefix(err, "allocate '%s': ", f->path);
        }
        return OK;
    }
    if (r != 0) {
        return os_fail(err, errno, "allocate %" PRIu64 " bytes of '%s'", size_bytes, f->path);
    }
    return OK;
}

static Status path_stat(Os *os, Str path, OsStat *out, Err *err)
{
    (void)os;
    PathZ z;
    struct stat info;
    if (stat(path_z(&z, path), &info) != 0) {
        return os_fail(err, errno, "stat '" STR_FMT "'", PATH_ARG(path));
    }
    *out = (OsStat){
        .size_bytes = (uint64_t)info.st_size,
        .modified_us = (int64_t)info.st_mtim.tv_sec * 1000000 + info.st_mtim.tv_nsec / 1000,
        .is_dir = S_ISDIR(info.st_mode),
    };
    return OK;
}

static Status make_dir(Os *os, Str path, Err *err)
{
    (void)os;
    PathZ z;
    if (mkdir(path_z(&z, path), 0777) != 0) {
        return os_fail(err, errno, "make folder '" STR_FMT "'", PATH_ARG(path));
    }
    return OK;
}

static int compare_entries(const void *a, const void *b)
{
    const Str x = ((const OsDirEntry *)a)->name, y = ((const OsDirEntry *)b)->name;
    const int order = memcmp(x.ptr, y.ptr, x.len < y.len ? x.len : y.len);
    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

static bool entry_is_dir(DIR *dir, const struct dirent *entry)
{
    struct stat info;
    if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK) {
        return entry->d_type == DT_DIR;
    }
    return fstatat(dirfd(dir), entry->d_name, &info, 0) == 0 && S_ISDIR(info.st_mode);
}

// Appends the entries to list[0..*count), which grows. 0, or the errno.
static int read_entries(DIR *dir, Arena *arena, OsDirEntry **list, size_t *count)
{
    size_t cap = 0;
    for (;;) {
        errno = 0;
        // NOLINTNEXTLINE(concurrency-mt-unsafe): safe on a DIR of one's own
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            return errno;
        }
        const Str name = {entry->d_name, strlen(entry->d_name)};
        if (str_eq(name, STR(".")) || str_eq(name, STR(".."))) {
            continue;
        }
        if (*count == DIR_ENTRIES_MAX) {
            return EOVERFLOW;
        }
        *list = mem_grow(*list, &cap, *count + 1, sizeof(**list));
        (*list)[*count] = (OsDirEntry){arena_str(arena, name), entry_is_dir(dir, entry)};
        (*count)++;
    }
}

static Status dir_list(Os *os, Str path, Arena *arena, OsDirEntry **out, size_t *count, Err *err)
{
    (void)os;
    PathZ z;
    OsDirEntry *list = NULL;
    size_t n = 0;
    DIR *dir = opendir(path_z(&z, path));
    const int list_errno = dir == NULL ? errno : read_entries(dir, arena, &list, &n);
    if (list_errno == 0) {
        OsDirEntry *entries = arena_new(arena, OsDirEntry, n);
        if (n != 0) {
            memcpy(entries, list, n * sizeof(*list));
            qsort(entries, n, sizeof(*entries), compare_entries);
        }
        *out = entries;
        *count = n;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    mem_free(list);
    if (list_errno != 0) {
        return os_fail(err, list_errno, "list folder '" STR_FMT "'", PATH_ARG(path));
    }
    return OK;
}

static Status dir_sync(Os *os, Str path, Err *err)
{
    (void)os;
    PathZ z;
    int sync_errno = 0;
    const int fd = open_z(path_z(&z, path), O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        return os_fail(err, errno, "sync folder '" STR_FMT "'", PATH_ARG(path));
    }
    do {
        sync_errno = fsync(fd) == 0 ? 0 : errno;
    } while (sync_errno == EINTR);
    (void)close(fd);
    // EINVAL: a file system that has no sync of folders (some over FUSE or the network) and keeps
    // names in its own way. Nothing better can be done there.
    if (sync_errno != 0 && sync_errno != EINVAL) {
        return os_fail(err, sync_errno, "sync folder '" STR_FMT "'", PATH_ARG(path));
    }
    return OK;
}

static Status rename_path(Os *os, Str from, Str to, Err *err)
{
    (void)os;
    PathZ a, b;
    if (rename(path_z(&a, from), path_z(&b, to)) != 0) {
        return os_fail(err, errno, "rename '" STR_FMT "' to '" STR_FMT "'", PATH_HALF_ARG(from),
                       PATH_HALF_ARG(to));
    }
    return OK;
}

static Status link_path(Os *os, Str from, Str to, Err *err)
{
    (void)os;
    PathZ a, b;
    if (link(path_z(&a, from), path_z(&b, to)) != 0) {
        return os_fail(err, errno, "link '" STR_FMT "' as '" STR_FMT "'", PATH_HALF_ARG(from),
                       PATH_HALF_ARG(to));
    }
    return OK;
}

static Status unlink_path(Os *os, Str path, Err *err)
{
    (void)os;
    PathZ z;
    if (unlink(path_z(&z, path)) != 0) {
        return os_fail(err, errno, "unlink '" STR_FMT "'", PATH_ARG(path));
    }
    return OK;
}

static Status remove_dir(Os *os, Str path, Err *err)
{
    (void)os;
    PathZ z;
    if (rmdir(path_z(&z, path)) != 0) {
        return os_fail(err, errno, "remove folder '" STR_FMT "'", PATH_ARG(path));
    }
    return OK;
}

// Locks of the open file description: unlike POSIX record locks they are not lost when some other
// part of the process opens and closes the same file, and two openings in one process exclude each
// other.
static Status lock_file(Os *os, Str path, OsFile **out, Err *err)
{
    PathZ z;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    const int fd = open_z(path_z(&z, path), O_RDWR | O_CREAT);
    if (fd < 0) {
        return os_fail(err, errno, "lock '" STR_FMT "'", PATH_ARG(path));
    }
    if (fcntl(fd, F_OFD_SETLK, &whole) != 0) {
        const int lock_errno = errno;
        (void)close(fd);
        if (lock_errno == EAGAIN || lock_errno == EACCES) {
            return err_set(err, ERR_EXISTS, "lock '" STR_FMT "': held by another process",
                           PATH_ARG(path));
        }
        return os_fail(err, lock_errno, "lock '" STR_FMT "'", PATH_ARG(path));
    }
    *out = &file_new(os, path, fd)->base;
    return OK;
}

static Status disk_free(Os *os, Str path, uint64_t *free_bytes, Err *err)
{
    (void)os;
    PathZ z;
    struct statvfs info;
    int r = 0;
    do {
        r = statvfs(path_z(&z, path), &info);
    } while (r != 0 && errno == EINTR);
    if (r != 0) {
        return os_fail(err, errno, "free space of '" STR_FMT "'", PATH_ARG(path));
    }
    *free_bytes = (uint64_t)info.f_bavail * (uint64_t)info.f_frsize;
    return OK;
}

static struct timespec now(clockid_t clock)
{
    struct timespec t;
    ASSERT(clock_gettime(clock, &t) == 0);
    return t;
}

static int64_t wall_us(Os *os)
{
    (void)os;
    const struct timespec t = now(CLOCK_REALTIME);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t mono_ns(Os *os)
{
    (void)os;
    const struct timespec t = now(CLOCK_MONOTONIC);
    return (int64_t)t.tv_sec * NS_PER_SECOND + t.tv_nsec;
}

static void sleep_ns(Os *os, int64_t ns)
{
    int64_t until_ns = 0;
    if (ns <= 0 || __builtin_add_overflow(mono_ns(os), ns, &until_ns)) {
        until_ns = ns <= 0 ? 0 : INT64_MAX;
    }
    // An absolute time, so that interruptions do not add up.
    const struct timespec until = {
        .tv_sec = (time_t)(until_ns / NS_PER_SECOND),
        .tv_nsec = (long)(until_ns % NS_PER_SECOND),
    };
    int r = 0;
    do {
        r = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    } while (r == EINTR);
    ASSERT(r == 0);
}

static void random_bytes(Os *os, void *into, size_t n)
{
    (void)os;
    size_t done = 0;
    while (done < n) {
        const ssize_t r = getrandom((char *)into + done, n - done, 0);
        ASSERT(r > 0 || errno == EINTR);
        done += r > 0 ? (size_t)r : 0;
    }
}

static const OsOps posix_ops = {
    .file_open = file_open,
    .file_close = file_close,
    .file_size = file_size,
    .file_read_at = file_read_at,
    .file_write_at = file_write_at,
    .file_sync = file_sync,
    .file_truncate = file_truncate,
    .file_allocate = file_allocate,
    .stat = path_stat,
    .mkdir = make_dir,
    .dir_list = dir_list,
    .dir_sync = dir_sync,
    .rename = rename_path,
    .link = link_path,
    .unlink = unlink_path,
    .remove_dir = remove_dir,
    .lock_file = lock_file,
    .disk_free = disk_free,
    .wall_us = wall_us,
    .mono_ns = mono_ns,
    .sleep_ns = sleep_ns,
    .random = random_bytes,
};

Os *os_posix(void)
{
    static Os os = {&posix_ops};
    return &os;
}
