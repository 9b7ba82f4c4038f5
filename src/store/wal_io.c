// SPDX-License-Identifier: Apache-2.0
//
// Writing segments. A new segment is written under a temporary name until its first frames are
// synced and then renamed, so a file with the name of a segment always has a header, and never
// holds less than what a poisoned segment before it lost.
#include "store/wal_internal.h"

#include "base/mem.h"

enum { SMALL_SEGMENT_BYTES = 1 << 20 };

WalBatch *wal_batch_new(void)
{
    WalBatch *batch = mem_new(WalBatch, 1);
    buf_init(&batch->bytes, 0);
    return batch;
}

void wal_batch_free(WalBatch *batch)
{
    if (batch != NULL) {
        buf_deinit(&batch->bytes);
        mem_free(batch->offsets);
        mem_free(batch);
    }
}

static size_t frame_end(const WalBatch *batch, size_t i)
{
    return i + 1 < batch->count ? batch->offsets[i + 1] : batch->bytes.len;
}

// The batch and the place in it of the first frame that is not written; NULL when all are.
static WalBatch *next_frame(const WalIo *io, size_t *index)
{
    for (WalBatch *batch = io->queue; batch != NULL; batch = batch->next) {
        if (io->written + 1 < batch->first_sequence + batch->count) {
            *index = (size_t)(io->written + 1 - batch->first_sequence);
            return batch;
        }
    }
    return NULL;
}

// Forgets the batches that are durable.
static void release_batches(WalIo *io)
{
    while (io->queue != NULL && io->queue->first_sequence + io->queue->count <= io->synced + 1) {
        WalBatch *batch = io->queue;
        io->queue = batch->next;
        if (io->queue == NULL) {
            io->queue_tail = &io->queue;
        }
        if (io->reuse == NULL && batch->bytes.cap <= WAL_BATCH_KEEP_BYTES) {
            buf_clear(&batch->bytes);
            batch->count = 0;
            batch->next = NULL;
            io->reuse = batch;
        } else {
            wal_batch_free(batch);
        }
    }
}

// Gives the current segment, synced, its name, and enters it into the list.
static Status name_segment(Wal *wal, Err *err)
{
    WalIo *io = &wal->io;
    Arena arena;
    arena_init(&arena, 0);
    Status st = os_rename(wal->os, wal_spare_path(&arena, wal->dir, io->id),
                          wal_segment_path(&arena, wal->dir, io->first_sequence), err);
    arena_deinit(&arena);
    if (st == OK) {
        st = os_dir_sync(wal->os, wal->dir, err);
    }
    if (st != OK) {
        return st;
    }
    io->has_name = true;
    const WalSegment segment = {.first_sequence = io->first_sequence,
                                .last_sequence = io->written,
                                .id = io->id,
                                .size_bytes = io->position};
    mutex_lock(&wal->mu);
    WalSegments *segments = &wal->segments;
    // A segment that failed before anything in it was durable has just been replaced.
    if (segments->count > 0 &&
        segments->ptr[segments->count - 1].first_sequence == segment.first_sequence) {
        segments->count--;
    }
    wal_segments_push(segments, segment);
    mutex_unlock(&wal->mu);
    return OK;
}

static void update_current_segment(Wal *wal)
{
    const WalIo *io = &wal->io;
    mutex_lock(&wal->mu);
    WalSegment *last = wal->segments.count > 0 ? &wal->segments.ptr[wal->segments.count - 1] : NULL;
    if (last != NULL && last->id == io->id) {
        last->last_sequence = io->written;
        last->size_bytes = io->position;
    }
    mutex_unlock(&wal->mu);
}

Status wal_io_settle_locked(Wal *wal, Err *err)
{
    WalIo *io = &wal->io;
    WalAside *aside = &wal->aside;
    if (!aside->finished) {
        return OK;
    }
    aside->finished = false;
    if (aside->failed != OK) {
        *err = aside->failure;
        return aside->failed;
    }
    io->synced = aside->to > io->synced ? aside->to : io->synced;
    io->unsynced_bytes -= aside->bytes < io->unsynced_bytes ? aside->bytes : io->unsynced_bytes;
    release_batches(io);
    return OK;
}

// Waits for a sync beside the role, and takes over what it did. The system tells of a failed sync
// once: whoever syncs the file again must have heard of it.
static Status join_aside(Wal *wal, Err *err)
{
    mutex_lock(&wal->mu);
    while (wal->syncing) {
        cond_wait(&wal->changed, &wal->mu);
    }
    const Status st = wal_io_settle_locked(wal, err);
    mutex_unlock(&wal->mu);
    return st;
}

