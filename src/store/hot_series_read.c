// SPDX-License-Identifier: Apache-2.0
//
// A worker takes a slice of a window, chooses series shape by shape in passes over columns of
// codes, then copies their samples, under the shard's lock when the window is active.
#include "base/mem.h"
#include "store/hot_series_internal.h"

enum {
    BLOCK_SERIES = 128,
    LOCK_SERIES = 32, // copied under one lock
    CHOICE_SERIES = 2048,
    AHEAD = 2, // series whose chunks are fetched ahead
};

typedef enum HotAnswer { HOT_UNKNOWN, HOT_NO, HOT_YES } HotAnswer;

struct HotSeriesWorker {
    HotSeries *hot;
    HotWindow *window; // NULL: none yet
    uint32_t seen[2];  // windows left behind, by set
    uint32_t first[2]; // where it began
    bool begun[2];
    uint32_t slice_pos, slice_end; // series of the window
    uint32_t shape;                // of slice_pos
    // Of the window: hashes of dictionary entries by column, answers by matcher; made when they are
    // first needed.
    LabelsHash **hashes;
    uint8_t **answers;
    uint64_t *seeds; // by column
    // Series of one shape that match, and those of them that were handed out.
    const HotShape *chosen_shape;
    const uint32_t *codes; // of the chunk: column k begins at k * stride
    uint32_t stride;
    uint32_t chosen[CHOICE_SERIES]; // in the chunk
    uint32_t chosen_count, chosen_pos;
    // The block.
    uint32_t places[BLOCK_SERIES], firsts[BLOCK_SERIES], ends[BLOCK_SERIES];
    LabelsHash ids[BLOCK_SERIES];
    Str names[LABELS_COUNT_MAX];
    Str *values[LABELS_COUNT_MAX];
    Str *texts; // of the values: BLOCK_SERIES for each label
    size_t texts_cap;
    int64_t *ms;
    double *samples;
    Bytes *histograms;
    int64_t *starts;
    size_t caps[4];
};

HotSeriesWorker *hot_series_worker_new(HotSeries *hot)
{
    HotSeriesWorker *w = mem_new(HotSeriesWorker, 1);
    w->hot = hot;
    w->hashes = mem_new(LabelsHash *, (size_t)hot->column_count + 1);
    w->answers = mem_new(uint8_t *, hot->options.matcher_count);
    w->seeds = mem_new(uint64_t, (size_t)hot->column_count + 1);
    return w;
}

static void forget_window(HotSeriesWorker *w)
{
    for (uint32_t i = 0; i < w->hot->column_count + 1; i++) {
        mem_free(w->hashes[i]);
        w->hashes[i] = NULL;
    }
    for (size_t i = 0; i < w->hot->options.matcher_count; i++) {
        mem_free(w->answers[i]);
        w->answers[i] = NULL;
    }
    w->window = NULL;
}

void hot_series_worker_free(HotSeriesWorker *w)
{
    if (w == NULL) {
        return;
    }
    forget_window(w);
    mem_free(w->hashes);
    mem_free(w->answers);
    mem_free(w->seeds);
    mem_free(w->texts);
    mem_free(w->ms);
    mem_free(w->samples);
    mem_free(w->histograms);
    mem_free(w->starts);
    mem_free(w);
}

// --- choosing series -----------------------------------------------------------------------------

static uint32_t keep_code(uint32_t *chosen, uint32_t count, const uint32_t *codes, uint32_t only)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at = chosen[i];
        chosen[kept] = at;
        kept += codes[at] == only;
    }
    return kept;
}

static uint32_t keep_listed(uint32_t *chosen, uint32_t count, const uint32_t *codes,
                            const uint8_t *listed)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at = chosen[i];
        chosen[kept] = at;
        kept += listed[codes[at]];
    }
    return kept;
}

