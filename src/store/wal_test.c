// SPDX-License-Identifier: Apache-2.0
#include "store/wal_test_internal.h"

#include <errno.h>

#define DIR STR("db/wal")

// ---- helpers

void wal_test_payload(uint64_t key, size_t size, Buf *out)
{
    Rng rng = {.state = key};
    buf_clear(out);
    buf_put_u64le(out, key);
    while (out->len < size) {
        buf_put_u8(out, (uint8_t)rng_next(&rng));
    }
}

Status wal_test_apply(void *ctx, const WalFrame *frame, Err *err)
{
    Replay *replay = ctx;
    uint64_t key = 0;
    (void)err;
    if (frame->payload.len < 8) {
        replay->wrong = true;
        return OK;
    }
    for (size_t i = 0; i < 8; i++) {
        key |= (uint64_t)frame->payload.ptr[i] << (8 * i);
    }
    Buf want;
    buf_init(&want, 0);
    wal_test_payload(key, frame->payload.len, &want);
    replay->wrong |= memcmp(want.ptr, frame->payload.ptr, want.len) != 0 ||
                     frame->shard != key % WAL_SHARDS || frame->table != (uint32_t)key % 7 ||
                     frame->kind != key % 3;
    buf_deinit(&want);
    replay->sequences =
        mem_grow(replay->sequences, &replay->cap, replay->count + 1, sizeof(uint64_t));
    replay->keys = mem_grow(replay->keys, &replay->keys_cap, replay->count + 1, sizeof(uint64_t));
    replay->sequences[replay->count] = frame->sequence;
    replay->keys[replay->count] = key;
    replay->count++;
    return OK;
}

void wal_test_replay_deinit(Replay *replay)
{
    mem_free(replay->sequences);
    mem_free(replay->keys);
    *replay = (Replay){0};
}

Status wal_test_append(Wal *wal, uint64_t key, size_t size, uint64_t *sequence, Err *err)
{
    Buf payload;
    buf_init(&payload, 0);
    wal_test_payload(key, size, &payload);
    const WalFrame frame = {.table = (uint32_t)key % 7,
                            .shard = (uint16_t)(key % WAL_SHARDS),
                            .kind = (uint16_t)(key % 3),
                            .payload = buf_bytes(&payload)};
    const Status st = wal_append(wal, &frame, sequence, err);
    buf_deinit(&payload);
    return st;
}

static Status open_log(Os *os, uint64_t segment_bytes, Replay *replay, Wal **wal, WalReport *report,
                       Err *err)
{
    const WalOptions options = {
        .os = os, .dir = DIR, .segment_bytes = segment_bytes, .manual = true};
    wal_test_replay_deinit(replay);
    return wal_open(&options, wal_test_apply, replay, wal, report, err);
}

// Frames key 1..count of `size` bytes, each committed, in a new log; the sequences are 1..count.
static void write_log(Test *t, Os *os, uint64_t segment_bytes, size_t count, size_t size)
{
    Err err;
    Wal *wal = NULL;
    Replay replay = {0};
    CHECK_OK(open_log(os, segment_bytes, &replay, &wal, NULL, &err));
    CHECK_EQ(replay.count, 0);
    for (uint64_t key = 1; key <= count; key++) {
        uint64_t sequence = 0;
        CHECK_OK(wal_test_append(wal, key, size, &sequence, &err));
        CHECK_EQ(sequence, key);
        CHECK_OK(wal_commit(wal, sequence, &err));
    }
    wal_close(wal);
    wal_test_replay_deinit(&replay);
}

static Str segment_path(Test *t, uint64_t first)
{
    return wal_segment_path(&t->arena, DIR, first);
}

// ---- life of a log

