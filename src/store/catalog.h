// SPDX-License-Identifier: Apache-2.0
//
// TableVersion: one version of a table's Delta log with everything scans want to know of its files
// already worked out: partition, statistics, tags. DataFile: one file of it. Both are immutable
// once made and reference-counted, so a scan keeps what it reads while flushes publish newer
// versions; files that two versions share are one object. Any thread.
#pragma once

#include "store/delta.h"
#include "store/file_stats.h"

typedef struct DataFile {
    Str path;     // from the folder of the process
    Str log_path; // as the log names it
    uint64_t size_bytes;
    FileStats stats;
    FileTags tags;
    bool has_date; // partition; false: the time was outside of what a date can be, or NULL
    int32_t date;  // days since 1970-01-01
} DataFile;

DataFile *catalog_file_ref(DataFile *file);
void catalog_file_unref(DataFile *file); // accepts NULL

typedef struct TableVersion {
    DeltaState *state;
    Schema schema; // of the log, partition column included
    DataFile *const *files;
    size_t file_count;
    uint64_t row_count, size_bytes; // of the files; files that do not say count as no rows
    uint64_t order_max;             // greatest FileTags.order
} TableVersion;

// Takes `state` (its reference). `dir` is the folder of the table; `previous` (may be NULL) lends
// the files that both have. The result has one reference.
TableVersion *table_version_new(Str dir, DeltaState *state, const TableVersion *previous);
TableVersion *table_version_ref(TableVersion *version);
void table_version_unref(TableVersion *version); // accepts NULL

// The times the file's rows have, µs, from its statistics or else its partition; INT64_MIN and
// INT64_MAX when nothing is known. `time_column` is the index in the schema.
void catalog_file_times(const DataFile *file, size_t time_column, int64_t *min_us, int64_t *max_us);
