// SPDX-License-Identifier: Apache-2.0
#include "base/civil.h"
#include "base/json_put.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/strmap.h"
#include "cli/promql_internal.h"

#include <math.h>
#include <string.h>

// --- parts of the answer -----------------------------------------------------------------------

void promql_put_series_name(const json_t *metric, Buf *out)
{
    const char *name = NULL;
    const json_t *value = NULL;
    const char *metric_name = json_string_value(json_object_get(metric, "__name__"));
    const size_t start = out->len;
    bool first = true;
    if (metric_name != NULL) {
        buf_put_str(out, (Str){metric_name, strlen(metric_name)});
    }
    json_object_foreach((json_t *)(uintptr_t)metric, name, value)
    {
        if (strcmp(name, "__name__") != 0) {
            buf_putf(out, "%s%s=", first ? "{" : ",", name);
            json_put_string(out, (Str){json_string_value(value), json_string_length(value)});
            first = false;
        }
    }
    if (!first) {
        buf_put_u8(out, '}');
    } else if (out->len == start) {
        buf_put_str(out, STR("{}"));
    }
}

void promql_put_time(double seconds, Buf *out)
{
    civil_put_rfc3339(out, (int64_t)llround(seconds * 1e3) * 1000);
}

// A value is "1.5", or a histogram object.
static void put_value(const json_t *value, Buf *out)
{
    if (json_is_string(value)) {
        buf_put_str(out, (Str){json_string_value(value), json_string_length(value)});
        return;
    }
    const char *count = json_string_value(json_object_get(value, "count"));
    const char *sum = json_string_value(json_object_get(value, "sum"));
    buf_putf(out, "{count:%s, sum:%s", count != NULL ? count : "", sum != NULL ? sum : "");
    size_t i = 0;
    const json_t *bucket = NULL;
    json_array_foreach(json_object_get(value, "buckets"), i, bucket)
    {
        static const char *const opens[] = {"(", "[", "(", "["};
        static const char *const closes[] = {"]", ")", ")", "]"};
        const json_int_t kind = json_integer_value(json_array_get(bucket, 0)) & 3;
        buf_putf(out, ", %s%s,%s%s:%s", opens[kind], json_string_value(json_array_get(bucket, 1)),
                 json_string_value(json_array_get(bucket, 2)), closes[kind],
                 json_string_value(json_array_get(bucket, 3)));
    }
    buf_put_u8(out, '}');
}

// --- rows --------------------------------------------------------------------------------------

// The answer as rows of text cells.
typedef struct Grid {
    StrMap names; // label -> column
    bool has_time;
    size_t columns; // labels, time, value
    Str *cells;
    size_t rows, rows_cap;
    uint64_t rows_left_out;
    size_t rows_max;
    Arena arena;
} Grid;

static void collect_names(Grid *g, const json_t *result)
{
    size_t i = 0;
    const json_t *series = NULL;
    const char *name = NULL;
    const json_t *value = NULL;
    json_array_foreach(result, i, series)
    {
        json_object_foreach(json_object_get(series, "metric"), name, value)
        {
            (void)strmap_put(&g->names, (Str){name, strlen(name)}, g->names.count, NULL);
        }
    }
}

static Str *add_row(Grid *g)
{
    if (g->rows == g->rows_max) {
        g->rows_left_out++;
        return NULL;
    }
    if (g->rows == g->rows_cap) {
        g->rows_cap = g->rows_cap == 0 ? 256 : 2 * g->rows_cap;
        g->cells = mem_realloc(g->cells, g->rows_cap * g->columns, sizeof(Str));
    }
    Str *row = &g->cells[g->rows++ * g->columns];
    memset(row, 0, g->columns * sizeof(Str));
    return row;
}

static void add_point(Grid *g, const json_t *metric, const json_t *point)
{
    const char *name = NULL;
    const json_t *value = NULL;
    Buf text = {0};
    Str *row = add_row(g);
    if (row == NULL) {
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)metric, name, value)
    {
        const uint64_t *column = strmap_get(&g->names, (Str){name, strlen(name)});
        row[*column] = (Str){json_string_value(value), json_string_length(value)};
    }
    buf_init(&text, 0);
    if (g->has_time) {
        promql_put_time(json_number_value(json_array_get(point, 0)), &text);
        row[g->columns - 2] = arena_str(&g->arena, buf_str(&text));
        buf_clear(&text);
    }
    put_value(json_array_get(point, 1), &text);
    row[g->columns - 1] = arena_str(&g->arena, buf_str(&text));
    buf_deinit(&text);
}

