// SPDX-License-Identifier: Apache-2.0
//
// MetricsDirectory: which labels of a table have a column of their own; one per table, shared by
// its shards. MetricsRegistry: what one shard knows of its series: the table from hash to series,
// their label values as dictionary codes, and what older windows hold of them. For the hot tier's
// own files.
//
// Series with the same set of label names share a *shape*: dense columns of codes, so that a
// question about one label is a pass over one array, and a label that few series have costs the
// others nothing. A label with a column has a dictionary of its own; all others share two, one of
// names and one of values.
//
// A registry is changed under its shard's lock only. Nothing in it moves but the hash tables, so
// what belongs to series below a series_count read under the lock can be read without it
// afterwards.
#pragma once

#include "os/thread.h"
#include "series/labels.h"
#include "store/metrics_dict_internal.h"
#include "store/metrics_hot.h"

// --- directory -----------------------------------------------------------------------------------

enum {
    METRICS_COLUMN_NAME = 0, // __name__, called metric_name
    METRICS_COLUMNS_MAX = METRICS_LABEL_COLUMNS_MAX + 1,
    METRICS_COLUMN_NONE = 0xffff, // the label lives in `labels`
};

typedef struct MetricsDirectory {
    Mutex mu;
    Arena arena;                      // mu
    char *lower[METRICS_COLUMNS_MAX]; // mu: names in lower case, by slot order of columns
    uint32_t slots[4096];             // mu: column + 1 by hash of the lower-case name
    uint32_t count;                   // mu: columns, metric_name included
    uint32_t max;
    Str names[METRICS_COLUMNS_MAX]; // label names, "__name__" first; immutable once below `count`
    // Whether any sample had one: set under the lock of its shard before it can be seen.
    atomic_bool has_histograms, has_starts;
    // A column of another type has the name: such samples cannot be kept. Immutable.
    bool no_histograms, no_starts;
} MetricsDirectory;

void metrics_directory_init(MetricsDirectory *d, uint32_t label_columns_max, const Schema *schema);
void metrics_directory_deinit(MetricsDirectory *d);
// The column of a label, made when the rules allow it; METRICS_COLUMN_NONE when they do not.
uint32_t metrics_directory_column(MetricsDirectory *d, Str label);
// The same, but only when it has one already.
uint32_t metrics_directory_find(MetricsDirectory *d, Str label);
uint32_t metrics_directory_count(MetricsDirectory *d);

// --- registry ------------------------------------------------------------------------------------

enum {
    METRICS_SERIES_NONE = 0xffffffff,
    METRICS_SERIES_ALIAS = 0x80000000, // set in what metrics_registry_find() returns: an alias
    METRICS_SHAPE_CHUNKS = 27,
    METRICS_SHAPE_FIRST_LOG = 3,
};

typedef struct MetricsSlot {
    uint64_t lo; // of the hash
    uint32_t hi; // low half of the hash's `hi`; the top bits of that one are the shard
    uint32_t ref_plus_1;
} MetricsSlot;

typedef struct MetricsShapeLabel {
    Str name;
    uint32_t name_code; // in `names`
    uint32_t column;    // or METRICS_COLUMN_NONE
} MetricsShapeLabel;

typedef struct MetricsShape {
    uint32_t label_count;
    uint32_t count; // series
    uint32_t hash;
    // Chunk k holds 8 << k series: label_count columns of codes, then a column of series indexes.
    uint32_t *chunks[METRICS_SHAPE_CHUNKS];
    MetricsShapeLabel labels[]; // sorted by name
} MetricsShape;

typedef struct MetricsSeriesEntry {
    uint32_t shape;
    uint32_t ordinal; // in the shape
    int64_t floor_ms; // the greatest timestamp that older windows or files may hold
} MetricsSeriesEntry;

