// SPDX-License-Identifier: Apache-2.0
//
// Appending: the batch is checked and brought into one shape (maps as BINARY), logged, and copied
// into the newest block. It is logged first: once that is done nothing can fail, so a batch is
// applied as a whole or not at all.
#include "store/rows_internal.h"

#include "base/mem.h"
#include "store/metrics_vectors_internal.h"
#include "store/table_def.h"

// --- life ----------------------------------------------------------------------------------------

static RowsWindow *window_new(RowsHot *hot)
{
    RowsWindow *w = mem_new(RowsWindow, 1);
    atomic_init(&w->refs, 1);
    atomic_init(&w->sealed, false);
    w->hot = hot;
    w->min_us = INT64_MAX;
    w->max_us = INT64_MIN;
    w->size_bytes = sizeof(*w);
    metrics_memory_add(&hot->memory, w->size_bytes);
    return w;
}

Status rows_hot_new(const RowsHotOptions *options, RowsHot **out, Err *err)
{
    *out = NULL;
    TRY(table_def_check(options->def, err));
    RowsHot *hot = mem_new(RowsHot, 1);
    atomic_init(&hot->memory.bytes, sizeof(*hot) + SCHEMA_COLUMNS_MAX * sizeof(Field));
    hot->key = options->nonce;
    hot->log = options->log;
    table_def_complete(options->def, &hot->def_arena, &hot->def);
    hot->fields = mem_new(Field, SCHEMA_COLUMNS_MAX);
    hot->field_count = hot->def.schema.count;
    memcpy(hot->fields, hot->def.schema.fields, hot->field_count * sizeof(Field));
    hot->time_field = schema_find(&hot->def.schema, hot->def.time_column);
    mutex_init(&hot->mu);
    buf_init(&hot->frame, 0);
    hot->window = window_new(hot);
    *out = hot;
    return OK;
}

void rows_hot_free(RowsHot *hot)
{
    if (hot == NULL) {
        return;
    }
    rows_window_unref(hot->window);
    mutex_deinit(&hot->mu);
    buf_deinit(&hot->frame);
    mem_free(hot->fields);
    arena_deinit(&hot->names);
    arena_deinit(&hot->def_arena);
    mem_free(hot);
}

RowsWindow *rows_window_ref(RowsWindow *w)
{
    // Relaxed: who adds a reference holds one already.
    atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
    return w;
}

