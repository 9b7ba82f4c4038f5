// SPDX-License-Identifier: Apache-2.0
#include "base/strmap.h"

#include "base/mem.h"

enum { SLOTS_MIN = 16 };

// FNV-1a with a final mix, so that the low bits used by the mask depend on all bytes.
static uint64_t hash_of(Str key)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < key.len; i++) {
        h = (h ^ (uint8_t)key.ptr[i]) * UINT64_C(0x100000001b3);
    }
    h = (h ^ (h >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    return h ^ (h >> 32);
}

// The slot that holds `key`, or the empty one where it belongs. There is always an empty slot.
static size_t slot_of(const StrMap *m, Str key)
{
    size_t slot = (size_t)hash_of(key) & (m->slot_count - 1);
    while (m->slots[slot] != 0 && !str_eq(m->entries[m->slots[slot] - 1].key, key)) {
        slot = (slot + 1) & (m->slot_count - 1);
    }
    return slot;
}

static void grow_slots(StrMap *m)
{
    m->slot_count = m->slot_count == 0 ? SLOTS_MIN : m->slot_count * 2;
    mem_free(m->slots);
    m->slots = mem_new(uint32_t, m->slot_count);
    for (size_t i = 0; i < m->count; i++) {
        m->slots[slot_of(m, m->entries[i].key)] = (uint32_t)(i + 1);
    }
}

void strmap_init(StrMap *m)
{
    *m = (StrMap){0};
    arena_init(&m->keys, 0);
}

void strmap_deinit(StrMap *m)
{
    mem_free(m->entries);
    mem_free(m->slots);
    arena_deinit(&m->keys);
    *m = (StrMap){0};
}

const uint64_t *strmap_get(const StrMap *m, Str key)
{
    if (m->count == 0) {
        return NULL;
    }
    const uint32_t at = m->slots[slot_of(m, key)];
    return at == 0 ? NULL : &m->entries[at - 1].value;
}

uint64_t *strmap_put(StrMap *m, Str key, uint64_t value_if_new, bool *created)
{
    if (m->count * 4 >= m->slot_count * 3) { // at most three quarters full; true for an empty map
        grow_slots(m);
    }
    const size_t slot = slot_of(m, key);
    const bool is_new = m->slots[slot] == 0;
    if (is_new) {
        ASSERT(m->count < UINT32_MAX - 1);
        m->entries = mem_grow(m->entries, &m->entries_cap, m->count + 1, sizeof(*m->entries));
        m->entries[m->count] =
            (StrMapEntry){.key = arena_str(&m->keys, key), .value = value_if_new};
        m->count++;
        m->slots[slot] = (uint32_t)m->count;
    }
    if (created != NULL) {
        *created = is_new;
    }
    return &m->entries[m->slots[slot] - 1].value;
}
