// SPDX-License-Identifier: Apache-2.0
//
// What every Os does, checked on each of them: the real one in a fresh folder, the simulated one,
// and the fault layer over the simulated one with nothing to fail.
#include "base/buf.h"
#include "os/fault.h"
#include "os/os.h"
#include "os/sim.h"
#include "tests/support/test.h"

#include <stdio.h>

// Where a check works. Paths made by at() live until the case ends.
typedef struct Place {
    Test *t;
    Os *os;
    Str dir;
} Place;

static Str at(const Place *p, const char *name)
{
    char *text = arena_new(&p->t->arena, char, p->dir.len + strlen(name) + 2);
    const int n =
        snprintf(text, p->dir.len + strlen(name) + 2, STR_FMT "/%s", STR_ARG(p->dir), name);
    return (Str){text, (size_t)n};
}

static void on_each(Test *t, void (*check)(Test *t, const Place *p))
{
    Err err = {0};
    OsSim *sim = os_sim_new(t->seed);
    OsFault *fault = os_fault_new(os_sim_os(sim));
    const Place places[] = {
        {t, os_posix(), test_dir(t)},
        {t, os_sim_os(sim), STR("/data")},
        {t, os_fault_os(fault), STR("/other")},
    };
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        CHECK_OK(os_mkdir_all(places[i].os, places[i].dir, &err));
        check(t, &places[i]);
    }
    os_fault_free(fault);
    os_sim_free(sim);
}

static Bytes bytes_of(const char *text)
{
    return (Bytes){(const uint8_t *)text, strlen(text)};
}

static void put_file(Test *t, const Place *p, const char *name, const char *text)
{
    Err err = {0};
    OsFile *f = NULL;
    CHECK_OK(os_file_open(p->os, at(p, name), OS_OPEN_CREATE, &f, &err));
    CHECK_OK(os_file_truncate(f, 0, &err));
    CHECK_OK(os_file_write_at(f, 0, bytes_of(text), &err));
    os_file_close(f);
}

static void check_file(Test *t, const Place *p, const char *name, Str want)
{
    Err err = {0};
    Bytes got = {0};
    CHECK_OK(os_read_file(p->os, at(p, name), 1 << 20, &t->arena, &got, &err));
    CHECK_STR(((Str){(const char *)got.ptr, got.len}), want);
}

static void check_open(Test *t, const Place *p)
{
    static const struct {
        OsOpen how;
        Status absent, present;
    } cases[] = {
        {OS_OPEN_READ, ERR_NOT_FOUND, OK},
        {OS_OPEN_WRITE, ERR_NOT_FOUND, OK},
        {OS_OPEN_CREATE, OK, OK},
        {OS_OPEN_CREATE_NEW, OK, ERR_EXISTS},
    };
    put_file(t, p, "present", "abc");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err = {0};
        OsFile *f = NULL;
        char absent[16];
        (void)snprintf(absent, sizeof(absent), "absent%zu", i);
        CHECK_EQ(os_file_open(p->os, at(p, absent), cases[i].how, &f, &err), cases[i].absent);
        CHECK_EQ(f != NULL, cases[i].absent == OK);
        os_file_close(f);
        CHECK_EQ(os_file_open(p->os, at(p, "present"), cases[i].how, &f, &err), cases[i].present);
        CHECK_EQ(f != NULL, cases[i].present == OK);
        if (f != NULL) {
            const Status written = os_file_write_at(f, 3, bytes_of("d"), &err);
            CHECK_EQ(written, cases[i].how == OS_OPEN_READ ? ERR_IO : OK);
            CHECK_OK(os_file_sync(f, &err));
        }
        os_file_close(f);
    }
    check_file(t, p, "present", STR("abcd"));
    os_file_close(NULL);
}

TEST(os, open)
{
    on_each(t, check_open);
}

