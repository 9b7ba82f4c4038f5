// SPDX-License-Identifier: Apache-2.0
#include "store/rows_run_internal.h"

#include "base/mem.h"
#include "store/metrics_sort_internal.h"
#include "store/metrics_vectors_internal.h"

enum {
    DICT_VALUES_MIN = 65536, // a column of so few values always has a merged dictionary
    DICT_ROWS_PER_VALUE = 2, // and one with so many rows per value
    PARTS_MAX = 3,           // of a key column: null bit, and two words of a UUID
    WORD_BITS = 64,
};

// --- dictionaries --------------------------------------------------------------------------------

static bool is_key(const RowsRun *run, size_t field)
{
    const TableDef *def = &run->hot->def;
    for (size_t i = 0; i < def->sort_key_count; i++) {
        if (str_eq(def->sort_key[i], run->table_fields[field].name)) {
            return true;
        }
    }
    return false;
}

// Values of all views on their way to one dictionary.
typedef struct Merge {
    Str *texts;
    uint32_t *views;
    uint32_t *codes;
    uint32_t count;
} Merge;

static Str merge_text(const void *ctx, uint32_t id)
{
    return ((const Merge *)ctx)->texts[id];
}

static Merge merge_collect(const RowsRun *run, size_t field, uint64_t total)
{
    Merge m = {.texts = mem_new(Str, total),
               .views = mem_new(uint32_t, total),
               .codes = mem_new(uint32_t, total)};
    for (uint32_t i = 0; i < run->view_count; i++) {
        const RowsView *view = &run->views[i];
        for (uint32_t code = 0; code < view->dict_counts[field]; code++) {
            m.texts[m.count] = metrics_dict_str(view->dicts[field], code);
            m.views[m.count] = i;
            m.codes[m.count++] = code;
        }
    }
    return m;
}

// Sorts the values, numbers the distinct ones, and lays them out unless the column is flat.
static void dict_merge(RowsRun *run, size_t field, uint64_t total)
{
    RowsRunDict *dict = &run->dicts[field];
    MetricsSortItem *items = mem_new(MetricsSortItem, total);
    MetricsSortItem *spare = mem_new(MetricsSortItem, total);
    Merge m = merge_collect(run, field, total);
    for (uint32_t i = 0; i < m.count; i++) {
        items[i].id = i;
    }
    metrics_sort_texts(items, spare, m.count, &(MetricsSortTexts){.text = merge_text, .ctx = &m});
    dict->ranks = arena_new(&run->arena, uint32_t *, run->view_count);
    for (size_t i = 0; i < run->view_count; i++) {
        dict->ranks[i] = arena_new(&run->arena, uint32_t, run->views[i].dict_counts[field]);
    }
    Str *distinct = mem_new(Str, total);
    for (uint32_t i = 0; i < m.count; i++) {
        const Str text = m.texts[items[i].id];
        if (i == 0 || !str_eq(distinct[dict->count - 1], text)) {
            distinct[dict->count++] = text;
        }
        dict->ranks[m.views[items[i].id]][m.codes[items[i].id]] = dict->count - 1;
    }
    if (!dict->flat) {
        dict->vector =
            rows_dict_vector(run->table_fields[field].type, distinct, dict->count, &run->arena);
    }
    mem_free(distinct);
    mem_free(items);
    mem_free(spare);
    mem_free(m.texts);
    mem_free(m.views);
    mem_free(m.codes);
}

static void run_dicts(RowsRun *run)
{
    run->dicts = arena_new(&run->arena, RowsRunDict, run->table_field_count);
    for (size_t field = 0; field < run->table_field_count; field++) {
        const ColumnType type = run->table_fields[field].type;
        uint64_t total = 0;
        for (size_t i = 0; i < run->view_count; i++) {
            total += run->views[i].dict_counts[field];
        }
        if (!rows_type_has_codes(type)) {
            continue;
        }
        RowsRunDict *dict = &run->dicts[field];
        dict->flat = type != COLUMN_MAP && total > DICT_VALUES_MIN &&
                     total > run->row_count / DICT_ROWS_PER_VALUE;
        if (!dict->flat || is_key(run, field)) {
            dict_merge(run, field, total);
        }
    }
}

