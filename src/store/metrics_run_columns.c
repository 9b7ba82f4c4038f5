// SPDX-License-Identifier: Apache-2.0
#include "store/metrics_run_internal.h"

#include <stdlib.h>

enum {
    LOCK_SERIES = 4096,        // entries looked at under one lock
    DICT_VALUES_MIN = 4096,    // a column of so few values always has a merged dictionary
    DICT_SERIES_PER_VALUE = 8, // and one with so many series per value,
    DICT_SERIES_PER_ENTRY = 2, // when not too many entries of dictionaries have to be merged
    SAMPLE_VALUES = 64,        // looked up in other dictionaries to estimate how many are alike
    WORD_BITS = 64,
};

// --- collecting ----------------------------------------------------------------------------------

static void mark_used(MetricsRun *run, const MetricsRunRegistry *r, uint32_t series)
{
    const MetricsSeriesEntry *s =
        METRICS_AT(const MetricsSeriesEntry, &r->registry->series, series);
    const MetricsShape *shape = metrics_registry_shape(r->registry, s->shape);
    uint32_t stride = 0;
    const uint32_t *codes = metrics_shape_codes(shape, s->ordinal, &stride);
    for (uint32_t k = 0; k < shape->label_count; k++) {
        const uint32_t column = shape->labels[k].column;
        if (column == METRICS_COLUMN_NONE || !run->layout.is_field[column]) {
            run->has_map = true;
        } else {
            validity_set(r->used[column], codes[(size_t)k * stride], true);
        }
    }
}

// Notes the series from..to of the selection that have samples.
static void collect_slice(MetricsRun *run, uint32_t window, const MetricsSelection *selection,
                          uint32_t from, uint32_t to)
{
    const MetricsWindow *w = run->windows[window].window;
    run->refs =
        mem_grow(run->refs, &run->refs_cap, run->count + (to - from) + 1, sizeof(*run->refs));
    const bool locked = metrics_window_lock(w);
    for (uint32_t i = from; i < to; i++) {
        const uint32_t series = selection->series == NULL ? i : selection->series[i];
        if (metrics_window_entry(w, series)->tail != 0) {
            run->refs[run->count++] = (uint64_t)window << 32 | series;
        }
    }
    metrics_window_unlock(w, locked);
}

bool metrics_run_collect(MetricsRun *run, const MetricsSelection *selections)
{
    for (uint32_t k = 0; k < run->window_count; k++) {
        const uint32_t count = selections[k].count;
        const size_t before = run->count;
        if (run->count + count > METRICS_RUN_SERIES_MAX) {
            return false;
        }
        for (uint32_t from = 0; from < count; from += LOCK_SERIES) {
            collect_slice(run, k, &selections[k], from,
                          count - from < LOCK_SERIES ? count : from + LOCK_SERIES);
        }
        const MetricsRunRegistry *r = &run->registries[run->windows[k].registry];
        for (size_t id = before; id < run->count; id++) {
            mark_used(run, r, (uint32_t)run->refs[id]);
        }
        MetricsWindowInfo info;
        metrics_window_info(run->windows[k].window, &info);
        run->row_count += info.row_count;
    }
    return true;
}

// --- dictionaries --------------------------------------------------------------------------------

static bool is_used(const MetricsRunRegistry *r, uint32_t column, uint32_t code)
{
    return (r->used[column][code >> 6] >> (code & 63) & 1) != 0;
}

// The next used code from `code` on; the number of codes when there is none.
static uint32_t used_next(const MetricsRunRegistry *r, uint32_t column, uint32_t code)
{
    while (code < r->code_counts[column] && !is_used(r, column, code)) {
        code = (code & 63) == 0 && r->used[column][code >> 6] == 0 ? code + 64 : code + 1;
    }
    return code < r->code_counts[column] ? code : r->code_counts[column];
}

