// SPDX-License-Identifier: Apache-2.0
//
// The input is a Histogram message. Oracles: a blob is a message with the same blob; it decodes;
// what is decoded encodes to a blob that decodes to the same; decoding never fails where checking
// went well, and arbitrary bytes only fail.
#include "base/arena.h"
#include "series/histogram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_side(const HistogramSide *side)
{
    uint64_t buckets = 0;
    for (uint32_t i = 0; i < side->span_count; i++) {
        buckets += side->spans[i].length;
    }
    ASSERT(buckets == side->bucket_count);
    ASSERT(side->bucket_count <= HISTOGRAM_BUCKETS_MAX);
}

static bool bits_equal(const double *a, const double *b, size_t count)
{
    return count == 0 || memcmp(a, b, count * sizeof(*a)) == 0;
}

static void check_same(const Histogram *a, const Histogram *b)
{
    ASSERT(a->schema == b->schema && a->hint == b->hint);
    ASSERT(bits_equal(&a->count, &b->count, 1) && bits_equal(&a->sum, &b->sum, 1));
    ASSERT(bits_equal(&a->zero_count, &b->zero_count, 1));
    ASSERT(a->positive.bucket_count == b->positive.bucket_count);
    ASSERT(a->negative.bucket_count == b->negative.bucket_count);
    ASSERT(bits_equal(a->positive.counts, b->positive.counts, a->positive.bucket_count));
    ASSERT(bits_equal(a->negative.counts, b->negative.counts, a->negative.bucket_count));
    ASSERT(a->bound_count == b->bound_count && bits_equal(a->bounds, b->bounds, a->bound_count));
}

static void check_blob(const Buf *blob, Arena *arena)
{
    Err err;
    const Histogram *h;
    const Histogram *again;
    Buf copy = {0};
    Buf encoded = {0};
    ASSERT(histogram_check(buf_bytes(blob), &copy, NULL, &err) == OK);
    ASSERT(str_eq(buf_str(&copy), buf_str(blob)));
    ASSERT(histogram_decode(buf_bytes(blob), arena, &h, &err) == OK);
    check_side(&h->positive);
    check_side(&h->negative);
    histogram_encode(h, &encoded);
    ASSERT(histogram_decode(buf_bytes(&encoded), arena, &again, &err) == OK);
    check_same(h, again);
    buf_deinit(&copy);
    buf_deinit(&encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena arena = {0};
    Buf blob = {0};
    Err err;
    const Histogram *h;
    if (histogram_check((Bytes){data, size}, &blob, NULL, &err) == OK) {
        check_blob(&blob, &arena);
    } else {
        ASSERT(err.status == ERR_INVALID && blob.len == 0);
    }
    const Status st = histogram_decode((Bytes){data, size}, &arena, &h, &err);
    ASSERT(st == OK || (st == ERR_CORRUPT && h == NULL));
    buf_deinit(&blob);
    arena_deinit(&arena);
    return 0;
}
