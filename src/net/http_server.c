// SPDX-License-Identifier: Apache-2.0
#include "net/http_server.h"

#include "base/mem.h"
#include "net/http_internal.h"
#include "os/os.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

enum {
    LISTEN_BACKLOG = 1024,
    MHD_POOL_BYTES_MIN = 64 << 10, // measured: 1 MB makes a GET four times slower
    STREAM_BLOCK_BYTES = 32 << 10,
    STOP_LINGER_MS = 250,
    STOP_ENTER_MS = 250, // for connections that have just come
    STOP_LOOK_MS = 5,
};

int64_t http_now_ns(void)
{
    return os_mono_ns(os_posix());
}

int64_t http_now_ms(void)
{
    return http_now_ns() / 1000000;
}

void http_count(atomic_ullong *counter, uint64_t n)
{
    // Relaxed: statistics.
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t counted(const atomic_ullong *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed); // statistics
}

static HttpPool *pool_of(HttpServer *server, const HttpCall *call)
{
    return &server->pools[call->route->work == HTTP_CLASS_WRITE ? 0 : 1];
}

// ---- Connections

static void put_peer(HttpConn *conn, const struct sockaddr *addr)
{
    char text[INET6_ADDRSTRLEN] = "";
    int len = 0;
    if (addr->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, addr, sizeof(in));
        (void)inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text));
        len = snprintf(conn->peer, sizeof(conn->peer), "%s:%u", text, (unsigned)ntohs(in.sin_port));
    } else if (addr->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, addr, sizeof(in));
        const bool v4 = IN6_IS_ADDR_V4MAPPED(&in.sin6_addr);
        (void)inet_ntop(v4 ? AF_INET : AF_INET6,
                        v4 ? (const void *)&in.sin6_addr.s6_addr[12] : (const void *)&in.sin6_addr,
                        text, sizeof(text));
        len = snprintf(conn->peer, sizeof(conn->peer), v4 ? "%s:%u" : "[%s]:%u", text,
                       (unsigned)ntohs(in.sin6_port));
    }
    conn->peer_len = len > 0 ? (size_t)len : 0;
}

void http_conn_unref(HttpConn *conn)
{
    // Release: our use is done. Acquire, for the last one: so is everybody else's.
    if (atomic_fetch_sub_explicit(&conn->refs, 1, memory_order_acq_rel) == 1) {
        mutex_deinit(&conn->mu);
        mem_free(conn);
    }
}

void http_conn_phase_locked(HttpConn *conn, HttpPhase phase)
{
    conn->phase = phase;
    conn->phase_ms = http_now_ms();
    conn->watching = false;
    conn->watch_ms = 0;
    conn->abandoned = false;
}

