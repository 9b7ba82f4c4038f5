// SPDX-License-Identifier: Apache-2.0
//
// Conditions as tests for a scan. WHERE is cut at its ANDs; of the pieces of the form
//     column op constant,  column IN (constants),  column BETWEEN constant AND constant,  column IS
//                          [NOT] NULL
// and of the first three with labels['x'] instead of a column, where the label x has a column,
// the constants are evaluated by DuckDB, in the statement's own transaction, so that now() is the
// same instant. Only what is certain to mean the same in the scan is kept. A table that stands in
// several places is scanned with what the conditions of all places have in common.
#include "base/mem.h"
#include "sql/predicates_internal.h"
#include "store/store.h"
#include "store/table_def.h"

#include <math.h>
#include <stdio.h>

enum { CONJUNCTION_DEPTH_MAX = 200, CONSTANT_DEPTH_MAX = 16 };

static bool one_of(Str s, const char *const *names, size_t count)
{
    bool found = false;
    for (size_t i = 0; i < count && !found; i++) {
        found = str_eq(s, (Str){names[i], strlen(names[i])});
    }
    return found;
}

// --- constants as SQL --------------------------------------------------------------------------

static void put_quoted(Buf *out, Str text)
{
    buf_put_u8(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        buf_put(out, text.ptr[i] == '\'' ? "''" : &text.ptr[i], text.ptr[i] == '\'' ? 2 : 1);
    }
    buf_put_u8(out, '\'');
}

// DECIMAL: digits, of which `scale` stand behind the point.
static bool put_decimal(const json_t *type, int64_t digits, Buf *out)
{
    const json_t *info = json_object_get(type, "type_info");
    const int64_t width = json_integer_value(json_object_get(info, "width"));
    const int64_t scale = json_integer_value(json_object_get(info, "scale"));
    int64_t unit = 1;
    if (width < 1 || width > 18 || scale < 0 || scale > width) {
        return false;
    }
    for (int64_t i = 0; i < scale; i++) {
        unit *= 10;
    }
    const uint64_t magnitude = digits < 0 ? -(uint64_t)digits : (uint64_t)digits;
    buf_putf(out, "CAST('%s%" PRIu64, digits < 0 ? "-" : "", magnitude / (uint64_t)unit);
    if (scale > 0) {
        buf_putf(out, ".%0*" PRIu64, (int)scale, magnitude % (uint64_t)unit);
    }
    buf_putf(out, "' AS DECIMAL(%" PRId64 ",%" PRId64 "))", width, scale);
    return true;
}

static bool put_value(const json_t *node, Buf *out)
{
    static const char *const integers[] = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT"};
    const json_t *wrapper = json_object_get(node, "value");
    const json_t *value = json_object_get(wrapper, "value");
    const json_t *type = json_object_get(wrapper, "type");
    const Str id = predicates_text(type, "id");
    if (json_is_string(value)) {
        put_quoted(out, predicates_text(wrapper, "value"));
        return str_eq(id, STR("VARCHAR"));
    }
    if (json_is_integer(value) && str_eq(id, STR("DECIMAL"))) {
        return put_decimal(type, json_integer_value(value), out);
    }
    if (json_is_integer(value)) {
        buf_putf(out, "CAST(%" JSON_INTEGER_FORMAT " AS " STR_FMT ")", json_integer_value(value),
                 STR_ARG(id));
        return one_of(id, integers, ARRAY_LEN(integers));
    }
    if (json_is_real(value)) {
        buf_putf(out, "CAST(%.17g AS DOUBLE)", json_real_value(value));
        return str_eq(id, STR("DOUBLE"));
    }
    return false;
}

static bool put_constant(const json_t *node, int depth, Buf *out);

static bool put_cast(const json_t *node, int depth, Buf *out)
{
    static const char *const types[] = {"INTERVAL", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE",
                                        "DATE",     "VARCHAR",   "BIGINT",
                                        "INTEGER",  "DOUBLE",    "UUID"};
    const Str type = predicates_text(json_object_get(node, "cast_type"), "id");
    const bool is_try = json_is_true(json_object_get(node, "try_cast"));
    buf_put_str(out, is_try ? STR("TRY_CAST(") : STR("CAST("));
    const bool ok = put_constant(json_object_get(node, "child"), depth + 1, out);
    buf_putf(out, " AS " STR_FMT ")", STR_ARG(type));
    return ok && one_of(type, types, ARRAY_LEN(types));
}

