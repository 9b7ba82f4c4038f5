// SPDX-License-Identifier: Apache-2.0
//
// Group commit. Appending copies a frame into the batch that is being filled. A thread that must
// wait for durability takes the I/O role when it is free: it moves the batch to the role's queue,
// releases the lock, writes and syncs everything, and wakes the others, whose frames it has most
// likely written with its own. Whoever appended meanwhile makes up the next group.
#include "store/wal_internal.h"

#include "base/mem.h"

#include "codec/crc.h"

enum { INTERVAL_MS_DEFAULT = 100, LOCK_LEVEL = 50 };

// ---- the I/O role

static uint64_t queue_bytes(const WalIo *io)
{
    uint64_t bytes = 0;
    for (const WalBatch *batch = io->queue; batch != NULL; batch = batch->next) {
        bytes += batch->bytes.len;
    }
    return bytes;
}

// Takes the I/O role, which must be free, writes what was appended so far, and gives it back.
static Status lead_locked(Wal *wal, bool sync, bool rotate, Err *err) REQUIRES(wal->mu);
static Status lead_locked(Wal *wal, bool sync, bool rotate, Err *err)
{
    WalIo *io = &wal->io;
    ASSERT(!wal->io_busy);
    wal->io_busy = true;
    if (wal->filling->count > 0) {
        *io->queue_tail = wal->filling;
        io->queue_tail = &wal->filling->next;
        wal->filling = io->reuse != NULL ? io->reuse : wal_batch_new();
        io->reuse = NULL;
    }
    const uint64_t to = wal->next_sequence - 1;
    mutex_unlock(&wal->mu);

    const Status st = wal_io_run(wal, sync, rotate, err);
    const uint64_t queued = queue_bytes(io);

    mutex_lock(&wal->mu);
    wal->written = io->written;
    wal->synced = io->synced;
    wal->syncs = io->syncs;
    wal->buffered_bytes = wal->filling->bytes.len + queued;
    if (io->unsynced_bytes > WAL_UNSYNCED_BYTES_MAX) {
        cond_signal(&wal->stop); // the thread need not wait for its time
    }
    wal->broken = st != OK;
    if (st != OK) {
        wal->failures++;
        wal->failed_to = to;
        wal->failure = *err;
    }
    wal->io_busy = false;
    cond_broadcast(&wal->changed);
    return st;
}

static void wait_for_io_locked(Wal *wal) REQUIRES(wal->mu);
static void wait_for_io_locked(Wal *wal)
{
    while (wal->io_busy) {
        cond_wait(&wal->changed, &wal->mu);
    }
}

// Returns when `sequence` is written (or synced).
static Status reach_locked(Wal *wal, uint64_t sequence, bool sync, Err *err) REQUIRES(wal->mu);
static Status reach_locked(Wal *wal, uint64_t sequence, bool sync, Err *err)
{
    while ((sync ? wal->synced : wal->written) < sequence) {
        if (!wal->io_busy) {
            TRY(lead_locked(wal, sync, false, err));
            continue;
        }
        const uint64_t failures = wal->failures;
        cond_wait(&wal->changed, &wal->mu);
        if (wal->failures != failures && sequence <= wal->failed_to) {
            *err = wal->failure; // the attempt was ours as well
            return err->status;
        }
    }
    return OK;
}

// Syncs what is written, without the I/O role: writers, whose commits end with a write, go on.
static void sync_aside_locked(Wal *wal) REQUIRES(wal->mu);
static void sync_aside_locked(Wal *wal)
{
    // The role is free, and whoever takes it does not close the file while `syncing` is set.
    WalIo *io = &wal->io;
    OsFile *file = io->file;
    WalAside aside = {.finished = true, .to = io->written, .bytes = io->unsynced_bytes};
    wal->syncs = ++io->syncs;
    wal->syncing = true;
    mutex_unlock(&wal->mu);

    aside.failed = os_file_sync(file, &aside.failure);

    mutex_lock(&wal->mu);
    wal->syncing = false;
    wal->aside = aside;
    if (aside.failed == OK && !wal->io_busy) {
        Err none;
        ASSERT(wal_io_settle_locked(wal, &none) == OK);
        wal->synced = io->synced;
        wal->buffered_bytes = wal->filling->bytes.len + queue_bytes(io);
    }
    cond_broadcast(&wal->changed);
}

