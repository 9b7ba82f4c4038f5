// SPDX-License-Identifier: Apache-2.0
//
// The parts the Parquet reader is made of, in the order bytes pass through them. This module only.
//
//   reader_schema.c  schema elements -> fields and leaves           (once per file)
//   reader_prune.c   statistics, bloom filters, page index -> rows  (once per row group)
//   reader_fetch.c   byte ranges -> few large reads                 (per row group)
//   reader_page.c    bytes of a column chunk -> pages, decompressed
//   reader_values.c  one page's values -> arrays
//   reader_column.c  one leaf's pages -> Vectors
//   reader_map.c     the two leaves of a MAP -> Vectors
//   reader_scan.c    columns -> batches
//
// A ParquetReader is immutable. Everything else belongs to one scan and so to one thread.
#pragma once

#include "base/reader.h"
#include "codec/compress.h"
#include "codec/rle.h"
#include "parquet/reader.h"

enum {
    PARQUET_BATCH_ROWS_MAX = 1 << 20,
    PARQUET_READ_GAP_BYTES = 64 << 10,  // ranges closer than this are read as one
    PARQUET_READ_PIECE_BYTES = 8 << 20, // one read is not larger, unless one range is
    PARQUET_READ_PIECE_BYTES_MIN = 1 << 20,
    PARQUET_READ_AHEAD_BYTES = 64 << 20,  // of all columns together, as long as pieces stay large
    PARQUET_CHUNK_WHOLE_BYTES = 16 << 20, // chunks up to this are read as one range
    PARQUET_PAGE_HEADER_MAX_BYTES = 16 << 20,
    PARQUET_MAP_BATCH_ENTRIES_MAX = 1 << 24,
    PARQUET_SCAN_PAGES_MAX_BYTES = 2047 << 20, // decompressed pages of all columns of a scan
    PARQUET_BATCH_BYTES_MAX = 1 << 30,         // text of one column in one batch
};

// ---- memory that a column keeps from batch to batch

// Aligned to 64 bytes, 64 bytes longer than asked for; grows and never shrinks.
typedef struct ParquetScratch {
    uint8_t *ptr;
    size_t cap;
} ParquetScratch;

void *parquet_scratch_need(ParquetScratch *s, size_t bytes);              // contents are lost
void *parquet_scratch_grow(ParquetScratch *s, size_t used, size_t bytes); // keeps the first `used`
void parquet_scratch_deinit(ParquetScratch *s);

// ---- schema

typedef enum ParquetConvert {
    PARQUET_CONVERT_COPY, // the physical value is the value
    PARQUET_CONVERT_BOOL,
    PARQUET_CONVERT_INT8, // INT32, which has to be in range
    PARQUET_CONVERT_INT16,
    PARQUET_CONVERT_UINT8,
    PARQUET_CONVERT_UINT16,
    PARQUET_CONVERT_MILLIS, // INT64 -> µs
    PARQUET_CONVERT_NANOS,  // INT64 -> µs, towards minus infinity
    PARQUET_CONVERT_INT96,  // nanoseconds of the day and Julian day -> µs
    PARQUET_CONVERT_FLOAT16,
    PARQUET_CONVERT_BYTES, // BYTE_ARRAY, FIXED_LEN_BYTE_ARRAY
} ParquetConvert;

typedef struct ParquetLeaf {
    const ParquetSchemaElement *element;
    uint32_t max_def, max_rep;
    // The rest only when the leaf's field is readable.
    ColumnType type;
    ParquetConvert convert;
    uint32_t width;   // bytes of a physical value; 0: BYTE_ARRAY, BOOLEAN
    bool ordered;     // its statistics have an order we know
    bool from_parent; // MAP: the map itself may be null, so that definition levels are one higher
} ParquetLeaf;

struct ParquetReader {
    ParquetSource source;
    Arena arena; // all below
    ParquetFileMeta meta;
    ParquetField *fields;
    size_t field_count;
    ParquetLeaf *leaves;
    uint32_t leaf_count;
    const uint64_t *group_first_row; // [row_group_count + 1]
    uint64_t data_end;               // where the footer begins: no page reaches past it
    bool own; // written by cardinal: a floating column with statistics holds no NaN
    // Arrow before 2.0 compressed V2 pages and said that it did not (ARROW-10353).
    bool v2_always_compressed;
};

// Fills fields and leaves from meta.schema. ERR_CORRUPT, ERR_TOO_LARGE.
Status parquet_schema_map(ParquetReader *r, Err *err);

// ---- reading ranges of the file

typedef struct ParquetRange {
    uint64_t offset, size;
    size_t span;
} ParquetRange;