// Asks the matcher, once per value.
static uint32_t keep_matching(HotSeriesWorker *w, size_t matcher, const MetricsShapeLabel *label,
                              const uint32_t *codes)
{
    const HotMatcher *m = &w->window->matchers[matcher];
    const MetricsDict *dict = metrics_registry_dict(w->window->window->registry, label->column);
    const uint32_t slot =
        label->column < w->hot->column_count ? label->column : w->hot->column_count;
    // Shapes agree on the column of a label, so there is one dictionary for the answers.
    if (w->answers[matcher] == NULL) {
        w->answers[matcher] = mem_new(uint8_t, w->window->dict_counts[slot]);
    }
    uint8_t *answers = w->answers[matcher];
    uint32_t kept = 0;
    for (uint32_t i = 0; i < w->chosen_count; i++) {
        const uint32_t at = w->chosen[i];
        const uint32_t code = codes[at];
        if (answers[code] == HOT_UNKNOWN) {
            answers[code] =
                matcher_matches(m->matcher, metrics_dict_str(dict, code)) ? HOT_YES : HOT_NO;
        }
        w->chosen[kept] = at;
        kept += answers[code] == HOT_YES;
    }
    return kept;
}

static void apply_matchers(HotSeriesWorker *w, bool listed)
{
    const HotWindow *window = w->window;
    for (size_t i = 0; i < w->hot->options.matcher_count && w->chosen_count != 0; i++) {
        const HotMatcher *m = &window->matchers[i];
        const uint32_t at = w->chosen_shape->at[i];
        if (at == HOT_ABSENT || m->is_listed != listed) {
            continue;
        }
        const uint32_t *codes = w->codes + (size_t)at * w->stride;
        if (!m->is_listed) {
            w->chosen_count = keep_matching(w, i, &w->chosen_shape->shape->labels[at], codes);
        } else if (m->listed != NULL) {
            w->chosen_count = keep_listed(w->chosen, w->chosen_count, codes, m->listed);
        } else {
            w->chosen_count = keep_code(w->chosen, w->chosen_count, codes, m->only);
        }
    }
}

// Chooses among the next series of the slice: of one shape and one chunk.
static void choose(HotSeriesWorker *w)
{
    const HotWindow *window = w->window;
    while (window->shapes[w->shape].end <= w->slice_pos) {
        w->shape++;
    }
    const HotShape *s = &window->shapes[w->shape];
    const uint32_t first = w->shape == 0 ? 0 : window->shapes[w->shape - 1].end;
    const uint32_t end = s->end < w->slice_end ? s->end : w->slice_end;
    const MetricsShapePlace p = metrics_shape_place(w->slice_pos - first);
    uint32_t count = end - w->slice_pos;
    count = count < p.len - p.offset ? count : p.len - p.offset;
    count = count < CHOICE_SERIES ? count : CHOICE_SERIES;
    w->chosen_shape = s;
    w->codes = s->shape->chunks[p.chunk];
    w->stride = p.len;
    const uint32_t *series = w->codes + (size_t)s->shape->label_count * p.len;
    w->chosen_count = 0;
    w->chosen_pos = 0;
    for (uint32_t i = 0; i < count; i++) {
        w->chosen[w->chosen_count] = p.offset + i;
        w->chosen_count += series[p.offset + i] < window->series_limit;
    }
    w->slice_pos += count;
    apply_matchers(w, true);
    apply_matchers(w, false);
}

// --- samples -------------------------------------------------------------------------------------

static void reserve(HotSeriesWorker *w, size_t count)
{
    w->ms = mem_grow(w->ms, &w->caps[0], count, sizeof(*w->ms));
    w->samples = mem_grow(w->samples, &w->caps[1], count, sizeof(*w->samples));
}

static void copy_chunk(const MetricsChunk *c, uint32_t count, int64_t *ms, double *values)
{
    const int64_t base = c->base;
    const int32_t *dt = c->dt;
    for (uint32_t i = 0; i < count; i++) {
        ms[i] = base + dt[i];
    }
    memcpy(values, c->values, count * sizeof(*values));
}

static uint32_t trim_first(const HotSeriesWorker *w, uint32_t first, uint32_t end)
{
    while (first < end && w->ms[first] < w->hot->options.min_ms) {
        first++;
    }
    return first;
}

static uint32_t trim_end(const HotSeriesWorker *w, uint32_t first, uint32_t end)
{
    while (first < end && w->ms[end - 1] > w->hot->options.max_ms) {
        end--;
    }
    return end;
}

