// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.h"
#include "column/arrow_internal.h"

static Status invalid(Err *err, const char *what)
{
    return err_set(err, ERR_INVALID, "Arrow: %s", what);
}

Status arrow_records_open(ArrowView *view, const ArrowTable *table, Bytes body, Arena *arena,
                          ArrowRecords *out, Err *err)
{
    *out = (ArrowRecords){
        .view = view,
        .nodes = arrow_view_vec(view, table, RECORDS_NODES, sizeof(ArrowPair)),
        .buffers = arrow_view_vec(view, table, RECORDS_BUFFERS, sizeof(ArrowPair)),
        .body = body,
        .arena = arena,
    };
    if (arrow_view_has(view, table, RECORDS_COMPRESSION)) {
        return err_set(err, ERR_UNSUPPORTED, "Arrow: compressed bodies are not read");
    }
    return view->failed ? invalid(err, "malformed record batch") : OK;
}

// ---- buffers

static Status next_node(ArrowRecords *r, ArrowPair *out, Err *err)
{
    if (r->node == r->nodes.count) {
        return invalid(err, "too few field nodes");
    }
    *out = arrow_view_vec_pair(r->view, r->nodes, r->node++);
    if (out->first < 0 || out->first > UINT32_MAX || out->second < 0 || out->second > out->first) {
        return invalid(err, "field node out of range");
    }
    return OK;
}

static Status next_buffer(ArrowRecords *r, Bytes *out, Err *err)
{
    if (r->buffer == r->buffers.count) {
        return invalid(err, "too few buffers");
    }
    const ArrowPair b = arrow_view_vec_pair(r->view, r->buffers, r->buffer++);
    if (b.first < 0 || b.second < 0 || (uint64_t)b.first > r->body.len ||
        (uint64_t)b.second > r->body.len - (uint64_t)b.first) {
        return invalid(err, "buffer outside the body");
    }
    *out = (Bytes){r->body.ptr + b.first, (size_t)b.second};
    return OK;
}

// The next buffer, which holds `count` values of `size` bytes, aligned for them.
static Status next_values(ArrowRecords *r, uint64_t count, size_t size, const void **out, Err *err)
{
    Bytes b = {0};
    TRY(next_buffer(r, &b, err));
    if (b.len / size < count) {
        return invalid(err, "buffer too small for its rows");
    }
    const size_t align = size < 8 ? size : 8;
    if (count == 0 || (uintptr_t)b.ptr % align != 0) {
        uint8_t *copy = arena_alloc(r->arena, count + 1, size, 16);
        if (count > 0) {
            memcpy(copy, b.ptr, count * size);
        }
        *out = copy;
        return OK;
    }
    *out = b.ptr;
    return OK;
}

// A node of `rows` rows and the validity buffer that follows it.
static Status next_validity(ArrowRecords *r, uint32_t rows, const uint64_t **out, Err *err)
{
    ArrowPair node = {0};
    Bytes bits = {0};
    *out = NULL;
    TRY(next_node(r, &node, err));
    TRY(next_buffer(r, &bits, err));
    if (node.first != rows) {
        return invalid(err, "columns of different length");
    }
    if (node.second == 0) {
        return OK;
    }
    const size_t bytes = ((size_t)rows + 7) / 8;
    if (bits.len < bytes) {
        return invalid(err, "validity too small for its rows");
    }
    uint64_t *words = arena_new(r->arena, uint64_t, ((size_t)rows + 63) / 64);
    memcpy(words, bits.ptr, bytes);
    *out = words;
    return OK;
}

// ---- text

// `rows` + 1 offsets into `limit` bytes or entries; a column without rows may have none at all.
static Status next_offsets(ArrowRecords *r, uint32_t rows, const uint32_t **out, Err *err)
{
    static const uint32_t zero = 0;
    const void *p = NULL;
    if (rows == 0) {
        Bytes unused = {0};
        *out = &zero;
        return next_buffer(r, &unused, err);
    }
    TRY(next_values(r, (uint64_t)rows + 1, sizeof(uint32_t), &p, err));
    const uint32_t *offsets = p;
    for (uint32_t i = 0; i < rows; i++) {
        if (offsets[i] > offsets[i + 1]) {
            return invalid(err, "offsets descend");
        }
    }
    if (offsets[rows] > INT32_MAX) { // also a negative first one: they ascend
        return invalid(err, "offset out of range");
    }
    *out = offsets;
    return OK;
}

