// SPDX-License-Identifier: Apache-2.0
//
// A flat column: its pages become Vectors. One read gives one Vector, of rows of one page as far as
// that is enough, and of several pages as long as they are encoded alike:
//
//   RUNS of DICT  codes and nulls that come in long runs; never more than one page
//   RUNS          nulls only
//   DICT          other codes
//   FLAT          everything else, pointing straight into the page where nothing has to change
#include "codec/bitpack.h"
#include "codec/varint.h"
#include "parquet/reader_internal.h"

enum {
    RUN_ROWS_MIN = 4, // rows per run, on average, from which on runs are worth having
    SKIP_BLOCK = 1 << 16,
};

// Offsets of a dictionary without values.
static const uint32_t no_values[1] = {0};

// ---- leaf: the page being read

void parquet_leaf_deinit(ParquetLeafReader *l)
{
    parquet_pages_deinit(&l->pages);
    parquet_dictionary_deinit(&l->dictionary);
    parquet_values_deinit(&l->values);
    parquet_scratch_deinit(&l->rep_repacked);
    parquet_scratch_deinit(&l->def_repacked);
}

void parquet_leaf_begin(ParquetLeafReader *l, ParquetChunkContext *ctx, const ParquetLeaf *leaf,
                        const ParquetColumnChunk *chunk)
{
    parquet_pages_clear(&l->pages);
    l->pages.ctx = ctx;
    l->values.ctx = ctx;
    l->pages.leaf = leaf;
    l->pages.chunk = chunk;
    l->dictionary.present = false;
    l->dictionary.code_count = 0;
    l->dictionary.remap = NULL;
    l->dictionary.ranks = NULL;
    l->dictionary.vector = (Vector){.type = leaf->type, .form = VECTOR_FLAT, .offsets = no_values};
    l->open = l->loaded = l->started = false;
    l->left = l->row = l->page_end_row = 0;
}

static Status load_dictionary(ParquetLeafReader *l, Err *err)
{
    ParquetPageBody body;
    if (parquet_pages_body(&l->pages, &body, err) != OK ||
        parquet_dictionary_load(&l->dictionary, l->pages.leaf, &l->pages.header, body.values,
                                err) != OK) {
        return err_prefix(err, "page at %" PRIu64 ": ", l->pages.page_offset);
    }
    return OK;
}

// Rows of the page that was opened, in chosen pages as the index says; checks what it can.
static Status place_page(ParquetLeafReader *l, Err *err)
{
    const ParquetPages *p = &l->pages;
    l->left = (uint64_t)p->header.value_count;
    if (p->locations != NULL) {
        const uint32_t page = p->chosen[p->chosen_next - 1];
        const uint64_t end = page + 1 < p->location_count
                                 ? (uint64_t)p->locations[page + 1].first_row
                                 : l->row_count;
        l->row = (uint64_t)p->locations[page].first_row;
        l->page_end_row = end;
        if (p->leaf->max_rep == 0 && end - l->row != l->left) {
            return err_set(err, ERR_CORRUPT,
                           "page at %" PRIu64 ": %" PRIu64 " rows, the index says %" PRIu64,
                           p->page_offset, l->left, end - l->row);
        }
    }
    if (p->leaf->max_rep == 0 && l->left > l->row_count - l->row) {
        return err_set(err, ERR_CORRUPT,
                       "page at %" PRIu64 ": %" PRIu64 " rows where %" PRIu64 " are left",
                       p->page_offset, l->left, l->row_count - l->row);
    }
    return OK;
}

Status parquet_leaf_open(ParquetLeafReader *l, bool *found, Err *err)
{
    *found = false;
    l->open = false;
    l->loaded = false;
    for (;;) {
        ParquetPageKind kind = PARQUET_PAGES_END;
        TRY(parquet_pages_next(&l->pages, &kind, err));
        switch (kind) {
        case PARQUET_PAGES_END:
            return OK;
        case PARQUET_PAGES_DICTIONARY:
            TRY(load_dictionary(l, err));
            break;
        case PARQUET_PAGES_DATA:
            TRY(place_page(l, err));
            l->pages.ctx->pages_opened++;
            if (l->left > 0) {
                l->open = true;
                *found = true;
                return OK;
            }
            break;
        }
    }
}

