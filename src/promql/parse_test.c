// SPDX-License-Identifier: Apache-2.0
//
// Expressions that parse: what they become, shown by printing them again on one line, on several,
// and as JSON. What is expected is what Prometheus prints.
#include "promql/parse.h"

#include "promql/language_test_internal.h"
#include "promql/quote.h"
#include "tests/support/test.h"

const PromqlFeatures language_all = {.experimental_functions = true,
                                     .duration_expressions = true,
                                     .extended_range_selectors = true,
                                     .binop_fill_modifiers = true};

PromqlExpr *language_parse(Test *t, Str text)
{
    PromqlExpr *expr = NULL;
    Err err = {0};
    if (promql_parse(text, &language_all, &expr, &err) != OK) {
        test_fail(t, __FILE__, __LINE__, STR_FMT ": %s", STR_ARG(text), err.msg);
    }
    return expr;
}

Str language_print(Test *t, Str text, void (*print)(const PromqlNode *, Buf *))
{
    PromqlExpr *expr = language_parse(t, text);
    Buf out;
    buf_init(&out, 0);
    print(promql_expr_root(expr), &out);
    const Str printed = arena_str(&t->arena, buf_str(&out));
    buf_deinit(&out);
    promql_expr_free(expr);
    return printed;
}

typedef struct PrintCase {
    Str in, out; // out empty: the same
} PrintCase;

