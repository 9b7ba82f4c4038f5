// SPDX-License-Identifier: Apache-2.0
//
// Replays a corpus over keep-alive connections, one thread each: read a body from the file (it is
// in the page cache), write it, read the answer. Plain blocking sockets: the client must not be
// what is measured.
#include "base/mem.h"
#include "base/num.h"
#include "base/reader.h"
#include "bench/load.h"
#include "os/thread.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    ANSWER_BYTES = 64 << 10,
    RETRY_FIRST_MS = 10,
    RETRY_LONGEST_MS = 500,
    RETRY_UNANSWERED_MAX = 20, // about 8 s: the server has ended
    MESSAGE_BYTES = 200,
};

typedef struct Request {
    uint64_t offset; // of the body in the corpus
    uint32_t size_bytes;
    uint32_t shard;
    uint32_t samples;
} Request;

typedef struct Connection {
    const SendOptions *options;
    CorpusKind kind;
    OsFile *corpus;
    Request *requests;
    size_t request_count, request_cap;
    double *latencies_ms; // one per request
    uint8_t *body;
    int socket; // -1: none
    char answer[ANSWER_BYTES];
    Thread thread;
    // results
    uint64_t samples_acknowledged, acknowledged, failed, retried;
    char complaint[MESSAGE_BYTES]; // the first answer that was no success
} Connection;

// --- one request

static void hang_up(Connection *c)
{
    if (c->socket >= 0) {
        (void)close(c->socket);
    }
    c->socket = -1;
}

static bool dial(Connection *c)
{
    char address[64];
    const int yes = 1;
    const struct timeval limit = {.tv_sec = (time_t)(c->options->timeout_ms / 1000)};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(c->options->port)};

    (void)snprintf(address, sizeof(address), STR_FMT, STR_ARG(c->options->address));
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1) {
        return false;
    }
    c->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (c->socket < 0) {
        return false;
    }
    (void)setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    (void)setsockopt(c->socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(c->socket, (const struct sockaddr *)&to, sizeof(to)) != 0) {
        hang_up(c);
        return false;
    }
    return true;
}

