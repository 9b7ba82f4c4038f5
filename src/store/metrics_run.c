// SPDX-License-Identifier: Apache-2.0
#include "store/metrics_run_internal.h"

#include "codec/hash.h"

enum { PREFETCH = 16, FAR_PREFETCH = 32 };

// --- sorting -------------------------------------------------------------------------------------

typedef struct TextContext {
    const MetricsRun *run;
    uint32_t text; // index behind the words
} TextContext;

static Str record_text(const void *ctx, uint32_t id)
{
    const TextContext *t = ctx;
    return metrics_run_text(metrics_run_record(t->run, id)[t->run->word_count + t->text]);
}

// The hash of what a series has in `labels`; 0 when that is nothing. Any fixed order of maps will
// do, and this one is quick.
static uint64_t map_key(const MetricsRun *run, uint32_t id)
{
    Str keys[LABELS_COUNT_MAX];
    Str values[LABELS_COUNT_MAX];
    const MetricsRegistry *r = metrics_run_registry(run, run->refs[id]);
    const size_t count = metrics_select_map(r, &run->layout, (uint32_t)run->refs[id], keys, values);
    uint64_t key = 0;
    for (size_t i = 0; i < count; i++) {
        key = hash_xxh3_64((Bytes){(const uint8_t *)keys[i].ptr, keys[i].len}, key ^ r->key);
        key = hash_xxh3_64((Bytes){(const uint8_t *)values[i].ptr, values[i].len}, key ^ r->key);
    }
    return key;
}

static bool map_equal(const MetricsRun *run, uint32_t a, uint32_t b)
{
    Str keys[2][LABELS_COUNT_MAX];
    Str values[2][LABELS_COUNT_MAX];
    const uint32_t ids[2] = {a, b};
    size_t counts[2];
    for (size_t i = 0; i < 2; i++) {
        counts[i] = metrics_select_map(metrics_run_registry(run, run->refs[ids[i]]), &run->layout,
                                       (uint32_t)run->refs[ids[i]], keys[i], values[i]);
    }
    bool equal = counts[0] == counts[1];
    for (size_t i = 0; i < counts[0] && equal; i++) {
        equal = str_eq(keys[0][i], keys[1][i]) && str_eq(values[0][i], values[1][i]);
    }
    return equal;
}

// Gives every item its key for the stage.
static void stage_keys(const MetricsRun *run, const MetricsRunStage *stage, MetricsSortItem *items)
{
    const size_t n = run->count;
    const MetricsRunColumn *c =
        stage->kind == METRICS_STAGE_TEXT ? &run->columns[stage->index] : NULL;
    for (size_t i = 0; i < n; i++) {
        if (i + FAR_PREFETCH < n) {
            __builtin_prefetch(metrics_run_record(run, items[i + FAR_PREFETCH].id));
        }
        switch (stage->kind) {
        case METRICS_STAGE_WORD:
            items[i].key = metrics_run_record(run, items[i].id)[stage->index].word;
            break;
        case METRICS_STAGE_TEXT: {
            const size_t at = run->word_count + c->text;
            if (i + PREFETCH < n) {
                __builtin_prefetch(metrics_run_record(run, items[i + PREFETCH].id)[at].text);
            }
            const MetricsRunCell cell = metrics_run_record(run, items[i].id)[at];
            items[i].key = metrics_sort_key(metrics_run_text(cell), c->skip);
            break;
        }
        case METRICS_STAGE_MAP:
            items[i].key = map_key(run, items[i].id);
            break;
        }
    }
}

// Items whose text is absent come first; returns how many.
static size_t nulls_first(MetricsSortItem *items, MetricsSortItem *spare, size_t count,
                          const TextContext *text)
{
    size_t nulls = 0;
    size_t others = 0;
    for (size_t i = 0; i < count; i++) {
        if (record_text(text, items[i].id).ptr == NULL) {
            items[nulls++] = items[i];
        } else {
            spare[others++] = items[i];
        }
    }
    memcpy(items + nulls, spare, others * sizeof(*items));
    return nulls;
}

static void sort_group(const MetricsRun *run, const MetricsRunStage *stage, MetricsSortItem *items,
                       MetricsSortItem *spare, size_t count)
{
    if (stage->kind != METRICS_STAGE_TEXT) {
        metrics_sort_items(items, spare, count);
        return;
    }
    const MetricsRunColumn *c = &run->columns[stage->index];
    const TextContext text = {run, c->text};
    const size_t nulls = c->has_null ? nulls_first(items, spare, count, &text) : 0;
    metrics_sort_texts(
        items + nulls, spare, count - nulls,
        &(MetricsSortTexts){.text = record_text, .ctx = &text, .keyed = true, .skip = c->skip});
}

