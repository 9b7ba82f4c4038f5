// SPDX-License-Identifier: Apache-2.0
//
// Power cuts and failing calls around commits: the table is readable after each, equals the state
// before or after the commit that was going on, and keeps what was acknowledged.
#include "base/mem.h"
#include "os/fault.h"
#include "os/sim.h"
#include "store/delta_internal.h"
#include "tests/support/test.h"

#include <errno.h>
#include <stdio.h>

#define DIR STR("t")
#define NAME(s)                                                                                    \
    {                                                                                              \
        .ptr = "" s, .len = sizeof(s) - 1                                                          \
    }

enum { COMMITS = 8 };

static const Field fields[] = {{NAME("a"), COLUMN_INT64, true}};
static const Schema schema = {.fields = fields, .count = 1};
static const DeltaCreate create = {.schema = &schema};

static Str file_name(char buf[32], uint64_t n)
{
    const int len = snprintf(buf, 32, "f%" PRIu64, n);
    return (Str){.ptr = buf, .len = (size_t)len};
}

// Commit number n: adds file n, with its txn; every third one removes the file before.
static Status commit(DeltaLog *log, uint64_t n, Err *err)
{
    char name[32];
    char old[32];
    const DeltaFile file = {.path = file_name(name, n), .size_bytes = n};
    const Str gone = file_name(old, n - 1);
    const DeltaTxn txn = {.app_id = STR("app"), .version = (int64_t)n};
    const DeltaCommit c = {.operation = "WRITE",
                           .data_change = true,
                           .adds = &file,
                           .add_count = 1,
                           .removes = &gone,
                           .remove_count = n % 3 == 0 ? 1 : 0,
                           .txns = &txn,
                           .txn_count = 1};
    return delta_commit(log, &c, NULL, err);
}

// The table is exactly what commits 1..n leave; returns n.
static uint64_t check_table(Test *t, DeltaLog *log)
{
    DeltaState *state = delta_current(log);
    const int64_t txn = delta_state_txn(state, STR("app"));
    const uint64_t n = txn < 0 ? 0 : (uint64_t)txn;
    size_t count = 0;
    const DeltaFile *files = delta_state_files(state, &count);
    CHECK_EQ(delta_state_version(state), n);
    size_t at = 0;
    for (uint64_t i = 1; i <= n; i++) {
        char name[32];
        if ((i + 1) % 3 == 0 && i + 1 <= n) {
            continue; // removed by the next one
        }
        CHECK(at < count);
        CHECK_STR(files[at].path, file_name(name, i));
        at++;
    }
    CHECK_EQ(at, count);
    delta_state_unref(state);
    return n;
}

// One boot on `os`: opens or creates, commits up to COMMITS; *acked is the highest acknowledged.
static void live(Test *t, Os *os, uint64_t *acked)
{
    Err err;
    DeltaLog *log = NULL;
    Status st = delta_open(os, DIR, &log, &err);
    if (st == ERR_NOT_FOUND) {
        CHECK_EQ(*acked, 0);
        st = delta_create(os, DIR, &create, &log, &err);
    }
    if (st != OK) {
        return;
    }
    uint64_t n = check_table(t, log);
    CHECK(n >= *acked);
    *acked = n; // what one can read is durable
    while (n < COMMITS) {
        st = commit(log, n + 1, &err);
        if (st == OK) {
            n++;
            *acked = n;
            CHECK_EQ(check_table(t, log), n);
            if (n % 4 == 0) {
                (void)delta_checkpoint(log, &err);
            }
            continue;
        }
        // Whatever it was: after a refresh the table is before or after.
        if (delta_refresh(log, &err) != OK) {
            break;
        }
        const uint64_t now = check_table(t, log);
        CHECK(now == n || now == n + 1);
        n = now;
        *acked = n; // it was durable when the refresh returned
    }
    delta_close(log);
}

static void check_at_last(Test *t, Os *os, uint64_t acked)
{
    Err err;
    DeltaLog *log = NULL;
    const Status st = delta_open(os, DIR, &log, &err);
    if (st == ERR_NOT_FOUND) {
        CHECK_EQ(acked, 0);
        return;
    }
    CHECK_OK(st);
    CHECK(check_table(t, log) >= acked);
    delta_close(log);
}

TEST(delta_crash, power_cut_at_every_call)
{
    for (uint64_t round = 0; round < 8; round++) {
        bool down = true;
        for (uint64_t n = 1; down; n++) {
            OsSim *sim = os_sim_new(t->seed + round);
            uint64_t acked = 0;
            os_sim_cut_at(sim, n);
            live(t, os_sim_os(sim), &acked);
            down = os_sim_is_down(sim);
            os_sim_cut_at(sim, 1);
            os_sim_power_cut(sim);
            check_at_last(t, os_sim_os(sim), acked);
            // And once more while it recovers.
            os_sim_cut_at(sim, 1 + test_random(t) % 40);
            live(t, os_sim_os(sim), &acked);
            os_sim_power_cut(sim);
            live(t, os_sim_os(sim), &acked);
            CHECK_EQ(acked, COMMITS);
            os_sim_free(sim);
        }
    }
}

TEST(delta_crash, every_call_fails_in_turn)
{
    static const int errnos[] = {EIO, ENOSPC, EMFILE};
    for (size_t e = 0; e < 2 * ARRAY_LEN(errnos); e++) {
        bool hit = true;
        for (uint64_t n = 1; hit; n++) {
            OsSim *sim = os_sim_new(t->seed + n);
            OsFault *fault = os_fault_new(os_sim_os(sim));
            uint64_t acked = 0;
            os_fault_arm(
                fault,
                (OsFaultPlan){.fail_at = n, .persistent = e % 2 == 1, .os_errno = errnos[e / 2]});
            live(t, os_fault_os(fault), &acked);
            hit = os_fault_hit(fault);
            CHECK(hit || acked == COMMITS);
            os_sim_power_cut(sim);
            check_at_last(t, os_sim_os(sim), acked);
            os_fault_free(fault);
            os_sim_free(sim);
        }
    }
}

TEST(delta_crash, what_a_killed_process_left_is_durable_once_it_was_read)
{
    bool hit = true;
    for (uint64_t n = 1; hit; n++) {
        Err err;
        DeltaLog *log = NULL;
        OsSim *sim = os_sim_new(t->seed + n);
        OsFault *fault = os_fault_new(os_sim_os(sim));
        uint64_t acked = 0;
        os_fault_arm(fault, (OsFaultPlan){.fail_at = n, .persistent = true, .os_errno = EIO});
        live(t, os_fault_os(fault), &acked);
        hit = os_fault_hit(fault);
        if (delta_open(os_sim_os(sim), DIR, &log, &err) == OK) { // the next process
            const uint64_t seen = check_table(t, log);
            CHECK(seen >= acked);
            acked = seen;
            delta_close(log);
        }
        os_sim_power_cut(sim);
        check_at_last(t, os_sim_os(sim), acked);
        os_fault_free(fault);
        os_sim_free(sim);
    }
}

TEST(delta_crash, a_failed_sync_is_not_a_commit)
{
    for (uint64_t n = 1; n < 20; n++) {
        OsSim *sim = os_sim_new(t->seed + n);
        uint64_t acked = 0;
        os_sim_fail_sync_at(sim, n);
        live(t, os_sim_os(sim), &acked);
        os_sim_power_cut(sim);
        check_at_last(t, os_sim_os(sim), acked);
        os_sim_free(sim);
    }
}
