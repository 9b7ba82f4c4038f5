// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "column/arrow_internal.h"

// ---- building

void arrow_fb_deinit(ArrowFb *fb)
{
    mem_free(fb->ptr);
    *fb = (ArrowFb){0};
}

void arrow_fb_clear(ArrowFb *fb)
{
    fb->len = 0;
    fb->align = 1;
}

// `n` more bytes in front of what is there.
static uint8_t *push_raw(ArrowFb *fb, size_t n)
{
    if (n > fb->cap - fb->len) {
        const size_t need = fb->len + n;
        const size_t cap = need < 512 ? 1024 : need * 2;
        ASSERT(cap <= INT32_MAX); // a schema of the largest size is far below
        uint8_t *ptr = mem_alloc_raw(cap);
        if (fb->len > 0) {
            memcpy(ptr + cap - fb->len, fb->ptr + fb->cap - fb->len, fb->len);
        }
        mem_free(fb->ptr);
        fb->ptr = ptr;
        fb->cap = cap;
    }
    fb->len += n;
    return fb->ptr + fb->cap - fb->len;
}

static void push(ArrowFb *fb, const void *bytes, size_t n)
{
    if (n > 0) {
        memcpy(push_raw(fb, n), bytes, n);
    }
}

// After `extra` more bytes the buffer is aligned to `align`, counted from its end.
static void pad(ArrowFb *fb, size_t align, size_t extra)
{
    fb->align = fb->align < align ? align : fb->align;
    const size_t n = -(fb->len + extra) & (align - 1);
    if (n > 0) {
        memset(push_raw(fb, n), 0, n);
    }
}

static void push_u32(ArrowFb *fb, uint32_t v)
{
    push(fb, &v, sizeof(v));
}

uint32_t arrow_fb_str(ArrowFb *fb, Str s)
{
    pad(fb, 4, s.len + 1);
    push(fb, "", 1);
    push(fb, s.ptr, s.len);
    push_u32(fb, (uint32_t)s.len);
    return (uint32_t)fb->len;
}

uint32_t arrow_fb_refs(ArrowFb *fb, const uint32_t *refs, size_t count)
{
    pad(fb, 4, count * 4);
    for (size_t i = count; i > 0; i--) {
        push_u32(fb, (uint32_t)fb->len + 4 - refs[i - 1]); // relative to where it stands
    }
    push_u32(fb, (uint32_t)count);
    return (uint32_t)fb->len;
}

uint32_t arrow_fb_pairs(ArrowFb *fb, const ArrowPair *pairs, size_t count)
{
    static_assert(sizeof(ArrowPair) == 16, "written as it is");
    pad(fb, 8, count * sizeof(*pairs));
    push(fb, pairs, count * sizeof(*pairs));
    push_u32(fb, (uint32_t)count);
    return (uint32_t)fb->len;
}

void arrow_fb_table_begin(ArrowFb *fb)
{
    memset(fb->slots, 0, sizeof(fb->slots));
    fb->table_start = fb->len;
}

void arrow_fb_put_int(ArrowFb *fb, unsigned slot, int64_t v, size_t size_bytes)
{
    pad(fb, size_bytes, 0);
    push(fb, &v, size_bytes); // the low bytes: the machine is little-endian
    fb->slots[slot] = (uint32_t)fb->len;
}

void arrow_fb_put_ref(ArrowFb *fb, unsigned slot, uint32_t ref)
{
    pad(fb, 4, 0);
    push_u32(fb, (uint32_t)fb->len + 4 - ref);
    fb->slots[slot] = (uint32_t)fb->len;
}

static void push_u16(ArrowFb *fb, size_t v)
{
    const uint16_t narrow = (uint16_t)v;
    push(fb, &narrow, sizeof(narrow));
}

uint32_t arrow_fb_table_end(ArrowFb *fb)
{
    pad(fb, 4, 0);
    push_u32(fb, 0); // the distance to the vtable, below
    const size_t table = fb->len;
    for (unsigned i = ARROW_FB_SLOTS_MAX; i > 0; i--) {
        push_u16(fb, fb->slots[i - 1] == 0 ? 0 : table - fb->slots[i - 1]);
    }
    push_u16(fb, table - fb->table_start);
    push_u16(fb, (size_t)(ARROW_FB_SLOTS_MAX + 2) * 2);
    const int32_t distance = (int32_t)(fb->len - table);
    memcpy(fb->ptr + fb->cap - table, &distance, sizeof(distance));
    return (uint32_t)table;
}

Bytes arrow_fb_finish(ArrowFb *fb, uint32_t root)
{
    pad(fb, fb->align, 4);
    push_u32(fb, (uint32_t)fb->len + 4 - root);
    return (Bytes){fb->ptr + fb->cap - fb->len, fb->len};
}

// ---- viewing

