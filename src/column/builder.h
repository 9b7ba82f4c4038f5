// SPDX-License-Identifier: Apache-2.0
//
// Builder: collects rows of one column one value at a time and hands them over as a Vector. Strings
// are dictionary-coded while their number of distinct values stays small (at most
// BUILDER_DICT_VALUES_MAX, and at most half the rows once there are BUILDER_DICT_ROWS_MIN), and
// flat after that. For typed rows, collectors and tests; the metrics path builds its vectors
// itself. One owner, one thread.
#pragma once

#include "column/vector.h"

enum { BUILDER_DICT_VALUES_MAX = 65536, BUILDER_DICT_ROWS_MIN = 1024 };

typedef struct Builder Builder;

Builder *builder_new(ColumnType type);
void builder_free(Builder *b); // accepts NULL
uint32_t builder_row_count(const Builder *b);
uint64_t builder_memory_bytes(const Builder *b);

void builder_null(Builder *b);
void builder_nulls(Builder *b, uint32_t count);
void builder_bool(Builder *b, bool v);
void builder_i64(Builder *b, int64_t v); // any integer, timestamp or date type; must fit it
void builder_u64(Builder *b, uint64_t v);
void builder_f64(Builder *b, double v); // FLOAT or DOUBLE
void builder_str(Builder *b, Str v);    // STRING or BINARY; at most UINT32_MAX bytes in all
void builder_uuid(Builder *b, const uint8_t v[16]);
void builder_map(Builder *b, const Str *keys, const Str *values,
                 size_t count);                   // sorted, unique keys
void builder_append(Builder *b, const Vector *v); // all rows of `v`, of the same type

// The rows so far, FLAT or DICT; borrows from the builder, valid until it is changed or freed.
Vector builder_vector(Builder *b);
void builder_clear(Builder *b); // no rows; keeps memory
