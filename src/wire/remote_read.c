// SPDX-License-Identifier: Apache-2.0
#include "wire/remote_read.h"

#include "base/utf8.h"
#include "codec/compress.h"
#include "codec/crc.h"
#include "codec/varint.h"
#include "wire/prom_chunk.h"

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

// --- reading -----------------------------------------------------------------------------------

typedef struct Field {
    uint32_t number, type;
    uint64_t varint;
    Bytes bytes;
} Field;

// The next field; false at the end or when the message is malformed (reader_ok() says which).
static bool next_field(Reader *r, Field *out)
{
    if (!reader_ok(r) || reader_left(r) == 0) {
        return false;
    }
    const uint32_t tag = varint_get_u32(r);
    *out = (Field){.number = tag >> 3, .type = tag & 7};
    switch (out->type) {
    case WIRE_VARINT:
        out->varint = varint_get_u64(r);
        break;
    case WIRE_FIXED64:
        out->bytes = reader_bytes(r, 8);
        break;
    case WIRE_BYTES:
        out->bytes = reader_bytes(r, varint_get_u64(r));
        break;
    case WIRE_FIXED32:
        out->bytes = reader_bytes(r, 4);
        break;
    default:
        r->failed = true;
        break;
    }
    r->failed = r->failed || out->number == 0;
    return reader_ok(r);
}

static Status malformed(const char *what, Err *err)
{
    return err_set(err, ERR_INVALID, "remote read request: malformed %s", what);
}

static Status take_matcher(Bytes message, RemoteReadQuery *query, Err *err)
{
    static const MatchOp ops[] = {MATCH_EQ, MATCH_NE, MATCH_RE, MATCH_NRE};
    Reader r = reader_of(message);
    Field f;
    uint64_t type = 0;
    Str name = {0};
    Str value = {0};
    Matcher *matcher = NULL;
    while (next_field(&r, &f)) {
        if (f.number == 1 && f.type == WIRE_VARINT) {
            type = f.varint;
        } else if (f.number == 2 && f.type == WIRE_BYTES) {
            name = (Str){(const char *)f.bytes.ptr, f.bytes.len};
        } else if (f.number == 3 && f.type == WIRE_BYTES) {
            value = (Str){(const char *)f.bytes.ptr, f.bytes.len};
        }
    }
    if (!reader_ok(&r) || !utf8_is_valid(name) || !utf8_is_valid(value)) {
        return malformed("matcher", err);
    }
    if (type >= ARRAY_LEN(ops)) {
        return err_set(err, ERR_INVALID, "remote read request: invalid matcher type %" PRIu64,
                       type);
    }
    if (query->matcher_count == REMOTE_READ_MATCHERS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "remote read request: more than %d matchers",
                       REMOTE_READ_MATCHERS_MAX);
    }
    TRY(matcher_new(ops[type], name, value, &matcher, err));
    query->matchers[query->matcher_count++] = matcher;
    return OK;
}

static Status take_query(Bytes message, RemoteReadRequest *out, Err *err)
{
    Reader r = reader_of(message);
    Field f;
    if (out->query_count == REMOTE_READ_QUERIES_MAX) {
        return err_set(err, ERR_TOO_LARGE, "remote read request: more than %d queries",
                       REMOTE_READ_QUERIES_MAX);
    }
    RemoteReadQuery *query = &out->queries[out->query_count++];
    *query = (RemoteReadQuery){0};
    query->matchers = arena_new(&out->arena, const Matcher *, REMOTE_READ_MATCHERS_MAX);
    while (next_field(&r, &f)) {
        if (f.number == 1 && f.type == WIRE_VARINT) {
            query->min_ms = (int64_t)f.varint;
        } else if (f.number == 2 && f.type == WIRE_VARINT) {
            query->max_ms = (int64_t)f.varint;
        } else if (f.number == 3 && f.type == WIRE_BYTES) {
            TRY(take_matcher(f.bytes, query, err));
        }
    }
    return reader_ok(&r) ? OK : malformed("query", err);
}

// The first type that we know is taken: 0 SAMPLES, 1 STREAMED_XOR_CHUNKS.
static void take_type(uint64_t type, bool *decided, bool *chunks)
{
    if (!*decided && type <= 1) {
        *decided = true;
        *chunks = type == 1;
    }
}

