// SPDX-License-Identifier: Apache-2.0
//
// Server: everything of `cardinal serve` in one object: store, SQL engine, HTTP server, the
// collector and the server's own metrics. Started and stopped by one thread.
//
// Order of a stop: no new connections; accepted requests are finished; collector and own metrics
// end; rows are flushed to Parquet; the store is closed. No acknowledged row is lost whatever of
// this fails.
#pragma once

#include "os/os.h"
#include "server/config.h"

#define CARDINAL_VERSION "0.1.0"

typedef struct Server Server;

// `config` is borrowed until server_stop(). On failure nothing runs any more.
Status server_start(Os *os, const ServerConfig *config, Server **out, Err *err);

// "127.0.0.1:8080", with the real port; borrowed.
Str server_address(const Server *server);

// Stops as described above; the server is gone whatever it returns. ERR_*: the last flush failed;
// the rows are in the log and will be flushed after the next start.
Status server_stop(Server *server, Err *err);
