// SPDX-License-Identifier: Apache-2.0
#include "store/metrics_registry_internal.h"

#include "codec/hash.h"

enum {
    SLOTS_FIRST = 64,
    SHAPE_SLOTS_FIRST = 16,
    ALIASES_FREE = 1024, // aliases a registry may have whatever its number of series
    SHAPES_MAX = METRICS_SHARD_SERIES_MAX,
};

MetricsRegistry *metrics_registry_new(MetricsDirectory *directory, MetricsMemory *memory,
                                      uint64_t key)
{
    MetricsRegistry *r = mem_new(MetricsRegistry, 1);
    atomic_init(&r->refs, 1);
    r->memory = memory;
    r->directory = directory;
    r->key = key;
    r->slot_count = SLOTS_FIRST;
    r->slots = mem_new(MetricsSlot, r->slot_count);
    r->own_bytes = sizeof(*r) + r->slot_count * sizeof(*r->slots);
    r->charged_bytes = r->own_bytes;
    metrics_memory_add(memory, r->charged_bytes);
    return r;
}

MetricsRegistry *metrics_registry_ref(MetricsRegistry *r)
{
    // Relaxed: who adds a reference holds one already.
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void metrics_registry_unref(MetricsRegistry *r)
{
    // Release: our use of it is over. Acquire, for the last one: so is everybody else's.
    if (r == NULL || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    for (uint32_t i = 0; i < r->shape_count; i++) {
        MetricsShape *shape = *METRICS_AT(MetricsShape *, &r->shapes, i);
        for (size_t k = 0; k < METRICS_SHAPE_CHUNKS; k++) {
            mem_free(shape->chunks[k]);
        }
        mem_free(shape);
    }
    for (size_t i = 0; i < METRICS_COLUMNS_MAX; i++) {
        if (r->dicts[i] != NULL) {
            metrics_dict_deinit(r->dicts[i]);
            mem_free(r->dicts[i]);
        }
    }
    metrics_dict_deinit(&r->names);
    metrics_dict_deinit(&r->rest);
    metrics_array_deinit(&r->series);
    metrics_array_deinit(&r->aliases);
    metrics_array_deinit(&r->shapes);
    metrics_array_deinit(&r->name_columns);
    mem_free(r->shape_slots);
    mem_free(r->slots);
    metrics_memory_sub(r->memory, r->charged_bytes);
    mem_free(r);
}

// Tells the hot tier what was taken since the last call. `dict_bytes` is what dictionaries grew by.
static void charge(MetricsRegistry *r, uint64_t dict_bytes)
{
    r->own_bytes += dict_bytes;
    if (r->own_bytes != r->charged_bytes) {
        metrics_memory_add(r->memory, r->own_bytes - r->charged_bytes);
        r->charged_bytes = r->own_bytes;
    }
}

// --- the table of hashes -------------------------------------------------------------------------

static void slot_insert(MetricsSlot *slots, uint32_t slot_count, MetricsSlot slot)
{
    uint32_t at = (uint32_t)(((slot.lo >> 32) * slot_count) >> 32);
    while (slots[at].ref_plus_1 != 0) {
        at = at + 1 == slot_count ? 0 : at + 1;
    }
    slots[at] = slot;
}

// Slots are in the order of hashes, so growing reads one table and writes the other front to back.
// At most 13 of 16 slots are taken, at least 8.6.
static void slots_grow(MetricsRegistry *r)
{
    if ((uint64_t)(r->slots_used + 1) * 16 <= (uint64_t)r->slot_count * 13) {
        return;
    }
    const uint32_t slot_count = r->slot_count + r->slot_count / 2;
    MetricsSlot *slots = metrics_table_new(slot_count, sizeof(*slots));
    for (uint32_t i = 0; i < r->slot_count; i++) {
        if (r->slots[i].ref_plus_1 != 0) {
            slot_insert(slots, slot_count, r->slots[i]);
        }
    }
    r->own_bytes += (uint64_t)(slot_count - r->slot_count) * sizeof(*slots);
    mem_free(r->slots);
    r->slots = slots;
    r->slot_count = slot_count;
}

static void slot_add(MetricsRegistry *r, LabelsHash hash, uint32_t ref)
{
    slots_grow(r);
    slot_insert(r->slots, r->slot_count,
                (MetricsSlot){.lo = hash.lo, .hi = (uint32_t)hash.hi, .ref_plus_1 = ref + 1});
    r->slots_used++;
}

void metrics_registry_alias(MetricsRegistry *r, LabelsHash hash, LabelsHash canonical)
{
    if (r->alias_count >= r->series_count && r->alias_count >= ALIASES_FREE) {
        return;
    }
    const uint32_t alias = r->alias_count++;
    *(LabelsHash *)metrics_array_put(&r->aliases, alias, sizeof(LabelsHash), &r->own_bytes) =
        canonical;
    slot_add(r, hash, METRICS_SERIES_ALIAS | alias);
    charge(r, 0);
}

// --- shapes --------------------------------------------------------------------------------------

static bool shape_has(const MetricsShape *shape, const LabelSet *labels)
{
    if (shape->label_count != labels->count) {
        return false;
    }
    for (uint32_t i = 0; i < shape->label_count; i++) {
        if (!str_eq(shape->labels[i].name, labels->labels[i].name)) {
            return false;
        }
    }
    return true;
}

static void shape_slot_insert(MetricsRegistry *r, uint32_t hash, uint32_t shape)
{
    uint32_t at = hash & (r->shape_slot_count - 1);
    while (r->shape_slots[at] != 0) {
        at = (at + 1) & (r->shape_slot_count - 1);
    }
    r->shape_slots[at] = shape + 1;
}

static void shape_slots_grow(MetricsRegistry *r)
{
    if ((uint64_t)(r->shape_count + 1) * 4 <= (uint64_t)r->shape_slot_count * 3) {
        return;
    }
    const uint32_t before = r->shape_slot_count;
    mem_free(r->shape_slots);
    r->shape_slot_count = before == 0 ? SHAPE_SLOTS_FIRST : before * 2;
    r->shape_slots = mem_new(uint32_t, r->shape_slot_count);
    r->own_bytes += (uint64_t)(r->shape_slot_count - before) * sizeof(*r->shape_slots);
    for (uint32_t i = 0; i < r->shape_count; i++) {
        shape_slot_insert(r, metrics_registry_shape(r, i)->hash, i);
    }
}

// The code of a label name, and its column.
static uint32_t name_code(MetricsRegistry *r, Str name, uint32_t *column)
{
    const uint32_t before = r->names.count;
    const uint32_t code = metrics_dict_put(&r->names, name, r->key);
    if (code == METRICS_CODE_NONE) {
        return code;
    }
    uint32_t *known = metrics_array_put(&r->name_columns, code, sizeof(uint32_t), &r->own_bytes);
    if (code == before) {
        *known = metrics_directory_column(r->directory, name);
        if (*known != METRICS_COLUMN_NONE && r->dicts[*known] == NULL) {
            r->dicts[*known] = mem_new(MetricsDict, 1);
            r->own_bytes += sizeof(MetricsDict);
        }
    }
    *column = *known;
    return code;
}

static uint32_t shape_add(MetricsRegistry *r, const MetricsShapeLabel *labels, uint32_t count,
                          uint32_t hash)
{
    const size_t size = sizeof(MetricsShape) + count * sizeof(MetricsShapeLabel);
    MetricsShape *shape = mem_alloc(1, size);
    shape->label_count = count;
    shape->hash = hash;
    memcpy(shape->labels, labels, count * sizeof(*labels));
    r->own_bytes += size;
    shape_slots_grow(r);
    const uint32_t index = r->shape_count++;
    *(MetricsShape **)metrics_array_put(&r->shapes, index, sizeof(void *), &r->own_bytes) = shape;
    shape_slot_insert(r, hash, index);
    return index;
}

// The shape with these label names, made when it is new; false when the names' dictionary is full.
static bool shape_put(MetricsRegistry *r, const LabelSet *set, uint32_t *out)
{
    if (r->shape_count != 0 && shape_has(metrics_registry_shape(r, r->last_shape), set)) {
        *out = r->last_shape;
        return true;
    }
    MetricsShapeLabel labels[LABELS_COUNT_MAX];
    uint32_t codes[LABELS_COUNT_MAX];
    for (size_t i = 0; i < set->count; i++) {
        codes[i] = name_code(r, set->labels[i].name, &labels[i].column);
        if (codes[i] == METRICS_CODE_NONE) {
            return false;
        }
        labels[i].name_code = codes[i];
        labels[i].name = metrics_dict_str(&r->names, codes[i]);
    }
    const Bytes bytes = {(const uint8_t *)codes, set->count * sizeof(*codes)};
    const uint32_t hash = (uint32_t)hash_xxh3_64(bytes, r->key);
    for (uint32_t at = hash; r->shape_slot_count != 0; at++) {
        const uint32_t slot = r->shape_slots[at & (r->shape_slot_count - 1)];
        if (slot == 0) {
            break;
        }
        const MetricsShape *shape = metrics_registry_shape(r, slot - 1);
        if (shape->hash == hash && shape_has(shape, set)) {
            *out = slot - 1;
            return true;
        }
    }
    *out = shape_add(r, labels, (uint32_t)set->count, hash);
    return true;
}

// Room for one more series in the shape: its codes, and a stride to them.
static uint32_t *shape_room(MetricsRegistry *r, MetricsShape *shape, uint32_t *stride)
{
    const MetricsShapePlace p = metrics_shape_place(shape->count);
    ASSERT(p.chunk < METRICS_SHAPE_CHUNKS);
    if (shape->chunks[p.chunk] == NULL) {
        const size_t size = (size_t)p.len * (shape->label_count + 1) * sizeof(uint32_t);
        shape->chunks[p.chunk] = mem_alloc_raw(size);
        r->own_bytes += size;
    }
    *stride = p.len;
    return shape->chunks[p.chunk] + p.offset;
}

// --- series --------------------------------------------------------------------------------------

void metrics_registry_prefetch(const MetricsRegistry *r, const LabelSet *labels)
{
    if (r->shape_count == 0) {
        return;
    }
    const MetricsShape *shape = metrics_registry_shape(r, r->last_shape); // a guess
    for (uint32_t i = 0; i < shape->label_count && i < labels->count; i++) {
        metrics_dict_prefetch(metrics_registry_dict(r, shape->labels[i].column),
                              labels->labels[i].value, r->key);
    }
}

Status metrics_registry_add(MetricsRegistry *r, LabelsHash hash, const LabelSet *labels,
                            int64_t floor_ms, uint32_t *series, Err *err)
{
    uint32_t shape_index = 0;
    uint64_t dict_bytes = r->names.size_bytes;
    if (r->series_count == METRICS_SHARD_SERIES_MAX || r->shape_count == SHAPES_MAX) {
        return err_set(err, ERR_LIMIT, "more than %d series in one shard",
                       METRICS_SHARD_SERIES_MAX);
    }
    if (!shape_put(r, labels, &shape_index)) {
        return err_set(err, ERR_LIMIT, "too many label names in one shard");
    }
    dict_bytes = r->names.size_bytes - dict_bytes;
    MetricsShape *shape = *METRICS_AT(MetricsShape *, &r->shapes, shape_index);
    uint32_t stride = 0;
    uint32_t *codes = shape_room(r, shape, &stride);
    for (uint32_t i = 0; i < shape->label_count; i++) {
        const uint32_t column = shape->labels[i].column;
        MetricsDict *dict = column == METRICS_COLUMN_NONE ? &r->rest : r->dicts[column];
        const uint64_t before = dict->size_bytes;
        codes[(size_t)i * stride] = metrics_dict_put(dict, labels->labels[i].value, r->key);
        dict_bytes += dict->size_bytes - before;
        if (codes[(size_t)i * stride] == METRICS_CODE_NONE) {
            charge(r, dict_bytes);
            return err_set(err, ERR_LIMIT, "too many label values in one shard");
        }
    }
    *series = r->series_count++;
    codes[(size_t)shape->label_count * stride] = *series;
    *(MetricsSeriesEntry *)metrics_array_put(&r->series, *series, sizeof(MetricsSeriesEntry),
                                             &r->own_bytes) =
        (MetricsSeriesEntry){.shape = shape_index, .ordinal = shape->count, .floor_ms = floor_ms};
    shape->count++;
    r->last_shape = shape_index;
    slot_add(r, hash, *series);
    charge(r, dict_bytes);
    return OK;
}