static void check_read_write(Test *t, const Place *p)
{
    Err err = {0};
    OsFile *f = NULL;
    char into[16] = "";
    size_t got = 99;
    uint64_t size_bytes = 99;
    CHECK_OK(os_file_open(p->os, at(p, "f"), OS_OPEN_CREATE, &f, &err));
    CHECK_OK(os_file_size(f, &size_bytes, &err));
    CHECK_EQ(size_bytes, 0);
    CHECK_OK(os_file_read_at(f, 0, into, sizeof(into), &got, &err));
    CHECK_EQ(got, 0);
    CHECK_OK(os_file_write_at(f, 4, bytes_of("efgh"), &err));
    CHECK_OK(os_file_write_at(f, 100, (Bytes){0}, &err)); // nothing does not extend
    CHECK_OK(os_file_size(f, &size_bytes, &err));
    CHECK_EQ(size_bytes, 8);
    CHECK_OK(os_file_read_at(f, 0, into, sizeof(into), &got, &err));
    CHECK_STR(((Str){into, got}), STR("\0\0\0\0efgh"));
    CHECK_OK(os_file_read_at(f, 6, into, sizeof(into), &got, &err));
    CHECK_STR(((Str){into, got}), STR("gh"));
    CHECK_OK(os_file_read_at(f, 5, into, 2, &got, &err));
    CHECK_STR(((Str){into, got}), STR("fg"));
    CHECK_OK(os_file_read_at(f, 8, into, 2, &got, &err));
    CHECK_EQ(got, 0);
    CHECK_OK(os_file_read_at(f, UINT64_C(1) << 40, into, 2, &got, &err));
    CHECK_EQ(got, 0);
    CHECK_EQ(os_file_read_at(f, UINT64_MAX, into, 2, &got, &err), ERR_INVALID);
    CHECK_EQ(os_file_write_at(f, INT64_MAX, bytes_of("x"), &err), ERR_INVALID);
    os_file_close(f);
}

TEST(os, read_and_write)
{
    on_each(t, check_read_write);
}

static void check_truncate(Test *t, const Place *p)
{
    Err err = {0};
    OsFile *f = NULL;
    uint64_t size_bytes = 0;
    CHECK_OK(os_file_open(p->os, at(p, "f"), OS_OPEN_CREATE, &f, &err));
    CHECK_OK(os_file_write_at(f, 0, bytes_of("abcdef"), &err));
    CHECK_OK(os_file_truncate(f, 3, &err));
    CHECK_OK(os_file_truncate(f, 5, &err)); // what was cut off does not come back
    check_file(t, p, "f", STR("abc\0\0"));
    CHECK_OK(os_file_write_at(f, 9999, bytes_of("z"), &err));
    CHECK_OK(os_file_truncate(f, 1, &err));
    CHECK_OK(os_file_write_at(f, 2, bytes_of("c"), &err));
    check_file(t, p, "f", STR("a\0c"));
    CHECK_OK(os_file_truncate(f, 0, &err));
    CHECK_OK(os_file_size(f, &size_bytes, &err));
    CHECK_EQ(size_bytes, 0);
    os_file_close(f);
}

TEST(os, truncate)
{
    on_each(t, check_truncate);
}

static void check_allocate(Test *t, const Place *p)
{
    Err err = {0};
    OsFile *f = NULL;
    uint64_t size_bytes = 0;
    char into[8] = "";
    size_t got = 0;
    CHECK_OK(os_file_open(p->os, at(p, "f"), OS_OPEN_CREATE, &f, &err));
    CHECK_OK(os_file_write_at(f, 2, bytes_of("cd"), &err));
    CHECK_OK(os_file_allocate(f, 0, &err));
    CHECK_OK(os_file_allocate(f, 1 << 20, &err));
    CHECK_OK(os_file_size(f, &size_bytes, &err));
    CHECK_EQ(size_bytes, 1 << 20);
    CHECK_OK(os_file_read_at(f, 0, into, 6, &got, &err));
    CHECK_STR(((Str){into, got}), STR("\0\0cd\0\0"));
    CHECK_OK(os_file_allocate(f, 10, &err)); // never shorter
    CHECK_OK(os_file_size(f, &size_bytes, &err));
    CHECK_EQ(size_bytes, 1 << 20);
    os_file_close(f);
}

