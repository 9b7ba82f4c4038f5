// SPDX-License-Identifier: Apache-2.0
//
// Last write wins, between files and hot windows. Samples that may rewrite older ones are kept
// apart when they are written (files tagged `overlap`, series marked in the hot tier), so
// everything else is read without a thought. Where such samples exist in the range of a scan, their
// keys are collected first; then every other part drops the rows of which a newer copy is known.
//
// The key of a row is 128 bits: the sum of a keyed XXH3-128 of each label, wherever the label is
// kept (a column of its own or the `labels` map), mixed with the timestamp. A sum does not depend
// on the order of the columns, and costs one addition per label and run.
//
// Ranks say who is newer; they are small numbers given out by the scan. Filled by one thread, then
// read by any.
#pragma once

#include "column/vector.h"
#include "store/budget.h"

typedef struct SampleKey {
    uint64_t lo, hi;
} SampleKey;

// One column that belongs to the identity of a series: a label, or a MAP of labels.
typedef struct IdentityColumn {
    Str label; // "__name__" for the metric's name; not used for a MAP
    const Vector *vector;
} IdentityColumn;

// Writes the key of each row. `timestamps` has the same rows, TIMESTAMP without nulls. `scratch` is
// used for temporaries.
void dedup_keys(const IdentityColumn *columns, size_t column_count, const Vector *timestamps,
                uint64_t secret, SampleKey *out, Arena *scratch);

typedef struct Dedup Dedup;

Dedup *dedup_new(Budget *budget); // charges it
void dedup_free(Dedup *d);        // accepts NULL

// Notes that the rows exist with rank `rank`; the greatest rank of a key counts.
// ERR_LIMIT  the budget is used up
Status dedup_add(Dedup *d, const SampleKey *keys, uint32_t count, uint32_t rank, Err *err);
uint64_t dedup_key_count(const Dedup *d);

// Clears the bits of rows of which a copy with a greater rank is known. With `must_know`, also of
// rows that are not known with just this rank: they came after the keys were collected.
void dedup_filter(const Dedup *d, const SampleKey *keys, uint32_t count, uint32_t rank,
                  bool must_know, uint64_t *selection);
