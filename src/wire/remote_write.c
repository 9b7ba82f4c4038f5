// SPDX-License-Identifier: Apache-2.0
//
// The walk keeps to the shape every sender produces (labels, then samples, short lengths) with one
// compare per byte of overhead, and falls back to the general rules of protobuf field by field.
#include "wire/remote_write.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "codec/compress.h"
#include "codec/varint.h"

// Wire types of the protobuf encoding.
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

enum {
    TAG_SERIES = 1 << 3 | WIRE_BYTES,
    TAG_METADATA = 3 << 3 | WIRE_BYTES,
    TAG_LABEL = 1 << 3 | WIRE_BYTES,
    TAG_SAMPLE = 2 << 3 | WIRE_BYTES,
    TAG_EXEMPLAR = 3 << 3 | WIRE_BYTES,
    TAG_HISTOGRAM = 4 << 3 | WIRE_BYTES,
    TAG_VALUE = 1 << 3 | WIRE_FIXED64,
    TAG_TIMESTAMP = 2 << 3 | WIRE_VARINT,
    TAG_HISTOGRAM_TIMESTAMP = 15 << 3 | WIRE_VARINT,
    TAG_EXEMPLAR_VALUE = 2 << 3 | WIRE_FIXED64,
    TAG_EXEMPLAR_TIMESTAMP = 3 << 3 | WIRE_VARINT,
    TAG_NAME = 1 << 3 | WIRE_BYTES,
    TAG_LABEL_VALUE = 2 << 3 | WIRE_BYTES,
    TAG_TYPE = 1 << 3 | WIRE_VARINT,
    TAG_FAMILY = 2 << 3 | WIRE_BYTES,
    TAG_HELP = 4 << 3 | WIRE_BYTES,
    TAG_UNIT = 5 << 3 | WIRE_BYTES,
};

// A position in a message, and where the whole began, for error messages.
typedef struct Cursor {
    const uint8_t *pos, *end;
    const uint8_t *begin;
} Cursor;

static Status bad(const Cursor *c, const uint8_t *at, const char *expected, Err *err)
{
    return err_set(err, ERR_INVALID, "remote write message, byte %zu: expected %s",
                   (size_t)(at - c->begin), expected);
}

static Status read_tag(Cursor *c, uint32_t *tag, Err *err)
{
    const uint8_t *at = c->pos;
    const uint8_t *next = varint_read_u32(at, c->end, tag);
    if (next == NULL || *tag >> 3 == 0) {
        return bad(c, at, "a field's tag", err);
    }
    c->pos = next;
    return OK;
}

static Status read_varint(Cursor *c, uint64_t *v, Err *err)
{
    const uint8_t *next = varint_read_u64(c->pos, c->end, v);
    if (next == NULL) {
        return bad(c, c->pos, "a varint of at most 10 bytes", err);
    }
    c->pos = next;
    return OK;
}

static inline Status read_bytes(Cursor *c, Cursor *inner, Err *err)
{
    const uint8_t *at = c->pos;
    const uint8_t *start = NULL;
    uint64_t len = 0;
    if (at < c->end && *at < 0x80) {
        len = *at;
        start = at + 1;
    } else {
        start = varint_read_u64(at, c->end, &len);
    }
    if (start == NULL || len > (uint64_t)(c->end - start)) {
        return bad(c, at, "a length that fits the message around it", err);
    }
    *inner = (Cursor){.pos = start, .end = start + len, .begin = c->begin};
    c->pos = start + len;
    return OK;
}

static Status skip_field(Cursor *c, uint32_t tag, Err *err)
{
    uint64_t ignored = 0;
    Cursor inner = {0};
    size_t fixed = 0;
    switch (tag & 7) {
    case WIRE_VARINT:
        return read_varint(c, &ignored, err);
    case WIRE_BYTES:
        return read_bytes(c, &inner, err);
    case WIRE_FIXED64:
        fixed = 8;
        break;
    case WIRE_FIXED32:
        fixed = 4;
        break;
    default:
        return bad(c, c->pos, "a field of wire type 0, 1, 2 or 5 before this", err);
    }
    if (fixed > (size_t)(c->end - c->pos)) {
        return bad(c, c->pos, fixed == 8 ? "8 bytes" : "4 bytes", err);
    }
    c->pos += fixed;
    return OK;
}

