// SPDX-License-Identifier: Apache-2.0
//
// Classic checkpoints of one file (delta-io PROTOCOL.md, "V1 Spec", "Checkpoint Schema"): one row
// per action, one group of columns per kind of action, all null but one. What others write differs
// in columns and encodings, so leaves are looked up by name, and any may be missing.
//
// Parquet has checksums of pages, but none of the footer, where one bit renames a column, which is
// then missing. So the footer's key-values hold a hash of all slots ("cardinal.hash").
#include "store/delta_internal.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "codec/hash.h"
#include "parquet/leaf.h"

#include <stdio.h>

#define HASH_KEY STR("cardinal.hash")

enum { TOMBSTONES_KEPT_MS = 7 * 24 * 3600 * 1000 }; // Delta's default retention

// ---- the columns

// The leaves we write, in order, and those we look for.
typedef enum LeafId {
    TXN_APP_ID,
    TXN_VERSION,
    TXN_UPDATED,
    ADD_PATH,
    ADD_PARTITION_KEY,
    ADD_PARTITION_VALUE,
    ADD_SIZE,
    ADD_MODIFIED,
    ADD_DATA_CHANGE,
    ADD_STATS,
    ADD_TAG_KEY,
    ADD_TAG_VALUE,
    REMOVE_PATH,
    REMOVE_DELETED,
    REMOVE_DATA_CHANGE,
    META_ID,
    META_NAME,
    META_DESCRIPTION,
    META_PROVIDER,
    META_OPTION_KEY,
    META_OPTION_VALUE,
    META_SCHEMA,
    META_PARTITION,
    META_CONFIG_KEY,
    META_CONFIG_VALUE,
    META_CREATED,
    PROTOCOL_READER,
    PROTOCOL_WRITER,
    LEAF_COUNT,
} LeafId;

#define NAME(s)                                                                                    \
    {                                                                                              \
        .ptr = "" s, .len = sizeof(s) - 1                                                          \
    }

static const struct {
    Str path[3];
    size_t path_count;
    uint32_t nth;
    uint32_t max_def; // in what we write
    bool is_text;
} leaf_table[LEAF_COUNT] = {
    [TXN_APP_ID] = {{NAME("txn"), NAME("appId")}, 2, 0, 2, true},
    [TXN_VERSION] = {{NAME("txn"), NAME("version")}, 2, 0, 2, false},
    [TXN_UPDATED] = {{NAME("txn"), NAME("lastUpdated")}, 2, 0, 2, false},
    [ADD_PATH] = {{NAME("add"), NAME("path")}, 2, 0, 2, true},
    [ADD_PARTITION_KEY] = {{NAME("add"), NAME("partitionValues")}, 2, 0, 3, true},
    [ADD_PARTITION_VALUE] = {{NAME("add"), NAME("partitionValues")}, 2, 1, 4, true},
    [ADD_SIZE] = {{NAME("add"), NAME("size")}, 2, 0, 2, false},
    [ADD_MODIFIED] = {{NAME("add"), NAME("modificationTime")}, 2, 0, 2, false},
    [ADD_DATA_CHANGE] = {{NAME("add"), NAME("dataChange")}, 2, 0, 2, false},
    [ADD_STATS] = {{NAME("add"), NAME("stats")}, 2, 0, 2, true},
    [ADD_TAG_KEY] = {{NAME("add"), NAME("tags")}, 2, 0, 3, true},
    [ADD_TAG_VALUE] = {{NAME("add"), NAME("tags")}, 2, 1, 4, true},
    [REMOVE_PATH] = {{NAME("remove"), NAME("path")}, 2, 0, 2, true},
    [REMOVE_DELETED] = {{NAME("remove"), NAME("deletionTimestamp")}, 2, 0, 2, false},
    [REMOVE_DATA_CHANGE] = {{NAME("remove"), NAME("dataChange")}, 2, 0, 2, false},
    [META_ID] = {{NAME("metaData"), NAME("id")}, 2, 0, 2, true},
    [META_NAME] = {{NAME("metaData"), NAME("name")}, 2, 0, 2, true},
    [META_DESCRIPTION] = {{NAME("metaData"), NAME("description")}, 2, 0, 2, true},
    [META_PROVIDER] = {{NAME("metaData"), NAME("format"), NAME("provider")}, 3, 0, 3, true},
    [META_OPTION_KEY] = {{NAME("metaData"), NAME("format"), NAME("options")}, 3, 0, 4, true},
    [META_OPTION_VALUE] = {{NAME("metaData"), NAME("format"), NAME("options")}, 3, 1, 5, true},
    [META_SCHEMA] = {{NAME("metaData"), NAME("schemaString")}, 2, 0, 2, true},
    [META_PARTITION] = {{NAME("metaData"), NAME("partitionColumns")}, 2, 0, 4, true},
    [META_CONFIG_KEY] = {{NAME("metaData"), NAME("configuration")}, 2, 0, 3, true},
    [META_CONFIG_VALUE] = {{NAME("metaData"), NAME("configuration")}, 2, 1, 4, true},
    [META_CREATED] = {{NAME("metaData"), NAME("createdTime")}, 2, 0, 2, false},
    [PROTOCOL_READER] = {{NAME("protocol"), NAME("minReaderVersion")}, 2, 0, 2, false},
    [PROTOCOL_WRITER] = {{NAME("protocol"), NAME("minWriterVersion")}, 2, 0, 2, false},
};

