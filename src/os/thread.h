// SPDX-License-Identifier: Apache-2.0
//
// Threads, mutexes and condition variables that clang can reason about (-Wthread-safety). Functions
// that need a lock held end in _locked and say so with REQUIRES(); struct members name their lock
// in a comment. Locks have levels in docs/LOCKS.md; take only upwards. Failures of the system here
// are programmer errors or exhaustion of the process: they panic, but for thread_start().
#pragma once

#include "base/err.h"

#include <pthread.h>

#if defined(__clang__)
#define CAPABILITY(name) __attribute__((capability(name)))
#define REQUIRES(lock) __attribute__((requires_capability(lock)))
#define ACQUIRES(lock) __attribute__((acquire_capability(lock)))
#define RELEASES(lock) __attribute__((release_capability(lock)))
#define NO_LOCK_CHECKS __attribute__((no_thread_safety_analysis))
#else
#define CAPABILITY(name)
#define REQUIRES(lock)
#define ACQUIRES(lock)
#define RELEASES(lock)
#define NO_LOCK_CHECKS
#endif

typedef struct CAPABILITY("mutex") Mutex {
    pthread_mutex_t os;
    uint32_t level; // 0: not checked
} Mutex;

typedef struct Cond {
    pthread_cond_t os;
} Cond;

typedef struct Thread {
    pthread_t os;
    bool started;
} Thread;

void mutex_init(Mutex *mutex);
// `level` > 0: a thread takes this only while it holds no lock with a level that is equal or
// higher.
void mutex_init_level(Mutex *mutex, uint32_t level);
void mutex_deinit(Mutex *mutex);

// For mutex_lock() and mutex_unlock() only: note the levels this thread holds, and panic when a
// lock is taken out of order.
void mutex_check_lock(uint32_t level);
void mutex_check_unlock(uint32_t level);

NO_LOCK_CHECKS static inline void mutex_lock(Mutex *mutex) ACQUIRES(*mutex);
NO_LOCK_CHECKS static inline void mutex_lock(Mutex *mutex)
{
#ifndef NDEBUG
    mutex_check_lock(mutex->level);
#endif
    ASSERT(pthread_mutex_lock(&mutex->os) == 0);
}

NO_LOCK_CHECKS static inline void mutex_unlock(Mutex *mutex) RELEASES(*mutex);
NO_LOCK_CHECKS static inline void mutex_unlock(Mutex *mutex)
{
#ifndef NDEBUG
    mutex_check_unlock(mutex->level);
#endif
    ASSERT(pthread_mutex_unlock(&mutex->os) == 0);
}

void cond_init(Cond *cond);
void cond_deinit(Cond *cond);
void cond_wait(Cond *cond, Mutex *mutex) REQUIRES(*mutex);
// False when timeout_ms passed first (real time, not the simulated clock).
bool cond_wait_ms(Cond *cond, Mutex *mutex, int64_t timeout_ms) REQUIRES(*mutex);
void cond_signal(Cond *cond);
void cond_broadcast(Cond *cond);

// `name` (at most 15 bytes) shows in top and gdb. ERR_UNAVAILABLE when the system has no thread
// left.
Status thread_start(Thread *thread, const char *name, void (*run)(void *arg), void *arg, Err *err);
void thread_join(Thread *thread); // does nothing when not started

uint32_t os_cpu_count(void);             // this process may use, as found at the first call
uint64_t os_memory_total_bytes(void);    // of the machine, or of the cgroup when that is less
uint64_t os_memory_resident_bytes(void); // of this process
double os_process_cpu_seconds(void);     // user + system, of this process
// [p, p + size_bytes) is read and written all over: the system may use large pages for it. A hint.
void os_memory_large_pages(void *p, size_t size_bytes);