// The same with int64 offsets; *base is what they were made relative to.
static Status next_large_offsets(ArrowRecords *r, uint32_t rows, const uint32_t **out,
                                 uint64_t *base, Err *err)
{
    const void *p = NULL;
    uint32_t *narrow = arena_new(r->arena, uint32_t, (size_t)rows + 1);
    *out = narrow;
    *base = 0;
    if (rows == 0) {
        Bytes unused = {0};
        return next_buffer(r, &unused, err);
    }
    TRY(next_values(r, (uint64_t)rows + 1, sizeof(uint64_t), &p, err));
    const uint64_t *offsets = p;
    *base = offsets[0];
    for (uint32_t i = 0; i <= rows; i++) {
        if (offsets[i] > INT64_MAX || (i > 0 && offsets[i] < offsets[i - 1])) {
            return invalid(err, "offsets descend");
        }
        if (offsets[i] - *base > UINT32_MAX) {
            return err_set(err, ERR_LIMIT, "Arrow: column with more than 4 GiB of strings");
        }
        narrow[i] = (uint32_t)(offsets[i] - *base);
    }
    return OK;
}

// Each row on its own, as null rows may hold anything.
static bool rows_are_utf8(const Vector *v)
{
    const Str all = {(const char *)v->bytes + v->offsets[0],
                     v->offsets[v->row_count] - v->offsets[0]};
    bool whole = utf8_is_valid(all);
    for (uint32_t i = 0; i < v->row_count && whole; i++) {
        // No row may begin in the middle of a character.
        const uint32_t at = v->offsets[i];
        whole = at == v->offsets[v->row_count] || (v->bytes[at] & 0xc0) != 0x80;
    }
    if (whole) {
        return true;
    }
    for (uint32_t i = 0; i < v->row_count; i++) {
        if (validity_get(v->validity, i) && !utf8_is_valid(vector_flat_str(v, i))) {
            return false;
        }
    }
    return true;
}

static Status next_strings(ArrowRecords *r, ColumnType type, ArrowLayout layout, uint32_t rows,
                           Vector *out, Err *err)
{
    uint64_t base = 0;
    Bytes bytes = {0};
    *out = (Vector){.type = type, .row_count = rows};
    TRY(next_validity(r, rows, &out->validity, err));
    if (layout == ARROW_LARGE) {
        TRY(next_large_offsets(r, rows, &out->offsets, &base, err));
    } else {
        TRY(next_offsets(r, rows, &out->offsets, err));
    }
    TRY(next_buffer(r, &bytes, err));
    if (base > bytes.len || out->offsets[rows] > bytes.len - base) {
        return invalid(err, "offset outside the bytes");
    }
    static const uint8_t nothing = 0;
    out->bytes = bytes.len == 0 ? &nothing : bytes.ptr + base;
    if (type == COLUMN_STRING && !rows_are_utf8(out)) {
        return invalid(err, "text is not UTF-8");
    }
    return OK;
}

static Status next_fixed_text(ArrowRecords *r, const ArrowColumn *column, uint32_t rows,
                              Vector *out, Err *err)
{
    const void *bytes = NULL;
    TRY(next_validity(r, rows, &out->validity, err));
    if ((uint64_t)rows * column->width > UINT32_MAX) {
        return err_set(err, ERR_LIMIT, "Arrow: column with more than 4 GiB of bytes");
    }
    TRY(next_values(r, (uint64_t)rows * column->width, 1, &bytes, err));
    uint32_t *offsets = arena_new(r->arena, uint32_t, (size_t)rows + 1);
    for (uint32_t i = 0; i <= rows; i++) {
        offsets[i] = i * column->width;
    }
    out->offsets = offsets;
    out->bytes = bytes;
    return OK;
}

// ---- maps

static Str text_at(const Vector *v, uint32_t row)
{
    return vector_flat_str(v, row); // keys: FLAT, no nulls
}

