// SPDX-License-Identifier: Apache-2.0
#include "store/table_def.h"

#include "base/num.h"
#include "base/utf8.h"

// Property names. Lists of columns are joined with commas: no column name may hold one.
#define PROPERTY_NUMBER "cardinal.table"
#define PROPERTY_TIME "cardinal.time_column"
#define PROPERTY_SORT "cardinal.sort_key"
#define PROPERTY_BLOOM "cardinal.bloom_columns"

#define TIME_COLUMN_DEFAULT "timestamp"

bool table_name_is_valid(Str name)
{
    if (name.len == 0 || name.len > STORE_TABLE_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.ptr[i];
        const bool letter = (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && !(i > 0 && c >= '0' && c <= '9')) {
            return false;
        }
    }
    return true;
}

static bool str_eq_nocase(Str a, Str b)
{
    const Field field = {.name = a};
    return schema_find_nocase(&(Schema){.fields = &field, .count = 1}, b) == 0;
}

Status table_column_check(Str table, Str column, Err *err)
{
    if (column.len == 0) {
        return err_set(err, ERR_INVALID, "table '" STR_FMT "': a column without a name",
                       STR_ARG(table));
    }
    if (column.len > COLUMN_NAME_MAX) {
        return err_set(err, ERR_INVALID,
                       "table '" STR_FMT "': a column name of %zu bytes, more than %d",
                       STR_ARG(table), column.len, COLUMN_NAME_MAX);
    }
    if (!utf8_is_valid(column)) {
        return err_set(err, ERR_INVALID, "table '" STR_FMT "': a column name is not UTF-8",
                       STR_ARG(table));
    }
    // Spark refuses these in a table without column mapping, and we never write column mapping.
    for (size_t i = 0; i < column.len; i++) {
        const unsigned char c = (unsigned char)column.ptr[i];
        if (c < 0x20 || c == 0x7F || strchr(" ,;{}()=", c) != NULL) {
            return err_set(err, ERR_INVALID,
                           "table '" STR_FMT "': column '" STR_FMT
                           "': a name may hold no blank, control character or ,;{}()=",
                           STR_ARG(table), STR_ARG(column));
        }
    }
    if (str_eq_nocase(column, STR(TABLE_DATE_COLUMN))) {
        return err_set(err, ERR_INVALID,
                       "table '" STR_FMT "': column '" STR_FMT "' is reserved for the partition",
                       STR_ARG(table), STR_ARG(column));
    }
    return OK;
}

static Status check_columns(const TableDef *def, Err *err)
{
    if (def->schema.count == 0) {
        return err_set(err, ERR_INVALID, "table '" STR_FMT "' has no columns", STR_ARG(def->name));
    }
    if (def->schema.count > SCHEMA_COLUMNS_MAX - 1) {
        return err_set(err, ERR_INVALID, "table '" STR_FMT "' has %zu columns, more than %d",
                       STR_ARG(def->name), def->schema.count, SCHEMA_COLUMNS_MAX - 1);
    }
    for (size_t i = 0; i < def->schema.count; i++) {
        const Str name = def->schema.fields[i].name;
        TRY(table_column_check(def->name, name, err));
        const size_t first = schema_find_nocase(&def->schema, name);
        if (first != i) {
            return err_set(err, ERR_INVALID,
                           "table '" STR_FMT "': columns '" STR_FMT "' and '" STR_FMT
                           "' have the same name but for case",
                           STR_ARG(def->name), STR_ARG(def->schema.fields[first].name),
                           STR_ARG(name));
        }
    }
    return OK;
}

// Every name of `list` is a column, named once, of a type that can be compared.
static Status check_column_list(const TableDef *def, const Str *list, size_t count,
                                const char *what, Err *err)
{
    for (size_t i = 0; i < count; i++) {
        const size_t at = schema_find(&def->schema, list[i]);
        if (at == SIZE_MAX) {
            return err_set(err, ERR_INVALID,
                           "table '" STR_FMT "': %s column '" STR_FMT "' does not exist",
                           STR_ARG(def->name), what, STR_ARG(list[i]));
        }
        if (def->schema.fields[at].type == COLUMN_MAP) {
            return err_set(err, ERR_INVALID,
                           "table '" STR_FMT "': %s column '" STR_FMT "' is a MAP",
                           STR_ARG(def->name), what, STR_ARG(list[i]));
        }
        for (size_t j = 0; j < i; j++) {
            if (str_eq(list[i], list[j])) {
                return err_set(err, ERR_INVALID,
                               "table '" STR_FMT "': %s column '" STR_FMT "' is given twice",
                               STR_ARG(def->name), what, STR_ARG(list[i]));
            }
        }
    }
    return OK;
}

