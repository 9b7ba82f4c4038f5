// SPDX-License-Identifier: Apache-2.0
#include "store/scan_dedup.h"

#include "base/buf.h"
#include "base/mem.h"
#include "codec/hash.h"

// --- keys ----------------------------------------------------------------------------------------

// Hash of one label. The name's length comes first, so that no two labels have the same bytes.
static SampleKey label_key(Str name, Str value, uint64_t secret, Buf *buf)
{
    buf_clear(buf);
    buf_put_u32le(buf, (uint32_t)name.len);
    buf_put_str(buf, name);
    buf_put_str(buf, value);
    const Hash128 h = hash_xxh3_128(buf_bytes(buf), secret);
    return (SampleKey){.lo = h.lo, .hi = h.hi};
}

static void add_key(SampleKey *to, SampleKey k)
{
    to->lo += k.lo;
    to->hi += k.hi;
}

typedef struct KeyJob {
    uint64_t secret;
    Buf buf;
    Arena *scratch;
} KeyJob;

// Keys of the rows of a FLAT STRING vector; an absent or empty label adds nothing.
static SampleKey *flat_keys(KeyJob *job, Str label, const Vector *v)
{
    SampleKey *keys = arena_new(job->scratch, SampleKey, v->row_count);
    for (uint32_t i = 0; i < v->row_count; i++) {
        if (validity_get(v->validity, i) && v->offsets[i + 1] > v->offsets[i]) {
            keys[i] = label_key(label, vector_flat_str(v, i), job->secret, &job->buf);
        }
    }
    return keys;
}

// Keys of the labels in the rows of a FLAT MAP vector.
static SampleKey *map_keys(KeyJob *job, const Vector *v)
{
    SampleKey *keys = arena_new(job->scratch, SampleKey, v->row_count);
    for (uint32_t i = 0; i < v->row_count; i++) {
        if (!validity_get(v->validity, i)) {
            continue;
        }
        for (uint32_t e = v->offsets[i]; e < v->offsets[i + 1]; e++) {
            const Vector *flat;
            uint32_t at;
            if (!vector_locate(v->keys, e, &flat, &at)) {
                continue;
            }
            const Str name = vector_flat_str(flat, at);
            if (vector_locate(v->values, e, &flat, &at) &&
                flat->offsets[at + 1] > flat->offsets[at]) {
                add_key(&keys[i],
                        label_key(name, vector_flat_str(flat, at), job->secret, &job->buf));
            }
        }
    }
    return keys;
}

// Keys of the elements of a FLAT or DICT vector.
static SampleKey *element_keys(KeyJob *job, const IdentityColumn *c, const Vector *v)
{
    if (v->form == VECTOR_FLAT) {
        return v->type == COLUMN_MAP ? map_keys(job, v) : flat_keys(job, c->label, v);
    }
    // A dictionary may be much larger than the rows that use it.
    if (v->dict->row_count > v->row_count) {
        const Vector flat = vector_flatten(v, job->scratch);
        return flat_keys(job, c->label, &flat);
    }
    SampleKey *of_dict = flat_keys(job, c->label, v->dict);
    SampleKey *keys = arena_new(job->scratch, SampleKey, v->row_count);
    for (uint32_t i = 0; i < v->row_count; i++) {
        if (validity_get(v->validity, i)) {
            keys[i] = of_dict[v->codes[i]];
        }
    }
    return keys;
}

static void add_column(KeyJob *job, const IdentityColumn *c, SampleKey *out)
{
    const Vector *v = c->vector;
    if (v->form != VECTOR_RUNS) {
        const SampleKey *keys = element_keys(job, c, v);
        for (uint32_t i = 0; i < v->row_count; i++) {
            add_key(&out[i], keys[i]);
        }
        return;
    }
    const SampleKey *keys = element_keys(job, c, v->runs);
    uint32_t row = 0;
    for (uint32_t run = 0; run < v->run_count; run++) {
        for (; row < v->run_ends[run]; row++) {
            add_key(&out[row], keys[run]);
        }
    }
}

