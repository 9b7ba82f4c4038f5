// SPDX-License-Identifier: Apache-2.0
#include "cardinal.h"

#include "base/mem.h"
#include "base/num.h"
#include "sql/format.h"
#include "store/store.h"
#include "wire/ndjson.h"
#include "wire/remote_write.h"

#include <stdio.h>

struct cardinal_db {
    Store *store;
    SqlEngine *sql;
    int64_t sql_timeout_ms;
};

struct cardinal_result {
    SqlRun *run;
    const Schema *schema;
    char **names, **types; // NUL-terminated
    Batch batch;
    uint32_t row; // of `batch`
    bool has_row;
    Buf *texts; // one per column
};

static cardinal_code code_of(Status st)
{
    switch (st) {
    case OK:
        return CARDINAL_OK;
    case ERR_INVALID:
    case ERR_UNSUPPORTED:
        return CARDINAL_INVALID;
    case ERR_NOT_FOUND:
        return CARDINAL_NOT_FOUND;
    case ERR_EXISTS:
        return CARDINAL_IN_USE;
    case ERR_TOO_LARGE:
    case ERR_LIMIT:
        return CARDINAL_LIMIT;
    case ERR_CANCELLED:
    case ERR_TIMEOUT:
        return CARDINAL_STOPPED;
    case ERR_CORRUPT:
        return CARDINAL_CORRUPT;
    case ERR_IO:
    case ERR_UNAVAILABLE:
        return CARDINAL_UNAVAILABLE;
    case ERR_INTERNAL:
        return CARDINAL_INTERNAL;
    }
    UNREACHABLE();
}

// Hands an outcome over to the caller, whose `error` may be NULL.
static cardinal_code report(Status st, const Err *err, cardinal_error *error)
{
    if (error != NULL) {
        *error = (cardinal_error){.code = code_of(st)};
        if (st != OK) {
            (void)snprintf(error->message, sizeof(error->message), "%s", err->msg);
        }
    }
    return code_of(st);
}

static Str text_of(const char *s)
{
    return s == NULL ? STR("") : (Str){.ptr = s, .len = strlen(s)};
}

const char *cardinal_version(void)
{
    return "0.1.0";
}

// --- open and close ----------------------------------------------------------------------------

cardinal_code cardinal_open(const char *path, const cardinal_options *options, cardinal_db **db,
                            cardinal_error *error)
{
    static const cardinal_options defaults = {0};
    const cardinal_options *o = options != NULL ? options : &defaults;
    Err err;
    Err ignored;
    cardinal_db *opened = mem_new(cardinal_db, 1);

    *db = NULL;
    const StoreOptions store = {
        .os = os_posix(),
        .dir = text_of(path),
        .tenant = text_of(o->tenant),
        .durability = o->sync_interval_ms > 0 ? WAL_INTERVAL : WAL_SYNC,
        .sync_interval_ms = o->sync_interval_ms,
        .flush_interval_ms = o->flush_interval_ms,
        .memory_limit_bytes = o->memory_limit_bytes,
    };
    Status st = store_open(&store, &opened->store, NULL, &err);
    if (st == OK) {
        const SqlOptions sql = {.os = os_posix(),
                                .store = opened->store,
                                .memory_limit_bytes = o->sql_memory_limit_bytes};
        st = sql_engine_new(&sql, &opened->sql, &err);
        if (st != OK) {
            (void)store_close(opened->store, false, &ignored); // the first error is the one to tell
        }
    }
    opened->sql_timeout_ms = o->sql_timeout_ms;
    if (st == OK) {
        *db = opened;
    } else {
        mem_free(opened);
    }
    return report(st, &err, error);
}

cardinal_code cardinal_close(cardinal_db *db, cardinal_error *error)
{
    Err err;
    if (db == NULL) {
        return report(OK, &err, error);
    }
    sql_engine_free(db->sql);
    const Status st = store_close(db->store, true, &err);
    mem_free(db);
    return report(st, &err, error);
}

// --- writing -----------------------------------------------------------------------------------

