// SPDX-License-Identifier: Apache-2.0
#include "sql/format.h"

#include "base/civil.h"
#include "base/json_put.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "codec/dtoa.h"

struct SqlWriter {
    SqlFormat format;
    const Schema *schema;
    const SqlColumn *columns;
    uint64_t rows;
    uint64_t rows_max;
    Buf *parts;        // JSON_COLUMNS: one per column
    Buf cells;         // TABLE: all texts, one behind the other
    size_t *cell_ends; // TABLE: [cell_count)
    size_t cell_count, cell_cap;
};

static const struct {
    Str name;
    const char *content_type;
} formats[] = {
    [SQL_FORMAT_JSON] = {STR("json"), "application/json"},
    [SQL_FORMAT_JSON_COLUMNS] = {STR("json_columns"), "application/json"},
    [SQL_FORMAT_NDJSON] = {STR("ndjson"), "application/x-ndjson"},
    [SQL_FORMAT_CSV] = {STR("csv"), "text/csv; charset=utf-8; header=present"},
    [SQL_FORMAT_TABLE] = {STR("table"), "text/plain; charset=utf-8"},
};

bool sql_format_parse(Str name, SqlFormat *out)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (str_eq(name, formats[i].name)) {
            *out = (SqlFormat)i;
            return true;
        }
    }
    return false;
}

const char *sql_format_content_type(SqlFormat format)
{
    return formats[format].content_type;
}

// --- values ------------------------------------------------------------------------------------

static void put_hex(Bytes bytes, Buf *out)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.len; i++) {
        buf_put_u8(out, (uint8_t)hex[bytes.ptr[i] >> 4]);
        buf_put_u8(out, (uint8_t)hex[bytes.ptr[i] & 15]);
    }
}

static void put_uuid(const uint8_t *uuid, Buf *out)
{
    static const size_t cuts[] = {0, 4, 6, 8, 10, 16};
    for (size_t i = 0; i + 1 < ARRAY_LEN(cuts); i++) {
        buf_put_str(out, i == 0 ? STR("") : STR("-"));
        put_hex((Bytes){uuid + cuts[i], cuts[i + 1] - cuts[i]}, out);
    }
}

static int64_t int_at(const Vector *v, uint32_t i)
{
    switch (v->type) {
    case COLUMN_INT8:
        return ((const int8_t *)v->data)[i];
    case COLUMN_INT16:
        return ((const int16_t *)v->data)[i];
    case COLUMN_INT32:
    case COLUMN_DATE:
        return ((const int32_t *)v->data)[i];
    case COLUMN_UINT8:
    case COLUMN_BOOL:
        return ((const uint8_t *)v->data)[i];
    case COLUMN_UINT16:
        return ((const uint16_t *)v->data)[i];
    case COLUMN_UINT32:
        return ((const uint32_t *)v->data)[i];
    case COLUMN_INT64:
    case COLUMN_UINT64:
    case COLUMN_TIMESTAMP:
        return ((const int64_t *)v->data)[i];
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
    case COLUMN_STRING:
    case COLUMN_BINARY:
    case COLUMN_UUID:
    case COLUMN_MAP:
        break;
    }
    UNREACHABLE();
}

static void put_map(const Vector *v, uint32_t i, Buf *out)
{
    buf_put_u8(out, '{');
    for (uint32_t k = v->offsets[i]; k < v->offsets[i + 1]; k++) {
        const Vector *flat = NULL;
        uint32_t at = 0;
        buf_put_str(out, k == v->offsets[i] ? STR("") : STR(","));
        (void)vector_locate(v->keys, k, &flat, &at); // keys are never null
        json_put_string(out, vector_flat_str(flat, at));
        buf_put_u8(out, ':');
        if (vector_locate(v->values, k, &flat, &at)) {
            json_put_string(out, vector_flat_str(flat, at));
        } else {
            buf_put_str(out, STR("null"));
        }
    }
    buf_put_u8(out, '}');
}

// DuckDB's infinite times are the greatest number and its negative.
static bool put_infinity(int64_t v, int64_t infinity, Buf *out)
{
    if (v != infinity && v != -infinity) {
        return false;
    }
    buf_put_str(out, v > 0 ? STR("infinity") : STR("-infinity"));
    return true;
}

