// SPDX-License-Identifier: Apache-2.0
//
// Rows come sorted by labels and time, so a series is a stretch of rows in which no label changes.
// Where it begins is found column by column: from runs for nothing, from codes by comparing
// neighbours. Whatever is asked of a value (does it match, its hash, its text) is asked once per
// dictionary entry. Rows in any other order only give more, shorter stretches.
#include "base/mem.h"
#include "query/series_internal.h"

typedef enum Answer { ANSWER_UNKNOWN, ANSWER_NO, ANSWER_YES } Answer;

// What is known of the entries of the dictionary of a column that was seen last.
typedef struct ValueCache {
    const Vector *dict;
    LabelsHash *hashes; // zero: not known
    uint8_t *answers;   // Answer: of all matchers on the column
    Str *texts;         // copies; ptr NULL: none yet
} ValueCache;

struct SeriesRows {
    const SeriesPlan *plan;
    Arena *texts;
    Arena arena;        // of the block
    ValueCache *caches; // by label of the plan
    const Batch *batch;
    Vector map; // of the batch, FLAT; row_count 0 when no row has any
    uint32_t count;
    uint32_t *firsts, *ends; // rows of the stretches
    bool *moved;             // the map has a label that has a column of its own by now
    LabelsHash *ids;
    Str *names; // of labels that are asked for
    Str **values;
    size_t label_count;
    int64_t *ms; // by row
    size_t ms_cap;
};

SeriesRows *series_rows_new(const SeriesPlan *plan, Arena *texts)
{
    SeriesRows *r = mem_new(SeriesRows, 1);
    r->plan = plan;
    r->texts = texts;
    arena_init(&r->arena, 0);
    r->caches = mem_new(ValueCache, plan->label_count);
    return r;
}

void series_rows_forget(SeriesRows *r)
{
    for (size_t i = 0; i < r->plan->label_count; i++) {
        mem_free(r->caches[i].hashes);
        mem_free(r->caches[i].answers);
        mem_free(r->caches[i].texts);
        r->caches[i] = (ValueCache){0};
    }
}

size_t series_rows_label_count(const SeriesRows *r)
{
    return r->label_count;
}

void series_rows_free(SeriesRows *r)
{
    if (r == NULL) {
        return;
    }
    series_rows_forget(r);
    mem_free(r->caches);
    mem_free(r->ms);
    arena_deinit(&r->arena);
    mem_free(r);
}

// --- stretches -----------------------------------------------------------------------------------

static inline void mark(uint64_t *bounds, uint32_t row)
{
    bounds[row >> 6] |= UINT64_C(1) << (row & 63);
}

static bool same_element(const Vector *v, uint32_t a, uint32_t b)
{
    if (validity_get(v->validity, a) != validity_get(v->validity, b)) {
        return false;
    }
    if (!validity_get(v->validity, a)) {
        return true;
    }
    if (v->form == VECTOR_DICT) {
        return v->codes[a] == v->codes[b];
    }
    return str_eq(vector_flat_str(v, a), vector_flat_str(v, b));
}

static bool same_text(const Vector *v, uint32_t a, uint32_t b)
{
    const Vector *flat_a;
    const Vector *flat_b;
    uint32_t at_a;
    uint32_t at_b;
    const bool has_a = vector_locate(v, a, &flat_a, &at_a);
    const bool has_b = vector_locate(v, b, &flat_b, &at_b);
    if (has_a != has_b || !has_a) {
        return has_a == has_b;
    }
    return (flat_a == flat_b && at_a == at_b) ||
           str_eq(vector_flat_str(flat_a, at_a), vector_flat_str(flat_b, at_b));
}

static bool same_map(const Vector *v, uint32_t a, uint32_t b)
{
    const bool has_a = validity_get(v->validity, a);
    if (has_a != validity_get(v->validity, b) || !has_a) {
        return has_a == validity_get(v->validity, b);
    }
    const uint32_t count = v->offsets[a + 1] - v->offsets[a];
    if (count != v->offsets[b + 1] - v->offsets[b]) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!same_text(v->keys, v->offsets[a] + i, v->offsets[b] + i) ||
            !same_text(v->values, v->offsets[a] + i, v->offsets[b] + i)) {
            return false;
        }
    }
    return true;
}