static const PrintCase lines[] = {
    {STR("1"), STR("")},
    {STR("-1"), STR("")},
    {STR("+1"), STR("1")},
    {STR("--1"), STR("1")},
    {STR(".5"), STR("0.5")},
    {STR("5."), STR("5")},
    {STR("1.5e3"), STR("1500")},
    {STR("1E-3"), STR("0.001")},
    {STR("0x1F"), STR("31")},
    {STR("0X_1f"), STR("31")},
    {STR("0xAbC"), STR("2748")},
    {STR("017"), STR("15")},
    {STR("08"), STR("8")},
    {STR("1_000_000"), STR("1000000")},
    {STR("1_0.5"), STR("10.5")},
    {STR("Inf"), STR("+Inf")},
    {STR("-inf"), STR("-Inf")},
    {STR("+INF"), STR("+Inf")},
    {STR("NaN"), STR("")},
    {STR("nan"), STR("NaN")},
    {STR("5m"), STR("")},
    {STR("-5m"), STR("")},
    {STR("1h30m"), STR("")},
    {STR("1y2w3d4h5m6s7ms"), STR("382d4h5m6s7ms")},
    {STR("90s"), STR("1m30s")},
    {STR("0s"), STR("")},
    {STR("0d"), STR("0s")},
    {STR("1e300"),
     STR("10000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
         "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
         "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
         "0000000000000000000000000000000000")},
    {STR("1e-7"), STR("0.0000001")},
    {STR("0x1e5"), STR("485")},
    {STR("\"a\""), STR("")},
    {STR("\"tab\\tquote\\\"backslash\\\\nul\\x00bell\\a\\b\\f\\v\\r\\n\""), STR("")},
    {STR("'\\x41\\101\\u0416\\U0001F600'"), STR("\"AA\xd0\x96\xf0\x9f\x98\x80\"")},
    {STR("`raw\\n\"text\"`"), STR("\"raw\\\\n\\\"text\\\"\"")},
    {STR("\"\xc3\xa9\xe6\x97\xa5\xe6\x9c\xac\\u200b\\u00a0\""), STR("")},
    {STR("\"\\xff\\xfe\""), STR("")},
    {STR("x"), STR("")},
    {STR("x{}"), STR("x")},
    {STR("x{a=\"b\"}"), STR("")},
    {STR("x{b=\"2\",a=\"1\",}"), STR("x{a=\"1\",b=\"2\"}")},
    {STR("x{a=\"1\",b!=\"2\",c=~\"3|4\",d!~\"5.*\"}"), STR("")},
    {STR("{a=\"b\"}"), STR("")},
    {STR("{\"x.y\"}"), STR("{__name__=\"x.y\"}")},
    {STR("{\"x.y\", \"label.z\"=\"w\", a=\"b\"}"),
     STR("{\"label.z\"=\"w\",__name__=\"x.y\",a=\"b\"}")},
    {STR("{\"x\", a=\"\"}"), STR("{__name__=\"x\",a=\"\"}")},
    {STR("{__name__=\"x\"}"), STR("")},
    {STR("{__name__=~\"x.+\", job=\"y\"}"), STR("{__name__=~\"x.+\",job=\"y\"}")},
    {STR("{__name__=\"x:y\"}"), STR("")},
    {STR("a:b:c"), STR("")},
    {STR(":x"), STR("")},
    {STR("sum"), STR("")},
    {STR("by"), STR("")},
    {STR("without{a=\"b\"}"), STR("")},
    {STR("offset"), STR("")},
    {STR("offset offset 5m"), STR("")},
    {STR("start"), STR("")},
    {STR("end{a=\"b\"}"), STR("")},
    {STR("step + range"), STR("")},
    {STR("max_of + min_of"), STR("")},
    {STR("fill + fill"), STR("")},
    {STR("and"), STR("")},
    {STR("x and and"), STR("")},
    {STR("or or or"), STR("")},
    {STR("unless unless unless"), STR("")},
    {STR("anchored"), STR("")},
    {STR("smoothed[5m]"), STR("")},
    {STR("topk"), STR("")},
    {STR("count_values{a=\"b\"}"), STR("")},
    {STR("bottomk offset 1m"), STR("")},
    {STR("x # remark"), STR("x")},
    {STR("X"), STR("")},
    {STR("x offset 5m"), STR("")},
    {STR("x offset -5m"), STR("")},
    {STR("x offset +5m"), STR("x offset 5m")},
    {STR("x offset 300"), STR("x offset 5m")},
    {STR("x offset 0"), STR("x")},
    {STR("x offset 1.5"), STR("x offset 1s500ms")},
    {STR("x offset - 1.5"), STR("x offset -1s500ms")},
    {STR("x @ 5"), STR("x @ 5.000")},
    {STR("x @ -5"), STR("x @ -5.000")},
    {STR("x @ +5.4321"), STR("x @ 5.432")},
    {STR("x @ 5m"), STR("x @ 300.000")},
    {STR("x @ start()"), STR("")},
    {STR("x @ end()"), STR("")},
    {STR("x @ START()"), STR("x @ start()")},
    {STR("x @ 0x10"), STR("x @ 16.000")},
    {STR("x @ 1603774568.1236"), STR("x @ 1603774568.124")},
    {STR("x @ 5 offset 5m"), STR("x @ 5.000 offset 5m")},
    {STR("x offset 5m @ 5"), STR("x @ 5.000 offset 5m")},
    {STR("x[5m]"), STR("")},
    {STR("x[300]"), STR("x[5m]")},
    {STR("x[ 5m ]"), STR("x[5m]")},
    {STR("x[1h30m] offset 1w"), STR("")},
    {STR("x[5m] @ 5 offset 1m"), STR("x[5m] @ 5.000 offset 1m")},
    {STR("x[5m] offset 1m @ end()"), STR("x[5m] @ end() offset 1m")},
    {STR("x{a=\"b\"}[1y]"), STR("")},
    {STR("x[0x10]"), STR("x[16s]")},
    {STR("x[5m:]"), STR("")},
    {STR("x[5m:1m]"), STR("")},
    {STR("x[300:60]"), STR("x[5m:1m]")},
    {STR("x[5m :1m]"), STR("x[5m:1m]")},
    {STR("x[5m: 1m]"), STR("x[5m:1m]")},
    {STR("x[5m:1m] @ start() offset 1m"), STR("")},
    {STR("x[5m:1m] offset -1m"), STR("")},
    {STR("rate(x[5m])[30m:1m]"), STR("")},
    {STR("(x + y)[30m:]"), STR("")},
    {STR("sum(x)[30m:]"), STR("")},
    {STR("max_over_time(deriv(rate(x[1m])[5m:1m])[10m:])"), STR("")},
    {STR("x anchored"), STR("")},
    {STR("x smoothed"), STR("")},
    {STR("x[5m] anchored"), STR("")},
    {STR("x[5m] smoothed offset 1m"), STR("")},
    {STR("x[5m] anchored @ 5"), STR("x[5m] anchored @ 5.000")},
    {STR("x anchored @ 5 offset 1m"), STR("x @ 5.000 anchored offset 1m")},
    {STR("x offset 1m anchored"), STR("x anchored offset 1m")},
    {STR("x[5m+1m]"), STR("x[5m + 1m]")},
    {STR("x[5m*2-1m/3]"), STR("x[5m * 2 - 1m / 3]")},
    {STR("x[2^3^2]"), STR("x[2 ^ 3 ^ 2]")},
    {STR("x[-(-5m)]"), STR("")},
    {STR("x[(5m)]"), STR("")},
    {STR("x[((5m))]"), STR("x[(5m)]")},
    {STR("x[(1+2)*3]"), STR("x[(1 + 2) * 3]")},
    {STR("x[1+2*3]"), STR("x[1 + 2 * 3]")},
    {STR("x[1m%7]"), STR("x[1m % 7]")},
    {STR("x[step()]"), STR("")},
    {STR("x[range()]"), STR("")},
    {STR("x[STEP()]"), STR("x[step()]")},
    {STR("x[step()*2:step()]"), STR("x[step() * 2:step()]")},
    {STR("x[max_of(step(),1m)]"), STR("x[max_of(step(), 1m)]")},
    {STR("x[min_of(range(),max_of(1,2)):]"), STR("x[min_of(range(), max_of(1, 2)):]")},
    {STR("x[-step()+5m]"), STR("x[-step() + 5m]")},
    {STR("x[+step()]"), STR("x[step()]")},
    {STR("x[5m - -1m]"), STR("")},
    {STR("x offset step()"), STR("")},
    {STR("x offset -step()"), STR("")},
    {STR("x offset +step()"), STR("x offset step()")},
    {STR("x offset range()"), STR("")},
    {STR("x offset (5m)"), STR("")},
    {STR("x offset -(5m)"), STR("")},
    {STR("x offset (5m+1m)"), STR("x offset (5m + 1m)")},
    {STR("x offset -(5m+1m)"), STR("x offset -(5m + 1m)")},
    {STR("x offset (5m)*2"), STR("x offset (5m) * 2")},
    {STR("x offset -(5m)*2"), STR("x offset -(5m) * 2")},
    {STR("x offset 5m*2"), STR("x offset 5m * 2")},
    {STR("x offset -2^2"), STR("x offset -2s ^ 2")},
    {STR("x offset step()+1"), STR("x offset step() + 1")},
    {STR("x offset max_of(1m,step())"), STR("x offset max_of(1m, step())")},
    {STR("x offset -min_of(1m,step())"), STR("x offset -min_of(1m, step())")},
    {STR("x offset -max_of(1m,2m)+3"), STR("x offset -max_of(1m, 2m) + 3")},
    {STR("x offset -(-step())"), STR("")},
    {STR("x[5m] offset (1m*2) @ 7"), STR("x[5m] @ 7.000 offset (1m * 2)")},
    {STR("x[5m:(1m)] offset (step()*2)"), STR("x[5m:(1m)] offset (step() * 2)")},
    {STR("1+2"), STR("1 + 2")},
    {STR("1 + 2 * 3 - 4 / 5 % 6"), STR("")},
    {STR("2^3^2"), STR("2 ^ 3 ^ 2")},
    {STR("-2^2"), STR("-2 ^ 2")},
    {STR("(-2)^2"), STR("(-2) ^ 2")},
    {STR("2^-2"), STR("2 ^ -2")},
    {STR("2^-2*3"), STR("2 ^ -2 * 3")},
    {STR("-x*-y"), STR("-x * -y")},
    {STR("- - x"), STR("--x")},
    {STR("+x"), STR("")},
    {STR("-(x)"), STR("")},
    {STR("-(1)"), STR("")},
    {STR("1 - -1"), STR("")},
    {STR("x+y*z"), STR("x + y * z")},
    {STR("(x+y)*z"), STR("(x + y) * z")},
    {STR("((x))"), STR("")},
    {STR("x == y"), STR("")},
    {STR("x == bool y"), STR("")},
    {STR("x != bool 5"), STR("")},
    {STR("5 < bool 6"), STR("")},
    {STR("x<y"), STR("x < y")},
    {STR("x <= y"), STR("")},
    {STR("x>y"), STR("x > y")},
    {STR("x >= bool y"), STR("")},
    {STR("x </ 5"), STR("")},
    {STR("x >/ y"), STR("")},
    {STR("x atan2 y"), STR("")},
    {STR("x % y"), STR("")},
    {STR("x and y or z unless w"), STR("")},
    {STR("x or y and z"), STR("")},
    {STR("x and on(a) y"), STR("x and on (a) y")},
    {STR("x or ignoring(a,b) y"), STR("x or ignoring (a, b) y")},
    {STR("x unless on() y"), STR("x unless on () y")},
    {STR("x + on(a) y"), STR("x + on (a) y")},
    {STR("x + on(a,b,) y"), STR("x + on (a, b) y")},
    {STR("x + on() y"), STR("x + on () y")},
    {STR("x + ignoring() y"), STR("x + y")},
    {STR("x + ignoring(a) y"), STR("x + ignoring (a) y")},
    {STR("x + on(a) group_left y"), STR("x + on (a) group_left () y")},
    {STR("x + on(a) group_left() y"), STR("x + on (a) group_left () y")},
    {STR("x + on(a) group_left(b, c) y"), STR("x + on (a) group_left (b, c) y")},
    {STR("x + ignoring(a) group_right(b) y"), STR("x + ignoring (a) group_right (b) y")},
    {STR("x + ignoring() group_left y"), STR("x + ignoring () group_left () y")},
    {STR("x * on(a) group_right y"), STR("x * on (a) group_right () y")},
    {STR("x == bool on(a) group_left(b) y"), STR("x == bool on (a) group_left (b) y")},
    {STR("x + on(\"a b\", c) y"), STR("x + on (\"a b\", c) y")},
    {STR("x + on(sum, by, on, bool, offset, start, inf_x) y"),
     STR("x + on (sum, by, on, bool, offset, start, inf_x) y")},
    {STR("x + on(\"sum\", \"a\", \"\xc3\xa9\") group_left(\"d.e\") y"),
     STR("x + on (sum, a, \"\xc3\xa9\") group_left (\"d.e\") y")},
    {STR("x + fill(1) y"), STR("x + fill (1) y")},
    {STR("x + fill(-1.5) y"), STR("x + fill (-1.5) y")},
    {STR("x + fill(+5m) y"), STR("x + fill (300) y")},
    {STR("x + fill_left(1) y"), STR("x + fill_left (1) y")},
    {STR("x + fill_right(1e21) y"), STR("x + fill_right (1e+21) y")},
    {STR("x + fill_left(1) fill_right(2) y"), STR("x + fill_left (1) fill_right (2) y")},
    {STR("x + fill_right(2) fill_left(1) y"), STR("x + fill_left (1) fill_right (2) y")},
    {STR("x + fill_left(3) fill_right(3) y"), STR("x + fill (3) y")},
    {STR("x + fill(Inf) y"), STR("x + fill (+Inf) y")},
    {STR("x + fill(0.00001) y"), STR("x + fill (1e-05) y")},
    {STR("x == bool on(a) group_left(b) fill(0) y"),
     STR("x == bool on (a) group_left (b) fill (0) y")},
    {STR("x + fill"), STR("")},
    {STR("x + fill (2) fill"), STR("")},
    {STR("1 + on() 2"), STR("1 + 2")},
    {STR("x + on() group_left 2"), STR("x + 2")},
    {STR("sum(x)"), STR("")},
    {STR("SUM(x)"), STR("sum(x)")},
    {STR("sum by(a)(x)"), STR("sum by (a) (x)")},
    {STR("sum(x)by(a)"), STR("sum by (a) (x)")},
    {STR("sum by (a, b) (x)"), STR("")},
    {STR("sum without (a) (x)"), STR("")},
    {STR("sum(x) without (a,b,)"), STR("sum without (a, b) (x)")},
    {STR("sum by () (x)"), STR("sum(x)")},
    {STR("sum without () (x)"), STR("")},
    {STR("sum by (\"a b\", c) (x)"), STR("")},
    {STR("sum by (by, sum, on) (x)"), STR("")},
    {STR("avg(x) / count(x)"), STR("")},
    {STR("min(x) + max(x) - group(x)"), STR("")},
    {STR("stddev(x) + stdvar(x)"), STR("")},
    {STR("topk(5, x)"), STR("")},
    {STR("bottomk by (a) (2 * 3, x)"), STR("")},
    {STR("quantile(0.5, x) by (a)"), STR("quantile by (a) (0.5, x)")},
    {STR("count_values(\"v\", x)"), STR("")},
    {STR("count_values without (a) (\"v\", x)"), STR("")},
    {STR("limitk(5, x)"), STR("")},
    {STR("limit_ratio(-0.5, x)"), STR("")},
    {STR("topk(scalar(y), x)"), STR("")},
    {STR("sum(sum by (a) (x)) by (b)"), STR("sum by (b) (sum by (a) (x))")},
    {STR("time()"), STR("")},
    {STR("abs(x)"), STR("")},
    {STR("rate(x[5m])"), STR("")},
    {STR("rate(rate(x[5m])[10m:1m])"), STR("")},
    {STR("round(x)"), STR("")},
    {STR("round(x, 0.1)"), STR("")},
    {STR("clamp(x, 1, 2)"), STR("")},
    {STR("label_replace(x, \"a\", \"$1\", \"b\", \"(.*)\")"), STR("")},
    {STR("label_join(x, \"a\", \"-\", \"b\", \"c\", \"d\")"), STR("")},
    {STR("histogram_quantile(0.9, sum by (le) (rate(x[5m])))"), STR("")},
    {STR("vector(1)"), STR("")},
    {STR("scalar(x)"), STR("")},
    {STR("absent(x{a=\"b\"})"), STR("")},
    {STR("absent_over_time(x[5m])"), STR("")},
    {STR("day_of_month()"), STR("")},
    {STR("day_of_month(x)"), STR("")},
    {STR("info(x)"), STR("")},
    {STR("info(x, {a=\"b\"})"), STR("")},
    {STR("info(x, {a=~\".*\"})"), STR("")},
    {STR("pi() * 2"), STR("")},
    {STR("start() + end()"), STR("")},
    {STR("min_of(1, 2) + step()"), STR("")},
    {STR("sort_by_label(x, \"a\", \"b\")"), STR("")},
    {STR("mad_over_time(x[5m])"), STR("")},
    {STR("quantile_over_time(0.5, x[5m])"), STR("")},
    {STR("timestamp(x offset 5m)"), STR("")},
    {STR("vector(time())"), STR("")},
    {STR("sum (x)"), STR("sum(x)")},
    {STR("rate (x [5m] )"), STR("rate(x[5m])")},
};

