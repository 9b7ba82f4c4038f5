// SPDX-License-Identifier: Apache-2.0
//
// What the machine, or the part of it we were given, has.
#define _GNU_SOURCE // sched_getaffinity, CPU_COUNT, madvise
#include "base/num.h"
#include "os/machine_internal.h"
#include "os/thread.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    PROC_FILE_MAX = 1024 * 1024,
    LIMIT_FILE_MAX = 256,
    LARGE_PAGE_BYTES = 2 << 20, // of x86-64, and of arm64 with pages of 4 KB
};

// The whole text of a small file; false when it cannot be read.
static bool read_small(Os *os, Str path, uint64_t limit_bytes, Arena *arena, Str *out)
{
    Err ignored;
    Bytes bytes = {0};
    if (os_read_file(os, path, limit_bytes, arena, &bytes, &ignored) != OK) {
        return false;
    }
    *out = (Str){(const char *)bytes.ptr, bytes.len};
    return true;
}

// The first line of folder/file.
static bool read_limit(Os *os, Arena *arena, Str folder, const char *file, Str *out)
{
    char path[OS_PATH_MAX + 1];
    const int n = snprintf(path, sizeof(path), STR_FMT "/%s", STR_ARG(folder), file);
    if (n < 0 || (size_t)n >= sizeof(path) ||
        !read_small(os, (Str){path, (size_t)n}, LIMIT_FILE_MAX, arena, out)) {
        return false;
    }
    Str rest;
    (void)str_cut(*out, '\n', out, &rest);
    return true;
}

static uint32_t cpus_of(uint64_t quota_us, uint64_t period_us)
{
    const uint64_t cpus = period_us == 0 ? UINT32_MAX : (quota_us + period_us - 1) / period_us;
    return cpus == 0 ? 1 : cpus < UINT32_MAX ? (uint32_t)cpus : UINT32_MAX;
}

static void lower(OsCgroupLimits *limits, OsCgroupLimits by)
{
    limits->memory_bytes =
        by.memory_bytes < limits->memory_bytes ? by.memory_bytes : limits->memory_bytes;
    limits->cpus = by.cpus < limits->cpus ? by.cpus : limits->cpus;
}

// What one cgroup says; only the files of its version are there. "max" and -1 are not numbers, so
// they stay no limit; v1 says "none" by a number near 2^63, which is more than any machine has.
static void lower_by_folder(Os *os, Arena *arena, Str folder, OsCgroupLimits *limits)
{
    OsCgroupLimits here = {UINT64_MAX, UINT32_MAX};
    Str text = {0}, quota = {0}, period = {0};
    uint64_t quota_us = 0, period_us = 0;
    if (read_limit(os, arena, folder, "memory.max", &text) ||
        read_limit(os, arena, folder, "memory.limit_in_bytes", &text)) {
        (void)num_parse_u64(text, &here.memory_bytes);
    }
    const bool has_cpus =
        (read_limit(os, arena, folder, "cpu.max", &text) && str_cut(text, ' ', &quota, &period)) ||
        (read_limit(os, arena, folder, "cpu.cfs_quota_us", &quota) &&
         read_limit(os, arena, folder, "cpu.cfs_period_us", &period));
    if (has_cpus && num_parse_u64(quota, &quota_us) && num_parse_u64(period, &period_us)) {
        here.cpus = cpus_of(quota_us, period_us);
    }
    lower(limits, here);
}

// The cgroup at mount/path and all above it. In a container the path may be one of the host, which
// is not there: then only the mount itself is, and that is the container's own.
static void lower_by_path(Os *os, Arena *arena, const char *mount, Str path, OsCgroupLimits *limits)
{
    char folder[OS_PATH_MAX + 1];
    for (;;) {
        while (path.len != 0 && path.ptr[path.len - 1] == '/') {
            path.len--;
        }
        const int n = snprintf(folder, sizeof(folder), "%s" STR_FMT, mount, STR_ARG(path));
        if (n > 0 && (size_t)n < sizeof(folder)) {
            lower_by_folder(os, arena, (Str){folder, (size_t)n}, limits);
        }
        if (path.len == 0) {
            return;
        }
        while (path.len != 0 && path.ptr[path.len - 1] != '/') {
            path.len--;
        }
    }
}

