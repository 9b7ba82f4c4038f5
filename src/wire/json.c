// SPDX-License-Identifier: Apache-2.0
#include "wire/json.h"

#include "base/num.h"
#include "base/utf8.h"

#include <math.h>

// What the grammar allows at the current position.
enum {
    EXPECT_VALUE,
    EXPECT_VALUE_OR_END, // right after '['
    EXPECT_KEY,          // after ',' in an object
    EXPECT_KEY_OR_END,   // right after '{'
    EXPECT_COMMA_OR_END, // after a value in an object or array
    EXPECT_NOTHING,      // after the one value of the text
};

const char *json_kind_text(JsonKind kind)
{
    switch (kind) {
    case JSON_END:
        return "the end";
    case JSON_NULL:
        return "null";
    case JSON_BOOL:
        return "a boolean";
    case JSON_INT:
    case JSON_UINT:
        return "an integer";
    case JSON_DOUBLE:
        return "a fractional number";
    case JSON_STRING:
        return "a string";
    case JSON_KEY:
        return "a key";
    case JSON_OBJECT_BEGIN:
    case JSON_OBJECT_END:
        return "an object";
    case JSON_ARRAY_BEGIN:
    case JSON_ARRAY_END:
        return "an array";
    }
    UNREACHABLE();
}

void json_init(JsonReader *r, Bytes text, bool utf8_checked, Arena *arena)
{
    static const uint8_t nothing = 0;
    const uint8_t *begin = text.len == 0 ? &nothing : text.ptr;
    *r = (JsonReader){.begin = begin,
                      .pos = begin,
                      .end = begin + text.len,
                      .arena = arena,
                      .expect = EXPECT_VALUE,
                      .utf8_checked = utf8_checked};
}

static Status bad(const JsonReader *r, const uint8_t *at, const char *expected, Err *err)
{
    const size_t byte = (size_t)(at - r->begin) + 1;
    if (at >= r->end) {
        return err_set(err, ERR_INVALID, "byte %zu: expected %s, found the end", byte, expected);
    }
    if (*at < 0x20 || *at >= 0x7f) {
        return err_set(err, ERR_INVALID, "byte %zu: expected %s, found byte 0x%02x", byte, expected,
                       (unsigned)*at);
    }
    return err_set(err, ERR_INVALID, "byte %zu: expected %s, found '%c'", byte, expected, *at);
}

static inline void skip_blanks(JsonReader *r)
{
    while (r->pos < r->end &&
           (*r->pos == ' ' || *r->pos == '\n' || *r->pos == '\r' || *r->pos == '\t')) {
        r->pos++;
    }
}

// ---- Strings

// The first byte of [p, end) that is '"', '\\' or below 0x20. Eight at a time: a byte of x is
// marked when it was below n, or when it is zero after the xor (Mycroft's test; exact for the
// lowest mark).
static const uint8_t *find_special(const uint8_t *p, const uint8_t *end)
{
    static const uint64_t ones = UINT64_C(0x0101010101010101);
    static const uint64_t tops = UINT64_C(0x8080808080808080);
    while (end - p >= 8) {
        uint64_t x = 0;
        memcpy(&x, p, sizeof(x));
        const uint64_t quote = x ^ (ones * '"');
        const uint64_t slash = x ^ (ones * '\\');
        const uint64_t marks =
            (((x - ones * 0x20) & ~x) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) &
            tops;
        if (marks != 0) {
            break;
        }
        p += 8;
    }
    while (p < end && *p != '"' && *p != '\\' && *p >= 0x20) {
        p++;
    }
    return p;
}

static bool parse_hex4(const uint8_t *p, const uint8_t *end, uint32_t *out)
{
    uint32_t v = 0;
    if (end - p < 4) {
        return false;
    }
    for (int i = 0; i < 4; i++) {
        const uint8_t c = p[i];
        const uint8_t l = c | 0x20;
        if (c >= '0' && c <= '9') {
            v = v << 4 | (uint32_t)(c - '0');
        } else if (l >= 'a' && l <= 'f') {
            v = v << 4 | (uint32_t)(l - 'a' + 10);
        } else {
            return false;
        }
    }
    *out = v;
    return true;
}

// "\uXXXX", or a pair of them; *p is behind the 'u'.
static Status decode_unicode(const JsonReader *r, const uint8_t **p, uint32_t *out, Err *err)
{
    uint32_t low = 0;
    if (!parse_hex4(*p, r->end, out)) {
        return bad(r, *p, "four hex digits", err);
    }
    *p += 4;
    if (*out < 0xd800 || *out > 0xdfff) {
        return OK;
    }
    if (*out >= 0xdc00 || r->end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u' ||
        !parse_hex4(*p + 2, r->end, &low) || low < 0xdc00 || low > 0xdfff) {
        return bad(r, *p - 4, "a pair of surrogates", err);
    }
    *out = 0x10000 + ((*out - 0xd800) << 10) + (low - 0xdc00);
    *p += 6;
    return OK;
}