TEST(wal, replays_what_was_committed_and_never_uses_a_sequence_twice)
{
    Err err;
    OsSim *sim = os_sim_new(t->seed);
    Os *os = os_sim_os(sim);
    Replay replay = {0};
    WalReport report;
    Wal *wal = NULL;
    write_log(t, os, 4096, 100, 200);

    CHECK_OK(open_log(os, 4096, &replay, &wal, &report, &err));
    CHECK(!replay.wrong);
    CHECK_EQ(replay.count, 100);
    for (size_t i = 0; i < replay.count; i++) {
        CHECK_EQ(replay.sequences[i], i + 1);
        CHECK_EQ(replay.keys[i], i + 1);
    }
    CHECK_EQ(report.frames, 100);
    CHECK_EQ(report.bytes, 100 * 200);
    CHECK_EQ(report.last_sequence, 100);
    CHECK_EQ(wal_last_sequence(wal), 100);
    CHECK_EQ(report.damaged_frames + report.torn_frames + report.damaged_headers +
                 report.missing_segments + report.ignored_segments,
             0);
    uint64_t sequence = 0;
    CHECK_OK(wal_test_append(wal, 7, 8, &sequence, &err));
    CHECK_EQ(sequence, UINT64_C(1) << 32);
    wal_close(wal); // syncs
    CHECK_OK(open_log(os, 4096, &replay, &wal, &report, &err));
    CHECK_EQ(replay.count, 101);
    CHECK_EQ(replay.sequences[100], UINT64_C(1) << 32);
    wal_close(wal);
    // Nothing was written this time, and still the numbers go on above.
    CHECK_OK(open_log(os, 4096, &replay, &wal, &report, &err));
    CHECK_OK(wal_test_append(wal, 7, 8, &sequence, &err));
    CHECK_EQ(sequence, UINT64_C(3) << 32);
    wal_close(wal);
    wal_test_replay_deinit(&replay);
    os_sim_free(sim);
}

TEST(wal, starts_above_the_floor)
{
    Err err;
    OsSim *sim = os_sim_new(t->seed);
    Replay replay = {0};
    Wal *wal = NULL;
    uint64_t sequence = 0;
    WalOptions options = {.os = os_sim_os(sim), .dir = DIR, .sequence_floor = 41, .manual = true};
    CHECK_OK(wal_open(&options, wal_test_apply, &replay, &wal, NULL, &err));
    CHECK_OK(wal_test_append(wal, 1, 8, &sequence, &err));
    CHECK_EQ(sequence, UINT64_C(1) << 32);
    wal_close(wal);
    options.sequence_floor = UINT64_MAX;
    CHECK_EQ(wal_open(&options, wal_test_apply, &replay, &wal, NULL, &err), ERR_INVALID);
    CHECK(wal == NULL);
    wal_test_replay_deinit(&replay);
    os_sim_free(sim);
}

TEST(wal, frames_of_every_size_and_their_limit)
{
    Err err;
    OsSim *sim = os_sim_new(t->seed);
    Replay replay = {0};
    Wal *wal = NULL;
    uint64_t sequence = 0;
    uint64_t count = 0;
    CHECK_OK(open_log(os_sim_os(sim), 4096, &replay, &wal, NULL, &err));
    for (size_t size = 8; size < 20000; size += 1 + size / 3) {
        CHECK_OK(wal_test_append(wal, ++count, size, &sequence, &err));
        if (count % 3 == 0) {
            CHECK_OK(wal_commit(wal, sequence, &err));
        }
    }
    CHECK_OK(wal_commit(wal, sequence, &err));
    WalFrame frame = {.payload = {.len = WAL_FRAME_BYTES_MAX + 1}};
    CHECK_EQ(wal_append(wal, &frame, &sequence, &err), ERR_TOO_LARGE);
    wal_close(wal);
    CHECK_OK(open_log(os_sim_os(sim), 4096, &replay, &wal, NULL, &err));
    CHECK_EQ(replay.count, count);
    CHECK(!replay.wrong);
    uint8_t *zeros = mem_alloc(WAL_FRAME_BYTES_MAX, 1);
    frame.payload = (Bytes){.ptr = zeros, .len = WAL_FRAME_BYTES_MAX};
    CHECK_OK(wal_append(wal, &frame, &sequence, &err));
    CHECK_OK(wal_commit(wal, sequence, &err));
    wal_close(wal);
    mem_free(zeros);
    WalReport report;
    CHECK_OK(open_log(os_sim_os(sim), 4096, &replay, &wal, &report, &err));
    CHECK_EQ(report.frames, count + 1);
    wal_close(wal);
    wal_test_replay_deinit(&replay);
    os_sim_free(sim);
}

static Status fail_at_three(void *ctx, const WalFrame *frame, Err *err)
{
    (void)ctx;
    return frame->sequence == 3 ? err_set(err, ERR_INVALID, "I do not like it") : OK;
}

TEST(wal, a_failure_of_apply_ends_the_replay)
{
    Err err;
    OsSim *sim = os_sim_new(t->seed);
    Wal *wal = NULL;
    write_log(t, os_sim_os(sim), 4096, 5, 100);
    const WalOptions options = {.os = os_sim_os(sim), .dir = DIR, .manual = true};
    CHECK_EQ(wal_open(&options, fail_at_three, NULL, &wal, NULL, &err), ERR_INVALID);
    CHECK(strstr(err.msg, "I do not like it") != NULL);
    CHECK(wal == NULL);
    os_sim_free(sim);
}

