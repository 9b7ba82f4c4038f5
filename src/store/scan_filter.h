// SPDX-License-Identifier: Apache-2.0
//
// ScanFilter: tests on columns, made ready to be asked of vectors. A test is answered once per
// dictionary entry or run where the vector has them, so a label that is constant over a million
// rows costs one comparison.
//
// The answer is exact but for NaN, which meets every range and every list: engines disagree on how
// it compares, and the caller checks again. NULL meets SCAN_TEST_IS_NULL and
// what says or_null.
//
// A ScanFilter is immutable once made and may be used by any thread; a FilterCache belongs to one.
#pragma once

#include "base/arena.h"
#include "store/scan.h"

enum { SCAN_TEST_VALUES_MAX = 1 << 20 };

typedef struct FilterTest {
    ScanTest test; // values sorted, without duplicates; bytes copied
    ColumnType type;
} FilterTest;

typedef struct ScanFilter {
    const FilterTest *tests;
    size_t count;
} ScanFilter;

// ERR_INVALID  a column that does not exist, a test on a MAP other than for NULL, too many values
Status filter_compile(const Schema *schema, const ScanTest *tests, size_t count, Arena *arena,
                      ScanFilter *out, Err *err);

// Answers for the entries of the dictionary seen last. Reset it when vectors it has seen may be
// gone.
typedef struct FilterCache {
    const Vector *dict;
    uint8_t *matches; // one per entry
    size_t cap;
    size_t match_count;   // of `matches`
    uint32_t first_match; // the first of them
} FilterCache;

void filter_cache_reset(FilterCache *cache);
void filter_cache_deinit(FilterCache *cache); // accepts a zeroed one

// Clears the bits of `selection` whose rows of `v` do not meet the test. `v` is of the test's type.
// `scratch` is used for temporaries.
void filter_apply(const FilterTest *test, const Vector *v, FilterCache *cache, Arena *scratch,
                  uint64_t *selection);
