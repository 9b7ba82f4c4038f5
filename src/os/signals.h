// SPDX-License-Identifier: Apache-2.0
//
// Signals that people and service managers send. A program blocks them before it starts a thread,
// and one thread waits for them; nothing ever runs inside a signal handler. (Not called signal.h,
// so that the compiler cannot take it for the one of C.)
#pragma once

#include "base/base.h"

typedef enum OsSignal {
    OS_SIGNAL_NONE,   // the timeout passed first
    OS_SIGNAL_STOP,   // SIGTERM, SIGINT: end in order
    OS_SIGNAL_RELOAD, // SIGHUP: read the configuration again
} OsSignal;

// Blocks these signals in the calling thread and all it starts, and ignores SIGPIPE, so that
// writing to a closed connection is an error like any other. First thing in main().
void os_signals_block(void);

// Takes the next of them, of those sent to the process; timeout_ms < 0 waits for ever. After
// os_signals_block(). Any thread, one at a time.
OsSignal os_signal_wait(int64_t timeout_ms);
