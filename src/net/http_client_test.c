// SPDX-License-Identifier: Apache-2.0
#include "net/http_client.h"

#include "net/http_server.h"
#include "os/os.h"
#include "os/thread.h"
#include "tests/support/test.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static Status answer(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    Str arg = {0};
    Str header = {0};
    (void)ctx, (void)err;
    response->content_type = "text/plain";
    if (http_request_arg(request, STR("status"), &arg)) {
        response->status = (arg.ptr[0] - '0') * 100 + (arg.ptr[1] - '0') * 10 + (arg.ptr[2] - '0');
        http_response_header(response, STR("Location"), STR("/elsewhere"));
    }
    (void)http_request_header(request, STR("X-Test"), &header);
    buf_putf(&response->body, "%s " STR_FMT " x-test='" STR_FMT "' ",
             http_method_text(request->method), STR_ARG(request->path), STR_ARG(header));
    buf_put(&response->body, request->body.ptr, request->body.len);
    http_response_header(response, STR("X-Answer"), STR(" 42 "));
    return OK;
}

static Status large(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    (void)ctx, (void)request, (void)err;
    response->content_type = "text/plain";
    for (int i = 0; i < 10000; i++) {
        buf_put_str(&response->body, STR("0123456789"));
    }
    return OK;
}

static Status slow(void *ctx, const HttpRequest *request, HttpResponse *response, Err *err)
{
    (void)ctx, (void)response, (void)err;
    for (int i = 0; i < 5000 && !http_request_is_cancelled(request); i++) {
        os_sleep_ns(os_posix(), 1000000);
    }
    return OK;
}

static const HttpRoute routes[] = {
    {HTTP_GET | HTTP_POST | HTTP_PUT | HTTP_DELETE | HTTP_PATCH | HTTP_OPTIONS, "/answer",
     HTTP_CLASS_READ, 0, answer, NULL},
    {HTTP_GET, "/large", HTTP_CLASS_READ, 0, large, NULL},
    {HTTP_GET, "/slow", HTTP_CLASS_READ, 0, slow, NULL},
};

typedef struct Fixture {
    HttpServer *server;
    HttpClient *client;
    char url[128];
} Fixture;

static Fixture begin(Test *t)
{
    Fixture f = {.client = http_client_new()};
    Err err;
    const HttpServerOptions options = {
        .address = STR("127.0.0.1"), .routes = routes, .route_count = ARRAY_LEN(routes)};
    CHECK_OK(http_server_start(&options, &f.server, &err));
    return f;
}

static void end(Fixture *f)
{
    http_client_free(f->client);
    (void)http_server_stop(f->server, 1000);
    http_server_free(f->server);
}

static Str url(Fixture *f, const char *path)
{
    (void)snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u%s", http_server_port(f->server),
                   path);
    return (Str){f->url, strlen(f->url)};
}

TEST(http_client, methods_headers_and_bodies)
{
    static const HttpPair headers[] = {{STR("X-Test"), STR("v")}, {STR("X-Empty"), STR("")}};
    static const HttpMethod methods[] = {0,           HTTP_GET,   HTTP_POST,    HTTP_PUT,
                                         HTTP_DELETE, HTTP_PATCH, HTTP_OPTIONS, HTTP_HEAD};
    Fixture f = begin(t);
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        HttpClientResponse response;
        Err err;
        char want[64];
        Str value = {0};
        const HttpMethod method = methods[i] == 0 ? HTTP_GET : methods[i];
        const bool body = method == HTTP_POST || method == HTTP_PUT || method == HTTP_PATCH;
        const HttpClientRequest request = {.method = methods[i],
                                           .url = url(&f, "/answer?x=1"),
                                           .headers = headers,
                                           .header_count = ARRAY_LEN(headers),
                                           .body = {(const uint8_t *)"hello", 5}};
        CHECK_OK(http_client_do(f.client, &request, &response, &err));
        CHECK_EQ(response.status, 200);
        (void)snprintf(want, sizeof(want), "%s /answer x-test='v' %s", http_method_text(method),
                       body ? "hello" : "");
        CHECK_STR(buf_str(&response.body),
                  method == HTTP_HEAD ? STR("") : ((Str){want, strlen(want)}));
        CHECK(http_client_response_header(&response, STR("x-answer"), &value));
        CHECK_STR(value, STR("42"));
        CHECK(!http_client_response_header(&response, STR("x-other"), &value));
        http_client_response_deinit(&response);
    }
    HttpStats stats;
    http_server_stats(f.server, &stats);
    CHECK_EQ(stats.connections_total, 1); // they all used the same connection
    end(&f);
}

TEST(http_client, any_status_is_an_answer_and_no_redirect_is_followed)
{
    static const int statuses[] = {302, 404, 422, 503};
    Fixture f = begin(t);
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        HttpClientResponse response;
        Err err;
        char path[64];
        (void)snprintf(path, sizeof(path), "/answer?status=%d", statuses[i]);
        CHECK_OK(
            http_client_do(f.client, &(HttpClientRequest){.url = url(&f, path)}, &response, &err));
        CHECK_EQ(response.status, statuses[i]);
        CHECK(response.body.len > 0);
        http_client_response_deinit(&response);
    }
    end(&f);
}

static Status take(void *ctx, Bytes piece, Err *err)
{
    size_t *left = ctx;
    if (piece.len > *left) {
        return err_set(err, ERR_UNAVAILABLE, "the disk is full");
    }
    *left -= piece.len;
    return OK;
}

