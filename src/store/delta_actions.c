// SPDX-License-Identifier: Apache-2.0
//
// Parsing commits. One JSON object per line, each with one action in it; actions and fields that
// are not known are ignored, as the protocol demands ("Actions"), and what is known is checked.
#include "store/delta_internal.h"

#include "base/mem.h"
#include "base/num.h"

// ---- memory

DeltaChunk *delta_chunk_new(void)
{
    DeltaChunk *chunk = mem_new(DeltaChunk, 1);
    // Relaxed: nobody else knows it yet.
    atomic_store_explicit(&chunk->refs, 1, memory_order_relaxed);
    arena_init(&chunk->arena, 0);
    chunk->mark = UINT64_MAX;
    return chunk;
}

void delta_chunk_ref(DeltaChunk *chunk)
{
    // Relaxed: whoever adds one holds one.
    atomic_fetch_add_explicit(&chunk->refs, 1, memory_order_relaxed);
}

void delta_chunk_unref(DeltaChunk *chunk)
{
    // Release: our reads are done. Acquire, for the last one: so are everybody else's.
    if (chunk != NULL && atomic_fetch_sub_explicit(&chunk->refs, 1, memory_order_acq_rel) == 1) {
        arena_deinit(&chunk->arena);
        mem_free(chunk);
    }
}

DeltaMeta *delta_meta_new(void)
{
    DeltaMeta *meta = mem_new(DeltaMeta, 1);
    atomic_store_explicit(&meta->refs, 1, memory_order_relaxed); // as in delta_chunk_new()
    arena_init(&meta->arena, 0);
    return meta;
}

void delta_meta_ref(DeltaMeta *meta)
{
    atomic_fetch_add_explicit(&meta->refs, 1, memory_order_relaxed); // as in delta_chunk_ref()
}

void delta_meta_unref(DeltaMeta *meta)
{
    // As in delta_chunk_unref().
    if (meta != NULL && atomic_fetch_sub_explicit(&meta->refs, 1, memory_order_acq_rel) == 1) {
        arena_deinit(&meta->arena);
        mem_free(meta);
    }
}

Str delta_meta_config(const DeltaMeta *meta, Str key)
{
    for (size_t i = 0; i < meta->config_count; i++) {
        if (str_eq(meta->config[i].key, key)) {
            return meta->config[i].value;
        }
    }
    return (Str){0};
}

Status delta_meta_finish(DeltaMeta *meta, Err *err)
{
    TRY(delta_parse_schema(meta->schema_json, &meta->arena, &meta->schema, &meta->has_invariants,
                           err));
    if (meta->partition_count > DELTA_PARTITIONS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "%zu partition columns, at most %d are supported",
                       meta->partition_count, DELTA_PARTITIONS_MAX);
    }
    for (size_t i = 0; i < meta->partition_count; i++) {
        if (schema_find(&meta->schema, meta->partitions[i]) == SIZE_MAX) {
            return err_set(err, ERR_CORRUPT, "the schema has no partition column '" STR_FMT "'",
                           STR_ARG(meta->partitions[i]));
        }
    }
    const Str mapping = delta_meta_config(meta, STR("delta.columnMapping.mode"));
    if (mapping.len != 0 && !str_eq(mapping, STR("none"))) {
        return err_set(err, ERR_UNSUPPORTED, "column mapping by " STR_FMT, STR_ARG(mapping));
    }
    return OK;
}

void delta_actions_init(DeltaActions *actions)
{
    *actions = (DeltaActions){.chunk = delta_chunk_new()};
}

void delta_actions_deinit(DeltaActions *actions)
{
    mem_free(actions->adds);
    mem_free(actions->removes);
    mem_free(actions->txns);
    delta_meta_unref(actions->meta);
    delta_chunk_unref(actions->chunk);
    *actions = (DeltaActions){0};
}

Status delta_actions_add(DeltaActions *a, DeltaFile file, Err *err)
{
    if (a->add_count >= DELTA_FILES_MAX) {
        return err_set(err, ERR_TOO_LARGE, "more than %d files", DELTA_FILES_MAX);
    }
    a->adds = mem_grow(a->adds, &a->add_cap, a->add_count + 1, sizeof(*a->adds));
    a->adds[a->add_count++] = file;
    return OK;
}

void delta_actions_remove(DeltaActions *a, DeltaRemove remove)
{
    a->removes = mem_grow(a->removes, &a->remove_cap, a->remove_count + 1, sizeof(*a->removes));
    a->removes[a->remove_count++] = remove;
}

