// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

void buf_init(Buf *b, size_t max_bytes)
{
    *b = (Buf){.max_bytes = max_bytes};
}

void buf_deinit(Buf *b)
{
    mem_free(b->ptr);
    *b = (Buf){0};
}

void buf_clear(Buf *b)
{
    b->len = 0;
    b->failed = false;
}

uint8_t *buf_reserve(Buf *b, size_t n)
{
    size_t need = 0;
    if (b->failed || __builtin_add_overflow(b->len, n, &need) ||
        (b->max_bytes != 0 && need > b->max_bytes)) {
        b->failed = true;
        return NULL;
    }
    if (need > b->cap || b->ptr == NULL) {
        size_t cap = b->cap < 256 ? 256 : b->cap * 2;
        cap = cap < need ? need : cap;
        b->ptr = mem_realloc(b->ptr, cap, 1);
        b->cap = cap;
    }
    return b->ptr + b->len;
}

void buf_commit(Buf *b, size_t n)
{
    DCHECK(n <= b->cap - b->len);
    b->len += n;
}

void buf_put(Buf *b, const void *bytes, size_t n)
{
    if (n == 0) {
        return;
    }
    uint8_t *p = buf_reserve(b, n);
    if (p != NULL) {
        memcpy(p, bytes, n);
        b->len += n;
    }
}

void buf_put_u8(Buf *b, uint8_t v)
{
    buf_put(b, &v, 1);
}

void buf_put_u16le(Buf *b, uint16_t v)
{
    const uint8_t p[2] = {(uint8_t)v, (uint8_t)(v >> 8)};
    buf_put(b, p, sizeof(p));
}

void buf_put_u32le(Buf *b, uint32_t v)
{
    const uint8_t p[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
    buf_put(b, p, sizeof(p));
}

void buf_put_u64le(Buf *b, uint64_t v)
{
    buf_put_u32le(b, (uint32_t)v);
    buf_put_u32le(b, (uint32_t)(v >> 32));
}

void buf_put_str(Buf *b, Str s)
{
    buf_put(b, s.ptr, s.len);
}

void buf_putf(Buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    ASSERT(n >= 0);
    uint8_t *p = buf_reserve(b, (size_t)n + 1);
    if (p != NULL) {
        (void)vsnprintf((char *)p, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}
