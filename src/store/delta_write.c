// SPDX-License-Identifier: Apache-2.0
//
// Writing commits. What goes out is checked as strictly as what comes in: one bad commit and no
// reader, ours included, opens the table again. The order of actions and fields is fixed, so that
// the same commit has the same bytes.
#include "store/delta_internal.h"

#include "base/strmap.h"
#include "base/utf8.h"

static void put_key(const char *key, Buf *out)
{
    buf_putf(out, ",\"%s\":", key);
}

static void put_map(const DeltaKeyValue *entries, size_t count, Buf *out)
{
    buf_put_u8(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            buf_put_u8(out, ',');
        }
        delta_put_json_string(entries[i].key, out);
        buf_put_u8(out, ':');
        if (entries[i].is_null) {
            buf_put_str(out, STR("null"));
        } else {
            delta_put_json_string(entries[i].value, out);
        }
    }
    buf_put_u8(out, '}');
}

static void put_names(const Str *names, size_t count, Buf *out)
{
    buf_put_u8(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            buf_put_u8(out, ',');
        }
        delta_put_json_string(names[i], out);
    }
    buf_put_u8(out, ']');
}

// An array of names as a text, as Spark writes it into operationParameters.
static void put_quoted_names(const Str *names, size_t count, Buf *out)
{
    Buf list;
    buf_init(&list, 0);
    put_names(names, count, &list);
    delta_put_json_string(buf_str(&list), out);
    buf_deinit(&list);
}

static void put_path(Str path, Buf *out)
{
    buf_put_u8(out, '"');
    delta_put_path(path, out);
    buf_put_u8(out, '"');
}

static void put_commit_info(const DeltaWrite *w, const char *operation, bool is_append,
                            const Str *partitions, size_t partition_count, Buf *out)
{
    buf_putf(out, "{\"commitInfo\":{\"timestamp\":%" PRId64 ",\"operation\":", w->now_ms);
    delta_put_json_string((Str){.ptr = operation, .len = strlen(operation)}, out);
    buf_put_str(out, STR(",\"operationParameters\":{"));
    if (is_append) {
        buf_put_str(out, STR("\"mode\":\"Append\","));
    }
    buf_put_str(out, STR("\"partitionBy\":"));
    put_quoted_names(partitions, partition_count, out);
    buf_putf(out, "},\"isBlindAppend\":%s,\"engineInfo\":\"cardinal\",\"txnId\":",
             is_append ? "true" : "false");
    delta_put_json_string(w->commit_id, out);
    buf_put_str(out, STR("}}\n"));
}

static void put_meta(const DeltaMeta *meta, Buf *out)
{
    buf_put_str(out, STR("{\"metaData\":{\"id\":"));
    delta_put_json_string(meta->id, out);
    if (meta->has_name) {
        put_key("name", out);
        delta_put_json_string(meta->name, out);
    }
    if (meta->has_description) {
        put_key("description", out);
        delta_put_json_string(meta->description, out);
    }
    buf_put_str(out, STR(",\"format\":{\"provider\":\"parquet\",\"options\":"));
    put_map(meta->format_options, meta->format_option_count, out);
    buf_put_str(out, STR("},\"schemaString\":"));
    delta_put_json_string(meta->schema_json, out);
    put_key("partitionColumns", out);
    put_names(meta->partitions, meta->partition_count, out);
    put_key("configuration", out); // never left out: some readers refuse the table without it
    put_map(meta->config, meta->config_count, out);
    if (meta->has_created) {
        buf_putf(out, ",\"createdTime\":%" PRId64, meta->created_ms);
    }
    buf_put_str(out, STR("}}\n"));
}

static void put_add(const DeltaFile *file, bool data_change, Buf *out)
{
    buf_put_str(out, STR("{\"add\":{\"path\":"));
    put_path(file->path, out);
    put_key("partitionValues", out);
    put_map(file->partition, file->partition_count, out);
    buf_putf(out, ",\"size\":%" PRIu64 ",\"modificationTime\":%" PRId64 ",\"dataChange\":%s",
             file->size_bytes, file->modified_ms, data_change ? "true" : "false");
    if (file->stats.len > 0) {
        put_key("stats", out);
        delta_put_json_string(file->stats, out);
    }
    if (file->tag_count > 0) {
        put_key("tags", out);
        put_map(file->tags, file->tag_count, out);
    }
    buf_put_str(out, STR("}}\n"));
}

