// SPDX-License-Identifier: Apache-2.0
//
// The same query, told its time: every selector and subquery that has no `@` gets one, so that it
// must give the same result whenever it is evaluated. Pure, any thread.
#pragma once

#include "base/buf.h"
#include "promql/parse.h"

// Appends the expression as it is printed with `@ time_ms` in it. False, and nothing appended,
// where that would change what it means (time() and its like), or it does not parse.
bool at_modifier_print(Str expr, const PromqlFeatures *features, int64_t time_ms, Buf *out);
