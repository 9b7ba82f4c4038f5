// SPDX-License-Identifier: Apache-2.0
//
// What a power cut may do, and what it may not. Most cases try many seeds, and check both that
// nothing forbidden happens and that everything allowed does happen now and then.
#include "base/buf.h"
#include "base/mem.h"
#include "os/fault.h"
#include "os/os.h"
#include "os/sim.h"
#include "tests/support/test.h"

#include <errno.h>
#include <stdio.h>

enum { SEEDS = 400 };

static OsFile *open_file(Test *t, Os *os, Str path)
{
    Err err = {0};
    OsFile *f = NULL;
    CHECK_OK(os_file_open(os, path, OS_OPEN_CREATE, &f, &err));
    return f;
}

// A file whose name is durable.
static OsFile *open_durable(Test *t, Os *os, Str path)
{
    Err err = {0};
    OsFile *f = open_file(t, os, path);
    CHECK_OK(os_dir_sync(os, STR("/"), &err));
    return f;
}

static void write_text(Test *t, OsFile *f, uint64_t offset, Str text)
{
    Err err = {0};
    CHECK_OK(os_file_write_at(f, offset, (Bytes){(const uint8_t *)text.ptr, text.len}, &err));
}

static void write_fill(Test *t, OsFile *f, uint64_t offset, size_t n, char fill)
{
    static char text[1 << 16];
    CHECK(n <= sizeof(text));
    memset(text, fill, n);
    write_text(t, f, offset, (Str){text, n});
}

static bool file_exists(Os *os, Str path)
{
    Err err = {0};
    OsStat info = {0};
    return os_stat(os, path, &info, &err) == OK;
}

static Str read_text(Test *t, Os *os, Str path)
{
    Err err = {0};
    Bytes got = {0};
    CHECK_OK(os_read_file(os, path, 1 << 26, &t->arena, &got, &err));
    return (Str){(const char *)got.ptr, got.len};
}

TEST(sim, synced_contents_and_names_always_survive)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        OsSim *sim = os_sim_new(seed);
        Os *os = os_sim_os(sim);
        Err err = {0};
        OsFile *f = open_file(t, os, STR("/f"));
        write_text(t, f, 0, STR("synced"));
        CHECK_OK(os_file_sync(f, &err));
        CHECK_OK(os_dir_sync(os, STR("/"), &err));
        for (int again = 0; again < 3; again++) {
            os_sim_power_cut(sim);
            CHECK_STR(read_text(t, os, STR("/f")), STR("synced"));
        }
        os_file_close(f);
        os_sim_free(sim);
    }
}

// Three unsynced writes of a sector each: every subset is left sometimes, and a hole reads as
// zeros.
TEST(sim, any_subset_of_unsynced_writes_survives)
{
    static const char *const kinds = "ab.c";
    bool seen[8] = {false}, size_only = false;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        OsSim *sim = os_sim_new(seed);
        Os *os = os_sim_os(sim);
        OsFile *f = open_durable(t, os, STR("/f"));
        write_fill(t, f, 0, 512, kinds[0]);
        write_fill(t, f, 512, 512, kinds[1]);
        write_fill(t, f, 1536, 512, kinds[3]); // a sector is never written
        os_sim_power_cut(sim);
        const Str left = read_text(t, os, STR("/f"));
        size_t subset = 0;
        for (size_t i = 0; i < left.len; i++) {
            const char want = i / 512 == 2 ? '\0' : kinds[i / 512];
            CHECK(left.ptr[i] == want || left.ptr[i] == '\0');
            subset |= left.ptr[i] == '\0' ? 0 : i / 512 == 3 ? 4 : (size_t)1 << i / 512;
        }
        seen[subset] = true;
        size_only = size_only || (left.len == 2048 && left.ptr[2047] == '\0');
        os_file_close(f);
        os_sim_free(sim);
    }
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        CHECK(seen[i]);
    }
    CHECK(size_only);
}