static void interval_locked(Wal *wal) REQUIRES(wal->mu);
static void interval_locked(Wal *wal)
{
    Err err; // the next append or commit meets the same failure and reports it
    wait_for_io_locked(wal);
    if (wal->filling->count > 0 && lead_locked(wal, false, false, &err) != OK) {
        return;
    }
    wait_for_io_locked(wal);
    const WalIo *io = &wal->io;
    if (io->synced == io->written && !wal->broken) {
        return;
    }
    if (!wal->broken && io->file != NULL && io->has_name) {
        sync_aside_locked(wal);
        wait_for_io_locked(wal);
    }
    // After a failure all that is not durable is written again; it may be done already.
    if (wal->broken || wal->aside.finished) {
        (void)lead_locked(wal, wal->broken || wal->aside.failed != OK, false, &err);
    }
}

static void run_interval(void *arg)
{
    Wal *wal = arg;
    mutex_lock(&wal->mu);
    while (!wal->closing) {
        (void)cond_wait_ms(&wal->stop, &wal->mu, wal->options.interval_ms);
        if (!wal->closing && wal->synced + 1 < wal->next_sequence) {
            interval_locked(wal);
        }
    }
    mutex_unlock(&wal->mu);
}

// ---- appending

// Waits until there is room for a frame of `size` bytes. A log that cannot be written still takes
// frames as long as there is: whoever appends has most often applied the rows already.
static Status make_room_locked(Wal *wal, size_t size, Err *err) REQUIRES(wal->mu);
static Status make_room_locked(Wal *wal, size_t size, Err *err)
{
    while (wal->buffered_bytes > 0 && wal->buffered_bytes + size > WAL_BUFFER_BYTES_MAX) {
        if (wal->io_busy) {
            wait_for_io_locked(wal);
        } else {
            TRY(lead_locked(wal, true, false, err));
        }
    }
    return OK;
}

Status wal_append(Wal *wal, const WalFrame *frame, uint64_t *sequence, Err *err)
{
    ASSERT(frame->shard < WAL_SHARDS && frame->table <= INT32_MAX);
    *sequence = 0;
    if (frame->payload.len > WAL_FRAME_BYTES_MAX) {
        return err_set(err, ERR_TOO_LARGE, "frame of %zu bytes, at most %d fit the write-ahead log",
                       frame->payload.len, WAL_FRAME_BYTES_MAX);
    }
    const size_t size = WAL_FRAME_HEADER_BYTES + frame->payload.len;
    WalFrameHeader header = {.length = (uint32_t)frame->payload.len,
                             .payload_crc = crc_castagnoli(0, frame->payload),
                             .table = frame->table,
                             .shard = frame->shard,
                             .kind = frame->kind};
    mutex_lock(&wal->mu);
    const Status st = make_room_locked(wal, size, err);
    if (st == OK) {
        WalBatch *batch = wal->filling;
        header.sequence = wal->next_sequence++;
        if (batch->count == 0) {
            batch->first_sequence = header.sequence;
        }
        batch->offsets =
            mem_grow(batch->offsets, &batch->cap, batch->count + 1, sizeof(*batch->offsets));
        batch->offsets[batch->count++] = (uint32_t)batch->bytes.len;
        uint8_t *at = buf_reserve(&batch->bytes, size);
        ASSERT(at != NULL);
        wal_encode_frame_header(&header, at);
        if (frame->payload.len > 0) {
            memcpy(at + WAL_FRAME_HEADER_BYTES, frame->payload.ptr, frame->payload.len);
        }
        buf_commit(&batch->bytes, size);
        wal->buffered_bytes += size;
        wal->last_sequence = header.sequence;
        *sequence = header.sequence;
    }
    mutex_unlock(&wal->mu);
    return st;
}

