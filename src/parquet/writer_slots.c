// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "parquet/writer_internal.h"

void writer_u32s_put(WriterU32s *v, uint32_t value)
{
    if (v->len == v->cap) {
        v->ptr = mem_grow(v->ptr, &v->cap, v->len + 1, sizeof(*v->ptr));
    }
    v->ptr[v->len++] = value;
}

uint32_t *writer_u32s_room(WriterU32s *v, size_t n)
{
    if (v->len + n > v->cap || v->ptr == NULL) {
        v->ptr = mem_grow(v->ptr, &v->cap, v->len + n + 1, sizeof(*v->ptr));
    }
    v->len += n;
    return v->ptr + v->len - n;
}

void writer_u32s_free(WriterU32s *v)
{
    mem_free(v->ptr);
    *v = (WriterU32s){0};
}

// Integers below 32 bits are stored as INT32.
#define WIDEN(T, name)                                                                             \
    static const void *widen_##name(const Vector *pool, Arena *scratch)                            \
    {                                                                                              \
        int32_t *out = arena_new(scratch, int32_t, pool->row_count);                               \
        const T *in = pool->data;                                                                  \
        for (uint32_t i = 0; i < pool->row_count; i++) {                                           \
            out[i] = in[i];                                                                        \
        }                                                                                          \
        return out;                                                                                \
    }
WIDEN(int8_t, i8)
WIDEN(uint8_t, u8)
WIDEN(int16_t, i16)
WIDEN(uint16_t, u16)
#undef WIDEN

static const void *pool_fixed(const Vector *pool, Arena *scratch)
{
    switch (pool->type) {
    case COLUMN_INT8:
        return widen_i8(pool, scratch);
    case COLUMN_UINT8:
        return widen_u8(pool, scratch);
    case COLUMN_INT16:
        return widen_i16(pool, scratch);
    case COLUMN_UINT16:
        return widen_u16(pool, scratch);
    case COLUMN_BOOL:
    case COLUMN_INT32:
    case COLUMN_INT64:
    case COLUMN_UINT32:
    case COLUMN_UINT64:
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
    case COLUMN_TIMESTAMP:
    case COLUMN_DATE:
    case COLUMN_UUID:
        return pool->data;
    case COLUMN_STRING:
    case COLUMN_BINARY:
    case COLUMN_MAP:
        return NULL;
    }
    UNREACHABLE();
}

void writer_view_init(WriterView *view, const WriterLeaf *leaf, const Vector *v, Arena *scratch)
{
    *view = (WriterView){.leaf = leaf, .row_count = v->row_count, .items = v};
    if (v->form == VECTOR_RUNS) {
        view->items = v->runs;
        view->run_ends = v->run_ends;
        view->run_count = v->run_count;
    }
    // A vector of nothing but nulls may come without a dictionary or without map entries.
    static const Vector none = {.type = COLUMN_STRING, .form = VECTOR_FLAT};
    const Vector *values = view->items;
    if (leaf->part != WRITER_WHOLE) {
        const Vector *maps = values->form == VECTOR_DICT ? values->dict : values;
        maps = maps != NULL ? maps : &none;
        values = leaf->part == WRITER_MAP_KEY ? maps->keys : maps->values;
        values = values != NULL ? values : &none;
        view->entries = values;
    }
    view->pool_distinct = values->form == VECTOR_DICT;
    view->pool = values->form == VECTOR_DICT ? values->dict : values;
    view->pool = view->pool != NULL ? view->pool : &none;
    view->fixed = pool_fixed(view->pool, scratch);
}

void writer_view_deinit(WriterView *view)
{
    writer_u32s_free(&view->refs);
    writer_u32s_free(&view->counts);
    writer_u32s_free(&view->def);
    writer_u32s_free(&view->rep);
    writer_u32s_free(&view->def_runs.values);
    writer_u32s_free(&view->def_runs.counts);
}