void http_conn_send_raw_locked(HttpConn *conn, int status, Bytes answer)
{
    // The socket's buffer is empty at this point of an exchange and takes it whole.
    if (conn->fd >= 0) {
        (void)!send(conn->fd, answer.ptr, answer.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    conn->raw_status = status;
    conn->linger = true;
    conn->doomed = true;
}

bool http_server_adopt(HttpServer *server, int fd, const void *addr, unsigned addr_len)
{
    // Relaxed: any order of turns is fine; the count is a limit.
    const unsigned turn = atomic_fetch_add_explicit(&server->io_next, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&server->connections, 1, memory_order_relaxed);
    if (MHD_add_connection(server->io[turn % server->io_count].daemon, fd, addr,
                           (socklen_t)addr_len) != MHD_YES) {
        atomic_fetch_sub_explicit(&server->connections, 1, memory_order_relaxed);
        return false;
    }
    http_count(&server->connections_total, 1);
    return true;
}

static void conn_started(HttpServer *server, struct MHD_Connection *mhd, void **context)
{
    HttpConn *conn = mem_new(HttpConn, 1);
    mutex_init(&conn->mu);
    atomic_init(&conn->refs, 1);
    conn->server = server;
    conn->first = true;
    conn->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    put_peer(conn, MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
    mutex_lock(&conn->mu);
    http_conn_phase_locked(conn, HTTP_PHASE_IDLE);
    mutex_unlock(&conn->mu);
    *context = conn;

    mutex_lock(&server->conns_mu);
    conn->next = server->conns;
    if (conn->next != NULL) {
        conn->next->prev = conn;
    }
    server->conns = conn;
    mutex_unlock(&server->conns_mu);
}

// A duplicate keeps the TCP connection alive when libmicrohttpd closes its descriptor right after
// this callback.
static void begin_linger(HttpServer *server, int fd)
{
    const int copy = dup(fd);
    if (copy >= 0) {
        (void)ioctl(copy, FIOCLEX);
        (void)shutdown(copy, SHUT_WR);
        http_guard_linger(server->guard, copy);
    }
}

// libmicrohttpd closes without a word when the very first line is not a request line.
static void answer_garbage(HttpConn *conn)
{
    static const HttpRequest nothing = {.method = HTTP_GET};
    Buf answer;
    uint8_t byte = 0;

    mutex_lock(&conn->mu);
    const int fd = conn->fd;
    const bool garbage = !conn->doomed && conn->first && conn->phase == HTTP_PHASE_IDLE &&
                         recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0 &&
                         http_guard_sent_nothing(fd);
    mutex_unlock(&conn->mu);
    if (!garbage) {
        return;
    }
    buf_init(&answer, 0);
    http_raw_answer(conn->server, &nothing, 400, STR("not an HTTP request"), &answer);
    mutex_lock(&conn->mu);
    http_conn_send_raw_locked(conn, 400, buf_bytes(&answer));
    mutex_unlock(&conn->mu);
    buf_deinit(&answer);
    http_count(&conn->server->rejected[HTTP_REJECT_MALFORMED], 1);
}

static void conn_closed(HttpServer *server, HttpConn *conn)
{
    int unread = 0;

    mutex_lock(&server->conns_mu);
    if (conn->prev != NULL) {
        conn->prev->next = conn->next;
    } else {
        server->conns = conn->next;
    }
    if (conn->next != NULL) {
        conn->next->prev = conn->prev;
    }
    mutex_unlock(&server->conns_mu);

    answer_garbage(conn);
    mutex_lock(&conn->mu);
    const int fd = conn->fd;
    conn->fd = -1;
    // libmicrohttpd tells no completion of a request that it never handed over: a head that did not
    // fit its pool.
    HttpCall *orphan = conn->call;
    conn->call = NULL;
    const bool linger = conn->linger || (ioctl(fd, FIONREAD, &unread) == 0 && unread > 0);
    mutex_unlock(&conn->mu);
    if (linger) {
        begin_linger(server, fd);
    }
    // Relaxed: a limit.
    const uint64_t before =
        atomic_fetch_sub_explicit(&server->connections, 1, memory_order_relaxed);
    if (before >= server->options.connections_max) {
        http_guard_wake(server->guard);
    }
    if (orphan != NULL) {
        http_call_unref(orphan);
    }
    http_conn_unref(conn);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    HttpIo *io = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        conn_started(io->server, mhd, context);
    } else if (*context != NULL) {
        conn_closed(io->server, *context);
        *context = NULL;
    }
}

// ---- Answering

static void put_headers(Buf *out, const HttpResponse *response)
{
    for (size_t i = 0; i < response->header_count; i++) {
        buf_put_str(out, response->headers[i].name);
        buf_put_str(out, STR(": "));
        buf_put_str(out, response->headers[i].value);
        buf_put_str(out, STR("\r\n"));
    }
}

void http_raw_answer(const HttpServer *server, const HttpRequest *request, int status, Str message,
                     Buf *out)
{
    HttpResponse response;
    http_response_init(&response);
    http_error_shape(server, request, status, message, &response);
    buf_putf(out, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: %zu\r\n", status,
             MHD_get_reason_phrase_for((unsigned)status), response.body.len);
    if (response.content_type != NULL) {
        buf_putf(out, "Content-Type: %s\r\n", response.content_type);
    }
    put_headers(out, &response);
    if (request->call != NULL) {
        put_headers(out, &request->call->response);
    }
    buf_put_str(out, STR("\r\n"));
    buf_put(out, response.body.ptr, response.body.len);
    http_response_deinit(&response);
}

// Refuses a request whose body is still on its way: the answer goes out at once and the connection
// is closed, because libmicrohttpd takes no response in the middle of a body.
static enum MHD_Result refuse_now(HttpCall *call)
{
    HttpConn *conn = call->conn;
    Buf answer;
    http_call_body_free(call); // makes room for others before this client knows
    buf_init(&answer, 0);
    http_raw_answer(call->server, &call->request, call->status,
                    (Str){call->err.msg, strlen(call->err.msg)}, &answer);
    mutex_lock(&conn->mu);
    http_conn_send_raw_locked(conn, call->status, buf_bytes(&answer));
    mutex_unlock(&conn->mu);
    buf_deinit(&answer);
    return MHD_NO;
}

// Marks the call as a worker's. False when the server no longer waits for it.
static bool hand_over(HttpCall *call)
{
    HttpConn *conn = call->conn;
    mutex_lock(&conn->mu);
    // Acquire: pairs with the release in cut_all(), which looks at with_worker afterwards.
    const bool ok = !atomic_load_explicit(&call->server->cutting, memory_order_acquire);
    if (ok) {
        call->with_worker = true;
        http_conn_phase_locked(conn, HTTP_PHASE_WORK);
    }
    mutex_unlock(&conn->mu);
    return ok;
}

// A worker's turn: the connection is suspended meanwhile.
static void run_job(HttpJob *job, Compress *compress)
{
    HttpCall *call = (HttpCall *)(void *)((char *)job - offsetof(HttpCall, job));
    HttpConn *conn = call->conn;

    mutex_lock(&conn->mu);
    const bool cut = call->cut;
    mutex_unlock(&conn->mu);
    if (!cut) {
        http_call_work(call, compress);
    }
    mutex_lock(&conn->mu);
    call->with_worker = false;
    call->worked = true;
    if (!call->cut) {
        MHD_resume_connection(call->mhd);
    }
    mutex_unlock(&conn->mu);
    http_call_unref(call);
}

// libmicrohttpd wants the next bytes of a streamed body.
static ssize_t on_stream(void *cls, uint64_t position, char *out, size_t max)
{
    HttpCall *call = cls;
    HttpConn *conn = call->conn;
    (void)position;

    mutex_lock(&conn->mu); // after a worker's turn, this is where its results become visible
    if (conn->phase == HTTP_PHASE_WORK) {
        http_conn_phase_locked(conn, HTTP_PHASE_SEND);
    }
    const bool cut = call->cut;
    mutex_unlock(&conn->mu);
    if (cut || call->stream_failed) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    const size_t left = call->piece.len - call->piece_sent;
    if (left > 0) {
        const size_t n = left < max ? left : max;
        memcpy(out, call->piece.ptr + call->piece_sent, n);
        call->piece_sent += n;
        call->response_bytes += n;
        return (ssize_t)n;
    }
    if (call->piece_last) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (!hand_over(call)) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    http_call_ref(call);
    MHD_suspend_connection(call->mhd);
    (void)http_pool_submit(pool_of(call->server, call), &call->job, true);
    return 0;
}

static void on_stream_free(void *cls)
{
    http_call_unref(cls);
}

static struct MHD_Response *make_response(HttpCall *call)
{
    HttpResponse *r = &call->response;
    struct MHD_Response *mhd = NULL;
    if (call->streaming) {
        http_call_ref(call);
        mhd = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, on_stream,
                                                call, on_stream_free);
        if (call->request.method == HTTP_HEAD && mhd != NULL) {
            // libmicrohttpd 0.9.75 sends the last chunk of a chunked body even after HEAD. Without
            // chunks the connection is closed instead.
            (void)MHD_set_response_options(mhd, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
        }
    } else {
        const Buf body = r->body;
        r->body = (Buf){0};
        call->response_bytes = call->request.method == HTTP_HEAD ? 0 : body.len;
        mhd = MHD_create_response_from_buffer_with_free_callback(body.len, body.ptr, mem_free);
    }
    ASSERT(mhd != NULL); // it only fails for lack of memory
    if (r->content_type != NULL) {
        (void)MHD_add_response_header(mhd, "Content-Type", r->content_type);
    }
    for (size_t i = 0; i < r->header_count; i++) {
        // Both are terminated: see http_response_header().
        (void)MHD_add_response_header(mhd, r->headers[i].name.ptr, r->headers[i].value.ptr);
    }
    // Acquire: pairs with the release in http_server_stop().
    if (atomic_load_explicit(&call->server->stopping, memory_order_acquire)) {
        (void)MHD_add_response_header(mhd, "Connection", "close");
    }
    return mhd;
}

static enum MHD_Result send_response(HttpCall *call)
{
    HttpConn *conn = call->conn;
    mutex_lock(&conn->mu);
    http_conn_phase_locked(conn, HTTP_PHASE_SEND);
    mutex_unlock(&conn->mu);
    struct MHD_Response *response = make_response(call);
    const enum MHD_Result result = MHD_queue_response(call->mhd, (unsigned)call->status, response);
    MHD_destroy_response(response);
    return result;
}

// ---- Receiving

static void *on_target(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    HttpIo *io = cls;
    HttpConn *conn =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    HttpCall *call = http_call_new(io->server, conn, (Str){uri, strlen(uri)});
    // libmicrohttpd would make an entry in its pool of each argument, and when the pool is used up
    // it leaves the connection without an answer. We have a copy; it need not know of them. The
    // text is its own buffer, which it goes on to change itself.
    char *arguments = strchr((char *)(uintptr_t)uri, '?');
    if (arguments != NULL) {
        arguments[1] = '\0';
    }
    call->mhd = mhd;
    mutex_lock(&conn->mu);
    conn->call = call;
    http_conn_phase_locked(conn, HTTP_PHASE_HEAD);
    mutex_unlock(&conn->mu);
    return call;
}

typedef struct HeaderList {
    HttpPair *pairs; // HTTP_HEADERS_MAX
    size_t count;    // may be more
} HeaderList;

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                 size_t name_len, const char *value, size_t value_len)
{
    HeaderList *list = cls;
    (void)kind;
    if (list->count < HTTP_HEADERS_MAX) {
        list->pairs[list->count] =
            (HttpPair){.name = {name, name_len}, .value = {value, value_len}};
    }
    list->count++;
    return MHD_YES;
}

static enum MHD_Result on_head(HttpCall *call, const char *method, const char *version)
{
    HttpPair pairs[HTTP_HEADERS_MAX];
    HeaderList list = {.pairs = pairs};
    HttpConn *conn = call->conn;

    call->head_done = true;
    (void)MHD_get_connection_values_n(call->mhd, MHD_HEADER_KIND, on_header, &list);
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(call->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    const HttpHead head = {.method = {method, strlen(method)},
                           .http11 = strcmp(version, "HTTP/1.0") != 0,
                           .headers = pairs,
                           .header_count = list.count,
                           .size_bytes = size != NULL ? size->header_size : 0};
    mutex_lock(&conn->mu);
    const bool doomed = conn->doomed;
    mutex_unlock(&conn->mu);
    if (doomed) {
        return MHD_NO; // the guard has given it up already
    }
    call->counted = true;
    http_count(&call->server->in_flight, 1);
    http_count(&call->server->in_bytes, head.size_bytes);
    const bool ok = http_call_head(call, &head) == OK;
    if (!ok && call->has_body) {
        return refuse_now(call);
    }
    mutex_lock(&conn->mu);
    conn->body_bytes = 0;
    http_conn_phase_locked(conn, call->has_body ? HTTP_PHASE_BODY : HTTP_PHASE_WORK);
    mutex_unlock(&conn->mu);
    return MHD_YES;
}

static enum MHD_Result on_body(HttpCall *call, Bytes piece)
{
    HttpConn *conn = call->conn;
    if (http_call_body(call, piece) != OK) {
        return refuse_now(call);
    }
    mutex_lock(&conn->mu);
    conn->body_bytes += piece.len;
    mutex_unlock(&conn->mu);
    return MHD_YES;
}

// The request is whole; or a worker has finished with it and its connection was resumed.
static enum MHD_Result on_whole(HttpIo *io, HttpCall *call)
{
    HttpConn *conn = call->conn;
    mutex_lock(&conn->mu); // after a worker's turn, this is where its results become visible
    const bool cut = call->cut;
    const bool worked = call->worked;
    mutex_unlock(&conn->mu);
    if (cut) {
        return MHD_NO;
    }
    if (call->refused) {
        http_call_shape_error(call);
        return send_response(call);
    }
    if (worked) {
        return send_response(call);
    }
    call->queued_ns = http_now_ns();
    if (call->route->work == HTTP_CLASS_INLINE) {
        http_call_work(call, io->compress);
        return send_response(call);
    }
    if (!hand_over(call)) {
        return MHD_NO;
    }
    http_call_ref(call);
    MHD_suspend_connection(call->mhd);
    if (!http_pool_submit(pool_of(call->server, call), &call->job, false)) {
        http_response_header_own(&call->response, STR("Retry-After"), STR("1"));
        (void)http_call_refuse(call, 503, HTTP_REJECT_QUEUE_FULL,
                               "too many requests are waiting; try again later");
        mutex_lock(&conn->mu);
        call->with_worker = false;
        if (!call->cut) {
            MHD_resume_connection(call->mhd);
        }
        mutex_unlock(&conn->mu);
        http_call_unref(call);
    }
    return MHD_YES;
}

// The signature is libmicrohttpd's. NOLINTNEXTLINE(readability-function-size)
static enum MHD_Result on_access(void *cls, struct MHD_Connection *mhd, const char *url,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_size, void **context)
{
    HttpIo *io = cls;
    HttpCall *call = *context;
    (void)mhd, (void)url;
    if (call == NULL) {
        return MHD_NO; // cannot be: on_target() was called first
    }
    if (!call->head_done) {
        return on_head(call, method, version);
    }
    if (*upload_size > 0) {
        const Bytes piece = {(const uint8_t *)upload, *upload_size};
        *upload_size = 0;
        return call->refused ? MHD_YES : on_body(call, piece);
    }
    return on_whole(io, call);
}

// ---- The end of a request

static void count_done(HttpCall *call, bool complete)
{
    HttpServer *server = call->server;
    http_count(
        &server->requests[call->status >= 100 && call->status < 600 ? call->status / 100 : 0], 1);
    http_count(&server->out_bytes, call->response_bytes);
    if (!complete) {
        http_count(&server->cancelled, 1);
    }
    if (server->options.done != NULL) {
        const HttpDone done = {.request = &call->request,
                               .route = call->route,
                               .status = call->status,
                               .response_bytes = call->response_bytes,
                               .wait_ns = call->wait_ns,
                               .work_ns = call->work_ns,
                               .complete = complete};
        server->options.done(server->options.done_ctx, &done);
    }
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code)
{
    HttpIo *io = cls;
    HttpServer *server = io->server;
    HttpCall *call = *context;
    if (call == NULL) {
        return;
    }
    HttpConn *conn = call->conn;
    mutex_lock(&conn->mu);
    conn->call = NULL;
    conn->first = false;
    const bool cut = call->cut;
    const int raw_status = conn->raw_status;
    http_conn_phase_locked(conn, HTTP_PHASE_IDLE);
    mutex_unlock(&conn->mu);

    if (!cut && call->status == 0) {
        call->status = raw_status; // the guard's
    }
    if (!cut && call->status == 0) {
        // libmicrohttpd's own answer: a malformed or too large head, a malformed chunk.
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_HTTP_STATUS);
        call->status = info != NULL ? (int)info->http_status : 0;
        if (call->status != 0) {
            http_count(&server->rejected[call->status == 431 || call->status == 414
                                             ? HTTP_REJECT_HEAD_SIZE
                                             : HTTP_REJECT_MALFORMED],
                       1);
        }
    }
    if (!cut) { // a worker still has it otherwise, and may be writing to it
        // An answer to a client that has gone is taken by the system all the same.
        const bool gone = atomic_load_explicit(&call->cancelled, memory_order_relaxed);
        const bool sent = code == MHD_REQUEST_TERMINATED_COMPLETED_OK && !call->stream_failed;
        count_done(call, raw_status != 0 || (sent && !gone));
    }
    if (call->counted) {
        // Sequentially consistent, as in http_server_stop() and wait_finished(): of "the last
        // request ends" and "the server stops" whoever comes second sees the other.
        const uint64_t before =
            atomic_fetch_sub_explicit(&server->in_flight, 1, memory_order_seq_cst);
        if (before == 1 && atomic_load_explicit(&server->stopping, memory_order_seq_cst)) {
            mutex_lock(&server->stop_mu);
            cond_broadcast(&server->stop_changed);
            mutex_unlock(&server->stop_mu);
        }
    }
    *context = NULL;
    http_call_unref(call);
}

static size_t no_unescape(void *cls, struct MHD_Connection *mhd, char *text)
{
    (void)cls, (void)mhd;
    return strlen(text); // targets are parsed by http_call.c, from on_target()'s copy
}

// ---- Starting

static Status parse_address(const HttpServerOptions *o, struct sockaddr_storage *out,
                            socklen_t *len, Err *err)
{
    char text[INET6_ADDRSTRLEN];
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(o->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(o->port)};
    memset(out, 0, sizeof(*out));
    if (o->address.len < sizeof(text)) {
        (void)snprintf(text, sizeof(text), STR_FMT, STR_ARG(o->address));
        if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
            memcpy(out, &v4, sizeof(v4));
            *len = sizeof(v4);
            return OK;
        }
        if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
            memcpy(out, &v6, sizeof(v6));
            *len = sizeof(v6);
            return OK;
        }
    }
    return err_set(err, ERR_INVALID, "'" STR_FMT "' is not an IPv4 or IPv6 address",
                   STR_ARG(str_slice(o->address, 0, 64)));
}

