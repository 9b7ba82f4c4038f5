// SPDX-License-Identifier: Apache-2.0
//
// Emitter: rows of a Batch as a DuckDB chunk, in the form they came in. Dictionaries become
// dictionary vectors, made once per dictionary; a run that fills a chunk becomes a constant vector;
// the rest is copied column by column. Strings are not copied: a chunk is good until the batch
// goes, those of dictionaries until the scan is closed, which is what DuckDB's own scans promise to
// its operators.
//
// For `sql` only. One thread of a scan has one.
#pragma once

#include "column/vector.h"

#include <duckdb.h>

enum { EMIT_ROWS_MAX = 2048 }; // of a chunk: duckdb_vector_size()

typedef struct Emitter Emitter;

// A label with a column of its own, to be shown in the MAP of all labels.
typedef struct EmitLabel {
    Str name;
    size_t column; // of the batches
} EmitLabel;

typedef struct EmitOptions {
    size_t column_count; // of the chunks: the first columns of the batches
    // Column `labels_column` of the chunks shows these labels as well as those it holds itself.
    // Ascending by name; borrowed. SIZE_MAX: there is no such column.
    size_t labels_column;
    const EmitLabel *labels;
    size_t label_count;
} EmitOptions;

Emitter *emitter_new(const EmitOptions *options);
void emitter_free(Emitter *e); // accepts NULL

// Rows of `batch` follow, from the first on; it is borrowed until the next call.
void emitter_batch(Emitter *e, const Batch *batch);
uint32_t emitter_rows_left(const Emitter *e); // accepts NULL: 0
// The next `count` rows, at most EMIT_ROWS_MAX and at least 1, which are there.
void emitter_chunk(Emitter *e, uint32_t count, duckdb_data_chunk out);

duckdb_logical_type emit_type(ColumnType type); // to be destroyed by the caller
