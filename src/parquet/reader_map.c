// SPDX-License-Identifier: Apache-2.0
//
// MAP of text to text: two leaves, keys and values, with repetition and definition levels (Dremel,
// Melnik et al. 2010; apache/parquet-format README.md, "Nested Encoding").
//
//   repetition  0: a new row begins; 1: one more entry of the same row
//   definition  counted from the outside: the map itself when it may be null, then the entry, then
//               the key or value when it may be null
//
// A row may begin in one page and go on in the next, so a row is complete only when the next one
// begins or the chunk ends. Our maps have unique keys in byte order; Parquet's need not, and the
// last entry of a key counts (LogicalTypes.md, "Maps").
#include "base/mem.h"
#include "parquet/reader_internal.h"

#include <stdlib.h>

enum { LEVELS_BLOCK = 4096, SEEK_ROWS = 16384 };

// One of the two leaves: levels decoded ahead, and the entries of the batch.
typedef struct Nested {
    uint32_t rep[LEVELS_BLOCK], def[LEVELS_BLOCK];
    uint32_t pos, count; // levels [pos, count) are not used yet
    uint64_t row;        // next row to hand out

    size_t rows, entries, present; // present: entries that are not null
    ParquetScratch offsets;        // uint32_t[rows + 1]
    ParquetScratch validity;       // of rows
    ParquetScratch entry_validity;
    bool coded;            // values are codes, not text
    ParquetScratch codes;  // coded: uint32_t[present]
    ParquetScratch starts; // text: uint32_t[present + 1]
    ParquetText text;
    ParquetScratch spread; // codes or starts, one per entry
    ParquetScratch temp;
    Vector vector;
} Nested;

typedef struct Entry {
    Str key;
    uint32_t index;
} Entry;

struct ParquetMapState {
    Nested leaves[2];
    Entry *sorted;
    size_t sorted_cap;
    ParquetScratch order; // uint32_t: entries in their new order
};

void parquet_map_free(ParquetColumn *c)
{
    struct ParquetMapState *m = c->map;
    if (m == NULL) {
        return;
    }
    for (size_t k = 0; k < 2; k++) {
        Nested *n = &m->leaves[k];
        ParquetScratch *all[] = {&n->offsets, &n->validity,   &n->entry_validity, &n->codes,
                                 &n->starts,  &n->text.bytes, &n->spread,         &n->temp};
        for (size_t i = 0; i < ARRAY_LEN(all); i++) {
            parquet_scratch_deinit(all[i]);
        }
    }
    mem_free(m->sorted);
    parquet_scratch_deinit(&m->order);
    mem_free(m);
    c->map = NULL;
}

void parquet_map_begin(ParquetColumn *c)
{
    if (c->map == NULL) {
        c->map = mem_new(struct ParquetMapState, 1);
    }
    for (size_t k = 0; k < 2; k++) {
        Nested *n = &c->map->leaves[k];
        n->pos = n->count = 0;
        n->row = 0;
    }
}

// ---- levels

// The first row of the next page that will be read, when only chosen pages are; otherwise that
// pages follow each other.
static bool next_page_follows(const ParquetLeafReader *l)
{
    const ParquetPages *p = &l->pages;
    return p->locations == NULL ||
           (p->chosen_next < p->chosen_count &&
            (uint64_t)p->locations[p->chosen[p->chosen_next]].first_row == l->page_end_row);
}

// Makes n->pos < n->count, or sets *end when no level follows the ones used so far: at the end of
// the chunk, or of pages that follow each other.
static Status more_levels(Nested *n, ParquetLeafReader *l, bool *end, Err *err)
{
    *end = false;
    if (n->pos < n->count) {
        return OK;
    }
    if (!l->open) {
        bool found = false;
        if (l->started && !next_page_follows(l)) {
            *end = true;
            return OK;
        }
        TRY(parquet_leaf_open(l, &found, err));
        if (!found) {
            *end = true;
            return OK;
        }
        l->started = true;
        TRY(parquet_leaf_load(l, err));
    }
    const uint32_t count = l->left < LEVELS_BLOCK ? (uint32_t)l->left : LEVELS_BLOCK;
    TRY(rle_decode(&l->rep, n->rep, count, err));
    TRY(rle_decode(&l->def, n->def, count, err));
    n->pos = 0;
    n->count = count;
    l->left -= count;
    l->open = l->left > 0;
    return OK;
}