static uint32_t valid_count(const uint64_t *validity, uint32_t from, uint32_t count)
{
    uint32_t valid = 0;
    uint32_t i = from;
    const uint32_t end = from + count;
    for (; i < end && (i & 63) != 0; i++) {
        valid += validity_get(validity, i);
    }
    for (; i + 64 <= end; i += 64) {
        valid += (uint32_t)__builtin_popcountll(validity[i / 64]);
    }
    for (; i < end; i++) {
        valid += validity_get(validity, i);
    }
    return valid;
}

static void put_def_run(WriterView *view, uint32_t level, uint32_t count)
{
    WriterU32s *values = &view->def_runs.values;
    WriterU32s *counts = &view->def_runs.counts;
    if (values->len != 0 && values->ptr[values->len - 1] == level) {
        counts->ptr[counts->len - 1] += count;
        return;
    }
    writer_u32s_put(values, level);
    writer_u32s_put(counts, count);
}

// Items are rows.
static void rows_slots(WriterView *view, uint32_t from, uint32_t count, WriterSlots *out)
{
    const Vector *v = view->items;
    const uint32_t *codes = v->form == VECTOR_DICT ? v->codes : NULL;
    const uint32_t valid = v->validity == NULL ? count : valid_count(v->validity, from, count);
    out->slot_count = count;
    out->value_count = valid;
    if (valid == count || valid == 0) {
        put_def_run(view, valid != 0, count);
        out->levels = WRITER_LEVELS_RUNS;
        out->form = codes != NULL ? WRITER_REFS : WRITER_RANGE;
        out->first = from;
        out->refs = codes != NULL ? codes + from : NULL;
        out->ref_count = codes != NULL ? valid : 0;
        return;
    }
    uint32_t *refs = writer_u32s_room(&view->refs, valid);
    uint32_t n = 0;
    for (uint32_t i = from; i < from + count; i++) {
        if (validity_get(v->validity, i)) {
            refs[n++] = codes != NULL ? codes[i] : i;
        }
    }
    out->levels = WRITER_LEVELS_BITS;
    out->def_bits = v->validity;
    out->def_bits_from = from;
    out->form = WRITER_REFS;
    out->refs = refs;
    out->ref_count = valid;
}