static Status decode_escape(const JsonReader *r, const uint8_t **p, uint32_t *out, Err *err)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const uint8_t *at = *p;
    if (at < r->end && *at == 'u') {
        *p = at + 1;
        return decode_unicode(r, p, out, err);
    }
    const char *found = at < r->end && *at != 0 ? strchr(from, *at) : NULL;
    if (found == NULL) {
        return bad(r, at, "one of \"\\/bfnrtu after a backslash", err);
    }
    *out = (uint8_t)to[found - from];
    *p = at + 1;
    return OK;
}

// Where the string that starts at `p` ends: its closing quote, or r->end.
static const uint8_t *string_end(const JsonReader *r, const uint8_t *p)
{
    for (;;) {
        p = find_special(p, r->end);
        if (p >= r->end || *p != '\\') {
            return p;
        }
        p = r->end - p < 2 ? r->end : p + 2;
    }
}

// r->pos is behind the opening quote.
static Status read_string(JsonReader *r, Str *out, Err *err)
{
    const uint8_t *start = r->pos;
    const uint8_t *p = find_special(start, r->end);
    if (p < r->end && *p == '"') {
        *out = (Str){.ptr = (const char *)start, .len = (size_t)(p - start)};
        r->pos = p + 1;
        return OK;
    }
    const uint8_t *end = string_end(r, p);
    if (end >= r->end || *end != '"') {
        return bad(r, end, "a string's end", err);
    }
    // An escape is never shorter than what it stands for.
    uint8_t *text = arena_new(r->arena, uint8_t, (size_t)(end - start) + 1);
    size_t len = 0;
    p = start;
    while (p < end) {
        const uint8_t *special = find_special(p, end);
        memcpy(text + len, p, (size_t)(special - p));
        len += (size_t)(special - p);
        p = special;
        if (p < end) {
            uint32_t c = 0;
            p++;
            TRY(decode_escape(r, &p, &c, err));
            len += utf8_encode(c, text + len);
        }
    }
    *out = (Str){.ptr = (const char *)text, .len = len};
    r->pos = end + 1;
    return OK;
}

// ---- Numbers

static const uint8_t *skip_digits(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p >= '0' && *p <= '9') {
        p++;
    }
    return p;
}

// Checks the grammar of RFC 8259, section 6; *fractional: there is a fraction or an exponent.
static Status scan_number(const JsonReader *r, const uint8_t **end, bool *fractional, Err *err)
{
    const uint8_t *p = r->pos + (*r->pos == '-' ? 1 : 0);
    const uint8_t *digits = p;
    p = skip_digits(p, r->end);
    if (p == digits) {
        return bad(r, p, "a digit", err);
    }
    if (*digits == '0' && p - digits > 1) {
        return bad(r, digits + 1, "no digit after a leading zero", err);
    }
    *fractional = false;
    if (p < r->end && *p == '.') {
        *fractional = true;
        digits = ++p;
        p = skip_digits(p, r->end);
        if (p == digits) {
            return bad(r, p, "a digit after the decimal point", err);
        }
    }
    if (p < r->end && (*p | 0x20) == 'e') {
        *fractional = true;
        p++;
        p += p < r->end && (*p == '+' || *p == '-') ? 1 : 0;
        digits = p;
        p = skip_digits(p, r->end);
        if (p == digits) {
            return bad(r, p, "a digit of the exponent", err);
        }
    }
    *end = p;
    return OK;
}

static Status read_number(JsonReader *r, JsonToken *token, Err *err)
{
    const uint8_t *start = r->pos;
    const uint8_t *end = start;
    bool fractional = false;
    TRY(scan_number(r, &end, &fractional, err));
    token->str = (Str){.ptr = (const char *)start, .len = (size_t)(end - start)};
    r->pos = end;
    if (!fractional && num_parse_i64(token->str, &token->i64)) {
        token->kind = JSON_INT;
        return OK;
    }
    if (!fractional && num_parse_u64(token->str, &token->u64)) {
        token->kind = JSON_UINT;
        return OK;
    }
    token->kind = JSON_DOUBLE;
    if (!num_parse_f64(token->str, &token->f64) || !isfinite(token->f64)) {
        return bad(r, start, "a number within the range of a double", err);
    }
    return OK;
}

// ---- The grammar

static bool in_object(const JsonReader *r)
{
    return (r->object_bits >> (r->depth - 1) & 1) != 0;
}

static void after_value(JsonReader *r)
{
    r->expect = r->depth == 0 ? EXPECT_NOTHING : EXPECT_COMMA_OR_END;
}

