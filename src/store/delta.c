// SPDX-License-Identifier: Apache-2.0
//
// The folder of a Delta log. A commit is a temporary file, synced, then linked to the name of its
// version, which fails when that name exists; so versions are complete, in order and never
// overwritten, whoever else writes. Then the folder is synced, and only then is it a commit for us.
#include "store/delta_internal.h"

#include "base/mem.h"
#include "os/thread.h"

enum { LOCK_LEVEL = 48, HINT_BYTES_MAX = 1 << 20 };

struct DeltaLog {
    Os *os;
    Str dir; // in `arena`
    Arena arena;
    DeltaSet set;     // at `version`; the committer's
    uint64_t version; // of `set`; the committer's
    bool is_doubtful; // the folder may show names that are not durable; the committer's

    Mutex mu; // level 48 in docs/LOCKS.md
    // mu:
    DeltaState *current; // holds one reference
};

static void publish(DeltaLog *log)
{
    DeltaState *next = delta_set_state(&log->set, log->version);
    mutex_lock(&log->mu);
    DeltaState *old = log->current;
    log->current = next;
    mutex_unlock(&log->mu);
    delta_state_unref(old);
}

DeltaState *delta_current(DeltaLog *log)
{
    mutex_lock(&log->mu);
    DeltaState *state = delta_state_ref(log->current);
    mutex_unlock(&log->mu);
    return state;
}

// ---- reading

static Status read_commit(DeltaLog *log, uint64_t version, DeltaActions *actions, Err *err)
{
    Arena arena;
    Bytes bytes = {0};
    arena_init(&arena, 0);
    Status st = os_read_file(log->os, delta_commit_path(&arena, log->dir, version),
                             DELTA_COMMIT_MAX_BYTES, &arena, &bytes, err);
    if (st == OK) {
        const Str text = {.ptr = (const char *)bytes.ptr, .len = bytes.len};
        st = delta_actions_parse(text, actions, err);
        st = st == OK ? OK : err_prefix(err, "version %" PRIu64 ", ", version);
    }
    arena_deinit(&arena);
    return st;
}

// Makes what the folder shows durable. Until then a commit of others, or one of ours of which we
// got no answer, is not built upon.
static Status settle(DeltaLog *log, Err *err)
{
    Arena arena;
    arena_init(&arena, 0);
    const Status st = os_dir_sync(log->os, delta_path(&arena, log->dir, STR("")), err);
    arena_deinit(&arena);
    log->is_doubtful = st != OK;
    return st;
}

Status delta_list(Os *os, Str dir, Arena *arena, DeltaListing *out, Err *err)
{
    OsDirEntry *entries = NULL;
    size_t count = 0;
    *out = (DeltaListing){0};
    TRY(os_dir_list(os, delta_path(arena, dir, STR("")), arena, &entries, &count, err));
    out->commits = arena_new(arena, uint64_t, count);
    out->checkpoints = arena_new(arena, uint64_t, count);
    out->temps = arena_new(arena, Str, count);
    for (size_t i = 0; i < count; i++) {
        const Str name = entries[i].name;
        uint64_t version = 0;
        if (delta_parse_commit_name(name, &version)) {
            out->commits[out->commit_count++] = version;
        } else if (delta_parse_checkpoint_name(name, &version)) {
            out->checkpoints[out->checkpoint_count++] = version;
        } else if (delta_is_temp_name(name)) {
            out->temps[out->temp_count++] = delta_path(arena, dir, name);
        }
    }
    return OK;
}

// Applies the newest checkpoint that can be read. *next is the version after it, 0 without one.
static Status load_checkpoint(DeltaLog *log, DeltaSet *set, const DeltaListing *list,
                              uint64_t *next, Err *err)
{
    Status st = OK;
    *next = 0;
    for (size_t i = list->checkpoint_count; i-- > 0;) {
        Err older;
        DeltaActions actions;
        const DeltaCheckpoint at = {
            .os = log->os, .dir = log->dir, .version = list->checkpoints[i]};
        delta_actions_init(&actions);
        const Status read = delta_checkpoint_read(&at, &actions, st == OK ? err : &older);
        if (read == OK) {
            delta_set_apply(set, &actions);
            *next = at.version + 1;
        }
        delta_actions_deinit(&actions);
        if (read == OK) {
            return OK;
        }
        st = st == OK ? read : st;
    }
    // Without any, the commits from the first on do as well.
    return list->commit_count > 0 && list->commits[0] == 0 ? OK : st;
}

