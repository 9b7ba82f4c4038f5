// SPDX-License-Identifier: Apache-2.0
#include "store/scan_filter.h"

#include "base/mem.h"
#include "store/scan_gather.h"

#include <math.h>
#include <stdlib.h>

// How values of a column type are compared.
typedef enum FilterClass { CLASS_I64, CLASS_U64, CLASS_F64, CLASS_BYTES, CLASS_NONE } FilterClass;

static FilterClass class_of(ColumnType type)
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
        return CLASS_I64;
    case COLUMN_UINT64:
        return CLASS_U64;
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
        return CLASS_F64;
    case COLUMN_STRING:
    case COLUMN_BINARY:
    case COLUMN_UUID:
        return CLASS_BYTES;
    case COLUMN_MAP:
        return CLASS_NONE;
    }
    UNREACHABLE();
}

// --- compiling ---------------------------------------------------------------------------------

static int compare_bytes(Bytes a, Bytes b)
{
    const size_t n = a.len < b.len ? a.len : b.len;
    const int order = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_i64(const void *a, const void *b)
{
    const int64_t x = ((const ScanValue *)a)->i64;
    const int64_t y = ((const ScanValue *)b)->i64;
    return (x > y) - (x < y);
}

static int compare_u64(const void *a, const void *b)
{
    const uint64_t x = (uint64_t)((const ScanValue *)a)->i64;
    const uint64_t y = (uint64_t)((const ScanValue *)b)->i64;
    return (x > y) - (x < y);
}

static int compare_f64(const void *a, const void *b)
{
    const double x = ((const ScanValue *)a)->f64;
    const double y = ((const ScanValue *)b)->f64;
    return (x > y) - (x < y);
}

static int compare_values_bytes(const void *a, const void *b)
{
    return compare_bytes(((const ScanValue *)a)->bytes, ((const ScanValue *)b)->bytes);
}

typedef int (*CompareValues)(const void *, const void *);

static CompareValues compare_of(FilterClass c)
{
    switch (c) {
    case CLASS_I64:
        return compare_i64;
    case CLASS_U64:
        return compare_u64;
    case CLASS_F64:
        return compare_f64;
    case CLASS_BYTES:
    case CLASS_NONE:
        return compare_values_bytes;
    }
    UNREACHABLE();
}

static ScanValue copy_value(const ScanValue *v, FilterClass c, Arena *arena)
{
    ScanValue out = *v;
    if (c == CLASS_BYTES) {
        const Str s = arena_str(arena, (Str){(const char *)v->bytes.ptr, v->bytes.len});
        out.bytes = (Bytes){.ptr = (const uint8_t *)s.ptr, .len = s.len};
    } else {
        out.bytes = (Bytes){0};
    }
    return out;
}

static void copy_list(ScanTest *test, FilterClass c, Arena *arena)
{
    ScanValue *values = arena_new(arena, ScanValue, test->value_count);
    size_t n = 0;
    for (size_t i = 0; i < test->value_count; i++) {
        values[n++] = copy_value(&test->values[i], c, arena);
    }
    const CompareValues compare = compare_of(c);
    qsort(values, n, sizeof(*values), compare);
    size_t unique = 0;
    for (size_t i = 0; i < n; i++) {
        if (unique == 0 || compare(&values[unique - 1], &values[i]) != 0) {
            values[unique++] = values[i];
        }
    }
    test->values = values;
    test->value_count = unique;
}

// A test that holds NaN: engines disagree on what it means, so it is left to the caller.
static bool has_nan(const ScanTest *test, FilterClass c)
{
    if (c == CLASS_F64 && test->kind == SCAN_TEST_RANGE) {
        return (test->has_min && isnan(test->min.f64)) || (test->has_max && isnan(test->max.f64));
    }
    bool found = false;
    for (size_t i = 0; c == CLASS_F64 && test->kind == SCAN_TEST_IN && i < test->value_count; i++) {
        found = found || isnan(test->values[i].f64);
    }
    return found;
}

Status filter_compile(const Schema *schema, const ScanTest *tests, size_t count, Arena *arena,
                      ScanFilter *out, Err *err)
{
    *out = (ScanFilter){0};
    FilterTest *compiled = arena_new(arena, FilterTest, count);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        ScanTest *test = &compiled[n].test;
        *test = tests[i];
        if (test->column >= schema->count) {
            return err_set(err, ERR_INVALID, "a test on column %zu of %zu", test->column,
                           schema->count);
        }
        const Field *field = &schema->fields[test->column];
        const FilterClass c = class_of(field->type);
        const bool on_null = test->kind == SCAN_TEST_IS_NULL || test->kind == SCAN_TEST_NOT_NULL;
        if (c == CLASS_NONE && !on_null) {
            return err_set(err, ERR_INVALID, "a test on column '" STR_FMT "', which is %s",
                           STR_ARG(field->name), column_type_sql(field->type));
        }
        test->or_null = test->or_null && !on_null;
        if (test->value_count > SCAN_TEST_VALUES_MAX) {
            return err_set(err, ERR_TOO_LARGE, "a test on column '" STR_FMT "' of %zu values",
                           STR_ARG(field->name), test->value_count);
        }
        if (has_nan(test, c)) {
            continue;
        }
        compiled[n++].type = field->type;
        test->min = copy_value(&tests[i].min, test->has_min ? c : CLASS_NONE, arena);
        test->max = copy_value(&tests[i].max, test->has_max ? c : CLASS_NONE, arena);
        if (test->kind == SCAN_TEST_IN) {
            copy_list(test, c, arena);
        } else {
            test->values = NULL;
            test->value_count = 0;
        }
    }
    *out = (ScanFilter){.tests = compiled, .count = n};
    return OK;
}

