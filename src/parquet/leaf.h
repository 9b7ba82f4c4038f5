// SPDX-License-Identifier: Apache-2.0
//
// Leaf: nested Parquet files as what they are made of, for the few whose rows are no table of ours:
// the checkpoints of the Delta log. A row of a leaf is its slots, each with a repetition and a
// definition level (Dremel, Melnik et al. 2010; apache/parquet-format README.md, "Nested
// Encoding"). Leaves of BOOLEAN, INT32, INT64 and BYTE_ARRAY; anything in them that the reader
// knows is read, plain values in zstd pages are written.
//
// Not for data: a slot at a time, and every text is copied. One owner, one thread each.
#pragma once

#include "os/os.h"
#include "parquet/reader.h"

typedef struct ParquetSlot {
    uint32_t rep, def;
    bool has_value; // def is the highest of the leaf
    int64_t i64;    // BOOLEAN, INT32, INT64
    Str text;       // BYTE_ARRAY
} ParquetSlot;

// ---- reading

typedef struct ParquetLeafPlace {
    uint32_t leaf; // number of the leaf, depth first
    uint32_t max_def, max_rep;
    uint32_t def; // from this definition level on the named field is not null
    const ParquetSchemaElement *element;
} ParquetLeafPlace;

// Finds the field called path[0].path[1]... from the root, and in it the leaf number `nth`: 0 for a
// field that is a leaf itself, or the keys of a map; 1 for its values. False when there is none.
bool parquet_leaf_find(const ParquetReader *r, const Str *path, size_t path_count, uint32_t nth,
                       ParquetLeafPlace *out);

typedef struct ParquetLeafCursor ParquetLeafCursor;

// Borrows the reader. ERR_UNSUPPORTED: a leaf of another type.
Status parquet_leaf_cursor_open(const ParquetReader *r, const ParquetLeafPlace *place,
                                ParquetLeafCursor **out, Err *err);
void parquet_leaf_cursor_close(ParquetLeafCursor *c); // accepts NULL
// The slots of the next row of the file, valid until the next call; *count is 0 at the end.
Status parquet_leaf_cursor_row(ParquetLeafCursor *c, const ParquetSlot **slots, size_t *count,
                               Err *err);

// ---- writing

typedef struct ParquetLeafWriter ParquetLeafWriter;

// `file` is empty and borrowed. `schema`: depth first, the root at 0; borrowed.
ParquetLeafWriter *parquet_leaf_writer_new(OsFile *file, const ParquetSchemaElement *schema,
                                           uint32_t schema_count);
void parquet_leaf_writer_free(ParquetLeafWriter *w); // accepts NULL
// Appends a slot to the row of leaf number `leaf`; has_value is ignored.
void parquet_leaf_writer_put(ParquetLeafWriter *w, uint32_t leaf, ParquetSlot slot);
// Every leaf has got its slots of the row.
Status parquet_leaf_writer_end_row(ParquetLeafWriter *w, Err *err);
void parquet_leaf_writer_key_value(ParquetLeafWriter *w, Str key, Str value); // footer, copied
// Writes what is left and the footer, and syncs the file.
Status parquet_leaf_writer_finish(ParquetLeafWriter *w, uint64_t *size_bytes, Err *err);