// Turns BIT_PACKED levels (Encodings.md: deprecated, most significant bit first) into one span of
// the hybrid, so that everything after this knows only one form.
static Bytes repack_levels(Bytes in, unsigned width, uint64_t count, ParquetScratch *scratch)
{
    const uint64_t groups = (count + 7) / 8;
    uint32_t *levels =
        parquet_scratch_need(scratch, (size_t)(groups * 8 * sizeof(*levels) + groups * width + 16));
    uint64_t bit = 0;
    for (uint64_t i = 0; i < groups * 8; i++) {
        uint32_t level = 0;
        for (unsigned b = 0; b < width; b++, bit++) {
            const uint8_t byte = bit / 8 < in.len ? in.ptr[bit / 8] : 0;
            level = level << 1 | (byte >> (7 - bit % 8) & 1);
        }
        levels[i] = level;
    }
    uint8_t *out = (uint8_t *)(levels + groups * 8);
    uint8_t *end = varint_write_u64(out, groups << 1 | 1);
    bitpack_pack_u32(levels, (size_t)(groups * 8), width, end);
    end += groups * width;
    return (Bytes){.ptr = out, .len = (size_t)(end - out)};
}

static Status begin_levels(RleDecoder *d, Bytes in, bool msb, uint32_t max_level, uint64_t count,
                           ParquetScratch *scratch, Err *err)
{
    const unsigned width = bitpack_width_of(max_level);
    if (max_level == 0) {
        return OK;
    }
    if (msb) {
        in = repack_levels(in, width, count, scratch);
    }
    return rle_decoder_init(d, in, width, max_level, err);
}

static Status load_page(ParquetLeafReader *l, Err *err)
{
    ParquetPageBody body;
    const ParquetLeaf *leaf = l->pages.leaf;
    const ParquetPageHeader *header = &l->pages.header;
    const uint64_t count = (uint64_t)header->value_count;
    TRY(parquet_pages_body(&l->pages, &body, err));
    TRY(begin_levels(&l->rep, body.rep, body.rep_msb, leaf->max_rep, count, &l->rep_repacked, err));
    TRY(begin_levels(&l->def, body.def, body.def_msb, leaf->max_def, count, &l->def_repacked, err));
    TRY(parquet_values_begin(&l->values, leaf, &l->dictionary, header, body.values, err));
    l->loaded = true;
    return OK;
}

static Status at_page(const ParquetLeafReader *l, Err *err)
{
    return err_prefix(err, "page at %" PRIu64 ": ", l->pages.page_offset);
}

Status parquet_leaf_load(ParquetLeafReader *l, Err *err)
{
    return load_page(l, err) == OK ? OK : at_page(l, err);
}

static Status open_some(ParquetLeafReader *l, Err *err)
{
    bool found = l->open;
    if (!found) {
        TRY(parquet_leaf_open(l, &found, err));
    }
    if (!found) {
        return err_set(err, ERR_CORRUPT, "the chunk ends at row %" PRIu64 " of %" PRIu64, l->row,
                       l->row_count);
    }
    return OK;
}

static void advance(ParquetLeafReader *l, uint64_t rows)
{
    l->left -= rows;
    l->row += rows;
    l->open = l->left > 0;
}

// ---- passing over rows

static Status skip_rows(ParquetColumn *c, uint64_t rows, Err *err)
{
    ParquetLeafReader *l = &c->leaves[0];
    if (!l->loaded) {
        TRY(load_page(l, err));
    }
    if (l->pages.leaf->max_def == 0) {
        return parquet_values_skip(&l->values, rows, err);
    }
    for (uint64_t done = 0; done < rows;) {
        const size_t n = rows - done < SKIP_BLOCK ? (size_t)(rows - done) : SKIP_BLOCK;
        uint64_t *bits = parquet_scratch_need(&c->validity, SKIP_BLOCK / 8);
        size_t ones = 0;
        TRY(rle_decode_bits(&l->def, bits, 0, n, &ones, err));
        TRY(parquet_values_skip(&l->values, ones, err));
        done += n;
    }
    return OK;
}

