// SPDX-License-Identifier: Apache-2.0
//
// A sorted file gives each series once, but batches and row groups cut some in two. The last series
// of a batch is carried over to the next one; the first and the last of a row group go to the tail,
// because their other half may be another worker's.
#include "base/mem.h"
#include "query/series_internal.h"

// A series that may go on in the next batch, as a block of its own.
typedef struct Carry {
    bool active; // there is one
    bool ready;  // it is complete
    bool to_tail;
    LabelsHash id;
    uint32_t first, end; // 0 and the number of samples
    Arena arena;         // histograms
    Str *names, *texts;
    Str **values;
    Label *map_labels;
    uint32_t map_end;
    int64_t *ms;
    double *samples;
    Bytes *histograms;
    int64_t *starts;
    size_t caps[8];
    SeriesBlock block;
} Carry;

struct SeriesStream {
    SeriesRows *rows;
    ScanWorker *from;
    SeriesGather *tail;
    SeriesSink *sink; // of `tail`; NULL: not needed so far
    SeriesBlock block;
    uint32_t pos;       // series of the block before it were dealt with
    bool first_to_tail; // of the block
    bool at_start;      // no series of the row group came so far
    bool ended;
    ScanPart part;
    Carry carry;
    Label *labels; // of what is handed out
    size_t labels_cap;
};

SeriesStream *series_stream_new(SeriesRows *rows, ScanWorker *from, SeriesGather *tail)
{
    SeriesStream *s = mem_new(SeriesStream, 1);
    s->rows = rows;
    s->from = from;
    s->tail = tail;
    arena_init(&s->carry.arena, 0);
    return s;
}

void series_stream_free(SeriesStream *s)
{
    if (s == NULL) {
        return;
    }
    Carry *c = &s->carry;
    arena_deinit(&c->arena);
    mem_free(c->names);
    mem_free(c->texts);
    mem_free((void *)c->values);
    mem_free(c->map_labels);
    mem_free(c->ms);
    mem_free(c->samples);
    mem_free(c->histograms);
    mem_free(c->starts);
    mem_free(s->labels);
    mem_free(s);
}

// --- carrying over -------------------------------------------------------------------------------

