// SPDX-License-Identifier: Apache-2.0
//
// Reading a log back. A segment is walked from header to header. Where there is no valid header
// (bit rot, a hole that a power cut left, the end) the walk goes on at the next magic, at any byte,
// whose header checksum and segment id are right; so one bad bit costs one frame. A header that is
// right is trusted for the length of its frame, so the walk is linear in the size of the file.
#include "store/wal_internal.h"

#include "base/mem.h"

#include "codec/crc.h"

enum { WINDOW_BYTES = 8 << 20 };

// A sliding window over one file.
typedef struct Window {
    OsFile *file;
    uint64_t size_bytes; // of the file
    uint8_t *ptr;
    size_t cap;
    uint64_t start; // of the file, at ptr
    size_t len;
} Window;

// The bytes from `pos` on: at least n of them, fewer only at the end of the file. Valid until the
// next call.
static Status window_at(Window *w, uint64_t pos, size_t n, Bytes *out, Err *err)
{
    *out = (Bytes){0};
    if (pos >= w->size_bytes) {
        return OK;
    }
    const uint64_t left = w->size_bytes - pos;
    const size_t want = left < n ? (size_t)left : n;
    if (pos < w->start || pos + want > w->start + w->len) {
        const bool overlaps = pos >= w->start && pos < w->start + w->len;
        const size_t keep = overlaps ? (size_t)(w->start + w->len - pos) : 0;
        const size_t usual = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
        const size_t room = want > usual ? want : usual;
        if (room > w->cap) {
            uint8_t *larger = mem_alloc_raw(room);
            if (keep > 0) {
                memcpy(larger, w->ptr + (pos - w->start), keep);
            }
            mem_free(w->ptr);
            w->ptr = larger;
            w->cap = room;
        } else if (keep > 0) {
            memmove(w->ptr, w->ptr + (pos - w->start), keep);
        }
        w->start = pos;
        w->len = keep;
        size_t got = 0;
        TRY(os_file_read_at(w->file, pos + keep, w->ptr + keep, room - keep, &got, err));
        w->len += got;
        if (w->len < want) { // it became shorter since we asked
            w->size_bytes = pos + w->len;
        }
    }
    const size_t at = (size_t)(pos - w->start);
    *out = (Bytes){.ptr = w->ptr + at, .len = w->len - at};
    return OK;
}

typedef struct Source {      // a file of the folder
    uint64_t first_sequence; // from the name
    bool has_header;
    WalSegmentHeader header;
} Source;

typedef struct Walk { // over one segment
    WalRecovery *r;
    Window *window;
    uint64_t id;          // 0: not known yet
    uint64_t limit;       // frames from this sequence on are in the next segment
    uint64_t expected;    // the sequence that comes next
    uint64_t evidence;    // one past the highest sequence of which a header was seen
    uint64_t durable_end; // everything below was known to be durable
    uint64_t end;         // of the last whole frame
    bool is_limited;      // a frame from `limit` on was seen
    bool is_dirty;        // something that is no frame stands where one should begin
} Walk;

// Adds the frames [walk->expected, upto), which are not there, to the report.
static void count_missing(Walk *walk, uint64_t upto)
{
    if (upto <= walk->expected) {
        return;
    }
    uint64_t durable = walk->durable_end < upto ? walk->durable_end : upto;
    durable = durable > walk->expected ? durable : walk->expected;
    walk->r->report.damaged_frames += durable - walk->expected;
    walk->r->report.torn_frames += upto - durable;
    walk->expected = upto;
}

static Status deliver(Walk *walk, const WalFrameHeader *h, Bytes payload, Err *err)
{
    count_missing(walk, h->sequence);
    walk->expected = h->sequence + 1;
    WalReport *report = &walk->r->report;
    report->frames++;
    report->bytes += payload.len;
    report->last_sequence = h->sequence;
    const WalFrame frame = {.sequence = h->sequence,
                            .table = h->table,
                            .shard = h->shard,
                            .kind = h->kind,
                            .payload = payload};
    return walk->r->apply(walk->r->ctx, &frame, err);
}

