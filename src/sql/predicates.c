// SPDX-License-Identifier: Apache-2.0
//
// What a statement's text says of how its tables are used. DuckDB's C interface pushes projections
// into a table function but no filters, so they are taken from the statement itself:
// json_serialize_sql gives its syntax tree; here it is walked for the places where tables stand,
// the WHERE over them, and the names of columns. What the conditions are worth to a scan is said in
// conditions.c. DuckDB checks every condition again.
//
// Whatever is not known to be harmless makes the whole statement unclear, and then nothing is
// handed over.
#include "base/mem.h"
#include "sql/predicates_internal.h"
#include "store/store.h"
#include "store/table_def.h"

enum { TREE_DEPTH_MAX = 200 };

Str predicates_text(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value)) {
        return STR("");
    }
    return (Str){.ptr = json_string_value(value), .len = json_string_length(value)};
}

Str predicates_lower(SqlRun *run, Str s)
{
    char *p = arena_new(&run->arena, char, s.len + 1);
    for (size_t i = 0; i < s.len; i++) {
        p[i] = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] + 32) : s.ptr[i];
    }
    return (Str){.ptr = p, .len = s.len};
}

static bool one_of(Str s, const Str *list, size_t count)
{
    bool found = false;
    for (size_t i = 0; i < count && !found; i++) {
        found = str_eq(s, list[i]);
    }
    return found;
}

// --- names -------------------------------------------------------------------------------------

static void note_name(Finder *f, const json_t *name)
{
    if (f->name_count == ARRAY_LEN(f->names) || !json_is_string(name)) {
        f->any_column = true;
        return;
    }
    f->names[f->name_count++] = predicates_lower(
        f->run, (Str){.ptr = json_string_value(name), .len = json_string_length(name)});
}

static void note_names(Finder *f, const json_t *names)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        note_name(f, json_array_get(names, i));
    }
}

static Str last_name(Finder *f, const json_t *reference)
{
    const json_t *names = json_object_get(reference, "column_names");
    const json_t *last = json_array_get(names, json_array_size(names) - 1);
    return json_is_string(last)
               ? predicates_lower(f->run, (Str){json_string_value(last), json_string_length(last)})
               : STR("");
}

// labels['key']: the one way to use `labels` that says which of them.
static bool note_label_key(Finder *f, const json_t *node)
{
    const json_t *children = json_object_get(node, "children");
    const json_t *map = json_array_get(children, 0);
    const json_t *key = json_object_get(json_array_get(children, 1), "value");
    if (!str_eq(predicates_text(node, "type"), STR("ARRAY_EXTRACT")) ||
        !str_eq(predicates_text(map, "class"), STR("COLUMN_REF")) ||
        !str_eq(last_name(f, map), STR("labels")) ||
        !str_eq(predicates_text(json_object_get(key, "type"), "id"), STR("VARCHAR")) ||
        f->label_key_count == ARRAY_LEN(f->label_keys)) {
        return false;
    }
    f->label_keys[f->label_key_count++] = arena_str(&f->run->arena, predicates_text(key, "value"));
    note_names(f, json_object_get(map, "column_names"));
    return true;
}

// --- tables ------------------------------------------------------------------------------------

static void add_mention(Finder *f, const json_t *table, const json_t *where, bool in_join)
{
    if (f->mention_count == ARRAY_LEN(f->mentions)) {
        f->unclear = true;
        return;
    }
    // A sample is taken of all rows, before WHERE; other names for columns are not followed.
    const bool plain = !json_is_object(json_object_get(table, "sample")) &&
                       !json_is_object(json_object_get(table, "at_clause")) &&
                       json_array_size(json_object_get(table, "column_name_alias")) == 0;
    f->any_column = f->any_column || !plain;
    f->mentions[f->mention_count++] =
        (Mention){.name = predicates_lower(f->run, predicates_text(table, "table_name")),
                  .alias = predicates_lower(f->run, predicates_text(table, "alias")),
                  .where = plain ? where : NULL,
                  .in_join = in_join};
}

