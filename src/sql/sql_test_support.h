// SPDX-License-Identifier: Apache-2.0
//
// For the tests of `sql`: a store in a real folder with a typed table of every type and a few
// metrics, partly in files and partly in memory, and statements asked as text.
#pragma once

#include "column/builder.h"
#include "series/labels.h"
#include "sql/sql.h"
#include "store/store.h"
#include "tests/support/test.h"

enum { FIXTURE_ROWS = 40000, FIXTURE_COLUMNS = 21 };

typedef struct Fixture {
    Arena arena;
    Str dir;
    Store *store;
    SqlEngine *engine;
    SqlEngine *naive; // hands no conditions to the scan
    // The rows of `things` as they were written: column `n` numbers them.
    Schema schema;
    Builder *builders[FIXTURE_COLUMNS];
    Vector columns[FIXTURE_COLUMNS];
} Fixture;

// `things`: FIXTURE_ROWS rows in three files and in memory, of small and overlapping domains with
// nulls, NaN and extremes. Columns: timestamp, n, flag, i8 .. u64, f, d, few, many, Host, bin, day,
// id, tags, and sometimes, which the first file does not have. Sorted by Host and few. `metrics`:
// `up` of three pods and `cpu` of two, ten samples each, a second apart; pod c has labels without a
// column, and the last sample of each is in memory.
Fixture *fixture_new(Test *t);
void fixture_free(Fixture *f);

// One sample of a series, whose labels are sorted by name, `second` seconds after the first one of
// the fixture.
Status fixture_write_sample(Store *store, const Label *labels, size_t count, int64_t second,
                            double value, Err *err);

// Rows as text: cells joined by '|', rows by newlines; NULL for NULL. "error: ..." instead, with
// the status's name before the message. Lives in the test's arena.
Str ask(Test *t, SqlEngine *engine, Str statement);
#define ASK(engine, statement) ask(t, (engine), STR(statement))
