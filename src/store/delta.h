// SPDX-License-Identifier: Apache-2.0
//
// DeltaLog: the catalog of one table, a Delta log of reader version 1 and writer version 2
// (delta-io PROTOCOL.md) on a local folder. Files exist when the log says so. Commits are
// put-if-absent: a synced temporary file linked to its name. Every outside byte of the log is
// checked; a log this version must not touch (higher reader or writer version, unknown features) is
// refused by name.
//
// What is never written (docs/formats/delta.md, measured against other readers): column mapping,
// deletion vectors, STRUCT columns, min/max for columns holding NaN or infinity, `metaData` without
// `configuration`.
//
// A DeltaLog hands out immutable versions (DeltaState), which any thread may read until it drops
// its reference, even after delta_close(). delta_current() may be called from any thread; the
// others are for one thread at a time: the table's committer.
#pragma once

#include "base/buf.h"
#include "column/types.h"
#include "os/os.h"

enum {
    DELTA_COMMIT_MAX_BYTES = 256 << 20,
    DELTA_CHECKPOINT_EVERY = 50, // commits
    DELTA_LOG_KEPT_DAYS = 30,    // commits and checkpoints; the newest two checkpoints always
    DELTA_FILES_MAX = 10000000,
    DELTA_PATH_MAX = 4095,
    DELTA_PARTITIONS_MAX = 32, // columns
    DELTA_ATTEMPTS_MAX = 1000, // lost races of one commit
};

typedef struct DeltaKeyValue {
    Str key, value;
    bool is_null;
} DeltaKeyValue;

typedef struct DeltaFile { // `add`
    Str path;              // relative to the table folder, decoded
    const DeltaKeyValue *partition;
    size_t partition_count;
    uint64_t size_bytes;
    int64_t modified_ms;
    Str stats;         // JSON as written: numRecords, minValues, maxValues, nullCount
    int64_t row_count; // from stats; -1 when it does not say
    const DeltaKeyValue *tags;
    size_t tag_count;
} DeltaFile;

typedef struct DeltaTxn {
    Str app_id;
    int64_t version;
} DeltaTxn;

typedef struct DeltaState DeltaState; // one version of the table; reference-counted, immutable

uint64_t delta_state_version(const DeltaState *s);
const Schema *delta_state_schema(const DeltaState *s);
const DeltaFile *delta_state_files(const DeltaState *s, size_t *count); // live, oldest first
const Str *delta_state_partitions(const DeltaState *s, size_t *count);  // names of columns
Str delta_state_id(const DeltaState *s);                                // UUID of the table
int64_t delta_state_txn(const DeltaState *s, Str app_id);               // -1 when there is none
Str delta_state_config(const DeltaState *s, Str key); // table property; empty when absent
DeltaState *delta_state_ref(DeltaState *s);
void delta_state_unref(DeltaState *s); // accepts NULL

typedef struct DeltaLog DeltaLog;

typedef struct DeltaCreate {
    const Schema *schema;
    const Str *partition_columns; // names
    size_t partition_count;
    const DeltaKeyValue *config; // table properties, under "cardinal."
    size_t config_count;
} DeltaCreate;

// Opens the table at `dir`. Keeps `os`. What is readable is made durable first, so that whoever
// acts on it (drops a log, deletes files) does not act on a commit that a power cut takes back.
//
// ERR_NOT_FOUND    there is no log
// ERR_UNSUPPORTED  a protocol version, feature or column type this version does not know, by name
// ERR_CORRUPT      torn JSON, a missing version, a file that is not what it should be
Status delta_open(Os *os, Str dir, DeltaLog **out, Err *err);
// Creates it (version 0); ERR_EXISTS when there is a log already.
Status delta_create(Os *os, Str dir, const DeltaCreate *create, DeltaLog **out, Err *err);
void delta_close(DeltaLog *log);               // accepts NULL
DeltaState *delta_current(DeltaLog *log);      // a new reference
Status delta_refresh(DeltaLog *log, Err *err); // reads commits of others

typedef struct DeltaCommit {
    const char *operation; // "WRITE", "OPTIMIZE", "ADD COLUMNS"
    bool data_change;      // of adds and removes
    const DeltaFile *adds; // stats and tags included; row_count is ignored, stats count
    size_t add_count;
    const Str *removes; // paths
    size_t remove_count;
    const DeltaTxn *txns;
    size_t txn_count;
    const Schema
        *schema; // NULL: unchanged. Else a superset in the same order, new columns at the end
    const DeltaKeyValue *config; // with `schema`: properties to set
    size_t config_count;
} DeltaCommit;

// Commits as the next version. When others committed meanwhile, the commit is tried again behind
// theirs, unless that would be wrong: they changed schema or protocol, wrote a txn of one of our
// applications, or removed or added one of our files. Then ERR_EXISTS, and nothing is written.
// A doubtful answer (a failed call) is settled by reading back the commit's UUID. Writes a
// checkpoint every DELTA_CHECKPOINT_EVERY versions (its failure does not fail the commit). On
// success *out, if not NULL, is a new reference to the new state.
//
// After ERR_EXISTS delta_current() shows what the others did. ERR_INVALID: the commit breaks a rule
// (a path twice, a removed file that is not there, wrong partition columns, schema not a superset,
// column names that differ only in case, a removal from an append-only table). ERR_UNAVAILABLE: it
// may or may not have happened, or become so; delta_refresh() tells.
Status delta_commit(DeltaLog *log, const DeltaCommit *commit, DeltaState **out, Err *err);
// Writes a checkpoint of the current version now, and deletes old commits and checkpoints.
Status delta_checkpoint(DeltaLog *log, Err *err);

// The schemaString of a table with these columns. Types that Delta does not have are mapped to the
// next larger one and named in the field's metadata ("cardinal.type").
void delta_put_schema_json(const Schema *schema, Buf *out);
// `s` in quotes, escaped. `s` is UTF-8.
void delta_put_json_string(Str s, Buf *out);