TEST(http_client, response_size_and_sink)
{
    static const struct {
        size_t limit, sink;
        Status status;
    } cases[] = {
        {100000, 0, OK},
        {99999, 0, ERR_TOO_LARGE},
        {10, 100000, OK},
        {10, 99999, ERR_UNAVAILABLE},
    };
    Fixture f = begin(t);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        HttpClientResponse response;
        Err err;
        size_t left = cases[i].sink;
        const HttpClientRequest request = {.url = url(&f, "/large"), // comes compressed
                                           .body_bytes_max = cases[i].limit,
                                           .sink = cases[i].sink != 0 ? take : NULL,
                                           .sink_ctx = &left};
        CHECK_EQ(http_client_do(f.client, &request, &response, &err), cases[i].status);
        if (cases[i].status == OK) {
            CHECK_EQ(response.body.len, cases[i].sink == 0 ? 100000 : 0);
            CHECK_EQ(left, 0);
        }
        http_client_response_deinit(&response);
    }
    // The body of an error does not go to the sink.
    size_t left = 0;
    HttpClientResponse response;
    Err err;
    const HttpClientRequest request = {.url = url(&f, "/nope"), .sink = take, .sink_ctx = &left};
    CHECK_OK(http_client_do(f.client, &request, &response, &err));
    CHECK_EQ(response.status, 404);
    CHECK(response.body.len > 0);
    http_client_response_deinit(&response);
    end(&f);
}

static void cancel_soon(void *arg)
{
    atomic_bool *cancel = arg;
    os_sleep_ns(os_posix(), 50000000);
    atomic_store(cancel, true);
}

TEST(http_client, timeout_and_cancellation)
{
    Fixture f = begin(t);
    HttpClientResponse response;
    Err err;
    atomic_bool cancel;
    Thread thread = {0};
    atomic_init(&cancel, false);
    CHECK_EQ(http_client_do(f.client,
                            &(HttpClientRequest){.url = url(&f, "/slow"), .timeout_ms = 100},
                            &response, &err),
             ERR_TIMEOUT);
    http_client_response_deinit(&response);
    CHECK_OK(thread_start(&thread, "cancel", cancel_soon, &cancel, &err));
    CHECK_EQ(http_client_do(f.client,
                            &(HttpClientRequest){.url = url(&f, "/slow"), .cancel = &cancel},
                            &response, &err),
             ERR_CANCELLED);
    http_client_response_deinit(&response);
    thread_join(&thread);
    end(&f);
}

TEST(http_client, refused_requests)
{
    static const HttpPair forged = {STR("X"), STR("a\r\nY: b")};
    static const struct {
        Str url;
        const HttpPair *header;
        Status status;
    } cases[] = {
        {STR(""), NULL, ERR_INVALID},
        {STR("http://127.0.0.1/a b"), NULL, ERR_INVALID},
        {STR("http://127.0.0.1/\r\nX: y"), NULL, ERR_INVALID},
        {STR("ftp://127.0.0.1/"), NULL, ERR_INVALID},
        {STR("file:///etc/passwd"), NULL, ERR_INVALID},
        {STR("http://127.0.0.1:1/"), &forged, ERR_INVALID},
        {STR("http://127.0.0.1:1/"), NULL, ERR_UNAVAILABLE}, // nobody listens
    };
    HttpClient *client = http_client_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        HttpClientResponse response;
        Err err;
        const HttpClientRequest request = {.url = cases[i].url,
                                           .headers = cases[i].header,
                                           .header_count = cases[i].header != NULL ? 1 : 0};
        const Status st = http_client_do(client, &request, &response, &err);
        if (st != cases[i].status) {
            test_fail(t, __FILE__, __LINE__, STR_FMT ": %d", STR_ARG(cases[i].url), st);
        }
        http_client_response_deinit(&response);
    }
    http_client_free(client);
}

// A peer that is no HTTP server, or one that hangs up in the middle.
typedef struct Peer {
    Thread thread;
    int listen_fd;
    Str says;
} Peer;

static void peer_run(void *arg)
{
    Peer *peer = arg;
    char in[4096];
    const int fd = accept(peer->listen_fd, NULL, NULL);
    (void)!recv(fd, in, sizeof(in), 0);
    (void)!send(fd, peer->says.ptr, peer->says.len, MSG_NOSIGNAL);
    (void)close(fd);
}

TEST(http_client, broken_answers)
{
    static const Str answers[] = {
        STR(""),
        STR("SSH-2.0-OpenSSH_9.2\r\n"),
        STR("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"),
        STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
    };
    HttpClient *client = http_client_new();
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        Peer peer = {.says = answers[i]};
        struct sockaddr_in addr = {.sin_family = AF_INET};
        socklen_t len = sizeof(addr);
        HttpClientResponse response;
        char text[64];
        Err err;
        addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        peer.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_EQ(bind(peer.listen_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
        CHECK_EQ(listen(peer.listen_fd, 1), 0);
        CHECK_EQ(getsockname(peer.listen_fd, (struct sockaddr *)&addr, &len), 0);
        CHECK_OK(thread_start(&peer.thread, "peer", peer_run, &peer, &err));
        (void)snprintf(text, sizeof(text), "http://127.0.0.1:%u/", ntohs(addr.sin_port));
        const HttpClientRequest request = {.url = {text, strlen(text)}};
        const Status st = http_client_do(client, &request, &response, &err);
        CHECK(st == ERR_IO ||
              st == ERR_INVALID); // "SSH..." is HTTP/0.9 to curl, a protocol it refuses
        http_client_response_deinit(&response);
        thread_join(&peer.thread);
        (void)close(peer.listen_fd);
    }
    http_client_free(client);
}

TEST(http_client, escaping)
{
    Buf out;
    buf_init(&out, 0);
    http_client_put_escaped(&out, STR("a-Z_0.9~ /?&=+%\xc3\xa9"));
    CHECK_STR(buf_str(&out), STR("a-Z_0.9~%20%2F%3F%26%3D%2B%25%C3%A9"));
    buf_deinit(&out);
}