// Joins through which a condition on a column of one side may be moved into the scan of that side.
static bool join_is_plain(const json_t *join)
{
    static const Str types[] = {STR("INNER"), STR("LEFT"), STR("RIGHT"), STR("OUTER"), STR("FULL")};
    static const Str kinds[] = {STR("REGULAR"), STR("CROSS"), STR("NATURAL"), STR("DEPENDENT")};
    return one_of(predicates_text(join, "join_type"), types, ARRAY_LEN(types)) &&
           one_of(predicates_text(join, "ref_type"), kinds, ARRAY_LEN(kinds));
}

// Functions that read no table.
static bool function_is_harmless(const json_t *reference)
{
    static const Str known[] = {STR("range"), STR("generate_series"), STR("unnest"), STR("repeat"),
                                STR("cardinal_tables")};
    const Str name = predicates_text(json_object_get(reference, "function"), "function_name");
    return one_of(name, known, ARRAY_LEN(known));
}

// What stands in a FROM; `where` holds over it all.
static void note_from(Finder *f, const json_t *from, const json_t *where, bool in_join, int depth)
{
    const Str type = predicates_text(from, "type");
    if (depth > TREE_DEPTH_MAX) {
        f->unclear = true;
    } else if (str_eq(type, STR("BASE_TABLE"))) {
        add_mention(f, from, where, in_join);
    } else if (str_eq(type, STR("JOIN"))) {
        const json_t *inner = join_is_plain(from) ? where : NULL;
        note_names(f, json_object_get(from, "using_columns"));
        f->any_column = f->any_column || str_eq(predicates_text(from, "ref_type"), STR("NATURAL"));
        note_from(f, json_object_get(from, "left"), inner, true, depth + 1);
        note_from(f, json_object_get(from, "right"), inner, true, depth + 1);
    } else if (str_eq(type, STR("TABLE_FUNCTION"))) {
        f->unclear = f->unclear || !function_is_harmless(from);
    } else {
        static const Str others[] = {STR(""), STR("EMPTY"), STR("SUBQUERY"),
                                     STR("EXPRESSION_LIST")};
        f->unclear = f->unclear || !one_of(type, others, ARRAY_LEN(others));
    }
}

static void note_select(Finder *f, const json_t *node)
{
    const json_t *where = json_object_get(node, "where_clause");
    const bool sampled = json_is_object(json_object_get(node, "sample"));
    note_from(f, json_object_get(node, "from_table"),
              json_is_object(where) && !sampled ? where : NULL, false, 0);
}

static void note_ctes(Finder *f, const json_t *node)
{
    const json_t *map = json_object_get(json_object_get(node, "cte_map"), "map");
    for (size_t i = 0; i < json_array_size(map); i++) {
        if (f->cte_count == ARRAY_LEN(f->ctes)) {
            f->unclear = true;
            return;
        }
        f->ctes[f->cte_count++] =
            predicates_lower(f->run, predicates_text(json_array_get(map, i), "key"));
    }
}

// --- walking the tree --------------------------------------------------------------------------

// False: what is below is looked at already.
static bool note_expression(Finder *f, const json_t *node, Str class)
{
    static const Str known[] = {STR("CONSTANT"),    STR("FUNCTION"), STR("COMPARISON"),
                                STR("CONJUNCTION"), STR("OPERATOR"), STR("CAST"),
                                STR("CASE"),        STR("BETWEEN"),  STR("WINDOW"),
                                STR("SUBQUERY"),    STR("COLLATE"),  STR("LAMBDA")};
    if (str_eq(class, STR("COLUMN_REF"))) {
        note_names(f, json_object_get(node, "column_names"));
        const size_t first = f->name_count - json_array_size(json_object_get(node, "column_names"));
        for (size_t i = f->any_column ? f->name_count : first; i < f->name_count; i++) {
            f->any_label = f->any_label || str_eq(f->names[i], STR("labels"));
        }
        return false;
    }
    if (note_label_key(f, node)) {
        return false;
    }
    // *, COLUMNS(...), #1, and what there may be one day.
    f->any_column = f->any_column || !one_of(class, known, ARRAY_LEN(known));
    return true;
}

