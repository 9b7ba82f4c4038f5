// SPDX-License-Identifier: Apache-2.0
//
// Ndjson: rows as newline-delimited JSON (one object per line) -> columns. The body of
// POST /api/v1/write/<table>. A whole body or nothing: the first bad row fails all of it, with its
// line, the byte in the line, the field, and what was expected and found.
//
// Lines end in LF or CR LF; blank lines are skipped; the last LF may be missing. Keys are column
// names, [A-Za-z_][A-Za-z0-9_]* of at most NDJSON_NAME_BYTES_MAX bytes; a key twice in one row is
// an error, and so are two columns that differ only in case (Delta allows no such table).
//
// A column the table has ("known") takes what its type can hold exactly:
//   BOOLEAN         true, false
//   integers        integers in range (1.0 and 1e3 are not integers)
//   FLOAT, DOUBLE   any number, correctly rounded; a FLOAT must stay finite
//   VARCHAR         strings                    BLOB  strings of standard base64 (RFC 4648)
//   TIMESTAMP       RFC 3339 strings (digits past µs are cut), or integers since 1970: ms when
//                   below 1e14 in magnitude, microseconds when below 1e17, else nanoseconds
//   DATE            "2026-11-21"               UUID  "8-4-4-4-12" hex digits
//   MAP             objects of strings, keys not twice
//   any             null
// A column the table does not have gets the type of its first value that is not null: true/false
// BOOLEAN, integer BIGINT (UBIGINT when above INT64_MAX), fraction or exponent DOUBLE, string
// VARCHAR, object MAP; arrays are refused. Within one body BIGINT becomes UBIGINT or DOUBLE when a
// later row needs it and every earlier value keeps its exact value; otherwise, and for all else, a
// later value of another type is an error. A column that is null in all rows and not known is left
// out.
//
// The time column is TIMESTAMP whether known or not, never null: rows without it (or with null) get
// `now_us`.
//
// An Ndjson keeps its buffers from body to body; one owner, one thread, no I/O.
#pragma once

#include "base/err.h"
#include "column/vector.h"

enum {
    NDJSON_NAME_BYTES_MAX = 128,
    NDJSON_BODY_BYTES_MAX = 1 << 30,   // keeps offsets within 32 bits
    NDJSON_COLUMNS_MAX = 1024,         // per body
    NDJSON_ROWS_MAX = 4 << 20,         // per body
    NDJSON_STRING_BYTES_MAX = 1 << 20, // of one value
    NDJSON_MAP_ENTRIES_MAX = 1024,     // of one value
};

typedef struct NdjsonOptions {
    const Schema *known; // columns the table has; NULL: none
    Str time_column;     // empty: "timestamp"
    int64_t now_us;      // for rows without a time
} NdjsonOptions;

typedef struct Ndjson Ndjson;
Ndjson *ndjson_new(void);
void ndjson_free(Ndjson *n); // accepts NULL

// Parses `body`. *out has the time column first and then the others in the order in which they
// first appeared; every column that may be missing is nullable. It borrows from `n` until the next
// call. A body without rows gives a batch without rows.
//
// ERR_INVALID    "line 3, byte 17: field 'bytes': expected an integer (BIGINT), found a string"
// ERR_TOO_LARGE  one of the limits above
Status ndjson_parse(Ndjson *n, Bytes body, const NdjsonOptions *options, Batch *out, Err *err);

// True for [A-Za-z_][A-Za-z0-9_]* of 1..NDJSON_NAME_BYTES_MAX bytes.
bool ndjson_name_is_valid(Str name);
