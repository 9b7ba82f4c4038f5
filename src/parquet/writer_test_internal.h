// SPDX-License-Identifier: Apache-2.0
//
// For the tests of the writer: a file written to a simulated disk, and what is in it.
#pragma once

#include "parquet/reader.h"
#include "parquet/writer.h"
#include "tests/support/test.h"
#include "tests/support/vector_gen.h"

typedef struct Written {
    Bytes bytes; // the file
    ParquetFileSummary summary;
    ParquetReader *reader; // freed by written_close()
} Written;

// Writes `count` batches, one row group each, and opens the result. Fails the test on any error.
void written_open(Test *t, const Batch *batches, size_t count, const ParquetWriterOptions *options,
                  Written *out);
void written_close(Written *w);

// Reads all rows back and compares them with the batches.
void written_check_rows(Test *t, const Written *w, const Batch *batches, size_t count);

const ParquetColumnChunk *written_chunk(const Written *w, uint32_t row_group, uint32_t leaf);
void written_column_index(Test *t, const Written *w, const ParquetColumnChunk *chunk,
                          ParquetColumnIndex *out);
void written_offset_index(Test *t, const Written *w, const ParquetColumnChunk *chunk,
                          ParquetOffsetIndex *out);

// A batch of one generated column called "c", nullable when it may hold nulls.
Batch written_batch(Test *t, const VectorGen *gen);
// A batch of one column called "c".
Batch written_batch_of(Test *t, Vector v, bool nullable);
