// SPDX-License-Identifier: Apache-2.0
//
// A scan: for each row group, decide which rows may be wanted, announce the byte ranges they are
// in, and let all columns read the same rows batch by batch. When one column can give fewer rows
// than the others (its encoding changes there), the batch ends there, and the others hand out the
// rest of what they have with the next one.
#include "base/mem.h"
#include "parquet/reader_internal.h"
#include "parquet/writer.h"

struct ParquetScan {
    const ParquetReader *r;
    ParquetScanOptions options;
    uint32_t batch_rows;
    uint32_t group, group_end; // the row group being read; the next one when none is
    bool in_group;
    ParquetRowList rows; // of the row group
    size_t span;         // rows.spans[span] is being read
    uint64_t row;        // next row of the row group
    ParquetChunkContext ctx;
    ParquetIndexes indexes;
    ParquetColumn *columns;
    Vector *vectors;
    Field *fields;
    Schema schema;
    Arena group_arena; // page locations and choices of this row group
    Arena batch_arena; // what slices of vectors need
    ParquetScanStats stats;
    uint64_t row_ranges_done; // options.row_ranges before this one are behind
    Status failed;            // every call after a failure gives the same one
    Err failure;
};

// ---- life

static Status check_options(const ParquetReader *r, const ParquetScanOptions *o, Err *err)
{
    if (o->field_count > SCHEMA_COLUMNS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "scan of %zu columns", o->field_count);
    }
    for (size_t i = 0; i < o->field_count; i++) {
        if (o->fields[i] >= r->field_count) {
            return err_set(err, ERR_INVALID, "field %zu of %zu", o->fields[i], r->field_count);
        }
        const ParquetField *f = &r->fields[o->fields[i]];
        if (!f->readable) {
            return err_set(err, ERR_UNSUPPORTED, "parquet column '" STR_FMT "': " STR_FMT,
                           STR_ARG(f->field.name), STR_ARG(f->why_not));
        }
    }
    for (size_t i = 0; i < o->row_range_count; i++) {
        const ParquetRowRange *range = &o->row_ranges[i];
        const uint64_t before =
            i == 0 ? 0 : o->row_ranges[i - 1].first + o->row_ranges[i - 1].count;
        if (range->first < before || range->first + range->count < range->first) {
            return err_set(err, ERR_INVALID, "row range %zu does not follow the one before", i);
        }
    }
    if (o->batch_rows > PARQUET_BATCH_ROWS_MAX) {
        return err_set(err, ERR_INVALID, "batches of %u rows", o->batch_rows);
    }
    return parquet_tests_check(r, o->tests, o->test_count, err);
}

Status parquet_scan_new(const ParquetReader *r, const ParquetScanOptions *options,
                        ParquetScan **out, Err *err)
{
    *out = NULL;
    TRY(check_options(r, options, err));
    const uint32_t groups = r->meta.row_group_count;
    ParquetScan *s = mem_new(ParquetScan, 1);
    s->r = r;
    s->options = *options;
    s->batch_rows = options->batch_rows == 0 ? (uint32_t)PARQUET_PAGE_ROWS : options->batch_rows;
    s->group = options->row_group_first < groups ? options->row_group_first : groups;
    s->group_end = options->row_group_count == 0 || options->row_group_count > groups - s->group
                       ? groups
                       : s->group + options->row_group_count;
    s->ctx.fetch.source = &r->source;
    s->ctx.compress = compress_new();
    s->indexes.fetch = &s->ctx.fetch;
    s->ctx.no_checksums = options->no_checksums;
    s->ctx.v2_always_compressed = r->v2_always_compressed;
    s->columns = mem_new(ParquetColumn, options->field_count);
    s->vectors = mem_new(Vector, options->field_count);
    s->fields = mem_new(Field, options->field_count);
    for (size_t i = 0; i < options->field_count; i++) {
        const ParquetField *f = &r->fields[options->fields[i]];
        s->fields[i] = f->field;
        s->columns[i] = (ParquetColumn){.reader = r, .field = f, .leaf_count = f->leaf_count};
        for (size_t k = 0; k < i; k++) {
            s->columns[i].is_repeat |= s->columns[k].field == f;
        }
    }
    s->schema = (Schema){.fields = s->fields, .count = options->field_count};
    *out = s;
    return OK;
}