Status parquet_column_seek(ParquetColumn *c, uint64_t row, Err *err)
{
    ParquetLeafReader *l = &c->leaves[0];
    while (l->row < row) {
        TRY(open_some(l, err));
        if (l->row >= row) {
            break; // a chosen page begins here
        }
        const uint64_t n = row - l->row < l->left ? row - l->row : l->left;
        if (n < l->left && skip_rows(c, n, err) != OK) {
            return at_page(l, err);
        }
        advance(l, n);
    }
    return OK;
}

// ---- nulls

// out[i] = dense[valid rows before i]. Whole words of valid rows are copied, in others every row
// takes the next dense value and only valid ones use it up.
#define SPREAD(T, name)                                                                            \
    static void name(const uint64_t *validity, size_t from, size_t count, const T *dense, T *out)  \
    {                                                                                              \
        size_t k = 0, i = 0;                                                                       \
        for (; i < count && ((from + i) & 63) != 0; i++) {                                         \
            out[i] = dense[k];                                                                     \
            k += validity[(from + i) >> 6] >> ((from + i) & 63) & 1;                               \
        }                                                                                          \
        for (; i + 64 <= count; i += 64) {                                                         \
            uint64_t word = validity[(from + i) >> 6];                                             \
            if (word == UINT64_MAX) {                                                              \
                memcpy(out + i, dense + k, 64 * sizeof(T));                                        \
                k += 64;                                                                           \
                continue;                                                                          \
            }                                                                                      \
            for (size_t j = 0; j < 64; j++, word >>= 1) {                                          \
                out[i + j] = dense[k];                                                             \
                k += word & 1;                                                                     \
            }                                                                                      \
        }                                                                                          \
        for (; i < count; i++) {                                                                   \
            out[i] = dense[k];                                                                     \
            k += validity[(from + i) >> 6] >> ((from + i) & 63) & 1;                               \
        }                                                                                          \
    }

typedef struct Wide {
    uint64_t lo, hi;
} Wide;

SPREAD(uint8_t, spread_8)
SPREAD(uint16_t, spread_16)
SPREAD(uint32_t, spread_32)
SPREAD(uint64_t, spread_64)
SPREAD(Wide, spread_128)

void parquet_spread(const uint64_t *validity, ParquetRows rows, size_t width, const void *dense,
                    void *out)
{
    switch (width) {
    case 1:
        spread_8(validity, rows.from, rows.count, dense, out);
        return;
    case 2:
        spread_16(validity, rows.from, rows.count, dense, out);
        return;
    case 4:
        spread_32(validity, rows.from, rows.count, dense, out);
        return;
    case 8:
        spread_64(validity, rows.from, rows.count, dense, out);
        return;
    case 16:
        spread_128(validity, rows.from, rows.count, dense, out);
        return;
    default:
        UNREACHABLE();
    }
}

// ---- runs

// Sets up the vector for `rows` nulls.
static void set_nulls(ParquetColumn *c, uint32_t rows)
{
    uint32_t *ends = parquet_scratch_need(&c->run_ends, sizeof(*ends));
    uint64_t *validity = parquet_scratch_need(&c->validity, sizeof(*validity));
    // One element of any type, and offsets for text: zeros.
    void *zeros = parquet_scratch_need(&c->data, 64);
    memset(zeros, 0, 64);
    ends[0] = rows;
    validity[0] = 0;
    c->runs = (Vector){.type = c->field->field.type,
                       .form = VECTOR_FLAT,
                       .row_count = 1,
                       .validity = validity,
                       .data = zeros};
    if (column_type_size(c->runs.type) == 0) {
        c->runs.data = NULL;
        c->runs.offsets = zeros;
        c->runs.bytes = zeros;
    }
    c->vector = (Vector){.type = c->runs.type,
                         .form = VECTOR_RUNS,
                         .row_count = rows,
                         .run_count = 1,
                         .run_ends = ends,
                         .runs = &c->runs};
}

