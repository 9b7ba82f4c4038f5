// SPDX-License-Identifier: Apache-2.0
//
// Each worker files what it reads under partitions of its own, by identity. A partition is put
// together by one worker: a hash table of its records, each series a chain of them.
#include "base/mem.h"
#include "query/series_internal.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { BLOCK_BYTES = 256 << 10 };

typedef struct Extras { // by sample; either may be NULL
    const Bytes *histograms;
    const int64_t *starts;
} Extras;

typedef struct Record { // a series as one block had it
    LabelsHash id;
    uint64_t rank;
    uint32_t count; // samples
    uint32_t label_count;
    uint32_t next; // of the same series + 1; while merging
    const Label *labels;
    const int64_t *ms;
    const double *values;
    const Extras *extras; // NULL: all are plain floats
} Record;

typedef struct Partition {
    Record *records;
    size_t count, cap;
} Partition;

// Samples lie one series after the other in large pieces of memory that are written once.
typedef struct SampleBlock {
    struct SampleBlock *next;
    uint64_t room[];
} SampleBlock;

struct SeriesSink {
    SeriesSink *next;
    Arena arena; // labels, histograms, start timestamps
    SampleBlock *blocks;
    uint64_t *pos, *end; // of the newest block
    Partition partitions[SERIES_PARTITIONS];
};

struct SeriesGather {
    const SeriesPlan *plan;
    uint64_t samples_max;
    // Samples of all sinks; relaxed: a limit, nothing is ordered by it.
    atomic_uint_fast64_t samples;
    // The next partition to be put together; relaxed: partitions only have to differ.
    atomic_uint_fast32_t next_partition;
    Mutex mu;
    SeriesSink *sinks; // mu
};

SeriesGather *series_gather_new(const SeriesPlan *plan, uint64_t samples_max)
{
    SeriesGather *g = mem_new(SeriesGather, 1);
    g->plan = plan;
    g->samples_max = samples_max;
    mutex_init(&g->mu);
    return g;
}

static void sink_free(SeriesSink *sink)
{
    for (size_t i = 0; i < SERIES_PARTITIONS; i++) {
        mem_free(sink->partitions[i].records);
    }
    while (sink->blocks != NULL) {
        SampleBlock *next = sink->blocks->next;
        mem_free(sink->blocks);
        sink->blocks = next;
    }
    arena_deinit(&sink->arena);
    mem_free(sink);
}

void series_gather_free(SeriesGather *g)
{
    if (g == NULL) {
        return;
    }
    while (g->sinks != NULL) {
        SeriesSink *sink = g->sinks;
        g->sinks = sink->next;
        sink_free(sink);
    }
    mutex_deinit(&g->mu);
    mem_free(g);
}

SeriesSink *series_gather_sink(SeriesGather *g)
{
    SeriesSink *sink = mem_new(SeriesSink, 1);
    arena_init(&sink->arena, 0);
    mutex_lock(&g->mu);
    sink->next = g->sinks;
    g->sinks = sink;
    mutex_unlock(&g->mu);
    return sink;
}

// --- filing --------------------------------------------------------------------------------------

static_assert(sizeof(double) == sizeof(uint64_t), "samples are words");

// Memory for `count` words, not zeroed.
static uint64_t *take_words(SeriesSink *sink, size_t count)
{
    if ((size_t)(sink->end - sink->pos) < count) {
        const size_t usual = BLOCK_BYTES / sizeof(uint64_t);
        const size_t words = count > usual ? count : usual;
        SampleBlock *block = mem_alloc_raw(sizeof(*block) + words * sizeof(uint64_t));
        block->next = sink->blocks;
        sink->blocks = block;
        sink->pos = block->room;
        sink->end = block->room + words;
    }
    uint64_t *words = sink->pos;
    sink->pos += count;
    return words;
}

