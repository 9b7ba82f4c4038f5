// SPDX-License-Identifier: Apache-2.0
//
// Names and values of labels: blocks as for series, but without identity, so nothing is put
// together and only the columns that are asked for or tested are read; times only where a file is
// not wholly in the range. Text stays where it is and is copied once, when the list is made.
#include "base/mem.h"
#include "codec/hash.h"
#include "query/series_internal.h"

#include <stdlib.h>

// --- a set of texts ------------------------------------------------------------------------------

typedef struct TextSlot {
    uint32_t hash;
    uint32_t text_plus_1; // 0: empty
} TextSlot;

typedef struct TextSet {
    Str *texts; // borrowed
    size_t count, cap;
    TextSlot *slots; // a power of two, at most half full
    size_t slot_count;
} TextSet;

static void set_grow(TextSet *set)
{
    const size_t slot_count = set->slot_count == 0 ? 1024 : set->slot_count * 4;
    TextSlot *slots = mem_new(TextSlot, slot_count);
    for (size_t i = 0; i < set->slot_count; i++) {
        if (set->slots[i].text_plus_1 != 0) {
            size_t at = set->slots[i].hash & (slot_count - 1);
            while (slots[at].text_plus_1 != 0) {
                at = (at + 1) & (slot_count - 1);
            }
            slots[at] = set->slots[i];
        }
    }
    mem_free(set->slots);
    set->slots = slots;
    set->slot_count = slot_count;
}

static void set_add(TextSet *set, Str text)
{
    if (set->count * 2 >= set->slot_count) {
        set_grow(set);
    }
    const Bytes bytes = {(const uint8_t *)text.ptr, text.len};
    const uint32_t hash = (uint32_t)hash_xxh3_64(bytes, 0);
    size_t at = hash & (set->slot_count - 1);
    while (set->slots[at].text_plus_1 != 0) {
        if (set->slots[at].hash == hash &&
            str_eq(set->texts[set->slots[at].text_plus_1 - 1], text)) {
            return;
        }
        at = (at + 1) & (set->slot_count - 1);
    }
    set->texts = mem_grow(set->texts, &set->cap, set->count + 1, sizeof(*set->texts));
    set->texts[set->count++] = text;
    set->slots[at] = (TextSlot){.hash = hash, .text_plus_1 = (uint32_t)set->count};
}

// --- sorting -------------------------------------------------------------------------------------

typedef struct SortKey {
    uint64_t head; // the first eight bytes after what all texts begin with, as a number
    Str text;
} SortKey;

static int compare_keys(const void *a, const void *b)
{
    const SortKey *x = a;
    const SortKey *y = b;
    if (x->head != y->head) {
        return x->head < y->head ? -1 : 1;
    }
    const size_t len = x->text.len < y->text.len ? x->text.len : y->text.len;
    const int order = len == 0 ? 0 : memcmp(x->text.ptr, y->text.ptr, len);
    return order != 0 ? order : (x->text.len > y->text.len) - (x->text.len < y->text.len);
}

static size_t common_prefix(const TextSet *set)
{
    size_t len = set->count == 0 ? 0 : set->texts[0].len;
    for (size_t i = 1; i < set->count && len > 0; i++) {
        const Str s = set->texts[i];
        len = s.len < len ? s.len : len;
        size_t same = 0;
        while (same < len && s.ptr[same] == set->texts[0].ptr[same]) {
            same++;
        }
        len = same;
    }
    return len;
}

// Sorted, in `arena`, at most `limit`.
static void list_texts(const TextSet *set, size_t limit, Arena *arena, StrList *out)
{
    const size_t prefix = common_prefix(set);
    SortKey *keys = mem_new(SortKey, set->count);
    for (size_t i = 0; i < set->count; i++) {
        const Str s = set->texts[i];
        keys[i].text = s;
        for (size_t k = 0; k < 8; k++) {
            const uint8_t byte = prefix + k < s.len ? (uint8_t)s.ptr[prefix + k] : 0;
            keys[i].head = keys[i].head << 8 | byte;
        }
    }
    qsort(keys, set->count, sizeof(*keys), compare_keys);
    const size_t count = limit != 0 && limit < set->count ? limit : set->count;
    Str *items = arena_new(arena, Str, count);
    for (size_t i = 0; i < count; i++) {
        items[i] = arena_str(arena, keys[i].text);
    }
    mem_free(keys);
    *out = (StrList){.items = items, .count = count, .truncated = count < set->count};
}

// --- collecting ----------------------------------------------------------------------------------

typedef struct Listing {
    const SeriesPlan *plan;
    const Str *label; // whose values; NULL: names
    TextSet set;
    Arena texts;
} Listing;

