// SPDX-License-Identifier: Apache-2.0
#include "os/fault.h"

#include "base/mem.h"
#include "base/rng.h"
#include "os/os_internal.h"
#include "os/thread.h"

#include <stdatomic.h>

struct OsFault {
    Os os;
    Os *base;
    Mutex mu;
    OsFaultPlan plan;       // mu
    _Atomic uint64_t calls; // written under mu, read by anyone
    atomic_bool hit;        // as above
};

typedef struct FaultFile {
    OsFile file;
    OsFile *base;
} FaultFile;

static OsFault *fault_of(Os *os)
{
    return (OsFault *)os;
}

static Os *base_of(Os *os)
{
    return fault_of(os)->base;
}

// Counts a call. When it is one that fails, its errno and number, else 0.
static int take_call(Os *os, uint64_t *number)
{
    OsFault *fault = fault_of(os);
    mutex_lock(&fault->mu);
    fault->calls++;
    const OsFaultPlan plan = fault->plan;
    const bool fails = plan.fail_at != 0 && (fault->calls == plan.fail_at ||
                                             (plan.persistent && fault->calls > plan.fail_at));
    fault->hit = fault->hit || fails;
    *number = fault->calls;
    mutex_unlock(&fault->mu);
    return fails ? plan.os_errno : 0;
}

// In front of a call that either fails having done nothing, or is passed on.
static Status gate(Os *os, const char *what, Err *err)
{
    uint64_t number = 0;
    const int os_errno = take_call(os, &number);
    if (os_errno != 0) {
        return os_fail(err, os_errno, "%s: call %" PRIu64 " was to fail", what, number);
    }
    return OK;
}

// Whatever the base opened becomes a file of this Os.
static OsFile *wrap(Os *os, OsFile *base)
{
    FaultFile *f = mem_new(FaultFile, 1);
    f->file.os = os;
    f->base = base;
    return &f->file;
}

static OsFile *unwrap(OsFile *file)
{
    return ((FaultFile *)file)->base;
}

static Status fault_file_open(Os *os, Str path, OsOpen how, OsFile **out, Err *err)
{
    OsFile *base = NULL;
    TRY(gate(os, "open", err));
    TRY(os_file_open(base_of(os), path, how, &base, err));
    *out = wrap(os, base);
    return OK;
}

static void fault_file_close(OsFile *file)
{
    os_file_close(unwrap(file));
    mem_free(file);
}

static Status fault_file_size(OsFile *file, uint64_t *size_bytes, Err *err)
{
    TRY(gate(file->os, "size", err));
    return os_file_size(unwrap(file), size_bytes, err);
}

static Status fault_file_read_at(OsFile *file, uint64_t offset, void *into, size_t n, size_t *got,
                                 Err *err)
{
    TRY(gate(file->os, "read", err));
    return os_file_read_at(unwrap(file), offset, into, n, got, err);
}

// Of the writes that fail, every other one has written some of its bytes before.
static Status fault_file_write_at(OsFile *file, uint64_t offset, Bytes bytes, Err *err)
{
    uint64_t number = 0;
    const int os_errno = take_call(file->os, &number);
    if (os_errno == 0) {
        return os_file_write_at(unwrap(file), offset, bytes, err);
    }
    if (number % 2 == 0) {
        Rng rng = {number};
        Err ignored; // the write fails in any case
        const Bytes some = {bytes.ptr, (size_t)rng_below(&rng, bytes.len)};
        (void)os_file_write_at(unwrap(file), offset, some, &ignored);
    }
    return os_fail(err, os_errno, "write: call %" PRIu64 " was to fail", number);
}

static Status fault_file_sync(OsFile *file, Err *err)
{
    TRY(gate(file->os, "sync", err));
    return os_file_sync(unwrap(file), err);
}

static Status fault_file_truncate(OsFile *file, uint64_t size_bytes, Err *err)
{
    TRY(gate(file->os, "truncate", err));
    return os_file_truncate(unwrap(file), size_bytes, err);
}

static Status fault_file_allocate(OsFile *file, uint64_t size_bytes, Err *err)
{
    TRY(gate(file->os, "allocate", err));
    return os_file_allocate(unwrap(file), size_bytes, err);
}

static Status fault_stat(Os *os, Str path, OsStat *out, Err *err)
{
    TRY(gate(os, "stat", err));
    return os_stat(base_of(os), path, out, err);
}

