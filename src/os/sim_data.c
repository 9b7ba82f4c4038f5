// SPDX-License-Identifier: Apache-2.0
//
// The bytes of a simulated file. See sim_internal.h for the idea.
#include "base/mem.h"
#include "os/sim_internal.h"

// What a sync keeps of its buffers, so that a file synced after every write allocates nothing and
// one that was written in bulk does not hold its bytes twice for ever.
enum { REDO_KEPT_BYTES = 256 * 1024 };

static size_t page_of(uint64_t offset)
{
    return (size_t)(offset / SIM_PAGE_BYTES);
}

static size_t pages_for(uint64_t size_bytes)
{
    return (size_t)((size_bytes + SIM_PAGE_BYTES - 1) / SIM_PAGE_BYTES);
}

void sim_data_init(SimData *d)
{
    *d = (SimData){.epoch = 1};
    buf_init(&d->redo, 0);
}

void sim_data_deinit(SimData *d)
{
    for (size_t i = 0; i < d->page_count; i++) {
        mem_free(d->pages[i].bytes);
    }
    for (size_t i = 0; i < d->saved_count; i++) {
        mem_free(d->saved[i].bytes);
    }
    mem_free(d->pages);
    mem_free(d->saved);
    mem_free(d->ops);
    buf_deinit(&d->redo);
    *d = (SimData){0};
}

size_t sim_data_read(const SimData *d, uint64_t offset, void *into, size_t n)
{
    if (offset >= d->size_bytes) {
        return 0;
    }
    n = n < d->size_bytes - offset ? n : (size_t)(d->size_bytes - offset);
    uint8_t *out = into;
    for (size_t done = 0; done < n;) {
        const size_t page = page_of(offset + done);
        const size_t at = (size_t)((offset + done) % SIM_PAGE_BYTES);
        const size_t part = n - done < SIM_PAGE_BYTES - at ? n - done : SIM_PAGE_BYTES - at;
        const uint8_t *bytes = page < d->page_count ? d->pages[page].bytes : NULL;
        if (bytes != NULL) {
            memcpy(out + done, bytes + at, part);
        } else {
            memset(out + done, 0, part);
        }
        done += part;
    }
    return n;
}

// The page as it is now goes to `saved`, unless what was synced is there already. The caller gives
// the page new bytes.
static void save_page(SimData *d, size_t page)
{
    d->saved = mem_grow(d->saved, &d->saved_cap, d->saved_count + 1, sizeof(*d->saved));
    d->saved[d->saved_count++] = (SimSaved){page, d->pages[page].bytes};
    d->pages[page].epoch = d->epoch;
}

// The bytes of a page to write to.
static uint8_t *page_to_change(SimData *d, size_t page)
{
    if (page >= d->page_count) {
        d->pages = mem_grow(d->pages, &d->page_cap, page + 1, sizeof(*d->pages));
        memset(d->pages + d->page_count, 0, (page + 1 - d->page_count) * sizeof(*d->pages));
        d->page_count = page + 1;
    }
    SimPage *p = &d->pages[page];
    if (p->bytes == NULL && (uint64_t)page * SIM_PAGE_BYTES >= d->allocated_bytes) {
        d->used_pages++;
    }
    if (p->epoch != d->epoch) {
        const uint8_t *old = p->bytes;
        save_page(d, page);
        p->bytes = NULL;
        if (old != NULL) {
            p->bytes = mem_alloc_raw(SIM_PAGE_BYTES);
            memcpy(p->bytes, old, SIM_PAGE_BYTES);
        }
    }
    if (p->bytes == NULL) {
        p->bytes = mem_new(uint8_t, SIM_PAGE_BYTES);
    }
    return p->bytes;
}

static void put_bytes(SimData *d, uint64_t offset, Bytes bytes)
{
    for (size_t done = 0; done < bytes.len;) {
        const size_t at = (size_t)((offset + done) % SIM_PAGE_BYTES);
        const size_t left = bytes.len - done;
        const size_t part = left < SIM_PAGE_BYTES - at ? left : SIM_PAGE_BYTES - at;
        memcpy(page_to_change(d, page_of(offset + done)) + at, bytes.ptr + done, part);
        done += part;
    }
    const uint64_t end = offset + bytes.len;
    d->size_bytes = end > d->size_bytes ? end : d->size_bytes;
}

