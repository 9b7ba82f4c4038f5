// SPDX-License-Identifier: Apache-2.0
//
// UTF-8 checks (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
#pragma once

#include "base/str.h"

// The number of leading bytes of `s` that are valid UTF-8; s.len when all of it is.
size_t utf8_valid_len(Str s);

static inline bool utf8_is_valid(Str s)
{
    return utf8_valid_len(s) == s.len;
}

// The bytes of a code point; 0 when it is none (a surrogate, above U+10FFFF).
size_t utf8_encode(uint32_t c, uint8_t out[static 4]);
