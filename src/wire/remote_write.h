// SPDX-License-Identifier: Apache-2.0
//
// Remote write 1.0: decodes the body of a POST /api/v1/write, a snappy block that holds one
// protobuf message `prometheus.WriteRequest`. The walk is streaming and allocates nothing per label
// or series: label sets stay the bytes they are on the wire, so that the store can recognise a
// series it knows by hashing them. Label names and values are *not* checked here; module series
// does that once per new label set. No I/O. A decoder or scratch belongs to one thread.
//
// Sources: Prometheus Remote-Write 1.0 specification; prompb/remote.proto and types.proto
//   WriteRequest { repeated TimeSeries timeseries = 1; repeated MetricMetadata metadata = 3; }
//   TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2;
//                  repeated Exemplar exemplars = 3; repeated Histogram histograms = 4; }
//   Label        { string name = 1; string value = 2; }
//   Sample       { double value = 1; int64 timestamp = 2; }
//   Histogram    { ...; int64 timestamp = 15; ... }, handed over as it is: histogram_check()
// and the protobuf encoding guide (fields in any order, unknown ones skipped, groups refused).
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum {
    REMOTE_WRITE_BODY_BYTES_MAX = 32 << 20,   // decompressed; checked before it is allocated
    REMOTE_WRITE_SERIES_MAX = 1 << 20,        // per request
    REMOTE_WRITE_SAMPLES_MAX = 4 << 20,       // per request
    REMOTE_WRITE_LABELS_BYTES_MAX = 64 << 10, // of one series, as on the wire
    REMOTE_WRITE_METADATA_MAX = 1 << 16,      // per request
    REMOTE_WRITE_EXEMPLARS_MAX = 1 << 20,     // per request
};

typedef struct RemoteWriteSeries {
    // The `labels` fields of the series, one after the other, exactly as on the wire: tag 0x0A,
    // length (varint), Label message. In the order sent; not validated inside; may be empty.
    // Borrowed from the message, or from the decoder when the fields were not next to each other.
    Bytes labels;
    // Into timestamps_ms, values and histograms: floats and histograms in the order sent.
    uint32_t sample_first, sample_count;
} RemoteWriteSeries;

// prometheus.MetricMetadata.MetricType
typedef enum RemoteWriteMetricType {
    REMOTE_WRITE_UNKNOWN = 0,
    REMOTE_WRITE_COUNTER = 1,
    REMOTE_WRITE_GAUGE = 2,
    REMOTE_WRITE_HISTOGRAM = 3,
    REMOTE_WRITE_GAUGE_HISTOGRAM = 4,
    REMOTE_WRITE_SUMMARY = 5,
    REMOTE_WRITE_INFO = 6,
    REMOTE_WRITE_STATESET = 7,
} RemoteWriteMetricType;

typedef struct RemoteWriteMetadata {
    RemoteWriteMetricType type; // what we do not know is REMOTE_WRITE_UNKNOWN
    Str family, help, unit;     // valid UTF-8, borrowed from the message
} RemoteWriteMetadata;

typedef struct RemoteWriteExemplar {
    uint32_t series; // its number in the request
    Bytes labels;    // label fields as on the wire, as those of a series
    double value;
    int64_t timestamp_ms;
} RemoteWriteExemplar;

// The state of one walk. Fields above the line are results; grown arrays are kept between messages.
typedef struct RemoteWriteDecoder {
    int64_t *timestamps_ms; // [0, sample_count)
    double *values;         // bit for bit as sent, NaN payloads included; 0 for histograms
    // Of each sample: the Histogram message, borrowed; ptr NULL: a float. NULL before any was seen.
    Bytes *histograms;
    uint32_t sample_count; // histograms included
    uint32_t series_count;
    RemoteWriteMetadata *metadata; // [0, metadata_count)
    uint32_t metadata_count;
    RemoteWriteExemplar *exemplars; // [0, exemplar_count)
    uint32_t exemplar_count;
    uint64_t histogram_count; // of sample_count
    // ----
    size_t sample_cap, metadata_cap, exemplar_cap;
    const uint8_t *begin, *pos, *end;
    Arena scratch; // labels that had to be copied
} RemoteWriteDecoder;

// Starts (again) on `message`, an uncompressed WriteRequest, borrowed until the results are no
// longer used. A decoder starts zeroed: `RemoteWriteDecoder d = {0};`.
void remote_write_init(RemoteWriteDecoder *d, Bytes message);
void remote_write_deinit(RemoteWriteDecoder *d);

// The next series. *more is false, and *series empty, when there is none. Metadata between the
// series is gathered on the way.
//
// ERR_INVALID    malformed; the message names the byte offset and what was expected
// ERR_TOO_LARGE  one of the limits above
Status remote_write_next(RemoteWriteDecoder *d, RemoteWriteSeries *series, bool *more, Err *err);

// ---- Whole requests

typedef struct RemoteWriteRequest {
    const RemoteWriteSeries *series;
    uint32_t series_count;
    uint32_t sample_count;
    const int64_t *timestamps_ms;
    const double *values;
    const Bytes *histograms; // as in the decoder; NULL when there are none
    uint64_t histogram_count;
    const RemoteWriteMetadata *metadata;
    uint32_t metadata_count;
    const RemoteWriteExemplar *exemplars;
    uint32_t exemplar_count;
} RemoteWriteRequest;

// Buffers that are reused from one request to the next.
typedef struct RemoteWriteScratch RemoteWriteScratch;
RemoteWriteScratch *remote_write_scratch_new(void);
void remote_write_scratch_free(RemoteWriteScratch *scratch); // accepts NULL

// Decodes a whole body. *out borrows from `scratch` (not from the body) and is valid until the next
// call with it. All or nothing.
//
// ERR_INVALID    not a snappy block, or not a WriteRequest
// ERR_TOO_LARGE  more than REMOTE_WRITE_BODY_BYTES_MAX when decompressed, or
//                more series, samples or label bytes than the limits above
Status remote_write_decode(Bytes body_snappy, RemoteWriteScratch *scratch, RemoteWriteRequest *out,
                           Err *err);

// ---- Labels of one series

// Walks the label fields of RemoteWriteSeries.labels: takes the first off the front of *labels.
// False at the end. Names and values are borrowed and not validated (a missing one is empty).
//
// ERR_INVALID  not a Label message
Status remote_write_label_next(Bytes *labels, Str *name, Str *value, bool *more, Err *err);

// ---- Writing, for clients, tests and benchmarks

// Appends one label field; a series' labels are all of them in order.
void remote_write_put_label(Buf *labels, Str name, Str value);
// Appends one series to a WriteRequest message.
void remote_write_put_series(Buf *message, Bytes labels, const int64_t *timestamps_ms,
                             const double *values, size_t sample_count);
// The same with histograms: where histograms[i].ptr is not NULL, that Histogram message (which has
// its timestamp itself) stands for the sample.
void remote_write_put_histograms(Buf *message, Bytes labels, const int64_t *timestamps_ms,
                                 const double *values, const Bytes *histograms,
                                 size_t sample_count);