static bool has_controller(Str list, Str name)
{
    Str head = {0};
    while (str_cut(list, ',', &head, &list)) {
        if (str_eq(head, name)) {
            return true;
        }
    }
    return str_eq(list, name);
}

// Lines of /proc/self/cgroup, cgroups(7): "0::/path" for v2, "4:memory:/path" for v1.
OsCgroupLimits os_cgroup_limits(Os *os)
{
    OsCgroupLimits limits = {UINT64_MAX, UINT32_MAX};
    Arena arena;
    Str text = {0}, line = {0};
    arena_init(&arena, 0);
    (void)read_small(os, STR("/proc/self/cgroup"), PROC_FILE_MAX, &arena, &text);
    while (str_cut(text, '\n', &line, &text)) {
        Str id = {0}, controllers = {0}, path = {0};
        if (!str_cut(line, ':', &id, &line) || !str_cut(line, ':', &controllers, &path)) {
            continue;
        }
        if (controllers.len == 0) {
            lower_by_path(os, &arena, "/sys/fs/cgroup", path, &limits);
            lower_by_path(os, &arena, "/sys/fs/cgroup/unified", path, &limits);
        }
        if (has_controller(controllers, STR("memory"))) {
            lower_by_path(os, &arena, "/sys/fs/cgroup/memory", path, &limits);
        }
        if (has_controller(controllers, STR("cpu"))) {
            lower_by_path(os, &arena, "/sys/fs/cgroup/cpu", path, &limits);
        }
    }
    arena_deinit(&arena);
    return limits;
}

static uint32_t count_cpus(void)
{
    cpu_set_t set;
    uint32_t count = 1;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        count = (uint32_t)CPU_COUNT(&set);
    } else { // more processors than the set has bits
        const long online = sysconf(_SC_NPROCESSORS_ONLN);
        count = online > 0 ? (uint32_t)online : 1;
    }
    const uint32_t allowed = os_cgroup_limits(os_posix()).cpus;
    count = allowed < count ? allowed : count;
    return count == 0 ? 1 : count;
}

uint32_t os_cpu_count(void)
{
    static atomic_uint known; // asked once: every scan wants to know, and it is read from files
    uint32_t count = atomic_load_explicit(&known, memory_order_relaxed);
    if (count == 0) {
        count = count_cpus();
        atomic_store_explicit(&known, count, memory_order_relaxed);
    }
    return count;
}

void os_memory_large_pages(void *p, size_t size_bytes)
{
    const uintptr_t mask = LARGE_PAGE_BYTES - 1;
    const uintptr_t start = ((uintptr_t)p + mask) & ~mask;
    const uintptr_t end = ((uintptr_t)p + size_bytes) & ~mask;
    if (start < end) { // whole large pages only, so that nothing beside is taken
        (void)madvise((uint8_t *)p + (start - (uintptr_t)p), end - start, MADV_HUGEPAGE);
    }
}

uint64_t os_memory_total_bytes(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    ASSERT(pages > 0 && page_bytes > 0);
    const uint64_t machine_bytes = (uint64_t)pages * (uint64_t)page_bytes;
    const uint64_t allowed_bytes = os_cgroup_limits(os_posix()).memory_bytes;
    return allowed_bytes < machine_bytes ? allowed_bytes : machine_bytes;
}

// The second number of /proc/self/statm, proc(5): resident pages.
uint64_t os_memory_resident_bytes(void)
{
    Arena arena;
    Str text = {0}, field = {0};
    uint64_t pages = 0;
    arena_init(&arena, 0);
    if (read_small(os_posix(), STR("/proc/self/statm"), LIMIT_FILE_MAX, &arena, &text) &&
        str_cut(text, ' ', &field, &text) && str_cut(text, ' ', &field, &text)) {
        (void)num_parse_u64(field, &pages);
    }
    arena_deinit(&arena);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

double os_process_cpu_seconds(void)
{
    struct rusage use;
    ASSERT(getrusage(RUSAGE_SELF, &use) == 0);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}
