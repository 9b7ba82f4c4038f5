// SPDX-License-Identifier: Apache-2.0
#include "series/labels.h"

#include "base/utf8.h"
#include "codec/hash.h"
#include "codec/varint.h"

#include <stdlib.h>

enum {
    COUNT_MAX_DEFAULT = 64,
    NAME_BYTES_MAX_DEFAULT = 1024,
    VALUE_BYTES_MAX_DEFAULT = 2048,
    EXCERPT_BYTES = 40, // of a text in an error message
    TAG_LABEL = 0x0A,   // field 1, length-delimited: a Label in a TimeSeries, the name in a Label
    TAG_NAME = 0x0A,
    TAG_VALUE = 0x12, // field 2, length-delimited
};

static const Str metric_name = {.ptr = "__name__", .len = 8};

// The beginning of a text that may hold anything, fit for a message.
typedef struct Excerpt {
    char text[EXCERPT_BYTES + 4];
} Excerpt;

static Excerpt excerpt_of(Str s)
{
    Excerpt e = {.text = ""};
    size_t n = 0;
    for (; n < s.len && n < EXCERPT_BYTES; n++) {
        const unsigned char c = (unsigned char)s.ptr[n];
        e.text[n] = '?';
        if (c >= 0x20 && c < 0x7f) {
            e.text[n] = s.ptr[n];
        }
    }
    if (n < s.len) {
        memcpy(e.text + n, "...", 3);
        n += 3;
    }
    e.text[n] = '\0';
    return e;
}

LabelsHash labels_hash(Bytes wire, LabelsKey key)
{
    const Hash128 h = hash_xxh3_128(wire, key.v);
    return (LabelsHash){.lo = h.lo, .hi = h.hi};
}

// --- parsing -------------------------------------------------------------------------------------

// One length-delimited piece behind a tag. *minimal turns false when its length has needless bytes.
static bool read_piece(const uint8_t **pos, const uint8_t *end, Str *out, bool *minimal)
{
    uint64_t len = 0;
    const uint8_t *p = varint_read_u64(*pos, end, &len);
    if (p == NULL || len > (uint64_t)(end - p)) {
        return false;
    }
    *minimal = *minimal && (size_t)(p - *pos) == varint_size_bytes(len);
    *out = (Str){.ptr = (const char *)p, .len = (size_t)len};
    *pos = p + len;
    return true;
}

// Steps over a field this version does not know, as Protocol Buffers wants it.
static bool skip_field(const uint8_t **pos, const uint8_t *end, uint64_t tag)
{
    uint64_t ignored = 0;
    Str piece = {0};
    bool minimal = true;
    const uint8_t *p = *pos;
    switch (tag & 7) {
    case 0:
        p = varint_read_u64(p, end, &ignored);
        break;
    case 1:
        p = end - p < 8 ? NULL : p + 8;
        break;
    case 2:
        p = read_piece(&p, end, &piece, &minimal) ? p : NULL;
        break;
    case 5:
        p = end - p < 4 ? NULL : p + 4;
        break;
    default: // groups and numbers without a meaning
        return false;
    }
    *pos = p;
    return p != NULL;
}

// A Label message. *canonical turns false when it is valid but not as labels_encode() writes it.
static bool read_label(Str message, Label *out, bool *canonical)
{
    const uint8_t *p = (const uint8_t *)message.ptr;
    const uint8_t *end = p + message.len;
    bool minimal = true;
    *out = (Label){0};
    if (p < end && *p == TAG_NAME) { // the form that everybody sends
        p++;
        if (!read_piece(&p, end, &out->name, &minimal)) {
            return false;
        }
        if (p < end && *p == TAG_VALUE) {
            p++;
            if (!read_piece(&p, end, &out->value, &minimal)) {
                return false;
            }
        }
    }
    *canonical = *canonical && minimal && p == end && out->value.len != 0;
    while (p < end) { // fields in another order, repeated (the last one counts) or unknown
        uint64_t tag = 0;
        p = varint_read_u64(p, end, &tag);
        if (p == NULL || tag >> 3 == 0 || tag > UINT32_MAX) {
            return false;
        }
        if (tag == TAG_NAME || tag == TAG_VALUE) {
            if (!read_piece(&p, end, tag == TAG_NAME ? &out->name : &out->value, &minimal)) {
                return false;
            }
        } else if (!skip_field(&p, end, tag)) {
            return false;
        }
    }
    return true;
}

static bool is_ascii(Bytes b)
{
    uint64_t all = 0;
    size_t i = 0;
    for (; i + 8 <= b.len; i += 8) {
        uint64_t word = 0;
        memcpy(&word, b.ptr + i, 8);
        all |= word;
    }
    for (; i < b.len; i++) {
        all |= (uint64_t)b.ptr[i] << 56;
    }
    return (all & UINT64_C(0x8080808080808080)) == 0;
}

