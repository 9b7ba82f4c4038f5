// SPDX-License-Identifier: Apache-2.0
//
// Remote read: raw samples for other Prometheus-like systems, whole or as a stream of chunks.
#include "base/mem.h"
#include "codec/compress.h"
#include "query/series_scan.h"
#include "server/server_internal.h"
#include "wire/remote_read.h"

#include <stdlib.h>

enum {
    READ_SAMPLES_MAX = 50000000,        // of one query, as Prometheus' remote-read-sample-limit
    READ_ANSWER_BYTES_MAX = 1000 << 20, // encoded, of one query
    CANCEL_CHECK_SERIES = 256,
};

// One series of an answer, encoded.
typedef struct ReadSeries {
    LabelSet labels;
    Bytes encoded;
} ReadSeries;

typedef struct ReadAnswer {
    RemoteReadRequest request;
    Snapshot *snapshot; // NULL: nothing was ever stored
    size_t query;       // that comes next, or whose series are being sent
    ReadSeries *series; // of it, sorted
    size_t series_count, series_cap;
    size_t series_next;
    bool loaded;
    uint64_t samples;
    Arena arena; // of this query
} ReadAnswer;

static void answer_close(void *ctx)
{
    ReadAnswer *a = ctx;
    remote_read_request_deinit(&a->request);
    snapshot_close(a->snapshot);
    arena_deinit(&a->arena);
    mem_free(a->series);
    mem_free(a);
}

static LabelSet copy_labels(LabelSet labels, Arena *arena)
{
    Label *copy = arena_new(arena, Label, labels.count);
    for (size_t i = 0; i < labels.count; i++) {
        copy[i] = (Label){arena_str(arena, labels.labels[i].name),
                          arena_str(arena, labels.labels[i].value)};
    }
    return (LabelSet){copy, labels.count};
}

static Status add_series(ReadAnswer *a, const SeriesSamples *in, Buf *scratch, Err *err)
{
    const RemoteReadSeries series = {.labels = in->labels,
                                     .count = in->count,
                                     .timestamps_ms = in->timestamps_ms,
                                     .values = in->values,
                                     .histograms = in->histograms};
    a->samples += in->count;
    if (a->samples > READ_SAMPLES_MAX) {
        return err_set(err, ERR_INVALID, "exceeded sample limit (%d)", READ_SAMPLES_MAX);
    }
    buf_clear(scratch);
    if (a->request.chunks) {
        TRY(remote_read_put_chunks(&series, scratch, err));
    } else {
        remote_read_put_series(&series, scratch);
    }
    a->series = mem_grow(a->series, &a->series_cap, a->series_count + 1, sizeof(*a->series));
    uint8_t *bytes = arena_new(&a->arena, uint8_t, scratch->len);
    memcpy(bytes, scratch->ptr, scratch->len);
    a->series[a->series_count++] = (ReadSeries){.labels = copy_labels(in->labels, &a->arena),
                                                .encoded = {bytes, scratch->len}};
    if (arena_over_budget(&a->arena)) {
        return err_set(err, ERR_INVALID, "the answer would take more than %d MiB",
                       READ_ANSWER_BYTES_MAX >> 20);
    }
    return OK;
}

static int compare_series(const void *pa, const void *pb)
{
    const ReadSeries *a = pa;
    const ReadSeries *b = pb;
    return labels_compare(a->labels, b->labels);
}

