// SPDX-License-Identifier: Apache-2.0
//
// Plan: an expression made ready for one query. Parentheses are gone, durations and @ are numbers,
// start(), end(), range() and step() are folded, what does not depend on the step is marked, and
// every selector knows which labels are needed of it. Lives in the query's arena; immutable.
#pragma once

#include "promql/functions.h"

typedef enum PlanKind {
    PLAN_NUMBER,
    PLAN_TEXT,
    PLAN_SELECT,
    PLAN_SUBQUERY,
    PLAN_CALL,
    PLAN_AGGREGATE,
    PLAN_BINARY,
    PLAN_NEGATE,
    PLAN_INVARIANT, // its child has the same value at every step
} PlanKind;

typedef struct PlanTime { // a step at t looks at t - offset, or always at at - offset
    int64_t offset_ms;
    bool has_at;
    int64_t at_ms;
} PlanTime;

typedef struct PlanSelect {
    const Matcher *const *matchers;
    size_t matcher_count;
    PlanTime time;
    int64_t range_ms; // 0: instant vector
    bool anchored, smoothed;
    PromqlPos pos;
    bool one_name; // a matcher fixes the metric name
    // Only count and sum of histograms are asked for: Prometheus then tells their resets apart.
    bool only_counts;
    bool all_labels; // else only those of `labels`, sorted
    const Str *labels;
    size_t label_count;
} PlanSelect;

typedef struct PlanNode PlanNode;
struct PlanNode {
    PlanKind kind;
    PromqlType type;
    const PromqlNode *node; // where it comes from
    PromqlPos pos;          // for annotations
    union {
        double number;
        Str text;
        PlanSelect select;
        struct {
            PlanNode *expr;
            int64_t range_ms, step_ms;
            PlanTime time;
        } subquery;
        struct {
            const PromqlFunction *function;
            PlanNode **args;
            size_t arg_count;
        } call;
        struct {
            PromqlAggregate op;
            PlanNode *expr, *param; // param NULL when there is none
            const Str *grouping;    // sorted, unique
            size_t grouping_count;
            bool without;
        } aggregate;
        struct {
            PromqlOp op;
            PlanNode *left, *right;
            const Str *labels; // of on or ignoring; sorted, unique
            size_t label_count;
        } binary;
        PlanNode *child; // NEGATE, INVARIANT
    } u;
};

typedef struct PlanRequest {
    int64_t start_ms, end_ms, step_ms; // step 0: an instant query
    int64_t default_step_ms;           // of subqueries
    bool metadata_labels;              // type and unit labels are looked at
    Arena *arena;
} PlanRequest;

// ERR_INVALID: a duration expression has no value a duration can have.
Status plan_make(const PromqlNode *root, const PlanRequest *request, PlanNode **out, Err *err);
// The node below invariant marks.
const PlanNode *plan_inner(const PlanNode *node);
bool plan_is_function(const PlanNode *node, const char *name);
// Times may be anywhere in 64 bits; sums stop at their ends.
int64_t plan_time_add(int64_t a_ms, int64_t b_ms);
// What a step at t_ms looks at.
int64_t plan_time_of(const PlanTime *time, int64_t t_ms);
