// SPDX-License-Identifier: Apache-2.0
//
// MAPs. DuckDB keeps one as a list of (key, value) pairs: rows say where their pairs begin and how
// many they are, so rows of a run share theirs.
//
// `labels` of metrics: a label with a column of its own is not in the MAP that files and the hot
// tier hold, but whoever asks for labels['x'] does not know which is where. The columns are merged
// in here, once for each stretch of rows in which none of them changes: as often as the series
// changes, not per row.
#include "base/mem.h"
#include "sql/emit_internal.h"

// The pairs of one chunk as they grow.
typedef struct Pairs {
    duckdb_vector list;
    duckdb_list_entry *entries; // one per row
    duckdb_vector keys, values;
    duckdb_string_t *key_data, *value_data;
    uint64_t size, cap;
} Pairs;

static Pairs pairs_of(duckdb_vector list)
{
    duckdb_vector child = duckdb_list_vector_get_child(list);
    return (Pairs){.list = list,
                   .entries = duckdb_vector_get_data(list),
                   .keys = duckdb_struct_vector_get_child(child, 0),
                   .values = duckdb_struct_vector_get_child(child, 1)};
}

static void pairs_reserve(Pairs *p, uint64_t more)
{
    if (p->size + more <= p->cap) {
        return;
    }
    p->cap = p->size + more < 2 * p->cap ? 2 * p->cap : p->size + more;
    (void)duckdb_list_vector_reserve(p->list, p->cap); // fails for NULL only
    p->key_data = duckdb_vector_get_data(p->keys);
    p->value_data = duckdb_vector_get_data(p->values);
}

// There is room. A `value` without pointer is NULL.
static void pairs_add(Pairs *p, Str key, Str value)
{
    p->key_data[p->size] = emit_string(key);
    p->value_data[p->size] = emit_string(value);
    if (value.ptr == NULL) {
        duckdb_vector_ensure_validity_writable(p->values);
        duckdb_validity_set_row_invalid(duckdb_vector_get_validity(p->values), p->size);
    }
    p->size++;
}

// Element `i` of a FLAT or DICT vector of text; without pointer when it is null.
static Str text_at(const Vector *v, uint32_t i)
{
    if (!validity_get(v->validity, i)) {
        return (Str){0};
    }
    const Str s =
        v->form == VECTOR_DICT ? vector_flat_str(v->dict, v->codes[i]) : vector_flat_str(v, i);
    return s.ptr == NULL ? STR("") : s;
}

// --- a MAP as it is ----------------------------------------------------------------------------

// The pairs of element `i` of the FLAT map `v`.
static duckdb_list_entry add_element(Pairs *p, const Vector *v, uint32_t i)
{
    const duckdb_list_entry entry = {.offset = p->size,
                                     .length = v->offsets[i + 1] - v->offsets[i]};
    pairs_reserve(p, entry.length);
    for (uint32_t k = v->offsets[i]; k < v->offsets[i + 1]; k++) {
        pairs_add(p, text_at(v->keys, k), text_at(v->values, k));
    }
    return entry;
}

static void map_runs(Emitter *e, EmitColumn *column, const Vector *v, uint32_t count, Pairs *p)
{
    const uint32_t to = e->at + count;
    uint32_t row = e->at;
    while (row < to) {
        while (v->run_ends[column->run] <= row) {
            column->run++;
        }
        const uint32_t end = v->run_ends[column->run] < to ? v->run_ends[column->run] : to;
        duckdb_list_entry entry = {0};
        const Vector *runs = v->runs;
        if (validity_get(runs->validity, column->run)) {
            entry = runs->form == VECTOR_DICT ? add_element(p, runs->dict, runs->codes[column->run])
                                              : add_element(p, runs, column->run);
        } else {
            duckdb_vector_ensure_validity_writable(p->list);
            uint64_t *validity = duckdb_vector_get_validity(p->list);
            for (uint32_t i = row; i < end; i++) {
                duckdb_validity_set_row_invalid(validity, i - e->at);
            }
        }
        for (; row < end; row++) {
            p->entries[row - e->at] = entry;
        }
    }
}

// FLAT, or DICT, of which rows next to each other often have the same element.
static void map_rows(const Emitter *e, const Vector *v, uint32_t count, Pairs *p)
{
    const Vector *flat = v->form == VECTOR_DICT ? v->dict : v;
    uint32_t last = UINT32_MAX;
    duckdb_list_entry entry = {0};
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = e->at + i;
        if (!validity_get(v->validity, row)) {
            p->entries[i] = (duckdb_list_entry){0};
            continue;
        }
        const uint32_t element = v->form == VECTOR_DICT ? v->codes[row] : row;
        if (element != last) {
            entry = add_element(p, flat, element);
            last = element;
        }
        p->entries[i] = entry;
    }
    emit_validity(v->validity, e->at, count, p->list);
}