// The frame at `pos`, when there is one: *next is the place behind it. When it is none of this
// segment, *next is pos.
static Status walk_frame(Walk *walk, uint64_t pos, uint64_t *next, Err *err)
{
    Bytes in = {0};
    WalFrameHeader h;
    *next = pos;
    TRY(window_at(walk->window, pos, WAL_FRAME_HEADER_BYTES, &in, err));
    if (in.len < WAL_FRAME_HEADER_BYTES || !wal_decode_frame_header(in.ptr, &h) ||
        (walk->id != 0 && h.segment_id != walk->id) || h.sequence < walk->expected) {
        return OK;
    }
    if (h.sequence >= walk->limit) {
        walk->is_limited = true;
        return OK;
    }
    const size_t size = WAL_FRAME_HEADER_BYTES + (size_t)h.length;
    TRY(window_at(walk->window, pos, size, &in, err));
    const bool whole = in.len >= size;
    const Bytes payload = {.ptr = in.ptr + WAL_FRAME_HEADER_BYTES, .len = whole ? h.length : 0};
    const bool valid = whole && crc_castagnoli(0, payload) == h.payload_crc;
    if (!valid && walk->id == 0) {
        return OK; // nothing says that it belongs to this segment
    }
    walk->id = h.segment_id;
    walk->evidence = h.sequence + 1 > walk->evidence ? h.sequence + 1 : walk->evidence;
    const uint64_t durable_end = h.sequence - h.pending;
    walk->durable_end = durable_end > walk->durable_end ? durable_end : walk->durable_end;
    if (valid) {
        TRY(deliver(walk, &h, payload, err));
        walk->end = pos + size;
    }
    *next = whole ? pos + size : pos;
    return OK;
}

// The next place after `pos` with a magic, or the end of the file.
static Status walk_resync(Walk *walk, uint64_t pos, uint64_t *next, Err *err)
{
    Bytes in = {0};
    *next = pos + 1;
    while (*next < walk->window->size_bytes) {
        TRY(window_at(walk->window, *next, WAL_FRAME_HEADER_BYTES, &in, err));
        const size_t at = wal_find_magic(in, 0);
        *next += at;
        if (in.len - at >= WAL_FRAME_HEADER_BYTES) {
            return OK;
        }
        if (in.len < WAL_FRAME_HEADER_BYTES) { // too near to the end for a frame
            *next = walk->window->size_bytes;
        }
    }
    return OK;
}

static bool is_zero(Bytes b)
{
    for (size_t i = 0; i < b.len; i++) {
        if (b.ptr[i] != 0) {
            return false;
        }
    }
    return true;
}

// Goes from `pos`, where no frame is, to the end of the next frame, or of the file.
static Status walk_gap(Walk *walk, uint64_t *pos, Err *err)
{
    Bytes in = {0};
    uint64_t next = *pos;
    TRY(window_at(walk->window, *pos, WAL_FRAME_HEADER_BYTES, &in, err));
    in.len = in.len < WAL_FRAME_HEADER_BYTES ? in.len : WAL_FRAME_HEADER_BYTES;
    const bool is_dirty = !is_zero(in);
    while (next == *pos && *pos < walk->window->size_bytes) {
        TRY(walk_resync(walk, *pos, pos, err));
        TRY(walk_frame(walk, *pos, &next, err));
    }
    walk->is_dirty = is_dirty && next == *pos; // and nothing valid behind it
    *pos = next;
    return OK;
}

static Status walk_segment(Walk *walk, Err *err)
{
    uint64_t pos = WAL_SEGMENT_HEADER_BYTES;
    while (pos < walk->window->size_bytes) {
        uint64_t next = pos;
        TRY(walk_frame(walk, pos, &next, err));
        walk->is_dirty = false;
        if (next > pos) {
            pos = next;
        } else {
            TRY(walk_gap(walk, &pos, err));
        }
    }
    return OK;
}

static Status read_source(WalRecovery *r, Source *source, OsFile *file, Err *err)
{
    uint8_t bytes[WAL_SEGMENT_HEADER_BYTES] = {0};
    size_t got = 0;
    TRY(os_file_read_at(file, 0, bytes, sizeof(bytes), &got, err));
    const Status st = wal_decode_segment_header(bytes, &source->header, err);
    if (st != OK && st != ERR_CORRUPT) {
        return st;
    }
    source->has_header = st == OK;
    if (!source->has_header) {
        r->report.damaged_headers++;
    }
    return OK;
}

static Status open_segment(const WalRecovery *r, uint64_t first_sequence, OsFile **file, Err *err)
{
    Arena arena;
    arena_init(&arena, 0);
    const Status st = os_file_open(r->os, wal_segment_path(&arena, r->dir, first_sequence),
                                   OS_OPEN_READ, file, err);
    arena_deinit(&arena);
    return st;
}

