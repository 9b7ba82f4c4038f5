// SPDX-License-Identifier: Apache-2.0
//
// The real server and clients that speak bytes: what a well-behaved library would never send is the
// point of most of these tests.
#include "net/http_fixture.h"

#include "base/mem.h"
#include "codec/inflate.h"
#include "os/os.h"
#include "os/thread.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

// ---- Requests and answers

// Each request, in pieces of several sizes, ends its connection.
#define CLOSE "Host: x\r\nConnection: close\r\n"

static const struct {
    Str request;
    const char *status, *part, *other; // of the answer
} answers[] = {
    {STR("GET /show?a=1&b=x%20y&a=2 HTTP/1.1\r\n" CLOSE "X-Test: v\r\n\r\n"), "200 OK",
     "GET /show param= a=1 b=x y a=2 x-test=v", "X-Answer: 42\r\n"},
    {STR("GET /inline HTTP/1.1\r\n" CLOSE "\r\n"), "200 OK",
     "GET /inline param=", "Content-Length"},
    {STR("GET http://example.org/inline?q=1 HTTP/1.1\r\n" CLOSE "\r\n"), "200 OK",
     "GET /inline param= q=1", ""},
    {STR("GET /label/a%2Fb%20c/values HTTP/1.1\r\n" CLOSE "\r\n"), "200 OK",
     "GET /label/a/b c/values param=a/b c", ""},
    {STR("GET /ui/x/y.js HTTP/1.1\r\n" CLOSE "\r\n"), "200 OK", "param=x/y.js", ""},
    {STR("POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: 5\r\n\r\nhello"), "200 OK", "\r\nhello",
     ""},
    {STR("POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: 0\r\n\r\n"), "200 OK",
     "Content-Length: 0\r\n", ""},
    {STR("POST /echo HTTP/1.1\r\n" CLOSE "\r\n"), "200 OK", "Content-Length: 0\r\n", ""},
    {STR("PUT /echo HTTP/1.1\r\n" CLOSE
         "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: "
         "x\r\n\r\n"),
     "200 OK", "\r\nabcde", ""},
    {STR("POST /echo HTTP/1.1\r\n" CLOSE "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi"),
     "100 Continue", "HTTP/1.1 200 OK", "\r\nhi"},
    {STR("GET /show HTTP/1.0\r\n\r\n"), "200 OK", "GET /show", ""},
    {STR("GET /fail HTTP/1.1\r\n" CLOSE "\r\n"), "404 Not Found", "\r\n\r\nno such table\n", ""},
    {STR("GET /fail?status=422 HTTP/1.1\r\n" CLOSE "\r\n"), "422 ", "no such table\n", ""},
    {STR("GET /nope HTTP/1.1\r\n" CLOSE "\r\n"), "404 Not Found", "no such path: '/nope'\n", ""},
    {STR("PUT /show HTTP/1.1\r\n" CLOSE "\r\n"), "405 Method Not Allowed",
     "Allow: GET, HEAD, POST\r\n", "method PUT is not allowed"},
    {STR("BREW /show HTTP/1.1\r\n" CLOSE "\r\n"), "501 Not Implemented", "'BREW'", ""},
    {STR("GET /stream/short HTTP/1.1\r\n" CLOSE "\r\n"), "200 OK", "Content-Length: 21\r\n",
     "line 0\nline 1\nline 2\n"},
    {STR("GET /stream/fail-first HTTP/1.1\r\n" CLOSE "\r\n"), "503 Service Unavailable",
     "the disk has gone", "Retry-After: 1\r\n"},
    // Malformed.
    {STR("GARBAGE\r\n\r\n"), "400 Bad Request", "not an HTTP request", "Connection: close"},
    {STR("GET /show\r\n\r\n"), "400 Bad Request", "", ""},
    {STR("GET /show HTTP/3.0\r\n\r\n"), "505 ", "", ""},
    {STR("GET /show HTTP/1.1\r\nConnection: close\r\n\r\n"), "400 Bad Request", "no Host header",
     ""},
    {STR("GET /show HTTP/1.1\r\nHost: x\r\n" CLOSE "\r\n"), "400 Bad Request",
     "more than one 'host' header", ""},
    {STR("GET /show HTTP/1.1\r\n" CLOSE "Bad Name: x\r\n\r\n"), "400 Bad Request",
     "malformed header name", ""},
    {STR("GET /show HTTP/1.1\r\n" CLOSE "Content-Length : 3\r\n\r\nabc"), "400 Bad Request",
     "malformed header name", ""},
    {STR("GET /show HTTP/1.1\r\n" CLOSE "no colon\r\n\r\n"), "400 Bad Request", "", ""},
    {STR("GET /show HTTP/1.1\r\n" CLOSE "X: a\x01\r\n\r\n"), "400 Bad Request",
     "header 'X' has a control character", ""},
    {STR("GET /sh%6 HTTP/1.1\r\n" CLOSE "\r\n"), "400 Bad Request", "two hex digits", ""},
    {STR("GET /show?a=%zz HTTP/1.1\r\n" CLOSE "\r\n"), "400 Bad Request", "query:", ""},
    {STR("GET /show?a=%00 HTTP/1.1\r\n" CLOSE "\r\n"), "400 Bad Request", "encoded NUL", ""},
    {STR("GET /sh%00ow HTTP/1.1\r\n" CLOSE "\r\n"), "400 Bad Request", "encoded NUL", ""},
    {STR("GET /sh%ffow HTTP/1.1\r\n" CLOSE "\r\n"), "400 Bad Request", "not UTF-8", ""},
    {STR("GET /ui/../show HTTP/1.1\r\n" CLOSE "\r\n"), "400 Bad Request", "'..' segment", ""},
    {STR("GET /ui/%2e%2E/show HTTP/1.1\r\n" CLOSE "\r\n"), "400 Bad Request", "'..' segment", ""},
    {STR("GET /ui/x%2f..%2fy HTTP/1.1\r\n" CLOSE "\r\n"), "400 Bad Request", "'..' segment", ""},
    {STR("GET /ui/. HTTP/1.1\r\n" CLOSE "\r\n"), "400 Bad Request", "'..' segment", ""},
    {STR("GET /show?a b HTTP/1.1\r\n" CLOSE "\r\n"), "400 Bad Request", "byte 0x20", ""},
    {STR("GET show HTTP/1.1\r\n" CLOSE "\r\n"), "400 Bad Request", "does not start with '/'", ""},
    {STR("GET /show#x HTTP/1.1\r\n" CLOSE "\r\n"), "400 Bad Request", "byte 0x23", ""},
    // How long is the body?
    {STR("POST /echo HTTP/1.1\r\n" CLOSE
         "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nabc"),
     "400 Bad Request", "both Content-Length and Transfer-Encoding", "Connection: close"},
    {STR("POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
     "400 Bad Request", "more than one 'content-length' header", ""},
    {STR("POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: 3, 3\r\n\r\nabc"), "400 Bad Request", "",
     ""},
    {STR("POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: -3\r\n\r\nabc"), "400 Bad Request", "",
     ""},
    {STR("POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: 99999999999999999999\r\n\r\nabc"), "413 ",
     "", ""},
    {STR("POST /echo HTTP/1.1\r\n" CLOSE "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
     "501 Not Implemented", "transfer encoding 'gzip, chunked'", ""},
    {STR("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "400 Bad Request",
     "in an HTTP/1.0 request", ""},
    {STR("POST /echo HTTP/1.1\r\n" CLOSE "Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
     "400 Bad Request", "", ""},
    {STR("POST /echo HTTP/1.1\r\n" CLOSE "Expect: a-pony\r\nContent-Length: 1\r\n\r\nx"), "417 ",
     "expectation 'a-pony'", ""},
    // Too large.
    {STR("POST /small HTTP/1.1\r\n" CLOSE "Content-Length: 101\r\n\r\n"), "413 ",
     "body of 101 bytes; the limit is 100", "Connection: close"},
    {STR("POST /small HTTP/1.1\r\n" CLOSE "Content-Length: 18446744073709551615\r\n\r\n"), "413 ",
     "the limit is 100", ""},
    {STR("POST /small HTTP/1.1\r\n" CLOSE "Transfer-Encoding: chunked\r\n\r\n"
         "40\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n"
         "40\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n0\r\n\r\n"),
     "413 ", "body of more than 100 bytes", "Connection: close"},
    {STR("POST /nope HTTP/1.1\r\n" CLOSE "Content-Length: 3\r\n\r\nabc"), "404 Not Found",
     "no such path", ""},
};

TEST(http_server, answers)
{
    static const size_t pieces[] = {SIZE_MAX / 2, 1, 7};
    Buf answer;
    fixture_start(t, (HttpServerOptions){.io_threads = 1});
    buf_init(&answer, 0);
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        for (size_t k = 0; k < ARRAY_LEN(pieces); k++) {
            fixture_exchange(t, answers[i].request, pieces[k], &answer);
            const Str text = buf_str(&answer);
            const Str want = {answers[i].status, strlen(answers[i].status)};
            if (!str_eq(str_slice(text, 9, 9 + want.len), want) ||
                fixture_find(text, answers[i].part) == NULL ||
                fixture_find(text, answers[i].other) == NULL) {
                test_fail(t, __FILE__, __LINE__, "'" STR_FMT "' in pieces of %zu: '" STR_FMT "'",
                          STR_ARG(answers[i].request), pieces[k], STR_ARG(text));
            }
            // One answer, not two. libmicrohttpd 0.9.75 sends its head twice for a Content-Length
            // that is no number, and then closes; there is no way to stop it.
            if (str_eq(str_slice(want, 0, 3), STR("100")) ||
                fixture_find(text, "wrong value for <b>Content-Length</b>") != NULL ||
                fixture_find(text, "has too large value for <b>Content-Length</b>") != NULL) {
                continue;
            }
            const char *second = fixture_find(str_slice(text, 1, text.len), "HTTP/1.1 ");
            if (second != NULL) {
                test_fail(t, __FILE__, __LINE__, "two answers: '" STR_FMT "'", STR_ARG(text));
            }
        }
    }
    buf_deinit(&answer);
    fixture_finish(t);
}

TEST(http_server, head_has_no_body)
{
    static const struct {
        const char *path, *part;
    } cases[] = {
        {"/show", "Content-Length: 17\r\n"}, {"/stream/long", "200 OK\r\n"}, {"/nope", "404"}};
    Buf answer;
    fixture_start(t, (HttpServerOptions){0});
    buf_init(&answer, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char request[128];
        (void)snprintf(request, sizeof(request), "HEAD %s HTTP/1.1\r\n" CLOSE "\r\n",
                       cases[i].path);
        fixture_exchange(t, (Str){request, strlen(request)}, SIZE_MAX / 2, &answer);
        const Str text = buf_str(&answer);
        CHECK(fixture_find(text, cases[i].part) != NULL);
        const char *end = fixture_find(text, "\r\n\r\n");
        CHECK(end != NULL && end + 4 == text.ptr + text.len);
    }
    buf_deinit(&answer);
    fixture_finish(t);
}

static void shape_json(void *ctx, const HttpRequest *request, int status, Str message,
                       HttpResponse *response)
{
    (void)ctx, (void)request;
    response->content_type = "application/json";
    buf_putf(&response->body, "{\"status\":%d,\"error\":\"" STR_FMT "\"}", status,
             STR_ARG(message));
}

TEST(http_server, errors_have_the_callers_shape)
{
    Buf answer;
    fixture_start(t, (HttpServerOptions){.error = shape_json});
    buf_init(&answer, 0);
    fixture_exchange(t, STR("GET /fail HTTP/1.1\r\n" CLOSE "\r\n"), SIZE_MAX / 2, &answer);
    CHECK(fixture_find(buf_str(&answer), "application/json") != NULL);
    CHECK(fixture_find(buf_str(&answer), "{\"status\":404,\"error\":\"no such table\"}") != NULL);
    fixture_exchange(t, STR("POST /small HTTP/1.1\r\n" CLOSE "Content-Length: 101\r\n\r\n"),
                     SIZE_MAX / 2, &answer);
    CHECK(fixture_find(buf_str(&answer), "{\"status\":413,") != NULL);
    fixture_exchange(t, STR("GARBAGE\r\n\r\n"), SIZE_MAX / 2, &answer);
    CHECK(fixture_find(buf_str(&answer), "{\"status\":400,") != NULL);
    buf_deinit(&answer);
    fixture_finish(t);
}

TEST(http_server, keeps_the_connection)
{
    Buf in, body;
    fixture_start(t, (HttpServerOptions){0});
    buf_init(&in, 0);
    buf_init(&body, 0);
    const int fd = fixture_dial(t);
    for (int i = 0; i < 50; i++) {
        CHECK(fixture_send(fd, STR("GET /show HTTP/1.1\r\nHost: x\r\n\r\n")));
        CHECK_EQ(fixture_receive_response(fd, &in, &body, false), 200);
        CHECK(fixture_send(fd, STR("GET /nope HTTP/1.1\r\nHost: x\r\n\r\n")));
        CHECK_EQ(fixture_receive_response(fd, &in, &body, false), 404);
        CHECK(fixture_send(fd, STR("HEAD /inline HTTP/1.1\r\nHost: x\r\n\r\n")));
        CHECK_EQ(fixture_receive_response(fd, &in, &body, true), 200);
        CHECK(fixture_send(fd,
                           STR("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")));
        CHECK_EQ(fixture_receive_response(fd, &in, &body, false), 200);
        CHECK_STR(buf_str(&body), STR("abc"));
    }
    (void)close(fd);
    fixture_wait_until(t, &fixture_app.done, 200); // the client may know before the counters do
    CHECK_EQ(fixture_stats().connections_total, 1);
    CHECK_EQ(fixture_stats().requests[2], 150);
    CHECK_EQ(fixture_stats().requests[4], 50);
    CHECK_EQ(fixture_stats().rejected[HTTP_REJECT_NO_ROUTE], 50);
    buf_deinit(&in);
    buf_deinit(&body);
    fixture_finish(t);
}

TEST(http_server, pipelined_requests_are_answered_in_order)
{
    enum { REQUESTS = 200 };
    Buf out, in, body;
    fixture_start(t, (HttpServerOptions){0});
    buf_init(&out, 0);
    buf_init(&in, 0);
    buf_init(&body, 0);
    for (int i = 0; i < REQUESTS; i++) {
        char text[16];
        const int n = snprintf(text, sizeof(text), "%d", i);
        if (i % 3 == 0) {
            buf_putf(&out, "GET /show?i=%d HTTP/1.1\r\nHost: x\r\n\r\n", i);
        } else {
            buf_putf(&out, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", n,
                     text);
        }
    }
    const int fd = fixture_dial(t);
    CHECK(fixture_send(fd, buf_str(&out)));
    for (int i = 0; i < REQUESTS; i++) {
        char want[64];
        CHECK_EQ(fixture_receive_response(fd, &in, &body, false), 200);
        (void)snprintf(want, sizeof(want), i % 3 == 0 ? "GET /show param= i=%d" : "%d", i);
        CHECK_STR(buf_str(&body), ((Str){want, strlen(want)}));
    }
    (void)close(fd);
    buf_deinit(&out);
    buf_deinit(&in);
    buf_deinit(&body);
    fixture_finish(t);
}

TEST(http_server, large_bodies_arrive_whole)
{
    Buf out, in, body;
    fixture_start(t, (HttpServerOptions){0});
    buf_init(&out, 0);
    buf_init(&in, 0);
    buf_init(&body, 0);
    for (int chunked = 0; chunked < 2; chunked++) {
        const size_t size = 3000000;
        uint8_t *data = mem_alloc_raw(size);
        for (size_t i = 0; i < size; i++) {
            data[i] = (uint8_t)test_random(t);
        }
        buf_clear(&out);
        if (chunked == 0) {
            buf_putf(&out, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", size);
            buf_put(&out, data, size);
        } else {
            buf_put_str(
                &out, STR("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
            for (size_t i = 0; i < size;) {
                const size_t want = 1 + test_random(t) % 100000;
                const size_t n = want < size - i ? want : size - i;
                buf_putf(&out, "%zx\r\n", n);
                buf_put(&out, data + i, n);
                buf_put_str(&out, STR("\r\n"));
                i += n;
            }
            buf_put_str(&out, STR("0\r\n\r\n"));
        }
        const int fd = fixture_dial(t);
        CHECK(fixture_send(fd, buf_str(&out)));
        CHECK_EQ(fixture_receive_response(fd, &in, &body, false), 200);
        CHECK_EQ(body.len, size);
        CHECK(memcmp(body.ptr, data, size) == 0);
        (void)close(fd);
        mem_free(data);
    }
    buf_deinit(&out);
    buf_deinit(&in);
    buf_deinit(&body);
    fixture_finish(t);
}

// The client is not reading while it uploads, and would get a reset instead of the answer if the
// server closed at once.
TEST(http_server, refusals_reach_a_client_that_is_still_sending)
{
    static const Str heads[] = {
        STR("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n"),
        STR("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1312D00\r\n"),
        STR("POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n"),
    };
    static char block[100000];
    Buf answer;
    fixture_start(t, (HttpServerOptions){0});
    buf_init(&answer, 0);
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
            const int fd = fixture_dial(t);
            CHECK(fixture_send(fd, heads[i]));
            for (size_t sent = 0; sent < 20000000; sent += sizeof(block)) {
                if (!fixture_send(fd, (Str){block, sizeof(block)})) {
                    break;
                }
            }
            fixture_receive_all(fd, &answer);
            CHECK(str_eq(str_slice(buf_str(&answer), 0, 13),
                         i == 2 ? STR("HTTP/1.1 404 ") : STR("HTTP/1.1 413 ")));
            (void)close(fd);
        }
    }
    CHECK_EQ(fixture_stats().rejected[HTTP_REJECT_BODY_SIZE], 10);
    buf_deinit(&answer);
    fixture_finish(t);
}

TEST(http_server, large_heads_are_refused)
{
    Buf out, answer;
    fixture_start(t, (HttpServerOptions){.head_bytes_max = 8192});
    buf_init(&out, 0);
    buf_init(&answer, 0);
    static const struct {
        size_t target, header; // bytes
        size_t headers;
        const char *status;
    } cases[] = {
        {100, 7000, 1, " 200 "},
        {100, 9000, 1, " 431 "},
        {100, 200000, 1, " 431 "},
        {9000, 10, 1, " 414 "},
        {200000, 10, 1, " 414 "},
        {10, 1, HTTP_HEADERS_MAX - 2, " 200 "},
        {10, 1, HTTP_HEADERS_MAX - 1, " 431 "},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_clear(&out);
        buf_put_str(&out, STR("GET /show?a="));
        for (size_t k = 0; k < cases[i].target; k++) {
            buf_put_u8(&out, 'x');
        }
        buf_put_str(&out, STR(" HTTP/1.1\r\n" CLOSE));
        for (size_t h = 0; h < cases[i].headers; h++) {
            buf_put_str(&out, STR("X: "));
            for (size_t k = 0; k < cases[i].header; k++) {
                buf_put_u8(&out, 'y');
            }
            buf_put_str(&out, STR("\r\n"));
        }
        buf_put_str(&out, STR("\r\n"));
        fixture_exchange(t, buf_str(&out), SIZE_MAX / 2, &answer);
        if (fixture_find(str_slice(buf_str(&answer), 0, 16), cases[i].status) == NULL) {
            test_fail(t, __FILE__, __LINE__, "case %zu: '" STR_FMT "'", i,
                      STR_ARG(buf_str(&answer)));
        }
    }
    buf_deinit(&out);
    buf_deinit(&answer);
    fixture_finish(t);
}

// ---- Clients that go away

TEST(http_server, a_client_that_goes_away_leaves_nothing_behind)
{
    static const Str starts[] = {
        STR(""),
        STR("POST"),
        STR("POST /echo HTTP/1.1\r\n"),
        STR("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc"),
        STR("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"),
        STR("GET /stream/endless HTTP/1.1\r\nHost: x\r\n\r\n"),
        STR("GET /large HTTP/1.1\r\nHost: x\r\n\r\n"),
    };
    fixture_start(t, (HttpServerOptions){0});
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
            const int fd = fixture_dial(t);
            (void)fixture_send(fd, starts[i]);
            if (round % 2 == 1) { // with a reset instead of an orderly end
                const struct linger reset = {.l_onoff = 1};
                (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
            }
            fixture_sleep_ms(round % 3);
            (void)close(fd);
        }
    }
    for (int i = 0; i < 5000 && fixture_stats().connections > 0; i++) {
        fixture_sleep_ms(1);
    }
    CHECK_EQ(fixture_stats().connections, 0);
    CHECK_EQ(fixture_stats().in_flight, 0);
    CHECK_EQ(fixture_stats().bodies_bytes, 0);
    fixture_wait_until(t, &fixture_app.stream_open, 0);
    fixture_finish(t);
}

TEST(http_server, a_handler_sees_that_its_client_has_gone)
{
    fixture_start(t, (HttpServerOptions){0});
    const int fd = fixture_dial(t);
    CHECK(fixture_send(fd, STR("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")));
    fixture_wait_until(t, &fixture_app.waiting, 1);
    CHECK(!atomic_load(&fixture_app.saw_cancel));
    (void)close(fd);
    fixture_wait_until(t, &fixture_app.waiting, 0);
    CHECK(atomic_load(&fixture_app.saw_cancel));
    fixture_finish(t);
    CHECK_EQ(atomic_load(&fixture_app.incomplete), 1);
}

// ---- Streams

TEST(http_server, streams_arrive_whole)
{
    Buf answer, want;
    fixture_start(t, (HttpServerOptions){0});
    buf_init(&answer, 0);
    buf_init(&want, 0);
    for (int i = 0; i < FIXTURE_STREAM_LINES; i++) {
        buf_putf(&want, "line %d\n", i);
    }
    // HTTP/1.0 has no chunks: the body ends with the connection.
    fixture_exchange(t, STR("GET /stream/long HTTP/1.0\r\n\r\n"), SIZE_MAX / 2, &answer);
    const char *end = fixture_find(buf_str(&answer), "\r\n\r\n");
    CHECK(end != NULL);
    CHECK_STR(str_slice(buf_str(&answer), (size_t)(end - (char *)answer.ptr) + 4, answer.len),
              buf_str(&want));

    fixture_exchange(t, STR("GET /stream/long HTTP/1.1\r\n" CLOSE "\r\n"), SIZE_MAX / 2, &answer);
    end = fixture_find(buf_str(&answer), "\r\n\r\n");
    CHECK(end != NULL);
    const char *p = end + 4;
    size_t at = 0;
    for (;;) { // undo the chunks
        char *digits = NULL;
        const size_t n = strtoul(p, &digits, 16);
        CHECK(digits != p && digits[0] == '\r' && digits[1] == '\n');
        CHECK(n <= want.len - at);
        CHECK(memcmp(digits + 2, want.ptr + at, n) == 0);
        at += n;
        p = digits + 2 + n + 2;
        if (n == 0) {
            break;
        }
    }
    CHECK_EQ(at, want.len);
    CHECK(p == (char *)answer.ptr + answer.len);
    buf_deinit(&answer);
    buf_deinit(&want);
    fixture_finish(t);
}

TEST(http_server, a_stream_that_fails_is_visibly_incomplete)
{
    Buf answer;
    fixture_start(t, (HttpServerOptions){0});
    buf_init(&answer, 0);
    fixture_exchange(t, STR("GET /stream/fail-later HTTP/1.1\r\n" CLOSE "\r\n"), SIZE_MAX / 2,
                     &answer);
    CHECK(fixture_find(buf_str(&answer), "HTTP/1.1 200 OK") != NULL);
    CHECK(fixture_find(buf_str(&answer), "line 19000\n") != NULL);
    CHECK(fixture_find(buf_str(&answer), "\r\n0\r\n\r\n") == NULL);
    buf_deinit(&answer);
    fixture_finish(t);
    CHECK_EQ(atomic_load(&fixture_app.incomplete), 1);
}

// ---- Content coding

TEST(http_server, text_is_compressed_for_who_takes_it)
{
    static const struct {
        const char *path, *accept;
        bool compressed;
    } cases[] = {
        {"/large", "Accept-Encoding: gzip\r\n", true},
        {"/large-inline", "Accept-Encoding: gzip\r\n", true},
        {"/large", "Accept-Encoding: deflate, GZIP;q=0.5, br\r\n", true},
        {"/large", "Accept-Encoding: *\r\n", true},
        {"/large", "", false},
        {"/large", "Accept-Encoding: gzip;q=0\r\n", false},
        {"/large", "Accept-Encoding: gzip; q=0.000, *\r\n", false},
        {"/large", "Accept-Encoding: br\r\n", false},
        {"/show", "Accept-Encoding: gzip\r\n", false}, // too short
    };
    Buf request, in, body, plain, want;
    fixture_start(t, (HttpServerOptions){0});
    buf_init(&request, 0);
    buf_init(&in, 0);
    buf_init(&body, 0);
    buf_init(&plain, 1 << 20);
    buf_init(&want, 0);
    const int fd = fixture_dial(t);
    CHECK(fixture_send(fd, STR("GET /large HTTP/1.1\r\nHost: x\r\n\r\n")));
    CHECK_EQ(fixture_receive_response(fd, &in, &want, false), 200);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err;
        buf_clear(&request);
        buf_putf(&request, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", cases[i].path, cases[i].accept);
        CHECK(fixture_send(fd, buf_str(&request)));
        CHECK_EQ(fixture_receive_response(fd, &in, &body, false), 200);
        const bool gzip = body.len > 2 && body.ptr[0] == 0x1f && body.ptr[1] == 0x8b;
        CHECK_EQ(gzip, cases[i].compressed);
        if (gzip) {
            Inflate *inflate = inflate_new(INFLATE_GZIP);
            buf_clear(&plain);
            CHECK_OK(inflate_feed(inflate, buf_bytes(&body), &plain, &err));
            CHECK_OK(inflate_finish(inflate, &err));
            CHECK_STR(buf_str(&plain), buf_str(&want));
            inflate_free(inflate);
        }
    }
    (void)close(fd);
    buf_deinit(&request);
    buf_deinit(&in);
    buf_deinit(&body);
    buf_deinit(&plain);
    buf_deinit(&want);
    fixture_finish(t);
}

// ---- Starting

TEST(http_server, addresses)
{
    static const struct {
        Str address;
        Status status;
    } cases[] = {
        {STR("127.0.0.1"), OK},
        {STR("0.0.0.0"), OK},
        {STR(""), ERR_INVALID},
        {STR("localhost"), ERR_INVALID},
        {STR("127.0.0.256"), ERR_INVALID},
        {STR("192.0.2.1"), ERR_UNAVAILABLE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        HttpServer *server = NULL;
        Err err;
        const HttpServerOptions options = {.address = cases[i].address,
                                           .routes = fixture_routes,
                                           .route_count = fixture_route_count};
        CHECK_EQ(http_server_start(&options, &server, &err), cases[i].status);
        CHECK_EQ(server != NULL, cases[i].status == OK);
        http_server_free(server);
    }
}

TEST(http_server, a_port_that_is_taken)
{
    HttpServer *second = NULL;
    Err err;
    fixture_start(t, (HttpServerOptions){0});
    const HttpServerOptions options = {.address = STR("127.0.0.1"),
                                       .port = http_server_port(fixture_app.server),
                                       .routes = fixture_routes,
                                       .route_count = fixture_route_count};
    CHECK_EQ(http_server_start(&options, &second, &err), ERR_UNAVAILABLE);
    CHECK(second == NULL);
    fixture_finish(t);
}

TEST(http_server, ipv6_takes_ipv4_too)
{
    Buf in, body;
    HttpServer *server = NULL;
    Err err;
    const HttpServerOptions options = {
        .address = STR("::"), .routes = fixture_routes, .route_count = fixture_route_count};
    if (http_server_start(&options, &server, &err) != OK) {
        test_skip(t, err.msg);
    }
    buf_init(&in, 0);
    buf_init(&body, 0);
    const int fd = fixture_connect(t, http_server_port(server));
    CHECK(fixture_send(fd, STR("GET /inline HTTP/1.1\r\nHost: x\r\n\r\n")));
    CHECK_EQ(fixture_receive_response(fd, &in, &body, false), 200);
    (void)close(fd);
    buf_deinit(&in);
    buf_deinit(&body);
    http_server_free(server);
}