static Status listen_on(HttpServer *server, int *out, Err *err)
{
    struct sockaddr_storage addr;
    socklen_t len = 0;
    const int on = 1;
    const int off = 0;

    *out = -1;
    TRY(parse_address(&server->options, &addr, &len, err));
    const int fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return err_set_errno(err, errno, "socket");
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (addr.ss_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    if (bind(fd, (struct sockaddr *)&addr, len) != 0 || listen(fd, LISTEN_BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) != 0) {
        (void)err_set_errno(err, errno, "listen on " STR_FMT " port %u",
                            STR_ARG(server->options.address), (unsigned)server->options.port);
        err->status = ERR_UNAVAILABLE;
        (void)close(fd);
        return ERR_UNAVAILABLE;
    }
    if (addr.ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &addr, sizeof(in));
        server->port = ntohs(in.sin_port);
    } else {
        struct sockaddr_in6 in;
        memcpy(&in, &addr, sizeof(in));
        server->port = ntohs(in.sin6_port);
    }
    *out = fd;
    return OK;
}

static Status start_io(HttpServer *server, HttpIo *io, Err *err)
{
    const HttpServerOptions *o = &server->options;
    const size_t pool_bytes =
        o->head_bytes_max * 2 < MHD_POOL_BYTES_MIN ? MHD_POOL_BYTES_MIN : o->head_bytes_max * 2;
    const unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
                           MHD_USE_NO_LISTEN_SOCKET | MHD_USE_TURBO;
    io->server = server;
    io->compress = compress_new();
    io->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_access, io, MHD_OPTION_NOTIFY_COMPLETED, on_completed, io,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, io, MHD_OPTION_URI_LOG_CALLBACK, on_target, io,
        MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, NULL, MHD_OPTION_CONNECTION_TIMEOUT, 0U,
        // The guard counts connections; this is only a margin above.
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)o->connections_max + 64,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool_bytes, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 0,
        MHD_OPTION_END);
    if (io->daemon == NULL) {
        return err_set(err, ERR_UNAVAILABLE, "no I/O thread could be started");
    }
    server->io_count++;
    return OK;
}

