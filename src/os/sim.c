// SPDX-License-Identifier: Apache-2.0
//
// The simulated machine: names, handles, clocks and the power switch. The bytes of files are in
// sim_data.c, the names of folders in sim_dir.c.
#include "os/sim.h"

#include "base/mem.h"
#include "os/os_internal.h"
#include "os/sim_internal.h"
#include "os/thread.h"

#include <errno.h>
#include <stdatomic.h>

typedef struct SimHandle SimHandle;
struct SimHandle {
    OsFile base;
    SimNode *node; // one reference
    uint64_t boot; // in which it was opened
    bool writable;
    bool poisoned; // a sync through it has failed
    bool has_lock;
    SimHandle *prev, *next; // all open handles
    char path[];            // its end, for messages
};

struct OsSim {
    Os os;
    Mutex mu;
    _Atomic uint64_t calls; // changing calls so far; written under mu, read by anyone
    atomic_bool down;       // as above
    // mu: everything below
    SimDisk disk;
    SimNode *root;
    SimHandle *handles;
    Rng cut_rng, random_rng; // apart, so that more random ids do not change what a cut leaves
    uint64_t boot;
    uint64_t cut_at; // value of `calls` at which the power goes; 0: never
    bool holds_syncs;
    Cond syncs_go; // they are not held any more
    uint32_t held_syncs;
    uint64_t sync_fail_in; // this many file syncs from now one fails; 0: none
    uint64_t next_group;
    uint64_t capacity_pages; // 0: endless
    int64_t wall_ns, mono_ns;
};

// 2026-01-01T00:00:00Z: a plausible time, so that tests do not run in 1970 by accident.
static const int64_t wall_start_ns = INT64_C(1767225600) * 1000000000;
static const uint64_t endless_free_bytes = UINT64_C(1) << 40;

static OsSim *sim_of(Os *os)
{
    return (OsSim *)os;
}

// Every call passes here first. A changing call is counted, and may be the one the power goes at.
static Status gate_locked(OsSim *sim, bool changing, Err *err) REQUIRES(sim->mu);
static Status gate_locked(OsSim *sim, bool changing, Err *err)
{
    // Relaxed throughout: mu orders the writers, and readers outside it want only the number.
    if (changing && !atomic_load_explicit(&sim->down, memory_order_relaxed)) {
        const uint64_t calls = atomic_load_explicit(&sim->calls, memory_order_relaxed) + 1;
        atomic_store_explicit(&sim->calls, calls, memory_order_relaxed);
        atomic_store_explicit(&sim->down, calls == sim->cut_at, memory_order_relaxed);
    }
    if (atomic_load_explicit(&sim->down, memory_order_relaxed)) {
        return os_fail(err, EIO, "the power is off");
    }
    return OK;
}

static Status handle_gate_locked(OsSim *sim, const SimHandle *h, bool changing, Err *err)
    REQUIRES(sim->mu);
static Status handle_gate_locked(OsSim *sim, const SimHandle *h, bool changing, Err *err)
{
    if (h->boot != sim->boot) {
        return os_fail(err, EIO, "'%s' was opened before the power cut", h->path);
    }
    return gate_locked(sim, changing, err);
}

static Status write_gate_locked(OsSim *sim, const SimHandle *h, Err *err) REQUIRES(sim->mu);
static Status write_gate_locked(OsSim *sim, const SimHandle *h, Err *err)
{
    TRY(handle_gate_locked(sim, h, true, err));
    if (!h->writable) {
        return os_fail(err, EBADF, "change '%s', which is open for reading", h->path);
    }
    return OK;
}

// Cuts the next component off the front of *path: no slashes, not "."; false at the end.
static bool next_component(Str *path, Str *name)
{
    do {
        while (path->len != 0 && path->ptr[0] == '/') {
            *path = str_slice(*path, 1, path->len);
        }
        size_t n = 0;
        while (n < path->len && path->ptr[n] != '/') {
            n++;
        }
        *name = str_slice(*path, 0, n);
        *path = str_slice(*path, n, path->len);
    } while (str_eq(*name, STR(".")));
    return name->len != 0;
}

// A name in its folder, and what it means.
typedef struct Place {
    SimNode *dir;
    Str name;      // empty for the root
    SimNode *node; // NULL: nothing there
} Place;

