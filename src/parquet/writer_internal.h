// SPDX-License-Identifier: Apache-2.0
//
// The parts of the Parquet writer, in the order in which a column chunk passes through them:
//
//   writer_schema.c  the schema of the file, and its leaves
//   writer_slots.c   a Vector seen page by page: levels, and references to values
//   writer_values.c  plain bytes of values, their order, smallest and largest
//   writer_dict.c    the dictionary of a chunk
//   writer_pages.c   one page: body in a given coding, compression, header
//   writer_choice.c  which coding each page gets
//   writer_chunk.c   a column chunk: pages, statistics, indexes, bloom filter
//   writer.c         the file
//
// Everything here belongs to one ParquetWriter and its thread.
#pragma once

#include "codec/compress.h"
#include "codec/zshape.h"
#include "parquet/writer.h"

enum {
    WRITER_INDEX_VALUE_MAX = 64,        // bytes of a text in the column index; longer ones are cut
    WRITER_STATISTICS_VALUE_MAX = 1024, // the same in the footer
    WRITER_DICTIONARY_MAX_BYTES = 32 << 20,
    WRITER_DICTIONARY_SORT_MAX = 1 << 17, // texts; a larger dictionary stays in order of first use
    WRITER_PAGE_SLOTS_MAX = 1 << 26,      // levels of one page: entries of its maps
    WRITER_PAGES_MAX = PARQUET_ROW_GROUP_ROWS_MAX / PARQUET_PAGE_ROWS,
    // zstd level from which on the last tenth of size counts for more than reading quickly.
    WRITER_COLD_LEVEL_MIN = 4,
    WRITER_BUFFER_BYTES = 1 << 20, // the file is written in pieces of at least this size
};

// How values compare, and with their width how they are stored. Everything but WRITER_BYTES is held
// in a uint64_t, little-endian.
typedef enum WriterOrder {
    WRITER_BOOL,
    WRITER_I32,
    WRITER_I64,
    WRITER_U32,
    WRITER_U64,
    WRITER_F32,
    WRITER_F64,
    WRITER_BYTES, // STRING, BINARY, UUID: unsigned bytes, a prefix first
} WriterOrder;

typedef enum WriterPart { WRITER_WHOLE, WRITER_MAP_KEY, WRITER_MAP_VALUE } WriterPart;

// A leaf of the schema: what becomes one column chunk per row group.
typedef struct WriterLeaf {
    const Field *field;
    uint32_t field_index;
    WriterPart part;
    ColumnType type; // STRING for the parts of a map
    ParquetPhysical physical;
    WriterOrder order;
    uint32_t width; // bytes of a value as the writer holds it: 1 (BOOL), 4, 8, 16, or 0: variable
    uint32_t max_def, max_rep;
    const Str *path;
    uint32_t path_count;
    ParquetColumnOptions options;
} WriterLeaf;

// ---- writer_schema.c

typedef struct WriterSchema {
    const ParquetSchemaElement *elements;
    uint32_t element_count;
    const WriterLeaf *leaves;
    uint32_t leaf_count;
    uint32_t *first_leaf; // of each field, and one more
} WriterSchema;

// `schema` and what it points to live as long as `arena`; options may be NULL.
void writer_schema_build(const Schema *schema, const ParquetColumnOptions *options, Arena *arena,
                         WriterSchema *out);

// ---- writer_slots.c

typedef struct WriterU32s { // a growable array
    uint32_t *ptr;
    size_t len, cap;
} WriterU32s;

typedef struct WriterRuns { // value[i] comes count[i] times
    WriterU32s values, counts;
} WriterRuns;

// The slots of one page: a slot is a row, or an entry of a map, or an empty or absent map. Levels
// say which slots have a value; refs say which, as indices into the view's pool, in order.
typedef enum WriterForm {
    WRITER_RANGE, // pool[first .. first + value_count)
    WRITER_REFS,  // pool[refs[i]], i < value_count
    WRITER_RUNS,  // pool[refs[i]], counts[i] times, i < ref_count
} WriterForm;

typedef enum WriterLevels {
    WRITER_LEVELS_RUNS,  // def_runs
    WRITER_LEVELS_BITS,  // 1 where the bit is set
    WRITER_LEVELS_ARRAY, // def[], rep[]
} WriterLevels;

typedef struct WriterSlots {
    uint32_t slot_count, value_count;
    uint32_t null_rows;
    WriterForm form;
    uint32_t first;
    const uint32_t *refs, *counts;
    uint32_t ref_count; // RANGE: 0
    WriterLevels levels;
    const WriterRuns *def_runs;
    const uint64_t *def_bits;
    uint32_t def_bits_from;
    const uint32_t *def, *rep;
} WriterSlots;

