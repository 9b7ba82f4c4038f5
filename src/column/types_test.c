// SPDX-License-Identifier: Apache-2.0
#include "column/types.h"
#include "tests/support/test.h"

TEST(types, sql_names)
{
    static const struct {
        Str sql;
        bool ok;
        ColumnType type;
    } cases[] = {
        {STR("BOOLEAN"), true, COLUMN_BOOL},
        {STR("bool"), true, COLUMN_BOOL},
        {STR(" Double   Precision "), true, COLUMN_DOUBLE},
        {STR("timestamp with\ttime zone"), true, COLUMN_TIMESTAMP},
        {STR("map(varchar,varchar)"), true, COLUMN_MAP},
        {STR("MAP ( text , text )"), true, COLUMN_MAP},
        {STR("int8"), true, COLUMN_INT64}, // as in PostgreSQL and DuckDB
        {STR("UInt8"), true, COLUMN_UINT8},
        {STR("text"), true, COLUMN_STRING},
        {STR("uuid"), true, COLUMN_UUID},
        {STR(""), false, 0},
        {STR("doubleprecision"), false, 0},
        {STR("map(varchar, integer)"), false, 0},
        {STR("VARCHAR[]"), false, 0},
        {STR("a name that is much longer than any type of ours could ever be, by far"), false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ColumnType type = COLUMN_DATE;
        const bool ok = column_type_from_sql(cases[i].sql, &type);
        if (ok != cases[i].ok || type != (ok ? cases[i].type : COLUMN_DATE)) {
            test_fail(t, __FILE__, __LINE__, "'" STR_FMT "'", STR_ARG(cases[i].sql));
        }
    }
}

TEST(types, every_name_reads_back)
{
    static const ColumnType types[] = {
#define X(name, sql, size) name,
        COLUMN_TYPE_LIST(X)
#undef X
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        const char *sql = column_type_sql(types[i]);
        ColumnType type = COLUMN_BOOL;
        CHECK(column_type_from_sql((Str){sql, strlen(sql)}, &type));
        CHECK_EQ(type, types[i]);
    }
    CHECK_EQ(column_type_size(COLUMN_UUID), 16);
    CHECK_EQ(column_type_size(COLUMN_STRING), 0);
}

TEST(schema, find)
{
    static const Field fields[] = {{STR("a"), COLUMN_INT8, false},
                                   {STR("Pod"), COLUMN_STRING, true},
                                   {STR("pod"), COLUMN_STRING, true}};
    const Schema schema = {fields, 3};
    CHECK_EQ(schema_find(&schema, STR("pod")), 2);
    CHECK_EQ(schema_find(&schema, STR("POD")), SIZE_MAX);
    CHECK_EQ(schema_find_nocase(&schema, STR("POD")), 1);
    CHECK_EQ(schema_find_nocase(&schema, STR("po")), SIZE_MAX);
    CHECK_EQ(schema_find(&(Schema){NULL, 0}, STR("a")), SIZE_MAX);
}
