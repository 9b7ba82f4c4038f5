// SPDX-License-Identifier: Apache-2.0
//
// Appending a batch. All label sets are hashed and grouped by shard; then each shard is locked once
// and its group goes through in steps of STEP series, so that the three cache misses of a sample
// (table slot, entry, tail chunk) are waited for together.
//
// The hash is that of the bytes as they came. For a set in canonical form, as every common sender
// writes it, that is the series' identity. Another form hits an *alias*, which holds the canonical
// hash, and is dealt with in a second round: its series may live in another shard. So that the
// last write wins also between forms of one set in one batch, series of the first round that came
// behind are then applied once more.
#include "codec/varint.h"
#include "store/label_diff.h"
#include "store/metrics_extra_internal.h"
#include "store/metrics_hot_internal.h"
#include "store/table_def.h"

#include <stdlib.h>

enum {
    STEP = 32,
    PREFETCH_BYTES = 512,
    RUN_SAMPLES_MAX = 65536, // of one entry of a frame
    SAMPLE_BYTES_MAX = VARINT_U64_BYTES_MAX + 8,
    ENTRY_BYTES_MAX = 2 * VARINT_U64_BYTES_MAX + LABEL_DIFF_EXTRA_BYTES, // beside labels, samples
    EXTENDED_BYTES_MAX = VARINT_U64_BYTES_MAX + 8, // of an extended sample, on top of a plain one
    FRAME_VERSION = 2,
    SCRATCH_LABELS_BYTES = 4 << 20, // arena memory after which it is emptied
    SCRATCH_SERIES_KEPT = 1 << 18,  // what is kept from call to call
    REJECTED_LABELS_BYTES = 80,     // of a series in a message
    SCRATCH_FRAME_KEPT = 16 << 20,
};

typedef struct Append {
    MetricsHot *hot;
    const MetricsBatch *batch;
    MetricsResult *result;
    MetricsScratch *scratch;
    uint64_t *sequence;
    size_t first_rejected;        // series of the batch that first_rejection is about
    bool canonical;               // second round: hashes are canonical
    int64_t now_ms;               // with limits of age
    int64_t oldest_ms, newest_ms; // that are let in
} Append;

// The samples of one series of the batch.
typedef struct Samples {
    const int64_t *timestamps_ms;
    const double *values;
    uint32_t count;
    bool extended;              // some are more than plain floats
    const MetricsExtra *extras; // of all, or NULL
} Samples;

// What a group adds to its window, and where its frame stands.
typedef struct Group {
    MetricsShard *shard;
    uint64_t samples;    // applied
    uint64_t written;    // the same, without those that were applied before
    uint64_t histograms; // of `written`
    int64_t min_ms, max_ms;
    uint32_t frame_series; // of the last entry
    int64_t frame_ms;      // of the last sample
    Bytes frame_labels;    // of the last entry that has some; of the batch
    bool frame_open;
} Group;

// Labels of a series that the table may not know; in the scratch's arena.
typedef struct Parsed {
    LabelSet labels;
    bool valid, canonical;
} Parsed;

// --- rejections ----------------------------------------------------------------------------------

static void reject(Append *a, uint32_t series, uint64_t samples, Err *why)
{
    a->result->samples_rejected += samples;
    if (a->result->first_rejection.status == OK || series < a->first_rejected) {
        Buf text;
        LabelSet labels;
        bool canonical;
        Err ignored; // labels are what is wrong: why says so
        buf_init(&text, 0);
        if (labels_parse(a->batch->series[series].labels, &a->hot->limits, &a->scratch->labels,
                         &labels, &canonical, &ignored) == OK) {
            buf_put_str(&text, STR(", "));
            labels_format(&labels, REJECTED_LABELS_BYTES, &text);
        }
        (void)err_prefix(why, "series %" PRIu32 " of the request" STR_FMT ": ", series,
                         STR_ARG(buf_str(&text)));
        buf_deinit(&text);
        a->result->first_rejection = *why;
        a->first_rejected = series;
    }
}

static bool timestamp_is_valid(int64_t ms)
{
    return ms >= METRICS_TIMESTAMP_MIN_MS && ms <= METRICS_TIMESTAMP_MAX_MS;
}

