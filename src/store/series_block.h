// SPDX-License-Identifier: Apache-2.0
//
// SeriesBlock: a handful of series as one part of `metrics` has them, column by column. Plain
// data; who hands one out says how long it lasts.
#pragma once

#include "series/identity.h"

typedef struct SeriesBlock {
    uint32_t count;        // series
    const LabelsHash *ids; // NULL: not asked for
    // Labels that were asked for, sorted by name: series k has values[j][k] for names[j], empty
    // when it does not have the label.
    size_t label_count;
    const Str *names;
    Str *const *values;
    // Those that have no column of their own: series k has [map_ends[k-1], map_ends[k]), sorted by
    // name. NULL when no series has any.
    const Label *map_labels;
    const uint32_t *map_ends;
    // Samples of series k: [firsts[k], ends[k]), with times in the range, ascending strictly.
    const uint32_t *firsts, *ends;
    const int64_t *timestamps_ms;
    const double *samples;   // NULL: samples were not asked for
    const Bytes *histograms; // empty for floats; NULL: none
    const int64_t *start_ms; // INT64_MIN where none; NULL: none
} SeriesBlock;