static Status take_message(Bytes message, RemoteReadRequest *out, Err *err)
{
    Reader r = reader_of(message);
    Field f;
    bool decided = false;
    while (next_field(&r, &f)) {
        if (f.number == 1 && f.type == WIRE_BYTES) {
            TRY(take_query(f.bytes, out, err));
        } else if (f.number == 2 && f.type == WIRE_VARINT) {
            take_type(f.varint, &decided, &out->chunks);
        } else if (f.number == 2 && f.type == WIRE_BYTES) {
            Reader packed = reader_of(f.bytes);
            while (reader_ok(&packed) && reader_left(&packed) > 0) {
                take_type(varint_get_u64(&packed), &decided, &out->chunks);
            }
            r.failed = r.failed || !reader_ok(&packed);
        }
    }
    return reader_ok(&r) ? OK : malformed("message", err);
}

static Status decompress(Bytes body, Arena *arena, Bytes *message, Err *err)
{
    Status st = OK;
    size_t size = 0;
    Compress *compress = compress_new();
    TRY_OUT(compress_snappy_size(body, REMOTE_READ_BODY_BYTES_MAX, &size, err));
    uint8_t *bytes = arena_new(arena, uint8_t, size + 1);
    TRY_OUT(compress_decode(compress, COMPRESS_SNAPPY, body, bytes, size, err));
    *message = (Bytes){bytes, size};
out:
    compress_free(compress);
    if (st == ERR_CORRUPT) { // not our data: the client's fault
        st = err->status = ERR_INVALID;
    }
    return st == OK ? OK : err_prefix(err, "remote read body: ");
}

Status remote_read_decode(Bytes body_snappy, RemoteReadRequest *out, Err *err)
{
    Bytes message = {0};
    *out = (RemoteReadRequest){0};
    TRY(decompress(body_snappy, &out->arena, &message, err));
    out->queries = arena_new(&out->arena, RemoteReadQuery, REMOTE_READ_QUERIES_MAX);
    return take_message(message, out, err);
}

void remote_read_request_deinit(RemoteReadRequest *request)
{
    for (size_t i = 0; i < request->query_count; i++) {
        for (size_t k = 0; k < request->queries[i].matcher_count; k++) {
            matcher_free((Matcher *)(uintptr_t)request->queries[i].matchers[k]);
        }
    }
    arena_deinit(&request->arena);
}

// --- writing -----------------------------------------------------------------------------------

static void put_varint_field(Buf *out, uint32_t number, uint64_t v)
{
    varint_put_u64(out, (uint64_t)number << 3 | WIRE_VARINT);
    varint_put_u64(out, v);
}

static void put_bytes_field(Buf *out, uint32_t number, const void *bytes, size_t len)
{
    varint_put_u64(out, (uint64_t)number << 3 | WIRE_BYTES);
    varint_put_u64(out, len);
    buf_put(out, bytes, len);
}

static void put_labels(LabelSet labels, Buf *out)
{
    for (size_t i = 0; i < labels.count; i++) {
        const Label l = labels.labels[i];
        const size_t size = 2 + varint_size_bytes(l.name.len) + l.name.len +
                            varint_size_bytes(l.value.len) + l.value.len;
        varint_put_u64(out, 1 << 3 | WIRE_BYTES);
        varint_put_u64(out, size);
        put_bytes_field(out, 1, l.name.ptr, l.name.len);
        put_bytes_field(out, 2, l.value.ptr, l.value.len);
    }
}

static void put_sample(int64_t timestamp_ms, double value, Buf *out)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof(bits));
    varint_put_u64(out, 2 << 3 | WIRE_BYTES);
    varint_put_u64(out, 10 + varint_size_bytes((uint64_t)timestamp_ms));
    varint_put_u64(out, 1 << 3 | WIRE_FIXED64);
    buf_put_u64le(out, bits);
    put_varint_field(out, 2, (uint64_t)timestamp_ms);
}

