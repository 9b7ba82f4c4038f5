// SPDX-License-Identifier: Apache-2.0
#include "store/scan.h"

#include "base/mem.h"
#include "store/scan_gather.h"
#include "store/scan_internal.h"

// --- planning ------------------------------------------------------------------------------------

size_t scan_needed_at(const Scan *scan, size_t column)
{
    for (size_t i = 0; i < scan->identity_count; i++) {
        if (scan->needed[i] == column) {
            return i;
        }
    }
    return SIZE_MAX;
}

void scan_need(Scan *scan, size_t column)
{
    if (scan_needed_at(scan, column) == SIZE_MAX) {
        scan->needed[scan->identity_count++] = column;
    }
}

static Status plan_columns(Scan *scan, const ScanOptions *options, Err *err)
{
    const Schema *schema = &scan->snapshot->schema;
    scan->needed = arena_new(&scan->arena, size_t, schema->count);
    size_t *columns = arena_new(&scan->arena, size_t, options->column_count);
    for (size_t i = 0; i < options->column_count; i++) {
        if (options->columns[i] >= schema->count) {
            return err_set(err, ERR_INVALID, "column %zu of %zu", options->columns[i],
                           schema->count);
        }
        columns[i] = options->columns[i];
        scan_need(scan, columns[i]);
    }
    scan->options = *options;
    scan->options.columns = columns;
    TRY(filter_compile(schema, options->tests, options->test_count, &scan->arena, &scan->filter,
                       err));
    scan->options.tests = NULL; // the filter has its own copies
    for (size_t i = 0; i < scan->filter.count; i++) {
        scan_need(scan, scan->filter.tests[i].test.column);
    }
    scan->needed_count = scan->identity_count;
    return OK;
}

// Whether the partition meets a test on the partition column.
static bool date_may_match(const DataFile *file, const FilterTest *test)
{
    uint64_t selection = 1;
    FilterCache cache = {0};
    Arena scratch;
    arena_init(&scratch, 0);
    const uint64_t validity = file->has_date;
    const Vector v = {.type = COLUMN_DATE,
                      .form = VECTOR_FLAT,
                      .row_count = 1,
                      .validity = &validity,
                      .data = &file->date};
    filter_apply(test, &v, &cache, &scratch, &selection);
    arena_deinit(&scratch);
    return selection != 0;
}

bool scan_file_may_match(const Scan *scan, const DataFile *file, const FilterTest *test)
{
    const Field *field = &scan->snapshot->schema.fields[test->test.column];
    if (str_eq(field->name, STR(TABLE_DATE_COLUMN))) {
        return date_may_match(file, test);
    }
    return file_stats_may_match(&file->stats, &test->test, test->type);
}

static bool file_may_match(const Scan *scan, const DataFile *file)
{
    for (size_t i = 0; i < scan->filter.count; i++) {
        if (!scan_file_may_match(scan, file, &scan->filter.tests[i])) {
            return false;
        }
    }
    return true;
}

static void plan_files(Scan *scan)
{
    const TableVersion *version = scan->snapshot->version;
    scan->stats.files_total = version->file_count;
    if (scan->options.no_cold) {
        return;
    }
    scan->files = arena_new(&scan->arena, ScanFile, version->file_count);
    for (size_t i = 0; i < version->file_count; i++) {
        DataFile *file = version->files[i];
        if (file->stats.row_count == 0 ||
            (!scan->options.no_file_pruning && !file_may_match(scan, file))) {
            scan->stats.files_pruned++;
            continue;
        }
        scan->files[scan->file_count++].file = file;
    }
}

