// SPDX-License-Identifier: Apache-2.0
//
// Results as text: JSON, newline-delimited JSON, CSV, and a table for people. Rows are written as
// they come; only SQL_FORMAT_JSON_COLUMNS and SQL_FORMAT_TABLE, whose layout needs all rows, keep
// them. One owner, one thread.
//
//   json          {"columns":[{"name":"n","type":"BIGINT"},...],"data":[[1,...],...],"rows":N,
//                 "stats":{...}}
//   json_columns  the same, with "data":{"n":[1,...],...}
//   ndjson        {"n":1,...} per line
//   csv           RFC 4180 with a header; NULL is an empty field, an empty text is ""
//   table         lines of columns, cut to a number of rows
//
// Numbers are exact: integers of any width as digits, doubles as the shortest text that reads back
// the same. JSON has no NaN and no infinity: they are null. Times are RFC 3339 in UTC, BLOBs are
// hex.
#pragma once

#include "sql/sql.h"

typedef enum SqlFormat {
    SQL_FORMAT_JSON,
    SQL_FORMAT_JSON_COLUMNS,
    SQL_FORMAT_NDJSON,
    SQL_FORMAT_CSV,
    SQL_FORMAT_TABLE,
} SqlFormat;

bool sql_format_parse(Str name, SqlFormat *out);
const char *sql_format_content_type(SqlFormat format);

typedef struct SqlWriter SqlWriter;

// `columns` has schema->count elements; both are borrowed.
SqlWriter *sql_writer_new(SqlFormat format, const Schema *schema, const SqlColumn *columns);
void sql_writer_free(SqlWriter *w);                    // accepts NULL
void sql_writer_rows_max(SqlWriter *w, uint64_t rows); // SQL_FORMAT_TABLE: shows no more; 0: all

// Each appends what can be written already.
void sql_writer_begin(SqlWriter *w, Buf *out);
void sql_writer_rows(SqlWriter *w, const Batch *batch, Buf *out);
void sql_writer_end(SqlWriter *w, const SqlStats *stats, Buf *out);

// One value as text, as CSV and tables show it. Empty for NULL.
void sql_format_value(const Vector *v, uint32_t row, Buf *out);
