// SPDX-License-Identifier: Apache-2.0
//
// Numbers, durations and sizes as text: locale-free, the whole input or nothing, overflow checked.
// Pure functions, any thread.
#pragma once

#include "base/buf.h"
#include "base/str.h"

// Decimal integers, optional leading '-' for i64. False (and *out untouched) when `s` is empty,
// has anything else in it, or does not fit.
bool num_parse_u64(Str s, uint64_t *out);
bool num_parse_i64(Str s, int64_t *out);

// Decimal or hex floats, "inf", "+Inf", "-Inf", "infinity", "NaN" (any case); correctly rounded.
// False also for a number too large for a double (1e999); one too small is 0.
bool num_parse_f64(Str s, double *out);

// "90s", "5m", "1h30m", "100ms", "2d", "1w", "1y": the units of Prometheus, largest first, each at
// most once. A bare number is refused. Milliseconds; false on overflow.
bool num_parse_duration_ms(Str s, int64_t *out);

// "64MB", "1GiB", "512kB", "1048576": K/M/G/T are powers of 1000, with an i powers of 1024, B
// optional, any case.
bool num_parse_bytes(Str s, uint64_t *out);

void num_put_u64(Buf *b, uint64_t v);
void num_put_i64(Buf *b, int64_t v);