Status scan_open(Snapshot *snapshot, const ScanOptions *options, Scan **out, Err *err)
{
    Status st = OK;
    Scan *scan = mem_new(Scan, 1);
    *out = NULL;
    scan->snapshot = snapshot;
    arena_init(&scan->arena, 0);
    arena_init(&scan->dictionaries, 0);
    mutex_init(&scan->mu);
    TRY_OUT(plan_columns(scan, options, err));
    plan_files(scan);
    if (!options->all_versions) {
        TRY_OUT(scan_last_open(scan, err));
    }
    TRY_OUT(scan_hot_open(scan, err));
    *out = scan;
    scan = NULL;
out:
    scan_close(scan);
    return st;
}

void scan_close(Scan *scan)
{
    if (scan == NULL) {
        return;
    }
    scan_hot_close(scan);
    for (size_t i = 0; i < scan->file_count; i++) {
        reader_cache_release(scan->snapshot->store->readers, scan->files[i].reader);
    }
    scan_last_close(scan);
    mutex_deinit(&scan->mu);
    arena_deinit(&scan->dictionaries);
    arena_deinit(&scan->arena);
    mem_free(scan);
}

uint32_t scan_parallelism(const Scan *scan)
{
    // Row groups are not known before files are opened; a million rows are about one.
    uint64_t parts = scan->hot_count;
    for (size_t i = 0; i < scan->file_count; i++) {
        const int64_t rows = scan->files[i].file->stats.row_count;
        parts += 1 + (rows > 0 ? (uint64_t)rows >> 20 : 0);
    }
    const uint32_t cpus = os_cpu_count();
    const uint64_t useful = parts < cpus ? parts : cpus;
    return useful > 0 ? (uint32_t)useful : 1;
}

ScanFiles scan_files(const Scan *scan)
{
    ScanFiles out = {
        .count = scan->file_count, .are_sorted = true, .min_us = INT64_MAX, .max_us = INT64_MIN};
    for (size_t i = 0; i < scan->file_count; i++) {
        const DataFile *file = scan->files[i].file;
        int64_t min_us = INT64_MIN;
        int64_t max_us = INT64_MAX;
        catalog_file_times(file, scan->snapshot->table->time_column, &min_us, &max_us);
        out.are_sorted = out.are_sorted && file->tags.present;
        out.min_us = min_us < out.min_us ? min_us : out.min_us;
        out.max_us = max_us > out.max_us ? max_us : out.max_us;
    }
    return out;
}

void scan_stats(const Scan *scan, ScanStats *out)
{
    Mutex *mu = (Mutex *)&((Scan *)(uintptr_t)scan)->mu; // figures do not change the scan
    mutex_lock(mu);
    *out = scan->stats;
    mutex_unlock(mu);
}

void scan_add_stats(Scan *scan, const ScanStats *more)
{
    mutex_lock(&scan->mu);
    scan->stats.row_groups_total += more->row_groups_total;
    scan->stats.row_groups_pruned += more->row_groups_pruned;
    scan->stats.pages_total += more->pages_total;
    scan->stats.pages_pruned += more->pages_pruned;
    scan->stats.rows_read += more->rows_read;
    scan->stats.rows_returned += more->rows_returned;
    scan->stats.bytes_read += more->bytes_read;
    scan->stats.hot_rows += more->hot_rows;
    mutex_unlock(&scan->mu);
}

void scan_cancel(Scan *scan)
{
    atomic_store_explicit(&scan->cancelled, true, memory_order_relaxed);
}

Status scan_check_cancelled(const Scan *scan, Err *err)
{
    if (atomic_load_explicit(&scan->cancelled, memory_order_relaxed)) {
        return err_set(err, ERR_CANCELLED, "the scan was cancelled");
    }
    return OK;
}

// --- workers -------------------------------------------------------------------------------------

