// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // SOCK_CLOEXEC, O_PATH
#include "os/sockdiag.h"

#include "base/mem.h"
#include "base/num.h"
#include "os/os_internal.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 256 * 1024, // the kernel fills up to 32 KiB, more when asked with more room
    OWNERS_MIN = 64,
};

// An entry of a hash table by inode. inode 0: free; pid 0: looked for, not found.
typedef struct Owner {
    uint32_t inode;
    SockdiagProcess process;
} Owner;

struct Sockdiag {
    uint8_t *buffer;
    Owner *owners;
    size_t owner_slots; // a power of two, at least twice the entries; 0: no table
};

Str sockdiag_state_name(uint8_t state)
{
    static const Str names[] = {
        [SOCKDIAG_ESTABLISHED] = STR("established"),
        [SOCKDIAG_SYN_SENT] = STR("syn_sent"),
        [SOCKDIAG_SYN_RECV] = STR("syn_recv"),
        [SOCKDIAG_FIN_WAIT1] = STR("fin_wait1"),
        [SOCKDIAG_FIN_WAIT2] = STR("fin_wait2"),
        [SOCKDIAG_TIME_WAIT] = STR("time_wait"),
        [SOCKDIAG_CLOSE] = STR("close"),
        [SOCKDIAG_CLOSE_WAIT] = STR("close_wait"),
        [SOCKDIAG_LAST_ACK] = STR("last_ack"),
        [SOCKDIAG_LISTEN] = STR("listen"),
        [SOCKDIAG_CLOSING] = STR("closing"),
    };
    return state < ARRAY_LEN(names) && names[state].len != 0 ? names[state] : STR("unknown");
}

Sockdiag *sockdiag_new(void)
{
    Sockdiag *d = mem_new(Sockdiag, 1);
    d->buffer = mem_alloc_aligned(BUFFER_BYTES);
    return d;
}

void sockdiag_free(Sockdiag *d)
{
    if (d != NULL) {
        mem_free(d->buffer);
        mem_free(d->owners);
        mem_free(d);
    }
}

// --- the dump
// ---------------------------------------------------------------------------------------

typedef struct Dump {
    int fd;
    uint8_t family; // also the sequence number: one request for each
    uint32_t states;
    void (*visit)(void *ctx, const SockdiagSocket *socket);
    void *ctx;
} Dump;

static IpAddress address_of(uint8_t family, const uint32_t words[4])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; // RFC 4291, 2.5.5.2
    IpAddress ip = {.is_v6 = family == AF_INET6};
    memcpy(ip.bytes, words, ip.is_v6 ? 16 : 4);
    if (ip.is_v6 && memcmp(ip.bytes, mapped, sizeof(mapped)) == 0) {
        ip = (IpAddress){.is_v6 = false};
        memcpy(ip.bytes, words + 3, 4);
    }
    return ip;
}

static void take_info(SockdiagSocket *s, Bytes payload)
{
    // The kernel's struct grows with its version; ours is that of the headers we were built with.
    struct tcp_info info = {0};
    const size_t n = payload.len < sizeof(info) ? payload.len : sizeof(info);
    memcpy(&info, payload.ptr, n);
    const bool has_sent = n >= offsetof(struct tcp_info, tcpi_bytes_sent) + sizeof(uint64_t);
    s->has_info = true;
    s->rtt_us = info.tcpi_rtt;
    s->rtt_var_us = info.tcpi_rttvar;
    // The kernel's "none yet" is all ones.
    s->min_rtt_us = info.tcpi_min_rtt == UINT32_MAX ? 0 : info.tcpi_min_rtt;
    s->retransmits = info.tcpi_total_retrans;
    s->bytes_sent = has_sent ? info.tcpi_bytes_sent : info.tcpi_bytes_acked;
    s->bytes_received = info.tcpi_bytes_received;
    s->delivery_rate = info.tcpi_delivery_rate;
    s->congestion_window = info.tcpi_snd_cwnd;
}

static size_t aligned(size_t n)
{
    return (n + 3) & ~(size_t)3; // NLMSG_ALIGNTO and RTA_ALIGNTO are both 4
}

// One inet_diag_msg and its attributes.
static void take_socket(const Dump *dump, Bytes message)
{
    struct inet_diag_msg m;
    if (message.len < sizeof(m)) {
        return;
    }
    memcpy(&m, message.ptr, sizeof(m));
    SockdiagSocket s = {
        .src = address_of(m.idiag_family, m.id.idiag_src),
        .dst = address_of(m.idiag_family, m.id.idiag_dst),
        .src_port = ntohs(m.id.idiag_sport),
        .dst_port = ntohs(m.id.idiag_dport),
        .state = m.idiag_state,
        .uid = m.idiag_uid,
        .inode = m.idiag_inode,
        .cookie = (uint64_t)m.id.idiag_cookie[1] << 32 | m.id.idiag_cookie[0],
    };
    if (s.src.is_v6 != s.dst.is_v6) { // never mapped on one side only
        return;
    }
    size_t at = aligned(sizeof(m));
    while (message.len >= at + sizeof(struct rtattr)) {
        struct rtattr attribute;
        memcpy(&attribute, message.ptr + at, sizeof(attribute));
        if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > message.len - at) {
            break;
        }
        if (attribute.rta_type == INET_DIAG_INFO) {
            take_info(&s, (Bytes){message.ptr + at + sizeof(attribute),
                                  attribute.rta_len - sizeof(attribute)});
        }
        at += aligned(attribute.rta_len);
    }
    dump->visit(dump->ctx, &s);
}

