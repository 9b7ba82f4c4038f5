// SPDX-License-Identifier: Apache-2.0
//
// Vector: the values of one column for a range of rows, in the form they came in: one by one
// (FLAT), as codes into a dictionary (DICT), or as runs (RUNS). Everything between the hot tier,
// the Parquet codec and the query engines speaks Vectors, so that a label that is constant over a
// million rows stays one run from memory to disk and back.
//
// A Vector is a view: it owns nothing and is valid as long as the arena, chunk or file page it
// points into. It is immutable once built and may be read from any thread.
//
//   FLAT  row i is element i of `data` (fixed-size types; BOOL is one byte, 0 or 1), or
//         bytes[offsets[i], offsets[i+1]) (STRING, BINARY), or
//         keys/values[offsets[i], offsets[i+1]) (MAP; `keys` and `values` are FLAT or DICT
//         STRING; the keys of a row ascend strictly)
//   DICT  row i is element codes[i] of `dict`, which is FLAT and has no nulls. Codes of null rows
//         are any valid code, or 0 when the dictionary is empty. A dictionary need not be sorted,
//         and may hold values that no row uses; it holds no value twice.
//   RUNS  rows [run_ends[k-1], run_ends[k]) (run_ends[-1] = 0) are element k of `runs`, which is
//         FLAT or DICT and has run_count rows. run_ends ascend strictly; the last is row_count.
//
// validity: bit i (LSB first) of word i/64 is 1 when row i is not null; NULL when no row is null.
// It belongs to the form: for RUNS the nulls are those of `runs`, and `validity` is NULL.
// Null rows of FLAT data hold unspecified bytes (but valid offsets).
#pragma once

#include "column/types.h"

typedef enum VectorForm { VECTOR_FLAT, VECTOR_DICT, VECTOR_RUNS } VectorForm;

typedef struct Vector Vector;
struct Vector {
    ColumnType type;
    VectorForm form;
    uint32_t row_count;
    uint32_t run_count;       // RUNS
    const uint64_t *validity; // FLAT, DICT
    const void *data;         // FLAT, fixed size
    const uint32_t *offsets;  // FLAT STRING, BINARY, MAP: row_count + 1, ascending
    const uint8_t *bytes;     // FLAT STRING, BINARY
    const Vector *keys;       // FLAT MAP: at least offsets[row_count] rows, no nulls
    const Vector *values;     // FLAT MAP: same number of rows; may hold nulls
    const uint32_t *codes;    // DICT
    const Vector *dict;       // DICT
    const uint32_t *run_ends; // RUNS
    const Vector *runs;       // RUNS
};

// A batch: the same rows of several columns. columns[i] belongs to schema->fields[i].
typedef struct Batch {
    const Schema *schema;
    const Vector *columns;
    uint32_t row_count;
} Batch;

static inline bool validity_get(const uint64_t *validity, size_t i)
{
    return validity == NULL || (validity[i >> 6] >> (i & 63) & 1) != 0;
}

static inline void validity_set(uint64_t *validity, size_t i, bool valid)
{
    const uint64_t bit = UINT64_C(1) << (i & 63);
    validity[i >> 6] = valid ? validity[i >> 6] | bit : validity[i >> 6] & ~bit;
}

// Element i of a FLAT STRING or BINARY vector.
static inline Str vector_flat_str(const Vector *v, size_t i)
{
    return (Str){.ptr = (const char *)v->bytes + v->offsets[i],
                 .len = v->offsets[i + 1] - v->offsets[i]};
}

// Finds row `row` through runs and dictionary: *flat and *index say where its value is. Returns
// false when the row is null. O(log run_count) for RUNS: for single rows and tests, not for loops.
bool vector_locate(const Vector *v, uint32_t row, const Vector **flat, uint32_t *index);

// The same rows as FLAT. `arena` gets what has to be copied; a FLAT vector is returned as it is.
// Flat strings can be far larger than their dictionary: v's vector_flat_bytes() is at most
// UINT32_MAX, which whoever has rows from outside checks first.
Vector vector_flatten(const Vector *v, Arena *arena);

// Bytes that the strings of all rows take together when each row has its own (STRING, BINARY), or
// how many entries (MAP); 0 for other types.
uint64_t vector_flat_bytes(const Vector *v);

// Rows rows[0..count) of `v`, in that order, possibly repeated: DICT, sharing the dictionary, or
// FLAT. The limit of vector_flatten() holds for what is taken.
Vector vector_take(const Vector *v, const uint32_t *rows, uint32_t count, Arena *arena);

// Rows [from, from + count) of `v`, sharing its memory where the form allows it (validity words
// that are not aligned, and run ends, are copied to `arena`).
Vector vector_slice(const Vector *v, uint32_t from, uint32_t count, Arena *arena);

// A vector in which every row is the same value: one run.
Vector vector_constant_str(ColumnType type, Str value, uint32_t row_count, Arena *arena);
Vector vector_constant_fixed(ColumnType type, const void *value, uint32_t row_count, Arena *arena);
Vector vector_nulls(ColumnType type, uint32_t row_count, Arena *arena);

// Checks everything the comment above promises (codes in range, offsets ascending, ...). For tests,
// fuzzing and the edges; ERR_CORRUPT says what is wrong.
Status vector_validate(const Vector *v, Err *err);

// True when both hold the same values (bits, for floats) in the same rows, whatever their form.
bool vector_equal(const Vector *a, const Vector *b);
