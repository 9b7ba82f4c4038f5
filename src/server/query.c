// SPDX-License-Identifier: Apache-2.0
//
// SQL over HTTP. The statement comes as `query=` (in the URL, or in a form body), in a JSON object,
// or as the body itself; results leave in the format asked for, streamed.
#include "base/json_put.h"
#include "base/mem.h"
#include "base/num.h"
#include "column/arrow.h"
#include "column/builder.h"
#include "parquet/writer.h"
#include "server/server_internal.h"
#include "sql/format.h"

#include <jansson.h>
#include <stdio.h>

enum {
    PIECE_BYTES = 64 << 10,         // of a streamed result
    EXPORT_READ_BYTES = 1 << 20,    // of a Parquet result
    TABLE_ROWS_MAX = 10000,         // of format=table, unless asked otherwise
    ERROR_MESSAGE_MAX_BYTES = 8192, // DuckDB's messages show the statement
};

typedef enum Output { OUTPUT_TEXT, OUTPUT_ARROW, OUTPUT_PARQUET } Output;

typedef struct SqlRequest {
    Arena arena;
    Str text;
    Str format;
    Str timeout;
    Str rows;
    bool exact; // wide numbers as text in Arrow, too
} SqlRequest;

// One result on its way to the client.
typedef struct ResultStream {
    Server *server;
    SqlRun *run;
    Output output;
    SqlWriter *text;
    ArrowWriter *arrow;
    bool begun;
    OsFile *file; // PARQUET: the whole result
    Str file_path;
    uint64_t file_size, file_at;
    Arena arena;
} ResultStream;

// --- the request -------------------------------------------------------------------------------

static void take_args(const HttpPair *args, size_t count, SqlRequest *out)
{
    for (size_t i = 0; i < count; i++) {
        Str *to = str_eq(args[i].name, STR("query"))     ? &out->text
                  : str_eq(args[i].name, STR("format"))  ? &out->format
                  : str_eq(args[i].name, STR("timeout")) ? &out->timeout
                  : str_eq(args[i].name, STR("rows"))    ? &out->rows
                                                         : NULL;
        if (to != NULL) {
            *to = arena_str(&out->arena, args[i].value);
        } else if (str_eq(args[i].name, STR("exact"))) {
            out->exact = str_eq(args[i].value, STR("1")) || str_eq(args[i].value, STR("true"));
        }
    }
}

static Status take_json(Bytes body, SqlRequest *out, Err *err)
{
    Status st = OK;
    json_error_t why;
    json_t *object = json_loadb((const char *)body.ptr, body.len, JSON_REJECT_DUPLICATES, &why);
    const char *key = NULL;
    json_t *value = NULL;

    if (!json_is_object(object)) {
        st = object == NULL
                 ? err_set(err, ERR_INVALID, "body: line %d, column %d: %s", why.line, why.column,
                           why.text)
                 : err_set(err, ERR_INVALID, "body: expected a JSON object with \"query\"");
    }
    json_object_foreach(st == OK ? object : NULL, key, value)
    {
        Str *to = strcmp(key, "query") == 0     ? &out->text
                  : strcmp(key, "format") == 0  ? &out->format
                  : strcmp(key, "timeout") == 0 ? &out->timeout
                                                : NULL;
        if (to == NULL || !json_is_string(value)) {
            st = err_set(err, ERR_INVALID,
                         to == NULL ? "body: there is no field \"%.60s\" (query, format, timeout)"
                                    : "body: field \"%.60s\": expected a string",
                         key);
            break;
        }
        *to = arena_str(&out->arena, (Str){json_string_value(value), json_string_length(value)});
    }
    json_decref(object);
    return st;
}

