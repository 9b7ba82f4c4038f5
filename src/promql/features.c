// SPDX-License-Identifier: Apache-2.0
#include "promql/parse.h"

bool promql_feature_enable(Str name, PromqlFeatures *features)
{
    const struct {
        Str name;
        bool *on;
    } known[] = {
        {STR("promql-experimental-functions"), &features->experimental_functions},
        {STR("promql-duration-expr"), &features->duration_expressions},
        {STR("promql-extended-range-selectors"), &features->extended_range_selectors},
        {STR("promql-binop-fill-modifiers"), &features->binop_fill_modifiers},
        {STR("promql-delayed-name-removal"), &features->delayed_name_removal},
        {STR("type-and-unit-labels"), &features->type_and_unit_labels},
        {STR("use-start-timestamps"), &features->use_start_timestamps},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_eq(name, known[i].name)) {
            *known[i].on = true;
            return true;
        }
    }
    return false;
}
