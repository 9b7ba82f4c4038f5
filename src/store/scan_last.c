// SPDX-License-Identifier: Apache-2.0
//
// Last write wins. A part (a file, or the hot windows together) is marked when it may hold samples
// that rewrite older ones. So whenever two parts hold a sample of the same series and time, all but
// the oldest of them are marked. If no marked part of the range has an older part at its side,
// there is nothing to do and nothing is spent. Otherwise the keys of the marked parts' samples are
// collected, with the rank of the newest part that has each, and rows of older parts are dropped
// when their key is found.
//
// Only tests that both copies of a sample answer alike may narrow what is collected: those on the
// time, on the metric's name and on labels, never those on the value.
#include "base/mem.h"
#include "store/scan_gather.h"
#include "store/scan_internal.h"

#include <stdlib.h>

typedef struct Part {
    ScanFile source;        // file == NULL: the hot windows
    int64_t min_us, max_us; // of its rows
    bool marked;
} Part;

struct ScanLast {
    Scan *scan;
    Part *parts; // by rank; in the scan's arena
    size_t count;
    bool hot_marked;
    Mutex mu;       // held while the keys are collected
    bool collected; // mu
    Status failed;  // mu
    Err failure;    // mu
};

static bool is_identity(const Scan *scan, size_t column)
{
    const Field *field = &scan->snapshot->schema.fields[column];
    return column == METRICS_NAME || column == METRICS_LABELS ||
           (column >= METRICS_LABELS_FIRST && field->type == COLUMN_STRING);
}

static void choose_tests(Scan *scan)
{
    FilterTest *tests = arena_new(&scan->arena, FilterTest, scan->filter.count);
    size_t n = 0;
    for (size_t i = 0; i < scan->filter.count; i++) {
        const size_t column = scan->filter.tests[i].test.column;
        // Not `labels`: a label may have moved to a column of its own since.
        if (column == METRICS_TIMESTAMP || column == METRICS_DATE ||
            (is_identity(scan, column) && column != METRICS_LABELS)) {
            tests[n++] = scan->filter.tests[i];
        }
    }
    scan->last_filter = (ScanFilter){.tests = tests, .count = n};
}

static bool part_may_match(const Scan *scan, const DataFile *file)
{
    for (size_t i = 0; i < scan->last_filter.count && !scan->options.no_file_pruning; i++) {
        if (!scan_file_may_match(scan, file, &scan->last_filter.tests[i])) {
            return false;
        }
    }
    return true;
}

static int compare_parts(const void *a, const void *b)
{
    const uint64_t x = ((const Part *)a)->source.file->tags.order;
    const uint64_t y = ((const Part *)b)->source.file->tags.order;
    return (x > y) - (x < y);
}

// All files that may hold wanted series, whether or not their values are wanted.
static void list_files(ScanLast *plan)
{
    const Scan *scan = plan->scan;
    const TableVersion *version = scan->snapshot->version;
    plan->parts = arena_new(&plan->scan->arena, Part, version->file_count + 1);
    for (size_t i = 0; i < version->file_count && !scan->options.no_cold; i++) {
        DataFile *file = version->files[i];
        if (file->stats.row_count != 0 && part_may_match(scan, file)) {
            Part *part = &plan->parts[plan->count++];
            part->source.file = file;
            part->marked = file->tags.overlap || !file->tags.present;
            catalog_file_times(file, METRICS_TIMESTAMP, &part->min_us, &part->max_us);
        }
    }
    qsort(plan->parts, plan->count, sizeof(*plan->parts), compare_parts);
    uint32_t rank = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const bool same = i > 0 && compare_parts(&plan->parts[i - 1], &plan->parts[i]) == 0;
        rank += same ? 0 : 1;
        plan->parts[i].source.rank = rank;
    }
    plan->scan->hot_rank = rank + 1;
}