TEST(parse, is_printed_on_one_line)
{
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        CHECK_STR(language_print(t, lines[i].in, promql_print),
                  lines[i].out.len == 0 ? lines[i].in : lines[i].out);
    }
}

// A tree that is printed and read again is the same tree, but for the order of its matchers.
TEST(parse, reads_what_it_prints)
{
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        const Str once = language_print(t, lines[i].in, promql_print);
        CHECK_STR(language_print(t, once, promql_print), once);
        const Str pretty = language_print(t, lines[i].in, promql_print_pretty);
        CHECK_STR(language_print(t, pretty, promql_print), once);
        CHECK_STR(language_print(t, pretty, promql_print_json),
                  language_print(t, once, promql_print_json));
    }
}

// Where Prometheus prints what it cannot read, we print something that means the same.
TEST(parse, is_printed_so_that_it_can_be_read)
{
    static const PrintCase cases[] = {
        {STR("sum by (\"without\", 'Inf', \"NaN\") (x)"),
         STR("sum by (\"without\", \"Inf\", \"NaN\") (x)")},
        {STR("x offset --5m + 3"), STR("x offset (5m + 3)")},
        {STR("x offset ++step() * 2"), STR("x offset (step() * 2)")},
        {STR("x offset --(5m) + 3"), STR("x offset --(5m) + 3")},
        {STR("x offset --step() + 3"), STR("x offset --step() + 3")},
        {STR("x offset +-2^2"), STR("x offset (-2 ^ 2)")},
        {STR("x offset --2^2"), STR("x offset --2 ^ 2")},
        {STR("x offset +(5m)"), STR("x offset +(5m)")},
        {STR("x offset +(5m + 1m) * y"), STR("x offset +(5m + 1m) * y")},
        {STR("x offset ++(5m) + 3"), STR("x offset (5m) + 3")},
        {STR("x offset ++max_of(1,2) + 3"), STR("x offset (max_of(1, 2) + 3)")},
        {STR("info(x, {})"), STR("info(x, {})")},
        {STR("1s1ms + 0"), STR("1s1ms + 0")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_STR(language_print(t, cases[i].in, promql_print), cases[i].out);
        CHECK_STR(language_print(t, cases[i].out, promql_print), cases[i].out);
    }
}

static const PrintCase splits[] = {
    {STR("x + y"), STR("x + y")},
    {STR("sum by (environment, region, datacenter, cluster) "
         "(rate(http_server_requests_seconds_count{job=\"api\"}[5m]))"),
     STR("sum by (environment, region, datacenter, cluster) (\n"
         "  rate(http_server_requests_seconds_count{job=\"api\"}[5m])\n"
         ")")},
    {STR("sum by (environment, region, datacenter, cluster) "
         "(rate(http_server_requests_seconds_count{job=\"api\"}[5m])) / on (environment, "
         "region) group_left (owner) sum by (environment, region) (up{job=\"api\"})"),
     STR("  sum by (environment, region, datacenter, cluster) (\n"
         "    rate(http_server_requests_seconds_count{job=\"api\"}[5m])\n"
         "  )\n"
         "/ on (environment, region) group_left (owner)\n"
         "  sum by (environment, region) (up{job=\"api\"})")},
    {STR("topk(5, sum by (environment, region, datacenter, cluster) "
         "(rate(http_server_requests_seconds_count{job=\"api\"}[5m])))"),
     STR("topk(\n"
         "  5,\n"
         "  sum by (environment, region, datacenter, cluster) (\n"
         "    rate(http_server_requests_seconds_count{job=\"api\"}[5m])\n"
         "  )\n"
         ")")},
    {STR("count_values without (environment, region) (\"version\", "
         "build_information_with_a_long_name{environment=\"production\", region=\"north\"})"),
     STR("count_values without (environment, region) (\n"
         "  \"version\",\n"
         "  build_information_with_a_long_name{environment=\"production\",region=\"north\"}\n"
         ")")},
    {STR("histogram_quantile(0.99, sum by (le, environment) "
         "(rate(http_server_requests_seconds_bucket{job=\"api\", "
         "environment=\"production\"}[5m])))"),
     STR("histogram_quantile(\n"
         "  0.99,\n"
         "  sum by (le, environment) (\n"
         "    "
         "rate(http_server_requests_seconds_bucket{environment=\"production\",job=\"api\"}[5m])"
         "\n"
         "  )\n"
         ")")},
    {STR("label_replace(some_metric_with_a_quite_long_name{environment=\"production\"}, "
         "\"destination_label\", \"$1\", \"source_label\", \"(.*)-suffix\")"),
     STR("label_replace(\n"
         "  some_metric_with_a_quite_long_name{environment=\"production\"},\n"
         "  \"destination_label\",\n"
         "  \"$1\",\n"
         "  \"source_label\",\n"
         "  \"(.*)-suffix\"\n"
         ")")},
    {STR("(some_metric_with_a_quite_long_name{environment=\"production\"} + "
         "another_metric_with_a_quite_long_name{environment=\"production\"})"),
     STR("(\n"
         "    some_metric_with_a_quite_long_name{environment=\"production\"}\n"
         "  +\n"
         "    another_metric_with_a_quite_long_name{environment=\"production\"}\n"
         ")")},
    {STR("-(some_metric_with_a_quite_long_name{environment=\"production\"} + "
         "another_metric_with_a_quite_long_name{environment=\"production\"})"),
     STR("-(\n"
         "    some_metric_with_a_quite_long_name{environment=\"production\"}\n"
         "  +\n"
         "    another_metric_with_a_quite_long_name{environment=\"production\"}\n"
         ")")},
    {STR("-sum by (environment, region, datacenter, cluster) "
         "(rate(http_server_requests_seconds_count{job=\"api\"}[5m]))"),
     STR("-sum by (environment, region, datacenter, cluster) (\n"
         "  rate(http_server_requests_seconds_count{job=\"api\"}[5m])\n"
         ")")},
    {STR("max_over_time((some_metric_with_a_quite_long_name{environment=\"production\"} + "
         "another_metric_with_a_quite_long_name)[30m:1m])"),
     STR("max_over_time(\n"
         "  (\n"
         "    some_metric_with_a_quite_long_name{environment=\"production\"} + "
         "another_metric_with_a_quite_long_name\n"
         "  )[30m:1m]\n"
         ")")},
    {STR("max_over_time(rate(some_metric_with_a_quite_long_name{environment=\"production\", "
         "region=\"north\", cluster=\"one\"}[5m])[30m:1m] offset 5m)"),
     STR("max_over_time(\n"
         "  "
         "rate(some_metric_with_a_quite_long_name{cluster=\"one\",environment=\"production\","
         "region=\"north\"}[5m])[30m:1m] offset 5m\n"
         ")")},
    {STR("some_metric_with_a_quite_long_name{environment=\"production\", region=\"north\", "
         "cluster=\"one\", datacenter=\"eu-central-1\"}"),
     STR("some_metric_with_a_quite_long_name{cluster=\"one\",datacenter=\"eu-central-1\","
         "environment=\"production\",region=\"north\"}")},
    {STR("some_metric_with_a_quite_long_name{environment=\"production\", region=\"north\"} and "
         "some_metric_with_a_quite_long_name{cluster=\"one\"} or on () vector(0)"),
     STR("    some_metric_with_a_quite_long_name{environment=\"production\",region=\"north\"}\n"
         "  and\n"
         "    some_metric_with_a_quite_long_name{cluster=\"one\"}\n"
         "or on ()\n"
         "  vector(0)")},
    {STR("some_metric_with_a_quite_long_name{environment=\"production\", region=\"north\"} == "
         "bool on (environment, region) group_right (cluster) fill_left (1) fill_right (2) y"),
     STR("  some_metric_with_a_quite_long_name{environment=\"production\",region=\"north\"}\n"
         "== bool on (environment, region) group_right (cluster) fill_left (1) fill_right (2)\n"
         "  y")},
    {STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa + "
         "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
     STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa + "
         "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")},
    {STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa + "
         "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
     STR("  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
         "+\n"
         "  bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")},
    {STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa + "
         "-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa + -bbbbbbbbbbbbbbbbbbbbbbbb"),
     STR("    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
         "  +\n"
         "    -aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
         "+\n"
         "  -bbbbbbbbbbbbbbbbbbbbbbbb")},
    {STR("some_metric_with_a_quite_long_name[max_of(step(), 5m) + min_of(range(), 10m)] offset "
         "(step() * 2) + 5"),
     STR("some_metric_with_a_quite_long_name[max_of(step(), 5m) + min_of(range(), 10m)] offset "
         "(step() * 2) + 5")},
};

