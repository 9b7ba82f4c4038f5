// SPDX-License-Identifier: Apache-2.0
//
// histogram_*(): of native histograms, and of the `le` buckets of classic ones.
#include "base/num.h"
#include "base/strmap.h"
#include "codec/dtoa.h"
#include "promql/fn_internal.h"

#include <math.h>

static bool put(PromqlSample in, double value, PromqlSample *out)
{
    *out = (PromqlSample){.value = value};
    return in.histogram != NULL;
}

FN_SAMPLE(histogram_count)
{
    (void)call;
    return in.histogram != NULL && put(in, in.histogram->count, out);
}

FN_SAMPLE(histogram_sum)
{
    (void)call;
    return in.histogram != NULL && put(in, in.histogram->sum, out);
}

FN_SAMPLE(histogram_avg)
{
    (void)call;
    return in.histogram != NULL && put(in, in.histogram->sum / in.histogram->count, out);
}

FN_SAMPLE(histogram_stdvar)
{
    (void)call;
    return in.histogram != NULL && put(in, histogram_variance(in.histogram), out);
}

FN_SAMPLE(histogram_stddev)
{
    (void)call;
    return in.histogram != NULL && put(in, sqrt(histogram_variance(in.histogram)), out);
}

typedef struct Bucket { // a series with an `le` label
    double upper;
    const PromqlSeries *series;
} Bucket;

// What becomes one series of the result: the buckets of a classic histogram, a native one, or both
// (never at the same time).
typedef struct Group {
    LabelSet labels;
    Str metric; // for annotations
    Bucket *buckets;
    size_t bucket_count, bucket_cap;
    const PromqlSeries *native;
} Group;

// The histograms among the series of an argument.
typedef struct Histograms {
    const PromqlCall *call;
    PromqlPos pos; // of the argument
    uint32_t steps;
    Group *groups;
    size_t count;
    ClassicBucket *classic; // for the buckets of a step
} Histograms;

static bool has_any(const PromqlSeries *s, uint32_t steps, bool histogram)
{
    for (uint32_t i = 0; i < steps; i++) {
        if (histogram ? fn_histogram_at(s, i) != NULL : fn_has_float(s, i)) {
            return true;
        }
    }
    return false;
}

// The group with these labels, made when there is none.
static Group *find_group(Histograms *hs, StrMap *by_labels, LabelSet labels)
{
    Buf key;
    bool created;
    buf_init(&key, 0);
    labels_encode(&labels, &key);
    const uint64_t i = *strmap_put(by_labels, buf_str(&key), hs->count, &created);
    buf_deinit(&key);
    if (created) {
        hs->groups[hs->count++] = (Group){
            .labels = labels,
            .metric = hs->call->delayed_names ? labels_get(&labels, STR("__name__")) : STR(""),
        };
    }
    return &hs->groups[i];
}

static void add_bucket(const Histograms *hs, Group *group, Bucket bucket)
{
    if (group->bucket_count == group->bucket_cap) {
        const size_t cap = group->bucket_cap * 2 + 16;
        Bucket *grown = arena_new(hs->call->arena, Bucket, cap);
        if (group->bucket_count != 0) {
            memcpy(grown, group->buckets, group->bucket_count * sizeof(*grown));
        }
        group->buckets = grown;
        group->bucket_cap = cap;
    }
    group->buckets[group->bucket_count++] = bucket;
}

static void note_bad_bucket(const Histograms *hs, const PromqlSeries *series, Str le)
{
    const PromqlCall *call = hs->call;
    Buf text;
    buf_init(&text, 0);
    buf_put_str(&text, STR("bucket label \"le\" is missing or has a malformed value of "));
    promql_notes_quote(le, &text);
    buf_put_u8(&text, 0);
    promql_note_for_metric(call->notes, PROMQL_WARNING, hs->pos, (const char *)text.ptr,
                           call->delayed_names ? labels_get(&series->labels, STR("__name__"))
                                               : STR(""));
    buf_deinit(&text);
}

