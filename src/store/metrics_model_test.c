// SPDX-License-Identifier: Apache-2.0
#include "store/metrics_model_internal.h"

#include "base/mem.h"
#include "codec/varint.h"

#include <stdlib.h>

// --- model ---------------------------------------------------------------------------------------

void model_init(Model *m)
{
    *m = (Model){0};
    strmap_init(&m->rows);
}

void model_deinit(Model *m)
{
    strmap_deinit(&m->rows);
    mem_free(m->values);
}

static void put_text(Model *m, Str text, double value)
{
    bool created = false;
    const uint64_t index = *strmap_put(&m->rows, text, m->value_count, &created);
    if (created) {
        m->values = mem_grow(m->values, &m->values_cap, m->value_count + 1, sizeof(double));
        m->value_count++;
    }
    m->values[index] = value;
}

void model_put(Model *m, Str labels, int64_t us, double value)
{
    Buf text;
    buf_init(&text, 0);
    buf_put_str(&text, labels);
    buf_putf(&text, "%" PRId64, us);
    put_text(m, buf_str(&text), value);
    buf_deinit(&text);
}

void model_add(Model *m, const Model *from)
{
    for (size_t i = 0; i < from->rows.count; i++) {
        put_text(m, from->rows.entries[i].key, from->values[from->rows.entries[i].value]);
    }
}

void model_check_equal(Test *t, const char *what, const Model *got, const Model *want)
{
    for (size_t i = 0; i < want->rows.count; i++) {
        const StrMapEntry *e = &want->rows.entries[i];
        const uint64_t *index = strmap_get(&got->rows, e->key);
        if (index == NULL) {
            test_fail(t, __FILE__, __LINE__, "%s: row missing: '" STR_FMT "'", what,
                      STR_ARG(e->key));
        }
        if (memcmp(&got->values[*index], &want->values[e->value], sizeof(double)) != 0) {
            test_fail(t, __FILE__, __LINE__, "%s: '" STR_FMT "' is %g, want %g", what,
                      STR_ARG(e->key), got->values[*index], want->values[e->value]);
        }
    }
    CHECK_EQ(got->rows.count, want->rows.count);
}

// --- batches -------------------------------------------------------------------------------------

static int label_compare(const void *a, const void *b)
{
    const Str x = ((const Label *)a)->name;
    const Str y = ((const Label *)b)->name;
    const size_t len = x.len < y.len ? x.len : y.len;
    const int order = memcmp(x.ptr, y.ptr, len);
    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

static Str labels_text(Arena *arena, Label *labels, size_t count)
{
    Buf text;
    buf_init(&text, 0);
    qsort(labels, count, sizeof(*labels), label_compare);
    for (size_t i = 0; i < count; i++) {
        if (labels[i].value.len != 0) {
            buf_putf(&text, STR_FMT "\1" STR_FMT "\2", STR_ARG(labels[i].name),
                     STR_ARG(labels[i].value));
        }
    }
    const Str copy = arena_str(arena, buf_str(&text));
    buf_deinit(&text);
    return copy;
}

static Str printed(Arena *arena, const char *prefix, uint64_t number)
{
    Buf text;
    buf_init(&text, 0);
    buf_putf(&text, "%s%" PRIu64, prefix, number);
    const Str copy = arena_str(arena, buf_str(&text));
    buf_deinit(&text);
    return copy;
}

// The label set of one kind of series: always the same for the same kind.
static size_t kind_labels(Arena *arena, uint32_t kind, const WorkloadOptions *options,
                          Label *labels)
{
    static const Str plain[] = {{"job", 3}, {"instance", 8}, {"pod", 3}, {"zone", 4}};
    static const Str odd[] = {
        {"Job", 3},          {"JOB", 3},  {"städte", 7}, {"x-y", 3}, {"date", 4}, {"Timestamp", 9},
        {"metric_name", 11}, {"0day", 4}, {"labels", 6}, {"a", 1},   {"A", 1}};
    Rng rng = {.state = kind * 7919 + 1};
    size_t count = 0;
    labels[count++] = (Label){STR("__name__"), printed(arena, "metric_", rng_below(&rng, 3))};
    labels[count++] = (Label){STR("id"), printed(arena, "a long common prefix ", kind)};
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
        if (rng_below(&rng, 4) != 0) {
            labels[count++] = (Label){plain[i], printed(arena, "v", rng_below(&rng, 4 + i * 10))};
        }
    }
    for (size_t i = 0; options->odd_names && i < ARRAY_LEN(odd); i++) {
        if (rng_below(&rng, 4) == 0) {
            const bool empty = rng_below(&rng, 4) == 0;
            labels[count++] =
                (Label){odd[i], empty ? STR("") : printed(arena, "ü", rng_below(&rng, 5))};
        }
    }
    return count;
}

