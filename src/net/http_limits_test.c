// SPDX-License-Identifier: Apache-2.0
//
// Full queues, slow peers, many peers, and stopping.
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

// ---- Limits

TEST(http_server, a_full_queue_answers_503_and_other_classes_go_on)
{
    enum { WAITING = 3 }; // one runs, two wait
    int fds[WAITING];
    Buf in, body;
    fixture_start(t,
                  (HttpServerOptions){.read_threads = 1, .read_queue_max = 2, .write_threads = 1});
    buf_init(&in, 0);
    buf_init(&body, 0);
    for (int i = 0; i < WAITING; i++) {
        fds[i] = fixture_dial(t);
        CHECK(fixture_send(fds[i], STR("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")));
        fixture_wait_until(t, &fixture_app.waiting, 1);
        for (int k = 0; k < 5000 && fixture_stats().queued_read != (uint64_t)i; k++) {
            fixture_sleep_ms(1);
        }
    }
    const int fd = fixture_dial(t);
    CHECK(fixture_send(fd, STR("GET /show HTTP/1.1\r\nHost: x\r\n\r\n")));
    while (fixture_find(buf_str(&in), "\r\n\r\n") == NULL && fixture_receive_some(fd, &in)) {
    }
    CHECK(fixture_find(buf_str(&in), "Retry-After: 1\r\n") != NULL);
    CHECK_EQ(fixture_receive_response(fd, &in, &body, false), 503);
    CHECK(fixture_send(fd, STR("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")));
    CHECK_EQ(fixture_receive_response(fd, &in, &body, false), 200);
    CHECK(fixture_send(fd, STR("GET /inline HTTP/1.1\r\nHost: x\r\n\r\n")));
    CHECK_EQ(fixture_receive_response(fd, &in, &body, false), 200);
    CHECK_EQ(fixture_stats().rejected[HTTP_REJECT_QUEUE_FULL], 1);
    CHECK_EQ(fixture_stats().queued_read, 2);
    CHECK_EQ(fixture_stats().running_read, 1);
    atomic_store(&fixture_app.release, true);
    for (int i = 0; i < WAITING; i++) {
        buf_clear(&in);
        CHECK_EQ(fixture_receive_response(fds[i], &in, &body, false), 200);
        (void)close(fds[i]);
    }
    (void)close(fd);
    buf_deinit(&in);
    buf_deinit(&body);
    fixture_finish(t);
}

TEST(http_server, too_many_body_bytes_at_once_answer_503)
{
    static char block[40000];
    Buf in, body;
    fixture_start(t, (HttpServerOptions){.bodies_bytes_max = 50000});
    buf_init(&in, 0);
    buf_init(&body, 0);
    const int first = fixture_dial(t);
    CHECK(fixture_send(first,
                       STR("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 40001\r\n\r\n")));
    CHECK(fixture_send(first, (Str){block, sizeof(block)}));
    for (int i = 0; i < 5000 && fixture_stats().bodies_bytes != sizeof(block); i++) {
        fixture_sleep_ms(1);
    }
    const int second = fixture_dial(t);
    CHECK(fixture_send(second,
                       STR("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\n\r\n")));
    CHECK(fixture_send(second, (Str){block, sizeof(block)}));
    CHECK_EQ(fixture_receive_response(second, &in, &body, false), 503);
    CHECK(fixture_send(first, STR("x"))); // the one that was there first is served
    buf_clear(&in);
    CHECK_EQ(fixture_receive_response(first, &in, &body, false), 200);
    CHECK_EQ(body.len, sizeof(block) + 1);
    CHECK_EQ(fixture_stats().rejected[HTTP_REJECT_BODIES_FULL], 1);
    (void)close(first);
    (void)close(second);
    buf_deinit(&in);
    buf_deinit(&body);
    fixture_finish(t);
}

TEST(http_server, connections_above_the_limit_wait)
{
    Buf in, body;
    int fds[3];
    fixture_start(t, (HttpServerOptions){.connections_max = 2});
    buf_init(&in, 0);
    buf_init(&body, 0);
    for (int i = 0; i < 3; i++) {
        fds[i] = fixture_dial(t);
        CHECK(fixture_send(fds[i], STR("GET /inline HTTP/1.1\r\nHost: x\r\n\r\n")));
        if (i < 2) {
            buf_clear(&in);
            CHECK_EQ(fixture_receive_response(fds[i], &in, &body, false), 200);
        }
    }
    fixture_sleep_ms(50);
    CHECK_EQ(fixture_stats().connections_total, 2);
    (void)close(fds[0]);
    buf_clear(&in);
    CHECK_EQ(fixture_receive_response(fds[2], &in, &body, false), 200);
    (void)close(fds[1]);
    (void)close(fds[2]);
    buf_deinit(&in);
    buf_deinit(&body);
    fixture_finish(t);
}

// ---- Slowness