// The extended form, with what the file was, so that nobody needs the commit that added it.
static void put_remove(const DeltaWrite *w, Str path, Buf *out)
{
    const DeltaEntry *entry = delta_set_find(w->set, path);
    buf_put_str(out, STR("{\"remove\":{\"path\":"));
    put_path(path, out);
    buf_putf(out, ",\"deletionTimestamp\":%" PRId64 ",\"dataChange\":%s", w->now_ms,
             w->commit->data_change ? "true" : "false");
    if (entry != NULL && entry->kind == DELTA_LIVE) {
        const DeltaFile *file = &entry->file;
        buf_put_str(out, STR(",\"extendedFileMetadata\":true,\"partitionValues\":"));
        put_map(file->partition, file->partition_count, out);
        buf_putf(out, ",\"size\":%" PRIu64, file->size_bytes);
    }
    buf_put_str(out, STR("}}\n"));
}

// ---- checks

static Status check_text(Str text, const char *what, Err *err)
{
    return utf8_is_valid(text) ? OK : err_set(err, ERR_INVALID, "%s is not UTF-8", what);
}

static Status check_map(const DeltaKeyValue *entries, size_t count, const char *what, Err *err)
{
    for (size_t i = 0; i < count; i++) {
        TRY(check_text(entries[i].key, what, err));
        TRY(check_text(entries[i].value, what, err));
        for (size_t k = 0; k < i; k++) {
            if (str_eq(entries[k].key, entries[i].key)) {
                return err_set(err, ERR_INVALID, "%s '" STR_FMT "' twice", what,
                               STR_ARG(entries[i].key));
            }
        }
    }
    return OK;
}

static Status check_partition(const DeltaMeta *meta, const DeltaFile *file, Err *err)
{
    if (file->partition_count != meta->partition_count) {
        return err_set(err, ERR_INVALID, "%zu partition values, the table has %zu columns",
                       file->partition_count, meta->partition_count);
    }
    for (size_t i = 0; i < file->partition_count; i++) {
        bool found = false;
        for (size_t k = 0; k < meta->partition_count && !found; k++) {
            found = str_eq(meta->partitions[k], file->partition[i].key);
        }
        if (!found) {
            return err_set(err, ERR_INVALID, "no partition column '" STR_FMT "'",
                           STR_ARG(file->partition[i].key));
        }
    }
    return check_map(file->partition, file->partition_count, "partition value", err);
}

static Status check_add(const DeltaMeta *meta, const DeltaFile *file, Err *err)
{
    Arena arena;
    Buf encoded;
    Str decoded = {0};
    arena_init(&arena, 0);
    buf_init(&encoded, 0);
    delta_put_path(file->path, &encoded);
    const bool is_good = delta_check_path(buf_str(&encoded), &arena, &decoded, err) == OK &&
                         str_eq(decoded, file->path);
    buf_deinit(&encoded);
    arena_deinit(&arena);
    if (!is_good) {
        return err_set(err, ERR_INVALID, "the path cannot be written to the log");
    }
    if (file->size_bytes > INT64_MAX) {
        return err_set(err, ERR_INVALID, "size of %" PRIu64 " bytes", file->size_bytes);
    }
    TRY(check_text(file->stats, "stats", err));
    TRY(check_map(file->tags, file->tag_count, "tag", err));
    return check_partition(meta, file, err);
}

static Status check_new_columns(const Schema *schema, size_t from, Err *err)
{
    if (schema->count > SCHEMA_COLUMNS_MAX) {
        return err_set(err, ERR_INVALID, "%zu columns, at most %d are supported", schema->count,
                       SCHEMA_COLUMNS_MAX);
    }
    for (size_t i = from; i < schema->count; i++) {
        const Field *field = &schema->fields[i];
        const Schema before = {.fields = schema->fields, .count = i};
        if (field->name.len == 0 || field->name.len > COLUMN_NAME_MAX ||
            memchr(field->name.ptr, 0, field->name.len) != NULL) {
            return err_set(err, ERR_INVALID, "column %zu has no usable name", i);
        }
        TRY(check_text(field->name, "a column's name", err));
        if (schema_find_nocase(&before, field->name) != SIZE_MAX) {
            return err_set(err, ERR_INVALID, "two columns are called '" STR_FMT "', but for case",
                           STR_ARG(field->name));
        }
        if (from > 0 && !field->nullable) {
            return err_set(err, ERR_INVALID, "new column '" STR_FMT "' must be nullable",
                           STR_ARG(field->name));
        }
    }
    return OK;
}

