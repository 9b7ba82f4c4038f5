// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "tests/promql/script_internal.h"

typedef struct Lines {
    Str *items; // trimmed; comments are empty
    size_t count, at;
} Lines;

typedef struct Parser {
    Lines lines;
    Arena *arena;
    ScriptCommand *commands;
    size_t count, cap;
} Parser;

static Lines split_lines(Str text, Arena *arena)
{
    Lines lines = {0};
    size_t count = 1;
    for (size_t i = 0; i < text.len; i++) {
        count += text.ptr[i] == '\n' ? 1 : 0;
    }
    lines.items = arena_new(arena, Str, count);
    lines.count = count;
    for (size_t i = 0; i < count; i++) {
        Str line = text;
        (void)str_cut(text, '\n', &line, &text);
        line = script_trim(line);
        lines.items[i] = line.len != 0 && line.ptr[0] == '#' ? (Str){0} : line;
    }
    return lines;
}

// The lines of the command that began at `lines->at`: up to the next empty one.
static bool next_line(Lines *lines, Str *out)
{
    if (lines->at + 1 >= lines->count || lines->items[lines->at + 1].len == 0) {
        return false;
    }
    *out = lines->items[++lines->at];
    return true;
}

// The first word, and what follows the blanks after it.
static Str take_word(Str *text)
{
    size_t end = 0;
    while (end < text->len && !char_is_blank(text->ptr[end])) {
        end++;
    }
    const Str word = str_slice(*text, 0, end);
    *text = script_trim(str_slice(*text, end, text->len));
    return word;
}

static Status take_duration(Str *text, int64_t *out_ms, Err *err)
{
    const Str word = take_word(text);
    if (!script_duration(word, out_ms)) {
        return err_set(err, ERR_INVALID, "'" STR_FMT "' is not a duration", STR_ARG(word));
    }
    return OK;
}

static Status take_keyword(Str *text, Str wanted, Err *err)
{
    const Str word = take_word(text);
    if (!str_eq(word, wanted)) {
        return err_set(err, ERR_INVALID, "expected '" STR_FMT "', not '" STR_FMT "'",
                       STR_ARG(wanted), STR_ARG(word));
    }
    return OK;
}

// from A to B step C
static Status take_range(Str *text, ScriptEval *eval, Err *err)
{
    TRY(take_keyword(text, STR("from"), err));
    TRY(take_duration(text, &eval->start_ms, err));
    TRY(take_keyword(text, STR("to"), err));
    TRY(take_duration(text, &eval->end_ms, err));
    TRY(take_keyword(text, STR("step"), err));
    TRY(take_duration(text, &eval->step_ms, err));
    if (eval->end_ms < eval->start_ms) {
        return err_set(err, ERR_INVALID, "the end is before the start");
    }
    return OK;
}

// Series in the order of their lines, in the arena when all are known.
typedef struct SeriesList {
    ScriptSeries *items;
    size_t count, cap;
} SeriesList;

static bool same_labels(const LabelSet *a, const LabelSet *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; i < a->count && same; i++) {
        same = str_eq(a->labels[i].name, b->labels[i].name) &&
               str_eq(a->labels[i].value, b->labels[i].value);
    }
    return same;
}

// A series that is there already is replaced, as in Prometheus.
static void list_add(SeriesList *list, const ScriptSeries *series)
{
    for (size_t i = 0; i < list->count; i++) {
        if (same_labels(&list->items[i].labels, &series->labels)) {
            list->items[i] = *series;
            return;
        }
    }
    list->items = mem_grow(list->items, &list->cap, list->count + 1, sizeof(*list->items));
    list->items[list->count++] = *series;
}

static const ScriptSeries *list_finish(const SeriesList *list, Arena *arena)
{
    ScriptSeries *items = arena_new(arena, ScriptSeries, list->count);
    if (list->count != 0) {
        memcpy(items, list->items, list->count * sizeof(*items));
    }
    return items;
}

// --- load ----------------------------------------------------------------------------------------

// Splits `name{...}@st values`; the labels have no blanks in them.
static bool is_start_line(Str line, Str *labels, Str *values)
{
    Str rest = line;
    const Str word = take_word(&rest);
    const Str suffix = STR("@st");
    if (word.len < suffix.len ||
        !str_eq(str_slice(word, word.len - suffix.len, word.len), suffix)) {
        return false;
    }
    *labels = str_slice(word, 0, word.len - suffix.len);
    *values = rest;
    return true;
}

static Status parse_load_lines(Parser *p, SeriesList *list, Err *err)
{
    Str line, start_labels = {0}, start_values = {0};
    bool has_starts = false;
    while (next_line(&p->lines, &line)) {
        ScriptSeries series;
        if (is_start_line(line, &start_labels, &start_values)) {
            has_starts = true;
            continue;
        }
        TRY(script_series(line, p->arena, &series, err));
        series.line = (uint32_t)p->lines.at + 1;
        if (has_starts) {
            ScriptSeries named;
            TRY(script_series(start_labels, p->arena, &named, err));
            if (!same_labels(&named.labels, &series.labels)) {
                return err_set(err, ERR_INVALID, "the @st line before is of another series");
            }
            TRY(script_starts(start_values, p->arena, &series, err));
        }
        has_starts = false;
        list_add(list, &series);
    }
    return has_starts ? err_set(err, ERR_INVALID, "@st line without samples") : OK;
}