Status scan_worker_open(Scan *scan, ScanWorker **out, Err *err)
{
    (void)err;
    ScanWorker *w = mem_new(ScanWorker, 1);
    const size_t column_count = scan->options.column_count;
    w->scan = scan;
    arena_init(&w->arena, 0);
    w->caches = mem_new(FilterCache, scan->filter.count);
    w->dictionaries = mem_new(DictionaryCopy, column_count);
    w->columns = mem_new(Vector, column_count);
    w->fields = mem_new(Field, column_count);
    for (size_t i = 0; i < column_count; i++) {
        w->fields[i] = scan->snapshot->schema.fields[scan->options.columns[i]];
    }
    w->schema = (Schema){.fields = w->fields, .count = column_count};
    mutex_lock(&scan->mu);
    w->hot_first = scan->workers_opened++;
    mutex_unlock(&scan->mu);
    *out = w;
    return OK;
}

void scan_worker_close(ScanWorker *w)
{
    if (w == NULL) {
        return;
    }
    scan_hot_worker_close(w);
    file_reading_free(w, w->reading);
    for (size_t i = 0; i < w->scan->filter.count; i++) {
        filter_cache_deinit(&w->caches[i]);
    }
    mem_free(w->caches);
    mem_free(w->dictionaries);
    mem_free(w->columns);
    mem_free(w->fields);
    arena_deinit(&w->arena);
    mem_free(w);
}

void scan_worker_forget(ScanWorker *w)
{
    for (size_t i = 0; i < w->scan->filter.count; i++) {
        filter_cache_reset(&w->caches[i]);
    }
    memset(w->dictionaries, 0, w->scan->options.column_count * sizeof(*w->dictionaries));
}

void scan_test_rows(const Scan *scan, const ScanFilter *filter, FilterCache *caches,
                    const ScanRows *rows, Arena *scratch, uint64_t *selection)
{
    for (size_t i = 0; i < filter->count; i++) {
        const FilterTest *test = &filter->tests[i];
        const size_t at = scan_needed_at(scan, test->test.column);
        filter_apply(test, &rows->columns[at], &caches[i], scratch, selection);
    }
}

// --- dictionaries --------------------------------------------------------------------------------

static uint64_t dictionary_bytes(const Vector *dict)
{
    const size_t width = column_type_size(dict->type);
    const uint64_t payload = width != 0 ? (uint64_t)dict->row_count * width
                             : dict->offsets != NULL
                                 ? dict->offsets[dict->row_count] - dict->offsets[0]
                                 : 0;
    return payload + ((uint64_t)dict->row_count + 1) * sizeof(uint32_t);
}

// A copy in scan->dictionaries, with scan->mu held.
static const Vector *copy_dictionary_locked(Scan *scan, const Vector *dict) REQUIRES(scan->mu)
{
    Arena *arena = &scan->dictionaries;
    Vector *copy = arena_new(arena, Vector, 1);
    const size_t width = column_type_size(dict->type);
    *copy = *dict;
    if (width != 0) {
        void *data = arena_alloc(arena, (size_t)dict->row_count + 1, width, 16);
        memcpy(data, dict->data, dict->row_count * width);
        copy->data = data;
        return copy;
    }
    uint32_t *offsets = arena_new(arena, uint32_t, (size_t)dict->row_count + 1);
    const uint32_t first = dict->offsets[0];
    for (uint32_t i = 0; i <= dict->row_count; i++) {
        offsets[i] = dict->offsets[i] - first;
    }
    uint8_t *bytes = arena_new(arena, uint8_t, (size_t)offsets[dict->row_count] + 1);
    memcpy(bytes, dict->bytes + first, offsets[dict->row_count]);
    copy->offsets = offsets;
    copy->bytes = bytes;
    return copy;
}

// The copy of `dict` that outlives the morsel; NULL when it is too large for that.
static const Vector *lasting_dictionary(ScanWorker *w, size_t column, const Vector *dict)
{
    DictionaryCopy *known = &w->dictionaries[column];
    if (known->from == dict) {
        return known->copy;
    }
    Scan *scan = w->scan;
    known->from = dict;
    known->copy = NULL;
    if (dict->row_count <= SCAN_DICTIONARY_VALUES_MAX) {
        const uint64_t bytes = dictionary_bytes(dict);
        mutex_lock(&scan->mu);
        if (scan->dictionaries.used_bytes + bytes <= SCAN_DICTIONARIES_BYTES_MAX) {
            known->copy = copy_dictionary_locked(scan, dict);
        }
        mutex_unlock(&scan->mu);
    }
    return known->copy;
}