// A field that is not `wanted`: skipped when its number is another one, refused when only the wire
// type differs, as Prometheus does.
static Status skip_unknown(Cursor *c, uint32_t tag, const uint32_t *known, size_t known_count,
                           Err *err)
{
    for (size_t i = 0; i < known_count; i++) {
        if (tag >> 3 == known[i] >> 3) {
            return bad(c, c->pos, "another wire type for the field before this", err);
        }
    }
    return skip_field(c, tag, err);
}

static double read_f64le(const uint8_t *p)
{
    uint64_t bits = 0;
    double v = 0;
    for (unsigned i = 0; i < 8; i++) {
        bits |= (uint64_t)p[i] << (8 * i);
    }
    memcpy(&v, &bits, sizeof(v));
    return v;
}

// ---- Samples

static Status sample_general(Cursor c, int64_t *timestamp_ms, double *value, Err *err)
{
    static const uint32_t known[] = {TAG_VALUE, TAG_TIMESTAMP};
    *timestamp_ms = 0; // what is absent is zero (proto3)
    *value = 0;
    while (c.pos < c.end) {
        uint32_t tag = 0;
        uint64_t v = 0;
        TRY(read_tag(&c, &tag, err));
        if (tag == TAG_VALUE) {
            if (c.end - c.pos < 8) {
                return bad(&c, c.pos, "8 bytes", err);
            }
            *value = read_f64le(c.pos);
            c.pos += 8;
        } else if (tag == TAG_TIMESTAMP) {
            TRY(read_varint(&c, &v, err));
            *timestamp_ms = (int64_t)v;
        } else {
            TRY(skip_unknown(&c, tag, known, ARRAY_LEN(known), err));
        }
    }
    return OK;
}

static Status grow_samples(RemoteWriteDecoder *d, Err *err)
{
    if (d->sample_count >= REMOTE_WRITE_SAMPLES_MAX) {
        return err_set(err, ERR_TOO_LARGE, "more than %d samples in one request",
                       REMOTE_WRITE_SAMPLES_MAX);
    }
    size_t cap = d->sample_cap;
    d->timestamps_ms =
        mem_grow(d->timestamps_ms, &cap, d->sample_cap + 4096, sizeof(*d->timestamps_ms));
    d->values = mem_realloc(d->values, cap, sizeof(*d->values));
    if (d->histograms != NULL) {
        d->histograms = mem_realloc(d->histograms, cap, sizeof(*d->histograms));
        memset(d->histograms + d->sample_cap, 0, (cap - d->sample_cap) * sizeof(*d->histograms));
    }
    d->sample_cap = cap;
    return OK;
}

static inline Status room_for_sample(RemoteWriteDecoder *d, Err *err)
{
    return d->sample_count == d->sample_cap || d->sample_count == REMOTE_WRITE_SAMPLES_MAX
               ? grow_samples(d, err)
               : OK;
}

static inline Status add_sample(RemoteWriteDecoder *d, Cursor c, Err *err)
{
    TRY(room_for_sample(d, err));
    const uint32_t i = d->sample_count;
    uint64_t timestamp = 0;
    // Value and timestamp, in this order and nothing else: what everybody sends.
    if (c.end - c.pos > 10 && c.pos[0] == TAG_VALUE && c.pos[9] == TAG_TIMESTAMP &&
        varint_read_u64(c.pos + 10, c.end, &timestamp) == c.end) {
        d->timestamps_ms[i] = (int64_t)timestamp;
        d->values[i] = read_f64le(c.pos + 1);
    } else {
        TRY(sample_general(c, &d->timestamps_ms[i], &d->values[i], err));
    }
    d->sample_count = i + 1;
    return OK;
}

