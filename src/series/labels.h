// SPDX-License-Identifier: Apache-2.0
//
// Label sets. A label set travels through cardinal in *label wire form*: the bytes of the repeated
// `labels` field of Prometheus' TimeSeries message (for each label: 0x0A, length, Label message
// with name = 1 and value = 2). Remote write hands it over as received, every other protocol
// encodes it; the WAL stores it. So the hot path hashes bytes, and only a label set never seen
// before is parsed.
//
// Canonical form: labels sorted by name (bytes), unique, no empty values, minimal varints, name
// before value. A label with an empty value is the same as no label.
//
// Identity is LabelsHash: XXH3-128 of the canonical form, keyed with a random key of the data
// folder. A set that arrives in another form has another hash; whoever keeps series by hash keeps
// that one beside the canonical one, so that also a sender with habits of its own is parsed once
// per series and not once per request. (A sum of hashes per label would not depend on the order,
// but costs twice the time.) Pure functions, any thread.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum {
    LABELS_COUNT_MAX = 256, // labels of one series, __name__ included
    LABELS_NAME_BYTES_MAX = 1024,
    LABELS_VALUE_BYTES_MAX = 64 << 10,
    LABELS_WIRE_BYTES_MAX = 512 << 10, // of one label set
};

typedef struct LabelLimits {  // configured limits, each at most the hard one above; 0: the default
    uint32_t count_max;       // 64
    uint32_t name_bytes_max;  // 1024
    uint32_t value_bytes_max; // 2048
} LabelLimits;

typedef struct Label {
    Str name, value;
} Label;

typedef struct LabelSet {
    const Label *labels; // sorted by name, unique, no empty values
    size_t count;
} LabelSet;

typedef struct LabelsHash {
    uint64_t lo, hi;
} LabelsHash;

typedef struct LabelsKey { // the secret of the data folder
    uint64_t v;
} LabelsKey;

// Hash of a label set in wire form as it stands. Bytes that are not wire form hash to *something*,
// and are found out by labels_parse(), which every new hash goes through.
LabelsHash labels_hash(Bytes wire, LabelsKey key);

// Parses, checks and sorts. `out` lives in `arena`, its text points into `wire`.
// *canonical says that `wire` is the canonical form, byte for byte.
// ERR_INVALID  not wire form; a name that is empty, not UTF-8 or given twice; a value not UTF-8;
//              too many labels or a name or value too long (says which, with the beginning of the
//              text); no __name__
Status labels_parse(Bytes wire, const LabelLimits *limits, Arena *arena, LabelSet *out,
                    bool *canonical, Err *err);

void labels_encode(const LabelSet *set, Buf *out); // canonical wire form, appended
Str labels_get(const LabelSet *set, Str name);     // empty when absent

// The order in which Prometheus lists series: less than, equal to or greater than 0.
int labels_compare(LabelSet a, LabelSet b);

// {__name__="up", job="x"} as  up{job="x"}: values quoted as Prometheus does; cut after max_bytes
// with "...".
void labels_format(const LabelSet *set, size_t max_bytes, Buf *out);