TEST(parse, is_printed_on_lines_of_100_bytes)
{
    for (size_t i = 0; i < ARRAY_LEN(splits); i++) {
        CHECK_STR(language_print(t, splits[i].in, promql_print_pretty), splits[i].out);
    }
}

TEST(parse, is_printed_as_json)
{
    static const Str cases[] = {
        STR("1.5"),
        STR("5m"),
        STR("\"a\\\"b\\\\c\\n\xc3\xa9<>&\\x01\\xff\""),
        STR("x{a=\"b\",c!~\"d.*\"}"),
        STR("x @ 5 offset -5m"),
        STR("x @ start() smoothed"),
        STR("x @ end() anchored"),
        STR("x[5m] offset step()"),
        STR("x[step() * 2] @ 1.5"),
        STR("x[5m:(1m)] offset -(step())"),
        STR("rate(x[5m:1m] @ end())"),
        STR("sum by (a) (x)"),
        STR("topk without () (5, x)"),
        STR("count_values(\"v\", x)"),
        STR("x + y"),
        STR("1 + 2"),
        STR("x > bool 5"),
        STR("x and on(a) y"),
        STR("x * on(a, \"b c\") group_left(d) fill_left(1.5) y"),
        STR("x * ignoring() group_right fill(-0) y"),
        STR("-x"),
        STR("+(x)"),
        STR("time()"),
        STR("label_join(x, \"a\", \"b\")"),
        STR("round(x)"),
        STR("x[max_of(1m, -step())]"),
    };
    Buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const Str json = language_print(t, cases[i], promql_print_json);
        buf_putf(&out, STR_FMT "\n" STR_FMT "\n\n", STR_ARG(cases[i]), STR_ARG(json));
    }
    CHECK_GOLDEN("promql/tree.txt", buf_str(&out));
    buf_deinit(&out);
}

