// SPDX-License-Identifier: Apache-2.0
//
// Batches of a sorted run. For each series: its samples are copied behind those of the series
// before, and where its record differs from the one before, label columns start a new run; nothing
// is done per row for labels.
#include "store/metrics_extra_internal.h"
#include "store/metrics_run_internal.h"
#include "store/metrics_vectors_internal.h"

enum {
    AHEAD_RECORD = 24, // series whose memory is fetched in advance, step by step
    AHEAD_ENTRY = 16,
    AHEAD_CHUNK = 8,
    TEXTS_BYTES = 1 << 30, // a batch ends when a column has more text than this
};

static_assert((int)TEXTS_BYTES + (int)LABELS_WIRE_BYTES_MAX < (int)METRICS_TEXT_BYTES_MAX,
              "one more series always fits");

struct MetricsCursor {
    MetricsRun *run;
    MetricsCursorOptions options;
    int64_t min_us, max_us;
    bool has_times;
    size_t pos, end; // in run->order
    // The batch:
    int64_t *us;
    double *values;
    uint32_t row_count;
    uint32_t *series_ends;
    size_t series_ends_cap;
    uint32_t series_count;
    const MetricsRunCell *last_record; // of the newest series of the batch; NULL: none yet
    MetricsRuns *runs;                 // by column of the run; those of few values
    MetricsTexts *texts;               // by column of the run; those of many values
    MetricsMaps maps;
    MetricsDays days;
    MetricsExtras extras;
    bool extended;       // some values are records
    uint64_t blob_bytes; // of their histograms
    Vector *vectors;
    // Samples of a series with more rows than a batch, or that came in parts: not given out yet.
    int64_t *rest_us;
    double *rest_values;
    size_t rest_us_cap, rest_values_cap;
    size_t rest_pos, rest_count;
    uint32_t rest_id;   // whose they are
    bool rest_extended; // some values are records
};

MetricsCursor *metrics_cursor_new(MetricsRun *run, const MetricsCursorOptions *options)
{
    MetricsCursor *c = mem_new(MetricsCursor, 1);
    c->run = run;
    c->options = *options;
    if (c->options.rows_max == 0 || c->options.rows_max > METRICS_RUN_ROWS_MAX) {
        c->options.rows_max = METRICS_RUN_ROWS_MAX;
    }
    c->has_times = options->min_ms != 0 || options->max_ms != 0;
    const bool all_before = !c->has_times || options->min_ms < METRICS_TIMESTAMP_MIN_MS;
    const bool all_after = !c->has_times || options->max_ms > METRICS_TIMESTAMP_MAX_MS;
    c->min_us = all_before ? INT64_MIN : options->min_ms * 1000;
    c->max_us = all_after ? INT64_MAX : options->max_ms * 1000 + 999;
    c->pos = options->series_first < run->count ? (size_t)options->series_first : run->count;
    const size_t left = run->count - c->pos;
    const bool part = options->series_count != 0 && options->series_count < left;
    c->end = c->pos + (part ? (size_t)options->series_count : left);
    // A series in several pieces belongs to the part with its first piece.
    while (c->pos < c->end && (run->order[c->pos] & (uint32_t)METRICS_RUN_CONTINUES) != 0) {
        c->pos++;
    }
    while (c->end < run->count && c->pos < c->end &&
           (run->order[c->end] & (uint32_t)METRICS_RUN_CONTINUES) != 0) {
        c->end++;
    }
    c->us = mem_alloc_aligned(c->options.rows_max * sizeof(*c->us));
    c->values = mem_alloc_aligned(c->options.rows_max * sizeof(*c->values));
    c->runs = mem_new(MetricsRuns, run->column_count);
    c->texts = mem_new(MetricsTexts, run->column_count);
    c->vectors = mem_new(Vector, run->layout.field_count);
    return c;
}

void metrics_cursor_free(MetricsCursor *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->run->column_count; i++) {
        metrics_runs_deinit(&c->runs[i]);
        metrics_texts_deinit(&c->texts[i]);
    }
    metrics_maps_deinit(&c->maps);
    metrics_days_deinit(&c->days);
    metrics_extras_deinit(&c->extras);
    mem_free(c->us);
    mem_free(c->values);
    mem_free(c->series_ends);
    mem_free(c->runs);
    mem_free(c->texts);
    mem_free(c->vectors);
    mem_free(c->rest_us);
    mem_free(c->rest_values);
    mem_free(c);
}

// --- samples -------------------------------------------------------------------------------------

static uint32_t order_id(const MetricsRun *run, size_t pos)
{
    return run->order[pos] & ~(uint32_t)METRICS_RUN_CONTINUES;
}

