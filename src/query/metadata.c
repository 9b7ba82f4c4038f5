// SPDX-License-Identifier: Apache-2.0
#include "query/metadata.h"

#include "base/mem.h"
#include "base/strmap.h"
#include "base/utf8.h"
#include "os/thread.h"

#include <stdlib.h>

typedef struct Family {
    MetadataEntry entries[METADATA_PER_FAMILY_MAX]; // newest last; each owns its three texts
    size_t count;
} Family;

struct Metadata {
    Mutex mu;         // level 67
    StrMap names;     // mu: family -> index
    Family *families; // mu
    size_t cap;
};

Metadata *metadata_new(void)
{
    Metadata *m = mem_new(Metadata, 1);
    strmap_init(&m->names);
    mutex_init(&m->mu);
    return m;
}

static void entry_free(MetadataEntry *entry)
{
    mem_free((void *)(uintptr_t)entry->type.ptr); // one block
}

void metadata_free(Metadata *m)
{
    if (m == NULL) {
        return;
    }
    for (size_t i = 0; i < m->names.count; i++) {
        for (size_t k = 0; k < m->families[i].count; k++) {
            entry_free(&m->families[i].entries[k]);
        }
    }
    mem_free(m->families);
    strmap_deinit(&m->names);
    mutex_deinit(&m->mu);
    mem_free(m);
}

static Str cut(Str text)
{
    Str head = str_slice(text, 0, METADATA_TEXT_BYTES_MAX);
    head.len = utf8_valid_len(head);
    return head;
}

static Str place(Str text, char **to)
{
    const Str out = {*to, text.len};
    if (text.len > 0) {
        memcpy(*to, text.ptr, text.len);
    }
    *to += text.len;
    return out;
}

static MetadataEntry entry_copy(MetadataEntry e)
{
    char *text = mem_alloc_raw(e.type.len + e.help.len + e.unit.len + 1);
    return (MetadataEntry){
        .type = place(e.type, &text), .help = place(e.help, &text), .unit = place(e.unit, &text)};
}

static bool entry_equal(const MetadataEntry *a, const MetadataEntry *b)
{
    return str_eq(a->type, b->type) && str_eq(a->help, b->help) && str_eq(a->unit, b->unit);
}

static void family_put(Family *f, const MetadataEntry *entry)
{
    for (size_t i = 0; i < f->count; i++) {
        if (entry_equal(&f->entries[i], entry)) {
            return;
        }
    }
    if (f->count == METADATA_PER_FAMILY_MAX) {
        entry_free(&f->entries[0]);
        memmove(&f->entries[0], &f->entries[1], (f->count - 1) * sizeof(f->entries[0]));
        f->count--;
    }
    f->entries[f->count++] = entry_copy(*entry);
}

bool metadata_put(Metadata *m, Str family, MetadataEntry entry)
{
    bool is_new = false;
    entry.help = cut(entry.help);
    entry.unit = cut(entry.unit);
    mutex_lock(&m->mu);
    const bool room =
        m->names.count < METADATA_FAMILIES_MAX || strmap_get(&m->names, family) != NULL;
    if (room) {
        const uint64_t at = *strmap_put(&m->names, family, m->names.count, &is_new);
        if (is_new) {
            m->families = mem_grow(m->families, &m->cap, at + 1, sizeof(*m->families));
            m->families[at] = (Family){0};
        }
        family_put(&m->families[at], &entry);
    }
    mutex_unlock(&m->mu);
    return room;
}

static int by_name(const void *pa, const void *pb)
{
    const MetadataFamily *a = pa;
    const MetadataFamily *b = pb;
    return str_compare(a->name, b->name);
}

static MetadataFamily family_copy(Str name, const Family *f, Arena *arena)
{
    MetadataEntry *entries = arena_new(arena, MetadataEntry, f->count);
    for (size_t i = 0; i < f->count; i++) {
        entries[i] = (MetadataEntry){.type = arena_str(arena, f->entries[i].type),
                                     .help = arena_str(arena, f->entries[i].help),
                                     .unit = arena_str(arena, f->entries[i].unit)};
    }
    return (MetadataFamily){.name = arena_str(arena, name), .entries = entries, .count = f->count};
}

size_t metadata_list(Metadata *m, Str only, Arena *arena, const MetadataFamily **out)
{
    size_t count = 0;
    mutex_lock(&m->mu);
    MetadataFamily *list = arena_new(arena, MetadataFamily, m->names.count + 1);
    for (size_t i = 0; i < m->names.count; i++) {
        if (only.len == 0 || str_eq(only, m->names.entries[i].key)) {
            list[count++] = family_copy(m->names.entries[i].key, &m->families[i], arena);
        }
    }
    mutex_unlock(&m->mu);
    if (count > 0) {
        qsort(list, count, sizeof(*list), by_name);
    }
    *out = list;
    return count;
}
