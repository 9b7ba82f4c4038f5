// SPDX-License-Identifier: Apache-2.0
//
// How a window moves: deriv(), predict_linear(), double_exponential_smoothing(), changes(),
// resets().
#include "promql/fn_internal.h"
#include "promql/kahan.h"

#include <math.h>

typedef struct Line {
    double slope, at; // per second; value at the given time
} Line;

// Least squares, compensated; x in seconds from `zero_ms`.
static Line fit_line(const PromqlWindow *w, int64_t zero_ms)
{
    double x = 0;
    double y = 0;
    double xy = 0;
    double xx = 0;
    double rest[4] = {0};
    const double n = (double)w->count;
    bool is_constant = true;
    for (uint32_t i = 0; i < w->count; i++) {
        const double v = w->values[i];
        const double t = (double)(w->times[i] - zero_ms) / 1e3;
        is_constant &= i == 0 || v == w->values[0];
        kahan_add(t, &x, &rest[0]);
        kahan_add(v, &y, &rest[1]);
        kahan_add(t * v, &xy, &rest[2]);
        kahan_add(t * t, &xx, &rest[3]);
    }
    if (is_constant) {
        return isinf(w->values[0]) ? (Line){(double)NAN, (double)NAN} : (Line){0, w->values[0]};
    }
    x += rest[0];
    y += rest[1];
    xy += rest[2];
    xx += rest[3];
    const double slope = (xy - x * y / n) / (xx - x * x / n);
    return (Line){slope, y / n - slope * x / n};
}

// Two floats at least; histograms among them are ignored.
static bool has_two_floats(const PromqlCall *call, const PromqlWindow *w)
{
    if (w->count > 0) {
        fn_note_ignored(call, w);
    }
    return w->count >= 2;
}

FN_RANGE(deriv)
{
    if (!has_two_floats(call, window)) {
        return false;
    }
    *out = (PromqlSample){.value = fit_line(window, window->times[0]).slope};
    return true;
}

FN_RANGE(predict_linear)
{
    if (!has_two_floats(call, window)) {
        return false;
    }
    const Line line = fit_line(window, call->time_ms);
    *out = (PromqlSample){.value = line.slope * call->scalars[1] + line.at};
    return true;
}

static bool is_bad_factor(const PromqlCall *call, const char *name, double factor)
{
    if (factor <= 0 || factor >= 1) {
        (void)err_set(call->err, ERR_INVALID, "invalid %s factor. Expected: 0 < %s < 1, got: %f",
                      name, name[0] == 's' ? "sf" : "tf", factor);
        return true;
    }
    return false;
}

FN_RANGE(double_exponential_smoothing)
{
    const double smoothing = call->scalars[1];
    const double trending = call->scalars[2];
    const double *v = window->values;
    if (window->count + window->histogram_count == 0 ||
        is_bad_factor(call, "smoothing", smoothing) || is_bad_factor(call, "trend", trending) ||
        !has_two_floats(call, window)) {
        return false;
    }
    double before = 0;
    double level = v[0];
    double trend = v[1] - v[0];
    for (uint32_t i = 1; i < window->count; i++) {
        if (i > 1) {
            trend = trending * (level - before) + (1 - trending) * trend;
        }
        before = level;
        level = smoothing * v[i] + (1 - smoothing) * (level + trend);
    }
    *out = (PromqlSample){.value = level};
    return true;
}

// Where the comparison begins. With an anchored selector that is the one sample at or before the
// window's start that is the newest, of either kind; false when nothing comes after it.
static bool find_anchor(const PromqlWindow *w, uint32_t *first, uint32_t *first_histogram)
{
    uint32_t floats = 0; // at or before the start
    uint32_t histograms = 0;
    *first = 0;
    *first_histogram = 0;
    if (w->count == 0 && w->histogram_count == 0) {
        return false;
    }
    if (!w->anchored) {
        return true;
    }
    while (floats < w->count && w->times[floats] <= w->start_ms) {
        floats++;
    }
    while (histograms < w->histogram_count && w->histogram_times[histograms] <= w->start_ms) {
        histograms++;
    }
    if (floats == w->count && histograms == w->histogram_count) {
        return false;
    }
    const bool is_float = histograms == 0 || (floats > 0 && w->times[floats - 1] >=
                                                                w->histogram_times[histograms - 1]);
    *first = floats > 0 && is_float ? floats - 1 : floats;
    *first_histogram = histograms > 0 && !is_float ? histograms - 1 : histograms;
    return true;
}