// Whether two items that were equal so far are equal in this stage too.
static bool stage_equal(const MetricsRun *run, const MetricsRunStage *stage,
                        const MetricsSortItem *a, const MetricsSortItem *b)
{
    switch (stage->kind) {
    case METRICS_STAGE_WORD:
        return a->key == b->key;
    case METRICS_STAGE_TEXT: {
        const TextContext text = {run, run->columns[stage->index].text};
        return str_eq(record_text(&text, a->id), record_text(&text, b->id));
    }
    case METRICS_STAGE_MAP:
        return a->key == b->key && map_equal(run, a->id, b->id);
    }
    UNREACHABLE();
}

// Sorts each group of items that are equal so far, and marks where the smaller groups begin.
// Returns the number of groups. `last`: no stage follows, so groups matter only to series with
// several windows.
static size_t stage_sort(const MetricsRun *run, const MetricsRunStage *stage, bool last,
                         MetricsSortItem *items, MetricsSortItem *spare)
{
    size_t groups = 0;
    for (size_t from = 0; from < run->count;) {
        size_t to = from + 1;
        while (to < run->count && items[to].mark == 0) {
            to++;
        }
        groups++;
        if (to - from > 1) {
            items[from].mark = 0;
            sort_group(run, stage, items + from, spare, to - from);
            items[from].mark = 1;
            for (size_t i = from + 1; i < to; i++) {
                const bool equal =
                    (!last || run->may_repeat) && stage_equal(run, stage, &items[i - 1], &items[i]);
                items[i].mark = !equal;
                groups += !equal;
            }
        }
        from = to;
    }
    return groups;
}

static void run_sort(MetricsRun *run)
{
    const size_t n = run->count;
    MetricsSortItem *items = mem_alloc_raw((n + 1) * sizeof(*items));
    MetricsSortItem *spare = mem_alloc_raw((n + 1) * sizeof(*spare));
    for (size_t i = 0; i < n; i++) {
        items[i] = (MetricsSortItem){.id = (uint32_t)i, .mark = i == 0};
    }
    size_t groups = n == 0 ? 0 : 1;
    for (size_t i = 0; i < run->stage_count && groups < n; i++) {
        stage_keys(run, &run->stages[i], items);
        groups = stage_sort(run, &run->stages[i], i + 1 == run->stage_count, items, spare);
    }
    mem_free(spare);
    run->order = mem_alloc_raw((n + 1) * sizeof(*run->order));
    for (size_t i = 0; i < n; i++) {
        run->order[i] = items[i].id | (items[i].mark != 0 ? 0 : (uint32_t)METRICS_RUN_CONTINUES);
    }
    mem_free(items);
}

// --- opening -------------------------------------------------------------------------------------

static uint32_t registry_index(MetricsRun *run, const MetricsWindow *window)
{
    for (uint32_t i = 0; i < run->registry_count; i++) {
        if (run->registries[i].registry == window->registry) {
            return i;
        }
    }
    run->registries[run->registry_count].registry = window->registry;
    run->registries[run->registry_count].shard = window->shard;
    return (uint32_t)run->registry_count++;
}

// Notes the dictionaries as they are now: no series of the run has a code that came up later.
static void registry_bounds(const MetricsRun *run, MetricsRunRegistry *r, const MetricsWindow *w)
{
    const size_t n = run->directory_count;
    r->dicts = (const MetricsDict **)(void *)mem_new(MetricsDict *, n);
    r->code_counts = mem_new(uint32_t, n);
    r->used = mem_new(uint64_t *, n);
    r->ranks = mem_new(uint32_t *, n);
    mutex_lock(&w->shard->mu);
    for (size_t i = 0; i < n; i++) {
        r->dicts[i] = r->registry->dicts[i];
        r->code_counts[i] = r->dicts[i] == NULL ? 0 : r->dicts[i]->count;
    }
    mutex_unlock(&w->shard->mu);
    for (size_t i = 0; i < n; i++) {
        if (r->code_counts[i] != 0) {
            r->used[i] = mem_new(uint64_t, r->code_counts[i] / 64 + 1);
        }
    }
}

// References to the windows, and which of them share a shard or a registry.
static void take_windows(MetricsRun *run, const MetricsRunOptions *options)
{
    bool shards[METRICS_SHARDS] = {false};
    run->window_count = options->window_count;
    run->windows = mem_new(MetricsRunWindow, options->window_count);
    run->registries = mem_new(MetricsRunRegistry, options->window_count);
    for (size_t i = 0; i < options->window_count; i++) {
        MetricsWindow *w = metrics_window_ref(options->windows[i]);
        run->windows[i] = (MetricsRunWindow){w, registry_index(run, w)};
        run->may_repeat = run->may_repeat || shards[w->shard->index];
        shards[w->shard->index] = true;
    }
}

