// SPDX-License-Identifier: Apache-2.0
//
// Histograms for tests of this module, in and out of the text form of Prometheus' test scripts.
#pragma once

#include "promql/histogram_math.h"
#include "tests/support/test.h"

// {{schema:0 count:3 sum:2 z_bucket:1 buckets:[1 0 1] offset:-1 n_buckets:[..] n_offset:.
// custom_values:[..] counter_reset_hint:gauge}}; fails the test when it is something else.
const Histogram *test_histogram(Test *t, const char *text);
const char *test_histogram_text(Test *t, const Histogram *h); // "" for NULL

#define CHECK_TEXT(got, want) test_check_text(t, __FILE__, __LINE__, (got), (want))
#define CHECK_HISTOGRAM(got, want) CHECK_TEXT(test_histogram_text(t, got), want)
void test_check_text(Test *t, const char *file, int line, const char *got, const char *want);
