// SPDX-License-Identifier: Apache-2.0
#include "series/labels.h"

#include "base/mem.h"
#include "codec/varint.h"
#include "tests/support/test.h"

static const LabelLimits defaults = {0};

// A label in wire form as every sender writes it.
static void put_label(Buf *b, Str name, Str value)
{
    const size_t inner = 1 + varint_size_bytes(name.len) + name.len +
                         (value.len == 0 ? 0 : 1 + varint_size_bytes(value.len) + value.len);
    buf_put_u8(b, 0x0A);
    varint_put_u64(b, inner);
    buf_put_u8(b, 0x0A);
    varint_put_u64(b, name.len);
    buf_put_str(b, name);
    if (value.len != 0) {
        buf_put_u8(b, 0x12);
        varint_put_u64(b, value.len);
        buf_put_str(b, value);
    }
}

static Str format(Test *t, const LabelSet *set, size_t max_bytes)
{
    Buf b;
    buf_init(&b, 0);
    labels_format(set, max_bytes, &b);
    const Str text = arena_str(&t->arena, buf_str(&b));
    buf_deinit(&b);
    return text;
}

// "name=value,..." in the order given, parsed; the text of the result or of the error.
static Str parse_text(Test *t, Str spec, const LabelLimits *limits, bool *canonical)
{
    Buf wire;
    buf_init(&wire, 0);
    while (spec.len != 0) {
        Str label = spec;
        Str rest = {0};
        (void)str_cut(spec, ',', &label, &rest);
        Str name = label;
        Str value = {0};
        (void)str_cut(label, '=', &name, &value);
        put_label(&wire, name, value);
        spec = rest;
    }
    LabelSet set;
    Err err;
    const Str copy = arena_str(&t->arena, buf_str(&wire));
    const Status st = labels_parse((Bytes){(const uint8_t *)copy.ptr, copy.len}, limits, &t->arena,
                                   &set, canonical, &err);
    buf_deinit(&wire);
    if (st != OK) {
        CHECK_EQ(st, ERR_INVALID);
        return arena_str(&t->arena, (Str){err.msg, strlen(err.msg)});
    }
    return format(t, &set, 10000);
}

TEST(labels, sets_are_sorted_checked_and_printed)
{
    static const struct {
        const char *why;
        Str spec, want;
        bool canonical;
    } cases[] = {
        {"plain", STR("__name__=up,job=x"), STR("up{job=\"x\"}"), true},
        {"name alone", STR("__name__=up"), STR("up"), true},
        {"any order", STR("job=x,__name__=up,a=1"), STR("up{a=\"1\", job=\"x\"}"), false},
        {"empty value", STR("__name__=up,a=,job=x"), STR("up{job=\"x\"}"), false},
        {"upper case sorts first", STR("A=1,__name__=up,a=2"), STR("up{A=\"1\", a=\"2\"}"), true},
        {"name of its own", STR("__name__=my.metric,x-y=1"), STR("{\"my.metric\", \"x-y\"=\"1\"}"),
         true},
        {"colons", STR("__name__=a:b,c:d=1"), STR("a:b{\"c:d\"=\"1\"}"), true},
        {"unicode", STR("__name__=up,städte=München"), STR("up{\"städte\"=\"München\"}"), true},
        {"quoting", STR("__name__=up,a=\"\\\n\x01\x7f\xc2\x80"),
         STR("up{a=\"\\\"\\\\\\n\\x01\\x7f\\u0080\"}"), true},
        {"no name", STR("job=x"), STR("no metric name: label __name__ is missing or empty"), false},
        {"empty name", STR("__name__=,job=x"),
         STR("no metric name: label __name__ is missing or empty"), false},
        {"nothing", STR(""), STR("no metric name: label __name__ is missing or empty"), false},
        {"label without name", STR("__name__=up,=x"), STR("label 2 has an empty name"), false},
        {"twice", STR("__name__=up,a=1,b=2,a=3"), STR("label name 'a' is given twice"), false},
        {"twice in a row", STR("__name__=up,a=1,a=1"), STR("label name 'a' is given twice"), false},
        {"not UTF-8", STR("__name__=up,a=\xff"), STR("value '?' of label 'a' is not UTF-8"), false},
        {"name not UTF-8", STR("__name__=up,\xc3=1"), STR("label name '?' is not UTF-8"), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool canonical = false;
        CHECK_STR(parse_text(t, cases[i].spec, &defaults, &canonical), cases[i].want);
        if (cases[i].canonical) {
            CHECK(canonical);
        }
    }
}

TEST(labels, canonical_is_said_only_of_canonical_sets)
{
    static const Str specs[] = {STR("job=x,__name__=up"), STR("__name__=up,a=,job=x")};
    for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
        bool canonical = true;
        (void)parse_text(t, specs[i], &defaults, &canonical);
        CHECK(!canonical);
    }
}