static const Extras *copy_extras(SeriesSink *sink, const SeriesBlock *b, uint32_t first,
                                 uint32_t count)
{
    if (b->histograms == NULL && b->start_ms == NULL) {
        return NULL;
    }
    Extras *out = arena_new(&sink->arena, Extras, 1);
    if (b->histograms != NULL) {
        Bytes *blobs = arena_new(&sink->arena, Bytes, count);
        for (uint32_t i = 0; i < count; i++) {
            const Bytes blob = b->histograms[first + i];
            const Str copy = arena_str(&sink->arena, (Str){(const char *)blob.ptr, blob.len});
            blobs[i] = (Bytes){(const uint8_t *)copy.ptr, copy.len};
        }
        out->histograms = blobs;
    }
    if (b->start_ms != NULL) {
        int64_t *starts = arena_new(&sink->arena, int64_t, count);
        memcpy(starts, b->start_ms + first, count * sizeof(*starts));
        out->starts = starts;
    }
    return out;
}

static void add_samples(SeriesSink *sink, Record *record, const SeriesBlock *b, uint32_t k)
{
    const uint32_t first = b->firsts[k];
    const uint32_t count = b->ends[k] - first;
    uint64_t *words = take_words(sink, 2 * (size_t)count);
    memcpy(words, b->timestamps_ms + first, count * sizeof(*words));
    memcpy(words + count, b->samples + first, count * sizeof(*words));
    record->count = count;
    record->ms = (const int64_t *)(const void *)words;
    record->values = (const double *)(const void *)(words + count);
    record->extras = copy_extras(sink, b, first, count);
}

static Status count_samples(SeriesGather *g, uint64_t samples, Err *err)
{
    const uint64_t before = atomic_fetch_add_explicit(&g->samples, samples, memory_order_relaxed);
    if (g->samples_max != 0 && before + samples > g->samples_max) {
        return err_set(err, ERR_LIMIT,
                       "query processing would load too many samples into memory in query "
                       "execution");
    }
    return OK;
}

static void add_series(const SeriesPlan *plan, SeriesSink *sink, const SeriesBlock *b, uint32_t k,
                       uint64_t rank)
{
    Partition *p = &sink->partitions[b->ids[k].hi % SERIES_PARTITIONS];
    const size_t labels_max = series_block_labels_max(b, k);
    Label *labels = labels_max == 0 ? NULL : arena_new(&sink->arena, Label, labels_max);
    const size_t label_count = series_block_labels(b, k, labels);
    p->records = mem_grow(p->records, &p->cap, p->count + 1, sizeof(*p->records));
    Record *record = &p->records[p->count++];
    *record = (Record){
        .id = b->ids[k], .rank = rank, .label_count = (uint32_t)label_count, .labels = labels};
    if (!plan->no_samples) {
        add_samples(sink, record, b, k);
    }
}

Status series_sink_add(SeriesGather *g, SeriesSink *sink, const SeriesBlock *b, uint64_t rank,
                       Err *err)
{
    uint64_t samples = 0;
    for (uint32_t k = 0; k < b->count && !g->plan->no_samples; k++) {
        samples += b->ends[k] - b->firsts[k];
    }
    TRY(count_samples(g, samples, err));
    for (uint32_t k = 0; k < b->count; k++) {
        add_series(g->plan, sink, b, k, rank);
    }
    return OK;
}

Status series_sink_add_one(SeriesGather *g, SeriesSink *sink, const SeriesBlock *b, uint32_t k,
                           Err *err)
{
    TRY(count_samples(g, g->plan->no_samples ? 0 : b->ends[k] - b->firsts[k], err));
    add_series(g->plan, sink, b, k, 0);
    return OK;
}

// --- merging -------------------------------------------------------------------------------------

typedef struct Source {
    Record *record;
    uint32_t order; // in which it came, of the same rank
} Source;

typedef struct Pick { // a sample of several records
    int64_t ms;
    uint32_t source, sample;
} Pick;

struct SeriesMerge {
    SeriesGather *gather;
    Source *sources; // of the partition
    size_t source_count, source_cap;
    uint32_t *heads; // source + 1 of the first record of each series, in order of appearance
    size_t head_count, head_cap, head_pos;
    uint32_t *slots;
    Source *chain; // of the series
    size_t chain_cap;
    Pick *picks;
    size_t picks_cap;
    int64_t *ms; // of the series
    double *values;
    Bytes *histograms;
    int64_t *starts;
    size_t caps[4];
};

SeriesMerge *series_merge_new(SeriesGather *gather)
{
    SeriesMerge *m = mem_new(SeriesMerge, 1);
    m->gather = gather;
    return m;
}