// The text of element `i` of a FLAT vector; *quoted says that JSON wants quotes around it.
static void put_plain(const Vector *v, uint32_t i, DtoaStyle style, bool *quoted, Buf *out)
{
    *quoted = false;
    switch (v->type) {
    case COLUMN_BOOL:
        buf_put_str(out, int_at(v, i) != 0 ? STR("true") : STR("false"));
        return;
    case COLUMN_INT8:
    case COLUMN_INT16:
    case COLUMN_INT32:
    case COLUMN_INT64:
    case COLUMN_UINT8:
    case COLUMN_UINT16:
    case COLUMN_UINT32:
        num_put_i64(out, int_at(v, i));
        return;
    case COLUMN_UINT64:
        num_put_u64(out, (uint64_t)int_at(v, i));
        return;
    case COLUMN_FLOAT:
        dtoa_put_f32(out, ((const float *)v->data)[i], style);
        return;
    case COLUMN_DOUBLE:
        dtoa_put_f64(out, ((const double *)v->data)[i], style);
        return;
    case COLUMN_MAP:
        put_map(v, i, out);
        return;
    case COLUMN_TIMESTAMP:
        if (!put_infinity(int_at(v, i), INT64_MAX, out)) {
            civil_put_rfc3339(out, int_at(v, i));
        }
        break;
    case COLUMN_DATE:
        if (!put_infinity(int_at(v, i), INT32_MAX, out)) {
            civil_put_date(out, (int32_t)int_at(v, i));
        }
        break;
    case COLUMN_UUID:
        put_uuid((const uint8_t *)v->data + (size_t)i * 16, out);
        break;
    case COLUMN_BINARY: {
        const Str bytes = vector_flat_str(v, i);
        put_hex((Bytes){(const uint8_t *)bytes.ptr, bytes.len}, out);
        break;
    }
    case COLUMN_STRING:
        buf_put_str(out, vector_flat_str(v, i));
        return;
    }
    *quoted = true;
}

void sql_format_value(const Vector *v, uint32_t row, Buf *out)
{
    const Vector *flat = NULL;
    uint32_t i = 0;
    bool quoted = false;
    if (vector_locate(v, row, &flat, &i)) {
        put_plain(flat, i, DTOA_SQL, &quoted, out);
    }
}

static void put_json(const Vector *v, uint32_t row, bool numeric_text, Buf *out)
{
    const Vector *flat = NULL;
    uint32_t i = 0;
    bool quoted = false;
    if (!vector_locate(v, row, &flat, &i)) {
        buf_put_str(out, STR("null"));
    } else if (flat->type == COLUMN_STRING && !numeric_text) {
        json_put_string(out, vector_flat_str(flat, i));
    } else {
        const size_t at = out->len;
        buf_put_u8(out, '"');
        put_plain(flat, i, DTOA_JSON, &quoted, out);
        if (quoted) {
            buf_put_u8(out, '"');
        } else if (buf_ok(out)) { // take the quote away again
            memmove(out->ptr + at, out->ptr + at + 1, out->len - at - 1);
            out->len--;
        }
    }
}

static void put_csv(const Vector *v, uint32_t row, Buf *out)
{
    const size_t at = out->len;
    const Vector *flat = NULL;
    uint32_t i = 0;
    if (!vector_locate(v, row, &flat, &i)) {
        return;
    }
    sql_format_value(v, row, out);
    bool quote = out->len == at;
    size_t quotes = 0;
    for (size_t k = at; k < out->len; k++) {
        const uint8_t c = out->ptr[k];
        quote = quote || c == ',' || c == '"' || c == '\n' || c == '\r';
        quotes += c == '"';
    }
    if (!quote || buf_reserve(out, quotes + 2) == NULL) {
        return;
    }
    size_t to = out->len + quotes + 2;
    const size_t end = to;
    out->ptr[--to] = '"';
    for (size_t k = out->len; k-- > at;) {
        out->ptr[--to] = out->ptr[k];
        if (out->ptr[k] == '"') {
            out->ptr[--to] = '"';
        }
    }
    out->ptr[--to] = '"';
    out->len = end;
}

// --- writers -----------------------------------------------------------------------------------

SqlWriter *sql_writer_new(SqlFormat format, const Schema *schema, const SqlColumn *columns)
{
    SqlWriter *w = mem_new(SqlWriter, 1);
    *w = (SqlWriter){.format = format, .schema = schema, .columns = columns};
    if (format == SQL_FORMAT_JSON_COLUMNS) {
        w->parts = mem_new(Buf, schema->count);
    }
    return w;
}

void sql_writer_free(SqlWriter *w)
{
    if (w == NULL) {
        return;
    }
    for (size_t i = 0; w->parts != NULL && i < w->schema->count; i++) {
        buf_deinit(&w->parts[i]);
    }
    mem_free(w->parts);
    buf_deinit(&w->cells);
    mem_free(w->cell_ends);
    mem_free(w);
}

