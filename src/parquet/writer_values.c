// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "parquet/writer_internal.h"

void writer_values_deinit(WriterValues *values)
{
    buf_deinit(&values->buf);
    buf_deinit(&values->bytes);
    writer_u32s_free(&values->offsets);
}

#define GATHER(T, name)                                                                            \
    static void gather_##name(T *out, const T *pool, const WriterSlots *s)                         \
    {                                                                                              \
        if (s->form == WRITER_REFS) {                                                              \
            for (uint32_t i = 0; i < s->ref_count; i++) {                                          \
                out[i] = pool[s->refs[i]];                                                         \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (uint32_t run = 0; run < s->ref_count; run++) {                                        \
            const T value = pool[s->refs[run]];                                                    \
            for (uint32_t i = 0; i < s->counts[run]; i++) {                                        \
                *out++ = value;                                                                    \
            }                                                                                      \
        }                                                                                          \
    }
typedef struct Wide {
    uint64_t half[2];
} Wide;
GATHER(uint8_t, 1)
GATHER(uint32_t, 4)
GATHER(uint64_t, 8)
GATHER(Wide, 16)
#undef GATHER

void writer_values_gather(WriterValues *values, const WriterView *view, const WriterSlots *slots)
{
    const uint32_t width = view->leaf->width;
    values->count = slots->value_count;
    if (slots->form == WRITER_RANGE) {
        values->fixed = slots->value_count == 0
                            ? NULL
                            : (const uint8_t *)view->fixed + (size_t)slots->first * width;
        return;
    }
    buf_clear(&values->buf);
    // Buf memory comes from malloc: aligned for all widths.
    void *out = buf_reserve(&values->buf, (size_t)slots->value_count * width + 1);
    ASSERT(out != NULL);
    switch (width) {
    case 1:
        gather_1(out, view->fixed, slots);
        break;
    case 4:
        gather_4(out, view->fixed, slots);
        break;
    case 8:
        gather_8(out, view->fixed, slots);
        break;
    case 16:
        gather_16(out, view->fixed, slots);
        break;
    default:
        UNREACHABLE();
    }
    values->fixed = out;
}

Bytes writer_view_bytes(const WriterView *view, uint32_t ref)
{
    if (view->fixed != NULL) {
        return (Bytes){.ptr = (const uint8_t *)view->fixed + (size_t)ref * view->leaf->width,
                       .len = view->leaf->width};
    }
    const Str s = vector_flat_str(view->pool, ref);
    return (Bytes){.ptr = (const uint8_t *)s.ptr, .len = s.len};
}

void writer_values_gather_text(WriterValues *values, const WriterView *view,
                               const WriterSlots *slots)
{
    values->count = slots->value_count;
    values->offsets.len = 0;
    buf_clear(&values->bytes);
    uint32_t *offset = writer_u32s_room(&values->offsets, (size_t)slots->value_count + 1);
    *offset++ = 0;
    (void)buf_reserve(&values->bytes, 1); // texts of no bytes are somewhere, too
    const bool in_runs = slots->form == WRITER_RUNS;
    const uint32_t n = slots->form == WRITER_RANGE ? slots->value_count : slots->ref_count;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t ref = slots->form == WRITER_RANGE ? slots->first + i : slots->refs[i];
        const Bytes text = writer_view_bytes(view, ref);
        for (uint32_t left = in_runs ? slots->counts[i] : 1; left != 0; left--) {
            buf_put(&values->bytes, text.ptr, text.len);
            *offset++ = (uint32_t)values->bytes.len;
        }
    }
}

void writer_put_plain(const WriterView *view, const uint32_t *refs, size_t count, Buf *out)
{
    const bool sized = view->leaf->width == 0;
    for (size_t i = 0; i < count; i++) {
        const Bytes value = writer_view_bytes(view, refs[i]);
        if (sized) {
            buf_put_u32le(out, (uint32_t)value.len);
        }
        buf_put(out, value.ptr, value.len);
    }
}

static int sign(bool less, bool greater)
{
    return (int)greater - (int)less;
}

static int compare_bytes(Bytes a, Bytes b)
{
    const size_t n = a.len < b.len ? a.len : b.len;
    const int order = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
    return order != 0 ? order : sign(a.len<b.len, a.len> b.len);
}

static double value_f64(WriterOrder order, const WriterValue *v)
{
    double d = 0;
    if (order == WRITER_F32) {
        float f = 0;
        const uint32_t bits = (uint32_t)v->bits;
        memcpy(&f, &bits, sizeof(f));
        return (double)f;
    }
    memcpy(&d, &v->bits, sizeof(d));
    return d;
}

int writer_value_compare(WriterOrder order, const WriterValue *a, const WriterValue *b)
{
    switch (order) {
    case WRITER_BOOL:
    case WRITER_U32:
    case WRITER_U64:
        return sign(a->bits<b->bits, a->bits> b->bits);
    case WRITER_I32:
        return sign((int32_t)a->bits<(int32_t)b->bits, (int32_t)a->bits>(int32_t) b->bits);
    case WRITER_I64:
        return sign((int64_t)a->bits<(int64_t)b->bits, (int64_t)a->bits>(int64_t) b->bits);
    case WRITER_F32:
    case WRITER_F64:
        return sign(value_f64(order, a) < value_f64(order, b),
                    value_f64(order, a) > value_f64(order, b));
    case WRITER_BYTES:
        return compare_bytes(a->bytes, b->bytes);
    }
    UNREACHABLE();
}

Bytes writer_value_plain(const WriterLeaf *leaf, const WriterValue *v, uint8_t into[static 8])
{
    if (leaf->order == WRITER_BYTES) {
        return v->bytes;
    }
    for (uint32_t i = 0; i < leaf->width; i++) {
        into[i] = (uint8_t)(v->bits >> (8 * i));
    }
    return (Bytes){.ptr = into, .len = leaf->width};
}

void writer_range_add(const WriterLeaf *leaf, WriterRange *range, const WriterRange *other)
{
    range->nan |= other->nan;
    if (!other->has) {
        return;
    }
    if (!range->has || writer_value_compare(leaf->order, &other->min, &range->min) < 0) {
        range->min = other->min;
    }
    if (!range->has || writer_value_compare(leaf->order, &other->max, &range->max) > 0) {
        range->max = other->max;
    }
    range->has = true;
}

// Adds one to the last character of text[0..len) that can take it, and ends the text there. UTF-8
// stays UTF-8. Returns the new length, 0 when there is no such character.
static size_t bump(uint8_t *text, size_t len, bool is_utf8)
{
    while (len != 0) {
        size_t at = len - 1;
        while (is_utf8 && at != 0 && (text[at] & 0xc0) == 0x80) {
            at--;
        }
        const uint8_t last = text[len - 1];
        // Within UTF-8 only the last byte is raised, and only while that neither passes the end of
        // its kind (0x7f, 0xbf) nor makes a lead byte of it: fewer bounds, no code points to
        // decode.
        const uint8_t top = !is_utf8 ? 0xff : at == len - 1 ? 0x7f : 0xbf;
        if (last < top) {
            text[len - 1]++;
            return len;
        }
        len = at;
    }
    return 0;
}

bool writer_bound_cut(Bytes text, bool is_utf8, bool upper, size_t max_len, Arena *arena,
                      Bytes *out)
{
    *out = text;
    if (text.len <= max_len) {
        return false;
    }
    size_t len = max_len;
    while (is_utf8 && len != 0 && (text.ptr[len] & 0xc0) == 0x80) {
        len--; // not within a character
    }
    uint8_t *cut = arena_new(arena, uint8_t, len + 1);
    memcpy(cut, text.ptr, len);
    if (upper) {
        len = bump(cut, len, is_utf8);
        if (len == 0) {
            return false; // nothing short is above it
        }
    }
    *out = (Bytes){.ptr = cut, .len = len};
    return true;
}