// Most neighbours are alike: eight are looked at together.
static void mark_code_changes(const uint32_t *codes, uint32_t count, uint64_t *bounds)
{
    uint32_t i = 1;
    while (i + 8 <= count) {
        uint32_t differ = 0;
        for (uint32_t k = i; k < i + 8; k++) {
            differ |= codes[k] ^ codes[k - 1];
        }
        for (uint32_t k = i; k < i + 8 && differ != 0; k++) {
            bounds[k >> 6] |= (uint64_t)(codes[k] != codes[k - 1]) << (k & 63);
        }
        i += 8;
    }
    for (; i < count; i++) {
        bounds[i >> 6] |= (uint64_t)(codes[i] != codes[i - 1]) << (i & 63);
    }
}

static void mark_changes(const Vector *v, uint64_t *bounds)
{
    if (v->form == VECTOR_RUNS) {
        for (uint32_t i = 0; i + 1 < v->run_count; i++) {
            mark(bounds, v->run_ends[i]);
        }
        return;
    }
    if (v->form == VECTOR_DICT && v->validity == NULL) {
        mark_code_changes(v->codes, v->row_count, bounds);
        return;
    }
    const bool is_map = v->type == COLUMN_MAP;
    for (uint32_t i = 1; i < v->row_count; i++) {
        if (is_map ? !same_map(v, i - 1, i) : !same_element(v, i - 1, i)) {
            mark(bounds, i);
        }
    }
}

static void find_stretches(SeriesRows *r)
{
    const uint32_t rows = r->batch->row_count;
    uint64_t *bounds = arena_new(&r->arena, uint64_t, (size_t)rows / 64 + 1);
    mark(bounds, 0);
    for (size_t i = 0; i < r->plan->label_count; i++) {
        mark_changes(&r->batch->columns[i], bounds);
    }
    mark_changes(&r->batch->columns[r->plan->map_at], bounds);
    uint32_t count = 0;
    for (size_t i = 0; i < (size_t)rows / 64 + 1; i++) {
        count += (uint32_t)__builtin_popcountll(bounds[i]);
    }
    r->firsts = arena_new(&r->arena, uint32_t, (size_t)count + 1);
    r->ends = arena_new(&r->arena, uint32_t, count);
    r->count = 0;
    for (uint32_t i = 0; i < rows / 64 + 1; i++) {
        for (uint64_t word = bounds[i]; word != 0; word &= word - 1) {
            r->firsts[r->count++] = i * 64 + (uint32_t)__builtin_ctzll(word);
        }
    }
    for (uint32_t k = 0; k < count; k++) {
        r->ends[k] = k + 1 < count ? r->firsts[k + 1] : rows;
    }
}

// --- elements ------------------------------------------------------------------------------------

// The elements of a vector by ascending row.
typedef struct Elements {
    const Vector *v; // FLAT or DICT
    const uint32_t *run_ends;
    uint32_t run;
} Elements;

static Elements elements_of(const Vector *v)
{
    return v->form == VECTOR_RUNS ? (Elements){.v = v->runs, .run_ends = v->run_ends}
                                  : (Elements){.v = v};
}

static inline uint32_t element_at(Elements *e, uint32_t row)
{
    if (e->run_ends == NULL) {
        return row;
    }
    while (e->run_ends[e->run] <= row) {
        e->run++;
    }
    return e->run;
}

// --- the map -------------------------------------------------------------------------------------

static bool map_text(const Vector *v, uint32_t entry, Str *out)
{
    const Vector *flat;
    uint32_t at;
    *out = STR("");
    if (!vector_locate(v, entry, &flat, &at)) {
        return false;
    }
    *out = vector_flat_str(flat, at);
    return out->len != 0;
}

static Elements map_elements(const SeriesRows *r)
{
    return elements_of(&r->batch->columns[r->plan->map_at]);
}

static void map_entries(const Vector *v, uint32_t element, uint32_t *first, uint32_t *end)
{
    const bool has = validity_get(v->validity, element);
    *first = has ? v->offsets[element] : 0;
    *end = has ? v->offsets[element + 1] : 0;
}

