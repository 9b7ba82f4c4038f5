// SPDX-License-Identifier: Apache-2.0
//
// A thin layer over cmocka. A test program is one or more files of TEST()s linked with test.c:
//
//     TEST(str, cut_without_separator) { ... CHECK_EQ(a, b); ... }
//
// Prints TAP, so that Meson shows single cases. `prog FILTER` runs the cases whose name contains
// FILTER. The first failed CHECK ends the case. Each case has an arena that is freed after it and a
// seeded generator; TEST_SEED=... repeats a run.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/rng.h"

#include <string.h>

typedef struct Test {
    const char *name; // "group.name"
    Arena arena;      // freed after the case
    Rng rng;
    uint64_t seed;
} Test;

typedef struct TestCase TestCase;
struct TestCase {
    const char *name;
    void (*run)(Test *t);
    TestCase *next;
};

void test_register(TestCase *test_case);
NORETURN void test_fail(Test *t, const char *file, int line, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
NORETURN void test_skip(Test *t, const char *why); // counted as skipped, by name
uint64_t test_random(Test *t);                     // uniform 64 bits

// A fresh empty folder under $TMPDIR for this case, removed after it. Real files, for the posix Os.
Str test_dir(Test *t);

// Compares `got` with the file tests/golden/<path>; UPDATE_GOLDEN=1 rewrites the file instead.
void test_golden(Test *t, const char *file, int line, const char *path, Str got);
#define CHECK_GOLDEN(path, got) test_golden(t, __FILE__, __LINE__, (path), (got))

#define TEST(group_, name_)                                                                        \
    static void test_##group_##_##name_(Test *t);                                                  \
    __attribute__((constructor)) static void test_reg_##group_##_##name_(void)                     \
    {                                                                                              \
        static TestCase c = {#group_ "." #name_, test_##group_##_##name_, NULL};                   \
        test_register(&c);                                                                         \
    }                                                                                              \
    static void test_##group_##_##name_(__attribute__((unused)) Test *t)

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            test_fail(t, __FILE__, __LINE__, "%s", #cond);                                         \
        }                                                                                          \
    } while (0)

// Integers, sizes and enums. Shows both values when they differ.
#define CHECK_EQ(got, want)                                                                        \
    do {                                                                                           \
        const int64_t got_ = (int64_t)(got), want_ = (int64_t)(want);                              \
        if (got_ != want_) {                                                                       \
            test_fail(t, __FILE__, __LINE__, "%s is %" PRId64 ", want %" PRId64, #got, got_,       \
                      want_);                                                                      \
        }                                                                                          \
    } while (0)

#define CHECK_STR(got, want)                                                                       \
    do {                                                                                           \
        const Str got_ = (got), want_ = (want);                                                    \
        if (!str_eq(got_, want_)) {                                                                \
            test_fail(t, __FILE__, __LINE__, "%s is '" STR_FMT "', want '" STR_FMT "'", #got,      \
                      STR_ARG(got_), STR_ARG(want_));                                              \
        }                                                                                          \
    } while (0)

// The call succeeds; shows its message when it does not.
#define CHECK_OK(expr)                                                                             \
    do {                                                                                           \
        if ((expr) != OK) {                                                                        \
            test_fail(t, __FILE__, __LINE__, "%s: %s", #expr, err.msg);                            \
        }                                                                                          \
    } while (0)