static Status place_of(const OsSim *sim, Str path, Place *out, Err *err)
{
    enum { NAME_MAX_BYTES = 255 };
    Place at = {.dir = sim->root, .node = sim->root};
    Str left = path, name = {0};
    while (next_component(&left, &name)) {
        if (str_eq(name, STR(".."))) {
            return err_set(err, ERR_INVALID, "'" STR_FMT "': the simulated disk has no '..'",
                           PATH_ARG(path));
        }
        if (name.len > NAME_MAX_BYTES) {
            return os_fail(err, ENAMETOOLONG, "'" STR_FMT "'", PATH_ARG(path));
        }
        if (at.node == NULL || !at.node->is_dir) {
            return os_fail(err, at.node == NULL ? ENOENT : ENOTDIR, "'" STR_FMT "'",
                           PATH_ARG(path));
        }
        at = (Place){.dir = at.node, .name = name, .node = sim_dir_find(at.node, name)};
    }
    *out = at;
    return OK;
}

// What is at `path`, which must be there.
static Status node_of(const OsSim *sim, Str path, SimNode **out, Err *err)
{
    Place at = {0};
    TRY(place_of(sim, path, &at, err));
    if (at.node == NULL) {
        return os_fail(err, ENOENT, "'" STR_FMT "'", PATH_ARG(path));
    }
    *out = at.node;
    return OK;
}

static void change_locked(OsSim *sim, const Place *at, SimNode *after) REQUIRES(sim->mu);
static void change_locked(OsSim *sim, const Place *at, SimNode *after)
{
    const SimChange change = {.name = at->name, .after = after, .group = sim->next_group++};
    sim_dir_change(at->dir, change, &sim->disk);
}

static SimNode *create_locked(OsSim *sim, const Place *at, bool is_dir) REQUIRES(sim->mu);
static SimNode *create_locked(OsSim *sim, const Place *at, bool is_dir)
{
    SimNode *node = sim_node_new(is_dir, sim->wall_ns / 1000);
    change_locked(sim, at, node);
    sim_node_unref(node, &sim->disk); // the folder and its change hold it
    return node;
}

static SimHandle *handle_new_locked(OsSim *sim, SimNode *node, Str path) REQUIRES(sim->mu);
static SimHandle *handle_new_locked(OsSim *sim, SimNode *node, Str path)
{
    path = os_path_tail(path, OS_PATH_SHOWN_MAX);
    SimHandle *h = mem_alloc(1, sizeof(SimHandle) + path.len + 1);
    h->base.os = &sim->os;
    h->node = sim_node_ref(node);
    h->boot = sim->boot;
    h->next = sim->handles;
    if (sim->handles != NULL) {
        sim->handles->prev = h;
    }
    sim->handles = h;
    memcpy(h->path, path.ptr, path.len);
    node->handles++;
    sim_node_charge(node, &sim->disk);
    return h;
}

static Status open_locked(OsSim *sim, Str path, OsOpen how, SimHandle **out, Err *err)
    REQUIRES(sim->mu);
static Status open_locked(OsSim *sim, Str path, OsOpen how, SimHandle **out, Err *err)
{
    Place at = {0};
    TRY(gate_locked(sim, false, err));
    TRY(place_of(sim, path, &at, err));
    const bool creates = how == OS_OPEN_CREATE || how == OS_OPEN_CREATE_NEW;
    int os_errno = 0;
    if (at.node == NULL) {
        os_errno = creates ? 0 : ENOENT;
    } else if (how == OS_OPEN_CREATE_NEW) {
        os_errno = EEXIST;
    } else if (at.node->is_dir) {
        os_errno = EISDIR;
    }
    if (os_errno != 0) {
        return os_fail(err, os_errno, "open '" STR_FMT "'", PATH_ARG(path));
    }
    if (at.node == NULL) {
        TRY(gate_locked(sim, true, err));
        at.node = create_locked(sim, &at, false);
    }
    *out = handle_new_locked(sim, at.node, path);
    (*out)->writable = how != OS_OPEN_READ;
    return OK;
}

static Status sim_file_open(Os *os, Str path, OsOpen how, OsFile **out, Err *err)
{
    OsSim *sim = sim_of(os);
    SimHandle *h = NULL;
    mutex_lock(&sim->mu);
    const Status st = open_locked(sim, path, how, &h, err);
    mutex_unlock(&sim->mu);
    *out = h == NULL ? NULL : &h->base;
    return st;
}