static Str map_get(const Vector *v, uint32_t element, Str label)
{
    uint32_t i;
    uint32_t end;
    map_entries(v, element, &i, &end);
    for (; i < end; i++) {
        Str key;
        Str value;
        if (map_text(v->keys, i, &key) && str_eq(key, label) && map_text(v->values, i, &value)) {
            return value;
        }
    }
    return STR("");
}

static bool map_is_empty(const Vector *v)
{
    for (uint32_t i = 0; i < v->row_count; i++) {
        if (validity_get(v->validity, i) && v->offsets[i] != v->offsets[i + 1]) {
            return false;
        }
    }
    return true;
}

static bool rest_matches(const SeriesPlan *plan, const Vector *v, uint32_t element)
{
    for (size_t i = 0; i < plan->rest_count; i++) {
        if (!matcher_matches(plan->rest[i], map_get(v, element, matcher_name(plan->rest[i])))) {
            return false;
        }
    }
    return true;
}

// Answers matchers on labels without a column, and finds labels that have one by now.
static void test_map(SeriesRows *r, bool *dead)
{
    Elements e = map_elements(r);
    uint32_t last = UINT32_MAX;
    bool matches = false;
    bool moved = false;
    r->moved = arena_new(&r->arena, bool, r->count);
    for (uint32_t k = 0; k < r->count; k++) {
        const uint32_t element = element_at(&e, r->firsts[k]);
        if (element != last) {
            uint32_t i;
            uint32_t end;
            moved = false;
            matches = rest_matches(r->plan, e.v, element);
            for (map_entries(e.v, element, &i, &end); i < end; i++) {
                Str key;
                moved = moved || (map_text(e.v->keys, i, &key) &&
                                  series_plan_find(r->plan, key) != SIZE_MAX);
            }
            last = element;
        }
        r->moved[k] = moved;
        dead[k] = dead[k] || !matches;
    }
}

// --- matchers ------------------------------------------------------------------------------------

static bool label_matches(const PlanLabel *label, Str value)
{
    for (size_t i = 0; i < label->matcher_count; i++) {
        if (!matcher_matches(label->matchers[i], value)) {
            return false;
        }
    }
    return true;
}

static ValueCache *cache_of(SeriesRows *r, size_t label, const Vector *dict)
{
    ValueCache *c = &r->caches[label];
    if (c->dict != dict) {
        mem_free(c->hashes);
        mem_free(c->answers);
        mem_free(c->texts);
        *c = (ValueCache){.dict = dict};
        c->hashes = mem_new(LabelsHash, dict->row_count);
        c->answers = mem_new(uint8_t, dict->row_count);
        c->texts = mem_new(Str, dict->row_count);
    }
    return c;
}

static bool element_matches(SeriesRows *r, size_t label, const Vector *v, uint32_t element)
{
    const PlanLabel *l = &r->plan->labels[label];
    if (!validity_get(v->validity, element)) {
        return l->matches_absent;
    }
    if (v->form == VECTOR_FLAT) {
        return label_matches(l, vector_flat_str(v, element));
    }
    const uint32_t code = v->codes[element];
    ValueCache *c = cache_of(r, label, v->dict);
    if (c->answers[code] == ANSWER_UNKNOWN) {
        c->answers[code] =
            label_matches(l, vector_flat_str(v->dict, code)) ? ANSWER_YES : ANSWER_NO;
    }
    return c->answers[code] == ANSWER_YES;
}

static void test_label(SeriesRows *r, size_t label, bool *dead)
{
    Elements e = elements_of(&r->batch->columns[label]);
    Elements map = map_elements(r);
    uint32_t last = UINT32_MAX;
    bool matches = false;
    for (uint32_t k = 0; k < r->count; k++) {
        const uint32_t element = element_at(&e, r->firsts[k]);
        if (element != last) {
            matches = element_matches(r, label, e.v, element);
            last = element;
        }
        bool pass = matches;
        if (r->moved != NULL && r->moved[k] && !validity_get(e.v->validity, element)) {
            const Str value =
                map_get(map.v, element_at(&map, r->firsts[k]), r->plan->labels[label].name);
            pass = label_matches(&r->plan->labels[label], value);
        }
        dead[k] = dead[k] || !pass;
    }
}