// Copies the chunks that may have samples of the range behind the `at` samples there are, from the
// newest to the oldest; all chunks of late series. Returns where the next series may begin.
static uint32_t copy_samples(HotSeriesWorker *w, const MetricsEntry *e, uint32_t k, uint32_t at)
{
    const MetricsWindow *window = w->window->window;
    const HotSeriesOptions *o = &w->hot->options;
    const bool late = (e->flags & METRICS_ENTRY_LATE) != 0;
    const uint32_t total = metrics_window_samples(window, e);
    uint32_t end = total; // of the samples of the chunk
    uint32_t copied_first = 0;
    uint32_t copied_end = 0;
    reserve(w, (size_t)at + total);
    for (uint32_t chunk = e->tail; chunk != 0;) {
        const MetricsChunk c = metrics_window_chunk(window, chunk);
        if (late || c.base <= o->max_ms) {
            copy_chunk(&c, end - c.before, w->ms + at + c.before, w->samples + at + c.before);
            copied_end = copied_end == 0 ? end : copied_end;
            copied_first = c.before;
            if (!late && o->last_only) { // its first sample is not past the range
                copied_end = trim_end(w, at + copied_first, at + end) - at;
                copied_first = copied_end - 1;
                break;
            }
        }
        if (!late && c.base <= o->min_ms) {
            break; // older ones are all before the range
        }
        end = c.before;
        chunk = c.prev;
    }
    w->firsts[k] = at + copied_first;
    w->ends[k] = at + copied_end;
    return at + total;
}

// Whether there is a sample in the range, when that can be told without looking at them.
static bool surely_in_range(const HotSeriesWorker *w, const MetricsEntry *e)
{
    return e->last_ms >= w->hot->options.min_ms && e->last_ms <= w->hot->options.max_ms;
}

static void fetch_chunk(const HotSeriesWorker *w, uint32_t chunk)
{
    if (chunk != 0) {
        const uint8_t *p = metrics_window_chunk_bytes(w->window->window, chunk);
        __builtin_prefetch(p);
        __builtin_prefetch(p + 64);
    }
}

typedef struct HotLook { // what was seen of a series
    const MetricsEntry *entry;
    bool late, extended;
} HotLook;

// Copies what the series [from, end) of the block have; `at` samples are there already. Returns how
// many are there then.
static uint32_t copy_some(HotSeriesWorker *w, uint32_t from, uint32_t end, uint32_t at,
                          HotLook *looks)
{
    const MetricsWindow *window = w->window->window;
    const uint32_t *series = w->codes + (size_t)w->chosen_shape->shape->label_count * w->stride;
    const bool locked = metrics_window_lock(window);
    for (uint32_t k = from; k < end; k++) {
        looks[k].entry = metrics_window_entry(window, series[w->places[k]]);
        fetch_chunk(w, looks[k].entry->tail);
    }
    for (uint32_t k = from; k < end; k++) {
        if (k + AHEAD < end && looks[k + AHEAD].entry->tail != 0 && !w->hot->options.last_only) {
            fetch_chunk(w, metrics_window_chunk(window, looks[k + AHEAD].entry->tail).prev);
        }
        const MetricsEntry *e = looks[k].entry;
        w->firsts[k] = at;
        w->ends[k] = at;
        looks[k].late = (e->flags & METRICS_ENTRY_LATE) != 0;
        looks[k].extended = (e->flags & METRICS_ENTRY_EXTENDED) != 0;
        if (e->tail == 0 || e->last_ms < w->hot->options.min_ms) {
            continue;
        }
        if (w->hot->options.no_samples && surely_in_range(w, e)) {
            reserve(w, (size_t)at + 1);
            w->ms[at] = e->last_ms;
            w->ends[k] = ++at;
            looks[k].late = false;
            looks[k].extended = false;
            continue;
        }
        at = copy_samples(w, e, k, at);
    }
    metrics_window_unlock(window, locked);
    return at;
}

static void resolve_records(HotSeriesWorker *w, uint32_t count, SeriesBlock *out)
{
    for (uint32_t k = 0; k < count; k++) {
        for (uint32_t i = w->firsts[k]; i < w->ends[k]; i++) {
            if (!metrics_slot_is_record(w->samples[i])) {
                continue;
            }
            const MetricsRecord *r = metrics_slot_record(w->samples[i]);
            w->samples[i] = r->value;
            if (r->blob_len != 0) {
                w->histograms[i] = (Bytes){r->blob, r->blob_len};
                out->histograms = w->histograms;
            }
            if (r->start_ms != INT64_MIN) {
                w->starts[i] = r->start_ms;
                out->start_ms = w->starts;
            }
        }
    }
}