// ---- entries of the batch

// Appends dictionary values to the text.
static Status append_coded(Nested *n, const Vector *dict, const uint32_t *codes, size_t count,
                           Err *err)
{
    uint32_t *starts = parquet_scratch_grow(&n->starts, n->present * sizeof(*starts),
                                            (n->present + count + 1) * sizeof(*starts));
    for (size_t i = 0; i < count; i++) {
        const Str s = vector_flat_str(dict, codes[i]);
        if (s.len > PARQUET_BATCH_BYTES_MAX - n->text.used) {
            return err_set(err, ERR_TOO_LARGE, "more than %d bytes of text in a batch of maps",
                           PARQUET_BATCH_BYTES_MAX);
        }
        uint8_t *to = parquet_scratch_grow(&n->text.bytes, n->text.used, n->text.used + s.len);
        starts[n->present + i] = (uint32_t)n->text.used;
        if (s.len > 0) {
            memcpy(to + n->text.used, s.ptr, s.len);
        }
        n->text.used += s.len;
    }
    starts[n->present + count] = (uint32_t)n->text.used;
    return OK;
}

// Takes the next `count` values of the page. A batch stays coded as long as all of it is.
static Status take_values(Nested *n, ParquetLeafReader *l, size_t count, Err *err)
{
    const bool coded = l->values.kind == PARQUET_VALUES_CODES;
    const Vector *dict = &l->dictionary.vector;
    if (count == 0) {
        return OK;
    }
    if (n->present == 0) {
        n->coded = coded;
    }
    if (n->coded && !coded) {
        const size_t before = n->present;
        n->coded = false;
        n->present = 0;
        TRY(append_coded(n, dict, (const uint32_t *)(const void *)n->codes.ptr, before, err));
        n->present = before;
    }
    if (coded) {
        ParquetScratch *to = n->coded ? &n->codes : &n->temp;
        const size_t at = n->coded ? n->present : 0;
        uint32_t *codes =
            parquet_scratch_grow(to, at * sizeof(*codes), (at + count) * sizeof(*codes));
        TRY(parquet_values_codes(&l->values, codes + at, count, err));
        if (!n->coded) {
            TRY(append_coded(n, dict, codes, count, err));
        }
    } else {
        uint32_t *starts = parquet_scratch_grow(&n->starts, n->present * sizeof(*starts),
                                                (n->present + count + 1) * sizeof(*starts));
        TRY(parquet_values_text(&l->values, starts + n->present, &n->text, count, err));
        if (n->text.used > PARQUET_BATCH_BYTES_MAX) {
            return err_set(err, ERR_TOO_LARGE, "more than %d bytes of text in a batch of maps",
                           PARQUET_BATCH_BYTES_MAX);
        }
    }
    n->present += count;
    return OK;
}

