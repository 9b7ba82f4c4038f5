// SPDX-License-Identifier: Apache-2.0
#include "tests/support/vector_gen.h"

#include "base/buf.h"

enum { FEW = 20, LONG_TEXT_MAX = 3000, MAP_ENTRIES_MAX = 5 };

// The number behind value `i` of a column: what makes equal values equal.
static uint64_t number(Rng *rng, VectorShape shape, uint64_t *state)
{
    switch (shape) {
    case SHAPE_CONSTANT:
        return *state;
    case SHAPE_FEW:
        return *state + rng_below(rng, FEW) * 37;
    case SHAPE_WALK:
        return *state += rng_below(rng, 21) - 10;
    case SHAPE_SORTED:
        return *state += rng_below(rng, 5);
    case SHAPE_RANDOM:
    case SHAPE_LONG:
    case SHAPE_COUNT:
        return rng_below(rng, 10) == 0 ? rng_below(rng, 3) - 1 : rng_next(rng);
    }
    UNREACHABLE();
}

static double random_f64(Rng *rng, bool no_nan)
{
    static const uint64_t odd[] = {
        UINT64_C(0x7ff0000000000000), UINT64_C(0xfff0000000000000), // infinities
        UINT64_C(0x7ff0000000000002), UINT64_C(0xfff8000000000001), // NaN, one the stale marker
        UINT64_C(0x8000000000000000), 0,                            // zeroes
        UINT64_C(0x0000000000000001), UINT64_C(0x7fefffffffffffff)};
    uint64_t bits = rng_below(rng, 20) == 0 ? odd[rng_below(rng, ARRAY_LEN(odd))] : rng_next(rng);
    double v = 0;
    memcpy(&v, &bits, sizeof(v));
    return no_nan && v != v ? 1.5 : v;
}

static float random_f32(Rng *rng, bool no_nan)
{
    static const uint32_t odd[] = {0x7f800000, 0xff800000, 0x7f800001, 0xffc00001, 0x80000000, 0};
    uint32_t bits =
        rng_below(rng, 20) == 0 ? odd[rng_below(rng, ARRAY_LEN(odd))] : (uint32_t)rng_next(rng);
    float v = 0;
    memcpy(&v, &bits, sizeof(v));
    return no_nan && v != v ? 1.5f : v;
}

static bool is_wild(VectorShape shape)
{
    return shape == SHAPE_RANDOM || shape == SHAPE_LONG;
}

static void put_fixed(Rng *rng, const VectorGen *gen, uint64_t *state, uint8_t *out)
{
    const uint64_t n = number(rng, gen->shape, state);
    const size_t size = column_type_size(gen->type);
    uint64_t low = n;
    if (gen->type == COLUMN_BOOL) {
        low = n & 1;
    } else if (gen->type == COLUMN_DOUBLE) {
        const double v = is_wild(gen->shape) ? random_f64(rng, gen->no_nan) : (double)(int64_t)n;
        memcpy(&low, &v, sizeof(v));
    } else if (gen->type == COLUMN_FLOAT) {
        const float v = is_wild(gen->shape) ? random_f32(rng, gen->no_nan) : (float)(int64_t)n;
        memcpy(&low, &v, sizeof(v));
    } else if (gen->type == COLUMN_DATE || gen->type == COLUMN_TIMESTAMP) {
        // What every reader's calendar can hold.
        low = gen->type == COLUMN_DATE ? n % 40000 : n % (UINT64_C(4000000000) * 1000000);
    }
    memset(out, 0, size);
    memcpy(out, &low, size < 8 ? size : 8);
    if (size == 16) {
        memcpy(out + 8, &n, 8);
    }
}

static void put_text(Rng *rng, const VectorGen *gen, uint64_t n, Buf *out)
{
    static const char *const pieces[] = {"a", "Z", "0", "-", "é", "ß", "漢", "😀", "\x7f", "~"};
    if (!is_wild(gen->shape)) {
        buf_putf(out, "svc-%08" PRIu64, n % 100000000);
        return;
    }
    uint64_t len = rng_below(rng, 12);
    if (gen->shape == SHAPE_LONG && rng_below(rng, 50) == 0) {
        len = rng_below(rng, LONG_TEXT_MAX / 4);
    }
    for (; len != 0; len--) {
        if (gen->type == COLUMN_BINARY) {
            buf_put_u8(out, (uint8_t)rng_next(rng));
        } else {
            const char *piece = pieces[rng_below(rng, ARRAY_LEN(pieces))];
            buf_put(out, piece, strlen(piece));
        }
    }
}

