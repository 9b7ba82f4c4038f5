// SPDX-License-Identifier: Apache-2.0
//
// IPv4 and IPv6 addresses and networks as text and bytes (RFC 4291, RFC 5952). Pure functions, any
// thread.
#pragma once

#include "base/str.h"

enum { IP_TEXT_MAX = 64 }; // an address with prefix length, and a NUL

typedef struct IpAddress {
    bool is_v6;
    uint8_t bytes[16]; // network order; IPv4 in the first four, the others 0
} IpAddress;

typedef struct IpPrefix {
    IpAddress network; // bits behind the prefix are 0
    uint32_t bits;
} IpPrefix;

static inline uint32_t ip_bits(IpAddress ip)
{
    return ip.is_v6 ? 128 : 32;
}

bool ip_parse(Str s, IpAddress *out);       // no zone, no port, no leading zeros in IPv4
bool ip_parse_prefix(Str s, IpPrefix *out); // "10.0.0.0/8"; an address alone is a network of one
IpAddress ip_mask(IpAddress ip, uint32_t bits);
bool ip_prefix_contains(IpPrefix network, IpAddress ip); // false for the other family

// The canonical text, and its length; a NUL follows.
size_t ip_format(IpAddress ip, char out[static IP_TEXT_MAX]);
size_t ip_format_prefix(IpAddress ip, uint32_t bits, char out[static IP_TEXT_MAX]);