// Functions whose value is the same whenever this transaction asks.
static bool put_function(const json_t *node, int depth, Buf *out)
{
    static const char *const functions[] = {"now",
                                            "current_timestamp",
                                            "get_current_timestamp",
                                            "transaction_timestamp",
                                            "today",
                                            "current_date",
                                            "+",
                                            "-",
                                            "*",
                                            "trunc",
                                            "to_years",
                                            "to_months",
                                            "to_weeks",
                                            "to_days",
                                            "to_hours",
                                            "to_minutes",
                                            "to_seconds",
                                            "to_milliseconds",
                                            "to_microseconds",
                                            "date_trunc",
                                            "to_timestamp",
                                            "epoch_ms",
                                            "make_timestamp"};
    const Str name = predicates_text(node, "function_name");
    const json_t *children = json_object_get(node, "children");
    bool ok = one_of(name, functions, ARRAY_LEN(functions));
    buf_putf(out, "\"" STR_FMT "\"(", STR_ARG(name));
    for (size_t i = 0; ok && i < json_array_size(children); i++) {
        buf_put_str(out, i == 0 ? STR("") : STR(", "));
        ok = put_constant(json_array_get(children, i), depth + 1, out);
    }
    buf_put_str(out, STR(")"));
    return ok;
}

// Writes the SQL of an expression without columns. False: it is not one, or not known to be one.
static bool put_constant(const json_t *node, int depth, Buf *out)
{
    const Str class = predicates_text(node, "class");
    if (depth > CONSTANT_DEPTH_MAX) {
        return false;
    }
    if (str_eq(class, STR("CONSTANT"))) {
        return put_value(node, out);
    }
    if (str_eq(class, STR("CAST"))) {
        return put_cast(node, depth, out);
    }
    return str_eq(class, STR("FUNCTION")) && put_function(node, depth, out);
}

#define SQL_INTEGERS                                                                               \
    "'TINYINT','SMALLINT','INTEGER','BIGINT','UTINYINT','USMALLINT','UINTEGER','UBIGINT'"

// How a constant has to look to mean the same when compared in the column's own type: SQL in which
// $ stands for the constant and @ for the column's type. It gives NULL for a constant of another
// kind. DuckDB compares a number with text as numbers, a time with text as times.
static const char *constant_form(ColumnType type)
{
    switch (type) {
    case COLUMN_INT8:
    case COLUMN_INT16:
    case COLUMN_INT32:
    case COLUMN_INT64:
    case COLUMN_UINT8:
    case COLUMN_UINT16:
    case COLUMN_UINT32:
        return "CASE WHEN typeof($) = 'VARCHAR' THEN TRY_CAST(TRY_CAST($ AS @) AS BIGINT) "
               "WHEN typeof($) IN (" SQL_INTEGERS ") THEN TRY_CAST($ AS BIGINT) END";
    case COLUMN_UINT64:
        return "CASE WHEN typeof($) IN (" SQL_INTEGERS ",'VARCHAR') THEN TRY_CAST($ AS UBIGINT) "
               "END";
    case COLUMN_DOUBLE:
        return "CASE WHEN typeof($) IN (" SQL_INTEGERS
               ",'DOUBLE','VARCHAR') OR typeof($) LIKE 'DECIMAL%' THEN TRY_CAST($ AS DOUBLE) END";
    case COLUMN_STRING:
        return "CASE WHEN typeof($) = 'VARCHAR' THEN CAST($ AS VARCHAR) END";
    case COLUMN_TIMESTAMP:
        return "CASE WHEN typeof($) IN ('TIMESTAMP WITH TIME ZONE','TIMESTAMP','DATE','VARCHAR') "
               "THEN epoch_us(TRY_CAST($ AS TIMESTAMPTZ)) END";
    case COLUMN_DATE:
        return "CASE WHEN typeof($) IN ('DATE','VARCHAR') THEN "
               "CAST(TRY_CAST($ AS DATE) - DATE '1970-01-01' AS BIGINT) END";
    case COLUMN_UUID:
        return "CASE WHEN typeof($) IN ('UUID','VARCHAR') THEN "
               "from_hex(replace(CAST(TRY_CAST($ AS UUID) AS VARCHAR), '-', '')) END";
    case COLUMN_BOOL:
    case COLUMN_FLOAT: // constants are rounded to FLOAT or not, depending on their type
    case COLUMN_BINARY:
    case COLUMN_MAP:
        return NULL;
    }
    UNREACHABLE();
}