static const uint64_t *gen_validity(Rng *rng, uint32_t one_in, uint32_t count, Arena *arena)
{
    if (one_in == 0) {
        return NULL;
    }
    uint64_t *validity = arena_new(arena, uint64_t, count / 64 + 1);
    for (uint32_t i = 0; i < count; i++) {
        validity_set(validity, i, rng_below(rng, one_in) != 0);
    }
    return validity;
}

static Vector gen_texts(Rng *rng, const VectorGen *gen, uint32_t count, Arena *arena)
{
    Buf text = {0};
    uint64_t state = rng_below(rng, 1000) + 100000;
    uint32_t *offsets = arena_new(arena, uint32_t, (size_t)count + 1);
    buf_put_str(&text, STR("unused")); // the first text need not be the first byte
    offsets[0] = (uint32_t)text.len;
    for (uint32_t i = 0; i < count; i++) {
        put_text(rng, gen, number(rng, gen->shape, &state), &text);
        offsets[i + 1] = (uint32_t)text.len;
    }
    const Str copy = arena_str(arena, buf_str(&text));
    buf_deinit(&text);
    return (Vector){.type = gen->type == COLUMN_MAP ? COLUMN_STRING : gen->type,
                    .row_count = count,
                    .offsets = offsets,
                    .bytes = (const uint8_t *)copy.ptr};
}

static Vector *new_vector(Arena *arena, Vector v)
{
    Vector *p = arena_new(arena, Vector, 1);
    *p = v;
    return p;
}

// Maps whose keys are "k0", "k1", ... by way of a dictionary, and whose values are texts, some
// null.
static Vector gen_maps(Rng *rng, const VectorGen *gen, uint32_t count, Arena *arena)
{
    static const uint32_t key_offsets[] = {0, 2, 4, 6, 8, 10};
    uint32_t *offsets = arena_new(arena, uint32_t, (size_t)count + 1);
    const uint64_t most = gen->shape == SHAPE_CONSTANT ? 1 : MAP_ENTRIES_MAX;
    for (uint32_t i = 0; i < count; i++) {
        offsets[i + 1] = offsets[i] + (uint32_t)rng_below(rng, most + 1);
    }
    const uint32_t entries = offsets[count];
    uint32_t *codes = arena_new(arena, uint32_t, (size_t)entries + 1);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t e = offsets[i]; e < offsets[i + 1]; e++) {
            codes[e] = e - offsets[i];
        }
    }
    const Vector keys = {.type = COLUMN_STRING,
                         .row_count = MAP_ENTRIES_MAX,
                         .offsets = key_offsets,
                         .bytes = (const uint8_t *)"k0k1k2k3k4"};
    Vector values = gen_texts(rng, gen, entries, arena);
    values.validity = gen_validity(rng, gen->null_one_in == 0 ? 0 : 7, entries, arena);
    return (Vector){.type = COLUMN_MAP,
                    .row_count = count,
                    .offsets = offsets,
                    .keys = new_vector(arena, (Vector){.type = COLUMN_STRING,
                                                       .form = VECTOR_DICT,
                                                       .row_count = entries,
                                                       .codes = codes,
                                                       .dict = new_vector(arena, keys)}),
                    .values = new_vector(arena, values)};
}

static Vector gen_flat(Rng *rng, const VectorGen *gen, uint32_t count, Arena *arena)
{
    Vector v = {.type = gen->type, .row_count = count};
    if (gen->type == COLUMN_MAP) {
        v = gen_maps(rng, gen, count, arena);
    } else if (column_type_size(gen->type) == 0) {
        v = gen_texts(rng, gen, count, arena);
    } else {
        const size_t size = column_type_size(gen->type);
        uint64_t state = rng_below(rng, 100000) + 100000;
        // Room for eight bytes at a time.
        uint8_t *data = arena_alloc(arena, (size_t)count + 2, size < 8 ? 8 : size, 16);
        for (uint32_t i = 0; i < count; i++) {
            put_fixed(rng, gen, &state, data + i * size);
        }
        v.data = data;
    }
    return v;
}

// A dictionary holds no value twice: rows that repeat a value of the flat vector are left out.
static uint32_t drop_repeated(const Vector *flat, uint32_t *keep)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < flat->row_count; i++) {
        bool seen = false;
        for (uint32_t k = 0; k < count && !seen; k++) {
            const size_t size = column_type_size(flat->type);
            if (flat->type == COLUMN_MAP) {
                seen = false;
            } else if (size == 0) {
                seen = str_eq(vector_flat_str(flat, keep[k]), vector_flat_str(flat, i));
            } else {
                seen = memcmp((const uint8_t *)flat->data + keep[k] * size,
                              (const uint8_t *)flat->data + i * size, size) == 0;
            }
        }
        if (!seen) {
            keep[count++] = i;
        }
    }
    return count;
}

