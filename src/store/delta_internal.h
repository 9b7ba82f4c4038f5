// SPDX-License-Identifier: Apache-2.0
//
// What the files of the Delta log share.
//
//   delta_path.c        percent-encoding of paths, names of commits and checkpoints
//   delta_schema.c      schemaString <-> Schema
//   delta_actions.c     text of a commit -> DeltaActions, all checks of outside JSON
//   delta_write.c       DeltaCommit -> text of a commit, all checks of what we are about to write
//   delta_set.c         the live files and tombstones; DeltaActions -> next DeltaState
//   delta_checkpoint.c  DeltaSet <-> Parquet
//   delta_clean.c       which old commits may go
//   delta.c             folders, put-if-absent, conflicts
#pragma once

#include "store/delta.h"

#include <jansson.h>
#include <stdatomic.h>

enum {
    DELTA_READER_VERSION = 1,
    DELTA_WRITER_VERSION = 2,
    DELTA_NAME_DIGITS = 20,
    DELTA_UUID_CHARS = 36,
};

// ---- memory that states share

// The text of one commit or checkpoint: lives as long as a state or the set needs one file of it.
typedef struct DeltaChunk {
    atomic_size_t refs;
    Arena arena;
    size_t live;   // entries of the set; the committer's
    uint64_t mark; // the last version whose state holds it; the committer's
} DeltaChunk;

DeltaChunk *delta_chunk_new(void); // one reference
void delta_chunk_ref(DeltaChunk *chunk);
void delta_chunk_unref(DeltaChunk *chunk); // accepts NULL

// `metaData`. Immutable; shared by all states between two changes.
typedef struct DeltaMeta {
    atomic_size_t refs;
    Arena arena;
    Str id, name, description;
    bool has_name, has_description, has_created;
    int64_t created_ms;
    const DeltaKeyValue *format_options;
    size_t format_option_count;
    Str schema_json;
    Schema schema;
    const Str *partitions;
    size_t partition_count;
    const DeltaKeyValue *config;
    size_t config_count;
    bool has_invariants; // a column has a rule that writers would have to enforce
} DeltaMeta;

DeltaMeta *delta_meta_new(void);
void delta_meta_ref(DeltaMeta *meta);
void delta_meta_unref(DeltaMeta *meta); // accepts NULL
// Checks what was filled in: parses schema_json, finds the partition columns.
Status delta_meta_finish(DeltaMeta *meta, Err *err);
Str delta_meta_config(const DeltaMeta *meta, Str key);

// ---- actions

typedef struct DeltaRemove {
    Str path;
    int64_t deleted_ms; // 0: not said
    bool data_change;
} DeltaRemove;

typedef struct DeltaTxnAction {
    DeltaTxn txn;
    int64_t updated_ms; // 0: not said
} DeltaTxnAction;

// What one commit, or one checkpoint, says.
typedef struct DeltaActions {
    DeltaChunk *chunk; // what everything below points into
    DeltaFile *adds;
    DeltaRemove *removes;
    DeltaTxnAction *txns;
    size_t add_count, add_cap, remove_count, remove_cap, txn_count, txn_cap;
    bool has_protocol;
    DeltaMeta *meta; // NULL: unchanged
    Str commit_id;   // commitInfo.txnId
} DeltaActions;

void delta_actions_init(DeltaActions *actions);
void delta_actions_deinit(DeltaActions *actions); // accepts a zeroed one

// Parses the text of a commit. ERR_CORRUPT or ERR_UNSUPPORTED with the number of the line.
Status delta_actions_parse(Str text, DeltaActions *actions, Err *err);
// Adds one action each; shared with checkpoints. The texts live in actions->chunk.
Status delta_actions_add(DeltaActions *actions, DeltaFile file, Err *err);
void delta_actions_remove(DeltaActions *actions, DeltaRemove remove);
void delta_actions_txn(DeltaActions *actions, DeltaTxnAction txn);
// ERR_UNSUPPORTED unless this version may read and write such a table. `features`: names, for the
// message.
Status delta_check_protocol(int64_t reader, int64_t writer, Str features, Err *err);
// The path of an `add` or `remove`, decoded; ERR_UNSUPPORTED when it is absolute or leaves the
// table.
Status delta_check_path(Str encoded, Arena *arena, Str *out, Err *err);
// numRecords of stats JSON; -1 when it does not say.
int64_t delta_stats_row_count(Str stats);

// ---- text