typedef struct ParquetSpan {
    uint64_t offset, size;
    ParquetScratch data; // empty until one of its ranges is asked for
    size_t users;        // ranges not released yet
} ParquetSpan;

enum { PARQUET_SPARE_BUFFERS = 4 };

typedef struct ParquetFetch {
    const ParquetSource *source;
    ParquetRange *ranges;
    size_t range_count, range_cap;
    ParquetSpan *spans;
    size_t span_count, span_cap;
    ParquetScratch spare[PARQUET_SPARE_BUFFERS];
    uint64_t bytes_read;
} ParquetFetch;

void parquet_fetch_clear(ParquetFetch *f); // forgets all ranges
void parquet_fetch_deinit(ParquetFetch *f);
// Announces a range that will be wanted; returns its number.
size_t parquet_fetch_add(ParquetFetch *f, uint64_t offset, uint64_t size);
// After the last add: neighbours become spans of at most `piece_bytes`, unless one range is larger.
void parquet_fetch_plan(ParquetFetch *f, uint64_t piece_bytes);
// The bytes of a range; valid until it is released.
Status parquet_fetch_get(ParquetFetch *f, size_t range, Bytes *out, Err *err);
void parquet_fetch_release(ParquetFetch *f, size_t range);
// One read outside the plan.
Status parquet_fetch_read(ParquetFetch *f, uint64_t offset, void *into, size_t size, Err *err);

// ---- pages of one column chunk

typedef struct ParquetChunkContext { // what the columns of a scan share
    ParquetFetch fetch;
    Compress *compress;
    bool no_checksums;
    bool v2_always_compressed; // see ParquetReader
    uint64_t pages_opened;     // data pages
    uint64_t page_bytes;       // memory for decompressed pages
} ParquetChunkContext;

// parquet_scratch_need() within PARQUET_SCAN_PAGES_MAX_BYTES: for what few bytes can claim to
// become.
Status parquet_scratch_claim(ParquetChunkContext *ctx, ParquetScratch *s, size_t bytes, Err *err);

typedef struct ParquetPages {
    ParquetChunkContext *ctx;
    const ParquetLeaf *leaf;
    const ParquetColumnChunk *chunk;
    uint64_t pos, end;   // next byte and end of the chunk
    int64_t values_seen; // of the data pages opened so far, when all are read

    // Either the whole chunk is one range, or it is read through a window, ...
    bool has_range;
    size_t range;
    ParquetScratch window;
    uint64_t window_offset, window_size, piece_bytes;
    // ... or only chosen pages are read, each a range. locations == NULL: all pages, one after
    // another.
    const ParquetPageLocation *locations;
    uint32_t location_count;
    const uint32_t *chosen; // page numbers, ascending
    const size_t *chosen_ranges;
    uint32_t chosen_count, chosen_next;
    bool has_dictionary_range;
    size_t dictionary_range;
    bool holds_range; // of the page opened last
    size_t held_range;

    // The page opened last.
    uint64_t page_offset;
    ParquetPageHeader header;
    Bytes body;           // as stored
    ParquetScratch plain; // decompressed
} ParquetPages;

typedef enum ParquetPageKind {
    PARQUET_PAGES_END,
    PARQUET_PAGES_DICTIONARY,
    PARQUET_PAGES_DATA
} ParquetPageKind;

void parquet_pages_deinit(ParquetPages *p);
// Forgets the chunk, keeps memory.
void parquet_pages_clear(ParquetPages *p);
// The byte range of a chunk, pages and dictionary. ERR_CORRUPT when it is not inside the file.
Status parquet_chunk_extent(const ParquetReader *r, const ParquetColumnChunk *chunk,
                            uint64_t *offset, uint64_t *size, Err *err);
// Opens the next page that is a dictionary or data; passes over others.
Status parquet_pages_next(ParquetPages *p, ParquetPageKind *kind, Err *err);

typedef struct ParquetPageBody {
    Bytes rep, def;        // level runs, without length or width
    bool rep_msb, def_msb; // BIT_PACKED, most significant bit first, and not runs
    Bytes values;
} ParquetPageBody;
// Checks and decompresses the opened page (errors do not say which one it is); the result is valid
// until the next call of any of these.
Status parquet_pages_body(ParquetPages *p, ParquetPageBody *out, Err *err);

// ---- dictionary and values

typedef struct ParquetText {
    ParquetScratch bytes;
    size_t used;
} ParquetText;

// Checks that the `count` values are UTF-8 when the column is STRING.
Status parquet_text_check(const ParquetLeaf *leaf, const uint32_t *offsets, const uint8_t *bytes,
                          size_t count, Err *err);

