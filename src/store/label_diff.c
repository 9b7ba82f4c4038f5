// SPDX-License-Identifier: Apache-2.0
#include "store/label_diff.h"

#include "codec/varint.h"

enum { LABELS_MAX = 64, TAG_LABEL = 0x0A };

// The end of the label that begins at p; NULL when there is none.
static const uint8_t *label_end(const uint8_t *p, const uint8_t *end)
{
    uint64_t len = 0;
    if (p == end || *p != TAG_LABEL) {
        return NULL;
    }
    p = varint_read_u64(p + 1, end, &len);
    return p == NULL || len > (uint64_t)(end - p) ? NULL : p + len;
}

typedef struct Diff {
    uint64_t same;                     // bit i: label i is as before
    const uint8_t *starts[LABELS_MAX]; // of label i
    uint32_t count;
    const uint8_t *rest; // what comes behind them: labels that are too many, or other fields
} Diff;

static void compare(Bytes wire, Bytes before, Diff *out)
{
    const uint8_t *end = wire.ptr + wire.len;
    const uint8_t *p = wire.ptr;
    const uint8_t *other = before.len == 0 ? NULL : before.ptr;
    const uint8_t *other_end = other == NULL ? NULL : other + before.len;
    out->same = 0;
    for (out->count = 0; out->count < LABELS_MAX && other != NULL; out->count++) {
        const uint8_t *next = label_end(p, end);
        const uint8_t *other_next = label_end(other, other_end);
        if (next == NULL || other_next == NULL) {
            break;
        }
        const size_t len = (size_t)(next - p);
        const bool same = len == (size_t)(other_next - other) && memcmp(p, other, len) == 0;
        out->same |= (uint64_t)same << out->count;
        out->starts[out->count] = p;
        p = next;
        other = other_next;
    }
    out->rest = p;
}

static uint8_t *put(uint8_t *out, const uint8_t *from, const uint8_t *to)
{
    const size_t len = (size_t)(to - from);
    if (len != 0) {
        memcpy(out, from, len);
    }
    return out + len;
}

uint8_t *label_diff_write(uint8_t *out, Bytes wire, Bytes before)
{
    Diff diff;
    compare(wire, before, &diff);
    out = varint_write_u64(out, (uint64_t)wire.len << 1 | (uint64_t)(diff.same != 0));
    if (diff.same == 0) {
        return put(out, wire.ptr, wire.ptr + wire.len);
    }
    out = varint_write_u64(out, diff.same);
    for (uint32_t i = 0; i < diff.count; i++) {
        const uint8_t *end = i + 1 < diff.count ? diff.starts[i + 1] : diff.rest;
        out = (diff.same >> i & 1) != 0 ? out : put(out, diff.starts[i], end);
    }
    return put(out, diff.rest, wire.ptr + wire.len);
}

// The rest of the set, which has `len` bytes; its first labels come from `before` as `same` says.
static bool read_labels(Reader *in, uint64_t len, uint64_t same, Bytes before, Buf *out)
{
    const uint8_t *other = before.len == 0 ? NULL : before.ptr;
    const uint8_t *other_end = other == NULL ? NULL : other + before.len;
    for (uint32_t i = 0; i < LABELS_MAX && same >> i != 0; i++) {
        const uint8_t *other_next = other == NULL ? NULL : label_end(other, other_end);
        const uint8_t *from = other;
        const uint8_t *to = other_next;
        if (other_next == NULL) {
            return false;
        }
        if ((same >> i & 1) == 0) {
            from = in->pos;
            to = label_end(in->pos, in->end);
            if (to == NULL) {
                return false;
            }
            in->pos = to;
        }
        other = other_next;
        if ((uint64_t)(to - from) > len - out->len) {
            return false;
        }
        buf_put(out, from, (size_t)(to - from));
    }
    const Bytes rest = reader_bytes(in, len - out->len);
    buf_put(out, rest.ptr, rest.len);
    return reader_ok(in);
}

Status label_diff_read(Reader *in, Bytes before, Buf *out, Err *err)
{
    const uint64_t head = varint_get_u64(in);
    const uint64_t same = (head & 1) != 0 ? varint_get_u64(in) : 0;
    buf_clear(out);
    if (!reader_ok(in) || (same == 0 && (head & 1) != 0) ||
        !read_labels(in, head >> 1, same, before, out)) {
        return err_set(err, ERR_CORRUPT, "bad labels");
    }
    return OK;
}
