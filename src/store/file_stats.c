// SPDX-License-Identifier: Apache-2.0
#include "store/file_stats.h"

#include "base/civil.h"
#include "base/num.h"
#include "base/utf8.h"
#include "codec/dtoa.h"
#include "store/json.h"

#include <math.h>
#include <stdio.h>

// --- writing -------------------------------------------------------------------------------------

// Appends at most FILE_STATS_STRING_CHARS characters of `s`; with `round_up`, so that the result is
// not below `s` in UTF-8 byte order: what was cut off is replaced by one character that is greater.
static void put_bound_string(Bytes value, bool round_up, Buf *out)
{
    const Str s = {.ptr = (const char *)value.ptr, .len = value.len};
    size_t end = 0;
    size_t chars = 0;
    while (end < s.len && chars < FILE_STATS_STRING_CHARS) {
        end++;
        while (end < s.len && ((uint8_t)s.ptr[end] & 0xC0) == 0x80) {
            end++;
        }
        chars++;
    }
    // Nothing is greater than U+10FFFF, so such characters are kept.
    while (round_up && s.len - end >= 4 && memcmp(s.ptr + end, "\xF4\x8F\xBF\xBF", 4) == 0) {
        end += 4;
    }
    Buf cut;
    buf_init(&cut, 0);
    buf_put(&cut, s.ptr, end);
    if (round_up && end < s.len) {
        // As Spark and delta-kernel do: DEL after ASCII, the last code point otherwise.
        const bool ascii = (uint8_t)s.ptr[end] < 0x7F;
        buf_put_str(&cut, ascii ? STR("\x7F") : STR("\xF4\x8F\xBF\xBF"));
    }
    delta_put_json_string(buf_str(&cut), out);
    buf_deinit(&cut);
}