static void drop_dead(SeriesRows *r, const bool *dead)
{
    uint32_t kept = 0;
    for (uint32_t k = 0; k < r->count; k++) {
        r->firsts[kept] = r->firsts[k];
        r->ends[kept] = r->ends[k];
        if (r->moved != NULL) {
            r->moved[kept] = r->moved[k];
        }
        kept += dead[k] ? 0 : 1;
    }
    r->count = kept;
}

static void test_labels(SeriesRows *r)
{
    const Vector *map = map_elements(r).v;
    bool *dead = arena_new(&r->arena, bool, r->count);
    r->moved = NULL;
    if (!map_is_empty(map)) {
        test_map(r, dead);
    } else if (!rest_matches(r->plan, map, 0)) {
        r->count = 0;
        return;
    }
    for (size_t i = 0; i < r->plan->label_count; i++) {
        if (r->plan->labels[i].matcher_count != 0) {
            test_label(r, i, dead);
        }
    }
    drop_dead(r, dead);
}

// --- identity and values -------------------------------------------------------------------------

typedef struct Value {
    LabelsHash hash;
    Str text; // when it is asked for
} Value;

static Value value_of(SeriesRows *r, size_t label, const Vector *v, uint32_t element)
{
    const PlanLabel *l = &r->plan->labels[label];
    Value out = {0};
    if (!validity_get(v->validity, element)) {
        return out;
    }
    if (v->form == VECTOR_FLAT) {
        const Str text = vector_flat_str(v, element);
        if (text.len != 0) {
            out.hash = r->plan->no_ids ? out.hash : identity_hash(l->seed, text);
            out.text = l->is_asked ? arena_str(r->texts, text) : out.text;
        }
        return out;
    }
    const uint32_t code = v->codes[element];
    ValueCache *c = cache_of(r, label, v->dict);
    if (c->hashes[code].lo == 0 && c->hashes[code].hi == 0) {
        const Str text = vector_flat_str(v->dict, code);
        if (text.len != 0) { // an empty label is none
            c->hashes[code] = identity_hash(l->seed, text);
            c->texts[code] = l->is_asked ? arena_str(r->texts, text) : text;
        }
    }
    return (Value){c->hashes[code], c->texts[code]};
}

static void add_label(SeriesRows *r, size_t label)
{
    const PlanLabel *l = &r->plan->labels[label];
    Elements e = elements_of(&r->batch->columns[label]);
    Elements map = map_elements(r);
    Str *values = l->is_asked ? arena_new(&r->arena, Str, r->count) : NULL;
    uint32_t last = UINT32_MAX;
    Value value = {0};
    if (l->is_asked) {
        r->names[r->label_count] = l->name;
        r->values[r->label_count++] = values;
    }
    for (uint32_t k = 0; k < r->count; k++) {
        const uint32_t element = element_at(&e, r->firsts[k]);
        if (element != last) {
            value = value_of(r, label, e.v, element);
            last = element;
        }
        identity_add(&r->ids[k], value.hash);
        if (values == NULL) {
            continue;
        }
        values[k] = value.text;
        if (value.text.len == 0 && r->moved != NULL && r->moved[k]) {
            values[k] =
                arena_str(r->texts, map_get(map.v, element_at(&map, r->firsts[k]), l->name));
        }
    }
}

