// SPDX-License-Identifier: Apache-2.0
//
// Binary operators on two samples.
#include "promql/eval_internal.h"

#include <math.h>

bool eval_operator_is_arithmetic(PromqlOp op)
{
    return op <= PROMQL_ATAN2; // they come first
}

bool eval_operator_is_comparison(PromqlOp op)
{
    return op >= PROMQL_EQ && op <= PROMQL_GE;
}

bool eval_operator_compare(PromqlOp op, double left, double right)
{
    if (op == PROMQL_EQ) {
        return left == right;
    }
    if (op == PROMQL_NE) {
        return left != right;
    }
    if (op == PROMQL_LT) {
        return left < right;
    }
    if (op == PROMQL_LE) {
        return left <= right;
    }
    return op == PROMQL_GT ? left > right : left >= right;
}

double eval_operator_floats(PromqlOp op, double left, double right)
{
    switch (op) {
    case PROMQL_ADD:
        return left + right;
    case PROMQL_SUB:
        return left - right;
    case PROMQL_MUL:
        return left * right;
    case PROMQL_DIV:
        return left / right;
    case PROMQL_MOD:
        return fmod(left, right);
    case PROMQL_POW:
        return pow(left, right);
    case PROMQL_ATAN2:
        return atan2(left, right);
    case PROMQL_EQ:
    case PROMQL_NE:
    case PROMQL_LT:
    case PROMQL_LE:
    case PROMQL_GT:
    case PROMQL_GE:
        return eval_operator_compare(op, left, right) ? 1 : 0;
    case PROMQL_AND:
    case PROMQL_OR:
    case PROMQL_UNLESS:
    case PROMQL_TRIM_UPPER:
    case PROMQL_TRIM_LOWER:
    case PROMQL_STEP:
    case PROMQL_RANGE_LENGTH:
    case PROMQL_MIN_OF:
    case PROMQL_MAX_OF:
        break;
    }
    UNREACHABLE(); // the parser has checked operators against types
}

static EvalOutcome incompatible(const EvalOperator *o, bool left, bool right)
{
    const char *op = promql_op_text(o->op);
    const char *kinds[] = {"float", "histogram"};
    promql_note(o->notes, PROMQL_INFO, o->pos,
                "incompatible sample types encountered for binary operator \"%s\": %s %s %s", op,
                kinds[left], op, kinds[right]);
    return EVAL_NOTHING;
}

static EvalOutcome kept(const EvalOperator *o, const Histogram *h, PromqlSample *out)
{
    *out = (PromqlSample){.histogram = histogram_compact(h, 0, o->arena)};
    return EVAL_KEPT;
}

static EvalOutcome histogram_and_float(const EvalOperator *o, const Histogram *left, double right,
                                       PromqlSample *out)
{
    if (o->op == PROMQL_MUL) {
        return kept(o, histogram_mul(left, right, o->arena), out);
    }
    if (o->op == PROMQL_DIV) {
        return kept(o, histogram_div(left, right, o->arena), out);
    }
    if (o->op == PROMQL_TRIM_UPPER || o->op == PROMQL_TRIM_LOWER) {
        const bool upper = o->op == PROMQL_TRIM_LOWER; // what is kept
        *out = (PromqlSample){.histogram = histogram_trim(left, right, upper, o->arena)};
        return EVAL_KEPT;
    }
    return incompatible(o, true, false);
}

static EvalOutcome two_histograms(const EvalOperator *o, const Histogram *left,
                                  const Histogram *right, PromqlSample *out)
{
    const bool add = o->op == PROMQL_ADD;
    const char *what = add ? "addition" : "subtraction";
    int problems = HISTOGRAM_FINE;
    if (o->op == PROMQL_EQ || o->op == PROMQL_NE) {
        *out = (PromqlSample){.histogram = left};
        return histogram_equal(left, right) == (o->op == PROMQL_EQ) ? EVAL_KEPT : EVAL_FILTERED;
    }
    if (!add && o->op != PROMQL_SUB) {
        return incompatible(o, true, true);
    }
    const Histogram *h = add ? histogram_add(left, right, o->arena, &problems)
                             : histogram_sub(left, right, o->arena, &problems);
    if (h == NULL) {
        promql_note(o->notes, PROMQL_WARNING, o->pos,
                    "incompatible bucket layout encountered for binary operator %s",
                    promql_op_text(o->op));
        return EVAL_NOTHING;
    }
    if ((problems & HISTOGRAM_BOUNDS_RECONCILED) != 0) {
        promql_note(o->notes, PROMQL_INFO, o->pos,
                    "mismatched custom buckets were reconciled during %s", what);
    }
    if (!add) {
        h = histogram_with_hint(h, HISTOGRAM_HINT_GAUGE, o->arena);
    }
    (void)kept(o, h, out);
    if ((problems & HISTOGRAM_HINT_COLLISION) != 0) {
        promql_note(o->notes, PROMQL_WARNING, o->pos,
                    "conflicting counter resets during histogram %s", what);
        return EVAL_WARNED;
    }
    return EVAL_KEPT;
}

EvalOutcome eval_operator_apply(const EvalOperator *o, PromqlSample left, PromqlSample right,
                                PromqlSample *out)
{
    if (left.histogram != NULL) {
        return right.histogram != NULL ? two_histograms(o, left.histogram, right.histogram, out)
                                       : histogram_and_float(o, left.histogram, right.value, out);
    }
    if (right.histogram != NULL) {
        return o->op == PROMQL_MUL
                   ? kept(o, histogram_mul(right.histogram, left.value, o->arena), out)
                   : incompatible(o, false, true);
    }
    if (eval_operator_is_comparison(o->op)) {
        *out = (PromqlSample){.value = left.value};
        return eval_operator_compare(o->op, left.value, right.value) ? EVAL_KEPT : EVAL_FILTERED;
    }
    if (!eval_operator_is_arithmetic(o->op)) {
        return incompatible(o, false, false);
    }
    *out = (PromqlSample){.value = eval_operator_floats(o->op, left.value, right.value)};
    return EVAL_KEPT;
}