static int64_t load_le(Bytes b, size_t width)
{
    uint64_t v = 0;
    for (size_t i = 0; i < width && i < b.len; i++) {
        v |= (uint64_t)b.ptr[i] << (8 * i);
    }
    return width == 4 ? (int64_t)(int32_t)(uint32_t)v : (int64_t)v;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

// Timestamps that civil_put_rfc3339() writes with a four-digit year.
static bool timestamp_is_plain(int64_t us)
{
    const CivilTime t = civil_from_us(us);
    return t.year >= 1 && t.year <= 9999;
}

// Whether the log can hold bounds of this column at all.
static bool has_bounds(ColumnType type, const ParquetColumnSummary *c)
{
    if (!c->has_minmax) {
        return false;
    }
    switch (type) {
    case COLUMN_INT8:
    case COLUMN_INT16:
    case COLUMN_INT32:
    case COLUMN_INT64:
    case COLUMN_UINT8:
    case COLUMN_UINT16:
    case COLUMN_UINT32:
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
    case COLUMN_DATE:
        return true;
    case COLUMN_UINT64: // readers that know no unsigned numbers would read a negative one
        return load_le(c->max, 8) >= 0;
    case COLUMN_TIMESTAMP:
        return timestamp_is_plain(load_le(c->min, 8)) && timestamp_is_plain(load_le(c->max, 8));
    case COLUMN_STRING:
        return utf8_is_valid((Str){(const char *)c->min.ptr, c->min.len}) &&
               utf8_is_valid((Str){(const char *)c->max.ptr, c->max.len});
    case COLUMN_BOOL:
    case COLUMN_BINARY:
    case COLUMN_UUID:
    case COLUMN_MAP:
        return false;
    }
    UNREACHABLE();
}

static void put_bound(ColumnType type, Bytes value, bool is_max, Buf *out)
{
    switch (type) {
    case COLUMN_INT8:
    case COLUMN_INT16:
    case COLUMN_INT32:
        num_put_i64(out, load_le(value, 4));
        return;
    case COLUMN_UINT8:
    case COLUMN_UINT16:
    case COLUMN_UINT32:
        num_put_u64(out, (uint32_t)load_le(value, 4));
        return;
    case COLUMN_INT64:
    case COLUMN_UINT64:
        num_put_i64(out, load_le(value, 8));
        return;
    case COLUMN_FLOAT: {
        const uint32_t bits = (uint32_t)load_le(value, 4);
        float v;
        memcpy(&v, &bits, sizeof(v));
        dtoa_put_f32(out, v, DTOA_JSON);
        return;
    }
    case COLUMN_DOUBLE: {
        const int64_t bits = load_le(value, 8);
        double v;
        memcpy(&v, &bits, sizeof(v));
        dtoa_put_f64(out, v, DTOA_JSON);
        return;
    }
    case COLUMN_TIMESTAMP:
        buf_put_u8(out, '"');
        civil_put_rfc3339(out, floor_div(load_le(value, 8), 1000) * 1000);
        buf_put_u8(out, '"');
        return;
    case COLUMN_DATE:
        buf_put_u8(out, '"');
        civil_put_date(out, (int32_t)load_le(value, 4));
        buf_put_u8(out, '"');
        return;
    case COLUMN_STRING:
        put_bound_string(value, is_max, out);
        return;
    case COLUMN_BOOL:
    case COLUMN_BINARY:
    case COLUMN_UUID:
    case COLUMN_MAP:
        break;
    }
    UNREACHABLE();
}

static void put_bounds(const Schema *schema, const ParquetFileSummary *summary, bool is_max,
                       Buf *out)
{
    buf_put_str(out, is_max ? STR(",\"maxValues\":{") : STR(",\"minValues\":{"));
    bool first = true;
    for (size_t i = 0; i < schema->count; i++) {
        const ParquetColumnSummary *c = &summary->columns[i];
        if (has_bounds(schema->fields[i].type, c)) {
            if (!first) {
                buf_put_u8(out, ',');
            }
            first = false;
            delta_put_json_string(schema->fields[i].name, out);
            buf_put_u8(out, ':');
            put_bound(schema->fields[i].type, is_max ? c->max : c->min, is_max, out);
        }
    }
    buf_put_u8(out, '}');
}

void file_stats_write(const Schema *schema, const ParquetFileSummary *summary, Buf *out)
{
    ASSERT(schema->count == summary->column_count);
    buf_put_str(out, STR("{\"numRecords\":"));
    num_put_i64(out, summary->row_count);
    put_bounds(schema, summary, false, out);
    put_bounds(schema, summary, true, out);
    buf_put_str(out, STR(",\"nullCount\":{"));
    bool first = true;
    for (size_t i = 0; i < schema->count; i++) {
        if (schema->fields[i].type == COLUMN_MAP) {
            continue; // the log nests statistics like the schema; a MAP has none
        }
        if (!first) {
            buf_put_u8(out, ',');
        }
        first = false;
        delta_put_json_string(schema->fields[i].name, out);
        buf_put_u8(out, ':');
        num_put_i64(out, summary->columns[i].null_count);
    }
    buf_put_str(out, STR("}}"));
}

// --- reading -------------------------------------------------------------------------------------

typedef struct StatsReader {
    Json json;
    const Schema *schema;
    Arena *arena;
    FileColumn *columns; // one per column of the schema
    bool *seen;
} StatsReader;

static bool parse_timestamp(Str text, bool is_max, FileBound *out)
{
    int64_t us;
    if (!civil_parse_us(text, &us)) {
        return false;
    }
    // The writer may have cut it to milliseconds.
    out->i64 = is_max ? us + 999 : us;
    return true;
}

static bool parse_date(Str text, FileBound *out)
{
    int64_t us;
    if (text.len != 10 || !civil_parse_us(text, &us)) {
        return false;
    }
    out->i64 = floor_div(us, INT64_C(86400000000));
    return true;
}

// Sets *out when the value is one of `type`; otherwise nothing is known, which is never wrong.
static void read_bound(StatsReader *r, ColumnType type, bool is_max, FileBound *out)
{
    JsonValue v = json_value(&r->json, r->arena);
    switch (type) {
    case COLUMN_INT8:
    case COLUMN_INT16:
    case COLUMN_INT32:
    case COLUMN_INT64:
    case COLUMN_UINT8:
    case COLUMN_UINT16:
    case COLUMN_UINT32:
    case COLUMN_UINT64:
        out->known = v.kind == JSON_NUMBER && num_parse_i64(v.text, &out->i64);
        return;
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
        out->known = v.kind == JSON_NUMBER && num_parse_f64(v.text, &out->f64);
        return;
    case COLUMN_TIMESTAMP:
        out->known = v.kind == JSON_STRING && parse_timestamp(v.text, is_max, out);
        return;
    case COLUMN_DATE:
        out->known = v.kind == JSON_STRING && parse_date(v.text, out);
        return;
    case COLUMN_STRING:
        out->known = v.kind == JSON_STRING;
        out->bytes = (Bytes){.ptr = (const uint8_t *)v.text.ptr, .len = v.text.len};
        return;
    case COLUMN_BOOL:
    case COLUMN_BINARY:
    case COLUMN_UUID:
    case COLUMN_MAP:
        return;
    }
    UNREACHABLE();
}

typedef enum StatsPart { PART_MIN, PART_MAX, PART_NULLS } StatsPart;

static void read_part(StatsReader *r, StatsPart part)
{
    Str name;
    size_t hint = 0; // writers list columns in the order of the schema
    json_object_begin(&r->json);
    while (json_object_next(&r->json, r->arena, &name)) {
        size_t at = hint < r->schema->count && str_eq(r->schema->fields[hint].name, name)
                        ? hint
                        : schema_find(r->schema, name);
        if (at == SIZE_MAX) {
            (void)json_value(&r->json, r->arena); // a column this version does not know: skipped
            continue;
        }
        hint = at + 1;
        FileColumn *c = &r->columns[at];
        r->seen[at] = true;
        if (part == PART_NULLS) {
            const JsonValue v = json_value(&r->json, r->arena);
            if (v.kind != JSON_NUMBER || !num_parse_i64(v.text, &c->null_count)) {
                c->null_count = -1;
            }
        } else {
            const bool is_max = part == PART_MAX;
            read_bound(r, r->schema->fields[at].type, is_max, is_max ? &c->max : &c->min);
        }
    }
}

FileStats file_stats_read(Str json, const Schema *schema, Arena *arena)
{
    const FileStats nothing = {.row_count = -1};
    Arena scratch;
    arena_init(&scratch, 0);
    StatsReader r = {.json = json_of(json),
                     .schema = schema,
                     .arena = arena,
                     .columns = arena_new(&scratch, FileColumn, schema->count + 1),
                     .seen = arena_new(&scratch, bool, schema->count + 1)};
    for (size_t i = 0; i < schema->count; i++) {
        r.columns[i] = (FileColumn){.column = (uint32_t)i, .null_count = -1};
    }
    FileStats out = nothing;
    Str key;
    json_object_begin(&r.json);
    while (json_object_next(&r.json, &scratch, &key)) {
        if (str_eq(key, STR("numRecords"))) {
            const JsonValue v = json_value(&r.json, &scratch);
            if (v.kind != JSON_NUMBER || !num_parse_i64(v.text, &out.row_count)) {
                out.row_count = -1;
            }
        } else if (str_eq(key, STR("minValues"))) {
            read_part(&r, PART_MIN);
        } else if (str_eq(key, STR("maxValues"))) {
            read_part(&r, PART_MAX);
        } else if (str_eq(key, STR("nullCount"))) {
            read_part(&r, PART_NULLS);
        } else {
            (void)json_value(&r.json, &scratch);
        }
    }
    if (!json_end(&r.json)) {
        arena_deinit(&scratch);
        return nothing;
    }
    uint32_t count = 0;
    for (size_t i = 0; i < schema->count; i++) {
        count += r.seen[i];
    }
    FileColumn *columns = arena_new(arena, FileColumn, count);
    for (size_t i = 0, n = 0; i < schema->count; i++) {
        if (r.seen[i]) {
            columns[n++] = r.columns[i];
        }
    }
    out.columns = columns;
    out.column_count = count;
    arena_deinit(&scratch);
    return out;
}

const FileColumn *file_stats_column(const FileStats *stats, size_t column)
{
    size_t from = 0;
    size_t to = stats->column_count;
    while (from < to) {
        const size_t mid = from + (to - from) / 2;
        if (stats->columns[mid].column < column) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    const bool found = from < stats->column_count && stats->columns[from].column == column;
    return found ? &stats->columns[from] : NULL;
}

// --- pruning -------------------------------------------------------------------------------------

typedef enum BoundKind { BOUND_I64, BOUND_U64, BOUND_F64, BOUND_BYTES } BoundKind;

static BoundKind bound_kind(ColumnType type)
{
    switch (type) {
    case COLUMN_BOOL:
    case COLUMN_INT8:
    case COLUMN_INT16:
    case COLUMN_INT32:
    case COLUMN_INT64:
    case COLUMN_UINT8:
    case COLUMN_UINT16:
    case COLUMN_UINT32:
    case COLUMN_TIMESTAMP:
    case COLUMN_DATE:
        return BOUND_I64;
    case COLUMN_UINT64:
        return BOUND_U64;
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
        return BOUND_F64;
    case COLUMN_STRING:
    case COLUMN_BINARY:
    case COLUMN_UUID:
    case COLUMN_MAP:
        return BOUND_BYTES;
    }
    UNREACHABLE();
}

static int compare_bytes(Bytes a, Bytes b)
{
    const size_t n = a.len < b.len ? a.len : b.len;
    const int order = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

// Whether value < bound (sign < 0) or value > bound (sign > 0). NaN is neither, so it prunes
// nothing.
static bool beyond(BoundKind kind, const ScanValue *value, const FileBound *bound, int sign)
{
    switch (kind) {
    case BOUND_I64:
        return sign < 0 ? value->i64 < bound->i64 : value->i64 > bound->i64;
    case BOUND_U64:
        return sign < 0 ? (uint64_t)value->i64 < (uint64_t)bound->i64
                        : (uint64_t)value->i64 > (uint64_t)bound->i64;
    case BOUND_F64:
        return sign < 0 ? value->f64 < bound->f64 : value->f64 > bound->f64;
    case BOUND_BYTES:
        return compare_bytes(value->bytes, bound->bytes) * sign > 0;
    }
    UNREACHABLE();
}

bool file_stats_may_match(const FileStats *stats, const ScanTest *test, ColumnType type)
{
    const FileColumn *c = file_stats_column(stats, test->column);
    if (c == NULL) {
        return true;
    }
    const bool all_null =
        c->null_count >= 0 && stats->row_count >= 0 && c->null_count == stats->row_count;
    const BoundKind kind = bound_kind(type);
    if (test->or_null && c->null_count != 0) {
        return true;
    }
    switch (test->kind) {
    case SCAN_TEST_IS_NULL:
        return c->null_count != 0;
    case SCAN_TEST_NOT_NULL:
        return !all_null;
    case SCAN_TEST_RANGE:
        return !all_null &&
               !(test->has_min && c->max.known && beyond(kind, &test->min, &c->max, 1)) &&
               !(test->has_max && c->min.known && beyond(kind, &test->max, &c->min, -1));
    case SCAN_TEST_IN:
        if (all_null) {
            return false;
        }
        for (size_t i = 0; i < test->value_count; i++) {
            const ScanValue *v = &test->values[i];
            if (!(c->max.known && beyond(kind, v, &c->max, 1)) &&
                !(c->min.known && beyond(kind, v, &c->min, -1))) {
                return true;
            }
        }
        return false;
    }
    UNREACHABLE();
}

// --- tags ----------------------------------------------------------------------------------------

#define TAG_LEVEL "cardinal.level"
#define TAG_ORDER "cardinal.order"
#define TAG_WAL_FIRST "cardinal.wal_first"
#define TAG_WAL_LAST "cardinal.wal_last"
#define TAG_SERIES "cardinal.series"
#define TAG_HASH "cardinal.xxh3"
#define TAG_SORT "cardinal.sort"
#define TAG_OVERLAP "cardinal.overlap"

static Str number_text(uint64_t v, Arena *arena)
{
    char text[24];
    const int n = snprintf(text, sizeof(text), "%" PRIu64, v);
    return arena_str(arena, (Str){.ptr = text, .len = (size_t)n});
}

DeltaKeyValue *file_tags_write(const FileTags *tags, Str sort, Arena *arena, size_t *count)
{
    char hash[20];
    const int n = snprintf(hash, sizeof(hash), "%016" PRIx64, tags->hash);
    const DeltaKeyValue all[] = {
        {.key = STR(TAG_LEVEL), .value = number_text(tags->level, arena)},
        {.key = STR(TAG_ORDER), .value = number_text(tags->order, arena)},
        {.key = STR(TAG_WAL_FIRST), .value = number_text(tags->wal_first, arena)},
        {.key = STR(TAG_WAL_LAST), .value = number_text(tags->wal_last, arena)},
        {.key = STR(TAG_SERIES), .value = number_text(tags->series_count, arena)},
        {.key = STR(TAG_HASH), .value = arena_str(arena, (Str){.ptr = hash, .len = (size_t)n})},
        {.key = STR(TAG_SORT), .value = arena_str(arena, sort)},
        {.key = STR(TAG_OVERLAP), .value = tags->overlap ? STR("true") : STR("false")},
    };
    DeltaKeyValue *out = arena_new(arena, DeltaKeyValue, ARRAY_LEN(all));
    memcpy(out, all, sizeof(all));
    *count = ARRAY_LEN(all);
    return out;
}

bool file_tag_is_hash(const DeltaKeyValue *tag)
{
    return str_eq(tag->key, STR(TAG_HASH));
}

static Str tag_find(const DeltaKeyValue *tags, size_t count, Str key)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(tags[i].key, key) && !tags[i].is_null) {
            return tags[i].value;
        }
    }
    return (Str){0};
}

