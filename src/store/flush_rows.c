// SPDX-License-Identifier: Apache-2.0
//
// The rows of sealed windows of a typed table as files: one per day of the time column, in the
// order of the table's sort key.
#include "store/flush_internal.h"
#include "store/rows_run.h"

#define DAY_US INT64_C(86400000000)

typedef struct RowsFlush {
    FlushJob *job;
    RowsRun *run;
    Schema schema;
    ParquetColumnOptions *columns;
    ParquetSortingColumn *sorting;
    uint32_t sorting_count;
    Str sort;
} RowsFlush;

static void choose_options(RowsFlush *f)
{
    const TableDef *def = &f->job->table->def;
    Arena *arena = &f->job->arena;
    f->columns = arena_new(arena, ParquetColumnOptions, f->schema.count);
    f->sorting = arena_new(arena, ParquetSortingColumn, def->sort_key_count);
    for (size_t i = 0; i < def->bloom_column_count; i++) {
        f->columns[schema_find(&f->schema, def->bloom_columns[i])].bloom = true;
    }
    Buf names;
    buf_init(&names, 0);
    for (size_t i = 0; i < def->sort_key_count; i++) {
        const size_t at = schema_find(&f->schema, def->sort_key[i]);
        f->sorting[f->sorting_count++] =
            (ParquetSortingColumn){.column = (int32_t)at, .nulls_first = true};
        buf_putf(&names, "%s" STR_FMT, i == 0 ? "" : ",", STR_ARG(def->sort_key[i]));
    }
    f->sort = arena_str(arena, buf_str(&names));
    buf_deinit(&names);
}

static Status copy_rows(RowsCursor *cursor, FlushFile *file, Err *err)
{
    for (;;) {
        Batch batch;
        TRY(rows_cursor_next(cursor, &batch, err));
        if (batch.row_count == 0) {
            return OK;
        }
        TRY(flush_file_write(file, &batch, 0, err));
    }
}

static Status write_day(RowsFlush *f, int32_t day, Err *err)
{
    FlushFile *file = NULL;
    const FlushFileSpec spec = {.schema = &f->schema,
                                .date = day,
                                .columns = f->columns,
                                .sorting = f->sorting,
                                .sorting_count = f->sorting_count,
                                .sort = f->sort};
    TRY(flush_file_open(f->job, &spec, &file, err));
    const RowsCursorOptions options = {.min_us = day * DAY_US, .max_us = day * DAY_US + DAY_US - 1};
    RowsCursor *cursor = rows_cursor_new(f->run, &options);
    const Status st = copy_rows(cursor, file, err);
    rows_cursor_free(cursor);
    if (st != OK) {
        flush_file_discard(file);
        return st;
    }
    return flush_file_finish(file, err);
}

Status flush_rows(FlushJob *job, Err *err)
{
    Status st = OK;
    RowsFlush f = {.job = job};
    RowsRunDay *days = NULL;
    size_t day_count = 0;
    rows_hot_schema(job->table->rows, &job->arena, &f.schema);
    flush_widen_schema(job, &f.schema);
    const RowsRunOptions options = {
        .windows = job->windows.rows, .window_count = job->windows.rows_count, .schema = &f.schema};
    TRY_OUT(rows_run_open(&options, &f.run, err));
    choose_options(&f);
    rows_run_days(f.run, &job->arena, &days, &day_count);
    for (size_t i = 0; i < day_count; i++) {
        TRY_OUT(write_day(&f, days[i].day, err));
    }
out:
    rows_run_close(f.run);
    return st;
}
