// SPDX-License-Identifier: Apache-2.0
//
// What opening (hot_series.c) and reading (hot_series_read.c) of HotSeries share.
#pragma once

#include "store/hot_series.h"
#include "store/metrics_extra_internal.h"
#include "store/metrics_select_internal.h"
#include "store/scan_internal.h"

enum { HOT_SLICE_SERIES = 8192 }; // handed out at once

// A matcher as it is in one window.
typedef struct HotMatcher {
    const Matcher *matcher;
    bool if_absent;  // what it says of series without the label
    uint32_t column; // of the shapes that have the label; they agree
    // When the values that match are known: the one code there is, or METRICS_CODE_NONE and an
    // answer per code (NULL: no code matches).
    bool is_listed;
    uint32_t only;
    uint8_t *listed;
} HotMatcher;

// A shape whose series may match.
typedef struct HotShape {
    const MetricsShape *shape;
    uint32_t end; // of its series in the numbering of the window
    uint32_t *at; // by matcher: label of the shape, or HOT_ABSENT
} HotShape;

#define HOT_ABSENT UINT32_MAX

typedef struct HotWindow {
    MetricsWindow *window; // the snapshot's
    uint32_t age;          // greater: newer
    MetricsBounds bounds;  // while it is opened
    HotSeriesSet set;
    uint32_t series_limit;
    uint32_t *dict_counts; // by column: entries when it was opened; the last is `rest`'s
    HotMatcher *matchers;
    HotShape *shapes;
    uint32_t shape_count;
    uint32_t series_count; // of the shapes together
    _Atomic uint32_t next; // series handed out; relaxed, slices only have to differ
} HotWindow;

struct HotSeries {
    Snapshot *snapshot;
    HotSeriesOptions options;
    LabelsKey key;
    uint32_t column_count; // of the directory when it was opened
    Arena arena;
    HotWindow *windows;
    size_t window_count;
    // Windows that workers have begun with, by set; relaxed: it only spreads them.
    _Atomic uint32_t begun[2];
    atomic_uint_fast64_t rows; // relaxed: a figure
};

bool hot_series_asks(const HotSeries *hot, Str label);
