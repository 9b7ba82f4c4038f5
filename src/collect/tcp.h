// SPDX-License-Identifier: Apache-2.0
//
// TcpCollector: the TCP connections of this machine as rows of the table `flows`, by sock_diag: one
// row per connection and round. Listening sockets are left out. One owner, one thread.
#pragma once

#include "column/vector.h"
#include "os/os.h"

typedef struct TcpCollector TcpCollector;

TcpCollector *tcp_collector_new(Os *os);
void tcp_collector_free(TcpCollector *c); // accepts NULL

// The connections as they are now, all with the same timestamp. bytes_sent, bytes_received and
// retransmits are those of the connection's life so far. pid and comm are NULL where this process
// may not look. *out borrows from the collector until the next round.
//
// ERR_UNAVAILABLE  the kernel does not answer (no INET_DIAG, no permission)
Status tcp_collector_round(TcpCollector *c, Batch *out, Err *err);

// Columns of `flows`, in order, for the collector and the table's definition.
const Schema *tcp_flows_schema(void);
