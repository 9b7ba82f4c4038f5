// SPDX-License-Identifier: Apache-2.0
#include "store/wal_internal.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/reader.h"
#include "codec/crc.h"

#include <stdio.h>

static const uint8_t segment_magic[8] = {'C', 'A', 'R', 'D', 'W', 'A', 'L', '\n'};
static const uint8_t frame_magic[4] = {0xC4, 'W', 'F', 0x9E};

enum { FLAG_CONTINUES = 1, TABLE_END = INT32_MAX };

static void put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static void put_u32(uint8_t *p, uint32_t v)
{
    put_u16(p, (uint16_t)v);
    put_u16(p + 2, (uint16_t)(v >> 16));
}

static void put_u64(uint8_t *p, uint64_t v)
{
    put_u32(p, (uint32_t)v);
    put_u32(p + 4, (uint32_t)(v >> 32));
}

static uint32_t crc_of(const uint8_t *p, size_t n)
{
    return crc_castagnoli(0, (Bytes){.ptr = p, .len = n});
}

void wal_encode_segment_header(const WalSegmentHeader *h,
                               uint8_t out[static WAL_SEGMENT_HEADER_BYTES])
{
    memset(out, 0, WAL_SEGMENT_HEADER_BYTES);
    memcpy(out, segment_magic, sizeof(segment_magic));
    put_u32(out + 8, WAL_FORMAT_VERSION);
    put_u32(out + 12, h->continues ? FLAG_CONTINUES : 0);
    put_u64(out + 16, h->id);
    put_u64(out + 24, h->first_sequence);
    put_u64(out + 32, h->previous_id);
    put_u64(out + 40, (uint64_t)h->created_us);
    put_u32(out + 60, crc_of(out, 60));
}

Status wal_decode_segment_header(const uint8_t in[static WAL_SEGMENT_HEADER_BYTES],
                                 WalSegmentHeader *out, Err *err)
{
    Reader r = reader_of((Bytes){.ptr = in, .len = WAL_SEGMENT_HEADER_BYTES});
    const Bytes magic = reader_bytes(&r, sizeof(segment_magic));
    const uint32_t version = reader_u32le(&r);
    const uint32_t flags = reader_u32le(&r);
    *out = (WalSegmentHeader){.continues = (flags & FLAG_CONTINUES) != 0};
    out->id = reader_u64le(&r);
    out->first_sequence = reader_u64le(&r);
    out->previous_id = reader_u64le(&r);
    out->created_us = (int64_t)reader_u64le(&r);
    (void)reader_bytes(&r, 12); // reserved
    const uint32_t crc = reader_u32le(&r);
    ASSERT(reader_ok(&r));
    if (memcmp(magic.ptr, segment_magic, sizeof(segment_magic)) != 0) {
        return err_set(err, ERR_CORRUPT, "not a segment of the write-ahead log");
    }
    if (crc != crc_of(in, 60)) {
        return err_set(err, ERR_CORRUPT, "checksum of the segment header does not match");
    }
    if (version != WAL_FORMAT_VERSION) {
        return err_set(err, ERR_UNSUPPORTED,
                       "segment of version %" PRIu32 ", this program knows %d", version,
                       WAL_FORMAT_VERSION);
    }
    if (out->id == 0 || out->first_sequence == 0 || out->first_sequence > WAL_SEQUENCE_MAX) {
        return err_set(err, ERR_CORRUPT, "segment header without id or first sequence");
    }
    return OK;
}

void wal_encode_frame_header(const WalFrameHeader *h, uint8_t out[static WAL_FRAME_HEADER_BYTES])
{
    memcpy(out, frame_magic, sizeof(frame_magic));
    put_u32(out + 8, h->length);
    put_u32(out + 12, h->payload_crc);
    put_u64(out + 24, h->sequence);
    put_u32(out + 32, h->table);
    put_u16(out + 36, h->shard);
    put_u16(out + 38, h->kind);
    wal_bind_frame_header(out, h->segment_id, h->pending);
}

void wal_bind_frame_header(uint8_t header[static WAL_FRAME_HEADER_BYTES], uint64_t segment_id,
                           uint32_t pending)
{
    put_u64(header + 16, segment_id);
    put_u32(header + 40, pending);
    put_u32(header + 4, crc_of(header + 8, WAL_FRAME_HEADER_BYTES - 8));
}

