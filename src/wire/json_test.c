// SPDX-License-Identifier: Apache-2.0
#include "wire/json.h"

#include "base/json_put.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "tests/support/test.h"

#include <stdio.h>

static Bytes bytes_of(Str s)
{
    return (Bytes){.ptr = (const uint8_t *)s.ptr, .len = s.len};
}

// The tokens as text: one letter each, with their values.
static Status describe(Test *t, Str text, Buf *out, Err *err)
{
    JsonReader r;
    JsonToken token = {0};
    buf_clear(out);
    json_init(&r, bytes_of(text), false, &t->arena);
    do {
        TRY(json_next(&r, &token, err));
        switch (token.kind) {
        case JSON_END:
            break;
        case JSON_NULL:
            buf_put_str(out, STR("n "));
            break;
        case JSON_BOOL:
            buf_put_str(out, token.boolean ? STR("T ") : STR("F "));
            break;
        case JSON_INT:
            buf_putf(out, "i%" PRId64 " ", token.i64);
            break;
        case JSON_UINT:
            buf_putf(out, "u%" PRIu64 " ", token.u64);
            break;
        case JSON_DOUBLE:
            buf_putf(out, "d%.17g ", token.f64);
            break;
        case JSON_STRING:
            buf_putf(out, "s<" STR_FMT "> ", STR_ARG(token.str));
            break;
        case JSON_KEY:
            buf_putf(out, "k<" STR_FMT "> ", STR_ARG(token.str));
            break;
        case JSON_OBJECT_BEGIN:
            buf_put_str(out, STR("{ "));
            break;
        case JSON_OBJECT_END:
            buf_put_str(out, STR("} "));
            break;
        case JSON_ARRAY_BEGIN:
            buf_put_str(out, STR("[ "));
            break;
        case JSON_ARRAY_END:
            buf_put_str(out, STR("] "));
            break;
        }
    } while (token.kind != JSON_END);
    return OK;
}

TEST(json, valid)
{
    static const struct {
        Str text, want;
    } cases[] = {
        {STR("null"), STR("n ")},
        {STR(" \t\r\n true \n"), STR("T ")},
        {STR("[]"), STR("[ ] ")},
        {STR("{}"), STR("{ } ")},
        {STR("[1,-0,0,9223372036854775807,-9223372036854775808]"),
         STR("[ i1 i0 i0 i9223372036854775807 i-9223372036854775808 ] ")},
        {STR("[9223372036854775808,18446744073709551615]"),
         STR("[ u9223372036854775808 u18446744073709551615 ] ")},
        {STR("[18446744073709551616,-9223372036854775809]"),
         STR("[ d1.8446744073709552e+19 d-9.2233720368547758e+18 ] ")},
        {STR("[1.5,1e2,1E+2,-1.25e-3,0.0,-0.0,1e-400]"),
         STR("[ d1.5 d100 d100 d-0.00125 d0 d-0 d0 ] ")},
        {STR("[1.7976931348623157e308]"), STR("[ d1.7976931348623157e+308 ] ")},
        {STR("{\"a\":{\"b\":[null,{}]},\"c\" : false}"),
         STR("{ k<a> { k<b> [ n { } ] } k<c> F } ")},
        {STR("\"plain text longer than eight bytes\""),
         STR("s<plain text longer than eight bytes> ")},
        {STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), STR("s<\"\\/\b\f\n\r\t> ")},
        {STR("\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\""),
         STR("s<A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80> ")},
        {STR("\"caf\xc3\xa9 \xf0\x9f\x98\x80\""), STR("s<caf\xc3\xa9 \xf0\x9f\x98\x80> ")},
        {STR("{\"\\u006bey\":1}"), STR("{ k<key> i1 } ")},
        {STR("\"\""), STR("s<> ")},
        {STR("\"1234567\\n\""), STR("s<1234567\n> ")},
    };
    Buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err;
        CHECK_OK(describe(t, cases[i].text, &out, &err));
        CHECK_STR(buf_str(&out), cases[i].want);
    }
    buf_deinit(&out);
}