typedef struct ParquetDictionary {
    bool present;
    uint32_t code_count;   // entries in the page; codes are below
    Vector vector;         // FLAT, no value twice
    const uint32_t *remap; // code -> row of `vector`; NULL: the same
    const uint32_t *ranks; // row of `vector` -> its place in byte order; NULL until asked for
    ParquetScratch data, offsets, remap_data, rank_data, table;
    ParquetText text;
} ParquetDictionary;

void parquet_dictionary_deinit(ParquetDictionary *d);
Status parquet_dictionary_load(ParquetDictionary *d, const ParquetLeaf *leaf,
                               const ParquetPageHeader *header, Bytes values, Err *err);
// Fills d->ranks; STRING and BINARY only.
void parquet_dictionary_rank(ParquetDictionary *d);

typedef enum ParquetValuesKind {
    PARQUET_VALUES_PLAIN,   // fixed width, one after another (also what DELTA_BINARY_PACKED became)
    PARQUET_VALUES_TEXT,    // BYTE_ARRAY, each behind its length
    PARQUET_VALUES_STRINGS, // offsets and bytes (what the DELTA encodings of text became)
    PARQUET_VALUES_SPLIT,   // BYTE_STREAM_SPLIT
    PARQUET_VALUES_BITS,    // BOOLEAN, plain
    PARQUET_VALUES_RLE,     // BOOLEAN, RLE
    PARQUET_VALUES_CODES,   // into the dictionary
} ParquetValuesKind;

// The values of one page, nulls left out, read from front to back.
typedef struct ParquetValues {
    ParquetChunkContext *ctx; // set before the first page
    const ParquetLeaf *leaf;
    const ParquetDictionary *dictionary; // CODES
    ParquetValuesKind kind;
    Bytes in;                // PLAIN, TEXT, SPLIT, BITS: all of the page
    uint64_t index, count;   // next value, and how many there are: PLAIN, STRINGS, SPLIT, BITS
    size_t pos;              // TEXT: next byte of `in`
    RleDecoder rle;          // RLE, CODES
    const uint32_t *offsets; // STRINGS
    const uint8_t *bytes;    // STRINGS
    ParquetScratch decoded, decoded_offsets, temp;
    Buf decoded_bytes;
} ParquetValues;

void parquet_values_deinit(ParquetValues *v);
Status parquet_values_begin(ParquetValues *v, const ParquetLeaf *leaf,
                            const ParquetDictionary *dictionary, const ParquetPageHeader *header,
                            Bytes in, Err *err);
Status parquet_values_skip(ParquetValues *v, uint64_t count, Err *err);
// CODES: the next `count` codes, rows of the dictionary's vector.
Status parquet_values_codes(ParquetValues *v, uint32_t *out, size_t count, Err *err);
// Fixed-size types: the next `count` values. parquet_values_view() gives them without copying when
// they lie in memory as they should, and NULL otherwise.
Status parquet_values_fixed(ParquetValues *v, void *out, size_t count, Err *err);
const void *parquet_values_view(ParquetValues *v, size_t count);

// STRING and BINARY: appends the next `count` values to `text`; offsets[0..count] count from the
// start of its bytes. The view gives both without copying, or returns false.
Status parquet_values_text(ParquetValues *v, uint32_t *offsets, ParquetText *text, size_t count,
                           Err *err);
bool parquet_values_text_view(ParquetValues *v, size_t count, const uint32_t **offsets,
                              const uint8_t **bytes);

// Physical values at `in` -> values of leaf->type at `out`.
Status parquet_convert(const ParquetLeaf *leaf, const uint8_t *in, size_t count, void *out,
                       Err *err);

// ---- columns

typedef struct ParquetLeafReader {
    ParquetPages pages;
    ParquetDictionary dictionary;
    ParquetValues values;
    RleDecoder rep, def;
    ParquetScratch rep_repacked, def_repacked;
    bool open;    // a data page is opened, and `left` of its rows (flat) or values (MAP) remain
    bool loaded;  // ... and it is decompressed
    bool started; // MAP: a page was opened, and its last row may go on in the next
    uint64_t left;
    uint64_t row, row_count; // of the row group: next row to read, and how many there are
    uint64_t page_end_row;   // chosen pages: where the open one ends
} ParquetLeafReader;

