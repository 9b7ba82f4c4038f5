// SPDX-License-Identifier: Apache-2.0
#include "promql/histogram_test_support.h"

#include "base/num.h"

static double number(Test *t, Str text)
{
    double v = 0;
    CHECK(num_parse_f64(text, &v));
    return v;
}

static uint32_t numbers(Test *t, Str list, const double **out)
{
    double *values = arena_new(&t->arena, double, list.len);
    uint32_t count = 0;
    Str one;
    while (str_cut(list, ' ', &one, &list)) {
        values[count++] = number(t, one);
    }
    if (list.len > 0) {
        values[count++] = number(t, list);
    }
    *out = values;
    return count;
}

static void put_field(Test *t, Histogram *h, int32_t offsets[2], Str name, Str value)
{
    static const char *const hints[] = {"unknown", "reset", "not_reset", "gauge"};
    if (str_eq(name, STR("schema"))) {
        h->schema = (int32_t)number(t, value);
    } else if (str_eq(name, STR("count"))) {
        h->count = number(t, value);
    } else if (str_eq(name, STR("sum"))) {
        h->sum = number(t, value);
    } else if (str_eq(name, STR("z_bucket"))) {
        h->zero_count = number(t, value);
    } else if (str_eq(name, STR("z_bucket_w"))) {
        h->zero_threshold = number(t, value);
    } else if (str_eq(name, STR("offset"))) {
        offsets[0] = (int32_t)number(t, value);
    } else if (str_eq(name, STR("n_offset"))) {
        offsets[1] = (int32_t)number(t, value);
    } else if (str_eq(name, STR("buckets"))) {
        h->positive.bucket_count = numbers(t, value, &h->positive.counts);
    } else if (str_eq(name, STR("n_buckets"))) {
        h->negative.bucket_count = numbers(t, value, &h->negative.counts);
    } else if (str_eq(name, STR("custom_values"))) {
        h->bound_count = numbers(t, value, &h->bounds);
    } else {
        CHECK_STR(name, STR("counter_reset_hint"));
        for (uint32_t i = 0; i < ARRAY_LEN(hints); i++) {
            if (str_eq(value, (Str){hints[i], strlen(hints[i])})) {
                h->hint = (HistogramHint)i;
            }
        }
    }
}

static void put_span(Test *t, HistogramSide *side, int32_t offset)
{
    if (side->bucket_count > 0) {
        HistogramSpan *span = arena_new(&t->arena, HistogramSpan, 1);
        *span = (HistogramSpan){offset, side->bucket_count};
        side->spans = span;
        side->span_count = 1;
    }
}

const Histogram *test_histogram(Test *t, const char *text)
{
    Histogram *h = arena_new(&t->arena, Histogram, 1);
    int32_t offsets[2] = {0, 0};
    Str rest = {text, strlen(text)};
    CHECK(rest.len >= 4 && rest.ptr[0] == '{' && rest.ptr[rest.len - 1] == '}');
    rest = str_slice(rest, 2, rest.len - 2);
    while (rest.len > 0) {
        Str name;
        Str value;
        CHECK(str_cut(rest, ':', &name, &rest));
        if (rest.len > 0 && rest.ptr[0] == '[') {
            CHECK(str_cut(str_slice(rest, 1, rest.len), ']', &value, &rest));
            rest = str_slice(rest, 1, rest.len);
        } else if (!str_cut(rest, ' ', &value, &rest)) {
            value = rest;
            rest.len = 0;
        }
        put_field(t, h, offsets, name, value);
    }
    put_span(t, &h->positive, offsets[0]);
    put_span(t, &h->negative, offsets[1]);
    return h;
}

const char *test_histogram_text(Test *t, const Histogram *h)
{
    Buf text = {0};
    if (h == NULL) {
        return "";
    }
    histogram_format_test(h, &text);
    buf_put_u8(&text, 0);
    const char *copy = arena_str(&t->arena, buf_str(&text)).ptr;
    buf_deinit(&text);
    return copy;
}

void test_check_text(Test *t, const char *file, int line, const char *got, const char *want)
{
    if (strcmp(got, want) != 0) {
        test_fail(t, file, line, "'%s', want '%s'", got, want);
    }
}