#define GROUP(name_, children_)                                                                    \
    {                                                                                              \
        .name = NAME(name_), .repetition = PARQUET_OPTIONAL, .child_count = (children_),           \
        .converted = PARQUET_CONVERTED_NONE                                                        \
    }
#define LEAF(name_, type_)                                                                         \
    {                                                                                              \
        .name = NAME(name_), .has_type = true, .type = (type_), .repetition = PARQUET_OPTIONAL,    \
        .converted = PARQUET_CONVERTED_NONE                                                        \
    }
#define TEXT_AS(name_, repetition_)                                                                \
    {                                                                                              \
        .name = NAME(name_), .has_type = true, .type = PARQUET_BYTE_ARRAY,                         \
        .repetition = (repetition_), .converted = PARQUET_UTF8, .logical = PARQUET_LOGICAL_STRING  \
    }
#define TEXT(name_) TEXT_AS(name_, PARQUET_OPTIONAL)
#define REPEATED(name_, children_)                                                                 \
    {                                                                                              \
        .name = NAME(name_), .repetition = PARQUET_REPEATED, .child_count = (children_),           \
        .converted = PARQUET_CONVERTED_NONE                                                        \
    }
#define NESTED(name_, converted_, logical_)                                                        \
    {                                                                                              \
        .name = NAME(name_), .repetition = PARQUET_OPTIONAL, .child_count = 1,                     \
        .converted = (converted_), .logical = (logical_)                                           \
    }
#define MAP(name_)                                                                                 \
    NESTED(name_, PARQUET_MAP, PARQUET_LOGICAL_MAP), REPEATED("key_value", 2),                     \
        TEXT_AS("key", PARQUET_REQUIRED), TEXT("value")

static const ParquetSchemaElement checkpoint_schema[] = {
    {.name = NAME("schema"), .child_count = 5, .converted = PARQUET_CONVERTED_NONE},
    GROUP("txn", 3),
    TEXT("appId"),
    LEAF("version", PARQUET_INT64),
    LEAF("lastUpdated", PARQUET_INT64),
    GROUP("add", 7),
    TEXT("path"),
    MAP("partitionValues"),
    LEAF("size", PARQUET_INT64),
    LEAF("modificationTime", PARQUET_INT64),
    LEAF("dataChange", PARQUET_BOOLEAN),
    TEXT("stats"),
    MAP("tags"),
    GROUP("remove", 3),
    TEXT("path"),
    LEAF("deletionTimestamp", PARQUET_INT64),
    LEAF("dataChange", PARQUET_BOOLEAN),
    GROUP("metaData", 8),
    TEXT("id"),
    TEXT("name"),
    TEXT("description"),
    GROUP("format", 2),
    TEXT("provider"),
    MAP("options"),
    TEXT("schemaString"),
    NESTED("partitionColumns", PARQUET_LIST, PARQUET_LOGICAL_LIST),
    REPEATED("list", 1),
    TEXT("element"),
    MAP("configuration"),
    LEAF("createdTime", PARQUET_INT64),
    GROUP("protocol", 2),
    LEAF("minReaderVersion", PARQUET_INT32),
    LEAF("minWriterVersion", PARQUET_INT32),
};