static Str time_column_of(const TableDef *def)
{
    return def->time_column.len != 0 ? def->time_column : STR(TIME_COLUMN_DEFAULT);
}

Status table_def_check(const TableDef *def, Err *err)
{
    if (!table_name_is_valid(def->name)) {
        return err_set(err, ERR_INVALID,
                       "table name '" STR_FMT "' is not [a-z_][a-z0-9_]* of at most %d bytes",
                       STR_ARG(def->name), STORE_TABLE_NAME_MAX);
    }
    TRY(check_columns(def, err));
    const Str time_column = time_column_of(def);
    const size_t at = schema_find(&def->schema, time_column);
    if (at == SIZE_MAX) {
        return err_set(err, ERR_INVALID, "table '" STR_FMT "' has no time column '" STR_FMT "'",
                       STR_ARG(def->name), STR_ARG(time_column));
    }
    if (def->schema.fields[at].type != COLUMN_TIMESTAMP) {
        return err_set(
            err, ERR_INVALID, "table '" STR_FMT "': time column '" STR_FMT "' is %s, not %s",
            STR_ARG(def->name), STR_ARG(time_column), column_type_sql(def->schema.fields[at].type),
            column_type_sql(COLUMN_TIMESTAMP));
    }
    TRY(check_column_list(def, def->sort_key, def->sort_key_count, "sort key", err));
    return check_column_list(def, def->bloom_columns, def->bloom_column_count, "bloom", err);
}

static const Str *copy_names(const Str *names, size_t count, Arena *arena)
{
    Str *out = arena_new(arena, Str, count);
    for (size_t i = 0; i < count; i++) {
        out[i] = arena_str(arena, names[i]);
    }
    return out;
}

void table_def_complete(const TableDef *def, Arena *arena, TableDef *out)
{
    const Str time_column = time_column_of(def);
    Field *fields = arena_new(arena, Field, def->schema.count);
    for (size_t i = 0; i < def->schema.count; i++) {
        fields[i] = def->schema.fields[i];
        fields[i].name = arena_str(arena, def->schema.fields[i].name);
        fields[i].nullable = !str_eq(fields[i].name, time_column);
    }
    bool has_time = false;
    for (size_t i = 0; i < def->sort_key_count; i++) {
        has_time = has_time || str_eq(def->sort_key[i], time_column);
    }
    const size_t key_count = def->sort_key_count + (has_time ? 0 : 1);
    Str *key = arena_new(arena, Str, key_count);
    for (size_t i = 0; i < def->sort_key_count; i++) {
        key[i] = arena_str(arena, def->sort_key[i]);
    }
    if (!has_time) {
        key[key_count - 1] = arena_str(arena, time_column);
    }
    *out = (TableDef){
        .name = arena_str(arena, def->name),
        .schema = {.fields = fields, .count = def->schema.count},
        .time_column = arena_str(arena, time_column),
        .sort_key = key,
        .sort_key_count = key_count,
        .bloom_columns = copy_names(def->bloom_columns, def->bloom_column_count, arena),
        .bloom_column_count = def->bloom_column_count,
    };
}

TableDef table_def_infer(Str name, const Schema *schema)
{
    return (TableDef){.name = name, .schema = *schema, .time_column = STR(TIME_COLUMN_DEFAULT)};
}

#define FIELD(n, t)                                                                                \
    {                                                                                              \
        .name = {n, sizeof(n) - 1}, .type = t, .nullable = true                                    \
    }
#define NAME(n)                                                                                    \
    {                                                                                              \
        n, sizeof(n) - 1                                                                           \
    }

