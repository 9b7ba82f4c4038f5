// SPDX-License-Identifier: Apache-2.0
//
// The rows of sealed windows of `metrics` as files: one per day, and beside it one for the series
// whose samples may rewrite older ones, so that readers of the others need not look for duplicates.
#include "store/flush_internal.h"
#include "store/metrics_run.h"

// Fewer distinct values than this are found by min, max and dictionaries alone.
enum { BLOOM_CARDINALITY_MIN = 1024, DAY_MS = 86400000 };

typedef struct MetricsFlush {
    FlushJob *job;
    MetricsRun *run;
    Schema
        schema; // of the run: `labels` at the end, so that fields and leaves have the same numbers
    // The columns that go to the files: those that have a value at all.
    Schema file_schema;
    size_t *fields; // file column -> run column
    ParquetColumnOptions *columns;
    ParquetSortingColumn *sorting;
    uint32_t sorting_count;
    Str sort;
} MetricsFlush;

// What the run is asked for: every column, the MAP last.
static Schema run_schema(FlushJob *job, const Schema *hot)
{
    Field *fields = arena_new(&job->arena, Field, hot->count);
    size_t count = 0;
    const Field *map = NULL;
    for (size_t i = 0; i < hot->count; i++) {
        if (hot->fields[i].type == COLUMN_MAP) {
            map = &hot->fields[i];
        } else {
            fields[count++] = hot->fields[i];
        }
    }
    ASSERT(map != NULL);
    fields[count++] = *map;
    return (Schema){.fields = fields, .count = count};
}

static bool is_label_column(const Field *field)
{
    return field->type == COLUMN_STRING &&
           schema_find(table_metrics_schema(), field->name) == SIZE_MAX;
}

static void choose_columns(MetricsFlush *f)
{
    Arena *arena = &f->job->arena;
    const size_t all = f->schema.count;
    Field *fields = arena_new(arena, Field, all);
    f->fields = arena_new(arena, size_t, all);
    f->columns = arena_new(arena, ParquetColumnOptions, all);
    const bool has_histograms = metrics_run_has_histograms(f->run);
    const bool has_starts = metrics_run_has_starts(f->run);
    size_t count = 0;
    for (size_t i = 0; i < all; i++) {
        const Field *field = &f->schema.fields[i];
        const bool is_label = is_label_column(field);
        const bool is_histogram = str_eq(field->name, STR(METRICS_HISTOGRAM));
        const uint64_t cardinality = is_label ? metrics_run_cardinality(f->run, i) : 0;
        if ((is_label && cardinality == 0) || (is_histogram && !has_histograms) ||
            (str_eq(field->name, STR(METRICS_START)) && !has_starts)) {
            continue;
        }
        fields[count] = *field;
        if (str_eq(field->name, STR("value"))) {
            fields[count].nullable = has_histograms;
        }
        f->fields[count] = i;
        f->columns[count].no_minmax = is_histogram;
        f->columns[count++].bloom = cardinality >= BLOOM_CARDINALITY_MIN;
    }
    f->file_schema = (Schema){.fields = fields, .count = count};
}

static void choose_sorting(MetricsFlush *f)
{
    Arena *arena = &f->job->arena;
    size_t order_count;
    const size_t *order = metrics_run_order(f->run, &order_count);
    f->sorting = arena_new(arena, ParquetSortingColumn, order_count);
    Buf names;
    buf_init(&names, 0);
    for (size_t i = 0; i < order_count; i++) {
        const Field *field = &f->schema.fields[order[i]];
        const size_t at = schema_find(&f->file_schema, field->name);
        // The MAP ends what can be said: it is part of the order, but no sorting column may be a
        // group.
        if (field->type == COLUMN_MAP) {
            break;
        }
        if (at == SIZE_MAX) {
            continue;
        }
        f->sorting[f->sorting_count++] =
            (ParquetSortingColumn){.column = (int32_t)at, .nulls_first = true};
        buf_put_str(&names, field->name);
        buf_put_u8(&names, ',');
    }
    buf_put_str(&names, f->schema.fields[0].name);
    f->sort = arena_str(arena, buf_str(&names));
    buf_deinit(&names);
}

static Status copy_rows(MetricsFlush *f, MetricsCursor *cursor, FlushFile *file, Err *err)
{
    Vector *columns = arena_new(&f->job->arena, Vector, f->file_schema.count);
    for (;;) {
        Batch batch;
        TRY(metrics_cursor_next(cursor, &batch, err));
        if (batch.row_count == 0) {
            return OK;
        }
        for (size_t i = 0; i < f->file_schema.count; i++) {
            columns[i] = batch.columns[f->fields[i]];
        }
        uint32_t series_count;
        (void)metrics_cursor_series_ends(cursor, &series_count);
        const Batch narrow = {
            .schema = &f->file_schema, .columns = columns, .row_count = batch.row_count};
        TRY(flush_file_write(file, &narrow, series_count, err));
    }
}

static Status write_day(MetricsFlush *f, int32_t day, bool overlap, Err *err)
{
    FlushFile *file = NULL;
    const FlushFileSpec spec = {.schema = &f->file_schema,
                                .date = day,
                                .overlap = overlap,
                                .columns = f->columns,
                                .sorting = f->sorting,
                                .sorting_count = f->sorting_count,
                                .sort = f->sort};
    TRY(flush_file_open(f->job, &spec, &file, err));
    const MetricsCursorOptions options = {.min_ms = (int64_t)day * DAY_MS,
                                          .max_ms = (int64_t)day * DAY_MS + DAY_MS - 1,
                                          .overlap = overlap ? METRICS_ONLY_OVERLAP
                                                             : METRICS_WITHOUT_OVERLAP};
    MetricsCursor *cursor = metrics_cursor_new(f->run, &options);
    const Status st = copy_rows(f, cursor, file, err);
    metrics_cursor_free(cursor);
    if (st != OK) {
        flush_file_discard(file);
        return st;
    }
    return flush_file_finish(file, err);
}

Status flush_metrics(FlushJob *job, Err *err)
{
    Status st = OK;
    MetricsFlush f = {.job = job};
    Schema hot;
    size_t label_count;
    MetricsRunDay *days = NULL;
    size_t day_count = 0;

    metrics_hot_schema(job->table->metrics, &job->arena, &hot, &label_count);
    flush_widen_schema(job, &hot);
    f.schema = run_schema(job, &hot);
    const MetricsRunOptions options = {.windows = job->windows.metrics,
                                       .window_count = job->windows.metrics_count,
                                       .schema = &f.schema};
    TRY_OUT(metrics_run_open(&options, &f.run, err));
    choose_columns(&f);
    choose_sorting(&f);
    metrics_run_days(f.run, &job->arena, &days, &day_count);
    for (size_t i = 0; i < day_count; i++) {
        if (days[i].row_count > 0) {
            TRY_OUT(write_day(&f, days[i].day, false, err));
        }
        if (days[i].overlap_row_count > 0) {
            TRY_OUT(write_day(&f, days[i].day, true, err));
        }
    }
out:
    metrics_run_close(f.run);
    return st;
}