TEST(os, allocate)
{
    on_each(t, check_allocate);
}

static void check_read_file(Test *t, const Place *p)
{
    static const struct {
        uint64_t limit_bytes;
        Status want;
    } cases[] = {{0, ERR_TOO_LARGE}, {4, ERR_TOO_LARGE}, {5, OK}, {6, OK}, {UINT64_MAX, OK}};
    Err err = {0};
    Bytes got = {0};
    put_file(t, p, "five", "12345");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_EQ(os_read_file(p->os, at(p, "five"), cases[i].limit_bytes, &t->arena, &got, &err),
                 cases[i].want);
        CHECK_EQ(got.len, cases[i].want == OK ? 5 : 0);
    }
    put_file(t, p, "empty", "");
    CHECK_OK(os_read_file(p->os, at(p, "empty"), 0, &t->arena, &got, &err));
    CHECK_EQ(got.len, 0);
    CHECK_EQ(os_read_file(p->os, at(p, "absent"), 9, &t->arena, &got, &err), ERR_NOT_FOUND);
    CHECK_EQ(os_read_file(p->os, p->dir, 9, &t->arena, &got, &err), ERR_IO);
}

TEST(os, read_file)
{
    on_each(t, check_read_file);
}

static void check_dirs(Test *t, const Place *p)
{
    Err err = {0};
    OsStat info = {0};
    OsDirEntry *entries = NULL;
    size_t count = 99;
    CHECK_OK(os_dir_list(p->os, p->dir, &t->arena, &entries, &count, &err));
    CHECK_EQ(count, 0);
    CHECK_OK(os_mkdir_all(p->os, at(p, "a/b//c/"), &err));
    CHECK_OK(os_mkdir_all(p->os, at(p, "a/b/c"), &err));
    CHECK_OK(os_mkdir_all(p->os, at(p, "./a/d"), &err));
    put_file(t, p, "a/file", "text");
    put_file(t, p, "a/B", "");
    put_file(t, p, "a/b0", "");
    CHECK_OK(os_stat(p->os, at(p, "a/b/c"), &info, &err));
    CHECK(info.is_dir);
    CHECK_OK(os_stat(p->os, at(p, "a/file"), &info, &err));
    CHECK(!info.is_dir && info.size_bytes == 4);
    CHECK(info.modified_us > INT64_C(1700000000000000));
    CHECK_EQ(os_stat(p->os, at(p, "a/none"), &info, &err), ERR_NOT_FOUND);

    static const struct {
        Str name;
        bool is_dir;
    } want[] = {
        {STR("B"), false}, {STR("b"), true},     {STR("b0"), false},
        {STR("d"), true},  {STR("file"), false},
    };
    CHECK_OK(os_dir_list(p->os, at(p, "a"), &t->arena, &entries, &count, &err));
    CHECK_EQ(count, ARRAY_LEN(want));
    for (size_t i = 0; i < count; i++) {
        CHECK_STR(entries[i].name, want[i].name);
        CHECK_EQ(entries[i].is_dir, want[i].is_dir);
    }
    CHECK_EQ(os_dir_list(p->os, at(p, "none"), &t->arena, &entries, &count, &err), ERR_NOT_FOUND);
    CHECK_EQ(os_dir_list(p->os, at(p, "a/file"), &t->arena, &entries, &count, &err), ERR_IO);
    CHECK_EQ(os_mkdir_all(p->os, at(p, "a/file"), &err), ERR_IO);
    CHECK_EQ(os_mkdir_all(p->os, at(p, "a/file/x"), &err), ERR_IO);
    CHECK_OK(os_dir_sync(p->os, at(p, "a"), &err));
    CHECK_EQ(os_dir_sync(p->os, at(p, "none"), &err), ERR_NOT_FOUND);
    CHECK_EQ(os_dir_sync(p->os, at(p, "a/file"), &err), ERR_IO);

    CHECK_EQ(os_remove_dir(p->os, at(p, "a/b"), &err), ERR_EXISTS); // not empty
    CHECK_EQ(os_remove_dir(p->os, at(p, "a/file"), &err), ERR_IO);
    CHECK_EQ(os_remove_dir(p->os, at(p, "none"), &err), ERR_NOT_FOUND);
    CHECK_EQ(os_unlink(p->os, at(p, "a/b"), &err), ERR_IO);
    CHECK_OK(os_remove_dir(p->os, at(p, "a/b/c"), &err));
    CHECK_OK(os_remove_dir(p->os, at(p, "a/b"), &err));
    CHECK_EQ(os_stat(p->os, at(p, "a/b"), &info, &err), ERR_NOT_FOUND);
}