// A vector of a row group as the source of one leaf.
typedef struct WriterView {
    const WriterLeaf *leaf;
    uint32_t row_count;
    const Vector *items;      // FLAT or DICT: the rows, or what the runs are made of
    const uint32_t *run_ends; // NULL: item i is row i
    uint32_t run_count;
    const Vector *entries; // MAP: the keys or values of the pool of maps, FLAT or DICT
    const Vector *pool;    // FLAT: what refs point into
    bool pool_distinct;    // no value is there twice
    const void *fixed;     // values of the pool, leaf->width bytes each; NULL for variable ones
    // Filled by writer_view_slots():
    WriterU32s refs, counts, def, rep;
    WriterRuns def_runs;
} WriterView;

// `scratch` gets what has to be converted, and lives as long as the view.
void writer_view_init(WriterView *view, const WriterLeaf *leaf, const Vector *v, Arena *scratch);
void writer_view_deinit(WriterView *view);
// Rows [from, from + count); *out is valid until the next call.
//
// ERR_INVALID    a null in a column that is not nullable
// ERR_TOO_LARGE  more than WRITER_PAGE_SLOTS_MAX entries
Status writer_view_slots(WriterView *view, uint32_t from, uint32_t count, WriterSlots *out,
                         Err *err);
void writer_u32s_put(WriterU32s *v, uint32_t value);
uint32_t *writer_u32s_room(WriterU32s *v, size_t n); // `n` more elements, counted in
void writer_u32s_free(WriterU32s *v);

// ---- writer_values.c

// The values of a page one after the other: fixed width, or texts as offsets into bytes. Memory is
// reused from page to page.
typedef struct WriterValues {
    const void *fixed; // in the pool, or in `buf`
    uint32_t count;
    Buf buf;
    WriterU32s offsets; // count + 1
    Buf bytes;
} WriterValues;

void writer_values_deinit(WriterValues *values);
// All of them, repetitions included.
void writer_values_gather(WriterValues *values, const WriterView *view, const WriterSlots *slots);
void writer_values_gather_text(WriterValues *values, const WriterView *view,
                               const WriterSlots *slots);
Bytes writer_view_bytes(const WriterView *view, uint32_t ref); // STRING, BINARY, UUID
void writer_put_plain(const WriterView *view, const uint32_t *refs, size_t count, Buf *out);

// A value of any leaf: `bits` (low leaf->width bytes), or `bytes` for WRITER_BYTES.
typedef struct WriterValue {
    uint64_t bits;
    Bytes bytes;
} WriterValue;

typedef struct WriterRange {
    bool has; // there is a value, and `min` and `max` say something
    bool nan; // a NaN was among them
    WriterValue min, max;
} WriterRange;

int writer_value_compare(WriterOrder order, const WriterValue *a, const WriterValue *b);
// The value in plain encoding; `into` holds fixed ones.
Bytes writer_value_plain(const WriterLeaf *leaf, const WriterValue *v, uint8_t into[static 8]);
// Widens `range` by `other`.
void writer_range_add(const WriterLeaf *leaf, WriterRange *range, const WriterRange *other);

// Cuts a text to at most `max_len` bytes, so that it is still a bound: a lower one, or (upper) a
// higher one, which is longer when that cannot be. Returns false when it did not have to be cut.
bool writer_bound_cut(Bytes text, bool is_utf8, bool upper, size_t max_len, Arena *arena,
                      Bytes *out);

// ---- writer_dict.c

typedef struct WriterDict {
    bool built;
    bool sorted;
    uint32_t count;
    uint64_t value_count; // values that were looked at, repetitions included
    uint32_t *entries;    // entries[code] is a ref
    uint32_t *code_of;    // code_of[ref], for the refs that are used; the tools' memory
    uint64_t plain_bytes; // size of the dictionary page before compression
} WriterDict;

// The smallest and largest value of a page.
void writer_page_range(const WriterView *view, const WriterDict *dict, const WriterSlots *slots,
                       WriterValues *values, WriterRange *out);

// ---- writer_pages.c

typedef enum WriterCoding {
    WRITER_PLAIN,
    WRITER_RLE,          // booleans
    WRITER_DELTA,        // DELTA_BINARY_PACKED
    WRITER_DELTA_LENGTH, // DELTA_LENGTH_BYTE_ARRAY
    WRITER_DELTA_TEXT,   // DELTA_BYTE_ARRAY
    WRITER_SPLIT,        // BYTE_STREAM_SPLIT, one zstd block per stream
    WRITER_DICT,         // RLE_DICTIONARY, runs and codes of the smallest width
    WRITER_DICT_ALIGNED, // RLE_DICTIONARY, codes of whole bytes
    WRITER_DICT_SINGLES, // RLE_DICTIONARY, every code a run of its own, see put_code_singles()
} WriterCoding;