static Status check_superset(const Schema *old, const Schema *schema, Err *err)
{
    for (size_t i = 0; i < old->count; i++) {
        const Field *was = &old->fields[i];
        const Field *is = i < schema->count ? &schema->fields[i] : NULL;
        // A column may become nullable; files that have no null in it stay as they are.
        if (is == NULL || !str_eq(was->name, is->name) || was->type != is->type ||
            (was->nullable && !is->nullable)) {
            return err_set(err, ERR_INVALID, "column '" STR_FMT "' is missing or has changed",
                           STR_ARG(was->name));
        }
    }
    return check_new_columns(schema, old->count, err);
}

// Every path once, removed ones are there and added ones are not.
static Status check_paths(const DeltaWrite *w, StrMap *paths, Err *err)
{
    const DeltaCommit *c = w->commit;
    for (size_t i = 0; i < c->add_count + c->remove_count; i++) {
        const bool is_add = i < c->add_count;
        const Str path = is_add ? c->adds[i].path : c->removes[i - c->add_count];
        const DeltaEntry *entry = delta_set_find(w->set, path);
        bool created = false;
        (void)strmap_put(paths, path, 0, &created);
        if (!created || (is_add && entry != NULL && entry->kind == DELTA_LIVE)) {
            return err_set(err, ERR_INVALID, "file '" STR_FMT "' twice", STR_ARG(path));
        }
        if (!is_add && entry == NULL) {
            return err_set(err, ERR_INVALID, "file '" STR_FMT "' is not in the table",
                           STR_ARG(path));
        }
        if (!is_add && entry->kind == DELTA_TOMBSTONE) {
            return err_set(err, ERR_EXISTS, "file '" STR_FMT "' was removed already",
                           STR_ARG(path));
        }
    }
    return OK;
}

static Status check_txns(const DeltaWrite *w, Err *err)
{
    const DeltaCommit *c = w->commit;
    for (size_t i = 0; i < c->txn_count; i++) {
        TRY(check_text(c->txns[i].app_id, "an application id", err));
        for (size_t k = 0; k < i; k++) {
            if (str_eq(c->txns[i].app_id, c->txns[k].app_id)) {
                return err_set(err, ERR_INVALID, "txn of '" STR_FMT "' twice",
                               STR_ARG(c->txns[i].app_id));
            }
        }
        for (size_t k = 0; k < w->set->txn_count; k++) {
            const DeltaTxn *done = &w->set->txns[k].txn;
            if (str_eq(c->txns[i].app_id, done->app_id) && done->version >= c->txns[i].version) {
                return err_set(err, ERR_EXISTS,
                               "txn %" PRId64 " of '" STR_FMT "' was written already, %" PRId64
                               " is the last",
                               c->txns[i].version, STR_ARG(done->app_id), done->version);
            }
        }
    }
    return OK;
}

static Status check_commit(const DeltaWrite *w, Err *err)
{
    const DeltaCommit *c = w->commit;
    const DeltaMeta *meta = w->set->meta;
    if (c->add_count > 0 && meta->has_invariants) {
        return err_set(err, ERR_UNSUPPORTED, "the table has column invariants");
    }
    if (c->remove_count > 0 && c->data_change &&
        str_eq(delta_meta_config(meta, STR("delta.appendOnly")), STR("true"))) {
        return err_set(err, ERR_INVALID, "the table is append-only");
    }
    for (size_t i = 0; i < c->add_count; i++) {
        if (check_add(meta, &c->adds[i], err) != OK) {
            return err_prefix(err, "file '" STR_FMT "': ", STR_ARG(c->adds[i].path));
        }
    }
    TRY(check_map(c->config, c->config_count, "table property", err));
    if (c->schema != NULL) {
        TRY(check_superset(&meta->schema, c->schema, err));
    }
    TRY(check_txns(w, err));
    StrMap paths;
    strmap_init(&paths);
    const Status st = check_paths(w, &paths, err);
    strmap_deinit(&paths);
    return st;
}

// ---- whole commits

