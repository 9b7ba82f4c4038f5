// SPDX-License-Identifier: Apache-2.0
//
// Exemplars: samples that carry labels of their own (a trace id). Kept in memory only, the newest
// `cap` of them, as Prometheus keeps them; a restart forgets them. Any thread.
#pragma once

#include "series/labels.h"
#include "series/matcher.h"

enum {
    EXEMPLARS_DEFAULT = 100000,
    EXEMPLAR_LABEL_CHARS_MAX = 128, // of all names and values of one, as OpenMetrics says
};

typedef struct Exemplars Exemplars;

typedef struct Exemplar {
    LabelSet series; // sorted
    LabelSet labels;
    double value;
    int64_t timestamp_ms;
} Exemplar;

Exemplars *exemplars_new(size_t cap);      // 0: none are kept
void exemplars_free(Exemplars *exemplars); // accepts NULL

// Copies it. ERR_INVALID: its labels are too long, or not UTF-8.
Status exemplars_add(Exemplars *exemplars, const Exemplar *exemplar, Err *err);

// Matchers of one selector: all of them must match.
typedef struct ExemplarSelector {
    const Matcher *const *matchers;
    size_t matcher_count;
} ExemplarSelector;

// Those in [min_ms, max_ms] whose series meets one of the selectors: by series, then time, each
// once. In `arena`.
size_t exemplars_select(Exemplars *exemplars, const ExemplarSelector *selectors, size_t count,
                        int64_t min_ms, int64_t max_ms, Arena *arena, const Exemplar **out);
