// SPDX-License-Identifier: Apache-2.0
#include "tests/model/store_model.h"

#include "base/mem.h"
#include "base/strmap.h"

#include <stdlib.h>

// --- the naive store -----------------------------------------------------------------------------

struct Model {
    StrMap map; // "series @ timestamp" -> index
    ModelSample *samples;
    size_t count, cap;
    ModelSample *sorted;
    size_t sorted_cap;
};

Model *model_new(void)
{
    Model *m = mem_new(Model, 1);
    strmap_init(&m->map);
    return m;
}

void model_free(Model *m)
{
    if (m == NULL) {
        return;
    }
    strmap_deinit(&m->map);
    mem_free(m->samples);
    mem_free(m->sorted);
    mem_free(m);
}

static void put_key(Buf *key, Str series, int64_t timestamp_ms)
{
    buf_init(key, 0);
    buf_putf(key, "%020" PRIu64 " ", (uint64_t)timestamp_ms);
    buf_put_str(key, series);
}

void model_put(Model *m, Str series, int64_t timestamp_ms, uint64_t value)
{
    Buf key;
    bool created;
    put_key(&key, series, timestamp_ms);
    const uint64_t at = *strmap_put(&m->map, buf_str(&key), m->count, &created);
    buf_deinit(&key);
    if (created) {
        const Str text = m->map.entries[m->map.count - 1].key;
        m->samples = mem_grow(m->samples, &m->cap, m->count + 1, sizeof(*m->samples));
        m->samples[m->count++] =
            (ModelSample){.series = str_slice(text, 21, text.len), .timestamp_ms = timestamp_ms};
    }
    m->samples[at].value = value;
}

size_t model_count(const Model *m)
{
    return m->count;
}

const uint64_t *model_get(const Model *m, Str series, int64_t timestamp_ms)
{
    Buf key;
    put_key(&key, series, timestamp_ms);
    const uint64_t *at = strmap_get(&m->map, buf_str(&key));
    buf_deinit(&key);
    return at == NULL ? NULL : &m->samples[*at].value;
}

static int compare_text(Str a, Str b)
{
    const size_t n = a.len < b.len ? a.len : b.len;
    const int order = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_samples(const void *a, const void *b)
{
    const ModelSample *x = a;
    const ModelSample *y = b;
    const int order = compare_text(x->series, y->series);
    if (order != 0) {
        return order;
    }
    return (x->timestamp_ms > y->timestamp_ms) - (x->timestamp_ms < y->timestamp_ms);
}

const ModelSample *model_samples(Model *m)
{
    m->sorted = mem_grow(m->sorted, &m->sorted_cap, m->count + 1, sizeof(*m->sorted));
    if (m->count > 0) {
        memcpy(m->sorted, m->samples, m->count * sizeof(*m->sorted));
    }
    qsort(m->sorted, m->count, sizeof(*m->sorted), compare_samples);
    return m->sorted;
}

// --- writing -------------------------------------------------------------------------------------

typedef struct BatchSample {
    Str wire, text;
    int64_t timestamp_ms;
    uint64_t value;
} BatchSample;

struct SampleBatch {
    Arena arena;
    BatchSample *samples;
    size_t count, cap;
    bool extended;
};

SampleBatch *sample_batch_new(void)
{
    SampleBatch *b = mem_new(SampleBatch, 1);
    arena_init(&b->arena, 0);
    return b;
}

void sample_batch_free(SampleBatch *b)
{
    if (b != NULL) {
        arena_deinit(&b->arena);
        mem_free(b->samples);
        mem_free(b);
    }
}

void sample_batch_clear(SampleBatch *b)
{
    arena_reset(&b->arena);
    b->count = 0;
}

static int compare_labels(const void *a, const void *b)
{
    return compare_text(((const Label *)a)->name, ((const Label *)b)->name);
}

static const Label *sorted_labels(const Label *labels, size_t count, Arena *arena, size_t *kept)
{
    Label *out = arena_new(arena, Label, count);
    *kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (labels[i].value.len > 0) {
            out[(*kept)++] = labels[i];
        }
    }
    qsort(out, *kept, sizeof(*out), compare_labels);
    return out;
}

Str series_text(const Label *labels, size_t count, Arena *arena)
{
    size_t n;
    const LabelSet set = {.labels = sorted_labels(labels, count, arena, &n)};
    Buf text;
    buf_init(&text, 0);
    labels_format(&(LabelSet){.labels = set.labels, .count = n}, 1 << 20, &text);
    const Str out = arena_str(arena, buf_str(&text));
    buf_deinit(&text);
    return out;
}

