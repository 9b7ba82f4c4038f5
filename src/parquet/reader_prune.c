// SPDX-License-Identifier: Apache-2.0
//
// Which rows cannot pass a test, by statistics of chunks and pages (parquet.thrift, Statistics,
// ColumnIndex, ColumnOrder; PageIndex.md). Everything here only saves work: what is missing,
// malformed or of an order we do not know leaves rows in.
#include "base/mem.h"
#include "parquet/reader_internal.h"

enum { INDEX_MAX_BYTES = 64 << 20, WINDOW_MAX_BYTES = 1 << 20 };

// ---- row lists

void parquet_rows_clear(ParquetRowList *l)
{
    l->count = 0;
}

void parquet_rows_add(ParquetRowList *l, uint64_t from, uint64_t to)
{
    if (from >= to) {
        return;
    }
    if (l->count > 0 && l->spans[l->count - 1].to >= from) {
        l->spans[l->count - 1].to = to;
        return;
    }
    l->spans = mem_grow(l->spans, &l->cap, l->count + 1, sizeof(*l->spans));
    l->spans[l->count++] = (ParquetSpanRows){.from = from, .to = to};
}

void parquet_rows_intersect(ParquetRowList *into, const ParquetRowList *other)
{
    ParquetRowList both = {0};
    for (size_t i = 0, k = 0; i < into->count && k < other->count;) {
        const ParquetSpanRows a = into->spans[i], b = other->spans[k];
        parquet_rows_add(&both, a.from > b.from ? a.from : b.from, a.to < b.to ? a.to : b.to);
        if (a.to < b.to) {
            i++;
        } else {
            k++;
        }
    }
    mem_free(into->spans);
    *into = both;
}

// ---- bounds

// A lower and an upper bound of some values; either may be absent.
typedef struct Bounds {
    bool has_min, has_max;
    ParquetValue min, max;
    bool may_hold_nan; // floating: NaN may be there although the bounds do not say so
} Bounds;

static bool is_floating(ColumnType type)
{
    return type == COLUMN_FLOAT || type == COLUMN_DOUBLE;
}

// A bound as it is in the file, in the domain of the column. The conversions are monotonic, so a
// bound stays one. False when it is no bound: of the wrong size, NaN, out of range.
static bool decode_bound(const ParquetLeaf *leaf, Bytes in, ParquetValue *out)
{
    Err err;
    union {
        int64_t i64;
        int32_t i32;
        double f64;
        float f32;
        uint8_t raw[16];
    } v = {.raw = {0}};
    *out = (ParquetValue){.bytes = in};
    if (leaf->convert == PARQUET_CONVERT_BYTES || leaf->type == COLUMN_UUID) {
        return true;
    }
    if (leaf->convert == PARQUET_CONVERT_BOOL) {
        out->i64 = in.len == 1 && in.ptr[0] != 0;
        return in.len == 1;
    }
    if (in.len != leaf->width) {
        return false;
    }
    if (leaf->width == 4 && !is_floating(leaf->type)) { // narrow types: the INT32 itself
        memcpy(&v.i32, in.ptr, sizeof(v.i32));
        out->i64 = leaf->type == COLUMN_UINT32 ? (int64_t)(uint32_t)v.i32 : v.i32;
        return true;
    }
    if (parquet_convert(leaf, in.ptr, 1, &v, &err) != OK) {
        return false;
    }
    if (!is_floating(leaf->type)) {
        out->i64 = v.i64;
        return true;
    }
    out->f64 = leaf->type == COLUMN_FLOAT ? (double)v.f32 : v.f64;
    return out->f64 == out->f64;
}