// Applies the commits from *next on; *next is the version after the last.
static Status load_commits(DeltaLog *log, DeltaSet *set, const DeltaListing *list, uint64_t *next,
                           Err *err)
{
    for (size_t i = 0; i < list->commit_count; i++) {
        DeltaActions actions;
        if (list->commits[i] < *next) {
            continue;
        }
        if (list->commits[i] != *next) {
            return err_set(err, ERR_CORRUPT, "version %" PRIu64 " is missing", *next);
        }
        delta_actions_init(&actions);
        const Status st = read_commit(log, *next, &actions, err);
        if (st == OK) {
            delta_set_apply(set, &actions);
            ++*next;
        }
        delta_actions_deinit(&actions);
        if (st != OK) {
            return st;
        }
    }
    return OK;
}

// Reads the whole log, from scratch.
static Status load(DeltaLog *log, Err *err)
{
    Status st = OK;
    Arena arena;
    DeltaListing list;
    DeltaSet set;
    uint64_t next = 0;

    arena_init(&arena, 0);
    delta_set_init(&set);
    TRY_OUT(settle(log, err));
    TRY_OUT(delta_list(log->os, log->dir, &arena, &list, err));
    if (list.commit_count == 0 && list.checkpoint_count == 0) {
        st = err_set(err, ERR_NOT_FOUND, "no commits");
        goto out;
    }
    TRY_OUT(load_checkpoint(log, &set, &list, &next, err));
    TRY_OUT(load_commits(log, &set, &list, &next, err));
    if (set.meta == NULL || !set.has_protocol) {
        st = err_set(err, ERR_CORRUPT, "no %s", set.meta == NULL ? "metaData" : "protocol");
        goto out;
    }
    const DeltaSet old = log->set;
    log->set = set;
    set = old;
    log->version = next - 1;
    publish(log);
out:
    delta_set_deinit(&set);
    arena_deinit(&arena);
    return st;
}

// Removes what a crash left over. The log has one committer, so nobody is writing them now.
static void remove_temps(DeltaLog *log)
{
    Arena arena;
    DeltaListing list;
    Err ignored; // the next start tries again
    arena_init(&arena, 0);
    if (delta_list(log->os, log->dir, &arena, &list, &ignored) == OK) {
        for (size_t i = 0; i < list.temp_count; i++) {
            (void)os_unlink(log->os, list.temps[i], &ignored);
        }
    }
    arena_deinit(&arena);
}

// Whether others have gone on so far that the commit after ours may have been cleaned away. Then
// its name is free again, and a commit of that name would be none.
static bool is_stale(DeltaLog *log)
{
    Arena arena;
    Bytes bytes = {0};
    Err ignored; // it is only a hint
    json_error_t error;
    uint64_t version = 0;
    arena_init(&arena, 0);
    if (os_read_file(log->os, delta_path(&arena, log->dir, STR("_last_checkpoint")), HINT_BYTES_MAX,
                     &arena, &bytes, &ignored) == OK) {
        json_t *root = json_loadb((const char *)bytes.ptr, bytes.len, 0, &error);
        const json_int_t value = json_integer_value(json_object_get(root, "version"));
        version = value > 0 ? (uint64_t)value : 0;
        json_decref(root);
    }
    arena_deinit(&arena);
    return version > log->version;
}

// ---- opening and closing

static DeltaLog *log_new(Os *os, Str dir)
{
    DeltaLog *log = mem_new(DeltaLog, 1);
    log->os = os;
    arena_init(&log->arena, 0);
    log->dir = arena_str(&log->arena, dir);
    delta_set_init(&log->set);
    mutex_init_level(&log->mu, LOCK_LEVEL);
    return log;
}

void delta_close(DeltaLog *log)
{
    if (log != NULL) {
        delta_state_unref(log->current);
        delta_set_deinit(&log->set);
        mutex_deinit(&log->mu);
        arena_deinit(&log->arena);
        mem_free(log);
    }
}

Status delta_open(Os *os, Str dir, DeltaLog **out, Err *err)
{
    DeltaLog *log = log_new(os, dir);
    *out = NULL;
    const Status st = load(log, err);
    if (st != OK) {
        delta_close(log);
        return err_prefix(err, "Delta log of '" STR_FMT "': ", STR_ARG(dir));
    }
    remove_temps(log);
    *out = log;
    return OK;
}

// ---- put-if-absent

typedef struct Put {
    DeltaLog *log;
    Str text, commit_id, temp_path;
    Arena arena;
} Put;

static Status put_begin(Put *put, Err *err)
{
    DeltaLog *log = put->log;
    OsFile *file = NULL;
    arena_init(&put->arena, 0);
    put->temp_path = delta_temp_path(&put->arena, log->dir, put->commit_id);
    TRY(os_file_open(log->os, put->temp_path, OS_OPEN_CREATE_NEW, &file, err));
    Status st = os_file_write_at(
        file, 0, (Bytes){.ptr = (const uint8_t *)put->text.ptr, .len = put->text.len}, err);
    if (st == OK) {
        st = os_file_sync(file, err);
    }
    os_file_close(file);
    return st;
}