static Status check_timestamp(const Append *a, int64_t ms, Err *why)
{
    if (!timestamp_is_valid(ms)) {
        return err_set(why, ERR_INVALID,
                       "timestamp %" PRId64 " ms is not in the years 0001 to 9999", ms);
    }
    if (ms > a->newest_ms) {
        return err_set(why, ERR_INVALID,
                       "timestamp %" PRId64 " ms is out of bounds: more than %" PRId64
                       " ms (storage.max-future) after the server's time %" PRId64 " ms",
                       ms, a->hot->max_future_ms, a->now_ms);
    }
    if (ms < a->oldest_ms) {
        return err_set(why, ERR_INVALID,
                       "timestamp %" PRId64 " ms is too old: more than %" PRId64
                       " ms (storage.max-age) before the server's time %" PRId64 " ms",
                       ms, a->hot->max_age_ms, a->now_ms);
    }
    return OK;
}

static bool check_day_locked(MetricsShard *shard, int64_t ms, Err *why) REQUIRES(shard->mu)
{
    if (metrics_shard_day_locked(shard, ms, STORE_DAYS_MAX)) {
        return true;
    }
    (void)err_set(why, ERR_INVALID,
                  "timestamp %" PRId64 " ms is of one day too many: samples of %d days wait to be "
                  "written to files",
                  ms, STORE_DAYS_MAX);
    return false;
}

// Whether a sample can be kept. What it has beside a value is looked at here; `extra` may be NULL.
static bool sample_is_valid(const Append *a, MetricsShard *shard, int64_t ms,
                            const MetricsExtra *extra, Err *why) REQUIRES(shard->mu)
{
    if (check_timestamp(a, ms, why) != OK) {
        return false;
    }
    if (extra == NULL || metrics_extra_is_plain(extra)) {
        return check_day_locked(shard, ms, why);
    }
    if (extra->start_ms != INT64_MIN && !timestamp_is_valid(extra->start_ms)) {
        (void)err_set(why, ERR_INVALID,
                      "start timestamp %" PRId64 " ms is not in the years 0001 to 9999",
                      extra->start_ms);
        return false;
    }
    if (extra->histogram.len > HISTOGRAM_BLOB_BYTES_MAX) {
        (void)err_set(why, ERR_INVALID, "a histogram of %zu bytes, more than %d",
                      extra->histogram.len, HISTOGRAM_BLOB_BYTES_MAX);
        return false;
    }
    if (extra->histogram.len != 0 && a->hot->directory.no_histograms) {
        (void)err_set(why, ERR_INVALID,
                      "histograms cannot be kept: the table has another column '" METRICS_HISTOGRAM
                      "'");
        return false;
    }
    return check_day_locked(shard, ms, why);
}

// One sample behind those of the scratch.
static void keep_sample(Append *a, const Samples *from, uint32_t i, uint32_t at)
{
    MetricsScratch *s = a->scratch;
    s->timestamps[at] = from->timestamps_ms[i];
    s->values[at] = from->values[i];
    if (from->extras != NULL) {
        s->extras[at] = from->extras[i];
        if (a->hot->directory.no_starts) {
            s->extras[at].start_ms = INT64_MIN;
        }
    }
}

// The samples that can be kept, copied; the others are rejected for the reason of the first.
static Samples samples_checked_locked(Append *a, MetricsShard *shard, const MetricsItem *item,
                                      const Samples *all) REQUIRES(shard->mu)
{
    MetricsScratch *s = a->scratch;
    Err first;
    uint32_t n = 0;
    s->timestamps =
        mem_grow(s->timestamps, &s->timestamps_cap, all->count + 1, sizeof(*s->timestamps));
    s->values = mem_grow(s->values, &s->values_cap, all->count + 1, sizeof(*s->values));
    s->extras = mem_grow(s->extras, &s->extras_cap, all->count + 1, sizeof(*s->extras));
    Samples out = {.timestamps_ms = s->timestamps,
                   .values = s->values,
                   .extras = all->extras == NULL ? NULL : s->extras};
    for (uint32_t i = 0; i < all->count; i++) {
        const MetricsExtra *extra = all->extras == NULL ? NULL : &all->extras[i];
        Err why;
        if (!sample_is_valid(a, shard, all->timestamps_ms[i], extra, &why)) {
            first = n == i ? why : first;
            continue;
        }
        keep_sample(a, all, i, n);
        out.extended = out.extended || metrics_slot_is_record(s->values[n]) ||
                       (extra != NULL && !metrics_extra_is_plain(&s->extras[n]));
        n++;
    }
    out.count = n;
    if (n != all->count && !item->again) {
        reject(a, item->series, all->count - n, &first);
    }
    return out;
}

