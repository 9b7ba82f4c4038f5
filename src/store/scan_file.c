// SPDX-License-Identifier: Apache-2.0
//
// One row group of a data file. With tests, reading has two passes where that pays: first only the
// columns of the tests, page by page, which gives the wanted rows; then all columns, of these rows
// only, so pages without a wanted row are neither read nor decoded. Without tests, or when most
// rows were wanted last time, one pass.
#include "base/mem.h"
#include "store/rows_coerce.h"
#include "store/scan_gather.h"
#include "store/scan_internal.h"

enum {
    LATE_PERCENT_MAX = 40, // when more rows than this were wanted, one pass is cheaper
    RANGE_GAP_ROWS = 512,  // wanted rows closer than this are read as one range
};

struct FileReading {
    ScanFile *file;
    uint32_t group;
    uint32_t group_rows;
    uint64_t group_first;      // row number in the file
    Arena arena;               // of the whole row group
    FileColumnSource *sources; // one per column of scan->needed, up to column_count
    size_t column_count; // needed columns that are read: with the identity when rows may be old
    ScanFilter filter;   // the tests that say something about this file
    ParquetTest *tests;  // those of them that the reader can prune with
    size_t test_count;

    ParquetScan *scan;
    ParquetScanOptions options;
    size_t *field_of;   // needed column -> place in options.fields; SIZE_MAX: not in this pass
    uint64_t emitted;   // rows handed out
    uint64_t *selected; // wanted rows of the row group, from the first pass; NULL: one pass
    // The one value that a column has in all wanted rows, known from its test: not read again.
    const ScanValue **known;
    Vector *columns; // of the batch
};

// --- columns -------------------------------------------------------------------------------------

// Whether no row of the row group has a label in `labels`.
static bool map_is_empty(const FileReading *r)
{
    const ParquetReader *parquet = reader_cache_parquet(r->file->reader);
    size_t field_count;
    const ParquetField *fields = parquet_reader_fields(parquet, &field_count);
    for (size_t i = 0; i < field_count; i++) {
        if (str_eq(fields[i].field.name, table_metrics_schema()->fields[METRICS_LABELS].name)) {
            const ParquetRowGroup *group = &parquet_reader_meta(parquet)->row_groups[r->group];
            const ParquetColumnChunk *keys = &group->columns[fields[i].first_leaf];
            return keys->statistics.has_null_count &&
                   keys->statistics.null_count == keys->value_count;
        }
    }
    return true;
}

static void find_sources(const Scan *scan, const ParquetReader *parquet, FileReading *r)
{
    size_t field_count;
    const ParquetField *fields = parquet_reader_fields(parquet, &field_count);
    r->sources = arena_new(&r->arena, FileColumnSource, r->column_count);
    for (size_t i = 0; i < r->column_count; i++) {
        const Str name = scan->snapshot->schema.fields[scan->needed[i]].name;
        r->sources[i].field = SIZE_MAX;
        for (size_t k = 0; k < field_count; k++) {
            if (str_eq(fields[k].field.name, name)) {
                r->sources[i].field = k;
                r->sources[i].type = fields[k].field.type;
            }
        }
        if (scan->options.labels_anywhere && scan->needed[i] == METRICS_LABELS && map_is_empty(r)) {
            r->sources[i].field = SIZE_MAX; // not worth reading
        }
    }
}

static ParquetValue parquet_value(const ScanValue *v)
{
    return (ParquetValue){.i64 = v->i64, .f64 = v->f64, .bytes = v->bytes};
}

static ParquetTestKind parquet_kind(ScanTestKind kind)
{
    switch (kind) {
    case SCAN_TEST_IN:
        return PARQUET_TEST_EQ;
    case SCAN_TEST_RANGE:
        return PARQUET_TEST_RANGE;
    case SCAN_TEST_IS_NULL:
        return PARQUET_TEST_NULL;
    case SCAN_TEST_NOT_NULL:
        return PARQUET_TEST_NOT_NULL;
    }
    UNREACHABLE();
}

