// SPDX-License-Identifier: Apache-2.0
//
// Replay: the frames of docs/formats/wal_metrics.md back into a window. The bytes have passed a
// CRC, and are checked all the same.
#include "codec/hash.h"
#include "codec/varint.h"
#include "store/label_diff.h"
#include "store/metrics_extra_internal.h"
#include "store/metrics_hot_internal.h"

enum { FRAME_VERSION = 2, FRAME_VERSION_WHOLE_LABELS = 1, MAP_SLOTS_FIRST = 1024 };

// --- series by their number in the frames --------------------------------------------------------

void metrics_replay_clear(MetricsReplayMap *map)
{
    if (map->used) {
        mem_free(map->slots);
        *map = (MetricsReplayMap){0};
    }
}

static uint64_t *map_slot(const MetricsReplayMap *map, uint32_t number)
{
    uint32_t at = (uint32_t)hash_u64(number) & (map->slot_count - 1);
    while (map->slots[at] != 0 && (map->slots[at] - 1) >> 32 != number) {
        at = (at + 1) & (map->slot_count - 1);
    }
    return &map->slots[at];
}

static void map_put(MetricsReplayMap *map, uint32_t number, uint32_t series)
{
    if ((uint64_t)(map->count + 1) * 4 > (uint64_t)map->slot_count * 3) {
        uint64_t *slots = map->slots;
        const uint32_t slot_count = map->slot_count;
        map->slot_count = slot_count == 0 ? MAP_SLOTS_FIRST : slot_count * 2;
        map->slots = mem_new(uint64_t, map->slot_count);
        for (uint32_t i = 0; i < slot_count; i++) {
            if (slots[i] != 0) {
                *map_slot(map, (uint32_t)((slots[i] - 1) >> 32)) = slots[i];
            }
        }
        mem_free(slots);
    }
    uint64_t *slot = map_slot(map, number);
    map->count += *slot == 0;
    *slot = ((uint64_t)number << 32 | series) + 1;
}

static uint32_t map_get(const MetricsReplayMap *map, uint32_t number)
{
    const uint64_t slot = map->slot_count == 0 ? 0 : *map_slot(map, number);
    return slot == 0 ? METRICS_SERIES_NONE : (uint32_t)(slot - 1);
}

// --- frames --------------------------------------------------------------------------------------

typedef struct Replay {
    MetricsShard *shard;
    const MetricsHot *hot;
    Arena labels;
    Buf canonical;
    Buf wire[2]; // labels of the last entry that has some, and of this one
    MetricsReplay *figures;
    bool extended; // the frame has extended samples
    uint8_t version;
    int64_t before_ms;
    uint64_t number; // of the last entry's series
} Replay;

// The series of a label set, in whatever form it was sent.
static Status series_locked(Replay *r, Bytes wire, uint32_t *series, Err *err)
    REQUIRES(r->shard->mu)
{
    static const LabelLimits hard = {LABELS_COUNT_MAX, LABELS_NAME_BYTES_MAX,
                                     LABELS_VALUE_BYTES_MAX};
    LabelsHash hash = labels_hash(wire, r->hot->key);
    *series = metrics_registry_find(r->shard->registry, hash);
    if (*series < METRICS_SERIES_ALIAS && metrics_hash_shard(hash) == r->shard->index) {
        return OK;
    }
    LabelSet labels = {0};
    bool canonical = false;
    if (arena_over_budget(&r->labels)) {
        arena_reset(&r->labels);
    }
    TRY(labels_parse(wire, &hard, &r->labels, &labels, &canonical, err));
    if (!canonical) {
        buf_clear(&r->canonical);
        labels_encode(&labels, &r->canonical);
        hash = labels_hash(buf_bytes(&r->canonical), r->hot->key);
        *series = metrics_registry_find(r->shard->registry, hash);
    }
    if (metrics_hash_shard(hash) != r->shard->index) {
        return err_set(err, ERR_CORRUPT, "a series of shard %" PRIu32, metrics_hash_shard(hash));
    }
    return *series < METRICS_SERIES_ALIAS
               ? OK
               : metrics_shard_add_locked(r->shard, hash, &labels, series, err);
}

// One sample as the frame has it.
typedef struct ReplaySample {
    int64_t ms;
    double value;
    MetricsExtra extra;
} ReplaySample;

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

