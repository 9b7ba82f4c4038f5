// SPDX-License-Identifier: Apache-2.0
//
// What the files of the write-ahead log share: the byte format (wal_format.c), reading segments
// back (wal_recover.c), and writing them (wal_io.c). All integers are little-endian;
// docs/formats/wal.md is the prose.
//
//   segment header, 64 bytes                     frame header, 44 bytes, then the payload
//    0  8  magic "CARDWAL\n"                      0  4  magic 0xC4 'W' 'F' 0x9E
//    8  4  version, 1                             4  4  CRC32C of bytes 8..43
//   12  4  flags, bit 0: continues                8  4  payload length
//   16  8  segment id, random, not 0             12  4  CRC32C of the payload
//   24  8  first sequence                        16  8  segment id
//   32  8  id of the segment before, 0: none     24  8  sequence
//   40  8  created, µs since 1970                32  4  table
//   48 12  zero                                  36  2  shard
//   60  4  CRC32C of bytes 0..59                 38  2  kind
//                                                40  4  pending
#pragma once

#include "base/buf.h"
#include "os/os.h"
#include "os/thread.h"
#include "store/wal.h"

enum {
    WAL_FORMAT_VERSION = 1,
    WAL_SEGMENT_HEADER_BYTES = 64,
    WAL_FRAME_HEADER_BYTES = 44,
    WAL_NAME_BYTES = 24, // 20 digits and ".wal"
    WAL_SPARE_NAME_BYTES = 25,
    WAL_SEQUENCE_STEP_BITS = 32,
    WAL_UNSYNCED_BYTES_MAX = 32 << 20, // WAL_INTERVAL syncs early past this
    WAL_BATCH_KEEP_BYTES = 16 << 20,   // larger buffers are not reused
};

// The highest sequence that is taken for one: leaves room for later ones below 2^63.
#define WAL_SEQUENCE_MAX UINT64_C(0x7fff000000000000)

typedef struct WalSegmentHeader {
    uint64_t id;
    uint64_t first_sequence;
    uint64_t previous_id; // of the newest older segment with frames when this one was made
    int64_t created_us;
    // Same process as the segment before: every sequence below first_sequence was durable before
    // this segment got its name.
    bool continues;
} WalSegmentHeader;

typedef struct WalFrameHeader {
    uint32_t length;
    uint32_t payload_crc;
    uint64_t segment_id;
    uint64_t sequence;
    uint32_t table;
    uint16_t shard;
    uint16_t kind;
    // When the frame was written, everything before sequence - pending was known to be durable.
    uint32_t pending;
} WalFrameHeader;

void wal_encode_segment_header(const WalSegmentHeader *h,
                               uint8_t out[static WAL_SEGMENT_HEADER_BYTES]);
// ERR_CORRUPT: not a header, or damaged. ERR_UNSUPPORTED: of a later version.
Status wal_decode_segment_header(const uint8_t in[static WAL_SEGMENT_HEADER_BYTES],
                                 WalSegmentHeader *out, Err *err);
void wal_encode_frame_header(const WalFrameHeader *h, uint8_t out[static WAL_FRAME_HEADER_BYTES]);
// False when these bytes are not the header of a frame.
bool wal_decode_frame_header(const uint8_t in[static WAL_FRAME_HEADER_BYTES], WalFrameHeader *out);
// Only the fields that are known when the frame is appended, and later the rest: segment id,
// pending and the header's CRC.
void wal_bind_frame_header(uint8_t header[static WAL_FRAME_HEADER_BYTES], uint64_t segment_id,
                           uint32_t pending);
// The next place at or after `from` where a frame may begin; in.len when there is none.
size_t wal_find_magic(Bytes in, size_t from);

bool wal_parse_name(Str name, uint64_t *first_sequence);
bool wal_parse_spare_name(Str name, uint64_t *number);
// dir + "/" + name in `arena`. Spare files, and segments that have no name yet, are
// "free-<hex>.tmp".
Str wal_path(Arena *arena, Str dir, Str name);
Str wal_segment_path(Arena *arena, Str dir, uint64_t first_sequence);
Str wal_spare_path(Arena *arena, Str dir, uint64_t number);

typedef struct WalSegment {
    uint64_t first_sequence; // its name
    uint64_t last_sequence;  // first_sequence - 1 while it has no frames
    uint64_t id;             // 0: not known, its header is bad and it has no frames
    uint64_t size_bytes;     // to the end of the last frame
    bool is_limit;           // the segment before has frames that do not count because of this one
} WalSegment;