// The table's properties with those of the commit put over them.
static DeltaKeyValue *merge_config(const DeltaMeta *meta, const DeltaCommit *c, Arena *arena,
                                   size_t *count)
{
    DeltaKeyValue *out = arena_new(arena, DeltaKeyValue, meta->config_count + c->config_count);
    *count = 0;
    for (size_t i = 0; i < meta->config_count; i++) {
        out[(*count)++] = meta->config[i];
    }
    for (size_t i = 0; i < c->config_count; i++) {
        size_t at = 0;
        while (at < meta->config_count && !str_eq(meta->config[at].key, c->config[i].key)) {
            at++;
        }
        *count += at == meta->config_count ? 1 : 0;
        out[at == meta->config_count ? *count - 1 : at] = c->config[i];
    }
    return out;
}

static Status put_changed_meta(const DeltaWrite *w, Buf *out, Err *err)
{
    const DeltaMeta *old = w->set->meta;
    Arena arena;
    Buf schema;
    arena_init(&arena, 0);
    buf_init(&schema, 0);
    DeltaMeta meta = *old; // only to be written; owns nothing
    meta.config = merge_config(old, w->commit, &arena, &meta.config_count);
    const Status st =
        delta_extend_schema(old->schema_json, w->commit->schema, old->schema.count, &schema, err);
    if (st == OK) {
        meta.schema_json = buf_str(&schema);
        put_meta(&meta, out);
    }
    buf_deinit(&schema);
    arena_deinit(&arena);
    return st;
}

static void put_txns(const DeltaWrite *w, Buf *out)
{
    for (size_t i = 0; i < w->commit->txn_count; i++) {
        const DeltaTxn *txn = &w->commit->txns[i];
        buf_put_str(out, STR("{\"txn\":{\"appId\":"));
        delta_put_json_string(txn->app_id, out);
        buf_putf(out, ",\"version\":%" PRId64 ",\"lastUpdated\":%" PRId64 "}}\n", txn->version,
                 w->now_ms);
    }
}

Status delta_write_commit(const DeltaWrite *w, Buf *out, Err *err)
{
    const DeltaCommit *c = w->commit;
    const bool is_append = c->remove_count == 0 && c->data_change && c->schema == NULL;
    TRY(check_commit(w, err));
    put_commit_info(w, c->operation, is_append, w->set->meta->partitions,
                    w->set->meta->partition_count, out);
    if (c->schema != NULL) {
        TRY(put_changed_meta(w, out, err));
    }
    put_txns(w, out);
    for (size_t i = 0; i < c->remove_count; i++) {
        put_remove(w, c->removes[i], out);
    }
    for (size_t i = 0; i < c->add_count; i++) {
        put_add(&c->adds[i], c->data_change, out);
    }
    if (!buf_ok(out)) {
        return err_set(err, ERR_TOO_LARGE, "commit of more than %d bytes", DELTA_COMMIT_MAX_BYTES);
    }
    return OK;
}

Status delta_write_create(const DeltaCreate *create, Str table_id, const DeltaWrite *w, Buf *out,
                          Err *err)
{
    Buf schema;
    TRY(check_new_columns(create->schema, 0, err));
    TRY(check_map(create->config, create->config_count, "table property", err));
    for (size_t i = 0; i < create->partition_count; i++) {
        if (schema_find(create->schema, create->partition_columns[i]) == SIZE_MAX) {
            return err_set(err, ERR_INVALID, "the schema has no partition column '" STR_FMT "'",
                           STR_ARG(create->partition_columns[i]));
        }
    }
    buf_init(&schema, 0);
    delta_put_schema_json(create->schema, &schema);
    const DeltaMeta meta = {.id = table_id,
                            .has_created = true,
                            .created_ms = w->now_ms,
                            .schema_json = buf_str(&schema),
                            .partitions = create->partition_columns,
                            .partition_count = create->partition_count,
                            .config = create->config,
                            .config_count = create->config_count};
    put_commit_info(w, "CREATE TABLE", false, create->partition_columns, create->partition_count,
                    out);
    buf_putf(out, "{\"protocol\":{\"minReaderVersion\":%d,\"minWriterVersion\":%d}}\n",
             DELTA_READER_VERSION, DELTA_WRITER_VERSION);
    put_meta(&meta, out);
    buf_deinit(&schema);
    return OK;
}