Status wal_commit(Wal *wal, uint64_t sequence, Err *err)
{
    mutex_lock(&wal->mu);
    ASSERT(sequence < wal->next_sequence);
    const Status st = reach_locked(wal, sequence, wal->options.durability == WAL_SYNC, err);
    mutex_unlock(&wal->mu);
    return st;
}

Status wal_ready(Wal *wal, Err *err)
{
    Status st = OK;
    mutex_lock(&wal->mu);
    if (wal->broken) {
        wait_for_io_locked(wal);
    }
    if (wal->broken) {
        st = lead_locked(wal, true, false, err);
    }
    mutex_unlock(&wal->mu);
    return st;
}

Status wal_sync(Wal *wal, Err *err)
{
    mutex_lock(&wal->mu);
    const Status st = reach_locked(wal, wal->next_sequence - 1, true, err);
    mutex_unlock(&wal->mu);
    return st;
}

Status wal_rotate(Wal *wal, Err *err)
{
    mutex_lock(&wal->mu);
    wait_for_io_locked(wal);
    const Status st = lead_locked(wal, true, true, err);
    mutex_unlock(&wal->mu);
    return st;
}

uint64_t wal_last_sequence(Wal *wal)
{
    mutex_lock(&wal->mu);
    const uint64_t last = wal->last_sequence;
    mutex_unlock(&wal->mu);
    return last;
}

void wal_usage(Wal *wal, WalUsage *out)
{
    *out = (WalUsage){0};
    mutex_lock(&wal->mu);
    out->segments = wal->segments.count;
    for (size_t i = 0; i < wal->segments.count; i++) {
        out->bytes += wal->segments.ptr[i].size_bytes;
    }
    out->buffered_bytes = wal->buffered_bytes;
    out->syncs = wal->syncs;
    out->failures = wal->failures;
    mutex_unlock(&wal->mu);
}

// ---- trimming

// Removes the file of a segment, or keeps it as the spare *number (0: it is gone).
static Status remove_segment(Wal *wal, const WalSegment *segment, bool want_spare, uint64_t *number,
                             Err *err)
{
    Arena arena;
    OsStat stat = {0};
    arena_init(&arena, 0);
    *number = 0;
    const Str path = wal_segment_path(&arena, wal->dir, segment->first_sequence);
    Status st = os_stat(wal->os, path, &stat, err);
    if (st == OK && want_spare && segment->id != 0 &&
        stat.size_bytes == wal->options.segment_bytes) {
        st = os_rename(wal->os, path, wal_spare_path(&arena, wal->dir, segment->id), err);
        *number = st == OK ? segment->id : 0;
    } else if (st == OK) {
        st = os_unlink(wal->os, path, err);
    }
    arena_deinit(&arena);
    return st;
}

typedef struct Trim {
    WalSegment *victims; // oldest first
    size_t count, done;
    uint64_t spares[WAL_SPARES];
    size_t spare_count, spare_room;
} Trim;

static Status trim_files(Wal *wal, Trim *trim, Err *err)
{
    // Oldest first, so that a crash leaves no gap.
    while (trim->done < trim->count) {
        uint64_t number = 0;
        TRY(remove_segment(wal, &trim->victims[trim->done], trim->spare_count < trim->spare_room,
                           &number, err));
        if (number != 0) {
            trim->spares[trim->spare_count++] = number;
        }
        trim->done++;
    }
    return trim->count > 0 ? os_dir_sync(wal->os, wal->dir, err) : OK;
}

