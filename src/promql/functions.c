// SPDX-License-Identifier: Apache-2.0
//
// The table of functions: names and types as parser/functions.go of Prometheus has them.
#include "promql/functions.h"

#include "promql/fn_internal.h"

#include <stdlib.h>

#define ONE(name_, kind_, flags_, type_)                                                           \
    .name = #name_, .args = {type_}, .arg_count = 1, .result = PROMQL_VECTOR, .kind = (kind_),     \
    .flags = (flags_)
#define RANGE(name_, flags_)                                                                       \
    {                                                                                              \
        ONE(name_, PROMQL_FN_RANGE, flags_, PROMQL_MATRIX), .over_range = fn_##name_               \
    }
#define SAMPLE(name_, flags_)                                                                      \
    {                                                                                              \
        ONE(name_, PROMQL_FN_SAMPLE, flags_, PROMQL_VECTOR), .over_sample = fn_##name_             \
    }
#define MATH(name_)                                                                                \
    {                                                                                              \
        ONE(name_, PROMQL_FN_SAMPLE, 0, PROMQL_VECTOR), .over_sample = fn_##name_,                 \
                                                        .over_floats = fn_##name_##_floats         \
    }
#define DATE(name_)                                                                                \
    {                                                                                              \
        ONE(name_, PROMQL_FN_SAMPLE, PROMQL_FN_AT_UNSAFE, PROMQL_VECTOR),                          \
            .variadic = 1, .over_sample = fn_##name_                                               \
    }
#define SCALAR(name_, flags_)                                                                      \
    {                                                                                              \
        .name = #name_, .result = PROMQL_SCALAR, .kind = PROMQL_FN_ENGINE, .flags = (flags_)       \
    }

