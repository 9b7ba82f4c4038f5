// SPDX-License-Identifier: Apache-2.0
//
// A worker takes a slice of series, copies their samples into its buffers (under the shard's lock
// when the window is active), sorts and cuts what is late or out of the time range, and hands out
// pieces of the buffers as batches.
#include "store/metrics_scan.h"

#include "store/metrics_extra_internal.h"
#include "store/metrics_select_internal.h"
#include "store/metrics_vectors_internal.h"

enum {
    LOCK_SERIES = 32,       // series copied under one lock
    BLOBS_BYTES = 16 << 20, // of the histograms of one batch
    DICT_FULL_SHARE = 4,    // a dictionary is copied whole when the series may use a quarter of it
};

// A dictionary as a vector, made when a worker first needs it.
typedef struct ScanDict {
    bool ready;      // mu
    uint32_t *remap; // by code of the registry's dictionary; NULL: the same codes
    uint32_t *offsets;
    uint8_t *bytes;
    Vector vector;
} ScanDict;

struct MetricsScan {
    MetricsWindow *window;
    MetricsLayout layout;
    Schema schema;   // of the batches
    Field *fields;   // of `schema`
    size_t *columns; // fields of the layout
    MetricsSelection selection;
    int64_t min_us, max_us;
    bool has_times;
    bool has_map; // `labels` is read
    _Atomic uint32_t next_slice;
    Mutex mu;
    ScanDict *dicts; // by column of the batches
};

struct MetricsScanWorker {
    MetricsScan *scan;
    uint32_t slice_pos, slice_end; // of the selection
    // Rows that were copied: series k has rows [ends[k - 1], ends[k]).
    int64_t *us;
    double *values;
    size_t us_cap, values_cap;
    uint32_t series[METRICS_SCAN_SLICE_SERIES];
    uint32_t ends[METRICS_SCAN_SLICE_SERIES];
    uint32_t series_count, series_pos;
    uint32_t row_pos; // rows before it were handed out
    bool extended;    // some values are records
    Vector *vectors;
    MetricsRuns *runs; // by column of the batches
    MetricsMaps maps;
    MetricsDays days;
    MetricsExtras extras;
};

// --- opening -------------------------------------------------------------------------------------

static void scan_schema_init(MetricsScan *scan, const MetricsScanOptions *options)
{
    Field *fields = mem_new(Field, options->column_count);
    scan->columns = mem_new(size_t, options->column_count);
    scan->dicts = mem_new(ScanDict, options->column_count);
    for (size_t i = 0; i < options->column_count; i++) {
        scan->columns[i] = options->columns[i];
        fields[i] = options->schema->fields[options->columns[i]];
    }
    scan->fields = fields;
    scan->schema = (Schema){.fields = fields, .count = options->column_count};
}

Status metrics_scan_open(const MetricsScanOptions *options, MetricsScan **out, Err *err)
{
    Status st = OK;
    MetricsScan *scan = mem_new(MetricsScan, 1);
    *out = NULL;
    mutex_init(&scan->mu);
    atomic_init(&scan->next_slice, 0);
    scan->window = metrics_window_ref(options->window);
    scan_schema_init(scan, options);
    TRY_OUT(metrics_layout_init(&scan->layout, options->window->registry->directory,
                                options->schema, err));
    metrics_select(scan->window, &scan->layout, options->tests, options->test_count,
                   &scan->selection);
    metrics_select_times(&scan->layout, options->tests, options->test_count, &scan->min_us,
                         &scan->max_us);
    for (size_t i = 0; i < options->column_count; i++) {
        scan->has_map =
            scan->has_map || scan->layout.kinds[scan->columns[i]] == METRICS_FIELD_LABELS;
    }
    scan->has_times = scan->min_us != INT64_MIN || scan->max_us != INT64_MAX;
    *out = scan;
    scan = NULL;
out:
    metrics_scan_close(scan);
    return st;
}

void metrics_scan_close(MetricsScan *scan)
{
    if (scan == NULL) {
        return;
    }
    for (size_t i = 0; i < scan->schema.count; i++) {
        mem_free(scan->dicts[i].remap);
        mem_free(scan->dicts[i].offsets);
        mem_free(scan->dicts[i].bytes);
    }
    mem_free(scan->dicts);
    mem_free(scan->columns);
    mem_free(scan->fields);
    metrics_selection_deinit(&scan->selection);
    metrics_layout_deinit(&scan->layout);
    metrics_window_unref(scan->window);
    mutex_deinit(&scan->mu);
    mem_free(scan);
}

