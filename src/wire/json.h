// SPDX-License-Identifier: Apache-2.0
//
// JsonReader: a strict pull parser for JSON texts that are wholly in memory (RFC 8259): no
// comments, no trailing commas, no NaN, no leading zeros, no lone surrogates, no bytes that are not
// UTF-8, no control characters in strings, depth limited. Numbers stay exact: integers
// that fit 64 bits are integers, everything else is the nearest double, and what does not fit a
// double is an error. Strings without escapes are borrowed from the input.
//
// Use: json_init(), then json_next() until JSON_END. The reader checks the grammar; the caller only
// sees well-formed sequences. One owner, one thread, no I/O.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { JSON_DEPTH_MAX = 64 };

typedef enum JsonKind {
    JSON_END, // of the text
    JSON_NULL,
    JSON_BOOL,
    JSON_INT,    // i64
    JSON_UINT,   // u64, above INT64_MAX
    JSON_DOUBLE, // f64: had a fraction or an exponent, or is an integer beyond 64 bits
    JSON_STRING, // str
    JSON_KEY,    // str; the value follows
    JSON_OBJECT_BEGIN,
    JSON_OBJECT_END,
    JSON_ARRAY_BEGIN,
    JSON_ARRAY_END,
} JsonKind;

const char *json_kind_text(JsonKind kind); // "a string", "an object", ...: for error messages

typedef struct JsonToken {
    JsonKind kind;
    size_t offset; // of its first byte in the text
    union {
        bool boolean;
        int64_t i64;
        uint64_t u64;
        double f64;
    };
    Str str; // JSON_STRING, JSON_KEY: decoded. Numbers: as written.
} JsonToken;

typedef struct JsonReader {
    const uint8_t *begin, *pos, *end;
    Arena *arena; // for strings with escapes
    uint32_t depth;
    uint8_t expect;       // what the grammar allows next
    uint64_t object_bits; // bit d: level d is an object
    bool utf8_checked;
} JsonReader;

// `text` is borrowed as long as the tokens are in use; strings with escapes live in `arena`.
// `utf8_checked`: the caller knows that the text is UTF-8.
void json_init(JsonReader *r, Bytes text, bool utf8_checked, Arena *arena);

// The next token. Duplicate keys are not noticed here: what they mean is the caller's matter.
//
// ERR_INVALID  not JSON; the message says "byte N" (from 1) and what was expected
Status json_next(JsonReader *r, JsonToken *token, Err *err);

// Skips the value whose first token was just read (an object or array to its end).
Status json_skip(JsonReader *r, JsonToken first, Err *err);