// The samples of an item that can be kept. Floats of days that the window knows, the usual case,
// are not copied.
static Samples samples_locked(Append *a, MetricsShard *shard, const MetricsItem *item)
    REQUIRES(shard->mu)
{
    const MetricsSeries *s = &a->batch->series[item->series];
    const MetricsWindow *w = shard->window;
    const int64_t min_ms = a->oldest_ms > w->days_min_ms ? a->oldest_ms : w->days_min_ms;
    const int64_t max_ms = a->newest_ms < w->days_max_ms ? a->newest_ms : w->days_max_ms;
    Samples samples = {.timestamps_ms = a->batch->timestamps_ms + s->sample_first,
                       .values = a->batch->values + s->sample_first,
                       .count = s->sample_count};
    uint32_t plain = 0;
    for (uint32_t i = 0; i < samples.count; i++) {
        const int64_t ms = samples.timestamps_ms[i];
        plain += (uint32_t)(ms >= min_ms) & (uint32_t)(ms <= max_ms) &
                 (uint32_t)!metrics_slot_is_record(samples.values[i]);
    }
    if (a->batch->extras == NULL && plain == samples.count) {
        return samples;
    }
    samples.extras = a->batch->extras == NULL ? NULL : a->batch->extras + s->sample_first;
    return samples_checked_locked(a, shard, item, &samples);
}

// --- series that the table does not know ---------------------------------------------------------

static void defer(MetricsScratch *scratch, LabelsHash canonical, uint32_t series)
{
    scratch->deferred = mem_grow(scratch->deferred, &scratch->deferred_cap,
                                 scratch->deferred_count + 1, sizeof(*scratch->deferred));
    scratch->deferred[scratch->deferred_count++] =
        (MetricsItem){.hash = canonical, .series = series};
}

static Status parse_labels(Append *a, const MetricsItem *item, Parsed *out, Err *err)
{
    const MetricsSeries *input = &a->batch->series[item->series];
    const Status st = labels_parse(input->labels, &a->hot->limits, &a->scratch->labels,
                                   &out->labels, &out->canonical, err);
    out->valid = st == OK;
    return st;
}

// Finds or makes the series of an item whose hash missed, or hit an alias. *series is
// METRICS_SERIES_NONE when it was deferred or rejected; fails only when the shard is full.
static Status resolve_locked(Append *a, MetricsShard *shard, const MetricsItem *item,
                             Parsed *parsed, uint32_t *series, Err *err) REQUIRES(shard->mu)
{
    MetricsScratch *scratch = a->scratch;
    *series = metrics_registry_find(shard->registry, item->hash); // an item before may have made it
    if (*series < METRICS_SERIES_ALIAS) {
        return OK;
    }
    if (*series != METRICS_SERIES_NONE) {
        defer(scratch, metrics_registry_canonical(shard->registry, *series), item->series);
        *series = METRICS_SERIES_NONE;
        return OK;
    }
    Err why;
    if (!parsed->valid && parse_labels(a, item, parsed, &why) != OK) {
        a->result->series_rejected++;
        reject(a, item->series, a->batch->series[item->series].sample_count, &why);
        return OK;
    }
    if (!parsed->canonical && !a->canonical) {
        buf_clear(&scratch->canonical);
        labels_encode(&parsed->labels, &scratch->canonical);
        const LabelsHash hash = labels_hash(buf_bytes(&scratch->canonical), a->hot->key);
        metrics_registry_alias(shard->registry, item->hash, hash);
        defer(scratch, hash, item->series);
        return OK;
    }
    return metrics_shard_add_locked(shard, item->hash, &parsed->labels, series, err);
}

// --- frames --------------------------------------------------------------------------------------

