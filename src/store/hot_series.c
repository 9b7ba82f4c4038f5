// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "store/hot_series_internal.h"

bool hot_series_asks(const HotSeries *hot, Str label)
{
    bool asks = hot->options.all_labels;
    for (size_t i = 0; i < hot->options.label_count && !asks; i++) {
        asks = str_eq(hot->options.labels[i], label);
    }
    return asks;
}

// --- one window ----------------------------------------------------------------------------------

static uint32_t find_label(const MetricsShape *shape, Str name)
{
    for (uint32_t k = 0; k < shape->label_count; k++) {
        if (str_eq(shape->labels[k].name, name)) {
            return k;
        }
    }
    return HOT_ABSENT;
}

static uint32_t dict_slot(const HotSeries *hot, uint32_t column)
{
    return column < hot->column_count ? column : hot->column_count;
}

static void list_shapes(HotSeries *hot, HotWindow *w)
{
    const MetricsBounds *bounds = &w->bounds;
    const MetricsRegistry *r = w->window->registry;
    const size_t matcher_count = hot->options.matcher_count;
    w->shapes = arena_new(&hot->arena, HotShape, bounds->shape_count);
    uint32_t *at = arena_new(&hot->arena, uint32_t, matcher_count);
    for (uint32_t i = 0; i < bounds->shape_count; i++) {
        const MetricsShape *shape = metrics_registry_shape(r, i);
        bool alive = bounds->shape_series[i] != 0;
        for (size_t m = 0; m < matcher_count && alive; m++) {
            HotMatcher *matcher = &w->matchers[m];
            at[m] = find_label(shape, matcher_name(matcher->matcher));
            alive = at[m] != HOT_ABSENT || matcher->if_absent;
            if (at[m] != HOT_ABSENT) {
                matcher->column = shape->labels[at[m]].column;
            }
        }
        if (alive) {
            w->series_count += bounds->shape_series[i];
            w->shapes[w->shape_count++] =
                (HotShape){.shape = shape, .end = w->series_count, .at = at};
            at = arena_new(&hot->arena, uint32_t, matcher_count);
        }
    }
}

// The codes of values that are known to be the only ones that match. With the shard's lock: the
// hash tables of dictionaries move.
static void find_codes(HotSeries *hot, HotWindow *w, HotMatcher *m, const MetricsDict *dict)
{
    const Str *values;
    size_t count;
    if (hot->options.no_pruning || m->if_absent || !matcher_values(m->matcher, &values, &count)) {
        return;
    }
    const uint32_t limit = w->dict_counts[dict_slot(hot, m->column)];
    uint32_t found = 0;
    m->is_listed = true;
    m->only = METRICS_CODE_NONE;
    for (size_t i = 0; i < count; i++) {
        const uint32_t code = metrics_dict_find(dict, values[i], w->window->registry->key);
        if (code == METRICS_CODE_NONE || code >= limit) {
            continue;
        }
        if (found++ == 0) {
            m->only = code;
            continue;
        }
        if (m->listed == NULL) {
            m->listed = mem_new(uint8_t, limit);
            m->listed[m->only] = 1;
        }
        m->listed[code] = 1;
    }
    if (found > 1) {
        m->only = METRICS_CODE_NONE;
    }
}

static void look_up(HotSeries *hot, HotWindow *w)
{
    MetricsWindow *window = w->window;
    const MetricsRegistry *r = window->registry;
    w->dict_counts = arena_new(&hot->arena, uint32_t, (size_t)hot->column_count + 1);
    mutex_lock(&window->shard->mu);
    for (uint32_t i = 0; i < hot->column_count; i++) {
        w->dict_counts[i] = r->dicts[i] == NULL ? 0 : r->dicts[i]->count;
    }
    w->dict_counts[hot->column_count] = r->rest.count;
    for (size_t i = 0; i < hot->options.matcher_count; i++) {
        HotMatcher *m = &w->matchers[i];
        const MetricsDict *dict = metrics_registry_dict(r, m->column);
        if (dict != NULL) {
            find_codes(hot, w, m, dict);
        }
    }
    mutex_unlock(&window->shard->mu);
}

// A window some of whose known values are not there at all holds nothing.
static bool may_match(const HotSeries *hot, const HotWindow *w)
{
    for (size_t i = 0; i < hot->options.matcher_count; i++) {
        const HotMatcher *m = &w->matchers[i];
        if (m->is_listed && m->only == METRICS_CODE_NONE && m->listed == NULL) {
            return false;
        }
    }
    return true;
}