static ParquetTest parquet_test(const ScanTest *test, size_t field, Arena *arena)
{
    ParquetValue *values = arena_new(arena, ParquetValue, test->value_count);
    for (size_t i = 0; i < test->value_count; i++) {
        values[i] = parquet_value(&test->values[i]);
    }
    return (ParquetTest){.field = field,
                         .kind = parquet_kind(test->kind),
                         .values = values,
                         .value_count = test->value_count,
                         .has_min = test->has_min,
                         .has_max = test->has_max,
                         .min = parquet_value(&test->min),
                         .max = parquet_value(&test->max),
                         .or_null = test->or_null};
}

// The tests that say something about rows of this file, and those of them that the reader can
// prune with: those on columns that the file has in the table's own type. False when a test cannot
// be met at all, because the file does not have the column.
static bool find_tests(const Scan *scan, const ScanFilter *filter, FileReading *r)
{
    FilterTest *tests = arena_new(&r->arena, FilterTest, filter->count);
    r->filter = (ScanFilter){.tests = tests};
    r->tests = arena_new(&r->arena, ParquetTest, filter->count);
    for (size_t i = 0; i < filter->count; i++) {
        const FilterTest *test = &filter->tests[i];
        const FileColumnSource *source = &r->sources[scan_needed_at(scan, test->test.column)];
        const Str name = scan->snapshot->schema.fields[test->test.column].name;
        const bool missing = source->field == SIZE_MAX && !str_eq(name, STR(TABLE_DATE_COLUMN));
        if (missing && scan->options.labels_anywhere && test->test.column != METRICS_NAME &&
            !map_is_empty(r)) {
            continue;
        }
        if (!test->test.parts_only) {
            tests[r->filter.count++] = *test;
        }
        if (missing) {
            if (test->test.kind != SCAN_TEST_IS_NULL && !test->test.or_null &&
                !scan->options.no_row_group_pruning) {
                return false;
            }
        } else if (source->field != SIZE_MAX && source->type == test->type) {
            r->tests[r->test_count++] = parquet_test(&test->test, source->field, &r->arena);
        }
    }
    return true;
}

// The needed column `i` of a batch as the table has it.
static Status column_vector(const Scan *scan, FileReading *r, size_t i, const Batch *batch,
                            Arena *arena, Err *err)
{
    const Field *field = &scan->snapshot->schema.fields[scan->needed[i]];
    const FileColumnSource *source = &r->sources[i];
    Vector *out = &r->columns[i];
    if (source->field == SIZE_MAX) {
        const bool is_date = str_eq(field->name, STR(TABLE_DATE_COLUMN));
        *out =
            is_date && r->file->file->has_date
                ? vector_constant_fixed(COLUMN_DATE, &r->file->file->date, batch->row_count, arena)
                : vector_nulls(field->type, batch->row_count, arena);
        return OK;
    }
    if (r->known[i] != NULL) {
        const Bytes b = r->known[i]->bytes;
        *out = vector_constant_str(field->type, (Str){(const char *)b.ptr, b.len}, batch->row_count,
                                   arena);
        return OK;
    }
    *out = batch->columns[r->field_of[i]];
    if (out->type == field->type) {
        return OK;
    }
    const Vector stored = *out;
    if (coerce_vector(&stored, field->type, arena, out, err) != OK) {
        return err_prefix(err, "column '" STR_FMT "': ", STR_ARG(field->name));
    }
    return OK;
}

static Status in_file(const ScanFile *file, Err *err)
{
    return err_prefix(err, "data file '" STR_FMT "': ", STR_ARG(file->file->path));
}

// --- passes --------------------------------------------------------------------------------------

// Whether the needed column is looked at by a test.
static bool is_tested(const Scan *scan, const FileReading *r, size_t i)
{
    for (size_t k = 0; k < r->filter.count; k++) {
        if (r->filter.tests[k].test.column == scan->needed[i]) {
            return true;
        }
    }
    return false;
}

// The only value of the needed column in wanted rows, when a test says so.
static const ScanValue *only_value(const Scan *scan, const FileReading *r, size_t i)
{
    for (size_t k = 0; k < r->filter.count; k++) {
        const FilterTest *f = &r->filter.tests[k];
        if (f->test.column == scan->needed[i] && f->test.kind == SCAN_TEST_IN &&
            f->test.value_count == 1 && !f->test.or_null && f->type == COLUMN_STRING) {
            return &f->test.values[0];
        }
    }
    return NULL;
}

typedef enum ReadingPass { PASS_ALL, PASS_TESTED } ReadingPass;