// Of the message only its timestamp is looked at, and that it consists of fields.
static Status add_histogram(RemoteWriteDecoder *d, Cursor c, Err *err)
{
    static const uint32_t known[] = {TAG_HISTOGRAM_TIMESTAMP};
    const Bytes message = {.ptr = c.pos, .len = (size_t)(c.end - c.pos)};
    uint64_t timestamp = 0;
    TRY(room_for_sample(d, err));
    while (c.pos < c.end) {
        uint32_t tag = 0;
        TRY(read_tag(&c, &tag, err));
        if (tag == TAG_HISTOGRAM_TIMESTAMP) {
            TRY(read_varint(&c, &timestamp, err));
        } else {
            TRY(skip_unknown(&c, tag, known, ARRAY_LEN(known), err));
        }
    }
    if (d->histograms == NULL) { // floats never touch this array
        d->histograms = mem_alloc(d->sample_cap, sizeof(*d->histograms));
    }
    const uint32_t i = d->sample_count++;
    d->timestamps_ms[i] = (int64_t)timestamp;
    d->values[i] = 0;
    d->histograms[i] = message;
    d->histogram_count++;
    return OK;
}

// ---- Series

// Label fields that are not next to each other, or have an unusual tag, are copied into one piece.
static Status gather_labels(RemoteWriteDecoder *d, Cursor series, Bytes *labels, Err *err)
{
    uint8_t *out = arena_new(&d->scratch, uint8_t, (size_t)(series.end - series.pos));
    size_t len = 0;
    while (series.pos < series.end) {
        uint32_t tag = 0;
        Cursor label = {0};
        TRY(read_tag(&series, &tag, err));
        if (tag != TAG_LABEL) {
            TRY(skip_field(&series, tag, err));
            continue;
        }
        const uint8_t *at = series.pos;
        TRY(read_bytes(&series, &label, err));
        out[len++] = TAG_LABEL;
        memcpy(out + len, at, (size_t)(series.pos - at));
        len += (size_t)(series.pos - at);
    }
    *labels = (Bytes){.ptr = out, .len = len};
    return OK;
}

static Status add_exemplar(RemoteWriteDecoder *d, Cursor c, Err *err)
{
    static const uint32_t known[] = {TAG_LABEL, TAG_EXEMPLAR_VALUE, TAG_EXEMPLAR_TIMESTAMP};
    RemoteWriteExemplar x = {.series = d->series_count};
    if (d->exemplar_count == REMOTE_WRITE_EXEMPLARS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "more than %d exemplars in one request",
                       REMOTE_WRITE_EXEMPLARS_MAX);
    }
    TRY(gather_labels(d, c, &x.labels, err));
    while (c.pos < c.end) {
        uint32_t tag = 0;
        uint64_t timestamp = 0;
        TRY(read_tag(&c, &tag, err));
        if (tag == TAG_EXEMPLAR_VALUE) {
            if (c.end - c.pos < 8) {
                return bad(&c, c.pos, "8 bytes", err);
            }
            x.value = read_f64le(c.pos);
            c.pos += 8;
        } else if (tag == TAG_EXEMPLAR_TIMESTAMP) {
            TRY(read_varint(&c, &timestamp, err));
            x.timestamp_ms = (int64_t)timestamp;
        } else if (tag == TAG_LABEL) {
            TRY(skip_field(&c, tag, err));
        } else {
            TRY(skip_unknown(&c, tag, known, ARRAY_LEN(known), err));
        }
    }
    d->exemplars =
        mem_grow(d->exemplars, &d->exemplar_cap, d->exemplar_count + 1, sizeof(*d->exemplars));
    d->exemplars[d->exemplar_count++] = x;
    return OK;
}

// Everything of a series but the leading labels.
static Status series_rest(RemoteWriteDecoder *d, Cursor c, bool *scattered, Err *err)
{
    static const uint32_t known[] = {TAG_LABEL, TAG_SAMPLE, TAG_EXEMPLAR, TAG_HISTOGRAM};
    while (c.pos < c.end) {
        uint32_t tag = 0;
        Cursor inner = {0};
        TRY(read_tag(&c, &tag, err));
        switch (tag) {
        case TAG_SAMPLE:
            TRY(read_bytes(&c, &inner, err));
            TRY(add_sample(d, inner, err));
            break;
        case TAG_LABEL:
            TRY(read_bytes(&c, &inner, err));
            *scattered = true;
            break;
        case TAG_EXEMPLAR:
            TRY(read_bytes(&c, &inner, err));
            TRY(add_exemplar(d, inner, err));
            break;
        case TAG_HISTOGRAM:
            TRY(read_bytes(&c, &inner, err));
            TRY(add_histogram(d, inner, err));
            break;
        default:
            TRY(skip_unknown(&c, tag, known, ARRAY_LEN(known), err));
        }
    }
    return OK;
}

