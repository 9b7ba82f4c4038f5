// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "codec/hash.h"
#include "column/vector_internal.h"

static Status validate(const Vector *v, Err *err);

static Status validate_offsets(const Vector *v, Err *err)
{
    if (v->offsets == NULL) {
        return err_set(err, ERR_CORRUPT, "no offsets");
    }
    for (uint32_t i = 0; i < v->row_count; i++) {
        if (v->offsets[i] > v->offsets[i + 1]) {
            return err_set(err, ERR_CORRUPT, "offset %" PRIu32 " descends", i + 1);
        }
    }
    return OK;
}

static Str entry_str(const Vector *v, uint32_t row)
{
    const Vector *flat = NULL;
    uint32_t index = 0;
    return vector_locate(v, row, &flat, &index) ? vector_flat_str(flat, index) : (Str){0};
}

static int compare_str(Str a, Str b)
{
    const size_t len = a.len < b.len ? a.len : b.len;
    const int c = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);
    return c != 0 ? c : (a.len > b.len) - (a.len < b.len);
}

static Status validate_entries(const Vector *v, Err *err)
{
    for (int i = 0; i < 2; i++) {
        const Vector *entries = i == 0 ? v->keys : v->values;
        if (entries == NULL || entries->type != COLUMN_STRING || entries->form == VECTOR_RUNS ||
            entries->row_count < v->offsets[v->row_count]) {
            return err_set(err, ERR_CORRUPT, "keys or values do not fit their map");
        }
        TRY(validate(entries, err));
    }
    if (v->keys->row_count != v->values->row_count) {
        return err_set(err, ERR_CORRUPT, "%" PRIu32 " keys, %" PRIu32 " values", v->keys->row_count,
                       v->values->row_count);
    }
    for (uint32_t row = 0; row < v->row_count; row++) {
        if (!validity_get(v->validity, row)) {
            continue;
        }
        for (uint32_t e = v->offsets[row]; e < v->offsets[row + 1]; e++) {
            if (!validity_get(v->keys->validity, e)) {
                return err_set(err, ERR_CORRUPT, "null key in row %" PRIu32, row);
            }
            if (e > v->offsets[row] &&
                compare_str(entry_str(v->keys, e - 1), entry_str(v->keys, e)) >= 0) {
                return err_set(err, ERR_CORRUPT, "keys of row %" PRIu32 " do not ascend", row);
            }
        }
    }
    return OK;
}

static Status validate_flat(const Vector *v, Err *err)
{
    if (column_type_size(v->type) == 0) {
        TRY(validate_offsets(v, err));
        if (v->type == COLUMN_MAP) {
            return validate_entries(v, err);
        }
        if (v->bytes == NULL && v->offsets[v->row_count] > v->offsets[0]) {
            return err_set(err, ERR_CORRUPT, "no bytes");
        }
        return OK;
    }
    if (v->data == NULL && v->row_count > 0) {
        return err_set(err, ERR_CORRUPT, "no data");
    }
    const uint8_t *bools = v->data;
    for (uint32_t i = 0; v->type == COLUMN_BOOL && i < v->row_count; i++) {
        if (bools[i] > 1 && validity_get(v->validity, i)) {
            return err_set(err, ERR_CORRUPT, "row %" PRIu32 " is neither false nor true", i);
        }
    }
    return OK;
}

static uint64_t hash_of(const Vector *flat, uint32_t i)
{
    const size_t size = column_type_size(flat->type);
    if (size != 0) {
        return hash_xxh3_64((Bytes){(const uint8_t *)flat->data + i * size, size}, 0);
    }
    if (flat->type != COLUMN_MAP) {
        const Str s = vector_flat_str(flat, i);
        return hash_xxh3_64((Bytes){(const uint8_t *)s.ptr, s.len}, 0);
    }
    uint64_t hash = flat->offsets[i + 1] - flat->offsets[i];
    for (uint32_t e = flat->offsets[i]; e < flat->offsets[i + 1]; e++) {
        const Str key = entry_str(flat->keys, e);
        const Str value = entry_str(flat->values, e);
        hash = hash_xxh3_64((Bytes){(const uint8_t *)key.ptr, key.len}, hash);
        hash = hash_xxh3_64((Bytes){(const uint8_t *)value.ptr, value.len}, hash);
    }
    return hash;
}