// Labels in the map: all are part of the identity; those without a column are listed when they are
// asked for.
static void add_map(SeriesRows *r, SeriesBlock *out)
{
    const SeriesPlan *plan = r->plan;
    Elements e = map_elements(r);
    if (map_is_empty(e.v)) {
        return;
    }
    Label *labels = NULL;
    size_t cap = 0;
    size_t count = 0;
    uint32_t *ends = arena_new(&r->arena, uint32_t, r->count);
    for (uint32_t k = 0; k < r->count; k++) {
        uint32_t i;
        uint32_t end;
        for (map_entries(e.v, element_at(&e, r->firsts[k]), &i, &end); i < end; i++) {
            Str key;
            Str value;
            if (!map_text(e.v->keys, i, &key) || !map_text(e.v->values, i, &value)) {
                continue;
            }
            identity_add(&r->ids[k], identity_hash(identity_seed(plan->key, key), value));
            if (series_plan_asks(plan, key) && series_plan_find(plan, key) == SIZE_MAX) {
                labels = mem_grow(labels, &cap, count + 1, sizeof(*labels));
                labels[count++] = (Label){arena_str(r->texts, key), arena_str(r->texts, value)};
            }
        }
        ends[k] = (uint32_t)count;
    }
    if (count != 0) {
        Label *kept = arena_new(&r->arena, Label, count);
        memcpy(kept, labels, count * sizeof(*kept));
        out->map_labels = kept;
        out->map_ends = ends;
    }
    mem_free(labels);
}

// --- samples -------------------------------------------------------------------------------------

static int64_t floor_ms(int64_t us)
{
    return us / 1000 - (us % 1000 < 0 ? 1 : 0);
}

// Whether all rows are valid, so that nobody need ask again.
static bool all_valid(const uint64_t *validity, uint32_t rows)
{
    uint64_t all = UINT64_MAX;
    for (uint32_t i = 0; validity != NULL && i < rows / 64; i++) {
        all &= validity[i];
    }
    for (uint32_t i = rows / 64 * 64; validity != NULL && i < rows; i++) {
        all &= validity_get(validity, i) ? UINT64_MAX : 0;
    }
    return all == UINT64_MAX;
}

// Leaves off the rows of each stretch that lie outside of the range at its ends, of most stretches
// all there are: what is done with rows later is done with those that are asked for.
static void trim_stretches(SeriesRows *r, const int64_t *us)
{
    const int64_t min_us = series_clamp_us(r->plan->min_ms, 0);
    const int64_t max_us = series_clamp_us(r->plan->max_ms, 999);
    for (uint32_t k = 0; k < r->count; k++) {
        uint32_t first = r->firsts[k];
        uint32_t end = r->ends[k];
        while (first < end && us[first] < min_us) {
            first++;
        }
        while (end > first && us[end - 1] > max_us) {
            end--;
        }
        r->firsts[k] = first;
        r->ends[k] = end;
    }
}

static void convert_times(const int64_t *us, uint32_t first, uint32_t end, int64_t *ms)
{
    int64_t any = 0;
    for (uint32_t i = first; i < end; i++) {
        any |= us[i];
    }
    if (any >= 0) { // nobody's clock was before 1970
        for (uint32_t i = first; i < end; i++) {
            ms[i] = (int64_t)((uint64_t)us[i] / 1000);
        }
    } else {
        for (uint32_t i = first; i < end; i++) {
            ms[i] = floor_ms(us[i]);
        }
    }
}

// The times of the stretches' rows in milliseconds; rows that are no sample get INT64_MIN.
static int64_t *row_times(SeriesRows *r)
{
    const Batch *batch = r->batch;
    const uint32_t rows = batch->row_count;
    const Vector flat = vector_flatten(&batch->columns[r->plan->time_at], &r->arena);
    r->ms = mem_grow(r->ms, &r->ms_cap, rows, sizeof(*r->ms));
    int64_t *ms = r->ms;
    const bool all = all_valid(flat.validity, rows);
    if (all) {
        trim_stretches(r, flat.data);
    }
    for (uint32_t k = 0; k < r->count; k++) {
        convert_times(flat.data, r->firsts[k], r->ends[k], ms);
    }
    for (uint32_t i = 0; !all && i < rows; i++) {
        if (!validity_get(flat.validity, i)) {
            ms[i] = INT64_MIN;
        }
    }
    return ms;
}