static Status take_request(const HttpRequest *request, SqlRequest *out, Err *err)
{
    Status st = OK;
    char media[HTTP_MEDIA_TYPE_MAX];
    const Str type = http_request_media_type(request, media);
    Buf plain = {0};
    Buf text = {0};
    Bytes body = {0};

    buf_init(&plain, 4 * SQL_TEXT_MAX_BYTES);
    buf_init(&text, 4 * SQL_TEXT_MAX_BYTES);
    take_args(request->args, request->arg_count, out);
    TRY_OUT(http_request_body_plain(request, &plain, &body, err));
    if (str_eq(type, STR("application/json"))) {
        TRY_OUT(take_json(body, out, err));
    } else if (str_eq(type, STR("application/x-www-form-urlencoded")) && out->text.len == 0) {
        HttpPair *args = arena_new(&out->arena, HttpPair, HTTP_ARGS_MAX);
        size_t count = 0;
        TRY_OUT(http_args_parse((Str){(const char *)body.ptr, body.len}, &text, args, &count, err));
        take_args(args, count, out);
    } else if (body.len != 0 && out->text.len == 0) {
        out->text = arena_str(&out->arena, (Str){(const char *)body.ptr, body.len});
    }
    if (out->text.len == 0) {
        TRY_OUT(err_set(err, ERR_INVALID,
                        "no statement: send query=..., or a body with the statement"));
    }
out:
    buf_deinit(&plain);
    buf_deinit(&text);
    return st;
}

static Status parse_timeout(const SqlRequest *request, int64_t limit_ms, int64_t *out, Err *err)
{
    int64_t ms = 0;
    double seconds = 0;
    *out = limit_ms;
    if (request->timeout.len == 0) {
        return OK;
    }
    if (!num_parse_duration_ms(request->timeout, &ms)) {
        if (!num_parse_f64(request->timeout, &seconds) || !(seconds > 0 && seconds < 1e9)) {
            return err_set(err, ERR_INVALID,
                           "timeout: expected a duration such as 30s, found '" STR_FMT "'",
                           STR_ARG(str_slice(request->timeout, 0, 40)));
        }
        ms = (int64_t)(seconds * 1000);
    }
    *out = limit_ms == 0 || ms < limit_ms ? (ms > 0 ? ms : 1) : limit_ms;
    return OK;
}

// --- the answer --------------------------------------------------------------------------------

static void stream_close(void *ctx)
{
    ResultStream *s = ctx;
    Err ignored;
    sql_writer_free(s->text);
    arrow_writer_free(s->arrow);
    if (s->run != NULL) {
        SqlStats stats;
        sql_run_stats(s->run, &stats);
        counter_add(&s->server->counters.sql_us, (uint64_t)stats.elapsed_us);
        counter_add(&s->server->counters.sql_rows, stats.rows_returned);
        sql_run_close(s->run);
    }
    if (s->file != NULL) {
        os_file_close(s->file);
        (void)os_unlink(s->server->os, s->file_path,
                        &ignored); // a leftover in the temp folder harms nobody
    }
    arena_deinit(&s->arena);
    mem_free(s);
}

static Status pull_rows(void *ctx, const HttpRequest *request, Buf *piece, bool *done, Err *err)
{
    ResultStream *s = ctx;
    (void)request;
    if (!s->begun && s->text != NULL) {
        sql_writer_begin(s->text, piece);
    }
    s->begun = true;
    while (piece->len < PIECE_BYTES && !*done) {
        Batch batch;
        TRY(sql_run_next(s->run, &batch, err));
        *done = batch.row_count == 0;
        if (*done && s->text != NULL) {
            SqlStats stats;
            sql_run_stats(s->run, &stats);
            sql_writer_end(s->text, &stats, piece);
        } else if (*done) {
            TRY(arrow_writer_finish(s->arrow, piece, err));
        } else if (s->text != NULL) {
            sql_writer_rows(s->text, &batch, piece);
        } else {
            TRY(arrow_writer_batch(s->arrow, &batch, piece, err));
        }
    }
    return OK;
}

static Status pull_file(void *ctx, const HttpRequest *request, Buf *piece, bool *done, Err *err)
{
    ResultStream *s = ctx;
    (void)request;
    const uint64_t left = s->file_size - s->file_at;
    const size_t n = left < EXPORT_READ_BYTES ? (size_t)left : EXPORT_READ_BYTES;
    size_t got = 0;
    uint8_t *to = buf_reserve(piece, n);
    TRY(os_file_read_at(s->file, s->file_at, to, n, &got, err));
    buf_commit(piece, got);
    s->file_at += got;
    *done = s->file_at == s->file_size || got == 0;
    return OK;
}