void sample_batch_add(SampleBatch *b, const Label *labels, size_t count, int64_t timestamp_ms,
                      uint64_t value)
{
    LabelSet set;
    set.labels = sorted_labels(labels, count, &b->arena, &set.count);
    Buf wire;
    buf_init(&wire, 0);
    labels_encode(&set, &wire);
    b->samples = mem_grow(b->samples, &b->cap, b->count + 1, sizeof(*b->samples));
    b->samples[b->count++] = (BatchSample){.wire = arena_str(&b->arena, buf_str(&wire)),
                                           .text = series_text(labels, count, &b->arena),
                                           .timestamp_ms = timestamp_ms,
                                           .value = value};
    buf_deinit(&wire);
}

void sample_batch_extend(SampleBatch *b)
{
    b->extended = true;
}

size_t sample_batch_count(const SampleBatch *b)
{
    return b->count;
}

Status sample_batch_write(SampleBatch *b, Store *store, MetricsResult *result, Err *err)
{
    Arena arena;
    arena_init(&arena, 0);
    MetricsSeries *series = arena_new(&arena, MetricsSeries, b->count);
    int64_t *timestamps = arena_new(&arena, int64_t, b->count);
    double *values = arena_new(&arena, double, b->count);
    MetricsExtra *extras = arena_new(&arena, MetricsExtra, b->count);
    size_t series_count = 0;
    for (size_t i = 0; i < b->count; i++) {
        timestamps[i] = b->samples[i].timestamp_ms;
        memcpy(&values[i], &b->samples[i].value, sizeof(values[i]));
        extras[i] = sample_extra(timestamps[i], b->samples[i].value, &arena);
        const Str wire = b->samples[i].wire;
        if (i > 0 && str_eq(wire, b->samples[i - 1].wire)) {
            series[series_count - 1].sample_count++;
            continue;
        }
        series[series_count++] = (MetricsSeries){.labels = {(const uint8_t *)wire.ptr, wire.len},
                                                 .sample_first = (uint32_t)i,
                                                 .sample_count = 1};
    }
    const MetricsBatch batch = {.series = series,
                                .series_count = series_count,
                                .timestamps_ms = timestamps,
                                .values = values,
                                .extras = b->extended ? extras : NULL};
    const Status st = store_write_metrics(store, &batch, result, err);
    arena_deinit(&arena);
    return st;
}

void sample_batch_apply(const SampleBatch *b, Model *model)
{
    for (size_t i = 0; i < b->count; i++) {
        const BatchSample *s = &b->samples[i];
        model_put(model, s->text, s->timestamp_ms, s->value);
    }
}

// --- reading -------------------------------------------------------------------------------------

typedef struct SampleList {
    Arena *arena;
    ModelSample *samples;
    size_t count, cap;
    SampleKinds kinds;
} SampleList;

static size_t add_map_labels(const Vector *flat, uint32_t at, Label *labels)
{
    size_t n = 0;
    for (uint32_t e = flat->offsets[at]; e < flat->offsets[at + 1]; e++) {
        const Vector *text;
        uint32_t i;
        ASSERT(vector_locate(flat->keys, e, &text, &i));
        labels[n].name = vector_flat_str(text, i);
        ASSERT(vector_locate(flat->values, e, &text, &i));
        labels[n++].value = vector_flat_str(text, i);
    }
    return n;
}

// One row as it was read.
typedef struct Row {
    Label labels[2 * LABELS_COUNT_MAX];
    size_t label_count;
    SampleRow sample;
    int64_t date;
} Row;

static int64_t ms_at(const Vector *flat, uint32_t at)
{
    const int64_t us = ((const int64_t *)flat->data)[at];
    ASSERT(us % 1000 == 0);
    return us / 1000;
}

static void read_column(Row *r, Str name, const Vector *flat, uint32_t at)
{
    if (str_eq(name, STR("timestamp"))) {
        r->sample.timestamp_ms = ms_at(flat, at);
    } else if (str_eq(name, STR("value"))) {
        memcpy(&r->sample.value, (const double *)flat->data + at, sizeof(r->sample.value));
        r->sample.has_value = true;
    } else if (str_eq(name, STR("start_timestamp"))) {
        r->sample.start_ms = ms_at(flat, at);
        r->sample.has_start = true;
    } else if (str_eq(name, STR("histogram"))) {
        const Str blob = vector_flat_str(flat, at);
        r->sample.histogram = (Bytes){(const uint8_t *)blob.ptr, blob.len};
    } else if (str_eq(name, STR("date"))) {
        r->date = ((const int32_t *)flat->data)[at];
    } else if (str_eq(name, STR("labels"))) {
        r->label_count += add_map_labels(flat, at, &r->labels[r->label_count]);
    } else {
        r->labels[r->label_count++] =
            (Label){.name = str_eq(name, STR("metric_name")) ? STR("__name__") : name,
                    .value = vector_flat_str(flat, at)};
    }
}