TEST(wal, trim_deletes_old_segments_and_reuses_them)
{
    Err err;
    OsSim *sim = os_sim_new(t->seed);
    Os *os = os_sim_os(sim);
    Replay replay = {0};
    Wal *wal = NULL;
    WalUsage usage;
    uint64_t sequence = 0;
    CHECK_OK(open_log(os, 4096, &replay, &wal, NULL, &err));
    for (uint64_t key = 1; key <= 200; key++) {
        CHECK_OK(wal_test_append(wal, key, 256, &sequence, &err)); // 300 bytes: 13 per segment
        CHECK_OK(wal_commit(wal, sequence, &err));
        if (key % 50 == 0) {
            CHECK_OK(wal_trim(wal, key - 20, &err));
        }
    }
    wal_usage(wal, &usage);
    CHECK_EQ(usage.segments, 3);
    CHECK_EQ(usage.buffered_bytes, 0);
    CHECK_OK(wal_rotate(wal, &err));
    CHECK_OK(wal_rotate(wal, &err)); // nothing in the segment: stays
    wal_usage(wal, &usage);
    CHECK_EQ(usage.segments, 4);
    CHECK_OK(wal_trim(wal, 201, &err));
    wal_usage(wal, &usage);
    CHECK_EQ(usage.segments, 1);
    wal_close(wal);

    OsDirEntry *entries = NULL;
    size_t count = 0;
    size_t spares = 0;
    uint64_t number = 0;
    CHECK_OK(os_dir_list(os, DIR, &t->arena, &entries, &count, &err));
    for (size_t i = 0; i < count; i++) {
        spares += wal_parse_spare_name(entries[i].name, &number) ? 1 : 0;
    }
    CHECK_EQ(spares, WAL_SPARES);
    CHECK_EQ(count, WAL_SPARES + 1);
    CHECK_OK(open_log(os, 4096, &replay, &wal, NULL, &err));
    CHECK_EQ(replay.count, 0);
    wal_close(wal);
    wal_test_replay_deinit(&replay);
    os_sim_free(sim);
}

TEST(wal, interval_mode_syncs_on_its_own)
{
    Err err;
    Wal *wal = NULL;
    WalUsage usage = {0};
    Replay replay = {0};
    uint64_t sequence = 0;
    OsSim *sim = os_sim_new(t->seed);
    const WalOptions options = {
        .os = os_sim_os(sim), .dir = DIR, .durability = WAL_INTERVAL, .interval_ms = 1};
    CHECK_OK(wal_open(&options, wal_test_apply, &replay, &wal, NULL, &err));
    CHECK_OK(wal_test_append(wal, 1, 100, &sequence, &err));
    CHECK_OK(wal_commit(wal, sequence, &err));
    wal_usage(wal, &usage);
    for (size_t i = 0; i < 10000 && usage.buffered_bytes > 0; i++) { // until it is durable
        os_sleep_ns(os_posix(), 1000000);
        wal_usage(wal, &usage);
    }
    CHECK_EQ(usage.buffered_bytes, 0);
    os_sim_cut_at(sim, 1);
    wal_close(wal);
    os_sim_power_cut(sim);
    CHECK_OK(open_log(os_sim_os(sim), 0, &replay, &wal, NULL, &err));
    CHECK_EQ(replay.count, 1);
    wal_close(wal);
    wal_test_replay_deinit(&replay);
    os_sim_free(sim);
}

typedef struct Release {
    OsSim *sim;
    Mutex mu;
    Cond changed;
    bool now;
    Thread thread;
} Release;

enum { HELD_SYNC_MS = 5000 };

// Lets the disk go when it is told to, or after HELD_SYNC_MS.
static void release_syncs(void *arg)
{
    Release *r = arg;
    mutex_lock(&r->mu);
    while (!r->now && cond_wait_ms(&r->changed, &r->mu, HELD_SYNC_MS)) {
    }
    mutex_unlock(&r->mu);
    os_sim_hold_syncs(r->sim, false);
}

