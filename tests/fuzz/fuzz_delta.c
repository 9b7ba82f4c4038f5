// SPDX-License-Identifier: Apache-2.0
//
// The input is the folder of a Delta log: files one after the other, each behind a line
// "%%% N.json", "%%% N.parquet" (a checkpoint; N is one digit) or "%%% hint" (_last_checkpoint).
// Oracles, when the log opens: a checkpoint of ours alone gives the same table again; and when a
// commit is accepted, the table with it reads back.
#include "base/mem.h"
#include "codec/crc.h"
#include "os/sim.h"
#include "store/delta_internal.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 18 };

static const Str dir = {.ptr = "t", .len = 1};
static const Str mark = {.ptr = "%%% ", .len = 4};

// Where the next mark at the beginning of a line is, or the end.
static size_t find_mark(Str in, size_t from)
{
    for (size_t i = from; i < in.len; i++) {
        if ((i == 0 || in.ptr[i - 1] == '\n') && str_eq(str_slice(in, i, i + mark.len), mark)) {
            return i;
        }
    }
    return in.len;
}

static bool file_path(Str name, Arena *arena, Str *out)
{
    if (str_eq(name, STR("hint"))) {
        *out = delta_path(arena, dir, STR("_last_checkpoint"));
        return true;
    }
    if (name.len < 2 || name.ptr[0] < '0' || name.ptr[0] > '9') {
        return false;
    }
    const uint64_t version = (uint64_t)(name.ptr[0] - '0');
    const Str rest = str_slice(name, 1, name.len);
    *out = str_eq(rest, STR(".json")) ? delta_commit_path(arena, dir, version)
                                      : delta_checkpoint_path(arena, dir, version);
    return str_eq(rest, STR(".json")) || str_eq(rest, STR(".parquet"));
}

static void write_files(Os *os, Str in, Arena *arena)
{
    Err err;
    for (size_t at = find_mark(in, 0); at < in.len;) {
        const size_t end = find_mark(in, at + mark.len);
        Str name = {0};
        Str text = str_slice(in, at + mark.len, end);
        Str path = {0};
        OsFile *file = NULL;
        at = end;
        if (!str_cut(text, '\n', &name, &text) || !file_path(name, arena, &path)) {
            continue;
        }
        ASSERT(os_file_open(os, path, OS_OPEN_CREATE, &file, &err) == OK);
        ASSERT(os_file_truncate(file, 0, &err) == OK);
        ASSERT(os_file_write_at(file, 0, (Bytes){.ptr = (const uint8_t *)text.ptr, .len = text.len},
                                &err) == OK);
        os_file_close(file);
    }
}

static void put_map(const DeltaKeyValue *entries, size_t count, Buf *out)
{
    for (size_t i = 0; i < count; i++) {
        buf_put_u64le(out, entries[i].key.len);
        buf_put_str(out, entries[i].key);
        buf_put_u8(out, entries[i].is_null);
        buf_put_str(out, entries[i].value);
    }
}

// A checksum of everything a state says.
static uint32_t digest(DeltaLog *log)
{
    Buf out = {0};
    DeltaState *state = delta_current(log);
    const DeltaMeta *meta = state->meta;
    buf_put_str(&out, meta->id);
    buf_put_str(&out, meta->name);
    buf_put_str(&out, meta->description);
    buf_put_u64le(&out, (uint64_t)meta->created_ms);
    buf_put_str(&out, meta->schema_json);
    put_map(meta->config, meta->config_count, &out);
    put_map(meta->format_options, meta->format_option_count, &out);
    for (size_t i = 0; i < meta->partition_count; i++) {
        buf_put_str(&out, meta->partitions[i]);
    }
    for (size_t i = 0; i < state->file_count; i++) {
        const DeltaFile *f = &state->files[i];
        buf_put_str(&out, f->path);
        buf_put_u64le(&out, f->size_bytes);
        buf_put_u64le(&out, (uint64_t)f->modified_ms);
        buf_put_u64le(&out, (uint64_t)f->row_count);
        buf_put_str(&out, f->stats);
        put_map(f->partition, f->partition_count, &out);
        put_map(f->tags, f->tag_count, &out);
    }
    for (size_t i = 0; i < state->txn_count; i++) {
        buf_put_str(&out, state->txns[i].txn.app_id);
        buf_put_u64le(&out, (uint64_t)state->txns[i].txn.version);
    }
    delta_state_unref(state);
    const uint32_t crc = crc_castagnoli(0, buf_bytes(&out));
    buf_deinit(&out);
    return crc;
}

static DeltaLog *reopen(Os *os, DeltaLog *log)
{
    Err err;
    delta_close(log);
    if (delta_open(os, dir, &log, &err) != OK) {
        (void)fprintf(stderr, "%s\n", err.msg);
        UNREACHABLE();
    }
    return log;
}

// A checkpoint and nothing else.
static DeltaLog *check_checkpoint(Os *os, DeltaLog *log, Arena *arena)
{
    Err err;
    const uint32_t before = digest(log);
    ASSERT(delta_checkpoint(log, &err) == OK);
    for (uint64_t v = 0; v < 10; v++) {
        (void)os_unlink(os, delta_commit_path(arena, dir, v), &err);
    }
    log = reopen(os, log);
    ASSERT(digest(log) == before);
    return log;
}

static DeltaLog *check_commit(Os *os, DeltaLog *log)
{
    Err err;
    DeltaState *state = delta_current(log);
    size_t count = 0;
    size_t file_count = 0;
    const Str *names = delta_state_partitions(state, &count);
    const DeltaFile *files = delta_state_files(state, &file_count);
    DeltaKeyValue values[DELTA_PARTITIONS_MAX];
    for (size_t i = 0; i < count; i++) {
        values[i] = (DeltaKeyValue){.key = names[i], .is_null = i % 2 == 0, .value = names[i]};
    }
    const DeltaFile file = {.path = STR("new"), .partition = values, .partition_count = count};
    const DeltaCommit commit = {.operation = "WRITE",
                                .adds = &file,
                                .add_count = 1,
                                .removes = file_count > 0 ? &files[0].path : NULL,
                                .remove_count = file_count > 0 ? 1 : 0};
    const Status st = delta_commit(log, &commit, NULL, &err);
    delta_state_unref(state);
    ASSERT(st == OK || st == ERR_INVALID || st == ERR_UNSUPPORTED);
    const uint32_t after = digest(log);
    log = reopen(os, log);
    ASSERT(digest(log) == after);
    return log;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Err err;
    Arena arena;
    DeltaLog *log = NULL;
    if (size > INPUT_MAX) {
        return 0;
    }
    OsSim *sim = os_sim_new(1);
    Os *os = os_sim_os(sim);
    arena_init(&arena, 0);
    os_sim_set_wall_us(sim, 1000000);
    ASSERT(os_mkdir_all(os, delta_path(&arena, dir, STR("x")), &err) == OK);
    write_files(os, (Str){.ptr = (const char *)data, .len = size}, &arena);
    if (delta_open(os, dir, &log, &err) == OK) {
        log = check_checkpoint(os, log, &arena);
        log = check_commit(os, log);
    }
    delta_close(log);
    arena_deinit(&arena);
    os_sim_free(sim);
    return 0;
}