TEST(sim, a_surviving_write_may_be_torn_at_sectors)
{
    bool torn_end = false, torn_middle = false;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        OsSim *sim = os_sim_new(seed);
        Os *os = os_sim_os(sim);
        Err err = {0};
        OsFile *f = open_durable(t, os, STR("/f"));
        write_fill(t, f, 0, 5000, 'o');
        CHECK_OK(os_file_sync(f, &err));
        write_fill(t, f, 100, 4800, 'n');
        os_sim_power_cut(sim);
        const Str left = read_text(t, os, STR("/f"));
        CHECK_EQ(left.len, 5000);
        size_t changes = 0;
        for (size_t i = 1; i < left.len; i++) {
            CHECK(left.ptr[i] == 'n' ? i >= 100 && i < 4900 : left.ptr[i] == 'o');
            if (left.ptr[i] != left.ptr[i - 1]) {
                CHECK(i % 512 == 0 || i == 100 || i == 4900);
                changes++;
            }
        }
        torn_end = torn_end || (changes == 2 && left.ptr[100] == 'n' && left.ptr[4899] == 'o');
        torn_middle = torn_middle || changes > 2;
        os_file_close(f);
        os_sim_free(sim);
    }
    CHECK(torn_end && torn_middle);
}

TEST(sim, unsynced_names_survive_as_a_prefix)
{
    enum { FILES = 6 };
    bool seen[FILES + 1] = {false};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        OsSim *sim = os_sim_new(seed);
        Os *os = os_sim_os(sim);
        char path[] = "/0";
        for (size_t i = 0; i < FILES; i++) {
            path[1] = (char)('a' + (i * 5) % FILES); // not in the order of the names
            os_file_close(open_file(t, os, (Str){path, 2}));
        }
        os_sim_power_cut(sim);
        size_t kept = 0;
        for (size_t i = 0; i < FILES; i++) {
            path[1] = (char)('a' + (i * 5) % FILES);
            if (file_exists(os, (Str){path, 2})) {
                CHECK_EQ(kept, i); // none before it is missing
                kept++;
            }
        }
        seen[kept] = true;
        os_sim_free(sim);
    }
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        CHECK(seen[i]);
    }
}

TEST(sim, unlink_and_folders_come_back_without_sync)
{
    bool undone = false, done = false;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        OsSim *sim = os_sim_new(seed);
        Os *os = os_sim_os(sim);
        Err err = {0};
        CHECK_OK(os_mkdir_all(os, STR("/d/e"), &err));
        OsFile *f = open_file(t, os, STR("/d/e/f"));
        write_text(t, f, 0, STR("text"));
        CHECK_OK(os_file_sync(f, &err));
        CHECK_OK(os_dir_sync(os, STR("/d/e"), &err));
        os_file_close(f);
        CHECK_OK(os_unlink(os, STR("/d/e/f"), &err));
        CHECK_OK(os_remove_dir(os, STR("/d/e"), &err));
        os_sim_power_cut(sim);
        if (file_exists(os, STR("/d/e/f"))) {
            CHECK_STR(read_text(t, os, STR("/d/e/f")), STR("text"));
            undone = true;
        }
        done = done || !file_exists(os, STR("/d/e"));
        CHECK(file_exists(os, STR("/d")));
        os_sim_free(sim);
    }
    CHECK(undone && done);
}

// The usual way to replace a file: readers after any cut find the old or the new one, whole.
TEST(sim, replacing_by_rename_is_atomic)
{
    bool old_seen = false, new_seen = false;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        OsSim *sim = os_sim_new(seed);
        Os *os = os_sim_os(sim);
        Err err = {0};
        OsFile *f = open_durable(t, os, STR("/f"));
        write_text(t, f, 0, STR("old"));
        CHECK_OK(os_file_sync(f, &err));
        os_file_close(f);
        f = open_file(t, os, STR("/f.tmp"));
        write_text(t, f, 0, STR("new"));
        CHECK_OK(os_file_sync(f, &err));
        os_file_close(f);
        CHECK_OK(os_rename(os, STR("/f.tmp"), STR("/f"), &err));
        os_sim_power_cut(sim);
        const Str left = read_text(t, os, STR("/f"));
        CHECK(str_eq(left, STR("old")) || str_eq(left, STR("new")));
        CHECK(!(str_eq(left, STR("new")) && file_exists(os, STR("/f.tmp"))));
        old_seen = old_seen || str_eq(left, STR("old"));
        new_seen = new_seen || str_eq(left, STR("new"));
        os_sim_free(sim);
    }
    CHECK(old_seen && new_seen);
}

