// SPDX-License-Identifier: Apache-2.0
//
// A simulated machine: a disk in memory that forgets what was not synced, a clock that moves when
// told to, randomness from a seed. For tests of everything above `os`; the same seed gives the same
// run as long as calls come in the same order.
//
// The disk keeps, per file, the synced contents and the list of writes since; per folder, the
// synced names and the list of changes since. os_sim_power_cut() decides for every unsynced write
// and name change, from the seed, whether it survives:
//   contents  all, none, a prefix of the writes, or any subset, at 512-byte sector granularity (a
//             surviving write may be torn). A lost write past the end of the file may leave its
//             length behind: zeros. Truncations and allocations survive whole or not at all.
//   names     of one folder: a prefix of the changes in their order. A rename is one change, also
//             between two folders.
// Files and handles opened before the cut fail with ERR_IO from then on (they are still closed by
// their owner); the Os itself goes on as the machine after reboot. Clocks go on. Any thread.
//
// Relative paths start at the root, which is there and empty at first; ".." is not supported.
#pragma once

#include "os/os.h"

typedef struct OsSim OsSim;

OsSim *os_sim_new(uint64_t seed);
void os_sim_free(OsSim *sim); // accepts NULL; all files have been closed
Os *os_sim_os(OsSim *sim);    // borrowed

void os_sim_power_cut(OsSim *sim);
// Cuts the power by itself just before the n-th changing call from now (write, sync, truncate,
// allocate, create, link, rename, unlink): that call and all later ones on this "boot" fail with
// ERR_IO, until os_sim_power_cut() reboots. 0 switches it off.
void os_sim_cut_at(OsSim *sim, uint64_t n);
bool os_sim_is_down(const OsSim *sim);
uint64_t os_sim_call_count(const OsSim *sim); // changing calls so far

// Fails the n-th os_file_sync() from now, in the worst way a disk has: what was to be written is
// there in part, reads as it is on the disk, and counts as written, so that later syncs through
// other handles succeed and repair nothing. Syncs through this one go on to fail. 0 switches it
// off.
void os_sim_fail_sync_at(OsSim *sim, uint64_t n);

// While true, os_file_sync() does not return: a disk that takes its time. Everything else works.
void os_sim_hold_syncs(OsSim *sim, bool hold);
uint32_t os_sim_held_syncs(const OsSim *sim); // calls that wait

void os_sim_set_wall_us(OsSim *sim, int64_t us);
// Both clocks. os_sleep_ns() does just this, and returns.
void os_sim_advance_ns(OsSim *sim, int64_t ns);
// Writes and allocations that need more than this, in pages of 4 KiB, get ERR_UNAVAILABLE and
// change nothing. 0: endless, which is how it starts.
void os_sim_set_capacity(OsSim *sim, uint64_t bytes);
// Flips bit `bit` of the byte at `offset` of the file's synced and current contents.
Status os_sim_flip_bit(OsSim *sim, Str path, uint64_t offset, uint32_t bit, Err *err);
