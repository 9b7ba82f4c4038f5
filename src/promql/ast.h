// SPDX-License-Identifier: Apache-2.0
//
// The tree of a PromQL expression, as Prometheus' parser/ast.go has it. Nodes live in the arena
// given to promql_parse() and are immutable after it.
#pragma once

#include "series/matcher.h"

enum {
    PROMQL_EXPR_BYTES_MAX = 1 << 20,
    PROMQL_DEPTH_MAX = 1000,  // of the tree: 1 + 2 + 3 is one deeper than 1 + 2
    PROMQL_NESTING_MAX = 250, // of parentheses, calls and signs within each other
    PROMQL_NODES_MAX = 100000,
};

typedef enum PromqlType { // of a value, also as documented: "scalar", "instant vector", ...
    PROMQL_SCALAR,
    PROMQL_VECTOR,
    PROMQL_MATRIX,
    PROMQL_STRING,
    PROMQL_NONE,
} PromqlType;

typedef struct PromqlPos {
    uint32_t start, end; // bytes of the expression
} PromqlPos;

typedef enum PromqlNodeKind {
    PROMQL_NUMBER,
    PROMQL_TEXT,
    PROMQL_SELECTOR, // instant vector selector
    PROMQL_RANGE,    // range vector selector: selector[5m]
    PROMQL_SUBQUERY,
    PROMQL_CALL,
    PROMQL_AGGREGATE,
    PROMQL_BINARY,
    PROMQL_UNARY,
    PROMQL_PAREN,
    PROMQL_DURATION_EXPR, // only where a duration stands
} PromqlNodeKind;

typedef enum PromqlOp {
    PROMQL_ADD,
    PROMQL_SUB,
    PROMQL_MUL,
    PROMQL_DIV,
    PROMQL_MOD,
    PROMQL_POW,
    PROMQL_ATAN2,
    PROMQL_EQ,
    PROMQL_NE,
    PROMQL_LT,
    PROMQL_LE,
    PROMQL_GT,
    PROMQL_GE,
    PROMQL_AND,
    PROMQL_OR,
    PROMQL_UNLESS,
    PROMQL_TRIM_UPPER,
    PROMQL_TRIM_LOWER, // </ and >/ on native histograms
    // Of duration expressions only (beside + - * / % ^):
    PROMQL_STEP,
    PROMQL_RANGE_LENGTH,
    PROMQL_MIN_OF,
    PROMQL_MAX_OF,
} PromqlOp;

typedef enum PromqlAggregate {
    PROMQL_SUM,
    PROMQL_AVG,
    PROMQL_COUNT,
    PROMQL_MIN,
    PROMQL_MAX,
    PROMQL_GROUP,
    PROMQL_STDDEV,
    PROMQL_STDVAR,
    PROMQL_TOPK,
    PROMQL_BOTTOMK,
    PROMQL_COUNT_VALUES,
    PROMQL_QUANTILE,
    PROMQL_LIMITK,
    PROMQL_LIMIT_RATIO,
} PromqlAggregate;

typedef enum PromqlAtKind {
    PROMQL_AT_NONE,
    PROMQL_AT_TIME,
    PROMQL_AT_START,
    PROMQL_AT_END
} PromqlAtKind;

typedef struct PromqlNode PromqlNode;

typedef struct PromqlTime {        // of a selector or a subquery: when it looks
    int64_t offset_ms;             // `offset 5m` is 300000
    const PromqlNode *offset_expr; // a duration expression that must be evaluated; NULL: offset_ms
    PromqlAtKind at;
    int64_t at_ms;
} PromqlTime;

typedef enum PromqlMatching {
    PROMQL_ONE_TO_ONE,
    PROMQL_MANY_TO_ONE,
    PROMQL_ONE_TO_MANY,
    PROMQL_MANY_TO_MANY
} PromqlMatching;

struct PromqlNode {
    PromqlNodeKind kind;
    PromqlType type; // of its value
    PromqlPos pos;
    union {
        struct {
            double value;
            bool is_duration; // written as 5m; the value in seconds
        } number;
        Str text; // unquoted
        struct {
            Str name;                       // metric name before the braces; empty when none
            const Matcher *const *matchers; // with that of the name; owned by the tree
            size_t matcher_count;
            PromqlTime time;
            bool anchored, smoothed;
        } selector;
        struct {
            const PromqlNode *selector; // PROMQL_SELECTOR, which has offset and @
            int64_t range_ms;
            const PromqlNode *range_expr; // NULL: range_ms
        } range;
        struct {
            const PromqlNode *expr;
            int64_t range_ms, step_ms; // step 0: the default
            const PromqlNode *range_expr, *step_expr;
            PromqlTime time;
        } subquery;
        struct {
            const struct PromqlFunction *function;
            const PromqlNode *const *args;
            size_t arg_count;
        } call;
        struct {
            PromqlAggregate op;
            const PromqlNode *expr;
            const PromqlNode *param; // of topk, quantile, count_values, ...; else NULL
            const Str *grouping;     // as written
            size_t grouping_count;
            bool without;
        } aggregate;
        struct {
            PromqlOp op;
            const PromqlNode *left, *right;
            bool is_bool;            // comparison with `bool`
            PromqlMatching matching; // of two vectors
            bool on;                 // on(...), else ignoring(...)
            bool has_matching;       // two vectors
            const Str *labels;       // of on or ignoring
            size_t label_count;
            const Str *include; // of group_left or group_right
            size_t include_count;
            bool has_fill_left, has_fill_right;
            double fill_left, fill_right;
        } binary;
        struct {
            bool minus;
            const PromqlNode *expr;
        } unary;
        const PromqlNode *paren;
        struct {
            PromqlOp op; // right is NULL for a sign, both for step() and range()
            const PromqlNode *left, *right;
            bool wrapped; // in parentheses; a number in them has the sign +
        } duration;
    } u;
};

static inline const PromqlNode *promql_node_unwrap(const PromqlNode *node)
{
    while (node->kind == PROMQL_PAREN) {
        node = node->u.paren;
    }
    return node;
}

// Where an annotation about an argument points: inside of its parentheses. Of a subquery
// Prometheus knows no place any more when it has its points; that is the beginning.
static inline PromqlPos promql_node_note_pos(const PromqlNode *node)
{
    node = promql_node_unwrap(node);
    return node->kind == PROMQL_SUBQUERY ? (PromqlPos){0, 0} : node->pos;
}
