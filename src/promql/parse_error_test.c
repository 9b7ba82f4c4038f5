// SPDX-License-Identifier: Apache-2.0
//
// Expressions that are refused: every text that Prometheus has for them, and where it points.
#include "promql/language_test_internal.h"
#include "promql/parse.h"
#include "tests/support/test.h"

static void check_error(Test *t, Str text, const PromqlFeatures *features, const char *want)
{
    PromqlExpr *expr = NULL;
    Err err = {0};
    if (promql_parse(text, features, &expr, &err) != ERR_INVALID) {
        test_fail(t, __FILE__, __LINE__, "'" STR_FMT "' parses, want %s", STR_ARG(text), want);
    }
    CHECK(expr == NULL);
    if (strcmp(err.msg, want) != 0) {
        test_fail(t, __FILE__, __LINE__, "'" STR_FMT "': %s, want %s", STR_ARG(text), err.msg,
                  want);
    }
}

static const struct {
    Str text;
    const char *error;
} cases[] = {
    {STR(""), "unknown position: parse error: no expression found in input"},
    {STR("# nothing but this"), "1:1: parse error: no expression found in input"},
    {STR("   "), "1:1: parse error: no expression found in input"},
    {STR("1 +"), "1:4: parse error: unexpected end of input"},
    {STR("* 2"), "1:1: parse error: unexpected <op:*>"},
    {STR("load )"), "1:7: parse error: unexpected right parenthesis ')'"},
    {STR("(load"), "1:6: parse error: unclosed left parenthesis"},
    {STR("(load]"), "1:6: parse error: unexpected right bracket ']'"},
    {STR("load[5m"), "1:8: parse error: unclosed left bracket"},
    {STR("load]"), "1:5: parse error: unexpected right bracket ']'"},
    {STR("load[5m][1m]]"), "1:9: parse error: ranges only allowed for vector selectors"},
    {STR("load[[5m]]"), "1:6: parse error: unexpected character in duration expression: '['"},
    {STR("{job=\"db\""), "1:10: parse error: unexpected end of input inside braces"},
    {STR("{job=\"db\"}}"), "1:11: parse error: unexpected character: '}'"},
    {STR("{job=\"db\" env=\"prod\"}"),
     "1:11: parse error: unexpected identifier \"env\" in label matching, expected \",\" or \"}\""},
    {STR("{job=\"db\",,}"),
     "1:11: parse error: unexpected \",\" in label matching, expected identifier or \"}\""},
    {STR("{,}"),
     "1:2: parse error: unexpected \",\" in label matching, expected identifier or \"}\""},
    {STR("{job}"),
     "1:5: parse error: unexpected \"}\" in label matching, expected label matching operator"},
    {STR("{job=\"db\",env}"),
     "1:14: parse error: unexpected \"}\" in label matching, expected label matching operator"},
    {STR("{job db}"), "1:6: parse error: unexpected identifier \"db\" in label matching, expected "
                      "label matching operator"},
    {STR("{job=}"), "1:6: parse error: unexpected \"}\" in label matching, expected string"},
    {STR("{job=5}"), "1:6: parse error: unexpected character inside braces: '5'"},
    {STR("{job=~\"[\"}"), "1:2: parse error: error parsing regexp: missing closing ]: `[`"},
    {STR("{job=~\"(a\"}"), "1:2: parse error: error parsing regexp: missing closing ): `(a`"},
    {STR("{job!~\"a**\"}"),
     "1:2: parse error: error parsing regexp: invalid nested repetition operator: `**`"},
    {STR("{\"job\" =~ \"*\"}"),
     "1:2: parse error: error parsing regexp: missing argument to repetition operator: `*`"},
    {STR("{job==\"db\"}"), "1:6: parse error: unexpected \"=\" in label matching, expected string"},
    {STR("{job>\"db\"}"), "1:5: parse error: unexpected character inside braces: '>'"},
    {STR("{job!}"), "1:5: parse error: unexpected character after '!' inside braces: '}'"},
    {STR("{job!5}"), "1:5: parse error: unexpected character after '!' inside braces: '5'"},
    {STR("{job=\"db\"; env=\"x\"}"), "1:10: parse error: unexpected character inside braces: ';'"},
    {STR("{{job=\"db\"}"), "1:2: parse error: unexpected left brace '{'"},
    {STR("{\"load\" 5}"), "1:9: parse error: unexpected character inside braces: '5'"},
    {STR("{\"a\"=\"b\" \"c\"=\"d\"}"), "1:10: parse error: unexpected string \"\\\"c\\\"\" in "
                                       "label matching, expected \",\" or \"}\""},
    {STR("{}"), "1:1: parse error: vector selector must contain at least one non-empty matcher"},
    {STR("{job=\"\"}"),
     "1:1: parse error: vector selector must contain at least one non-empty matcher"},
    {STR("{job=~\".*\"}"),
     "1:1: parse error: vector selector must contain at least one non-empty matcher"},
    {STR("{job!=\"x\"}"),
     "1:1: parse error: vector selector must contain at least one non-empty matcher"},
    {STR("load{__name__=\"cpu\"}"),
     "1:1: parse error: metric name must not be set twice: \"load\" or \"cpu\""},
    {STR("load{\"cpu\"}"),
     "1:1: parse error: metric name must not be set twice: \"load\" or \"cpu\""},
    {STR("load cpu"), "1:6: parse error: unexpected identifier \"cpu\""},
    {STR("load 5"), "1:6: parse error: unexpected number \"5\""},
    {STR("load \"x\""), "1:6: parse error: unexpected string \"\\\"x\\\"\""},
    {STR("load{job=\"db\"} cpu:rate"),
     "1:16: parse error: unexpected metric identifier \"cpu:rate\""},
    {STR("load 5m"), "1:6: parse error: unexpected duration \"5m\""},
    {STR("5 5"), "1:3: parse error: unexpected number \"5\""},
    {STR("\"abc"), "1:1: parse error: unterminated quoted string"},
    {STR("'abc"), "1:1: parse error: unterminated quoted string"},
    {STR("`abc"), "1:1: parse error: unterminated raw string"},
    {STR("\"a"), "1:1: parse error: unterminated quoted string"},
    {STR("\"\\q\""), "1:1: parse error: unknown escape sequence U+0071 'q'"},
    {STR("\"\\'\""), "1:1: parse error: unknown escape sequence U+0027 '''"},
    {STR("'\\\"'"), "1:1: parse error: unknown escape sequence U+0022 '\"'"},
    {STR("\"\\x4\""), "1:1: parse error: illegal character U+0022 '\"' in escape sequence"},
    {STR("\"\\x4g\""), "1:1: parse error: illegal character U+0067 'g' in escape sequence"},
    {STR("\"\\u00\""), "1:1: parse error: illegal character U+0022 '\"' in escape sequence"},
    {STR("\"\\ud800\""), "1:1: parse error: escape sequence is an invalid Unicode code point"},
    {STR("\"\\U00110000\""), "1:1: parse error: escape sequence is an invalid Unicode code point"},
    {STR("\"\\777\""), "1:1: parse error: escape sequence is an invalid Unicode code point"},
    {STR("\"\\08\""), "1:1: parse error: illegal character U+0038 '8' in escape sequence"},
    {STR("\"\\"), "1:1: parse error: escape sequence not terminated"},
    {STR("\"\\x"), "1:1: parse error: escape sequence not terminated"},
    {STR("1.2.3"), "1:1: parse error: bad number or duration syntax: \"1.2.\""},
    {STR("1..2"), "1:1: parse error: bad number or duration syntax: \"1..\""},
    {STR("0x"),
     "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \"0x\": invalid syntax"},
    {STR("0xg"), "1:1: parse error: bad number or duration syntax: \"0x\""},
    {STR("1e"), "1:1: parse error: bad number or duration syntax: \"1e\""},
    {STR("1e+"), "1:1: parse error: bad number or duration syntax: \"1e+\""},
    {STR("1e5e5"), "1:1: parse error: bad number or duration syntax: \"1e5e\""},
    {STR("1__0"), "1:1: parse error: bad number or duration syntax: \"1__\""},
    {STR("1_"), "1:1: parse error: bad number or duration syntax: \"1_\""},
    {STR("1_ "),
     "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \"1_\": invalid syntax"},
    {STR("0b1"), "1:1: parse error: bad number or duration syntax: \"0\""},
    {STR("12abc"), "1:1: parse error: bad number or duration syntax: \"12\""},
    {STR("5mm"), "1:1: parse error: bad number or duration syntax: \"5mm\""},
    {STR("5m5m"), "1:1: parse error: not a valid duration string: \"5m5m\""},
    {STR("5m1h"), "1:1: parse error: not a valid duration string: \"5m1h\""},
    {STR("3hs"), "1:1: parse error: unknown unit \"hs\" in duration \"3hs\""},
    {STR("1y1y"), "1:1: parse error: bad number or duration syntax: \"1y1\""},
    {STR("400y"), "1:1: parse error: duration out of range"},
    {STR("300y"), "1:1: parse error: duration out of range"},
    {STR("99999999999999999999s"),
     "1:1: parse error: not a valid duration string: \"99999999999999999999s\""},
    {STR("1e999"), "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \"1e999\": "
                   "value out of range"},
    {STR("."), "1:1: parse error: unexpected character: '.'"},
    {STR("$x"), "1:1: parse error: unexpected character: '$'"},
    {STR("x ~ y"), "1:3: parse error: unexpected character: '~'"},
    {STR("~"), "1:1: parse error: unexpected character: '~'"},
    {STR("x ! y"), "1:3: parse error: unexpected character after '!': ' '"},
    {STR("x =~ y"), "1:3: parse error: unexpected character after '=': '~'"},
    {STR("x = y"), "1:3: parse error: unexpected \"=\""},
    {STR("!x"), "1:1: parse error: unexpected character after '!': 'x'"},
    {STR("x;"), "1:2: parse error: unexpected character: ';'"},
    {STR("x ?"), "1:3: parse error: unexpected character: '?'"},
    {STR("\xc3\xa9"), "1:1: parse error: unexpected character: '\xc3\xa9'"},
    {STR("x[5m:5m:5m]"), "1:8: parse error: unexpected colon ':'"},
    {STR("x[:5m]"), "1:4: parse error: unexpected colon before duration in duration expression"},
    {STR("x[:]"), "1:4: parse error: unexpected colon before duration in duration expression"},
    {STR("x[]"), "1:3: parse error: unexpected \"]\" in subquery or range selector, expected "
                 "number, duration, step(), or range()"},
    {STR("x[5m"), "1:5: parse error: unclosed left bracket"},
    {STR("x[5m,1m]"),
     "1:5: parse error: unexpected \",\" in subquery or range, expected \":\" or \"]\""},
    {STR("x[a]"), "1:3: parse error: unexpected character in duration expression: 'a'"},
    {STR("x[\"5m\"]"), "1:3: parse error: unexpected character in duration expression: '\"'"},
    {STR("x[5m:"), "1:6: parse error: unclosed left bracket"},
    {STR("x[5m:a]"), "1:6: parse error: unexpected character: 'a', expected ':'"},
    {STR("x[5m:1m"), "1:8: parse error: unclosed left bracket"},
    {STR("x[5m:1m)"), "1:9: parse error: unexpected right parenthesis ')'"},
    {STR("x[(5m]"), "1:6: parse error: unexpected \"]\" in subquery or range selector, expected "
                    "number, duration, step(), or range()"},
    {STR("x[0]"), "1:3: parse error: duration must be greater than 0"},
    {STR("x[0s]"), "1:3: parse error: duration must be greater than 0"},
    {STR("x[-5m]"), "1:3: parse error: duration must be greater than 0"},
    {STR("x[5m:0]"), "1:6: parse error: duration must be greater than 0"},
    {STR("x[5m:-1m]"), "1:6: parse error: duration must be greater than 0"},
    {STR("x[5m - 1m x]"), "1:11: parse error: unexpected character: 'x', expected ':'"},
    {STR("x[5m 1m]"),
     "1:6: parse error: unexpected duration \"1m\" in subquery or range, expected \":\" or \"]\""},
    {STR("x[5m:1m 1m]"),
     "1:9: parse error: unexpected duration \"1m\" in subquery selector, expected \"]\""},
    {STR("x[s]"), "1:3: parse error: unexpected character in duration expression: 's'"},
    {STR("x[$]"), "1:3: parse error: unexpected character in duration expression: '$'"},
    {STR("x[5m $]"), "1:6: parse error: unexpected character: '$'"},
    {STR("x[5m x]"), "1:6: parse error: unexpected character: 'x', expected ':'"},
    {STR("x[500y]"), "1:3: parse error: duration out of range"},
    {STR("x[1e10]"), "1:3: parse error: duration out of range"},
    {STR("x[1 / 0]"), "1:5: parse error: division by zero"},
    {STR("x[1m % 0]"), "1:6: parse error: modulo by zero"},
    {STR("x[step]"), "1:7: parse error: unexpected \"]\" in subquery or range selector, expected "
                     "number, duration, step(), or range()"},
    {STR("x[step(]"), "1:8: parse error: unexpected \"]\" in subquery or range selector, expected "
                      "number, duration, step(), or range()"},
    {STR("x[max_of(1m)]"), "1:12: parse error: unexpected \")\" in subquery or range selector, "
                           "expected number, duration, step(), or range()"},
    {STR("x[max_of(1m,2m,3m)]"), "1:15: parse error: unexpected \",\" in subquery or range "
                                 "selector, expected number, duration, step(), or range()"},
    {STR("5[5m]"), "1:2: parse error: ranges only allowed for vector selectors"},
    {STR("(x)[5m]"), "1:4: parse error: ranges only allowed for vector selectors"},
    {STR("rate(x[5m])[5m]"), "1:12: parse error: ranges only allowed for vector selectors"},
    {STR("x offset 5m [5m]"), "1:13: parse error: no offset modifiers allowed before range"},
    {STR("x offset step() [5m]"), "1:17: parse error: no offset modifiers allowed before range"},
    {STR("x @ 5 [5m]"), "1:7: parse error: no @ modifiers allowed before range"},
    {STR("x @ start() [5m]"), "1:13: parse error: no @ modifiers allowed before range"},
    {STR("x[5m][5m]"), "1:6: parse error: ranges only allowed for vector selectors"},
    {STR("x offset"), "1:9: parse error: unexpected end of input in offset, expected number, "
                      "duration, step(), or range()"},
    {STR("x offset y"), "1:10: parse error: unexpected identifier \"y\" in offset, expected "
                        "number, duration, step(), or range()"},
    {STR("x offset \"5m\""), "1:10: parse error: unexpected string \"\\\"5m\\\"\" in offset, "
                             "expected number, duration, step(), or range()"},
    {STR("x offset *"), "1:10: parse error: unexpected <op:*> in offset, expected number, "
                        "duration, step(), or range()"},
    {STR("x offset (5m"), "1:13: parse error: unclosed left parenthesis"},
    {STR("x offset 5m offset 5m"), "1:1: parse error: offset may not be set multiple times"},
    {STR("x offset step() offset 5m"), "1:1: parse error: offset may not be set multiple times"},
    {STR("x offset 500y"), "1:10: parse error: duration out of range"},
    {STR("x offset -500y"), "1:11: parse error: duration out of range"},
    {STR("x offset 5m 5m"), "1:13: parse error: unexpected duration \"5m\""},
    {STR("5 offset 5m"), "1:1: parse error: offset modifier must be preceded by an instant vector "
                         "selector or range vector selector or a subquery"},
    {STR("sum(x) offset 5m"), "1:1: parse error: offset modifier must be preceded by an instant "
                              "vector selector or range vector selector or a subquery"},
    {STR("(x) offset 5m"), "1:1: parse error: offset modifier must be preceded by an instant "
                           "vector selector or range vector selector or a subquery"},
    {STR("rate(x[5m]) offset step()"),
     "1:1: parse error: offset modifier must be preceded by an instant vector selector or range "
     "vector selector or a subquery"},
    {STR("x @"), "1:4: parse error: unexpected end of input in @, expected timestamp"},
    {STR("x @ y"), "1:5: parse error: unexpected identifier \"y\" in @, expected timestamp"},
    {STR("x @ \"5\""),
     "1:5: parse error: unexpected string \"\\\"5\\\"\" in @, expected timestamp"},
    {STR("x @ start"), "1:10: parse error: unexpected end of input in @, expected timestamp"},
    {STR("x @ start(5)"), "1:11: parse error: unexpected number \"5\" in @, expected timestamp"},
    {STR("x @ middle()"),
     "1:5: parse error: unexpected identifier \"middle\" in @, expected timestamp"},
    {STR("x @ - start()"), "1:7: parse error: unexpected \"start\" in @, expected timestamp"},
    {STR("x @ 5 @ 6"), "1:1: parse error: @ <timestamp> may not be set multiple times"},
    {STR("x @ start() @ 5"), "1:1: parse error: @ <timestamp> may not be set multiple times"},
    {STR("x @ end() @ end()"), "1:1: parse error: @ <timestamp> may not be set multiple times"},
    {STR("x @ Inf"), "1:1: parse error: timestamp out of bounds for @ modifier: +Inf"},
    {STR("x @ -Inf"), "1:1: parse error: timestamp out of bounds for @ modifier: -Inf"},
    {STR("x @ NaN"), "1:1: parse error: timestamp out of bounds for @ modifier: NaN"},
    {STR("x @ 1e20"),
     "1:1: parse error: timestamp out of bounds for @ modifier: 100000000000000000000.000000"},
    {STR("x @ 3hs"), "1:5: parse error: unknown unit \"hs\" in duration \"3hs\""},
    {STR("5 @ 5"), "1:1: parse error: @ modifier must be preceded by an instant vector selector or "
                   "range vector selector or a subquery"},
    {STR("sum(x) @ 5"), "1:1: parse error: @ modifier must be preceded by an instant vector "
                        "selector or range vector selector or a subquery"},
    {STR("sum(x) @ end()"), "1:1: parse error: @ modifier must be preceded by an instant vector "
                            "selector or range vector selector or a subquery"},
    {STR("x anchored smoothed"),
     "1:1: parse error: anchored and smoothed modifiers cannot be used together"},
    {STR("x smoothed anchored"),
     "1:1: parse error: anchored and smoothed modifiers cannot be used together"},
    {STR("x[5m] smoothed anchored"),
     "1:1: parse error: anchored and smoothed modifiers cannot be used together"},
    {STR("x[5m:] anchored"), "1:1: parse error: anchored modifier is not supported for subqueries"},
    {STR("x[5m:] smoothed"), "1:1: parse error: smoothed modifier is not supported for subqueries"},
    {STR("5 anchored"), "1:1: parse error: anchored modifier not implemented"},
    {STR("sum(x) smoothed"), "1:1: parse error: smoothed modifier not implemented"},
    {STR("frobnicate(x)"), "1:1: parse error: unknown function with name \"frobnicate\""},
    {STR("Rate(x[5m])"), "1:1: parse error: unknown function with name \"Rate\""},
    {STR("rate()"), "1:1: parse error: expected 1 argument(s) in call to \"rate\", got 0"},
    {STR("rate(x)"), "1:6: parse error: expected type range vector in call to function \"rate\", "
                     "got instant vector"},
    {STR("rate(x[5m], 2)"), "1:1: parse error: expected 1 argument(s) in call to \"rate\", got 2"},
    {STR("rate(\"x\")"),
     "1:6: parse error: expected type range vector in call to function \"rate\", got string"},
    {STR("abs(x[5m])"), "1:5: parse error: expected type instant vector in call to function "
                        "\"abs\", got range vector"},
    {STR("abs(5)"),
     "1:5: parse error: expected type instant vector in call to function \"abs\", got scalar"},
    {STR("abs(\"x\")"),
     "1:5: parse error: expected type instant vector in call to function \"abs\", got string"},
    {STR("time(1)"), "1:1: parse error: expected 0 argument(s) in call to \"time\", got 1"},
    {STR("round()"),
     "1:1: parse error: expected at least 1 argument(s) in call to \"round\", got 0"},
    {STR("round(x, 1, 2)"),
     "1:1: parse error: expected at most 2 argument(s) in call to \"round\", got 3"},
    {STR("round(x, y)"),
     "1:10: parse error: expected type scalar in call to function \"round\", got instant vector"},
    {STR("label_replace(x, \"a\")"),
     "1:1: parse error: expected 5 argument(s) in call to \"label_replace\", got 2"},
    {STR("label_join(x)"),
     "1:1: parse error: expected at least 3 argument(s) in call to \"label_join\", got 1"},
    {STR("label_replace(x, \"a\", \"b\", \"c\", 5)"),
     "1:33: parse error: expected type string in call to function \"label_replace\", got scalar"},
    {STR("histogram_quantile(x, x)"), "1:20: parse error: expected type scalar in call to function "
                                      "\"histogram_quantile\", got instant vector"},
    {STR("scalar(5)"),
     "1:8: parse error: expected type instant vector in call to function \"scalar\", got scalar"},
    {STR("vector(x)"),
     "1:8: parse error: expected type scalar in call to function \"vector\", got instant vector"},
    {STR("rate(x[5m],)"), "1:11: parse error: trailing commas not allowed in function call args"},
    {STR("rate(,)"), "1:6: parse error: unexpected \",\""},
    {STR("rate(x[5m] y)"), "1:12: parse error: unexpected identifier \"y\""},
    {STR("abs(x y)"), "1:7: parse error: unexpected identifier \"y\""},
    {STR("label_join(x, \"a\", \"b\",, \"c\")"),
     "1:23: parse error: trailing commas not allowed in function call args"},
    {STR("label_join(x, =)"),
     "1:13: parse error: trailing commas not allowed in function call args"},
    {STR("info(x, {a=\"b\"}, y)"),
     "1:1: parse error: expected at most 2 argument(s) in call to \"info\", got 3"},
    {STR("info(x, y)"),
     "1:9: parse error: expected label selectors only, got vector selector instead"},
    {STR("info(x, 5)"),
     "1:1: parse error: expected type instant vector in call to function \"info\", got scalar"},
    {STR("info(x, sum(y))"), "1:9: parse error: expected label selectors only"},
    {STR("info(x, y{a=\"b\"})"),
     "1:9: parse error: expected label selectors only, got vector selector instead"},
    {STR("info(5)"),
     "1:6: parse error: expected type instant vector in call to function \"info\", got scalar"},
    {STR("sum()"), "1:1: parse error: no arguments for aggregate expression provided"},
    {STR("sum("), "1:5: parse error: unclosed left parenthesis"},
    {STR("sum(x, y)"), "1:1: parse error: wrong number of arguments for aggregate expression "
                       "provided, expected 1, got 2"},
    {STR("sum(5)"),
     "1:5: parse error: expected type instant vector in aggregation expression, got scalar"},
    {STR("sum(\"x\")"),
     "1:5: parse error: expected type instant vector in aggregation expression, got string"},
    {STR("sum(x[5m])"),
     "1:5: parse error: expected type instant vector in aggregation expression, got range vector"},
    {STR("sum x"), "1:5: parse error: unexpected identifier \"x\""},
    {STR("sum 5"), "1:5: parse error: unexpected number \"5\""},
    {STR("sum by x"),
     "1:8: parse error: unexpected identifier \"x\" in grouping opts, expected \"(\""},
    {STR("sum by (a"), "1:10: parse error: unclosed left parenthesis"},
    {STR("sum by (a b) (x)"),
     "1:11: parse error: unexpected identifier \"b\" in grouping opts, expected \",\" or \")\""},
    {STR("sum by (a,,b) (x)"),
     "1:11: parse error: unexpected \",\" in grouping opts, expected label"},
    {STR("sum by (,) (x)"), "1:9: parse error: unexpected \",\" in grouping opts, expected label"},
    {STR("sum by (5) (x)"),
     "1:9: parse error: unexpected number \"5\" in grouping opts, expected label"},
    {STR("sum by (without) (x)"),
     "1:9: parse error: unexpected <without> in grouping opts, expected label"},
    {STR("sum by (\"\") (x)"), "1:9: parse error: invalid label name for grouping: \"\""},
    {STR("sum by (\"\\xff\") (x)"), "1:9: parse error: invalid label name for grouping: \"\\xff\""},
    {STR("sum by (a) x"), "1:12: parse error: unexpected identifier \"x\" in aggregation"},
    {STR("sum by (a) (x) by (b)"), "1:16: parse error: unexpected <by>"},
    {STR("sum(x) by"),
     "1:10: parse error: unexpected end of input in grouping opts, expected \"(\""},
    {STR("sum(x) by b"),
     "1:11: parse error: unexpected identifier \"b\" in grouping opts, expected \"(\""},
    {STR("sum(x) by (b) by (c)"), "1:15: parse error: unexpected <by>"},
    {STR("sum without (x) without (y)"), "1:17: parse error: unexpected <without> in aggregation"},
    {STR("sum(x y)"), "1:7: parse error: unexpected identifier \"y\" in aggregation"},
    {STR("sum((x y))"), "1:8: parse error: unexpected identifier \"y\" in aggregation"},
    {STR("sum(rate(x[5m] y))"), "1:16: parse error: unexpected identifier \"y\" in aggregation"},
    {STR("sum(x,)"), "1:6: parse error: trailing commas not allowed in function call args"},
    {STR("topk(x)"), "1:1: parse error: wrong number of arguments for aggregate expression "
                     "provided, expected 2, got 1"},
    {STR("topk(x, y)"),
     "1:6: parse error: expected type scalar in aggregation parameter, got instant vector"},
    {STR("topk(\"5\", x)"),
     "1:6: parse error: expected type scalar in aggregation parameter, got string"},
    {STR("topk(5, 5)"),
     "1:9: parse error: expected type instant vector in aggregation expression, got scalar"},
    {STR("topk(5, x, y)"), "1:1: parse error: wrong number of arguments for aggregate expression "
                           "provided, expected 2, got 3"},
    {STR("quantile(x)"), "1:1: parse error: wrong number of arguments for aggregate expression "
                         "provided, expected 2, got 1"},
    {STR("count_values(5, x)"),
     "1:14: parse error: expected type string in aggregation parameter, got scalar"},
    {STR("count_values(\"a\")"), "1:1: parse error: wrong number of arguments for aggregate "
                                 "expression provided, expected 2, got 1"},
    {STR("1 and 2"),
     "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"},
    {STR("x and 2"),
     "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"},
    {STR("2 or x"),
     "1:1: parse error: set operator \"or\" not allowed in binary scalar expression"},
    {STR("x unless 5"),
     "1:1: parse error: set operator \"unless\" not allowed in binary scalar expression"},
    {STR("x and on(a) group_left b"),
     "1:1: parse error: no grouping allowed for \"and\" operation"},
    {STR("x or ignoring(a) group_right(c) b"),
     "1:1: parse error: no grouping allowed for \"or\" operation"},
    {STR("1 == 1"), "1:3: parse error: comparisons between scalars must use BOOL modifier"},
    {STR("1 < 2 + 3"), "1:3: parse error: comparisons between scalars must use BOOL modifier"},
    {STR("1 + bool 2"), "1:3: parse error: bool modifier can only be used on comparison operators"},
    {STR("x + bool y"), "1:3: parse error: bool modifier can only be used on comparison operators"},
    {STR("x and bool y"),
     "1:3: parse error: bool modifier can only be used on comparison operators"},
    {STR("x atan2 bool y"),
     "1:3: parse error: bool modifier can only be used on comparison operators"},
    {STR("x </ bool y"),
     "1:3: parse error: bool modifier can only be used on comparison operators"},
    {STR("x == bool bool y"), "1:11: parse error: unexpected <bool>"},
    {STR("x + on y"),
     "1:8: parse error: unexpected identifier \"y\" in grouping opts, expected \"(\""},
    {STR("x + on("), "1:8: parse error: unclosed left parenthesis"},
    {STR("x + on(a y"),
     "1:10: parse error: unexpected identifier \"y\" in grouping opts, expected \",\" or \")\""},
    {STR("x + on(a) on(b) y"), "1:11: parse error: unexpected <on>"},
    {STR("x + ignoring(a) on(b) y"), "1:17: parse error: unexpected <on>"},
    {STR("x + group_left(a) y"), "1:5: parse error: unexpected <group_left>"},
    {STR("x + on(a) group_left(b c) y"),
     "1:24: parse error: unexpected identifier \"c\" in grouping opts, expected \",\" or \")\""},
    {STR("x + on(a) group_left bool y"),
     "1:22: parse error: unexpected <bool> in grouping opts, expected \"(\""},
    {STR("x + on(a) group_left(a) y"),
     "1:3: parse error: label \"a\" must not occur in ON and GROUP clause at once"},
    {STR("x * on(\"a b\", c) group_right(\"a b\") y"),
     "1:3: parse error: label \"a b\" must not occur in ON and GROUP clause at once"},
    {STR("1 + on(a) 2"), "1:1: parse error: vector matching only allowed between instant vectors"},
    {STR("x + on(a) 2"), "1:1: parse error: vector matching only allowed between instant vectors"},
    {STR("x + fill(1) 2"),
     "1:1: parse error: filling in missing series only allowed between instant vectors"},
    {STR("2 + fill_left(1) fill_right(2) x"),
     "1:1: parse error: filling in missing series only allowed between instant vectors"},
    {STR("x and fill(1) y"),
     "1:1: parse error: filling in missing series not allowed for set operators"},
    {STR("x + fill(y) z"), "1:10: parse error: unexpected identifier \"y\""},
    {STR("x + fill() z"), "1:10: parse error: unexpected \")\""},
    {STR("x + fill(1, 2) z"), "1:11: parse error: unexpected \",\""},
    {STR("x + fill(1) fill_left(2) z"), "1:22: parse error: unexpected \"(\""},
    {STR("x + fill_left(1) fill_left(2) z"), "1:27: parse error: unexpected \"(\""},
    {STR("x + fill(- y) z"), "1:12: parse error: unexpected identifier \"y\""},
    {STR("x + + "), "1:7: parse error: unexpected end of input"},
    {STR("x ^"), "1:4: parse error: unexpected end of input"},
    {STR("x == != y"), "1:6: parse error: unexpected <op:!=>"},
    {STR("\"a\" + x"),
     "1:1: parse error: binary expression must contain only scalar and instant vector types"},
    {STR("x + \"a\""),
     "1:5: parse error: binary expression must contain only scalar and instant vector types"},
    {STR("x[5m] + x"),
     "1:1: parse error: binary expression must contain only scalar and instant vector types"},
    {STR("x + x[5m]"),
     "1:5: parse error: binary expression must contain only scalar and instant vector types"},
    {STR("x[5m:1m] or x"),
     "1:1: parse error: binary expression must contain only scalar and instant vector types"},
    {STR("-\"a\""), "1:1: parse error: unary expression only allowed on expressions of type scalar "
                    "or instant vector, got \"string\""},
    {STR("-x[5m]"), "1:1: parse error: unary expression only allowed on expressions of type scalar "
                    "or instant vector, got \"range vector\""},
    {STR("+x[5m:]"), "1:1: parse error: unary expression only allowed on expressions of type "
                     "scalar or instant vector, got \"range vector\""},
    {STR("\"a\"[5m:]"),
     "1:1: parse error: subquery is only allowed on instant vector, got string instead"},
    {STR("5[5m:]"),
     "1:1: parse error: subquery is only allowed on instant vector, got scalar instead"},
    {STR("x[5m][5m:]"),
     "1:1: parse error: subquery is only allowed on instant vector, got matrix instead"},
    {STR("x[5m:][5m:]"),
     "1:1: parse error: subquery is only allowed on instant vector, got matrix instead"},
    {STR("by (a)"), "1:4: parse error: unexpected \"(\""},
    {STR("on"), "1:1: parse error: unexpected <on>"},
    {STR("bool"), "1:1: parse error: unexpected <bool>"},
    {STR("group_left(x)"), "1:1: parse error: unexpected <group_left>"},
    {STR("a:b(x)"), "1:4: parse error: unexpected \"(\""},
    {STR("by(x)"), "1:3: parse error: unexpected \"(\""},
    {STR("x{a=\"b\""), "1:8: parse error: unexpected end of input inside braces"},
    {STR("x{a=\"b\","), "1:9: parse error: unexpected end of input inside braces"},
    {STR("x{a=\"\\xff\\q\"}"), "1:5: parse error: unknown escape sequence U+0071 'q'"},
    {STR("x{a=\"b\"c}"),
     "1:8: parse error: unexpected identifier \"c\" in label matching, expected \",\" or \"}\""},
    {STR("sum(x{a=})"), "1:9: parse error: unexpected \"}\" in label matching, expected string"},
    {STR("x /* y */"), "1:4: parse error: unexpected <op:*>"},
    {STR("x + # end"), "1:10: parse error: unexpected end of input"},
    {STR("(1 + 2))"), "1:9: parse error: unexpected right parenthesis ')'"},
    {STR("((1 + 2)"), "1:9: parse error: unclosed left parenthesis"},
    {STR("[5m]"), "1:1: parse error: unexpected \"[\""},
    {STR("x, y"), "1:2: parse error: unexpected \",\""},
    {STR(","), "1:1: parse error: unexpected \",\""},
    {STR("x::y("), "1:5: parse error: unexpected \"(\""},
    {STR("@ 5"), "1:1: parse error: unexpected <op:@>"},
    {STR("offset 5m 5m"), "1:8: parse error: unexpected duration \"5m\""},
    {STR("{\"a\":\"b\"}"), "1:5: parse error: unexpected character inside braces: ':'"},
    {STR("x["), "1:3: parse error: unexpected end of input in duration expression"},
    {STR("x[5m[1m]"), "1:5: parse error: unexpected left bracket '['"},
    {STR("x[5m] + y[::5m]"), "1:11: parse error: unexpected \":\" in subquery or range selector, "
                             "expected number, duration, step(), or range()"},
    {STR("x[5m] + y[:5m]"), "1:11: parse error: unexpected \":\" in subquery or range selector, "
                            "expected number, duration, step(), or range()"},
    {STR("x\n  + y\n  z"), "3:3: parse error: unexpected identifier \"z\""},
    {STR("sum(\n  x,\n  y)"), "1:1: parse error: wrong number of arguments for aggregate "
                              "expression provided, expected 1, got 2"},
    {STR("\"two\nlines\""), "1:1: parse error: unterminated quoted string"},
    {STR("\n\n  5m5m"), "3:3: parse error: not a valid duration string: \"5m5m\""},
    {STR("x{\n a=\"b\"\n c=\"d\"}"),
     "3:2: parse error: unexpected identifier \"c\" in label matching, expected \",\" or \"}\""},
    {STR("x # one\n# two\n )"), "3:3: parse error: unexpected right parenthesis ')'"},
    {STR("\"\xff\""), "1:1: parse error: invalid UTF-8 rune"},
    {STR("`\xff`"), "1:1: parse error: invalid UTF-8 rune"},
    {STR("\xff"), "1:1: parse error: unexpected character: '\xef\xbf\xbd'"},
    {STR("\"\xef\xbf\xbd\""), "1:1: parse error: invalid UTF-8 rune"},
    {STR("x{a=\"b\"} "
         "{a="
         "\"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3"
         "\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\"} + 1"),
     "1:10: parse error: unexpected \"{\""},
    {STR("{job=\"a\",\"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\" 5}"),
     "1:43: parse error: unexpected character inside braces: '5'"},
    {STR("x \"long text here\""), "1:3: parse error: unexpected string \"\\\"long text\"..."},
};

