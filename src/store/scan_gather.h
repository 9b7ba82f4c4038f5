// SPDX-License-Identifier: Apache-2.0
//
// Picking rows out of vectors. The form is kept: of runs, whole runs are dropped; of dictionaries,
// only codes are copied; so a filter costs per run where the data has runs. Pure functions.
#pragma once

#include "column/vector.h"

// Which rows of a batch are wanted: one bit per row, LSB first.
enum { SELECTION_ROWS_MAX = 1 << 20 };

static inline size_t selection_words(uint32_t row_count)
{
    return ((size_t)row_count + 63) / 64;
}

// Sets the first `row_count` bits and clears the rest of the last word.
void gather_selection_fill(uint64_t *selection, uint32_t row_count);
uint32_t gather_selection_count(const uint64_t *selection, uint32_t row_count);
// Writes the numbers of the chosen rows, ascending; returns how many.
uint32_t gather_selection_rows(const uint64_t *selection, uint32_t row_count, uint32_t *rows);

// Rows rows[0..count) of `v`, ascending. What is not shared with `v` lives in `arena`.
Vector gather_vector(const Vector *v, const uint32_t *rows, uint32_t count, Arena *arena);
