// SPDX-License-Identifier: Apache-2.0
//
// rate(), increase(), delta(), irate(), idelta(): how much a value changed over a window. The first
// three extrapolate from the samples to the ends of the window (extrapolatedRate() of Prometheus),
// unless the selector is anchored or smoothed: then there are samples beyond the ends, or the value
// there is interpolated.
#include "promql/fn_internal.h"

#include <math.h>

bool fn_note_mixed(const PromqlCall *call, const PromqlWindow *w)
{
    if (w->count == 0 || w->histogram_count == 0) {
        return false;
    }
    promql_note_metric(call->notes, PROMQL_WARNING, fn_arg_pos(call, 0),
                       "encountered a mix of histograms and floats for metric name", call->metric);
    return true;
}

double fn_range_seconds(const PromqlWindow *w)
{
    // As Go's Duration.Seconds() adds it up.
    const int64_t ms = w->end_ms - w->start_ms;
    return (double)(ms / 1000) + (double)(ms % 1000 * 1000000) / 1e9;
}

// Whether sample `now` starts where or after the one before it ended. One that starts exactly there
// is a delta, unless that one's own start is not known.
bool fn_is_start_reset(const int64_t *starts, const int64_t *times, uint32_t now)
{
    const int64_t start = starts[now];
    const int64_t before = times[now - 1];
    const int64_t start_before = starts[now - 1];
    if (start == 0 || start >= times[now] || start < before) {
        return false;
    }
    return start > before || (start_before != 0 && start_before < before);
}

bool fn_is_start_overlap(const int64_t *starts, const int64_t *times, uint32_t now)
{
    return starts[now] != 0 && starts[now] < times[now - 1] && starts[now] != starts[now - 1];
}

bool fn_rate_begins_inside(const PromqlWindow *w, FnRate rate, const FnSampled *s)
{
    return rate.is_counter && s->first_start_ms != 0 && s->first_start_ms > w->start_ms &&
           s->first_start_ms < s->first_ms;
}

double fn_rate_factor(const PromqlWindow *w, FnRate rate, const FnSampled *s)
{
    double to_start = (double)(s->first_ms - w->start_ms) / 1000;
    double to_end = (double)(w->end_ms - s->last_ms) / 1000;
    double sampled = (double)(s->last_ms - s->first_ms) / 1000;
    const double average = s->count > 1 ? sampled / (double)(s->count - 1) : 0;
    const double threshold = average * 1.1;
    if (s->from_start) {
        to_start = 0;
        sampled = (double)(s->last_ms - s->first_start_ms) / 1000;
    } else {
        to_start = to_start >= threshold ? average / 2 : to_start;
        if (rate.is_counter && s->increase > 0 && s->first >= 0) {
            const double to_zero = sampled * (s->first / s->increase);
            to_start = to_zero < to_start ? to_zero : to_start;
        }
    }
    to_end = to_end >= threshold ? average / 2 : to_end;
    double factor = sampled != 0 ? (sampled + to_start + to_end) / sampled : 1;
    if (rate.is_rate) {
        factor /= fn_range_seconds(w);
    }
    return factor;
}

// Adds what was lost at resets, in order. Resets are rare, so four steps are looked at together.
static double add_resets(const double *v, uint32_t count, double increase)
{
    uint32_t i = 1;
    for (; i + 4 <= count; i += 4) {
        if ((v[i] < v[i - 1]) | (v[i + 1] < v[i]) | (v[i + 2] < v[i + 1]) | (v[i + 3] < v[i + 2])) {
            for (uint32_t k = i; k < i + 4; k++) {
                increase = v[k] < v[k - 1] ? increase + v[k - 1] : increase;
            }
        }
    }
    for (; i < count; i++) {
        increase = v[i] < v[i - 1] ? increase + v[i - 1] : increase;
    }
    return increase;
}

static double add_resets_with_starts(const PromqlCall *call, const PromqlWindow *w, double increase)
{
    bool overlaps = false;
    for (uint32_t i = 1; i < w->count; i++) {
        overlaps |= fn_is_start_overlap(w->start_times, w->times, i);
        if (w->values[i] < w->values[i - 1] || fn_is_start_reset(w->start_times, w->times, i)) {
            increase += w->values[i - 1];
        }
    }
    if (overlaps) {
        promql_note_start_overlap(call->notes, fn_arg_pos(call, 0), call->metric);
    }
    return increase;
}

