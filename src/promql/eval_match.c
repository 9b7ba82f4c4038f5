// SPDX-License-Identifier: Apache-2.0
//
// Vector matching: arithmetic and comparison of two vectors. Series are brought together by the
// labels that match (a group); at each step a group has at most one sample on the `one` side. With
// group_right the sides are swapped, so that `many` is always the left of the match.
#include "promql/eval_internal.h"

#include <stdlib.h>

enum { ONE_NONE = -1, ONE_SINGLE = -2 };

typedef struct Group {
    uint32_t first, count; // of the `one` side's series
    int32_t *one;          // by step: which of them, or ONE_NONE; NULL while it has but one series
    uint64_t *matched;     // steps that have a match
} Group;

typedef struct Result { // one series, of one group
    uint32_t group;
    uint64_t hash;
    uint64_t *taken; // steps that have had a match, also one that a comparison left out
    PromqlSeries series;
} Result;

typedef struct Match {
    Eval *eval;
    const PlanNode *node;
    const PromqlNode *ast;
    const PromqlGrid *grid;
    size_t words;
    bool swapped, one_to_one, drop_names, is_bool;
    bool fills_one, fills_many; // a missing sample of that side
    double fill_one, fill_many;
    EvalOperator op;
    PromqlMatrix many, one;
    EvalGroups groups;
    uint32_t *many_group, *one_group; // by series
    uint32_t *members;                // series of the `one` side, group after group
    Group *by_group;
    uint64_t *active; // steps at which there is something to do

    Result *results;
    size_t result_count, results_cap;
    uint32_t *slots; // index + 1
    size_t slot_count;
} Match;

// --- preparing -----------------------------------------------------------------------------------

static uint32_t *groups_of(Match *m, const PromqlMatrix *matrix)
{
    Arena *arena = &m->eval->arena;
    uint32_t *of = arena_new(arena, uint32_t, matrix->count);
    for (size_t i = 0; i < matrix->count; i++) {
        of[i] = (uint32_t)eval_groups_find(&m->groups, &matrix->series[i].labels, arena);
    }
    return of;
}

static void or_present(const PromqlMatrix *matrix, uint64_t *bits, size_t words)
{
    for (size_t i = 0; i < matrix->count; i++) {
        for (size_t word = 0; word < words; word++) {
            bits[word] |= matrix->series[i].present[word];
        }
    }
}

// Nothing happens at steps where a side is empty, but for filling; nor are errors looked for.
static void find_active(Match *m)
{
    const bool fill = m->fills_one || m->fills_many;
    uint64_t *other = arena_new(&m->eval->arena, uint64_t, m->words);
    m->active = arena_new(&m->eval->arena, uint64_t, m->words);
    or_present(&m->many, m->active, m->words);
    or_present(&m->one, other, m->words);
    for (size_t i = 0; i < m->words; i++) {
        m->active[i] = fill ? m->active[i] | other[i] : m->active[i] & other[i];
    }
}

static void find_members(Match *m)
{
    Arena *arena = &m->eval->arena;
    m->by_group = arena_new(arena, Group, m->groups.count);
    m->members = arena_new(arena, uint32_t, m->one.count);
    for (size_t i = 0; i < m->one.count; i++) {
        m->by_group[m->one_group[i]].count++;
    }
    uint32_t first = 0;
    for (size_t i = 0; i < m->groups.count; i++) {
        m->by_group[i].first = first;
        first += m->by_group[i].count;
        m->by_group[i].count = 0;
    }
    for (size_t i = 0; i < m->one.count; i++) {
        Group *g = &m->by_group[m->one_group[i]];
        m->members[g->first + g->count++] = (uint32_t)i;
    }
}

static void put_labels(const LabelSet *set, Buf *text)
{
    eval_labels_print(set, text);
    buf_put_u8(text, 0);
}

