// SPDX-License-Identifier: Apache-2.0
#include "codec/hash.h"
#include "promql/eval_internal.h"
#include "promql/quote.h"

static int compare_text(Str a, Str b)
{
    if (a.ptr == b.ptr && a.len == b.len) {
        return 0; // often: text of the same dictionary
    }
    const size_t n = a.len < b.len ? a.len : b.len;
    const int order = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static bool same_text(Str a, Str b)
{
    return a.len == b.len && (a.ptr == b.ptr || str_eq(a, b));
}

int eval_labels_compare(const LabelSet *a, const LabelSet *b)
{
    const size_t n = a->count < b->count ? a->count : b->count;
    for (size_t i = 0; i < n; i++) {
        const int name = compare_text(a->labels[i].name, b->labels[i].name);
        if (name != 0) {
            return name;
        }
        const int value = compare_text(a->labels[i].value, b->labels[i].value);
        if (value != 0) {
            return value;
        }
    }
    return (a->count > b->count) - (a->count < b->count);
}

bool eval_labels_equal(const LabelSet *a, const LabelSet *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = same_text(a->labels[i].value, b->labels[i].value) &&
               same_text(a->labels[i].name, b->labels[i].name);
    }
    return same;
}

static uint64_t hash_label(uint64_t hash, const Label *label)
{
    const Bytes name = {(const uint8_t *)label->name.ptr, label->name.len};
    const Bytes value = {(const uint8_t *)label->value.ptr, label->value.len};
    return hash_xxh3_64(value, hash_xxh3_64(name, hash));
}

uint64_t eval_labels_hash(const LabelSet *set)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < set->count; i++) {
        hash = hash_label(hash, &set->labels[i]);
    }
    return hash;
}

// XXH64 of name \xff value \xff name ...: model/labels/labels_slicelabels.go.
uint64_t eval_labels_prom_hash(const LabelSet *set)
{
    Buf text;
    buf_init(&text, 0);
    for (size_t i = 0; i < set->count; i++) {
        buf_put_str(&text, set->labels[i].name);
        buf_put_u8(&text, 0xff);
        buf_put_str(&text, set->labels[i].value);
        buf_put_u8(&text, 0xff);
    }
    const uint64_t hash = hash_xxh64(buf_bytes(&text));
    buf_deinit(&text);
    return hash;
}

// Steps through labels and names, both sorted, side by side: the next label at or after *label that
// is wanted, or set->count.
static size_t next_of(const LabelSet *set, size_t label, const Str *names, size_t count,
                      size_t *name)
{
    for (; label < set->count && *name < count; label++) {
        int order = compare_text(names[*name], set->labels[label].name);
        while (order < 0 && ++*name < count) {
            order = compare_text(names[*name], set->labels[label].name);
        }
        if (order == 0) {
            return label;
        }
    }
    return set->count;
}

static size_t next_without(const LabelSet *set, size_t label, const Str *names, size_t count,
                           size_t *name)
{
    for (; label < set->count; label++) {
        int order = 1;
        while (*name < count) {
            order = compare_text(names[*name], set->labels[label].name);
            if (order >= 0) {
                break;
            }
            ++*name;
        }
        if (*name == count || order != 0) {
            return label;
        }
    }
    return set->count;
}

static size_t next_label(const LabelSet *set, size_t label, const Str *names, size_t count,
                         bool without, size_t *name)
{
    return without ? next_without(set, label, names, count, name)
                   : next_of(set, label, names, count, name);
}

uint64_t eval_labels_hash_of(const LabelSet *set, const Str *names, size_t count, bool without)
{
    uint64_t hash = 0;
    size_t name = 0;
    for (size_t i = next_label(set, 0, names, count, without, &name); i < set->count;
         i = next_label(set, i + 1, names, count, without, &name)) {
        hash = hash_label(hash, &set->labels[i]);
    }
    return hash;
}

bool eval_labels_equal_of(const LabelSet *a, const LabelSet *b, const Str *names, size_t count,
                          bool without)
{
    size_t name_a = 0;
    size_t name_b = 0;
    size_t i = next_label(a, 0, names, count, without, &name_a);
    size_t j = next_label(b, 0, names, count, without, &name_b);
    while (i < a->count && j < b->count) {
        if (!same_text(a->labels[i].name, b->labels[j].name) ||
            !same_text(a->labels[i].value, b->labels[j].value)) {
            return false;
        }
        i = next_label(a, i + 1, names, count, without, &name_a);
        j = next_label(b, j + 1, names, count, without, &name_b);
    }
    return i >= a->count && j >= b->count;
}

LabelSet eval_labels_pick(const LabelSet *set, const Str *names, size_t count, bool without,
                          Label *into)
{
    size_t name = 0;
    size_t n = 0;
    for (size_t i = next_label(set, 0, names, count, without, &name); i < set->count;
         i = next_label(set, i + 1, names, count, without, &name)) {
        into[n++] = set->labels[i];
    }
    return (LabelSet){.labels = into, .count = n};
}

bool eval_names_have(const Str *names, size_t count, Str name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(names[i], name)) {
            return true;
        }
    }
    return false;
}

bool eval_labels_is_metadata(Str name)
{
    return name.len == 8 && name.ptr[0] == '_' &&
           (memcmp(name.ptr, "__name__", 8) == 0 || memcmp(name.ptr, "__type__", 8) == 0 ||
            memcmp(name.ptr, "__unit__", 8) == 0);
}

bool eval_labels_has_metadata(const LabelSet *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (eval_labels_is_metadata(set->labels[i].name)) {
            return true;
        }
    }
    return false;
}

LabelSet eval_labels_drop_metadata(const LabelSet *set, Label *into)
{
    size_t n = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (!eval_labels_is_metadata(set->labels[i].name)) {
            into[n++] = set->labels[i];
        }
    }
    return (LabelSet){.labels = into, .count = n};
}

LabelSet eval_labels_with(const LabelSet *set, Str name, Str value, Arena *arena)
{
    Label *labels = arena_new(arena, Label, set->count + 1);
    size_t n = 0;
    size_t i = 0;
    for (; i < set->count && compare_text(set->labels[i].name, name) < 0; i++) {
        labels[n++] = set->labels[i];
    }
    if (value.len != 0) {
        labels[n++] = (Label){.name = name, .value = value};
    }
    for (; i < set->count; i++) {
        if (!same_text(set->labels[i].name, name)) {
            labels[n++] = set->labels[i];
        }
    }
    return (LabelSet){.labels = labels, .count = n};
}

LabelSet eval_labels_copy(const LabelSet *set, Arena *arena)
{
    Label *labels = arena_new(arena, Label, set->count);
    if (set->count != 0) {
        memcpy(labels, set->labels, set->count * sizeof(*labels));
    }
    return (LabelSet){.labels = labels, .count = set->count};
}

void eval_labels_print(const LabelSet *set, Buf *out)
{
    buf_put_u8(out, '{');
    for (size_t i = 0; i < set->count; i++) {
        if (i != 0) {
            buf_put_str(out, STR(", "));
        }
        if (quote_is_plain_label(set->labels[i].name)) {
            buf_put_str(out, set->labels[i].name);
        } else {
            quote_put(out, set->labels[i].name);
        }
        buf_put_u8(out, '=');
        quote_put(out, set->labels[i].value);
    }
    buf_put_u8(out, '}');
}