static bool rate_of_floats(const PromqlCall *call, const PromqlWindow *w, FnRate rate,
                           PromqlSample *out)
{
    const uint32_t last = w->count - 1;
    const int64_t *starts = rate.is_counter ? w->start_times : NULL;
    double increase = w->values[last] - w->values[0];
    if (starts != NULL) {
        increase = add_resets_with_starts(call, w, increase);
    } else if (rate.is_counter) {
        increase = add_resets(w->values, w->count, increase);
    }
    FnSampled s = {
        .first_ms = w->times[0],
        .last_ms = w->times[last],
        .count = w->count,
        .first_start_ms = starts != NULL ? starts[0] : 0,
        .first = w->values[0],
        .increase = increase,
    };
    s.from_start = fn_rate_begins_inside(w, rate, &s);
    if (s.from_start) {
        increase += w->values[0];
    } else if (w->count < 2) {
        return false;
    }
    *out = (PromqlSample){.value = increase * fn_rate_factor(w, rate, &s)};
    return true;
}

// The value at `at_ms` on the line through samples `i` and `i + 1`; a counter that was reset starts
// from zero.
static double interpolate(const PromqlWindow *w, uint32_t i, int64_t at_ms, bool is_counter)
{
    const double to = w->values[i + 1];
    const double from = is_counter && to < w->values[i] ? 0 : w->values[i];
    return from +
           (to - from) * (double)(at_ms - w->times[i]) / (double)(w->times[i + 1] - w->times[i]);
}