static bool add_constant(Finder *f, ColumnType type, const json_t *node)
{
    const char *form = constant_form(type);
    Buf sql = {0};
    if (form == NULL || f->constant_count == CONSTANTS_MAX) {
        return false;
    }
    buf_init(&sql, SQL_TEXT_MAX_BYTES);
    const bool ok = put_constant(node, 0, &sql) && buf_ok(&sql);
    if (ok) {
        buf_put_str(&f->constants, f->constants.len == 0 ? STR("SELECT ") : STR(", "));
        for (const char *c = form; *c != '\0'; c++) {
            if (*c == '$') {
                buf_put_str(&f->constants, buf_str(&sql));
            } else if (*c == '@') {
                buf_put_str(&f->constants,
                            (Str){column_type_sql(type), strlen(column_type_sql(type))});
            } else {
                buf_put_u8(&f->constants, (uint8_t)*c);
            }
        }
        f->constant_types[f->constant_count++] = type;
    }
    buf_deinit(&sql);
    return ok;
}

// --- conditions --------------------------------------------------------------------------------

// The column of the mentioned table that `node` names; SIZE_MAX when it is something else.
static size_t column_of(const Finder *f, const Mention *m, const json_t *node)
{
    const json_t *names = json_object_get(node, "column_names");
    const size_t count = json_array_size(names);
    if (!str_eq(predicates_text(node, "class"), STR("COLUMN_REF")) || count < 1 || count > 2) {
        return SIZE_MAX;
    }
    if (count == 2) {
        const json_t *q = json_array_get(names, 0);
        const Str qualifier =
            predicates_lower(f->run, (Str){json_string_value(q), json_string_length(q)});
        if (!str_eq(qualifier, m->alias.len != 0 ? m->alias : m->name)) {
            return SIZE_MAX;
        }
    }
    const json_t *name = json_array_get(names, count - 1);
    return schema_find_nocase(snapshot_schema(m->table->snapshot),
                              (Str){json_string_value(name), json_string_length(name)});
}

// The column of the label, for labels['x'] of `metrics`; SIZE_MAX when it is something else, or the
// label has no column.
static size_t label_column_of(const Finder *f, const Mention *m, const json_t *node)
{
    const json_t *children = json_object_get(node, "children");
    const json_t *key = json_object_get(json_array_get(children, 1), "value");
    const Schema *schema = snapshot_schema(m->table->snapshot);
    if (!str_eq(predicates_text(node, "type"), STR("ARRAY_EXTRACT")) ||
        !str_eq(m->table->name, STR(TABLE_METRICS)) ||
        column_of(f, m, json_array_get(children, 0)) != METRICS_LABELS ||
        !str_eq(predicates_text(json_object_get(key, "type"), "id"), STR("VARCHAR"))) {
        return SIZE_MAX;
    }
    const size_t column = schema_find(schema, predicates_text(key, "value"));
    const bool is_label = column != SIZE_MAX && column >= METRICS_LABELS_FIRST &&
                          schema->fields[column].type == COLUMN_STRING;
    return is_label ? column : SIZE_MAX;
}

// What a condition may be about: a column, or a label that has one.
static size_t subject_of(const Finder *f, const Mention *m, const json_t *node, bool *or_null)
{
    const size_t column = column_of(f, m, node);
    if (column != SIZE_MAX) {
        return column;
    }
    const size_t label = label_column_of(f, m, node);
    *or_null = *or_null || label != SIZE_MAX;
    return label;
}

static ColumnType type_of(const Mention *m, size_t column)
{
    return snapshot_schema(m->table->snapshot)->fields[column].type;
}

static Condition *add_condition(Finder *f, const Mention *m, size_t column, ScanTestKind kind)
{
    Condition *c = &f->conditions[f->condition_count];
    *c = (Condition){
        .mention = m, .column = column, .kind = kind, .constant_first = f->constant_count};
    return c;
}