static uint32_t count_nodes(const PromqlNode *node)
{
    uint32_t count = 1;
    while (node->kind == PROMQL_BINARY) {
        node = node->u.binary.left;
        count++;
    }
    return count;
}

TEST(parse, has_positions_and_types)
{
    static const Str text = STR("  sum(x) by (a) > bool rate(y[5m] offset 1m)  ");
    PromqlExpr *expr = language_parse(t, text);
    const PromqlNode *root = promql_expr_root(expr);
    CHECK_STR(promql_expr_text(expr), text);
    CHECK_EQ(root->kind, PROMQL_BINARY);
    CHECK_EQ(root->type, PROMQL_VECTOR);
    CHECK_EQ(root->pos.start, 2);
    CHECK_EQ(root->pos.end, 44);
    CHECK(root->u.binary.is_bool && root->u.binary.has_matching);
    const PromqlNode *left = root->u.binary.left, *right = root->u.binary.right;
    CHECK_EQ(left->kind, PROMQL_AGGREGATE);
    CHECK_EQ(left->pos.end, 15);
    CHECK_EQ(left->u.aggregate.expr->pos.start, 6);
    CHECK_EQ(right->kind, PROMQL_CALL);
    CHECK_EQ(right->pos.start, 23);
    const PromqlNode *range = right->u.call.args[0];
    CHECK_EQ(range->type, PROMQL_MATRIX);
    CHECK_EQ(range->pos.end, 43);
    CHECK_EQ(range->u.range.range_ms, 300000);
    CHECK_EQ(range->u.range.selector->u.selector.time.offset_ms, 60000);
    CHECK_EQ(range->u.range.selector->u.selector.matcher_count, 1);
    promql_expr_free(expr);
    promql_expr_free(NULL);
}

