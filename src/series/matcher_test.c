// SPDX-License-Identifier: Apache-2.0
#include "series/matcher.h"

#include "base/mem.h"
#include "series/matcher_internal.h"
#include "tests/support/test.h"

static bool matches(Test *t, MatchOp op, Str pattern, Str value)
{
    Err err = {0};
    Matcher *matcher = NULL;
    CHECK_OK(matcher_new(op, STR("l"), pattern, &matcher, &err));
    const bool found = matcher_matches(matcher, value);
    matcher_free(matcher);
    return found;
}

TEST(matcher, compares_or_matches_the_whole_value)
{
    static const struct {
        MatchOp op;
        Str pattern, value;
        bool want;
    } cases[] = {
        {MATCH_EQ, STR("a.c"), STR("a.c"), true},
        {MATCH_EQ, STR("a.c"), STR("abc"), false},
        {MATCH_EQ, STR(""), STR(""), true},
        {MATCH_NE, STR("a"), STR(""), true},
        {MATCH_NE, STR("a"), STR("a"), false},
        {MATCH_RE, STR("a.c"), STR("abc"), true},
        {MATCH_RE, STR("a.c"), STR("a\nc"), true},
        {MATCH_RE, STR("a.c"), STR("xabc"), false},
        {MATCH_RE, STR("a.c"), STR("abcx"), false},
        {MATCH_RE, STR("a|ab"), STR("ab"), true},
        {MATCH_RE, STR("(a|ab)(c|bcd)?"), STR("abcd"), true},
        {MATCH_RE, STR("a|"), STR(""), true},
        {MATCH_RE, STR(""), STR(""), true},
        {MATCH_RE, STR(""), STR("a"), false},
        {MATCH_RE, STR(".*"), STR(""), true},
        {MATCH_RE, STR(".+"), STR(""), false},
        {MATCH_RE, STR(".+"), STR("\n"), true},
        {MATCH_RE, STR("^a$"), STR("a"), true},
        {MATCH_RE, STR("^a|b$"), STR("b"), true},
        {MATCH_RE, STR("^a|b$"), STR("ab"), false},
        {MATCH_RE, STR("a\\$"), STR("a$"), true},
        {MATCH_RE, STR("a\\\\$"), STR("a\\"), true},
        {MATCH_RE, STR("10\\.0\\.0\\.1:80"), STR("10.0.0.1:80"), true},
        {MATCH_RE, STR("10\\.0\\.0\\.1:80"), STR("10x0.0.1:80"), false},
        {MATCH_RE, STR("(?i)GeT"), STR("get"), true},
        {MATCH_RE, STR("(?<word>g)et"), STR("get"), true},
        {MATCH_RE, STR("[(?<x]+"), STR("(?<x"), true},
        {MATCH_RE, STR("[[:alpha:](?<]+"), STR("a(?<"), true},
        {MATCH_RE, STR("[]a]+"), STR("]a"), true},
        {MATCH_RE, STR("[^]a]+"), STR("bc"), true},
        {MATCH_RE, STR("\\Q(?<n>\\E."), STR("(?<n>x"), true},
        {MATCH_RE, STR("(foo)?bar(baz)"), STR("barbaz"), true},
        {MATCH_RE, STR("é+"), STR("éé"), true},
        {MATCH_RE, STR("aé*"), STR("a"), true},
        {MATCH_NRE, STR("a|b"), STR("c"), true},
        {MATCH_NRE, STR("a|b"), STR("b"), false},
        {MATCH_NRE, STR(".+"), STR(""), true},
        {MATCH_NRE, STR("5.."), STR("503"), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (matches(t, cases[i].op, cases[i].pattern, cases[i].value) != cases[i].want) {
            test_fail(t, __FILE__, __LINE__, "%s " STR_FMT " on '" STR_FMT "' is not %d",
                      matcher_op_text(cases[i].op), STR_ARG(cases[i].pattern),
                      STR_ARG(cases[i].value), cases[i].want);
        }
    }
}

TEST(matcher, keeps_what_was_written)
{
    Err err = {0};
    Matcher *matcher = NULL;
    CHECK_OK(matcher_new(MATCH_NRE, STR("path"), STR("/(a|b)"), &matcher, &err));
    CHECK_EQ(matcher_op(matcher), MATCH_NRE);
    CHECK_STR(matcher_name(matcher), STR("path"));
    CHECK_STR(matcher_value(matcher), STR("/(a|b)"));
    matcher_free(matcher);
    matcher_free(NULL);
}

TEST(matcher, refuses_in_the_words_of_go)
{
    static const struct {
        Str pattern;
        const char *what;
    } cases[] = {
        {STR("["), "missing closing ]: `[`"},
        {STR("[a"), "missing closing ]: `[a`"},
        {STR("(a"), "missing closing ): `(a`"},
        {STR("a)(b"), "unexpected ): `a)(b`"},
        {STR("*a"), "missing argument to repetition operator: `*`"},
        {STR("^*"), NULL},
        {STR("a**"), "invalid nested repetition operator: `**`"},
        {STR("foo.**"), "invalid nested repetition operator: `**`"},
        {STR("a\\"), "trailing backslash at end of expression: ``"},
        {STR("\\8"), "invalid escape sequence: `\\8`"},
        {STR("\\C"), "invalid escape sequence: `\\C`"},
        {STR(")\\C"), "unexpected ): `)\\C`"},
        {STR("(?<a>b"), "missing closing ): `(?<a>b`"},
        {STR("a{1001}"), "invalid repeat count: `{1001}`"},
        {STR("[z-a]"), "invalid character class range: `z-a`"},
        {STR("(?P<n"), "invalid named capture: `(?P<n`"},
        {STR("(?=a)"), "invalid or unsupported Perl syntax: `(?=`"},
        {STR("(?<=a)"), "invalid or unsupported Perl syntax: `(?<`"},
        {STR("a\xff"), "invalid UTF-8: ``"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err = {0};
        Matcher *matcher = NULL;
        const Status st = matcher_new(MATCH_RE, STR("l"), cases[i].pattern, &matcher, &err);
        if (cases[i].what == NULL) {
            CHECK_EQ(st, OK);
            matcher_free(matcher);
            continue;
        }
        CHECK_EQ(st, ERR_INVALID);
        CHECK(matcher == NULL);
        Buf want;
        buf_init(&want, 0);
        buf_putf(&want, "error parsing regexp: %s", cases[i].what);
        const Str got = {err.msg, strlen(err.msg)};
        CHECK_STR(got, buf_str(&want));
        buf_deinit(&want);
    }
}

TEST(matcher, has_a_largest_regex)
{
    for (size_t over = 0; over <= 1; over++) {
        Err err = {0};
        Matcher *matcher = NULL;
        char *text = arena_new(&t->arena, char, MATCHER_REGEX_BYTES_MAX + 1);
        memset(text, 'a', MATCHER_REGEX_BYTES_MAX + 1);
        const Str pattern = {text, MATCHER_REGEX_BYTES_MAX + over};
        CHECK_EQ(matcher_new(MATCH_RE, STR("l"), pattern, &matcher, &err), over ? ERR_INVALID : OK);
        matcher_free(matcher);
    }
}

TEST(matcher, knows_sets_of_values)
{
    static const struct {
        MatchOp op;
        Str pattern;
        const char *values; // joined by spaces; NULL: not known
    } cases[] = {
        {MATCH_EQ, STR("a"), "a"},
        {MATCH_EQ, STR(""), NULL},
        {MATCH_NE, STR("a"), NULL},
        {MATCH_NRE, STR("a|b"), NULL},
        {MATCH_RE, STR("a"), "a"},
        {MATCH_RE, STR("b|a|b|ab"), "a ab b"},
        {MATCH_RE, STR("(b|a)"), "a b"},
        {MATCH_RE, STR("^(?:b|a)$"), "a b"},
        {MATCH_RE, STR("a\\.b|c\\|d"), "a.b c|d"},
        {MATCH_RE, STR("a|"), NULL},
        {MATCH_RE, STR("a|b.*"), NULL},
        {MATCH_RE, STR("(a)|(b)"), NULL},
        {MATCH_RE, STR("(?i)a"), NULL},
        {MATCH_RE, STR("a\\d"), NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err = {0};
        Matcher *matcher = NULL;
        const Str *values = NULL;
        size_t count = 0;
        CHECK_OK(matcher_new(cases[i].op, STR("l"), cases[i].pattern, &matcher, &err));
        CHECK_EQ(matcher_values(matcher, &values, &count), cases[i].values != NULL);
        if (cases[i].values != NULL) {
            Buf got;
            buf_init(&got, 0);
            for (size_t v = 0; v < count; v++) {
                buf_putf(&got, "%s" STR_FMT, v == 0 ? "" : " ", STR_ARG(values[v]));
            }
            const Str want = {cases[i].values, strlen(cases[i].values)};
            CHECK_STR(buf_str(&got), want);
            buf_deinit(&got);
        }
        matcher_free(matcher);
    }
}

TEST(matcher, knows_prefixes)
{
    static const struct {
        MatchOp op;
        Str pattern, prefix; // empty: not known
    } cases[] = {
        {MATCH_EQ, STR("abc"), STR("abc")},       {MATCH_NE, STR("abc"), STR("")},
        {MATCH_RE, STR("abc.*"), STR("abc")},     {MATCH_RE, STR("abc.+"), STR("abc")},
        {MATCH_RE, STR(".*abc"), STR("")},        {MATCH_RE, STR("abcd|abef"), STR("ab")},
        {MATCH_RE, STR("abc[0-9]+"), STR("abc")}, {MATCH_RE, STR("abc?"), STR("ab")},
        {MATCH_RE, STR("^abc{2}"), STR("ab")},    {MATCH_RE, STR("aé*"), STR("a")},
        {MATCH_RE, STR("ab(c|d)e"), STR("ab")},   {MATCH_RE, STR("ab.|c."), STR("")},
        {MATCH_RE, STR("ab[|]"), STR("")},        {MATCH_RE, STR("(foo)?bar(baz)"), STR("")},
        {MATCH_NRE, STR("abc.*"), STR("")},       {MATCH_RE, STR("ab(?i)c"), STR("ab")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err = {0};
        Matcher *matcher = NULL;
        Str prefix = {0};
        CHECK_OK(matcher_new(cases[i].op, STR("l"), cases[i].pattern, &matcher, &err));
        CHECK_EQ(matcher_prefix(matcher, &prefix), cases[i].prefix.len > 0);
        CHECK_STR(prefix, cases[i].prefix);
        matcher_free(matcher);
    }
}

// Joins up to `max` random pieces.
static Str random_text(Test *t, const char *const *pieces, size_t piece_count, size_t max)
{
    Buf text;
    buf_init(&text, 0);
    for (size_t n = test_random(t) % (max + 1); n > 0; n--) {
        const char *piece = pieces[test_random(t) % piece_count];
        buf_put(&text, piece, strlen(piece));
    }
    const Str out = arena_str(&t->arena, buf_str(&text));
    buf_deinit(&text);
    return out;
}

TEST(matcher, agrees_with_re2_on_random_patterns)
{
    static const char *const parts[] = {"a",    "b",   "é",   "日", "ab",  "\\.",  "|",    ".*",
                                        ".+",   "(",   ")",   "*",  "?",   "[ab]", "^",    "$",
                                        "a",    "b",   "\\|", "+",  "{2}", "(?:",  "\\\\", "[|]",
                                        "(?i)", "\\d", "\n",  "|",  "0"};
    static const char *const letters[] = {"a",  "b",  "é", "日", ".", "|",
                                          "\\", "\n", "0", "ab", "A"};
    size_t shaped = 0, valid = 0, found = 0;
    for (int round = 0; round < 4000; round++) {
        const Str pattern = random_text(t, parts, ARRAY_LEN(parts), 6);
        RegexFault fault;
        RegexProgram *program =
            regex_program_new(pattern.len == 0 ? "" : pattern.ptr, pattern.len, &fault);
        Err err = {0};
        Matcher *matcher = NULL;
        const Status st = matcher_new(MATCH_RE, STR("l"), pattern, &matcher, &err);
        CHECK_EQ(st == OK, program != NULL);
        if (program == NULL) {
            continue;
        }
        valid++;
        shaped += matcher_shape(pattern, &t->arena).kind != MATCHER_SHAPE_REGEX ? 1 : 0;
        Str prefix = {0};
        const bool has_prefix = matcher_prefix(matcher, &prefix);
        const Str *values = NULL;
        size_t count = 0;
        const bool has_values = matcher_values(matcher, &values, &count);
        for (int i = 0; i < 40; i++) {
            const Str value = random_text(t, letters, ARRAY_LEN(letters), 5);
            const bool want =
                regex_program_match(program, value.len == 0 ? "" : value.ptr, value.len);
            found += want ? 1 : 0;
            if (matcher_matches(matcher, value) != want) {
                test_fail(t, __FILE__, __LINE__, "'" STR_FMT "' on '" STR_FMT "': RE2 says %d",
                          STR_ARG(pattern), STR_ARG(value), want);
            }
            bool is_value = false;
            for (size_t v = 0; v < count; v++) {
                is_value = is_value || str_eq(values[v], value);
            }
            CHECK(!has_values || is_value == want);
            CHECK(!want || !has_prefix || str_eq(str_slice(value, 0, prefix.len), prefix));
        }
        matcher_free(matcher);
        regex_program_free(program);
    }
    CHECK(valid > 500);
    CHECK(shaped > 100);
    CHECK(found > 500);
}

TEST(regex, expands_templates_as_go_does)
{
    static const struct {
        Str pattern, text, template_text, want;
    } cases[] = {
        {STR("(.*)-(.*)"), STR("a-b"), STR("$2/$1"), STR("b/a")},
        {STR("(.*)-(.*)"), STR("a-b"), STR("$0"), STR("a-b")},
        {STR("(.*)-(.*)"), STR("a-b"), STR("${1}x"), STR("ax")},
        {STR("(.*)-(.*)"), STR("a-b"), STR("$1x"), STR("")},
        {STR("(.*)-(.*)"), STR("a-b"), STR("$$1"), STR("$1")},
        {STR("(.*)-(.*)"), STR("a-b"), STR("$"), STR("$")},
        {STR("(.*)-(.*)"), STR("a-b"), STR("$-$1"), STR("$-a")},
        {STR("(.*)-(.*)"), STR("a-b"), STR("${1"), STR("${1")},
        {STR("(.*)-(.*)"), STR("a-b"), STR("${}"), STR("${}")},
        {STR("(.*)-(.*)"), STR("a-b"), STR("$3$01$9999999999"), STR("")},
        {STR("(.*)-(.*)"), STR("a-b"), STR("$1\xe2\x82\xac"), STR("a\xe2\x82\xac")},
        {STR("(.*)-(.*)"), STR("a-b"), STR("$1\xc3\xa9."), STR(".")},
        {STR("(.*)-(.*)"), STR("a-b"), STR("plain"), STR("plain")},
        {STR("(?P<n>.)(?<m>.)"), STR("xy"), STR("$m${n}$k"), STR("yx")},
        {STR("(a)|(b)"), STR("b"), STR("[$1][$2]"), STR("[][b]")},
        {STR("()"), STR(""), STR("<$1>"), STR("<>")},
        {STR("a|(ab)(c|bcd)"), STR("abcd"), STR("$1,$2"), STR("")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err = {0};
        Regex *regex = NULL;
        Buf out;
        buf_init(&out, 0);
        CHECK_OK(regex_new(cases[i].pattern, &regex, &err));
        const bool match = regex_match(regex, cases[i].text);
        CHECK_EQ(regex_expand(regex, cases[i].text, cases[i].template_text, &out), match);
        if (match) {
            CHECK_STR(buf_str(&out), cases[i].want);
        }
        buf_deinit(&out);
        regex_free(regex);
    }
}

TEST(regex, appends_nothing_when_the_text_does_not_match)
{
    Err err = {0};
    Regex *regex = NULL;
    Buf out;
    buf_init(&out, 0);
    CHECK_OK(regex_new(STR("a(.)"), &regex, &err));
    CHECK(!regex_expand(regex, STR("xab"), STR("$1"), &out));
    CHECK_EQ(out.len, 0);
    CHECK(regex_expand(regex, STR("ab"), STR("$1"), &out));
    CHECK_STR(buf_str(&out), STR("b"));
    buf_deinit(&out);
    regex_free(regex);
    regex_free(NULL);
    CHECK_EQ(regex_new(STR("("), &regex, &err), ERR_INVALID);
    CHECK(regex == NULL);
}
