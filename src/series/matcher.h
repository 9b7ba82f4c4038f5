// SPDX-License-Identifier: Apache-2.0
//
// Label matchers: =, !=, =~, !~ on one label. Regular expressions are RE2's, anchored at both ends,
// as Prometheus has them; a matcher that is only an alternation of literals is known as a set. An
// absent label is the empty string. Immutable after matcher_new(), any thread.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { MATCHER_REGEX_BYTES_MAX = 64 << 10 };

typedef enum MatchOp { MATCH_EQ, MATCH_NE, MATCH_RE, MATCH_NRE } MatchOp;

typedef struct Matcher Matcher;

// Copies name and value. ERR_INVALID: the regular expression is refused, in Go's words ("error
// parsing regexp: missing closing ]: `[`").
Status matcher_new(MatchOp op, Str name, Str value, Matcher **out, Err *err);
void matcher_free(Matcher *matcher); // accepts NULL
MatchOp matcher_op(const Matcher *matcher);
Str matcher_name(const Matcher *matcher);
Str matcher_value(const Matcher *matcher); // as it was written
bool matcher_matches(const Matcher *matcher, Str value);
// The values that alone can match, when they are few and known (=, or =~ of literals without an
// empty one): for pruning. False when they are not.
bool matcher_values(const Matcher *matcher, const Str **values, size_t *count);

// Regular expressions for others (label_replace): Go's Expand template. ERR_INVALID as above.
typedef struct Regex Regex;
Status regex_new(Str pattern, Regex **out, Err *err); // anchored
void regex_free(Regex *regex);
bool regex_match(const Regex *regex, Str text);
// When `text` matches: appends `template` with $1, ${name} replaced.
bool regex_expand(const Regex *regex, Str text, Str template_text, Buf *out);