// Reads all series of the query at a->query; they are sorted, as streams have to be.
static Status load(ReadAnswer *a, const HttpRequest *request, Err *err)
{
    Status st = OK;
    SeriesScan *scan = NULL;
    SeriesWorker *worker = NULL;
    Buf scratch = {0};
    SeriesSamples series;
    bool found = a->snapshot != NULL;
    const RemoteReadQuery *q = &a->request.queries[a->query];
    const SeriesSelect select = {.matchers = q->matchers,
                                 .matcher_count = q->matcher_count,
                                 .min_ms = q->min_ms,
                                 .max_ms = q->max_ms,
                                 .all_labels = true};
    arena_deinit(&a->arena);
    arena_init(&a->arena, READ_ANSWER_BYTES_MAX);
    buf_init(&scratch, 0);
    a->series_count = a->series_next = 0;
    a->samples = 0;
    if (found) {
        TRY_OUT(series_scan_open(a->snapshot, &select, &scan, err));
        TRY_OUT(series_worker_open(scan, &worker, err));
    }
    for (size_t i = 0; found; i++) {
        TRY_OUT(series_worker_next(worker, &series, &found, err));
        if (found) {
            TRY_OUT(add_series(a, &series, &scratch, err));
        }
        if (i % CANCEL_CHECK_SERIES == 0 && http_request_is_cancelled(request)) {
            TRY_OUT(err_set(err, ERR_CANCELLED, "the client has gone"));
        }
    }
    if (a->series_count > 0) {
        qsort(a->series, a->series_count, sizeof(*a->series), compare_series);
    }
    a->loaded = true;
out:
    buf_deinit(&scratch);
    series_worker_close(worker);
    series_scan_close(scan);
    return st;
}

// --- all samples in one message ----------------------------------------------------------------

static Status answer_samples(ReadAnswer *a, const HttpRequest *request, HttpResponse *response,
                             Err *err)
{
    Status st = OK;
    Buf message = {0};
    Buf result = {0};
    Compress *compress = compress_new();
    buf_init(&message, 0);
    buf_init(&result, 0);
    for (; a->query < a->request.query_count; a->query++) {
        TRY_OUT(load(a, request, err));
        buf_clear(&result);
        for (size_t i = 0; i < a->series_count; i++) {
            buf_put(&result, a->series[i].encoded.ptr, a->series[i].encoded.len);
        }
        remote_read_put_result(buf_bytes(&result), &message);
    }
    TRY_OUT(compress_encode(compress, COMPRESS_SNAPPY, COMPRESS_LEVEL_DEFAULT, buf_bytes(&message),
                            &response->body, err));
    response->content_type = REMOTE_READ_SAMPLES_TYPE;
    http_response_header(response, STR("Content-Encoding"), STR("snappy"));
out:
    compress_free(compress);
    buf_deinit(&message);
    buf_deinit(&result);
    return st;
}

// --- a stream of chunks ------------------------------------------------------------------------

static Status pull_chunks(void *ctx, const HttpRequest *request, Buf *piece, bool *done, Err *err)
{
    ReadAnswer *a = ctx;
    Buf message = {0};
    if (a->query == a->request.query_count) {
        *done = true;
        return OK;
    }
    if (!a->loaded) {
        TRY(load(a, request, err));
    }
    buf_init(&message, 0);
    while (a->series_next < a->series_count && message.len < REMOTE_READ_FRAME_BYTES) {
        const Bytes encoded = a->series[a->series_next++].encoded;
        buf_put(&message, encoded.ptr, encoded.len);
    }
    if (message.len > 0) {
        remote_read_put_frame(&message, a->query, piece);
    }
    if (a->series_next == a->series_count) {
        a->query++;
        a->loaded = false;
    }
    *done = a->query == a->request.query_count;
    buf_deinit(&message);
    return OK;
}

Status server_handle_remote_read(void *ctx, const HttpRequest *request, HttpResponse *response,
                                 Err *err)
{
    Status st = OK;
    Server *server = ctx;
    ReadAnswer *a = mem_new(ReadAnswer, 1);
    TRY_OUT(remote_read_decode(request->body, &a->request, err));
    st = snapshot_open(server->store, STR("metrics"), &a->snapshot, err);
    if (st == ERR_NOT_FOUND) {
        a->snapshot = NULL;
        st = OK;
    }
    TRY_OUT(st);
    if (a->request.chunks) {
        response->content_type = REMOTE_READ_CHUNKS_TYPE;
        response->stream = (HttpStream){.pull = pull_chunks, .close = answer_close, .ctx = a};
        return OK;
    }
    TRY_OUT(answer_samples(a, request, response, err));
out:
    answer_close(a);
    return st;
}