static void add_row(SampleList *list, const Batch *batch, uint32_t row)
{
    Row r = {.date = INT64_MIN};
    for (size_t i = 0; i < batch->schema->count; i++) {
        const Vector *flat;
        uint32_t at;
        if (vector_locate(&batch->columns[i], row, &flat, &at)) {
            read_column(&r, batch->schema->fields[i].name, flat, at);
        }
    }
    const int64_t ms = r.sample.timestamp_ms;
    ASSERT(r.date == (ms - ((ms % 86400000) + 86400000) % 86400000) / 86400000);
    list->samples = mem_grow(list->samples, &list->cap, list->count + 1, sizeof(*list->samples));
    list->samples[list->count++] =
        (ModelSample){.series = series_text(r.labels, r.label_count, list->arena),
                      .timestamp_ms = ms,
                      .value = sample_of_row(&r.sample, &list->kinds, list->arena)};
}

static Status read_scan(Scan *scan, SampleList *list, Err *err)
{
    Status st = OK;
    ScanWorker *worker = NULL;
    TRY_OUT(scan_worker_open(scan, &worker, err));
    for (;;) {
        Batch batch;
        TRY_OUT(scan_worker_next(worker, &batch, err));
        if (batch.row_count == 0) {
            break;
        }
        for (size_t i = 0; i < batch.schema->count; i++) {
            TRY_OUT(vector_validate(&batch.columns[i], err));
            ASSERT(batch.columns[i].row_count == batch.row_count);
        }
        for (uint32_t row = 0; row < batch.row_count; row++) {
            add_row(list, &batch, row);
        }
    }
out:
    scan_worker_close(worker);
    return st;
}

Status read_samples(Store *store, const ScanOptions *options, Arena *arena, ModelSample **out,
                    size_t *count, Err *err)
{
    Status st = OK;
    Snapshot *snapshot = NULL;
    Scan *scan = NULL;
    SampleList list = {.arena = arena};
    *out = NULL;
    *count = 0;
    TRY_OUT(snapshot_open(store, STR("metrics"), &snapshot, err));
    ScanOptions all = options == NULL ? (ScanOptions){0} : *options;
    const size_t column_count = snapshot_schema(snapshot)->count;
    size_t *columns = arena_new(arena, size_t, column_count);
    for (size_t i = 0; i < column_count; i++) {
        columns[i] = i;
    }
    all.columns = columns;
    all.column_count = column_count;
    TRY_OUT(scan_open(snapshot, &all, &scan, err));
    TRY_OUT(read_scan(scan, &list, err));
    ModelSample *samples = arena_new(arena, ModelSample, list.count);
    if (list.count > 0) {
        memcpy(samples, list.samples, list.count * sizeof(*samples));
    }
    qsort(samples, list.count, sizeof(*samples), compare_samples);
    *out = samples;
    *count = list.count;
out:
    mem_free(list.samples);
    scan_close(scan);
    snapshot_close(snapshot);
    return st;
}

static Str describe(const char *what, const ModelSample *s, Arena *arena)
{
    Buf text;
    buf_init(&text, 0);
    buf_putf(&text, "%s: " STR_FMT " @%" PRId64 " = %016" PRIx64, what, STR_ARG(s->series),
             s->timestamp_ms, s->value);
    const Str out = arena_str(arena, buf_str(&text));
    buf_deinit(&text);
    return out;
}

static size_t keep_samples(const ModelSample *in, size_t count, const SampleFilter *filter,
                           ModelSample *out)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (filter == NULL || filter->keep(filter->ctx, &in[i])) {
            out[n++] = in[i];
        }
    }
    return n;
}

Status compare_filtered(Store *store, Model *model, const ScanOptions *options,
                        const SampleFilter *filter, Arena *arena, Str *why, Err *err)
{
    ModelSample *got;
    size_t got_count;
    *why = (Str){0};
    TRY(read_samples(store, options, arena, &got, &got_count, err));
    ModelSample *want = arena_new(arena, ModelSample, model_count(model));
    const size_t want_count = keep_samples(model_samples(model), model_count(model), filter, want);
    if (filter != NULL && !filter->exact) {
        got_count = keep_samples(got, got_count, filter, got);
    }
    for (size_t i = 0; i < got_count || i < want_count; i++) {
        const int order = i >= got_count    ? 1
                          : i >= want_count ? -1
                                            : compare_samples(&got[i], &want[i]);
        if (order < 0) {
            const bool twice = i > 0 && compare_samples(&got[i - 1], &got[i]) == 0;
            *why = describe(twice ? "there twice" : "not wanted", &got[i], arena);
            return OK;
        }
        if (order > 0) {
            *why = describe("missing", &want[i], arena);
            return OK;
        }
        if (got[i].value != want[i].value) {
            *why = describe("another value than the last written", &got[i], arena);
            return OK;
        }
    }
    return OK;
}

Status compare_with_model(Store *store, Model *model, const ScanOptions *options, Arena *arena,
                          Str *why, Err *err)
{
    return compare_filtered(store, model, options, NULL, arena, why, err);
}