static Status parse_load(Parser *p, Str rest, ScriptCommand *command, Err *err)
{
    Status st = OK;
    SeriesList list = {0};
    TRY_OUT(take_duration(&rest, &command->load.step_ms, err));
    TRY_OUT(parse_load_lines(p, &list, err));
    command->load.series = list_finish(&list, p->arena);
    command->load.count = list.count;
out:
    mem_free(list.items);
    return st;
}

// --- eval ----------------------------------------------------------------------------------------

enum { EXPECTS_MAX = 64 };

static Status add_expect(ScriptEval *eval, Arena *arena, ScriptExpect expect, Err *err)
{
    if (eval->expects == NULL) {
        eval->expects = arena_new(arena, ScriptExpect, EXPECTS_MAX);
    }
    if (eval->expect_count == EXPECTS_MAX) {
        return err_set(err, ERR_INVALID, "too many expect lines");
    }
    // The array is ours until the command is complete.
    ScriptExpect *expects = (ScriptExpect *)(uintptr_t)eval->expects;
    expects[eval->expect_count++] = expect;
    return OK;
}

bool script_expects(const ScriptEval *eval, ScriptExpectKind kind)
{
    for (size_t i = 0; i < eval->expect_count; i++) {
        if (eval->expects[i].kind == kind) {
            return true;
        }
    }
    return false;
}

// After `expect `.
static Status parse_expect(Parser *p, Str rest, ScriptEval *eval, Err *err)
{
    static const struct {
        Str name;
        ScriptExpectKind kind;
    } kinds[] = {{STR("ordered"), SCRIPT_ORDERED}, {STR("fail"), SCRIPT_FAIL},
                 {STR("warn"), SCRIPT_WARN},       {STR("no_warn"), SCRIPT_NO_WARN},
                 {STR("info"), SCRIPT_INFO},       {STR("no_info"), SCRIPT_NO_INFO}};
    const Str name = take_word(&rest);
    ScriptExpect expect = {.is_any = rest.len == 0};
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (str_eq(name, kinds[i].name)) {
            expect.kind = kinds[i].kind;
            known = true;
        }
    }
    if (!known) {
        return err_set(err, ERR_INVALID, "cannot expect '" STR_FMT "'", STR_ARG(name));
    }
    if (str_starts(rest, STR("msg:"))) {
        expect.text = script_trim(str_slice(rest, 4, rest.len));
    } else if (str_starts(rest, STR("regex:"))) {
        expect.text = script_trim(str_slice(rest, 6, rest.len));
        expect.is_regex = true;
    } else if (rest.len != 0) {
        return err_set(err, ERR_INVALID, "expected 'msg:' or 'regex:', not '" STR_FMT "'",
                       STR_ARG(rest));
    }
    TRY(add_expect(eval, p->arena, expect, err));
    if ((script_expects(eval, SCRIPT_WARN) && script_expects(eval, SCRIPT_NO_WARN)) ||
        (script_expects(eval, SCRIPT_INFO) && script_expects(eval, SCRIPT_NO_INFO))) {
        return err_set(err, ERR_INVALID, "cannot expect both some and none");
    }
    return OK;
}

static Status parse_range_vector(Str rest, ScriptEval *eval, Err *err)
{
    eval->has_range_vector = true;
    return take_range(&rest, eval, err);
}

static Status parse_expected_string(Parser *p, Str rest, ScriptEval *eval, Err *err)
{
    Cursor c = {rest, 0};
    eval->has_string = true;
    TRY(cursor_string(&c, p->arena, &eval->string, err));
    return cursor_end(&c) ? OK : err_set(err, ERR_INVALID, "text after the string");
}

// A line that ends the command; *done says so.
static Status parse_last_line(Parser *p, Str line, ScriptEval *eval, bool *done, Err *err)
{
    const Str message = STR("expected_fail_message"), regexp = STR("expected_fail_regexp");
    Cursor c = {line, 0};
    *done = false;
    if (script_expects(eval, SCRIPT_FAIL) &&
        (str_starts(line, message) || str_starts(line, regexp))) {
        const bool is_regex = str_starts(line, regexp);
        const size_t skip = is_regex ? regexp.len : message.len;
        *done = true;
        eval->expect_count = 0; // replaces the one of eval_fail
        return add_expect(eval, p->arena,
                          (ScriptExpect){.kind = SCRIPT_FAIL,
                                         .is_regex = is_regex,
                                         .text = script_trim(str_slice(line, skip, line.len))},
                          err);
    }
    if (cursor_signed_number(&c, &eval->scalar) && cursor_end(&c)) {
        eval->has_scalar = true;
        *done = true;
    }
    return OK;
}

