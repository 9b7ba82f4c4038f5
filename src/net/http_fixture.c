// SPDX-License-Identifier: Apache-2.0
#include "net/http_fixture.h"

#include "base/mem.h"
#include "os/os.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { CLIENT_TIMEOUT_S = 20 };

// ---- What the server under test does

static Status echo(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    FixtureApp *app = ctx;
    (void)err;
    atomic_fetch_add(&app->handled, 1);
    response->content_type = "application/octet-stream";
    buf_put(&response->body, request->body.ptr, request->body.len);
    return OK;
}

// Everything a handler can see of a request.
static Status show(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    FixtureApp *app = ctx;
    Str header = {0};
    (void)err;
    atomic_fetch_add(&app->handled, 1);
    response->content_type = "text/plain";
    buf_putf(&response->body, "%s " STR_FMT " param=" STR_FMT, http_method_text(request->method),
             STR_ARG(request->path), STR_ARG(request->param));
    for (size_t i = 0; i < request->arg_count; i++) {
        buf_putf(&response->body, " " STR_FMT "=" STR_FMT, STR_ARG(request->args[i].name),
                 STR_ARG(request->args[i].value));
    }
    if (http_request_header(request, STR("x-test"), &header)) {
        buf_putf(&response->body, " x-test=" STR_FMT, STR_ARG(header));
    }
    http_response_header(response, STR("X-Answer"), STR("42"));
    return OK;
}

static Status wait_here(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    FixtureApp *app = ctx;
    (void)response;
    atomic_fetch_add(&app->handled, 1);
    atomic_fetch_add(&app->waiting, 1);
    while (!atomic_load(&app->release)) {
        if (http_request_is_cancelled(request)) {
            atomic_store(&app->saw_cancel, true);
            atomic_fetch_sub(&app->waiting, 1);
            return err_set(err, ERR_CANCELLED, "cancelled");
        }
        os_sleep_ns(os_posix(), 1000000);
    }
    atomic_fetch_sub(&app->waiting, 1);
    return OK;
}

static Status fail_so(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    Str arg = {0};
    (void)ctx;
    buf_put_str(&response->body, STR("this is thrown away"));
    if (http_request_arg(request, STR("status"), &arg)) {
        response->status = (arg.ptr[0] - '0') * 100 + (arg.ptr[1] - '0') * 10 + (arg.ptr[2] - '0');
    }
    return err_set(err, ERR_NOT_FOUND, "no such table");
}

static Status large(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    (void)ctx, (void)err, (void)request;
    response->content_type = "application/json";
    for (int i = 0; i < 2000; i++) {
        buf_putf(&response->body, "[%d,\"some text that repeats\"],", i);
    }
    return OK;
}

typedef struct Lines {
    FixtureApp *app;
    int next, fail_at, end;
} Lines;

static Status pull_lines(void *ctx, const HttpRequest *request, Buf *piece, bool *done, Err *err)
{
    Lines *lines = ctx;
    if (http_request_is_cancelled(request)) {
        return err_set(err, ERR_CANCELLED, "cancelled");
    }
    for (int i = 0; i < 500 && lines->next < lines->end; i++) {
        if (lines->next == lines->fail_at) {
            return err_set(err, ERR_UNAVAILABLE, "the disk has gone");
        }
        buf_putf(piece, "line %d\n", lines->next++);
    }
    *done = lines->next >= lines->end;
    return OK;
}

static void close_lines(void *ctx)
{
    Lines *lines = ctx;
    atomic_fetch_sub(&lines->app->stream_open, 1);
    mem_free(lines);
}

static Status stream(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    Lines *lines = mem_new(Lines, 1);
    (void)err;
    lines->app = ctx;
    lines->end = str_eq(request->param, STR("short")) ? 3 : FIXTURE_STREAM_LINES;
    lines->fail_at = str_eq(request->param, STR("fail-first"))   ? 0
                     : str_eq(request->param, STR("fail-later")) ? 20000
                                                                 : -1;
    lines->end = str_eq(request->param, STR("endless")) ? INT32_MAX : lines->end;
    atomic_fetch_add(&lines->app->stream_open, 1);
    response->content_type = "text/plain";
    response->stream = (HttpStream){.pull = pull_lines, .close = close_lines, .ctx = lines};
    return OK;
}

static void on_done(void *ctx, const HttpDone *done)
{
    FixtureApp *app = ctx;
    atomic_store(&app->last_status, done->status);
    atomic_fetch_add(&app->incomplete, done->complete ? 0 : 1);
    atomic_fetch_add(&app->done, 1);
}

FixtureApp fixture_app;

