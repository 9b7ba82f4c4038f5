// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // nftw
#include "tests/support/test.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { CASES_MAX = 4096 };

static TestCase *first, **last = &first;
static uint64_t seed = 1;

void test_register(TestCase *test_case)
{
    *last = test_case;
    last = &test_case->next;
}

void test_fail(Test *t, const char *file, int line, const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    print_error("%s:%d: %s (TEST_SEED=%" PRIu64 ")\n", file, line, text, t->seed);
    _fail(file, line);
    abort(); // _fail does not return
}

void test_skip(Test *t, const char *why)
{
    print_message("# SKIP %s: %s\n", t->name, why);
    _skip(__FILE__, __LINE__);
    abort(); // _skip does not return
}

uint64_t test_random(Test *t)
{
    return rng_next(&t->rng);
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static char dir_of_case[256];

Str test_dir(Test *t)
{
    const char *tmp = getenv("TMPDIR"); // NOLINT(concurrency-mt-unsafe)
    (void)t;
    (void)snprintf(dir_of_case, sizeof(dir_of_case), "%s/cardinal-test-XXXXXX",
                   tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir_of_case));
    return (Str){.ptr = dir_of_case, .len = strlen(dir_of_case)};
}

static Str read_text(Arena *arena, const char *path, bool *found)
{
    FILE *f = fopen(path, "rb");
    *found = f != NULL;
    if (f == NULL) {
        return (Str){0};
    }
    (void)fseek(f, 0, SEEK_END);
    long size = ftell(f);
    (void)fseek(f, 0, SEEK_SET);
    char *text = arena_new(arena, char, (size_t)size + 1);
    size_t got = fread(text, 1, (size_t)size, f);
    (void)fclose(f);
    return (Str){.ptr = text, .len = got};
}

void test_golden(Test *t, const char *file, int line, const char *path, Str got)
{
    char full[512];
    const char *root = getenv("CARDINAL_SOURCE_ROOT");   // NOLINT(concurrency-mt-unsafe)
    const bool update = getenv("UPDATE_GOLDEN") != NULL; // NOLINT(concurrency-mt-unsafe)
    bool found = false;
    (void)snprintf(full, sizeof(full), "%s/tests/golden/%s", root != NULL ? root : ".", path);
    if (update) {
        FILE *f = fopen(full, "wb");
        assert_non_null(f);
        (void)fwrite(got.ptr, 1, got.len, f);
        (void)fclose(f);
        return;
    }
    Str want = read_text(&t->arena, full, &found);
    if (!found || !str_eq(want, got)) {
        test_fail(t, file, line, "differs from %s:\n%.*s\n--- want ---\n%.*s", full, (int)got.len,
                  got.ptr, (int)want.len, want.ptr);
    }
}

static void run_case(void **state)
{
    TestCase *c = *state;
    static Test t; // survives the longjmp of a failure, so that teardown can free its arena
    t = (Test){.name = c->name, .rng = {seed}, .seed = seed};
    dir_of_case[0] = '\0';
    *state = &t;
    c->run(&t);
}

static int end_case(void **state)
{
    Test *t = *state;
    arena_deinit(&t->arena);
    if (dir_of_case[0] != '\0') {
        (void)nftw(dir_of_case, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *filter = argc > 1 ? argv[1] : "";
    const char *seed_text = getenv("TEST_SEED"); // NOLINT(concurrency-mt-unsafe)
    static struct CMUnitTest tests[CASES_MAX];
    size_t count = 0;

    seed = seed_text == NULL ? 1 : strtoull(seed_text, NULL, 0);
    for (TestCase *c = first; c != NULL; c = c->next) {
        if (strstr(c->name, filter) != NULL && count < CASES_MAX) {
            tests[count++] = (struct CMUnitTest){.name = c->name,
                                                 .test_func = run_case,
                                                 .teardown_func = end_case,
                                                 .initial_state = c};
        }
    }
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return _cmocka_run_group_tests(argv[0], tests, count, NULL, NULL) == 0 ? EXIT_SUCCESS
                                                                           : EXIT_FAILURE;
}
