// SPDX-License-Identifier: Apache-2.0
//
// label_replace() and label_join(): work on label sets, never look at samples.
#include "base/mem.h"
#include "base/utf8.h"
#include "promql/fn_internal.h"
#include "series/matcher.h"

typedef struct LabelsState {
    Arena arena;
    Str destination;
    Regex *regex; // label_replace
    Str replacement, source;
    Str separator; // label_join
    Str *sources;
    size_t source_count;
} LabelsState;

static bool is_valid_name(Str name)
{
    return name.len > 0 && utf8_is_valid(name);
}

static LabelsState *new_state(Str destination)
{
    LabelsState *state = mem_new(LabelsState, 1);
    arena_init(&state->arena, 0);
    state->destination = arena_str(&state->arena, destination);
    return state;
}

void fn_labels_close(void *state)
{
    LabelsState *s = state;
    if (s != NULL) {
        regex_free(s->regex);
        arena_deinit(&s->arena);
        mem_free(s);
    }
}

Status fn_label_replace_open(const PromqlMatrix *args, size_t arg_count, void **state, Err *err)
{
    Regex *regex = NULL;
    *state = NULL;
    ASSERT(arg_count == 5);
    if (regex_new(args[4].text, &regex, err) != OK) {
        return err_set(err, ERR_INVALID, "invalid regular expression in label_replace(): " STR_FMT,
                       STR_ARG(args[4].text));
    }
    if (!is_valid_name(args[1].text)) {
        regex_free(regex);
        return err_set(err, ERR_INVALID,
                       "invalid destination label name in label_replace(): " STR_FMT,
                       STR_ARG(args[1].text));
    }
    LabelsState *s = new_state(args[1].text);
    s->regex = regex;
    s->replacement = arena_str(&s->arena, args[2].text);
    s->source = arena_str(&s->arena, args[3].text);
    *state = s;
    return OK;
}

Status fn_label_join_open(const PromqlMatrix *args, size_t arg_count, void **state, Err *err)
{
    *state = NULL;
    ASSERT(arg_count >= 3);
    for (size_t i = 3; i < arg_count; i++) {
        if (!is_valid_name(args[i].text)) {
            return err_set(err, ERR_INVALID, "invalid source label name in label_join(): " STR_FMT,
                           STR_ARG(args[i].text));
        }
    }
    if (!is_valid_name(args[1].text)) {
        return err_set(err, ERR_INVALID, "invalid destination label name in label_join(): " STR_FMT,
                       STR_ARG(args[1].text));
    }
    LabelsState *s = new_state(args[1].text);
    s->separator = arena_str(&s->arena, args[2].text);
    s->source_count = arg_count - 3;
    s->sources = arena_new(&s->arena, Str, s->source_count);
    for (size_t i = 0; i < s->source_count; i++) {
        s->sources[i] = arena_str(&s->arena, args[i + 3].text);
    }
    *state = s;
    return OK;
}

static int compare(Str a, Str b)
{
    const size_t common = a.len < b.len ? a.len : b.len;
    const int order = common == 0 ? 0 : memcmp(a.ptr, b.ptr, common);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

LabelSet fn_labels_with(LabelSet in, Str name, Str value, Arena *arena)
{
    Label *labels = arena_new(arena, Label, in.count + 1);
    LabelSet out = {.labels = labels};
    bool done = value.len == 0;
    for (size_t i = 0; i < in.count; i++) {
        const int order = compare(in.labels[i].name, name);
        if (order >= 0 && !done) {
            labels[out.count++] = (Label){name, value};
            done = true;
        }
        if (order != 0) {
            labels[out.count++] = in.labels[i];
        }
    }
    if (!done) {
        labels[out.count++] = (Label){name, value};
    }
    return out;
}

static void set_label(const PromqlCall *call, const LabelsState *s, LabelSet in, Str value,
                      bool *drop_name, LabelSet *out)
{
    const Str name = arena_str(call->arena, s->destination);
    *out = fn_labels_with(in, name, arena_str(call->arena, value), call->arena);
    if (str_eq(s->destination, STR("__name__"))) {
        *drop_name = false;
    }
}

void fn_label_replace(const PromqlCall *call, const void *state, LabelSet in, bool *drop_name,
                      LabelSet *out)
{
    const LabelsState *s = state;
    Buf value;
    buf_init(&value, 0);
    *out = in;
    if (regex_expand(s->regex, labels_get(&in, s->source), s->replacement, &value)) {
        set_label(call, s, in, buf_str(&value), drop_name, out);
    }
    buf_deinit(&value);
}

void fn_label_join(const PromqlCall *call, const void *state, LabelSet in, bool *drop_name,
                   LabelSet *out)
{
    const LabelsState *s = state;
    Buf value;
    buf_init(&value, 0);
    for (size_t i = 0; i < s->source_count; i++) {
        if (i > 0) {
            buf_put_str(&value, s->separator);
        }
        buf_put_str(&value, labels_get(&in, s->sources[i]));
    }
    set_label(call, s, in, buf_str(&value), drop_name, out);
    buf_deinit(&value);
}
