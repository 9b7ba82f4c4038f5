// SPDX-License-Identifier: Apache-2.0
//
// For tests of the store: writing samples from text, reading a whole table back as text, and the
// naive version of `metrics` to compare with: one value per (series, timestamp), the last one
// written. Which samples are histograms, or have a start timestamp, and what is in these, follows
// from the value, so that the naive version need not know; reading checks it.
#pragma once

#include "store/scan.h"
#include "store/store.h"
#include "tests/model/sample_kinds.h"
#include "tests/support/test.h"

// --- the naive store -----------------------------------------------------------------------------

typedef struct ModelSample {
    Str series; // `name{a="1",b="2"}`, labels sorted
    int64_t timestamp_ms;
    uint64_t value; // bits
} ModelSample;

typedef struct Model Model;

Model *model_new(void);
void model_free(Model *model); // accepts NULL
void model_put(Model *model, Str series, int64_t timestamp_ms, uint64_t value);
size_t model_count(const Model *model);
// Its samples sorted by series and time; valid until the next put.
const ModelSample *model_samples(Model *model);
const uint64_t *model_get(const Model *model, Str series, int64_t timestamp_ms); // NULL: none

// --- writing -------------------------------------------------------------------------------------

// Collects samples into one MetricsBatch. Samples of one series need not come together.
typedef struct SampleBatch SampleBatch;

SampleBatch *sample_batch_new(void);
void sample_batch_free(SampleBatch *batch);
void sample_batch_clear(SampleBatch *batch);
// `labels` has the metric's name as "__name__"; any order.
void sample_batch_add(SampleBatch *batch, const Label *labels, size_t count, int64_t timestamp_ms,
                      uint64_t value);
size_t sample_batch_count(const SampleBatch *batch);
// From now on samples are written as what their values say (sample_kinds.h), not as floats.
void sample_batch_extend(SampleBatch *batch);
Status sample_batch_write(SampleBatch *batch, Store *store, MetricsResult *result, Err *err);
// Puts all samples into the model, in order.
void sample_batch_apply(const SampleBatch *batch, Model *model);

// Labels -> the text that stands for the series.
Str series_text(const Label *labels, size_t count, Arena *arena);

// --- reading -------------------------------------------------------------------------------------

// All rows of `metrics` that the scan gives, sorted by series and time. `options` may be NULL; its
// columns are ignored.
Status read_samples(Store *store, const ScanOptions *options, Arena *arena, ModelSample **out,
                    size_t *count, Err *err);

// Which samples a comparison is about; NULL: all.
typedef struct SampleFilter {
    bool (*keep)(const void *ctx, const ModelSample *sample);
    const void *ctx;
    bool exact; // the scan may give no others
} SampleFilter;

// Compares what the scan gives, of the samples that the filter keeps, with the model.
Status compare_filtered(Store *store, Model *model, const ScanOptions *options,
                        const SampleFilter *filter, Arena *arena, Str *why, Err *err);

// Compares what the store holds with the model; the first difference is described in *why (in
// `arena`), which is empty when there is none.
Status compare_with_model(Store *store, Model *model, const ScanOptions *options, Arena *arena,
                          Str *why, Err *err);
#define CHECK_MODEL(store, model, options)                                                         \
    do {                                                                                           \
        Str why_;                                                                                  \
        CHECK_OK(compare_with_model((store), (model), (options), &t->arena, &why_, &err));         \
        CHECK_STR(why_, STR(""));                                                                  \
    } while (0)
