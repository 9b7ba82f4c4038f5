// SPDX-License-Identifier: Apache-2.0
//
// rate(), increase() and delta() of native histograms (histogramRate() and extendedHistogramRate()
// of Prometheus).
#include "promql/fn_internal.h"
#include "promql/histogram_internal.h"

static void note_mixed_schemas(const PromqlCall *call)
{
    promql_note_metric(call->notes, PROMQL_WARNING, fn_arg_pos(call, 0),
                       "vector contains a mix of histograms with exponential and custom buckets "
                       "schemas for metric name",
                       call->metric);
}

bool fn_note_problems(const PromqlCall *call, int problems, const char *operation)
{
    if ((problems & HISTOGRAM_INCOMPATIBLE) != 0) {
        note_mixed_schemas(call);
        return false;
    }
    if ((problems & HISTOGRAM_BOUNDS_RECONCILED) != 0) {
        promql_note(call->notes, PROMQL_INFO, fn_arg_pos(call, 0),
                    "mismatched custom buckets were reconciled during %s", operation);
    }
    return true;
}

static void note_not_counter(const PromqlCall *call)
{
    promql_note_metric(call->notes, PROMQL_WARNING, fn_arg_pos(call, 0),
                       "this native histogram metric is not a counter:", call->metric);
}

static void note_not_gauge(const PromqlCall *call)
{
    promql_note_metric(call->notes, PROMQL_WARNING, fn_arg_pos(call, 0),
                       "this native histogram metric is not a gauge:", call->metric);
}

static bool is_gauge(const Histogram *h)
{
    return h->hint == HISTOGRAM_HINT_GAUGE;
}

static bool is_reset(const PromqlWindow *w, uint32_t now, const Histogram *before)
{
    return (w->histogram_start_times != NULL &&
            fn_is_start_reset(w->histogram_start_times, w->histogram_times, now)) ||
           histogram_detect_reset(w->histograms[now], before);
}

// Looks at all samples between the first and the last: the coarsest schema, whether one is a gauge,
// and whether they can be added up at all.
static bool check_middle(const PromqlWindow *w, bool is_custom, int32_t *schema, bool *has_gauge)
{
    for (uint32_t i = 1; i + 1 < w->histogram_count; i++) {
        const Histogram *h = w->histograms[i];
        *has_gauge |= is_gauge(h);
        *schema = h->schema < *schema ? h->schema : *schema;
        if (histogram_is_custom(h) != is_custom) {
            return false;
        }
    }
    return true;
}

// Adds to *sum all values from before a reset; NULL when that cannot be.
static const Histogram *add_resets(const PromqlCall *call, const PromqlWindow *w,
                                   const Histogram *first, const Histogram *sum)
{
    const Histogram *before = first;
    bool overlaps = false;
    for (uint32_t i = 1; i < w->histogram_count; i++) {
        overlaps |= w->histogram_start_times != NULL &&
                    fn_is_start_overlap(w->histogram_start_times, w->histogram_times, i);
        if (is_reset(w, i, before)) {
            int problems = 0;
            sum = histogram_add(sum, before, call->arena, &problems);
            if (!fn_note_problems(call, problems, "addition")) {
                return NULL;
            }
        }
        before = w->histograms[i];
    }
    if (overlaps) {
        promql_note_start_overlap(call->notes, fn_arg_pos(call, 0), call->metric);
    }
    return sum;
}

// The increase between the first and the last sample; NULL when there is none. Contradicting hints
// do not matter, resets are looked for here.
static const Histogram *increase_of(const PromqlCall *call, const PromqlWindow *w, bool is_counter)
{
    const Histogram *first = w->histograms[0];
    const Histogram *last = w->histograms[w->histogram_count - 1];
    const Histogram nothing = {
        .schema = w->histograms[1]->schema,
        .bounds = w->histograms[1]->bounds,
        .bound_count = w->histograms[1]->bound_count,
    };
    int problems = 0;
    bool has_gauge = is_gauge(first) || is_gauge(last);
    const bool all_gauges = is_gauge(first) && is_gauge(last);
    if (is_counter && is_reset(w, 1, first)) {
        first = &nothing; // what the first sample looks like does not matter then
    }
    const bool is_custom = histogram_is_custom(first);
    const bool ends_match = histogram_is_custom(last) == is_custom;
    int32_t schema = last->schema < first->schema ? last->schema : first->schema;
    if (!ends_match || (is_counter && !check_middle(w, is_custom, &schema, &has_gauge))) {
        note_mixed_schemas(call);
        if (!ends_match && is_counter && has_gauge) {
            note_not_counter(call);
        }
        return NULL;
    }
    if (is_counter && has_gauge) {
        note_not_counter(call);
    }
    const Histogram *sum = histogram_reduce(last, schema, call->arena);
    sum = histogram_sub(sum, first, call->arena, &problems);
    if (!fn_note_problems(call, problems, "subtraction")) {
        return NULL;
    }
    if (is_counter) {
        sum = add_resets(call, w, first, sum);
        if (sum == NULL) {
            return NULL;
        }
    } else if (!all_gauges) {
        note_not_gauge(call);
    }
    sum = histogram_with_hint(sum, HISTOGRAM_HINT_GAUGE, call->arena);
    return histogram_compact(sum, 0, call->arena);
}