static Status sync_segment(Wal *wal, Err *err)
{
    WalIo *io = &wal->io;
    TRY(join_aside(wal, err));
    if (io->synced == io->written && io->has_name) {
        return OK;
    }
    io->syncs++;
    TRY(os_file_sync(io->file, err));
    if (!io->has_name) {
        TRY(name_segment(wal, err));
    }
    io->synced = io->written;
    io->unsynced_bytes = 0;
    release_batches(io);
    return OK;
}

// What is in the segment now stays in it, and is durable.
static void close_segment(WalIo *io)
{
    if (io->has_name && io->synced >= io->first_sequence) {
        io->previous_id = io->id;
    }
    os_file_close(io->file);
    io->file = NULL;
}

// The current segment is not to be trusted any more.
static void poison_segment(Wal *wal)
{
    WalIo *io = &wal->io;
    Err ignored;
    (void)join_aside(wal, &ignored); // it is poisoned whatever became of it
    if (io->file != NULL) {
        close_segment(io);
        if (!io->has_name) {
            Arena arena;
            arena_init(&arena, 0);
            // Best effort: what is left over is taken as a spare by the next start.
            (void)os_unlink(wal->os, wal_spare_path(&arena, wal->dir, io->id), &ignored);
            arena_deinit(&arena);
        }
    }
    io->written = io->synced;
    io->unsynced_bytes = 0;
    update_current_segment(wal);
}

// A trimmed file of the right size under the temporary name of the new segment, or *file stays
// NULL.
static void take_spare(Wal *wal, uint64_t size_bytes, OsFile **file)
{
    WalIo *io = &wal->io;
    mutex_lock(&wal->mu);
    const bool has_spare = wal->spare_count > 0 && size_bytes == wal->options.segment_bytes;
    const uint64_t number = has_spare ? wal->spares[--wal->spare_count] : 0;
    mutex_unlock(&wal->mu);
    if (!has_spare) {
        return;
    }
    Arena arena;
    Err ignored;
    arena_init(&arena, 0);
    const Str path = wal_spare_path(&arena, wal->dir, io->id);
    if (os_rename(wal->os, wal_spare_path(&arena, wal->dir, number), path, &ignored) == OK) {
        (void)os_file_open(wal->os, path, OS_OPEN_WRITE, file, &ignored);
    }
    arena_deinit(&arena);
}

static Status allocate_file(Wal *wal, uint64_t need_bytes, Err *err)
{
    WalIo *io = &wal->io;
    const uint64_t usual = wal->options.segment_bytes;
    const uint64_t size = usual > need_bytes ? usual : need_bytes;
    take_spare(wal, size, &io->file);
    io->capacity = size;
    if (io->file != NULL) {
        return OK;
    }
    Arena arena;
    arena_init(&arena, 0);
    Status st = os_file_open(wal->os, wal_spare_path(&arena, wal->dir, io->id), OS_OPEN_CREATE,
                             &io->file, err);
    arena_deinit(&arena);
    if (st != OK) {
        return st;
    }
    st = os_file_allocate(io->file, size, err);
    const uint64_t small = need_bytes > SMALL_SEGMENT_BYTES ? need_bytes : SMALL_SEGMENT_BYTES;
    if (st == ERR_UNAVAILABLE && small < size) {
        // The disk is nearly full. A little log lets the flushes go on that will make room.
        io->capacity = small;
        st = os_file_truncate(io->file, 0, err);
        if (st == OK) {
            st = os_file_allocate(io->file, small, err);
        }
    }
    return st;
}