// Sends one byte at a time until the server ends the connection; returns what it answered.
static int drip(Test *t, Str head, Str drops, Buf *answer)
{
    const int fd = fixture_dial(t);
    int ms = 0;
    (void)fixture_send(fd, head);
    for (size_t i = 0; i < 400; i++) {
        char byte = 0;
        if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
            !fixture_send(fd, str_slice(drops, i % drops.len, i % drops.len + 1))) {
            break;
        }
        fixture_sleep_ms(20);
        ms += 20;
    }
    fixture_receive_all(fd, answer);
    (void)close(fd);
    return ms;
}

TEST(http_server, the_slow_are_cut)
{
    static const struct {
        Str head, drops;
    } cases[] = {
        {STR("G"), STR("ET")},
        {STR("GET /show HTTP/1.1\r\n"), STR("X: y\r\n")},
        {STR("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"), STR("x")},
        {STR("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n"),
         STR("x")},
    };
    Buf answer;
    fixture_start(t, (HttpServerOptions){.head_timeout_ms = 300,
                                         .transfer_grace_ms = 300,
                                         .transfer_rate_min = 1000000,
                                         .idle_timeout_ms = 60000});
    buf_init(&answer, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const int ms = drip(t, cases[i].head, cases[i].drops, &answer);
        CHECK(ms >= 200 && ms < 4000);
        CHECK(fixture_find(buf_str(&answer), "HTTP/1.1 408 ") != NULL);
    }
    CHECK_EQ(fixture_stats().rejected[HTTP_REJECT_SLOW], ARRAY_LEN(cases));
    buf_deinit(&answer);
    fixture_finish(t);
}

TEST(http_server, a_slow_reader_is_cut)
{
    fixture_start(t, (HttpServerOptions){.transfer_grace_ms = 300, .transfer_rate_min = 1000000});
    const int fd = fixture_dial(t);
    CHECK(fixture_send(fd, STR("GET /stream/endless HTTP/1.1\r\nHost: x\r\n\r\n")));
    for (int i = 0; i < 5000 && fixture_stats().rejected[HTTP_REJECT_SLOW] == 0; i++) {
        fixture_sleep_ms(1);
    }
    CHECK_EQ(fixture_stats().rejected[HTTP_REJECT_SLOW], 1);
    fixture_wait_until(t, &fixture_app.stream_open, 0);
    (void)close(fd);
    fixture_finish(t);
}

TEST(http_server, idle_connections_are_closed_quietly)
{
    Buf in, body;
    fixture_start(t, (HttpServerOptions){.idle_timeout_ms = 200});
    buf_init(&in, 0);
    buf_init(&body, 0);
    const int fresh = fixture_dial(t);
    const int used = fixture_dial(t);
    CHECK(fixture_send(used, STR("GET /show HTTP/1.1\r\nHost: x\r\n\r\n")));
    CHECK_EQ(fixture_receive_response(used, &in, &body, false), 200);
    fixture_receive_all(used, &in);
    CHECK_EQ(in.len, 0);
    fixture_receive_all(fresh, &in);
    CHECK_EQ(in.len, 0);
    (void)close(fresh);
    (void)close(used);
    buf_deinit(&in);
    buf_deinit(&body);
    fixture_finish(t);
}

// ---- Many clients, and stopping

typedef struct Worker {
    Thread thread;
    uint16_t port;
    unsigned id;
    int rounds;          // 0: until the connection ends
    atomic_int answered; // whole responses
    atomic_int broken;   // responses that ended in the middle
    atomic_int wrong;
} Worker;

