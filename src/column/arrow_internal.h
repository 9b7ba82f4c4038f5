// SPDX-License-Identifier: Apache-2.0
//
// Shared by the arrow_*.c files only: FlatBuffers (flatbuffers.dev/internals) as far as Arrow's
// metadata needs them, and the numbers of Message.fbs and Schema.fbs.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "column/arrow.h"

enum { ARROW_CONTINUATION = -1, ARROW_VERSION_V4 = 3, ARROW_VERSION_V5 = 4, ARROW_ALIGN = 8 };

// Number of a member in its table.
enum { MESSAGE_VERSION, MESSAGE_HEADER_TYPE, MESSAGE_HEADER, MESSAGE_BODY_LENGTH };
enum { SCHEMA_ENDIANNESS, SCHEMA_FIELDS };
enum { FIELD_NAME, FIELD_NULLABLE, FIELD_TYPE_TYPE, FIELD_TYPE, FIELD_DICTIONARY, FIELD_CHILDREN };
enum { ENCODING_ID, ENCODING_INDEX_TYPE };
enum { INT_BITS, INT_SIGNED };
enum { TIMESTAMP_UNIT, TIMESTAMP_ZONE };
enum { RECORDS_LENGTH, RECORDS_NODES, RECORDS_BUFFERS, RECORDS_COMPRESSION };
enum { DICTIONARY_ID, DICTIONARY_DATA, DICTIONARY_IS_DELTA };
enum { TYPE_FIRST_MEMBER }; // of the tables that have one: precision, unit, byteWidth, keysSorted

// Which table a union holds.
enum { HEADER_SCHEMA = 1, HEADER_DICTIONARY = 2, HEADER_RECORDS = 3 };
enum {
    TYPE_INT = 2,
    TYPE_FLOAT = 3,
    TYPE_BINARY = 4,
    TYPE_UTF8 = 5,
    TYPE_BOOL = 6,
    TYPE_DATE = 8,
    TYPE_TIMESTAMP = 10,
    TYPE_STRUCT = 13,
    TYPE_FIXED_BINARY = 15,
    TYPE_MAP = 17,
    TYPE_LARGE_BINARY = 19,
    TYPE_LARGE_UTF8 = 20,
};
enum { PRECISION_SINGLE = 1, PRECISION_DOUBLE = 2 };
enum { DATE_UNIT_DAY = 0, DATE_UNIT_MS = 1 };
enum { TIME_UNIT_S = 0, TIME_UNIT_MS = 1, TIME_UNIT_US = 2, TIME_UNIT_NS = 3 };

// struct FieldNode and struct Buffer are both two int64.
typedef struct ArrowPair {
    int64_t first;  // FieldNode: length;     Buffer: offset
    int64_t second; // FieldNode: null_count; Buffer: length
} ArrowPair;

// ---- building: from the end of the buffer to its front, so that what is pointed to exists first.
// A reference is the distance of an object from the end.

enum { ARROW_FB_SLOTS_MAX = 8 };

typedef struct ArrowFb {
    uint8_t *ptr; // owned; [cap - len, cap) is used
    size_t cap;
    size_t len;
    size_t align;
    uint32_t slots[ARROW_FB_SLOTS_MAX]; // of the table being built; 0 is absent
    size_t table_start;
} ArrowFb;

void arrow_fb_deinit(ArrowFb *fb);
void arrow_fb_clear(ArrowFb *fb);
uint32_t arrow_fb_str(ArrowFb *fb, Str s);
uint32_t arrow_fb_refs(ArrowFb *fb, const uint32_t *refs, size_t count);
uint32_t arrow_fb_pairs(ArrowFb *fb, const ArrowPair *pairs, size_t count);
void arrow_fb_table_begin(ArrowFb *fb); // one at a time; no strings or vectors until its end
void arrow_fb_put_int(ArrowFb *fb, unsigned slot, int64_t v, size_t size_bytes);
void arrow_fb_put_ref(ArrowFb *fb, unsigned slot, uint32_t ref);
uint32_t arrow_fb_table_end(ArrowFb *fb);
Bytes arrow_fb_finish(ArrowFb *fb, uint32_t root); // valid until the next clear

// ---- viewing: nothing is trusted. A step outside sets `failed` and yields zero, like a Reader.

typedef struct ArrowView {
    Bytes b;
    bool failed; // sticky
} ArrowView;

typedef struct ArrowTable {
    size_t pos; // 0 is no table: the root's offset is there
    size_t vtable;
    uint16_t vtable_size;
    uint16_t size;
} ArrowTable;

typedef struct ArrowVec {
    size_t pos; // of the first element
    uint32_t count;
} ArrowVec;

ArrowTable arrow_view_root(ArrowView *v);
bool arrow_view_has(ArrowView *v, const ArrowTable *t, unsigned slot);
// A signed integer of 1, 2, 4 or 8 bytes.
int64_t arrow_view_int(ArrowView *v, const ArrowTable *t, unsigned slot, size_t size_bytes,
                       int64_t if_absent);
ArrowTable arrow_view_table(ArrowView *v, const ArrowTable *t, unsigned slot);
Str arrow_view_str(ArrowView *v, const ArrowTable *t, unsigned slot);
ArrowVec arrow_view_vec(ArrowView *v, const ArrowTable *t, unsigned slot, size_t element_bytes);
ArrowTable arrow_view_vec_table(ArrowView *v, ArrowVec vec, uint32_t i);
ArrowPair arrow_view_vec_pair(const ArrowView *v, ArrowVec vec, uint32_t i); // i < vec.count

// ---- decoding columns

typedef enum ArrowLayout {
    ARROW_BITS,       // BOOL
    ARROW_FIXED,      // `width` bytes, ours as they are
    ARROW_SCALED,     // TIMESTAMP, DATE: int64 * multiply / divide
    ARROW_STRINGS,    // int32 offsets
    ARROW_LARGE,      // int64 offsets
    ARROW_FIXED_TEXT, // BINARY of `width` bytes each
    ARROW_MAP,
} ArrowLayout;

typedef struct ArrowColumn {
    ColumnType type;
    ArrowLayout layout;
    uint32_t width;
    int64_t multiply, divide;             // ARROW_SCALED
    ArrowLayout key_layout, value_layout; // ARROW_MAP
    bool coded;
    bool code_signed;
    uint8_t code_bytes;
    int64_t dictionary_id;
} ArrowColumn;

// The nodes and buffers of a record batch, taken in order.
typedef struct ArrowRecords {
    ArrowView *view;
    ArrowVec nodes, buffers;
    uint32_t node, buffer; // next
    Bytes body;
    Arena *arena;
} ArrowRecords;

Status arrow_records_open(ArrowView *view, const ArrowTable *table, Bytes body, Arena *arena,
                          ArrowRecords *out, Err *err);
// The values of `column`, FLAT, whatever column->coded says; `rows` is how many there must be.
Status arrow_records_values(ArrowRecords *r, const ArrowColumn *column, uint32_t rows, Vector *out,
                            Err *err);
// The codes of a coded column as uint32_t, and which rows are not null. Codes of null rows are 0,
// the others below `limit`.
Status arrow_records_codes(ArrowRecords *r, const ArrowColumn *column, uint32_t rows,
                           uint32_t limit, Vector *out, Err *err);