static inline Status read_series(RemoteWriteDecoder *d, Cursor c, RemoteWriteSeries *out, Err *err)
{
    const Cursor whole = c;
    Cursor inner = {0};
    bool scattered = false;

    while (c.pos < c.end && *c.pos == TAG_LABEL) {
        c.pos++;
        TRY(read_bytes(&c, &inner, err));
    }
    out->labels = (Bytes){.ptr = whole.pos, .len = (size_t)(c.pos - whole.pos)};
    out->sample_first = d->sample_count;
    while (c.pos < c.end && *c.pos == TAG_SAMPLE) {
        c.pos++;
        TRY(read_bytes(&c, &inner, err));
        TRY(add_sample(d, inner, err));
    }
    if (c.pos < c.end) {
        TRY(series_rest(d, c, &scattered, err));
        if (scattered) {
            TRY(gather_labels(d, whole, &out->labels, err));
        }
    }
    out->sample_count = d->sample_count - out->sample_first;
    if (out->labels.len > REMOTE_WRITE_LABELS_BYTES_MAX) {
        return err_set(err, ERR_TOO_LARGE,
                       "remote write message, byte %zu: labels of %zu bytes; the limit is %d",
                       (size_t)(whole.pos - whole.begin), out->labels.len,
                       REMOTE_WRITE_LABELS_BYTES_MAX);
    }
    return OK;
}

// ---- Metadata

static Status read_text(Cursor *c, Str *out, Err *err)
{
    Cursor inner = {0};
    TRY(read_bytes(c, &inner, err));
    *out = (Str){.ptr = (const char *)inner.pos, .len = (size_t)(inner.end - inner.pos)};
    return utf8_is_valid(*out) ? OK : bad(c, inner.pos, "valid UTF-8", err);
}

static Status add_metadata(RemoteWriteDecoder *d, Cursor c, Err *err)
{
    static const uint32_t known[] = {TAG_TYPE, TAG_FAMILY, TAG_HELP, TAG_UNIT};
    RemoteWriteMetadata m = {0};
    if (d->metadata_count == REMOTE_WRITE_METADATA_MAX) {
        return err_set(err, ERR_TOO_LARGE, "more than %d metadata entries in one request",
                       REMOTE_WRITE_METADATA_MAX);
    }
    while (c.pos < c.end) {
        uint32_t tag = 0;
        uint64_t type = 0;
        TRY(read_tag(&c, &tag, err));
        switch (tag) {
        case TAG_TYPE:
            TRY(read_varint(&c, &type, err));
            m.type =
                type <= REMOTE_WRITE_STATESET ? (RemoteWriteMetricType)type : REMOTE_WRITE_UNKNOWN;
            break;
        case TAG_FAMILY:
            TRY(read_text(&c, &m.family, err));
            break;
        case TAG_HELP:
            TRY(read_text(&c, &m.help, err));
            break;
        case TAG_UNIT:
            TRY(read_text(&c, &m.unit, err));
            break;
        default:
            TRY(skip_unknown(&c, tag, known, ARRAY_LEN(known), err));
        }
    }
    d->metadata = mem_grow(d->metadata, &d->metadata_cap, (size_t)d->metadata_count + 1,
                           sizeof(*d->metadata));
    d->metadata[d->metadata_count++] = m;
    return OK;
}

// ---- The message

void remote_write_init(RemoteWriteDecoder *d, Bytes message)
{
    static const uint8_t nothing = 0;
    const uint8_t *begin = message.len == 0 ? &nothing : message.ptr;
    if (d->histogram_count != 0) {
        memset(d->histograms, 0, d->sample_count * sizeof(*d->histograms));
    }
    d->sample_count = 0;
    d->series_count = 0;
    d->metadata_count = 0;
    d->exemplar_count = 0;
    d->histogram_count = 0;
    d->begin = begin;
    d->pos = begin;
    d->end = begin + message.len;
    arena_reset(&d->scratch);
}

