// SPDX-License-Identifier: Apache-2.0
#include "store/metrics_vectors_internal.h"

enum { CODE_STRING = 0 }; // in runs of strings and maps, of which no two are alike

// --- runs ----------------------------------------------------------------------------------------

void metrics_runs_deinit(MetricsRuns *r)
{
    mem_free(r->ends);
    mem_free(r->codes);
    mem_free(r->validity);
    *r = (MetricsRuns){0};
}

void metrics_runs_grow(MetricsRuns *r)
{
    size_t ends_cap = r->cap;
    size_t codes_cap = r->cap;
    r->ends = mem_grow(r->ends, &ends_cap, r->count + 1, sizeof(*r->ends));
    r->codes = mem_grow(r->codes, &codes_cap, r->count + 1, sizeof(*r->codes));
    r->cap = codes_cap;
}

// Bits for the runs that are not null, whose codes become ones that exist; NULL when all are.
static const uint64_t *runs_validity(MetricsRuns *r)
{
    if (!r->has_null) {
        return NULL;
    }
    mem_free(r->validity);
    r->validity = mem_new(uint64_t, r->count / 64 + 1);
    for (size_t i = 0; i < r->count; i++) {
        const bool valid = r->codes[i] != METRICS_CODE_NONE;
        validity_set(r->validity, i, valid);
        r->codes[i] = valid ? r->codes[i] : 0;
    }
    return r->validity;
}

static uint32_t runs_rows(const MetricsRuns *r)
{
    return r->count == 0 ? 0 : r->ends[r->count - 1];
}

static Vector runs_outer(const MetricsRuns *r, const Vector *inner)
{
    return (Vector){
        .type = inner->type,
        .form = VECTOR_RUNS,
        .row_count = runs_rows(r),
        .run_count = (uint32_t)r->count,
        .run_ends = r->ends,
        .runs = inner,
    };
}

Vector metrics_runs_vector(MetricsRuns *r, const Vector *dict)
{
    r->inner = (Vector){
        .type = dict->type,
        .form = VECTOR_DICT,
        .row_count = (uint32_t)r->count,
        .validity = runs_validity(r),
        .codes = r->codes,
        .dict = dict,
    };
    return runs_outer(r, &r->inner);
}

// --- texts ---------------------------------------------------------------------------------------

void metrics_texts_deinit(MetricsTexts *x)
{
    metrics_runs_deinit(&x->runs);
    mem_free(x->offsets);
    buf_deinit(&x->bytes);
    *x = (MetricsTexts){0};
}

void metrics_texts_clear(MetricsTexts *x)
{
    metrics_runs_clear(&x->runs);
    buf_clear(&x->bytes);
    x->last = (Str){0};
}

// A new run even when it looks like the one before.
static void runs_add_new(MetricsRuns *r, uint32_t code, uint32_t end)
{
    if (r->count == r->cap) {
        metrics_runs_grow(r);
    }
    r->ends[r->count] = end;
    r->codes[r->count] = code;
    r->has_null = r->has_null || code == METRICS_CODE_NONE;
    r->count++;
}

bool metrics_texts_add(MetricsTexts *x, Str s, uint32_t end)
{
    MetricsRuns *r = &x->runs;
    if (r->count != 0 && (s.ptr == NULL) == (x->last.ptr == NULL) && str_eq(s, x->last)) {
        r->ends[r->count - 1] = end;
        return true;
    }
    if (x->bytes.len + s.len > METRICS_TEXT_BYTES_MAX) {
        return false;
    }
    x->offsets = mem_grow(x->offsets, &x->offsets_cap, r->count + 2, sizeof(*x->offsets));
    x->offsets[r->count] = (uint32_t)x->bytes.len;
    buf_put_str(&x->bytes, s);
    x->offsets[r->count + 1] = (uint32_t)x->bytes.len;
    runs_add_new(r, s.ptr == NULL ? METRICS_CODE_NONE : CODE_STRING, end);
    x->last = s;
    return true;
}

static const uint32_t no_offsets[1] = {0};

static void texts_inner(MetricsTexts *x)
{
    x->inner = (Vector){
        .type = COLUMN_STRING,
        .form = VECTOR_FLAT,
        .row_count = (uint32_t)x->runs.count,
        .validity = runs_validity(&x->runs),
        .offsets = x->runs.count == 0 ? no_offsets : x->offsets,
        .bytes = x->bytes.ptr,
    };
}

Vector metrics_texts_vector(MetricsTexts *x)
{
    texts_inner(x);
    return runs_outer(&x->runs, &x->inner);
}

// --- maps ----------------------------------------------------------------------------------------