TEST(parse, reads_times)
{
    static const struct {
        Str text;
        int64_t offset_ms, at_ms;
        PromqlAtKind at;
    } cases[] = {
        {STR("x offset 1.5"), 1500, 0, PROMQL_AT_NONE},
        {STR("x offset -1h"), -3600000, 0, PROMQL_AT_NONE},
        {STR("x offset 0.0009"), 0, 0, PROMQL_AT_NONE},
        {STR("x offset 300y"), 0, 0, PROMQL_AT_NONE},
        {STR("x @ 1.0005"), 0, 1001, PROMQL_AT_TIME},
        {STR("x @ -1.0005"), 0, -1001, PROMQL_AT_TIME},
        {STR("x @ 1h"), 0, 3600000, PROMQL_AT_TIME},
        {STR("x @ 9e18"), 0, INT64_MAX, PROMQL_AT_TIME},
        {STR("x @ -9e18"), 0, INT64_MIN, PROMQL_AT_TIME},
        {STR("x @ end() offset 5"), 5000, 0, PROMQL_AT_END},
        {STR("x offset 5 @ start()"), 5000, 0, PROMQL_AT_START},
        {STR("x offset NaN"), INT64_MIN / 1000000, 0, PROMQL_AT_NONE},
        {STR("x offset 9223372036.854775807"), INT64_MAX / 1000000, 0, PROMQL_AT_NONE},
        {STR("x offset -9223372036.854775807"), INT64_MIN / 1000000, 0, PROMQL_AT_NONE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        PromqlExpr *expr = NULL;
        Err err = {0};
        if (str_eq(cases[i].text, STR("x offset 300y"))) { // does not fit 63 bits of nanoseconds
            CHECK_EQ(promql_parse(cases[i].text, &language_all, &expr, &err), ERR_INVALID);
            continue;
        }
        expr = language_parse(t, cases[i].text);
        const PromqlTime *time = &promql_expr_root(expr)->u.selector.time;
        CHECK_EQ(time->offset_ms, cases[i].offset_ms);
        CHECK_EQ(time->at, cases[i].at);
        CHECK_EQ(time->at_ms, cases[i].at_ms);
        promql_expr_free(expr);
    }
}

static Str repeat(Test *t, Str piece, size_t count, Str end)
{
    Buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < count; i++) {
        buf_put_str(&out, piece);
    }
    buf_put_str(&out, end);
    const Str text = arena_str(&t->arena, buf_str(&out));
    buf_deinit(&out);
    return text;
}

