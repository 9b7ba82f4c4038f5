// SPDX-License-Identifier: Apache-2.0
//
// Thrift: a cursor over Thrift's compact protocol (apache/thrift, doc/specs/
// thrift-compact-protocol.md), as far as Parquet uses it. For the decoders of this module only.
//
// The cursor fails once and stays failed: the first fault is kept in *err, later reads return zero
// and loops over fields end at once. Every element of a list takes at least one byte, so a count is
// checked against the bytes left before anything is allocated; where the specification requires
// fields, against the bytes those take at least. One owner, one thread.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/reader.h"

typedef enum ThriftType {
    THRIFT_STOP = 0,
    THRIFT_TRUE = 1, // as field: the value itself; as list element: bool
    THRIFT_FALSE = 2,
    THRIFT_I8 = 3,
    THRIFT_I16 = 4,
    THRIFT_I32 = 5,
    THRIFT_I64 = 6,
    THRIFT_DOUBLE = 7,
    THRIFT_BINARY = 8,
    THRIFT_LIST = 9,
    THRIFT_SET = 10,
    THRIFT_MAP = 11,
    THRIFT_STRUCT = 12,
    THRIFT_UUID = 13,
} ThriftType;

typedef struct Thrift {
    Reader r;
    Arena *arena;
    Err *err;
    bool failed; // *err is set
    unsigned depth;
    const char *owner; // the struct being read, for messages
} Thrift;

typedef struct ThriftField {
    int16_t id;
    ThriftType type;
    const char *outer; // the struct around this one
    uint32_t seen;     // bit i: field id i (below 32) was there
} ThriftField;

static inline Thrift thrift_of(Bytes in, Arena *arena, Err *err)
{
    return (Thrift){.r = reader_of(in), .arena = arena, .err = err, .owner = "Parquet"};
}

// Records the first failure: "parquet metadata: Owner.field what". Text is constant.
void thrift_fail(Thrift *t, Status status, const char *field, const char *what);
// True as long as nothing failed; turns a read past the end into a failure of `field`.
bool thrift_ok(Thrift *t, const char *field);
// Sets *in to what follows the part that was read; returns the failure if there was one.
Status thrift_finish(Thrift *t, Bytes *in);

// Enters a struct; every call is paired with thrift_struct_end().
ThriftField thrift_struct_begin(Thrift *t, const char *name);
// The next field of the struct; false at its end and after a failure.
bool thrift_struct_next(Thrift *t, ThriftField *f);
// Leaves a struct whose fields with a bit in `required` have to be there.
void thrift_struct_end(Thrift *t, const ThriftField *f, uint32_t required);
// Passes over the value of a field nobody here needs.
void thrift_skip_field(Thrift *t, const ThriftField *f);
// The same for a field that has to be a struct, and whose head has been read.
void thrift_skip_struct(Thrift *t);

// Values of the field `f`. One of another type than asked for is passed over, as generated code
// does: its bit in f->seen is cleared, and the value is 0, false or empty.
bool thrift_has_type(Thrift *t, ThriftField *f, ThriftType want);
bool thrift_bool(Thrift *t, ThriftField *f);
int64_t thrift_i64(Thrift *t, ThriftField *f, const char *field);
int64_t thrift_count(Thrift *t, ThriftField *f, const char *field); // i64 >= 0
int32_t thrift_i32(Thrift *t, ThriftField *f, const char *field);
int32_t thrift_i32_in(Thrift *t, ThriftField *f, int32_t max, const char *field); // 0..max
Bytes thrift_bytes(Thrift *t, ThriftField *f, const char *field); // borrowed from the input
Str thrift_str(Thrift *t, ThriftField *f, const char *field);

// The count of a list field of `want` elements (bools: THRIFT_TRUE), each of at least
// element_bytes_min bytes. The elements follow; 0 after a failure.
uint32_t thrift_list(Thrift *t, ThriftField *f, ThriftType want, size_t element_bytes_min,
                     const char *field);
// Elements of a list.
Bytes thrift_list_bytes(Thrift *t, const char *field);
uint8_t thrift_u8(Thrift *t);