static void walk(Finder *f, const json_t *node, int depth)
{
    const Str class = predicates_text(node, "class");
    const char *key = NULL;
    json_t *value = NULL;

    if (depth > TREE_DEPTH_MAX) {
        f->unclear = true;
        return;
    }
    for (size_t i = 0; i < json_array_size(node); i++) {
        walk(f, json_array_get(node, i), depth + 1);
    }
    if (!json_is_object(node) || (class.len > 0 && !note_expression(f, node, class))) {
        return;
    }
    if (str_eq(predicates_text(node, "type"), STR("SELECT_NODE"))) {
        note_select(f, node);
    }
    note_ctes(f, node);
    json_object_foreach((json_t *)(uintptr_t)node, key, value)
    {
        walk(f, value, depth + 1);
    }
}

// --- what follows from it ----------------------------------------------------------------------

static bool is_mentioned(const Finder *f, Str name)
{
    return f->any_column || one_of(name, f->names, f->name_count);
}

// A table, or its alias, as a column: a row of all its columns.
static bool rows_are_values(const Finder *f, const SqlTable *table)
{
    bool found = f->any_column;
    for (size_t i = 0; i < f->mention_count && !found; i++) {
        const Mention *m = &f->mentions[i];
        found =
            m->table == table && (one_of(m->name, f->names, f->name_count) ||
                                  (m->alias.len > 0 && one_of(m->alias, f->names, f->name_count)));
    }
    return found;
}

static void look_at_columns(Finder *f, SqlTable *table)
{
    const Schema *schema = snapshot_schema(table->snapshot);
    const bool by_name = !rows_are_values(f, table);
    const Field *first = &schema->fields[0];
    table->first_column_unused = by_name && schema->count > 0 &&
                                 column_type_size(first->type) != 0 &&
                                 !is_mentioned(f, predicates_lower(f->run, first->name));
    if (by_name && !f->any_label) {
        Str *keys = arena_new(&f->run->arena, Str, f->label_key_count + 1);
        memcpy(keys, f->label_keys, f->label_key_count * sizeof(*keys));
        table->label_keys = keys;
        table->label_key_count = f->label_key_count;
    }
}

// Opens the tables that are ours; DuckDB will complain of the others.
static void find_tables(Finder *f)
{
    for (size_t i = 0; i < f->mention_count; i++) {
        Err err;
        Mention *m = &f->mentions[i];
        if (m->name.len > STORE_TABLE_NAME_MAX || one_of(m->name, f->ctes, f->cte_count) ||
            sql_run_table(f->run, m->name, &m->table, &err) != OK) {
            m->table = NULL;
        }
    }
    for (size_t i = 0; i < f->run->table_count; i++) {
        look_at_columns(f, &f->run->tables[i]);
    }
}

// The statement's tree as JSON; NULL when it has none (DESCRIBE, errors).
static json_t *parse_tree(SqlRun *run, Str text)
{
    duckdb_prepared_statement statement = NULL;
    duckdb_result result = {0};
    duckdb_data_chunk chunk = NULL;
    json_t *tree = NULL;

    if (duckdb_prepare(run->connection,
                       "SELECT json_serialize_sql($1::VARCHAR, skip_null := true, "
                       "skip_empty := true, skip_default := true)",
                       &statement) == DuckDBSuccess &&
        duckdb_bind_varchar_length(statement, 1, text.ptr, text.len) == DuckDBSuccess &&
        duckdb_execute_prepared(statement, &result) == DuckDBSuccess) {
        chunk = duckdb_fetch_chunk(result);
    }
    if (chunk != NULL) {
        duckdb_string_t *json = duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 0));
        json_error_t why;
        tree = json_loadb(duckdb_string_t_data(json), duckdb_string_t_length(*json), 0, &why);
    }
    duckdb_destroy_data_chunk(&chunk);
    duckdb_destroy_result(&result);
    duckdb_destroy_prepare(&statement);
    return tree;
}

void sql_find_predicates(SqlRun *run, Str text)
{
    json_t *tree = parse_tree(run, text);
    const json_t *statements = json_object_get(tree, "statements");
    if (json_array_size(statements) == 1) {
        Finder *f = mem_new(Finder, 1);
        f->run = run;
        walk(f, statements, 0);
        if (!f->unclear) {
            find_tables(f);
            conditions_find(f);
        }
        mem_free(f);
    }
    json_decref(tree);
}