// Runs of levels and runs of codes -> runs of rows. Codes are of valid rows only.
static void merge_runs(ParquetColumn *c, const RleRuns *levels, const RleRuns *codes, uint32_t rows)
{
    const uint32_t most = levels->count + codes->count + 1;
    uint32_t *ends = parquet_scratch_need(&c->run_ends, most * sizeof(*ends));
    uint32_t *out = parquet_scratch_need(&c->codes, most * sizeof(*out));
    uint64_t *validity = parquet_scratch_need(&c->validity, (most + 63) / 64 * sizeof(*validity));
    uint32_t count = 0, row = 0, code_run = 0, code_pos = 0;
    memset(validity, 0, (most + 63) / 64 * sizeof(*validity));
    for (uint32_t k = 0; k < levels->count; k++) {
        const uint32_t level_end = levels->run_ends[k];
        if (levels->values[k] == 0) {
            out[count] = 0;
            ends[count++] = row = level_end;
            continue;
        }
        while (row < level_end) {
            const uint32_t left = codes->run_ends[code_run] - code_pos;
            const uint32_t n = left < level_end - row ? left : level_end - row;
            validity_set(validity, count, true);
            out[count] = codes->values[code_run];
            row += n;
            ends[count++] = row;
            code_pos += n;
            code_run += n == left;
        }
    }
    ASSERT(row == rows && count <= most);
    c->runs = (Vector){.type = c->field->field.type,
                       .form = VECTOR_DICT,
                       .row_count = count,
                       .validity = levels->count == 1 ? NULL : validity,
                       .codes = out,
                       .dict = &c->leaves[0].dictionary.vector};
    c->vector = (Vector){.type = c->field->field.type,
                         .form = VECTOR_RUNS,
                         .row_count = rows,
                         .run_count = count,
                         .run_ends = ends,
                         .runs = &c->runs};
}

static Status decode_runs(RleDecoder *d, uint32_t count, uint32_t cap, ParquetScratch *scratch,
                          RleRuns *runs, Err *err)
{
    uint32_t decoded = 0;
    uint32_t *values = parquet_scratch_need(scratch, (size_t)cap * 2 * sizeof(*values));
    *runs = (RleRuns){.values = values, .run_ends = values + cap, .cap = cap};
    TRY(rle_decode_runs(d, count, runs, &decoded, err));
    ASSERT(decoded == count); // cap is what count_runs() found
    return OK;
}

// The next `rows` rows, all of the loaded page, as RUNS when that is worth it.
static Status try_runs(ParquetColumn *c, uint32_t rows, bool *done, Err *err)
{
    ParquetLeafReader *l = &c->leaves[0];
    const bool nullable = l->pages.leaf->max_def > 0;
    const uint32_t most = rows / RUN_ROWS_MIN;
    uint32_t level_runs = 1, code_runs = 0;
    *done = false;
    if (nullable) {
        TRY(rle_count_runs(&l->def, rows, most, &level_runs, err));
    }
    if (level_runs > most) {
        return OK;
    }
    RleDecoder def = l->def;
    uint32_t all[2] = {1, rows};
    RleRuns levels = {.values = &all[0], .run_ends = &all[1], .count = 1, .cap = 1};
    if (nullable) {
        TRY(decode_runs(&def, rows, level_runs + 1, &c->run_levels, &levels, err));
    }
    uint32_t valid = 0;
    for (uint32_t k = 0; k < levels.count; k++) {
        const uint32_t from = k == 0 ? 0 : levels.run_ends[k - 1];
        valid += levels.values[k] != 0 ? levels.run_ends[k] - from : 0;
    }
    if (valid == 0) {
        l->def = def;
        set_nulls(c, rows);
        *done = true;
        return OK;
    }
    if (l->values.kind != PARQUET_VALUES_CODES || l->dictionary.code_count == 0) {
        return OK;
    }
    TRY(rle_count_runs(&l->values.rle, valid, most, &code_runs, err));
    if (level_runs + code_runs > most) {
        return OK;
    }
    RleRuns codes;
    TRY(decode_runs(&l->values.rle, valid, code_runs + 1, &c->run_codes, &codes, err));
    const uint32_t *remap = l->dictionary.remap;
    for (uint32_t k = 0; remap != NULL && k < codes.count; k++) {
        codes.values[k] = remap[codes.values[k]];
    }
    l->def = def;
    merge_runs(c, &levels, &codes, rows);
    *done = true;
    return OK;
}

