// SPDX-License-Identifier: Apache-2.0
//
// Batches of a sorted run: the ids of the next rows, then column after column is gathered.
#include "base/mem.h"
#include "store/metrics_vectors_internal.h"
#include "store/rows_run_internal.h"

enum {
    RUNS_SHARE = 4, // a column is runs when there are at most a quarter as many as rows
    TEXT_BYTES_MAX = 1 << 30,
    PREFETCH = 16,
};

// The memory of one column of the batch.
typedef struct OutColumn {
    uint8_t *data; // fixed values, or codes
    uint64_t *validity;
    uint32_t *offsets;
    Buf bytes;
    MetricsRuns runs;
} OutColumn;

struct RowsCursor {
    RowsRun *run;
    RowsCursorOptions options;
    bool all;      // no row is outside of the time range
    uint32_t pos;  // in run->order
    uint32_t *ids; // those of the batch, when not all
    size_t ids_cap;
    OutColumn *columns;
    Vector *vectors;
    MetricsDays days;
    int64_t *us; // for `date`
    Arena arena; // of the batch: columns of nulls
};

RowsCursor *rows_cursor_new(RowsRun *run, const RowsCursorOptions *options)
{
    RowsCursor *c = mem_new(RowsCursor, 1);
    c->run = run;
    c->options = *options;
    if (c->options.min_us == 0 && c->options.max_us == 0) {
        c->options.min_us = INT64_MIN;
        c->options.max_us = INT64_MAX;
    }
    if (c->options.rows_max == 0 || c->options.rows_max > ROWS_RUN_ROWS_MAX) {
        c->options.rows_max = ROWS_RUN_ROWS_MAX;
    }
    if (c->options.text_bytes_max == 0 || c->options.text_bytes_max > TEXT_BYTES_MAX) {
        c->options.text_bytes_max = TEXT_BYTES_MAX;
    }
    c->all = c->options.min_us <= run->min_us && c->options.max_us >= run->max_us;
    c->columns = mem_new(OutColumn, run->schema->count);
    c->vectors = mem_new(Vector, run->schema->count);
    for (size_t i = 0; i < run->schema->count; i++) {
        buf_init(&c->columns[i].bytes, 0);
    }
    return c;
}

void rows_cursor_free(RowsCursor *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->run->schema->count; i++) {
        OutColumn *column = &c->columns[i];
        mem_free(column->data);
        mem_free(column->validity);
        mem_free(column->offsets);
        buf_deinit(&column->bytes);
        metrics_runs_deinit(&column->runs);
    }
    metrics_days_deinit(&c->days);
    mem_free(c->us);
    mem_free(c->columns);
    mem_free(c->vectors);
    mem_free(c->ids);
    arena_deinit(&c->arena);
    mem_free(c);
}

// --- gathering -----------------------------------------------------------------------------------

// Bits of the rows that have a value; NULL when all have.
static const uint64_t *gather_validity(RowsCursor *c, OutColumn *out, size_t field,
                                       const uint32_t *ids, uint32_t count)
{
    bool may_be_null = false;
    for (size_t b = 0; b < c->run->block_count && !may_be_null; b++) {
        const RowsBlockView *view = c->run->blocks[b];
        may_be_null = field >= view->block->column_count || view->validity[field] != NULL;
    }
    if (!may_be_null) {
        return NULL;
    }
    mem_free(out->validity);
    out->validity = mem_new(uint64_t, (size_t)count / 64 + 1);
    bool all = true;
    for (uint32_t i = 0; i < count; i++) {
        const bool valid =
            rows_block_valid(rows_run_block(c->run, ids[i]), field, ids[i] & (ROWS_BLOCK_ROWS - 1));
        validity_set(out->validity, i, valid);
        all = all && valid;
    }
    return all ? NULL : out->validity;
}

// Where row `id` of a fixed-size column lies; NULL when its block does not have the column.
static const uint8_t *fixed_at(const RowsRun *run, size_t field, uint32_t id, size_t size)
{
    const RowsBlock *b = rows_run_block(run, id)->block;
    return field < b->column_count ? b->columns[field].data + (id & (ROWS_BLOCK_ROWS - 1)) * size
                                   : NULL;
}

