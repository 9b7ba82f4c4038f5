// SPDX-License-Identifier: Apache-2.0
//
// The Histogram message (prompb/types.proto and io/prometheus/write/v2/types.proto, which agree)
// is read twice: once to count what is in it, once to fill arrays of the right size.
#include "series/histogram.h"

#include "codec/dtoa.h"
#include "codec/varint.h"

#include <math.h>
#include <stdio.h>

enum { // fields of the message
    FIELD_COUNT_INT = 1,
    FIELD_COUNT_FLOAT = 2,
    FIELD_SUM = 3,
    FIELD_SCHEMA = 4,
    FIELD_ZERO_THRESHOLD = 5,
    FIELD_ZERO_COUNT_INT = 6,
    FIELD_ZERO_COUNT_FLOAT = 7,
    FIELD_NEGATIVE_SPANS = 8, // then deltas and counts
    FIELD_POSITIVE_SPANS = 11,
    FIELD_RESET_HINT = 14,
    FIELD_TIMESTAMP = 15,
    FIELD_CUSTOM_VALUES = 16,
    FIELD_START_TIMESTAMP = 17,
};

enum { PART_SPANS, PART_DELTAS, PART_COUNTS }; // offsets from FIELD_*_SPANS

typedef enum WireType {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_FIXED32 = 5
} WireType;

typedef struct RawSide {
    HistogramSpan *spans;
    uint32_t span_count;
    int64_t *deltas; // of an integer histogram, unless they are summed up
    uint32_t delta_count;
    double *counts; // of a float histogram, or sums of deltas
    uint32_t value_count;
    double running; // while deltas are summed up
} RawSide;

typedef struct Raw {
    bool is_float;
    bool zero_is_float;
    uint64_t count_int, zero_int;
    double count_float, zero_float;
    double sum, zero_threshold;
    int32_t schema;
    uint32_t hint;
    HistogramTimes times;
    RawSide negative, positive;
    double *bounds;
    uint32_t bound_count;

    bool filling;  // second reading
    bool absolute; // deltas become counts
} Raw;

typedef struct Field {
    uint32_t number;
    WireType type;
    uint64_t scalar; // WIRE_VARINT and WIRE_FIXED64
    Bytes bytes;     // WIRE_BYTES
} Field;