static void check_limit(Test *t, Str text, const char *what)
{
    PromqlExpr *expr = NULL;
    Err err = {0};
    const Status st = promql_parse(text, &language_all, &expr, &err);
    if ((st == OK) != (what == NULL) || (what != NULL && strstr(err.msg, what) == NULL)) {
        test_fail(t, __FILE__, __LINE__, "%.20s...: %s, want %s", text.ptr, err.msg,
                  what == NULL ? "no error" : what);
    }
    promql_expr_free(expr);
}

TEST(parse, has_limits)
{
    static const char nested[] = "nested too deeply, at most 250",
                      deep[] = "too deep, at most 1000";
    const size_t max = PROMQL_NESTING_MAX;
    // A parenthesis more than there are levels, and one for the operand.
    check_limit(t, repeat(t, STR("("), max - 1, repeat(t, STR(")"), 0, STR("x"))), "unclosed");
    check_limit(t, repeat(t, STR("-"), max - 1, STR("x")), NULL);
    check_limit(t, repeat(t, STR("-"), max, STR("x")), nested);
    check_limit(t, repeat(t, STR("("), 1 << 16, STR("")), nested);
    check_limit(t, repeat(t, STR("abs("), 1 << 16, STR("")), nested);
    check_limit(t, repeat(t, STR("x^"), 1 << 16, STR("x")), nested);
    check_limit(t, repeat(t, STR("x["), 1, repeat(t, STR("-"), 1 << 16, STR("1]"))), nested);
    check_limit(t, repeat(t, STR("x offset "), 1, repeat(t, STR("("), 1 << 16, STR(""))), nested);
    check_limit(t, repeat(t, STR("x+"), PROMQL_DEPTH_MAX - 1, STR("x")), NULL);
    check_limit(t, repeat(t, STR("x+"), PROMQL_DEPTH_MAX, STR("x")), deep);
    check_limit(t, repeat(t, STR("label_join(x"), 1, repeat(t, STR(",\"a\""), 63, STR(")"))), NULL);
    check_limit(t, repeat(t, STR("label_join(x"), 1, repeat(t, STR(",\"a\""), 64, STR(")"))),
                "too many arguments in call to \"label_join\", at most 64");
    check_limit(t, repeat(t, STR(" "), PROMQL_EXPR_BYTES_MAX - 1, STR("x")), NULL);
    check_limit(t, repeat(t, STR(" "), PROMQL_EXPR_BYTES_MAX, STR("x")),
                "too long, at most 1048576");
}

TEST(parse, counts_nodes)
{
    // Sums of 500 in parentheses: two nodes per operand, less one, and the parenthesis.
    const Str sum = repeat(t, STR("x+"), 499, STR("x"));
    Buf piece;
    buf_init(&piece, 0);
    buf_putf(&piece, "(" STR_FMT ")+", STR_ARG(sum));
    const size_t each = 1000, most = PROMQL_NODES_MAX / (each + 1);
    check_limit(t, repeat(t, buf_str(&piece), most - 1, STR("x")), NULL);
    check_limit(t, repeat(t, buf_str(&piece), most + 1, STR("x")),
                "too many parts, at most 100000");
    buf_deinit(&piece);
    PromqlExpr *expr = language_parse(t, sum);
    CHECK_EQ(count_nodes(promql_expr_root(expr)), 500);
    promql_expr_free(expr);
}