// One row per observation of a TCP connection.
static const Field flows_fields[] = {
    FIELD("timestamp", COLUMN_TIMESTAMP),
    FIELD("src_ip", COLUMN_STRING),
    FIELD("dst_ip", COLUMN_STRING),
    FIELD("src_port", COLUMN_INT32),
    FIELD("dst_port", COLUMN_INT32),
    FIELD("protocol", COLUMN_STRING),
    FIELD("state", COLUMN_STRING),
    FIELD("bytes_sent", COLUMN_INT64),
    FIELD("bytes_received", COLUMN_INT64),
    FIELD("rtt_us", COLUMN_INT64),
    FIELD("rtt_var_us", COLUMN_INT64),
    FIELD("retransmits", COLUMN_INT64),
    FIELD("delivery_rate", COLUMN_INT64), // bytes per second
    FIELD("pid", COLUMN_INT32),
    FIELD("comm", COLUMN_STRING),
};
static const Str flows_sort[] = {NAME("src_ip"), NAME("dst_ip"), NAME("src_port"), NAME("dst_port"),
                                 NAME("timestamp")};
static const Str flows_bloom[] = {NAME("src_ip"), NAME("dst_ip"), NAME("src_port")};

// One row per system call that does I/O.
static const Field ior_events_fields[] = {
    FIELD("timestamp", COLUMN_TIMESTAMP),
    FIELD("timestamp_ns", COLUMN_INT64), // the same instant, with the digits `timestamp` lacks
    FIELD("pid", COLUMN_INT32),
    FIELD("tid", COLUMN_INT32),
    FIELD("comm", COLUMN_STRING),
    FIELD("syscall_name", COLUMN_STRING),
    FIELD("trace_id", COLUMN_INT64),
    FIELD("event_type", COLUMN_INT16),
    FIELD("ret_value", COLUMN_INT64),
    FIELD("ret_type", COLUMN_INT64),
    FIELD("fd", COLUMN_INT32),
    FIELD("filename", COLUMN_STRING),
    FIELD("pathname", COLUMN_STRING),
    FIELD("oldname", COLUMN_STRING),
    FIELD("newname", COLUMN_STRING),
    FIELD("flags", COLUMN_INT32),
    FIELD("duration_ns", COLUMN_INT64),
    FIELD("duration_to_prev_ns", COLUMN_INT64),
    FIELD("hostname", COLUMN_STRING),
    FIELD("collection_id", COLUMN_UUID),
    FIELD("ingested_at", COLUMN_TIMESTAMP),
};
static const Str ior_events_sort[] = {NAME("pid"), NAME("tid"), NAME("timestamp")};
static const Str ior_events_bloom[] = {NAME("pid"), NAME("tid")};

static const TableDef known[] = {
    {.name = NAME("flows"),
     .schema = {.fields = flows_fields, .count = ARRAY_LEN(flows_fields)},
     .time_column = NAME(TIME_COLUMN_DEFAULT),
     .sort_key = flows_sort,
     .sort_key_count = ARRAY_LEN(flows_sort),
     .bloom_columns = flows_bloom,
     .bloom_column_count = ARRAY_LEN(flows_bloom)},
    {.name = NAME("ior_events"),
     .schema = {.fields = ior_events_fields, .count = ARRAY_LEN(ior_events_fields)},
     .time_column = NAME(TIME_COLUMN_DEFAULT),
     .sort_key = ior_events_sort,
     .sort_key_count = ARRAY_LEN(ior_events_sort),
     .bloom_columns = ior_events_bloom,
     .bloom_column_count = ARRAY_LEN(ior_events_bloom)},
};

const TableDef *table_def_known(Str name)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_eq(known[i].name, name)) {
            return &known[i];
        }
    }
    return NULL;
}

const Schema *table_metrics_schema(void)
{
    static const Field fields[] = {
        [METRICS_TIMESTAMP] = {.name = NAME("timestamp"), .type = COLUMN_TIMESTAMP},
        [METRICS_NAME] = {.name = NAME("metric_name"), .type = COLUMN_STRING},
        [METRICS_VALUE] = {.name = NAME("value"), .type = COLUMN_DOUBLE},
        [METRICS_LABELS] = {.name = NAME("labels"), .type = COLUMN_MAP, .nullable = true},
        [METRICS_DATE] = {.name = NAME(TABLE_DATE_COLUMN), .type = COLUMN_DATE, .nullable = true},
    };
    static const Schema schema = {.fields = fields, .count = ARRAY_LEN(fields)};
    return &schema;
}

Schema table_def_delta_schema(const TableDef *def, Arena *arena)
{
    Field *fields = arena_new(arena, Field, def->schema.count + 1);
    memcpy(fields, def->schema.fields, def->schema.count * sizeof(*fields));
    fields[def->schema.count] =
        (Field){.name = STR(TABLE_DATE_COLUMN), .type = COLUMN_DATE, .nullable = true};
    return (Schema){.fields = fields, .count = def->schema.count + 1};
}