// Commits do not wait for a sync that is under way, and what they wrote meanwhile is not taken for
// synced. With `fails`, the sync fails in the end: all is written once more.
static void commit_while_syncing(Test *t, bool fails)
{
    enum { COMMITS = 200 };
    Err err;
    Wal *wal = NULL;
    WalUsage usage;
    Replay replay = {0};
    uint64_t sequence = 0;
    OsSim *sim = os_sim_new(t->seed);
    Release release = {.sim = sim};
    const WalOptions options = {
        .os = os_sim_os(sim), .dir = DIR, .durability = WAL_INTERVAL, .interval_ms = 1};
    CHECK_OK(wal_open(&options, wal_test_apply, &replay, &wal, NULL, &err));
    mutex_init(&release.mu);
    cond_init(&release.changed);
    CHECK_OK(wal_test_append(wal, 0, 100, &sequence, &err));
    CHECK_OK(wal_sync(wal, &err)); // the segment has its name
    os_sim_hold_syncs(sim, true);
    if (fails) {
        os_sim_fail_sync_at(sim, 1);
    }
    CHECK_OK(thread_start(&release.thread, "release", release_syncs, &release, &err));
    CHECK_OK(wal_test_append(wal, 1, 100, &sequence, &err));
    CHECK_OK(wal_commit(wal, sequence, &err));
    while (os_sim_held_syncs(sim) == 0) {
        os_sleep_ns(os_posix(), 100000);
    }
    const int64_t start_ns = os_mono_ns(os_posix());
    for (uint64_t i = 0; i < COMMITS; i++) {
        CHECK_OK(wal_test_append(wal, 2 + i, 100, &sequence, &err));
        CHECK_OK(wal_commit(wal, sequence, &err));
    }
    CHECK((os_mono_ns(os_posix()) - start_ns) / 1000000 < HELD_SYNC_MS / 2);
    wal_usage(wal, &usage);
    CHECK(usage.buffered_bytes >= (COMMITS + 1) * 100); // none of it is on the disk
    mutex_lock(&release.mu);
    release.now = true;
    cond_signal(&release.changed);
    mutex_unlock(&release.mu);
    thread_join(&release.thread);
    for (wal_usage(wal, &usage); usage.buffered_bytes > 0; wal_usage(wal, &usage)) {
        os_sleep_ns(os_posix(), 1000000);
    }
    os_sim_cut_at(sim, 1);
    wal_close(wal);
    os_sim_power_cut(sim);
    CHECK_OK(open_log(os_sim_os(sim), 0, &replay, &wal, NULL, &err));
    CHECK_EQ(replay.count, COMMITS + 2);
    CHECK(!replay.wrong);
    wal_close(wal);
    cond_deinit(&release.changed);
    mutex_deinit(&release.mu);
    wal_test_replay_deinit(&replay);
    os_sim_free(sim);
}

TEST(wal, interval_mode_commits_while_a_sync_runs)
{
    commit_while_syncing(t, false);
}

TEST(wal, interval_mode_survives_a_failed_sync_beside_commits)
{
    commit_while_syncing(t, true);
}

// ---- damage

enum { FLIP_FRAMES = 30, FLIP_SIZE = 100, FLIP_STRIDE = WAL_FRAME_HEADER_BYTES + FLIP_SIZE };

static void check_with_flipped_bit(Test *t, Os *os, uint64_t offset, Replay *replay)
{
    Err err;
    WalRecovery r = {.os = os, .dir = DIR, .apply = wal_test_apply, .ctx = replay};
    wal_test_replay_deinit(replay);
    const Status st = wal_recover(&r, &err);
    mem_free(r.segments.ptr);
    CHECK_OK(st);
    CHECK(!replay->wrong);
    size_t hit = SIZE_MAX; // index of the frame
    if (offset < WAL_SEGMENT_HEADER_BYTES) {
        CHECK_EQ(r.report.damaged_headers, 1);
    } else if (offset < WAL_SEGMENT_HEADER_BYTES + FLIP_FRAMES * FLIP_STRIDE) {
        hit = (size_t)((offset - WAL_SEGMENT_HEADER_BYTES) / FLIP_STRIDE);
        // Of the last frame nobody knows whether it was ever complete.
        CHECK_EQ(r.report.damaged_frames, hit + 1 < FLIP_FRAMES);
        CHECK_EQ(r.report.torn_frames, hit + 1 == FLIP_FRAMES);
    }
    CHECK_EQ(replay->count, FLIP_FRAMES - (hit != SIZE_MAX));
    for (size_t i = 0; i < replay->count; i++) {
        CHECK_EQ(replay->sequences[i], i + 1 + (i >= hit));
    }
}

