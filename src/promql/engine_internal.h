// SPDX-License-Identifier: Apache-2.0
//
// What engine.c, engine_result.c and engine_explain.c share: how an evaluation becomes a result.
#pragma once

#include "promql/eval_internal.h"

PromqlResult *engine_result_new(void);
// Takes the names off that were to go at the end.
void engine_clean_names(Eval *eval, PromqlMatrix *matrix);
// Copies what was evaluated into the result; the eval may end then.
Status engine_result_fill(Eval *eval, PromqlMatrix *matrix, const PromqlGrid *grid,
                          PromqlResult *result, Err *err);
// Annotations, counters and figures of the scans. `text` is that of the expression.
void engine_result_stats(Eval *eval, Str text, PromqlResult *result);
// The plan as a tree, and what its scans have read; before the eval ends.
void engine_explain(const Eval *eval, const PlanNode *plan, const PromqlResult *result, Buf *out);
