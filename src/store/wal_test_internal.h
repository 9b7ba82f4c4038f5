// SPDX-License-Identifier: Apache-2.0
//
// Helpers of the tests of the write-ahead log: frames with contents that follow from their number,
// and a list of what a replay delivered.
#pragma once

#include "base/mem.h"
#include "codec/crc.h"
#include "os/fault.h"
#include "os/sim.h"
#include "os/thread.h"
#include "store/wal_internal.h"
#include "tests/support/test.h"

typedef struct Replay {
    uint64_t *sequences;
    uint64_t *keys; // what the payload says it is
    size_t count, cap, keys_cap;
    bool wrong; // a payload was not one of ours
} Replay;

// The payload number `key`: the key and then bytes that follow from it.
void wal_test_payload(uint64_t key, size_t size, Buf *out);
Status wal_test_append(Wal *wal, uint64_t key, size_t size, uint64_t *sequence, Err *err);
Status wal_test_apply(void *ctx, const WalFrame *frame, Err *err); // ctx: Replay
void wal_test_replay_deinit(Replay *replay);