TEST(os, folders)
{
    on_each(t, check_dirs);
}

static void check_rename(Test *t, const Place *p)
{
    Err err = {0};
    OsStat info = {0};
    CHECK_OK(os_mkdir_all(p->os, at(p, "d1/full"), &err));
    CHECK_OK(os_mkdir_all(p->os, at(p, "d2"), &err));
    put_file(t, p, "a", "A");
    put_file(t, p, "b", "B");
    CHECK_EQ(os_rename(p->os, at(p, "none"), at(p, "b"), &err), ERR_NOT_FOUND);
    CHECK_EQ(os_rename(p->os, at(p, "a"), at(p, "none/x"), &err), ERR_NOT_FOUND);
    CHECK_OK(os_rename(p->os, at(p, "a"), at(p, "a"), &err));
    check_file(t, p, "a", STR("A"));
    CHECK_OK(os_rename(p->os, at(p, "a"), at(p, "b"), &err)); // takes its place
    check_file(t, p, "b", STR("A"));
    CHECK_EQ(os_stat(p->os, at(p, "a"), &info, &err), ERR_NOT_FOUND);
    CHECK_OK(os_rename(p->os, at(p, "b"), at(p, "d1/c"), &err)); // into another folder
    check_file(t, p, "d1/c", STR("A"));
    CHECK_EQ(os_rename(p->os, at(p, "d1/c"), at(p, "d2"), &err), ERR_IO);      // file over folder
    CHECK_EQ(os_rename(p->os, at(p, "d2"), at(p, "d1/c"), &err), ERR_IO);      // folder over file
    CHECK_EQ(os_rename(p->os, at(p, "d2"), at(p, "d1"), &err), ERR_EXISTS);    // not empty
    CHECK_EQ(os_rename(p->os, at(p, "d1"), at(p, "d1/full/x"), &err), ERR_IO); // into itself
    CHECK_OK(os_rename(p->os, at(p, "d1"), at(p, "d2"), &err)); // over an empty folder
    check_file(t, p, "d2/c", STR("A"));
    CHECK_OK(os_stat(p->os, at(p, "d2/full"), &info, &err));
    CHECK_EQ(os_stat(p->os, at(p, "d1"), &info, &err), ERR_NOT_FOUND);
}

TEST(os, rename)
{
    on_each(t, check_rename);
}

static void check_link(Test *t, const Place *p)
{
    Err err = {0};
    OsFile *f = NULL;
    char into[8] = "";
    size_t got = 0;
    put_file(t, p, "a", "A");
    put_file(t, p, "b", "B");
    CHECK_OK(os_mkdir_all(p->os, at(p, "d"), &err));
    CHECK_EQ(os_link(p->os, at(p, "a"), at(p, "b"), &err), ERR_EXISTS);
    check_file(t, p, "b", STR("B"));
    CHECK_EQ(os_link(p->os, at(p, "none"), at(p, "x"), &err), ERR_NOT_FOUND);
    CHECK_EQ(os_link(p->os, at(p, "d"), at(p, "x"), &err), ERR_IO);
    CHECK_OK(os_link(p->os, at(p, "a"), at(p, "d/same"), &err));
    put_file(t, p, "a", "changed");
    check_file(t, p, "d/same", STR("changed"));
    CHECK_OK(os_unlink(p->os, at(p, "a"), &err));
    check_file(t, p, "d/same", STR("changed"));
    CHECK_EQ(os_unlink(p->os, at(p, "a"), &err), ERR_NOT_FOUND);
    // An open file stays readable when its last name goes.
    CHECK_OK(os_file_open(p->os, at(p, "d/same"), OS_OPEN_READ, &f, &err));
    CHECK_OK(os_unlink(p->os, at(p, "d/same"), &err));
    CHECK_OK(os_file_read_at(f, 0, into, 4, &got, &err));
    CHECK_STR(((Str){into, got}), STR("chan"));
    os_file_close(f);
}