static void prepare_records(HotSeriesWorker *w, uint32_t rows)
{
    const size_t room = rows == 0 ? 1 : rows; // without pruning there may be no sample in range
    w->histograms = mem_grow(w->histograms, &w->caps[2], room, sizeof(*w->histograms));
    w->starts = mem_grow(w->starts, &w->caps[3], room, sizeof(*w->starts));
    memset(w->histograms, 0, rows * sizeof(*w->histograms));
    for (uint32_t i = 0; i < rows; i++) {
        w->starts[i] = INT64_MIN;
    }
}

// Samples of the next series that were chosen; returns how many series have some in the range.
static uint32_t take_samples(HotSeriesWorker *w, SeriesBlock *out)
{
    HotLook looks[BLOCK_SERIES];
    uint32_t count = w->chosen_count - w->chosen_pos;
    count = count < BLOCK_SERIES ? count : BLOCK_SERIES;
    memcpy(w->places, w->chosen + w->chosen_pos, count * sizeof(*w->places));
    w->chosen_pos += count;
    uint32_t rows = 0;
    for (uint32_t from = 0; from < count; from += LOCK_SERIES) {
        const uint32_t end = from + LOCK_SERIES < count ? from + LOCK_SERIES : count;
        rows = copy_some(w, from, end, rows, looks);
    }
    uint32_t kept = 0;
    uint64_t samples = 0;
    bool extended = false;
    for (uint32_t k = 0; k < count; k++) {
        uint32_t first = w->firsts[k];
        uint32_t end = w->ends[k];
        if (looks[k].late && first < end) {
            end = first +
                  (uint32_t)metrics_samples_sort(w->ms + first, w->samples + first, end - first);
        }
        first = trim_first(w, first, end);
        end = trim_end(w, first, end);
        extended = extended || looks[k].extended;
        w->places[kept] = w->places[k];
        w->firsts[kept] = first;
        w->ends[kept] = end;
        kept += first < end;
        samples += end - first;
    }
    out->timestamps_ms = w->ms;
    out->samples = w->hot->options.no_samples ? NULL : w->samples;
    if (extended && !w->hot->options.no_samples) {
        prepare_records(w, rows);
        resolve_records(w, kept, out);
    }
    atomic_fetch_add_explicit(&w->hot->rows, samples, memory_order_relaxed);
    return kept;
}

// --- labels --------------------------------------------------------------------------------------

static uint64_t seed_of(HotSeriesWorker *w, const MetricsShapeLabel *label)
{
    if (label->column >= w->hot->column_count) {
        return identity_seed(w->hot->key, label->name);
    }
    uint64_t *seed = &w->seeds[label->column];
    if (*seed == 0) {
        *seed = identity_seed(w->hot->key, label->name);
    }
    return *seed;
}

// Hashes are kept for dictionaries that have far fewer values than there are series.
static LabelsHash *hashes_of(HotSeriesWorker *w, const MetricsShapeLabel *label)
{
    const uint32_t column = label->column;
    if (column >= w->hot->column_count ||
        w->window->dict_counts[column] > w->window->series_count / 2) {
        return NULL;
    }
    if (w->hashes[column] == NULL) {
        w->hashes[column] = mem_new(LabelsHash, w->window->dict_counts[column]);
    }
    return w->hashes[column];
}

static void add_hashes(HotSeriesWorker *w, uint32_t k, uint32_t count)
{
    const MetricsShapeLabel *label = &w->chosen_shape->shape->labels[k];
    const MetricsDict *dict = metrics_registry_dict(w->window->window->registry, label->column);
    const uint32_t *codes = w->codes + (size_t)k * w->stride;
    const uint64_t seed = seed_of(w, label);
    LabelsHash *known = hashes_of(w, label);
    LabelsHash hash = {0};
    uint32_t last = METRICS_CODE_NONE;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t code = codes[w->places[i]];
        if (code != last) {
            last = code;
            if (known == NULL) {
                hash = identity_hash(seed, metrics_dict_str(dict, code));
            } else {
                if (known[code].lo == 0) {
                    known[code] = identity_hash(seed, metrics_dict_str(dict, code));
                }
                hash = known[code];
            }
        }
        identity_add(&w->ids[i], hash);
    }
}