static void put_end(Put *put)
{
    Err ignored; // the next start removes it
    (void)os_unlink(put->log->os, put->temp_path, &ignored);
    arena_deinit(&put->arena);
}

// Makes the text the commit `version`. ERR_EXISTS: there is one already, and *actions is what it
// says. ERR_UNAVAILABLE: nobody can say.
static Status put_try(Put *put, uint64_t version, DeltaActions *actions, Err *err)
{
    DeltaLog *log = put->log;
    const Status linked =
        os_link(log->os, put->temp_path, delta_commit_path(&put->arena, log->dir, version), err);
    if (linked != OK) {
        // Somebody was faster, or we have no answer: the file itself says whose it is.
        Err read_err;
        const Status st = read_commit(log, version, actions, &read_err);
        if (st == ERR_NOT_FOUND) {
            return linked == ERR_EXISTS ? err_set(err, ERR_UNAVAILABLE, "a commit disappeared")
                                        : linked;
        }
        if (st != OK) {
            *err = read_err;
            return linked == ERR_EXISTS ? st : err_set(err, ERR_UNAVAILABLE, "%s", read_err.msg);
        }
        if (!str_eq(actions->commit_id, put->commit_id)) {
            return err_set(err, ERR_EXISTS, "version %" PRIu64 " was written by others", version);
        }
    }
    if (settle(log, err) != OK) {
        const Err cause = *err;
        return err_set(err, ERR_UNAVAILABLE, "version %" PRIu64 " may not be durable: %s", version,
                       cause.msg);
    }
    return OK;
}

// ---- committing

// Takes over a commit of others, if ours may still follow it.
static Status yield_to(DeltaLog *log, const DeltaActions *theirs, const DeltaWrite *ours, Err *err)
{
    delta_set_apply(&log->set, theirs);
    log->version++;
    if (theirs->meta != NULL || theirs->has_protocol) {
        return err_set(err, ERR_EXISTS, "version %" PRIu64 " changed the schema or the protocol",
                       log->version);
    }
    for (size_t i = 0; i < ours->commit->txn_count; i++) {
        for (size_t k = 0; k < theirs->txn_count; k++) {
            if (str_eq(ours->commit->txns[i].app_id, theirs->txns[k].txn.app_id)) {
                return err_set(err, ERR_EXISTS, "version %" PRIu64 " has a txn of '" STR_FMT "'",
                               log->version, STR_ARG(theirs->txns[k].txn.app_id));
            }
        }
    }
    // Removed or added files of ours: the same checks again, against what is there now.
    Buf unused;
    buf_init(&unused, DELTA_COMMIT_MAX_BYTES);
    const Status st = delta_write_commit(ours, &unused, err);
    buf_deinit(&unused);
    if (st == ERR_INVALID) { // it was valid before
        const Err cause = *err;
        return err_set(err, ERR_EXISTS, "version %" PRIu64 ": %s", log->version, cause.msg);
    }
    return st;
}

// Links the text to the first free version, which is the one after log->version then.
static Status put_after_others(Put *put, const DeltaWrite *write, Err *err)
{
    DeltaLog *log = put->log;
    for (size_t attempt = 0; attempt < DELTA_ATTEMPTS_MAX; attempt++) {
        DeltaActions actions;
        delta_actions_init(&actions);
        Status st = put_try(put, log->version + 1, &actions, err);
        if (st == OK) {
            delta_actions_deinit(&actions);
            return OK;
        }
        const bool is_lost = st == ERR_EXISTS;
        st = is_lost ? yield_to(log, &actions, write, err) : st;
        delta_actions_deinit(&actions);
        if (st != OK) {
            if (is_lost) {
                publish(log);
            }
            return st;
        }
    }
    publish(log);
    return err_set(err, ERR_UNAVAILABLE, "others committed %d times first", DELTA_ATTEMPTS_MAX);
}

// What we are about to write is read by the way of what others write: so both are understood alike,
// and there is better no commit than one that nobody can read.
static Status parse_own(Str text, DeltaActions *actions, Err *err)
{
    delta_actions_init(actions);
    if (delta_actions_parse(text, actions, err) != OK) {
        const Err cause = *err;
        return err_set(err, ERR_INTERNAL, "would have written: %s", cause.msg);
    }
    return OK;
}

static Status commit_text(DeltaLog *log, const DeltaWrite *write, Str text, Err *err)
{
    Put put = {.log = log, .text = text, .commit_id = write->commit_id};
    DeltaActions actions;
    Status st = parse_own(text, &actions, err);
    if (st == OK) {
        st = put_begin(&put, err);
        if (st == OK) {
            st = put_after_others(&put, write, err);
        }
        put_end(&put);
    }
    if (st == OK) {
        delta_set_apply(&log->set, &actions);
        log->version++;
        publish(log);
    }
    delta_actions_deinit(&actions);
    return st;
}

