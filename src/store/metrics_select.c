// SPDX-License-Identifier: Apache-2.0
#include "store/metrics_select_internal.h"

#include "store/metrics_vectors_internal.h"

// --- layout --------------------------------------------------------------------------------------

static uint32_t column_of(MetricsDirectory *d, Str name)
{
    return str_eq(name, STR("metric_name")) ? METRICS_COLUMN_NAME : metrics_directory_find(d, name);
}

static Status field_kind(const Field *field, MetricsFieldKind *kind, Err *err)
{
    static const struct {
        Str name;
        ColumnType type;
        MetricsFieldKind kind;
        bool or_label; // labels had columns of this name before it was reserved
    } known[] = {
        {{"timestamp", 9}, COLUMN_TIMESTAMP, METRICS_FIELD_TIMESTAMP, false},
        {{"value", 5}, COLUMN_DOUBLE, METRICS_FIELD_VALUE, false},
        {{"date", 4}, COLUMN_DATE, METRICS_FIELD_DATE, false},
        {{"labels", 6}, COLUMN_MAP, METRICS_FIELD_LABELS, false},
        {{"histogram", 9}, COLUMN_BINARY, METRICS_FIELD_HISTOGRAM, false},
        {{"start_timestamp", 15}, COLUMN_TIMESTAMP, METRICS_FIELD_START, true},
    };
    ColumnType want = COLUMN_STRING;
    *kind = METRICS_FIELD_LABEL;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        const bool is_label = known[i].or_label && field->type == COLUMN_STRING;
        if (str_eq(known[i].name, field->name) && !is_label) {
            *kind = known[i].kind;
            want = known[i].type;
        }
    }
    if (field->type != want) {
        return err_set(err, ERR_INVALID, "column '" STR_FMT "' is %s, not %s", STR_ARG(field->name),
                       column_type_sql(field->type), column_type_sql(want));
    }
    return OK;
}

Status metrics_layout_init(MetricsLayout *layout, MetricsDirectory *directory, const Schema *schema,
                           Err *err)
{
    Status st = OK;
    *layout = (MetricsLayout){.field_count = schema->count};
    layout->kinds = mem_new(MetricsFieldKind, schema->count);
    layout->columns = mem_new(uint32_t, schema->count);
    for (size_t i = 0; i < schema->count; i++) {
        TRY_OUT(field_kind(&schema->fields[i], &layout->kinds[i], err));
        layout->columns[i] = METRICS_COLUMN_NONE;
        if (layout->kinds[i] == METRICS_FIELD_LABEL) {
            layout->columns[i] = column_of(directory, schema->fields[i].name);
            if (layout->columns[i] != METRICS_COLUMN_NONE) {
                layout->is_field[layout->columns[i]] = true;
            }
        }
    }
out:
    if (st != OK) {
        metrics_layout_deinit(layout);
    }
    return st;
}

void metrics_layout_deinit(MetricsLayout *layout)
{
    mem_free(layout->kinds);
    mem_free(layout->columns);
    layout->kinds = NULL;
    layout->columns = NULL;
}

void metrics_bounds_init(MetricsBounds *bounds, const MetricsWindow *w, bool with_shapes)
{
    // The lock is the shard's also when the window is sealed: its registry may still grow.
    mutex_lock(&w->shard->mu);
    const MetricsRegistry *r = w->registry;
    const bool sealed = atomic_load_explicit(&w->sealed, memory_order_relaxed); // we hold the lock
    *bounds = (MetricsBounds){.series_count = sealed ? w->series_limit : r->series_count,
                              .shape_count = r->shape_count};
    if (with_shapes) {
        bounds->shape_series = mem_new(uint32_t, r->shape_count);
        for (uint32_t i = 0; i < r->shape_count; i++) {
            bounds->shape_series[i] = metrics_registry_shape(r, i)->count;
        }
    }
    mutex_unlock(&w->shard->mu);
}

void metrics_bounds_deinit(MetricsBounds *bounds)
{
    mem_free(bounds->shape_series);
    bounds->shape_series = NULL;
}

size_t metrics_select_map(const MetricsRegistry *r, const MetricsLayout *layout, uint32_t series,
                          Str *keys, Str *values)
{
    const MetricsSeriesEntry *s = METRICS_AT(const MetricsSeriesEntry, &r->series, series);
    const MetricsShape *shape = metrics_registry_shape(r, s->shape);
    uint32_t stride = 0;
    const uint32_t *codes = metrics_shape_codes(shape, s->ordinal, &stride);
    size_t count = 0;
    for (uint32_t k = 0; k < shape->label_count; k++) {
        const MetricsShapeLabel *label = &shape->labels[k];
        if (label->column == METRICS_COLUMN_NONE || !layout->is_field[label->column]) {
            keys[count] = label->name;
            values[count++] = metrics_dict_str(metrics_registry_dict(r, label->column),
                                               codes[(size_t)k * stride]);
        }
    }
    return count;
}

