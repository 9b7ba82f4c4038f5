// SPDX-License-Identifier: Apache-2.0
//
// Power cuts at random points, again and again on one disk, against a model that knows what was
// appended and what was acknowledged.
#include "store/wal_test_internal.h"

#include <errno.h>

enum { BOOTS = 12, KEYS_MAX = 4096 };

typedef struct Model {
    uint64_t sequence[KEYS_MAX]; // of key i; 0: the append failed
    bool acked[KEYS_MAX];
    size_t key_count;
    uint64_t highest; // sequence ever given out
    uint64_t needed;  // trimmed below
} Model;

static WalOptions random_options(Test *t, Os *os)
{
    return (WalOptions){.os = os,
                        .dir = STR("wal"),
                        .durability = test_random(t) % 4 == 0 ? WAL_INTERVAL : WAL_SYNC,
                        .segment_bytes = 4096 << test_random(t) % 4,
                        .manual = true};
}

static void append_some(Test *t, Model *m, Wal *wal)
{
    Err err;
    const size_t count = 1 + test_random(t) % 4;
    for (size_t i = 0; i < count && m->key_count < KEYS_MAX; i++) {
        const uint64_t key = m->key_count++;
        const size_t size = 8 + test_random(t) % (test_random(t) % 8 == 0 ? 6000 : 300);
        if (wal_test_append(wal, key, size, &m->sequence[key], &err) == OK) {
            CHECK(m->sequence[key] > m->highest);
            m->highest = m->sequence[key];
        }
    }
}

static void acknowledge(Model *m, uint64_t to)
{
    for (size_t key = 0; key < m->key_count; key++) {
        m->acked[key] |= m->sequence[key] != 0 && m->sequence[key] <= to;
    }
}

static void act(Test *t, Model *m, Wal *wal, bool sync_mode)
{
    Err err;
    const uint64_t to = wal_last_sequence(wal);
    switch (test_random(t) % 8) {
    case 0:
    case 1:
    case 2:
        append_some(t, m, wal);
        return;
    case 3:
        if (wal_sync(wal, &err) == OK) {
            acknowledge(m, to);
        }
        return;
    case 4:
        if (wal_rotate(wal, &err) == OK) {
            acknowledge(m, to);
        }
        return;
    case 5: {
        const uint64_t first_needed = to == 0 ? 0 : test_random(t) % 2 == 0 ? to / 2 : to - to % 5;
        if (first_needed > m->needed) {
            m->needed = first_needed; // also when it fails half-way
            (void)wal_trim(wal, first_needed, &err);
        }
        return;
    }
    default:
        if (wal_commit(wal, to, &err) == OK && sync_mode) {
            acknowledge(m, to);
        }
        return;
    }
}

// What the replay delivered is what the model allows. Frames that are gone are forgotten.
static void check_replay(Test *t, Model *m, const Replay *replay, const WalReport *report)
{
    CHECK(!replay->wrong);
    CHECK_EQ(report->damaged_frames, 0);
    CHECK_EQ(report->missing_segments, 0);
    CHECK_EQ(report->damaged_headers, 0);
    CHECK_EQ(report->ignored_segments, 0);
    size_t next = 0; // in the replay; keys and sequences ascend together
    for (size_t key = 0; key < m->key_count; key++) {
        const bool is_here = next < replay->count && replay->keys[next] == key;
        if (is_here) {
            CHECK(m->sequence[key] != 0);
            CHECK_EQ(replay->sequences[next], m->sequence[key]);
            next++;
        }
        if (m->acked[key] && m->sequence[key] >= m->needed) {
            CHECK(is_here);
        }
        m->sequence[key] = is_here ? m->sequence[key] : 0;
    }
    CHECK_EQ(next, replay->count); // and nothing else
}

typedef struct Machine {
    OsSim *sim;
    OsFault *fault; // around it: when it fails for good, that is how a killed process ends
} Machine;

static bool is_over(const Machine *machine)
{
    return os_sim_is_down(machine->sim) || os_fault_hit(machine->fault);
}

// One boot, to a power cut or the end of the process, at a random call.
static void live(Test *t, const Machine *machine, Model *m)
{
    Err err;
    Wal *wal = NULL;
    WalReport report;
    Replay replay = {0};
    const bool is_kill = test_random(t) % 3 == 0;
    const uint64_t at = 1 + test_random(t) % (test_random(t) % 4 == 0 ? 10 : 150);
    const WalOptions options = random_options(t, os_fault_os(machine->fault));
    os_fault_arm(machine->fault,
                 (OsFaultPlan){.fail_at = is_kill ? at : 0, .persistent = true, .os_errno = EIO});
    os_sim_cut_at(machine->sim, is_kill ? 0 : at);
    if (wal_open(&options, wal_test_apply, &replay, &wal, &report, &err) == OK) {
        check_replay(t, m, &replay, &report);
        while (!is_over(machine) && m->key_count < KEYS_MAX) {
            act(t, m, wal, options.durability == WAL_SYNC);
        }
    }
    // Closing must not save anything.
    os_fault_arm(machine->fault, (OsFaultPlan){.fail_at = 1, .persistent = true, .os_errno = EIO});
    wal_close(wal);
    if (!is_kill) {
        os_sim_power_cut(machine->sim);
    }
    wal_test_replay_deinit(&replay);
}

