// SPDX-License-Identifier: Apache-2.0
#include "tests/promql/compare.h"

#include <float.h>
#include <math.h>

static const double EPSILON = 0.000001;

bool compare_almost_equal(double a, double b)
{
    if (script_is_stale(a) || script_is_stale(b)) {
        return script_is_stale(a) && script_is_stale(b);
    }
    if (a == b || (isnan(a) && isnan(b))) {
        return true;
    }
    const double sum = fabs(a) + fabs(b), difference = fabs(a - b);
    if (a == 0 || b == 0 || sum < DBL_MIN) {
        return difference < EPSILON * DBL_MIN;
    }
    return difference / fmin(sum, DBL_MAX) < EPSILON;
}

// --- histograms ----------------------------------------------------------------------------------

typedef struct SideIter { // over the buckets that are not empty
    const HistogramSide *side;
    uint32_t span, in_span, next;
    int64_t bucket; // index of `next`
    double count;
    int64_t at;
} SideIter;

static bool side_next(SideIter *i)
{
    while (i->span < i->side->span_count) {
        if (i->in_span == 0) {
            i->bucket += i->side->spans[i->span].offset;
        }
        if (i->in_span == i->side->spans[i->span].length) {
            i->span++;
            i->in_span = 0;
            continue;
        }
        i->at = i->bucket++;
        i->in_span++;
        i->count = i->side->counts[i->next++];
        if (i->count != 0) {
            return true;
        }
    }
    return false;
}

static bool same_sides(const HistogramSide *want, const HistogramSide *got)
{
    SideIter a = {.side = want}, b = {.side = got};
    for (;;) {
        const bool more = side_next(&a);
        if (more != side_next(&b)) {
            return false;
        }
        if (!more) {
            return true;
        }
        if (a.at != b.at || !compare_almost_equal(a.count, b.count)) {
            return false;
        }
    }
}

static bool same_histogram(const ScriptValue *value, const Histogram *got)
{
    const Histogram *want = value->histogram;
    bool same = want->schema == got->schema && compare_almost_equal(want->count, got->count) &&
                compare_almost_equal(want->sum, got->sum) &&
                want->zero_threshold == got->zero_threshold &&
                compare_almost_equal(want->zero_count, got->zero_count) &&
                (!value->has_hint || want->hint == got->hint);
    if (want->schema == HISTOGRAM_SCHEMA_CUSTOM) {
        same = same && want->bound_count == got->bound_count;
        for (uint32_t i = 0; same && i < want->bound_count; i++) {
            same = want->bounds[i] == got->bounds[i];
        }
    }
    return same && same_sides(&want->positive, &got->positive) &&
           same_sides(&want->negative, &got->negative);
}

// --- text ----------------------------------------------------------------------------------------

static void put_labels(const LabelSet *labels, Buf *out)
{
    const char *comma = "";
    buf_put_str(out, STR("{"));
    for (size_t i = 0; i < labels->count; i++, comma = ", ") {
        buf_putf(out, "%s" STR_FMT "=\"" STR_FMT "\"", comma, STR_ARG(labels->labels[i].name),
                 STR_ARG(labels->labels[i].value));
    }
    buf_put_str(out, STR("}"));
}

static void put_side(const char *name, const HistogramSide *side, Buf *out)
{
    SideIter i = {.side = side};
    while (side_next(&i)) {
        buf_putf(out, " %s[%" PRId64 "]:%.15g", name, i.at, i.count);
    }
}

static void put_histogram(const Histogram *h, Buf *out)
{
    static const char *const hints[] = {"unknown", "reset", "not_reset", "gauge"};
    buf_putf(out, "{{schema:%" PRId32 " count:%.15g sum:%.15g hint:%s", h->schema, h->count, h->sum,
             hints[h->hint]);
    if (h->zero_count != 0 || h->zero_threshold != 0) {
        buf_putf(out, " z_bucket:%.15g z_bucket_w:%.15g", h->zero_count, h->zero_threshold);
    }
    for (uint32_t i = 0; i < h->bound_count; i++) {
        buf_putf(out, "%s%g", i == 0 ? " custom_values:[" : " ", h->bounds[i]);
    }
    buf_putf(out, "%s", h->bound_count != 0 ? "]" : "");
    put_side("buckets", &h->positive, out);
    put_side("n_buckets", &h->negative, out);
    buf_put_str(out, STR("}}"));
}

