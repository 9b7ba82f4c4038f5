// SPDX-License-Identifier: Apache-2.0
//
// A batch is a block, its vectors point into it: nothing is copied but dictionaries, once per scan.
#include "store/rows_scan.h"

#include "base/mem.h"
#include "store/metrics_vectors_internal.h"
#include "store/rows_internal.h"

typedef struct ScanDict {
    bool ready; // mu
    Vector vector;
} ScanDict;

struct RowsScan {
    RowsView view;
    Schema schema;        // of the batches
    Field *schema_fields; // of `schema`
    size_t *fields;       // of the table, by column of the batches
    int64_t min_us, max_us;
    uint64_t row_count;
    _Atomic size_t next; // block
    Mutex mu;
    ScanDict *dicts; // by column of the batches
    Arena arena;     // mu: dictionaries
};

struct RowsScanWorker {
    RowsScan *scan;
    Vector *vectors;
    Arena arena; // of the batch
    MetricsDays days;
};

// --- tests ---------------------------------------------------------------------------------------

// The values of an IN test that the window's dictionary has.
static bool has_value(RowsScan *scan, size_t field, const ScanTest *test)
{
    RowsHot *hot = scan->view.window->hot;
    bool found = false;
    mutex_lock(&hot->mu); // the dictionary's hash table moves
    for (size_t i = 0; i < test->value_count && scan->view.dicts[field] != NULL; i++) {
        const Bytes b = test->values[i].bytes;
        found =
            found || metrics_dict_find(scan->view.dicts[field], (Str){(const char *)b.ptr, b.len},
                                       hot->key) < scan->view.dict_counts[field];
    }
    mutex_unlock(&hot->mu);
    return found;
}

// Times that a test allows.
static void narrow_times(RowsScan *scan, const ScanTest *test, bool date)
{
    int64_t low = test->kind == SCAN_TEST_RANGE && test->has_min ? test->min.i64 : INT64_MIN;
    int64_t high = test->kind == SCAN_TEST_RANGE && test->has_max ? test->max.i64 : INT64_MAX;
    if (test->kind == SCAN_TEST_IN) {
        low = INT64_MAX;
        high = INT64_MIN;
        for (size_t i = 0; i < test->value_count; i++) {
            low = test->values[i].i64 < low ? test->values[i].i64 : low;
            high = test->values[i].i64 > high ? test->values[i].i64 : high;
        }
    }
    if (date) {
        metrics_day_range_us(&low, &high);
    }
    scan->min_us = low > scan->min_us ? low : scan->min_us;
    scan->max_us = high < scan->max_us ? high : scan->max_us;
    if (test->kind == SCAN_TEST_IS_NULL) { // a row always has a time
        scan->max_us = INT64_MIN;
    }
}

static void apply_tests(RowsScan *scan, const size_t *fields, const RowsScanOptions *options)
{
    const RowsHot *hot = scan->view.window->hot;
    for (size_t i = 0; i < options->test_count; i++) {
        const ScanTest *test = &options->tests[i];
        const size_t field = fields[test->column];
        const ColumnType type = options->schema->fields[test->column].type;
        if (field == ROWS_FIELD_DATE || field == hot->time_field) {
            narrow_times(scan, test, field == ROWS_FIELD_DATE);
        } else if (field != SIZE_MAX && (type == COLUMN_STRING || type == COLUMN_BINARY) &&
                   test->kind == SCAN_TEST_IN && !test->or_null && !has_value(scan, field, test)) {
            scan->max_us = INT64_MIN;
        }
    }
}

static bool is_wanted(const RowsScan *scan, const RowsBlockView *block)
{
    return block->row_count != 0 && block->max_us >= scan->min_us && block->min_us <= scan->max_us;
}

// --- opening -------------------------------------------------------------------------------------