// Takes the condition when all its constants could be written; else forgets it.
static void keep_condition(Finder *f, Condition *c, bool ok)
{
    if (ok) {
        c->constant_count = f->constant_count - c->constant_first;
        f->condition_count++;
    }
}

static void compare(Finder *f, const Mention *m, const json_t *node)
{
    const Str type = predicates_text(node, "type");
    const json_t *left = json_object_get(node, "left");
    const json_t *right = json_object_get(node, "right");
    bool or_null = false;
    const bool flipped = subject_of(f, m, left, &or_null) == SIZE_MAX;
    const size_t column = subject_of(f, m, flipped ? right : left, &or_null);
    const bool less =
        str_eq(type, STR("COMPARE_LESSTHAN")) || str_eq(type, STR("COMPARE_LESSTHANOREQUALTO"));
    const bool greater = str_eq(type, STR("COMPARE_GREATERTHAN")) ||
                         str_eq(type, STR("COMPARE_GREATERTHANOREQUALTO"));
    const bool equal = str_eq(type, STR("COMPARE_EQUAL"));
    if (column == SIZE_MAX || (!less && !greater && !equal)) {
        return;
    }
    Condition *c = add_condition(f, m, column, equal ? SCAN_TEST_IN : SCAN_TEST_RANGE);
    c->has_max = !equal && less != flipped;
    c->has_min = !equal && greater != flipped;
    c->or_null = or_null;
    keep_condition(f, c, add_constant(f, type_of(m, column), flipped ? left : right));
}

static void between(Finder *f, const Mention *m, const json_t *node)
{
    bool or_null = false;
    const size_t column = subject_of(f, m, json_object_get(node, "input"), &or_null);
    if (column != SIZE_MAX) {
        const ColumnType type = type_of(m, column);
        Condition *c = add_condition(f, m, column, SCAN_TEST_RANGE);
        c->has_min = c->has_max = true;
        c->or_null = or_null;
        keep_condition(f, c,
                       add_constant(f, type, json_object_get(node, "lower")) &&
                           add_constant(f, type, json_object_get(node, "upper")));
    }
}

static void operator_node(Finder *f, const Mention *m, const json_t *node)
{
    const Str type = predicates_text(node, "type");
    const json_t *children = json_object_get(node, "children");
    bool or_null = false;
    const size_t column = subject_of(f, m, json_array_get(children, 0), &or_null);
    // A MAP is more than what the scan has of it: see emit_map.c.
    if (column == SIZE_MAX || type_of(m, column) == COLUMN_MAP) {
        return;
    }
    if (or_null && !str_eq(type, STR("COMPARE_IN"))) {
        return; // whether the column is null does not decide
    }
    if (str_eq(type, STR("OPERATOR_IS_NULL"))) {
        // In a join, a row that finds no partner has NULLs that the scan knows nothing of.
        keep_condition(f, add_condition(f, m, column, SCAN_TEST_IS_NULL), !m->in_join);
    } else if (str_eq(type, STR("OPERATOR_IS_NOT_NULL"))) {
        keep_condition(f, add_condition(f, m, column, SCAN_TEST_NOT_NULL), true);
    } else if (str_eq(type, STR("COMPARE_IN"))) {
        Condition *c = add_condition(f, m, column, SCAN_TEST_IN);
        bool ok = true;
        c->or_null = or_null;
        for (size_t i = 1; ok && i < json_array_size(children); i++) {
            ok = add_constant(f, type_of(m, column), json_array_get(children, i));
        }
        keep_condition(f, c, ok);
    }
}

static void conjunct(Finder *f, const Mention *m, const json_t *node, int depth)
{
    const Str class = predicates_text(node, "class");
    if (depth > CONJUNCTION_DEPTH_MAX || f->condition_count == CONDITIONS_MAX) {
        return;
    }
    if (str_eq(predicates_text(node, "type"), STR("CONJUNCTION_AND"))) {
        const json_t *children = json_object_get(node, "children");
        for (size_t i = 0; i < json_array_size(children); i++) {
            conjunct(f, m, json_array_get(children, i), depth + 1);
        }
    } else if (str_eq(class, STR("COMPARISON"))) {
        compare(f, m, node);
    } else if (str_eq(class, STR("BETWEEN"))) {
        between(f, m, node);
    } else if (str_eq(class, STR("OPERATOR"))) {
        operator_node(f, m, node);
    }
}