static bool tag_number(const DeltaKeyValue *tags, size_t count, Str key, uint64_t *out)
{
    return num_parse_u64(tag_find(tags, count, key), out);
}

static bool hex_parse_u64(Str s, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        const char c = s.ptr[i];
        const bool digit = c >= '0' && c <= '9';
        if (!digit && !(c >= 'a' && c <= 'f')) {
            return false;
        }
        v = v << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
    }
    *out = v;
    return s.len == 16;
}

FileTags file_tags_read(const DeltaKeyValue *tags, size_t count)
{
    FileTags out = {0};
    uint64_t level = 0;
    const bool ok = tag_number(tags, count, STR(TAG_LEVEL), &level) && level < UINT32_MAX &&
                    tag_number(tags, count, STR(TAG_ORDER), &out.order) &&
                    tag_number(tags, count, STR(TAG_WAL_FIRST), &out.wal_first) &&
                    tag_number(tags, count, STR(TAG_WAL_LAST), &out.wal_last) &&
                    tag_number(tags, count, STR(TAG_SERIES), &out.series_count) &&
                    hex_parse_u64(tag_find(tags, count, STR(TAG_HASH)), &out.hash);
    const Str overlap = tag_find(tags, count, STR(TAG_OVERLAP));
    if (!ok || overlap.len == 0) {
        return (FileTags){0};
    }
    out.present = true;
    out.level = (uint32_t)level;
    out.overlap = str_eq(overlap, STR("true"));
    return out;
}
