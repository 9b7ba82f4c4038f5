// SPDX-License-Identifier: Apache-2.0
//
// Label matchers: =, !=, =~, !~ on one label. Regular expressions are RE2's, anchored at both ends,
// as Prometheus has them; a matcher that is only an alternation of literals is known as a set. An
// absent label is the empty string. Immutable after matcher_new(), any thread.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum {
    MATCHER_REGEX_BYTES_MAX = 64 << 10,
    MATCHER_VALUES_MAX = 16 << 10, // of an alternation that is known as a set
};

typedef enum MatchOp { MATCH_EQ, MATCH_NE, MATCH_RE, MATCH_NRE } MatchOp;

typedef struct Matcher Matcher;

// Copies name and value. ERR_INVALID: the regular expression is refused, in Go's words ("error
// parsing regexp: missing closing ]: `[`"), or longer than MATCHER_REGEX_BYTES_MAX.
Status matcher_new(MatchOp op, Str name, Str value, Matcher **out, Err *err);
void matcher_free(Matcher *matcher); // accepts NULL
MatchOp matcher_op(const Matcher *matcher);
Str matcher_name(const Matcher *matcher);
Str matcher_value(const Matcher *matcher); // as it was written
bool matcher_matches(const Matcher *matcher, Str value);
// The values that alone can match, when they are few and known (=, or =~ of literals without an
// empty one), sorted and unique: for pruning. False when they are not.
bool matcher_values(const Matcher *matcher, const Str **values, size_t *count);
// What every value that matches begins with, when that is known and not empty (= and =~): for
// pruning. False when it is not.
bool matcher_prefix(const Matcher *matcher, Str *prefix);
const char *matcher_op_text(MatchOp op); // "=", "!=", "=~", "!~"

// Regular expressions for others (label_replace): as above, with groups. Immutable, any thread.
typedef struct Regex Regex;
Status regex_new(Str pattern, Regex **out, Err *err); // anchored at both ends; ERR_INVALID as above
void regex_free(Regex *regex);                        // accepts NULL
bool regex_match(const Regex *regex, Str text);
// When `text` matches: appends `template_text` with $1, $name, ${1}, ${name} replaced and $$ as $,
// as Go's Regexp.Expand does. False, and nothing appended, when it does not match.
bool regex_expand(const Regex *regex, Str text, Str template_text, Buf *out);