static void free_column(ParquetColumn *c)
{
    ParquetScratch *all[] = {&c->validity, &c->data,      &c->offsets,    &c->codes,     &c->dense,
                             &c->run_ends, &c->run_codes, &c->run_levels, &c->text.bytes};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        parquet_scratch_deinit(all[i]);
    }
    for (size_t k = 0; k < ARRAY_LEN(c->leaves); k++) {
        parquet_leaf_deinit(&c->leaves[k]);
    }
    parquet_map_free(c);
}

void parquet_scan_free(ParquetScan *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < s->options.field_count; i++) {
        free_column(&s->columns[i]);
    }
    mem_free(s->columns);
    mem_free(s->vectors);
    mem_free(s->fields);
    mem_free(s->rows.spans);
    parquet_indexes_deinit(&s->indexes);
    parquet_fetch_deinit(&s->ctx.fetch);
    compress_free(s->ctx.compress);
    arena_deinit(&s->group_arena);
    arena_deinit(&s->batch_arena);
    mem_free(s);
}

void parquet_scan_stats(const ParquetScan *s, ParquetScanStats *out)
{
    *out = s->stats;
    out->bytes_read = s->ctx.fetch.bytes_read;
    out->pages_total = s->ctx.pages_opened + s->stats.pages_pruned;
}

// ---- which rows

// The part of options.row_ranges that is in the row group.
static void limit_rows(ParquetScan *s)
{
    const ParquetScanOptions *o = &s->options;
    const uint64_t first = s->r->group_first_row[s->group];
    const uint64_t end = s->r->group_first_row[s->group + 1];
    parquet_rows_clear(&s->rows);
    if (o->row_ranges == NULL) {
        parquet_rows_add(&s->rows, 0, end - first);
        return;
    }
    for (uint64_t i = s->row_ranges_done; i < o->row_range_count; i++) {
        const uint64_t from = o->row_ranges[i].first, to = from + o->row_ranges[i].count;
        if (to <= first) {
            s->row_ranges_done = i + 1;
            continue;
        }
        if (from >= end) {
            break;
        }
        parquet_rows_add(&s->rows, from < first ? 0 : from - first, (to < end ? to : end) - first);
    }
}

static bool statistics_allow(const ParquetScan *s)
{
    for (size_t i = 0; i < s->options.test_count && !s->options.no_row_group_pruning; i++) {
        if (!parquet_test_group(s->r, s->group, &s->options.tests[i])) {
            return false;
        }
    }
    return true;
}

static bool bloom_allows(ParquetScan *s)
{
    for (size_t i = 0; i < s->options.test_count && !s->options.no_bloom; i++) {
        if (!parquet_test_bloom(s->r, s->group, &s->options.tests[i], &s->ctx.fetch)) {
            return false;
        }
    }
    return true;
}

static bool all_rows_wanted(const ParquetScan *s)
{
    const uint64_t rows = (uint64_t)s->r->meta.row_groups[s->group].row_count;
    return s->rows.count == 1 && s->rows.spans[0].from == 0 && s->rows.spans[0].to == rows;
}

// Reads the indexes that pruning and skipping pages will ask for.
static void read_indexes(ParquetScan *s)
{
    const ParquetScanOptions *o = &s->options;
    const bool has_tests = o->test_count > 0 && !o->no_page_pruning;
    if (!has_tests && all_rows_wanted(s)) {
        return;
    }
    for (size_t i = 0; i < o->test_count && has_tests; i++) {
        const ParquetField *f = &s->r->fields[o->tests[i].field];
        parquet_indexes_want(s->r, s->group, f->first_leaf, true, &s->indexes);
    }
    for (size_t i = 0; i < o->field_count; i++) {
        const ParquetField *f = s->columns[i].field;
        for (uint32_t k = 0; k < f->leaf_count; k++) {
            parquet_indexes_want(s->r, s->group, f->first_leaf + k, false, &s->indexes);
        }
    }
    parquet_indexes_read(&s->indexes);
}

