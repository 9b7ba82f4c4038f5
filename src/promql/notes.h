// SPDX-License-Identifier: Apache-2.0
//
// Annotations of a query: warnings ("PromQL warning: ...") and infos ("PromQL info: ...") with the
// place in the expression, each once, as util/annotations of Prometheus words them. Any thread.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "promql/ast.h"

enum { PROMQL_NOTES_MAX = 10000 }; // different ones; more are only counted

typedef enum PromqlNoteKind { PROMQL_WARNING, PROMQL_INFO } PromqlNoteKind;

typedef struct PromqlNotes PromqlNotes;

PromqlNotes *promql_notes_new(void);
void promql_notes_free(PromqlNotes *notes); // accepts NULL

// The text without its prefix: promql_note(notes, PROMQL_INFO, pos, "metric might not be a counter,
// ..."). One with the same kind and text is there once, at the place that is evaluated last, as in
// Prometheus; adding it again is cheap.
void promql_note(PromqlNotes *notes, PromqlNoteKind kind, PromqlPos pos, const char *format, ...)
    PRINTF_LIKE(4, 5);
// The text, then ` "metric"` with the name quoted as Go's %q does.
void promql_note_metric(PromqlNotes *notes, PromqlNoteKind kind, PromqlPos pos, const char *text,
                        Str metric);
// The text, then ` for metric name "metric"` unless that is empty.
void promql_note_for_metric(PromqlNotes *notes, PromqlNoteKind kind, PromqlPos pos,
                            const char *text, Str metric);
// The text, then `, got ` and the number as Go's %g writes it.
void promql_note_got(PromqlNotes *notes, PromqlNoteKind kind, PromqlPos pos, const char *text,
                     double got);

// Two that are counted: the same text again widens or counts the one that is there.
typedef struct PromqlForced { // histogram_quantile() over classic buckets that are not monotonic
    int64_t time_ms;
    double min_bucket, max_bucket, max_diff;
} PromqlForced;
void promql_note_forced(PromqlNotes *notes, PromqlPos pos, Str metric, const PromqlForced *forced);
void promql_note_start_overlap(PromqlNotes *notes, PromqlPos pos, Str metric);

// Texts of one kind, sorted, with prefix and " (line:column)" in `expression`, in `arena`; at most
// `limit`, then one that says how many were left out, as Prometheus' API does (limit 10; 0: all).
size_t promql_notes_list(PromqlNotes *notes, PromqlNoteKind kind, Str expression, size_t limit,
                         Arena *arena, const Str **out);

void promql_notes_quote(Str text, Buf *out); // as Go's %q