// Whatever else is pending in the two folders, and whichever of them is synced.
TEST(sim, rename_between_folders_is_atomic)
{
    bool moved = false, stayed = false;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        OsSim *sim = os_sim_new(seed);
        Os *os = os_sim_os(sim);
        Err err = {0};
        CHECK_OK(os_mkdir_all(os, STR("/a"), &err));
        CHECK_OK(os_mkdir_all(os, STR("/b"), &err));
        os_file_close(open_file(t, os, STR("/a/f")));
        CHECK_OK(os_dir_sync(os, STR("/a"), &err));
        os_file_close(open_file(t, os, STR("/b/other")));
        os_file_close(open_file(t, os, STR("/a/other")));
        CHECK_OK(os_rename(os, STR("/a/f"), STR("/b/f"), &err));
        os_file_close(open_file(t, os, STR("/a/later")));
        if (seed % 4 < 2) {
            CHECK_OK(os_dir_sync(os, seed % 4 == 0 ? STR("/a") : STR("/b"), &err));
        }
        os_sim_power_cut(sim);
        const bool in_a = file_exists(os, STR("/a/f")), in_b = file_exists(os, STR("/b/f"));
        CHECK(in_a != in_b);
        CHECK(seed % 4 >= 2 || in_b);
        CHECK(!in_b || file_exists(os, STR("/b/other")));
        moved = moved || (in_b && seed % 4 >= 2);
        stayed = stayed || in_a;
        os_sim_free(sim);
    }
    CHECK(moved && stayed);
}

TEST(sim, handles_of_before_the_cut_are_dead)
{
    OsSim *sim = os_sim_new(1);
    Os *os = os_sim_os(sim);
    Err err = {0};
    uint64_t size_bytes = 0;
    size_t got = 0;
    char into[4];
    OsFile *lock = NULL, *lock_again = NULL;
    OsFile *old = open_durable(t, os, STR("/f"));
    CHECK_OK(os_lock_file(os, STR("/LOCK"), &lock, &err));
    CHECK_OK(os_dir_sync(os, STR("/"), &err));
    os_sim_power_cut(sim);
    const uint64_t calls = os_sim_call_count(sim);
    CHECK_EQ(os_file_size(old, &size_bytes, &err), ERR_IO);
    CHECK_EQ(os_file_read_at(old, 0, into, 1, &got, &err), ERR_IO);
    CHECK_EQ(os_file_write_at(old, 0, (Bytes){(const uint8_t *)"x", 1}, &err), ERR_IO);
    CHECK_EQ(os_file_sync(old, &err), ERR_IO);
    CHECK_EQ(os_file_truncate(old, 0, &err), ERR_IO);
    CHECK_EQ(os_file_allocate(old, 10, &err), ERR_IO);
    CHECK_EQ(os_sim_call_count(sim), calls);                     // they never reach the disk
    CHECK_OK(os_lock_file(os, STR("/LOCK"), &lock_again, &err)); // the holder died
    os_file_close(lock);
    OsFile *third = NULL;
    CHECK_EQ(os_lock_file(os, STR("/LOCK"), &third, &err), ERR_EXISTS);
    OsFile *fresh = open_file(t, os, STR("/f"));
    write_text(t, fresh, 0, STR("ok"));
    CHECK_STR(read_text(t, os, STR("/f")), STR("ok"));
    os_file_close(fresh);
    os_file_close(old);
    os_file_close(lock_again);
    os_sim_free(sim);
}

