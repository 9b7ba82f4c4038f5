// SPDX-License-Identifier: Apache-2.0
//
// What predicates.c (which tables and columns a statement mentions) and conditions.c (what its
// conditions mean to a scan) share. Belongs to the thread that prepares the statement.
#pragma once

#include "sql/engine_internal.h"

#include <jansson.h>

enum {
    MENTIONS_MAX = 256,
    NAMES_MAX = 4096,
    CONDITIONS_MAX = 256,
    CONSTANTS_MAX = 1024,
};

// One place where a table stands in a FROM.
typedef struct Mention {
    Str name;            // lower case
    Str alias;           // lower case; empty when there is none
    const json_t *where; // its pieces hold for every row of this place that matters; NULL: none
    bool in_join;        // rows of all NULLs may stand for a row of the table
    SqlTable *table;     // NULL: not one of ours
} Mention;

// A condition on one column, whose constants are yet to be evaluated.
typedef struct Condition {
    const Mention *mention;
    size_t column;
    ScanTestKind kind;
    bool has_min, has_max; // RANGE: which bounds its constants are, min first
    bool or_null;          // of labels['column']: what is not in the column may be in the MAP
    size_t constant_first, constant_count;
} Condition;

typedef struct Finder {
    SqlRun *run;
    Mention mentions[MENTIONS_MAX];
    size_t mention_count;
    Str names
        [NAMES_MAX]; // of every column (and its qualifiers) that the statement mentions, lower case
    size_t name_count;
    Str ctes[MENTIONS_MAX];
    size_t cte_count;
    Str label_keys[MENTIONS_MAX]; // K of every labels['K']
    size_t label_key_count;
    bool any_label;  // `labels` is used otherwise
    bool any_column; // columns may be used that are not in `names`
    bool unclear;    // tables may be used that are not in `mentions`: nothing is certain

    Condition conditions[CONDITIONS_MAX];
    size_t condition_count;
    Buf constants; // SQL: the select list that evaluates all constants
    ColumnType constant_types[CONSTANTS_MAX];
    size_t constant_count;
} Finder;

Str predicates_text(const json_t *object, const char *key); // empty when it is no string
Str predicates_lower(SqlRun *run, Str s);                   // in the run's arena

// conditions.c: what all mentions of a table have in common becomes its tests.
void conditions_find(Finder *f);