static void sim_file_close(OsFile *file)
{
    SimHandle *h = (SimHandle *)file;
    OsSim *sim = sim_of(file->os);
    mutex_lock(&sim->mu);
    if (h->prev != NULL) {
        h->prev->next = h->next;
    } else {
        sim->handles = h->next;
    }
    if (h->next != NULL) {
        h->next->prev = h->prev;
    }
    if (h->boot == sim->boot) { // else the reboot has done it
        h->node->handles--;
        h->node->locked = h->node->locked && !h->has_lock;
        sim_node_charge(h->node, &sim->disk);
    }
    sim_node_unref(h->node, &sim->disk);
    mutex_unlock(&sim->mu);
    mem_free(h);
}

static Status sim_file_size(OsFile *file, uint64_t *size_bytes, Err *err)
{
    Status st = OK;
    const SimHandle *h = (const SimHandle *)file;
    OsSim *sim = sim_of(file->os);
    mutex_lock(&sim->mu);
    TRY_OUT(handle_gate_locked(sim, h, false, err));
    *size_bytes = h->node->data.size_bytes;
out:
    mutex_unlock(&sim->mu);
    return st;
}

static Status sim_file_read_at(OsFile *file, uint64_t offset, void *into, size_t n, size_t *got,
                               Err *err)
{
    Status st = OK;
    const SimHandle *h = (const SimHandle *)file;
    OsSim *sim = sim_of(file->os);
    mutex_lock(&sim->mu);
    TRY_OUT(handle_gate_locked(sim, h, false, err));
    *got = sim_data_read(&h->node->data, offset, into, n);
out:
    mutex_unlock(&sim->mu);
    return st;
}

// After a change of the contents.
static void touched_locked(OsSim *sim, SimNode *node) REQUIRES(sim->mu);
static void touched_locked(OsSim *sim, SimNode *node)
{
    node->modified_us = sim->wall_ns / 1000;
    if (sim_data_is_dirty(&node->data)) {
        sim_dirty_add(&sim->disk, node);
    }
    sim_node_charge(node, &sim->disk);
}

// Whether a file may get `pages` more and be `end` bytes long.
static Status room_locked(OsSim *sim, const SimHandle *h, uint64_t pages, uint64_t end, Err *err)
    REQUIRES(sim->mu);
static Status room_locked(OsSim *sim, const SimHandle *h, uint64_t pages, uint64_t end, Err *err)
{
    if (end > SIM_FILE_MAX) {
        return os_fail(err, EFBIG, "write '%s'", h->path);
    }
    if (sim->capacity_pages != 0 && sim->disk.used_pages + pages > sim->capacity_pages) {
        return os_fail(err, ENOSPC, "write '%s'", h->path);
    }
    return OK;
}

static Status sim_file_write_at(OsFile *file, uint64_t offset, Bytes bytes, Err *err)
{
    Status st = OK;
    const SimHandle *h = (const SimHandle *)file;
    OsSim *sim = sim_of(file->os);
    SimData *data = &h->node->data;
    mutex_lock(&sim->mu);
    TRY_OUT(write_gate_locked(sim, h, err));
    const uint64_t pages =
        sim->capacity_pages == 0 ? 0 : sim_data_new_pages(data, offset, bytes.len);
    TRY_OUT(room_locked(sim, h, pages, offset + bytes.len, err));
    sim_data_write(data, offset, bytes);
    touched_locked(sim, h->node);
out:
    mutex_unlock(&sim->mu);
    return st;
}

static Status sim_file_sync(OsFile *file, Err *err)
{
    Status st = OK;
    SimHandle *h = (SimHandle *)file;
    OsSim *sim = sim_of(file->os);
    SimData *data = &h->node->data;
    mutex_lock(&sim->mu);
    sim->held_syncs++;
    while (sim->holds_syncs) {
        cond_wait(&sim->syncs_go, &sim->mu);
    }
    sim->held_syncs--;
    TRY_OUT(handle_gate_locked(sim, h, true, err)); // a file open for reading may be synced
    if (h->poisoned) {
        st = os_fail(err, EIO, "sync '%s', which failed to sync before", h->path);
        goto out;
    }
    if (sim->sync_fail_in != 0 && --sim->sync_fail_in == 0) {
        sim_data_fail_sync(data, &sim->cut_rng);
        h->poisoned = true;
        st = os_fail(err, EIO, "sync '%s'", h->path);
    } else {
        sim_data_sync(data);
    }
    if (!sim_data_is_dirty(data)) {
        sim_dirty_remove(&sim->disk, h->node);
    }
    sim_node_charge(h->node, &sim->disk);
out:
    mutex_unlock(&sim->mu);
    return st;
}