void dedup_keys(const IdentityColumn *columns, size_t column_count, const Vector *timestamps,
                uint64_t secret, SampleKey *out, Arena *scratch)
{
    KeyJob job = {.secret = secret, .scratch = scratch};
    const uint32_t row_count = timestamps->row_count;
    memset(out, 0, row_count * sizeof(*out));
    buf_init(&job.buf, 0);
    for (size_t i = 0; i < column_count; i++) {
        ASSERT(columns[i].vector->row_count == row_count);
        add_column(&job, &columns[i], out);
    }
    buf_deinit(&job.buf);
    const Vector flat = vector_flatten(timestamps, scratch);
    const int64_t *us = flat.data;
    for (uint32_t i = 0; i < row_count; i++) {
        const uint64_t t = hash_u64((uint64_t)us[i] + secret);
        out[i].lo = hash_u64(out[i].lo ^ t);
        out[i].hi += t;
    }
}

// --- the set -------------------------------------------------------------------------------------

typedef struct DedupSlot {
    SampleKey key;
    uint32_t rank; // 0: empty
} DedupSlot;

struct Dedup {
    Budget *budget;
    DedupSlot *slots; // open addressing, a power of two, at most two thirds full
    size_t slot_count;
    size_t key_count;
};

enum { SLOTS_MIN = 4096 };

Dedup *dedup_new(Budget *budget)
{
    Dedup *d = mem_new(Dedup, 1);
    d->budget = budget;
    d->slot_count = SLOTS_MIN;
    d->slots = mem_new(DedupSlot, d->slot_count);
    budget_charge(budget, d->slot_count * sizeof(*d->slots));
    return d;
}

void dedup_free(Dedup *d)
{
    if (d == NULL) {
        return;
    }
    budget_release(d->budget, d->slot_count * sizeof(*d->slots));
    mem_free(d->slots);
    mem_free(d);
}

uint64_t dedup_key_count(const Dedup *d)
{
    return d->key_count;
}

static DedupSlot *find_slot(const Dedup *d, SampleKey key)
{
    const size_t mask = d->slot_count - 1;
    size_t at = key.lo & mask;
    while (d->slots[at].rank != 0 &&
           (d->slots[at].key.lo != key.lo || d->slots[at].key.hi != key.hi)) {
        at = (at + 1) & mask;
    }
    return &d->slots[at];
}

static Status grow(Dedup *d, Err *err)
{
    const size_t old_count = d->slot_count;
    DedupSlot *old = d->slots;
    TRY(budget_reserve(d->budget, 2 * old_count * sizeof(*old),
                       "finding the newest of overlapping samples", err));
    d->slot_count = 2 * old_count;
    d->slots = mem_new(DedupSlot, d->slot_count);
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].rank != 0) {
            *find_slot(d, old[i].key) = old[i];
        }
    }
    budget_release(d->budget, old_count * sizeof(*old));
    mem_free(old);
    return OK;
}

Status dedup_add(Dedup *d, const SampleKey *keys, uint32_t count, uint32_t rank, Err *err)
{
    ASSERT(rank > 0);
    for (uint32_t i = 0; i < count; i++) {
        if ((d->key_count + 1) * 3 > d->slot_count * 2) {
            TRY(grow(d, err));
        }
        DedupSlot *slot = find_slot(d, keys[i]);
        if (slot->rank == 0) {
            slot->key = keys[i];
            d->key_count++;
        }
        slot->rank = slot->rank < rank ? rank : slot->rank;
    }
    return OK;
}

void dedup_filter(const Dedup *d, const SampleKey *keys, uint32_t count, uint32_t rank,
                  bool must_know, uint64_t *selection)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t known = find_slot(d, keys[i])->rank;
        const bool drop = known > rank || (must_know && known != rank);
        selection[i >> 6] &= ~((uint64_t)drop << (i & 63));
    }
}