static Status open_pass(const Scan *scan, FileReading *r, ReadingPass pass, Err *err)
{
    size_t *fields = arena_new(&r->arena, size_t, r->column_count);
    r->field_of = arena_new(&r->arena, size_t, r->column_count);
    r->known = arena_new(&r->arena, const ScanValue *, r->column_count);
    r->options.field_count = 0;
    for (size_t i = 0; i < r->column_count; i++) {
        r->field_of[i] = SIZE_MAX;
        r->known[i] = pass == PASS_ALL && r->selected != NULL ? only_value(scan, r, i) : NULL;
        if (r->known[i] == NULL && r->sources[i].field != SIZE_MAX &&
            (pass == PASS_ALL || is_tested(scan, r, i))) {
            r->field_of[i] = r->options.field_count;
            fields[r->options.field_count++] = r->sources[i].field;
        }
    }
    r->options.fields = fields;
    parquet_scan_free(r->scan);
    r->scan = NULL;
    const ParquetReader *parquet = reader_cache_parquet(r->file->reader);
    return parquet_scan_new(parquet, &r->options, &r->scan, err);
}

static void count_pass(Scan *scan, const FileReading *r, bool first)
{
    ParquetScanStats s;
    parquet_scan_stats(r->scan, &s);
    const uint64_t pruned = s.row_groups_pruned + s.row_groups_bloom_pruned;
    scan_add_stats(scan, &(ScanStats){.row_groups_total = first ? s.row_groups_total : 0,
                                      .row_groups_pruned = first ? pruned : 0,
                                      .pages_total = s.pages_total,
                                      .pages_pruned = s.pages_pruned,
                                      .rows_read = first ? s.rows_read : 0,
                                      .bytes_read = s.bytes_read});
}

// The last word of `count` bits, of which only those count.
static uint64_t last_word_mask(uint32_t count)
{
    return count % 64 == 0 ? UINT64_MAX : (UINT64_C(1) << count % 64) - 1;
}

// ORs `count` bits of `from` into `to` at bit `at`.
static void put_bits(uint64_t *to, uint64_t at, const uint64_t *from, uint32_t count)
{
    const uint32_t shift = at & 63;
    const size_t words = selection_words(count);
    to += at >> 6;
    for (size_t i = 0; i < words; i++) {
        const uint64_t word = i + 1 == words ? from[i] & last_word_mask(count) : from[i];
        to[i] |= word << shift;
        if (shift != 0 && word >> (64 - shift) != 0) {
            to[i + 1] |= word >> (64 - shift);
        }
    }
}

// `count` bits of `from`, the first at bit `at`.
static void get_bits(const uint64_t *from, uint64_t at, uint64_t *to, uint32_t count)
{
    const uint32_t shift = at & 63;
    const size_t words = selection_words(count);
    from += at >> 6;
    for (size_t i = 0; i < words; i++) {
        // The word behind the last one is only read when it holds bits that are wanted.
        const bool more = shift != 0 && (i + 1) * 64 - shift < count;
        to[i] = from[i] >> shift | (more ? from[i + 1] << (64 - shift) : 0);
    }
    if (words > 0) {
        to[words - 1] &= last_word_mask(count);
    }
}

// The wanted rows as ranges of the file's rows.
static void set_ranges(FileReading *r)
{
    ParquetRowRange *ranges =
        arena_new(&r->arena, ParquetRowRange, r->group_rows / RANGE_GAP_ROWS + 1);
    size_t n = 0;
    for (size_t i = 0; i < selection_words(r->group_rows); i++) {
        if (r->selected[i] == UINT64_MAX && n > 0 &&
            ranges[n - 1].first + ranges[n - 1].count == r->group_first + i * 64) {
            ranges[n - 1].count += 64;
            continue;
        }
        for (uint64_t word = r->selected[i]; word != 0; word &= word - 1) {
            const uint64_t row = r->group_first + i * 64 + (uint64_t)__builtin_ctzll(word);
            if (n > 0 && row - (ranges[n - 1].first + ranges[n - 1].count) < RANGE_GAP_ROWS) {
                ranges[n - 1].count = row + 1 - ranges[n - 1].first;
            } else {
                ranges[n++] = (ParquetRowRange){.first = row, .count = 1};
            }
        }
    }
    r->options.row_ranges = ranges;
    r->options.row_range_count = n;
}

