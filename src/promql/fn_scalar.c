// SPDX-License-Identifier: Apache-2.0
#include "promql/fn_internal.h"

#include <math.h>

// One series without labels, with room for a value per step; none is present.
static PromqlSeries *one_series(const PromqlCall *call, const PromqlGrid *grid, PromqlType type,
                                PromqlMatrix *out)
{
    PromqlSeries *series = arena_new(call->arena, PromqlSeries, 1);
    series->values = arena_new(call->arena, double, grid->steps);
    series->present = arena_new(call->arena, uint64_t, grid->steps / 64 + 1);
    *out = (PromqlMatrix){.type = type, .series = series, .count = 1};
    return series;
}

static void set(PromqlSeries *series, uint32_t step, double value)
{
    series->values[step] = value;
    fn_set_present(series, step);
}

FN_MATRIX(pi)
{
    PromqlSeries *series = one_series(call, grid, PROMQL_SCALAR, out);
    (void)args;
    (void)err;
    for (uint32_t i = 0; i < grid->steps; i++) {
        set(series, i, 3.14159265358979323846264338327950288);
    }
    return OK;
}

FN_MATRIX(vector)
{
    PromqlSeries *series = one_series(call, grid, PROMQL_VECTOR, out);
    (void)err;
    for (uint32_t i = 0; i < grid->steps; i++) {
        set(series, i, args[0].series[0].values[i]);
    }
    return OK;
}

FN_MATRIX(max_of)
{
    PromqlSeries *series = one_series(call, grid, PROMQL_SCALAR, out);
    (void)err;
    for (uint32_t i = 0; i < grid->steps; i++) {
        set(series, i, fn_max(args[0].series[0].values[i], args[1].series[0].values[i]));
    }
    return OK;
}

FN_MATRIX(min_of)
{
    PromqlSeries *series = one_series(call, grid, PROMQL_SCALAR, out);
    (void)err;
    for (uint32_t i = 0; i < grid->steps; i++) {
        set(series, i, fn_min(args[0].series[0].values[i], args[1].series[0].values[i]));
    }
    return OK;
}

// The only float of a step; NaN when there are more, or none.
FN_MATRIX(scalar)
{
    PromqlSeries *series = one_series(call, grid, PROMQL_SCALAR, out);
    uint8_t *found = arena_new(call->arena, uint8_t, grid->steps);
    (void)err;
    for (size_t s = 0; s < args[0].count; s++) {
        const PromqlSeries *in = &args[0].series[s];
        for (uint32_t i = 0; i < grid->steps; i++) {
            if (fn_has_float(in, i)) {
                series->values[i] = in->values[i];
                found[i] = found[i] == 0 ? 1 : 2;
            }
        }
    }
    for (uint32_t i = 0; i < grid->steps; i++) {
        set(series, i, found[i] == 1 ? series->values[i] : (double)NAN);
    }
    return OK;
}