TEST(wal, every_flipped_bit_costs_at_most_its_frame)
{
    Err err;
    OsSim *sim = os_sim_new(t->seed);
    Replay replay = {0};
    write_log(t, os_sim_os(sim), 8192, FLIP_FRAMES, FLIP_SIZE);
    const Str path = segment_path(t, 1);
    for (uint64_t bit = 0; bit < 8192 * UINT64_C(8); bit++) {
        CHECK_OK(os_sim_flip_bit(sim, path, bit / 8, (uint32_t)(bit % 8), &err));
        check_with_flipped_bit(t, os_sim_os(sim), bit / 8, &replay);
        CHECK_OK(os_sim_flip_bit(sim, path, bit / 8, (uint32_t)(bit % 8), &err)); // back
    }
    wal_test_replay_deinit(&replay);
    os_sim_free(sim);
}

TEST(wal, flipped_bits_in_a_mebibyte)
{
    enum { FRAMES = 200, SIZE = 5000, STRIDE = WAL_FRAME_HEADER_BYTES + SIZE };
    Err err;
    OsSim *sim = os_sim_new(t->seed);
    Os *os = os_sim_os(sim);
    Replay replay = {0};
    write_log(t, os, 1 << 20, FRAMES, SIZE);
    for (size_t round = 0; round < 300; round++) {
        const uint64_t in_header = test_random(t) % ((uint64_t)FRAMES * WAL_FRAME_HEADER_BYTES);
        uint64_t offset = test_random(t) % ((uint64_t)FRAMES * STRIDE);
        if (round % 2 == 0) { // lengths and magics are the tender spots
            offset =
                in_header / WAL_FRAME_HEADER_BYTES * STRIDE + in_header % WAL_FRAME_HEADER_BYTES;
        }
        const uint32_t bit = (uint32_t)(test_random(t) % 8);
        CHECK_OK(
            os_sim_flip_bit(sim, segment_path(t, 1), WAL_SEGMENT_HEADER_BYTES + offset, bit, &err));
        wal_test_replay_deinit(&replay);
        WalRecovery r = {.os = os, .dir = DIR, .apply = wal_test_apply, .ctx = &replay};
        CHECK_OK(wal_recover(&r, &err));
        mem_free(r.segments.ptr);
        CHECK(!replay.wrong);
        CHECK_EQ(replay.count, FRAMES - 1);
        CHECK_EQ(r.report.damaged_frames + r.report.torn_frames, 1);
        CHECK_OK(
            os_sim_flip_bit(sim, segment_path(t, 1), WAL_SEGMENT_HEADER_BYTES + offset, bit, &err));
    }
    wal_test_replay_deinit(&replay);
    os_sim_free(sim);
}

// The first sequences of the segments, in order.
static size_t list_segments(Test *t, Os *os, uint64_t *out, size_t cap)
{
    Err err;
    OsDirEntry *entries = NULL;
    size_t count = 0;
    size_t found = 0;
    CHECK_OK(os_dir_list(os, DIR, &t->arena, &entries, &count, &err));
    for (size_t i = 0; i < count; i++) {
        if (found < cap && wal_parse_name(entries[i].name, &out[found])) {
            found++;
        }
    }
    return found;
}

TEST(wal, a_missing_segment_in_the_middle_is_noticed)
{
    Err err;
    uint64_t first[64];
    OsSim *sim = os_sim_new(t->seed);
    Os *os = os_sim_os(sim);
    Replay replay = {0};
    Wal *wal = NULL;
    WalReport report;
    write_log(t, os, 4096, 100, 300);
    const size_t count = list_segments(t, os, first, 64);
    CHECK(count > 5);
    CHECK_OK(os_unlink(os, segment_path(t, first[2]), &err));
    CHECK_OK(open_log(os, 4096, &replay, &wal, &report, &err));
    CHECK_EQ(report.missing_segments, 1);
    CHECK_EQ(report.damaged_frames, first[3] - first[2]);
    CHECK_EQ(report.frames, 100 - (first[3] - first[2]));
    wal_close(wal);
    // The first ones may go: that is what trimming does.
    CHECK_OK(os_unlink(os, segment_path(t, first[0]), &err));
    CHECK_OK(os_unlink(os, segment_path(t, first[1]), &err));
    CHECK_OK(open_log(os, 4096, &replay, &wal, &report, &err));
    CHECK_EQ(report.missing_segments, 0);
    CHECK_EQ(report.damaged_frames, 0);
    wal_close(wal);
    wal_test_replay_deinit(&replay);
    os_sim_free(sim);
}

