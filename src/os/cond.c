// SPDX-License-Identifier: Apache-2.0
#include "os/thread.h"

#include <errno.h>
#include <time.h>

enum { NS_PER_SECOND = 1000000000, NS_PER_MS = 1000000 };

void cond_init(Cond *cond)
{
    pthread_condattr_t attr;
    ASSERT(pthread_condattr_init(&attr) == 0);
    // Waiting must not get longer or shorter when somebody sets the clock.
    ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    ASSERT(pthread_cond_init(&cond->os, &attr) == 0);
    ASSERT(pthread_condattr_destroy(&attr) == 0);
}

void cond_deinit(Cond *cond)
{
    ASSERT(pthread_cond_destroy(&cond->os) == 0);
}

void cond_wait(Cond *cond, Mutex *mutex)
{
    ASSERT(pthread_cond_wait(&cond->os, &mutex->os) == 0);
}

bool cond_wait_ms(Cond *cond, Mutex *mutex, int64_t timeout_ms)
{
    static const int64_t longest_ms = INT64_C(1000) * 86400 * 365;
    struct timespec until;
    timeout_ms = timeout_ms < 0 ? 0 : timeout_ms < longest_ms ? timeout_ms : longest_ms;
    ASSERT(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000 * NS_PER_MS);
    if (until.tv_nsec >= NS_PER_SECOND) {
        until.tv_sec++;
        until.tv_nsec -= NS_PER_SECOND;
    }
    const int r = pthread_cond_timedwait(&cond->os, &mutex->os, &until);
    ASSERT(r == 0 || r == ETIMEDOUT);
    return r == 0;
}

void cond_signal(Cond *cond)
{
    ASSERT(pthread_cond_signal(&cond->os) == 0);
}

void cond_broadcast(Cond *cond)
{
    ASSERT(pthread_cond_broadcast(&cond->os) == 0);
}