// --- flat values -------------------------------------------------------------------------------

enum { BLOCK_ROWS = 1024 }; // values are widened block by block, which stays in the L1 cache

#define WIDEN(T)                                                                                   \
    do {                                                                                           \
        const T *in = (const T *)v->data + from;                                                   \
        for (size_t i = 0; i < n; i++) {                                                           \
            out[i] = (int64_t)in[i];                                                               \
        }                                                                                          \
    } while (0)

static void widen_i64(const Vector *v, size_t from, size_t n, int64_t *out)
{
    switch (v->type) {
    case COLUMN_BOOL:
    case COLUMN_UINT8:
        WIDEN(uint8_t);
        return;
    case COLUMN_INT8:
        WIDEN(int8_t);
        return;
    case COLUMN_INT16:
        WIDEN(int16_t);
        return;
    case COLUMN_UINT16:
        WIDEN(uint16_t);
        return;
    case COLUMN_INT32:
    case COLUMN_DATE:
        WIDEN(int32_t);
        return;
    case COLUMN_UINT32:
        WIDEN(uint32_t);
        return;
    case COLUMN_INT64:
    case COLUMN_UINT64:
    case COLUMN_TIMESTAMP:
        memcpy(out, (const int64_t *)v->data + from, n * sizeof(*out));
        return;
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
    case COLUMN_STRING:
    case COLUMN_BINARY:
    case COLUMN_UUID:
    case COLUMN_MAP:
        break;
    }
    UNREACHABLE();
}

static bool in_list(const ScanTest *test, const ScanValue *value, CompareValues compare)
{
    size_t from = 0;
    size_t to = test->value_count;
    while (from < to) {
        const size_t mid = from + (to - from) / 2;
        const int order = compare(value, &test->values[mid]);
        if (order == 0) {
            return true;
        }
        if (order < 0) {
            to = mid;
        } else {
            from = mid + 1;
        }
    }
    return false;
}

// Moves unsigned order onto signed order.
static int64_t flip(int64_t v)
{
    return (int64_t)((uint64_t)v ^ UINT64_C(0x8000000000000000));
}

