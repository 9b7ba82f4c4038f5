// SPDX-License-Identifier: Apache-2.0
//
// What the Delta log says about one data file, in a form that can be compared: row count, min, max
// and null count per column (`add.stats`, Delta protocol "Per-file Statistics"), and our own tags.
//
// Statistics are answers for other readers (count(*) comes from numRecords), so what is written is
// exact. Reading is lenient: what is missing or malformed prunes nothing. Strings are prefixes of
// at most 32 characters, a maximum is rounded up; timestamps are cut to milliseconds, so a maximum
// that is read back is widened. Tags only accelerate: a file without them is read like any other.
//
// Immutable once built; any thread.
#pragma once

#include "base/buf.h"
#include "parquet/writer.h"
#include "store/delta.h"
#include "store/scan.h"

enum { FILE_STATS_STRING_CHARS = 32 }; // as Spark writes them; longer values are cut

typedef struct FileBound {
    bool known;
    union {
        int64_t i64;
        double f64;
        Bytes bytes;
    };
} FileBound;

typedef struct FileColumn {
    uint32_t column;    // in the schema of the table
    int64_t null_count; // -1: not known
    FileBound min, max; // not known either when all rows are null
} FileColumn;

typedef struct FileStats {
    int64_t row_count;         // -1: not known
    const FileColumn *columns; // by column; only those something is known of
    uint32_t column_count;
} FileStats;

typedef struct FileTags {
    bool present;       // false: written by others, or rewritten
    uint32_t level;     // of compaction; 0: a flush
    uint64_t order;     // ascends with every flush of the table; 0: not known
    uint64_t wal_first; // sequences of the frames its rows came from
    uint64_t wal_last;
    uint64_t series_count;
    uint64_t hash; // XXH3-64 of the file
    bool overlap;  // may hold samples that an older file holds too (same series and timestamp)
} FileTags;

// Appends the stats JSON of a finished file. Columns without rows in `summary` order are those of
// `schema`, which is the schema of the file.
void file_stats_write(const Schema *schema, const ParquetFileSummary *summary, Buf *out);

// Reads stats JSON; anything malformed gives row_count -1 and no columns. Lives in `arena`.
FileStats file_stats_read(Str json, const Schema *schema, Arena *arena);

const FileColumn *file_stats_column(const FileStats *stats, size_t column); // NULL: nothing known

// False when it is certain that no row of the file meets `test`. `type` is the column's.
bool file_stats_may_match(const FileStats *stats, const ScanTest *test, ColumnType type);

// The tags as the log keeps them. `sort` is the joined names of the sort key.
DeltaKeyValue *file_tags_write(const FileTags *tags, Str sort, Arena *arena, size_t *count);
bool file_tag_is_hash(const DeltaKeyValue *tag);
FileTags file_tags_read(const DeltaKeyValue *tags, size_t count);