static void put_value(double value, const Histogram *histogram, Buf *out)
{
    if (histogram != NULL) {
        put_histogram(histogram, out);
    } else if (script_is_stale(value)) {
        buf_put_str(out, STR("stale"));
    } else {
        buf_putf(out, "%.15g", value);
    }
}

static void put_points(const PromqlResultSeries *series, Buf *out)
{
    for (size_t i = 0; i < series->count && i < 40; i++) {
        buf_put_str(out, STR(" "));
        put_value(series->points[i].value, series->points[i].histogram, out);
        buf_putf(out, "@%" PRId64, series->points[i].time_ms);
    }
}

static void put_wanted(const ScriptSeries *series, Buf *out)
{
    for (size_t i = 0; i < series->count && i < 40; i++) {
        buf_put_str(out, STR(" "));
        if (series->values[i].is_omitted) {
            buf_put_str(out, STR("_"));
        } else {
            put_value(series->values[i].value, series->values[i].histogram, out);
        }
    }
}

static bool differs(const ScriptSeries *want, const PromqlResultSeries *got, Buf *why)
{
    put_labels(&got->labels, why);
    buf_put_str(why, STR("\n  want"));
    put_wanted(want, why);
    buf_put_str(why, STR("\n  got "));
    put_points(got, why);
    return false;
}

// --- series --------------------------------------------------------------------------------------

static bool same_labels(const LabelSet *a, const LabelSet *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; i < a->count && same; i++) {
        same = str_eq(a->labels[i].name, b->labels[i].name) &&
               str_eq(a->labels[i].value, b->labels[i].value);
    }
    return same;
}

static const ScriptSeries *find_wanted(const ScriptEval *eval, const LabelSet *labels)
{
    for (size_t i = 0; i < eval->count; i++) {
        if (same_labels(&eval->series[i].labels, labels)) {
            return &eval->series[i];
        }
    }
    return NULL;
}

static bool same_value(const ScriptValue *want, const PromqlPoint *got)
{
    if ((want->histogram != NULL) != (got->histogram != NULL)) {
        return false;
    }
    return want->histogram != NULL ? same_histogram(want, got->histogram)
                                   : compare_almost_equal(want->value, got->value);
}

static bool compare_points(const ScriptEval *eval, const ScriptSeries *want,
                           const PromqlResultSeries *got, Buf *why)
{
    size_t at = 0;
    for (size_t i = 0; i < want->count; i++) {
        const int64_t time_ms = eval->start_ms + (int64_t)i * eval->step_ms;
        if (time_ms > eval->end_ms) {
            buf_put_str(why, STR("more values than the query has steps: "));
            return differs(want, got, why);
        }
        if (want->values[i].is_omitted) {
            continue;
        }
        if (at == got->count || got->points[at].time_ms != time_ms ||
            !same_value(&want->values[i], &got->points[at])) {
            buf_putf(why, "value at %" PRId64 " ms of ", time_ms);
            return differs(want, got, why);
        }
        at++;
    }
    if (at != got->count) {
        buf_put_str(why, STR("too many points: "));
        return differs(want, got, why);
    }
    return true;
}

static int compare_text(Str a, Str b)
{
    const size_t least = a.len < b.len ? a.len : b.len;
    const int order = least == 0 ? 0 : memcmp(a.ptr, b.ptr, least);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_labels(const LabelSet *a, const LabelSet *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        int order = compare_text(a->labels[i].name, b->labels[i].name);
        order = order != 0 ? order : compare_text(a->labels[i].value, b->labels[i].value);
        if (order != 0) {
            return order;
        }
    }
    return (a->count > b->count) - (a->count < b->count);
}

static bool is_sorted(const PromqlResult *result, Buf *why)
{
    for (size_t i = 1; i < result->count; i++) {
        if (compare_labels(&result->series[i - 1].labels, &result->series[i].labels) > 0) {
            buf_put_str(why, STR("matrix is not sorted: "));
            put_labels(&result->series[i - 1].labels, why);
            buf_put_str(why, STR(" before "));
            put_labels(&result->series[i].labels, why);
            return false;
        }
    }
    return true;
}

