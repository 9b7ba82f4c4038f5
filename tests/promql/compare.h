// SPDX-License-Identifier: Apache-2.0
//
// Is a result what a script expects? By the rules of Prometheus' promqltest: values within a
// relative error of 1e-6, NaN equals NaN but not a stale marker, histograms by their buckets that
// are not empty, counter reset hints only where the script names them. Pure functions, any thread.
#pragma once

#include "promql/engine.h"
#include "tests/promql/script.h"

// False, and what differs appended to `why`.
bool compare_result(const ScriptEval *eval, const PromqlResult *result, Buf *why);
// What an instant query gave, against the step at `time_ms` of the range query around it.
bool compare_middle(const ScriptEval *eval, const PromqlResult *instant, const PromqlResult *range,
                    int64_t time_ms, Buf *why);
bool compare_notes(const ScriptEval *eval, const PromqlResult *result, Buf *why);
// Of a query that failed with `message`, and was expected to.
bool compare_failure(const ScriptEval *eval, Str message, Buf *why);

bool compare_almost_equal(double a, double b);