typedef struct Checks {
    LabelLimits limits; // without zeros
    bool ascii;         // nothing in the set needs a UTF-8 check
} Checks;

static uint32_t limit_or(uint32_t configured, uint32_t if_zero, uint32_t hard)
{
    const uint32_t limit = configured == 0 ? if_zero : configured;
    return limit < hard ? limit : hard;
}

static Status check_label(const Checks *checks, size_t number, const Label *label, Err *err)
{
    if (label->name.len == 0) {
        return err_set(err, ERR_INVALID, "label %zu has an empty name", number);
    }
    if (label->name.len > checks->limits.name_bytes_max) {
        return err_set(err, ERR_INVALID, "label name '%s' has %zu bytes, more than %" PRIu32,
                       excerpt_of(label->name).text, label->name.len,
                       checks->limits.name_bytes_max);
    }
    if (label->value.len > checks->limits.value_bytes_max) {
        return err_set(err, ERR_INVALID,
                       "value '%s' of label '%s' has %zu bytes, more than %" PRIu32,
                       excerpt_of(label->value).text, excerpt_of(label->name).text,
                       label->value.len, checks->limits.value_bytes_max);
    }
    if (checks->ascii) {
        return OK;
    }
    if (!utf8_is_valid(label->name)) {
        return err_set(err, ERR_INVALID, "label name '%s' is not UTF-8",
                       excerpt_of(label->name).text);
    }
    if (!utf8_is_valid(label->value)) {
        return err_set(err, ERR_INVALID, "value '%s' of label '%s' is not UTF-8",
                       excerpt_of(label->value).text, excerpt_of(label->name).text);
    }
    return OK;
}

static int label_compare(const void *a, const void *b)
{
    return str_compare(((const Label *)a)->name, ((const Label *)b)->name);
}

// Sorts by name unless that is done already, and refuses names that are given twice.
static Status sort_labels(Label *labels, size_t count, bool *canonical, Err *err)
{
    bool sorted = true;
    for (size_t i = 1; i < count && sorted; i++) {
        sorted = str_compare(labels[i - 1].name, labels[i].name) < 0;
    }
    if (sorted) {
        return OK;
    }
    *canonical = false;
    qsort(labels, count, sizeof(*labels), label_compare);
    for (size_t i = 1; i < count; i++) {
        if (str_eq(labels[i - 1].name, labels[i].name)) {
            return err_set(err, ERR_INVALID, "label name '%s' is given twice",
                           excerpt_of(labels[i].name).text);
        }
    }
    return OK;
}

// Reads the labels one after the other into labels[0, LABELS_COUNT_MAX), leaving out empty values.
static Status read_labels(Bytes wire, const Checks *checks, Label *labels, size_t *count,
                          bool *canonical, Err *err)
{
    const uint8_t *p = wire.ptr;
    const uint8_t *end = p + wire.len;
    size_t number = 0;
    while (p < end) {
        const size_t at = (size_t)(p - wire.ptr);
        Str message = {0};
        Label label = {0};
        const bool tagged = *p++ == TAG_LABEL;
        if (!tagged || !read_piece(&p, end, &message, canonical) ||
            !read_label(message, &label, canonical)) {
            return err_set(err, ERR_INVALID, "labels are not valid protobuf at byte %zu", at);
        }
        TRY(check_label(checks, ++number, &label, err));
        if (label.value.len == 0) {
            continue;
        }
        if (*count == checks->limits.count_max) {
            return err_set(err, ERR_INVALID, "more than %" PRIu32 " labels",
                           checks->limits.count_max);
        }
        labels[(*count)++] = label;
    }
    return OK;
}

Status labels_parse(Bytes wire, const LabelLimits *limits, Arena *arena, LabelSet *out,
                    bool *canonical, Err *err)
{
    Label labels[LABELS_COUNT_MAX];
    size_t count = 0;
    const Checks checks = {
        .limits = {limit_or(limits->count_max, COUNT_MAX_DEFAULT, LABELS_COUNT_MAX),
                   limit_or(limits->name_bytes_max, NAME_BYTES_MAX_DEFAULT, LABELS_NAME_BYTES_MAX),
                   limit_or(limits->value_bytes_max, VALUE_BYTES_MAX_DEFAULT,
                            LABELS_VALUE_BYTES_MAX)},
        .ascii = is_ascii(wire),
    };
    *out = (LabelSet){0};
    *canonical = true;
    if (wire.len > LABELS_WIRE_BYTES_MAX) {
        return err_set(err, ERR_INVALID, "labels have %zu bytes, more than %d", wire.len,
                       LABELS_WIRE_BYTES_MAX);
    }
    TRY(read_labels(wire, &checks, labels, &count, canonical, err));
    TRY(sort_labels(labels, count, canonical, err));

    const LabelSet found = {.labels = labels, .count = count};
    if (labels_get(&found, metric_name).len == 0) {
        return err_set(err, ERR_INVALID, "no metric name: label __name__ is missing or empty");
    }
    Label *copy = arena_new(arena, Label, count);
    memcpy(copy, labels, count * sizeof(*labels));
    *out = (LabelSet){.labels = copy, .count = count};
    return OK;
}