static uint64_t count_used(const MetricsRun *run, uint32_t column)
{
    uint64_t count = 0;
    for (size_t i = 0; i < run->registry_count; i++) {
        const MetricsRunRegistry *r = &run->registries[i];
        for (uint32_t word = 0; r->code_counts[column] != 0 && word <= r->code_counts[column] / 64;
             word++) {
            count += (uint64_t)__builtin_popcountll(r->used[column][word]);
        }
    }
    return count;
}

// Values of all registries on their way to one dictionary.
typedef struct Merge {
    Str *texts;
    uint32_t *registries;
    uint32_t *codes;
} Merge;

static Str merge_text(const void *ctx, uint32_t id)
{
    return ((const Merge *)ctx)->texts[id];
}

static Merge merge_collect(const MetricsRun *run, const MetricsRunColumn *c, MetricsSortItem *items)
{
    const Merge m = {.texts = mem_new(Str, c->used),
                     .registries = mem_new(uint32_t, c->used),
                     .codes = mem_new(uint32_t, c->used)};
    uint32_t n = 0;
    for (uint32_t i = 0; i < run->registry_count; i++) {
        const MetricsRunRegistry *r = &run->registries[i];
        for (uint32_t code = used_next(r, c->column, 0); code < r->code_counts[c->column];
             code = used_next(r, c->column, code + 1)) {
            m.texts[n] = metrics_dict_str(r->dicts[c->column], code);
            m.registries[n] = i;
            m.codes[n] = code;
            items[n] = (MetricsSortItem){.id = n};
            n++;
        }
    }
    ASSERT(n == c->used);
    return m;
}

// Sorts the values, numbers the distinct ones from 1, and lays them out as a vector.
static void column_merge(MetricsRun *run, MetricsRunColumn *c)
{
    MetricsSortItem *items = mem_new(MetricsSortItem, c->used);
    MetricsSortItem *spare = mem_new(MetricsSortItem, c->used);
    Merge m = merge_collect(run, c, items);
    metrics_sort_texts(items, spare, c->used, &(MetricsSortTexts){.text = merge_text, .ctx = &m});
    for (size_t i = 0; i < run->registry_count; i++) {
        MetricsRunRegistry *r = &run->registries[i];
        r->ranks[c->column] =
            mem_alloc_raw(((size_t)r->code_counts[c->column] + 1) * sizeof(uint32_t));
    }
    size_t bytes = 0;
    for (size_t i = 0; i < c->used; i++) {
        bytes += m.texts[i].len;
    }
    c->offsets = mem_alloc_raw((c->used + 1) * sizeof(uint32_t));
    c->bytes = mem_alloc_raw(bytes);
    uint32_t rank = 0;
    uint32_t at = 0;
    c->offsets[0] = 0;
    for (size_t i = 0; i < c->used; i++) {
        const uint32_t id = items[i].id;
        if (i == 0 || !str_eq(m.texts[items[i - 1].id], m.texts[id])) {
            memcpy(c->bytes + at, m.texts[id].ptr, m.texts[id].len);
            at += (uint32_t)m.texts[id].len;
            c->offsets[++rank] = at;
        }
        run->registries[m.registries[id]].ranks[c->column][m.codes[id]] = rank;
    }
    c->cardinality = rank;
    c->dict = (Vector){.type = COLUMN_STRING,
                       .form = VECTOR_FLAT,
                       .row_count = rank,
                       .offsets = c->offsets,
                       .bytes = c->bytes};
    mem_free(items);
    mem_free(spare);
    mem_free(m.texts);
    mem_free(m.registries);
    mem_free(m.codes);
}

// The registry with most values of the column.
static size_t largest_registry(const MetricsRun *run, uint32_t column)
{
    size_t largest = 0;
    for (size_t i = 1; i < run->registry_count; i++) {
        if (run->registries[i].code_counts[column] > run->registries[largest].code_counts[column]) {
            largest = i;
        }
    }
    return largest;
}