static void add_points(Grid *g, const json_t *metric, const json_t *points)
{
    size_t i = 0;
    const json_t *point = NULL;
    json_array_foreach(points, i, point)
    {
        add_point(g, metric, point);
    }
}

static void grid_fill(Grid *g, const json_t *data, size_t rows_max)
{
    size_t i = 0;
    const json_t *series = NULL;
    const json_t *result = json_object_get(data, "result");
    const char *type = json_string_value(json_object_get(data, "resultType"));
    const bool is_list = strcmp(type, "matrix") == 0 || strcmp(type, "vector") == 0;
    *g = (Grid){.has_time = strcmp(type, "matrix") == 0, .rows_max = rows_max};
    strmap_init(&g->names);
    if (is_list) {
        collect_names(g, result);
    }
    g->columns = g->names.count + (g->has_time ? 2 : 1);
    if (!is_list) {
        add_point(g, NULL, result);
        return;
    }
    json_array_foreach(result, i, series)
    {
        const json_t *metric = json_object_get(series, "metric");
        if (g->has_time) {
            add_points(g, metric, json_object_get(series, "values"));
            add_points(g, metric, json_object_get(series, "histograms"));
        } else {
            const json_t *value = json_object_get(series, "value");
            add_point(g, metric, value != NULL ? value : json_object_get(series, "histogram"));
        }
    }
}

static void grid_deinit(Grid *g)
{
    strmap_deinit(&g->names);
    mem_free(g->cells);
    arena_deinit(&g->arena);
}

static Str heading(const Grid *g, size_t column)
{
    return column < g->names.count                   ? g->names.entries[column].key
           : g->has_time && column + 2 == g->columns ? STR("time")
                                                     : STR("value");
}

// --- output ------------------------------------------------------------------------------------

static size_t width_of(Str text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.len; i++) {
        width += ((uint8_t)text.ptr[i] & 0xc0) != 0x80; // code points
    }
    return width;
}

static void put_cell(Str text, size_t width, bool right, bool last, Buf *out)
{
    const int pad = (int)(width - width_of(text));
    if (right) {
        buf_putf(out, "%*s", pad, "");
    }
    buf_put_str(out, text);
    if (!last) {
        buf_putf(out, "%*s  ", right ? 0 : pad, "");
    }
}

void promql_put_table(const json_t *data, size_t rows_max, Buf *out)
{
    Grid g;
    grid_fill(&g, data, rows_max);
    size_t *widths = arena_new(&g.arena, size_t, g.columns);
    for (size_t c = 0; c < g.columns; c++) {
        widths[c] = width_of(heading(&g, c));
        for (size_t r = 0; r < g.rows; r++) {
            const size_t width = width_of(g.cells[r * g.columns + c]);
            widths[c] = width > widths[c] ? width : widths[c];
        }
    }
    for (size_t r = 0; r < g.rows + 1 && g.rows > 0; r++) {
        for (size_t c = 0; c < g.columns; c++) {
            const bool last = c + 1 == g.columns;
            put_cell(r == 0 ? heading(&g, c) : g.cells[(r - 1) * g.columns + c], widths[c], last,
                     last, out);
        }
        buf_put_u8(out, '\n');
    }
    if (g.rows == 0) {
        buf_put_str(out, STR("(no series)\n"));
    } else if (g.rows_left_out > 0) {
        buf_putf(out, "(%" PRIu64 " more rows; --rows shows more)\n", g.rows_left_out);
    }
    grid_deinit(&g);
}

static void put_csv_cell(Str text, Buf *out)
{
    bool plain = true;
    for (size_t i = 0; i < text.len && plain; i++) {
        plain = strchr(",\"\r\n", text.ptr[i]) == NULL;
    }
    if (plain) {
        buf_put_str(out, text);
        return;
    }
    buf_put_u8(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"') {
            buf_put_u8(out, '"');
        }
        buf_put_u8(out, (uint8_t)text.ptr[i]);
    }
    buf_put_u8(out, '"');
}

void promql_put_csv(const json_t *data, Buf *out)
{
    Grid g;
    grid_fill(&g, data, SIZE_MAX);
    for (size_t r = 0; r < g.rows + 1; r++) {
        for (size_t c = 0; c < g.columns; c++) {
            buf_put_str(out, c > 0 ? STR(",") : STR(""));
            put_csv_cell(r == 0 ? heading(&g, c) : g.cells[(r - 1) * g.columns + c], out);
        }
        buf_put_u8(out, '\n');
    }
    grid_deinit(&g);
}