// Ends the current segment, when there is one, and begins one that has room for need_bytes of
// frames.
static Status next_segment(Wal *wal, uint64_t need_bytes, Err *err)
{
    WalIo *io = &wal->io;
    if (io->file != NULL) {
        TRY(sync_segment(wal, err));
        update_current_segment(wal);
        close_segment(io);
    }
    WalSegmentHeader header = {.first_sequence = io->written + 1,
                               .previous_id = io->previous_id,
                               .created_us = os_wall_us(wal->os),
                               .continues = io->written >= io->session_first};
    while (header.id == 0) {
        os_random(wal->os, &header.id, sizeof(header.id));
    }
    io->id = header.id;
    io->first_sequence = header.first_sequence;
    io->position = WAL_SEGMENT_HEADER_BYTES;
    io->has_name = false;
    TRY(allocate_file(wal, WAL_SEGMENT_HEADER_BYTES + need_bytes, err));
    // The header of the first frame is cleared, too: a spare file has old frames there.
    uint8_t bytes[WAL_SEGMENT_HEADER_BYTES + WAL_FRAME_HEADER_BYTES] = {0};
    wal_encode_segment_header(&header, bytes);
    const uint64_t room = io->capacity < sizeof(bytes) ? io->capacity : sizeof(bytes);
    return os_file_write_at(io->file, 0, (Bytes){.ptr = bytes, .len = (size_t)room}, err);
}

// Writes frames [from, to) of the batch at the end of the segment, with one call.
static Status write_frames(Wal *wal, WalBatch *batch, size_t from, size_t to, Err *err)
{
    WalIo *io = &wal->io;
    for (size_t i = from; i < to; i++) {
        const uint64_t pending = batch->first_sequence + i - (io->synced + 1);
        wal_bind_frame_header(batch->bytes.ptr + batch->offsets[i], io->id,
                              pending < UINT32_MAX ? (uint32_t)pending : UINT32_MAX);
    }
    const size_t start = batch->offsets[from];
    size_t len = frame_end(batch, to - 1) - start;
    const size_t frame_bytes = len;
    if (to == batch->count) {
        // Zeros behind the last frame tell a clean end from a torn frame in a file that is used
        // again.
        uint8_t *zeros = buf_reserve(&batch->bytes, WAL_FRAME_HEADER_BYTES);
        ASSERT(zeros != NULL);
        memset(zeros, 0, WAL_FRAME_HEADER_BYTES);
        const uint64_t left = io->capacity - io->position - len;
        len += left < WAL_FRAME_HEADER_BYTES ? (size_t)left : WAL_FRAME_HEADER_BYTES;
    }
    TRY(os_file_write_at(io->file, io->position,
                         (Bytes){.ptr = batch->bytes.ptr + start, .len = len}, err));
    io->position += frame_bytes;
    io->unsynced_bytes += frame_bytes;
    io->written = batch->first_sequence + to - 1;
    return OK;
}

static Status write_queue(Wal *wal, Err *err)
{
    WalIo *io = &wal->io;
    size_t from = 0;
    for (WalBatch *batch = next_frame(io, &from); batch != NULL; batch = next_frame(io, &from)) {
        const size_t start = batch->offsets[from];
        const size_t first_bytes = frame_end(batch, from) - start;
        if (io->file == NULL || first_bytes > io->capacity - io->position) {
            TRY(next_segment(wal, first_bytes, err));
            continue; // the batch may be gone: next_segment() syncs
        }
        size_t to = from + 1;
        while (to < batch->count && frame_end(batch, to) - start <= io->capacity - io->position) {
            to++;
        }
        TRY(write_frames(wal, batch, from, to, err));
    }
    return OK;
}

static Status run_once(Wal *wal, bool sync, bool rotate, Err *err)
{
    WalIo *io = &wal->io;
    mutex_lock(&wal->mu);
    const Status aside = wal_io_settle_locked(wal, err);
    mutex_unlock(&wal->mu);
    TRY(aside);
    TRY(write_queue(wal, err));
    if (io->file == NULL || (rotate && io->written >= io->first_sequence)) {
        TRY(next_segment(wal, 0, err));
    }
    if (sync || rotate || !io->has_name ||
        (!wal->has_thread && io->unsynced_bytes > WAL_UNSYNCED_BYTES_MAX)) {
        TRY(sync_segment(wal, err));
    }
    update_current_segment(wal);
    return OK;
}

Status wal_io_run(Wal *wal, bool sync, bool rotate, Err *err)
{
    Status st = run_once(wal, sync, rotate, err);
    if (st == OK) {
        return OK;
    }
    poison_segment(wal);
    // Everything that is not durable is still in the queue. It goes to a new file, as one of which
    // a sync failed proves nothing any more.
    st = run_once(wal, true, rotate, err);
    if (st == OK) {
        return OK;
    }
    poison_segment(wal);
    const Err cause = *err;
    st = err_set(err, ERR_UNAVAILABLE, "the write-ahead log cannot be written: %s", cause.msg);
    err->os_errno = cause.os_errno;
    return st;
}
