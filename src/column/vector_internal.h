// SPDX-License-Identifier: Apache-2.0
//
// Shared by the vector*.c files of this module only.
#pragma once

#include "column/vector.h"

// Value i of `a` and value k of `b`, both FLAT, of one type and not null, are the same.
bool vector_value_equal(const Vector *a, uint32_t i, const Vector *b, uint32_t k);
// Row i of `a` and row k of `b`, of any form and of one type: both null, or the same value.
bool vector_row_equal(const Vector *a, uint32_t i, const Vector *b, uint32_t k);