// Rows keep[0..count) of a flat vector of texts or fixed values.
static Vector pick(const Vector *flat, const uint32_t *keep, uint32_t count, Arena *arena)
{
    Vector v = {.type = flat->type, .row_count = count};
    const size_t size = column_type_size(flat->type);
    if (size != 0) {
        uint8_t *data = arena_alloc(arena, (size_t)count + 1, size, 16);
        for (uint32_t i = 0; i < count; i++) {
            memcpy(data + i * size, (const uint8_t *)flat->data + keep[i] * size, size);
        }
        v.data = data;
        return v;
    }
    Buf text = {0};
    uint32_t *offsets = arena_new(arena, uint32_t, (size_t)count + 1);
    for (uint32_t i = 0; i < count; i++) {
        buf_put_str(&text, vector_flat_str(flat, keep[i]));
        offsets[i + 1] = (uint32_t)text.len;
    }
    v.offsets = offsets;
    v.bytes = (const uint8_t *)arena_str(arena, buf_str(&text)).ptr;
    buf_deinit(&text);
    return v;
}

static Vector gen_dict(Rng *rng, const VectorGen *gen, uint32_t count, Arena *arena)
{
    const uint32_t size = count == 0 ? 0 : 1 + (uint32_t)rng_below(rng, count < 300 ? count : 300);
    const Vector flat = gen_flat(rng, gen, size, arena);
    uint32_t *keep = arena_new(arena, uint32_t, (size_t)size + 1);
    const uint32_t distinct = drop_repeated(&flat, keep);
    const Vector dict = gen->type == COLUMN_MAP ? flat : pick(&flat, keep, distinct, arena);
    uint32_t *codes = arena_new(arena, uint32_t, (size_t)count + 1);
    for (uint32_t i = 0; i < count; i++) {
        // Values near the end of the dictionary stay unused.
        codes[i] = (uint32_t)rng_below(rng, dict.row_count - dict.row_count / 4);
    }
    return (Vector){.type = gen->type,
                    .form = VECTOR_DICT,
                    .row_count = count,
                    .validity = gen_validity(rng, gen->null_one_in, count, arena),
                    .codes = codes,
                    .dict = new_vector(arena, dict)};
}

static Vector gen_runs(Rng *rng, const VectorGen *gen, Arena *arena)
{
    uint32_t *ends = arena_new(arena, uint32_t, gen->row_count);
    uint32_t run_count = 0;
    for (uint32_t row = 0; row < gen->row_count; run_count++) {
        const uint64_t len = rng_below(rng, 30) == 0 ? rng_below(rng, 20000) : rng_below(rng, 50);
        row = len + 1 < gen->row_count - row ? row + 1 + (uint32_t)len : gen->row_count;
        ends[run_count] = row;
    }
    Vector items = {0};
    if (rng_below(rng, 2) == 0) {
        items = gen_dict(rng, gen, run_count, arena);
    } else {
        items = gen_flat(rng, gen, run_count, arena);
        items.validity = gen_validity(rng, gen->null_one_in, run_count, arena);
    }
    return (Vector){.type = gen->type,
                    .form = VECTOR_RUNS,
                    .row_count = gen->row_count,
                    .run_count = run_count,
                    .run_ends = ends,
                    .runs = new_vector(arena, items)};
}

Vector vector_gen(Rng *rng, const VectorGen *gen, Arena *arena)
{
    Vector v = {0};
    switch (gen->form) {
    case VECTOR_FLAT:
        v = gen_flat(rng, gen, gen->row_count, arena);
        v.validity = gen_validity(rng, gen->null_one_in, gen->row_count, arena);
        return v;
    case VECTOR_DICT:
        return gen_dict(rng, gen, gen->row_count, arena);
    case VECTOR_RUNS:
        return gen_runs(rng, gen, arena);
    }
    UNREACHABLE();
}

Str vector_gen_name(const VectorGen *gen, Arena *arena)
{
    static const char *const shapes[] = {"constant", "few", "walk", "sorted", "random", "long"};
    static const char *const forms[] = {"flat", "dict", "runs"};
#define X(name, sql, size) #name,
    static const char *const types[] = {COLUMN_TYPE_LIST(X)};
#undef X
    static const char prefix[] = "COLUMN_";
    Buf b = {0};
    buf_putf(&b, "%s_%s_%s", shapes[gen->shape], forms[gen->form],
             types[gen->type] + sizeof(prefix) - 1);
    for (size_t i = 0; i < b.len; i++) {
        const bool upper = b.ptr[i] >= 'A' && b.ptr[i] <= 'Z';
        b.ptr[i] = (uint8_t)(upper ? b.ptr[i] + 'a' - 'A' : b.ptr[i]);
    }
    const Str name = arena_str(arena, buf_str(&b));
    buf_deinit(&b);
    return name;
}