// Uses levels of the block up to the row after `want`; *full when that was reached. *values is how
// many of them have a value.
static Status use_levels(Nested *n, const ParquetLeaf *leaf, size_t want, size_t *values, Err *err)
{
    const uint32_t def_map = leaf->from_parent ? 1 : 0, def_entry = def_map + 1;
    uint32_t *offsets = (uint32_t *)(void *)n->offsets.ptr;
    uint64_t *validity = (uint64_t *)(void *)n->validity.ptr;
    *values = 0;
    if (n->entries + LEVELS_BLOCK > PARQUET_MAP_BATCH_ENTRIES_MAX) {
        return err_set(err, ERR_TOO_LARGE, "more than %d map entries in a batch",
                       PARQUET_MAP_BATCH_ENTRIES_MAX - LEVELS_BLOCK);
    }
    const size_t words = n->entries / 64 + 1;
    uint64_t *entry_validity =
        parquet_scratch_grow(&n->entry_validity, words * sizeof(*entry_validity),
                             (words + LEVELS_BLOCK / 64 + 1) * sizeof(*entry_validity));
    for (; n->pos < n->count; n->pos++) {
        const uint32_t rep = n->rep[n->pos], def = n->def[n->pos];
        if (rep == 0) {
            if (n->rows == want) {
                break;
            }
            offsets[n->rows] = (uint32_t)n->entries;
            validity_set(validity, n->rows++, def >= def_map);
        } else if (n->rows == 0 || def < def_entry) {
            return err_set(err, ERR_CORRUPT, "map levels %u, %u do not fit together", rep, def);
        }
        if (def >= def_entry) {
            validity_set(entry_validity, n->entries++, def == leaf->max_def);
            *values += def == leaf->max_def;
        }
    }
    return OK;
}

// Reads up to `want` rows of one leaf; fewer only at the end of the chunk.
static Status read_leaf(Nested *n, ParquetLeafReader *l, size_t want, Err *err)
{
    n->rows = n->entries = n->present = n->text.used = 0;
    (void)parquet_scratch_need(&n->offsets, (want + 1) * sizeof(uint32_t));
    (void)parquet_scratch_need(&n->validity, (want + 63) / 64 * sizeof(uint64_t));
    (void)parquet_scratch_need(&n->entry_validity, sizeof(uint64_t));
    for (;;) {
        bool end = false;
        size_t values = 0;
        TRY(more_levels(n, l, &end, err));
        if (end) {
            break;
        }
        TRY(use_levels(n, l->pages.leaf, want, &values, err));
        TRY(take_values(n, l, values, err));
        if (n->pos < n->count) {
            break;
        }
    }
    ((uint32_t *)(void *)n->offsets.ptr)[n->rows] = (uint32_t)n->entries;
    return OK;
}

// ---- vectors

// The entries of one leaf, in their order in the file.
static void set_entries(Nested *n, const Vector *dict)
{
    const bool nulls = n->present < n->entries;
    const ParquetRows all = {.from = 0, .count = n->entries};
    uint32_t *dense = (uint32_t *)(void *)(n->coded ? n->codes.ptr : n->starts.ptr);
    n->vector = (Vector){.type = COLUMN_STRING, .row_count = (uint32_t)n->entries};
    if (n->present == 0) { // nothing was decoded, so there is neither form nor start
        dense = parquet_scratch_need(&n->starts, sizeof(*dense));
        dense[0] = 0;
        n->coded = false;
    }
    if (nulls) {
        uint32_t *spread = parquet_scratch_need(&n->spread, (n->entries + 1) * sizeof(*spread));
        if (n->coded) {
            dense = parquet_scratch_grow(&n->codes, n->present * sizeof(*dense),
                                         (n->present + 1) * sizeof(*dense));
            dense[n->present] = 0;
        }
        n->vector.validity = (const uint64_t *)(const void *)n->entry_validity.ptr;
        parquet_spread(n->vector.validity, all, sizeof(*spread), dense, spread);
        spread[n->entries] = dense[n->present];
        dense = spread;
    }
    if (n->coded) {
        n->vector.form = VECTOR_DICT;
        n->vector.codes = dense;
        n->vector.dict = dict;
    } else {
        n->vector.form = VECTOR_FLAT;
        n->vector.offsets = dense;
        n->vector.bytes = parquet_scratch_grow(&n->text.bytes, n->text.used, n->text.used);
    }
}

static Str entry_str(const Vector *v, size_t i)
{
    return v->form == VECTOR_DICT ? vector_flat_str(v->dict, v->codes[i]) : vector_flat_str(v, i);
}

