// SPDX-License-Identifier: Apache-2.0
//
// What the printers share.
#pragma once

#include "base/buf.h"
#include "promql/ast.h"

// Is it the sign of `offset +(5m)`? Only the printers mind it.
bool print_is_plus(const PromqlNode *duration);
bool print_has_param(const PromqlNode *aggregate);
const char *print_sign(bool minus);
void print_aggregate_head(const PromqlNode *node, Buf *out);  // sum by (x) , before the parenthesis
void print_binary_operator(const PromqlNode *node, Buf *out); // + on (x) group_left ()
void print_subquery_tail(const PromqlNode *node, Buf *out);   // [5m:1m] @ 5.000 offset 1m