TEST(json, invalid)
{
    static const struct {
        Str text;
        const char *part;
    } cases[] = {
        {STR(""), "byte 1: expected a value, found the end"},
        {STR("   "), "byte 4: expected a value, found the end"},
        {STR("nul"), "byte 1: expected a value"},
        {STR("True"), "byte 1: expected a value, found 'T'"},
        {STR("NaN"), "byte 1: expected a value"},
        {STR("Infinity"), "byte 1: expected a value"},
        {STR("01"), "no digit after a leading zero"},
        {STR("-01"), "no digit after a leading zero"},
        {STR("-"), "byte 2: expected a digit"},
        {STR("+1"), "byte 1: expected a value"},
        {STR(".5"), "byte 1: expected a value"},
        {STR("1."), "byte 3: expected a digit after the decimal point"},
        {STR("1e"), "byte 3: expected a digit of the exponent"},
        {STR("1e+"), "byte 4: expected a digit of the exponent"},
        {STR("0x10"), "byte 2: expected the end"},
        {STR("1e999"), "byte 1: expected a number within the range of a double"},
        {STR("-1e999"), "range of a double"},
        {STR("1 2"), "byte 3: expected the end, found '2'"},
        {STR("[1,]"), "byte 4: expected a value"},
        {STR("[,1]"), "byte 2: expected a value"},
        {STR("[1 2]"), "byte 4: expected ',' or ']'"},
        {STR("[1"), "byte 3: expected ',' or ']', found the end"},
        {STR("[1}"), "byte 3: expected ',' or ']'"},
        {STR("{\"a\":1,}"), "byte 8: expected a key in quotes"},
        {STR("{\"a\" 1}"), "byte 6: expected ':'"},
        {STR("{\"a\":}"), "byte 6: expected a value"},
        {STR("{a:1}"), "byte 2: expected a key in quotes"},
        {STR("{'a':1}"), "byte 2: expected a key in quotes"},
        {STR("{1:1}"), "byte 2: expected a key in quotes"},
        {STR("{\"a\":1]"), "byte 7: expected ',' or '}'"},
        {STR("{"), "byte 2: expected a key in quotes, found the end"},
        {STR("]"), "byte 1: expected a value"},
        {STR("\"abc"), "byte 5: expected a string's end, found the end"},
        {STR("\"abc\\"), "expected a string's end"},
        {STR("\"a\nb\""), "byte 3: expected a string's end, found byte 0x0a"},
        {STR("\"a\0b\""), "expected a string's end, found byte 0x00"},
        {STR("\"\\x41\""), "byte 3: expected one of"},
        {STR("\"\\u12g4\""), "byte 4: expected four hex digits"},
        {STR("\"\\u12\""), "four hex digits"},
        {STR("\"\\ud800\""), "byte 4: expected a pair of surrogates"},
        {STR("\"\\ud800\\u0041\""), "a pair of surrogates"},
        {STR("\"\\udc00\\ud800\""), "a pair of surrogates"},
        {STR("\"\xff\""), "byte 2: expected UTF-8, found byte 0xff"},
        {STR("\"\xc0\x80\""), "byte 2: expected UTF-8"},
        {STR("\"\xed\xa0\x80\""), "byte 2: expected UTF-8"},
        {STR("[1]//"), "byte 4: expected the end"},
        {STR("\xef\xbb\xbf{}"), "byte 1: expected a value, found byte 0xef"},
    };
    Buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err = {0};
        const Status st = describe(t, cases[i].text, &out, &err);
        if (st != ERR_INVALID || strstr(err.msg, cases[i].part) == NULL) {
            test_fail(t, __FILE__, __LINE__, "'" STR_FMT "': %d '%s'", STR_ARG(cases[i].text), st,
                      err.msg);
        }
    }
    buf_deinit(&out);
}

TEST(json, depth_is_limited)
{
    char text[2 * (JSON_DEPTH_MAX + 1)];
    Buf out;
    Err err;
    buf_init(&out, 0);
    for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        for (size_t i = 0; i < depth; i++) {
            text[i] = '[';
            text[2 * depth - 1 - i] = ']';
        }
        CHECK_EQ(describe(t, (Str){text, 2 * depth}, &out, &err),
                 depth == JSON_DEPTH_MAX ? OK : ERR_INVALID);
    }
    // Objects and arrays mixed, to the limit.
    buf_clear(&out);
    Buf mixed;
    buf_init(&mixed, 0);
    for (size_t i = 0; i < JSON_DEPTH_MAX; i += 2) {
        buf_put_str(&mixed, STR("[{\"k\":"));
    }
    buf_put_str(&mixed, STR("1"));
    for (size_t i = 0; i < JSON_DEPTH_MAX; i += 2) {
        buf_put_str(&mixed, STR("}]"));
    }
    CHECK_OK(describe(t, buf_str(&mixed), &out, &err));
    buf_deinit(&mixed);
    buf_deinit(&out);
}