static double f64_of_bits(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static uint64_t bits_of_f64(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static Status malformed(Err *err)
{
    return err_set(err, ERR_INVALID, "histogram is not a well-formed message");
}

static bool read_field(Reader *r, Field *out)
{
    const uint64_t key = varint_get_u64(r);
    *out = (Field){.number = (uint32_t)(key >> 3), .type = (WireType)(key & 7)};
    if (key >> 3 == 0 || key >> 3 > (1U << 29) - 1) {
        return false;
    }
    switch (key & 7) {
    case WIRE_VARINT:
        out->scalar = varint_get_u64(r);
        break;
    case WIRE_FIXED64:
        out->scalar = reader_u64le(r);
        break;
    case WIRE_BYTES:
        out->bytes = reader_bytes(r, varint_get_u64(r));
        break;
    case WIRE_FIXED32:
        (void)reader_u32le(r);
        break;
    default:
        return false;
    }
    return reader_ok(r);
}

static Status take_span(RawSide *side, bool filling, const Field *field, Err *err)
{
    if (field->type != WIRE_BYTES) {
        return malformed(err);
    }
    if (!filling) {
        if (++side->span_count > HISTOGRAM_SPANS_MAX) {
            return err_set(err, ERR_INVALID, "histogram has more than %d spans",
                           HISTOGRAM_SPANS_MAX);
        }
        return OK;
    }
    HistogramSpan *span = &side->spans[side->span_count++];
    Reader r = reader_of(field->bytes);
    while (reader_left(&r) > 0) {
        Field part;
        if (!read_field(&r, &part) || (part.number <= 2 && part.type != WIRE_VARINT)) {
            return malformed(err);
        }
        if (part.number == 1) {
            span->offset = zigzag_to_i32((uint32_t)part.scalar);
        } else if (part.number == 2) {
            span->length = (uint32_t)part.scalar;
        }
    }
    return OK;
}

static Status too_many_buckets(Err *err)
{
    return err_set(err, ERR_INVALID, "histogram has more than %d buckets", HISTOGRAM_BUCKETS_MAX);
}

static void put_delta(RawSide *side, bool absolute, int64_t delta)
{
    if (absolute) {
        side->running += (double)delta; // as Prometheus does, in doubles
        side->counts[side->value_count++] = side->running;
    } else {
        side->deltas[side->delta_count++] = delta;
    }
}

// Packed or one by one.
static Status take_deltas(Raw *raw, RawSide *side, const Field *field, Err *err)
{
    if (field->type != WIRE_BYTES && field->type != WIRE_VARINT) {
        return malformed(err);
    }
    if (!raw->filling) {
        uint32_t count = field->type == WIRE_VARINT;
        for (size_t i = 0; i < field->bytes.len; i++) {
            count += field->bytes.ptr[i] < 0x80;
        }
        side->delta_count += count; // at most a third of the message: no overflow
        return side->delta_count > HISTOGRAM_BUCKETS_MAX ? too_many_buckets(err) : OK;
    }
    if (raw->is_float) {
        return OK; // deltas of a float histogram mean nothing
    }
    if (field->type == WIRE_VARINT) {
        put_delta(side, raw->absolute, zigzag_to_i64(field->scalar));
        return OK;
    }
    Reader r = reader_of(field->bytes);
    while (reader_left(&r) > 0) {
        const int64_t delta = varint_get_i64(&r);
        if (!reader_ok(&r)) {
            return malformed(err);
        }
        put_delta(side, raw->absolute, delta);
    }
    return OK;
}

static Status take_doubles(bool filling, const Field *field, double *out, uint32_t *count, Err *err)
{
    if (field->type != WIRE_FIXED64 && (field->type != WIRE_BYTES || field->bytes.len % 8 != 0)) {
        return malformed(err);
    }
    if (!filling) {
        *count += field->type == WIRE_FIXED64 ? 1 : (uint32_t)(field->bytes.len / 8);
        return *count > HISTOGRAM_BUCKETS_MAX ? too_many_buckets(err) : OK;
    }
    if (field->type == WIRE_FIXED64) {
        out[(*count)++] = f64_of_bits(field->scalar);
        return OK;
    }
    Reader r = reader_of(field->bytes);
    while (reader_left(&r) > 0) {
        out[(*count)++] = f64_of_bits(reader_u64le(&r));
    }
    return OK;
}

static Status take_side(Raw *raw, RawSide *side, uint32_t part, const Field *field, Err *err)
{
    if (part == PART_SPANS) {
        return take_span(side, raw->filling, field, err);
    }
    if (part == PART_DELTAS) {
        return take_deltas(raw, side, field, err);
    }
    if (raw->filling && !raw->is_float) {
        return OK; // counts of an integer histogram mean nothing
    }
    return take_doubles(raw->filling, field, side->counts, &side->value_count, err);
}

static void take_scalar(Raw *raw, const Field *field)
{
    const uint64_t v = field->scalar;
    switch (field->number) {
    case FIELD_COUNT_INT:
        raw->is_float = false;
        raw->count_int = v;
        break;
    case FIELD_COUNT_FLOAT:
        raw->is_float = true;
        raw->count_float = f64_of_bits(v);
        break;
    case FIELD_SUM:
        raw->sum = f64_of_bits(v);
        break;
    case FIELD_SCHEMA:
        raw->schema = zigzag_to_i32((uint32_t)v);
        break;
    case FIELD_ZERO_THRESHOLD:
        raw->zero_threshold = f64_of_bits(v);
        break;
    case FIELD_ZERO_COUNT_INT:
        raw->zero_is_float = false;
        raw->zero_int = v;
        break;
    case FIELD_ZERO_COUNT_FLOAT:
        raw->zero_is_float = true;
        raw->zero_float = f64_of_bits(v);
        break;
    case FIELD_RESET_HINT:
        raw->hint = v <= HISTOGRAM_HINT_GAUGE ? (uint32_t)v : HISTOGRAM_HINT_UNKNOWN;
        break;
    case FIELD_TIMESTAMP:
        raw->times.timestamp_ms = (int64_t)v;
        break;
    case FIELD_START_TIMESTAMP:
        raw->times.start_ms = (int64_t)v;
        break;
    default: // unknown
        break;
    }
}

static bool is_fixed64(uint32_t number)
{
    return number == FIELD_COUNT_FLOAT || number == FIELD_SUM || number == FIELD_ZERO_THRESHOLD ||
           number == FIELD_ZERO_COUNT_FLOAT;
}

static Status take_field(Raw *raw, const Field *field, Err *err)
{
    const uint32_t number = field->number;
    if (number >= FIELD_NEGATIVE_SPANS && number < FIELD_POSITIVE_SPANS) {
        return take_side(raw, &raw->negative, number - FIELD_NEGATIVE_SPANS, field, err);
    }
    if (number >= FIELD_POSITIVE_SPANS && number < FIELD_RESET_HINT) {
        return take_side(raw, &raw->positive, number - FIELD_POSITIVE_SPANS, field, err);
    }
    if (number == FIELD_CUSTOM_VALUES) {
        return take_doubles(raw->filling, field, raw->bounds, &raw->bound_count, err);
    }
    if (number <= FIELD_START_TIMESTAMP &&
        field->type != (is_fixed64(number) ? WIRE_FIXED64 : WIRE_VARINT)) {
        return malformed(err);
    }
    if (!raw->filling) {
        take_scalar(raw, field);
    }
    return OK;
}

static Status read_message(Bytes message, Raw *raw, Err *err)
{
    Reader r = reader_of(message);
    while (reader_left(&r) > 0) {
        Field field;
        if (!read_field(&r, &field)) {
            return malformed(err);
        }
        TRY(take_field(raw, &field, err));
    }
    return OK;
}

static void allocate_side(RawSide *side, bool is_float, bool absolute, Arena *arena)
{
    const uint32_t count = is_float ? side->value_count : side->delta_count;
    side->spans = arena_new(arena, HistogramSpan, side->span_count);
    if (is_float || absolute) {
        side->counts = arena_new(arena, double, count);
    } else {
        side->deltas = arena_new(arena, int64_t, count);
    }
    side->span_count = 0;
    side->value_count = 0;
    side->delta_count = 0;
}

// `absolute`: deltas become counts. *out points into `arena`.
static Status read_raw(Bytes message, bool absolute, Arena *arena, Raw *out, Err *err)
{
    *out = (Raw){.absolute = absolute};
    if (message.len > HISTOGRAM_BLOB_BYTES_MAX) {
        return err_set(err, ERR_INVALID, "histogram has %zu bytes, at most %d are taken",
                       message.len, HISTOGRAM_BLOB_BYTES_MAX);
    }
    TRY(read_message(message, out, err));
    allocate_side(&out->negative, out->is_float, absolute, arena);
    allocate_side(&out->positive, out->is_float, absolute, arena);
    out->bounds = arena_new(arena, double, out->bound_count);
    out->bound_count = 0;
    out->filling = true;
    return read_message(message, out, err);
}

static uint32_t bucket_count(const Raw *raw, const RawSide *side)
{
    return raw->is_float || raw->absolute ? side->value_count : side->delta_count;
}

static Status check_spans(const RawSide *side, uint32_t buckets, bool is_custom, Err *err)
{
    uint64_t total = 0;
    int64_t index = 0;
    for (uint32_t i = 0; i < side->span_count; i++) {
        const HistogramSpan *span = &side->spans[i];
        if ((i > 0 || is_custom) && span->offset < 0) {
            return err_set(err, ERR_INVALID,
                           "span number %" PRIu32 " with offset %" PRId32
                           ": histogram has a span whose offset is negative",
                           i + 1, span->offset);
        }
        total += span->length;
        index += (int64_t)span->offset + span->length; // 2^14 spans of 2^33 at most
        if (index > HISTOGRAM_INDEX_MAX || index < -HISTOGRAM_INDEX_MAX) {
            return err_set(err, ERR_INVALID, "span number %" PRIu32 ": bucket index out of range",
                           i + 1);
        }
    }
    if (total != buckets) {
        return err_set(err, ERR_INVALID,
                       "spans need %" PRIu64 " buckets, have %" PRIu32
                       " buckets: histogram spans specify different number of buckets than "
                       "provided",
                       total, buckets);
    }
    return OK;
}

static Status check_bounds(const Raw *raw, Err *err)
{
    for (uint32_t i = 0; i < raw->bound_count; i++) {
        if (isnan(raw->bounds[i])) {
            return err_set(err, ERR_INVALID, "histogram custom bounds must not be NaN");
        }
        if (i > 0 && raw->bounds[i] <= raw->bounds[i - 1]) {
            return err_set(err, ERR_INVALID,
                           "previous bound is %f and current is %f: histogram custom bounds must "
                           "be in strictly increasing order",
                           raw->bounds[i - 1], raw->bounds[i]);
        }
    }
    if (raw->bound_count > 0 && raw->bounds[raw->bound_count - 1] == HUGE_VAL) {
        return err_set(err, ERR_INVALID,
                       "last +Inf bound must not be explicitly defined: histogram custom bounds "
                       "must be finite");
    }
    TRY(check_spans(&raw->positive, bucket_count(raw, &raw->positive), true, err));
    uint64_t reach = 0;
    for (uint32_t i = 0; i < raw->positive.span_count; i++) {
        reach += (uint64_t)raw->positive.spans[i].offset + raw->positive.spans[i].length;
    }
    if ((uint64_t)raw->bound_count + 1 < reach) {
        return err_set(err, ERR_INVALID,
                       "only %" PRIu32
                       " custom bounds defined which is insufficient to cover total span length "
                       "of %" PRIu64 ": histogram custom bounds are too few",
                       raw->bound_count, reach);
    }
    return OK;
}

static Status check_custom(const Raw *raw, Err *err)
{
    if (check_bounds(raw, err) != OK) {
        return err_prefix(err, "custom buckets: ");
    }
    if (raw->is_float ? raw->zero_is_float && raw->zero_float != 0
                      : !raw->zero_is_float && raw->zero_int != 0) {
        return err_set(err, ERR_INVALID, "custom buckets: must have zero count of 0");
    }
    if (raw->zero_threshold != 0) {
        return err_set(err, ERR_INVALID, "custom buckets: must have zero threshold of 0");
    }
    if (raw->negative.span_count > 0) {
        return err_set(err, ERR_INVALID, "custom buckets: must not have negative spans");
    }
    if (bucket_count(raw, &raw->negative) > 0) {
        return err_set(err, ERR_INVALID, "custom buckets: must not have negative buckets");
    }
    return OK;
}

// What arithmetic relies on: the schema, and that spans fit buckets and bounds.
static Status check_shape(const Raw *raw, Err *err)
{
    if (raw->schema == HISTOGRAM_SCHEMA_CUSTOM) {
        return check_custom(raw, err);
    }
    if (raw->schema < HISTOGRAM_SCHEMA_MIN || raw->schema > HISTOGRAM_SCHEMA_MAX) {
        return err_set(err, ERR_INVALID,
                       "histogram has an invalid schema, which must be between %d and %d for "
                       "exponential buckets, or %d for custom buckets, got schema %" PRId32,
                       HISTOGRAM_SCHEMA_MIN, HISTOGRAM_SCHEMA_MAX, HISTOGRAM_SCHEMA_CUSTOM,
                       raw->schema);
    }
    if (check_spans(&raw->positive, bucket_count(raw, &raw->positive), false, err) != OK) {
        return err_prefix(err, "positive side: ");
    }
    if (check_spans(&raw->negative, bucket_count(raw, &raw->negative), false, err) != OK) {
        return err_prefix(err, "negative side: ");
    }
    return OK;
}

static Status negative_count(const char *what, double count, Err *err)
{
    char text[DTOA_BYTES_MAX];
    const size_t len = dtoa_f64(count, DTOA_GO_G, text);
    return err_set(err, ERR_INVALID,
                   "%s has observation count of %.*s: histogram has a bucket whose observation "
                   "count is negative",
                   what, (int)len, text);
}

static Status check_float_counts(const RawSide *side, Err *err)
{
    for (uint32_t i = 0; i < side->value_count; i++) {
        if (side->counts[i] < 0) {
            char what[40];
            (void)snprintf(what, sizeof(what), "bucket number %" PRIu32, i + 1);
            return negative_count(what, side->counts[i], err);
        }
    }
    return OK;
}

static Status check_counts(const RawSide *side, bool is_float, uint64_t *total, Err *err)
{
    uint64_t last = 0; // wraps as Prometheus' does
    if (is_float) {
        return check_float_counts(side, err);
    }
    for (uint32_t i = 0; i < side->delta_count; i++) {
        last += (uint64_t)side->deltas[i];
        if ((int64_t)last < 0) {
            return err_set(err, ERR_INVALID,
                           "bucket number %" PRIu32 " has observation count of %" PRId64
                           ": histogram has a bucket whose observation count is negative",
                           i + 1, (int64_t)last);
        }
        *total += last;
    }
    return OK;
}

static Status check_total(const Raw *raw, uint64_t total, Err *err)
{
    if (isnan(raw->sum) ? total > raw->count_int : total != raw->count_int) {
        return err_set(err, ERR_INVALID,
                       "%" PRIu64 " observations found in buckets, but the Count field is %" PRIu64
                       ": histogram's observation count should %s",
                       total, raw->count_int,
                       isnan(raw->sum)
                           ? "be at least the number of observations found in the buckets"
                           : "equal the number of observations found in the buckets (in absence "
                             "of NaN)");
    }
    return OK;
}

// Validate() of Prometheus' Histogram and FloatHistogram, in its order.
static Status check_raw(const Raw *raw, Err *err)
{
    uint64_t total = raw->zero_is_float ? 0 : raw->zero_int;
    TRY(check_shape(raw, err));
    if (raw->schema != HISTOGRAM_SCHEMA_CUSTOM) {
        if (check_counts(&raw->negative, raw->is_float, &total, err) != OK) {
            return err_prefix(err, "negative side: ");
        }
        if (raw->is_float && raw->zero_is_float && raw->zero_float < 0) {
            return negative_count("zero bucket", raw->zero_float, err);
        }
        if (raw->bound_count > 0) {
            return err_set(err, ERR_INVALID,
                           "histogram with exponential schema must not have custom bounds");
        }
    }
    if (raw->is_float && raw->count_float < 0) {
        char text[DTOA_BYTES_MAX];
        const size_t len = dtoa_f64(raw->count_float, DTOA_GO_G, text);
        return err_set(err, ERR_INVALID,
                       "observation count is  %.*s: histogram's observation count is negative",
                       (int)len, text);
    }
    if (check_counts(&raw->positive, raw->is_float, &total, err) != OK) {
        return err_prefix(err, "positive side: ");
    }
    return raw->is_float ? OK : check_total(raw, total, err);
}

static void put_key(Buf *out, uint32_t number, WireType type)
{
    varint_put_u64(out, (uint64_t)number << 3 | type);
}

static void put_varint(Buf *out, uint32_t number, uint64_t v)
{
    if (v != 0) {
        put_key(out, number, WIRE_VARINT);
        varint_put_u64(out, v);
    }
}

static void put_f64(Buf *out, uint32_t number, double v)
{
    const uint64_t bits = bits_of_f64(v);
    if (bits != 0) {
        put_key(out, number, WIRE_FIXED64);
        buf_put_u64le(out, bits);
    }
}

static void put_spans(Buf *out, uint32_t number, const HistogramSpan *spans, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t offset = zigzag_from_i32(spans[i].offset);
        const uint64_t length = spans[i].length;
        put_key(out, number, WIRE_BYTES);
        varint_put_u64(out, (offset != 0 ? 1 + varint_size_bytes(offset) : 0) +
                                (length != 0 ? 1 + varint_size_bytes(length) : 0));
        put_varint(out, 1, offset);
        put_varint(out, 2, length);
    }
}

static void put_deltas(Buf *out, uint32_t number, const int64_t *deltas, uint32_t count)
{
    size_t size_bytes = 0;
    if (count == 0) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        size_bytes += varint_size_bytes(zigzag_from_i64(deltas[i]));
    }
    put_key(out, number, WIRE_BYTES);
    varint_put_u64(out, size_bytes);
    for (uint32_t i = 0; i < count; i++) {
        varint_put_i64(out, deltas[i]);
    }
}

