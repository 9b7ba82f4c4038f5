// SPDX-License-Identifier: Apache-2.0
//
// HttpServer: an HTTP/1.1 server on libmicrohttpd (whose header nobody else includes). I/O threads
// move bytes and never run a handler that may block; complete requests go to a pool of worker
// threads per class, so that slow queries cannot starve ingest, and come back as responses.
// Everything a client can make large is bounded here: headers, bodies (each, and all together),
// arguments, connections, queues, and the time it may take to send or to read a byte.
//
// What the server answers by itself (through HttpServerOptions.error, so that the shape is the
// caller's): 400 malformed, 404, 405 with Allow, 408 too slow, 413 body, 414 and 431 head, 417, 501
// method, 503 with Retry-After (queue full, too many body bytes at once). Some malformed heads
// never get that far: libmicrohttpd answers them itself (400, 413, 414, 431, 505, in HTML) and
// closes.
//
// A refusal in the middle of an upload is delivered before the connection is closed: the rest of
// the upload is read and thrown away for a while (HTTP_LINGER_*), so that the client does not see a
// reset instead of the answer.
//
// One HttpServer is started and stopped by one thread; http_server_stats() may be called from any.
// Errors are returned or answered; nothing is logged here.
#pragma once

#include "net/http.h"

enum {
    HTTP_ROUTES_MAX = 256,
    HTTP_ROUTE_PATH_MAX = 256,                 // bytes
    HTTP_BODY_BYTES_MAX_DEFAULT = 32 << 20,    // of one request, as sent
    HTTP_BODIES_BYTES_MAX_DEFAULT = 512 << 20, // of all requests at one time
    HTTP_HEAD_BYTES_MAX_DEFAULT = 32 << 10,    // request line and headers
    HTTP_CONNECTIONS_MAX_DEFAULT = 4096,
    HTTP_QUEUE_MAX_DEFAULT = 1024,              // requests waiting for a thread, per class
    HTTP_IDLE_TIMEOUT_MS_DEFAULT = 120 * 1000,  // keep-alive, nothing going on
    HTTP_HEAD_TIMEOUT_MS_DEFAULT = 10 * 1000,   // from the first byte of a head to its last
    HTTP_TRANSFER_GRACE_MS_DEFAULT = 20 * 1000, // a body may take this long, plus its size
    HTTP_TRANSFER_RATE_MIN_DEFAULT = 1024,      // divided by this many bytes/s; both directions
    HTTP_GZIP_BYTES_MIN_DEFAULT = 1024,         // text bodies above this are compressed
    HTTP_LINGER_MS = 2000,                      // reading on after a refusal
    HTTP_LINGER_BYTES_MAX = 64 << 20,
    HTTP_LINGER_CONNECTIONS_MAX = 256, // more are closed at once
};

// Who runs the handler of a route.
typedef enum HttpClass {
    HTTP_CLASS_INLINE, // the I/O thread: for handlers that take microseconds and never block
    HTTP_CLASS_WRITE,  // the write pool (ingest)
    HTTP_CLASS_READ,   // the read pool (queries)
} HttpClass;

// Answers one request. On failure what it put into *response is thrown away, but for `status` (when
// it is 400 or more) and the headers, and the error is answered instead: with that status, or else
// err_status_http(err->status). `ctx` is the route's.
typedef Status HttpHandlerFunction(void *ctx, const HttpRequest *request, HttpResponse *response,
                                   Err *err);
typedef HttpHandlerFunction *HttpHandler;

// Written by hand in tables, so the order is the reader's.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
typedef struct HttpRoute {
    unsigned methods; // HttpMethod bits; HTTP_GET implies HEAD
    const char *path; // "/api/v1/write", "/api/v1/label/:name/values" (one segment, not empty),
                      // "/ui/*" (all that follows, may be empty). At most one ":name" or "*".
                      // Exact beats ":name" beats "*"; the longer "*" wins.
    HttpClass work;
    size_t body_bytes_max; // 0: the server's
    HttpHandler handler;
    void *ctx;
} HttpRoute;

// Fills `response` (body, content type) for an error that is about to be answered. `request` may
// lack a path or headers when they were what was wrong. Any thread.
typedef void (*HttpErrorShape)(void *ctx, const HttpRequest *request, int status, Str message,
                               HttpResponse *response);

