// SPDX-License-Identifier: Apache-2.0
#include "promql/histogram_math.h"

#include "promql/histogram_internal.h"
#include "promql/histogram_test_support.h"

#include <math.h>

TEST(histogram_math, addition_and_subtraction)
{
    static const struct {
        const char *a, *b, *sum, *difference;
        int problems;
    } cases[] = {
        {"{{count:3 sum:5 buckets:[1 2]}}", "{{count:4 sum:1 buckets:[3 0 1] offset:1}}",
         "{{count:7 sum:6 buckets:[1 5 0 1]}}", "{{count:-1 sum:4 buckets:[1 -1 0 -1]}}", 0},
        // The finer one is reduced: buckets 1 and 2 of schema 1 are bucket 1 of schema 0.
        {"{{schema:1 count:6 sum:1 buckets:[1 2 3]}}", "{{count:1 sum:1 buckets:[1]}}",
         "{{count:7 sum:2 buckets:[2 5]}}", "{{count:5 offset:1 buckets:[5]}}", 0},
        {"{{count:1 sum:1 buckets:[1]}}", "{{schema:1 count:6 sum:1 buckets:[1 2 3]}}",
         "{{count:7 sum:2 buckets:[2 5]}}", "{{count:-5 offset:1 buckets:[-5]}}", 0},
        // A zero bucket up to 2 swallows bucket 0 (0.5..1) and 1 (1..2).
        {"{{count:7 z_bucket:1 z_bucket_w:0.5 buckets:[1 2 3]}}",
         "{{count:5 z_bucket:5 z_bucket_w:2}}",
         "{{count:12 z_bucket:9 z_bucket_w:2 offset:2 buckets:[3]}}",
         "{{count:2 z_bucket:-1 z_bucket_w:2 offset:2 buckets:[3]}}", 0},
        // One that ends inside a populated bucket is widened to its end.
        {"{{count:3 z_bucket_w:0.5 buckets:[1 2]}}", "{{count:1 z_bucket:1 z_bucket_w:1.5}}",
         "{{count:4 z_bucket:4 z_bucket_w:2}}", "{{count:2 z_bucket:2 z_bucket_w:2}}", 0},
        {"{{count:3 z_bucket_w:0.5 n_buckets:[1 2]}}", "{{count:1 z_bucket:1 z_bucket_w:1.5}}",
         "{{count:4 z_bucket:4 z_bucket_w:2}}", "{{count:2 z_bucket:2 z_bucket_w:2}}", 0},
        {"{{schema:-53 count:3 sum:4 custom_values:[1 2] buckets:[1 1 1]}}",
         "{{schema:-53 count:1 sum:1 custom_values:[1 2] buckets:[1]}}",
         "{{schema:-53 count:4 sum:5 custom_values:[1 2] buckets:[2 1 1]}}",
         "{{schema:-53 count:2 sum:3 custom_values:[1 2] offset:1 buckets:[1 1]}}", 0},
        {"{{schema:-53 count:6 custom_values:[1 2 4] buckets:[1 2 0 3]}}",
         "{{schema:-53 count:3 custom_values:[1 3 4] buckets:[1 1 1]}}",
         "{{schema:-53 count:9 custom_values:[1 4] buckets:[2 4 3]}}",
         "{{schema:-53 count:3 custom_values:[1 4] offset:2 buckets:[3]}}",
         HISTOGRAM_BOUNDS_RECONCILED},
        {"{{schema:-53 count:2 custom_values:[1 2] buckets:[1 1]}}",
         "{{schema:-53 count:1 custom_values:[3] buckets:[1]}}",
         "{{schema:-53 count:3 custom_values:[] buckets:[3]}}",
         "{{schema:-53 count:1 custom_values:[] buckets:[1]}}", HISTOGRAM_BOUNDS_RECONCILED},
        {"{{schema:-53 custom_values:[1]}}", "{{schema:0}}", "", "", HISTOGRAM_INCOMPATIBLE},
        {"{{counter_reset_hint:reset}}", "{{counter_reset_hint:not_reset}}", "{{}}", "{{}}",
         HISTOGRAM_HINT_COLLISION},
        {"{{counter_reset_hint:gauge}}", "{{counter_reset_hint:not_reset}}",
         "{{counter_reset_hint:gauge}}", "{{counter_reset_hint:gauge}}", 0},
        {"{{counter_reset_hint:reset}}", "{{counter_reset_hint:gauge}}",
         "{{counter_reset_hint:gauge}}", "{{counter_reset_hint:gauge}}", 0},
        {"{{counter_reset_hint:reset}}", "{{}}", "{{}}", "{{}}", 0},
        {"{{}}", "{{counter_reset_hint:gauge}}", "{{counter_reset_hint:gauge}}",
         "{{counter_reset_hint:gauge}}", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const Histogram *a = test_histogram(t, cases[i].a);
        const Histogram *b = test_histogram(t, cases[i].b);
        int problems = 0;
        const char *sum = test_histogram_text(t, histogram_add(a, b, &t->arena, &problems));
        CHECK_STR(((Str){sum, strlen(sum)}), ((Str){cases[i].sum, strlen(cases[i].sum)}));
        CHECK_EQ(problems, cases[i].problems);
        problems = 0;
        const Histogram *d = histogram_sub(a, b, &t->arena, &problems);
        const char *difference = test_histogram_text(t, d);
        const char *want = cases[i].difference;
        CHECK_STR(((Str){difference, strlen(difference)}), ((Str){want, strlen(want)}));
        CHECK_EQ(problems, cases[i].problems);
        CHECK_STR(((Str){test_histogram_text(t, a), strlen(test_histogram_text(t, a))}),
                  ((Str){test_histogram_text(t, test_histogram(t, cases[i].a)),
                         strlen(test_histogram_text(t, test_histogram(t, cases[i].a)))}));
    }
}

// Random histograms, with gaps, empty buckets and empty spans.
static HistogramSide random_side(Test *t)
{
    HistogramSpan *spans = arena_new(&t->arena, HistogramSpan, 5);
    double *counts = arena_new(&t->arena, double, 40);
    HistogramSide side = {.spans = spans, .counts = counts};
    const uint32_t n = (uint32_t)(test_random(t) % 5);
    for (uint32_t i = 0; i < n; i++) {
        spans[i].offset =
            i == 0 ? (int32_t)(test_random(t) % 20) - 10 : (int32_t)(test_random(t) % 4);
        spans[i].length = (uint32_t)(test_random(t) % 5);
        for (uint32_t k = 0; k < spans[i].length; k++) {
            counts[side.bucket_count++] = (double)(test_random(t) % 4);
        }
    }
    side.span_count = n;
    return side;
}

static const Histogram *random_histogram(Test *t, int32_t schema)
{
    Histogram *h = arena_new(&t->arena, Histogram, 1);
    *h = (Histogram){.schema = schema, .positive = random_side(t), .negative = random_side(t)};
    for (int i = 0; i < 2; i++) {
        const HistogramSide *side = i == 0 ? &h->positive : &h->negative;
        for (uint32_t k = 0; k < side->bucket_count; k++) {
            h->count += side->counts[k];
        }
    }
    h->sum = h->count * 1.5;
    return h;
}

// The oracle: an array over all indexes that can occur.
static void spread(const HistogramSide *side, int32_t from, int32_t schema, double out[400])
{
    size_t bucket = 0;
    int32_t index = 0;
    memset(out, 0, 400 * sizeof(*out));
    for (uint32_t i = 0; i < side->span_count; i++) {
        index += side->spans[i].offset;
        for (uint32_t k = 0; k < side->spans[i].length; k++) {
            int32_t at = index++;
            for (int32_t s = from; s > schema; s--) {
                at = (at + 1001) / 2 - 500; // ceil(at / 2)
            }
            out[at + 200] += side->counts[bucket++];
        }
    }
}

TEST(histogram_math, addition_is_that_of_arrays)
{
    for (int round = 0; round < 2000; round++) {
        const Histogram *a = random_histogram(t, (int32_t)(test_random(t) % 4));
        const Histogram *b = random_histogram(t, (int32_t)(test_random(t) % 4));
        const int32_t schema = a->schema < b->schema ? a->schema : b->schema;
        int problems = 0;
        const Histogram *sum = histogram_add(a, b, &t->arena, &problems);
        const Histogram *back = histogram_sub(sum, b, &t->arena, &problems);
        CHECK_EQ(sum->schema, schema);
        for (int i = 0; i < 2; i++) {
            double x[400];
            double y[400];
            double z[400];
            spread(i == 0 ? &a->positive : &a->negative, a->schema, schema, x);
            spread(i == 0 ? &b->positive : &b->negative, b->schema, schema, y);
            spread(i == 0 ? &sum->positive : &sum->negative, schema, schema, z);
            for (int k = 0; k < 400; k++) {
                CHECK(x[k] + y[k] == z[k]);
            }
        }
        CHECK(histogram_equal(
            histogram_compact(back, 0, &t->arena),
            histogram_compact(histogram_reduce(a, schema, &t->arena), 0, &t->arena)));
        CHECK(a->schema != b->schema || !histogram_detect_reset(sum, b));
        CHECK(histogram_detect_reset(b, sum) == (a->count > 0 || b->schema > schema));
        const Histogram *compact = histogram_compact(sum, 0, &t->arena);
        CHECK(!histogram_detect_reset(compact, sum) && !histogram_detect_reset(sum, compact));
    }
}

TEST(histogram_math, compaction_fills_small_gaps_and_cuts_large_ones)
{
    const Histogram *h = test_histogram(t, "{{count:4 buckets:[0 1 0 0 1 0 2 0] offset:-2}}");
    const Histogram *c = histogram_compact(h, 0, &t->arena);
    CHECK_EQ(c->positive.span_count, 3);
    CHECK_EQ(c->positive.bucket_count, 3);
    CHECK_EQ(c->positive.spans[0].offset, -1);
    CHECK_EQ(c->positive.spans[1].offset, 2);
    c = histogram_compact(h, 1, &t->arena);
    CHECK_EQ(c->positive.span_count, 2);
    CHECK_EQ(c->positive.bucket_count, 4);
    CHECK_HISTOGRAM(c, "{{count:4 offset:-1 buckets:[1 0 0 1 0 2]}}");
    CHECK(histogram_compact(c, 1, &t->arena) != c);
    c = histogram_compact(h, 0, &t->arena);
    CHECK(histogram_compact(c, 0, &t->arena) == c);
    static const HistogramSpan wide[] = {{0, 1}, {1 << 29, 1}};
    static const double two[] = {1, 1};
    const Histogram far = {.count = 2, .positive = {wide, 2, two, 2}};
    CHECK_EQ(histogram_compact(&far, UINT32_MAX, &t->arena)->positive.span_count, 2);
    CHECK(strncmp(test_histogram_text(t, &far), "{count:2, sum:0, (0.5,1]:1", 26) == 0);
}

TEST(histogram_math, scaling)
{
    const Histogram *h = test_histogram(
        t, "{{count:4 sum:2 z_bucket:1 z_bucket_w:0.1 buckets:[1 2] n_buckets:[3]}}");
    CHECK_HISTOGRAM(histogram_mul(h, 2, &t->arena),
                    "{{count:8 sum:4 z_bucket:2 z_bucket_w:0.1 buckets:[2 4] n_buckets:[6]}}");
    CHECK_HISTOGRAM(histogram_mul(h, -1, &t->arena),
                    "{{count:-4 sum:-2 z_bucket:-1 z_bucket_w:0.1 counter_reset_hint:gauge "
                    "buckets:[-1 -2] n_buckets:[-3]}}");
    CHECK_HISTOGRAM(histogram_div(h, -2, &t->arena),
                    "{{count:-2 sum:-1 z_bucket:-0.5 z_bucket_w:0.1 counter_reset_hint:gauge "
                    "buckets:[-0.5 -1] n_buckets:[-1.5]}}");
    CHECK_HISTOGRAM(histogram_div(h, 0, &t->arena),
                    "{{count:+Inf sum:+Inf z_bucket:+Inf z_bucket_w:0.1}}");
    CHECK_HISTOGRAM(histogram_with_hint(h, HISTOGRAM_HINT_GAUGE, &t->arena),
                    "{{count:4 sum:2 z_bucket:1 z_bucket_w:0.1 counter_reset_hint:gauge "
                    "buckets:[1 2] n_buckets:[3]}}");
    CHECK(histogram_with_hint(h, HISTOGRAM_HINT_UNKNOWN, &t->arena) == h);
}

TEST(histogram_math, equality_is_that_of_bits_and_buckets)
{
    const Histogram *a = test_histogram(t, "{{count:3 sum:1 buckets:[1 2]}}");
    CHECK(histogram_equal(a, test_histogram(t, "{{count:3 sum:1 buckets:[1 2]}}")));
    CHECK(!histogram_equal(a, test_histogram(t, "{{count:3 sum:1 buckets:[1 2 0]}}")));
    CHECK(!histogram_equal(a, test_histogram(t, "{{count:3 sum:1 buckets:[1 2] offset:1}}")));
    CHECK(!histogram_equal(a, test_histogram(t, "{{count:3 sum:1 n_buckets:[1 2]}}")));
    CHECK(!histogram_equal(a, test_histogram(t, "{{schema:1 count:3 sum:1 buckets:[1 2]}}")));
    CHECK(!histogram_equal(a, test_histogram(t, "{{count:3 sum:1 z_bucket_w:1 buckets:[1 2]}}")));
    static const HistogramSpan cut[] = {{0, 1}, {5, 0}, {-5, 1}};
    Histogram b = *a;
    b.positive.spans = cut;
    b.positive.span_count = 3;
    CHECK(histogram_equal(a, &b));
    const Histogram *nan = test_histogram(t, "{{sum:NaN}}");
    CHECK(histogram_equal(nan, nan));
}

TEST(histogram_math, resets)
{
    static const struct {
        const char *before, *now;
        bool reset;
    } cases[] = {
        {"{{count:2 buckets:[1 1]}}", "{{count:2 buckets:[1 1]}}", false},
        {"{{count:2 buckets:[1 1]}}", "{{count:3 buckets:[2 0 1]}}", true},
        {"{{count:2 buckets:[1 1]}}", "{{count:3 buckets:[2 1]}}", false},
        {"{{count:2 buckets:[1 1]}}", "{{count:1 buckets:[1]}}", true},
        {"{{count:2 buckets:[1 1]}}", "{{count:9 counter_reset_hint:reset buckets:[8 1]}}", true},
        {"{{count:2 buckets:[1 1]}}", "{{count:1 counter_reset_hint:not_reset}}", false},
        {"{{count:2 buckets:[1 1]}}", "{{count:1 counter_reset_hint:gauge}}", true},
        {"{{count:2 buckets:[2]}}", "{{schema:1 count:3 buckets:[3]}}", true},
        {"{{schema:1 count:3 buckets:[0 1 2]}}", "{{count:4 buckets:[0 3 1]}}", false},
        {"{{schema:1 count:3 buckets:[0 1 2]}}", "{{count:4 buckets:[0 2 2]}}", true},
        {"{{count:2 z_bucket:2 z_bucket_w:1}}", "{{count:2 z_bucket:2 z_bucket_w:0.5}}", true},
        {"{{count:2 z_bucket:1 z_bucket_w:0.5 buckets:[1]}}", "{{count:2 z_bucket:2 z_bucket_w:1}}",
         false},
        {"{{count:2 z_bucket:1 z_bucket_w:0.5 buckets:[1]}}",
         "{{count:2 z_bucket:1 z_bucket_w:1 buckets:[0 1]}}", true},
        {"{{count:2 z_bucket:1 z_bucket_w:0.5 buckets:[1]}}",
         "{{count:2 z_bucket:2 z_bucket_w:0.75}}", true},
        {"{{schema:-53 count:2 custom_values:[1 2] buckets:[1 1]}}",
         "{{schema:-53 count:2 custom_values:[1 2] buckets:[2 0]}}", true},
        {"{{schema:-53 count:2 custom_values:[1 2] buckets:[1 1]}}",
         "{{schema:-53 count:2 custom_values:[2] buckets:[2]}}", false},
        {"{{schema:-53 count:2 custom_values:[1 2] buckets:[1 1]}}",
         "{{schema:-53 count:2 custom_values:[2] buckets:[1 1]}}", true},
        {"{{schema:-53 count:2 custom_values:[1 2] buckets:[1 0 1]}}",
         "{{schema:-53 count:3 custom_values:[1 3] buckets:[1 2 0]}}", false},
        {"{{count:1 buckets:[1]}}", "{{schema:-53 count:2 custom_values:[1] buckets:[2]}}", true},
        {"{{schema:-53 count:2 custom_values:[1] buckets:[2]}}", "{{count:2 buckets:[2]}}", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const bool reset = histogram_detect_reset(test_histogram(t, cases[i].now),
                                                  test_histogram(t, cases[i].before));
        if (reset != cases[i].reset) {
            test_fail(t, __FILE__, __LINE__, "%s after %s", cases[i].now, cases[i].before);
        }
    }
}

TEST(histogram_math, sums_are_compensated)
{
    HistogramSum *sum = histogram_sum_new(false, &t->arena);
    int problems = 0;
    CHECK(histogram_sum_result(sum, &t->arena) == NULL);
    histogram_sum_add(sum, test_histogram(t, "{{count:1 sum:1 buckets:[1]}}"), &problems);
    histogram_sum_add(sum, test_histogram(t, "{{count:1e100 sum:1e100 buckets:[1e100]}}"),
                      &problems);
    histogram_sum_add(sum, test_histogram(t, "{{count:1 sum:1 buckets:[1 5]}}"), &problems);
    histogram_sum_add(sum, test_histogram(t, "{{count:-1e100 sum:-1e100 buckets:[-1e100]}}"),
                      &problems);
    CHECK_HISTOGRAM(histogram_sum_result(sum, &t->arena), "{{count:2 sum:2 buckets:[2 5]}}");
    CHECK_EQ(problems, 0);
    histogram_sum_add(sum, test_histogram(t, "{{counter_reset_hint:reset}}"), &problems);
    CHECK_EQ(problems, 0);
    histogram_sum_add(sum, test_histogram(t, "{{counter_reset_hint:not_reset}}"), &problems);
    CHECK_EQ(problems, HISTOGRAM_HINT_COLLISION);
    histogram_sum_add(sum, test_histogram(t, "{{schema:-53 custom_values:[1]}}"), &problems);
    CHECK_EQ(problems, HISTOGRAM_HINT_COLLISION | HISTOGRAM_INCOMPATIBLE);
    CHECK(histogram_sum_result(sum, &t->arena) == NULL);
}

TEST(histogram_math, means_survive_overflow)
{
    HistogramSum *mean = histogram_sum_new(true, &t->arena);
    int problems = 0;
    histogram_sum_add(mean, test_histogram(t, "{{count:1 sum:3 buckets:[1]}}"), &problems);
    histogram_sum_add(mean, test_histogram(t, "{{count:3 sum:5 buckets:[1 2]}}"), &problems);
    CHECK_HISTOGRAM(histogram_sum_result(mean, &t->arena), "{{count:2 sum:4 buckets:[1 1]}}");
    mean = histogram_sum_new(true, &t->arena);
    for (int i = 0; i < 4; i++) {
        histogram_sum_add(mean, test_histogram(t, "{{count:1 sum:1e308 buckets:[1]}}"), &problems);
    }
    const Histogram *h = histogram_sum_result(mean, &t->arena);
    CHECK(fabs(h->sum - 1e308) < 1e293 && fabs(h->count - 1) < 1e-15);
    CHECK_EQ(problems, 0);
    mean = histogram_sum_new(true, &t->arena);
    histogram_sum_add(mean,
                      test_histogram(t, "{{schema:-53 count:1 custom_values:[1 2] "
                                        "buckets:[1]}}"),
                      &problems);
    histogram_sum_add(mean,
                      test_histogram(t, "{{schema:-53 count:1 custom_values:[2] "
                                        "buckets:[1]}}"),
                      &problems);
    CHECK_EQ(problems, HISTOGRAM_BOUNDS_RECONCILED);
    CHECK_HISTOGRAM(histogram_sum_result(mean, &t->arena),
                    "{{schema:-53 count:1 custom_values:[2] buckets:[1]}}");
}

TEST(histogram_math, bounds_of_extreme_buckets)
{
    for (int32_t schema = HISTOGRAM_SCHEMA_MIN; schema <= HISTOGRAM_SCHEMA_MAX; schema++) {
        const int32_t last = schema < 0 ? 1024 >> -schema : 1024 << schema;
        CHECK(histogram_exponential_bound(0, schema) == 1);
        CHECK(histogram_exponential_bound(last, schema) == 1.7976931348623157e308);
        CHECK(isinf(histogram_exponential_bound(last + 1, schema)));
        CHECK(isinf(histogram_exponential_bound(HISTOGRAM_INDEX_MAX, schema)));
        CHECK(histogram_exponential_bound(-HISTOGRAM_INDEX_MAX, schema) == 0);
        CHECK(histogram_exponential_bound(schema < 0 ? 1 : 1 << schema, schema) ==
              (schema < 0 ? ldexp(1, 1 << -schema) : 2));
    }
    CHECK(histogram_exponential_bound(1, 8) == 2 * 0.5013556375251013);
    CHECK(histogram_exponential_bound(-1, 1) == 0.7071067811865475);
}