static void put_doubles(Buf *out, uint32_t number, const double *values, uint32_t count)
{
    if (count == 0) {
        return;
    }
    put_key(out, number, WIRE_BYTES);
    varint_put_u64(out, (uint64_t)count * 8);
    for (uint32_t i = 0; i < count; i++) {
        buf_put_u64le(out, bits_of_f64(values[i]));
    }
}

static void put_side(Buf *out, uint32_t first, const Raw *raw, const RawSide *side)
{
    put_spans(out, first + PART_SPANS, side->spans, side->span_count);
    if (raw->is_float) {
        put_doubles(out, first + PART_COUNTS, side->counts, side->value_count);
    } else {
        put_deltas(out, first + PART_DELTAS, side->deltas, side->delta_count);
    }
}

// The one canonical form: fields ascending, packed, zeroes left out but for the count, which says
// whether the histogram is one of integers.
static void put_raw(const Raw *raw, Buf *out)
{
    if (raw->is_float) {
        put_key(out, FIELD_COUNT_FLOAT, WIRE_FIXED64);
        buf_put_u64le(out, bits_of_f64(raw->count_float));
    } else {
        put_key(out, FIELD_COUNT_INT, WIRE_VARINT);
        varint_put_u64(out, raw->count_int);
    }
    put_f64(out, FIELD_SUM, raw->sum);
    put_varint(out, FIELD_SCHEMA, zigzag_from_i32(raw->schema));
    put_f64(out, FIELD_ZERO_THRESHOLD, raw->zero_threshold);
    if (raw->is_float && raw->zero_is_float) {
        put_f64(out, FIELD_ZERO_COUNT_FLOAT, raw->zero_float);
    } else if (!raw->is_float && !raw->zero_is_float) {
        put_varint(out, FIELD_ZERO_COUNT_INT, raw->zero_int);
    }
    put_side(out, FIELD_NEGATIVE_SPANS, raw, &raw->negative);
    put_side(out, FIELD_POSITIVE_SPANS, raw, &raw->positive);
    put_varint(out, FIELD_RESET_HINT, raw->hint);
    put_doubles(out, FIELD_CUSTOM_VALUES, raw->bounds, raw->bound_count);
}