uint64_t metrics_scan_series_count(const MetricsScan *scan)
{
    return scan->selection.count;
}

static uint32_t selected(const MetricsScan *scan, uint32_t i)
{
    return scan->selection.series == NULL ? i : scan->selection.series[i];
}

static uint32_t series_code(const MetricsRegistry *r, uint32_t series, uint32_t column)
{
    const MetricsSeriesEntry *s = METRICS_AT(const MetricsSeriesEntry, &r->series, series);
    const MetricsShape *shape = metrics_registry_shape(r, s->shape);
    uint32_t stride = 0;
    const uint32_t *codes = metrics_shape_codes(shape, s->ordinal, &stride);
    return metrics_select_code(shape, codes, stride, column);
}

// --- dictionaries --------------------------------------------------------------------------------

// The codes that selected series use, numbered in the order in which they come; NULL in *used when
// that would save nothing.
static uint32_t dict_remap(const MetricsScan *scan, uint32_t column, uint32_t limit,
                           uint32_t **used, uint32_t **remap)
{
    const MetricsRegistry *r = scan->window->registry;
    uint32_t count = 0;
    *used = NULL;
    *remap = NULL;
    if (scan->selection.series == NULL || scan->selection.count > limit / DICT_FULL_SHARE) {
        return limit;
    }
    *used = mem_new(uint32_t, scan->selection.count);
    *remap = mem_new(uint32_t, limit);
    for (uint32_t i = 0; i < scan->selection.count; i++) {
        const uint32_t code = series_code(r, scan->selection.series[i], column);
        if (code == METRICS_CODE_NONE) {
            continue;
        }
        uint32_t *to = &(*remap)[code];
        if (*to >= count || (*used)[*to] != code) { // not numbered yet
            *to = count;
            (*used)[count++] = code;
        }
    }
    return count;
}

static void dict_fill(ScanDict *out, const MetricsDict *dict, const uint32_t *used, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += metrics_dict_str(dict, used == NULL ? i : used[i]).len;
    }
    out->offsets = mem_alloc_raw(((size_t)count + 1) * sizeof(uint32_t));
    out->bytes = mem_alloc_raw(bytes);
    uint32_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        const Str s = metrics_dict_str(dict, used == NULL ? i : used[i]);
        out->offsets[i] = at;
        memcpy(out->bytes + at, s.ptr, s.len);
        at += (uint32_t)s.len; // METRICS_DICT_BYTES_MAX fits
    }
    out->offsets[count] = at;
    out->vector.row_count = count;
    out->vector.offsets = out->offsets;
    out->vector.bytes = out->bytes;
}

static const ScanDict *dict_get(MetricsScan *scan, size_t i)
{
    static const uint32_t no_offsets[1] = {0};
    ScanDict *out = &scan->dicts[i];
    const uint32_t column = scan->layout.columns[scan->columns[i]];
    mutex_lock(&scan->mu);
    if (!out->ready) {
        out->vector = (Vector){.type = COLUMN_STRING, .form = VECTOR_FLAT, .offsets = no_offsets};
        mutex_lock(&scan->window->shard->mu);
        const MetricsDict *dict =
            column == METRICS_COLUMN_NONE ? NULL : scan->window->registry->dicts[column];
        const uint32_t limit = dict == NULL ? 0 : dict->count;
        mutex_unlock(&scan->window->shard->mu);
        if (limit != 0) {
            uint32_t *used = NULL;
            const uint32_t count = dict_remap(scan, column, limit, &used, &out->remap);
            dict_fill(out, dict, used, count);
            mem_free(used);
        }
        out->ready = true;
    }
    mutex_unlock(&scan->mu);
    return out;
}

// --- copying -------------------------------------------------------------------------------------

MetricsScanWorker *metrics_scan_worker_new(MetricsScan *scan)
{
    MetricsScanWorker *w = mem_new(MetricsScanWorker, 1);
    w->scan = scan;
    w->vectors = mem_new(Vector, scan->schema.count);
    w->runs = mem_new(MetricsRuns, scan->schema.count);
    return w;
}

void metrics_scan_worker_free(MetricsScanWorker *w)
{
    if (w == NULL) {
        return;
    }
    for (size_t i = 0; i < w->scan->schema.count; i++) {
        metrics_runs_deinit(&w->runs[i]);
    }
    mem_free(w->runs);
    mem_free(w->vectors);
    metrics_maps_deinit(&w->maps);
    metrics_days_deinit(&w->days);
    metrics_extras_deinit(&w->extras);
    mem_free(w->us);
    mem_free(w->values);
    mem_free(w);
}