// The same rows with a dictionary that stays valid until scan_close(), or without one.
static Vector with_lasting_dictionary(ScanWorker *w, size_t column, const Vector *v)
{
    if (v->form == VECTOR_FLAT) {
        return *v;
    }
    const Vector *coded = v->form == VECTOR_RUNS ? v->runs : v;
    if (coded->form != VECTOR_DICT) {
        return *v;
    }
    const Vector *dict = lasting_dictionary(w, column, coded->dict);
    Vector out = *coded;
    if (dict != NULL) {
        out.dict = dict;
    } else {
        out = vector_flatten(coded, &w->arena);
    }
    if (v->form != VECTOR_RUNS) {
        return out;
    }
    Vector *runs = arena_new(&w->arena, Vector, 1);
    *runs = out;
    out = *v;
    out.runs = runs;
    return out;
}

// --- batches -------------------------------------------------------------------------------------

void scan_worker_emit(ScanWorker *w, const ScanRows *rows, const uint64_t *selection,
                      bool dictionaries_last, Batch *out)
{
    const Scan *scan = w->scan;
    const uint32_t count = gather_selection_count(selection, rows->row_count);
    *out = (Batch){.schema = &w->schema, .columns = w->columns, .row_count = count};
    if (count == 0) {
        return;
    }
    uint32_t *chosen = NULL;
    if (count < rows->row_count) {
        chosen = arena_new(&w->arena, uint32_t, count);
        (void)gather_selection_rows(selection, rows->row_count, chosen);
    }
    for (size_t i = 0; i < scan->options.column_count; i++) {
        const size_t at = scan_needed_at(scan, scan->options.columns[i]);
        Vector v = rows->columns[at];
        if (chosen != NULL) {
            v = gather_vector(&v, chosen, count, &w->arena);
        }
        w->columns[i] = dictionaries_last || scan->options.short_dictionaries
                            ? v
                            : with_lasting_dictionary(w, i, &v);
    }
}

static Status next_from_files(ScanWorker *w, Batch *out, Err *err)
{
    for (;;) {
        if (w->reading == NULL) {
            TRY(file_reading_next(w, &w->reading, err));
            if (w->reading == NULL) {
                return OK;
            }
        }
        TRY(file_reading_batch(w, w->reading, out, err));
        if (out->row_count > 0) {
            return OK;
        }
        file_reading_free(w, w->reading);
        w->reading = NULL;
    }
}

static Status next_batch(ScanWorker *w, Batch *out, Err *err)
{
    TRY(scan_check_cancelled(w->scan, err));
    TRY(scan_last_collect(w->scan, err));
    TRY(scan_hot_batch(w, out, err));
    if (out->row_count > 0) {
        scan_add_stats(w->scan,
                       &(ScanStats){.hot_rows = out->row_count, .rows_returned = out->row_count});
        return OK;
    }
    TRY(next_from_files(w, out, err));
    if (out->row_count > 0) {
        scan_add_stats(w->scan, &(ScanStats){.rows_returned = out->row_count});
    }
    return OK;
}

Status scan_worker_next(ScanWorker *w, Batch *out, Err *err)
{
    *out = (Batch){.schema = &w->schema, .columns = w->columns};
    if (w->failed != OK) { // every call after a failure gives the same one
        *err = w->failure;
        return w->failed;
    }
    arena_reset(&w->arena);
    const Status st = next_batch(w, out, err);
    if (st != OK) {
        w->failed = st;
        w->failure = *err;
        *out = (Batch){.schema = &w->schema, .columns = w->columns};
    }
    return st;
}