// Every wanted series is there, each once, as `found` says for the series of the result.
static bool all_found(const ScriptEval *eval, const PromqlResult *result, Buf *why)
{
    for (size_t i = 0; i < eval->count; i++) {
        size_t found = 0;
        for (size_t j = 0; j < result->count; j++) {
            found += same_labels(&eval->series[i].labels, &result->series[j].labels) ? 1 : 0;
        }
        if (found != 1) {
            buf_putf(why, found == 0 ? "not found: " : "found more than once: ");
            put_labels(&eval->series[i].labels, why);
            put_wanted(&eval->series[i], why);
            for (size_t j = 0; j < result->count && j < 20; j++) {
                buf_put_str(why, STR("\n  got "));
                put_labels(&result->series[j].labels, why);
                put_points(&result->series[j], why);
            }
            return false;
        }
    }
    return true;
}

static bool compare_matrix(const ScriptEval *eval, const PromqlResult *result, Buf *why)
{
    if (script_expects(eval, SCRIPT_ORDERED)) {
        buf_put_str(why, STR("expected an ordered result, got a matrix"));
        return false;
    }
    if (!is_sorted(result, why)) {
        return false;
    }
    for (size_t i = 0; i < result->count; i++) {
        const PromqlResultSeries *got = &result->series[i];
        const ScriptSeries *want = find_wanted(eval, &got->labels);
        if (want == NULL) {
            buf_put_str(why, STR("unexpected series "));
            put_labels(&got->labels, why);
            put_points(got, why);
            return false;
        }
        if (!compare_points(eval, want, got, why)) {
            return false;
        }
    }
    return all_found(eval, result, why);
}

// One series of a vector, whose value is `got->points[point]`.
static bool compare_element(const ScriptEval *eval, const PromqlResultSeries *got, size_t point,
                            Buf *why)
{
    const ScriptSeries *want = find_wanted(eval, &got->labels);
    if (want == NULL) {
        buf_put_str(why, STR("unexpected series "));
        put_labels(&got->labels, why);
        put_points(got, why);
        return false;
    }
    if (want->count == 0 || !same_value(&want->values[0], &got->points[point])) {
        buf_put_str(why, STR("value of "));
        return differs(want, got, why);
    }
    return true;
}

static bool compare_vector(const ScriptEval *eval, const PromqlResult *result, Buf *why)
{
    const bool ordered = script_expects(eval, SCRIPT_ORDERED);
    for (size_t i = 0; i < result->count; i++) {
        if (!compare_element(eval, &result->series[i], 0, why)) {
            return false;
        }
        if (ordered && find_wanted(eval, &result->series[i].labels) != &eval->series[i]) {
            buf_putf(why, "at position %zu is ", i + 1);
            put_labels(&result->series[i].labels, why);
            put_points(&result->series[i], why);
            return false;
        }
    }
    return all_found(eval, result, why);
}

static bool compare_scalar(const ScriptEval *eval, double got, Buf *why)
{
    if (!eval->has_scalar || !compare_almost_equal(eval->scalar, got)) {
        buf_putf(why, "got scalar %.15g", got);
        if (eval->has_scalar) {
            buf_putf(why, ", want %.15g", eval->scalar);
        }
        return false;
    }
    return true;
}

bool compare_result(const ScriptEval *eval, const PromqlResult *result, Buf *why)
{
    const bool has_series = result->type == PROMQL_VECTOR || result->type == PROMQL_MATRIX;
    if (eval->has_scalar && has_series) {
        buf_put_str(why, STR("expected a scalar, got series"));
        return false;
    }
    switch (result->type) {
    case PROMQL_MATRIX:
        return compare_matrix(eval, result, why);
    case PROMQL_VECTOR:
        return compare_vector(eval, result, why);
    case PROMQL_SCALAR:
        return compare_scalar(eval, result->scalar.value, why);
    case PROMQL_STRING:
        if (!str_eq(eval->string, result->text)) {
            buf_putf(why, "want '" STR_FMT "', got '" STR_FMT "'", STR_ARG(eval->string),
                     STR_ARG(result->text));
            return false;
        }
        return true;
    case PROMQL_NONE:
        break;
    }
    buf_put_str(why, STR("a result without a type"));
    return false;
}

// The point of a series at a time; its count when there is none.
static size_t point_at(const PromqlResultSeries *series, int64_t time_ms)
{
    size_t i = 0;
    while (i < series->count && series->points[i].time_ms != time_ms) {
        i++;
    }
    return i;
}

