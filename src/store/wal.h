// SPDX-License-Identifier: Apache-2.0
//
// The write-ahead log: one stream of frames in segment files, shared by all tables and shards.
// Writers append frames in memory and then wait until the stream is durable up to their frame;
// whoever waits first writes and syncs for all that wait (group commit: one fdatasync). Byte
// format: docs/formats/wal.md.
//
//   frame    = magic, checksums, length, segment id, sequence, table, shard, kind, payload
//   sequence = strictly ascending over the whole log, from 1, never used twice, not even after a
//              crash: every open goes on at the next multiple of 2^32 above all used before
//
// Segments are preallocated (WAL_SEGMENT_BYTES), named by their first sequence, and deleted (or
// kept as spare files for later segments) when everything in them is in committed files. Recovery
// reads frames in order. A frame whose checksums fail is skipped and reported; frames behind it are
// still delivered, so every frame must make sense without the ones before it. Power cuts can leave
// a hole among the frames that were never acknowledged; the report tells those (torn) from real
// loss (damaged).
//
// After a failed write or sync the segment is poisoned: what is not known to be durable is written
// again, from memory, to a new segment. If that fails too, the call fails with ERR_UNAVAILABLE and
// the frames stay in memory; the next call that needs them durable, or wal_ready(), tries again.
//
// Any thread. No I/O is done under the lock (Wal.mu).
#pragma once

#include "os/os.h"

enum {
    WAL_SEGMENT_BYTES = 64 << 20,
    WAL_SEGMENT_BYTES_MIN = 4 << 10,
    WAL_SEGMENT_BYTES_MAX = 1 << 30,
    WAL_FRAME_BYTES_MAX = 48 << 20, // payload
    // Appended and not yet durable (WAL_SYNC) or written (WAL_INTERVAL); past it appenders wait.
    WAL_BUFFER_BYTES_MAX = 128 << 20,
    WAL_SHARDS = 16,
    WAL_SPARES = 2, // trimmed segments kept for reuse
};

typedef enum WalDurability {
    WAL_SYNC, // wal_commit() returns after fdatasync
    // wal_commit() returns after write(); a thread calls fdatasync every interval_ms, for which
    // commits do not wait, but when a segment is full.
    WAL_INTERVAL,
} WalDurability;

typedef struct WalOptions {
    Os *os;
    Str dir; // created when absent; copied
    WalDurability durability;
    int64_t interval_ms;    // WAL_INTERVAL; 0: 100
    uint64_t segment_bytes; // 0: WAL_SEGMENT_BYTES; tests use less
    // Sequences of new frames are above it: for a caller who has seen sequences elsewhere (in the
    // `txn` of a Delta log) and must survive that someone deletes the folder of the log.
    uint64_t sequence_floor;
    bool manual; // no thread of its own: WAL_INTERVAL syncs only in wal_sync()
} WalOptions;

typedef struct WalFrame {
    uint64_t sequence;
    uint32_t table; // a number of the store's, below 2^31
    uint16_t shard; // below WAL_SHARDS
    uint16_t kind;  // a number of the store's
    Bytes payload;  // borrowed for the call
} WalFrame;

typedef struct WalReport {
    uint64_t frames, bytes, segments; // delivered; bytes of payload; segments read
    uint64_t last_sequence;           // 0: none
    uint64_t damaged_frames;          // were durable, are lost: bit rot, deleted files
    uint64_t torn_frames;             // incomplete or missing, and never known to be durable
    uint64_t damaged_headers;         // segments whose own header is bad; their frames were read
    uint64_t missing_segments;        // links of the chain of segments that are broken
    uint64_t ignored_segments; // files with a name of one segment and the contents of another
} WalReport;

typedef struct Wal Wal;

// Opens the log and replays every frame in order through `apply` before it returns; a failure of
// `apply` ends it. What is replayed is durable. Nothing of the old segments is changed, but for
// those without any frame, which are deleted; new frames go to a new segment. *report may be NULL.
//
// ERR_UNSUPPORTED  a segment was written by a later version
// ERR_UNAVAILABLE  no room for a new segment
Status wal_open(const WalOptions *options,
                Status (*apply)(void *ctx, const WalFrame *frame, Err *err), void *ctx, Wal **out,
                WalReport *report, Err *err);
void wal_close(
    Wal *wal); // syncs what it can; accepts NULL; no other thread may use the log any more

// ERR_UNAVAILABLE: the log cannot be written at the moment, and an attempt to repair that has just
// failed. To be asked before rows are applied anywhere; costs nothing while all is well.
Status wal_ready(Wal *wal, Err *err);
// Appends a frame in memory and sets *sequence. Frames of one (table, shard) get ascending
// sequences in the order of the calls, so callers that hold the shard's lock here log in the order
// they apply. Waits for I/O only when the buffer is full.
//
// ERR_TOO_LARGE    the payload is over WAL_FRAME_BYTES_MAX
// ERR_UNAVAILABLE  the buffer is full and the log cannot be written; the frame was not taken
Status wal_append(Wal *wal, const WalFrame *frame, uint64_t *sequence,
                  Err *err); // frame->sequence is ignored
// Returns when everything up to `sequence` is as durable as the mode says. ERR_UNAVAILABLE: it is
// not, but may become so later; a caller answers its client that the outcome is unknown.
Status wal_commit(Wal *wal, uint64_t sequence, Err *err);
Status wal_sync(Wal *wal, Err *err); // everything appended so far is on disk, in any mode

uint64_t wal_last_sequence(Wal *wal); // of the newest frame appended or replayed; 0: none
// Everything appended so far is on disk; the next frames go to a new segment.
Status wal_rotate(Wal *wal, Err *err);
// Every frame with a smaller sequence is in committed files: deletes segments that hold only such,
// but never the newest one.
Status wal_trim(Wal *wal, uint64_t first_needed, Err *err);

typedef struct WalUsage {
    uint64_t segments, bytes; // bytes in frames, not what is preallocated
    uint64_t buffered_bytes;  // in memory
    uint64_t syncs, failures; // since it was opened
} WalUsage;

void wal_usage(Wal *wal, WalUsage *out);