// The result as rows of a builder per column, until a row group is full.
static Status export_rows(ResultStream *s, ParquetWriter *writer, Builder **builders, Err *err)
{
    const Schema *schema = sql_run_schema(s->run);
    Vector *columns = arena_new(&s->arena, Vector, schema->count);
    Batch batch;
    uint32_t rows = 0;
    do {
        TRY(sql_run_next(s->run, &batch, err));
        for (size_t i = 0; batch.row_count > 0 && i < schema->count; i++) {
            builder_append(builders[i], &batch.columns[i]);
        }
        rows += batch.row_count;
        if (rows > 0 && (batch.row_count == 0 || rows + 2048 > PARQUET_ROW_GROUP_ROWS_MAX / 4)) {
            for (size_t i = 0; i < schema->count; i++) {
                columns[i] = builder_vector(builders[i]);
            }
            const Batch group = {.schema = schema, .columns = columns, .row_count = rows};
            TRY(parquet_writer_row_group(writer, &group, err));
            for (size_t i = 0; i < schema->count; i++) {
                builder_clear(builders[i]);
            }
            rows = 0;
        }
    } while (batch.row_count > 0);
    return OK;
}

static Status export_parquet(ResultStream *s, Err *err)
{
    Status st = OK;
    const Schema *schema = sql_run_schema(s->run);
    const ParquetWriterOptions options = {.created_by = STR("cardinal version " CARDINAL_VERSION)};
    ParquetFileSummary summary;
    ParquetWriter *writer = NULL;
    Builder **builders = arena_new(&s->arena, Builder *, schema->count);
    uint8_t random[8];
    char name[64];

    os_random(s->server->os, random, sizeof(random));
    uint64_t id = 0;
    memcpy(&id, random, sizeof(id));
    const int len = snprintf(name, sizeof(name), "/export-%016" PRIx64 ".parquet", id);
    Buf path = {0};
    buf_init(&path, OS_PATH_MAX);
    buf_put_str(&path, s->server->temp_dir);
    buf_put(&path, name, (size_t)len);
    s->file_path = arena_str(&s->arena, buf_str(&path));
    buf_deinit(&path);

    for (size_t i = 0; i < schema->count; i++) {
        builders[i] = builder_new(schema->fields[i].type);
    }
    TRY_OUT(os_file_open(s->server->os, s->file_path, OS_OPEN_CREATE_NEW, &s->file, err));
    TRY_OUT(parquet_writer_new(s->file, schema, &options, &writer, err));
    TRY_OUT(export_rows(s, writer, builders, err));
    TRY_OUT(parquet_writer_finish(writer, &s->arena, &summary, err));
    s->file_size = summary.size_bytes;
out:
    parquet_writer_free(writer);
    for (size_t i = 0; i < schema->count; i++) {
        builder_free(builders[i]);
    }
    return st;
}

static bool is_abandoned(void *ctx)
{
    return http_request_is_cancelled(ctx);
}

