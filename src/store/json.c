// SPDX-License-Identifier: Apache-2.0
#include "store/json.h"

Json json_of(Str text)
{
    static const char nothing = 0;
    const char *p = text.len == 0 ? &nothing : text.ptr;
    return (Json){.pos = p, .end = p + text.len};
}

static void fail(Json *j)
{
    j->failed = true;
    j->pos = j->end;
}

static void skip_blanks(Json *j)
{
    while (j->pos < j->end &&
           (*j->pos == ' ' || *j->pos == '\t' || *j->pos == '\n' || *j->pos == '\r')) {
        j->pos++;
    }
}

// Steps over `c` after blanks; false, without an error, when something else stands there.
static bool accept(Json *j, char c)
{
    skip_blanks(j);
    if (j->pos < j->end && *j->pos == c) {
        j->pos++;
        return true;
    }
    return false;
}

static void expect(Json *j, char c)
{
    if (!accept(j, c)) {
        fail(j);
    }
}

static bool hex4(const char *p, uint32_t *out)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        const char c = p[i];
        if (c >= '0' && c <= '9') {
            v = v << 4 | (uint32_t)(c - '0');
        } else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) {
            v = v << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
        } else {
            return false;
        }
    }
    *out = v;
    return true;
}

static size_t put_utf8(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

// Decodes "\uXXXX" at *from, with its low surrogate if it needs one. False when it is malformed.
static bool decode_u(const char **from, const char *end, char *out, size_t *n)
{
    uint32_t c;
    uint32_t low;
    const char *p = *from;
    if (end - p < 6 || !hex4(p + 2, &c)) {
        return false;
    }
    p += 6;
    if (c >= 0xD800 && c < 0xDC00) {
        if (end - p < 6 || p[0] != '\\' || p[1] != 'u' || !hex4(p + 2, &low) || low < 0xDC00 ||
            low >= 0xE000) {
            return false;
        }
        p += 6;
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    } else if (c >= 0xDC00 && c < 0xE000) {
        return false;
    }
    *n += put_utf8(c, out + *n);
    *from = p;
    return true;
}

// The text between quotes, `raw`, which holds at least one backslash.
static bool unescape(Str raw, Arena *arena, Str *out)
{
    static const char names[] = "\"\\/bfnrt";
    static const char bytes[] = "\"\\/\b\f\n\r\t";
    char *text = arena_new(arena, char, raw.len); // an escape is never shorter than what it means
    size_t n = 0;
    const char *p = raw.ptr;
    const char *end = raw.ptr + raw.len;
    while (p < end) {
        if (*p != '\\') {
            text[n++] = *p++;
            continue;
        }
        if (p[1] == 'u') {
            if (!decode_u(&p, end, text, &n)) {
                return false;
            }
            continue;
        }
        const char *at = p[1] == 0 ? NULL : strchr(names, p[1]);
        if (at == NULL) {
            return false;
        }
        text[n++] = bytes[at - names];
        p += 2;
    }
    *out = (Str){.ptr = text, .len = n};
    return true;
}

// A string whose opening quote was just read.
static bool read_string(Json *j, Arena *arena, Str *out)
{
    const char *start = j->pos;
    bool escaped = false;
    while (j->pos < j->end && *j->pos != '"') {
        if ((unsigned char)*j->pos < 0x20) {
            fail(j);
            return false;
        }
        if (*j->pos == '\\' && j->end - j->pos > 1) {
            escaped = true;
            j->pos++; // whatever it escapes is not the end
        }
        j->pos++;
    }
    if (j->pos >= j->end) {
        fail(j);
        return false;
    }
    const Str raw = {.ptr = start, .len = (size_t)(j->pos - start)};
    j->pos++;
    *out = raw;
    if (escaped && !unescape(raw, arena, out)) {
        fail(j);
        return false;
    }
    return true;
}

static bool read_word(Json *j, Str word)
{
    if ((size_t)(j->end - j->pos) < word.len || memcmp(j->pos, word.ptr, word.len) != 0) {
        fail(j);
        return false;
    }
    j->pos += word.len;
    return true;
}

static bool is_digit(const Json *j)
{
    return j->pos < j->end && *j->pos >= '0' && *j->pos <= '9';
}

static bool read_digits(Json *j)
{
    const char *start = j->pos;
    while (is_digit(j)) {
        j->pos++;
    }
    return j->pos > start;
}

static bool read_number(Json *j, Str *out)
{
    const char *start = j->pos;
    bool ok = true;
    if (*j->pos == '-') {
        j->pos++;
    }
    if (j->pos < j->end && *j->pos == '0') {
        j->pos++;
    } else {
        ok = read_digits(j);
    }
    if (ok && j->pos < j->end && *j->pos == '.') {
        j->pos++;
        ok = read_digits(j);
    }
    if (ok && j->pos < j->end && (*j->pos == 'e' || *j->pos == 'E')) {
        j->pos++;
        if (j->pos < j->end && (*j->pos == '+' || *j->pos == '-')) {
            j->pos++;
        }
        ok = read_digits(j);
    }
    if (!ok) {
        fail(j);
        return false;
    }
    *out = (Str){.ptr = start, .len = (size_t)(j->pos - start)};
    return true;
}

// Reads over the object or array at the cursor. Strings are read, so brackets in them do not count;
// commas and colons are not checked, as nothing inside is used.
static bool skip_nested(Json *j, Arena *arena)
{
    size_t depth = 0;
    while (j->pos < j->end) {
        const char c = *j->pos++;
        Str ignored;
        if (c == '"' && !read_string(j, arena, &ignored)) {
            return false;
        }
        if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX) {
                break;
            }
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return true;
        }
    }
    fail(j);
    return false;
}

void json_object_begin(Json *j)
{
    expect(j, '{');
    j->first = true;
}

bool json_object_next(Json *j, Arena *arena, Str *key)
{
    if (j->failed || accept(j, '}')) {
        j->first = false;
        return false;
    }
    if (!j->first) {
        expect(j, ',');
    }
    j->first = false;
    expect(j, '"');
    if (j->failed || !read_string(j, arena, key)) {
        return false;
    }
    expect(j, ':');
    return !j->failed;
}

JsonValue json_value(Json *j, Arena *arena)
{
    JsonValue v = {.kind = JSON_NONE};
    skip_blanks(j);
    if (j->failed || j->pos >= j->end) {
        fail(j);
        return v;
    }
    bool ok = false;
    JsonKind kind = JSON_NUMBER;
    switch (*j->pos) {
    case '"':
        j->pos++;
        kind = JSON_STRING;
        ok = read_string(j, arena, &v.text);
        break;
    case '{':
    case '[':
        kind = JSON_SKIPPED;
        ok = skip_nested(j, arena);
        break;
    case 'n':
        kind = JSON_NULL;
        ok = read_word(j, STR("null"));
        break;
    case 't':
        kind = JSON_TRUE;
        ok = read_word(j, STR("true"));
        break;
    case 'f':
        kind = JSON_FALSE;
        ok = read_word(j, STR("false"));
        break;
    default:
        ok = read_number(j, &v.text);
        break;
    }
    if (ok) {
        v.kind = kind;
        return v;
    }
    return (JsonValue){.kind = JSON_NONE};
}

bool json_end(Json *j)
{
    skip_blanks(j);
    return !j->failed && j->pos == j->end;
}
