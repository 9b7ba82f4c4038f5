// SPDX-License-Identifier: Apache-2.0
#include "codec/hash_stream.h"

#include "base/mem.h"

#include <xxhash.h>

struct HashStream {
    XXH3_state_t *state;
};

HashStream *hash_stream_new(void)
{
    HashStream *h = mem_new(HashStream, 1);
    h->state = XXH3_createState();
    ASSERT(h->state != NULL);
    (void)XXH3_64bits_reset(h->state);
    return h;
}

void hash_stream_free(HashStream *h)
{
    if (h != NULL) {
        (void)XXH3_freeState(h->state);
        mem_free(h);
    }
}

void hash_stream_update(HashStream *h, Bytes b)
{
    if (b.len != 0) {
        (void)XXH3_64bits_update(h->state, b.ptr, b.len);
    }
}

uint64_t hash_stream_digest(const HashStream *h)
{
    return XXH3_64bits_digest(h->state);
}
