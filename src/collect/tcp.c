// SPDX-License-Identifier: Apache-2.0
#include "collect/tcp.h"

#include "base/mem.h"
#include "column/builder.h"
#include "os/sockdiag.h"

// Columns in the order of builders[].
typedef enum FlowColumn {
    FLOW_TIMESTAMP,
    FLOW_SRC_IP,
    FLOW_DST_IP,
    FLOW_SRC_PORT,
    FLOW_DST_PORT,
    FLOW_PROTOCOL,
    FLOW_STATE,
    FLOW_BYTES_SENT,
    FLOW_BYTES_RECEIVED,
    FLOW_RTT_US,
    FLOW_RTT_VAR_US,
    FLOW_RETRANSMITS,
    FLOW_DELIVERY_RATE,
    FLOW_PID,
    FLOW_COMM,
    FLOW_COLUMNS
} FlowColumn;

static const Field fields[FLOW_COLUMNS] = {
    [FLOW_TIMESTAMP] = {STR("timestamp"), COLUMN_TIMESTAMP, false},
    [FLOW_SRC_IP] = {STR("src_ip"), COLUMN_STRING, true},
    [FLOW_DST_IP] = {STR("dst_ip"), COLUMN_STRING, true},
    [FLOW_SRC_PORT] = {STR("src_port"), COLUMN_INT32, true},
    [FLOW_DST_PORT] = {STR("dst_port"), COLUMN_INT32, true},
    [FLOW_PROTOCOL] = {STR("protocol"), COLUMN_STRING, true},
    [FLOW_STATE] = {STR("state"), COLUMN_STRING, true},
    [FLOW_BYTES_SENT] = {STR("bytes_sent"), COLUMN_INT64, true},
    [FLOW_BYTES_RECEIVED] = {STR("bytes_received"), COLUMN_INT64, true},
    [FLOW_RTT_US] = {STR("rtt_us"), COLUMN_INT64, true},
    [FLOW_RTT_VAR_US] = {STR("rtt_var_us"), COLUMN_INT64, true},
    [FLOW_RETRANSMITS] = {STR("retransmits"), COLUMN_INT64, true},
    [FLOW_DELIVERY_RATE] = {STR("delivery_rate"), COLUMN_INT64, true},
    [FLOW_PID] = {STR("pid"), COLUMN_INT64, true},
    [FLOW_COMM] = {STR("comm"), COLUMN_STRING, true},
};
static const Schema schema = {fields, FLOW_COLUMNS};

struct TcpCollector {
    Os *os;
    Sockdiag *sockdiag;
    SockdiagSocket *sockets; // of this round
    size_t socket_count, socket_cap;
    uint32_t *inodes;
    size_t inode_cap;
    Builder *builders[FLOW_COLUMNS];
    Vector vectors[FLOW_COLUMNS];
};

const Schema *tcp_flows_schema(void)
{
    return &schema;
}

TcpCollector *tcp_collector_new(Os *os)
{
    TcpCollector *c = mem_new(TcpCollector, 1);
    c->os = os;
    c->sockdiag = sockdiag_new();
    for (size_t i = 0; i < FLOW_COLUMNS; i++) {
        c->builders[i] = builder_new(fields[i].type);
    }
    return c;
}

void tcp_collector_free(TcpCollector *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < FLOW_COLUMNS; i++) {
        builder_free(c->builders[i]);
    }
    sockdiag_free(c->sockdiag);
    mem_free(c->sockets);
    mem_free(c->inodes);
    mem_free(c);
}

static void keep_socket(void *ctx, const SockdiagSocket *socket)
{
    TcpCollector *c = ctx;
    c->sockets = mem_grow(c->sockets, &c->socket_cap, c->socket_count + 1, sizeof(*c->sockets));
    c->sockets[c->socket_count++] = *socket;
}

static void put_ip(Builder *b, IpAddress ip)
{
    char text[IP_TEXT_MAX];
    const size_t len = ip_format(ip, text);
    builder_str(b, (Str){text, len});
}

// What only a connection with tcp_info has.
static void put_info(Builder **b, const SockdiagSocket *s)
{
    static const FlowColumn columns[] = {FLOW_BYTES_SENT, FLOW_BYTES_RECEIVED, FLOW_RTT_US,
                                         FLOW_RTT_VAR_US, FLOW_RETRANSMITS,    FLOW_DELIVERY_RATE};
    const uint64_t values[] = {s->bytes_sent, s->bytes_received, s->rtt_us,
                               s->rtt_var_us, s->retransmits,    s->delivery_rate};
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        if (s->has_info) {
            builder_i64(b[columns[i]], (int64_t)(values[i] & INT64_MAX));
        } else {
            builder_null(b[columns[i]]);
        }
    }
}

static void put_row(TcpCollector *c, const SockdiagSocket *s, int64_t now_us)
{
    Builder **b = c->builders;
    const SockdiagProcess *process = sockdiag_process_of(c->sockdiag, s->inode);

    builder_i64(b[FLOW_TIMESTAMP], now_us);
    put_ip(b[FLOW_SRC_IP], s->src);
    put_ip(b[FLOW_DST_IP], s->dst);
    builder_i64(b[FLOW_SRC_PORT], s->src_port);
    builder_i64(b[FLOW_DST_PORT], s->dst_port);
    builder_str(b[FLOW_PROTOCOL], STR("tcp"));
    builder_str(b[FLOW_STATE], sockdiag_state_name(s->state));
    put_info(b, s);
    if (process != NULL) {
        builder_i64(b[FLOW_PID], process->pid);
        builder_str(b[FLOW_COMM], (Str){process->comm, strlen(process->comm)});
    } else {
        builder_null(b[FLOW_PID]);
        builder_null(b[FLOW_COMM]);
    }
}

Status tcp_collector_round(TcpCollector *c, Batch *out, Err *err)
{
    const int64_t now_us = os_wall_us(c->os);

    *out = (Batch){.schema = &schema};
    c->socket_count = 0;
    for (size_t i = 0; i < FLOW_COLUMNS; i++) {
        builder_clear(c->builders[i]);
    }
    TRY(sockdiag_dump(c->sockdiag, SOCKDIAG_ALL_STATES & ~SOCKDIAG_BIT(SOCKDIAG_LISTEN),
                      keep_socket, c, err));
    c->inodes = mem_grow(c->inodes, &c->inode_cap, c->socket_count + 1, sizeof(*c->inodes));
    for (size_t i = 0; i < c->socket_count; i++) {
        c->inodes[i] = c->sockets[i].inode;
    }
    sockdiag_find_processes(c->sockdiag, c->inodes, c->socket_count);
    for (size_t i = 0; i < c->socket_count; i++) {
        put_row(c, &c->sockets[i], now_us);
    }
    for (size_t i = 0; i < FLOW_COLUMNS; i++) {
        c->vectors[i] = builder_vector(c->builders[i]);
    }
    out->columns = c->vectors;
    out->row_count = (uint32_t)c->socket_count;
    return OK;
}
