// SPDX-License-Identifier: Apache-2.0
//
// The inside of a sorted run: metrics_run.c opens and sorts, metrics_run_columns.c looks at the
// label columns, metrics_cursor.c makes batches.
//
// Every series has a record: first the words, in which the ranks of its values in the columns of
// few values are packed from the most significant bit on in sort order (rank 0: absent), so that
// comparing words compares series; then, for each column of many values, where its text lies in
// the dictionary.
#pragma once

#include "store/metrics_run.h"
#include "store/metrics_select_internal.h"
#include "store/metrics_sort_internal.h"

enum {
    METRICS_RUN_CONTINUES = INT32_MIN, // bit 31 of an item of `order`: the series before goes on
    METRICS_RUN_SERIES_MAX = INT32_MAX,
};

typedef struct MetricsRunColumn {
    uint32_t column;      // of the directory
    size_t field;         // of the schema
    uint64_t used;        // distinct values, summed over registries
    uint64_t cardinality; // distinct values; estimated until they are merged
    bool wide;            // of many values: texts instead of ranks
    // Few values:
    uint32_t word, shift;
    uint64_t mask; // in place
    uint32_t *offsets;
    uint8_t *bytes;
    Vector dict; // sorted; rank k is value k - 1
    // Many values:
    uint32_t text; // index behind the words
    size_t skip;   // bytes that all of them have in common
    bool has_null;
} MetricsRunColumn;

typedef enum MetricsRunStageKind {
    METRICS_STAGE_WORD,
    METRICS_STAGE_TEXT,
    METRICS_STAGE_MAP
} MetricsRunStageKind;

typedef struct MetricsRunStage {
    MetricsRunStageKind kind;
    uint32_t index; // word; or of `columns`
} MetricsRunStage;

typedef struct MetricsRunRegistry {
    const MetricsRegistry *registry;
    MetricsShard *shard;       // its lock guards the registry's hash tables
    const MetricsDict **dicts; // by directory column; NULL: none
    uint32_t *code_counts;
    uint64_t **used;  // bits by code
    uint32_t **ranks; // by code, from 1; NULL for wide columns
} MetricsRunRegistry;

typedef struct MetricsRunWindow {
    MetricsWindow *window;
    uint32_t registry; // index of `registries`
} MetricsRunWindow;

typedef union MetricsRunCell {
    uint64_t word;
    const uint8_t *text; // entry of a dictionary; NULL: absent
} MetricsRunCell;

static_assert(sizeof(MetricsRunCell) == 8, "both are eight bytes");

struct MetricsRun {
    const Schema *schema;
    MetricsLayout layout;
    MetricsRunWindow *windows;
    size_t window_count;
    MetricsRunRegistry *registries;
    size_t registry_count;
    uint32_t directory_count; // columns that the series of this run can have
    bool has_map;             // some have labels without a field
    bool may_repeat;          // some shard has several windows
    // Label columns that some series has, in sort order.
    MetricsRunColumn *columns;
    size_t column_count;
    size_t *order_fields; // metrics_run_order()
    size_t order_count;
    MetricsRunStage *stages;
    size_t stage_count;
    uint32_t word_count, text_count;
    uint64_t *refs; // by id: window << 32 | series
    size_t refs_cap;
    size_t count;            // ids
    MetricsRunCell *records; // by id: word_count + text_count each
    uint32_t *order;         // ids in sort order, METRICS_RUN_CONTINUES
    uint64_t row_count;
};

static inline const MetricsRegistry *metrics_run_registry(const MetricsRun *run, uint64_t ref)
{
    return run->registries[run->windows[ref >> 32].registry].registry;
}

static inline const MetricsRunCell *metrics_run_record(const MetricsRun *run, uint32_t id)
{
    return run->records + (size_t)id * (run->word_count + run->text_count);
}

static inline Str metrics_run_text(MetricsRunCell cell)
{
    return cell.text == NULL ? (Str){0} : metrics_dict_entry_str(cell.text);
}

// Collects the series and what values they use (false: there are too many); decides about the
// columns; fills the records.
bool metrics_run_collect(MetricsRun *run, const MetricsSelection *selections);
void metrics_run_columns(MetricsRun *run, const size_t *sort_fields, size_t sort_field_count);
void metrics_run_records(MetricsRun *run);