bool fn_rate_of_histograms(const PromqlCall *call, const PromqlWindow *w, FnRate rate,
                           PromqlSample *out)
{
    const uint32_t count = w->histogram_count;
    const Histogram *increase = NULL;
    if (count > 1) {
        increase = increase_of(call, w, rate.is_counter);
        if (increase == NULL) {
            return false;
        }
    }
    FnSampled s = {
        .first_ms = w->histogram_times[0],
        .last_ms = w->histogram_times[count - 1],
        .count = count,
        .first_start_ms = w->histogram_start_times != NULL ? w->histogram_start_times[0] : 0,
        .first = w->histograms[0]->count,
        .increase = increase != NULL ? increase->count : 0,
    };
    s.from_start = fn_rate_begins_inside(w, rate, &s);
    if (s.from_start && increase == NULL) {
        increase = w->histograms[0];
    } else if (s.from_start) {
        int problems = 0;
        increase = histogram_add(increase, w->histograms[0], call->arena, &problems);
        if (!fn_note_problems(call, problems, "addition")) {
            return false;
        }
    } else if (increase == NULL) {
        return false;
    }
    *out = (PromqlSample){.histogram =
                              histogram_mul(increase, fn_rate_factor(w, rate, &s), call->arena)};
    return true;
}

// The histogram at `at_ms` between samples `i` and `i + 1`; a counter that was reset starts from
// zero. NULL when they do not go together.
static const Histogram *interpolate(const PromqlCall *call, const PromqlWindow *w, uint32_t i,
                                    int64_t at_ms, bool is_counter)
{
    const Histogram *a = w->histograms[i];
    const Histogram *b = w->histograms[i + 1];
    const int64_t from = w->histogram_times[i];
    const int64_t to = w->histogram_times[i + 1];
    const double part = (double)(at_ms - from) / (double)(to - from);
    int problems = 0;
    if (at_ms == from || at_ms == to) {
        return at_ms == from ? a : b;
    }
    if (is_counter && histogram_detect_reset(b, a)) {
        return histogram_mul(b, part, call->arena);
    }
    const Histogram *h = histogram_sub(b, a, call->arena, &problems);
    if (!fn_note_problems(call, problems, "subtraction")) {
        return NULL;
    }
    h = histogram_mul(h, part, call->arena);
    problems = 0;
    h = histogram_add(h, a, call->arena, &problems);
    return fn_note_problems(call, problems, "addition") ? h : NULL;
}

typedef struct Extent { // samples first..last and the values at the ends of the window
    uint32_t first, last;
    const Histogram *left, *right;
} Extent;

// Adds the values from before resets between the ends to *sum. The resets that an interpolation
// spans are in it already.
static const Histogram *add_resets_between(const PromqlCall *call, const PromqlWindow *w,
                                           const Extent *e, const Histogram *sum)
{
    uint32_t begin = e->first + 1;
    const Histogram *before = e->left;
    const Histogram *lost = NULL;
    int problems = 0;
    if (w->smoothed && w->histogram_times[e->first] < w->start_ms &&
        histogram_detect_reset(w->histograms[begin], w->histograms[e->first])) {
        before = w->histograms[begin];
        begin++;
    }
    if (begin > e->last) {
        return sum;
    }
    for (uint32_t i = begin; i <= e->last; i++) { // the last one is what `right` is made of
        const Histogram *now = i < e->last ? w->histograms[i] : e->right;
        if (histogram_detect_reset(now, before)) {
            lost = lost == NULL ? before : histogram_add(lost, before, call->arena, &problems);
            if (!fn_note_problems(call, problems, "addition")) {
                return NULL;
            }
        }
        before = now;
    }
    if (lost == NULL) {
        return sum;
    }
    problems = 0;
    sum = histogram_add(sum, lost, call->arena, &problems);
    return fn_note_problems(call, problems, "addition") ? sum : NULL;
}

static bool check_extent(const PromqlCall *call, const PromqlWindow *w, const Extent *e,
                         bool is_counter)
{
    for (uint32_t i = e->first; i <= e->last; i++) {
        const Histogram *h = w->histograms[i];
        if (histogram_is_custom(h) != histogram_is_custom(w->histograms[e->first])) {
            note_mixed_schemas(call);
            return false;
        }
        if (is_counter && is_gauge(h)) {
            note_not_counter(call);
        }
    }
    return true;
}

bool fn_rate_of_histograms_extended(const PromqlCall *call, const PromqlWindow *w, FnRate rate,
                                    PromqlSample *out)
{
    Extent e;
    int problems = 0;
    if (!fn_find_extent(w->histogram_times, w->histogram_count, w, &e.first, &e.last) ||
        !check_extent(call, w, &e, rate.is_counter)) {
        return false;
    }
    e.left = w->histograms[e.first];
    e.right = w->histograms[e.last];
    if (w->smoothed && w->histogram_times[e.first] < w->start_ms) {
        e.left = interpolate(call, w, e.first, w->start_ms, rate.is_counter);
    }
    if (e.left != NULL && w->smoothed && e.last > 0 && w->histogram_times[e.last] > w->end_ms) {
        e.right = interpolate(call, w, e.last - 1, w->end_ms, rate.is_counter);
    }
    if (e.left == NULL || e.right == NULL) {
        return false;
    }
    if (!rate.is_counter && (!is_gauge(e.left) || !is_gauge(e.right))) {
        note_not_gauge(call);
    }
    const Histogram *sum = histogram_sub(e.right, e.left, call->arena, &problems);
    if (!fn_note_problems(call, problems, "subtraction")) {
        return false;
    }
    if (rate.is_counter) {
        sum = add_resets_between(call, w, &e, sum);
        if (sum == NULL) {
            return false;
        }
    }
    if (rate.is_rate) {
        sum = histogram_div(sum, fn_range_seconds(w), call->arena);
    }
    sum = histogram_with_hint(sum, HISTOGRAM_HINT_GAUGE, call->arena);
    *out = (PromqlSample){.histogram = histogram_compact(sum, 0, call->arena)};
    return true;
}