static Status sim_file_truncate(OsFile *file, uint64_t size_bytes, Err *err)
{
    Status st = OK;
    const SimHandle *h = (const SimHandle *)file;
    OsSim *sim = sim_of(file->os);
    mutex_lock(&sim->mu);
    TRY_OUT(write_gate_locked(sim, h, err));
    TRY_OUT(room_locked(sim, h, 0, size_bytes, err));
    sim_data_truncate(&h->node->data, size_bytes);
    touched_locked(sim, h->node);
out:
    mutex_unlock(&sim->mu);
    return st;
}

static Status sim_file_allocate(OsFile *file, uint64_t size_bytes, Err *err)
{
    Status st = OK;
    const SimHandle *h = (const SimHandle *)file;
    OsSim *sim = sim_of(file->os);
    SimData *data = &h->node->data;
    mutex_lock(&sim->mu);
    TRY_OUT(write_gate_locked(sim, h, err));
    const uint64_t pages = sim->capacity_pages == 0 ? 0 : sim_data_new_pages(data, 0, size_bytes);
    TRY_OUT(room_locked(sim, h, pages, size_bytes, err));
    sim_data_allocate(data, size_bytes);
    touched_locked(sim, h->node);
out:
    mutex_unlock(&sim->mu);
    return st;
}

static Status sim_stat(Os *os, Str path, OsStat *out, Err *err)
{
    Status st = OK;
    OsSim *sim = sim_of(os);
    SimNode *node = NULL;
    mutex_lock(&sim->mu);
    TRY_OUT(gate_locked(sim, false, err));
    TRY_OUT(node_of(sim, path, &node, err));
    *out = (OsStat){
        .size_bytes = node->is_dir ? SIM_PAGE_BYTES : node->data.size_bytes,
        .modified_us = node->modified_us,
        .is_dir = node->is_dir,
    };
out:
    mutex_unlock(&sim->mu);
    return st;
}

static Status sim_mkdir(Os *os, Str path, Err *err)
{
    Status st = OK;
    OsSim *sim = sim_of(os);
    Place at = {0};
    mutex_lock(&sim->mu);
    TRY_OUT(gate_locked(sim, false, err));
    TRY_OUT(place_of(sim, path, &at, err));
    if (at.node != NULL) {
        st = os_fail(err, EEXIST, "make folder '" STR_FMT "'", PATH_ARG(path));
        goto out;
    }
    TRY_OUT(gate_locked(sim, true, err));
    (void)create_locked(sim, &at, true);
out:
    mutex_unlock(&sim->mu);
    return st;
}

static Status sim_dir_list(Os *os, Str path, Arena *arena, OsDirEntry **out, size_t *count,
                           Err *err)
{
    Status st = OK;
    OsSim *sim = sim_of(os);
    SimNode *dir = NULL;
    mutex_lock(&sim->mu);
    TRY_OUT(gate_locked(sim, false, err));
    TRY_OUT(node_of(sim, path, &dir, err));
    if (!dir->is_dir) {
        st = os_fail(err, ENOTDIR, "list folder '" STR_FMT "'", PATH_ARG(path));
        goto out;
    }
    *out = arena_new(arena, OsDirEntry, dir->entry_count);
    *count = dir->entry_count;
    for (size_t i = 0; i < dir->entry_count; i++) {
        (*out)[i] =
            (OsDirEntry){arena_str(arena, dir->entries[i].name), dir->entries[i].node->is_dir};
    }
out:
    mutex_unlock(&sim->mu);
    return st;
}

static Status sim_sync_dir(Os *os, Str path, Err *err)
{
    Status st = OK;
    OsSim *sim = sim_of(os);
    SimNode *dir = NULL;
    mutex_lock(&sim->mu);
    TRY_OUT(gate_locked(sim, true, err));
    TRY_OUT(node_of(sim, path, &dir, err));
    if (!dir->is_dir) {
        st = os_fail(err, ENOTDIR, "sync folder '" STR_FMT "'", PATH_ARG(path));
        goto out;
    }
    sim_dir_sync(dir, &sim->disk);
out:
    mutex_unlock(&sim->mu);
    return st;
}