// A blob is a Histogram message without its timestamp, which is field 15.
static void put_histogram(int64_t timestamp_ms, Bytes blob, Buf *out)
{
    varint_put_u64(out, 4 << 3 | WIRE_BYTES);
    varint_put_u64(out, blob.len + 1 + varint_size_bytes((uint64_t)timestamp_ms));
    buf_put(out, blob.ptr, blob.len);
    put_varint_field(out, 15, (uint64_t)timestamp_ms);
}

void remote_read_put_series(const RemoteReadSeries *series, Buf *query_result)
{
    Buf message = {0};
    buf_init(&message, 0);
    put_labels(series->labels, &message);
    for (size_t i = 0; i < series->count; i++) {
        if (series->histograms != NULL && series->histograms[i].len > 0) {
            put_histogram(series->timestamps_ms[i], series->histograms[i], &message);
        } else {
            put_sample(series->timestamps_ms[i], series->values[i], &message);
        }
    }
    put_bytes_field(query_result, 1, message.ptr, message.len);
    buf_deinit(&message);
}

void remote_read_put_result(Bytes query_result, Buf *response)
{
    put_bytes_field(response, 1, query_result.ptr, query_result.len);
}

// --- chunks ------------------------------------------------------------------------------------

static void put_chunk(const int64_t *timestamps_ms, size_t count, PromChunkEncoding encoding,
                      Bytes data, Buf *series)
{
    Buf chunk = {0};
    buf_init(&chunk, 0);
    put_varint_field(&chunk, 1, (uint64_t)timestamps_ms[0]);
    put_varint_field(&chunk, 2, (uint64_t)timestamps_ms[count - 1]);
    put_varint_field(&chunk, 3, encoding);
    put_bytes_field(&chunk, 4, data.ptr, data.len);
    put_bytes_field(series, 2, chunk.ptr, chunk.len);
    buf_deinit(&chunk);
}

static bool is_histogram(const RemoteReadSeries *s, size_t i)
{
    return s->histograms != NULL && s->histograms[i].len > 0;
}

// Chunks of samples [from, to), which are all of one kind.
static Status put_run(const RemoteReadSeries *s, size_t from, size_t to, Buf *series, Err *err)
{
    Status st = OK;
    Buf data = {0};
    Arena arena = {0};
    const Histogram **decoded = NULL;
    const bool histograms = is_histogram(s, from);
    buf_init(&data, 0);
    if (histograms) {
        decoded = arena_new(&arena, const Histogram *, to - from);
        for (size_t i = from; i < to; i++) {
            TRY_OUT(histogram_decode(s->histograms[i], &arena, &decoded[i - from], err));
        }
    }
    for (size_t at = from; at < to;) {
        buf_clear(&data);
        const size_t n =
            histograms
                ? prom_chunk_histograms(s->timestamps_ms + at, decoded + at - from, to - at, &data)
                : prom_chunk_floats(s->timestamps_ms + at, s->values + at, to - at, &data);
        put_chunk(s->timestamps_ms + at, n,
                  histograms ? PROM_CHUNK_FLOAT_HISTOGRAM : PROM_CHUNK_XOR, buf_bytes(&data),
                  series);
        at += n;
    }
out:
    buf_deinit(&data);
    arena_deinit(&arena);
    return st;
}

Status remote_read_put_chunks(const RemoteReadSeries *series, Buf *message, Err *err)
{
    Status st = OK;
    Buf out = {0};
    buf_init(&out, 0);
    put_labels(series->labels, &out);
    for (size_t from = 0; from < series->count;) {
        size_t to = from + 1;
        while (to < series->count && is_histogram(series, to) == is_histogram(series, from)) {
            to++;
        }
        TRY_OUT(put_run(series, from, to, &out, err));
        from = to;
    }
    put_bytes_field(message, 1, out.ptr, out.len);
out:
    buf_deinit(&out);
    return st;
}

void remote_read_put_frame(Buf *message, size_t query_index, Buf *out)
{
    put_varint_field(message, 2, query_index);
    const uint32_t crc = crc_castagnoli(0, buf_bytes(message));
    const uint8_t bytes[4] = {(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8),
                              (uint8_t)crc};
    varint_put_u64(out, message->len);
    buf_put(out, bytes, sizeof(bytes));
    buf_put(out, message->ptr, message->len);
}
