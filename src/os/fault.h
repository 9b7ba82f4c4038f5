// SPDX-License-Identifier: Apache-2.0
//
// Wraps any Os and fails the n-th call, once or from then on: the "fail every call in turn, until a
// run passes untouched" loop of SQLite. Reads, writes (short, or none), syncs, opens, renames, ...
#pragma once

#include "os/os.h"

typedef struct OsFault OsFault;

typedef struct OsFaultPlan {
    uint64_t fail_at; // 1-based number of the call that fails; 0: none
    bool persistent;  // all later calls fail as well
    int os_errno;     // EIO, ENOSPC, EMFILE, ...
} OsFaultPlan;

OsFault *os_fault_new(Os *base); // borrows `base`
void os_fault_free(OsFault *fault);
Os *os_fault_os(OsFault *fault);
void os_fault_arm(OsFault *fault, OsFaultPlan plan); // also sets the call counter to 0
uint64_t os_fault_calls(const OsFault *fault);       // fallible calls since armed
bool os_fault_hit(const OsFault *fault);             // the planned failure has happened