static Status validate_unique(const Vector *dict, Err *err)
{
    size_t slots = 16;
    while (slots / 2 < dict->row_count) {
        slots *= 2;
    }
    uint32_t *table = mem_new(uint32_t, slots); // index + 1; 0 is empty
    Status st = OK;
    for (uint32_t i = 0; i < dict->row_count && st == OK; i++) {
        size_t at = hash_of(dict, i) & (slots - 1);
        while (table[at] != 0 && !vector_value_equal(dict, table[at] - 1, dict, i)) {
            at = (at + 1) & (slots - 1);
        }
        if (table[at] != 0) {
            st = err_set(err, ERR_CORRUPT, "values %" PRIu32 " and %" PRIu32 " are the same",
                         table[at] - 1, i);
        }
        table[at] = i + 1;
    }
    mem_free(table);
    return st;
}

static Status validate_dict(const Vector *v, Err *err)
{
    const Vector *dict = v->dict;
    if (dict == NULL || dict->form != VECTOR_FLAT || dict->validity != NULL ||
        dict->type != v->type || (v->codes == NULL && v->row_count > 0)) {
        return err_set(err, ERR_CORRUPT, "dictionary does not fit its column");
    }
    if (validate(dict, err) != OK || validate_unique(dict, err) != OK) {
        return err_prefix(err, "dictionary: ");
    }
    for (uint32_t i = 0; i < v->row_count; i++) {
        const bool null_of_nothing =
            dict->row_count == 0 && v->codes[i] == 0 && !validity_get(v->validity, i);
        if (v->codes[i] >= dict->row_count && !null_of_nothing) {
            return err_set(err, ERR_CORRUPT, "code %" PRIu32 " in row %" PRIu32 " of %" PRIu32,
                           v->codes[i], i, dict->row_count);
        }
    }
    return OK;
}

static Status validate_runs(const Vector *v, Err *err)
{
    const Vector *runs = v->runs;
    if (runs == NULL || runs->form == VECTOR_RUNS || runs->type != v->type ||
        runs->row_count != v->run_count || v->validity != NULL ||
        (v->run_ends == NULL && v->run_count > 0)) {
        return err_set(err, ERR_CORRUPT, "runs do not fit their column");
    }
    uint32_t before = 0;
    for (uint32_t k = 0; k < v->run_count; k++) {
        if (v->run_ends[k] <= before) {
            return err_set(err, ERR_CORRUPT, "run %" PRIu32 " ends at %" PRIu32, k, v->run_ends[k]);
        }
        before = v->run_ends[k];
    }
    if (before != v->row_count) {
        return err_set(err, ERR_CORRUPT, "runs of %" PRIu32 " rows, expected %" PRIu32, before,
                       v->row_count);
    }
    if (validate(runs, err) != OK) {
        return err_prefix(err, "runs: ");
    }
    return OK;
}

// Recursion ends: RUNS hold FLAT or DICT, DICT holds FLAT, and the entries of a map are strings.
static Status validate(const Vector *v, Err *err)
{
    switch (v->form) {
    case VECTOR_FLAT:
        return validate_flat(v, err);
    case VECTOR_DICT:
        return validate_dict(v, err);
    case VECTOR_RUNS:
        return validate_runs(v, err);
    }
    return err_set(err, ERR_CORRUPT, "form %d", (int)v->form);
}

Status vector_validate(const Vector *v, Err *err)
{
    return validate(v, err);
}
