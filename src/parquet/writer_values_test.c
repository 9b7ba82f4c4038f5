// SPDX-License-Identifier: Apache-2.0
#include "parquet/writer_internal.h"
#include "tests/support/test.h"

static Bytes bytes_of(const char *text)
{
    return (Bytes){.ptr = (const uint8_t *)text, .len = strlen(text)};
}

TEST(writer_bound, cuts_where_a_character_ends_and_raises_the_last_that_can_be)
{
    static const struct {
        const char *why;
        const char *text;
        bool is_utf8, upper;
        size_t max_len;
        bool cut;
        const char *want;
    } cases[] = {
        {"short enough", "abc", true, false, 3, false, "abc"},
        {"lower bound is a prefix", "abcd", true, false, 3, true, "abc"},
        {"upper bound is above", "abcd", true, true, 3, true, "abd"},
        {"lower bound not within a character", "abé", true, false, 3, true, "ab"},
        {"upper bound not within a character", "abé", true, true, 3, true, "ac"},
        {"upper bound raises a character", "aéx", true, true, 3, true, "aê"},
        {"a character that cannot be raised goes", "a\x7fx", true, true, 2, true, "b"},
        {"last continuation byte cannot be raised", "a\xc3\xbfx", true, true, 3, true, "b"},
        {"nothing can be raised", "\x7f\x7fx", true, true, 2, false, "\x7f\x7fx"},
        {"bytes may be anything", "a\x7fx", false, true, 2, true, "a\x80"},
        {"bytes of 0xff go", "a\xff\xffx", false, true, 3, true, "b"},
        {"nothing but 0xff", "\xff\xffx", false, true, 2, false, "\xff\xffx"},
        {"cut to nothing", "éx", true, false, 1, true, ""},
        {"no upper bound of no bytes", "éx", true, true, 1, false, "éx"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Bytes out = {0};
        const bool cut = writer_bound_cut(bytes_of(cases[i].text), cases[i].is_utf8, cases[i].upper,
                                          cases[i].max_len, &t->arena, &out);
        const Bytes want = bytes_of(cases[i].want);
        if (cut != cases[i].cut || out.len != want.len ||
            memcmp(out.ptr, want.ptr, want.len) != 0) {
            test_fail(t, __FILE__, __LINE__, "%s: %.*s", cases[i].why, (int)out.len,
                      (const char *)out.ptr);
        }
    }
}

TEST(writer_bound, is_a_bound_of_random_bytes)
{
    for (int i = 0; i < 20000; i++) {
        uint8_t text[12];
        const size_t len = (size_t)(test_random(t) % sizeof(text));
        for (size_t k = 0; k < len; k++) {
            // Many bytes at the ends of their ranges.
            static const uint8_t odd[] = {0, 0x7f, 0x80, 0xbf, 0xc3, 0xf4, 0xff};
            text[k] = (uint8_t)(test_random(t) % 2 == 0 ? odd[test_random(t) % ARRAY_LEN(odd)]
                                                        : test_random(t));
        }
        const bool upper = test_random(t) % 2 == 0;
        const bool is_utf8 = test_random(t) % 2 == 0;
        const WriterValue whole = {.bytes = {.ptr = text, .len = len}};
        WriterValue bound = {0};
        (void)writer_bound_cut(whole.bytes, is_utf8, upper, 5, &t->arena, &bound.bytes);
        const int order = writer_value_compare(WRITER_BYTES, &bound, &whole);
        CHECK(upper ? order >= 0 : order <= 0);
    }
}

TEST(writer_value, compares_as_its_type_does)
{
    static const struct {
        WriterOrder order;
        uint64_t less, greater;
    } cases[] = {
        {WRITER_BOOL, 0, 1},
        {WRITER_I32, 0xffffffff, 0},
        {WRITER_I32, 0x80000000, 0x7fffffff},
        {WRITER_U32, 0, 0xffffffff},
        {WRITER_I64, UINT64_MAX, 0},
        {WRITER_U64, 0, UINT64_MAX},
        {WRITER_F32, 0xbf800000, 0x3f800000},
        {WRITER_F64, UINT64_C(0xfff0000000000000), UINT64_C(0xbff0000000000000)},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const WriterValue a = {.bits = cases[i].less};
        const WriterValue b = {.bits = cases[i].greater};
        CHECK(writer_value_compare(cases[i].order, &a, &b) < 0);
        CHECK(writer_value_compare(cases[i].order, &b, &a) > 0);
        CHECK_EQ(writer_value_compare(cases[i].order, &a, &a), 0);
    }
}