cardinal_code cardinal_write_series(cardinal_db *db, const cardinal_series *series, size_t count,
                                    cardinal_error *error)
{
    Err err;
    Buf labels = {0};
    MetricsResult result = {0};
    size_t sample_count = 0;
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        sample_count += series[i].sample_count;
    }
    if (count > UINT32_MAX || sample_count > UINT32_MAX) {
        return report(err_set(&err, ERR_TOO_LARGE, "more than 2^32 series or samples in one call"),
                      &err, error);
    }
    MetricsSeries *out = mem_new(MetricsSeries, count);
    size_t *ends = mem_new(size_t, count);
    int64_t *timestamps_ms = mem_new(int64_t, sample_count);
    double *values = mem_new(double, sample_count);
    buf_init(&labels, 0);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < series[i].label_count; k++) {
            remote_write_put_label(&labels, text_of(series[i].labels[k].name),
                                   text_of(series[i].labels[k].value));
        }
        ends[i] = labels.len;
        out[i] = (MetricsSeries){.sample_first = (uint32_t)at,
                                 .sample_count = (uint32_t)series[i].sample_count};
        for (size_t k = 0; k < series[i].sample_count; k++, at++) {
            timestamps_ms[at] = series[i].samples[k].timestamp_ms;
            values[at] = series[i].samples[k].value;
        }
    }
    for (size_t i = 0; i < count; i++) {
        const size_t from = i == 0 ? 0 : ends[i - 1];
        out[i].labels = (Bytes){.ptr = labels.ptr + from, .len = ends[i] - from};
    }
    const MetricsBatch batch = {
        .series = out, .series_count = count, .timestamps_ms = timestamps_ms, .values = values};
    Status st = store_write_metrics(db->store, &batch, &result, &err);
    if (st == OK && result.series_rejected + result.samples_rejected > 0) {
        err = result.first_rejection;
        st = ERR_INVALID;
    }
    buf_deinit(&labels);
    mem_free(out);
    mem_free(ends);
    mem_free(timestamps_ms);
    mem_free(values);
    return report(st, &err, error);
}

cardinal_code cardinal_write_json(cardinal_db *db, const char *table, const char *lines,
                                  size_t size, cardinal_error *error)
{
    Err err;
    Err no_table;
    Arena arena = {0};
    TableDef def = {0};
    Batch batch = {0};
    Ndjson *ndjson = ndjson_new();
    const bool exists = store_table(db->store, text_of(table), &arena, &def, &no_table) == OK;
    const NdjsonOptions options = {.known = exists ? &def.schema : NULL,
                                   .time_column = exists ? def.time_column : STR("timestamp"),
                                   .now_us = os_wall_us(os_posix())};

    Status st = ndjson_parse(ndjson, (Bytes){(const uint8_t *)lines, size}, &options, &batch, &err);
    if (st == OK && batch.row_count > 0) {
        st = store_write_rows(db->store, text_of(table), &batch, &err);
    }
    ndjson_free(ndjson);
    arena_deinit(&arena);
    return report(st, &err, error);
}

cardinal_code cardinal_flush(cardinal_db *db, const char *table, cardinal_error *error)
{
    Err err;
    return report(store_flush(db->store, text_of(table), &err), &err, error);
}

// --- reading -----------------------------------------------------------------------------------

static char *copy_text(Str s)
{
    char *copy = mem_new(char, s.len + 1);
    if (s.len != 0) {
        memcpy(copy, s.ptr, s.len);
    }
    return copy;
}

cardinal_code cardinal_query(cardinal_db *db, const char *sql, cardinal_result **result,
                             cardinal_error *error)
{
    Err err;
    Buf message = {0};
    SqlRun *run = NULL;

    *result = NULL;
    buf_init(&message, sizeof(error->message));
    const SqlQueryOptions options = {
        .timeout_ms = db->sql_timeout_ms, .exact_text = true, .message = &message};
    const Status st = sql_query(db->sql, text_of(sql), &options, &run, &err);
    const cardinal_code code = report(st, &err, error);
    if (st != OK && error != NULL && message.len > 0) {
        (void)snprintf(error->message, sizeof(error->message), STR_FMT, STR_ARG(buf_str(&message)));
    }
    buf_deinit(&message);
    if (st != OK) {
        return code;
    }
    cardinal_result *r = mem_new(cardinal_result, 1);
    r->run = run;
    r->schema = sql_run_schema(run);
    r->names = mem_new(char *, r->schema->count);
    r->types = mem_new(char *, r->schema->count);
    r->texts = mem_new(Buf, r->schema->count);
    for (size_t i = 0; i < r->schema->count; i++) {
        r->names[i] = copy_text(sql_run_columns(run)[i].name);
        r->types[i] = copy_text(sql_run_columns(run)[i].type);
    }
    *result = r;
    return code;
}