static bool write_request(Connection *c, const Request *request)
{
#define X(name, text, type) type,
    static const char *const types[] = {CORPUS_KIND_LIST(X)};
#undef X
    char head[1024];
    const int head_len = snprintf(
        head, sizeof(head),
        "POST " STR_FMT " HTTP/1.1\r\nHost: " STR_FMT ":%u\r\nContent-Type: %s\r\n%s"
        "Content-Length: %" PRIu32 "\r\n\r\n",
        STR_ARG(c->options->path), STR_ARG(c->options->address), c->options->port, types[c->kind],
        c->kind == CORPUS_REMOTE_WRITE
            ? "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n"
            : "",
        request->size_bytes);
    if (head_len < 0 || (size_t)head_len >= sizeof(head)) {
        return false;
    }
    struct iovec parts[2] = {{head, (size_t)head_len}, {c->body, request->size_bytes}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    while (message.msg_iovlen > 0) {
        const ssize_t sent = sendmsg(c->socket, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return false;
        }
        size_t left = (size_t)sent;
        while (message.msg_iovlen > 0 && left >= message.msg_iov->iov_len) {
            left -= message.msg_iov->iov_len;
            message.msg_iov++;
            message.msg_iovlen--;
        }
        if (message.msg_iovlen > 0) {
            message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + left;
            message.msg_iov->iov_len -= left;
        }
    }
    return true;
}

static size_t find_end_of_head(const char *text, size_t len)
{
    for (size_t i = 3; i < len; i++) {
        if (text[i] == '\n' && memcmp(text + i - 3, "\r\n\r\n", 4) == 0) {
            return i + 1;
        }
    }
    return 0;
}

// The value of a header, in lower case or as usual; empty when there is none.
static Str find_header(Str head, Str name)
{
    Str line = {0};
    while (str_cut(head, '\n', &line, &head)) {
        Str key = {0}, value = {0};
        bool same = str_cut(line, ':', &key, &value) && key.len == name.len;
        for (size_t i = 0; same && i < name.len; i++) {
            same = (key.ptr[i] | 0x20) == name.ptr[i]; // no header has a byte that this confuses
        }
        if (same) {
            while (value.len > 0 && value.ptr[0] == ' ') {
                value = str_slice(value, 1, value.len);
            }
            return str_slice(value, 0, value.len > 0 ? value.len - 1 : 0); // without CR
        }
    }
    return (Str){0};
}

// Keeps what the server said first when it refused, status and body, as text that fits into JSON.
static void keep_complaint(Connection *c, uint64_t status, Str body)
{
    if (status < 300 || c->complaint[0] != '\0') {
        return;
    }
    (void)snprintf(c->complaint, MESSAGE_BYTES, "%" PRIu64 ": " STR_FMT, status, STR_ARG(body));
    for (char *p = c->complaint; *p != '\0'; p++) {
        *p = (char)(*p < ' ' || *p == '"' || *p == '\\' || *p == 0x7f ? ' ' : *p);
    }
}

static bool receive(Connection *c, size_t *len)
{
    const ssize_t n = *len < sizeof(c->answer)
                          ? recv(c->socket, c->answer + *len, sizeof(c->answer) - *len, 0)
                          : 0;
    *len += n > 0 ? (size_t)n : 0;
    return n > 0;
}

// The status of the answer, or -1 when there is none. Hangs up when the connection cannot be used
// again: an answer whose end is not known from its head is not worth more code.
static int read_answer(Connection *c)
{
    size_t len = 0, head_len = 0;
    uint64_t status = 0, body_len = 0;

    while (head_len == 0) {
        if (!receive(c, &len)) {
            hang_up(c);
            return -1;
        }
        head_len = find_end_of_head(c->answer, len);
    }
    const Str head = {.ptr = c->answer, .len = head_len};
    if (!num_parse_u64(str_slice(head, 9, 12), &status)) { // "HTTP/1.1 204 ..."
        hang_up(c);
        return -1;
    }
    bool reusable = !str_eq(find_header(head, STR("connection")), STR("close"));
    if (status != 204 && !num_parse_u64(find_header(head, STR("content-length")), &body_len)) {
        reusable = false;
    }
    while (reusable && len - head_len < body_len) {
        reusable = receive(c, &len);
    }
    keep_complaint(c, status, (Str){.ptr = c->answer + head_len, .len = len - head_len});
    if (!reusable) {
        hang_up(c);
    }
    return (int)status;
}

static bool is_acknowledged(int status)
{
    return status >= 200 && status < 300;
}

// Worth another try: no answer, too much at the moment, or a server that starts or stops.
static bool is_passing(int status)
{
    return status < 0 || status == 429 || status == 503;
}

static int ask_once(Connection *c, const Request *request)
{
    if (c->socket < 0 && !dial(c)) {
        return -1;
    }
    if (!write_request(c, request)) {
        // A server that refuses without reading the body says why before it hangs up.
        const int status = read_answer(c);
        hang_up(c);
        return status;
    }
    return read_answer(c);
}

static void replay(void *arg)
{
    Connection *c = arg;
    Os *os = os_posix();
    Err err;
    uint32_t unanswered = 0; // in a row

    for (size_t i = 0; i < c->request_count; i++) {
        const Request *r = &c->requests[i];
        size_t got = 0;
        int64_t wait_ms = RETRY_FIRST_MS;
        int status = -1;
        if (os_file_read_at(c->corpus, r->offset, c->body, r->size_bytes, &got, &err) != OK ||
            got != r->size_bytes) {
            c->failed++;
            continue;
        }
        const int64_t begin_ns = os_mono_ns(os);
        status = ask_once(c, r);
        for (uint32_t n = 0; n < c->options->retries && is_passing(status); n++) {
            if (status < 0 && ++unanswered > RETRY_UNANSWERED_MAX) {
                break;
            }
            os_sleep_ns(os, wait_ms * 1000000);
            wait_ms = wait_ms * 2 < RETRY_LONGEST_MS ? wait_ms * 2 : RETRY_LONGEST_MS;
            c->retried++;
            status = ask_once(c, r);
        }
        unanswered = status < 0 ? unanswered : 0;
        c->latencies_ms[i] = (double)(os_mono_ns(os) - begin_ns) / 1e6;
        if (is_acknowledged(status)) {
            c->acknowledged++;
            c->samples_acknowledged += r->samples;
        } else {
            c->failed++;
        }
    }
    hang_up(c);
}

// --- the corpus

static void add_request(Connection *c, const Request *request)
{
    c->requests =
        mem_grow(c->requests, &c->request_cap, c->request_count + 1, sizeof(*c->requests));
    c->requests[c->request_count++] = *request;
}

// Gives every connection the requests of its shards, in order.
static Status read_index(OsFile *corpus, const CorpusHeader *header, Connection *connections,
                         uint32_t connection_count, Err *err)
{
    uint64_t offset = CORPUS_HEADER_BYTES;
    for (uint64_t i = 0; i < header->requests; i++) {
        uint8_t record[CORPUS_RECORD_BYTES];
        size_t got = 0;
        TRY(os_file_read_at(corpus, offset, record, sizeof(record), &got, err));
        Reader r = reader_of((Bytes){.ptr = record, .len = got});
        Request request = {.offset = offset + CORPUS_RECORD_BYTES,
                           .size_bytes = reader_u32le(&r),
                           .shard = reader_u32le(&r),
                           .samples = reader_u32le(&r)};
        if (!reader_ok(&r) || request.size_bytes > CORPUS_BODY_BYTES_MAX ||
            request.shard >= header->shards) {
            return err_set(err, ERR_CORRUPT, "request %" PRIu64 " is damaged", i);
        }
        add_request(&connections[request.shard % connection_count], &request);
        offset = request.offset + request.size_bytes;
    }
    return OK;
}

static void connection_init(Connection *c, const SendOptions *options, OsFile *corpus,
                            CorpusKind kind)
{
    uint32_t largest = 1;
    for (size_t i = 0; i < c->request_count; i++) {
        largest = c->requests[i].size_bytes > largest ? c->requests[i].size_bytes : largest;
    }
    c->options = options;
    c->corpus = corpus;
    c->kind = kind;
    c->socket = -1;
    c->body = mem_alloc_raw(largest);
    c->latencies_ms = mem_new(double, c->request_count + 1);
}

// --- the report

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, size_t count, double q)
{
    return count == 0 ? 0 : sorted[(size_t)((double)(count - 1) * q + 0.5)];
}

