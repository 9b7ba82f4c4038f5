// SPDX-License-Identifier: Apache-2.0
//
// Metadata of metrics: type, help and unit by metric family, as senders told them last. In memory;
// Prometheus sends it again every minute. Any thread.
#pragma once

#include "base/arena.h"
#include "base/err.h"

enum {
    METADATA_FAMILIES_MAX = 100000,
    METADATA_PER_FAMILY_MAX = 8,    // different ones, the newest
    METADATA_TEXT_BYTES_MAX = 4096, // of one help or unit; the rest is cut
};

typedef struct Metadata Metadata;

typedef struct MetadataEntry {
    Str type, help, unit; // type: "counter", "gauge", ..., "unknown"
} MetadataEntry;

typedef struct MetadataFamily {
    Str name;
    const MetadataEntry *entries;
    size_t count;
} MetadataFamily;

Metadata *metadata_new(void);
void metadata_free(Metadata *metadata); // accepts NULL

// False: there are METADATA_FAMILIES_MAX others.
bool metadata_put(Metadata *metadata, Str family, MetadataEntry entry);
// Families sorted by name: that of `only`, or all when it is empty. In `arena`.
size_t metadata_list(Metadata *metadata, Str only, Arena *arena, const MetadataFamily **out);
