// SPDX-License-Identifier: Apache-2.0
//
// Cleaning the log (delta-io PROTOCOL.md, "Metadata Cleanup"). The newest checkpoint that is older
// than the retention stays, with its commit and all that follow, so that every version younger than
// the retention can still be read; what is before it goes, oldest first, so that a crash leaves no
// gap.
#include "store/delta_internal.h"

// The checkpoint that has to stay, or 0: the newest one that is old enough and not the last.
static uint64_t oldest_needed(Os *os, Str dir, const DeltaListing *list, Arena *arena)
{
    const int64_t kept_us = (int64_t)DELTA_LOG_KEPT_DAYS * 24 * 3600 * 1000000;
    const int64_t cutoff_us = os_wall_us(os) - kept_us;
    for (size_t i = list->checkpoint_count; i-- > 1;) {
        OsStat stat;
        Err ignored; // then it is not old enough
        const uint64_t version = list->checkpoints[i - 1];
        if (os_stat(os, delta_checkpoint_path(arena, dir, version), &stat, &ignored) == OK &&
            stat.modified_us < cutoff_us) {
            return version;
        }
    }
    return 0;
}

void delta_clean(Os *os, Str dir)
{
    Arena arena;
    DeltaListing list;
    Err ignored; // the next checkpoint tries again
    bool go_on = true;
    arena_init(&arena, 0);
    if (delta_list(os, dir, &arena, &list, &ignored) == OK) {
        const uint64_t needed = oldest_needed(os, dir, &list, &arena);
        for (size_t i = 0; i < list.commit_count && list.commits[i] < needed && go_on; i++) {
            go_on = os_unlink(os, delta_commit_path(&arena, dir, list.commits[i]), &ignored) == OK;
        }
        for (size_t i = 0; i < list.checkpoint_count && list.checkpoints[i] < needed && go_on;
             i++) {
            go_on = os_unlink(os, delta_checkpoint_path(&arena, dir, list.checkpoints[i]),
                              &ignored) == OK;
        }
    }
    arena_deinit(&arena);
}