static void add_hot(ScanLast *plan)
{
    const Scan *scan = plan->scan;
    const HotWindows *hot = &scan->snapshot->hot;
    Part part = {.source.rank = scan->hot_rank, .min_us = INT64_MAX, .max_us = INT64_MIN};
    for (size_t i = 0; i < hot->metrics_count && !scan->options.no_hot; i++) {
        MetricsWindowInfo info;
        metrics_window_info(hot->metrics[i], &info);
        if (info.min_ms <= info.max_ms) {
            part.min_us = info.min_ms * 1000 < part.min_us ? info.min_ms * 1000 : part.min_us;
            part.max_us = info.max_ms * 1000 > part.max_us ? info.max_ms * 1000 : part.max_us;
            part.marked = part.marked || info.overlap_series > 0;
        }
    }
    if (part.min_us <= part.max_us) {
        plan->parts[plan->count++] = part;
        plan->hot_marked = part.marked;
    }
}

static bool parts_meet(const Part *a, const Part *b)
{
    return a->min_us <= b->max_us && b->min_us <= a->max_us;
}

// Whether `part` may hold newer copies of samples that some other part holds. Files of the same
// flush do not share samples, but files whose order is not known may.
static bool has_older(const ScanLast *plan, const Part *part)
{
    for (size_t i = 0; i < plan->count; i++) {
        const Part *other = &plan->parts[i];
        if (other->source.rank < part->source.rank && parts_meet(other, part)) {
            return true;
        }
    }
    return false;
}

// Marks the scan's files whose rows may have newer copies in one of the marked parts.
static void mark_files(ScanLast *plan)
{
    Scan *scan = plan->scan;
    for (size_t i = 0; i < plan->count; i++) {
        Part *old = &plan->parts[i];
        bool dedup = false;
        for (size_t k = 0; k < plan->count; k++) {
            const Part *part = &plan->parts[k];
            dedup = dedup ||
                    (part->marked && part->source.rank > old->source.rank && parts_meet(part, old));
        }
        for (size_t k = 0; k < scan->file_count && old->source.file != NULL; k++) {
            if (scan->files[k].file == old->source.file) {
                scan->files[k].dedup = dedup;
                scan->files[k].rank = old->source.rank;
            }
        }
    }
}

static void need_identity(Scan *scan)
{
    const Schema *schema = &scan->snapshot->schema;
    scan_need(scan, METRICS_TIMESTAMP);
    for (size_t i = 0; i < schema->count; i++) {
        if (is_identity(scan, i)) {
            scan_need(scan, i);
        }
    }
    scan->time_at = scan_needed_at(scan, METRICS_TIMESTAMP);
}

// --- hot windows as one --------------------------------------------------------------------------

// Opens all hot windows as one run without duplicates among themselves.
static Status open_run(Scan *scan, Err *err)
{
    const HotWindows *hot = &scan->snapshot->hot;
    ScanTest *tests = arena_new(&scan->arena, ScanTest, scan->last_filter.count);
    for (size_t i = 0; i < scan->last_filter.count; i++) {
        tests[i] = scan->last_filter.tests[i].test;
    }
    const MetricsRunOptions options = {.windows = hot->metrics,
                                       .window_count = hot->metrics_count,
                                       .schema = &scan->snapshot->schema,
                                       .tests = tests,
                                       .test_count = scan->last_filter.count};
    return metrics_run_open(&options, &scan->run, err);
}

static Status add_hot_keys(Scan *scan, Err *err)
{
    Status st = OK;
    Arena arena;
    const MetricsCursorOptions options = {.overlap = METRICS_ONLY_OVERLAP,
                                          .rows_max = SCAN_HOT_BATCH_ROWS};
    MetricsCursor *cursor = metrics_cursor_new(scan->run, &options);
    arena_init(&arena, 0);
    for (;;) {
        Batch batch;
        arena_reset(&arena);
        TRY_OUT(scan_check_cancelled(scan, err));
        TRY_OUT(metrics_cursor_next(cursor, &batch, err));
        if (batch.row_count == 0) {
            break;
        }
        Vector *columns = arena_new(&arena, Vector, scan->identity_count);
        for (size_t i = 0; i < scan->identity_count; i++) {
            columns[i] = batch.columns[scan->needed[i]];
        }
        uint64_t *selection = arena_new(&arena, uint64_t, selection_words(batch.row_count));
        gather_selection_fill(selection, batch.row_count);
        TRY_OUT(
            scan_last_add(scan, columns, batch.row_count, scan->hot_rank, selection, &arena, err));
    }
out:
    arena_deinit(&arena);
    metrics_cursor_free(cursor);
    return st;
}

