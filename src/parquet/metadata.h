// SPDX-License-Identifier: Apache-2.0
//
// The metadata of Parquet files as plain structs, with the names and numbers of parquet.thrift
// (apache/parquet-format 2.11). Decoding checks everything once and copies nothing but text it must
// keep: structs live in the arena, Str and Bytes point into the input. Encoding writes only what
// cardinal itself uses. Pure functions, any thread.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum {
    PARQUET_FOOTER_MAX_BYTES = 256 << 20,
    PARQUET_COLUMNS_MAX = 32767, // leaves
    PARQUET_ROW_GROUPS_MAX = 65536,
    PARQUET_PAGES_MAX = 1 << 20, // of one column chunk
    PARQUET_PAGE_MAX_BYTES = 256 << 20,
    PARQUET_THRIFT_DEPTH_MAX = 32,
    PARQUET_SCHEMA_DEPTH_MAX = 32,
};

typedef enum ParquetPhysical {
    PARQUET_BOOLEAN = 0,
    PARQUET_INT32 = 1,
    PARQUET_INT64 = 2,
    PARQUET_INT96 = 3,
    PARQUET_FLOAT = 4,
    PARQUET_DOUBLE = 5,
    PARQUET_BYTE_ARRAY = 6,
    PARQUET_FIXED_LEN_BYTE_ARRAY = 7,
} ParquetPhysical;

typedef enum ParquetRepetition {
    PARQUET_REQUIRED = 0,
    PARQUET_OPTIONAL = 1,
    PARQUET_REPEATED = 2,
} ParquetRepetition;

typedef enum ParquetEncoding {
    PARQUET_PLAIN = 0,
    PARQUET_PLAIN_DICTIONARY = 2,
    PARQUET_RLE = 3,
    PARQUET_BIT_PACKED = 4,
    PARQUET_DELTA_BINARY_PACKED = 5,
    PARQUET_DELTA_LENGTH_BYTE_ARRAY = 6,
    PARQUET_DELTA_BYTE_ARRAY = 7,
    PARQUET_RLE_DICTIONARY = 8,
    PARQUET_BYTE_STREAM_SPLIT = 9,
} ParquetEncoding;

typedef enum ParquetCodec {
    PARQUET_UNCOMPRESSED = 0,
    PARQUET_SNAPPY = 1,
    PARQUET_GZIP = 2,
    PARQUET_LZO = 3,
    PARQUET_BROTLI = 4,
    PARQUET_LZ4 = 5, // Hadoop framing, deprecated
    PARQUET_ZSTD = 6,
    PARQUET_LZ4_RAW = 7,
} ParquetCodec;

typedef enum ParquetPageType {
    PARQUET_DATA_PAGE = 0,
    PARQUET_INDEX_PAGE = 1,
    PARQUET_DICTIONARY_PAGE = 2,
    PARQUET_DATA_PAGE_V2 = 3,
} ParquetPageType;

// ConvertedType of the specification, -1 when absent.
typedef enum ParquetConverted {
    PARQUET_CONVERTED_NONE = -1,
    PARQUET_UTF8 = 0,
    PARQUET_MAP = 1,
    PARQUET_MAP_KEY_VALUE = 2,
    PARQUET_LIST = 3,
    PARQUET_ENUM = 4,
    PARQUET_DECIMAL = 5,
    PARQUET_DATE = 6,
    PARQUET_TIME_MILLIS = 7,
    PARQUET_TIME_MICROS = 8,
    PARQUET_TIMESTAMP_MILLIS = 9,
    PARQUET_TIMESTAMP_MICROS = 10,
    PARQUET_UINT_8 = 11,
    PARQUET_UINT_16 = 12,
    PARQUET_UINT_32 = 13,
    PARQUET_UINT_64 = 14,
    PARQUET_INT_8 = 15,
    PARQUET_INT_16 = 16,
    PARQUET_INT_32 = 17,
    PARQUET_INT_64 = 18,
    PARQUET_JSON = 19,
    PARQUET_BSON = 20,
    PARQUET_INTERVAL = 21,
} ParquetConverted;

// Field ids of the LogicalType union; 0 when absent.
typedef enum ParquetLogical {
    PARQUET_LOGICAL_NONE = 0,
    PARQUET_LOGICAL_STRING = 1,
    PARQUET_LOGICAL_MAP = 2,
    PARQUET_LOGICAL_LIST = 3,
    PARQUET_LOGICAL_ENUM = 4,
    PARQUET_LOGICAL_DECIMAL = 5,
    PARQUET_LOGICAL_DATE = 6,
    PARQUET_LOGICAL_TIME = 7,
    PARQUET_LOGICAL_TIMESTAMP = 8,
    PARQUET_LOGICAL_INTEGER = 10,
    PARQUET_LOGICAL_UNKNOWN = 11,
    PARQUET_LOGICAL_JSON = 12,
    PARQUET_LOGICAL_BSON = 13,
    PARQUET_LOGICAL_UUID = 14,
    PARQUET_LOGICAL_FLOAT16 = 15,
    PARQUET_LOGICAL_OTHER = 127, // VARIANT, GEOMETRY, GEOGRAPHY, or one not known yet
} ParquetLogical;

typedef enum ParquetTimeUnit {
    PARQUET_MILLIS = 1,
    PARQUET_MICROS = 2,
    PARQUET_NANOS = 3
} ParquetTimeUnit;

