// SPDX-License-Identifier: Apache-2.0
//
// The algorithms of FreeBSD's e_log.c and e_exp.c (Sun Microsystems, 1993), which Go's math package
// follows: reduction to a narrow interval, then a minimax polynomial.
#include "promql/logs.h"

#include <math.h>

static const double LN2_HI = 6.93147180369123816490e-01; // 3fe62e42 fee00000
static const double LN2_LO = 1.90821492927058770002e-10; // 3dea39ef 35793c76

double logs_ln(double v)
{
    static const double c[] = {
        6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
        2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
        1.479819860511658591e-01,
    };
    if (isnan(v) || v == HUGE_VAL) {
        return v;
    }
    if (v <= 0) {
        return v == 0 ? -HUGE_VAL : (double)NAN;
    }
    int exponent = 0;
    double fraction = frexp(v, &exponent);
    if (fraction < 0.70710678118654752440084436210484903928) {
        fraction *= 2;
        exponent--;
    }
    const double f = fraction - 1;
    const double s = f / (2 + f);
    const double s2 = s * s;
    const double s4 = s2 * s2;
    const double odd = s2 * (c[0] + s4 * (c[2] + s4 * (c[4] + s4 * c[6])));
    const double even = s4 * (c[1] + s4 * (c[3] + s4 * c[5]));
    const double half = 0.5 * f * f;
    const double k = exponent;
    return k * LN2_HI - ((half - (s * (half + (odd + even)) + k * LN2_LO)) - f);
}

double logs_log2(double v)
{
    int exponent = 0;
    const double fraction = frexp(v, &exponent);
    if (fraction == 0.5) {
        return exponent - 1;
    }
    if (isinf(v)) {
        return logs_ln(v);
    }
    return logs_ln(fraction) * 1.44269504088896340735992468100189213742664595415 + exponent;
}

double logs_log10(double v)
{
    return logs_ln(v) * 0.434294481903251827651128918916605082294397005803666;
}

double logs_exp2(double v)
{
    static const double c[] = {
        1.66666666666666657415e-01,  -2.77777777770155933842e-03, 6.61375632143793436117e-05,
        -1.65339022054652515390e-06, 4.13813679705723846039e-08,
    };
    if (isnan(v) || v == HUGE_VAL) {
        return v;
    }
    if (v > 1.0239999999999999e+03) {
        return HUGE_VAL;
    }
    if (v < -1.0740e+03) {
        return 0;
    }
    const int k = (int)(v > 0 ? v + 0.5 : v - 0.5);
    const double t = v - k;
    const double hi = t * LN2_HI;
    const double lo = -t * LN2_LO;
    const double r = hi - lo;
    const double rr = r * r;
    const double q = r - rr * (c[0] + rr * (c[1] + rr * (c[2] + rr * (c[3] + rr * c[4]))));
    return ldexp(1 - ((lo - (r * q) / (2 - q)) - hi), k);
}
