// SPDX-License-Identifier: Apache-2.0
//
// MetricsArray and MetricsDict: append-only memory in which nothing ever moves, so that what was
// appended before a lock was released can be read without it ever after. For the hot tier's own
// files. Appending needs the owner's lock; reading element i needs only that the append of i
// happened before.
//
// MetricsArray: elements in chunks of growing size, two chunks for each power of two, so at most a
// third is not used yet (and pages that were never touched cost nothing). Element i is found by two
// shifts.
//
// MetricsDict: distinct strings, numbered from 0 in the order in which they came. A string costs
// its bytes, a length byte, four bytes of position and about 11 bytes of hash table.
#pragma once

#include "base/mem.h"
#include "base/str.h"

#include <stdatomic.h>

enum {
    METRICS_ARRAY_CHUNKS = 50,
    METRICS_ARRAY_FIRST_LOG = 5,         // the first chunk has 16 elements
    METRICS_BYTES_FIRST_LOG = 8,         // the first chunk has 128 bytes
    METRICS_CODE_NONE = 0x7fffffff,      // no such string; also the limit of codes
    METRICS_DICT_BYTES_MAX = 0x7f000000, // of one dictionary
};

// Memory of the hot tier, all shards together. Relaxed: a figure, nothing is ordered by it.
typedef struct MetricsMemory {
    _Atomic uint64_t bytes;
} MetricsMemory;

static inline void metrics_memory_add(MetricsMemory *memory, uint64_t bytes)
{
    atomic_fetch_add_explicit(&memory->bytes, bytes, memory_order_relaxed);
}

static inline void metrics_memory_sub(MetricsMemory *memory, uint64_t bytes)
{
    atomic_fetch_sub_explicit(&memory->bytes, bytes, memory_order_relaxed);
}

// Order by bytes.
static inline int metrics_str_compare(Str a, Str b)
{
    const size_t len = a.len < b.len ? a.len : b.len;
    const int order = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

// --- MetricsArray --------------------------------------------------------------------------------

typedef struct MetricsArray {
    void *chunks[METRICS_ARRAY_CHUNKS];
} MetricsArray;

typedef struct MetricsArrayPlace {
    uint32_t chunk;
    uint32_t offset;    // elements
    uint32_t chunk_len; // elements
} MetricsArrayPlace;

static inline MetricsArrayPlace metrics_array_place(uint32_t i, uint32_t first_log)
{
    const uint64_t at = (uint64_t)i + (UINT64_C(1) << first_log);
    const uint32_t log = 63 - (uint32_t)__builtin_clzll(at);
    const uint32_t half = (uint32_t)(at >> (log - 1)) & 1;
    const uint32_t len = UINT32_C(1) << (log - 1);
    return (MetricsArrayPlace){2 * (log - first_log) + half, (uint32_t)at & (len - 1), len};
}

// Element i, which exists.
static inline void *metrics_array_at(const MetricsArray *a, uint32_t i, size_t size)
{
    const MetricsArrayPlace p = metrics_array_place(i, METRICS_ARRAY_FIRST_LOG);
    return (uint8_t *)a->chunks[p.chunk] + p.offset * size;
}

#define METRICS_AT(T, array, i) ((T *)metrics_array_at((array), (i), sizeof(T)))

// Element i, whose chunk is made when it does not exist (zeroed); adds what it takes to *bytes.
void *metrics_array_put(MetricsArray *a, uint32_t i, size_t size, uint64_t *bytes);
void metrics_array_deinit(MetricsArray *a);

// Zeroed memory for a hash table, all of which will be in use; freed by mem_free().
void *metrics_table_new(size_t count, size_t size);

// --- MetricsDict ---------------------------------------------------------------------------------

typedef struct MetricsDictSlot {
    uint32_t hash;
    uint32_t code_plus_1; // 0: empty
} MetricsDictSlot;

typedef struct MetricsDict {
    MetricsArray bytes;     // varint length, then the string; never across chunks
    MetricsArray positions; // uint32_t: where in `bytes`, by code
    uint32_t count;
    uint32_t next_position;
    MetricsDictSlot *slots; // moves: for lookups under the lock only
    uint32_t slot_count;
    Str last;            // the string that was put last: senders group alike series
    uint32_t last_code;  // when count != 0
    uint64_t size_bytes; // memory taken, without this struct
} MetricsDict;

void metrics_dict_deinit(MetricsDict *d); // accepts a zeroed one

// The code of `s`, or METRICS_CODE_NONE. `key` seeds the hash and is the same for all calls.
uint32_t metrics_dict_find(const MetricsDict *d, Str s, uint64_t key);
// The same, appended when absent; METRICS_CODE_NONE when the dictionary is full.
uint32_t metrics_dict_put(MetricsDict *d, Str s, uint64_t key);

// Before metrics_dict_put(): fetches what it will read first.
void metrics_dict_prefetch(const MetricsDict *d, Str s, uint64_t key);

// Where the entry of a code lies: it stays there, and metrics_dict_entry_str() reads it.
static inline const uint8_t *metrics_dict_entry(const MetricsDict *d, uint32_t code)
{
    const uint32_t position = *METRICS_AT(const uint32_t, &d->positions, code);
    const MetricsArrayPlace p = metrics_array_place(position, METRICS_BYTES_FIRST_LOG);
    return (const uint8_t *)d->bytes.chunks[p.chunk] + p.offset;
}

static inline Str metrics_dict_entry_str(const uint8_t *at)
{
    uint32_t len = *at++;
    if (len >= 0x80) { // LABELS_VALUE_BYTES_MAX fits three bytes
        len = (len & 0x7f) | (uint32_t)*at++ << 7;
        if (len >= 0x80 << 7) {
            len = (len & 0x3fff) | (uint32_t)*at++ << 14;
        }
    }
    return (Str){.ptr = (const char *)at, .len = len};
}

static inline Str metrics_dict_str(const MetricsDict *d, uint32_t code)
{
    return metrics_dict_entry_str(metrics_dict_entry(d, code));
}
