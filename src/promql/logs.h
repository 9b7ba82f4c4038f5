// SPDX-License-Identifier: Apache-2.0
//
// Logarithms and powers of two to the last bit as Go computes them, so that quantiles and ln() are
// Prometheus' own digits (libm's differ in the last place for one value in four hundred). Pure.
#pragma once

double logs_ln(double v);
double logs_log2(double v); // exact for powers of two
double logs_log10(double v);
double logs_exp2(double v);
