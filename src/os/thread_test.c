// SPDX-License-Identifier: Apache-2.0
//
// Threads, and many of them on one Os. Worth most under ThreadSanitizer.
#include "base/mem.h"
#include "os/fault.h"
#include "os/machine_internal.h"
#include "os/os.h"
#include "os/sim.h"
#include "os/thread.h"
#include "tests/support/test.h"

#include <signal.h>
#include <stdio.h>

enum { THREADS = 4, ITEMS = 2000 };

// A queue of one place between producers and consumers.
typedef struct Queue {
    Mutex mu;
    Cond changed;
    // mu: everything below
    bool full;
    uint64_t item;
    uint64_t taken_sum;
    size_t taken;
} Queue;

static void produce(void *arg)
{
    Queue *q = arg;
    for (uint64_t i = 1; i <= ITEMS; i++) {
        mutex_lock(&q->mu);
        while (q->full) {
            cond_wait(&q->changed, &q->mu);
        }
        q->full = true;
        q->item = i;
        cond_broadcast(&q->changed);
        mutex_unlock(&q->mu);
    }
}

static void consume(void *arg)
{
    Queue *q = arg;
    bool more = true;
    while (more) {
        mutex_lock(&q->mu);
        while (!q->full && q->taken < THREADS * ITEMS) {
            (void)cond_wait_ms(&q->changed, &q->mu, 1000);
        }
        if (q->full) {
            q->full = false;
            q->taken_sum += q->item;
            q->taken++;
            cond_broadcast(&q->changed);
        }
        more = q->taken < THREADS * ITEMS;
        mutex_unlock(&q->mu);
    }
}

TEST(thread, producers_and_consumers)
{
    Queue q = {0};
    Thread threads[2 * THREADS] = {0};
    Err err = {0};
    mutex_init(&q.mu);
    cond_init(&q.changed);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        CHECK_OK(thread_start(&threads[i], "a name that is too long",
                              i % 2 == 0 ? produce : consume, &q, &err));
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        thread_join(&threads[i]);
        CHECK(!threads[i].started);
        thread_join(&threads[i]); // does nothing
    }
    CHECK_EQ(q.taken, THREADS * ITEMS);
    CHECK_EQ(q.taken_sum, (uint64_t)THREADS * ITEMS * (ITEMS + 1) / 2);
    cond_deinit(&q.changed);
    mutex_deinit(&q.mu);
}

TEST(thread, waiting_times_out)
{
    Mutex mu;
    Cond cond;
    mutex_init(&mu);
    cond_init(&cond);
    const int64_t start_ns = os_mono_ns(os_posix());
    mutex_lock(&mu);
    while (cond_wait_ms(&cond, &mu, 1010)) { // it may wake up for no reason
    }
    CHECK(!cond_wait_ms(&cond, &mu, -1));
    mutex_unlock(&mu);
    CHECK(os_mono_ns(os_posix()) - start_ns >= 1000000000);
    cond_deinit(&cond);
    mutex_deinit(&mu);
}

static void look_at_itself(void *arg)
{
    Err err = {0};
    Arena arena;
    Bytes text = {0};
    sigset_t mask;
    bool *ok = arg;
    arena_init(&arena, 0);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    *ok = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGINT) == 1 &&
          sigismember(&mask, SIGSEGV) == 0 &&
          os_read_file(os_posix(), STR("/proc/thread-self/comm"), 64, &arena, &text, &err) == OK &&
          str_eq((Str){(const char *)text.ptr, text.len}, STR("fifteen-letters\n"));
    arena_deinit(&arena);
}

TEST(thread, has_a_name_and_no_signals)
{
    Thread thread = {0};
    Err err = {0};
    bool ok = false;
    sigset_t before, after;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &before);
    CHECK_OK(thread_start(&thread, "fifteen-letters-and-more", look_at_itself, &ok, &err));
    (void)pthread_sigmask(SIG_SETMASK, NULL, &after);
    thread_join(&thread);
    CHECK(ok);
    CHECK_EQ(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
}