// The first of times[0..count) that is after `at_ms`, or at it when `or_at`; else `count`.
static uint32_t find_after(const int64_t *times, uint32_t count, int64_t at_ms, bool or_at)
{
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (or_at ? times[middle] >= at_ms : times[middle] > at_ms) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

bool fn_find_extent(const int64_t *times, uint32_t count, const PromqlWindow *w, uint32_t *first,
                    uint32_t *last)
{
    const uint32_t after = find_after(times, count - 1, w->start_ms, false);
    *first = after > 0 ? after - 1 : 0;
    *last = w->smoothed ? find_after(times, count - 1, w->end_ms, true) : count - 1;
    return times[*last] > w->start_ms && !(w->smoothed && times[*first] > w->end_ms);
}

// With samples beyond the ends (extendedRate() of Prometheus).
static bool rate_of_floats_extended(const PromqlWindow *w, FnRate rate, PromqlSample *out)
{
    uint32_t first;
    uint32_t last;
    if (!fn_find_extent(w->times, w->count, w, &first, &last)) {
        return false;
    }
    const double left = w->smoothed && w->times[first] < w->start_ms
                            ? interpolate(w, first, w->start_ms, rate.is_counter)
                            : w->values[first];
    const double right = w->smoothed && last > 0 && w->times[last] > w->end_ms
                             ? interpolate(w, last - 1, w->end_ms, rate.is_counter)
                             : w->values[last];
    double increase = right - left;
    if (rate.is_counter) {
        // Resets at the ends are in the interpolation already.
        const uint32_t begin = w->times[first] <= w->start_ms ? first + 1 : first;
        const uint32_t end = w->times[last] >= w->end_ms ? last : last + 1;
        double lost = 0;
        double before = left;
        for (uint32_t i = begin; i < end; i++) {
            lost += w->values[i] < before ? before : 0;
            before = w->values[i];
        }
        increase += right < before ? lost + before : lost;
    }
    *out = (PromqlSample){.value = rate.is_rate ? increase / fn_range_seconds(w) : increase};
    return true;
}

static bool change(const PromqlCall *call, const PromqlWindow *w, FnRate rate, PromqlSample *out)
{
    if (fn_note_mixed(call, w)) {
        return false;
    }
    if (w->histogram_count > 0) {
        return w->anchored || w->smoothed ? fn_rate_of_histograms_extended(call, w, rate, out)
                                          : fn_rate_of_histograms(call, w, rate, out);
    }
    if (w->count == 0) {
        return false;
    }
    return w->anchored || w->smoothed ? rate_of_floats_extended(w, rate, out)
                                      : rate_of_floats(call, w, rate, out);
}

FN_RANGE(delta)
{
    return change(call, window, (FnRate){.is_counter = false}, out);
}

FN_RANGE(increase)
{
    return change(call, window, (FnRate){.is_counter = true}, out);
}

FN_RANGE(rate)
{
    return change(call, window, (FnRate){.is_counter = true, .is_rate = true}, out);
}

// The last two samples of a window, of either kind.
typedef struct Recent {
    int64_t times[2], starts[2];
    PromqlSample samples[2];
    uint32_t count;
} Recent;

static void put_recent(Recent *r, uint32_t at, int64_t time, int64_t start, PromqlSample sample)
{
    r->times[at] = time;
    r->starts[at] = start;
    r->samples[at] = sample;
}

static void move_recent(Recent *r, uint32_t from, uint32_t to)
{
    put_recent(r, to, r->times[from], r->starts[from], r->samples[from]);
}

static void add_recent(Recent *r, int64_t time, int64_t start, PromqlSample sample)
{
    if (r->count < 2) {
        const bool is_first = r->count == 1 && time < r->times[0];
        if (is_first) {
            move_recent(r, 0, 1);
        }
        put_recent(r, is_first ? 0 : r->count, time, start, sample);
        r->count++;
    } else if (time > r->times[1]) {
        move_recent(r, 1, 0);
        put_recent(r, 1, time, start, sample);
    } else if (time >= r->times[0]) {
        put_recent(r, 0, time, start, sample);
    }
}

static Recent find_recent(const PromqlWindow *w)
{
    Recent r = {.count = 0};
    for (uint32_t i = w->count > 2 ? w->count - 2 : 0; i < w->count; i++) {
        add_recent(&r, w->times[i], w->start_times != NULL ? w->start_times[i] : 0,
                   (PromqlSample){.value = w->values[i]});
    }
    for (uint32_t i = w->histogram_count > 2 ? w->histogram_count - 2 : 0; i < w->histogram_count;
         i++) {
        add_recent(&r, w->histogram_times[i],
                   w->histogram_start_times != NULL ? w->histogram_start_times[i] : 0,
                   (PromqlSample){.histogram = w->histograms[i]});
    }
    return r;
}

static bool instant_histogram(const PromqlCall *call, const Recent *r, bool is_rate,
                              PromqlSample *out)
{
    const Histogram *before = r->samples[0].histogram;
    const Histogram *now = r->samples[1].histogram;
    const bool gauge_before = before->hint == HISTOGRAM_HINT_GAUGE;
    const bool gauge_now = now->hint == HISTOGRAM_HINT_GAUGE;
    const PromqlPos pos = fn_arg_pos(call, 0);
    if (is_rate && (gauge_before || gauge_now)) {
        promql_note_metric(call->notes, PROMQL_WARNING, pos,
                           "this native histogram metric is not a counter:", call->metric);
    }
    if (!is_rate && !(gauge_before && gauge_now)) {
        promql_note_metric(call->notes, PROMQL_WARNING, pos,
                           "this native histogram metric is not a gauge:", call->metric);
    }
    if (!is_rate ||
        (!fn_is_start_reset(r->starts, r->times, 1) && !histogram_detect_reset(now, before))) {
        int problems = 0;
        now = histogram_sub(now, before, call->arena, &problems);
        if (!fn_note_problems(call, problems, "subtraction")) {
            return false;
        }
    }
    now = histogram_with_hint(now, HISTOGRAM_HINT_GAUGE, call->arena);
    now = histogram_compact(now, 0, call->arena);
    if (is_rate) {
        now = histogram_div(now, (double)(r->times[1] - r->times[0]) / 1000, call->arena);
    }
    *out = (PromqlSample){.histogram = now};
    return true;
}

static bool instant(const PromqlCall *call, const PromqlWindow *w, bool is_rate, PromqlSample *out)
{
    if (w->count + w->histogram_count < 2) {
        return false;
    }
    const Recent r = find_recent(w);
    if (r.times[0] == r.times[1]) {
        return false;
    }
    if ((r.samples[0].histogram == NULL) != (r.samples[1].histogram == NULL)) {
        return !fn_note_mixed(call, w);
    }
    if (r.samples[0].histogram != NULL) {
        return instant_histogram(call, &r, is_rate, out);
    }
    double v = r.samples[1].value; // after a reset it counts from zero
    if (!is_rate || !(v < r.samples[0].value || fn_is_start_reset(r.starts, r.times, 1))) {
        v -= r.samples[0].value;
    }
    *out = (PromqlSample){.value = is_rate ? v / ((double)(r.times[1] - r.times[0]) / 1000) : v};
    return true;
}

FN_RANGE(irate)
{
    return instant(call, window, true, out);
}

FN_RANGE(idelta)
{
    return instant(call, window, false, out);
}
