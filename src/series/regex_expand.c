// SPDX-License-Identifier: Apache-2.0
//
// Regular expressions as the rest of cardinal sees them: the few places where RE2 and Go's regexp
// read a pattern differently, and Go's templates.
#include "series/matcher.h"
#include "series/regex_internal.h"

#include "base/mem.h"
#include "series/matcher_internal.h"

struct Regex {
    RegexProgram *program;
    RegexProgram *letters; // of a template: the run of letters, digits and _ that is a name
};

// Where the class that begins at `i` (its '[') ends: past its ']', or pattern.len.
static size_t class_end(Str pattern, size_t i)
{
    i++;
    i += i < pattern.len && pattern.ptr[i] == '^' ? 1 : 0;
    for (bool first = true; i < pattern.len; first = false) {
        const char c = pattern.ptr[i];
        if (c == ']' && !first) {
            return i + 1;
        }
        if (c == '[' && i + 1 < pattern.len && pattern.ptr[i + 1] == ':') {
            const char *close = memchr(pattern.ptr + i + 2, ':', pattern.len - i - 2);
            const size_t at = close == NULL ? pattern.len : (size_t)(close - pattern.ptr);
            i = at + 1 < pattern.len && pattern.ptr[at + 1] == ']' ? at + 2 : i + 1;
        } else {
            i += c == '\\' ? 2 : 1;
        }
    }
    return pattern.len;
}

static bool starts_with(Str s, size_t i, Str what)
{
    return str_eq(str_slice(s, i, i + what.len), what);
}

// Copies `pattern` for RE2: Go 1.22 also has (?<name>...), which this RE2 knows as (?P<name>...).
// RE2 has \C, one byte, which Go refuses: it becomes \y, which RE2 refuses in the same words.
static void translate(Str pattern, Buf *out)
{
    size_t i = 0;
    while (i < pattern.len) {
        size_t end = i + 1;
        if (starts_with(pattern, i, STR("\\Q"))) {
            for (end = i + 2; end < pattern.len && !starts_with(pattern, end, STR("\\E")); end++) {
            }
        } else if (starts_with(pattern, i, STR("\\C"))) {
            buf_put_str(out, STR("\\y"));
            i += 2;
            continue;
        } else if (pattern.ptr[i] == '\\') {
            end = i + 2;
        } else if (pattern.ptr[i] == '[') {
            end = class_end(pattern, i);
        } else if (starts_with(pattern, i, STR("(?<")) && i + 3 < pattern.len &&
                   pattern.ptr[i + 3] != '=' && pattern.ptr[i + 3] != '!') {
            buf_put_str(out, STR("(?P<"));
            i += 3;
            continue;
        }
        buf_put_str(out, str_slice(pattern, i, end));
        i = end;
    }
}

// An error shows what was written: the whole pattern, or \C.
static Status refuse(Str pattern, Str translated, const RegexFault *fault, Err *err)
{
    Str fragment = {fault->fragment, strlen(fault->fragment)};
    const size_t shown = fragment.len;
    if (shown > 0 && (shown == translated.len || shown == sizeof(fault->fragment) - 1) &&
        str_eq(fragment, str_slice(translated, 0, shown))) {
        fragment = str_slice(pattern, 0, sizeof(fault->fragment) - 1);
    }
    if (str_eq(fragment, STR("\\y")) && !str_eq(pattern, translated)) {
        fragment = STR("\\C");
    }
    return err_set(err, ERR_INVALID, "error parsing regexp: %s: `" STR_FMT "`", fault->what,
                   STR_ARG(fragment));
}