// ---- rows one by one

// Decodes the levels of rows [from, from + count) of the vector into c->validity.
static Status read_validity(ParquetColumn *c, ParquetRows rows, size_t *valid, Err *err)
{
    ParquetLeafReader *l = &c->leaves[0];
    *valid = rows.count;
    if (l->pages.leaf->max_def == 0) {
        return OK;
    }
    return rle_decode_bits(&l->def, (uint64_t *)(void *)c->validity.ptr, rows.from, rows.count,
                           valid, err);
}

static Status read_codes(ParquetColumn *c, ParquetRows rows, size_t valid, Err *err)
{
    ParquetValues *v = &c->leaves[0].values;
    uint32_t *out = (uint32_t *)(void *)c->codes.ptr + rows.from;
    if (valid == rows.count) {
        return parquet_values_codes(v, out, valid, err);
    }
    uint32_t *dense = parquet_scratch_need(&c->dense, (valid + 1) * sizeof(*dense));
    TRY(parquet_values_codes(v, dense, valid, err));
    dense[valid] = 0;
    parquet_spread((const uint64_t *)(const void *)c->validity.ptr, rows, sizeof(*out), dense, out);
    return OK;
}

static Status read_fixed(ParquetColumn *c, ParquetRows rows, size_t valid, Err *err)
{
    ParquetValues *v = &c->leaves[0].values;
    const size_t size = column_type_size(c->field->field.type);
    uint8_t *out = c->data.ptr + rows.from * size;
    if (valid == rows.count) {
        return parquet_values_fixed(v, out, valid, err);
    }
    uint8_t *dense = parquet_scratch_need(&c->dense, (valid + 1) * size);
    TRY(parquet_values_fixed(v, dense, valid, err));
    memset(dense + valid * size, 0, size);
    parquet_spread((const uint64_t *)(const void *)c->validity.ptr, rows, size, dense, out);
    return OK;
}

static Status read_text(ParquetColumn *c, ParquetRows rows, size_t valid, Err *err)
{
    ParquetValues *v = &c->leaves[0].values;
    uint32_t *out = (uint32_t *)(void *)c->offsets.ptr + rows.from;
    if (valid == rows.count) {
        return parquet_values_text(v, out, &c->text, valid, err);
    }
    uint32_t *dense = parquet_scratch_need(&c->dense, (valid + 1) * sizeof(*dense));
    TRY(parquet_values_text(v, dense, &c->text, valid, err));
    parquet_spread((const uint64_t *)(const void *)c->validity.ptr, rows, sizeof(*out), dense, out);
    out[rows.count] = dense[valid];
    return OK;
}

static Status read_piece(ParquetColumn *c, ParquetRows rows, size_t *valid, Err *err)
{
    TRY(read_validity(c, rows, valid, err));
    if (c->leaves[0].values.kind == PARQUET_VALUES_CODES) {
        return read_codes(c, rows, *valid, err);
    }
    if (c->leaves[0].pages.leaf->convert == PARQUET_CONVERT_BYTES) {
        return read_text(c, rows, *valid, err);
    }
    return read_fixed(c, rows, *valid, err);
}

// A whole batch without nulls from one page, without copying. False when it does not lie so.
static Status try_view(ParquetColumn *c, uint32_t rows, bool *done, Err *err)
{
    ParquetLeafReader *l = &c->leaves[0];
    Vector v = {.type = c->field->field.type, .form = VECTOR_FLAT, .row_count = rows};
    *done = false;
    if (l->pages.leaf->max_def > 0) {
        RleRun run;
        RleDecoder def = l->def;
        TRY(rle_next(&def, rows, &run, err));
        if (run.packed || run.value == 0 || run.count < rows) {
            return OK;
        }
    }
    if (l->pages.leaf->convert == PARQUET_CONVERT_BYTES) {
        *done = parquet_values_text_view(&l->values, rows, &v.offsets, &v.bytes);
    } else {
        v.data = parquet_values_view(&l->values, rows);
        *done = v.data != NULL;
    }
    if (*done) {
        c->vector = v;
        return l->pages.leaf->max_def == 0 ? OK : rle_skip(&l->def, rows, err);
    }
    return OK;
}

