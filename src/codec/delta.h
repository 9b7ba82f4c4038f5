// SPDX-License-Identifier: Apache-2.0
//
// Delta: Parquet's delta encodings (Encodings.md): DELTA_BINARY_PACKED for integers,
// DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY for strings. Pure functions, any thread.
//
// The encoder writes blocks of 128 values in 4 miniblocks; the decoder takes any legal header. A
// stream says how many values it holds, and the decoder insists that it is the number the caller
// expects. Differences wrap around, so every input round-trips. Strings come and go as `offsets`
// (count + 1, ascending) into `bytes`, the form a FLAT Vector has.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/reader.h"

enum {
    DELTA_BLOCK_VALUES_MAX = 65536, // largest block the decoder accepts
    DELTA_MINIBLOCKS_MAX = 512,     // most miniblocks per block it accepts
};

void delta_put_i32(Buf *out, const int32_t *values, size_t count);
void delta_put_i64(Buf *out, const int64_t *values, size_t count);

// Reads one stream from `r`, which is left on the first byte after it.
//
// ERR_CORRUPT  malformed, cut short, or not of `count` values
Status delta_get_i32(Reader *r, size_t count, int32_t *out, Err *err);
Status delta_get_i64(Reader *r, size_t count, int64_t *out, Err *err);

// DELTA_LENGTH_BYTE_ARRAY: all lengths, then all bytes. offsets[0] may be anything.
void delta_put_strings(Buf *out, const uint32_t *offsets, const uint8_t *bytes, size_t count);
// *bytes is borrowed from the input; offsets[0] = 0. ERR_LIMIT when there are more than UINT32_MAX
// bytes.
Status delta_get_strings(Reader *r, size_t count, uint32_t *offsets, Bytes *bytes, Err *err);

// DELTA_BYTE_ARRAY: lengths of the prefix shared with the string before, then the rests as above.
// Also for FIXED_LEN_BYTE_ARRAY; the caller checks that all lengths are equal.
void delta_put_prefixed(Buf *out, const uint32_t *offsets, const uint8_t *bytes, size_t count);
// Appends the strings to `bytes`; offsets count from bytes->len at the call, offsets[0] = 0. The
// result can be far larger than the input: it is bounded by the maximum of `bytes`, and by
// UINT32_MAX (ERR_LIMIT).
Status delta_get_prefixed(Reader *r, size_t count, uint32_t *offsets, Buf *bytes, Err *err);
