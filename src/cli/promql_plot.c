// SPDX-License-Identifier: Apache-2.0
//
// A plot for terminals: each character cell is a braille pattern of 2 by 4 dots (U+2800..U+28FF).
#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "cli/promql_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    AXIS_COLUMNS = 11, // number and bar at the left
    LEGEND_MAX = 20,   // series that are named
    COLORS = 6,
};

typedef struct Canvas {
    int columns, rows; // cells
    uint8_t *dots;     // a braille pattern per cell
    uint8_t *owners;   // the series that drew there last, + 1
    double t0, t1, v0, v1;
} Canvas;

static double number_of(const json_t *text)
{
    double v = (double)NAN;
    if (json_is_string(text)) {
        (void)num_parse_f64((Str){json_string_value(text), json_string_length(text)}, &v);
    }
    return v;
}

static void widen(Canvas *c, double t, double v)
{
    c->t0 = fmin(c->t0, t);
    c->t1 = fmax(c->t1, t);
    if (isfinite(v)) {
        c->v0 = fmin(c->v0, v);
        c->v1 = fmax(c->v1, v);
    }
}

static void find_bounds(Canvas *c, const json_t *result)
{
    size_t i = 0, k = 0;
    const json_t *series = NULL;
    const json_t *point = NULL;
    json_array_foreach(result, i, series)
    {
        json_array_foreach(json_object_get(series, "values"), k, point)
        {
            widen(c, json_number_value(json_array_get(point, 0)),
                  number_of(json_array_get(point, 1)));
        }
    }
    if (c->v0 == c->v1) { // a flat line runs through the middle
        const double room = c->v0 == 0 ? 1 : fabs(c->v0) / 2;
        c->v0 -= room;
        c->v1 += room;
    }
    if (c->t0 == c->t1) {
        c->t1 += 1;
    }
}

static void set_dot(Canvas *c, int x, int y, size_t series)
{
    static const uint8_t bits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    const size_t cell = (size_t)(y / 4) * (size_t)c->columns + (size_t)(x / 2);
    c->dots[cell] |= bits[y % 4][x % 2];
    c->owners[cell] = (uint8_t)(series % COLORS + 1);
}

static void draw_line(Canvas *c, int x0, int y0, int x1, int y1, size_t series)
{
    const int dx = x1 - x0, dy = y1 - y0;
    const int steps = abs(dx) > abs(dy) ? abs(dx) : abs(dy);
    for (int i = 0; i <= steps; i++) {
        const double part = steps == 0 ? 0 : (double)i / steps;
        set_dot(c, x0 + (int)lround(part * dx), y0 + (int)lround(part * dy), series);
    }
}

// Points are joined when no step is missing between them.
static void draw_series(Canvas *c, const json_t *points, size_t series)
{
    size_t i = 0;
    const json_t *point = NULL;
    double gap = HUGE_VAL;
    double last_t = (double)NAN;
    int last_x = 0, last_y = 0;
    for (size_t k = 1; k < json_array_size(points); k++) {
        gap = fmin(gap, json_number_value(json_array_get(json_array_get(points, k), 0)) -
                            json_number_value(json_array_get(json_array_get(points, k - 1), 0)));
    }
    json_array_foreach(points, i, point)
    {
        const double t = json_number_value(json_array_get(point, 0));
        const double v = number_of(json_array_get(point, 1));
        if (!isfinite(v)) {
            last_t = (double)NAN;
            continue;
        }
        const int x = (int)lround((t - c->t0) / (c->t1 - c->t0) * (2 * c->columns - 1));
        const int y = (int)lround((c->v1 - v) / (c->v1 - c->v0) * (4 * c->rows - 1));
        const bool joined = t - last_t <= 1.5 * gap;
        draw_line(c, joined ? last_x : x, joined ? last_y : y, x, y, series);
        last_t = t;
        last_x = x;
        last_y = y;
    }
}

// --- the picture -------------------------------------------------------------------------------

static void put_color(size_t series, bool colors, Buf *out)
{
    static const int codes[COLORS] = {32, 33, 36, 35, 34, 31};
    if (colors) {
        buf_putf(out, "\x1b[%dm", codes[series % COLORS]);
    }
}

static void put_plain(bool colors, Buf *out)
{
    if (colors) {
        buf_put_str(out, STR("\x1b[0m"));
    }
}

