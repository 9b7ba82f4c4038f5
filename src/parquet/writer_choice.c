// SPDX-License-Identifier: Apache-2.0
//
// Which coding each page of a chunk gets. What is compared is what really counts, bytes after
// compression, on a few pages of each kind. Numbers that files are searched by count as a little
// larger where zstd has to make them again: undoing it takes ten times as long as unpacking codes.
//
// A chunk of a sorted table holds many metrics one after the other, and what is best for counters
// is not for latencies. So pages of floats are put in groups by the kind of number they mostly
// hold, and each group gets the coding that suits it. All groups that want a dictionary share one.
#include "parquet/writer_internal.h"

#include <math.h>

enum {
    CANDIDATES_MAX = 4,
    SAMPLE_PAGES = 3,            // of a group
    KIND_VALUES = 256,           // looked at to tell the kind of a page
    OFTEN = 8,                   // times that each value of a text comes
    TRIAL_DISTINCT_PERCENT = 97, // of a sample; with more there is nothing to look up twice
};

// What a page of floats mostly holds; everything else is KIND_MIXED.
typedef enum PageKind {
    KIND_INTEGRAL,
    KIND_DECIMAL, // at most three decimals
    KIND_FULL,    // the whole mantissa
    KIND_MIXED,
    KIND_COUNT,
} PageKind;

typedef struct Group {
    uint32_t *pages; // ascending
    uint32_t page_count;
    uint64_t row_count;
    uint32_t sample[SAMPLE_PAGES];
    uint32_t sample_count;
    WriterCoding plain, dict; // the best without and with a dictionary
    uint64_t plain_bytes, dict_bytes;
    bool wants_dict;
} Group;

// ---- groups

static double value_at(const WriterView *view, uint32_t ref)
{
    if (view->leaf->order == WRITER_F32) {
        float f = 0;
        memcpy(&f, (const uint8_t *)view->fixed + (size_t)ref * 4, 4);
        return (double)f;
    }
    double d = 0;
    memcpy(&d, (const uint8_t *)view->fixed + (size_t)ref * 8, 8);
    return d;
}

static bool is_decimal(const WriterView *view, double v)
{
    const double near = nearbyint(v * 1000.0) / 1000.0;
    return view->leaf->order == WRITER_F32 ? (double)(float)near == v : near == v;
}

static PageKind page_kind(const WriterView *view, const WriterSlots *s)
{
    const uint32_t n = s->form == WRITER_RANGE ? s->value_count : s->ref_count;
    const uint32_t step = n / KIND_VALUES + 1;
    uint32_t seen = 0;
    uint32_t integral = 0;
    uint32_t decimal = 0;
    for (uint32_t i = 0; i < n; i += step) {
        const double v = value_at(view, s->form == WRITER_RANGE ? s->first + i : s->refs[i]);
        if (!(fabs(v) < 1e15)) {
            continue; // stale markers and infinities come with every kind
        }
        const bool whole = v == nearbyint(v);
        seen++;
        integral += whole;
        decimal += whole || is_decimal(view, v);
    }
    const uint32_t most = seen - seen / 8;
    return integral >= most         ? KIND_INTEGRAL
           : decimal >= most        ? KIND_DECIMAL
           : seen - decimal >= most ? KIND_FULL
                                    : KIND_MIXED;
}

static Status make_groups(WriterEncoder *e, Group groups[static KIND_COUNT], Err *err)
{
    const WriterOrder order = e->view.leaf->order;
    for (int k = 0; k < KIND_COUNT; k++) {
        groups[k] = (Group){.pages = arena_new(e->scratch, uint32_t, e->page_count)};
    }
    for (uint32_t page = 0; page < e->page_count; page++) {
        PageKind kind = KIND_MIXED;
        if ((order == WRITER_F32 || order == WRITER_F64) && !e->view.pool_distinct) {
            WriterSlots slots = {0};
            TRY(writer_encoder_slots(e, page, &slots, err));
            kind = page_kind(&e->view, &slots);
        }
        Group *g = &groups[kind];
        g->pages[g->page_count++] = page;
        g->row_count += writer_encoder_rows(e, page);
    }
    for (int k = 0; k < KIND_COUNT; k++) {
        Group *g = &groups[k];
        g->sample_count = g->page_count < SAMPLE_PAGES ? g->page_count : SAMPLE_PAGES;
        for (uint32_t i = 0; i < g->sample_count; i++) { // spread evenly
            g->sample[i] = g->pages[(2 * i + 1) * g->page_count / (2 * g->sample_count)];
        }
    }
    return OK;
}

// ---- sizes

static uint32_t plain_candidates(const WriterLeaf *leaf, WriterCoding out[static CANDIDATES_MAX])
{
    uint32_t n = 0;
    out[n++] = WRITER_PLAIN;
    switch (leaf->order) {
    case WRITER_BOOL:
        out[n++] = WRITER_RLE;
        break;
    case WRITER_I32:
    case WRITER_I64:
    case WRITER_U32:
    case WRITER_U64:
        out[n++] = WRITER_DELTA;
        break;
    case WRITER_F32:
    case WRITER_F64:
        out[n++] = WRITER_SPLIT;
        break;
    case WRITER_BYTES:
        if (leaf->width == 0) {
            out[n++] = WRITER_DELTA_LENGTH;
            out[n++] = WRITER_DELTA_TEXT;
        }
        break;
    }
    return n;
}

