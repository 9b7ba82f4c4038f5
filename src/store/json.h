// SPDX-License-Identifier: Apache-2.0
//
// Json: a pull reader for small documents of known shape (RFC 8259), such as the statistics in the
// Delta log, of which there are thousands per table. Numbers stay text, so no digit is lost;
// strings are borrowed from the input when they hold no escape. Errors are sticky: after the first
// one every call returns nothing, and json_end() says so. One owner, one thread.
#pragma once

#include "base/arena.h"
#include "base/str.h"

enum { JSON_DEPTH_MAX = 64 };

typedef enum JsonKind {
    JSON_NONE, // an error
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_SKIPPED, // an object or array, read over
} JsonKind;

typedef struct JsonValue {
    JsonKind kind;
    Str text; // of JSON_NUMBER as it stands; of JSON_STRING without escapes
} JsonValue;

typedef struct Json {
    const char *pos;
    const char *end;
    bool first; // the next member is the first of its object
    bool failed;
} Json;

Json json_of(Str text); // borrows `text`

// Enters the object at the cursor; then json_object_next() sets *key and stands before its value,
// which the caller reads with json_value() or json_object_begin(). False at the end of the object.
void json_object_begin(Json *j);
bool json_object_next(Json *j, Arena *arena, Str *key);

// One value of any kind; objects and arrays are skipped as a whole. Strings with escapes are
// decoded into `arena`.
JsonValue json_value(Json *j, Arena *arena);

// True when the whole text was read without an error.
bool json_end(Json *j);
