// SPDX-License-Identifier: Apache-2.0
#include "series/matcher.h"

#include "base/mem.h"
#include "series/matcher_internal.h"

struct Matcher {
    MatchOp op;
    Str name, value;
    MatcherShape shape;    // of =~ and !~
    RegexProgram *program; // of the shape REGEX; else NULL
    Arena arena;
};

Status matcher_new(MatchOp op, Str name, Str value, Matcher **out, Err *err)
{
    Matcher *matcher = mem_new(Matcher, 1);
    *out = NULL;
    arena_init(&matcher->arena, 0);
    matcher->op = op;
    matcher->name = arena_str(&matcher->arena, name);
    matcher->value = arena_str(&matcher->arena, value);
    if (op == MATCH_RE || op == MATCH_NRE) {
        if (value.len <= MATCHER_REGEX_BYTES_MAX) {
            matcher->shape = matcher_shape(matcher->value, &matcher->arena);
        } else {
            matcher->shape.kind = MATCHER_SHAPE_REGEX;
        }
        if (matcher->shape.kind == MATCHER_SHAPE_REGEX) {
            const Status st = regex_compile(value, &matcher->program, err);
            if (st != OK) {
                matcher_free(matcher);
                return st;
            }
        }
    }
    *out = matcher;
    return OK;
}

void matcher_free(Matcher *matcher)
{
    if (matcher != NULL) {
        regex_program_free(matcher->program);
        arena_deinit(&matcher->arena);
        mem_free(matcher);
    }
}

MatchOp matcher_op(const Matcher *matcher)
{
    return matcher->op;
}

Str matcher_name(const Matcher *matcher)
{
    return matcher->name;
}

Str matcher_value(const Matcher *matcher)
{
    return matcher->value;
}

static bool regex_matches(const Matcher *matcher, Str value)
{
    const MatcherShape *shape = &matcher->shape;
    if (shape->kind != MATCHER_SHAPE_REGEX) {
        return matcher_shape_matches(shape, value);
    }
    return str_eq(str_slice(value, 0, shape->literal.len), shape->literal) &&
           regex_program_match(matcher->program, value.len == 0 ? "" : value.ptr, value.len);
}

bool matcher_matches(const Matcher *matcher, Str value)
{
    switch (matcher->op) {
    case MATCH_EQ:
        return str_eq(value, matcher->value);
    case MATCH_NE:
        return !str_eq(value, matcher->value);
    case MATCH_RE:
        return regex_matches(matcher, value);
    case MATCH_NRE:
        return !regex_matches(matcher, value);
    }
    UNREACHABLE();
}

bool matcher_values(const Matcher *matcher, const Str **values, size_t *count)
{
    if (matcher->op == MATCH_EQ && matcher->value.len > 0) {
        *values = &matcher->value;
        *count = 1;
        return true;
    }
    // The empty value would be the first of the sorted ones.
    if (matcher->op != MATCH_RE || matcher->shape.kind != MATCHER_SHAPE_SET ||
        matcher->shape.values[0].len == 0) {
        return false;
    }
    *values = matcher->shape.values;
    *count = matcher->shape.value_count;
    return true;
}

// What the first and the last of sorted values have in common all of them have.
static Str set_prefix(const MatcherShape *shape)
{
    const Str first = shape->values[0], last = shape->values[shape->value_count - 1];
    size_t len = 0;
    while (len < first.len && len < last.len && first.ptr[len] == last.ptr[len]) {
        len++;
    }
    return str_slice(first, 0, len);
}

bool matcher_prefix(const Matcher *matcher, Str *prefix)
{
    Str found = {0};
    if (matcher->op == MATCH_EQ) {
        found = matcher->value;
    } else if (matcher->op == MATCH_RE) {
        switch (matcher->shape.kind) {
        case MATCHER_SHAPE_SET:
            found = set_prefix(&matcher->shape);
            break;
        case MATCHER_SHAPE_AROUND:
            if (matcher->shape.before == MATCHER_GAP_NONE) {
                found = matcher->shape.literal;
            }
            break;
        case MATCHER_SHAPE_REGEX:
            found = matcher->shape.literal;
            break;
        }
    }
    if (found.len == 0) {
        return false;
    }
    *prefix = found;
    return true;
}

const char *matcher_op_text(MatchOp op)
{
    switch (op) {
    case MATCH_EQ:
        return "=";
    case MATCH_NE:
        return "!=";
    case MATCH_RE:
        return "=~";
    case MATCH_NRE:
        return "!~";
    }
    UNREACHABLE();
}
