// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the language share.
#pragma once

#include "promql/parse.h"
#include "tests/support/test.h"

extern const PromqlFeatures language_all; // everything switched on

PromqlExpr *language_parse(Test *t, Str text); // fails the test when it does not parse
// What a printer makes of a text, in the arena of the test.
Str language_print(Test *t, Str text, void (*print)(const PromqlNode *, Buf *));
