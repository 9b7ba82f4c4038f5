// SPDX-License-Identifier: Apache-2.0
//
// Rows of a typed table through crashes. They have no key by which a second copy could be told from
// the first, so what was acknowledged must be there exactly once, and what was not at most once.
#pragma once

#include "store/store.h"
#include "tests/support/test.h"

typedef struct CrashRows { // zeroed: none
    uint8_t *states;
    size_t count, cap;
} CrashRows;

void crash_rows_deinit(CrashRows *rows);
// Writes some rows to the table "events", the later ones with one more column. *now_ms moves on.
void crash_rows_write(CrashRows *rows, Store *store, Test *t, int64_t *now_ms);
// Checks what is there, and takes it for the truth. `when` is for the message.
void crash_rows_settle(CrashRows *rows, Store *store, Test *t, uint64_t when);
