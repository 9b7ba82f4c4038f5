// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "base/reader.h"
#include "bench/load.h"
#include "codec/compress.h"

enum { WRITE_BYTES = 4 << 20 };

static const char magic[8] = {'C', 'L', 'O', 'A', 'D', '0', '0', '1'};

typedef struct ShardBody {
    Buf body;
    uint32_t samples;
} ShardBody;

struct CorpusWriter {
    OsFile *file;
    uint64_t offset;
    Buf pending; // of the file
    Compress *compress;
    uint32_t per_request;
    bool bare;
    CorpusHeader header;
    ShardBody shards[CORPUS_SHARDS_MAX];
};

Status corpus_writer_open(const LoadOptions *options, CorpusWriter **out, Err *err)
{
    Status st = OK;
    CorpusWriter *w = mem_new(CorpusWriter, 1);

    *out = NULL;
    buf_init(&w->pending, 0);
    w->compress = compress_new();
    w->per_request = (uint32_t)options->per_request;
    w->bare = options->bare;
    w->header = (CorpusHeader){.kind = options->kind, .shards = (uint32_t)options->shards};
    w->offset = w->bare ? 0 : CORPUS_HEADER_BYTES;
    for (uint32_t i = 0; i < w->header.shards; i++) {
        buf_init(&w->shards[i].body, CORPUS_BODY_BYTES_MAX);
    }
    TRY_OUT(os_file_open(os_posix(), options->out, OS_OPEN_CREATE, &w->file, err));
    TRY_OUT(os_file_truncate(w->file, 0, err));
    *out = w;
    w = NULL;
out:
    corpus_writer_free(w);
    return st;
}

void corpus_writer_free(CorpusWriter *w)
{
    if (w == NULL) {
        return;
    }
    for (uint32_t i = 0; i < CORPUS_SHARDS_MAX; i++) {
        buf_deinit(&w->shards[i].body);
    }
    buf_deinit(&w->pending);
    compress_free(w->compress);
    os_file_close(w->file);
    mem_free(w);
}

Buf *corpus_writer_body(CorpusWriter *w, uint32_t shard)
{
    return &w->shards[shard].body;
}

static Status write_pending(CorpusWriter *w, Err *err)
{
    TRY(os_file_write_at(w->file, w->offset, buf_bytes(&w->pending), err));
    w->offset += w->pending.len;
    buf_clear(&w->pending);
    return OK;
}

static Status end_body(CorpusWriter *w, uint32_t shard, Err *err)
{
    ShardBody *s = &w->shards[shard];
    size_t record = 0, begin = 0;

    if (!buf_ok(&s->body)) {
        return err_set(err, ERR_LIMIT, "a body has more than %d bytes: fewer samples per request",
                       CORPUS_BODY_BYTES_MAX);
    }
    if (!w->bare) {
        record = w->pending.len;
        buf_put_u32le(&w->pending, 0); // the size, known below
        buf_put_u32le(&w->pending, shard);
        buf_put_u32le(&w->pending, s->samples);
        buf_put_u32le(&w->pending, 0);
    }
    begin = w->pending.len;
    if (w->header.kind == CORPUS_REMOTE_WRITE) {
        TRY(compress_encode(w->compress, COMPRESS_SNAPPY, 0, buf_bytes(&s->body), &w->pending,
                            err));
    } else {
        buf_put(&w->pending, s->body.ptr, s->body.len);
    }
    const size_t size = w->pending.len - begin;
    for (size_t i = 0; i < 4 && !w->bare; i++) {
        w->pending.ptr[record + i] = (uint8_t)(size >> (8 * i));
    }
    w->header.requests++;
    w->header.samples += s->samples;
    w->header.body_bytes += size;
    s->samples = 0;
    buf_clear(&s->body);
    return w->pending.len >= WRITE_BYTES ? write_pending(w, err) : OK;
}

Status corpus_writer_count(CorpusWriter *w, uint32_t shard, Err *err)
{
    return ++w->shards[shard].samples >= w->per_request ? end_body(w, shard, err) : OK;
}

static void put_header(const CorpusHeader *h, Buf *out)
{
    buf_put(out, magic, sizeof(magic));
    buf_put_u32le(out, h->kind);
    buf_put_u32le(out, h->shards);
    buf_put_u64le(out, h->requests);
    buf_put_u64le(out, h->samples);
    buf_put_u64le(out, h->series);
    buf_put_u64le(out, h->body_bytes);
    buf_put_u64le(out, (uint64_t)h->first_ms);
    buf_put_u64le(out, (uint64_t)h->last_ms);
}

Status corpus_writer_finish(CorpusWriter *w, CorpusHeader *header, Err *err)
{
    for (uint32_t i = 0; i < w->header.shards; i++) {
        if (w->shards[i].samples > 0) {
            TRY(end_body(w, i, err));
        }
    }
    TRY(write_pending(w, err));
    w->header.series = header->series;
    w->header.first_ms = header->first_ms;
    w->header.last_ms = header->last_ms;
    *header = w->header;
    if (!w->bare) {
        put_header(header, &w->pending);
        ASSERT(w->pending.len == CORPUS_HEADER_BYTES);
        TRY(os_file_write_at(w->file, 0, buf_bytes(&w->pending), err));
    }
    return OK;
}

Status corpus_read_header(OsFile *file, CorpusHeader *out, Err *err)
{
    uint8_t bytes[CORPUS_HEADER_BYTES];
    size_t got = 0;

    *out = (CorpusHeader){0};
    TRY(os_file_read_at(file, 0, bytes, sizeof(bytes), &got, err));
    Reader r = reader_of((Bytes){.ptr = bytes, .len = got});
    const Bytes start = reader_bytes(&r, sizeof(magic));
    const uint32_t kind = reader_u32le(&r);
    CorpusHeader h = {.shards = reader_u32le(&r)};
    h.requests = reader_u64le(&r);
    h.samples = reader_u64le(&r);
    h.series = reader_u64le(&r);
    h.body_bytes = reader_u64le(&r);
    h.first_ms = (int64_t)reader_u64le(&r);
    h.last_ms = (int64_t)reader_u64le(&r);
    if (!reader_ok(&r) || memcmp(start.ptr, magic, sizeof(magic)) != 0 || kind > CORPUS_CSV ||
        h.shards == 0 || h.shards > CORPUS_SHARDS_MAX) {
        return err_set(err, ERR_CORRUPT, "not a corpus of cardinal-load");
    }
    h.kind = (CorpusKind)kind;
    *out = h;
    return OK;
}
