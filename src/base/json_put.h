// SPDX-License-Identifier: Apache-2.0
//
// Text as JSON (RFC 8259). Pure function, any thread.
#pragma once

#include "base/buf.h"
#include "base/str.h"

// Appends `s` as a JSON string with quotes; bytes that are not UTF-8 become U+FFFD.
void json_put_string(Buf *out, Str s);
