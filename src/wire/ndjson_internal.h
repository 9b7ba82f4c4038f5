// SPDX-License-Identifier: Apache-2.0
//
// What ndjson.c (rows, columns) and ndjson_value.c (one value into one column) share.
#pragma once

#include "base/strmap.h"
#include "column/builder.h"
#include "wire/json.h"
#include "wire/ndjson.h"

typedef struct NdjsonColumn {
    Str name;
    ColumnType type;  // when `typed`
    bool typed;       // false: only nulls so far
    bool known;       // the table has it: its type is fixed
    bool negative;    // inferred BIGINT: some value is below zero
    bool beyond_2_53; // inferred BIGINT or UBIGINT: some value is not exact as a double
    uint32_t rows;    // filled; those not in the builder yet are nulls
    Builder *builder; // NULL until typed
} NdjsonColumn;

enum { NDJSON_TYPE_COUNT = COLUMN_MAP + 1 };

struct Ndjson {
    NdjsonColumn *columns; // [0] is the time column
    size_t column_count, column_cap;
    StrMap by_name;  // exact
    StrMap by_lower; // lower case
    Arena arena;     // names, decoded strings, the result
    uint32_t row;    // the one being parsed
    const NdjsonOptions *options;
    Builder **free_builders[NDJSON_TYPE_COUNT];
    size_t free_count[NDJSON_TYPE_COUNT], free_cap[NDJSON_TYPE_COUNT];
    Str map_keys[NDJSON_MAP_ENTRIES_MAX], map_values[NDJSON_MAP_ENTRIES_MAX];
    struct NdjsonEntry {
        Str key, value;
    } entries[NDJSON_MAP_ENTRIES_MAX];
    Buf scratch; // decoded base64
};

// A builder for `type`, empty.
Builder *ndjson_builder_take(Ndjson *n, ColumnType type);
void ndjson_builder_give(Ndjson *n, ColumnType type, Builder *builder);

// Puts the value that starts with `token` into `column` for the current row. Errors start with
// "byte N: ".
Status ndjson_put(Ndjson *n, NdjsonColumn *column, JsonReader *r, JsonToken token, Err *err);