// A walk over both kinds of samples in the order of time.
typedef struct Mixed {
    const PromqlWindow *window;
    uint32_t next, next_histogram;
    int64_t time_ms, start_ms;
    PromqlSample sample;
} Mixed;

static bool mixed_next(Mixed *m)
{
    const PromqlWindow *w = m->window;
    const bool has_float = m->next < w->count;
    const bool has_histogram = m->next_histogram < w->histogram_count;
    if (!has_float && !has_histogram) {
        return false;
    }
    if (!has_histogram ||
        (has_float && w->times[m->next] <= w->histogram_times[m->next_histogram])) {
        m->time_ms = w->times[m->next];
        m->start_ms = w->start_times != NULL ? w->start_times[m->next] : 0;
        m->sample = (PromqlSample){.value = w->values[m->next++]};
    } else {
        m->time_ms = w->histogram_times[m->next_histogram];
        m->start_ms =
            w->histogram_start_times != NULL ? w->histogram_start_times[m->next_histogram] : 0;
        m->sample = (PromqlSample){.histogram = w->histograms[m->next_histogram++]};
    }
    return true;
}

static bool is_changed(const Mixed *before, const Mixed *now)
{
    const PromqlSample a = before->sample;
    const PromqlSample b = now->sample;
    if (a.histogram == NULL && b.histogram == NULL) {
        return b.value != a.value && !(isnan(b.value) && isnan(a.value));
    }
    return a.histogram == NULL || b.histogram == NULL || !histogram_equal(b.histogram, a.histogram);
}

static bool is_reset(const Mixed *before, const Mixed *now)
{
    const PromqlSample a = before->sample;
    const PromqlSample b = now->sample;
    if ((a.histogram == NULL) != (b.histogram == NULL)) {
        return true;
    }
    const int64_t times[] = {before->time_ms, now->time_ms};
    const int64_t starts[] = {before->start_ms, now->start_ms};
    if (fn_is_start_reset(starts, times, 1)) {
        return true;
    }
    return a.histogram == NULL ? b.value < a.value
                               : histogram_detect_reset(b.histogram, a.histogram);
}

static bool count_pairs(const PromqlWindow *w, bool (*differ)(const Mixed *, const Mixed *),
                        PromqlSample *out)
{
    Mixed now = {.window = w};
    uint64_t count = 0;
    if (!find_anchor(w, &now.next, &now.next_histogram)) {
        return false;
    }
    if (mixed_next(&now)) {
        for (Mixed before = now; mixed_next(&now); before = now) {
            count += differ(&before, &now);
        }
    }
    *out = (PromqlSample){.value = (double)count};
    return true;
}

FN_RANGE(changes)
{
    const double *v = window->values;
    uint64_t count = 0;
    (void)call;
    if (window->histogram_count > 0 || window->anchored || window->count == 0) {
        return count_pairs(window, is_changed, out);
    }
    for (uint32_t i = 1; i < window->count; i++) {
        count += v[i] != v[i - 1] && !(isnan(v[i]) && isnan(v[i - 1]));
    }
    *out = (PromqlSample){.value = (double)count};
    return true;
}

FN_RANGE(resets)
{
    const double *v = window->values;
    uint64_t count = 0;
    (void)call;
    if (window->histogram_count > 0 || window->anchored || window->count == 0 ||
        window->start_times != NULL) {
        return count_pairs(window, is_reset, out);
    }
    for (uint32_t i = 1; i < window->count; i++) {
        count += v[i] < v[i - 1];
    }
    *out = (PromqlSample){.value = (double)count};
    return true;
}
