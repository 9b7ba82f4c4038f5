// SPDX-License-Identifier: Apache-2.0
#include "os/fault.h"
#include "os/sim.h"
#include "tests/support/test.h"

#include <errno.h>

// Writes `text` as /d/f so that it is either there whole or not at all; a made-up careful caller.
static Status write_whole(Os *os, Str text, Err *err)
{
    Status st = OK;
    OsFile *f = NULL, *lock = NULL;
    OsDirEntry *entries = NULL;
    size_t count = 0, got = 0;
    uint64_t size_bytes = 0;
    OsStat info;
    char back[64];
    Arena arena;

    arena_init(&arena, 0);
    TRY_OUT(os_mkdir_all(os, STR("/d"), err));
    TRY_OUT(os_lock_file(os, STR("/d/LOCK"), &lock, err));
    TRY_OUT(os_disk_free(os, STR("/d"), &size_bytes, err));
    TRY_OUT(os_file_open(os, STR("/d/tmp"), OS_OPEN_CREATE, &f, err));
    TRY_OUT(os_file_truncate(f, 0, err));
    TRY_OUT(os_file_allocate(f, text.len, err));
    TRY_OUT(os_file_write_at(f, 0, (Bytes){(const uint8_t *)text.ptr, text.len}, err));
    TRY_OUT(os_file_sync(f, err));
    TRY_OUT(os_file_size(f, &size_bytes, err));
    TRY_OUT(os_file_read_at(f, 0, back, sizeof(back), &got, err));
    TRY_OUT(os_rename(os, STR("/d/tmp"), STR("/d/f"), err));
    TRY_OUT(os_link(os, STR("/d/f"), STR("/d/g"), err));
    TRY_OUT(os_dir_sync(os, STR("/d"), err));
    TRY_OUT(os_stat(os, STR("/d/f"), &info, err));
    TRY_OUT(os_unlink(os, STR("/d/g"), err));
    TRY_OUT(os_dir_list(os, STR("/d"), &arena, &entries, &count, err));
    TRY_OUT(os_remove_dir(os, STR("/empty"), err));
out:
    os_file_close(f);
    os_file_close(lock);
    arena_deinit(&arena);
    return st;
}

// The loop every module is to have: fail the first call, the second, ... until a run passes.
static void fail_every_call(Test *t, int os_errno, bool persistent)
{
    uint64_t n = 1;
    for (bool finished = false; !finished; n++) {
        CHECK(n < 100);
        OsSim *sim = os_sim_new(n);
        OsFault *fault = os_fault_new(os_sim_os(sim));
        Err err = {0};
        Arena arena;
        Bytes left = {0};
        arena_init(&arena, 0);
        CHECK_OK(os_mkdir_all(os_sim_os(sim), STR("/empty"), &err));
        os_fault_arm(fault, (OsFaultPlan){n, persistent, os_errno});
        const Status st = write_whole(os_fault_os(fault), STR("whole text"), &err);
        finished = !os_fault_hit(fault);
        CHECK_EQ(st == OK, finished);
        CHECK_EQ(os_fault_calls(fault), finished ? n - 1 : n);
        if (!finished) {
            CHECK_EQ(err.os_errno, os_errno);
            CHECK_EQ(err.status, os_errno == ENOSPC ? ERR_UNAVAILABLE : ERR_IO);
        }
        os_fault_arm(fault, (OsFaultPlan){0});
        if (os_read_file(os_fault_os(fault), STR("/d/f"), 100, &arena, &left, &err) == OK) {
            CHECK_STR(((Str){(const char *)left.ptr, left.len}), STR("whole text"));
        } else {
            CHECK_EQ(err.status, ERR_NOT_FOUND);
            CHECK(!finished);
        }
        arena_deinit(&arena);
        os_fault_free(fault);
        os_sim_free(sim);
    }
    CHECK(n > 15);
}

TEST(fault, every_call_fails_once)
{
    fail_every_call(t, EIO, false);
    fail_every_call(t, ENOSPC, false);
}

TEST(fault, every_call_fails_from_then_on)
{
    fail_every_call(t, EIO, true);
}

TEST(fault, failing_writes_are_short_or_none)
{
    OsSim *sim = os_sim_new(1);
    OsFault *fault = os_fault_new(os_sim_os(sim));
    size_t none = 0, some = 0;
    for (uint64_t n = 1; n <= 40; n++) {
        Err err = {0};
        OsFile *f = NULL;
        uint64_t size_bytes = 0;
        static const uint8_t text[100];
        os_fault_arm(fault, (OsFaultPlan){0});
        CHECK_OK(os_file_open(os_fault_os(fault), STR("/f"), OS_OPEN_CREATE, &f, &err));
        CHECK_OK(os_file_truncate(f, 0, &err));
        os_fault_arm(fault, (OsFaultPlan){n, false, EIO});
        for (uint64_t i = 1; i < n; i++) {
            CHECK_OK(os_file_size(f, &size_bytes, &err));
        }
        CHECK_EQ(os_file_write_at(f, 0, (Bytes){text, sizeof(text)}, &err), ERR_IO);
        CHECK_OK(os_file_size(f, &size_bytes, &err));
        CHECK(size_bytes < sizeof(text));
        none += size_bytes == 0 ? 1 : 0;
        some += size_bytes != 0 ? 1 : 0;
        os_file_close(f);
    }
    CHECK(none > 5 && some > 5);
    os_fault_free(fault);
    os_sim_free(sim);
}

TEST(fault, persistent_failures_stay)
{
    OsSim *sim = os_sim_new(1);
    OsFault *fault = os_fault_new(os_sim_os(sim));
    for (int persistent = 0; persistent < 2; persistent++) {
        Err err = {0};
        OsStat info;
        os_fault_arm(fault, (OsFaultPlan){2, persistent != 0, EIO});
        for (uint64_t call = 1; call < 6; call++) {
            const bool fails = call == 2 || (call > 2 && persistent != 0);
            CHECK_EQ(os_fault_hit(fault), call > 2);
            CHECK_EQ(os_stat(os_fault_os(fault), STR("/"), &info, &err), fails ? ERR_IO : OK);
            CHECK_EQ(os_fault_calls(fault), call);
        }
    }
    os_fault_free(fault);
    os_sim_free(sim);
}
