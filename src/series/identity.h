// SPDX-License-Identifier: Apache-2.0
//
// Identity of a series for readers: the sum of a keyed XXH3-128 of each of its labels. It does not
// depend on the order in which a part of a table keeps labels, nor where (a column or the `labels`
// map), and it costs an addition per label once the hash of a dictionary entry is known. 128 bits
// of a keyed hash decide, as in the hot tier (decision 0003): labels are not compared. Pure
// functions, any thread.
#pragma once

#include "series/labels.h"

// What values of the label `name` are hashed with.
uint64_t identity_seed(LabelsKey key, Str name);
// Of one label; its value is not empty (a label with an empty value is none and adds nothing).
LabelsHash identity_hash(uint64_t seed, Str value);

static inline void identity_add(LabelsHash *to, LabelsHash h)
{
    to->lo += h.lo;
    to->hi += h.hi;
}