void delta_actions_txn(DeltaActions *a, DeltaTxnAction txn)
{
    a->txns = mem_grow(a->txns, &a->txn_cap, a->txn_count + 1, sizeof(*a->txns));
    a->txns[a->txn_count++] = txn;
}

// ---- checks

Status delta_check_protocol(int64_t reader, int64_t writer, Str features, Err *err)
{
    if (reader < 1 || writer < 1) {
        return err_set(err, ERR_CORRUPT, "protocol versions %" PRId64 " and %" PRId64, reader,
                       writer);
    }
    if (reader > DELTA_READER_VERSION || writer > DELTA_WRITER_VERSION) {
        return err_set(err, ERR_UNSUPPORTED,
                       "the table needs reader version %" PRId64 " and writer version %" PRId64
                       "%s" STR_FMT ", this program has %d and %d",
                       reader, writer, features.len > 0 ? " with " : "", STR_ARG(features),
                       DELTA_READER_VERSION, DELTA_WRITER_VERSION);
    }
    return OK;
}

// Passes over a string at text[i], which is its opening quote; returns the place behind it.
static size_t skip_string(Str text, size_t i)
{
    for (i++; i < text.len && text.ptr[i] != '"'; i++) {
        i += text.ptr[i] == '\\' ? 1 : 0;
    }
    return i < text.len ? i + 1 : text.len;
}

static size_t skip_blanks(Str text, size_t i)
{
    while (i < text.len && (text.ptr[i] == ' ' || text.ptr[i] == '\t' || text.ptr[i] == '\n' ||
                            text.ptr[i] == '\r')) {
        i++;
    }
    return i;
}

int64_t delta_stats_row_count(Str stats)
{
    // A tree of all statistics for one number would be most of the time of opening a table.
    static const Str key = STR("\"numRecords\"");
    size_t depth = 0;
    for (size_t i = 0; i < stats.len;) {
        const char c = stats.ptr[i];
        if (c != '"') {
            depth += c == '{' || c == '[' ? 1 : 0;
            depth -= (c == '}' || c == ']') && depth > 0 ? 1 : 0;
            i++;
            continue;
        }
        const size_t end = skip_string(stats, i);
        size_t at = skip_blanks(stats, end);
        if (depth == 1 && str_eq(str_slice(stats, i, end), key) && at < stats.len &&
            stats.ptr[at] == ':') {
            at = skip_blanks(stats, at + 1);
            size_t to = at;
            while (to < stats.len && stats.ptr[to] >= '0' && stats.ptr[to] <= '9') {
                to++;
            }
            int64_t count = -1;
            return num_parse_i64(str_slice(stats, at, to), &count) ? count : -1;
        }
        i = end;
    }
    return -1;
}

// ---- JSON

typedef struct Parse {
    DeltaActions *actions;
    Arena *arena; // of the chunk
    Err *err;
} Parse;

// A text that must be there, in the arena.
static Status get_str(Arena *arena, const json_t *object, const char *key, Str *out, Err *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value)) {
        return err_set(err, ERR_CORRUPT, "'%s' is not a text", key);
    }
    *out =
        arena_str(arena, (Str){.ptr = json_string_value(value), .len = json_string_length(value)});
    return OK;
}

// The same, but it may be absent or null.
static Status get_optional_str(Arena *arena, const json_t *object, const char *key, Str *out,
                               bool *found, Err *err)
{
    const json_t *value = json_object_get(object, key);
    *found = value != NULL && !json_is_null(value);
    return *found ? get_str(arena, object, key, out, err) : OK;
}

static Status get_i64(const json_t *object, const char *key, int64_t *out, Err *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value)) {
        return err_set(err, ERR_CORRUPT, "'%s' is not a whole number", key);
    }
    *out = json_integer_value(value);
    return OK;
}

static Status get_optional_i64(const json_t *object, const char *key, int64_t *out, bool *found,
                               Err *err)
{
    const json_t *value = json_object_get(object, key);
    *found = value != NULL && !json_is_null(value);
    return *found ? get_i64(object, key, out, err) : OK;
}