void sql_writer_rows_max(SqlWriter *w, uint64_t rows)
{
    w->rows_max = rows;
}

void sql_writer_begin(SqlWriter *w, Buf *out)
{
    if (w->format == SQL_FORMAT_CSV) {
        for (size_t i = 0; i < w->schema->count; i++) {
            const Vector name = {.type = COLUMN_STRING,
                                 .form = VECTOR_FLAT,
                                 .row_count = 1,
                                 .offsets = (const uint32_t[]){0, (uint32_t)w->columns[i].name.len},
                                 .bytes = (const uint8_t *)w->columns[i].name.ptr};
            buf_put_str(out, i == 0 ? STR("") : STR(","));
            put_csv(&name, 0, out);
        }
        buf_put_str(out, STR("\r\n"));
    }
    if (w->format == SQL_FORMAT_JSON || w->format == SQL_FORMAT_JSON_COLUMNS) {
        buf_put_str(out, STR("{\"columns\":["));
        const bool objects = w->format == SQL_FORMAT_JSON_COLUMNS;
        for (size_t i = 0; i < w->schema->count; i++) {
            buf_put_str(out, i == 0 ? STR("{\"name\":") : STR(",{\"name\":"));
            json_put_string(out, objects ? w->schema->fields[i].name : w->columns[i].name);
            buf_put_str(out, STR(",\"type\":"));
            json_put_string(out, w->columns[i].type);
            buf_put_u8(out, '}');
        }
        buf_put_str(out, w->format == SQL_FORMAT_JSON ? STR("],\"data\":[") : STR("],\"data\":{"));
    }
}

static void put_row(SqlWriter *w, const Batch *batch, uint32_t row, Buf *out)
{
    const bool json = w->format == SQL_FORMAT_JSON;
    const bool objects = w->format == SQL_FORMAT_NDJSON;
    if (json) {
        buf_put_str(out, w->rows == 0 ? STR("\n[") : STR(",\n["));
    }
    for (size_t i = 0; i < w->schema->count; i++) {
        buf_put_str(out, i != 0 ? STR(",") : objects ? STR("{") : STR(""));
        if (objects) {
            json_put_string(out, w->schema->fields[i].name);
            buf_put_u8(out, ':');
        }
        if (json || objects) {
            put_json(&batch->columns[i], row, w->columns[i].numeric_text, out);
        } else {
            put_csv(&batch->columns[i], row, out);
        }
    }
    buf_put_str(out, json ? STR("]") : objects ? STR("}\n") : STR("\r\n"));
}

static void keep_cells(SqlWriter *w, const Batch *batch, uint32_t row)
{
    for (size_t i = 0; i < w->schema->count; i++) {
        const Vector *flat = NULL;
        uint32_t at = 0;
        if (vector_locate(&batch->columns[i], row, &flat, &at)) {
            sql_format_value(&batch->columns[i], row, &w->cells);
        } else {
            buf_put_str(&w->cells, STR("NULL"));
        }
        w->cell_ends =
            mem_grow(w->cell_ends, &w->cell_cap, w->cell_count + 1, sizeof(*w->cell_ends));
        w->cell_ends[w->cell_count++] = w->cells.len;
    }
}

void sql_writer_rows(SqlWriter *w, const Batch *batch, Buf *out)
{
    for (uint32_t row = 0; row < batch->row_count; row++) {
        switch (w->format) {
        case SQL_FORMAT_JSON:
        case SQL_FORMAT_NDJSON:
        case SQL_FORMAT_CSV:
            put_row(w, batch, row, out);
            break;
        case SQL_FORMAT_JSON_COLUMNS:
            for (size_t i = 0; i < w->schema->count; i++) {
                buf_put_str(&w->parts[i], w->rows == 0 ? STR("") : STR(","));
                put_json(&batch->columns[i], row, w->columns[i].numeric_text, &w->parts[i]);
            }
            break;
        case SQL_FORMAT_TABLE:
            if (w->rows_max == 0 || w->rows < w->rows_max) {
                keep_cells(w, batch, row);
            }
            break;
        }
        w->rows++;
    }
}