void cardinal_result_close(cardinal_result *result)
{
    if (result == NULL) {
        return;
    }
    for (size_t i = 0; i < result->schema->count; i++) {
        mem_free(result->names[i]);
        mem_free(result->types[i]);
        buf_deinit(&result->texts[i]);
    }
    mem_free(result->names);
    mem_free(result->types);
    mem_free(result->texts);
    sql_run_close(result->run);
    mem_free(result);
}

size_t cardinal_result_column_count(const cardinal_result *result)
{
    return result->schema->count;
}

const char *cardinal_result_column_name(const cardinal_result *result, size_t column)
{
    return column < result->schema->count ? result->names[column] : "";
}

const char *cardinal_result_column_type(const cardinal_result *result, size_t column)
{
    return column < result->schema->count ? result->types[column] : "";
}

cardinal_code cardinal_result_next(cardinal_result *result, bool *has_row, cardinal_error *error)
{
    Err err;
    Status st = OK;
    if (result->has_row && result->row + 1 < result->batch.row_count) {
        result->row++;
    } else {
        st = sql_run_next(result->run, &result->batch, &err);
        result->row = 0;
        result->has_row = st == OK && result->batch.row_count > 0;
    }
    *has_row = result->has_row;
    return report(st, &err, error);
}

// The value of the current row; false when it is NULL, or there is none.
static bool value_of(const cardinal_result *result, size_t column, const Vector **flat,
                     uint32_t *index)
{
    return result->has_row && column < result->schema->count &&
           vector_locate(&result->batch.columns[column], result->row, flat, index);
}

bool cardinal_result_is_null(const cardinal_result *result, size_t column)
{
    const Vector *flat = NULL;
    uint32_t i = 0;
    return !value_of(result, column, &flat, &i);
}

double cardinal_result_double(const cardinal_result *result, size_t column)
{
    const Vector *flat = NULL;
    uint32_t i = 0;
    double number = 0;
    if (!value_of(result, column, &flat, &i)) {
        return 0;
    }
    if (flat->type == COLUMN_DOUBLE) {
        return ((const double *)flat->data)[i];
    }
    if (flat->type == COLUMN_FLOAT) {
        return (double)((const float *)flat->data)[i];
    }
    if (flat->type == COLUMN_STRING) { // HUGEINT and DECIMAL arrive as text
        return num_parse_f64(vector_flat_str(flat, i), &number) ? number : 0;
    }
    return (double)cardinal_result_int64(result, column);
}

int64_t cardinal_result_int64(const cardinal_result *result, size_t column)
{
    const Vector *flat = NULL;
    uint32_t i = 0;
    int64_t v = 0;
    if (!value_of(result, column, &flat, &i)) {
        return 0;
    }
    switch (flat->type) {
    case COLUMN_BOOL:
    case COLUMN_UINT8:
        return ((const uint8_t *)flat->data)[i];
    case COLUMN_INT8:
        return ((const int8_t *)flat->data)[i];
    case COLUMN_INT16:
        return ((const int16_t *)flat->data)[i];
    case COLUMN_UINT16:
        return ((const uint16_t *)flat->data)[i];
    case COLUMN_INT32:
    case COLUMN_DATE:
        return ((const int32_t *)flat->data)[i];
    case COLUMN_UINT32:
        return ((const uint32_t *)flat->data)[i];
    case COLUMN_INT64:
    case COLUMN_UINT64:
    case COLUMN_TIMESTAMP:
        return ((const int64_t *)flat->data)[i];
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE: {
        const double d = cardinal_result_double(result, column);
        return d >= -0x1p63 && d < 0x1p63 ? (int64_t)d : 0;
    }
    case COLUMN_STRING:
        return num_parse_i64(vector_flat_str(flat, i), &v) ? v : 0;
    case COLUMN_BINARY:
    case COLUMN_UUID:
    case COLUMN_MAP:
        return 0;
    }
    UNREACHABLE();
}

const char *cardinal_result_text(cardinal_result *result, size_t column, size_t *size)
{
    static const char nothing[] = "";
    *size = 0;
    if (!result->has_row || column >= result->schema->count) {
        return nothing;
    }
    Buf *text = &result->texts[column];
    buf_clear(text);
    sql_format_value(&result->batch.columns[column], result->row, text);
    *size = text->len;
    buf_put_u8(text, 0);
    return (const char *)text->ptr;
}