// How many of the texts another registry knows.
static uint32_t count_known(const MetricsRunRegistry *r, uint32_t column, const Str *texts,
                            uint32_t count)
{
    uint32_t known = 0;
    mutex_lock(&r->shard->mu);
    for (uint32_t i = 0; i < count && r->dicts[column] != NULL; i++) {
        known += metrics_dict_find(r->dicts[column], texts[i], r->registry->key) <
                 r->code_counts[column];
    }
    mutex_unlock(&r->shard->mu);
    return known;
}

// Distinct values of a column, from how many of a sample of one registry's values the others have
// as well: a value of many series is in every shard, one of a single series in one.
static uint64_t estimate_values(const MetricsRun *run, const MetricsRunColumn *c)
{
    Str texts[SAMPLE_VALUES];
    const size_t from = largest_registry(run, c->column);
    const MetricsRunRegistry *r = &run->registries[from];
    const uint32_t step = r->code_counts[c->column] / SAMPLE_VALUES + 1;
    uint32_t count = 0;
    for (uint32_t code = used_next(r, c->column, 0);
         code < r->code_counts[c->column] && count < SAMPLE_VALUES;
         code = used_next(r, c->column, code + step)) {
        texts[count++] = metrics_dict_str(r->dicts[c->column], code);
    }
    uint64_t known = 0;
    for (size_t i = 0; i < run->registry_count && count != 0; i++) {
        known += i == from ? 0 : count_known(&run->registries[i], c->column, texts, count);
    }
    return count == 0 ? c->used : c->used * count / (count + known);
}

// How many bytes all values of a column begin with alike.
static size_t column_skip(const MetricsRun *run, const MetricsRunColumn *c)
{
    Str first = {0};
    for (size_t i = 0; i < run->registry_count; i++) {
        const MetricsRunRegistry *r = &run->registries[i];
        for (uint32_t code = used_next(r, c->column, 0); code < r->code_counts[c->column];
             code = used_next(r, c->column, code + 1)) {
            const Str s = metrics_dict_str(r->dicts[c->column], code);
            size_t n = 0;
            first = first.ptr == NULL ? s : first;
            while (n < s.len && n < first.len && s.ptr[n] == first.ptr[n]) {
                n++;
            }
            first.len = n;
        }
    }
    return first.len;
}

// --- columns -------------------------------------------------------------------------------------

static int column_compare(const void *a, const void *b)
{
    const MetricsRunColumn *x = a;
    const MetricsRunColumn *y = b;
    return x->cardinality != y->cardinality
               ? (x->cardinality > y->cardinality) - (x->cardinality < y->cardinality)
               : (x->column > y->column) - (x->column < y->column);
}

// metric_name, then the columns asked for, then the others, fewest values first.
static void order_columns(MetricsRun *run, const size_t *sort_fields, size_t sort_field_count)
{
    size_t done = 0;
    for (size_t want = 0; want <= sort_field_count; want++) {
        for (size_t i = done; i < run->column_count; i++) {
            const bool match = want == 0 ? run->columns[i].column == METRICS_COLUMN_NAME
                                         : run->columns[i].field == sort_fields[want - 1];
            if (match) {
                const MetricsRunColumn swap = run->columns[i];
                run->columns[i] = run->columns[done];
                run->columns[done++] = swap;
                break;
            }
        }
    }
    qsort(run->columns + done, run->column_count - done, sizeof(*run->columns), column_compare);
    run->order_fields = mem_new(size_t, run->layout.field_count);
    for (size_t i = 0; i < run->column_count; i++) {
        run->order_fields[run->order_count++] = run->columns[i].field;
    }
}

static uint32_t bits_for(uint64_t max)
{
    return max == 0 ? 0 : WORD_BITS - (uint32_t)__builtin_clzll(max);
}

static void add_stage(MetricsRun *run, MetricsRunStageKind kind, uint32_t index)
{
    run->stages[run->stage_count++] = (MetricsRunStage){kind, index};
}

