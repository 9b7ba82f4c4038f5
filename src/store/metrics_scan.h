// SPDX-License-Identifier: Apache-2.0
//
// MetricsScan: the rows of one hot window as they lie, without sorting series: what SQL reads. For
// `store` only. Tests on labels are answered once per dictionary value, then per series; the time
// range per series; rows are only copied. Series with late samples come sorted and without
// duplicates; duplicates *between* windows are the caller's: when a window says overlap_series >
// 0, use a MetricsRun over all of them.
//
// The scan of an active window takes the shard's lock for a slice of series at a time. Several
// workers may take batches of one scan, each with its own MetricsScanWorker. Dictionaries are
// copied once per scan and column, and stay valid until the scan is closed.
#pragma once

#include "store/metrics_hot.h"
#include "store/scan.h"

enum {
    METRICS_SCAN_ROWS_MAX = 65536, // of one batch
    METRICS_SCAN_SLICE_SERIES = 1024,
};

typedef struct MetricsScan MetricsScan;
typedef struct MetricsScanWorker MetricsScanWorker;

typedef struct MetricsScanOptions {
    MetricsWindow *window; // the scan takes a reference of its own
    const Schema *schema;  // of the table as the query sees it, see MetricsRunOptions; borrowed
    const size_t *columns; // to read, in this order; copied
    size_t column_count;
    const ScanTest *tests; // on any column of the schema; copied, values too
    size_t test_count;
} MetricsScanOptions;

// Opening is cheap but for tests on labels: these look at the dictionaries and series of the shard.
Status metrics_scan_open(const MetricsScanOptions *options, MetricsScan **out, Err *err);
void metrics_scan_close(MetricsScan *scan);                  // after its workers; accepts NULL
uint64_t metrics_scan_series_count(const MetricsScan *scan); // that meet the tests on labels

MetricsScanWorker *metrics_scan_worker_new(MetricsScan *scan);
void metrics_scan_worker_free(MetricsScanWorker *worker); // accepts NULL
// The next batch, at most METRICS_SCAN_ROWS_MAX rows; row_count 0 at the end. Valid until the next
// call with this worker.
Status metrics_scan_next(MetricsScanWorker *worker, Batch *out, Err *err);
