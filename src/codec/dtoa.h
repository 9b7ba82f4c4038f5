// SPDX-License-Identifier: Apache-2.0
//
// Dtoa: floating-point numbers as text, the shortest decimal digits that read back to the same
// bits, and of those the closest to the value (Giulietti, "The Schubfach way to render doubles",
// 2020). Locale-free. Pure functions, any thread.
#pragma once

#include "base/buf.h"

// Where the point goes and when an exponent is written. x10 is the decimal exponent of the first
// digit.
typedef enum DtoaStyle {
    // ECMAScript's Number::toString: exponent outside -7 < x10 < 21, "1e+21", "1e-7", no trailing
    // ".0". NaN and infinities, which JSON does not have, are null. Negative zero is "-0".
    DTOA_JSON,
    // DuckDB's cast to VARCHAR: exponent outside -5 < x10 < 16, "1.0", "1e+16", "1e-05"; nan, inf,
    // -inf.
    DTOA_SQL,
    // Go's strconv.FormatFloat(v, 'f', -1, 64): never an exponent. NaN, +Inf, -Inf, also below.
    DTOA_GO_F,
    // 'e': always, of at least two digits: "1e+06", "1.5e-07".
    DTOA_GO_E,
    // 'g' with precision -1: exponent outside -5 < x10 < 6, "1e+06": Prometheus' text exposition.
    DTOA_GO_G,
    // Values in Prometheus' HTTP API: 'f', but 'e' below 1e-6 and from 1e21 on.
    DTOA_PROM,
} DtoaStyle;

enum {
    DTOA_BYTES_MAX = 344, // longest result: DTOA_GO_F of -5e-324 with 17 digits, rounded up
};

// Writes `v` at `out`, not terminated; returns the number of bytes.
size_t dtoa_f64(double v, DtoaStyle style, char out[static DTOA_BYTES_MAX]);
size_t dtoa_f32(float v, DtoaStyle style, char out[static DTOA_BYTES_MAX]);

void dtoa_put_f64(Buf *b, double v, DtoaStyle style);
void dtoa_put_f32(Buf *b, float v, DtoaStyle style);

// The digits themselves: v = digits * 10^exponent, shortest, no trailing zeroes; digits < 10^17.
// v is finite and positive.
typedef struct DtoaDecimal {
    uint64_t digits;
    int32_t exponent;
} DtoaDecimal;
DtoaDecimal dtoa_shortest_f64(double v);
DtoaDecimal dtoa_shortest_f32(float v);