// Sorts late samples, and drops those outside of the time range; returns how many are left.
static size_t tidy_samples(const MetricsScan *scan, int64_t *us, double *values, size_t count,
                           bool late)
{
    if (late) {
        count = metrics_samples_sort(us, values, count);
    }
    if (!scan->has_times || (us[0] >= scan->min_us && us[count - 1] <= scan->max_us)) {
        return count;
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (us[i] >= scan->min_us && us[i] <= scan->max_us) {
            us[kept] = us[i];
            values[kept++] = values[i];
        }
    }
    return kept;
}

// Copies the samples of the next few series behind the rows there are.
static void copy_series(MetricsScanWorker *w)
{
    const MetricsScan *scan = w->scan;
    const MetricsWindow *window = scan->window;
    const uint32_t left = w->slice_end - w->slice_pos;
    const uint32_t count = left < LOCK_SERIES ? left : LOCK_SERIES;
    uint32_t raw[LOCK_SERIES]; // samples as they lie
    bool late[LOCK_SERIES];
    uint32_t rows = w->series_count == 0 ? 0 : w->ends[w->series_count - 1];
    size_t at = rows;
    const bool locked = metrics_window_lock(window);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t next = w->slice_pos + i + 4;
        if (next < w->slice_end) {
            __builtin_prefetch(metrics_window_entry(window, selected(scan, next)));
        }
        const MetricsEntry *e = metrics_window_entry(window, selected(scan, w->slice_pos + i));
        const bool skip = e->tail == 0 || e->last_ms * 1000 < scan->min_us;
        raw[i] = skip ? 0 : metrics_window_samples(window, e);
        late[i] = (e->flags & METRICS_ENTRY_LATE) != 0;
        w->extended = w->extended || (e->flags & METRICS_ENTRY_EXTENDED) != 0;
        w->us = mem_grow(w->us, &w->us_cap, at + raw[i] + 1, sizeof(*w->us));
        w->values = mem_grow(w->values, &w->values_cap, at + raw[i] + 1, sizeof(*w->values));
        if (raw[i] != 0) {
            metrics_window_read(window, e, w->us + at, w->values + at);
        }
        at += raw[i];
    }
    metrics_window_unlock(window, locked);
    at = rows;
    for (uint32_t i = 0; i < count; i++) {
        if (raw[i] == 0) {
            continue;
        }
        const size_t kept = tidy_samples(scan, w->us + at, w->values + at, raw[i], late[i]);
        if (at != rows) {
            memmove(w->us + rows, w->us + at, kept * sizeof(*w->us));
            memmove(w->values + rows, w->values + at, kept * sizeof(*w->values));
        }
        at += raw[i];
        rows += (uint32_t)kept;
        if (kept != 0) {
            w->series[w->series_count] = selected(scan, w->slice_pos + i);
            w->ends[w->series_count++] = rows;
        }
    }
    w->slice_pos += count;
}

// Fills the buffers anew; false when there is nothing left.
static bool fill(MetricsScanWorker *w)
{
    MetricsScan *scan = w->scan;
    w->series_count = 0;
    w->series_pos = 0;
    w->row_pos = 0;
    w->extended = false;
    while (w->series_count == 0 || w->ends[w->series_count - 1] < METRICS_SCAN_ROWS_MAX) {
        if (w->slice_pos == w->slice_end) {
            if (w->series_count != 0) {
                break; // one slice at a time: w->series has room for no more
            }
            // Relaxed: slices only have to differ.
            w->slice_pos = atomic_fetch_add_explicit(&scan->next_slice, METRICS_SCAN_SLICE_SERIES,
                                                     memory_order_relaxed);
            if (w->slice_pos >= scan->selection.count) {
                w->slice_pos = w->slice_end = 0;
                atomic_store_explicit(&scan->next_slice, scan->selection.count,
                                      memory_order_relaxed); // never wraps around
                return false;
            }
            const uint32_t left = scan->selection.count - w->slice_pos;
            w->slice_end = w->slice_pos +
                           (left < METRICS_SCAN_SLICE_SERIES ? left : METRICS_SCAN_SLICE_SERIES);
        }
        copy_series(w);
    }
    return true;
}

// --- batches -------------------------------------------------------------------------------------

// The end of series s among the rows of the batch, which start at row_pos.
static uint32_t series_end(const MetricsScanWorker *w, uint32_t s, uint32_t row_count)
{
    const uint32_t end = w->ends[s] - w->row_pos;
    return end < row_count ? end : row_count;
}

