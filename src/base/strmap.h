// SPDX-License-Identifier: Apache-2.0
//
// StrMap: text -> uint64_t, open addressing, for names and configuration (not for the hot path,
// which has tables of its own). Keys are copied. One owner, one thread. Iteration is in insertion
// order.
#pragma once

#include "base/arena.h"

typedef struct StrMapEntry {
    Str key; // lives in the map
    uint64_t value;
} StrMapEntry;

typedef struct StrMap {
    StrMapEntry *entries; // [0, count) in insertion order
    size_t count, entries_cap;
    uint32_t *slots; // index + 1, 0 is empty; slot_count is a power of two
    size_t slot_count;
    Arena keys;
} StrMap;

void strmap_init(StrMap *m);
void strmap_deinit(StrMap *m);                        // accepts a zeroed map
const uint64_t *strmap_get(const StrMap *m, Str key); // NULL when absent
// The value of `key`, created as `value_if_new` when absent; *created (may be NULL) says which.
uint64_t *strmap_put(StrMap *m, Str key, uint64_t value_if_new, bool *created);
