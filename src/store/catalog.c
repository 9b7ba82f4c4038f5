// SPDX-License-Identifier: Apache-2.0
#include "store/catalog.h"

#include "base/civil.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "store/table_def.h"

#include <stdatomic.h>

#define DAY_US INT64_C(86400000000)

typedef struct OwnedFile {
    DataFile file;
    Arena arena;
    // Partners: fetch_add in ref (relaxed, the caller has a reference) and fetch_sub in unref.
    atomic_size_t refs;
} OwnedFile;

typedef struct OwnedVersion {
    TableVersion version;
    Arena arena;
    atomic_size_t refs; // as OwnedFile.refs
} OwnedVersion;

static OwnedFile *owner_of_file(DataFile *file)
{
    return (OwnedFile *)(void *)file; // its first member
}

static OwnedVersion *owner_of_version(TableVersion *version)
{
    return (OwnedVersion *)(void *)version; // its first member
}

DataFile *catalog_file_ref(DataFile *file)
{
    atomic_fetch_add_explicit(&owner_of_file(file)->refs, 1, memory_order_relaxed);
    return file;
}

void catalog_file_unref(DataFile *file)
{
    if (file == NULL) {
        return;
    }
    OwnedFile *owner = owner_of_file(file);
    // Release: our reads are done. Acquire, for the last one: so are everybody else's.
    if (atomic_fetch_sub_explicit(&owner->refs, 1, memory_order_acq_rel) == 1) {
        arena_deinit(&owner->arena);
        mem_free(owner);
    }
}

static void read_date(const DeltaFile *from, DataFile *out)
{
    int64_t us;
    for (size_t i = 0; i < from->partition_count; i++) {
        const DeltaKeyValue *p = &from->partition[i];
        if (str_eq(p->key, STR(TABLE_DATE_COLUMN)) && !p->is_null && p->value.len == 10 &&
            civil_parse_us(p->value, &us)) {
            out->has_date = true;
            out->date = (int32_t)((us - (us % DAY_US + DAY_US) % DAY_US) / DAY_US);
        }
    }
}

static Str join_path(Arena *arena, Str dir, Str name)
{
    char *path = arena_new(arena, char, dir.len + 1 + name.len);
    memcpy(path, dir.ptr, dir.len);
    path[dir.len] = '/';
    memcpy(path + dir.len + 1, name.ptr, name.len);
    return (Str){.ptr = path, .len = dir.len + 1 + name.len};
}

static DataFile *data_file_new(Str dir, const DeltaFile *from, const Schema *schema)
{
    OwnedFile *owner = mem_new(OwnedFile, 1);
    arena_init(&owner->arena, 0);
    atomic_init(&owner->refs, 1);
    DataFile *file = &owner->file;
    file->log_path = arena_str(&owner->arena, from->path);
    file->path = join_path(&owner->arena, dir, from->path);
    file->size_bytes = from->size_bytes;
    // The text must outlive the bounds that point into it.
    file->stats = file_stats_read(arena_str(&owner->arena, from->stats), schema, &owner->arena);
    file->tags = file_tags_read(from->tags, from->tag_count);
    read_date(from, file);
    return file;
}

// Whether `schema` is `old` with columns added at the end: then the statistics of old files, which
// know columns by number, still stand.
static bool schema_extends(const Schema *old, const Schema *schema)
{
    if (schema->count < old->count) {
        return false;
    }
    for (size_t i = 0; i < old->count; i++) {
        if (!str_eq(old->fields[i].name, schema->fields[i].name) ||
            old->fields[i].type != schema->fields[i].type) {
            return false;
        }
    }
    return true;
}

TableVersion *table_version_new(Str dir, DeltaState *state, const TableVersion *previous)
{
    OwnedVersion *owner = mem_new(OwnedVersion, 1);
    TableVersion *version = &owner->version;
    arena_init(&owner->arena, 0);
    atomic_init(&owner->refs, 1);
    version->state = state;
    version->schema = *delta_state_schema(state);
    size_t count = 0;
    const DeltaFile *live = delta_state_files(state, &count);
    DataFile **files = arena_new(&owner->arena, DataFile *, count);

    StrMap known;
    strmap_init(&known);
    if (previous != NULL && schema_extends(&previous->schema, &version->schema)) {
        for (size_t i = 0; i < previous->file_count; i++) {
            (void)strmap_put(&known, previous->files[i]->log_path, i, NULL);
        }
    }
    for (size_t i = 0; i < count; i++) {
        const uint64_t *at = strmap_get(&known, live[i].path);
        files[i] = at != NULL ? catalog_file_ref(previous->files[*at])
                              : data_file_new(dir, &live[i], &version->schema);
        version->row_count +=
            files[i]->stats.row_count > 0 ? (uint64_t)files[i]->stats.row_count : 0;
        version->size_bytes += files[i]->size_bytes;
        if (files[i]->tags.order > version->order_max) {
            version->order_max = files[i]->tags.order;
        }
    }
    strmap_deinit(&known);
    version->files = files;
    version->file_count = count;
    return version;
}

TableVersion *table_version_ref(TableVersion *version)
{
    atomic_fetch_add_explicit(&owner_of_version(version)->refs, 1, memory_order_relaxed);
    return version;
}

void table_version_unref(TableVersion *version)
{
    if (version == NULL) {
        return;
    }
    OwnedVersion *owner = owner_of_version(version);
    if (atomic_fetch_sub_explicit(&owner->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < version->file_count; i++) {
        catalog_file_unref(version->files[i]);
    }
    delta_state_unref(version->state);
    arena_deinit(&owner->arena);
    mem_free(owner);
}

void catalog_file_times(const DataFile *file, size_t time_column, int64_t *min_us, int64_t *max_us)
{
    *min_us = INT64_MIN;
    *max_us = INT64_MAX;
    if (file->has_date && file->tags.present) { // others may mean something else by `date`
        *min_us = file->date * DAY_US;
        *max_us = file->date * DAY_US + DAY_US - 1;
    }
    const FileColumn *c = file_stats_column(&file->stats, time_column);
    if (c != NULL && c->min.known && c->min.i64 > *min_us) {
        *min_us = c->min.i64;
    }
    if (c != NULL && c->max.known && c->max.i64 < *max_us) {
        *max_us = c->max.i64;
    }
}
