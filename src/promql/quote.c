// SPDX-License-Identifier: Apache-2.0
#include "promql/quote.h"

#include "base/utf8.h"

uint32_t quote_rune_at(Str s, size_t at, size_t *width)
{
    const uint8_t *p = (const uint8_t *)s.ptr + at;
    const size_t len = p[0] < 0x80 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (utf8_valid_len(str_slice(s, at, at + len)) != len) {
        *width = 1;
        return QUOTE_RUNE_ERROR;
    }
    static const uint8_t lead_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t rune = p[0] & lead_bits[len];
    for (size_t i = 1; i < len; i++) {
        rune = rune << 6 | (p[i] & 0x3F);
    }
    *width = len;
    return rune;
}

void quote_put_utf8(Buf *out, uint32_t rune)
{
    if (rune < 0x80) {
        buf_put_u8(out, (uint8_t)rune);
        return;
    }
    if (rune < 0x800) {
        buf_put_u8(out, (uint8_t)(0xC0 | rune >> 6));
    } else if (rune < 0x10000) {
        buf_put_u8(out, (uint8_t)(0xE0 | rune >> 12));
        buf_put_u8(out, (uint8_t)(0x80 | (rune >> 6 & 0x3F)));
    } else {
        buf_put_u8(out, (uint8_t)(0xF0 | rune >> 18));
        buf_put_u8(out, (uint8_t)(0x80 | (rune >> 12 & 0x3F)));
        buf_put_u8(out, (uint8_t)(0x80 | (rune >> 6 & 0x3F)));
    }
    buf_put_u8(out, (uint8_t)(0x80 | (rune & 0x3F)));
}

// Go's strconv.IsPrint, but for code points that Unicode has not assigned, which count as printable
// here: control and format characters, spaces other than ' ', private use, noncharacters.
static bool is_print(uint32_t rune)
{
    static const struct {
        uint32_t first, last;
    } hidden[] = {
        {0x00, 0x1F},       {0x7F, 0xA0},        {0xAD, 0xAD},       {0x600, 0x605},
        {0x61C, 0x61C},     {0x6DD, 0x6DD},      {0x70F, 0x70F},     {0x890, 0x891},
        {0x8E2, 0x8E2},     {0x1680, 0x1680},    {0x180E, 0x180E},   {0x2000, 0x200F},
        {0x2028, 0x202F},   {0x205F, 0x206F},    {0x3000, 0x3000},   {0xD800, 0xF8FF},
        {0xFEFF, 0xFEFF},   {0xFFF9, 0xFFFB},    {0xFFFE, 0xFFFF},   {0x110BD, 0x110BD},
        {0x110CD, 0x110CD}, {0x13430, 0x1343F},  {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A},
        {0xE0000, 0xE007F}, {0xF0000, 0x10FFFF},
    };
    for (size_t i = 0; i < ARRAY_LEN(hidden) && hidden[i].first <= rune; i++) {
        if (rune <= hidden[i].last) {
            return false;
        }
    }
    return true;
}

static void put_escaped(Buf *out, uint32_t rune, char quote)
{
    static const char letters[] = "abtnvfr"; // of 7 to 13
    if (rune == (uint32_t)quote || rune == '\\') {
        buf_putf(out, "\\%c", (char)rune);
    } else if (is_print(rune)) {
        quote_put_utf8(out, rune);
    } else if (rune >= 7 && rune <= 13) {
        buf_putf(out, "\\%c", letters[rune - 7]);
    } else if (rune < ' ' || rune == 0x7F) {
        buf_putf(out, "\\x%02x", rune);
    } else if (rune < 0x10000) {
        buf_putf(out, "\\u%04x", rune);
    } else {
        buf_putf(out, "\\U%08x", rune);
    }
}

static void put_runes(Buf *out, Str text, size_t runes)
{
    buf_put_u8(out, '"');
    for (size_t i = 0; i < text.len && runes > 0; runes--) {
        size_t width = 0;
        const uint32_t rune = quote_rune_at(text, i, &width);
        if (width == 1 && rune == QUOTE_RUNE_ERROR) {
            buf_putf(out, "\\x%02x", (uint8_t)text.ptr[i]);
        } else {
            put_escaped(out, rune, '"');
        }
        i += width;
    }
    buf_put_u8(out, '"');
}