static void prune_pages(ParquetScan *s)
{
    read_indexes(s);
    for (size_t i = 0; i < s->options.test_count && !s->options.no_page_pruning; i++) {
        ParquetRowList may = {0};
        parquet_index_test(s->r, s->group, &s->options.tests[i], &s->indexes, &may);
        parquet_rows_intersect(&s->rows, &may);
        mem_free(may.spans);
    }
}

// Sets s->rows; false when the row group holds nothing that is wanted.
static bool choose_rows(ParquetScan *s)
{
    limit_rows(s);
    if (s->rows.count == 0) {
        return false;
    }
    if (!statistics_allow(s)) {
        s->stats.row_groups_pruned++;
        return false;
    }
    if (!bloom_allows(s)) {
        s->stats.row_groups_bloom_pruned++;
        return false;
    }
    prune_pages(s);
    return s->rows.count > 0;
}

// ---- which bytes

// Numbers of the pages that hold rows of s->rows; NULL when there is nothing to gain.
static const uint32_t *choose_pages(ParquetScan *s, const ParquetOffsetIndex *index,
                                    uint32_t *count)
{
    const uint64_t rows = (uint64_t)s->r->meta.row_groups[s->group].row_count;
    uint32_t *chosen = arena_new(&s->group_arena, uint32_t, index->page_count);
    size_t span = 0;
    *count = 0;
    for (uint32_t i = 0; i < index->page_count; i++) {
        const uint64_t from = (uint64_t)index->pages[i].first_row;
        const uint64_t to =
            i + 1 < index->page_count ? (uint64_t)index->pages[i + 1].first_row : rows;
        while (span < s->rows.count && s->rows.spans[span].to <= from) {
            span++;
        }
        if (span < s->rows.count && s->rows.spans[span].from < to) {
            chosen[(*count)++] = i;
        }
    }
    return *count < index->page_count ? chosen : NULL;
}

// Announces the ranges of the chosen pages, and of what comes before the first page: the
// dictionary.
static void plan_chosen(ParquetScan *s, ParquetPages *p, const ParquetOffsetIndex *index)
{
    size_t *ranges = arena_new(&s->group_arena, size_t, p->chosen_count);
    for (uint32_t i = 0; i < p->chosen_count; i++) {
        const ParquetPageLocation *l = &index->pages[p->chosen[i]];
        ranges[i] =
            parquet_fetch_add(&s->ctx.fetch, (uint64_t)l->offset, (uint64_t)l->compressed_bytes);
    }
    p->locations = index->pages;
    p->location_count = index->page_count;
    p->chosen_ranges = ranges;
    if ((uint64_t)index->pages[0].offset > p->pos) {
        p->has_dictionary_range = true;
        p->dictionary_range =
            parquet_fetch_add(&s->ctx.fetch, p->pos, (uint64_t)index->pages[0].offset - p->pos);
    }
    s->stats.pages_pruned += index->page_count - p->chosen_count;
}

// Sets where a leaf's pages are, and announces those that were chosen.
static Status begin_leaf(ParquetScan *s, ParquetColumn *c, uint32_t k, Err *err)
{
    const uint32_t leaf = c->field->first_leaf + k;
    const ParquetRowGroup *group = &s->r->meta.row_groups[s->group];
    ParquetLeafReader *l = &c->leaves[k];
    ParquetPages *p = &l->pages;
    uint64_t offset = 0, size = 0;
    parquet_leaf_begin(l, &s->ctx, &s->r->leaves[leaf], &group->columns[leaf]);
    l->row_count = (uint64_t)group->row_count;
    TRY(parquet_chunk_extent(s->r, p->chunk, &offset, &size, err));
    p->pos = offset;
    p->end = offset + size;
    if (!all_rows_wanted(s)) {
        ParquetOffsetIndex index;
        parquet_index_locations(s->r, s->group, leaf, &s->indexes, &s->group_arena, &index);
        p->chosen = choose_pages(s, &index, &p->chosen_count);
        if (p->chosen != NULL) {
            plan_chosen(s, p, &index);
        }
    }
    return OK;
}