ParquetEncoding writer_coding_encoding(WriterCoding coding);

static inline bool writer_coding_is_dict(WriterCoding coding)
{
    return coding == WRITER_DICT || coding == WRITER_DICT_ALIGNED || coding == WRITER_DICT_SINGLES;
}

// What the compressor should know of a page body.
typedef struct WriterBody {
    size_t from, len; // in the Buf
    size_t prefix;    // bytes of levels in front of the values
    WriterCoding coding;
    uint32_t plane_bytes; // SPLIT: length of one stream
    uint32_t slot_count;
    bool reads_count; // how long it takes to read counts beside the size: writer_undo_bytes()
} WriterBody;

// Contexts and memory that are reused from chunk to chunk.
typedef struct WriterTools {
    Compress *compress;
    Zshape *zshape;
    int level;
    double bloom_fpp;
    WriterValues values;
    WriterU32s codes, code_of, entries;
    Buf raw;    // bodies
    Buf packed; // pages
    Buf dictionary;
    Buf sample;
} WriterTools;

// Numbers of pages of a chunk.
typedef struct WriterPages {
    uint32_t *pages;
    uint32_t count;
    uint32_t distinct_percent_max; // give up when more of their values are distinct; 0: never
} WriterPages;

// Collects the distinct values of some pages. dict->built is false when there are none, or more
// than distinct_percent_max says, or more bytes than a dictionary page may have. The dictionary is
// valid until the next one is built.
Status writer_dict_build(WriterTools *tools, WriterView *view, WriterPages pages, Arena *scratch,
                         WriterDict *dict, Err *err);

// Appends the body of a page to `out`.
Status writer_page_body(WriterTools *tools, WriterView *view, const WriterDict *dict,
                        const WriterSlots *slots, WriterCoding coding, Buf *out, WriterBody *body,
                        Err *err);
// What it takes to undo zstd, in bytes: how many more could be stored for the same cost, when a
// stored byte is worth 4 ns. 0 when the body's reading does not count, or zstd left it as it was.
size_t writer_undo_bytes(const WriterBody *body, size_t stored_bytes);
// Appends the compressed body to `out`, or the body as it is, as a frame, when undoing the
// compression would cost more than it saves.
Status writer_body_compress(WriterTools *tools, const Buf *bodies, const WriterBody *body, Buf *out,
                            Err *err);
// Appends header and stored bytes of a page to `out`.
Status writer_page_put(const ParquetPageHeader *header, Bytes stored, Buf *out, Err *err);

// ---- writer_chunk.c and writer_choice.c

typedef struct WriterPageInfo {
    WriterCoding coding;
    WriterBody body;
    WriterRange range;
    int64_t null_count; // slots without a value
    uint32_t null_rows;
} WriterPageInfo;

// A column chunk being encoded.
typedef struct WriterEncoder {
    WriterTools *tools;
    WriterView view;
    Arena *arena;   // of the file
    Arena *scratch; // of this chunk
    WriterPageInfo *pages;
    uint32_t page_count;
    WriterDict dict;
    bool dict_covers_all; // the dictionary has the values of all pages
    Bytes dictionary;     // its page, compressed; empty: not made yet
} WriterEncoder;

uint32_t writer_encoder_rows(const WriterEncoder *e, uint32_t page);
Status writer_encoder_slots(WriterEncoder *e, uint32_t page, WriterSlots *out, Err *err);
Status writer_encoder_dictionary(WriterEncoder *e, Err *err); // fills e->dictionary
// Sets the coding of every page, and builds the dictionary if there is to be one.
Status writer_encoder_choose(WriterEncoder *e, Err *err);

// One column chunk, complete but for its place in the file: offsets count from its first byte.
typedef struct WriterChunk {
    ParquetColumnChunk meta; // paths and statistics live in the arena given
    ParquetOffsetIndex offset_index;
    ParquetColumnIndex column_index; // page_count 0: none
    Bytes bloom;                     // empty: none
    Bytes pages;                     // borrowed from the tools until the next chunk
    WriterRange range;               // of the batch; texts point into its vectors
    int64_t null_rows;
} WriterChunk;

Status writer_chunk_encode(WriterTools *tools, const WriterLeaf *leaf, const Vector *v,
                           Arena *arena, Arena *scratch, WriterChunk *out, Err *err);
