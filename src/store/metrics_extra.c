// SPDX-License-Identifier: Apache-2.0
#include "store/metrics_extra_internal.h"

#include <stddef.h>

enum { RECORD_ALIGN = 8 };

static_assert(offsetof(MetricsRecord, blob) == 20, "a float with a start takes 24 bytes");

// --- records -------------------------------------------------------------------------------------

// Relaxed: the shard's lock orders it before anybody sees the sample.
static void note(atomic_bool *flag)
{
    if (!atomic_load_explicit(flag, memory_order_relaxed)) {
        atomic_store_explicit(flag, true, memory_order_relaxed);
    }
}

double metrics_window_slot(MetricsWindow *w, MetricsEntry *e, double value,
                           const MetricsExtra *extra)
{
    static const MetricsExtra none = {.start_ms = INT64_MIN};
    extra = extra == NULL ? &none : extra;
    if (metrics_extra_is_plain(extra) && !metrics_slot_is_record(value)) {
        return value;
    }
    MetricsDirectory *d = w->registry->directory;
    const Bytes blob = extra->histogram;
    const uint64_t before = w->records.used_bytes;
    MetricsRecord *r = arena_alloc(&w->records, 1, sizeof(*r) + blob.len, RECORD_ALIGN);
    r->start_ms = extra->start_ms;
    r->value = value;
    r->blob_len = (uint32_t)blob.len;
    if (blob.len != 0) {
        memcpy(r->blob, blob.ptr, blob.len);
        w->histogram_count++;
        note(&d->has_histograms);
    }
    if (r->start_ms != INT64_MIN) {
        w->start_count++;
        note(&d->has_starts);
    }
    w->size_bytes += w->records.used_bytes - before;
    metrics_memory_add(w->registry->memory, w->records.used_bytes - before);
    e->flags |= METRICS_ENTRY_EXTENDED;
    const uint64_t address = (uintptr_t)r;
    ASSERT((address & METRICS_RECORD_MARK) == 0 && address >> 48 == 0);
    const uint64_t bits = METRICS_RECORD_MARK | address;
    double slot;
    memcpy(&slot, &bits, sizeof(slot));
    return slot;
}

uint32_t metrics_slots_fit(const double *slots, uint32_t count, uint64_t bytes_max, uint64_t *bytes)
{
    uint64_t sum = 0;
    uint32_t n = 0;
    for (; n < count; n++) {
        const uint32_t len =
            metrics_slot_is_record(slots[n]) ? metrics_slot_record(slots[n])->blob_len : 0;
        if (n != 0 && sum + len > bytes_max) {
            break;
        }
        sum += len;
    }
    *bytes += sum;
    return n;
}

// --- vectors -------------------------------------------------------------------------------------

void metrics_extras_deinit(MetricsExtras *x)
{
    mem_free(x->is_float);
    mem_free(x->is_histogram);
    mem_free(x->has_start);
    mem_free(x->offsets);
    mem_free(x->starts_us);
    buf_deinit(&x->blobs);
    *x = (MetricsExtras){0};
}

static void grow(MetricsExtras *x, uint32_t row_count)
{
    const size_t words = (size_t)row_count / 64 + 1;
    size_t caps[2] = {x->words_cap, x->words_cap};
    x->is_float = mem_grow(x->is_float, &caps[0], words, sizeof(uint64_t));
    x->is_histogram = mem_grow(x->is_histogram, &caps[1], words, sizeof(uint64_t));
    x->has_start = mem_grow(x->has_start, &x->words_cap, words, sizeof(uint64_t));
    x->offsets = mem_grow(x->offsets, &x->offsets_cap, (size_t)row_count + 1, sizeof(*x->offsets));
    x->starts_us =
        mem_grow(x->starts_us, &x->starts_cap, (size_t)row_count + 1, sizeof(*x->starts_us));
    memset(x->is_float, 0xFF, words * sizeof(uint64_t));
    memset(x->is_histogram, 0, words * sizeof(uint64_t));
    memset(x->has_start, 0, words * sizeof(uint64_t));
}

static void resolve_record(MetricsExtras *x, uint32_t row, const MetricsRecord *r)
{
    x->values[row] = r->value;
    if (r->blob_len != 0) {
        const uint64_t nan = UINT64_C(0x7ff8000000000001); // null; for who does not look
        memcpy(&x->values[row], &nan, sizeof(nan));
        buf_put(&x->blobs, r->blob, r->blob_len);
        validity_set(x->is_float, row, false);
        validity_set(x->is_histogram, row, true);
        x->has_histograms = true;
    }
    if (r->start_ms != INT64_MIN) {
        x->starts_us[row] = r->start_ms * 1000;
        validity_set(x->has_start, row, true);
        x->has_starts = true;
    }
}

void metrics_extras_resolve(MetricsExtras *x, double *values, uint32_t row_count, bool extended)
{
    x->values = values;
    x->row_count = row_count;
    x->has_histograms = false;
    x->has_starts = false;
    buf_clear(&x->blobs);
    if (!extended) {
        return;
    }
    grow(x, row_count);
    for (uint32_t i = 0; i < row_count; i++) {
        x->offsets[i] = (uint32_t)x->blobs.len;
        x->starts_us[i] = 0;
        if (metrics_slot_is_record(values[i])) {
            resolve_record(x, i, metrics_slot_record(values[i]));
        }
    }
    x->offsets[row_count] = (uint32_t)x->blobs.len;
}

// One run of nulls.
static Vector nulls(const MetricsExtras *x, ColumnType type)
{
    static const uint64_t invalid[1] = {0};
    static const uint32_t offsets[2] = {0, 0};
    static const int64_t zero[1] = {0};
    static const Vector blob = {.type = COLUMN_BINARY,
                                .form = VECTOR_FLAT,
                                .row_count = 1,
                                .validity = invalid,
                                .offsets = offsets};
    static const Vector time = {.type = COLUMN_TIMESTAMP,
                                .form = VECTOR_FLAT,
                                .row_count = 1,
                                .validity = invalid,
                                .data = zero};
    return (Vector){.type = type,
                    .form = VECTOR_RUNS,
                    .row_count = x->row_count,
                    .run_count = 1,
                    .run_ends = &x->row_count,
                    .runs = type == COLUMN_BINARY ? &blob : &time};
}

Vector metrics_extras_values(const MetricsExtras *x)
{
    return (Vector){.type = COLUMN_DOUBLE,
                    .form = VECTOR_FLAT,
                    .row_count = x->row_count,
                    .validity = x->has_histograms ? x->is_float : NULL,
                    .data = x->values};
}

Vector metrics_extras_histograms(const MetricsExtras *x)
{
    if (!x->has_histograms) {
        return nulls(x, COLUMN_BINARY);
    }
    return (Vector){.type = COLUMN_BINARY,
                    .form = VECTOR_FLAT,
                    .row_count = x->row_count,
                    .validity = x->is_histogram,
                    .offsets = x->offsets,
                    .bytes = x->blobs.ptr};
}

Vector metrics_extras_starts(const MetricsExtras *x)
{
    if (!x->has_starts) {
        return nulls(x, COLUMN_TIMESTAMP);
    }
    return (Vector){.type = COLUMN_TIMESTAMP,
                    .form = VECTOR_FLAT,
                    .row_count = x->row_count,
                    .validity = x->has_start,
                    .data = x->starts_us};
}
