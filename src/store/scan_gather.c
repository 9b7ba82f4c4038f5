// SPDX-License-Identifier: Apache-2.0
#include "store/scan_gather.h"

void gather_selection_fill(uint64_t *selection, uint32_t row_count)
{
    memset(selection, 0xFF, row_count / 64 * sizeof(*selection));
    if (row_count % 64 != 0) {
        selection[row_count / 64] = (UINT64_C(1) << row_count % 64) - 1;
    }
}

// Without the instruction, which not every x86-64 has, the compiler would call a function that
// looks bytes up.
static inline uint32_t count_ones(uint64_t v)
{
    v -= v >> 1 & UINT64_C(0x5555555555555555);
    v = (v & UINT64_C(0x3333333333333333)) + (v >> 2 & UINT64_C(0x3333333333333333));
    v = (v + (v >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    return (uint32_t)(v * UINT64_C(0x0101010101010101) >> 56);
}

uint32_t gather_selection_count(const uint64_t *selection, uint32_t row_count)
{
    uint32_t count = 0;
    for (size_t i = 0; i < selection_words(row_count); i++) {
        count += count_ones(selection[i]);
    }
    return count;
}

uint32_t gather_selection_rows(const uint64_t *selection, uint32_t row_count, uint32_t *rows)
{
    uint32_t n = 0;
    for (size_t i = 0; i < selection_words(row_count); i++) {
        for (uint64_t word = selection[i]; word != 0; word &= word - 1) {
            rows[n++] = (uint32_t)(i * 64 + (size_t)__builtin_ctzll(word));
        }
    }
    return n;
}

static const uint64_t *gather_validity(const uint64_t *validity, const uint32_t *rows,
                                       uint32_t count, Arena *arena)
{
    if (validity == NULL) {
        return NULL;
    }
    uint64_t *out = arena_new(arena, uint64_t, selection_words(count));
    for (uint32_t i = 0; i < count; i++) {
        out[i >> 6] |= (uint64_t)validity_get(validity, rows[i]) << (i & 63);
    }
    return out;
}

static const void *gather_fixed(const Vector *v, const uint32_t *rows, uint32_t count, Arena *arena)
{
    const size_t size = column_type_size(v->type);
    uint8_t *out = arena_alloc(arena, count, size, 16);
    switch (size) {
    case 1:
        for (uint32_t i = 0; i < count; i++) {
            out[i] = ((const uint8_t *)v->data)[rows[i]];
        }
        break;
    case 2:
        for (uint32_t i = 0; i < count; i++) {
            ((uint16_t *)(void *)out)[i] = ((const uint16_t *)v->data)[rows[i]];
        }
        break;
    case 4:
        for (uint32_t i = 0; i < count; i++) {
            ((uint32_t *)(void *)out)[i] = ((const uint32_t *)v->data)[rows[i]];
        }
        break;
    case 8:
        for (uint32_t i = 0; i < count; i++) {
            ((uint64_t *)(void *)out)[i] = ((const uint64_t *)v->data)[rows[i]];
        }
        break;
    default:
        for (uint32_t i = 0; i < count; i++) {
            memcpy(out + i * size, (const uint8_t *)v->data + rows[i] * size, size);
        }
        break;
    }
    return out;
}

// New offsets for the chosen rows.
static uint32_t *gather_offsets(const Vector *v, const uint32_t *rows, uint32_t count, Arena *arena)
{
    uint32_t *offsets = arena_new(arena, uint32_t, (size_t)count + 1);
    for (uint32_t i = 0; i < count; i++) {
        offsets[i + 1] = offsets[i] + (v->offsets[rows[i] + 1] - v->offsets[rows[i]]);
    }
    return offsets;
}

static void gather_bytes(const Vector *v, const uint32_t *rows, Vector *out, Arena *arena)
{
    out->offsets = gather_offsets(v, rows, out->row_count, arena);
    uint8_t *bytes = arena_new(arena, uint8_t, out->offsets[out->row_count]);
    for (uint32_t i = 0; i < out->row_count; i++) {
        const uint32_t from = v->offsets[rows[i]];
        const uint32_t len = v->offsets[rows[i] + 1] - from;
        if (len > 0) {
            memcpy(bytes + out->offsets[i], v->bytes + from, len);
        }
    }
    out->bytes = bytes;
}

static void gather_map(const Vector *v, const uint32_t *rows, Vector *out, Arena *arena)
{
    uint32_t *offsets = gather_offsets(v, rows, out->row_count, arena);
    const uint32_t entry_count = offsets[out->row_count];
    uint32_t *entries = arena_new(arena, uint32_t, entry_count);
    uint32_t n = 0;
    for (uint32_t i = 0; i < out->row_count; i++) {
        for (uint32_t e = v->offsets[rows[i]]; e < v->offsets[rows[i] + 1]; e++) {
            entries[n++] = e;
        }
    }
    Vector *parts = arena_new(arena, Vector, 2);
    parts[0] = gather_vector(v->keys, entries, entry_count, arena);
    parts[1] = gather_vector(v->values, entries, entry_count, arena);
    out->offsets = offsets;
    out->keys = &parts[0];
    out->values = &parts[1];
}

static Vector gather_flat(const Vector *v, const uint32_t *rows, uint32_t count, Arena *arena)
{
    Vector out = {.type = v->type, .form = VECTOR_FLAT, .row_count = count};
    out.validity = gather_validity(v->validity, rows, count, arena);
    if (v->type == COLUMN_MAP) {
        gather_map(v, rows, &out, arena);
    } else if (v->type == COLUMN_STRING || v->type == COLUMN_BINARY) {
        gather_bytes(v, rows, &out, arena);
    } else {
        out.data = gather_fixed(v, rows, count, arena);
    }
    return out;
}

static Vector gather_dict(const Vector *v, const uint32_t *rows, uint32_t count, Arena *arena)
{
    Vector out = {.type = v->type, .form = VECTOR_DICT, .row_count = count, .dict = v->dict};
    out.validity = gather_validity(v->validity, rows, count, arena);
    uint32_t *codes = arena_new(arena, uint32_t, count);
    for (uint32_t i = 0; i < count; i++) {
        codes[i] = v->codes[rows[i]];
    }
    out.codes = codes;
    return out;
}

static Vector gather_runs(const Vector *v, const uint32_t *rows, uint32_t count, Arena *arena)
{
    uint32_t *kept = arena_new(arena, uint32_t, v->run_count);
    uint32_t *ends = arena_new(arena, uint32_t, v->run_count);
    uint32_t kept_count = 0;
    uint32_t i = 0;
    for (uint32_t run = 0; run < v->run_count && i < count; run++) {
        const uint32_t before = i;
        while (i < count && rows[i] < v->run_ends[run]) {
            i++;
        }
        if (i > before) {
            kept[kept_count] = run;
            ends[kept_count++] = i;
        }
    }
    Vector *runs = arena_new(arena, Vector, 1);
    *runs = kept_count == v->run_count ? *v->runs : gather_vector(v->runs, kept, kept_count, arena);
    return (Vector){.type = v->type,
                    .form = VECTOR_RUNS,
                    .row_count = count,
                    .run_count = kept_count,
                    .run_ends = ends,
                    .runs = runs};
}

Vector gather_vector(const Vector *v, const uint32_t *rows, uint32_t count, Arena *arena)
{
    if (count == v->row_count) {
        return *v;
    }
    switch (v->form) {
    case VECTOR_FLAT:
        return gather_flat(v, rows, count, arena);
    case VECTOR_DICT:
        return gather_dict(v, rows, count, arena);
    case VECTOR_RUNS:
        return gather_runs(v, rows, count, arena);
    }
    UNREACHABLE();
}