static void copy_file(Test *t, Os *os, Str from, Str to, uint64_t size_bytes)
{
    Err err;
    Bytes bytes;
    OsFile *file = NULL;
    CHECK_OK(os_read_file(os, from, UINT64_MAX, &t->arena, &bytes, &err));
    bytes.len = size_bytes < bytes.len ? (size_t)size_bytes : bytes.len;
    CHECK_OK(os_file_open(os, to, OS_OPEN_CREATE, &file, &err));
    CHECK_OK(os_file_truncate(file, 0, &err));
    CHECK_OK(os_file_write_at(file, 0, bytes, &err));
    os_file_close(file);
}

TEST(wal, files_that_are_not_what_their_name_says)
{
    Err err;
    OsSim *sim = os_sim_new(t->seed);
    Os *os = os_sim_os(sim);
    Replay replay = {0};
    Wal *wal = NULL;
    WalReport report;
    write_log(t, os, 16384, 40, 100);
    copy_file(t, os, segment_path(t, 1), segment_path(t, 20), 16384); // a copy of old contents
    copy_file(t, os, segment_path(t, 1), segment_path(t, 60), 0);     // empty
    copy_file(t, os, segment_path(t, 1), wal_path(&t->arena, DIR, STR("notes.txt")), 100);
    CHECK_OK(os_mkdir_all(os, wal_path(&t->arena, DIR, STR("00000000000000000070.wal")), &err));
    CHECK_OK(open_log(os, 16384, &replay, &wal, &report, &err));
    CHECK_EQ(report.frames, 40);
    CHECK_EQ(report.ignored_segments, 1);
    CHECK_EQ(report.damaged_headers, 1);
    CHECK_EQ(report.damaged_frames, 0);
    CHECK(!replay.wrong);
    wal_close(wal);

    // A file that was cut short: what is whole in it counts.
    copy_file(t, os, segment_path(t, 1), segment_path(t, 1), 64 + 10 * 144 + 77);
    CHECK_OK(open_log(os, 16384, &replay, &wal, &report, &err));
    CHECK_EQ(report.frames, 10);
    CHECK_EQ(report.torn_frames, 1);
    wal_close(wal);
    wal_test_replay_deinit(&replay);
    os_sim_free(sim);
}

TEST(wal, frames_of_another_log_are_not_ours)
{
    enum { STRIDE = WAL_FRAME_HEADER_BYTES + 100 };
    Err err;
    OsSim *sim = os_sim_new(t->seed);
    OsSim *other = os_sim_new(t->seed + 1);
    Os *os = os_sim_os(sim);
    Replay replay = {0};
    Wal *wal = NULL;
    WalReport report;
    Bytes theirs;
    OsFile *file = NULL;
    write_log(t, os, 4096, 4, 100);
    write_log(t, os_sim_os(other), 4096, 6, 100);
    CHECK_OK(os_read_file(os_sim_os(other), segment_path(t, 1), 1 << 20, &t->arena, &theirs, &err));
    // A block in the wrong place: frames 5 and 6, perfect, and just what comes next here.
    const size_t at = WAL_SEGMENT_HEADER_BYTES + 4 * (size_t)STRIDE;
    const Bytes block = {.ptr = theirs.ptr + at, .len = 2 * (size_t)STRIDE};
    CHECK_OK(os_file_open(os, segment_path(t, 1), OS_OPEN_WRITE, &file, &err));
    CHECK_OK(os_file_write_at(file, at, block, &err));
    os_file_close(file);
    CHECK_OK(open_log(os, 4096, &replay, &wal, &report, &err));
    CHECK_EQ(replay.count, 4);
    CHECK_EQ(report.torn_frames, 1); // something is there
    wal_close(wal);
    wal_test_replay_deinit(&replay);
    os_sim_free(other);
    os_sim_free(sim);
}

TEST(wal, a_later_version_is_refused)
{
    Err err;
    OsSim *sim = os_sim_new(t->seed);
    Os *os = os_sim_os(sim);
    Replay replay = {0};
    Wal *wal = NULL;
    Bytes bytes;
    OsFile *file = NULL;
    uint8_t header[WAL_SEGMENT_HEADER_BYTES];
    write_log(t, os, 4096, 1, 100);
    CHECK_OK(os_read_file(os, segment_path(t, 1), 1 << 20, &t->arena, &bytes, &err));
    memcpy(header, bytes.ptr, sizeof(header));
    header[8] = 2;
    const uint32_t crc = crc_castagnoli(0, (Bytes){.ptr = header, .len = 60});
    for (size_t i = 0; i < 4; i++) {
        header[60 + i] = (uint8_t)(crc >> (8 * i));
    }
    CHECK_OK(os_file_open(os, segment_path(t, 1), OS_OPEN_WRITE, &file, &err));
    CHECK_OK(os_file_write_at(file, 0, (Bytes){.ptr = header, .len = sizeof(header)}, &err));
    os_file_close(file);
    CHECK_EQ(open_log(os, 4096, &replay, &wal, NULL, &err), ERR_UNSUPPORTED);
    wal_test_replay_deinit(&replay);
    os_sim_free(sim);
}

