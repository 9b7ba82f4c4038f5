// SPDX-License-Identifier: Apache-2.0
//
// PromQL text to tree and back. Grammar, checks, error texts and positions are those of Prometheus
// 3 (promql/parser). Pure functions, any thread.
#pragma once

#include "base/buf.h"
#include "promql/ast.h"

// What --enable-feature switches on, by Prometheus' names.
typedef struct PromqlFeatures {
    bool experimental_functions;   // promql-experimental-functions
    bool duration_expressions;     // promql-duration-expr
    bool extended_range_selectors; // promql-extended-range-selectors (anchored, smoothed)
    bool binop_fill_modifiers;     // promql-binop-fill-modifiers
    bool delayed_name_removal;     // promql-delayed-name-removal
    bool type_and_unit_labels;     // type-and-unit-labels
    bool use_start_timestamps;     // use of start timestamps in rate() and its like
} PromqlFeatures;

// Switches on the feature of that name; false when there is none.
bool promql_feature_enable(Str name, PromqlFeatures *features);

typedef struct PromqlExpr PromqlExpr; // owns its arena and its matchers

// ERR_INVALID with Prometheus' text: 1:7: parse error: unexpected end of input in aggregation
Status promql_parse(Str text, const PromqlFeatures *features, PromqlExpr **out, Err *err);
void promql_expr_free(PromqlExpr *expr); // accepts NULL
const PromqlNode *promql_expr_root(const PromqlExpr *expr);
Str promql_expr_text(const PromqlExpr *expr); // the copy that positions refer to

// All vector selectors in it, in order. In `arena`.
size_t promql_expr_selectors(const PromqlExpr *expr, Arena *arena, const PromqlNode *const **out);

// Only a selector's inside: `up{job="x"}` as match[] wants it.
Status promql_parse_selector(Str text, PromqlExpr **out, Err *err);
// 5m, 1h30m, 90 (seconds, when numbers are allowed), as Prometheus' ParseDuration. Milliseconds.
Status promql_parse_duration(Str text, int64_t *out_ms, Err *err);

void promql_print(const PromqlNode *node, Buf *out);        // one line: String()
void promql_print_pretty(const PromqlNode *node, Buf *out); // format_query: Prettify()
void promql_print_json(const PromqlNode *node, Buf *out);   // parse_query: the tree as JSON
void promql_print_duration(int64_t ms, Buf *out);           // 1h30m
const char *promql_type_name(PromqlType type);              // "instant vector" as errors say it
const char *promql_op_text(PromqlOp op);
const char *promql_aggregate_text(PromqlAggregate op);