// The first pass: which rows meet the tests.
static Status find_rows(ScanWorker *w, FileReading *r, Err *err)
{
    const Scan *scan = w->scan;
    Arena batch_arena;
    Status st = OK;
    arena_init(&batch_arena, 0);
    r->selected = arena_new(&r->arena, uint64_t, selection_words(r->group_rows));
    TRY_OUT(open_pass(scan, r, PASS_TESTED, err));
    for (;;) {
        Batch batch;
        uint64_t first_row;
        arena_reset(&batch_arena);
        TRY_OUT(scan_check_cancelled(scan, err));
        TRY_OUT(parquet_scan_next(r->scan, &batch, &first_row, err));
        if (batch.row_count == 0) {
            break;
        }
        for (size_t i = 0; i < r->column_count; i++) {
            if (is_tested(scan, r, i)) {
                TRY_OUT(column_vector(scan, r, i, &batch, &batch_arena, err));
            }
        }
        uint64_t *selection = arena_new(&batch_arena, uint64_t, selection_words(batch.row_count));
        gather_selection_fill(selection, batch.row_count);
        const ScanRows rows = {.columns = r->columns, .row_count = batch.row_count};
        scan_test_rows(scan, &r->filter, w->caches, &rows, &batch_arena, selection);
        put_bits(r->selected, first_row - r->group_first, selection, batch.row_count);
    }
    count_pass(w->scan, r, true);
    const uint64_t count = gather_selection_count(r->selected, r->group_rows);
    w->late_rows_percent = (size_t)(count * 100 / (r->group_rows + 1));
    set_ranges(r);
out:
    arena_deinit(&batch_arena);
    scan_worker_forget(w); // the dictionaries of this pass go with it
    return st;
}

static bool pays_to_pass_twice(const ScanWorker *w, const FileReading *r)
{
    const Scan *scan = w->scan;
    if (r->filter.count == 0 || scan->options.no_row_filter ||
        w->late_rows_percent > LATE_PERCENT_MAX) {
        return false;
    }
    for (size_t i = 0; i < r->column_count; i++) {
        if (r->sources[i].field != SIZE_MAX && !is_tested(scan, r, i)) {
            return true;
        }
    }
    return false; // nothing is left for a second pass
}

static Status reading_new(ScanFile *file, uint32_t group, size_t column_count, FileReading **out,
                          Err *err)
{
    *out = NULL;
    const ParquetFileMeta *meta = parquet_reader_meta(reader_cache_parquet(file->reader));
    if (meta->row_groups[group].row_count > INT32_MAX) {
        return err_set(err, ERR_UNSUPPORTED, "a row group of %" PRId64 " rows",
                       meta->row_groups[group].row_count);
    }
    FileReading *r = mem_new(FileReading, 1);
    arena_init(&r->arena, 0);
    r->file = file;
    r->group = group;
    r->column_count = column_count;
    r->columns = arena_new(&r->arena, Vector, column_count);
    for (uint32_t i = 0; i < group; i++) {
        r->group_first += (uint64_t)meta->row_groups[i].row_count;
    }
    r->group_rows = (uint32_t)meta->row_groups[group].row_count;
    *out = r;
    return OK;
}

static void reading_free(FileReading *r)
{
    if (r == NULL) {
        return;
    }
    parquet_scan_free(r->scan);
    arena_deinit(&r->arena);
    mem_free(r);
}

static void set_parquet_options(const Scan *scan, FileReading *r)
{
    r->options = (ParquetScanOptions){.tests = r->tests,
                                      .test_count = r->test_count,
                                      .batch_rows = SCAN_BATCH_ROWS,
                                      .row_group_first = r->group,
                                      .row_group_count = 1,
                                      .no_row_group_pruning = scan->options.no_row_group_pruning,
                                      .no_page_pruning = scan->options.no_page_pruning,
                                      .no_bloom = scan->options.no_bloom};
}

// --- taking row groups ---------------------------------------------------------------------------

typedef struct Morsel {
    ScanFile *file; // NULL: none is left
    uint32_t group;
    bool open_first; // the file is this worker's to open
} Morsel;

