// SPDX-License-Identifier: Apache-2.0
#include "promql/fn_internal.h"
#include "promql/logs.h"

#include <math.h>

static const double PI = 3.14159265358979323846264338327950288;

static double to_deg(double v)
{
    return v * 180 / PI;
}

static double to_rad(double v)
{
    return v * PI / 180;
}

static double sgn(double v)
{
    return v < 0 ? -1 : v > 0 ? 1 : v;
}

#define MATH(name, of)                                                                             \
    FN_SAMPLE(name)                                                                                \
    {                                                                                              \
        (void)call;                                                                                \
        out->value = of(in.value);                                                                 \
        return in.histogram == NULL;                                                               \
    }                                                                                              \
    void fn_##name##_floats(const double *in, uint32_t count, double *out)                         \
    {                                                                                              \
        for (uint32_t i = 0; i < count; i++) {                                                     \
            out[i] = of(in[i]);                                                                    \
        }                                                                                          \
    }

MATH(abs, fabs)
MATH(acos, acos)
MATH(acosh, acosh)
MATH(asin, asin)
MATH(asinh, asinh)
MATH(atan, atan)
MATH(atanh, atanh)
MATH(ceil, ceil)
MATH(cos, cos)
MATH(cosh, cosh)
MATH(deg, to_deg)
MATH(exp, exp)
MATH(floor, floor)
MATH(ln, logs_ln)
MATH(log10, logs_log10)
MATH(log2, logs_log2)
MATH(rad, to_rad)
MATH(sgn, sgn)
MATH(sin, sin)
MATH(sinh, sinh)
MATH(sqrt, sqrt)
MATH(tan, tan)
MATH(tanh, tanh)

double fn_max(double a, double b)
{
    if (a == HUGE_VAL || b == HUGE_VAL) {
        return HUGE_VAL;
    }
    if (isnan(a) || isnan(b)) {
        return (double)NAN;
    }
    if (a == 0 && b == 0) {
        return signbit(a) ? b : a;
    }
    return a > b ? a : b;
}

double fn_min(double a, double b)
{
    if (a == -HUGE_VAL || b == -HUGE_VAL) {
        return -HUGE_VAL;
    }
    if (isnan(a) || isnan(b)) {
        return (double)NAN;
    }
    if (a == 0 && b == 0) {
        return signbit(a) ? a : b;
    }
    return a < b ? a : b;
}

static bool clamp(PromqlSample in, double min, double max, PromqlSample *out)
{
    out->value = fn_max(min, fn_min(max, in.value));
    return in.histogram == NULL && !(max < min);
}

FN_SAMPLE(clamp)
{
    return clamp(in, call->scalars[1], call->scalars[2], out);
}

FN_SAMPLE(clamp_max)
{
    return clamp(in, -HUGE_VAL, call->scalars[1], out);
}

FN_SAMPLE(clamp_min)
{
    return clamp(in, call->scalars[1], HUGE_VAL, out);
}

// To the nearest multiple, ties upwards. The inverse seems to lose less.
FN_SAMPLE(round)
{
    const double inverse = 1.0 / (call->node->u.call.arg_count > 1 ? call->scalars[1] : 1);
    out->value = floor(in.value * inverse + 0.5) / inverse;
    return in.histogram == NULL;
}
