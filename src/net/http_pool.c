// SPDX-License-Identifier: Apache-2.0
#include "net/http_internal.h"

#include "base/mem.h"

NO_LOCK_CHECKS static void worker(void *arg) // the lock is given up around each job
{
    HttpPool *pool = arg;
    Compress *compress = compress_new();

    mutex_lock(&pool->mu);
    for (;;) {
        while (pool->head == NULL && !pool->stopping) {
            cond_wait(&pool->more, &pool->mu);
        }
        HttpJob *job = pool->head;
        if (job == NULL) {
            break;
        }
        pool->head = job->next;
        if (pool->head == NULL) {
            pool->tail = NULL;
        }
        pool->queued--;
        pool->running++;
        mutex_unlock(&pool->mu);
        pool->run(job, compress);
        mutex_lock(&pool->mu);
        pool->running--;
    }
    mutex_unlock(&pool->mu);
    compress_free(compress);
}

Status http_pool_start(HttpPool *pool, const char *name, unsigned threads, size_t queue_max,
                       Err *err)
{
    mutex_init(&pool->mu);
    cond_init(&pool->more);
    pool->queue_max = queue_max;
    pool->threads = mem_new(Thread, threads);
    for (unsigned i = 0; i < threads; i++) {
        TRY(thread_start(&pool->threads[i], name, worker, pool, err));
        pool->thread_count = i + 1;
    }
    return OK;
}

bool http_pool_submit(HttpPool *pool, HttpJob *job, bool always)
{
    job->next = NULL;
    mutex_lock(&pool->mu);
    const bool room = always || pool->queued < pool->queue_max;
    if (room) {
        if (pool->tail != NULL) {
            pool->tail->next = job;
        } else {
            pool->head = job;
        }
        pool->tail = job;
        pool->queued++;
        cond_signal(&pool->more);
    }
    mutex_unlock(&pool->mu);
    return room;
}

void http_pool_counts(HttpPool *pool, uint64_t *queued, uint64_t *running)
{
    mutex_lock(&pool->mu);
    *queued = pool->queued;
    *running = pool->running;
    mutex_unlock(&pool->mu);
}

void http_pool_stop(HttpPool *pool)
{
    if (pool->threads == NULL) {
        return; // was never started
    }
    mutex_lock(&pool->mu);
    pool->stopping = true;
    cond_broadcast(&pool->more);
    mutex_unlock(&pool->mu);
    for (unsigned i = 0; i < pool->thread_count; i++) {
        thread_join(&pool->threads[i]);
    }
    mem_free(pool->threads);
    pool->threads = NULL;
    cond_deinit(&pool->more);
    mutex_deinit(&pool->mu);
}