TEST(parse, reads_selectors_alone)
{
    static const struct {
        Str text;
        const char *error; // NULL: it is one
    } cases[] = {
        {STR("up"), NULL},
        {STR("{job=\"a\"}"), NULL},
        {STR(" up{job=\"a\"} # x"), NULL},
        {STR("{}"), NULL},
        {STR("sum"), NULL},
        {STR(""), "unknown position: parse error: unexpected end of input"},
        {STR("up offset 5m"), "1:4: parse error: unexpected <offset>"},
        {STR("up[5m]"), "1:3: parse error: unexpected \"[\""},
        {STR("rate(x[5m])"), "1:5: parse error: unexpected \"(\""},
        {STR("5"), "1:1: parse error: unexpected number \"5\""},
        {STR("up{"), "1:4: parse error: unexpected end of input inside braces"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        PromqlExpr *expr = NULL;
        Err err = {0};
        const Status st = promql_parse_selector(cases[i].text, &expr, &err);
        CHECK_EQ(st, cases[i].error == NULL ? OK : ERR_INVALID);
        if (st == OK) {
            CHECK_EQ(promql_expr_root(expr)->kind, PROMQL_SELECTOR);
        } else {
            const Str got = {err.msg, strlen(err.msg)},
                      want = {cases[i].error, strlen(cases[i].error)};
            CHECK_STR(got, want);
        }
        promql_expr_free(expr);
    }
}

TEST(parse, reads_durations_of_requests)
{
    static const struct {
        Str text;
        int64_t ms;
        const char *error;
    } cases[] = {
        {STR("5m"), 300000, NULL},
        {STR("1h30m"), 5400000, NULL},
        {STR("1y1w1d1h1m1s1ms"), INT64_C(32230861001), NULL},
        {STR("0"), 0, NULL},
        {STR("90"), 90000, NULL},
        {STR("1.5"), 1500, NULL},
        {STR("-5"), -5000, NULL},
        {STR("1e3"), 1000000, NULL},
        {STR("292y"), INT64_C(9208512000000), NULL},
        {STR("293y"), 0, "cannot parse \"293y\" to a valid duration"},
        {STR(""), 0, "cannot parse \"\" to a valid duration"},
        {STR("5x"), 0, "cannot parse \"5x\" to a valid duration"},
        {STR("1m1h"), 0, "cannot parse \"1m1h\" to a valid duration"},
        {STR("1e30"), 0, "cannot parse \"1e30\" to a valid duration. It overflows int64"},
        {STR("NaN"), 0, "cannot parse \"NaN\" to a valid duration. It overflows int64"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms = -1;
        Err err = {0};
        const Status st = promql_parse_duration(cases[i].text, &ms, &err);
        CHECK_EQ(st, cases[i].error == NULL ? OK : ERR_INVALID);
        CHECK_EQ(ms, cases[i].ms);
        if (st != OK) {
            const Str got = {err.msg, strlen(err.msg)},
                      want = {cases[i].error, strlen(cases[i].error)};
            CHECK_STR(got, want);
        }
    }
}

TEST(parse, names_types_and_durations)
{
    static const struct {
        int64_t ms;
        Str text;
    } cases[] = {
        {0, STR("0s")},
        {1, STR("1ms")},
        {61001, STR("1m1s1ms")},
        {INT64_C(86400000) * 7, STR("1w")},
        {INT64_C(86400000) * 8, STR("8d")},
        {INT64_C(86400000) * 365, STR("1y")},
        {INT64_C(86400000) * 366, STR("366d")},
        {-90000, STR("-1m30s")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Buf out;
        buf_init(&out, 0);
        promql_print_duration(cases[i].ms, &out);
        CHECK_STR(buf_str(&out), cases[i].text);
        buf_deinit(&out);
    }
    CHECK(strcmp(promql_type_name(PROMQL_NONE), "none") == 0);
    CHECK(strcmp(promql_type_name(PROMQL_STRING), "string") == 0);
}

TEST(quote, writes_as_go_does)
{
    static const PrintCase cases[] = {
        {STR("plain"), STR("\"plain\"")},
        {STR("\"\\\n\a\x01\x7f"), STR("\"\\\"\\\\\\n\\a\\x01\\x7f\"")},
        {STR("\xc3\xa9\xff\xc3"), STR("\"\xc3\xa9\\xff\\xc3\"")},
        {STR("\xe2\x80\x8b\xf3\xa0\x80\x81"), STR("\"\\u200b\\U000e0001\"")},
        {STR("\xf0\x9f\x98\x80\xef\xbf\xbd"), STR("\"\xf0\x9f\x98\x80\xef\xbf\xbd\"")},
        {STR("it's"), STR("\"it's\"")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_STR(quote_in(&t->arena, cases[i].in), cases[i].out);
        Buf back;
        buf_init(&back, 0);
        CHECK(quote_unquote(cases[i].out, &back));
        CHECK_STR(buf_str(&back), cases[i].in);
        buf_deinit(&back);
    }
}

TEST(quote, refuses_what_is_no_literal)
{
    static const Str cases[] = {
        STR(""),         STR("\""),        STR("\"a'"),        STR("a"),
        STR("aba"),      STR("\"a\"b\""),  STR("\"a\nb\""),    STR("\"\\q\""),
        STR("\"\\x4\""), STR("\"\\400\""), STR("\"\\ud800\""), STR("\"\\U00110000\""),
        STR("\"\\\""),   STR("`a`b`"),     STR("\"\\'\""),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Buf out;
        buf_init(&out, 0);
        CHECK(!quote_unquote(cases[i], &out));
        buf_deinit(&out);
    }
}