const HttpRoute fixture_routes[] = {
    {HTTP_GET, "/inline", HTTP_CLASS_INLINE, 0, show, &fixture_app},
    {HTTP_GET | HTTP_POST, "/show", HTTP_CLASS_READ, 0, show, &fixture_app},
    {HTTP_GET, "/label/:name/values", HTTP_CLASS_READ, 0, show, &fixture_app},
    {HTTP_GET, "/ui/*", HTTP_CLASS_READ, 0, show, &fixture_app},
    {HTTP_POST | HTTP_PUT, "/echo", HTTP_CLASS_WRITE, 4 << 20, echo, &fixture_app},
    {HTTP_POST, "/small", HTTP_CLASS_WRITE, 100, echo, &fixture_app},
    {HTTP_GET, "/wait", HTTP_CLASS_READ, 0, wait_here, &fixture_app},
    {HTTP_GET, "/fail", HTTP_CLASS_READ, 0, fail_so, &fixture_app},
    {HTTP_GET, "/large", HTTP_CLASS_READ, 0, large, &fixture_app},
    {HTTP_GET, "/large-inline", HTTP_CLASS_INLINE, 0, large, &fixture_app},
    {HTTP_GET, "/stream/:what", HTTP_CLASS_READ, 0, stream, &fixture_app},
};
const size_t fixture_route_count = ARRAY_LEN(fixture_routes);

void fixture_start(Test *t, HttpServerOptions options)
{
    Err err;
    memset(&fixture_app, 0, sizeof(fixture_app));
    options.address = options.address.len > 0 ? options.address : STR("127.0.0.1");
    options.routes = fixture_routes;
    options.route_count = fixture_route_count;
    options.done = on_done;
    options.done_ctx = &fixture_app;
    CHECK_OK(http_server_start(&options, &fixture_app.server, &err));
    CHECK(http_server_port(fixture_app.server) != 0);
}

void fixture_finish(Test *t)
{
    HttpStats stats;
    atomic_store(&fixture_app.release, true);
    CHECK_EQ(http_server_stop(fixture_app.server, 5000), 0);
    http_server_stats(fixture_app.server, &stats);
    CHECK_EQ(stats.connections, 0);
    CHECK_EQ(stats.in_flight, 0);
    CHECK_EQ(stats.bodies_bytes, 0);
    http_server_free(fixture_app.server);
    CHECK_EQ(atomic_load(&fixture_app.stream_open), 0);
}

HttpStats fixture_stats(void)
{
    HttpStats stats;
    http_server_stats(fixture_app.server, &stats);
    return stats;
}

// ---- Clients

int fixture_connect(Test *t, uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    const struct timeval timeout = {.tv_sec = CLIENT_TIMEOUT_S};
    const int on = 1;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    CHECK_EQ(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

int fixture_dial(Test *t)
{
    return fixture_connect(t, http_server_port(fixture_app.server));
}

// False when the connection broke.
bool fixture_send(int fd, Str text)
{
    while (text.len > 0) {
        const ssize_t n = send(fd, text.ptr, text.len, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        text = str_slice(text, (size_t)n, text.len);
    }
    return true;
}

bool fixture_receive_some(int fd, Buf *into)
{
    uint8_t *p = buf_reserve(into, 65536);
    const ssize_t n = recv(fd, p, 65536, 0);
    if (n <= 0) {
        return false;
    }
    buf_commit(into, (size_t)n);
    return true;
}

void fixture_receive_all(int fd, Buf *into)
{
    buf_clear(into);
    while (fixture_receive_some(fd, into)) {
    }
}

const char *fixture_find(Str s, const char *part)
{
    const size_t len = strlen(part);
    for (size_t i = 0; i + len <= s.len; i++) {
        if (memcmp(s.ptr + i, part, len) == 0) {
            return s.ptr + i;
        }
    }
    return NULL;
}

// Reads one response with a Content-Length; the rest stays in `into` for the next call. Returns its
// status, 0 when the connection ended first.
int fixture_receive_response(int fd, Buf *into, Buf *body, bool head_only)
{
    for (;;) {
        const Str text = buf_str(into);
        const char *end = fixture_find(text, "\r\n\r\n");
        if (end != NULL) {
            const size_t head = (size_t)(end - text.ptr) + 4;
            const char *length = fixture_find(str_slice(text, 0, head), "Content-Length: ");
            const size_t n = length == NULL || head_only ? 0 : strtoul(length + 16, NULL, 10);
            if (text.len >= head + n) {
                const int status = (int)strtol(text.ptr + 9, NULL, 10);
                buf_clear(body);
                buf_put(body, text.ptr + head, n);
                memmove(into->ptr, into->ptr + head + n, text.len - head - n);
                into->len = text.len - head - n;
                return status;
            }
        }
        if (!fixture_receive_some(fd, into)) {
            return 0;
        }
    }
}

// One exchange on a connection of its own. Returns everything that came back until the server
// closed, or the one response when it keeps the connection.
void fixture_exchange(Test *t, Str request, size_t piece, Buf *answer)
{
    const int fd = fixture_dial(t);
    for (size_t i = 0; i < request.len; i += piece) {
        if (!fixture_send(fd, str_slice(request, i, i + piece))) {
            break;
        }
    }
    fixture_receive_all(fd, answer);
    (void)close(fd);
}

void fixture_sleep_ms(int ms)
{
    os_sleep_ns(os_posix(), ms * INT64_C(1000000));
}

void fixture_wait_until(Test *t, const atomic_int *value, int want)
{
    for (int i = 0; atomic_load(value) != want; i++) {
        if (i > 10000) {
            test_fail(t, __FILE__, __LINE__, "waited for %d, it is %d", want, atomic_load(value));
        }
        fixture_sleep_ms(1);
    }
}
