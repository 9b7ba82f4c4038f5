// SPDX-License-Identifier: Apache-2.0
//
// Dictionary vectors that say how large their dictionary is and which one it is. DuckDB then
// groups, hashes and computes once per entry instead of once per row, as it does for its own
// Parquet reader: a GROUP BY of text is more than twice as fast. The C interface has no call for it
// (up to 1.5), so three C++ functions that the library exports are called by their symbols. All
// their arguments are pointers and integers, which C and C++ hand over alike. The symbols are weak,
// and their names spell out their types: a library in which they are gone or differ gives plain
// dictionary vectors, and the same answers. See docs/decisions/0017-dictionary-symbols.md.
#include "sql/engine_internal.h"

// A duckdb::shared_ptr, which has two words. More of them here make C return it through memory, as
// C++ does.
typedef struct SharedDictionary {
    void *words[8];
} SharedDictionary;

// DictionaryVector::CreateReusableDictionary(const LogicalType &, const idx_t &)
__attribute__((weak)) SharedDictionary
duck_create_dictionary(duckdb_logical_type type, const idx_t *size) __asm__(
    "_ZN6duckdb16DictionaryVector24CreateReusableDictionaryERKNS_11LogicalTypeERKm");

// Vector::Dictionary(shared_ptr<VectorChildBuffer>, const SelectionVector &); leaves the pointer
// empty.
__attribute__((weak)) void duck_vector_dictionary(
    duckdb_vector vector, SharedDictionary *dictionary,
    duckdb_selection_vector rows) __asm__("_ZN6duckdb6Vector10DictionaryENS_10shared_ptrINS_"
                                          "17VectorChildBufferELb1EEERKNS_"
                                          "15SelectionVectorE");

// Vector::SetValue(idx_t, const Value &)
__attribute__((weak)) void
duck_vector_set_value(duckdb_vector vector, idx_t row,
                      duckdb_value value) __asm__("_ZN6duckdb6Vector8SetValueEmRKNS_5ValueE");

bool sql_dictionary_is_shared(void)
{
    return duck_create_dictionary != NULL && duck_vector_dictionary != NULL &&
           duck_vector_set_value != NULL && strncmp(duckdb_library_version(), "v1.5.", 5) == 0;
}

duckdb_vector sql_dictionary_new(duckdb_logical_type type, uint32_t count)
{
    const idx_t size = (idx_t)count + 1;
    if (!sql_dictionary_is_shared()) {
        duckdb_vector plain = duckdb_create_vector(type, size);
        duckdb_vector_ensure_validity_writable(plain);
        duckdb_validity_set_row_invalid(duckdb_vector_get_validity(plain), count);
        return plain;
    }
    duckdb_vector vector = duckdb_create_vector(type, 1);
    duckdb_selection_vector rows = duckdb_create_selection_vector(size);
    uint32_t *row = duckdb_selection_vector_get_data_ptr(rows);
    for (uint32_t i = 0; i <= count; i++) {
        row[i] = i;
    }
    SharedDictionary dictionary = duck_create_dictionary(type, &size);
    duck_vector_dictionary(vector, &dictionary, rows);
    duckdb_value null = duckdb_create_null_value();
    duck_vector_set_value(vector, count, null);
    duckdb_destroy_value(&null);
    duckdb_destroy_selection_vector(rows);
    return vector;
}