Status histogram_check(Bytes message, Buf *blob, HistogramTimes *times, Err *err)
{
    Status st = OK;
    Arena arena;
    Raw raw;
    arena_init(&arena, 0);
    TRY_OUT(read_raw(message, false, &arena, &raw, err));
    TRY_OUT(check_raw(&raw, err));
    put_raw(&raw, blob);
    if (times != NULL) {
        *times = raw.times;
    }
out:
    arena_deinit(&arena);
    return st;
}

static HistogramSide side_of(const RawSide *side)
{
    return (HistogramSide){
        .spans = side->spans,
        .span_count = side->span_count,
        .counts = side->counts,
        .bucket_count = side->value_count,
    };
}

Status histogram_decode(Bytes blob, Arena *arena, const Histogram **out, Err *err)
{
    Raw raw;
    *out = NULL;
    if (read_raw(blob, true, arena, &raw, err) != OK || check_shape(&raw, err) != OK) {
        err->status = ERR_CORRUPT;
        return err_prefix(err, "stored ");
    }
    const bool is_float = raw.is_float;
    Histogram *h = arena_new(arena, Histogram, 1);
    *h = (Histogram){
        .schema = raw.schema,
        .hint = (HistogramHint)raw.hint,
        .is_integer = !is_float,
        .zero_threshold = raw.zero_threshold,
        .zero_count = is_float ? (raw.zero_is_float ? raw.zero_float : 0)
                               : (raw.zero_is_float ? 0 : (double)raw.zero_int),
        .count = is_float ? raw.count_float : (double)raw.count_int,
        .sum = raw.sum,
        .positive = side_of(&raw.positive),
        .negative = side_of(&raw.negative),
        .bounds = raw.bounds,
        .bound_count = raw.bound_count,
    };
    *out = h;
    return OK;
}

