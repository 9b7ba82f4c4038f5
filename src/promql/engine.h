// SPDX-License-Identifier: Apache-2.0
//
// The PromQL engine: expressions over the series of a store. Semantics are Prometheus 3's
// (promql/engine.go), the work is not: range queries are evaluated series by series over all steps,
// an aggregation streams (memory O(groups × steps)), and series are taken by several threads. Any
// thread; each query has a thread that calls and helpers of its own.
#pragma once

#include "promql/functions.h"
#include "query/series_scan.h"
#include "query/watch.h"
#include "store/store.h"

enum {                              // defaults, by Prometheus' flag names
    PROMQL_MAX_SAMPLES = 50000000,  // --query.max-samples
    PROMQL_TIMEOUT_MS = 120000,     // --query.timeout
    PROMQL_MAX_CONCURRENCY = 20,    // --query.max-concurrency
    PROMQL_LOOKBACK_MS = 300000,    // --query.lookback-delta
    PROMQL_MAX_STEPS = 11000,       // points per series of a range query
    PROMQL_MAX_WAITING = 1000,      // queries that wait for their turn
    PROMQL_DEFAULT_STEP_MS = 60000, // of subqueries without one
};

typedef struct PromqlEngine PromqlEngine;

typedef struct PromqlOptions {
    Store *store;
    QueryWatch *watch; // may be NULL: no timeout
    Os *os;
    PromqlFeatures features;
    uint64_t samples_max;
    uint64_t series_max;               // of a result or a selector; 0: none
    uint64_t memory_max_bytes;         // of one query; 0: none
    uint32_t concurrency_max, threads; // threads of one query; 0: cores
    int64_t timeout_ms, lookback_ms;
    int64_t default_step_ms; // of subqueries without one: 60000
} PromqlOptions;

PromqlFeatures promql_engine_features(const PromqlEngine *engine);

// Zeros in options mean the defaults.
PromqlEngine *promql_engine_new(const PromqlOptions *options);
void promql_engine_free(PromqlEngine *engine); // after its queries; accepts NULL

typedef struct PromqlQuery {
    Str text;
    bool is_range; // else instant: start_ms alone
    int64_t start_ms, end_ms, step_ms;
    int64_t lookback_ms, timeout_ms;  // 0: the engine's
    bool stats;                       // per step as well
    bool no_pruning, no_hot, no_cold; // for tests
    bool (*is_abandoned)(void *ctx);  // the client is gone; may be NULL
    void *abandoned_ctx;
} PromqlQuery;

typedef enum PromqlFailure { // the HTTP API's errorType
    PROMQL_BAD_DATA,         // 400
    PROMQL_EXECUTION,        // 422
    PROMQL_CANCELED,         // 499
    PROMQL_TIMED_OUT,        // 503
    PROMQL_INTERNAL,         // 500
    PROMQL_BUSY,             // 503: unavailable
} PromqlFailure;

typedef struct PromqlPoint {
    int64_t time_ms;
    double value;
    const Histogram *histogram;
} PromqlPoint;

typedef struct PromqlResultSeries {
    LabelSet labels;
    const PromqlPoint *points; // ascending; of a VECTOR one; never none
    size_t count;
} PromqlResultSeries;

typedef struct PromqlStats {
    uint64_t total_samples, peak_samples; // as Prometheus' samples stats
    const uint64_t *samples_per_step;     // stats=all; one per step
    uint32_t steps;
    int64_t start_ms, step_ms; // of the first step, and between two
    int64_t parse_ns, queue_ns, prepare_ns, eval_ns, sort_ns, total_ns;
    ScanStats scan;
    uint64_t series;
} PromqlStats;

typedef struct PromqlResult {
    PromqlType type; // range queries: MATRIX always
    const PromqlResultSeries
        *series; // instant vectors in the order sort() or topk() gave; matrices sorted by labels
    size_t count;
    PromqlPoint scalar;
    Str text;
    const Str *warnings, *infos; // at most 10 of each and one that says how many more
    size_t warning_count, info_count;
    PromqlStats stats;
    Arena *arena; // owns it all
} PromqlResult;

// On failure *failure says what kind, and err the message Prometheus would give ("query processing
// would load too many samples into memory in query execution").
Status promql_run(PromqlEngine *engine, const PromqlQuery *query, PromqlResult **out,
                  PromqlFailure *failure, Err *err);
void promql_result_free(PromqlResult *result); // accepts NULL

// What would be read, for --explain: the tree, and for each selector files, row groups, pages,
// columns and rows (pruned and read), as text. Runs the selectors.
Status promql_explain(PromqlEngine *engine, const PromqlQuery *query, Buf *out, Err *err);