void series_merge_free(SeriesMerge *m)
{
    if (m == NULL) {
        return;
    }
    mem_free(m->sources);
    mem_free(m->heads);
    mem_free(m->slots);
    mem_free(m->chain);
    mem_free(m->picks);
    mem_free(m->ms);
    mem_free(m->values);
    mem_free(m->histograms);
    mem_free(m->starts);
    mem_free(m);
}

// Finds the records of the partition that belong together.
static void link_records(SeriesMerge *m)
{
    size_t slot_count = 16;
    while (slot_count < m->source_count * 2) {
        slot_count *= 2;
    }
    mem_free(m->slots);
    m->slots = mem_new(uint32_t, slot_count);
    m->head_count = 0;
    m->head_pos = 0;
    for (size_t i = 0; i < m->source_count; i++) {
        Record *record = m->sources[i].record;
        size_t at = record->id.lo & (slot_count - 1);
        record->next = 0;
        while (m->slots[at] != 0) {
            Record *first = m->sources[m->slots[at] - 1].record;
            if (first->id.lo == record->id.lo && first->id.hi == record->id.hi) {
                record->next = first->next; // the order is put right when they are read
                first->next = (uint32_t)i + 1;
                break;
            }
            at = (at + 1) & (slot_count - 1);
        }
        if (m->slots[at] == 0) {
            m->slots[at] = (uint32_t)i + 1;
            m->heads = mem_grow(m->heads, &m->head_cap, m->head_count + 1, sizeof(*m->heads));
            m->heads[m->head_count++] = (uint32_t)i + 1;
        }
    }
}

static bool next_partition(SeriesMerge *m)
{
    SeriesGather *g = m->gather;
    const uint_fast32_t at = atomic_fetch_add_explicit(&g->next_partition, 1, memory_order_relaxed);
    if (at >= SERIES_PARTITIONS) {
        atomic_store_explicit(&g->next_partition, SERIES_PARTITIONS, memory_order_relaxed);
        return false;
    }
    m->source_count = 0;
    mutex_lock(&g->mu);
    SeriesSink *first = g->sinks; // who comes later has nothing
    mutex_unlock(&g->mu);
    for (SeriesSink *sink = first; sink != NULL; sink = sink->next) {
        Partition *p = &sink->partitions[at];
        for (size_t i = 0; i < p->count; i++) {
            m->sources =
                mem_grow(m->sources, &m->source_cap, m->source_count + 1, sizeof(*m->sources));
            m->sources[m->source_count] =
                (Source){.record = &p->records[i], .order = (uint32_t)m->source_count};
            m->source_count++;
        }
    }
    link_records(m);
    return true;
}

static int64_t first_ms(const Source *s)
{
    return s->record->ms[0];
}

static int64_t last_ms(const Source *s)
{
    return s->record->ms[s->record->count - 1];
}

static int compare_sources(const void *a, const void *b)
{
    const Source *x = a;
    const Source *y = b;
    if (x->record->rank != y->record->rank) {
        return x->record->rank < y->record->rank ? -1 : 1;
    }
    return (x->order > y->order) - (x->order < y->order);
}

static int compare_times(const void *a, const void *b)
{
    const int64_t x = first_ms(a);
    const int64_t y = first_ms(b);
    return x != y ? (x > y) - (x < y) : compare_sources(a, b);
}

// Chains are short: two or three records, mostly.
static void sort_by_time(Source *chain, size_t count)
{
    if (count > 16) {
        qsort(chain, count, sizeof(*chain), compare_times);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        const Source source = chain[i];
        size_t at = i;
        for (; at > 0 && compare_times(&chain[at - 1], &source) > 0; at--) {
            chain[at] = chain[at - 1];
        }
        chain[at] = source;
    }
}

static int compare_picks(const void *a, const void *b)
{
    const Pick *x = a;
    const Pick *y = b;
    return x->ms != y->ms ? (x->ms > y->ms) - (x->ms < y->ms)
                          : (x->source > y->source) - (x->source < y->source);
}

static void reserve_samples(SeriesMerge *m, size_t count, bool histograms, bool starts)
{
    m->ms = mem_grow(m->ms, &m->caps[0], count, sizeof(*m->ms));
    m->values = mem_grow(m->values, &m->caps[1], count, sizeof(*m->values));
    if (histograms) {
        m->histograms = mem_grow(m->histograms, &m->caps[2], count, sizeof(*m->histograms));
    }
    if (starts) {
        m->starts = mem_grow(m->starts, &m->caps[3], count, sizeof(*m->starts));
    }
}