static bool is_whole(double v)
{
    return v >= 0 && v <= 9007199254740992.0 && v == floor(v); // 2^53: all of them are exact
}

static bool is_whole_side(const HistogramSide *side)
{
    for (uint32_t i = 0; i < side->bucket_count; i++) {
        if (!is_whole(side->counts[i])) {
            return false;
        }
    }
    return true;
}

static RawSide raw_side_of(const HistogramSide *side, bool is_float, Arena *arena)
{
    RawSide raw = {.span_count = side->span_count};
    raw.spans = arena_new(arena, HistogramSpan, side->span_count);
    if (side->span_count != 0) {
        memcpy(raw.spans, side->spans, side->span_count * sizeof(*raw.spans));
    }
    if (is_float) {
        raw.value_count = side->bucket_count;
        raw.counts = arena_new(arena, double, side->bucket_count);
        if (side->bucket_count != 0) {
            memcpy(raw.counts, side->counts, side->bucket_count * sizeof(*raw.counts));
        }
        return raw;
    }
    raw.deltas = arena_new(arena, int64_t, side->bucket_count);
    int64_t before = 0;
    for (; raw.delta_count < side->bucket_count; raw.delta_count++) {
        const int64_t count = (int64_t)side->counts[raw.delta_count];
        raw.deltas[raw.delta_count] = count - before;
        before = count;
    }
    return raw;
}