TEST(os, link_and_unlink)
{
    on_each(t, check_link);
}

static void check_lock(Test *t, const Place *p)
{
    Err err = {0};
    OsFile *lock = NULL, *second = NULL, *other = NULL;
    CHECK_OK(os_lock_file(p->os, at(p, "LOCK"), &lock, &err));
    CHECK_EQ(os_lock_file(p->os, at(p, "LOCK"), &second, &err), ERR_EXISTS);
    CHECK(second == NULL);
    CHECK_OK(os_file_open(p->os, at(p, "LOCK"), OS_OPEN_READ, &other, &err));
    os_file_close(other); // must not drop the lock
    CHECK_EQ(os_lock_file(p->os, at(p, "LOCK"), &second, &err), ERR_EXISTS);
    os_file_close(lock);
    CHECK_OK(os_lock_file(p->os, at(p, "LOCK"), &second, &err));
    os_file_close(second);
    CHECK_EQ(os_lock_file(p->os, at(p, "none/LOCK"), &second, &err), ERR_NOT_FOUND);
}

TEST(os, lock_file)
{
    on_each(t, check_lock);
}

static void check_paths(Test *t, const Place *p)
{
    static char long_path[OS_PATH_MAX + 1], long_name[300];
    Err err = {0};
    OsFile *f = NULL;
    memset(long_path, '/', sizeof(long_path));
    memset(long_name, 'n', sizeof(long_name) - 1);
    put_file(t, p, "file", "");
    const struct {
        Str path;
        Status want;
    } cases[] = {
        {STR(""), ERR_INVALID},
        {STR("a\0b"), ERR_INVALID},
        {{long_path, OS_PATH_MAX + 1}, ERR_INVALID},
        {{long_path, OS_PATH_MAX}, ERR_IO}, // a folder: the root
        {at(p, long_name), ERR_IO},
        {at(p, "none/x"), ERR_NOT_FOUND},
        {at(p, "file/x"), ERR_IO},
        {p->dir, ERR_IO},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_EQ(os_file_open(p->os, cases[i].path, OS_OPEN_CREATE, &f, &err), cases[i].want);
        CHECK(f == NULL);
        CHECK_EQ(err.os_errno != 0, cases[i].want != ERR_INVALID);
    }
}

TEST(os, paths)
{
    on_each(t, check_paths);
}

static void check_rest(Test *t, const Place *p)
{
    Err err = {0};
    uint64_t free_bytes = 0;
    uint8_t a[100] = {0}, b[100] = {0};
    CHECK_OK(os_disk_free(p->os, p->dir, &free_bytes, &err));
    CHECK(free_bytes > 0);
    CHECK_EQ(os_disk_free(p->os, at(p, "none"), &free_bytes, &err), ERR_NOT_FOUND);
    os_random(p->os, a, sizeof(a));
    os_random(p->os, b, sizeof(b));
    CHECK(memcmp(a, b, sizeof(a)) != 0);
    const int64_t wall_us = os_wall_us(p->os), mono_ns = os_mono_ns(p->os);
    os_sleep_ns(p->os, 2000000);
    os_sleep_ns(p->os, -5);
    CHECK(os_mono_ns(p->os) - mono_ns >= 2000000);
    CHECK(os_wall_us(p->os) - wall_us >= 1000); // somebody may be adjusting the clock
}

TEST(os, clocks_random_and_space)
{
    on_each(t, check_rest);
}

// --- the same random calls on the real and the simulated machine
// -----------------------------------

enum { NAMES = 7 };
static const char *const random_names[NAMES] = {"a", "b", "c", "d1", "d1/a", "d1/b", "d1/d2"};