static void add_texts(HotSeriesWorker *w, uint32_t k, uint32_t count, Str *texts)
{
    const MetricsShapeLabel *label = &w->chosen_shape->shape->labels[k];
    const MetricsDict *dict = metrics_registry_dict(w->window->window->registry, label->column);
    const uint32_t *codes = w->codes + (size_t)k * w->stride;
    Str text = {0};
    uint32_t last = METRICS_CODE_NONE;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t code = codes[w->places[i]];
        if (code != last) {
            text = metrics_dict_str(dict, code);
            last = code;
        }
        texts[i] = text;
    }
}

static void take_labels(HotSeriesWorker *w, uint32_t count, SeriesBlock *out)
{
    const MetricsShape *shape = w->chosen_shape->shape;
    memset(w->ids, 0, count * sizeof(*w->ids));
    w->texts = mem_grow(w->texts, &w->texts_cap, (size_t)shape->label_count * BLOCK_SERIES,
                        sizeof(*w->texts));
    for (uint32_t k = 0; k < shape->label_count; k++) {
        if (!w->hot->options.no_ids) {
            add_hashes(w, k, count);
        }
        if (hot_series_asks(w->hot, shape->labels[k].name)) {
            Str *texts = w->texts + out->label_count * BLOCK_SERIES;
            add_texts(w, k, count, texts);
            w->names[out->label_count] = shape->labels[k].name;
            w->values[out->label_count++] = texts;
        }
    }
    out->count = count;
    out->ids = w->hot->options.no_ids ? NULL : w->ids;
    out->names = w->names;
    out->values = w->values;
    out->firsts = w->firsts;
    out->ends = w->ends;
}

// --- slices --------------------------------------------------------------------------------------

// The next slice of the worker's window; false when it has none left.
static bool next_slice(HotSeriesWorker *w)
{
    HotWindow *window = w->window;
    if (atomic_load_explicit(&window->next, memory_order_relaxed) >= window->series_count) {
        return false;
    }
    w->slice_pos = atomic_fetch_add_explicit(&window->next, HOT_SLICE_SERIES, memory_order_relaxed);
    if (w->slice_pos >= window->series_count) {
        return false;
    }
    const uint32_t left = window->series_count - w->slice_pos;
    w->slice_end = w->slice_pos + (left < HOT_SLICE_SERIES ? left : HOT_SLICE_SERIES);
    w->shape = 0;
    return true;
}

// Goes to the next window of the set, each worker in a round of its own.
static bool next_window(HotSeriesWorker *w, HotSeriesSet set)
{
    HotSeries *hot = w->hot;
    if (!w->begun[set]) {
        w->begun[set] = true;
        w->first[set] = atomic_fetch_add_explicit(&hot->begun[set], 1, memory_order_relaxed);
    }
    // Workers begin far apart, so that each has windows of its own for as long as there are some.
    const size_t count = hot->window_count;
    while (w->seen[set] < count) {
        const size_t apart = (size_t)w->first[set] * (count / 2 + 1);
        HotWindow *window = &hot->windows[(apart + w->seen[set]++) % count];
        if (window->set == set) {
            forget_window(w);
            w->window = window;
            return true;
        }
    }
    return false;
}

static bool more_chosen(HotSeriesWorker *w, HotSeriesSet set)
{
    while (w->chosen_pos == w->chosen_count) {
        if (w->slice_pos == w->slice_end && (w->window == NULL || !next_slice(w))) {
            w->slice_pos = 0;
            w->slice_end = 0;
            if (!next_window(w, set)) {
                forget_window(w);
                return false;
            }
            continue;
        }
        choose(w);
    }
    return true;
}

void hot_series_next(HotSeriesWorker *w, HotSeriesSet set, SeriesBlock *out, uint32_t *age)
{
    do {
        *out = (SeriesBlock){0};
        if (!more_chosen(w, set)) {
            return;
        }
        const uint32_t count = take_samples(w, out);
        if (count != 0) {
            take_labels(w, count, out);
        }
    } while (out->count == 0);
    *age = w->window->age;
}