#define DEFAULT(field, value) (field) = (field) != 0 ? (field) : (value)

static void fill_defaults(HttpServerOptions *o)
{
    const unsigned cpus = os_cpu_count();
    DEFAULT(o->io_threads, cpus < 4 ? cpus : 4);
    DEFAULT(o->write_threads, 2 * cpus);
    DEFAULT(o->read_threads, cpus + 2);
    DEFAULT(o->write_queue_max, HTTP_QUEUE_MAX_DEFAULT);
    DEFAULT(o->read_queue_max, HTTP_QUEUE_MAX_DEFAULT);
    DEFAULT(o->connections_max, HTTP_CONNECTIONS_MAX_DEFAULT);
    DEFAULT(o->head_bytes_max, HTTP_HEAD_BYTES_MAX_DEFAULT);
    DEFAULT(o->body_bytes_max, HTTP_BODY_BYTES_MAX_DEFAULT);
    DEFAULT(o->bodies_bytes_max, HTTP_BODIES_BYTES_MAX_DEFAULT);
    DEFAULT(o->idle_timeout_ms, HTTP_IDLE_TIMEOUT_MS_DEFAULT);
    DEFAULT(o->head_timeout_ms, HTTP_HEAD_TIMEOUT_MS_DEFAULT);
    DEFAULT(o->transfer_grace_ms, HTTP_TRANSFER_GRACE_MS_DEFAULT);
    DEFAULT(o->transfer_rate_min, HTTP_TRANSFER_RATE_MIN_DEFAULT);
    DEFAULT(o->gzip_bytes_min, HTTP_GZIP_BYTES_MIN_DEFAULT);
}