static Status unavailable(Err *err, int os_errno, const char *what)
{
    return err_set_at(err, __FILE__, __LINE__, ERR_UNAVAILABLE, os_errno, "%s", what);
}

// The messages of one read. *done when the dump is over.
static Status take_messages(const Dump *dump, Bytes bytes, bool *done, Err *err)
{
    while (bytes.len >= sizeof(struct nlmsghdr)) {
        struct nlmsghdr h;
        memcpy(&h, bytes.ptr, sizeof(h));
        if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > bytes.len) {
            return unavailable(err, 0, "sock_diag: a message is cut off");
        }
        const Bytes body = {bytes.ptr + sizeof(h), h.nlmsg_len - sizeof(h)};
        const bool ours = h.nlmsg_seq == dump->family;
        if (ours && (h.nlmsg_type == NLMSG_DONE || h.nlmsg_type == NLMSG_ERROR)) {
            int32_t code = 0; // of both kinds the first field: 0, or an errno with a minus
            memcpy(&code, body.ptr, body.len < sizeof(code) ? 0 : sizeof(code));
            *done = true;
            if (code == -ENOENT && dump->family == AF_INET6) {
                return OK; // the kernel has no IPv6, so there are no such sockets
            }
            return code == 0 ? OK : unavailable(err, -code, "sock_diag");
        }
        if (ours && h.nlmsg_type == SOCK_DIAG_BY_FAMILY) {
            take_socket(dump, body);
        }
        const size_t step = aligned(h.nlmsg_len);
        bytes = step >= bytes.len ? (Bytes){0} : (Bytes){bytes.ptr + step, bytes.len - step};
    }
    return OK;
}

static Status send_request(const Dump *dump, Err *err)
{
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 request;
    } message = {
        .header = {.nlmsg_len = sizeof(message),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                   .nlmsg_seq = dump->family},
        .request = {.sdiag_family = dump->family,
                    .sdiag_protocol = IPPROTO_TCP,
                    .idiag_ext = 1 << (INET_DIAG_INFO - 1),
                    .idiag_states = dump->states},
    };
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    const ssize_t n = sendto(dump->fd, &message, sizeof(message), 0,
                             (const struct sockaddr *)&kernel, sizeof(kernel));
    return n == (ssize_t)sizeof(message) ? OK : unavailable(err, errno, "sock_diag: send");
}

static Status dump_family(Sockdiag *d, const Dump *dump, Err *err)
{
    TRY(send_request(dump, err));
    for (bool done = false; !done;) {
        struct iovec into = {.iov_base = d->buffer, .iov_len = BUFFER_BYTES};
        struct sockaddr_nl from = {0};
        struct msghdr message = {
            .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &into, .msg_iovlen = 1};
        const ssize_t n = recvmsg(dump->fd, &message, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return err_set(err, ERR_TIMEOUT, "sock_diag: no answer for %d ms", SOCKDIAG_TIMEOUT_MS);
        }
        if (n <= 0 || (message.msg_flags & MSG_TRUNC) != 0) {
            return unavailable(err, n < 0 ? errno : 0, "sock_diag: receive");
        }
        if (from.nl_pid == 0) { // else it is not from the kernel
            TRY(take_messages(dump, (Bytes){d->buffer, (size_t)n}, &done, err));
        }
    }
    return OK;
}

Status sockdiag_dump(Sockdiag *d, uint32_t states,
                     void (*visit)(void *ctx, const SockdiagSocket *socket), void *ctx, Err *err)
{
    Status st = OK;
    const struct timeval timeout = {.tv_sec = SOCKDIAG_TIMEOUT_MS / 1000};
    // A socket of its own for each dump: nothing that is left of a broken one can get into the
    // next.
    Dump dump = {.states = states, .visit = visit, .ctx = ctx};
    dump.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (dump.fd < 0) {
        return unavailable(err, errno, "sock_diag: open");
    }
    if (setsockopt(dump.fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) != 0) {
        st = unavailable(err, errno, "sock_diag: set timeout");
        goto out;
    }
    dump.family = AF_INET;
    TRY_OUT(dump_family(d, &dump, err));
    dump.family = AF_INET6;
    TRY_OUT(dump_family(d, &dump, err));
out:
    (void)close(dump.fd);
    return st;
}

// --- processes
// --------------------------------------------------------------------------------------