void histogram_encode(const Histogram *histogram, Buf *blob)
{
    const Histogram *h = histogram;
    const bool is_integer = h->is_integer && is_whole(h->count) && is_whole(h->zero_count) &&
                            is_whole_side(&h->positive) && is_whole_side(&h->negative);
    Arena arena;
    arena_init(&arena, 0);
    Raw raw = {
        .is_float = !is_integer,
        .zero_is_float = !is_integer,
        .count_int = is_integer ? (uint64_t)h->count : 0,
        .zero_int = is_integer ? (uint64_t)h->zero_count : 0,
        .count_float = h->count,
        .zero_float = h->zero_count,
        .sum = h->sum,
        .zero_threshold = h->zero_threshold,
        .schema = h->schema,
        .hint = h->hint,
        .positive = raw_side_of(&h->positive, !is_integer, &arena),
        .negative = raw_side_of(&h->negative, !is_integer, &arena),
        .bounds = arena_new(&arena, double, h->bound_count),
        .bound_count = h->bound_count,
    };
    if (h->bound_count != 0) {
        memcpy(raw.bounds, h->bounds, h->bound_count * sizeof(*raw.bounds));
    }
    put_raw(&raw, blob);
    arena_deinit(&arena);
}

bool histogram_is_stale(const Histogram *histogram)
{
    return bits_of_f64(histogram->sum) == UINT64_C(0x7ff0000000000002); // value.StaleNaN
}