// Prefers row groups of files that are open. Files that another worker is opening are passed over:
// whoever opens a file reads it to the end, if nobody helps.
static Morsel take_locked(Scan *scan) REQUIRES(scan->mu)
{
    for (size_t i = scan->first_file; i < scan->next_file; i++) {
        ScanFile *file = &scan->files[i];
        if (file->opened && file->next_group < file->group_count) {
            file->users++;
            return (Morsel){.file = file, .group = file->next_group++};
        }
        if (i == scan->first_file && file->done) {
            scan->first_file++;
        }
    }
    if (scan->next_file < scan->file_count) {
        ScanFile *file = &scan->files[scan->next_file++];
        file->users++;
        return (Morsel){.file = file, .open_first = true};
    }
    return (Morsel){0};
}

// The worker is done with its part of the file; the last one gives the reader back.
static void leave_file(Scan *scan, ScanFile *file)
{
    CachedReader *reader = NULL;
    mutex_lock(&scan->mu);
    if (--file->users == 0 && file->next_group >= file->group_count) {
        reader = file->reader;
        file->reader = NULL;
        file->done = true;
    }
    mutex_unlock(&scan->mu);
    reader_cache_release(scan->snapshot->store->readers, reader);
}

static Status open_file(Scan *scan, ScanFile *file, Err *err)
{
    CachedReader *reader;
    TRY(reader_cache_get(scan->snapshot->store->readers, file->file, &reader, err));
    mutex_lock(&scan->mu);
    file->reader = reader;
    file->group_count = parquet_reader_meta(reader_cache_parquet(reader))->row_group_count;
    file->opened = true;
    mutex_unlock(&scan->mu);
    return OK;
}

// The row group as a reading, ready for its first batch; *out is NULL when nothing in it can be
// wanted.
static Status begin(ScanWorker *w, ScanFile *file, uint32_t group, FileReading **out, Err *err)
{
    Scan *scan = w->scan;
    FileReading *r;
    Status st = OK;
    *out = NULL;
    scan_worker_forget(w); // the dictionaries of the row group before are gone
    TRY(reading_new(file, group, file->dedup ? scan->identity_count : scan->needed_count, &r, err));
    find_sources(scan, reader_cache_parquet(file->reader), r);
    if (!find_tests(scan, &scan->filter, r)) {
        scan_add_stats(scan, &(ScanStats){.row_groups_total = 1, .row_groups_pruned = 1});
        goto out;
    }
    set_parquet_options(scan, r);
    if (pays_to_pass_twice(w, r)) {
        TRY_OUT(find_rows(w, r, err));
        if (r->options.row_range_count == 0) {
            goto out;
        }
    }
    TRY_OUT(open_pass(scan, r, PASS_ALL, err));
    *out = r;
    r = NULL;
out:
    reading_free(r);
    return st == OK ? OK : in_file(file, err);
}

Status file_reading_next(ScanWorker *w, FileReading **out, Err *err)
{
    Scan *scan = w->scan;
    *out = NULL;
    for (;;) {
        mutex_lock(&scan->mu);
        const Morsel morsel = take_locked(scan);
        mutex_unlock(&scan->mu);
        if (morsel.file == NULL) {
            return OK;
        }
        const Status st = morsel.open_first ? open_file(scan, morsel.file, err)
                                            : begin(w, morsel.file, morsel.group, out, err);
        if (*out != NULL) {
            return OK; // the file is left when the reading is freed
        }
        leave_file(scan, morsel.file);
        TRY(st);
    }
}

void file_reading_free(ScanWorker *w, FileReading *r)
{
    if (r == NULL) {
        return;
    }
    count_pass(w->scan, r, r->selected == NULL);
    if (r->selected == NULL) {
        w->late_rows_percent = (size_t)(r->emitted * 100 / ((uint64_t)r->group_rows + 1));
    }
    ScanFile *file = r->file;
    reading_free(r);
    leave_file(w->scan, file);
}

// --- batches -------------------------------------------------------------------------------------

static Status read_columns(const Scan *scan, FileReading *r, const Batch *batch, Arena *arena,
                           Err *err)
{
    for (size_t i = 0; i < r->column_count; i++) {
        TRY(column_vector(scan, r, i, batch, arena, err));
    }
    return OK;
}