static bool same_id(LabelsHash a, LabelsHash b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

static void carry_labels(Carry *c, const SeriesBlock *b, uint32_t k)
{
    const size_t n = b->label_count;
    c->names = mem_grow(c->names, &c->caps[0], n + 1, sizeof(*c->names));
    c->texts = mem_grow(c->texts, &c->caps[1], n + 1, sizeof(*c->texts));
    c->values = mem_grow((void *)c->values, &c->caps[2], n + 1, sizeof(*c->values));
    for (size_t i = 0; i < n; i++) {
        c->names[i] = b->names[i];
        c->texts[i] = b->values[i][k];
    }
    for (size_t i = 0; i < n; i++) {
        c->values[i] = &c->texts[i];
    }
    c->map_end = 0;
    if (b->map_labels != NULL) {
        const uint32_t from = k == 0 ? 0 : b->map_ends[k - 1];
        c->map_end = b->map_ends[k] - from;
        c->map_labels =
            mem_grow(c->map_labels, &c->caps[3], (size_t)c->map_end + 1, sizeof(*c->map_labels));
        for (uint32_t i = 0; i < c->map_end; i++) {
            c->map_labels[i] = b->map_labels[from + i];
        }
    }
}

static void carry_extras(Carry *c, const SeriesBlock *b, uint32_t first, uint32_t count)
{
    const size_t all = (size_t)c->end + count;
    if (b->histograms != NULL || c->block.histograms != NULL) {
        size_t i = c->block.histograms == NULL ? 0 : c->end;
        c->histograms = mem_grow(c->histograms, &c->caps[6], all, sizeof(*c->histograms));
        for (; i < all; i++) {
            c->histograms[i] = (Bytes){0};
            if (i >= c->end && b->histograms != NULL) {
                const Bytes blob = b->histograms[first + (i - c->end)];
                const Str copy = arena_str(&c->arena, (Str){(const char *)blob.ptr, blob.len});
                c->histograms[i] = (Bytes){(const uint8_t *)copy.ptr, copy.len};
            }
        }
        c->block.histograms = c->histograms;
    }
    if (b->start_ms != NULL || c->block.start_ms != NULL) {
        size_t i = c->block.start_ms == NULL ? 0 : c->end;
        c->starts = mem_grow(c->starts, &c->caps[7], all, sizeof(*c->starts));
        for (; i < all; i++) {
            const bool has = i >= c->end && b->start_ms != NULL;
            c->starts[i] = has ? b->start_ms[first + (i - c->end)] : INT64_MIN;
        }
        c->block.start_ms = c->starts;
    }
}

static void carry_samples(Carry *c, const SeriesBlock *b, uint32_t k)
{
    const uint32_t first = b->firsts[k];
    const uint32_t count = b->ends[k] - first;
    const size_t all = (size_t)c->end + count;
    c->ms = mem_grow(c->ms, &c->caps[4], all, sizeof(*c->ms));
    memcpy(c->ms + c->end, b->timestamps_ms + first, count * sizeof(*c->ms));
    if (b->samples != NULL) {
        c->samples = mem_grow(c->samples, &c->caps[5], all, sizeof(*c->samples));
        memcpy(c->samples + c->end, b->samples + first, count * sizeof(*c->samples));
        carry_extras(c, b, first, count);
    }
    c->block.timestamps_ms = c->ms;
    c->block.samples = b->samples == NULL ? NULL : c->samples;
    c->end = (uint32_t)all;
}

static void carry_begin(Carry *c, const SeriesBlock *b, uint32_t k, bool to_tail)
{
    arena_reset(&c->arena);
    c->active = true;
    c->ready = false;
    c->to_tail = to_tail;
    c->id = b->ids[k];
    c->first = 0;
    c->end = 0;
    c->block = (SeriesBlock){0};
    carry_labels(c, b, k);
    carry_samples(c, b, k);
}

static const SeriesBlock *carry_block(Carry *c, size_t label_count)
{
    c->block.count = 1;
    c->block.ids = &c->id;
    c->block.label_count = label_count;
    c->block.names = c->names;
    c->block.values = c->values;
    c->block.map_labels = c->map_end == 0 ? NULL : c->map_labels;
    c->block.map_ends = &c->map_end;
    c->block.firsts = &c->first;
    c->block.ends = &c->end;
    return &c->block;
}

// --- batches -------------------------------------------------------------------------------------

// The next batch as the block. What is carried over goes on in it, or is complete.
static Status next_block(SeriesStream *s, Err *err)
{
    Carry *c = &s->carry;
    Batch batch;
    s->pos = 0;
    s->block = (SeriesBlock){0};
    s->first_to_tail = false;
    TRY(scan_worker_next(s->from, &batch, err));
    if (batch.row_count == 0) {
        s->ended = true;
        c->to_tail = true;
        c->ready = c->active;
        return OK;
    }
    const ScanPart part = scan_worker_part(s->from);
    if (part.file != s->part.file || part.group != s->part.group) {
        s->part = part;
        s->at_start = true;
        c->to_tail = true;
        c->ready = c->active;
        series_rows_forget(s->rows);
    }
    series_rows_cut(s->rows, &batch, &s->block);
    if (s->block.count == 0) {
        return OK;
    }
    s->first_to_tail = s->at_start;
    s->at_start = false;
    if (c->active && !c->ready) {
        c->ready = true;
        if (same_id(c->id, s->block.ids[0])) {
            if (c->ms[c->end - 1] < s->block.timestamps_ms[s->block.firsts[0]]) {
                carry_samples(c, &s->block, 0);
                s->pos = 1;
                c->ready = s->block.count > 1;
            } else { // not in order, so not ours: sorted with the tail
                c->to_tail = true;
                s->first_to_tail = true;
            }
        }
    }
    return OK;
}

static Status put_in_tail(SeriesStream *s, const SeriesBlock *block, uint32_t k, Err *err)
{
    if (s->sink == NULL) {
        s->sink = series_gather_sink(s->tail);
    }
    return series_sink_add_one(s->tail, s->sink, block, k, err);
}

static void hand_out(SeriesStream *s, const SeriesBlock *block, uint32_t k, SeriesSamples *out)
{
    s->labels = mem_grow(s->labels, &s->labels_cap, series_block_labels_max(block, k) + 1,
                         sizeof(*s->labels));
    series_block_samples(block, k, s->labels, out);
}

Status series_stream_next(SeriesStream *s, SeriesSamples *out, bool *found, Err *err)
{
    Carry *c = &s->carry;
    const SeriesBlock *b = &s->block;
    *found = false;
    for (;;) {
        if (c->ready) {
            const SeriesBlock *block = carry_block(c, series_rows_label_count(s->rows));
            c->active = false;
            c->ready = false;
            if (!c->to_tail) {
                hand_out(s, block, 0, out);
                *found = true;
                return OK;
            }
            TRY(put_in_tail(s, block, 0, err));
        } else if (s->pos < b->count) {
            const uint32_t k = s->pos++;
            // Pieces of one series: it was not in order.
            const bool pieces = (k > 0 && same_id(b->ids[k], b->ids[k - 1])) ||
                                (k + 1 < b->count && same_id(b->ids[k], b->ids[k + 1]));
            const bool to_tail = pieces || (k == 0 && s->first_to_tail);
            if (k + 1 == b->count) {
                carry_begin(c, b, k, to_tail);
            } else if (to_tail) {
                TRY(put_in_tail(s, b, k, err));
            } else {
                hand_out(s, b, k, out);
                *found = true;
                return OK;
            }
        } else if (s->ended) {
            return OK;
        } else {
            TRY(next_block(s, err));
        }
    }
}