// 0, or why `from` may not take the place of `to`.
static int rename_errno(const Place *from, const Place *to)
{
    if (from->node == NULL) {
        return ENOENT;
    }
    if (from->name.len == 0 || to->name.len == 0) {
        return EBUSY;
    }
    if (from->node->is_dir && (from->node == to->dir || sim_dir_contains(from->node, to->dir))) {
        return EINVAL;
    }
    if (to->node == NULL || to->node == from->node) {
        return 0;
    }
    if (to->node == from->dir || sim_dir_contains(to->node, from->dir)) {
        return ENOTEMPTY; // Linux looks for this before the kinds
    }
    if (to->node->is_dir != from->node->is_dir) {
        return to->node->is_dir ? EISDIR : ENOTDIR;
    }
    return to->node->entry_count != 0 ? ENOTEMPTY : 0;
}

static Status sim_rename(Os *os, Str from_path, Str to_path, Err *err)
{
    Status st = OK;
    OsSim *sim = sim_of(os);
    Place from = {0}, to = {0};
    mutex_lock(&sim->mu);
    TRY_OUT(gate_locked(sim, true, err));
    TRY_OUT(place_of(sim, from_path, &from, err));
    TRY_OUT(place_of(sim, to_path, &to, err));
    const int os_errno = rename_errno(&from, &to);
    if (os_errno != 0) {
        st = os_fail(err, os_errno, "rename '" STR_FMT "' to '" STR_FMT "'",
                     PATH_HALF_ARG(from_path), PATH_HALF_ARG(to_path));
        goto out;
    }
    if (from.node == to.node) { // two names of one file: POSIX says nothing happens
        goto out;
    }
    const uint64_t group = sim->next_group++;
    SimChange add = {.name = to.name, .after = from.node, .group = group};
    SimChange remove = {.name = from.name, .group = group};
    if (from.dir != to.dir) {
        add.other_dir = from.dir;
        remove.other_dir = to.dir;
    }
    sim_dir_change(to.dir, add, &sim->disk);
    sim_dir_change(from.dir, remove, &sim->disk);
out:
    mutex_unlock(&sim->mu);
    return st;
}

static Status sim_link(Os *os, Str from_path, Str to_path, Err *err)
{
    Status st = OK;
    OsSim *sim = sim_of(os);
    SimNode *node = NULL;
    Place to = {0};
    mutex_lock(&sim->mu);
    TRY_OUT(gate_locked(sim, true, err));
    TRY_OUT(node_of(sim, from_path, &node, err));
    TRY_OUT(place_of(sim, to_path, &to, err));
    const int os_errno = to.node != NULL ? EEXIST : node->is_dir ? EPERM : 0;
    if (os_errno != 0) {
        st = os_fail(err, os_errno, "link '" STR_FMT "' as '" STR_FMT "'", PATH_HALF_ARG(from_path),
                     PATH_HALF_ARG(to_path));
        goto out;
    }
    change_locked(sim, &to, node);
out:
    mutex_unlock(&sim->mu);
    return st;
}

static Status remove_locked(OsSim *sim, Str path, bool is_dir, Err *err) REQUIRES(sim->mu);
static Status remove_locked(OsSim *sim, Str path, bool is_dir, Err *err)
{
    Place at = {0};
    TRY(gate_locked(sim, true, err));
    TRY(place_of(sim, path, &at, err));
    int os_errno = 0;
    if (at.node == NULL) {
        os_errno = ENOENT;
    } else if (at.node->is_dir != is_dir) {
        os_errno = is_dir ? ENOTDIR : EISDIR;
    } else if (at.name.len == 0) {
        os_errno = EBUSY;
    } else if (at.node->entry_count != 0) {
        os_errno = ENOTEMPTY;
    }
    if (os_errno != 0) {
        return os_fail(err, os_errno, "remove '" STR_FMT "'", PATH_ARG(path));
    }
    change_locked(sim, &at, NULL);
    return OK;
}

static Status sim_unlink(Os *os, Str path, Err *err)
{
    OsSim *sim = sim_of(os);
    mutex_lock(&sim->mu);
    const Status st = remove_locked(sim, path, false, err);
    mutex_unlock(&sim->mu);
    return st;
}