// Values and histograms; a row that has neither is no sample.
static void row_values(SeriesRows *r, int64_t *ms, SeriesBlock *out)
{
    const SeriesPlan *plan = r->plan;
    const uint32_t rows = r->batch->row_count;
    const Vector flat = vector_flatten(&r->batch->columns[plan->value_at], &r->arena);
    Vector blobs = {0};
    bool has_blobs = false;
    out->samples = flat.data;
    if (plan->histogram_at != SIZE_MAX) {
        blobs = vector_flatten(&r->batch->columns[plan->histogram_at], &r->arena);
        for (uint32_t i = 0; i < rows && !has_blobs; i++) {
            has_blobs = validity_get(blobs.validity, i);
        }
    }
    Bytes *histograms = has_blobs ? arena_new(&r->arena, Bytes, rows) : NULL;
    for (uint32_t i = 0; has_blobs && i < rows; i++) {
        if (validity_get(blobs.validity, i)) {
            const Str s = vector_flat_str(&blobs, i);
            histograms[i] = (Bytes){(const uint8_t *)s.ptr, s.len};
        }
    }
    const bool all = all_valid(flat.validity, rows);
    for (uint32_t i = 0; !all && i < rows; i++) {
        const bool is_sample =
            validity_get(flat.validity, i) || (has_blobs && validity_get(blobs.validity, i));
        if (!is_sample) {
            ms[i] = INT64_MIN;
        }
    }
    out->histograms = histograms;
}

static void row_starts(SeriesRows *r, SeriesBlock *out)
{
    if (r->plan->start_at == SIZE_MAX) {
        return;
    }
    const uint32_t rows = r->batch->row_count;
    const Vector flat = vector_flatten(&r->batch->columns[r->plan->start_at], &r->arena);
    const int64_t *us = flat.data;
    bool any = false;
    int64_t *starts = arena_new(&r->arena, int64_t, rows);
    for (uint32_t i = 0; i < rows; i++) {
        const bool has = validity_get(flat.validity, i);
        starts[i] = has ? floor_ms(us[i]) : INT64_MIN;
        any = any || has;
    }
    out->start_ms = any ? starts : NULL;
}

// The first piece of rows [*first, *end) whose times are in the range and ascend strictly.
static bool next_piece(const SeriesPlan *plan, const int64_t *ms, uint32_t *first, uint32_t *end)
{
    uint32_t i = *first;
    while (i < *end && (ms[i] < plan->min_ms || ms[i] > plan->max_ms)) {
        i++;
    }
    if (i == *end) {
        return false;
    }
    uint32_t k = i + 1;
    while (k < *end && ms[k] > ms[k - 1] && ms[k] <= plan->max_ms) {
        k++;
    }
    *first = i;
    *end = k;
    return true;
}

static bool ascends(const int64_t *ms, uint32_t first, uint32_t end)
{
    bool not = false;
    for (uint32_t i = first + 1; i < end; i++) {
        not |= ms[i] <= ms[i - 1];
    }
    return !not ;
}

// One stretch per piece.
static void cut_pieces(SeriesRows *r, const int64_t *ms)
{
    size_t cap = 0;
    uint32_t *pieces = NULL; // series, first, end
    size_t n = 0;
    for (uint32_t k = 0; k < r->count; k++) {
        uint32_t first = r->firsts[k];
        uint32_t end = r->ends[k];
        while (next_piece(r->plan, ms, &first, &end)) {
            pieces = mem_grow(pieces, &cap, 3 * (n + 1), sizeof(*pieces));
            memcpy(&pieces[3 * n++], (const uint32_t[]){k, first, end}, 3 * sizeof(*pieces));
            first = end;
            end = r->ends[k];
        }
    }
    const bool *old_moved = r->moved;
    r->firsts = arena_new(&r->arena, uint32_t, n);
    r->ends = arena_new(&r->arena, uint32_t, n);
    r->moved = old_moved != NULL ? arena_new(&r->arena, bool, n) : NULL;
    r->count = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        r->firsts[i] = pieces[3 * i + 1];
        r->ends[i] = pieces[3 * i + 2];
        if (old_moved != NULL) {
            r->moved[i] = old_moved[pieces[3 * i]];
        }
    }
    mem_free(pieces);
}