void rows_window_unref(RowsWindow *w)
{
    // Release: our reads are done. Acquire, for the last one: so are everybody else's.
    if (w == NULL || atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    for (size_t i = 0; i < w->block_count; i++) {
        for (uint32_t k = 0; k < w->blocks[i]->column_count; k++) {
            mem_free(w->blocks[i]->columns[k].data);
            mem_free(w->blocks[i]->columns[k].codes);
            mem_free(w->blocks[i]->columns[k].validity);
        }
        mem_free(w->blocks[i]);
    }
    for (size_t i = 0; i < SCHEMA_COLUMNS_MAX; i++) {
        if (w->dicts[i] != NULL) {
            metrics_dict_deinit(w->dicts[i]);
            mem_free(w->dicts[i]);
        }
    }
    metrics_memory_sub(&w->hot->memory, w->size_bytes);
    mem_free(w->blocks);
    day_list_deinit(&w->days);
    mem_free(w);
}

NO_LOCK_CHECKS bool rows_window_lock(const RowsWindow *w)
{
    // Acquire: pairs with the release store of the seal, after which nothing changes.
    if (atomic_load_explicit(&w->sealed, memory_order_acquire)) {
        return false;
    }
    mutex_lock(&w->hot->mu);
    return true;
}

NO_LOCK_CHECKS void rows_window_unlock(const RowsWindow *w, bool locked)
{
    if (locked) {
        mutex_unlock(&w->hot->mu);
    }
}

RowsWindow *rows_hot_seal(RowsHot *hot)
{
    RowsWindow *next = window_new(hot);
    mutex_lock(&hot->mu);
    RowsWindow *w = hot->window;
    if (w->row_count == 0) {
        mutex_unlock(&hot->mu);
        rows_window_unref(next);
        return NULL;
    }
    hot->window = next;
    // Release: pairs with rows_window_lock().
    atomic_store_explicit(&w->sealed, true, memory_order_release);
    mutex_unlock(&hot->mu);
    return w;
}

RowsWindow *rows_hot_active(RowsHot *hot)
{
    mutex_lock(&hot->mu);
    RowsWindow *w = rows_window_ref(hot->window);
    mutex_unlock(&hot->mu);
    return w;
}

void rows_window_info(const RowsWindow *w, RowsWindowInfo *out)
{
    const bool locked = rows_window_lock(w);
    *out = (RowsWindowInfo){
        .sealed = !locked,
        .first_sequence = w->first_sequence,
        .last_sequence = w->last_sequence,
        .row_count = w->row_count,
        .min_us = w->min_us,
        .max_us = w->max_us,
        .size_bytes = w->size_bytes,
    };
    rows_window_unlock(w, locked);
}

uint64_t rows_hot_bytes(const RowsHot *hot)
{
    // Relaxed: a figure.
    return atomic_load_explicit(&hot->memory.bytes, memory_order_relaxed);
}

void rows_hot_schema(RowsHot *hot, Arena *arena, Schema *out)
{
    mutex_lock(&hot->mu);
    Field *fields = arena_new(arena, Field, hot->field_count);
    for (size_t i = 0; i < hot->field_count; i++) {
        fields[i] = hot->fields[i];
        fields[i].name = arena_str(arena, hot->fields[i].name);
    }
    *out = (Schema){.fields = fields, .count = hot->field_count};
    mutex_unlock(&hot->mu);
}

// --- checking ------------------------------------------------------------------------------------

// A batch on its way in.
typedef struct Append {
    RowsHot *hot;
    Batch batch;        // maps as BINARY
    size_t *fields;     // of the table, by column of the batch
    uint32_t *source;   // column of the batch + 1, by field of the table; 0: it has none
    size_t field_count; // of the table once the new columns are in
    DayList days;       // that the window does not have yet
    size_t days_max;    // of the window
    Arena arena;
} Append;

static Status check_day(Append *a, int64_t us, uint32_t row, Err *err) REQUIRES(a->hot->mu)
{
    const DayList *known = &a->hot->window->days;
    const int32_t day = metrics_day_of_us(us);
    const size_t room = a->days_max > known->count ? a->days_max - known->count : 0;
    if (day_list_has(known, day) || day_list_add(&a->days, day, room)) {
        return OK;
    }
    return err_set(err, ERR_INVALID,
                   "'" STR_FMT "' in row %" PRIu32 " is of one day too many: rows of %zu days wait "
                   "to be written to files",
                   STR_ARG(a->hot->fields[a->hot->time_field].name), row, a->days_max);
}

static Status check_time(Append *a, Err *err) REQUIRES(a->hot->mu)
{
    const RowsHot *hot = a->hot;
    const Str name = hot->fields[hot->time_field].name;
    const uint32_t source = a->source[hot->time_field];
    if (source == 0) {
        return err_set(err, ERR_INVALID, "no column '" STR_FMT "'", STR_ARG(name));
    }
    const Vector *v = &a->batch.columns[source - 1];
    int64_t day_us = INT64_MIN; // the day of the row before begins
    for (uint32_t i = 0; i < v->row_count; i++) {
        const Vector *flat = v;
        uint32_t at = i;
        if ((v->form != VECTOR_FLAT || v->validity != NULL) && !vector_locate(v, i, &flat, &at)) {
            return err_set(err, ERR_INVALID, "'" STR_FMT "' is NULL in row %" PRIu32, STR_ARG(name),
                           i);
        }
        const int64_t us = ((const int64_t *)flat->data)[at];
        if (us < METRICS_TIMESTAMP_MIN_MS * 1000 || us > METRICS_TIMESTAMP_MAX_MS * 1000 + 999) {
            return err_set(err, ERR_INVALID,
                           "'" STR_FMT "' in row %" PRIu32 " is not in the years 0001 to 9999",
                           STR_ARG(name), i);
        }
        if (i == 0 || us < day_us || us - day_us >= DAY_LIST_DAY_MS * 1000) {
            TRY(check_day(a, us, i, err));
            day_us = metrics_day_of_us(us) * DAY_LIST_DAY_MS * 1000;
        }
    }
    return OK;
}

// A column the table does not have yet.
static Status check_new(Append *a, size_t column, Err *err) REQUIRES(a->hot->mu)
{
    RowsHot *hot = a->hot;
    const Field *field = &a->batch.schema->fields[column];
    TRY(table_column_check(hot->def.name, field->name, err));
    if (a->field_count == SCHEMA_COLUMNS_MAX - 1) { // one is left for the partition
        return err_set(err, ERR_LIMIT, "more than %d columns", SCHEMA_COLUMNS_MAX - 1);
    }
    const Schema known = {.fields = hot->fields, .count = a->field_count};
    if (schema_find_nocase(&known, field->name) != SIZE_MAX) {
        return err_set(err, ERR_INVALID,
                       "column '" STR_FMT "' differs from another one only in case",
                       STR_ARG(field->name));
    }
    // Behind field_count, so it is not there yet; the name is copied when it comes in for good.
    hot->fields[a->field_count] =
        (Field){.name = field->name, .type = field->type, .nullable = true};
    a->fields[column] = a->field_count++;
    return OK;
}

static Status check_columns(Append *a, Err *err) REQUIRES(a->hot->mu)
{
    RowsHot *hot = a->hot;
    a->field_count = hot->field_count;
    for (size_t i = 0; i < a->batch.schema->count; i++) {
        const Field *field = &a->batch.schema->fields[i];
        const Schema known = {.fields = hot->fields, .count = a->field_count};
        a->fields[i] = i < hot->field_count && str_eq(hot->fields[i].name, field->name)
                           ? i
                           : schema_find(&known, field->name);
        if (a->fields[i] == SIZE_MAX) {
            TRY(check_new(a, i, err));
        }
        const Field *own = &hot->fields[a->fields[i]];
        if (own->type != field->type) {
            return err_set(err, ERR_INVALID, "column '" STR_FMT "' is %s, not %s",
                           STR_ARG(field->name), column_type_sql(own->type),
                           column_type_sql(field->type));
        }
        if (a->source[a->fields[i]] != 0) {
            return err_set(err, ERR_INVALID, "column '" STR_FMT "' is given twice",
                           STR_ARG(field->name));
        }
        a->source[a->fields[i]] = (uint32_t)i + 1;
    }
    return check_time(a, err);
}

// Adds the bytes of each row's value to sums[row].
static Status add_bytes(const Vector *v, Str name, uint64_t *sums, Err *err)
{
    uint32_t row = 0;
    const uint32_t steps = v->form == VECTOR_RUNS ? v->run_count : v->row_count;
    for (uint32_t k = 0; k < steps; k++) {
        const Vector *flat = NULL;
        uint32_t index = 0;
        const uint32_t end = v->form == VECTOR_RUNS ? v->run_ends[k] : k + 1;
        const bool valid = vector_locate(v->form == VECTOR_RUNS ? v->runs : v, k, &flat, &index);
        const size_t len = valid ? flat->offsets[index + 1] - flat->offsets[index] : 0;
        if (len > ROWS_VALUE_BYTES_MAX) {
            return err_set(err, ERR_TOO_LARGE,
                           "column '" STR_FMT "' has %zu bytes in row %" PRIu32 ", more than %d",
                           STR_ARG(name), len, row, ROWS_VALUE_BYTES_MAX);
        }
        for (; row < end; row++) {
            sums[row] += len;
        }
    }
    return OK;
}

static Status check_sizes(Append *a, Err *err)
{
    uint64_t *sums = arena_new(&a->arena, uint64_t, a->batch.row_count);
    uint64_t sum = 0;
    for (size_t i = 0; i < a->batch.schema->count; i++) {
        if (rows_type_has_codes(a->batch.columns[i].type)) {
            TRY(add_bytes(&a->batch.columns[i], a->batch.schema->fields[i].name, sums, err));
        }
    }
    for (uint32_t row = 0; row < a->batch.row_count; row++) {
        sum += sums[row];
        if (sums[row] > ROWS_ROW_BYTES_MAX) {
            return err_set(err, ERR_TOO_LARGE, "row %" PRIu32 " has %" PRIu64 " bytes", row,
                           sums[row]);
        }
    }
    return sum <= ROWS_BATCH_BYTES_MAX
               ? OK
               : err_set(err, ERR_TOO_LARGE, "%" PRIu64 " bytes of text, more than %d", sum,
                         ROWS_BATCH_BYTES_MAX);
}

static Status check_room(const Append *a, Err *err) REQUIRES(a->hot->mu)
{
    const RowsHot *hot = a->hot;
    const RowsWindow *w = hot->window;
    if (w->row_count + a->batch.row_count > ROWS_WINDOW_ROWS_MAX) {
        return err_set(err, ERR_LIMIT, "more than %d rows wait for a flush", ROWS_WINDOW_ROWS_MAX);
    }
    for (size_t i = 0; i < hot->field_count; i++) {
        if (w->dicts[i] != NULL && w->dicts[i]->next_position > ROWS_DICT_BYTES_FULL) {
            return err_set(err, ERR_LIMIT,
                           "column '" STR_FMT "' has more than %d bytes that wait for a flush",
                           STR_ARG(hot->fields[i].name), ROWS_DICT_BYTES_FULL);
        }
    }
    return OK;
}

// --- copying -------------------------------------------------------------------------------------

// How much memory the window took since `bytes_before`.
static void charge(RowsWindow *w, uint64_t bytes)
{
    w->size_bytes += bytes;
    metrics_memory_add(&w->hot->memory, bytes);
}

static RowsBlock *block_new(RowsWindow *w, const RowsHot *hot, uint32_t rows)
{
    const size_t count = hot->field_count;
    uint32_t cap = ROWS_BLOCK_ROWS_FIRST;
    const uint64_t want = w->row_count > rows ? w->row_count : rows;
    while (cap < want && cap < ROWS_BLOCK_ROWS) {
        cap *= 2;
    }
    RowsBlock *b = mem_alloc(1, sizeof(*b) + count * sizeof(RowsColumn));
    b->cap = cap;
    b->column_count = (uint32_t)count;
    b->min_us = INT64_MAX;
    b->max_us = INT64_MIN;
    uint64_t bytes = sizeof(*b) + count * sizeof(RowsColumn);
    for (size_t i = 0; i < count; i++) {
        const bool coded = rows_type_has_codes(hot->fields[i].type);
        const size_t size =
            cap * (coded ? sizeof(uint32_t) : column_type_size(hot->fields[i].type));
        if (coded) {
            b->columns[i].codes = mem_alloc_aligned(size);
        } else {
            b->columns[i].data = mem_alloc_aligned(size);
        }
        bytes += size;
    }
    w->blocks = mem_grow(w->blocks, &w->block_cap, w->block_count + 1, sizeof(void *));
    w->blocks[w->block_count++] = b;
    charge(w, bytes);
    return b;
}

// Rows [at, at + count) of the column are valid as `validity` says of its first `count` rows.
static void copy_validity(RowsWindow *w, RowsBlock *b, RowsColumn *c, const uint64_t *validity,
                          uint32_t count)
{
    const uint32_t at = b->row_count;
    bool all = true;
    for (uint32_t i = 0; validity != NULL && i < count && all; i++) {
        all = validity_get(validity, i);
    }
    if (c->validity == NULL) {
        if (all) {
            return;
        }
        const size_t words = b->cap / 64;
        c->validity = mem_alloc_raw(words * sizeof(uint64_t));
        memset(c->validity, 0xff, words * sizeof(uint64_t));
        charge(w, words * sizeof(uint64_t));
    }
    for (uint32_t i = 0; i < count; i++) {
        validity_set(c->validity, at + i, validity_get(validity, i));
    }
}

static const uint64_t all_null[ROWS_BLOCK_ROWS / 64];

static void copy_fixed(RowsWindow *w, RowsBlock *b, RowsColumn *c, const Vector *v, Arena *arena)
{
    const Vector flat = vector_flatten(v, arena);
    const size_t size = column_type_size(v->type);
    memcpy(c->data + b->row_count * size, flat.data, flat.row_count * size);
    copy_validity(w, b, c, flat.validity, flat.row_count);
}

// The codes of a FLAT vector's values in the window's dictionary.
static uint32_t *flat_codes(MetricsDict *dict, const Vector *v, uint64_t key, Arena *arena)
{
    uint32_t *codes = arena_new(arena, uint32_t, v->row_count);
    for (uint32_t i = 0; i < v->row_count; i++) {
        if (!validity_get(v->validity, i)) {
            codes[i] = METRICS_CODE_NONE;
            continue;
        }
        const Str s = vector_flat_str(v, i);
        const bool again =
            i != 0 && codes[i - 1] != METRICS_CODE_NONE && str_eq(s, vector_flat_str(v, i - 1));
        codes[i] = again ? codes[i - 1] : metrics_dict_put(dict, s, key);
        ASSERT(codes[i] != METRICS_CODE_NONE); // there was room: check_room(), check_sizes()
    }
    return codes;
}

// The same for any form, one per row; METRICS_CODE_NONE: null.
static const uint32_t *vector_codes(MetricsDict *dict, const Vector *v, uint64_t key, Arena *arena)
{
    if (v->form == VECTOR_FLAT) {
        return flat_codes(dict, v, key, arena);
    }
    uint32_t *codes = arena_new(arena, uint32_t, v->row_count);
    if (v->form == VECTOR_RUNS) {
        const uint32_t *runs = vector_codes(dict, v->runs, key, arena);
        uint32_t row = 0;
        for (uint32_t k = 0; k < v->run_count; k++) {
            for (; row < v->run_ends[k]; row++) {
                codes[row] = runs[k];
            }
        }
        return codes;
    }
    uint32_t *map = arena_new(arena, uint32_t, v->dict->row_count); // code + 1; 0: not looked up
    for (uint32_t i = 0; i < v->row_count; i++) {
        if (!validity_get(v->validity, i)) {
            codes[i] = METRICS_CODE_NONE;
            continue;
        }
        uint32_t *to = &map[v->codes[i]];
        if (*to == 0) {
            *to = metrics_dict_put(dict, vector_flat_str(v->dict, v->codes[i]), key) + 1;
            ASSERT(*to != METRICS_CODE_NONE + 1U);
        }
        codes[i] = *to - 1;
    }
    return codes;
}

static void copy_codes(RowsWindow *w, RowsBlock *b, size_t field, const Vector *v, Arena *arena)
{
    RowsColumn *c = &b->columns[field];
    if (w->dicts[field] == NULL) {
        w->dicts[field] = mem_new(MetricsDict, 1);
        charge(w, sizeof(MetricsDict));
    }
    const uint64_t before = w->dicts[field]->size_bytes;
    const uint32_t *codes = vector_codes(w->dicts[field], v, w->hot->key, arena);
    charge(w, w->dicts[field]->size_bytes - before);
    uint64_t *validity = arena_new(arena, uint64_t, (size_t)v->row_count / 64 + 1);
    for (uint32_t i = 0; i < v->row_count; i++) {
        const bool valid = codes[i] != METRICS_CODE_NONE;
        c->codes[b->row_count + i] = valid ? codes[i] : 0;
        validity_set(validity, i, valid);
    }
    copy_validity(w, b, c, validity, v->row_count);
}

// Copies rows [from, from + count), for which the block has room.
static void copy_rows(Append *a, RowsBlock *b, uint32_t from, uint32_t count) REQUIRES(a->hot->mu)
{
    RowsHot *hot = a->hot;
    RowsWindow *w = hot->window;
    Arena scratch = {0};
    for (uint32_t i = 0; i < b->column_count; i++) {
        const uint32_t source = a->source[i];
        RowsColumn *c = &b->columns[i];
        if (source == 0) {
            const size_t size =
                c->data == NULL ? sizeof(uint32_t) : column_type_size(hot->fields[i].type);
            uint8_t *to = c->data == NULL ? (uint8_t *)c->codes : c->data;
            memset(to + b->row_count * size, 0, count * size);
            copy_validity(w, b, c, all_null, count);
            continue;
        }
        const Vector v = vector_slice(&a->batch.columns[source - 1], from, count, &scratch);
        if (c->data == NULL) {
            copy_codes(w, b, i, &v, &scratch);
        } else {
            copy_fixed(w, b, c, &v, &scratch);
        }
    }
    const int64_t *us = (const int64_t *)(const void *)b->columns[hot->time_field].data;
    for (uint32_t i = b->row_count; i < b->row_count + count; i++) {
        b->min_us = us[i] < b->min_us ? us[i] : b->min_us;
        b->max_us = us[i] > b->max_us ? us[i] : b->max_us;
    }
    b->row_count += count;
    w->row_count += count;
    w->min_us = b->min_us < w->min_us ? b->min_us : w->min_us;
    w->max_us = b->max_us > w->max_us ? b->max_us : w->max_us;
    arena_deinit(&scratch);
}

static void apply_locked(Append *a) REQUIRES(a->hot->mu)
{
    RowsHot *hot = a->hot;
    for (; hot->field_count < a->field_count; hot->field_count++) {
        Field *field = &hot->fields[hot->field_count];
        field->name = arena_str(&hot->names, field->name);
    }
    RowsWindow *w = hot->window;
    for (size_t i = 0; i < a->days.count; i++) {
        (void)day_list_add(&w->days, a->days.days[i], SIZE_MAX);
    }
    for (uint32_t from = 0; from < a->batch.row_count;) {
        const uint32_t left = a->batch.row_count - from;
        RowsBlock *b = w->block_count == 0 ? NULL : w->blocks[w->block_count - 1];
        if (b == NULL || b->row_count == b->cap || b->column_count < hot->field_count) {
            b = block_new(w, hot, left);
        }
        const uint32_t room = b->cap - b->row_count;
        const uint32_t count = left < room ? left : room;
        copy_rows(a, b, from, count);
        from += count;
    }
}

// --- appending -----------------------------------------------------------------------------------

static Status log_locked(Append *a, uint64_t *sequence, Err *err) REQUIRES(a->hot->mu)
{
    RowsHot *hot = a->hot;
    RowsWindow *w = hot->window;
    uint32_t rows = ROWS_FRAME_ROWS_MAX;
    for (uint32_t from = 0; from < a->batch.row_count && hot->log.append != NULL;) {
        const uint32_t left = a->batch.row_count - from;
        const uint32_t count = left < rows ? left : rows;
        rows_frame_encode(&a->batch, from, count, &a->arena, &hot->frame);
        if (hot->frame.len > ROWS_FRAME_BYTES && count > 1) {
            rows = count / 2;
            continue;
        }
        if (hot->frame.len > WAL_FRAME_BYTES_MAX) {
            return err_set(err, ERR_TOO_LARGE, "row %" PRIu32 " has %zu bytes", from,
                           hot->frame.len);
        }
        TRY(hot->log.append(hot->log.ctx, buf_bytes(&hot->frame), sequence, err));
        w->first_sequence = w->first_sequence == 0 ? *sequence : w->first_sequence;
        w->last_sequence = *sequence;
        from += count;
    }
    return OK;
}

static void append_init(Append *a, RowsHot *hot, const Batch *batch)
{
    *a = (Append){.hot = hot, .batch = *batch, .days_max = STORE_DAYS_MAX};
    a->fields = arena_new(&a->arena, size_t, batch->schema->count);
    a->source = arena_new(&a->arena, uint32_t, SCHEMA_COLUMNS_MAX);
}

static Status encode_maps(Append *a, Err *err)
{
    Vector *columns = arena_new(&a->arena, Vector, a->batch.schema->count);
    for (size_t i = 0; i < a->batch.schema->count; i++) {
        columns[i] = a->batch.columns[i];
        if (columns[i].type == COLUMN_MAP) {
            TRY(rows_map_encode(&a->batch.columns[i], &a->arena, &columns[i], err));
        }
    }
    a->batch.columns = columns;
    return OK;
}

static Status append_locked(Append *a, uint64_t *sequence, Err *err) REQUIRES(a->hot->mu)
{
    TRY(check_columns(a, err));
    TRY(check_room(a, err));
    TRY(log_locked(a, sequence, err));
    apply_locked(a);
    return OK;
}

Status rows_hot_append(RowsHot *hot, const Batch *batch, uint64_t *sequence, Err *err)
{
    Status st = OK;
    Append a;
    *sequence = 0;
    if (batch->row_count == 0) {
        return OK;
    }
    if (batch->row_count > ROWS_BATCH_ROWS_MAX || batch->schema->count > SCHEMA_COLUMNS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "%" PRIu32 " rows of %zu columns at once",
                       batch->row_count, batch->schema->count);
    }
    append_init(&a, hot, batch);
    TRY_OUT(encode_maps(&a, err));
    TRY_OUT(check_sizes(&a, err));
    mutex_lock(&a.hot->mu);
    st = append_locked(&a, sequence, err);
    mutex_unlock(&a.hot->mu);
out:
    day_list_deinit(&a.days);
    arena_deinit(&a.arena);
    return st;
}

