// SPDX-License-Identifier: Apache-2.0
//
// Replay: applies frames of the write-ahead log to the hot tier, in several threads while the
// caller reads on. Frames of one shard of one table go to one thread, so they keep their order;
// what a shard holds afterwards is the same with any number of threads.
//
// One owner; its threads are its own. For recovery only.
#pragma once

#include "store/store_internal.h"

enum {
    REPLAY_THREADS_MAX = 8,
    REPLAY_PIECE_BYTES = 2 << 20, // handed to a thread at once
};

typedef struct ReplayCounts {
    uint64_t rows; // applied
    uint64_t lost; // they need a frame that is gone
} ReplayCounts;

typedef struct Replay Replay;

// With `thread_count` 0 or 1 frames are applied in the call.
Status replay_new(uint32_t thread_count, Replay **out, Err *err);
// Applies a frame of `table`, now or later; payload is copied if need be. A failure may be that of
// an earlier frame. ERR_CORRUPT, ERR_UNSUPPORTED with the frame and the table.
Status replay_frame(Replay *replay, Table *table, const WalFrame *frame, Err *err);
// Waits until everything is applied.
Status replay_finish(Replay *replay, ReplayCounts *counts, Err *err);
void replay_free(Replay *replay); // drops what was not applied yet; accepts NULL
