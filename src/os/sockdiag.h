// SPDX-License-Identifier: Apache-2.0
//
// Sockdiag: the TCP sockets of this machine (of this network namespace), as the kernel tells them
// by netlink (sock_diag(7), INET_DIAG), and the processes they belong to, as far as /proc may be
// read. Needs no privileges, but without them only processes of the same user are found.
// One owner, one thread at a time.
#pragma once

#include "base/err.h"
#include "base/ip.h"

typedef struct Sockdiag Sockdiag;

// The kernel's numbers (include/net/tcp_states.h).
typedef enum SockdiagState {
    SOCKDIAG_ESTABLISHED = 1,
    SOCKDIAG_SYN_SENT,
    SOCKDIAG_SYN_RECV,
    SOCKDIAG_FIN_WAIT1,
    SOCKDIAG_FIN_WAIT2,
    SOCKDIAG_TIME_WAIT,
    SOCKDIAG_CLOSE,
    SOCKDIAG_CLOSE_WAIT,
    SOCKDIAG_LAST_ACK,
    SOCKDIAG_LISTEN,
    SOCKDIAG_CLOSING,
} SockdiagState;
#define SOCKDIAG_BIT(state) (1u << (state))
enum { SOCKDIAG_ALL_STATES = 0xffe };

typedef struct SockdiagSocket {
    IpAddress src, dst; // an IPv4 connection of an IPv6 socket is IPv4 here
    uint16_t src_port, dst_port;
    uint8_t state;   // SockdiagState, or a later kernel's
    bool has_info;   // all below is 0 without; TIME_WAIT and half-open ones have none
    uint32_t uid;    // 0 also when the kernel keeps no owner any more
    uint32_t inode;  // 0: belongs to no process (any more, or not yet accepted)
    uint64_t cookie; // unlike addresses and ports never used again until the machine restarts
    uint32_t rtt_us, rtt_var_us, min_rtt_us;
    uint32_t retransmits; // segments, of the life of the connection
    uint64_t bytes_sent;  // retransmissions included; only what was acknowledged before Linux 4.19
    uint64_t bytes_received;    // of the life of the connection
    uint64_t delivery_rate;     // bytes/s: the latest the kernel measured
    uint32_t congestion_window; // segments
} SockdiagSocket;

// "established", "time_wait", ...; "unknown".
Str sockdiag_state_name(uint8_t state);

Sockdiag *sockdiag_new(void);
void sockdiag_free(Sockdiag *d); // accepts NULL

// Calls `visit` for every TCP socket whose state is in the mask `states` of SOCKDIAG_BIT()s. The
// socket is valid during the call. Sockets that open or close meanwhile may be missing, or be seen
// twice; the same cookie says so.
// ERR_UNAVAILABLE  no netlink, no INET_DIAG, no permission, or a dump that broke off
// ERR_TIMEOUT      the kernel did not answer for SOCKDIAG_TIMEOUT_MS
enum { SOCKDIAG_TIMEOUT_MS = 5000 };
Status sockdiag_dump(Sockdiag *d, uint32_t states,
                     void (*visit)(void *ctx, const SockdiagSocket *socket), void *ctx, Err *err);

typedef struct SockdiagProcess {
    uint32_t pid;
    char comm[16]; // the name as in top(1), NUL-terminated
} SockdiagProcess;

// Finds out which process has each of these sockets open: once per round, with the inodes of all
// its sockets. Reads all of /proc/<pid>/fd, but only when there is an inode that was not in the
// last round; what is not in this one is forgotten. Never fails: what cannot be read is not known.
// Inodes past the first SOCKDIAG_INODES_MAX are not looked for.
enum { SOCKDIAG_INODES_MAX = 4 * 1024 * 1024 };
void sockdiag_find_processes(Sockdiag *d, const uint32_t *inodes, size_t count);

// NULL when it is not known; valid until the next sockdiag_find_processes(). Of several processes
// that share a socket it is one.
const SockdiagProcess *sockdiag_process_of(const Sockdiag *d, uint32_t inode);
