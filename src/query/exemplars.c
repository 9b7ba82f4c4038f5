// SPDX-License-Identifier: Apache-2.0
#include "query/exemplars.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "os/thread.h"

#include <stdlib.h>

struct Exemplars {
    Mutex mu;       // level 66
    Exemplar *ring; // mu; each owns one block, that of its series' labels
    size_t cap;
    size_t next;  // mu
    size_t count; // mu
};

Exemplars *exemplars_new(size_t cap)
{
    Exemplars *e = mem_new(Exemplars, 1);
    e->ring = mem_new(Exemplar, cap + 1);
    e->cap = cap;
    mutex_init(&e->mu);
    return e;
}

void exemplars_free(Exemplars *e)
{
    if (e == NULL) {
        return;
    }
    for (size_t i = 0; i < e->count; i++) {
        mem_free((void *)(uintptr_t)e->ring[i].series.labels);
    }
    mem_free(e->ring);
    mutex_deinit(&e->mu);
    mem_free(e);
}

// --- adding ------------------------------------------------------------------------------------

static size_t text_bytes(LabelSet set)
{
    size_t bytes = 0;
    for (size_t i = 0; i < set.count; i++) {
        bytes += set.labels[i].name.len + set.labels[i].value.len;
    }
    return bytes;
}

static size_t chars(Str text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        count += ((uint8_t)text.ptr[i] & 0xc0) != 0x80;
    }
    return count;
}

static Status check(LabelSet labels, Err *err)
{
    size_t total = 0;
    for (size_t i = 0; i < labels.count; i++) {
        if (!utf8_is_valid(labels.labels[i].name) || !utf8_is_valid(labels.labels[i].value)) {
            return err_set(err, ERR_INVALID, "a label of an exemplar is not UTF-8");
        }
        total += chars(labels.labels[i].name) + chars(labels.labels[i].value);
    }
    if (total > EXEMPLAR_LABEL_CHARS_MAX) {
        return err_set(err, ERR_INVALID,
                       "label length for exemplar exceeds maximum of %d UTF-8 characters",
                       EXEMPLAR_LABEL_CHARS_MAX);
    }
    return OK;
}

static Str copy_text(Str s, char **to)
{
    Str copy = {*to, s.len};
    if (s.len > 0) {
        memcpy(*to, s.ptr, s.len);
    }
    *to += s.len;
    return copy;
}

static LabelSet copy_set(LabelSet set, Label *labels, char **text)
{
    for (size_t i = 0; i < set.count; i++) {
        labels[i].name = copy_text(set.labels[i].name, text);
        labels[i].value = copy_text(set.labels[i].value, text);
    }
    return (LabelSet){labels, set.count};
}

// A copy in one block: all labels, then their text.
static Exemplar copy(const Exemplar *in)
{
    const size_t count = in->series.count + in->labels.count;
    const size_t bytes = text_bytes(in->series) + text_bytes(in->labels);
    Label *block = mem_alloc_raw((count + 1) * sizeof(Label) + bytes);
    char *text = (char *)(block + count + 1);
    Exemplar out = *in;
    out.series = copy_set(in->series, block, &text);
    out.labels = copy_set(in->labels, block + in->series.count, &text);
    return out;
}

Status exemplars_add(Exemplars *e, const Exemplar *exemplar, Err *err)
{
    TRY(check(exemplar->labels, err));
    if (e->cap == 0) {
        return OK;
    }
    const Exemplar mine = copy(exemplar);
    mutex_lock(&e->mu);
    const Exemplar oldest = e->ring[e->next];
    const bool full = e->count == e->cap;
    e->ring[e->next] = mine;
    e->next = (e->next + 1) % e->cap;
    e->count += !full;
    mutex_unlock(&e->mu);
    if (full) {
        mem_free((void *)(uintptr_t)oldest.series.labels);
    }
    return OK;
}

// --- selecting ---------------------------------------------------------------------------------

static bool meets(const ExemplarSelector *selector, const LabelSet *series)
{
    for (size_t i = 0; i < selector->matcher_count; i++) {
        const Matcher *m = selector->matchers[i];
        if (!matcher_matches(m, labels_get(series, matcher_name(m)))) {
            return false;
        }
    }
    return true;
}

static LabelSet arena_set(LabelSet set, Arena *arena)
{
    char *text = arena_new(arena, char, text_bytes(set) + 1);
    return copy_set(set, arena_new(arena, Label, set.count + 1), &text);
}

static int compare(const void *pa, const void *pb)
{
    const Exemplar *a = pa;
    const Exemplar *b = pb;
    int order = labels_compare(a->series, b->series);
    order = order != 0 ? order
                       : (a->timestamp_ms > b->timestamp_ms) - (a->timestamp_ms < b->timestamp_ms);
    order = order != 0 ? order : memcmp(&a->value, &b->value, sizeof(double));
    return order != 0 ? order : labels_compare(a->labels, b->labels);
}

size_t exemplars_select(Exemplars *e, const ExemplarSelector *selectors, size_t count,
                        int64_t min_ms, int64_t max_ms, Arena *arena, const Exemplar **out)
{
    size_t found = 0;
    mutex_lock(&e->mu);
    Exemplar *list = arena_new(arena, Exemplar, e->count + 1);
    for (size_t i = 0; i < e->count; i++) {
        const Exemplar *x = &e->ring[i];
        bool wanted = false;
        for (size_t k = 0; k < count && !wanted; k++) {
            wanted = x->timestamp_ms >= min_ms && x->timestamp_ms <= max_ms &&
                     meets(&selectors[k], &x->series);
        }
        if (wanted) {
            list[found] = *x;
            list[found].series = arena_set(x->series, arena);
            list[found++].labels = arena_set(x->labels, arena);
        }
    }
    mutex_unlock(&e->mu);
    if (found > 0) {
        qsort(list, found, sizeof(*list), compare);
    }
    size_t kept = 0;
    for (size_t i = 0; i < found; i++) {
        if (kept == 0 || compare(&list[kept - 1], &list[i]) != 0) {
            list[kept++] = list[i];
        }
    }
    *out = list;
    return kept;
}