static void match_i64(const ScanTest *test, const Vector *v, bool is_unsigned, uint8_t *out)
{
    int64_t block[BLOCK_ROWS];
    int64_t min = test->has_min ? test->min.i64 : is_unsigned ? 0 : INT64_MIN;
    int64_t max = test->has_max ? test->max.i64 : is_unsigned ? -1 : INT64_MAX;
    if (is_unsigned) {
        min = flip(min);
        max = flip(max);
    }
    for (size_t from = 0; from < v->row_count; from += BLOCK_ROWS) {
        const size_t n = v->row_count - from < BLOCK_ROWS ? v->row_count - from : BLOCK_ROWS;
        widen_i64(v, from, n, block);
        if (test->kind == SCAN_TEST_RANGE) {
            for (size_t i = 0; i < n; i++) {
                const int64_t x = is_unsigned ? flip(block[i]) : block[i];
                out[from + i] = (uint8_t)((x >= min) & (x <= max));
            }
        } else if (test->value_count == 1) {
            const int64_t wanted = test->values[0].i64;
            for (size_t i = 0; i < n; i++) {
                out[from + i] = block[i] == wanted;
            }
        } else {
            const CompareValues compare = is_unsigned ? compare_u64 : compare_i64;
            for (size_t i = 0; i < n; i++) {
                out[from + i] = in_list(test, &(ScanValue){.i64 = block[i]}, compare);
            }
        }
    }
}

static void match_f64(const ScanTest *test, const Vector *v, uint8_t *out)
{
    const double min = test->has_min ? test->min.f64 : -(double)INFINITY;
    const double max = test->has_max ? test->max.f64 : (double)INFINITY;
    for (size_t i = 0; i < v->row_count; i++) {
        const double x = v->type == COLUMN_DOUBLE ? ((const double *)v->data)[i]
                                                  : (double)((const float *)v->data)[i];
        if (test->kind == SCAN_TEST_RANGE) {
            out[i] = !(x < min) && !(x > max); // NaN passes, and so does every value against NaN
        } else {
            out[i] = test->value_count > 0 &&
                     (isnan(x) || in_list(test, &(ScanValue){.f64 = x}, compare_f64));
        }
    }
}

static Bytes flat_bytes(const Vector *v, size_t i)
{
    if (v->type == COLUMN_UUID) {
        return (Bytes){.ptr = (const uint8_t *)v->data + i * 16, .len = 16};
    }
    return (Bytes){.ptr = v->bytes + v->offsets[i], .len = v->offsets[i + 1] - v->offsets[i]};
}

static void match_bytes(const ScanTest *test, const Vector *v, uint8_t *out)
{
    for (size_t i = 0; i < v->row_count; i++) {
        const Bytes x = flat_bytes(v, i);
        if (test->kind == SCAN_TEST_RANGE) {
            out[i] = !(test->has_min && compare_bytes(x, test->min.bytes) < 0) &&
                     !(test->has_max && compare_bytes(x, test->max.bytes) > 0);
        } else if (test->value_count == 1) {
            const Bytes wanted = test->values[0].bytes;
            out[i] = x.len == wanted.len && (x.len == 0 || memcmp(x.ptr, wanted.ptr, x.len) == 0);
        } else {
            out[i] = in_list(test, &(ScanValue){.bytes = x}, compare_values_bytes);
        }
    }
}

// Whether each row of the FLAT vector `v` has a value that meets the test; rows that are null get
// any answer.
static void match_flat(const FilterTest *f, const Vector *v, uint8_t *out)
{
    if (f->test.kind == SCAN_TEST_IS_NULL || f->test.kind == SCAN_TEST_NOT_NULL) {
        memset(out, f->test.kind == SCAN_TEST_NOT_NULL, v->row_count);
        return;
    }
    switch (class_of(f->type)) {
    case CLASS_I64:
        match_i64(&f->test, v, false, out);
        return;
    case CLASS_U64:
        match_i64(&f->test, v, true, out);
        return;
    case CLASS_F64:
        match_f64(&f->test, v, out);
        return;
    case CLASS_BYTES:
        match_bytes(&f->test, v, out);
        return;
    case CLASS_NONE:
        break;
    }
    UNREACHABLE();
}

// --- vectors of every form ---------------------------------------------------------------------

void filter_cache_reset(FilterCache *cache)
{
    cache->dict = NULL;
}

void filter_cache_deinit(FilterCache *cache)
{
    mem_free(cache->matches);
    *cache = (FilterCache){0};
}

