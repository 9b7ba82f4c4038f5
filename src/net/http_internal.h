// SPDX-License-Identifier: Apache-2.0
//
// What the files of the HTTP server share. Who does what:
//
//   http_server.c  start, stop, statistics; the callbacks of libmicrohttpd
//   http_call.c    one request: parsing, refusing, running, streaming
//   http_route.c   path patterns
//   http_pool.c    worker threads and their queues
//   http_guard.c   the guard thread: accepts, cuts the slow and the idle, lingers after refusals
//   http_door.c    the guard's first look at a new connection
//
// Threads: I/O threads (libmicrohttpd's, one daemon each), workers, one guard. A connection is
// owned by its I/O thread; what the others need of it is guarded by HttpConn.mu. While a request is
// with a worker its connection is suspended, so that I/O thread and worker never touch the call at
// one time.
//
// Locks, in the order they are taken (levels 80 to 82 of docs/LOCKS.md):
//   HttpServer.conns_mu > HttpConn.mu > HttpPool.mu, HttpGuard.mu, HttpServer.stop_mu
#pragma once

#include "codec/compress.h"
#include "net/http_server.h"
#include "os/thread.h"

#include <stdatomic.h>

struct MHD_Connection;
struct MHD_Daemon;

typedef struct HttpConn HttpConn;

enum {
    HTTP_TARGET_BYTES_MAX = 1 << 20, // far above what fits libmicrohttpd's buffers
    HTTP_POOL_THREADS_MAX = 1024,
    HTTP_IO_THREADS_MAX = 64,
    HTTP_PIECE_BYTES_KEEP = 1 << 20, // a stream's buffer above this is freed between pieces
};

// ---- http.c

bool http_method_parse(Str text, HttpMethod *out);
bool http_str_eq_nocase(Str a, Str b);
Str http_str_trim(Str s); // blanks and tabs
// The byte at s.ptr[*at], a %XX decoded; moves *at behind it. -1 when malformed.
int http_unescape_byte(Str s, size_t *at);
// Appends `in` decoded to `text`; refuses NUL and what is not UTF-8.
Status http_unescape(Str in, bool plus_is_space, Buf *text, Str *out, Err *err);
// The same as http_response_header(), in the room kept for the server's own.
void http_response_header_own(HttpResponse *response, Str name, Str value);
size_t http_args_count(Str in); // at least as many as http_args_parse() makes

// ---- http_route.c

// ERR_INVALID when a pattern is malformed; names it.
Status http_routes_check(const HttpRoute *routes, size_t count, Err *err);

typedef struct HttpMatch {
    const HttpRoute *route; // NULL: none for this method
    Str param;              // still encoded
    unsigned allowed;       // methods that this path has; 0: no such path
} HttpMatch;
HttpMatch http_route_find(const HttpRoute *routes, size_t count, HttpMethod method, Str raw_path);

// ---- http_pool.c

typedef struct HttpJob HttpJob;
struct HttpJob {
    HttpJob *next;
};

typedef struct HttpPool {
    Mutex mu;
    Cond more;
    HttpJob *head, *tail;   // mu
    size_t queued, running; // mu
    size_t queue_max;
    bool stopping; // mu
    unsigned thread_count;
    Thread *threads;
    void (*run)(HttpJob *job, Compress *compress);
} HttpPool;

Status http_pool_start(HttpPool *pool, const char *name, unsigned threads, size_t queue_max,
                       Err *err);
// False when the queue is full. `always`: put it there nevertheless (for work that was begun).
bool http_pool_submit(HttpPool *pool, HttpJob *job, bool always);
void http_pool_counts(HttpPool *pool, uint64_t *queued, uint64_t *running);
// Runs what is queued, then ends the threads.
void http_pool_stop(HttpPool *pool);

// ---- Connections

typedef enum HttpPhase {
    HTTP_PHASE_IDLE, // between requests; perhaps in the middle of a head
    HTTP_PHASE_HEAD, // the request line was read
    HTTP_PHASE_BODY,
    HTTP_PHASE_WORK, // the request is whole: queued, or with its handler
    HTTP_PHASE_SEND,
} HttpPhase;

struct HttpConn {
    Mutex mu;
    atomic_uint refs; // libmicrohttpd's connection, and each call
    HttpServer *server;
    HttpConn *prev, *next; // conns_mu
    int fd;                // mu: -1 once closed
    HttpPhase phase;       // mu
    int64_t phase_ms;      // mu: since when
    uint64_t body_bytes;   // mu: received in BODY
    bool watching;         // mu: guard: watch_bytes is set for this phase
    int64_t watch_ms;      // mu: guard: since when it measures; 0: not yet
    uint64_t watch_bytes;  // mu: guard: TCP's counter when it began
    HttpCall *call;        // mu: the request under way
    bool first;            // mu: no request was finished yet
    bool abandoned;        // mu: guard: the peer was seen to have closed in this phase
    bool doomed;           // mu: no further request is begun
    bool linger;           // mu: read on for a while after closing
    int raw_status;        // mu: of an answer written past libmicrohttpd; 0: none
    size_t peer_len;
    char peer[64];
};

void http_conn_unref(HttpConn *conn);
void http_conn_phase_locked(HttpConn *conn, HttpPhase phase) REQUIRES(conn->mu);

// ---- Calls