typedef struct MetricsRegistry {
    _Atomic uint32_t refs;
    MetricsMemory *memory;
    MetricsDirectory *directory;
    uint64_t key; // of the dictionaries' hashes
    MetricsSlot *slots;
    uint32_t slot_count, slots_used;
    uint32_t series_count, alias_count, shape_count;
    uint32_t last_shape;   // of the newest series: senders group alike series
    MetricsArray series;   // MetricsSeriesEntry
    MetricsArray aliases;  // LabelsHash: the canonical hash
    MetricsArray shapes;   // MetricsShape *
    uint32_t *shape_slots; // shape + 1 by hash
    uint32_t shape_slot_count;
    MetricsDict names;         // all label names
    MetricsArray name_columns; // uint32_t: column by name code
    MetricsDict rest;          // values of labels without a column
    MetricsDict *dicts[METRICS_COLUMNS_MAX];
    uint64_t own_bytes;     // without dictionaries
    uint64_t charged_bytes; // what `memory` was told
} MetricsRegistry;

MetricsRegistry *metrics_registry_new(MetricsDirectory *directory, MetricsMemory *memory,
                                      uint64_t key);
MetricsRegistry *metrics_registry_ref(MetricsRegistry *r);
void metrics_registry_unref(MetricsRegistry *r); // accepts NULL

static inline uint32_t metrics_registry_slot(const MetricsRegistry *r, LabelsHash hash)
{
    return (uint32_t)(((hash.lo >> 32) * r->slot_count) >> 32);
}

// The series with this hash, METRICS_SERIES_ALIAS | alias, or METRICS_SERIES_NONE. 96 bits of a
// keyed hash are compared, on top of the shard and the place: labels are not.
static inline uint32_t metrics_registry_find(const MetricsRegistry *r, LabelsHash hash)
{
    uint32_t at = metrics_registry_slot(r, hash);
    while (r->slots[at].ref_plus_1 != 0) {
        const MetricsSlot *slot = &r->slots[at];
        if (slot->lo == hash.lo && slot->hi == (uint32_t)hash.hi) {
            return slot->ref_plus_1 - 1;
        }
        at = at + 1 == r->slot_count ? 0 : at + 1;
    }
    return METRICS_SERIES_NONE;
}

// Adds a series that is not there. ERR_LIMIT when the registry or a dictionary is full.
Status metrics_registry_add(MetricsRegistry *r, LabelsHash hash, const LabelSet *labels,
                            int64_t floor_ms, uint32_t *series, Err *err);
// Fetches what metrics_registry_add() of such a set will read first.
void metrics_registry_prefetch(const MetricsRegistry *r, const LabelSet *labels);
// Remembers that `hash` is another form of the set whose canonical form hashes to `canonical`. Does
// nothing when there are as many aliases as series: permutations of labels cost time, not memory.
void metrics_registry_alias(MetricsRegistry *r, LabelsHash hash, LabelsHash canonical);

static inline LabelsHash metrics_registry_canonical(const MetricsRegistry *r, uint32_t alias)
{
    return *METRICS_AT(const LabelsHash, &r->aliases, alias & ~(uint32_t)METRICS_SERIES_ALIAS);
}

static inline const MetricsShape *metrics_registry_shape(const MetricsRegistry *r, uint32_t shape)
{
    return *METRICS_AT(MetricsShape *const, &r->shapes, shape);
}

// The dictionary of a label of a shape: its column's, or the one of all labels without a column.
static inline const MetricsDict *metrics_registry_dict(const MetricsRegistry *r, uint32_t column)
{
    return column == METRICS_COLUMN_NONE ? &r->rest : r->dicts[column];
}

typedef struct MetricsShapePlace {
    uint32_t chunk, offset, len;
} MetricsShapePlace;

static inline MetricsShapePlace metrics_shape_place(uint32_t ordinal)
{
    const uint64_t at = (uint64_t)ordinal + (UINT64_C(1) << METRICS_SHAPE_FIRST_LOG);
    const uint32_t log = 63 - (uint32_t)__builtin_clzll(at);
    return (MetricsShapePlace){log - METRICS_SHAPE_FIRST_LOG, (uint32_t)(at - (UINT64_C(1) << log)),
                               UINT32_C(1) << log};
}

// Code of label k (an index of shape->labels) is codes[k * stride].
static inline const uint32_t *metrics_shape_codes(const MetricsShape *shape, uint32_t ordinal,
                                                  uint32_t *stride)
{
    const MetricsShapePlace p = metrics_shape_place(ordinal);
    *stride = p.len;
    return shape->chunks[p.chunk] + p.offset;
}