// One random call. What came of it, apart from texts, goes to `log`.
static void random_call(const Place *p, Rng rng, Buf *log)
{
    Err err = {0};
    OsFile *f = NULL;
    OsStat info = {0};
    const Str path = at(p, random_names[rng_below(&rng, NAMES)]);
    const Str other = at(p, random_names[rng_below(&rng, NAMES)]);
    const uint64_t call = rng_below(&rng, 10), offset = rng_below(&rng, 9000);
    const uint64_t n = rng_below(&rng, 6000);
    Status st = OK;
    if (call == 0) {
        st = os_rename(p->os, path, other, &err);
    } else if (call == 1) {
        st = os_link(p->os, path, other, &err);
    } else if (call == 2) {
        st = os_unlink(p->os, path, &err);
    } else if (call == 3) {
        st = os_remove_dir(p->os, path, &err);
    } else if (call == 4) {
        st = os_mkdir_all(p->os, path, &err);
    } else if (call == 5) {
        st = os_stat(p->os, path, &info, &err);
        buf_putf(log, "dir %d size %" PRIu64 " ", info.is_dir, info.is_dir ? 0 : info.size_bytes);
    } else {
        st = os_file_open(p->os, path, call == 6 ? OS_OPEN_CREATE : OS_OPEN_WRITE, &f, &err);
    }
    if (f != NULL) {
        static uint8_t text[6000];
        memset(text, (int)(rng_next(&rng) & 0xff), sizeof(text));
        st = call < 8    ? os_file_write_at(f, offset, (Bytes){text, n}, &err)
             : call == 8 ? os_file_truncate(f, offset, &err)
                         : os_file_allocate(f, offset, &err);
        os_file_close(f);
    }
    buf_putf(log, "call %" PRIu64 " status %d\n", call, (int)st);
}

// All that there is below the folder of `p`, contents included.
static void put_tree(const Place *p, Buf *log)
{
    for (size_t i = 0; i < NAMES; i++) {
        Err err = {0};
        Bytes bytes = {0};
        OsDirEntry *entries = NULL;
        size_t count = 0;
        const Str path = at(p, random_names[i]);
        if (os_read_file(p->os, path, 1 << 20, &p->t->arena, &bytes, &err) == OK) {
            buf_put(log, bytes.ptr, bytes.len);
        } else {
            buf_putf(log, "%s: %d ", random_names[i], (int)err.status);
        }
        if (os_dir_list(p->os, path, &p->t->arena, &entries, &count, &err) == OK) {
            for (size_t k = 0; k < count; k++) {
                buf_put_str(log, entries[k].name);
            }
        }
    }
}

TEST(os, real_and_simulated_do_the_same)
{
    OsSim *sim = os_sim_new(1);
    Err err = {0};
    Buf real_log, sim_log;
    const Place real = {t, os_posix(), test_dir(t)}, simulated = {t, os_sim_os(sim), STR("/s")};
    buf_init(&real_log, 0);
    buf_init(&sim_log, 0);
    CHECK_OK(os_mkdir_all(simulated.os, simulated.dir, &err));
    for (size_t i = 0; i < 4000; i++) {
        const Rng rng = {test_random(t)};
        buf_clear(&real_log);
        buf_clear(&sim_log);
        random_call(&real, rng, &real_log);
        random_call(&simulated, rng, &sim_log);
        if (i % 16 == 0) {
            put_tree(&real, &real_log);
            put_tree(&simulated, &sim_log);
        }
        if (!str_eq(buf_str(&real_log), buf_str(&sim_log))) {
            test_fail(t, __FILE__, __LINE__, "call %zu: real " STR_FMT "\nsimulated " STR_FMT, i,
                      STR_ARG(buf_str(&real_log)), STR_ARG(buf_str(&sim_log)));
        }
        if (i % 256 == 0) {
            arena_reset(&t->arena);
        }
    }
    buf_deinit(&real_log);
    buf_deinit(&sim_log);
    os_sim_free(sim);
}
