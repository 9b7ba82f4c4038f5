// SPDX-License-Identifier: Apache-2.0
//
// Names on the simulated disk. See sim_internal.h for the idea.
#include "base/mem.h"
#include "os/sim_internal.h"

SimNode *sim_node_new(bool is_dir, int64_t now_us)
{
    SimNode *node = mem_new(SimNode, 1);
    node->refs = 1;
    node->is_dir = is_dir;
    node->modified_us = now_us;
    sim_data_init(&node->data);
    return node;
}

SimNode *sim_node_ref(SimNode *node)
{
    node->refs++;
    return node;
}

// Names of entries and changes are owned; their bytes are const only because Str is a view.
static void free_name(Str name)
{
    mem_free((void *)(uintptr_t)name.ptr); // NOLINT(performance-no-int-to-ptr)
}

static void change_deinit(SimChange *change, SimDisk *disk)
{
    free_name(change->name);
    sim_node_unref(change->before, disk);
    sim_node_unref(change->after, disk);
    sim_node_unref(change->other_dir, disk);
}

// Recursion is as deep as folders are nested: at most OS_PATH_MAX / 2.
void sim_node_unref(SimNode *node, SimDisk *disk)
{
    if (node == NULL || --node->refs > 0) {
        return;
    }
    sim_dirty_remove(disk, node);
    for (size_t i = 0; i < node->change_count; i++) {
        change_deinit(&node->changes[i], disk);
    }
    for (size_t i = 0; i < node->entry_count; i++) {
        SimNode *child = node->entries[i].node;
        free_name(node->entries[i].name);
        child->names--;
        sim_node_charge(child, disk);
        sim_node_unref(child, disk);
    }
    disk->used_pages -= node->charged_pages;
    mem_free(node->changes);
    mem_free(node->entries);
    sim_data_deinit(&node->data);
    mem_free(node);
}

void sim_node_charge(SimNode *node, SimDisk *disk)
{
    const bool in_use = node->names != 0 || node->handles != 0;
    const uint64_t pages = in_use && !node->is_dir ? sim_data_pages(&node->data) : 0;
    disk->used_pages += pages - node->charged_pages; // modular: the difference may be negative
    node->charged_pages = pages;
}

void sim_dirty_add(SimDisk *disk, SimNode *node)
{
    if (node->is_dirty) {
        return;
    }
    node->is_dirty = true;
    node->dirty_prev = disk->last;
    node->dirty_next = NULL;
    if (disk->last != NULL) {
        disk->last->dirty_next = node;
    } else {
        disk->first = node;
    }
    disk->last = node;
}

void sim_dirty_remove(SimDisk *disk, SimNode *node)
{
    if (!node->is_dirty) {
        return;
    }
    node->is_dirty = false;
    if (node->dirty_prev != NULL) {
        node->dirty_prev->dirty_next = node->dirty_next;
    } else {
        disk->first = node->dirty_next;
    }
    if (node->dirty_next != NULL) {
        node->dirty_next->dirty_prev = node->dirty_prev;
    } else {
        disk->last = node->dirty_prev;
    }
}