static void put_label(Buf *b, const Label *label)
{
    Buf inner;
    buf_init(&inner, 0);
    buf_put_u8(&inner, 0x0A);
    varint_put_u64(&inner, label->name.len);
    buf_put_str(&inner, label->name);
    buf_put_u8(&inner, 0x12);
    varint_put_u64(&inner, label->value.len);
    buf_put_str(&inner, label->value);
    buf_put_u8(b, 0x0A);
    varint_put_u64(b, inner.len);
    buf_put_str(b, buf_str(&inner));
    buf_deinit(&inner);
}

// Labels on the wire, in any order when the workload is odd. Breaks a rule when `invalid`.
static Bytes wire_of(Test *t, Arena *arena, const WorkloadOptions *options, Label *labels,
                     size_t count, bool invalid)
{
    Buf wire;
    buf_init(&wire, 0);
    for (size_t i = count; options->odd_names && test_random(t) % 2 == 0 && i > 1; i--) {
        const size_t k = test_random(t) % i;
        const Label swap = labels[i - 1];
        labels[i - 1] = labels[k];
        labels[k] = swap;
    }
    for (size_t i = 0; i < count; i++) {
        put_label(&wire, &labels[i]);
    }
    if (invalid) {
        static const Label bad[] = {
            {{"", 0}, {"x", 1}}, {{"y", 1}, {"\xff", 1}}, {{"id", 2}, {"again", 5}}};
        put_label(&wire, &bad[test_random(t) % ARRAY_LEN(bad)]);
    }
    const Str copy = arena_str(arena, buf_str(&wire));
    buf_deinit(&wire);
    return (Bytes){(const uint8_t *)copy.ptr, copy.len};
}