// ---- the hash

typedef struct Hash { // of everything in the file, leaf by leaf
    uint64_t leaf[LEAF_COUNT];
} Hash;

static void hash_slot(Hash *hash, LeafId leaf, const ParquetSlot *slot)
{
    uint8_t number[10] = {(uint8_t)slot->rep, (uint8_t)slot->def};
    uint64_t h = hash->leaf[leaf];
    for (size_t i = 0; i < 8; i++) {
        number[2 + i] = (uint8_t)((uint64_t)slot->i64 >> (8 * i));
    }
    h = hash_xxh3_64((Bytes){.ptr = number, .len = sizeof(number)}, h);
    hash->leaf[leaf] =
        hash_xxh3_64((Bytes){.ptr = (const uint8_t *)slot->text.ptr, .len = slot->text.len}, h);
}

typedef struct HashText {
    char text[17];
} HashText;

static HashText hash_text(const Hash *hash)
{
    HashText out;
    uint64_t h = 0;
    for (size_t i = 0; i < LEAF_COUNT; i++) {
        h = hash_u64(h ^ hash->leaf[i]);
    }
    (void)snprintf(out.text, sizeof(out.text), "%016" PRIx64, h);
    return out;
}

// ---- writing

typedef struct Row { // being written
    ParquetLeafWriter *w;
    Hash hash;
    bool filled[LEAF_COUNT];
    uint64_t count;
} Row;

static void put_slot(Row *row, LeafId leaf, ParquetSlot slot)
{
    if (slot.def < leaf_table[leaf].max_def) {
        slot.text = (Str){0};
    }
    hash_slot(&row->hash, leaf, &slot);
    parquet_leaf_writer_put(row->w, leaf, slot);
    row->filled[leaf] = true;
}

static void put_text(Row *row, LeafId leaf, Str text)
{
    put_slot(row, leaf, (ParquetSlot){.def = leaf_table[leaf].max_def, .text = text});
}

static void put_number(Row *row, LeafId leaf, int64_t v)
{
    put_slot(row, leaf, (ParquetSlot){.def = leaf_table[leaf].max_def, .i64 = v});
}

// The map that is not null, in the leaf for its keys and the next one; `def` says so.
static void put_map(Row *row, LeafId leaf, uint32_t def, const DeltaKeyValue *entries, size_t count)
{
    const uint32_t value_def = leaf_table[leaf + 1].max_def;
    for (size_t i = 0; i < count; i++) {
        const uint32_t rep = i > 0 ? 1 : 0;
        put_slot(
            row, leaf,
            (ParquetSlot){.rep = rep, .def = leaf_table[leaf].max_def, .text = entries[i].key});
        put_slot(row, leaf + 1,
                 (ParquetSlot){.rep = rep,
                               .def = entries[i].is_null ? value_def - 1 : value_def,
                               .text = entries[i].value});
    }
    if (count == 0) {
        put_slot(row, leaf, (ParquetSlot){.def = def});
        put_slot(row, leaf + 1, (ParquetSlot){.def = def});
    }
}

// A null in every leaf that got nothing; in `from`..`to` it is the field that is null, at the level
// of its group, elsewhere the group.
static Status end_row(Row *row, LeafId from, LeafId to, Err *err)
{
    for (uint32_t leaf = 0; leaf < LEAF_COUNT; leaf++) {
        if (!row->filled[leaf]) {
            put_slot(row, leaf, (ParquetSlot){.def = leaf >= from && leaf <= to ? 1 : 0});
        }
        row->filled[leaf] = false;
    }
    row->count++;
    return parquet_leaf_writer_end_row(row->w, err);
}