static Str join_names(const Str *names, size_t count, Arena *arena)
{
    Buf joined;
    buf_init(&joined, 0);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            buf_put_u8(&joined, ',');
        }
        buf_put_str(&joined, names[i]);
    }
    const Str out = arena_str(arena, buf_str(&joined));
    buf_deinit(&joined);
    return out;
}

DeltaKeyValue *table_def_properties(const TableDef *def, uint32_t number, Arena *arena,
                                    size_t *count)
{
    DeltaKeyValue *out = arena_new(arena, DeltaKeyValue, 4);
    size_t n = 0;
    Buf text;
    buf_init(&text, 0);
    num_put_u64(&text, number);
    out[n++] =
        (DeltaKeyValue){.key = STR(PROPERTY_NUMBER), .value = arena_str(arena, buf_str(&text))};
    buf_deinit(&text);
    if (number != TABLE_NUMBER_METRICS) {
        out[n++] =
            (DeltaKeyValue){.key = STR(PROPERTY_TIME), .value = arena_str(arena, def->time_column)};
        out[n++] = (DeltaKeyValue){.key = STR(PROPERTY_SORT),
                                   .value = join_names(def->sort_key, def->sort_key_count, arena)};
        if (def->bloom_column_count > 0) {
            out[n++] = (DeltaKeyValue){
                .key = STR(PROPERTY_BLOOM),
                .value = join_names(def->bloom_columns, def->bloom_column_count, arena)};
        }
    }
    *count = n;
    return out;
}

static const Str *split_names(Str joined, Arena *arena, size_t *count)
{
    size_t n = joined.len == 0 ? 0 : 1;
    for (size_t i = 0; i < joined.len; i++) {
        n += joined.ptr[i] == ',';
    }
    Str *out = arena_new(arena, Str, n);
    Str rest = arena_str(arena, joined);
    for (size_t i = 0; i < n; i++) {
        if (!str_cut(rest, ',', &out[i], &rest)) {
            out[i] = rest;
        }
    }
    *count = n;
    return out;
}

Status table_def_read(Str name, const DeltaState *state, Arena *arena, TableDef *out,
                      uint32_t *number, Err *err)
{
    *out = (TableDef){0};
    *number = 0;
    uint64_t n = 0;
    const Str text = delta_state_config(state, STR(PROPERTY_NUMBER));
    if (!num_parse_u64(text, &n) || n > TABLE_NUMBER_MAX) {
        return err_set(err, ERR_CORRUPT,
                       "table '" STR_FMT "': property " PROPERTY_NUMBER " is '" STR_FMT
                       "', not a table number",
                       STR_ARG(name), STR_ARG(text));
    }
    if ((n == TABLE_NUMBER_METRICS) != str_eq(name, STR(TABLE_METRICS))) {
        return err_set(err, ERR_CORRUPT, "table '" STR_FMT "' has the number %" PRIu64,
                       STR_ARG(name), n);
    }
    const Schema *schema = delta_state_schema(state);
    Field *fields = arena_new(arena, Field, schema->count);
    size_t field_count = 0;
    for (size_t i = 0; i < schema->count; i++) {
        if (!str_eq(schema->fields[i].name, STR(TABLE_DATE_COLUMN))) {
            fields[field_count] = schema->fields[i];
            fields[field_count++].name = arena_str(arena, schema->fields[i].name);
        }
    }
    TableDef def = {.name = arena_str(arena, name),
                    .schema = {.fields = fields, .count = field_count}};
    if (n != TABLE_NUMBER_METRICS) {
        def.time_column = arena_str(arena, delta_state_config(state, STR(PROPERTY_TIME)));
        def.sort_key =
            split_names(delta_state_config(state, STR(PROPERTY_SORT)), arena, &def.sort_key_count);
        def.bloom_columns = split_names(delta_state_config(state, STR(PROPERTY_BLOOM)), arena,
                                        &def.bloom_column_count);
        if (table_def_check(&def, err) != OK) {
            err->status = ERR_CORRUPT;
            return err_prefix(err, "the properties of the Delta table do not fit its schema: ");
        }
    }
    *out = def;
    *number = (uint32_t)n;
    return OK;
}