// --- writing -------------------------------------------------------------------------------------

static size_t piece_size_bytes(size_t len)
{
    return 1 + varint_size_bytes(len) + len;
}

static void put_piece(Buf *out, uint8_t tag, Str s)
{
    buf_put_u8(out, tag);
    varint_put_u64(out, s.len);
    buf_put_str(out, s);
}

void labels_encode(const LabelSet *set, Buf *out)
{
    for (size_t i = 0; i < set->count; i++) {
        const Label *label = &set->labels[i];
        buf_put_u8(out, TAG_LABEL);
        varint_put_u64(out, piece_size_bytes(label->name.len) + piece_size_bytes(label->value.len));
        put_piece(out, TAG_NAME, label->name);
        put_piece(out, TAG_VALUE, label->value);
    }
}

Str labels_get(const LabelSet *set, Str name)
{
    size_t low = 0;
    size_t high = set->count;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const int order = str_compare(set->labels[mid].name, name);
        if (order == 0) {
            return set->labels[mid].value;
        }
        low = order < 0 ? mid + 1 : low;
        high = order < 0 ? high : mid;
    }
    return (Str){0};
}

// A name that PromQL takes without quotes: [a-zA-Z_][a-zA-Z0-9_]*, and ':' too in metric names.
static bool is_plain_name(Str s, bool metric)
{
    for (size_t i = 0; i < s.len; i++) {
        const char c = s.ptr[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(metric && c == ':') && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return s.len != 0;
}

// As Go's strconv.Quote, but that characters above U+009F all count as printable.
static void put_quoted(Buf *out, Str s)
{
    static const char short_forms[] = "abtnvfr"; // 0x07 to 0x0d
    buf_put_u8(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        const uint8_t c = (uint8_t)s.ptr[i];
        if (c == '"' || c == '\\') {
            buf_put_u8(out, '\\');
            buf_put_u8(out, c);
        } else if (c >= 0x07 && c <= 0x0d) {
            buf_put_u8(out, '\\');
            buf_put_u8(out, (uint8_t)short_forms[c - 0x07]);
        } else if (c < 0x20 || c == 0x7f) {
            buf_putf(out, "\\x%02x", c);
        } else if (c == 0xc2 && i + 1 < s.len && (uint8_t)s.ptr[i + 1] < 0xa0) {
            i++;
            buf_putf(out, "\\u%04x", (uint8_t)s.ptr[i]);
        } else {
            buf_put_u8(out, c);
        }
    }
    buf_put_u8(out, '"');
}

void labels_format(const LabelSet *set, size_t max_bytes, Buf *out)
{
    const size_t start = out->len;
    const Str metric = labels_get(set, metric_name);
    const bool plain = is_plain_name(metric, true);
    const char *separator = "";
    if (plain) {
        buf_put_str(out, metric);
    }
    const bool braces = set->count != (plain ? 1 : 0) || set->count == 0;
    if (braces) {
        buf_put_u8(out, '{');
    }
    if (metric.len != 0 && !plain) {
        put_quoted(out, metric);
        separator = ", ";
    }
    for (size_t i = 0; i < set->count && out->len - start <= max_bytes; i++) {
        const Label *label = &set->labels[i];
        if (str_eq(label->name, metric_name)) {
            continue;
        }
        buf_putf(out, "%s", separator);
        separator = ", ";
        if (is_plain_name(label->name, false)) {
            buf_put_str(out, label->name);
        } else {
            put_quoted(out, label->name);
        }
        buf_put_u8(out, '=');
        put_quoted(out, label->value);
    }
    if (braces) {
        buf_put_u8(out, '}');
    }
    if (out->len - start > max_bytes) {
        size_t cut = start + max_bytes;
        while (cut > start && (out->ptr[cut] & 0xc0) == 0x80) {
            cut--; // not inside a character
        }
        out->len = cut;
        buf_put_str(out, STR("..."));
    }
}

int labels_compare(LabelSet a, LabelSet b)
{
    for (size_t i = 0; i < a.count && i < b.count; i++) {
        int order = str_compare(a.labels[i].name, b.labels[i].name);
        order = order != 0 ? order : str_compare(a.labels[i].value, b.labels[i].value);
        if (order != 0) {
            return order;
        }
    }
    return (a.count > b.count) - (a.count < b.count);
}