Status wal_trim(Wal *wal, uint64_t first_needed, Err *err)
{
    Trim trim = {0};
    mutex_lock(&wal->mu);
    while (wal->trimming) {
        cond_wait(&wal->changed, &wal->mu);
    }
    wal->trimming = true;
    const WalSegments *segments = &wal->segments;
    while (trim.count + 1 < segments->count &&
           segments->ptr[trim.count].last_sequence < first_needed) {
        trim.count++;
    }
    trim.victims = mem_new(WalSegment, trim.count);
    if (trim.count > 0) {
        memcpy(trim.victims, segments->ptr, trim.count * sizeof(*trim.victims));
    }
    trim.spare_room = WAL_SPARES - wal->spare_count;
    mutex_unlock(&wal->mu);

    const Status st = trim_files(wal, &trim, err);

    mutex_lock(&wal->mu);
    wal->segments.count -= trim.done;
    memmove(wal->segments.ptr, wal->segments.ptr + trim.done,
            wal->segments.count * sizeof(*wal->segments.ptr));
    // A spare whose new name may not last is left to the next start.
    for (size_t i = 0; i < trim.spare_count && st == OK; i++) {
        wal->spares[wal->spare_count++] = trim.spares[i];
    }
    wal->trimming = false;
    cond_broadcast(&wal->changed);
    mutex_unlock(&wal->mu);
    mem_free(trim.victims);
    return st;
}

// ---- opening and closing

// Deletes the old segments without frames: every start leaves one when nothing is written.
static void drop_empty_segments(Wal *wal)
{
    WalSegments *segments = &wal->segments;
    size_t kept = 0;
    for (size_t i = 0; i < segments->count; i++) {
        const WalSegment segment = segments->ptr[i];
        uint64_t number = 0;
        Err ignored; // it stays in the list and is trimmed later
        if (i + 1 < segments->count && wal_segment_is_empty(&segment) && !segment.is_limit &&
            remove_segment(wal, &segment, false, &number, &ignored) == OK) {
            continue;
        }
        segments->ptr[kept++] = segment;
    }
    segments->count = kept;
}

// Files that a crash or an earlier run left over: spares when they are usable, else deleted.
static Status collect_spares(Wal *wal, Err *err)
{
    Status st = OK;
    Arena arena;
    OsDirEntry *entries = NULL;
    size_t count = 0;

    arena_init(&arena, 0);
    // Without this the name that a spare had before could come back after a power cut, with new
    // contents.
    TRY_OUT(os_dir_sync(wal->os, wal->dir, err));
    TRY_OUT(os_dir_list(wal->os, wal->dir, &arena, &entries, &count, err));
    for (size_t i = 0; i < count; i++) {
        uint64_t number = 0;
        OsStat stat = {0};
        if (entries[i].is_dir || !wal_parse_spare_name(entries[i].name, &number)) {
            continue;
        }
        const Str path = wal_path(&arena, wal->dir, entries[i].name);
        TRY_OUT(os_stat(wal->os, path, &stat, err));
        if (wal->spare_count < WAL_SPARES && stat.size_bytes == wal->options.segment_bytes) {
            wal->spares[wal->spare_count++] = number;
        } else {
            TRY_OUT(os_unlink(wal->os, path, err));
        }
    }
out:
    arena_deinit(&arena);
    return st;
}

static Wal *wal_new(const WalOptions *options)
{
    Wal *wal = mem_new(Wal, 1);
    arena_init(&wal->arena, 0);
    wal->os = options->os;
    wal->dir = arena_str(&wal->arena, options->dir);
    wal->options = *options;
    wal->options.dir = wal->dir;
    if (options->segment_bytes == 0) {
        wal->options.segment_bytes = WAL_SEGMENT_BYTES;
    }
    if (options->interval_ms == 0) {
        wal->options.interval_ms = INTERVAL_MS_DEFAULT;
    }
    wal->has_thread = options->durability == WAL_INTERVAL && !options->manual;
    mutex_init_level(&wal->mu, LOCK_LEVEL);
    cond_init(&wal->changed);
    cond_init(&wal->stop);
    wal->filling = wal_batch_new();
    wal->io.queue_tail = &wal->io.queue;
    return wal;
}

