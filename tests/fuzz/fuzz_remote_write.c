// SPDX-License-Identifier: Apache-2.0
//
// Remote write. The input is a WriteRequest message, and also a body. Oracles: what is decoded,
// written again and decoded once more is the same, histograms among floats included; a histogram
// that is accepted becomes a blob that is accepted too, is the same blob again, and can be decoded;
// a message twice in a row gives everything twice (so messages may be split between any two
// series); by way of snappy the result is the same as without.
#include "base/mem.h"
#include "codec/compress.h"
#include "series/histogram.h"
#include "wire/remote_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const size_t INPUT_BYTES_MAX = 1 << 20;

// Everything a walk found.
typedef struct Walk {
    Status status;
    RemoteWriteDecoder decoder;
    RemoteWriteSeries *series;
    size_t series_cap;
} Walk;

static void walk(Walk *w, Bytes message)
{
    bool more = true;
    Err err;
    remote_write_init(&w->decoder, message);
    w->status = OK;
    while (more && w->status == OK) {
        const size_t count = w->decoder.series_count;
        w->series = mem_grow(w->series, &w->series_cap, count + 1, sizeof(*w->series));
        w->status = remote_write_next(&w->decoder, &w->series[count], &more, &err);
    }
}

static void walk_deinit(Walk *w)
{
    remote_write_deinit(&w->decoder);
    mem_free(w->series);
}