// Each thread has a file of its own and works on a shared folder, on one Os. A write and a sync
// that both succeeded are there when the power was not cut between them.
typedef struct Worker {
    Os *os;
    Str dir;
    uint32_t id;
    uint32_t rounds_done;
    bool failed;
} Worker;

static bool work_round(const Worker *w, uint32_t round, Arena *arena)
{
    Err err = {0};
    OsFile *f = NULL;
    OsDirEntry *entries = NULL;
    size_t count = 0, got = 0;
    char path[320], moved[330];
    uint8_t record[256], back[256];
    (void)snprintf(path, sizeof(path), "%.280s/worker-%u-%u", w->dir.ptr, w->id, round % 8);
    (void)snprintf(moved, sizeof(moved), "%s.moved", path);
    memset(record, (int)(round & 0xff), sizeof(record));
    bool ok = os_file_open(w->os, (Str){path, strlen(path)}, OS_OPEN_CREATE, &f, &err) == OK;
    ok = ok && os_file_write_at(f, (uint64_t)round * 100, (Bytes){record, 256}, &err) == OK &&
         os_file_read_at(f, (uint64_t)round * 100, back, 256, &got, &err) == OK && got == 256 &&
         memcmp(record, back, 256) == 0 &&
         os_rename(w->os, (Str){path, strlen(path)}, (Str){moved, strlen(moved)}, &err) == OK &&
         os_dir_list(w->os, w->dir, arena, &entries, &count, &err) == OK && count > 0 &&
         os_unlink(w->os, (Str){moved, strlen(moved)}, &err) == OK;
    os_file_close(f);
    return ok;
}

static void work(void *arg)
{
    Worker *w = arg;
    Arena arena;
    arena_init(&arena, 0);
    for (uint32_t round = 0; round < 100; round++) {
        if (work_round(w, round, &arena)) {
            w->rounds_done++;
        } else {
            w->failed = true;
        }
        arena_reset(&arena);
    }
    arena_deinit(&arena);
}

static void run_workers(Test *t, Os *os, Str dir, OsSim *cut)
{
    Worker workers[THREADS];
    Thread threads[THREADS] = {0};
    Err err = {0};
    CHECK_OK(os_mkdir_all(os, dir, &err));
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (Worker){.os = os, .dir = dir, .id = i};
        CHECK_OK(thread_start(&threads[i], "worker", work, &workers[i], &err));
    }
    for (size_t i = 0; cut != NULL && i < 50; i++) {
        os_sim_power_cut(cut);
        os_sim_advance_ns(cut, 1000);
        (void)os_sim_call_count(cut);
        (void)os_sim_is_down(cut);
    }
    for (size_t i = 0; i < THREADS; i++) {
        thread_join(&threads[i]);
        CHECK(cut != NULL || !workers[i].failed);
        CHECK(cut != NULL || workers[i].rounds_done == 100);
    }
}

TEST(thread, many_threads_on_one_os)
{
    OsSim *sim = os_sim_new(1);
    OsFault *fault = os_fault_new(os_sim_os(sim));
    run_workers(t, os_posix(), test_dir(t), NULL);
    run_workers(t, os_sim_os(sim), STR("/a"), NULL);
    run_workers(t, os_fault_os(fault), STR("/b"), NULL);
    run_workers(t, os_sim_os(sim), STR("/c"), sim);
    os_fault_free(fault);
    os_sim_free(sim);
}

TEST(machine, says_what_there_is)
{
    CHECK(os_cpu_count() >= 1 && os_cpu_count() < 100000);
    CHECK(os_memory_total_bytes() > 1 << 24);
    const uint64_t resident_bytes = os_memory_resident_bytes();
    CHECK(resident_bytes > 100000 && resident_bytes < os_memory_total_bytes());
    uint8_t *more = mem_alloc_raw(64 << 20);
    memset(more, 1, 64 << 20);
    CHECK(os_memory_resident_bytes() > resident_bytes + (48 << 20));
    mem_free(more);
    const double seconds = os_process_cpu_seconds();
    CHECK(seconds > 0 && seconds < 1e6);
}