void metrics_maps_deinit(MetricsMaps *m)
{
    metrics_runs_deinit(&m->runs);
    mem_free(m->offsets);
    metrics_texts_deinit(&m->keys);
    metrics_texts_deinit(&m->values);
    *m = (MetricsMaps){0};
}

void metrics_maps_clear(MetricsMaps *m)
{
    metrics_runs_clear(&m->runs);
    metrics_texts_clear(&m->keys);
    metrics_texts_clear(&m->values);
    m->pair_count = 0;
}

// One row of a FLAT vector: no two of them are made one.
static bool texts_add_row(MetricsTexts *x, Str s, uint32_t end)
{
    x->last = (Str){0};
    return metrics_texts_add(x, (Str){s.len == 0 ? "" : s.ptr, s.len}, end);
}

bool metrics_maps_add(MetricsMaps *m, const Str *keys, const Str *values, size_t count,
                      uint32_t end)
{
    MetricsRuns *r = &m->runs;
    if (count == 0 && r->count != 0 && r->codes[r->count - 1] == METRICS_CODE_NONE) {
        r->ends[r->count - 1] = end;
        return true;
    }
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += keys[i].len + values[i].len;
    }
    if (m->keys.bytes.len + m->values.bytes.len + bytes > METRICS_TEXT_BYTES_MAX) {
        return false;
    }
    m->offsets = mem_grow(m->offsets, &m->offsets_cap, r->count + 2, sizeof(*m->offsets));
    m->offsets[r->count] = m->pair_count;
    for (size_t i = 0; i < count; i++) {
        m->pair_count++;
        // There is room for both: the sum was looked at.
        (void)texts_add_row(&m->keys, keys[i], m->pair_count);
        (void)texts_add_row(&m->values, values[i], m->pair_count);
    }
    m->offsets[r->count + 1] = m->pair_count;
    runs_add_new(r, count == 0 ? METRICS_CODE_NONE : CODE_STRING, end);
    return true;
}

Vector metrics_maps_vector(MetricsMaps *m)
{
    texts_inner(&m->keys);
    texts_inner(&m->values);
    m->inner = (Vector){
        .type = COLUMN_MAP,
        .form = VECTOR_FLAT,
        .row_count = (uint32_t)m->runs.count,
        .validity = runs_validity(&m->runs),
        .offsets = m->runs.count == 0 ? no_offsets : m->offsets,
        .keys = &m->keys.inner,
        .values = &m->values.inner,
    };
    return runs_outer(&m->runs, &m->inner);
}

// --- days ----------------------------------------------------------------------------------------

void metrics_days_deinit(MetricsDays *d)
{
    metrics_runs_deinit(&d->runs);
    mem_free(d->days);
    *d = (MetricsDays){0};
}

// Days to µs; days outside of what a timestamp can be are cut.
static int64_t us_of_day(int64_t day)
{
    const int64_t max = METRICS_TIMESTAMP_MAX_MS / 86400000 + 1;
    const int64_t min = METRICS_TIMESTAMP_MIN_MS / 86400000 - 1;
    return (day > max ? max : day < min ? min : day) * METRICS_DAY_US;
}

void metrics_day_range_us(int64_t *low, int64_t *high)
{
    *low = *low == INT64_MIN ? *low : us_of_day(*low);
    *high =
        *high == INT64_MAX || *high == INT64_MIN ? *high : us_of_day(*high) + METRICS_DAY_US - 1;
}

Vector metrics_days_vector(MetricsDays *d, const int64_t *us, uint32_t row_count)
{
    MetricsRuns *r = &d->runs;
    int64_t from = 0; // of the newest run's day
    metrics_runs_clear(r);
    for (uint32_t i = 0; i < row_count; i++) {
        if (r->count == 0 || us[i] < from || us[i] - from >= METRICS_DAY_US) {
            const int32_t day = metrics_day_of_us(us[i]);
            from = day * METRICS_DAY_US;
            d->days = mem_grow(d->days, &d->days_cap, r->count + 1, sizeof(*d->days));
            d->days[r->count] = day;
            if (r->count != 0) {
                r->ends[r->count - 1] = i;
            }
            runs_add_new(r, CODE_STRING, row_count);
        }
    }
    d->inner = (Vector){
        .type = COLUMN_DATE,
        .form = VECTOR_FLAT,
        .row_count = (uint32_t)r->count,
        .data = d->days,
    };
    return runs_outer(r, &d->inner);
}

void metrics_day_counts_init(MetricsDayCounts *d, int32_t first, int32_t last)
{
    *d = (MetricsDayCounts){.first = first, .last = last};
    d->rows = mem_new(uint64_t, first > last ? 0 : 2 * ((size_t)(last - first) + 1));
}

void metrics_day_counts_deinit(MetricsDayCounts *d)
{
    mem_free(d->rows);
    *d = (MetricsDayCounts){0};
}