// The maps of the batch's series. Returns how many of the rows they cover: all, unless the texts
// of the maps do not fit one vector. Those of one series always do.
static uint32_t collect_maps(MetricsScanWorker *w, uint32_t row_count)
{
    Str keys[LABELS_COUNT_MAX];
    Str values[LABELS_COUNT_MAX];
    static_assert((int)LABELS_WIRE_BYTES_MAX < (int)METRICS_TEXT_BYTES_MAX, "a series fits");
    metrics_maps_clear(&w->maps);
    uint32_t end = 0;
    for (uint32_t s = w->series_pos; end < row_count; s++) {
        const size_t count = metrics_select_map(w->scan->window->registry, &w->scan->layout,
                                                w->series[s], keys, values);
        const uint32_t next = series_end(w, s, row_count);
        if (!metrics_maps_add(&w->maps, keys, values, count, next)) {
            return end;
        }
        end = next;
    }
    return row_count;
}

static void label_vector(MetricsScanWorker *w, size_t i, uint32_t row_count)
{
    const MetricsRegistry *r = w->scan->window->registry;
    const uint32_t column = w->scan->layout.columns[w->scan->columns[i]];
    const ScanDict *dict = dict_get(w->scan, i);
    metrics_runs_clear(&w->runs[i]);
    uint32_t end = 0;
    for (uint32_t s = w->series_pos; end < row_count; s++) {
        end = series_end(w, s, row_count);
        uint32_t code = METRICS_CODE_NONE;
        if (column != METRICS_COLUMN_NONE) {
            code = series_code(r, w->series[s], column);
        }
        if (code != METRICS_CODE_NONE && dict->remap != NULL) {
            code = dict->remap[code];
        }
        metrics_runs_add(&w->runs[i], code, end);
    }
    w->vectors[i] = metrics_runs_vector(&w->runs[i], &dict->vector);
}

static void batch_vectors(MetricsScanWorker *w, uint32_t row_count)
{
    metrics_extras_resolve(&w->extras, w->values + w->row_pos, row_count, w->extended);
    for (size_t i = 0; i < w->scan->schema.count; i++) {
        switch (w->scan->layout.kinds[w->scan->columns[i]]) {
        case METRICS_FIELD_TIMESTAMP:
            w->vectors[i] = (Vector){.type = COLUMN_TIMESTAMP,
                                     .form = VECTOR_FLAT,
                                     .row_count = row_count,
                                     .data = w->us + w->row_pos};
            break;
        case METRICS_FIELD_VALUE:
            w->vectors[i] = metrics_extras_values(&w->extras);
            break;
        case METRICS_FIELD_HISTOGRAM:
            w->vectors[i] = metrics_extras_histograms(&w->extras);
            break;
        case METRICS_FIELD_START:
            w->vectors[i] = metrics_extras_starts(&w->extras);
            break;
        case METRICS_FIELD_DATE:
            w->vectors[i] = metrics_days_vector(&w->days, w->us + w->row_pos, row_count);
            break;
        case METRICS_FIELD_LABEL:
            label_vector(w, i, row_count);
            break;
        case METRICS_FIELD_LABELS:
            w->vectors[i] = metrics_maps_vector(&w->maps);
            break;
        }
    }
}

Status metrics_scan_next(MetricsScanWorker *w, Batch *out, Err *err)
{
    (void)err; // reading memory does not fail; the signature is that of every source of batches
    *out = (Batch){.schema = &w->scan->schema, .columns = w->vectors};
    const uint32_t rows = w->series_count == 0 ? 0 : w->ends[w->series_count - 1];
    if (w->row_pos == rows && !fill(w)) {
        w->series_count = 0;
        w->row_pos = 0;
        return OK;
    }
    const uint32_t left = w->ends[w->series_count - 1] - w->row_pos;
    out->row_count = left < METRICS_SCAN_ROWS_MAX ? left : METRICS_SCAN_ROWS_MAX;
    if (w->extended) {
        uint64_t bytes = 0;
        out->row_count =
            metrics_slots_fit(w->values + w->row_pos, out->row_count, BLOBS_BYTES, &bytes);
    }
    if (w->scan->has_map) {
        out->row_count = collect_maps(w, out->row_count);
    }
    batch_vectors(w, out->row_count);
    w->row_pos += out->row_count;
    while (w->series_pos < w->series_count && w->ends[w->series_pos] <= w->row_pos) {
        w->series_pos++;
    }
    return OK;
}