// --- keys ----------------------------------------------------------------------------------------

// A piece of the sort key: a number below 2^bits for each row.
typedef struct Part {
    size_t field;
    bool null_bit; // 0 for null, 1 else
    uint32_t byte; // of the value: 8 for the second word of a UUID
    uint64_t min;
    uint32_t bits;
} Part;

// The bytes of a fixed value as a number in the order of the values.
static uint64_t ordered(ColumnType type, const uint8_t *p, uint32_t byte)
{
    const uint64_t sign = UINT64_C(1) << 63;
    uint64_t v = 0;
    switch (type) {
    case COLUMN_BOOL:
    case COLUMN_UINT8:
        return p[0];
    case COLUMN_INT8:
        return (uint64_t)(int64_t)(int8_t)p[0] ^ sign;
    case COLUMN_UINT16:
        memcpy(&v, p, 2);
        return v;
    case COLUMN_INT16:
        memcpy(&v, p, 2);
        return (uint64_t)(int64_t)(int16_t)v ^ sign;
    case COLUMN_UINT32:
        memcpy(&v, p, 4);
        return v;
    case COLUMN_INT32:
    case COLUMN_DATE:
        memcpy(&v, p, 4);
        return (uint64_t)(int64_t)(int32_t)v ^ sign;
    case COLUMN_FLOAT:
        memcpy(&v, p, 4);
        v <<= 32;
        return (v & sign) != 0 ? ~v : v | sign;
    case COLUMN_DOUBLE:
        memcpy(&v, p, 8);
        return (v & sign) != 0 ? ~v : v | sign;
    case COLUMN_UINT64:
        memcpy(&v, p, 8);
        return v;
    case COLUMN_INT64:
    case COLUMN_TIMESTAMP:
        memcpy(&v, p, 8);
        return v ^ sign;
    case COLUMN_UUID:
        memcpy(&v, p + byte, 8);
        return __builtin_bswap64(v);
    case COLUMN_STRING:
    case COLUMN_BINARY:
    case COLUMN_MAP:
        break;
    }
    UNREACHABLE();
}

// The value of a row that is not null, as a number in the order of the values.
static uint64_t row_number(const RowsRun *run, size_t block, uint32_t row, const Part *part)
{
    const RowsColumn *c = &run->blocks[block]->block->columns[part->field];
    const ColumnType type = run->table_fields[part->field].type;
    if (rows_type_has_codes(type)) {
        return run->dicts[part->field].ranks[run->block_views[block]][c->codes[row]];
    }
    return ordered(type, c->data + row * column_type_size(type), part->byte);
}

static uint32_t bits_for(uint64_t max)
{
    return max == 0 ? 0 : WORD_BITS - (uint32_t)__builtin_clzll(max);
}

// The range of a column's values decides how many bits they take; *has_null says that some are
// missing.
static Part part_of(const RowsRun *run, size_t field, uint32_t byte, bool *has_null)
{
    Part part = {.field = field, .byte = byte, .min = UINT64_MAX};
    uint64_t max = 0;
    *has_null = false;
    for (size_t b = 0; b < run->block_count; b++) {
        for (uint32_t row = 0; row < run->blocks[b]->row_count; row++) {
            if (!rows_block_valid(run->blocks[b], field, row)) {
                *has_null = true;
                continue;
            }
            const uint64_t v = row_number(run, b, row, &part);
            part.min = v < part.min ? v : part.min;
            max = v > max ? v : max;
        }
    }
    part.bits = part.min > max ? 0 : bits_for(max - part.min);
    return part;
}