static Status put_meta(Row *row, const DeltaMeta *meta, Err *err)
{
    put_text(row, META_ID, meta->id);
    if (meta->has_name) {
        put_text(row, META_NAME, meta->name);
    }
    if (meta->has_description) {
        put_text(row, META_DESCRIPTION, meta->description);
    }
    put_text(row, META_PROVIDER, STR("parquet"));
    put_map(row, META_OPTION_KEY, 3, meta->format_options, meta->format_option_count);
    put_text(row, META_SCHEMA, meta->schema_json);
    for (size_t i = 0; i < meta->partition_count; i++) {
        put_slot(row, META_PARTITION,
                 (ParquetSlot){.rep = i > 0 ? 1 : 0, .def = 4, .text = meta->partitions[i]});
    }
    if (meta->partition_count == 0) {
        put_slot(row, META_PARTITION, (ParquetSlot){.def = 2});
    }
    put_map(row, META_CONFIG_KEY, 2, meta->config, meta->config_count);
    if (meta->has_created) {
        put_number(row, META_CREATED, meta->created_ms);
    }
    return end_row(row, META_ID, META_CREATED, err);
}

static Status put_add(Row *row, const DeltaFile *file, Err *err)
{
    put_text(row, ADD_PATH, file->path);
    put_map(row, ADD_PARTITION_KEY, 2, file->partition, file->partition_count);
    put_number(row, ADD_SIZE, (int64_t)file->size_bytes);
    put_number(row, ADD_MODIFIED, file->modified_ms);
    put_number(row, ADD_DATA_CHANGE, 0); // a checkpoint changes nothing
    if (file->stats.len > 0) {
        put_text(row, ADD_STATS, file->stats);
    }
    if (file->tag_count > 0) {
        put_map(row, ADD_TAG_KEY, 2, file->tags, file->tag_count);
    }
    return end_row(row, ADD_PATH, ADD_TAG_VALUE, err);
}

static Status put_remove(Row *row, const DeltaEntry *entry, Err *err)
{
    put_text(row, REMOVE_PATH, entry->file.path);
    put_number(row, REMOVE_DELETED, entry->deleted_ms);
    put_number(row, REMOVE_DATA_CHANGE, entry->data_change ? 1 : 0);
    return end_row(row, REMOVE_PATH, REMOVE_DATA_CHANGE, err);
}

static Status put_txn(Row *row, const DeltaTxnAction *action, Err *err)
{
    put_text(row, TXN_APP_ID, action->txn.app_id);
    put_number(row, TXN_VERSION, action->txn.version);
    if (action->updated_ms != 0) {
        put_number(row, TXN_UPDATED, action->updated_ms);
    }
    return end_row(row, TXN_APP_ID, TXN_UPDATED, err);
}

// Paths are in the log as they are in commits: encoded.
static Str encode_path(Str path, Buf *buf)
{
    buf_clear(buf);
    delta_put_path(path, buf);
    return buf_str(buf);
}

static Status put_set(Row *row, const DeltaSet *set, int64_t now_ms, Buf *path, Err *err)
{
    put_number(row, PROTOCOL_READER, DELTA_READER_VERSION);
    put_number(row, PROTOCOL_WRITER, DELTA_WRITER_VERSION);
    TRY(end_row(row, PROTOCOL_READER, PROTOCOL_WRITER, err));
    TRY(put_meta(row, set->meta, err));
    for (size_t i = 0; i < set->txn_count; i++) {
        TRY(put_txn(row, &set->txns[i], err));
    }
    for (size_t i = 0; i < set->count; i++) {
        DeltaEntry entry = set->entries[i];
        entry.file.path = encode_path(entry.file.path, path);
        if (entry.kind == DELTA_LIVE) {
            TRY(put_add(row, &entry.file, err));
        } else if (entry.kind == DELTA_TOMBSTONE &&
                   entry.deleted_ms > now_ms - TOMBSTONES_KEPT_MS) {
            TRY(put_remove(row, &entry, err));
        }
    }
    return OK;
}

static Status write_file(const DeltaCheckpoint *at, const DeltaSet *set, OsFile *file,
                         uint64_t *rows, uint64_t *size_bytes, Err *err)
{
    Status st = OK;
    Buf path = {0};
    Row row = {.w = parquet_leaf_writer_new(file, checkpoint_schema, ARRAY_LEN(checkpoint_schema))};

    TRY_OUT(put_set(&row, set, os_wall_us(at->os) / 1000, &path, err));
    const HashText hash = hash_text(&row.hash);
    parquet_leaf_writer_key_value(row.w, HASH_KEY, (Str){.ptr = hash.text, .len = 16});
    TRY_OUT(parquet_leaf_writer_finish(row.w, size_bytes, err));
    *rows = row.count;
out:
    parquet_leaf_writer_free(row.w);
    buf_deinit(&path);
    return st;
}