static Status answer(Server *server, const HttpRequest *request, SqlRequest *in,
                     HttpResponse *response, Buf *message, Err *err)
{
    Status st = OK;
    SqlFormat format = SQL_FORMAT_JSON;
    Output output = OUTPUT_TEXT;
    ResultStream *s = NULL;
    int64_t timeout_ms = 0;
    uint64_t table_rows = TABLE_ROWS_MAX;

    if (str_eq(in->format, STR("arrow"))) {
        output = OUTPUT_ARROW;
    } else if (str_eq(in->format, STR("parquet"))) {
        output = OUTPUT_PARQUET;
    } else if (in->format.len != 0 && !sql_format_parse(in->format, &format)) {
        return err_set(err, ERR_INVALID,
                       "format: expected json, json_columns, ndjson, csv, table, arrow or parquet, "
                       "found '" STR_FMT "'",
                       STR_ARG(str_slice(in->format, 0, 40)));
    }
    if (in->rows.len != 0 && !num_parse_u64(in->rows, &table_rows)) {
        return err_set(err, ERR_INVALID, "rows: expected a number, found '" STR_FMT "'",
                       STR_ARG(str_slice(in->rows, 0, 40)));
    }
    TRY(parse_timeout(in, server->config->sql_timeout_ms, &timeout_ms, err));
    const SqlQueryOptions options = {.timeout_ms = timeout_ms,
                                     .exact_text = output == OUTPUT_TEXT || in->exact,
                                     .is_abandoned = is_abandoned,
                                     .abandoned_ctx = (void *)(uintptr_t)request,
                                     .message = message};
    s = mem_new(ResultStream, 1);
    s->server = server;
    s->output = output;
    TRY_OUT(sql_query(server->sql, in->text, &options, &s->run, err));
    switch (output) {
    case OUTPUT_TEXT:
        s->text = sql_writer_new(format, sql_run_schema(s->run), sql_run_columns(s->run));
        sql_writer_rows_max(s->text, table_rows);
        response->content_type = sql_format_content_type(format);
        break;
    case OUTPUT_ARROW:
        s->arrow = arrow_writer_new(sql_run_schema(s->run));
        response->content_type = "application/vnd.apache.arrow.stream";
        break;
    case OUTPUT_PARQUET:
        TRY_OUT(export_parquet(s, err));
        response->content_type = "application/vnd.apache.parquet";
        break;
    }
    response->stream = (HttpStream){
        .pull = output == OUTPUT_PARQUET ? pull_file : pull_rows, .close = stream_close, .ctx = s};
    s = NULL;
out:
    if (s != NULL) {
        stream_close(s);
    }
    return st;
}

Status server_handle_sql(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    Server *server = ctx;
    SqlRequest in = {0};
    Buf message = {0};

    buf_init(&message, ERROR_MESSAGE_MAX_BYTES);
    counter_add(&server->counters.sql_queries, 1);
    Status st = take_request(request, &in, err);
    if (st == OK) {
        st = answer(server, request, &in, response, &message, err);
    }
    if (st != OK) {
        counter_add(&server->counters.sql_errors, 1);
    }
    if (st == ERR_LIMIT) {
        response->status = 503; // not the client's rate: the query is too large for the server
    }
    if (st != OK && message.len > 0 && st == ERR_INVALID) {
        // DuckDB's whole message, which shows where in the statement: more than an Err holds.
        response->status = 400;
        response->content_type = "application/json";
        buf_put_str(&response->body,
                    STR("{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":"));
        json_put_string(&response->body, buf_str(&message));
        buf_put_str(&response->body, STR("}\n"));
        st = OK;
    }
    buf_deinit(&message);
    arena_deinit(&in.arena);
    return st;
}

Status server_handle_tables(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    Server *server = ctx;
    Arena arena = {0};
    Buf *out = &response->body;
    Str *names = NULL;
    size_t count = 0;

    (void)request, (void)err;
    store_tables(server->store, &arena, &names, &count);
    response->content_type = "application/json";
    buf_put_str(out, STR("{\"status\":\"success\",\"data\":["));
    for (size_t i = 0; i < count; i++) {
        TableDef def;
        Err gone;
        if (store_table(server->store, names[i], &arena, &def, &gone) != OK) {
            continue;
        }
        buf_put_str(out, i == 0 ? STR("\n{\"name\":") : STR(",\n{\"name\":"));
        json_put_string(out, names[i]);
        buf_put_str(out, STR(",\"time_column\":"));
        json_put_string(out, def.time_column);
        buf_put_str(out, STR(",\"columns\":["));
        for (size_t k = 0; k < def.schema.count; k++) {
            buf_put_str(out, k == 0 ? STR("{\"name\":") : STR(",{\"name\":"));
            json_put_string(out, def.schema.fields[k].name);
            buf_putf(out, ",\"type\":\"%s\"}", column_type_sql(def.schema.fields[k].type));
        }
        buf_put_str(out, STR("]}"));
    }
    buf_put_str(out, STR("\n]}\n"));
    arena_deinit(&arena);
    return OK;
}