static Status open_level(JsonReader *r, JsonToken *token, bool object, Err *err)
{
    if (r->depth == JSON_DEPTH_MAX) {
        return err_set(err, ERR_INVALID, "byte %zu: nested deeper than %d", token->offset + 1,
                       JSON_DEPTH_MAX);
    }
    const uint64_t bit = UINT64_C(1) << r->depth;
    r->object_bits = object ? r->object_bits | bit : r->object_bits & ~bit;
    r->depth++;
    r->pos++;
    r->expect = object ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
    token->kind = object ? JSON_OBJECT_BEGIN : JSON_ARRAY_BEGIN;
    return OK;
}

static Status close_level(JsonReader *r, JsonToken *token)
{
    token->kind = in_object(r) ? JSON_OBJECT_END : JSON_ARRAY_END;
    r->depth--;
    r->pos++;
    after_value(r);
    return OK;
}

static Status read_word(JsonReader *r, JsonToken *token, Err *err)
{
    static const struct {
        Str word;
        JsonKind kind;
        bool value;
    } words[] = {
        {STR("null"), JSON_NULL, false},
        {STR("true"), JSON_BOOL, true},
        {STR("false"), JSON_BOOL, false},
    };
    const Str rest = {.ptr = (const char *)r->pos, .len = (size_t)(r->end - r->pos)};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_eq(str_slice(rest, 0, words[i].word.len), words[i].word)) {
            token->kind = words[i].kind;
            token->boolean = words[i].value;
            r->pos += words[i].word.len;
            after_value(r);
            return OK;
        }
    }
    return bad(r, r->pos, "a value", err);
}

static Status read_value(JsonReader *r, JsonToken *token, Err *err)
{
    const uint8_t c = r->pos < r->end ? *r->pos : 0;
    if (c == '"') {
        r->pos++;
        token->kind = JSON_STRING;
        after_value(r);
        return read_string(r, &token->str, err);
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        after_value(r);
        return read_number(r, token, err);
    }
    if (c == '{' || c == '[') {
        return open_level(r, token, c == '{', err);
    }
    return read_word(r, token, err);
}

static Status read_key(JsonReader *r, JsonToken *token, Err *err)
{
    if (r->pos >= r->end || *r->pos != '"') {
        return bad(r, r->pos, "a key in quotes", err);
    }
    r->pos++;
    token->kind = JSON_KEY;
    TRY(read_string(r, &token->str, err));
    skip_blanks(r);
    if (r->pos >= r->end || *r->pos != ':') {
        return bad(r, r->pos, "':'", err);
    }
    r->pos++;
    r->expect = EXPECT_VALUE;
    return OK;
}

static Status check_utf8(JsonReader *r, Err *err)
{
    const Str text = {.ptr = (const char *)r->begin, .len = (size_t)(r->end - r->begin)};
    const size_t valid = utf8_valid_len(text);
    if (valid != text.len) {
        return bad(r, r->begin + valid, "UTF-8", err);
    }
    r->utf8_checked = true;
    return OK;
}

Status json_next(JsonReader *r, JsonToken *token, Err *err)
{
    if (!r->utf8_checked) {
        TRY(check_utf8(r, err));
    }
    skip_blanks(r);
    *token = (JsonToken){.offset = (size_t)(r->pos - r->begin)};
    if (r->expect == EXPECT_COMMA_OR_END) {
        const bool object = in_object(r);
        if (r->pos < r->end && *r->pos == (object ? '}' : ']')) {
            return close_level(r, token);
        }
        if (r->pos >= r->end || *r->pos != ',') {
            return bad(r, r->pos, object ? "',' or '}'" : "',' or ']'", err);
        }
        r->pos++;
        r->expect = object ? EXPECT_KEY : EXPECT_VALUE;
        skip_blanks(r);
        token->offset = (size_t)(r->pos - r->begin);
    }
    switch (r->expect) {
    case EXPECT_KEY_OR_END:
        if (r->pos < r->end && *r->pos == '}') {
            return close_level(r, token);
        }
        return read_key(r, token, err);
    case EXPECT_KEY:
        return read_key(r, token, err);
    case EXPECT_VALUE_OR_END:
        if (r->pos < r->end && *r->pos == ']') {
            return close_level(r, token);
        }
        return read_value(r, token, err);
    case EXPECT_VALUE:
        return read_value(r, token, err);
    case EXPECT_NOTHING:
        token->kind = JSON_END;
        return r->pos == r->end ? OK : bad(r, r->pos, "the end", err);
    default:
        UNREACHABLE();
    }
}

Status json_skip(JsonReader *r, JsonToken first, Err *err)
{
    JsonToken token = first;
    if (first.kind != JSON_OBJECT_BEGIN && first.kind != JSON_ARRAY_BEGIN) {
        return OK;
    }
    const uint32_t depth = r->depth - 1;
    while (r->depth > depth) {
        TRY(json_next(r, &token, err));
    }
    return OK;
}