static Status fault_mkdir(Os *os, Str path, Err *err)
{
    TRY(gate(os, "make folder", err));
    return base_of(os)->ops->mkdir(base_of(os), path, err);
}

static Status fault_dir_list(Os *os, Str path, Arena *arena, OsDirEntry **out, size_t *count,
                             Err *err)
{
    TRY(gate(os, "list folder", err));
    return os_dir_list(base_of(os), path, arena, out, count, err);
}

static Status fault_dir_sync(Os *os, Str path, Err *err)
{
    TRY(gate(os, "sync folder", err));
    return os_dir_sync(base_of(os), path, err);
}

static Status fault_rename(Os *os, Str from, Str to, Err *err)
{
    TRY(gate(os, "rename", err));
    return os_rename(base_of(os), from, to, err);
}

static Status fault_link(Os *os, Str from, Str to, Err *err)
{
    TRY(gate(os, "link", err));
    return os_link(base_of(os), from, to, err);
}

static Status fault_unlink(Os *os, Str path, Err *err)
{
    TRY(gate(os, "unlink", err));
    return os_unlink(base_of(os), path, err);
}

static Status fault_remove_dir(Os *os, Str path, Err *err)
{
    TRY(gate(os, "remove folder", err));
    return os_remove_dir(base_of(os), path, err);
}

static Status fault_lock_file(Os *os, Str path, OsFile **out, Err *err)
{
    OsFile *base = NULL;
    TRY(gate(os, "lock", err));
    TRY(os_lock_file(base_of(os), path, &base, err));
    *out = wrap(os, base);
    return OK;
}

static Status fault_disk_free(Os *os, Str path, uint64_t *free_bytes, Err *err)
{
    TRY(gate(os, "free space", err));
    return os_disk_free(base_of(os), path, free_bytes, err);
}

static int64_t fault_wall_us(Os *os)
{
    return os_wall_us(base_of(os));
}

static int64_t fault_mono_ns(Os *os)
{
    return os_mono_ns(base_of(os));
}

static void fault_sleep_ns(Os *os, int64_t ns)
{
    os_sleep_ns(base_of(os), ns);
}

static void fault_random(Os *os, void *into, size_t n)
{
    os_random(base_of(os), into, n);
}

static const OsOps fault_ops = {
    .file_open = fault_file_open,
    .file_close = fault_file_close,
    .file_size = fault_file_size,
    .file_read_at = fault_file_read_at,
    .file_write_at = fault_file_write_at,
    .file_sync = fault_file_sync,
    .file_truncate = fault_file_truncate,
    .file_allocate = fault_file_allocate,
    .stat = fault_stat,
    .mkdir = fault_mkdir,
    .dir_list = fault_dir_list,
    .dir_sync = fault_dir_sync,
    .rename = fault_rename,
    .link = fault_link,
    .unlink = fault_unlink,
    .remove_dir = fault_remove_dir,
    .lock_file = fault_lock_file,
    .disk_free = fault_disk_free,
    .wall_us = fault_wall_us,
    .mono_ns = fault_mono_ns,
    .sleep_ns = fault_sleep_ns,
    .random = fault_random,
};

OsFault *os_fault_new(Os *base)
{
    OsFault *fault = mem_new(OsFault, 1);
    fault->os.ops = &fault_ops;
    fault->base = base;
    mutex_init(&fault->mu);
    return fault;
}

void os_fault_free(OsFault *fault)
{
    if (fault != NULL) {
        mutex_deinit(&fault->mu);
        mem_free(fault);
    }
}

Os *os_fault_os(OsFault *fault)
{
    return &fault->os;
}

void os_fault_arm(OsFault *fault, OsFaultPlan plan)
{
    ASSERT(plan.fail_at == 0 || plan.os_errno != 0);
    mutex_lock(&fault->mu);
    fault->plan = plan;
    atomic_store_explicit(&fault->calls, 0, memory_order_relaxed);   // relaxed: see take_call()
    atomic_store_explicit(&fault->hit, false, memory_order_relaxed); // relaxed: see take_call()
    mutex_unlock(&fault->mu);
}

uint64_t os_fault_calls(const OsFault *fault)
{
    return atomic_load_explicit(&fault->calls, memory_order_relaxed); // relaxed: see take_call()
}

bool os_fault_hit(const OsFault *fault)
{
    return atomic_load_explicit(&fault->hit, memory_order_relaxed); // relaxed: see take_call()
}