static void forget_window(const HotSeries *hot, HotWindow *w)
{
    for (size_t i = 0; i < hot->options.matcher_count; i++) {
        mem_free(w->matchers[i].listed);
    }
}

static bool has_rows(const HotSeries *hot, const MetricsWindow *window)
{
    MetricsWindowInfo info;
    metrics_window_info(window, &info);
    const bool apart = info.max_ms < hot->options.min_ms || info.min_ms > hot->options.max_ms;
    return info.row_count != 0 && (!apart || hot->options.no_pruning);
}

// False when the window holds nothing that is wanted.
static bool open_window(HotSeries *hot, HotWindow *w)
{
    w->series_limit = w->bounds.series_count;
    w->matchers = arena_new(&hot->arena, HotMatcher, hot->options.matcher_count);
    for (size_t i = 0; i < hot->options.matcher_count; i++) {
        const Matcher *m = hot->options.matchers[i];
        w->matchers[i] = (HotMatcher){.matcher = m,
                                      .if_absent = matcher_matches(m, STR("")),
                                      .column = METRICS_COLUMN_NONE,
                                      .only = METRICS_CODE_NONE};
    }
    list_shapes(hot, w);
    metrics_bounds_deinit(&w->bounds);
    if (w->series_count == 0) {
        return false;
    }
    look_up(hot, w);
    if (!may_match(hot, w)) {
        forget_window(hot, w);
        return false;
    }
    return true;
}

// --- all of them ---------------------------------------------------------------------------------

HotSeries *hot_series_open(Snapshot *snapshot, const HotSeriesOptions *options)
{
    HotSeries *hot = mem_new(HotSeries, 1);
    const HotWindows *windows = &snapshot->hot;
    size_t of_shard[METRICS_SHARDS] = {0};
    arena_init(&hot->arena, 0);
    hot->snapshot = snapshot;
    hot->options = *options;
    hot->key = snapshot->store->meta.labels_key;
    hot->windows = arena_new(&hot->arena, HotWindow, windows->metrics_count);
    size_t count = 0;
    for (size_t i = 0; i < windows->metrics_count; i++) {
        HotWindow *w = &hot->windows[count];
        *w = (HotWindow){.window = windows->metrics[i], .age = (uint32_t)i};
        if (has_rows(hot, w->window)) {
            metrics_bounds_init(&w->bounds, w->window, true);
            count++;
        }
    }
    // Asked for after the series were counted, so that it covers all of their labels.
    hot->column_count =
        count == 0 ? 0 : metrics_directory_count(hot->windows[0].window->registry->directory);
    for (size_t i = 0; i < count; i++) {
        HotWindow w = hot->windows[i];
        if (open_window(hot, &w)) {
            of_shard[w.window->shard->index]++;
            hot->windows[hot->window_count++] = w;
        }
    }
    for (size_t i = 0; i < hot->window_count; i++) {
        HotWindow *w = &hot->windows[i];
        w->set = of_shard[w->window->shard->index] > 1 ? HOT_SERIES_SHARED : HOT_SERIES_ALONE;
    }
    return hot;
}

void hot_series_close(HotSeries *hot)
{
    if (hot == NULL) {
        return;
    }
    for (size_t i = 0; i < hot->window_count; i++) {
        forget_window(hot, &hot->windows[i]);
    }
    arena_deinit(&hot->arena);
    mem_free(hot);
}

size_t hot_series_windows(const HotSeries *hot, HotSeriesSet set)
{
    size_t count = 0;
    for (size_t i = 0; i < hot->window_count; i++) {
        count += hot->windows[i].set == set;
    }
    return count;
}

uint64_t hot_series_estimate(const HotSeries *hot)
{
    uint64_t count = 0;
    for (size_t i = 0; i < hot->window_count; i++) {
        bool one = false; // a single value: few series, usually
        for (size_t m = 0; m < hot->options.matcher_count; m++) {
            const HotMatcher *matcher = &hot->windows[i].matchers[m];
            one = one || (matcher->only != METRICS_CODE_NONE &&
                          hot->windows[i].dict_counts[dict_slot(hot, matcher->column)] >
                              hot->windows[i].series_count / 2);
        }
        count += one ? 1 : hot->windows[i].series_count;
    }
    return count;
}

uint64_t hot_series_rows(const HotSeries *hot)
{
    return atomic_load_explicit(&hot->rows, memory_order_relaxed);
}
