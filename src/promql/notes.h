// SPDX-License-Identifier: Apache-2.0
//
// Annotations of a query: warnings ("PromQL warning: ...") and infos ("PromQL info: ...") with the
// place in the expression, each once, as util/annotations of Prometheus words them. Any thread.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "promql/ast.h"

typedef enum PromqlNoteKind { PROMQL_WARNING, PROMQL_INFO } PromqlNoteKind;

typedef struct PromqlNotes PromqlNotes;

PromqlNotes *promql_notes_new(void);
void promql_notes_free(PromqlNotes *notes); // accepts NULL

// The text without its prefix: notes_add(notes, PROMQL_INFO, pos, "metric might not be a counter,
// ..."). One that is there already (kind, text and place) is not added again; that is cheap.
void promql_note(PromqlNotes *notes, PromqlNoteKind kind, PromqlPos pos, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// Texts of one kind, with prefix and " (line:column)" in `expression`, in `arena`; at most `limit`,
// then one that says how many were left out, as Prometheus' API does (limit 10; 0: all).
size_t promql_notes_list(PromqlNotes *notes, PromqlNoteKind kind, Str expression, size_t limit,
                         Arena *arena, const Str **out);
