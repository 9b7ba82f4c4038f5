// SPDX-License-Identifier: Apache-2.0
//
// TableDef rules: which definitions of typed tables are accepted, what their defaults are, which
// definitions ship with cardinal, and how a definition is kept in the properties of its Delta
// table. The Delta log is the only place a definition lives; there is no second file to disagree
// with. Pure functions, any thread.
#pragma once

#include "store/delta.h"
#include "store/store.h"

// The partition column of every table, computed from the time column; it is not in the files.
#define TABLE_DATE_COLUMN "date"
#define TABLE_METRICS "metrics"
// Columns of `metrics` that come with the first sample that needs them: the blob of a native
// histogram (BINARY; such a row has no value), and the start timestamp of a counter (TIMESTAMP).
#define METRICS_HISTOGRAM "histogram"
#define METRICS_START "start_timestamp"

enum {
    TABLE_NUMBER_METRICS = 0, // of WAL frames; typed tables count from 1
    TABLE_NUMBER_MAX = 1 << 30,
};

bool table_name_is_valid(Str name); // [a-z_][a-z0-9_]*, at most STORE_TABLE_NAME_MAX

// ERR_INVALID with the rule and the column at fault. `def` may leave defaults out.
Status table_def_check(const TableDef *def, Err *err);
// The rules for the name of one column of a typed table.
Status table_column_check(Str table, Str column, Err *err);

// A copy in `arena` with every default filled in: the time column is named and not nullable, and
// the sort key ends with it.
void table_def_complete(const TableDef *def, Arena *arena, TableDef *out);

// The ready definitions: flows, ior_events. NULL when `name` is none of them.
const TableDef *table_def_known(Str name);

// What an unknown table's first rows define: their columns, with `timestamp` as time column.
TableDef table_def_infer(Str name, const Schema *schema);

// The columns every `metrics` table starts with; label columns follow them, in order of appearance.
//   timestamp, metric_name, value, labels, date
enum {
    METRICS_TIMESTAMP,
    METRICS_NAME,
    METRICS_VALUE,
    METRICS_LABELS, // MAP of the labels without a column of their own; NULL when there are none
    METRICS_DATE,
    METRICS_LABELS_FIRST, // the first label column
};
const Schema *table_metrics_schema(void);

// The schema with the partition column at the end, as it is given to Delta.
Schema table_def_delta_schema(const TableDef *def, Arena *arena);
// Table properties that hold the rest of `def` and the table's number.
DeltaKeyValue *table_def_properties(const TableDef *def, uint32_t number, Arena *arena,
                                    size_t *count);
// The way back. *number is TABLE_NUMBER_METRICS and *out empty but for name and schema when the
// table is `metrics`. The schema is that of `state`, partition column included.
// ERR_CORRUPT  a property is missing or does not fit the schema
Status table_def_read(Str name, const DeltaState *state, Arena *arena, TableDef *out,
                      uint32_t *number, Err *err);