// The frame so far goes to the log.
static Status frame_close_locked(Append *a, Group *g, Err *err) REQUIRES(g->shard->mu)
{
    MetricsWindow *w = g->shard->window;
    if (!g->frame_open) {
        return OK;
    }
    uint64_t sequence = 0;
    g->frame_open = false;
    MetricsScratch *s = a->scratch;
    const Status st =
        a->hot->log.append(a->hot->log.ctx, g->shard->index, buf_bytes(&s->frame), &sequence, err);
    // The labels of a frame that was not taken are not in the log: the next frame has them again.
    for (size_t i = 0; i < s->labelled_count && st != OK; i++) {
        metrics_window_entry_at(w, s->labelled[i])->flags &= (uint16_t)~METRICS_ENTRY_LOGGED;
    }
    s->labelled_count = 0;
    TRY(st);
    w->first_sequence = w->first_sequence == 0 ? sequence : w->first_sequence;
    w->last_sequence = sequence;
    *a->sequence = sequence > *a->sequence ? sequence : *a->sequence;
    return OK;
}

static uint8_t *put_bits(uint8_t *p, uint64_t bits)
{
    memcpy(p, &bits, 8); // little-endian, like every machine we run on
    return p + 8;
}

// What stands for the value of a sample that may be an extended one.
static uint8_t *put_extended(uint8_t *p, const Samples *samples, uint32_t i)
{
    static const MetricsExtra none = {.start_ms = INT64_MIN};
    const MetricsExtra *extra = samples->extras == NULL ? &none : &samples->extras[i];
    const uint64_t bits = metrics_slot_bits(samples->values[i]);
    if (metrics_extra_is_plain(extra) && !metrics_slot_is_record(samples->values[i])) {
        return put_bits(p, bits);
    }
    const Bytes blob = extra->histogram;
    const bool has_start = extra->start_ms != INT64_MIN;
    p = put_bits(p, METRICS_RECORD_MARK | (has_start ? METRICS_FRAME_START : 0) | blob.len);
    if (has_start) {
        p = varint_write_u64(p, zigzag_from_i64(extra->start_ms - samples->timestamps_ms[i]));
    }
    if (blob.len == 0) {
        return put_bits(p, bits);
    }
    memcpy(p, blob.ptr, blob.len);
    return p + blob.len;
}

// The room that the samples may take beyond that of plain ones.
static size_t extended_bytes(const Samples *samples)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < samples->count && samples->extended; i++) {
        bytes += EXTENDED_BYTES_MAX;
        bytes += samples->extras == NULL ? 0 : samples->extras[i].histogram.len;
    }
    return bytes;
}

// Appends an entry to the frame, see docs/formats/wal_metrics.md.
static void frame_put(Buf *frame, Group *g, uint32_t series, Bytes labels, Samples samples)
{
    const size_t need = ENTRY_BYTES_MAX + labels.len + (size_t)samples.count * SAMPLE_BYTES_MAX +
                        extended_bytes(&samples);
    uint8_t *p = frame->ptr + frame->len;
    if (frame->cap - frame->len < need) {
        p = buf_reserve(frame, need);
        ASSERT(p != NULL); // the buffer has no maximum
    }
    const int64_t step = (int64_t)series - (int64_t)g->frame_series;
    p = varint_write_u64(p, zigzag_from_i64(step) << 2 | (uint64_t)(samples.count != 1) << 1 |
                                (uint64_t)(labels.len != 0));
    if (labels.len != 0) {
        p = label_diff_write(p, labels, g->frame_labels);
        g->frame_labels = labels;
    }
    if (samples.count != 1) {
        p = varint_write_u64(p, samples.count);
    }
    int64_t before_ms = g->frame_ms;
    for (uint32_t i = 0; i < samples.count; i++) {
        p = varint_write_u64(p, zigzag_from_i64(samples.timestamps_ms[i] - before_ms));
        before_ms = samples.timestamps_ms[i];
        p = samples.extended ? put_extended(p, &samples, i)
                             : put_bits(p, metrics_slot_bits(samples.values[i]));
    }
    if (samples.extended) {
        frame->ptr[0] |= METRICS_FRAME_EXTENDED;
    }
    g->frame_ms = before_ms;
    g->frame_series = series;
    frame->len = (size_t)(p - frame->ptr);
}

// How many of the samples one entry takes.
static uint32_t run_count(const Samples *samples)
{
    const uint32_t most = samples->count < RUN_SAMPLES_MAX ? samples->count : RUN_SAMPLES_MAX;
    size_t bytes = 0;
    uint32_t n = 0;
    if (!samples->extended || samples->extras == NULL) {
        return most;
    }
    while (n < most && bytes < METRICS_FRAME_BYTES) {
        bytes += samples->extras[n++].histogram.len;
    }
    return n;
}