static void put_rows(const Canvas *c, bool colors, Buf *out)
{
    for (int row = 0; row < c->rows; row++) {
        const bool named = row == 0 || row == c->rows - 1 || row == c->rows / 2;
        const double v = c->v1 - (c->v1 - c->v0) * row / (c->rows > 1 ? c->rows - 1 : 1);
        char label[32] = "";
        if (named) {
            (void)snprintf(label, sizeof(label), "%.4g", v);
        }
        buf_putf(out, "%*s %s", AXIS_COLUMNS - 2, label, named ? "┤" : "│");
        uint8_t owner = 0;
        for (int column = 0; column < c->columns; column++) {
            const size_t cell = (size_t)row * (size_t)c->columns + (size_t)column;
            uint8_t text[4];
            if (c->owners[cell] != owner) {
                owner = c->owners[cell];
                if (owner == 0) {
                    put_plain(colors, out);
                } else {
                    put_color(owner - 1U, colors, out);
                }
            }
            buf_put(out, text,
                    utf8_encode(c->dots[cell] == 0 ? ' ' : 0x2800U + c->dots[cell], text));
        }
        put_plain(colors && owner != 0, out);
        buf_put_u8(out, '\n');
    }
}

static void put_time_axis(const Canvas *c, Buf *out)
{
    Buf first = {0};
    Buf last = {0};
    buf_init(&first, 64);
    buf_init(&last, 64);
    promql_put_time(c->t0, &first);
    promql_put_time(c->t1, &last);
    buf_putf(out, "%*s└", AXIS_COLUMNS - 1, "");
    for (int i = 0; i < c->columns; i++) {
        buf_put_str(out, STR("─"));
    }
    const int room = c->columns - (int)first.len - (int)last.len;
    buf_putf(out, "\n%*s" STR_FMT "%*s" STR_FMT "\n", AXIS_COLUMNS, "", STR_ARG(buf_str(&first)),
             room > 1 ? room : 1, "", STR_ARG(buf_str(&last)));
    buf_deinit(&first);
    buf_deinit(&last);
}

static void put_legend(const json_t *result, bool colors, Buf *out)
{
    size_t i = 0;
    const json_t *series = NULL;
    json_array_foreach(result, i, series)
    {
        if (i == LEGEND_MAX) {
            buf_putf(out, "%*sand %zu more series\n", AXIS_COLUMNS, "",
                     json_array_size(result) - LEGEND_MAX);
            break;
        }
        const json_t *points = json_object_get(series, "values");
        const size_t count = json_array_size(points);
        buf_putf(out, "%*s", AXIS_COLUMNS, "");
        put_color(i, colors, out);
        buf_put_str(out, STR("━━ "));
        put_plain(colors, out);
        promql_put_series_name(json_object_get(series, "metric"), out);
        if (count > 0) {
            const json_t *last = json_array_get(json_array_get(points, count - 1), 1);
            buf_putf(out, "  last %s", json_string_value(last));
        }
        buf_put_u8(out, '\n');
    }
}

void promql_put_plot(const json_t *data, const PromqlPlot *plot, Buf *out)
{
    size_t i = 0;
    const json_t *series = NULL;
    const json_t *result = json_object_get(data, "result");
    Canvas c = {.columns = plot->columns > AXIS_COLUMNS + 20 ? plot->columns - AXIS_COLUMNS : 20,
                .rows = plot->rows > 4 ? plot->rows : 4,
                .t0 = HUGE_VAL,
                .t1 = -HUGE_VAL,
                .v0 = HUGE_VAL,
                .v1 = -HUGE_VAL};
    find_bounds(&c, result);
    if (!(c.v0 < c.v1)) {
        buf_put_str(out, STR("(nothing to plot)\n"));
        return;
    }
    c.dots = mem_new(uint8_t, (size_t)c.columns * (size_t)c.rows);
    c.owners = mem_new(uint8_t, (size_t)c.columns * (size_t)c.rows);
    json_array_foreach(result, i, series)
    {
        draw_series(&c, json_object_get(series, "values"), i);
    }
    put_rows(&c, plot->colors, out);
    put_time_axis(&c, out);
    put_legend(result, plot->colors, out);
    mem_free(c.dots);
    mem_free(c.owners);
}