// Sorts the series into groups: classic buckets by their labels without `le`.
static Histograms collect(const PromqlCall *call, const PromqlGrid *grid, const PromqlMatrix *arg,
                          PromqlPos pos)
{
    Histograms hs = {
        .call = call,
        .pos = pos,
        .steps = grid->steps,
        .groups = arena_new(call->arena, Group, 2 * arg->count),
    };
    StrMap by_labels;
    size_t most = 0;
    strmap_init(&by_labels);
    for (size_t i = 0; i < arg->count; i++) {
        const PromqlSeries *s = &arg->series[i];
        const Str le = labels_get(&s->labels, STR("le"));
        Bucket bucket = {.series = s};
        if (has_any(s, grid->steps, true)) {
            find_group(&hs, &by_labels, s->labels)->native = s;
        }
        if (!has_any(s, grid->steps, false)) {
            continue;
        }
        if (!num_parse_f64(le, &bucket.upper)) {
            note_bad_bucket(&hs, s, le);
            continue;
        }
        const LabelSet labels = fn_labels_with(s->labels, STR("le"), STR(""), call->arena);
        Group *group = find_group(&hs, &by_labels, labels);
        add_bucket(&hs, group, bucket);
        most = group->bucket_count > most ? group->bucket_count : most;
    }
    strmap_deinit(&by_labels);
    hs.classic = arena_new(call->arena, ClassicBucket, most);
    return hs;
}

// What a group is at one step; neither when it has both, which is noted.
typedef struct Found {
    const Histogram *native;
    size_t classic_count; // in Histograms.classic
} Found;

static Found find_at(const Histograms *hs, const Group *group, uint32_t step)
{
    Found found = {.native = group->native == NULL ? NULL : fn_histogram_at(group->native, step)};
    for (size_t i = 0; i < group->bucket_count; i++) {
        const Bucket *b = &group->buckets[i];
        if (fn_has_float(b->series, step)) {
            hs->classic[found.classic_count++] =
                (ClassicBucket){.upper = b->upper, .count = b->series->values[step]};
        }
    }
    if (found.native != NULL && found.classic_count > 0) {
        promql_note_for_metric(hs->call->notes, PROMQL_WARNING, hs->pos,
                               "vector contains a mix of classic and native histograms",
                               group->metric);
        found = (Found){0};
    }
    return found;
}

static PromqlSeries new_series(const Histograms *hs, LabelSet labels)
{
    return (PromqlSeries){
        .labels = labels,
        .drop_name = true,
        .values = arena_new(hs->call->arena, double, hs->steps),
        .present = arena_new(hs->call->arena, uint64_t, hs->steps / 64 + 1),
    };
}

static int64_t step_ms(const PromqlGrid *grid, uint32_t step)
{
    return grid->start_ms + (int64_t)step * grid->step_ms;
}

// The quantile of a group at one step; false when it has nothing there.
static bool quantile_at(const Histograms *hs, const Group *group, double q, uint32_t step,
                        int64_t time_ms, double *out)
{
    const Found found = find_at(hs, group, step);
    ClassicRepair repair;
    if (found.native != NULL) {
        *out = histogram_quantile_of(q, found.native, hs->call->notes, group->metric, hs->pos);
        return true;
    }
    if (found.classic_count == 0) {
        return false;
    }
    *out = classic_quantile(q, hs->classic, found.classic_count, &repair);
    if (repair.forced) {
        const PromqlForced forced = {time_ms, repair.min_bucket, repair.max_bucket,
                                     repair.max_diff};
        promql_note_forced(hs->call->notes, hs->pos, group->metric, &forced);
    }
    return true;
}

static void check_quantiles(const PromqlCall *call, const PromqlMatrix *arg, uint32_t steps,
                            PromqlPos pos)
{
    const double *q = arg->series[0].values;
    for (uint32_t i = 0; i < steps; i++) {
        // The same again is noted already.
        if ((isnan(q[i]) || q[i] < 0 || q[i] > 1) &&
            (i == 0 || memcmp(&q[i], &q[i - 1], sizeof(*q)) != 0)) {
            promql_note_got(call->notes, PROMQL_WARNING, pos,
                            "quantile value should be between 0 and 1", q[i]);
        }
    }
}

FN_MATRIX(histogram_quantile)
{
    const double *q = args[0].series[0].values;
    (void)err;
    check_quantiles(call, &args[0], grid->steps, fn_arg_pos(call, 0));
    const Histograms hs = collect(call, grid, &args[1], fn_arg_pos(call, 1));
    PromqlSeries *list = arena_new(call->arena, PromqlSeries, hs.count);
    for (size_t i = 0; i < hs.count; i++) {
        list[i] = new_series(&hs, hs.groups[i].labels);
        for (uint32_t k = 0; k < grid->steps; k++) {
            if (quantile_at(&hs, &hs.groups[i], q[k], k, step_ms(grid, k), &list[i].values[k])) {
                fn_set_present(&list[i], k);
            }
        }
    }
    *out = (PromqlMatrix){.type = PROMQL_VECTOR, .series = list, .count = hs.count};
    return OK;
}

