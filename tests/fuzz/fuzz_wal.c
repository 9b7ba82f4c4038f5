// SPDX-License-Identifier: Apache-2.0
//
// The input is a folder of segments: byte 0 says how many (bits 0 and 1: one to three) and whether
// checksums are made right first (bit 7), so that mutations get past them; then the segments, of
// equal size. Oracles: frames come in order, and each is valid by a search that knows nothing of
// segments and positions; the log opens, takes a frame, and then delivers the same and that frame.
#include "base/mem.h"
#include "codec/crc.h"
#include "os/sim.h"
#include "store/wal_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEGMENTS_MAX = 3, FRAMES_MAX = 4096, INPUT_MAX = 1 << 18, SEGMENT_BYTES = 8192 };

static const uint64_t names[SEGMENTS_MAX] = {1, 5, UINT64_C(1) << 32};

typedef struct Slice {
    uint8_t *ptr;
    size_t len;
} Slice;

typedef struct Seen {
    uint64_t sequence[FRAMES_MAX];
    uint32_t crc[FRAMES_MAX]; // of the payload
    size_t count;
    const Slice *segments; // NULL: not checked
    size_t segment_count;
} Seen;

static void put_u32(uint8_t *p, uint32_t v)
{
    for (size_t i = 0; i < 4; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

static uint32_t crc_of(const uint8_t *p, size_t n)
{
    return crc_castagnoli(0, (Bytes){.ptr = p, .len = n});
}

// Makes every header right that is one but for its checksums.
static void repair(Slice s, uint64_t first_sequence)
{
    uint8_t id[8] = {1};
    if (s.len < WAL_SEGMENT_HEADER_BYTES) {
        return;
    }
    for (size_t i = 0; i < 8; i++) {
        s.ptr[24 + i] = (uint8_t)(first_sequence >> (8 * i));
    }
    memcpy(s.ptr + 16, id, sizeof(id));
    put_u32(s.ptr + 60, crc_of(s.ptr, 60));
    const Bytes in = {.ptr = s.ptr, .len = s.len};
    for (size_t at = wal_find_magic(in, WAL_SEGMENT_HEADER_BYTES);
         s.len - at >= WAL_FRAME_HEADER_BYTES; at = wal_find_magic(in, at + 1)) {
        uint8_t *h = s.ptr + at;
        const size_t left = s.len - at - WAL_FRAME_HEADER_BYTES;
        const uint32_t len = (uint32_t)h[8] | (uint32_t)h[9] << 8 | (uint32_t)h[10] << 16;
        if (len <= left && h[11] == 0) {
            put_u32(h + 12, crc_of(h + WAL_FRAME_HEADER_BYTES, len));
        }
        memcpy(h + 16, id, sizeof(id));
        put_u32(h + 4, crc_of(h + 8, WAL_FRAME_HEADER_BYTES - 8));
    }
}

// Whether such a frame is anywhere.
static bool is_somewhere(const Seen *seen, const WalFrame *frame)
{
    for (size_t i = 0; i < seen->segment_count; i++) {
        const Slice s = seen->segments[i];
        for (size_t at = 0; s.len - at >= WAL_FRAME_HEADER_BYTES; at++) {
            WalFrameHeader h;
            const uint8_t *payload = s.ptr + at + WAL_FRAME_HEADER_BYTES;
            if (wal_decode_frame_header(s.ptr + at, &h) && h.sequence == frame->sequence &&
                h.length == frame->payload.len && h.table == frame->table &&
                h.shard == frame->shard && h.kind == frame->kind &&
                h.length <= s.len - at - WAL_FRAME_HEADER_BYTES &&
                memcmp(payload, frame->payload.ptr, h.length) == 0) {
                return crc_of(payload, h.length) == h.payload_crc;
            }
        }
    }
    return false;
}

static Status collect(void *ctx, const WalFrame *frame, Err *err)
{
    Seen *seen = ctx;
    if (seen->count == FRAMES_MAX) {
        return err_set(err, ERR_LIMIT, "enough");
    }
    ASSERT(seen->count == 0 || frame->sequence > seen->sequence[seen->count - 1]);
    ASSERT(frame->shard < WAL_SHARDS);
    ASSERT(seen->segments == NULL || is_somewhere(seen, frame));
    seen->sequence[seen->count] = frame->sequence;
    seen->crc[seen->count] = crc_castagnoli(0, frame->payload);
    seen->count++;
    return OK;
}

static void write_segment(Os *os, uint64_t first_sequence, Slice s)
{
    Err err;
    Arena arena = {0};
    OsFile *file = NULL;
    const Status st = os_file_open(os, wal_segment_path(&arena, STR("w"), first_sequence),
                                   OS_OPEN_CREATE, &file, &err);
    ASSERT(st == OK);
    ASSERT(os_file_write_at(file, 0, (Bytes){.ptr = s.ptr, .len = s.len}, &err) == OK);
    os_file_close(file);
    arena_deinit(&arena);
}

static Seen first_seen, second_seen;

static Status open_log(Os *os, Seen *seen, Wal **wal)
{
    Err err;
    const WalOptions options = {
        .os = os, .dir = STR("w"), .segment_bytes = SEGMENT_BYTES, .manual = true};
    seen->count = 0;
    return wal_open(&options, collect, seen, wal, NULL, &err);
}

static void check(Os *os, const Slice *segments, size_t count)
{
    Err err;
    Wal *wal = NULL;
    uint64_t sequence = 0;
    const uint8_t payload[3] = {1, 2, 3};
    const WalFrame frame = {.payload = {.ptr = payload, .len = sizeof(payload)}};
    first_seen.segments = segments;
    first_seen.segment_count = count;
    second_seen.segments = NULL;
    if (open_log(os, &first_seen, &wal) != OK) {
        ASSERT(wal == NULL); // a later version, or too many frames
        return;
    }
    ASSERT(wal_append(wal, &frame, &sequence, &err) == OK);
    ASSERT(first_seen.count == 0 || sequence > first_seen.sequence[first_seen.count - 1]);
    ASSERT(wal_commit(wal, sequence, &err) == OK);
    wal_close(wal);
    if (first_seen.count == FRAMES_MAX) {
        return;
    }
    ASSERT(open_log(os, &second_seen, &wal) == OK);
    wal_close(wal);
    ASSERT(second_seen.count == first_seen.count + 1);
    ASSERT(memcmp(first_seen.sequence, second_seen.sequence, first_seen.count * sizeof(uint64_t)) ==
           0);
    ASSERT(memcmp(first_seen.crc, second_seen.crc, first_seen.count * sizeof(uint32_t)) == 0);
    ASSERT(second_seen.sequence[first_seen.count] == sequence);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Err err;
    if (size < 1 || size > INPUT_MAX) {
        return 0;
    }
    const size_t count = 1 + (data[0] & 3) % SEGMENTS_MAX;
    const size_t each = (size - 1) / count;
    uint8_t *copy = mem_alloc_raw(size);
    Slice segments[SEGMENTS_MAX];
    OsSim *sim = os_sim_new(1);
    memcpy(copy, data + 1, size - 1);
    ASSERT(os_mkdir_all(os_sim_os(sim), STR("w"), &err) == OK);
    for (size_t i = 0; i < count; i++) {
        segments[i] = (Slice){.ptr = copy + i * each, .len = each};
        if ((data[0] & 0x80) != 0) {
            repair(segments[i], names[i]);
        }
        write_segment(os_sim_os(sim), names[i], segments[i]);
    }
    check(os_sim_os(sim), segments, count);
    os_sim_free(sim);
    mem_free(copy);
    return 0;
}
