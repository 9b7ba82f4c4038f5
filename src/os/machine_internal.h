// SPDX-License-Identifier: Apache-2.0
//
// For the tests of machine.c: what cgroups allow, read through an Os, so that a simulated disk can
// stand for /proc and /sys.
#pragma once

#include "os/os.h"

typedef struct OsCgroupLimits {
    uint64_t memory_bytes; // UINT64_MAX: none
    uint32_t cpus;         // rounded up; UINT32_MAX: none
} OsCgroupLimits;

// Of this process: the least of its cgroup (v1 or v2) and those above it. What cannot be read is no
// limit.
OsCgroupLimits os_cgroup_limits(Os *os);