Status rows_scan_open(const RowsScanOptions *options, RowsScan **out, Err *err)
{
    Status st = OK;
    size_t *fields = mem_new(size_t, options->schema->count);
    Field *columns = mem_new(Field, options->column_count);
    RowsScan *scan = mem_new(RowsScan, 1);
    *out = NULL;
    mutex_init(&scan->mu);
    atomic_init(&scan->next, 0);
    rows_view_init(&scan->view, options->window);
    scan->schema_fields = columns;
    scan->schema = (Schema){.fields = columns, .count = options->column_count};
    scan->fields = mem_new(size_t, options->column_count);
    scan->dicts = mem_new(ScanDict, options->column_count);
    scan->min_us = INT64_MIN;
    scan->max_us = INT64_MAX;
    TRY_OUT(rows_view_fields(options->window->hot, options->schema, fields, err));
    for (size_t i = 0; i < options->column_count; i++) {
        columns[i] = options->schema->fields[options->columns[i]];
        scan->fields[i] = fields[options->columns[i]];
    }
    apply_tests(scan, fields, options);
    for (size_t i = 0; i < scan->view.block_count; i++) {
        const RowsBlockView *block = &scan->view.blocks[i];
        scan->row_count += is_wanted(scan, block) ? block->row_count : 0;
    }
    *out = scan;
    scan = NULL;
out:
    mem_free(fields);
    rows_scan_close(scan);
    return st;
}

void rows_scan_close(RowsScan *scan)
{
    if (scan == NULL) {
        return;
    }
    rows_view_deinit(&scan->view);
    arena_deinit(&scan->arena);
    mutex_deinit(&scan->mu);
    mem_free(scan->schema_fields);
    mem_free(scan->fields);
    mem_free(scan->dicts);
    mem_free(scan);
}

uint64_t rows_scan_row_count(const RowsScan *scan)
{
    return scan->row_count;
}

// --- batches -------------------------------------------------------------------------------------

RowsScanWorker *rows_scan_worker_new(RowsScan *scan)
{
    RowsScanWorker *w = mem_new(RowsScanWorker, 1);
    w->scan = scan;
    w->vectors = mem_new(Vector, scan->schema.count);
    return w;
}

void rows_scan_worker_free(RowsScanWorker *w)
{
    if (w == NULL) {
        return;
    }
    metrics_days_deinit(&w->days);
    arena_deinit(&w->arena);
    mem_free(w->vectors);
    mem_free(w);
}

static const Vector *dict_get(RowsScan *scan, size_t column)
{
    ScanDict *out = &scan->dicts[column];
    const size_t field = scan->fields[column];
    mutex_lock(&scan->mu);
    if (!out->ready) {
        const uint32_t count = scan->view.dict_counts[field];
        Str *entries = mem_new(Str, count);
        for (uint32_t i = 0; i < count; i++) {
            entries[i] = metrics_dict_str(scan->view.dicts[field], i);
        }
        out->vector =
            rows_dict_vector(scan->schema.fields[column].type, entries, count, &scan->arena);
        out->ready = true;
        mem_free(entries);
    }
    mutex_unlock(&scan->mu);
    return &out->vector;
}

static Vector block_vector(RowsScanWorker *w, const RowsBlockView *view, size_t column)
{
    RowsScan *scan = w->scan;
    const size_t field = scan->fields[column];
    const ColumnType type = scan->schema.fields[column].type;
    const RowsBlock *b = view->block;
    if (field == ROWS_FIELD_DATE) {
        const RowsColumn *time = &b->columns[scan->view.window->hot->time_field];
        return metrics_days_vector(&w->days, (const int64_t *)(const void *)time->data,
                                   view->row_count);
    }
    if (field >= b->column_count) {
        return vector_nulls(type, view->row_count, &w->arena);
    }
    Vector v = {
        .type = type,
        .form = VECTOR_FLAT,
        .row_count = view->row_count,
        .validity = view->validity[field],
        .data = b->columns[field].data,
    };
    if (rows_type_has_codes(type)) {
        v.form = VECTOR_DICT;
        v.codes = b->columns[field].codes;
        v.dict = dict_get(scan, column);
    }
    return v;
}

Status rows_scan_next(RowsScanWorker *w, Batch *out, Err *err)
{
    (void)err; // reading memory does not fail; the signature is that of every source of batches
    RowsScan *scan = w->scan;
    *out = (Batch){.schema = &scan->schema, .columns = w->vectors};
    const RowsBlockView *view = NULL;
    do {
        // Relaxed: blocks only have to differ.
        const size_t i = atomic_fetch_add_explicit(&scan->next, 1, memory_order_relaxed);
        if (i >= scan->view.block_count) {
            return OK;
        }
        view = &scan->view.blocks[i];
    } while (!is_wanted(scan, view));
    arena_reset(&w->arena);
    for (size_t i = 0; i < scan->schema.count; i++) {
        w->vectors[i] = block_vector(w, view, i);
    }
    out->row_count = view->row_count;
    return OK;
}
