// SPDX-License-Identifier: Apache-2.0
//
// Rle: Parquet's RLE / bit-packed hybrid (Encodings.md, "Run Length Encoding / Bit-Packing
// Hybrid"): dictionary codes, levels and booleans. The bytes here are the runs alone: the length or
// the bit width that a page puts in front of them is the page's business.
//
//   run        = varint(count << 1)           value in ceil(width / 8) bytes, little-endian
//   bit-packed = varint(groups << 1 | 1)      groups * 8 values, groups * width bytes
//
// Encoder and decoder are plain state in the caller's memory that owns nothing; one thread each.
#pragma once

#include "base/buf.h"
#include "base/err.h"

enum {
    RLE_WIDTH_MAX = 32,
    RLE_LITERALS_MAX =
        504, // values in one bit-packed span we write: 63 groups, a header of one byte
    RLE_PENDING_MAX = 8,
};

// ---- encoding

typedef struct RlePending {
    uint32_t value;
    uint64_t count;
} RlePending;

typedef struct RleEncoder {
    Buf *out; // borrowed
    unsigned width;
    // Runs whose form is not decided yet. All but the last together hold fewer than 8 values.
    uint32_t pending_count;
    RlePending pending[RLE_PENDING_MAX];
    uint64_t pending_values;             // sum of their counts
    uint32_t literal_count;              // a multiple of 8 until rle_encoder_finish()
    uint32_t literals[RLE_LITERALS_MAX]; // decided to be bit-packed, not yet written
} RleEncoder;

// Appends to `out`; width is 0..32 and every value must be below 2^width.
void rle_encoder_init(RleEncoder *e, Buf *out, unsigned width);
// `count` times `value`, at a cost that does not depend on `count`. Adjacent runs of one value
// merge. A run is written as a run or bit-packed, whichever is smaller; runs below 8 values, too.
// count may be 0.
void rle_put_run(RleEncoder *e, uint32_t value, uint64_t count);
void rle_put_values(RleEncoder *e, const uint32_t *values, size_t count);
// Bits [from, from + count) of a bitmap (LSB first), as values 0 and 1. bits == NULL: all ones.
void rle_put_bits(RleEncoder *e, const uint64_t *bits, size_t from, size_t count);
// Writes what is pending. Ask buf_ok(out) after it. The encoder may be initialised again.
void rle_encoder_finish(RleEncoder *e);

// ---- decoding

typedef struct RleDecoder {
    const uint8_t *pos; // next byte
    const uint8_t *end;
    unsigned width;
    uint32_t value_max;
    // The current run: `left` values remain of it.
    uint32_t left;
    bool packed;
    uint32_t value;      // !packed
    const uint8_t *bits; // packed: start of the span
    uint32_t bits_index; // packed: values of the span already taken
} RleDecoder;

// Decodes `in`, borrowed while the decoder is used. Values above `value_max` are ERR_CORRUPT (for
// codes: dictionary size - 1; UINT32_MAX: no limit). ERR_CORRUPT when width > 32.
Status rle_decoder_init(RleDecoder *d, Bytes in, unsigned width, uint32_t value_max, Err *err);

typedef struct RleRun {
    uint32_t count; // > 0
    bool packed;
    uint32_t value; // !packed: all `count` values
    // packed: they are the values number first .. first + count - 1 of the span that begins at
    // `bits`.
    const uint8_t *bits;
    uint32_t first;
    const uint8_t *end; // packed: bytes up to here may be read
} RleRun;

// The next at most `count_max` (> 0) values, as a run or as a piece of a bit-packed span.
// ERR_CORRUPT when the input ends or is malformed. Values of a run are checked against value_max;
// those of a span are not, as they are not looked at.
//
// The end of a page is padded to 8 values: only the caller knows how many there are.
Status rle_next(RleDecoder *d, uint32_t count_max, RleRun *run, Err *err);
// Values [from, from + count) of a packed run; within run->count. Not checked against value_max.
void rle_run_unpack(const RleRun *run, unsigned width, uint32_t from, uint32_t count,
                    uint32_t *out);

// The next `count` values, all checked.
Status rle_decode(RleDecoder *d, uint32_t *out, size_t count, Err *err);

// The next `count` values as runs, adjacent equal values merged (also with what is there already).
// Stops early, without error, when `cap` runs are full: *decoded says how many values were taken,
// and the caller goes on with rle_decode(). All values are checked.
typedef struct RleRuns {
    uint32_t *values;
    uint32_t *run_ends; // exclusive; in values since the first run
    uint32_t count;
    uint32_t cap;
} RleRuns;
Status rle_decode_runs(RleDecoder *d, uint32_t count, RleRuns *runs, uint32_t *decoded, Err *err);

// How many runs the next `count` values come in, at most: packed values count one each. Stops early
// when there are more than `most`. The decoder stays where it is; values are not checked.
Status rle_count_runs(const RleDecoder *d, uint32_t count, uint32_t most, uint32_t *out, Err *err);

// Width 1 only: the next `count` values into bits [to, to + count) of `bits` (LSB first; other bits
// are kept); *ones counts the set ones among them. For levels of a nullable column and booleans.
Status rle_decode_bits(RleDecoder *d, uint64_t *bits, size_t to, size_t count, size_t *ones,
                       Err *err);

// Passes over `count` values without decoding them.
Status rle_skip(RleDecoder *d, uint64_t count, Err *err);
