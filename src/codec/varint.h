// SPDX-License-Identifier: Apache-2.0
//
// Varint: ULEB128 integers and zigzag, as Parquet, Thrift compact and Protocol Buffers write them:
// seven bits per byte, least significant first, the high bit says that more follow. Pure functions,
// any thread.
//
// Three faces: appending to a Buf, reading from a Reader (sticky failure), and bare pointers with
// bounds for hot loops. A value that does not fit its type, or that is longer than the longest
// legal form (5 or 10 bytes), is a failure; needless trailing zero groups within that are accepted.
#pragma once

#include "base/buf.h"
#include "base/reader.h"

enum { VARINT_U32_BYTES_MAX = 5, VARINT_U64_BYTES_MAX = 10 };

static inline uint64_t zigzag_from_i64(int64_t v)
{
    return ((uint64_t)v << 1) ^ (0 - ((uint64_t)v >> 63));
}

static inline int64_t zigzag_to_i64(uint64_t v)
{
    return (int64_t)((v >> 1) ^ (0 - (v & 1)));
}

static inline uint32_t zigzag_from_i32(int32_t v)
{
    return ((uint32_t)v << 1) ^ (0 - ((uint32_t)v >> 31));
}

static inline int32_t zigzag_to_i32(uint32_t v)
{
    return (int32_t)((v >> 1) ^ (0 - (v & 1)));
}

// Bytes that `v` takes: 1..10.
static inline size_t varint_size_bytes(uint64_t v)
{
    const unsigned bits = 64 - (unsigned)__builtin_clzll(v | 1);
    return (bits + 6) / 7;
}

// Writes `v` at `p`, which has room for VARINT_U64_BYTES_MAX bytes; returns the byte after it.
static inline uint8_t *varint_write_u64(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

// Reads a value from [p, end). Returns the byte after it, or NULL (and *out untouched) when the
// input ends inside the value or the value does not fit.
static inline const uint8_t *varint_read_u64(const uint8_t *p, const uint8_t *end, uint64_t *out)
{
    uint64_t v = 0;
    for (unsigned shift = 0; p < end && shift < 64; shift += 7) {
        const uint8_t byte = *p++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            if (shift == 63 && byte > 1) {
                return NULL; // bits above the 64th
            }
            *out = v;
            return p;
        }
    }
    return NULL;
}

static inline const uint8_t *varint_read_u32(const uint8_t *p, const uint8_t *end, uint32_t *out)
{
    uint32_t v = 0;
    for (unsigned shift = 0; p < end && shift < 35; shift += 7) {
        const uint8_t byte = *p++;
        v |= (uint32_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            if (shift == 28 && byte > 0x0f) {
                return NULL; // bits above the 32nd
            }
            *out = v;
            return p;
        }
    }
    return NULL;
}

static inline void varint_put_u64(Buf *b, uint64_t v)
{
    uint8_t bytes[VARINT_U64_BYTES_MAX];
    buf_put(b, bytes, (size_t)(varint_write_u64(bytes, v) - bytes));
}

static inline void varint_put_i64(Buf *b, int64_t v) // zigzag
{
    varint_put_u64(b, zigzag_from_i64(v));
}

// From a Reader: 0 and `failed` when there is no such value.
static inline uint64_t varint_get_u64(Reader *r)
{
    uint64_t v = 0;
    const uint8_t *next = r->failed ? NULL : varint_read_u64(r->pos, r->end, &v);
    if (next == NULL) {
        r->failed = true;
        return 0;
    }
    r->pos = next;
    return v;
}

static inline uint32_t varint_get_u32(Reader *r)
{
    uint32_t v = 0;
    const uint8_t *next = r->failed ? NULL : varint_read_u32(r->pos, r->end, &v);
    if (next == NULL) {
        r->failed = true;
        return 0;
    }
    r->pos = next;
    return v;
}

static inline int64_t varint_get_i64(Reader *r) // zigzag
{
    return zigzag_to_i64(varint_get_u64(r));
}

static inline int32_t varint_get_i32(Reader *r) // zigzag
{
    return zigzag_to_i32(varint_get_u32(r));
}