static int compare_bytes(Bytes a, Bytes b)
{
    const size_t len = a.len < b.len ? a.len : b.len;
    const int order = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);
    if (order != 0) {
        return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

// a < b in the order of the type. False for NaN, and -0.0 is not below +0.0.
static bool value_less(ColumnType type, const ParquetValue *a, const ParquetValue *b)
{
    switch (type) {
    case COLUMN_BOOL:
    case COLUMN_INT8:
    case COLUMN_INT16:
    case COLUMN_INT32:
    case COLUMN_INT64:
    case COLUMN_UINT8:
    case COLUMN_UINT16:
    case COLUMN_UINT32:
    case COLUMN_TIMESTAMP:
    case COLUMN_DATE:
        return a->i64 < b->i64;
    case COLUMN_UINT64:
        return (uint64_t)a->i64 < (uint64_t)b->i64;
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
        return a->f64 < b->f64;
    case COLUMN_STRING:
    case COLUMN_BINARY:
    case COLUMN_UUID:
        return compare_bytes(a->bytes, b->bytes) < 0;
    case COLUMN_MAP:
        return false;
    }
    UNREACHABLE();
}

static bool is_nan(ColumnType type, const ParquetValue *v)
{
    return is_floating(type) && v->f64 != v->f64;
}

static bool range_may_pass(ColumnType type, const ParquetTest *test, const Bounds *b)
{
    if (test->has_max && b->has_min && value_less(type, &test->max, &b->min)) {
        return false;
    }
    // "value >= x" without upper end: to some, NaN is above all numbers and passes.
    const bool nan_passes = b->may_hold_nan && (!test->has_max || is_nan(type, &test->max));
    return !(test->has_min && b->has_max && !nan_passes && value_less(type, &b->max, &test->min));
}

// Whether a value within the bounds may pass; for tests of values.
static bool bounds_may_pass(ColumnType type, const ParquetTest *test, const Bounds *b)
{
    if (test->kind == PARQUET_TEST_RANGE) {
        return range_may_pass(type, test, b);
    }
    for (size_t i = 0; i < test->value_count; i++) {
        const ParquetValue *v = &test->values[i];
        const bool below = b->has_min && value_less(type, v, &b->min);
        const bool above = b->has_max && value_less(type, &b->max, v);
        if (is_nan(type, v) || (!below && !above)) {
            return true;
        }
    }
    return false;
}

static Bounds decode_bounds(const ParquetReader *r, const ParquetLeaf *leaf, const Bytes *min,
                            const Bytes *max)
{
    Bounds b = {0};
    b.may_hold_nan = is_floating(leaf->type) && !r->own;
    if (r->meta.has_column_orders && leaf->ordered) {
        b.has_min = min != NULL && decode_bound(leaf, *min, &b.min);
        // An empty upper bound of text says that all is empty, or that a writer had none to give.
        b.has_max = max != NULL && max->len > 0 && decode_bound(leaf, *max, &b.max);
    }
    return b;
}

// ---- tests

Status parquet_tests_check(const ParquetReader *r, const ParquetTest *tests, size_t count, Err *err)
{
    for (size_t i = 0; i < count; i++) {
        const ParquetTest *t = &tests[i];
        if (t->field >= r->field_count) {
            return err_set(err, ERR_INVALID, "test %zu is on field %zu of %zu", i, t->field,
                           r->field_count);
        }
        const ParquetField *f = &r->fields[t->field];
        const bool of_value = t->kind == PARQUET_TEST_EQ || t->kind == PARQUET_TEST_RANGE;
        if (!f->readable || (of_value && f->field.type == COLUMN_MAP)) {
            return err_set(err, ERR_INVALID, "test %zu: '" STR_FMT "' cannot be tested", i,
                           STR_ARG(f->field.name));
        }
    }
    return OK;
}

// Tests for null by a null count; true when it does not say.
static bool nulls_may_pass(const ParquetTest *test, bool has_count, int64_t nulls, int64_t values)
{
    switch (test->kind) {
    case PARQUET_TEST_NULL:
        return !has_count || nulls > 0;
    case PARQUET_TEST_EQ:
    case PARQUET_TEST_RANGE:
    case PARQUET_TEST_NOT_NULL:
        return !has_count || nulls < values;
    }
    UNREACHABLE();
}

bool parquet_test_wants_nulls(const ParquetReader *r, uint32_t group, const ParquetTest *test)
{
    const ParquetField *field = &r->fields[test->field];
    const ParquetStatistics *s = &r->meta.row_groups[group].columns[field->first_leaf].statistics;
    return test->or_null && field->field.nullable && (!s->has_null_count || s->null_count > 0);
}

bool parquet_test_group(const ParquetReader *r, uint32_t group, const ParquetTest *test)
{
    const ParquetField *field = &r->fields[test->field];
    const ParquetLeaf *leaf = &r->leaves[field->first_leaf];
    const ParquetColumnChunk *chunk = &r->meta.row_groups[group].columns[field->first_leaf];
    const ParquetStatistics *s = &chunk->statistics;
    if (test->kind == PARQUET_TEST_NULL && !field->field.nullable) {
        return false;
    }
    if (field->field.type == COLUMN_MAP || chunk->encrypted) {
        return true;
    }
    if (parquet_test_wants_nulls(r, group, test)) {
        return true;
    }
    if (!nulls_may_pass(test, s->has_null_count, s->null_count, chunk->value_count)) {
        return false;
    }
    if (test->kind == PARQUET_TEST_NULL || test->kind == PARQUET_TEST_NOT_NULL) {
        return true;
    }
    const Bounds b =
        decode_bounds(r, leaf, s->has_min ? &s->min : NULL, s->has_max ? &s->max : NULL);
    return bounds_may_pass(leaf->type, test, &b);
}

// ---- page index

static bool index_inside(const ParquetReader *r, int64_t offset, int32_t size)
{
    return offset > 0 && size > 0 && size <= INDEX_MAX_BYTES && (uint64_t)offset <= r->data_end &&
           (uint64_t)size <= r->data_end - (uint64_t)offset;
}

static void want_range(const ParquetReader *r, int64_t offset, int32_t size,
                       ParquetIndexes *indexes)
{
    if (!index_inside(r, offset, size)) {
        return;
    }
    const uint64_t from = (uint64_t)offset, to = from + (uint64_t)size;
    if (indexes->next_to == 0) {
        indexes->next_from = from;
        indexes->next_to = to;
        return;
    }
    indexes->next_from = from < indexes->next_from ? from : indexes->next_from;
    indexes->next_to = to > indexes->next_to ? to : indexes->next_to;
}

void parquet_indexes_want(const ParquetReader *r, uint32_t group, uint32_t leaf, bool with_bounds,
                          ParquetIndexes *indexes)
{
    const ParquetColumnChunk *chunk = &r->meta.row_groups[group].columns[leaf];
    want_range(r, chunk->offset_index_offset, chunk->offset_index_bytes, indexes);
    if (with_bounds) {
        want_range(r, chunk->column_index_offset, chunk->column_index_bytes, indexes);
    }
}

void parquet_indexes_read(ParquetIndexes *indexes)
{
    Err err;
    const uint64_t from = indexes->next_from, to = indexes->next_to;
    indexes->next_from = indexes->next_to = 0;
    if (to == 0 || (from >= indexes->from && to <= indexes->to) || to - from > WINDOW_MAX_BYTES) {
        return; // none, there already, or too far apart: each is read when it is asked for
    }
    void *into = parquet_scratch_need(&indexes->window, (size_t)(to - from));
    indexes->from = indexes->to = 0;
    if (parquet_fetch_read(indexes->fetch, from, into, (size_t)(to - from), &err) == OK) {
        indexes->from = from;
        indexes->to = to;
    }
}

void parquet_indexes_deinit(ParquetIndexes *indexes)
{
    parquet_scratch_deinit(&indexes->window);
    parquet_scratch_deinit(&indexes->single);
    *indexes = (ParquetIndexes){0};
}

// The bytes of an index, valid until the next call; empty when there is none or it cannot be read.
static Bytes index_bytes(const ParquetReader *r, int64_t offset, int32_t size,
                         ParquetIndexes *indexes)
{
    Err err;
    const uint64_t from = (uint64_t)offset;
    const size_t len = (size_t)size;
    if (!index_inside(r, offset, size)) {
        return (Bytes){0};
    }
    if (from >= indexes->from && from + len <= indexes->to) {
        return (Bytes){.ptr = indexes->window.ptr + (from - indexes->from), .len = len};
    }
    uint8_t *p = parquet_scratch_need(&indexes->single, len);
    if (parquet_fetch_read(indexes->fetch, from, p, len, &err) != OK) {
        return (Bytes){0};
    }
    return (Bytes){.ptr = p, .len = len};
}

// Pages follow each other in the chunk and begin at ascending rows, the first at 0.
static bool locations_ok(const ParquetReader *r, uint32_t group, uint32_t leaf,
                         const ParquetOffsetIndex *index)
{
    Err err;
    uint64_t start = 0, size = 0;
    const ParquetRowGroup *g = &r->meta.row_groups[group];
    if (parquet_chunk_extent(r, &g->columns[leaf], &start, &size, &err) != OK) {
        return false;
    }
    uint64_t end = start;
    for (uint32_t i = 0; i < index->page_count; i++) {
        const ParquetPageLocation *p = &index->pages[i];
        const bool row_ok =
            i == 0 ? p->first_row == 0 : p->first_row > index->pages[i - 1].first_row;
        const uint64_t offset = (uint64_t)p->offset;
        if (!row_ok || p->first_row >= g->row_count || offset < end || offset > start + size ||
            (uint64_t)p->compressed_bytes > start + size - offset || p->compressed_bytes == 0) {
            return false;
        }
        end = offset + (uint64_t)p->compressed_bytes;
    }
    return index->page_count > 0;
}

void parquet_index_locations(const ParquetReader *r, uint32_t group, uint32_t leaf,
                             ParquetIndexes *indexes, Arena *arena, ParquetOffsetIndex *out)
{
    Err err;
    Arena scratch = {0};
    ParquetOffsetIndex index = {0};
    const ParquetColumnChunk *chunk = &r->meta.row_groups[group].columns[leaf];
    *out = (ParquetOffsetIndex){0};
    Bytes in = index_bytes(r, chunk->offset_index_offset, chunk->offset_index_bytes, indexes);
    if (in.len > 0 && parquet_decode_offset_index(&in, &scratch, &index, &err) == OK &&
        locations_ok(r, group, leaf, &index)) {
        ParquetPageLocation *pages = arena_new(arena, ParquetPageLocation, index.page_count);
        memcpy(pages, index.pages, index.page_count * sizeof(*pages));
        *out = (ParquetOffsetIndex){.pages = pages, .page_count = index.page_count};
    }
    arena_deinit(&scratch);
}

static bool page_may_pass(const ParquetReader *r, const ParquetLeaf *leaf, const ParquetTest *test,
                          const ParquetColumnIndex *index, uint32_t page)
{
    const bool all_null = index->null_pages[page];
    if (test->or_null && r->fields[test->field].field.nullable &&
        (all_null || index->null_counts == NULL || index->null_counts[page] > 0)) {
        return true;
    }
    switch (test->kind) {
    case PARQUET_TEST_NULL:
        return all_null || index->null_counts == NULL || index->null_counts[page] > 0;
    case PARQUET_TEST_NOT_NULL:
        return !all_null;
    case PARQUET_TEST_EQ:
    case PARQUET_TEST_RANGE:
        if (all_null) {
            return false;
        }
        break;
    }
    const Bounds b = decode_bounds(r, leaf, &index->min[page], &index->max[page]);
    return bounds_may_pass(leaf->type, test, &b);
}

void parquet_index_test(const ParquetReader *r, uint32_t group, const ParquetTest *test,
                        ParquetIndexes *indexes, ParquetRowList *out)
{
    Err err;
    Arena arena = {0};
    ParquetColumnIndex index = {0};
    ParquetOffsetIndex locations = {0};
    const ParquetField *field = &r->fields[test->field];
    const uint32_t leaf = field->first_leaf;
    const ParquetRowGroup *g = &r->meta.row_groups[group];
    const ParquetColumnChunk *chunk = &g->columns[leaf];
    // The locations first: bounds are borrowed from the bytes read last.
    if (field->field.type != COLUMN_MAP && chunk->column_index_offset != 0) {
        parquet_index_locations(r, group, leaf, indexes, &arena, &locations);
    }
    if (locations.page_count > 0) {
        Bytes in = index_bytes(r, chunk->column_index_offset, chunk->column_index_bytes, indexes);
        if (in.len == 0 || parquet_decode_column_index(&in, &arena, &index, &err) != OK) {
            index.page_count = 0;
        }
    }
    if (locations.page_count == 0 || locations.page_count != index.page_count) {
        parquet_rows_add(out, 0, (uint64_t)g->row_count);
    } else {
        for (uint32_t i = 0; i < index.page_count; i++) {
            const int64_t end =
                i + 1 < index.page_count ? locations.pages[i + 1].first_row : g->row_count;
            if (page_may_pass(r, &r->leaves[leaf], test, &index, i)) {
                parquet_rows_add(out, (uint64_t)locations.pages[i].first_row, (uint64_t)end);
            }
        }
    }
    arena_deinit(&arena);
}