static void set_size(SimData *d, uint64_t size_bytes)
{
    const size_t at = (size_t)(size_bytes % SIM_PAGE_BYTES);
    const size_t last = page_of(size_bytes);
    if (at != 0 && last < d->page_count && d->pages[last].bytes != NULL) {
        memset(page_to_change(d, last) + at, 0, SIM_PAGE_BYTES - at);
    }
    for (size_t page = pages_for(size_bytes); page < d->page_count; page++) {
        SimPage *p = &d->pages[page];
        if (p->bytes != NULL && p->epoch != d->epoch) {
            save_page(d, page);
        } else {
            mem_free(p->bytes);
        }
        p->bytes = NULL;
    }
    const uint64_t room_bytes = (uint64_t)pages_for(size_bytes) * SIM_PAGE_BYTES;
    d->allocated_bytes = d->allocated_bytes < room_bytes ? d->allocated_bytes : room_bytes;
    d->size_bytes = size_bytes;
    d->used_known = false;
}

static void set_allocated(SimData *d, uint64_t size_bytes)
{
    d->used_known = false;
    d->allocated_bytes = d->allocated_bytes > size_bytes ? d->allocated_bytes : size_bytes;
    d->size_bytes = d->size_bytes > size_bytes ? d->size_bytes : size_bytes;
}

static void note(SimData *d, SimOp op)
{
    d->ops = mem_grow(d->ops, &d->op_cap, d->op_count + 1, sizeof(*d->ops));
    d->ops[d->op_count++] = op;
}

void sim_data_write(SimData *d, uint64_t offset, Bytes bytes)
{
    if (bytes.len == 0) {
        return;
    }
    note(d, (SimOp){SIM_WRITE, offset, bytes.len, d->redo.len});
    buf_put(&d->redo, bytes.ptr, bytes.len);
    put_bytes(d, offset, bytes);
}

void sim_data_truncate(SimData *d, uint64_t size_bytes)
{
    note(d, (SimOp){.kind = SIM_TRUNCATE, .n = size_bytes});
    set_size(d, size_bytes);
}

void sim_data_allocate(SimData *d, uint64_t size_bytes)
{
    note(d, (SimOp){.kind = SIM_ALLOCATE, .n = size_bytes});
    set_allocated(d, size_bytes);
}

void sim_data_sync(SimData *d)
{
    for (size_t i = 0; i < d->saved_count; i++) {
        mem_free(d->saved[i].bytes);
    }
    d->saved_count = 0;
    d->op_count = 0;
    if (d->redo.cap > REDO_KEPT_BYTES) {
        buf_deinit(&d->redo);
    }
    buf_clear(&d->redo);
    d->synced_size_bytes = d->size_bytes;
    d->synced_allocated_bytes = d->allocated_bytes;
    d->epoch++;
}

static void revert(SimData *d)
{
    for (size_t i = 0; i < d->saved_count; i++) {
        SimPage *p = &d->pages[d->saved[i].page];
        mem_free(p->bytes);
        p->bytes =
            d->saved[i].bytes; // the epoch stays: nothing is to be saved while ops are redone
    }
    d->saved_count = 0;
    d->size_bytes = d->synced_size_bytes;
    d->allocated_bytes = d->synced_allocated_bytes;
    d->used_known = false;
}

static void redo(SimData *d, SimOp op)
{
    switch (op.kind) {
    case SIM_WRITE:
        put_bytes(d, op.offset, (Bytes){d->redo.ptr + op.redo, (size_t)op.n});
        return;
    case SIM_TRUNCATE:
        set_size(d, op.n);
        return;
    case SIM_ALLOCATE:
        set_allocated(d, op.n);
        return;
    }
    UNREACHABLE();
}