static int compare_str(Str a, Str b)
{
    const size_t len = a.len < b.len ? a.len : b.len;
    const int order = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);
    if (order != 0) {
        return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

static bool is_sorted(ParquetColumn *c, const uint32_t *offsets, size_t rows)
{
    const Vector *keys = &c->map->leaves[0].vector;
    ParquetDictionary *d = &c->leaves[0].dictionary;
    const bool coded = keys->form == VECTOR_DICT;
    if (coded) {
        parquet_dictionary_rank(d);
    }
    for (size_t row = 0; row < rows; row++) {
        for (uint32_t i = offsets[row] + 1; i < offsets[row + 1]; i++) {
            const bool ascends = coded
                                     ? d->ranks[keys->codes[i - 1]] < d->ranks[keys->codes[i]]
                                     : compare_str(entry_str(keys, i - 1), entry_str(keys, i)) < 0;
            if (!ascends) {
                return false;
            }
        }
    }
    return true;
}

static int compare_entry(const void *a, const void *b)
{
    const Entry *x = a, *y = b;
    const int order = compare_str(x->key, y->key);
    if (order != 0) {
        return order;
    }
    return x->index < y->index ? -1 : x->index > y->index;
}

// Sorts every row and keeps the last entry of each key; `offsets` become those of what is left.
// Returns the entries that stay, in order.
static const uint32_t *sort_rows(struct ParquetMapState *m, uint32_t *offsets, size_t rows)
{
    const Vector *keys = &m->leaves[0].vector;
    uint32_t *order =
        parquet_scratch_need(&m->order, (keys->row_count + (size_t)1) * sizeof(*order));
    uint32_t kept = 0, from = 0;
    for (size_t row = 0; row < rows; row++) {
        const uint32_t to = offsets[row + 1], count = to - from;
        m->sorted = mem_grow(m->sorted, &m->sorted_cap, count + (size_t)1, sizeof(*m->sorted));
        for (uint32_t i = 0; i < count; i++) {
            m->sorted[i] = (Entry){.key = entry_str(keys, from + i), .index = from + i};
        }
        qsort(m->sorted, count, sizeof(*m->sorted), compare_entry);
        offsets[row] = kept;
        for (uint32_t i = 0; i < count; i++) {
            if (i + 1 == count || compare_str(m->sorted[i].key, m->sorted[i + 1].key) != 0) {
                order[kept++] = m->sorted[i].index;
            }
        }
        from = to;
    }
    offsets[rows] = kept;
    return order;
}

// The entries order[0..count) of a leaf, as a new vector.
static void pick_entries(Nested *n, const uint32_t *order, uint32_t count)
{
    const Vector old = n->vector;
    uint32_t *out = parquet_scratch_need(&n->temp, (count + (size_t)1) * sizeof(*out));
    n->vector.row_count = count;
    if (old.validity != NULL) {
        const size_t words = (count + (size_t)63) / 64;
        uint64_t *validity = parquet_scratch_need(&n->validity, words * sizeof(*validity) + 8);
        memset(validity, 0, words * sizeof(*validity));
        for (uint32_t i = 0; i < count; i++) {
            validity_set(validity, i, validity_get(old.validity, order[i]));
        }
        n->vector.validity = validity;
    }
    if (old.form == VECTOR_DICT) {
        for (uint32_t i = 0; i < count; i++) {
            out[i] = old.codes[order[i]];
        }
        n->vector.codes = out;
        return;
    }
    // Text moves behind what is there already, which is twice the bytes at most.
    const size_t base = n->text.used;
    uint8_t *bytes = parquet_scratch_grow(&n->text.bytes, base, base * 2);
    size_t used = base;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t from = old.offsets[order[i]], len = old.offsets[order[i] + 1] - from;
        out[i] = (uint32_t)used;
        memcpy(bytes + used, bytes + from, len);
        used += len;
    }
    out[count] = (uint32_t)used;
    n->vector.offsets = out;
    n->vector.bytes = bytes;
}

