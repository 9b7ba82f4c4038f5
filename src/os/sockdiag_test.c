// SPDX-License-Identifier: Apache-2.0
//
// On connections of our own over the loopback, so that we know what is to be found.
#define _GNU_SOURCE // SOCK_CLOEXEC
#include "base/mem.h"
#include "os/process.h"
#include "os/sockdiag.h"
#include "tests/support/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

// Both ends of a connection, and the socket that listened for it.
typedef struct Pair {
    int listener, client, server;
    uint16_t port, client_port;
} Pair;

static int new_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

// A server on `family`, a client on `client_family`: 127.0.0.1, ::1, or 127.0.0.1 mapped.
static bool connect_pair(int family, int client_family, Pair *out)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 bound = {0};
    struct sockaddr *address =
        family == AF_INET6 ? (struct sockaddr *)&six : (struct sockaddr *)&four;
    const socklen_t size = family == AF_INET6 ? sizeof(six) : sizeof(four);
    const socklen_t client_size = client_family == AF_INET6 ? sizeof(six) : sizeof(four);
    socklen_t bound_size = sizeof(bound);
    Pair p = {.listener = new_socket(family), .client = new_socket(client_family), .server = -1};
    bool ok = p.listener >= 0 && p.client >= 0 && bind(p.listener, address, size) == 0 &&
              listen(p.listener, 1) == 0 &&
              getsockname(p.listener, (struct sockaddr *)&bound, &bound_size) == 0;
    six.sin6_addr = in6addr_loopback;
    four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    six.sin6_port = four.sin_port = bound.sin6_port; // both have it at the same place
    address = client_family == AF_INET6 ? (struct sockaddr *)&six : (struct sockaddr *)&four;
    ok = ok && connect(p.client, address, client_size) == 0;
    p.server = ok ? accept(p.listener, NULL, NULL) : -1;
    p.port = ntohs(bound.sin6_port);
    bound_size = sizeof(bound);
    ok = ok && p.server >= 0 && getsockname(p.client, (struct sockaddr *)&bound, &bound_size) == 0;
    p.client_port = ntohs(bound.sin6_port);
    *out = p;
    return ok;
}

static void close_pair(const Pair *p)
{
    (void)close(p->listener);
    (void)close(p->client);
    (void)close(p->server);
}

static uint32_t inode_of(int fd)
{
    struct stat info = {0};
    return fstat(fd, &info) == 0 ? (uint32_t)info.st_ino : 0;
}

typedef struct Found {
    uint16_t port;
    size_t count;
    SockdiagSocket sockets[16];
} Found;

static void keep_port(void *ctx, const SockdiagSocket *socket)
{
    Found *f = ctx;
    if ((socket->src_port == f->port || socket->dst_port == f->port) &&
        f->count < ARRAY_LEN(f->sockets)) {
        f->sockets[f->count++] = *socket;
    }
}

static const SockdiagSocket *by_inode(const Found *f, uint32_t inode)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->sockets[i].inode == inode) {
            return &f->sockets[i];
        }
    }
    return NULL;
}

static Found dump_port(Test *t, Sockdiag *d, uint32_t states, uint16_t port)
{
    Err err = {0};
    Found f = {.port = port};
    const Status st = sockdiag_dump(d, states, keep_port, &f, &err);
    if (st == ERR_UNAVAILABLE) {
        test_skip(t, "no sock_diag here");
    }
    CHECK_OK(st);
    return f;
}