// True when [pos, pos + size) lies inside.
static bool inside(ArrowView *v, uint64_t pos, uint64_t size)
{
    if (v->failed || pos > v->b.len || size > v->b.len - pos) {
        v->failed = true;
        return false;
    }
    return true;
}

static uint32_t u32_at(const ArrowView *v, size_t pos)
{
    uint32_t value;
    memcpy(&value, v->b.ptr + pos, sizeof(value));
    return value;
}

static uint16_t u16_at(const ArrowView *v, size_t pos)
{
    uint16_t value;
    memcpy(&value, v->b.ptr + pos, sizeof(value));
    return value;
}

static ArrowTable table_at(ArrowView *v, uint64_t pos)
{
    const ArrowTable none = {0};
    if (!inside(v, pos, 4)) {
        return none;
    }
    const int64_t vtable = (int64_t)pos - (int32_t)u32_at(v, pos);
    if (vtable < 0 || !inside(v, (uint64_t)vtable, 4)) {
        v->failed = true;
        return none;
    }
    const ArrowTable t = {.pos = pos,
                          .vtable = (size_t)vtable,
                          .vtable_size = u16_at(v, (size_t)vtable),
                          .size = u16_at(v, (size_t)vtable + 2)};
    if (t.pos == 0 || t.vtable_size < 4 || !inside(v, t.vtable, t.vtable_size) ||
        !inside(v, t.pos, t.size)) {
        v->failed = true;
        return none;
    }
    return t;
}

ArrowTable arrow_view_root(ArrowView *v)
{
    return inside(v, 0, 4) ? table_at(v, u32_at(v, 0)) : (ArrowTable){0};
}

// Where the member is; 0 when it is absent.
static size_t member(ArrowView *v, const ArrowTable *t, unsigned slot, size_t size)
{
    const size_t entry = 4 + (size_t)slot * 2;
    if (v->failed || t->pos == 0 || entry + 2 > t->vtable_size) {
        return 0;
    }
    const uint16_t offset = u16_at(v, t->vtable + entry);
    if (offset == 0) {
        return 0;
    }
    if (offset < 4 || offset + size > t->size) {
        v->failed = true;
        return 0;
    }
    return t->pos + offset;
}

bool arrow_view_has(ArrowView *v, const ArrowTable *t, unsigned slot)
{
    return member(v, t, slot, 1) != 0;
}

int64_t arrow_view_int(ArrowView *v, const ArrowTable *t, unsigned slot, size_t size_bytes,
                       int64_t if_absent)
{
    const size_t at = member(v, t, slot, size_bytes);
    if (at == 0) {
        return if_absent;
    }
    uint64_t value = 0;
    memcpy(&value, v->b.ptr + at, size_bytes);
    const unsigned unused = 64 - 8 * (unsigned)size_bytes;
    return (int64_t)(value << unused) >> unused; // spreads the sign
}

// Where a member that is a reference leads to; 0 when it is absent.
static uint64_t target(ArrowView *v, const ArrowTable *t, unsigned slot)
{
    const size_t at = member(v, t, slot, 4);
    return at == 0 ? 0 : (uint64_t)at + u32_at(v, at);
}

ArrowTable arrow_view_table(ArrowView *v, const ArrowTable *t, unsigned slot)
{
    const uint64_t at = target(v, t, slot);
    return at == 0 ? (ArrowTable){0} : table_at(v, at);
}

ArrowVec arrow_view_vec(ArrowView *v, const ArrowTable *t, unsigned slot, size_t element_bytes)
{
    const uint64_t at = target(v, t, slot);
    if (at == 0 || !inside(v, at, 4)) {
        return (ArrowVec){0};
    }
    const ArrowVec vec = {.pos = at + 4, .count = u32_at(v, at)};
    return inside(v, vec.pos, (uint64_t)vec.count * element_bytes) ? vec : (ArrowVec){0};
}

Str arrow_view_str(ArrowView *v, const ArrowTable *t, unsigned slot)
{
    const ArrowVec vec = arrow_view_vec(v, t, slot, 1);
    return (Str){.ptr = (const char *)v->b.ptr + vec.pos, .len = vec.count};
}

ArrowTable arrow_view_vec_table(ArrowView *v, ArrowVec vec, uint32_t i)
{
    if (v->failed || i >= vec.count) {
        v->failed = true;
        return (ArrowTable){0};
    }
    const size_t at = vec.pos + (size_t)i * 4;
    return table_at(v, (uint64_t)at + u32_at(v, at));
}

ArrowPair arrow_view_vec_pair(const ArrowView *v, ArrowVec vec, uint32_t i)
{
    ASSERT(i < vec.count);
    ArrowPair pair;
    memcpy(&pair, v->b.ptr + vec.pos + (size_t)i * sizeof(pair), sizeof(pair));
    return pair;
}