static Status in_column(const ParquetScan *s, const ParquetColumn *c, Err *err)
{
    return err_prefix(err,
                      "parquet column '" STR_FMT "', row group %u: ", STR_ARG(c->field->field.name),
                      s->group);
}

typedef struct ReadSize {
    uint64_t bytes; // of chunks that are read as a whole
    uint32_t leaves;
} ReadSize;

static Status begin_chunks(ParquetScan *s, ReadSize *out, Err *err)
{
    uint64_t stored = 0;
    *out = (ReadSize){0};
    for (size_t i = 0; i < s->options.field_count; i++) {
        ParquetColumn *c = &s->columns[i];
        c->vector = (Vector){0};
        c->vector_pos = 0;
        for (uint32_t k = 0; k < c->leaf_count; k++) {
            const ParquetPages *p = &c->leaves[k].pages;
            if (begin_leaf(s, c, k, err) != OK) {
                return in_column(s, c, err);
            }
            stored += c->is_repeat ? 0 : (uint64_t)p->chunk->compressed_bytes;
            out->bytes += p->locations == NULL ? p->end - p->pos : 0;
            out->leaves++;
        }
        if (c->field->field.type == COLUMN_MAP) {
            parquet_map_begin(c);
        }
    }
    // Memory is bounded by the size of the file only as long as no byte is in two chunks.
    if (stored > s->r->data_end) {
        return err_set(err, ERR_CORRUPT, "parquet row group %u: column chunks overlap", s->group);
    }
    return OK;
}

// Small row groups are read at once, large ones in pieces per column, all columns together in about
// PARQUET_READ_AHEAD_BYTES.
static Status begin_columns(ParquetScan *s, Err *err)
{
    ReadSize size;
    TRY(begin_chunks(s, &size, err));
    const uint64_t wish = s->r->source.piece_bytes;
    uint64_t piece = wish == 0 ? PARQUET_READ_PIECE_BYTES : wish;
    uint64_t whole = wish == 0 ? PARQUET_CHUNK_WHOLE_BYTES : wish;
    if (size.bytes > PARQUET_READ_AHEAD_BYTES) {
        uint64_t share = PARQUET_READ_AHEAD_BYTES / size.leaves;
        share = share < PARQUET_READ_PIECE_BYTES_MIN ? PARQUET_READ_PIECE_BYTES_MIN : share;
        piece = share < piece ? share : piece;
        whole = piece;
    }
    for (size_t i = 0; i < s->options.field_count; i++) {
        for (uint32_t k = 0; k < s->columns[i].leaf_count; k++) {
            ParquetPages *p = &s->columns[i].leaves[k].pages;
            p->piece_bytes = piece;
            p->has_range = p->locations == NULL && p->end - p->pos <= whole;
            if (p->has_range) {
                p->range = parquet_fetch_add(&s->ctx.fetch, p->pos, p->end - p->pos);
            }
        }
    }
    parquet_fetch_plan(&s->ctx.fetch, piece);
    return OK;
}

static void end_group(ParquetScan *s)
{
    for (size_t i = 0; i < s->options.field_count; i++) {
        for (uint32_t k = 0; k < s->columns[i].leaf_count; k++) {
            parquet_pages_clear(&s->columns[i].leaves[k].pages);
        }
    }
    parquet_fetch_clear(&s->ctx.fetch);
    arena_reset(&s->group_arena);
    s->in_group = false;
    s->group++;
}

// Finds the next rows to read; *found is false at the end.
static Status find_rows(ParquetScan *s, bool *found, Err *err)
{
    *found = false;
    for (;;) {
        if (s->in_group) {
            if (s->row == s->rows.spans[s->span].to) {
                s->span++;
                s->row = s->span < s->rows.count ? s->rows.spans[s->span].from : 0;
            }
            if (s->span < s->rows.count) {
                *found = true;
                return OK;
            }
            end_group(s);
        }
        if (s->group >= s->group_end) {
            return OK;
        }
        s->stats.row_groups_total++;
        s->stats.rows_total += (uint64_t)s->r->meta.row_groups[s->group].row_count;
        if (!choose_rows(s)) {
            s->group++;
            continue;
        }
        s->in_group = true;
        s->span = 0;
        s->row = s->rows.spans[0].from;
        TRY(begin_columns(s, err));
    }
}