static int compare_keys(const Vector *keys, uint32_t a, uint32_t b)
{
    const Str x = text_at(keys, a);
    const Str y = text_at(keys, b);
    const size_t len = x.len < y.len ? x.len : y.len;
    const int c = len == 0 ? 0 : memcmp(x.ptr, y.ptr, len);
    return c != 0 ? c : (x.len > y.len) - (x.len < y.len);
}

static bool maps_are_sorted(const Vector *map)
{
    for (uint32_t row = 0; row < map->row_count; row++) {
        for (uint32_t e = map->offsets[row] + 1; e < map->offsets[row + 1]; e++) {
            if (validity_get(map->validity, row) && compare_keys(map->keys, e - 1, e) >= 0) {
                return false;
            }
        }
    }
    return true;
}

// Sorts index[0..n) by key, equal keys in the order they came in: merging runs of doubling length,
// as the number of entries is somebody else's choice.
static void sort_entries(const Vector *keys, uint32_t *index, uint32_t *spare, uint32_t n)
{
    for (uint32_t width = 1; width < n; width *= 2) {
        for (uint32_t lo = 0; lo < n; lo += 2 * width) {
            const uint32_t mid = n - lo < width ? n : lo + width;
            const uint32_t hi = n - mid < width ? n : mid + width;
            uint32_t a = lo;
            uint32_t b = mid;
            for (uint32_t k = lo; k < hi; k++) {
                const bool left =
                    a < mid && (b == hi || compare_keys(keys, index[a], index[b]) <= 0);
                spare[k] = left ? index[a++] : index[b++];
            }
        }
        memcpy(index, spare, n * sizeof(*index));
    }
}

// Brings the entries of each row in order; of equal keys the last stays.
static void sort_maps(Vector *map, Arena *arena)
{
    const uint32_t most = map->offsets[map->row_count] - map->offsets[0];
    uint32_t *offsets = arena_new(arena, uint32_t, (size_t)map->row_count + 1);
    uint32_t *index = arena_new(arena, uint32_t, (size_t)most + 1);
    uint32_t *spare = arena_new(arena, uint32_t, (size_t)most + 1);
    uint32_t count = 0;
    for (uint32_t row = 0; row < map->row_count; row++) {
        const uint32_t n =
            validity_get(map->validity, row) ? map->offsets[row + 1] - map->offsets[row] : 0;
        uint32_t *entries = index + count;
        for (uint32_t e = 0; e < n; e++) {
            entries[e] = map->offsets[row] + e;
        }
        sort_entries(map->keys, entries, spare, n);
        uint32_t kept = 0;
        for (uint32_t e = 0; e < n; e++) {
            if (kept > 0 && compare_keys(map->keys, entries[kept - 1], entries[e]) == 0) {
                kept--;
            }
            entries[kept++] = entries[e];
        }
        count += kept;
        offsets[row + 1] = count;
    }
    Vector *pair = arena_new(arena, Vector, 2);
    pair[0] = vector_take(map->keys, index, count, arena);
    pair[1] = vector_take(map->values, index, count, arena);
    map->offsets = offsets;
    map->keys = &pair[0];
    map->values = &pair[1];
}

static Status next_map(ArrowRecords *r, const ArrowColumn *column, uint32_t rows, Vector *out,
                       Err *err)
{
    Vector *pair = arena_new(r->arena, Vector, 2);
    ArrowPair entries = {0};
    Bytes validity = {0};
    TRY(next_validity(r, rows, &out->validity, err));
    TRY(next_offsets(r, rows, &out->offsets, err));
    TRY(next_node(r, &entries, err));
    TRY(next_buffer(r, &validity, err));
    if (entries.second != 0 || entries.first < out->offsets[rows]) {
        return invalid(err, "entries do not fit their map");
    }
    const uint32_t count = (uint32_t)entries.first; // checked by next_node()
    TRY(next_strings(r, COLUMN_STRING, column->key_layout, count, &pair[0], err));
    TRY(next_strings(r, COLUMN_STRING, column->value_layout, count, &pair[1], err));
    if (pair[0].validity != NULL) {
        return invalid(err, "map with a null key");
    }
    out->keys = &pair[0];
    out->values = &pair[1];
    if (!maps_are_sorted(out)) {
        sort_maps(out, r->arena);
    }
    return OK;
}

