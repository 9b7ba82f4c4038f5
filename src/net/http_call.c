// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // POLLRDHUP
#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "net/http_internal.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>

HttpCall *http_call_new(HttpServer *server, HttpConn *conn, Str target)
{
    HttpCall *call = mem_alloc(1, sizeof(HttpCall) + target.len);
    atomic_init(&call->refs, 1);
    call->server = server;
    call->conn = conn;
    // Relaxed: the caller holds a reference.
    atomic_fetch_add_explicit(&conn->refs, 1, memory_order_relaxed);
    if (target.len != 0) {
        memcpy(call->tail, target.ptr, target.len);
    }
    call->target = (Str){.ptr = call->tail, .len = target.len};
    call->request.peer = (Str){.ptr = conn->peer, .len = conn->peer_len};
    call->request.call = call;
    http_response_init(&call->response);
    return call;
}

void http_call_ref(HttpCall *call)
{
    // Relaxed: the caller holds a reference.
    atomic_fetch_add_explicit(&call->refs, 1, memory_order_relaxed);
}

void http_call_unref(HttpCall *call)
{
    // Release: our use is done. Acquire, for the last one: so is everybody else's.
    if (atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    http_response_deinit(&call->response);
    http_call_body_free(call);
    buf_deinit(&call->piece);
    buf_deinit(&call->text);
    mem_free(call->pairs);
    http_conn_unref(call->conn);
    mem_free(call);
}

Status http_call_refuse(HttpCall *call, int status, HttpReject why, const char *fmt, ...)
{
    char text[sizeof(call->err.msg)];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    call->refused = true;
    call->status = status;
    http_count(&call->server->rejected[why], 1);
    return err_set(&call->err, ERR_INVALID, "%s", text);
}

// ---- The head

// RFC 9110, section 5.6.2: what a header's name is made of.
static bool is_token(Str s)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < s.len; i++) {
        const char c = s.ptr[i];
        const bool alnum =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && (c == '\0' || strchr(others, c) == NULL)) {
            return false;
        }
    }
    return s.len > 0;
}