// --- tests ---------------------------------------------------------------------------------------

// A test on one column, answered for every code of its dictionary.
typedef struct CodeTest {
    uint32_t column;
    bool if_absent;  // the answer for series without the label
    bool if_present; // the answer for all codes, when `bits` is NULL and `only` is none
    uint32_t only;   // this code alone, or METRICS_CODE_NONE
    uint64_t *bits;  // by code
    uint32_t bit_count;
} CodeTest;

static bool in_range(const ScanTest *test, Str s)
{
    const Str min = {(const char *)test->min.bytes.ptr, test->min.bytes.len};
    const Str max = {(const char *)test->max.bytes.ptr, test->max.bytes.len};
    return (!test->has_min || metrics_str_compare(s, min) >= 0) &&
           (!test->has_max || metrics_str_compare(s, max) <= 0);
}

static void code_test_range(CodeTest *out, const ScanTest *test, const MetricsDict *dict,
                            uint32_t code_count)
{
    out->bits = mem_new(uint64_t, code_count / 64 + 1);
    out->bit_count = code_count;
    for (uint32_t code = 0; code < code_count; code++) {
        validity_set(out->bits, code, in_range(test, metrics_dict_str(dict, code)));
    }
}

static void code_test_in(CodeTest *out, const ScanTest *test, const uint32_t *codes,
                         uint32_t code_count)
{
    uint32_t found = 0;
    for (size_t i = 0; i < test->value_count; i++) {
        if (codes[i] < code_count) {
            out->only = codes[i];
            found++;
        }
    }
    if (found <= 1) {
        return;
    }
    out->only = METRICS_CODE_NONE;
    out->bits = mem_new(uint64_t, code_count / 64 + 1);
    out->bit_count = code_count;
    for (size_t i = 0; i < test->value_count; i++) {
        if (codes[i] < code_count) {
            validity_set(out->bits, codes[i], true);
        }
    }
}

// Looks up the values of an IN test; returns how many codes the dictionary has. The hash tables
// move, so this takes the lock also for a sealed window.
static uint32_t find_codes(const MetricsWindow *w, uint32_t column, const ScanTest *test,
                           uint32_t *codes)
{
    mutex_lock(&w->shard->mu);
    const MetricsDict *dict = w->registry->dicts[column];
    const uint32_t count = dict == NULL ? 0 : dict->count;
    for (size_t i = 0; dict != NULL && codes != NULL && i < test->value_count; i++) {
        const Bytes b = test->values[i].bytes;
        codes[i] = metrics_dict_find(dict, (Str){(const char *)b.ptr, b.len}, w->registry->key);
    }
    mutex_unlock(&w->shard->mu);
    return count;
}

static CodeTest code_test(const MetricsWindow *w, uint32_t column, const ScanTest *test)
{
    CodeTest out = {.column = column, .if_absent = test->or_null, .only = METRICS_CODE_NONE};
    if (column == METRICS_COLUMN_NONE) {
        out.if_absent = out.if_absent || test->kind == SCAN_TEST_IS_NULL;
        return out;
    }
    switch (test->kind) {
    case SCAN_TEST_IN: {
        uint32_t *codes = mem_new(uint32_t, test->value_count);
        const uint32_t code_count = find_codes(w, column, test, codes);
        code_test_in(&out, test, codes, code_count);
        mem_free(codes);
        break;
    }
    case SCAN_TEST_RANGE: {
        const uint32_t code_count = find_codes(w, column, test, NULL);
        if (code_count != 0) {
            code_test_range(&out, test, w->registry->dicts[column], code_count);
        }
        break;
    }
    case SCAN_TEST_IS_NULL:
        out.if_absent = true;
        break;
    case SCAN_TEST_NOT_NULL:
        out.if_present = true;
        break;
    }
    return out;
}

static bool code_passes(const CodeTest *test, uint32_t code)
{
    if (test->bits != NULL) {
        return code < test->bit_count && validity_get(test->bits, code);
    }
    return test->if_present || code == test->only;
}

// --- selecting -----------------------------------------------------------------------------------

// The tests that are left for a shape once it is known which labels it has; false: no series
// passes.
static bool shape_tests(const MetricsShape *shape, const CodeTest *tests, size_t test_count,
                        const CodeTest **left, uint32_t *labels, size_t *left_count)
{
    *left_count = 0;
    for (size_t i = 0; i < test_count; i++) {
        uint32_t k = 0;
        while (k < shape->label_count && (tests[i].column == METRICS_COLUMN_NONE ||
                                          shape->labels[k].column != tests[i].column)) {
            k++;
        }
        if (k == shape->label_count) {
            if (!tests[i].if_absent) {
                return false;
            }
        } else if (!tests[i].if_present) {
            if (tests[i].bits == NULL && tests[i].only == METRICS_CODE_NONE) {
                return false;
            }
            left[*left_count] = &tests[i];
            labels[(*left_count)++] = k;
        }
    }
    return true;
}

