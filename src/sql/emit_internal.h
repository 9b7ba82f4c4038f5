// SPDX-License-Identifier: Apache-2.0
//
// What emit.c and emit_map.c share.
#pragma once

#include "sql/emit.h"

typedef struct EmitColumn {
    const Vector *dict;    // what `entries` was made of
    duckdb_vector entries; // its values, and a NULL behind them; NULL: none
    uint32_t run;          // RUNS: the run that holds the next row
} EmitColumn;

struct Emitter {
    EmitOptions options;
    EmitColumn *columns; // of the chunks
    const Batch *batch;  // NULL: none yet
    uint32_t at;         // its next row
    duckdb_selection_vector selection;
    uint32_t *rows; // of `selection`: room for EMIT_ROWS_MAX
    uint32_t
        *label_runs; // RUNS: of each label, then of the MAP itself, the run that holds the next row
};

duckdb_string_t emit_string(Str s); // not copied when longer than 12 bytes
// Nulls of rows [from, from + count) of a FLAT vector; `validity` may be NULL.
void emit_validity(const uint64_t *validity, uint32_t from, uint32_t count, duckdb_vector out);

// emit_map.c: column `i`, which is a MAP.
void emit_map(Emitter *e, size_t i, uint32_t count, duckdb_vector out);