static Status check_options(const HttpServerOptions *o, Err *err)
{
    if (o->io_threads > HTTP_IO_THREADS_MAX || o->write_threads > HTTP_POOL_THREADS_MAX ||
        o->read_threads > HTTP_POOL_THREADS_MAX) {
        return err_set(err, ERR_INVALID, "more than %d I/O or %d worker threads",
                       HTTP_IO_THREADS_MAX, HTTP_POOL_THREADS_MAX);
    }
    if (o->idle_timeout_ms < 0 || o->head_timeout_ms < 0 || o->transfer_grace_ms < 0) {
        return err_set(err, ERR_INVALID, "negative timeout");
    }
    return http_routes_check(o->routes, o->route_count, err);
}

Status http_server_start(const HttpServerOptions *options, HttpServer **out, Err *err)
{
    Status st = OK;
    int listen_fd = -1;
    HttpServer *server = mem_new(HttpServer, 1);

    *out = NULL;
    server->options = *options;
    fill_defaults(&server->options);
    mutex_init(&server->conns_mu);
    mutex_init(&server->stop_mu);
    cond_init(&server->stop_changed);
    (void)snprintf(server->address, sizeof(server->address), STR_FMT, STR_ARG(options->address));
    server->options.address = (Str){server->address, strlen(server->address)};
    TRY_OUT(check_options(&server->options, err));
    TRY_OUT(listen_on(server, &listen_fd, err));
    server->guard = http_guard_new(server, listen_fd);
    server->pools[0].run = run_job;
    server->pools[1].run = run_job;
    TRY_OUT(http_pool_start(&server->pools[0], "http-write", server->options.write_threads,
                            server->options.write_queue_max, err));
    TRY_OUT(http_pool_start(&server->pools[1], "http-read", server->options.read_threads,
                            server->options.read_queue_max, err));
    for (unsigned i = 0; i < server->options.io_threads; i++) {
        TRY_OUT(start_io(server, &server->io[i], err));
    }
    TRY_OUT(http_guard_start(server->guard, err));
    *out = server;
    server = NULL; // now the caller's
out:
    http_server_free(server);
    return st == OK ? OK : err_prefix(err, "HTTP server: ");
}

