// SPDX-License-Identifier: Apache-2.0
#include "promql/functions.h"
#include "tests/support/test.h"

TEST(functions, table_is_sorted_and_found_by_name)
{
    size_t count = 0;
    for (const PromqlFunction *f; (f = promql_function_at(count)) != NULL; count++) {
        const Str name = {f->name, strlen(f->name)};
        CHECK(promql_function(name) == f);
        if (count > 0) {
            CHECK(strcmp(promql_function_at(count - 1)->name, f->name) < 0);
        }
    }
    CHECK_EQ(count, 90);
    CHECK(promql_function(STR("")) == NULL);
    CHECK(promql_function(STR("rat")) == NULL);
    CHECK(promql_function(STR("rates")) == NULL);
    CHECK(promql_function(STR("holt_winters")) == NULL);
}
