// SPDX-License-Identifier: Apache-2.0
//
// HashStream: XXH3-64 of bytes that come in pieces; the same value as hash_xxh3_64() of all of them
// with seed 0. One owner, one thread.
#pragma once

#include "base/str.h"

typedef struct HashStream HashStream;
HashStream *hash_stream_new(void);
void hash_stream_free(HashStream *h); // accepts NULL
void hash_stream_update(HashStream *h, Bytes b);
uint64_t hash_stream_digest(const HashStream *h); // of what came so far
