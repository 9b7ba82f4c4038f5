// SPDX-License-Identifier: Apache-2.0
//
// Remote read: decodes the body of a POST /api/v1/read (a snappy block that holds one protobuf
// message `prometheus.ReadRequest`) and writes its two answers: one ReadResponse with all samples,
// or a stream of ChunkedReadResponse frames. No I/O. One owner, one thread.
//
// Sources: prompb/remote.proto and types.proto of Prometheus; storage/remote/chunked.go for frames
//   ReadRequest { repeated Query queries = 1; repeated ResponseType accepted_response_types = 2; }
//   Query       { int64 start_timestamp_ms = 1; int64 end_timestamp_ms = 2;
//                 repeated LabelMatcher matchers = 3; ReadHints hints = 4; }
#pragma once

#include "series/histogram.h"
#include "series/labels.h"
#include "series/matcher.h"

enum {
    REMOTE_READ_BODY_BYTES_MAX = 4 << 20, // decompressed
    REMOTE_READ_QUERIES_MAX = 1024,
    REMOTE_READ_MATCHERS_MAX = 256,    // of one query
    REMOTE_READ_FRAME_BYTES = 1 << 20, // a frame is sent when it passes this
};

typedef struct RemoteReadQuery {
    int64_t min_ms, max_ms; // inclusive
    const Matcher **matchers;
    size_t matcher_count;
} RemoteReadQuery;

typedef struct RemoteReadRequest {
    RemoteReadQuery *queries;
    size_t query_count;
    bool chunks; // the client prefers STREAMED_XOR_CHUNKS
    Arena arena;
} RemoteReadRequest;

// ERR_INVALID    not a snappy block, not a ReadRequest, or a matcher that is not one
// ERR_TOO_LARGE  one of the limits above
Status remote_read_decode(Bytes body_snappy, RemoteReadRequest *out, Err *err);
void remote_read_request_deinit(RemoteReadRequest *request); // accepts a zeroed one

#define REMOTE_READ_SAMPLES_TYPE "application/x-protobuf"
#define REMOTE_READ_CHUNKS_TYPE                                                                    \
    "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"

// What both answers are made of: a series with its samples in order.
typedef struct RemoteReadSeries {
    LabelSet labels;
    size_t count;
    const int64_t *timestamps_ms;
    const double *values;
    const Bytes *histograms; // blobs, empty for floats; NULL: all floats
} RemoteReadSeries;

// A TimeSeries, as one field of QueryResult; QueryResult as one field of ReadResponse.
void remote_read_put_series(const RemoteReadSeries *series, Buf *query_result);
void remote_read_put_result(Bytes query_result, Buf *response);

// A ChunkedSeries, as one field of ChunkedReadResponse. ERR_CORRUPT: a blob is none.
Status remote_read_put_chunks(const RemoteReadSeries *series, Buf *message, Err *err);
// The message with its query's index, as a frame: length, CRC-32C, bytes.
void remote_read_put_frame(Buf *message, size_t query_index, Buf *out);
