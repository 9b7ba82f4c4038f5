// SPDX-License-Identifier: Apache-2.0
#include "parquet/thrift.h"

#include "codec/varint.h"
#include "parquet/metadata.h"

void thrift_fail(Thrift *t, Status status, const char *field, const char *what)
{
    if (!t->failed) {
        t->failed = true;
        t->r.failed = true;
        (void)err_set(t->err, status, "parquet metadata: %s.%s %s", t->owner, field, what);
    }
}

bool thrift_ok(Thrift *t, const char *field)
{
    if (!reader_ok(&t->r)) {
        thrift_fail(t, ERR_CORRUPT, field, "is cut short or malformed");
    }
    return !t->failed;
}

uint8_t thrift_u8(Thrift *t)
{
    const Bytes b = reader_bytes(&t->r, 1);
    return b.len == 0 ? 0 : b.ptr[0];
}

Status thrift_finish(Thrift *t, Bytes *in)
{
    if (t->failed) {
        return t->err->status;
    }
    ASSERT(reader_ok(&t->r));
    *in = (Bytes){.ptr = t->r.pos, .len = reader_left(&t->r)};
    return OK;
}

static bool is_type(ThriftType type)
{
    return type >= THRIFT_TRUE && type <= THRIFT_UUID;
}

ThriftField thrift_struct_begin(Thrift *t, const char *name)
{
    const ThriftField f = {.outer = t->owner};
    t->owner = name;
    if (++t->depth > PARQUET_THRIFT_DEPTH_MAX) {
        thrift_fail(t, ERR_TOO_LARGE, "*", "is nested too deeply");
    }
    return f;
}

bool thrift_struct_next(Thrift *t, ThriftField *f)
{
    if (t->failed) {
        return false;
    }
    const uint8_t head = thrift_u8(t);
    if (!thrift_ok(t, "*") || head == THRIFT_STOP) {
        return false;
    }
    const int64_t id = (head >> 4) != 0 ? f->id + (head >> 4) : varint_get_i64(&t->r);
    f->type = (ThriftType)(head & 0x0f);
    if (!thrift_ok(t, "*")) {
        return false;
    }
    if (id < INT16_MIN || id > INT16_MAX || !is_type(f->type)) {
        thrift_fail(t, ERR_CORRUPT, "*", "has a malformed field header");
        return false;
    }
    f->id = (int16_t)id;
    if (id >= 0 && id < 32) {
        f->seen |= UINT32_C(1) << id;
    }
    return true;
}

void thrift_struct_end(Thrift *t, const ThriftField *f, uint32_t required)
{
    if ((f->seen & required) != required) {
        thrift_fail(t, ERR_CORRUPT, "*", "lacks a required field");
    }
    t->owner = f->outer;
    t->depth--;
}

// The head of a list: its count, checked against the bytes left; *type is that of its elements.
static uint32_t list_begin(Thrift *t, const char *field, size_t element_bytes_min, ThriftType *type)
{
    const uint8_t head = thrift_u8(t);
    uint32_t count = head >> 4;
    if (count == 15) {
        count = varint_get_u32(&t->r);
    }
    *type = (ThriftType)(head & 0x0f);
    if (!thrift_ok(t, field)) {
        return 0;
    }
    if (count > 0 && !is_type(*type)) {
        thrift_fail(t, ERR_CORRUPT, field, "is a list of an unknown type");
        return 0;
    }
    if (count > reader_left(&t->r) / element_bytes_min) {
        thrift_fail(t, ERR_CORRUPT, field, "has more elements than bytes");
        return 0;
    }
    return count;
}

static void skip(Thrift *t, ThriftType type, bool in_list);

static void skip_map(Thrift *t)
{
    const uint32_t count = varint_get_u32(&t->r);
    const uint8_t types = count == 0 ? 0 : thrift_u8(t);
    const ThriftType key = (ThriftType)(types >> 4), value = (ThriftType)(types & 0x0f);
    // Values of an unknown type would take no bytes, and the loop no end.
    if (count > 0 && (!is_type(key) || !is_type(value))) {
        thrift_fail(t, ERR_CORRUPT, "*", "has a map of an unknown type");
    }
    for (uint32_t i = 0; i < count && thrift_ok(t, "*"); i++) {
        skip(t, key, true);
        skip(t, value, true);
    }
}

void thrift_skip_struct(Thrift *t)
{
    ThriftField f = thrift_struct_begin(t, t->owner);
    while (thrift_struct_next(t, &f)) {
        skip(t, f.type, false);
    }
    thrift_struct_end(t, &f, 0);
}

static void skip_list(Thrift *t)
{
    ThriftType type = THRIFT_STOP;
    const uint32_t count = list_begin(t, "*", 1, &type);
    if (++t->depth > PARQUET_THRIFT_DEPTH_MAX) {
        thrift_fail(t, ERR_TOO_LARGE, "*", "is nested too deeply");
    }
    for (uint32_t i = 0; i < count && thrift_ok(t, "*"); i++) {
        skip(t, type, true);
    }
    t->depth--;
}