static void report(const CorpusHeader *header, const Connection *connections, uint32_t count,
                   double seconds)
{
    Connection sum = {0};
    const char *complaint = "";
    double *all = mem_new(double, header->requests + 1);
    for (uint32_t i = 0; i < count; i++) {
        const Connection *c = &connections[i];
        memcpy(all + sum.request_count, c->latencies_ms, c->request_count * sizeof(*all));
        sum.request_count += c->request_count;
        sum.acknowledged += c->acknowledged;
        sum.samples_acknowledged += c->samples_acknowledged;
        sum.failed += c->failed;
        sum.retried += c->retried;
        complaint = complaint[0] == '\0' ? c->complaint : complaint;
    }
    qsort(all, sum.request_count, sizeof(*all), by_value);
    printf("{\"samples\":%" PRIu64 ",\"samples_acknowledged\":%" PRIu64 ",\"series\":%" PRIu64
           ",\"requests\":%" PRIu64 ",\"acknowledged\":%" PRIu64 ",\"failures\":%" PRIu64
           ",\"retries\":%" PRIu64 ",\"seconds\":%.4f,\"samples_per_s\":%.0f,\"p50_ms\":%.3f,"
           "\"p99_ms\":%.3f,\"max_ms\":%.3f,\"sender_cpu_s\":%.3f,\"complaint\":\"%s\"}\n",
           header->samples, sum.samples_acknowledged, header->series, header->requests,
           sum.acknowledged, sum.failed, sum.retried, seconds,
           (double)sum.samples_acknowledged / seconds, quantile(all, sum.request_count, 0.5),
           quantile(all, sum.request_count, 0.99), quantile(all, sum.request_count, 1),
           os_process_cpu_seconds(), complaint);
    mem_free(all);
}

Status load_send(const SendOptions *options, Err *err)
{
    Status st = OK;
    OsFile *corpus = NULL;
    CorpusHeader header;
    Connection *connections = NULL;
    uint32_t count = 0;
    uint64_t failed = 0;

    TRY_OUT(os_file_open(os_posix(), options->corpus, OS_OPEN_READ, &corpus, err));
    TRY_OUT(corpus_read_header(corpus, &header, err));
    count = options->connections < header.shards ? options->connections : header.shards;
    connections = mem_new(Connection, count);
    TRY_OUT(read_index(corpus, &header, connections, count, err));
    for (uint32_t i = 0; i < count; i++) {
        connection_init(&connections[i], options, corpus, header.kind);
    }
    const int64_t begin_ns = os_mono_ns(os_posix());
    for (uint32_t i = 0; i < count; i++) {
        TRY_OUT(thread_start(&connections[i].thread, "send", replay, &connections[i], err));
    }
    for (uint32_t i = 0; i < count; i++) {
        thread_join(&connections[i].thread);
        failed += connections[i].failed;
    }
    report(&header, connections, count, (double)(os_mono_ns(os_posix()) - begin_ns) / 1e9);
    if (failed > 0) {
        TRY_OUT(err_set(err, ERR_IO, "%" PRIu64 " requests were not acknowledged", failed));
    }
out:
    for (uint32_t i = 0; i < count; i++) {
        thread_join(&connections[i].thread);
        mem_free(connections[i].requests);
        mem_free(connections[i].body);
        mem_free(connections[i].latencies_ms);
    }
    mem_free(connections);
    os_file_close(corpus);
    return st;
}
