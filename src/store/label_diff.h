// SPDX-License-Identifier: Apache-2.0
//
// Label sets in wire form (series/labels.h) written as what differs from the set before them: new
// series come in groups that share most labels, so a log of them takes a third of the bytes.
//
//   varint   length of the set << 1 | 1 when it is written as a difference
//   bytes    the set itself; or:
//   varint   bit i: label i is label i of the set before; labels from the 65th on never are
//   bytes    the other labels, in their order
//
// Sets are bytes and stay so: what is read back is what was written, bit by bit. For the hot tier's
// frames only (docs/formats/wal_metrics.md). No state; any thread.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/reader.h"

enum { LABEL_DIFF_EXTRA_BYTES = 20 }; // beside the bytes of the set, at most

// Writes `wire` to out, which has room for its length and LABEL_DIFF_EXTRA_BYTES; returns the place
// behind it. `before` may be anything; empty when there is none.
uint8_t *label_diff_write(uint8_t *out, Bytes wire, Bytes before);
// Reads a set into `out`, which is cleared first. `before` is not part of `out`.
// ERR_CORRUPT  it is not what label_diff_write() writes, or needs another set before
Status label_diff_read(Reader *in, Bytes before, Buf *out, Err *err);