static size_t key_parts(const RowsRun *run, Part *parts)
{
    const TableDef *def = &run->hot->def;
    const Schema table = {.fields = run->table_fields, .count = run->table_field_count};
    size_t count = 0;
    for (size_t i = 0; i < def->sort_key_count; i++) {
        const size_t field = schema_find(&table, def->sort_key[i]);
        const ColumnType type = run->table_fields[field].type;
        bool has_null = false;
        const Part first = part_of(run, field, 0, &has_null);
        if (has_null) {
            parts[count++] = (Part){.field = field, .null_bit = true, .bits = 1};
        }
        parts[count++] = first;
        if (type == COLUMN_UUID) {
            parts[count++] = part_of(run, field, 8, &has_null);
        }
    }
    return count;
}

// Adds a part to the word of every row, at `shift`.
static void add_part(const RowsRun *run, const Part *part, uint32_t shift, uint64_t *words)
{
    for (size_t b = 0; b < run->block_count; b++) {
        uint64_t *word = words + run->block_starts[b];
        for (uint32_t row = 0; row < run->blocks[b]->row_count; row++) {
            if (rows_block_valid(run->blocks[b], part->field, row)) {
                const uint64_t v = part->null_bit ? 1 : row_number(run, b, row, part) - part->min;
                word[row] |= v << shift;
            }
        }
    }
}

static void sort_by_words(const RowsRun *run, const uint64_t *words, MetricsSortItem *items,
                          MetricsSortItem *spare)
{
    for (uint32_t i = 0; i < run->row_count; i++) {
        const uint32_t id = items[i].id;
        items[i].key =
            words[run->block_starts[id >> ROWS_ID_ROW_BITS] + (id & (ROWS_BLOCK_ROWS - 1))];
    }
    metrics_sort_items(items, spare, run->row_count);
}

// From the last word of the key to the first: each sort keeps the order of the one before among
// equals.
static void run_sort(RowsRun *run)
{
    Part *parts = mem_new(Part, run->hot->def.sort_key_count * PARTS_MAX);
    size_t left = run->row_count == 0 ? 0 : key_parts(run, parts);
    MetricsSortItem *items = mem_alloc_raw(((size_t)run->row_count + 1) * sizeof(*items));
    MetricsSortItem *spare = mem_alloc_raw(((size_t)run->row_count + 1) * sizeof(*spare));
    uint64_t *words = mem_alloc_raw(((size_t)run->row_count + 1) * sizeof(*words));
    uint32_t n = 0;
    for (uint32_t b = 0; b < run->block_count; b++) {
        for (uint32_t row = 0; row < run->blocks[b]->row_count; row++) {
            items[n++] = (MetricsSortItem){.id = b << ROWS_ID_ROW_BITS | row};
        }
    }
    while (left != 0) {
        uint32_t shift = 0;
        memset(words, 0, run->row_count * sizeof(*words));
        while (left != 0 && shift + parts[left - 1].bits <= WORD_BITS) {
            left--;
            if (parts[left].bits != 0) {
                add_part(run, &parts[left], shift, words);
                shift += parts[left].bits;
            }
        }
        sort_by_words(run, words, items, spare);
    }
    run->order = mem_alloc_raw(((size_t)run->row_count + 1) * sizeof(*run->order));
    for (uint32_t i = 0; i < run->row_count; i++) {
        run->order[i] = items[i].id;
    }
    mem_free(words);
    mem_free(spare);
    mem_free(items);
    mem_free(parts);
}

// --- opening -------------------------------------------------------------------------------------

static Status run_blocks(RowsRun *run, Err *err)
{
    uint64_t rows = 0;
    size_t blocks = 0;
    for (size_t i = 0; i < run->view_count; i++) {
        rows += run->views[i].row_count;
        blocks += run->views[i].block_count;
    }
    if (rows > ROWS_WINDOW_ROWS_MAX || blocks > ROWS_RUN_BLOCKS_MAX) {
        return err_set(err, ERR_LIMIT, "%" PRIu64 " rows in %zu blocks at once", rows, blocks);
    }
    run->blocks = (const RowsBlockView **)(void *)arena_new(&run->arena, RowsBlockView *, blocks);
    run->block_views = arena_new(&run->arena, uint32_t, blocks);
    run->block_starts = arena_new(&run->arena, uint32_t, blocks);
    run->min_us = INT64_MAX;
    run->max_us = INT64_MIN;
    for (uint32_t i = 0; i < run->view_count; i++) {
        for (size_t k = 0; k < run->views[i].block_count; k++) {
            const RowsBlockView *b = &run->views[i].blocks[k];
            run->blocks[run->block_count] = b;
            run->block_views[run->block_count] = i;
            run->block_starts[run->block_count++] = run->row_count;
            run->row_count += b->row_count;
            run->min_us = b->min_us < run->min_us ? b->min_us : run->min_us;
            run->max_us = b->max_us > run->max_us ? b->max_us : run->max_us;
        }
    }
    return OK;
}

