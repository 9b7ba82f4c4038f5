// SPDX-License-Identifier: Apache-2.0
#include "query/watch.h"

#include "base/mem.h"
#include "os/thread.h"

struct QueryWatch {
    Os *os;
    Thread thread;
    Mutex mu;          // level 60
    Cond wake;         // something was added, or closing
    QueryGuard *first; // mu
    bool closing;      // mu
};

static Status verdict(QueryWatch *watch, const QueryGuard *guard)
{
    if (guard->deadline_ns != 0 && os_mono_ns(watch->os) >= guard->deadline_ns) {
        return ERR_TIMEOUT;
    }
    if (guard->is_abandoned != NULL && guard->is_abandoned(guard->abandoned_ctx)) {
        return ERR_CANCELLED;
    }
    return OK;
}

// stop() and is_abandoned() run under the watch's lock, so that query_watch_remove() can promise
// that they are over. They only set flags.
static void look_locked(QueryWatch *watch) REQUIRES(watch->mu);
static void look_locked(QueryWatch *watch)
{
    for (QueryGuard *g = watch->first; g != NULL; g = g->next) {
        const Status before = query_stopped(g);
        const Status st = before != OK ? before : verdict(watch, g);
        if (before == OK && st != OK) {
            atomic_store_explicit(&g->stopped, st, memory_order_release);
        }
        if (st != OK) {
            g->stop(g->stop_ctx);
        }
    }
}

static void run(void *arg)
{
    QueryWatch *watch = arg;
    mutex_lock(&watch->mu);
    while (!watch->closing) {
        if (watch->first == NULL) {
            cond_wait(&watch->wake, &watch->mu);
        } else {
            look_locked(watch);
            (void)cond_wait_ms(&watch->wake, &watch->mu, QUERY_WATCH_PERIOD_MS); // early is fine
        }
    }
    mutex_unlock(&watch->mu);
}

Status query_watch_new(Os *os, QueryWatch **out, Err *err)
{
    QueryWatch *watch = mem_new(QueryWatch, 1);
    *out = NULL;
    watch->os = os;
    mutex_init(&watch->mu);
    cond_init(&watch->wake);
    const Status st = thread_start(&watch->thread, "query-watch", run, watch, err);
    if (st != OK) {
        query_watch_free(watch);
        return st;
    }
    *out = watch;
    return OK;
}

void query_watch_free(QueryWatch *watch)
{
    if (watch == NULL) {
        return;
    }
    mutex_lock(&watch->mu);
    ASSERT(watch->first == NULL);
    watch->closing = true;
    mutex_unlock(&watch->mu);
    cond_broadcast(&watch->wake);
    thread_join(&watch->thread);
    cond_deinit(&watch->wake);
    mutex_deinit(&watch->mu);
    mem_free(watch);
}

void query_watch_add(QueryWatch *watch, QueryGuard *guard)
{
    atomic_init(&guard->stopped, OK);
    mutex_lock(&watch->mu);
    guard->next = watch->first;
    watch->first = guard;
    mutex_unlock(&watch->mu);
    cond_signal(&watch->wake);
}

void query_watch_remove(QueryWatch *watch, QueryGuard *guard)
{
    mutex_lock(&watch->mu);
    for (QueryGuard **at = &watch->first; *at != NULL; at = &(*at)->next) {
        if (*at == guard) {
            *at = guard->next;
            break;
        }
    }
    mutex_unlock(&watch->mu);
    guard->next = NULL;
}