static uint32_t dict_candidates(const WriterEncoder *e, WriterCoding out[static CANDIDATES_MAX])
{
    const WriterDict *dict = &e->dict;
    uint32_t n = 0;
    out[n++] = WRITER_DICT;
    out[n++] = WRITER_DICT_ALIGNED;
    if (dict->count > 256 && e->tools->level >= WRITER_COLD_LEVEL_MIN) {
        out[n++] = WRITER_DICT_SINGLES;
    }
    return n;
}

// The size of a group's pages in one coding, judged from its sample, and what reading them adds to
// it; UINT64_MAX when a page is too large in it.
static Status sample_bytes(WriterEncoder *e, const Group *g, WriterCoding coding, uint64_t *bytes,
                           Err *err)
{
    WriterTools *tools = e->tools;
    uint64_t rows = 0;
    uint64_t total = 0;
    *bytes = UINT64_MAX;
    for (uint32_t i = 0; i < g->sample_count; i++) {
        WriterSlots slots = {0};
        WriterBody body = {0};
        TRY(writer_encoder_slots(e, g->sample[i], &slots, err));
        buf_clear(&tools->raw);
        buf_clear(&tools->packed);
        const Status st =
            writer_page_body(tools, &e->view, &e->dict, &slots, coding, &tools->raw, &body, err);
        if (st == ERR_TOO_LARGE) {
            return OK;
        }
        TRY(st);
        TRY(writer_body_compress(tools, &tools->raw, &body, &tools->packed, err));
        const size_t stored = tools->packed.len < body.len ? tools->packed.len : body.len;
        total += stored + writer_undo_bytes(&body, stored);
        rows += writer_encoder_rows(e, g->sample[i]);
    }
    *bytes = total * g->row_count / rows;
    return OK;
}

static Status best_of(WriterEncoder *e, const Group *g, const WriterCoding *codings, uint32_t count,
                      WriterCoding *best, uint64_t *best_bytes, Err *err)
{
    *best = codings[0];
    *best_bytes = UINT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t bytes = 0;
        TRY(sample_bytes(e, g, codings[i], &bytes, err));
        // Runs of one are the last candidate, and read at a third of the speed of packed codes.
        const uint64_t most =
            codings[i] != WRITER_DICT_SINGLES ? *best_bytes : *best_bytes - *best_bytes / 16;
        if (bytes < most) {
            *best_bytes = bytes;
            *best = codings[i];
        }
    }
    return OK;
}

static Status best_plain(WriterEncoder *e, Group *g, Err *err)
{
    WriterCoding codings[CANDIDATES_MAX];
    const uint32_t count = plain_candidates(e->view.leaf, codings);
    return best_of(e, g, codings, count, &g->plain, &g->plain_bytes, err);
}

static Status best_dict(WriterEncoder *e, Group *g, Err *err)
{
    WriterCoding codings[CANDIDATES_MAX];
    const uint32_t count = dict_candidates(e, codings);
    return best_of(e, g, codings, count, &g->dict, &g->dict_bytes, err);
}

// ---- the dictionary

// Runs whose dictionary is small: nothing else can be better.
static bool dictionary_is_plain_win(const WriterEncoder *e)
{
    const uint64_t items = e->view.run_ends != NULL ? e->view.run_count : e->view.row_count;
    return e->dict.built && e->view.leaf->part == WRITER_WHOLE &&
           e->dict.plain_bytes + items * 4 < e->view.row_count / 2;
}

// True when a dictionary that makes `with` bytes of what is `without` bytes otherwise is worth
// having. For texts it has a value in itself, as readers compute on codes, and all the more when
// each value comes often: without it readers unpack every copy. For numbers it costs every reader
// who wants a single page, and has to pay for that.
static bool dictionary_pays(const WriterEncoder *e, uint64_t with, uint64_t without)
{
    const WriterLeaf *leaf = e->view.leaf;
    if (leaf->options.dictionary == PARQUET_DICTIONARY_ALWAYS || without == UINT64_MAX) {
        return with != UINT64_MAX;
    }
    const bool often = e->dict.value_count / OFTEN >= e->dict.count;
    const uint64_t percent = leaf->width != 0 ? 95 : often ? 150 : 115;
    return with * 100 < without * percent; // both below 2^50
}

// How many distinct values `total` values have, when `seen` of them have `distinct`: as if they
// were drawn evenly from D values, where distinct = D (1 - e^(-seen / D)). Found by halving.
static double distinct_in_all(double seen, double distinct, double total)
{
    double low = 0; // seen / D is between these
    double high = seen;
    for (int i = 0; i < 60; i++) {
        const double x = (low + high) / 2;
        if (-expm1(-x) * seen > distinct * x) {
            low = x;
        } else {
            high = x;
        }
    }
    return -expm1(-high * total / seen) * seen / high;
}

