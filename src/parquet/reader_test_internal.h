// SPDX-License-Identifier: Apache-2.0
//
// For the tests of the reader: files made by hand, page by page, so that they can be as odd as the
// format allows, and more.
#pragma once

#include "parquet/reader.h"
#include "tests/support/test.h"

// A view of a string literal, zeros included.
#define BYTES(literal) ((Bytes){.ptr = (const uint8_t *)(literal), .len = sizeof(literal) - 1})

enum { MADE_LEAVES_MAX = 4, MADE_ELEMENTS_MAX = 12 };

typedef struct Made {
    Test *t;
    Buf file;
    ParquetSchemaElement elements[MADE_ELEMENTS_MAX]; // the root at 0
    uint32_t element_count, leaf_count;
    ParquetColumnChunk chunks[MADE_LEAVES_MAX]; // in order of pages
    int64_t row_count;
    ParquetCodec codec;
    Str created_by;
    Bytes bytes; // the finished file
} Made;

// A file of one row group; pages are added leaf by leaf.
void made_begin(Test *t, Made *m, int64_t row_count);
// Adds a schema element below the root, depth first; children of a group follow it.
void made_element(Made *m, const ParquetSchemaElement *e);
// The simplest of them: a required or optional column "c" of a physical type.
void made_column(Made *m, ParquetPhysical type, ParquetRepetition repetition);

// Adds a page to the chunk of `leaf`. Sizes and, when the header says it has one, the checksum are
// set here; a body that is to be compressed comes compressed already.
void made_page(Made *m, uint32_t leaf, ParquetPageHeader header, Bytes body);
// A V1 page: levels (when not empty, with their length in front) and values.
void made_v1(Made *m, uint32_t leaf, int32_t value_count, ParquetEncoding encoding, Bytes def,
             Bytes values);
void made_dictionary(Made *m, uint32_t leaf, int32_t value_count, Bytes values);

// The footer. Chunks say what their pages sum up to; change m->chunks before to have them lie.
void made_finish(Made *m);

// All values of a field, or "error: ..." : "1,2,N,3". `form` (may be NULL) gets the form of the
// first batch.
Str made_read(Made *m, size_t field, uint32_t batch_rows, VectorForm *form);
// The same of rows [first, first + count).
Str made_read_rows(Made *m, size_t field, ParquetRowRange rows);