static Status next_batch(ScanWorker *w, FileReading *r, Batch *out, Err *err)
{
    const Scan *scan = w->scan;
    for (;;) {
        Batch batch;
        uint64_t first_row;
        arena_reset(&w->arena);
        TRY(scan_check_cancelled(scan, err));
        TRY(parquet_scan_next(r->scan, &batch, &first_row, err));
        if (batch.row_count == 0) {
            return OK;
        }
        TRY(read_columns(scan, r, &batch, &w->arena, err));
        const ScanRows rows = {.columns = r->columns, .row_count = batch.row_count};
        uint64_t *selection = arena_new(&w->arena, uint64_t, selection_words(batch.row_count));
        if (r->selected != NULL) {
            get_bits(r->selected, first_row - r->group_first, selection, batch.row_count);
        } else {
            gather_selection_fill(selection, batch.row_count);
            if (!scan->options.no_row_filter) {
                scan_test_rows(scan, &r->filter, w->caches, &rows, &w->arena, selection);
            }
        }
        if (r->file->dedup) {
            scan_last_filter(scan, r->columns, batch.row_count, r->file->rank, false, &w->arena,
                             selection);
        }
        scan_worker_emit(w, &rows, selection, false, out);
        r->emitted += out->row_count;
        if (out->row_count > 0) {
            return OK;
        }
    }
}

Status file_reading_batch(ScanWorker *w, FileReading *r, Batch *out, Err *err)
{
    *out = (Batch){.schema = &w->schema, .columns = w->columns};
    return next_batch(w, r, out, err) == OK ? OK : in_file(r->file, err);
}

ScanPart scan_worker_part(const ScanWorker *w)
{
    if (w->reading == NULL) {
        return (ScanPart){0};
    }
    const FileTags *tags = &w->reading->file->file->tags;
    return (ScanPart){.file = w->reading->file,
                      .group = w->reading->group,
                      .order = tags->order,
                      .is_sorted = tags->present};
}

// --- keys ----------------------------------------------------------------------------------------

static Status add_keys(Scan *scan, FileReading *r, FilterCache *caches, Err *err)
{
    Status st = OK;
    Arena arena;
    arena_init(&arena, 0);
    for (;;) {
        Batch batch;
        uint64_t first_row;
        arena_reset(&arena);
        TRY_OUT(scan_check_cancelled(scan, err));
        TRY_OUT(parquet_scan_next(r->scan, &batch, &first_row, err));
        if (batch.row_count == 0) {
            break;
        }
        TRY_OUT(read_columns(scan, r, &batch, &arena, err));
        const ScanRows rows = {.columns = r->columns, .row_count = batch.row_count};
        uint64_t *selection = arena_new(&arena, uint64_t, selection_words(batch.row_count));
        gather_selection_fill(selection, batch.row_count);
        scan_test_rows(scan, &r->filter, caches, &rows, &arena, selection);
        TRY_OUT(scan_last_add(scan, r->columns, batch.row_count, r->file->rank, selection, &arena,
                              err));
    }
out:
    arena_deinit(&arena);
    return st;
}

static Status group_keys(Scan *scan, ScanFile *file, uint32_t group, Err *err)
{
    Status st = OK;
    FileReading *r;
    TRY(reading_new(file, group, scan->identity_count, &r, err));
    FilterCache *caches = mem_new(FilterCache, scan->last_filter.count);
    find_sources(scan, reader_cache_parquet(file->reader), r);
    if (find_tests(scan, &scan->last_filter, r)) {
        set_parquet_options(scan, r);
        TRY_OUT(open_pass(scan, r, PASS_ALL, err));
        TRY_OUT(add_keys(scan, r, caches, err));
    }
out:
    for (size_t i = 0; i < scan->last_filter.count; i++) {
        filter_cache_deinit(&caches[i]);
    }
    mem_free(caches);
    reading_free(r);
    return st;
}

Status file_reading_keys(Scan *scan, ScanFile *file, Err *err)
{
    Status st = OK;
    TRY(open_file(scan, file, err));
    for (uint32_t group = 0; st == OK && group < file->group_count; group++) {
        st = group_keys(scan, file, group, err);
    }
    reader_cache_release(scan->snapshot->store->readers, file->reader);
    file->reader = NULL;
    return st == OK ? OK : in_file(file, err);
}