static void put_samples(SeriesMerge *m, const Record *r, uint32_t from, uint32_t count,
                        SeriesSamples *out)
{
    const size_t at = out->count;
    const Bytes *histograms = r->extras == NULL ? NULL : r->extras->histograms;
    const int64_t *starts = r->extras == NULL ? NULL : r->extras->starts;
    memcpy(m->ms + at, r->ms + from, count * sizeof(*m->ms));
    memcpy(m->values + at, r->values + from, count * sizeof(*m->values));
    for (uint32_t i = 0; out->histograms != NULL && i < count; i++) {
        m->histograms[at + i] = histograms == NULL ? (Bytes){0} : histograms[from + i];
    }
    for (uint32_t i = 0; out->start_ms != NULL && i < count; i++) {
        m->starts[at + i] = starts == NULL ? INT64_MIN : starts[from + i];
    }
    out->count += count;
}

// Samples of several records whose times interleave: sorted, of equal times the newest kept.
static void interleave(SeriesMerge *m, size_t chain_count, size_t total, SeriesSamples *out)
{
    size_t n = 0;
    qsort(m->chain, chain_count, sizeof(*m->chain), compare_sources);
    m->picks = mem_grow(m->picks, &m->picks_cap, total, sizeof(*m->picks));
    for (size_t i = 0; i < chain_count; i++) {
        const Source *s = &m->chain[i];
        for (uint32_t k = 0; k < s->record->count; k++) {
            m->picks[n++] = (Pick){.ms = s->record->ms[k], .source = (uint32_t)i, .sample = k};
        }
    }
    qsort(m->picks, n, sizeof(*m->picks), compare_picks);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 == n || m->picks[i + 1].ms != m->picks[i].ms) {
            put_samples(m, m->chain[m->picks[i].source].record, m->picks[i].sample, 1, out);
        }
    }
}

static void put_chain(SeriesMerge *m, size_t chain_count, SeriesSamples *out)
{
    size_t total = 0;
    bool histograms = false;
    bool starts = false;
    bool in_order = true;
    sort_by_time(m->chain, chain_count);
    for (size_t i = 0; i < chain_count; i++) {
        const Source *s = &m->chain[i];
        total += s->record->count;
        const Extras *extras = s->record->extras;
        histograms = histograms || (extras != NULL && extras->histograms != NULL);
        starts = starts || (extras != NULL && extras->starts != NULL);
        in_order = in_order && (i == 0 || last_ms(s - 1) < first_ms(s));
    }
    reserve_samples(m, total, histograms, starts);
    out->histograms = histograms ? m->histograms : NULL;
    out->start_ms = starts ? m->starts : NULL;
    for (size_t i = 0; i < chain_count && in_order; i++) {
        put_samples(m, m->chain[i].record, 0, m->chain[i].record->count, out);
    }
    if (!in_order) {
        interleave(m, chain_count, total, out);
    }
    out->timestamps_ms = m->ms;
    out->values = m->values;
}

bool series_merge_next(SeriesMerge *m, SeriesSamples *out)
{
    while (m->head_pos == m->head_count) {
        if (!next_partition(m)) {
            return false;
        }
    }
    const Source *head = &m->sources[m->heads[m->head_pos++] - 1];
    const Record *record = head->record;
    *out = (SeriesSamples){.id = record->id,
                           .labels = {.labels = record->labels, .count = record->label_count}};
    if (m->gather->plan->no_samples) {
        return true;
    }
    if (record->next == 0) {
        out->count = record->count;
        out->timestamps_ms = record->ms;
        out->values = record->values;
        out->histograms = record->extras == NULL ? NULL : record->extras->histograms;
        out->start_ms = record->extras == NULL ? NULL : record->extras->starts;
        return true;
    }
    size_t count = 0;
    for (uint32_t at = m->heads[m->head_pos - 1]; at != 0; at = m->sources[at - 1].record->next) {
        m->chain = mem_grow(m->chain, &m->chain_cap, count + 1, sizeof(*m->chain));
        m->chain[count++] = m->sources[at - 1];
    }
    put_chain(m, count, out);
    return true;
}
