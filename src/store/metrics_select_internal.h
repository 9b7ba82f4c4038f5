// SPDX-License-Identifier: Apache-2.0
//
// What scans and sorted runs have in common: how the columns of a schema map to labels, and which
// series of a window meet the tests on labels. For the hot tier's own files.
#pragma once

#include "store/metrics_hot_internal.h"
#include "store/scan.h"

typedef enum MetricsFieldKind {
    METRICS_FIELD_TIMESTAMP,
    METRICS_FIELD_VALUE,
    METRICS_FIELD_DATE,
    METRICS_FIELD_LABEL,  // metric_name and the label columns
    METRICS_FIELD_LABELS, // the map of the others
    METRICS_FIELD_HISTOGRAM,
    METRICS_FIELD_START,
} MetricsFieldKind;

typedef struct MetricsLayout {
    size_t field_count;
    MetricsFieldKind *kinds; // by field
    uint32_t *columns;       // by field: of the directory; METRICS_COLUMN_NONE: no series has it
    bool is_field[METRICS_COLUMNS_MAX]; // columns that are not belong to `labels`
} MetricsLayout;

// Call it after the series were counted: labels that come up later may have no column in it.
// ERR_INVALID  a field of the wrong type
Status metrics_layout_init(MetricsLayout *layout, MetricsDirectory *directory, const Schema *schema,
                           Err *err);
void metrics_layout_deinit(MetricsLayout *layout); // accepts a zeroed one

// The series of a window that meet the tests.
typedef struct MetricsSelection {
    uint32_t limit;   // series of the registry when it was made; what is above is not looked at
    uint32_t *series; // NULL: all below limit. They may be without samples in the window.
    uint32_t count;
} MetricsSelection;

// How much of a registry belongs to a reader that looks at it without the lock.
typedef struct MetricsBounds {
    uint32_t series_count;
    uint32_t shape_count;
    uint32_t *shape_series; // by shape: series it had; NULL when not asked for
} MetricsBounds;

// The bounds of a window's registry now (or when it was sealed).
void metrics_bounds_init(MetricsBounds *bounds, const MetricsWindow *window, bool with_shapes);
void metrics_bounds_deinit(MetricsBounds *bounds);

// Tests on fields that are not labels are ignored.
void metrics_select(const MetricsWindow *window, const MetricsLayout *layout, const ScanTest *tests,
                    size_t test_count, MetricsSelection *out);
void metrics_selection_deinit(MetricsSelection *selection); // accepts a zeroed one

// The range of timestamps that tests on `timestamp` and `date` allow, in µs, both ends inclusive.
void metrics_select_times(const MetricsLayout *layout, const ScanTest *tests, size_t test_count,
                          int64_t *min_us, int64_t *max_us);

// The code of a series for a column: METRICS_CODE_NONE when it does not have the label.
static inline uint32_t metrics_select_code(const MetricsShape *shape, const uint32_t *codes,
                                           uint32_t stride, uint32_t column)
{
    for (uint32_t k = 0; k < shape->label_count; k++) {
        if (shape->labels[k].column == column) {
            return codes[(size_t)k * stride];
        }
    }
    return METRICS_CODE_NONE;
}

// The labels of a series that are not fields of the layout, sorted by name: what `labels` holds.
// `keys` and `values` have room for LABELS_COUNT_MAX; returns how many there are.
size_t metrics_select_map(const MetricsRegistry *registry, const MetricsLayout *layout,
                          uint32_t series, Str *keys, Str *values);
