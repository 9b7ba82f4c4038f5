// SPDX-License-Identifier: Apache-2.0
#include "base/ip.h"

#include "base/num.h"

#include <stdio.h>

static bool parse_v4(Str s, uint8_t out[4])
{
    size_t at = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t value = 0;
        size_t digits = 0;
        while (at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9' && digits < 4) {
            value = value * 10 + (uint32_t)(s.ptr[at++] - '0');
            digits++;
        }
        const bool leading_zero = digits > 1 && s.ptr[at - digits] == '0';
        if (digits == 0 || digits > 3 || value > 255 || leading_zero) {
            return false;
        }
        out[i] = (uint8_t)value;
        if (i < 3 && (at == s.len || s.ptr[at++] != '.')) {
            return false;
        }
    }
    return at == s.len;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

// Eight groups of 16 bits, of which the last two may be an IPv4 address; "::" stands once for one
// or more groups of zeros.
static bool parse_v6(Str s, uint8_t out[16])
{
    uint8_t groups[16] = {0};
    size_t count = 0; // bytes so far
    size_t gap = SIZE_MAX;
    size_t at = 0;

    if (s.len >= 2 && s.ptr[0] == ':' && s.ptr[1] == ':') {
        gap = 0;
        at = 2;
    }
    while (at < s.len) {
        const Str rest = str_slice(s, at, s.len);
        if (count <= 12 && memchr(rest.ptr, '.', rest.len) != NULL &&
            memchr(rest.ptr, ':', rest.len) == NULL) {
            if (!parse_v4(rest, groups + count)) {
                return false;
            }
            count += 4;
            at = s.len;
            break;
        }
        uint32_t value = 0;
        size_t digits = 0;
        while (at < s.len && hex_digit(s.ptr[at]) >= 0 && digits < 5) {
            value = value << 4 | (uint32_t)hex_digit(s.ptr[at++]);
            digits++;
        }
        if (digits == 0 || digits > 4 || count > 14) {
            return false;
        }
        groups[count++] = (uint8_t)(value >> 8);
        groups[count++] = (uint8_t)value;
        if (at == s.len) {
            break;
        }
        if (s.ptr[at++] != ':' || at == s.len) {
            return false;
        }
        if (s.ptr[at] == ':') {
            if (gap != SIZE_MAX) {
                return false;
            }
            gap = count;
            at++;
        }
    }
    if (gap == SIZE_MAX ? count != 16 : count > 14) {
        return false;
    }
    memset(out, 0, 16);
    if (gap == SIZE_MAX) {
        memcpy(out, groups, 16);
    } else {
        memcpy(out, groups, gap);
        memcpy(out + 16 - (count - gap), groups + gap, count - gap);
    }
    return true;
}

bool ip_parse(Str s, IpAddress *out)
{
    IpAddress ip = {0};
    ip.is_v6 = s.len != 0 && memchr(s.ptr, ':', s.len) != NULL;
    if (s.len == 0 || !(ip.is_v6 ? parse_v6(s, ip.bytes) : parse_v4(s, ip.bytes))) {
        return false;
    }
    *out = ip;
    return true;
}

bool ip_parse_prefix(Str s, IpPrefix *out)
{
    Str address = s;
    Str length = {0};
    IpPrefix prefix = {0};
    uint64_t bits = 0;
    const bool has_length = str_cut(s, '/', &address, &length);

    if (!ip_parse(address, &prefix.network)) {
        return false;
    }
    bits = ip_bits(prefix.network);
    if (has_length && (!num_parse_u64(length, &bits) || bits > ip_bits(prefix.network))) {
        return false;
    }
    prefix.bits = (uint32_t)bits;
    prefix.network = ip_mask(prefix.network, prefix.bits);
    *out = prefix;
    return true;
}

IpAddress ip_mask(IpAddress ip, uint32_t bits)
{
    for (uint32_t i = 0; i < 16; i++) {
        const uint32_t keep = bits <= i * 8 ? 0 : bits - i * 8 >= 8 ? 8 : bits - i * 8;
        ip.bytes[i] &= (uint8_t)(0xff00U >> keep);
    }
    return ip;
}

bool ip_prefix_contains(IpPrefix network, IpAddress ip)
{
    const IpAddress masked = ip_mask(ip, network.bits);
    return ip.is_v6 == network.network.is_v6 &&
           memcmp(masked.bytes, network.network.bytes, sizeof(masked.bytes)) == 0;
}

// The longest run of zero groups, the first of equals, of at least two (RFC 5952, 4.2).
static void longest_gap(const uint16_t groups[8], int *first, int *count)
{
    *first = -1;
    *count = 1;
    for (int i = 0; i < 8; i++) {
        int n = 0;
        while (i + n < 8 && groups[i + n] == 0) {
            n++;
        }
        if (n > *count) {
            *first = i;
            *count = n;
        }
    }
}

size_t ip_format(IpAddress ip, char out[static IP_TEXT_MAX])
{
    const uint8_t *b = ip.bytes;
    size_t len = 0;
    uint16_t groups[8];
    int gap = 0;
    int gap_count = 0;

    if (!ip.is_v6) {
        return (size_t)snprintf(out, IP_TEXT_MAX, "%d.%d.%d.%d", b[0], b[1], b[2], b[3]);
    }
    for (size_t i = 0; i < 8; i++) {
        groups[i] = (uint16_t)(b[2 * i] << 8 | b[2 * i + 1]);
    }
    if (groups[5] == 0xffff && (groups[0] | groups[1] | groups[2] | groups[3] | groups[4]) == 0) {
        return (size_t)snprintf(out, IP_TEXT_MAX, "::ffff:%d.%d.%d.%d", b[12], b[13], b[14], b[15]);
    }
    longest_gap(groups, &gap, &gap_count);
    for (int i = 0; i < 8; i++) {
        if (i == gap) {
            len += (size_t)snprintf(out + len, IP_TEXT_MAX - len, "::");
            i += gap_count - 1;
            continue;
        }
        len += (size_t)snprintf(out + len, IP_TEXT_MAX - len, "%s%x",
                                i == 0 || (gap >= 0 && i == gap + gap_count) ? "" : ":", groups[i]);
    }
    return len;
}

size_t ip_format_prefix(IpAddress ip, uint32_t bits, char out[static IP_TEXT_MAX])
{
    const size_t len = ip_format(ip, out);
    return len + (size_t)snprintf(out + len, IP_TEXT_MAX - len, "/%u", bits);
}