static Status collect_keys(ScanLast *plan, Err *err)
{
    Scan *scan = plan->scan;
    for (size_t i = 0; i < plan->count; i++) {
        Part *part = &plan->parts[i];
        if (!part->marked) {
            continue;
        }
        if (part->source.file == NULL) {
            TRY(add_hot_keys(scan, err));
        } else {
            TRY(file_reading_keys(scan, &part->source, err));
        }
    }
    return OK;
}

Status scan_last_collect(Scan *scan, Err *err)
{
    ScanLast *plan = scan->last_plan;
    if (plan == NULL) {
        return OK;
    }
    mutex_lock(&plan->mu);
    if (!plan->collected) {
        plan->collected = true;
        plan->failed = collect_keys(plan, err);
        if (plan->failed != OK) {
            plan->failure = *err;
        }
    }
    const Status st = plan->failed;
    if (st != OK) {
        *err = plan->failure;
    }
    mutex_unlock(&plan->mu);
    return st;
}

Status scan_last_open(Scan *scan, Err *err)
{
    if (scan->snapshot->table->metrics == NULL) {
        return OK; // rows of typed tables have no identity
    }
    ScanLast plan = {.scan = scan};
    choose_tests(scan);
    list_files(&plan);
    add_hot(&plan);
    bool any = false;
    for (size_t i = 0; i < plan.count; i++) {
        plan.parts[i].marked = plan.parts[i].marked && has_older(&plan, &plan.parts[i]);
        any = any || plan.parts[i].marked;
    }
    if (any || plan.hot_marked) {
        need_identity(scan);
        mark_files(&plan);
    }
    if (plan.hot_marked) { // there may be duplicates among the windows, too
        TRY(open_run(scan, err));
    }
    if (any) {
        scan->last = dedup_new(&scan->snapshot->store->budget);
        scan->last_plan = mem_new(ScanLast, 1);
        *scan->last_plan = plan;
        mutex_init(&scan->last_plan->mu);
    }
    return OK;
}

void scan_last_close(Scan *scan)
{
    if (scan->last_plan != NULL) {
        mutex_deinit(&scan->last_plan->mu);
        mem_free(scan->last_plan);
    }
    dedup_free(scan->last);
    metrics_run_close(scan->run);
}

// --- rows ----------------------------------------------------------------------------------------

static SampleKey *row_keys(const Scan *scan, const Vector *columns, uint32_t row_count,
                           Arena *scratch)
{
    IdentityColumn *identity = arena_new(scratch, IdentityColumn, scan->identity_count);
    size_t n = 0;
    for (size_t i = 0; i < scan->identity_count; i++) {
        const size_t column = scan->needed[i];
        if (is_identity(scan, column)) {
            const Str name = scan->snapshot->schema.fields[column].name;
            identity[n++] = (IdentityColumn){
                .label = column == METRICS_NAME ? STR("__name__") : name, .vector = &columns[i]};
        }
    }
    SampleKey *keys = arena_new(scratch, SampleKey, row_count);
    dedup_keys(identity, n, &columns[scan->time_at], scan->snapshot->store->meta.labels_key.v, keys,
               scratch);
    return keys;
}

Status scan_last_add(Scan *scan, const Vector *columns, uint32_t row_count, uint32_t rank,
                     const uint64_t *selection, Arena *scratch, Err *err)
{
    SampleKey *keys = row_keys(scan, columns, row_count, scratch);
    uint32_t n = 0;
    for (uint32_t i = 0; i < row_count; i++) {
        if (validity_get(selection, i)) {
            keys[n++] = keys[i];
        }
    }
    return dedup_add(scan->last, keys, n, rank, err);
}

void scan_last_filter(const Scan *scan, const Vector *columns, uint32_t row_count, uint32_t rank,
                      bool must_know, Arena *scratch, uint64_t *selection)
{
    const SampleKey *keys = row_keys(scan, columns, row_count, scratch);
    dedup_filter(scan->last, keys, row_count, rank, must_know, selection);
}