// ---- reading

typedef struct Cells { // one row, as far as it is ours
    const ParquetSlot *slots[LEAF_COUNT];
    size_t counts[LEAF_COUNT];
} Cells;

typedef struct Load {
    ParquetReader *reader;
    ParquetLeafPlace places[LEAF_COUNT];
    ParquetLeafCursor *cursors[LEAF_COUNT]; // NULL: the file has no such leaf
    Cells cells;
    Hash hash;
    DeltaActions *actions;
    Arena *arena; // of its chunk
} Load;

static const ParquetSlot *cell(const Load *l, LeafId leaf)
{
    const bool found = l->cells.counts[leaf] == 1 && l->cells.slots[leaf][0].has_value;
    return found ? &l->cells.slots[leaf][0] : NULL;
}

static Status cell_text(const Load *l, Arena *arena, LeafId leaf, Str *out, Err *err)
{
    const ParquetSlot *slot = cell(l, leaf);
    if (slot == NULL) {
        return err_set(err, ERR_CORRUPT, "no '" STR_FMT "." STR_FMT "'",
                       STR_ARG(leaf_table[leaf].path[0]), STR_ARG(leaf_table[leaf].path[1]));
    }
    *out = arena_str(arena, slot->text);
    return OK;
}

static Status cell_number(const Load *l, LeafId leaf, int64_t *out, Err *err)
{
    const ParquetSlot *slot = cell(l, leaf);
    if (slot == NULL) {
        return err_set(err, ERR_CORRUPT, "no '" STR_FMT "." STR_FMT "'",
                       STR_ARG(leaf_table[leaf].path[0]), STR_ARG(leaf_table[leaf].path[1]));
    }
    *out = slot->i64;
    return OK;
}

static Status cell_path(const Load *l, LeafId leaf, Str *out, Err *err)
{
    Str encoded = {0};
    TRY(cell_text(l, l->arena, leaf, &encoded, err));
    return delta_check_path(encoded, l->arena, out, err);
}

static bool cell_optional_text(const Load *l, Arena *arena, LeafId leaf, Str *out)
{
    const ParquetSlot *slot = cell(l, leaf);
    if (slot != NULL) {
        *out = arena_str(arena, slot->text);
    }
    return slot != NULL;
}

static Status cell_map(const Load *l, Arena *arena, LeafId leaf, const DeltaKeyValue **out,
                       size_t *count, Err *err)
{
    const size_t slots = l->cells.counts[leaf];
    const ParquetSlot *keys = l->cells.slots[leaf];
    const ParquetSlot *values = l->cells.slots[leaf + 1];
    *out = NULL;
    *count = 0;
    if (slots != l->cells.counts[leaf + 1]) {
        return err_set(err, ERR_CORRUPT, "a map of %zu keys and %zu values", slots,
                       l->cells.counts[leaf + 1]);
    }
    DeltaKeyValue *entries = arena_new(arena, DeltaKeyValue, slots);
    for (size_t i = 0; i < slots; i++) {
        if (keys[i].def <= l->places[leaf].def) {
            continue; // null, or empty
        }
        if (!keys[i].has_value) {
            return err_set(err, ERR_CORRUPT, "a map with a key that is null");
        }
        entries[(*count)++] = (DeltaKeyValue){.key = arena_str(arena, keys[i].text),
                                              .value = arena_str(arena, values[i].text),
                                              .is_null = !values[i].has_value};
    }
    *out = entries;
    return OK;
}

