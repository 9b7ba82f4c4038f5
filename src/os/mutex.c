// SPDX-License-Identifier: Apache-2.0
#include "os/thread.h"

enum { LEVELS_HELD_MAX = 32 };

// The levels this thread holds, in the order they were taken: ascending.
static _Thread_local uint32_t held[LEVELS_HELD_MAX];
static _Thread_local size_t held_count;

void mutex_init(Mutex *mutex)
{
    mutex_init_level(mutex, 0);
}

void mutex_init_level(Mutex *mutex, uint32_t level)
{
    ASSERT(pthread_mutex_init(&mutex->os, NULL) == 0);
    mutex->level = level;
}

void mutex_deinit(Mutex *mutex)
{
    ASSERT(pthread_mutex_destroy(&mutex->os) == 0); // fails when it is held
}

// Before the lock is waited for: a wrong order panics here instead of hanging there.
void mutex_check_lock(uint32_t level)
{
    if (level == 0) {
        return;
    }
    if (held_count > 0 && held[held_count - 1] >= level) {
        base_panic(__FILE__, __LINE__, "a lock is taken out of order (docs/LOCKS.md)");
    }
    ASSERT(held_count < LEVELS_HELD_MAX);
    held[held_count++] = level;
}

// They need not be given back in order; what is left stays ascending.
void mutex_check_unlock(uint32_t level)
{
    if (level == 0) {
        return;
    }
    size_t at = held_count;
    while (at > 0 && held[at - 1] != level) {
        at--;
    }
    ASSERT(at > 0); // else it is not this thread's
    for (; at < held_count; at++) {
        held[at - 1] = held[at];
    }
    held_count--;
}