// Sorted by name.
static const PromqlFunction functions[] = {
    MATH(abs),
    {.name = "absent",
     .args = {PROMQL_VECTOR},
     .arg_count = 1,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_ENGINE},
    {.name = "absent_over_time",
     .args = {PROMQL_MATRIX},
     .arg_count = 1,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_ENGINE},
    MATH(acos),
    MATH(acosh),
    MATH(asin),
    MATH(asinh),
    MATH(atan),
    MATH(atanh),
    RANGE(avg_over_time, 0),
    MATH(ceil),
    RANGE(changes, PROMQL_FN_ANCHORED),
    {.name = "clamp",
     .args = {PROMQL_VECTOR, PROMQL_SCALAR, PROMQL_SCALAR},
     .arg_count = 3,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_SAMPLE,
     .over_sample = fn_clamp},
    {.name = "clamp_max",
     .args = {PROMQL_VECTOR, PROMQL_SCALAR},
     .arg_count = 2,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_SAMPLE,
     .over_sample = fn_clamp_max},
    {.name = "clamp_min",
     .args = {PROMQL_VECTOR, PROMQL_SCALAR},
     .arg_count = 2,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_SAMPLE,
     .over_sample = fn_clamp_min},
    MATH(cos),
    MATH(cosh),
    RANGE(count_over_time, 0),
    DATE(day_of_month),
    DATE(day_of_week),
    DATE(day_of_year),
    DATE(days_in_month),
    MATH(deg),
    RANGE(delta, PROMQL_FN_ANCHORED | PROMQL_FN_SMOOTHED),
    RANGE(deriv, 0),
    {.name = "double_exponential_smoothing",
     .args = {PROMQL_MATRIX, PROMQL_SCALAR, PROMQL_SCALAR},
     .arg_count = 3,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_RANGE,
     .flags = PROMQL_FN_EXPERIMENTAL,
     .over_range = fn_double_exponential_smoothing},
    SCALAR(end, PROMQL_FN_EXPERIMENTAL | PROMQL_FN_AT_UNSAFE),
    MATH(exp),
    RANGE(first_over_time, PROMQL_FN_KEEPS_NAME),
    MATH(floor),
    SAMPLE(histogram_avg, PROMQL_FN_KEEPS_TYPE),
    SAMPLE(histogram_count, PROMQL_FN_KEEPS_TYPE),
    {.name = "histogram_fraction",
     .args = {PROMQL_SCALAR, PROMQL_SCALAR, PROMQL_VECTOR},
     .arg_count = 3,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_MATRIX,
     .over_matrix = fn_histogram_fraction},
    {.name = "histogram_quantile",
     .args = {PROMQL_SCALAR, PROMQL_VECTOR},
     .arg_count = 2,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_MATRIX,
     .over_matrix = fn_histogram_quantile},
    {.name = "histogram_quantiles",
     .args = {PROMQL_VECTOR, PROMQL_STRING, PROMQL_SCALAR, PROMQL_SCALAR},
     .arg_count = 4,
     .variadic = 9,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_MATRIX,
     .flags = PROMQL_FN_EXPERIMENTAL,
     .over_matrix = fn_histogram_quantiles},
    SAMPLE(histogram_stddev, PROMQL_FN_KEEPS_TYPE),
    SAMPLE(histogram_stdvar, PROMQL_FN_KEEPS_TYPE),
    SAMPLE(histogram_sum, PROMQL_FN_KEEPS_TYPE),
    DATE(hour),
    RANGE(idelta, 0),
    RANGE(increase,
          PROMQL_FN_ANCHORED | PROMQL_FN_SMOOTHED | PROMQL_FN_START_TIMES | PROMQL_FN_COUNTER),
    {.name = "info",
     .args = {PROMQL_VECTOR, PROMQL_VECTOR},
     .arg_count = 2,
     .variadic = 1,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_ENGINE,
     .flags = PROMQL_FN_EXPERIMENTAL},
    RANGE(irate, PROMQL_FN_START_TIMES),
    {.name = "label_join",
     .args = {PROMQL_VECTOR, PROMQL_STRING, PROMQL_STRING, PROMQL_STRING},
     .arg_count = 4,
     .variadic = -1,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_LABELS,
     .flags = PROMQL_FN_KEEPS_NAME,
     .labels_open = fn_label_join_open,
     .over_labels = fn_label_join,
     .labels_close = fn_labels_close},
    {.name = "label_replace",
     .args = {PROMQL_VECTOR, PROMQL_STRING, PROMQL_STRING, PROMQL_STRING, PROMQL_STRING},
     .arg_count = 5,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_LABELS,
     .flags = PROMQL_FN_KEEPS_NAME,
     .labels_open = fn_label_replace_open,
     .over_labels = fn_label_replace,
     .labels_close = fn_labels_close},
    RANGE(last_over_time, PROMQL_FN_KEEPS_NAME),
    MATH(ln),
    MATH(log10),
    MATH(log2),
    RANGE(mad_over_time, PROMQL_FN_EXPERIMENTAL),
    {.name = "max_of",
     .args = {PROMQL_SCALAR, PROMQL_SCALAR},
     .arg_count = 2,
     .result = PROMQL_SCALAR,
     .kind = PROMQL_FN_MATRIX,
     .flags = PROMQL_FN_EXPERIMENTAL,
     .over_matrix = fn_max_of},
    RANGE(max_over_time, 0),
    {.name = "min_of",
     .args = {PROMQL_SCALAR, PROMQL_SCALAR},
     .arg_count = 2,
     .result = PROMQL_SCALAR,
     .kind = PROMQL_FN_MATRIX,
     .flags = PROMQL_FN_EXPERIMENTAL,
     .over_matrix = fn_min_of},
    RANGE(min_over_time, 0),
    DATE(minute),
    DATE(month),
    {.name = "pi", .result = PROMQL_SCALAR, .kind = PROMQL_FN_MATRIX, .over_matrix = fn_pi},
    {.name = "predict_linear",
     .args = {PROMQL_MATRIX, PROMQL_SCALAR},
     .arg_count = 2,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_RANGE,
     .flags = PROMQL_FN_AT_UNSAFE,
     .over_range = fn_predict_linear},
    RANGE(present_over_time, 0),
    {.name = "quantile_over_time",
     .args = {PROMQL_SCALAR, PROMQL_MATRIX},
     .arg_count = 2,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_RANGE,
     .over_range = fn_quantile_over_time},
    MATH(rad),
    SCALAR(range, PROMQL_FN_EXPERIMENTAL | PROMQL_FN_AT_UNSAFE),
    RANGE(rate,
          PROMQL_FN_ANCHORED | PROMQL_FN_SMOOTHED | PROMQL_FN_START_TIMES | PROMQL_FN_COUNTER),
    RANGE(resets, PROMQL_FN_ANCHORED | PROMQL_FN_START_TIMES),
    {.name = "round",
     .args = {PROMQL_VECTOR, PROMQL_SCALAR},
     .arg_count = 2,
     .variadic = 1,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_SAMPLE,
     .over_sample = fn_round},
    {.name = "scalar",
     .args = {PROMQL_VECTOR},
     .arg_count = 1,
     .result = PROMQL_SCALAR,
     .kind = PROMQL_FN_MATRIX,
     .over_matrix = fn_scalar},
    MATH(sgn),
    MATH(sin),
    MATH(sinh),
    {.name = "sort",
     .args = {PROMQL_VECTOR},
     .arg_count = 1,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_MATRIX,
     .flags = PROMQL_FN_KEEPS_NAME | PROMQL_FN_SORTS,
     .over_matrix = fn_sort},
    {.name = "sort_by_label",
     .args = {PROMQL_VECTOR, PROMQL_STRING},
     .arg_count = 2,
     .variadic = -1,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_MATRIX,
     .flags = PROMQL_FN_EXPERIMENTAL | PROMQL_FN_KEEPS_NAME | PROMQL_FN_SORTS,
     .over_matrix = fn_sort_by_label},
    {.name = "sort_by_label_desc",
     .args = {PROMQL_VECTOR, PROMQL_STRING},
     .arg_count = 2,
     .variadic = -1,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_MATRIX,
     .flags = PROMQL_FN_EXPERIMENTAL | PROMQL_FN_KEEPS_NAME | PROMQL_FN_SORTS,
     .over_matrix = fn_sort_by_label_desc},
    {.name = "sort_desc",
     .args = {PROMQL_VECTOR},
     .arg_count = 1,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_MATRIX,
     .flags = PROMQL_FN_KEEPS_NAME | PROMQL_FN_SORTS,
     .over_matrix = fn_sort_desc},
    MATH(sqrt),
    SCALAR(start, PROMQL_FN_EXPERIMENTAL | PROMQL_FN_AT_UNSAFE),
    {.name = "start_timestamp",
     .args = {PROMQL_VECTOR},
     .arg_count = 1,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_ENGINE,
     .flags = PROMQL_FN_EXPERIMENTAL},
    RANGE(stddev_over_time, 0),
    RANGE(stdvar_over_time, 0),
    SCALAR(step, PROMQL_FN_EXPERIMENTAL | PROMQL_FN_AT_UNSAFE),
    RANGE(sum_over_time, 0),
    MATH(tan),
    MATH(tanh),
    SCALAR(time, PROMQL_FN_AT_UNSAFE),
    {.name = "timestamp",
     .args = {PROMQL_VECTOR},
     .arg_count = 1,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_ENGINE,
     .flags = PROMQL_FN_AT_UNSAFE},
    RANGE(ts_of_first_over_time, PROMQL_FN_EXPERIMENTAL),
    RANGE(ts_of_last_over_time, PROMQL_FN_EXPERIMENTAL),
    RANGE(ts_of_max_over_time, PROMQL_FN_EXPERIMENTAL),
    RANGE(ts_of_min_over_time, PROMQL_FN_EXPERIMENTAL),
    {.name = "vector",
     .args = {PROMQL_SCALAR},
     .arg_count = 1,
     .result = PROMQL_VECTOR,
     .kind = PROMQL_FN_MATRIX,
     .over_matrix = fn_vector},
    DATE(year),
};

static int compare_name(const void *key, const void *entry)
{
    const Str *name = key;
    const PromqlFunction *function = entry;
    const size_t len = strlen(function->name);
    const int order = memcmp(name->ptr, function->name, name->len < len ? name->len : len);
    return order != 0 ? order : (name->len > len) - (name->len < len);
}

const PromqlFunction *promql_function(Str name)
{
    if (name.len == 0) {
        return NULL;
    }
    return bsearch(&name, functions, ARRAY_LEN(functions), sizeof(functions[0]), compare_name);
}

const PromqlFunction *promql_function_at(size_t i)
{
    return i < ARRAY_LEN(functions) ? &functions[i] : NULL;
}
