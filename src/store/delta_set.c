// SPDX-License-Identifier: Apache-2.0
//
// The committer's table of files, and the immutable states made from it. A state is one array of
// its files, copied from the table (about 130 bytes per file), whose texts stay where they were
// parsed.
#include "store/delta_internal.h"

#include "base/mem.h"
#include "codec/hash.h"

enum { SLOT_USED = UINT32_MAX };

void delta_set_init(DeltaSet *set)
{
    *set = (DeltaSet){0};
    arena_init(&set->arena, 0);
}

// The entry stops being anything; its text goes when nobody else needs it.
static void drop_entry(DeltaEntry *entry)
{
    entry->kind = DELTA_GONE;
    entry->chunk->live--;
    if (entry->chunk->live == 0) {
        delta_chunk_unref(entry->chunk);
    }
    entry->chunk = NULL;
    entry->file = (DeltaFile){0};
}

void delta_set_deinit(DeltaSet *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->entries[i].kind != DELTA_GONE) {
            drop_entry(&set->entries[i]);
        }
    }
    mem_free(set->entries);
    mem_free(set->slots);
    mem_free(set->txns);
    delta_meta_unref(set->meta);
    arena_deinit(&set->arena);
    *set = (DeltaSet){0};
}

static uint64_t hash_path(Str path)
{
    return hash_xxh3_64((Bytes){.ptr = (const uint8_t *)path.ptr, .len = path.len}, 0);
}

// The slot of `path`, or SIZE_MAX.
static size_t find_slot(const DeltaSet *set, Str path, uint64_t hash)
{
    if (set->slot_count == 0) {
        return SIZE_MAX;
    }
    const size_t mask = set->slot_count - 1;
    for (size_t i = (size_t)hash & mask; set->slots[i] != 0; i = (i + 1) & mask) {
        if (set->slots[i] == SLOT_USED) {
            continue;
        }
        const DeltaEntry *entry = &set->entries[set->slots[i] - 1];
        if (entry->hash == hash && str_eq(entry->file.path, path)) {
            return i;
        }
    }
    return SIZE_MAX;
}

const DeltaEntry *delta_set_find(const DeltaSet *set, Str path)
{
    const size_t slot = find_slot(set, path, hash_path(path));
    return slot == SIZE_MAX ? NULL : &set->entries[set->slots[slot] - 1];
}

static void put_slot(DeltaSet *set, size_t index)
{
    const size_t mask = set->slot_count - 1;
    size_t i = (size_t)set->entries[index].hash & mask;
    while (set->slots[i] != 0) {
        i = (i + 1) & mask;
    }
    set->slots[i] = (uint32_t)index + 1;
    set->slots_used++;
}

// Closes the gaps in the entries and makes a table of slots with room for one more.
static void rebuild(DeltaSet *set)
{
    size_t kept = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (set->entries[i].kind != DELTA_GONE) {
            set->entries[kept++] = set->entries[i];
        }
    }
    set->count = kept;
    set->gone = 0;
    size_t slot_count = 64;
    while (slot_count < kept * 4) {
        slot_count *= 2;
    }
    mem_free(set->slots);
    set->slots = mem_new(uint32_t, slot_count);
    set->slot_count = slot_count;
    set->slots_used = 0;
    for (size_t i = 0; i < kept; i++) {
        put_slot(set, i);
    }
}

static void push_entry(DeltaSet *set, DeltaEntry entry)
{
    if (set->slots_used * 2 >= set->slot_count || set->gone > 64 + set->count / 2) {
        rebuild(set);
    }
    if (entry.chunk->live++ == 0) {
        delta_chunk_ref(entry.chunk);
    }
    set->entries = mem_grow(set->entries, &set->cap, set->count + 1, sizeof(*set->entries));
    set->entries[set->count++] = entry;
    set->live += entry.kind == DELTA_LIVE ? 1 : 0;
    put_slot(set, set->count - 1);
}

// Takes out what is known of `path`.
static void forget(DeltaSet *set, Str path, uint64_t hash)
{
    const size_t slot = find_slot(set, path, hash);
    if (slot == SIZE_MAX) {
        return;
    }
    DeltaEntry *entry = &set->entries[set->slots[slot] - 1];
    set->slots[slot] = SLOT_USED;
    set->live -= entry->kind == DELTA_LIVE ? 1 : 0;
    set->gone++;
    drop_entry(entry);
}

