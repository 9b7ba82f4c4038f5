// SPDX-License-Identifier: Apache-2.0
#include "column/types.h"

size_t schema_find(const Schema *schema, Str name)
{
    for (size_t i = 0; i < schema->count; i++) {
        if (str_eq(schema->fields[i].name, name)) {
            return i;
        }
    }
    return SIZE_MAX;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool equal_nocase(Str a, Str b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i])) {
            return false;
        }
    }
    return true;
}

size_t schema_find_nocase(const Schema *schema, Str name)
{
    for (size_t i = 0; i < schema->count; i++) {
        if (equal_nocase(schema->fields[i].name, name)) {
            return i;
        }
    }
    return SIZE_MAX;
}
