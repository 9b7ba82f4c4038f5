// SPDX-License-Identifier: Apache-2.0
//
// Requests of remote write that have native histograms: each is checked here, at the edge, and
// becomes the blob that the store keeps. Those that are refused are left out, the rest is written.
#include "base/mem.h"
#include "server/server_internal.h"

#include "series/histogram.h"

enum {
    LABELS_TEXT_BYTES = 1024,      // of a series, in an error
    SCRATCH_EXTRAS_KEPT = 1 << 16, // what one large request leaves behind
    SCRATCH_BLOB_BYTES_KEPT = 4 << 20,
};

// Says of which series `why` is, at the end as Prometheus does.
static void refuse(WriteScratch *s, const RemoteWriteRequest *in, uint32_t series, const Err *why)
{
    static const LabelLimits hard = {LABELS_COUNT_MAX, LABELS_NAME_BYTES_MAX,
                                     LABELS_VALUE_BYTES_MAX};
    Arena arena;
    LabelSet labels;
    bool canonical;
    Err other;
    arena_init(&arena, 0);
    buf_putf(&s->refusal, "series %" PRIu32 " of the request: %s", series, why->msg);
    if (labels_parse(in->series[series].labels, &hard, &arena, &labels, &canonical, &other) == OK) {
        buf_put_str(&s->refusal, STR(" for series "));
        labels_format(&labels, LABELS_TEXT_BYTES, &s->refusal);
    }
    arena_deinit(&arena);
}

// Adds sample `from` of the request behind the others; false when it is refused.
static bool add_sample(WriteScratch *s, const RemoteWriteRequest *in, uint32_t from, size_t to,
                       Err *why)
{
    const Bytes message = in->histograms[from];
    s->timestamps[to] = in->timestamps_ms[from];
    s->values[to] = in->values[from];
    s->extras[to] = (MetricsExtra){.start_ms = INT64_MIN};
    if (message.ptr == NULL) {
        return true;
    }
    const size_t before = s->blobs.len;
    if (histogram_check(message, &s->blobs, NULL, why) != OK) {
        return false;
    }
    s->extras[to].histogram.len = s->blobs.len - before;
    return true;
}

// The blobs lie one behind the other, and do not move any more.
static void place_blobs(WriteScratch *s, size_t count)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        s->extras[i].histogram.ptr = s->blobs.ptr + at;
        at += s->extras[i].histogram.len;
    }
}

uint64_t server_take_histograms(WriteScratch *s, const RemoteWriteRequest *in, MetricsBatch *batch)
{
    const size_t all = in->sample_count;
    size_t count = 0;
    uint64_t refused = 0;
    s->timestamps = mem_grow(s->timestamps, &s->timestamps_cap, all, sizeof(*s->timestamps));
    s->values = mem_grow(s->values, &s->values_cap, all, sizeof(*s->values));
    s->extras = mem_grow(s->extras, &s->extras_cap, all, sizeof(*s->extras));
    buf_clear(&s->blobs);
    for (uint32_t i = 0; i < in->series_count; i++) {
        const RemoteWriteSeries *series = &in->series[i];
        s->series[i].sample_first = (uint32_t)count;
        for (uint32_t k = 0; k < series->sample_count; k++) {
            Err why;
            if (add_sample(s, in, series->sample_first + k, count, &why)) {
                count++;
            } else if (refused++ == 0) {
                refuse(s, in, i, &why);
            }
        }
        s->series[i].sample_count = (uint32_t)count - s->series[i].sample_first;
    }
    place_blobs(s, count);
    batch->timestamps_ms = s->timestamps;
    batch->values = s->values;
    batch->extras = s->extras;
    return refused;
}

void server_free_histograms(WriteScratch *s)
{
    mem_free(s->timestamps);
    mem_free(s->values);
    mem_free(s->extras);
    buf_deinit(&s->blobs);
    s->timestamps = NULL;
    s->values = NULL;
    s->extras = NULL;
    s->timestamps_cap = 0;
    s->values_cap = 0;
    s->extras_cap = 0;
}

void server_shrink_histograms(WriteScratch *s)
{
    if (s->extras_cap > SCRATCH_EXTRAS_KEPT || s->blobs.cap > SCRATCH_BLOB_BYTES_KEPT) {
        server_free_histograms(s);
    }
}
