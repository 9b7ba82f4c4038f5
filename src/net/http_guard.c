// SPDX-License-Identifier: Apache-2.0
//
// The guard thread does what libmicrohttpd 0.9.75 leaves to be wished for:
// - It accepts. MHD_quiesce_daemon() panics when an I/O thread takes the listening socket out of
//   its epoll set at the same moment, and threads that share a listening socket balance badly.
// - It cuts who is too slow. libmicrohttpd's own timeout starts again with every byte, so one byte
//   a second keeps a connection for ever.
// - It looks at the first head of a connection (http_door.c), as libmicrohttpd answers some
//   mistakes with pages of its own. Later heads of a connection are not looked at.
// - It lingers. Closing a socket with unread input resets the connection, and the client loses the
//   answer that says why its upload was refused.
#define _GNU_SOURCE // accept4
#include "base/mem.h"
#include "net/http_internal.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPTS_MAX = 64, // in one go, before looking at anything else
    SCAN_MS_MIN = 20, // between looks at all connections
    SCAN_MS_MAX = 1000,
    BUSY_WAIT_MS = 50, // after accept() ran out of descriptors
    CUTS_MAX = 256,    // in one scan; the rest in the next
    LINGER_READ_BYTES = 64 << 10,
    LINGER_READS_MAX = 16,    // per connection and round
    PENDING_MAX = 256,        // new connections that are looked at; others go in unseen
    PENDING_MS = 250,         // for this long, when nothing comes
    PENDING_PART_MS = 50,     // or when a part of a head is there
    PENDING_LOOK_MS = 5,      // between looks at a part
    TCP_STATE_CLOSE_WAIT = 8, // as in the kernel's net/tcp_states.h
};

typedef struct Linger {
    int fd;
    int64_t until_ms;
    uint64_t left_bytes;
} Linger;

// A new connection of which libmicrohttpd does not know yet.
typedef struct Pending {
    int fd;
    socklen_t addr_len;
    struct sockaddr_storage addr;
    int64_t until_ms; // then it goes in as it is
    bool part;        // something was there
} Pending;

struct HttpGuard {
    HttpServer *server;
    Thread thread;
    int wake_fd;
    int listen_fd; // guard thread, once started; -1 when closed
    int64_t scan_ms;
    int64_t accept_again_ms;                     // 0: now
    Linger lingers[HTTP_LINGER_CONNECTIONS_MAX]; // guard thread
    size_t linger_count;                         // guard thread
    Pending pendings[PENDING_MAX];               // guard thread
    size_t pending_count;                        // guard thread
    uint8_t *trash;                              // guard thread: what lingering and looking read
    Buf too_slow; // the answer to a request that does not arrive; made once
    Mutex mu;
    Cond changed;
    bool stop;                                 // mu
    bool stop_accepting;                       // mu
    bool accepting;                            // mu
    int arrivals[HTTP_LINGER_CONNECTIONS_MAX]; // mu: to be lingered on
    size_t arrival_count;                      // mu
    size_t lingering;                          // mu: all of both
};

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

HttpGuard *http_guard_new(HttpServer *server, int listen_fd)
{
    static const HttpRequest nothing = {.method = HTTP_GET};
    const HttpServerOptions *o = &server->options;
    HttpGuard *guard = mem_new(HttpGuard, 1);
    guard->server = server;
    guard->listen_fd = listen_fd;
    guard->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    guard->trash = mem_alloc_raw(LINGER_READ_BYTES);
    const int64_t shortest =
        min_i64(o->idle_timeout_ms, min_i64(o->head_timeout_ms, o->transfer_grace_ms));
    guard->scan_ms = shortest / 4 < SCAN_MS_MIN ? SCAN_MS_MIN : min_i64(shortest / 4, SCAN_MS_MAX);
    http_raw_answer(server, &nothing, 408, STR("the request did not arrive in time"),
                    &guard->too_slow);
    mutex_init(&guard->mu);
    cond_init(&guard->changed);
    return guard;
}

void http_guard_wake(HttpGuard *guard)
{
    const uint64_t one = 1;
    // The counter can only be full when the guard is about to wake up anyway.
    (void)!write(guard->wake_fd, &one, sizeof(one));
}

// ---- The first look