FN_MATRIX(histogram_fraction)
{
    const double *lower = args[0].series[0].values;
    const double *upper = args[1].series[0].values;
    (void)err;
    const Histograms hs = collect(call, grid, &args[2], fn_arg_pos(call, 2));
    PromqlSeries *list = arena_new(call->arena, PromqlSeries, hs.count);
    for (size_t i = 0; i < hs.count; i++) {
        const Group *group = &hs.groups[i];
        list[i] = new_series(&hs, group->labels);
        for (uint32_t k = 0; k < grid->steps; k++) {
            const Found found = find_at(&hs, group, k);
            if (found.native != NULL) {
                list[i].values[k] = histogram_fraction_of(lower[k], upper[k], found.native,
                                                          call->notes, group->metric, hs.pos);
                fn_set_present(&list[i], k);
            } else if (found.classic_count > 0) {
                list[i].values[k] =
                    classic_fraction(lower[k], upper[k], hs.classic, found.classic_count);
                fn_set_present(&list[i], k);
            }
        }
    }
    *out = (PromqlMatrix){.type = PROMQL_VECTOR, .series = list, .count = hs.count};
    return OK;
}

// labels.FormatOpenMetricsFloat of Prometheus: a float that shows it is one.
static Str format_quantile(double q, Arena *arena)
{
    char text[DTOA_BYTES_MAX + 2];
    size_t len = dtoa_f64(q, DTOA_GO_G, text);
    if (isfinite(q) && memchr(text, 'e', len) == NULL && memchr(text, '.', len) == NULL) {
        text[len++] = '.';
        text[len++] = '0';
    }
    if (q == 0) {
        return STR("0.0"); // also minus zero
    }
    return arena_str(arena, (Str){text, len});
}

// One pass over the steps at which argument `arg` is a certain quantile.
typedef struct QuantilePass {
    const Histograms *hs;
    const PromqlGrid *grid;
    const double *q; // by step
    uint32_t first;  // step whose quantile is the one
    Str label, text;
} QuantilePass;

static void run_pass(const QuantilePass *pass, PromqlSeries *list)
{
    const Histograms *hs = pass->hs;
    const double *q = pass->q;
    for (size_t i = 0; i < hs->count; i++) {
        const Group *group = &hs->groups[i];
        const LabelSet labels =
            fn_labels_with(group->labels, pass->label, pass->text, hs->call->arena);
        list[i] = new_series(hs, labels);
        for (uint32_t k = pass->first; k < hs->steps; k++) {
            if (memcmp(&q[k], &q[pass->first], sizeof(*q)) == 0 &&
                quantile_at(hs, group, q[k], k, step_ms(pass->grid, k), &list[i].values[k])) {
                fn_set_present(&list[i], k);
            }
        }
    }
}

// Whether a step before `step` has the same quantile.
static bool is_repeated(const double *q, uint32_t step)
{
    for (uint32_t i = 0; i < step; i++) {
        if (memcmp(&q[i], &q[step], sizeof(*q)) == 0) {
            return true;
        }
    }
    return false;
}

static size_t count_distinct(const double *q, uint32_t steps)
{
    size_t count = 0;
    for (uint32_t i = 0; i < steps; i++) {
        count += !is_repeated(q, i);
    }
    return count;
}

FN_MATRIX(histogram_quantiles)
{
    const size_t arg_count = call->node->u.call.arg_count;
    size_t passes = 0;
    (void)err;
    for (size_t a = 2; a < arg_count; a++) {
        check_quantiles(call, &args[a], grid->steps, fn_arg_pos(call, a));
        passes += count_distinct(args[a].series[0].values, grid->steps);
    }
    const Histograms hs = collect(call, grid, &args[0], fn_arg_pos(call, 0));
    PromqlSeries *list = arena_new(call->arena, PromqlSeries, hs.count * passes);
    *out = (PromqlMatrix){.type = PROMQL_VECTOR, .series = list};
    for (size_t a = 2; a < arg_count; a++) {
        const double *q = args[a].series[0].values;
        for (uint32_t k = 0; k < grid->steps; k++) {
            if (is_repeated(q, k)) {
                continue;
            }
            const QuantilePass pass = {&hs, grid,         q,
                                       k,   args[1].text, format_quantile(q[k], call->arena)};
            run_pass(&pass, list + out->count);
            out->count += hs.count;
        }
    }
    return OK;
}
