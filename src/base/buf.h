// SPDX-License-Identifier: Apache-2.0
//
// Buf: an owned, growable run of bytes with a maximum that is set when it is created. Appending
// past the maximum does not fail call by call: it sets `failed`, drops the bytes, and keeps
// dropping; the writer asks buf_ok() once at the end. One owner, one thread.
#pragma once

#include "base/str.h"

typedef struct Buf {
    uint8_t *ptr;
    size_t len;
    size_t cap;
    size_t max_bytes; // 0 means no maximum
    bool failed;      // sticky: something did not fit
} Buf;

void buf_init(Buf *b, size_t max_bytes);
void buf_deinit(Buf *b); // accepts a zeroed Buf
void buf_clear(Buf *b);  // len = 0, keeps the memory

static inline bool buf_ok(const Buf *b)
{
    return !b->failed;
}

static inline Bytes buf_bytes(const Buf *b)
{
    return (Bytes){.ptr = b->ptr, .len = b->len};
}

static inline Str buf_str(const Buf *b)
{
    return (Str){.ptr = (const char *)b->ptr, .len = b->len};
}

// Room for `n` more bytes at the end, uninitialised; NULL when that would pass the maximum. The
// caller writes at most n bytes there and then says how many with buf_commit().
uint8_t *buf_reserve(Buf *b, size_t n);
void buf_commit(Buf *b, size_t n);

void buf_put(Buf *b, const void *bytes, size_t n);
void buf_put_u8(Buf *b, uint8_t v);
void buf_put_u16le(Buf *b, uint16_t v);
void buf_put_u32le(Buf *b, uint32_t v);
void buf_put_u64le(Buf *b, uint64_t v);
void buf_put_str(Buf *b, Str s);
void buf_putf(Buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