static void select_shape(const MetricsShape *shape, uint32_t count, const CodeTest *const *tests,
                         const uint32_t *labels, size_t test_count, MetricsSelection *out)
{
    for (uint32_t ordinal = 0; ordinal < count;) {
        const MetricsShapePlace p = metrics_shape_place(ordinal);
        const uint32_t n = p.len < count - ordinal ? p.len : count - ordinal;
        const uint32_t *chunk = shape->chunks[p.chunk];
        const uint32_t *series = chunk + (size_t)shape->label_count * p.len;
        for (uint32_t i = 0; i < n; i++) {
            bool pass = series[i] < out->limit;
            for (size_t k = 0; k < test_count && pass; k++) {
                pass = code_passes(tests[k], chunk[(size_t)labels[k] * p.len + i]);
            }
            out->series[out->count] = series[i]; // there is room for one more than pass
            out->count += pass;
        }
        ordinal += n;
    }
}

static void select_series(const MetricsRegistry *r, const MetricsBounds *bounds,
                          const CodeTest *tests, size_t test_count, MetricsSelection *out)
{
    size_t cap = 0;
    const CodeTest **left = mem_new(const CodeTest *, test_count);
    uint32_t *labels = mem_new(uint32_t, test_count);
    for (uint32_t i = 0; i < bounds->shape_count; i++) {
        const MetricsShape *shape = metrics_registry_shape(r, i);
        size_t left_count = 0;
        if (shape_tests(shape, tests, test_count, left, labels, &left_count)) {
            out->series =
                mem_grow(out->series, &cap, (size_t)out->count + bounds->shape_series[i] + 1,
                         sizeof(*out->series));
            select_shape(shape, bounds->shape_series[i], left, labels, left_count, out);
        }
    }
    if (out->series == NULL) {
        out->series = mem_new(uint32_t, 1); // NULL would mean all
    }
    mem_free((void *)left);
    mem_free(labels);
}

void metrics_select(const MetricsWindow *w, const MetricsLayout *layout, const ScanTest *tests,
                    size_t test_count, MetricsSelection *out)
{
    CodeTest *code_tests = mem_new(CodeTest, test_count);
    size_t count = 0;
    for (size_t i = 0; i < test_count; i++) {
        if (layout->kinds[tests[i].column] == METRICS_FIELD_LABEL) {
            code_tests[count++] = code_test(w, layout->columns[tests[i].column], &tests[i]);
        }
    }
    MetricsBounds bounds;
    metrics_bounds_init(&bounds, w, count != 0);
    *out = (MetricsSelection){.limit = bounds.series_count, .count = bounds.series_count};
    if (count != 0) {
        out->count = 0;
        select_series(w->registry, &bounds, code_tests, count, out);
    }
    metrics_bounds_deinit(&bounds);
    for (size_t i = 0; i < count; i++) {
        mem_free(code_tests[i].bits);
    }
    mem_free(code_tests);
}

void metrics_selection_deinit(MetricsSelection *selection)
{
    mem_free(selection->series);
    *selection = (MetricsSelection){0};
}

// --- times ---------------------------------------------------------------------------------------

void metrics_select_times(const MetricsLayout *layout, const ScanTest *tests, size_t test_count,
                          int64_t *min_us, int64_t *max_us)
{
    *min_us = INT64_MIN;
    *max_us = INT64_MAX;
    for (size_t i = 0; i < test_count; i++) {
        const ScanTest *test = &tests[i];
        const MetricsFieldKind kind = layout->kinds[test->column];
        if (kind != METRICS_FIELD_TIMESTAMP && kind != METRICS_FIELD_DATE) {
            continue;
        }
        int64_t low = test->kind == SCAN_TEST_RANGE && test->has_min ? test->min.i64 : INT64_MIN;
        int64_t high = test->kind == SCAN_TEST_RANGE && test->has_max ? test->max.i64 : INT64_MAX;
        if (test->kind == SCAN_TEST_IN) {
            low = INT64_MAX;
            high = INT64_MIN;
            for (size_t k = 0; k < test->value_count; k++) {
                low = test->values[k].i64 < low ? test->values[k].i64 : low;
                high = test->values[k].i64 > high ? test->values[k].i64 : high;
            }
        }
        if (kind == METRICS_FIELD_DATE) {
            metrics_day_range_us(&low, &high);
        }
        *min_us = low > *min_us ? low : *min_us;
        *max_us = high < *max_us ? high : *max_us;
        if (test->kind == SCAN_TEST_IS_NULL) { // a row always has a time
            *max_us = INT64_MIN;
        }
    }
}
