// SPDX-License-Identifier: Apache-2.0
#include "store/label_diff.h"

#include "series/labels.h"
#include "tests/support/test.h"

enum { SET_BYTES_MAX = 1 << 16 };

static Bytes text(const char *s)
{
    return (Bytes){(const uint8_t *)s, strlen(s)};
}

// The size of `wire` as a difference, which must be read back as it was, with bytes behind it left.
static size_t round_trip(Test *t, Bytes wire, Bytes before)
{
    static uint8_t bytes[SET_BYTES_MAX + LABEL_DIFF_EXTRA_BYTES + 1];
    Buf out;
    Err err;
    CHECK(wire.len <= SET_BYTES_MAX);
    const size_t size = (size_t)(label_diff_write(bytes, wire, before) - bytes);
    CHECK(size <= wire.len + LABEL_DIFF_EXTRA_BYTES);
    bytes[size] = 0x0A;
    Reader in = reader_of((Bytes){bytes, size + 1});
    buf_init(&out, 0);
    CHECK_OK(label_diff_read(&in, before, &out, &err));
    CHECK_EQ(reader_left(&in), 1);
    CHECK(out.len == wire.len && (wire.len == 0 || memcmp(out.ptr, wire.ptr, wire.len) == 0));
    for (size_t cut = 0; cut < size && cut < 300; cut++) {
        in = reader_of((Bytes){bytes, cut});
        CHECK_EQ(label_diff_read(&in, before, &out, &err), ERR_CORRUPT);
    }
    buf_deinit(&out);
    return size;
}

TEST(label_diff, table)
{
    static const struct {
        const char *why, *before, *wire;
        size_t size;
    } cases[] = {
        {"the first set is written whole", "", "\n\2ab\n\1c", 8},
        {"the same again", "\n\2ab\n\1c", "\n\2ab\n\1c", 2},
        {"one label of two", "\n\2ab\n\1c", "\n\2ab\n\1d", 5},
        {"the first label", "\n\2ab\n\1c", "\n\2xy\n\1c", 6},
        {"labels follow that were not there", "\n\2ab", "\n\2ab\n\1c", 5},
        {"labels that were there are not", "\n\2ab\n\1c", "\n\2ab", 2},
        {"another field ends the comparison", "\n\2ab\x12\1c", "\n\2ab\x12\1c", 5},
        {"no labels at all", "\x12\1c", "\x12\1c", 4},
        {"a label that is cut short", "\n\2ab\n\5c", "\n\2ab\n\5c", 5},
        {"an empty label", "\n", "\n", 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const size_t size = round_trip(t, text(cases[i].wire), text(cases[i].before));
        if (size != cases[i].size) {
            test_fail(t, __FILE__, __LINE__, "%s: %zu bytes, want %zu", cases[i].why, size,
                      cases[i].size);
        }
    }
}

// Sets with few values for each label, some with more labels than a difference tells apart, some
// with stray bytes.
static Bytes random_set(Test *t, uint8_t *out)
{
    const size_t count = test_random(t) % (test_random(t) % 8 == 0 ? 80 : 8);
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t size = test_random(t) % 16 == 0 ? 300 : 1 + test_random(t) % 3;
        out[len++] = 0x0A;
        if (size >= 0x80) {
            out[len++] = (uint8_t)(size | 0x80);
        }
        out[len++] = (uint8_t)(size >= 0x80 ? size >> 7 : size);
        memset(out + len, 'a' + (int)(test_random(t) % 2), size);
        len += size;
    }
    for (size_t i = test_random(t) % 16 == 0 ? 1 + test_random(t) % 4 : 0; i > 0; i--) {
        out[len++] = (uint8_t)test_random(t);
    }
    return (Bytes){out, len};
}

TEST(label_diff, any_set_after_any_other_comes_back)
{
    static uint8_t sets[2][SET_BYTES_MAX];
    Bytes before = {0};
    for (int i = 0; i < 20000; i++) {
        const Bytes set = random_set(t, sets[i % 2]);
        (void)round_trip(t, set, before);
        before = set;
    }
}

TEST(label_diff, what_was_never_written_is_refused)
{
    static const struct {
        const char *why, *before, *in;
        size_t in_len;
    } cases[] = {
        {"nothing is the same", "\n\1a", "\7\0\n\1a", 5},
        {"there is no set before", "", "\7\1", 2},
        {"the set before has fewer labels", "\n\1a", "\15\3", 2},
        {"the label before is longer than the set", "\n\3abc", "\5\1", 2},
        {"a label in between is cut short", "\n\1a\n\1b", "\15\2\n\5", 4},
        {"a length beyond everything", "", "\376\377\377\377\377\377\377\377\377\1", 10},
    };
    Buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err;
        Reader in = reader_of((Bytes){(const uint8_t *)cases[i].in, cases[i].in_len});
        if (label_diff_read(&in, text(cases[i].before), &out, &err) != ERR_CORRUPT) {
            test_fail(t, __FILE__, __LINE__, "%s: read", cases[i].why);
        }
    }
    buf_deinit(&out);
}