// The loop, once for each size, so that copying a value is one load and one store.
#define GATHER(size_)                                                                              \
    for (uint32_t i = 0; i < count; i++) {                                                         \
        if (i + PREFETCH < count) {                                                                \
            __builtin_prefetch(fixed_at(run, field, ids[i + PREFETCH], size_));                    \
        }                                                                                          \
        const uint8_t *from = fixed_at(run, field, ids[i], size_);                                 \
        if (from != NULL) {                                                                        \
            memcpy(to + (size_t)i * (size_), from, size_);                                         \
        } else {                                                                                   \
            memset(to + (size_t)i * (size_), 0, size_);                                            \
        }                                                                                          \
    }

static void gather_values(const RowsRun *run, size_t field, size_t size, const uint32_t *ids,
                          uint32_t count, uint8_t *to)
{
    switch (size) {
    case 1:
        GATHER(1)
        return;
    case 2:
        GATHER(2)
        return;
    case 4:
        GATHER(4)
        return;
    case 8:
        GATHER(8)
        return;
    default:
        ASSERT(size == 16);
        GATHER(16)
    }
}

static Vector gather_fixed(RowsCursor *c, size_t column, const uint32_t *ids, uint32_t count)
{
    const size_t field = c->run->fields[column];
    const ColumnType type = c->run->schema->fields[column].type;
    const size_t size = column_type_size(type);
    OutColumn *out = &c->columns[column];
    if (out->data == NULL) {
        out->data = mem_alloc_aligned(c->options.rows_max * size);
    }
    gather_values(c->run, field, size, ids, count, out->data);
    return (Vector){
        .type = type,
        .form = VECTOR_FLAT,
        .row_count = count,
        .validity = gather_validity(c, out, field, ids, count),
        .data = out->data,
    };
}

// The code of a row in its window's dictionary, METRICS_CODE_NONE when it is null.
static uint32_t code_at(const RowsRun *run, size_t field, uint32_t id)
{
    const RowsBlockView *view = rows_run_block(run, id);
    const uint32_t row = id & (ROWS_BLOCK_ROWS - 1);
    return rows_block_valid(view, field, row) ? view->block->columns[field].codes[row]
                                              : METRICS_CODE_NONE;
}

static Vector gather_codes(RowsCursor *c, size_t column, const uint32_t *ids, uint32_t count)
{
    const RowsRun *run = c->run;
    const size_t field = run->fields[column];
    const RowsRunDict *dict = &run->dicts[field];
    OutColumn *out = &c->columns[column];
    if (out->data == NULL) {
        out->data = mem_alloc_aligned(c->options.rows_max * sizeof(uint32_t));
    }
    uint32_t *codes = (uint32_t *)(void *)out->data;
    uint32_t run_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t code = code_at(run, field, ids[i]);
        codes[i] = code == METRICS_CODE_NONE
                       ? code
                       : dict->ranks[run->block_views[ids[i] >> ROWS_ID_ROW_BITS]][code];
        run_count += i == 0 || codes[i] != codes[i - 1];
    }
    if (run_count <= count / RUNS_SHARE) {
        metrics_runs_clear(&out->runs);
        for (uint32_t i = 0; i < count; i++) {
            if (i + 1 == count || codes[i] != codes[i + 1]) {
                metrics_runs_add(&out->runs, codes[i], i + 1);
            }
        }
        return metrics_runs_vector(&out->runs, &dict->vector);
    }
    const uint64_t *validity = gather_validity(c, out, field, ids, count);
    for (uint32_t i = 0; i < count && validity != NULL; i++) {
        codes[i] = codes[i] == METRICS_CODE_NONE ? 0 : codes[i];
    }
    return (Vector){
        .type = run->schema->fields[column].type,
        .form = VECTOR_DICT,
        .row_count = count,
        .validity = validity,
        .codes = codes,
        .dict = &dict->vector,
    };
}

static Str text_at(const RowsRun *run, size_t field, uint32_t id)
{
    const uint32_t code = code_at(run, field, id);
    const RowsView *view = &run->views[run->block_views[id >> ROWS_ID_ROW_BITS]];
    return code == METRICS_CODE_NONE ? (Str){0} : metrics_dict_str(view->dicts[field], code);
}