typedef struct ParquetSchemaElement {
    Str name;
    bool has_type; // false: a group
    ParquetPhysical type;
    int32_t type_length; // FIXED_LEN_BYTE_ARRAY
    ParquetRepetition repetition;
    int32_t child_count;
    ParquetConverted converted;
    ParquetLogical logical;
    ParquetTimeUnit time_unit; // TIME, TIMESTAMP
    bool is_utc;               // TIME, TIMESTAMP
    int8_t int_bits;           // INTEGER: 8, 16, 32, 64
    bool int_signed;           // INTEGER
    int32_t precision, scale;  // DECIMAL
} ParquetSchemaElement;

typedef struct ParquetStatistics {
    bool has_null_count, has_distinct_count, has_min, has_max; // min and max: the *_value fields
    int64_t null_count, distinct_count;
    Bytes min, max; // plain-encoded, without length
    bool min_exact, max_exact;
} ParquetStatistics;

typedef struct ParquetKeyValue {
    Str key, value;
} ParquetKeyValue;

typedef struct ParquetColumnChunk {
    ParquetPhysical type;
    const Str *path; // path_in_schema
    uint32_t path_count;
    uint32_t encodings; // bit i: ParquetEncoding i is used
    ParquetCodec codec;
    int64_t value_count;                          // nulls included
    int64_t uncompressed_bytes, compressed_bytes; // page headers included
    int64_t data_page_offset;
    int64_t dictionary_page_offset; // 0: none
    ParquetStatistics statistics;
    int64_t bloom_offset;                             // 0: none
    int32_t bloom_bytes;                              // 0: not said
    int64_t offset_index_offset, column_index_offset; // 0: none
    int32_t offset_index_bytes, column_index_bytes;
    bool external_file, encrypted; // refused by the reader
} ParquetColumnChunk;

typedef struct ParquetSortingColumn {
    int32_t column; // leaf index
    bool descending, nulls_first;
} ParquetSortingColumn;

typedef struct ParquetRowGroup {
    const ParquetColumnChunk *columns;
    uint32_t column_count;
    int64_t total_bytes;            // uncompressed
    int64_t total_compressed_bytes; // 0: not said
    int64_t row_count;
    int64_t file_offset;
    const ParquetSortingColumn *sorting;
    uint32_t sorting_count;
    int16_t ordinal;
} ParquetRowGroup;

typedef struct ParquetFileMeta {
    int32_t version;
    const ParquetSchemaElement *schema; // depth first, the root at 0
    uint32_t schema_count;
    int64_t row_count;
    const ParquetRowGroup *row_groups;
    uint32_t row_group_count;
    const ParquetKeyValue *key_values;
    uint32_t key_value_count;
    Str created_by;
    bool has_column_orders; // all TYPE_ORDER; without it min and max are not trusted
} ParquetFileMeta;

typedef struct ParquetPageHeader {
    ParquetPageType type;
    int32_t uncompressed_bytes, compressed_bytes;
    bool has_crc;
    uint32_t crc; // CRC-32 of the page as stored, without header
    int32_t value_count;
    ParquetEncoding encoding;
    // DATA_PAGE
    ParquetEncoding def_encoding, rep_encoding;
    // DATA_PAGE_V2
    int32_t null_count, row_count;
    int32_t def_bytes, rep_bytes;
    bool is_compressed;
    ParquetStatistics statistics;
} ParquetPageHeader;

typedef struct ParquetPageLocation {
    int64_t offset;
    int32_t compressed_bytes; // page header included
    int64_t first_row;        // within the row group
} ParquetPageLocation;

typedef struct ParquetOffsetIndex {
    const ParquetPageLocation *pages;
    uint32_t page_count;
} ParquetOffsetIndex;

typedef enum ParquetBoundaryOrder {
    PARQUET_UNORDERED = 0,
    PARQUET_ASCENDING = 1,
    PARQUET_DESCENDING = 2,
} ParquetBoundaryOrder;

typedef struct ParquetColumnIndex {
    uint32_t page_count;
    const bool *null_pages; // min and max of such a page mean nothing
    const Bytes *min, *max;
    ParquetBoundaryOrder order;
    const int64_t *null_counts; // NULL when absent
} ParquetColumnIndex;

typedef struct ParquetBloomHeader {
    int32_t byte_count;
    bool supported; // split block, xxhash, uncompressed
} ParquetBloomHeader;

// Decoders (metadata_decode.c). Each takes bytes from the front of *in and leaves *in behind what
// it read. ERR_CORRUPT with the struct and field at fault; ERR_TOO_LARGE past a limit above.
Status parquet_decode_file_meta(Bytes *in, Arena *arena, ParquetFileMeta *out, Err *err);
Status parquet_decode_page_header(Bytes *in, ParquetPageHeader *out, Err *err); // borrows, no arena
Status parquet_decode_offset_index(Bytes *in, Arena *arena, ParquetOffsetIndex *out, Err *err);
Status parquet_decode_column_index(Bytes *in, Arena *arena, ParquetColumnIndex *out, Err *err);
Status parquet_decode_bloom_header(Bytes *in, ParquetBloomHeader *out, Err *err);

// Encoders (metadata_encode.c): append the struct to `out`.
void parquet_encode_file_meta(const ParquetFileMeta *meta, Buf *out);
void parquet_encode_page_header(const ParquetPageHeader *header, Buf *out);
void parquet_encode_offset_index(const ParquetOffsetIndex *index, Buf *out);
void parquet_encode_column_index(const ParquetColumnIndex *index, Buf *out);
void parquet_encode_bloom_header(const ParquetBloomHeader *header, Buf *out);