TEST(json, skip_leaves_the_rest)
{
    JsonReader r;
    JsonToken token;
    Err err;
    json_init(&r, bytes_of(STR("[{\"a\":[1,{\"b\":2}]},7,[[]],8]")), false, &t->arena);
    CHECK_OK(json_next(&r, &token, &err));
    CHECK_OK(json_next(&r, &token, &err));
    CHECK_EQ(token.kind, JSON_OBJECT_BEGIN);
    CHECK_OK(json_skip(&r, token, &err));
    CHECK_OK(json_next(&r, &token, &err));
    CHECK_EQ(token.i64, 7);
    CHECK_OK(json_skip(&r, token, &err));
    CHECK_OK(json_next(&r, &token, &err));
    CHECK_OK(json_skip(&r, token, &err));
    CHECK_OK(json_next(&r, &token, &err));
    CHECK_EQ(token.i64, 8);
}

// Any valid UTF-8 text, written as a string and read again, is itself. Lengths around the eight
// bytes that are looked at in one go.
TEST(json, strings_round_trip)
{
    static const uint32_t points[] = {0,      1,      0x1f,    ' ',     '"',   '\\',
                                      'a',    0x7f,   0x80,    0x7ff,   0x800, 0xd7ff,
                                      0xe000, 0xffff, 0x10000, 0x10ffff};
    Buf text, json;
    buf_init(&text, 0);
    buf_init(&json, 0);
    for (int round = 0; round < 2000; round++) {
        JsonReader r;
        JsonToken token;
        Err err;
        buf_clear(&text);
        buf_clear(&json);
        for (uint64_t n = test_random(t) % 40; n > 0; n--) {
            const uint32_t c = points[test_random(t) % ARRAY_LEN(points)];
            const uint8_t bytes[4] = {c < 0x80      ? (uint8_t)c
                                      : c < 0x800   ? (uint8_t)(0xc0 | c >> 6)
                                      : c < 0x10000 ? (uint8_t)(0xe0 | c >> 12)
                                                    : (uint8_t)(0xf0 | c >> 18),
                                      c < 0x800     ? (uint8_t)(0x80 | (c & 0x3f))
                                      : c < 0x10000 ? (uint8_t)(0x80 | (c >> 6 & 0x3f))
                                                    : (uint8_t)(0x80 | (c >> 12 & 0x3f)),
                                      c < 0x10000 ? (uint8_t)(0x80 | (c & 0x3f))
                                                  : (uint8_t)(0x80 | (c >> 6 & 0x3f)),
                                      (uint8_t)(0x80 | (c & 0x3f))};
            buf_put(&text, bytes, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
        }
        json_put_string(&json, buf_str(&text));
        json_init(&r, buf_bytes(&json), false, &t->arena);
        CHECK_OK(json_next(&r, &token, &err));
        CHECK_EQ(token.kind, JSON_STRING);
        CHECK_STR(token.str, buf_str(&text));
        CHECK_OK(json_next(&r, &token, &err));
        CHECK_EQ(token.kind, JSON_END);
    }
    buf_deinit(&text);
    buf_deinit(&json);
}

// Every prefix of a text is refused or complete, without a read past its end.
TEST(json, every_prefix)
{
    static const Str text = STR("{\"a\":[1,-2.5e3,\"x\\u00e9y\",null,true],\"b\":{}}");
    Buf out;
    buf_init(&out, 0);
    for (size_t len = 0; len <= text.len; len++) {
        char *copy = mem_alloc_raw(len);
        Err err;
        memcpy(copy, text.ptr, len);
        CHECK_EQ(describe(t, (Str){copy, len}, &out, &err), len == text.len ? OK : ERR_INVALID);
        mem_free(copy);
    }
    buf_deinit(&out);
}
