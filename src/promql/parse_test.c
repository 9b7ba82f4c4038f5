// SPDX-License-Identifier: Apache-2.0
//
// Expressions that parse: what they become, shown by printing them again, and as JSON.
#include "promql/language_test_internal.h"

#include "promql/parse.h"
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

TEST(parse, prints_what_it_read)
{
    static const struct {
        Str in, out; // out empty: the same
    } cases[] = {
        {STR("1"), STR("")},
        {STR("rate(x[5m])"), STR("")},
        {STR("sum(x)by(a,b)"), STR("sum by (a, b) (x)")},
        {STR("x{b='1',a=\"2\"}offset 1h30m@5"), STR("x{a=\"2\",b=\"1\"} @ 5.000 offset 1h30m")},
        {STR("-x^2+3*4"), STR("-x ^ 2 + 3 * 4")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_STR(language_print(t, cases[i].in, promql_print),
                  cases[i].out.len == 0 ? cases[i].in : cases[i].out);
    }
}