struct HttpCall {
    HttpRequest request; // what the handler sees
    HttpJob job;
    atomic_uint refs; // libmicrohttpd's request, its streaming response, the worker
    HttpServer *server;
    HttpConn *conn;             // holds a reference
    struct MHD_Connection *mhd; // valid until the call is completed
    const HttpRoute *route;
    HttpResponse response;
    int status;
    Err err;         // what a refusal says
    HttpPair *pairs; // arguments, then headers
    Buf text;        // what the request's strings live in; does not grow once they do
    Buf body;
    uint64_t body_charged; // to HttpServer.bodies_bytes
    size_t body_bytes_max;
    uint64_t body_announced; // by Content-Length
    bool has_body;           // one is announced, or may follow
    bool http11;
    bool head_done, counted; // I/O thread
    bool refused;            // answered without a handler
    bool with_worker;        // conn->mu
    bool worked;             // conn->mu: the response is there
    bool cut;                // conn->mu: the connection is given up although a worker has the call
    bool streaming, piece_last, stream_failed;
    Buf piece;
    size_t piece_sent;
    atomic_bool cancelled;
    atomic_llong checked_ms; // when the socket was last asked
    int64_t queued_ns, wait_ns, work_ns;
    uint64_t response_bytes;
    Str target; // raw, in tail
    char tail[];
};

HttpCall *http_call_new(HttpServer *server, HttpConn *conn, Str target);
void http_call_ref(HttpCall *call);
void http_call_unref(HttpCall *call);

// What libmicrohttpd found in a head; borrowed.
typedef struct HttpHead {
    Str method;
    bool http11;
    const HttpPair *headers;
    size_t header_count; // more than HTTP_HEADERS_MAX: they are not all there
    size_t size_bytes;
} HttpHead;

// Checks the head, fills call->request and finds the route. On failure the call is refused: status
// and err say what to answer.
Status http_call_head(HttpCall *call, const HttpHead *head);
Status http_call_body(HttpCall *call, Bytes piece);
void http_call_body_free(HttpCall *call);
// Sets what is answered instead of running the handler; returns a failure.
Status http_call_refuse(HttpCall *call, int status, HttpReject why, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
// Runs the handler, or pulls the next piece. One thread at a time. `compress` is the thread's.
void http_call_work(HttpCall *call, Compress *compress);
// Makes call->response the error response for call->status and call->err.
void http_call_shape_error(HttpCall *call);
void http_error_shape(const HttpServer *server, const HttpRequest *request, int status, Str message,
                      HttpResponse *response);

// ---- http_door.c

typedef struct HttpDoor {
    enum { HTTP_DOOR_PASS, HTTP_DOOR_WAIT, HTTP_DOOR_REFUSE } verdict; // WAIT: more has to come
    int status;                                                        // REFUSE: 400, 413, 414, 431
    const char *why;                                                   // REFUSE
} HttpDoor;

// What to do with a connection whose first bytes are `in`.
HttpDoor http_door_look(Str in, size_t head_bytes_max);

// ---- http_guard.c

typedef struct HttpGuard HttpGuard;
// Takes `listen_fd`.
HttpGuard *http_guard_new(HttpServer *server, int listen_fd);
Status http_guard_start(HttpGuard *guard, Err *err);
void http_guard_wake(HttpGuard *guard);
// Reads and drops what comes in on `fd` for a while, then closes it. Takes `fd`.
void http_guard_linger(HttpGuard *guard, int fd);
// Closes the listening socket, and from now on connections that are idle.
void http_guard_stop_accepting(HttpGuard *guard);
void http_guard_wait_linger(HttpGuard *guard, int64_t timeout_ms);
void http_guard_free(HttpGuard *guard); // accepts NULL
// True when bytes came from the peer and none went to it.
bool http_guard_sent_nothing(int fd);

// ---- http_server.c

typedef struct HttpIo {
    HttpServer *server;
    struct MHD_Daemon *daemon;
    Compress *compress; // for INLINE handlers; this I/O thread's
} HttpIo;

struct HttpServer {
    HttpServerOptions options; // defaults filled in
    char address[64];
    uint16_t port;
    HttpIo io[HTTP_IO_THREADS_MAX];
    unsigned io_count;
    atomic_uint io_next;
    HttpPool pools[2]; // write, read
    HttpGuard *guard;
    Mutex conns_mu;
    HttpConn *conns; // conns_mu
    Mutex stop_mu;
    Cond stop_changed;
    atomic_bool stopping; // no new connections; answers say "close"
    atomic_bool cutting;  // the deadline has passed
    bool stopped;
    bool pools_stopped;
    atomic_ullong connections, connections_total, in_flight, bodies_bytes;
    atomic_ullong requests[6], rejected[HTTP_REJECT_COUNT];
    atomic_ullong in_bytes, out_bytes, cancelled;
};

int64_t http_now_ms(void);
int64_t http_now_ns(void);
// Hands an accepted socket to an I/O thread; takes it. False when it had to be closed.
bool http_server_adopt(HttpServer *server, int fd, const void *addr, unsigned addr_len);
// A whole error response as it goes over the wire, for when libmicrohttpd cannot be asked.
void http_raw_answer(const HttpServer *server, const HttpRequest *request, int status, Str message,
                     Buf *out);
// Writes it and marks the connection for lingering.
void http_conn_send_raw_locked(HttpConn *conn, int status, Bytes answer) REQUIRES(conn->mu);
void http_count(atomic_ullong *counter, uint64_t n);
