// SPDX-License-Identifier: Apache-2.0
//
// Each thread has two buffers of frames: one that the reader fills, one that it works on. They are
// exchanged when the first is full and the second is done.
#include "store/replay.h"

#include "base/mem.h"
#include "base/reader.h"

typedef struct ReplayWorker {
    Buf filling; // the owner's
    Mutex mu;
    Cond changed;
    Buf working;   // mu while !has_work; else the thread's
    bool has_work; // mu
    bool stopping; // mu
    Thread thread;
    // mu while !has_work; else the thread's:
    ReplayCounts counts;
    Status failed; // the first failure; frames after it are not applied
    Err failure;
} ReplayWorker;

struct Replay {
    uint32_t worker_count; // 0: no threads
    ReplayWorker *workers; // at least one, which has the counts
};

// --- one frame -----------------------------------------------------------------------------------

static Status apply(ReplayCounts *counts, Table *table, const WalFrame *frame, Err *err)
{
    if (frame->kind == STORE_FRAME_METRICS && table->metrics != NULL) {
        MetricsReplay replay = {0};
        const Status st = metrics_hot_replay(table->metrics, frame->shard, frame->sequence,
                                             frame->payload, &replay, err);
        counts->rows += replay.samples;
        counts->lost += replay.samples_unknown;
        return st;
    }
    if (frame->kind == STORE_FRAME_ROWS && table->rows != NULL) {
        return rows_hot_replay(table->rows, frame->sequence, frame->payload, &counts->rows, err);
    }
    return err_set(err, ERR_UNSUPPORTED, "a frame of kind %u", (unsigned)frame->kind);
}

static Status apply_named(ReplayCounts *counts, Table *table, const WalFrame *frame, Err *err)
{
    if (apply(counts, table, frame, err) == OK) {
        return OK;
    }
    return err_prefix(err, "frame %" PRIu64 " of table '" STR_FMT "': ", frame->sequence,
                      STR_ARG(table->name));
}

// --- buffers of frames: table, sequence, shard and kind, length, payload -------------------------

static void put_frame(Buf *out, Table *table, const WalFrame *frame)
{
    buf_put_u64le(out, (uintptr_t)table);
    buf_put_u64le(out, frame->sequence);
    buf_put_u32le(out, (uint32_t)frame->shard << 16 | frame->kind);
    buf_put_u32le(out, (uint32_t)frame->payload.len);
    buf_put(out, frame->payload.ptr, frame->payload.len);
}

static void work(ReplayWorker *w)
{
    Reader in = reader_of(buf_bytes(&w->working));
    while (reader_left(&in) > 0 && w->failed == OK) {
        Table *table = (Table *)(uintptr_t)reader_u64le(&in);
        WalFrame frame = {.sequence = reader_u64le(&in), .table = table->number};
        const uint32_t place = reader_u32le(&in);
        frame.shard = (uint16_t)(place >> 16);
        frame.kind = (uint16_t)place;
        frame.payload = reader_bytes(&in, reader_u32le(&in));
        w->failed = apply_named(&w->counts, table, &frame, &w->failure);
    }
    buf_clear(&w->working);
}

static void run(void *arg)
{
    ReplayWorker *w = arg;
    mutex_lock(&w->mu);
    while (w->has_work || !w->stopping) {
        if (!w->has_work) {
            cond_wait(&w->changed, &w->mu);
            continue;
        }
        mutex_unlock(&w->mu);
        work(w);
        mutex_lock(&w->mu);
        w->has_work = false;
        cond_broadcast(&w->changed);
    }
    mutex_unlock(&w->mu);
}

// Waits until the thread is idle, then gives it what was filled.
static Status hand_over(ReplayWorker *w, Err *err)
{
    mutex_lock(&w->mu);
    while (w->has_work) {
        cond_wait(&w->changed, &w->mu);
    }
    const Status st = w->failed;
    if (st != OK) {
        *err = w->failure;
    } else {
        const Buf filled = w->filling;
        w->filling = w->working;
        w->working = filled;
        w->has_work = filled.len > 0;
        cond_broadcast(&w->changed);
    }
    mutex_unlock(&w->mu);
    return st;
}

// --- life ----------------------------------------------------------------------------------------

Status replay_new(uint32_t thread_count, Replay **out, Err *err)
{
    Status st = OK;
    Replay *replay = mem_new(Replay, 1);
    *out = NULL;
    thread_count = thread_count < REPLAY_THREADS_MAX ? thread_count : REPLAY_THREADS_MAX;
    replay->worker_count = thread_count <= 1 ? 0 : thread_count;
    replay->workers = mem_new(ReplayWorker, replay->worker_count + 1);
    for (uint32_t i = 0; i < replay->worker_count; i++) {
        ReplayWorker *w = &replay->workers[i];
        buf_init(&w->filling, 0);
        buf_init(&w->working, 0);
        mutex_init(&w->mu);
        cond_init(&w->changed);
    }
    for (uint32_t i = 0; i < replay->worker_count; i++) {
        ReplayWorker *w = &replay->workers[i];
        TRY_OUT(thread_start(&w->thread, "store-replay", run, w, err));
    }
    *out = replay;
    replay = NULL;
out:
    replay_free(replay);
    return st;
}

void replay_free(Replay *replay)
{
    if (replay == NULL) {
        return;
    }
    for (uint32_t i = 0; i < replay->worker_count; i++) {
        ReplayWorker *w = &replay->workers[i];
        mutex_lock(&w->mu);
        w->stopping = true;
        cond_broadcast(&w->changed);
        mutex_unlock(&w->mu);
        thread_join(&w->thread);
        cond_deinit(&w->changed);
        mutex_deinit(&w->mu);
        buf_deinit(&w->filling);
        buf_deinit(&w->working);
    }
    mem_free(replay->workers);
    mem_free(replay);
}

Status replay_frame(Replay *replay, Table *table, const WalFrame *frame, Err *err)
{
    if (replay->worker_count == 0) {
        return apply_named(&replay->workers[0].counts, table, frame, err);
    }
    ReplayWorker *w = &replay->workers[(table->number + frame->shard) % replay->worker_count];
    put_frame(&w->filling, table, frame);
    return w->filling.len < REPLAY_PIECE_BYTES ? OK : hand_over(w, err);
}

Status replay_finish(Replay *replay, ReplayCounts *counts, Err *err)
{
    *counts = replay->workers[0].counts;
    if (replay->worker_count == 0) {
        return OK;
    }
    *counts = (ReplayCounts){0};
    for (int pass = 0; pass < 2; pass++) { // the rest, then nothing: that waits for the rest
        for (uint32_t i = 0; i < replay->worker_count; i++) {
            TRY(hand_over(&replay->workers[i], err));
        }
    }
    for (uint32_t i = 0; i < replay->worker_count; i++) {
        counts->rows += replay->workers[i].counts.rows;
        counts->lost += replay->workers[i].counts.lost;
    }
    return OK;
}