// ---- failures while it runs

// The n-th sync fails. In WAL_INTERVAL mode commits are written and then synced once.
static void live_with_failed_sync(Test *t, uint64_t n, WalDurability durability)
{
    Err err;
    OsSim *sim = os_sim_new(t->seed + n);
    Replay replay = {0};
    Wal *wal = NULL;
    WalReport report;
    uint64_t sequence = 0;
    const WalOptions options = {.os = os_sim_os(sim),
                                .dir = DIR,
                                .durability = durability,
                                .segment_bytes = 4096,
                                .manual = true};
    CHECK_OK(wal_open(&options, wal_test_apply, &replay, &wal, NULL, &err));
    os_sim_fail_sync_at(sim, n);
    for (uint64_t key = 1; key <= 60; key++) {
        CHECK_OK(wal_test_append(wal, key, 200, &sequence, &err));
        if (key % 2 == 0) {
            CHECK_OK(wal_commit(wal, sequence, &err));
        }
    }
    CHECK_OK(wal_sync(wal, &err));
    os_sim_cut_at(sim, 1);
    wal_close(wal);
    os_sim_power_cut(sim);
    CHECK_OK(open_log(os_sim_os(sim), 4096, &replay, &wal, &report, &err));
    CHECK_EQ(replay.count, 60);
    CHECK(!replay.wrong);
    CHECK_EQ(report.damaged_frames + report.missing_segments, 0);
    wal_close(wal);
    wal_test_replay_deinit(&replay);
    os_sim_free(sim);
}

TEST(wal, a_failed_sync_loses_nothing)
{
    for (uint64_t n = 1; n < 40; n++) {
        live_with_failed_sync(t, n, WAL_SYNC);
        live_with_failed_sync(t, n, WAL_INTERVAL);
    }
}

TEST(wal, a_full_disk_refuses_and_recovers)
{
    Err err;
    OsSim *sim = os_sim_new(t->seed);
    Os *os = os_sim_os(sim);
    Replay replay = {0};
    Wal *wal = NULL;
    uint64_t acked = 0;
    uint64_t key = 1;
    uint64_t sequence = 0;
    Status st = OK;
    CHECK_OK(open_log(os, 16384, &replay, &wal, NULL, &err));
    os_sim_set_capacity(sim, 128 << 10);
    for (; key <= 10000 && st == OK; key++) {
        st = wal_test_append(wal, key, 500, &sequence, &err);
        if (st == OK) {
            st = wal_commit(wal, sequence, &err);
        }
        acked += st == OK ? 1 : 0;
    }
    CHECK_EQ(st, ERR_UNAVAILABLE);
    CHECK(acked > 100);
    const uint64_t unknown = sequence;
    CHECK_EQ(wal_ready(wal, &err), ERR_UNAVAILABLE);
    CHECK_OK(wal_test_append(wal, key, 500, &sequence, &err)); // still taken, for those on the way
    CHECK_EQ(sequence, unknown + 1);
    CHECK_EQ(wal_commit(wal, sequence, &err), ERR_UNAVAILABLE);
    CHECK_EQ(wal_ready(wal, &err), ERR_UNAVAILABLE);
    WalUsage usage;
    wal_usage(wal, &usage);
    CHECK(usage.buffered_bytes > 0);
    CHECK_EQ(usage.failures, 4);
    // Trimming makes room. The frames whose outcome was unknown are written.
    CHECK_OK(wal_trim(wal, unknown - 20, &err));
    CHECK_OK(wal_ready(wal, &err));
    wal_usage(wal, &usage);
    CHECK_EQ(usage.buffered_bytes, 0);
    CHECK_OK(wal_ready(wal, &err));
    CHECK_OK(wal_test_append(wal, key + 1, 500, &sequence, &err));
    CHECK_EQ(sequence, unknown + 2);
    CHECK_OK(wal_commit(wal, sequence, &err));
    wal_close(wal);
    WalReport report;
    CHECK_OK(open_log(os, 16384, &replay, &wal, &report, &err));
    CHECK_EQ(report.last_sequence, sequence);
    CHECK_EQ(report.damaged_frames + report.missing_segments, 0);
    CHECK_EQ(replay.sequences[replay.count - 1] - replay.sequences[0] + 1, replay.count);
    wal_close(wal);
    wal_test_replay_deinit(&replay);
    os_sim_free(sim);
}

