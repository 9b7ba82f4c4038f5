// SPDX-License-Identifier: Apache-2.0
//
// The inside of a sorted run of typed rows: rows_run.c opens and sorts, rows_cursor.c makes
// batches.
#pragma once

#include "store/rows_internal.h"
#include "store/rows_run.h"

enum {
    ROWS_RUN_BLOCKS_MAX = 65536,
    ROWS_ID_ROW_BITS = 16, // of a row id: block << 16 | row
};

static_assert(ROWS_BLOCK_ROWS == 1 << ROWS_ID_ROW_BITS, "a row of a block");

// A column of strings or maps: its dictionaries become one.
typedef struct RowsRunDict {
    bool flat;        // batches have the strings themselves: most rows have one of their own
    uint32_t **ranks; // by view, by code: the code in `vector`; NULL: not needed
    uint32_t count;   // distinct values, when they were counted
    Vector vector;    // sorted, when not `flat`
} RowsRunDict;

struct RowsRun {
    const Schema *schema;
    size_t *fields; // of the table, by column of the schema
    RowsHot *hot;
    Field *table_fields; // as they were when the run was opened
    size_t table_field_count;
    RowsView *views;
    size_t view_count;
    const RowsBlockView **blocks; // of all views
    uint32_t *block_views;        // by block
    uint32_t *block_starts;       // by block: rows before it
    size_t block_count;
    uint32_t row_count;
    int64_t min_us, max_us;
    RowsRunDict *dicts; // by field of the table
    uint32_t *order;    // row ids
    Arena arena;
};

static inline const RowsBlockView *rows_run_block(const RowsRun *run, uint32_t id)
{
    return run->blocks[id >> ROWS_ID_ROW_BITS];
}

// Whether the block has the column and the row a value in it.
static inline bool rows_block_valid(const RowsBlockView *view, size_t field, uint32_t row)
{
    return field < view->block->column_count && validity_get(view->validity[field], row);
}

static inline int64_t rows_run_time(const RowsRun *run, uint32_t id)
{
    const RowsBlock *b = rows_run_block(run, id)->block;
    const int64_t *us = (const int64_t *)(const void *)b->columns[run->hot->time_field].data;
    return us[id & (ROWS_BLOCK_ROWS - 1)];
}