Status delta_commit(DeltaLog *log, const DeltaCommit *commit, DeltaState **out, Err *err)
{
    Status st = OK;
    Buf text;
    const DeltaUuid id = delta_uuid(log->os);
    const DeltaWrite write = {.commit = commit,
                              .set = &log->set,
                              .commit_id = {.ptr = id.text, .len = sizeof(id.text)},
                              .now_ms = os_wall_us(log->os) / 1000};

    if (out != NULL) {
        *out = NULL;
    }
    buf_init(&text, DELTA_COMMIT_MAX_BYTES);
    if (log->is_doubtful) {
        TRY_OUT(delta_refresh(log, err));
    }
    if (is_stale(log)) {
        const uint64_t before = log->version;
        TRY_OUT(load(log, err));
        if (log->version != before) { // else the hint is wrong
            st = err_set(err, ERR_EXISTS, "others have written %" PRIu64 " versions", log->version);
            goto out;
        }
    }
    TRY_OUT(delta_write_commit(&write, &text, err));
    TRY_OUT(commit_text(log, &write, buf_str(&text), err));
    if (log->version % DELTA_CHECKPOINT_EVERY == 0) {
        Err ignored; // the log is complete without it
        (void)delta_checkpoint(log, &ignored);
    }
    if (out != NULL) {
        *out = delta_current(log);
    }
out:
    buf_deinit(&text);
    return st == OK ? OK : err_prefix(err, "Delta log of '" STR_FMT "': ", STR_ARG(log->dir));
}

Status delta_create(Os *os, Str dir, const DeltaCreate *create, DeltaLog **out, Err *err)
{
    Status st = OK;
    Buf text;
    Arena arena;
    DeltaListing list;
    DeltaActions mine = {0};
    DeltaActions theirs;
    DeltaLog *log = log_new(os, dir);
    const DeltaUuid table_id = delta_uuid(os);
    const DeltaUuid id = delta_uuid(os);
    const Str commit_id = {.ptr = id.text, .len = sizeof(id.text)};
    const DeltaWrite write = {.commit_id = commit_id, .now_ms = os_wall_us(os) / 1000};

    *out = NULL;
    buf_init(&text, DELTA_COMMIT_MAX_BYTES);
    arena_init(&arena, 0);
    delta_actions_init(&theirs);
    TRY_OUT(os_mkdir_all(os, delta_path(&arena, dir, STR("")), err));
    TRY_OUT(delta_list(os, dir, &arena, &list, err));
    if (list.commit_count + list.checkpoint_count > 0) {
        st = err_set(err, ERR_EXISTS, "there is a table already");
        goto out;
    }
    TRY_OUT(delta_write_create(create, (Str){.ptr = table_id.text, .len = sizeof(table_id.text)},
                               &write, &text, err));
    TRY_OUT(parse_own(buf_str(&text), &mine, err));
    Put put = {.log = log, .text = buf_str(&text), .commit_id = commit_id};
    st = put_begin(&put, err);
    if (st == OK) {
        st = put_try(&put, 0, &theirs, err);
    }
    put_end(&put);
    TRY_OUT(st);
    TRY_OUT(load(log, err));
    *out = log;
    log = NULL; // now the caller's
out:
    delta_close(log);
    delta_actions_deinit(&theirs);
    delta_actions_deinit(&mine);
    arena_deinit(&arena);
    buf_deinit(&text);
    return st == OK ? OK : err_prefix(err, "Delta log of '" STR_FMT "': ", STR_ARG(dir));
}

// ---- refreshing

Status delta_refresh(DeltaLog *log, Err *err)
{
    const uint64_t before = log->version;
    Status st = settle(log, err);
    while (st == OK) {
        DeltaActions actions;
        delta_actions_init(&actions);
        st = read_commit(log, log->version + 1, &actions, err);
        if (st == OK) {
            delta_set_apply(&log->set, &actions);
            log->version++;
        }
        delta_actions_deinit(&actions);
    }
    if (log->version != before) {
        publish(log);
    }
    if (st == ERR_NOT_FOUND && is_stale(log)) {
        return load(log, err);
    }
    return st == ERR_NOT_FOUND ? OK : st;
}

Status delta_checkpoint(DeltaLog *log, Err *err)
{
    const DeltaCheckpoint at = {.os = log->os, .dir = log->dir, .version = log->version};
    TRY(delta_checkpoint_write(&at, &log->set, err));
    delta_clean(log->os, log->dir);
    return OK;
}