// Passes over a value nobody here needs. A bool is part of its field's header, but one byte in a
// list. Recursion ends at PARQUET_THRIFT_DEPTH_MAX.
static void skip(Thrift *t, ThriftType type, bool in_list)
{
    if (t->failed) {
        return;
    }
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
        (void)reader_bytes(&t->r, in_list ? 1 : 0);
        break;
    case THRIFT_I8:
        (void)reader_bytes(&t->r, 1);
        break;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64:
        (void)varint_get_u64(&t->r);
        break;
    case THRIFT_DOUBLE:
        (void)reader_bytes(&t->r, 8);
        break;
    case THRIFT_UUID:
        (void)reader_bytes(&t->r, 16);
        break;
    case THRIFT_BINARY:
        (void)reader_bytes(&t->r, varint_get_u32(&t->r));
        break;
    case THRIFT_LIST:
    case THRIFT_SET:
        skip_list(t);
        break;
    case THRIFT_MAP:
        skip_map(t);
        break;
    case THRIFT_STRUCT:
        thrift_skip_struct(t);
        break;
    case THRIFT_STOP:
        thrift_fail(t, ERR_CORRUPT, "*", "has a value without type");
        break;
    }
    (void)thrift_ok(t, "*");
}

// As generated code does: a field of another type than the one we know is not the one we know.
static void pass_over(Thrift *t, ThriftField *f)
{
    skip(t, f->type, false);
    if (f->id >= 0 && f->id < 32) {
        f->seen &= ~(UINT32_C(1) << f->id);
    }
}

bool thrift_has_type(Thrift *t, ThriftField *f, ThriftType want)
{
    if (f->type != want) {
        pass_over(t, f);
        return false;
    }
    return !t->failed;
}

bool thrift_bool(Thrift *t, ThriftField *f)
{
    if (f->type != THRIFT_TRUE && f->type != THRIFT_FALSE) {
        pass_over(t, f);
        return false;
    }
    return f->type == THRIFT_TRUE;
}

int64_t thrift_i64(Thrift *t, ThriftField *f, const char *field)
{
    const int64_t v = thrift_has_type(t, f, THRIFT_I64) ? varint_get_i64(&t->r) : 0;
    return thrift_ok(t, field) ? v : 0;
}

// An i64 that is a count, a size or an offset.
int64_t thrift_count(Thrift *t, ThriftField *f, const char *field)
{
    const int64_t v = thrift_i64(t, f, field);
    if (v < 0) {
        thrift_fail(t, ERR_CORRUPT, field, "is negative");
        return 0;
    }
    return v;
}

int32_t thrift_i32(Thrift *t, ThriftField *f, const char *field)
{
    const int64_t v = thrift_has_type(t, f, THRIFT_I32) ? varint_get_i64(&t->r) : 0;
    if (v < INT32_MIN || v > INT32_MAX) {
        thrift_fail(t, ERR_CORRUPT, field, "is out of range");
    }
    return thrift_ok(t, field) ? (int32_t)v : 0;
}

// An i32 in 0..max: counts, sizes, enums.
int32_t thrift_i32_in(Thrift *t, ThriftField *f, int32_t max, const char *field)
{
    const int32_t v = thrift_i32(t, f, field);
    if (v < 0 || v > max) {
        thrift_fail(t, ERR_CORRUPT, field, v < 0 ? "is negative" : "is out of range");
        return 0;
    }
    return v;
}

Bytes thrift_bytes(Thrift *t, ThriftField *f, const char *field)
{
    Bytes b = {0};
    if (thrift_has_type(t, f, THRIFT_BINARY)) {
        b = reader_bytes(&t->r, varint_get_u32(&t->r));
    }
    return thrift_ok(t, field) ? b : (Bytes){0};
}

Str thrift_str(Thrift *t, ThriftField *f, const char *field)
{
    const Bytes b = thrift_bytes(t, f, field);
    return (Str){.ptr = (const char *)b.ptr, .len = b.len};
}

// The count of a list field of `want` elements.
uint32_t thrift_list(Thrift *t, ThriftField *f, ThriftType want, size_t element_bytes_min,
                     const char *field)
{
    ThriftType type = THRIFT_STOP;
    if (!thrift_has_type(t, f, THRIFT_LIST)) {
        return 0;
    }
    const uint32_t count = list_begin(t, field, element_bytes_min, &type);
    const bool is_bool = want == THRIFT_TRUE && type == THRIFT_FALSE;
    if (count > 0 && type != want && !is_bool) {
        thrift_fail(t, ERR_CORRUPT, field, "is a list of the wrong type");
        return 0;
    }
    return t->failed ? 0 : count;
}

Bytes thrift_list_bytes(Thrift *t, const char *field)
{
    const Bytes b = reader_bytes(&t->r, varint_get_u32(&t->r));
    return thrift_ok(t, field) ? b : (Bytes){0};
}

void thrift_skip_field(Thrift *t, const ThriftField *f)
{
    skip(t, f->type, false);
}