static Status duplicate(Match *m, const LabelSet *a, const LabelSet *b, Err *err)
{
    Label *room = arena_new(&m->eval->arena, Label, a->count);
    const LabelSet common =
        eval_labels_pick(a, m->groups.names, m->groups.name_count, m->groups.without, room);
    Buf texts[3];
    const LabelSet *sets[] = {&common, a, b};
    for (size_t i = 0; i < 3; i++) {
        buf_init(&texts[i], 0);
        put_labels(sets[i], &texts[i]);
    }
    const char *first = (const char *)texts[1].ptr;
    const char *second = (const char *)texts[2].ptr;
    const bool in_order = strcmp(first, second) <= 0;
    const Status st = err_set(
        err, ERR_INVALID,
        "found duplicate series for the match group %s on the %s hand-side of the operation: "
        "[%s, %s];many-to-many matching not allowed: matching labels must be unique on one side",
        (const char *)texts[0].ptr, m->swapped ? "left" : "right", in_order ? first : second,
        in_order ? second : first);
    for (size_t i = 0; i < 3; i++) {
        buf_deinit(&texts[i]);
    }
    return st;
}

// Which series of the `one` side each step has.
static Status index_group(Match *m, Group *g, Err *err)
{
    if (g->count <= 1) {
        return OK;
    }
    g->one = arena_new(&m->eval->arena, int32_t, m->grid->steps);
    for (uint32_t step = 0; step < m->grid->steps; step++) {
        g->one[step] = ONE_NONE;
    }
    for (uint32_t i = g->first; i < g->first + g->count; i++) {
        const PromqlSeries *s = &m->one.series[m->members[i]];
        for (uint32_t step = 0; step < m->grid->steps; step++) {
            if (!eval_has(s->present, step) || !eval_has(m->active, step)) {
                continue;
            }
            if (g->one[step] != ONE_NONE) {
                return duplicate(m, &s->labels, &m->one.series[g->one[step]].labels, err);
            }
            g->one[step] = (int32_t)m->members[i];
        }
    }
    return OK;
}

static int32_t one_at(const Match *m, const Group *g, uint32_t step)
{
    if (g->one != NULL) {
        return g->one[step];
    }
    if (g->count == 0 || !eval_has(m->one.series[m->members[g->first]].present, step)) {
        return ONE_NONE;
    }
    return (int32_t)m->members[g->first];
}

// --- labels of results ---------------------------------------------------------------------------

static LabelSet matching_labels(Match *m, const LabelSet *set)
{
    Label *room = arena_new(&m->eval->arena, Label, set->count);
    return eval_labels_pick(set, m->groups.names, m->groups.name_count, m->groups.without, room);
}

static LabelSet result_labels(Match *m, const LabelSet *many, const LabelSet *one)
{
    Arena *arena = &m->eval->arena;
    LabelSet set = *many;
    if (m->drop_names) {
        set = eval_labels_drop_metadata(&set, arena_new(arena, Label, set.count));
    }
    if (m->one_to_one) {
        set = eval_labels_pick(&set, m->node->u.binary.labels, m->node->u.binary.label_count,
                               !m->ast->u.binary.on, arena_new(arena, Label, set.count));
    }
    for (size_t i = 0; i < m->ast->u.binary.include_count; i++) {
        const Str name = m->ast->u.binary.include[i];
        set = eval_labels_with(&set, name, labels_get(one, name), arena);
    }
    return set;
}

static void grow_slots(Match *m)
{
    const size_t count = m->slot_count == 0 ? 16 : 2 * m->slot_count;
    mem_free(m->slots);
    m->slots = mem_new(uint32_t, count);
    m->slot_count = count;
    for (size_t i = 0; i < m->result_count; i++) {
        size_t slot = m->results[i].hash & (count - 1);
        while (m->slots[slot] != 0) {
            slot = (slot + 1) & (count - 1);
        }
        m->slots[slot] = (uint32_t)i + 1;
    }
}

static size_t find_result(Match *m, uint32_t group, const LabelSet *labels)
{
    const uint64_t hash = eval_labels_hash(labels) ^ (group * UINT64_C(0x9e3779b97f4a7c15));
    if (2 * (m->result_count + 1) > m->slot_count) {
        grow_slots(m);
    }
    size_t slot = hash & (m->slot_count - 1);
    for (; m->slots[slot] != 0; slot = (slot + 1) & (m->slot_count - 1)) {
        const Result *r = &m->results[m->slots[slot] - 1];
        if (r->group == group && r->hash == hash && eval_labels_equal(&r->series.labels, labels)) {
            return m->slots[slot] - 1;
        }
    }
    const size_t i = m->result_count++;
    m->slots[slot] = (uint32_t)i + 1;
    m->results = mem_grow(m->results, &m->results_cap, i + 1, sizeof(*m->results));
    Result *r = &m->results[i];
    *r = (Result){.group = group, .hash = hash};
    r->series = eval_series_new(&m->eval->arena, m->grid->steps, false);
    r->series.labels = *labels;
    r->series.drop_name = m->is_bool;
    r->taken = arena_new(&m->eval->arena, uint64_t, m->words);
    return i;
}

