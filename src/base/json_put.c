// SPDX-License-Identifier: Apache-2.0
#include "base/json_put.h"

#include "base/utf8.h"

void json_put_string(Buf *out, Str s)
{
    static const char hex[] = "0123456789abcdef";
    buf_put_u8(out, '"');
    while (s.len > 0) {
        const size_t valid = utf8_valid_len(s);
        for (size_t i = 0, plain = 0; i <= valid; i++) {
            const uint8_t c = i < valid ? (uint8_t)s.ptr[i] : 0;
            if (i < valid && c >= 0x20 && c != '"' && c != '\\') {
                continue;
            }
            buf_put(out, s.ptr + plain, i - plain);
            plain = i + 1;
            if (i == valid) {
                break;
            }
            const char *escaped = c == '"'    ? "\\\""
                                  : c == '\\' ? "\\\\"
                                  : c == '\n' ? "\\n"
                                  : c == '\r' ? "\\r"
                                  : c == '\t' ? "\\t"
                                              : NULL;
            if (escaped != NULL) {
                buf_put(out, escaped, 2);
            } else {
                const char code[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
                buf_put(out, code, sizeof(code));
            }
        }
        s = str_slice(s, valid, s.len);
        if (s.len > 0) { // a byte that is not UTF-8
            buf_put_str(out, STR("\xef\xbf\xbd"));
            s = str_slice(s, 1, s.len);
        }
    }
    buf_put_u8(out, '"');
}