uint16_t http_server_port(const HttpServer *server)
{
    return server->port;
}

// ---- Stopping

// Waits until every request has its answer. False when the time is up first.
static bool wait_finished(HttpServer *server, int64_t deadline_ms)
{
    const int64_t until_ms = http_now_ms() + deadline_ms;
    bool finished = false;
    mutex_lock(&server->stop_mu);
    for (;;) {
        // See on_completed().
        finished = atomic_load_explicit(&server->in_flight, memory_order_seq_cst) == 0;
        const int64_t left_ms = until_ms - http_now_ms();
        if (finished || left_ms <= 0) {
            break;
        }
        (void)cond_wait_ms(&server->stop_changed, &server->stop_mu, left_ms);
    }
    mutex_unlock(&server->stop_mu);
    return finished;
}

// A connection that has just come may have a request of which nobody knows yet. The guard closes
// those that have none.
static void wait_entered(HttpServer *server, int64_t deadline_ms)
{
    const int64_t wait_ms = deadline_ms < STOP_ENTER_MS ? deadline_ms : STOP_ENTER_MS;
    const int64_t until_ms = http_now_ms() + wait_ms;
    while (counted(&server->connections) > 0 && http_now_ms() < until_ms) {
        os_sleep_ns(os_posix(), STOP_LOOK_MS * INT64_C(1000000));
    }
}