// Packs the columns into words and texts in sort order.
static void place_columns(MetricsRun *run)
{
    uint32_t free_bits = 0;
    run->stages = mem_new(MetricsRunStage, run->column_count * 2 + 1);
    for (uint32_t i = 0; i < run->column_count; i++) {
        MetricsRunColumn *c = &run->columns[i];
        if (c->wide) {
            c->text = run->text_count++;
            add_stage(run, METRICS_STAGE_TEXT, i);
            free_bits = 0; // what follows sorts after it, so it goes to another word
            continue;
        }
        const uint32_t bits = bits_for(c->cardinality);
        if (bits > free_bits) {
            add_stage(run, METRICS_STAGE_WORD, run->word_count++);
            free_bits = WORD_BITS;
        }
        free_bits -= bits;
        c->word = run->word_count - 1;
        c->shift = free_bits;
        c->mask = (bits == WORD_BITS ? ~UINT64_C(0) : (UINT64_C(1) << bits) - 1) << free_bits;
    }
    if (run->has_map) {
        add_stage(run, METRICS_STAGE_MAP, 0);
    }
}

void metrics_run_columns(MetricsRun *run, const size_t *sort_fields, size_t sort_field_count)
{
    run->columns = mem_new(MetricsRunColumn, run->layout.field_count);
    for (size_t field = 0; field < run->layout.field_count; field++) {
        const uint32_t column = run->layout.columns[field];
        const uint64_t used = column < run->directory_count ? count_used(run, column) : 0;
        if (used != 0) {
            run->columns[run->column_count++] =
                (MetricsRunColumn){.column = column, .field = field, .used = used};
            MetricsRunColumn *c = &run->columns[run->column_count - 1];
            c->cardinality = used > DICT_VALUES_MIN ? estimate_values(run, c) : used;
        }
    }
    order_columns(run, sort_fields, sort_field_count);
    for (size_t i = 0; i < run->column_count; i++) {
        MetricsRunColumn *c = &run->columns[i];
        c->wide =
            c->used > DICT_VALUES_MIN && (c->cardinality > run->count / DICT_SERIES_PER_VALUE ||
                                          c->used > run->count / DICT_SERIES_PER_ENTRY);
        if (c->wide) {
            c->skip = column_skip(run, c);
        } else {
            column_merge(run, c);
        }
    }
    place_columns(run);
}

// --- records -------------------------------------------------------------------------------------

void metrics_run_records(MetricsRun *run)
{
    const size_t stride = run->word_count + run->text_count;
    MetricsRunColumn **by_column = mem_new(MetricsRunColumn *, run->directory_count);
    run->records = mem_new(MetricsRunCell, run->count * stride);
    for (size_t i = 0; i < run->column_count; i++) {
        by_column[run->columns[i].column] = &run->columns[i];
    }
    for (size_t id = 0; id < run->count; id++) {
        const MetricsRunRegistry *r = &run->registries[run->windows[run->refs[id] >> 32].registry];
        const MetricsSeriesEntry *s =
            METRICS_AT(const MetricsSeriesEntry, &r->registry->series, (uint32_t)run->refs[id]);
        const MetricsShape *shape = metrics_registry_shape(r->registry, s->shape);
        uint32_t code_stride = 0;
        const uint32_t *codes = metrics_shape_codes(shape, s->ordinal, &code_stride);
        MetricsRunCell *record = run->records + id * stride;
        for (uint32_t k = 0; k < shape->label_count; k++) {
            const uint32_t column = shape->labels[k].column;
            if (column == METRICS_COLUMN_NONE || !run->layout.is_field[column]) {
                continue;
            }
            const MetricsRunColumn *c = by_column[column];
            const uint32_t code = codes[(size_t)k * code_stride];
            if (c->wide) {
                record[run->word_count + c->text].text = metrics_dict_entry(r->dicts[column], code);
            } else {
                record[c->word].word |= (uint64_t)r->ranks[column][code] << c->shift;
            }
        }
    }
    for (size_t i = 0; i < run->column_count; i++) {
        MetricsRunColumn *c = &run->columns[i];
        for (size_t id = 0; c->wide && id < run->count && !c->has_null; id++) {
            c->has_null = run->records[id * stride + run->word_count + c->text].text == NULL;
        }
    }
    mem_free(by_column);
}