// An object of texts, in the arena; absent and null are empty.
static Status get_map(Arena *arena, const json_t *object, const char *key,
                      const DeltaKeyValue **out, size_t *count, Err *err)
{
    json_t *map = json_object_get(object, key);
    *out = NULL;
    *count = 0;
    if (map == NULL || json_is_null(map)) {
        return OK;
    }
    if (!json_is_object(map)) {
        return err_set(err, ERR_CORRUPT, "'%s' is not an object", key);
    }
    DeltaKeyValue *entries = arena_new(arena, DeltaKeyValue, json_object_size(map));
    for (void *iter = json_object_iter(map); iter != NULL;
         iter = json_object_iter_next(map, iter)) {
        const json_t *value = json_object_iter_value(iter);
        const char *name = json_object_iter_key(iter);
        DeltaKeyValue *entry = &entries[(*count)++];
        if (!json_is_string(value) && !json_is_null(value)) {
            return err_set(err, ERR_CORRUPT, "'%s.%s' is not a text", key, name);
        }
        entry->key = arena_str(arena, (Str){.ptr = name, .len = strlen(name)});
        entry->is_null = json_is_null(value);
        if (!entry->is_null) {
            entry->value = arena_str(
                arena, (Str){.ptr = json_string_value(value), .len = json_string_length(value)});
        }
    }
    *out = entries;
    return OK;
}

static Status get_path(Parse *p, const json_t *object, Str *out)
{
    const json_t *value = json_object_get(object, "path");
    if (!json_is_string(value)) {
        return err_set(p->err, ERR_CORRUPT, "'path' is not a text");
    }
    return delta_check_path(
        (Str){.ptr = json_string_value(value), .len = json_string_length(value)}, p->arena, out,
        p->err);
}

static bool has_value(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return value != NULL && !json_is_null(value);
}

static Status parse_add(Parse *p, const json_t *add)
{
    DeltaFile file = {0};
    int64_t size = 0;
    bool found = false;
    TRY(get_path(p, add, &file.path));
    TRY(get_map(p->arena, add, "partitionValues", &file.partition, &file.partition_count, p->err));
    TRY(get_i64(add, "size", &size, p->err));
    if (size < 0) {
        return err_set(p->err, ERR_CORRUPT, "'size' is negative");
    }
    file.size_bytes = (uint64_t)size;
    TRY(get_i64(add, "modificationTime", &file.modified_ms, p->err));
    TRY(get_optional_str(p->arena, add, "stats", &file.stats, &found, p->err));
    TRY(get_map(p->arena, add, "tags", &file.tags, &file.tag_count, p->err));
    if (has_value(add, "deletionVector")) {
        return err_set(p->err, ERR_UNSUPPORTED, "deletion vectors");
    }
    file.row_count = delta_stats_row_count(file.stats);
    return delta_actions_add(p->actions, file, p->err);
}

static Status parse_remove(Parse *p, const json_t *json)
{
    DeltaRemove remove = {.data_change = !json_is_false(json_object_get(json, "dataChange"))};
    bool found = false;
    TRY(get_path(p, json, &remove.path));
    TRY(get_optional_i64(json, "deletionTimestamp", &remove.deleted_ms, &found, p->err));
    if (has_value(json, "deletionVector")) {
        return err_set(p->err, ERR_UNSUPPORTED, "deletion vectors");
    }
    delta_actions_remove(p->actions, remove);
    return OK;
}

static Status parse_txn(Parse *p, const json_t *json)
{
    DeltaTxnAction action = {0};
    bool found = false;
    TRY(get_str(p->arena, json, "appId", &action.txn.app_id, p->err));
    TRY(get_i64(json, "version", &action.txn.version, p->err));
    TRY(get_optional_i64(json, "lastUpdated", &action.updated_ms, &found, p->err));
    delta_actions_txn(p->actions, action);
    return OK;
}

static void put_features(const json_t *list, Buf *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *name = json_array_get(list, i);
        if (json_is_string(name)) {
            buf_putf(out, "%s%s", out->len > 0 ? ", " : "", json_string_value(name));
        }
    }
}

static Status parse_protocol(Parse *p, const json_t *json)
{
    int64_t reader = 0;
    int64_t writer = 0;
    Buf features;
    TRY(get_i64(json, "minReaderVersion", &reader, p->err));
    TRY(get_i64(json, "minWriterVersion", &writer, p->err));
    buf_init(&features, 0);
    put_features(json_object_get(json, "readerFeatures"), &features);
    put_features(json_object_get(json, "writerFeatures"), &features);
    const Status st = delta_check_protocol(reader, writer, buf_str(&features), p->err);
    buf_deinit(&features);
    p->actions->has_protocol = st == OK;
    return st;
}