static void check_pair(Test *t, int family, int client_family, IpAddress want)
{
    Sockdiag *d = sockdiag_new();
    Pair p = {0};
    char bytes[5000] = "";
    if (!connect_pair(family, client_family, &p)) {
        close_pair(&p);
        sockdiag_free(d);
        test_skip(t, "no such loopback here");
    }
    CHECK_EQ(write(p.client, bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
    CHECK_EQ(recv(p.server, bytes, sizeof(bytes), MSG_WAITALL), (ssize_t)sizeof(bytes));
    CHECK_EQ(write(p.server, bytes, 77), 77);
    CHECK_EQ(recv(p.client, bytes, 77, MSG_WAITALL), 77);

    const Found f = dump_port(t, d, SOCKDIAG_ALL_STATES, p.port);
    const SockdiagSocket *client = by_inode(&f, inode_of(p.client));
    const SockdiagSocket *server = by_inode(&f, inode_of(p.server));
    const SockdiagSocket *listener = by_inode(&f, inode_of(p.listener));
    CHECK_EQ(f.count, 3);
    CHECK(client != NULL && server != NULL && listener != NULL);
    CHECK_EQ(client->state, SOCKDIAG_ESTABLISHED);
    CHECK_EQ(server->state, SOCKDIAG_ESTABLISHED);
    CHECK_EQ(listener->state, SOCKDIAG_LISTEN);
    CHECK_EQ(client->src_port, p.client_port);
    CHECK_EQ(client->dst_port, p.port);
    CHECK_EQ(server->src_port, p.port);
    CHECK_EQ(server->dst_port, p.client_port);
    CHECK_EQ(listener->src_port, p.port);
    CHECK_EQ(listener->dst_port, 0);
    CHECK(memcmp(&client->src, &want, sizeof(want)) == 0);
    CHECK(memcmp(&client->dst, &want, sizeof(want)) == 0);
    CHECK(memcmp(&server->src, &want, sizeof(want)) == 0);
    CHECK_EQ(client->uid, getuid());
    CHECK(client->cookie != 0 && client->cookie != server->cookie);
    CHECK(client->has_info && server->has_info);
    CHECK_EQ(client->bytes_sent, sizeof(bytes));
    CHECK_EQ(client->bytes_received, 77);
    CHECK_EQ(server->bytes_sent, 77);
    CHECK_EQ(server->bytes_received, sizeof(bytes));
    CHECK(client->rtt_us > 0 && client->rtt_us < 1000000);
    CHECK(client->delivery_rate > 0 && client->congestion_window > 0);

    // Only what was asked for.
    const Found listening = dump_port(t, d, SOCKDIAG_BIT(SOCKDIAG_LISTEN), p.port);
    CHECK_EQ(listening.count, 1);
    CHECK_EQ(listening.sockets[0].inode, listener->inode);
    close_pair(&p);
    sockdiag_free(d);
}

TEST(sockdiag, ipv4)
{
    check_pair(t, AF_INET, AF_INET, (IpAddress){.bytes = {127, 0, 0, 1}});
}

TEST(sockdiag, ipv6)
{
    check_pair(t, AF_INET6, AF_INET6, (IpAddress){.is_v6 = true, .bytes = {[15] = 1}});
}

TEST(sockdiag, ipv4_of_an_ipv6_socket)
{
    check_pair(t, AF_INET6, AF_INET, (IpAddress){.bytes = {127, 0, 0, 1}});
}

TEST(sockdiag, processes)
{
    Sockdiag *d = sockdiag_new();
    Pair p = {0}, q = {0};
    CHECK(connect_pair(AF_INET, AF_INET, &p) && connect_pair(AF_INET, AF_INET, &q));
    const uint32_t client = inode_of(p.client), server = inode_of(p.server);
    const uint32_t later = inode_of(q.client), nobody = UINT32_MAX;
    const uint32_t first[] = {client, 0, nobody, client};
    CHECK(sockdiag_process_of(d, client) == NULL);
    sockdiag_find_processes(d, first, ARRAY_LEN(first));
    const SockdiagProcess *process = sockdiag_process_of(d, client);
    CHECK(process != NULL);
    CHECK_EQ(process->pid, getpid());
    CHECK(strcmp(process->comm, "test_os") == 0);
    CHECK(sockdiag_process_of(d, server) == NULL); // was not asked for
    CHECK(sockdiag_process_of(d, nobody) == NULL);
    CHECK(sockdiag_process_of(d, 0) == NULL);

    // Known ones stay known without looking; new ones are looked for, with others still missing.
    const uint32_t second[] = {nobody, client, server, later};
    sockdiag_find_processes(d, second, ARRAY_LEN(second));
    CHECK(sockdiag_process_of(d, client) != NULL && sockdiag_process_of(d, server) != NULL);
    CHECK(sockdiag_process_of(d, later) != NULL && sockdiag_process_of(d, nobody) == NULL);
    sockdiag_find_processes(d, second, 2);
    CHECK(sockdiag_process_of(d, client) != NULL);
    CHECK(sockdiag_process_of(d, later) == NULL);
    sockdiag_find_processes(d, NULL, 0);
    CHECK(sockdiag_process_of(d, client) == NULL);
    close_pair(&p);
    close_pair(&q);
    sockdiag_free(d);
    sockdiag_free(NULL);
}

static void count_one(void *ctx, const SockdiagSocket *socket)
{
    (void)socket;
    (*(size_t *)ctx)++;
}

// More than one message holds.
TEST(sockdiag, many_sockets)
{
    enum { SOCKETS = 400 };
    Sockdiag *d = sockdiag_new();
    int fds[SOCKETS];
    size_t before = 0, after = 0;
    Err err = {0};
    if (sockdiag_dump(d, SOCKDIAG_BIT(SOCKDIAG_LISTEN), count_one, &before, &err) != OK) {
        sockdiag_free(d);
        test_skip(t, err.msg);
    }
    for (size_t i = 0; i < SOCKETS; i++) {
        fds[i] = new_socket(AF_INET);
        CHECK(fds[i] >= 0 && listen(fds[i], 1) == 0);
    }
    CHECK_OK(sockdiag_dump(d, SOCKDIAG_BIT(SOCKDIAG_LISTEN), count_one, &after, &err));
    for (size_t i = 0; i < SOCKETS; i++) {
        (void)close(fds[i]);
    }
    CHECK(after + 50 > before + SOCKETS); // others come and go
    sockdiag_free(d);
}

TEST(sockdiag, state_names)
{
    CHECK_STR(sockdiag_state_name(SOCKDIAG_ESTABLISHED), STR("established"));
    CHECK_STR(sockdiag_state_name(SOCKDIAG_CLOSING), STR("closing"));
    CHECK_STR(sockdiag_state_name(0), STR("unknown"));
    CHECK_STR(sockdiag_state_name(200), STR("unknown"));
}