static Status load_add(Load *l, Err *err)
{
    DeltaFile file = {0};
    int64_t size = 0;
    TRY(cell_path(l, ADD_PATH, &file.path, err));
    TRY(cell_map(l, l->arena, ADD_PARTITION_KEY, &file.partition, &file.partition_count, err));
    TRY(cell_number(l, ADD_SIZE, &size, err));
    if (size < 0) {
        return err_set(err, ERR_CORRUPT, "'add.size' is negative");
    }
    file.size_bytes = (uint64_t)size;
    TRY(cell_number(l, ADD_MODIFIED, &file.modified_ms, err));
    (void)cell_optional_text(l, l->arena, ADD_STATS, &file.stats);
    TRY(cell_map(l, l->arena, ADD_TAG_KEY, &file.tags, &file.tag_count, err));
    file.row_count = delta_stats_row_count(file.stats);
    return delta_actions_add(l->actions, file, err);
}

static Status load_remove(Load *l, Err *err)
{
    const ParquetSlot *deleted = cell(l, REMOVE_DELETED);
    const ParquetSlot *change = cell(l, REMOVE_DATA_CHANGE);
    DeltaRemove remove = {.deleted_ms = deleted == NULL ? 0 : deleted->i64,
                          .data_change = change == NULL || change->i64 != 0};
    TRY(cell_path(l, REMOVE_PATH, &remove.path, err));
    delta_actions_remove(l->actions, remove);
    return OK;
}

static Status load_txn(Load *l, Err *err)
{
    const ParquetSlot *updated = cell(l, TXN_UPDATED);
    DeltaTxnAction action = {.updated_ms = updated == NULL ? 0 : updated->i64};
    TRY(cell_text(l, l->arena, TXN_APP_ID, &action.txn.app_id, err));
    TRY(cell_number(l, TXN_VERSION, &action.txn.version, err));
    delta_actions_txn(l->actions, action);
    return OK;
}

static Status load_partitions(const Load *l, DeltaMeta *meta, Err *err)
{
    const size_t slots = l->cells.counts[META_PARTITION];
    Str *names = arena_new(&meta->arena, Str, slots);
    meta->partitions = names;
    for (size_t i = 0; i < slots; i++) {
        const ParquetSlot *slot = &l->cells.slots[META_PARTITION][i];
        if (slot->def <= l->places[META_PARTITION].def) {
            continue;
        }
        if (!slot->has_value) {
            return err_set(err, ERR_CORRUPT, "a partition column that is null");
        }
        names[meta->partition_count++] = arena_str(&meta->arena, slot->text);
    }
    return OK;
}

static Status fill_meta(const Load *l, DeltaMeta *meta, Err *err)
{
    Arena *arena = &meta->arena;
    const ParquetSlot *created = cell(l, META_CREATED);
    Str provider = {0};
    TRY(cell_text(l, arena, META_ID, &meta->id, err));
    meta->has_name = cell_optional_text(l, arena, META_NAME, &meta->name);
    meta->has_description = cell_optional_text(l, arena, META_DESCRIPTION, &meta->description);
    if (cell_optional_text(l, arena, META_PROVIDER, &provider) &&
        !str_eq(provider, STR("parquet"))) {
        return err_set(err, ERR_UNSUPPORTED, "files of format '" STR_FMT "'", STR_ARG(provider));
    }
    TRY(cell_map(l, arena, META_OPTION_KEY, &meta->format_options, &meta->format_option_count,
                 err));
    TRY(cell_map(l, arena, META_CONFIG_KEY, &meta->config, &meta->config_count, err));
    TRY(cell_text(l, arena, META_SCHEMA, &meta->schema_json, err));
    TRY(load_partitions(l, meta, err));
    meta->has_created = created != NULL;
    meta->created_ms = created == NULL ? 0 : created->i64;
    return delta_meta_finish(meta, err);
}

static Status load_meta(Load *l, Err *err)
{
    DeltaMeta *meta = delta_meta_new();
    const Status st = fill_meta(l, meta, err);
    if (st != OK) {
        delta_meta_unref(meta);
        return st;
    }
    delta_meta_unref(l->actions->meta);
    l->actions->meta = meta;
    return OK;
}

static Status load_protocol(Load *l, Err *err)
{
    int64_t reader = 0;
    int64_t writer = 0;
    TRY(cell_number(l, PROTOCOL_READER, &reader, err));
    TRY(cell_number(l, PROTOCOL_WRITER, &writer, err));
    TRY(delta_check_protocol(reader, writer, (Str){0}, err));
    l->actions->has_protocol = true;
    return OK;
}

