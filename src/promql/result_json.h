// SPDX-License-Identifier: Apache-2.0
//
// Results of queries as the `data` object of Prometheus' HTTP API, in pieces: a large matrix never
// stands in memory as text. Numbers as Go prints them. One owner, one thread.
#pragma once

#include "promql/engine.h"

typedef struct PromqlJson PromqlJson;

// What stats= asks for.
typedef enum PromqlStatsWanted {
    PROMQL_STATS_NONE,
    PROMQL_STATS_SUMS,
    PROMQL_STATS_ALL
} PromqlStatsWanted;

// Borrows the result. `limit`: at most so many series; 0: all.
PromqlJson *promql_json_new(const PromqlResult *result, size_t limit, PromqlStatsWanted stats);
void promql_json_free(PromqlJson *json); // accepts NULL
// Appends about `bytes` bytes; true with the last piece.
bool promql_json_next(PromqlJson *json, size_t bytes, Buf *out);

void promql_json_labels(LabelSet labels, Buf *out);                 // {"__name__":"up","job":"x"}
void promql_json_time(int64_t ms, Buf *out);                        // 1435781451.781
void promql_json_strings(const Str *items, size_t count, Buf *out); // ["a","b"]