// The run that holds `row`.
static uint32_t find_run(const WriterView *view, uint32_t row)
{
    uint32_t low = 0;
    uint32_t high = view->run_count;
    while (low < high) {
        const uint32_t mid = low + (high - low) / 2;
        if (view->run_ends[mid] <= row) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static void runs_slots(WriterView *view, uint32_t from, uint32_t count, WriterSlots *out)
{
    const Vector *v = view->items;
    const uint32_t end = from + count;
    out->slot_count = count;
    uint32_t row = from;
    for (uint32_t run = find_run(view, from); row < end; run++) {
        const uint32_t run_end = view->run_ends[run] < end ? view->run_ends[run] : end;
        const bool valid = validity_get(v->validity, run);
        put_def_run(view, valid, run_end - row);
        if (valid) {
            writer_u32s_put(&view->refs, v->form == VECTOR_DICT ? v->codes[run] : run);
            writer_u32s_put(&view->counts, run_end - row);
            out->value_count += run_end - row;
        }
        row = run_end;
    }
    out->levels = WRITER_LEVELS_RUNS;
    out->form = WRITER_RUNS;
    out->refs = view->refs.ptr;
    out->counts = view->counts.ptr;
    out->ref_count = (uint32_t)view->refs.len;
}

// Repeats the last `len` elements until they are there `times` times in all.
static void repeat_tail(WriterU32s *v, size_t len, uint32_t times)
{
    if (len == 0 || times < 2) {
        return;
    }
    const size_t start = v->len - len;
    const size_t total = len * times;
    (void)writer_u32s_room(v, total - len);
    for (size_t have = len; have < total;) { // doubles what is there
        const size_t n = have < total - have ? have : total - have;
        memcpy(v->ptr + start + have, v->ptr + start, n * sizeof(*v->ptr));
        have += n;
    }
}

// `times` rows that hold map `map` (an index into the pool of maps).
static Status put_maps(WriterView *view, const Vector *maps, uint32_t map, uint32_t times, Err *err)
{
    const uint32_t begin = maps->offsets[map];
    const uint32_t end = maps->offsets[map + 1];
    const bool is_key = view->leaf->part == WRITER_MAP_KEY;
    const uint32_t max_def = view->leaf->max_def;
    if (end == begin) { // level of an empty map: below that of an entry
        writer_u32s_put(&view->def, max_def - (is_key ? 1 : 2));
        writer_u32s_put(&view->rep, 0);
        repeat_tail(&view->def, 1, times);
        repeat_tail(&view->rep, 1, times);
        return OK;
    }
    if (view->def.len + (uint64_t)(end - begin) * times > WRITER_PAGE_SLOTS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "more than %d map entries in %d rows",
                       WRITER_PAGE_SLOTS_MAX, PARQUET_PAGE_ROWS);
    }
    const size_t refs_before = view->refs.len;
    for (uint32_t e = begin; e < end; e++) {
        const bool valid = validity_get(view->entries->validity, e);
        if (is_key && !valid) {
            return err_set(err, ERR_INVALID, "map with a null key");
        }
        writer_u32s_put(&view->def, max_def - !valid);
        writer_u32s_put(&view->rep, e != begin);
        if (valid) {
            writer_u32s_put(&view->refs,
                            view->entries->form == VECTOR_DICT ? view->entries->codes[e] : e);
        }
    }
    repeat_tail(&view->def, end - begin, times);
    repeat_tail(&view->rep, end - begin, times);
    repeat_tail(&view->refs, view->refs.len - refs_before, times);
    return OK;
}

static Status map_slots(WriterView *view, uint32_t from, uint32_t count, WriterSlots *out, Err *err)
{
    const Vector *v = view->items;
    const Vector *maps = v->form == VECTOR_DICT ? v->dict : v;
    const uint32_t end = from + count;
    uint32_t item = view->run_ends == NULL ? from : find_run(view, from);
    for (uint32_t row = from; row < end; item++) {
        uint32_t next = view->run_ends == NULL ? row + 1 : view->run_ends[item];
        next = next < end ? next : end;
        if (validity_get(v->validity, item)) {
            TRY(put_maps(view, maps, v->form == VECTOR_DICT ? v->codes[item] : item, next - row,
                         err));
        } else if (!view->leaf->field->nullable) {
            return err_set(err, ERR_INVALID, "null in a column that is not nullable");
        } else {
            writer_u32s_put(&view->def, 0);
            writer_u32s_put(&view->rep, 0);
            repeat_tail(&view->def, 1, next - row);
            repeat_tail(&view->rep, 1, next - row);
            out->null_rows += next - row;
        }
        row = next;
    }
    out->slot_count = (uint32_t)view->def.len;
    out->value_count = (uint32_t)view->refs.len;
    out->levels = WRITER_LEVELS_ARRAY;
    out->def = view->def.ptr;
    out->rep = view->rep.ptr;
    out->form = WRITER_REFS;
    out->refs = view->refs.ptr;
    out->ref_count = out->value_count;
    return OK;
}

Status writer_view_slots(WriterView *view, uint32_t from, uint32_t count, WriterSlots *out,
                         Err *err)
{
    ASSERT(count != 0 && from + count <= view->row_count);
    view->refs.len = view->counts.len = view->def.len = view->rep.len = 0;
    view->def_runs.values.len = view->def_runs.counts.len = 0;
    *out = (WriterSlots){.def_runs = &view->def_runs};
    if (view->leaf->part != WRITER_WHOLE) {
        return map_slots(view, from, count, out, err);
    }
    if (view->run_ends == NULL) {
        rows_slots(view, from, count, out);
    } else {
        runs_slots(view, from, count, out);
    }
    out->null_rows = count - out->value_count;
    if (out->value_count != out->slot_count && view->leaf->max_def == 0) {
        return err_set(err, ERR_INVALID, "null in a column that is not nullable");
    }
    return OK;
}