// Gives up what is still with a worker, so that no connection is suspended when the daemons stop:
// MHD_stop_daemon() aborts the process otherwise.
static void cut_all(HttpServer *server)
{
    // Release: pairs with the acquire in hand_over(). Whoever hands over before sees its call cut
    // below, whoever comes later does not hand over.
    atomic_store_explicit(&server->cutting, true, memory_order_release);
    mutex_lock(&server->conns_mu);
    for (HttpConn *conn = server->conns; conn != NULL; conn = conn->next) {
        mutex_lock(&conn->mu);
        HttpCall *call = conn->call;
        if (call != NULL && call->with_worker && !call->cut) {
            call->cut = true;
            // Relaxed: a hint.
            atomic_store_explicit(&call->cancelled, true, memory_order_relaxed);
            MHD_resume_connection(call->mhd);
        }
        mutex_unlock(&conn->mu);
    }
    mutex_unlock(&server->conns_mu);
}

size_t http_server_stop(HttpServer *server, int64_t deadline_ms)
{
    size_t cut = 0;
    if (server->stopped) {
        return 0;
    }
    server->stopped = true;
    // I/O threads and the guard act on it when they see it. The order: see on_completed().
    atomic_store_explicit(&server->stopping, true, memory_order_seq_cst);
    const int64_t until_ms = http_now_ms() + deadline_ms;
    http_guard_stop_accepting(server->guard);
    if (wait_finished(server, deadline_ms)) {
        wait_entered(server, deadline_ms);
    }
    if (!wait_finished(server, until_ms - http_now_ms())) {
        cut = (size_t)counted(&server->in_flight);
        http_count(&server->rejected[HTTP_REJECT_STOPPING], cut);
    }
    cut_all(server);
    for (unsigned i = 0; i < server->io_count; i++) {
        MHD_stop_daemon(server->io[i].daemon);
        server->io[i].daemon = NULL;
    }
    // Relaxed: a figure. It does not tell of connections that it had not begun with.
    atomic_store_explicit(&server->connections, 0, memory_order_relaxed);
    http_guard_wait_linger(server->guard, STOP_LINGER_MS);
    return cut;
}

