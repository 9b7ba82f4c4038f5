// SPDX-License-Identifier: Apache-2.0
//
// FlushJob: what one flush of one table gathers between sealing the windows and the commit. Owned
// by the thread that holds Table.flush_mu.
#pragma once

#include "store/store_internal.h"

typedef struct FlushJob {
    Table *table;
    Arena arena; // everything below
    HotWindows windows;
    uint64_t order;               // FileTags.order of the files
    uint64_t wal_first, wal_last; // sequences of the frames the rows came from
    DeltaTxn txns[WAL_SHARDS];
    size_t txn_count;
    Schema schema; // of the table after the commit; count 0: unchanged

    DeltaFile *files; // finished and synced
    size_t file_count, file_cap;
    uint64_t row_count, size_bytes;
} FlushJob;

// Write the rows of job->windows to files; flush_metrics.c and flush_rows.c.
Status flush_metrics(FlushJob *job, Err *err);
Status flush_rows(FlushJob *job, Err *err);
// Sets job->schema when the hot tier has columns that the log does not know yet.
void flush_widen_schema(FlushJob *job, const Schema *hot);

// One data file being written.
typedef struct FlushFile FlushFile;

typedef struct FlushFileSpec {
    const Schema *schema; // of the file: without the partition column
    int32_t date;         // the partition, days since 1970-01-01
    bool overlap;
    const ParquetColumnOptions *columns;
    const ParquetSortingColumn *sorting;
    uint32_t sorting_count;
    Str sort; // names of the sort order, for the tag
} FlushFileSpec;

Status flush_file_open(FlushJob *job, const FlushFileSpec *spec, FlushFile **out, Err *err);
Status flush_file_write(FlushFile *file, const Batch *batch, uint64_t series_count, Err *err);
// Completes and syncs the file and its name, and adds it to job->files. The file is gone either
// way; when it failed, or had no rows, nothing of it is left on disk.
Status flush_file_finish(FlushFile *file, Err *err);
void flush_file_discard(FlushFile *file); // removes what was written; accepts NULL
// Removes all files of the job from disk: the commit did not happen.
void flush_files_remove(FlushJob *job);