TEST(parse_error, says_what_prometheus_says)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        check_error(t, cases[i].text, &language_all, cases[i].error);
    }
}

typedef enum Lack { NO_EXTENDED, NO_DURATION_EXPR, NO_FILL, NO_EXPERIMENTAL } Lack;

TEST(parse_error, names_what_is_not_switched_on)
{
    static const struct {
        Lack lack;
        Str text;
        const char *error;
    } gated[] = {
        {NO_EXTENDED, STR("x[5m] anchored"),
         "1:1: parse error: anchored modifier is experimental and not enabled"},
        {NO_EXTENDED, STR("x smoothed"),
         "1:1: parse error: smoothed modifier is experimental and not enabled"},
        {NO_DURATION_EXPR, STR("x[5m+1m]"),
         "1:3: parse error: experimental duration expression is not enabled"},
        {NO_DURATION_EXPR, STR("x[(5m)]"),
         "1:4: parse error: experimental duration expression is not enabled"},
        {NO_DURATION_EXPR, STR("x[step()]"),
         "1:3: parse error: experimental duration expression is not enabled"},
        {NO_DURATION_EXPR, STR("x offset range()"),
         "1:10: parse error: experimental duration expression is not enabled"},
        {NO_DURATION_EXPR, STR("x offset -max_of(1m,2m)"),
         "1:10: parse error: experimental duration expression is not enabled"},
        {NO_DURATION_EXPR, STR("x offset (1m)"),
         "1:11: parse error: experimental duration expression is not enabled"},
        {NO_FILL, STR("x + fill(1) y"),
         "1:1: parse error: binop fill modifiers are experimental and not enabled"},
        {NO_FILL, STR("x + fill_left(1) y"),
         "1:1: parse error: binop fill modifiers are experimental and not enabled"},
        {NO_FILL, STR("x + on(a) group_left fill_right(1) y"),
         "1:1: parse error: binop fill modifiers are experimental and not enabled"},
        {NO_EXPERIMENTAL, STR("limitk(1, x)"),
         "1:1: parse error: limitk() is experimental and must be enabled with "
         "--enable-feature=promql-experimental-functions"},
        {NO_EXPERIMENTAL, STR("limit_ratio(0.5, x)"),
         "1:1: parse error: limit_ratio() is experimental and must be enabled with "
         "--enable-feature=promql-experimental-functions"},
        {NO_EXPERIMENTAL, STR("mad_over_time(x[5m])"),
         "1:1: parse error: function \"mad_over_time\" is not enabled"},
        {NO_EXPERIMENTAL, STR("sort_by_label(x, \"a\")"),
         "1:1: parse error: function \"sort_by_label\" is not enabled"},
    };
    for (size_t i = 0; i < ARRAY_LEN(gated); i++) {
        PromqlFeatures features = language_all;
        switch (gated[i].lack) {
        case NO_EXTENDED:
            features.extended_range_selectors = false;
            break;
        case NO_DURATION_EXPR:
            features.duration_expressions = false;
            break;
        case NO_FILL:
            features.binop_fill_modifiers = false;
            break;
        case NO_EXPERIMENTAL:
            features.experimental_functions = false;
            break;
        }
        check_error(t, gated[i].text, &features, gated[i].error);
        PromqlExpr *expr = language_parse(t, gated[i].text);
        promql_expr_free(expr);
    }
}

// A message that does not fit is cut, not lost.
TEST(parse_error, cuts_what_is_long)
{
    char *text = arena_new(&t->arena, char, 1001);
    memset(text, 'a', 1000);
    memcpy(text + 990, "(x)", 3);
    PromqlExpr *expr = NULL;
    Err err = {0};
    CHECK_EQ(promql_parse((Str){text, 993}, NULL, &expr, &err), ERR_INVALID);
    CHECK(strncmp(err.msg, "1:1: parse error: unknown function with name \"aaaa", 48) == 0);
}