void http_server_free(HttpServer *server)
{
    if (server == NULL) {
        return;
    }
    if (server->guard != NULL) {
        (void)http_server_stop(server, 0);
    }
    http_pool_stop(&server->pools[0]);
    http_pool_stop(&server->pools[1]);
    http_guard_free(server->guard);
    for (unsigned i = 0; i < ARRAY_LEN(server->io); i++) {
        compress_free(server->io[i].compress);
    }
    cond_deinit(&server->stop_changed);
    mutex_deinit(&server->stop_mu);
    mutex_deinit(&server->conns_mu);
    mem_free(server);
}

// ---- Statistics

const char *http_reject_text(HttpReject reject)
{
    static const char *const texts[] = {
#define X(name, text) text,
        HTTP_REJECT_LIST(X)
#undef X
    };
    ASSERT(reject < HTTP_REJECT_COUNT);
    return texts[reject];
}

void http_server_stats(HttpServer *server, HttpStats *out)
{
    *out = (HttpStats){.in_bytes = counted(&server->in_bytes),
                       .out_bytes = counted(&server->out_bytes),
                       .connections_total = counted(&server->connections_total),
                       .cancelled = counted(&server->cancelled),
                       .connections = counted(&server->connections),
                       .in_flight = counted(&server->in_flight),
                       .bodies_bytes = counted(&server->bodies_bytes)};
    for (size_t i = 0; i < ARRAY_LEN(out->requests); i++) {
        out->requests[i] = counted(&server->requests[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(out->rejected); i++) {
        out->rejected[i] = counted(&server->rejected[i]);
    }
    http_pool_counts(&server->pools[0], &out->queued_write, &out->running_write);
    http_pool_counts(&server->pools[1], &out->queued_read, &out->running_read);
}