// A small commit protocol: write a record, sync it, and say so. Cut at every call in turn.
TEST(sim, cut_at_every_call)
{
    uint64_t n = 1;
    for (bool finished = false; !finished; n++) {
        CHECK(n < 100);
        OsSim *sim = os_sim_new(n);
        Os *os = os_sim_os(sim);
        Err err = {0};
        OsFile *f = NULL;
        uint64_t acknowledged = 0;
        os_sim_cut_at(sim, n);
        bool ok = os_file_open(os, STR("/f"), OS_OPEN_CREATE_NEW, &f, &err) == OK &&
                  os_dir_sync(os, STR("/"), &err) == OK;
        for (uint64_t i = 0; ok && i < 8; i++) {
            const uint8_t record[3] = {'r', (uint8_t)i, 'e'};
            ok = os_file_write_at(f, i * 3, (Bytes){record, 3}, &err) == OK &&
                 os_file_sync(f, &err) == OK;
            acknowledged += ok ? 1 : 0;
        }
        finished = !os_sim_is_down(sim);
        CHECK_EQ(ok, finished);
        if (!finished) {
            OsStat info;
            CHECK_EQ(err.status, ERR_IO);
            CHECK_EQ(os_sim_call_count(sim), n);
            CHECK_EQ(os_stat(os, STR("/"), &info, &err), ERR_IO); // reading fails as well
        }
        os_sim_power_cut(sim);
        CHECK(!os_sim_is_down(sim));
        if (acknowledged > 0) {
            const Str left = read_text(t, os, STR("/f"));
            CHECK(left.len >= acknowledged * 3);
            for (uint64_t i = 0; i < acknowledged; i++) {
                CHECK_EQ(left.ptr[i * 3 + 1], (char)i);
            }
        }
        os_file_close(f);
        os_sim_free(sim);
    }
    CHECK_EQ(n - 1, 1 + 1 + 8 * 2 + 1);
}

TEST(sim, a_failed_sync_poisons)
{
    bool lost = false, kept = false;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        OsSim *sim = os_sim_new(seed);
        Os *os = os_sim_os(sim);
        Err err = {0};
        OsFile *f = open_durable(t, os, STR("/f"));
        OsFile *other = open_file(t, os, STR("/f"));
        write_fill(t, f, 0, 1024, 'o');
        CHECK_OK(os_file_sync(f, &err));
        write_fill(t, f, 512, 1024, 'n');
        os_sim_fail_sync_at(sim, 1);
        CHECK_EQ(os_file_sync(f, &err), ERR_IO);
        CHECK_EQ(err.os_errno, EIO);
        CHECK_EQ(os_file_sync(f, &err), ERR_IO);
        CHECK_OK(os_file_sync(other, &err)); // a lie, as on Linux
        os_sim_power_cut(sim);
        const Str left = read_text(t, os, STR("/f"));
        CHECK(left.len == 1536 && left.ptr[0] == 'o' && left.ptr[511] == 'o');
        lost = lost || left.ptr[512] == 'o';
        kept = kept || left.ptr[512] == 'n';
        os_file_close(f);
        os_file_close(other);
        os_sim_free(sim);
    }
    CHECK(lost && kept);
}

// An unsynced truncation is there or not; if not, everything it cut off is back.
TEST(sim, truncation_is_whole_or_not_at_all)
{
    bool undone = false, done = false;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        OsSim *sim = os_sim_new(seed);
        Os *os = os_sim_os(sim);
        Err err = {0};
        OsFile *f = open_durable(t, os, STR("/f"));
        write_fill(t, f, 0, 20000, 'x');
        CHECK_OK(os_file_sync(f, &err));
        CHECK_OK(os_file_truncate(f, 5000, &err));
        os_sim_power_cut(sim);
        const Str left = read_text(t, os, STR("/f"));
        CHECK(left.len == 5000 || left.len == 20000);
        for (size_t i = 0; i < left.len; i++) {
            CHECK_EQ(left.ptr[i], 'x');
        }
        undone = undone || left.len == 20000;
        done = done || left.len == 5000;
        os_file_close(f);
        os_sim_free(sim);
    }
    CHECK(undone && done);
}