static Status replay_locked(Append *a, uint64_t sequence, Err *err) REQUIRES(a->hot->mu)
{
    TRY(check_columns(a, err));
    TRY(check_room(a, err));
    apply_locked(a);
    RowsWindow *w = a->hot->window;
    w->first_sequence = w->first_sequence == 0 ? sequence : w->first_sequence;
    w->last_sequence = sequence;
    return OK;
}

Status rows_hot_replay(RowsHot *hot, uint64_t sequence, Bytes payload, uint64_t *rows, Err *err)
{
    Status st = OK;
    Arena arena = {0};
    Batch batch;
    Append a = {0};
    TRY_OUT(rows_frame_decode(payload, &arena, &batch, err));
    append_init(&a, hot, &batch);
    a.days_max = SIZE_MAX; // they were let in before
    TRY_OUT(check_sizes(&a, err));
    mutex_lock(&a.hot->mu);
    st = replay_locked(&a, sequence, err);
    mutex_unlock(&a.hot->mu);
    *rows += st == OK ? batch.row_count : 0;
out:
    day_list_deinit(&a.days);
    arena_deinit(&a.arena);
    arena_deinit(&arena);
    if (st == OK || st == ERR_LIMIT) {
        return st;
    }
    err->status = ERR_CORRUPT; // whatever rule was broken, it was not when the frame was written
    return err_prefix(err, "rows frame %" PRIu64 ": ", sequence);
}