// Starts loading what the series some places further on will need. Entries of active windows are
// left alone: looking at them takes the lock.
static void prefetch(const MetricsCursor *c)
{
    const MetricsRun *run = c->run;
    if (c->pos + AHEAD_RECORD >= c->end) {
        return;
    }
    const uint32_t far = order_id(run, c->pos + AHEAD_RECORD);
    __builtin_prefetch(&run->refs[far]);
    __builtin_prefetch(metrics_run_record(run, far));
    const uint64_t mid = run->refs[order_id(run, c->pos + AHEAD_ENTRY)];
    const MetricsWindow *w = run->windows[mid >> 32].window;
    // Acquire: pairs with the seal, after which the window can be read.
    if (atomic_load_explicit(&w->sealed, memory_order_acquire)) {
        __builtin_prefetch(metrics_window_entry(w, (uint32_t)mid));
    }
    const uint32_t near_id = order_id(run, c->pos + AHEAD_CHUNK);
    const uint64_t near = run->refs[near_id];
    w = run->windows[near >> 32].window;
    if (atomic_load_explicit(&w->sealed, memory_order_acquire)) {
        const MetricsEntry *e = metrics_window_entry(w, (uint32_t)near);
        const uint8_t *chunk = metrics_window_chunk_bytes(w, e->tail);
        __builtin_prefetch(chunk);
        if ((uint32_t)e->used + e->room > METRICS_CHUNK_SAMPLES_MIN) {
            __builtin_prefetch(chunk + 64);
        }
    }
    for (uint32_t i = 0; i < run->text_count; i++) {
        __builtin_prefetch(metrics_run_record(run, near_id)[run->word_count + i].text);
    }
}

static bool overlap_wanted(const MetricsCursor *c, uint16_t flags)
{
    const bool overlap = (flags & METRICS_ENTRY_OVERLAP) != 0;
    switch (c->options.overlap) {
    case METRICS_ALL_SERIES:
        return true;
    case METRICS_WITHOUT_OVERLAP:
        return !overlap;
    case METRICS_ONLY_OVERLAP:
        return overlap;
    }
    UNREACHABLE();
}

// Drops samples outside of the time range from sorted ones; returns how many are left.
static size_t cut_times(const MetricsCursor *c, int64_t *us, double *values, size_t count)
{
    if (!c->has_times || count == 0 || (us[0] >= c->min_us && us[count - 1] <= c->max_us)) {
        return count;
    }
    size_t from = 0;
    while (from < count && us[from] < c->min_us) {
        from++;
    }
    size_t to = count;
    while (to > from && us[to - 1] > c->max_us) {
        to--;
    }
    memmove(us, us + from, (to - from) * sizeof(*us));
    memmove(values, values + from, (to - from) * sizeof(*values));
    return to - from;
}

// The pieces of the series at pos: items [pos, *next) of the order.
static size_t series_next(const MetricsCursor *c)
{
    size_t next = c->pos + 1;
    while (next < c->end && (c->run->order[next] & (uint32_t)METRICS_RUN_CONTINUES) != 0) {
        next++;
    }
    return next;
}

// The common case: a series of one piece whose samples are floats in order and have room in the
// batch.
// Returns false when it is another case, else the samples are behind the batch's rows, and *count
// says how many are wanted.
static bool read_simple(MetricsCursor *c, size_t *count)
{
    const uint64_t ref = c->run->refs[order_id(c->run, c->pos)];
    const MetricsWindow *w = c->run->windows[ref >> 32].window;
    const bool locked = metrics_window_lock(w);
    const MetricsEntry *e = metrics_window_entry(w, (uint32_t)ref);
    const size_t raw = metrics_window_samples(w, e);
    const bool simple = (e->flags & (METRICS_ENTRY_LATE | METRICS_ENTRY_EXTENDED)) == 0 &&
                        raw <= c->options.rows_max - c->row_count;
    *count = simple && overlap_wanted(c, e->flags) ? raw : 0;
    if (*count != 0) {
        metrics_window_read(w, e, c->us + c->row_count, c->values + c->row_count);
    }
    metrics_window_unlock(w, locked);
    *count = cut_times(c, c->us + c->row_count, c->values + c->row_count, *count);
    return simple;
}