static void copy_fields(RowsRun *run)
{
    RowsHot *hot = run->hot;
    run->table_fields = arena_new(&run->arena, Field, SCHEMA_COLUMNS_MAX);
    mutex_lock(&hot->mu);
    run->table_field_count = hot->field_count;
    memcpy(run->table_fields, hot->fields, hot->field_count * sizeof(Field));
    mutex_unlock(&hot->mu);
}

Status rows_run_open(const RowsRunOptions *options, RowsRun **out, Err *err)
{
    Status st = OK;
    RowsRun *run = mem_new(RowsRun, 1);
    *out = NULL;
    run->schema = options->schema;
    run->fields = arena_new(&run->arena, size_t, options->schema->count);
    run->views = mem_new(RowsView, options->window_count);
    for (; run->view_count < options->window_count; run->view_count++) {
        rows_view_init(&run->views[run->view_count], options->windows[run->view_count]);
    }
    TRY_OUT(run_blocks(run, err));
    if (run->view_count != 0) {
        run->hot = options->windows[0]->hot;
        TRY_OUT(rows_view_fields(run->hot, options->schema, run->fields, err));
        copy_fields(run);
        run_dicts(run);
        run_sort(run);
    }
    *out = run;
    run = NULL;
out:
    rows_run_close(run);
    return st;
}

void rows_run_close(RowsRun *run)
{
    if (run == NULL) {
        return;
    }
    for (size_t i = 0; i < run->view_count; i++) {
        rows_view_deinit(&run->views[i]);
    }
    mem_free(run->views);
    mem_free(run->order);
    arena_deinit(&run->arena);
    mem_free(run);
}

uint64_t rows_run_row_count(const RowsRun *run)
{
    return run->row_count;
}

void rows_run_days(RowsRun *run, Arena *arena, RowsRunDay **out, size_t *count)
{
    const bool none = run->row_count == 0;
    MetricsDayCounts counts;
    metrics_day_counts_init(&counts, none ? 0 : metrics_day_of_us(run->min_us),
                            none ? -1 : metrics_day_of_us(run->max_us));
    for (size_t b = 0; b < run->block_count; b++) {
        const RowsBlockView *view = run->blocks[b];
        const int32_t first = metrics_day_of_us(view->min_us);
        if (first == metrics_day_of_us(view->max_us)) {
            metrics_day_counts_add(&counts, first, 0, view->row_count);
            continue;
        }
        for (uint32_t row = 0; row < view->row_count; row++) {
            const int64_t us = rows_run_time(run, (uint32_t)b << ROWS_ID_ROW_BITS | row);
            metrics_day_counts_add(&counts, metrics_day_of_us(us), 0, 1);
        }
    }
    size_t n = 0;
    *out = NULL;
    for (int round = 0; round < 2; round++) { // counts, then fills
        *out = round == 0 ? NULL : arena_new(arena, RowsRunDay, n);
        n = 0;
        for (int32_t day = counts.first; day <= counts.last; day++) {
            const uint64_t rows = metrics_day_counts_get(&counts, day, 0);
            if (rows != 0 && round == 1) {
                (*out)[n] = (RowsRunDay){.day = day, .row_count = rows};
            }
            n += rows != 0;
        }
    }
    *count = n;
    metrics_day_counts_deinit(&counts);
}