// `count` samples of `series`, which may be METRICS_SERIES_NONE: then they are only counted.
static Status samples_locked(Replay *r, Reader *in, uint32_t series, uint64_t count, Err *err)
    REQUIRES(r->shard->mu)
{
    MetricsWindow *w = r->shard->window;
    if (count > reader_left(in) / 9) {
        return err_set(err, ERR_CORRUPT, "%" PRIu64 " samples do not fit", count);
    }
    MetricsEntry *e = series == METRICS_SERIES_NONE ? NULL : metrics_window_entry_put(w, series);
    for (uint64_t i = 0; i < count; i++) {
        ReplaySample sample;
        if (!read_sample(r, in, &sample)) {
            return err_set(err, ERR_CORRUPT, "a sample is cut short or has no valid time");
        }
        r->before_ms = sample.ms;
        if (e == NULL) {
            r->figures->samples_unknown++;
            continue;
        }
        const double value = metrics_window_slot(w, e, sample.value, &sample.extra);
        const uint64_t overwritten = w->overwritten_count;
        metrics_window_append(w, series, e, sample.ms, value);
        w->row_count += 1 - (w->overwritten_count - overwritten);
        w->min_ms = sample.ms < w->min_ms ? sample.ms : w->min_ms;
        w->max_ms = sample.ms > w->max_ms ? sample.ms : w->max_ms;
        r->figures->samples++;
    }
    return OK;
}

static Status entry_labels(Replay *r, Reader *in, Bytes *out, Err *err)
{
    if (r->version == FRAME_VERSION_WHOLE_LABELS) {
        *out = reader_bytes(in, varint_get_u64(in));
        return reader_ok(in) ? OK : err_set(err, ERR_CORRUPT, "bad labels");
    }
    const Buf before = r->wire[0];
    r->wire[0] = r->wire[1];
    r->wire[1] = before;
    TRY(label_diff_read(in, buf_bytes(&before), &r->wire[0], err));
    *out = buf_bytes(&r->wire[0]);
    return OK;
}

static Status entry_locked(Replay *r, Reader *in, Err *err) REQUIRES(r->shard->mu)
{
    const uint64_t head = varint_get_u64(in);
    r->number += (uint64_t)zigzag_to_i64(head >> 2);
    if (!reader_ok(in) || r->number >= METRICS_SHARD_SERIES_MAX) {
        return err_set(err, ERR_CORRUPT, "bad series number");
    }
    MetricsReplayMap *map = &r->shard->replay;
    uint32_t series = METRICS_SERIES_NONE;
    if ((head & 1) != 0) {
        Bytes labels;
        TRY(entry_labels(r, in, &labels, err));
        if (series_locked(r, labels, &series, err) != OK) {
            return err->status == ERR_LIMIT ? ERR_LIMIT : err_set(err, ERR_CORRUPT, "bad labels");
        }
        map_put(map, (uint32_t)r->number, series);
    } else {
        series = map_get(map, (uint32_t)r->number);
    }
    return samples_locked(r, in, series, (head & 2) != 0 ? varint_get_u64(in) : 1, err);
}

static Status frame_locked(Replay *r, Bytes payload, Err *err) REQUIRES(r->shard->mu)
{
    Reader in = reader_of(payload);
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
    if (!r->shard->replay.used || r->shard->replay.window_id != window_id) {
        metrics_replay_clear(&r->shard->replay);
        r->shard->replay.used = true;
        r->shard->replay.window_id = window_id;
    }
    while (reader_left(&in) != 0) {
        const size_t at = payload.len - reader_left(&in);
        if (entry_locked(r, &in, err) != OK) {
            return err_prefix(err, "entry at byte %zu: ", at);
        }
    }
    return OK;
}

Status metrics_hot_replay(MetricsHot *hot, uint32_t shard, uint64_t sequence, Bytes payload,
                          MetricsReplay *replay, Err *err)
{
    Replay r = {.shard = &hot->shards[shard], .hot = hot, .figures = replay};
    arena_init(&r.labels, 1 << 20);
    buf_init(&r.canonical, 0);
    buf_init(&r.wire[0], 0);
    buf_init(&r.wire[1], 0);
    mutex_lock(&r.shard->mu);
    const Status st = frame_locked(&r, payload, err);
    MetricsWindow *w = r.shard->window;
    w->first_sequence = w->first_sequence == 0 ? sequence : w->first_sequence;
    w->last_sequence = sequence;
    mutex_unlock(&r.shard->mu);
    arena_deinit(&r.labels);
    buf_deinit(&r.canonical);
    buf_deinit(&r.wire[0]);
    buf_deinit(&r.wire[1]);
    return st == OK ? OK : err_prefix(err, "metrics frame %" PRIu64 ": ", sequence);
}