// Whoever made a folder but died before its sync does not endanger what others make in it.
TEST(sim, mkdir_all_is_durable)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        OsSim *sim = os_sim_new(seed);
        Os *os = os_sim_os(sim);
        OsFault *fault = os_fault_new(os);
        Err err = {0};
        // Calls: stat /a/b, stat /a, [sync nothing above the root], make /a, sync / fails.
        os_fault_arm(fault, (OsFaultPlan){4, false, EIO});
        CHECK_EQ(os_mkdir_all(os_fault_os(fault), STR("/a/b"), &err), ERR_IO);
        CHECK(file_exists(os, STR("/a")) && !file_exists(os, STR("/a/b")));
        CHECK_OK(os_mkdir_all(os, STR("/a/b/c"), &err));
        os_sim_power_cut(sim);
        CHECK(file_exists(os, STR("/a/b/c")));
        os_fault_free(fault);
        os_sim_free(sim);
    }
}

TEST(sim, capacity)
{
    OsSim *sim = os_sim_new(1);
    Os *os = os_sim_os(sim);
    Err err = {0};
    uint64_t free_bytes = 0, size_bytes = 0;
    OsFile *f = open_durable(t, os, STR("/f"));
    os_sim_set_capacity(sim, 10 * 4096);
    CHECK_OK(os_file_allocate(f, 6 * 4096, &err));
    CHECK_OK(os_disk_free(os, STR("/"), &free_bytes, &err));
    CHECK_EQ(free_bytes, 4 * 4096);
    write_fill(t, f, 0, 4096, 'x'); // within what is allocated
    OsFile *g = open_durable(t, os, STR("/g"));
    write_fill(t, g, 0, 3 * 4096 + 1, 'x'); // four pages
    CHECK_EQ(os_file_write_at(g, 4 * 4096, (Bytes){(const uint8_t *)"x", 1}, &err),
             ERR_UNAVAILABLE);
    CHECK_EQ(err.os_errno, ENOSPC);
    CHECK_EQ(os_file_allocate(f, 6 * 4096 + 1, &err), ERR_UNAVAILABLE);
    CHECK_OK(os_file_size(f, &size_bytes, &err));
    CHECK_EQ(size_bytes, 6 * 4096); // nothing has changed
    write_fill(t, g, 0, 4 * 4096, 'y');
    CHECK_OK(os_unlink(os, STR("/f"), &err));
    CHECK_OK(os_disk_free(os, STR("/"), &free_bytes, &err));
    CHECK_EQ(free_bytes, 0); // still open
    os_file_close(f);
    CHECK_OK(os_disk_free(os, STR("/"), &free_bytes, &err));
    CHECK_EQ(free_bytes, 6 * 4096);
    CHECK_OK(os_file_truncate(g, 4096, &err));
    CHECK_OK(os_disk_free(os, STR("/"), &free_bytes, &err));
    CHECK_EQ(free_bytes, 9 * 4096);
    CHECK_OK(os_file_sync(g, &err));
    // A cut gives back what it takes away, and nothing else.
    for (size_t i = 0; i < 20; i++) {
        CHECK_OK(os_file_allocate(g, 5 * 4096, &err));
        os_sim_power_cut(sim);
        os_file_close(g);
        g = open_file(t, os, STR("/g"));
        CHECK_OK(os_file_size(g, &size_bytes, &err));
        CHECK_OK(os_disk_free(os, STR("/"), &free_bytes, &err));
        CHECK_EQ(free_bytes,
                 10 * 4096 - (int64_t)size_bytes - (file_exists(os, STR("/f")) ? 6 * 4096 : 0));
        CHECK_OK(os_file_truncate(g, 4096, &err));
        CHECK_OK(os_file_sync(g, &err));
    }
    os_file_close(g);
    os_sim_free(sim);
}

TEST(sim, flipped_bits_stay)
{
    for (uint64_t seed = 0; seed < 32; seed++) {
        OsSim *sim = os_sim_new(seed);
        Os *os = os_sim_os(sim);
        Err err = {0};
        OsFile *f = open_durable(t, os, STR("/f"));
        write_text(t, f, 0, STR("aaaa"));
        CHECK_OK(os_file_sync(f, &err));
        CHECK_OK(os_sim_flip_bit(sim, STR("/f"), 1, 1, &err));
        CHECK_STR(read_text(t, os, STR("/f")), STR("acaa"));
        write_text(t, f, 600, STR("bb"));
        CHECK_OK(os_sim_flip_bit(sim, STR("/f"), 2, 2, &err));
        os_sim_power_cut(sim);
        CHECK_STR(str_slice(read_text(t, os, STR("/f")), 0, 4), STR("acea"));
        CHECK_EQ(os_sim_flip_bit(sim, STR("/f"), 4096, 0, &err), ERR_INVALID);
        CHECK_EQ(os_sim_flip_bit(sim, STR("/none"), 0, 0, &err), ERR_NOT_FOUND);
        os_file_close(f);
        os_sim_free(sim);
    }
}