static void put_stats(const SqlWriter *w, const SqlStats *stats, Buf *out)
{
    const ScanStats *s = &stats->scan;
    buf_putf(out,
             "\"rows\":%" PRIu64 ",\"stats\":{\"elapsed_ms\":%.3f,\"rows_read\":%" PRIu64
             ",\"hot_rows\":%" PRIu64 ",\"bytes_read\":%" PRIu64 ",\"files\":%" PRIu64
             ",\"files_pruned\":%" PRIu64 ",\"row_groups\":%" PRIu64
             ",\"row_groups_pruned\":%" PRIu64 ",\"pages\":%" PRIu64 ",\"pages_pruned\":%" PRIu64
             "}}\n",
             w->rows, (double)stats->elapsed_us / 1000, s->rows_read, s->hot_rows, s->bytes_read,
             s->files_total, s->files_pruned, s->row_groups_total, s->row_groups_pruned,
             s->pages_total, s->pages_pruned);
}

// Columns of a terminal: a character that continues another takes none.
static size_t text_width(Str s)
{
    size_t width = 0;
    for (size_t i = 0; i < s.len; i++) {
        width += ((uint8_t)s.ptr[i] & 0xc0) != 0x80;
    }
    return width;
}

static Str cell(const SqlWriter *w, size_t i)
{
    const size_t from = i == 0 ? 0 : w->cell_ends[i - 1];
    return (Str){.ptr = (const char *)w->cells.ptr + from, .len = w->cell_ends[i] - from};
}

static void put_cell(Str text, size_t width, bool right, bool last, Buf *out)
{
    const size_t pad = width - text_width(text);
    for (size_t i = 0; right && i < pad; i++) {
        buf_put_u8(out, ' ');
    }
    for (size_t i = 0; i < text.len; i++) { // a line is a row: control characters would break it
        buf_put_u8(out, (uint8_t)text.ptr[i] < 0x20 ? ' ' : (uint8_t)text.ptr[i]);
    }
    for (size_t i = 0; !right && !last && i < pad; i++) {
        buf_put_u8(out, ' ');
    }
}

static bool is_number(const SqlWriter *w, size_t column)
{
    const ColumnType type = w->schema->fields[column].type;
    return w->columns[column].numeric_text || (type >= COLUMN_INT8 && type <= COLUMN_DOUBLE);
}

static void put_table(const SqlWriter *w, Buf *out)
{
    const size_t columns = w->schema->count;
    size_t *widths = mem_new(size_t, columns);
    for (size_t i = 0; i < columns; i++) {
        widths[i] = text_width(w->columns[i].name);
    }
    for (size_t i = 0; i < w->cell_count; i++) {
        const size_t width = text_width(cell(w, i));
        widths[i % columns] = width > widths[i % columns] ? width : widths[i % columns];
    }
    for (size_t i = 0; i < columns; i++) {
        buf_put_str(out, i == 0 ? STR("") : STR("  "));
        put_cell(w->columns[i].name, widths[i], is_number(w, i), i + 1 == columns, out);
    }
    buf_put_u8(out, '\n');
    for (size_t i = 0; i < columns; i++) {
        buf_put_str(out, i == 0 ? STR("") : STR("  "));
        for (size_t k = 0; k < widths[i]; k++) {
            buf_put_u8(out, '-');
        }
    }
    buf_put_u8(out, '\n');
    for (size_t i = 0; i < w->cell_count; i++) {
        const size_t column = i % columns;
        buf_put_str(out, column == 0 ? STR("") : STR("  "));
        put_cell(cell(w, i), widths[column], is_number(w, column), column + 1 == columns, out);
        buf_put_str(out, column + 1 == columns ? STR("\n") : STR(""));
    }
    mem_free(widths);
}

void sql_writer_end(SqlWriter *w, const SqlStats *stats, Buf *out)
{
    switch (w->format) {
    case SQL_FORMAT_JSON:
        buf_put_str(out, w->rows == 0 ? STR("],") : STR("\n],"));
        put_stats(w, stats, out);
        return;
    case SQL_FORMAT_JSON_COLUMNS:
        for (size_t i = 0; i < w->schema->count; i++) {
            buf_put_str(out, i == 0 ? STR("") : STR(","));
            json_put_string(out, w->schema->fields[i].name);
            buf_put_str(out, STR(":["));
            buf_put_str(out, buf_str(&w->parts[i]));
            buf_put_u8(out, ']');
        }
        buf_put_str(out, STR("},"));
        put_stats(w, stats, out);
        return;
    case SQL_FORMAT_TABLE:
        put_table(w, out);
        return;
    case SQL_FORMAT_NDJSON:
    case SQL_FORMAT_CSV:
        return;
    }
    UNREACHABLE();
}