static Status get_partitions(DeltaMeta *meta, const json_t *json, Err *err)
{
    const json_t *list = json_object_get(json, "partitionColumns");
    const size_t count = json_array_size(list);
    if (list != NULL && !json_is_null(list) && !json_is_array(list)) {
        return err_set(err, ERR_CORRUPT, "'partitionColumns' is not an array");
    }
    Str *names = arena_new(&meta->arena, Str, count);
    meta->partitions = names;
    for (size_t i = 0; i < count; i++) {
        const json_t *name = json_array_get(list, i);
        if (!json_is_string(name)) {
            return err_set(err, ERR_CORRUPT, "'partitionColumns' holds something but texts");
        }
        names[i] = arena_str(
            &meta->arena, (Str){.ptr = json_string_value(name), .len = json_string_length(name)});
    }
    meta->partition_count = count;
    return OK;
}

static Status fill_meta(DeltaMeta *meta, const json_t *json, Err *err)
{
    const json_t *format = json_object_get(json, "format");
    Str provider = {0};
    bool found = false;
    TRY(get_str(&meta->arena, json, "id", &meta->id, err));
    TRY(get_optional_str(&meta->arena, json, "name", &meta->name, &meta->has_name, err));
    TRY(get_optional_str(&meta->arena, json, "description", &meta->description,
                         &meta->has_description, err));
    TRY(get_optional_i64(json, "createdTime", &meta->created_ms, &meta->has_created, err));
    TRY(get_optional_str(&meta->arena, format, "provider", &provider, &found, err));
    if (found && !str_eq(provider, STR("parquet"))) {
        return err_set(err, ERR_UNSUPPORTED, "files of format '" STR_FMT "'", STR_ARG(provider));
    }
    TRY(get_map(&meta->arena, format, "options", &meta->format_options, &meta->format_option_count,
                err));
    TRY(get_map(&meta->arena, json, "configuration", &meta->config, &meta->config_count, err));
    TRY(get_str(&meta->arena, json, "schemaString", &meta->schema_json, err));
    TRY(get_partitions(meta, json, err));
    return delta_meta_finish(meta, err);
}

static Status parse_meta(Parse *p, const json_t *json)
{
    DeltaMeta *meta = delta_meta_new();
    const Status st = fill_meta(meta, json, p->err);
    if (st != OK) {
        delta_meta_unref(meta);
        return st;
    }
    delta_meta_unref(p->actions->meta);
    p->actions->meta = meta;
    return OK;
}

static Status parse_commit_info(Parse *p, const json_t *json)
{
    const json_t *id = json_object_get(json, "txnId");
    if (json_is_string(id)) { // what else is in it is anybody's
        p->actions->commit_id =
            arena_str(p->arena, (Str){.ptr = json_string_value(id), .len = json_string_length(id)});
    }
    return OK;
}

static const struct {
    const char *name;
    Status (*parse)(Parse *p, const json_t *json);
} parsers[] = {
    {"add", parse_add},           {"remove", parse_remove}, {"txn", parse_txn},
    {"protocol", parse_protocol}, {"metaData", parse_meta}, {"commitInfo", parse_commit_info},
};

static Status parse_line(Parse *p, Str line)
{
    json_error_t error;
    json_t *root = json_loadb(line.ptr, line.len, 0, &error);
    Status st = OK;
    if (!json_is_object(root)) {
        json_decref(root);
        return err_set(p->err, ERR_CORRUPT, "not a JSON object: %s",
                       root == NULL ? error.text : "another value");
    }
    for (size_t i = 0; i < ARRAY_LEN(parsers) && st == OK; i++) {
        const json_t *action = json_object_get(root, parsers[i].name);
        if (action == NULL || json_is_null(action)) {
            continue;
        }
        st = json_is_object(action) ? parsers[i].parse(p, action)
                                    : err_set(p->err, ERR_CORRUPT, "not an object");
        if (st != OK) {
            st = err_prefix(p->err, "%s: ", parsers[i].name);
        }
    }
    json_decref(root);
    return st;
}

Status delta_actions_parse(Str text, DeltaActions *actions, Err *err)
{
    Parse parse = {.actions = actions, .arena = &actions->chunk->arena, .err = err};
    size_t number = 1;
    for (size_t at = 0; at < text.len; number++) {
        const char *end = memchr(text.ptr + at, '\n', text.len - at);
        const size_t to = end == NULL ? text.len : (size_t)(end - text.ptr);
        const Str line = str_slice(text, at, to);
        at = to + 1;
        if (skip_blanks(line, 0) == line.len) {
            continue;
        }
        if (parse_line(&parse, line) != OK) {
            return err_prefix(err, "line %zu: ", number);
        }
    }
    return OK;
}