static void add_block(Listing *l, const SeriesBlock *b)
{
    for (size_t j = 0; j < b->label_count; j++) {
        const char *last = NULL; // neighbours share their text
        for (uint32_t k = 0; k < b->count; k++) {
            const Str value = b->values[j][k];
            if (value.len == 0 || value.ptr == last) {
                continue;
            }
            last = value.ptr;
            set_add(&l->set, l->label == NULL ? b->names[j] : value);
            if (l->label == NULL) {
                break;
            }
        }
    }
    const uint32_t in_map = b->map_labels == NULL || b->count == 0 ? 0 : b->map_ends[b->count - 1];
    for (uint32_t i = 0; i < in_map; i++) {
        set_add(&l->set, l->label == NULL ? b->map_labels[i].name : b->map_labels[i].value);
    }
}

static void list_hot(Listing *l, Snapshot *snapshot, const SeriesSelect *select)
{
    HotSeries *hot = series_plan_open_hot(l->plan, snapshot, select);
    HotSeriesWorker *w = hot_series_worker_new(hot);
    for (int set = HOT_SERIES_ALONE; set <= HOT_SERIES_SHARED; set++) {
        SeriesBlock block;
        uint32_t age;
        do {
            hot_series_next(w, (HotSeriesSet)set, &block, &age);
            add_block(l, &block);
        } while (block.count != 0);
    }
    hot_series_worker_free(w);
    hot_series_close(hot);
}

static Status list_files(Listing *l, Scan *files, Err *err)
{
    Status st = OK;
    ScanWorker *w = NULL;
    SeriesRows *rows = series_rows_new(l->plan, &l->texts);
    ScanPart last = {0};
    TRY_OUT(scan_worker_open(files, &w, err));
    for (;;) {
        Batch batch;
        SeriesBlock block;
        TRY_OUT(scan_worker_next(w, &batch, err));
        if (batch.row_count == 0) {
            break;
        }
        const ScanPart part = scan_worker_part(w);
        if (part.file != last.file || part.group != last.group) {
            series_rows_forget(rows);
            last = part;
        }
        series_rows_cut(rows, &batch, &block);
        add_block(l, &block);
    }
out:
    scan_worker_close(w);
    series_rows_free(rows);
    return st;
}

// Files that lie wholly in the range are read without times.
static Status open_files(SeriesPlan *plan, Snapshot *snapshot, const SeriesSelect *select,
                         Arena *arena, Scan **out, Err *err)
{
    TRY(series_plan_open_files(plan, snapshot, select, out, err));
    const ScanFiles files = scan_files(*out);
    if (files.count == 0 || select->no_pruning || files.min_us < plan->range.min.i64 ||
        files.max_us > plan->range.max.i64) {
        return OK;
    }
    scan_close(*out);
    *out = NULL;
    series_plan_list(snapshot, select, true, arena, plan);
    return series_plan_open_files(plan, snapshot, select, out, err);
}

static Status list(Snapshot *snapshot, const SeriesSelect *select, const Str *label, size_t limit,
                   Arena *arena, StrList *out, Err *err)
{
    Status st = OK;
    SeriesSelect narrow = *select;
    SeriesPlan plan;
    Scan *files = NULL;
    Arena scratch;
    Listing l = {.plan = &plan, .label = label};
    *out = (StrList){0};
    arena_init(&scratch, 0);
    arena_init(&l.texts, 0);
    narrow.no_samples = true;
    narrow.all_labels = label == NULL;
    narrow.labels = label;
    narrow.label_count = label == NULL ? 0 : 1;
    series_plan_list(snapshot, &narrow, false, &scratch, &plan);
    if (!select->no_hot) {
        list_hot(&l, snapshot, &narrow);
    }
    TRY_OUT(open_files(&plan, snapshot, &narrow, &scratch, &files, err));
    TRY_OUT(list_files(&l, files, err));
    list_texts(&l.set, limit, arena, out);
out:
    scan_close(files);
    mem_free(l.set.texts);
    mem_free(l.set.slots);
    arena_deinit(&l.texts);
    arena_deinit(&scratch);
    return st;
}

Status series_label_names(Snapshot *snapshot, const SeriesSelect *select, size_t limit,
                          Arena *arena, StrList *out, Err *err)
{
    return list(snapshot, select, NULL, limit, arena, out, err);
}

Status series_label_values(Snapshot *snapshot, Str label, const SeriesSelect *select, size_t limit,
                           Arena *arena, StrList *out, Err *err)
{
    return list(snapshot, select, &label, limit, arena, out, err);
}
