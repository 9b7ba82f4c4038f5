// SPDX-License-Identifier: Apache-2.0
//
// PromText: writes the Prometheus text exposition format 0.0.4 (prometheus.io/docs/instrumenting/
// exposition_formats), for /metrics. Families must be written one after the other, each once; names
// are the program's own and checked (a bad one panics), label values may be anything and are
// escaped. One owner, one thread.
#pragma once

#include "base/buf.h"

#define PROM_TEXT_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

typedef enum PromTextType {
    PROM_TEXT_COUNTER,
    PROM_TEXT_GAUGE,
    PROM_TEXT_HISTOGRAM,
    PROM_TEXT_SUMMARY,
    PROM_TEXT_UNTYPED,
} PromTextType;

typedef struct PromTextLabel {
    const char *name;
    Str value; // UTF-8
} PromTextLabel;

typedef struct PromText {
    Buf *out;         // borrowed
    const char *name; // of the current family
    PromTextType type;
} PromText;

static inline PromText prom_text_of(Buf *out)
{
    return (PromText){.out = out};
}

// Starts a family: the HELP and TYPE lines. `name` must live until the next family.
void prom_text_family(PromText *w, const char *name, PromTextType type, const char *help);

// One sample of the current family: name{labels} value. Integers up to 2^64 - 1 are exact.
void prom_text_u64(PromText *w, const PromTextLabel *labels, size_t label_count, uint64_t value);
void prom_text_f64(PromText *w, const PromTextLabel *labels, size_t label_count, double value);

// One family with one sample without labels, in one call.
void prom_text_counter(PromText *w, const char *name, const char *help, uint64_t value);
void prom_text_gauge(PromText *w, const char *name, const char *help, double value);

// The _bucket, _sum and _count samples of one histogram of the current family. bounds[0..count)
// ascend strictly, without +Inf; counts[0..count] are per bucket (not cumulative), the last one is
// +Inf's.
typedef struct PromTextHistogram {
    const double *bounds;
    const uint64_t *counts;
    size_t bound_count;
    double sum;
} PromTextHistogram;
void prom_text_histogram(PromText *w, const PromTextLabel *labels, size_t label_count,
                         const PromTextHistogram *histogram);
