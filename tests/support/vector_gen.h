// SPDX-License-Identifier: Apache-2.0
//
// Seeded columns of every type, form and shape, for whoever has to write or read all of them: the
// tests of the Parquet writer, and parquet_gen, whose files other readers are tried on. The same
// seed gives the same column.
#pragma once

#include "base/rng.h"
#include "column/vector.h"

typedef enum VectorShape {
    SHAPE_CONSTANT,
    SHAPE_FEW,    // at most 20 values, in any order
    SHAPE_WALK,   // integers, integral floats, counted names: each close to the one before
    SHAPE_SORTED, // ascending
    SHAPE_RANDOM, // any bits: extremes, NaN with payloads, infinities, -0.0, empty texts
    SHAPE_LONG,   // as RANDOM, with texts of up to 3,000 bytes now and then
    SHAPE_COUNT,
} VectorShape;

typedef struct VectorGen {
    ColumnType type;
    VectorForm form;
    VectorShape shape;
    uint32_t row_count;
    uint32_t null_one_in; // 0: no nulls, 1: nothing else
    bool no_nan;
} VectorGen;

Vector vector_gen(Rng *rng, const VectorGen *gen, Arena *arena);

// "few_dict_string" and the like; lives in `arena`.
Str vector_gen_name(const VectorGen *gen, Arena *arena);
