// SPDX-License-Identifier: Apache-2.0
//
// For tests of the hot tier of metrics: random batches, and a model that keeps every sample in the
// most naive way, to compare what windows, scans and sorted runs give back.
#pragma once

#include "base/buf.h"
#include "base/strmap.h"
#include "store/metrics_hot.h"
#include "store/metrics_run.h"
#include "store/metrics_scan.h"
#include "tests/model/sample_kinds.h"
#include "tests/support/test.h"

// A row as text: "name\1value\2" for each label in order of names, then the timestamp in µs.
typedef struct Model {
    StrMap rows; // text -> index of values
    double *values;
    size_t value_count, values_cap;
    SampleKinds kinds; // of what was read
} Model;

void model_init(Model *m);
void model_deinit(Model *m);
void model_put(Model *m, Str labels, int64_t us, double value); // the last write wins
// Everything of `from` after everything of `m`.
void model_add(Model *m, const Model *from);

// What a random workload looks like.
typedef struct WorkloadOptions {
    uint32_t series_kinds; // different label sets, roughly
    uint32_t batch_series_max, samples_max;
    bool odd_names; // unicode, case collisions, reserved words, empty values, any order
    bool invalid;   // some series break a rule
    bool disorder;  // late and repeated timestamps
    bool outliers;  // timestamps decades away
    bool extended;  // histograms and start timestamps, see sample_kinds.h
} WorkloadOptions;

// Makes a random batch, appends it, checks what the result says, and notes what was valid in
// `model`.
void workload_append(Test *t, MetricsHot *hot, const WorkloadOptions *options, int64_t now_ms,
                     Model *model);

// The rows of a batch (all columns of the metrics schema needed to tell series apart must be in
// it) go to `model`; fails when a row is there already.
void workload_collect(Test *t, const Batch *batch, Model *model);
// The text of the labels of one row.
Str workload_row_labels(Test *t, const Batch *flat, uint32_t row);
Batch workload_flatten(Test *t, const Batch *batch, Arena *arena);

void model_check_equal(Test *t, const char *what, const Model *got, const Model *want);
