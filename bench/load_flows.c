// SPDX-License-Identifier: Apache-2.0
//
// Network flows: rows draw from a pool of live 5-tuples, each of which lives for a few rows.
// Columns: timestamp (ms since 1970), src_ip, dst_ip, src_port, dst_port, protocol, bytes, latency
// (ms, with three decimals), retransmits.
#include "base/mem.h"
#include "base/num.h"
#include "bench/load.h"

#include <math.h>

typedef struct Flow {
    uint32_t source, destination; // IPv4, first octet in the highest bits
    uint16_t source_port, destination_port;
    Str protocol;
} Flow;

typedef struct FlowRow {
    const Flow *flow;
    int64_t timestamp_ms;
    uint64_t bytes;
    uint64_t latency_us;
    uint32_t retransmits;
} FlowRow;

// n values of which the i-th is drawn about as often as 1 / i: 0 is the most talkative one.
static uint32_t draw_popular(uint64_t n, uint64_t random)
{
    return (uint32_t)(pow((double)n + 1, load_unit(random)) - 1);
}

static Flow new_flow(const LoadOptions *o, uint64_t serial)
{
    static const uint16_t ports[] = {443,  443,  443,  443,  80, 80,   53,   53,
                                     8080, 5432, 6379, 9092, 22, 3306, 8443, 9090};
    const uint64_t a = load_mix((serial * 3 + 1) ^ o->seed);
    const uint64_t b = load_mix((serial * 3 + 2) ^ o->seed);
    const uint64_t c = load_mix((serial * 3 + 3) ^ o->seed);
    const uint16_t port = ports[(c >> 20) % ARRAY_LEN(ports)];
    return (Flow){.source = (UINT32_C(10) << 24) + 1 + draw_popular(o->sources, a),
                  .destination = (UINT32_C(172) << 24) + (UINT32_C(16) << 16) + 1 +
                                 draw_popular(o->destinations, b),
                  .source_port = (uint16_t)(32768 + c % 28232),
                  .destination_port = port,
                  .protocol = port == 53             ? STR("UDP")
                              : (c >> 40) % 200 == 0 ? STR("ICMP")
                                                     : STR("TCP")};
}

static void put_ip(Buf *b, uint32_t ip)
{
    for (unsigned shift = 24;; shift -= 8) {
        num_put_u64(b, ip >> shift & 255);
        if (shift == 0) {
            return;
        }
        buf_put_u8(b, '.');
    }
}

// Thousandths as a decimal number without trailing zeroes.
static void put_thousandths(Buf *b, uint64_t v)
{
    uint64_t fraction = v % 1000;
    num_put_u64(b, v / 1000);
    if (fraction == 0) {
        return;
    }
    buf_put_u8(b, '.');
    for (uint64_t unit = 100; fraction > 0; unit /= 10) {
        buf_put_u8(b, (uint8_t)('0' + fraction / unit));
        fraction %= unit;
    }
}

static void put_ndjson(Buf *b, const FlowRow *row)
{
    const Flow *f = row->flow;
    buf_put_str(b, STR("{\"timestamp\":"));
    num_put_i64(b, row->timestamp_ms);
    buf_put_str(b, STR(",\"src_ip\":\""));
    put_ip(b, f->source);
    buf_put_str(b, STR("\",\"dst_ip\":\""));
    put_ip(b, f->destination);
    buf_put_str(b, STR("\",\"src_port\":"));
    num_put_u64(b, f->source_port);
    buf_put_str(b, STR(",\"dst_port\":"));
    num_put_u64(b, f->destination_port);
    buf_put_str(b, STR(",\"protocol\":\""));
    buf_put_str(b, f->protocol);
    buf_put_str(b, STR("\",\"bytes\":"));
    num_put_u64(b, row->bytes);
    buf_put_str(b, STR(",\"latency\":"));
    put_thousandths(b, row->latency_us);
    buf_put_str(b, row->latency_us % 1000 == 0 ? STR(".0,\"retransmits\":")
                                               : STR(",\"retransmits\":"));
    num_put_u64(b, row->retransmits);
    buf_put_str(b, STR("}\n"));
}

static void put_csv(Buf *b, const FlowRow *row)
{
    const Flow *f = row->flow;
    num_put_i64(b, row->timestamp_ms);
    buf_put_u8(b, ',');
    put_ip(b, f->source);
    buf_put_u8(b, ',');
    put_ip(b, f->destination);
    buf_put_u8(b, ',');
    num_put_u64(b, f->source_port);
    buf_put_u8(b, ',');
    num_put_u64(b, f->destination_port);
    buf_put_u8(b, ',');
    buf_put_str(b, f->protocol);
    buf_put_u8(b, ',');
    num_put_u64(b, row->bytes);
    buf_put_u8(b, ',');
    put_thousandths(b, row->latency_us);
    buf_put_u8(b, ',');
    num_put_u64(b, row->retransmits);
    buf_put_u8(b, '\n');
}

static Status put_row(CorpusWriter *w, const LoadOptions *o, uint64_t index, const FlowRow *row,
                      Err *err)
{
    // A request holds rows that follow one another; requests take turns over the shards.
    const uint32_t shard = (uint32_t)(index / o->per_request % o->shards);
    Buf *body = corpus_writer_body(w, shard);
    if (o->kind == CORPUS_NDJSON) {
        put_ndjson(body, row);
    } else {
        if (index == 0) {
            buf_put_str(body, STR("timestamp,src_ip,dst_ip,src_port,dst_port,protocol,bytes,"
                                  "latency,retransmits\n"));
        }
        put_csv(body, row);
    }
    return corpus_writer_count(w, shard, err);
}

Status load_flows(const LoadOptions *options, Err *err)
{
    Status st = OK;
    const LoadOptions *o = options;
    CorpusWriter *writer = NULL;
    CorpusHeader header = {.first_ms = o->start_ms, .last_ms = o->start_ms + o->span_ms};
    Flow *pool = mem_new(Flow, o->pool);
    uint64_t serial = 0;

    while (serial < o->pool) {
        pool[serial] = new_flow(o, serial);
        serial++;
    }
    TRY_OUT(corpus_writer_open(o, &writer, err));
    for (uint64_t i = 0; i < o->samples; i++) {
        const uint64_t a = load_mix((i * 2) ^ o->seed);
        const uint64_t b = load_mix((i * 2 + 1) ^ o->seed);
        Flow *flow = &pool[(a >> 8) % o->pool];
        const FlowRow row = {
            .flow = flow,
            .timestamp_ms =
                o->start_ms + (int64_t)((double)o->span_ms * (double)i / (double)o->samples),
            .bytes = 40 + (uint64_t)exp(6.5 + 1.8 * load_gauss(b)),
            .latency_us = (uint64_t)(exp(0.8 + 0.9 * load_gauss(a)) * 1000.0 + 0.5),
            .retransmits = b % 100 < 95 ? 0 : (uint32_t)((b >> 32) % 5 + 1)};
        TRY_OUT(put_row(writer, o, i, &row, err));
        if (load_mix(b) % o->flow_rows == 0) {
            *flow = new_flow(o, serial++);
        }
    }
    TRY_OUT(corpus_writer_finish(writer, &header, err));
out:
    corpus_writer_free(writer);
    mem_free(pool);
    return st;
}