TEST(wal, a_buffer_that_cannot_be_written_is_bounded)
{
    enum { SIZE = 8 << 20 };
    Err err;
    OsSim *sim = os_sim_new(t->seed);
    Replay replay = {0};
    Wal *wal = NULL;
    uint64_t sequence = 0;
    uint8_t *zeros = mem_alloc(SIZE, 1);
    const WalFrame frame = {.payload = {.ptr = zeros, .len = SIZE}};
    CHECK_OK(open_log(os_sim_os(sim), 4096, &replay, &wal, NULL, &err));
    os_sim_set_capacity(sim, 1 << 20);
    for (uint64_t i = 1; i <= WAL_BUFFER_BYTES_MAX / SIZE - 1; i++) {
        CHECK_OK(wal_append(wal, &frame, &sequence, &err));
        CHECK_EQ(sequence, i);
    }
    CHECK_EQ(wal_append(wal, &frame, &sequence, &err), ERR_UNAVAILABLE);
    CHECK_EQ(sequence, 0);
    os_sim_set_capacity(sim, 0);
    CHECK_OK(wal_append(wal, &frame, &sequence, &err));
    CHECK_EQ(sequence, WAL_BUFFER_BYTES_MAX / SIZE);
    CHECK_OK(wal_commit(wal, sequence, &err));
    wal_close(wal);
    mem_free(zeros);
    os_sim_free(sim);
}

// A little life of a log in which every call may fail; what was acknowledged is in *acked.
static void live(Wal *wal, uint64_t *acked)
{
    Err err;
    for (uint64_t key = 1; key <= 40; key++) {
        uint64_t sequence = 0;
        if (wal_test_append(wal, key, 300, &sequence, &err) == OK &&
            wal_commit(wal, sequence, &err) == OK) {
            *acked = sequence;
        }
        if (key == 20) {
            (void)wal_trim(wal, 10, &err);
            (void)wal_rotate(wal, &err);
        }
    }
}

static void check_after_faults(Test *t, Os *os, uint64_t acked)
{
    Err err;
    Wal *wal = NULL;
    Replay replay = {0};
    WalReport report;
    CHECK_OK(open_log(os, 4096, &replay, &wal, &report, &err));
    CHECK(!replay.wrong);
    CHECK_EQ(report.damaged_frames + report.missing_segments, 0);
    CHECK(report.last_sequence >= acked);
    for (size_t i = 1; i < replay.count; i++) {
        CHECK_EQ(replay.sequences[i], replay.sequences[0] + i);
    }
    CHECK(acked == 0 || replay.sequences[0] <= 10);
    wal_close(wal);
    wal_test_replay_deinit(&replay);
}

// Returns whether there were n calls.
static bool live_with_fault(Test *t, uint64_t n, bool persistent, int os_errno)
{
    Err err;
    OsSim *sim = os_sim_new(t->seed + n);
    OsFault *fault = os_fault_new(os_sim_os(sim));
    Wal *wal = NULL;
    Replay replay = {0};
    uint64_t acked = 0;
    os_fault_arm(fault,
                 (OsFaultPlan){.fail_at = n, .persistent = persistent, .os_errno = os_errno});
    const Status st = open_log(os_fault_os(fault), 4096, &replay, &wal, NULL, &err);
    CHECK_EQ(st == OK, wal != NULL);
    if (st == OK) {
        live(wal, &acked);
    }
    os_sim_cut_at(sim, 1);
    wal_close(wal);
    os_sim_power_cut(sim);
    const bool hit = os_fault_hit(fault);
    // A single failure of a call is repaired without anybody noticing.
    CHECK(acked == 40 || (hit && (persistent || st != OK)));
    check_after_faults(t, os_sim_os(sim), acked);
    wal_test_replay_deinit(&replay);
    os_fault_free(fault);
    os_sim_free(sim);
    return hit;
}

TEST(wal, every_call_fails_in_turn)
{
    static const int errnos[] = {EIO, ENOSPC, EMFILE};
    for (size_t e = 0; e < 2 * ARRAY_LEN(errnos); e++) {
        for (uint64_t n = 1; live_with_fault(t, n, e % 2 == 1, errnos[e / 2]); n++) {
        }
    }
}
