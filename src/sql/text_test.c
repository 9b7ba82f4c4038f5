// SPDX-License-Identifier: Apache-2.0
#include "sql/engine_internal.h"
#include "tests/support/test.h"

TEST(sql_text, is_trimmed_to_its_tokens)
{
    static const struct {
        Str in, out;
    } cases[] = {
        {STR("SELECT 1"), STR("SELECT 1")},
        {STR(" \t\n SELECT 1 ; \r\n ;"), STR("SELECT 1")},
        {STR("SELECT 1 -- one\n"), STR("SELECT 1")},
        {STR("SELECT 1; -- one ; two"), STR("SELECT 1")},
        {STR("/* a /* nested */ one */ SELECT 1 /* end */ ; /* more"), STR("SELECT 1")},
        {STR("SELECT ';' ;"), STR("SELECT ';'")},
        {STR("SELECT 'it''s; -- ' ;--"), STR("SELECT 'it''s; -- '")},
        {STR("SELECT E'\\'; ' ;"), STR("SELECT E'\\'; '")},
        {STR("SELECT \"a;\"\"b\";"), STR("SELECT \"a;\"\"b\"")},
        {STR("SELECT $$;$$;"), STR("SELECT $$;$$")},
        {STR("SELECT $a$;$$;$a$ ; "), STR("SELECT $a$;$$;$a$")},
        {STR("SELECT $1 ; "), STR("SELECT $1")},
        {STR("SELECT 1; SELECT 2;"), STR("SELECT 1; SELECT 2")},
        {STR("SELECT 'never closed ; "), STR("SELECT 'never closed ; ")},
        {STR("SELECT $a$ never closed ; "), STR("SELECT $a$ never closed ; ")},
        {STR("SELECT 1 /"), STR("SELECT 1 /")},
        {STR("SELECT E'\\"), STR("SELECT E'\\")},
        {STR("--"), STR("")},
        {STR("/*"), STR("")},
        {STR(";;"), STR("")},
        {STR(""), STR("")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_STR(sql_text_trim(cases[i].in), cases[i].out);
    }
}

TEST(sql_text, compares_words)
{
    CHECK(sql_text_equals(STR("show tables"), STR("show tables")));
    CHECK(sql_text_equals(STR("SHOW\n/* all */ Tables"), STR("show tables")));
    CHECK(!sql_text_equals(STR("SHOW"), STR("show tables")));
    CHECK(!sql_text_equals(STR("SHOW TABLES x"), STR("show tables")));
    CHECK(!sql_text_equals(STR("SHOWTABLES"), STR("show tables")));
    CHECK(!sql_text_equals(STR(""), STR("show tables")));
}

TEST(sql_text, finds_what_is_explained)
{
    static const struct {
        Str in, out;
    } cases[] = {
        {STR("SELECT 1"), STR("SELECT 1")},
        {STR("EXPLAIN SELECT 1"), STR("SELECT 1")},
        {STR("explain /* x */ Analyze -- y\nSELECT 1"), STR("SELECT 1")},
        {STR("EXPLAIN (FORMAT json) SELECT 1"), STR("SELECT 1")},
        {STR("EXPLAIN (ANALYZE, FORMAT json) SELECT 1"), STR("SELECT 1")},
        {STR("EXPLAIN ANALYZE (FORMAT json) SELECT 1"), STR("SELECT 1")},
        {STR("EXPLAIN (SELECT 1)"), STR("(SELECT 1)")},
        {STR("EXPLAIN"), STR("")},
        {STR("EXPLAINSELECT 1"), STR("EXPLAINSELECT 1")},
        {STR("EXPLAIN (FORMAT"), STR("")},
        {STR(""), STR("")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_STR(sql_text_explained(cases[i].in), cases[i].out);
    }
}
