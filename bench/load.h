// SPDX-License-Identifier: Apache-2.0
//
// The parts of cardinal-load, the load generator of bench/run: a corpus is made once ("gen"), as
// requests ready to be sent, and then replayed to each server byte for byte ("send"), so that
// making the load costs the measured machine nothing.
//
// A corpus file, little-endian:
//   offset size  header                                record, once per request
//        0    8  "CLOAD001"                            u32 size of the body
//        8    4  kind of the bodies (CorpusKind)       u32 shard
//       12    4  shards                                u32 samples or rows in it
//       16    8  requests                              u32 zero
//       24    8  samples or rows                       the body
//       32    8  distinct series (0: rows)
//       40    8  bytes of all bodies
//       48   16  first and last timestamp, ms
// A series lives in one shard, and one connection replays whole shards in their order, as the
// queues of Prometheus' remote write do: no series ever goes backwards, however many connections
// there are.
//
// Everything belongs to the thread that made it.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/rng.h"
#include "os/os.h"

enum {
    CORPUS_HEADER_BYTES = 64,
    CORPUS_RECORD_BYTES = 16,
    CORPUS_SHARDS_MAX = 64,
    CORPUS_BODY_BYTES_MAX = 64 << 20,
    LOAD_CONNECTIONS_MAX = CORPUS_SHARDS_MAX,
};

// name, text, Content-Type
#define CORPUS_KIND_LIST(X)                                                                        \
    X(CORPUS_REMOTE_WRITE, "remote_write", "application/x-protobuf")                               \
    X(CORPUS_NDJSON, "ndjson", "application/x-ndjson")                                             \
    X(CORPUS_CSV, "csv", "text/csv")

typedef enum CorpusKind {
#define X(name, text, type) name,
    CORPUS_KIND_LIST(X)
#undef X
} CorpusKind;

// How the values of a series go on.
typedef enum LoadValues {
    LOAD_COUNTER,  // steps of 0..10
    LOAD_INTGAUGE, // integers, steps of -10..10
    LOAD_GAUGE2,   // two decimals, steps of -1.00..1.00
    LOAD_FLOAT,    // all 53 bits are different: latencies in seconds
    LOAD_MIX,      // one of these four by metric
} LoadValues;

typedef struct LoadOptions {
    Str out;
    CorpusKind kind;
    uint64_t samples; // or rows; of metrics rounded up to whole ticks
    uint64_t shards;
    uint64_t per_request; // samples or rows
    int64_t start_ms;
    uint64_t seed;
    bool bare; // bodies alone, without header and records
    // metrics
    uint64_t series;     // alive at any one time
    uint64_t metrics;    // metric names
    uint64_t conns;      // connections of a pod; there are series / (metrics * conns) pods
    uint64_t services;   // the pods belong to
    uint64_t first_tick; // ticks before this one are not written
    LoadValues values;
    double churn; // part of the pods that is replaced each tick
    int64_t interval_ms;
    // flows
    uint64_t pool;      // alive at any one time
    uint64_t flow_rows; // mean rows of one flow
    uint64_t sources, destinations;
    int64_t span_ms; // the rows spread over this time
} LoadOptions;

// --- corpora

typedef struct CorpusHeader {
    CorpusKind kind;
    uint32_t shards;
    uint64_t requests, samples, series, body_bytes;
    int64_t first_ms, last_ms;
} CorpusHeader;

typedef struct CorpusWriter CorpusWriter;
Status corpus_writer_open(const LoadOptions *options, CorpusWriter **out, Err *err);
// The body that `shard` is filling; append one sample or row, then count it.
Buf *corpus_writer_body(CorpusWriter *w, uint32_t shard);
Status corpus_writer_count(CorpusWriter *w, uint32_t shard, Err *err);
// Writes what is begun and the header, of which the caller gives series and times.
Status corpus_writer_finish(CorpusWriter *w, CorpusHeader *header, Err *err);
void corpus_writer_free(CorpusWriter *w); // accepts NULL

// ERR_CORRUPT  not a corpus
Status corpus_read_header(OsFile *file, CorpusHeader *out, Err *err);

// --- workloads

// All series once per tick, in their order.
Status load_metrics(const LoadOptions *options, Err *err);
// Rows of network flows, in the order of time; who talks is as skewed as in real networks.
Status load_flows(const LoadOptions *options, Err *err);

// Random numbers that are functions of indices, so that nothing has to be kept for them.
static inline uint64_t load_mix(uint64_t x)
{
    Rng rng = {x};
    return rng_next(&rng);
}

static inline double load_unit(uint64_t hash) // [0, 1)
{
    return (double)(hash >> 11) * 0x1p-53;
}

// About normal, mean 0 and deviation 1: the sum of four uniform numbers is good enough for a load.
static inline double load_gauss(uint64_t hash)
{
    const double sum = (double)(hash & 0xffff) + (double)((hash >> 16) & 0xffff) +
                       (double)((hash >> 32) & 0xffff) + (double)(hash >> 48);
    return (sum / 65536.0 - 2.0) * 1.7320508;
}

// --- sending

typedef struct SendOptions {
    Str corpus;
    Str address; // IPv4
    uint16_t port;
    Str path;
    uint32_t connections; // at most the shards of the corpus
    uint32_t retries;     // of one request, after 429, 503 and a broken connection
    int64_t timeout_ms;   // of one answer
} SendOptions;

// Replays the corpus and prints one JSON object: what was sent, acknowledged, and how long it took.
// ERR_IO when a request was not acknowledged in the end.
Status load_send(const SendOptions *options, Err *err);

// Serves until the process ends: reads requests and throws them away, to show what sending itself
// costs. Prints the port it got.
Status load_sink(Err *err);