static bool same_bytes(Bytes a, Bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

// Series and samples [0, count) of `b` from its series `from` on are those of `a`.
static void check_same(const Walk *a, const Walk *b, size_t from)
{
    for (size_t i = 0; i < a->decoder.series_count; i++) {
        const RemoteWriteSeries *x = &a->series[i];
        const RemoteWriteSeries *y = &b->series[from + i];
        ASSERT(same_bytes(x->labels, y->labels));
        ASSERT(x->sample_count == y->sample_count);
        if (x->sample_count == 0) {
            continue;
        }
        ASSERT(memcmp(a->decoder.timestamps_ms + x->sample_first,
                      b->decoder.timestamps_ms + y->sample_first,
                      x->sample_count * sizeof(int64_t)) == 0);
        ASSERT(memcmp(a->decoder.values + x->sample_first, b->decoder.values + y->sample_first,
                      x->sample_count * sizeof(double)) == 0);
        for (uint32_t k = 0; k < x->sample_count && a->decoder.histogram_count != 0; k++) {
            const Bytes p = a->decoder.histograms[x->sample_first + k];
            const Bytes q = b->decoder.histograms[y->sample_first + k];
            ASSERT((p.ptr == NULL) == (q.ptr == NULL) && same_bytes(p, q));
        }
    }
}

static void check_histogram(Bytes message)
{
    Buf blob;
    Buf again;
    Arena arena;
    Err err;
    const Histogram *histogram;
    buf_init(&blob, 0);
    buf_init(&again, 0);
    arena_init(&arena, 0);
    if (histogram_check(message, &blob, NULL, &err) == OK) {
        ASSERT(blob.len != 0); // what is empty would be no histogram
        ASSERT(histogram_check(buf_bytes(&blob), &again, NULL, &err) == OK);
        ASSERT(same_bytes(buf_bytes(&blob), buf_bytes(&again)));
        ASSERT(histogram_decode(buf_bytes(&blob), &arena, &histogram, &err) == OK);
    }
    arena_deinit(&arena);
    buf_deinit(&again);
    buf_deinit(&blob);
}

// Labels that can be walked are the same after they were written again.
static void check_labels(Bytes labels)
{
    Buf again;
    Bytes rest = labels;
    Bytes copy = {0};
    Str name = {0};
    Str value = {0};
    Str name_copy = {0};
    Str value_copy = {0};
    bool more = true;
    Err err;
    buf_init(&again, 0);
    while (more) {
        if (remote_write_label_next(&rest, &name, &value, &more, &err) != OK) {
            buf_deinit(&again);
            return;
        }
        if (more) {
            remote_write_put_label(&again, name, value);
        }
    }
    rest = labels;
    copy = buf_bytes(&again);
    for (more = true; more;) {
        bool more_copy = false;
        ASSERT(remote_write_label_next(&rest, &name, &value, &more, &err) == OK);
        ASSERT(remote_write_label_next(&copy, &name_copy, &value_copy, &more_copy, &err) == OK);
        ASSERT(more == more_copy && str_eq(name, name_copy) && str_eq(value, value_copy));
    }
    buf_deinit(&again);
}

static void check_twice(const Walk *once, Bytes message)
{
    Walk twice = {0};
    Buf doubled;
    buf_init(&doubled, 0);
    buf_put(&doubled, message.ptr, message.len);
    buf_put(&doubled, message.ptr, message.len);
    walk(&twice, buf_bytes(&doubled));
    ASSERT(twice.status == OK);
    ASSERT(twice.decoder.series_count == 2 * once->decoder.series_count);
    ASSERT(twice.decoder.metadata_count == 2 * once->decoder.metadata_count);
    ASSERT(twice.decoder.exemplar_count == 2 * once->decoder.exemplar_count);
    ASSERT(twice.decoder.histogram_count == 2 * once->decoder.histogram_count);
    check_same(once, &twice, 0);
    check_same(once, &twice, once->decoder.series_count);
    walk_deinit(&twice);
    buf_deinit(&doubled);
}

static void check_again(const Walk *once)
{
    const RemoteWriteDecoder *d = &once->decoder;
    Walk again = {0};
    Buf message;
    buf_init(&message, 0);
    for (size_t i = 0; i < d->series_count; i++) {
        const RemoteWriteSeries *s = &once->series[i];
        check_labels(s->labels);
        if (s->sample_count > 0) {
            remote_write_put_histograms(
                &message, s->labels, d->timestamps_ms + s->sample_first,
                d->values + s->sample_first,
                d->histogram_count == 0 ? NULL : d->histograms + s->sample_first, s->sample_count);
        } else {
            remote_write_put_series(&message, s->labels, NULL, NULL, 0);
        }
    }
    walk(&again, buf_bytes(&message));
    ASSERT(again.status == OK);
    ASSERT(again.decoder.series_count == d->series_count);
    check_same(once, &again, 0);
    walk_deinit(&again);
    buf_deinit(&message);
}

static void check_body(const Walk *once, Bytes message)
{
    RemoteWriteScratch *scratch = remote_write_scratch_new();
    Compress *compress = compress_new();
    RemoteWriteRequest request;
    Buf body;
    Err err;
    buf_init(&body, 0);
    (void)remote_write_decode(message, scratch, &request, &err); // as a body: anything but a crash
    ASSERT(compress_encode(compress, COMPRESS_SNAPPY, 0, message, &body, &err) == OK);
    ASSERT(remote_write_decode(buf_bytes(&body), scratch, &request, &err) == once->status);
    if (once->status == OK) {
        ASSERT(request.series_count == once->decoder.series_count);
        ASSERT(request.sample_count == once->decoder.sample_count);
        for (size_t i = 0; i < request.series_count; i++) {
            ASSERT(same_bytes(request.series[i].labels, once->series[i].labels));
        }
    }
    buf_deinit(&body);
    compress_free(compress);
    remote_write_scratch_free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const Bytes message = {.ptr = data, .len = size};
    Walk once = {0};
    if (size > INPUT_BYTES_MAX) {
        return 0;
    }
    walk(&once, message);
    if (once.status == OK) {
        for (uint32_t i = 0; i < once.decoder.sample_count; i++) {
            if (once.decoder.histogram_count != 0 && once.decoder.histograms[i].ptr != NULL) {
                check_histogram(once.decoder.histograms[i]);
            }
        }
        check_twice(&once, message);
        check_again(&once);
    }
    check_body(&once, message);
    walk_deinit(&once);
    return 0;
}