typedef struct WalSegments { // ascending by first_sequence
    WalSegment *ptr;
    size_t count, cap;
} WalSegments;

void wal_segments_push(WalSegments *s, WalSegment segment);

static inline bool wal_segment_is_empty(const WalSegment *s)
{
    return s->last_sequence < s->first_sequence;
}

typedef struct WalRecovery {
    Os *os;
    Str dir;
    Status (*apply)(void *ctx, const WalFrame *frame, Err *err);
    void *ctx;
    WalSegments segments;  // filled in; the caller frees .ptr
    uint64_t sequence_max; // the highest that any name, header or frame shows
    WalReport report;
} WalRecovery;

// Reads all segments of the folder. Changes nothing on disk.
Status wal_recover(WalRecovery *r, Err *err);

// Frames that were appended one after the other, in the form in which they are written, but for
// what wal_bind_frame_header() adds.
typedef struct WalBatch WalBatch;
struct WalBatch {
    WalBatch *next;
    Buf bytes;
    uint32_t *offsets; // of frame i in `bytes`
    size_t count, cap;
    uint64_t first_sequence; // of frame 0; the others follow without gaps
};

// The writing end. Owned by whoever has the I/O role (Wal.io_busy), without any lock.
typedef struct WalIo {
    OsFile *file;  // the current segment; NULL when there is none that can be written
    bool has_name; // the segment is at its final name, durably
    uint64_t id, first_sequence;
    uint64_t previous_id;        // of the newest segment with frames before it; 0: none
    uint64_t position, capacity; // bytes
    uint64_t written, synced;    // sequences
    uint64_t unsynced_bytes;
    uint64_t syncs;
    uint64_t session_first; // the first sequence since the log was opened
    WalBatch *queue;        // oldest first; every frame above `synced` is in it
    WalBatch **queue_tail;  // where the next one is linked
    WalBatch *reuse;        // an empty one, or NULL
} WalIo;

// A sync beside the I/O role, and what became of it.
typedef struct WalAside {
    bool finished;  // and the role has not looked at it yet
    uint64_t to;    // sequence
    uint64_t bytes; // that were not synced when it began
    Status failed;
    Err failure;
} WalAside;

struct Wal {
    Os *os;
    Str dir; // in `arena`
    Arena arena;
    WalOptions options;
    bool has_thread; // which syncs beside the role
    Thread thread;

    Mutex mu;     // level 50 in docs/LOCKS.md
    Cond changed; // the I/O role is free, or trimming has ended
    Cond stop;    // closing, or a lot is not synced
    // mu:
    bool io_busy;
    // Beside the role, a thread of its own may sync the current segment (WAL_INTERVAL): the role
    // writes on meanwhile, but waits for it before it does anything else with the segment.
    bool syncing;
    WalAside aside;
    bool trimming;
    bool closing;
    bool broken; // the last attempt to write failed, and so did its repetition
    WalBatch *filling;
    uint64_t next_sequence, last_sequence; // last: 0 while there is no frame at all
    uint64_t written, synced;              // copies of the role's
    uint64_t buffered_bytes;               // in `filling` and the role's queue
    uint64_t failures,
        failed_to; // attempts, the highest sequence that the last of them had to write
    uint64_t syncs;
    Err failure;
    WalSegments segments; // all that are on disk; the last one may be the current one
    uint64_t spares[WAL_SPARES];
    size_t spare_count;

    WalIo io; // of the holder of the I/O role
};

// All of these need the I/O role and no lock; they take Wal.mu for moments.

// Writes the queue, goes on in a new segment first or last as needed, and syncs when asked (or when
// a new segment needs its name, or a lot is unsynced). After a failure it tries once more in a new
// segment. ERR_UNAVAILABLE when that fails as well; io.file is NULL then and io.written ==
// io.synced.
Status wal_io_run(Wal *wal, bool sync, bool rotate, Err *err);
// Takes over what a sync beside the role has done; by the role's holder, or when nobody is. A
// failure means that the segment is not to be trusted any more.
Status wal_io_settle_locked(Wal *wal, Err *err) REQUIRES(wal->mu);
WalBatch *wal_batch_new(void);
void wal_batch_free(WalBatch *batch); // accepts NULL