static Status run_select(MetricsRun *run, const MetricsRunOptions *options, Err *err)
{
    if (run->window_count == 0) {
        MetricsDirectory none = {.max = 0}; // only the types of the fields are looked at
        metrics_directory_init(&none, 0, NULL);
        const Status st = metrics_layout_init(&run->layout, &none, options->schema, err);
        metrics_directory_deinit(&none);
        return st;
    }
    // The selections hold the bounds of the windows; the layout must be made after them, or a
    // label could get its column in between. It is needed to make them, so it is made twice when
    // there are tests.
    MetricsDirectory *directory = run->windows[0].window->registry->directory;
    TRY(metrics_layout_init(&run->layout, directory, options->schema, err));
    MetricsSelection *selections = mem_new(MetricsSelection, run->window_count);
    for (size_t i = 0; i < run->window_count; i++) {
        metrics_select(run->windows[i].window, &run->layout, options->tests, options->test_count,
                       &selections[i]);
    }
    metrics_layout_deinit(&run->layout);
    const Status st = metrics_layout_init(&run->layout, directory, options->schema, err);
    ASSERT(st == OK); // it was a moment ago
    run->directory_count = metrics_directory_count(directory);
    for (size_t i = 0; i < run->window_count; i++) {
        MetricsRunRegistry *r = &run->registries[run->windows[i].registry];
        if (r->dicts == NULL) {
            registry_bounds(run, r, run->windows[i].window);
        }
    }
    const bool fits = metrics_run_collect(run, selections);
    for (size_t i = 0; i < run->window_count; i++) {
        metrics_selection_deinit(&selections[i]);
    }
    mem_free(selections);
    return fits ? OK
                : err_set(err, ERR_LIMIT, "more than %d series at once", METRICS_RUN_SERIES_MAX);
}

Status metrics_run_open(const MetricsRunOptions *options, MetricsRun **out, Err *err)
{
    Status st = OK;
    MetricsRun *run = mem_new(MetricsRun, 1);
    *out = NULL;
    run->schema = options->schema;
    take_windows(run, options);
    TRY_OUT(run_select(run, options, err));
    metrics_run_columns(run, options->sort_columns, options->sort_column_count);
    metrics_run_records(run);
    run_sort(run);
    *out = run;
    run = NULL;
out:
    metrics_run_close(run);
    return st;
}

static void registry_deinit(const MetricsRun *run, MetricsRunRegistry *r)
{
    for (size_t i = 0; i < run->directory_count && r->dicts != NULL; i++) {
        mem_free(r->used[i]);
        mem_free(r->ranks[i]);
    }
    mem_free((void *)r->dicts);
    mem_free(r->code_counts);
    mem_free(r->used);
    mem_free(r->ranks);
}

void metrics_run_close(MetricsRun *run)
{
    if (run == NULL) {
        return;
    }
    for (size_t i = 0; i < run->registry_count; i++) {
        registry_deinit(run, &run->registries[i]);
    }
    for (size_t i = 0; i < run->column_count; i++) {
        mem_free(run->columns[i].offsets);
        mem_free(run->columns[i].bytes);
    }
    for (size_t i = 0; i < run->window_count; i++) {
        metrics_window_unref(run->windows[i].window);
    }
    metrics_layout_deinit(&run->layout);
    mem_free(run->windows);
    mem_free(run->registries);
    mem_free(run->columns);
    mem_free(run->order_fields);
    mem_free(run->stages);
    mem_free(run->refs);
    mem_free(run->records);
    mem_free(run->order);
    mem_free(run);
}

// --- figures -------------------------------------------------------------------------------------

uint64_t metrics_run_series_count(const MetricsRun *run)
{
    return run->count;
}

uint64_t metrics_run_row_estimate(const MetricsRun *run)
{
    return run->row_count;
}

bool metrics_run_has_histograms(const MetricsRun *run)
{
    bool any = false;
    for (size_t i = 0; i < run->window_count; i++) {
        MetricsWindowInfo info;
        metrics_window_info(run->windows[i].window, &info);
        any = any || info.histogram_count != 0;
    }
    return any;
}

bool metrics_run_has_starts(const MetricsRun *run)
{
    bool any = false;
    for (size_t i = 0; i < run->window_count; i++) {
        MetricsWindowInfo info;
        metrics_window_info(run->windows[i].window, &info);
        any = any || info.start_count != 0;
    }
    return any;
}

const size_t *metrics_run_order(const MetricsRun *run, size_t *count)
{
    *count = run->order_count;
    return run->order_fields;
}

uint64_t metrics_run_cardinality(const MetricsRun *run, size_t column)
{
    for (size_t i = 0; i < run->column_count; i++) {
        if (run->columns[i].field == column) {
            return run->columns[i].cardinality;
        }
    }
    return 0;
}