static void power_cuts(Test *t, uint64_t seed)
{
    Machine machine = {.sim = os_sim_new(seed)};
    Model *m = mem_new(Model, 1);
    machine.fault = os_fault_new(os_sim_os(machine.sim));
    for (size_t boot = 0; boot < BOOTS; boot++) {
        live(t, &machine, m);
    }
    mem_free(m);
    os_fault_free(machine.fault);
    os_sim_free(machine.sim);
}

TEST(wal_crash, power_cuts_and_kills_at_random_points)
{
    for (uint64_t i = 0; i < 400; i++) {
        power_cuts(t, test_random(t));
    }
}

// ---- threads

enum { WRITERS = 4, PER_WRITER = 300 };

typedef struct Writer {
    Wal *wal;
    uint64_t key; // of its first frame
    uint64_t sequence[PER_WRITER];
    size_t appended, acked; // how many of them
    Thread thread;
} Writer;

static void run_writer(void *arg)
{
    Writer *w = arg;
    Err err;
    for (size_t i = 0; i < PER_WRITER; i++) {
        if (wal_test_append(w->wal, w->key + i, 8 + i % 900, &w->sequence[i], &err) != OK) {
            return;
        }
        w->appended = i + 1;
        if (wal_commit(w->wal, w->sequence[i], &err) != OK) {
            return;
        }
        w->acked = i + 1;
    }
}

static void run_trimmer(void *arg)
{
    Writer *w = arg;
    Err err;
    for (size_t i = 0; i < 20; i++) {
        (void)wal_rotate(w->wal, &err);
        (void)wal_trim(w->wal, 1, &err);
        WalUsage usage;
        wal_usage(w->wal, &usage);
        (void)wal_sync(w->wal, &err);
    }
}

static void check_writer(Test *t, const Writer *w, const Replay *replay)
{
    size_t next = 0;
    for (size_t i = 0; i < replay->count; i++) {
        if (replay->keys[i] < w->key || replay->keys[i] >= w->key + PER_WRITER) {
            continue;
        }
        const size_t n = (size_t)(replay->keys[i] - w->key);
        CHECK(n == next || (n > next && next >= w->acked)); // holes only past what was acknowledged
        CHECK(n < w->appended);
        CHECK_EQ(replay->sequences[i], w->sequence[n]);
        next = n + 1;
    }
    CHECK(next >= w->acked);
}

static void threads_and_a_cut(Test *t, uint64_t cut_at, WalDurability durability)
{
    Err err;
    OsSim *sim = os_sim_new(test_random(t));
    Wal *wal = NULL;
    Replay replay = {0};
    WalReport report;
    Writer writers[WRITERS + 1] = {0};
    const WalOptions options = {.os = os_sim_os(sim),
                                .dir = STR("wal"),
                                .durability = durability,
                                .interval_ms = 1,
                                .segment_bytes = 32768};
    CHECK_OK(wal_open(&options, wal_test_apply, &replay, &wal, NULL, &err));
    os_sim_cut_at(sim, cut_at);
    for (size_t i = 0; i <= WRITERS; i++) {
        writers[i].wal = wal;
        writers[i].key = i * PER_WRITER;
        CHECK_OK(thread_start(&writers[i].thread, "writer", i < WRITERS ? run_writer : run_trimmer,
                              &writers[i], &err));
    }
    for (size_t i = 0; i <= WRITERS; i++) {
        thread_join(&writers[i].thread);
    }
    os_sim_cut_at(sim, 1);
    wal_close(wal);
    os_sim_power_cut(sim);
    CHECK_OK(wal_open(&options, wal_test_apply, &replay, &wal, &report, &err));
    CHECK(!replay.wrong);
    CHECK_EQ(report.damaged_frames, 0);
    for (size_t i = 1; i < replay.count; i++) {
        CHECK(replay.sequences[i] > replay.sequences[i - 1]);
    }
    for (size_t i = 0; i < WRITERS; i++) {
        writers[i].acked = durability == WAL_SYNC ? writers[i].acked : 0;
        check_writer(t, &writers[i], &replay);
    }
    wal_close(wal);
    wal_test_replay_deinit(&replay);
    os_sim_free(sim);
}

TEST(wal_crash, threads_write_until_the_power_fails)
{
    for (size_t i = 0; i < 30; i++) {
        threads_and_a_cut(t, i % 5 == 0 ? 0 : 1 + test_random(t) % 1500,
                          i % 3 == 0 ? WAL_INTERVAL : WAL_SYNC);
    }
}