// ---- the others

static Status next_bits(ArrowRecords *r, uint32_t rows, Vector *out, Err *err)
{
    const void *p = NULL;
    TRY(next_validity(r, rows, &out->validity, err));
    TRY(next_values(r, ((uint64_t)rows + 7) / 8, 1, &p, err));
    const uint8_t *bits = p;
    uint8_t *bools = arena_new(r->arena, uint8_t, (size_t)rows + 1);
    for (uint32_t i = 0; i < rows; i++) {
        bools[i] = bits[i / 8] >> (i % 8) & 1;
    }
    out->data = bools;
    return OK;
}

static int64_t divide_down(int64_t v, int64_t by)
{
    return v / by - (v % by < 0);
}

// Timestamps of other units and dates in milliseconds. Null rows may hold anything.
static Status next_scaled(ArrowRecords *r, const ArrowColumn *column, uint32_t rows, Vector *out,
                          Err *err)
{
    const void *p = NULL;
    TRY(next_validity(r, rows, &out->validity, err));
    TRY(next_values(r, rows, sizeof(int64_t), &p, err));
    const int64_t *from = p;
    const bool date = column->type == COLUMN_DATE;
    int64_t *us = arena_new(r->arena, int64_t, date ? 1 : (size_t)rows + 1);
    int32_t *days = arena_new(r->arena, int32_t, date ? (size_t)rows + 1 : 1);
    for (uint32_t i = 0; i < rows; i++) {
        int64_t v = 0;
        if (!validity_get(out->validity, i)) {
            continue;
        }
        if (__builtin_mul_overflow(from[i], column->multiply, &v)) {
            return invalid(err, "time out of range");
        }
        v = divide_down(v, column->divide);
        if (!date) {
            us[i] = v;
            continue;
        }
        if (v < INT32_MIN || v > INT32_MAX) {
            return invalid(err, "date out of range");
        }
        days[i] = (int32_t)v;
    }
    out->data = date ? (const void *)days : (const void *)us;
    return OK;
}

Status arrow_records_values(ArrowRecords *r, const ArrowColumn *column, uint32_t rows, Vector *out,
                            Err *err)
{
    *out = (Vector){.type = column->type, .row_count = rows};
    switch (column->layout) {
    case ARROW_BITS:
        return next_bits(r, rows, out, err);
    case ARROW_FIXED:
        TRY(next_validity(r, rows, &out->validity, err));
        return next_values(r, rows, column->width, &out->data, err);
    case ARROW_SCALED:
        return next_scaled(r, column, rows, out, err);
    case ARROW_STRINGS:
    case ARROW_LARGE:
        return next_strings(r, column->type, column->layout, rows, out, err);
    case ARROW_FIXED_TEXT:
        return next_fixed_text(r, column, rows, out, err);
    case ARROW_MAP:
        return next_map(r, column, rows, out, err);
    }
    UNREACHABLE();
}

Status arrow_records_codes(ArrowRecords *r, const ArrowColumn *column, uint32_t rows,
                           uint32_t limit, Vector *out, Err *err)
{
    const void *p = NULL;
    *out = (Vector){.type = column->type, .row_count = rows};
    TRY(next_validity(r, rows, &out->validity, err));
    TRY(next_values(r, rows, column->code_bytes, &p, err));
    const uint8_t *from = p;
    uint32_t *codes = arena_new(r->arena, uint32_t, (size_t)rows + 1);
    const unsigned unused = 64 - 8 * (unsigned)column->code_bytes;
    for (uint32_t i = 0; i < rows; i++) {
        if (!validity_get(out->validity, i)) {
            continue;
        }
        uint64_t code = 0;
        memcpy(&code, from + (size_t)i * column->code_bytes, column->code_bytes);
        if (column->code_signed) {
            code = (uint64_t)((int64_t)(code << unused) >> unused); // negative ones become huge
        }
        if (code >= limit) {
            return invalid(err, "code outside its dictionary");
        }
        codes[i] = (uint32_t)code;
    }
    out->codes = codes;
    return OK;
}