// Hashing a million values is dear, so the values of the group's sample are tried first.
static Status try_dictionary(WriterEncoder *e, Group *g, Err *err)
{
    const ParquetDictionaryUse use = e->view.leaf->options.dictionary;
    g->wants_dict = use != PARQUET_DICTIONARY_NEVER && g->page_count != 0;
    if (!g->wants_dict || use == PARQUET_DICTIONARY_ALWAYS || e->page_count <= SAMPLE_PAGES) {
        return OK;
    }
    const WriterPages sample = {.pages = g->sample,
                                .count = g->sample_count,
                                .distinct_percent_max = TRIAL_DISTINCT_PERCENT};
    TRY(writer_dict_build(e->tools, &e->view, sample, e->scratch, &e->dict, err));
    g->wants_dict = e->dict.built;
    if (e->dict.built) {
        const double scale = (double)g->row_count / (double)e->dict.value_count;
        const double distinct = distinct_in_all((double)e->dict.value_count, e->dict.count,
                                                (double)e->dict.value_count * scale);
        TRY(writer_encoder_dictionary(e, err));
        TRY(best_dict(e, g, err));
        const double bytes =
            (double)g->dict_bytes + (double)e->dictionary.len / (double)e->dict.count * distinct;
        g->wants_dict = dictionary_pays(e, (uint64_t)bytes, g->plain_bytes);
    }
    e->dict = (WriterDict){0};
    e->dictionary = (Bytes){0};
    return OK;
}

// The distinct values of all pages whose group wants a dictionary.
static Status build_dictionary(WriterEncoder *e, const Group groups[static KIND_COUNT], Err *err)
{
    WriterPages wanted = {.pages = arena_new(e->scratch, uint32_t, e->page_count)};
    for (int k = 0; k < KIND_COUNT; k++) {
        if (groups[k].wants_dict) {
            memcpy(wanted.pages + wanted.count, groups[k].pages,
                   groups[k].page_count * sizeof(*wanted.pages));
            wanted.count += groups[k].page_count;
        }
    }
    e->dict = (WriterDict){0};
    e->dictionary = (Bytes){0};
    e->dict_covers_all = wanted.count == e->page_count;
    return wanted.count == 0
               ? OK
               : writer_dict_build(e->tools, &e->view, wanted, e->scratch, &e->dict, err);
}

// Drops groups that are better off without the dictionary, until those that stay pay for it.
static Status settle(WriterEncoder *e, Group groups[static KIND_COUNT], Err *err)
{
    bool again = true;
    while (again) {
        uint64_t with = 0;
        uint64_t without = 0;
        again = false;
        if (!e->dict.built) {
            TRY(build_dictionary(e, groups, err));
        }
        if (e->dict.built) {
            TRY(writer_encoder_dictionary(e, err));
            with = e->dictionary.len;
        }
        for (int k = 0; k < KIND_COUNT && e->dict.built; k++) {
            Group *g = &groups[k];
            if (!g->wants_dict) {
                continue;
            }
            TRY(best_dict(e, g, err));
            if (!dictionary_pays(e, g->dict_bytes, g->plain_bytes)) {
                g->wants_dict = false;
                again = true;
                continue;
            }
            with += g->dict_bytes;
            without = g->plain_bytes == UINT64_MAX ? UINT64_MAX : without + g->plain_bytes;
        }
        if (again) {
            e->dict = (WriterDict){0};
            continue;
        }
        const bool pays = e->dict.built && dictionary_pays(e, with, without);
        for (int k = 0; k < KIND_COUNT && !pays; k++) {
            groups[k].wants_dict = false;
        }
    }
    return OK;
}

static Status assign(WriterEncoder *e, const Group groups[static KIND_COUNT], Err *err)
{
    for (int k = 0; k < KIND_COUNT; k++) {
        const Group *g = &groups[k];
        if (!g->wants_dict && g->plain_bytes == UINT64_MAX) {
            return err_set(err, ERR_TOO_LARGE, "values too large for a page of %d bytes",
                           PARQUET_PAGE_MAX_BYTES);
        }
        for (uint32_t i = 0; i < g->page_count; i++) {
            e->pages[g->pages[i]].coding = g->wants_dict ? g->dict : g->plain;
        }
    }
    return OK;
}

Status writer_encoder_choose(WriterEncoder *e, Err *err)
{
    Group groups[KIND_COUNT];
    TRY(make_groups(e, groups, err));
    if (e->view.pool_distinct) {
        Group *all = &groups[KIND_MIXED];
        all->wants_dict = e->view.leaf->options.dictionary != PARQUET_DICTIONARY_NEVER;
        TRY(build_dictionary(e, groups, err));
        all->wants_dict = e->dict.built;
        if (dictionary_is_plain_win(e)) {
            all->dict = WRITER_DICT;
            return assign(e, groups, err);
        }
    }
    for (int k = 0; k < KIND_COUNT; k++) {
        if (groups[k].page_count != 0) {
            TRY(best_plain(e, &groups[k], err));
        }
        if (!e->view.pool_distinct) {
            TRY(try_dictionary(e, &groups[k], err));
        }
    }
    TRY(settle(e, groups, err));
    return assign(e, groups, err);
}
