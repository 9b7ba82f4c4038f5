// SPDX-License-Identifier: Apache-2.0
//
// Neumaier's variant of Kahan's compensated summation (Neumaier, "Rundungsfehleranalyse einiger
// Verfahren zur Summation endlicher Summen", 1974), as Prometheus adds floats. For all of promql.
#pragma once

#include <float.h>
#include <math.h>

// Adds `v` to *sum; the true sum is nearer to *sum + *rest. An infinite sum clears *rest.
static inline void kahan_add(double v, double *sum, double *rest)
{
    const double s = *sum;
    const double t = s + v;
    if (t > DBL_MAX || t < -DBL_MAX) {
        *rest = 0;
    } else if (fabs(s) >= fabs(v)) {
        *rest += (s - t) + v;
    } else {
        *rest += (v - t) + s;
    }
    *sum = t;
}