static Status sim_remove_dir(Os *os, Str path, Err *err)
{
    OsSim *sim = sim_of(os);
    mutex_lock(&sim->mu);
    const Status st = remove_locked(sim, path, true, err);
    mutex_unlock(&sim->mu);
    return st;
}

static Status sim_lock_file(Os *os, Str path, OsFile **out, Err *err)
{
    Status st = OK;
    OsSim *sim = sim_of(os);
    SimHandle *h = NULL;
    mutex_lock(&sim->mu);
    TRY_OUT(open_locked(sim, path, OS_OPEN_CREATE, &h, err));
    if (h->node->locked) {
        st =
            err_set(err, ERR_EXISTS, "lock '" STR_FMT "': held by another process", PATH_ARG(path));
        goto out;
    }
    h->node->locked = true;
    h->has_lock = true;
    *out = &h->base;
out:
    mutex_unlock(&sim->mu);
    if (st != OK && h != NULL) {
        sim_file_close(&h->base);
    }
    return st;
}

static Status sim_disk_free(Os *os, Str path, uint64_t *free_bytes, Err *err)
{
    Status st = OK;
    OsSim *sim = sim_of(os);
    SimNode *node = NULL;
    mutex_lock(&sim->mu);
    TRY_OUT(gate_locked(sim, false, err));
    TRY_OUT(node_of(sim, path, &node, err));
    const uint64_t used = sim->disk.used_pages, capacity = sim->capacity_pages;
    *free_bytes = capacity == 0     ? endless_free_bytes
                  : used > capacity ? 0
                                    : (capacity - used) * SIM_PAGE_BYTES;
out:
    mutex_unlock(&sim->mu);
    return st;
}

static int64_t sim_wall_us(Os *os)
{
    OsSim *sim = sim_of(os);
    mutex_lock(&sim->mu);
    const int64_t us = sim->wall_ns / 1000;
    mutex_unlock(&sim->mu);
    return us;
}

static int64_t sim_mono_ns(Os *os)
{
    OsSim *sim = sim_of(os);
    mutex_lock(&sim->mu);
    const int64_t ns = sim->mono_ns;
    mutex_unlock(&sim->mu);
    return ns;
}

static void sim_sleep_ns(Os *os, int64_t ns)
{
    os_sim_advance_ns(sim_of(os), ns > 0 ? ns : 0);
}

static void sim_random(Os *os, void *into, size_t n)
{
    OsSim *sim = sim_of(os);
    mutex_lock(&sim->mu);
    for (size_t done = 0; done < n;) {
        const uint64_t word = rng_next(&sim->random_rng);
        const size_t part = n - done < sizeof(word) ? n - done : sizeof(word);
        memcpy((uint8_t *)into + done, &word, part);
        done += part;
    }
    mutex_unlock(&sim->mu);
}

static const OsOps sim_ops = {
    .file_open = sim_file_open,
    .file_close = sim_file_close,
    .file_size = sim_file_size,
    .file_read_at = sim_file_read_at,
    .file_write_at = sim_file_write_at,
    .file_sync = sim_file_sync,
    .file_truncate = sim_file_truncate,
    .file_allocate = sim_file_allocate,
    .stat = sim_stat,
    .mkdir = sim_mkdir,
    .dir_list = sim_dir_list,
    .dir_sync = sim_sync_dir,
    .rename = sim_rename,
    .link = sim_link,
    .unlink = sim_unlink,
    .remove_dir = sim_remove_dir,
    .lock_file = sim_lock_file,
    .disk_free = sim_disk_free,
    .wall_us = sim_wall_us,
    .mono_ns = sim_mono_ns,
    .sleep_ns = sim_sleep_ns,
    .random = sim_random,
};

OsSim *os_sim_new(uint64_t seed)
{
    OsSim *sim = mem_new(OsSim, 1);
    Rng rng = {seed};
    sim->os.ops = &sim_ops;
    mutex_init(&sim->mu);
    cond_init(&sim->syncs_go);
    sim->root = sim_node_new(true, wall_start_ns / 1000);
    sim->cut_rng = (Rng){rng_next(&rng)};
    sim->random_rng = (Rng){rng_next(&rng)};
    sim->boot = 1;
    sim->next_group = 1;
    sim->wall_ns = wall_start_ns;
    sim->mono_ns = 1000000000;
    return sim;
}

