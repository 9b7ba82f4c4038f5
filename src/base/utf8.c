// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.h"

// The length of the valid sequence at p, which has `left` bytes; 0 when there is none. The ranges
// of the second byte are the table of RFC 3629 section 4: they exclude overlong forms, surrogates
// and what lies above U+10FFFF, so later bytes need only be continuations.
static size_t sequence_len(const uint8_t *p, size_t left)
{
    const uint8_t lead = p[0];
    uint8_t low = 0x80, high = 0xbf;
    size_t len = 0;
    if (lead < 0x80) {
        return 1;
    }
    if (lead >= 0xc2 && lead <= 0xdf) {
        len = 2;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        len = 3;
        low = lead == 0xe0 ? 0xa0 : low;
        high = lead == 0xed ? 0x9f : high;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        len = 4;
        low = lead == 0xf0 ? 0x90 : low;
        high = lead == 0xf4 ? 0x8f : high;
    }
    if (len == 0 || len > left || p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

size_t utf8_valid_len(Str s)
{
    const uint8_t *p = (const uint8_t *)s.ptr;
    size_t i = 0;
    while (i < s.len) {
        // Nearly all text here is ASCII: eight bytes at a time while no byte has its top bit set.
        uint64_t word = 0;
        while (s.len - i >= sizeof(word)) {
            memcpy(&word, p + i, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) != 0) {
                break;
            }
            i += sizeof(word);
        }
        // Then up to and including the next character that is not ASCII, or the short tail.
        while (i < s.len && p[i] < 0x80) {
            i++;
        }
        while (i < s.len && p[i] >= 0x80) {
            const size_t len = sequence_len(p + i, s.len - i);
            if (len == 0) {
                return i;
            }
            i += len;
        }
    }
    return i;
}

size_t utf8_encode(uint32_t c, uint8_t out[static 4])
{
    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
        return 0;
    }
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}