bool compare_middle(const ScriptEval *eval, const PromqlResult *instant, const PromqlResult *range,
                    int64_t time_ms, Buf *why)
{
    size_t found = 0;
    if (!is_sorted(range, why)) {
        return false;
    }
    for (size_t i = 0; i < range->count; i++) {
        const PromqlResultSeries *series = &range->series[i];
        const size_t point = point_at(series, time_ms);
        if (point == series->count) {
            continue;
        }
        if (instant->type == PROMQL_SCALAR) {
            return compare_scalar(eval, series->points[point].value, why);
        }
        if (!compare_element(eval, series, point, why)) {
            return false;
        }
        found++;
    }
    if (instant->type == PROMQL_SCALAR || found != eval->count) {
        buf_putf(why, "%zu series at the step, want %zu", found, eval->count);
        return false;
    }
    return true;
}

// --- annotations and failures --------------------------------------------------------------------

static bool text_matches(const ScriptExpect *expect, Str text)
{
    if (expect->is_any) {
        return true;
    }
    if (!expect->is_regex) {
        return str_eq(expect->text, text);
    }
    // Regular expressions of ours are anchored, those of scripts are not.
    Regex *regex = NULL;
    Buf pattern = {0};
    Err err;
    buf_putf(&pattern, "(?s:.*)(?:" STR_FMT ")(?s:.*)", STR_ARG(expect->text));
    const bool matches =
        regex_new(buf_str(&pattern), &regex, &err) == OK && regex_match(regex, text);
    regex_free(regex);
    buf_deinit(&pattern);
    return matches;
}

static bool compare_notes_of(const ScriptEval *eval, ScriptExpectKind kind, const Str *notes,
                             size_t count, Buf *why)
{
    bool is_strict = false;
    for (size_t e = 0; e < eval->expect_count; e++) {
        const ScriptExpect *expect = &eval->expects[e];
        bool found = false;
        if (expect->kind != kind) {
            continue;
        }
        for (size_t i = 0; i < count && !found; i++) {
            found = text_matches(expect, notes[i]);
        }
        if (!found) {
            buf_putf(why, "no annotation like '" STR_FMT "'", STR_ARG(expect->text));
            return false;
        }
        is_strict = is_strict || !expect->is_loose;
    }
    for (size_t i = 0; i < count && is_strict; i++) {
        bool wanted = false;
        for (size_t e = 0; e < eval->expect_count && !wanted; e++) {
            wanted = eval->expects[e].kind == kind && text_matches(&eval->expects[e], notes[i]);
        }
        if (!wanted) {
            buf_put_str(why, STR("unexpected annotation"));
            return false;
        }
    }
    return true;
}

bool compare_notes(const ScriptEval *eval, const PromqlResult *result, Buf *why)
{
    bool ok = compare_notes_of(eval, SCRIPT_WARN, result->warnings, result->warning_count, why) &&
              compare_notes_of(eval, SCRIPT_INFO, result->infos, result->info_count, why);
    if (ok && script_expects(eval, SCRIPT_NO_WARN) && result->warning_count != 0) {
        buf_put_str(why, STR("expected no warning"));
        ok = false;
    }
    if (ok && script_expects(eval, SCRIPT_NO_INFO) && result->info_count != 0) {
        buf_put_str(why, STR("expected no info"));
        ok = false;
    }
    if (!ok) {
        for (size_t i = 0; i < result->warning_count; i++) {
            buf_putf(why, "\n  got " STR_FMT, STR_ARG(result->warnings[i]));
        }
        for (size_t i = 0; i < result->info_count; i++) {
            buf_putf(why, "\n  got " STR_FMT, STR_ARG(result->infos[i]));
        }
    }
    return ok;
}

bool compare_failure(const ScriptEval *eval, Str message, Buf *why)
{
    for (size_t i = 0; i < eval->expect_count; i++) {
        const ScriptExpect *expect = &eval->expects[i];
        if (expect->kind == SCRIPT_FAIL && !text_matches(expect, message)) {
            buf_putf(why, "failed with other words\n  want " STR_FMT "\n  got  " STR_FMT,
                     STR_ARG(expect->text), STR_ARG(message));
            return false;
        }
    }
    return true;
}
