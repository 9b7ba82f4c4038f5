// SPDX-License-Identifier: Apache-2.0
//
// Budget: one number of bytes that everything large of the store is charged to. What can wait or be
// refused asks with budget_reserve(); what must go on (a flush, which frees memory in the end) is
// charged without asking. Any thread.
#pragma once

#include "base/err.h"

#include <stdatomic.h>

typedef struct Budget {
    uint64_t limit_bytes;
    // Charges of all kinds; an approximate sum is enough, so relaxed order everywhere.
    atomic_uint_fast64_t used_bytes;
} Budget;

static inline uint64_t budget_used(const Budget *b)
{
    return atomic_load_explicit(&b->used_bytes, memory_order_relaxed);
}

static inline void budget_charge(Budget *b, uint64_t bytes)
{
    atomic_fetch_add_explicit(&b->used_bytes, bytes, memory_order_relaxed);
}

static inline void budget_release(Budget *b, uint64_t bytes)
{
    atomic_fetch_sub_explicit(&b->used_bytes, bytes, memory_order_relaxed);
}

// ERR_LIMIT, and nothing is charged, when it does not fit. `what` is for the message.
static inline Status budget_reserve(Budget *b, uint64_t bytes, const char *what, Err *err)
{
    const uint64_t used =
        atomic_fetch_add_explicit(&b->used_bytes, bytes, memory_order_relaxed) + bytes;
    if (used > b->limit_bytes) {
        budget_release(b, bytes);
        return err_set(err, ERR_LIMIT,
                       "%s needs %" PRIu64 " bytes, but %" PRIu64 " of %" PRIu64
                       " bytes of memory are in use",
                       what, bytes, used - bytes, b->limit_bytes);
    }
    return OK;
}
