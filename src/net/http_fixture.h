// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the HTTP server share: a server with handlers that do every kind of thing, on a
// random port of the loopback interface, and clients that speak bytes. One server at a time.
#pragma once

#include "net/http_server.h"
#include "tests/support/test.h"

#include <stdatomic.h>

enum { FIXTURE_STREAM_LINES = 40000 };

// What the handlers have seen; zeroed by fixture_start().
typedef struct FixtureApp {
    HttpServer *server;
    atomic_int handled, done, stream_open, incomplete;
    atomic_bool release;    // /wait returns
    atomic_int waiting;     // requests that are in /wait
    atomic_bool saw_cancel; // /wait saw that its client went away
    atomic_int last_status;
} FixtureApp;
extern FixtureApp fixture_app;

extern const HttpRoute fixture_routes[];
extern const size_t fixture_route_count;

void fixture_start(Test *t, HttpServerOptions options);
void fixture_finish(Test *t); // stops, and checks that nothing is left
HttpStats fixture_stats(void);

// ---- Clients

int fixture_connect(Test *t, uint16_t port);
int fixture_dial(Test *t);           // to the server under test
bool fixture_send(int fd, Str text); // false when the connection broke
bool fixture_receive_some(int fd, Buf *into);
void fixture_receive_all(int fd, Buf *into); // until the other side closes
const char *fixture_find(Str s, const char *part);

// Reads one response with a Content-Length; what follows it stays in `into` for the next call.
// Returns its status, 0 when the connection ended first.
int fixture_receive_response(int fd, Buf *into, Buf *body, bool head_only);

// One exchange on a connection of its own, sent in pieces: everything that comes back until the
// server closes.
void fixture_exchange(Test *t, Str request, size_t piece, Buf *answer);

void fixture_sleep_ms(int ms);
void fixture_wait_until(Test *t, const atomic_int *value, int want); // 10 s at most