// --- operations ----------------------------------------------------------------------------------

typedef struct Pair {
    uint32_t group;
    const PromqlSeries *many, *one; // NULL: filled
    double fill;
    size_t result; // SIZE_MAX: not looked for yet
} Pair;

static PromqlSample sample_of(const PromqlSeries *series, uint32_t step, double fill)
{
    return series == NULL ? (PromqlSample){.value = fill}
                          : (PromqlSample){series->values[step], eval_histogram(series, step)};
}

static void find_pair_result(Match *m, Pair *pair)
{
    if (pair->result == SIZE_MAX) {
        const LabelSet many =
            pair->many != NULL ? pair->many->labels : matching_labels(m, &pair->one->labels);
        const LabelSet one =
            pair->one != NULL ? pair->one->labels : matching_labels(m, &pair->many->labels);
        const LabelSet labels = result_labels(m, &many, &one);
        pair->result = find_result(m, pair->group, &labels);
    }
}

static Status operate(Match *m, Pair *pair, uint32_t step, Err *err)
{
    const PromqlSample many = sample_of(pair->many, step, pair->fill);
    const PromqlSample one = sample_of(pair->one, step, pair->fill);
    PromqlSample out = {0};
    const EvalOutcome outcome =
        eval_operator_apply(&m->op, m->swapped ? one : many, m->swapped ? many : one, &out);
    if (outcome == EVAL_NOTHING || outcome == EVAL_WARNED) {
        return OK;
    }
    find_pair_result(m, pair);
    Result *r = &m->results[pair->result];
    Group *g = &m->by_group[pair->group];
    if (m->one_to_one ? eval_has(g->matched, step) : eval_has(r->taken, step)) {
        return err_set(err, ERR_INVALID, "multiple matches for labels: %s",
                       m->one_to_one
                           ? "many-to-one matching must be explicit (group_left/group_right)"
                           : "grouping labels must ensure unique matches");
    }
    eval_set(g->matched, step);
    eval_set(r->taken, step);
    if (outcome == EVAL_FILTERED && !m->is_bool) {
        return OK;
    }
    if (m->is_bool) {
        out = (PromqlSample){.value = outcome == EVAL_KEPT ? 1 : 0};
    }
    eval_set(r->series.present, step);
    r->series.values[step] = out.value;
    if (out.histogram != NULL) {
        eval_series_widen(&m->eval->arena, &r->series, m->grid->steps);
        r->series.histograms[step] = out.histogram;
    }
    return OK;
}

static uint64_t *matched_bits(Match *m, uint32_t group)
{
    Group *g = &m->by_group[group];
    if (g->matched == NULL) {
        g->matched = arena_new(&m->eval->arena, uint64_t, m->words);
    }
    return g->matched;
}

static Status match_series(Match *m, size_t series, Err *err)
{
    const PromqlSeries *many = &m->many.series[series];
    const uint32_t group = m->many_group[series];
    const Group *g = &m->by_group[group];
    const bool fill = m->fills_one;
    Pair pair = {.group = group, .many = many, .fill = m->fill_one};
    int32_t last = ONE_SINGLE;
    if (g->count == 0 && !fill) {
        return OK;
    }
    (void)matched_bits(m, group);
    for (uint32_t step = 0; step < m->grid->steps; step++) {
        if (!eval_has(many->present, step) || !eval_has(m->active, step)) {
            continue;
        }
        const int32_t one = one_at(m, g, step);
        if (one == ONE_NONE && !fill) {
            continue;
        }
        if (one != last) {
            pair.one = one == ONE_NONE ? NULL : &m->one.series[one];
            pair.result = SIZE_MAX;
            last = one;
        }
        TRY(operate(m, &pair, step, err));
    }
    return OK;
}

