// SPDX-License-Identifier: Apache-2.0
//
// The server's own two threads: one writes its metrics, one collects TCP connections.
#include "collect/tcp.h"
#include "server/server_internal.h"

// Waits until the next multiple of `interval_ms` of the clock, so that samples stand at even times.
// False when the server stops.
static bool wait_for_tick(Server *server, int64_t interval_ms)
{
    const int64_t now_ms = os_wall_us(server->os) / 1000;
    int64_t left_ms = interval_ms - now_ms % interval_ms;
    const int64_t end_ns = os_mono_ns(server->os) + left_ms * 1000000;

    mutex_lock(&server->mu);
    while (!atomic_load_explicit(&server->stopping, memory_order_acquire) && left_ms > 0) {
        (void)cond_wait_ms(&server->wake, &server->mu, left_ms);
        left_ms = (end_ns - os_mono_ns(server->os) + 999999) / 1000000;
    }
    mutex_unlock(&server->mu);
    return !atomic_load_explicit(&server->stopping, memory_order_acquire);
}

static void run_self(void *arg)
{
    Server *server = arg;
    do {
        Err err;
        if (server_write_self(server, &err) != OK) {
            log_warn("own metrics not written", LOG_ERR(&err));
        }
    } while (wait_for_tick(server, server->config->self_metrics_ms));
}

static Status collect_once(Server *server, TcpCollector *collector, Err *err)
{
    Batch batch;
    TRY(tcp_collector_round(collector, &batch, err));
    // Also without rows: the table is there as soon as the collector is.
    TRY(store_write_rows(server->store, STR("flows"), &batch, err));
    counter_add(&server->counters.collected_rows, batch.row_count);
    return OK;
}

static void run_collect(void *arg)
{
    Server *server = arg;
    TcpCollector *collector = tcp_collector_new(server->os);
    bool failing = false; // say it once, not every second
    do {
        Err err;
        const bool failed = collect_once(server, collector, &err) != OK;
        if (failed) {
            counter_add(&server->counters.collect_errors, 1);
        }
        if (failed && !failing) {
            log_warn("TCP connections not collected", LOG_ERR(&err));
        }
        failing = failed;
    } while (wait_for_tick(server, server->config->collect_tcp_ms));
    tcp_collector_free(collector);
}

Status server_start_loops(Server *server, Err *err)
{
    if (server->config->self_metrics_ms > 0) {
        TRY(thread_start(&server->self_thread, "self-metrics", run_self, server, err));
    }
    if (server->config->collect_tcp_ms > 0) {
        TRY(thread_start(&server->collect_thread, "collect-tcp", run_collect, server, err));
    }
    return OK;
}

void server_stop_loops(Server *server)
{
    mutex_lock(&server->mu); // so that no loop is between its look at `stopping` and its wait
    mutex_unlock(&server->mu);
    cond_broadcast(&server->wake);
    thread_join(&server->self_thread);
    thread_join(&server->collect_thread);
}