typedef struct ParquetColumn {
    const ParquetReader *reader;
    const ParquetField *field;
    ParquetLeafReader leaves[2]; // the second one for MAP values
    uint32_t leaf_count;
    bool is_repeat; // the field is also one of the columns before
    // What the last read left here; rows before vector_pos were handed out.
    Vector vector;
    uint32_t vector_pos;
    ParquetScratch validity, data, offsets, codes, dense, run_ends, run_codes, run_levels;
    Vector runs;
    ParquetText text;
    struct ParquetMapState *map;
} ParquetColumn;

void parquet_leaf_deinit(ParquetLeafReader *l);
// Begins a chunk; keeps memory.
void parquet_leaf_begin(ParquetLeafReader *l, ParquetChunkContext *ctx, const ParquetLeaf *leaf,
                        const ParquetColumnChunk *chunk);
// Opens the next data page that has values, reading a dictionary on the way; *found is false when
// there is none.
Status parquet_leaf_open(ParquetLeafReader *l, bool *found, Err *err);
Status parquet_leaf_load(ParquetLeafReader *l, Err *err);

// Flat columns: passes over rows up to `row` of the row group.
Status parquet_column_seek(ParquetColumn *c, uint64_t row, Err *err);
// Reads 1..want rows into c->vector.
Status parquet_column_read(ParquetColumn *c, uint32_t want, Err *err);

// The same for MAP columns; parquet_map_begin() at the start of each row group.
void parquet_map_begin(ParquetColumn *c);
Status parquet_map_seek(ParquetColumn *c, uint64_t row, Err *err);
Status parquet_map_read(ParquetColumn *c, uint32_t want, Err *err);
void parquet_map_free(ParquetColumn *c);

// Rows [from, from + count) of a vector.
typedef struct ParquetRows {
    size_t from, count;
} ParquetRows;

// out[i] = dense[number of valid rows before i], for the rows `rows`: dense values to their rows.
// `dense` has one element more than there are valid rows. width: 1, 2, 4, 8 or 16.
void parquet_spread(const uint64_t *validity, ParquetRows rows, size_t width, const void *dense,
                    void *out);

// ---- pruning

// Rows [from, to) of a row group.
typedef struct ParquetSpanRows {
    uint64_t from, to;
} ParquetSpanRows;

typedef struct ParquetRowList {
    ParquetSpanRows *spans; // ascending, not touching, not empty
    size_t count, cap;
} ParquetRowList;

void parquet_rows_clear(ParquetRowList *l);
void parquet_rows_add(ParquetRowList *l, uint64_t from, uint64_t to); // after all that is there
// *into = what is in both.
void parquet_rows_intersect(ParquetRowList *into, const ParquetRowList *other);

// ERR_INVALID when a test does not make sense for its field.
Status parquet_tests_check(const ParquetReader *r, const ParquetTest *tests, size_t count,
                           Err *err);
// Whether the test lets nulls pass, and the row group may have some.
bool parquet_test_wants_nulls(const ParquetReader *r, uint32_t group, const ParquetTest *test);
// False when no row of the row group can pass the test, by its statistics.
bool parquet_test_group(const ParquetReader *r, uint32_t group, const ParquetTest *test);
// The same by the bloom filter. Problems with the filter are no errors: it only saves work.
bool parquet_test_bloom(const ParquetReader *r, uint32_t group, const ParquetTest *test,
                        ParquetFetch *fetch);

// Indexes lie close together at the end of the file: one read gets all that a row group needs, and
// often those of the next ones.
typedef struct ParquetIndexes {
    ParquetFetch *fetch;
    uint64_t from, to; // what `window` holds of the file
    ParquetScratch window;
    ParquetScratch single;       // one that is not in the window
    uint64_t next_from, next_to; // of the indexes announced
} ParquetIndexes;

// Announces that the indexes of a leaf will be wanted, and, after all are announced, reads them.
void parquet_indexes_want(const ParquetReader *r, uint32_t group, uint32_t leaf, bool with_bounds,
                          ParquetIndexes *indexes);
void parquet_indexes_read(ParquetIndexes *indexes);
void parquet_indexes_deinit(ParquetIndexes *indexes);

// The page locations of a leaf, in `arena`; page_count 0 when there are none, or none that make
// sense.
void parquet_index_locations(const ParquetReader *r, uint32_t group, uint32_t leaf,
                             ParquetIndexes *indexes, Arena *arena, ParquetOffsetIndex *out);
// Adds the rows of pages that may pass the test to `out`; all of them when the index cannot tell.
void parquet_index_test(const ParquetReader *r, uint32_t group, const ParquetTest *test,
                        ParquetIndexes *indexes, ParquetRowList *out);

// How many rows of the opened or next page are left, to end batches where pages do; 0: not known.
Status parquet_column_page_rows(ParquetColumn *c, uint64_t *rows, Err *err);
