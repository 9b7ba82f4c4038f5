// SPDX-License-Identifier: Apache-2.0
//
// Replay: the frames of docs/formats/wal_metrics.md back into a window. The bytes have passed a
// CRC, and are checked all the same.
//
// A frame goes through in steps of STEP entries, as when it was appended: they are decoded first,
// then what they will touch is fetched for all of them together, then they are applied.
#include "codec/varint.h"
#include "store/label_diff.h"
#include "store/metrics_extra_internal.h"
#include "store/metrics_hot_internal.h"

enum {
    FRAME_VERSION = 2,
    FRAME_VERSION_WHOLE_LABELS = 1,
    STEP = 32,
    PAGE_LOG = 14, // numbers of a page of the map
    PAGES_MAX = METRICS_SHARD_SERIES_MAX >> PAGE_LOG,
    SCRATCH_LABELS_BYTES = 1 << 20, // arena memory after which it is emptied
};

// --- series by their number in the frames --------------------------------------------------------

void metrics_replay_clear(MetricsReplayMap *map)
{
    for (size_t i = 0; map->pages != NULL && i < PAGES_MAX; i++) {
        mem_free(map->pages[i]);
    }
    mem_free(map->pages);
    *map = (MetricsReplayMap){0};
}

static void map_put(MetricsReplayMap *map, uint32_t number, uint32_t series)
{
    uint32_t **page = &map->pages[number >> PAGE_LOG];
    if (*page == NULL) {
        *page = mem_new(uint32_t, 1U << PAGE_LOG);
    }
    (*page)[number & ((1U << PAGE_LOG) - 1)] = series + 1;
}

// Where the series of a number is, + 1; NULL or 0 when there is none.
static const uint32_t *map_at(const MetricsReplayMap *map, uint32_t number)
{
    const uint32_t *page = map->pages[number >> PAGE_LOG];
    return page == NULL ? NULL : &page[number & ((1U << PAGE_LOG) - 1)];
}

static uint32_t map_get(const MetricsReplayMap *map, uint32_t number)
{
    const uint32_t *at = map_at(map, number);
    return at == NULL || *at == 0 ? METRICS_SERIES_NONE : *at - 1;
}

// --- frames --------------------------------------------------------------------------------------

// One sample as the frame has it.
typedef struct ReplaySample {
    int64_t ms;
    double value;
    MetricsExtra extra;
} ReplaySample;

typedef struct Entry {
    size_t at;       // of the frame, for messages
    uint32_t number; // of its series
    bool has_labels;
    bool has_one;      // sample, which is here; else `count` samples follow in the frame
    bool parsed;       // labels are in `set`
    bool canonical;    // of a parsed set
    uint32_t expected; // the series, as far as it was known when the step began
    ReplaySample sample;
    uint64_t count;
    Bytes labels;
    LabelsHash hash; // of `labels`
    LabelSet set;
} Entry;

typedef struct Replay {
    MetricsShard *shard;
    const MetricsHot *hot;
    Arena labels;
    Buf canonical;
    Buf wires[STEP + 1]; // labels, in turn: those of a step, and of the last entry before it
    uint32_t wire;       // of the last entry with labels
    MetricsReplay *figures;
    uint8_t version;
    bool extended; // the frame has extended samples
    int64_t before_ms;
    uint64_t number; // of the last entry's series
    Entry entries[STEP];
} Replay;

static Status labels_decode(Replay *r, Reader *in, Bytes *out, Err *err)
{
    if (r->version == FRAME_VERSION_WHOLE_LABELS) {
        *out = reader_bytes(in, varint_get_u64(in));
        return reader_ok(in) ? OK : err_set(err, ERR_CORRUPT, "bad labels");
    }
    const Bytes before = buf_bytes(&r->wires[r->wire]);
    r->wire = r->wire == STEP ? 0 : r->wire + 1;
    TRY(label_diff_read(in, before, &r->wires[r->wire], err));
    *out = buf_bytes(&r->wires[r->wire]);
    return OK;
}

static bool is_time(int64_t ms)
{
    return ms >= METRICS_TIMESTAMP_MIN_MS && ms <= METRICS_TIMESTAMP_MAX_MS;
}

