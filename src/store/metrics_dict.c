// SPDX-License-Identifier: Apache-2.0
#include "store/metrics_dict_internal.h"

#include "codec/hash.h"
#include "codec/varint.h"
#include "os/thread.h"

enum { SLOTS_FIRST = 16, LENGTH_BYTES_MAX = 3, LENGTH_MAX = (1 << 21) - 1 };

// --- MetricsArray --------------------------------------------------------------------------------

void *metrics_array_put(MetricsArray *a, uint32_t i, size_t size, uint64_t *bytes)
{
    const MetricsArrayPlace p = metrics_array_place(i, METRICS_ARRAY_FIRST_LOG);
    ASSERT(p.chunk < METRICS_ARRAY_CHUNKS);
    if (a->chunks[p.chunk] == NULL) {
        a->chunks[p.chunk] = mem_alloc(p.chunk_len, size);
        *bytes += p.chunk_len * size;
    }
    return (uint8_t *)a->chunks[p.chunk] + p.offset * size;
}

void metrics_array_deinit(MetricsArray *a)
{
    for (size_t i = 0; i < METRICS_ARRAY_CHUNKS; i++) {
        mem_free(a->chunks[i]);
        a->chunks[i] = NULL;
    }
}

// --- hash tables --------------------------------------------------------------------------------

void *metrics_table_new(size_t count, size_t size)
{
    // Slots are read before they are written. In untouched memory that would be two page faults for
    // each page, the second with an interrupt for every CPU: so all of it is written first.
    void *table = mem_alloc_aligned(count * size);
    os_memory_large_pages(table, count * size);
    memset(table, 0, count * size);
    return table;
}

// --- MetricsDict ---------------------------------------------------------------------------------

void metrics_dict_deinit(MetricsDict *d)
{
    metrics_array_deinit(&d->bytes);
    metrics_array_deinit(&d->positions);
    mem_free(d->slots);
    *d = (MetricsDict){0};
}

static uint32_t hash_of(Str s, uint64_t key)
{
    return (uint32_t)hash_xxh3_64((Bytes){(const uint8_t *)s.ptr, s.len}, key);
}

// The hash scaled to the table: slots are in the order of hashes, so growing one table into another
// runs through both from front to back.
static uint32_t slot_of(uint32_t hash, uint32_t slot_count)
{
    return (uint32_t)(((uint64_t)hash * slot_count) >> 32);
}

static uint32_t find(const MetricsDict *d, Str s, uint32_t hash)
{
    if (d->slot_count == 0) {
        return METRICS_CODE_NONE;
    }
    uint32_t at = slot_of(hash, d->slot_count);
    while (d->slots[at].code_plus_1 != 0) {
        const MetricsDictSlot slot = d->slots[at];
        if (slot.hash == hash && str_eq(metrics_dict_str(d, slot.code_plus_1 - 1), s)) {
            return slot.code_plus_1 - 1;
        }
        at = at + 1 == d->slot_count ? 0 : at + 1;
    }
    return METRICS_CODE_NONE;
}

static void insert(MetricsDictSlot *slots, uint32_t slot_count, MetricsDictSlot slot)
{
    uint32_t at = slot_of(slot.hash, slot_count);
    while (slots[at].code_plus_1 != 0) {
        at = at + 1 == slot_count ? 0 : at + 1;
    }
    slots[at] = slot;
}

// Makes room for one more while at most 13 of 16 slots are taken.
static void grow(MetricsDict *d)
{
    if ((uint64_t)(d->count + 1) * 16 <= (uint64_t)d->slot_count * 13) {
        return;
    }
    const uint32_t slot_count =
        d->slot_count < SLOTS_FIRST ? SLOTS_FIRST : d->slot_count + d->slot_count / 2;
    MetricsDictSlot *slots = metrics_table_new(slot_count, sizeof(*slots));
    for (uint32_t i = 0; i < d->slot_count; i++) {
        if (d->slots[i].code_plus_1 != 0) {
            insert(slots, slot_count, d->slots[i]);
        }
    }
    d->size_bytes += (uint64_t)(slot_count - d->slot_count) * sizeof(*slots);
    mem_free(d->slots);
    d->slots = slots;
    d->slot_count = slot_count;
}

// Where the next string of `need` bytes (with its length) goes; the end of a chunk that is too
// short stays empty.
static uint8_t *room_for(MetricsDict *d, uint32_t need)
{
    MetricsArrayPlace p = metrics_array_place(d->next_position, METRICS_BYTES_FIRST_LOG);
    while (p.chunk_len - p.offset < need) {
        d->next_position += p.chunk_len - p.offset;
        p = metrics_array_place(d->next_position, METRICS_BYTES_FIRST_LOG);
    }
    ASSERT(p.chunk < METRICS_ARRAY_CHUNKS);
    if (d->bytes.chunks[p.chunk] == NULL) {
        d->bytes.chunks[p.chunk] = mem_alloc_raw(p.chunk_len);
        d->size_bytes += p.chunk_len;
    }
    return (uint8_t *)d->bytes.chunks[p.chunk] + p.offset;
}

uint32_t metrics_dict_find(const MetricsDict *d, Str s, uint64_t key)
{
    return find(d, s, hash_of(s, key));
}

void metrics_dict_prefetch(const MetricsDict *d, Str s, uint64_t key)
{
    if (d->count != 0 && !str_eq(s, d->last)) {
        __builtin_prefetch(&d->slots[slot_of(hash_of(s, key), d->slot_count)], 1);
    }
}

uint32_t metrics_dict_put(MetricsDict *d, Str s, uint64_t key)
{
    if (d->count != 0 && str_eq(s, d->last)) {
        return d->last_code;
    }
    const uint32_t hash = hash_of(s, key);
    uint32_t code = find(d, s, hash);
    if (code != METRICS_CODE_NONE) {
        d->last = metrics_dict_str(d, code);
        d->last_code = code;
        return code;
    }
    if (d->count == METRICS_CODE_NONE || s.len > LENGTH_MAX ||
        d->next_position > METRICS_DICT_BYTES_MAX) {
        return code;
    }
    grow(d);
    code = d->count++;
    uint8_t *at = room_for(d, (uint32_t)s.len + LENGTH_BYTES_MAX);
    uint8_t *text = varint_write_u64(at, s.len);
    if (s.len != 0) {
        memcpy(text, s.ptr, s.len);
    }
    *(uint32_t *)metrics_array_put(&d->positions, code, sizeof(uint32_t), &d->size_bytes) =
        d->next_position;
    d->next_position += (uint32_t)(text - at) + (uint32_t)s.len;
    insert(d->slots, d->slot_count, (MetricsDictSlot){hash, code + 1});
    d->last = (Str){(const char *)text, s.len};
    d->last_code = code;
    return code;
}