static void apply_txn(DeltaSet *set, DeltaTxnAction action)
{
    for (size_t i = 0; i < set->txn_count; i++) {
        if (str_eq(set->txns[i].txn.app_id, action.txn.app_id)) {
            set->txns[i].txn.version = action.txn.version;
            set->txns[i].updated_ms = action.updated_ms;
            return;
        }
    }
    action.txn.app_id = arena_str(&set->arena, action.txn.app_id);
    set->txns = mem_grow(set->txns, &set->txn_cap, set->txn_count + 1, sizeof(*set->txns));
    set->txns[set->txn_count++] = action;
}

void delta_set_apply(DeltaSet *set, const DeltaActions *actions)
{
    for (size_t i = 0; i < actions->remove_count; i++) {
        const DeltaRemove *remove = &actions->removes[i];
        const uint64_t hash = hash_path(remove->path);
        forget(set, remove->path, hash);
        push_entry(set, (DeltaEntry){.kind = DELTA_TOMBSTONE,
                                     .chunk = actions->chunk,
                                     .hash = hash,
                                     .file = {.path = remove->path},
                                     .deleted_ms = remove->deleted_ms,
                                     .data_change = remove->data_change});
    }
    for (size_t i = 0; i < actions->add_count; i++) {
        const uint64_t hash = hash_path(actions->adds[i].path);
        forget(set, actions->adds[i].path, hash);
        push_entry(set, (DeltaEntry){.kind = DELTA_LIVE,
                                     .chunk = actions->chunk,
                                     .hash = hash,
                                     .file = actions->adds[i]});
    }
    for (size_t i = 0; i < actions->txn_count; i++) {
        apply_txn(set, actions->txns[i]);
    }
    if (actions->meta != NULL) {
        delta_meta_ref(actions->meta);
        delta_meta_unref(set->meta);
        set->meta = actions->meta;
    }
    set->has_protocol |= actions->has_protocol;
}

DeltaState *delta_set_state(DeltaSet *set, uint64_t version)
{
    DeltaState *state = mem_new(DeltaState, 1);
    size_t chunk_cap = 0;
    atomic_store_explicit(&state->refs, 1, memory_order_relaxed); // nobody else knows it yet
    arena_init(&state->arena, 0);
    state->version = version;
    delta_meta_ref(set->meta);
    state->meta = set->meta;
    state->files = mem_alloc_raw((set->live + 1) * sizeof(*state->files));
    for (size_t i = 0; i < set->count; i++) {
        const DeltaEntry *entry = &set->entries[i];
        if (entry->kind != DELTA_LIVE) {
            continue;
        }
        state->files[state->file_count++] = entry->file;
        if (entry->chunk->mark != version) {
            entry->chunk->mark = version;
            delta_chunk_ref(entry->chunk);
            state->chunks =
                mem_grow(state->chunks, &chunk_cap, state->chunk_count + 1, sizeof(DeltaChunk *));
            state->chunks[state->chunk_count++] = entry->chunk;
        }
    }
    ASSERT(state->file_count == set->live);
    state->txns = arena_new(&state->arena, DeltaTxnAction, set->txn_count);
    state->txn_count = set->txn_count;
    for (size_t i = 0; i < set->txn_count; i++) {
        state->txns[i] = set->txns[i];
        state->txns[i].txn.app_id = arena_str(&state->arena, set->txns[i].txn.app_id);
    }
    return state;
}

// ---- states

uint64_t delta_state_version(const DeltaState *s)
{
    return s->version;
}

const Schema *delta_state_schema(const DeltaState *s)
{
    return &s->meta->schema;
}

const DeltaFile *delta_state_files(const DeltaState *s, size_t *count)
{
    *count = s->file_count;
    return s->files;
}

const Str *delta_state_partitions(const DeltaState *s, size_t *count)
{
    *count = s->meta->partition_count;
    return s->meta->partitions;
}

Str delta_state_id(const DeltaState *s)
{
    return s->meta->id;
}

int64_t delta_state_txn(const DeltaState *s, Str app_id)
{
    for (size_t i = 0; i < s->txn_count; i++) {
        if (str_eq(s->txns[i].txn.app_id, app_id)) {
            return s->txns[i].txn.version;
        }
    }
    return -1;
}

Str delta_state_config(const DeltaState *s, Str key)
{
    return delta_meta_config(s->meta, key);
}

DeltaState *delta_state_ref(DeltaState *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed); // whoever adds one holds one
    return s;
}

void delta_state_unref(DeltaState *s)
{
    // Release: our reads are done. Acquire, for the last one: so are everybody else's.
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    for (size_t i = 0; i < s->chunk_count; i++) {
        delta_chunk_unref(s->chunks[i]);
    }
    mem_free(s->chunks);
    mem_free(s->files);
    delta_meta_unref(s->meta);
    arena_deinit(&s->arena);
    mem_free(s);
}
