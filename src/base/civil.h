// SPDX-License-Identifier: Apache-2.0
//
// Civil time arithmetic: days, dates and RFC 3339 text, all UTC, proleptic Gregorian
// (Hinnant, "chrono-Compatible Low-Level Date Algorithms"). No clock in here: see os/clock.h.
#pragma once

#include "base/buf.h"
#include "base/str.h"

typedef struct CivilTime {
    int32_t year;                     // may be negative
    int32_t month, day;               // 1..12, 1..31
    int32_t hour, minute, second, us; // us: 0..999999
} CivilTime;

int64_t civil_days(int32_t year, int32_t month, int32_t day); // days since 1970-01-01
CivilTime civil_from_us(int64_t us);                          // µs since 1970-01-01T00:00:00Z
int64_t civil_to_us(CivilTime t);

// "2026-11-21", "2026-11-21T10:00:00Z", with fraction (digits past µs are cut) and "+02:00"; 'T'
// may be a blank; no zone means UTC. False when it is not such a time (a leap second :60 is none
// here) or is outside years 0001..9999.
bool civil_parse_us(Str s, int64_t *us);

// 2026-11-21T10:00:00.123456Z; ".123" when that is exact, no fraction when it is 0. Years outside
// 0000..9999 get a sign and six digits (ISO 8601's expanded form).
void civil_put_rfc3339(Buf *b, int64_t us);
void civil_put_date(Buf *b, int32_t days); // 2026-11-21
