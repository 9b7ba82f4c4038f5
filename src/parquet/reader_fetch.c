// SPDX-License-Identifier: Apache-2.0
//
// Few large reads instead of many small ones. All ranges that a row group needs are announced
// first; neighbours become one span, read when the first of its ranges is asked for and dropped
// when the last is released. Columns advance together, so at any time about one span per column is
// held.
#include "base/mem.h"
#include "parquet/reader_internal.h"

#include <stdlib.h>

enum { SCRATCH_PAD_BYTES = 64, SCRATCH_BYTES_MIN = 256 };

void *parquet_scratch_need(ParquetScratch *s, size_t bytes)
{
    if (bytes > s->cap || s->ptr == NULL) {
        parquet_scratch_deinit(s);
        s->cap = bytes < SCRATCH_BYTES_MIN ? SCRATCH_BYTES_MIN : bytes;
        s->ptr = mem_alloc_aligned(s->cap + SCRATCH_PAD_BYTES);
    }
    return s->ptr;
}

void *parquet_scratch_grow(ParquetScratch *s, size_t used, size_t bytes)
{
    if (bytes > s->cap || s->ptr == NULL) {
        ParquetScratch old = *s;
        *s = (ParquetScratch){0};
        (void)parquet_scratch_need(s, bytes > old.cap * 2 ? bytes : old.cap * 2);
        if (used > 0) {
            memcpy(s->ptr, old.ptr, used);
        }
        parquet_scratch_deinit(&old);
    }
    return s->ptr;
}

Status parquet_scratch_claim(ParquetChunkContext *ctx, ParquetScratch *s, size_t bytes, Err *err)
{
    const uint64_t others = ctx->page_bytes - s->cap;
    if (bytes > s->cap && bytes > PARQUET_SCAN_PAGES_MAX_BYTES - others) {
        return err_set(err, ERR_TOO_LARGE,
                       "the pages of all columns take more than %d bytes; read fewer at once",
                       PARQUET_SCAN_PAGES_MAX_BYTES);
    }
    (void)parquet_scratch_need(s, bytes);
    ctx->page_bytes = others + s->cap;
    return OK;
}

void parquet_scratch_deinit(ParquetScratch *s)
{
    mem_free(s->ptr);
    *s = (ParquetScratch){0};
}

// Keeps a buffer for later when there is room, and frees it otherwise.
static void give_buffer(ParquetFetch *f, ParquetScratch *buffer)
{
    for (size_t k = 0; k < PARQUET_SPARE_BUFFERS && buffer->ptr != NULL; k++) {
        if (f->spare[k].ptr == NULL && buffer->cap <= PARQUET_READ_PIECE_BYTES + 64) {
            f->spare[k] = *buffer;
            *buffer = (ParquetScratch){0};
        }
    }
    parquet_scratch_deinit(buffer);
}

static ParquetScratch take_buffer(ParquetFetch *f, size_t size)
{
    ParquetScratch buffer = {0};
    for (size_t k = 0; k < PARQUET_SPARE_BUFFERS; k++) {
        if (f->spare[k].ptr != NULL && f->spare[k].cap >= size) {
            buffer = f->spare[k];
            f->spare[k] = (ParquetScratch){0};
            return buffer;
        }
    }
    (void)parquet_scratch_need(&buffer, size);
    return buffer;
}

void parquet_fetch_clear(ParquetFetch *f)
{
    for (size_t i = 0; i < f->span_count; i++) {
        give_buffer(f, &f->spans[i].data);
    }
    f->range_count = 0;
    f->span_count = 0;
}

void parquet_fetch_deinit(ParquetFetch *f)
{
    parquet_fetch_clear(f);
    for (size_t k = 0; k < PARQUET_SPARE_BUFFERS; k++) {
        parquet_scratch_deinit(&f->spare[k]);
    }
    mem_free(f->ranges);
    mem_free(f->spans);
    *f = (ParquetFetch){0};
}

size_t parquet_fetch_add(ParquetFetch *f, uint64_t offset, uint64_t size)
{
    f->ranges = mem_grow(f->ranges, &f->range_cap, f->range_count + 1, sizeof(*f->ranges));
    f->ranges[f->range_count] = (ParquetRange){.offset = offset, .size = size};
    return f->range_count++;
}

typedef struct Order {
    uint64_t offset;
    size_t range;
} Order;

static int compare_order(const void *a, const void *b)
{
    const Order *x = a, *y = b;
    if (x->offset != y->offset) {
        return x->offset < y->offset ? -1 : 1;
    }
    return x->range < y->range ? -1 : x->range > y->range;
}

void parquet_fetch_plan(ParquetFetch *f, uint64_t piece_bytes)
{
    Order *order = mem_new(Order, f->range_count);
    for (size_t i = 0; i < f->range_count; i++) {
        order[i] = (Order){.offset = f->ranges[i].offset, .range = i};
    }
    qsort(order, f->range_count, sizeof(*order), compare_order);
    f->span_count = 0;
    for (size_t i = 0; i < f->range_count; i++) {
        ParquetRange *range = &f->ranges[order[i].range];
        ParquetSpan *last = f->span_count > 0 ? &f->spans[f->span_count - 1] : NULL;
        const uint64_t end = range->offset + range->size;
        const uint64_t last_end = last == NULL ? 0 : last->offset + last->size;
        const bool inside = last != NULL && end <= last_end;
        const bool near = last != NULL && range->offset <= last_end + PARQUET_READ_GAP_BYTES &&
                          end - last->offset <= piece_bytes;
        if (!inside && !near) {
            f->spans = mem_grow(f->spans, &f->span_cap, f->span_count + 1, sizeof(*f->spans));
            last = &f->spans[f->span_count++];
            *last = (ParquetSpan){.offset = range->offset, .size = range->size};
        } else if (end > last_end) {
            last->size = end - last->offset;
        }
        last->users++;
        range->span = f->span_count - 1;
    }
    mem_free(order);
}

Status parquet_fetch_read(ParquetFetch *f, uint64_t offset, void *into, size_t size, Err *err)
{
    TRY(f->source->read_at(f->source->ctx, offset, into, size, err));
    f->bytes_read += size;
    return OK;
}

Status parquet_fetch_get(ParquetFetch *f, size_t range, Bytes *out, Err *err)
{
    *out = (Bytes){0};
    const ParquetRange *r = &f->ranges[range];
    ParquetSpan *span = &f->spans[r->span];
    if (span->data.ptr == NULL) {
        ParquetScratch buffer = take_buffer(f, (size_t)span->size);
        const Status st = parquet_fetch_read(f, span->offset, buffer.ptr, (size_t)span->size, err);
        if (st != OK) {
            give_buffer(f, &buffer);
            return st;
        }
        span->data = buffer;
    }
    *out = (Bytes){.ptr = span->data.ptr + (r->offset - span->offset), .len = (size_t)r->size};
    return OK;
}

void parquet_fetch_release(ParquetFetch *f, size_t range)
{
    ParquetSpan *span = &f->spans[f->ranges[range].span];
    ASSERT(span->users > 0);
    span->users--;
    if (span->users == 0) {
        give_buffer(f, &span->data);
    }
}
