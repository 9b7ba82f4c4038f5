// SPDX-License-Identifier: Apache-2.0
//
// Arrow: the IPC streaming format (arrow.apache.org/docs/format/Columnar.html, "IPC Streaming
// Format", metadata version V5): batches of ours out to, and others' in from, Flight, SQL clients
// and notebooks.
//
//   our type             Arrow type written         Arrow types read
//   BOOL                 bool                       bool
//   INT8 .. UINT64       int8 .. uint64             the same
//   FLOAT, DOUBLE        float, double              the same
//   STRING, BINARY       utf8, binary               also large_, and fixed_size_binary (not of 16)
//   TIMESTAMP            timestamp[us, UTC]         timestamp of any unit; no zone means UTC
//   DATE                 date32                     also date64
//   UUID                 fixed_size_binary(16)      the same
//   MAP                  map<utf8, utf8>            also of large_utf8; sorted when it is not
//
// A string column whose first batch is not FLAT is written dictionary-encoded with int32 codes, and
// the dictionary again whenever it changes. Bodies are not compressed; buffers are aligned to 8
// bytes. Anything else, compression and delta dictionaries among it, is refused when read.
//
// Writers and readers belong to one thread at a time.
#pragma once

#include "base/buf.h"
#include "base/reader.h"
#include "column/vector.h"

enum {
    ARROW_DICTIONARIES_MAX = SCHEMA_COLUMNS_MAX, // of a stream
    ARROW_HEADER_BYTES_MAX = 16 << 20,           // of a message
};

// ---- writing

typedef struct ArrowWriter ArrowWriter;

// `schema` is borrowed until the writer is freed.
ArrowWriter *arrow_writer_new(const Schema *schema);
void arrow_writer_free(ArrowWriter *w); // accepts NULL

// Appends the messages of one batch to `out`: dictionaries that changed, then the rows; before the
// first batch also the schema.
//
// ERR_LIMIT  a column has 2 GiB of strings or more, or `out` is full
Status arrow_writer_batch(ArrowWriter *w, const Batch *batch, Buf *out, Err *err);
// Appends the end of the stream; when there was no batch, the schema before it.
Status arrow_writer_finish(ArrowWriter *w, Buf *out, Err *err);

// ---- reading

typedef struct ArrowMessage {
    Bytes header; // a flatbuffer; Flight calls it data_header
    Bytes body;   // Flight: data_body
} ArrowMessage;

// Splits the next message off a stream, borrowed from it. *end is set, and *message empty, when
// there is none. ERR_INVALID when it is malformed or cut short.
Status arrow_message_next(Reader *stream, ArrowMessage *message, bool *end, Err *err);

typedef struct ArrowReader ArrowReader;
ArrowReader *arrow_reader_new(void);
void arrow_reader_free(ArrowReader *r); // accepts NULL

// Takes one message. When it holds rows, *batch is those rows; else batch->schema is NULL. The
// batch borrows from the message, from `arena` and from the reader: it is valid until the next
// call. Everything is checked: the vectors pass vector_validate(), and text is UTF-8.
//
// ERR_INVALID      malformed, or in an order that makes no sense
// ERR_UNSUPPORTED  a type or feature that is not in the table above
// ERR_LIMIT        more columns or longer names than ours may have, or too many bytes
Status arrow_reader_message(ArrowReader *r, ArrowMessage message, Arena *arena, Batch *batch,
                            Err *err);
// NULL before the schema message came. Valid until the reader is freed.
const Schema *arrow_reader_schema(const ArrowReader *r);