static Status check_leaves(const struct ParquetMapState *m, Err *err)
{
    const Nested *keys = &m->leaves[0], *values = &m->leaves[1];
    if (keys->rows != values->rows || keys->entries != values->entries ||
        memcmp(keys->offsets.ptr, values->offsets.ptr, keys->rows * sizeof(uint32_t)) != 0) {
        return err_set(err, ERR_CORRUPT, "keys and values of a map do not belong together");
    }
    if (keys->present != keys->entries) {
        return err_set(err, ERR_CORRUPT, "a map key is null");
    }
    return OK;
}

static bool has_null(const uint64_t *validity, size_t rows)
{
    for (size_t i = 0; i < rows; i++) {
        if (!validity_get(validity, i)) {
            return true;
        }
    }
    return false;
}

Status parquet_map_read(ParquetColumn *c, uint32_t want, Err *err)
{
    struct ParquetMapState *m = c->map;
    Nested *keys = &m->leaves[0];
    for (size_t k = 0; k < 2; k++) {
        ParquetLeafReader *l = &c->leaves[k];
        if (read_leaf(&m->leaves[k], l, want, err) != OK) {
            return err_prefix(err, "page at %" PRIu64 ": ", l->pages.page_offset);
        }
        l->row = m->leaves[k].row += m->leaves[k].rows;
    }
    TRY(check_leaves(m, err));
    if (keys->rows == 0) {
        return err_set(err, ERR_CORRUPT, "the chunk ends at row %" PRIu64 " of %" PRIu64, keys->row,
                       c->leaves[0].row_count);
    }
    const uint32_t rows = (uint32_t)keys->rows;
    uint32_t *offsets = (uint32_t *)(void *)keys->offsets.ptr;
    const uint64_t *validity = (const uint64_t *)(const void *)keys->validity.ptr;
    const bool nulls = has_null(validity, rows);
    for (size_t k = 0; k < 2; k++) {
        set_entries(&m->leaves[k], &c->leaves[k].dictionary.vector);
    }
    if (!is_sorted(c, offsets, rows)) {
        const uint32_t *order = sort_rows(m, offsets, rows);
        pick_entries(&m->leaves[1], order, offsets[rows]);
        pick_entries(keys, order, offsets[rows]);
    }
    c->vector = (Vector){.type = COLUMN_MAP,
                         .form = VECTOR_FLAT,
                         .row_count = rows,
                         .validity = nulls ? validity : NULL,
                         .offsets = offsets,
                         .keys = &m->leaves[0].vector,
                         .values = &m->leaves[1].vector};
    return OK;
}

// Rows are read and dropped, as where they end is known only from their levels; pages that were not
// chosen are stepped over.
Status parquet_map_seek(ParquetColumn *c, uint64_t row, Err *err)
{
    for (size_t k = 0; k < 2; k++) {
        ParquetLeafReader *l = &c->leaves[k];
        Nested *n = &c->map->leaves[k];
        while (n->row < row) {
            const ParquetPages *p = &l->pages;
            if (p->locations != NULL && n->pos == n->count && !l->open &&
                p->chosen_next < p->chosen_count) {
                const uint64_t first = (uint64_t)p->locations[p->chosen[p->chosen_next]].first_row;
                if (first > n->row && first <= row) {
                    n->row = first;
                    l->started = false;
                    continue;
                }
            }
            const uint64_t left = row - n->row;
            TRY(read_leaf(n, l, left < SEEK_ROWS ? (size_t)left : SEEK_ROWS, err));
            if (n->rows == 0) {
                return err_set(err, ERR_CORRUPT, "the chunk ends at row %" PRIu64 " of %" PRIu64,
                               n->row, l->row_count);
            }
            n->row += n->rows;
        }
        l->row = n->row;
    }
    return OK;
}