// Every other case: collects all pieces, oldest first, sorts them if need be, and leaves what is
// wanted as the rest.
static void read_rest(MetricsCursor *c, size_t next)
{
    size_t count = 0;
    bool sorted = true;
    bool wanted = false;
    uint16_t flags = 0;
    for (size_t i = c->pos; i < next; i++) {
        const uint64_t ref = c->run->refs[order_id(c->run, i)];
        const MetricsWindow *w = c->run->windows[ref >> 32].window;
        const bool locked = metrics_window_lock(w);
        const MetricsEntry *e = metrics_window_entry(w, (uint32_t)ref);
        const size_t raw = metrics_window_samples(w, e);
        c->rest_us = mem_grow(c->rest_us, &c->rest_us_cap, count + raw + 1, sizeof(int64_t));
        c->rest_values =
            mem_grow(c->rest_values, &c->rest_values_cap, count + raw + 1, sizeof(double));
        metrics_window_read(w, e, c->rest_us + count, c->rest_values + count);
        sorted = sorted && (e->flags & METRICS_ENTRY_LATE) == 0 &&
                 (count == 0 || raw == 0 || c->rest_us[count] > c->rest_us[count - 1]);
        flags |= e->flags;
        metrics_window_unlock(w, locked);
        count += raw;
    }
    wanted = overlap_wanted(c, flags);
    if (wanted && !sorted) {
        count = metrics_samples_sort(c->rest_us, c->rest_values, count);
    }
    c->rest_pos = 0;
    c->rest_count = wanted ? cut_times(c, c->rest_us, c->rest_values, count) : 0;
    c->rest_id = order_id(c->run, c->pos);
    c->rest_extended = (flags & METRICS_ENTRY_EXTENDED) != 0;
}

// --- labels --------------------------------------------------------------------------------------

// Ends the run of the rows before `row` and starts one of `code`.
static void runs_turn(MetricsRuns *r, uint32_t code, uint32_t row)
{
    if (r->count != 0) {
        r->ends[r->count - 1] = row;
    }
    if (r->count == r->cap) {
        metrics_runs_grow(r);
    }
    r->codes[r->count++] = code;
    r->has_null = r->has_null || code == METRICS_CODE_NONE;
}

// The series with this record has the rows [from, to), the newest of the batch.
static void add_labels(MetricsCursor *c, uint32_t id, uint32_t from, uint32_t to)
{
    const MetricsRun *run = c->run;
    const MetricsRunCell *record = metrics_run_record(run, id);
    const MetricsRunCell *last = c->last_record;
    uint64_t differ = last == NULL;
    for (uint32_t i = 0; i < run->word_count && last != NULL; i++) {
        differ |= record[i].word ^ last[i].word;
    }
    for (size_t i = 0; i < run->column_count; i++) {
        const MetricsRunColumn *column = &run->columns[i];
        if (column->wide) {
            // It fits: the batch was ended in time.
            (void)metrics_texts_add(&c->texts[i],
                                    metrics_run_text(record[run->word_count + column->text]), to);
            continue;
        }
        if (differ == 0) {
            continue;
        }
        const uint64_t field = record[column->word].word & column->mask;
        if (last == NULL || field != (last[column->word].word & column->mask)) {
            const uint32_t rank = (uint32_t)(field >> column->shift);
            runs_turn(&c->runs[i], rank == 0 ? METRICS_CODE_NONE : rank - 1, from);
        }
    }
    if (run->has_map) {
        Str keys[LABELS_COUNT_MAX];
        Str values[LABELS_COUNT_MAX];
        const uint64_t ref = run->refs[id];
        const size_t count = metrics_select_map(metrics_run_registry(run, ref), &run->layout,
                                                (uint32_t)ref, keys, values);
        (void)metrics_maps_add(&c->maps, keys, values, count, to);
    }
    c->last_record = record;
}

// The `count` rows behind the batch's belong to series `id`.
static void add_series(MetricsCursor *c, uint32_t id, uint32_t count)
{
    const uint32_t from = c->row_count;
    c->row_count += count;
    c->series_ends =
        mem_grow(c->series_ends, &c->series_ends_cap, c->series_count + 1, sizeof(*c->series_ends));
    c->series_ends[c->series_count++] = c->row_count;
    add_labels(c, id, from, c->row_count);
}

static bool texts_are_full(const MetricsCursor *c)
{
    bool full = c->maps.keys.bytes.len + c->maps.values.bytes.len > TEXTS_BYTES ||
                c->blob_bytes >= METRICS_RUN_BLOB_BYTES;
    for (size_t i = 0; i < c->run->column_count && c->run->text_count != 0; i++) {
        full = full || c->texts[i].bytes.len > TEXTS_BYTES;
    }
    return full;
}

// --- batches -------------------------------------------------------------------------------------

static void batch_clear(MetricsCursor *c)
{
    c->row_count = 0;
    c->series_count = 0;
    c->last_record = NULL;
    c->extended = false;
    c->blob_bytes = 0;
    for (size_t i = 0; i < c->run->column_count; i++) {
        metrics_runs_clear(&c->runs[i]);
        metrics_texts_clear(&c->texts[i]);
    }
    metrics_maps_clear(&c->maps);
}