// What codes of a dictionary mean to a test, once per dictionary.
static void match_dictionary(const FilterTest *f, const Vector *dict, FilterCache *cache)
{
    const size_t count = dict->row_count;
    cache->matches = mem_grow(cache->matches, &cache->cap, count + 1, sizeof(*cache->matches));
    cache->matches[0] = 0; // an empty dictionary: all rows are null
    match_flat(f, dict, cache->matches);
    cache->dict = dict;
    cache->match_count = 0;
    for (size_t i = 0; i < count; i++) {
        cache->match_count += cache->matches[i];
    }
    const uint8_t *first = memchr(cache->matches, 1, count);
    cache->first_match = first == NULL ? 0 : (uint32_t)(first - cache->matches);
}

// None or one of the values matches more often than not when rows are searched for: then codes are
// compared, many at a time, instead of looked up.
static void match_codes(const FilterCache *cache, const Vector *v, uint8_t *out)
{
    // Copies, which the bytes written cannot be thought to change: loops become vector code.
    const uint32_t *codes = v->codes;
    const uint8_t *matches = cache->matches;
    const uint32_t wanted = cache->first_match;
    const size_t count = v->row_count;
    if (cache->match_count == 0) {
        memset(out, 0, count);
    } else if (cache->match_count == 1) {
        for (size_t i = 0; i < count; i++) {
            out[i] = codes[i] == wanted;
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            out[i] = matches[codes[i]];
        }
    }
}

// Answers for each row of a FLAT or DICT vector, nulls included.
static void match_rows(const FilterTest *f, const Vector *v, FilterCache *cache, uint8_t *out)
{
    if (v->form == VECTOR_FLAT) {
        match_flat(f, v, out);
    } else {
        if (cache->dict != v->dict) {
            match_dictionary(f, v->dict, cache);
        }
        match_codes(cache, v, out);
    }
    if (v->validity != NULL) {
        const uint8_t if_null = f->test.kind == SCAN_TEST_IS_NULL || f->test.or_null;
        for (size_t i = 0; i < v->row_count; i++) {
            out[i] = validity_get(v->validity, i) ? out[i] : if_null;
        }
    }
}

static void clear_range(uint64_t *selection, uint32_t from, uint32_t to)
{
    const uint32_t first = from / 64;
    const uint32_t last = to / 64;
    const uint64_t below = (UINT64_C(1) << from % 64) - 1; // of the first word: stays
    const uint64_t above = UINT64_MAX << to % 64;          // of the last word: stays
    if (first == last) {
        selection[first] &= below | above;
        return;
    }
    selection[first] &= below;
    memset(selection + first + 1, 0, (last - first - 1) * sizeof(*selection));
    if (to % 64 != 0) {
        selection[last] &= above;
    }
}

// Eight bytes that are 0 or 1 as eight bits, the first one lowest: byte i times 2^(56 - 7 i) puts
// its bit at 56 + i, and no two of the other products meet.
static uint64_t pack_bits(const uint8_t *bytes)
{
    uint64_t v;
    memcpy(&v, bytes, sizeof(v));
    return v * UINT64_C(0x0102040810204080) >> 56;
}

// Clears the bits of `selection` whose byte of matches[0..count) is 0; the others are 1.
static void keep_matches(const uint8_t *matches, uint32_t count, uint64_t *selection)
{
    uint32_t i = 0;
    for (; i + 64 <= count; i += 64) {
        uint64_t word = 0;
        for (uint32_t k = 0; k < 64; k += 8) {
            word |= pack_bits(matches + i + k) << k;
        }
        selection[i / 64] &= word;
    }
    for (; i < count; i++) {
        selection[i / 64] &= ~((uint64_t)!matches[i] << i % 64);
    }
}

void filter_apply(const FilterTest *f, const Vector *v, FilterCache *cache, Arena *scratch,
                  uint64_t *selection)
{
    ASSERT(v->type == f->type);
    const Vector *rows = v->form == VECTOR_RUNS ? v->runs : v;
    uint8_t *matches = arena_alloc(scratch, (size_t)rows->row_count + 1, 1, 1);
    match_rows(f, rows, cache, matches);
    if (v->form != VECTOR_RUNS) {
        keep_matches(matches, v->row_count, selection);
        return;
    }
    uint32_t from = 0;
    for (uint32_t run = 0; run < v->run_count; run++) {
        if (!matches[run]) {
            clear_range(selection, from, v->run_ends[run]);
        }
        from = v->run_ends[run];
    }
}
