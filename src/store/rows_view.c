// SPDX-License-Identifier: Apache-2.0
#include "store/rows_internal.h"

// Words of rows [0, row_count), which may change behind that: a copy.
static const uint64_t *copy_words(const uint64_t *words, uint32_t row_count, Arena *arena)
{
    uint64_t *copy = arena_new(arena, uint64_t, (size_t)row_count / 64 + 1);
    memcpy(copy, words, ((size_t)row_count + 63) / 64 * sizeof(uint64_t));
    return copy;
}

void rows_view_init(RowsView *view, RowsWindow *window)
{
    *view = (RowsView){.window = rows_window_ref(window)};
    const bool locked = rows_window_lock(window);
    view->block_count = window->block_count;
    view->blocks = arena_new(&view->arena, RowsBlockView, view->block_count);
    view->row_count = window->row_count;
    for (size_t i = 0; i < view->block_count; i++) {
        const RowsBlock *b = window->blocks[i];
        const bool grows = locked && i + 1 == view->block_count;
        view->blocks[i] = (RowsBlockView){
            .block = b,
            .row_count = b->row_count,
            .min_us = b->min_us,
            .max_us = b->max_us,
            .validity =
                (const uint64_t **)(void *)arena_new(&view->arena, uint64_t *, b->column_count),
        };
        for (uint32_t k = 0; k < b->column_count; k++) {
            const uint64_t *words = b->columns[k].validity;
            view->blocks[i].validity[k] =
                words != NULL && grows ? copy_words(words, b->row_count, &view->arena) : words;
        }
    }
    for (size_t i = 0; i < SCHEMA_COLUMNS_MAX; i++) {
        view->dicts[i] = window->dicts[i];
        view->dict_counts[i] = window->dicts[i] == NULL ? 0 : window->dicts[i]->count;
    }
    rows_window_unlock(window, locked);
}

void rows_view_deinit(RowsView *view)
{
    rows_window_unref(view->window);
    arena_deinit(&view->arena);
    *view = (RowsView){0};
}

Status rows_view_fields(RowsHot *hot, const Schema *schema, size_t *fields, Err *err)
{
    Status st = OK;
    mutex_lock(&hot->mu);
    const Schema known = {.fields = hot->fields, .count = hot->field_count};
    for (size_t i = 0; i < schema->count && st == OK; i++) {
        const Field *field = &schema->fields[i];
        if (field->type == COLUMN_DATE && str_eq(field->name, STR("date"))) {
            fields[i] = ROWS_FIELD_DATE;
            continue;
        }
        fields[i] = schema_find(&known, field->name);
        if (fields[i] != SIZE_MAX && known.fields[fields[i]].type != field->type) {
            st = err_set(err, ERR_INVALID, "column '" STR_FMT "' is %s, not %s",
                         STR_ARG(field->name), column_type_sql(known.fields[fields[i]].type),
                         column_type_sql(field->type));
        }
    }
    mutex_unlock(&hot->mu);
    return st;
}
