// SPDX-License-Identifier: Apache-2.0
//
// How `cardinal promql` shows an answer: the `data` object of the HTTP API, parsed.
#pragma once

#include "base/buf.h"

#include <jansson.h>

enum { PROMQL_TABLE_ROWS_MAX = 10000 };

// A column per label, the time (of a matrix), the value.
void promql_put_table(const json_t *data, size_t rows_max, Buf *out);
void promql_put_csv(const json_t *data, Buf *out);

typedef struct PromqlPlot {
    int columns, rows; // of the whole picture, in characters
    bool colors;
} PromqlPlot;

// A picture of a matrix in braille dots, a line per series, with axes and a legend.
void promql_put_plot(const json_t *data, const PromqlPlot *plot, Buf *out);

// up{job="x"}: the labels of a result. {} when there are none.
void promql_put_series_name(const json_t *metric, Buf *out);
// 2026-11-21T10:00:00Z of a timestamp in seconds.
void promql_put_time(double seconds, Buf *out);