// --- evaluation --------------------------------------------------------------------------------

typedef struct Constants {
    ScanValue *values;
    bool *known; // false: NULL, or of no use
} Constants;

static ScanValue value_at(SqlRun *run, duckdb_vector vector, ColumnType type)
{
    const void *data = duckdb_vector_get_data(vector);
    ScanValue value = {0};
    if (type == COLUMN_STRING || type == COLUMN_UUID) {
        duckdb_string_t text = *(const duckdb_string_t *)data;
        const Str copy = arena_str(
            &run->arena, (Str){duckdb_string_t_data(&text), duckdb_string_t_length(text)});
        value.bytes = (Bytes){(const uint8_t *)copy.ptr, copy.len};
    } else if (type == COLUMN_DOUBLE) {
        memcpy(&value.f64, data, sizeof(value.f64));
    } else {
        memcpy(&value.i64, data, sizeof(value.i64));
    }
    return value;
}

// A constant that cannot be evaluated (the statement itself will fail on it, and say so) ends the
// transaction. The next one has another now().
static void begin_again(SqlRun *run)
{
    (void)duckdb_query(run->connection, "ROLLBACK", NULL);
    (void)duckdb_query(run->connection, "BEGIN TRANSACTION READ ONLY", NULL);
}

static bool evaluate(Finder *f, Constants *out)
{
    duckdb_result result = {0};
    bool ok = true;
    out->values = arena_new(&f->run->arena, ScanValue, f->constant_count + 1);
    out->known = arena_new(&f->run->arena, bool, f->constant_count + 1);
    if (f->constant_count == 0) {
        return true;
    }
    buf_put_u8(&f->constants, 0);
    duckdb_data_chunk chunk = NULL;
    if (buf_ok(&f->constants) && duckdb_query(f->run->connection, (const char *)f->constants.ptr,
                                              &result) == DuckDBSuccess) {
        chunk = duckdb_fetch_chunk(result);
    }
    if (chunk == NULL) {
        begin_again(f->run);
        ok = false;
    }
    for (size_t i = 0; ok && i < f->constant_count; i++) {
        duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, i);
        uint64_t *validity = duckdb_vector_get_validity(vector);
        const ColumnType type = f->constant_types[i];
        out->known[i] = validity == NULL || duckdb_validity_row_is_valid(validity, 0);
        if (out->known[i]) {
            out->values[i] = value_at(f->run, vector, type);
            out->known[i] = type != COLUMN_DOUBLE || !isnan(out->values[i].f64);
        }
    }
    duckdb_destroy_data_chunk(&chunk);
    duckdb_destroy_result(&result);
    return ok;
}

// --- tests -------------------------------------------------------------------------------------

typedef struct TestList {
    ScanTest tests[CONDITIONS_MAX];
    size_t count;
} TestList;

static int compare_bytes(Bytes a, Bytes b)
{
    const size_t n = a.len < b.len ? a.len : b.len;
    const int order = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static bool is_less(ColumnType type, const ScanValue *a, const ScanValue *b)
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
        return a->i64 < b->i64;
    case COLUMN_UINT64:
        return (uint64_t)a->i64 < (uint64_t)b->i64;
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
        return a->f64 < b->f64;
    case COLUMN_STRING:
    case COLUMN_BINARY:
    case COLUMN_UUID:
        return compare_bytes(a->bytes, b->bytes) < 0;
    case COLUMN_MAP:
        break;
    }
    UNREACHABLE();
}

// Both ranges hold: the greater minimum, the smaller maximum.
static void intersect(ColumnType type, const ScanTest *other, ScanTest *range)
{
    if (other->has_min && (!range->has_min || is_less(type, &range->min, &other->min))) {
        range->min = other->min;
    }
    if (other->has_max && (!range->has_max || is_less(type, &other->max, &range->max))) {
        range->max = other->max;
    }
    range->has_min = range->has_min || other->has_min;
    range->has_max = range->has_max || other->has_max;
}

static void add_test(ColumnType type, const ScanTest *test, TestList *list)
{
    for (size_t i = 0; i < list->count && test->kind == SCAN_TEST_RANGE; i++) {
        ScanTest *other = &list->tests[i];
        if (other->column == test->column && other->kind == SCAN_TEST_RANGE &&
            other->or_null == test->or_null) {
            intersect(type, test, other);
            return;
        }
    }
    list->tests[list->count++] = *test;
}