static void reserve(ParquetColumn *c, uint32_t want, bool codes)
{
    const size_t words = ((size_t)want + 63) / 64;
    uint64_t *validity = parquet_scratch_need(&c->validity, words * sizeof(*validity));
    validity[words - 1] = 0;
    if (codes) {
        (void)parquet_scratch_need(&c->codes, want * sizeof(uint32_t));
    } else if (c->leaves[0].pages.leaf->convert == PARQUET_CONVERT_BYTES) {
        (void)parquet_scratch_need(&c->offsets, ((size_t)want + 1) * sizeof(uint32_t));
    } else {
        (void)parquet_scratch_need(&c->data, want * column_type_size(c->field->field.type));
    }
    c->text.used = 0;
}

static void set_vector(ParquetColumn *c, uint32_t rows, bool codes, bool has_nulls)
{
    c->vector = (Vector){
        .type = c->field->field.type, .form = codes ? VECTOR_DICT : VECTOR_FLAT, .row_count = rows};
    c->vector.validity = has_nulls ? (const uint64_t *)(const void *)c->validity.ptr : NULL;
    if (codes) {
        c->vector.codes = (const uint32_t *)(const void *)c->codes.ptr;
        c->vector.dict = &c->leaves[0].dictionary.vector;
    } else if (c->leaves[0].pages.leaf->convert == PARQUET_CONVERT_BYTES) {
        c->vector.offsets = (const uint32_t *)(const void *)c->offsets.ptr;
        c->vector.bytes = c->text.bytes.ptr;
    } else {
        c->vector.data = c->data.ptr;
    }
}

// True when the rows of the next page can follow in the same vector.
static Status next_page_fits(ParquetColumn *c, bool codes, bool *fits, Err *err)
{
    ParquetLeafReader *l = &c->leaves[0];
    *fits = false;
    if (l->row == l->row_count) {
        return OK;
    }
    const uint64_t row = l->row;
    TRY(open_some(l, err));
    if (l->row != row) {
        return OK; // pages in between were not chosen
    }
    TRY(parquet_leaf_load(l, err));
    *fits = (l->values.kind == PARQUET_VALUES_CODES) == codes &&
            c->text.used + (uint64_t)l->pages.header.uncompressed_bytes < PARQUET_BATCH_BYTES_MAX;
    return OK;
}

Status parquet_column_page_rows(ParquetColumn *c, uint64_t *rows, Err *err)
{
    *rows = 0;
    TRY(open_some(&c->leaves[0], err));
    *rows = c->leaves[0].left;
    return OK;
}

Status parquet_column_read(ParquetColumn *c, uint32_t want, Err *err)
{
    ParquetLeafReader *l = &c->leaves[0];
    bool done = false;
    TRY(open_some(l, err));
    if (!l->loaded) {
        TRY(parquet_leaf_load(l, err));
    }
    const uint32_t first = l->left < want ? (uint32_t)l->left : want;
    if (try_runs(c, first, &done, err) != OK) {
        return at_page(l, err);
    }
    const bool codes = l->values.kind == PARQUET_VALUES_CODES;
    if (!done && !codes && first == want && try_view(c, want, &done, err) != OK) {
        return at_page(l, err);
    }
    if (done) {
        advance(l, first);
        return OK;
    }
    uint32_t rows = 0;
    size_t valid = 0;
    bool fits = true;
    reserve(c, want, codes);
    while (rows < want && fits) {
        const uint32_t n = l->left < want - rows ? (uint32_t)l->left : want - rows;
        size_t piece_valid = 0;
        if (read_piece(c, (ParquetRows){.from = rows, .count = n}, &piece_valid, err) != OK) {
            return at_page(l, err);
        }
        advance(l, n);
        rows += n;
        valid += piece_valid;
        if (rows < want) {
            TRY(next_page_fits(c, codes, &fits, err));
        }
    }
    set_vector(c, rows, codes, valid < rows);
    return OK;
}