void remote_write_deinit(RemoteWriteDecoder *d)
{
    mem_free(d->timestamps_ms);
    mem_free(d->values);
    mem_free(d->histograms);
    mem_free(d->metadata);
    mem_free(d->exemplars);
    arena_deinit(&d->scratch);
    *d = (RemoteWriteDecoder){0};
}

Status remote_write_next(RemoteWriteDecoder *d, RemoteWriteSeries *series, bool *more, Err *err)
{
    static const uint32_t known[] = {TAG_SERIES, TAG_METADATA};
    Cursor c = {.pos = d->pos, .end = d->end, .begin = d->begin};
    *series = (RemoteWriteSeries){0};
    *more = false;
    while (c.pos < c.end) {
        uint32_t tag = 0;
        Cursor inner = {0};
        TRY(read_tag(&c, &tag, err));
        if (tag == TAG_SERIES) {
            TRY(read_bytes(&c, &inner, err));
            if (d->series_count == REMOTE_WRITE_SERIES_MAX) {
                return err_set(err, ERR_TOO_LARGE, "more than %d series in one request",
                               REMOTE_WRITE_SERIES_MAX);
            }
            TRY(read_series(d, inner, series, err));
            d->series_count++;
            d->pos = c.pos;
            *more = true;
            return OK;
        }
        if (tag == TAG_METADATA) {
            TRY(read_bytes(&c, &inner, err));
            TRY(add_metadata(d, inner, err));
        } else {
            TRY(skip_unknown(&c, tag, known, ARRAY_LEN(known), err));
        }
    }
    d->pos = c.pos;
    return OK;
}

// ---- Whole requests

struct RemoteWriteScratch {
    RemoteWriteDecoder decoder;
    Compress *compress;
    uint8_t *message;
    size_t message_cap;
    RemoteWriteSeries *series;
    size_t series_cap;
};

RemoteWriteScratch *remote_write_scratch_new(void)
{
    RemoteWriteScratch *scratch = mem_new(RemoteWriteScratch, 1);
    scratch->compress = compress_new();
    return scratch;
}

void remote_write_scratch_free(RemoteWriteScratch *scratch)
{
    if (scratch == NULL) {
        return;
    }
    remote_write_deinit(&scratch->decoder);
    compress_free(scratch->compress);
    mem_free(scratch->message);
    mem_free(scratch->series);
    mem_free(scratch);
}

static Status decompress(Bytes body, RemoteWriteScratch *scratch, Bytes *message, Err *err)
{
    size_t size = 0;
    Status st = compress_snappy_size(body, REMOTE_WRITE_BODY_BYTES_MAX, &size, err);
    if (st == OK && size > scratch->message_cap) {
        mem_free(scratch->message);
        scratch->message = mem_alloc_raw(size);
        scratch->message_cap = size;
    }
    if (st == OK) {
        st = compress_decode(scratch->compress, COMPRESS_SNAPPY, body, scratch->message, size, err);
    }
    if (st == ERR_CORRUPT) { // not our data: the client's fault
        err->status = ERR_INVALID;
    }
    *message = (Bytes){.ptr = scratch->message, .len = size};
    return st == OK ? OK : err_prefix(err, "remote write body: ");
}

Status remote_write_decode(Bytes body_snappy, RemoteWriteScratch *scratch, RemoteWriteRequest *out,
                           Err *err)
{
    RemoteWriteDecoder *d = &scratch->decoder;
    Bytes message = {0};
    bool more = true;

    *out = (RemoteWriteRequest){0};
    TRY(decompress(body_snappy, scratch, &message, err));
    remote_write_init(d, message);
    while (more) {
        const size_t count = d->series_count;
        if (count == scratch->series_cap) {
            scratch->series = mem_grow(scratch->series, &scratch->series_cap, count + 1,
                                       sizeof(*scratch->series));
        }
        TRY(remote_write_next(d, &scratch->series[count], &more, err));
    }
    *out = (RemoteWriteRequest){.series = scratch->series,
                                .series_count = d->series_count,
                                .sample_count = d->sample_count,
                                .timestamps_ms = d->timestamps_ms,
                                .values = d->values,
                                .histograms = d->histogram_count == 0 ? NULL : d->histograms,
                                .metadata = d->metadata,
                                .metadata_count = d->metadata_count,
                                .exemplars = d->exemplars,
                                .exemplar_count = d->exemplar_count,
                                .histogram_count = d->histogram_count};
    return OK;
}