static int compare(Str a, Str b)
{
    const int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

// Where `name` is, or belongs.
static size_t position_of(const SimNode *dir, Str name)
{
    size_t low = 0, high = dir->entry_count;
    // Names are mostly made in ascending order (numbered files), so the end is tried first.
    if (high > 0 && compare(dir->entries[high - 1].name, name) < 0) {
        return high;
    }
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (compare(dir->entries[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

SimNode *sim_dir_find(const SimNode *dir, Str name)
{
    const size_t at = position_of(dir, name);
    const bool found = at < dir->entry_count && str_eq(dir->entries[at].name, name);
    return found ? dir->entries[at].node : NULL;
}

static Str copy_name(Str name)
{
    char *copy = mem_alloc_raw(name.len);
    memcpy(copy, name.ptr, name.len);
    return (Str){copy, name.len};
}

// Makes `name` mean `node`, or nothing when that is NULL.
static void set_entry(SimNode *dir, Str name, SimNode *node, SimDisk *disk)
{
    const size_t at = position_of(dir, name);
    const bool found = at < dir->entry_count && str_eq(dir->entries[at].name, name);
    SimNode *old = found ? dir->entries[at].node : NULL;
    if (node != NULL) {
        (void)sim_node_ref(node);
        node->names++;
        sim_node_charge(node, disk);
    }
    if (found && node != NULL) {
        dir->entries[at].node = node;
    } else if (found) {
        free_name(dir->entries[at].name);
        memmove(dir->entries + at, dir->entries + at + 1,
                (dir->entry_count - at - 1) * sizeof(*dir->entries));
        dir->entry_count--;
    } else if (node != NULL) {
        dir->entries =
            mem_grow(dir->entries, &dir->entry_cap, dir->entry_count + 1, sizeof(*dir->entries));
        memmove(dir->entries + at + 1, dir->entries + at,
                (dir->entry_count - at) * sizeof(*dir->entries));
        dir->entries[at] = (SimEntry){copy_name(name), node};
        dir->entry_count++;
    }
    if (old != NULL) {
        old->names--;
        sim_node_charge(old, disk);
        sim_node_unref(old, disk);
    }
}

void sim_dir_change(SimNode *dir, SimChange change, SimDisk *disk)
{
    SimNode *before = sim_dir_find(dir, change.name);
    change.before = before == NULL ? NULL : sim_node_ref(before);
    change.after = change.after == NULL ? NULL : sim_node_ref(change.after);
    change.other_dir = change.other_dir == NULL ? NULL : sim_node_ref(change.other_dir);
    change.name = copy_name(change.name);
    dir->changes =
        mem_grow(dir->changes, &dir->change_cap, dir->change_count + 1, sizeof(*dir->changes));
    dir->changes[dir->change_count++] = change;
    set_entry(dir, change.name, change.after, disk);
    sim_dirty_add(disk, dir);
}

// The number of changes up to and including the last one of `group`; 0 when there is none.
static size_t end_of_group(const SimNode *dir, uint64_t group)
{
    size_t n = dir->change_count;
    while (n > 0 && dir->changes[n - 1].group != group) {
        n--;
    }
    return n;
}

// Makes the first `n` changes durable, and with each half of a rename between two folders the other
// half, as a journal does that has both in one transaction. It recurses only after it has taken its
// own changes off the list, so it ends.
static void sync_prefix(SimNode *dir, size_t n, SimDisk *disk)
{
    if (n == 0) {
        return;
    }
    SimChange *done = mem_alloc(n, sizeof(*done));
    memcpy(done, dir->changes, n * sizeof(*done));
    memmove(dir->changes, dir->changes + n, (dir->change_count - n) * sizeof(*done));
    dir->change_count -= n;
    if (dir->change_count == 0) {
        sim_dirty_remove(disk, dir);
    }
    for (size_t i = 0; i < n; i++) {
        if (done[i].other_dir != NULL) {
            sync_prefix(done[i].other_dir, end_of_group(done[i].other_dir, done[i].group), disk);
        }
        change_deinit(&done[i], disk);
    }
    mem_free(done);
}

void sim_dir_sync(SimNode *dir, SimDisk *disk)
{
    sync_prefix(dir, dir->change_count, disk);
}

// A folder during a cut, and how many of its changes survive.
typedef struct Cut {
    SimNode *dir;
    size_t kept;
} Cut;

static size_t choose_kept(const SimNode *dir, Rng *rng)
{
    const uint64_t mode = rng_below(rng, 4);
    size_t kept = mode == 0 ? 0 : dir->change_count;
    if (mode >= 2) {
        kept = (size_t)rng_below(rng, dir->change_count + 1);
    }
    while (kept > 0 && kept < dir->change_count &&
           dir->changes[kept].group == dir->changes[kept - 1].group) {
        kept--;
    }
    return kept;
}

// Takes back both halves of renames between two folders when one half was not kept. Returns whether
// anything changed; called until nothing does.
static bool match_halves(Cut *cut, const Cut *cuts, size_t count)
{
    for (size_t i = 0; i < cut->kept; i++) {
        const SimChange *change = &cut->dir->changes[i];
        for (size_t k = 0; change->other_dir != NULL && k < count; k++) {
            const size_t end = cuts[k].dir == change->other_dir
                                   ? end_of_group(change->other_dir, change->group)
                                   : 0;
            if (end > cuts[k].kept) {
                cut->kept = i;
                return true;
            }
        }
    }
    return false;
}

static void forget_changes(SimNode *dir, SimDisk *disk)
{
    for (size_t k = 0; k < dir->change_count; k++) {
        change_deinit(&dir->changes[k], disk);
    }
    dir->change_count = 0;
}

void sim_dirs_cut(SimDisk *disk, Rng *rng)
{
    Cut *cuts = NULL;
    size_t count = 0, cap = 0;
    while (disk->first != NULL) {
        SimNode *dir = sim_node_ref(disk->first);
        sim_dirty_remove(disk, dir);
        cuts = mem_grow(cuts, &cap, count + 1, sizeof(*cuts));
        cuts[count++] = (Cut){dir, choose_kept(dir, rng)};
    }
    for (bool again = count > 1; again;) {
        again = false;
        for (size_t i = 0; i < count; i++) {
            again = match_halves(&cuts[i], cuts, count) || again;
        }
    }
    for (size_t i = 0; i < count; i++) {
        SimNode *dir = cuts[i].dir;
        for (size_t k = dir->change_count; k > cuts[i].kept; k--) {
            set_entry(dir, dir->changes[k - 1].name, dir->changes[k - 1].before, disk);
        }
    }
    // Only now, when all names are as they were, may nodes go.
    for (size_t i = 0; i < count; i++) {
        forget_changes(cuts[i].dir, disk);
        sim_node_unref(cuts[i].dir, disk);
    }
    mem_free(cuts);
}

void sim_dirs_forget(SimDisk *disk)
{
    while (disk->first != NULL) {
        SimNode *node = sim_node_ref(disk->first);
        sim_dirty_remove(disk, node);
        forget_changes(node, disk);
        sim_node_unref(node, disk);
    }
}

bool sim_dir_contains(const SimNode *dir, const SimNode *node)
{
    for (size_t i = 0; i < dir->entry_count; i++) {
        const SimNode *child = dir->entries[i].node;
        if (child == node || (child->is_dir && sim_dir_contains(child, node))) {
            return true;
        }
    }
    return false;
}