// ---- batches

static uint32_t rows_held(const ParquetColumn *c)
{
    return c->vector.row_count - c->vector_pos;
}

// Moves columns that hold no rows to s->row, and shortens *rows to what is there at once: rows that
// others hold already, or the end of a page when all pages end there.
static Status align(ParquetScan *s, uint32_t *rows, Err *err)
{
    uint64_t page_rows = 0;
    bool same = true;
    for (size_t i = 0; i < s->options.field_count; i++) {
        ParquetColumn *c = &s->columns[i];
        if (rows_held(c) > 0) {
            *rows = rows_held(c) < *rows ? rows_held(c) : *rows;
            same = false;
            continue;
        }
        const bool is_map = c->field->field.type == COLUMN_MAP;
        uint64_t left = 0;
        if ((is_map ? parquet_map_seek(c, s->row, err) : parquet_column_seek(c, s->row, err)) !=
                OK ||
            (!is_map && parquet_column_page_rows(c, &left, err) != OK)) {
            return in_column(s, c, err);
        }
        same = same && (is_map || page_rows == 0 || left == page_rows);
        page_rows = is_map ? page_rows : left;
    }
    if (same && page_rows > 0 && page_rows < *rows && page_rows >= s->batch_rows / 4) {
        *rows = (uint32_t)page_rows;
    }
    return OK;
}

static Status read_columns(ParquetScan *s, uint32_t *rows, Err *err)
{
    const uint32_t want = *rows;
    for (size_t i = 0; i < s->options.field_count; i++) {
        ParquetColumn *c = &s->columns[i];
        if (rows_held(c) == 0) {
            c->vector = (Vector){0};
            c->vector_pos = 0;
            const Status st = c->field->field.type == COLUMN_MAP
                                  ? parquet_map_read(c, want, err)
                                  : parquet_column_read(c, want, err);
            if (st != OK) {
                return in_column(s, c, err);
            }
        }
        *rows = rows_held(c) < *rows ? rows_held(c) : *rows;
    }
    return OK;
}

static void hand_out(ParquetScan *s, uint32_t rows)
{
    for (size_t i = 0; i < s->options.field_count; i++) {
        ParquetColumn *c = &s->columns[i];
        s->vectors[i] = c->vector_pos == 0 && c->vector.row_count == rows
                            ? c->vector
                            : vector_slice(&c->vector, c->vector_pos, rows, &s->batch_arena);
        c->vector_pos += rows;
    }
}

static Status next_batch(ParquetScan *s, Batch *out, uint64_t *first_row, Err *err)
{
    bool found = false;
    TRY(find_rows(s, &found, err));
    if (!found) {
        return OK;
    }
    const uint64_t left = s->rows.spans[s->span].to - s->row;
    uint32_t rows = left < s->batch_rows ? (uint32_t)left : s->batch_rows;
    TRY(align(s, &rows, err));
    TRY(read_columns(s, &rows, err));
    hand_out(s, rows);
    out->columns = s->vectors;
    out->row_count = rows;
    *first_row = s->r->group_first_row[s->group] + s->row;
    s->row += rows;
    s->stats.rows_read += rows;
    return OK;
}

Status parquet_scan_next(ParquetScan *s, Batch *out, uint64_t *first_row, Err *err)
{
    *out = (Batch){.schema = &s->schema};
    *first_row = 0;
    if (s->failed != OK) {
        *err = s->failure;
        return s->failed;
    }
    if (s->batch_arena.used_bytes > 0) {
        arena_reset(&s->batch_arena);
    }
    const Status st = next_batch(s, out, first_row, err);
    if (st != OK) {
        *out = (Batch){.schema = &s->schema};
        s->failed = st;
        s->failure = *err;
    }
    return st;
}
