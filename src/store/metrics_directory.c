// SPDX-License-Identifier: Apache-2.0
#include "codec/hash.h"
#include "store/metrics_registry_internal.h"
#include "store/table_def.h"

enum { LABEL_COLUMNS_DEFAULT = STORE_LABEL_COLUMNS_DEFAULT };

static const Str reserved[] = {
    {"timestamp", 9}, {"metric_name", 11}, {"value", 5}, {"labels", 6},
    {"series_id", 9}, {"histogram", 9},    {"date", 4},  {"start_timestamp", 15},
};

static char lower_of(char c)
{
    static const char lower[] = "abcdefghijklmnopqrstuvwxyz";
    if (c >= 'A' && c <= 'Z') {
        c = lower[c - 'A'];
    }
    return c;
}

// True when `lower`, which ends with NUL, is `name` in lower case.
static bool is_lower_of(const char *lower, Str name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (lower[i] != lower_of(name.ptr[i])) {
            return false; // at the end of `lower` at the latest: no name holds a NUL
        }
    }
    return lower[name.len] == '\0';
}

static bool is_plain_name(Str name)
{
    for (size_t i = 0; i < name.len; i++) {
        const char c = lower_of(name.ptr[i]);
        if (!(c >= 'a' && c <= 'z') && c != '_' && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return name.len != 0;
}

static bool is_reserved(Str name)
{
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++) {
        if (reserved[i].len == name.len && is_lower_of(reserved[i].ptr, name)) {
            return true;
        }
    }
    return false;
}

// The slot of a name, whatever its case: taken by it, or empty. The table has four times as many
// slots as there can be columns, so an empty one is always near.
static uint32_t *slot_locked(MetricsDirectory *d, Str name)
{
    uint32_t hash = 2166136261; // FNV-1a; names are few and columns limited, so it needs no key
    for (size_t i = 0; i < name.len; i++) {
        hash = (hash ^ (uint8_t)lower_of(name.ptr[i])) * 16777619;
    }
    for (;; hash++) {
        uint32_t *slot = &d->slots[hash & (ARRAY_LEN(d->slots) - 1)];
        if (*slot == 0 || is_lower_of(d->lower[*slot - 1], name)) {
            return slot;
        }
    }
}

static uint32_t column_locked(MetricsDirectory *d, Str label) REQUIRES(d->mu)
{
    uint32_t *slot = slot_locked(d, label);
    if (*slot != 0) { // another name in other case has the column, or this very one
        return str_eq(d->names[*slot - 1], label) ? *slot - 1 : METRICS_COLUMN_NONE;
    }
    if (d->count > d->max) {
        return METRICS_COLUMN_NONE;
    }
    const uint32_t column = d->count;
    d->names[column] = arena_str(&d->arena, label);
    d->lower[column] = arena_new(&d->arena, char, label.len + 1);
    for (size_t i = 0; i < label.len; i++) {
        d->lower[column][i] = lower_of(label.ptr[i]);
    }
    *slot = column + 1;
    d->count++;
    return column;
}

// Whether the schema has a column of this name, whatever its case, that is of another type.
static bool is_taken(const Schema *schema, Str name, ColumnType type)
{
    const size_t at = schema == NULL ? SIZE_MAX : schema_find_nocase(schema, name);
    return at != SIZE_MAX &&
           (schema->fields[at].type != type || !str_eq(schema->fields[at].name, name));
}

void metrics_directory_init(MetricsDirectory *d, uint32_t label_columns_max, const Schema *schema)
{
    const uint32_t max = label_columns_max == 0 ? LABEL_COLUMNS_DEFAULT : label_columns_max;
    *d = (MetricsDirectory){.max = METRICS_LABEL_COLUMNS_MAX};
    mutex_init(&d->mu);
    mutex_lock(&d->mu);
    (void)column_locked(d, STR("__name__"));
    for (size_t i = 0; schema != NULL && i < schema->count; i++) {
        const Field *field = &schema->fields[i];
        if (field->type == COLUMN_STRING && is_plain_name(field->name) &&
            !is_reserved(field->name)) {
            (void)column_locked(d, field->name);
        }
    }
    d->max = max < METRICS_LABEL_COLUMNS_MAX ? max : METRICS_LABEL_COLUMNS_MAX;
    d->no_histograms = is_taken(schema, STR(METRICS_HISTOGRAM), COLUMN_BINARY);
    d->no_starts = is_taken(schema, STR(METRICS_START), COLUMN_TIMESTAMP);
    mutex_unlock(&d->mu);
}

void metrics_directory_deinit(MetricsDirectory *d)
{
    arena_deinit(&d->arena);
    mutex_deinit(&d->mu);
}

uint32_t metrics_directory_column(MetricsDirectory *d, Str label)
{
    if (!is_plain_name(label) || is_reserved(label)) {
        return METRICS_COLUMN_NONE;
    }
    mutex_lock(&d->mu);
    const uint32_t column = column_locked(d, label);
    mutex_unlock(&d->mu);
    return column;
}

uint32_t metrics_directory_find(MetricsDirectory *d, Str label)
{
    if (!is_plain_name(label)) {
        return METRICS_COLUMN_NONE;
    }
    mutex_lock(&d->mu);
    const uint32_t *slot = slot_locked(d, label);
    const uint32_t column =
        *slot != 0 && str_eq(d->names[*slot - 1], label) ? *slot - 1 : METRICS_COLUMN_NONE;
    mutex_unlock(&d->mu);
    return column;
}

uint32_t metrics_directory_count(MetricsDirectory *d)
{
    mutex_lock(&d->mu);
    const uint32_t count = d->count;
    mutex_unlock(&d->mu);
    return count;
}