// The slot of `inode`, or the free one where it belongs.
static Owner *owner_slot(const Sockdiag *d, uint32_t inode)
{
    const uint32_t hash = inode * UINT32_C(2654435769); // Fibonacci hashing, by the golden ratio
    size_t slot = (hash >> 7) & (d->owner_slots - 1);
    while (d->owners[slot].inode != 0 && d->owners[slot].inode != inode) {
        slot = (slot + 1) & (d->owner_slots - 1);
    }
    return &d->owners[slot];
}

const SockdiagProcess *sockdiag_process_of(const Sockdiag *d, uint32_t inode)
{
    if (inode == 0 || d->owner_slots == 0) {
        return NULL;
    }
    const Owner *owner = owner_slot(d, inode);
    return owner->inode == inode && owner->process.pid != 0 ? &owner->process : NULL;
}

// A table of just these inodes, with what the old one knew. Returns whether there is a new one.
static bool renew_owners(Sockdiag *d, const uint32_t *inodes, size_t count)
{
    const Sockdiag old = *d;
    bool has_new = false;
    d->owner_slots = OWNERS_MIN;
    while (d->owner_slots < count * 2) {
        d->owner_slots *= 2;
    }
    d->owners = mem_new(Owner, d->owner_slots);
    for (size_t i = 0; i < count; i++) {
        Owner *owner = inodes[i] == 0 ? NULL : owner_slot(d, inodes[i]);
        if (owner == NULL || owner->inode != 0) {
            continue;
        }
        const Owner *before = old.owner_slots == 0 ? NULL : owner_slot(&old, inodes[i]);
        if (before != NULL && before->inode == inodes[i]) {
            *owner = *before;
        } else {
            owner->inode = inodes[i];
            has_new = true;
        }
    }
    mem_free(old.owners);
    return has_new;
}

// "socket:[123]" -> 123; 0 for any other kind of file.
static uint32_t socket_inode(Str link)
{
    static const char start[] = "socket:[";
    uint64_t inode = 0;
    const size_t n = sizeof(start) - 1;
    if (link.len <= n || memcmp(link.ptr, start, n) != 0 ||
        !num_parse_u64(str_slice(link, n, link.len - 1), &inode) || inode > UINT32_MAX) {
        return 0;
    }
    return (uint32_t)inode;
}

static SockdiagProcess read_process(int proc, const char *pid_text, uint32_t pid)
{
    SockdiagProcess process = {.pid = pid};
    char path[32];
    (void)snprintf(path, sizeof(path), "%.16s/comm", pid_text);
    const int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? 0 : read(fd, process.comm, sizeof(process.comm) - 1);
    if (n > 0 && process.comm[n - 1] == '\n') {
        process.comm[n - 1] = '\0';
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return process;
}

// Notes the sockets one process has open. Returns how many of them had no process before.
static size_t scan_process(Sockdiag *d, int proc, const char *pid_text, uint32_t pid)
{
    SockdiagProcess process = {0};
    char path[32];
    size_t found = 0;
    (void)snprintf(path, sizeof(path), "%.16s/fd", pid_text);
    const int fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) { // gone meanwhile, or not ours to look into
        if (fd >= 0) {
            (void)close(fd);
        }
        return 0;
    }
    // NOLINTNEXTLINE(concurrency-mt-unsafe): safe on a DIR of one's own
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char link[64];
        const ssize_t n = readlinkat(fd, entry->d_name, link, sizeof(link));
        const uint32_t inode = n <= 0 ? 0 : socket_inode((Str){link, (size_t)n});
        Owner *owner = inode == 0 ? NULL : owner_slot(d, inode);
        if (owner == NULL || owner->inode != inode) {
            continue;
        }
        if (process.pid == 0) {
            process = read_process(proc, pid_text, pid);
        }
        found += owner->process.pid == 0 ? 1 : 0;
        owner->process = process;
    }
    (void)closedir(dir);
    return found;
}

static size_t count_missing(const Sockdiag *d)
{
    size_t missing = 0;
    for (size_t i = 0; i < d->owner_slots; i++) {
        missing += d->owners[i].inode != 0 && d->owners[i].process.pid == 0 ? 1 : 0;
    }
    return missing;
}

void sockdiag_find_processes(Sockdiag *d, const uint32_t *inodes, size_t count)
{
    count = count < SOCKDIAG_INODES_MAX ? count : SOCKDIAG_INODES_MAX;
    DIR *dir = renew_owners(d, inodes, count) ? opendir("/proc") : NULL;
    if (dir == NULL) {
        return;
    }
    size_t missing = count_missing(d);
    bool more = true;
    while (more && missing > 0) {
        // NOLINTNEXTLINE(concurrency-mt-unsafe): safe on a DIR of one's own
        const struct dirent *entry = readdir(dir);
        uint64_t pid = 0;
        more = entry != NULL;
        if (more && num_parse_u64((Str){entry->d_name, strlen(entry->d_name)}, &pid) &&
            pid < UINT32_MAX) {
            missing -= scan_process(d, dirfd(dir), entry->d_name, (uint32_t)pid);
        }
    }
    (void)closedir(dir);
}
