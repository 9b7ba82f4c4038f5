// SPDX-License-Identifier: Apache-2.0
//
// For tests of this module: random vectors of any type and form.
#pragma once

#include "column/vector.h"
#include "tests/support/test.h"

// A vector that passes vector_validate(), with nulls in some. Lives in the arena of the test.
Vector vectors_random(Test *t, ColumnType type, VectorForm form, uint32_t row_count);
