// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.h"
#include "tests/support/test.h"

TEST(utf8, table)
{
    static const struct {
        const char *why;
        Str in;
        size_t valid;
    } cases[] = {
        {"empty", STR(""), 0},
        {"ASCII", STR("abc"), 3},
        {"ASCII, longer than a word", STR("abcdefghijklmnopqrs"), 19},
        {"NUL is a character", STR("a\0b"), 3},
        {"two bytes", STR("\xc2\x80\xdf\xbf"), 4},
        {"three bytes", STR("\xe0\xa0\x80\xef\xbf\xbf"), 6},
        {"four bytes", STR("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), 8},
        {"around the surrogates", STR("\xed\x9f\xbf\xee\x80\x80"), 6},
        {"mixed over word borders",
         STR("1234567\xc3\xa9"
             "1234567\xe2\x82\xac"
             "12345678"),
         27},
        {"a lone continuation", STR("ab\x80"), 2},
        {"overlong slash", STR("a\xc0\xaf"), 1},
        {"overlong C1", STR("\xc1\xbf"), 0},
        {"overlong three", STR("\xe0\x9f\xbf"), 0},
        {"overlong four", STR("\xf0\x8f\xbf\xbf"), 0},
        {"first surrogate", STR("\xed\xa0\x80"), 0},
        {"last surrogate", STR("\xed\xbf\xbf"), 0},
        {"above U+10FFFF", STR("\xf4\x90\x80\x80"), 0},
        {"lead F5", STR("\xf5\x80\x80\x80"), 0},
        {"lead FF", STR("a\xff"), 1},
        {"cut short, two", STR("a\xc3"), 1},
        {"cut short, three", STR("a\xe2\x82"), 1},
        {"cut short, four", STR("a\xf0\x9f\x98"), 1},
        {"no continuation", STR("a\xe2\x82z"), 1},
        {"bad byte far in",
         STR("0123456789abcdef0123456789\xff"
             "abc"),
         26},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const size_t got = utf8_valid_len(cases[i].in);
        if (got != cases[i].valid || utf8_is_valid(cases[i].in) != (got == cases[i].in.len)) {
            test_fail(t, __FILE__, __LINE__, "%s: %zu, want %zu", cases[i].why, got,
                      cases[i].valid);
        }
    }
}

// Oracle: decode to a code point by the bit patterns, then ask whether the form was the shortest
// one.
static size_t naive_len(const uint8_t *p, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t len = p[0] < 0x80             ? 1
                       : (p[0] & 0xe0) == 0xc0 ? 2
                       : (p[0] & 0xf0) == 0xe0 ? 3
                       : (p[0] & 0xf8) == 0xf0 ? 4
                                               : 0;
    if (len == 0 || len > left) {
        return 0;
    }
    uint32_t code = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (p[i] & 0x3f);
    }
    const bool ok = code >= least[len] && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
    return ok ? len : 0;
}

TEST(utf8, agrees_with_the_naive_decoder)
{
    static const uint8_t interesting[] = {'a',  'b',  0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
                                          0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xee,
                                          0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff};
    uint8_t text[40];
    for (size_t round = 0; round < 200000; round++) {
        const size_t len = test_random(t) % sizeof(text);
        const size_t ascii = test_random(t) % 20;
        for (size_t i = 0; i < len; i++) {
            text[i] = i < ascii ? 'x' : interesting[test_random(t) % sizeof(interesting)];
        }
        size_t want = 0;
        for (size_t n = 1; want < len && n != 0; want += n) {
            n = naive_len(text + want, len - want);
        }
        CHECK_EQ(utf8_valid_len((Str){(const char *)text, len}), want);
    }
}