void delta_put_path(Str path, Buf *out);                       // percent-encoded, not quoted
bool delta_parse_commit_name(Str name, uint64_t *version);     // 00000000000000000012.json
bool delta_parse_checkpoint_name(Str name, uint64_t *version); // ....checkpoint.parquet
Str delta_path(Arena *arena, Str dir, Str name);               // dir/_delta_log/name
Str delta_commit_path(Arena *arena, Str dir, uint64_t version);
Str delta_checkpoint_path(Arena *arena, Str dir, uint64_t version);
// ".tmp-" and the id. Whatever is called so when a log is opened was left over by a crash.
Str delta_temp_path(Arena *arena, Str dir, Str id);
bool delta_is_temp_name(Str name);

typedef struct DeltaUuid {
    char text[DELTA_UUID_CHARS];
} DeltaUuid;

DeltaUuid delta_uuid(Os *os);

// Both formats of the same thing: {"type":"struct",...} to columns in `arena`.
Status delta_parse_schema(Str json, Arena *arena, Schema *out, bool *has_invariants, Err *err);
// `json` with the columns of `schema` from `from` on appended, other fields kept as they are.
Status delta_extend_schema(Str json, const Schema *schema, size_t from, Buf *out, Err *err);

// ---- states

struct DeltaState {
    atomic_size_t refs;
    uint64_t version;
    DeltaMeta *meta;
    DeltaFile *files;
    size_t file_count;
    DeltaChunk **chunks; // what `files` point into
    size_t chunk_count;
    DeltaTxnAction *txns; // texts in `arena`
    size_t txn_count;
    Arena arena;
};

typedef enum DeltaEntryKind { DELTA_GONE, DELTA_LIVE, DELTA_TOMBSTONE } DeltaEntryKind;

typedef struct DeltaEntry {
    DeltaEntryKind kind;
    DeltaChunk *chunk;
    uint64_t hash; // of the path
    DeltaFile file;
    int64_t deleted_ms; // DELTA_TOMBSTONE
    bool data_change;
} DeltaEntry;

// The newest version as a table by path that changes in place. The committer's.
typedef struct DeltaSet {
    DeltaEntry *entries; // in order of their actions
    size_t count, cap, live, gone;
    uint32_t *slots; // entry + 1; 0: empty; UINT32_MAX: was used. slot_count is a power of two
    size_t slot_count, slots_used;
    DeltaTxnAction *txns; // texts in `arena`
    size_t txn_count, txn_cap;
    Arena arena;
    DeltaMeta *meta;
    bool has_protocol;
} DeltaSet;

void delta_set_init(DeltaSet *set);
void delta_set_deinit(DeltaSet *set);
void delta_set_apply(DeltaSet *set, const DeltaActions *actions); // cannot fail
const DeltaEntry *delta_set_find(const DeltaSet *set, Str path);  // NULL when it was never there
DeltaState *delta_set_state(DeltaSet *set, uint64_t version);     // set->meta is not NULL

// ---- writing

typedef struct DeltaWrite { // what a commit needs besides itself
    const DeltaCommit *commit;
    const DeltaSet *set; // what it is based on; unused for a new table
    Str commit_id;
    int64_t now_ms;
} DeltaWrite;

// ERR_INVALID as delta_commit(). ERR_EXISTS: a removed file was removed already, or a txn of the
// same application is as high.
Status delta_write_commit(const DeltaWrite *write, Buf *out, Err *err);
Status delta_write_create(const DeltaCreate *create, Str table_id, const DeltaWrite *write,
                          Buf *out, Err *err);

// ---- the folder

typedef struct DeltaListing {
    uint64_t *commits, *checkpoints; // versions, ascending
    Str *temps;                      // paths
    size_t commit_count, checkpoint_count, temp_count;
} DeltaListing;

Status delta_list(Os *os, Str dir, Arena *arena, DeltaListing *out, Err *err);
// Deletes commits and checkpoints that are older than DELTA_LOG_KEPT_DAYS and not needed for what
// is not. Best effort.
void delta_clean(Os *os, Str dir);

// ---- checkpoints

typedef struct DeltaCheckpoint {
    Os *os;
    Str dir;
    uint64_t version;
} DeltaCheckpoint;

Status delta_checkpoint_write(const DeltaCheckpoint *at, const DeltaSet *set, Err *err);
Status delta_checkpoint_read(const DeltaCheckpoint *at, DeltaActions *actions, Err *err);