static Status parse_eval_lines(Parser *p, ScriptEval *eval, SeriesList *list, Err *err)
{
    Str line;
    while (next_line(&p->lines, &line)) {
        ScriptSeries series;
        bool done = false;
        Str rest = line;
        if (str_starts(line, STR("expect range vector"))) {
            rest = script_trim(str_slice(line, STR("expect range vector").len, line.len));
            TRY(parse_range_vector(rest, eval, err));
            continue;
        }
        if (str_starts(line, STR("expect string"))) {
            rest = script_trim(str_slice(line, STR("expect string").len, line.len));
            TRY(parse_expected_string(p, rest, eval, err));
            continue;
        }
        if (str_eq(take_word(&rest), STR("expect"))) {
            TRY(parse_expect(p, rest, eval, err));
            continue;
        }
        TRY(parse_last_line(p, line, eval, &done, err));
        if (done) {
            return OK;
        }
        TRY(script_series(line, p->arena, &series, err));
        series.line = (uint32_t)p->lines.at + 1;
        if (series.count != 1 && !eval->is_range && !eval->has_range_vector) {
            return err_set(err, ERR_INVALID, "one value per series in an instant query");
        }
        list_add(list, &series);
    }
    return OK;
}

// eval, eval_fail, eval_ordered, eval_warn, eval_info
static Status parse_mode(Parser *p, Str word, ScriptEval *eval, Err *err)
{
    static const struct {
        Str word;
        ScriptExpect expect;
    } modes[] = {
        {STR("eval_fail"), {.kind = SCRIPT_FAIL, .is_any = true}},
        {STR("eval_ordered"), {.kind = SCRIPT_ORDERED, .is_any = true}},
        {STR("eval_warn"), {.kind = SCRIPT_WARN, .is_any = true, .is_loose = true}},
        {STR("eval_info"), {.kind = SCRIPT_INFO, .is_any = true, .is_loose = true}},
    };
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        if (str_eq(word, modes[i].word)) {
            return add_expect(eval, p->arena, modes[i].expect, err);
        }
    }
    return str_eq(word, STR("eval"))
               ? OK
               : err_set(err, ERR_INVALID, "no command '" STR_FMT "'", STR_ARG(word));
}

static Status parse_eval(Parser *p, Str word, Str rest, ScriptEval *eval, Err *err)
{
    Status st = OK;
    SeriesList list = {0};
    TRY_OUT(parse_mode(p, word, eval, err));
    const Str kind = take_word(&rest);
    if (str_eq(kind, STR("range"))) {
        eval->is_range = true;
        TRY_OUT(take_range(&rest, eval, err));
    } else if (str_eq(kind, STR("instant"))) {
        TRY_OUT(take_keyword(&rest, STR("at"), err));
        TRY_OUT(take_duration(&rest, &eval->end_ms, err));
        eval->start_ms = eval->end_ms;
    } else {
        TRY_OUT(err_set(err, ERR_INVALID, "eval is 'instant' or 'range'"));
    }
    eval->expr = rest;
    TRY_OUT(parse_eval_lines(p, eval, &list, err));
    eval->series = list_finish(&list, p->arena);
    eval->count = list.count;
out:
    mem_free(list.items);
    return st;
}

// --- script --------------------------------------------------------------------------------------

static Status parse_command(Parser *p, ScriptCommand *command, Err *err)
{
    Str rest = p->lines.items[p->lines.at];
    const Str word = take_word(&rest);
    command->line = (uint32_t)p->lines.at + 1;
    if (str_eq(word, STR("clear"))) {
        command->kind = SCRIPT_CLEAR;
        return OK;
    }
    if (str_eq(word, STR("load")) || str_eq(word, STR("load_with_nhcb"))) {
        command->kind = SCRIPT_LOAD;
        command->load.with_nhcb = !str_eq(word, STR("load"));
        return parse_load(p, rest, command, err);
    }
    command->kind = SCRIPT_EVAL;
    return parse_eval(p, word, rest, &command->eval, err);
}

Status script_parse(Str text, Arena *arena, Script *out, Err *err)
{
    Status st = OK;
    Parser p = {.lines = split_lines(text, arena), .arena = arena};
    for (; p.lines.at < p.lines.count; p.lines.at++) {
        if (p.lines.items[p.lines.at].len == 0) {
            continue;
        }
        p.commands = mem_grow(p.commands, &p.cap, p.count + 1, sizeof(*p.commands));
        p.commands[p.count] = (ScriptCommand){0};
        if (parse_command(&p, &p.commands[p.count], err) != OK) {
            TRY_OUT(err_prefix(err, "line %zu: ", p.lines.at + 1));
        }
        p.count++;
    }
    ScriptCommand *commands = arena_new(arena, ScriptCommand, p.count);
    if (p.count != 0) {
        memcpy(commands, p.commands, p.count * sizeof(*commands));
    }
    *out = (Script){commands, p.count};
out:
    mem_free(p.commands);
    return st;
}
