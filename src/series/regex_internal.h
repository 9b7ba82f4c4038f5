// SPDX-License-Identifier: Apache-2.0
//
// The door to RE2, the only place where C meets C++: plain C types on one side, nothing of C++ on
// the other. No exception leaves (out of memory stops the process, as everywhere). Only the
// files of this module use it. A program is immutable, any thread may match with it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define REGEX_NOEXCEPT noexcept
#else
#define REGEX_NOEXCEPT
#endif

enum {
    REGEX_PROGRAM_BYTES_MAX = 16 << 20, // compiled, and of what matching builds lazily
    REGEX_GROUPS_MAX = 1000,            // of capturing groups that can be asked for
};

typedef struct RegexProgram RegexProgram;

typedef struct RegexFault {
    const char *what;   // in the words of Go's regexp/syntax, "missing closing ]"
    char fragment[121]; // of the pattern, NUL-terminated, cut when longer
} RegexFault;

typedef struct RegexSpan {
    size_t from, to; // bytes of the text
    bool set;        // false: the group took no part
} RegexSpan;

// Go's regexp/syntax with flags Perl | DotNL: "." matches a newline, "$" only the end of the text.
// NULL: refused, *fault says why.
RegexProgram *regex_program_new(const char *pattern, size_t len, RegexFault *fault) REGEX_NOEXCEPT;
void regex_program_free(RegexProgram *program) REGEX_NOEXCEPT; // accepts NULL

// Does the whole of the text match?
bool regex_program_match(const RegexProgram *program, const char *text, size_t len) REGEX_NOEXCEPT;
// The same, with the groups: spans[0] is the whole match; those past the last group are not set.
bool regex_program_find(const RegexProgram *program, const char *text, size_t len, RegexSpan *spans,
                        size_t span_count) REGEX_NOEXCEPT;
size_t regex_program_group_count(const RegexProgram *program) REGEX_NOEXCEPT;
// The number of a named group; 0 when there is none.
size_t regex_program_group(const RegexProgram *program, const char *name,
                           size_t len) REGEX_NOEXCEPT;

#ifdef __cplusplus
}
#endif
