// SPDX-License-Identifier: Apache-2.0
//
// A server that reads requests and throws them away: what the sender reaches against it is what the
// sender itself costs.
#include "base/mem.h"
#include "base/num.h"
#include "bench/load.h"
#include "os/thread.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SINK_BYTES = 1 << 20 };

typedef struct SinkClient {
    int socket;
    Thread thread;
    char bytes[SINK_BYTES];
} SinkClient;

// Size of head and body of the request that starts the `len` bytes at `text`; 0 while the head is
// not complete.
static uint64_t request_size(const char *text, size_t len)
{
    static const char length_name[] = "Content-Length: ";
    const size_t name_len = sizeof(length_name) - 1;
    uint64_t body_len = 0;
    for (size_t i = 3; i < len; i++) {
        if (i >= name_len && memcmp(text + i - name_len, length_name, name_len) == 0) {
            const Str rest = {.ptr = text + i, .len = len - i};
            Str value = {0}, tail = {0};
            if (str_cut(rest, '\r', &value, &tail)) {
                (void)num_parse_u64(value, &body_len); // our own sender's, always a number
            }
        }
        if (memcmp(text + i - 3, "\r\n\r\n", 4) == 0) {
            return i + 1 + body_len;
        }
    }
    return 0;
}

static void serve_client(void *arg)
{
    static const char answer[] = "HTTP/1.1 204 No Content\r\n\r\n";
    SinkClient *c = arg;
    size_t len = 0;

    for (;;) {
        const ssize_t n = recv(c->socket, c->bytes + len, SINK_BYTES - len, 0);
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
        const uint64_t size = request_size(c->bytes, len);
        if (size == 0) {
            continue;
        }
        uint64_t got = len;
        ssize_t more = 1;
        while (got < size && more > 0) {
            more = recv(c->socket, c->bytes, SINK_BYTES, 0);
            got += more > 0 ? (uint64_t)more : 0;
        }
        if (got < size || send(c->socket, answer, sizeof(answer) - 1, MSG_NOSIGNAL) < 0) {
            break;
        }
        len = 0; // the sender waits for its answer, so nothing follows the request
    }
    (void)close(c->socket);
}

Status load_sink(Err *err)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    const int listener = socket(AF_INET, SOCK_STREAM, 0);

    if (listener < 0 || bind(listener, (const struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(listener, LOAD_CONNECTIONS_MAX) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &size) != 0) {
        return err_set_errno(err, errno, "cannot listen");
    }
    printf("%u\n", ntohs(at.sin_port));
    (void)fflush(stdout);
    for (;;) {
        const int client = accept(listener, NULL, NULL);
        if (client < 0) {
            return err_set_errno(err, errno, "accept");
        }
        SinkClient *c = mem_new(SinkClient, 1); // lives as long as the process
        c->socket = client;
        TRY(thread_start(&c->thread, "sink", serve_client, c, err));
    }
}