static void tests_of(const Finder *f, const Mention *m, const Constants *constants, TestList *out)
{
    out->count = 0;
    for (size_t i = 0; i < f->condition_count; i++) {
        const Condition *c = &f->conditions[i];
        const ScanValue *v = constants->values + c->constant_first;
        bool usable = c->mention == m;
        for (size_t k = 0; k < c->constant_count && usable; k++) {
            usable = constants->known[c->constant_first + k];
        }
        if (!usable) {
            continue;
        }
        ScanTest test = {.column = c->column, .kind = c->kind, .or_null = c->or_null};
        if (c->kind == SCAN_TEST_IN) {
            test.values = v;
            test.value_count = c->constant_count;
        } else if (c->kind == SCAN_TEST_RANGE) {
            test.has_min = c->has_min;
            test.has_max = c->has_max;
            test.min = v[0];
            test.max = v[c->constant_count - 1];
        }
        add_test(type_of(m, c->column), &test, out);
    }
}

// What rows meet that meet the one test or the other. False: nothing that could be said.
static bool unite(Finder *f, ColumnType type, const ScanTest *a, const ScanTest *b, ScanTest *out)
{
    *out = *a;
    if (a->column != b->column || a->kind != b->kind) {
        return false;
    }
    out->or_null = a->or_null || b->or_null;
    switch (a->kind) {
    case SCAN_TEST_IS_NULL:
    case SCAN_TEST_NOT_NULL:
        return true;
    case SCAN_TEST_RANGE:
        out->has_min = a->has_min && b->has_min;
        out->has_max = a->has_max && b->has_max;
        out->min = is_less(type, &b->min, &a->min) ? b->min : a->min;
        out->max = is_less(type, &a->max, &b->max) ? b->max : a->max;
        return out->has_min || out->has_max;
    case SCAN_TEST_IN: {
        ScanValue *values =
            arena_new(&f->run->arena, ScanValue, a->value_count + b->value_count + 1);
        memcpy(values, a->values, a->value_count * sizeof(*values));
        memcpy(values + a->value_count, b->values, b->value_count * sizeof(*values));
        out->values = values;
        out->value_count = a->value_count + b->value_count;
        return true;
    }
    }
    UNREACHABLE();
}

// Leaves in `list` what holds for rows that `list` or `other` lets pass.
static void merge(Finder *f, const Schema *schema, const TestList *other, TestList *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        const ColumnType type = schema->fields[list->tests[i].column].type;
        ScanTest both;
        bool found = false;
        for (size_t k = 0; k < other->count && !found; k++) {
            found = unite(f, type, &list->tests[i], &other->tests[k], &both);
        }
        if (found) {
            list->tests[kept++] = both;
        }
    }
    list->count = kept;
}

static void set_tests(Finder *f, SqlTable *table, const Constants *constants, TestList *lists)
{
    TestList *all = &lists[0];
    bool first = true;
    for (size_t i = 0; i < f->mention_count; i++) {
        if (f->mentions[i].table == table) {
            tests_of(f, &f->mentions[i], constants, first ? all : &lists[1]);
            if (!first) {
                merge(f, snapshot_schema(table->snapshot), &lists[1], all);
            }
            first = false;
        }
    }
    if (!first && all->count > 0) {
        ScanTest *tests = arena_new(&f->run->arena, ScanTest, all->count);
        memcpy(tests, all->tests, all->count * sizeof(*tests));
        table->tests = tests;
        table->test_count = all->count;
    }
}

void conditions_find(Finder *f)
{
    Constants constants;
    buf_init(&f->constants, 8 * SQL_TEXT_MAX_BYTES);
    for (size_t i = 0; i < f->mention_count; i++) {
        const Mention *m = &f->mentions[i];
        if (m->table != NULL && m->where != NULL) {
            conjunct(f, m, m->where, 0);
        }
    }
    if (f->condition_count > 0 && evaluate(f, &constants)) {
        TestList *lists = mem_new(TestList, 2);
        for (size_t i = 0; i < f->run->table_count; i++) {
            set_tests(f, &f->run->tables[i], &constants, lists);
        }
        mem_free(lists);
    }
    buf_deinit(&f->constants);
}