static int64_t timestamp(Test *t, const WorkloadOptions *options, int64_t now_ms, uint32_t i)
{
    if (options->outliers && test_random(t) % 50 == 0) {
        return now_ms + ((int64_t)(test_random(t) % 100) - 50) * 31536000000;
    }
    if (options->disorder && test_random(t) % 4 == 0) {
        return now_ms - (int64_t)(test_random(t) % 40) * 1000;
    }
    return now_ms + i * 1000;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

// A few are NaNs that look like what stands for extended samples in memory and in the log.
static double random_value(Test *t)
{
    const uint64_t odd = UINT64_C(0xFFFC000000000000) | test_random(t) % 1000;
    double value = (double)(int64_t)(test_random(t) % 1000000);
    if (test_random(t) % 200 == 0) {
        memcpy(&value, &odd, sizeof(value));
    }
    return value;
}

void workload_append(Test *t, MetricsHot *hot, const WorkloadOptions *options, int64_t now_ms,
                     Model *model)
{
    Arena arena = {0};
    const uint32_t series_count = 1 + (uint32_t)(test_random(t) % options->batch_series_max);
    MetricsSeries *series = arena_new(&arena, MetricsSeries, series_count);
    const size_t samples_max = (size_t)series_count * options->samples_max;
    int64_t *ms = arena_new(&arena, int64_t, samples_max);
    double *values = arena_new(&arena, double, samples_max);
    MetricsExtra *extras = arena_new(&arena, MetricsExtra, samples_max);
    uint32_t sample = 0;
    uint64_t rejected = 0;
    uint64_t series_rejected = 0;
    uint32_t kind = (uint32_t)(test_random(t) % options->series_kinds);
    uint32_t n = 0;
    for (; n < series_count && kind < options->series_kinds; n++) {
        Label labels[32];
        const size_t count = kind_labels(&arena, kind, options, labels);
        const bool invalid = options->invalid && test_random(t) % 10 == 0;
        const Str text = labels_text(&arena, labels, count);
        series[n] = (MetricsSeries){wire_of(t, &arena, options, labels, count, invalid), sample,
                                    (uint32_t)(test_random(t) % (options->samples_max + 1))};
        for (uint32_t i = 0; i < series[n].sample_count; i++, sample++) {
            ms[sample] = timestamp(t, options, now_ms, i);
            values[sample] = random_value(t);
            extras[sample] = sample_extra(ms[sample], bits_of(values[sample]), &arena);
            if (options->invalid && test_random(t) % 100 == 0) {
                const bool low = test_random(t) % 2 == 0;
                int64_t *bad = options->extended && test_random(t) % 2 == 0
                                   ? &extras[sample].start_ms
                                   : &ms[sample];
                *bad = low ? METRICS_TIMESTAMP_MIN_MS - 1 : METRICS_TIMESTAMP_MAX_MS + 1;
                rejected += !invalid;
            } else if (!invalid) {
                model_put(model, text, ms[sample] * 1000, values[sample]);
            }
        }
        rejected += invalid ? series[n].sample_count : 0;
        series_rejected += invalid;
        kind += (uint32_t)(test_random(t) % 4); // 0: once more, in another form perhaps
    }
    MetricsResult result;
    uint64_t sequence = 0;
    Err err;
    const MetricsBatch batch = {series, n, ms, values, options->extended ? extras : NULL};
    CHECK_OK(metrics_hot_append(hot, &batch, &result, &sequence, &err));
    CHECK_EQ(result.samples_rejected, rejected);
    CHECK_EQ(result.series_rejected, series_rejected);
    CHECK_EQ(result.samples_written, sample - rejected);
    CHECK_EQ(result.first_rejection.status, rejected + series_rejected == 0 ? OK : ERR_INVALID);
    arena_deinit(&arena);
}

// --- reading back --------------------------------------------------------------------------------

Batch workload_flatten(Test *t, const Batch *batch, Arena *arena)
{
    Vector *columns = arena_new(arena, Vector, batch->schema->count);
    for (size_t i = 0; i < batch->schema->count; i++) {
        Err err;
        CHECK_EQ(batch->columns[i].row_count, batch->row_count);
        CHECK_EQ(batch->columns[i].type, batch->schema->fields[i].type);
        CHECK_OK(vector_validate(&batch->columns[i], &err));
        columns[i] = vector_flatten(&batch->columns[i], arena);
    }
    return (Batch){batch->schema, columns, batch->row_count};
}

static Str flat_text(const Vector *v, uint32_t row)
{
    const Vector *flat = NULL;
    uint32_t index = 0;
    return vector_locate(v, row, &flat, &index) ? vector_flat_str(flat, index) : (Str){0};
}

Str workload_row_labels(Test *t, const Batch *flat, uint32_t row)
{
    Label labels[64];
    size_t count = 0;
    for (size_t i = 0; i < flat->schema->count; i++) {
        const Field *field = &flat->schema->fields[i];
        const Vector *v = &flat->columns[i];
        if (field->type == COLUMN_STRING && validity_get(v->validity, row)) {
            const bool name = str_eq(field->name, STR("metric_name"));
            labels[count++] =
                (Label){name ? STR("__name__") : field->name, vector_flat_str(v, row)};
        } else if (field->type == COLUMN_MAP && validity_get(v->validity, row)) {
            for (uint32_t k = v->offsets[row]; k < v->offsets[row + 1]; k++) {
                labels[count++] = (Label){flat_text(v->keys, k), flat_text(v->values, k)};
            }
        }
    }
    return labels_text(&t->arena, labels, count);
}

static const void *value_at(const Batch *flat, Str column, uint32_t row)
{
    const size_t at = schema_find(flat->schema, column);
    const bool has = at != SIZE_MAX && validity_get(flat->columns[at].validity, row);
    return has ? (const uint64_t *)flat->columns[at].data + row : NULL;
}

static SampleRow sample_at(const Batch *flat, uint32_t row)
{
    SampleRow out = {.timestamp_ms =
                         *(const int64_t *)value_at(flat, STR("timestamp"), row) / 1000};
    const uint64_t *value = value_at(flat, STR("value"), row);
    const int64_t *start_us = value_at(flat, STR("start_timestamp"), row);
    const size_t at = schema_find(flat->schema, STR("histogram"));
    out.has_value = value != NULL;
    out.value = value == NULL ? 0 : *value;
    out.has_start = start_us != NULL;
    out.start_ms = start_us == NULL ? 0 : *start_us / 1000;
    if (at != SIZE_MAX && validity_get(flat->columns[at].validity, row)) {
        const Str blob = vector_flat_str(&flat->columns[at], row);
        out.histogram = (Bytes){(const uint8_t *)blob.ptr, blob.len};
    }
    return out;
}

void workload_collect(Test *t, const Batch *batch, Model *model)
{
    Arena arena = {0};
    if (batch->row_count == 0) {
        return; // the end: there are no columns
    }
    const Batch flat = workload_flatten(t, batch, &arena);
    for (uint32_t row = 0; row < flat.row_count; row++) {
        const size_t before = model->rows.count;
        const SampleRow sample = sample_at(&flat, row);
        const uint64_t bits = sample_of_row(&sample, &model->kinds, &arena);
        double value;
        memcpy(&value, &bits, sizeof(value));
        model_put(model, workload_row_labels(t, &flat, row), sample.timestamp_ms * 1000, value);
        CHECK_EQ(model->rows.count, before + 1);
    }
    arena_deinit(&arena);
    arena_reset(&t->arena);
}