static const struct {
    LeafId leaf; // not null: the row is such an action
    Status (*load)(Load *l, Err *err);
} loaders[] = {
    {ADD_PATH, load_add}, {REMOVE_PATH, load_remove},       {TXN_APP_ID, load_txn},
    {META_ID, load_meta}, {PROTOCOL_READER, load_protocol},
};

static Status open_cursors(Load *l, Err *err)
{
    for (size_t i = 0; i < LEAF_COUNT; i++) {
        if (!parquet_leaf_find(l->reader, leaf_table[i].path, leaf_table[i].path_count,
                               leaf_table[i].nth, &l->places[i])) {
            continue;
        }
        const bool is_text = l->places[i].element->type == PARQUET_BYTE_ARRAY;
        if (is_text != leaf_table[i].is_text) {
            return err_set(err, ERR_CORRUPT, "'" STR_FMT "." STR_FMT "' is of another type",
                           STR_ARG(leaf_table[i].path[0]), STR_ARG(leaf_table[i].path[1]));
        }
        TRY(parquet_leaf_cursor_open(l->reader, &l->places[i], &l->cursors[i], err));
    }
    return OK;
}

static Status next_cells(Load *l, Err *err)
{
    for (size_t i = 0; i < LEAF_COUNT; i++) {
        if (l->cursors[i] == NULL) {
            continue;
        }
        TRY(parquet_leaf_cursor_row(l->cursors[i], &l->cells.slots[i], &l->cells.counts[i], err));
        for (size_t k = 0; k < l->cells.counts[i]; k++) {
            hash_slot(&l->hash, (LeafId)i, &l->cells.slots[i][k]);
        }
    }
    return OK;
}

static Status load_row(Load *l, Err *err)
{
    TRY(next_cells(l, err));
    for (size_t i = 0; i < ARRAY_LEN(loaders); i++) {
        if (cell(l, loaders[i].leaf) != NULL) {
            TRY(loaders[i].load(l, err));
        }
    }
    return OK;
}

static Status load_rows(Load *l, Err *err)
{
    const int64_t rows = parquet_reader_meta(l->reader)->row_count;
    for (int64_t row = 0; row < rows; row++) {
        if (load_row(l, err) != OK) {
            return err_prefix(err, "row %" PRId64 ": ", row);
        }
    }
    const Str want = parquet_reader_key_value(l->reader, HASH_KEY);
    const HashText hash = hash_text(&l->hash);
    if (want.len > 0 && !str_eq(want, (Str){.ptr = hash.text, .len = 16})) {
        return err_set(err, ERR_CORRUPT, "the file is not as it was written");
    }
    return OK;
}

static Status read_file(const DeltaCheckpoint *at, Str path, DeltaActions *actions, Err *err)
{
    Status st = OK;
    OsFile *file = NULL;
    ParquetSource source;
    Load load = {.actions = actions, .arena = &actions->chunk->arena};

    TRY_OUT(os_file_open(at->os, path, OS_OPEN_READ, &file, err));
    TRY_OUT(parquet_source_file(file, &source, err));
    TRY_OUT(parquet_reader_open(source, &load.reader, err));
    TRY_OUT(open_cursors(&load, err));
    TRY_OUT(load_rows(&load, err));
    if (actions->meta == NULL || !actions->has_protocol) {
        st = err_set(err, ERR_CORRUPT, "no metaData or protocol");
    }
out:
    for (size_t i = 0; i < LEAF_COUNT; i++) {
        parquet_leaf_cursor_close(load.cursors[i]);
    }
    parquet_reader_free(load.reader);
    os_file_close(file);
    return st;
}

Status delta_checkpoint_read(const DeltaCheckpoint *at, DeltaActions *actions, Err *err)
{
    Arena arena;
    arena_init(&arena, 0);
    const Status st =
        read_file(at, delta_checkpoint_path(&arena, at->dir, at->version), actions, err);
    arena_deinit(&arena);
    return st == OK ? OK : err_prefix(err, "checkpoint %" PRIu64 ": ", at->version);
}

// ---- all of it