static Status frame_add_locked(Append *a, Group *g, uint32_t series, Bytes labels, Samples samples,
                               Err *err) REQUIRES(g->shard->mu)
{
    Buf *frame = &a->scratch->frame;
    while (samples.count != 0) {
        if (!g->frame_open) {
            buf_clear(frame);
            buf_put_u8(frame, FRAME_VERSION);
            buf_put_u64le(frame, g->shard->window->id);
            g->frame_open = true;
            g->frame_series = 0;
            g->frame_ms = 0;
            g->frame_labels = (Bytes){0};
        }
        Samples run = samples;
        run.count = run_count(&samples);
        frame_put(frame, g, series, labels, run);
        labels = (Bytes){0};
        samples.timestamps_ms += run.count;
        samples.values += run.count;
        samples.extras = samples.extras == NULL ? NULL : samples.extras + run.count;
        samples.count -= run.count;
        if (frame->len >= METRICS_FRAME_BYTES) {
            TRY(frame_close_locked(a, g, err));
        }
    }
    return OK;
}

// --- a group -------------------------------------------------------------------------------------

static double slot_of(MetricsWindow *w, MetricsEntry *e, const Samples *samples, uint32_t i)
{
    const MetricsExtra *extra = samples->extras == NULL ? NULL : &samples->extras[i];
    return metrics_window_slot(w, e, samples->values[i], extra);
}

static uint64_t histogram_count(const Samples *samples)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < samples->count && samples->extras != NULL; i++) {
        count += samples->extras[i].histogram.len != 0;
    }
    return count;
}

static Status append_series_locked(Append *a, Group *g, const MetricsItem *item, uint32_t series,
                                   Err *err) REQUIRES(g->shard->mu)
{
    MetricsWindow *w = g->shard->window;
    const Samples samples = samples_locked(a, g->shard, item);
    if (samples.count == 0) {
        return OK;
    }
    MetricsEntry *e = metrics_window_entry_at(w, series);
    for (uint32_t i = 0; i < samples.count; i++) {
        const int64_t ms = samples.timestamps_ms[i];
        g->min_ms = ms < g->min_ms ? ms : g->min_ms;
        g->max_ms = ms > g->max_ms ? ms : g->max_ms;
        const double value = !samples.extended ? samples.values[i] : slot_of(w, e, &samples, i);
        metrics_window_append(w, series, e, ms, value);
    }
    g->samples += samples.count;
    g->written += item->again ? 0 : samples.count;
    g->histograms += item->again ? 0 : histogram_count(&samples);
    if (a->hot->log.append == NULL) {
        return OK;
    }
    Bytes labels = {0};
    if ((e->flags & METRICS_ENTRY_LOGGED) == 0) {
        MetricsScratch *s = a->scratch;
        s->labelled =
            mem_grow(s->labelled, &s->labelled_cap, s->labelled_count + 1, sizeof(*s->labelled));
        s->labelled[s->labelled_count++] = series;
        e->flags |= METRICS_ENTRY_LOGGED;
        labels = a->batch->series[item->series].labels;
    }
    return frame_add_locked(a, g, series, labels, samples, err);
}

// They are about to be parsed; the hashing has gone on to other series since it read them.
static inline void prefetch_labels(Bytes wire)
{
    for (size_t at = 0; at < wire.len && at < PREFETCH_BYTES; at += 64) {
        __builtin_prefetch(wire.ptr + at);
    }
}

