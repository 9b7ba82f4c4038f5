// SPDX-License-Identifier: Apache-2.0
//
// Binary operators whose operands are two scalars or two vectors: sets here, arithmetic and
// comparison in eval_match.c. (A vector and a scalar are a stage of a pipe.)
#include "promql/eval_internal.h"

static Status two_scalars(Eval *eval, const PlanNode *node, const PromqlGrid *grid,
                          PromqlMatrix *out, Err *err)
{
    const double *left = NULL;
    const double *right = NULL;
    TRY(eval_scalar(eval, node->u.binary.left, grid, &left, err));
    TRY(eval_scalar(eval, node->u.binary.right, grid, &right, err));
    PromqlSeries *series = arena_new(&eval->arena, PromqlSeries, 1);
    *series = eval_series_new(&eval->arena, grid->steps, false);
    for (uint32_t i = 0; i < grid->steps; i++) {
        series->values[i] = eval_operator_floats(node->u.binary.op, left[i], right[i]);
        eval_set(series->present, i);
    }
    *out = (PromqlMatrix){.type = PROMQL_SCALAR, .series = series, .count = 1};
    return OK;
}

typedef struct Sets { // of and, or, unless
    Eval *eval;
    const PromqlGrid *grid;
    PromqlMatrix left, right;
    EvalGroups groups; // by the labels that match
    uint32_t *left_group, *right_group;
    uint64_t *bits; // by group: the steps at which one side has it
    size_t words;
} Sets;

static uint32_t *groups_of(Sets *s, const PromqlMatrix *matrix)
{
    Arena *arena = &s->eval->arena;
    uint32_t *of = arena_new(arena, uint32_t, matrix->count);
    for (size_t i = 0; i < matrix->count; i++) {
        of[i] = (uint32_t)eval_groups_find(&s->groups, &matrix->series[i].labels, arena);
    }
    return of;
}

static void note_present(Sets *s, const PromqlMatrix *matrix, const uint32_t *group_of)
{
    s->bits = arena_new(&s->eval->arena, uint64_t, s->groups.count * s->words);
    for (size_t i = 0; i < matrix->count; i++) {
        uint64_t *bits = s->bits + group_of[i] * s->words;
        for (size_t word = 0; word < s->words; word++) {
            bits[word] |= matrix->series[i].present[word];
        }
    }
}

// Keeps what is at steps the other side has, or does not have.
static void keep(Sets *s, PromqlMatrix *matrix, const uint32_t *group_of, bool having)
{
    for (size_t i = 0; i < matrix->count; i++) {
        const uint64_t *bits = s->bits + group_of[i] * s->words;
        for (size_t word = 0; word < s->words; word++) {
            matrix->series[i].present[word] &= having ? bits[word] : ~bits[word];
        }
    }
    eval_matrix_compact(matrix, s->grid->steps);
}

static Status unite(Sets *s, PromqlMatrix *out, Err *err)
{
    note_present(s, &s->left, s->left_group);
    keep(s, &s->right, s->right_group, false);
    out->series = arena_new(&s->eval->arena, PromqlSeries, s->left.count + s->right.count);
    out->count = s->left.count + s->right.count;
    if (s->left.count != 0) {
        memcpy(out->series, s->left.series, s->left.count * sizeof(*out->series));
    }
    if (s->right.count != 0) {
        memcpy(out->series + s->left.count, s->right.series, s->right.count * sizeof(*out->series));
    }
    return eval_matrix_merge(s->eval, out, s->grid->steps, EVAL_MERGE, err);
}

static Status two_sets(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                       Err *err)
{
    Sets s = {.eval = eval, .grid = grid, .words = eval_words(grid->steps)};
    Status st = OK;
    TRY(eval_node(eval, node->u.binary.left, grid, &s.left, err));
    TRY(eval_node(eval, node->u.binary.right, grid, &s.right, err));
    const uint64_t before =
        eval_samples_of(&s.left, grid->steps) + eval_samples_of(&s.right, grid->steps);
    const EvalGrouping by = {.names = node->u.binary.labels,
                             .count = node->u.binary.label_count,
                             .without = !node->node->u.binary.on};
    eval_groups_init(&s.groups, &by, &eval->arena);
    s.left_group = groups_of(&s, &s.left);
    s.right_group = groups_of(&s, &s.right);
    if (node->u.binary.op == PROMQL_OR) {
        TRY_OUT(unite(&s, out, err));
    } else {
        note_present(&s, &s.right, s.right_group);
        keep(&s, &s.left, s.left_group, node->u.binary.op == PROMQL_AND);
        *out = s.left;
    }
    eval_samples_drop(eval, before);
    TRY_OUT(eval_samples_add(eval, eval_samples_of(out, grid->steps), err));
out:
    eval_groups_deinit(&s.groups);
    return st;
}

Status eval_binary(Eval *eval, const PlanNode *node, const PromqlGrid *grid, PromqlMatrix *out,
                   Err *err)
{
    const PromqlOp op = node->u.binary.op;
    *out = (PromqlMatrix){.type = PROMQL_VECTOR};
    if (node->type == PROMQL_SCALAR) {
        return two_scalars(eval, node, grid, out, err);
    }
    if (op == PROMQL_AND || op == PROMQL_OR || op == PROMQL_UNLESS) {
        return two_sets(eval, node, grid, out, err);
    }
    return eval_match(eval, node, grid, out, err);
}