// Connects again whenever the server closes, until nobody listens.
static void work(void *arg)
{
    Worker *w = arg;
    Test quiet = {.name = "worker"};
    Buf in, body, request;
    buf_init(&in, 0);
    buf_init(&body, 0);
    buf_init(&request, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(w->port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = -1;
    (void)quiet;
    for (int i = 0; w->rounds == 0 || i < w->rounds; i++) {
        if (fd < 0) {
            fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            buf_clear(&in);
            if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
                break;
            }
        }
        buf_clear(&request);
        char want[64];
        if (i % 2 == 0) {
            (void)snprintf(want, sizeof(want), "GET /show param= i=%u.%d", w->id, i);
            buf_putf(&request, "GET /show?i=%u.%d HTTP/1.1\r\nHost: x\r\n\r\n", w->id, i);
        } else {
            const int n = snprintf(want, sizeof(want), "%u.%d", w->id, i);
            buf_putf(&request, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", n,
                     want);
        }
        const bool sent = fixture_send(fd, buf_str(&request));
        const int status = sent ? fixture_receive_response(fd, &in, &body, false) : 0;
        if (status == 200 && str_eq(buf_str(&body), (Str){want, strlen(want)})) {
            atomic_fetch_add(&w->answered, 1);
        } else if (status != 0) {
            atomic_fetch_add(&w->wrong, 1);
        } else {
            atomic_fetch_add(&w->broken, in.len > 0 ? 1 : 0);
            (void)close(fd);
            fd = -1;
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    buf_deinit(&in);
    buf_deinit(&body);
    buf_deinit(&request);
}

static void start_workers(Test *t, Worker *workers, unsigned count, int rounds)
{
    Err err;
    for (unsigned i = 0; i < count; i++) {
        memset(&workers[i], 0, sizeof(workers[i]));
        workers[i].port = http_server_port(fixture_app.server);
        workers[i].id = i;
        workers[i].rounds = rounds;
        CHECK_OK(thread_start(&workers[i].thread, "client", work, &workers[i], &err));
    }
}

TEST(http_server, many_clients_at_once)
{
    enum { CLIENTS = 24, ROUNDS = 200 };
    static Worker workers[CLIENTS];
    fixture_start(t, (HttpServerOptions){.io_threads = 3, .read_threads = 3, .write_threads = 3});
    start_workers(t, workers, CLIENTS, ROUNDS);
    for (size_t i = 0; i < CLIENTS; i++) {
        thread_join(&workers[i].thread);
        CHECK_EQ(atomic_load(&workers[i].answered), ROUNDS);
    }
    fixture_finish(t);
    CHECK_EQ(atomic_load(&fixture_app.handled), CLIENTS * ROUNDS);
    CHECK_EQ(atomic_load(&fixture_app.done), CLIENTS * ROUNDS);
    CHECK_EQ(atomic_load(&fixture_app.incomplete), 0);
}

// Whatever a handler was called for is answered, however the stop falls.
TEST(http_server, stops_gracefully_under_load)
{
    enum { CLIENTS = 8 };
    static Worker workers[CLIENTS];
    for (int round = 0; round < 8; round++) {
        int answered = 0;
        fixture_start(t,
                      (HttpServerOptions){.io_threads = 2, .read_threads = 2, .write_threads = 2});
        start_workers(t, workers, CLIENTS, 0);
        fixture_sleep_ms(20 + (int)(test_random(t) % 30));
        CHECK_EQ(http_server_stop(fixture_app.server, 5000), 0);
        for (size_t i = 0; i < CLIENTS; i++) {
            thread_join(&workers[i].thread);
            CHECK_EQ(atomic_load(&workers[i].broken), 0);
            CHECK_EQ(atomic_load(&workers[i].wrong), 0);
            answered += atomic_load(&workers[i].answered);
        }
        CHECK_EQ(answered, atomic_load(&fixture_app.handled));
        CHECK(answered > 0);
        fixture_finish(t);
    }
}

TEST(http_server, stop_waits_for_requests_and_says_close)
{
    Buf in, body;
    fixture_start(t, (HttpServerOptions){0});
    buf_init(&in, 0);
    buf_init(&body, 0);
    const int idle = fixture_dial(t);
    const int busy = fixture_dial(t);
    CHECK(fixture_send(busy, STR("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")));
    fixture_wait_until(t, &fixture_app.waiting, 1);
    CHECK_EQ(http_server_stop(fixture_app.server, 50), 1); // it does not finish in time
    CHECK_EQ(fixture_receive_response(busy, &in, &body, false), 0);
    CHECK_EQ(in.len, 0);
    fixture_receive_all(idle, &in);
    CHECK_EQ(in.len, 0);
    for (int i = 0; i < 5000 && !atomic_load(&fixture_app.saw_cancel); i++) {
        fixture_sleep_ms(1);
    }
    CHECK(atomic_load(&fixture_app.saw_cancel));
    CHECK_EQ(fixture_stats().rejected[HTTP_REJECT_STOPPING], 1);
    http_server_free(fixture_app.server);
    (void)close(idle);
    (void)close(busy);
    buf_deinit(&in);
    buf_deinit(&body);
}

static void release_soon(void *arg)
{
    (void)arg;
    fixture_sleep_ms(100);
    atomic_store(&fixture_app.release, true);
}

TEST(http_server, a_request_under_way_is_finished_by_stop)
{
    Buf in;
    Thread thread = {0};
    Err err;
    fixture_start(t, (HttpServerOptions){0});
    buf_init(&in, 0);
    const int fd = fixture_dial(t);
    CHECK(fixture_send(fd, STR("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")));
    fixture_wait_until(t, &fixture_app.waiting, 1);
    CHECK_OK(thread_start(&thread, "release", release_soon, NULL, &err));
    CHECK_EQ(http_server_stop(fixture_app.server, 5000), 0);
    fixture_receive_all(fd, &in);
    CHECK(fixture_find(buf_str(&in), "HTTP/1.1 200 OK") != NULL);
    CHECK(fixture_find(buf_str(&in), "Connection: close\r\n") != NULL);
    thread_join(&thread);
    (void)close(fd);
    buf_deinit(&in);
    fixture_finish(t);
}
