// SPDX-License-Identifier: Apache-2.0
//
// What only the real machine has.
#define _GNU_SOURCE // fallocate, FALLOC_FL_PUNCH_HOLE
#include "base/mem.h"
#include "os/os.h"
#include "os/posix_internal.h"
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static Str path_in(Test *t, Str dir, const char *name)
{
    char *text = arena_new(&t->arena, char, dir.len + strlen(name) + 2);
    const int n = snprintf(text, dir.len + strlen(name) + 2, STR_FMT "/%s", STR_ARG(dir), name);
    return (Str){text, (size_t)n};
}

TEST(posix, holes_are_filled)
{
    const Str path = path_in(t, test_dir(t), "f");
    Err err = {0};
    struct stat info;
    const int fd = open(path.ptr, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    CHECK(ftruncate(fd, 1000000) == 0);
    CHECK(pwrite(fd, "abc", 3, 500000) == 3);
    CHECK_OK(posix_fill_holes(fd, 1500001, &err));
    CHECK(fstat(fd, &info) == 0);
    CHECK_EQ(info.st_size, 1500001);
    CHECK(info.st_blocks * 512 >= 1500001);
    uint8_t *bytes = mem_alloc_raw(1500001);
    CHECK_EQ(pread(fd, bytes, 1500001, 0), 1500001);
    for (size_t i = 0; i < 1500001; i++) {
        const bool text = i >= 500000 && i < 500003;
        CHECK(text ? bytes[i] == "abc"[i - 500000] : bytes[i] == 0);
    }
    CHECK_OK(posix_fill_holes(fd, 10, &err)); // never shorter
    CHECK(fstat(fd, &info) == 0);
    CHECK_EQ(info.st_size, 1500001);
    mem_free(bytes);
    (void)close(fd);
}

TEST(posix, allocated_space_is_there)
{
    const Str path = path_in(t, test_dir(t), "f");
    Err err = {0};
    OsFile *f = NULL;
    struct stat info;
    CHECK_OK(os_file_open(os_posix(), path, OS_OPEN_CREATE, &f, &err));
    CHECK_OK(os_file_allocate(f, 3 << 20, &err));
    CHECK(stat(path.ptr, &info) == 0);
    CHECK(info.st_blocks * 512 >= 3 << 20);
    os_file_close(f);
}

TEST(posix, too_many_open_files_may_pass)
{
    enum { FILES_MAX = 64 };
    const Str path = path_in(t, test_dir(t), "f");
    OsFile *files[FILES_MAX] = {NULL}, *more = NULL;
    Err err = {0};
    struct rlimit before;
    size_t count = 0;
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    const struct rlimit few = {.rlim_cur = FILES_MAX / 2, .rlim_max = before.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    Status st = OK;
    while (st == OK && count < FILES_MAX) {
        st = os_file_open(os_posix(), path, OS_OPEN_CREATE, &files[count], &err);
        count += st == OK ? 1 : 0;
    }
    const Status locked = os_lock_file(os_posix(), path, &more, &err);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    for (size_t i = 0; i < count; i++) {
        os_file_close(files[i]);
    }
    CHECK_EQ(st, ERR_UNAVAILABLE);
    CHECK_EQ(locked, ERR_UNAVAILABLE);
    CHECK_EQ(err.os_errno, EMFILE);
    CHECK(count > 4);
}

// A file-size limit makes a write stop half way, as a full disk does.
TEST(posix, a_short_write_is_an_error)
{
    const Str path = path_in(t, test_dir(t), "f");
    Err err = {0};
    OsFile *f = NULL;
    struct rlimit before;
    uint64_t size_bytes = 0;
    static const uint8_t zeros[8192];
    CHECK_OK(os_file_open(os_posix(), path, OS_OPEN_CREATE, &f, &err));
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    const struct rlimit small = {.rlim_cur = 5000, .rlim_max = before.rlim_max};
    void (*const handler)(int) = signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    const Status st = os_file_write_at(f, 0, (Bytes){zeros, sizeof(zeros)}, &err);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    (void)signal(SIGXFSZ, handler);
    CHECK_EQ(st, ERR_IO);
    CHECK_EQ(err.os_errno, EFBIG);
    CHECK_OK(os_file_size(f, &size_bytes, &err));
    CHECK_EQ(size_bytes, 5000);
    os_file_close(f);
}

TEST(posix, messages_name_the_path_and_the_reason)
{
    static char long_name[300];
    Err err = {0};
    OsFile *f = NULL;
    CHECK_EQ(os_file_open(os_posix(), STR("/none/x"), OS_OPEN_READ, &f, &err), ERR_NOT_FOUND);
    CHECK_STR(((Str){err.msg, strlen(err.msg)}), STR("open '/none/x': No such file or directory"));
    // The end of a long path, and still the reason.
    memset(long_name, 'n', sizeof(long_name));
    long_name[0] = '/';
    memcpy(long_name + sizeof(long_name) - 4, "/end", 4);
    const Str path = {long_name, sizeof(long_name)};
    CHECK_EQ(os_file_open(os_posix(), path, OS_OPEN_READ, &f, &err), ERR_IO);
    CHECK(strstr(err.msg, "n/end': File name too long") != NULL);
    CHECK_EQ(os_rename(os_posix(), path, path, &err), ERR_IO);
    CHECK(strstr(err.msg, "n/end': File name too long") != NULL);
}

TEST(posix, the_lock_excludes_other_processes_and_ends_with_them)
{
    const Str path = path_in(t, test_dir(t), "LOCK");
    Err err = {0};
    OsFile *lock = NULL;
    int status = 0;
    CHECK_OK(os_lock_file(os_posix(), path, &lock, &err));
    pid_t child = fork();
    if (child == 0) { // the lock came with the fork, but another opening is refused
        OsFile *mine = NULL;
        _exit(os_lock_file(os_posix(), path, &mine, &err) == ERR_EXISTS ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    os_file_close(lock);
    child = fork();
    if (child == 0) {
        OsFile *mine = NULL;
        _exit(os_lock_file(os_posix(), path, &mine, &err) == OK ? 0 : 1); // does not close it
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_OK(os_lock_file(os_posix(), path, &lock, &err));
    os_file_close(lock);
}

TEST(posix, files_of_proc_are_read_whole)
{
    Err err = {0};
    Bytes text = {0};
    CHECK_OK(os_read_file(os_posix(), STR("/proc/self/status"), 1 << 20, &t->arena, &text, &err));
    CHECK(text.len > 100 && memcmp(text.ptr, "Name:", 5) == 0);
    CHECK_EQ(os_read_file(os_posix(), STR("/proc/self/status"), 100, &t->arena, &text, &err),
             ERR_TOO_LARGE);
    CHECK_OK(os_read_file(os_posix(), STR("/proc/self/smaps"), 1 << 24, &t->arena, &text, &err));
    CHECK(text.len > 64);
}