// The caller must not use the log from any thread; the folder keeps what is durable.
static void wal_free(Wal *wal)
{
    mutex_lock(&wal->mu);
    wal->closing = true;
    cond_broadcast(&wal->stop);
    mutex_unlock(&wal->mu);
    thread_join(&wal->thread);
    os_file_close(wal->io.file);
    while (wal->io.queue != NULL) {
        WalBatch *batch = wal->io.queue;
        wal->io.queue = batch->next;
        wal_batch_free(batch);
    }
    wal_batch_free(wal->io.reuse);
    wal_batch_free(wal->filling);
    mem_free(wal->segments.ptr);
    cond_deinit(&wal->stop);
    cond_deinit(&wal->changed);
    mutex_deinit(&wal->mu);
    arena_deinit(&wal->arena);
    mem_free(wal);
}

// Takes over what recovery found, and begins a segment of this start.
static Status wal_start(Wal *wal, const WalRecovery *recovery, Err *err)
{
    uint64_t last = recovery->sequence_max;
    last = wal->options.sequence_floor > last ? wal->options.sequence_floor : last;
    if (last > WAL_SEQUENCE_MAX) {
        return err_set(err, ERR_INVALID, "the sequence floor %" PRIu64 " is too high", last);
    }
    const uint64_t first =
        last == 0 ? 1 : ((last >> WAL_SEQUENCE_STEP_BITS) + 1) << WAL_SEQUENCE_STEP_BITS;
    wal->next_sequence = first;
    wal->last_sequence = recovery->report.last_sequence;
    wal->io.written = first - 1;
    wal->io.synced = first - 1;
    wal->io.session_first = first;
    for (size_t i = 0; i < wal->segments.count; i++) {
        const WalSegment *segment = &wal->segments.ptr[i];
        wal->io.previous_id = wal_segment_is_empty(segment) ? wal->io.previous_id : segment->id;
    }
    TRY(collect_spares(wal, err));
    mutex_lock(&wal->mu);
    const Status st = lead_locked(wal, true, false, err);
    mutex_unlock(&wal->mu);
    if (st != OK) {
        return st;
    }
    drop_empty_segments(wal);
    if (wal->has_thread) {
        TRY(thread_start(&wal->thread, "wal-sync", run_interval, wal, err));
    }
    return OK;
}

Status wal_open(const WalOptions *options,
                Status (*apply)(void *ctx, const WalFrame *frame, Err *err), void *ctx, Wal **out,
                WalReport *report, Err *err)
{
    Status st = OK;
    Wal *wal = wal_new(options);
    WalRecovery recovery = {.os = options->os, .dir = wal->dir, .apply = apply, .ctx = ctx};

    *out = NULL;
    ASSERT(wal->options.segment_bytes >= WAL_SEGMENT_BYTES_MIN &&
           wal->options.segment_bytes <= WAL_SEGMENT_BYTES_MAX);
    TRY_OUT(os_mkdir_all(wal->os, wal->dir, err));
    st = wal_recover(&recovery, err);
    wal->segments = recovery.segments;
    TRY_OUT(st);
    TRY_OUT(wal_start(wal, &recovery, err));
    if (report != NULL) {
        *report = recovery.report;
    }
    *out = wal;
    wal = NULL; // now the caller's
out:
    if (wal != NULL) {
        wal_free(wal);
    }
    return st == OK ? OK
                    : err_prefix(err, "write-ahead log '" STR_FMT "': ", STR_ARG(options->dir));
}

void wal_close(Wal *wal)
{
    if (wal != NULL) {
        Err ignored; // whoever waited for these frames was told
        (void)wal_sync(wal, &ignored);
        wal_free(wal);
    }
}
