// SPDX-License-Identifier: Apache-2.0
//
// Values of one column as another type, where that loses nothing: integers into integers that hold
// them, integers into DOUBLE (rounded when above 2^53, as SQL does), FLOAT into DOUBLE. Pure
// functions.
#pragma once

#include "column/vector.h"

bool coerce_is_possible(ColumnType from, ColumnType to);

// `v` as `to`; `v` itself when it is of that type. What is not shared with `v` lives in `arena`.
// ERR_INVALID  the types do not go together, or a value does not fit
Status coerce_vector(const Vector *v, ColumnType to, Arena *arena, Vector *out, Err *err);
