// SPDX-License-Identifier: Apache-2.0
#include "column/types.h"

const char *column_type_sql(ColumnType type)
{
    switch (type) {
#define X(name, sql, size)                                                                         \
    case name:                                                                                     \
        return sql;
        COLUMN_TYPE_LIST(X)
#undef X
    }
    UNREACHABLE();
}

size_t column_type_size(ColumnType type)
{
    switch (type) {
#define X(name, sql, size)                                                                         \
    case name:                                                                                     \
        return size;
        COLUMN_TYPE_LIST(X)
#undef X
    }
    UNREACHABLE();
}

// Other spellings: DuckDB's (where INT8 is eight bytes), and those of ClickHouse that do not
// contradict them.
static const struct {
    Str sql;
    ColumnType type;
} aliases[] = {
    {STR("BOOL"), COLUMN_BOOL},
    {STR("LOGICAL"), COLUMN_BOOL},
    {STR("INT1"), COLUMN_INT8},
    {STR("INT2"), COLUMN_INT16},
    {STR("SHORT"), COLUMN_INT16},
    {STR("INT16"), COLUMN_INT16},
    {STR("INT"), COLUMN_INT32},
    {STR("INT4"), COLUMN_INT32},
    {STR("INT32"), COLUMN_INT32},
    {STR("SIGNED"), COLUMN_INT32},
    {STR("INT8"), COLUMN_INT64},
    {STR("INT64"), COLUMN_INT64},
    {STR("LONG"), COLUMN_INT64},
    {STR("UINT8"), COLUMN_UINT8},
    {STR("UINT16"), COLUMN_UINT16},
    {STR("UINT32"), COLUMN_UINT32},
    {STR("UINT64"), COLUMN_UINT64},
    {STR("REAL"), COLUMN_FLOAT},
    {STR("FLOAT4"), COLUMN_FLOAT},
    {STR("FLOAT32"), COLUMN_FLOAT},
    {STR("FLOAT8"), COLUMN_DOUBLE},
    {STR("FLOAT64"), COLUMN_DOUBLE},
    {STR("DOUBLE PRECISION"), COLUMN_DOUBLE},
    {STR("TEXT"), COLUMN_STRING},
    {STR("STRING"), COLUMN_STRING},
    {STR("CHAR"), COLUMN_STRING},
    {STR("BPCHAR"), COLUMN_STRING},
    {STR("BINARY"), COLUMN_BINARY},
    {STR("VARBINARY"), COLUMN_BINARY},
    {STR("BYTEA"), COLUMN_BINARY},
    {STR("BYTES"), COLUMN_BINARY},
    {STR("TIMESTAMP"), COLUMN_TIMESTAMP},
    {STR("TIMESTAMPTZ"), COLUMN_TIMESTAMP},
    {STR("DATETIME"), COLUMN_TIMESTAMP},
    {STR("MAP(TEXT, TEXT)"), COLUMN_MAP},
    {STR("MAP(STRING, STRING)"), COLUMN_MAP},
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_mark(char c)
{
    return c == '(' || c == ')' || c == ',';
}

// Upper case, one blank between words and after a comma, none elsewhere. 0 when it does not fit.
static size_t normalize(Str sql, char *out, size_t cap)
{
    size_t len = 0;
    bool blank = false;
    for (size_t i = 0; i < sql.len; i++) {
        const char c = sql.ptr[i];
        if (is_blank(c)) {
            blank = true;
            continue;
        }
        const bool after_comma = len > 0 && out[len - 1] == ',';
        const bool between_words = blank && len > 0 && !is_mark(c) && !is_mark(out[len - 1]);
        if (after_comma || between_words) {
            if (len == cap) {
                return 0;
            }
            out[len++] = ' ';
        }
        if (len == cap) {
            return 0;
        }
        out[len++] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        blank = false;
    }
    return len;
}

bool column_type_from_sql(Str sql, ColumnType *out)
{
    static const struct {
        Str sql;
        ColumnType type;
    } names[] = {
#define X(name, text, size) {STR(text), name},
        COLUMN_TYPE_LIST(X)
#undef X
    };
    char text[64];
    const Str want = {.ptr = text, .len = normalize(sql, text, sizeof(text))};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq(want, names[i].sql)) {
            *out = names[i].type;
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
        if (str_eq(want, aliases[i].sql)) {
            *out = aliases[i].type;
            return true;
        }
    }
    return false;
}