static void refuse_at_door(HttpGuard *guard, int fd, const HttpDoor *door)
{
    static const HttpRequest nothing = {.method = HTTP_GET};
    HttpServer *server = guard->server;
    Buf answer;
    buf_init(&answer, 0);
    http_raw_answer(server, &nothing, door->status, (Str){door->why, strlen(door->why)}, &answer);
    // The socket's buffer is empty and takes it whole.
    (void)!send(fd, answer.ptr, answer.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    buf_deinit(&answer);
    (void)shutdown(fd, SHUT_WR);
    http_count(&server->connections_total, 1);
    http_count(&server->requests[door->status / 100], 1);
    const HttpReject why = door->status == 400   ? HTTP_REJECT_MALFORMED
                           : door->status == 413 ? HTTP_REJECT_BODY_SIZE
                                                 : HTTP_REJECT_HEAD_SIZE;
    http_count(&server->rejected[why], 1);
    http_guard_linger(guard, fd);
}

// True when the guard is done with it.
static bool look(HttpGuard *guard, Pending *pending, int64_t now_ms)
{
    const size_t max = guard->server->options.head_bytes_max;
    const size_t room = max < LINGER_READ_BYTES ? max + 1 : LINGER_READ_BYTES;
    const ssize_t n = recv(pending->fd, guard->trash, room, MSG_PEEK | MSG_DONTWAIT);
    HttpDoor door = {.verdict = HTTP_DOOR_PASS}; // an end or an error is libmicrohttpd's
    if (n > 0) {
        door = http_door_look((Str){(const char *)guard->trash, (size_t)n}, room - 1);
    } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        door.verdict = HTTP_DOOR_WAIT;
    }
    if (n > 0 && !pending->part) {
        pending->part = true;
        pending->until_ms = now_ms + PENDING_PART_MS;
    }
    if (door.verdict == HTTP_DOOR_REFUSE) {
        refuse_at_door(guard, pending->fd, &door);
        return true;
    }
    if (door.verdict == HTTP_DOOR_WAIT && now_ms < pending->until_ms) {
        return false;
    }
    (void)http_server_adopt(guard->server, pending->fd, &pending->addr, pending->addr_len);
    return true;
}

static void look_at_all(HttpGuard *guard, int64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < guard->pending_count; i++) {
        if (!look(guard, &guard->pendings[i], now_ms)) {
            guard->pendings[kept++] = guard->pendings[i];
        }
    }
    guard->pending_count = kept;
}

static bool is_full(const HttpGuard *guard)
{
    // Relaxed: a limit; whoever makes room wakes us.
    return atomic_load_explicit(&guard->server->connections, memory_order_relaxed) +
               guard->pending_count >=
           guard->server->options.connections_max;
}

// ---- Accepting

static void accept_some(HttpGuard *guard, int64_t now_ms)
{
    HttpServer *server = guard->server;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        struct sockaddr_storage addr;
        socklen_t addr_len = sizeof(addr);
        if (is_full(guard)) {
            return; // the others wait in the backlog
        }
        const int fd = accept4(guard->listen_fd, (struct sockaddr *)&addr, &addr_len,
                               SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                guard->accept_again_ms = now_ms + BUSY_WAIT_MS;
            }
            if (errno == EINTR || errno == ECONNABORTED) {
                continue;
            }
            return;
        }
        const int on = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        Pending pending = {
            .fd = fd, .addr = addr, .addr_len = addr_len, .until_ms = now_ms + PENDING_MS};
        if (guard->pending_count == PENDING_MAX) {
            (void)http_server_adopt(server, fd, &addr, (unsigned)addr_len);
        } else if (!look(guard, &pending, now_ms)) {
            guard->pendings[guard->pending_count++] = pending;
        }
    }
}

// ---- Cutting

typedef struct TcpCounters {
    uint64_t received_bytes, acked_bytes, sent_bytes;
    bool outstanding; // something was written that the peer has not acknowledged
    bool peer_closed; // it will send nothing more
} TcpCounters;

static bool tcp_counters(int fd, TcpCounters *out)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
        len < offsetof(struct tcp_info, tcpi_bytes_sent) + sizeof(info.tcpi_bytes_sent)) {
        return false; // an old kernel: without these counters only whole timeouts apply
    }
    *out = (TcpCounters){.received_bytes = info.tcpi_bytes_received,
                         .acked_bytes = info.tcpi_bytes_acked,
                         .sent_bytes = info.tcpi_bytes_sent,
                         .outstanding = info.tcpi_unacked > 0 || info.tcpi_notsent_bytes > 0,
                         .peer_closed = info.tcpi_state == TCP_STATE_CLOSE_WAIT};
    return true;
}

bool http_guard_sent_nothing(int fd)
{
    TcpCounters tcp;
    return tcp_counters(fd, &tcp) && tcp.sent_bytes == 0 && tcp.received_bytes > 0;
}