// Series whose samples in the range are one piece, which is nearly all of them, only get new
// bounds; series without a sample go.
static void cut_samples(SeriesRows *r, const int64_t *ms)
{
    bool *dead = arena_new(&r->arena, bool, r->count);
    for (uint32_t k = 0; k < r->count; k++) {
        uint32_t first = r->firsts[k];
        uint32_t end = r->ends[k];
        if (first < end && ms[first] >= r->plan->min_ms && ms[end - 1] <= r->plan->max_ms &&
            ascends(ms, first, end)) {
            continue;
        }
        dead[k] = !next_piece(r->plan, ms, &first, &end);
        uint32_t next = end;
        uint32_t next_end = r->ends[k];
        if (!dead[k] && next_piece(r->plan, ms, &next, &next_end)) {
            cut_pieces(r, ms);
            return;
        }
        r->firsts[k] = dead[k] ? r->firsts[k] : first;
        r->ends[k] = dead[k] ? r->ends[k] : end;
    }
    drop_dead(r, dead);
}

void series_rows_cut(SeriesRows *r, const Batch *batch, SeriesBlock *out)
{
    const SeriesPlan *plan = r->plan;
    *out = (SeriesBlock){0};
    arena_reset(&r->arena);
    r->batch = batch;
    if (batch->row_count == 0) {
        return;
    }
    find_stretches(r);
    test_labels(r);
    if (r->count == 0) {
        return;
    }
    if (!plan->no_times) {
        int64_t *ms = row_times(r);
        if (!plan->no_samples) {
            row_values(r, ms, out);
            row_starts(r, out);
        }
        cut_samples(r, ms);
        out->timestamps_ms = ms;
    }
    r->ids = arena_new(&r->arena, LabelsHash, r->count);
    r->names = arena_new(&r->arena, Str, plan->label_count);
    r->values = arena_new(&r->arena, Str *, plan->label_count);
    r->label_count = 0;
    for (size_t i = 0; i < plan->label_count; i++) {
        add_label(r, i);
    }
    add_map(r, out);
    out->count = r->count;
    out->ids = r->ids;
    out->label_count = r->label_count;
    out->names = r->names;
    out->values = r->values;
    out->firsts = r->firsts;
    out->ends = r->ends;
}

// --- labels of a block ---------------------------------------------------------------------------

size_t series_block_labels_max(const SeriesBlock *block, uint32_t k)
{
    const uint32_t from = block->map_labels == NULL || k == 0 ? 0 : block->map_ends[k - 1];
    const size_t in_map = block->map_labels == NULL ? 0 : block->map_ends[k] - from;
    return block->label_count + in_map;
}

static bool name_less(Str a, Str b)
{
    const size_t len = a.len < b.len ? a.len : b.len;
    const int order = memcmp(a.ptr, b.ptr, len);
    return order != 0 ? order < 0 : a.len < b.len;
}

size_t series_block_labels(const SeriesBlock *block, uint32_t k, Label *out)
{
    const bool has_map = block->map_labels != NULL;
    uint32_t at = has_map && k > 0 ? block->map_ends[k - 1] : 0;
    const uint32_t end = has_map ? block->map_ends[k] : 0;
    size_t count = 0;
    for (size_t i = 0; i < block->label_count; i++) {
        const Str value = block->values[i][k];
        if (value.len == 0) {
            continue;
        }
        while (at < end && name_less(block->map_labels[at].name, block->names[i])) {
            out[count++] = block->map_labels[at++];
        }
        out[count++] = (Label){block->names[i], value};
    }
    while (at < end) {
        out[count++] = block->map_labels[at++];
    }
    return count;
}

void series_block_samples(const SeriesBlock *b, uint32_t k, Label *labels, SeriesSamples *out)
{
    const uint32_t first = b->firsts[k];
    *out = (SeriesSamples){
        .id = b->ids[k], .labels = {.labels = labels, .count = series_block_labels(b, k, labels)}};
    if (b->samples != NULL) {
        out->count = b->ends[k] - first;
        out->timestamps_ms = b->timestamps_ms + first;
        out->values = b->samples + first;
        out->histograms = b->histograms == NULL ? NULL : b->histograms + first;
        out->start_ms = b->start_ms == NULL ? NULL : b->start_ms + first;
    }
}