// What every byte of the file may be after a cut: bit v of may_be[i] when byte i may be v.
enum { MODEL_BYTES = 24 * 1024 };
typedef struct Model {
    uint8_t may_be[MODEL_BYTES][32];
    uint8_t now[MODEL_BYTES];
    uint64_t size_now, size_min, size_max;
} Model;

static void model_allow(Model *m, uint64_t i, uint8_t v)
{
    m->now[i] = v;
    m->may_be[i][v / 8] |= (uint8_t)(1u << v % 8);
}

static void model_size(Model *m, uint64_t size_bytes)
{
    m->size_now = size_bytes;
    m->size_min = size_bytes < m->size_min ? size_bytes : m->size_min;
    m->size_max = size_bytes > m->size_max ? size_bytes : m->size_max;
}

// What is now is what is durable. Past the end there is nothing but zeros, if the file gets longer.
static void model_settle(Model *m)
{
    memset(m->may_be, 0, sizeof(m->may_be));
    m->size_min = m->size_max = m->size_now;
    for (uint64_t i = 0; i < MODEL_BYTES; i++) {
        model_allow(m, i, m->now[i]);
    }
}

static void model_call(Test *t, Model *m, OsFile *f)
{
    Err err = {0};
    uint8_t text[6000];
    const uint64_t kind = test_random(t) % 16;
    const uint64_t offset = test_random(t) % (MODEL_BYTES - sizeof(text));
    const size_t n = test_random(t) % (kind < 6 ? 100 : sizeof(text));
    if (kind < 11) {
        for (size_t i = 0; i < n; i++) {
            text[i] = (uint8_t)test_random(t);
            model_allow(m, offset + i, text[i]);
        }
        CHECK_OK(os_file_write_at(f, offset, (Bytes){text, n}, &err));
        model_size(m, n != 0 && offset + n > m->size_now ? offset + n : m->size_now);
    } else if (kind == 11) {
        CHECK_OK(os_file_truncate(f, offset, &err));
        for (uint64_t i = offset; i < MODEL_BYTES; i++) {
            model_allow(m, i, 0);
        }
        model_size(m, offset);
    } else if (kind == 12) {
        CHECK_OK(os_file_allocate(f, offset, &err));
        model_size(m, offset > m->size_now ? offset : m->size_now);
    } else if (kind == 13) {
        CHECK_OK(os_file_sync(f, &err));
        model_settle(m);
    }
}

static void model_check_now(Test *t, const Model *m, Os *os)
{
    CHECK_STR(read_text(t, os, STR("/f")), ((Str){(const char *)m->now, m->size_now}));
}

static void model_check_cut(Test *t, Model *m, Os *os)
{
    const Str left = read_text(t, os, STR("/f"));
    CHECK(left.len >= m->size_min && left.len <= m->size_max);
    memset(m->now, 0, sizeof(m->now));
    for (size_t i = 0; i < left.len; i++) {
        const uint8_t v = (uint8_t)left.ptr[i];
        if ((m->may_be[i][v / 8] & 1u << v % 8) == 0) {
            test_fail(t, __FILE__, __LINE__, "byte %zu became %u", i, v);
        }
        m->now[i] = v;
    }
    m->size_now = left.len;
    model_settle(m);
}