static Status append_step_locked(Append *a, Group *g, const MetricsItem *items, size_t count,
                                 Err *err) REQUIRES(g->shard->mu)
{
    const MetricsRegistry *r = g->shard->registry;
    const MetricsWindow *w = g->shard->window;
    uint32_t series[STEP];
    Parsed parsed[STEP];
    for (size_t i = 0; i < count; i++) {
        __builtin_prefetch(&r->slots[metrics_registry_slot(r, items[i].hash)]);
    }
    for (size_t i = 0; i < count; i++) {
        series[i] = metrics_registry_find(r, items[i].hash);
        if (series[i] < METRICS_SERIES_ALIAS) {
            __builtin_prefetch(metrics_window_entry(w, series[i]), 1);
        } else {
            prefetch_labels(a->batch->series[items[i].series].labels);
        }
    }
    if (arena_over_budget(&a->scratch->labels)) {
        arena_reset(&a->scratch->labels);
    }
    for (size_t i = 0; i < count; i++) {
        if (series[i] < METRICS_SERIES_ALIAS) {
            metrics_window_prefetch_tail(w, series[i]);
            continue;
        }
        Err ignored; // met again, and reported, when its turn comes
        parsed[i].valid = false;
        if (series[i] == METRICS_SERIES_NONE &&
            parse_labels(a, &items[i], &parsed[i], &ignored) == OK) {
            metrics_registry_prefetch(r, &parsed[i].labels);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (series[i] >= METRICS_SERIES_ALIAS) {
            TRY(resolve_locked(a, g->shard, &items[i], &parsed[i], &series[i], err));
        }
        if (series[i] != METRICS_SERIES_NONE) {
            TRY(append_series_locked(a, g, &items[i], series[i], err));
        }
    }
    return OK;
}

static Status append_group(Append *a, uint32_t shard_index, const MetricsItem *items, size_t count,
                           Err *err)
{
    Status st = OK;
    Group g = {.shard = &a->hot->shards[shard_index], .min_ms = INT64_MAX, .max_ms = INT64_MIN};
    if (count == 0) {
        return OK;
    }
    mutex_lock(&g.shard->mu);
    metrics_replay_clear(&g.shard->replay);
    MetricsWindow *w = g.shard->window;
    const uint64_t overwritten = w->overwritten_count;
    for (size_t i = 0; i < count && st == OK; i += STEP) {
        st = append_step_locked(a, &g, items + i, count - i < STEP ? count - i : STEP, err);
    }
    // What was applied is logged even when the shard became full on the way.
    Err log_err;
    const Status log_st = frame_close_locked(a, &g, &log_err);
    if (log_st != OK && st == OK) {
        *err = log_err;
        st = log_st;
    }
    w->row_count += g.samples - (w->overwritten_count - overwritten);
    w->min_ms = g.min_ms < w->min_ms ? g.min_ms : w->min_ms;
    w->max_ms = g.max_ms > w->max_ms ? g.max_ms : w->max_ms;
    mutex_unlock(&g.shard->mu);
    a->result->samples_written += g.written;
    a->result->histograms_written += g.histograms;
    return st;
}

// --- the batch -----------------------------------------------------------------------------------

static MetricsScratch *scratch_take(MetricsHot *hot)
{
    mutex_lock(&hot->scratch_mu);
    MetricsScratch *s = hot->scratch;
    if (s != NULL) {
        hot->scratch = s->next;
    }
    mutex_unlock(&hot->scratch_mu);
    if (s == NULL) {
        s = mem_new(MetricsScratch, 1);
        buf_init(&s->frame, 0);
        buf_init(&s->canonical, 0);
        arena_init(&s->labels, SCRATCH_LABELS_BYTES);
    }
    return s;
}

static void scratch_give(MetricsHot *hot, MetricsScratch *s)
{
    arena_reset(&s->labels);
    s->deferred_count = 0;
    if (s->items_cap > SCRATCH_SERIES_KEPT || s->frame.cap > SCRATCH_FRAME_KEPT ||
        s->timestamps_cap > SCRATCH_SERIES_KEPT || s->extras_cap > SCRATCH_SERIES_KEPT) {
        metrics_scratch_free(s); // one huge request must not hold its memory for good
        return;
    }
    mutex_lock(&hot->scratch_mu);
    s->next = hot->scratch;
    hot->scratch = s;
    mutex_unlock(&hot->scratch_mu);
}

// Sorts items by shard (counting sort) and appends group after group. Calls that run at the same
// time start with different shards.
static Status append_items(Append *a, const MetricsItem *items, size_t count, Err *err)
{
    MetricsScratch *s = a->scratch;
    size_t ends[METRICS_SHARDS] = {0};
    size_t starts[METRICS_SHARDS];
    size_t sum = 0;
    s->grouped = mem_grow(s->grouped, &s->grouped_cap, count, sizeof(*s->grouped));
    for (size_t i = 0; i < count; i++) {
        ends[metrics_hash_shard(items[i].hash)]++;
    }
    for (uint32_t i = 0; i < METRICS_SHARDS; i++) {
        starts[i] = sum;
        sum += ends[i];
        ends[i] = starts[i];
    }
    for (size_t i = 0; i < count; i++) {
        s->grouped[ends[metrics_hash_shard(items[i].hash)]++] = items[i];
    }
    // Relaxed: any value will do.
    const uint32_t turn = atomic_fetch_add_explicit(&a->hot->turn, 1, memory_order_relaxed);
    for (uint32_t i = 0; i < METRICS_SHARDS; i++) {
        const uint32_t shard = (turn + i) % METRICS_SHARDS;
        TRY(append_group(a, shard, s->grouped + starts[shard], ends[shard] - starts[shard], err));
    }
    return OK;
}

static int item_compare(const void *a, const void *b)
{
    const MetricsItem *x = a;
    const MetricsItem *y = b;
    return (x->series > y->series) - (x->series < y->series);
}

// The slot of a canonical hash: taken by it, or empty.
static MetricsFirst *first_slot(const MetricsScratch *s, LabelsHash hash)
{
    size_t at = hash.lo & (s->first_count - 1);
    while (s->firsts[at].series_plus_1 != 0 &&
           (s->firsts[at].hash.lo != hash.lo || s->firsts[at].hash.hi != hash.hi)) {
        at = (at + 1) & (s->first_count - 1);
    }
    return &s->firsts[at];
}

// Completes the deferred items: in the order of the batch, with what has to be applied after them
// again.
static void prepare_deferred(Append *a, const MetricsItem *items, size_t count)
{
    MetricsScratch *s = a->scratch;
    const size_t deferred = s->deferred_count;
    qsort(s->deferred, deferred, sizeof(*s->deferred), item_compare);
    mem_free(s->firsts);
    for (s->first_count = 16; s->first_count < deferred * 2;) {
        s->first_count *= 2;
    }
    s->firsts = mem_new(MetricsFirst, s->first_count);
    for (size_t i = 0; i < deferred; i++) {
        MetricsFirst *first = first_slot(s, s->deferred[i].hash);
        if (first->series_plus_1 == 0) {
            *first = (MetricsFirst){s->deferred[i].hash, s->deferred[i].series + 1};
        }
    }
    for (size_t i = 0; i < count; i++) {
        const MetricsFirst *first = first_slot(s, items[i].hash);
        if (first->series_plus_1 != 0 && first->series_plus_1 <= items[i].series) {
            defer(s, items[i].hash, items[i].series);
            s->deferred[s->deferred_count - 1].again = true;
        }
    }
    if (s->deferred_count != deferred) {
        qsort(s->deferred, s->deferred_count, sizeof(*s->deferred), item_compare);
    }
}

// Which timestamps are let in.
static void set_bounds(Append *a)
{
    const MetricsHot *hot = a->hot;
    a->oldest_ms = METRICS_TIMESTAMP_MIN_MS;
    a->newest_ms = METRICS_TIMESTAMP_MAX_MS;
    if (hot->max_age_ms == 0 && hot->max_future_ms == 0) {
        return;
    }
    a->now_ms = os_wall_us(hot->os) / 1000;
    if (hot->max_age_ms != 0 && a->now_ms - hot->max_age_ms > a->oldest_ms) {
        a->oldest_ms = a->now_ms - hot->max_age_ms;
    }
    if (hot->max_future_ms != 0 && a->now_ms + hot->max_future_ms < a->newest_ms) {
        a->newest_ms = a->now_ms + hot->max_future_ms;
    }
}

Status metrics_hot_append(MetricsHot *hot, const MetricsBatch *batch, MetricsResult *result,
                          uint64_t *sequence, Err *err)
{
    Status st = OK;
    ASSERT(batch->series_count < UINT32_MAX);
    MetricsScratch *s = scratch_take(hot);
    Append a = {.hot = hot, .batch = batch, .result = result, .scratch = s, .sequence = sequence};
    *result = (MetricsResult){0};
    *sequence = 0;
    set_bounds(&a);
    if (batch->series_count == 0) {
        goto out;
    }
    s->items = mem_grow(s->items, &s->items_cap, batch->series_count, sizeof(*s->items));
    for (size_t i = 0; i < batch->series_count; i++) {
        s->items[i] = (MetricsItem){.hash = labels_hash(batch->series[i].labels, hot->key),
                                    .series = (uint32_t)i};
    }
    TRY_OUT(append_items(&a, s->items, batch->series_count, err));
    if (s->deferred_count != 0) {
        a.canonical = true;
        prepare_deferred(&a, s->items, batch->series_count);
        TRY_OUT(append_items(&a, s->deferred, s->deferred_count, err));
    }
out:
    scratch_give(hot, s);
    return st;
}
