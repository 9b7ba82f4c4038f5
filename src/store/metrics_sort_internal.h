// SPDX-License-Identifier: Apache-2.0
//
// Sorting for the hot tier's sorted runs: integers by radix, strings by the eight bytes in which
// they first differ, then the next eight. Stable. Pure functions.
#pragma once

#include "base/str.h"

typedef struct MetricsSortItem {
    uint64_t key;
    uint32_t id;
    uint32_t mark; // carried along
} MetricsSortItem;

// Sorts items[0, count) by key. `spare` has room for as many.
void metrics_sort_items(MetricsSortItem *items, MetricsSortItem *spare, size_t count);

// The text of an item; `ctx` is the caller's.
typedef Str (*MetricsSortText)(const void *ctx, uint32_t id);

// Sorts items[0, count) by their texts, as bytes; changes keys and keeps marks. When `keyed`, the
// keys are metrics_sort_key(text, skip) already, and all texts agree in their first `skip` bytes.
typedef struct MetricsSortTexts {
    MetricsSortText text;
    const void *ctx;
    bool keyed;
    size_t skip;
} MetricsSortTexts;

void metrics_sort_texts(MetricsSortItem *items, MetricsSortItem *spare, size_t count,
                        const MetricsSortTexts *texts);

// Eight bytes of the text from `from` on as a big-endian number, zeros behind its end.
static inline uint64_t metrics_sort_key(Str s, size_t from)
{
    uint64_t key = 0;
    const size_t left = s.len > from ? s.len - from : 0;
    if (left >= 8) {
        memcpy(&key, s.ptr + from, 8);
        return __builtin_bswap64(key);
    }
    for (size_t i = 0; i < left; i++) {
        key |= (uint64_t)(uint8_t)s.ptr[from + i] << (56 - 8 * i);
    }
    return key;
}
