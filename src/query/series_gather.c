// SPDX-License-Identifier: Apache-2.0
//
// Each worker files what it reads under partitions of its own, by identity. A partition is put
// together by one worker: a hash table of its records, each series a chain of them.
#include "base/mem.h"
#include "query/series_internal.h"

#include <stdatomic.h>
#include <stdlib.h>

typedef struct Record { // a series as one block had it
    LabelsHash id;
    uint64_t first; // samples of the partition of the sink
    uint64_t rank;
    uint32_t count;
    uint32_t label_count;
    uint32_t next; // of the same series + 1; while merging
    const Label *labels;
} Record;

typedef struct Partition {
    Record *records;
    size_t record_count, record_cap;
    int64_t *ms;
    double *values;
    Bytes *histograms;     // NULL: none so far
    int64_t *starts;       // NULL: none so far
    size_t count, caps[4]; // samples
} Partition;

struct SeriesSink {
    SeriesSink *next;
    Arena arena; // labels
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
        Partition *p = &sink->partitions[i];
        mem_free(p->records);
        mem_free(p->ms);
        mem_free(p->values);
        mem_free(p->histograms);
        mem_free(p->starts);
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

static void add_samples(SeriesSink *sink, Partition *p, const SeriesBlock *b, uint32_t k)
{
    const uint32_t first = b->firsts[k];
    const uint32_t count = b->ends[k] - first;
    const size_t need = p->count + count;
    p->ms = mem_grow(p->ms, &p->caps[0], need, sizeof(*p->ms));
    p->values = mem_grow(p->values, &p->caps[1], need, sizeof(*p->values));
    memcpy(p->ms + p->count, b->timestamps_ms + first, count * sizeof(*p->ms));
    memcpy(p->values + p->count, b->samples + first, count * sizeof(*p->values));
    if (b->histograms != NULL || p->histograms != NULL) {
        const bool fresh = p->histograms == NULL;
        p->histograms = mem_grow(p->histograms, &p->caps[2], need, sizeof(*p->histograms));
        memset(p->histograms + (fresh ? 0 : p->count), 0,
               (need - (fresh ? 0 : p->count)) * sizeof(*p->histograms));
        for (uint32_t i = 0; b->histograms != NULL && i < count; i++) {
            const Bytes blob = b->histograms[first + i];
            const Str copy = arena_str(&sink->arena, (Str){(const char *)blob.ptr, blob.len});
            p->histograms[p->count + i] = (Bytes){(const uint8_t *)copy.ptr, copy.len};
        }
    }
    if (b->start_ms != NULL || p->starts != NULL) {
        size_t from = p->starts == NULL ? 0 : p->count;
        p->starts = mem_grow(p->starts, &p->caps[3], need, sizeof(*p->starts));
        for (; from < need; from++) {
            p->starts[from] = from < p->count || b->start_ms == NULL
                                  ? INT64_MIN
                                  : b->start_ms[first + (from - p->count)];
        }
    }
    p->count = need;
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
    p->records = mem_grow(p->records, &p->record_cap, p->record_count + 1, sizeof(*p->records));
    p->records[p->record_count++] =
        (Record){.id = b->ids[k],
                 .first = p->count,
                 .count = plan->no_samples ? 0 : b->ends[k] - b->firsts[k],
                 .rank = rank,
                 .label_count = (uint32_t)label_count,
                 .labels = labels};
    if (!plan->no_samples) {
        add_samples(sink, p, b, k);
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

typedef struct Source { // a record and where its samples are
    Record *record;
    const Partition *partition;
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
        for (size_t i = 0; i < p->record_count; i++) {
            m->sources =
                mem_grow(m->sources, &m->source_cap, m->source_count + 1, sizeof(*m->sources));
            m->sources[m->source_count] = (Source){
                .record = &p->records[i], .partition = p, .order = (uint32_t)m->source_count};
            m->source_count++;
        }
    }
    link_records(m);
    return true;
}

static int64_t first_ms(const Source *s)
{
    return s->partition->ms[s->record->first];
}

static int64_t last_ms(const Source *s)
{
    return s->partition->ms[s->record->first + s->record->count - 1];
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

static void put_samples(SeriesMerge *m, const Source *s, uint32_t from, uint32_t count,
                        SeriesSamples *out)
{
    const Partition *p = s->partition;
    const size_t first = s->record->first + from;
    const size_t at = out->count;
    memcpy(m->ms + at, p->ms + first, count * sizeof(*m->ms));
    memcpy(m->values + at, p->values + first, count * sizeof(*m->values));
    for (uint32_t i = 0; out->histograms != NULL && i < count; i++) {
        m->histograms[at + i] = p->histograms == NULL ? (Bytes){0} : p->histograms[first + i];
    }
    for (uint32_t i = 0; out->start_ms != NULL && i < count; i++) {
        m->starts[at + i] = p->starts == NULL ? INT64_MIN : p->starts[first + i];
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
            m->picks[n++] = (Pick){
                .ms = s->partition->ms[s->record->first + k], .source = (uint32_t)i, .sample = k};
        }
    }
    qsort(m->picks, n, sizeof(*m->picks), compare_picks);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 == n || m->picks[i + 1].ms != m->picks[i].ms) {
            put_samples(m, &m->chain[m->picks[i].source], m->picks[i].sample, 1, out);
        }
    }
}

static void put_chain(SeriesMerge *m, size_t chain_count, SeriesSamples *out)
{
    size_t total = 0;
    bool histograms = false;
    bool starts = false;
    bool in_order = true;
    qsort(m->chain, chain_count, sizeof(*m->chain), compare_times);
    for (size_t i = 0; i < chain_count; i++) {
        const Source *s = &m->chain[i];
        total += s->record->count;
        histograms = histograms || s->partition->histograms != NULL;
        starts = starts || s->partition->starts != NULL;
        in_order = in_order && (i == 0 || last_ms(s - 1) < first_ms(s));
    }
    reserve_samples(m, total, histograms, starts);
    out->histograms = histograms ? m->histograms : NULL;
    out->start_ms = starts ? m->starts : NULL;
    for (size_t i = 0; i < chain_count && in_order; i++) {
        put_samples(m, &m->chain[i], 0, m->chain[i].record->count, out);
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
        const Partition *p = head->partition;
        out->count = record->count;
        out->timestamps_ms = p->ms + record->first;
        out->values = p->values + record->first;
        out->histograms = p->histograms == NULL ? NULL : p->histograms + record->first;
        out->start_ms = p->starts == NULL ? NULL : p->starts + record->first;
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