// ---- Labels

Status remote_write_label_next(Bytes *labels, Str *name, Str *value, bool *more, Err *err)
{
    static const uint32_t known[] = {TAG_NAME, TAG_LABEL_VALUE};
    Cursor c = {.pos = labels->ptr, .end = labels->ptr + labels->len, .begin = labels->ptr};
    Cursor label = {0};
    uint32_t tag = 0;

    *name = (Str){0};
    *value = (Str){0};
    *more = labels->len > 0;
    if (labels->len == 0) {
        return OK;
    }
    TRY(read_tag(&c, &tag, err));
    if (tag != TAG_LABEL) {
        return bad(&c, c.begin, "a label", err);
    }
    TRY(read_bytes(&c, &label, err));
    while (label.pos < label.end) {
        Cursor text = {0};
        TRY(read_tag(&label, &tag, err));
        if (tag == TAG_NAME || tag == TAG_LABEL_VALUE) {
            TRY(read_bytes(&label, &text, err));
            *(tag == TAG_NAME ? name : value) =
                (Str){.ptr = (const char *)text.pos, .len = (size_t)(text.end - text.pos)};
        } else {
            TRY(skip_unknown(&label, tag, known, ARRAY_LEN(known), err));
        }
    }
    *labels = (Bytes){.ptr = c.pos, .len = (size_t)(c.end - c.pos)};
    return OK;
}

// ---- Writing

void remote_write_put_label(Buf *labels, Str name, Str value)
{
    const size_t len =
        2 + varint_size_bytes(name.len) + name.len + varint_size_bytes(value.len) + value.len;
    buf_put_u8(labels, TAG_LABEL);
    varint_put_u64(labels, len);
    buf_put_u8(labels, TAG_NAME);
    varint_put_u64(labels, name.len);
    buf_put_str(labels, name);
    buf_put_u8(labels, TAG_LABEL_VALUE);
    varint_put_u64(labels, value.len);
    buf_put_str(labels, value);
}

// Bytes of a float sample without its tag and length: tag and value, tag and timestamp.
static size_t float_bytes(int64_t timestamp_ms)
{
    return 9 + 1 + varint_size_bytes((uint64_t)timestamp_ms);
}

static void put_float(Buf *message, int64_t timestamp_ms, double value)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof(bits));
    buf_put_u8(message, TAG_SAMPLE);
    varint_put_u64(message, float_bytes(timestamp_ms));
    buf_put_u8(message, TAG_VALUE);
    buf_put_u64le(message, bits);
    buf_put_u8(message, TAG_TIMESTAMP);
    varint_put_u64(message, (uint64_t)timestamp_ms);
}

void remote_write_put_histograms(Buf *message, Bytes labels, const int64_t *timestamps_ms,
                                 const double *values, const Bytes *histograms, size_t sample_count)
{
    size_t len = labels.len;
    for (size_t i = 0; i < sample_count; i++) {
        const bool is_float = histograms == NULL || histograms[i].ptr == NULL;
        const size_t bytes = is_float ? float_bytes(timestamps_ms[i]) : histograms[i].len;
        len += 1 + varint_size_bytes(bytes) + bytes;
    }
    buf_put_u8(message, TAG_SERIES);
    varint_put_u64(message, len);
    buf_put(message, labels.ptr, labels.len);
    for (size_t i = 0; i < sample_count; i++) {
        if (histograms == NULL || histograms[i].ptr == NULL) {
            put_float(message, timestamps_ms[i], values[i]);
        } else {
            buf_put_u8(message, TAG_HISTOGRAM);
            varint_put_u64(message, histograms[i].len);
            buf_put(message, histograms[i].ptr, histograms[i].len);
        }
    }
}

void remote_write_put_series(Buf *message, Bytes labels, const int64_t *timestamps_ms,
                             const double *values, size_t sample_count)
{
    remote_write_put_histograms(message, labels, timestamps_ms, values, NULL, sample_count);
}
