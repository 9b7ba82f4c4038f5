// SPDX-License-Identifier: Apache-2.0
#include "os/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

static sigset_t waited_for(void)
{
    sigset_t set;
    ASSERT(sigemptyset(&set) == 0);
    ASSERT(sigaddset(&set, SIGTERM) == 0);
    ASSERT(sigaddset(&set, SIGINT) == 0);
    ASSERT(sigaddset(&set, SIGHUP) == 0);
    return set;
}

void os_signals_block(void)
{
    const sigset_t set = waited_for();
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    ASSERT(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    ASSERT(sigemptyset(&ignore.sa_mask) == 0);
    ASSERT(sigaction(SIGPIPE, &ignore, NULL) == 0);
}

static int64_t mono_ms(void)
{
    struct timespec t;
    ASSERT(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

OsSignal os_signal_wait(int64_t timeout_ms)
{
    const sigset_t set = waited_for();
    const int64_t start_ms = mono_ms();
    int number = -1;
    while (number < 0) {
        const int64_t passed_ms = mono_ms() - start_ms;
        const int64_t left_ms = timeout_ms > passed_ms ? timeout_ms - passed_ms : 0;
        const struct timespec left = {
            .tv_sec = (time_t)(left_ms / 1000),
            .tv_nsec = (long)(left_ms % 1000 * 1000000),
        };
        number = timeout_ms < 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &left);
        if (number < 0 && errno == EAGAIN) {
            return OS_SIGNAL_NONE;
        }
        ASSERT(number >= 0 || errno == EINTR); // stopped and continued, or another handler ran
    }
    return number == SIGHUP ? OS_SIGNAL_RELOAD : OS_SIGNAL_STOP;
}