// What happened to one request, told when its response has been sent or given up (but not when
// http_server_stop() cut it). Any thread; must not block.
typedef struct HttpDone {
    const HttpRequest *request;
    const HttpRoute *route; // NULL when none matched
    int status;
    uint64_t response_bytes; // of the body, as sent
    int64_t wait_ns;         // in the queue
    int64_t work_ns;         // in the handler and its pulls
    bool complete;           // false: the client went away first
} HttpDone;

// Zeroes stand for the defaults.
typedef struct HttpServerOptions {
    Str address;             // "127.0.0.1", "0.0.0.0", "::1", "::" (IPv4, too); required
    uint16_t port;           // 0: any free one
    const HttpRoute *routes; // must outlive the server
    size_t route_count;
    unsigned io_threads, write_threads, read_threads; // default: 1..4 by CPUs, 2 x CPUs, CPUs + 2
    size_t write_queue_max, read_queue_max;
    size_t connections_max;
    size_t head_bytes_max;
    size_t body_bytes_max;     // of routes that do not say
    uint64_t bodies_bytes_max; // all bodies being received or worked on; above it: 503
    int64_t idle_timeout_ms, head_timeout_ms, transfer_grace_ms;
    uint64_t transfer_rate_min; // bytes/s
    size_t gzip_bytes_min;      // SIZE_MAX: never compress
    HttpErrorShape error;       // NULL: text/plain, the message and a newline
    void *error_ctx;
    void (*done)(void *ctx, const HttpDone *done); // may be NULL
    void *done_ctx;
} HttpServerOptions;

typedef struct HttpServer HttpServer;

// Listens and serves. ERR_INVALID: not a numeric address, or a bad route; ERR_UNAVAILABLE: the
// address is in use or may not be used, or no threads.
Status http_server_start(const HttpServerOptions *options, HttpServer **out, Err *err);

uint16_t http_server_port(const HttpServer *server); // the real one

// Stops accepting, finishes what was accepted with "Connection: close", then ends all connections.
// Requests that are not finished after deadline_ms are cancelled and their connections cut; the
// number of those is returned. Handlers that are still running see http_request_is_cancelled().
size_t http_server_stop(HttpServer *server, int64_t deadline_ms);

// Waits for handlers that still run, and frees. Stops at once (deadline 0) if that was not done.
// Accepts NULL.
void http_server_free(HttpServer *server);

// name, what it counts
#define HTTP_REJECT_LIST(X)                                                                        \
    X(HTTP_REJECT_MALFORMED, "malformed")                                                          \
    X(HTTP_REJECT_NO_ROUTE, "no_route")       /* 404 and 405 */                                    \
    X(HTTP_REJECT_BODY_SIZE, "body_size")     /* 413 */                                            \
    X(HTTP_REJECT_HEAD_SIZE, "head_size")     /* 414, 431 */                                       \
    X(HTTP_REJECT_BODIES_FULL, "bodies_full") /* 503: too many body bytes at once */               \
    X(HTTP_REJECT_QUEUE_FULL, "queue_full")   /* 503 */                                            \
    X(HTTP_REJECT_SLOW, "slow")               /* cut for slowness */                               \
    X(HTTP_REJECT_STOPPING, "stopping")       /* cut by http_server_stop() */

typedef enum HttpReject {
#define X(name, text) name,
    HTTP_REJECT_LIST(X)
#undef X
        HTTP_REJECT_COUNT
} HttpReject;

const char *http_reject_text(HttpReject reject);

typedef struct HttpStats {
    uint64_t requests[6]; // finished, by first digit of the status; [0]: none was sent
    uint64_t rejected[HTTP_REJECT_COUNT];
    uint64_t in_bytes, out_bytes; // heads and bodies received; bodies sent
    uint64_t connections_total;
    uint64_t cancelled;    // the client went away before its response was sent
    uint64_t connections;  // now
    uint64_t in_flight;    // requests between their last header and the end of the response
    uint64_t bodies_bytes; // now
    uint64_t queued_write, queued_read, running_write, running_read; // now
} HttpStats;

void http_server_stats(HttpServer *server, HttpStats *out);