TEST(sim, random_calls_and_cuts_agree_with_a_model)
{
    Model *m = mem_new(Model, 1);
    OsSim *sim = os_sim_new(t->seed);
    Os *os = os_sim_os(sim);
    OsFile *f = open_durable(t, os, STR("/f"));
    model_settle(m);
    for (size_t round = 0; round < 400; round++) {
        const size_t calls = test_random(t) % 12;
        for (size_t i = 0; i < calls; i++) {
            model_call(t, m, f);
        }
        model_check_now(t, m, os);
        if (round % 3 != 0) {
            os_sim_power_cut(sim);
            os_file_close(f);
            f = open_file(t, os, STR("/f"));
            model_check_cut(t, m, os);
        }
        arena_reset(&t->arena);
    }
    os_file_close(f);
    os_sim_free(sim);
    mem_free(m);
}

// A run of many calls of all kinds, as text.
static void scripted_run(Test *t, uint64_t seed, Buf *log)
{
    OsSim *sim = os_sim_new(seed);
    Os *os = os_sim_os(sim);
    Rng rng = {7};
    for (size_t cut = 0; cut < 20; cut++) {
        Err err = {0};
        for (size_t i = 0; i < 10; i++) {
            char path[16];
            const int n = snprintf(path, sizeof(path), "/f%d", (int)rng_below(&rng, 5));
            OsFile *f = open_file(t, os, (Str){path, (size_t)n});
            write_fill(t, f, rng_below(&rng, 5000), rng_below(&rng, 3000), (char)('a' + i));
            if (rng_below(&rng, 3) == 0) {
                CHECK_OK(os_file_sync(f, &err));
            }
            os_file_close(f);
        }
        os_sim_power_cut(sim);
        OsDirEntry *entries = NULL;
        size_t count = 0;
        uint64_t id = 0;
        CHECK_OK(os_dir_list(os, STR("/"), &t->arena, &entries, &count, &err));
        for (size_t i = 0; i < count; i++) {
            buf_put_str(log, entries[i].name);
            buf_put_str(log, read_text(t, os, entries[i].name)); // relative to the root
        }
        os_random(os, &id, sizeof(id));
        buf_putf(log, "%" PRIu64, id);
    }
    os_sim_free(sim);
}

TEST(sim, the_same_seed_gives_the_same_run)
{
    Buf a, b, c;
    buf_init(&a, 0);
    buf_init(&b, 0);
    buf_init(&c, 0);
    scripted_run(t, 5, &a);
    scripted_run(t, 5, &b);
    scripted_run(t, 6, &c);
    CHECK(a.len > 10000);
    CHECK(str_eq(buf_str(&a), buf_str(&b)));
    CHECK(!str_eq(buf_str(&a), buf_str(&c)));
    buf_deinit(&a);
    buf_deinit(&b);
    buf_deinit(&c);
}

// A preallocated segment of 64 MiB costs what is written to it, not what is allocated.
TEST(sim, allocated_space_is_sparse)
{
    OsSim *sim = os_sim_new(1);
    Os *os = os_sim_os(sim);
    Err err = {0};
    OsFile *f = open_durable(t, os, STR("/f"));
    CHECK_OK(os_file_allocate(f, 64 << 20, &err));
    CHECK_OK(os_file_sync(f, &err));
    for (size_t i = 0; i < 20000; i++) {
        uint64_t size_bytes = 0;
        write_fill(t, f, i % 100 * 100, 100, 'x');
        os_sim_power_cut(sim);
        os_file_close(f);
        f = open_file(t, os, STR("/f"));
        CHECK_OK(os_file_size(f, &size_bytes, &err));
        CHECK_EQ(size_bytes, 64 << 20);
    }
    os_file_close(f);
    os_sim_free(sim);
}

TEST(sim, clocks_move_when_told)
{
    OsSim *sim = os_sim_new(1);
    Os *os = os_sim_os(sim);
    const int64_t mono_ns = os_mono_ns(os);
    os_sim_set_wall_us(sim, 5000);
    CHECK_EQ(os_wall_us(os), 5000);
    CHECK_EQ(os_mono_ns(os), mono_ns);
    os_sim_advance_ns(sim, 3000);
    os_sleep_ns(os, 2000);
    CHECK_EQ(os_wall_us(os), 5005);
    CHECK_EQ(os_mono_ns(os), mono_ns + 5000);
    os_sim_power_cut(sim);
    CHECK_EQ(os_mono_ns(os), mono_ns + 5000);
    os_sim_free(sim);
}
