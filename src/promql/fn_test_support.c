// SPDX-License-Identifier: Apache-2.0
#include "promql/fn_test_support.h"

#include "base/num.h"
#include "codec/dtoa.h"

void fn_test_begin(FnTest *f, Test *t, const char *name)
{
    *f = (FnTest){.t = t};
    const PromqlFunction *function = promql_function((Str){name, strlen(name)});
    CHECK(function != NULL);
    for (size_t i = 0; i < ARRAY_LEN(f->args); i++) {
        f->args[i].pos = (PromqlPos){(uint32_t)(i < 9 ? i : 9), 9};
        f->arg_list[i] = &f->args[i];
    }
    f->node.kind = PROMQL_CALL;
    f->node.u.call.function = function;
    f->node.u.call.args = f->arg_list;
    f->node.u.call.arg_count = function->arg_count - (function->variadic != 0);
    f->call = (PromqlCall){
        .node = &f->node,
        .notes = promql_notes_new(),
        .arena = &t->arena,
        .time_ms = 60000,
        .scalars = f->scalars,
        .metric = STR("m"),
        .err = &f->err,
    };
}

const char *fn_test_note(FnTest *f)
{
    Buf text = {0};
    for (int kind = 0; kind < 2; kind++) {
        const Str *list;
        const size_t count = promql_notes_list(f->call.notes, (PromqlNoteKind)kind,
                                               STR("0123456789"), 0, &f->t->arena, &list);
        for (size_t i = 0; i < count; i++) {
            buf_putf(&text, "%s" STR_FMT, text.len > 0 ? "; " : "", STR_ARG(list[i]));
        }
    }
    promql_notes_free(f->call.notes);
    f->call.notes = promql_notes_new();
    buf_put_u8(&text, 0);
    const char *copy = arena_str(&f->t->arena, buf_str(&text)).ptr;
    buf_deinit(&text);
    return copy;
}

void fn_test_end(FnTest *f)
{
    Test *t = f->t;
    const char *left = fn_test_note(f);
    promql_notes_free(f->call.notes);
    CHECK_STR(((Str){left, strlen(left)}), STR(""));
}

// The next sample of a list; false at its end. *present is false for "_".
static bool next_sample(Test *t, Str *rest, PromqlSample *out, bool *present)
{
    Str one;
    *out = (PromqlSample){0};
    if (rest->len == 0) {
        return false;
    }
    if (rest->ptr[0] == '{') {
        CHECK(str_cut(*rest, '}', &one, rest));
        const Str text = arena_str(&t->arena, (Str){one.ptr, one.len + 2});
        char *terminated = arena_new(&t->arena, char, text.len + 1);
        memcpy(terminated, text.ptr, text.len);
        out->histogram = test_histogram(t, terminated);
        *rest = str_slice(*rest, 1, rest->len);
        *rest = str_slice(*rest, rest->len > 0 && rest->ptr[0] == ' ' ? 1 : 0, rest->len);
        *present = true;
        return true;
    }
    if (!str_cut(*rest, ' ', &one, rest)) {
        one = *rest;
        rest->len = 0;
    }
    *present = !str_eq(one, STR("_"));
    CHECK(!*present || num_parse_f64(one, &out->value));
    return true;
}

PromqlWindow fn_test_window(Test *t, const char *samples)
{
    const size_t max = strlen(samples) + 1;
    int64_t *times = arena_new(&t->arena, int64_t, max);
    double *values = arena_new(&t->arena, double, max);
    int64_t *histogram_times = arena_new(&t->arena, int64_t, max);
    const Histogram **histograms = arena_new(&t->arena, const Histogram *, max);
    PromqlWindow w = {
        .times = times,
        .values = values,
        .histogram_times = histogram_times,
        .histograms = histograms,
        .end_ms = 60000,
    };
    Str rest = {samples, strlen(samples)};
    PromqlSample sample;
    bool present;
    for (int64_t at = 10000; next_sample(t, &rest, &sample, &present); at += 10000) {
        if (present && sample.histogram != NULL) {
            histogram_times[w.histogram_count] = at;
            histograms[w.histogram_count++] = sample.histogram;
        } else if (present) {
            times[w.count] = at;
            values[w.count++] = sample.value;
        }
    }
    return w;
}

static void put_sample(FnTest *f, PromqlSample s, Buf *out)
{
    if (s.histogram != NULL) {
        const char *text = test_histogram_text(f->t, s.histogram);
        buf_put(out, text, strlen(text));
    } else {
        dtoa_put_f64(out, s.value, DTOA_PROM);
    }
}

static const char *take_text(FnTest *f, Buf *text)
{
    buf_put_u8(text, 0);
    const char *copy = arena_str(&f->t->arena, buf_str(text)).ptr;
    buf_deinit(text);
    return copy;
}

const char *fn_test_range(FnTest *f, const PromqlWindow *w)
{
    Buf text = {0};
    PromqlSample out = {0};
    if (!f->node.u.call.function->over_range(&f->call, w, &out)) {
        return "none";
    }
    put_sample(f, out, &text);
    return take_text(f, &text);
}

const char *fn_test_samples(FnTest *f, const char *samples)
{
    const PromqlWindow w = fn_test_window(f->t, samples);
    return fn_test_range(f, &w);
}

PromqlSeries fn_test_series(Test *t, const char *labels, const char *samples)
{
    const size_t max = strlen(samples) + 1;
    Label *list = arena_new(&t->arena, Label, strlen(labels) + 1);
    PromqlSeries s = {
        .labels = {.labels = list},
        .values = arena_new(&t->arena, double, max),
        .present = arena_new(&t->arena, uint64_t, max / 64 + 1),
        .histograms = arena_new(&t->arena, const Histogram *, max),
    };
    Str rest = arena_str(&t->arena, (Str){labels, strlen(labels)});
    while (rest.len > 0) {
        Label *label = &list[s.labels.count++];
        CHECK(str_cut(rest, '=', &label->name, &rest));
        rest = str_slice(rest, 1, rest.len);
        CHECK(str_cut(rest, '"', &label->value, &rest));
        rest = str_slice(rest, rest.len > 0 ? 1 : 0, rest.len);
    }
    rest = (Str){samples, strlen(samples)};
    PromqlSample sample;
    bool present;
    for (uint32_t step = 0; next_sample(t, &rest, &sample, &present); step++) {
        s.values[step] = sample.value;
        s.histograms[step] = sample.histogram;
        if (present) {
            fn_set_present(&s, step);
        }
    }
    return s;
}

const char *fn_test_matrix(FnTest *f, const PromqlMatrix *args, uint32_t steps)
{
    Test *t = f->t;
    Buf text = {0};
    PromqlMatrix out;
    const PromqlGrid grid = {.start_ms = 0, .end_ms = 60000, .step_ms = 60000, .steps = steps};
    Err err;
    CHECK_OK(f->node.u.call.function->over_matrix(&f->call, &grid, args, &out, &err));
    CHECK_EQ(out.type, f->node.u.call.function->result);
    for (size_t i = 0; i < out.count; i++) {
        const PromqlSeries *s = &out.series[i];
        buf_putf(&text, "%s", i > 0 ? "\n" : "");
        labels_format(&s->labels, 1000, &text);
        for (uint32_t k = 0; k < steps; k++) {
            buf_put_u8(&text, ' ');
            if (!fn_is_present(s, k)) {
                buf_put_u8(&text, '_');
            } else {
                put_sample(f, (PromqlSample){s->values[k], fn_histogram_at(s, k)}, &text);
            }
        }
    }
    return take_text(f, &text);
}