// Some of the sectors of a write: the first ones, or any.
static void redo_torn(SimData *d, SimOp op, Rng *rng)
{
    if (op.kind != SIM_WRITE) {
        return; // sizes are metadata: journaled, all or nothing
    }
    const uint64_t first = op.offset / SIM_SECTOR_BYTES;
    const uint64_t count = (op.offset + op.n + SIM_SECTOR_BYTES - 1) / SIM_SECTOR_BYTES - first;
    const bool any = rng_below(rng, 2) == 0;
    const uint64_t kept = rng_below(rng, count);
    uint64_t coins = 0;
    for (uint64_t i = 0; i < count; i++) {
        coins = i % 64 == 0 && any ? rng_next(rng) : coins >> 1;
        if (any ? (coins & 1) == 0 : i >= kept) {
            continue;
        }
        const uint64_t sector = (first + i) * SIM_SECTOR_BYTES;
        const uint64_t from = sector > op.offset ? sector : op.offset;
        const uint64_t end = op.offset + op.n, sector_end = sector + SIM_SECTOR_BYTES;
        const uint64_t to = sector_end < end ? sector_end : end;
        put_bytes(d, from,
                  (Bytes){d->redo.ptr + op.redo + (from - op.offset), (size_t)(to - from)});
    }
}

// A lost write that made the file longer may still have done so: the size is metadata and may reach
// the disk before the data, which then reads as zeros.
static void redo_size_only(SimData *d, SimOp op)
{
    const uint64_t end = op.offset + op.n;
    if (op.kind == SIM_WRITE && end > d->size_bytes) {
        d->size_bytes = end;
    }
}

// Both extremes and a clean cut in time are as likely as any mixture; coins alone would hardly ever
// show them once there are more than a few writes.
void sim_data_cut(SimData *d, Rng *rng)
{
    const uint64_t mode = rng_below(rng, 4);
    if (mode == 0) { // everything had reached the disk
        sim_data_sync(d);
        return;
    }
    revert(d);
    if (mode == 2) { // a prefix, and the write that was under way
        const uint64_t whole = rng_below(rng, d->op_count + 1);
        for (size_t i = 0; i < whole; i++) {
            redo(d, d->ops[i]);
        }
        if (whole < d->op_count) {
            redo_torn(d, d->ops[whole], rng);
        }
    }
    if (mode == 3) { // the disk reorders at will
        for (size_t i = 0; i < d->op_count; i++) {
            const uint64_t fate = rng_below(rng, 8);
            if (fate < 3) {
                redo(d, d->ops[i]);
            } else if (fate < 5) {
                redo_torn(d, d->ops[i], rng);
            } else if (fate < 6) {
                redo_size_only(d, d->ops[i]);
            }
        }
    }
    sim_data_sync(d); // what is left is what the disk holds
}

void sim_data_fail_sync(SimData *d, Rng *rng)
{
    const uint64_t size_bytes = d->size_bytes;
    sim_data_cut(d, rng);
    if (size_bytes > d->size_bytes) {
        sim_data_truncate(d, size_bytes);
    }
}

void sim_data_flip(SimData *d, uint64_t offset, uint8_t mask)
{
    const size_t page = page_of(offset);
    const size_t at = (size_t)(offset % SIM_PAGE_BYTES);
    const bool was_dirty = page < d->page_count && d->pages[page].epoch == d->epoch;
    page_to_change(d, page)[at] ^= mask;
    for (size_t i = 0; i < d->saved_count; i++) {
        if (d->saved[i].page != page) {
            continue;
        }
        if (!was_dirty) { // just saved by us: forget it, the flip is as good as synced
            mem_free(d->saved[i].bytes);
            d->saved[i] = d->saved[--d->saved_count];
            d->pages[page].epoch = 0;
        } else if (d->saved[i].bytes != NULL) {
            d->saved[i].bytes[at] ^= mask;
        }
        return;
    }
}

uint64_t sim_data_pages(SimData *d)
{
    if (!d->used_known) {
        const size_t allocated = pages_for(d->allocated_bytes);
        d->used_pages = allocated;
        for (size_t page = allocated; page < d->page_count; page++) {
            d->used_pages += d->pages[page].bytes != NULL ? 1 : 0;
        }
        d->used_known = true;
    }
    return d->used_pages;
}

uint64_t sim_data_new_pages(const SimData *d, uint64_t offset, uint64_t n)
{
    const size_t allocated = pages_for(d->allocated_bytes);
    uint64_t count = 0;
    for (size_t page = page_of(offset); n != 0 && page <= page_of(offset + n - 1); page++) {
        const bool there =
            page < allocated || (page < d->page_count && d->pages[page].bytes != NULL);
        count += there ? 0 : 1;
    }
    return count;
}