// The headers of all segments, in the order of their names, without those that are not what their
// name says.
static Status list_sources(WalRecovery *r, Arena *arena, Source **out, size_t *count, Err *err)
{
    OsDirEntry *entries = NULL;
    size_t entry_count = 0;
    *count = 0;
    TRY(os_dir_list(r->os, r->dir, arena, &entries, &entry_count, err));
    Source *sources = arena_new(arena, Source, entry_count);
    for (size_t i = 0; i < entry_count; i++) {
        Source source = {0};
        if (entries[i].is_dir || !wal_parse_name(entries[i].name, &source.first_sequence)) {
            continue;
        }
        OsFile *file = NULL;
        TRY(open_segment(r, source.first_sequence, &file, err));
        const Status st = read_source(r, &source, file, err);
        os_file_close(file);
        if (st != OK) {
            return err_prefix(err, "segment %" PRIu64 ": ", source.first_sequence);
        }
        uint64_t highest = source.first_sequence;
        if (source.has_header && source.header.first_sequence > highest) {
            highest = source.header.first_sequence;
        }
        r->sequence_max = highest > r->sequence_max ? highest : r->sequence_max;
        if (source.has_header && source.header.first_sequence != source.first_sequence) {
            r->report.ignored_segments++;
            continue;
        }
        sources[(*count)++] = source;
    }
    *out = sources;
    return OK;
}

// Whether the chain of segments, each naming the one with frames before it, is broken here.
static bool is_link_broken(const WalRecovery *r, const Source *source)
{
    for (size_t i = r->segments.count; i-- > 0;) {
        const WalSegment *before = &r->segments.ptr[i];
        if (!wal_segment_is_empty(before)) {
            return source->has_header && before->id != source->header.previous_id;
        }
    }
    return false;
}

// What the walk found is over: counts what is missing at its end and lists the segment.
static void finish_segment(Walk *walk, const Source *source, const Source *next, bool is_limit)
{
    WalRecovery *r = walk->r;
    if (walk->is_dirty && walk->evidence <= walk->expected) {
        walk->evidence = walk->expected + 1; // the beginning of something
    }
    if (next != NULL && next->header.continues) {
        walk->durable_end = walk->limit;
        walk->evidence = walk->limit;
    }
    count_missing(walk, walk->evidence);
    const uint64_t last = walk->expected - 1; // delivered or known to be lost
    r->sequence_max = last > r->sequence_max ? last : r->sequence_max;
    wal_segments_push(&r->segments, (WalSegment){.first_sequence = source->first_sequence,
                                                 .last_sequence = last,
                                                 .id = walk->id,
                                                 .size_bytes = walk->end,
                                                 .is_limit = is_limit});
}

// *is_limit: whether this segment limits the one before; then, whether the next one limits this.
static Status recover_segment(WalRecovery *r, const Source *source, const Source *next,
                              Window *window, bool *is_limit, Err *err)
{
    Walk walk = {.r = r,
                 .window = window,
                 .id = source->has_header ? source->header.id : 0,
                 .limit = next != NULL ? next->first_sequence : UINT64_MAX,
                 .expected = source->first_sequence,
                 .evidence = source->first_sequence,
                 .end = WAL_SEGMENT_HEADER_BYTES};
    if (walk.expected <= r->report.last_sequence) { // only around a damaged header
        walk.expected = r->report.last_sequence + 1;
    }
    r->report.segments++;
    r->report.missing_segments += is_link_broken(r, source) ? 1 : 0;
    window->start = 0;
    window->len = 0;
    if (next == NULL || !next->header.continues) {
        // A process that was killed may have left frames that are written and not synced. What is
        // delivered is acted upon, so it must not vanish in a power cut later.
        TRY(os_file_sync(window->file, err));
    }
    TRY(os_file_size(window->file, &window->size_bytes, err));
    TRY(walk_segment(&walk, err));
    finish_segment(&walk, source, next, *is_limit);
    *is_limit = walk.is_limited;
    return OK;
}

Status wal_recover(WalRecovery *r, Err *err)
{
    Status st = OK;
    Arena arena;
    Source *sources = NULL;
    size_t count = 0;
    Window window = {0};
    bool is_limit = false;

    arena_init(&arena, 0);
    TRY_OUT(list_sources(r, &arena, &sources, &count, err));
    for (size_t i = 0; i < count && st == OK; i++) {
        ASSERT(sources != NULL);
        const Source *next = i + 1 < count && sources[i + 1].has_header ? &sources[i + 1] : NULL;
        st = open_segment(r, sources[i].first_sequence, &window.file, err);
        if (st == OK) {
            st = recover_segment(r, &sources[i], next, &window, &is_limit, err);
            os_file_close(window.file);
        }
        if (st != OK) {
            st = err_prefix(err, "segment %" PRIu64 ": ", sources[i].first_sequence);
        }
    }
out:
    mem_free(window.ptr);
    arena_deinit(&arena);
    return st;
}