// --- all labels --------------------------------------------------------------------------------

static void set_bit(uint64_t *bits, uint32_t i)
{
    bits[i / 64] |= UINT64_C(1) << i % 64;
}

// Marks the rows of the chunk whose value may differ from the row before.
static void mark_changes(const Vector *v, uint32_t from, uint32_t count, uint32_t *run,
                         uint64_t *changes)
{
    if (v->form == VECTOR_RUNS) {
        while (v->run_ends[*run] <= from) {
            (*run)++;
        }
        for (uint32_t i = *run; v->run_ends[i] < from + count; i++) {
            set_bit(changes, v->run_ends[i] - from);
        }
        return;
    }
    for (uint32_t i = 1; i < count; i++) {
        const uint32_t row = from + i;
        const bool valid = validity_get(v->validity, row);
        const bool same =
            valid == validity_get(v->validity, row - 1) &&
            (!valid || (v->form == VECTOR_DICT && v->codes[row] == v->codes[row - 1]));
        if (!same) {
            set_bit(changes, i);
        }
    }
}

// The text of a label in a row; `run` is moved on to the row.
static Str label_at(const Vector *v, uint32_t row, uint32_t *run)
{
    if (v->form != VECTOR_RUNS) {
        return text_at(v, row);
    }
    while (v->run_ends[*run] <= row) {
        (*run)++;
    }
    return text_at(v->runs, *run);
}

// The MAP's own pairs of a row: elements [*first, *end) of *keys and *values.
static const Vector *own_pairs(const Vector *v, uint32_t row, uint32_t *run, uint32_t *first,
                               uint32_t *end)
{
    const Vector *flat = v;
    uint32_t i = row;
    if (v->form == VECTOR_RUNS) {
        while (v->run_ends[*run] <= row) {
            (*run)++;
        }
        flat = v->runs;
        i = *run;
    }
    const bool valid = validity_get(flat->validity, i);
    if (flat->form == VECTOR_DICT) {
        i = flat->codes[i];
        flat = flat->dict;
    }
    *first = valid ? flat->offsets[i] : 0;
    *end = valid ? flat->offsets[i + 1] : 0;
    return flat;
}

static int compare(Str a, Str b)
{
    const size_t n = a.len < b.len ? a.len : b.len;
    const int order = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

// Both lists ascend by name. A name in both has the value of its column.
static duckdb_list_entry add_labels(Emitter *e, const Vector *map, uint32_t row, Pairs *p)
{
    const EmitOptions *o = &e->options;
    uint32_t own = 0;
    uint32_t own_end = 0;
    const Vector *flat = own_pairs(map, row, &e->label_runs[o->label_count], &own, &own_end);
    const uint64_t offset = p->size;

    pairs_reserve(p, o->label_count + own_end - own);
    for (size_t i = 0; i < o->label_count; i++) {
        const Str name = o->labels[i].name;
        const Str value = label_at(&e->batch->columns[o->labels[i].column], row, &e->label_runs[i]);
        if (value.ptr == NULL) {
            continue;
        }
        for (; own < own_end; own++) {
            const Str key = text_at(flat->keys, own);
            const int order = compare(key, name);
            if (order > 0) {
                break;
            }
            if (order < 0) {
                pairs_add(p, key, text_at(flat->values, own));
            }
        }
        pairs_add(p, name, value);
    }
    for (; own < own_end; own++) {
        pairs_add(p, text_at(flat->keys, own), text_at(flat->values, own));
    }
    return (duckdb_list_entry){.offset = offset, .length = p->size - offset};
}

static void all_labels(Emitter *e, const Vector *map, uint32_t count, Pairs *p)
{
    const EmitOptions *o = &e->options;
    uint64_t changes[EMIT_ROWS_MAX / 64] = {1};
    for (size_t i = 0; i < o->label_count; i++) {
        mark_changes(&e->batch->columns[o->labels[i].column], e->at, count, &e->label_runs[i],
                     changes);
    }
    mark_changes(map, e->at, count, &e->label_runs[o->label_count], changes);
    duckdb_list_entry entry = {0};
    for (uint32_t i = 0; i < count; i++) {
        if ((changes[i / 64] >> i % 64 & 1) != 0) {
            entry = add_labels(e, map, e->at + i, p);
        }
        p->entries[i] = entry;
    }
}

void emit_map(Emitter *e, size_t i, uint32_t count, duckdb_vector out)
{
    const Vector *v = &e->batch->columns[i];
    Pairs pairs = pairs_of(out);
    if (i == e->options.labels_column) {
        all_labels(e, v, count, &pairs);
    } else if (v->form == VECTOR_RUNS) {
        map_runs(e, &e->columns[i], v, count, &pairs);
    } else {
        map_rows(e, v, count, &pairs);
    }
    (void)duckdb_list_vector_set_size(out, pairs.size); // fails for NULL only
}
