// SPDX-License-Identifier: Apache-2.0
//
// Column types and schemas: the logical types every table, file and query agrees on. Plain data,
// any thread once built.
#pragma once

#include "base/arena.h"
#include "base/err.h"

enum {
    COLUMN_NAME_MAX = 1024, // bytes
    SCHEMA_COLUMNS_MAX = 1024,
};

// name, SQL name, bytes of one flat value (0: variable)
#define COLUMN_TYPE_LIST(X)                                                                        \
    X(COLUMN_BOOL, "BOOLEAN", 1)                                                                   \
    X(COLUMN_INT8, "TINYINT", 1)                                                                   \
    X(COLUMN_INT16, "SMALLINT", 2)                                                                 \
    X(COLUMN_INT32, "INTEGER", 4)                                                                  \
    X(COLUMN_INT64, "BIGINT", 8)                                                                   \
    X(COLUMN_UINT8, "UTINYINT", 1)                                                                 \
    X(COLUMN_UINT16, "USMALLINT", 2)                                                               \
    X(COLUMN_UINT32, "UINTEGER", 4)                                                                \
    X(COLUMN_UINT64, "UBIGINT", 8)                                                                 \
    X(COLUMN_FLOAT, "FLOAT", 4)                                                                    \
    X(COLUMN_DOUBLE, "DOUBLE", 8)                                                                  \
    X(COLUMN_STRING, "VARCHAR", 0)                                                                 \
    X(COLUMN_BINARY, "BLOB", 0)                                                                    \
    X(COLUMN_TIMESTAMP, "TIMESTAMP WITH TIME ZONE", 8) /* int64, µs since 1970-01-01 UTC */       \
    X(COLUMN_DATE, "DATE", 4)                          /* int32, days since 1970-01-01 */          \
    X(COLUMN_UUID, "UUID", 16)                         /* 16 bytes, as written, big-endian */      \
    X(COLUMN_MAP, "MAP(VARCHAR, VARCHAR)", 0)          /* text to text, keys unique and sorted */

typedef enum ColumnType {
#define X(name, sql, size) name,
    COLUMN_TYPE_LIST(X)
#undef X
} ColumnType;

const char *column_type_sql(ColumnType type);
size_t column_type_size(ColumnType type); // 0 for STRING, BINARY and MAP
bool column_type_from_sql(
    Str sql, ColumnType *out); // any case; also INT, TEXT, STRING, DOUBLE PRECISION, ...

typedef struct Field {
    Str name; // UTF-8
    ColumnType type;
    bool nullable;
} Field;

typedef struct Schema {
    const Field *fields;
    size_t count;
} Schema;

// The index of the field called `name` (exactly), or SIZE_MAX.
size_t schema_find(const Schema *schema, Str name);
// The same, ignoring ASCII case: Delta allows no two columns that differ only in case.
size_t schema_find_nocase(const Schema *schema, Str name);
