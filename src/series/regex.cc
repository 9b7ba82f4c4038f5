// SPDX-License-Identifier: Apache-2.0
//
// RE2 behind regex_internal.h. Every function is noexcept: what could throw (memory) ends the
// process instead of passing through frames of C.
#include "series/regex_internal.h"

#include <re2/re2.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

struct RegexProgram {
    RE2 re;
    RegexProgram(const re2::StringPiece &pattern, const RE2::Options &options)
        : re(pattern, options)
    {
    }
};

// Go's regexp/syntax says the same things in other words.
static const char *fault_text(RE2::ErrorCode code)
{
    switch (code) {
    case RE2::ErrorBadEscape: return "invalid escape sequence";
    case RE2::ErrorBadCharClass: return "invalid character class";
    case RE2::ErrorBadCharRange: return "invalid character class range";
    case RE2::ErrorMissingBracket: return "missing closing ]";
    case RE2::ErrorMissingParen: return "missing closing )";
    case RE2::ErrorUnexpectedParen: return "unexpected )";
    case RE2::ErrorTrailingBackslash: return "trailing backslash at end of expression";
    case RE2::ErrorRepeatArgument: return "missing argument to repetition operator";
    case RE2::ErrorRepeatSize: return "invalid repeat count";
    case RE2::ErrorRepeatOp: return "invalid nested repetition operator";
    case RE2::ErrorBadPerlOp: return "invalid or unsupported Perl syntax";
    case RE2::ErrorBadUTF8: return "invalid UTF-8";
    case RE2::ErrorBadNamedCapture: return "invalid named capture";
    case RE2::ErrorPatternTooLarge: return "expression too large";
    case RE2::NoError:
    case RE2::ErrorInternal: break;
    }
    return "regexp/syntax: internal error";
}

static void fault_set(RegexFault *fault, const char *what, const std::string &fragment)
{
    const size_t len = std::min(fragment.size(), sizeof(fault->fragment) - 1);
    fault->what = what;
    std::memcpy(fault->fragment, fragment.data(), len);
    fault->fragment[len] = '\0';
}

RegexProgram *regex_program_new(const char *pattern, size_t len, RegexFault *fault) noexcept
{
    RE2::Options options;
    options.set_log_errors(false);
    options.set_dot_nl(true);
    options.set_max_mem(REGEX_PROGRAM_BYTES_MAX);
    RegexProgram *program = new RegexProgram(re2::StringPiece(pattern, len), options);
    if (program->re.ok()) {
        return program;
    }
    const bool whole = program->re.error_code() == RE2::ErrorPatternTooLarge;
    fault_set(fault, fault_text(program->re.error_code()),
              whole ? program->re.pattern() : program->re.error_arg());
    delete program;
    return nullptr;
}

void regex_program_free(RegexProgram *program) noexcept
{
    delete program;
}

bool regex_program_match(const RegexProgram *program, const char *text, size_t len) noexcept
{
    return program->re.Match(re2::StringPiece(text, len), 0, len, RE2::ANCHOR_BOTH, nullptr, 0);
}

bool regex_program_find(const RegexProgram *program, const char *text, size_t len, RegexSpan *spans,
                        size_t span_count) noexcept
{
    const re2::StringPiece whole(len == 0 ? "" : text, len);
    std::vector<re2::StringPiece> groups(span_count);
    if (!program->re.Match(whole, 0, len, RE2::ANCHOR_BOTH, groups.data(),
                           static_cast<int>(span_count))) {
        return false;
    }
    for (size_t i = 0; i < span_count; i++) {
        spans[i].set = groups[i].data() != nullptr;
        spans[i].from = spans[i].set ? static_cast<size_t>(groups[i].data() - whole.data()) : 0;
        spans[i].to = spans[i].from + groups[i].size();
    }
    return true;
}

size_t regex_program_group_count(const RegexProgram *program) noexcept
{
    return static_cast<size_t>(program->re.NumberOfCapturingGroups());
}

size_t regex_program_group(const RegexProgram *program, const char *name, size_t len) noexcept
{
    const std::map<std::string, int> &groups = program->re.NamedCapturingGroups();
    const auto found = groups.find(std::string(name, len));
    return found == groups.end() ? 0 : static_cast<size_t>(found->second);
}
