// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // pthread_setname_np
#include "os/thread.h"

#include "base/mem.h"
#include "os/os_internal.h"

#include <errno.h>
#include <signal.h>

enum { NAME_BYTES = 16 }; // the kernel's limit, NUL included

typedef struct Start {
    void (*run)(void *arg);
    void *arg;
    char name[NAME_BYTES];
} Start;

static void *thread_main(void *start)
{
    const Start s = *(const Start *)start;
    mem_free(start);
    (void)pthread_setname_np(pthread_self(), s.name); // for people only: failing is no matter
    s.run(s.arg);
    return NULL;
}

// Signals are for the thread that waits for them (os/signals.h), or, where cardinal is a library,
// for the threads of the program. Those that a thread raises by its own fault cannot be put off.
static void block_signals(sigset_t *before)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t all;
    ASSERT(sigfillset(&all) == 0);
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        ASSERT(sigdelset(&all, faults[i]) == 0);
    }
    ASSERT(pthread_sigmask(SIG_SETMASK, &all, before) == 0);
}

Status thread_start(Thread *thread, const char *name, void (*run)(void *arg), void *arg, Err *err)
{
    Start *start = mem_new(Start, 1);
    start->run = run;
    start->arg = arg;
    for (size_t i = 0; i < NAME_BYTES - 1 && name[i] != '\0'; i++) {
        start->name[i] = name[i];
    }
    // The new thread inherits the mask of this one.
    sigset_t before;
    block_signals(&before);
    const int r = pthread_create(&thread->os, NULL, thread_main, start);
    ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    thread->started = r == 0;
    if (r != 0) {
        mem_free(start);
        return os_fail(err, r, "start thread '%s'", name);
    }
    return OK;
}

void thread_join(Thread *thread)
{
    if (thread->started) {
        ASSERT(pthread_join(thread->os, NULL) == 0);
        thread->started = false;
    }
}
