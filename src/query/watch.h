// SPDX-License-Identifier: Apache-2.0
//
// QueryWatch: one thread that stops queries which ran past their deadline or whose client went
// away. Engines that cannot look at a clock between two steps (DuckDB) register what to call;
// engines of our own ask query_stopped() once per batch as well. Any thread.
#pragma once

#include "base/err.h"
#include "os/os.h"

#include <stdatomic.h>

enum { QUERY_WATCH_PERIOD_MS = 20 };

typedef struct QueryWatch QueryWatch;

// What is watched: owned by the caller, who must call query_watch_remove() before it goes.
typedef struct QueryGuard {
    int64_t deadline_ns; // os_mono_ns(); 0: none
    bool (*is_abandoned)(
        void *ctx); // the client is gone; called from the watch's thread; may be NULL
    void *abandoned_ctx;
    // Called from the watch's thread, again every QUERY_WATCH_PERIOD_MS until the guard is removed.
    void (*stop)(void *ctx);
    void *stop_ctx;
    _Atomic(Status)
        stopped; // OK, ERR_TIMEOUT or ERR_CANCELLED; release by the watch, acquire by readers
    struct QueryGuard *next; // the watch's
} QueryGuard;

Status query_watch_new(Os *os, QueryWatch **out, Err *err);
void query_watch_free(QueryWatch *watch); // accepts NULL; nothing may be registered any more

void query_watch_add(QueryWatch *watch, QueryGuard *guard);
// When it returns, stop() is not running and will not be called.
void query_watch_remove(QueryWatch *watch, QueryGuard *guard);

static inline Status query_stopped(const QueryGuard *guard)
{
    return atomic_load_explicit(&guard->stopped, memory_order_acquire);
}