TEST(labels, limits_hold_at_the_limit_and_one_past_it)
{
    const LabelLimits limits = {.count_max = 3, .name_bytes_max = 8, .value_bytes_max = 5};
    static const struct {
        Str spec, want;
    } cases[] = {
        {STR("__name__=up,a=1,b=12345"), STR("up{a=\"1\", b=\"12345\"}")},
        {STR("__name__=up,a=1,b=2,c=3"), STR("more than 3 labels")},
        {STR("__name__=up,a=1,b=2,c="), STR("up{a=\"1\", b=\"2\"}")},
        {STR("__name__=up,abcdefgh=1"), STR("up{abcdefgh=\"1\"}")},
        {STR("__name__=up,abcdefghi=1"), STR("label name 'abcdefghi' has 9 bytes, more than 8")},
        {STR("__name__=up,a=123456"), STR("value '123456' of label 'a' has 6 bytes, more than 5")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool canonical = false;
        CHECK_STR(parse_text(t, cases[i].spec, &limits, &canonical), cases[i].want);
    }
}

TEST(labels, wire_form_is_checked_byte_by_byte)
{
    static const struct {
        const char *why;
        Str wire, want; // empty: an error
        bool canonical;
    } cases[] = {
        {"canonical", STR("\x0a\x0e\x0a\x08__name__\x12\x02up"), STR("up"), true},
        {"value first", STR("\x0a\x0e\x12\x02up\x0a\x08__name__"), STR("up"), false},
        {"long varint", STR("\x0a\x8e\x00\x0a\x08__name__\x12\x02up"), STR("up"), false},
        {"long inner varint", STR("\x0a\x0f\x0a\x88\x00__name__\x12\x02up"), STR("up"), false},
        {"unknown field", STR("\x0a\x10\x0a\x08__name__\x12\x02up\x18\x01"), STR("up"), false},
        {"unknown fixed", STR("\x0a\x13\x0a\x08__name__\x12\x02up\x1d\x01\x02\x03\x04"), STR("up"),
         false},
        {"value twice", STR("\x0a\x12\x0a\x08__name__\x12\x02no\x12\x02up"), STR("up"), false},
        {"other tag", STR("\x12\x0e\x0a\x08__name__\x12\x02up"), STR(""), false},
        {"cut", STR("\x0a\x0e\x0a\x08__name__\x12\x02u"), STR(""), false},
        {"inner cut", STR("\x0a\x0e\x0a\x08__name__\x12\x03up"), STR(""), false},
        {"group", STR("\x0a\x10\x0a\x08__name__\x12\x02up\x1b\x1c"), STR(""), false},
        {"field 0", STR("\x0a\x10\x0a\x08__name__\x12\x02up\x02\x00"), STR(""), false},
        {"length overflow", STR("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), STR(""), false},
        {"tag alone", STR("\x0a"), STR(""), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        LabelSet set;
        bool canonical = false;
        Err err;
        const Bytes wire = {(const uint8_t *)cases[i].wire.ptr, cases[i].wire.len};
        const Status st = labels_parse(wire, &defaults, &t->arena, &set, &canonical, &err);
        CHECK_EQ(st, cases[i].want.len == 0 ? ERR_INVALID : OK);
        if (st == OK) {
            CHECK_STR(format(t, &set, 1000), cases[i].want);
            CHECK_EQ(canonical, cases[i].canonical);
        }
    }
}

TEST(labels, too_many_bytes_are_refused)
{
    uint8_t *bytes = arena_new(&t->arena, uint8_t, LABELS_WIRE_BYTES_MAX + 1);
    LabelSet set;
    bool canonical = false;
    Err err;
    CHECK_EQ(labels_parse((Bytes){bytes, LABELS_WIRE_BYTES_MAX + 1}, &defaults, &t->arena, &set,
                          &canonical, &err),
             ERR_INVALID);
    CHECK_STR(((Str){err.msg, strlen(err.msg)}), STR("labels have 524289 bytes, more than 524288"));
}

static Str random_text(Test *t, size_t max_len)
{
    const size_t len = test_random(t) % (max_len + 1);
    char *text = arena_new(&t->arena, char, len + 1);
    for (size_t i = 0; i < len; i++) {
        text[i] = (char)('a' + test_random(t) % 4);
    }
    return (Str){text, len};
}

// Whatever the form of a set, its canonical form is the same, hashes alike, and is found canonical.
TEST(labels, every_form_has_one_canonical_form)
{
    for (int round = 0; round < 300; round++) {
        Label labels[20] = {{STR("__name__"), STR("m")}};
        size_t count = 1;
        const size_t want = 1 + test_random(t) % 19;
        while (count < want) {
            const Label label = {random_text(t, 3), random_text(t, 300)};
            bool known = label.name.len == 0;
            for (size_t i = 0; i < count; i++) {
                known = known || str_eq(labels[i].name, label.name);
            }
            if (known) {
                break;
            }
            labels[count++] = label;
        }
        Buf forms[3];
        for (size_t f = 0; f < ARRAY_LEN(forms); f++) {
            Buf wire;
            buf_init(&wire, 0);
            for (size_t i = count; i > 1; i--) { // Fisher-Yates
                const size_t k = test_random(t) % i;
                const Label swap = labels[i - 1];
                labels[i - 1] = labels[k];
                labels[k] = swap;
            }
            for (size_t i = 0; i < count; i++) {
                put_label(&wire, labels[i].name, labels[i].value);
            }
            LabelSet set;
            bool canonical = false;
            Err err;
            CHECK_OK(labels_parse(buf_bytes(&wire), &defaults, &t->arena, &set, &canonical, &err));
            buf_init(&forms[f], 0);
            labels_encode(&set, &forms[f]);
            CHECK_EQ(canonical, str_eq(buf_str(&forms[f]), buf_str(&wire)));
            for (size_t i = 0; i < count; i++) {
                CHECK_STR(labels_get(&set, labels[i].name), labels[i].value);
            }
            CHECK_STR(labels_get(&set, STR("absent")), STR(""));
            CHECK_OK(
                labels_parse(buf_bytes(&forms[f]), &defaults, &t->arena, &set, &canonical, &err));
            CHECK(canonical);
            CHECK_STR(buf_str(&forms[f]), buf_str(&forms[0]));
            buf_deinit(&wire);
        }
        for (size_t f = 0; f < ARRAY_LEN(forms); f++) {
            buf_deinit(&forms[f]);
        }
    }
}

TEST(labels, the_key_changes_the_hash)
{
    const Bytes wire = {(const uint8_t *)"abc", 3};
    const LabelsHash a = labels_hash(wire, (LabelsKey){1});
    const LabelsHash b = labels_hash(wire, (LabelsKey){2});
    const LabelsHash again = labels_hash(wire, (LabelsKey){1});
    CHECK(a.lo != b.lo && a.hi != b.hi);
    CHECK(a.lo == again.lo && a.hi == again.hi);
}

TEST(labels, long_texts_are_cut_between_characters)
{
    const Label labels[] = {{STR("__name__"), STR("up")}, {STR("a"), STR("äääää")}};
    const LabelSet set = {labels, 2};
    CHECK_STR(format(t, &set, 8), STR("up{a=\"ä..."));
    CHECK_STR(format(t, &set, 9), STR("up{a=\"ä..."));
    CHECK_STR(format(t, &set, 10), STR("up{a=\"ää..."));
    CHECK_STR(format(t, &set, 18), STR("up{a=\"äääää\"}"));
}