void quote_put(Buf *out, Str text)
{
    put_runes(out, text, SIZE_MAX);
}

Str quote_cut_in(Arena *arena, Str text, size_t runes)
{
    Buf out;
    buf_init(&out, 0);
    put_runes(&out, text, runes);
    const Str quoted = arena_str(arena, buf_str(&out));
    buf_deinit(&out);
    return quoted;
}

Str quote_in(Arena *arena, Str text)
{
    return quote_cut_in(arena, text, SIZE_MAX);
}

void quote_put_rune(Buf *out, uint32_t rune)
{
    buf_put_u8(out, '\'');
    put_escaped(out, rune, '\'');
    buf_put_u8(out, '\'');
}

void quote_put_rune_unicode(Buf *out, uint32_t rune)
{
    buf_putf(out, "U+%04X", rune);
    if (is_print(rune)) {
        buf_put_str(out, STR(" '"));
        quote_put_utf8(out, rune);
        buf_put_u8(out, '\'');
    }
}

// Reads `digits` digits at *i. False: there are fewer.
static bool read_digits(Str text, size_t *i, size_t digits, uint32_t base, uint32_t *out)
{
    *out = 0;
    for (size_t n = 0; n < digits; n++, *i += 1) {
        if (*i >= text.len) {
            return false;
        }
        const char c = text.ptr[*i];
        const uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                               : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                               : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                      : 16;
        if (digit >= base) {
            return false;
        }
        *out = *out * base + digit;
    }
    return true;
}

// One escape sequence, *i just after its backslash.
static bool unescape(Str text, size_t *i, char quote, Buf *out)
{
    static const char names[] = "abtnvfr"; // of 7 to 13
    if (*i >= text.len) {
        return false;
    }
    const char c = text.ptr[(*i)++];
    const char *name = c == '\0' ? NULL : strchr(names, c);
    uint32_t value = 0;
    if (c == '\\' || c == quote) {
        buf_put_u8(out, (uint8_t)c);
        return true;
    }
    if (name != NULL) {
        buf_put_u8(out, (uint8_t)(7 + (name - names)));
        return true;
    }
    if (c == 'x' || (c >= '0' && c <= '7')) {
        *i -= c == 'x' ? 0 : 1;
        const bool ok =
            c == 'x' ? read_digits(text, i, 2, 16, &value) : read_digits(text, i, 3, 8, &value);
        buf_put_u8(out, (uint8_t)value); // a byte, not a code point
        return ok && value <= 0xFF;
    }
    if ((c != 'u' && c != 'U') || !read_digits(text, i, c == 'u' ? 4 : 8, 16, &value) ||
        value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
        return false;
    }
    quote_put_utf8(out, value);
    return true;
}

bool quote_unquote(Str literal, Buf *out)
{
    if (literal.len < 2 || literal.ptr[0] != literal.ptr[literal.len - 1] ||
        memchr("\"'`", literal.ptr[0], 3) == NULL) {
        return false;
    }
    const char quote = literal.ptr[0];
    const Str text = str_slice(literal, 1, literal.len - 1);
    for (size_t i = 0; i < text.len;) {
        const char c = text.ptr[i++];
        if (c == quote || (c == '\n' && quote != '`')) {
            return false;
        }
        if (c != '\\' || quote == '`') {
            buf_put_u8(out, (uint8_t)c);
        } else if (!unescape(text, &i, quote, out)) {
            return false;
        }
    }
    return true;
}

void quote_put_duration(Buf *out, int64_t ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
        bool exact;
    } units[] = {
        {"y", INT64_C(365) * 24 * 3600 * 1000, true},
        {"w", INT64_C(7) * 24 * 3600 * 1000, true},
        {"d", INT64_C(24) * 3600 * 1000, false},
        {"h", INT64_C(3600) * 1000, false},
        {"m", INT64_C(60) * 1000, false},
        {"s", INT64_C(1000), false},
        {"ms", 1, false},
    };
    if (ms == 0) {
        buf_put_str(out, STR("0s"));
    }
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if ((!units[i].exact || ms % units[i].ms == 0) && ms / units[i].ms > 0) {
            buf_putf(out, "%" PRId64 "%s", ms / units[i].ms, units[i].unit);
            ms %= units[i].ms;
        }
    }
}

bool quote_is_plain_label(Str name)
{
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.ptr[i];
        if (c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') &&
            (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return name.len > 0;
}