Status regex_compile(Str pattern, RegexProgram **out, Err *err)
{
    RegexFault fault = {0};
    Buf text;
    Status st = OK;

    *out = NULL;
    if (pattern.len > MATCHER_REGEX_BYTES_MAX) {
        return err_set(err, ERR_INVALID,
                       "error parsing regexp: expression too large: %zu bytes, at most %d",
                       pattern.len, MATCHER_REGEX_BYTES_MAX);
    }
    buf_init(&text, 0);
    translate(pattern, &text);
    *out = regex_program_new(text.ptr == NULL ? "" : (const char *)text.ptr, text.len, &fault);
    if (*out == NULL) {
        st = refuse(pattern, buf_str(&text), &fault, err);
    }
    buf_deinit(&text);
    return st;
}

Status regex_new(Str pattern, Regex **out, Err *err)
{
    RegexFault fault;
    RegexProgram *program = NULL;

    *out = NULL;
    TRY(regex_compile(pattern, &program, err));
    Regex *regex = mem_new(Regex, 1);
    regex->program = program;
    regex->letters = regex_program_new("([\\pL\\p{Nd}_]+).*", 17, &fault);
    ASSERT(regex->letters != NULL);
    *out = regex;
    return OK;
}

void regex_free(Regex *regex)
{
    if (regex != NULL) {
        regex_program_free(regex->program);
        regex_program_free(regex->letters);
        mem_free(regex);
    }
}

bool regex_match(const Regex *regex, Str text)
{
    return regex_program_match(regex->program, text.len == 0 ? "" : text.ptr, text.len);
}

// Reads the name after a '$' at the beginning of *rest: letters, digits and _, also in braces, as
// long as possible. False: there is none, the '$' stands for itself.
static bool template_name(const Regex *regex, Str *rest, Str *name)
{
    RegexSpan spans[2];
    const size_t brace = rest->len > 0 && rest->ptr[0] == '{' ? 1 : 0;
    const Str text = str_slice(*rest, brace, rest->len);
    if (!regex_program_find(regex->letters, text.len == 0 ? "" : text.ptr, text.len, spans, 2)) {
        return false;
    }
    *name = str_slice(text, 0, spans[1].to);
    size_t end = brace + spans[1].to;
    if (brace == 1) {
        if (end >= rest->len || rest->ptr[end] != '}') {
            return false;
        }
        end++;
    }
    *rest = str_slice(*rest, end, rest->len);
    return true;
}

// The number of the group `name`, which is a number without leading zeros or the name of one.
static bool group_number(const Regex *regex, Str name, size_t *out)
{
    size_t number = 0;
    bool digits = name.len == 1 || name.ptr[0] != '0';
    for (size_t i = 0; digits && i < name.len; i++) {
        digits = name.ptr[i] >= '0' && name.ptr[i] <= '9' && number < 100000000;
        number = digits ? number * 10 + (size_t)(name.ptr[i] - '0') : 0;
    }
    if (!digits) {
        number = regex_program_group(regex->program, name.ptr, name.len);
    }
    *out = number;
    return digits || number > 0;
}

bool regex_expand(const Regex *regex, Str text, Str template_text, Buf *out)
{
    size_t count = 1 + regex_program_group_count(regex->program);
    count = count < REGEX_GROUPS_MAX ? count : REGEX_GROUPS_MAX;
    RegexSpan *spans = mem_new(RegexSpan, count);
    Str rest = template_text;
    Str name = {0};
    const bool found =
        regex_program_find(regex->program, text.len == 0 ? "" : text.ptr, text.len, spans, count);
    while (found && rest.len > 0) {
        Str head = rest;
        const bool dollar = str_cut(rest, '$', &head, &rest);
        buf_put_str(out, head);
        if (!dollar) {
            break;
        }
        size_t number = 0;
        if (rest.len > 0 && rest.ptr[0] == '$') {
            buf_put_u8(out, '$');
            rest = str_slice(rest, 1, rest.len);
        } else if (!template_name(regex, &rest, &name)) {
            buf_put_u8(out, '$');
        } else if (group_number(regex, name, &number) && number < count && spans[number].set) {
            buf_put_str(out, str_slice(text, spans[number].from, spans[number].to));
        }
    }
    mem_free(spans);
    return found;
}
