// SPDX-License-Identifier: Apache-2.0
//
// Reads the files of apache/parquet-testing and apache/arrow-testing, which are not in this
// repository: CARDINAL_SHARED names the folder that has them in conformance/parquet. What is read
// is compared with tests/golden/parquet, which tests/golden/parquet/check_oracle.py compares with
// pyarrow.
#include "tests/support/parquet_text.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>

static const uint64_t FILE_BYTES_MAX = 64 << 20;

static Str shared_path(Test *t, const char *below)
{
    const char *shared = getenv("CARDINAL_SHARED");    // NOLINT(concurrency-mt-unsafe)
    const char *root = getenv("CARDINAL_SOURCE_ROOT"); // NOLINT(concurrency-mt-unsafe)
    char *path = arena_new(&t->arena, char, OS_PATH_MAX + 1);
    const int n = shared != NULL
                      ? snprintf(path, OS_PATH_MAX, "%s/conformance/parquet/%s", shared, below)
                      : snprintf(path, OS_PATH_MAX, "%s/../shared/conformance/parquet/%s",
                                 root != NULL ? root : ".", below);
    return (Str){.ptr = path, .len = (size_t)n};
}

static bool list_folder(Test *t, const char *below, Str *path, OsDirEntry **entries, size_t *count)
{
    Err err;
    *path = shared_path(t, below);
    return os_dir_list(os_posix(), *path, &t->arena, entries, count, &err) == OK;
}

// Text of all files of a folder, by name.
static void read_folder(Test *t, const char *below, Buf *out)
{
    Err err;
    Str path = {0};
    OsDirEntry *entries = NULL;
    size_t count = 0;
    if (!list_folder(t, below, &path, &entries, &count)) {
        test_skip(t, "no conformance files; set CARDINAL_SHARED");
    }
    for (size_t i = 0; i < count; i++) {
        Bytes file = {0};
        Arena arena = {0};
        char name[OS_PATH_MAX + 1];
        const Str entry = entries[i].name;
        const bool is_text = entry.len > 4 && (memcmp(entry.ptr + entry.len - 4, ".csv", 4) == 0 ||
                                               memcmp(entry.ptr + entry.len - 4, ".bin", 4) == 0 ||
                                               memcmp(entry.ptr + entry.len - 4, "json", 4) == 0);
        if (entries[i].is_dir || is_text) {
            continue;
        }
        const int n =
            snprintf(name, sizeof(name), STR_FMT "/" STR_FMT, STR_ARG(path), STR_ARG(entry));
        CHECK_OK(os_read_file(os_posix(), (Str){.ptr = name, .len = (size_t)n}, FILE_BYTES_MAX,
                              &arena, &file, &err));
        buf_putf(out, "%s/" STR_FMT "\n", below, STR_ARG(entry));
        parquet_text_file(out, &file);
        arena_deinit(&arena);
    }
}

static void check_folder(Test *t, const char *below, const char *golden)
{
    Buf out;
    buf_init(&out, 0);
    read_folder(t, below, &out);
    Str got = arena_str(&t->arena, buf_str(&out));
    buf_deinit(&out);
    CHECK_GOLDEN(golden, got);
}

TEST(parquet_conformance, data)
{
    check_folder(t, "data", "parquet/data.txt");
}

TEST(parquet_conformance, data_geospatial)
{
    check_folder(t, "data/geospatial", "parquet/geospatial.txt");
}

TEST(parquet_conformance, data_aes256)
{
    check_folder(t, "data/aes256", "parquet/aes256.txt");
}

TEST(parquet_conformance, more_valid_files)
{
    check_folder(t, "valid-more", "parquet/valid_more.txt");
}

TEST(parquet_conformance, generated_numerics)
{
    check_folder(t, "valid-more/generated_simple_numerics", "parquet/generated.txt");
}

TEST(parquet_conformance, bad_data)
{
    check_folder(t, "bad_data", "parquet/bad_data.txt");
}

TEST(parquet_conformance, fuzzing)
{
    check_folder(t, "fuzzing", "parquet/fuzzing.txt");
}

TEST(parquet_conformance, encoding_fuzzing)
{
    check_folder(t, "encoding-fuzzing", "parquet/encoding_fuzzing.txt");
}
