// SPDX-License-Identifier: Apache-2.0
//
// The parts of the simulated disk. Not thread-safe: sim.c holds its lock around all of this.
//
// SimData   the bytes of one file, with what it takes to forget those that were not synced
// SimNode   a file or a folder; counted references, because unsynced changes keep the old ones
// alive
#pragma once

#include "base/buf.h"
#include "base/rng.h"
#include "os/os.h"

enum {
    SIM_PAGE_BYTES = 4096,
    SIM_SECTOR_BYTES = 512,
};
#define SIM_FILE_MAX (UINT64_C(8) << 30) // bytes; larger is EFBIG

typedef struct SimPage {
    uint8_t *bytes; // NULL: zeros
    uint64_t epoch; // equal to that of the file: `saved` knows the synced state of this page
} SimPage;

typedef struct SimSaved {
    size_t page;
    uint8_t *bytes;
} SimSaved;

typedef enum SimOpKind { SIM_WRITE, SIM_TRUNCATE, SIM_ALLOCATE } SimOpKind;

typedef struct SimOp {
    SimOpKind kind;
    uint64_t offset; // of a write
    uint64_t n;      // its bytes, or the size of the others
    size_t redo;     // where in SimData.redo the bytes of a write are
} SimOp;

// Pages hold the current contents. The first change of a page after a sync moves the synced page to
// `saved`; every change is also noted in `ops`. So a sync forgets both, and a power cut puts back
// the saved pages and repeats the ops that survive: both cost what was changed, not what the file
// holds.
typedef struct SimData {
    SimPage *pages;
    size_t page_count, page_cap;
    uint64_t size_bytes, synced_size_bytes;
    uint64_t allocated_bytes, synced_allocated_bytes; // [0, that) has room on the disk
    uint64_t epoch;                                   // one more with every sync
    SimSaved *saved;
    size_t saved_count, saved_cap;
    SimOp *ops;
    size_t op_count, op_cap;
    Buf redo;
    uint64_t used_pages; // on the disk, when used_known
    bool used_known;
} SimData;

void sim_data_init(SimData *d);
void sim_data_deinit(SimData *d);
size_t sim_data_read(const SimData *d, uint64_t offset, void *into, size_t n);
void sim_data_write(SimData *d, uint64_t offset, Bytes bytes);
void sim_data_truncate(SimData *d, uint64_t size_bytes);
void sim_data_allocate(SimData *d, uint64_t size_bytes);
void sim_data_sync(SimData *d);
void sim_data_cut(SimData *d, Rng *rng); // decides what survives; the rest is as synced
// A sync that failed: some of what was to be written is gone, and is held to be clean from now on,
// so that no later sync writes it. The size stays.
void sim_data_fail_sync(SimData *d, Rng *rng);
void sim_data_flip(SimData *d, uint64_t offset, uint8_t mask);
// Disk pages in use, and those that writing n bytes at `offset` would add.
uint64_t sim_data_pages(SimData *d);
uint64_t sim_data_new_pages(const SimData *d, uint64_t offset, uint64_t n);

static inline bool sim_data_is_dirty(const SimData *d)
{
    return d->op_count != 0;
}

typedef struct SimNode SimNode;

typedef struct SimEntry {
    Str name; // owned by the entry
    SimNode *node;
} SimEntry;

// One change of a folder: the name meant `before` and means `after` now (NULL: nothing).
typedef struct SimChange {
    Str name;
    SimNode *before, *after;
    uint64_t group;     // changes of one call survive together
    SimNode *other_dir; // the other folder of a rename between two, else NULL
} SimChange;

struct SimNode {
    uint32_t refs;    // entries, changes, handles
    uint32_t names;   // entries
    uint32_t handles; // of this boot
    bool is_dir;
    bool locked;
    int64_t modified_us;
    uint64_t charged_pages; // counted in SimDisk.used_pages
    SimData data;           // of a file
    SimEntry *entries;      // of a folder, by name
    size_t entry_count, entry_cap;
    SimChange *changes; // since the last sync
    size_t change_count, change_cap;
    SimNode *dirty_prev, *dirty_next; // list of SimDisk, when is_dirty
    bool is_dirty;
};

typedef struct SimDisk {
    SimNode *first, *last; // files and folders with unsynced changes, in the order they became so
    uint64_t used_pages;   // by files that have a name or an open handle
} SimDisk;

SimNode *sim_node_new(bool is_dir, int64_t now_us); // one reference, the caller's
SimNode *sim_node_ref(SimNode *node);
void sim_node_unref(SimNode *node, SimDisk *disk); // accepts NULL

// Brings SimDisk.used_pages up to date after the contents, names or handles of `node` changed.
void sim_node_charge(SimNode *node, SimDisk *disk);

void sim_dirty_add(SimDisk *disk, SimNode *node);
void sim_dirty_remove(SimDisk *disk, SimNode *node);

SimNode *sim_dir_find(const SimNode *dir, Str name); // borrowed; NULL when absent

// Makes change.name mean change.after and notes the change; `before` is filled in. Everything in
// `change` is borrowed. The caller has checked that it is allowed.
void sim_dir_change(SimNode *dir, SimChange change, SimDisk *disk);
void sim_dir_sync(SimNode *dir, SimDisk *disk);
// Cuts all folders of the list: each keeps a prefix of its changes. Empties the list of folders.
void sim_dirs_cut(SimDisk *disk, Rng *rng);
// Drops what folders note about unsynced changes, so that nothing but names holds nodes. At the
// end.
void sim_dirs_forget(SimDisk *disk);
bool sim_dir_contains(const SimNode *dir, const SimNode *node); // at any depth
