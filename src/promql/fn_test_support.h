// SPDX-License-Identifier: Apache-2.0
//
// Calls of functions for tests: a call node with arguments, a window or a matrix, and the notes.
#pragma once

#include "promql/fn_internal.h"
#include "promql/histogram_test_support.h"

typedef struct FnTest {
    Test *t;
    PromqlNode node;
    PromqlNode args[16];
    const PromqlNode *arg_list[16];
    double scalars[16];
    Err err;
    PromqlCall call;
} FnTest;

// A call of `name` with its least number of arguments, at 0..9 of an expression of ten bytes,
// metric "m".
void fn_test_begin(FnTest *f, Test *t, const char *name);
void fn_test_end(FnTest *f); // fails when notes are left
// The only note, without place; "" when there is none. Clears the notes.
const char *fn_test_note(FnTest *f);

// A window (0, 60 s] of floats, 10 s apart from 10 s on: "1 2 _ NaN 5", where _ is nothing and
// {{...}} a histogram.
PromqlWindow fn_test_window(Test *t, const char *samples);
// The result as text: a number, a histogram, or "none".
const char *fn_test_range(FnTest *f, const PromqlWindow *w);
#define CHECK_RANGE(f, samples, want) CHECK_TEXT(fn_test_samples(f, samples), want)
const char *fn_test_samples(FnTest *f, const char *samples); // of fn_test_window()

// A series: labels as `a="1",b="2"` (sorted by the caller), values per step as in a window.
PromqlSeries fn_test_series(Test *t, const char *labels, const char *samples);
// All of the result, a line per series: {labels} value value _ value
const char *fn_test_matrix(FnTest *f, const PromqlMatrix *args, uint32_t steps);
