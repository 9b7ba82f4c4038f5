// SPDX-License-Identifier: Apache-2.0
//
// Runs a script in one mode: where the samples lie, and whether what only saves work is on. One
// thread.
#pragma once

#include "tests/promql/script.h"
#include "tests/promql/world.h"

typedef struct RunMode {
    const char *name;
    WorldPlace place;
    bool no_pruning;
} RunMode;

typedef struct RunOptions {
    RunMode mode;
    uint32_t line; // only the evaluation of this line; 0: all
    void (*report)(void *ctx, const ScriptCommand *command, bool passed, Str why);
    void *ctx;
} RunOptions;

typedef struct RunCounts {
    size_t passed, failed;
} RunCounts;

// Fails when a load does: what follows would mean nothing.
Status run_script(const Script *script, const RunOptions *options, RunCounts *counts, Err *err);