// Moves rows from the rest to the batch.
static void take_rest(MetricsCursor *c)
{
    const size_t left = c->rest_count - c->rest_pos;
    const size_t room = c->options.rows_max - c->row_count;
    size_t count = left < room ? left : room;
    if (c->rest_extended) {
        c->extended = true;
        count = metrics_slots_fit(c->rest_values + c->rest_pos, (uint32_t)count,
                                  METRICS_RUN_BLOB_BYTES - c->blob_bytes, &c->blob_bytes);
    }
    memcpy(c->us + c->row_count, c->rest_us + c->rest_pos, count * sizeof(*c->us));
    memcpy(c->values + c->row_count, c->rest_values + c->rest_pos, count * sizeof(*c->values));
    c->rest_pos += count;
    add_series(c, c->rest_id, (uint32_t)count);
}

static void fill(MetricsCursor *c)
{
    while (c->row_count < c->options.rows_max && !texts_are_full(c)) {
        if (c->rest_pos < c->rest_count) {
            take_rest(c);
            continue;
        }
        if (c->pos == c->end) {
            return;
        }
        prefetch(c);
        const size_t next = series_next(c);
        size_t count = 0;
        if (next != c->pos + 1 || !read_simple(c, &count)) {
            read_rest(c, next);
        } else if (count != 0) {
            add_series(c, order_id(c->run, c->pos), (uint32_t)count);
        }
        c->pos = next;
    }
}

static Vector label_vector(MetricsCursor *c, size_t field)
{
    const MetricsRun *run = c->run;
    for (size_t i = 0; i < run->column_count; i++) {
        if (run->columns[i].field != field) {
            continue;
        }
        if (run->columns[i].wide) {
            return metrics_texts_vector(&c->texts[i]);
        }
        c->runs[i].ends[c->runs[i].count - 1] = c->row_count;
        return metrics_runs_vector(&c->runs[i], &run->columns[i].dict);
    }
    return (Vector){0};
}

// Columns that no series of the run has: one run of nulls.
static Vector null_vector(ColumnType type, const uint32_t *row_count)
{
    static const uint64_t invalid[1] = {0};
    static const uint32_t offsets[2] = {0, 0};
    static const Vector nothing = {.type = COLUMN_STRING, .form = VECTOR_FLAT, .offsets = offsets};
    static const Vector text = {.type = COLUMN_STRING,
                                .form = VECTOR_FLAT,
                                .row_count = 1,
                                .validity = invalid,
                                .offsets = offsets};
    static const Vector map = {.type = COLUMN_MAP,
                               .form = VECTOR_FLAT,
                               .row_count = 1,
                               .validity = invalid,
                               .offsets = offsets,
                               .keys = &nothing,
                               .values = &nothing};
    return (Vector){.type = type,
                    .form = VECTOR_RUNS,
                    .row_count = *row_count,
                    .run_count = 1,
                    .run_ends = row_count,
                    .runs = type == COLUMN_MAP ? &map : &text};
}

static void batch_vectors(MetricsCursor *c)
{
    metrics_extras_resolve(&c->extras, c->values, c->row_count, c->extended);
    for (size_t i = 0; i < c->run->layout.field_count; i++) {
        Vector *v = &c->vectors[i];
        switch (c->run->layout.kinds[i]) {
        case METRICS_FIELD_TIMESTAMP:
            *v = (Vector){.type = COLUMN_TIMESTAMP,
                          .form = VECTOR_FLAT,
                          .row_count = c->row_count,
                          .data = c->us};
            break;
        case METRICS_FIELD_VALUE:
            *v = metrics_extras_values(&c->extras);
            break;
        case METRICS_FIELD_HISTOGRAM:
            *v = metrics_extras_histograms(&c->extras);
            break;
        case METRICS_FIELD_START:
            *v = metrics_extras_starts(&c->extras);
            break;
        case METRICS_FIELD_DATE:
            *v = metrics_days_vector(&c->days, c->us, c->row_count);
            break;
        case METRICS_FIELD_LABEL:
            *v = label_vector(c, i);
            if (v->row_count == 0) {
                *v = null_vector(COLUMN_STRING, &c->row_count);
            }
            break;
        case METRICS_FIELD_LABELS:
            *v = c->run->has_map ? metrics_maps_vector(&c->maps)
                                 : null_vector(COLUMN_MAP, &c->row_count);
            break;
        }
    }
}

Status metrics_cursor_next(MetricsCursor *c, Batch *out, Err *err)
{
    (void)err; // reading memory does not fail; the signature is that of every source of batches
    batch_clear(c);
    fill(c);
    *out = (Batch){.schema = c->run->schema, .columns = c->vectors, .row_count = c->row_count};
    if (c->row_count != 0) {
        batch_vectors(c);
    }
    return OK;
}

const uint32_t *metrics_cursor_series_ends(const MetricsCursor *c, uint32_t *series_count)
{
    *series_count = c->series_count;
    return c->series_ends;
}