void os_sim_free(OsSim *sim)
{
    if (sim == NULL) {
        return;
    }
    ASSERT(sim->handles == NULL); // a file was not closed
    sim_dirs_forget(&sim->disk);
    sim_node_unref(sim->root, &sim->disk);
    cond_deinit(&sim->syncs_go);
    mutex_deinit(&sim->mu);
    mem_free(sim);
}

Os *os_sim_os(OsSim *sim)
{
    return &sim->os;
}

void os_sim_power_cut(OsSim *sim)
{
    mutex_lock(&sim->mu);
    for (SimNode *node = sim->disk.first, *next = NULL; node != NULL; node = next) {
        next = node->dirty_next;
        if (!node->is_dir) {
            sim_data_cut(&node->data, &sim->cut_rng);
            sim_dirty_remove(&sim->disk, node);
            sim_node_charge(node, &sim->disk);
        }
    }
    for (SimHandle *h = sim->handles; h != NULL; h = h->next) {
        if (h->boot == sim->boot) {
            h->node->handles--;
            h->node->locked = false;
            sim_node_charge(h->node, &sim->disk);
        }
    }
    sim_dirs_cut(&sim->disk, &sim->cut_rng);
    sim->boot++;
    sim->cut_at = 0;
    sim->sync_fail_in = 0;
    atomic_store_explicit(&sim->down, false, memory_order_relaxed); // relaxed: see gate_locked()
    mutex_unlock(&sim->mu);
}

void os_sim_cut_at(OsSim *sim, uint64_t n)
{
    mutex_lock(&sim->mu);
    // Relaxed: see gate_locked().
    sim->cut_at = n == 0 ? 0 : atomic_load_explicit(&sim->calls, memory_order_relaxed) + n;
    mutex_unlock(&sim->mu);
}

bool os_sim_is_down(const OsSim *sim)
{
    return atomic_load_explicit(&sim->down, memory_order_relaxed); // relaxed: see gate_locked()
}

uint64_t os_sim_call_count(const OsSim *sim)
{
    return atomic_load_explicit(&sim->calls, memory_order_relaxed); // relaxed: see gate_locked()
}

void os_sim_fail_sync_at(OsSim *sim, uint64_t n)
{
    mutex_lock(&sim->mu);
    sim->sync_fail_in = n;
    mutex_unlock(&sim->mu);
}

void os_sim_hold_syncs(OsSim *sim, bool hold)
{
    mutex_lock(&sim->mu);
    sim->holds_syncs = hold;
    cond_broadcast(&sim->syncs_go);
    mutex_unlock(&sim->mu);
}

uint32_t os_sim_held_syncs(const OsSim *sim)
{
    OsSim *s = (OsSim *)(uintptr_t)sim; // only to lock it
    mutex_lock(&s->mu);
    const uint32_t held = s->holds_syncs ? s->held_syncs : 0;
    mutex_unlock(&s->mu);
    return held;
}

void os_sim_set_wall_us(OsSim *sim, int64_t us)
{
    mutex_lock(&sim->mu);
    sim->wall_ns = us * 1000;
    mutex_unlock(&sim->mu);
}

void os_sim_advance_ns(OsSim *sim, int64_t ns)
{
    ASSERT(ns >= 0);
    mutex_lock(&sim->mu);
    sim->wall_ns += ns;
    sim->mono_ns += ns;
    mutex_unlock(&sim->mu);
}

void os_sim_set_capacity(OsSim *sim, uint64_t bytes)
{
    mutex_lock(&sim->mu);
    sim->capacity_pages = (bytes + SIM_PAGE_BYTES - 1) / SIM_PAGE_BYTES;
    mutex_unlock(&sim->mu);
}

Status os_sim_flip_bit(OsSim *sim, Str path, uint64_t offset, uint32_t bit, Err *err)
{
    Status st = OK;
    SimNode *node = NULL;
    mutex_lock(&sim->mu);
    TRY_OUT(node_of(sim, path, &node, err));
    if (node->is_dir || offset >= node->data.size_bytes || bit > 7) {
        st = err_set(err, ERR_INVALID, "'" STR_FMT "' has no bit %" PRIu32 " at %" PRIu64,
                     PATH_ARG(path), bit, offset);
        goto out;
    }
    sim_data_flip(&node->data, offset, (uint8_t)(1u << bit));
    sim_node_charge(node, &sim->disk);
out:
    mutex_unlock(&sim->mu);
    return st;
}