bool wal_decode_frame_header(const uint8_t in[static WAL_FRAME_HEADER_BYTES], WalFrameHeader *out)
{
    *out = (WalFrameHeader){0};
    if (memcmp(in, frame_magic, sizeof(frame_magic)) != 0) {
        return false;
    }
    Reader r = reader_of((Bytes){.ptr = in + 4, .len = WAL_FRAME_HEADER_BYTES - 4});
    const uint32_t crc = reader_u32le(&r);
    if (crc != crc_of(in + 8, WAL_FRAME_HEADER_BYTES - 8)) {
        return false;
    }
    out->length = reader_u32le(&r);
    out->payload_crc = reader_u32le(&r);
    out->segment_id = reader_u64le(&r);
    out->sequence = reader_u64le(&r);
    out->table = reader_u32le(&r);
    const uint32_t shard_kind = reader_u32le(&r);
    out->shard = (uint16_t)shard_kind;
    out->kind = (uint16_t)(shard_kind >> 16);
    out->pending = reader_u32le(&r);
    return out->length <= WAL_FRAME_BYTES_MAX && out->sequence != 0 &&
           out->sequence <= WAL_SEQUENCE_MAX && out->table <= TABLE_END &&
           out->shard < WAL_SHARDS && out->pending < out->sequence;
}

size_t wal_find_magic(Bytes in, size_t from)
{
    while (in.len - from >= sizeof(frame_magic)) {
        const uint8_t *at = memchr(in.ptr + from, frame_magic[0], in.len - from);
        if (at == NULL) {
            return in.len;
        }
        from = (size_t)(at - in.ptr);
        const size_t n = in.len - from < sizeof(frame_magic) ? in.len - from : sizeof(frame_magic);
        if (memcmp(at, frame_magic, n) == 0) {
            return from; // perhaps only the beginning of one, at the end of the input
        }
        from++;
    }
    return in.len - from == 0 ? in.len : from;
}

bool wal_parse_name(Str name, uint64_t *first_sequence)
{
    const Str digits = str_slice(name, 0, 20);
    return name.len == WAL_NAME_BYTES && str_eq(str_slice(name, 20, name.len), STR(".wal")) &&
           digits.ptr[0] != '-' && digits.ptr[0] != '+' && num_parse_u64(digits, first_sequence) &&
           *first_sequence != 0 && *first_sequence <= WAL_SEQUENCE_MAX;
}

bool wal_parse_spare_name(Str name, uint64_t *number)
{
    if (name.len != WAL_SPARE_NAME_BYTES || !str_eq(str_slice(name, 0, 5), STR("free-")) ||
        !str_eq(str_slice(name, 21, name.len), STR(".tmp"))) {
        return false;
    }
    *number = 0;
    for (size_t i = 5; i < 21; i++) {
        const char c = name.ptr[i];
        if (c >= '0' && c <= '9') {
            *number = *number << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            *number = *number << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return false;
        }
    }
    return true;
}

Str wal_path(Arena *arena, Str dir, Str name)
{
    char *path = arena_new(arena, char, dir.len + 1 + name.len + 1);
    memcpy(path, dir.ptr, dir.len);
    path[dir.len] = '/';
    memcpy(path + dir.len + 1, name.ptr, name.len);
    return (Str){.ptr = path, .len = dir.len + 1 + name.len};
}

Str wal_segment_path(Arena *arena, Str dir, uint64_t first_sequence)
{
    char name[WAL_NAME_BYTES + 1];
    const int n = snprintf(name, sizeof(name), "%020" PRIu64 ".wal", first_sequence);
    ASSERT(n == WAL_NAME_BYTES);
    return wal_path(arena, dir, (Str){.ptr = name, .len = WAL_NAME_BYTES});
}

Str wal_spare_path(Arena *arena, Str dir, uint64_t number)
{
    char name[WAL_SPARE_NAME_BYTES + 1];
    const int n = snprintf(name, sizeof(name), "free-%016" PRIx64 ".tmp", number);
    ASSERT(n == WAL_SPARE_NAME_BYTES);
    return wal_path(arena, dir, (Str){.ptr = name, .len = WAL_SPARE_NAME_BYTES});
}

void wal_segments_push(WalSegments *s, WalSegment segment)
{
    s->ptr = mem_grow(s->ptr, &s->cap, s->count + 1, sizeof(*s->ptr));
    s->ptr[s->count++] = segment;
}