static bool has_unread(int fd)
{
    int bytes = 0;
    return ioctl(fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

typedef enum Cut {
    CUT_NO,
    CUT_SILENTLY, // nothing is under way
    CUT_SLOW,     // 408, if there is something to answer
    CUT_READER,   // it does not read its answer
} Cut;

static Cut judge_idle_locked(HttpConn *conn, int64_t now_ms) REQUIRES(conn->mu);
static Cut judge_idle_locked(HttpConn *conn, int64_t now_ms)
{
    const HttpServerOptions *o = &conn->server->options;
    TcpCounters tcp;
    // Acquire: pairs with the release in http_server_stop().
    if (atomic_load_explicit(&conn->server->stopping, memory_order_acquire)) {
        return has_unread(conn->fd) ? CUT_NO : CUT_SILENTLY;
    }
    if (now_ms - conn->phase_ms >= o->idle_timeout_ms && conn->watch_ms == 0) {
        return CUT_SILENTLY;
    }
    // libmicrohttpd does not say when the first byte of a head has come; TCP's counter does.
    if (!tcp_counters(conn->fd, &tcp)) {
        return CUT_NO;
    }
    if (!conn->watching) {
        conn->watching = true;
        conn->watch_ms = 0;
        conn->watch_bytes = conn->first ? 0 : tcp.received_bytes;
    }
    if (tcp.received_bytes > conn->watch_bytes && conn->watch_ms == 0) {
        conn->watch_ms = now_ms;
    }
    return conn->watch_ms != 0 && now_ms - conn->watch_ms >= o->head_timeout_ms ? CUT_SLOW : CUT_NO;
}

// libmicrohttpd 0.9.75 asks epoll for edges and takes a short read for the last one, so it misses
// the end of a stream that came together with data, and waits for ever. Seen twice in the same
// phase, this is no request that it is only just working on.
static bool is_abandoned_locked(HttpConn *conn) REQUIRES(conn->mu);
static bool is_abandoned_locked(HttpConn *conn)
{
    TcpCounters tcp;
    if (!tcp_counters(conn->fd, &tcp) || !tcp.peer_closed || has_unread(conn->fd)) {
        return false;
    }
    const bool again = conn->abandoned;
    conn->abandoned = true;
    return again;
}

static Cut judge_send_locked(HttpConn *conn, int64_t now_ms) REQUIRES(conn->mu);
static Cut judge_send_locked(HttpConn *conn, int64_t now_ms)
{
    const HttpServerOptions *o = &conn->server->options;
    TcpCounters tcp;
    if (!tcp_counters(conn->fd, &tcp)) {
        return CUT_NO;
    }
    const int64_t window_ms = now_ms - conn->watch_ms;
    if (conn->watching && window_ms < o->transfer_grace_ms) {
        return CUT_NO;
    }
    const uint64_t want = o->transfer_rate_min * (uint64_t)o->transfer_grace_ms / 1000;
    const bool slow =
        conn->watching && tcp.outstanding && tcp.acked_bytes - conn->watch_bytes < want;
    conn->watching = true;
    conn->watch_ms = now_ms;
    conn->watch_bytes = tcp.acked_bytes;
    return slow ? CUT_READER : CUT_NO;
}

static Cut judge_locked(HttpConn *conn, int64_t now_ms) REQUIRES(conn->mu);
static Cut judge_locked(HttpConn *conn, int64_t now_ms)
{
    const HttpServerOptions *o = &conn->server->options;
    const int64_t age_ms = now_ms - conn->phase_ms;
    if (conn->fd < 0 || conn->doomed) {
        return CUT_NO;
    }
    if (conn->phase <= HTTP_PHASE_BODY && is_abandoned_locked(conn)) {
        return CUT_SILENTLY;
    }
    switch (conn->phase) {
    case HTTP_PHASE_IDLE:
        return judge_idle_locked(conn, now_ms);
    case HTTP_PHASE_HEAD:
        return age_ms >= o->head_timeout_ms ? CUT_SLOW : CUT_NO;
    case HTTP_PHASE_BODY:
        return age_ms >= o->transfer_grace_ms +
                             (int64_t)(conn->body_bytes * 1000 / o->transfer_rate_min)
                   ? CUT_SLOW
                   : CUT_NO;
    case HTTP_PHASE_WORK:
        return CUT_NO;
    case HTTP_PHASE_SEND:
        return judge_send_locked(conn, now_ms);
    }
    UNREACHABLE();
}

static void cut_locked(HttpConn *conn, Cut cut, Bytes answer) REQUIRES(conn->mu);
static void cut_locked(HttpConn *conn, Cut cut, Bytes answer)
{
    if (cut == CUT_SLOW) {
        http_conn_send_raw_locked(conn, 408, answer);
    }
    if (cut != CUT_SILENTLY) {
        http_count(&conn->server->rejected[HTTP_REJECT_SLOW], 1);
    }
    conn->doomed = true;
    // libmicrohttpd sees the end of the stream and closes.
    (void)shutdown(conn->fd, cut == CUT_SLOW ? SHUT_RD : SHUT_RDWR);
}

static void scan(HttpGuard *guard, int64_t now_ms)
{
    HttpServer *server = guard->server;
    size_t cuts = 0;
    mutex_lock(&server->conns_mu);
    for (HttpConn *conn = server->conns; conn != NULL && cuts < CUTS_MAX; conn = conn->next) {
        mutex_lock(&conn->mu);
        const Cut cut = judge_locked(conn, now_ms);
        if (cut != CUT_NO) {
            cut_locked(conn, cut, buf_bytes(&guard->too_slow));
            cuts++;
        }
        mutex_unlock(&conn->mu);
    }
    mutex_unlock(&server->conns_mu);
}

// ---- Lingering

void http_guard_linger(HttpGuard *guard, int fd)
{
    mutex_lock(&guard->mu);
    const bool room = guard->lingering < HTTP_LINGER_CONNECTIONS_MAX && !guard->stop;
    if (room) {
        guard->arrivals[guard->arrival_count++] = fd;
        guard->lingering++;
    }
    mutex_unlock(&guard->mu);
    if (room) {
        http_guard_wake(guard);
    } else {
        (void)close(fd);
    }
}

// True when there is nothing left to wait for.
static bool linger_read(HttpGuard *guard, Linger *linger)
{
    for (int i = 0; i < LINGER_READS_MAX; i++) {
        const ssize_t n = recv(linger->fd, guard->trash, LINGER_READ_BYTES, MSG_DONTWAIT);
        if (n < 0) {
            return errno != EAGAIN && errno != EINTR;
        }
        if (n == 0 || (uint64_t)n >= linger->left_bytes) {
            return true;
        }
        linger->left_bytes -= (uint64_t)n;
    }
    return false;
}

// `polled` holds the results for lingers[0, count).
static void linger_round(HttpGuard *guard, const struct pollfd *polled, int64_t now_ms)
{
    const size_t count = guard->linger_count;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        Linger linger = guard->lingers[i];
        if (now_ms >= linger.until_ms || (polled[i].revents != 0 && linger_read(guard, &linger))) {
            (void)close(linger.fd);
            continue;
        }
        guard->lingers[kept++] = linger;
    }
    guard->linger_count = kept;
    if (kept != count) {
        mutex_lock(&guard->mu);
        guard->lingering -= count - kept;
        cond_broadcast(&guard->changed);
        mutex_unlock(&guard->mu);
    }
}

void http_guard_wait_linger(HttpGuard *guard, int64_t timeout_ms)
{
    const int64_t until_ms = http_now_ms() + timeout_ms;
    mutex_lock(&guard->mu);
    while (guard->lingering > 0) {
        const int64_t left_ms = until_ms - http_now_ms();
        if (left_ms <= 0 || !cond_wait_ms(&guard->changed, &guard->mu, left_ms)) {
            break;
        }
    }
    mutex_unlock(&guard->mu);
}

// ---- The thread

typedef struct Orders {
    bool stop, stop_accepting;
} Orders;

static Orders take_orders(HttpGuard *guard, int64_t now_ms)
{
    mutex_lock(&guard->mu);
    const Orders orders = {.stop = guard->stop, .stop_accepting = guard->stop_accepting};
    for (size_t i = 0; i < guard->arrival_count; i++) {
        guard->lingers[guard->linger_count++] = (Linger){.fd = guard->arrivals[i],
                                                         .until_ms = now_ms + HTTP_LINGER_MS,
                                                         .left_bytes = HTTP_LINGER_BYTES_MAX};
    }
    guard->arrival_count = 0;
    mutex_unlock(&guard->mu);
    return orders;
}

static void close_listener(HttpGuard *guard, int64_t now_ms)
{
    // Who is in the backlog has connected, as far as it knows, and is served.
    accept_some(guard, now_ms);
    look_at_all(guard, INT64_MAX); // whoever is not refused goes in now
    (void)close(guard->listen_fd);
    guard->listen_fd = -1;
    mutex_lock(&guard->mu);
    guard->accepting = false;
    cond_broadcast(&guard->changed);
    mutex_unlock(&guard->mu);
}

// What to wait for: [0] the wake-up call, [1] the listening socket, then those that linger, then
// new connections. Moves *wake_ms forward for the latter.
static size_t fill_polls(const HttpGuard *guard, struct pollfd *polls, int64_t now_ms,
                         int64_t *wake_ms)
{
    const bool full = is_full(guard);
    size_t count = 2 + guard->linger_count;
    polls[0] = (struct pollfd){.fd = guard->wake_fd, .events = POLLIN};
    polls[1] = (struct pollfd){
        .fd = full || now_ms < guard->accept_again_ms ? -1 : guard->listen_fd, .events = POLLIN};
    for (size_t i = 0; i < guard->linger_count; i++) {
        polls[2 + i] = (struct pollfd){.fd = guard->lingers[i].fd, .events = POLLIN};
    }
    for (size_t i = 0; i < guard->pending_count; i++) {
        const Pending *pending = &guard->pendings[i];
        // What is there in part would wake us again and again.
        const int64_t at_ms = pending->part ? now_ms + PENDING_LOOK_MS : pending->until_ms;
        *wake_ms = min_i64(*wake_ms, at_ms);
        polls[count++] = (struct pollfd){.fd = pending->part ? -1 : pending->fd, .events = POLLIN};
    }
    return count;
}

static void guard_run(void *arg)
{
    HttpGuard *guard = arg;
    struct pollfd polls[2 + HTTP_LINGER_CONNECTIONS_MAX + PENDING_MAX];
    int64_t scan_at_ms = http_now_ms() + guard->scan_ms;

    for (;;) {
        int64_t now_ms = http_now_ms();
        const Orders orders = take_orders(guard, now_ms);
        if (orders.stop) {
            return;
        }
        if (orders.stop_accepting && guard->listen_fd >= 0) {
            close_listener(guard, now_ms);
            scan_at_ms = now_ms;
        }
        int64_t wake_ms = scan_at_ms;
        if (guard->accept_again_ms > now_ms) {
            wake_ms = min_i64(wake_ms, guard->accept_again_ms);
        }
        const size_t poll_count = fill_polls(guard, polls, now_ms, &wake_ms);
        const int64_t wait_ms = wake_ms > now_ms ? wake_ms - now_ms : 0;
        // An error of poll() here would mean a bad descriptor of ours; the next round shows it
        // again.
        (void)poll(polls, poll_count, (int)wait_ms);
        now_ms = http_now_ms();
        if ((polls[0].revents & POLLIN) != 0) {
            uint64_t count = 0;
            (void)!read(guard->wake_fd, &count, sizeof(count));
        }
        linger_round(guard, polls + 2, now_ms);
        look_at_all(guard, now_ms);
        if (polls[1].revents != 0) {
            accept_some(guard, now_ms);
        }
        if (now_ms >= scan_at_ms) {
            scan(guard, now_ms);
            scan_at_ms = now_ms + (orders.stop_accepting ? SCAN_MS_MIN : guard->scan_ms);
        }
    }
}

Status http_guard_start(HttpGuard *guard, Err *err)
{
    if (guard->wake_fd < 0) {
        return err_set(err, ERR_UNAVAILABLE, "no descriptor left for an eventfd");
    }
    TRY(thread_start(&guard->thread, "http-guard", guard_run, guard, err));
    mutex_lock(&guard->mu);
    guard->accepting = true;
    mutex_unlock(&guard->mu);
    return OK;
}

void http_guard_stop_accepting(HttpGuard *guard)
{
    mutex_lock(&guard->mu);
    guard->stop_accepting = true;
    http_guard_wake(guard);
    while (guard->accepting) {
        cond_wait(&guard->changed, &guard->mu);
    }
    mutex_unlock(&guard->mu);
}

void http_guard_free(HttpGuard *guard)
{
    if (guard == NULL) {
        return;
    }
    mutex_lock(&guard->mu);
    guard->stop = true;
    mutex_unlock(&guard->mu);
    if (guard->wake_fd >= 0) {
        http_guard_wake(guard);
    }
    thread_join(&guard->thread);
    for (size_t i = 0; i < guard->linger_count; i++) {
        (void)close(guard->lingers[i].fd);
    }
    for (size_t i = 0; i < guard->pending_count; i++) {
        (void)close(guard->pendings[i].fd);
    }
    for (size_t i = 0; i < guard->arrival_count; i++) {
        (void)close(guard->arrivals[i]);
    }
    if (guard->listen_fd >= 0) {
        (void)close(guard->listen_fd);
    }
    if (guard->wake_fd >= 0) {
        (void)close(guard->wake_fd);
    }
    cond_deinit(&guard->changed);
    mutex_deinit(&guard->mu);
    buf_deinit(&guard->too_slow);
    mem_free(guard->trash);
    mem_free(guard);
}