static bool is_field_value(Str s)
{
    for (size_t i = 0; i < s.len; i++) {
        const uint8_t c = (uint8_t)s.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static Str text_copy(HttpCall *call, Str s)
{
    uint8_t *p = buf_reserve(&call->text, s.len); // there is room: see reserve_text()
    if (s.len != 0) {
        memcpy(p, s.ptr, s.len);
    }
    buf_commit(&call->text, s.len);
    return (Str){.ptr = (const char *)p, .len = s.len};
}

// Decoding never makes anything longer, so this is enough for all strings of the request: the path,
// the arguments and the parameter are each at most as long as the target.
static void reserve_text(HttpCall *call, const HttpHead *head)
{
    size_t bytes = 3 * call->target.len;
    for (size_t i = 0; i < head->header_count; i++) {
        bytes += head->headers[i].name.len + head->headers[i].value.len;
    }
    (void)buf_reserve(&call->text, bytes);
}

static Status copy_headers(HttpCall *call, const HttpHead *head, HttpPair *out)
{
    for (size_t i = 0; i < head->header_count; i++) {
        const Str value = http_str_trim(head->headers[i].value);
        if (!is_token(head->headers[i].name)) {
            return http_call_refuse(call, 400, HTTP_REJECT_MALFORMED, "malformed header name");
        }
        if (!is_field_value(value)) {
            return http_call_refuse(call, 400, HTTP_REJECT_MALFORMED,
                                    "header '" STR_FMT "' has a control character",
                                    STR_ARG(head->headers[i].name));
        }
        out[i].name = text_copy(call, head->headers[i].name);
        out[i].value = text_copy(call, value);
    }
    call->request.headers = out;
    call->request.header_count = head->header_count;
    return OK;
}

// The one header called `name`; 400 when there are several, which proxies and we might read
// differently.
static Status single_header(HttpCall *call, Str name, bool *found, Str *value)
{
    size_t count = 0;
    for (size_t i = 0; i < call->request.header_count; i++) {
        if (http_str_eq_nocase(call->request.headers[i].name, name)) {
            *value = call->request.headers[i].value;
            count++;
        }
    }
    *found = count > 0;
    if (count > 1) {
        return http_call_refuse(call, 400, HTTP_REJECT_MALFORMED,
                                "more than one '" STR_FMT "' header", STR_ARG(name));
    }
    return OK;
}

// How long the body is, so that nobody in front of us can read it differently (RFC 9112, section 6:
// request smuggling). Until this is known the connection cannot be kept.
static Status check_framing(HttpCall *call)
{
    bool has_length = false;
    bool has_coding = false;
    bool has_host = false;
    Str length = {0};
    Str coding = {0};
    Str host = {0};

    call->has_body = true;
    TRY(single_header(call, STR("content-length"), &has_length, &length));
    TRY(single_header(call, STR("transfer-encoding"), &has_coding, &coding));
    TRY(single_header(call, STR("host"), &has_host, &host));
    if (has_length && has_coding) {
        return http_call_refuse(call, 400, HTTP_REJECT_MALFORMED,
                                "both Content-Length and Transfer-Encoding");
    }
    if (has_coding && !http_str_eq_nocase(coding, STR("chunked"))) {
        return http_call_refuse(call, 501, HTTP_REJECT_MALFORMED,
                                "transfer encoding '" STR_FMT "' is not supported",
                                STR_ARG(str_slice(coding, 0, 64)));
    }
    if (has_coding && !call->http11) {
        return http_call_refuse(call, 400, HTTP_REJECT_MALFORMED,
                                "Transfer-Encoding in an HTTP/1.0 request");
    }
    if (has_length && !num_parse_u64(length, &call->body_announced)) {
        return http_call_refuse(call, 400, HTTP_REJECT_MALFORMED, "malformed Content-Length");
    }
    call->has_body = has_coding || call->body_announced > 0;
    if (call->http11 && !has_host) {
        return http_call_refuse(call, 400, HTTP_REJECT_MALFORMED, "no Host header");
    }
    return OK;
}

static bool has_dot_segment(Str path)
{
    while (path.len > 0) {
        Str segment = path;
        if (!str_cut(path, '/', &segment, &path)) {
            path = (Str){0};
        }
        if (str_eq(segment, STR(".")) || str_eq(segment, STR(".."))) {
            return true;
        }
    }
    return false;
}

// Splits the target (RFC 9112, section 3.2: origin form, or absolute form) and decodes the path.
static Status parse_target(HttpCall *call, Str *raw_path, Str *raw_query)
{
    Str target = call->target;
    Err err;
    for (size_t i = 0; i < target.len; i++) {
        if ((uint8_t)target.ptr[i] <= 0x20 || target.ptr[i] == 0x7f || target.ptr[i] == '#') {
            return http_call_refuse(call, 400, HTTP_REJECT_MALFORMED,
                                    "byte 0x%02x is not allowed in a request target",
                                    (unsigned)(uint8_t)target.ptr[i]);
        }
    }
    if (str_eq(str_slice(target, 0, 7), STR("http://"))) {
        target = str_slice(target, 7, target.len);
        const char *slash = target.len == 0 ? NULL : memchr(target.ptr, '/', target.len);
        target =
            slash == NULL ? STR("/") : str_slice(target, (size_t)(slash - target.ptr), target.len);
    }
    *raw_path = target;
    *raw_query = (Str){0};
    (void)str_cut(target, '?', raw_path, raw_query);
    if (raw_path->len == 0 || raw_path->ptr[0] != '/') {
        return http_call_refuse(call, 400, HTTP_REJECT_MALFORMED,
                                "the path does not start with '/'");
    }
    if (http_unescape(*raw_path, false, &call->text, &call->request.path, &err) != OK) {
        call->request.path = (Str){0};
        return http_call_refuse(call, 400, HTTP_REJECT_MALFORMED, "path: %s", err.msg);
    }
    if (has_dot_segment(call->request.path)) {
        return http_call_refuse(call, 400, HTTP_REJECT_MALFORMED,
                                "the path has a '.' or '..' segment");
    }
    return OK;
}

static void put_allow(HttpCall *call, unsigned allowed)
{
    char text[96];
    size_t len = 0;
    for (unsigned bit = HTTP_GET; bit <= HTTP_PATCH; bit <<= 1) {
        if ((allowed & bit) != 0) {
            const int n = snprintf(text + len, sizeof(text) - len, "%s%s", len == 0 ? "" : ", ",
                                   http_method_text((HttpMethod)bit));
            len += (size_t)n;
        }
    }
    http_response_header_own(&call->response, STR("Allow"), (Str){text, len});
}

static Status find_route(HttpCall *call, Str raw_path)
{
    const HttpServerOptions *options = &call->server->options;
    const HttpMatch match =
        http_route_find(options->routes, options->route_count, call->request.method, raw_path);
    Err err;
    if (match.allowed == 0) {
        return http_call_refuse(call, 404, HTTP_REJECT_NO_ROUTE, "no such path: '" STR_FMT "'",
                                STR_ARG(str_slice(call->request.path, 0, 128)));
    }
    if (match.route == NULL) {
        put_allow(call, match.allowed);
        return http_call_refuse(
            call, 405, HTTP_REJECT_NO_ROUTE, "method %s is not allowed for '" STR_FMT "'",
            http_method_text(call->request.method), STR_ARG(str_slice(call->request.path, 0, 128)));
    }
    call->route = match.route;
    if (http_unescape(match.param, false, &call->text, &call->request.param, &err) != OK) {
        return http_call_refuse(call, 400, HTTP_REJECT_MALFORMED, "path: %s", err.msg);
    }
    return OK;
}

// What the head announces must be within the limits before a byte of it is read.
static Status check_body(HttpCall *call)
{
    Str expect = {0};
    const size_t route_max = call->route->body_bytes_max;
    call->body_bytes_max = route_max != 0 ? route_max : call->server->options.body_bytes_max;
    if (call->body_announced > call->body_bytes_max) {
        return http_call_refuse(call, 413, HTTP_REJECT_BODY_SIZE,
                                "body of %" PRIu64 " bytes; the limit is %zu", call->body_announced,
                                call->body_bytes_max);
    }
    if (http_request_header(&call->request, STR("expect"), &expect) &&
        !http_str_eq_nocase(expect, STR("100-continue"))) {
        return http_call_refuse(call, 417, HTTP_REJECT_MALFORMED,
                                "expectation '" STR_FMT "' cannot be met",
                                STR_ARG(str_slice(expect, 0, 64)));
    }
    buf_init(&call->body, call->body_bytes_max);
    if (call->body_announced > 0) {
        // Only address space so far: memory that is not written to is not used, and what is
        // written is charged as it arrives.
        (void)buf_reserve(&call->body, (size_t)call->body_announced);
    }
    return OK;
}

Status http_call_head(HttpCall *call, const HttpHead *head)
{
    HttpRequest *request = &call->request;
    Str raw_path = {0};
    Str raw_query = {0};
    Err err;

    call->http11 = head->http11;
    call->has_body = true; // until check_framing() knows better
    if (head->header_count > HTTP_HEADERS_MAX) {
        return http_call_refuse(call, 431, HTTP_REJECT_HEAD_SIZE, "more than %d headers",
                                HTTP_HEADERS_MAX);
    }
    if (head->size_bytes > call->server->options.head_bytes_max) {
        return http_call_refuse(call, 431, HTTP_REJECT_HEAD_SIZE,
                                "head of %zu bytes; the limit is %zu", head->size_bytes,
                                call->server->options.head_bytes_max);
    }
    const size_t arg_cap = http_args_count(call->target);
    call->pairs = mem_alloc_raw((arg_cap + head->header_count + 1) * sizeof(HttpPair));
    reserve_text(call, head);
    TRY(copy_headers(call, head, call->pairs + arg_cap));
    TRY(check_framing(call));
    if (!http_method_parse(head->method, &request->method)) {
        return http_call_refuse(call, 501, HTTP_REJECT_NO_ROUTE,
                                "method '" STR_FMT "' is not implemented",
                                STR_ARG(str_slice(head->method, 0, 32)));
    }
    TRY(parse_target(call, &raw_path, &raw_query));
    if (http_args_parse(raw_query, &call->text, call->pairs, &request->arg_count, &err) != OK) {
        return http_call_refuse(call, 400, HTTP_REJECT_MALFORMED, "query: %s", err.msg);
    }
    request->args = call->pairs;
    TRY(find_route(call, raw_path));
    return check_body(call);
}

// ---- The body

Status http_call_body(HttpCall *call, Bytes piece)
{
    HttpServer *server = call->server;
    // Relaxed: a limit, not a hand-over.
    const uint64_t before =
        atomic_fetch_add_explicit(&server->bodies_bytes, piece.len, memory_order_relaxed);
    call->body_charged += piece.len;
    if (before + piece.len > server->options.bodies_bytes_max) {
        http_response_header_own(&call->response, STR("Retry-After"), STR("1"));
        return http_call_refuse(call, 503, HTTP_REJECT_BODIES_FULL,
                                "too many request bodies at once; try again later");
    }
    buf_put(&call->body, piece.ptr, piece.len);
    if (!buf_ok(&call->body)) {
        return http_call_refuse(call, 413, HTTP_REJECT_BODY_SIZE,
                                "body of more than %zu bytes, which is the limit",
                                call->body_bytes_max);
    }
    call->request.body = buf_bytes(&call->body);
    http_count(&server->in_bytes, piece.len);
    return OK;
}

void http_call_body_free(HttpCall *call)
{
    atomic_fetch_sub_explicit(&call->server->bodies_bytes, call->body_charged,
                              memory_order_relaxed); // as above
    call->body_charged = 0;
    call->request.body = (Bytes){0};
    buf_deinit(&call->body);
}

// ---- Running

static void shape_default(int status, Str message, HttpResponse *response)
{
    (void)status;
    response->content_type = "text/plain; charset=utf-8";
    buf_put_str(&response->body, message);
    buf_put_u8(&response->body, '\n');
}

void http_error_shape(const HttpServer *server, const HttpRequest *request, int status, Str message,
                      HttpResponse *response)
{
    const HttpServerOptions *options = &server->options;
    if (options->error != NULL) {
        options->error(options->error_ctx, request, status, message, response);
    } else {
        shape_default(status, message, response);
    }
    response->status = status;
}

void http_call_shape_error(HttpCall *call)
{
    HttpResponse *response = &call->response;
    http_response_deinit(response);
    response->content_type = NULL;
    call->streaming = false;
    http_error_shape(call->server, &call->request, call->status,
                     (Str){call->err.msg, strlen(call->err.msg)}, response);
}

static void fail(HttpCall *call, Status status)
{
    const int wanted = call->response.status;
    call->status = wanted >= 400 ? wanted : err_status_http(status);
    if (call->status == 503 || call->status == 429) {
        http_response_header_own(&call->response, STR("Retry-After"), STR("1"));
    }
    http_call_shape_error(call);
}

// The first piece decides whether there is a stream at all: an error is still answered as an error,
// and what fits one piece goes out with its length.
static void begin_stream(HttpCall *call)
{
    HttpStream *stream = &call->response.stream;
    bool done = false;
    const Status st = stream->pull(stream->ctx, &call->request, &call->piece, &done, &call->err);
    if (st != OK) {
        fail(call, st);
        return;
    }
    if (!done) {
        call->streaming = true;
        return;
    }
    const Buf whole = call->piece;
    call->piece = (Buf){0};
    http_response_deinit(&call->response);
    call->response.body = whole;
}

static void run_handler(HttpCall *call)
{
    HttpResponse *response = &call->response;
    const Status st = call->route->handler(call->route->ctx, &call->request, response, &call->err);
    if (st != OK) {
        fail(call, st);
        return;
    }
    if (response->stream.pull != NULL) {
        begin_stream(call);
    }
    if (call->status == 0) {
        call->status = response->status != 0 ? response->status : 200;
    }
}

static void pull_piece(HttpCall *call)
{
    HttpStream *stream = &call->response.stream;
    if (call->piece.cap > HTTP_PIECE_BYTES_KEEP) {
        buf_deinit(&call->piece);
    }
    buf_clear(&call->piece);
    call->piece_sent = 0;
    if (stream->pull(stream->ctx, &call->request, &call->piece, &call->piece_last, &call->err) !=
        OK) {
        call->stream_failed = true;
    }
}

// ---- Content coding of responses

static bool is_zero_quality(Str parameters)
{
    Str q = http_str_trim(parameters);
    if (q.len < 3 || (q.ptr[0] != 'q' && q.ptr[0] != 'Q') || q.ptr[1] != '=' || q.ptr[2] != '0') {
        return false;
    }
    for (size_t i = 3; i < q.len; i++) {
        if (q.ptr[i] != '.' && q.ptr[i] != '0') {
            return false;
        }
    }
    return true;
}

// RFC 9110, section 12.5.3, as far as it concerns `coding`; `by_star`: "*" names it as well.
static bool accepts(const HttpRequest *request, Str coding, bool by_star)
{
    Str list = {0};
    bool any = false;
    if (!http_request_header(request, STR("accept-encoding"), &list)) {
        return false;
    }
    while (list.len > 0) {
        Str item = list;
        Str parameters = {0};
        if (!str_cut(list, ',', &item, &list)) {
            list = (Str){0};
        }
        (void)str_cut(item, ';', &item, &parameters);
        item = http_str_trim(item);
        if (http_str_eq_nocase(item, coding)) {
            return !is_zero_quality(parameters);
        }
        any = any || (by_star && str_eq(item, STR("*")) && !is_zero_quality(parameters));
    }
    return any;
}

static bool is_text(const char *content_type)
{
    static const Str prefixes[] = {STR("text/"), STR("application/json"),
                                   STR("application/x-ndjson"), STR("application/javascript"),
                                   STR("image/svg+xml")};
    const Str type = {content_type, strlen(content_type)};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        if (str_eq(str_slice(type, 0, prefixes[i].len), prefixes[i])) {
            return true;
        }
    }
    return false;
}

static bool has_response_header(const HttpResponse *response, Str name)
{
    for (size_t i = 0; i < response->header_count; i++) {
        if (http_str_eq_nocase(response->headers[i].name, name)) {
            return true;
        }
    }
    return false;
}

static void compress_body(HttpCall *call, Compress *compress)
{
    enum { LEVEL = 1 }; // of both: CPU is dearer here than a few bytes
    HttpResponse *response = &call->response;
    Buf packed;
    Err err;
    if (response->body.len <= call->server->options.gzip_bytes_min ||
        response->content_type == NULL || !is_text(response->content_type) ||
        has_response_header(response, STR("content-encoding"))) {
        return;
    }
    http_response_header_own(response, STR("Vary"), STR("Accept-Encoding"));
    const bool zstd = accepts(&call->request, STR("zstd"), false);
    if (!zstd && !accepts(&call->request, STR("gzip"), true)) {
        return;
    }
    buf_init(&packed, 0);
    if (compress_encode(compress, zstd ? COMPRESS_ZSTD : COMPRESS_GZIP, LEVEL,
                        buf_bytes(&response->body), &packed, &err) == OK &&
        packed.len < response->body.len) {
        const Buf plain = response->body;
        response->body = packed;
        packed = plain;
        http_response_header_own(response, STR("Content-Encoding"),
                                 zstd ? STR("zstd") : STR("gzip"));
    }
    buf_deinit(&packed);
}

void http_call_work(HttpCall *call, Compress *compress)
{
    const int64_t start_ns = http_now_ns();
    if (call->streaming) {
        pull_piece(call);
    } else {
        call->wait_ns = start_ns - call->queued_ns;
        run_handler(call);
    }
    if (!call->streaming) {
        compress_body(call, compress);
        http_call_body_free(call);
    }
    call->work_ns += http_now_ns() - start_ns;
}

// ---- Has the client gone?

bool http_request_is_cancelled(const HttpRequest *request)
{
    HttpCall *call = request->call;
    if (call == NULL) {
        return false;
    }
    // Relaxed: a hint that is acted on some time later.
    if (atomic_load_explicit(&call->cancelled, memory_order_relaxed)) {
        return true;
    }
    const int64_t now_ms = http_now_ms();
    if (now_ms - atomic_load_explicit(&call->checked_ms, memory_order_relaxed) <
        HTTP_CANCEL_CHECK_MS) {
        return false;
    }
    atomic_store_explicit(&call->checked_ms, now_ms, memory_order_relaxed);
    HttpConn *conn = call->conn;
    mutex_lock(&conn->mu); // so that the descriptor is not closed and reused meanwhile
    struct pollfd p = {.fd = conn->fd, .events = POLLRDHUP};
    const bool gone =
        conn->fd < 0 || (poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0);
    mutex_unlock(&conn->mu);
    if (gone) {
        atomic_store_explicit(&call->cancelled, true, memory_order_relaxed);
    }
    return gone;
}
