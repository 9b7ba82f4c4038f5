// SPDX-License-Identifier: Apache-2.0
//
// What matcher.c and its test need of regular expressions: compilation, and the shape of a pattern
// that can be matched without RE2.
#pragma once

#include "series/matcher.h"
#include "series/regex_internal.h"

// ERR_INVALID as matcher_new().
Status regex_compile(Str pattern, RegexProgram **out, Err *err);

typedef enum MatcherShapeKind {
    MATCHER_SHAPE_SET,    // one of `values`
    MATCHER_SHAPE_AROUND, // anything, `literal`, anything
    MATCHER_SHAPE_REGEX,  // begins with `literal`; the rest only RE2 knows
} MatcherShapeKind;

typedef enum MatcherGap { // what may stand before or after the literal of AROUND
    MATCHER_GAP_NONE,     // nothing
    MATCHER_GAP_ANY,      // .*
    MATCHER_GAP_SOME,     // .+
} MatcherGap;

typedef struct MatcherShape {
    MatcherShapeKind kind;
    Str *values; // SET: sorted, unique
    size_t value_count;
    Str literal;
    MatcherGap before, after;
} MatcherShape;

// The shape of a regular expression; what it holds lives in `arena`. Patterns that RE2 would refuse
// have the shape REGEX.
MatcherShape matcher_shape(Str pattern, Arena *arena);
// Only for the shapes SET and AROUND.
bool matcher_shape_matches(const MatcherShape *shape, Str value);