typedef struct ProcFile {
    Str path, text;
} ProcFile;

TEST(machine, cgroup_limits)
{
    enum { FILES = 5 };
    static const struct {
        const char *why;
        ProcFile files[FILES];
        OsCgroupLimits want;
    } cases[] = {
        {"no cgroups", {{STR("/none"), STR("")}}, {UINT64_MAX, UINT32_MAX}},
        {"v2, in the root",
         {{STR("/proc/self/cgroup"), STR("0::/\n")},
          {STR("/sys/fs/cgroup/memory.max"), STR("1073741824\n")},
          {STR("/sys/fs/cgroup/cpu.max"), STR("150000 100000\n")}},
         {1073741824, 2}},
        {"v2, without limits",
         {{STR("/proc/self/cgroup"), STR("0::/a\n")},
          {STR("/sys/fs/cgroup/a/memory.max"), STR("max\n")},
          {STR("/sys/fs/cgroup/a/cpu.max"), STR("max 100000\n")}},
         {UINT64_MAX, UINT32_MAX}},
        {"v2, the one above is tighter",
         {{STR("/proc/self/cgroup"), STR("0::/a/b.slice/c\n")},
          {STR("/sys/fs/cgroup/a/memory.max"), STR("1000\n")},
          {STR("/sys/fs/cgroup/a/b.slice/c/memory.max"), STR("2000\n")},
          {STR("/sys/fs/cgroup/a/b.slice/cpu.max"), STR("100 100000\n")}},
         {1000, 1}},
        {"v1",
         {{STR("/proc/self/cgroup"), STR("12:cpu,cpuacct:/x\n4:memory:/x\n1:name=systemd:/y\n")},
          {STR("/sys/fs/cgroup/memory/x/memory.limit_in_bytes"), STR("4096\n")},
          {STR("/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us"), STR("400000\n")},
          {STR("/sys/fs/cgroup/cpu/x/cpu.cfs_period_us"), STR("100000\n")}},
         {4096, 4}},
        {"v1 in a container: the path is the host's, the mount is ours; no quota",
         {{STR("/proc/self/cgroup"), STR("4:memory:/docker/0123\n3:cpu:/docker/0123\n")},
          {STR("/sys/fs/cgroup/memory/memory.limit_in_bytes"), STR("8192\n")},
          {STR("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), STR("-1\n")},
          {STR("/sys/fs/cgroup/cpu/cpu.cfs_period_us"), STR("100000\n")}},
         {8192, UINT32_MAX}},
        {"nonsense",
         {{STR("/proc/self/cgroup"), STR("\n::\nmemory\n0::/a\n")},
          {STR("/sys/fs/cgroup/a/memory.max"), STR("12 potatoes\n")},
          {STR("/sys/fs/cgroup/a/cpu.max"), STR("100000 0\n")}},
         {UINT64_MAX, UINT32_MAX}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        OsSim *sim = os_sim_new(1);
        Os *os = os_sim_os(sim);
        for (size_t k = 0; k < FILES && cases[i].files[k].path.len != 0; k++) {
            const ProcFile *file = &cases[i].files[k];
            Err err = {0};
            OsFile *f = NULL;
            size_t folder = file->path.len;
            while (file->path.ptr[folder - 1] != '/') {
                folder--;
            }
            CHECK_OK(os_mkdir_all(os, str_slice(file->path, 0, folder), &err));
            CHECK_OK(os_file_open(os, file->path, OS_OPEN_CREATE, &f, &err));
            const Bytes text = {(const uint8_t *)file->text.ptr, file->text.len};
            CHECK_OK(os_file_write_at(f, 0, text, &err));
            os_file_close(f);
        }
        const OsCgroupLimits got = os_cgroup_limits(os);
        if (got.memory_bytes != cases[i].want.memory_bytes || got.cpus != cases[i].want.cpus) {
            test_fail(t, __FILE__, __LINE__, "%s: %" PRIu64 " bytes, %" PRIu32 " processors",
                      cases[i].why, got.memory_bytes, got.cpus);
        }
        os_sim_free(sim);
    }
}