static double double_of(uint64_t bits)
{
    double value = 0;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

// False when the bytes are not a sample.
static bool read_sample(const Replay *r, Reader *in, ReplaySample *out)
{
    const uint64_t step = (uint64_t)varint_get_i64(in);
    const uint64_t bits = reader_u64le(in);
    *out = (ReplaySample){.ms = (int64_t)((uint64_t)r->before_ms + step),
                          .value = double_of(bits),
                          .extra.start_ms = INT64_MIN};
    if (!r->extended || !metrics_slot_is_record(out->value)) {
        return reader_ok(in) && is_time(out->ms);
    }
    const uint64_t blob_len = bits & UINT32_MAX;
    bool good = (bits & ~(METRICS_RECORD_MARK | METRICS_FRAME_START | UINT32_MAX)) == 0 &&
                blob_len <= HISTOGRAM_BLOB_BYTES_MAX;
    if ((bits & METRICS_FRAME_START) != 0) {
        out->extra.start_ms = (int64_t)((uint64_t)out->ms + (uint64_t)varint_get_i64(in));
        good = good && is_time(out->extra.start_ms);
    }
    if (good && blob_len != 0) {
        out->extra.histogram = reader_bytes(in, blob_len);
    } else {
        out->value = double_of(reader_u64le(in));
    }
    return good && reader_ok(in) && is_time(out->ms);
}

static Status sample_decode(Replay *r, Reader *in, ReplaySample *out, Err *err)
{
    if (!read_sample(r, in, out)) {
        return err_set(err, ERR_CORRUPT, "a sample is cut short or has no valid time");
    }
    r->before_ms = out->ms;
    return OK;
}

static Status entry_decode(Replay *r, Reader *in, Entry *e, Err *err)
{
    const uint64_t head = varint_get_u64(in);
    r->number += (uint64_t)zigzag_to_i64(head >> 2);
    if (!reader_ok(in) || r->number >= METRICS_SHARD_SERIES_MAX) {
        return err_set(err, ERR_CORRUPT, "bad series number");
    }
    e->number = (uint32_t)r->number;
    e->has_labels = (head & 1) != 0;
    e->has_one = (head & 2) == 0;
    e->parsed = false;
    if (e->has_labels) {
        TRY(labels_decode(r, in, &e->labels, err));
        e->hash = labels_hash(e->labels, r->hot->key);
    }
    if (e->has_one) {
        return sample_decode(r, in, &e->sample, err);
    }
    e->count = varint_get_u64(in);
    return !reader_ok(in) || e->count > reader_left(in) / 9
               ? err_set(err, ERR_CORRUPT, "%" PRIu64 " samples do not fit", e->count)
               : OK;
}

static Status entry_parse(Replay *r, Entry *e, Err *err)
{
    static const LabelLimits hard = {LABELS_COUNT_MAX, LABELS_NAME_BYTES_MAX,
                                     LABELS_VALUE_BYTES_MAX};
    if (e->parsed) {
        return OK;
    }
    const Status st = labels_parse(e->labels, &hard, &r->labels, &e->set, &e->canonical, err);
    e->parsed = st == OK;
    return st;
}

static void prefetch_locked(Replay *r, size_t count) REQUIRES(r->shard->mu)
{
    const MetricsRegistry *registry = r->shard->registry;
    const MetricsReplayMap *map = &r->shard->replay;
    const MetricsWindow *w = r->shard->window;
    for (size_t i = 0; i < count; i++) {
        const Entry *e = &r->entries[i];
        if (e->has_labels) {
            __builtin_prefetch(&registry->slots[metrics_registry_slot(registry, e->hash)]);
        } else {
            __builtin_prefetch(map_at(map, e->number));
        }
    }
    for (size_t i = 0; i < count; i++) {
        Entry *e = &r->entries[i];
        e->expected =
            e->has_labels ? metrics_registry_find(registry, e->hash) : map_get(map, e->number);
        if (e->expected < METRICS_SERIES_ALIAS) {
            __builtin_prefetch(metrics_window_entry(w, e->expected), 1);
        }
    }
    for (size_t i = 0; i < count; i++) {
        Entry *e = &r->entries[i];
        Err ignored; // met again, and reported, when its turn comes
        if (e->expected < METRICS_SERIES_ALIAS) {
            metrics_window_prefetch_tail(w, e->expected);
        } else if (e->has_labels && entry_parse(r, e, &ignored) == OK) {
            metrics_registry_prefetch(registry, &e->set);
        }
    }
}

// The series of a label set, in whatever form it was sent.
static Status series_locked(Replay *r, Entry *e, uint32_t *series, Err *err) REQUIRES(r->shard->mu)
{
    LabelsHash hash = e->hash;
    *series = metrics_registry_find(r->shard->registry, hash);
    if (*series < METRICS_SERIES_ALIAS && metrics_hash_shard(hash) == r->shard->index) {
        return OK;
    }
    TRY(entry_parse(r, e, err));
    if (!e->canonical) {
        buf_clear(&r->canonical);
        labels_encode(&e->set, &r->canonical);
        hash = labels_hash(buf_bytes(&r->canonical), r->hot->key);
        *series = metrics_registry_find(r->shard->registry, hash);
    }
    if (metrics_hash_shard(hash) != r->shard->index) {
        return err_set(err, ERR_CORRUPT, "a series of shard %" PRIu32, metrics_hash_shard(hash));
    }
    return *series < METRICS_SERIES_ALIAS
               ? OK
               : metrics_shard_add_locked(r->shard, hash, &e->set, series, err);
}

// A sample of `series`, which may be METRICS_SERIES_NONE: then it is only counted.
static void apply_locked(Replay *r, uint32_t series, const ReplaySample *sample)
    REQUIRES(r->shard->mu)
{
    MetricsWindow *w = r->shard->window;
    if (series == METRICS_SERIES_NONE) {
        r->figures->samples_unknown++;
        return;
    }
    if (sample->ms < w->days_min_ms || sample->ms > w->days_max_ms) {
        (void)metrics_shard_day_locked(r->shard, sample->ms, SIZE_MAX); // it was let in before
    }
    MetricsEntry *e = metrics_window_entry_at(w, series);
    const double value = r->extended || metrics_slot_is_record(sample->value)
                             ? metrics_window_slot(w, e, sample->value, &sample->extra)
                             : sample->value;
    metrics_window_append(w, series, e, sample->ms, value);
    w->min_ms = sample->ms < w->min_ms ? sample->ms : w->min_ms;
    w->max_ms = sample->ms > w->max_ms ? sample->ms : w->max_ms;
    r->figures->samples++;
}

// `in` stands behind the entry, where its samples are when it has more or less than one.
static Status entry_locked(Replay *r, Entry *e, Reader *in, Err *err) REQUIRES(r->shard->mu)
{
    MetricsReplayMap *map = &r->shard->replay;
    uint32_t series = METRICS_SERIES_NONE;
    if (e->has_labels) {
        if (series_locked(r, e, &series, err) != OK) {
            return err->status == ERR_LIMIT ? ERR_LIMIT : err_set(err, ERR_CORRUPT, "bad labels");
        }
        map_put(map, e->number, series);
    } else {
        series = map_get(map, e->number);
    }
    if (e->has_one) {
        apply_locked(r, series, &e->sample);
        return OK;
    }
    for (uint64_t i = 0; i < e->count; i++) {
        TRY(sample_decode(r, in, &e->sample, err));
        apply_locked(r, series, &e->sample);
    }
    return OK;
}

// Up to STEP entries; one with other than one sample is the last.
static Status step_locked(Replay *r, Reader *in, size_t frame_bytes, Err *err)
    REQUIRES(r->shard->mu)
{
    Status st = OK;
    size_t count = 0;
    Err decode_err;
    if (arena_over_budget(&r->labels)) {
        arena_reset(&r->labels);
    }
    while (count < STEP && reader_left(in) != 0) {
        Entry *e = &r->entries[count];
        e->at = frame_bytes - reader_left(in);
        st = entry_decode(r, in, e, &decode_err);
        if (st != OK) {
            (void)err_prefix(&decode_err, "entry at byte %zu: ", e->at);
            break;
        }
        count++;
        if (!e->has_one) {
            break;
        }
    }
    prefetch_locked(r, count);
    for (size_t i = 0; i < count; i++) {
        if (entry_locked(r, &r->entries[i], in, err) != OK) {
            return err_prefix(err, "entry at byte %zu: ", r->entries[i].at);
        }
    }
    if (st != OK) {
        *err = decode_err;
    }
    return st;
}

static Status frame_locked(Replay *r, Bytes payload, Err *err) REQUIRES(r->shard->mu)
{
    Reader in = reader_of(payload);
    MetricsReplayMap *map = &r->shard->replay;
    const Bytes version = reader_bytes(&in, 1);
    const uint64_t window_id = reader_u64le(&in);
    if (!reader_ok(&in)) {
        return err_set(err, ERR_CORRUPT, "cut short");
    }
    r->extended = (version.ptr[0] & METRICS_FRAME_EXTENDED) != 0;
    r->version = version.ptr[0] & (uint8_t)~METRICS_FRAME_EXTENDED;
    if (r->version != FRAME_VERSION && r->version != FRAME_VERSION_WHOLE_LABELS) {
        return err_set(err, ERR_CORRUPT, "not a frame of version %d", FRAME_VERSION);
    }
    if (map->pages == NULL || map->window_id != window_id) {
        metrics_replay_clear(map);
        map->pages = mem_new(uint32_t *, PAGES_MAX);
        map->window_id = window_id;
    }
    while (reader_left(&in) != 0) {
        TRY(step_locked(r, &in, payload.len, err));
    }
    return OK;
}

Status metrics_hot_replay(MetricsHot *hot, uint32_t shard, uint64_t sequence, Bytes payload,
                          MetricsReplay *replay, Err *err)
{
    Replay *r = mem_new(Replay, 1);
    r->shard = &hot->shards[shard];
    r->hot = hot;
    r->figures = replay;
    arena_init(&r->labels, SCRATCH_LABELS_BYTES);
    buf_init(&r->canonical, 0);
    for (size_t i = 0; i < ARRAY_LEN(r->wires); i++) {
        buf_init(&r->wires[i], 0);
    }
    mutex_lock(&r->shard->mu);
    MetricsWindow *w = r->shard->window;
    const uint64_t samples = replay->samples - w->overwritten_count;
    const Status st = frame_locked(r, payload, err);
    w->row_count += replay->samples - w->overwritten_count - samples;
    w->first_sequence = w->first_sequence == 0 ? sequence : w->first_sequence;
    w->last_sequence = sequence;
    mutex_unlock(&r->shard->mu);
    for (size_t i = 0; i < ARRAY_LEN(r->wires); i++) {
        buf_deinit(&r->wires[i]);
    }
    arena_deinit(&r->labels);
    buf_deinit(&r->canonical);
    mem_free(r);
    return st == OK ? OK : err_prefix(err, "metrics frame %" PRIu64 ": ", sequence);
}