// What was written says what it should.
static Status verify(const DeltaCheckpoint *at, Str path, const DeltaSet *set, Err *err)
{
    DeltaActions actions;
    DeltaSet again;
    delta_actions_init(&actions);
    delta_set_init(&again);
    Status st = read_file(at, path, &actions, err);
    if (st == OK) {
        delta_set_apply(&again, &actions);
        bool same = again.live == set->live && again.txn_count == set->txn_count &&
                    str_eq(again.meta->schema_json, set->meta->schema_json);
        for (size_t i = 0; i < set->count && same; i++) {
            const DeltaEntry *entry = &set->entries[i];
            const DeltaEntry *other =
                entry->kind == DELTA_LIVE ? delta_set_find(&again, entry->file.path) : entry;
            same = other != NULL && other->kind == entry->kind &&
                   other->file.size_bytes == entry->file.size_bytes &&
                   str_eq(other->file.stats, entry->file.stats);
        }
        st = same ? OK : err_set(err, ERR_INTERNAL, "the checkpoint does not read back");
    }
    delta_set_deinit(&again);
    delta_actions_deinit(&actions);
    return st;
}

static Status create(Os *os, Str path, OsFile **file, Err *err)
{
    return os_file_open(os, path, OS_OPEN_CREATE_NEW, file, err);
}

// Puts `text` at `path`, over what is there.
static Status replace_file(Os *os, Str temp, Str path, Str text, Err *err)
{
    OsFile *file = NULL;
    TRY(create(os, temp, &file, err));
    Status st =
        os_file_write_at(file, 0, (Bytes){.ptr = (const uint8_t *)text.ptr, .len = text.len}, err);
    if (st == OK) {
        st = os_file_sync(file, err);
    }
    os_file_close(file);
    return st == OK ? os_rename(os, temp, path, err) : st;
}

static Str temp_path(const DeltaCheckpoint *at, Arena *arena)
{
    const DeltaUuid id = delta_uuid(at->os);
    return delta_temp_path(arena, at->dir, (Str){.ptr = id.text, .len = sizeof(id.text)});
}

static Status write_temp(const DeltaCheckpoint *at, const DeltaSet *set, Str temp, Buf *hint,
                         Err *err)
{
    OsFile *file = NULL;
    uint64_t rows = 0;
    uint64_t size_bytes = 0;
    TRY(create(at->os, temp, &file, err));
    const Status st = write_file(at, set, file, &rows, &size_bytes, err);
    os_file_close(file);
    if (st != OK) {
        return st;
    }
    buf_putf(hint,
             "{\"version\":%" PRIu64 ",\"size\":%" PRIu64 ",\"sizeInBytes\":%" PRIu64
             ",\"numOfAddFiles\":%zu}",
             at->version, rows, size_bytes, set->live);
    return verify(at, temp, set, err);
}

Status delta_checkpoint_write(const DeltaCheckpoint *at, const DeltaSet *set, Err *err)
{
    Status st = OK;
    Err ignored; // what is left over is removed by the next start
    Arena arena;
    Buf hint = {0};

    arena_init(&arena, 0);
    const Str temp = temp_path(at, &arena);
    const Str hint_temp = temp_path(at, &arena);
    TRY_OUT(write_temp(at, set, temp, &hint, err));
    TRY_OUT(os_rename(at->os, temp, delta_checkpoint_path(&arena, at->dir, at->version), err));
    TRY_OUT(os_dir_sync(at->os, delta_path(&arena, at->dir, STR("")), err));
    // Only now: a hint at a checkpoint that is not there makes the table unreadable for some.
    TRY_OUT(replace_file(at->os, hint_temp, delta_path(&arena, at->dir, STR("_last_checkpoint")),
                         buf_str(&hint), err));
    TRY_OUT(os_dir_sync(at->os, delta_path(&arena, at->dir, STR("")), err));
out:
    if (st != OK) {
        (void)os_unlink(at->os, temp, &ignored);
        (void)os_unlink(at->os, hint_temp, &ignored);
    }
    buf_deinit(&hint);
    arena_deinit(&arena);
    return st == OK ? OK : err_prefix(err, "checkpoint %" PRIu64 ": ", at->version);
}
