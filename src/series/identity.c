// SPDX-License-Identifier: Apache-2.0
#include "series/identity.h"

#include "codec/hash.h"

uint64_t identity_seed(LabelsKey key, Str name)
{
    return hash_xxh3_64((Bytes){(const uint8_t *)name.ptr, name.len}, key.v);
}

LabelsHash identity_hash(uint64_t seed, Str value)
{
    const Hash128 h = hash_xxh3_128((Bytes){(const uint8_t *)value.ptr, value.len}, seed);
    return (LabelsHash){.lo = h.lo, .hi = h.hi};
}