// Series of the `one` side that met nobody meet a filled in sample.
static Status fill_series(Match *m, size_t series, Err *err)
{
    const PromqlSeries *one = &m->one.series[series];
    const uint64_t *matched = matched_bits(m, m->one_group[series]);
    Pair pair = {
        .group = m->one_group[series], .one = one, .fill = m->fill_many, .result = SIZE_MAX};
    for (uint32_t step = 0; step < m->grid->steps; step++) {
        if (eval_has(one->present, step) && !eval_has(matched, step)) {
            TRY(operate(m, &pair, step, err));
        }
    }
    return OK;
}

static Status match_all(Match *m, Err *err)
{
    for (size_t i = 0; i < m->groups.count; i++) {
        TRY(index_group(m, &m->by_group[i], err));
    }
    for (size_t i = 0; i < m->many.count; i++) {
        TRY(eval_check(m->eval, err));
        TRY(match_series(m, i, err));
        TRY(eval_charge(m->eval, &m->eval->arena, &m->eval->arena_charged_bytes, err));
    }
    for (size_t i = 0; m->fills_many && i < m->one.count; i++) {
        TRY(eval_check(m->eval, err));
        TRY(fill_series(m, i, err));
    }
    return OK;
}

static Status result(Match *m, PromqlMatrix *out, Err *err)
{
    out->series = arena_new(&m->eval->arena, PromqlSeries, m->result_count);
    out->count = m->result_count;
    for (size_t i = 0; i < m->result_count; i++) {
        out->series[i] = m->results[i].series;
    }
    eval_matrix_compact(out, m->grid->steps);
    // One group has one set of labels; several may have the same only through group_left.
    return m->one_to_one ? OK : eval_matrix_merge(m->eval, out, m->grid->steps, EVAL_MERGE, err);
}

static Match match_of(Eval *eval, const PlanNode *node, const PromqlGrid *grid)
{
    const PromqlNode *ast = node->node;
    Match m = {.eval = eval, .node = node, .ast = ast, .grid = grid};
    m.words = eval_words(grid->steps);
    m.op = (EvalOperator){node->u.binary.op, node->pos, eval->notes, &eval->arena};
    m.swapped = ast->u.binary.matching == PROMQL_ONE_TO_MANY;
    m.one_to_one = ast->u.binary.matching == PROMQL_ONE_TO_ONE;
    m.is_bool = ast->u.binary.is_bool;
    m.drop_names = eval_operator_is_arithmetic(m.op.op) ||
                   (m.is_bool && !eval->options->features.delayed_name_removal);
    // With group_right the fill values are not swapped with the sides; nor are they in Prometheus.
    m.fills_one = ast->u.binary.has_fill_right;
    m.fills_many = ast->u.binary.has_fill_left;
    m.fill_one = ast->u.binary.fill_right;
    m.fill_many = ast->u.binary.fill_left;
    return m;
}

Status eval_match(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                  Err *err)
{
    Match m = match_of(eval, node, grid);
    Status st = OK;
    TRY(eval_node(eval, node->u.binary.left, grid, m.swapped ? &m.one : &m.many, err));
    TRY(eval_node(eval, node->u.binary.right, grid, m.swapped ? &m.many : &m.one, err));
    const uint64_t before =
        eval_samples_of(&m.many, grid->steps) + eval_samples_of(&m.one, grid->steps);
    const EvalGrouping by = {.names = node->u.binary.labels,
                             .count = node->u.binary.label_count,
                             .without = !m.ast->u.binary.on};
    eval_groups_init(&m.groups, &by, &eval->arena);
    m.many_group = groups_of(&m, &m.many);
    m.one_group = groups_of(&m, &m.one);
    find_active(&m);
    find_members(&m);
    TRY_OUT(match_all(&m, err));
    TRY_OUT(result(&m, out, err));
    eval_samples_drop(eval, before);
    TRY_OUT(eval_samples_add(eval, eval_samples_of(out, grid->steps), err));
out:
    eval_groups_deinit(&m.groups);
    mem_free(m.results);
    mem_free(m.slots);
    return st;
}