static Vector gather_texts(RowsCursor *c, size_t column, const uint32_t *ids, uint32_t count)
{
    const size_t field = c->run->fields[column];
    OutColumn *out = &c->columns[column];
    if (out->offsets == NULL) {
        out->offsets = mem_alloc_aligned((c->options.rows_max + 1) * sizeof(uint32_t));
    }
    buf_clear(&out->bytes);
    out->offsets[0] = 0;
    for (uint32_t i = 0; i < count; i++) {
        buf_put_str(&out->bytes, text_at(c->run, field, ids[i]));
        out->offsets[i + 1] = (uint32_t)out->bytes.len; // fits: text_bytes_max, or one row
    }
    return (Vector){
        .type = c->run->schema->fields[column].type,
        .form = VECTOR_FLAT,
        .row_count = count,
        .validity = gather_validity(c, out, field, ids, count),
        .offsets = out->offsets,
        .bytes = out->bytes.ptr,
    };
}

static Vector gather_days(RowsCursor *c, const uint32_t *ids, uint32_t count)
{
    if (c->us == NULL) {
        c->us = mem_alloc_aligned(c->options.rows_max * sizeof(*c->us));
    }
    for (uint32_t i = 0; i < count; i++) {
        c->us[i] = rows_run_time(c->run, ids[i]);
    }
    return metrics_days_vector(&c->days, c->us, count);
}

static Vector gather(RowsCursor *c, size_t column, const uint32_t *ids, uint32_t count)
{
    const RowsRun *run = c->run;
    const size_t field = run->fields[column];
    if (field == ROWS_FIELD_DATE) {
        return gather_days(c, ids, count);
    }
    if (field == SIZE_MAX || field >= run->table_field_count) {
        return vector_nulls(run->schema->fields[column].type, count, &c->arena);
    }
    if (!rows_type_has_codes(run->schema->fields[column].type)) {
        return gather_fixed(c, column, ids, count);
    }
    return run->dicts[field].flat ? gather_texts(c, column, ids, count)
                                  : gather_codes(c, column, ids, count);
}

// --- batches -------------------------------------------------------------------------------------

// The next rows of the order that are in the time range; *count of them.
static const uint32_t *next_ids(RowsCursor *c, uint32_t *count)
{
    const RowsRun *run = c->run;
    const uint32_t left = run->row_count - c->pos;
    if (c->all) {
        const uint32_t *ids = run->order + c->pos;
        *count = left < c->options.rows_max ? left : c->options.rows_max;
        c->pos += *count;
        return ids;
    }
    uint32_t n = 0;
    c->ids = mem_grow(c->ids, &c->ids_cap, c->options.rows_max, sizeof(*c->ids));
    for (; c->pos < run->row_count && n < c->options.rows_max; c->pos++) {
        const int64_t us = rows_run_time(run, run->order[c->pos]);
        if (us >= c->options.min_us && us <= c->options.max_us) {
            c->ids[n++] = run->order[c->pos];
        }
    }
    *count = n;
    return c->ids;
}

// How many of the rows have texts that fit one flat vector.
static uint32_t rows_that_fit(const RowsCursor *c, const uint32_t *ids, uint32_t count)
{
    for (size_t i = 0; i < c->run->schema->count; i++) {
        const size_t field = c->run->fields[i];
        if (field >= c->run->table_field_count || !c->run->dicts[field].flat) {
            continue;
        }
        uint64_t bytes = 0;
        for (uint32_t k = 0; k < count; k++) {
            bytes += text_at(c->run, field, ids[k]).len;
            if (bytes > c->options.text_bytes_max && k != 0) {
                count = k;
            }
        }
    }
    return count;
}

Status rows_cursor_next(RowsCursor *c, Batch *out, Err *err)
{
    (void)err; // reading memory does not fail; the signature is that of every source of batches
    uint32_t count = 0;
    *out = (Batch){.schema = c->run->schema, .columns = c->vectors};
    if (c->pos == c->run->row_count) {
        return OK;
    }
    const uint32_t *ids = next_ids(c, &count);
    const uint32_t fit = rows_that_fit(c, ids, count);
    while (fit < count && c->run->order[c->pos - 1] != ids[fit - 1]) {
        c->pos--; // those that do not fit come again
    }
    count = fit;
    arena_reset(&c->arena);
    for (size_t i = 0; i < c->run->schema->count && count != 0; i++) {
        c->vectors[i] = gather(c, i, ids, count);
    }
    out->row_count = count;
    return OK;
}
